/* cuDNN's backend interface: a convolution as a graph of operations, the engine that computes it, and running its plan. */
#include "kernels/cuda/cudnn.h"

#include <assert.h>
#include <string.h>

enum { MAX_MADE = 200, MAX_CONFIGS = 96, MAX_OPS = 4, MAX_NOTES = 16, MAX_KEPT = 24 };

/* Tensors by what they are to cuDNN; VIRTUAL and on: results between the operations of a graph, which never lie in memory. */
enum { ID_X = 1, ID_W, ID_Y, ID_BIAS, ID_RESIDUAL, ID_VIRTUAL };

typedef struct found_plan {
    cudnn_plan plan; /* first: a cudnn_plan of ours is a found_plan */
    cudnn *dnn;
    void *execution;      /* NULL: there is none */
    void *kept[MAX_KEPT]; /* what it was made of lives as long: the configuration, and the graph's descriptors */
    int n_kept;
    struct found_plan *next;
} found_plan;

struct cudnn {
    cudnn_api api;
    void *handle; /* NULL: there is no GPU */
    void *device; /* a described one; NULL: the one that is here */
    cudnn_tuner tuner;
    found_plan *plans;
};

/* ---- descriptors ----------------------------------------------------------------------------------------------------------- */

/* Makes descriptors; after the first failure nothing more happens, and its status is known at the end. */
typedef struct maker {
    const cudnn_api *api;
    int status, n;
    void *made[MAX_MADE];
} maker;

static void *make(maker *m, int type)
{
    void *descriptor = NULL;
    if (!m->status && m->n == MAX_MADE) m->status = -1;
    if (!m->status) m->status = m->api->create_descriptor(type, &descriptor);
    if (m->status) return NULL;
    return m->made[m->n++] = descriptor;
}

static void set(maker *m, void *descriptor, int name, int type, int64_t n, const void *values)
{
    if (!m->status) m->status = m->api->set_attribute(descriptor, name, type, n, values);
}

static void set_number(maker *m, void *descriptor, int name, int type, int value)
{
    set(m, descriptor, name, type, 1, &value);
}

static void set_int64(maker *m, void *descriptor, int name, int64_t value)
{
    set(m, descriptor, name, DNN_TYPE_INT64, 1, &value);
}

static void set_float(maker *m, void *descriptor, int name, float value)
{
    set(m, descriptor, name, DNN_TYPE_FLOAT, 1, &value);
}

static void set_descriptor(maker *m, void *descriptor, int name, void *value)
{
    set(m, descriptor, name, DNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void *finish(maker *m, void *descriptor)
{
    if (!m->status) m->status = m->api->finalize(descriptor);
    return descriptor;
}

/* Values of an attribute; returns how many there are, 0 when it cannot be had. */
static int64_t get(const maker *m, void *descriptor, int name, int type, int64_t room, void *values)
{
    int64_t n = 0;
    if (m->api->get_attribute(descriptor, name, type, room, &n, values)) return 0;
    return n;
}

static void destroy_all(maker *m)
{
    while (m->n > 0) m->api->destroy_descriptor(m->made[--m->n]);
}

/* ---- a convolution as operations ------------------------------------------------------------------------------------------- */

/* dims as cuDNN counts them, N C H W whatever lies where; neighbours in memory are channels. */
static void *tensor(maker *m, int64_t id, bool bf16, int64_t n, int64_t c, int64_t h, int64_t w)
{
    const int64_t dims[4] = { n, c, h, w }, strides[4] = { h * w * c, 1, w * c, c };
    const bool is_virtual = id >= ID_VIRTUAL;
    void *t = make(m, DNN_BACKEND_TENSOR_DESCRIPTOR);
    set_int64(m, t, DNN_ATTR_TENSOR_UNIQUE_ID, id);
    set_number(m, t, DNN_ATTR_TENSOR_DATA_TYPE, DNN_TYPE_DATA_TYPE, bf16 ? DNN_DATA_BFLOAT16 : DNN_DATA_FLOAT);
    set_int64(m, t, DNN_ATTR_TENSOR_BYTE_ALIGNMENT, 16);
    set(m, t, DNN_ATTR_TENSOR_DIMENSIONS, DNN_TYPE_INT64, 4, dims);
    set(m, t, DNN_ATTR_TENSOR_STRIDES, DNN_TYPE_INT64, 4, strides);
    if (is_virtual) set(m, t, DNN_ATTR_TENSOR_IS_VIRTUAL, DNN_TYPE_BOOLEAN, 1, &is_virtual);
    return finish(m, t);
}

static void *image(maker *m, int64_t id, bool bf16, const int64_t shape[4])
{
    return tensor(m, id, bf16, shape[0], shape[3], shape[1], shape[2]);
}

static void set_pair(maker *m, void *descriptor, int name, int32_t down, int32_t right)
{
    set(m, descriptor, name, DNN_TYPE_INT64, 2, (const int64_t[]){ down, right });
}

static void *window(maker *m, const cudnn_conv *c)
{
    void *d = make(m, DNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set_number(m, d, DNN_ATTR_CONVOLUTION_COMP_TYPE, DNN_TYPE_DATA_TYPE, DNN_DATA_FLOAT);
    set_number(m, d, DNN_ATTR_CONVOLUTION_CONV_MODE, DNN_TYPE_CONVOLUTION_MODE, DNN_CROSS_CORRELATION);
    set_int64(m, d, DNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 2);
    set_pair(m, d, DNN_ATTR_CONVOLUTION_PRE_PADDINGS, c->pad[0], c->pad[1]);
    set_pair(m, d, DNN_ATTR_CONVOLUTION_POST_PADDINGS, c->pad[2], c->pad[3]);
    set_pair(m, d, DNN_ATTR_CONVOLUTION_FILTER_STRIDES, c->stride[0], c->stride[1]);
    set_pair(m, d, DNN_ATTR_CONVOLUTION_DILATIONS, c->dilation[0], c->dilation[1]);
    return finish(m, d);
}

/* The same operation three times, with other names. */
static const struct direction_names {
    int operation, x, w, y, window, alpha, beta;
} names[] = {
    [CUDNN_FORWARD] = { DNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                        DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                        DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                        DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA },
    [CUDNN_DATA] = { DNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                     DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                     DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                     DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, DNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA },
    [CUDNN_FILTER] = { DNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                       DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                       DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                       DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                       DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                       DNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA },
};

static void *convolution(maker *m, const cudnn_conv *c, void *x, void *w, void *y)
{
    const struct direction_names *name = &names[c->direction];
    void *d = make(m, name->operation);
    set_descriptor(m, d, name->x, x);
    set_descriptor(m, d, name->w, w);
    set_descriptor(m, d, name->y, y);
    set_descriptor(m, d, name->window, window(m, c));
    set_float(m, d, name->alpha, 1);
    set_float(m, d, name->beta, 0);
    return finish(m, d);
}

/* y = mode(x, b); b NULL: mode takes one number. */
static void *pointwise(maker *m, int mode, void *x, void *b, void *y)
{
    void *how = make(m, DNN_BACKEND_POINTWISE_DESCRIPTOR);
    set_number(m, how, DNN_ATTR_POINTWISE_MODE, DNN_TYPE_POINTWISE_MODE, mode);
    set_number(m, how, DNN_ATTR_POINTWISE_MATH_PREC, DNN_TYPE_DATA_TYPE, DNN_DATA_FLOAT);
    finish(m, how);
    void *d = make(m, DNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(m, d, DNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    set_descriptor(m, d, DNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b) set_descriptor(m, d, DNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    set_descriptor(m, d, DNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    return finish(m, d);
}

/* The result of operation `at` of so many: y itself at the end, in between a number in float. */
static void *result_of(maker *m, const cudnn_conv *c, int at, int last)
{
    return image(m, at == last ? ID_Y : ID_VIRTUAL + at, at == last && c->bf16, c->y);
}

/* In the order that cuDNN has ready-made engines for: convolution, residual, bias, relu. */
static void *operations(maker *m, const cudnn_conv *c)
{
    int last = c->residual + c->bias + c->relu, n = 0;
    void *ops[MAX_OPS], *y = result_of(m, c, 0, last);
    void *x = image(m, ID_X, c->bf16, c->x);
    void *w = tensor(m, ID_W, c->bf16, c->y[3], c->x[3], c->kernel[0], c->kernel[1]);
    ops[n++] = convolution(m, c, x, w, y);
    for (int part = 0; part < 3; part++) {
        const int wanted[3] = { c->residual, c->bias, c->relu };
        if (!wanted[part]) continue;
        void *b = part == 0   ? image(m, ID_RESIDUAL, c->bf16, c->y)
                  : part == 1 ? tensor(m, ID_BIAS, c->bf16, 1, c->y[3], 1, 1)
                              : NULL;
        void *next = result_of(m, c, n, last);
        ops[n++] = pointwise(m, b ? DNN_POINTWISE_ADD : DNN_POINTWISE_RELU_FWD, y, b, next);
        y = next;
    }
    void *graph = make(m, DNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(m, graph, DNN_ATTR_OPERATIONGRAPH_OPS, DNN_TYPE_BACKEND_DESCRIPTOR, n, ops);
    return finish(m, graph);
}

/* ---- which engine ---------------------------------------------------------------------------------------------------------- */

typedef struct candidate {
    void *config, *execution; /* execution: its plan; NULL: not made yet */
    size_t workspace_bytes;
    int64_t engine;
    bool on_tensor_cores;
} candidate;

static bool has_note(const int *notes, int64_t n, int note)
{
    for (int64_t i = 0; i < n; i++)
        if (notes[i] == note) return true;
    return false;
}

/* Reads a configuration's notes; false when it will not do for the convolution. */
static bool will_do(maker *m, const cudnn_conv *c, candidate *of)
{
    int how[MAX_NOTES], numbers[MAX_NOTES];
    int64_t workspace = 0;
    void *engine = make(m, DNN_BACKEND_ENGINE_DESCRIPTOR);
    if (!engine || !get(m, of->config, DNN_ATTR_ENGINECFG_ENGINE, DNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine))
        return false;
    get(m, engine, DNN_ATTR_ENGINE_GLOBAL_INDEX, DNN_TYPE_INT64, 1, &of->engine);
    get(m, of->config, DNN_ATTR_ENGINECFG_WORKSPACE_SIZE, DNN_TYPE_INT64, 1, &workspace);
    int64_t n_how = get(m, engine, DNN_ATTR_ENGINE_BEHAVIOR_NOTE, DNN_TYPE_BEHAVIOR_NOTE, MAX_NOTES, how);
    int64_t n_numbers = get(m, engine, DNN_ATTR_ENGINE_NUMERICAL_NOTE, DNN_TYPE_NUMERICAL_NOTE, MAX_NOTES, numbers);
    of->on_tensor_cores = has_note(numbers, n_numbers, DNN_NUMERICAL_NOTE_TENSOR_CORE);
    bool rounds = of->on_tensor_cores || has_note(numbers, n_numbers, DNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
    return workspace <= CUDNN_MOST_WORKSPACE && (c->tensor_cores || !rounds) &&
           !has_note(how, n_how, DNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) &&
           !has_note(numbers, n_numbers, DNN_NUMERICAL_NOTE_NONDETERMINISTIC);
}

/* What the heuristics know, best first; returns how many. The second question fills in what the first one counted, less what proved to be unsupported. */
static int64_t ask_heuristics(maker *m, const cudnn *dnn, void *graph, int mode, void *configs[MAX_CONFIGS])
{
    void *ask = make(m, DNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    set_descriptor(m, ask, DNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    set_number(m, ask, DNN_ATTR_ENGINEHEUR_MODE, DNN_TYPE_HEUR_MODE, mode);
    if (dnn->device) set_descriptor(m, ask, DNN_ATTR_ENGINEHEUR_DEVICEPROP, dnn->device);
    finish(m, ask);
    if (m->status) return 0;
    int64_t n = get(m, ask, DNN_ATTR_ENGINEHEUR_RESULTS, DNN_TYPE_BACKEND_DESCRIPTOR, 0, NULL);
    if (n > MAX_CONFIGS) n = MAX_CONFIGS;
    for (int64_t i = 0; i < n; i++) configs[i] = make(m, DNN_BACKEND_ENGINECFG_DESCRIPTOR);
    return m->status || n == 0 ? 0 : get(m, ask, DNN_ATTR_ENGINEHEUR_RESULTS, DNN_TYPE_BACKEND_DESCRIPTOR, n, configs);
}

/* A plan of the configuration; NULL when the engine refuses after all. */
static void *plan_for(const cudnn *dnn, void *config, size_t *workspace_bytes)
{
    maker m = { .api = &dnn->api };
    int64_t bytes = 0;
    void *plan = make(&m, DNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    set_descriptor(&m, plan, DNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    if (dnn->device) set_descriptor(&m, plan, DNN_ATTR_EXECUTION_PLAN_DEVICEPROP, dnn->device);
    else set(&m, plan, DNN_ATTR_EXECUTION_PLAN_HANDLE, DNN_TYPE_HANDLE, 1, &dnn->handle);
    finish(&m, plan);
    if (!m.status) get(&m, plan, DNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, DNN_TYPE_INT64, 1, &bytes);
    if (!m.status && bytes <= CUDNN_MOST_WORKSPACE) return *workspace_bytes = (size_t)bytes, plan;
    destroy_all(&m);
    return NULL;
}

/* Takes a descriptor from those that die with the maker to those that live with the plan. */
static void keep(found_plan *found, maker *m, int i)
{
    assert(found->n_kept < MAX_KEPT);
    found->kept[found->n_kept++] = m->made[i];
    m->made[i] = m->made[--m->n];
}

static void keep_descriptor(found_plan *found, maker *m, const void *descriptor)
{
    for (int i = m->n - 1; i >= 0; i--)
        if (m->made[i] == descriptor) keep(found, m, i);
}

/* What will do, those on tensor cores before the others; returns how many. */
static int sort_candidates(maker *m, found_plan *found, void *graph, int mode, candidate list[MAX_CONFIGS])
{
    void *configs[MAX_CONFIGS];
    candidate plain[MAX_CONFIGS];
    int n = 0, n_plain = 0;
    const int64_t n_configs = ask_heuristics(m, found->dnn, graph, mode, configs);
    found->plan.n_configs += (int32_t)n_configs;
    for (int64_t i = 0; i < n_configs; i++) {
        candidate c = { .config = configs[i], .engine = -1 };
        if (!will_do(m, &found->plan.conv, &c)) continue;
        if (c.on_tensor_cores) list[n++] = c;
        else plain[n_plain++] = c;
    }
    for (int i = 0; i < n_plain; i++) list[n++] = plain[i];
    return n;
}

/* Plans of the first ones that have one, `most` at most; those come to the front of the list. Returns how many. */
static int make_plans(const cudnn *dnn, candidate *list, int n, int most)
{
    int made = 0;
    for (int i = 0; i < n && made < most; i++) {
        list[i].execution = plan_for(dnn, list[i].config, &list[i].workspace_bytes);
        if (list[i].execution) list[made++] = list[i];
    }
    return made;
}

/* That is what was found, for the time being. */
static void take(found_plan *found, const candidate *of)
{
    found->execution = of->execution;
    found->plan.workspace_bytes = of->workspace_bytes;
    found->plan.engine = of->engine;
    found->plan.on_tensor_cores = of->on_tensor_cores;
}

/* The fastest, where an earlier one counts as as fast as one that gains less than noise does; -1: none could be timed. */
static int fastest(found_plan *found, const candidate *list, int n)
{
    const cudnn_tuner *tuner = &found->dnn->tuner;
    const double clearly = 0.97;
    double least = 0;
    int best = -1;
    for (int i = 0; i < n; i++) {
        take(found, &list[i]);
        const double ns = tuner->time(tuner->context, &found->plan);
        if (ns < 0 || (best >= 0 && ns >= clearly * least)) continue;
        least = ns;
        best = i;
    }
    return best;
}

/* What was the fastest before, else what is now; the first where that cannot be told. */
static int tuned(found_plan *found, const candidate *list, int n)
{
    const cudnn_tuner *tuner = &found->dnn->tuner;
    cudnn_choice choice;
    if (tuner->recall(tuner->context, &found->plan.conv, &choice) && choice.place < n &&
        list[choice.place].engine == choice.engine)
        return choice.place;
    const int best = fastest(found, list, n);
    if (best < 0) return 0;
    choice = (cudnn_choice){ best, list[best].engine };
    tuner->remember(tuner->context, &found->plan.conv, &choice);
    return best;
}

static void choose(maker *m, found_plan *found, void *graph, int mode)
{
    candidate list[MAX_CONFIGS];
    const cudnn *dnn = found->dnn;
    int n = sort_candidates(m, found, graph, mode, list);
    n = make_plans(dnn, list, n, dnn->tuner.time ? CUDNN_MOST_TUNED : 1);
    if (!n) return;
    const int best = n > 1 ? tuned(found, list, n) : 0;
    for (int i = 0; i < n; i++)
        if (i != best) dnn->api.destroy_descriptor(list[i].execution);
    take(found, &list[best]);
    keep_descriptor(found, m, list[best].config);
}

/* The general heuristics first; those of last resort know only slow engines. */
static void find(found_plan *found)
{
    static const int modes[] = { DNN_HEUR_MODE_A, DNN_HEUR_MODE_FALLBACK };
    maker graph_maker = { .api = &found->dnn->api };
    void *graph = operations(&graph_maker, &found->plan.conv);
    for (int i = 0; i < 2 && !graph_maker.status && !found->execution; i++) {
        maker m = { .api = &found->dnn->api };
        choose(&m, found, graph, modes[i]);
        destroy_all(&m);
    }
    while (found->execution && graph_maker.n > 0) keep(found, &graph_maker, graph_maker.n - 1);
    destroy_all(&graph_maker);
}

const cudnn_plan *cudnn_plan_of(cudnn *dnn, const cudnn_conv *conv)
{
    for (const found_plan *f = dnn->plans; f; f = f->next)
        if (!memcmp(&f->plan.conv, conv, sizeof *conv)) return f->execution ? &f->plan : NULL;
    found_plan *found = gen_alloc(1, sizeof *found);
    if (!found) return NULL;
    found->dnn = dnn;
    found->plan.conv = *conv;
    found->next = dnn->plans;
    dnn->plans = found;
    find(found);
    return found->execution ? &found->plan : NULL;
}

void cudnn_tune(cudnn *dnn, const cudnn_tuner *tuner)
{
    dnn->tuner = *tuner;
}

/* ---- running --------------------------------------------------------------------------------------------------------------- */

int cudnn_run(const cudnn_plan *plan, const cudnn_tensors *at, void *workspace, void *stream)
{
    const found_plan *found = (const found_plan *)plan;
    const cudnn *dnn = found->dnn;
    maker m = { .api = &dnn->api };
    int64_t ids[5] = { ID_X, ID_W, ID_Y }, n = 3;
    void *data[5] = { at->x, at->w, at->y };
    if (plan->conv.bias) ids[n] = ID_BIAS, data[n++] = at->bias;
    if (plan->conv.residual) ids[n] = ID_RESIDUAL, data[n++] = at->residual;
    void *pack = make(&m, DNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(&m, pack, DNN_ATTR_VARIANT_PACK_UNIQUE_IDS, DNN_TYPE_INT64, n, ids);
    set(&m, pack, DNN_ATTR_VARIANT_PACK_DATA_POINTERS, DNN_TYPE_VOID_PTR, n, data);
    set(&m, pack, DNN_ATTR_VARIANT_PACK_WORKSPACE, DNN_TYPE_VOID_PTR, 1, &workspace);
    finish(&m, pack);
    if (!m.status) m.status = dnn->api.set_stream(dnn->handle, stream);
    if (!m.status) m.status = dnn->api.execute(dnn->handle, found->execution, pack);
    destroy_all(&m);
    return m.status;
}

/* ---- opening --------------------------------------------------------------------------------------------------------------- */

static int describe_device(cudnn *dnn, const char *json)
{
    maker m = { .api = &dnn->api };
    void *device = make(&m, DNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    set(&m, device, DNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, DNN_TYPE_CHAR, (int64_t)strlen(json), json);
    finish(&m, device);
    if (m.status) destroy_all(&m);
    else dnn->device = device;
    return m.status;
}

gen_status cudnn_open(const cudnn_api *api, const char *device_json, cudnn **result, gen_error *err)
{
    cudnn *dnn = gen_alloc(1, sizeof *dnn);
    if (!dnn) return gen_fail(err, GEN_NO_MEMORY, "no memory for cuDNN");
    dnn->api = *api;
    int status = device_json ? describe_device(dnn, device_json) : api->create(&dnn->handle);
    if (status) {
        gen_free(dnn);
        return gen_fail(err, GEN_NO_DEVICE, "cuDNN %zu does not open %s: status %d", api->version(),
                        device_json ? "the described GPU" : "this GPU", status);
    }
    *result = dnn;
    return GEN_OK;
}

void cudnn_close(cudnn *dnn)
{
    if (!dnn) return;
    for (found_plan *f = dnn->plans, *next; f; f = next) {
        next = f->next;
        if (f->execution) dnn->api.destroy_descriptor(f->execution);
        while (f->n_kept > 0) dnn->api.destroy_descriptor(f->kept[--f->n_kept]);
        gen_free(f);
    }
    if (dnn->device) dnn->api.destroy_descriptor(dnn->device);
    if (dnn->handle) dnn->api.destroy(dnn->handle);
    gen_free(dnn);
}
