#include "models/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/linalg.h"

enum { SSIM_WINDOW = 11 };
static const double ssim_sigma = 1.5, ssim_c1 = 0.01 * 0.01,
                    ssim_c2 = 0.03 * 0.03; /* Wang et al. 2004, section III.C */

/* ---- nodes --------------------------------------------------------------------------------------------------------------- */

gen_node *gen_image_sum(gen_graph *g, gen_node *x)
{
    if (x->shape.rank < 2) return x; /* what a failed builder returned */
    int64_t n = x->shape.dim[0], pixels = gen_shape_count(&x->shape) / n;
    return gen_reshape(g, gen_sum(g, gen_reshape(g, x, GEN_SHAPE(n, pixels)), GEN_AXIS(1)), GEN_SHAPE(n));
}

gen_node *gen_image_mean(gen_graph *g, gen_node *x)
{
    if (x->shape.rank < 2) return x;
    return gen_scale(g, gen_image_sum(g, x), (double)x->shape.dim[0] / (double)gen_shape_count(&x->shape));
}

/* The side of the window: odd, and not more than the picture has. */
static int64_t ssim_side(int64_t h, int64_t w)
{
    int64_t least = h < w ? h : w, side = least < SSIM_WINDOW ? least : SSIM_WINDOW;
    return side - (side % 2 == 0);
}

/* weight[side], normalised: the window is its product with itself */
static void ssim_weights(int64_t side, double *weight)
{
    double sum = 0;
    for (int64_t i = 0; i < side; i++) {
        double d = (double)(i - side / 2);
        weight[i] = exp(-d * d / (2 * ssim_sigma * ssim_sigma));
        sum += weight[i];
    }
    for (int64_t i = 0; i < side; i++) weight[i] /= sum;
}

/* x[N,H,W,C] -> [N C,H,W] */
static gen_node *planes(gen_graph *g, gen_node *x)
{
    static const int32_t channel_first[] = { 0, 3, 1, 2 };
    int64_t n = x->shape.dim[0], h = x->shape.dim[1], w = x->shape.dim[2], c = x->shape.dim[3];
    if (c > 1) x = gen_transpose(g, x, channel_first);
    return gen_reshape(g, x, GEN_SHAPE(n * c, h, w));
}

/* The window along one axis as a matrix [n,n - side + 1]: column j has its weights in rows j, j + 1, … */
static gen_node *ssim_band(gen_graph *g, int64_t n, int64_t side)
{
    double weight[SSIM_WINDOW];
    int64_t places = n - side + 1;
    float *band = gen_arena_alloc(gen_graph_arena(g), (size_t)(n * places) * sizeof *band);
    ssim_weights(side, weight);
    if (!band) {
        gen_graph_fail(g, GEN_NO_MEMORY, "no memory for a window over %lld pixels", (long long)n);
        return gen_fill(g, GEN_SHAPE(n, places), 0);
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < places; j++) band[i * places + j] = i >= j && i < j + side ? (float)weight[i - j] : 0;
    return gen_const(g, GEN_SHAPE(n, places), band);
}

/* x[N,H,W] -> weighted means of its windows [N,W',H'] */
static gen_node *ssim_means(gen_graph *g, gen_node *x, int64_t side)
{
    static const int32_t turned[] = { 0, 2, 1 };
    gen_node *rows = gen_matmul(g, x, ssim_band(g, x->shape.dim[2], side), false, false);
    return gen_matmul(g, gen_transpose(g, rows, turned), ssim_band(g, x->shape.dim[1], side), false, false);
}

gen_node *gen_image_ssim(gen_graph *g, gen_node *a, gen_node *b)
{
    if (a->shape.rank != 4 || b->shape.rank != 4) return a;
    int64_t n = a->shape.dim[0], side = ssim_side(a->shape.dim[1], a->shape.dim[2]);
    gen_node *x = planes(g, a), *y = planes(g, b), *mean[5];
    gen_node *const maps[5] = { x, y, gen_square(g, x), gen_square(g, y), gen_mul(g, x, y) };
    gen_node *all = ssim_means(g, gen_concat(g, 5, maps, 0), side);
    for (int i = 0; i < 5; i++) mean[i] = gen_slice(g, all, 0, i * x->shape.dim[0], x->shape.dim[0]);
    gen_node *xx = gen_square(g, mean[0]), *yy = gen_square(g, mean[1]), *xy = gen_mul(g, mean[0], mean[1]);
    gen_node *var = gen_sub(g, gen_add(g, mean[2], mean[3]), gen_add(g, xx, yy));
    gen_node *top = gen_mul(g, gen_affine(g, xy, 2, ssim_c1), gen_affine(g, gen_sub(g, mean[4], xy), 2, ssim_c2));
    gen_node *bottom = gen_mul(g, gen_affine(g, gen_add(g, xx, yy), 1, ssim_c1), gen_affine(g, var, 1, ssim_c2));
    gen_node *map = gen_div(g, top, bottom);
    return gen_image_mean(g, gen_reshape(g, map, GEN_SHAPE(n, gen_shape_count(&map->shape) / n)));
}

void gen_output_errors(gen_graph *g, const char *prefix, gen_node *y, gen_node *x)
{
    static const double per_neper = 4.34294481903251827651; /* 10 / ln 10 */
    char name[64];
    gen_node *error = gen_square(g, gen_sub(g, y, x)), *mse = gen_image_mean(g, error);
    snprintf(name, sizeof name, "%smse", prefix);
    gen_output(g, name, mse);
    snprintf(name, sizeof name, "%ssse", prefix);
    gen_output(g, name, gen_image_sum(g, error));
    snprintf(name, sizeof name, "%spsnr", prefix);
    gen_output(g, name, gen_scale(g, gen_log(g, gen_max(g, mse, gen_scalar(g, 1e-10))), -per_neper));
    snprintf(name, sizeof name, "%sssim", prefix);
    gen_output(g, name, gen_image_ssim(g, y, x));
}

/* ---- arrays ---------------------------------------------------------------------------------------------------------------- */

double gen_mse_of(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum / (double)n;
}

double gen_psnr(const float *a, const float *b, int64_t n)
{
    return -10 * log10(gen_mse_of(a, b, n));
}

/* One place of one channel: the window's upper left pixel is a[0], b[0]; rows are `row` apart, pixels `step`. */
static double ssim_at(const float *a, const float *b, int64_t row, int64_t step, int64_t side, const double *weight)
{
    double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (int64_t r = 0; r < side; r++)
        for (int64_t s = 0; s < side; s++) {
            double w = weight[r] * weight[s], p = (double)a[r * row + s * step], q = (double)b[r * row + s * step];
            x += w * p, y += w * q, xx += w * p * p, yy += w * q * q, xy += w * p * q;
        }
    double vx = xx - x * x, vy = yy - y * y, vxy = xy - x * y;
    return (2 * x * y + ssim_c1) * (2 * vxy + ssim_c2) / ((x * x + y * y + ssim_c1) * (vx + vy + ssim_c2));
}

double gen_ssim(const float *a, const float *b, int64_t h, int64_t w, int64_t c)
{
    double weight[SSIM_WINDOW], sum = 0;
    int64_t side = ssim_side(h, w), places = (h - side + 1) * (w - side + 1);
    ssim_weights(side, weight);
    for (int64_t i = 0; i < places; i++)
        for (int64_t k = 0; k < c; k++) {
            int64_t at = (i / (w - side + 1) * w + i % (w - side + 1)) * c + k;
            sum += ssim_at(a + at, b + at, w * c, c, side, weight);
        }
    return sum / (double)(places * c);
}

/* ---- sets of feature vectors -------------------------------------------------------------------------------------------------- */

enum { FIT_ROWS = 64 };

/* The normal distribution of x[n,d]: mean[d] and covariance cov[d,d]; rows[FIT_ROWS,d] is room. */
static gen_status fit_normal(const float *x, int64_t n, int64_t d, double *mean, double *cov, double *rows,
                             gen_error *err)
{
    memset(mean, 0, (size_t)d * sizeof *mean);
    memset(cov, 0, (size_t)(d * d) * sizeof *cov);
    for (int64_t i = 0; i < n * d; i++) mean[i % d] += (double)x[i] / (double)n;
    for (int64_t i = 0; i < n; i += FIT_ROWS) {
        int64_t some = n - i < FIT_ROWS ? n - i : FIT_ROWS;
        for (int64_t j = 0; j < some * d; j++) rows[j] = ((double)x[i * d + j] - mean[j % d]) / sqrt((double)(n - 1));
        GEN_TRY(gen_gram_add(rows, some, d, cov, err));
    }
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = i + 1; j < d; j++) cov[i * d + j] = cov[j * d + i];
    return GEN_OK;
}

static double trace_of(const double *c, int64_t d)
{
    double sum = 0;
    for (int64_t i = 0; i < d; i++) sum += c[i * d + i];
    return sum;
}

/* y[d,d] = a b */
static void product(const double *a, const double *b, int64_t d, double *y)
{
    memset(y, 0, (size_t)(d * d) * sizeof *y);
    for (int64_t i = 0; i < d; i++)
        for (int64_t k = 0; k < d; k++)
            for (int64_t j = 0; j < d; j++) y[i * d + j] += a[i * d + k] * b[k * d + j];
}

static double root(double x)
{
    return x > 0 ? sqrt(x) : 0;
}

/* c (destroyed) -> its symmetric root; values[d], vectors[d,d] are room */
static gen_status root_of(double *c, int64_t d, double *values, double *vectors, double *out, gen_error *err)
{
    GEN_TRY(gen_eigen_largest(c, d, d, values, vectors, err));
    memset(out, 0, (size_t)(d * d) * sizeof *out);
    for (int64_t k = 0; k < d; k++)
        for (int64_t i = 0; i < d; i++)
            for (int64_t j = 0; j < d; j++) out[i * d + j] += root(values[k]) * vectors[k * d + i] * vectors[k * d + j];
    return GEN_OK;
}

/* room: 5 d d + (3 + FIT_ROWS) d doubles */
static gen_status frechet_in(double *room, const float *a, int64_t n_a, const float *b, int64_t n_b, int64_t d,
                             double *distance, gen_error *err)
{
    double *s1 = room, *s2 = s1 + d * d, *r = s2 + d * d, *t = r + d * d, *vectors = t + d * d;
    double *m1 = vectors + d * d, *m2 = m1 + d, *values = m2 + d, *rows = values + d, sum = 0;
    GEN_TRY(fit_normal(a, n_a, d, m1, s1, rows, err));
    GEN_TRY(fit_normal(b, n_b, d, m2, s2, rows, err));
    sum = trace_of(s1, d) + trace_of(s2, d);
    for (int64_t j = 0; j < d; j++) sum += (m1[j] - m2[j]) * (m1[j] - m2[j]);
    GEN_TRY(root_of(s1, d, values, vectors, r, err));
    product(r, s2, d, t);
    product(t, r, d, s1);
    GEN_TRY(gen_eigen_largest(s1, d, d, values, vectors, err));
    for (int64_t k = 0; k < d; k++) sum -= 2 * root(values[k]);
    *distance = sum;
    return GEN_OK;
}

gen_status gen_frechet(const float *a, int64_t n_a, const float *b, int64_t n_b, int64_t d, double *distance,
                       gen_error *err)
{
    if (n_a < 2 || n_b < 2 || d < 1)
        return gen_fail(err, GEN_BAD_SHAPE, "a Frechet distance needs at least 2 pictures on each side");
    double *room = gen_alloc((size_t)(5 * d * d + (3 + FIT_ROWS) * d), sizeof *room);
    if (!room) return gen_fail(err, GEN_NO_MEMORY, "no memory for covariances of %lld features", (long long)d);
    gen_status status = frechet_in(room, a, n_a, b, n_b, d, distance, err);
    gen_free(room);
    return status;
}

/* Mean of (x.y / d + 1)^3 over pairs; a pair of one row with itself is left out when a is b. */
static double kernel_mean(const float *a, const float *b, int64_t n, int64_t d)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            float dot = 0;
            if (a == b && i == j) continue;
            for (int64_t k = 0; k < d; k++) dot += a[i * d + k] * b[j * d + k];
            double base = (double)dot / (double)d + 1;
            sum += base * base * base;
        }
    return sum / (double)(a == b ? n * (n - 1) : n * n);
}

double gen_kernel_distance(const float *a, int64_t n_a, const float *b, int64_t n_b, int64_t d)
{
    enum { SUBSET = 1000 };
    int64_t n = n_a < n_b ? n_a : n_b, size = n < SUBSET ? n : SUBSET, subsets = size > 1 ? n / size : 0;
    double sum = 0;
    if (!subsets) return NAN;
    for (int64_t s = 0; s < subsets; s++) {
        const float *x = a + s * size * d, *y = b + s * size * d;
        sum += kernel_mean(x, x, size, d) + kernel_mean(y, y, size, d) - 2 * kernel_mean(x, y, size, d);
    }
    return sum / (double)subsets;
}
