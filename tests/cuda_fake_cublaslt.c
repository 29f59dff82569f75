#include "tests/cuda_fake_cublaslt.h"

#include <string.h>

#include "tests/cuda_fake_cudnn.h"
#include "tests/cuda_recorder.h"
#include "tests/test.h"

enum { WORKSPACE = 500, MARK = 77 };

static int n_alive, n_executed;

/* A description of a product, a matrix, or a preference. */
typedef struct thing {
    enum { DESC, LAYOUT, PREFERENCE } kind;
    int32_t turned[2], batch; /* DESC: left, right */
    uint32_t epilogue, schemes;
    const float *bias;
    int64_t rows, columns, leading, next;
    uint64_t workspace;
} thing;

static int create_thing(void **result, thing made)
{
    thing *t = gen_alloc(1, sizeof *t);
    assert_non_null(t);
    *t = made;
    *result = t;
    n_alive++;
    return 0;
}

static int destroy_thing(void *t)
{
    assert_non_null(t);
    gen_free(t);
    n_alive--;
    return 0;
}

static void take(void *to, size_t to_bytes, const void *value, size_t bytes)
{
    assert_int_equal(bytes, to_bytes);
    memcpy(to, value, bytes);
}

static int fake_create(void **handle)
{
    return create_thing(handle, (thing){ 0 });
}

/* ---- descriptions ------------------------------------------------------------------------------------------------------------- */

static int fake_desc_create(void **desc, int compute, int scale)
{
    assert_true(compute == BLAS_COMPUTE_32F || compute == BLAS_COMPUTE_32F_FAST_TF32 ||
                compute == BLAS_COMPUTE_32F_FAST_16BF);
    assert_int_equal(scale, 0);
    return create_thing(desc, (thing){ .kind = DESC, .epilogue = BLASLT_EPILOGUE_DEFAULT });
}

static int fake_desc_set(void *desc, int name, const void *value, size_t bytes)
{
    thing *t = desc;
    assert_int_equal(t->kind, DESC);
    switch (name) {
    case BLASLT_MATMUL_DESC_TRANSA: take(&t->turned[0], sizeof t->turned[0], value, bytes); return 0;
    case BLASLT_MATMUL_DESC_TRANSB: take(&t->turned[1], sizeof t->turned[1], value, bytes); return 0;
    case BLASLT_MATMUL_DESC_EPILOGUE: take(&t->epilogue, sizeof t->epilogue, value, bytes); return 0;
    case BLASLT_MATMUL_DESC_BIAS_POINTER: take(&t->bias, sizeof t->bias, value, bytes); return 0;
    default: fail_msg("a product has no attribute %d", name); return 1;
    }
}

static int fake_layout_create(void **layout, int type, uint64_t rows, uint64_t columns, int64_t leading)
{
    assert_int_equal(type, 0);
    if (leading < (int64_t)rows)
        fail_msg("columns of %d rows lie %d numbers after each other", (int)rows, (int)leading);
    return create_thing(
        layout,
        (thing){ .kind = LAYOUT, .rows = (int64_t)rows, .columns = (int64_t)columns, .leading = leading, .batch = 1 });
}

static int fake_layout_set(void *layout, int name, const void *value, size_t bytes)
{
    thing *t = layout;
    assert_int_equal(t->kind, LAYOUT);
    if (name == BLASLT_MATRIX_LAYOUT_BATCH_COUNT) take(&t->batch, sizeof t->batch, value, bytes);
    else if (name == BLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET) take(&t->next, sizeof t->next, value, bytes);
    else fail_msg("a layout has no attribute %d", name);
    return 0;
}

static int fake_preference_create(void **preference)
{
    return create_thing(preference, (thing){ .kind = PREFERENCE });
}

static int fake_preference_set(void *preference, int name, const void *value, size_t bytes)
{
    thing *t = preference;
    assert_int_equal(t->kind, PREFERENCE);
    if (name == BLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) take(&t->workspace, sizeof t->workspace, value, bytes);
    else if (name == BLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) take(&t->schemes, sizeof t->schemes, value, bytes);
    else fail_msg("a preference has no attribute %d", name);
    return 0;
}

/* ---- computing ---------------------------------------------------------------------------------------------------------------- */

typedef struct work {
    thing desc, left, right, added, result;
    const float *a, *b, *c;
    float *d;
    float beta;
    char *workspace;
} work;

static void check_shapes(const thing *desc, const thing *a, const thing *b, const thing *c, const thing *d)
{
    int64_t m = desc->turned[0] ? a->columns : a->rows, k = desc->turned[0] ? a->rows : a->columns,
            k_too = desc->turned[1] ? b->columns : b->rows, n = desc->turned[1] ? b->rows : b->columns;
    assert_int_equal(k, k_too);
    assert_int_equal(m, d->rows);
    assert_int_equal(n, d->columns);
    assert_true(c->rows == d->rows && c->columns == d->columns);
    assert_true(a->batch == d->batch && b->batch == d->batch && c->batch == d->batch);
}

static int fake_heuristic(void *handle, void *desc, void *a, void *b, void *c, void *d, void *preference, int wanted,
                          cublaslt_result *results, int *n)
{
    const thing *p = preference;
    assert_true(handle && wanted == 1 && p->workspace >= WORKSPACE);
    assert_int_equal(p->schemes & 1, 0); /* in place, in the order of arrival */
    check_shapes(desc, a, b, c, d);
    *n = 1;
    *results = (cublaslt_result){ .algorithm = { MARK }, .workspace_bytes = WORKSPACE };
    return 0;
}

static double element(const float *x, const thing *layout, int32_t turned, int64_t row, int64_t column)
{
    return (double)(turned ? x[column + row * layout->leading] : x[row + column * layout->leading]);
}

/* d may be c: each number is read before it is written. */
static void compute_matrix(const work *w, int64_t batch)
{
    const thing *l = &w->left, *r = &w->right, *d = &w->result;
    const float *a = w->a + batch * l->next, *b = w->b + batch * r->next, *c = w->c + batch * w->added.next;
    const int64_t terms = w->desc.turned[0] ? l->rows : l->columns;
    float *y = w->d + batch * d->next;
    for (int64_t j = 0; j < d->columns; j++)
        for (int64_t i = 0; i < d->rows; i++) {
            double sum = w->beta == 0 ? 0 : (double)(w->beta * c[i + j * w->added.leading]);
            for (int64_t k = 0; k < terms; k++)
                sum += element(a, l, w->desc.turned[0], i, k) * element(b, r, w->desc.turned[1], k, j);
            if (w->desc.epilogue & BLASLT_EPILOGUE_BIAS) sum += (double)w->desc.bias[i];
            if (w->desc.epilogue & BLASLT_EPILOGUE_RELU && sum < 0) sum = 0;
            y[i + j * d->leading] = (float)sum;
        }
}

static void compute(const void *args)
{
    const work *w = args;
    memset(w->workspace, 0xff, WORKSPACE);
    for (int64_t i = 0; i < w->result.batch; i++) compute_matrix(w, i);
}

static int fake_matmul(void *handle, void *desc, const void *alpha, const void *a, void *a_layout, const void *b,
                       void *b_layout, const void *beta, const void *c, void *c_layout, void *d, void *d_layout,
                       const void *algorithm, void *workspace, size_t workspace_bytes, void *stream)
{
    work w = { *(thing *)desc,
               *(thing *)a_layout,
               *(thing *)b_layout,
               *(thing *)c_layout,
               *(thing *)d_layout,
               a,
               b,
               c,
               d,
               *(const float *)beta,
               workspace };
    assert_non_null(handle);
    assert_true(*(const float *)alpha == 1 && workspace_bytes == WORKSPACE);
    assert_int_equal(*(const uint64_t *)algorithm, MARK);
    check_shapes(&w.desc, &w.left, &w.right, &w.added, &w.result);
    n_executed++;
    if (stream) return cuda_recorder_add(stream, compute, &w, sizeof w);
    compute(&w);
    return 0;
}

const cublaslt_api fake_cublaslt_api = { fake_create,   destroy_thing,       fake_desc_create,
                                         destroy_thing, fake_desc_set,       fake_layout_create,
                                         destroy_thing, fake_layout_set,     fake_preference_create,
                                         destroy_thing, fake_preference_set, fake_heuristic,
                                         fake_matmul };

int fake_cublaslt_alive(void)
{
    return n_alive;
}

int fake_cublaslt_executed(void)
{
    return n_executed;
}

/* ---- both libraries ----------------------------------------------------------------------------------------------------------- */

cuda_products fake_products(cuda_precision precision)
{
    gen_error err = { 0 };
    cuda_products products = { .precision = precision };
    fake_cudnn_start();
    TEST_OK(cudnn_open(&fake_cudnn_api, NULL, &products.dnn, &err));
    TEST_OK(cublaslt_open(&fake_cublaslt_api, &products.blas, &err));
    return products;
}

void fake_products_are_gone(void)
{
    assert_int_equal(fake_cudnn_alive(), 0);
    assert_int_equal(fake_cublaslt_alive(), 0);
}
