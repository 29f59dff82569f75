/* core/session.h: a plan bound to a device and to stored parameters. Running allocates nothing.
 *
 *     gen_session *s;
 *     GEN_TRY(gen_session_new(plan, device, params, &s, err));
 *     GEN_TRY(gen_session_feed(s, "x", batch, 64 * 784, err));
 *     GEN_TRY(gen_session_run(s, (gen_run_state){ .seed = 1, .step = 7 }, err));
 *     GEN_TRY(gen_session_fetch(s, 0, &loss, 1, err));
 *     gen_session_free(s);
 */
#ifndef GEN_CORE_SESSION_H
#define GEN_CORE_SESSION_H

#include "core/params.h"
#include "core/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_session gen_session;

/* plan, device and params outlive the session; params must have all parameters of the plan. The device's compile says which op it lacks. */
gen_status gen_session_new(const gen_plan *plan, gen_device *device, gen_params *params, gen_session **session,
                           gen_error *err);
void gen_session_free(gen_session *session);

/* Copies count numbers into the input of that name; an input that the plan does not need is ignored. Stays until fed again. */
gen_status gen_session_feed(gen_session *session, const char *input, const float *data, int64_t count, gen_error *err);
gen_status gen_session_run(gen_session *session, gen_run_state state, gen_error *err);
/* Copies output i of the plan's request to host floats; count is its number of elements. */
gen_status gen_session_fetch(gen_session *session, int32_t i, float *data, int64_t count, gen_error *err);

/* Many runs on end, where the device can: it takes rows over, feeds the inputs "x" and "label" from them, and keeps outputs of one number each. rows are not
 * needed afterwards. most: runs at a time. GEN_UNSUPPORTED, GEN_NO_MEMORY: runs go on one by one, as before. */
gen_status gen_session_loop(gen_session *session, const gen_rows *rows, int32_t most, gen_error *err);
/* Steps first.step … first.step + n - 1; numbers [n][outputs of the plan's request]. */
gen_status gen_session_run_loop(gen_session *session, gen_run_state first, int32_t n, float *numbers, gen_error *err);

/* Runs the plan once, step by step, and looks at every result: GEN_NOT_FINITE with the op and layer of the first one that is not finite, GEN_OK when
 * all are. Slow; for use after a loss that is not finite. Assignments happen as in a run. */
gen_status gen_session_find_not_finite(gen_session *session, gen_run_state state, gen_error *err);

/* Seconds spent in each step since profiling was switched on (n_steps numbers); on = false stops. */
void gen_session_profile(gen_session *session, bool on, double *seconds);

size_t gen_session_bytes(const gen_session *session); /* slab and constants on the device */
/* Bytes on the device that a session of this plan would take, kernels' scratch memory included, without taking them. Parameters come on top. */
gen_status gen_session_measure(const gen_plan *plan, gen_device *device, size_t *bytes, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
