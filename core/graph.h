/* core/graph.h: a model writes down its maths once, as a graph of ops.
 *
 *     gen_graph *g = gen_graph_new();
 *     gen_node *x = gen_input(g, "x", GEN_SHAPE(64, 28, 28, 1));
 *     gen_node *w = gen_param(g, "fc.weight", GEN_SHAPE(784, 10), (gen_param_spec){ .init = GEN_INIT_XAVIER });
 *     gen_node *y = gen_matmul(g, gen_reshape(g, x, GEN_SHAPE(64, 784)), w, false, false);
 *     gen_output(g, "loss", gen_mean(g, gen_square(g, y)));
 *     GEN_TRY(gen_graph_check(g, &err));
 *
 * Builders never return NULL and never a status: the graph keeps the first failure, with op, layer and shapes, and gen_graph_check reports it.
 * After a failure the builders return a harmless node, so a model needs one check at its end. Nodes live as long as the graph.
 */
#ifndef GEN_CORE_GRAPH_H
#define GEN_CORE_GRAPH_H

#include "core/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_graph gen_graph;

typedef struct gen_node {
    gen_op op;
    int32_t id; /* position in the graph: inputs have smaller ids */
    int32_t n_in;
    gen_shape shape;
    struct gen_node **in;
    gen_attr attr;
    const char *name; /* of inputs and parameters; else the layer it was built in ("enc.conv1"), or "" */
    int32_t
        forward; /* 0, or it computes again what one of the nodes 0 .. forward-1 was: never fused with those (core/recompute.h) */
} gen_node;

gen_graph *gen_graph_new(void); /* NULL when memory ran out */
void gen_graph_free(gen_graph *g);
gen_status gen_graph_check(const gen_graph *g, gen_error *err);
int32_t gen_graph_size(const gen_graph *g);
gen_node *gen_graph_node(const gen_graph *g, int32_t id);
gen_arena *gen_graph_arena(gen_graph *g);
/* Records a failure from outside the builders (a layer that finds its sizes wrong). */
void gen_graph_fail(gen_graph *g, gen_status status, const char *format, ...) GEN_PRINTF(3, 4);
/* Names the layer that the next nodes belong to; "" ends it. Copied. */
void gen_graph_scope(gen_graph *g, const char *layer);

/* ---- sources, outputs ---------------------------------------------------------------------------------------------- */
/* fed before each run; the same name twice is the same input (shapes must agree) */
gen_node *gen_input(gen_graph *g, const char *name, gen_shape shape);
gen_node *gen_const(gen_graph *g, gen_shape shape, const float *data); /* data is copied */
gen_node *gen_fill(gen_graph *g, gen_shape shape, double value);
gen_node *gen_scalar(gen_graph *g, double value);

typedef enum gen_init {
    GEN_INIT_ZERO,
    GEN_INIT_CONST,         /* a */
    GEN_INIT_NORMAL,        /* N(0, a^2) */
    GEN_INIT_UNIFORM,       /* U(-a, a) */
    GEN_INIT_XAVIER,        /* U(-l, l), l = sqrt(6 / (fan_in + fan_out)): Glorot & Bengio 2010; Keras' default */
    GEN_INIT_HE,            /* N(0, 2 / fan_in): He et al. 2015 */
    GEN_INIT_TORCH,         /* U(-l, l), l = 1 / sqrt(fan_in): PyTorch's default for conv and linear layers */
    GEN_INIT_NORMAL_AROUND, /* N(b, a^2) */
} gen_init;

/* How a parameter lies in a checkpoint, where names and layouts are PyTorch's. */
typedef enum gen_layout {
    GEN_LAYOUT_PLAIN,
    GEN_LAYOUT_CONV, /* here [R,S,C,K], there [K,C,R,S]; transposed convs: theirs is the adjoint's [C_in,C_out,R,S] */
    GEN_LAYOUT_DENSE, /* here [in,out], there [out,in]; flatten says which side crosses a flatten (theirs C,H,W; ours H,W,C) */
} gen_layout;

typedef struct gen_param_spec {
    gen_init init;
    double a, b;
    int64_t fan_in, fan_out; /* XAVIER, HE, TORCH; 0: from the shape */
    gen_layout layout;
    int64_t flatten_in[3];  /* DENSE: C,H,W of the flattened input; zeros: none */
    int64_t flatten_out[3]; /* DENSE or its bias: C,H,W that the output is reshaped to */
    bool state;             /* not learned: moments, counters, running statistics, EMA */
    bool counter; /* state that checkpoints of PyTorch lack and inference does not need (moments, step): kept apart */
} gen_param_spec;

/* A stored tensor. The same name twice is the same parameter (shapes must agree). A graph reads like a program: after gen_assign (and so after
 * gen_optim_minimise) the name stands for the new value, as a leaf through which no gradient flows. So one graph holds a step of several updates. */
gen_node *gen_param(gen_graph *g, const char *name, gen_shape shape, gen_param_spec spec);
int32_t gen_graph_params(const gen_graph *g);
/* i-th distinct parameter, in order of creation */
gen_node *gen_graph_param(const gen_graph *g, int32_t i, gen_param_spec *spec);
/* what it holds at this place of the step */
gen_node *gen_graph_param_newest(gen_graph *g, int32_t i);

/* param becomes value: nodes that hold param already see the old value, gen_param from here on gives the new one; the last value is stored. */
void gen_assign(gen_graph *g, gen_node *param, gen_node *value);
/* From here on, gradients of losses drop most results of the forward pass and compute them again: less memory, more time, the same bits. */
void gen_graph_checkpoint(gen_graph *g);
bool gen_graph_checkpoints(const gen_graph *g);
/* Makes a node fetchable by name. */
void gen_output(gen_graph *g, const char *name, gen_node *node);
int32_t gen_graph_outputs(const gen_graph *g);
gen_node *gen_graph_output(const gen_graph *g, int32_t i, const char **name);
int32_t gen_graph_assigns(const gen_graph *g);
gen_node *gen_graph_assign(const gen_graph *g, int32_t i);

/* ---- elementwise; binary ops broadcast ----------------------------------------------------------------------------- */
gen_node *gen_affine(gen_graph *g, gen_node *x, double a, double b); /* a x + b */
gen_node *gen_scale(gen_graph *g, gen_node *x, double a);
gen_node *gen_neg(gen_graph *g, gen_node *x);
gen_node *gen_abs(gen_graph *g, gen_node *x);
gen_node *gen_sign(gen_graph *g, gen_node *x);
gen_node *gen_step(gen_graph *g, gen_node *x); /* x > 0 */
gen_node *gen_square(gen_graph *g, gen_node *x);
gen_node *gen_sqrt(gen_graph *g, gen_node *x);
gen_node *gen_rsqrt(gen_graph *g, gen_node *x);
gen_node *gen_exp(gen_graph *g, gen_node *x);
gen_node *gen_log(gen_graph *g, gen_node *x);
gen_node *gen_sin(gen_graph *g, gen_node *x);
gen_node *gen_cos(gen_graph *g, gen_node *x);
gen_node *gen_tanh(gen_graph *g, gen_node *x);
gen_node *gen_sigmoid(gen_graph *g, gen_node *x);
gen_node *gen_softplus(gen_graph *g, gen_node *x);
gen_node *gen_erf(gen_graph *g, gen_node *x);
gen_node *gen_relu(gen_graph *g, gen_node *x);
gen_node *gen_leaky_relu(gen_graph *g, gen_node *x, double slope);
gen_node *gen_elu(gen_graph *g, gen_node *x, double a); /* x > 0 ? x : a (e^x - 1) */
gen_node *gen_silu(gen_graph *g, gen_node *x);          /* x sigmoid(x) */
gen_node *gen_gelu(gen_graph *g, gen_node *x);          /* x Phi(x), exact */
gen_node *gen_clamp(gen_graph *g, gen_node *x, double low, double high);
gen_node *gen_floor(gen_graph *g, gen_node *x);
gen_node *gen_add(gen_graph *g, gen_node *a, gen_node *b);
gen_node *gen_sub(gen_graph *g, gen_node *a, gen_node *b);
gen_node *gen_mul(gen_graph *g, gen_node *a, gen_node *b);
gen_node *gen_div(gen_graph *g, gen_node *a, gen_node *b);
gen_node *gen_pow(gen_graph *g, gen_node *a, gen_node *b);
gen_node *gen_min(gen_graph *g, gen_node *a, gen_node *b);
gen_node *gen_max(gen_graph *g, gen_node *a, gen_node *b);
gen_node *gen_less(gen_graph *g, gen_node *a, gen_node *b);
gen_node *gen_equal(gen_graph *g, gen_node *a, gen_node *b);
gen_node *gen_select(gen_graph *g, gen_node *c, gen_node *a, gen_node *b);
gen_node *gen_stop(gen_graph *g, gen_node *x); /* no gradient passes */

/* ---- products ------------------------------------------------------------------------------------------------------ */
/* a[..,M,K] (or [..,K,M] when trans_a) times b. Leading axes are equal, or b has only two. */
gen_node *gen_matmul(gen_graph *g, gen_node *a, gen_node *b, bool trans_a, bool trans_b);
gen_window gen_window_of(int32_t kernel, int32_t stride, int32_t pad);
/* TensorFlow's SAME: the odd zero goes below and right */
gen_window gen_window_same(int32_t kernel, int32_t stride, int64_t h, int64_t w);
/* x[N,H,W,C], w[R,S,C/groups,K] -> y[N,P,Q,K] */
gen_node *gen_conv2d(gen_graph *g, gen_node *x, gen_node *w, gen_window window);
/* y[N,P,Q,K], w[R,S,C/groups,K] -> x[N,h,w,C]: h, w is a size that conv2d with this window maps to P, Q */
gen_node *gen_conv2d_t(gen_graph *g, gen_node *y, gen_node *w, gen_window window, int64_t out_h, int64_t out_w);
/* x[N,H,W,C], dy[N,P,Q,K] -> dw[R,S,C/groups,K] */
gen_node *gen_conv2d_w(gen_graph *g, gen_node *x, gen_node *dy, gen_window window);

/* ---- whole sequences, time first --------------------------------------------------------------------------------------- */
/* A long short-term memory over T steps (Hochreiter & Schmidhuber 1997; gates in PyTorch's order i f g o):
 *   i f g o = xg[t] + h w, through sigmoid sigmoid tanh sigmoid;  c = f c + i g;  h = o tanh c
 * xg[T,N,4H]: inputs times their weights, plus bias. w[H,4H], h0, c0[N,H] -> [6,T,N,H]: the gates i f g o of every step as
 * [T,N,4,H] (what a step needs of a sample lies together), then planes c and h. First gradients only. */
gen_node *gen_lstm(gen_graph *g, gen_node *xg, gen_node *w, gen_node *h0, gen_node *c0);
/* A gated recurrent unit (Cho et al. 2014, in PyTorch's form; gates r z n):
 *   r, z = sigmoid(xg[t] + h w + b);  q = h w_n + b_n;  n = tanh(xg_n + r q);  h = (1 - z) n + z h
 * xg[T,N,3H], w[H,3H], b[3H], h0[N,H] -> [5,T,N,H]: r z n q as [T,N,4,H], then plane h. First gradients only. */
gen_node *gen_gru(gen_graph *g, gen_node *xg, gen_node *w, gen_node *b, gen_node *h0);
/* Plane i of [P,T,N,H] -> [T,N,H]: 4 is c and 5 is h of an lstm, 4 is h of a gru. */
gen_node *gen_plane(gen_graph *g, gen_node *planes, int32_t i);

/* ---- resampling of x[N,H,W,C] -------------------------------------------------------------------------------------- */
gen_node *gen_upsample(gen_graph *g, gen_node *x, int32_t scale); /* nearest */
gen_node *gen_sum_pool(gen_graph *g, gen_node *x, gen_window window);
gen_node *gen_sum_pool_t(gen_graph *g, gen_node *x, gen_window window, int64_t out_h, int64_t out_w);
gen_node *gen_avg_pool(gen_graph *g, gen_node *x, gen_window window); /* padding counts, as PyTorch's default */
gen_node *gen_max_pool(gen_graph *g, gen_node *x, gen_window window); /* padding never wins */
gen_node *gen_global_avg_pool(gen_graph *g, gen_node *x);             /* -> [N,1,1,C] */
gen_node *gen_resize_bilinear(gen_graph *g, gen_node *x, int64_t out_h, int64_t out_w);

/* ---- reductions: axes is a bit mask; reduced axes stay with size 1 -------------------------------------------------- */
#define GEN_AXIS(i) (1u << (i))
#define GEN_ALL_AXES 0xffffffffu
gen_node *gen_sum(gen_graph *g, gen_node *x, uint32_t axes);
gen_node *gen_mean_of(gen_graph *g, gen_node *x, uint32_t axes);
gen_node *gen_max_of(gen_graph *g, gen_node *x, uint32_t axes);
gen_node *gen_lse(gen_graph *g, gen_node *x, uint32_t axes);
gen_node *gen_softmax(gen_graph *g, gen_node *x, uint32_t axes);
gen_node *gen_log_softmax(gen_graph *g, gen_node *x, uint32_t axes);
gen_node *gen_argmax(gen_graph *g, gen_node *x);                        /* last axis, which becomes 1 */
gen_node *gen_sum_all(gen_graph *g, gen_node *x);                       /* -> scalar, rank 0 */
gen_node *gen_sum_squares(gen_graph *g, int32_t n, gen_node *const *x); /* of n tensors together -> scalar, rank 0 */
gen_node *gen_mean(gen_graph *g, gen_node *x);                          /* -> scalar, rank 0 */
/* Sums x down to a shape that broadcasts to x's: the adjoint of broadcasting. */
gen_node *gen_sum_to(gen_graph *g, gen_node *x, gen_shape shape);

/* ---- normalisation of x[N,..,C]; gamma, beta [C] --------------------------------------------------------------------- */
/* Per sample, in groups of C/groups neighbouring channels: groups = C is instance norm, 1 layer norm over all of a sample. */
gen_node *gen_group_norm(gen_graph *g, gen_node *x, gen_node *gamma, gen_node *beta, int32_t groups, double eps);
/* Over all but the last axis, statistics of this batch; *stats (may be NULL) gets [1,2,C]: mean, 1/sqrt(var + eps). */
gen_node *gen_batch_norm(gen_graph *g, gen_node *x, gen_node *gamma, gen_node *beta, double eps, gen_node **stats);
/* With given mean[C], var[C] (running statistics). */
gen_node *gen_fixed_norm(gen_graph *g, gen_node *x, gen_node *gamma, gen_node *beta, gen_node *mean, gen_node *var,
                         double eps);
/* over the last axis */
gen_node *gen_layer_norm(gen_graph *g, gen_node *x, gen_node *gamma, gen_node *beta, double eps);

/* ---- movement ------------------------------------------------------------------------------------------------------ */
gen_node *gen_reshape(gen_graph *g, gen_node *x, gen_shape shape); /* one dim may be -1 */
gen_node *gen_transpose(gen_graph *g, gen_node *x, const int32_t *perm);
gen_node *gen_broadcast(gen_graph *g, gen_node *x, gen_shape shape);
gen_node *gen_slice(gen_graph *g, gen_node *x, int32_t axis, int64_t start, int64_t count);
gen_node *gen_slice_step(gen_graph *g, gen_node *x, const int64_t *start, const int64_t *step, gen_shape shape);
gen_node *gen_flip(gen_graph *g, gen_node *x, int32_t axis);
/* H, W of [N,H,W,C] */
gen_node *gen_pad_zero(gen_graph *g, gen_node *x, int32_t top, int32_t left, int32_t bottom, int32_t right);
gen_node *gen_pad(gen_graph *g, gen_node *x, gen_pad_mode mode, int32_t top, int32_t left, int32_t bottom,
                  int32_t right);
gen_node *gen_concat(gen_graph *g, int32_t n, gen_node *const *x, int32_t axis);
/* table[V,D], index[..] whole numbers -> [..,D] */
gen_node *gen_gather(gen_graph *g, gen_node *table, gen_node *index);
gen_node *gen_one_hot(gen_graph *g, gen_node *index, int64_t classes); /* -> [..,classes] */

/* ---- random numbers; each call is a new stream, named by layer and order, so that graphs of one model agree ---------- */
gen_node *gen_normal(gen_graph *g, gen_shape shape);
gen_node *gen_uniform(gen_graph *g, gen_shape shape);
gen_node *gen_bernoulli(gen_graph *g, gen_shape shape, double p);
gen_node *gen_dropout(gen_graph *g, gen_node *x, double p); /* kept values are divided by 1 - p */
/* The same with a stream key of the caller's. */
gen_node *gen_random(gen_graph *g, gen_op op, gen_shape shape, double a, uint64_t key);

/* ---- losses: elementwise pieces; reduce them as the model's paper does ----------------------------------------------- */
gen_node *gen_bce_logits(gen_graph *g, gen_node *logit, gen_node *target);     /* softplus(x) - x t */
gen_node *gen_cross_entropy(gen_graph *g, gen_node *logits, gen_node *labels); /* logits[..,V], labels[..] -> [..] */
gen_node *gen_mse(gen_graph *g, gen_node *a, gen_node *b);                     /* mean over all: scalar */
gen_node *gen_l1(gen_graph *g, gen_node *a, gen_node *b);                      /* mean over all: scalar */

/* ---- for the op families (core/op) and the plan ------------------------------------------------------------------------ */
/* A new node of op; infers its shape. Keeps in[], copies attr. */
gen_node *gen_node_new(gen_graph *g, gen_op op, int32_t n_in, gen_node *const *in, const gen_attr *attr);
/* Takes back the nodes from id n on, which nobody may hold. */
void gen_graph_cut(gen_graph *g, int32_t n);

#ifdef __cplusplus
}
#endif
#endif
