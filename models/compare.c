#include "models/compare.h"

#include <math.h>
#include <stdbool.h>

enum { LANES = 16, MOST_NEIGHBOURS = 32 };

/* |a - b|^2; sums in lanes, so that a compiler may use vectors and the order stays fixed */
static float square_distance(const float *a, const float *b, int64_t d)
{
    float lane[LANES] = { 0 }, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= d; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += (a[i + l] - b[i + l]) * (a[i + l] - b[i + l]);
    for (; i < d; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    for (int l = 0; l < LANES; l++) sum += lane[l];
    return sum;
}

/* best[k], rising, takes a new value if it belongs there; where[k] (may be NULL) its index */
static void insert(float *best, int64_t *where, int64_t k, float value, int64_t index)
{
    if (!(value < best[k - 1])) return;
    int64_t at = k - 1;
    for (; at > 0 && value < best[at - 1]; at--) {
        best[at] = best[at - 1];
        if (where) where[at] = where[at - 1];
    }
    best[at] = value;
    if (where) where[at] = index;
}

/* square[n]: to the k-th neighbour of each row among the others */
static void radii(const float *x, int64_t n, int64_t d, int64_t k, float *square)
{
    for (int64_t i = 0; i < n; i++) {
        float best[MOST_NEIGHBOURS];
        for (int64_t j = 0; j < k; j++) best[j] = INFINITY;
        for (int64_t j = 0; j < n; j++)
            if (j != i) insert(best, NULL, k, square_distance(x + i * d, x + j * d, d), j);
        square[i] = best[k - 1];
    }
}

/* Each pair is looked at once, for both sides. inside[n_made]: made rows in real's manifold; returns the number of real rows in made's. */
static int64_t cover(const float *real, const float *real_radius, int64_t n_real, const float *made,
                     const float *made_radius, int64_t n_made, int64_t d, uint8_t *inside)
{
    int64_t n = 0;
    for (int64_t i = 0; i < n_real; i++) {
        bool found = false;
        for (int64_t j = 0; j < n_made; j++) {
            float square = square_distance(real + i * d, made + j * d, d);
            inside[j] |= square <= real_radius[i];
            found |= square <= made_radius[j];
        }
        n += found;
    }
    return n;
}

gen_status gen_precision_recall(const float *real, int64_t n_real, const float *made, int64_t n_made, int64_t d,
                                int64_t k, double *precision, double *recall, gen_error *err)
{
    if (k < 1 || k > MOST_NEIGHBOURS || n_real <= k || n_made <= k)
        return gen_fail(err, GEN_BAD_SHAPE,
                        "precision and recall with %lld neighbours need more than %lld pictures on each side",
                        (long long)k, (long long)k);
    float *radius = gen_alloc((size_t)(n_real + n_made), sizeof *radius);
    uint8_t *inside = gen_alloc((size_t)n_made, sizeof *inside);
    gen_status status = radius && inside ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for distances");
    if (status == GEN_OK) {
        int64_t n = 0;
        for (int64_t j = 0; j < n_made; j++) inside[j] = 0;
        radii(real, n_real, d, k, radius);
        radii(made, n_made, d, k, radius + n_real);
        *recall = (double)cover(real, radius, n_real, made, radius + n_real, n_made, d, inside) / (double)n_real;
        for (int64_t j = 0; j < n_made; j++) n += inside[j];
        *precision = (double)n / (double)n_made;
    }
    gen_free(radius);
    gen_free(inside);
    return status;
}

void gen_nearest(const float *x, const float *others, int64_t n, int64_t d, int64_t k, int64_t *index, double *square)
{
    float best[MOST_NEIGHBOURS];
    if (k > MOST_NEIGHBOURS) k = MOST_NEIGHBOURS;
    for (int64_t j = 0; j < k; j++) best[j] = INFINITY, index[j] = 0;
    for (int64_t i = 0; i < n; i++) insert(best, index, k, square_distance(x, others + i * d, d), i);
    for (int64_t j = 0; j < k; j++) square[j] = (double)best[j];
}

static int64_t likeliest(const float *p, int64_t classes)
{
    int64_t best = 0;
    for (int64_t c = 1; c < classes; c++)
        if (p[c] > p[best]) best = c;
    return best;
}

void gen_class_shares(const float *probability, int64_t n, int64_t classes, double confidence, double *share)
{
    for (int64_t c = 0; c < classes; c++) share[c] = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *p = probability + i * classes;
        int64_t c = likeliest(p, classes);
        if ((double)p[c] >= confidence) share[c] += 1 / (double)n;
    }
}

double gen_class_agreement(const float *probability, const float *labels, int64_t n, int64_t classes)
{
    int64_t right = 0;
    for (int64_t i = 0; i < n; i++) right += likeliest(probability + i * classes, classes) == (int64_t)labels[i];
    return n ? (double)right / (double)n : 0;
}

double gen_class_divergence(const double *p, const double *q, int64_t classes)
{
    double sum = 0;
    for (int64_t c = 0; c < classes; c++)
        if (p[c] > 0) sum += q[c] > 0 ? p[c] * log(p[c] / q[c]) : (double)INFINITY;
    return sum;
}
