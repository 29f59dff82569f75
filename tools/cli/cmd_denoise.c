/* denoise: a picture of any size without its noise; or, without a picture, test pictures at several levels of noise beside what the model makes of them;
 * or several runs side by side (denoise_runs.c). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "models/data.h"
#include "models/evaluate.h"
#include "tools/cli/cli.h"
#include "tools/cli/picture_file.h"

typedef struct denoising {
    cli_args *a;
    gen_device *device;
    gen_run *run;
} denoising;

static float *floats(denoising *d, int64_t n, gen_error *err)
{
    float *memory = gen_arena_alloc(d->a->arena, (size_t)n * sizeof *memory);
    if (!memory) gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " numbers", n);
    return memory;
}

/* ---- one picture ------------------------------------------------------------------------------------------------------------ */

static gen_status save(denoising *d, const gen_image *image, const char *path, gen_error *err)
{
    GEN_TRY(cli_write_picture(image, path, GEN_JPEG_QUALITY, d->a->arena, err));
    if (!d->a->o.json) {
        printf("%s: %dx%d pixels\n", path, image->width_px, image->height_px);
        return GEN_OK;
    }
    gen_json_out out = { .arena = d->a->arena };
    gen_json_open(&out, NULL, '{');
    gen_json_put_string(&out, "file", path);
    gen_json_put_int(&out, "width", image->width_px);
    gen_json_put_int(&out, "height", image->height_px);
    gen_json_close(&out, '}');
    return cli_print_json(&out, err);
}

static gen_status denoise_file(denoising *d, const char *path, gen_error *err)
{
    gen_image image;
    float *rgba;
    GEN_TRY(cli_read_picture(path, 4, d->a->arena, &image, &rgba, err));
    gen_translate_plan plan;
    GEN_TRY(gen_translate_plan_make(d->run, image.height_px, image.width_px, 0, 0, &plan, err));
    GEN_TRY(cli_translate_colours(d->run, &plan, rgba, image.channels < 3, d->a->arena, err));
    cli_put_colours(rgba, &image);
    return save(d, &image, *d->a->o.output ? d->a->o.output : "denoised.png", err);
}

/* ---- several levels, side by side ----------------------------------------------------------------------------------------------- */

enum { MAX_LEVELS = 16, MEASURED = 1000 };

typedef struct level {
    double level, noisy_psnr, psnr, noisy_ssim, ssim;
} level;

typedef struct sheet {
    gen_dataset data;
    gen_range test;
    int64_t columns, pixels;
    float *x, *rows; /* [columns,H,W,C]; [1 + 2 n, columns, H,W,C] */
    level levels[MAX_LEVELS];
    int32_t n;
} sheet;

static gen_status parse_levels(const char *text, sheet *s, gen_error *err)
{
    while (*text) {
        char *end;
        double value = strtod(text, &end);
        if (end == text || (*end && *end != ',') || !(value >= 0) || s->n == MAX_LEVELS)
            return gen_fail(err, GEN_BAD_OPTION, "--levels: expected up to %d numbers as 0.1,0.25,0.5, found %.40s",
                            MAX_LEVELS, text);
        s->levels[s->n++].level = value;
        text = *end ? end + 1 : end;
    }
    return s->n ? GEN_OK : gen_fail(err, GEN_BAD_OPTION, "--levels names no level");
}

static gen_status open_data(denoising *d, sheet *s, gen_error *err)
{
    gen_run *run = d->run;
    if (*d->a->o.data) run->settings.train.data = d->a->o.data;
    GEN_TRY(gen_data_open(&run->settings, NULL, d->a->arena, &s->data, err));
    if (s->data.height_px != run->height || s->data.width_px != run->width || s->data.channels != run->channels)
        return gen_fail(err, GEN_BAD_SHAPE,
                        "%s has pictures of %dx%dx%d, the run was trained on %" PRId64 "x%" PRId64 "x%" PRId64,
                        s->data.name, s->data.height_px, s->data.width_px, s->data.channels, run->height, run->width,
                        run->channels);
    s->test = s->data.splits[gen_data_test_split(&s->data)];
    s->columns = d->a->o.n ? d->a->o.n : 12;
    if (s->columns > s->test.n) s->columns = s->test.n;
    s->pixels = run->height * run->width * run->channels;
    s->x = floats(d, s->columns * s->pixels, err);
    s->rows = floats(d, (1 + 2 * s->n) * s->columns * s->pixels, err);
    if (!s->x || !s->rows) return GEN_NO_MEMORY;
    for (int64_t i = 0; i < s->columns; i++) {
        int64_t index = s->test.first + i;
        gen_dataset_batch(&s->data, &index, 1, s->x + i * s->pixels);
    }
    memcpy(s->rows, s->x, (size_t)(s->columns * s->pixels) * sizeof *s->x);
    return GEN_OK;
}

static gen_status draw_rows(denoising *d, sheet *s, gen_program *p, int32_t i, gen_error *err)
{
    int64_t count = s->columns * s->pixels;
    GEN_TRY(gen_program_feed(p, "x", s->x, count, err));
    GEN_TRY(gen_program_run(p, (gen_run_state){ .seed = (uint64_t)d->run->settings.train.seed }, err));
    GEN_TRY(gen_program_fetch(p, "noisy", s->rows + (1 + 2 * i) * count, count, err));
    return gen_program_fetch(p, "denoised", s->rows + (2 + 2 * i) * count, count, err);
}

static gen_status measure(denoising *d, sheet *s, gen_program *p, level *l, gen_error *err)
{
    gen_eval_result r;
    gen_range range = s->test;
    int64_t most = d->a->o.limit ? d->a->o.limit : MEASURED;
    if (range.n > most) range.n = most;
    GEN_TRY(gen_evaluate(d->run, p, &s->data, range, &r, err));
    l->noisy_psnr = gen_eval_mean(&r, "noisy_psnr");
    l->psnr = gen_eval_mean(&r, "psnr");
    l->noisy_ssim = gen_eval_mean(&r, "noisy_ssim");
    l->ssim = gen_eval_mean(&r, "ssim");
    return GEN_OK;
}

static gen_status one_level(denoising *d, sheet *s, int32_t i, gen_error *err)
{
    char text[32];
    gen_program *draw = NULL, *means = NULL;
    const gen_model *model = d->run->settings.model;
    snprintf(text, sizeof text, "%.9g", s->levels[i].level);
    GEN_TRY(gen_settings_set(&d->run->settings, "noise-level", text, err));
    gen_status status = gen_run_program(d->run, model->eval, "be evaluated", s->columns, &draw, err);
    if (status == GEN_OK) status = draw_rows(d, s, draw, i, err);
    if (status == GEN_OK) status = gen_run_program(d->run, model->eval, "be evaluated", GEN_EVAL_BATCH, &means, err);
    if (status == GEN_OK) status = measure(d, s, means, &s->levels[i], err);
    gen_program_free(draw);
    gen_program_free(means);
    return status;
}

static gen_status print_sheet(denoising *d, const sheet *s, const char *path, gen_error *err)
{
    gen_json_out out = { .arena = d->a->arena };
    if (!d->a->o.json) {
        printf("%s\nlevel    noisy PSNR    PSNR   noisy SSIM    SSIM\n", path);
        for (int32_t i = 0; i < s->n; i++)
            printf("%-8.4g %7.2f dB %7.2f dB %8.4f %9.4f\n", s->levels[i].level, s->levels[i].noisy_psnr,
                   s->levels[i].psnr, s->levels[i].noisy_ssim, s->levels[i].ssim);
        return GEN_OK;
    }
    gen_json_open(&out, NULL, '{');
    gen_json_put_string(&out, "file", path);
    gen_json_open(&out, "levels", '[');
    for (int32_t i = 0; i < s->n; i++) {
        gen_json_open(&out, NULL, '{');
        gen_json_put_double(&out, "level", s->levels[i].level);
        gen_json_put_double(&out, "noisy_psnr", s->levels[i].noisy_psnr);
        gen_json_put_double(&out, "psnr", s->levels[i].psnr);
        gen_json_put_double(&out, "noisy_ssim", s->levels[i].noisy_ssim);
        gen_json_put_double(&out, "ssim", s->levels[i].ssim);
        gen_json_close(&out, '}');
    }
    gen_json_close(&out, ']');
    gen_json_close(&out, '}');
    return cli_print_json(&out, err);
}

/* Rows: the pictures; then for each level the noisy ones and below them what the model makes of those. */
static gen_status compare(denoising *d, gen_error *err)
{
    sheet *s = gen_arena_alloc(d->a->arena, sizeof *s);
    const char *path = *d->a->o.output ? d->a->o.output : "levels.png";
    if (!s) return gen_fail(err, GEN_NO_MEMORY, "no memory for a sheet");
    *s = (sheet){ .n = 0 };
    GEN_TRY(parse_levels(d->a->o.levels, s, err));
    GEN_TRY(open_data(d, s, err));
    for (int32_t i = 0; i < s->n; i++) GEN_TRY(one_level(d, s, i, err));
    GEN_TRY(cli_write_grid(d->run, s->rows, (1 + 2 * s->n) * s->columns, (int32_t)s->columns, path, err));
    return print_sheet(d, s, path, err);
}

/* ---- the verb ------------------------------------------------------------------------------------------------------------------- */

static gen_status work(denoising *d, gen_error *err)
{
    gen_program *program = NULL;
    const gen_model *model = d->run->settings.model;
    GEN_TRY(gen_run_program(d->run, model->translate, "make pictures of pictures", 1, &program, err));
    gen_program_free(program); /* its parameters are known now */
    GEN_TRY(cli_load_weights(d->a, d->run, err));
    if (d->a->n_words == 2) return denoise_file(d, d->a->word[1], err);
    if (strcmp(model->name, "denoise"))
        return gen_fail(err, GEN_BAD_OPTION, "%s knows no levels of noise: name a picture", model->name);
    return compare(d, err);
}

static int run(cli_args *a, gen_error *err)
{
    denoising d = { .a = a };
    if (a->n_words > 1 && cli_is_run(a, a->word[1])) return cli_denoise_runs(a, err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
    if (cli_need_words(&cli_denoise, a, 1, 2, err) != GEN_OK) return CLI_USAGE;
    gen_status status = cli_open_run(a, a->word[0], &d.device, &d.run, err);
    if (status == GEN_OK) status = work(&d, err);
    if (d.run) cli_close_run(d.run, d.device);
    return status == GEN_OK ? CLI_GOOD : CLI_FAILED;
}

static const char *const takes[] = { "output",  "levels",  "n",      "data",      "limit", "checkpoint",
                                     "weights", "threads", "device", "precision", "json",  NULL };
const cli_verb cli_denoise = { "denoise",
                               "RUN [PICTURE] | RUN RUN …",
                               "a picture without its noise; without a picture: several --levels side by side, or the "
                               "filters and reconstructions of several runs",
                               takes,
                               0,
                               run };
