/* tests/op_cases.h: the shapes and attributes that every op is tried with. A row is cheap: add the one that broke. */
#ifndef GEN_TESTS_OP_CASES_H
#define GEN_TESTS_OP_CASES_H

#include "tests/op_run.h"

/* ---- elementwise ---- */

/* 16 floats are a vector of the widest instruction set: sizes around it, and one of several parts. */
static const gen_shape unary_shapes[] = {
    { 0, { 0 } }, S(1), S(2), S(7), S(15), S(16), S(17), S(31), S(33), S(3, 5, 7), S(2, 4, 4, 33), S(40001),
};

static const gen_shape binary_shapes[][2] = {
    { { 0, { 0 } }, { 0, { 0 } } },
    { S(1), S(1) },
    { S(17), S(17) },
    { S(33), { 0, { 0 } } },
    { S(1), S(33) },
    { S(2, 3, 4, 5), S(2, 3, 4, 5) },
    { S(2, 3, 4, 5), S(5) },
    { S(19), S(2, 3, 4, 19) },
    { S(2, 3, 4, 32), S(32) },
    { S(2, 3, 4, 5), S(2, 1, 1, 5) },
    { S(2, 3, 4, 5), S(2, 3, 4, 1) },
    { S(2, 3, 1, 1), S(2, 3, 4, 17) },
    { S(2, 1, 4, 1), S(1, 3, 1, 5) },
    { S(3, 1), S(1, 40) },
    { S(4, 1, 33), S(4, 5, 1) },
    { S(5, 4), S(1, 1) },
    { S(2, 1, 3, 1, 2, 1), S(1, 3, 1, 2, 1, 5) },
    { S(37, 1001), S(37, 1001) },
    { S(37, 1001), S(1001) },
    { S(37, 1001), S(37, 1) },
};

static const gen_shape ternary_shapes[][3] = {
    { S(17), S(17), S(17) },           { S(5, 7), S(7), { 0, { 0 } } },           { S(5, 1), S(1, 7), S(5, 7) },
    { { 0, { 0 } }, S(3, 33), S(33) }, { S(2, 3, 4, 5), S(2, 1, 1, 5), S(4, 1) },
};

/* Kingma & Ba 2015, Algorithm 1, as the plan would fuse it: m, v, gradient, weight, and scalars 1/(1-b1^t), 1/(1-b2^t)
 */
static const gen_chain chain_adam = {
    .shape = S(3, 41),
    .n_in = 6,
    .n_out = 3,
    .n_code = 11,
    .out = { 8, 11, 16 },
    .code = {
        { GEN_OP_AFFINE, { 0, -1, -1 }, 0.9, 0 },    /*  6 */
        { GEN_OP_AFFINE, { 2, -1, -1 }, 0.1, 0 },    /*  7 */
        { GEN_OP_ADD, { 6, 7, -1 }, 0, 0 },          /*  8: m */
        { GEN_OP_SQUARE, { 2, -1, -1 }, 0, 0 },      /*  9 */
        { GEN_OP_SUB, { 9, 1, -1 }, 0, 0 },          /* 10 */
        { GEN_OP_MAX, { 10, 1, -1 }, 0, 0 },         /* 11: v, or so */
        { GEN_OP_MUL, { 11, 5, -1 }, 0, 0 },         /* 12 */
        { GEN_OP_SQRT, { 12, -1, -1 }, 0, 0 },       /* 13 */
        { GEN_OP_MUL, { 8, 4, -1 }, 0, 0 },          /* 14 */
        { GEN_OP_DIV, { 14, 13, -1 }, 0, 0 },        /* 15 */
        { GEN_OP_SUB, { 3, 15, -1 }, 0, 0 },         /* 16: weight */
    },
};

/* An input as output, outputs of inner registers, select, and every way to broadcast. */
static const gen_chain chain_mixed = {
    .shape = S(2, 3, 4, 17),
    .n_in = 5,
    .n_out = 3,
    .n_code = 6,
    .out = { 0, 7, 10 },
    .code = {
        { GEN_OP_ADD, { 0, 1, -1 }, 0, 0 },          /* 5 */
        { GEN_OP_TANH, { 5, -1, -1 }, 0, 0 },        /* 6 */
        { GEN_OP_MUL, { 6, 2, -1 }, 0, 0 },          /* 7 */
        { GEN_OP_LESS, { 3, 4, -1 }, 0, 0 },         /* 8 */
        { GEN_OP_CLAMP, { 7, -1, -1 }, -0.5, 0.5 },  /* 9 */
        { GEN_OP_SELECT, { 8, 9, 0 }, 0, 0 },        /* 10 */
    },
};

static const gen_chain chain_long = {
    .shape = S(50000), .n_in = 2, .n_out = 1, .n_code = 3, .out = { 4 },
    .code = {
        { GEN_OP_SIGMOID, { 0, -1, -1 }, 0, 0 },
        { GEN_OP_MUL, { 2, 0, -1 }, 0, 0 },
        { GEN_OP_ADD, { 3, 1, -1 }, 0, 0 },
    },
};

static const op_case chain_cases[] = {
    { .op = GEN_OP_CHAIN,
      .n_in = 6,
      .in = { S(3, 41), S(3, 41), S(3, 41), S(3, 41), { 0, { 0 } }, S(1) },
      .chain = &chain_adam,
      .tolerance = 4e-6 },
    { .op = GEN_OP_CHAIN,
      .n_in = 5,
      .in = { S(2, 3, 4, 17), S(17), S(2, 1, 1, 17), S(3, 1, 1), S(2, 3, 4, 1) },
      .chain = &chain_mixed,
      .tolerance = 2e-6 },
    { .op = GEN_OP_CHAIN, .n_in = 2, .in = { S(50000), S(50000) }, .chain = &chain_long, .tolerance = 2e-6 },
};

/* ---- products ---- */

static const int64_t matmul_sizes[][4] = {
    /* batch, M, N, K; batch 0: rank 2 */
    { 0, 1, 1, 1 },       { 0, 1, 17, 5 },     { 0, 2, 3, 4 },       { 0, 5, 1, 33 },      { 0, 7, 16, 16 },
    { 0, 8, 32, 1 },      { 0, 13, 15, 64 },   { 0, 16, 48, 31 },    { 0, 31, 33, 65 },    { 0, 33, 64, 128 },
    { 0, 64, 65, 17 },    { 0, 100, 10, 130 }, { 0, 130, 129, 3 },   { 0, 1, 130, 130 },   { 0, 130, 1, 100 },
    { 0, 129, 131, 127 }, { 0, 6, 96, 300 },   { 1, 3, 4, 5 },       { 3, 5, 7, 9 },       { 4, 17, 18, 33 },
    { 7, 32, 16, 8 },     { 2, 65, 33, 20 },   { 0, 128, 128, 256 }, { 0, 150, 192, 288 }, { 0, 300, 128, 256 },
    { 0, 130, 320, 256 }, { 0, 128, 1, 40 },   { 2, 64, 3, 9 },      { 0, 192, 2, 1 },     { 3, 64, 4, 50 },
};

typedef struct conv_row {
    int64_t n, h, w, c, k;
    gen_window window; /* kernel, stride, pad top left bottom right, dilation, groups */
} conv_row;

static const conv_row conv_rows[] = {
    { 1, 1, 1, 1, 1, { { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } },
    { 2, 7, 5, 3, 8, { { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } },
    { 1, 5, 5, 70, 33, { { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } },
    { 1, 6, 7, 16, 32, { { 1, 1 }, { 2, 2 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } },
    { 1, 1, 1, 5, 7, { { 3, 3 }, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 } },
    { 2, 3, 3, 1, 4, { { 3, 3 }, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } },
    { 1, 8, 8, 16, 16, { { 3, 3 }, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 } },
    { 3, 13, 11, 17, 33, { { 3, 3 }, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 } },
    { 2, 9, 17, 32, 64, { { 3, 3 }, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 } },
    { 1, 14, 14, 64, 48, { { 3, 3 }, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } },
    { 2, 12, 10, 3, 20, { { 3, 3 }, { 1, 1 }, { 0, 1, 2, 3 }, { 1, 1 }, 1 } },
    { 1, 9, 9, 8, 8, { { 3, 3 }, { 1, 1 }, { -1, -2, -1, 0 }, { 1, 1 }, 1 } },
    { 2, 10, 9, 4, 6, { { 3, 3 }, { 1, 1 }, { 3, -1, 0, 2 }, { 1, 1 }, 1 } },
    { 1, 4, 4, 19, 21, { { 3, 3 }, { 1, 1 }, { 2, 2, 2, 2 }, { 1, 1 }, 1 } },
    { 1, 6, 6, 2, 3, { { 3, 3 }, { 1, 1 }, { 5, 5, 5, 5 }, { 1, 1 }, 1 } },
    { 2, 14, 14, 16, 32, { { 3, 3 }, { 2, 2 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 } },
    { 2, 28, 28, 1, 32, { { 3, 3 }, { 2, 2 }, { 0, 0, 1, 1 }, { 1, 1 }, 1 } },
    { 1, 15, 12, 18, 34, { { 3, 3 }, { 2, 2 }, { 1, 0, 0, 1 }, { 1, 1 }, 1 } },
    { 1, 16, 16, 3, 16, { { 4, 4 }, { 2, 2 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 } },
    { 2, 8, 8, 48, 33, { { 4, 4 }, { 2, 2 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 } },
    { 2, 4, 4, 20, 1, { { 4, 4 }, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } },
    { 1, 7, 9, 12, 10, { { 4, 4 }, { 1, 1 }, { 1, 1, 2, 2 }, { 1, 1 }, 1 } },
    { 1, 11, 11, 6, 16, { { 5, 5 }, { 1, 1 }, { 2, 2, 2, 2 }, { 1, 1 }, 1 } },
    { 2, 12, 12, 16, 17, { { 5, 5 }, { 2, 2 }, { 2, 2, 2, 2 }, { 1, 1 }, 1 } },
    { 1, 20, 19, 3, 64, { { 7, 7 }, { 2, 2 }, { 3, 3, 3, 3 }, { 1, 1 }, 1 } },
    { 1, 17, 16, 24, 3, { { 7, 7 }, { 1, 1 }, { 3, 3, 3, 3 }, { 1, 1 }, 1 } },
    { 1, 10, 10, 5, 5, { { 9, 9 }, { 1, 1 }, { 4, 4, 4, 4 }, { 1, 1 }, 1 } },
    { 2, 9, 8, 3, 5, { { 1, 3 }, { 1, 1 }, { 0, 1, 0, 1 }, { 1, 1 }, 1 } },
    { 2, 9, 8, 16, 16, { { 3, 1 }, { 1, 2 }, { 1, 0, 1, 0 }, { 1, 1 }, 1 } },
    { 1, 12, 7, 7, 19, { { 2, 5 }, { 3, 1 }, { 0, 2, 1, 2 }, { 1, 1 }, 1 } },
    { 1, 11, 13, 4, 9, { { 2, 2 }, { 3, 4 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } }, /* stride > kernel */
    { 2, 5, 5, 3, 4, { { 1, 1 }, { 3, 3 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } },
    { 1, 12, 12, 8, 16, { { 3, 3 }, { 1, 1 }, { 2, 2, 2, 2 }, { 2, 2 }, 1 } },
    { 1, 13, 14, 5, 6, { { 3, 2 }, { 2, 1 }, { 1, 0, 2, 3 }, { 2, 3 }, 1 } },
    { 2, 7, 6, 8, 12, { { 3, 3 }, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1 }, 2 } },
    { 1, 7, 6, 6, 9, { { 3, 3 }, { 2, 2 }, { 1, 1, 1, 1 }, { 1, 1 }, 3 } },
    { 2, 9, 9, 17, 17, { { 3, 3 }, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1 }, 17 } }, /* depthwise */
    { 1, 9, 9, 16, 32, { { 3, 3 }, { 2, 2 }, { 1, 1, 1, 1 }, { 1, 1 }, 16 } },
    { 1, 6, 6, 64, 32, { { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 2 } },
    { 9, 2, 2, 40, 40, { { 3, 3 }, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 } },
    { 1, 1, 40, 3, 8, { { 1, 5 }, { 1, 1 }, { 0, 2, 0, 2 }, { 1, 1 }, 1 } },
    { 1, 40, 1, 8, 3, { { 5, 1 }, { 2, 1 }, { 2, 0, 2, 0 }, { 1, 1 }, 1 } },
    { 1, 33, 35, 16, 16, { { 3, 3 }, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 } },
};

/* ---- resampling ---- */

static const conv_row pool_rows[] = {
    /* k is not used */
    { 1, 1, 1, 1, 0, { { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } },
    { 2, 8, 6, 5, 0, { { 2, 2 }, { 2, 2 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } },
    { 1, 4, 4, 16, 0, { { 2, 2 }, { 2, 2 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } },
    { 3, 6, 6, 33, 0, { { 3, 3 }, { 3, 3 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } },
    { 2, 7, 9, 3, 0, { { 2, 2 }, { 2, 2 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } }, /* a row and a column left over */
    { 2, 9, 9, 17, 0, { { 3, 3 }, { 2, 2 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 } },
    { 1, 8, 8, 4, 0, { { 3, 3 }, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 } },
    { 1, 7, 5, 2, 0, { { 3, 2 }, { 1, 2 }, { 0, 1, 2, 0 }, { 1, 1 }, 1 } },
    { 1, 9, 9, 2, 0, { { 2, 2 }, { 3, 3 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } },
    { 1, 9, 9, 20, 0, { { 3, 3 }, { 1, 1 }, { 2, 2, 2, 2 }, { 2, 2 }, 1 } },
    { 1, 8, 8, 3, 0, { { 2, 2 }, { 2, 2 }, { -1, -1, -1, -1 }, { 1, 1 }, 1 } },
    { 1, 4, 4, 2, 0, { { 2, 2 }, { 2, 2 }, { 3, 3, 3, 3 }, { 1, 1 }, 1 } }, /* windows that see nothing but padding */
};

static const int64_t resize_rows[][6] = {
    /* n h w c, to p q */
    { 1, 1, 1, 1, 3, 4 }, { 2, 3, 4, 5, 6, 8 },  { 1, 8, 8, 3, 4, 4 },   { 1, 5, 7, 16, 5, 7 },
    { 2, 5, 7, 3, 8, 3 }, { 1, 9, 9, 2, 2, 20 }, { 1, 10, 3, 17, 1, 1 }, { 1, 2, 2, 33, 13, 11 },
};

/* ---- reductions ---- */

static const op_case reduce_cases[] = {
    /* op is replaced by each reduction */
    { .n_in = 1, .in = { S(1) }, .attr.axes = 1 },
    { .n_in = 1, .in = { S(37) }, .attr.axes = 1 },
    { .n_in = 1, .in = { S(5, 33) }, .attr.axes = 1 },
    { .n_in = 1, .in = { S(5, 33) }, .attr.axes = 2 },
    { .n_in = 1, .in = { S(70, 16) }, .attr.axes = 3 },
    { .n_in = 1, .in = { S(2, 5, 7, 19) }, .attr.axes = 7 },
    { .n_in = 1, .in = { S(2, 5, 7, 19) }, .attr.axes = 6 },
    { .n_in = 1, .in = { S(2, 5, 7, 19) }, .attr.axes = 9 },
    { .n_in = 1, .in = { S(2, 5, 7, 19) }, .attr.axes = 5 },
    { .n_in = 1, .in = { S(2, 5, 7, 19) }, .attr.axes = 10 },
    { .n_in = 1, .in = { S(3, 4, 5, 1) }, .attr.axes = 8 },
    { .n_in = 1, .in = { S(2, 3, 2, 3, 2, 3) }, .attr.axes = 0x2a },
    { .n_in = 1, .in = { S(200, 301) }, .attr.axes = 3 },
    { .n_in = 1, .in = { S(2000, 33) }, .attr.axes = 1 },
    { .n_in = 1, .in = { S(33, 2000) }, .attr.axes = 2 },
    { .n_in = 1, .in = { S(40, 31) }, .attr.axes = 2, .ties = true },
};

/* Of many tensors together: none of them a whole number of vectors or chunks. */
static const op_case squares_cases[] = {
    { .op = GEN_OP_SUM_SQUARES, .n_in = 1, .in = { S(1) }, .tolerance = 4e-6 },
    { .op = GEN_OP_SUM_SQUARES, .n_in = 3, .in = { S(5), { 0, { 0 } }, S(3, 4) }, .tolerance = 4e-6 },
    { .op = GEN_OP_SUM_SQUARES,
      .n_in = 8,
      .in = { S(3, 3, 8, 16), S(16), S(4, 4096), S(1), S(8193), S(33), S(2, 17), S(40001) },
      .tolerance = 4e-6 },
};

/* ---- normalisation ---- */

static const struct {
    gen_shape x;
    int32_t groups;
} norm_rows[] = {
    { S(1, 1), 1 },        { S(3, 17), 1 },        { S(4, 1, 64), 1 },    { S(2, 5, 5, 8), 8 },
    { S(2, 5, 5, 8), 1 },  { S(2, 5, 5, 8), 2 },   { S(1, 100, 33), 33 }, { S(1, 3000, 16), 16 },
    { S(3, 7, 5, 30), 5 }, { S(2, 4, 4, 64), 32 }, { S(1, 9, 9, 1), 1 },  { S(2, 33, 31, 48), 16 },
};

/* ---- recurrent layers: T, N, H ---- */

static const int64_t recurrent_rows[][3] = { { 1, 1, 1 },   { 3, 2, 5 },  { 4, 7, 16 }, { 1, 5, 37 },
                                             { 2, 13, 33 }, { 5, 3, 70 }, { 9, 14, 32 } };

/* ---- movement ---- */

static const op_case movement_cases[] = {
    { .op = GEN_OP_TRANSPOSE, .n_in = 1, .in = { S(3, 5) }, .attr.perm = { 1, 0 } },
    { .op = GEN_OP_TRANSPOSE, .n_in = 1, .in = { S(33, 65) }, .attr.perm = { 1, 0 } },
    { .op = GEN_OP_TRANSPOSE, .n_in = 1, .in = { S(2, 3, 4, 5) }, .attr.perm = { 0, 3, 1, 2 } },
    { .op = GEN_OP_TRANSPOSE, .n_in = 1, .in = { S(2, 3, 4, 5) }, .attr.perm = { 0, 2, 1, 3 } },
    { .op = GEN_OP_TRANSPOSE, .n_in = 1, .in = { S(2, 3, 4, 5) }, .attr.perm = { 0, 1, 2, 3 } },
    { .op = GEN_OP_TRANSPOSE, .n_in = 1, .in = { S(2, 3, 2, 2, 3, 5) }, .attr.perm = { 5, 0, 3, 1, 4, 2 } },
    { .op = GEN_OP_BROADCAST, .n_in = 1, .in = { { 0, { 0 } } }, .attr.shape = S(3, 5) },
    { .op = GEN_OP_BROADCAST, .n_in = 1, .in = { S(5) }, .attr.shape = S(2, 3, 5) },
    { .op = GEN_OP_BROADCAST, .n_in = 1, .in = { S(2, 1, 1, 33) }, .attr.shape = S(2, 4, 3, 33) },
    { .op = GEN_OP_BROADCAST, .n_in = 1, .in = { S(2, 3, 1) }, .attr.shape = S(2, 3, 17) },
    { .op = GEN_OP_BROADCAST, .n_in = 1, .in = { S(1) }, .attr.shape = S(40000) },
    { .op = GEN_OP_SLICE, .n_in = 1, .in = { S(10) }, .attr = { .shape = S(4), .start = { 3 }, .step = { 1 } } },
    { .op = GEN_OP_SLICE, .n_in = 1, .in = { S(10) }, .attr = { .shape = S(4), .start = { 9 }, .step = { -3 } } },
    { .op = GEN_OP_SLICE,
      .n_in = 1,
      .in = { S(3, 8, 7, 5) },
      .attr = { .shape = S(3, 4, 3, 5), .start = { 0, 1, 6, 0 }, .step = { 1, 2, -2, 1 } } },
    { .op = GEN_OP_SLICE,
      .n_in = 1,
      .in = { S(4, 33) },
      .attr = { .shape = S(4, 17), .start = { 0, 16 }, .step = { 1, 1 } } },
    { .op = GEN_OP_SLICE,
      .n_in = 1,
      .in = { S(2, 5, 6) },
      .attr = { .shape = S(2, 5, 6), .start = { 0, 0, 5 }, .step = { 1, 1, -1 } } },
    { .op = GEN_OP_SLICE_T, .n_in = 1, .in = { S(4) }, .attr = { .shape = S(10), .start = { 9 }, .step = { -3 } } },
    { .op = GEN_OP_SLICE_T, .n_in = 1, .in = { S(1) }, .attr = { .shape = S(10), .start = { 0 }, .step = { 7 } } },
    { .op = GEN_OP_SLICE_T,
      .n_in = 1,
      .in = { S(3, 4, 3, 5) },
      .attr = { .shape = S(3, 8, 7, 5), .start = { 0, 1, 6, 0 }, .step = { 1, 2, -2, 1 } } },
    { .op = GEN_OP_SLICE_T,
      .n_in = 1,
      .in = { S(2, 5, 4, 17) },
      .attr = { .shape = S(2, 7, 9, 17), .start = { 0, 2, 1, 0 }, .step = { 1, 1, 1, 1 } } },
    { .op = GEN_OP_PAD,
      .n_in = 1,
      .in = { S(1, 3, 3, 1) },
      .attr = { .mode = GEN_PAD_REFLECT, .window.pad = { 2, 2, 2, 2 } } },
    { .op = GEN_OP_PAD,
      .n_in = 1,
      .in = { S(2, 5, 4, 7) },
      .attr = { .mode = GEN_PAD_REFLECT, .window.pad = { 0, 1, 2, 3 } } },
    { .op = GEN_OP_PAD,
      .n_in = 1,
      .in = { S(2, 5, 4, 17) },
      .attr = { .mode = GEN_PAD_REPLICATE, .window.pad = { 3, 0, 7, 1 } } },
    { .op = GEN_OP_PAD,
      .n_in = 1,
      .in = { S(1, 1, 1, 3) },
      .attr = { .mode = GEN_PAD_REPLICATE, .window.pad = { 1, 2, 3, 4 } } },
    { .op = GEN_OP_PAD_T,
      .n_in = 1,
      .in = { S(1, 7, 7, 1) },
      .attr = { .mode = GEN_PAD_REFLECT, .window.pad = { 2, 2, 2, 2 } },
      .tolerance = 1e-6 },
    { .op = GEN_OP_PAD_T,
      .n_in = 1,
      .in = { S(2, 7, 8, 17) },
      .attr = { .mode = GEN_PAD_REFLECT, .window.pad = { 0, 1, 2, 3 } },
      .tolerance = 1e-6 },
    { .op = GEN_OP_PAD_T,
      .n_in = 1,
      .in = { S(2, 15, 5, 7) },
      .attr = { .mode = GEN_PAD_REPLICATE, .window.pad = { 3, 0, 7, 1 } },
      .tolerance = 1e-6 },
    { .op = GEN_OP_CONCAT, .n_in = 2, .in = { S(3), S(5) }, .attr.axis = 0 },
    { .op = GEN_OP_CONCAT, .n_in = 3, .in = { S(2, 3, 3, 5), S(2, 3, 3, 17), S(2, 3, 3, 1) }, .attr.axis = 3 },
    { .op = GEN_OP_CONCAT, .n_in = 2, .in = { S(2, 3, 4), S(2, 1, 4) }, .attr.axis = 1 },
    { .op = GEN_OP_CONCAT, .n_in = 4, .in = { S(1, 33), S(2, 33), S(3, 33), S(4, 33) }, .attr.axis = 0 },
    { .op = GEN_OP_GATHER, .n_in = 2, .in = { S(7, 5), S(3, 4) } },
    { .op = GEN_OP_GATHER, .n_in = 2, .in = { S(50, 33), S(130) } },
    { .op = GEN_OP_GATHER, .n_in = 2, .in = { S(1, 1), { 0, { 0 } } } },
    { .op = GEN_OP_SCATTER_ADD, .n_in = 2, .in = { S(3, 4), S(3, 4, 5) }, .attr.shape = S(7), .tolerance = 1e-6 },
    { .op = GEN_OP_SCATTER_ADD, .n_in = 2, .in = { S(130), S(130, 33) }, .attr.shape = S(50), .tolerance = 2e-6 },
    { .op = GEN_OP_ONE_HOT, .n_in = 1, .in = { S(3, 4) }, .attr.shape = S(10) },
    { .op = GEN_OP_ONE_HOT, .n_in = 1, .in = { S(70) }, .attr.shape = S(33) },
    { .op = GEN_OP_ASSIGN, .n_in = 2, .in = { S(3, 33), S(3, 33) } },
    { .op = GEN_OP_ASSIGN, .n_in = 2, .in = { S(50000), S(50000) } },
};

/* ---- random numbers ---- */

static const gen_shape random_shapes[] = { { 0, { 0 } }, S(1),          S(9),        S(3, 1),
                                           S(3, 7),      S(2, 5, 5, 3), S(1, 40001), S(64, 100) };

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

#endif
