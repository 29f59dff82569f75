/* Diffusion against PyTorch: tests/golden/diffusion-*.safetensors, which tools/golden_diffusion.py makes; tests/golden_run.h compares. */
#include <math.h>
#include <string.h>

#include "tests/golden_run.h"

static const char *const names[] = { "diffusion-eps", "diffusion-x0", "diffusion-v", "diffusion-edm" };
enum { N_NAMES = sizeof names / sizeof *names, N = 6 };

TEST(golden_diffusion_agrees_with_pytorch)
{
    for (int i = 0; i < N_NAMES; i++) golden_check_kernels(names[i]);
}

TEST(golden_diffusion_in_double_precision_agrees_with_pytorch_to_1e_6)
{
    for (int i = 0; i < N_NAMES; i++) golden_check(names[i], "cpu64", "auto", GOLDEN_STEPS, 1e-6);
}

/* What it takes noisy pictures for, at amounts of noise from a little to much. */
static void check_denoised(const char *name)
{
    static const float sigma[N] = { 0.01f, 0.1f, 0.5f, 1, 3, 20 }, time[N] = { 0, 10.5f, 100, 333, 500, 999 };
    gen_error err = { 0 };
    golden t;
    golden_open(&t, name, "cpu");
    gen_program *p = golden_program(&t, t.settings.model->denoise);
    int64_t count = t.n * t.h * t.w * t.c;
    TEST_OK(gen_program_feed(p, "sigma", sigma, N, &err));
    if (strcmp(name, "diffusion-edm")) TEST_OK(gen_program_feed(p, "time", time, N, &err));
    float *x0 = golden_map(&t, p, "x", t.x, "x0");
    const float *expected = golden_tensor(&t, "denoised", count);
    for (int64_t i = 0; i < count; i++) {
        double size = 1 + (double)sigma[i / (count / N)];
        golden_expect_below(&t, "x0", fabs((double)x0[i] - (double)expected[i]), 2e-5 * size);
    }
    gen_program_free(p);
    golden_close(&t);
}

TEST(golden_diffusion_denoises_as_pytorch_does)
{
    for (int i = 0; i < N_NAMES; i++) check_denoised(names[i]);
}
