/* Lowering of ops whose bodies have one thread an element: elementwise, movement, resampling, random numbers. */
#include "kernels/cuda/lower.h"

#include <string.h>

/* ---- elementwise ---- */

static void broadcast_strides(const gen_shape *x, const gen_shape *y, int32_t stride[GEN_MAX_RANK])
{
    int32_t from[GEN_MAX_RANK];
    cuda_strides(x, from);
    memset(stride, 0, GEN_MAX_RANK * sizeof *stride);
    for (int32_t axis = 0; axis < x->rank; axis++)
        if (x->dim[axis] != 1) stride[axis + y->rank - x->rank] = from[axis];
}

/* Neighbours of a broadcast input: for a run of the innermost axes its elements lie side by side, or are the same. Fours stay within runs of a multiple
 * of four; longer strides than the run's are multiples of it. */
static enum chain_way broadcast_way(const chain_args *a, int32_t k)
{
    int32_t along = 1, same = 1;
    for (int32_t axis = a->rank - 1; axis >= 0; axis--) {
        if (a->dim[axis] > 1 && a->stride[k][axis] != along) break;
        along *= a->dim[axis];
    }
    for (int32_t axis = a->rank - 1; axis >= 0 && a->stride[k][axis] == 0; axis--) same *= a->dim[axis];
    if (same % 4 == 0) return CHAIN_ONE_AT;
    return along % 4 == 0 && cuda_is_aligned(a->in[k]) ? CHAIN_FOUR_AT : CHAIN_EACH_AT;
}

static void chain_input(chain_args *a, int32_t k, const gen_view *in, const gen_shape *shape)
{
    const int64_t count = gen_shape_count(&in->shape);
    a->in[k] = in->data;
    if (count == a->n) {
        a->way[k] = cuda_is_aligned(in->data) ? CHAIN_FOUR : CHAIN_EACH;
    } else if (count == 1) {
        a->way[k] = CHAIN_ONE;
    } else {
        broadcast_strides(&in->shape, shape, a->stride[k]);
        a->way[k] = (uint8_t)broadcast_way(a, k);
    }
}

static void chain_shape(chain_args *a, const gen_call *c, const gen_shape *shape)
{
    a->n = (int32_t)gen_shape_count(shape);
    a->rank = shape->rank;
    for (int32_t axis = 0; axis < shape->rank; axis++) a->dim[axis] = (int32_t)shape->dim[axis];
    a->n_in = c->n_in;
    a->n_out = c->n_out;
    for (int32_t k = 0; k < c->n_in; k++) chain_input(a, k, &c->in[k], shape);
    for (int32_t k = 0; k < c->n_out; k++) {
        a->out[k] = c->out[k].data;
        a->out_way[k] = cuda_is_aligned(a->out[k]) ? CHAIN_FOUR : CHAIN_EACH;
    }
}

/* A thread has four elements. */
static void emit_chain(cuda_launches *list, const chain_args *a)
{
    EMIT(list, chain, cuda_item_blocks(((int64_t)a->n + 3) / 4), a);
}

void cuda_chain_code(const gen_chain *chain, chain_step code[GEN_CHAIN_MAX_CODE])
{
    for (int32_t k = 0; k < chain->n_code; k++) {
        const gen_chain_code *from = &chain->code[k];
        code[k] = (chain_step){
            (int16_t)from->op, { from->src[0], from->src[1], from->src[2] }, (float)from->a, (float)from->b
        };
    }
}

static void chain_code(chain_args *a, const gen_chain *chain)
{
    a->n_code = chain->n_code;
    memcpy(a->out_register, chain->out, sizeof a->out_register);
    cuda_chain_code(chain, a->code);
}

void lower_chain(const gen_call *c, cuda_launches *list)
{
    const gen_chain *chain = c->chain;
    chain_args a = { 0 };
    if (c->n_in != chain->n_in) {
        lower_chains(c, list);
        return;
    }
    chain_shape(&a, c, &chain->shape);
    chain_code(&a, chain);
    emit_chain(list, &a);
}

void lower_elementwise(const gen_call *c, cuda_launches *list)
{
    chain_args a = { 0 };
    chain_shape(&a, c, &c->out[0].shape);
    a.n_code = 1;
    a.out_register[0] = (int16_t)c->n_in;
    a.code[0] = (chain_step){ (int16_t)c->op, { 0, -1, -1 }, (float)c->attr->a, (float)c->attr->b };
    for (int16_t k = 1; k < c->n_in; k++) a.code[0].src[k] = k;
    emit_chain(list, &a);
}

/* ---- movement ---- */

/* Four neighbours at a time, where these are runs of a multiple of four that begin at one; else one. */
static int32_t some_of(bool fours, const float *x, const float *y)
{
    return fours && cuda_is_aligned(x) && cuda_is_aligned(y) ? 4 : 1;
}

#define EMIT_SOME(list, name, args) EMIT(list, name, cuda_item_blocks((args)->n / (args)->some), args)

static void copy_shape(copy_args *a, const gen_call *c)
{
    const gen_shape *y = &c->out[0].shape;
    a->x = cuda_in(c, 0);
    a->y = cuda_out(c);
    a->n = cuda_count(&c->out[0]);
    a->rank = y->rank;
    for (int32_t axis = 0; axis < y->rank; axis++) a->dim[axis] = (int32_t)y->dim[axis];
}

/* Is the source of each four a four? Its innermost axes lie as in the result for a run of a multiple of four; what is farther out moves by multiples. */
static bool copies_fours(const copy_args *a)
{
    int32_t run = 1, axis = a->rank - 1;
    for (; axis >= 0 && (a->dim[axis] == 1 || a->stride[axis] == run); axis--) run *= a->dim[axis];
    bool fours = run % 4 == 0 && a->first % 4 == 0;
    for (; axis >= 0; axis--) fours = fours && a->stride[axis] % 4 == 0;
    return fours;
}

void lower_strided_copy(const gen_call *c, cuda_launches *list)
{
    const gen_shape *x = &c->in[0].shape;
    int32_t from[GEN_MAX_RANK] = { 0 };
    copy_args a = { 0 };
    copy_shape(&a, c);
    cuda_strides(x, from);
    if (c->op == GEN_OP_BROADCAST) broadcast_strides(x, &c->out[0].shape, a.stride);
    for (int32_t axis = 0; axis < x->rank && c->op == GEN_OP_TRANSPOSE; axis++)
        a.stride[axis] = from[c->attr->perm[axis]];
    for (int32_t axis = 0; axis < x->rank && c->op == GEN_OP_SLICE; axis++) {
        a.first += (int32_t)c->attr->start[axis] * from[axis];
        a.stride[axis] = (int32_t)c->attr->step[axis] * from[axis];
    }
    a.some = some_of(copies_fours(&a), a.x, a.y);
    EMIT_SOME(list, copy, &a);
}

void lower_slice_t(const gen_call *c, cuda_launches *list)
{
    const gen_shape *x = &c->in[0].shape, *y = &c->out[0].shape;
    slice_t_args a = { .x = cuda_in(c, 0), .y = cuda_out(c), .n = cuda_count(&c->out[0]), .rank = y->rank };
    cuda_strides(x, a.x_stride);
    for (int32_t axis = 0; axis < y->rank; axis++) {
        a.dim[axis] = (int32_t)y->dim[axis];
        a.x_dim[axis] = (int32_t)x->dim[axis];
        a.start[axis] = (int32_t)c->attr->start[axis];
        a.step[axis] = (int32_t)c->attr->step[axis];
    }
    const int32_t last = y->rank - 1;
    const bool fours =
        last >= 0 && a.step[last] == 1 && a.start[last] % 4 == 0 && a.dim[last] % 4 == 0 && a.x_dim[last] % 4 == 0;
    a.some = some_of(fours, a.x, a.y);
    EMIT_SOME(list, slice_t, &a);
}

pad_args cuda_pad_of(const gen_attr *attr, const gen_view *small, const gen_view *large)
{
    pad_args a = { .mode = attr->mode };
    a.h = (int32_t)small->shape.dim[1];
    a.w = (int32_t)small->shape.dim[2];
    a.p = (int32_t)large->shape.dim[1];
    a.q = (int32_t)large->shape.dim[2];
    a.c = (int32_t)small->shape.dim[3];
    a.top = attr->window.pad[0];
    a.left = attr->window.pad[1];
    return a;
}

/* The adjoint of padding, and the chain that reads it (join.h). */
static void lower_padded_chain(const gen_call *c, cuda_launches *list)
{
    const gen_chain *chain = c->chain;
    gen_call behind = *c;
    chain_args a = { 0 };
    behind.n_in--;
    behind.in++;
    behind.n_out--;
    behind.out++;
    chain_shape(&a, &behind, &chain->shape);
    a.padded = cuda_pad_of(c->attr, &c->out[0], &c->in[0]);
    a.padded.x = cuda_in(c, 0);
    a.padded.y = cuda_out(c);
    a.padded.some = some_of(a.padded.c % 4 == 0, a.padded.x, a.padded.y);
    for (int32_t k = 0; k < behind.n_in; k++)
        if (!a.in[k]) a.way[k] = CHAIN_PADDED;
    chain_code(&a, chain);
    emit_chain(list, &a);
}

void lower_pad(const gen_call *c, cuda_launches *list)
{
    const bool back = c->op == GEN_OP_PAD_T;
    if (c->chain) {
        lower_padded_chain(c, list);
        return;
    }
    pad_args a = back ? cuda_pad_of(c->attr, &c->out[0], &c->in[0]) : cuda_pad_of(c->attr, &c->in[0], &c->out[0]);
    a.x = cuda_in(c, 0);
    a.y = cuda_out(c);
    a.n = cuda_count(&c->out[0]);
    a.some = some_of(a.c % 4 == 0, a.x, a.y);
    if (back) EMIT_SOME(list, pad_t, &a);
    else EMIT_SOME(list, pad, &a);
}

/* Elements of one run of a shape from an axis on. */
static int32_t run_length(const gen_shape *shape, int32_t axis)
{
    int64_t n = 1;
    for (int32_t i = axis; i < shape->rank; i++) n *= shape->dim[i];
    return (int32_t)n;
}

void lower_concat(const gen_call *c, cuda_launches *list)
{
    int32_t offset = 0, y_run = run_length(&c->out[0].shape, c->attr->axis);
    for (int32_t i = 0; i < c->n_in; i++) {
        int32_t run = run_length(&c->in[i].shape, c->attr->axis);
        copy_rows_args a = { cuda_in(c, i), cuda_out(c), cuda_count(&c->in[i]), 1, run, y_run, offset };
        a.some = some_of(run % 4 == 0 && y_run % 4 == 0 && offset % 4 == 0, a.x, a.y);
        EMIT_SOME(list, copy_rows, &a);
        offset += run;
    }
}

void lower_assign(const gen_call *c, cuda_launches *list)
{
    int32_t n = cuda_count(&c->out[0]);
    copy_rows_args a = { cuda_in(c, 1), cuda_out(c), n, 1, n, n, 0 };
    a.some = some_of(n % 4 == 0, a.x, a.y);
    if (a.x != a.y) EMIT_SOME(list, copy_rows, &a);
}

static int32_t last_axis(const gen_shape *shape)
{
    return shape->rank ? (int32_t)shape->dim[shape->rank - 1] : 1;
}

void lower_lookup(const gen_call *c, cuda_launches *list)
{
    const float *first = cuda_in(c, 0);
    float *y = cuda_out(c);
    int32_t n = cuda_count(&c->out[0]), last = last_axis(&c->out[0].shape);
    if (c->op == GEN_OP_GATHER) {
        gather_args a = { first, cuda_in(c, 1), y, n, 1, (int32_t)c->in[0].shape.dim[0], last, cuda_tail_of(c) };
        a.some = some_of(last % 4 == 0 && some_of(true, a.tail.bias, a.tail.residual) == 4, first, y);
        EMIT_SOME(list, gather, &a);
    } else if (c->op == GEN_OP_SCATTER_ADD) {
        scatter_add_args a = { first, cuda_in(c, 1), y, n, cuda_count(&c->in[0]), last };
        EMIT_ITEMS(list, scatter_add, &a);
    } else {
        one_hot_args a = { first, y, n, last };
        EMIT_ITEMS(list, one_hot, &a);
    }
}

/* ---- resampling ---- */

static window_args window_of(const gen_window *w)
{
    window_args v;
    memcpy(v.kernel, w->kernel, sizeof v.kernel);
    memcpy(v.stride, w->stride, sizeof v.stride);
    memcpy(v.dilation, w->dilation, sizeof v.dilation);
    memcpy(v.pad, w->pad, sizeof v.pad); /* top, left */
    return v;
}

void lower_pool(const gen_call *c, cuda_launches *list)
{
    bool adjoint = c->op == GEN_OP_MAX_PICK_T;
    const gen_shape *x = &c->in[0].shape, *y = adjoint ? &c->in[1].shape : &c->out[0].shape;
    pool_args a = {
        .x = cuda_in(c, 0), .y = cuda_out(c), .n = cuda_count(&c->out[0]), .window = window_of(&c->attr->window)
    };
    a.v = c->n_in > 1 ? cuda_in(c, 1) : NULL;
    a.h = (int32_t)x->dim[1];
    a.w = (int32_t)x->dim[2];
    a.p = (int32_t)y->dim[1];
    a.q = (int32_t)y->dim[2];
    a.c = (int32_t)x->dim[3];
    a.back = c->op == GEN_OP_SUM_POOL_T;
    if (adjoint) EMIT_ITEMS(list, max_pick_t, &a);
    else if (c->op == GEN_OP_MAX_PICK) EMIT_ITEMS(list, max_pick, &a);
    else EMIT_ITEMS(list, sum_pool, &a);
}

void lower_resize(const gen_call *c, cuda_launches *list)
{
    bool back = c->op == GEN_OP_RESIZE_T;
    const gen_shape *x = back ? &c->out[0].shape : &c->in[0].shape, *y = back ? &c->in[0].shape : &c->out[0].shape;
    resize_args a = { .x = cuda_in(c, 0), .y = cuda_out(c), .n = cuda_count(&c->out[0]) };
    a.h = (int32_t)x->dim[1];
    a.w = (int32_t)x->dim[2];
    a.p = (int32_t)y->dim[1];
    a.q = (int32_t)y->dim[2];
    a.c = (int32_t)x->dim[3];
    if (back) EMIT_ITEMS(list, resize_t, &a);
    else EMIT_ITEMS(list, resize, &a);
}

/* ---- random numbers ---- */

void lower_random(const gen_call *c, cuda_launches *list)
{
    const gen_shape *y = &c->out[0].shape;
    int32_t samples = y->rank ? (int32_t)y->dim[0] : 1, sample = cuda_count(&c->out[0]) / samples;
    random_args a = { .y = cuda_out(c), .state = list->state, .sample = sample, .op = (int32_t)c->op };
    a.blocks = (sample + 3) / 4;
    a.n = samples * a.blocks;
    a.key = (uint32_t)(c->attr->key ^ c->attr->key >> 32);
    a.a = (float)c->attr->a;
    EMIT_ITEMS(list, random, &a);
}
