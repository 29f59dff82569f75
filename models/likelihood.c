#include "models/likelihood.h"

#include <math.h>
#include <string.h>

#include "models/data.h"
#include "models/evaluate.h"

enum {
    BLOCK = 128, /* images whose codes are found together */
    IMAGES = 16, /* of those, weighed together, */
    CHUNK = 50,  /* so many samples each at a time */
};

typedef struct block {
    gen_run *run;
    int64_t first, pixels, d;  /* of the range's images, the first; numbers of an image, and of a code */
    float *x, *mu, *logvar;    /* [BLOCK,pixels], [BLOCK,D] */
    float *moments, *gradient; /* Adam's two and the gradient of mu and logvar: [2][2][BLOCK D], [2][BLOCK D] */
    float label[BLOCK];
    const float *labels; /* NULL: the data has none */
} block;

/* ---- programs -------------------------------------------------------------------------------------------------------------------------------- */

static gen_status likelihood_program(gen_run *run, int64_t samples, gen_program **p, gen_error *err)
{
    gen_graph *g = gen_graph_new();
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    gen_model_context m = gen_run_context(run, IMAGES);
    run->settings.model->nll(g, &m, samples);
    return gen_program_new(g, run->device, run->params, (uint64_t)run->settings.train.seed, p, err);
}

/* Images i to i + n of the block, and their codes. */
static gen_status feed(const block *b, gen_program *p, int64_t i, int64_t n, gen_error *err)
{
    GEN_TRY(gen_program_feed(p, "x", b->x + i * b->pixels, n * b->pixels, err));
    GEN_TRY(gen_program_feed(p, "mu", b->mu + i * b->d, n * b->d, err));
    GEN_TRY(gen_program_feed(p, "logvar", b->logvar + i * b->d, n * b->d, err));
    return b->labels && gen_program_wants(p, "label") ? gen_program_feed(p, "label", b->label + i, n, err) : GEN_OK;
}

static gen_status run_at(const block *b, gen_program *p, int64_t i, int64_t step, gen_error *err)
{
    return gen_program_run(p,
                           (gen_run_state){ .seed = (uint64_t)b->run->settings.train.seed,
                                            .step = (uint64_t)step,
                                            .first_sample = (uint64_t)(b->first + i) },
                           err);
}

/* ---- codes ----------------------------------------------------------------------------------------------------------------------------------- */

/* The images of the range from b->first on, the last one again where it ends, and what the encoder says of them. */
static gen_status read_block(block *b, const gen_dataset *data, gen_range range, gen_error *err)
{
    int64_t index[BLOCK];
    for (int64_t i = 0; i < BLOCK; i++) index[i] = range.first + (b->first + i < range.n ? b->first + i : range.n - 1);
    gen_dataset_batch(data, index, BLOCK, b->x);
    b->labels = gen_data_labels(data, index, BLOCK, b->label);
    return gen_encode(b->run, b->x, b->labels, BLOCK, b->mu, b->logvar, err);
}

/* One step of Adam (Kingma & Ba 2015, algorithm 1) on n numbers. */
static void adam(float *x, const float *gradient, float *m, float *v, int64_t n, int64_t step, double rate)
{
    const double b1 = 0.9, b2 = 0.999, c1 = 1 - pow(b1, (double)step), c2 = 1 - pow(b2, (double)step);
    for (int64_t i = 0; i < n; i++) {
        double g = (double)gradient[i], mean = b1 * (double)m[i] + (1 - b1) * g,
               square = b2 * (double)v[i] + (1 - b2) * g * g;
        m[i] = (float)mean, v[i] = (float)square;
        x[i] = (float)((double)x[i] - rate * mean / c1 / (sqrt(square / c2) + 1e-8));
    }
}

/* Brings mu and logvar to where the bound of each picture is largest; the rate falls to 0 along a line. */
static gen_status fit_codes(block *b, gen_program *p, int64_t steps, gen_error *err)
{
    const double first_rate = 0.03;
    int64_t n = BLOCK * b->d;
    memset(b->moments, 0, (size_t)(4 * n) * sizeof *b->moments);
    for (int64_t step = 1; step <= steps; step++) {
        double rate = first_rate * (double)(steps - step + 1) / (double)steps;
        GEN_TRY(feed(b, p, 0, BLOCK, err));
        GEN_TRY(run_at(b, p, 0, step, err));
        GEN_TRY(gen_program_fetch(p, "dmu", b->gradient, n, err));
        GEN_TRY(gen_program_fetch(p, "dlogvar", b->gradient + n, n, err));
        adam(b->mu, b->gradient, b->moments, b->moments + n, n, step, rate);
        adam(b->logvar, b->gradient + n, b->moments + 2 * n, b->moments + 3 * n, n, step, rate);
    }
    return GEN_OK;
}

/* ---- weights --------------------------------------------------------------------------------------------------------------------------------- */

/* log(e^a + e^b) */
static double log_add(double a, double b)
{
    double high = a > b ? a : b, low = a > b ? b : a;
    return isinf(high) ? high : high + log1p(exp(low - high));
}

/* Adds -log 1/K sum w of the block's images from i on that the range has, K = rounds chunk. */
static gen_status weigh(const block *b, gen_program *p, int64_t i, int64_t n, int64_t rounds, int64_t chunk,
                        double *total, gen_error *err)
{
    float weights[IMAGES * CHUNK];
    double log_sum[IMAGES];
    for (int k = 0; k < IMAGES; k++) log_sum[k] = (double)-INFINITY;
    GEN_TRY(feed(b, p, i, IMAGES, err));
    for (int64_t round = 0; round < rounds; round++) {
        GEN_TRY(run_at(b, p, i, round, err));
        GEN_TRY(gen_program_fetch(p, "log_weight", weights, IMAGES * chunk, err));
        for (int64_t k = 0; k < IMAGES * chunk; k++)
            log_sum[k / chunk] = log_add(log_sum[k / chunk], (double)weights[k]);
    }
    for (int64_t k = 0; k < n; k++) *total += log((double)(rounds * chunk)) - log_sum[k];
    return GEN_OK;
}

static gen_status make_block(gen_run *run, block *b, gen_error *err)
{
    *b = (block){ .run = run, .pixels = run->height * run->width * run->channels, .d = gen_latent_size(run) };
    b->x = gen_alloc((size_t)(BLOCK * (b->pixels + 8 * b->d)), sizeof *b->x);
    if (!b->x) return gen_fail(err, GEN_NO_MEMORY, "no memory for %d pictures", BLOCK);
    b->mu = b->x + BLOCK * b->pixels, b->logvar = b->mu + BLOCK * b->d;
    b->gradient = b->logvar + BLOCK * b->d, b->moments = b->gradient + 2 * BLOCK * b->d;
    return GEN_OK;
}

gen_status gen_nll(gen_run *run, const gen_dataset *data, gen_range range, const gen_likelihood *how, double *nats,
                   gen_error *err)
{
    int64_t chunk = how->samples < CHUNK ? how->samples : CHUNK, rounds = (how->samples + chunk - 1) / chunk;
    const gen_model *model = run->settings.model;
    gen_program *p = NULL, *fit = NULL;
    block b;
    double total = 0;
    if (!model->nll) return gen_fail(err, GEN_UNSUPPORTED, "%s has no likelihood to estimate", model->name);
    GEN_TRY(make_block(run, &b, err));
    gen_status status = likelihood_program(run, chunk, &p, err);
    if (status == GEN_OK && how->steps)
        status = gen_run_program(run, model->posterior, "fit codes to pictures", BLOCK, &fit, err);
    for (; b.first < range.n && status == GEN_OK; b.first += BLOCK) {
        status = read_block(&b, data, range, err);
        if (status == GEN_OK && how->steps) status = fit_codes(&b, fit, how->steps, err);
        for (int64_t i = 0; i < BLOCK && b.first + i < range.n && status == GEN_OK; i += IMAGES) {
            int64_t left = range.n - b.first - i;
            status = weigh(&b, p, i, left < IMAGES ? left : IMAGES, rounds, chunk, &total, err);
        }
    }
    if (status == GEN_OK) *nats = total / (double)range.n;
    gen_program_free(p);
    gen_program_free(fit);
    gen_free(b.x);
    return status;
}
