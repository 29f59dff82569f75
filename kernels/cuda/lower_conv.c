/* Lowering of convolutions to cuDNN, where it has a plan that will do: filters are turned to its layout and back, numbers rounded to bfloat16 where that is
 * the precision, and what it does not fuse comes behind. */
#include "kernels/cuda/lower.h"

#include <string.h>

enum { CHANNELS_OF_BF16 = 8 };

/* ---- what a call is to cuDNN ------------------------------------------------------------------------------------------------ */

static void set_image(int64_t to[4], const gen_shape *image, bool fill_up)
{
    const int64_t c = image->dim[3], m = CHANNELS_OF_BF16;
    for (int i = 0; i < 3; i++) to[i] = image->dim[i];
    to[3] = fill_up ? (c + m - 1) / m * m : c;
}

static bool is_simple(const gen_window *w)
{
    for (int i = 0; i < 4; i++)
        if (w->pad[i] < 0) return false;
    return w->groups == 1;
}

bool cuda_conv_of(const gen_call *c, cuda_precision precision, cudnn_conv *conv)
{
    const gen_window *w = &c->attr->window;
    const bool bf16 = precision == CUDA_BF16, forward = c->op == GEN_OP_CONV2D, data = c->op == GEN_OP_CONV2D_T;
    const gen_op act = c->epilogue.act;
    if (!is_simple(w)) return false;
    memset(conv, 0, sizeof *conv);
    set_image(conv->x, data ? &c->out[0].shape : &c->in[0].shape, bf16);
    set_image(conv->y, forward ? &c->out[0].shape : data ? &c->in[0].shape : &c->in[1].shape, bf16);
    memcpy(conv->kernel, w->kernel, sizeof conv->kernel);
    memcpy(conv->stride, w->stride, sizeof conv->stride);
    memcpy(conv->pad, w->pad, sizeof conv->pad);
    memcpy(conv->dilation, w->dilation, sizeof conv->dilation);
    conv->direction = forward ? CUDNN_FORWARD : data ? CUDNN_DATA : CUDNN_FILTER;
    conv->bf16 = bf16;
    conv->tensor_cores = precision != CUDA_FP32;
    if (forward && !bf16 && (act == GEN_OP_COUNT || act == GEN_OP_RELU)) {
        conv->bias = c->epilogue.bias.data != NULL;
        conv->residual = c->epilogue.residual.data != NULL;
        conv->relu = act == GEN_OP_RELU;
    }
    return true;
}

/* With what the call has fused, else without. */
static const cudnn_plan *plan_of(cudnn *dnn, cudnn_conv *conv)
{
    const cudnn_plan *plan = cudnn_plan_of(dnn, conv);
    if (plan || !(conv->bias || conv->residual || conv->relu)) return plan;
    conv->bias = conv->residual = conv->relu = 0;
    return cudnn_plan_of(dnn, conv);
}

/* ---- launches --------------------------------------------------------------------------------------------------------------- */

static int run_conv(const cuda_library_call *call, void *stream)
{
    const cudnn_tensors at = { call->data[0], call->data[1], call->data[2], call->data[3], call->data[4] };
    return cudnn_run(call->plan, &at, call->workspace, stream);
}

void cuda_emit_conv(cuda_launches *list, const cudnn_plan *plan, const cudnn_tensors *at)
{
    cuda_library_call call = { .run = run_conv, .plan = plan, .data = { at->x, at->w, at->y, at->bias, at->residual } };
    call.workspace = cuda_scratch(list, (int64_t)(plan->workspace_bytes / sizeof(float) + 1));
    cuda_emit(list, CUDA_LIBRARY, 1, &call, sizeof call);
}

/* y[columns,rows] = x[rows,columns] turned: [R,S,C,K] and cuDNN's [K,R,S,C] are that of each other. */
static void emit_turned(cuda_launches *list, const float *x, float *y, int32_t rows, int32_t columns)
{
    copy_args a = {
        .x = x, .y = y, .n = rows * columns, .some = 1, .rank = 2, .dim = { columns, rows }, .stride = { 1, columns }
    };
    EMIT_ITEMS(list, copy, &a);
}

void cuda_emit_fused(cuda_launches *list, float *y, fused_tail tail, int32_t n, int32_t channels)
{
    const bool fours =
        channels % 4 == 0 && cuda_is_aligned(y) && cuda_is_aligned(tail.bias) && cuda_is_aligned(tail.residual);
    tail_args a = { y, tail, n, channels, fours ? 4 : 1 };
    EMIT(list, tail, cuda_item_blocks(n / a.some), &a);
}

void cuda_emit_tail(const gen_call *c, cuda_launches *list)
{
    const gen_shape *y = &c->out[0].shape;
    const fused_tail tail = cuda_tail_of(c);
    if (tail.bias || tail.residual || tail.act != GEN_OP_COUNT)
        cuda_emit_fused(list, cuda_out(c), tail, cuda_count(&c->out[0]), (int32_t)y->dim[y->rank - 1]);
}

static void lower_floats(const gen_call *c, cuda_launches *list, const cudnn_plan *plan)
{
    const cudnn_conv *conv = &plan->conv;
    const bool forward = conv->direction == CUDNN_FORWARD, filter = conv->direction == CUDNN_FILTER;
    const int32_t k = (int32_t)conv->y[3], terms = conv->kernel[0] * conv->kernel[1] * (int32_t)conv->x[3];
    float *w = cuda_scratch(list, (int64_t)k * terms);
    cudnn_tensors at = { .w = w, .bias = c->epilogue.bias.data, .residual = c->epilogue.residual.data };
    at.x = forward || filter ? c->in[0].data : c->out[0].data;
    at.y = filter ? c->in[1].data : forward ? c->out[0].data : c->in[0].data;
    if (!filter) emit_turned(list, cuda_in(c, 1), w, terms, k);
    cuda_emit_conv(list, plan, &at);
    if (filter) emit_turned(list, w, cuda_out(c), k, terms);
    else if (!(conv->bias || conv->residual || conv->relu)) cuda_emit_tail(c, list);
}

/* ---- bfloat16 --------------------------------------------------------------------------------------------------------------- */

static uint16_t *scratch_bf16(cuda_launches *list, const int32_t dim[3])
{
    return (uint16_t *)cuda_scratch(list, ((int64_t)dim[0] * dim[1] * dim[2] + 1) / 2);
}

/* A tensor in both forms: [limit] in float, with these strides, and [dim] in bfloat16, row-major; seen from the latter. */
typedef struct halved {
    int32_t dim[3], limit[3], stride[3];
} halved;

static halved halved_image(const gen_shape *image, int64_t channels)
{
    const int32_t c = (int32_t)image->dim[3], pixels = (int32_t)(image->dim[0] * image->dim[1] * image->dim[2]);
    return (halved){ { 1, pixels, (int32_t)channels }, { 1, pixels, c }, { 0, c, 1 } };
}

/* [R,S,C,K] and [K,R,S,C] */
static halved halved_filter(const gen_shape *w, const cudnn_conv *conv)
{
    const int32_t taps = (int32_t)(w->dim[0] * w->dim[1]), c = (int32_t)w->dim[2], k = (int32_t)w->dim[3];
    return (halved){ { (int32_t)conv->y[3], taps, (int32_t)conv->x[3] }, { k, taps, c }, { 1, c * k, k } };
}

static uint16_t *emit_to_bf16(cuda_launches *list, const float *x, const halved *h)
{
    to_bf16_args a = { .x = x, .y = scratch_bf16(list, h->dim), .n = h->dim[0] * h->dim[1] * h->dim[2] };
    memcpy(a.dim, h->dim, sizeof a.dim);
    memcpy(a.limit, h->limit, sizeof a.limit);
    memcpy(a.stride, h->stride, sizeof a.stride);
    EMIT_ITEMS(list, to_bf16, &a);
    return a.y;
}

static void emit_image_back(const gen_call *c, cuda_launches *list, const uint16_t *x, const halved *h)
{
    from_bf16_args a = { .x = x, .y = cuda_out(c), .tail = cuda_tail_of(c), .n = cuda_count(&c->out[0]) };
    memcpy(a.dim, h->limit, sizeof a.dim);
    a.stride[1] = h->dim[2];
    a.stride[2] = 1;
    EMIT_ITEMS(list, from_bf16, &a);
}

static void emit_filter_back(const gen_call *c, cuda_launches *list, const uint16_t *x, const halved *h)
{
    from_bf16_args a = { .x = x, .y = cuda_out(c), .n = cuda_count(&c->out[0]) };
    a.tail.act = GEN_OP_COUNT;
    a.dim[0] = h->limit[1]; /* taps, channels, filters */
    a.dim[1] = h->limit[2];
    a.dim[2] = h->limit[0];
    a.stride[0] = h->dim[2];
    a.stride[1] = 1;
    a.stride[2] = h->dim[1] * h->dim[2];
    EMIT_ITEMS(list, from_bf16, &a);
}

static void lower_bf16(const gen_call *c, cuda_launches *list, const cudnn_plan *plan)
{
    const cudnn_conv *conv = &plan->conv;
    const gen_shape *out = &c->out[0].shape;
    halved x, y, w;
    cudnn_tensors at = { 0 };
    if (conv->direction == CUDNN_FILTER) {
        x = halved_image(&c->in[0].shape, conv->x[3]);
        y = halved_image(&c->in[1].shape, conv->y[3]);
        w = halved_filter(out, conv);
        at.x = emit_to_bf16(list, cuda_in(c, 0), &x);
        at.y = emit_to_bf16(list, cuda_in(c, 1), &y);
        at.w = scratch_bf16(list, w.dim);
        cuda_emit_conv(list, plan, &at);
        emit_filter_back(c, list, at.w, &w);
        return;
    }
    const bool forward = conv->direction == CUDNN_FORWARD;
    x = halved_image(&c->in[0].shape, forward ? conv->x[3] : conv->y[3]);
    y = halved_image(out, forward ? conv->y[3] : conv->x[3]);
    w = halved_filter(&c->in[1].shape, conv);
    void *from = emit_to_bf16(list, cuda_in(c, 0), &x), *to = scratch_bf16(list, y.dim);
    at.x = forward ? from : to;
    at.y = forward ? to : from;
    at.w = emit_to_bf16(list, cuda_in(c, 1), &w);
    cuda_emit_conv(list, plan, &at);
    emit_image_back(c, list, to, &y);
}

bool lower_conv_by_cudnn(const gen_call *c, cuda_launches *list)
{
    cudnn_conv conv;
    cudnn *dnn = list->products.dnn;
    if (!dnn || !cuda_conv_of(c, list->products.precision, &conv)) return false;
    const cudnn_plan *plan = plan_of(dnn, &conv);
    if (!plan) return false;
    if (conv.bf16) lower_bf16(c, list, plan);
    else lower_floats(c, list, plan);
    return true;
}
