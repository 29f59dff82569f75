/* cuBLASLt counts matrices by columns: our y[m,n] by rows is its d[n,m], and y = a b is d = b' a', where b' is what lies at b seen by columns. */
#include "kernels/cuda/cublaslt.h"

#include <string.h>

enum { FLOATS = 0 /* CUDA_R_32F */ };

typedef struct found_plan {
    cublaslt_plan plan; /* first: a cublaslt_plan of ours is a found_plan */
    cublaslt *blas;
    void *desc, *left, *right, *result; /* left: of b, right: of a */
    uint64_t algorithm[8];
    bool works;
    struct found_plan *next;
} found_plan;

struct cublaslt {
    cublaslt_api api;
    void *handle;
    found_plan *plans;
};

/* ---- what is computed ------------------------------------------------------------------------------------------------------ */

static int set_batch(const cublaslt_api *api, void *layout, int64_t batch, int64_t next)
{
    const int32_t count = (int32_t)batch;
    if (batch == 1) return 0;
    int status = api->layout_set(layout, BLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count);
    if (!status) status = api->layout_set(layout, BLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &next, sizeof next);
    return status;
}

/* rows, columns: of the matrix by columns, as it is used; turned: it lies the other way around. */
static int make_layout(const cublaslt_api *api, void **layout, int64_t rows, int64_t columns, bool turned, int64_t row,
                       int64_t batch, int64_t next)
{
    int status = api->layout_create(layout, FLOATS, (uint64_t)(turned ? columns : rows),
                                    (uint64_t)(turned ? rows : columns), row);
    return status ? status : set_batch(api, *layout, batch, next);
}

static int make_desc(const cublaslt_api *api, const cublaslt_product *p, void **desc)
{
    const int32_t left = p->b_turned ? BLAS_OP_T : BLAS_OP_N, right = p->a_turned ? BLAS_OP_T : BLAS_OP_N;
    const uint32_t behind = (p->bias ? BLASLT_EPILOGUE_BIAS : 0) | (p->relu ? BLASLT_EPILOGUE_RELU : 0),
                   epilogue = behind ? behind : BLASLT_EPILOGUE_DEFAULT;
    int status = api->desc_create(desc, p->compute, FLOATS);
    if (!status) status = api->desc_set(*desc, BLASLT_MATMUL_DESC_TRANSA, &left, sizeof left);
    if (!status) status = api->desc_set(*desc, BLASLT_MATMUL_DESC_TRANSB, &right, sizeof right);
    if (!status) status = api->desc_set(*desc, BLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    return status;
}

static int make_all(found_plan *f)
{
    const cublaslt_product *p = &f->plan.product;
    const cublaslt_api *api = &f->blas->api;
    int status = make_desc(api, p, &f->desc);
    if (!status) status = make_layout(api, &f->left, p->n, p->k, p->b_turned, p->b_row, p->batch, p->b_next);
    if (!status) status = make_layout(api, &f->right, p->k, p->m, p->a_turned, p->a_row, p->batch, p->a_next);
    if (!status) status = make_layout(api, &f->result, p->n, p->m, false, p->y_row, p->batch, p->y_next);
    return status;
}

/* ---- by what --------------------------------------------------------------------------------------------------------------- */

/* Sums in parts are joined in their own memory; in place would be in the order of arrival. */
static int make_preference(const cublaslt_api *api, void **preference)
{
    const uint64_t most = CUBLASLT_MOST_WORKSPACE;
    const uint32_t schemes = BLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | BLASLT_REDUCTION_SCHEME_OUTPUT_TYPE;
    int status = api->preference_create(preference);
    if (!status) status = api->preference_set(*preference, BLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most);
    if (!status)
        status = api->preference_set(*preference, BLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes, sizeof schemes);
    return status;
}

static void find(found_plan *f)
{
    const cublaslt_api *api = &f->blas->api;
    cublaslt_result best;
    void *preference = NULL;
    int n = 0, status = make_all(f);
    if (!status) status = make_preference(api, &preference);
    if (!status)
        status =
            api->heuristic(f->blas->handle, f->desc, f->left, f->right, f->result, f->result, preference, 1, &best, &n);
    if (preference) api->preference_destroy(preference);
    f->works = !status && n == 1 && !best.status;
    if (!f->works) return;
    memcpy(f->algorithm, best.algorithm, sizeof f->algorithm);
    f->plan.workspace_bytes = best.workspace_bytes;
}

const cublaslt_plan *cublaslt_plan_of(cublaslt *blas, const cublaslt_product *product)
{
    for (const found_plan *f = blas->plans; f; f = f->next)
        if (!memcmp(&f->plan.product, product, sizeof *product)) return f->works ? &f->plan : NULL;
    found_plan *f = gen_alloc(1, sizeof *f);
    if (!f) return NULL;
    f->blas = blas;
    f->plan.product = *product;
    f->next = blas->plans;
    blas->plans = f;
    find(f);
    return f->works ? &f->plan : NULL;
}

/* ---- running --------------------------------------------------------------------------------------------------------------- */

int cublaslt_run(const cublaslt_plan *plan, const cublaslt_tensors *at, void *workspace, void *stream)
{
    const found_plan *f = (const found_plan *)plan;
    const cublaslt_api *api = &f->blas->api;
    const float one = 1, beta = plan->product.residual ? 1 : 0;
    const void *added = plan->product.residual ? at->residual : at->y;
    if (plan->product.bias) {
        int status = api->desc_set(f->desc, BLASLT_MATMUL_DESC_BIAS_POINTER, &at->bias, sizeof at->bias);
        if (status) return status;
    }
    return api->matmul(f->blas->handle, f->desc, &one, at->b, f->left, at->a, f->right, &beta, added, f->result, at->y,
                       f->result, f->algorithm, workspace, plan->workspace_bytes, stream);
}

/* ---- opening --------------------------------------------------------------------------------------------------------------- */

gen_status cublaslt_open(const cublaslt_api *api, cublaslt **result, gen_error *err)
{
    cublaslt *blas = gen_alloc(1, sizeof *blas);
    if (!blas) return gen_fail(err, GEN_NO_MEMORY, "no memory for cuBLASLt");
    blas->api = *api;
    int status = api->create(&blas->handle);
    if (status) {
        gen_free(blas);
        return gen_fail(err, GEN_NO_DEVICE, "cuBLASLt does not open this GPU: status %d", status);
    }
    *result = blas;
    return GEN_OK;
}

void cublaslt_close(cublaslt *blas)
{
    if (!blas) return;
    const cublaslt_api *api = &blas->api;
    for (found_plan *f = blas->plans, *next; f; f = next) {
        void *const layouts[] = { f->left, f->right, f->result };
        next = f->next;
        if (f->desc) api->desc_destroy(f->desc);
        for (int i = 0; i < 3; i++)
            if (layouts[i]) api->layout_destroy(layouts[i]);
        gen_free(f);
    }
    api->destroy(blas->handle);
    gen_free(blas);
}
