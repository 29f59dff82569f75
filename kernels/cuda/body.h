/* kernels/cuda/body.h: kernel bodies (*.kh) are written once, against these macros, and compiled twice: by nvcc into kernels of the GPU, and by the host's
 * compiler into functions that tests/cuda_emulator.c runs block by block.
 *
 *     GEN_KERNEL(scale) { GEN_FOR_ITEMS(i, a->n) a->y[i] = a->factor * a->x[i]; }     // a: const scale_args *
 *
 * What a block does together is a row of phases. A phase is a loop over the block's threads and ends with a barrier, which is part of the loop: so none
 * can be forgotten, and none can stand where only some threads pass. What threads hand each other lies in GEN_SHARED; what a thread keeps from phase to
 * phase lies in GEN_PRIVATE. Between phases there is only what is the same for all threads of the block.
 *
 *     GEN_SHARED(float, partial, 256);
 *     GEN_FOR_THREADS(t) partial[t] = a->x[t];
 *     GEN_FOR_THREADS(t) a->y[t] = partial[255 - t];
 *
 * The emulator runs the threads of each phase, and the blocks, in a shuffled order: two orders that give other bits are a race. Leave a phase with
 * `continue`, never with `break` or `return`. Bodies keep to what C11 and C++17 share.
 */
#ifndef GEN_KERNELS_CUDA_BODY_H
#define GEN_KERNELS_CUDA_BODY_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/op.h"

enum { CUDA_THREADS = 256 }; /* of every block */

#ifdef __CUDACC__

#define GEN_DEVICE static __device__ __forceinline__
#define GEN_KERNEL(name)                                                                                               \
    static __device__ void name##_body(const name##_args *a);                                                          \
    extern "C" __global__ void __launch_bounds__(CUDA_THREADS, 2)                                                      \
        cuda_##name(const __grid_constant__ name##_args args)                                                          \
    {                                                                                                                  \
        name##_body(&args);                                                                                            \
    }                                                                                                                  \
    static __device__ __forceinline__ void name##_body(const name##_args *a)
#define GEN_BLOCK ((int)blockIdx.x)
#define GEN_FOR_THREADS(t) for (int t = (int)threadIdx.x, t##_once = t | 1; t##_once; t##_once = 0, __syncthreads())
#define GEN_FOR_ITEMS(i, n)                                                                                            \
    for (int i = (int)(blockIdx.x * CUDA_THREADS + threadIdx.x); i < (n); i += (int)gridDim.x * CUDA_THREADS)
#define GEN_SHARED(type, name, n) __shared__ type name[n]
#define GEN_PRIVATE(type, name, n) type name[n]
#define GEN_MINE(name, t) (name)
#define GEN_EXCHANGE(place, value) atomicExch(place, value)
#define GEN_ALIGNED_16(place) ((void)0)
#define GEN_UNROLL _Pragma("unroll")

#else

/* Where the emulator stands. */
typedef struct emulated_block {
    int block, blocks;
    uint32_t dice;
    const int *order;           /* CUDA_THREADS + 1 numbers: the threads, and an end that is not used */
    int64_t n_fours, n_crooked; /* accesses of 16 bytes so far, and of these such that were no multiples of 16 bytes */
} emulated_block;

extern _Thread_local emulated_block emulated;

/* Another order for the coming phase; returns 0. */
int emulated_shuffle(void);

static inline int emulated_thread(int k)
{
    return emulated.order[k];
}

#define GEN_DEVICE static inline
#ifdef GEN_EMULATE
#define GEN_KERNEL(name)                                                                                               \
    static void name##_body(const name##_args *a);                                                                     \
    void emulated_##name(const void *args)                                                                             \
    {                                                                                                                  \
        name##_body((const name##_args *)args);                                                                        \
    }                                                                                                                  \
    static void name##_body(const name##_args *a)
#else /* who fills arguments only: the bodies are not used */
#define GEN_KERNEL(name) static inline void name##_body(const name##_args *a)
#endif
#define GEN_BLOCK (emulated.block)
#define GEN_FOR_THREADS(t)                                                                                             \
    for (int t##_k = emulated_shuffle(), t = emulated_thread(0); t##_k < CUDA_THREADS; t = emulated_thread(++t##_k))
#define GEN_FOR_ITEMS(i, n)                                                                                            \
    GEN_FOR_THREADS(i##_thread)                                                                                        \
    for (int i = emulated.block * CUDA_THREADS + i##_thread; i < (n); i += emulated.blocks * CUDA_THREADS)
#define GEN_SHARED(type, name, n)                                                                                      \
    type name[n];                                                                                                      \
    memset(name, 0xff, sizeof name) /* not a number */
#define GEN_PRIVATE(type, name, n) type name[CUDA_THREADS][n]
#define GEN_MINE(name, t) (name[t])
#define GEN_ALIGNED_16(place) (emulated.n_fours++, emulated.n_crooked += (int64_t)(((uintptr_t)(place)&15) != 0))
#define GEN_UNROLL
/* Puts the value there and gives what was there, at once. What blocks exchange must not depend on their order: the emulator shuffles it. */
#define GEN_EXCHANGE(place, value) emulated_exchange(place, value)
static inline uint32_t emulated_exchange(uint32_t *place, uint32_t value)
{
    const uint32_t old = *place;
    *place = value;
    return old;
}

#endif

/* Four neighbours in one access of 16 bytes, at a place that is a multiple of 16: whether it is was decided when the launch was made. */
GEN_DEVICE void load4(float to[4], const float *from)
{
    GEN_ALIGNED_16(from);
#ifdef __CUDACC__
    const float4 v = *reinterpret_cast<const float4 *>(from);
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
#else
    memcpy(to, from, 4 * sizeof *to);
#endif
}

GEN_DEVICE void store4(float *to, const float from[4])
{
    GEN_ALIGNED_16(to);
#ifdef __CUDACC__
    *reinterpret_cast<float4 *>(to) = make_float4(from[0], from[1], from[2], from[3]);
#else
    memcpy(to, from, 4 * sizeof *to);
#endif
}

/* One number, or four neighbours; what is not there is 0. */
GEN_DEVICE void load_some(float to[4], const float *from, int n)
{
    to[0] = to[1] = to[2] = to[3] = 0;
    if (n == 4) load4(to, from);
    else to[0] = *from;
}

GEN_DEVICE void store_some(float *to, const float from[4], int n)
{
    if (n == 4) store4(to, from);
    else *to = from[0];
}

GEN_DEVICE void move_some(float *to, const float *from, int n)
{
    float v[4];
    load_some(v, from, n);
    store_some(to, v, n);
}

/* The larger of two, where anything that is not a number is larger than every number. */
GEN_DEVICE int beats(float x, float best)
{
    return x > best || (x != x && best == best);
}

/* What the plan fused behind a product or a norm: act(y + bias + residual). */
typedef struct fused_tail {
    const float *bias, *residual; /* NULL: absent */
    int32_t act;                  /* a gen_op; GEN_OP_COUNT: none */
    float act_a;
} fused_tail;

GEN_DEVICE float tail_act(const fused_tail *tail, float y)
{
    switch (tail->act) {
    case GEN_OP_RELU: return y < 0 ? 0 : y;
    case GEN_OP_LEAKY: return y > 0 ? y : tail->act_a * y;
    case GEN_OP_SIGMOID: return 1 / (1 + expf(-y));
    case GEN_OP_TANH: return tanhf(y);
    default: return y;
    }
}

/* y is element i of the result, in channel k. */
GEN_DEVICE float tail_of(const fused_tail *tail, int i, int k, float y)
{
    if (tail->bias) y += tail->bias[k];
    if (tail->residual) y += tail->residual[i];
    return tail_act(tail, y);
}

/* The same of element i, or of it and its three neighbours. */
GEN_DEVICE void tail_some(const fused_tail *tail, int i, int k, float y[4], int n)
{
    float bias[4] = { 0, 0, 0, 0 }, residual[4] = { 0, 0, 0, 0 };
    if (tail->bias) load_some(bias, tail->bias + k, n);
    if (tail->residual) load_some(residual, tail->residual + i, n);
    GEN_UNROLL
    for (int v = 0; v < 4; v++) y[v] = tail_act(tail, y[v] + bias[v] + residual[v]);
}

#endif
