/* models/trunk.h: encoders and decoders of pictures that autoencoders share: conv nets of any depth, the published ones, and dense ones.
 *
 *     gen_trunk t = gen_trunk_for("conv", &(gen_trunk_options){ .width = 32, .hidden = 256 }, 28, 28, 1);
 *     gen_node *h = gen_trunk_encode(g, &t, x, true);        // [N,features], layers "enc.conv1" …
 *     gen_node *y = gen_trunk_decode(g, &t, z, true);        // [N,28,28,1], linear, layers "dec.…"
 */
#ifndef GEN_MODELS_TRUNK_H
#define GEN_MODELS_TRUNK_H

#include "core/nn.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GEN_TRUNK_NETS "conv|mlp|hinton|linear|gdl-digits|gdl-faces|bench"
#define GEN_TRUNK_INITS "torch|keras|he|normal"
#define GEN_TRUNK_ACTIVATIONS "relu|tanh|sigmoid|softplus"

typedef struct gen_trunk_options {
    int64_t width, hidden;  /* channels of the first conv layer; units of the dense layer beside the code (0: none) */
    const char *init;       /* of GEN_TRUNK_INITS */
    const char *activation; /* of GEN_TRUNK_ACTIVATIONS: of the hidden layers of nets without conv layers */
    bool batch_norm;
    double dropout; /* after each conv layer, or hidden layer of nets without any, in training */
    gen_node
        *label; /* [rows,classes], one-hot: joined to the input of the first layer of encoder and decoder; NULL: none */
} gen_trunk_options;

enum { GEN_TRUNK_MAX_LAYERS = 10, GEN_TRUNK_MAX_DENSE = 4 };

typedef struct gen_trunk_layer {
    int32_t channels, kernel, stride;
} gen_trunk_layer;

typedef struct gen_trunk {
    gen_trunk_options o;
    int64_t height, width, channels;
    gen_trunk_layer enc[GEN_TRUNK_MAX_LAYERS],
        dec[GEN_TRUNK_MAX_LAYERS]; /* the last decoder layer's channels are the picture's */
    int32_t n_enc, n_dec;
    bool flat; /* dense layers instead of conv layers: the encoder's sizes, which the decoder has backwards */
    int64_t dense[GEN_TRUNK_MAX_DENSE];
    int32_t n_dense;
    bool same;      /* TensorFlow's SAME padding, else (kernel - 1) / 2 zeros, as PyTorch's examples */
    double slope;   /* leaky relu; 0: relu */
    bool dense_act; /* activation after the decoder's last dense layer */
    int64_t hidden;
} gen_trunk;

/* net: one of GEN_TRUNK_NETS. Options outlive the trunk's strings. */
gen_trunk gen_trunk_for(const char *net, const gen_trunk_options *options, int64_t height, int64_t width,
                        int64_t channels);
gen_node *gen_trunk_encode(gen_graph *g, const gen_trunk *t, gen_node *x, bool training);
gen_node *gen_trunk_decode(gen_graph *g, const gen_trunk *t, gen_node *z, bool training);

/* Initial weights of further dense layers, as the trunk's own. */
nn_dense_spec gen_trunk_dense(const gen_trunk *t);

#ifdef __cplusplus
}
#endif
#endif
