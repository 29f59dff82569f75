#include "models/bound.h"

#include <inttypes.h>
#include <math.h>

#include "core/rng.h"
#include "models/data.h"
#include "models/evaluate.h"

enum { BATCH = 64, STEPS_WITHOUT = 1000, RHO = 7 };

typedef struct bound {
    gen_run *run;
    const gen_dataset *data;
    gen_arena *arena;
    gen_program *program;
    gen_noise noise;
    int64_t steps, d;
    double *sigma, *time;            /* [steps] */
    float *x, *y, *eps, *noisy, *x0; /* [BATCH,d]; x in [0,1], y in [-1,1] */
    float labels[BATCH], sigmas[BATCH], times[BATCH];
    int64_t at[BATCH]; /* step of each picture */
} bound;

/* ---- making ready ------------------------------------------------------------------------------------------------------- */

static gen_status find_steps(bound *b, gen_error *err)
{
    gen_sampler_options how;
    const gen_model *model = b->run->settings.model;
    gen_model_context m = gen_run_context(b->run, 1);
    if (!model->denoise || !model->sampling)
        return gen_fail(err, GEN_UNSUPPORTED, "%s is no diffusion model: it has no bound of this kind", model->name);
    GEN_TRY(model->sampling(&m, b->arena, &b->noise, &how, err));
    b->steps = b->noise.times ? b->noise.times : STEPS_WITHOUT;
    b->sigma = gen_arena_alloc(b->arena, (size_t)b->steps * sizeof *b->sigma);
    b->time = gen_arena_alloc(b->arena, (size_t)b->steps * sizeof *b->time);
    if (!b->sigma || !b->time) return gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " steps", b->steps);
    double low = pow(b->noise.low, 1.0 / RHO), high = pow(b->noise.high, 1.0 / RHO);
    for (int64_t i = 0; i < b->steps; i++) {
        b->sigma[i] =
            b->noise.times ? b->noise.sigma[i] : pow(low + (high - low) * (double)i / (double)(b->steps - 1), RHO);
        b->time[i] = (double)i;
    }
    return GEN_OK;
}

static gen_status open_bound(bound *b, gen_error *err)
{
    float **rows[] = { &b->x, &b->y, &b->eps, &b->noisy, &b->x0 };
    b->arena = gen_arena_new();
    if (!b->arena) return gen_fail(err, GEN_NO_MEMORY, "no memory for a bound");
    GEN_TRY(find_steps(b, err));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        *rows[i] = gen_arena_alloc(b->arena, (size_t)(BATCH * b->d) * sizeof(float));
        if (!*rows[i]) return gen_fail(err, GEN_NO_MEMORY, "no memory for a batch");
    }
    return gen_run_program(b->run, b->run->settings.model->denoise, "be asked for bits", BATCH, &b->program, err);
}

/* Pictures first.. of the range; the last batch is filled up with the last one. */
static gen_status read_batch(bound *b, gen_range range, int64_t first, gen_error *err)
{
    int64_t index[BATCH];
    for (int64_t k = 0; k < BATCH; k++) index[k] = range.first + (first + k < range.n ? first + k : range.n - 1);
    gen_dataset_batch(b->data, index, BATCH, b->x);
    for (int64_t k = 0; k < BATCH * b->d; k++) b->y[k] = 2 * b->x[k] - 1;
    if (!gen_program_wants(b->program, "label")) return GEN_OK;
    if (!gen_data_labels(b->data, index, BATCH, b->labels))
        return gen_fail(err, GEN_BAD_OPTION, "%s has no labels, which the run was trained with", b->data->name);
    return gen_program_feed(b->program, "label", b->labels, BATCH, err);
}

/* ---- the terms ------------------------------------------------------------------------------------------------------------ */

/* x0 = D(y + sigma eps) at each picture's own step b->at */
static gen_status look(bound *b, int64_t first, uint32_t draw, gen_error *err)
{
    gen_sampler_noise((uint64_t)b->run->settings.train.seed, (uint64_t)first, BATCH, b->d, draw, b->eps);
    for (int64_t k = 0; k < BATCH; k++) {
        b->sigmas[k] = (float)b->sigma[b->at[k]];
        b->times[k] = (float)b->time[b->at[k]];
    }
    for (int64_t k = 0; k < BATCH * b->d; k++) b->noisy[k] = b->y[k] + b->sigmas[k / b->d] * b->eps[k];
    GEN_TRY(gen_program_feed(b->program, "x", b->noisy, BATCH * b->d, err));
    GEN_TRY(gen_program_feed(b->program, "sigma", b->sigmas, BATCH, err));
    if (b->noise.times) GEN_TRY(gen_program_feed(b->program, "time", b->times, BATCH, err));
    GEN_TRY(gen_program_run(b->program, (gen_run_state){ .seed = 0 }, err));
    GEN_TRY(gen_program_fetch(b->program, "x0", b->x0, BATCH * b->d, err));
    for (int64_t k = 0; k < BATCH * b->d; k++) b->x0[k] = fminf(fmaxf(b->x0[k], -1), 1);
    return GEN_OK;
}

static double squared_error(const bound *b, int64_t k)
{
    double sum = 0;
    for (int64_t j = k * b->d; j < (k + 1) * b->d; j++) {
        double e = (double)b->y[j] - (double)b->x0[j];
        sum += e * e;
    }
    return sum;
}

/* - log of the mass of N(mean, sigma^2) between low and high: the tail that is smaller is subtracted, so that none is lost */
static double minus_log_mass(double mean, double sigma, double low, double high)
{
    double a = (low - mean) / (sigma * sqrt(2)), b = (high - mean) / (sigma * sqrt(2));
    double mass = a > 0 ? (erfc(a) - erfc(b)) / 2 : (erfc(-b) - erfc(-a)) / 2;
    return -log(mass > 1e-12 ? mass : 1e-12); /* as Ho et al. 2020's program */
}

/* L_0; the first and the last grey level have all that lies beyond */
static double decoder(const bound *b, int64_t k)
{
    double sum = 0;
    for (int64_t j = k * b->d; j < (k + 1) * b->d; j++) {
        double y = (double)b->y[j], low = y < -0.999 ? (double)-INFINITY : y - 1.0 / 255,
               high = y > 0.999 ? (double)INFINITY : y + 1.0 / 255;
        sum += minus_log_mass((double)b->x0[j], b->sigma[0], low, high);
    }
    return sum;
}

/* L_T: the variances are sigma^2 and 1 + sigma^2 */
static double prior(const bound *b, int64_t k)
{
    double sigma2 = b->sigma[b->steps - 1] * b->sigma[b->steps - 1], sum = 0;
    for (int64_t j = k * b->d; j < (k + 1) * b->d; j++) {
        double y = (double)b->y[j];
        sum += (y * y + sigma2) / (1 + sigma2) - 1 + log1p(1 / sigma2);
    }
    return sum / 2;
}

/* One step of the s-th of `samples` equal parts of 1 .. T-1, at random. */
static void choose_steps(bound *b, int64_t first, int64_t s, int64_t samples)
{
    for (int64_t k = 0; k < BATCH; k++) {
        uint32_t word =
            gen_random_word((uint64_t)b->run->settings.train.seed, 0x62697473u, (uint64_t)((first + k) * samples + s));
        double u = (double)gen_uniform_from_word(word), part = (double)(b->steps - 1) / (double)samples;
        int64_t i = 1 + (int64_t)(part * ((double)s + u));
        b->at[k] = i < b->steps ? i : b->steps - 1;
    }
}

/* Adds L of the batch's first `real` pictures, in nats. */
static gen_status add_batch(bound *b, int64_t first, int64_t real, int64_t samples, double *nats, gen_error *err)
{
    for (int64_t k = 0; k < BATCH; k++) b->at[k] = 0;
    GEN_TRY(look(b, first, 0, err));
    for (int64_t k = 0; k < real; k++) *nats += decoder(b, k) + prior(b, k);
    for (int64_t s = 0; s < samples; s++) {
        choose_steps(b, first, s, samples);
        GEN_TRY(look(b, first, (uint32_t)(1 + s), err));
        for (int64_t k = 0; k < real; k++) {
            double before = b->sigma[b->at[k] - 1], now = b->sigma[b->at[k]];
            double weight = (1 / (before * before) - 1 / (now * now)) / 2;
            *nats += (double)(b->steps - 1) / (double)samples * weight * squared_error(b, k);
        }
    }
    return GEN_OK;
}

gen_status gen_bits_per_dim(gen_run *run, const gen_dataset *data, gen_range range, int64_t samples, double *bits,
                            gen_error *err)
{
    bound b = { .run = run, .data = data, .d = run->height * run->width * run->channels };
    double nats = 0;
    gen_status status = open_bound(&b, err);
    if (status == GEN_OK && samples > b.steps - 1) samples = b.steps - 1;
    for (int64_t i = 0; i < range.n && status == GEN_OK; i += BATCH) {
        status = read_batch(&b, range, i, err);
        if (status == GEN_OK) status = add_batch(&b, i, range.n - i < BATCH ? range.n - i : BATCH, samples, &nats, err);
    }
    if (status == GEN_OK) *bits = nats / ((double)(range.n * b.d) * log(2));
    gen_program_free(b.program);
    gen_arena_free(b.arena);
    return status;
}
