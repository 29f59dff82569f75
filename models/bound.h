/* models/bound.h: how many bits a diffusion model needs for a picture: the variational bound of Ho et al. 2020, equation 5.
 *
 *     double bits;
 *     GEN_TRY(gen_bits_per_dim(run, data, data->splits[GEN_SPLIT_TEST], 20, &bits, err));
 *
 *   L = L_T + sum_i L_i + L_0, for noise sigma_0 < … < sigma_{T-1} and D what the network takes x_i = y + sigma_i eps for:
 *   L_i = 1/2 (1 / sigma_{i-1}^2 - 1 / sigma_i^2) |y - D(x_i)|^2            KL(q(x_{i-1} | x_i, y) || p(x_{i-1} | x_i)), both with q's variance
 *   L_0 = - log of the mass that N(D(x_0), sigma_0^2) has in each pixel's 1/255 of the grey levels (section 3.3)
 *   L_T = KL(q(x_{T-1} | y) || N(0, 1 + sigma_{T-1}^2))
 * A model without steps (--noise log-normal) gets 1000, spaced as its sampler's.
 */
#ifndef GEN_MODELS_BOUND_H
#define GEN_MODELS_BOUND_H

#include "io/dataset.h"
#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Mean over the range, in bits a number of a picture (pixel and channel) of 8 bits. The sum over i is estimated from `samples` of the steps an image, one
 * at random of each of as many equal parts; with T - 1 it is all of them. A model that is told labels is told them. */
gen_status gen_bits_per_dim(gen_run *run, const gen_dataset *data, gen_range range, int64_t samples, double *bits,
                            gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
