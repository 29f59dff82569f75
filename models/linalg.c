#include "models/linalg.h"

#include "io/plugin.h"
#include "models/linalg_plugin.h"

#include <math.h>

static gen_status open_plugin(const gen_linalg_plugin_table **table, gen_error *err)
{
    const void *found;
    GEN_TRY(gen_plugin_open("gen_linalg", GEN_LINALG_PLUGIN_VERSION, "eigenvectors (LAPACK of OpenBLAS)", &found, err));
    *table = found;
    return GEN_OK;
}

static gen_status check_size(int64_t n, int64_t k, gen_error *err)
{
    if (n >= 1 && n <= GEN_EIGEN_MOST && k >= 1 && k <= n) return GEN_OK;
    return gen_fail(err, GEN_UNSUPPORTED, "%lld eigenvectors of a matrix of %lld rows: at most %d rows are taken",
                    (long long)k, (long long)n, GEN_EIGEN_MOST);
}

gen_status gen_gram_add(const double *x, int64_t rows, int64_t n, double *c, gen_error *err)
{
    const gen_linalg_plugin_table *table;
    GEN_TRY(check_size(n, 1, err));
    GEN_TRY(open_plugin(&table, err));
    if (rows > 0 && rows <= INT32_MAX) table->gram(x, (int32_t)rows, (int32_t)n, c);
    return GEN_OK;
}

static void swap(double *a, double *b)
{
    double keep = *a;
    *a = *b;
    *b = keep;
}

/* Rising becomes falling. */
static void reverse(double *values, double *vectors, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < k / 2; i++) {
        swap(&values[i], &values[k - 1 - i]);
        for (int64_t j = 0; j < n; j++) swap(&vectors[i * n + j], &vectors[(k - 1 - i) * n + j]);
    }
}

static void fix_sign(double *vector, int64_t n)
{
    int64_t largest = 0;
    for (int64_t j = 1; j < n; j++)
        if (fabs(vector[j]) > fabs(vector[largest])) largest = j;
    if (vector[largest] >= 0) return;
    for (int64_t j = 0; j < n; j++) vector[j] = -vector[j];
}

gen_status gen_eigen_largest(double *c, int64_t n, int64_t k, double *values, double *vectors, gen_error *err)
{
    const gen_linalg_plugin_table *table;
    GEN_TRY(check_size(n, k, err));
    GEN_TRY(open_plugin(&table, err));
    int info = table->eigen(c, (int32_t)n, (int32_t)k, values, vectors);
    if (info < 0) return gen_fail(err, GEN_NO_MEMORY, "no memory for eigenvectors of %lld rows", (long long)n);
    if (info > 0)
        return gen_fail(err, GEN_NOT_FINITE, "the eigenvectors of %lld rows did not converge: are all numbers finite?",
                        (long long)n);
    reverse(values, vectors, n, k);
    for (int64_t i = 0; i < k; i++) fix_sign(vectors + i * n, n);
    return GEN_OK;
}
