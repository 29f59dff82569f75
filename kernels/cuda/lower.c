#include "kernels/cuda/lower.h"

#include <string.h>

enum {
    SCRATCH_ALIGN = 64,
    MOST_BLOCKS = 4096
}; /* 4096: some waves on every GPU of today; threads then take several items */

static const char *const body_names[] = {
#define BODY(name) #name,
#include "kernels/cuda/body_list.h"
#undef BODY
};

const char *cuda_body_name(cuda_body body)
{
    return body == CUDA_LIBRARY ? "a library" : body_names[body];
}

/* ---- what a lowering is written with ---- */

static bool make_room(cuda_launches *list)
{
    if (list->n < list->room) return true;
    int32_t room = list->room ? 2 * list->room : 64;
    cuda_launch *more = gen_arena_alloc(list->arena, (size_t)room * sizeof *more);
    if (!more) return false;
    if (list->n) memcpy(more, list->launch, (size_t)list->n * sizeof *more);
    list->launch = more;
    list->room = room;
    return true;
}

void cuda_emit(cuda_launches *list, cuda_body body, int64_t blocks, const void *args, size_t bytes)
{
    if (blocks <= 0) return; /* nothing to compute */
    void *copy = make_room(list) ? gen_arena_alloc(list->arena, bytes) : NULL;
    if (!copy) {
        list->no_memory = true;
        return;
    }
    memcpy(copy, args, bytes);
    list->launch[list->n++] = (cuda_launch){ body, (int32_t)blocks, copy, bytes };
}

int64_t cuda_item_blocks(int64_t n)
{
    int64_t blocks = (n + CUDA_THREADS - 1) / CUDA_THREADS;
    return blocks < MOST_BLOCKS ? blocks : MOST_BLOCKS;
}

float *cuda_scratch(cuda_launches *list, int64_t count)
{
    uintptr_t at = list->scratch + list->call_bytes;
    list->call_bytes += ((size_t)count * sizeof(float) + SCRATCH_ALIGN - 1) / SCRATCH_ALIGN * SCRATCH_ALIGN;
    if (list->call_bytes > list->scratch_bytes) list->scratch_bytes = list->call_bytes;
    return (float *)at;
}

void *cuda_table(cuda_launches *list, size_t bytes, char **here)
{
    const size_t at = list->table_bytes;
    list->table_bytes += (bytes + SCRATCH_ALIGN - 1) / SCRATCH_ALIGN * SCRATCH_ALIGN;
    *here = list->table_here ? list->table_here + at : NULL;
    return (void *)(list->table + at);
}

fused_tail cuda_tail_of(const gen_call *c)
{
    return (fused_tail){ c->epilogue.bias.data, c->epilogue.residual.data, (int32_t)c->epilogue.act,
                         (float)c->epilogue.act_a };
}

/* ---- which op is lowered by what ---- */

static cuda_lower_fn lowering_of(gen_op op)
{
    if (gen_op_get(op)->flags & OP_ELEMENTWISE) return lower_elementwise;
    switch (op) {
    case GEN_OP_CHAIN: return lower_chain;
    case GEN_OP_TRANSPOSE:
    case GEN_OP_BROADCAST:
    case GEN_OP_SLICE: return lower_strided_copy;
    case GEN_OP_SLICE_T: return lower_slice_t;
    case GEN_OP_PAD:
    case GEN_OP_PAD_T: return lower_pad;
    case GEN_OP_CONCAT: return lower_concat;
    case GEN_OP_ASSIGN: return lower_assign;
    case GEN_OP_GATHER:
    case GEN_OP_SCATTER_ADD:
    case GEN_OP_ONE_HOT: return lower_lookup;
    case GEN_OP_SUM_POOL:
    case GEN_OP_SUM_POOL_T:
    case GEN_OP_MAX_PICK:
    case GEN_OP_MAX_PICK_T: return lower_pool;
    case GEN_OP_RESIZE:
    case GEN_OP_RESIZE_T: return lower_resize;
    case GEN_OP_NORMAL:
    case GEN_OP_UNIFORM:
    case GEN_OP_BERNOULLI: return lower_random;
    case GEN_OP_SUM:
    case GEN_OP_MAX_OF:
    case GEN_OP_LSE: return lower_reduce;
    case GEN_OP_SUM_SQUARES: return lower_squares;
    case GEN_OP_ARGMAX: return lower_argmax;
    case GEN_OP_NORM_STATS: return lower_norm_stats;
    case GEN_OP_NORM: return lower_norm;
    case GEN_OP_NORM_DX: return lower_norm_dx;
    case GEN_OP_NORM_DP: return lower_norm_dp;
    case GEN_OP_MATMUL: return lower_matmul;
    case GEN_OP_CONV2D:
    case GEN_OP_CONV2D_T:
    case GEN_OP_CONV2D_W: return lower_conv;
    case GEN_OP_LSTM: return lower_lstm;
    case GEN_OP_LSTM_DX: return lower_lstm_dx;
    case GEN_OP_GRU: return lower_gru;
    case GEN_OP_GRU_DX: return lower_gru_dx;
    default: return NULL;
    }
}

bool cuda_has(gen_op op)
{
    return lowering_of(op) != NULL;
}

static gen_status check_sizes(const gen_call *call, gen_error *err)
{
    const int64_t most = (int64_t)1 << 30;
    char text[64];
    for (int32_t i = 0; i < call->n_in + call->n_out; i++) {
        const gen_shape *shape = i < call->n_in ? &call->in[i].shape : &call->out[i - call->n_in].shape;
        if (gen_shape_count(shape) >= most)
            return gen_fail(err, GEN_UNSUPPORTED,
                            "%s: %s has %s, the GPU's kernels count to 2^30 elements: use a smaller batch", call->name,
                            gen_op_get(call->op)->name, gen_shape_text(shape, text, sizeof text));
    }
    return GEN_OK;
}

gen_status cuda_lower(const gen_call *call, cuda_launches *list, gen_error *err)
{
    cuda_lower_fn lower = lowering_of(call->op);
    if (!lower)
        return gen_fail(err, GEN_UNSUPPORTED, "%s: the GPU has no kernel for %s", call->name,
                        gen_op_get(call->op)->name);
    GEN_TRY(check_sizes(call, err));
    list->call_bytes = 0;
    lower(call, list);
    return list->no_memory ? gen_fail(err, GEN_NO_MEMORY, "%s: no memory for the list of launches", call->name)
                           : GEN_OK;
}
