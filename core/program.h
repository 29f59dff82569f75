/* core/program.h: a graph made ready to run: checked, its parameters stored, planned with all its outputs and assignments, bound to a device.
 *
 *     gen_program *p;
 *     GEN_TRY(gen_program_new(g, device, params, seed, &p, err));       // takes g, also on failure
 *     GEN_TRY(gen_program_feed(p, "x", batch, n, err));
 *     GEN_TRY(gen_program_run(p, (gen_run_state){ .seed = seed, .step = step }, err));
 *     double loss; GEN_TRY(gen_program_fetch_scalar(p, "loss", &loss, err));
 *     gen_program_free(p);
 */
#ifndef GEN_CORE_PROGRAM_H
#define GEN_CORE_PROGRAM_H

#include "core/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_program gen_program;

/* Owns g from here on. device and params outlive the program. New parameters start from seed. */
gen_status gen_program_new(gen_graph *g, gen_device *device, gen_params *params, uint64_t seed, gen_program **program,
                           gen_error *err);
void gen_program_free(gen_program *program); /* accepts NULL */

gen_status gen_program_feed(gen_program *program, const char *input, const float *data, int64_t count, gen_error *err);
gen_status gen_program_run(gen_program *program, gen_run_state state, gen_error *err);
gen_status gen_program_fetch(gen_program *program, const char *output, float *data, int64_t count, gen_error *err);
gen_status gen_program_fetch_scalar(gen_program *program, const char *output, double *value, gen_error *err);

/* Runs all n rows through the program in batches: input [batch,..] from rows of `in`, output [batch,..] to rows of `out`. Row i is sample
 * state.first_sample + i whatever the batch is; the last batch is filled up with its last row. */
gen_status gen_program_map(gen_program *program, const char *input, const float *in, const char *output, float *out,
                           int64_t n, gen_run_state state, gen_error *err);

/* The graph's outputs by place, for logs; the shape of one by name (rank -1: there is none). */
int32_t gen_program_outputs(const gen_program *program);
const char *gen_program_output_name(const gen_program *program, int32_t i);
gen_shape gen_program_shape(const gen_program *program, const char *output);

gen_session *gen_program_session(gen_program *program);
const gen_plan *gen_program_plan(const gen_program *program);
const gen_graph *gen_program_graph(const gen_program *program);

#ifdef __cplusplus
}
#endif
#endif
