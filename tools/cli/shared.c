/* What several verbs do: open a run, load its weights, write grids, print JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/image.h"
#include "kernels/devices.h"
#include "models/checkpoint.h"
#include "models/data.h"
#include "models/evaluate.h"
#include "tools/cli/cli.h"
#include "tools/cli/picture_file.h"

bool cli_is_run(const cli_args *a, const char *word)
{
    return gen_path_exists(gen_path_join(a->arena, word, "config.json"));
}

gen_status cli_open_device(const cli_args *a, gen_device **device, gen_error *err)
{
    return gen_device_open_with(a->o.device, (int32_t)a->o.threads, a->o.precision, device, NULL, 0, err);
}

gen_status cli_open_run(const cli_args *a, const char *folder, gen_device **device, gen_run **run, gen_error *err)
{
    GEN_TRY(cli_open_device(a, device, err));
    gen_status status = gen_run_open(folder, *device, GEN_RUN_READ, run, err);
    if (status != GEN_OK) (*device)->ops->close(*device);
    return status;
}

gen_status cli_load_weights(const cli_args *a, gen_run *run, gen_error *err)
{
    if (*a->o.weights) return gen_checkpoint_load_file(run, a->o.weights, err);
    return gen_checkpoint_load(run, a->o.checkpoint, GEN_CHECKPOINT_WEIGHTS, err);
}

void cli_close_run(gen_run *run, gen_device *device)
{
    gen_run_close(run);
    device->ops->close(device);
}

gen_status cli_parse_grid(const char *text, int64_t *columns, int64_t *rows, gen_error *err)
{
    char *end;
    long long c = strtoll(text, &end, 10), r = *end == 'x' ? strtoll(end + 1, &end, 10) : 0;
    if (*end || c < 1 || r < 1 || c > 10000 || r > 10000)
        return gen_fail(err, GEN_BAD_OPTION, "--grid %s: expected columns x rows, e.g. 16x16", text);
    *columns = c;
    *rows = r;
    return GEN_OK;
}

gen_status cli_grid_size(const cli_args *a, int64_t fallback, int64_t *columns, int64_t *n, gen_error *err)
{
    int64_t rows = 0;
    *columns = 0;
    *n = a->o.n ? a->o.n : fallback;
    if (!*a->o.grid) return GEN_OK;
    GEN_TRY(cli_parse_grid(a->o.grid, columns, &rows, err));
    *n = *columns * rows;
    return GEN_OK;
}

/* A grid with text chunks about the run, in the arena. */
static gen_status make_grid(const gen_run *run, const float *pictures, int64_t n, int32_t columns, gen_arena *arena,
                            gen_image *image, gen_error *err)
{
    enum { N_TEXTS = 5 };
    gen_grid grid = { .columns = columns, .padding_px = 1, .background = 0, .low = 0, .high = 1 };
    GEN_TRY(gen_image_grid(pictures, (int32_t)n, (int32_t)run->height, (int32_t)run->width, (int32_t)run->channels,
                           &grid, arena, image, err));
    gen_image_text *texts = gen_arena_alloc(arena, N_TEXTS * sizeof *texts);
    char *seed = gen_arena_printf(arena, "%" PRId64, run->settings.train.seed);
    if (!texts || !seed) return gen_fail(err, GEN_NO_MEMORY, "no memory for a picture");
    texts[0] = (gen_image_text){ "Software", "gen " GEN_VERSION };
    texts[1] = (gen_image_text){ "model", run->settings.model->name };
    texts[2] = (gen_image_text){ "data", run->data_name };
    texts[3] = (gen_image_text){ "seed", seed };
    texts[4] = (gen_image_text){ "weights", "averaged (EMA)" };
    image->texts = texts;
    image->n_texts = gen_checkpoint_has_averages(run) ? N_TEXTS : N_TEXTS - 1;
    return GEN_OK;
}

gen_status cli_write_grid(const gen_run *run, const float *pictures, int64_t n, int32_t columns, const char *path,
                          gen_error *err)
{
    gen_arena *arena = gen_arena_new();
    gen_image image;
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory for a picture");
    gen_status status = make_grid(run, pictures, n, columns, arena, &image, err);
    if (status == GEN_OK) status = cli_write_picture(&image, path, GEN_JPEG_QUALITY, arena, err);
    gen_arena_free(arena);
    return status;
}

gen_status cli_write_view(gen_run *run, const float *z, const float *labels, int64_t n, int32_t columns,
                          gen_arena *arena, const char *path, gen_error *err)
{
    float *pictures;
    int64_t size[3];
    GEN_TRY(gen_decode_view(run, z, labels, n, arena, &pictures, size, err));
    gen_run shown = *run;
    shown.height = size[0], shown.width = size[1], shown.channels = size[2];
    return cli_write_grid(&shown, pictures, n, columns, path, err);
}

bool cli_wants_mixture(const cli_args *a)
{
    return !strcmp(a->o.sampler, "gmm");
}

gen_status cli_fit_mixture(const cli_args *a, gen_run *run, const gen_dataset *data, gen_mixture *mixture,
                           gen_error *err)
{
    gen_dataset own;
    if (!run->settings.model->encode || !run->settings.model->decode)
        return gen_fail(err, GEN_UNSUPPORTED, "--sampler gmm is of models with codes; %s has none",
                        run->settings.model->name);
    if (!data) GEN_TRY(gen_data_open(&run->settings, NULL, a->arena, &own, err));
    if (!data) data = &own;
    return gen_mixture_of_codes(run, data, data->splits[GEN_SPLIT_TRAIN], a->o.components,
                                (uint64_t)run->settings.train.seed, a->arena, mixture, err);
}

static gen_status write_film(const gen_run *run, const float *pictures, int64_t frames, int64_t n, int32_t columns,
                             const char *path, gen_arena *arena, gen_error *err)
{
    enum { DELAY_MS = 80 };
    int64_t pixels = n * run->height * run->width * run->channels;
    gen_image *images = gen_arena_alloc(arena, (size_t)frames * sizeof *images);
    gen_bytes png;
    if (!images) return gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " frames", frames);
    for (int64_t f = 0; f < frames; f++)
        GEN_TRY(make_grid(run, pictures + f * pixels, n, columns, arena, &images[f], err));
    GEN_TRY(gen_apng_write(images, (int32_t)frames, DELAY_MS, 0, arena, &png, err));
    return gen_file_write(path, png.data, png.size, err);
}

gen_status cli_write_frames(const gen_run *run, const float *pictures, int64_t frames, int64_t n, int32_t columns,
                            const char *path, gen_error *err)
{
    int64_t pixels = n * run->height * run->width * run->channels;
    gen_arena *arena = gen_arena_new();
    gen_status status = arena ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for frames");
    bool folder = *path && path[strlen(path) - 1] == '/';
    if (status == GEN_OK && !folder) status = write_film(run, pictures, frames, n, columns, path, arena, err);
    if (status == GEN_OK && folder) status = gen_folder_make(path, err);
    for (int64_t f = 0; folder && f < frames && status == GEN_OK; f++) {
        char *file = gen_arena_printf(arena, "%sframe-%04" PRId64 ".png", path, f + 1);
        status = file ? cli_write_grid(run, pictures + f * pixels, n, columns, file, err)
                      : gen_fail(err, GEN_NO_MEMORY, "no memory for frames");
    }
    gen_arena_free(arena);
    return status;
}

gen_status cli_print_file(cli_args *a, const char *path, int64_t n, const char *things, gen_error *err)
{
    if (a->silent) return GEN_OK;
    if (!a->o.json) {
        printf("%s: %" PRId64 " %.*s\n", path, n, (int)strlen(things) - (n == 1), things); /* "1 note" */
        return GEN_OK;
    }
    gen_json_out out = { .arena = a->arena };
    gen_json_open(&out, NULL, '{');
    gen_json_put_string(&out, "file", path);
    gen_json_put_int(&out, things, n);
    gen_json_close(&out, '}');
    return cli_print_json(&out, err);
}

gen_status cli_print_json(gen_json_out *out, gen_error *err)
{
    gen_bytes text;
    GEN_TRY(gen_json_finish(out, &text, err));
    if (fwrite(text.data, 1, text.size, stdout) != text.size || fputc('\n', stdout) == EOF)
        return gen_fail(err, GEN_IO, "standard output cannot be written");
    return GEN_OK;
}

/* ---- --tune -------------------------------------------------------------------------------------------------------------- */

/* $XDG_CACHE_HOME/gen/tune or ~/.cache/gen/tune */
static char *tune_folder(gen_arena *arena)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/') return gen_arena_printf(arena, "%s/gen/tune", cache);
    return home && home[0] ? gen_arena_printf(arena, "%s/.cache/gen/tune", home) : NULL;
}

gen_status cli_use_tuning(cli_args *a, gen_device *device, gen_error *err)
{
    char note[1400];
    if (!a->o.tune) return GEN_OK;
    char *folder = tune_folder(a->arena);
    if (!folder)
        return gen_fail(err, GEN_NOT_FOUND,
                        "there is no cache folder for what --tune measures: set $XDG_CACHE_HOME or $HOME");
    GEN_TRY(gen_folder_make(folder, err));
    GEN_TRY(gen_device_tune(device, folder, note, sizeof note, err));
    if (*note) fprintf(stderr, "warning: %s\n", note);
    return GEN_OK;
}
