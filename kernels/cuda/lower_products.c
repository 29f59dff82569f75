/* Lowering of products: matmul, the convolutions as implicit GEMM, and recurrent layers as products and cells, two launches a step of time. */
#include "kernels/cuda/lower.h"

#include <string.h>

enum { WANTED_BLOCKS = 264, LEAST_CHUNK = 512, MOST_PARTS = 128 };

static int64_t tiles_of(const product_args *p)
{
    return (int64_t)((p->m + TILE - 1) / TILE) * ((p->n + TILE - 1) / TILE) * p->batch;
}

/* ---- by cuBLASLt ---- */

static cublaslt_product product_of(const product_args *p, cuda_precision precision)
{
    static const int32_t computes[] = { [CUDA_FP32] = BLAS_COMPUTE_32F,
                                        [CUDA_TF32] = BLAS_COMPUTE_32F_FAST_TF32,
                                        [CUDA_BF16] = BLAS_COMPUTE_32F_FAST_16BF };
    cublaslt_product q = { .m = p->m, .n = p->n, .k = p->k, .batch = p->batch, .y_row = p->y_row };
    q.a_turned = p->a_column != 1;
    q.b_turned = p->b_column != 1;
    q.a_row = q.a_turned        ? p->a_column
              : p->a_row < p->k ? p->k
                                : p->a_row; /* less: there is one row, wherever the next would be */
    q.b_row = q.b_turned ? p->b_column : p->b_row < p->n ? p->n : p->b_row;
    q.a_next = p->a_next;
    q.b_next = p->b_next;
    q.y_next = p->y_next;
    q.bias = p->tail.bias != NULL;
    q.residual = p->tail.residual != NULL;
    q.relu = p->tail.act == GEN_OP_RELU;
    q.compute = computes[precision];
    return q;
}

static int run_product(const cuda_library_call *call, void *stream)
{
    const cublaslt_tensors at = { call->data[0], call->data[1], call->data[2], call->data[3], call->data[4] };
    return cublaslt_run(call->plan, &at, call->workspace, stream);
}

/* Any activation but relu comes behind. */
static bool emit_by_cublaslt(cuda_launches *list, const product_args *p)
{
    if (!list->products.blas) return false;
    const cublaslt_product q = product_of(p, list->products.precision);
    const cublaslt_plan *plan = cublaslt_plan_of(list->products.blas, &q);
    if (!plan) return false;
    cuda_library_call call = { .run = run_product,
                               .plan = plan,
                               .data = { (void *)(uintptr_t)p->a, (void *)(uintptr_t)p->b, p->y,
                                         (void *)(uintptr_t)p->tail.bias, (void *)(uintptr_t)p->tail.residual } };
    call.workspace = cuda_scratch(list, (int64_t)(plan->workspace_bytes / sizeof(float) + 1));
    cuda_emit(list, CUDA_LIBRARY, 1, &call, sizeof call);
    if (q.relu || p->tail.act == GEN_OP_COUNT) return true;
    cuda_emit_fused(list, p->y, (fused_tail){ NULL, NULL, p->tail.act, p->tail.act_a }, p->batch * p->m * p->n, p->n);
    return true;
}

static void emit_product(cuda_launches *list, cuda_body body, product_args *p)
{
    if (body == CUDA_BODY_matmul && emit_by_cublaslt(list, p)) return;
    if (!p->parts) p->parts = 1;
    if (p->parts == 1) p->chunk = p->k;
    cuda_emit(list, body, tiles_of(p) * p->parts, p, sizeof *p);
}

/* ---- matmul ---- */

static const fused_tail no_tail = { NULL, NULL, GEN_OP_COUNT, 0 };

void lower_matmul(const gen_call *c, cuda_launches *list)
{
    const gen_shape *a = &c->in[0].shape, *b = &c->in[1].shape, *y = &c->out[0].shape;
    product_args p = { .a = cuda_in(c, 0), .b = cuda_in(c, 1), .y = cuda_out(c), .tail = cuda_tail_of(c) };
    p.m = (int32_t)y->dim[y->rank - 2];
    p.n = (int32_t)y->dim[y->rank - 1];
    p.k = (int32_t)a->dim[a->rank - (c->attr->trans_a ? 2 : 1)];
    p.batch = cuda_count(&c->out[0]) / (p.m * p.n);
    p.a_row = c->attr->trans_a ? 1 : p.k;
    p.a_column = c->attr->trans_a ? p.m : 1;
    p.b_row = c->attr->trans_b ? 1 : p.n;
    p.b_column = c->attr->trans_b ? p.k : 1;
    p.y_row = p.n;
    p.a_next = p.m * p.k;
    p.b_next = b->rank > 2 ? p.k * p.n : 0;
    p.y_next = p.m * p.n;
    if (!p.b_next && !c->attr->trans_a) { /* one b for all: then all rows of a are rows of one matrix */
        p.m *= p.batch;
        p.batch = 1;
    }
    emit_product(list, CUDA_BODY_matmul, &p);
}

/* ---- convolutions ---- */

/* How `image` is looked into from the pixels of `grid`. */
static conv_map map_of(const gen_window *w, const gen_shape *image, const gen_shape *grid)
{
    conv_map v = { .h = (int32_t)image->dim[1], .w = (int32_t)image->dim[2], .channels = (int32_t)image->dim[3] };
    v.p = (int32_t)grid->dim[1];
    v.q = (int32_t)grid->dim[2];
    v.s = w->kernel[1];
    v.group_channels = v.channels / w->groups;
    memcpy(v.stride, w->stride, sizeof v.stride);
    memcpy(v.pad, w->pad, sizeof v.pad); /* top, left */
    memcpy(v.dilation, w->dilation, sizeof v.dilation);
    return v;
}

static int32_t pixels_of(const gen_shape *image)
{
    return (int32_t)(image->dim[0] * image->dim[1] * image->dim[2]);
}

/* The filter's gradient is a small result of long sums: cut into parts, so that there is work for all multiprocessors. */
static void emit_conv_w(const gen_call *c, cuda_launches *list, product_args *p)
{
    int64_t parts = (WANTED_BLOCKS + tiles_of(p) - 1) / tiles_of(p), most = (p->k + LEAST_CHUNK - 1) / LEAST_CHUNK;
    if (parts > most) parts = most;
    if (parts > MOST_PARTS) parts = MOST_PARTS;
    p->chunk = (int32_t)((p->k + parts - 1) / parts + TILE_K - 1) / TILE_K * TILE_K;
    p->parts = (p->k + p->chunk - 1) / p->chunk;
    p->part_size = cuda_count(&c->out[0]);
    if (p->parts > 1) p->y = cuda_scratch(list, (int64_t)p->parts * p->part_size);
    emit_product(list, CUDA_BODY_conv2d_w, p);
    if (p->parts > 1) cuda_emit_sum_of_parts(list, p->y, p->parts, p->part_size, cuda_out(c));
}

void lower_conv(const gen_call *c, cuda_launches *list)
{
    if (lower_conv_by_cudnn(c, list)) return;
    const gen_window *w = &c->attr->window;
    const gen_shape *in0 = &c->in[0].shape, *in1 = &c->in[1].shape, *y = &c->out[0].shape;
    const int32_t taps = w->kernel[0] * w->kernel[1];
    product_args p = { .a = cuda_in(c, 0), .b = cuda_in(c, 1), .y = cuda_out(c), .batch = w->groups };
    p.y_row = (int32_t)y->dim[3];
    p.n = p.y_next = p.bias_next = p.y_row / w->groups;
    p.tail = c->op == GEN_OP_CONV2D_W ? no_tail : cuda_tail_of(c);
    p.map = map_of(w, in0, c->op == GEN_OP_CONV2D_W ? in1 : y);
    if (c->op == GEN_OP_CONV2D_W) { /* in: x, dy */
        p.m = taps * p.map.group_channels;
        p.k = pixels_of(in1);
        p.b_row = p.y_row;
        p.b_next = p.n;
        p.b_column = 1;
        emit_conv_w(c, list, &p);
        return;
    }
    p.m = pixels_of(y);
    p.k = taps * p.map.group_channels;
    if (c->op == GEN_OP_CONV2D) { /* w[taps c, k] */
        p.b_row = p.y_row;
        p.b_next = p.n;
        p.b_column = 1;
        emit_product(list, CUDA_BODY_conv2d, &p);
    } else { /* w[taps, c, k], summed over k */
        p.b_column = p.map.channels;
        p.b_next = p.map.group_channels;
        p.map.w_tap = p.n * p.map.channels;
        emit_product(list, CUDA_BODY_conv2d_t, &p);
    }
}

/* ---- recurrent layers ---- */

typedef struct layer {
    int32_t t, n, h, plane; /* steps, samples, units; elements of a plane */
} layer;

static layer layer_of(const gen_shape *planes)
{
    layer s = { (int32_t)planes->dim[1], (int32_t)planes->dim[2], (int32_t)planes->dim[3], 0 };
    s.plane = s.t * s.n * s.h;
    return s;
}

/* y[N,columns] = h[N,H] w[H,columns] + bias + residual */
static void emit_step(cuda_launches *list, const layer *s, const float *h, const float *w, int32_t columns,
                      const float *bias, const float *residual, float *y)
{
    product_args p = { .a = h, .b = w, .y = y, .tail = { bias, residual, GEN_OP_COUNT, 0 }, .batch = 1 };
    p.m = s->n;
    p.n = columns;
    p.k = s->h;
    p.a_row = s->h;
    p.a_column = p.b_column = 1;
    p.b_row = p.y_row = columns;
    emit_product(list, CUDA_BODY_matmul, &p);
}

/* dh[N,H] = da[N,first..first+columns) w[H,from..from+columns)^T + residual; da has 4H columns, w w_columns */
static void emit_step_back(cuda_launches *list, const layer *s, const float *da, const float *w, int32_t w_columns,
                           int32_t columns, const float *residual, float *dh)
{
    product_args p = { .a = da, .b = w, .y = dh, .tail = { NULL, residual, GEN_OP_COUNT, 0 }, .batch = 1 };
    p.m = s->n;
    p.n = p.y_row = s->h;
    p.k = columns;
    p.a_row = 4 * s->h;
    p.a_column = p.b_row = 1;
    p.b_column = w_columns;
    emit_product(list, CUDA_BODY_matmul, &p);
}

static cell_args cell_of(const layer *s)
{
    return (cell_args){ .n = s->n * s->h, .h = s->h, .plane = s->plane };
}

void lower_lstm(const gen_call *c, cuda_launches *list)
{
    const layer s = layer_of(&c->out[0].shape);
    const int32_t step = s.n * s.h;
    float *y = cuda_out(c), *gates = cuda_scratch(list, 4 * (int64_t)step);
    cell_args a = cell_of(&s);
    a.a = gates;
    for (int32_t t = 0; t < s.t; t++) {
        const float *h = t ? y + 5 * s.plane + (t - 1) * step : cuda_in(c, 2);
        a.before = t ? y + 4 * s.plane + (t - 1) * step : cuda_in(c, 3);
        a.y = y;
        a.done = t * step;
        emit_step(list, &s, h, cuda_in(c, 1), 4 * s.h, NULL, cuda_in(c, 0) + t * 4 * step, gates);
        EMIT_ITEMS(list, lstm_cell, &a);
    }
}

void lower_gru(const gen_call *c, cuda_launches *list)
{
    const layer s = layer_of(&c->out[0].shape);
    const int32_t step = s.n * s.h;
    float *y = cuda_out(c), *gates = cuda_scratch(list, 3 * (int64_t)step);
    cell_args a = cell_of(&s);
    a.a = gates;
    for (int32_t t = 0; t < s.t; t++) {
        a.before = t ? y + 4 * s.plane + (t - 1) * step : cuda_in(c, 3);
        a.x = cuda_in(c, 0) + t * 3 * step;
        a.y = y;
        a.done = t * step;
        emit_step(list, &s, a.before, cuda_in(c, 1), 3 * s.h, cuda_in(c, 2), NULL, gates);
        EMIT_ITEMS(list, gru_cell, &a);
    }
}

/* What both gradients have at step t; before: which plane the step before is taken from. */
static void set_step_back(cell_args *a, const gen_call *c, const layer *s, int32_t t, int32_t before)
{
    const int32_t step = s->n * s->h;
    a->planes = cuda_in(c, 0);
    a->dy = cuda_in(c, 3);
    a->done = t * step;
    a->first = (int32_t)c->attr->start[0];
    a->end = a->first + (int32_t)c->in[3].shape.dim[0];
    a->before = t ? cuda_in(c, 0) + before * s->plane + (t - 1) * step : cuda_in(c, 2);
    a->y = cuda_out(c) + t * 4 * step;
    a->first_back = t == s->t - 1;
}

static void emit_state_row(const gen_call *c, cuda_launches *list, const layer *s, const float *d)
{
    state_row_args a = { d, cuda_out(c) + s->t * 4 * s->n * s->h, 4 * s->n * s->h, s->h };
    EMIT_ITEMS(list, state_row, &a);
}

void lower_lstm_dx(const gen_call *c, cuda_launches *list)
{
    const layer s = layer_of(&c->in[0].shape);
    const int32_t step = s.n * s.h;
    float *dh = cuda_scratch(list, step);
    cell_args a = cell_of(&s);
    a.carry = cuda_scratch(list, step);
    for (int32_t t = s.t - 1; t >= 0; t--) {
        set_step_back(&a, c, &s, t, 4);
        a.dh = a.first_back ? NULL : dh;
        if (!a.first_back) emit_step_back(list, &s, a.y + 4 * step, cuda_in(c, 1), 4 * s.h, 4 * s.h, NULL, dh);
        EMIT_ITEMS(list, lstm_dx_cell, &a);
    }
    emit_state_row(c, list, &s, a.carry);
}

void lower_gru_dx(const gen_call *c, cuda_launches *list)
{
    const layer s = layer_of(&c->in[0].shape);
    const float *w = cuda_in(c, 1);
    cell_args a = cell_of(&s);
    a.carry = cuda_scratch(list, (int64_t)s.n * s.h);
    for (int32_t t = s.t - 1; t >= 0; t--) {
        set_step_back(&a, c, &s, t, 4);
        EMIT_ITEMS(list, gru_dx_cell, &a); /* da: r z n q, of which r z q went through w[H, r z n] */
        emit_step_back(list, &s, a.y, w, 3 * s.h, 2 * s.h, a.carry, a.carry);
        emit_step_back(list, &s, a.y + 3 * s.h, w + 2 * s.h, 3 * s.h, s.h, a.carry, a.carry);
    }
    emit_state_row(c, list, &s, a.carry);
}
