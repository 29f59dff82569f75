/* Conv nets of any depth, the published ones, and dense ones: pictures in, features out, and back. */
#include "models/trunk.h"

#include <stdio.h>
#include <string.h>

/* ---- which layers ---------------------------------------------------------------------------------------------------- */

/* Autoencoder and VAE of D. Foster's "Generative Deep Learning", 03_01 and 03_03 */
static void gdl_digits(gen_trunk *t, bool same)
{
    static const gen_trunk_layer enc[] = { { 32, 3, 1 }, { 64, 3, 2 }, { 64, 3, 2 }, { 64, 3, 1 } };
    static const gen_trunk_layer dec[] = { { 64, 3, 1 }, { 64, 3, 2 }, { 32, 3, 2 }, { 0, 3, 1 } };
    memcpy(t->enc, enc, sizeof enc);
    memcpy(t->dec, dec, sizeof dec);
    t->n_enc = t->n_dec = 4;
    t->same = same;
    t->slope = 0.3;
}

/* 03_05 */
static void gdl_faces(gen_trunk *t)
{
    static const gen_trunk_layer enc[] = { { 32, 3, 2 }, { 64, 3, 2 }, { 64, 3, 2 }, { 64, 3, 2 } };
    static const gen_trunk_layer dec[] = { { 64, 3, 2 }, { 64, 3, 2 }, { 32, 3, 2 }, { 0, 3, 2 } };
    memcpy(t->enc, enc, sizeof enc);
    memcpy(t->dec, dec, sizeof dec);
    t->n_enc = t->n_dec = 4;
    t->same = true;
    t->slope = 0.3;
}

/* 4x4 kernels halve the picture, rounded up by SAME padding, until both sides have at most 8 pixels; channels double up to 8 times the first. So any
 * size works. */
static void sized(gen_trunk *t)
{
    int64_t h = t->height, w = t->width;
    int32_t channels = (int32_t)t->o.width;
    t->same = t->dense_act = true;
    t->hidden = t->o.hidden;
    while ((h > 8 || w > 8) && t->n_enc < GEN_TRUNK_MAX_LAYERS) {
        t->enc[t->n_enc++] = (gen_trunk_layer){ channels, 4, 2 };
        if (t->n_enc < 4) channels *= 2;
        h = (h + 1) / 2;
        w = (w + 1) / 2;
    }
    if (!t->n_enc) t->enc[t->n_enc++] = (gen_trunk_layer){ channels, 3, 1 };
    t->n_dec = t->n_enc;
    for (int32_t i = 0; i < t->n_dec; i++) { /* the encoder backwards */
        t->dec[i] = t->enc[t->n_enc - 1 - i];
        t->dec[i].channels = i + 1 < t->n_dec ? t->enc[t->n_enc - 2 - i].channels : 0;
    }
}

/* One hidden layer; those of Hinton & Salakhutdinov 2006, figure 3; none */
static bool flat(gen_trunk *t, const char *net)
{
    static const int64_t hinton[] = { 1000, 500, 250 };
    if (!strcmp(net, "mlp")) {
        t->dense[0] = t->o.hidden;
        t->n_dense = 1;
    } else if (!strcmp(net, "hinton")) {
        memcpy(t->dense, hinton, sizeof hinton);
        t->n_dense = 3;
    } else if (strcmp(net, "linear")) {
        return false;
    }
    return true;
}

gen_trunk gen_trunk_for(const char *net, const gen_trunk_options *options, int64_t height, int64_t width,
                        int64_t channels)
{
    gen_trunk t = { .o = *options, .height = height, .width = width, .channels = channels };
    t.flat = flat(&t, net);
    if (t.flat) return t;
    if (!strcmp(net, "gdl-digits")) gdl_digits(&t, true);
    else if (!strcmp(net, "gdl-faces")) gdl_faces(&t);
    else if (!strcmp(net, "bench")) gdl_digits(&t, false);
    else sized(&t);
    return t;
}

/* ---- layers ------------------------------------------------------------------------------------------------------------ */

static nn_init init_rule(const gen_trunk *t)
{
    static const struct {
        const char *name;
        nn_init rule;
    } rules[] = { { "keras", NN_INIT_XAVIER }, { "he", NN_INIT_HE }, { "normal", NN_INIT_NORMAL } };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!strcmp(t->o.init, rules[i].name)) return rules[i].rule;
    return NN_INIT_TORCH;
}

nn_dense_spec gen_trunk_dense(const gen_trunk *t)
{
    return (nn_dense_spec){ .init = init_rule(t), .sigma = 0.02 };
}

static nn_dense_spec dense_to_image(const gen_trunk *t, int64_t h, int64_t w, int64_t c)
{
    nn_dense_spec spec = gen_trunk_dense(t);
    spec.becomes[0] = c;
    spec.becomes[1] = h;
    spec.becomes[2] = w;
    return spec;
}

static nn_conv_spec conv_spec(const gen_trunk *t, const gen_trunk_layer *l)
{
    return (nn_conv_spec){ .kernel = l->kernel,
                           .stride = l->stride,
                           .pad = (l->kernel - 1) / 2,
                           .same = t->same,
                           .out_pad = l->stride - 1,
                           .init = init_rule(t),
                           .sigma = 0.02 };
}

static gen_node *activation(gen_graph *g, gen_node *x, const gen_trunk *t)
{
    return t->slope > 0 ? gen_leaky_relu(g, x, t->slope) : gen_relu(g, x);
}

/* batch norm, activation and dropout after a conv layer, each where asked for; Keras' eps and momentum */
static gen_node *after_conv(gen_graph *g, gen_node *h, const char *name, const gen_trunk *t, bool training)
{
    char norm[64];
    snprintf(norm, sizeof norm, "%s_norm", name);
    if (t->o.batch_norm)
        h = nn_batch_norm(g, h, norm, (nn_norm_spec){ .training = training, .eps = 1e-3, .momentum = 0.01 });
    h = activation(g, h, t);
    return training ? gen_dropout(g, h, t->o.dropout) : h;
}

/* Joining a one-hot label to a dense layer's input is adding a second layer's answer to it, "enc.label" or "dec.label", and a conv's the same at all
 * places but those where its kernel sees the zeros around the picture. h is the first layer's answer, spec its own. */
static gen_node *with_label(gen_graph *g, const gen_trunk *t, gen_node *h, const char *side, nn_dense_spec spec)
{
    char name[32];
    if (!t->o.label) return h;
    snprintf(name, sizeof name, "%s.label", side);
    spec.no_bias = true;
    gen_node *l = nn_dense(g, t->o.label, name, h->shape.dim[h->shape.rank - 1], spec);
    return gen_add(g, h, h->shape.rank == 4 ? gen_reshape(g, l, GEN_SHAPE(l->shape.dim[0], 1, 1, l->shape.dim[1])) : l);
}

/* ---- encoder, decoder ------------------------------------------------------------------------------------------------- */

static gen_node *dense_activation(gen_graph *g, gen_node *x, const gen_trunk *t)
{
    static const struct {
        const char *name;
        gen_node *(*of)(gen_graph *, gen_node *);
    } rules[] = { { "tanh", gen_tanh }, { "sigmoid", gen_sigmoid }, { "softplus", gen_softplus } };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!strcmp(t->o.activation, rules[i].name)) return rules[i].of(g, x);
    return gen_relu(g, x);
}

/* "enc.fc", or "enc.fc1", "enc.fc2" … where there are several */
static gen_node *hidden_layer(gen_graph *g, const gen_trunk *t, gen_node *h, const char *side, int32_t i, int64_t units,
                              bool training)
{
    char name[32];
    if (t->n_dense == 1) snprintf(name, sizeof name, "%s.fc", side);
    else snprintf(name, sizeof name, "%s.fc%d", side, i + 1);
    h = nn_dense(g, h, name, units, gen_trunk_dense(t));
    h = dense_activation(g, i == 0 ? with_label(g, t, h, side, gen_trunk_dense(t)) : h, t);
    return training ? gen_dropout(g, h, t->o.dropout) : h;
}

static gen_node *encode_flat(gen_graph *g, const gen_trunk *t, gen_node *x, bool training)
{
    gen_node *h = nn_flatten(g, x);
    for (int32_t i = 0; i < t->n_dense; i++) h = hidden_layer(g, t, h, "enc", i, t->dense[i], training);
    return h;
}

gen_node *gen_trunk_encode(gen_graph *g, const gen_trunk *t, gen_node *x, bool training)
{
    if (t->flat) return encode_flat(g, t, x, training);
    gen_node *h = x;
    for (int32_t i = 0; i < t->n_enc; i++) {
        char name[32];
        snprintf(name, sizeof name, "enc.conv%d", i + 1);
        h = nn_conv(g, h, name, t->enc[i].channels, conv_spec(t, &t->enc[i]));
        if (i == 0) h = with_label(g, t, h, "enc", gen_trunk_dense(t));
        h = after_conv(g, h, name, t, training);
    }
    h = nn_flatten(g, h);
    return t->hidden ? activation(g, nn_dense(g, h, "enc.fc", t->hidden, gen_trunk_dense(t)), t) : h;
}

/* Where the decoder's first picture starts: the size that the encoder's strides lead to. */
static void start_size(const gen_trunk *t, int64_t size[2])
{
    size[0] = t->height;
    size[1] = t->width;
    for (int32_t i = 0; i < t->n_enc; i++)
        for (int axis = 0; axis < 2; axis++) size[axis] = (size[axis] + t->enc[i].stride - 1) / t->enc[i].stride;
}

/* A size that does not halve evenly comes back a little larger: it is cropped below and right. */
static gen_node *crop(gen_graph *g, gen_node *x, const gen_trunk *t)
{
    return gen_slice(g, gen_slice(g, x, 1, 0, t->height), 2, 0, t->width);
}

static gen_node *decode_flat(gen_graph *g, const gen_trunk *t, gen_node *z, bool training)
{
    gen_node *h = z;
    for (int32_t i = 0; i < t->n_dense; i++)
        h = hidden_layer(g, t, h, "dec", i, t->dense[t->n_dense - 1 - i], training);
    nn_dense_spec image = dense_to_image(t, t->height, t->width, t->channels);
    h = nn_dense(g, h, "dec.out", t->height * t->width * t->channels, image);
    if (!t->n_dense) h = with_label(g, t, h, "dec", image);
    return nn_image(g, h, t->height, t->width, t->channels);
}

gen_node *gen_trunk_decode(gen_graph *g, const gen_trunk *t, gen_node *z, bool training)
{
    if (t->flat) return decode_flat(g, t, z, training);
    int64_t size[2], c = t->enc[t->n_enc - 1].channels;
    start_size(t, size);
    gen_node *h = z;
    nn_dense_spec hidden = gen_trunk_dense(t), image = dense_to_image(t, size[0], size[1], c);
    if (t->hidden) h = activation(g, with_label(g, t, nn_dense(g, h, "dec.fc", t->hidden, hidden), "dec", hidden), t);
    h = nn_dense(g, h, "dec.dense", size[0] * size[1] * c, image);
    if (!t->hidden) h = with_label(g, t, h, "dec", image);
    if (t->dense_act) h = activation(g, h, t);
    h = nn_image(g, h, size[0], size[1], c);
    for (int32_t i = 0; i < t->n_dec; i++) {
        char name[32];
        bool last = i == t->n_dec - 1;
        snprintf(name, sizeof name, "dec.conv%d", i + 1);
        h = nn_conv_t(g, h, name, last ? t->channels : t->dec[i].channels, conv_spec(t, &t->dec[i]));
        if (!last) h = after_conv(g, h, name, t, training);
    }
    return crop(g, h, t);
}
