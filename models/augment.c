/* Two passes of matrices, first over rows and then over columns: a shear of the rows by a and one of the columns by -a is a turn by a but for terms of
 * a^2 (Catmull & Smith 1980). In a pass
 *
 *   y[n,i,j] = sum_k A[n,i,j,k] x[n,i,k],   A = max(0, 1 - |k - (scale j + shift + shear i)|)        i, j, k from the picture's middle
 *
 * so place j of row i is read between its two neighbours. */
#include "models/augment.h"

/* U(-most, most), one for each picture [N,1,1,1] */
static gen_node *random_amount(gen_graph *g, int64_t n, double most)
{
    return gen_affine(g, gen_uniform(g, GEN_SHAPE(n, 1, 1, 1)), 2 * most, -most);
}

/* 0, 1, … n - 1 less their mean */
static gen_node *ramp(gen_graph *g, gen_shape shape, int64_t n)
{
    float *values = gen_arena_alloc(gen_graph_arena(g), (size_t)n * sizeof *values);
    for (int64_t i = 0; values && i < n; i++) values[i] = (float)((double)i - 0.5 * (double)(n - 1));
    if (values) return gen_const(g, shape, values);
    gen_graph_fail(g, GEN_NO_MEMORY, "no memory for %lld places", (long long)n);
    return gen_fill(g, shape, 0);
}

/* x[N,H,W,C]; scale, shift, shear [N,1,1,1] */
static gen_node *resample_rows(gen_graph *g, gen_node *x, gen_node *scale, gen_node *shift, gen_node *shear)
{
    int64_t n = x->shape.dim[0], h = x->shape.dim[1], w = x->shape.dim[2], c = x->shape.dim[3];
    gen_node *at = gen_add(g, gen_mul(g, ramp(g, GEN_SHAPE(1, 1, w, 1), w), scale), shift); /* [N,1,W,1] */
    gen_node *lean = gen_mul(g, ramp(g, GEN_SHAPE(1, h, 1, 1), h), shear);                  /* [N,H,1,1] */
    at = gen_add(g, gen_broadcast(g, at, GEN_SHAPE(n, h, w, 1)), lean);
    gen_node *far = gen_abs(g, gen_sub(g, ramp(g, GEN_SHAPE(1, 1, 1, w), w), at)); /* [N,H,W,W] */
    gen_node *a = gen_reshape(g, gen_relu(g, gen_affine(g, far, -1, 1)), GEN_SHAPE(n * h, w, w));
    return gen_reshape(g, gen_matmul(g, a, gen_reshape(g, x, GEN_SHAPE(n * h, w, c)), false, false), x->shape);
}

gen_node *gen_augment_pictures(gen_graph *g, gen_node *x, const gen_augment *how)
{
    static const double degree = 0.01745329251994329577;
    static const int32_t swapped[] = { 0, 2, 1, 3 };
    if (how->shift_px == 0 && how->zoom == 0 && how->turn_degrees == 0 && !how->flip) return x;
    gen_graph_scope(g, "augment");
    int64_t n = x->shape.dim[0];
    gen_node *shear = random_amount(g, n, how->turn_degrees * degree);
    gen_node *wide = gen_affine(g, random_amount(g, n, how->zoom), 1, 1);
    gen_node *high = gen_affine(g, random_amount(g, n, how->zoom), 1, 1);
    gen_node *across = random_amount(g, n, how->shift_px), *down = random_amount(g, n, how->shift_px);
    if (how->flip) {
        gen_node *half = gen_bernoulli(g, GEN_SHAPE(n, 1, 1, 1), 0.5);
        wide = gen_mul(g, wide, gen_affine(g, half, -2, 1));
    }
    x = resample_rows(g, x, wide, across, shear);
    x = gen_transpose(g, resample_rows(g, gen_transpose(g, x, swapped), high, down, gen_neg(g, shear)), swapped);
    gen_graph_scope(g, "");
    return gen_stop(g, x);
}
