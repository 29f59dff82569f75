/* models/lbfgs.h: L-BFGS (Liu & Nocedal 1989) without line search, as style transfer uses it and as PyTorch's LBFGS does with its defaults.
 *
 *     gen_lbfgs *o; GEN_TRY(gen_lbfgs_new(n, 10, 1.0, &o, err));
 *     while (…) { loss and gradient at x;  if (!gen_lbfgs_step(o, gradient, x)) break; }
 *     gen_lbfgs_free(o);
 */
#ifndef GEN_MODELS_LBFGS_H
#define GEN_MODELS_LBFGS_H

#include <stdbool.h>

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_lbfgs gen_lbfgs;

/* n numbers, the last `history` pairs of steps remembered: 2 history + 3 vectors of n floats. lr: length of a step; the first has lr min(1, 1 / |g|_1). */
gen_status gen_lbfgs_new(int64_t n, int32_t history, double lr, gen_lbfgs **out, gen_error *err);
void gen_lbfgs_free(gen_lbfgs *o); /* accepts NULL */

/* Moves x[n], given the gradient there. False: the direction does not go down any more, x is left as it was. */
bool gen_lbfgs_step(gen_lbfgs *o, const float *gradient, float *x);

size_t gen_lbfgs_bytes(int64_t n, int32_t history);

#ifdef __cplusplus
}
#endif
#endif
