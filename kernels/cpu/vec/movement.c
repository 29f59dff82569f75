/* kernels/cpu/vec/movement.c: ops that move numbers, as copies of the longest runs that are contiguous on both sides.
 *
 *   transpose, broadcast, slice   y[coordinates] = x[first + sum coordinate stride]: neighbouring axes that step alike are merged; the innermost is
 *                                 copied (stride 1), repeated (stride 0), or, when another axis has stride 1, transposed in blocks
 *   slice_t                       zeros, then the same copy the other way round
 *   concat                        one run of every input after the other
 *   pad                           row by row: the middle is a copy, the borders are copies of pixels
 *   pad_t                         row by row of the result: the sum of the padded pixels that look at it, in the order of the padded image
 */
#include <stdbool.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/micro.h"

enum { PART_ELEMENTS = 16384 };

/* A walk: n[i] steps of to[i] and from[i] floats, outermost first. */
typedef struct walk {
    int rank;
    int64_t n[GEN_MAX_RANK], to[GEN_MAX_RANK], from[GEN_MAX_RANK];
} walk;

static void add_axis(walk *w, int64_t n, int64_t to, int64_t from)
{
    if (n == 1) return;
    int last = w->rank - 1;
    if (last >= 0 && w->to[last] == n * to && w->from[last] == n * from) {
        w->n[last] *= n, w->to[last] = to, w->from[last] = from;
        return;
    }
    w->n[w->rank] = n, w->to[w->rank] = to, w->from[w->rank] = from, w->rank++;
}

static void strides_of(const gen_shape *shape, int64_t *stride)
{
    int64_t step = 1;
    for (int axis = shape->rank - 1; axis >= 0; axis--) stride[axis] = step, step *= shape->dim[axis];
}

/* How y is read from x; first: the place in x of y's element 0. slice_t walks over its input instead: x is written from y. */
static walk walk_of(const gen_call *c, int64_t *first)
{
    const gen_shape *x = &c->in[0].shape, *y = &c->out[0].shape;
    int64_t from[GEN_MAX_RANK] = { 0 }, to[GEN_MAX_RANK] = { 0 };
    walk w = { 0 };
    *first = 0;
    strides_of(x, from);
    strides_of(y, to);
    if (c->op == GEN_OP_SLICE_T) {
        for (int axis = 0; axis < x->rank; axis++) {
            *first += c->attr->start[axis] * to[axis];
            add_axis(&w, x->dim[axis], c->attr->step[axis] * to[axis], from[axis]);
        }
        return w;
    }
    for (int axis = 0; axis < y->rank; axis++) {
        int own = axis - (y->rank - x->rank);
        int64_t stride = 0;
        if (c->op == GEN_OP_TRANSPOSE) stride = from[c->attr->perm[axis]];
        else if (c->op == GEN_OP_SLICE)
            stride = c->attr->step[axis] * from[axis], *first += c->attr->start[axis] * from[axis];
        else if (own >= 0 && x->dim[own] != 1) stride = from[own];
        add_axis(&w, y->dim[axis], to[axis], stride);
    }
    return w;
}

static void copy_run(int64_t n, float *to, int64_t to_step, const float *from, int64_t from_step)
{
    if (to_step == 1 && from_step == 1) {
        memcpy(to, from, sizeof(float) * (size_t)n);
    } else if (to_step == 1 && from_step == 0) {
        for (int64_t i = 0; i < n; i++) to[i] = *from;
    } else {
        for (int64_t i = 0; i < n; i++) to[i * to_step] = from[i * from_step];
    }
}

/* The axes from depth on, of which the first goes from begin to end. An axis with stride 1 in x above one with stride 1 in y: a transposed block. */
static void copy_axes(const walk *w, int depth, int64_t begin, int64_t end, float *to, const float *from)
{
    to += begin * w->to[depth], from += begin * w->from[depth];
    if (depth == w->rank - 1) {
        copy_run(end - begin, to, w->to[depth], from, w->from[depth]);
    } else if (depth == w->rank - 2 && w->from[depth] == 1 && w->to[depth + 1] == 1 && w->from[depth + 1] > 0) {
        enum { BLOCK = 64 }; /* columns at once: what they touch stays in L1 */
        int64_t rows = w->n[depth + 1], cols = end - begin;
        for (int64_t i = 0; i < rows; i += BLOCK)
            transpose_block(min64(BLOCK, rows - i), cols, from + i * w->from[depth + 1], w->from[depth + 1], to + i,
                            w->to[depth]);
    } else {
        for (int64_t i = begin; i < end; i++, to += w->to[depth], from += w->from[depth])
            copy_axes(w, depth + 1, 0, w->n[depth + 1], to, from);
    }
}

/* Parts cut the outermost two axes (slice_t: phase 0 clears, phase 1 copies). */
static void walk_setup(const gen_call *c, cpu_work *w)
{
    int64_t first;
    walk k = walk_of(c, &first);
    int64_t count = c->op == GEN_OP_SLICE_T ? gen_shape_count(&c->in[0].shape) : gen_shape_count(&c->out[0].shape);
    int64_t outer = k.rank > 1 ? k.n[0] * (k.rank > 2 ? k.n[1] : 1) : k.rank ? k.n[0] : 1;
    int32_t parts = cpu_parts_for(outer, max64(1, PART_ELEMENTS * outer / max64(1, count)));
    w->n_phases = c->op == GEN_OP_SLICE_T ? 2 : 1;
    w->parts[w->n_phases - 1] = parts;
    if (c->op == GEN_OP_SLICE_T) w->parts[0] = cpu_parts_for(gen_shape_count(&c->out[0].shape), PART_ELEMENTS);
}

static void walk_run(const gen_call *c, const cpu_job *job)
{
    int64_t first, begin, end;
    const walk w = walk_of(c, &first);
    const float *x = c->in[0].data;
    float *y = c->out[0].data;
    if (c->op == GEN_OP_SLICE_T && job->phase == 0) {
        cpu_part_range(job, gen_shape_count(&c->out[0].shape), 16, &begin, &end);
        memset(y + begin, 0, sizeof(float) * (size_t)(end - begin));
        return;
    }
    if (c->op == GEN_OP_SLICE_T) y += first;
    else x += first;
    if (w.rank == 0) {
        *y = *x;
    } else if (w.rank <= 2) {
        cpu_part_range(job, w.n[0], 1, &begin, &end);
        if (begin < end) copy_axes(&w, 0, begin, end, y, x);
    } else {
        cpu_part_range(job, w.n[0] * w.n[1], 1, &begin, &end);
        for (int64_t i = begin; i < end;) {
            int64_t outer = i / w.n[1], inner = i % w.n[1], n = min64(w.n[1] - inner, end - i);
            copy_axes(&w, 1, inner, inner + n, y + outer * w.to[0], x + outer * w.from[0]);
            i += n;
        }
    }
}

const cpu_kernel VEC_FN(movement) = { VEC_NAME("movement"), NULL, walk_setup, NULL, walk_run };

/* ---- concat ------------------------------------------------------------------------------------------------------------------------------------------ */

static int64_t run_length(const gen_shape *shape, int32_t axis)
{
    int64_t n = 1;
    for (int i = axis; i < shape->rank; i++) n *= shape->dim[i];
    return n;
}

static void concat_setup(const gen_call *c, cpu_work *w)
{
    const gen_shape *y = &c->out[0].shape;
    int64_t run = max64(1, run_length(y, c->attr->axis));
    w->parts[0] = cpu_parts_for(gen_shape_count(y) / run, max64(1, PART_ELEMENTS / run));
}

static void concat_run(const gen_call *c, const cpu_job *job)
{
    int64_t begin, end, y_run = run_length(&c->out[0].shape, c->attr->axis);
    if (y_run == 0) return;
    cpu_part_range(job, gen_shape_count(&c->out[0].shape) / y_run, 1, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        float *y = (float *)c->out[0].data + row * y_run;
        for (int32_t i = 0; i < c->n_in; i++) {
            int64_t run = run_length(&c->in[i].shape, c->attr->axis);
            memcpy(y, (const float *)c->in[i].data + row * run, sizeof(float) * (size_t)run);
            y += run;
        }
    }
}

const cpu_kernel VEC_FN(concat) = { VEC_NAME("concat"), NULL, concat_setup, NULL, concat_run };

/* ---- padding ----------------------------------------------------------------------------------------------------------------------------------------- */

/* The place that padded position h looks at, of n. */
static int64_t looks_at(int32_t mode, int64_t h, int64_t n)
{
    if (mode == GEN_PAD_REPLICATE || n == 1) return h < 0 ? 0 : h >= n ? n - 1 : h;
    while (h < 0 || h >= n) h = h < 0 ? -h : 2 * (n - 1) - h;
    return h;
}

/* One part for some rows of the result (pad and pad_t alike). */
static void pad_setup(const gen_call *c, cpu_work *w)
{
    const int64_t *d = c->out[0].shape.dim;
    w->parts[0] = cpu_parts_for(d[0] * d[1], max64(1, PART_ELEMENTS / max64(1, d[2] * d[3])));
}

static void pad_run(const gen_call *c, const cpu_job *job)
{
    const int64_t *x = c->in[0].shape.dim, *y = c->out[0].shape.dim, left = c->attr->window.pad[1], n_c = y[3];
    int64_t begin, end, middle0 = min64(y[2], max64(0, left)), middle1 = max64(middle0, min64(y[2], left + x[2]));
    cpu_part_range(job, y[0] * y[1], 1, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        int64_t h = looks_at(c->attr->mode, row % y[1] - c->attr->window.pad[0], x[1]);
        const float *from = (const float *)c->in[0].data + (row / y[1] * x[1] + h) * x[2] * n_c;
        float *to = (float *)c->out[0].data + row * y[2] * n_c;
        for (int64_t q = 0; q < y[2]; q++) {
            if (q == middle0 && middle1 > middle0) {
                memcpy(to + q * n_c, from + (q - left) * n_c, sizeof(float) * (size_t)((middle1 - middle0) * n_c));
                q = middle1 - 1;
            } else {
                memcpy(to + q * n_c, from + looks_at(c->attr->mode, q - left, x[2]) * n_c, sizeof(float) * (size_t)n_c);
            }
        }
    }
}

const cpu_kernel VEC_FN(pad) = { VEC_NAME("pad"), NULL, pad_setup, NULL, pad_run };

static void pad_t_run(const gen_call *c, const cpu_job *job)
{
    const int64_t *dy = c->in[0].shape.dim, *x = c->out[0].shape.dim, n_c = x[3];
    int64_t begin, end, top = c->attr->window.pad[0], left = c->attr->window.pad[1];
    cpu_part_range(job, x[0] * x[1], 1, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        int64_t n = row / x[1], h = row % x[1];
        float *to = (float *)c->out[0].data + row * x[2] * n_c;
        memset(to, 0, sizeof(float) * (size_t)(x[2] * n_c));
        for (int64_t p = 0; p < dy[1]; p++) {
            if (looks_at(c->attr->mode, p - top, x[1]) != h) continue;
            const float *from = (const float *)c->in[0].data + (n * dy[1] + p) * dy[2] * n_c;
            for (int64_t q = 0; q < dy[2]; q++) {
                float *pixel = to + looks_at(c->attr->mode, q - left, x[2]) * n_c;
                for (int64_t k = 0; k < n_c; k++) pixel[k] += from[q * n_c + k];
            }
        }
    }
}

const cpu_kernel VEC_FN(pad_t) = { VEC_NAME("pad_t"), NULL, pad_setup, NULL, pad_t_run };
