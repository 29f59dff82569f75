/* models/mixture.h: a mixture of normal distributions with full covariances, fitted to codes after training: where a decoder has seen codes, which its prior
 * only hopes for (Ghosh et al. 2020, arXiv:1903.12436, "ex-post density estimation").
 *
 *     gen_mixture mixture;
 *     GEN_TRY(gen_mixture_of_codes(run, &data, data.splits[GEN_SPLIT_TRAIN], 10, seed, arena, &mixture, err));
 *     gen_mixture_draw(&mixture, seed, 0, 64, z);                  // z[64,D]
 */
#ifndef GEN_MODELS_MIXTURE_H
#define GEN_MODELS_MIXTURE_H

#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_MIXTURE_CODES = 20000 }; /* of at most so many pictures a mixture is fitted */

typedef struct gen_mixture {
    int64_t k, d;
    double *weight, *mean, *factor; /* [k], [k,d], [k,d,d]: lower Cholesky factors of the covariances; in the arena */
    double log_likelihood;          /* nats a code, of those it was fitted to */
} gen_mixture;

/* EM on x[n,d] from a k-means++ start, the same for the same seed. GEN_BAD_OPTION unless n > k. Memory n k. */
gen_status gen_mixture_fit(const float *x, int64_t n, int64_t d, int64_t k, uint64_t seed, gen_arena *arena,
                           gen_mixture *mixture, gen_error *err);
/* The same on codes of the first pictures of a range, whose weights are loaded: the encoder's answers, or draws from them where it gives a distribution. */
gen_status gen_mixture_of_codes(gen_run *run, const gen_dataset *data, gen_range range, int64_t k, uint64_t seed,
                                gen_arena *arena, gen_mixture *mixture, gen_error *err);

/* n codes of d numbers; code i depends on (seed, first + i) alone. */
void gen_mixture_draw(const gen_mixture *mixture, uint64_t seed, uint64_t first, int64_t n, float *z);

#ifdef __cplusplus
}
#endif
#endif
