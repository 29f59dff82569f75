/* kernels/cuda/lower.h: between the files that lower calls (lower*.c). Every lower_<family> appends launches to the list; shapes were checked to have
 * fewer than 2^30 elements, so that places fit in 32 bits.
 */
#ifndef GEN_KERNELS_CUDA_LOWER_H
#define GEN_KERNELS_CUDA_LOWER_H

#include "kernels/cuda/bodies.kh"
#include "kernels/cuda/launch.h"

typedef void (*cuda_lower_fn)(const gen_call *c, cuda_launches *list);

void lower_chain(const gen_call *c, cuda_launches *list);
void lower_elementwise(const gen_call *c, cuda_launches *list);
void lower_strided_copy(const gen_call *c, cuda_launches *list); /* transpose, broadcast, slice */
void lower_slice_t(const gen_call *c, cuda_launches *list);
void lower_pad(const gen_call *c, cuda_launches *list);
void lower_concat(const gen_call *c, cuda_launches *list);
void lower_assign(const gen_call *c, cuda_launches *list);
void lower_lookup(const gen_call *c, cuda_launches *list);
void lower_pool(const gen_call *c, cuda_launches *list);
void lower_resize(const gen_call *c, cuda_launches *list);
void lower_random(const gen_call *c, cuda_launches *list);
void lower_chains(const gen_call *c, cuda_launches *list); /* joined ones, see join.h */
void lower_squares(const gen_call *c, cuda_launches *list);
void lower_reduce(const gen_call *c, cuda_launches *list);
void lower_argmax(const gen_call *c, cuda_launches *list);
void lower_norm_stats(const gen_call *c, cuda_launches *list);
void lower_norm(const gen_call *c, cuda_launches *list);
void lower_norm_dx(const gen_call *c, cuda_launches *list);
void lower_norm_dp(const gen_call *c, cuda_launches *list);
void lower_matmul(const gen_call *c, cuda_launches *list);
void lower_conv(const gen_call *c, cuda_launches *list);
bool lower_conv_by_cudnn(const gen_call *c, cuda_launches *list); /* false: nothing was appended */
void lower_lstm(const gen_call *c, cuda_launches *list);
void lower_lstm_dx(const gen_call *c, cuda_launches *list);
void lower_gru(const gen_call *c, cuda_launches *list);
void lower_gru_dx(const gen_call *c, cuda_launches *list);

/* Appends a launch; args are copied. */
void cuda_emit(cuda_launches *list, cuda_body body, int64_t blocks, const void *args, size_t bytes);
#define EMIT(list, name, blocks, args)                                                                                 \
    cuda_emit(list, CUDA_BODY_##name, blocks, (const name##_args *){ args }, sizeof(name##_args))
/* Blocks for a body of GEN_FOR_ITEMS. */
int64_t cuda_item_blocks(int64_t n);
/* The same with one thread for each of args' n items. */
#define EMIT_ITEMS(list, name, args) EMIT(list, name, cuda_item_blocks((args)->n), args)

/* Room for floats, until the call ends; on a counting pass a pointer that nobody may follow. */
float *cuda_scratch(cuda_launches *list, int64_t count);

/* Room in the table, of which *here is to be filled; NULL: it is not, on this pass. */
void *cuda_table(cuda_launches *list, size_t bytes, char **here);

/* The instructions as kernels read them. */
void cuda_chain_code(const gen_chain *chain, chain_step code[GEN_CHAIN_MAX_CODE]);

/* The sum of `parts` neighbouring results of `count` numbers each: y[i] = sum_j x[j count + i]. */
void cuda_emit_sum_of_parts(cuda_launches *list, const float *x, int32_t parts, int64_t count, float *y);

/* A convolution by cuDNN, with its workspace. */
void cuda_emit_conv(cuda_launches *list, const cudnn_plan *plan, const cudnn_tensors *at);

fused_tail cuda_tail_of(const gen_call *c);
/* Sizes of a padding; not where anything lies. */
pad_args cuda_pad_of(const gen_attr *attr, const gen_view *small, const gen_view *large);

/* act(y + bias + residual) of n numbers of so many channels, in place. */
void cuda_emit_fused(cuda_launches *list, float *y, fused_tail tail, int32_t n, int32_t channels);
/* What the plan fused behind a call, by itself, on its result. */
void cuda_emit_tail(const gen_call *c, cuda_launches *list);

static inline const float *cuda_in(const gen_call *c, int32_t i)
{
    return (const float *)c->in[i].data;
}

static inline float *cuda_out(const gen_call *c)
{
    return (float *)c->out[0].data;
}

static inline int32_t cuda_count(const gen_view *view)
{
    return (int32_t)gen_shape_count(&view->shape);
}

/* For accesses of 16 bytes. */
static inline bool cuda_is_aligned(const void *place)
{
    return (uintptr_t)place % 16 == 0;
}

/* Elements from one place to the next on each axis. */
static inline void cuda_strides(const gen_shape *shape, int32_t stride[GEN_MAX_RANK])
{
    int32_t step = 1;
    for (int32_t axis = shape->rank - 1; axis >= 0; axis--) {
        stride[axis] = step;
        step *= (int32_t)shape->dim[axis];
    }
}

#endif
