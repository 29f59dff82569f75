/* models/rolling.h: training steps that a device takes by itself: it holds the data set, draws its batches, counts steps and keeps the losses; the host reads
 * them now and then. The same batches, random numbers and updates as step by step.
 *
 *     if (gen_rolling_can(device)) gen_optim_guard(g, loss);                 // while the step's graph is built
 *     GEN_TRY(gen_rolling_new(train, batches, &rolling, err));               // NULL: step by step then
 *     int64_t n = gen_rolling_most(rolling, room);
 *     GEN_TRY(gen_rolling_run(rolling, state, n, &numbers, err));            // numbers[n][outputs]
 */
#ifndef GEN_MODELS_ROLLING_H
#define GEN_MODELS_ROLLING_H

#include "core/program.h"
#include "models/batches.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_rolling gen_rolling;

bool gen_rolling_can(const gen_device *device);

/* *out is NULL when the data do not fit on the device, or the program wants other inputs than pictures and labels: that is no failure. */
gen_status gen_rolling_new(gen_program *train, const gen_batches *batches, gen_rolling **out, gen_error *err);
void gen_rolling_free(gen_rolling *r); /* accepts NULL */

/* How many steps to take in one go, at most room: so many that the host hears something several times a second. */
int64_t gen_rolling_most(const gen_rolling *r, int64_t room);

/* Steps first.step … first.step + n - 1. numbers: the program's outputs of each step; valid until the next call. */
gen_status gen_rolling_run(gen_rolling *r, gen_run_state first, int64_t n, const float **numbers, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
