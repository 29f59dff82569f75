/* tests/bench_conv.h: layers of the canonical workloads and odd windows, for bench_kernels.c. */

typedef struct layer {
    const char *name;
    int n, h, w, c, k; /* x[n,h,w,c], K of the convolution */
    gen_window win;
    gen_op act;
    bool transposed; /* the layer's forward pass is conv2d_t: out_pad makes it even */
    int out_pad;
} layer;

#define WIN(side, stride, pad)                                                                                         \
    {                                                                                                                  \
        { side, side }, { stride, stride }, { pad, pad, pad, pad }, { 1, 1 }, 1                                        \
    }
static const layer layers[] = {
    { "vae1", 32, 28, 28, 1, 32, WIN(3, 1, 1), GEN_OP_LEAKY, false, 0 },
    { "vae2", 32, 28, 28, 32, 64, WIN(3, 2, 1), GEN_OP_LEAKY, false, 0 },
    { "vae3", 32, 14, 14, 64, 64, WIN(3, 2, 1), GEN_OP_LEAKY, false, 0 },
    { "vae4", 32, 7, 7, 64, 64, WIN(3, 1, 1), GEN_OP_LEAKY, false, 0 },
    { "vae5", 32, 7, 7, 64, 64, WIN(3, 1, 1), GEN_OP_LEAKY, true, 0 },
    { "vae6", 32, 14, 14, 64, 64, WIN(3, 2, 1), GEN_OP_LEAKY, true, 0 },
    { "vae7", 32, 28, 28, 32, 64, WIN(3, 2, 1), GEN_OP_LEAKY, true, 0 },
    { "vae8", 32, 28, 28, 1, 32, WIN(3, 1, 1), GEN_OP_SIGMOID, true, 0 },
    { "wide", 8, 32, 32, 128, 128, WIN(3, 1, 1), GEN_OP_COUNT, false, 0 },
    { "deep", 1, 16, 16, 512, 512, WIN(3, 1, 1), GEN_OP_COUNT, false, 0 },
    { "cyc", 1, 64, 64, 128, 256, WIN(3, 2, 1), GEN_OP_COUNT, false, 0 },
    { "res", 1, 34, 34, 256, 256, WIN(3, 1, 0), GEN_OP_COUNT, false, 0 },
    { "dcgan2", 16, 32, 32, 64, 128, WIN(4, 2, 1), GEN_OP_LEAKY, false, 0 },
    { "dcgan4", 16, 8, 8, 256, 512, WIN(4, 2, 1), GEN_OP_LEAKY, false, 0 },
    { "mid16", 8, 16, 16, 256, 256, WIN(3, 1, 1), GEN_OP_COUNT, false, 0 },
    { "low8", 8, 8, 8, 256, 256, WIN(3, 1, 1), GEN_OP_COUNT, false, 0 },
    { "low4", 8, 4, 4, 256, 256, WIN(3, 1, 1), GEN_OP_COUNT, false, 0 },
    { "patch", 1, 16, 16, 256, 512, WIN(4, 1, 1), GEN_OP_LEAKY, false, 0 },
    { "vgg3", 1, 64, 64, 256, 256, WIN(3, 1, 1), GEN_OP_RELU, false, 0 },
    { "vgg4", 1, 32, 32, 512, 512, WIN(3, 1, 1), GEN_OP_RELU, false, 0 },
    { "last7", 1, 134, 134, 64, 3, WIN(7, 1, 0), GEN_OP_COUNT, false, 0 },
    { "stem", 1, 134, 134, 3, 64, WIN(7, 1, 0), GEN_OP_RELU, false, 0 },
    { "dcgan1", 16, 64, 64, 3, 64, WIN(4, 2, 1), GEN_OP_LEAKY, false, 0 },
    { "one", 8, 16, 16, 128, 64, WIN(1, 1, 0), GEN_OP_COUNT, false, 0 },
    { "five", 16, 14, 14, 64, 64, WIN(5, 1, 2), GEN_OP_TANH, false, 0 },
    { "five2", 16, 32, 32, 64, 128, WIN(5, 2, 2), GEN_OP_COUNT, false, 0 },
    { "odd", 2, 9, 11, 5, 7, { { 3, 2 }, { 2, 1 }, { 2, -1, 0, 1 }, { 1, 2 }, 1 }, GEN_OP_SIGMOID, false, 0 },
    { "odd2", 3, 13, 10, 20, 40, { { 2, 5 }, { 1, 3 }, { 0, 3, 4, 0 }, { 3, 1 }, 1 }, GEN_OP_RELU, false, 0 },
    { "odd3", 2, 9, 9, 48, 36, { { 3, 3 }, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 }, GEN_OP_RELU, false, 0 },
    { "odd4", 2, 9, 9, 32, 80, { { 3, 3 }, { 1, 1 }, { 2, 0, 1, 3 }, { 1, 1 }, 1 }, GEN_OP_LEAKY, false, 0 },
    { "odd5", 2, 12, 9, 16, 32, { { 4, 4 }, { 2, 2 }, { 1, 1, 2, 2 }, { 1, 1 }, 1 }, GEN_OP_LEAKY, false, 0 },
    { "odd6", 2, 11, 13, 32, 48, { { 3, 3 }, { 2, 2 }, { 0, 1, 1, 0 }, { 1, 1 }, 1 }, GEN_OP_LEAKY, false, 0 },
    { "odd7", 2, 11, 13, 32, 48, { { 3, 3 }, { 2, 2 }, { 0, 0, 1, 1 }, { 1, 1 }, 1 }, GEN_OP_LEAKY, false, 0 },
    { "odd8", 2, 30, 29, 16, 32, { { 3, 3 }, { 2, 2 }, { 2, 2, 0, 1 }, { 1, 1 }, 1 }, GEN_OP_SIGMOID, true, 0 },
    { "odd9", 2, 29, 28, 16, 32, { { 3, 3 }, { 2, 2 }, { 3, 1, 0, 1 }, { 1, 1 }, 1 }, GEN_OP_TANH, true, 0 },
    { "skip", 2, 9, 9, 16, 16, { { 1, 1 }, { 2, 2 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 }, GEN_OP_RELU, false, 0 },
    { "group", 2, 9, 9, 32, 48, { { 3, 3 }, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1 }, 4 }, GEN_OP_RELU, false, 0 },
    { "depth", 4, 16, 16, 64, 64, { { 3, 3 }, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1 }, 64 }, GEN_OP_RELU, false, 0 },
};

static int64_t window_out(const gen_window *w, int axis, int64_t n)
{
    int64_t span = n + w->pad[axis] + w->pad[axis + 2] - w->dilation[axis] * (w->kernel[axis] - 1) - 1;
    return span < 0 ? 0 : span / w->stride[axis] + 1;
}

static double act_of(gen_op act, double v)
{
    switch (act) {
    case GEN_OP_RELU: return v > 0 ? v : 0;
    case GEN_OP_LEAKY: return v > 0 ? v : .3 * v;
    case GEN_OP_SIGMOID: return 1 / (1 + exp(-v));
    case GEN_OP_TANH: return tanh(v);
    default: return v;
    }
}

/* All three products by one loop nest: which = 0: y += x w, 1: x += y w, 2: w += x y. */
static void conv_loops(const layer *l, int64_t P, int64_t Q, int which, const float *x, const float *w, const float *y,
                       double *out)
{
    int R = l->win.kernel[0], S = l->win.kernel[1], g = l->win.groups, cg = l->c / g, kg = l->k / g;
    for (int n = 0; n < l->n; n++)
        for (int64_t p = 0; p < P; p++)
            for (int64_t q = 0; q < Q; q++)
                for (int r = 0; r < R; r++)
                    for (int s = 0; s < S; s++) {
                        int64_t h = p * l->win.stride[0] + r * l->win.dilation[0] - l->win.pad[0],
                                v = q * l->win.stride[1] + s * l->win.dilation[1] - l->win.pad[1];
                        if (h < 0 || v < 0 || h >= l->h || v >= l->w) continue;
                        int64_t xi = ((n * l->h + h) * l->w + v) * l->c, yi = ((n * P + p) * Q + q) * l->k,
                                wi = (int64_t)(r * S + s) * cg * l->k;
                        for (int c = 0; c < l->c; c++)
                            for (int k = c / cg * kg; k < (c / cg + 1) * kg; k++) {
                                int64_t wj = wi + (int64_t)(c % cg) * l->k + k;
                                if (which == 0) out[yi + k] += (double)x[xi + c] * (double)w[wj];
                                else if (which == 1) out[xi + c] += (double)y[yi + k] * (double)w[wj];
                                else out[wj] += (double)x[xi + c] * (double)y[yi + k];
                            }
                    }
}

static void bench_layer(const layer *l, double *total)
{
    int64_t P = window_out(&l->win, 0, l->h), Q = window_out(&l->win, 1, l->w);
    gen_shape sx = GEN_SHAPE(l->n, l->h, l->w, l->c), sy = GEN_SHAPE(l->n, P, Q, l->k),
              sw = GEN_SHAPE(l->win.kernel[0], l->win.kernel[1], l->c / l->win.groups, l->k);
    double flops =
        2. * l->n * (double)P * (double)Q * l->win.kernel[0] * l->win.kernel[1] * l->c / l->win.groups * l->k;
    gen_view x = random_view(sx), y = random_view(sy), w = random_view(sw);
    gen_attr attr = { .window = l->win, .shape = sx };
    for (int which = 0; which < 3; which++) {
        static const char *const names[] = { "conv", "conv_t", "conv_w" };
        static const gen_op ops[] = { GEN_OP_CONV2D, GEN_OP_CONV2D_T, GEN_OP_CONV2D_W };
        char name[64];
        snprintf(name, sizeof name, "%s %s", l->name, names[which]);
        bool any = n_words == 0;
        for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
            char text[300];
            snprintf(text, sizeof text, "%s [%s]", name, kernels[i].kernel->name);
            any |= kernels[i].op == ops[which] && wanted(text);
        }
        if (!any) continue;
        gen_view in[2] = { which == 1 ? y : x, which == 2 ? y : w }, out[1] = { which == 0 ? y : which == 1 ? x : w };
        int64_t count = gen_shape_count(&out[0].shape);
        out[0].data = memory(sizeof(float) * (size_t)count);
        double *want = calloc((size_t)count, sizeof *want);
        conv_loops(l, P, Q, which, x.data, w.data, y.data, want);
        gen_call call = { .op = ops[which], .n_in = 2, .n_out = 1, .in = in, .out = out, .attr = &attr, .name = name };
        call.epilogue.act = GEN_OP_COUNT;
        bool forward = which == (l->transposed ? 1 : 0);
        if (forward) { /* bias, activation, and a residual on the odd ones */
            int64_t channels = out[0].shape.dim[3];
            float *bias = random_floats(channels), *residual = l->n < 5 ? random_floats(count) : NULL;
            call.epilogue = (gen_epilogue){ view(bias, GEN_SHAPE(channels)), view(residual, out[0].shape), l->act, .3 };
            for (int64_t i = 0; i < count; i++)
                want[i] = act_of(l->act, want[i] + (double)bias[i % channels] + (residual ? (double)residual[i] : 0));
        }
        total[which] += run_case(name, &call, want, flops, 0, which == 2 ? 2e-5 : 1e-5);
        free(want), free(out[0].data);
    }
    free(x.data), free(y.data), free(w.data);
}

static void bench_conv(void)
{
    double total[3] = { 0 };
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        if (i == 8)
            printf("vae in all: conv %.3f conv_t %.3f conv_w %.3f ms\n", total[0] * 1e3, total[1] * 1e3,
                   total[2] * 1e3);
        bench_layer(&layers[i], total);
    }
}
