/* Ops that move numbers: each is linear, and its adjoint is in the same family. */
#include "core/op/family.h"

#include <string.h>

/* ---- reshape, transpose, broadcast ---------------------------------------------------------------------------------- */

gen_status infer_reshape(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(infer_fixed(y, out, err));
    int64_t have = gen_shape_count(&y->in[0]->shape), want = gen_shape_count(out);
    char text[64];
    if (have != want)
        return gen_fail(err, GEN_BAD_SHAPE, "%lld numbers do not fill %s", (long long)have,
                        gen_shape_text(out, text, sizeof text));
    return GEN_OK;
}

gen_node *gen_reshape(gen_graph *g, gen_node *x, gen_shape shape)
{
    int64_t known = 1;
    int32_t open = -1;
    for (int32_t i = 0; i < shape.rank; i++) {
        if (shape.dim[i] == -1) open = i;
        else known *= shape.dim[i];
    }
    if (open >= 0) shape.dim[open] = known > 0 ? gen_shape_count(&x->shape) / known : 1;
    if (gen_shape_equal(&x->shape, &shape)) return x;
    if (x->op == GEN_OP_RESHAPE) return gen_reshape(g, x->in[0], shape);
    if (x->op == GEN_OP_CONST && !x->attr.data && gen_shape_count(&shape) == gen_shape_count(&x->shape))
        return gen_fill(g, shape, x->attr.a);
    return gen_node_new(g, GEN_OP_RESHAPE, 1, &x, &(gen_attr){ .shape = shape });
}

void grad_reshape(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    if (want[0]) dx[0] = gen_reshape(g, dy, y->in[0]->shape);
}

gen_status infer_transpose(const gen_node *y, gen_shape *out, gen_error *err)
{
    const gen_shape *x = &y->in[0]->shape;
    uint32_t seen = 0;
    *out = *x;
    for (int32_t i = 0; i < x->rank; i++) {
        int32_t from = y->attr.perm[i];
        if (from < 0 || from >= x->rank || (seen & GEN_AXIS(from)))
            return gen_fail(err, GEN_BAD_SHAPE, "perm is not a permutation of the axes");
        seen |= GEN_AXIS(from);
        out->dim[i] = x->dim[from];
    }
    return GEN_OK;
}

gen_node *gen_transpose(gen_graph *g, gen_node *x, const int32_t *perm)
{
    gen_attr attr = { 0 };
    memcpy(attr.perm, perm, (size_t)x->shape.rank * sizeof *perm);
    return gen_node_new(g, GEN_OP_TRANSPOSE, 1, &x, &attr);
}

void grad_transpose(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    int32_t back[GEN_MAX_RANK] = { 0 };
    for (int32_t i = 0; i < y->shape.rank; i++) back[y->attr.perm[i]] = i;
    if (want[0]) dx[0] = gen_transpose(g, dy, back);
}

gen_status infer_expand(const gen_node *y, gen_shape *out, gen_error *err)
{
    if (!op_broadcast_shapes(&y->in[0]->shape, &y->attr.shape, out) || !gen_shape_equal(out, &y->attr.shape))
        return gen_fail(err, GEN_BAD_SHAPE, "does not broadcast to the shape asked for");
    return GEN_OK;
}

gen_node *gen_broadcast(gen_graph *g, gen_node *x, gen_shape shape)
{
    if (gen_shape_equal(&x->shape, &shape)) return x;
    if (x->op == GEN_OP_CONST && !x->attr.data) return gen_fill(g, shape, x->attr.a);
    return gen_node_new(g, GEN_OP_BROADCAST, 1, &x, &(gen_attr){ .shape = shape });
}

void grad_broadcast(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    if (want[0]) dx[0] = gen_sum_to(g, dy, y->in[0]->shape);
}

/* ---- slice and its adjoint ------------------------------------------------------------------------------------------ */

/* positions start + i step, i < small, lie in [0, big) on every axis */
static gen_status check_slice(const gen_attr *attr, const gen_shape *big, const gen_shape *small, gen_error *err)
{
    if (big->rank != small->rank) return gen_fail(err, GEN_BAD_SHAPE, "a slice keeps the number of axes");
    for (int32_t i = 0; i < big->rank; i++) {
        int64_t first = attr->start[i], last = first + (small->dim[i] - 1) * attr->step[i];
        if (small->dim[i] < 1 || first < 0 || last < 0 || first >= big->dim[i] || last >= big->dim[i] || !attr->step[i])
            return gen_fail(err, GEN_BAD_SHAPE, "on axis %d, %lld places from %lld by %lld leave 0..%lld", i,
                            (long long)small->dim[i], (long long)first, (long long)attr->step[i],
                            (long long)big->dim[i] - 1);
    }
    return GEN_OK;
}

gen_status infer_slice(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(check_slice(&y->attr, &y->in[0]->shape, &y->attr.shape, err));
    *out = y->attr.shape;
    return GEN_OK;
}

gen_status infer_slice_t(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(infer_fixed(y, out, err));
    return check_slice(&y->attr, out, &y->in[0]->shape, err);
}

static gen_node *slice_node(gen_graph *g, gen_op op, gen_node *x, const int64_t *start, const int64_t *step,
                            gen_shape shape)
{
    gen_attr attr = { .shape = shape };
    memcpy(attr.start, start, sizeof attr.start);
    memcpy(attr.step, step, sizeof attr.step);
    return gen_node_new(g, op, 1, &x, &attr);
}

gen_node *gen_slice_step(gen_graph *g, gen_node *x, const int64_t *start, const int64_t *step, gen_shape shape)
{
    int64_t first[GEN_MAX_RANK] = { 0 }, by[GEN_MAX_RANK];
    for (int32_t i = 0; i < GEN_MAX_RANK; i++) by[i] = 1;
    memcpy(first, start, (size_t)shape.rank * sizeof *first);
    memcpy(by, step, (size_t)shape.rank * sizeof *by);
    return slice_node(g, GEN_OP_SLICE, x, first, by, shape);
}

gen_node *gen_slice(gen_graph *g, gen_node *x, int32_t axis, int64_t start, int64_t count)
{
    int64_t first[GEN_MAX_RANK] = { 0 }, by[GEN_MAX_RANK];
    for (int32_t i = 0; i < GEN_MAX_RANK; i++) by[i] = 1;
    first[axis] = start;
    gen_shape shape = x->shape;
    shape.dim[axis] = count;
    if (gen_shape_equal(&shape, &x->shape)) return x;
    return slice_node(g, GEN_OP_SLICE, x, first, by, shape);
}

gen_node *gen_flip(gen_graph *g, gen_node *x, int32_t axis)
{
    int64_t first[GEN_MAX_RANK] = { 0 }, by[GEN_MAX_RANK];
    for (int32_t i = 0; i < GEN_MAX_RANK; i++) by[i] = 1;
    first[axis] = x->shape.dim[axis] - 1;
    by[axis] = -1;
    return slice_node(g, GEN_OP_SLICE, x, first, by, x->shape);
}

void grad_slice(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    if (want[0]) dx[0] = slice_node(g, GEN_OP_SLICE_T, dy, y->attr.start, y->attr.step, y->in[0]->shape);
}

void grad_slice_t(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    if (want[0]) dx[0] = slice_node(g, GEN_OP_SLICE, dy, y->attr.start, y->attr.step, y->in[0]->shape);
}

/* ---- padding of H and W --------------------------------------------------------------------------------------------- */

gen_node *gen_pad_zero(gen_graph *g, gen_node *x, int32_t top, int32_t left, int32_t bottom, int32_t right)
{
    if (!top && !left && !bottom && !right) return x;
    int64_t start[GEN_MAX_RANK] = { 0, top, left, 0 }, step[GEN_MAX_RANK];
    for (int32_t i = 0; i < GEN_MAX_RANK; i++) step[i] = 1;
    gen_shape shape = x->shape;
    shape.dim[1] += top + bottom;
    shape.dim[2] += left + right;
    return slice_node(g, GEN_OP_SLICE_T, x, start, step, shape);
}

gen_status infer_pad(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(op_need_rank(y, 0, 4, "x", err));
    const gen_shape *x = &y->in[0]->shape;
    const int32_t *pad = y->attr.window.pad;
    *out = *x;
    for (int axis = 0; axis < 2; axis++) {
        int64_t n = x->dim[1 + axis], most = y->attr.mode == GEN_PAD_REFLECT ? n - 1 : INT32_MAX;
        if (pad[axis] < 0 || pad[axis + 2] < 0 || pad[axis] > most || pad[axis + 2] > most)
            return gen_fail(
                err, GEN_BAD_SHAPE,
                "padding of %d and %d pixels, expected 0 to %lld (reflection needs a pixel more than it adds)",
                pad[axis], pad[axis + 2], (long long)most);
        out->dim[1 + axis] = n + pad[axis] + pad[axis + 2];
    }
    return GEN_OK;
}

gen_status infer_pad_t(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(op_need_rank(y, 0, 4, "y", err));
    const int32_t *pad = y->attr.window.pad;
    *out = y->in[0]->shape;
    out->dim[1] -= pad[0] + pad[2];
    out->dim[2] -= pad[1] + pad[3];
    return out->dim[1] < 1 || out->dim[2] < 1 ? gen_fail(err, GEN_BAD_SHAPE, "smaller than its padding") : GEN_OK;
}

static gen_node *pad_node(gen_graph *g, gen_op op, gen_node *x, const gen_attr *like)
{
    return gen_node_new(g, op, 1, &x, &(gen_attr){ .mode = like->mode, .window = like->window });
}

gen_node *gen_pad(gen_graph *g, gen_node *x, gen_pad_mode mode, int32_t top, int32_t left, int32_t bottom,
                  int32_t right)
{
    if (!top && !left && !bottom && !right) return x;
    return pad_node(g, GEN_OP_PAD, x,
                    &(gen_attr){ .mode = (int32_t)mode, .window = { .pad = { top, left, bottom, right } } });
}

void grad_pad(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    if (want[0]) dx[0] = pad_node(g, GEN_OP_PAD_T, dy, &y->attr);
}

void grad_pad_t(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    if (want[0]) dx[0] = pad_node(g, GEN_OP_PAD, dy, &y->attr);
}

/* ---- concat ---------------------------------------------------------------------------------------------------------- */

gen_status infer_concat(const gen_node *y, gen_shape *out, gen_error *err)
{
    int32_t axis = y->attr.axis;
    *out = y->in[0]->shape;
    if (axis < 0 || axis >= out->rank)
        return gen_fail(err, GEN_BAD_SHAPE, "axis %d is not 0 to %d", axis, out->rank - 1);
    for (int32_t i = 1; i < y->n_in; i++) {
        gen_shape next = y->in[i]->shape;
        int64_t size = next.rank > axis ? next.dim[axis] : 0;
        if (next.rank > axis) next.dim[axis] = out->dim[axis];
        if (!gen_shape_equal(&next, out))
            return gen_fail(err, GEN_BAD_SHAPE, "input %d differs from input 0 on another axis than %d", i, axis);
        out->dim[axis] += size;
    }
    return GEN_OK;
}

gen_node *gen_concat(gen_graph *g, int32_t n, gen_node *const *x, int32_t axis)
{
    return n == 1 ? x[0] : gen_node_new(g, GEN_OP_CONCAT, n, x, &(gen_attr){ .axis = axis });
}

void grad_concat(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    int64_t start = 0;
    for (int32_t i = 0; i < y->n_in; i++) {
        int64_t size = y->in[i]->shape.dim[y->attr.axis];
        if (want[i]) dx[i] = gen_slice(g, dy, y->attr.axis, start, size);
        start += size;
    }
}

/* ---- look-up ----------------------------------------------------------------------------------------------------------- */

gen_status infer_gather(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(op_need_rank(y, 0, 2, "the table", err));
    *out = y->in[1]->shape;
    if (out->rank >= GEN_MAX_RANK)
        return gen_fail(err, GEN_BAD_SHAPE, "index has %d axes, expected at most %d", out->rank, GEN_MAX_RANK - 1);
    out->dim[out->rank++] = y->in[0]->shape.dim[1];
    return GEN_OK;
}

gen_status infer_scatter_add(const gen_node *y, gen_shape *out, gen_error *err)
{
    const gen_shape *index = &y->in[0]->shape, *dy = &y->in[1]->shape;
    if (dy->rank != index->rank + 1) return gen_fail(err, GEN_BAD_SHAPE, "dy must have one axis more than index");
    for (int32_t i = 0; i < index->rank; i++)
        if (index->dim[i] != dy->dim[i]) return gen_fail(err, GEN_BAD_SHAPE, "dy and index differ on axis %d", i);
    *out = GEN_SHAPE(y->attr.shape.dim[0], dy->dim[dy->rank - 1]);
    return GEN_OK;
}

gen_node *gen_gather(gen_graph *g, gen_node *table, gen_node *index)
{
    return gen_node_new(g, GEN_OP_GATHER, 2, (gen_node *[]){ table, index }, NULL);
}

void grad_gather(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    gen_attr attr = { .shape = GEN_SHAPE(y->in[0]->shape.dim[0]) };
    if (want[0]) dx[0] = gen_node_new(g, GEN_OP_SCATTER_ADD, 2, (gen_node *[]){ y->in[1], dy }, &attr);
}

void grad_scatter_add(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    if (want[1]) dx[1] = gen_gather(g, dy, y->in[0]);
}

gen_status infer_one_hot(const gen_node *y, gen_shape *out, gen_error *err)
{
    *out = y->in[0]->shape;
    if (out->rank >= GEN_MAX_RANK || y->attr.shape.dim[0] < 1)
        return gen_fail(err, GEN_BAD_SHAPE, "needs at least one class and a free axis");
    out->dim[out->rank++] = y->attr.shape.dim[0];
    return GEN_OK;
}

gen_node *gen_one_hot(gen_graph *g, gen_node *index, int64_t classes)
{
    return gen_node_new(g, GEN_OP_ONE_HOT, 1, &index, &(gen_attr){ .shape = GEN_SHAPE(classes) });
}
