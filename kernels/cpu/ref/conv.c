/* The conv triple on x[N,H,W,C], w[R,S,C/groups,K], y[N,P,Q,K]; output channel k belongs to group k / (K/groups) and
 * sees that group's C/groups channels.
 *
 *   conv2d    y[n,p,q,k] = sum_{r,s,c} x[n, h, w, c] w[r,s,c,k]      where h = p stride + r dilation - top,  w = q
 * stride + s dilation - left, conv2d_t  x[n,h,w,c] = sum_{r,s,k} y[n, p, q, k] w[r,s,c,k]      and places outside of x
 * are zeros: padding, or its opposite, cropping conv2d_w  w[r,s,c,k] = sum_{n,p,q} x[n, h, w, c] y[n,p,q,k]
 */
#include "kernels/cpu/ref/ref.h"

#include <string.h>

typedef struct sizes {
    int64_t n, h, w, c, k, r, s, p, q;
    int64_t groups, group_c, group_k;
} sizes;

static sizes sizes_of(const gen_window *window, const gen_shape *x, const gen_shape *y)
{
    sizes z = {
        .n = x->dim[0], .h = x->dim[1], .w = x->dim[2], .c = x->dim[3], .p = y->dim[1], .q = y->dim[2], .k = y->dim[3]
    };
    z.r = window->kernel[0];
    z.s = window->kernel[1];
    z.groups = window->groups;
    z.group_c = z.c / z.groups;
    z.group_k = z.k / z.groups;
    return z;
}

/* One pixel seen through one tap: sum[k] += sum_c x[c] w[c,k], within each group. */
static void add_tap(const sizes *z, double *sum, const REAL *x, const REAL *w)
{
    for (int64_t g = 0; g < z->groups; g++)
        for (int64_t c = 0; c < z->group_c; c++)
            ref_add_row(sum + g * z->group_k, (double)x[g * z->group_c + c], w + c * z->k + g * z->group_k, z->group_k);
}

/* The same backwards: sum[c] += sum_k y[k] w[c,k]. */
static void add_tap_t(const sizes *z, double *sum, const REAL *y, const REAL *w)
{
    for (int64_t g = 0; g < z->groups; g++)
        for (int64_t c = 0; c < z->group_c; c++)
            sum[g * z->group_c + c] += ref_dot(y + g * z->group_k, w + c * z->k + g * z->group_k, z->group_k);
}

static void conv2d_setup(const gen_call *c, cpu_work *w)
{
    const gen_shape *y = &c->out[0].shape;
    w->parts[0] = cpu_parts_for(y->dim[0] * y->dim[1], 1);
    w->thread_bytes = (size_t)y->dim[3] * sizeof(double);
}

static void conv2d_run(const gen_call *c, const cpu_job *job)
{
    const gen_window *window = &c->attr->window;
    const sizes z = sizes_of(window, &c->in[0].shape, &c->out[0].shape);
    const REAL *x = ref_in(c, 0), *filter = ref_in(c, 1);
    double *sum = job->scratch;
    int64_t begin, end;
    cpu_part_range(job, z.n * z.p, 1, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        for (int64_t n = row / z.p, p = row % z.p, q = 0; q < z.q; q++) {
            memset(sum, 0, (size_t)z.k * sizeof *sum);
            for (int64_t r = 0; r < z.r; r++)
                for (int64_t s = 0; s < z.s; s++) {
                    int64_t h = ref_tap(window, 0, p, r, z.h), w = ref_tap(window, 1, q, s, z.w);
                    if (h >= 0 && w >= 0)
                        add_tap(&z, sum, x + ((n * z.h + h) * z.w + w) * z.c, filter + (r * z.s + s) * z.group_c * z.k);
                }
            ref_store_row(c, (row * z.q + q) * z.k, sum, z.k);
        }
}

static void conv2d_t_run(const gen_call *c, const cpu_job *job)
{
    const gen_window *window = &c->attr->window;
    const sizes z = sizes_of(window, &c->out[0].shape, &c->in[0].shape);
    const REAL *y = ref_in(c, 0), *filter = ref_in(c, 1);
    double *sum = job->scratch;
    int64_t begin, end;
    cpu_part_range(job, z.n * z.h, 1, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        for (int64_t n = row / z.h, h = row % z.h, w = 0; w < z.w; w++) {
            memset(sum, 0, (size_t)z.c * sizeof *sum);
            for (int64_t r = 0; r < z.r; r++)
                for (int64_t s = 0; s < z.s; s++) {
                    int64_t p = ref_untap(window, 0, h, r, z.p), q = ref_untap(window, 1, w, s, z.q);
                    if (p >= 0 && q >= 0)
                        add_tap_t(&z, sum, y + ((n * z.p + p) * z.q + q) * z.k,
                                  filter + (r * z.s + s) * z.group_c * z.k);
                }
            ref_store_row(c, (row * z.w + w) * z.c, sum, z.c);
        }
}

static void conv2d_w_setup(const gen_call *c, cpu_work *w)
{
    const gen_shape *filter = &c->out[0].shape;
    w->parts[0] = cpu_parts_for(filter->dim[0] * filter->dim[1] * filter->dim[2], 1);
    w->thread_bytes = (size_t)filter->dim[3] * sizeof(double);
}

/* The filter's row [r,s,c,0..K): every group has a channel c of its own. */
static void weight_row(const gen_call *call, const sizes *z, int64_t r, int64_t s, int64_t c, double *sum)
{
    const gen_window *window = &call->attr->window;
    const REAL *x = ref_in(call, 0), *y = ref_in(call, 1);
    for (int64_t n = 0; n < z->n; n++)
        for (int64_t p = 0; p < z->p; p++)
            for (int64_t q = 0; q < z->q; q++) {
                int64_t h = ref_tap(window, 0, p, r, z->h), w = ref_tap(window, 1, q, s, z->w);
                if (h < 0 || w < 0) continue;
                const REAL *pixel = x + ((n * z->h + h) * z->w + w) * z->c,
                           *dy = y + ((n * z->p + p) * z->q + q) * z->k;
                for (int64_t g = 0; g < z->groups; g++)
                    ref_add_row(sum + g * z->group_k, (double)pixel[g * z->group_c + c], dy + g * z->group_k,
                                z->group_k);
            }
}

static void conv2d_w_run(const gen_call *c, const cpu_job *job)
{
    const sizes z = sizes_of(&c->attr->window, &c->in[0].shape, &c->in[1].shape);
    double *sum = job->scratch;
    int64_t begin, end;
    cpu_part_range(job, z.r * z.s * z.group_c, 1, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        int64_t tap = row / z.group_c;
        memset(sum, 0, (size_t)z.k * sizeof *sum);
        weight_row(c, &z, tap / z.s, tap % z.s, row % z.group_c, sum);
        ref_store_row(c, row * z.k, sum, z.k);
    }
}

REF_KERNEL(conv2d, conv2d_setup, conv2d_run)
REF_KERNEL(conv2d_t, conv2d_setup, conv2d_t_run)
REF_KERNEL(conv2d_w, conv2d_w_setup, conv2d_w_run)
