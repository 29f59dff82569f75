/* The plugin libgen_linalg.so: eigenvalues by LAPACK (OpenBLAS). On one thread: what comes out must not depend on the number of cores. */
#include "models/linalg_plugin.h"

#include <stdlib.h>

/* BLAS and LAPACK, Fortran's interface: columns, everything by address */
extern void dsyrk_(const char *uplo, const char *trans, const int32_t *n, const int32_t *k, const double *alpha,
                   const double *a, const int32_t *lda, const double *beta, double *c, const int32_t *ldc);
extern void dsyevr_(const char *jobz, const char *range, const char *uplo, const int32_t *n, double *a,
                    const int32_t *lda, const double *vl, const double *vu, const int32_t *il, const int32_t *iu,
                    const double *abstol, int32_t *m, double *w, double *z, const int32_t *ldz, int32_t *isuppz,
                    double *work, const int32_t *lwork, int32_t *iwork, const int32_t *liwork, int32_t *info);
extern void openblas_set_num_threads(int n) __attribute__((weak)); /* other libraries have none */

static void one_thread(void)
{
    if (openblas_set_num_threads) openblas_set_num_threads(1);
}

static void gram(const double *x, int32_t rows, int32_t n, double *c)
{
    const double one = 1;
    one_thread();
    dsyrk_("U", "N", &n, &rows, &one, x, &n, &one, c, &n); /* our rows are Fortran's columns */
}

static int eigen(double *a, int32_t n, int32_t k, double *values, double *vectors)
{
    const int32_t first = n - k + 1, ask = -1;
    const double none = 0;
    double size = 0, *w = malloc((size_t)n * sizeof *w), *work = NULL;
    int32_t found = 0, info = 0, isize = 0, *support = malloc(2 * (size_t)n * sizeof *support), *iwork = NULL;
    one_thread();
    dsyevr_("V", "I", "U", &n, a, &n, &none, &none, &first, &n, &none, &found, w, vectors, &n, support, &size, &ask,
            &isize, &ask, &info);
    int32_t lwork = (int32_t)size, liwork = isize;
    work = malloc((size_t)(lwork + 1) * sizeof *work);
    iwork = malloc((size_t)(liwork + 1) * sizeof *iwork);
    if (!w || !support || !work || !iwork) info = -1;
    else
        dsyevr_("V", "I", "U", &n, a, &n, &none, &none, &first, &n, &none, &found, w, vectors, &n, support, work,
                &lwork, iwork, &liwork, &info);
    for (int32_t i = 0; i < k && info == 0; i++) values[i] = w[i];
    if (info == 0 && found != k) info = 1;
    free(w);
    free(support);
    free(work);
    free(iwork);
    return info;
}

extern const gen_linalg_plugin_table gen_linalg_plugin; /* found by name with dlsym */
const gen_linalg_plugin_table gen_linalg_plugin = { GEN_LINALG_PLUGIN_VERSION, gram, eigen };
