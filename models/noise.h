/* models/noise.h: how much noise a diffusion model is trained on.
 *
 * All is said with one number: sigma, the noise's standard deviation beside a picture of the size it has in the data: x = x0 + sigma eps (Karras et al.
 * 2022). Ho et al. 2020 keep the variance instead: x_t = alpha x0 + s eps with alpha^2 + s^2 = 1; then sigma = s / alpha and x_t = alpha x.
 *
 *     gen_noise noise = { .times = 1000, .sigma = table, .low = table[0], .high = table[999] };
 *     gen_noise_fill("cosine", 1000, table);
 */
#ifndef GEN_MODELS_NOISE_H
#define GEN_MODELS_NOISE_H

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_NOISE_TIMES = 10000 }; /* the most */
#define GEN_NOISE_KINDS "linear|cosine|sigmoid|log-normal"

/* What a sampler must know of a model. */
typedef struct gen_noise {
    int64_t times;       /* T: the model is told a time in [0, T - 1]; 0: it is told sigma */
    const double *sigma; /* [times], rising with time; NULL where times is 0 */
    double low, high;    /* sigma that the model knows */
} gen_noise;

/* sigma of each of `times` steps. kind: linear (Ho et al. 2020: beta from 1e-4 to 0.02 at 1000 steps), cosine (Nichol & Dhariwal 2021, s = 0.008),
 * sigmoid (Jabri et al. 2022, from -3 to 3, tau = 1). beta is at most 0.999, as there. */
void gen_noise_fill(const char *kind, int64_t times, double *sigma);

/* The time whose sigma this is, between two steps on the line of log sigma; 0 or T - 1 beyond the ends. */
double gen_noise_time(const gen_noise *noise, double sigma);

#ifdef __cplusplus
}
#endif
#endif
