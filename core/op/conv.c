/* The conv triple. T(x, w, dy) = <dy, conv(x, w)> is linear in each argument, and conv2d, conv2d_t, conv2d_w are its partial gradients in dy, x and w.
 * So the gradient of each is the other two, and gradients of gradients need no further op.
 *
 *   conv2d    y[n,p,q,k] = sum_{r,s,c} x[n, p u + r d - top, q u + s d - left, c] w[r,s,c,k]
 */
#include "core/op/family.h"

gen_window gen_window_of(int32_t kernel, int32_t stride, int32_t pad)
{
    return (gen_window){ { kernel, kernel }, { stride, stride }, { pad, pad, pad, pad }, { 1, 1 }, 1 };
}

gen_window gen_window_same(int32_t kernel, int32_t stride, int64_t h, int64_t w)
{
    gen_window window = gen_window_of(kernel, stride, 0);
    int64_t size[2] = { h, w };
    /* total = max((ceil(n/s) - 1) s + k - n, 0); the larger half goes below and right */
    for (int axis = 0; axis < 2; axis++) {
        int64_t total = ((size[axis] + stride - 1) / stride - 1) * stride + kernel - size[axis];
        if (total < 0) total = 0;
        window.pad[axis] = (int32_t)(total / 2);
        window.pad[axis + 2] = (int32_t)(total - total / 2);
    }
    return window;
}

static gen_status check_window(const gen_window *window, gen_error *err)
{
    for (int axis = 0; axis < 2; axis++)
        if (window->kernel[axis] < 1 || window->stride[axis] < 1 || window->dilation[axis] < 1)
            return gen_fail(err, GEN_BAD_SHAPE, "kernel %d, stride %d and dilation %d must all be at least 1",
                            window->kernel[axis], window->stride[axis], window->dilation[axis]);
    if (window->groups < 1) return gen_fail(err, GEN_BAD_SHAPE, "%d groups, expected at least 1", window->groups);
    return GEN_OK;
}

/* x[N,H,W,C], w[R,S,C/groups,K] fit together, and y is [N,P,Q,K] */
static gen_status check_conv(const gen_shape *x, const gen_shape *w, const gen_window *window, gen_shape *y,
                             gen_error *err)
{
    GEN_TRY(check_window(window, err));
    int64_t c = x->dim[3], k = w->dim[3];
    if (w->dim[2] * window->groups != c)
        return gen_fail(err, GEN_BAD_SHAPE, "w has %lld input channels, x has %lld%s",
                        (long long)w->dim[2] * window->groups, (long long)c,
                        window->groups > 1 ? " (groups counted)" : "");
    if (k % window->groups)
        return gen_fail(err, GEN_BAD_SHAPE, "%lld output channels do not divide into %d groups", (long long)k,
                        window->groups);
    int64_t p = gen_window_out(window, 0, x->dim[1]), q = gen_window_out(window, 1, x->dim[2]);
    if (p < 1 || q < 1)
        return gen_fail(err, GEN_BAD_SHAPE, "a window of %dx%d does not fit into %lldx%lld pixels", window->kernel[0],
                        window->kernel[1], (long long)x->dim[1], (long long)x->dim[2]);
    *y = GEN_SHAPE(x->dim[0], p, q, k);
    return GEN_OK;
}

gen_status infer_conv2d(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(op_need_rank(y, 0, 4, "x", err));
    GEN_TRY(op_need_rank(y, 1, 4, "w", err));
    return check_conv(&y->in[0]->shape, &y->in[1]->shape, &y->attr.window, out, err);
}

gen_status infer_conv2d_t(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(op_need_rank(y, 0, 4, "y", err));
    GEN_TRY(op_need_rank(y, 1, 4, "w", err));
    const gen_shape *small = &y->in[0]->shape, *w = &y->in[1]->shape;
    const gen_window *window = &y->attr.window;
    gen_shape x = GEN_SHAPE(small->dim[0], y->attr.shape.dim[1], y->attr.shape.dim[2], w->dim[2] * window->groups),
              back;
    GEN_TRY(check_conv(&x, w, window, &back, err));
    if (small->dim[3] != w->dim[3])
        return gen_fail(err, GEN_BAD_SHAPE, "w has %lld input channels, x has %lld (of a transposed convolution)",
                        (long long)w->dim[3], (long long)small->dim[3]);
    if (!gen_shape_equal(&back, small))
        return gen_fail(err, GEN_BAD_SHAPE,
                        "%lldx%lld pixels cannot become %lldx%lld: that size would come from %lldx%lld",
                        (long long)small->dim[1], (long long)small->dim[2], (long long)x.dim[1], (long long)x.dim[2],
                        (long long)back.dim[1], (long long)back.dim[2]);
    *out = x;
    return GEN_OK;
}

gen_status infer_conv2d_w(const gen_node *y, gen_shape *out, gen_error *err)
{
    GEN_TRY(op_need_rank(y, 0, 4, "x", err));
    GEN_TRY(op_need_rank(y, 1, 4, "dy", err));
    const gen_shape *x = &y->in[0]->shape, *dy = &y->in[1]->shape;
    const gen_window *window = &y->attr.window;
    GEN_TRY(check_window(window, err));
    gen_shape w = GEN_SHAPE(window->kernel[0], window->kernel[1], x->dim[3] / window->groups, dy->dim[3]), back;
    GEN_TRY(check_conv(x, &w, window, &back, err));
    if (!gen_shape_equal(&back, dy)) return gen_fail(err, GEN_BAD_SHAPE, "dy is not what conv2d makes of x");
    *out = w;
    return GEN_OK;
}

static gen_window with_kernel(gen_window window, const gen_node *w)
{
    if (w->shape.rank == 4) {
        window.kernel[0] = (int32_t)w->shape.dim[0];
        window.kernel[1] = (int32_t)w->shape.dim[1];
    }
    return window;
}

/* Is y = conv2d(upsample(x, s), w) better computed from x? The scale, or 0: no. */
static int32_t folds(const gen_node *x, const gen_window *window)
{
    const gen_window *up = &x->attr.window;
    if (x->op != GEN_OP_SUM_POOL_T || window->groups > 1) return 0;
    for (int i = 0; i < 2; i++) {
        bool nearest = up->kernel[i] == up->stride[i] && up->stride[i] == up->stride[0] && up->pad[i] == 0 &&
                       up->dilation[i] == 1 && x->shape.dim[1 + i] == up->stride[i] * x->in[0]->shape.dim[1 + i];
        bool dense = window->stride[i] == 1 && window->dilation[i] == 1 && window->pad[i] < window->kernel[i] &&
                     window->pad[2 + i] < window->kernel[i];
        if (!nearest || !dense) return 0;
    }
    return up->stride[0];
}

/* y[p] = sum_r w[r] x[floor((p + r - pad) / s)] is a transposed convolution of the small image x with stride s and the filter
 *   w'[j] = sum_{e < s} flipped w[j - e],   j < k + s - 1,   pad' = k - 1 - pad
 * whose s x s output phases have ceil((k + s - 1) / s)^2 taps instead of k^2: 2.25 times fewer products for 3x3 after doubling, 2.8 for 5x5, and the
 * large image is never made. Gradients follow by themselves, since the sums of taps are nodes. */
static gen_node *conv2d_of_upsampled(gen_graph *g, gen_node *x, gen_node *w, const gen_window *window, int32_t scale)
{
    const int64_t *ws = w->shape.dim, r = ws[0], s = ws[1], n_c = ws[2], n_k = ws[3];
    gen_node *flipped = gen_slice_step(g, w, (int64_t[]){ r - 1, s - 1, 0, 0 }, (int64_t[]){ -1, -1, 1, 1 }, w->shape);
    gen_node *turned = gen_transpose(g, flipped, (int32_t[]){ 0, 1, 3, 2 });
    gen_window taps = gen_window_of(scale, 1, scale - 1), phases = gen_window_of(0, scale, 0);
    gen_node *sums = gen_sum_pool(g, gen_reshape(g, turned, GEN_SHAPE(1, r, s, n_k * n_c)), taps);
    gen_node *filter = gen_reshape(g, sums, GEN_SHAPE(r + scale - 1, s + scale - 1, n_k, n_c));
    int64_t out[2];
    for (int i = 0; i < 2; i++) {
        int32_t top = window->pad[i], bottom = window->pad[2 + i], k = window->kernel[i];
        out[i] = x->shape.dim[1 + i] + top + bottom - k + 1;
        phases.pad[i] = k - 1 - top;
        phases.pad[2 + i] = k - 1 - bottom;
    }
    return gen_conv2d_t(g, x->in[0], filter, phases, out[0], out[1]);
}

gen_node *gen_conv2d(gen_graph *g, gen_node *x, gen_node *w, gen_window window)
{
    window = with_kernel(window, w);
    bool valid = w->shape.rank == 4 && x->shape.rank == 4 && w->shape.dim[2] == x->shape.dim[3];
    int32_t scale = valid ? folds(x, &window) : 0;
    if (scale) return conv2d_of_upsampled(g, x, w, &window, scale);
    return gen_node_new(g, GEN_OP_CONV2D, 2, (gen_node *[]){ x, w }, &(gen_attr){ .window = window });
}

gen_node *gen_conv2d_t(gen_graph *g, gen_node *y, gen_node *w, gen_window window, int64_t out_h, int64_t out_w)
{
    gen_attr attr = { .window = with_kernel(window, w), .shape = GEN_SHAPE(1, out_h, out_w, 1) };
    return gen_node_new(g, GEN_OP_CONV2D_T, 2, (gen_node *[]){ y, w }, &attr);
}

gen_node *gen_conv2d_w(gen_graph *g, gen_node *x, gen_node *dy, gen_window window)
{
    return gen_node_new(g, GEN_OP_CONV2D_W, 2, (gen_node *[]){ x, dy }, &(gen_attr){ .window = window });
}

void grad_conv2d(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    gen_node *x = y->in[0], *w = y->in[1];
    if (want[0]) dx[0] = gen_conv2d_t(g, dy, w, y->attr.window, x->shape.dim[1], x->shape.dim[2]);
    if (want[1]) dx[1] = gen_conv2d_w(g, x, dy, y->attr.window);
}

void grad_conv2d_t(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    gen_node *small = y->in[0], *w = y->in[1];
    if (want[0]) dx[0] = gen_conv2d(g, dy, w, y->attr.window);
    if (want[1]) dx[1] = gen_conv2d_w(g, dy, small, y->attr.window);
}

void grad_conv2d_w(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
{
    gen_node *x = y->in[0], *small = y->in[1]; /* dy has the shape of w */
    if (want[0]) dx[0] = gen_conv2d_t(g, small, dy, y->attr.window, x->shape.dim[1], x->shape.dim[2]);
    if (want[1]) dx[1] = gen_conv2d(g, x, dy, y->attr.window);
}
