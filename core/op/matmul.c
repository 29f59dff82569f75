/* matmul: y[..,m,n] = sum_k a[..,m,k] b[..,k,n], each factor possibly stored transposed. */
#include "core/op/family.h"

gen_status infer_matmul(const gen_node *y, gen_shape *out, gen_error *err)
{
    const gen_shape *a = &y->in[0]->shape, *b = &y->in[1]->shape;
    if (a->rank < 2 || a->rank != b->rank)
        return gen_fail(err, GEN_BAD_SHAPE, "factors have %d and %d axes, expected the same number, at least 2",
                        a->rank, b->rank);
    int32_t r = a->rank;
    for (int32_t i = 0; i < r - 2; i++)
        if (a->dim[i] != b->dim[i])
            return gen_fail(err, GEN_BAD_SHAPE, "axis %d of the batch is %lld and %lld", i, (long long)a->dim[i],
                            (long long)b->dim[i]);
    int64_t m = a->dim[r - 2 + y->attr.trans_a], ka = a->dim[r - 1 - y->attr.trans_a];
    int64_t kb = b->dim[r - 2 + y->attr.trans_b], n = b->dim[r - 1 - y->attr.trans_b];
    if (ka != kb) return gen_fail(err, GEN_BAD_SHAPE, "inner sizes are %lld and %lld", (long long)ka, (long long)kb);
    *out = *a;
    out->dim[r - 2] = m;
    out->dim[r - 1] = n;
    return GEN_OK;
}

static gen_node *product(gen_graph *g, gen_node *a, gen_node *b, bool trans_a, bool trans_b)
{
    return gen_node_new(g, GEN_OP_MATMUL, 2, (gen_node *[]){ a, b },
                        &(gen_attr){ .trans_a = trans_a, .trans_b = trans_b });
}

gen_node *gen_matmul(gen_graph *g, gen_node *a, gen_node *b, bool trans_a, bool trans_b)
{
    int32_t r = a->shape.rank;
    if (b->shape.rank != 2 || r <= 2 || trans_a) return product(g, a, b, trans_a, trans_b);
    /* one matrix for all: the batch is more rows */
    int64_t k = a->shape.dim[r - 1], rows = gen_shape_count(&a->shape) / (k ? k : 1);
    gen_node *y = product(g, gen_reshape(g, a, GEN_SHAPE(rows, k)), b, false, trans_b);
    gen_shape shape = a->shape;
    shape.dim[r - 1] = y->shape.rank == 2 ? y->shape.dim[1] : 1;
    return gen_reshape(g, y, shape);
}

void grad_matmul(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    gen_node *a = y->in[0], *b = y->in[1];
    bool ta = y->attr.trans_a, tb = y->attr.trans_b;
    if (want[0]) dx[0] = ta ? product(g, b, dy, tb, true) : product(g, dy, b, false, !tb);
    if (want[1]) dx[1] = tb ? product(g, dy, a, true, ta) : product(g, a, dy, !ta, false);
}
