/* kernels/cuda/join.h: the update of all parameters as one call. A plan updates one parameter after the other, each by a chain of its own: gradient, clipping,
 * moments, weights, average. On a GPU these hundreds of launches, most of them tiny, cost more than what they compute.
 *
 *     calls = cuda_join_calls(calls, &n_calls, arena);         // NULL: no memory
 *
 * Chains of neighbouring calls that have equal code, read inputs that are whole or single numbers, and touch nothing that another of them writes, become one call:
 * a GEN_OP_CHAIN whose inputs and outputs are those of all, n_in = members * chain->n_in. It stands where the last of them stood. So what runs before and after
 * what stays as it was, the numbers are the same bits, and parameters need not lie in one arena.
 */
#ifndef GEN_KERNELS_CUDA_JOIN_H
#define GEN_KERNELS_CUDA_JOIN_H

#include "core/op.h"

/*
 * Padding is joined, too, with what comes before it or, in the gradient, behind it, so that what is padded is not read again:
 *
 *   a GEN_OP_NORM with two outputs   the norm's result (data NULL: nobody else wants it) and the padded one; attr: both's
 *   a GEN_OP_PAD_T with a chain      in[0] padded, in[1] … the chain's inputs, data NULL for the sums; out[0] the sums (or NULL), out[1] … the chain's
 */

/* The calls, joined; those that stay alone are as they were. *n becomes smaller. The result lives in the arena, and points into calls. */
const gen_call *cuda_join_calls(const gen_call *calls, int32_t *n, gen_arena *arena);

#endif
