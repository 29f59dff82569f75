/* Elementwise ops: y[i] = f(x[i]), f(x[i], y[i]) or f(x[i], y[i], z[i]), inputs broadcast to the result as NumPy does;
 * and chains of them.
 *
 * value_<op> below is the definition of each: in double, with the attributes a and b. */
#include "kernels/cpu/ref/ref.h"

#include <string.h>

enum { UNIT = 16384 };

#define VALUE(name, formula)                                                                                           \
    static double value_##name(double x, double y, double z, double a, double b)                                       \
    {                                                                                                                  \
        (void)x, (void)y, (void)z, (void)a, (void)b;                                                                   \
        return formula;                                                                                                \
    }

/* Comparisons are written so that what is not a number stays so. */
// clang-format off
VALUE(affine,   a * x + b)
VALUE(abs,      fabs(x))
VALUE(sign,     (x > 0) - (x < 0))
VALUE(step,     x > 0)
VALUE(square,   x * x)
VALUE(sqrt,     sqrt(x))
VALUE(rsqrt,    1 / sqrt(x))
VALUE(exp,      exp(x))
VALUE(log,      log(x))
VALUE(sin,      sin(x))
VALUE(cos,      cos(x))
VALUE(tanh,     tanh(x))
VALUE(sigmoid,  1 / (1 + exp(-x)))
VALUE(softplus, (x > 0 ? x : 0) + log1p(exp(-fabs(x))))
VALUE(erf,      erf(x))
VALUE(relu,     x < 0 ? 0 : x)
VALUE(leaky,    x > 0 ? x : a * x)
VALUE(clamp,    x < a ? a : x > b ? b : x)
VALUE(floor,    floor(x))
VALUE(add,      x + y)
VALUE(sub,      x - y)
VALUE(mul,      x * y)
VALUE(div,      x / y)
VALUE(pow,      pow(x, y))
VALUE(min,      isnan(x) || x < y ? x : y)
VALUE(max,      isnan(x) || x > y ? x : y)
VALUE(less,     x < y)
VALUE(equal,    x == y)
VALUE(select,   x != 0 ? y : z)

/* The elementwise ops, each once. */
#define EACH(X)                                                                                                        \
    X(AFFINE, affine) X(ABS, abs) X(SIGN, sign) X(STEP, step) X(SQUARE, square) X(SQRT, sqrt) X(RSQRT, rsqrt)          \
    X(EXP, exp) X(LOG, log) X(SIN, sin) X(COS, cos) X(TANH, tanh) X(SIGMOID, sigmoid) X(SOFTPLUS, softplus)            \
    X(ERF, erf) X(RELU, relu) X(LEAKY, leaky) X(CLAMP, clamp) X(FLOOR, floor) X(ADD, add) X(SUB, sub) X(MUL, mul)      \
    X(DIV, div) X(POW, pow) X(MIN, min) X(MAX, max) X(LESS, less) X(EQUAL, equal) X(SELECT, select)
// clang-format on

typedef double (*value_fn)(double x, double y, double z, double a, double b);

static value_fn value_of(gen_op op)
{
    switch (op) {
#define X(id, name)                                                                                                    \
    case GEN_OP_##id: return value_##name;
        EACH(X)
#undef X
    default: return NULL;
    }
}

/* ---- broadcasting ---- */

/* A walk over an iteration shape that keeps the place of each input: axes are aligned on the right, and a size of 1
 * repeats. */
typedef struct walk {
    gen_shape shape;
    int32_t n;
    int64_t at[GEN_MAX_RANK];
    int64_t place[GEN_CHAIN_MAX_IN], stride[GEN_CHAIN_MAX_IN][GEN_MAX_RANK];
} walk;

static void walk_start(walk *w, const gen_shape *shape, int32_t n, const gen_view *in, int64_t i)
{
    memset(w, 0, sizeof *w);
    w->shape = *shape;
    w->n = n;
    for (int32_t k = 0; k < n; k++) {
        const gen_shape *x = &in[k].shape;
        int64_t stride = 1;
        for (int32_t axis = x->rank - 1; axis >= 0; axis--) {
            if (x->dim[axis] != 1) w->stride[k][axis + shape->rank - x->rank] = stride;
            stride *= x->dim[axis];
        }
    }
    for (int32_t axis = shape->rank - 1; axis >= 0; axis--) {
        w->at[axis] = i % shape->dim[axis];
        i /= shape->dim[axis];
        for (int32_t k = 0; k < n; k++) w->place[k] += w->at[axis] * w->stride[k][axis];
    }
}

static void walk_next(walk *w)
{
    for (int32_t axis = w->shape.rank - 1; axis >= 0; axis--) {
        for (int32_t k = 0; k < w->n; k++) w->place[k] += w->stride[k][axis];
        if (++w->at[axis] < w->shape.dim[axis]) return;
        for (int32_t k = 0; k < w->n; k++) w->place[k] -= w->at[axis] * w->stride[k][axis];
        w->at[axis] = 0;
    }
}

/* ---- one op ---- */

static void elementwise_setup(const gen_call *c, cpu_work *w)
{
    w->parts[0] = cpu_parts_for(ref_count(&c->out[0]), UNIT);
}

static void elementwise_run(const gen_call *c, const cpu_job *job)
{
    value_fn value = value_of(c->op);
    const double a = c->attr->a, b = c->attr->b;
    int64_t begin, end;
    cpu_part_range(job, ref_count(&c->out[0]), 1, &begin, &end);
    walk w;
    walk_start(&w, &c->out[0].shape, c->n_in, c->in, begin);
    for (int64_t i = begin; i < end; i++, walk_next(&w)) {
        double x[3] = { 0 };
        for (int32_t k = 0; k < c->n_in; k++) x[k] = (double)ref_in(c, k)[w.place[k]];
        ref_out(c)[i] = (REAL)value(x[0], x[1], x[2], a, b);
    }
}

#define X(id, name) REF_KERNEL(name, elementwise_setup, elementwise_run)
EACH(X)
#undef X

/* ---- a chain: registers are rounded as if every instruction were a call of its own ---- */

static void chain_setup(const gen_call *c, cpu_work *w)
{
    w->parts[0] = cpu_parts_for(gen_shape_count(&c->chain->shape), UNIT / 4);
}

static double chain_register(const double *reg, int16_t i)
{
    return i < 0 ? 0 : reg[i];
}

static void chain_run(const gen_call *c, const cpu_job *job)
{
    const gen_chain *chain = c->chain;
    double reg[GEN_CHAIN_MAX_IN + GEN_CHAIN_MAX_CODE];
    value_fn value[GEN_CHAIN_MAX_CODE];
    for (int32_t k = 0; k < chain->n_code; k++) value[k] = value_of(chain->code[k].op);
    int64_t begin, end;
    cpu_part_range(job, gen_shape_count(&chain->shape), 1, &begin, &end);
    walk w;
    walk_start(&w, &chain->shape, chain->n_in, c->in, begin);
    for (int64_t i = begin; i < end; i++, walk_next(&w)) {
        for (int32_t k = 0; k < chain->n_in; k++) reg[k] = (double)ref_in(c, k)[w.place[k]];
        for (int32_t k = 0; k < chain->n_code; k++) {
            const gen_chain_code *code = &chain->code[k];
            reg[chain->n_in + k] =
                (double)(REAL)value[k](chain_register(reg, code->src[0]), chain_register(reg, code->src[1]),
                                       chain_register(reg, code->src[2]), code->a, code->b);
        }
        for (int32_t k = 0; k < chain->n_out; k++) ((REAL *)c->out[k].data)[i] = (REAL)reg[chain->out[k]];
    }
}

REF_KERNEL(chain, chain_setup, chain_run)
