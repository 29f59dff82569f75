/* Ops that move numbers.
 *
 *   transpose  y's axis i is x's axis perm[i]              broadcast  axes of size 1, and missing leading axes, are
 * repeated slice      y[i] = x[start + i step] on each axis       slice_t    y[start + i step] = x[i], zeros elsewhere
 *   pad        y[n,p,q,c] = x[n, f(p - top), f(q - left), c]; f reflects without repeating the edge, or repeats the
 * edge; pad_t is its adjoint concat     the inputs one after the other along an axis gather     y[i,d] =
 * table[index[i], d]                 scatter_add  y[v,d] = sum of dy[i,d] over index[i] = v one_hot    y[i,v] = x[i] ==
 * v                          assign     the parameter becomes in[1] An index that names no row gathers zeros and
 * scatters nowhere, as its one_hot row is zeros.
 */
#include "kernels/cpu/ref/ref.h"

#include <string.h>

enum { UNIT = 16384 };

static void elements_setup(const gen_call *c, cpu_work *w)
{
    w->parts[0] = cpu_parts_for(ref_count(&c->out[0]), UNIT);
}

static void strides_of(const gen_shape *shape, int64_t stride[GEN_MAX_RANK])
{
    int64_t step = 1;
    for (int32_t axis = shape->rank - 1; axis >= 0; axis--) {
        stride[axis] = step;
        step *= shape->dim[axis];
    }
}

/* Coordinates of element i. */
static void coordinates(const gen_shape *shape, int64_t i, int64_t at[GEN_MAX_RANK])
{
    for (int32_t axis = shape->rank - 1; axis >= 0; axis--) {
        at[axis] = i % shape->dim[axis];
        i /= shape->dim[axis];
    }
}

/* y[coordinates] = x[first + sum of coordinate times stride], for job's share of y. */
static void strided_copy(const gen_call *c, const cpu_job *job, int64_t first, const int64_t stride[GEN_MAX_RANK])
{
    const gen_shape *y = &c->out[0].shape;
    int64_t begin, end, at[GEN_MAX_RANK] = { 0 };
    cpu_part_range(job, gen_shape_count(y), 1, &begin, &end);
    coordinates(y, begin, at);
    for (int32_t axis = 0; axis < y->rank; axis++) first += at[axis] * stride[axis];
    for (int64_t i = begin; i < end; i++) {
        ref_out(c)[i] = ref_in(c, 0)[first];
        for (int32_t axis = y->rank - 1; axis >= 0; axis--) {
            first += stride[axis];
            if (++at[axis] < y->dim[axis]) break;
            first -= at[axis] * stride[axis];
            at[axis] = 0;
        }
    }
}

static void transpose_run(const gen_call *c, const cpu_job *job)
{
    const gen_shape *x = &c->in[0].shape;
    int64_t from[GEN_MAX_RANK] = { 0 }, stride[GEN_MAX_RANK] = { 0 };
    strides_of(x, from);
    for (int32_t axis = 0; axis < x->rank; axis++) stride[axis] = from[c->attr->perm[axis]];
    strided_copy(c, job, 0, stride);
}

static void broadcast_run(const gen_call *c, const cpu_job *job)
{
    const gen_shape *x = &c->in[0].shape, *y = &c->out[0].shape;
    int64_t from[GEN_MAX_RANK] = { 0 }, stride[GEN_MAX_RANK] = { 0 };
    strides_of(x, from);
    for (int32_t axis = 0; axis < x->rank; axis++)
        if (x->dim[axis] != 1) stride[axis + y->rank - x->rank] = from[axis];
    strided_copy(c, job, 0, stride);
}

static void slice_run(const gen_call *c, const cpu_job *job)
{
    int64_t from[GEN_MAX_RANK] = { 0 }, stride[GEN_MAX_RANK] = { 0 }, first = 0;
    strides_of(&c->in[0].shape, from);
    for (int32_t axis = 0; axis < c->in[0].shape.rank; axis++) {
        first += c->attr->start[axis] * from[axis];
        stride[axis] = c->attr->step[axis] * from[axis];
    }
    strided_copy(c, job, first, stride);
}

/* The element of the slice that lands on coordinates at; -1: none does. */
static int64_t slice_source(const gen_attr *attr, const gen_shape *x, const int64_t *at)
{
    int64_t i = 0;
    for (int32_t axis = 0; axis < x->rank; axis++) {
        int64_t distance = at[axis] - attr->start[axis], steps = distance / attr->step[axis];
        if (distance % attr->step[axis] || steps < 0 || steps >= x->dim[axis]) return -1;
        i = i * x->dim[axis] + steps;
    }
    return i;
}

static void slice_t_run(const gen_call *c, const cpu_job *job)
{
    const gen_shape *y = &c->out[0].shape;
    int64_t begin, end, at[GEN_MAX_RANK] = { 0 };
    cpu_part_range(job, gen_shape_count(y), 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        coordinates(y, i, at);
        int64_t from = slice_source(c->attr, &c->in[0].shape, at);
        ref_out(c)[i] = from < 0 ? 0 : ref_in(c, 0)[from];
    }
}

REF_KERNEL(transpose, elements_setup, transpose_run)
REF_KERNEL(broadcast, elements_setup, broadcast_run)
REF_KERNEL(slice, elements_setup, slice_run)
REF_KERNEL(slice_t, elements_setup, slice_t_run)

/* ---- padding of H and W ---- */

static int64_t padded_source(int32_t mode, int64_t h, int64_t n)
{
    if (mode == GEN_PAD_REPLICATE || n == 1) return h < 0 ? 0 : h >= n ? n - 1 : h;
    while (h < 0 || h >= n) h = h < 0 ? -h : 2 * (n - 1) - h;
    return h;
}

/* The place of padded pixel (n,p,q) in x. */
static int64_t padded_place(const gen_attr *attr, const gen_shape *x, int64_t n, int64_t p, int64_t q)
{
    int64_t h = padded_source(attr->mode, p - attr->window.pad[0], x->dim[1]);
    int64_t w = padded_source(attr->mode, q - attr->window.pad[1], x->dim[2]);
    return ((n * x->dim[1] + h) * x->dim[2] + w) * x->dim[3];
}

static void pad_run(const gen_call *c, const cpu_job *job)
{
    const gen_shape *x = &c->in[0].shape, *y = &c->out[0].shape;
    int64_t begin, end, n_p = y->dim[1], n_q = y->dim[2], n_c = y->dim[3];
    cpu_part_range(job, ref_count(&c->out[0]), 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t pixel = i / n_c, row = pixel / n_q;
        ref_out(c)[i] = ref_in(c, 0)[padded_place(c->attr, x, row / n_p, row % n_p, pixel % n_q) + i % n_c];
    }
}

static void samples_setup(const gen_call *c, cpu_work *w)
{
    w->parts[0] = cpu_parts_for(c->out[0].shape.dim[0], 1);
}

static void pad_t_run(const gen_call *c, const cpu_job *job)
{
    const gen_shape *y = &c->in[0].shape, *x = &c->out[0].shape; /* y: the padded one */
    int64_t begin, end, sample = x->dim[1] * x->dim[2] * x->dim[3];
    cpu_part_range(job, x->dim[0], 1, &begin, &end);
    memset(ref_out(c) + begin * sample, 0, (size_t)((end - begin) * sample) * sizeof(REAL));
    for (int64_t n = begin; n < end; n++)
        for (int64_t p = 0; p < y->dim[1]; p++)
            for (int64_t q = 0; q < y->dim[2]; q++) {
                const REAL *from = ref_in(c, 0) + ((n * y->dim[1] + p) * y->dim[2] + q) * y->dim[3];
                REAL *to = ref_out(c) + padded_place(c->attr, x, n, p, q);
                for (int64_t k = 0; k < y->dim[3]; k++) to[k] += from[k];
            }
}

REF_KERNEL(pad, elements_setup, pad_run)
REF_KERNEL(pad_t, samples_setup, pad_t_run)

/* ---- concat, assign ---- */

/* Elements of one run of a shape from an axis on. */
static int64_t run_length(const gen_shape *shape, int32_t axis)
{
    int64_t n = 1;
    for (int32_t i = axis; i < shape->rank; i++) n *= shape->dim[i];
    return n;
}

static void concat_setup(const gen_call *c, cpu_work *w)
{
    const gen_shape *y = &c->out[0].shape;
    w->parts[0] = cpu_parts_for(gen_shape_count(y) / run_length(y, c->attr->axis), 1);
}

static void concat_run(const gen_call *c, const cpu_job *job)
{
    int64_t begin, end, y_run = run_length(&c->out[0].shape, c->attr->axis), offset = 0;
    cpu_part_range(job, ref_count(&c->out[0]) / y_run, 1, &begin, &end);
    for (int32_t i = 0; i < c->n_in; i++) {
        int64_t run = run_length(&c->in[i].shape, c->attr->axis);
        for (int64_t row = begin; row < end; row++)
            memcpy(ref_out(c) + row * y_run + offset, ref_in(c, i) + row * run, (size_t)run * sizeof(REAL));
        offset += run;
    }
}

static void assign_run(const gen_call *c, const cpu_job *job)
{
    int64_t begin, end;
    cpu_part_range(job, ref_count(&c->out[0]), 1, &begin, &end);
    if (ref_out(c) != ref_in(c, 1))
        memcpy(ref_out(c) + begin, ref_in(c, 1) + begin, (size_t)(end - begin) * sizeof(REAL));
}

REF_KERNEL(concat, concat_setup, concat_run)
REF_KERNEL(assign, elements_setup, assign_run)

/* ---- look-up ---- */

/* The row that an index names; -1 when it names none. */
static int64_t row_of(double index, int64_t n_rows)
{
    return index >= 0 && index < (double)n_rows && index == floor(index) ? (int64_t)index : -1;
}

static void gather_run(const gen_call *c, const cpu_job *job)
{
    const gen_shape *table = &c->in[0].shape;
    int64_t begin, end, n_d = table->dim[1];
    cpu_part_range(job, ref_count(&c->out[0]), 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t v = row_of((double)ref_in(c, 1)[i / n_d], table->dim[0]);
        double row = v < 0 ? 0 : (double)ref_in(c, 0)[v * n_d + i % n_d];
        ref_out(c)[i] = (REAL)ref_epilogue(&c->epilogue, i, i % n_d, row);
    }
}

static void scatter_setup(const gen_call *c, cpu_work *w)
{
    w->parts[0] = cpu_parts_for(c->out[0].shape.dim[0], 16);
    w->thread_bytes = (size_t)c->out[0].shape.dim[1] * sizeof(double);
}

static void scatter_add_run(const gen_call *c, const cpu_job *job)
{
    const gen_shape *table = &c->out[0].shape;
    int64_t begin, end, n_d = table->dim[1], n = ref_count(&c->in[0]);
    double *sum = job->scratch;
    cpu_part_range(job, table->dim[0], 1, &begin, &end);
    for (int64_t v = begin; v < end; v++) {
        memset(sum, 0, (size_t)n_d * sizeof *sum);
        for (int64_t i = 0; i < n; i++)
            if ((double)ref_in(c, 0)[i] == (double)v) ref_add_row(sum, 1, ref_in(c, 1) + i * n_d, n_d);
        for (int64_t d = 0; d < n_d; d++) ref_out(c)[v * n_d + d] = (REAL)sum[d];
    }
}

static void one_hot_run(const gen_call *c, const cpu_job *job)
{
    int64_t begin, end, n_v = ref_last(&c->out[0].shape);
    cpu_part_range(job, ref_count(&c->out[0]), 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) ref_out(c)[i] = (double)ref_in(c, 0)[i / n_v] == (double)(i % n_v);
}

REF_KERNEL(gather, elements_setup, gather_run)
REF_KERNEL(scatter_add, scatter_setup, scatter_add_run)
REF_KERNEL(one_hot, elements_setup, one_hot_run)
