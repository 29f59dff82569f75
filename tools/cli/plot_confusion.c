/* Which classes a classifier takes for which: a table on standard output, and a picture (rows the true class, white where all of it went) or .csv. */
#include <inttypes.h>
#include <string.h>

#include "io/file.h"
#include "io/image.h"
#include "models/data.h"
#include "models/evaluate.h"
#include "tools/cli/cli.h"

enum { CELL = 24, MOST_CLASSES = 1000 };

typedef struct confusion {
    const cli_args *a;
    gen_run *run;
    gen_dataset data;
    gen_range range;
    int64_t k;      /* classes */
    int64_t *count; /* [k,k]: true class, then guess */
} confusion;

static gen_status open_data(confusion *c, gen_error *err)
{
    gen_run *run = c->run;
    if (*c->a->o.data) run->settings.train.data = c->a->o.data;
    GEN_TRY(gen_data_open(&run->settings, NULL, c->a->arena, &c->data, err));
    if (c->data.height_px != run->height || c->data.width_px != run->width || c->data.channels != run->channels ||
        !c->data.labels || c->data.n_classes > run->classes || run->classes > MOST_CLASSES)
        return gen_fail(err, GEN_BAD_SHAPE, "%s is not labelled pictures of the size and classes that the run knows",
                        c->data.name);
    c->range = c->data.splits[gen_data_test_split(&c->data)];
    if (c->a->o.limit && c->a->o.limit < c->range.n) c->range.n = c->a->o.limit;
    c->k = run->classes;
    c->count = gen_arena_alloc(c->a->arena, (size_t)(c->k * c->k) * sizeof *c->count);
    if (!c->count) return gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " classes", c->k);
    memset(c->count, 0, (size_t)(c->k * c->k) * sizeof *c->count);
    return GEN_OK;
}

static gen_status one_batch(confusion *c, gen_program *p, int64_t first, float *x, gen_error *err)
{
    int64_t pixels = c->run->height * c->run->width * c->run->channels, real = c->range.n - first,
            index[GEN_EVAL_BATCH];
    float labels[GEN_EVAL_BATCH], guess[GEN_EVAL_BATCH];
    if (real > GEN_EVAL_BATCH) real = GEN_EVAL_BATCH;
    for (int64_t i = 0; i < GEN_EVAL_BATCH; i++) {
        index[i] = c->range.first + first + (i < real ? i : real - 1);
        labels[i] = (float)c->data.labels[index[i]];
    }
    gen_dataset_batch(&c->data, index, GEN_EVAL_BATCH, x);
    GEN_TRY(gen_program_feed(p, "x", x, GEN_EVAL_BATCH * pixels, err));
    GEN_TRY(gen_program_feed(p, "label", labels, GEN_EVAL_BATCH, err));
    GEN_TRY(gen_program_run(p, (gen_run_state){ .seed = (uint64_t)c->run->settings.train.seed }, err));
    GEN_TRY(gen_program_fetch(p, "guess", guess, GEN_EVAL_BATCH, err));
    for (int64_t i = 0; i < real; i++) c->count[(int64_t)labels[i] * c->k + (int64_t)guess[i]]++;
    return GEN_OK;
}

static gen_status count_all(confusion *c, gen_program *p, gen_error *err)
{
    size_t pixels = (size_t)(c->run->height * c->run->width * c->run->channels);
    float *x = gen_arena_alloc(c->a->arena, GEN_EVAL_BATCH * pixels * sizeof *x);
    if (!x) return gen_fail(err, GEN_NO_MEMORY, "no memory for a batch");
    for (int64_t i = 0; i < c->range.n; i += GEN_EVAL_BATCH) GEN_TRY(one_batch(c, p, i, x, err));
    return GEN_OK;
}

static const char *class_name(const confusion *c, int64_t i)
{
    return c->data.class_names ? c->data.class_names[i] : gen_arena_printf(c->a->arena, "%" PRId64, i);
}

static int64_t row_sum(const confusion *c, int64_t row)
{
    int64_t sum = 0;
    for (int64_t j = 0; j < c->k; j++) sum += c->count[row * c->k + j];
    return sum;
}

static void print_table(const confusion *c)
{
    printf("%-12s %7s  mostly taken for\n", "class", "right");
    for (int64_t i = 0; i < c->k; i++) {
        int64_t sum = row_sum(c, i), worst = -1;
        for (int64_t j = 0; j < c->k; j++)
            if (j != i && (worst < 0 || c->count[i * c->k + j] > c->count[i * c->k + worst])) worst = j;
        printf("%-12.12s %6.2f%%", class_name(c, i), sum ? 100.0 * (double)c->count[i * c->k + i] / (double)sum : 0);
        if (worst >= 0 && c->count[i * c->k + worst])
            printf("  %s (%" PRId64 " of %" PRId64 ")", class_name(c, worst), c->count[i * c->k + worst], sum);
        printf("\n");
    }
}

static gen_status write_csv(const confusion *c, const char *path, gen_error *err)
{
    gen_file_writer *file;
    char cell[32];
    GEN_TRY(gen_file_create(path, &file, err));
    gen_status status = GEN_OK;
    for (int64_t i = 0; i < c->k * c->k && status == GEN_OK; i++)
        status = gen_file_put(
            file, cell,
            (size_t)snprintf(cell, sizeof cell, "%" PRId64 "%c", c->count[i], i % c->k == c->k - 1 ? '\n' : ','), err);
    if (status == GEN_OK) return gen_file_commit(file, err);
    gen_file_abandon(file);
    return status;
}

static gen_status write_png(const confusion *c, const char *path, gen_error *err)
{
    int32_t k = (int32_t)c->k, cell = k > 100 ? 4 : CELL;
    size_t side = (size_t)(k * cell);
    gen_image image;
    gen_bytes png;
    float *parts = gen_arena_alloc(c->a->arena, (size_t)(k * k) * sizeof *parts),
          *large = gen_arena_alloc(c->a->arena, side * side * sizeof *large);
    if (!parts || !large) return gen_fail(err, GEN_NO_MEMORY, "no memory for a picture");
    for (int64_t i = 0; i < c->k * c->k; i++) {
        int64_t sum = row_sum(c, i / c->k);
        parts[i] = sum ? (float)c->count[i] / (float)sum : 0;
    }
    GEN_TRY(gen_image_resize(parts, k, k, 1, large, k * cell, k * cell, GEN_FILTER_BOX, err));
    GEN_TRY(gen_image_new(k * cell, k * cell, 1, 8, c->a->arena, &image, err));
    gen_image_to_bytes(large, side * side, 0, 1, image.px8);
    GEN_TRY(gen_png_write(&image, c->a->arena, &png, err));
    return gen_file_write(path, png.data, png.size, err);
}

gen_status cli_plot_confusion(const cli_args *a, gen_run *run, const char *path, gen_error *err)
{
    confusion c = { .a = a, .run = run };
    gen_program *p = NULL;
    GEN_TRY(gen_run_program(run, run->settings.model->eval, "be evaluated", GEN_EVAL_BATCH, &p, err));
    gen_status status = gen_program_shape(p, "guess").rank == 2
                            ? cli_load_weights(a, run, err)
                            : gen_fail(err, GEN_UNSUPPORTED, "%s guesses no classes", run->settings.model->name);
    if (status == GEN_OK) status = open_data(&c, err);
    if (status == GEN_OK) status = count_all(&c, p, err);
    gen_program_free(p);
    if (status != GEN_OK) return status;
    print_table(&c);
    GEN_TRY(gen_path_has_extension(path, "csv") ? write_csv(&c, path, err) : write_png(&c, path, err));
    printf("%s\n", path);
    return GEN_OK;
}
