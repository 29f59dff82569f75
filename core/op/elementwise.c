/* Elementwise ops: shape rules (NumPy broadcasting) and gradients. Gradients of activations are written with the result y where that is possible, so
 * that the input of a fused activation need not be kept. */
#include "core/autodiff.h"
#include "core/op/family.h"

#include <math.h>

/* ---- shape rules --------------------------------------------------------------------------------------------------- */

gen_status infer_fixed(const gen_node *y, gen_shape *out, gen_error *err)
{
    const gen_shape *shape = &y->attr.shape;
    int64_t count = 1;
    if (shape->rank < 0 || shape->rank > GEN_MAX_RANK)
        return gen_fail(err, GEN_BAD_SHAPE, "rank %d is not 0 to %d", shape->rank, GEN_MAX_RANK);
    for (int32_t i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 1)
            return gen_fail(err, GEN_BAD_SHAPE, "axis %d has size %lld, which is less than 1", i,
                            (long long)shape->dim[i]);
        if (count > (INT64_C(1) << 40) / shape->dim[i]) return gen_fail(err, GEN_BAD_SHAPE, "more than 2^40 elements");
        count *= shape->dim[i];
    }
    *out = *shape;
    return GEN_OK;
}

gen_status infer_same(const gen_node *y, gen_shape *out, gen_error *err)
{
    (void)err;
    *out = y->in[0]->shape;
    return GEN_OK;
}

gen_status infer_assign(const gen_node *y, gen_shape *out, gen_error *err)
{
    if (y->in[0]->op != GEN_OP_PARAM) return gen_fail(err, GEN_BAD_SHAPE, "only a parameter can be assigned to");
    if (!gen_shape_equal(&y->in[0]->shape, &y->in[1]->shape))
        return gen_fail(err, GEN_BAD_SHAPE, "%s gets a value of another shape", y->in[0]->name);
    *out = y->in[0]->shape;
    return GEN_OK;
}

bool op_broadcast_shapes(const gen_shape *a, const gen_shape *b, gen_shape *out)
{
    gen_shape y = { .rank = a->rank > b->rank ? a->rank : b->rank };
    for (int32_t i = 0; i < y.rank; i++) { /* i counts from the last axis */
        int64_t da = i < a->rank ? a->dim[a->rank - 1 - i] : 1;
        int64_t db = i < b->rank ? b->dim[b->rank - 1 - i] : 1;
        if (da != db && da != 1 && db != 1) return false;
        y.dim[y.rank - 1 - i] = da > db ? da : db;
    }
    *out = y;
    return true;
}

gen_status infer_broadcast(const gen_node *y, gen_shape *out, gen_error *err)
{
    gen_shape shape = y->in[0]->shape;
    for (int32_t i = 1; i < y->n_in; i++)
        if (!op_broadcast_shapes(&shape, &y->in[i]->shape, &shape))
            return gen_fail(err, GEN_BAD_SHAPE,
                            "shapes do not broadcast: sizes must be equal or 1, counted from the last axis");
    *out = shape;
    return GEN_OK;
}

gen_status op_need_rank(const gen_node *y, int32_t i, int32_t rank, const char *what, gen_error *err)
{
    if (y->in[i]->shape.rank == rank) return GEN_OK;
    return gen_fail(err, GEN_BAD_SHAPE, "%s has %d axes, expected %d", what, y->in[i]->shape.rank, rank);
}

/* ---- builders ------------------------------------------------------------------------------------------------------ */

static bool is_fill(const gen_node *x)
{
    return x->op == GEN_OP_CONST && !x->attr.data;
}

static gen_node *unary(gen_graph *g, gen_op op, gen_node *x, double a, double b)
{
    return gen_node_new(g, op, 1, &x, &(gen_attr){ .a = a, .b = b });
}

/* A broadcast node feeding an elementwise op is not needed where the op broadcasts to the same shape by itself. */
static gen_node *without_broadcast(gen_node *x, const gen_node *other, const gen_shape *result)
{
    gen_shape shape;
    if (x->op != GEN_OP_BROADCAST) return x;
    bool same = op_broadcast_shapes(&x->in[0]->shape, &other->shape, &shape) && gen_shape_equal(&shape, result);
    return same ? x->in[0] : x;
}

static gen_node *binary(gen_graph *g, gen_op op, gen_node *a, gen_node *b)
{
    gen_shape result;
    if (op_broadcast_shapes(&a->shape, &b->shape, &result)) {
        a = without_broadcast(a, b, &result);
        b = without_broadcast(b, a, &result);
    }
    return gen_node_new(g, op, 2, (gen_node *[]){ a, b }, NULL);
}

/* a op b where b is one number everywhere and does not enlarge a's shape: then the op is an affine map of a */
static bool is_number_for(const gen_node *b, const gen_node *a)
{
    gen_shape shape;
    return is_fill(b) && op_broadcast_shapes(&a->shape, &b->shape, &shape) && gen_shape_equal(&shape, &a->shape);
}

gen_node *gen_affine(gen_graph *g, gen_node *x, double a, double b)
{
    if (a == 1 && b == 0) return x;
    if (is_fill(x)) return gen_fill(g, x->shape, a * x->attr.a + b);
    if (x->op == GEN_OP_AFFINE) return unary(g, GEN_OP_AFFINE, x->in[0], a * x->attr.a, a * x->attr.b + b);
    return unary(g, GEN_OP_AFFINE, x, a, b);
}

gen_node *gen_scale(gen_graph *g, gen_node *x, double a)
{
    return gen_affine(g, x, a, 0);
}

gen_node *gen_neg(gen_graph *g, gen_node *x)
{
    return gen_affine(g, x, -1, 0);
}

// clang-format off
gen_node *gen_abs(gen_graph *g, gen_node *x)      { return unary(g, GEN_OP_ABS, x, 0, 0); }
gen_node *gen_sign(gen_graph *g, gen_node *x)     { return unary(g, GEN_OP_SIGN, x, 0, 0); }
gen_node *gen_step(gen_graph *g, gen_node *x)     { return unary(g, GEN_OP_STEP, x, 0, 0); }
gen_node *gen_square(gen_graph *g, gen_node *x)   { return unary(g, GEN_OP_SQUARE, x, 0, 0); }
gen_node *gen_sqrt(gen_graph *g, gen_node *x)     { return unary(g, GEN_OP_SQRT, x, 0, 0); }
gen_node *gen_rsqrt(gen_graph *g, gen_node *x)    { return unary(g, GEN_OP_RSQRT, x, 0, 0); }
gen_node *gen_exp(gen_graph *g, gen_node *x)      { return unary(g, GEN_OP_EXP, x, 0, 0); }
gen_node *gen_log(gen_graph *g, gen_node *x)      { return unary(g, GEN_OP_LOG, x, 0, 0); }
gen_node *gen_sin(gen_graph *g, gen_node *x)      { return unary(g, GEN_OP_SIN, x, 0, 0); }
gen_node *gen_cos(gen_graph *g, gen_node *x)      { return unary(g, GEN_OP_COS, x, 0, 0); }
gen_node *gen_tanh(gen_graph *g, gen_node *x)     { return unary(g, GEN_OP_TANH, x, 0, 0); }
gen_node *gen_sigmoid(gen_graph *g, gen_node *x)  { return unary(g, GEN_OP_SIGMOID, x, 0, 0); }
gen_node *gen_softplus(gen_graph *g, gen_node *x) { return unary(g, GEN_OP_SOFTPLUS, x, 0, 0); }
gen_node *gen_erf(gen_graph *g, gen_node *x)      { return unary(g, GEN_OP_ERF, x, 0, 0); }
gen_node *gen_relu(gen_graph *g, gen_node *x)     { return unary(g, GEN_OP_RELU, x, 0, 0); }
gen_node *gen_floor(gen_graph *g, gen_node *x)    { return unary(g, GEN_OP_FLOOR, x, 0, 0); }
gen_node *gen_div(gen_graph *g, gen_node *a, gen_node *b)   { return is_number_for(b, a) ? gen_scale(g, a, 1 / b->attr.a) : binary(g, GEN_OP_DIV, a, b); }
gen_node *gen_pow(gen_graph *g, gen_node *a, gen_node *b)   { return binary(g, GEN_OP_POW, a, b); }
gen_node *gen_min(gen_graph *g, gen_node *a, gen_node *b)   { return binary(g, GEN_OP_MIN, a, b); }
gen_node *gen_max(gen_graph *g, gen_node *a, gen_node *b)   { return binary(g, GEN_OP_MAX, a, b); }
gen_node *gen_less(gen_graph *g, gen_node *a, gen_node *b)  { return binary(g, GEN_OP_LESS, a, b); }
gen_node *gen_equal(gen_graph *g, gen_node *a, gen_node *b) { return binary(g, GEN_OP_EQUAL, a, b); }
// clang-format on

gen_node *gen_leaky_relu(gen_graph *g, gen_node *x, double slope)
{
    if (!(slope >= 0 && slope < 1)) gen_graph_fail(g, GEN_BAD_SHAPE, "leaky relu: slope %g is not in [0, 1)", slope);
    return unary(g, GEN_OP_LEAKY, x, slope, 0);
}

gen_node *gen_clamp(gen_graph *g, gen_node *x, double low, double high)
{
    return unary(g, GEN_OP_CLAMP, x, low, high);
}

gen_node *gen_elu(gen_graph *g, gen_node *x, double a)
{
    gen_node *negative = gen_affine(g, gen_exp(g, gen_min(g, x, gen_scalar(g, 0))), a, -a);
    return gen_add(g, gen_relu(g, x), negative);
}

gen_node *gen_silu(gen_graph *g, gen_node *x)
{
    return gen_mul(g, x, gen_sigmoid(g, x));
}

gen_node *gen_gelu(gen_graph *g, gen_node *x)
{
    gen_node *phi = gen_affine(g, gen_erf(g, gen_scale(g, x, 0.70710678118654752440 /* 1/sqrt(2) */)), 0.5, 0.5);
    return gen_mul(g, x, phi);
}

gen_node *gen_add(gen_graph *g, gen_node *a, gen_node *b)
{
    if (is_number_for(b, a)) return gen_affine(g, a, 1, b->attr.a);
    if (is_number_for(a, b)) return gen_affine(g, b, 1, a->attr.a);
    return binary(g, GEN_OP_ADD, a, b);
}

gen_node *gen_sub(gen_graph *g, gen_node *a, gen_node *b)
{
    if (is_number_for(b, a)) return gen_affine(g, a, 1, -b->attr.a);
    if (is_number_for(a, b)) return gen_affine(g, b, -1, a->attr.a);
    return binary(g, GEN_OP_SUB, a, b);
}

gen_node *gen_mul(gen_graph *g, gen_node *a, gen_node *b)
{
    if (is_number_for(b, a)) return gen_scale(g, a, b->attr.a);
    if (is_number_for(a, b)) return gen_scale(g, b, a->attr.a);
    return binary(g, GEN_OP_MUL, a, b);
}

gen_node *gen_select(gen_graph *g, gen_node *c, gen_node *a, gen_node *b)
{
    return gen_node_new(g, GEN_OP_SELECT, 3, (gen_node *[]){ c, a, b }, NULL);
}

gen_node *gen_stop(gen_graph *g, gen_node *x)
{
    return gen_node_new(g, GEN_OP_STOP, 1, &x, NULL);
}

/* ---- gradients ----------------------------------------------------------------------------------------------------- */
#define GRAD(name) void grad_##name(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[])
#define UNUSED (void)g, (void)y, (void)dy, (void)dx, (void)want

GRAD(none)
{
    UNUSED;
}
GRAD(zero)
{
    UNUSED;
}

GRAD(affine)
{
    UNUSED;
    dx[0] = gen_scale(g, dy, y->attr.a);
}
GRAD(abs)
{
    UNUSED;
    dx[0] = gen_mul(g, dy, gen_sign(g, y->in[0]));
}
GRAD(square)
{
    UNUSED;
    dx[0] = gen_mul(g, dy, gen_scale(g, y->in[0], 2));
}
GRAD(sqrt)
{
    UNUSED;
    dx[0] = gen_div(g, gen_scale(g, dy, 0.5), y);
}
GRAD(rsqrt)
{
    UNUSED;
    dx[0] = gen_mul(g, gen_scale(g, dy, -0.5), gen_mul(g, y, gen_square(g, y)));
}
GRAD(exp)
{
    UNUSED;
    dx[0] = gen_mul(g, dy, y);
}
GRAD(log)
{
    UNUSED;
    dx[0] = gen_div(g, dy, y->in[0]);
}
GRAD(sin)
{
    UNUSED;
    dx[0] = gen_mul(g, dy, gen_cos(g, y->in[0]));
}
GRAD(cos)
{
    UNUSED;
    dx[0] = gen_mul(g, gen_neg(g, dy), gen_sin(g, y->in[0]));
}
GRAD(tanh)
{
    UNUSED;
    dx[0] = gen_mul(g, dy, gen_affine(g, gen_square(g, y), -1, 1));
}
GRAD(sigmoid)
{
    UNUSED;
    dx[0] = gen_mul(g, dy, gen_mul(g, y, gen_affine(g, y, -1, 1)));
}
GRAD(softplus)
{
    UNUSED;
    dx[0] = gen_mul(g, dy, gen_sigmoid(g, y->in[0]));
}
GRAD(relu)
{
    UNUSED;
    dx[0] = gen_mul(g, dy, gen_step(g, y));
}
GRAD(leaky)
{
    UNUSED;
    dx[0] = gen_mul(g, dy, gen_affine(g, gen_step(g, y), 1 - y->attr.a, y->attr.a));
}

GRAD(erf)
{
    UNUSED; /* 2/sqrt(pi) e^(-x^2) */
    dx[0] = gen_mul(g, dy, gen_scale(g, gen_exp(g, gen_neg(g, gen_square(g, y->in[0]))), 1.12837916709551257390));
}

GRAD(clamp)
{
    UNUSED; /* 1 strictly inside, 0 outside and on the borders */
    gen_node *x = y->in[0];
    gen_node *inside =
        gen_mul(g, gen_step(g, gen_affine(g, x, 1, -y->attr.a)), gen_step(g, gen_affine(g, x, -1, y->attr.b)));
    dx[0] = gen_mul(g, dy, inside);
}

static gen_node *sum_to_input(gen_graph *g, gen_node *dy, const gen_node *input)
{
    return gen_sum_to(g, dy, input->shape);
}

GRAD(add)
{
    if (want[0]) dx[0] = sum_to_input(g, dy, y->in[0]);
    if (want[1]) dx[1] = sum_to_input(g, dy, y->in[1]);
}

GRAD(sub)
{
    if (want[0]) dx[0] = sum_to_input(g, dy, y->in[0]);
    if (want[1]) dx[1] = gen_neg(g, sum_to_input(g, dy, y->in[1]));
}

GRAD(mul)
{
    if (want[0]) dx[0] = sum_to_input(g, gen_mul(g, dy, y->in[1]), y->in[0]);
    if (want[1]) dx[1] = sum_to_input(g, gen_mul(g, dy, y->in[0]), y->in[1]);
}

GRAD(div)
{
    gen_node *a = gen_div(g, dy, y->in[1]);
    if (want[0]) dx[0] = sum_to_input(g, a, y->in[0]);
    if (want[1]) dx[1] = sum_to_input(g, gen_neg(g, gen_mul(g, a, y)), y->in[1]);
}

GRAD(pow)
{
    gen_node *a = y->in[0], *b = y->in[1];
    if (want[0]) dx[0] = sum_to_input(g, gen_mul(g, dy, gen_mul(g, b, gen_pow(g, a, gen_affine(g, b, 1, -1)))), a);
    if (want[1]) { /* y ln a, and 0 where a = 0 */
        gen_node *log_a = gen_log(g, gen_max(g, a, gen_scalar(g, 1e-37)));
        dx[1] = sum_to_input(g, gen_mul(g, dy, gen_mul(g, y, log_a)), b);
    }
}

/* min and max: the gradient goes to the smaller (larger) input; to b where they are equal */
static void grad_pick(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[], gen_node *a_wins)
{
    if (want[0]) dx[0] = sum_to_input(g, gen_mul(g, dy, a_wins), y->in[0]);
    if (want[1]) dx[1] = sum_to_input(g, gen_mul(g, dy, gen_affine(g, a_wins, -1, 1)), y->in[1]);
}

GRAD(min)
{
    grad_pick(g, y, dy, dx, want, gen_less(g, y->in[0], y->in[1]));
}
GRAD(max)
{
    grad_pick(g, y, dy, dx, want, gen_less(g, y->in[1], y->in[0]));
}

GRAD(select)
{
    gen_node *c = y->in[0], *zero = gen_scalar(g, 0);
    if (want[1]) dx[1] = sum_to_input(g, gen_select(g, c, dy, zero), y->in[1]);
    if (want[2]) dx[2] = sum_to_input(g, gen_select(g, c, zero, dy), y->in[2]);
}
