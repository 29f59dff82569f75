/* What only diffusion models do: sample with a film of the denoising; inpaint: a part of a picture painted anew; img2img: pictures like a picture. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "io/file.h"
#include "io/image.h"
#include "models/evaluate.h"
#include "models/generate.h"
#include "tools/cli/cli.h"
#include "tools/cli/picture_file.h"

static float *floats(cli_args *a, int64_t n, gen_error *err)
{
    float *memory = gen_arena_alloc(a->arena, (size_t)n * sizeof *memory);
    if (!memory) gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " numbers: ask for fewer pictures", n);
    return memory;
}

gen_status cli_set_sampler(const cli_args *a, gen_run *run, gen_error *err)
{
    static const char *const names[] = { CLI_TAKES_SAMPLER };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char buffer[64];
        const char *value = gen_option_get(gen_option_find(cli_option_rows, names[i]), &a->o, buffer, sizeof buffer);
        if (!*value) continue;
        if (cli_wants_mixture(a) && !strcmp(names[i], "sampler") && !run->settings.model->denoise) continue;
        if (!run->settings.model->denoise)
            return gen_fail(err, GEN_BAD_OPTION, "--%s is of diffusion models; %s makes pictures in one go", names[i],
                            run->settings.model->name);
        GEN_TRY(gen_settings_set(&run->settings, names[i], value, err));
    }
    return GEN_OK;
}

/* --label as what gen_generate wants; NULL: labels in turn. */
static gen_status labels_of(cli_args *a, const gen_run *run, int64_t n, const float **labels, gen_error *err)
{
    *labels = NULL;
    if (a->o.label < 0) return GEN_OK;
    if (a->o.label >= run->classes)
        return gen_fail(err, GEN_BAD_OPTION, "--label %" PRId64 ": the run's data has %" PRId64 " labels, from 0 on",
                        a->o.label, run->classes);
    float *all = floats(a, n, err);
    if (!all) return GEN_NO_MEMORY;
    for (int64_t i = 0; i < n; i++) all[i] = (float)a->o.label;
    *labels = all;
    return GEN_OK;
}

static uint64_t seed_of(const cli_args *a, const gen_run *run)
{
    return (uint64_t)(a->o.seed >= 0 ? a->o.seed : run->settings.train.seed);
}

static void say_weights(const cli_args *a, const gen_run *run)
{
    if (!a->o.json && run->settings.train.ema > 0) fputs("with the averaged weights (EMA)\n", stderr);
}

/* ---- sample ---------------------------------------------------------------------------------------------------------------- */

/* Pictures of a film: frame k is the state after step k (n_steps) / (n_frames - 1). */
typedef struct film {
    int64_t n_frames, n_steps, n, pixels;
    float *frames; /* [n_frames, n, pixels] */
} film;

static void keep_frame(void *context, int64_t step, int64_t first, int64_t n, const float *pictures)
{
    film *f = context;
    for (int64_t k = 0; k < f->n_frames; k++)
        if ((k * f->n_steps + (f->n_frames - 1) / 2) / (f->n_frames - 1) == step)
            memcpy(f->frames + (k * f->n + first) * f->pixels, pictures, (size_t)(n * f->pixels) * sizeof *pictures);
}

static gen_status start_film(cli_args *a, gen_run *run, film *f, int64_t n, gen_error *err)
{
    enum { LIMIT = 1 << 29 };
    *f = (film){ .n_frames = a->o.frames, .n = n, .pixels = run->height * run->width * run->channels };
    if (!f->n_frames) return GEN_OK;
    if (f->n_frames < 2) return gen_fail(err, GEN_BAD_OPTION, "--frames 1: a film has at least 2");
    GEN_TRY(gen_generation_steps(run, &f->n_steps, err));
    if (n > LIMIT / (f->n_frames * f->pixels))
        return gen_fail(err, GEN_BAD_OPTION, "%" PRId64 " frames of %" PRId64 " pictures are too many: lower --frames",
                        f->n_frames, n);
    f->frames = floats(a, f->n_frames * n * f->pixels, err);
    return f->frames ? GEN_OK : GEN_NO_MEMORY;
}

static gen_status write_film(cli_args *a, const gen_run *run, const film *f, int64_t columns, gen_error *err)
{
    enum { DELAY_MS = 80 };
    const char *path = *a->o.output ? a->o.output : "samples.png";
    gen_image *images = gen_arena_alloc(a->arena, (size_t)f->n_frames * sizeof *images);
    gen_grid grid = { .columns = (int32_t)columns, .padding_px = 1, .background = 0, .low = 0, .high = 1 };
    gen_bytes png;
    if (!images) return gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " frames", f->n_frames);
    for (int64_t k = 0; k < f->n_frames; k++)
        GEN_TRY(gen_image_grid(f->frames + k * f->n * f->pixels, (int32_t)f->n, (int32_t)run->height,
                               (int32_t)run->width, (int32_t)run->channels, &grid, a->arena, &images[k], err));
    GEN_TRY(gen_apng_write(images, (int32_t)f->n_frames, DELAY_MS, 0, a->arena, &png, err));
    GEN_TRY(gen_file_write(path, png.data, png.size, err));
    return cli_print_file(a, path, f->n_frames, "frames", err);
}

static gen_status save(cli_args *a, const gen_run *run, const float *x, int64_t n, int64_t columns,
                       const char *fallback, gen_error *err)
{
    const char *path = *a->o.output ? a->o.output : fallback;
    GEN_TRY(cli_write_pictures(run, x, n, (int32_t)columns, path, a->arena, err));
    return cli_print_file(a, path, n, "pictures", err);
}

gen_status cli_sample_generated(cli_args *a, gen_run *run, const float *labels, int64_t n, int64_t columns,
                                gen_error *err)
{
    film f;
    const gen_generation how = {
        .n = n, .labels = labels, .seed = seed_of(a, run), .frame = keep_frame, .context = &f
    };
    GEN_TRY(start_film(a, run, &f, n, err));
    float *x = floats(a, n * f.pixels, err);
    if (!x) return GEN_NO_MEMORY;
    GEN_TRY(gen_generate(run, &how, x, err));
    say_weights(a, run);
    return f.n_frames ? write_film(a, run, &f, columns, err) : save(a, run, x, n, columns, "samples.png", err);
}

/* ---- pictures of the user --------------------------------------------------------------------------------------------------- */

static gen_status read_image(cli_args *a, const gen_run *run, const char *what, const char *path, gen_image *image,
                             gen_error *err)
{
    GEN_TRY(cli_read_image(path, a->arena, image, err));
    if (image->width_px == run->width && image->height_px == run->height) return GEN_OK;
    return gen_fail(err, GEN_BAD_SHAPE,
                    "%s %s has %dx%d pixels, the run makes pictures of %" PRId64 "x%" PRId64 "; cut or scale it", what,
                    path, image->width_px, image->height_px, run->width, run->height);
}

/* A picture of the run's size, [H,W,channels] in [0,1]; NULL: err says why. */
static float *read_picture(cli_args *a, const gen_run *run, const char *what, const char *path, int32_t channels,
                           gen_error *err)
{
    gen_image image = { 0 };
    if (read_image(a, run, what, path, &image, err) != GEN_OK) return NULL;
    float *x = floats(a, run->height * run->width * channels, err);
    if (x) gen_image_to_float(&image, channels, x);
    return x;
}

/* n copies of a picture, the last ones of room for n + 1; the first is left for the original. */
typedef struct variants {
    int64_t n, pixels;
    float *picture, *copies, *sheet; /* [pixels], [n,pixels], [1 + n,pixels] */
} variants;

static gen_status read_variants(cli_args *a, const gen_run *run, variants *v, gen_error *err)
{
    *v = (variants){ .n = a->o.n ? a->o.n : 7, .pixels = run->height * run->width * run->channels };
    v->picture = read_picture(a, run, "the picture", a->word[1], (int32_t)run->channels, err);
    if (!v->picture) return err->status;
    v->copies = floats(a, v->n * v->pixels, err);
    v->sheet = floats(a, (1 + v->n) * v->pixels, err);
    if (!v->copies || !v->sheet) return GEN_NO_MEMORY;
    for (int64_t i = 0; i < v->n; i++) memcpy(v->copies + i * v->pixels, v->picture, (size_t)v->pixels * sizeof(float));
    memcpy(v->sheet, v->picture, (size_t)v->pixels * sizeof(float));
    return GEN_OK;
}

static gen_status make_variants(cli_args *a, gen_run *run, variants *v, gen_generation *how, const char *fallback,
                                gen_error *err)
{
    how->n = v->n;
    how->seed = seed_of(a, run);
    how->no_labels = a->o.label < 0;
    GEN_TRY(labels_of(a, run, v->n, &how->labels, err));
    GEN_TRY(gen_generate(run, how, v->sheet + v->pixels, err));
    say_weights(a, run);
    return save(a, run, v->sheet, 1 + v->n, 0, fallback, err);
}

/* ---- inpaint, img2img --------------------------------------------------------------------------------------------------------- */

static gen_status inpaint(cli_args *a, gen_run *run, gen_error *err)
{
    variants v;
    if (!*a->o.mask)
        return gen_fail(err, GEN_BAD_OPTION,
                        "--mask is missing: a picture of %" PRId64 "x%" PRId64
                        " pixels, white where there is to be painted",
                        run->width, run->height);
    GEN_TRY(read_variants(a, run, &v, err));
    float *mask = read_picture(a, run, "the mask", a->o.mask, 1, err);
    if (!mask) return err->status;
    for (int64_t i = 0; i < run->height * run->width; i++) mask[i] = mask[i] >= 0.5f;
    for (int64_t i = 0; i < v.pixels; i++)
        if (mask[i / run->channels] > 0) v.sheet[i] = 0.5f; /* the first picture shows what is to be painted */
    gen_generation how = { .known = v.copies, .mask = mask, .resample = a->o.resample };
    return make_variants(a, run, &v, &how, "inpainted.png", err);
}

static gen_status img2img(cli_args *a, gen_run *run, gen_error *err)
{
    variants v;
    GEN_TRY(read_variants(a, run, &v, err));
    gen_generation how = { .from = v.copies, .strength = a->o.strength };
    return make_variants(a, run, &v, &how, "variants.png", err);
}

static gen_status load(cli_args *a, gen_run *run, gen_error *err)
{
    gen_program *program = NULL;
    GEN_TRY(gen_run_program(run, run->settings.model->denoise, "make pictures from noise", 1, &program, err));
    gen_program_free(program); /* its parameters are known now */
    GEN_TRY(cli_set_sampler(a, run, err));
    return cli_load_weights(a, run, err);
}

static int with_run(cli_args *a, const cli_verb *verb, gen_status (*work)(cli_args *a, gen_run *run, gen_error *err),
                    gen_error *err)
{
    gen_device *device;
    gen_run *run;
    if (cli_need_words(verb, a, 2, 2, err) != GEN_OK) return CLI_USAGE;
    if (cli_open_run(a, a->word[0], &device, &run, err) != GEN_OK) return CLI_FAILED;
    gen_status status = load(a, run, err);
    if (status == GEN_OK) status = work(a, run, err);
    cli_close_run(run, device);
    return status == GEN_OK ? CLI_GOOD : CLI_FAILED;
}

static int run_inpaint(cli_args *a, gen_error *err)
{
    return with_run(a, &cli_inpaint, inpaint, err);
}

static int run_img2img(cli_args *a, gen_error *err)
{
    return with_run(a, &cli_img2img, img2img, err);
}

static const char *const inpaint_takes[] = { "output",    "mask",       "resample",        "n",       "label",
                                             "seed",      "checkpoint", "weights",         "threads", "device",
                                             "precision", "json",       CLI_TAKES_SAMPLER, NULL };
static const char *const img2img_takes[] = { "output",     "strength",        "n",       "label",  "seed",
                                             "checkpoint", "weights",         "threads", "device", "precision",
                                             "json",       CLI_TAKES_SAMPLER, NULL };
const cli_verb cli_inpaint = {
    "inpaint", "RUN PICTURE", "a part of a picture painted anew, --n times, by a diffusion model", inpaint_takes,
    0,         run_inpaint
};
const cli_verb cli_img2img = { "img2img", "RUN PICTURE", "pictures like a picture, by a diffusion model", img2img_takes,
                               0,         run_img2img };
