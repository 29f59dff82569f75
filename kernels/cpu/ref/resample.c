/* Pooling and bilinear resizing of x[N,H,W,C]; the window as in conv.c.
 *
 *   sum_pool    y[n,p,q,c] = sum_{r,s} x[n,h,w,c]             sum_pool_t  x[n,h,w,c] = sum_{r,s} y[n,p,q,c]
 *   max_pick    y[n,p,q,c] = v[n,h,w,c] at the first (h,w) of the window, in row-major order, where x[n,h,w,c] is largest;
 *               max_pick_t is its adjoint in v
 *   resize      y[n,p,q,c] = bilinear x[n, (p + 1/2) H/P - 1/2, (q + 1/2) W/Q - 1/2, c], coordinates below 0 raised to 0;
 *               resize_t is its adjoint
 */
#include "kernels/cpu/ref/ref.h"

#include <string.h>

static void rows_setup(const gen_call *c, cpu_work *w)
{
    const gen_shape *y = &c->out[0].shape;
    w->parts[0] = cpu_parts_for(y->dim[0] * y->dim[1], 1);
    w->thread_bytes = (size_t)y->dim[3] * sizeof(double);
}

/* The adjoints that scatter have one part a sample. */
static void samples_setup(const gen_call *c, cpu_work *w)
{
    w->parts[0] = cpu_parts_for(c->out[0].shape.dim[0], 1);
}

static int64_t pixel(const gen_shape *x, int64_t n, int64_t h, int64_t w)
{
    return ((n * x->dim[1] + h) * x->dim[2] + w) * x->dim[3];
}

/* ---- sums ---- */

typedef int64_t (*place_fn)(const gen_window *window, int axis, int64_t p, int64_t r, int64_t n);

/* sum_pool with place = ref_tap, its adjoint with place = ref_untap. */
static void sum_taps(const gen_call *c, const cpu_job *job, place_fn place)
{
    const gen_window *window = &c->attr->window;
    const gen_shape *x = &c->in[0].shape, *y = &c->out[0].shape;
    double *sum = job->scratch;
    int64_t begin, end;
    cpu_part_range(job, y->dim[0] * y->dim[1], 1, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        for (int64_t n = row / y->dim[1], p = row % y->dim[1], q = 0; q < y->dim[2]; q++) {
            memset(sum, 0, (size_t)y->dim[3] * sizeof *sum);
            for (int64_t r = 0; r < window->kernel[0]; r++)
                for (int64_t s = 0; s < window->kernel[1]; s++) {
                    int64_t h = place(window, 0, p, r, x->dim[1]), w = place(window, 1, q, s, x->dim[2]);
                    if (h >= 0 && w >= 0) ref_add_row(sum, 1, ref_in(c, 0) + pixel(x, n, h, w), x->dim[3]);
                }
            ref_store_row(c, pixel(y, n, p, q), sum, y->dim[3]);
        }
}

static void sum_pool_run(const gen_call *c, const cpu_job *job)
{
    sum_taps(c, job, ref_tap);
}

static void sum_pool_t_run(const gen_call *c, const cpu_job *job)
{
    sum_taps(c, job, ref_untap);
}

REF_KERNEL(sum_pool, rows_setup, sum_pool_run)
REF_KERNEL(sum_pool_t, rows_setup, sum_pool_t_run)

/* ---- maxima ---- */

/* The place in x that wins the window (n,p,q) of channel c; -1 when the window lies in the padding. */
static int64_t winner(const gen_window *window, const gen_shape *shape, const REAL *x, int64_t n, int64_t p, int64_t q,
                      int64_t c)
{
    int64_t best = -1;
    for (int64_t r = 0; r < window->kernel[0]; r++)
        for (int64_t s = 0; s < window->kernel[1]; s++) {
            int64_t h = ref_tap(window, 0, p, r, shape->dim[1]), w = ref_tap(window, 1, q, s, shape->dim[2]);
            if (h < 0 || w < 0) continue;
            int64_t i = pixel(shape, n, h, w) + c;
            if (best < 0 || ref_beats((double)x[i], (double)x[best])) best = i;
        }
    return best;
}

static void max_pick_run(const gen_call *c, const cpu_job *job)
{
    const gen_shape *y = &c->out[0].shape;
    int64_t begin, end;
    cpu_part_range(job, y->dim[0] * y->dim[1], 1, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        for (int64_t q = 0; q < y->dim[2]; q++)
            for (int64_t k = 0; k < y->dim[3]; k++) {
                int64_t n = row / y->dim[1], p = row % y->dim[1];
                int64_t i = winner(&c->attr->window, &c->in[0].shape, ref_in(c, 0), n, p, q, k);
                ref_out(c)[pixel(y, n, p, q) + k] = i < 0 ? 0 : ref_in(c, 1)[i];
            }
}

static void clear_samples(const gen_call *c, int64_t begin, int64_t end)
{
    const gen_shape *y = &c->out[0].shape;
    memset(ref_out(c) + pixel(y, begin, 0, 0), 0, (size_t)pixel(y, end - begin, 0, 0) * sizeof(REAL));
}

static void max_pick_t_run(const gen_call *c, const cpu_job *job)
{
    const gen_shape *x = &c->in[0].shape, *dy = &c->in[1].shape;
    int64_t begin, end;
    cpu_part_range(job, x->dim[0], 1, &begin, &end);
    clear_samples(c, begin, end);
    for (int64_t n = begin; n < end; n++)
        for (int64_t p = 0; p < dy->dim[1]; p++)
            for (int64_t q = 0; q < dy->dim[2]; q++)
                for (int64_t k = 0; k < dy->dim[3]; k++) {
                    int64_t i = winner(&c->attr->window, x, ref_in(c, 0), n, p, q, k);
                    if (i >= 0) ref_out(c)[i] += ref_in(c, 1)[pixel(dy, n, p, q) + k];
                }
}

REF_KERNEL(max_pick, rows_setup, max_pick_run)
REF_KERNEL(max_pick_t, samples_setup, max_pick_t_run)

/* ---- bilinear ---- */

/* Result p of n_out lies between places low and high of n_in; high has the weight t. */
typedef struct between {
    int64_t low, high;
    double t;
} between;

static between between_of(int64_t p, int64_t n_out, int64_t n_in)
{
    double at = ((double)p + 0.5) * (double)n_in / (double)n_out - 0.5;
    if (at < 0) at = 0;
    int64_t low = (int64_t)at;
    return (between){ low, low + 1 < n_in ? low + 1 : low, at - (double)low };
}

static void resize_run(const gen_call *c, const cpu_job *job)
{
    const gen_shape *x = &c->in[0].shape, *y = &c->out[0].shape;
    double *sum = job->scratch;
    int64_t begin, end, n_c = x->dim[3];
    cpu_part_range(job, y->dim[0] * y->dim[1], 1, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        for (int64_t n = row / y->dim[1], p = row % y->dim[1], q = 0; q < y->dim[2]; q++) {
            between h = between_of(p, y->dim[1], x->dim[1]), w = between_of(q, y->dim[2], x->dim[2]);
            memset(sum, 0, (size_t)n_c * sizeof *sum);
            ref_add_row(sum, (1 - h.t) * (1 - w.t), ref_in(c, 0) + pixel(x, n, h.low, w.low), n_c);
            ref_add_row(sum, (1 - h.t) * w.t, ref_in(c, 0) + pixel(x, n, h.low, w.high), n_c);
            ref_add_row(sum, h.t * (1 - w.t), ref_in(c, 0) + pixel(x, n, h.high, w.low), n_c);
            ref_add_row(sum, h.t * w.t, ref_in(c, 0) + pixel(x, n, h.high, w.high), n_c);
            ref_store_row(c, pixel(y, n, p, q), sum, n_c);
        }
}

/* Weight of place h in result p. */
static double share(between b, int64_t h)
{
    return (b.low == h ? 1 - b.t : 0) + (b.high == h ? b.t : 0);
}

/* The results whose place can be h: those with |(p + 1/2) n_in/n_out - 1/2 - h| < 1, and at the edges all beyond. */
static void results_near(int64_t h, int64_t n_in, int64_t n_out, int64_t *begin, int64_t *end)
{
    double scale = (double)n_out / (double)n_in;
    *begin = h == 0 ? 0 : (int64_t)fmax(0, floor(((double)h - 0.5) * scale - 0.5));
    *end = h == n_in - 1 ? n_out : (int64_t)fmin((double)n_out, ceil(((double)h + 1.5) * scale - 0.5) + 1);
}

static void resize_t_run(const gen_call *c, const cpu_job *job)
{
    const gen_shape *small = &c->in[0].shape, *y = &c->out[0].shape; /* y: [N,h,w,C], the shape of resize's input */
    double *sum = job->scratch;
    int64_t begin, end, p0, p1, q0, q1;
    cpu_part_range(job, y->dim[0] * y->dim[1], 1, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        for (int64_t n = row / y->dim[1], h = row % y->dim[1], w = 0; w < y->dim[2]; w++) {
            results_near(h, y->dim[1], small->dim[1], &p0, &p1);
            results_near(w, y->dim[2], small->dim[2], &q0, &q1);
            memset(sum, 0, (size_t)y->dim[3] * sizeof *sum);
            for (int64_t p = p0; p < p1; p++)
                for (int64_t q = q0; q < q1; q++) {
                    double weight = share(between_of(p, small->dim[1], y->dim[1]), h) *
                                    share(between_of(q, small->dim[2], y->dim[2]), w);
                    if (weight != 0) ref_add_row(sum, weight, ref_in(c, 0) + pixel(small, n, p, q), y->dim[3]);
                }
            ref_store_row(c, pixel(y, n, h, w), sum, y->dim[3]);
        }
}

REF_KERNEL(resize, rows_setup, resize_run)
REF_KERNEL(resize_t, rows_setup, resize_t_run)
