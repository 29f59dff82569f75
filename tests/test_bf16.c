/* --precision bf16 on the processor. Its kernels run all rows of op_cases.h as the others do (op_run.c); here is what else it promises. */
#define _POSIX_C_SOURCE 200809L
#include "kernels/devices.h"
#include "tests/model_run.h"
#include "tests/op_run.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NEED_BF16()                                                                                                    \
    do {                                                                                                               \
        if (!cpu_has_bf16()) TEST_SKIP("this processor has no AVX512-BF16, or $GEN_CPU forbids it");                   \
    } while (0)

enum { M = 2, K = 3, N = 16 };

/* y[m,n] = a[m,k] b[k,n] on the kernel that the device would choose. */
static void multiply(int64_t m, int64_t k, int64_t n, float *a, float *b, float *y)
{
    gen_attr attr = { 0 };
    gen_view in[2] = { { a, GEN_SHAPE(m, k) }, { b, GEN_SHAPE(k, n) } }, out = { y, GEN_SHAPE(m, n) };
    gen_call call = {
        .op = GEN_OP_MATMUL, .n_in = 2, .n_out = 1, .in = in, .out = &out, .attr = &attr, .epilogue.act = GEN_OP_COUNT
    };
    const cpu_kernel *kernel = cpu_kernel_find(&call, CPU_AVX512_BF16);
    assert_string_equal(kernel->name, "matmul packed avx512-bf16");
    op_run_kernel(kernel, &call);
}

/* A matrix of one number each on the diagonal, times the unit matrix. */
TEST(bf16_rounds_to_the_nearest_and_halves_to_even)
{
    NEED_BF16();
    const float step = 1.0f / 128; /* between numbers of bfloat16 from 1 to 2 */
    const float x[N] = { 1,
                         1 + step / 2,
                         1 + 3 * step / 2,
                         1 + 0.51f * step,
                         1 + 0.49f * step,
                         -1 - step / 2,
                         3.0e38f,
                         -0.0f,
                         1e-30f,
                         1.0f / 3,
                         -2.0f / 3,
                         65504,
                         16777216.f,
                         3.14159265f,
                         1e20f,
                         -1e-20f };
    float diagonal[N * N] = { 0 }, unit[N * N] = { 0 }, y[N * N];
    for (int i = 0; i < N; i++) diagonal[i * N + i] = x[i], unit[i * N + i] = 1;
    multiply(N, N, N, diagonal, unit, y);
    for (int i = 0; i < N; i++)
        if ((double)y[i * N + i] != op_bf16_of((double)x[i]))
            fail_msg("%.9g became %.9g, expected %.9g", (double)x[i], (double)y[i * N + i], op_bf16_of((double)x[i]));
    assert_true(op_bf16_of((double)x[1]) == 1 && op_bf16_of((double)x[2]) == 1 + 2 * (double)step);
}

/* One that is not a number, or infinite, or too large for bfloat16 shows in its row and nowhere else. */
TEST(bf16_keeps_what_is_not_a_number)
{
    NEED_BF16();
    static const float odd[] = { NAN, INFINITY, -INFINITY, 3.4e38f };
    float a[M * K], b[K * N], y[M * N];
    for (int i = 0; i < K * N; i++) b[i] = 1;
    for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
        for (int i = 0; i < M * K; i++) a[i] = 1;
        a[M * K - 1] = odd[k];
        multiply(M, K, N, a, b, y);
        for (int j = 0; j < N; j++) {
            assert_true(y[j] == K);
            assert_true(isnan(odd[k]) ? isnan(y[N + j]) : isinf(y[N + j]) && (y[N + j] > 0) == (odd[k] > 0));
        }
    }
}

/* ---- recurrent layers: each step from what the kernel made of the one before ---------------------------------------------- */

enum { STEPS = 4, SAMPLES = 5, UNITS = 37, GATES = 4 * UNITS, PLANE = STEPS * SAMPLES * UNITS };

typedef struct layer {
    float xg[STEPS * SAMPLES * GATES], w[UNITS * GATES], h0[SAMPLES * UNITS], c0[SAMPLES * UNITS], y[6 * PLANE];
    float dy[PLANE], da[(STEPS + 1) * SAMPLES * GATES]; /* of h; before the gates' functions */
} layer;

static void fill(float *x, int n, uint32_t stream)
{
    double numbers[UNITS * GATES];
    assert_true(n <= UNITS * GATES);
    op_random((op_domain){ -0.5, 0.5, false }, stream, numbers, n);
    for (int i = 0; i < n; i++) x[i] = (float)numbers[i];
}

static void run_layer(gen_op op, gen_view in[4], gen_view *out)
{
    gen_attr attr = { .start = { op == GEN_OP_LSTM_DX ? 5 : 0 } };
    gen_call call = {
        .op = op, .n_in = 4, .n_out = 1, .in = in, .out = out, .attr = &attr, .epilogue.act = GEN_OP_COUNT
    };
    op_run_kernel(cpu_kernel_find(&call, CPU_AVX512_BF16), &call);
}

static void run_lstm(layer *l)
{
    const gen_shape state = GEN_SHAPE(SAMPLES, UNITS), w = GEN_SHAPE(UNITS, GATES),
                    y = GEN_SHAPE(6, STEPS, SAMPLES, UNITS);
    gen_view forward[4] = {
        { l->xg, GEN_SHAPE(STEPS, SAMPLES, GATES) }, { l->w, w }, { l->h0, state }, { l->c0, state }
    };
    gen_view back[4] = { { l->y, y }, { l->w, w }, { l->c0, state }, { l->dy, GEN_SHAPE(1, STEPS, SAMPLES, UNITS) } };
    gen_view outputs[2] = { { l->y, y }, { l->da, GEN_SHAPE(STEPS + 1, SAMPLES, GATES) } };
    fill(l->xg, STEPS * SAMPLES * GATES, 1);
    fill(l->w, UNITS * GATES, 2);
    fill(l->h0, SAMPLES * UNITS, 3);
    fill(l->c0, SAMPLES * UNITS, 4);
    fill(l->dy, PLANE, 5);
    run_layer(GEN_OP_LSTM, forward, &outputs[0]);
    run_layer(GEN_OP_LSTM_DX, back, &outputs[1]);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double factors(float a, float b)
{
    return op_bf16_of((double)a) * op_bf16_of((double)b);
}

/* y of plane k: the first four, the gates, lie as [T,N,4,H] */
static double at(const layer *l, int k, int t, int n, int u)
{
    const int row = t * SAMPLES + n;
    return (double)l->y[k < 4 ? (row * 4 + k) * UNITS + u : k * PLANE + row * UNITS + u];
}

static void check_forward(const layer *l, int t, int n, int u)
{
    const float *before = t ? l->y + 5 * PLANE + ((t - 1) * SAMPLES + n) * UNITS : l->h0 + n * UNITS;
    double a[4];
    for (int g = 0; g < 4; g++) {
        a[g] = (double)l->xg[(t * SAMPLES + n) * GATES + g * UNITS + u];
        for (int k = 0; k < UNITS; k++) a[g] += factors(before[k], l->w[k * GATES + g * UNITS + u]);
    }
    const double cell = t ? at(l, 4, t - 1, n, u) : (double)l->c0[n * UNITS + u],
                 now = sigmoid(a[1]) * cell + sigmoid(a[0]) * tanh(a[2]);
    test_near(at(l, 4, t, n, u), now, 1e-5);
    test_near(at(l, 5, t, n, u), sigmoid(a[3]) * tanh(now), 1e-5);
}

/* cell: the gradient that reaches the cell from the step after; becomes the one for the step before. */
static void check_back(const layer *l, int t, int n, int u, double *cell)
{
    const double i = at(l, 0, t, n, u), f = at(l, 1, t, n, u), g = at(l, 2, t, n, u), o = at(l, 3, t, n, u),
                 th = tanh(at(l, 4, t, n, u)), c = t ? at(l, 4, t - 1, n, u) : (double)l->c0[n * UNITS + u];
    const float *after = l->da + ((t + 1) * SAMPLES + n) * GATES, *da = l->da + (t * SAMPLES + n) * GATES + u;
    double dh = (double)l->dy[(t * SAMPLES + n) * UNITS + u];
    for (int k = 0; t + 1 < STEPS && k < GATES; k++) dh += factors(after[k], l->w[u * GATES + k]);
    const double dc = *cell + dh * o * (1 - th * th);
    test_near((double)da[0], dc * g * i * (1 - i), 1e-5);
    test_near((double)da[UNITS], dc * c * f * (1 - f), 1e-5);
    test_near((double)da[2 * UNITS], dc * i * (1 - g * g), 1e-5);
    test_near((double)da[3 * UNITS], dh * th * o * (1 - o), 1e-5);
    *cell = dc * f;
}

TEST(bf16_lstm_multiplies_rounded_weights_by_rounded_states_and_gradients)
{
    NEED_BF16();
    static layer l;
    run_lstm(&l);
    for (int n = 0; n < SAMPLES; n++)
        for (int u = 0; u < UNITS; u++) {
            double cell = 0;
            for (int t = 0; t < STEPS; t++) check_forward(&l, t, n, u);
            for (int t = STEPS; t-- > 0;) check_back(&l, t, n, u, &cell);
        }
}

/* ---- the device ---- */

static gen_status open_bf16(const char *name, int32_t threads, gen_device **device, gen_error *err)
{
    return gen_device_open_with(name, threads, "bf16", device, NULL, 0, err);
}

TEST(bf16_is_refused_where_the_processor_may_not)
{
    static const char *const caps[] = { "avx2", "base", "ref" };
    gen_device *device;
    const char *before = getenv("GEN_CPU");
    char *kept = before ? strdup(before) : NULL;
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        gen_error err = { 0 };
        setenv("GEN_CPU", caps[i], 1);
        assert_false(cpu_has_bf16());
        assert_int_equal(open_bf16("cpu", 1, &device, &err), GEN_UNSUPPORTED);
        assert_non_null(strstr(err.text, "AVX512-BF16"));
        assert_non_null(strstr(err.text, "no bf16"));
    }
    if (kept) setenv("GEN_CPU", kept, 1);
    else unsetenv("GEN_CPU");
    free(kept);
}

TEST(bf16_is_for_floats_and_tf32_for_gpus)
{
    gen_device *device;
    gen_error err = { 0 };
    assert_int_equal(open_bf16("cpu64", 1, &device, &err), GEN_UNSUPPORTED);
    assert_int_equal(gen_device_open_with("cpu", 1, "tf32", &device, NULL, 0, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "tf32"));
}

TEST(bf16_device_says_so_and_fp32_stays_as_it_is)
{
    NEED_BF16();
    gen_device *device;
    gen_error err = { 0 };
    TEST_OK(open_bf16("cpu", 2, &device, &err));
    assert_string_equal(device->name, "cpu (avx512-bf16, 2 threads)");
    device->ops->close(device);
    TEST_OK(gen_device_open("cpu", 2, &device, &err));
    assert_string_equal(device->name, "cpu (avx512, 2 threads)");
    device->ops->close(device);
}

/* ---- training --------------------------------------------------------------------------------------------------------------- */

static double loss_after(const char *model, const char *options, const char *precision, int steps)
{
    char all[256];
    test_model t;
    snprintf(all, sizeof all, "%s precision=%s", options, precision);
    test_model_open(&t, model, NULL, all, 16, 16, 16, 1);
    gen_program *train = test_model_program(&t, t.model->train);
    double loss = test_model_steps(&t, train, 0, steps);
    gen_program_free(train);
    test_model_close(&t);
    return loss;
}

/* The first loss differs by the rounding of a forward pass, later ones by what weights make of it. */
static void trains_alike(const char *model, const char *options, int steps)
{
    double first = loss_after(model, options, "fp32", 1), rounded = loss_after(model, options, "bf16", 1);
    assert_true(rounded != first && fabs(rounded - first) < 0.01 * fabs(first));
    double last = loss_after(model, options, "fp32", steps);
    rounded = loss_after(model, options, "bf16", steps);
    if (!(last < first && rounded < first) || fabs(rounded - last) > 0.1 * (first - last))
        fail_msg("%s: from %g to %g in fp32, to %g in bf16", model, first, last, rounded);
}

TEST(bf16_trains_as_fp32_does)
{
    NEED_BF16();
    trains_alike("vae", "net=mlp hidden=48 latent=4 lr=0.003", 60);
    trains_alike("vae", "net=conv width=16 latent=4 lr=0.003", 40);
}

TEST(bf16_training_goes_on_bit_for_bit)
{
    NEED_BF16();
    test_run_goes_on_bit_for_bit("vae", "precision=bf16 net=mlp hidden=24 latent=3 batch=8 steps=12");
}
