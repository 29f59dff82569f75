/* What several verbs do: open a run, load its weights, write grids, print JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/image.h"
#include "kernels/devices.h"
#include "models/checkpoint.h"
#include "models/data.h"
#include "tools/cli/cli.h"

gen_status cli_open_run(const cli_args *a, const char *folder, gen_device **device, gen_run **run, gen_error *err)
{
    GEN_TRY(gen_device_open(a->o.device, (int32_t)a->o.threads, device, err));
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

gen_status cli_write_grid(const gen_run *run, const float *pictures, int64_t n, int32_t columns, const char *path,
                          gen_error *err)
{
    gen_arena *arena = gen_arena_new();
    gen_image image;
    gen_bytes png;
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory for a picture");
    gen_grid grid = { .columns = columns, .padding_px = 1, .background = 0, .low = 0, .high = 1 };
    gen_status status = gen_image_grid(pictures, (int32_t)n, (int32_t)run->height, (int32_t)run->width,
                                       (int32_t)run->channels, &grid, arena, &image, err);
    if (status == GEN_OK) {
        char seed[24];
        snprintf(seed, sizeof seed, "%" PRId64, run->settings.train.seed);
        gen_image_text texts[] = { { "Software", "gen " GEN_VERSION },
                                   { "model", run->settings.model->name },
                                   { "data", run->data_name },
                                   { "seed", seed },
                                   { "weights", "averaged (EMA)" } };
        image.texts = texts;
        image.n_texts = run->settings.model->denoise && run->settings.train.ema > 0 ? 5 : 4;
        status = gen_png_write(&image, arena, &png, err);
    }
    if (status == GEN_OK) status = gen_file_write(path, png.data, png.size, err);
    gen_arena_free(arena);
    return status;
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

gen_status cli_print_file(cli_args *a, const char *path, int64_t n, const char *things, gen_error *err)
{
    if (!a->o.json) {
        printf("%s: %" PRId64 " %s\n", path, n, things);
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
