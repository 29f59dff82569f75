/* encode: codes of pictures as CSV or .npy. plot: curves of a run, latent scatter, manifold, histograms. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/npy.h"
#include "io/plot.h"
#include "models/data.h"
#include "models/evaluate.h"
#include "models/report.h"
#include "tools/cli/music.h"
#include "tools/cli/tune.h"

typedef struct codes {
    cli_args *a;
    gen_device *device;
    gen_run *run;
    gen_dataset data;
    gen_range range; /* of the data that is encoded */
    int64_t n, d;
    bool draw;          /* codes are draws from q(z|x), else its means */
    float *z;           /* [n,d] */
    int32_t *labels;    /* [n] or NULL */
    const float *given; /* the same, as graphs take them */
} codes;

static gen_status load(codes *c, gen_error *err)
{
    gen_program *program = NULL;
    const gen_model *model = c->run->settings.model;
    GEN_TRY(gen_run_program(c->run, model->encode, "encode pictures", 1, &program, err));
    gen_program_free(program);
    if (model->decode) {
        GEN_TRY(gen_run_program(c->run, model->decode, "make pictures", 1, &program, err));
        gen_program_free(program);
    }
    c->d = gen_latent_size(c->run);
    return cli_load_weights(c->a, c->run, err);
}

/* z = mu + exp(logvar / 2) eps; the means themselves where the model has no variance */
static gen_status draw_codes(codes *c, const float *x, gen_error *err)
{
    size_t n = (size_t)(c->n * c->d);
    float *logvar = gen_arena_alloc(c->a->arena, n * sizeof *logvar),
          *eps = gen_arena_alloc(c->a->arena, n * sizeof *eps);
    if (!logvar || !eps) return gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " codes: use --limit", c->n);
    for (size_t i = 0; i < n; i++) logvar[i] = -INFINITY;
    GEN_TRY(gen_encode(c->run, x, c->given, c->n, c->z, logvar, err));
    gen_latent_draw((uint64_t)c->run->settings.train.seed, 0, c->n, c->d, eps);
    for (size_t i = 0; i < n; i++) c->z[i] += expf(0.5f * logvar[i]) * eps[i];
    return GEN_OK;
}

/* Codes of the evaluation split, at most --limit (else `most`), in its order. */
static gen_status encode_split(codes *c, int64_t most, gen_error *err)
{
    cli_args *a = c->a;
    if (*a->o.data) c->run->settings.train.data = a->o.data;
    GEN_TRY(gen_data_open(&c->run->settings, NULL, a->arena, &c->data, err));
    c->range = c->data.splits[gen_data_test_split(&c->data)];
    int64_t limit = a->o.limit ? a->o.limit : most, pixels = c->run->height * c->run->width * c->run->channels;
    c->n = limit && limit < c->range.n ? limit : c->range.n;
    if (c->data.height_px != c->run->height || c->data.width_px != c->run->width ||
        c->data.channels != c->run->channels)
        return gen_fail(err, GEN_BAD_SHAPE,
                        "%s has pictures of %dx%dx%d, the run was trained on %" PRId64 "x%" PRId64 "x%" PRId64,
                        c->data.name, c->data.height_px, c->data.width_px, c->data.channels, c->run->height,
                        c->run->width, c->run->channels);
    float *x = gen_arena_alloc(a->arena, (size_t)(c->n * pixels) * sizeof *x);
    c->z = gen_arena_alloc(a->arena, (size_t)(c->n * c->d) * sizeof *c->z);
    if (!x || !c->z) return gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " images: use --limit", c->n);
    for (int64_t i = 0; i < c->n; i++) {
        int64_t index = c->range.first + i;
        gen_dataset_batch(&c->data, &index, 1, x + i * pixels);
    }
    if (c->data.labels) {
        c->labels = gen_arena_alloc(a->arena, (size_t)c->n * sizeof *c->labels);
        if (!c->labels) return gen_fail(err, GEN_NO_MEMORY, "no memory for labels");
        memcpy(c->labels, c->data.labels + c->range.first, (size_t)c->n * sizeof *c->labels);
        float *given = gen_arena_alloc(a->arena, (size_t)c->n * sizeof *given);
        if (!given) return gen_fail(err, GEN_NO_MEMORY, "no memory for labels");
        for (int64_t i = 0; i < c->n; i++) given[i] = (float)c->labels[i];
        c->given = given;
    }
    return c->draw ? draw_codes(c, x, err) : gen_encode(c->run, x, c->given, c->n, c->z, NULL, err);
}

/* ---- encode ---------------------------------------------------------------------------------------------------------------------------- */

/* label,z0,z1,… a line; 9 digits read back as the same float */
static gen_status write_csv(codes *c, const char *path, gen_error *err)
{
    gen_file_writer *file;
    char cell[40];
    GEN_TRY(gen_file_create(path, &file, err));
    gen_status status = gen_file_put(file, "label", 5, err);
    for (int64_t j = 0; j < c->d && status == GEN_OK; j++)
        status = gen_file_put(file, cell, (size_t)snprintf(cell, sizeof cell, ",z%" PRId64, j), err);
    for (int64_t i = 0; i < c->n && status == GEN_OK; i++) {
        status =
            gen_file_put(file, cell, (size_t)snprintf(cell, sizeof cell, "\n%d", c->labels ? c->labels[i] : -1), err);
        for (int64_t j = 0; j < c->d && status == GEN_OK; j++)
            status =
                gen_file_put(file, cell, (size_t)snprintf(cell, sizeof cell, ",%.9g", (double)c->z[i * c->d + j]), err);
    }
    if (status == GEN_OK) status = gen_file_put(file, "\n", 1, err);
    if (status == GEN_OK) return gen_file_commit(file, err);
    gen_file_abandon(file);
    return status;
}

static gen_status write_npy(codes *c, const char *path, gen_error *err)
{
    gen_bytes bytes;
    GEN_TRY(gen_npy_write(c->z, (int64_t[]){ c->n, c->d }, 2, c->a->arena, &bytes, err));
    return gen_file_write(path, bytes.data, bytes.size, err);
}

static gen_status encode(codes *c, gen_error *err)
{
    const char *path = *c->a->o.output ? c->a->o.output : "codes.csv";
    GEN_TRY(encode_split(c, 0, err));
    GEN_TRY(gen_path_has_extension(path, "npy") ? write_npy(c, path, err) : write_csv(c, path, err));
    return cli_print_file(c->a, path, c->n, "codes", err);
}

/* ---- plot ------------------------------------------------------------------------------------------------------------------------------- */

static gen_status save_plot(codes *c, const gen_bytes *file, const char *path, gen_error *err)
{
    GEN_TRY(gen_file_write(path, file->data, file->size, err));
    return cli_print_file(c->a, path, 1, "plots", err);
}

static gen_plot plot_of(const char *path, const char *title, const char *x, const char *y)
{
    return (gen_plot){ .title = title,
                       .x_label = x,
                       .y_label = y,
                       .width_px = 900,
                       .height_px = 700,
                       .format = gen_path_has_extension(path, "svg") ? GEN_PLOT_SVG : GEN_PLOT_PNG };
}

/* The first two numbers of each code, coloured by label. */
static gen_status plot_scatter(codes *c, const char *path, gen_error *err)
{
    gen_bytes file;
    GEN_TRY(encode_split(c, 5000, err));
    if (c->d < 2)
        return gen_fail(err, GEN_UNSUPPORTED,
                        "a scatter plot needs a code of at least 2 numbers; this run's has %" PRId64, c->d);
    double *x = gen_arena_alloc(c->a->arena, (size_t)c->n * sizeof *x),
           *y = gen_arena_alloc(c->a->arena, (size_t)c->n * sizeof *y);
    if (!x || !y) return gen_fail(err, GEN_NO_MEMORY, "no memory for the plot");
    for (int64_t i = 0; i < c->n; i++) x[i] = (double)c->z[i * c->d], y[i] = (double)c->z[i * c->d + 1];
    gen_plot plot = plot_of(path, "codes of test images", "z0", "z1");
    GEN_TRY(gen_plot_scatter(&plot, x, y, c->labels, (size_t)c->n, c->data.class_names, c->data.n_classes, c->a->arena,
                             &file, err));
    return save_plot(c, &file, path, err);
}

/* All numbers of codes drawn from q(z|x) against N(0,1), which they should follow. */
static gen_status plot_histogram(codes *c, const char *path, gen_error *err)
{
    enum { CURVE = 201, BINS = 60 };
    gen_bytes file;
    double x[CURVE], y[CURVE];
    c->draw = true;
    GEN_TRY(encode_split(c, 5000, err));
    size_t n = (size_t)(c->n * c->d);
    double *values = gen_arena_alloc(c->a->arena, n * sizeof *values);
    if (!values) return gen_fail(err, GEN_NO_MEMORY, "no memory for the plot");
    for (size_t i = 0; i < n; i++) values[i] = (double)c->z[i];
    for (int i = 0; i < CURVE; i++)
        x[i] = -4 + 8.0 * i / (CURVE - 1), y[i] = exp(-x[i] * x[i] / 2) / 2.50662827463100050242;
    gen_series normal = { "N(0, 1)", x, y, CURVE };
    gen_plot plot = plot_of(path, "latent numbers of test images", "z", "density");
    GEN_TRY(gen_plot_histogram(&plot, values, n, BINS, &normal, c->a->arena, &file, err));
    return save_plot(c, &file, path, err);
}

/* The inverse of the normal distribution function, by Newton steps on erf from a coarse start. */
static double normal_quantile(double p)
{
    double x = 0;
    for (int i = 0; i < 60; i++) {
        double error = 0.5 * erfc(-x / 1.41421356237309504880) - p, slope = exp(-x * x / 2) / 2.50662827463100050242;
        double step = error / slope;
        x -= step > 1 ? 1 : step < -1 ? -1 : step;
    }
    return x;
}

/* 20 x 20 pictures over the plane of a 2-D code, at equal steps of probability from .01 to .99 (GDL 03_04). */
static gen_status plot_manifold(codes *c, const char *path, gen_error *err)
{
    enum { SIDE = 20, N = SIDE * SIDE };
    float z[N * 2], labels[N]; /* the labels are looked at by conditional runs alone: class 0, or --label */
    if (c->d != 2)
        return gen_fail(err, GEN_UNSUPPORTED,
                        "the manifold of a code of 2 numbers can be drawn; this run's has %" PRId64
                        " (train with --latent 2)",
                        c->d);
    float *x =
        gen_arena_alloc(c->a->arena, (size_t)(N * c->run->height * c->run->width * c->run->channels) * sizeof *x);
    if (!x) return gen_fail(err, GEN_NO_MEMORY, "no memory for the pictures");
    for (int i = 0; i < N; i++) {
        z[2 * i] = (float)normal_quantile(0.01 + 0.98 * (i % SIDE) / (SIDE - 1));
        z[2 * i + 1] = (float)normal_quantile(0.99 - 0.98 * (double)(i / SIDE) / (SIDE - 1));
    }
    for (int i = 0; i < N; i++) labels[i] = (float)(c->a->o.label > 0 ? c->a->o.label : 0);
    GEN_TRY(gen_decode(c->run, z, labels, N, x, err));
    GEN_TRY(cli_write_grid(c->run, x, N, SIDE, path, err));
    return cli_print_file(c->a, path, N, "pictures", err);
}

static int falling(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* KL of each number of the code and the variance of its mean, each sorted: those that are not used lie at zero (Burda et al. 2016, section 5). */
static gen_status plot_units(codes *c, const char *path, gen_error *err)
{
    gen_bytes file;
    if (!gen_has_posterior(c->run))
        return gen_fail(err, GEN_UNSUPPORTED, "%s gives no distribution of codes, so no number of them has a KL",
                        c->run->settings.model->name);
    if (*c->a->o.data) c->run->settings.train.data = c->a->o.data;
    GEN_TRY(gen_data_open(&c->run->settings, NULL, c->a->arena, &c->data, err));
    c->range = c->data.splits[gen_data_test_split(&c->data)];
    if (c->a->o.limit && c->a->o.limit < c->range.n) c->range.n = c->a->o.limit;
    double *rank = gen_arena_alloc(c->a->arena, (size_t)(3 * c->d) * sizeof *rank), *kl = rank + c->d,
           *variance = kl + c->d;
    if (!rank) return gen_fail(err, GEN_NO_MEMORY, "no memory for the plot");
    GEN_TRY(gen_code_usage(c->run, &c->data, c->range, variance, kl, err));
    qsort(kl, (size_t)c->d, sizeof *kl, falling);
    qsort(variance, (size_t)c->d, sizeof *variance, falling);
    for (int64_t i = 0; i < c->d; i++) rank[i] = (double)i + 1;
    gen_series series[] = { { "KL (nats)", rank, kl, (size_t)c->d },
                            { "variance of the mean", rank, variance, (size_t)c->d } };
    gen_plot plot = plot_of(path, "use of the code's numbers", "number of the code, sorted", NULL);
    GEN_TRY(gen_plot_lines(&plot, series, 2, c->a->arena, &file, err));
    return save_plot(c, &file, path, err);
}

static gen_status plot(codes *c, gen_error *err)
{
    const char *kind = c->a->o.kind;
    char fallback[32];
    snprintf(fallback, sizeof fallback, "%s.png", kind);
    const char *path = *c->a->o.output ? c->a->o.output : fallback;
    if (!strcmp(kind, "scatter")) return plot_scatter(c, path, err);
    if (!strcmp(kind, "units")) return plot_units(c, path, err);
    if (!strcmp(kind, "histogram")) return plot_histogram(c, path, err);
    return plot_manifold(c, path, err);
}

/* ---- verbs ------------------------------------------------------------------------------------------------------------------------------- */

static int with_run(cli_args *a, const cli_verb *verb, gen_status (*work)(codes *c, gen_error *err), bool weights,
                    gen_error *err)
{
    codes c = { .a = a };
    if (cli_need_words(verb, a, 1, 1, err) != GEN_OK) return CLI_USAGE;
    gen_status status = cli_open_run(a, a->word[0], &c.device, &c.run, err);
    if (status == GEN_OK && weights) status = load(&c, err);
    if (status == GEN_OK) status = work(&c, err);
    if (c.run) cli_close_run(c.run, c.device);
    return status == GEN_OK ? CLI_GOOD : CLI_FAILED;
}

static gen_status curves(codes *c, gen_error *err)
{
    const char *path = *c->a->o.output ? c->a->o.output : gen_run_path(c->run, "loss.png");
    GEN_TRY(gen_report_curves(c->run, path, err));
    return cli_print_file(c->a, path, 1, "plots", err);
}

static gen_status parts(codes *c, gen_error *err)
{
    const char *path = *c->a->o.output ? c->a->o.output : "parts.png";
    GEN_TRY(gen_report_parts(c->run, path, err));
    return cli_print_file(c->a, path, 1, "plots", err);
}

static gen_status filters(codes *c, gen_error *err)
{
    return cli_plot_filters(c->a, c->run, *c->a->o.output ? c->a->o.output : "filters.png", err);
}

static gen_status neighbours(codes *c, gen_error *err)
{
    return cli_plot_neighbours(c->a, c->run, *c->a->o.output ? c->a->o.output : "neighbours.png", err);
}

static gen_status confusion(codes *c, gen_error *err)
{
    return cli_plot_confusion(c->a, c->run, *c->a->o.output ? c->a->o.output : "confusion.png", err);
}

static int run_encode(cli_args *a, gen_error *err)
{
    return with_run(a, &cli_encode, encode, true, err);
}

static int run_plot(cli_args *a, gen_error *err)
{
    if (a->n_words == 1 && cli_is_tune(a->word[0]))
        return cli_plot_midi(a, a->word[0], err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
    if (!strcmp(a->o.kind, "filters")) return with_run(a, &cli_plot, filters, false, err);
    if (!strcmp(a->o.kind, "neighbours")) return with_run(a, &cli_plot, neighbours, false, err);
    if (!strcmp(a->o.kind, "confusion")) return with_run(a, &cli_plot, confusion, false, err);
    if (!strcmp(a->o.kind, "parts")) return with_run(a, &cli_plot, parts, false, err);
    bool only_log = !strcmp(a->o.kind, "curves");
    return with_run(a, &cli_plot, only_log ? curves : plot, !only_log, err);
}

static const char *const encode_takes[] = { "output",  "data",   "limit",     "checkpoint", "weights",
                                            "threads", "device", "precision", "json",       NULL };
static const char *const plot_takes[] = { "kind",  "tempo",      "steps-per-quarter", "output",  "data",   "limit",
                                          "label", "checkpoint", "weights",           "threads", "device", "precision",
                                          "json",  NULL };
const cli_verb cli_encode = { "encode", "RUN", "codes of test pictures as .csv or .npy", encode_takes, 0, run_encode };
const cli_verb cli_plot = { "plot",
                            "RUN|TUNE",
                            "curves, parts of the loss, latent scatter, manifold, histograms, filters, confusion, use "
                            "of codes, neighbours, the piano roll of a tune (MIDI, .json, .npy) as .png or .svg",
                            plot_takes,
                            0,
                            run_plot };
