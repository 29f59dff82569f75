/* kernels/cuda/order.h: which calls of a plan may run at the same time on a GPU, and where: lanes, each of which runs its calls one after the other, and the
 * calls of other lanes that a call waits for.
 *
 *     cuda_slot *slots = cuda_order_calls(calls, n, arena);     // NULL: no memory
 *
 * A call waits, by way of lanes and waits, for every earlier one that wrote what it reads or writes, or that read what it writes. That is read off the memory
 * itself: where the plan gave two results the same bytes, the second's writer waits for the first's readers.
 */
#ifndef GEN_KERNELS_CUDA_ORDER_H
#define GEN_KERNELS_CUDA_ORDER_H

#include "core/op.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CUDA_LANES = 4 };

typedef struct cuda_slot {
    int32_t lane;
    int32_t wait[CUDA_LANES]; /* of each lane the last call to wait for; -1: none */
    int32_t mark;             /* a number from 1 on where others wait for this call; 0: nobody does */
} cuda_slot;

/* Calls in an order in which they could run one after the other; slots live in the arena. */
cuda_slot *cuda_order_calls(const gen_call *calls, int32_t n, gen_arena *arena);

/* How long they take one after the other, ns: a guess from bytes and products. */
double cuda_guess_time(const gen_call *calls, int32_t n);

#ifdef __cplusplus
}
#endif
#endif
