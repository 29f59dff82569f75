#include "tests/cuda_fake_cudnn.h"

#include <string.h>

#include "tests/cuda_recorder.h"
#include "tests/test.h"

enum {
    MAX_ATTRIBUTES = 10,
    MAX_BYTES = 64,
    MAX_DIMS = 4,
    MAX_OPS = 4,
    MAX_TENSORS = 5,
    NOT_SUPPORTED = 3000,
    FAILED = 5000
};

bool fake_cudnn_refuses_fusion, fake_cudnn_fails;
static int n_alive, n_executed, n_fused;

/* ---- engines ------------------------------------------------------------------------------------------------------------------ */

typedef struct engine {
    int number, behavior; /* notes; -1: none */
    int64_t workspace;
    bool supported;
    double ns;
} engine;

static const engine engines[] = {
    { DNN_NUMERICAL_NOTE_NONDETERMINISTIC, -1, 0, true, 1 },
    { DNN_NUMERICAL_NOTE_TENSOR_CORE, DNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION, 0, true, 1 },
    { DNN_NUMERICAL_NOTE_TENSOR_CORE, -1, (int64_t)CUDNN_MOST_WORKSPACE + 1, true, 1 },
    { DNN_NUMERICAL_NOTE_TENSOR_CORE, -1, 0, false, 1 },
    { -1, -1, 1000, true, 50 },
    { DNN_NUMERICAL_NOTE_TENSOR_CORE, -1, 131, true, 30 },
    { DNN_NUMERICAL_NOTE_TENSOR_CORE, -1, 0, true, 29.5 },
    { DNN_NUMERICAL_NOTE_TENSOR_CORE, -1, 4096, true, 10 },
    { -1, -1, 16, true, 40 },
};
enum { N_ENGINES = sizeof engines / sizeof *engines };

/* ---- descriptors -------------------------------------------------------------------------------------------------------------- */

typedef struct attribute {
    int name, type;
    int64_t n;
    char bytes[MAX_BYTES];
} attribute;

typedef struct descriptor {
    int type, n;
    bool finalized;
    attribute has[MAX_ATTRIBUTES];
    const struct descriptor *graph; /* of a configuration: what it is for */
    int engine;
} descriptor;

/* Which attributes a descriptor must have when it is finalised, and those it may have. -1 ends. */
typedef struct rule {
    int type, must[8], may[4];
} rule;

static const rule rules[] = {
    { DNN_BACKEND_TENSOR_DESCRIPTOR,
      { DNN_ATTR_TENSOR_UNIQUE_ID, DNN_ATTR_TENSOR_DATA_TYPE, DNN_ATTR_TENSOR_BYTE_ALIGNMENT,
        DNN_ATTR_TENSOR_DIMENSIONS, DNN_ATTR_TENSOR_STRIDES, -1 },
      { DNN_ATTR_TENSOR_IS_VIRTUAL, -1 } },
    { DNN_BACKEND_CONVOLUTION_DESCRIPTOR,
      { DNN_ATTR_CONVOLUTION_COMP_TYPE, DNN_ATTR_CONVOLUTION_CONV_MODE, DNN_ATTR_CONVOLUTION_SPATIAL_DIMS,
        DNN_ATTR_CONVOLUTION_PRE_PADDINGS, DNN_ATTR_CONVOLUTION_POST_PADDINGS, DNN_ATTR_CONVOLUTION_FILTER_STRIDES,
        DNN_ATTR_CONVOLUTION_DILATIONS, -1 },
      { -1 } },
    { DNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
      { DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
        DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
        DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, -1 },
      { -1 } },
    { DNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
      { DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
        DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
        DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, -1 },
      { -1 } },
    { DNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
      { DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
        DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
        DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, -1 },
      { -1 } },
    { DNN_BACKEND_POINTWISE_DESCRIPTOR, { DNN_ATTR_POINTWISE_MODE, DNN_ATTR_POINTWISE_MATH_PREC, -1 }, { -1 } },
    { DNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR,
      { DNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, DNN_ATTR_OPERATION_POINTWISE_XDESC,
        DNN_ATTR_OPERATION_POINTWISE_YDESC, -1 },
      { DNN_ATTR_OPERATION_POINTWISE_BDESC, -1 } },
    { DNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, { DNN_ATTR_OPERATIONGRAPH_OPS, -1 }, { -1 } },
    { DNN_BACKEND_ENGINEHEUR_DESCRIPTOR,
      { DNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, DNN_ATTR_ENGINEHEUR_MODE, -1 },
      { DNN_ATTR_ENGINEHEUR_DEVICEPROP, -1 } },
    { DNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR,
      { DNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, -1 },
      { DNN_ATTR_EXECUTION_PLAN_HANDLE, DNN_ATTR_EXECUTION_PLAN_DEVICEPROP, -1 } },
    { DNN_BACKEND_VARIANT_PACK_DESCRIPTOR,
      { DNN_ATTR_VARIANT_PACK_UNIQUE_IDS, DNN_ATTR_VARIANT_PACK_DATA_POINTERS, DNN_ATTR_VARIANT_PACK_WORKSPACE, -1 },
      { -1 } },
};

static const rule *rule_of(int type)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].type == type) return &rules[i];
    fail_msg("a descriptor of type %d is nothing to finalise or set", type);
    return NULL;
}

static bool is_in(const int *list, int name)
{
    for (; *list >= 0; list++)
        if (*list == name) return true;
    return false;
}

static const attribute *find_attribute(const descriptor *d, int name)
{
    for (int i = 0; i < d->n; i++)
        if (d->has[i].name == name) return &d->has[i];
    return NULL;
}

static const void *value_of(const descriptor *d, int name)
{
    const attribute *a = find_attribute(d, name);
    if (!a) fail_msg("descriptor of type %d has no attribute %d", d->type, name);
    return a->bytes;
}

static const descriptor *child_of(const descriptor *d, int name)
{
    const descriptor *child;
    memcpy(&child, value_of(d, name), sizeof child);
    return child;
}

static int number_of(const descriptor *d, int name)
{
    int number;
    memcpy(&number, value_of(d, name), sizeof number);
    return number;
}

static size_t bytes_of_type(int type)
{
    switch (type) {
    case DNN_TYPE_BOOLEAN:
    case DNN_TYPE_CHAR: return 1;
    case DNN_TYPE_DATA_TYPE:
    case DNN_TYPE_FLOAT:
    case DNN_TYPE_CONVOLUTION_MODE:
    case DNN_TYPE_HEUR_MODE:
    case DNN_TYPE_POINTWISE_MODE: return 4;
    default: return 8; /* numbers of 64 bits, pointers */
    }
}

static int fake_create_descriptor(int type, void **result)
{
    descriptor *d = gen_alloc(1, sizeof *d);
    assert_non_null(d);
    d->type = type;
    *result = d;
    n_alive++;
    return 0;
}

static int fake_destroy_descriptor(void *d)
{
    assert_non_null(d);
    n_alive--;
    gen_free(d);
    return 0;
}

static int fake_set_attribute(void *of, int name, int type, int64_t n, const void *values)
{
    descriptor *d = of;
    const rule *r = rule_of(d->type);
    size_t bytes = (size_t)n * bytes_of_type(type);
    if (d->finalized) fail_msg("attribute %d set after descriptor of type %d was finalised", name, d->type);
    if (!is_in(r->must, name) && !is_in(r->may, name)) fail_msg("type %d has no attribute %d", d->type, name);
    if (find_attribute(d, name)) fail_msg("attribute %d is set twice", name);
    assert_true(n >= 1 && bytes <= MAX_BYTES && d->n < MAX_ATTRIBUTES);
    for (int64_t i = 0; i < n && type == DNN_TYPE_BACKEND_DESCRIPTOR; i++)
        assert_true(((descriptor *const *)values)[i]->finalized);
    attribute *a = &d->has[d->n++];
    *a = (attribute){ .name = name, .type = type, .n = n };
    memcpy(a->bytes, values, bytes);
    return 0;
}

static int64_t count_of(const descriptor *d, int name)
{
    const attribute *a = find_attribute(d, name);
    return a ? a->n : 0;
}

static int fake_finalize(void *of)
{
    descriptor *d = of;
    if (d->finalized) fail_msg("descriptor of type %d is finalised twice", d->type);
    for (const int *name = rule_of(d->type)->must; *name >= 0; name++)
        if (!find_attribute(d, *name)) fail_msg("descriptor of type %d lacks attribute %d", d->type, *name);
    if (d->type == DNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
        const descriptor *config = child_of(d, DNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
        assert_true(count_of(d, DNN_ATTR_EXECUTION_PLAN_HANDLE) != count_of(d, DNN_ATTR_EXECUTION_PLAN_DEVICEPROP));
        d->engine = config->engine;
        d->graph = config->graph;
        if (!engines[d->engine].supported) return NOT_SUPPORTED;
        if (fake_cudnn_refuses_fusion && count_of(d->graph, DNN_ATTR_OPERATIONGRAPH_OPS) > 1) return NOT_SUPPORTED;
    }
    d->finalized = true;
    return 0;
}

static int give(int64_t *n, void *to, const void *from, size_t bytes)
{
    *n = 1;
    memcpy(to, from, bytes);
    return 0;
}

static int give_note(int64_t *n, void *to, int note)
{
    *n = note >= 0;
    if (note >= 0) memcpy(to, &note, sizeof note);
    return 0;
}

/* As the real one: first how many there may be, then those that are supported. */
static int give_configs(const descriptor *d, int64_t room, int64_t *n, void *to)
{
    descriptor *const *configs = to;
    bool last_resort = number_of(d, DNN_ATTR_ENGINEHEUR_MODE) == DNN_HEUR_MODE_FALLBACK;
    *n = last_resort ? 0 : room ? N_ENGINES : N_ENGINES + 1;
    for (int i = 0; i < N_ENGINES && room && !last_resort; i++) {
        configs[i]->engine = i;
        configs[i]->graph = child_of(d, DNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
        configs[i]->finalized = true;
    }
    return 0;
}

static int fake_get_attribute(void *of, int name, int type, int64_t room, int64_t *n, void *values)
{
    const descriptor *d = of;
    const engine *e = &engines[d->engine];
    const int64_t number = d->engine;
    (void)type;
    switch (name) {
    case DNN_ATTR_ENGINEHEUR_RESULTS: return give_configs(d, room, n, values);
    case DNN_ATTR_ENGINECFG_ENGINE: (*(descriptor *const *)values)->engine = d->engine; return *n = 1, 0;
    case DNN_ATTR_ENGINE_GLOBAL_INDEX: return give(n, values, &number, sizeof number);
    case DNN_ATTR_ENGINECFG_WORKSPACE_SIZE:
    case DNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE: return give(n, values, &e->workspace, sizeof e->workspace);
    case DNN_ATTR_ENGINE_NUMERICAL_NOTE: return give_note(n, values, e->number);
    case DNN_ATTR_ENGINE_BEHAVIOR_NOTE: return give_note(n, values, e->behavior);
    default: fail_msg("nobody should want attribute %d", name); return 1;
    }
}

/* ---- what a plan computes ----------------------------------------------------------------------------------------------------- */

typedef struct tensor {
    int64_t dim[MAX_DIMS], stride[MAX_DIMS]; /* N C H W; filters: K C R S */
    bool bf16;
    char *data;
} tensor;

typedef struct work {
    int operation; /* type of the convolution's descriptor */
    tensor x, w, y, result, with[MAX_OPS];
    int n_after, mode[MAX_OPS]; /* pointwise operations behind it, on `with` */
    int64_t pad[2], stride[2], dilation[2];
    char *workspace;
    int64_t workspace_bytes;
    double ns;
} work;

static tensor read_tensor(const descriptor *d, const descriptor *pack)
{
    tensor t = { .bf16 = number_of(d, DNN_ATTR_TENSOR_DATA_TYPE) == DNN_DATA_BFLOAT16 };
    int64_t id, ids[MAX_TENSORS];
    memcpy(t.dim, value_of(d, DNN_ATTR_TENSOR_DIMENSIONS), sizeof t.dim);
    memcpy(t.stride, value_of(d, DNN_ATTR_TENSOR_STRIDES), sizeof t.stride);
    memcpy(&id, value_of(d, DNN_ATTR_TENSOR_UNIQUE_ID), sizeof id);
    if (find_attribute(d, DNN_ATTR_TENSOR_IS_VIRTUAL)) return t;
    const char *data = value_of(pack, DNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    int64_t n = count_of(pack, DNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    memcpy(ids, value_of(pack, DNN_ATTR_VARIANT_PACK_UNIQUE_IDS), (size_t)n * sizeof *ids);
    for (int64_t i = 0; i < n; i++)
        if (ids[i] == id) memcpy(&t.data, data + (size_t)i * sizeof t.data, sizeof t.data);
    if (!t.data) fail_msg("tensor %d is not in the variant pack", (int)id);
    assert_int_equal((uintptr_t)t.data % 16, 0);
    return t;
}

static double load(const tensor *t, int64_t at)
{
    float number;
    uint32_t bits = 0;
    if (!t->data) fail_msg("a tensor that is only between operations is read");
    if (!t->bf16) return (double)((const float *)(const void *)t->data)[at];
    bits = (uint32_t)((const uint16_t *)(const void *)t->data)[at] << 16;
    memcpy(&number, &bits, sizeof number);
    return (double)number;
}

/* As tests want it: to the nearest, which the kernels' own rounding is compared with. */
static void store(const tensor *t, int64_t at, double value)
{
    float number = (float)value;
    uint32_t bits;
    if (!t->data) fail_msg("a tensor that is only between operations is written");
    if (!t->bf16) {
        ((float *)(void *)t->data)[at] = number;
        return;
    }
    memcpy(&bits, &number, sizeof bits);
    ((uint16_t *)(void *)t->data)[at] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static int64_t place(const tensor *t, int64_t a, int64_t b, int64_t c, int64_t d)
{
    assert_true(a < t->dim[0] && b < t->dim[1] && c < t->dim[2] && d < t->dim[3]);
    return a * t->stride[0] + b * t->stride[1] + c * t->stride[2] + d * t->stride[3];
}

static int64_t elements(const tensor *t)
{
    return t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3];
}

/* Adds every product of the convolution to where it belongs: x[n,c,h,w] w[k,c,r,s] y[n,k,p,q]. */
static void add_products(const work *k, double *sum)
{
    const tensor *x = &k->x, *w = &k->w, *y = &k->y;
    const int64_t taps = w->dim[2] * w->dim[3], pixels = y->dim[2] * y->dim[3];
    for (int64_t i = 0; i < y->dim[0] * y->dim[1] * pixels * taps; i++) {
        int64_t s = i % w->dim[3], r = i / w->dim[3] % w->dim[2], q = i / taps % y->dim[3],
                p = i / taps / y->dim[3] % y->dim[2], m = i / taps / pixels % y->dim[1],
                n = i / taps / pixels / y->dim[1], h = p * k->stride[0] + r * k->dilation[0] - k->pad[0],
                v = q * k->stride[1] + s * k->dilation[1] - k->pad[1];
        if (h < 0 || h >= x->dim[2] || v < 0 || v >= x->dim[3]) continue;
        for (int64_t c = 0; c < x->dim[1]; c++) {
            int64_t at_x = place(x, n, c, h, v), at_w = place(w, m, c, r, s), at_y = place(y, n, m, p, q);
            if (k->operation == DNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
                sum[at_y] += load(x, at_x) * load(w, at_w);
            else if (k->operation == DNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR)
                sum[at_x] += load(y, at_y) * load(w, at_w);
            else sum[at_w] += load(x, at_x) * load(y, at_y);
        }
    }
}

/* Elements of the result are neighbours in the order N H W C. */
static double after(const work *k, double value, int64_t at)
{
    for (int i = 0; i < k->n_after; i++) {
        const tensor *b = &k->with[i];
        if (k->mode[i] == DNN_POINTWISE_RELU_FWD) value = value < 0 ? 0 : value;
        else value += load(b, elements(b) == b->dim[1] ? at % b->dim[1] : at);
    }
    return value;
}

static void compute(const void *args)
{
    const work *k = args;
    int64_t n = elements(&k->result);
    double *sum = gen_alloc((size_t)n, sizeof *sum);
    assert_non_null(sum);
    cuda_recorder_ns += k->ns;
    memset(k->workspace, 0xff, (size_t)k->workspace_bytes);
    add_products(k, sum);
    for (int64_t i = 0; i < n; i++) store(&k->result, i, after(k, sum[i], i));
    gen_free(sum);
}

static void read_convolution(work *k, const descriptor *op, const descriptor *pack, const descriptor *result)
{
    static const int names[3][5] = {
        { DNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
          DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
          DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC },
        { DNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
          DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
          DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC },
        { DNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC },
    };
    int direction = 0;
    while (direction < 3 && names[direction][0] != op->type) direction++;
    if (direction == 3) fail_msg("the first operation, of type %d, is no convolution", op->type);
    const int *name = names[direction];
    const descriptor *window = child_of(op, name[4]);
    k->operation = op->type;
    k->x = read_tensor(child_of(op, name[1]), pack);
    k->w = read_tensor(child_of(op, name[2]), pack);
    k->y = read_tensor(child_of(op, name[3]), pack);
    k->result = result ? read_tensor(result, pack) : direction == 0 ? k->y : direction == 1 ? k->x : k->w;
    memcpy(k->pad, value_of(window, DNN_ATTR_CONVOLUTION_PRE_PADDINGS), sizeof k->pad);
    memcpy(k->stride, value_of(window, DNN_ATTR_CONVOLUTION_FILTER_STRIDES), sizeof k->stride);
    memcpy(k->dilation, value_of(window, DNN_ATTR_CONVOLUTION_DILATIONS), sizeof k->dilation);
}

static int fake_execute(void *handle, void *the_plan, void *the_pack)
{
    const descriptor *plan = the_plan, *pack = the_pack, *ops[MAX_OPS] = { NULL }, *result = NULL;
    void *stream = *(void **)handle;
    work k = { .workspace_bytes = engines[plan->engine].workspace, .ns = engines[plan->engine].ns };
    assert_true(plan->finalized && pack->finalized);
    if (fake_cudnn_fails) return FAILED;
    int n = (int)count_of(plan->graph, DNN_ATTR_OPERATIONGRAPH_OPS);
    memcpy(ops, value_of(plan->graph, DNN_ATTR_OPERATIONGRAPH_OPS), (size_t)n * sizeof *ops);
    if (!ops[0]) fail_msg("a graph without operations");
    for (int i = 1; i < n; i++) {
        bool adds = find_attribute(ops[i], DNN_ATTR_OPERATION_POINTWISE_BDESC) != NULL;
        k.mode[k.n_after] =
            number_of(child_of(ops[i], DNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR), DNN_ATTR_POINTWISE_MODE);
        if (adds) k.with[k.n_after] = read_tensor(child_of(ops[i], DNN_ATTR_OPERATION_POINTWISE_BDESC), pack);
        assert_int_equal(adds, k.mode[k.n_after] == DNN_POINTWISE_ADD);
        k.n_after++;
        result = child_of(ops[i], DNN_ATTR_OPERATION_POINTWISE_YDESC);
    }
    read_convolution(&k, ops[0], pack, result);
    memcpy(&k.workspace, value_of(pack, DNN_ATTR_VARIANT_PACK_WORKSPACE), sizeof k.workspace);
    n_executed++;
    n_fused += n > 1;
    if (stream) return cuda_recorder_add(stream, compute, &k, sizeof k);
    compute(&k);
    return 0;
}

/* ---- the library -------------------------------------------------------------------------------------------------------------- */

static size_t fake_version(void)
{
    return 90000;
}

static int fake_create(void **handle)
{
    void **stream = gen_alloc(1, sizeof *stream);
    assert_non_null(stream);
    *handle = stream;
    n_alive++;
    return 0;
}

static int fake_destroy(void *handle)
{
    n_alive--;
    gen_free(handle);
    return 0;
}

static int fake_set_stream(void *handle, void *stream)
{
    *(void **)handle = stream;
    return 0;
}

const cudnn_api fake_cudnn_api = { fake_version,           fake_create,
                                   fake_destroy,           fake_set_stream,
                                   fake_create_descriptor, fake_destroy_descriptor,
                                   fake_set_attribute,     fake_get_attribute,
                                   fake_finalize,          fake_execute };

void fake_cudnn_start(void)
{
    fake_cudnn_refuses_fusion = fake_cudnn_fails = false;
    n_alive = n_executed = n_fused = 0;
}

int fake_cudnn_alive(void)
{
    return n_alive;
}

int fake_cudnn_executed(void)
{
    return n_executed;
}

int fake_cudnn_fused(void)
{
    return n_fused;
}
