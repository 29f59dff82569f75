/* kernels/cpu/vec/norm.c: normalisation of x[N,..,C] in G groups of C/G neighbouring channels; i counts the P pixels between N and C, M = P C/G.
 *
 *   norm_stats  y[n,0,g] = mean,  y[n,1,g] = 1/sqrt(var + eps)
 *   norm        y = act((x - mean) rstd gamma[c] + beta[c] + …)
 *   norm_dx     with u = (x - mean) rstd, e = dy gamma[c]:  dx = rstd (e - sum e / M - u sum(e u) / M), sums over the group
 *   norm_dp     y[0,c] = sum_{n,i} dy u,  y[1,c] = sum_{n,i} dy
 *
 * Sums over pixels run per channel (lanes along C) in fixed chunks of at most MAX_CHUNK rows; chunks, and the channels of a group, are joined in
 * order and in double. Statistics are sums of x - x[n,0,c] and of its square: a large mean cancels before anything is rounded, and the channels'
 * variances join by sum of squares within + spread of the means (Chan et al. 1979).
 * One pixel per sample (layer norm): each group is a run of neighbouring numbers, two passes over it, no chunks (the "rows" kernels).
 */
#include <math.h>
#include <stdbool.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/epilogue.h"

enum {
    WANTED_PARTS = 32,
    MAX_CHUNK = 512,
    PART_ELEMENTS = 16384,
};

typedef struct plan {
    int64_t n, pixels, c, groups, group_c;
    int32_t chunks; /* of the pixels of one sample */
} plan;

static plan make_plan(const gen_call *c)
{
    const gen_shape *x = &c->in[0].shape;
    plan p = { .n = x->dim[0], .c = x->dim[x->rank - 1], .groups = c->attr->groups };
    p.pixels = gen_shape_count(x) / max64(1, p.n * p.c);
    p.group_c = p.c / p.groups;
    int64_t wanted = min64(ceil_div(WANTED_PARTS, p.n), ceil_div(p.pixels * p.c, PART_ELEMENTS));
    p.chunks = (int32_t)max64(1, min64(p.pixels, max64(wanted, ceil_div(p.pixels, MAX_CHUNK))));
    return p;
}

/* ---- sums of one chunk, lanes along the channels --------------------------------------------------------------------------------------------------- */

VEC_INLINE vecf load_some(const float *p, int n)
{
    return n == VEC_W ? vec_load(p) : vec_load_n(p, n);
}
VEC_INLINE void store_some(float *p, vecf v, int n)
{
    if (n == VEC_W) vec_store(p, v);
    else vec_store_n(p, v, n);
}

/* s[c] = sum (x - shift[c]), q[c] = sum (x - shift[c])^2 */
VEC_INLINE void moments(const int vecs, int n_last, const float *x, int64_t rows, int64_t ld, const float *shift,
                        float *s, float *q)
{
    vecf sum[4], square[4], k[4];
    VEC_UNROLL
    for (int j = 0; j < vecs; j++)
        sum[j] = square[j] = vec_set(0), k[j] = load_some(shift + j * VEC_W, j == vecs - 1 ? n_last : VEC_W);
    for (int64_t r = 0; r < rows; r++, x += ld) {
        VEC_UNROLL
        for (int j = 0; j < vecs; j++) {
            vecf d = load_some(x + j * VEC_W, j == vecs - 1 ? n_last : VEC_W) - k[j];
            sum[j] = sum[j] + d;
            square[j] = vec_fma(d, d, square[j]);
        }
    }
    VEC_UNROLL
    for (int j = 0; j < vecs; j++) {
        store_some(s + j * VEC_W, sum[j], j == vecs - 1 ? n_last : VEC_W);
        store_some(q + j * VEC_W, square[j], j == vecs - 1 ? n_last : VEC_W);
    }
}

/* s[c] = sum dy, q[c] = sum dy (x - mean[c]) */
VEC_INLINE void dy_moments(const int vecs, int n_last, const float *x, const float *dy, int64_t rows, int64_t ld,
                           const float *mean, float *s, float *q)
{
    vecf sum[4], product[4], k[4];
    VEC_UNROLL
    for (int j = 0; j < vecs; j++)
        sum[j] = product[j] = vec_set(0), k[j] = load_some(mean + j * VEC_W, j == vecs - 1 ? n_last : VEC_W);
    for (int64_t r = 0; r < rows; r++, x += ld, dy += ld) {
        VEC_UNROLL
        for (int j = 0; j < vecs; j++) {
            vecf d = load_some(dy + j * VEC_W, j == vecs - 1 ? n_last : VEC_W);
            sum[j] = sum[j] + d;
            product[j] = vec_fma(d, load_some(x + j * VEC_W, j == vecs - 1 ? n_last : VEC_W) - k[j], product[j]);
        }
    }
    VEC_UNROLL
    for (int j = 0; j < vecs; j++) {
        store_some(s + j * VEC_W, sum[j], j == vecs - 1 ? n_last : VEC_W);
        store_some(q + j * VEC_W, product[j], j == vecs - 1 ? n_last : VEC_W);
    }
}

/* All channels of a chunk: dy NULL: moments about at[c], else sums with dy. to: [2][C] */
static void chunk_sums(const plan *p, const float *x, const float *dy, int64_t rows, const float *at, float *to)
{
    int64_t c = 0;
    for (; c + 4 * VEC_W <= p->c; c += 4 * VEC_W) {
        if (dy) dy_moments(4, VEC_W, x + c, dy + c, rows, p->c, at + c, to + c, to + p->c + c);
        else moments(4, VEC_W, x + c, rows, p->c, at + c, to + c, to + p->c + c);
    }
    for (; c < p->c; c += VEC_W) {
        int n = (int)min64(VEC_W, p->c - c);
        if (dy) dy_moments(1, n, x + c, dy + c, rows, p->c, at + c, to + c, to + p->c + c);
        else moments(1, n, x + c, rows, p->c, at + c, to + c, to + p->c + c);
    }
}

static void chunk_rows(const plan *p, int32_t chunk, int64_t *r0, int64_t *r1)
{
    *r0 = p->pixels * chunk / p->chunks;
    *r1 = p->pixels * (chunk + 1) / p->chunks;
}

/* mean[c] and rstd[c] of sample n, spread over the channels. */
static void spread(const plan *p, const float *stats, int64_t n, float *mean, float *rstd)
{
    const float *m = stats + n * 2 * p->groups, *r = m + p->groups;
    for (int64_t g = 0; g < p->groups; g++)
        for (int64_t c = g * p->group_c; c < (g + 1) * p->group_c; c++) mean[c] = m[g], rstd[c] = r[g];
}

/* Sums of channel c over the chunks of sample n, in double. */
static void channel_sums(const plan *p, const float *partial, int64_t n, int64_t c, double *s, double *q)
{
    *s = *q = 0;
    for (int32_t chunk = 0; chunk < p->chunks; chunk++) {
        const float *at = partial + (n * p->chunks + chunk) * 2 * p->c + c;
        *s += (double)at[0], *q += (double)at[p->c];
    }
}

static void sums_setup(const plan *p, cpu_work *w)
{
    w->parts[0] = (int32_t)(p->n * p->chunks);
    w->shared_bytes = sizeof(float) * (size_t)(p->n * p->chunks * 2 * p->c);
    w->thread_bytes = sizeof(float) * (size_t)(5 * p->c + VEC_W);
}

/* ---- norm_stats -------------------------------------------------------------------------------------------------------------------------------------- */

static void stats_setup(const gen_call *c, cpu_work *w)
{
    plan p = make_plan(c);
    if (p.pixels == 1) {
        w->parts[0] = cpu_parts_for(p.n * p.groups, max64(1, PART_ELEMENTS / p.group_c));
        return;
    }
    sums_setup(&p, w);
    w->n_phases = 2;
    w->parts[1] = cpu_parts_for(p.n * p.groups, max64(1, 2048 / (p.group_c * p.chunks)));
}

static void stats_join(const gen_call *c, const cpu_job *job, const plan *p)
{
    const float *x = c->in[0].data;
    float *y = c->out[0].data;
    int64_t begin, end;
    cpu_part_range(job, p->n * p->groups, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t n = i / p->groups, g = i % p->groups;
        double total = 0, within = 0, spread_of_means = 0, first_mean = 0, pixels = (double)p->pixels;
        for (int64_t k = 0; k < p->group_c; k++) {
            int64_t ch = g * p->group_c + k;
            double s, q;
            channel_sums(p, job->shared, n, ch, &s, &q);
            double mean = (double)x[n * p->pixels * p->c + ch] + s / pixels;
            if (k == 0) first_mean = mean;
            total += mean - first_mean;
            spread_of_means += (mean - first_mean) * (mean - first_mean);
            within += q - s * s / pixels;
        }
        double channels = (double)p->group_c, shift = total / channels;
        double var = within / (pixels * channels) + spread_of_means / channels - shift * shift;
        if (var < 0) var = 0;
        y[n * 2 * p->groups + g] = (float)(first_mean + shift);
        y[(n * 2 + 1) * p->groups + g] = (float)(1 / sqrt(var + c->attr->a));
    }
}

/* sum (x - shift)^power over n neighbours; at most MAX_CHUNK x VEC_W numbers go into one vector of sums. */
VEC_INLINE double row_moment(const float *x, int64_t n, float shift, const int power)
{
    double total = 0;
    for (int64_t from = 0; from < n; from += MAX_CHUNK * VEC_W) {
        int64_t to = min64(n, from + MAX_CHUNK * VEC_W), i = from;
        vecf sum = vec_set(0), k = vec_set(shift);
        for (; i + VEC_W <= to; i += VEC_W) {
            vecf d = vec_load(x + i) - k;
            sum = power == 1 ? vec_fma(d, vec_set(1), sum) : vec_fma(d, d, sum);
        }
        total += (double)vec_sum(sum);
        for (; i < to; i++) {
            double d = (double)(x[i] - shift);
            total += power == 1 ? d : d * d;
        }
    }
    return total;
}

static void stats_rows(const gen_call *c, const cpu_job *job, const plan *p)
{
    int64_t begin, end;
    cpu_part_range(job, p->n * p->groups, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t n = i / p->groups, g = i % p->groups;
        const float *x = (const float *)c->in[0].data + n * p->c + g * p->group_c;
        double count = (double)p->group_c, mean = (double)x[0] + row_moment(x, p->group_c, x[0], 1) / count;
        double rest = mean - (double)(float)mean, var = row_moment(x, p->group_c, (float)mean, 2) / count - rest * rest;
        float *y = (float *)c->out[0].data + n * 2 * p->groups + g;
        y[0] = (float)mean;
        y[p->groups] = (float)(1 / sqrt((var > 0 ? var : var != var ? var : 0) + c->attr->a));
    }
}

static void stats_run(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    if (p.pixels == 1) {
        stats_rows(c, job, &p);
    } else if (job->phase == 0) {
        int64_t n = job->part / p.chunks, r0, r1;
        chunk_rows(&p, job->part % p.chunks, &r0, &r1);
        const float *x = (const float *)c->in[0].data + n * p.pixels * p.c;
        chunk_sums(&p, x + r0 * p.c, NULL, r1 - r0, x, (float *)job->shared + (int64_t)job->part * 2 * p.c);
    } else {
        stats_join(c, job, &p);
    }
}

const cpu_kernel VEC_FN(norm_stats) = { VEC_NAME("norm_stats"), NULL, stats_setup, NULL, stats_run };

/* ---- norm -------------------------------------------------------------------------------------------------------------------------------------------- */

static int32_t row_parts(const plan *p)
{
    return cpu_parts_for(p->n * p->pixels, max64(1, PART_ELEMENTS / p->c));
}

static void norm_setup(const gen_call *c, cpu_work *w)
{
    plan p = make_plan(c);
    w->parts[0] = row_parts(&p);
    w->thread_bytes = sizeof(float) * (size_t)(2 * p.c + VEC_W);
}

static void norm_run(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    const epilogue e = epilogue_of(c);
    const float *x = c->in[0].data, *stats = c->in[1].data, *gamma = c->in[2].data, *beta = c->in[3].data;
    float *y = c->out[0].data, *mean = job->scratch, *scale = mean + p.c;
    bool plain = !e.bias && !e.residual;
    vecf slope = vec_set(e.slope);
    int64_t begin, end, sample = -1;
    cpu_part_range(job, p.n * p.pixels, 1, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        if (row / p.pixels != sample) {
            sample = row / p.pixels;
            spread(&p, stats, sample, mean, scale);
            for (int64_t k = 0; k < p.c; k++) scale[k] *= gamma[k];
        }
        const float *from = x + row * p.c;
        float *to = y + row * p.c;
        int64_t k = 0;
        if (plain)
            for (; k + VEC_W <= p.c; k += VEC_W) {
                vecf v = vec_fma(vec_load(from + k) - vec_load(mean + k), vec_load(scale + k), vec_load(beta + k));
                vec_store(to + k, vec_max(v * slope, v));
            }
        for (; k < p.c; k += VEC_W) {
            int n = (int)min64(VEC_W, p.c - k);
            vecf v = vec_fma(load_some(from + k, n) - load_some(mean + k, n), load_some(scale + k, n),
                             load_some(beta + k, n));
            epilogue_store(&e, v, to + k, k, n);
        }
        if (e.late) epilogue_late(&e, to, p.c);
    }
}

const cpu_kernel VEC_FN(norm) = { VEC_NAME("norm"), NULL, norm_setup, NULL, norm_run };

/* ---- norm_dx ----------------------------------------------------------------------------------------------------------------------------------------- */

static void dx_setup(const gen_call *c, cpu_work *w)
{
    plan p = make_plan(c);
    if (p.pixels == 1) {
        w->parts[0] = cpu_parts_for(p.n * p.groups, max64(1, PART_ELEMENTS / p.group_c));
        return;
    }
    sums_setup(&p, w);
    w->shared_bytes += sizeof(float) * (size_t)(p.n * 2 * p.groups); /* sum e / M, sum e u / M of each group */
    w->n_phases = 3;
    w->parts[1] = cpu_parts_for(p.n * p.groups, max64(1, 2048 / (p.group_c * p.chunks)));
    w->parts[2] = row_parts(&p);
}

static void dx_join(const gen_call *c, const cpu_job *job, const plan *p, float *means)
{
    const float *stats = c->in[1].data, *gamma = c->in[2].data;
    int64_t begin, end;
    cpu_part_range(job, p->n * p->groups, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t n = i / p->groups, g = i % p->groups;
        double e = 0, eu = 0, rstd = (double)stats[(n * 2 + 1) * p->groups + g],
               count = (double)(p->pixels * p->group_c);
        for (int64_t k = g * p->group_c; k < (g + 1) * p->group_c; k++) {
            double s, q;
            channel_sums(p, job->shared, n, k, &s, &q);
            e += (double)gamma[k] * s, eu += (double)gamma[k] * q;
        }
        means[n * 2 * p->groups + g] = (float)(e / count);
        means[(n * 2 + 1) * p->groups + g] = (float)(eu * rstd / count);
    }
}

/* dx = rstd gamma dy - rstd e - (x - mean) rstd^2 eu, one row; a = rstd gamma, b = rstd e, k = rstd^2 eu */
static void dx_rows(const gen_call *c, const cpu_job *job, const plan *p, const float *means)
{
    const float *x = c->in[0].data, *gamma = c->in[2].data, *dy = c->in[3].data;
    float *dx = c->out[0].data, *mean = job->scratch, *rstd = mean + p->c, *a = rstd + p->c, *b = a + p->c,
          *k = b + p->c;
    int64_t begin, end, sample = -1;
    cpu_part_range(job, p->n * p->pixels, 1, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        if (row / p->pixels != sample) {
            sample = row / p->pixels;
            spread(p, c->in[1].data, sample, mean, rstd);
            spread(p, means, sample, b, k);
            for (int64_t i = 0; i < p->c; i++) a[i] = rstd[i] * gamma[i], b[i] *= rstd[i], k[i] *= rstd[i] * rstd[i];
        }
        const float *xr = x + row * p->c, *dr = dy + row * p->c;
        float *to = dx + row * p->c;
        for (int64_t i = 0; i < p->c; i += VEC_W) {
            int n = (int)min64(VEC_W, p->c - i);
            vecf d = vec_fma(load_some(dr + i, n), load_some(a + i, n), vec_set(0) - load_some(b + i, n));
            store_some(to + i, d - (load_some(xr + i, n) - load_some(mean + i, n)) * load_some(k + i, n), n);
        }
    }
}

static void dx_one_pixel(const gen_call *c, const cpu_job *job, const plan *p)
{
    const float *stats = c->in[1].data;
    int64_t begin, end;
    cpu_part_range(job, p->n * p->groups, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t n = i / p->groups, g = i % p->groups, at = n * p->c + g * p->group_c;
        const float *x = (const float *)c->in[0].data + at, *gamma = (const float *)c->in[2].data + g * p->group_c,
                    *dy = (const float *)c->in[3].data + at;
        float *dx = (float *)c->out[0].data + at, mean = stats[n * 2 * p->groups + g],
              rstd = stats[(n * 2 + 1) * p->groups + g];
        vecf e = vec_set(0), eu = vec_set(0), m = vec_set(mean), s = vec_set(rstd);
        for (int64_t k = 0; k < p->group_c; k += VEC_W) {
            int left = (int)min64(VEC_W, p->group_c - k);
            vecf d = load_some(dy + k, left) * load_some(gamma + k, left); /* zeros past the end */
            e = e + d;
            eu = vec_fma(d, (load_some(x + k, left) - m) * s, eu);
        }
        vecf mean_e = vec_set(vec_sum(e) / (float)p->group_c), mean_eu = vec_set(vec_sum(eu) / (float)p->group_c);
        for (int64_t k = 0; k < p->group_c; k += VEC_W) {
            int left = (int)min64(VEC_W, p->group_c - k);
            vecf d = load_some(dy + k, left) * load_some(gamma + k, left), u = (load_some(x + k, left) - m) * s;
            store_some(dx + k, s * (d - mean_e - u * mean_eu), left);
        }
    }
}

/* Phase 0 of norm_dx: sums of dy and dy (x - mean) of each chunk. */
static void dy_chunk(const gen_call *c, const cpu_job *job, const plan *p, const float *dy)
{
    float *mean = job->scratch, *rstd = mean + p->c;
    int64_t n = job->part / p->chunks, r0, r1;
    chunk_rows(p, job->part % p->chunks, &r0, &r1);
    spread(p, c->in[1].data, n, mean, rstd);
    int64_t at = (n * p->pixels + r0) * p->c;
    chunk_sums(p, (const float *)c->in[0].data + at, dy + at, r1 - r0, mean,
               (float *)job->shared + (int64_t)job->part * 2 * p->c);
}

static void dx_run(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    float *means = (float *)job->shared + p.n * p.chunks * 2 * p.c;
    if (p.pixels == 1) dx_one_pixel(c, job, &p);
    else if (job->phase == 0) dy_chunk(c, job, &p, c->in[3].data);
    else if (job->phase == 1) dx_join(c, job, &p, means);
    else dx_rows(c, job, &p, means);
}

const cpu_kernel VEC_FN(norm_dx) = { VEC_NAME("norm_dx"), NULL, dx_setup, NULL, dx_run };

/* ---- norm_dp ----------------------------------------------------------------------------------------------------------------------------------------- */

/* Rows (n, i) in chunks of at most MAX_CHUNK, whatever the samples are: each chunk sums dy and dy u. */
static int64_t dp_chunks(const plan *p)
{
    int64_t rows = p->n * p->pixels;
    return max64(
        1, min64(rows, max64(ceil_div(rows, MAX_CHUNK), min64(WANTED_PARTS, ceil_div(rows * p->c, PART_ELEMENTS)))));
}

static void dp_setup(const gen_call *c, cpu_work *w)
{
    plan p = make_plan(c);
    w->n_phases = 2;
    w->parts[0] = (int32_t)dp_chunks(&p);
    w->parts[1] = cpu_parts_for(p.c, 64);
    w->shared_bytes = sizeof(float) * (size_t)(dp_chunks(&p) * 2 * p.c);
    w->thread_bytes = sizeof(float) * (size_t)(4 * p.c + VEC_W);
}

static void dp_run(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    const float *x = c->in[0].data, *dy = c->in[2].data;
    int64_t chunks = dp_chunks(&p), rows = p.n * p.pixels;
    if (job->phase == 1) {
        float *y = c->out[0].data;
        int64_t begin, end;
        cpu_part_range(job, p.c, 1, &begin, &end);
        for (int64_t k = begin; k < end; k++) {
            double s = 0, q = 0;
            for (int64_t i = 0; i < chunks; i++) {
                const float *at = (const float *)job->shared + i * 2 * p.c + k;
                s += (double)at[0], q += (double)at[p.c];
            }
            y[k] = (float)q, y[p.c + k] = (float)s;
        }
        return;
    }
    float *total = (float *)job->shared + (int64_t)job->part * 2 * p.c, *mean = job->scratch, *rstd = mean + p.c,
          *sums = rstd + p.c;
    int64_t r0 = rows * job->part / chunks, r1 = rows * (job->part + 1) / chunks;
    memset(total, 0, sizeof(float) * (size_t)(2 * p.c));
    for (int64_t r = r0; r < r1;) { /* the rows of one sample at a time */
        int64_t n = r / p.pixels, until = min64(r1, (n + 1) * p.pixels);
        spread(&p, c->in[1].data, n, mean, rstd);
        chunk_sums(&p, x + r * p.c, dy + r * p.c, until - r, mean, sums);
        for (int64_t k = 0; k < p.c; k++) total[k] += sums[k], total[p.c + k] += sums[p.c + k] * rstd[k];
        r = until;
    }
}

const cpu_kernel VEC_FN(norm_dp) = { VEC_NAME("norm_dp"), NULL, dp_setup, NULL, dp_run };
