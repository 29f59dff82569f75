/* core/op.h: what an op is: its row in op_list.h, its attributes, and the call that a kernel sees.
 *
 *     const gen_op_info *info = gen_op_get(node->op);
 *     printf("%s computes %s\n", info->name, info->computes);
 *
 * Tensors are row-major and contiguous. Images are [N,H,W,C]; filters [R,S,C/groups,K]; matrices [rows, columns].
 */
#ifndef GEN_CORE_OP_H
#define GEN_CORE_OP_H

#include <stdbool.h>

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_MAX_RANK = 6 };

typedef struct gen_shape {
    int32_t rank; /* 0: a scalar */
    int64_t dim[GEN_MAX_RANK];
} gen_shape;

typedef enum gen_op {
#define OP(id, name, n_in, infer, grad, flags, dtype, computes) GEN_OP_##id,
#include "core/op_list.h"
#undef OP
    GEN_OP_COUNT
} gen_op;

enum {
    OP_SOURCE = 1,      /* no kernel: data from outside */
    OP_SINK = 2,        /* writes a parameter */
    OP_VIEW = 4,        /* shares the memory of in[0] */
    OP_ELEMENTWISE = 8, /* element i depends on element i of the (broadcast) inputs alone: fusable, in-place safe */
    OP_RANDOM = 16,     /* depends on seed, step and key */
    OP_PLAN = 32,       /* made by the plan only */
};

typedef enum gen_number { GEN_F32 } gen_number; /* what the elements of a result are */

/* A sliding window: one description for conv, transposed conv and pooling. */
typedef struct gen_window {
    int32_t kernel[2]; /* R, S */
    int32_t stride[2]; /* down, right */
    int32_t pad[4];    /* zeros added: top, left, bottom, right; negative crops */
    int32_t dilation[2];
    int32_t groups; /* channel groups of a convolution; K and C are multiples */
} gen_window;

/* Windows on an axis of n: floor((n + before + after - dilation (kernel - 1) - 1) / stride) + 1; 0 or less when the window does not fit. */
int64_t gen_window_out(const gen_window *window, int axis, int64_t n);

typedef enum gen_pad_mode { GEN_PAD_REFLECT, GEN_PAD_REPLICATE } gen_pad_mode;

/* Attributes of a node; each op reads only its own (named in graph.h). */
typedef struct gen_attr {
    gen_window window; /* conv*, *pool*, max_pick*; pad and pad_t use window.pad */
    gen_shape shape;   /* the result's shape where inputs do not say it: fixed ops, reshape, broadcast, adjoints */
    int64_t start[GEN_MAX_RANK], step[GEN_MAX_RANK]; /* slice, slice_t */
    int32_t perm[GEN_MAX_RANK];                      /* transpose */
    uint32_t axes;                                   /* reductions: bit i = axis i */
    int32_t axis;                                    /* concat */
    int32_t groups;                                  /* norm*: G */
    int32_t mode;                                    /* pad: gen_pad_mode */
    bool trans_a, trans_b;                           /* matmul */
    double a, b;       /* affine, leaky, clamp, bernoulli; norm_stats: a = eps; const without data: a */
    uint64_t key;      /* random ops: the node's key */
    const float *data; /* const: row-major data, owned by the graph; NULL: a everywhere */
} gen_attr;

/* A tensor as a kernel sees it: contiguous, row-major. REAL is float, or double when the double-precision reference runs. */
typedef struct gen_view {
    void *data;
    gen_shape shape;
} gen_view;

/* What a conv, conv2d_t, matmul or norm kernel does to its result before storing it (made by the plan; see docs/add-a-kernel.md):
 * y = act(y + bias[k] + residual). Fields that are absent have NULL data; act is GEN_OP_COUNT for none, else RELU, LEAKY, SIGMOID, TANH. */
typedef struct gen_epilogue {
    gen_view bias;     /* [K]: last axis of y */
    gen_view residual; /* the shape of y */
    gen_op act;
    double act_a; /* slope of LEAKY */
} gen_epilogue;

/* A chain: straight-line code over registers, run for every element of one iteration shape. Registers 0..n_in-1 are the inputs (broadcast to the
 * shape as NumPy does), each instruction writes a new register; outputs are registers. Built by the plan, run by the chain kernel. */
enum { GEN_CHAIN_MAX_IN = 24, GEN_CHAIN_MAX_OUT = 12, GEN_CHAIN_MAX_CODE = 64 };

typedef struct gen_chain_code {
    gen_op op;      /* an elementwise op */
    int16_t src[3]; /* registers; -1 where the op has fewer inputs */
    double a, b;    /* attributes a, b of the op */
} gen_chain_code;

typedef struct gen_chain {
    gen_shape shape; /* iteration shape; every output has as many elements */
    int32_t n_in, n_out, n_code;
    int16_t out[GEN_CHAIN_MAX_OUT];          /* register of each output */
    gen_chain_code code[GEN_CHAIN_MAX_CODE]; /* instruction i writes register n_in + i */
} gen_chain;

/* What changes from run to run. */
typedef struct gen_run_state {
    uint64_t seed, step;
    uint64_t first_sample; /* index of the batch's sample 0 in the whole run */
} gen_run_state;

/* One step of a plan: everything a kernel may know. Elementwise ops and chains may run in place: any out[k].data may equal the data of any one input
 * of the full shape (never of a broadcast one), so a chain must not store a block of that output before its last read of the same block of that input. */
typedef struct gen_call {
    gen_op op;
    int32_t n_in, n_out;
    gen_view *in, *out; /* n_out is 1 except for chains */
    const gen_attr *attr;
    gen_epilogue epilogue;
    const gen_chain *chain; /* CHAIN only */
    const gen_run_state *state;
    const char *name; /* for profiles and errors: "conv2d enc.conv1" */
    bool passing;     /* nobody but the next call reads out[0] */
    bool frozen;      /* in[1] (weights) never changes while the session lives: may be packed once */
} gen_call;

struct gen_node;
struct gen_graph;

typedef struct gen_op_info {
    const char *name, *computes;
    int32_t n_in; /* -1: any number */
    uint32_t flags;
    gen_number dtype;
    /* shape rule: reads y->in and y->attr, writes out */
    gen_status (*infer)(const struct gen_node *y, gen_shape *out, gen_error *err);
    /* adds gradient nodes: dx[i] += nothing, = d loss / d in[i]; left NULL where there is no gradient. want[i]: is dx[i] needed */
    void (*grad)(struct gen_graph *g, struct gen_node *y, struct gen_node *dy, struct gen_node *dx[],
                 const bool want[]);
} gen_op_info;

const gen_op_info *gen_op_get(gen_op op);

/* ---- shapes -------------------------------------------------------------------------------------------------------- */
gen_shape gen_shape_of(int32_t rank, const int64_t *dim);
#define GEN_SHAPE(...)                                                                                                 \
    gen_shape_of((int32_t)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (int64_t[]){ __VA_ARGS__ })
int64_t gen_shape_count(const gen_shape *shape); /* number of elements */
bool gen_shape_equal(const gen_shape *a, const gen_shape *b);
/* "[64,28,28,1]" into buffer (64 bytes are always enough for what fits a line); returns buffer. */
const char *gen_shape_text(const gen_shape *shape, char *buffer, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
