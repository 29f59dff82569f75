/* Noise as it is written down, pictures of any size through tiles, gradients, and trainings that go on. */
#include <math.h>
#include <string.h>

#include "models/translate.h"
#include "tests/model_run.h"

enum { N = 16, SIDE = 20 };

/* fraction of changed pixels, and the mean square of the change, over N pictures */
static void change_of(const char *options, double *changed, double *square)
{
    gen_error err = { 0 };
    test_model t;
    test_model_open(&t, "denoise", NULL, options, N, SIDE, SIDE, 3);
    int64_t count = N * t.pixels;
    for (int64_t i = 0; i < count; i++) t.x[i] = 0.5f;
    float *noisy = gen_arena_alloc(t.arena, (size_t)count * sizeof *noisy);
    gen_program *eval = test_model_program(&t, t.model->eval);
    TEST_OK(gen_program_feed(eval, "x", t.x, count, &err));
    TEST_OK(gen_program_run(eval, (gen_run_state){ .seed = 1 }, &err));
    TEST_OK(gen_program_fetch(eval, "noisy", noisy, count, &err));
    *changed = *square = 0;
    for (int64_t i = 0; i < count; i++) {
        double change = (double)noisy[i] - 0.5;
        assert_true(noisy[i] >= 0 && noisy[i] <= 1);
        *changed += fabs(change) > 1e-7;
        *square += change * change;
    }
    *changed /= (double)count;
    *square /= (double)count;
    gen_program_free(eval);
    test_model_close(&t);
}

TEST(denoise_noise_has_the_level_that_was_asked_for)
{
    double changed, square;
    change_of("width=2 noise=gaussian noise-level=0.1", &changed, &square);
    assert_true(fabs(sqrt(square) - 0.1) < 0.002);
    change_of("width=2 noise=speckle noise-level=0.1", &changed, &square);
    assert_true(fabs(sqrt(square) - 0.05) < 0.001);
    change_of("width=2 noise=masking noise-level=0.25", &changed, &square);
    assert_true(fabs(changed - 0.25) < 0.02 && fabs(square - 0.25 * changed) < 1e-6);
    change_of("width=2 noise=salt-pepper noise-level=0.3", &changed, &square);
    assert_true(fabs(changed - 0.3) < 0.02 && fabs(square - 0.25 * changed) < 1e-6);
    change_of("width=2 noise=salt-pepper noise-level=0", &changed, &square);
    assert_true(changed == 0);
}

TEST(denoise_learns_in_every_form)
{
    static const char *const options[] = { "net=unet width=4 loss=l1", "net=unet width=4 noise=masking noise-from=0.1",
                                           "net=dense hidden=32 loss=bce noise=salt-pepper",
                                           "net=dense hidden=32 noise=speckle" };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        test_model t;
        test_model_open(&t, "denoise", NULL, options[i], 8, 13, 10, 3);
        test_model_learns(&t, 40);
        test_model_close(&t);
    }
}

TEST(denoise_unet_has_the_parameters_one_counts)
{
    enum { W = 32 };
    test_model t;
    test_model_open(&t, "denoise", NULL, "", 2, 28, 28, 1);
    gen_program_free(test_model_program(&t, t.model->eval));
    int64_t nine = 9, down = nine * 1 * W + W + nine * W * W + W + nine * W * 2 * W + 2 * W + nine * 4 * W * W + 2 * W +
                             nine * 8 * W * W + 4 * W + nine * 16 * W * W + 4 * W;
    int64_t up =
        nine * 4 * W * 2 * W + 2 * W + nine * 4 * W * 2 * W + 2 * W + nine * 2 * W * W + W + nine * 2 * W * W + W;
    assert_int_equal(test_model_count(&t, ""), down + up + nine * W + 1);
    test_model_close(&t);
}

/* A run in memory around a model's parameters */
static gen_run run_of(test_model *t)
{
    return (gen_run){ .arena = t->arena,
                      .folder = "",
                      .data_name = "",
                      .settings = t->settings,
                      .height = t->h,
                      .width = t->w,
                      .channels = t->c,
                      .device = t->device,
                      .params = t->params };
}

/* With its last layer at zero the network returns the picture: so must the tiles. */
TEST(denoise_tiles_of_any_size_fit_together)
{
    static const int64_t sizes[][2] = { { 3, 5 }, { 16, 16 }, { 257, 300 }, { 600, 40 } };
    gen_error err = { 0 };
    test_model t;
    test_model_open(&t, "denoise", NULL, "width=2", 2, 16, 16, 3);
    gen_program_free(test_model_program(&t, t.model->eval));
    gen_run run = run_of(&t);
    static const char *const last[] = { "out.weight", "out.bias" };
    float zeros[9 * 2 * 3] = { 0 };
    for (int i = 0; i < 2; i++) TEST_OK(gen_params_write(t.params, gen_params_find(t.params, last[i]), zeros, &err));
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int64_t h = sizes[k][0], w = sizes[k][1], n = h * w * 3;
        float *x = gen_arena_alloc(t.arena, (size_t)n * sizeof *x),
              *y = gen_arena_alloc(t.arena, (size_t)n * sizeof *y);
        for (int64_t i = 0; i < n; i++) x[i] = (float)(0.5 + 0.5 * sin(0.1 * (double)i));
        gen_translate_plan plan;
        TEST_OK(gen_translate_plan_make(&run, h, w, 0, 0, &plan, &err));
        TEST_OK(gen_translate(&run, &plan, x, y, &err));
        for (int64_t i = 0; i < n; i++) assert_true(fabs((double)x[i] - (double)y[i]) < 1e-6);
    }
    assert_int_equal(run.height, 16);
    test_model_close(&t);
}

TEST(denoise_dense_takes_larger_pictures_in_tiles_of_its_own_size)
{
    enum { H = 31, W = 45 };
    gen_error err = { 0 };
    test_model t;
    float x[H * W] = { 0 }, y[H * W];
    test_model_open(&t, "denoise", NULL, "net=dense hidden=8", 2, 12, 10, 1);
    gen_program_free(test_model_program(&t, t.model->eval));
    gen_run run = run_of(&t);
    gen_translate_plan plan;
    TEST_OK(gen_translate_plan_make(&run, H, W, 0, 0, &plan, &err));
    TEST_OK(gen_translate(&run, &plan, x, y, &err));
    for (int i = 0; i < H * W; i++) assert_true(y[i] >= 0 && y[i] <= 1);
    test_model_close(&t);
}

TEST(denoise_refuses_options_that_do_not_fit)
{
    gen_error err = { 0 };
    test_model t;
    test_model_open(&t, "denoise", NULL, "loss=bce", 2, 12, 12, 1);
    gen_model_context m = { .options = t.settings.options, .batch = 2, .height = 12, .width = 12, .channels = 1 };
    assert_int_equal(t.model->check(&m, &err), GEN_BAD_OPTION);
    test_model_close(&t);
}

TEST(denoise_training_goes_on_bit_for_bit)
{
    test_run_goes_on_bit_for_bit("denoise", "width=4 batch=8 steps=6 noise-from=0");
}
