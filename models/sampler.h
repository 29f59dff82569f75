/* models/sampler.h: pictures from noise, by steps of a differential equation. It knows no network: a gen_denoiser says what a noisy picture was.
 *
 *     gen_sampler *s;
 *     GEN_TRY(gen_sampler_new(&options, &noise, n, d, &s, err));
 *     gen_sampler_start(s, seed, first);
 *     for (int64_t i = 0; i < gen_sampler_steps(s); i++) GEN_TRY(gen_sampler_step(s, i, &denoiser, err));
 *     gen_sampler_state(s)                          // [n,d], pictures in about [-1,1]
 *     gen_sampler_free(s);
 *
 * The state is x = x0 + sigma eps for every model (models/noise.h); DDPM's x_t is alpha x. There the methods of all papers are one family:
 *   ddpm      Ho et al. 2020: x' ~ q(x' | x, x0)                          (ddim with eta = 1)
 *   ddim      Song et al. 2021: eta = 0 is a function of the first noise
 *   euler     Karras et al. 2022, algorithm 2 without its second half; without churn the same as ddim
 *   heun      Karras et al. 2022, algorithm 2: two calls of the network a step
 *   dpmpp-2m  Lu et al. 2022, DPM-Solver++ of second order in several steps, data prediction
 * Noise is a function of (seed, number of the picture, draw, element), so a picture is the same in any batch and for any number of threads.
 */
#ifndef GEN_MODELS_SAMPLER_H
#define GEN_MODELS_SAMPLER_H

#include "core/option.h"
#include "models/noise.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_sampler_options {
    const char *sampler, *spacing, *clip;
    int64_t steps;
    double guidance, eta, churn;
} gen_sampler_options;

/* Rows of a model's option table; MEMBER of STRUCT is its gen_sampler_options. They change no training, so they may change in a run. */
// clang-format off
#define GEN_SAMPLER_OPTION_ROWS(STRUCT, MEMBER) \
    { "sampler",      OPT_CHOICE, offsetof(STRUCT, MEMBER.sampler),  "ddim",  0, 0, "ddpm|ddim|euler|heun|dpmpp-2m", NULL, "how pictures are made", OPT_NOT_MATH }, \
    { "sample-steps", OPT_INT,    offsetof(STRUCT, MEMBER.steps),    "50",    1, GEN_NOISE_TIMES, NULL, "steps", "from noise to picture", OPT_NOT_MATH }, \
    { "spacing",      OPT_CHOICE, offsetof(STRUCT, MEMBER.spacing),  "auto",  0, 0, "auto|leading|linspace|trailing|karras", NULL, "which amounts of noise the steps have; auto: trailing, or karras after --noise log-normal", OPT_NOT_MATH }, \
    { "guidance",     OPT_FLOAT,  offsetof(STRUCT, MEMBER.guidance), "1",     0, 100, NULL, NULL, "how much labels count: 0 not at all, 1 as trained, more: clearer and less varied", OPT_NOT_MATH }, \
    { "eta",          OPT_FLOAT,  offsetof(STRUCT, MEMBER.eta),      "0",     0, 1, NULL, NULL, "new noise of sampler ddim; 1 is ddpm", OPT_NOT_MATH }, \
    { "churn",        OPT_FLOAT,  offsetof(STRUCT, MEMBER.churn),    "0",     0, 1e4, NULL, NULL, "new noise of samplers euler and heun in all steps together (S_churn)", OPT_NOT_MATH }, \
    { "clip",         OPT_CHOICE, offsetof(STRUCT, MEMBER.clip),     "range", 0, 0, "none|range|dynamic", NULL, "what the network sees is kept in [-1,1]; dynamic: by Imagen's threshold", OPT_NOT_MATH },
// clang-format on

/* times: of the model's noise, 0: it has no steps. GEN_BAD_OPTION when the numbers do not fit each other. */
gen_status gen_sampler_check(const gen_sampler_options *o, int64_t times, gen_error *err);

/* Says what n noisy pictures were: x[n,d] with noise sigma, at the model's time (models/noise.h) -> x0[n,d]. */
typedef struct gen_denoiser {
    void *context;
    gen_status (*run)(void *context, const float *x, double sigma, double time, float *x0, gen_error *err);
} gen_denoiser;

typedef struct gen_sampler gen_sampler;

/* For n pictures of d numbers. noise->sigma outlives it. */
gen_status gen_sampler_new(const gen_sampler_options *o, const gen_noise *noise, int64_t n, int64_t d,
                           gen_sampler **sampler, gen_error *err);
void gen_sampler_free(gen_sampler *s); /* accepts NULL */

int64_t gen_sampler_steps(const gen_sampler *s);
double gen_sampler_sigma(const gen_sampler *s, int64_t i); /* before step i; 0 after the last */
double gen_sampler_time(const gen_sampler *s, int64_t i);

/* The state becomes that of step 0: noise of the pictures first, first + 1, … */
void gen_sampler_start(gen_sampler *s, uint64_t seed, uint64_t first);
/* The same from given noise z[n,d] ~ N(0, 1); and from pictures y[n,d] in [-1,1] that are given the noise of step i. seed and first are of later noise. */
void gen_sampler_start_from(gen_sampler *s, uint64_t seed, uint64_t first, const float *z);
void gen_sampler_start_at(gen_sampler *s, uint64_t seed, uint64_t first, int64_t i, const float *y);

/* From the noise of step i to that of step i + 1. */
gen_status gen_sampler_step(gen_sampler *s, int64_t i, const gen_denoiser *f, gen_error *err);
/* Back, from step i + 1's noise to step i's, without new noise (Song et al. 2021, section 4.3): what noise leads here? */
gen_status gen_sampler_step_back(gen_sampler *s, int64_t i, const gen_denoiser *f, gen_error *err);
/* Adds noise: from that of step i + 1 back to that of step i (Lugmayr et al. 2022, RePaint, algorithm 1, line 9). */
void gen_sampler_renoise(gen_sampler *s, int64_t i);

double *gen_sampler_state(gen_sampler *s);   /* [n,d] */
const float *gen_sampler_x0(gen_sampler *s); /* [n,d]: what the last step took the pictures for */

/* Draw `draw` of picture first + k, k < n: out[n,d] ~ N(0, 1). Draw 0 is the first noise. */
void gen_sampler_noise(uint64_t seed, uint64_t first, int64_t n, int64_t d, uint32_t draw, float *out);

#ifdef __cplusplus
}
#endif
#endif
