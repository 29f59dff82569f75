/* kernels/cpu/ref/ref.h: the reference kernels are plain C, written to be read: the definition of right.
 *
 * Every file is compiled twice: with REAL=float into cpu_ref_<op>, the first rung of the ladder, and with REAL=double
 * into cpu_ref64_<op>, which gradient checks run on. Both compute in double and round once, when they store; so the
 * float version is the better yardstick for fast kernels.
 *
 *     static void square_run(const gen_call *c, const cpu_job *job) { … }
 *     REF_KERNEL(square, square_setup, square_run)
 */
#ifndef GEN_KERNELS_CPU_REF_REF_H
#define GEN_KERNELS_CPU_REF_REF_H

#include <math.h>

#include "kernels/cpu/kernel.h"

#ifndef REAL
#error "compile with -DREAL=float and with -DREAL=double"
#endif

#define REF_PREFIX_float cpu_ref_
#define REF_PREFIX_double cpu_ref64_
#define REF_JOIN2(a, b) a##b
#define REF_JOIN(a, b) REF_JOIN2(a, b)
#define REF_NAME(name) REF_JOIN(REF_JOIN(REF_PREFIX_, REAL), name)

#define OP(id, name, n_in, infer, grad, flags, dtype, computes) extern const cpu_kernel REF_NAME(name);
#include "core/op_list.h"
#undef OP

#define REF_KERNEL(name, setup, run) const cpu_kernel REF_NAME(name) = { #name " ref", NULL, setup, NULL, run };

static inline const REAL *ref_in(const gen_call *c, int32_t i)
{
    return c->in[i].data;
}

static inline REAL *ref_out(const gen_call *c)
{
    return c->out[0].data;
}

static inline int64_t ref_count(const gen_view *view)
{
    return gen_shape_count(&view->shape);
}

/* Channels of x[..,C]: the last axis; and what is left. */
static inline int64_t ref_last(const gen_shape *shape)
{
    return shape->rank ? shape->dim[shape->rank - 1] : 1;
}

/* The larger of two, where anything that is not a number is larger than every number: so it is not lost. */
static inline bool ref_beats(double x, double best)
{
    return x > best || (isnan(x) && !isnan(best));
}

/* What the plan fused behind a product or a norm: act(y + bias[k] + residual[i]), element i of the result, channel k.
 */
static inline double ref_epilogue(const gen_epilogue *e, int64_t i, int64_t k, double y)
{
    if (e->bias.data) y += (double)((const REAL *)e->bias.data)[k];
    if (e->residual.data) y += (double)((const REAL *)e->residual.data)[i];
    switch (e->act) {
    case GEN_OP_RELU: return y < 0 ? 0 : y;
    case GEN_OP_LEAKY: return y > 0 ? y : e->act_a * y;
    case GEN_OP_SIGMOID: return 1 / (1 + exp(-y));
    case GEN_OP_TANH: return tanh(y);
    default: return y;
    }
}

/* Stores a row of sums that starts at element i of the result; channel 0 is its first element. */
static inline void ref_store_row(const gen_call *c, int64_t i, const double *sum, int64_t n)
{
    for (int64_t k = 0; k < n; k++) ref_out(c)[i + k] = (REAL)ref_epilogue(&c->epilogue, i + k, k, sum[k]);
}

/* sum[k] += x row[k] */
static inline void ref_add_row(double *sum, double x, const REAL *row, int64_t n)
{
    for (int64_t k = 0; k < n; k++) sum[k] += x * (double)row[k];
}

/* Four sums, so that the processor need not wait for one addition before the next. */
static inline double ref_dot(const REAL *a, const REAL *b, int64_t n)
{
    double sum[4] = { 0 };
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++) sum[j] += (double)a[i + j] * (double)b[i + j];
    for (; i < n; i++) sum[0] += (double)a[i] * (double)b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* The place in x that window tap r of result p reads, on one axis of n places; -1 in the padding. */
static inline int64_t ref_tap(const gen_window *window, int axis, int64_t p, int64_t r, int64_t n)
{
    int64_t h = p * window->stride[axis] + r * window->dilation[axis] - window->pad[axis];
    return h >= 0 && h < n ? h : -1;
}

/* The other way round: the result, of n, that reads place h with tap r; -1 if there is none. */
static inline int64_t ref_untap(const gen_window *window, int axis, int64_t h, int64_t r, int64_t n)
{
    int64_t from = h + window->pad[axis] - r * window->dilation[axis];
    if (from < 0 || from % window->stride[axis]) return -1;
    return from / window->stride[axis] < n ? from / window->stride[axis] : -1;
}

#endif
