/* Lowering of calls on many tensors at once: chains that cuda_join_calls put together, and the sum of squares of all gradients. */
#include "kernels/cuda/lower.h"

#include <string.h>

/* A table that is being filled; segment and at are NULL on a pass that only counts. */
typedef struct filling {
    segment_table there; /* as kernels see it */
    segment *segment;
    float **at;
    int64_t blocks; /* so far */
} filling;

static filling start_table(cuda_launches *list, int32_t n_segments, int32_t width)
{
    filling f = { .there = { .n_segments = n_segments, .width = width } };
    const size_t head = (size_t)n_segments * sizeof(segment);
    char *here, *there = cuda_table(list, head + (size_t)(n_segments * width) * sizeof(float *), &here);
    f.there.segment = (const segment *)there;
    f.there.at = (float *const *)(there + head);
    if (!here) return f;
    f.segment = (segment *)here;
    f.at = (float **)(here + head);
    return f;
}

/* Pointer k of a segment. */
static void add_pointer(filling *f, int32_t s, int32_t k, const gen_view *view)
{
    if (!f->segment) return;
    bool single = gen_shape_count(&view->shape) == 1;
    f->at[s * f->there.width + k] = view->data;
    if (single) f->segment[s].single |= 1u << k;
    else if (!cuda_is_aligned(view->data)) f->segment[s].four = 0;
}

static void start_segment(filling *f, int32_t s, int64_t n)
{
    if (f->segment) f->segment[s] = (segment){ .first = (int32_t)f->blocks, .n = (int32_t)n, .four = 1 };
    f->blocks += (n + SEGMENT_PIECE - 1) / SEGMENT_PIECE;
}

void lower_chains(const gen_call *c, cuda_launches *list)
{
    const gen_chain *chain = c->chain;
    const int32_t n_segments = c->n_in / chain->n_in;
    chains_args a = { .n_in = chain->n_in, .n_out = chain->n_out, .n_code = chain->n_code };
    filling f = start_table(list, n_segments, chain->n_in + chain->n_out);
    for (int32_t s = 0; s < n_segments; s++) {
        const gen_view *in = c->in + s * chain->n_in, *out = c->out + s * chain->n_out;
        start_segment(&f, s, gen_shape_count(&out[0].shape));
        for (int32_t k = 0; k < chain->n_in; k++) add_pointer(&f, s, k, &in[k]);
        for (int32_t k = 0; k < chain->n_out; k++) add_pointer(&f, s, chain->n_in + k, &out[k]);
    }
    a.table = f.there;
    memcpy(a.out_register, chain->out, sizeof a.out_register);
    cuda_chain_code(chain, a.code);
    EMIT(list, chains, f.blocks, &a);
}

/* A number for each block, then their sum. */
void lower_squares(const gen_call *c, cuda_launches *list)
{
    filling f = start_table(list, c->n_in, 1);
    for (int32_t s = 0; s < c->n_in; s++) {
        start_segment(&f, s, gen_shape_count(&c->in[s].shape));
        add_pointer(&f, s, 0, &c->in[s]);
    }
    squares_args a = { f.there, f.blocks > 1 ? cuda_scratch(list, f.blocks) : cuda_out(c) };
    EMIT(list, squares, f.blocks, &a);
    if (f.blocks > 1) cuda_emit_sum_of_parts(list, a.y, (int32_t)f.blocks, 1, cuda_out(c));
}
