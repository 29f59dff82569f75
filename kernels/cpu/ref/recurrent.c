/* Recurrent layers over T steps (equations: core/graph.h), one sample after the other, and their gradients by going back through time.
 *
 *   lstm     c_t = f c_{t-1} + i g, h_t = o tanh c_t
 *   lstm_dx  dh_t = dy_h + w^T da_{t+1};  dc_t = dy_c + dh o (1 - tanh^2 c) + f_{t+1} dc_{t+1};  da: gradients before the gates' functions
 *   gru      h_t = (1 - z) n + z h_{t-1}, n = tanh(xg_n + r q), q = h_{t-1} w_n + b_n
 *   gru_dx   dh_t = dy_h + z_{t+1} dh_{t+1} + w^T (da_r, da_z, da_q)_{t+1}
 */
#include "kernels/cpu/ref/ref.h"

#include <string.h>

typedef struct sizes {
    int64_t t, n, h;
} sizes;

static sizes planes_sizes(const gen_shape *planes)
{
    return (sizes){ planes->dim[1], planes->dim[2], planes->dim[3] };
}

/* One part a sample; room for 8 H doubles. */
static void planes_setup(const gen_call *c, cpu_work *w)
{
    const gen_shape *planes = c->op == GEN_OP_LSTM || c->op == GEN_OP_GRU ? &c->out[0].shape : &c->in[0].shape;
    sizes s = planes_sizes(planes);
    w->parts[0] = cpu_parts_for(s.n, 1);
    w->thread_bytes = 8 * (size_t)s.h * sizeof(double);
}

/* Where unit 0 of plane k is: the gates, which are the first four, lie as [T,N,4,H]. */
static int64_t place(const sizes *s, int64_t k, int64_t t, int64_t n)
{
    return (k < 4 ? (t * s->n + n) * 4 + k : (k * s->t + t) * s->n + n) * s->h;
}

static REAL *plane_at(const sizes *s, REAL *planes, int64_t plane, int64_t t, int64_t n)
{
    return planes + place(s, plane, t, n);
}

static const REAL *plane_in(const gen_call *c, const sizes *s, int64_t plane, int64_t t, int64_t n)
{
    return ref_in(c, 0) + place(s, plane, t, n);
}

/* Unit u's gradient in a plane: 0 where it was not given. */
static double dy_at(const gen_call *c, const sizes *s, int64_t plane, int64_t t, int64_t n, int64_t u)
{
    int64_t first = c->attr->start[0], given = plane - first;
    if (given < 0 || given >= c->in[3].shape.dim[0]) return 0;
    return (double)ref_in(c, 3)[place(s, plane, t, n) - first * s->t * s->n * s->h + u];
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* sum[columns] = start + h[H] w[H,columns] */
static void recur(double *sum, const REAL *start, const REAL *h, const REAL *w, int64_t n_h, int64_t columns)
{
    for (int64_t k = 0; k < columns; k++) sum[k] = start ? (double)start[k] : 0;
    for (int64_t j = 0; j < n_h; j++) ref_add_row(sum, (double)h[j], w + j * columns, columns);
}

static void lstm_sample(const gen_call *c, const sizes *s, int64_t n, double *a)
{
    const int64_t h = s->h;
    REAL *y = ref_out(c);
    for (int64_t t = 0; t < s->t; t++) {
        const REAL *before = t ? plane_at(s, y, 5, t - 1, n) : ref_in(c, 2) + n * h;
        const REAL *cell = t ? plane_at(s, y, 4, t - 1, n) : ref_in(c, 3) + n * h;
        recur(a, ref_in(c, 0) + (t * s->n + n) * 4 * h, before, ref_in(c, 1), h, 4 * h);
        for (int64_t u = 0; u < h; u++) {
            double i = sigmoid(a[u]), f = sigmoid(a[h + u]), g = tanh(a[2 * h + u]), o = sigmoid(a[3 * h + u]);
            double now = f * (double)cell[u] + i * g, v[6] = { i, f, g, o, now, o * tanh(now) };
            for (int64_t k = 0; k < 6; k++) plane_at(s, y, k, t, n)[u] = (REAL)v[k];
        }
    }
}

static void lstm_run(const gen_call *c, const cpu_job *job)
{
    sizes s = planes_sizes(&c->out[0].shape);
    int64_t begin, end;
    cpu_part_range(job, s.n, 1, &begin, &end);
    for (int64_t n = begin; n < end; n++) lstm_sample(c, &s, n, job->scratch);
}

/* dh[u] += sum_k da[k] w[u,k] over columns */
static void recur_back(double *dh, const REAL *da, const REAL *w, int64_t n_h, int64_t w_columns, int64_t columns)
{
    for (int64_t u = 0; u < n_h; u++)
        for (int64_t k = 0; k < columns; k++) dh[u] += (double)da[k] * (double)w[u * w_columns + k];
}

static void lstm_dx_sample(const gen_call *c, const sizes *s, int64_t n, double *dh, double *dc)
{
    const int64_t h = s->h;
    memset(dc, 0, (size_t)h * sizeof *dc);
    for (int64_t t = s->t - 1; t >= 0; t--) {
        REAL *da = ref_out(c) + (t * s->n + n) * 4 * h;
        memset(dh, 0, (size_t)h * sizeof *dh);
        if (t + 1 < s->t) recur_back(dh, da + s->n * 4 * h, ref_in(c, 1), h, 4 * h, 4 * h);
        for (int64_t u = 0; u < h; u++) {
            double v[6], d[6];
            for (int64_t k = 0; k < 6; k++) {
                v[k] = (double)plane_in(c, s, k, t, n)[u];
                d[k] = dy_at(c, s, k, t, n, u);
            }
            double before = (double)(t ? plane_in(c, s, 4, t - 1, n) : ref_in(c, 2) + n * h)[u];
            double i = v[0], f = v[1], g = v[2], o = v[3], th = tanh(v[4]), dy = dh[u] + d[5];
            double cell = dc[u] + d[4] + dy * o * (1 - th * th);
            da[u] = (REAL)((cell * g + d[0]) * i * (1 - i));
            da[h + u] = (REAL)((cell * before + d[1]) * f * (1 - f));
            da[2 * h + u] = (REAL)((cell * i + d[2]) * (1 - g * g));
            da[3 * h + u] = (REAL)((dy * th + d[3]) * o * (1 - o));
            dc[u] = cell * f;
        }
    }
}

/* The gradients: a second phase for the state's, since the result may lie where the planes do (core/plan_memory.c), row T over other samples' states. */
static void gradient_setup(const gen_call *c, cpu_work *w)
{
    sizes s = planes_sizes(&c->in[0].shape);
    planes_setup(c, w);
    w->n_phases = 2;
    w->parts[1] = w->parts[0];
    w->shared_bytes = (size_t)(s.n * s.h) * sizeof(double);
}

/* Row T of the result: a gradient in its first H columns, zeros behind. */
static void store_state_gradient(const gen_call *c, const sizes *s, int64_t n, const double *d)
{
    REAL *row = ref_out(c) + (s->t * s->n + n) * 4 * s->h;
    for (int64_t u = 0; u < 4 * s->h; u++) row[u] = u < s->h ? (REAL)d[u] : 0;
}

static void gradient_run(const gen_call *c, const cpu_job *job,
                         void (*sample)(const gen_call *c, const sizes *s, int64_t n, double *dh, double *d_state))
{
    sizes s = planes_sizes(&c->in[0].shape);
    int64_t begin, end;
    cpu_part_range(job, s.n, 1, &begin, &end);
    for (int64_t n = begin; n < end; n++) {
        double *d_state = (double *)job->shared + n * s.h;
        if (job->phase == 0) sample(c, &s, n, job->scratch, d_state);
        else store_state_gradient(c, &s, n, d_state);
    }
}

static void lstm_dx_run(const gen_call *c, const cpu_job *job)
{
    gradient_run(c, job, lstm_dx_sample);
}

REF_KERNEL(lstm, planes_setup, lstm_run)
REF_KERNEL(lstm_dx, gradient_setup, lstm_dx_run)

/* ---- gru ---- */

static void gru_sample(const gen_call *c, const sizes *s, int64_t n, double *a)
{
    const int64_t h = s->h;
    REAL *y = ref_out(c);
    for (int64_t t = 0; t < s->t; t++) {
        const REAL *before = t ? plane_at(s, y, 4, t - 1, n) : ref_in(c, 3) + n * h,
                   *x = ref_in(c, 0) + (t * s->n + n) * 3 * h;
        recur(a, ref_in(c, 2), before, ref_in(c, 1), h, 3 * h);
        for (int64_t u = 0; u < h; u++) {
            double r = sigmoid((double)x[u] + a[u]), z = sigmoid((double)x[h + u] + a[h + u]), q = a[2 * h + u];
            double new = tanh((double)x[2 * h + u] + r * q),
                   v[5] = { r, z, new, q, (1 - z) * new + z *(double)before[u] };
            for (int64_t k = 0; k < 5; k++) plane_at(s, y, k, t, n)[u] = (REAL)v[k];
        }
    }
}

static void gru_run(const gen_call *c, const cpu_job *job)
{
    sizes s = planes_sizes(&c->out[0].shape);
    int64_t begin, end;
    cpu_part_range(job, s.n, 1, &begin, &end);
    for (int64_t n = begin; n < end; n++) gru_sample(c, &s, n, job->scratch);
}

/* dh: in front of step t on return of each turn; da holds r z n q, of which r z q went through w */
static void gru_dx_sample(const gen_call *c, const sizes *s, int64_t n, double *unused, double *dh)
{
    const int64_t h = s->h;
    (void)unused;
    memset(dh, 0, (size_t)h * sizeof *dh);
    for (int64_t t = s->t - 1; t >= 0; t--) {
        REAL *da = ref_out(c) + (t * s->n + n) * 4 * h;
        for (int64_t u = 0; u < h; u++) {
            double v[5], d[5];
            for (int64_t k = 0; k < 5; k++) {
                v[k] = (double)plane_in(c, s, k, t, n)[u];
                d[k] = dy_at(c, s, k, t, n, u);
            }
            double before = (double)(t ? plane_in(c, s, 4, t - 1, n) : ref_in(c, 2) + n * h)[u];
            double r = v[0], z = v[1], new = v[2], q = v[3], dy = dh[u] + d[4];
            double dn = (dy * (1 - z) + d[2]) * (1 - new *new);
            da[u] = (REAL)((dn * q + d[0]) * r * (1 - r));
            da[h + u] = (REAL)((dy * (before - new) + d[1]) * z * (1 - z));
            da[2 * h + u] = (REAL)dn;
            da[3 * h + u] = (REAL)(dn * r + d[3]);
            dh[u] = dy * z;
        }
        recur_back(dh, da, ref_in(c, 1), h, 3 * h, 2 * h);
        recur_back(dh, da + 3 * h, ref_in(c, 1) + 2 * h, h, 3 * h, h);
    }
}

static void gru_dx_run(const gen_call *c, const cpu_job *job)
{
    gradient_run(c, job, gru_dx_sample);
}

REF_KERNEL(gru, planes_setup, gru_run)
REF_KERNEL(gru_dx, gradient_setup, gru_dx_run)
