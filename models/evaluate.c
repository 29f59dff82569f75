#include "models/evaluate.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "models/data.h"
#include "models/generate.h"
#include "models/windows.h"

/* ---- means over a data set ---------------------------------------------------------------------------------------------------- */

static bool is_input(const gen_node *node, const char *name)
{
    return node->op == GEN_OP_INPUT && !strcmp(node->name, name);
}

/* Of an input; rank -1: there is none. */
static gen_shape input_shape(const gen_program *p, const char *name)
{
    const gen_graph *g = gen_program_graph(p);
    for (int32_t id = 0; id < gen_graph_size(g); id++)
        if (is_input(gen_graph_node(g, id), name)) return gen_graph_node(g, id)->shape;
    return (gen_shape){ .rank = -1 };
}

bool gen_program_wants(const gen_program *p, const char *name)
{
    return input_shape(p, name).rank >= 0;
}

static gen_status read_images(const gen_dataset *data, gen_range range, int64_t first, int64_t n, float *x,
                              gen_error *err)
{
    int64_t indices[GEN_EVAL_BATCH];
    if (n > GEN_EVAL_BATCH)
        return gen_fail(err, GEN_BAD_SHAPE, "a batch of %lld images is more than %d", (long long)n, GEN_EVAL_BATCH);
    for (int64_t i = 0; i < n; i++) { /* the last batch is filled up with the range's last image */
        int64_t at = first + i < range.n ? first + i : range.n - 1;
        indices[i] = range.first + at;
    }
    gen_dataset_batch(data, indices, (int32_t)n, x);
    return GEN_OK;
}

/* Feeds the labels of the images that read_images gave, where the program wants them. */
static gen_status feed_labels(const gen_run *run, gen_program *program, const gen_dataset *data, gen_range range,
                              int64_t first, int64_t batch, gen_error *err)
{
    float labels[GEN_EVAL_BATCH];
    if (!gen_program_wants(program, "label")) return GEN_OK;
    if (!data->labels || data->n_classes > run->classes)
        return gen_fail(err, GEN_BAD_OPTION, "%s has %d classes, the run was trained on %lld", data->name,
                        data->labels ? data->n_classes : 0, (long long)run->classes);
    for (int64_t i = 0; i < batch; i++)
        labels[i] = (float)data->labels[range.first + (first + i < range.n ? first + i : range.n - 1)];
    return gen_program_feed(program, "label", labels, batch, err);
}

static void list_outputs(const gen_program *program, int64_t batch, gen_eval_result *r)
{
    *r = (gen_eval_result){ 0 };
    for (int32_t i = 0; i < gen_program_outputs(program) && r->n < GEN_EVAL_MAX; i++) {
        gen_shape shape = gen_program_shape(program, gen_program_output_name(program, i));
        bool is_weight = !strcmp(gen_program_output_name(program, i), "weight");
        if (shape.rank == 1 && shape.dim[0] == batch && !is_weight)
            r->name[r->n++] = gen_program_output_name(program, i);
    }
}

gen_status gen_evaluate(gen_run *run, gen_program *program, const gen_dataset *data, gen_range range,
                        gen_eval_result *r, gen_error *err)
{
    if (run->settings.model->state) return gen_evaluate_windows(run, program, data, range, r, err);
    int64_t batch = GEN_EVAL_BATCH, pixels = run->height * run->width * run->channels;
    float values[GEN_EVAL_BATCH], weights[GEN_EVAL_BATCH], *x = gen_alloc((size_t)(batch * pixels), sizeof *x);
    bool weighted = gen_program_shape(program, "weight").rank == 1;
    double total = 0;
    if (!x) return gen_fail(err, GEN_NO_MEMORY, "no memory for a batch");
    list_outputs(program, batch, r);
    gen_status status = GEN_OK;
    for (int64_t i = 0; i < range.n && status == GEN_OK; i += batch) {
        int64_t real = range.n - i < batch ? range.n - i : batch;
        status = read_images(data, range, i, batch, x, err);
        if (status == GEN_OK) status = gen_program_feed(program, "x", x, batch * pixels, err);
        if (status == GEN_OK) status = feed_labels(run, program, data, range, i, batch, err);
        if (status == GEN_OK)
            status = gen_program_run(
                program, (gen_run_state){ .seed = (uint64_t)run->settings.train.seed, .first_sample = (uint64_t)i },
                err);
        for (int64_t k = 0; k < batch; k++) weights[k] = 1;
        if (status == GEN_OK && weighted) status = gen_program_fetch(program, "weight", weights, batch, err);
        for (int32_t o = 0; o < r->n && status == GEN_OK; o++) {
            status = gen_program_fetch(program, r->name[o], values, batch, err);
            for (int64_t k = 0; k < real; k++) r->mean[o] += (double)values[k] * (double)weights[k];
        }
        for (int64_t k = 0; k < real; k++) total += (double)weights[k];
    }
    r->count = (int64_t)total;
    for (int32_t o = 0; o < r->n && r->count; o++) r->mean[o] /= total;
    gen_free(x);
    return status;
}

double gen_eval_mean(const gen_eval_result *r, const char *name)
{
    for (int32_t i = 0; i < r->n; i++)
        if (!strcmp(r->name[i], name)) return r->mean[i];
    return (double)NAN;
}

/* ---- codes and pictures ---------------------------------------------------------------------------------------------------------- */

void gen_latent_draw(uint64_t seed, uint64_t first, int64_t n, int64_t d, float *z)
{
    const uint32_t key = (uint32_t)gen_hash_name("prior sample");
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j += 4) {
            uint64_t sample = first + (uint64_t)i;
            float four[4];
            gen_normal_from_block(
                gen_philox_block(seed, (uint32_t)(j / 4), (uint32_t)sample, (uint32_t)(sample >> 32), key), four);
            for (int64_t k = 0; k < 4 && j + k < d; k++) z[i * d + j + k] = four[k];
        }
}

int64_t gen_latent_size(const gen_run *run)
{
    gen_model_context m = gen_run_context(run, 1);
    if (run->settings.model->denoise) return run->height * run->width * run->channels;
    return run->settings.model->latent ? run->settings.model->latent(&m) : 0;
}

static int64_t batch_for(int64_t n)
{
    return n < GEN_EVAL_BATCH ? n : GEN_EVAL_BATCH;
}

static gen_run_state state_of(const gen_run *run)
{
    return (gen_run_state){ .seed = (uint64_t)run->settings.train.seed };
}

bool gen_is_conditional(const gen_run *run)
{
    const gen_model *model = run->settings.model;
    void (*build)(gen_graph *, const gen_model_context *) = model->denoise ? model->denoise : model->decode;
    gen_graph *g = build ? gen_graph_new() : NULL;
    bool wants = false;
    if (!g) return false;
    gen_model_context m = gen_run_context(run, 1);
    build(g, &m);
    for (int32_t id = 0; id < gen_graph_size(g); id++) wants = wants || is_input(gen_graph_node(g, id), "label");
    gen_graph_free(g);
    return wants;
}

/* Feeds labels first.. of n, the last one again where the batch is longer. */
static gen_status feed_some(gen_program *p, const float *labels, int64_t first, int64_t n, int64_t batch,
                            gen_error *err)
{
    float some[GEN_EVAL_BATCH];
    for (int64_t i = 0; i < batch; i++) some[i] = labels[first + i < n ? first + i : n - 1];
    return gen_program_feed(p, "label", some, batch, err);
}

static int64_t row_count(const gen_shape *shape)
{
    return gen_shape_count(shape) / shape->dim[0];
}

/* gen_program_map, with labels[n] (NULL: none) fed to a program that wants them */
static gen_status map(gen_run *run, gen_program *p, const char *input, const float *in, const float *labels,
                      const char *output, float *out, int64_t n, gen_error *err)
{
    if (!gen_program_wants(p, "label")) return gen_program_map(p, input, in, output, out, n, state_of(run), err);
    if (!labels)
        return gen_fail(err, GEN_BAD_OPTION, "%s was trained with --conditional: its pictures need labels",
                        run->folder);
    for (int64_t i = 0; i < n; i++)
        if (!(labels[i] >= 0 && labels[i] < (float)run->classes))
            return gen_fail(err, GEN_BAD_OPTION, "label %g: this run knows labels 0 to %lld", (double)labels[i],
                            (long long)run->classes - 1);
    gen_shape to = gen_program_shape(p, output), from = input_shape(p, input);
    for (int64_t i = 0, batch = to.dim[0]; i < n; i += batch) {
        gen_run_state state = state_of(run);
        state.first_sample = (uint64_t)i;
        GEN_TRY(feed_some(p, labels, i, n, batch, err));
        GEN_TRY(gen_program_map(p, input, in + i * row_count(&from), output, out + i * row_count(&to),
                                n - i < batch ? n - i : batch, state, err));
    }
    return GEN_OK;
}

gen_status gen_decode(gen_run *run, const float *z, const float *labels, int64_t n, float *pixels, gen_error *err)
{
    gen_program *p = NULL;
    if (run->settings.model->denoise)
        return gen_generate(
            run,
            &(gen_generation){
                .n = n, .z = z, .labels = labels, .no_labels = !labels, .seed = (uint64_t)run->settings.train.seed },
            pixels, err);
    GEN_TRY(gen_run_program(run, run->settings.model->decode, "make pictures from codes", batch_for(n), &p, err));
    gen_status status = map(run, p, "z", z, labels, "x", pixels, n, err);
    gen_program_free(p);
    return status;
}

gen_status gen_decode_view(gen_run *run, const float *z, const float *labels, int64_t n, gen_arena *arena,
                           float **pictures, int64_t size[3], gen_error *err)
{
    gen_program *p = NULL;
    GEN_TRY(gen_run_program(run, run->settings.model->decode, "make pictures from codes", batch_for(n), &p, err));
    const char *output = gen_program_shape(p, "view").rank == 4 ? "view" : "x";
    gen_shape shape = gen_program_shape(p, output);
    for (int i = 0; i < 3; i++) size[i] = shape.dim[i + 1];
    *pictures = gen_arena_alloc(arena, (size_t)(n * row_count(&shape)) * sizeof **pictures);
    gen_status status = *pictures ? map(run, p, "z", z, labels, output, *pictures, n, err)
                                  : gen_fail(err, GEN_NO_MEMORY, "no memory for %lld pictures", (long long)n);
    gen_program_free(p);
    return status;
}

gen_status gen_sample(gen_run *run, uint64_t seed, uint64_t first, const float *labels, int64_t n, float *pixels,
                      gen_error *err)
{
    int64_t d = gen_latent_size(run);
    if (run->settings.model->denoise)
        return gen_generate(run, &(gen_generation){ .n = n, .seed = seed, .first = first, .labels = labels }, pixels,
                            err);
    float *z = gen_alloc((size_t)(n * d), sizeof *z);
    if (!z) return gen_fail(err, GEN_NO_MEMORY, "no memory for %lld codes", (long long)n);
    gen_latent_draw(seed, first, n, d, z);
    gen_status status = gen_decode(run, z, labels, n, pixels, err);
    gen_free(z);
    return status;
}

gen_status gen_encode(gen_run *run, const float *x, const float *labels, int64_t n, float *mu, float *logvar,
                      gen_error *err)
{
    gen_program *p = NULL;
    if (run->settings.model->denoise) return gen_invert(run, x, labels, n, mu, err);
    GEN_TRY(gen_run_program(run, run->settings.model->encode, "encode pictures", batch_for(n), &p, err));
    gen_status status = map(run, p, "x", x, labels, "mu", mu, n, err);
    if (status == GEN_OK && logvar && gen_program_shape(p, "logvar").rank > 0)
        status = map(run, p, "x", x, labels, "logvar", logvar, n, err);
    gen_program_free(p);
    return status;
}

/* Has encode an output of that name? */
static bool encodes(const gen_run *run, const char *what)
{
    const gen_model *model = run->settings.model;
    gen_graph *g = model->encode ? gen_graph_new() : NULL;
    bool found = false;
    const char *name;
    if (!g) return false;
    gen_model_context m = gen_run_context(run, 1);
    model->encode(g, &m);
    for (int32_t i = 0; i < gen_graph_outputs(g); i++)
        if (gen_graph_output(g, i, &name)) found = found || !strcmp(name, what);
    gen_graph_free(g);
    return found;
}

bool gen_is_classifier(const gen_run *run)
{
    return encodes(run, "probability");
}

bool gen_has_posterior(const gen_run *run)
{
    return encodes(run, "logvar");
}

/* sums [3,D]: of mu, mu^2 and KL */
static void add_usage(const float *mu, const float *logvar, int64_t n, int64_t d, double *sums)
{
    for (int64_t i = 0; i < n * d; i++) {
        double m = (double)mu[i], l = (double)logvar[i];
        sums[i % d] += m;
        sums[d + i % d] += m * m;
        sums[2 * d + i % d] += 0.5 * (m * m + exp(l) - 1 - l);
    }
}

gen_status gen_code_usage(gen_run *run, const gen_dataset *data, gen_range range, double *variance, double *kl,
                          gen_error *err)
{
    enum { CHUNK = 4 * GEN_EVAL_BATCH };
    int64_t d = gen_latent_size(run), pixels = run->height * run->width * run->channels, index[CHUNK];
    float labels[CHUNK], *room = gen_alloc((size_t)(CHUNK * (pixels + 2 * d)), sizeof *room);
    double *sums = gen_alloc((size_t)(3 * d), sizeof *sums);
    gen_status status = room && sums ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for codes");
    for (int64_t k = 0; status == GEN_OK && k < 3 * d; k++) sums[k] = 0;
    for (int64_t i = 0; i < range.n && status == GEN_OK; i += CHUNK) {
        int64_t n = range.n - i < CHUNK ? range.n - i : CHUNK;
        float *mu = room + CHUNK * pixels, *logvar = mu + CHUNK * d;
        for (int64_t k = 0; k < n; k++) index[k] = range.first + i + k;
        gen_dataset_batch(data, index, (int32_t)n, room);
        status = gen_encode(run, room, gen_data_labels(data, index, n, labels), n, mu, logvar, err);
        if (status == GEN_OK) add_usage(mu, logvar, n, d, sums);
    }
    double n = (double)range.n;
    for (int64_t k = 0; status == GEN_OK && k < d; k++) {
        variance[k] = sums[d + k] / n - sums[k] / n * (sums[k] / n);
        kl[k] = sums[2 * d + k] / n;
    }
    gen_free(room);
    gen_free(sums);
    return status;
}

gen_status gen_classify(gen_run *run, const float *x, int64_t n, float *features, float *probability, gen_error *err)
{
    gen_program *p = NULL;
    int64_t pixels = run->height * run->width * run->channels, d = gen_latent_size(run), batch = batch_for(n);
    GEN_TRY(gen_run_program(run, run->settings.model->encode, "encode pictures", batch, &p, err));
    bool both = probability && gen_program_shape(p, "probability").rank == 2;
    gen_status status = GEN_OK;
    for (int64_t i = 0; i < n && status == GEN_OK; i += batch) {
        int64_t first = i + batch <= n ? i : n - batch; /* the last batch overlaps the one before */
        status = gen_program_feed(p, "x", x + first * pixels, batch * pixels, err);
        if (status == GEN_OK) status = gen_program_run(p, state_of(run), err);
        if (status == GEN_OK) status = gen_program_fetch(p, "mu", features + first * d, batch * d, err);
        if (status == GEN_OK && both)
            status = gen_program_fetch(p, "probability", probability + first * run->classes, batch * run->classes, err);
    }
    gen_program_free(p);
    return status;
}
