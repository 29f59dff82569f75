/* Gradients against central finite differences, in double, on a walk over the graph that knows neither plan nor
 * session:
 *
 *     f(x) = sum_i r_i y_i(x),  r random:            df/dx as autodiff builds it = (f(x + h) - f(x - h)) / 2h
 *     d(x) = sum over inputs of s . df/dx, s random:  the same again, so gradients of gradients are right too
 */
#include "tests/op_cases.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

#include "core/autodiff.h"
#include "core/program.h"
#include "kernels/devices.h"

enum { MAX_NODES = 4000, SAMPLES = 6 };

/* ---- a graph's values, computed node by node ---- */

typedef struct walk {
    gen_graph *g;
    double *value[MAX_NODES];
    bool needed[MAX_NODES];
} walk;

static int64_t count_of(const gen_node *node)
{
    return gen_shape_count(&node->shape);
}

static double *value_of(walk *w, const gen_node *node)
{
    if (gen_op_get(node->op)->flags & OP_VIEW) return value_of(w, node->in[0]);
    double **v = &w->value[node->id];
    if (!*v) *v = gen_arena_alloc(gen_graph_arena(w->g), (size_t)count_of(node) * sizeof **v);
    assert_non_null(*v);
    return *v;
}

static void compute_const(walk *w, const gen_node *node)
{
    double *v = value_of(w, node);
    for (int64_t i = 0; i < count_of(node); i++) v[i] = node->attr.data ? (double)node->attr.data[i] : node->attr.a;
}

static void compute_node(walk *w, const gen_node *node)
{
    uint32_t flags = gen_op_get(node->op)->flags;
    if (node->op == GEN_OP_CONST) compute_const(w, node);
    if (flags & (OP_SOURCE | OP_VIEW)) return;
    gen_view in[CASE_MAX_IN], out = { value_of(w, node), node->shape };
    for (int32_t i = 0; i < node->n_in; i++) in[i] = (gen_view){ value_of(w, node->in[i]), node->in[i]->shape };
    gen_run_state now = { .seed = 1 };
    gen_call call = { .op = node->op,
                      .n_in = node->n_in,
                      .n_out = 1,
                      .in = in,
                      .out = &out,
                      .attr = &node->attr,
                      .epilogue.act = GEN_OP_COUNT,
                      .state = &now };
    op_run_kernel(cpu_kernel_ref64(node->op), &call);
}

/* Inputs have smaller numbers than the nodes that read them. */
static const double *compute(walk *w, const gen_node *y)
{
    assert_true(gen_graph_size(w->g) <= MAX_NODES);
    memset(w->needed, 0, sizeof w->needed);
    w->needed[y->id] = true;
    for (int32_t id = y->id; id >= 0; id--)
        for (int32_t i = 0; w->needed[id] && i < gen_graph_node(w->g, id)->n_in; i++)
            w->needed[gen_graph_node(w->g, id)->in[i]->id] = true;
    for (int32_t id = 0; id <= y->id; id++)
        if (w->needed[id]) compute_node(w, gen_graph_node(w->g, id));
    return value_of(w, y);
}

/* ---- finite differences ---- */

static double difference(walk *w, const gen_node *f, double *x)
{
    const double h = 1e-5, old = *x;
    *x = old + h;
    double above = *compute(w, f);
    *x = old - h;
    double below = *compute(w, f);
    *x = old;
    return (above - below) / (2 * h);
}

static double root_mean_square(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sqrt(sum / (double)n);
}

/* dx against the differences of the scalar f at some elements of x. */
static void check_derivative(walk *w, const char *what, const char *order, int32_t input, const gen_node *f,
                             const gen_node *x, const gen_node *dx)
{
    int64_t n = count_of(x);
    double sample[SAMPLES];
    if (!gen_shape_equal(&dx->shape, &x->shape))
        fail_msg("%s: the gradient in input %d has another shape than it", what, input);
    op_random((op_domain){ 0, (double)n, true }, 50, sample, SAMPLES);
    const double *gradient = compute(w, dx);
    double size = root_mean_square(gradient, n), value = fabs(*compute(w, f));
    for (int k = 0; k < SAMPLES && k < n; k++) {
        int64_t i = n <= SAMPLES ? k : (int64_t)sample[k];
        double got = compute(w, dx)[i], expected = difference(w, f, &value_of(w, x)[i]);
        if (!(fabs(got - expected) <= 2e-6 * (fabs(expected) + size) + 1e-10 * value + 1e-9))
            fail_msg("%s: %s derivative in input %d, element %lld is %.12g, expected %.12g", what, order, input,
                     (long long)i, got, expected);
    }
}

static gen_node *random_input(walk *w, const char *name, const gen_shape *shape, op_domain domain, uint32_t stream)
{
    gen_node *x = gen_input(w->g, name, *shape);
    op_random(domain, stream, value_of(w, x), gen_shape_count(shape));
    return x;
}

/* sum of a times a random tensor: a scalar whose derivatives see every element */
static gen_node *random_product(walk *w, gen_node *a, uint32_t stream)
{
    char name[32];
    snprintf(name, sizeof name, "r%u", (unsigned)stream);
    gen_node *r = random_input(w, name, &a->shape, (op_domain){ -1, 1, false }, stream);
    return gen_sum_all(w->g, gen_mul(w->g, a, r));
}

static void check_graph(const walk *w, const char *what)
{
    gen_error err = { 0 };
    if (gen_graph_check(w->g, &err)) fail_msg("%s: %s", what, err.text);
}

/* First and second derivatives of y in those x for which smooth[i]. */
static void check_gradients(walk *w, const char *what, gen_node *y, int32_t n, gen_node *const *x, const bool *smooth)
{
    gen_node *dx[CASE_MAX_IN], *ddx[CASE_MAX_IN];
    gen_node *f = random_product(w, y, 60), *d = gen_scalar(w->g, 0);
    gen_gradient(w->g, f, NULL, n, x, dx);
    for (int32_t i = 0; i < n; i++)
        if (smooth[i]) d = gen_add(w->g, d, random_product(w, dx[i], 61 + (uint32_t)i));
    gen_gradient(w->g, d, NULL, n, x, ddx);
    check_graph(w, what);
    for (int32_t i = 0; i < n; i++) {
        if (!smooth[i]) continue;
        check_derivative(w, what, "first", i, f, x[i], dx[i]);
        check_derivative(w, what, "second", i, d, x[i], ddx[i]);
    }
}

/* ---- each op alone ---- */

static bool has_gradient(gen_op op)
{
    switch (op) {
    case GEN_OP_ASSIGN:
    case GEN_OP_CHAIN:
    case GEN_OP_NORM_DX: /* counts its statistics as a function of x: only right together with them, below */
    case GEN_OP_NORM_DP: return false;
    default: return true;
    }
}

static void check_op(const op_case *c)
{
    int64_t work = 1;
    for (int32_t i = 0; i < c->n_in; i++) work += gen_shape_count(&c->in[i]);
    if (!has_gradient(c->op) || c->ties || work > 3000) return;
    walk *w = gen_alloc(1, sizeof *w);
    w->g = gen_graph_new();
    gen_node *x[CASE_MAX_IN];
    bool smooth[CASE_MAX_IN] = { false };
    for (int32_t i = 0; i < c->n_in; i++) {
        char name[16];
        op_domain domain = op_domain_of(c, i);
        snprintf(name, sizeof name, "x%d", i);
        x[i] = random_input(w, name, &c->in[i], domain, (uint32_t)i);
        smooth[i] = !domain.whole;
    }
    gen_node *y = gen_node_new(w->g, c->op, c->n_in, x, &c->attr);
    check_gradients(w, op_case_text(c), y, c->n_in, x, smooth);
    gen_graph_free(w->g);
    gen_free(w);
}

static void check_elementwise(int32_t n_in, const gen_shape *in)
{
    for (gen_op op = 0; op < GEN_OP_COUNT; op++) {
        const gen_op_info *info = gen_op_get(op);
        if (!(info->flags & OP_ELEMENTWISE) || info->n_in != n_in) continue;
        op_case c = { .op = op, .n_in = n_in, .attr = { .a = 0.25, .b = 0.75 } };
        memcpy(c.in, in, (size_t)n_in * sizeof *in);
        check_op(&c);
    }
}

TEST(gradient_of_elementwise_ops_is_their_finite_difference)
{
    check_elementwise(1, &(gen_shape)S(3, 4));
    for (size_t i = 0; i < COUNT_OF(binary_shapes); i++) check_elementwise(2, binary_shapes[i]);
    for (size_t i = 0; i < COUNT_OF(ternary_shapes); i++) check_elementwise(3, ternary_shapes[i]);
}

TEST(gradient_of_matmul_is_its_finite_difference)
{
    static const gen_shape shapes[][2] = {
        { S(3, 4), S(4, 5) }, { S(4, 3), S(4, 5) }, { S(3, 4), S(5, 4) }, { S(4, 3), S(5, 4) }
    };
    for (int way = 0; way < 4; way++) {
        op_case c = { .op = GEN_OP_MATMUL, .n_in = 2, .attr = { .trans_a = way & 1, .trans_b = way & 2 } };
        for (int i = 0; i < 2; i++) c.in[i] = shapes[way][i];
        check_op(&c);
        for (int i = 0; i < 2; i++) c.in[i] = GEN_SHAPE(2, 3, shapes[way][i].dim[0], shapes[way][i].dim[1]);
        check_op(&c);
    }
}

static void check_conv_row(const conv_row *row)
{
    gen_attr attr = { .window = row->window };
    gen_shape x = GEN_SHAPE(row->n, row->h, row->w, row->c);
    gen_shape w = GEN_SHAPE(row->window.kernel[0], row->window.kernel[1], row->c / row->window.groups, row->k);
    gen_shape y =
        GEN_SHAPE(row->n, gen_window_out(&row->window, 0, row->h), gen_window_out(&row->window, 1, row->w), row->k);
    check_op(&(op_case){ .op = GEN_OP_CONV2D, .n_in = 2, .in = { x, w }, .attr = attr });
    check_op(&(op_case){ .op = GEN_OP_CONV2D_W, .n_in = 2, .in = { x, y }, .attr = attr });
    attr.shape = GEN_SHAPE(1, row->h, row->w, 1);
    check_op(&(op_case){ .op = GEN_OP_CONV2D_T, .n_in = 2, .in = { y, w }, .attr = attr });
}

TEST(gradient_of_the_conv_triple_is_its_finite_difference)
{
    for (size_t i = 0; i < COUNT_OF(conv_rows); i++) check_conv_row(&conv_rows[i]);
}

TEST(gradient_of_pooling_and_resizing_is_its_finite_difference)
{
    for (size_t i = 0; i < COUNT_OF(pool_rows); i++) {
        const conv_row *r = &pool_rows[i];
        gen_shape x = GEN_SHAPE(r->n, r->h, r->w, r->c);
        gen_shape y = GEN_SHAPE(r->n, gen_window_out(&r->window, 0, r->h), gen_window_out(&r->window, 1, r->w), r->c);
        gen_attr attr = { .window = r->window, .shape = GEN_SHAPE(1, r->h, r->w, 1) };
        check_op(&(op_case){ .op = GEN_OP_SUM_POOL, .n_in = 1, .in = { x }, .attr = attr });
        check_op(&(op_case){ .op = GEN_OP_SUM_POOL_T, .n_in = 1, .in = { y }, .attr = attr });
        check_op(&(op_case){ .op = GEN_OP_MAX_PICK, .n_in = 2, .in = { x, x }, .attr = attr });
        check_op(&(op_case){ .op = GEN_OP_MAX_PICK_T, .n_in = 2, .in = { x, y }, .attr = attr });
    }
    for (size_t i = 0; i < COUNT_OF(resize_rows); i++) {
        const int64_t *r = resize_rows[i];
        gen_attr there = { .shape = GEN_SHAPE(1, r[4], r[5], 1) }, back = { .shape = GEN_SHAPE(1, r[1], r[2], 1) };
        check_op(
            &(op_case){ .op = GEN_OP_RESIZE, .n_in = 1, .in = { GEN_SHAPE(r[0], r[1], r[2], r[3]) }, .attr = there });
        check_op(
            &(op_case){ .op = GEN_OP_RESIZE_T, .n_in = 1, .in = { GEN_SHAPE(r[0], r[4], r[5], r[3]) }, .attr = back });
    }
}

TEST(gradient_of_reductions_is_their_finite_difference)
{
    static const gen_op ops[] = { GEN_OP_SUM, GEN_OP_MAX_OF, GEN_OP_LSE, GEN_OP_ARGMAX };
    for (size_t i = 0; i < COUNT_OF(reduce_cases); i++)
        for (size_t k = 0; k < COUNT_OF(ops); k++) {
            op_case c = reduce_cases[i];
            c.op = ops[k];
            check_op(&c);
        }
}

TEST(gradient_of_sum_squares_is_its_finite_difference)
{
    for (size_t i = 0; i < COUNT_OF(squares_cases); i++) check_op(&squares_cases[i]);
}

TEST(gradient_of_norms_is_their_finite_difference)
{
    for (size_t i = 0; i < COUNT_OF(norm_rows); i++) {
        gen_shape x = norm_rows[i].x, c = GEN_SHAPE(x.dim[x.rank - 1]),
                  stats = GEN_SHAPE(x.dim[0], 2, norm_rows[i].groups);
        gen_attr attr = { .groups = norm_rows[i].groups, .a = 1e-2 };
        check_op(&(op_case){ .op = GEN_OP_NORM_STATS, .n_in = 1, .in = { x }, .attr = attr });
        check_op(&(op_case){ .op = GEN_OP_NORM, .n_in = 4, .in = { x, stats, c, c }, .attr = attr });
    }
}

/* Sequences have no second derivatives: first ones only. */
static void check_first(const char *what, gen_op op, const gen_shape in[4])
{
    walk *w = gen_alloc(1, sizeof *w);
    w->g = gen_graph_new();
    gen_node *x[4], *dx[4];
    for (uint32_t i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%u", (unsigned)i);
        x[i] = random_input(w, name, &in[i], (op_domain){ -1, 1, false }, i);
    }
    gen_node *f = random_product(w, gen_node_new(w->g, op, 4, x, NULL), 10);
    gen_gradient(w->g, f, NULL, 4, x, dx);
    check_graph(w, what);
    for (int32_t i = 0; i < 4; i++) check_derivative(w, what, "first", i, f, x[i], dx[i]);
    gen_graph_free(w->g);
    gen_free(w);
}

TEST(gradient_of_recurrent_layers_is_their_finite_difference)
{
    for (size_t i = 0; i < COUNT_OF(recurrent_rows); i++) {
        const int64_t *r = recurrent_rows[i], t = r[0], n = r[1], h = r[2];
        if (t * n * h > 200) continue;
        gen_shape state = GEN_SHAPE(n, h);
        check_first("lstm", GEN_OP_LSTM, (gen_shape[]){ GEN_SHAPE(t, n, 4 * h), GEN_SHAPE(h, 4 * h), state, state });
        check_first("gru", GEN_OP_GRU,
                    (gen_shape[]){ GEN_SHAPE(t, n, 3 * h), GEN_SHAPE(h, 3 * h), GEN_SHAPE(3 * h), state });
    }
}

TEST(gradient_of_movements_is_their_finite_difference)
{
    for (size_t i = 0; i < COUNT_OF(movement_cases); i++) check_op(&movement_cases[i]);
}

/* ---- what builders compose of ops ---- */

#define BUILD(name, expression)                                                                                        \
    static gen_node *build_##name(gen_graph *g, gen_node *const *x)                                                    \
    {                                                                                                                  \
        return expression;                                                                                             \
    }

BUILD(conv, gen_conv2d(g, x[0], x[1], gen_window_of(3, 1, 1)))
BUILD(group_norm, gen_group_norm(g, x[0], x[1], x[2], 3, 1e-3))
BUILD(instance_norm, gen_group_norm(g, x[0], x[1], x[2], 6, 1e-3))
BUILD(batch_norm, gen_batch_norm(g, x[0], x[1], x[2], 1e-3, NULL))
BUILD(layer_norm, gen_layer_norm(g, x[0], x[1], x[2], 1e-3))
BUILD(fixed_norm, gen_fixed_norm(g, x[0], x[1], x[2], x[3], gen_square(g, x[4]), 1e-3))
BUILD(softmax, gen_softmax(g, x[0], GEN_AXIS(1)))
BUILD(log_softmax, gen_log_softmax(g, x[0], GEN_AXIS(0)))
BUILD(elu, gen_elu(g, x[0], 1.5))
BUILD(silu, gen_silu(g, x[0]))
BUILD(gelu, gen_gelu(g, x[0]))
BUILD(bce, gen_bce_logits(g, x[0], x[1]))
BUILD(mse, gen_mse(g, x[0], x[1]))
BUILD(l1, gen_l1(g, x[0], x[1]))
BUILD(upsample, gen_upsample(g, x[0], 3))
BUILD(avg_pool, gen_avg_pool(g, gen_square(g, x[0]), gen_window_of(3, 2, 1)))
BUILD(max_pool, gen_max_pool(g, x[0], gen_window_of(2, 2, 0)))
BUILD(max_pool_square, gen_square(g, gen_max_pool(g, gen_tanh(g, x[0]), gen_window_of(3, 2, 1))))
BUILD(global_avg_pool, gen_global_avg_pool(g, gen_square(g, x[0])))
BUILD(resize, gen_resize_bilinear(g, gen_square(g, x[0]), 7, 3))
BUILD(dense, gen_tanh(g, gen_add(g, gen_matmul(g, x[0], x[1], false, false), x[2])))
BUILD(shared_matrix, gen_matmul(g, x[0], x[1], false, true))
BUILD(pad, gen_pad(g, gen_square(g, x[0]), GEN_PAD_REFLECT, 1, 2, 0, 1))
BUILD(pad_zero, gen_pad_zero(g, gen_square(g, x[0]), 1, 2, 0, 1))
BUILD(flip, gen_mul(g, gen_flip(g, x[0], 2), x[0]))
BUILD(concat, gen_square(g, gen_concat(g, 2, x, 1)))
BUILD(same_node_twice, gen_mul(g, gen_add(g, x[0], x[0]), gen_sum_all(g, x[0])))
BUILD(conv_block, gen_leaky_relu(g, gen_add(g, gen_add(g, build_conv(g, x), x[2]), x[3]), 0.2))
BUILD(conv_t_block, gen_tanh(g, gen_add(g, gen_conv2d_t(g, x[0], x[1], gen_window_of(4, 2, 1), 6, 8), x[2])))
BUILD(upsample_conv, gen_relu(g, gen_conv2d(g, gen_upsample(g, x[0], 2), x[1], gen_window_of(3, 1, 1))))
BUILD(reflect_conv, gen_conv2d(g, gen_pad(g, x[0], GEN_PAD_REFLECT, 1, 1, 1, 1), x[1], gen_window_of(3, 1, 0)))
BUILD(norm_block, gen_relu(g, gen_add(g, gen_group_norm(g, x[0], x[1], x[2], 2, 1e-3), x[3])))
BUILD(broadcast, gen_square(g, gen_broadcast(g, x[0], GEN_SHAPE(2, 3, 4))))

static const struct composed {
    const char *name;
    gen_node *(*build)(gen_graph *g, gen_node *const *x);
    int32_t n;
    gen_shape x[5];
} composed[] = {
    { "group norm", build_group_norm, 3, { S(2, 3, 2, 6), S(6), S(6) } },
    { "instance norm", build_instance_norm, 3, { S(2, 3, 2, 6), S(6), S(6) } },
    { "batch norm", build_batch_norm, 3, { S(3, 2, 2, 5), S(5), S(5) } },
    { "layer norm", build_layer_norm, 3, { S(4, 7), S(7), S(7) } },
    { "fixed norm", build_fixed_norm, 5, { S(3, 2, 2, 5), S(5), S(5), S(5), S(5) } },
    { "softmax", build_softmax, 1, { S(3, 5) } },
    { "log softmax", build_log_softmax, 1, { S(3, 5) } },
    { "elu", build_elu, 1, { S(3, 5) } },
    { "silu", build_silu, 1, { S(3, 5) } },
    { "gelu", build_gelu, 1, { S(3, 5) } },
    { "bce", build_bce, 2, { S(3, 5), S(3, 5) } },
    { "mse", build_mse, 2, { S(3, 5), S(3, 5) } },
    { "l1", build_l1, 2, { S(3, 5), S(3, 5) } },
    { "upsample", build_upsample, 1, { S(2, 2, 3, 4) } },
    { "average pooling", build_avg_pool, 1, { S(2, 5, 6, 3) } },
    { "max pooling", build_max_pool, 1, { S(2, 4, 6, 3) } },
    { "max pooling, squared", build_max_pool_square, 1, { S(1, 5, 6, 3) } },
    { "global average pooling", build_global_avg_pool, 1, { S(2, 3, 2, 4) } },
    { "bilinear", build_resize, 1, { S(2, 3, 5, 2) } },
    { "dense and tanh", build_dense, 3, { S(4, 3), S(3, 5), S(5) } },
    { "one matrix for a batch", build_shared_matrix, 2, { S(2, 4, 3), S(5, 3) } },
    { "reflection padding", build_pad, 1, { S(1, 3, 4, 2) } },
    { "zero padding", build_pad_zero, 1, { S(1, 3, 4, 2) } },
    { "flip", build_flip, 1, { S(1, 3, 4, 2) } },
    { "concat", build_concat, 2, { S(2, 3, 2), S(2, 1, 2) } },
    { "one node used three times", build_same_node_twice, 1, { S(3, 2) } },
    { "conv", build_conv, 2, { S(2, 4, 5, 3), S(3, 3, 3, 4) } },
    { "conv, bias, residual, leaky", build_conv_block, 4, { S(2, 4, 5, 3), S(3, 3, 3, 4), S(4), S(2, 4, 5, 4) } },
    { "transposed conv, bias, tanh", build_conv_t_block, 3, { S(2, 3, 4, 3), S(4, 4, 5, 3), S(5) } },
    { "upsampling, conv, relu", build_upsample_conv, 2, { S(2, 3, 3, 3), S(3, 3, 3, 4) } },
    { "reflection, conv", build_reflect_conv, 2, { S(1, 4, 5, 3), S(3, 3, 3, 2) } },
    { "norm, residual, relu", build_norm_block, 4, { S(2, 3, 3, 4), S(4), S(4), S(2, 3, 3, 4) } },
    { "broadcast", build_broadcast, 1, { S(3, 1) } },
};

TEST(gradient_of_composed_layers_is_their_finite_difference)
{
    static const bool smooth[CASE_MAX_IN] = { true, true, true, true, true, true, true, true };
    for (size_t i = 0; i < COUNT_OF(composed); i++) {
        walk *w = gen_alloc(1, sizeof *w);
        gen_node *x[5];
        w->g = gen_graph_new();
        for (int32_t k = 0; k < composed[i].n; k++) {
            char name[16];
            snprintf(name, sizeof name, "x%d", k);
            x[k] = random_input(w, name, &composed[i].x[k], (op_domain){ -2, 2, false }, (uint32_t)k);
        }
        check_gradients(w, composed[i].name, composed[i].build(w->g, x), composed[i].n, x, smooth);
        gen_graph_free(w->g);
        gen_free(w);
    }
}

/* conv2d of an upsampled image is built as a transposed convolution of the small one (core/op/conv.c); two signs keep the other one as it is written. */
static void check_folded(int32_t kernel, int32_t scale, const int32_t pad[4])
{
    walk *w = gen_alloc(1, sizeof *w);
    gen_graph *g = w->g = gen_graph_new();
    gen_window window = gen_window_of(kernel, 1, 0);
    gen_shape shape = GEN_SHAPE(kernel, kernel, 3, 2);
    memcpy(window.pad, pad, sizeof window.pad);
    gen_node *x = random_input(w, "x", &(gen_shape)S(2, 3, 4, 3), (op_domain){ -1, 1, false }, 1);
    gen_node *filter = random_input(w, "w", &shape, (op_domain){ -1, 1, false }, 2);
    gen_node *up = gen_upsample(g, x, scale);
    gen_node *folded = gen_conv2d(g, up, filter, window),
             *plain = gen_conv2d(g, gen_neg(g, gen_neg(g, up)), filter, window);
    check_graph(w, "folded upsampling");
    assert_int_equal(folded->op, GEN_OP_CONV2D_T);
    assert_int_equal(plain->op, GEN_OP_CONV2D);
    assert_true(gen_shape_equal(&folded->shape, &plain->shape));
    compute(w, folded);
    compute(w, plain);
    for (int64_t i = 0; i < count_of(plain); i++)
        if (fabs(value_of(w, folded)[i] - value_of(w, plain)[i]) > 1e-12)
            fail_msg("%dx%d after times %d, element %lld is %.12g, expected %.12g", kernel, kernel, scale, (long long)i,
                     value_of(w, folded)[i], value_of(w, plain)[i]);
    check_gradients(w, "folded upsampling", folded, 2, (gen_node *[]){ x, filter }, (bool[]){ true, true });
    gen_graph_free(g);
    gen_free(w);
}

TEST(gradient_and_value_of_a_conv_after_upsampling)
{
    static const int32_t pads[][4] = {
        { 0, 0, 0, 0 }, { 1, 1, 1, 1 }, { 2, 2, 2, 2 }, { 0, 1, 2, 1 }, { -1, 0, 1, -1 }
    };
    for (int32_t kernel = 1; kernel <= 5; kernel++)
        for (int32_t scale = 2; scale <= 3; scale++)
            for (size_t i = 0; i < COUNT_OF(pads); i++) {
                bool inside = true;
                for (int k = 0; k < 4; k++) inside = inside && pads[i][k] < kernel;
                if (inside) check_folded(kernel, scale, pads[i]);
            }
}

TEST(gradient_does_not_pass_a_stop)
{
    walk *w = gen_alloc(1, sizeof *w);
    w->g = gen_graph_new();
    gen_node *x = random_input(w, "x", &(gen_shape)S(3), (op_domain){ 1, 2, false }, 1), *dx;
    gen_gradient(w->g, gen_sum_all(w->g, gen_mul(w->g, x, gen_stop(w->g, x))), NULL, 1, &x, &dx);
    check_graph(w, "stop");
    const double *got = compute(w, dx);
    for (int i = 0; i < 3; i++) assert_true(got[i] == value_of(w, x)[i]);
    gen_graph_free(w->g);
    gen_free(w);
}

TEST(gradient_of_labels_is_softmax_minus_one_hot)
{
    walk *w = gen_alloc(1, sizeof *w);
    w->g = gen_graph_new();
    gen_node *logits = random_input(w, "x", &(gen_shape)S(4, 5), (op_domain){ -2, 2, false }, 1), *dx;
    gen_node *labels = random_input(w, "labels", &(gen_shape)S(4), (op_domain){ 0, 5, true }, 2);
    gen_gradient(w->g, gen_sum_all(w->g, gen_cross_entropy(w->g, logits, labels)), NULL, 1, &logits, &dx);
    gen_node *expected = gen_sub(w->g, gen_softmax(w->g, logits, GEN_AXIS(1)), gen_one_hot(w->g, labels, 5));
    check_graph(w, "cross entropy");
    const double *got = compute(w, dx), *want = compute(w, expected);
    for (int i = 0; i < 20; i++) assert_true(fabs(got[i] - want[i]) < 1e-14);
    gen_graph_free(w->g);
    gen_free(w);
}

/* ---- Gulrajani et al. 2017: the critic's gradient penalty, differentiated in the critic's weights ---- */

static gen_node *critic(gen_graph *g, gen_node *x, gen_node *const *w)
{
    gen_node *h = gen_leaky_relu(g, gen_conv2d(g, x, w[0], gen_window_of(3, 1, 1)), 0.2); /* [2,6,6,4] */
    h = gen_tanh(g,
                 gen_layer_norm(g, gen_conv2d(g, h, w[1], gen_window_of(4, 2, 1)), w[4], w[5], 1e-3)); /* [2,3,3,3] */
    h = gen_conv2d_t(g, h, w[2], gen_window_of(2, 1, 0), 4, 4);                                        /* [2,4,4,3] */
    h = gen_upsample(g, gen_avg_pool(g, h, gen_window_of(2, 2, 0)), 2);
    h = gen_max_pool(g, h, gen_window_of(2, 2, 0)); /* [2,2,2,3] */
    return gen_sum_all(g, gen_matmul(g, gen_reshape(g, h, GEN_SHAPE(2, 12)), w[3], false, false));
}

TEST(gradient_of_a_gradient_penalty_is_its_finite_difference)
{
    static const gen_shape shapes[] = { S(3, 3, 2, 4), S(4, 4, 4, 3), S(2, 2, 3, 3), S(12, 1), S(3), S(3) };
    enum { N = COUNT_OF(shapes) };
    walk *w = gen_alloc(1, sizeof *w);
    w->g = gen_graph_new();
    gen_node *x = random_input(w, "x", &(gen_shape)S(2, 6, 6, 2), (op_domain){ -1, 1, false }, 1), *dx, *p[N], *dp[N];
    for (int32_t i = 0; i < (int32_t)N; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%d", i);
        p[i] = random_input(w, name, &shapes[i], (op_domain){ -1, 1, false }, 2 + (uint32_t)i);
    }
    gen_gradient(w->g, critic(w->g, x, p), NULL, 1, &x, &dx);
    gen_node *norm = gen_sqrt(w->g, gen_sum(w->g, gen_square(w->g, dx), GEN_AXIS(1) | GEN_AXIS(2) | GEN_AXIS(3)));
    gen_node *penalty = gen_mean(w->g, gen_square(w->g, gen_affine(w->g, norm, 1, -1)));
    gen_gradient(w->g, penalty, NULL, N, p, dp);
    check_graph(w, "critic");
    for (int32_t i = 0; i < (int32_t)N; i++) check_derivative(w, "gradient penalty", "mixed", i, penalty, p[i], dp[i]);
    gen_graph_free(w->g);
    gen_free(w);
}

/* ---- the same through plan and session: fused, packed in memory, on both devices ---- */

static gen_graph *composed_graph(const struct composed *c, walk *w)
{
    gen_node *x[5], *dx[5];
    w->g = gen_graph_new();
    for (int32_t i = 0; i < c->n; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        x[i] = random_input(w, name, &c->x[i], (op_domain){ -2, 2, false }, (uint32_t)i);
    }
    gen_node *y = c->build(w->g, x);
    gen_gradient(w->g, random_product(w, y, 60), NULL, c->n, x, dx);
    gen_output(w->g, "y", y);
    for (int32_t i = 0; i < c->n; i++) {
        char name[16];
        snprintf(name, sizeof name, "dx%d", i);
        gen_output(w->g, name, dx[i]);
    }
    check_graph(w, c->name);
    return w->g;
}

static void feed_inputs(walk *w, gen_program *p)
{
    gen_error err = { 0 };
    for (int32_t id = 0; id < gen_graph_size(w->g); id++) {
        const gen_node *node = gen_graph_node(w->g, id);
        if (node->op != GEN_OP_INPUT) continue;
        int64_t n = count_of(node);
        float *x = gen_arena_alloc(gen_graph_arena(w->g), (size_t)n * sizeof *x);
        for (int64_t i = 0; i < n; i++) x[i] = (float)value_of(w, node)[i];
        TEST_OK(gen_program_feed(p, node->name, x, n, &err));
    }
}

static void check_output(walk *w, const struct composed *c, const char *device, gen_program *p, int32_t i,
                         double tolerance)
{
    gen_error err = { 0 };
    const char *name;
    const gen_node *y = gen_graph_output(w->g, i, &name);
    int64_t n = count_of(y);
    float *got = gen_arena_alloc(gen_graph_arena(w->g), (size_t)n * sizeof *got);
    TEST_OK(gen_program_fetch(p, name, got, n, &err));
    const double *expected = compute(w, y);
    double size = root_mean_square(expected, n);
    for (int64_t k = 0; k < n; k++)
        if (!(fabs((double)got[k] - expected[k]) <= tolerance * (fabs(expected[k]) + size) + 1e-6))
            fail_msg("%s on %s: %s, element %lld is %.9g, node by node %.9g", c->name, device, name, (long long)k,
                     (double)got[k], expected[k]);
}

static void check_planned(const struct composed *c, const char *device_name, double tolerance)
{
    gen_error err = { 0 };
    gen_device *device;
    gen_program *p;
    walk *w = gen_alloc(1, sizeof *w);
    TEST_OK(gen_device_open(device_name, 2, &device, &err));
    gen_params *params = gen_params_new(device);
    TEST_OK(gen_program_new(composed_graph(c, w), device, params, 1, &p, &err));
    feed_inputs(w, p);
    for (int round = 0; round < 2; round++) { /* the second run finds what the first left in the slab */
        TEST_OK(gen_program_run(p, (gen_run_state){ .seed = 1 }, &err));
        for (int32_t i = 0; i < gen_graph_outputs(w->g); i++) check_output(w, c, device_name, p, i, tolerance);
    }
    gen_program_free(p);
    gen_params_free(params);
    device->ops->close(device);
    gen_free(w);
}

TEST(plan_and_session_compute_what_the_graph_says)
{
    for (size_t i = 0; i < COUNT_OF(composed); i++) {
        check_planned(&composed[i], "cpu64", 1e-6);
        check_planned(&composed[i], "cpu", 2e-5);
    }
}
