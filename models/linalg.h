/* models/linalg.h: sums of squares and eigenvectors in double precision, on the host: what PCA and Frechet distances need.
 *
 *     double *c = gen_alloc(n * n, sizeof *c);                          // zeros
 *     GEN_TRY(gen_gram_add(x, rows, n, c, err));                        // again and again
 *     GEN_TRY(gen_eigen_largest(c, n, k, values, vectors, err));
 *
 * LAPACK is behind a plugin that is opened on first use; without it everything here is GEN_NO_DEVICE.
 */
#ifndef GEN_MODELS_LINALG_H
#define GEN_MODELS_LINALG_H

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_EIGEN_MOST = 16384 }; /* rows of the largest matrix that is taken */

/* c[n,n] += x[rows,n]^T x, of which only the elements with column <= row are touched: those that gen_eigen_largest reads. c began as zeros. */
gen_status gen_gram_add(const double *x, int64_t rows, int64_t n, double *c, gen_error *err);

/* c[n,n], symmetric or gen_gram_add's half of it, and destroyed -> the k largest eigenvalues, falling, and their unit vectors [k,n], each with its
 * largest component positive. */
gen_status gen_eigen_largest(double *c, int64_t n, int64_t k, double *values, double *vectors, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
