/* The U-Net and its losses, pictures from noise that depend on nothing but seed and number, trainings that go on, and sentences for what does not fit. */
#include <math.h>
#include <string.h>

#include "kernels/devices.h"
#include "models/bound.h"
#include "models/generate.h"
#include "models/noise.h"
#include "tests/model_run.h"

static const char tiny[] = "width=4 mults=1,2 blocks=1 attention=3 groups=2 warmup-steps=0 ema=0.9";

/* ---- known numbers ------------------------------------------------------------------------------------------------------ */

/* 35,746,307: Ho et al. 2020, appendix B, says 35.7 M; the same network in PyTorch has that many. */
TEST(diffusion_cifar10_unet_has_the_parameters_of_the_paper)
{
    static const char *const presets[] = { "ddpm-cifar10", "bench-ddpm8" };
    for (int i = 0; i < 2; i++) {
        gen_error err = { 0 };
        gen_settings s;
        gen_arena *arena = gen_arena_new();
        gen_graph *g = gen_graph_new();
        int64_t count = 0;
        TEST_OK(gen_settings_start(&s, gen_model_find("diffusion"), arena, &err));
        TEST_OK(gen_settings_preset(&s, presets[i], &err));
        gen_model_context m = {
            .options = s.options, .batch = 1, .height = 32, .width = 32, .channels = 3, .classes = 10
        };
        s.model->denoise(g, &m);
        TEST_OK(gen_graph_check(g, &err));
        for (int32_t k = 0; k < gen_graph_params(g); k++) count += gen_shape_count(&gen_graph_param(g, k, NULL)->shape);
        assert_int_equal(count, 35746307);
        gen_graph_free(g);
        gen_arena_free(arena);
    }
}

/* alpha^2 after all steps: 4.04e-5 for linear (Ho et al. 2020, section 4: "L_T is about 1e-5"); half the noise at the middle for the others. */
TEST(diffusion_noise_rises_to_nothing_but_noise)
{
    static const char *const kinds[] = { "linear", "cosine", "sigmoid" };
    static double sigma[1000];
    for (int k = 0; k < 3; k++) {
        gen_noise_fill(kinds[k], 1000, sigma);
        for (int i = 1; i < 1000; i++) assert_true(sigma[i] > sigma[i - 1]);
        assert_true(sigma[0] < 0.05 && sigma[999] > 100);
        gen_noise noise = { .times = 1000, .sigma = sigma, .low = sigma[0], .high = sigma[999] };
        assert_true(gen_noise_time(&noise, sigma[417]) == 417);
        assert_true(gen_noise_time(&noise, sqrt(sigma[417] * sigma[418])) - 417.5 < 1e-9);
        assert_true(gen_noise_time(&noise, 0) == 0 && gen_noise_time(&noise, 1e9) == 999);
        if (k == 0) assert_true(fabs(1 / (1 + sigma[999] * sigma[999]) - 4.0358e-5) < 1e-8);
        else assert_true(fabs(sigma[499] - 1) < 0.02);
    }
}

/* A network whose last layer is zero says 0: then the loss is the mean square of the target. */
static double first_loss(const char *options)
{
    test_model t;
    test_model_open(&t, "diffusion", NULL, options, 64, 6, 6, 1);
    for (int64_t i = 0; i < t.n * t.pixels; i++) t.x[i] = 1; /* y = 1 */
    gen_program *train = test_model_program(&t, t.model->train);
    double loss = test_model_steps(&t, train, 0, 1), sum = 0, part;
    gen_error err = { 0 };
    for (int k = 0; k < 8; k++) {
        char name[24];
        snprintf(name, sizeof name, "loss_t%d", k);
        TEST_OK(gen_program_fetch_scalar(train, name, &part, &err));
        sum += part / 8;
    }
    assert_true(fabs(sum - loss) < 1e-5 * loss); /* the eighths add up to the whole */
    gen_program_free(train);
    test_model_close(&t);
    return loss;
}

static double first_loss_of(const char *more)
{
    char text[400];
    snprintf(text, sizeof text, "%s %s", tiny, more);
    return first_loss(text);
}

TEST(diffusion_loss_of_a_network_that_says_nothing_is_the_size_of_its_target)
{
    assert_true(fabs(first_loss_of("target=eps noise=linear") - 1) < 0.1);
    assert_true(fabs(first_loss_of("target=x0 noise=cosine") - 1) < 1e-5);
    assert_true(fabs(first_loss_of("target=v noise=sigmoid") - 1) < 0.1);
    assert_true(fabs(first_loss_of("target=edm noise=log-normal sigma-data=1") - 1) < 0.1);
    assert_true(first_loss_of("target=v noise=cosine min-snr=5") < 0.6);
}

/* ---- learning ------------------------------------------------------------------------------------------------------------- */

TEST(diffusion_learns_in_every_form)
{
    static const char *const options[] = { "target=eps noise=linear init=torch",
                                           "target=x0 noise=sigmoid min-snr=5 init=torch",
                                           "target=v noise=cosine dropout=0.1 flip=1 init=torch",
                                           "target=edm noise=log-normal conditional=0 init=torch" };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        char text[400];
        test_model t;
        snprintf(text, sizeof text, "%s label-drop=0.5 %s", tiny, options[i]);
        test_model_open(&t, "diffusion", NULL, text, 8, 7, 6, 3); /* 7 is padded to 8 */
        test_model_learns(&t, 60);
        test_model_close(&t);
    }
}

TEST(diffusion_training_goes_on_bit_for_bit)
{
    test_run_goes_on_bit_for_bit("diffusion",
                                 "steps=6 width=4 mults=1,2 blocks=1 attention=5 groups=2 batch=8 dropout=0.1 "
                                 "ema=0.9 sample-steps=2");
}

/* ---- pictures from noise ---------------------------------------------------------------------------------------------------- */

typedef struct maker {
    test_model t;
    gen_run run;
} maker;

static void open_maker(maker *m, const char *more, int32_t threads)
{
    char text[400];
    gen_error err = { 0 };
    snprintf(text, sizeof text, "%s init=torch sample-steps=4 %s", tiny, more);
    test_model_open(&m->t, "diffusion", NULL, text, 8, 6, 6, 1);
    gen_params_free(m->t.params);
    m->t.device->ops->close(m->t.device);
    TEST_OK(gen_device_open("cpu", threads, &m->t.device, &err));
    m->t.params = gen_params_new(m->t.device);
    m->run = (gen_run){ .arena = m->t.arena,
                        .folder = "",
                        .data_name = "",
                        .settings = m->t.settings,
                        .height = 6,
                        .width = 6,
                        .channels = 1,
                        .classes = m->t.classes,
                        .device = m->t.device,
                        .params = m->t.params };
}

static float *made(maker *m, gen_generation how)
{
    gen_error err = { 0 };
    float *x = gen_arena_alloc(m->t.arena, (size_t)(how.n * 36) * sizeof *x);
    how.seed = 7;
    TEST_OK(gen_generate(&m->run, &how, x, &err));
    return x;
}

static double largest_difference(const float *a, const float *b, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

TEST(diffusion_picture_depends_on_seed_and_number_alone)
{
    static const char *const samplers[] = { "sampler=ddpm guidance=2", "sampler=ddim eta=0.5",
                                            "sampler=heun churn=3 spacing=karras", "sampler=dpmpp-2m guidance=0" };
    for (size_t i = 0; i < sizeof samplers / sizeof *samplers; i++) {
        maker one, three;
        open_maker(&one, samplers[i], 1);
        open_maker(&three, samplers[i], 3);
        float *many = made(&one, (gen_generation){ .n = 70 }), *same = made(&three, (gen_generation){ .n = 70 });
        float *last = made(&one, (gen_generation){ .n = 3, .first = 67 });
        assert_memory_equal(many, same, 70 * 36 * sizeof *many);
        assert_true(largest_difference(many + 67 * 36, last, 3 * 36) < 1e-5);
        assert_true(largest_difference(many, many + 36, 36) > 1e-2);
        test_model_close(&one.t);
        test_model_close(&three.t);
    }
}

TEST(diffusion_guidance_of_one_is_the_label_and_of_zero_is_none)
{
    maker m;
    const float labels[3] = { 3, 3, 3 };
    open_maker(&m, "guidance=0", 2);
    float *none = made(&m, (gen_generation){ .n = 3, .no_labels = true }),
          *zero = made(&m, (gen_generation){ .n = 3, .labels = labels });
    assert_true(largest_difference(none, zero, 3 * 36) < 1e-6);
    gen_error err = { 0 };
    TEST_OK(gen_settings_set(&m.run.settings, "guidance", "1", &err));
    float *one = made(&m, (gen_generation){ .n = 3, .labels = labels });
    assert_true(largest_difference(none, one, 3 * 36) > 1e-4);
    test_model_close(&m.t);
}

TEST(diffusion_inpainting_keeps_what_is_not_masked)
{
    maker m;
    float mask[36];
    open_maker(&m, "sampler=ddpm", 2);
    for (int i = 0; i < 36; i++) mask[i] = i % 6 >= 3;
    float *x = made(&m, (gen_generation){ .n = 8, .known = m.t.x, .mask = mask, .resample = 2 });
    double kept = 0, painted = 0;
    for (int i = 0; i < 8 * 36; i++) {
        double change = fabs((double)x[i] - (double)m.t.x[i]);
        if (mask[i % 36] == 0) kept = fmax(kept, change);
        else painted = fmax(painted, change);
    }
    assert_true(kept < 1e-6 && painted > 0.1);
    test_model_close(&m.t);
}

/* The weaker, the closer; there and back through the noise is the picture. */
TEST(diffusion_strength_and_inversion_come_back_to_the_picture)
{
    maker m;
    gen_error err = { 0 };
    float z[8 * 36];
    open_maker(&m, "sample-steps=100 noise=cosine init=zero clip=none", 2);
    float *near = made(&m, (gen_generation){ .n = 8, .from = m.t.x, .strength = 0.05 }),
          *far = made(&m, (gen_generation){ .n = 8, .from = m.t.x, .strength = 1 });
    assert_true(largest_difference(near, m.t.x, 8 * 36) < 0.4 * largest_difference(far, m.t.x, 8 * 36));
    TEST_OK(gen_invert(&m.run, m.t.x, NULL, 8, z, &err));
    float *back = made(&m, (gen_generation){ .n = 8, .z = z, .no_labels = true });
    assert_true(largest_difference(back, m.t.x, 8 * 36) < 0.1);
    test_model_close(&m.t);
}

/* A network that always says 0 under --target x0: all of the bound but L_0 can be written down. With a sample of every step nothing is estimated. */
TEST(diffusion_bits_are_those_of_the_formula)
{
    enum { TIMES = 40, N_PICTURES = 8 };
    gen_error err = { 0 };
    maker m;
    double sigma[TIMES], bits, expected = 0;
    open_maker(&m, "target=x0 times=40 init=zero conditional=0", 2);
    gen_noise_fill("cosine", TIMES, sigma);
    gen_dataset data = {
        .name = "blobs", .n = N_PICTURES, .height_px = 6, .width_px = 6, .channels = 1, .values = m.t.x
    };
    TEST_OK(gen_bits_per_dim(&m.run, &data, (gen_range){ 0, N_PICTURES }, TIMES, &bits, &err));
    double all = (1 / (sigma[0] * sigma[0]) - 1 / (sigma[TIMES - 1] * sigma[TIMES - 1])) / 2,
           last2 = sigma[TIMES - 1] * sigma[TIMES - 1];
    for (int i = 0; i < N_PICTURES * 36; i++) {
        double y = 2 * (double)m.t.x[i] - 1, a = (fabs(y) - 1.0 / 255) / (sigma[0] * sqrt(2)),
               b = fabs(y) > 0.999 ? 1e9 : (fabs(y) + 1.0 / 255) / (sigma[0] * sqrt(2));
        expected += all * y * y + ((y * y + last2) / (1 + last2) - 1 + log1p(1 / last2)) / 2;
        expected -= log(fmax((erf(b) - erf(a)) / 2, 1e-12));
    }
    expected /= N_PICTURES * 36 * log(2);
    if (!(fabs(bits - expected) < 1e-4 * expected)) fail_msg("%g bits, expected %g", bits, expected);
    test_model_close(&m.t);
}

/* Weights of PyTorch have no averages: they are then the weights themselves. */
TEST(diffusion_makes_pictures_from_averages_and_from_weights_without)
{
    gen_error err = { 0 };
    maker m;
    open_maker(&m, "target=x0 init=torch conditional=0", 1);
    gen_program_free(test_model_program(&m.t, m.t.model->denoise));
    for (int32_t i = 0; i < gen_params_count(m.t.params); i++)
        assert_memory_equal(gen_params_get(m.t.params, i).name, "ema.", 4);
    TEST_OK(gen_settings_set(&m.t.settings, "ema", "0", &err));
    gen_program_free(test_model_program(&m.t, m.t.model->denoise));
    assert_true(gen_params_find(m.t.params, "conv_in.weight") >= 0);
    test_model_close(&m.t);
}

/* ---- sentences ---------------------------------------------------------------------------------------------------------------- */

static void expect_refused(const char *options, const char *word)
{
    gen_error err = { 0 };
    gen_settings s;
    gen_arena *arena = gen_arena_new();
    TEST_OK(gen_settings_start(&s, gen_model_find("diffusion"), arena, &err));
    char name[40], value[40];
    for (const char *at = options; sscanf(at, "%39[^=]=%39s", name, value) == 2;) {
        TEST_OK(gen_settings_set(&s, name, value, &err));
        at = strchr(at, ' ');
        if (!at++) break;
    }
    gen_model_context m = { .options = s.options, .batch = 2, .height = 28, .width = 28, .channels = 1 };
    assert_int_equal(s.model->check(&m, &err), GEN_BAD_OPTION);
    if (!strstr(err.text, word)) fail_msg("%s: \"%s\" does not name %s", options, err.text, word);
    gen_arena_free(arena);
}

TEST(diffusion_refuses_options_that_do_not_fit)
{
    expect_refused("mults=1,x", "--mults");
    expect_refused("attention=a", "--attention");
    expect_refused("target=edm", "log-normal");
    expect_refused("noise=log-normal", "edm");
    expect_refused("width=30", "--groups");
    expect_refused("width=31 groups=1", "--width");
    expect_refused("target=edm noise=log-normal min-snr=5", "--min-snr");
    expect_refused("times=10 sample-steps=11", "--sample-steps");
    expect_refused("target=edm noise=log-normal spacing=leading", "--spacing");
    expect_refused("spacing=karras sample-steps=1", "--sample-steps");
}

TEST(diffusion_refuses_labels_and_strengths_out_of_range)
{
    maker m;
    float x[36];
    const float wrong[1] = { 9 };
    gen_error err = { 0 };
    open_maker(&m, "", 1);
    gen_generation how = { .n = 1, .labels = wrong };
    assert_int_equal(gen_generate(&m.run, &how, x, &err), GEN_BAD_OPTION);
    assert_non_null(strstr(err.text, "label 9"));
    err = (gen_error){ 0 };
    how = (gen_generation){ .n = 1, .from = m.t.x, .strength = 1.5 };
    assert_int_equal(gen_generate(&m.run, &how, x, &err), GEN_BAD_OPTION);
    assert_non_null(strstr(err.text, "--strength"));
    test_model_close(&m.t);
}
