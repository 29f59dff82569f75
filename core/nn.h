/* core/nn.h: layers, composed of ops. Names are PyTorch's: a layer "enc.conv1" stores "enc.conv1.weight" and "enc.conv1.bias".
 *
 *     gen_node *h = nn_conv(g, x, "enc.conv1", 32, (nn_conv_spec){ .kernel = 3, .stride = 2, .pad = 1 });   // [N,14,14,32]
 *     h = gen_leaky_relu(g, h, 0.01);
 *     h = nn_dense(g, nn_flatten(g, h), "enc.mu", 20, (nn_dense_spec){ 0 });                                // [N,20]
 */
#ifndef GEN_CORE_NN_H
#define GEN_CORE_NN_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How weights start: a framework's default, or a published recipe. Biases: PyTorch's default under NN_INIT_TORCH, else zero. */
typedef enum nn_init {
    NN_INIT_TORCH,
    NN_INIT_XAVIER, /* Keras' default */
    NN_INIT_HE,
    NN_INIT_NORMAL, /* N(0, sigma^2) */
} nn_init;

typedef struct nn_conv_spec {
    int32_t kernel, stride; /* 0: 3 and 1 */
    int32_t pad;            /* zeros on each side */
    bool same;       /* TensorFlow's SAME padding instead of pad; a transposed conv then gives stride times the size */
    int32_t out_pad; /* transposed: rows and columns added below and right */
    int32_t groups;  /* 0: 1 */
    bool no_bias;
    nn_init init;
    double sigma;
} nn_conv_spec;

/* x[N,H,W,C] -> [N,P,Q,channels] */
gen_node *nn_conv(gen_graph *g, gen_node *x, const char *name, int64_t channels, nn_conv_spec spec);
/* Transposed: x[N,P,Q,K] -> [N,(P-1) stride - 2 pad + kernel + out_pad, …, channels] */
gen_node *nn_conv_t(gen_graph *g, gen_node *x, const char *name, int64_t channels, nn_conv_spec spec);

typedef struct nn_dense_spec {
    bool no_bias;
    nn_init init;
    double sigma;
    int64_t becomes[3]; /* C,H,W that the result is reshaped to as [N,H,W,C]; zeros: it stays flat */
} nn_dense_spec;

/* x[N,..,in] -> [N,..,out]. A flattened image as x is recognised, so that its weights mean the same to PyTorch, which flattens C,H,W. */
gen_node *nn_dense(gen_graph *g, gen_node *x, const char *name, int64_t out, nn_dense_spec spec);
gen_node *nn_flatten(gen_graph *g, gen_node *x);                                /* [N,..] -> [N,count] */
gen_node *nn_image(gen_graph *g, gen_node *x, int64_t h, int64_t w, int64_t c); /* [N,h w c] -> [N,h,w,c] */

/* x[..,C]. Training: statistics of the batch, and the running ones are assigned (momentum as PyTorch's: running += momentum (batch - running)).
 * Else: the running ones. */
typedef struct nn_norm_spec {
    bool training;
    double eps, momentum; /* 0: 1e-5, 0.1 */
    bool no_affine;
} nn_norm_spec;
gen_node *nn_batch_norm(gen_graph *g, gen_node *x, const char *name, nn_norm_spec spec);
/* Per sample in groups of channels; groups = 0: instance norm. no_affine: nothing is stored. */
gen_node *nn_group_norm(gen_graph *g, gen_node *x, const char *name, int32_t groups, nn_norm_spec spec);

#ifdef __cplusplus
}
#endif
#endif
