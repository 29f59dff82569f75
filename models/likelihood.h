/* models/likelihood.h: log p(x) of models with codes, by importance sampling (Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519).
 *
 *     double nats;
 *     GEN_TRY(gen_nll(run, data, data->splits[GEN_SPLIT_TEST], &(gen_likelihood){ .samples = 200 }, &nats, err));
 *
 *   -log p(x) <= - E log 1/K sum_k p(x, z_k) / q(z_k),   z_1..z_K ~ q = N(mu, diag exp(logvar))
 *
 * The likelihood is that of decoder and prior; q only proposes codes, and the better it does the closer K samples come. An encoder's q is one network's
 * guess for all pictures; from there `steps` steps of Adam can bring mu and logvar of each picture to its own largest bound, as semi-amortised
 * inference does (Kim et al. 2018, arXiv:1802.02550; what the guess costs: Cremer, Li & Duvenaud 2018, arXiv:1801.03558). Weights stay as they are.
 */
#ifndef GEN_MODELS_LIKELIHOOD_H
#define GEN_MODELS_LIKELIHOOD_H

#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_likelihood {
    int64_t samples; /* K, at least 1; rounded up to a multiple of 50 when larger */
    int64_t steps;   /* that fit q to each picture; 0: the encoder's */
} gen_likelihood;

/* The mean of -log p(x) over the range, in nats an image. Parameters of encode and decode are loaded before. GEN_UNSUPPORTED: the model has no likelihood. */
gen_status gen_nll(gen_run *run, const gen_dataset *data, gen_range range, const gen_likelihood *how, double *nats,
                   gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
