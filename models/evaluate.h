/* models/evaluate.h: what the verbs compute with a run: means over a data set, pictures from codes, codes from pictures.
 *
 *     gen_eval_result r;
 *     GEN_TRY(gen_evaluate(run, eval_program, data, data->splits[GEN_SPLIT_TEST], &r, err));
 *     printf("%s %g\n", r.name[0], r.mean[0]);
 */
#ifndef GEN_MODELS_EVALUATE_H
#define GEN_MODELS_EVALUATE_H

#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_EVAL_BATCH = 128, GEN_EVAL_MAX = 16 };

bool gen_program_wants(const gen_program *program, const char *input); /* has the graph an input of that name? */

/* Means of the eval graph's outputs of one number an image, in its order. */
typedef struct gen_eval_result {
    int32_t n;
    const char *name[GEN_EVAL_MAX]; /* live with the program */
    double mean[GEN_EVAL_MAX];
    int64_t count; /* images */
} gen_eval_result;

/* program: of model->eval with batch GEN_EVAL_BATCH. Every image of the range counts once. */
gen_status gen_evaluate(gen_run *run, gen_program *program, const gen_dataset *data, gen_range range,
                        gen_eval_result *result, gen_error *err);
double gen_eval_mean(const gen_eval_result *r, const char *name); /* NaN when there is none */

/* n standard normal codes of d numbers; code i depends on (seed, first + i) alone. */
void gen_latent_draw(uint64_t seed, uint64_t first, int64_t n, int64_t d, float *z);
int64_t gen_latent_size(const gen_run *run);

/* Can its pictures have labels? Then those below take labels[n] of 0 to classes - 1; else they may be NULL, and are not looked at. NULL is no label to a
 * diffusion model, others refuse it. */
bool gen_is_conditional(const gen_run *run);
/* New pictures first, first + 1, … of the seed: pixels[n,H,W,C] in [0,1]; without labels a diffusion model makes them of all in turn */
gen_status gen_sample(gen_run *run, uint64_t seed, uint64_t first, const float *labels, int64_t n, float *pixels,
                      gen_error *err);
/* z[n,D] -> pixels[n,H,W,C] in [0,1]. A diffusion model's code is its first noise. */
gen_status gen_decode(gen_run *run, const float *z, const float *labels, int64_t n, float *pixels, gen_error *err);
/* The same as pictures to look at, where the model's are none ("view" of decode): [n,h,w,c] in the arena, h, w, c in size. */
gen_status gen_decode_view(gen_run *run, const float *z, const float *labels, int64_t n, gen_arena *arena,
                           float **pictures, int64_t size[3], gen_error *err);
/* x[n,H,W,C] -> mu[n,D] and, if logvar is not NULL and the model has it, logvar[n,D] */
gen_status gen_encode(gen_run *run, const float *x, const float *labels, int64_t n, float *mu, float *logvar,
                      gen_error *err);

/* x[n,H,W,C] -> what a classifier takes for its features[n,D] and the probabilities of its classes[n,classes] (NULL where it is none, or not wanted) */
gen_status gen_classify(gen_run *run, const float *x, int64_t n, float *features, float *probability, gen_error *err);
bool gen_is_classifier(const gen_run *run);

/* Does encode give a distribution of codes, mu and logvar? Then, over the range: the variance of each mu_d, and the mean KL of each dimension in nats,
 * both [D]. Parameters of encode are loaded before. */
bool gen_has_posterior(const gen_run *run);
gen_status gen_code_usage(gen_run *run, const gen_dataset *data, gen_range range, double *variance, double *kl,
                          gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
