/* Generators and discriminators of GANs: which layers, and the layers as nodes. */
#include "models/gan_nets.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 96 }; /* layer names have fewer than 70 */

/* ---- which layers ---------------------------------------------------------------------------------------------------- */

/* Radford et al. 2016, as in PyTorch's examples, for any size: 4x4 kernels halve the picture until both sides have at most 7 pixels; channels double up
 * to 8 times the first. What is there a transposed conv of one pixel, and a conv over all of the last map, is a dense layer here: the same sums. */
static void dcgan(gan_net *net)
{
    int64_t h = net->height, w = net->width;
    int32_t channels = (int32_t)net->o.width;
    while ((h > 7 || w > 7) && net->n_down < GAN_MAX_LAYERS) {
        net->down[net->n_down++] = (gan_layer){ channels, 4, 2, false };
        if (net->n_down < 4) channels *= 2;
        h = (h + 1) / 2;
        w = (w + 1) / 2;
    }
    if (!net->n_down) net->down[net->n_down++] = (gan_layer){ channels, 3, 1, false };
    net->n_up = net->n_down;
    for (int32_t i = 0; i < net->n_up; i++) { /* the discriminator backwards */
        net->up[i] = net->down[net->n_down - 1 - i];
        net->up[i].channels = i + 1 < net->n_up ? net->down[net->n_down - 2 - i].channels : 0;
    }
    net->start[0] = h;
    net->start[1] = w;
    net->start[2] = net->down[net->n_down - 1].channels;
    net->same = net->norm = true;
    net->d_slope = 0.2;
    net->gamma_sigma = 0.02;
}

static void layers(gan_net *net, int32_t n_up, const gan_layer *up, int32_t n_down, const gan_layer *down)
{
    memcpy(net->up, up, (size_t)n_up * sizeof *up);
    memcpy(net->down, down, (size_t)n_down * sizeof *down);
    net->n_up = n_up;
    net->n_down = n_down;
}

/* The generator's first picture is 1/2^k of the last in both directions. */
static void start_at(gan_net *net, int64_t channels)
{
    net->start[0] = net->height;
    net->start[1] = net->width;
    net->start[2] = channels;
    for (int32_t i = 0; i < net->n_up; i++)
        for (int axis = 0; axis < 2; axis++)
            net->start[axis] = (net->start[axis] + net->up[i].stride - 1) / net->up[i].stride;
}

/* D. Foster, Generative Deep Learning, 1st edition, 04_01: 28 x 28 drawings of camels */
static void gdl_camel(gan_net *net)
{
    static const gan_layer up[] = { { 128, 5, 2, true }, { 64, 5, 2, true }, { 64, 5, 1, false }, { 0, 5, 1, false } };
    static const gan_layer down[] = {
        { 64, 5, 2, false }, { 64, 5, 2, false }, { 128, 5, 2, false }, { 128, 5, 1, false }
    };
    layers(net, 4, up, 4, down);
    start_at(net, 64);
    net->flat_norm = true;
    net->dropout = 0.4;
}

/* 04_02: horses of CIFAR-10 */
static void gdl_wgan(gan_net *net)
{
    static const gan_layer up[] = { { 128, 5, 2, true }, { 64, 5, 2, true }, { 32, 5, 2, true }, { 0, 5, 1, false } };
    static const gan_layer down[] = {
        { 32, 5, 2, false }, { 64, 5, 2, false }, { 128, 5, 2, false }, { 128, 5, 1, false }
    };
    layers(net, 4, up, 4, down);
    start_at(net, 128);
    net->flat_norm = true;
    net->g_slope = net->d_slope = 0.2;
    net->momentum = 0.2;
}

/* 04_03: faces */
static void gdl_faces(gan_net *net)
{
    static const gan_layer up[] = {
        { 256, 5, 2, false }, { 128, 5, 2, false }, { 64, 5, 2, false }, { 0, 5, 2, false }
    };
    static const gan_layer down[] = {
        { 64, 5, 2, false }, { 128, 5, 2, false }, { 256, 5, 2, false }, { 512, 5, 2, false }
    };
    layers(net, 4, up, 4, down);
    start_at(net, 512);
    net->flat_norm = true;
    net->g_slope = net->d_slope = 0.2;
}

/* What training speed is compared on has PyTorch's padding, norms and initial weights. */
static void as_pytorch(gan_net *net)
{
    net->same = false;
    net->eps = 1e-5;
    net->sigma = 0;
}

gan_net gan_net_for(const char *name, const gan_net_options *options, int64_t height, int64_t width, int64_t channels)
{
    gan_net net = { .o = *options, .height = height, .width = width, .channels = channels, .sigma = 0.02 };
    if (!strcmp(name, "dcgan")) {
        dcgan(&net);
        return net;
    }
    net.same = net.bias = true;
    net.eps = 1e-3; /* Keras' */
    if (strstr(name, "camel")) gdl_camel(&net);
    else if (strstr(name, "wgan")) gdl_wgan(&net);
    else gdl_faces(&net);
    if (!strncmp(name, "bench", 5)) as_pytorch(&net);
    return net;
}

/* ---- layers as nodes ------------------------------------------------------------------------------------------------- */

static nn_conv_spec conv_spec(const gan_net *net, const gan_layer *l)
{
    return (nn_conv_spec){ .kernel = l->kernel,
                           .stride = l->stride,
                           .pad = (l->kernel - 1) / 2,
                           .same = net->same,
                           .out_pad = l->stride - 1,
                           .no_bias = !net->bias,
                           .init = net->sigma > 0 ? NN_INIT_NORMAL : NN_INIT_TORCH,
                           .sigma = net->sigma };
}

static nn_dense_spec dense_spec(const gan_net *net)
{
    return (nn_dense_spec){ .no_bias = !net->bias,
                            .init = net->sigma > 0 ? NN_INIT_NORMAL : NN_INIT_TORCH,
                            .sigma = net->sigma };
}

static gen_node *activation(gen_graph *g, gen_node *x, double slope)
{
    return slope > 0 ? gen_leaky_relu(g, x, slope) : gen_relu(g, x);
}

/* One of a norm's four tensors. chw: of features that become a picture, which PyTorch counts in that order; NULL: channels of a picture. */
static gen_node *norm_param(gen_graph *g, const char *layer, const char *part, int64_t n, gen_param_spec spec,
                            const int64_t *chw)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%.70s_norm.%s", layer, part);
    if (chw) {
        spec.layout = GEN_LAYOUT_DENSE;
        memcpy(spec.flatten_out, chw, sizeof spec.flatten_out);
    }
    return gen_param(g, name, GEN_SHAPE(n), spec);
}

/* weights: the layer whose weight and bias are taken, that of the averages or the same. */
static gen_node *batch_norm(gen_graph *g, const gan_net *net, gen_node *h, const char *layer, const char *weights,
                            const int64_t *chw, gan_mode mode)
{
    int64_t n = h->shape.dim[h->shape.rank - 1];
    gen_param_spec one = { .init = GEN_INIT_NORMAL_AROUND, .a = net->gamma_sigma, .b = 1 }, zero = { 0 },
                   variance = { .init = GEN_INIT_CONST, .a = 1, .state = true }, mean = { .state = true };
    if (net->gamma_sigma <= 0) one = (gen_param_spec){ .init = GEN_INIT_CONST, .a = 1 };
    gen_node *gamma = norm_param(g, weights, "weight", n, one, chw),
             *beta = norm_param(g, weights, "bias", n, zero, chw);
    gen_node *running_mean = norm_param(g, layer, "running_mean", n, mean, chw),
             *running_var = norm_param(g, layer, "running_var", n, variance, chw);
    if (mode != GAN_TRAIN)
        return gen_fixed_norm(g, h, gamma, beta, running_mean, running_var, net->eps > 0 ? net->eps : 1e-5);
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%.80s_norm", layer);
    return nn_batch_norm(g, h, name, (nn_norm_spec){ .training = true, .eps = net->eps, .momentum = net->momentum });
}

/* ---- generator --------------------------------------------------------------------------------------------------------- */

/* How this layer enlarges: as it was published, or as the option says. */
static bool by_conv(const gan_net *net, const gan_layer *l)
{
    if (l->stride == 1 || !strcmp(net->o.up, "auto")) return l->conv;
    return strcmp(net->o.up, "conv-transpose") != 0;
}

/* An even kernel has no middle: next to upsampling it is one smaller. */
static gen_node *enlarge(gen_graph *g, const gan_net *net, gen_node *h, const char *name, int64_t channels,
                         const gan_layer *l)
{
    nn_conv_spec spec = conv_spec(net, l);
    if (!by_conv(net, l)) return nn_conv_t(g, h, name, channels, spec);
    if (l->stride > 1)
        h = !strcmp(net->o.up, "bilinear")
                ? gen_resize_bilinear(g, h, h->shape.dim[1] * l->stride, h->shape.dim[2] * l->stride)
                : gen_upsample(g, h, l->stride);
    spec.kernel -= 1 - spec.kernel % 2;
    spec.pad = spec.kernel / 2;
    spec.stride = 1;
    spec.out_pad = 0;
    return nn_conv(g, h, name, channels, spec);
}

static const char *layer_name(char *buffer, const char *prefix, const char *layer, int32_t number)
{
    if (number) snprintf(buffer, NAME_BYTES, "%s%s%d", prefix, layer, number);
    else snprintf(buffer, NAME_BYTES, "%s%s", prefix, layer);
    return buffer;
}

/* The generator's dense layer beside the noise, where there is one. */
static gen_node *hidden_units(gen_graph *g, const gan_net *net, gen_node *z, gan_mode mode)
{
    if (!net->o.hidden) return z;
    const char *weights = mode == GAN_AVERAGE ? "ema.g.fc" : "g.fc";
    gen_node *y = nn_dense(g, z, weights, net->o.hidden, dense_spec(net));
    return activation(g, batch_norm(g, net, y, "g.fc", weights, NULL, mode), net->g_slope);
}

static gen_node *first_picture(gen_graph *g, const gan_net *net, gen_node *z, gan_mode mode)
{
    char layer[NAME_BYTES], weights[NAME_BYTES];
    const char *prefix = mode == GAN_AVERAGE ? "ema.g." : "g.";
    int64_t h = net->start[0], w = net->start[1], c = net->start[2];
    const int64_t chw[3] = { c, h, w };
    nn_dense_spec spec = dense_spec(net);
    memcpy(spec.becomes, chw, sizeof chw);
    layer_name(layer, "g.", "dense", 0);
    layer_name(weights, prefix, "dense", 0);
    gen_node *y = nn_dense(g, hidden_units(g, net, z, mode), weights, h * w * c, spec);
    if (!net->flat_norm) y = nn_image(g, y, h, w, c);
    y = activation(g, batch_norm(g, net, y, layer, weights, net->flat_norm ? chw : NULL, mode), net->g_slope);
    return net->flat_norm ? nn_image(g, y, h, w, c) : y;
}

/* A size that does not halve evenly comes out a little larger: it is cut below and right. */
static gen_node *crop(gen_graph *g, gen_node *x, const gan_net *net)
{
    return gen_slice(g, gen_slice(g, x, 1, 0, net->height), 2, 0, net->width);
}

gen_node *gan_generator(gen_graph *g, const gan_net *net, gen_node *z, gan_mode mode)
{
    gen_node *h = first_picture(g, net, z, mode);
    for (int32_t i = 0; i < net->n_up; i++) {
        char layer[NAME_BYTES], weights[NAME_BYTES];
        bool last = i == net->n_up - 1;
        layer_name(layer, "g.", "conv", i + 1);
        layer_name(weights, mode == GAN_AVERAGE ? "ema.g." : "g.", "conv", i + 1);
        h = enlarge(g, net, h, weights, last ? net->channels : net->up[i].channels, &net->up[i]);
        if (!last) h = activation(g, batch_norm(g, net, h, layer, weights, NULL, mode), net->g_slope);
    }
    return crop(g, gen_tanh(g, h), net);
}

/* ---- discriminator ------------------------------------------------------------------------------------------------------ */

static gen_node *unit(gen_graph *g, gen_node *x)
{
    return gen_mul(g, x, gen_rsqrt(g, gen_affine(g, gen_sum_all(g, gen_square(g, x)), 1, 1e-24)));
}

/* w / sigma(w) by one step of power iteration from the stored left vector: v = W u / |W u|, u = W'v / |W'v|, sigma = v' W u (Miyato et al. 2018,
 * Algorithm 1). w[..,K] is W[rows,K]. */
static gen_node *spectral(gen_graph *g, gen_node *w, const char *layer)
{
    char name[NAME_BYTES];
    int64_t k = w->shape.dim[w->shape.rank - 1], rows = gen_shape_count(&w->shape) / k;
    snprintf(name, sizeof name, "%.80s.weight_u", layer);
    gen_node *u = gen_param(g, name, GEN_SHAPE(k), (gen_param_spec){ .init = GEN_INIT_NORMAL, .a = 1, .state = true });
    gen_node *matrix = gen_reshape(g, w, GEN_SHAPE(rows, k)), *fixed = gen_stop(g, matrix);
    gen_node *v = unit(g, gen_matmul(g, fixed, gen_reshape(g, u, GEN_SHAPE(k, 1)), false, false));
    gen_node *next = gen_stop(g, unit(g, gen_matmul(g, fixed, v, true, false)));
    gen_assign(g, u, gen_reshape(g, next, GEN_SHAPE(k)));
    gen_node *sigma = gen_sum_all(g, gen_mul(g, gen_matmul(g, matrix, next, false, false), gen_stop(g, v)));
    return gen_div(g, w, sigma);
}

static gen_param_spec weight_of(const gan_net *net, gen_layout layout)
{
    return (
        gen_param_spec){ .init = net->sigma > 0 ? GEN_INIT_NORMAL : GEN_INIT_TORCH, .a = net->sigma, .layout = layout };
}

static gen_node *plus_bias(gen_graph *g, const gan_net *net, gen_node *y, const char *layer)
{
    char name[NAME_BYTES];
    if (!net->bias) return y;
    snprintf(name, sizeof name, "%.80s.bias", layer);
    return gen_add(g, y, gen_param(g, name, GEN_SHAPE(y->shape.dim[y->shape.rank - 1]), (gen_param_spec){ 0 }));
}

static gen_node *shrink(gen_graph *g, const gan_net *net, gen_node *x, const char *layer, const gan_layer *l)
{
    if (!net->o.spectral) return nn_conv(g, x, layer, l->channels, conv_spec(net, l));
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%.80s.weight", layer);
    int64_t c = x->shape.dim[3];
    gen_param_spec spec = weight_of(net, GEN_LAYOUT_CONV);
    spec.fan_in = l->kernel * l->kernel * c;
    gen_node *w = gen_param(g, name, GEN_SHAPE(l->kernel, l->kernel, c, l->channels), spec);
    gen_window window = net->same ? gen_window_same(l->kernel, l->stride, x->shape.dim[1], x->shape.dim[2])
                                  : gen_window_of(l->kernel, l->stride, (l->kernel - 1) / 2);
    return plus_bias(g, net, gen_conv2d(g, x, spectral(g, w, layer), window), layer);
}

/* x[N,h,w,c] or [N,D] -> [N,units] */
static gen_node *dense(gen_graph *g, const gan_net *net, gen_node *x, const char *layer, int64_t units)
{
    gen_node *flat = x->shape.rank == 4 ? nn_flatten(g, x) : x;
    if (!net->o.spectral) return nn_dense(g, flat, layer, units, dense_spec(net));
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%.80s.weight", layer);
    gen_param_spec spec = weight_of(net, GEN_LAYOUT_DENSE);
    spec.fan_in = flat->shape.dim[1];
    for (int i = 0; x->shape.rank == 4 && i < 3; i++) spec.flatten_in[i] = x->shape.dim[1 + (i + 2) % 3]; /* C,H,W */
    gen_node *w = gen_param(g, name, GEN_SHAPE(flat->shape.dim[1], units), spec);
    return plus_bias(g, net, gen_matmul(g, flat, spectral(g, w, layer), false, false), layer);
}

/* features[N,h,w,c] -> [N,1] */
static gen_node *head(gen_graph *g, const gan_net *net, gen_node *features)
{
    gen_node *h = features;
    if (net->o.hidden) h = activation(g, dense(g, net, h, "d.fc", net->o.hidden), net->d_slope);
    return dense(g, net, h, "d.dense", 1);
}

/* <embedding of the class, features summed over places> */
static gen_node *projection(gen_graph *g, gen_node *features, gen_node *one_hot)
{
    int64_t n = features->shape.dim[0], c = features->shape.dim[3];
    gen_node *pooled = gen_reshape(g, gen_sum(g, features, GEN_AXIS(1) | GEN_AXIS(2)), GEN_SHAPE(n, c));
    gen_node *table =
        nn_dense(g, one_hot, "d.embed", c, (nn_dense_spec){ .no_bias = true, .init = NN_INIT_NORMAL, .sigma = 0.02 });
    return gen_sum(g, gen_mul(g, pooled, table), GEN_AXIS(1));
}

gen_node *gan_discriminator(gen_graph *g, const gan_net *given, gen_node *x, gen_node *one_hot)
{
    gan_net own = *given, *net = &own;
    gen_node *h = x;
    net->norm = net->norm && !net->o.no_norm;
    /* Biases come with the norms. With neither, D(a x) = a D(x) for a > 0: it could not tell a grey digit from a white one. */
    net->bias = net->bias || !net->norm;
    for (int32_t i = 0; i < net->n_down; i++) {
        char layer[NAME_BYTES];
        layer_name(layer, "d.", "conv", i + 1);
        h = shrink(g, net, h, layer, &net->down[i]);
        if (i > 0 && net->norm) h = batch_norm(g, net, h, layer, layer, NULL, GAN_TRAIN);
        h = activation(g, h, net->d_slope);
        h = gen_dropout(g, h, net->dropout);
    }
    gen_node *logit = head(g, net, h);
    if (one_hot) logit = gen_add(g, logit, projection(g, h, one_hot));
    return gen_reshape(g, logit, GEN_SHAPE(x->shape.dim[0]));
}
