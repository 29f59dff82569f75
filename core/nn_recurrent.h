/* core/nn_recurrent.h: layers over time, composed of ops. Sequences lie time first, x[T,N,C]. Names and shapes are those of PyTorch's nn.Embedding,
 * nn.LSTM and nn.GRU: "lstm.weight_ih_l0" [4H,C] in a checkpoint, "…_l1", "…_l0_reverse".
 *
 *     gen_node *x = nn_embedding(g, tokens, "embed", 387, 100);                                        // tokens[T,N] -> [T,N,100]
 *     nn_recurrent r = nn_lstm(g, x, "lstm", 256, (nn_recurrent_spec){ .layers = 2 });                 // r.y [T,N,256]
 *     nn_attention a = nn_attend(g, r.y, "attention");                                                 // a.context [N,256]
 */
#ifndef GEN_CORE_NN_RECURRENT_H
#define GEN_CORE_NN_RECURRENT_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { NN_MAX_STATES = 16 }; /* layers times directions */

/* index[..] whole numbers of 0 to words - 1 -> [..,d]; starts as N(0, 1), PyTorch's default */
gen_node *nn_embedding(gen_graph *g, gen_node *index, const char *name, int64_t words, int64_t d);

typedef struct nn_recurrent_spec {
    int32_t layers; /* 0: 1; each reads the one before; layers times directions are at most NN_MAX_STATES */
    bool bidirectional;
    double dropout; /* of the input of each layer but the first, as PyTorch's; 0: none (outside training) */
    /* [N]: sequence n is its first lengths[n] steps (at least 1). The rest of y is zero, the last state is that after its last step, and the backward
     * direction starts there: PyTorch's packed sequences. NULL: all T. */
    gen_node *lengths;
    /* States [N,H] before the first step; state l of the forward direction of layer l, or 2 l and 2 l + 1 (backward) where both are. NULL: zeros. */
    gen_node *const *h0, *const *c0;
} nn_recurrent_spec;

typedef struct nn_recurrent {
    gen_node *y;                                   /* [T,N,H], [T,N,2H] with both directions: forward first */
    gen_node *h[NN_MAX_STATES], *c[NN_MAX_STATES]; /* [N,H] after the last step, in the order of h0; a GRU has no c */
    int32_t n_states;
} nn_recurrent;

/* x[T,N,C]; weights start as PyTorch's, U(-1/sqrt(H), 1/sqrt(H)) */
nn_recurrent nn_lstm(gen_graph *g, gen_node *x, const char *name, int64_t hidden, nn_recurrent_spec spec);
nn_recurrent nn_gru(gen_graph *g, gen_node *x, const char *name, int64_t hidden, nn_recurrent_spec spec);

/* What of T states counts now (D. Foster, Generative Deep Learning, 1st ed., ch. 7):
 *   e[t] = tanh(w h[t] + b),   a = softmax over time of e,   context = sum_t a[t] h[t]
 * h[T,N,H] -> context [N,H], weight [T,N]. Stores "name.weight" [1,H] and "name.bias" [1]. */
typedef struct nn_attention {
    gen_node *context, *weight;
} nn_attention;
nn_attention nn_attend(gen_graph *g, gen_node *h, const char *name);

#ifdef __cplusplus
}
#endif
#endif
