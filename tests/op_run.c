#include "tests/op_run.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "core/thread.h"
#include "kernels/devices.h"
#include "tests/cuda_emulator.h"

enum { FENCE = 64, MAX_BLOCKS = 256, MAX_RUNGS = 32, N_THREADS = 3 };

/* ---- fenced memory: poison on both sides, not-a-numbers inside ---- */

typedef struct block {
    char *start;
    size_t bytes;
} block;

static block blocks[MAX_BLOCKS];
static int n_blocks;

static void *fenced(size_t bytes)
{
    block *b = &blocks[n_blocks++];
    if (n_blocks >= MAX_BLOCKS) fail_msg("too many blocks in one case");
    b->bytes = bytes;
    b->start = gen_alloc(1, bytes + 2 * FENCE);
    assert_non_null(b->start);
    memset(b->start, 0x5a, bytes + 2 * FENCE);
    return memset(b->start + FENCE, 0xff, bytes); /* 0xff.. is not a number, in float and in double */
}

static bool fences_stand(void)
{
    for (int i = 0; i < n_blocks; i++)
        for (int j = 0; j < FENCE; j++)
            if (blocks[i].start[j] != 0x5a || blocks[i].start[FENCE + blocks[i].bytes + (size_t)j] != 0x5a)
                return false;
    return true;
}

static void free_blocks_from(int first)
{
    while (n_blocks > first) gen_free(blocks[--n_blocks].start);
}

/* ---- text ---- */

static void append(char *text, size_t bytes, const char *format, ...) GEN_PRINTF(3, 4);
static void append(char *text, size_t bytes, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, bytes - used, format, args);
    va_end(args);
}

const char *op_case_text(const op_case *c)
{
    static char text[1024];
    char shape[64];
    const gen_attr *a = &c->attr;
    const gen_window *w = &a->window;
    snprintf(text, sizeof text, "%s", gen_op_get(c->op)->name);
    for (int32_t i = 0; i < c->n_in; i++)
        append(text, sizeof text, " %s", gen_shape_text(&c->in[i], shape, sizeof shape));
    if (a->shape.rank) append(text, sizeof text, " to %s", gen_shape_text(&a->shape, shape, sizeof shape));
    if (w->kernel[0] || w->pad[0])
        append(text, sizeof text, ", window %dx%d stride %dx%d pad %d,%d,%d,%d dilation %dx%d groups %d", w->kernel[0],
               w->kernel[1], w->stride[0], w->stride[1], w->pad[0], w->pad[1], w->pad[2], w->pad[3], w->dilation[0],
               w->dilation[1], w->groups);
    if (c->op == GEN_OP_MATMUL) append(text, sizeof text, "%s%s", a->trans_a ? ", a^T" : "", a->trans_b ? ", b^T" : "");
    if (a->axes) append(text, sizeof text, ", axes %#x", (unsigned)a->axes);
    if (a->groups) append(text, sizeof text, ", %d groups", a->groups);
    if (a->a != 0 || a->b != 0) append(text, sizeof text, ", a %g b %g", a->a, a->b);
    append(text, sizeof text, "%s%s", c->bias ? ", bias" : "", c->residual ? ", residual" : "");
    if (c->act) append(text, sizeof text, ", %s", gen_op_get(c->act)->name);
    return text;
}

/* ---- inputs ---- */

static op_domain index_domain(int64_t rows)
{
    return (op_domain){ 0, (double)rows, true };
}

op_domain op_domain_of(const op_case *c, int32_t input)
{
    if (c->ties) return (op_domain){ -2, 3, true };
    switch (c->op) {
    case GEN_OP_LOG:
    case GEN_OP_SQRT:
    case GEN_OP_RSQRT: return (op_domain){ 0.05, 4, false };
    case GEN_OP_EXP: return (op_domain){ -12, 12, false };
    case GEN_OP_POW: return input ? (op_domain){ -2, 2, false } : (op_domain){ 0.05, 3, false };
    case GEN_OP_DIV: return input ? (op_domain){ 0.5, 2, false } : (op_domain){ -2, 2, false };
    case GEN_OP_SELECT: return input ? (op_domain){ -2, 2, false } : (op_domain){ 0, 2, true };
    case GEN_OP_EQUAL: return (op_domain){ -2, 3, true };
    case GEN_OP_GATHER: return input ? index_domain(c->in[0].dim[0]) : (op_domain){ -2, 2, false };
    case GEN_OP_SCATTER_ADD: return input ? (op_domain){ -2, 2, false } : index_domain(c->attr.shape.dim[0]);
    case GEN_OP_ONE_HOT: return index_domain(c->attr.shape.dim[0]);
    case GEN_OP_NORM:
    case GEN_OP_NORM_DX:
    case GEN_OP_NORM_DP: return input == 1 ? (op_domain){ 0.5, 1.5, false } : (op_domain){ -2, 2, false };
    case GEN_OP_CHAIN: return (op_domain){ 0.1, 2, false };
    case GEN_OP_LSTM:
    case GEN_OP_GRU:
    case GEN_OP_LSTM_DX:
    case GEN_OP_GRU_DX:
    case GEN_OP_MATMUL:
    case GEN_OP_CONV2D:
    case GEN_OP_CONV2D_T:
    case GEN_OP_CONV2D_W: return (op_domain){ -1, 1, false };
    default: return (op_domain){ -4, 4, false };
    }
}

void op_random(op_domain domain, uint32_t stream, double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double u = (double)gen_uniform_from_word(gen_random_word(20240229, stream, (uint64_t)i));
        double value = domain.low + u * (domain.high - domain.low);
        x[i] = (double)(float)(domain.whole ? floor(value) : value);
    }
}

gen_shape op_inferred_shape(const op_case *c)
{
    if (c->op == GEN_OP_CHAIN) return c->chain->shape;
    gen_node in[CASE_MAX_IN] = { 0 }, *pointers[CASE_MAX_IN];
    for (int32_t i = 0; i < c->n_in; i++) {
        in[i].op = i == 0 && c->op == GEN_OP_ASSIGN ? GEN_OP_PARAM : GEN_OP_INPUT;
        in[i].shape = c->in[i];
        pointers[i] = &in[i];
    }
    gen_node y = { .op = c->op, .n_in = c->n_in, .in = pointers, .attr = c->attr, .name = "" };
    gen_error err = { 0 };
    gen_shape shape = { 0 };
    if (gen_op_get(c->op)->infer(&y, &shape, &err)) fail_msg("%s: %s", op_case_text(c), err.text);
    return shape;
}

/* ---- a call with its own memory, in float or in double ---- */

typedef struct test_call {
    gen_call call;
    gen_view in[CASE_MAX_IN], out[GEN_CHAIN_MAX_OUT];
} test_call;

static const gen_run_state run_state = { .seed = 0x123456789abcdefu, .step = 17, .first_sample = 5 };

static void *new_values(const gen_shape *shape, op_domain domain, uint32_t stream, size_t element)
{
    int64_t n = gen_shape_count(shape);
    double *x = fenced((size_t)n * sizeof *x);
    op_random(domain, stream, x, n);
    if (element == sizeof(double)) return x;
    float *y = fenced((size_t)n * sizeof *y);
    for (int64_t i = 0; i < n; i++) y[i] = (float)x[i];
    return y;
}

static gen_epilogue new_epilogue(const op_case *c, const gen_shape *y, size_t element)
{
    gen_epilogue e = { .act = c->act ? c->act : GEN_OP_COUNT, .act_a = 0.2 };
    op_domain domain = { -1, 1, false };
    e.bias.shape = GEN_SHAPE(y->rank ? y->dim[y->rank - 1] : 1);
    e.residual.shape = *y;
    if (c->bias) e.bias.data = new_values(&e.bias.shape, domain, 100, element);
    if (c->residual) e.residual.data = new_values(y, domain, 101, element);
    return e;
}

static void new_call(test_call *t, const op_case *c, size_t element)
{
    gen_shape y = op_inferred_shape(c);
    memset(t, 0, sizeof *t);
    for (int32_t i = 0; i < c->n_in; i++)
        t->in[i] = (gen_view){ new_values(&c->in[i], op_domain_of(c, i), (uint32_t)i, element), c->in[i] };
    t->call = (gen_call){ .op = c->op,
                          .n_in = c->n_in,
                          .n_out = c->chain ? c->chain->n_out : 1,
                          .in = t->in,
                          .out = t->out,
                          .attr = &c->attr,
                          .chain = c->chain,
                          .state = &run_state,
                          .name = "test" };
    t->call.epilogue = new_epilogue(c, &y, element);
    for (int32_t i = 0; i < t->call.n_out; i++)
        t->out[i] = (gen_view){ fenced((size_t)gen_shape_count(&y) * element), y };
}

/* ---- one kernel, in three ways ---- */

typedef enum run_way { FORWARD, BACKWARD, POOL, N_WAYS } run_way;
static const char *const way_names[] = { "1 thread", "parts in reverse order", "3 threads" };

typedef struct kernel_run {
    const cpu_kernel *kernel;
    const gen_call *call;
    cpu_work work;
    void *keep;
    char *shared, *scratch[N_THREADS];
    int32_t phase;
} kernel_run;

static void start_run(kernel_run *r, const cpu_kernel *kernel, const gen_call *call)
{
    memset(r, 0, sizeof *r);
    r->kernel = kernel;
    r->call = call;
    r->work.n_phases = 1;
    for (int i = 0; i < CPU_MAX_PHASES; i++) r->work.parts[i] = 1;
    if (kernel->setup) kernel->setup(call, &r->work);
    assert_true(r->work.n_phases >= 1);
    if (r->work.keep_bytes) r->keep = memset(fenced(r->work.keep_bytes), 0, r->work.keep_bytes);
    if (kernel->prepare) kernel->prepare(call, &r->work, r->keep);
    r->shared = fenced(r->work.shared_bytes);
    for (int i = 0; i < N_THREADS; i++) r->scratch[i] = fenced(r->work.thread_bytes);
}

static void run_part(void *context, int32_t part, int32_t thread)
{
    kernel_run *r = context;
    cpu_job job = { r->phase, part,    cpu_phase_parts(&r->work, r->phase), thread, r->shared, r->scratch[thread],
                    r->keep,  &r->work };
    r->kernel->run(r->call, &job);
}

static gen_pool *the_pool(void)
{
    static gen_pool *pool;
    if (!pool) pool = gen_pool_new(N_THREADS);
    assert_non_null(pool);
    return pool;
}

/* Scratch is poisoned first: what a call left there must not matter to the next. */
static void run_phases(kernel_run *r, run_way way)
{
    memset(r->shared, 0xff, r->work.shared_bytes);
    for (int i = 0; i < N_THREADS; i++) memset(r->scratch[i], 0xff, r->work.thread_bytes);
    for (r->phase = 0; r->phase < r->work.n_phases; r->phase++) {
        int32_t parts = cpu_phase_parts(&r->work, r->phase);
        assert_true(parts >= 1);
        if (way == POOL) gen_pool_run(the_pool(), parts, run_part, r);
        for (int32_t i = 0; way != POOL && i < parts; i++)
            if (way == FORWARD) run_part(r, i, 0);
            else run_part(r, parts - 1 - i, i % N_THREADS);
    }
}

void op_run_kernel(const cpu_kernel *kernel, const gen_call *call)
{
    int first = n_blocks;
    kernel_run r;
    start_run(&r, kernel, call);
    run_phases(&r, FORWARD);
    free_blocks_from(first);
}

/* ---- comparing ---- */

/* What an error is measured against besides the element itself: sums cancel, so for them the tensor's root mean square;
 * elementwise ops have no such excuse, but sin x near pi has. */
static double size_of(const op_case *c, const double *expected, int64_t n)
{
    double sum = 0;
    int64_t finite = 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(expected[i])) sum += expected[i] * expected[i], finite++;
    double rms = finite ? sqrt(sum / (double)finite) : 0;
    bool elementwise = gen_op_get(c->op)->flags & (OP_ELEMENTWISE | OP_PLAN);
    return elementwise ? fmin(1, rms) : rms;
}

static bool close_enough(double got, double expected, double tolerance, double size)
{
    if (isnan(expected)) return isnan(got);
    if (got == expected) return true;
    return fabs(got - expected) <= tolerance * (fabs(expected) + size);
}

static void compare(const op_case *c, const char *rung, const float *got, const double *expected, int64_t n)
{
    double size = size_of(c, expected, n);
    for (int64_t i = 0; i < n; i++)
        if (!close_enough((double)got[i], c->tolerance > 0 ? expected[i] : (double)(float)expected[i], c->tolerance,
                          size))
            fail_msg("%s: %s: element %lld is %.9g, expected %.9g (of size %.3g)", op_case_text(c), rung, (long long)i,
                     (double)got[i], expected[i], size);
}

static void same_bits(const op_case *c, const char *rung, const char *how, const float *got, const float *first,
                      int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&got[i], &first[i], sizeof *got))
            fail_msg("%s: %s: %s: element %lld is %.9g, but %.9g at first", op_case_text(c), rung, how, (long long)i,
                     (double)got[i], (double)first[i]);
}

static void check_fences(const op_case *c, const char *rung)
{
    if (!fences_stand()) fail_msg("%s: %s: wrote outside of its memory", op_case_text(c), rung);
}

static void check_rung(const op_case *c, const cpu_kernel *kernel, test_call *t, const test_call *expected)
{
    int64_t n = gen_shape_count(&t->out[0].shape);
    size_t bytes = (size_t)n * sizeof(float);
    int first_block = n_blocks;
    kernel_run r;
    float *first[GEN_CHAIN_MAX_OUT];
    start_run(&r, kernel, &t->call);
    for (run_way way = FORWARD; way < N_WAYS; way++) {
        for (int32_t k = 0; k < t->call.n_out; k++) memset(t->out[k].data, 0xff, bytes);
        run_phases(&r, way);
        for (int32_t k = 0; k < t->call.n_out; k++) {
            if (way == FORWARD) compare(c, kernel->name, t->out[k].data, expected->out[k].data, n);
            if (way == FORWARD) first[k] = memcpy(fenced(bytes), t->out[k].data, bytes);
            else same_bits(c, kernel->name, way_names[way], t->out[k].data, first[k], n);
        }
    }
    check_fences(c, kernel->name);
    free_blocks_from(first_block);
}

/* The first output takes the place of input i. */
static void check_in_place(const op_case *c, const cpu_kernel *kernel, const test_call *t, int32_t i,
                           const test_call *expected)
{
    test_call u = *t;
    int first_block = n_blocks;
    int64_t n = gen_shape_count(&u.out[0].shape);
    void *data = fenced((size_t)n * sizeof(float));
    memcpy(data, u.in[i].data, (size_t)n * sizeof(float));
    u.call.in = u.in;
    u.call.out = u.out;
    u.in[i].data = u.out[0].data = data;
    op_run_kernel(kernel, &u.call);
    char text[128];
    snprintf(text, sizeof text, "%s in place of input %d", kernel->name, i);
    for (int32_t k = 0; k < u.call.n_out; k++) compare(c, text, u.out[k].data, expected->out[k].data, n);
    check_fences(c, text);
    free_blocks_from(first_block);
}

static void check_inputs_untouched(const op_case *c, const test_call *t)
{
    for (int32_t i = 0; i < c->n_in; i++) {
        int first_block = n_blocks;
        const float *again = new_values(&c->in[i], op_domain_of(c, i), (uint32_t)i, sizeof(float));
        if (memcmp(again, t->in[i].data, (size_t)gen_shape_count(&c->in[i]) * sizeof *again))
            fail_msg("%s: input %d was written to", op_case_text(c), i);
        free_blocks_from(first_block);
    }
}

static void check_kernel(const op_case *c, const cpu_kernel *kernel, test_call *t, const test_call *expected)
{
    check_rung(c, kernel, t, expected);
    bool packs = c->op == GEN_OP_MATMUL || c->op == GEN_OP_CONV2D || c->op == GEN_OP_CONV2D_T;
    if (packs && kernel != &cuda_emulated_kernel && kernel != &cuda_library_kernel) {
        t->call.frozen = true; /* in[1] may be packed once */
        check_rung(c, kernel, t, expected);
        t->call.frozen = false;
    }
    for (int32_t i = 0; i < c->n_in && gen_op_get(c->op)->flags & (OP_ELEMENTWISE | OP_PLAN); i++)
        if (gen_shape_equal(&t->in[i].shape, &t->out[0].shape)) check_in_place(c, kernel, t, i, expected);
}

/* ---- on a whole device ---- */

/* $GEN_TEST_DEVICE, open until the program ends; NULL: nobody asked for one. */
static gen_device *chosen_device(void)
{
    static gen_device *device;
    gen_error err = { 0 };
    if (!device && strcmp(test_device(), "cpu") != 0) TEST_OK(gen_device_open(test_device(), N_THREADS, &device, &err));
    return device;
}

static gen_view to_device(gen_device *device, const gen_view *host)
{
    gen_error err = { 0 };
    size_t n = (size_t)gen_shape_count(&host->shape);
    gen_view there = { host->data ? device->ops->alloc(device, n * device->element_bytes) : NULL, host->shape };
    if (host->data) TEST_OK(device->ops->upload(device, there.data, host->data, n, &err));
    return there;
}

/* Runs twice, which must give the same bits. */
static void check_device(const op_case *c, gen_device *device, const test_call *t, const test_call *expected)
{
    gen_error err = { 0 };
    test_call u = *t;
    gen_exec *exec;
    int64_t n = gen_shape_count(&t->out[0].shape);
    int first_block = n_blocks;
    for (int32_t i = 0; i < u.call.n_in; i++) u.in[i] = to_device(device, &t->in[i]);
    for (int32_t k = 0; k < u.call.n_out; k++) u.out[k] = to_device(device, &t->out[k]);
    u.call.in = u.in;
    u.call.out = u.out;
    u.call.epilogue.bias = to_device(device, &t->call.epilogue.bias);
    u.call.epilogue.residual = to_device(device, &t->call.epilogue.residual);
    TEST_OK(device->ops->compile(device, &u.call, 1, &exec, &err));
    float *first = fenced((size_t)n * sizeof *first), *again = fenced((size_t)n * sizeof *again);
    TEST_OK(device->ops->run(exec, &err));
    for (int32_t k = 0; k < u.call.n_out; k++) {
        TEST_OK(device->ops->download(device, first, u.out[k].data, (size_t)n, &err));
        compare(c, device->name, first, expected->out[k].data, n);
        TEST_OK(device->ops->run(exec, &err));
        TEST_OK(device->ops->download(device, again, u.out[k].data, (size_t)n, &err));
        same_bits(c, device->name, "again", again, first, n);
    }
    device->ops->exec_free(exec);
    for (int32_t i = 0; i < u.call.n_in; i++) device->ops->free(device, u.in[i].data);
    for (int32_t k = 0; k < u.call.n_out; k++) device->ops->free(device, u.out[k].data);
    device->ops->free(device, u.call.epilogue.bias.data);
    device->ops->free(device, u.call.epilogue.residual.data);
    free_blocks_from(first_block);
}

static bool is_product(gen_op op)
{
    return op == GEN_OP_MATMUL || op == GEN_OP_CONV2D || op == GEN_OP_CONV2D_T || op == GEN_OP_CONV2D_W ||
           op == GEN_OP_LSTM || op == GEN_OP_LSTM_DX || op == GEN_OP_GRU || op == GEN_OP_GRU_DX;
}

int32_t op_rungs(gen_op op, const cpu_kernel **rungs, int32_t max_rungs)
{
    const char *only = getenv("GEN_OP_RUNGS");
    int32_t n = only && !strcmp(only, "cuda") ? 0 : cpu_kernel_rungs(op, cpu_isa_best(), rungs, max_rungs);
    if (cuda_has(op) && n < max_rungs) rungs[n++] = &cuda_emulated_kernel;
    if (is_product(op) && n < max_rungs) rungs[n++] = &cuda_library_kernel;
    return n;
}

/* ---- products of bfloat16 ---- */

double op_bf16_of(double x)
{
    int exponent;
    double fraction = frexp(x, &exponent); /* 0.5 <= fraction < 1: eight bits of it remain */
    return isfinite(x) ? ldexp(rint(fraction * 256) / 256, exponent) : x;
}

typedef double change_fn(double x);

static void change_all(const gen_view *view, change_fn *change)
{
    double *x = view->data;
    for (int64_t k = 0; k < gen_shape_count(&view->shape); k++) x[k] = change(x[k]);
}

/* The double-precision result of factors i and j changed; without the epilogue, a sum of products alone. */
static void expect_changed(test_call *t, const op_case *c, int32_t i, int32_t j, change_fn *change, bool epilogue)
{
    op_case alone = *c;
    if (!epilogue) alone.bias = alone.residual = false, alone.act = 0;
    new_call(t, &alone, sizeof(double));
    change_all(&t->in[i], change);
    change_all(&t->in[j], change);
    op_run_kernel(cpu_kernel_ref64(c->op), &t->call);
}

/* Two factors that are each off by a unit roundoff of 2^-8 make a product that is off by 2^-7 and a little; no activation makes differences larger. */
static void check_roundoff(const op_case *c, const cpu_kernel *kernel, const test_call *t, const test_call *exact,
                           const test_call *magnitude)
{
    const float *got = t->out[0].data;
    const double *expected = exact->out[0].data, *size = magnitude->out[0].data;
    for (int64_t i = 0; i < gen_shape_count(&t->out[0].shape); i++)
        if (fabs((double)got[i] - expected[i]) > ldexp(1.01, -7) * size[i] + 1e-5)
            fail_msg("%s: %s: element %lld is %.9g, expected %.9g of products that are %.9g together", op_case_text(c),
                     kernel->name, (long long)i, (double)got[i], expected[i], size[i]);
}

/* A single step of an lstm multiplies rounded weights and states. What further steps multiply the reference does not know: there remains a bound on what
 * roundings of 2^-8 become in a few steps, and test_bf16.c. */
static void check_bf16_recurrent(const op_case *c, const cpu_kernel *kernel, test_call *t, const test_call *exact)
{
    op_case loose = *c;
    loose.tolerance = 0.25;
    check_kernel(&loose, kernel, t, exact);
    if (c->op != GEN_OP_LSTM || c->in[0].dim[0] > 1) return;
    test_call rounded;
    expect_changed(&rounded, c, 1, 2, op_bf16_of, true);
    check_kernel(c, kernel, t, &rounded);
}

static void check_bf16_product(const op_case *c, const cpu_kernel *kernel, test_call *t, const test_call *exact)
{
    test_call rounded, magnitude;
    expect_changed(&rounded, c, 0, 1, op_bf16_of, true);
    expect_changed(&magnitude, c, 0, 1, fabs, false);
    check_kernel(c, kernel, t, &rounded);
    check_roundoff(c, kernel, t, exact, &magnitude);
}

/* The kernels above CPU_AVX512: float's tolerance around the product of rounded factors, bfloat16's around that of the factors themselves. */
static void check_bf16(const op_case *c, test_call *t, const test_call *exact)
{
    const cpu_kernel *rungs[MAX_RUNGS];
    int32_t plain = cpu_kernel_rungs(c->op, CPU_AVX512, rungs, MAX_RUNGS),
            n = cpu_has_bf16() ? cpu_kernel_rungs(c->op, CPU_AVX512_BF16, rungs, MAX_RUNGS) : 0;
    for (int32_t i = plain; i < n; i++) {
        if (!cpu_kernel_ways(rungs[i], &t->call)) continue;
        if (c->op == GEN_OP_MATMUL || c->op == GEN_OP_CONV2D || c->op == GEN_OP_CONV2D_T || c->op == GEN_OP_CONV2D_W)
            check_bf16_product(c, rungs[i], t, exact);
        else check_bf16_recurrent(c, rungs[i], t, exact);
    }
}

void op_check(const op_case *c)
{
    free_blocks_from(0); /* of a case that failed */
    test_call expected, t;
    new_call(&expected, c, sizeof(double));
    op_run_kernel(cpu_kernel_ref64(c->op), &expected.call);
    new_call(&t, c, sizeof(float));
    const cpu_kernel *rungs[MAX_RUNGS];
    int32_t n = op_rungs(c->op, rungs, MAX_RUNGS);
    assert_true(n >= 1);
    for (int32_t i = 0; i < n; i++)
        if (!rungs[i]->fits || rungs[i]->fits(&t.call)) check_kernel(c, rungs[i], &t, &expected);
    check_bf16(c, &t, &expected);
    check_inputs_untouched(c, &t);
    if (chosen_device()) check_device(c, chosen_device(), &t, &expected);
    free_blocks_from(0);
}
