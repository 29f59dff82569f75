#include "core/nn.h"

#include <stdio.h>

enum { NAME_BYTES = 160 };

/* 1 of the scalar that builders give after a failure */
static int64_t channels_of(const gen_node *x)
{
    return x->shape.rank ? x->shape.dim[x->shape.rank - 1] : 1;
}

static const char *join(char *buffer, const char *layer, const char *part)
{
    snprintf(buffer, NAME_BYTES, "%s.%s", layer, part);
    return buffer;
}

static gen_param_spec weight_spec(nn_init init, double sigma, int64_t fan_in, int64_t fan_out)
{
    static const gen_init rule[] = { GEN_INIT_TORCH, GEN_INIT_XAVIER, GEN_INIT_HE, GEN_INIT_NORMAL };
    return (gen_param_spec){ .init = rule[init], .a = sigma, .fan_in = fan_in, .fan_out = fan_out };
}

static gen_node *add_bias(gen_graph *g, gen_node *y, const char *layer, int64_t n, gen_param_spec spec)
{
    char name[NAME_BYTES];
    if (spec.init != GEN_INIT_TORCH) spec.init = GEN_INIT_ZERO;
    return gen_add(g, y, gen_param(g, join(name, layer, "bias"), GEN_SHAPE(n), spec));
}

static nn_conv_spec with_defaults(nn_conv_spec spec)
{
    if (!spec.kernel) spec.kernel = 3;
    if (!spec.stride) spec.stride = 1;
    if (!spec.groups) spec.groups = 1;
    return spec;
}

static gen_window conv_window(const nn_conv_spec *spec, int64_t h, int64_t w)
{
    gen_window window = spec->same ? gen_window_same(spec->kernel, spec->stride, h, w)
                                   : gen_window_of(spec->kernel, spec->stride, spec->pad);
    window.groups = spec->groups;
    return window;
}

gen_node *nn_conv(gen_graph *g, gen_node *x, const char *layer, int64_t channels, nn_conv_spec spec)
{
    spec = with_defaults(spec);
    gen_graph_scope(g, layer);
    char name[NAME_BYTES];
    int64_t c = x->shape.dim[3] / spec.groups, field = (int64_t)spec.kernel * spec.kernel;
    gen_param_spec init = weight_spec(spec.init, spec.sigma, field * c, field * channels / spec.groups);
    gen_param_spec weight = init;
    weight.layout = GEN_LAYOUT_CONV;
    gen_node *w = gen_param(g, join(name, layer, "weight"), GEN_SHAPE(spec.kernel, spec.kernel, c, channels), weight);
    gen_node *y = gen_conv2d(g, x, w, conv_window(&spec, x->shape.dim[1], x->shape.dim[2]));
    if (!spec.no_bias) y = add_bias(g, y, layer, channels, init);
    gen_graph_scope(g, "");
    return y;
}

gen_node *nn_conv_t(gen_graph *g, gen_node *x, const char *layer, int64_t channels, nn_conv_spec spec)
{
    spec = with_defaults(spec);
    gen_graph_scope(g, layer);
    char name[NAME_BYTES];
    int64_t field = (int64_t)spec.kernel * spec.kernel, size[2];
    for (int axis = 0; axis < 2; axis++) {
        int64_t n = x->shape.dim[1 + axis];
        size[axis] = spec.same ? n * spec.stride : (n - 1) * spec.stride - 2 * spec.pad + spec.kernel + spec.out_pad;
    }
    /* PyTorch takes fan-in from the second axis of [C_in, C_out, R, S]: the output channels */
    gen_param_spec init = weight_spec(spec.init, spec.sigma, field * channels / spec.groups, field * x->shape.dim[3]);
    gen_param_spec weight = init;
    weight.layout = GEN_LAYOUT_CONV;
    gen_node *w = gen_param(g, join(name, layer, "weight"),
                            GEN_SHAPE(spec.kernel, spec.kernel, channels / spec.groups, x->shape.dim[3]), weight);
    gen_node *y = gen_conv2d_t(g, x, w, conv_window(&spec, size[0], size[1]), size[0], size[1]);
    if (!spec.no_bias) y = add_bias(g, y, layer, channels, init);
    gen_graph_scope(g, "");
    return y;
}

gen_node *nn_dense(gen_graph *g, gen_node *x, const char *layer, int64_t out, nn_dense_spec spec)
{
    gen_graph_scope(g, layer);
    char name[NAME_BYTES];
    int64_t in = channels_of(x);
    gen_param_spec weight = weight_spec(spec.init, spec.sigma, in, out);
    weight.layout = GEN_LAYOUT_DENSE;
    const gen_shape *image = x->op == GEN_OP_RESHAPE ? &x->in[0]->shape : &x->shape;
    if (image->rank == 4 && x->shape.rank == 2 && image->dim[1] * image->dim[2] > 1) {
        weight.flatten_in[0] = image->dim[3];
        weight.flatten_in[1] = image->dim[1];
        weight.flatten_in[2] = image->dim[2];
    }
    for (int i = 0; i < 3; i++) weight.flatten_out[i] = spec.becomes[i];
    gen_node *w = gen_param(g, join(name, layer, "weight"), GEN_SHAPE(in, out), weight);
    gen_node *y = gen_matmul(g, x, w, false, false);
    if (!spec.no_bias) y = add_bias(g, y, layer, out, weight);
    gen_graph_scope(g, "");
    return y;
}

gen_node *nn_flatten(gen_graph *g, gen_node *x)
{
    int64_t n = x->shape.rank ? x->shape.dim[0] : 1;
    return gen_reshape(g, x, GEN_SHAPE(n, gen_shape_count(&x->shape) / n));
}

gen_node *nn_image(gen_graph *g, gen_node *x, int64_t h, int64_t w, int64_t c)
{
    return gen_reshape(g, x, GEN_SHAPE(x->shape.dim[0], h, w, c));
}

/* ---- normalisation -------------------------------------------------------------------------------------------------------- */

static gen_node *channel_param(gen_graph *g, const char *layer, const char *part, int64_t c, double start, bool state)
{
    char name[NAME_BYTES];
    return gen_param(g, join(name, layer, part), GEN_SHAPE(c),
                     (gen_param_spec){ .init = GEN_INIT_CONST, .a = start, .state = state });
}

/* running += momentum (batch - running), with the unbiased variance M/(M-1), as PyTorch does */
static void update_running(gen_graph *g, gen_node *stats, gen_node *mean, gen_node *var, int64_t m,
                           const nn_norm_spec *spec)
{
    gen_shape c = mean->shape;
    gen_node *batch_mean = gen_reshape(g, gen_slice(g, stats, 1, 0, 1), c);
    gen_node *rstd = gen_reshape(g, gen_slice(g, stats, 1, 1, 1), c);
    gen_node *batch_var = gen_affine(g, gen_div(g, gen_fill(g, c, 1), gen_square(g, rstd)), 1, -spec->eps);
    double unbiased = m > 1 ? (double)m / (double)(m - 1) : 1;
    gen_assign(g, mean, gen_add(g, gen_scale(g, mean, 1 - spec->momentum), gen_scale(g, batch_mean, spec->momentum)));
    gen_assign(g, var,
               gen_add(g, gen_scale(g, var, 1 - spec->momentum), gen_scale(g, batch_var, spec->momentum * unbiased)));
}

gen_node *nn_batch_norm(gen_graph *g, gen_node *x, const char *layer, nn_norm_spec spec)
{
    gen_graph_scope(g, layer);
    if (spec.eps == 0) spec.eps = 1e-5;
    if (spec.momentum == 0) spec.momentum = 0.1;
    int64_t c = channels_of(x);
    gen_node *gamma = spec.no_affine ? gen_fill(g, GEN_SHAPE(c), 1) : channel_param(g, layer, "weight", c, 1, false);
    gen_node *beta = spec.no_affine ? gen_fill(g, GEN_SHAPE(c), 0) : channel_param(g, layer, "bias", c, 0, false);
    gen_node *mean = channel_param(g, layer, "running_mean", c, 0, true);
    gen_node *var = channel_param(g, layer, "running_var", c, 1, true);
    char name[NAME_BYTES];
    gen_node *count =
        gen_param(g, join(name, layer, "num_batches_tracked"), (gen_shape){ 0 }, (gen_param_spec){ .state = true });
    gen_node *y, *stats;
    if (spec.training) {
        y = gen_batch_norm(g, x, gamma, beta, spec.eps, &stats);
        update_running(g, stats, mean, var, gen_shape_count(&x->shape) / c, &spec);
        gen_assign(g, count, gen_affine(g, count, 1, 1));
    } else {
        y = gen_fixed_norm(g, x, gamma, beta, mean, var, spec.eps);
    }
    gen_graph_scope(g, "");
    return y;
}

gen_node *nn_group_norm(gen_graph *g, gen_node *x, const char *layer, int32_t groups, nn_norm_spec spec)
{
    gen_graph_scope(g, layer);
    int64_t c = channels_of(x);
    gen_node *gamma = spec.no_affine ? gen_fill(g, GEN_SHAPE(c), 1) : channel_param(g, layer, "weight", c, 1, false);
    gen_node *beta = spec.no_affine ? gen_fill(g, GEN_SHAPE(c), 0) : channel_param(g, layer, "bias", c, 0, false);
    gen_node *y = gen_group_norm(g, x, gamma, beta, groups ? groups : (int32_t)c, spec.eps == 0 ? 1e-5 : spec.eps);
    gen_graph_scope(g, "");
    return y;
}
