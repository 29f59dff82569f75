/* Every rung of every op against the double-precision reference (op_run.h), with the rows of op_cases.h and a few
 * hundred random ones. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "core/program.h"
#include "kernels/devices.h"
#include "tests/op_cases.h"
#include "tests/test.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

/* Relative errors of the approximations of float kernels; 0: exact. */
static double elementwise_tolerance(gen_op op)
{
    switch (op) {
    case GEN_OP_ABS:
    case GEN_OP_SIGN:
    case GEN_OP_STEP:
    case GEN_OP_RELU:
    case GEN_OP_FLOOR:
    case GEN_OP_MIN:
    case GEN_OP_MAX:
    case GEN_OP_LESS:
    case GEN_OP_EQUAL:
    case GEN_OP_SELECT: return 0;
    case GEN_OP_POW: return 2e-6;
    default: return 1e-6;
    }
}

static void each_elementwise_op(int32_t n_in, const gen_shape *in)
{
    for (gen_op op = 0; op < GEN_OP_COUNT; op++) {
        const gen_op_info *info = gen_op_get(op);
        if (!(info->flags & OP_ELEMENTWISE) || info->n_in != n_in) continue;
        op_case c = {
            .op = op, .n_in = n_in, .attr = { .a = 0.25, .b = 0.75 }, .tolerance = elementwise_tolerance(op)
        };
        memcpy(c.in, in, (size_t)n_in * sizeof *in);
        op_check(&c);
    }
}

TEST(op_elementwise_of_one_input_is_right_on_every_rung)
{
    for (size_t i = 0; i < COUNT_OF(unary_shapes); i++) each_elementwise_op(1, &unary_shapes[i]);
}

/* Infinities, zeros of both signs, what is not a number, the largest and the smallest floats. */
static const float special[] = { 0.0f,     -0.0f, INFINITY, -INFINITY, NAN,   FLT_MAX, -FLT_MAX, FLT_MIN,
                                 -FLT_MIN, 88.0f, -88.0f,   1e4f,      -1e4f, 1,       -1,       0.5f };
enum { N_SPECIAL = sizeof special / sizeof *special };

static bool same_kind(float got, double expected, double tolerance)
{
    double g = (double)got;
    if (isnan(expected) || isnan(g)) return isnan(expected) && isnan(g);
    if (fabs(expected) > (double)FLT_MAX || isinf(g)) return isinf(g) && (g > 0) == (expected > 0);
    return fabs(g - expected) <= tolerance * fabs(expected) + 2 * (double)FLT_MIN; /* results below FLT_MIN may be 0 */
}

static void check_special(gen_op op, const cpu_kernel *kernel, gen_call *call, const double *expected)
{
    call->out[0].data = (float[N_SPECIAL]){ 0 };
    const float *got = call->out[0].data;
    op_run_kernel(kernel, call);
    for (int i = 0; i < N_SPECIAL; i++)
        if (!same_kind(got[i], expected[i], 2e-6))
            fail_msg("%s: %s of %g is %g, expected %g", kernel->name, gen_op_get(op)->name, (double)special[i],
                     (double)got[i], expected[i]);
}

static void each_rung_on_special_values(gen_op op)
{
    float x[N_SPECIAL];
    double x64[N_SPECIAL], expected[N_SPECIAL];
    for (int i = 0; i < N_SPECIAL; i++) x64[i] = (double)(x[i] = special[i]);
    gen_attr attr = { .a = op == GEN_OP_AFFINE ? 2 : 0.25, .b = 0.75 };
    gen_view in = { x64, GEN_SHAPE(N_SPECIAL) }, out = { expected, GEN_SHAPE(N_SPECIAL) };
    gen_call call = {
        .op = op, .n_in = 1, .n_out = 1, .in = &in, .out = &out, .attr = &attr, .epilogue.act = GEN_OP_COUNT
    };
    op_run_kernel(cpu_kernel_ref64(op), &call);
    in.data = x;
    const cpu_kernel *rungs[16];
    int32_t n = op_rungs(op, rungs, 16);
    for (int32_t i = 0; i < n; i++) check_special(op, rungs[i], &call, expected);
}

TEST(op_elementwise_of_special_values_is_right_on_every_rung)
{
    for (gen_op op = 0; op < GEN_OP_COUNT; op++) {
        const gen_op_info *info = gen_op_get(op);
        bool periodic = op == GEN_OP_SIN || op == GEN_OP_COS; /* of huge numbers: nobody needs it */
        if (info->flags & OP_ELEMENTWISE && info->n_in == 1 && !periodic) each_rung_on_special_values(op);
    }
}

TEST(op_elementwise_of_two_inputs_broadcasts_on_every_rung)
{
    for (size_t i = 0; i < COUNT_OF(binary_shapes); i++) each_elementwise_op(2, binary_shapes[i]);
}

TEST(op_elementwise_of_three_inputs_broadcasts_on_every_rung)
{
    for (size_t i = 0; i < COUNT_OF(ternary_shapes); i++) each_elementwise_op(3, ternary_shapes[i]);
}

TEST(op_chain_is_right_on_every_rung)
{
    for (size_t i = 0; i < COUNT_OF(chain_cases); i++) op_check(&chain_cases[i]);
}

/* ---- products ---- */

static const struct {
    bool bias, residual;
    gen_op act;
} epilogues[] = {
    { false, false, 0 },
    { true, false, 0 },
    { false, true, 0 },
    { true, false, GEN_OP_RELU },
    { true, true, GEN_OP_LEAKY },
    { true, true, GEN_OP_TANH },
    { false, false, GEN_OP_SIGMOID },
    { false, true, GEN_OP_RELU },
};

static op_case with_epilogue(op_case c, size_t i)
{
    c.bias = epilogues[i].bias;
    c.residual = epilogues[i].residual;
    c.act = epilogues[i].act;
    return c;
}

/* Winograd kernels err some 1e-6 of the result's size; sums of K terms some sqrt(K) roundings. */
static const double product_tolerance = 1e-5;

static op_case matmul_case(const int64_t size[4], bool trans_a, bool trans_b)
{
    int64_t m = size[1], n = size[2], k = size[3];
    op_case c = { .op = GEN_OP_MATMUL,
                  .n_in = 2,
                  .attr = { .trans_a = trans_a, .trans_b = trans_b },
                  .tolerance = product_tolerance };
    c.in[0] = trans_a ? GEN_SHAPE(k, m) : GEN_SHAPE(m, k);
    c.in[1] = trans_b ? GEN_SHAPE(n, k) : GEN_SHAPE(k, n);
    for (int i = 0; i < 2 && size[0]; i++) c.in[i] = GEN_SHAPE(size[0], c.in[i].dim[0], c.in[i].dim[1]);
    return c;
}

TEST(op_matmul_is_right_in_every_orientation_and_with_every_epilogue)
{
    for (size_t i = 0; i < COUNT_OF(matmul_sizes); i++)
        for (size_t way = 0; way < 4; way++) {
            op_case c = matmul_case(matmul_sizes[i], way & 1, way & 2);
            op_check(&c);
            c = with_epilogue(c, (i + way) % COUNT_OF(epilogues));
            op_check(&c);
        }
}

/* The kernel that a product of these sizes gets. */
static const char *chosen_matmul(const int64_t size[4])
{
    op_case c = matmul_case(size, false, false);
    gen_view in[2] = { { NULL, c.in[0] }, { NULL, c.in[1] } }, out = { NULL, GEN_SHAPE(size[1], size[2]) };
    gen_call call = {
        .op = GEN_OP_MATMUL, .n_in = 2, .in = in, .n_out = 1, .out = &out, .attr = &c.attr, .epilogue.act = GEN_OP_COUNT
    };
    return cpu_kernel_find(&call, cpu_isa_best())->name;
}

TEST(op_matmul_saves_multiplications_where_a_product_is_large_and_even)
{
    if (cpu_isa_best() < CPU_BASE) TEST_SKIP("no vector kernels under this GEN_CPU");
    assert_non_null(strstr(chosen_matmul((const int64_t[]){ 0, 256, 1024, 1024 }), "strassen"));
    assert_null(strstr(chosen_matmul((const int64_t[]){ 0, 257, 1024, 1024 }), "strassen"));
    assert_null(strstr(chosen_matmul((const int64_t[]){ 0, 64, 1024, 1024 }), "strassen"));
    setenv("GEN_MATMUL", "plain", 1);
    const char *plain = chosen_matmul((const int64_t[]){ 0, 256, 1024, 1024 });
    unsetenv("GEN_MATMUL");
    assert_null(strstr(plain, "strassen"));
}

TEST(op_matmul_of_two_batch_axes)
{
    op_case c = {
        .op = GEN_OP_MATMUL, .n_in = 2, .in = { S(2, 3, 4, 5), S(2, 3, 5, 6) }, .tolerance = product_tolerance
    };
    op_check(&c);
}

/* The three ops of a conv row; x, w and y are the shapes of conv2d. */
typedef struct conv_triple {
    op_case forward, transposed, weights;
    gen_shape x, w, y;
} conv_triple;

static conv_triple triple_of(const conv_row *row)
{
    conv_triple t = { .x = GEN_SHAPE(row->n, row->h, row->w, row->c) };
    t.w = GEN_SHAPE(row->window.kernel[0], row->window.kernel[1], row->c / row->window.groups, row->k);
    t.y = GEN_SHAPE(row->n, gen_window_out(&row->window, 0, row->h), gen_window_out(&row->window, 1, row->w), row->k);
    gen_attr attr = { .window = row->window };
    t.forward =
        (op_case){ .op = GEN_OP_CONV2D, .n_in = 2, .in = { t.x, t.w }, .attr = attr, .tolerance = product_tolerance };
    t.weights =
        (op_case){ .op = GEN_OP_CONV2D_W, .n_in = 2, .in = { t.x, t.y }, .attr = attr, .tolerance = product_tolerance };
    attr.shape = GEN_SHAPE(1, row->h, row->w, 1);
    t.transposed =
        (op_case){ .op = GEN_OP_CONV2D_T, .n_in = 2, .in = { t.y, t.w }, .attr = attr, .tolerance = product_tolerance };
    return t;
}

static void check_triple(const conv_row *row, size_t epilogue)
{
    conv_triple t = triple_of(row);
    if (t.y.dim[1] < 1 || t.y.dim[2] < 1) fail_msg("a row of op_cases.h whose window does not fit");
    op_check(&t.forward);
    op_check(&t.transposed);
    op_check(&t.weights);
    if (!epilogue) return;
    op_case with = with_epilogue(t.forward, epilogue);
    op_check(&with);
    with = with_epilogue(t.transposed, epilogue);
    op_check(&with);
}

TEST(op_conv_triple_is_right_on_every_rung)
{
    for (size_t i = 0; i < COUNT_OF(conv_rows); i++) check_triple(&conv_rows[i], 1 + i % (COUNT_OF(epilogues) - 1));
}

/* A whole number of [low, high], the next of a sequence. */
static int32_t pick(uint64_t *place, int32_t low, int32_t high)
{
    return low + (int32_t)gen_random_below(7, 7, (*place)++, (uint32_t)(high - low + 1));
}

static conv_row random_conv(uint64_t *place)
{
    static const int32_t strides[] = { 1, 1, 1, 2, 2, 3 };
    conv_row r = { .n = pick(place, 1, 3), .h = pick(place, 1, 14), .w = pick(place, 1, 14), .window.groups = 1 };
    if (pick(place, 0, 5) == 0) r.window.groups = pick(place, 2, 4);
    r.c = (pick(place, 0, 3) ? pick(place, 1, 24) : pick(place, 25, 70)) * r.window.groups;
    r.k = (pick(place, 0, 3) ? pick(place, 1, 36) : pick(place, 37, 70)) * r.window.groups;
    for (int axis = 0; axis < 2; axis++) {
        r.window.kernel[axis] = pick(place, 1, 5);
        r.window.stride[axis] = strides[pick(place, 0, 5)];
        r.window.dilation[axis] = pick(place, 0, 5) ? 1 : 2;
        r.window.pad[axis] = pick(place, -1, 3);
        r.window.pad[axis + 2] = pick(place, -1, 3);
    }
    if (pick(place, 0, 1)) { /* half of them square, as most layers are */
        r.window.kernel[1] = r.window.kernel[0];
        r.window.stride[1] = r.window.stride[0];
        r.window.dilation[0] = r.window.dilation[1] = 1;
    }
    return r;
}

TEST(op_conv_triple_is_right_for_random_windows)
{
    uint64_t place = 0;
    const int wanted =
        getenv("GEN_OP_RUNGS") ? 40 : 150; /* one rung in the emulator takes as long as all of the CPU's */
    for (int found = 0; found < wanted;) {
        conv_row row = random_conv(&place);
        if (gen_window_out(&row.window, 0, row.h) < 1 || gen_window_out(&row.window, 1, row.w) < 1) continue;
        check_triple(&row, (size_t)(found % 8));
        found++;
    }
}

/* ---- adjoints: the conv triple at the level of kernels, in double ---- */

/* Runs a case of two inputs in double on given data; the result is the caller's to free. */
static double *run64(const op_case *c, double *a, double *b)
{
    gen_shape y = op_inferred_shape(c);
    gen_view in[2] = { { a, c->in[0] }, { b, c->in[1] } };
    gen_view out = { gen_alloc((size_t)gen_shape_count(&y), sizeof(double)), y };
    gen_call call = {
        .op = c->op, .n_in = 2, .n_out = 1, .in = in, .out = &out, .attr = &c->attr, .epilogue.act = GEN_OP_COUNT
    };
    op_run_kernel(cpu_kernel_ref64(c->op), &call);
    return out.data;
}

static double *random64(const gen_shape *shape, uint32_t stream)
{
    int64_t n = gen_shape_count(shape);
    double *x = gen_alloc((size_t)n, sizeof *x);
    op_random((op_domain){ -1, 1, false }, stream, x, n);
    return x;
}

static double product(const double *a, const double *b, const gen_shape *shape)
{
    double sum = 0;
    for (int64_t i = 0; i < gen_shape_count(shape); i++) sum += a[i] * b[i];
    return sum;
}

TEST(op_conv_ops_are_the_three_gradients_of_one_trilinear_form)
{
    for (size_t i = 0; i < COUNT_OF(conv_rows); i++) {
        conv_triple t = triple_of(&conv_rows[i]);
        double *x = random64(&t.x, 1), *w = random64(&t.w, 2), *dy = random64(&t.y, 3);
        double *y = run64(&t.forward, x, w), *dx = run64(&t.transposed, dy, w), *dw = run64(&t.weights, x, dy);
        double a = product(dy, y, &t.y), b = product(x, dx, &t.x), c = product(w, dw, &t.w);
        double size = 1e-13 * sqrt((double)(gen_shape_count(&t.x) * gen_shape_count(&t.w)));
        if (fabs(a - b) > size || fabs(a - c) > size)
            fail_msg("%s: <dy,y> = %.15g, <x,dx> = %.15g, <w,dw> = %.15g", op_case_text(&t.forward), a, b, c);
        double *all[] = { x, w, dy, y, dx, dw };
        for (int k = 0; k < 6; k++) gen_free(all[k]);
    }
}

/* ---- resampling, reductions, norms, movement ---- */

static void check_pool_row(const conv_row *row, bool ties)
{
    gen_shape x = GEN_SHAPE(row->n, row->h, row->w, row->c);
    gen_shape y =
        GEN_SHAPE(row->n, gen_window_out(&row->window, 0, row->h), gen_window_out(&row->window, 1, row->w), row->c);
    gen_attr attr = { .window = row->window, .shape = GEN_SHAPE(1, row->h, row->w, 1) };
    op_case cases[] = {
        { .op = GEN_OP_SUM_POOL, .n_in = 1, .in = { x }, .attr = attr, .tolerance = 1e-6, .ties = ties },
        { .op = GEN_OP_SUM_POOL_T, .n_in = 1, .in = { y }, .attr = attr, .tolerance = 1e-6, .ties = ties },
        { .op = GEN_OP_MAX_PICK, .n_in = 2, .in = { x, x }, .attr = attr, .ties = ties },
        { .op = GEN_OP_MAX_PICK_T, .n_in = 2, .in = { x, y }, .attr = attr, .tolerance = 1e-6, .ties = ties },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) op_check(&cases[i]);
}

TEST(op_pooling_is_right_on_every_rung)
{
    for (size_t i = 0; i < COUNT_OF(pool_rows); i++) {
        check_pool_row(&pool_rows[i], false);
        check_pool_row(&pool_rows[i], true);
    }
}

TEST(op_resize_and_its_adjoint_are_right_on_every_rung)
{
    for (size_t i = 0; i < COUNT_OF(resize_rows); i++) {
        const int64_t *r = resize_rows[i];
        op_case c = { .op = GEN_OP_RESIZE, .n_in = 1, .in = { GEN_SHAPE(r[0], r[1], r[2], r[3]) }, .tolerance = 4e-6 };
        c.attr.shape = GEN_SHAPE(1, r[4], r[5], 1);
        op_check(&c);
        op_case t = {
            .op = GEN_OP_RESIZE_T, .n_in = 1, .in = { GEN_SHAPE(r[0], r[4], r[5], r[3]) }, .tolerance = 4e-6
        };
        t.attr.shape = GEN_SHAPE(1, r[1], r[2], 1);
        op_check(&t);
    }
}

TEST(op_reductions_are_right_on_every_rung)
{
    static const gen_op ops[] = { GEN_OP_SUM, GEN_OP_MAX_OF, GEN_OP_LSE, GEN_OP_ARGMAX };
    for (size_t i = 0; i < COUNT_OF(reduce_cases); i++)
        for (size_t k = 0; k < COUNT_OF(ops); k++) {
            op_case c = reduce_cases[i];
            c.op = ops[k];
            c.tolerance = c.op == GEN_OP_SUM ? 4e-6 : c.op == GEN_OP_LSE ? 2e-6 : 0;
            op_check(&c);
        }
}

TEST(op_sum_squares_is_right_on_every_rung)
{
    for (size_t i = 0; i < COUNT_OF(squares_cases); i++) op_check(&squares_cases[i]);
}

TEST(op_norms_are_right_on_every_rung)
{
    for (size_t i = 0; i < COUNT_OF(norm_rows); i++) {
        gen_shape x = norm_rows[i].x, c = GEN_SHAPE(x.dim[x.rank - 1]),
                  stats = GEN_SHAPE(x.dim[0], 2, norm_rows[i].groups);
        gen_attr attr = { .groups = norm_rows[i].groups, .a = 1e-5 };
        op_case cases[] = {
            { .op = GEN_OP_NORM_STATS, .n_in = 1, .in = { x }, .attr = attr, .tolerance = 4e-6 },
            { .op = GEN_OP_NORM, .n_in = 4, .in = { x, stats, c, c }, .attr = attr, .tolerance = 2e-6 },
            { .op = GEN_OP_NORM_DX, .n_in = 4, .in = { x, stats, c, x }, .attr = attr, .tolerance = 1e-5 },
            { .op = GEN_OP_NORM_DP, .n_in = 3, .in = { x, stats, x }, .attr = attr, .tolerance = 1e-5 },
        };
        for (size_t k = 0; k < COUNT_OF(cases); k++) op_check(&cases[k]);
        for (size_t k = 1; k < COUNT_OF(epilogues); k++) {
            op_case with = with_epilogue(cases[1], k);
            op_check(&with);
        }
    }
}

TEST(op_recurrent_layers_are_right_on_every_rung)
{
    for (size_t i = 0; i < COUNT_OF(recurrent_rows); i++) {
        const int64_t *r = recurrent_rows[i], t = r[0], n = r[1], h = r[2];
        gen_shape state = GEN_SHAPE(n, h), lstm = GEN_SHAPE(6, t, n, h), gru = GEN_SHAPE(5, t, n, h),
                  one = GEN_SHAPE(1, t, n, h), two = GEN_SHAPE(2, t, n, h);
        op_case cases[] = {
            { .op = GEN_OP_LSTM,
              .n_in = 4,
              .in = { GEN_SHAPE(t, n, 4 * h), GEN_SHAPE(h, 4 * h), state, state },
              .tolerance = 1e-5 },
            { .op = GEN_OP_LSTM_DX, .n_in = 4, .in = { lstm, GEN_SHAPE(h, 4 * h), state, lstm }, .tolerance = 2e-5 },
            { .op = GEN_OP_GRU,
              .n_in = 4,
              .in = { GEN_SHAPE(t, n, 3 * h), GEN_SHAPE(h, 3 * h), GEN_SHAPE(3 * h), state },
              .tolerance = 1e-5 },
            { .op = GEN_OP_GRU_DX, .n_in = 4, .in = { gru, GEN_SHAPE(h, 3 * h), state, gru }, .tolerance = 2e-5 },
            { .op = GEN_OP_LSTM_DX, /* the gradient of h alone */
              .n_in = 4,
              .in = { lstm, GEN_SHAPE(h, 4 * h), state, one },
              .attr.start = { 5 },
              .tolerance = 2e-5 },
            { .op = GEN_OP_LSTM_DX,
              .n_in = 4,
              .in = { lstm, GEN_SHAPE(h, 4 * h), state, two },
              .attr.start = { 4 },
              .tolerance = 2e-5 },
            { .op = GEN_OP_GRU_DX,
              .n_in = 4,
              .in = { gru, GEN_SHAPE(h, 3 * h), state, one },
              .attr.start = { 4 },
              .tolerance = 2e-5 },
        };
        for (size_t k = 0; k < COUNT_OF(cases); k++) op_check(&cases[k]);
    }
}

/* One unit, one step, weights 0: the gates are functions of their inputs alone. */
TEST(op_lstm_counts_as_by_hand)
{
    const float xg[4] = { 0, 100, 0.5f, -100 }, w[4] = { 0 }, h0[1] = { 7 },
                c0[1] = { 3 }; /* i 1/2, f 1, g tanh 1/2, o 0 */
    float y[6];
    gen_error err = { 0 };
    gen_device *device;
    gen_program *p;
    TEST_OK(gen_device_open("cpu", 1, &device, &err));
    gen_params *params = gen_params_new(device);
    gen_graph *g = gen_graph_new();
    gen_node *state[2] = { gen_const(g, GEN_SHAPE(1, 1), h0), gen_const(g, GEN_SHAPE(1, 1), c0) };
    gen_output(g, "y",
               gen_lstm(g, gen_const(g, GEN_SHAPE(1, 1, 4), xg), gen_const(g, GEN_SHAPE(1, 4), w), state[0], state[1]));
    TEST_OK(gen_program_new(g, device, params, 1, &p, &err));
    TEST_OK(gen_program_run(p, (gen_run_state){ 0 }, &err));
    TEST_OK(gen_program_fetch(p, "y", y, 6, &err));
    assert_true(fabs((double)y[4] - (3 + 0.5 * tanh(0.5))) < 1e-6);
    assert_true(fabs((double)y[5]) < 1e-6);
    gen_program_free(p);
    gen_params_free(params);
    device->ops->close(device);
}

TEST(op_movements_are_exact_on_every_rung)
{
    for (size_t i = 0; i < COUNT_OF(movement_cases); i++) {
        op_check(&movement_cases[i]);
        if (movement_cases[i].op != GEN_OP_GATHER) continue;
        for (size_t k = 0; k < COUNT_OF(epilogues); k++) {
            op_case c = with_epilogue(movement_cases[i], k);
            c.tolerance = 1e-6;
            op_check(&c);
        }
    }
}

/* ---- random numbers ---- */

TEST(op_random_numbers_are_right_on_every_rung)
{
    static const gen_op ops[] = { GEN_OP_UNIFORM, GEN_OP_BERNOULLI, GEN_OP_NORMAL };
    for (size_t i = 0; i < COUNT_OF(random_shapes); i++)
        for (size_t k = 0; k < COUNT_OF(ops); k++) {
            op_case c = { .op = ops[k], .attr = { .shape = random_shapes[i], .a = 0.3, .key = 0x9e3779b97f4a7c15u } };
            c.tolerance = ops[k] == GEN_OP_NORMAL ? 2e-6 : 0;
            op_check(&c);
        }
}

static void run_random(gen_op op, float *y, gen_shape shape, const gen_run_state *state)
{
    gen_attr attr = { .shape = shape, .a = 0.5, .key = 77 };
    gen_view out = { y, shape };
    gen_call call = { .op = op, .n_out = 1, .out = &out, .attr = &attr, .state = state, .epilogue.act = GEN_OP_COUNT };
    op_run_kernel(cpu_kernel_find(&call, cpu_isa_best()), &call);
}

TEST(op_random_numbers_of_a_sample_do_not_depend_on_its_batch)
{
    float batch[6 * 7], part[2 * 7];
    gen_run_state now = { .seed = 3, .step = 4, .first_sample = 10 },
                  later = { .seed = 3, .step = 4, .first_sample = 13 };
    run_random(GEN_OP_NORMAL, batch, GEN_SHAPE(6, 7), &now);
    run_random(GEN_OP_NORMAL, part, GEN_SHAPE(2, 7), &later);
    assert_memory_equal(part, batch + 3 * 7, sizeof part);
    now.step = 5;
    run_random(GEN_OP_NORMAL, part, GEN_SHAPE(2, 7), &now);
    assert_memory_not_equal(part, batch, sizeof part);
}

TEST(op_random_numbers_are_the_philox_words_that_rng_names)
{
    float y[3 * 6];
    gen_run_state now = { .seed = 3, .step = 4, .first_sample = 10 };
    run_random(GEN_OP_UNIFORM, y, GEN_SHAPE(3, 6), &now);
    for (uint32_t n = 0; n < 3; n++)
        for (uint32_t e = 0; e < 6; e++) {
            gen_philox block = gen_philox_block(3, e / 4, 10 + n, 4, 77);
            assert_true(y[n * 6 + e] == gen_uniform_from_word(block.word[e % 4]));
        }
}

/* ---- numbers one can check by hand ---- */

static void run_rungs(gen_call *call, const float *expected)
{
    const cpu_kernel *rungs[16];
    int32_t n = op_rungs(call->op, rungs, 16);
    int64_t count = gen_shape_count(&call->out[0].shape);
    call->epilogue.act = GEN_OP_COUNT;
    for (int32_t i = 0; i < n; i++) {
        float *y = call->out[0].data;
        if (rungs[i]->fits && !rungs[i]->fits(call)) continue;
        op_run_kernel(rungs[i], call);
        for (int64_t k = 0; k < count; k++)
            if (isnan(expected[k]) ? !isnan(y[k]) : y[k] != expected[k])
                fail_msg("%s: element %lld is %g, expected %g", rungs[i]->name, (long long)k, (double)y[k],
                         (double)expected[k]);
    }
}

TEST(op_conv2d_counts_as_by_hand)
{
    float x[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, w[4] = { 1, 2, 3, 4 }, y[4];
    gen_view in[2] = { { x, GEN_SHAPE(1, 3, 3, 1) }, { w, GEN_SHAPE(2, 2, 1, 1) } }, out = { y, GEN_SHAPE(1, 2, 2, 1) };
    gen_attr attr = { .window = { { 2, 2 }, { 1, 1 }, { 0 }, { 1, 1 }, 1 } };
    gen_call call = { .op = GEN_OP_CONV2D, .n_in = 2, .n_out = 1, .in = in, .out = &out, .attr = &attr };
    run_rungs(&call, (float[]){ 37, 47, 67, 77 });
}

TEST(op_max_pick_keeps_what_is_not_a_number_and_padding_never_wins)
{
    float x[4] = { -3, -1, NAN, -2 }, y[9];
    gen_view in[2] = { { x, GEN_SHAPE(1, 2, 2, 1) }, { x, GEN_SHAPE(1, 2, 2, 1) } }, out = { y, GEN_SHAPE(1, 3, 3, 1) };
    gen_attr attr = { .window = { { 2, 2 }, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 } };
    gen_call call = { .op = GEN_OP_MAX_PICK, .n_in = 2, .n_out = 1, .in = in, .out = &out, .attr = &attr };
    run_rungs(&call, (float[]){ -3, -1, -1, NAN, NAN, -1, NAN, NAN, -2 });
}

TEST(op_resize_counts_as_by_hand)
{
    float x[2] = { 0, 4 }, y[4];
    gen_view in = { x, GEN_SHAPE(1, 1, 2, 1) }, out = { y, GEN_SHAPE(1, 1, 4, 1) };
    gen_attr attr = { .shape = GEN_SHAPE(1, 1, 4, 1) };
    gen_call call = { .op = GEN_OP_RESIZE, .n_in = 1, .n_out = 1, .in = &in, .out = &out, .attr = &attr };
    run_rungs(&call,
              (float[]){ 0, 1, 3, 4 }); /* torch.nn.functional.interpolate(mode="bilinear", align_corners=False) */
}

TEST(op_pad_reflects_without_repeating_the_edge)
{
    float x[3] = { 1, 2, 3 }, y[7];
    gen_view in = { x, GEN_SHAPE(1, 1, 3, 1) }, out = { y, GEN_SHAPE(1, 1, 7, 1) };
    gen_attr attr = { .mode = GEN_PAD_REFLECT, .window.pad = { 0, 2, 0, 2 } };
    gen_call call = { .op = GEN_OP_PAD, .n_in = 1, .n_out = 1, .in = &in, .out = &out, .attr = &attr };
    run_rungs(&call, (float[]){ 3, 2, 1, 2, 3, 2, 1 });
}

TEST(op_lse_does_not_overflow)
{
    float x[6] = { 1000, 1000, -INFINITY, -INFINITY, INFINITY, 0 }, y[3];
    gen_view in = { x, GEN_SHAPE(3, 2) }, out = { y, GEN_SHAPE(3, 1) };
    gen_attr attr = { .axes = 2 };
    gen_call call = { .op = GEN_OP_LSE, .n_in = 1, .n_out = 1, .in = &in, .out = &out, .attr = &attr };
    run_rungs(&call, (float[]){ 1000 + 0.69314718f, -INFINITY, INFINITY });
}

TEST(op_lookup_ignores_indices_that_name_no_row)
{
    float table[4] = { 1, 2, 3, 4 }, index[5] = { 1, -1, 2, 0.5f, NAN }, rows[10], hot[10];
    gen_view in[2] = { { table, GEN_SHAPE(2, 2) }, { index, GEN_SHAPE(5) } }, out = { rows, GEN_SHAPE(5, 2) };
    gen_attr attr = { .shape = GEN_SHAPE(2) };
    gen_call gather = { .op = GEN_OP_GATHER, .n_in = 2, .n_out = 1, .in = in, .out = &out, .attr = &attr };
    run_rungs(&gather, (float[]){ 3, 4, 0, 0, 0, 0, 0, 0, 0, 0 });
    gen_view hot_out = { hot, GEN_SHAPE(5, 2) };
    gen_call one_hot = { .op = GEN_OP_ONE_HOT, .n_in = 1, .n_out = 1, .in = in + 1, .out = &hot_out, .attr = &attr };
    run_rungs(&one_hot, (float[]){ 0, 1, 0, 0, 0, 0, 0, 0, 0, 0 });
}
