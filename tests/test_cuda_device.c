/* The GPU as a device, without a GPU: whole training steps of models through the recorder and the block emulator, beside the CPU's; and what a capture
 * forbids, failures at every call. */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "kernels/devices.h"
#include "tests/cuda_fake_cublaslt.h"
#include "tests/cuda_fake_cudnn.h"
#include "tests/cuda_recorder.h"
#include "tests/model_run.h"
#include "tests/test.h"

/* ---- whole models ---- */

typedef struct trained {
    int32_t n;
    double loss;
    float *moved[512]; /* [count] of each parameter: after the steps minus before */
    int64_t count[512];
} trained;

static void train(test_model *t, trained *out, int steps)
{
    gen_program *p = test_model_program(t, t->model->train);
    out->n = gen_params_count(t->params);
    assert_in_range(out->n, 1, 512);
    for (int32_t i = 0; i < out->n; i++) out->moved[i] = test_model_values(t, i, &out->count[i]);
    out->loss = test_model_steps(t, p, 0, steps);
    for (int32_t i = 0; i < out->n; i++) {
        const float *now = test_model_values(t, i, &out->count[i]);
        for (int64_t k = 0; k < out->count[i]; k++) out->moved[i][k] = now[k] - out->moved[i][k];
    }
    for (int32_t i = 0; i < out->n; i++)
        if (gen_params_get(t->params, i).spec.state) out->count[i] = 0; /* counters, averages */
    gen_program_free(p);
}

/* ||a - b|| against ||b||, over all learned parameters: single ones may have no gradient but rounding errors. */
static double distance(const trained *a, const trained *b)
{
    double difference = 0, size = 0;
    for (int32_t i = 0; i < b->n; i++)
        for (int64_t k = 0; k < b->count[i]; k++) {
            double x = (double)a->moved[i][k], y = (double)b->moved[i][k];
            difference += (x - y) * (x - y);
            size += y * y;
        }
    return sqrt(difference / size);
}

static void use_device(test_model *t, gen_device *device)
{
    gen_params_free(t->params);
    t->device->ops->close(t->device);
    t->device = device;
    t->params = gen_params_new(t->device);
}

static gen_device *opened(const char *name)
{
    gen_error err = { 0 };
    gen_device *device;
    TEST_OK(gen_device_open(name, 1, &device, &err));
    return device;
}

/* In place of blobs, whose background is the same value everywhere: where that meets a corner of a function (relu, |x|), a rounding moves all of it. */
static void fill_with_noise(test_model *t)
{
    for (int64_t i = 0; i < t->n * t->pixels; i++) t->x[i] = gen_uniform_from_word(gen_random_word(1, 2, (uint64_t)i));
}

/* Plain gradient steps: what the parameters do is then as exact as the gradients are. The double-precision reference is the yardstick: a net may
 * enlarge roundings, and then does so to the CPU's as well. */
static void trains_as_on_the_cpu(const char *model, const char *options, int64_t n, int64_t side, int64_t c)
{
    enum { EXACT, CPU, CUDA, LIBRARIES, N_DEVICES };
    char text[256];
    test_model t[N_DEVICES];
    trained out[N_DEVICES];
    cuda_recorder r, with;
    const int products_before = fake_cublaslt_executed();
    cuda_products products = fake_products(CUDA_FP32);
    snprintf(text, sizeof text, "%s optimiser=sgd lr=0.01", options);
    for (int i = 0; i < N_DEVICES; i++) {
        test_model_open(&t[i], model, NULL, text, n, side, side, c);
        fill_with_noise(&t[i]);
        use_device(&t[i], i == CUDA        ? cuda_recorder_open(&r, NULL)
                          : i == LIBRARIES ? cuda_recorder_open(&with, &products)
                                           : opened(i == CPU ? "cpu" : "cpu64"));
        train(&t[i], &out[i], 2);
    }
    assert_int_equal(out[CUDA].n, out[EXACT].n);
    assert_int_equal(r.n_runs, 2); /* a step is one graph */
    double cuda = distance(&out[CUDA], &out[EXACT]), cpu = distance(&out[CPU], &out[EXACT]),
           libraries = distance(&out[LIBRARIES], &out[EXACT]);
    test_note(
        "cuda: %s %s as on the processor: %d launches, %d lanes, %d waits; steps differ by %.1e, with libraries (%d "
        "convolutions, %d products) by %.1e, the processor's by %.1e",
        model, options, r.n_launches, r.n_lanes, r.n_waits, cuda, fake_cudnn_executed(),
        fake_cublaslt_executed() - products_before, libraries, cpu);
    assert_true(cuda < fmax(1e-5, 3 * cpu));
    assert_true(libraries < fmax(1e-5, 3 * cpu));
    assert_true(fabs(out[CUDA].loss / out[EXACT].loss - 1) < 1e-5);
    for (int i = 0; i < N_DEVICES; i++) test_model_close(&t[i]);
    assert_true(r.closed && with.closed);
    fake_products_are_gone();
}

TEST(cuda_device_trains_autoencoders_as_the_cpu_does)
{
    trains_as_on_the_cpu("vae", "net=mlp hidden=12 latent=3", 8, 12, 1);
    trains_as_on_the_cpu("vae", "net=conv width=4 latent=2 hidden=8 conditional=1 batch-norm=1", 8, 12, 1);
}

TEST(cuda_device_trains_gans_as_the_cpu_does)
{
    trains_as_on_the_cpu("gan", "width=4 latent=6 loss=bce up=bilinear spectral-norm=1", 8, 16, 3);
    trains_as_on_the_cpu("gan", "width=4 latent=6 loss=wgan-gp n-critic=2 up=nearest", 8, 16, 1);
}

TEST(cuda_device_trains_translation_and_diffusion_as_the_cpu_does)
{
    trains_as_on_the_cpu("cyclegan", "ngf=4 ndf=4 blocks=1", 2, 32, 3);
    trains_as_on_the_cpu("diffusion", "width=4 mults=1,2 blocks=1 attention=4 groups=2 warmup-steps=0 dropout=0.1", 4,
                         8, 1);
}

/* ---- a GPU, where there is one ---- */

static void gpu_trains_as_the_cpu(const char *precision, double tolerance, const char *model, const char *options,
                                  int64_t side, int64_t c)
{
    gen_error err = { 0 };
    test_model t[2];
    trained out[2];
    char text[256];
    snprintf(text, sizeof text, "%s optimiser=sgd lr=0.01", options);
    for (int i = 0; i < 2; i++) {
        gen_device *device = NULL;
        TEST_OK(gen_device_open_with(i ? "cuda" : "cpu64", 1, i ? precision : "fp32", &device, NULL, 0, &err));
        test_model_open(&t[i], model, NULL, text, 8, side, side, c);
        fill_with_noise(&t[i]);
        use_device(&t[i], device);
        train(&t[i], &out[i], 2);
    }
    double off = distance(&out[1], &out[0]);
    printf("  %s %s in %s: steps differ by %.1e\n", model, options, precision, off);
    assert_true(off < tolerance);
    for (int i = 0; i < 2; i++) test_model_close(&t[i]);
}

TEST(cuda_gpu_trains_as_the_cpu_does)
{
    gen_error err = { 0 };
    gen_device *device = NULL;
    if (gen_device_open("cuda", 1, &device, &err)) TEST_SKIP(err.text);
    printf("  %s\n", device->name);
    device->ops->close(device);
    static const struct {
        const char *name;
        double tolerance;
    } precisions[] = { { "fp32", 1e-4 }, { "tf32", 1e-2 }, { "bf16", 1e-1 } };
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++) {
        const double tolerance = precisions[i].tolerance;
        gpu_trains_as_the_cpu(precisions[i].name, tolerance, "vae", "net=conv width=16 latent=4", 28, 1);
        gpu_trains_as_the_cpu(precisions[i].name, tolerance, "gan", "width=16 latent=6 loss=bce", 32, 3);
        gpu_trains_as_the_cpu(precisions[i].name, tolerance, "diffusion",
                              "width=16 mults=1,2 blocks=1 attention=8 groups=4 warmup-steps=0", 16, 3);
    }
}

/* ---- what a device promises ---- */

enum { N = 1000 };

/* y = x + noise, then y = y * x */
typedef struct two_calls {
    cuda_recorder r;
    gen_device *device;
    gen_attr attr;
    gen_run_state state;
    gen_view x[2], y[2], noise[2];
    gen_call calls[3];
} two_calls;

static void open_two_calls(two_calls *t)
{
    gen_error err = { 0 };
    float host[N];
    memset(t, 0, sizeof *t);
    t->device = cuda_recorder_open(&t->r, NULL);
    t->attr.key = 7;
    t->state.seed = 1;
    gen_view *views[3] = { t->x, t->y, t->noise };
    for (int i = 0; i < 3; i++) views[i][0] = (gen_view){ t->device->ops->alloc(t->device, sizeof host), GEN_SHAPE(N) };
    for (int i = 0; i < N; i++) host[i] = (float)i;
    TEST_OK(t->device->ops->upload(t->device, t->x[0].data, host, N, &err));
    t->x[1] = t->noise[0];
    t->y[1] = t->x[0];
    gen_call call = {
        .n_out = 1, .attr = &t->attr, .epilogue.act = GEN_OP_COUNT, .state = &t->state, .name = "a layer"
    };
    for (int i = 0; i < 3; i++) t->calls[i] = call;
    t->calls[0].op = GEN_OP_UNIFORM;
    t->calls[0].out = t->noise;
    t->calls[1].op = GEN_OP_ADD;
    t->calls[2].op = GEN_OP_MUL;
    t->calls[1].n_in = t->calls[2].n_in = 2;
    t->calls[1].in = t->x;
    t->calls[2].in = t->y;
    t->calls[1].out = t->calls[2].out = t->y;
}

static void close_two_calls(two_calls *t)
{
    t->device->ops->free(t->device, t->x[0].data);
    t->device->ops->free(t->device, t->y[0].data);
    t->device->ops->free(t->device, t->noise[0].data);
    t->device->ops->close(t->device);
    assert_true(t->r.closed);
}

TEST(cuda_device_runs_one_graph_and_takes_no_memory)
{
    two_calls t;
    gen_error err = { 0 };
    gen_exec *exec;
    float y[2][N], x;
    open_two_calls(&t);
    TEST_OK(t.device->ops->compile(t.device, t.calls, 3, &exec, &err));
    assert_int_equal(t.r.n_launches, 3);
    for (int run = 0; run < 2; run++) {
        uint64_t before = gen_alloc_count();
        t.state.step = (uint64_t)run; /* what changes from run to run reaches the graph */
        TEST_OK(t.device->ops->run(exec, &err));
        assert_int_equal(gen_alloc_count(), before);
        TEST_OK(t.device->ops->download(t.device, y[run], t.y[0].data, N, &err));
    }
    assert_int_equal(t.r.n_launches, 3);
    assert_int_equal(t.r.n_runs, 2);
    assert_memory_not_equal(y[0], y[1], sizeof y[0]);
    for (int i = 1; i < N; i++) {
        x = y[0][i] / (float)i - (float)i;
        assert_true(x > -1e-3f && x < 1.001f);
    }
    t.device->ops->exec_free(exec);
    close_two_calls(&t);
}

TEST(cuda_device_without_work_makes_no_graph)
{
    two_calls t;
    gen_error err = { 0 };
    gen_exec *exec;
    open_two_calls(&t);
    gen_view in[2] = { t.x[0], t.x[0] };
    gen_call call = {
        .op = GEN_OP_ASSIGN, .n_in = 2, .n_out = 1, .in = in, .out = in, .attr = &t.attr, .name = "itself"
    };
    TEST_OK(t.device->ops->compile(t.device, &call, 1, &exec, &err));
    TEST_OK(t.device->ops->run(exec, &err));
    assert_int_equal(t.r.n_graphs, 0);
    t.device->ops->exec_free(exec);
    close_two_calls(&t);
}

/* The n-th thing asked of the GPU fails, for n = 1, 2, … until compiling and running succeed: each time a sentence, and nothing is lost. */
TEST(cuda_device_survives_every_failure)
{
    two_calls t;
    int failures = 0;
    open_two_calls(&t);
    for (bool done = false; !done; failures++) {
        gen_error err = { 0 };
        gen_exec *exec = NULL;
        int32_t blocks = t.r.n_blocks;
        t.r.fail_at = failures + 1;
        gen_status status = t.device->ops->compile(t.device, t.calls, 3, &exec, &err);
        if (status == GEN_OK) status = t.device->ops->run(exec, &err);
        done = status == GEN_OK;
        t.r.fail_at = 0;
        if (!done && !strstr(err.text, "it was told to fail") && !strstr(err.text, "no memory on cuda (emulated)"))
            fail_msg("failure %d is told as \"%s\"", failures + 1, err.text);
        t.device->ops->exec_free(exec);
        assert_int_equal(t.r.n_blocks, blocks);
        assert_int_equal(t.r.n_graphs, 0);
    }
    /* 2 allocations, begin, a mark, 3 launches, end, copy of the state, run; then success */
    assert_int_equal(failures, 11);
    close_two_calls(&t);
}

/* y[1,4,4,2] = conv(x[1,4,4,3]), run by a library that fails. */
TEST(cuda_device_tells_that_a_library_refused)
{
    gen_error err = { 0 };
    cuda_recorder r;
    cuda_products products = fake_products(CUDA_FP32);
    gen_device *device = cuda_recorder_open(&r, &products);
    gen_attr attr = { .window = { { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 }, { 1, 1 }, 1 } };
    gen_view in[2] = { { device->ops->alloc(device, 48 * sizeof(float)), GEN_SHAPE(1, 4, 4, 3) },
                       { device->ops->alloc(device, 6 * sizeof(float)), GEN_SHAPE(1, 1, 3, 2) } },
             out = { device->ops->alloc(device, 32 * sizeof(float)), GEN_SHAPE(1, 4, 4, 2) };
    gen_call call = {
        .op = GEN_OP_CONV2D, .n_in = 2, .n_out = 1, .in = in, .out = &out, .attr = &attr, .name = "conv"
    };
    gen_exec *exec = NULL;
    call.epilogue.act = GEN_OP_COUNT;
    fake_cudnn_fails = true;
    assert_int_equal(device->ops->compile(device, &call, 1, &exec, &err), GEN_NO_DEVICE);
    assert_string_equal(err.text, "cuda (emulated): a library failed: a library refused");
    assert_null(exec);
    for (int i = 0; i < 2; i++) device->ops->free(device, in[i].data);
    device->ops->free(device, out.data);
    device->ops->close(device);
    fake_products_are_gone();
}

TEST(cuda_device_refuses_an_op_without_kernel_by_name)
{
    two_calls t;
    gen_error err = { 0 };
    gen_exec *exec = NULL;
    open_two_calls(&t);
    t.calls[1].op = GEN_OP_INPUT;
    assert_int_equal(t.device->ops->compile(t.device, t.calls, 3, &exec, &err), GEN_UNSUPPORTED);
    assert_string_equal(err.text, "a layer: the GPU has no kernel for input");
    assert_null(exec);
    close_two_calls(&t);
}

TEST(cuda_device_knows_its_scratch_memory_beforehand)
{
    gen_error err = { 0 };
    cuda_recorder r;
    gen_device *device = cuda_recorder_open(&r, NULL);
    gen_attr attr = { .axes = 3 };
    gen_view x = { device->ops->alloc(device, 40 * 50 * sizeof(float) * 100), GEN_SHAPE(4000, 50) },
             y = { device->ops->alloc(device, sizeof(float)), GEN_SHAPE(1, 1) };
    gen_call call = { .op = GEN_OP_LSE, .n_in = 1, .n_out = 1, .in = &x, .out = &y, .attr = &attr, .name = "all" };
    gen_exec *exec;
    TEST_OK(device->ops->compile(device, &call, 1, &exec, &err));
    assert_int_equal(r.n_launches, 4); /* largest, sum of powers: each in parts, and joined */
    assert_true(device->ops->compile_bytes(device, &call, 1) > 64 * sizeof(float));
    device->ops->exec_free(exec);
    device->ops->free(device, x.data);
    device->ops->free(device, y.data);
    device->ops->close(device);
}
