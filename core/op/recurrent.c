/* Recurrent layers over whole sequences (equations: core/graph.h). One op is T steps, so that weights are packed once, the gates never leave the cache
 * before they are used, and the gradient of the weights is one product over all steps. */
#include "core/op/family.h"

/* xg[T,N,gates H], w[H,gates H], states [N,H] from input number `states` on */
static gen_status check_sequence(const gen_node *y, int64_t gates, int32_t states, gen_error *err)
{
    const gen_shape *xg = &y->in[0]->shape, *w = &y->in[1]->shape;
    GEN_TRY(op_need_rank(y, 0, 3, "the gates' inputs", err));
    GEN_TRY(op_need_rank(y, 1, 2, "w", err));
    if (w->dim[1] != gates * w->dim[0] || xg->dim[2] != w->dim[1])
        return gen_fail(err, GEN_BAD_SHAPE,
                        "w must be [H,%lldH] and the gates' inputs [T,N,%lldH]; they have %lldx%lld and %lld columns",
                        (long long)gates, (long long)gates, (long long)w->dim[0], (long long)w->dim[1],
                        (long long)xg->dim[2]);
    gen_shape state = GEN_SHAPE(xg->dim[1], w->dim[0]);
    for (int32_t i = states; i < 4; i++)
        if (!gen_shape_equal(&y->in[i]->shape, &state))
            return gen_fail(err, GEN_BAD_SHAPE, "a state must be [N,H] = [%lld,%lld]", (long long)state.dim[0],
                            (long long)state.dim[1]);
    return GEN_OK;
}

gen_status infer_lstm(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(check_sequence(y, 4, 2, err));
    const gen_shape *xg = &y->in[0]->shape;
    *out = GEN_SHAPE(6, xg->dim[0], xg->dim[1], xg->dim[2] / 4);
    return GEN_OK;
}

gen_status infer_gru(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(check_sequence(y, 3, 3, err));
    const gen_shape *xg = &y->in[0]->shape, bias = GEN_SHAPE(xg->dim[2]);
    if (!gen_shape_equal(&y->in[2]->shape, &bias))
        return gen_fail(err, GEN_BAD_SHAPE, "b must have 3H = %lld numbers", (long long)bias.dim[0]);
    *out = GEN_SHAPE(5, xg->dim[0], xg->dim[1], xg->dim[2] / 3);
    return GEN_OK;
}

/* dy of n planes from `first` on: of the first four, which the gates share, all or none */
static bool may_be_given(int64_t first, int64_t n)
{
    return first >= 4 || (first == 0 && n >= 4);
}

/* in: planes, w, state, dy: of the planes from start[0] on */
static gen_status infer_dx(const gen_node *y, gen_shape *out, gen_error *err)
{
    const gen_shape *planes = &y->in[0]->shape, *dy = &y->in[3]->shape;
    GEN_TRY(op_need_rank(y, 0, 4, "the planes", err));
    GEN_TRY(op_need_rank(y, 3, 4, "dy", err));
    gen_shape given = *planes;
    given.dim[0] = dy->dim[0];
    if (!gen_shape_equal(&given, dy) || !may_be_given(y->attr.start[0], dy->dim[0]) ||
        y->attr.start[0] + dy->dim[0] > planes->dim[0])
        return gen_fail(err, GEN_BAD_SHAPE,
                        "dy must have the shape of the planes, or of some that follow each other, all gates or none");
    *out = GEN_SHAPE(planes->dim[1] + 1, planes->dim[2], 4 * planes->dim[3]);
    return GEN_OK;
}

gen_status infer_lstm_dx(const gen_node *y, gen_shape *out, gen_error *err)
{
    return infer_dx(y, out, err);
}

gen_status infer_gru_dx(const gen_node *y, gen_shape *out, gen_error *err)
{
    return infer_dx(y, out, err);
}

gen_node *gen_lstm(gen_graph *g, gen_node *xg, gen_node *w, gen_node *h0, gen_node *c0)
{
    return gen_node_new(g, GEN_OP_LSTM, 4, (gen_node *[]){ xg, w, h0, c0 }, NULL);
}

gen_node *gen_gru(gen_graph *g, gen_node *xg, gen_node *w, gen_node *b, gen_node *h0)
{
    return gen_node_new(g, GEN_OP_GRU, 4, (gen_node *[]){ xg, w, b, h0 }, NULL);
}

gen_node *gen_plane(gen_graph *g, gen_node *planes, int32_t i)
{
    const gen_shape *s = &planes->shape;
    return gen_reshape(g, gen_slice(g, planes, 0, i, 1), GEN_SHAPE(s->dim[1], s->dim[2], s->dim[3]));
}

/* The states that entered each step [T N,H]: first, then those that left all steps but the last. h: plane `plane` of y[P,T,N,H] */
static gen_node *states_before(gen_graph *g, gen_node *y, int32_t plane, gen_node *first)
{
    int64_t t = y->shape.dim[1], n = y->shape.dim[2], h = y->shape.dim[3];
    if (t == 1) return first;
    gen_node *left = gen_slice(g, gen_reshape(g, gen_plane(g, y, plane), GEN_SHAPE(t * n, h)), 0, 0, (t - 1) * n);
    return gen_concat(g, 2, (gen_node *[]){ first, left }, 0);
}

/* The gradient back through time. Where dy is that of some planes in a field of zeros (of h alone in most models), the zeros are never written down. */
static gen_node *back_through_time(gen_graph *g, gen_op op, gen_node *y, gen_node *w, gen_node *state, gen_node *dy)
{
    gen_attr attr = { 0 };
    while (dy->op == GEN_OP_RESHAPE && gen_shape_equal(&dy->shape, &dy->in[0]->shape)) dy = dy->in[0];
    if (dy->op == GEN_OP_SLICE_T) {
        gen_shape planes = dy->in[0]->shape;
        planes.dim[0] = dy->shape.dim[0];
        if (gen_shape_equal(&planes, &dy->shape) && dy->attr.step[0] == 1 &&
            may_be_given(dy->attr.start[0], dy->in[0]->shape.dim[0])) {
            attr.start[0] = dy->attr.start[0];
            dy = dy->in[0];
        }
    }
    return gen_node_new(g, op, 4, (gen_node *[]){ y, w, state, dy }, &attr);
}

/* sum over steps of (the state that entered the step)^T (the gradient da[T N,width] before the gates): one product; zeros add nothing */
static gen_node *recurrent_weights(gen_graph *g, gen_node *y, int32_t plane, gen_node *first, gen_node *da)
{
    int64_t n = y->shape.dim[2], rows = da->shape.dim[0] - n;
    bool starts_with_zeros = first->op == GEN_OP_CONST && !first->attr.data && first->attr.a == 0 && rows > 0;
    if (!starts_with_zeros) return gen_matmul(g, states_before(g, y, plane, first), da, true, false);
    gen_node *left = gen_reshape(g, gen_plane(g, y, plane), GEN_SHAPE(rows + n, y->shape.dim[3]));
    return gen_matmul(g, gen_slice(g, left, 0, 0, rows), gen_slice(g, da, 0, n, rows), true, false);
}

void grad_lstm(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    gen_node *w = y->in[1], *h0 = y->in[2], *c0 = y->in[3];
    int64_t t = y->shape.dim[1], n = y->shape.dim[2], h = y->shape.dim[3];
    gen_node *d = back_through_time(g, GEN_OP_LSTM_DX, y, w, c0, dy);
    gen_node *gates = gen_slice(g, d, 0, 0, t);
    if (want[0]) dx[0] = gates;
    if (want[1]) dx[1] = recurrent_weights(g, y, 5, h0, gen_reshape(g, gates, GEN_SHAPE(t * n, 4 * h)));
    if (want[2]) dx[2] = gen_matmul(g, gen_reshape(g, gen_slice(g, d, 0, 0, 1), GEN_SHAPE(n, 4 * h)), w, false, true);
    if (want[3]) dx[3] = gen_slice(g, gen_reshape(g, gen_slice(g, d, 0, t, 1), GEN_SHAPE(n, 4 * h)), 1, 0, h);
}

void grad_gru(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    gen_node *w = y->in[1], *h0 = y->in[3];
    int64_t t = y->shape.dim[1], n = y->shape.dim[2], h = y->shape.dim[3];
    gen_node *d = back_through_time(g, GEN_OP_GRU_DX, y, w, h0, dy);
    gen_node *gates = gen_reshape(g, gen_slice(g, d, 0, 0, t), GEN_SHAPE(t * n, 4 * h));
    gen_node *rz = gen_slice(g, gates, 1, 0, 2 * h), *q = gen_slice(g, gates, 1, 3 * h, h);
    gen_node *recurrent = gen_concat(g, 2, (gen_node *[]){ rz, q }, 1); /* gradient before h w + b [T N,3H] */
    if (want[0]) dx[0] = gen_reshape(g, gen_slice(g, gates, 1, 0, 3 * h), GEN_SHAPE(t, n, 3 * h));
    if (want[1]) dx[1] = recurrent_weights(g, y, 4, h0, recurrent);
    if (want[2]) dx[2] = gen_reshape(g, gen_sum(g, recurrent, GEN_AXIS(0)), GEN_SHAPE(3 * h));
    if (want[3]) dx[3] = gen_slice(g, gen_reshape(g, gen_slice(g, d, 0, t, 1), GEN_SHAPE(n, 4 * h)), 1, 0, h);
}
