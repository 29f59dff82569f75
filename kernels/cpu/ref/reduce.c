/* Reductions over a set of axes, which stay with size 1; i runs over the reduced places:
 *
 *   sum     y = sum_i x[i]            max_of  y = max_i x[i]; what is not a number wins
 *   lse     y = m + ln sum_i e^(x[i] - m), m = max_i x[i]: no overflow, and an infinite m is the result
 *   sum_squares  y = sum of x[i]^2 over all elements of all inputs
 *   argmax  y = the first i with the largest x[i], over the last axis
 */
#include "kernels/cpu/ref/ref.h"

#include <string.h>

/* The reduced places of one result: axes of n[] places, stride[] apart. */
typedef struct field {
    int32_t rank;
    int64_t n[GEN_MAX_RANK], stride[GEN_MAX_RANK];
} field;

static field reduced_field(const gen_shape *x, uint32_t axes)
{
    field f = { 0 };
    int64_t stride = gen_shape_count(x);
    for (int32_t axis = 0; axis < x->rank; axis++) {
        stride /= x->dim[axis];
        if (!(axes & (1u << axis))) continue;
        f.n[f.rank] = x->dim[axis];
        f.stride[f.rank++] = stride;
    }
    return f;
}

/* The first place in x of result i: the same coordinates, reduced ones 0. */
static int64_t first_place(const gen_shape *x, const gen_shape *y, int64_t i)
{
    int64_t place = 0, stride = 1;
    for (int32_t axis = x->rank - 1; axis >= 0; axis--) {
        place += i % y->dim[axis] * stride;
        i /= y->dim[axis];
        stride *= x->dim[axis];
    }
    return place;
}

typedef double (*step_fn)(double sum, double x, double shift);

static double fold(const field *f, int32_t axis, const REAL *x, double sum, double shift, step_fn step)
{
    if (axis == f->rank) return step(sum, (double)*x, shift);
    for (int64_t i = 0; i < f->n[axis]; i++) sum = fold(f, axis + 1, x + i * f->stride[axis], sum, shift, step);
    return sum;
}

static double add(double sum, double x, double shift)
{
    (void)shift;
    return sum + x;
}

static double larger(double sum, double x, double shift)
{
    (void)shift;
    return ref_beats(x, sum) ? x : sum;
}

static double add_exp(double sum, double x, double shift)
{
    return sum + exp(x - shift);
}

static double sum_of(const field *f, const REAL *x)
{
    return fold(f, 0, x, 0, 0, add);
}

static double max_of(const field *f, const REAL *x)
{
    return fold(f, 0, x, -(double)INFINITY, 0, larger);
}

static double lse_of(const field *f, const REAL *x)
{
    double largest = max_of(f, x);
    return isfinite(largest) ? largest + log(fold(f, 0, x, 0, largest, add_exp)) : largest;
}

static double argmax_of(const field *f, const REAL *x)
{
    int64_t best = 0;
    for (int64_t i = 1; i < f->n[0]; i++)
        if (ref_beats((double)x[i], (double)x[best])) best = i;
    return (double)best;
}

static void reduce_setup(const gen_call *c, cpu_work *w)
{
    w->parts[0] = cpu_parts_for(ref_count(&c->out[0]), 1);
}

static void reduce(const gen_call *c, const cpu_job *job, uint32_t axes, double (*value)(const field *f, const REAL *x))
{
    const gen_shape *x = &c->in[0].shape, *y = &c->out[0].shape;
    const field f = reduced_field(x, axes);
    int64_t begin, end;
    cpu_part_range(job, gen_shape_count(y), 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) ref_out(c)[i] = (REAL)value(&f, ref_in(c, 0) + first_place(x, y, i));
}

static void sum_run(const gen_call *c, const cpu_job *job)
{
    reduce(c, job, c->attr->axes, sum_of);
}

static void max_of_run(const gen_call *c, const cpu_job *job)
{
    reduce(c, job, c->attr->axes, max_of);
}

static void lse_run(const gen_call *c, const cpu_job *job)
{
    reduce(c, job, c->attr->axes, lse_of);
}

static void argmax_run(const gen_call *c, const cpu_job *job)
{
    reduce(c, job, 1u << (c->in[0].shape.rank - 1), argmax_of);
}

static void sum_squares_run(const gen_call *c, const cpu_job *job)
{
    double sum = 0;
    (void)job;
    for (int32_t k = 0; k < c->n_in; k++)
        for (int64_t i = 0; i < ref_count(&c->in[k]); i++) sum += (double)ref_in(c, k)[i] * (double)ref_in(c, k)[i];
    *ref_out(c) = (REAL)sum;
}

REF_KERNEL(sum, reduce_setup, sum_run)
REF_KERNEL(max_of, reduce_setup, max_of_run)
REF_KERNEL(lse, reduce_setup, lse_run)
REF_KERNEL(sum_squares, NULL, sum_squares_run)
REF_KERNEL(argmax, reduce_setup, argmax_run)
