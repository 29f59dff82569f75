/* gen denoise RUN RUN …: what denoising autoencoders learn at different levels of noise, as figure 6 of Vincent et al. 2010: of each run the filters of its
 * first layer, and below them test pictures with its own noise and what it makes of them. */
#include <inttypes.h>
#include <string.h>

#include "models/data.h"
#include "models/evaluate.h"
#include "tools/cli/cli.h"

enum { COLUMNS = 12, FILTER_ROWS = 3, ROWS = FILTER_ROWS + 2, MEASURED = 1000 };

typedef struct block {
    const char *folder;
    double level, noisy_psnr, psnr;
    float *x; /* [ROWS,columns,H,W,C] */
} block;

typedef struct comparison {
    cli_args *a;
    int64_t columns, size[3]; /* of the pictures of all runs */
    float *x;                 /* [n_words,ROWS,columns,H,W,C] */
    block *block;
} comparison;

/* All runs show the same test pictures, so they must be of one size. */
static gen_status fits(comparison *c, const gen_run *run, const gen_dataset *data, int32_t i, gen_error *err)
{
    int64_t size[3] = { run->height, run->width, run->channels };
    if (strcmp(run->settings.model->name, "denoise"))
        return gen_fail(err, GEN_BAD_OPTION, "%s is a run of model %s: expected runs of denoise", c->block[i].folder,
                        run->settings.model->name);
    if (!i) {
        int64_t n = data->splits[gen_data_test_split(data)].n;
        memcpy(c->size, size, sizeof size);
        if (c->columns > n) c->columns = n;
        c->x = gen_arena_alloc(c->a->arena, (size_t)(c->a->n_words * ROWS * c->columns * size[0] * size[1] * size[2]) *
                                                sizeof *c->x);
        if (!c->x) return gen_fail(err, GEN_NO_MEMORY, "no memory for %d runs side by side", c->a->n_words);
    }
    if (memcmp(size, c->size, sizeof size) != 0 || data->height_px != size[0] || data->width_px != size[1] ||
        data->channels != size[2])
        return gen_fail(err, GEN_BAD_SHAPE,
                        "%s is of pictures of %" PRId64 "x%" PRId64 "x%" PRId64 ", %s of %" PRId64 "x%" PRId64
                        "x%" PRId64 ": only runs of one size stand side by side",
                        c->block[i].folder, size[1], size[0], size[2], c->a->word[0], c->size[1], c->size[0],
                        c->size[2]);
    return GEN_OK;
}

static gen_status reconstruct(const comparison *c, gen_run *run, gen_program *p, const gen_dataset *data, float *rows,
                              gen_error *err)
{
    int64_t pixels = c->size[0] * c->size[1] * c->size[2], count = c->columns * pixels;
    gen_range test = data->splits[gen_data_test_split(data)];
    for (int64_t i = 0; i < c->columns; i++) { /* where the noisy ones will be */
        int64_t index = test.first + i;
        gen_dataset_batch(data, &index, 1, rows + i * pixels);
    }
    GEN_TRY(gen_program_feed(p, "x", rows, count, err));
    GEN_TRY(gen_program_run(p, (gen_run_state){ .seed = (uint64_t)run->settings.train.seed }, err));
    GEN_TRY(gen_program_fetch(p, "noisy", rows, count, err));
    return gen_program_fetch(p, "denoised", rows + count, count, err);
}

static gen_status measure(const comparison *c, gen_run *run, gen_program *p, const gen_dataset *data, block *b,
                          gen_error *err)
{
    gen_eval_result r;
    void *options;
    gen_range range = data->splits[gen_data_test_split(data)];
    int64_t most = c->a->o.limit ? c->a->o.limit : MEASURED;
    if (range.n > most) range.n = most;
    GEN_TRY(gen_evaluate(run, p, data, range, &r, err));
    b->noisy_psnr = gen_eval_mean(&r, "noisy_psnr");
    b->psnr = gen_eval_mean(&r, "psnr");
    const gen_option *row = gen_settings_find(&run->settings, "noise-level", &options);
    if (row) b->level = *(const double *)((const char *)options + row->offset);
    return GEN_OK;
}

static gen_status look_at(comparison *c, gen_run *run, int32_t i, gen_error *err)
{
    gen_dataset data;
    gen_program *draw = NULL, *means = NULL;
    block *b = &c->block[i];
    if (*c->a->o.data) run->settings.train.data = c->a->o.data;
    GEN_TRY(gen_data_open(&run->settings, NULL, c->a->arena, &data, err));
    GEN_TRY(fits(c, run, &data, i, err));
    int64_t row = c->columns * c->size[0] * c->size[1] * c->size[2];
    b->x = c->x + i * ROWS * row;
    GEN_TRY(gen_run_program(run, run->settings.model->eval, "be evaluated", c->columns, &draw, err));
    gen_status status = cli_load_weights(c->a, run, err);
    if (status == GEN_OK) status = cli_filters_as_pictures(c->a, run, FILTER_ROWS * c->columns, b->x, err);
    if (status == GEN_OK) status = reconstruct(c, run, draw, &data, b->x + FILTER_ROWS * row, err);
    if (status == GEN_OK)
        status = gen_run_program(run, run->settings.model->eval, "be evaluated", GEN_EVAL_BATCH, &means, err);
    if (status == GEN_OK) status = measure(c, run, means, &data, b, err);
    gen_program_free(draw);
    gen_program_free(means);
    return status;
}

static gen_status print_blocks(const comparison *c, const char *path, gen_error *err)
{
    gen_json_out out = { .arena = c->a->arena };
    if (!c->a->o.json) {
        printf("%s\nlevel    noisy PSNR    PSNR   run\n", path);
        for (int i = 0; i < c->a->n_words; i++)
            printf("%-8.4g %7.2f dB %7.2f dB   %s\n", c->block[i].level, c->block[i].noisy_psnr, c->block[i].psnr,
                   c->block[i].folder);
        return GEN_OK;
    }
    gen_json_open(&out, NULL, '{');
    gen_json_put_string(&out, "file", path);
    gen_json_open(&out, "runs", '[');
    for (int i = 0; i < c->a->n_words; i++) {
        gen_json_open(&out, NULL, '{');
        gen_json_put_string(&out, "run", c->block[i].folder);
        gen_json_put_double(&out, "level", c->block[i].level);
        gen_json_put_double(&out, "noisy_psnr", c->block[i].noisy_psnr);
        gen_json_put_double(&out, "psnr", c->block[i].psnr);
        gen_json_close(&out, '}');
    }
    gen_json_close(&out, ']');
    gen_json_close(&out, '}');
    return cli_print_json(&out, err);
}

gen_status cli_denoise_runs(cli_args *a, gen_error *err)
{
    comparison c = { .a = a, .columns = a->o.n ? a->o.n : COLUMNS };
    const char *path = *a->o.output ? a->o.output : "runs.png";
    gen_status status = GEN_OK;
    c.block = gen_arena_alloc(a->arena, (size_t)a->n_words * sizeof *c.block);
    if (!c.block) return gen_fail(err, GEN_NO_MEMORY, "no memory for %d runs", a->n_words);
    for (int32_t i = 0; i < a->n_words && status == GEN_OK; i++) {
        gen_device *device;
        gen_run *run;
        c.block[i] = (block){ .folder = a->word[i] };
        GEN_TRY(cli_open_run(a, a->word[i], &device, &run, err));
        status = look_at(&c, run, i, err);
        if (status == GEN_OK && i + 1 == a->n_words)
            status = cli_write_grid(run, c.x, a->n_words * ROWS * c.columns, (int32_t)c.columns, path, err);
        cli_close_run(run, device);
    }
    return status == GEN_OK ? print_blocks(&c, path, err) : status;
}
