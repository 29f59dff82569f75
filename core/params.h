/* core/params.h: stored tensors by name, on a device: weights, and the state that belongs to them (moments, EMA, counters).
 *
 *     gen_params *params = gen_params_new(device);
 *     GEN_TRY(gen_params_add(params, graph, seed, err));        // all parameters of the graph that are not there yet, initialised
 *     gen_param_info info = gen_params_get(params, i);
 *     GEN_TRY(gen_params_read(params, i, host, err));
 *
 * Initial values are functions of (seed, name) alone: the order of creation does not matter.
 */
#ifndef GEN_CORE_PARAMS_H
#define GEN_CORE_PARAMS_H

#include "core/device.h"
#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_params gen_params;

typedef struct gen_param_info {
    const char *name;
    gen_shape shape;
    gen_param_spec spec;
    void *data; /* on the device */
} gen_param_info;

gen_params *gen_params_new(gen_device *device); /* device outlives it; NULL when memory ran out */
void gen_params_free(gen_params *params);

/* Adds and initialises what the graph has and params lacks. A shape that differs from the stored one is GEN_BAD_SHAPE. */
gen_status gen_params_add(gen_params *params, const gen_graph *g, uint64_t seed, gen_error *err);

int32_t gen_params_count(const gen_params *params);
gen_param_info gen_params_get(const gen_params *params, int32_t i);  /* in order of creation */
int32_t gen_params_find(const gen_params *params, const char *name); /* -1: none */

/* Whole tensors, row-major, in gen's own layout ([R,S,C,K], [in,out]). host holds gen_shape_count floats. */
gen_status gen_params_read(const gen_params *params, int32_t i, float *host, gen_error *err);
gen_status gen_params_write(gen_params *params, int32_t i, const float *host, gen_error *err);

/* Back to its initial values. */
gen_status gen_params_reset(gen_params *params, int32_t i, uint64_t seed, gen_error *err);

/* The initial values of a parameter, for params and for tests. */
void gen_param_init_values(const char *name, const gen_shape *shape, const gen_param_spec *spec, uint64_t seed,
                           float *out);

/* Between gen's layout and PyTorch's: [R,S,C,K] <-> [K,C,R,S], [in,out] <-> [out,in], with the flattened side permuted between H,W,C and C,H,W.
 * torch_shape gets PyTorch's shape. Tensors without a layout of their own are copied. from and to do not overlap. */
gen_shape gen_layout_torch_shape(const gen_shape *shape, const gen_param_spec *spec);
void gen_layout_to_torch(const gen_shape *shape, const gen_param_spec *spec, const float *from, float *to);
void gen_layout_from_torch(const gen_shape *shape, const gen_param_spec *spec, const float *from, float *to);

#ifdef __cplusplus
}
#endif
#endif
