/* models/generate.h: pictures from the run of a diffusion model: models/sampler.h with the run's network, in batches.
 *
 *     gen_generation how = { .n = 64, .seed = 1, .labels = labels };
 *     GEN_TRY(gen_generate(run, &how, pictures, err));                   // pictures[64,H,W,C] in [0,1]
 *
 * How (sampler, steps, guidance …) is what the run's options say. Picture first + i depends on (seed, first + i) and its own inputs alone. The averaged
 * weights are used when the training kept an average (--ema).
 */
#ifndef GEN_MODELS_GENERATE_H
#define GEN_MODELS_GENERATE_H

#include "models/run.h"
#include "models/sampler.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_generation {
    int64_t n;
    uint64_t seed, first;
    const float *z; /* [n,d]: the first noise; NULL: that of (seed, first + i). d = H W C */
    const float *
        labels; /* [n], the number of classes meaning none; NULL: first + i modulo the classes. Ignored where the model knows no labels */
    bool no_labels; /* all are "none" */
    const float *
        from; /* [n,H,W,C] in [0,1]: pictures to start from, with the noise of `strength` of the way (Meng et al. 2022, SDEdit); or NULL */
    double strength; /* in (0, 1]: 1 is all the noise */
    const float
        *known; /* [n,H,W,C] in [0,1]: pictures of which a part is kept (Lugmayr et al. 2022, RePaint); or NULL */
    const float *mask; /* [H,W], 1: to be painted, 0: kept */
    int64_t resample;  /* times that each step is gone over, so that both parts fit; 0: 1 */
    /* Called before the first step and after each, with what the pictures are taken for so far, in [0,1]; n_steps + 1 calls a batch. NULL: nobody. */
    void (*frame)(void *context, int64_t step, int64_t first, int64_t n, const float *pictures);
    void *context;
} gen_generation;

/* pictures[n,H,W,C] in [0,1]. GEN_UNSUPPORTED: the model makes no pictures from noise. GEN_BAD_OPTION: labels or strength out of range. */
gen_status gen_generate(gen_run *run, const gen_generation *how, float *pictures, gen_error *err);

/* x[n,H,W,C] in [0,1] -> z[n,d]: the noise that gen_generate makes them from with these labels (NULL: none), by sampler ddim with eta 0 (Song et al.
 * 2021, section 4.3); the more steps, the closer. */
gen_status gen_invert(gen_run *run, const float *x, const float *labels, int64_t n, float *z, gen_error *err);

/* Steps of noise to picture that the run's options say. */
gen_status gen_generation_steps(gen_run *run, int64_t *steps, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
