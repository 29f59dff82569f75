/* models/cost.h: what a graph costs: multiply-adds, counted from shapes. Only products count (matmul and convolutions): everything else is cheap beside them.
 *
 *     printf("%g multiply-adds\n", gen_graph_multiply_adds(g));            // one is two FLOP
 *
 * The counts are those that one makes by hand: a dense layer i -> o costs i o a sample, a conv P Q K R S C; a recurrent cell of h units on i inputs h (h + i)
 * a step, an LSTM four times that. Training a dense net of N weights on D samples costs C = 6 N D FLOP: 2 forward, 4 backward, less the gradient in the
 * first layer's input, which nobody needs.
 */
#ifndef GEN_MODELS_COST_H
#define GEN_MODELS_COST_H

#include "core/device.h"
#include "core/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

double gen_node_multiply_adds(const gen_node *y); /* 0 for what is no product */
double gen_graph_multiply_adds(const gen_graph *g);
/* The same of one step of a plan, whatever was fused into it; and the bytes that it has to read and write: each input, result, bias and residual once. */
double gen_step_multiply_adds(const gen_plan *plan, const gen_plan_step *step);
double gen_step_bytes(const gen_plan *plan, const gen_plan_step *step, size_t element_bytes);
/* Bytes on the device that a program of g would take for results, constants and scratch, planned but not taken. Parameters come on top. */
gen_status gen_graph_bytes(const gen_graph *g, gen_device *device, size_t *bytes, gen_error *err);
size_t gen_graph_param_bytes(const gen_graph *g, const gen_device *device);

/* "2G", "500M", "0" -> bytes; GEN_BAD_OPTION names the option. */
gen_status gen_bytes_parse(const char *option, const char *text, size_t *bytes, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
