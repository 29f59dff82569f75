#include "models/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

enum { RHO = 7 }; /* Karras et al. 2022, section 3: spacing of sigma */

typedef gen_status (*step_fn)(gen_sampler *s, int64_t i, const gen_denoiser *f, gen_error *err);

struct gen_sampler {
    gen_sampler_options o;
    gen_noise noise;
    step_fn step;
    int64_t n, d, steps;
    double *sigma, *time;  /* [steps + 1]; the last sigma is 0 */
    double *x;             /* [n,d] */
    double *slope;         /* [n,d] of heun */
    float *in, *x0, *last; /* [n,d]; last: x0 of the step before */
    float *row;            /* [d] */
    bool has_last;
    uint64_t seed, first;
    uint32_t draws; /* of noise so far */
};

/* ---- amounts of noise --------------------------------------------------------------------------------------------------- */

static const char *spacing_of(const gen_sampler_options *o, int64_t times)
{
    return strcmp(o->spacing, "auto") ? o->spacing : times ? "trailing" : "karras";
}

gen_status gen_sampler_check(const gen_sampler_options *o, int64_t times, gen_error *err)
{
    bool karras = !strcmp(spacing_of(o, times), "karras");
    if (!times && !karras)
        return gen_fail(err, GEN_BAD_OPTION,
                        "--spacing %s needs a model with steps of noise; after --noise log-normal there is only karras",
                        o->spacing);
    if (!karras && o->steps > times)
        return gen_fail(err, GEN_BAD_OPTION,
                        "--sample-steps %lld: the model knows only %lld steps of noise (--times); ask for at most as "
                        "many, or for --spacing karras",
                        (long long)o->steps, (long long)times);
    if (karras && o->steps < 2)
        return gen_fail(err, GEN_BAD_OPTION, "--spacing karras needs at least 2 --sample-steps");
    return GEN_OK;
}

/* t of step i, from the most noise to the least: the names are those of Lin et al. 2023, table 2 */
static double spaced_time(const char *spacing, int64_t i, int64_t steps, int64_t times)
{
    double t = (double)times, n = (double)steps, from_end = (double)(steps - 1 - i);
    if (!strcmp(spacing, "leading")) return from_end * floor(t / n);
    if (!strcmp(spacing, "linspace")) return rint(n > 1 ? (t - 1) * from_end / (n - 1) : t - 1);
    return rint(t - (double)i * t / n) - 1;
}

/* Karras et al. 2022, equation 5. A schedule that ends in noise alone has no use for sigma far above the 80 of that paper. */
static double karras_sigma(const gen_noise *noise, int64_t i, int64_t steps)
{
    double high = pow(noise->high < 80 ? noise->high : 80, 1.0 / RHO), low = pow(noise->low, 1.0 / RHO);
    return pow(high + (double)i / (double)(steps - 1) * (low - high), RHO);
}

static void plan(gen_sampler *s)
{
    const char *spacing = spacing_of(&s->o, s->noise.times);
    bool karras = !strcmp(spacing, "karras");
    for (int64_t i = 0; i < s->steps; i++) {
        s->sigma[i] = karras ? karras_sigma(&s->noise, i, s->steps) : 0;
        s->time[i] =
            karras ? gen_noise_time(&s->noise, s->sigma[i]) : spaced_time(spacing, i, s->steps, s->noise.times);
        if (!karras) s->sigma[i] = s->noise.sigma[(int64_t)s->time[i]];
    }
    s->sigma[s->steps] = s->time[s->steps] = 0;
}

/* ---- noise ------------------------------------------------------------------------------------------------------------------ */

/* The key is no node's: a training's noise has keys of layer names. */
static void draw_row(uint64_t seed, uint64_t picture, uint32_t draw, int64_t d, float *out)
{
    const uint32_t key = (uint32_t)gen_hash_name("sampler");
    for (int64_t j = 0; j < d; j += 4) {
        float four[4];
        gen_normal_from_block(gen_philox_block(seed, (uint32_t)(j / 4), (uint32_t)picture, draw, key), four);
        for (int64_t k = 0; k < 4 && j + k < d; k++) out[j + k] = four[k];
    }
}

void gen_sampler_noise(uint64_t seed, uint64_t first, int64_t n, int64_t d, uint32_t draw, float *out)
{
    for (int64_t i = 0; i < n; i++) draw_row(seed, first + (uint64_t)i, draw, d, out + i * d);
}

/* x += size eps, a new draw */
static void add_noise(gen_sampler *s, double size)
{
    s->draws++;
    if (size <= 0) return;
    for (int64_t i = 0; i < s->n; i++) {
        draw_row(s->seed, s->first + (uint64_t)i, s->draws, s->d, s->row);
        for (int64_t j = 0; j < s->d; j++) s->x[i * s->d + j] += size * (double)s->row[j];
    }
}

/* ---- what the pictures are taken for ------------------------------------------------------------------------------------------ */

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Saharia et al. 2022 (Imagen), section 2.3: the 0.995 quantile of |x0|, if above 1, becomes 1. */
static void threshold_row(gen_sampler *s, float *x0)
{
    double at = 0.995 * (double)(s->d - 1);
    int64_t low = (int64_t)at, high = low + 1 < s->d ? low + 1 : low;
    for (int64_t j = 0; j < s->d; j++) s->row[j] = fabsf(x0[j]);
    qsort(s->row, (size_t)s->d, sizeof *s->row, by_size);
    double limit = (double)s->row[low] + (at - (double)low) * (double)(s->row[high] - s->row[low]);
    if (limit < 1) limit = 1;
    for (int64_t j = 0; j < s->d; j++) x0[j] = (float)(fmin(fmax((double)x0[j], -limit), limit) / limit);
}

static void clip(gen_sampler *s)
{
    if (!strcmp(s->o.clip, "none")) return;
    if (!strcmp(s->o.clip, "dynamic")) {
        for (int64_t i = 0; i < s->n; i++) threshold_row(s, s->x0 + i * s->d);
        return;
    }
    for (int64_t i = 0; i < s->n * s->d; i++) s->x0[i] = fminf(fmaxf(s->x0[i], -1), 1);
}

/* s->x0 = D(x; sigma) */
static gen_status look(gen_sampler *s, double sigma, double time, const gen_denoiser *f, gen_error *err)
{
    for (int64_t i = 0; i < s->n * s->d; i++) s->in[i] = (float)s->x[i];
    GEN_TRY(f->run(f->context, s->in, sigma, time, s->x0, err));
    clip(s);
    return GEN_OK;
}

/* x = x0 + ratio (x - x0): keeps of the noise in x only that part */
static void shrink(gen_sampler *s, double ratio)
{
    for (int64_t i = 0; i < s->n * s->d; i++) {
        double x0 = (double)s->x0[i];
        s->x[i] = x0 + ratio * (s->x[i] - x0);
    }
}

/* ---- methods --------------------------------------------------------------------------------------------------------------------- */

/* Song et al. 2021, equations 12 and 16, with sigma for sqrt((1 - alpha^2) / alpha^2): the new noise has the variance
 * eta^2 sigma'^2 (1 - sigma'^2 / sigma^2), the old noise keeps the rest of sigma'^2. */
static gen_status ancestral(gen_sampler *s, int64_t i, double eta, const gen_denoiser *f, gen_error *err)
{
    double from = s->sigma[i], to = s->sigma[i + 1], ratio = to / from;
    double fresh = eta * to * sqrt(1 - ratio * ratio);
    GEN_TRY(look(s, from, s->time[i], f, err));
    shrink(s, sqrt(to * to - fresh * fresh) / from);
    add_noise(s, fresh);
    return GEN_OK;
}

static gen_status step_ddpm(gen_sampler *s, int64_t i, const gen_denoiser *f, gen_error *err)
{
    return ancestral(s, i, 1, f, err);
}

static gen_status step_ddim(gen_sampler *s, int64_t i, const gen_denoiser *f, gen_error *err)
{
    return ancestral(s, i, s->o.eta, f, err);
}

/* Karras et al. 2022, algorithm 2, lines 4 to 6: a little more noise. Returns its sigma. */
static double churned(gen_sampler *s, int64_t i, double *time)
{
    double sigma = s->sigma[i], gamma = fmin(s->o.churn / (double)s->steps, sqrt(2) - 1), more = sigma * (1 + gamma);
    *time = s->time[i];
    if (gamma <= 0) return sigma;
    add_noise(s, sqrt(more * more - sigma * sigma));
    *time = gen_noise_time(&s->noise, more);
    return more;
}

static gen_status step_euler(gen_sampler *s, int64_t i, const gen_denoiser *f, gen_error *err)
{
    double time, from = churned(s, i, &time);
    GEN_TRY(look(s, from, time, f, err));
    shrink(s, s->sigma[i + 1] / from);
    return GEN_OK;
}

/* x' = x + h slope, then again with the mean of the slopes at both ends; the last step, to no noise, has no second slope */
static gen_status step_heun(gen_sampler *s, int64_t i, const gen_denoiser *f, gen_error *err)
{
    double time, from = churned(s, i, &time), to = s->sigma[i + 1], h = to - from;
    int64_t count = s->n * s->d;
    GEN_TRY(look(s, from, time, f, err));
    for (int64_t k = 0; k < count; k++) {
        s->slope[k] = (s->x[k] - (double)s->x0[k]) / from;
        s->x[k] += h * s->slope[k];
    }
    if (to == 0) return GEN_OK;
    GEN_TRY(look(s, to, s->time[i + 1], f, err));
    for (int64_t k = 0; k < count; k++) s->x[k] += h * ((s->x[k] - (double)s->x0[k]) / to - s->slope[k]) / 2;
    return GEN_OK;
}

/* Lu et al. 2022, algorithm 2, with lambda = -ln sigma: D = (1 + 1/(2r)) x0 - 1/(2r) x0_last, x' = (sigma'/sigma) x + (1 - sigma'/sigma) D. The first
 * step and the last, to no noise, are of first order. */
static gen_status step_dpmpp_2m(gen_sampler *s, int64_t i, const gen_denoiser *f, gen_error *err)
{
    double from = s->sigma[i], to = s->sigma[i + 1], ratio = to / from, weight = 0;
    int64_t count = s->n * s->d;
    GEN_TRY(look(s, from, s->time[i], f, err));
    if (s->has_last && to > 0) weight = log(from / to) / log(s->sigma[i - 1] / from) / 2; /* 1 / (2 r) */
    for (int64_t k = 0; k < count; k++) {
        double now = (double)s->x0[k], before = s->has_last ? (double)s->last[k] : now;
        s->x[k] = ratio * s->x[k] + (1 - ratio) * (now + weight * (now - before));
    }
    memcpy(s->last, s->x0, (size_t)count * sizeof *s->last);
    s->has_last = true;
    return GEN_OK;
}

static step_fn step_of(const char *name)
{
    if (!strcmp(name, "ddpm")) return step_ddpm;
    if (!strcmp(name, "euler")) return step_euler;
    if (!strcmp(name, "heun")) return step_heun;
    if (!strcmp(name, "dpmpp-2m")) return step_dpmpp_2m;
    return step_ddim;
}

/* ---- the object ---------------------------------------------------------------------------------------------------------------------- */

gen_status gen_sampler_new(const gen_sampler_options *o, const gen_noise *noise, int64_t n, int64_t d,
                           gen_sampler **sampler, gen_error *err)
{
    GEN_TRY(gen_sampler_check(o, noise->times, err));
    gen_sampler *s = gen_alloc(1, sizeof *s);
    if (!s) return gen_fail(err, GEN_NO_MEMORY, "no memory for a sampler");
    size_t count = (size_t)(n * d), steps = (size_t)o->steps + 1;
    *s = (gen_sampler){ .o = *o, .noise = *noise, .step = step_of(o->sampler), .n = n, .d = d, .steps = o->steps };
    s->sigma = gen_alloc(steps, sizeof *s->sigma);
    s->time = gen_alloc(steps, sizeof *s->time);
    s->x = gen_alloc(count, sizeof *s->x);
    s->slope = gen_alloc(count, sizeof *s->slope);
    s->in = gen_alloc(count, sizeof *s->in);
    s->x0 = gen_alloc(count, sizeof *s->x0);
    s->last = gen_alloc(count, sizeof *s->last);
    s->row = gen_alloc((size_t)d, sizeof *s->row);
    if (!s->sigma || !s->time || !s->x || !s->slope || !s->in || !s->x0 || !s->last || !s->row) {
        gen_sampler_free(s);
        return gen_fail(err, GEN_NO_MEMORY, "no memory to make %lld pictures at once", (long long)n);
    }
    plan(s);
    *sampler = s;
    return GEN_OK;
}

void gen_sampler_free(gen_sampler *s)
{
    if (!s) return;
    gen_free(s->sigma);
    gen_free(s->time);
    gen_free(s->x);
    gen_free(s->slope);
    gen_free(s->in);
    gen_free(s->x0);
    gen_free(s->last);
    gen_free(s->row);
    gen_free(s);
}

int64_t gen_sampler_steps(const gen_sampler *s)
{
    return s->steps;
}

double gen_sampler_sigma(const gen_sampler *s, int64_t i)
{
    return s->sigma[i];
}

double gen_sampler_time(const gen_sampler *s, int64_t i)
{
    return s->time[i];
}

double *gen_sampler_state(gen_sampler *s)
{
    return s->x;
}

const float *gen_sampler_x0(gen_sampler *s)
{
    return s->x0;
}

/* ---- starts -------------------------------------------------------------------------------------------------------------------------------- */

static void restart(gen_sampler *s, uint64_t seed, uint64_t first)
{
    s->seed = seed;
    s->first = first;
    s->draws = 0;
    s->has_last = false;
}

/* The noise of step 0 with no picture in it. DDPM starts from x_T ~ N(0, 1), which is x = x_T / alpha = x_T sqrt(1 + sigma^2); EDM from sigma eps. */
void gen_sampler_start_from(gen_sampler *s, uint64_t seed, uint64_t first, const float *z)
{
    double sigma = s->sigma[0], size = s->noise.times ? sqrt(1 + sigma * sigma) : sigma;
    restart(s, seed, first);
    for (int64_t k = 0; k < s->n * s->d; k++) s->x[k] = size * (double)z[k];
}

void gen_sampler_start(gen_sampler *s, uint64_t seed, uint64_t first)
{
    gen_sampler_noise(seed, first, s->n, s->d, 0, s->in);
    gen_sampler_start_from(s, seed, first, s->in);
}

void gen_sampler_start_at(gen_sampler *s, uint64_t seed, uint64_t first, int64_t i, const float *y)
{
    restart(s, seed, first);
    gen_sampler_noise(seed, first, s->n, s->d, 0, s->in);
    for (int64_t k = 0; k < s->n * s->d; k++) s->x[k] = (double)y[k] + s->sigma[i] * (double)s->in[k];
}

/* ---- steps ---------------------------------------------------------------------------------------------------------------------------------- */

gen_status gen_sampler_step(gen_sampler *s, int64_t i, const gen_denoiser *f, gen_error *err)
{
    return s->step(s, i, f, err);
}

/* Without noise, where the last step ends, nothing says in which direction the noise lies; the network is asked at step i's amount instead. */
gen_status gen_sampler_step_back(gen_sampler *s, int64_t i, const gen_denoiser *f, gen_error *err)
{
    double from = s->sigma[i + 1], to = s->sigma[i];
    if (from == 0) {
        GEN_TRY(look(s, to, s->time[i], f, err));
        for (int64_t k = 0; k < s->n * s->d; k++) s->x[k] += s->x[k] - (double)s->x0[k];
        return GEN_OK;
    }
    GEN_TRY(look(s, from, s->time[i + 1], f, err));
    shrink(s, to / from);
    return GEN_OK;
}

void gen_sampler_renoise(gen_sampler *s, int64_t i)
{
    double from = s->sigma[i + 1], to = s->sigma[i];
    s->has_last = false;
    add_noise(s, sqrt(to * to - from * from));
}
