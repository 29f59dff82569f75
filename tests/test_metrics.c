/* Distances between pictures against numbers that NumPy gave for the same formulas, and nodes against arrays. */
#include <math.h>
#include <string.h>

#include "core/program.h"
#include "kernels/devices.h"
#include "models/linalg.h"
#include "models/metrics.h"
#include "tests/test.h"

enum { MOST = 16 * 20 * 3 };

/* a: waves; b: 0.7 a + 0.3 of other waves */
static void pictures(int64_t n, float *a, float *b)
{
    for (int64_t i = 0; i < n; i++) {
        double e = (double)i;
        a[i] = (float)(0.5 + 0.5 * sin(0.37 * e));
        b[i] = (float)(0.7 * (double)a[i] + 0.3 * (0.5 + 0.5 * sin(0.37 * e + 0.9 + (double)(i % 7) * 0.2)));
    }
}

static const struct {
    int64_t h, w, c;
    double ssim, psnr;
} expected[] = {
    { 16, 13, 3, 0.891756816, 16.788919307 },
    { 11, 11, 1, 0.895806590, 16.812083030 },
    { 6, 20, 1, 0.889928888, 16.789690038 }, /* lower than the window: 5 x 5 */
};

TEST(metrics_ssim_and_psnr_are_numpys)
{
    float a[MOST], b[MOST];
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        int64_t h = expected[i].h, w = expected[i].w, c = expected[i].c;
        pictures(h * w * c, a, b);
        assert_true(fabs(gen_ssim(a, b, h, w, c) - expected[i].ssim) < 1e-6);
        assert_true(fabs(gen_psnr(a, b, h * w * c) - expected[i].psnr) < 1e-4);
        assert_true(fabs(gen_ssim(a, a, h, w, c) - 1) < 1e-12);
    }
}

TEST(metrics_as_nodes_are_those_of_arrays)
{
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        gen_error err = { 0 };
        gen_device *device;
        gen_program *p;
        float a[2 * MOST], b[2 * MOST], got[2];
        int64_t h = expected[i].h, w = expected[i].w, c = expected[i].c, n = h * w * c;
        TEST_OK(gen_device_open("cpu", 1, &device, &err));
        gen_params *params = gen_params_new(device);
        gen_graph *g = gen_graph_new();
        gen_shape shape = GEN_SHAPE(2, h, w, c);
        gen_output_errors(g, "", gen_input(g, "y", shape), gen_input(g, "x", shape));
        TEST_OK(gen_program_new(g, device, params, 0, &p, &err));
        pictures(n, a, b);
        memcpy(a + n, b, (size_t)n * sizeof *a); /* the second pair is of equal pictures */
        memcpy(b + n, b, (size_t)n * sizeof *b);
        TEST_OK(gen_program_feed(p, "x", a, 2 * n, &err));
        TEST_OK(gen_program_feed(p, "y", b, 2 * n, &err));
        TEST_OK(gen_program_run(p, (gen_run_state){ 0 }, &err));
        TEST_OK(gen_program_fetch(p, "ssim", got, 2, &err));
        assert_true(fabs((double)got[0] - expected[i].ssim) < 1e-5);
        assert_true(fabs((double)got[1] - 1) < 1e-6);
        TEST_OK(gen_program_fetch(p, "psnr", got, 2, &err));
        assert_true(fabs((double)got[0] - expected[i].psnr) < 1e-3);
        assert_true(fabs((double)got[1] - 100) < 1e-3);
        TEST_OK(gen_program_fetch(p, "mse", got, 2, &err));
        assert_true(fabs((double)got[0] - gen_mse_of(a, b, n)) < 1e-6);
        TEST_OK(gen_program_fetch(p, "sse", got, 2, &err));
        assert_true(fabs((double)got[0] - gen_mse_of(a, b, n) * (double)n) < 1e-3);
        gen_program_free(p);
        gen_params_free(params);
        device->ops->close(device);
    }
}

enum { N_A = 60, N_B = 45, D = 6 };

static void make_features(int n, double k, float *x)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < D; j++)
            x[i * D + j] =
                (float)(sin(0.7 * i * (j + 1) + 1.3 * j + k) + 0.2 * k * j + 0.3 * cos(0.01 * i * i * (j + 2) + k));
}

TEST(metrics_frechet_distance_is_numpys)
{
    gen_error err = { 0 };
    float a[N_A * D], b[N_B * D];
    double distance = 0;
    make_features(N_A, 0, a);
    make_features(N_B, 1, b);
    if (gen_frechet(a, N_A, b, N_B, D, &distance, &err) == GEN_NO_DEVICE) TEST_SKIP(err.text);
    assert_true(fabs(distance - 3.1913306633) < 1e-5);
    TEST_OK(gen_frechet(b, N_B, a, N_A, D, &distance, &err));
    assert_true(fabs(distance - 3.1913306633) < 1e-5);
    TEST_OK(gen_frechet(a, N_A, a, N_A, D, &distance, &err));
    assert_true(fabs(distance) < 1e-9);
    for (int i = 0; i < N_A * D; i++) a[i] = 0.5f; /* no variance at all: only the means are apart */
    TEST_OK(gen_frechet(a, N_A, a, 10, D, &distance, &err));
    assert_true(fabs(distance) < 1e-9);
    assert_int_equal(gen_frechet(a, 1, b, N_B, D, &distance, &err), GEN_BAD_SHAPE);
}

TEST(metrics_kernel_distance_is_numpys)
{
    float a[N_A * D], b[N_B * D];
    make_features(N_A, 0, a);
    make_features(N_B, 1, b);
    assert_true(fabs(gen_kernel_distance(a, N_A, b, N_B, D) - 1.4618016732) < 1e-5);
}
