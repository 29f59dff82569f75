/* Normalisation of x[N,..,C] in G groups of C/G neighbouring channels; i runs over the pixels between N and C, and M =
 * pixels C/G.
 *
 *   norm_stats  mean[n,g] = sum x / M,  var[n,g] = sum (x - mean)^2 / M,  rstd = 1/sqrt(var + eps);  y[n,0,g] = mean,
 * y[n,1,g] = rstd norm        y = (x - mean) rstd gamma[c] + beta[c] norm_dx     with u = (x - mean) rstd and e = dy
 * gamma[c]:  dx = rstd (e - sum e / M - u sum (e u) / M), sums over the group norm_dp     y[0,c] = sum_{n,i} dy u,
 * y[1,c] = sum_{n,i} dy
 */
#include "kernels/cpu/ref/ref.h"

typedef struct sizes {
    int64_t n, pixels, c, groups, group_c;
} sizes;

static sizes sizes_of(const gen_call *call)
{
    const gen_shape *x = &call->in[0].shape;
    sizes z = { .n = x->dim[0], .c = ref_last(x), .groups = call->attr->groups };
    z.pixels = gen_shape_count(x) / (z.n * z.c);
    z.group_c = z.c / z.groups;
    return z;
}

static int64_t element(const sizes *z, int64_t n, int64_t i, int64_t c)
{
    return (n * z->pixels + i) * z->c + c;
}

static double mean_of(const sizes *z, const REAL *stats, int64_t n, int64_t g)
{
    return (double)stats[(n * 2 + 0) * z->groups + g];
}

static double rstd_of(const sizes *z, const REAL *stats, int64_t n, int64_t g)
{
    return (double)stats[(n * 2 + 1) * z->groups + g];
}

/* One part a group of a sample. */
static void group_setup(const gen_call *c, cpu_work *w)
{
    sizes z = sizes_of(c);
    w->parts[0] = cpu_parts_for(z.n * z.groups, 1);
}

static void group_stats(const sizes *z, const REAL *x, int64_t n, int64_t g, double *mean, double *var)
{
    double sum = 0, square = 0, count = (double)(z->pixels * z->group_c);
    for (int64_t i = 0; i < z->pixels; i++)
        for (int64_t c = g * z->group_c; c < (g + 1) * z->group_c; c++) sum += (double)x[element(z, n, i, c)];
    *mean = sum / count;
    for (int64_t i = 0; i < z->pixels; i++)
        for (int64_t c = g * z->group_c; c < (g + 1) * z->group_c; c++) {
            double d = (double)x[element(z, n, i, c)] - *mean;
            square += d * d;
        }
    *var = square / count;
}

static void norm_stats_run(const gen_call *call, const cpu_job *job)
{
    const sizes z = sizes_of(call);
    int64_t begin, end;
    cpu_part_range(job, z.n * z.groups, 1, &begin, &end);
    for (int64_t group = begin; group < end; group++) {
        int64_t n = group / z.groups, g = group % z.groups;
        double mean, var;
        group_stats(&z, ref_in(call, 0), n, g, &mean, &var);
        ref_out(call)[(n * 2 + 0) * z.groups + g] = (REAL)mean;
        ref_out(call)[(n * 2 + 1) * z.groups + g] = (REAL)(1 / sqrt(var + call->attr->a));
    }
}

static void pixels_setup(const gen_call *c, cpu_work *w)
{
    sizes z = sizes_of(c);
    w->parts[0] = cpu_parts_for(z.n * z.pixels, 64);
}

static void norm_run(const gen_call *call, const cpu_job *job)
{
    const sizes z = sizes_of(call);
    const REAL *x = ref_in(call, 0), *stats = ref_in(call, 1), *gamma = ref_in(call, 2), *beta = ref_in(call, 3);
    int64_t begin, end;
    cpu_part_range(job, z.n * z.pixels, 1, &begin, &end);
    for (int64_t pixel = begin; pixel < end; pixel++)
        for (int64_t n = pixel / z.pixels, c = 0; c < z.c; c++) {
            int64_t at = pixel * z.c + c, g = c / z.group_c;
            double u = ((double)x[at] - mean_of(&z, stats, n, g)) * rstd_of(&z, stats, n, g);
            ref_out(call)[at] = (REAL)ref_epilogue(&call->epilogue, at, c, u * (double)gamma[c] + (double)beta[c]);
        }
}

static void group_dx(const gen_call *call, const sizes *z, int64_t n, int64_t g)
{
    const REAL *x = ref_in(call, 0), *stats = ref_in(call, 1), *gamma = ref_in(call, 2), *dy = ref_in(call, 3);
    double mean = mean_of(z, stats, n, g), rstd = rstd_of(z, stats, n, g), count = (double)(z->pixels * z->group_c);
    double sum_e = 0, sum_eu = 0;
    for (int64_t i = 0; i < z->pixels; i++)
        for (int64_t c = g * z->group_c; c < (g + 1) * z->group_c; c++) {
            int64_t at = element(z, n, i, c);
            double e = (double)dy[at] * (double)gamma[c];
            sum_e += e;
            sum_eu += e * ((double)x[at] - mean) * rstd;
        }
    for (int64_t i = 0; i < z->pixels; i++)
        for (int64_t c = g * z->group_c; c < (g + 1) * z->group_c; c++) {
            int64_t at = element(z, n, i, c);
            double e = (double)dy[at] * (double)gamma[c], u = ((double)x[at] - mean) * rstd;
            ref_out(call)[at] = (REAL)(rstd * (e - sum_e / count - u * (sum_eu / count)));
        }
}

static void norm_dx_run(const gen_call *call, const cpu_job *job)
{
    const sizes z = sizes_of(call);
    int64_t begin, end;
    cpu_part_range(job, z.n * z.groups, 1, &begin, &end);
    for (int64_t group = begin; group < end; group++) group_dx(call, &z, group / z.groups, group % z.groups);
}

static void channels_setup(const gen_call *c, cpu_work *w)
{
    w->parts[0] = cpu_parts_for(sizes_of(c).c, 1);
}

static void norm_dp_run(const gen_call *call, const cpu_job *job)
{
    const sizes z = sizes_of(call);
    const REAL *x = ref_in(call, 0), *stats = ref_in(call, 1), *dy = ref_in(call, 2);
    int64_t begin, end;
    cpu_part_range(job, z.c, 1, &begin, &end);
    for (int64_t c = begin; c < end; c++) {
        double dgamma = 0, dbeta = 0;
        for (int64_t n = 0; n < z.n; n++)
            for (int64_t i = 0, g = c / z.group_c; i < z.pixels; i++) {
                int64_t at = element(&z, n, i, c);
                dgamma += (double)dy[at] * ((double)x[at] - mean_of(&z, stats, n, g)) * rstd_of(&z, stats, n, g);
                dbeta += (double)dy[at];
            }
        ref_out(call)[c] = (REAL)dgamma;
        ref_out(call)[z.c + c] = (REAL)dbeta;
    }
}

REF_KERNEL(norm_stats, group_setup, norm_stats_run)
REF_KERNEL(norm, pixels_setup, norm_run)
REF_KERNEL(norm_dx, group_setup, norm_dx_run)
REF_KERNEL(norm_dp, channels_setup, norm_dp_run)
