/* kernels/cuda/cublaslt.h: products of matrices by cuBLASLt: which of its algorithms computes one, and running it.
 *
 *     cublaslt *blas;
 *     GEN_TRY(cublaslt_open(&api, &blas, err));
 *     const cublaslt_plan *plan = cublaslt_plan_of(blas, &product);       // NULL: there is no algorithm
 *     int code = cublaslt_run(plan, &(cublaslt_tensors){ a, b, y }, workspace, stream);
 *     cublaslt_close(blas);
 *
 * The algorithm is the first of cuBLASLt's heuristics, with CUBLASLT_MOST_WORKSPACE at most, and none that adds up atomically: so the same bits on every run.
 */
#ifndef GEN_KERNELS_CUDA_CUBLASLT_H
#define GEN_KERNELS_CUDA_CUBLASLT_H

#include <stdbool.h>

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CUBLASLT_MOST_WORKSPACE = 32 << 20 }; /* bytes */

enum {
#define NUMBER(name, value) BLAS##name = (value),
#include "kernels/cuda/cublaslt_list.h"
#undef NUMBER
};

/* cublasLtMatmulHeuristicResult_t */
typedef struct cublaslt_result {
    uint64_t algorithm[8];
    size_t workspace_bytes;
    int status;
    float waves;
    int reserved[4];
} cublaslt_result;

/* The library's functions; they return 0 or a cublasStatus_t. desc: what is computed; layout: how a matrix lies, by columns; preference: what may be chosen. */
typedef struct cublaslt_api {
    int (*create)(void **handle);
    int (*destroy)(void *handle);
    int (*desc_create)(void **desc, int compute, int scale);
    int (*desc_destroy)(void *desc);
    int (*desc_set)(void *desc, int name, const void *value, size_t bytes);
    int (*layout_create)(void **layout, int type, uint64_t rows, uint64_t columns, int64_t leading);
    int (*layout_destroy)(void *layout);
    int (*layout_set)(void *layout, int name, const void *value, size_t bytes);
    int (*preference_create)(void **preference);
    int (*preference_destroy)(void *preference);
    int (*preference_set)(void *preference, int name, const void *value, size_t bytes);
    int (*heuristic)(void *handle, void *desc, void *a, void *b, void *c, void *d, void *preference, int wanted,
                     cublaslt_result *results, int *n);
    int (*matmul)(void *handle, void *desc, const void *alpha, const void *a, void *a_layout, const void *b,
                  void *b_layout, const void *beta, const void *c, void *c_layout, void *d, void *d_layout,
                  const void *algorithm, void *workspace, size_t workspace_bytes, void *stream);
} cublaslt_api;

/* y[m,n] = relu(a[m,k] b[k,n] + residual[m,n] + bias[n]) for each matrix of the batch, all float. Rows lie `row` numbers after each other, matrices `next`;
 * a_turned: a lies as [k,m], with a_row from one k to the next; b_turned: as [n,k]. */
typedef struct cublaslt_product {
    int64_t m, n, k, batch, a_row, b_row, y_row, a_next, b_next, y_next;
    int32_t a_turned, b_turned, bias, residual, relu; /* 0 or 1 */
    int32_t compute;                                  /* BLAS_COMPUTE_…: how inputs may be rounded */
} cublaslt_product;

typedef struct cublaslt_plan {
    cublaslt_product product;
    size_t workspace_bytes;
} cublaslt_plan;

/* Device memory; residual may be y. */
typedef struct cublaslt_tensors {
    const void *a, *b;
    void *y;
    const void *bias, *residual;
} cublaslt_tensors;

typedef struct cublaslt cublaslt;

/* For the GPU that is current. api is copied. */
gen_status cublaslt_open(const cublaslt_api *api, cublaslt **blas, gen_error *err);
void cublaslt_close(cublaslt *blas); /* accepts NULL */

/* Looked for once and remembered, also that there is none; lives as long as blas. */
const cublaslt_plan *cublaslt_plan_of(cublaslt *blas, const cublaslt_product *product);

/* Enqueues the product. Returns 0 or cuBLASLt's status. workspace: plan->workspace_bytes of device memory. */
int cublaslt_run(const cublaslt_plan *plan, const cublaslt_tensors *at, void *workspace, void *stream);

#ifdef __cplusplus
}
#endif
#endif
