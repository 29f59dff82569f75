/* kernels/cpu/vec/resample.c: pooling and bilinear resizing of x[N,H,W,C], all as the same sum over a grid of input pixels:
 *
 *   y[n,p,q,c] = sum_{i in rows(p)} sum_{j in cols(q)} weight_i weight_j x[n, at_i, at_j, c]
 *
 * rows and cols are tables made once (prepare): the window's places for sum_pool, those whose window holds p for sum_pool_t (one place where kernel =
 * stride: nearest upsampling), the two neighbours for resize, all whose neighbour p is for resize_t. max_pick walks the same tables.
 */
#include <stdbool.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/micro.h"

/* One axis: result p takes from places at[p most ..][0 .. n[p]) with their weights. In keep: n, at, weight, one after the other. */
typedef struct sources {
    int64_t out, most; /* results; most places of one */
    int32_t *n, *at;   /* [out], [out][most] */
    float *weight;     /* [out][most] */
} sources;

enum { W_MOST = 0, ROWS_A_PART = 4 }; /* w->i[W_MOST + axis] */

/* ---- which places -------------------------------------------------------------------------------------------------------------------- */

typedef void (*visit_fn)(void *context, int64_t at, double weight);

static void visit_window(const gen_window *w, int axis, int64_t p, int64_t n_in, visit_fn visit, void *context)
{
    for (int64_t r = 0; r < w->kernel[axis]; r++) {
        int64_t at = p * w->stride[axis] + r * w->dilation[axis] - w->pad[axis];
        if (at >= 0 && at < n_in) visit(context, at, 1);
    }
}

static void visit_windows_of(const gen_window *w, int axis, int64_t h, int64_t n_in, visit_fn visit, void *context)
{
    for (int64_t r = 0; r < w->kernel[axis]; r++) {
        int64_t at = h + w->pad[axis] - r * w->dilation[axis];
        if (at >= 0 && at % w->stride[axis] == 0 && at / w->stride[axis] < n_in)
            visit(context, at / w->stride[axis], 1);
    }
}

/* Result p of n_out lies between low and low + 1 of n_in (half-pixel centres, clamped to the image). */
static double between(int64_t p, int64_t n_out, int64_t n_in, int64_t *low, int64_t *high)
{
    double at = ((double)p + 0.5) * (double)n_in / (double)n_out - 0.5;
    if (at < 0) at = 0;
    *low = (int64_t)at;
    *high = *low + 1 < n_in ? *low + 1 : *low;
    return at - (double)*low;
}

static void visit_neighbours(int64_t p, int64_t n_out, int64_t n_in, visit_fn visit, void *context)
{
    int64_t low, high;
    double t = between(p, n_out, n_in, &low, &high);
    visit(context, low, 1 - t);
    if (t != 0) visit(context, high, t);
}

/* the adjoint: all results q of the forward pass (n_in of them here) that place h has a share in */
static void visit_neighbours_of(int64_t h, int64_t n_out, int64_t n_in, visit_fn visit, void *context)
{
    for (int64_t q = 0; q < n_in; q++) {
        int64_t low, high;
        double t = between(q, n_in, n_out, &low, &high), share = (low == h ? 1 - t : 0) + (high == h ? t : 0);
        if (share != 0) visit(context, q, share);
    }
}

static void visit_sources(const gen_call *c, int axis, int64_t p, visit_fn visit, void *context)
{
    const gen_window *w = &c->attr->window;
    int64_t n_in = c->in[0].shape.dim[1 + axis], n_out = c->out[0].shape.dim[1 + axis];
    switch (c->op) {
    case GEN_OP_SUM_POOL_T: visit_windows_of(w, axis, p, n_in, visit, context); break;
    case GEN_OP_RESIZE: visit_neighbours(p, n_out, n_in, visit, context); break;
    case GEN_OP_RESIZE_T: visit_neighbours_of(p, n_out, n_in, visit, context); break;
    default: visit_window(w, axis, p, n_in, visit, context); break;
    }
}

/* ---- tables ------------------------------------------------------------------------------------------------------------------------------ */

static void count_one(void *context, int64_t at, double weight)
{
    (void)at, (void)weight;
    ++*(int64_t *)context;
}

typedef struct entry_writer {
    int32_t *at;
    float *weight;
    int32_t n;
} entry_writer;

static void write_one(void *context, int64_t at, double weight)
{
    entry_writer *e = context;
    e->at[e->n] = (int32_t)at;
    e->weight[e->n++] = (float)weight;
}

/* Results along an axis: of the pooled image for max_pick_t, which walks dy. */
static int64_t results(const gen_call *c, int axis)
{
    return (c->op == GEN_OP_MAX_PICK_T ? c->in[1].shape : c->out[0].shape).dim[1 + axis];
}

static sources table(const gen_call *c, const cpu_work *w, const void *keep, int axis)
{
    char *at = (char *)(uintptr_t)keep;
    sources s = { 0 };
    for (int a = 0; a <= axis; a++) {
        s.out = results(c, a);
        s.most = w->i[W_MOST + a];
        s.n = (int32_t *)(void *)at;
        s.at = s.n + s.out;
        s.weight = (float *)(void *)(s.at + s.out * s.most);
        at = (char *)(s.weight + s.out * s.most);
    }
    return s;
}

static void tables_setup(const gen_call *c, cpu_work *w)
{
    for (int axis = 0; axis < 2; axis++) {
        int64_t most = 1, out = results(c, axis);
        for (int64_t p = 0; p < out; p++) {
            int64_t n = 0;
            visit_sources(c, axis, p, count_one, &n);
            if (n > most) most = n;
        }
        w->i[W_MOST + axis] = most;
        w->keep_bytes += (size_t)(out + 2 * out * most) * sizeof(int32_t);
    }
    w->parts[0] = cpu_parts_for(c->out[0].shape.dim[0] * results(c, 0), ROWS_A_PART);
}

static void tables_prepare(const gen_call *c, const cpu_work *w, void *keep)
{
    for (int axis = 0; axis < 2; axis++) {
        sources s = table(c, w, keep, axis);
        for (int64_t p = 0; p < s.out; p++) {
            entry_writer e = { s.at + p * s.most, s.weight + p * s.most, 0 };
            visit_sources(c, axis, p, write_one, &e);
            s.n[p] = e.n;
        }
    }
}

/* ---- sums ---------------------------------------------------------------------------------------------------------------------------------- */

VEC_INLINE vecf load_some(const float *p, int n)
{
    return n == VEC_W ? vec_load(p) : vec_load_n(p, n);
}
VEC_INLINE void store_some(float *p, vecf a, int n)
{
    if (n == VEC_W) vec_store(p, a);
    else vec_store_n(p, a, n);
}
static int lanes(int64_t left)
{
    return left < VEC_W ? (int)left : VEC_W;
}

/* y[q] of one row of the result; image: x[n] */
static void sum_row(const sources *rows, const sources *cols, int64_t p, const float *image, int64_t in_w, int64_t n_c,
                    float *y)
{
    const int32_t *row = rows->at + p * rows->most;
    const float *row_weight = rows->weight + p * rows->most;
    for (int64_t q = 0; q < cols->out; q++, y += n_c) {
        const int32_t *col = cols->at + q * cols->most;
        const float *col_weight = cols->weight + q * cols->most;
        for (int64_t k = 0; k < n_c; k += VEC_W) {
            int some = lanes(n_c - k);
            vecf sum = vec_set(0);
            for (int32_t i = 0; i < rows->n[p]; i++)
                for (int32_t j = 0; j < cols->n[q]; j++)
                    sum = vec_fma(vec_set(row_weight[i] * col_weight[j]),
                                  load_some(image + (row[i] * in_w + col[j]) * n_c + k, some), sum);
            store_some(y + k, sum, some);
        }
    }
}

static void resample_run(const gen_call *c, const cpu_job *job)
{
    const int64_t *x = c->in[0].shape.dim, *y = c->out[0].shape.dim;
    sources rows = table(c, job->work, job->keep, 0), cols = table(c, job->work, job->keep, 1);
    int64_t begin, end;
    cpu_part_range(job, y[0] * y[1], 1, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        sum_row(&rows, &cols, row % y[1], (const float *)c->in[0].data + row / y[1] * x[1] * x[2] * x[3], x[2], x[3],
                (float *)c->out[0].data + row * y[2] * y[3]);
}

const cpu_kernel VEC_FN(resample) = { VEC_NAME("resample"), NULL, tables_setup, tables_prepare, resample_run };

/* ---- maxima ---------------------------------------------------------------------------------------------------------------------------------- */

typedef struct window_at { /* of one result */
    const int32_t *row, *col;
    int32_t n_rows, n_cols;
} window_at;

static window_at window_of(const sources *rows, const sources *cols, int64_t p, int64_t q)
{
    return (window_at){ rows->at + p * rows->most, cols->at + q * cols->most, rows->n[p], cols->n[q] };
}

/* Which place of the window wins each channel, as its number in row-major order: the first of the largest; a NaN beats numbers. */
VEC_INLINE vecf winners(const window_at *w, const float *image, int64_t in_w, int64_t n_c, int64_t k, int some)
{
    vecf best = vec_set(0), place = vec_set(-1);
    for (int32_t i = 0; i < w->n_rows; i++)
        for (int32_t j = 0; j < w->n_cols; j++) {
            vecf x = load_some(image + (w->row[i] * in_w + w->col[j]) * n_c + k, some);
            vecf at = vec_set((float)(i * w->n_cols + j));
            if (i + j == 0) {
                best = x, place = at;
                continue;
            }
            vecm wins = vec_lt(best, x);
            vecf nan = vec_select(vec_ne(x, x), vec_select(vec_eq(best, best), at, place), place);
            place = vec_select(wins, at, nan);
            best = vec_select(vec_eq(place, at), x, best);
        }
    return place;
}

static void max_pick_run(const gen_call *c, const cpu_job *job)
{
    const int64_t *x = c->in[0].shape.dim, *y = c->out[0].shape.dim, n_c = x[3];
    sources rows = table(c, job->work, job->keep, 0), cols = table(c, job->work, job->keep, 1);
    int64_t begin, end;
    cpu_part_range(job, y[0] * y[1], 1, &begin, &end);
    for (int64_t i = begin * y[2]; i < end * y[2]; i++) {
        int64_t image = i / y[2] / y[1] * x[1] * x[2] * n_c;
        const float *from = (const float *)c->in[0].data + image, *value = (const float *)c->in[1].data + image;
        float *to = (float *)c->out[0].data + i * n_c;
        window_at w = window_of(&rows, &cols, i / y[2] % y[1], i % y[2]);
        for (int64_t k = 0; k < n_c; k += VEC_W) {
            int some = lanes(n_c - k);
            vecf place = winners(&w, from, x[2], n_c, k, some), picked = vec_set(0);
            for (int32_t t = 0; t < w.n_rows * w.n_cols; t++) {
                const float *v = value + (w.row[t / w.n_cols] * x[2] + w.col[t % w.n_cols]) * n_c + k;
                picked = vec_select(vec_eq(place, vec_set((float)t)), load_some(v, some), picked);
            }
            store_some(to + k, picked, some);
        }
    }
}

const cpu_kernel VEC_FN(max_pick) = { VEC_NAME("max_pick"), NULL, tables_setup, tables_prepare, max_pick_run };

static bool windows_overlap(const gen_window *w)
{
    return w->kernel[0] > w->stride[0] || w->dilation[0] > 1;
}

/* Parts are rows of dy where no two windows share a row of x, else samples. */
static void max_pick_t_setup(const gen_call *c, cpu_work *w)
{
    tables_setup(c, w);
    if (windows_overlap(&c->attr->window)) w->parts[0] = cpu_parts_for(c->out[0].shape.dim[0], 1);
}

/* dx of the windows of one row p of one sample */
static void scatter_row(const sources *rows, const sources *cols, int64_t p, const float *x, int64_t in_w, int64_t n_c,
                        const float *dy, float *dx)
{
    for (int64_t q = 0; q < cols->out; q++, dy += n_c) {
        window_at w = window_of(rows, cols, p, q);
        for (int64_t k = 0; k < n_c; k += VEC_W) {
            int some = lanes(n_c - k);
            vecf place = winners(&w, x, in_w, n_c, k, some), d = load_some(dy + k, some);
            for (int32_t t = 0; t < w.n_rows * w.n_cols; t++) {
                float *to = dx + (w.row[t / w.n_cols] * in_w + w.col[t % w.n_cols]) * n_c + k;
                vecf share = vec_select(vec_eq(place, vec_set((float)t)), d, vec_set(0));
                store_some(to, load_some(to, some) + share, some);
            }
        }
    }
}

/* First row of x that belongs to the windows of row p: what lies between the windows of two rows belongs to the upper one. */
static int64_t first_row(const gen_window *w, int64_t p, int64_t n_p, int64_t n_h)
{
    int64_t h = p * w->stride[0] - w->pad[0];
    return p == 0 || h < 0 ? 0 : p >= n_p || h > n_h ? n_h : h;
}

static void max_pick_t_run(const gen_call *c, const cpu_job *job)
{
    const int64_t *x = c->in[0].shape.dim, *dy = c->in[1].shape.dim, line = x[2] * x[3];
    sources rows = table(c, job->work, job->keep, 0), cols = table(c, job->work, job->keep, 1);
    int64_t begin, end, grain = windows_overlap(&c->attr->window) ? dy[1] : 1;
    cpu_part_range(job, dy[0] * dy[1] / grain, 1, &begin, &end);
    for (int64_t row = begin * grain; row < end * grain; row++) {
        int64_t n = row / dy[1], p = row % dy[1], image = n * x[1] * line;
        float *dx = (float *)c->out[0].data + image;
        int64_t from = first_row(&c->attr->window, p, dy[1], x[1]),
                to = first_row(&c->attr->window, p + 1, dy[1], x[1]);
        if (grain > 1) from = 0, to = p == 0 ? x[1] : 0; /* the whole sample at its first row */
        if (to > from) memset(dx + from * line, 0, (size_t)((to - from) * line) * sizeof *dx);
        scatter_row(&rows, &cols, p, (const float *)c->in[0].data + image, x[2], x[3],
                    (const float *)c->in[1].data + row * dy[2] * dy[3], dx);
    }
}

const cpu_kernel VEC_FN(max_pick_t) = { VEC_NAME("max_pick_t"), NULL, max_pick_t_setup, tables_prepare,
                                        max_pick_t_run };
