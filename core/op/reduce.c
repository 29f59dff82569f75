/* Reductions over a set of axes, which stay with size 1, and what is made of them: mean, softmax. */
#include "core/op/family.h"

static uint32_t axes_of(const gen_node *x, uint32_t axes)
{
    return axes & ((1u << x->shape.rank) - 1);
}

static int64_t reduced_count(const gen_node *x, uint32_t axes)
{
    int64_t count = 1;
    for (int32_t i = 0; i < x->shape.rank; i++)
        if (axes & GEN_AXIS(i)) count *= x->shape.dim[i];
    return count;
}

gen_status infer_reduce(const gen_node *y, gen_shape *out, gen_error *err)
{
    (void)err;
    *out = y->in[0]->shape;
    for (int32_t i = 0; i < out->rank; i++)
        if (y->attr.axes & GEN_AXIS(i)) out->dim[i] = 1;
    return GEN_OK;
}

gen_status infer_argmax(const gen_node *y, gen_shape *out, gen_error *err)
{
    if (y->in[0]->shape.rank < 1) return gen_fail(err, GEN_BAD_SHAPE, "a single number has no last axis");
    *out = y->in[0]->shape;
    out->dim[out->rank - 1] = 1;
    return GEN_OK;
}

gen_status infer_sum_squares(const gen_node *y, gen_shape *out, gen_error *err)
{
    *out = (gen_shape){ 0 };
    return y->n_in > 0 ? GEN_OK : gen_fail(err, GEN_BAD_SHAPE, "there is nothing to square");
}

/* Axes of size 1 are left out: they need no work, and a reduction over none of them is the input itself. */
static gen_node *reduce(gen_graph *g, gen_op op, gen_node *x, uint32_t axes)
{
    axes = axes_of(x, axes);
    for (int32_t i = 0; i < x->shape.rank; i++)
        if (x->shape.dim[i] == 1) axes &= ~GEN_AXIS(i);
    return axes ? gen_node_new(g, op, 1, &x, &(gen_attr){ .axes = axes }) : x;
}

gen_node *gen_sum(gen_graph *g, gen_node *x, uint32_t axes)
{
    return reduce(g, GEN_OP_SUM, x, axes);
}

gen_node *gen_mean_of(gen_graph *g, gen_node *x, uint32_t axes)
{
    return gen_scale(g, gen_sum(g, x, axes), 1.0 / (double)reduced_count(x, axes_of(x, axes)));
}

gen_node *gen_max_of(gen_graph *g, gen_node *x, uint32_t axes)
{
    return reduce(g, GEN_OP_MAX_OF, x, axes);
}

gen_node *gen_lse(gen_graph *g, gen_node *x, uint32_t axes)
{
    return reduce(g, GEN_OP_LSE, x, axes);
}

gen_node *gen_log_softmax(gen_graph *g, gen_node *x, uint32_t axes)
{
    return gen_sub(g, x, gen_lse(g, x, axes));
}

gen_node *gen_softmax(gen_graph *g, gen_node *x, uint32_t axes)
{
    return gen_exp(g, gen_log_softmax(g, x, axes));
}

gen_node *gen_argmax(gen_graph *g, gen_node *x)
{
    return gen_node_new(g, GEN_OP_ARGMAX, 1, &x, NULL);
}

gen_node *gen_sum_all(gen_graph *g, gen_node *x)
{
    return gen_reshape(g, gen_sum(g, x, GEN_ALL_AXES), (gen_shape){ 0 });
}

gen_node *gen_sum_squares(gen_graph *g, int32_t n, gen_node *const *x)
{
    return gen_node_new(g, GEN_OP_SUM_SQUARES, n, x, NULL);
}

gen_node *gen_mean(gen_graph *g, gen_node *x)
{
    return gen_scale(g, gen_sum_all(g, x), 1.0 / (double)gen_shape_count(&x->shape));
}

gen_node *gen_sum_to(gen_graph *g, gen_node *x, gen_shape shape)
{
    if (gen_shape_equal(&x->shape, &shape)) return x;
    int32_t extra = x->shape.rank - shape.rank; /* leading axes that broadcasting added */
    uint32_t axes = 0;
    for (int32_t i = 0; i < x->shape.rank; i++)
        if (i < extra || (shape.dim[i - extra] == 1 && x->shape.dim[i] != 1)) axes |= GEN_AXIS(i);
    return gen_reshape(g, gen_sum(g, x, axes), shape);
}

void grad_sum(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    if (want[0]) dx[0] = gen_broadcast(g, dy, y->in[0]->shape);
}

/* shared equally among equal largest elements, so that the result does not depend on their order */
void grad_max_of(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    if (!want[0]) return;
    gen_node *is_max = gen_equal(g, y->in[0], y);
    dx[0] = gen_mul(g, is_max, gen_div(g, dy, gen_sum(g, is_max, y->attr.axes)));
}

void grad_lse(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    if (want[0]) dx[0] = gen_mul(g, dy, gen_exp(g, gen_sub(g, y->in[0], y)));
}

void grad_sum_squares(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    for (int32_t i = 0; i < y->n_in; i++)
        if (want[i]) dx[i] = gen_mul(g, gen_scale(g, y->in[i], 2), dy);
}
