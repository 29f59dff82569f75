/* Pooling, upsampling and bilinear resizing of x[N,H,W,C]. sum_pool and its adjoint serve average pooling and nearest upsampling. */
#include "core/op/family.h"

#include <string.h>

static gen_status pooled_shape(const gen_shape *x, const gen_window *window, gen_shape *out, gen_error *err)
{
    if (x->rank != 4) return gen_fail(err, GEN_BAD_SHAPE, "x has %d axes, expected 4: [N,H,W,C]", x->rank);
    int64_t p = gen_window_out(window, 0, x->dim[1]), q = gen_window_out(window, 1, x->dim[2]);
    if (p < 1 || q < 1)
        return gen_fail(err, GEN_BAD_SHAPE, "a window of %dx%d does not fit into %lldx%lld pixels", window->kernel[0],
                        window->kernel[1], (long long)x->dim[1], (long long)x->dim[2]);
    *out = GEN_SHAPE(x->dim[0], p, q, x->dim[3]);
    return GEN_OK;
}

gen_status infer_pool(const gen_node *y, gen_shape *out, gen_error *err)
{
    if (y->n_in == 2 && !gen_shape_equal(&y->in[0]->shape, &y->in[1]->shape))
        return gen_fail(err, GEN_BAD_SHAPE, "v must have the shape of x");
    return pooled_shape(&y->in[0]->shape, &y->attr.window, out, err);
}

gen_status infer_pool_t(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(op_need_rank(y, 0, 4, "y", err));
    const gen_shape *small = &y->in[0]->shape;
    gen_shape x = GEN_SHAPE(small->dim[0], y->attr.shape.dim[1], y->attr.shape.dim[2], small->dim[3]), back;
    GEN_TRY(pooled_shape(&x, &y->attr.window, &back, err));
    if (!gen_shape_equal(&back, small))
        return gen_fail(err, GEN_BAD_SHAPE, "%lldx%lld pixels cannot become %lldx%lld", (long long)small->dim[1],
                        (long long)small->dim[2], (long long)x.dim[1], (long long)x.dim[2]);
    *out = x;
    return GEN_OK;
}

gen_status infer_max_pick_t(const gen_node *y, gen_shape *out, gen_error *err)
{
    gen_shape pooled;
    GEN_TRY(pooled_shape(&y->in[0]->shape, &y->attr.window, &pooled, err));
    if (!gen_shape_equal(&pooled, &y->in[1]->shape))
        return gen_fail(err, GEN_BAD_SHAPE, "dy is not what pooling makes of x");
    *out = y->in[0]->shape;
    return GEN_OK;
}

gen_status infer_resize(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(op_need_rank(y, 0, 4, "x", err));
    const gen_shape *x = &y->in[0]->shape;
    if (y->attr.shape.dim[1] < 1 || y->attr.shape.dim[2] < 1)
        return gen_fail(err, GEN_BAD_SHAPE, "the new size is less than one pixel");
    *out = GEN_SHAPE(x->dim[0], y->attr.shape.dim[1], y->attr.shape.dim[2], x->dim[3]);
    return GEN_OK;
}

gen_node *gen_sum_pool(gen_graph *g, gen_node *x, gen_window window)
{
    return gen_node_new(g, GEN_OP_SUM_POOL, 1, &x, &(gen_attr){ .window = window });
}

gen_node *gen_sum_pool_t(gen_graph *g, gen_node *x, gen_window window, int64_t out_h, int64_t out_w)
{
    return gen_node_new(g, GEN_OP_SUM_POOL_T, 1, &x,
                        &(gen_attr){ .window = window, .shape = GEN_SHAPE(1, out_h, out_w, 1) });
}

gen_node *gen_upsample(gen_graph *g, gen_node *x, int32_t scale)
{
    return gen_sum_pool_t(g, x, gen_window_of(scale, scale, 0), x->shape.dim[1] * scale, x->shape.dim[2] * scale);
}

gen_node *gen_avg_pool(gen_graph *g, gen_node *x, gen_window window)
{
    return gen_scale(g, gen_sum_pool(g, x, window), 1.0 / ((double)window.kernel[0] * window.kernel[1]));
}

static gen_node *max_pick(gen_graph *g, gen_node *x, gen_node *v, gen_window window)
{
    return gen_node_new(g, GEN_OP_MAX_PICK, 2, (gen_node *[]){ x, v }, &(gen_attr){ .window = window });
}

gen_node *gen_max_pool(gen_graph *g, gen_node *x, gen_window window)
{
    return max_pick(g, x, x, window);
}

gen_node *gen_global_avg_pool(gen_graph *g, gen_node *x)
{
    return gen_mean_of(g, x, GEN_AXIS(1) | GEN_AXIS(2));
}

static gen_node *resize(gen_graph *g, gen_op op, gen_node *x, int64_t out_h, int64_t out_w)
{
    return gen_node_new(g, op, 1, &x, &(gen_attr){ .shape = GEN_SHAPE(1, out_h, out_w, 1) });
}

gen_node *gen_resize_bilinear(gen_graph *g, gen_node *x, int64_t out_h, int64_t out_w)
{
    return resize(g, GEN_OP_RESIZE, x, out_h, out_w);
}

void grad_sum_pool(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    const gen_shape *x = &y->in[0]->shape;
    if (want[0]) dx[0] = gen_sum_pool_t(g, dy, y->attr.window, x->dim[1], x->dim[2]);
}

void grad_sum_pool_t(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    if (want[0]) dx[0] = gen_sum_pool(g, dy, y->attr.window);
}

/* The places of the maxima do not move with x (almost everywhere), so only v gets a gradient; for max pooling v is x. */
void grad_max_pick(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    gen_attr attr = { .window = y->attr.window };
    if (want[1]) dx[1] = gen_node_new(g, GEN_OP_MAX_PICK_T, 2, (gen_node *[]){ y->in[0], dy }, &attr);
}

void grad_max_pick_t(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    if (want[1]) dx[1] = max_pick(g, y->in[0], dy, y->attr.window);
}

void grad_resize(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    const gen_shape *x = &y->in[0]->shape;
    if (want[0]) dx[0] = resize(g, GEN_OP_RESIZE_T, dy, x->dim[1], x->dim[2]);
}

void grad_resize_t(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    const gen_shape *x = &y->in[0]->shape;
    if (want[0]) dx[0] = resize(g, GEN_OP_RESIZE, dy, x->dim[1], x->dim[2]);
}
