/* VAEs against PyTorch: tests/golden/vae-*.safetensors, which tools/golden.py makes and explains; tests/golden_run.h compares. Published numbers of
 * parameters, and files that PyTorch saved. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/devices.h"
#include "models/checkpoint.h"
#include "tests/golden_run.h"

TEST(golden_default_vae_agrees_with_pytorch)
{
    golden_check_kernels("vae-conv");
}

TEST(golden_gdl_vae_digits_agrees_with_pytorch)
{
    golden_check_kernels("vae-gdl-digits");
}

/* with batch norm and dropout */
TEST(golden_gdl_vae_faces_agrees_with_pytorch)
{
    golden_check_kernels("vae-gdl-faces");
}

TEST(golden_bench_vae_agrees_with_pytorch)
{
    golden_check_kernels("vae-bench");
}

TEST(golden_mlp_vae_agrees_with_pytorch)
{
    golden_check("vae-mlp", "cpu", "auto", GOLDEN_STEPS, 1e-4);
}

TEST(golden_likelihoods_optimisers_and_schedules_agree_with_pytorch)
{
    static const char *const names[] = { "vae-losses", "vae-gaussian-adamw", "vae-rmsprop", "vae-sgd", "vae-tanh" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) golden_check(names[i], "cpu", "auto", GOLDEN_STEPS, 1e-4);
}

/* In double precision the graphs are PyTorch's to six digits: what is left above is rounding. */
TEST(golden_double_precision_agrees_with_pytorch_to_1e_6)
{
    static const char *const names[] = { "vae-mlp",     "vae-losses", "vae-gaussian-adamw",
                                         "vae-rmsprop", "vae-sgd",    "vae-tanh" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        golden_check(names[i], "cpu64", "auto", GOLDEN_STEPS, 1e-6);
    golden_check("vae-gdl-digits", "cpu64", "auto", 1, 1e-6);
    golden_check("vae-bench", "cpu64", "auto", 1, 1e-6);
}

/* The plain rungs, by $GEN_CPU. */
TEST(golden_every_rung_agrees_with_pytorch)
{
    static const char *const rungs[] = { "ref", "base", "avx2" };
    gen_error err = { 0 };
    const char *was = getenv("GEN_CPU");
    char saved[32];
    snprintf(saved, sizeof saved, "%s", was ? was : "");
    for (size_t i = 0; i < sizeof rungs / sizeof *rungs; i++) {
        gen_device *device;
        setenv("GEN_CPU", rungs[i], 1);
        TEST_OK(gen_device_open("cpu", 1, &device, &err));
        device->ops->close(device);
        golden_check("vae-conv", "cpu", "direct", 2, 1e-4);
        golden_check("vae-conv", "cpu", "auto", 2, 1e-3);
        golden_check("vae-sgd", "cpu", "direct", GOLDEN_STEPS, 1e-4);
    }
    if (*saved) setenv("GEN_CPU", saved, 1);
    else unsetenv("GEN_CPU");
}

/* ---- known counts -------------------------------------------------------------------------------------------------------- */

/* Numbers in weights and running statistics whose name starts so; counters are none. */
static int64_t count_numbers(const char *preset, int64_t h, int64_t w, int64_t c, const char *prefix)
{
    gen_error err = { 0 };
    gen_settings settings;
    gen_arena *arena = gen_arena_new();
    gen_graph *g = gen_graph_new();
    int64_t count = 0;
    TEST_OK(gen_settings_start(&settings, gen_model_find("vae"), arena, &err));
    TEST_OK(gen_settings_preset(&settings, preset, &err));
    gen_model_context m = { .options = settings.options, .batch = 1, .height = h, .width = w, .channels = c };
    settings.model->eval(g, &m);
    TEST_OK(gen_graph_check(g, &err));
    for (int32_t i = 0; i < gen_graph_params(g); i++) {
        gen_param_spec spec;
        const gen_node *p = gen_graph_param(g, i, &spec);
        if (!spec.counter && p->shape.rank && !strncmp(p->name, prefix, strlen(prefix)))
            count += gen_shape_count(&p->shape);
    }
    gen_graph_free(g);
    gen_arena_free(arena);
    return count;
}

/* D. Foster, Generative Deep Learning, 1st edition: the summaries that Keras prints in notebooks 03_03 and 03_05. */
TEST(golden_parameter_counts_are_those_of_the_book)
{
    assert_int_equal(count_numbers("gdl-vae-digits", 28, 28, 1, "enc."), 105220);
    assert_int_equal(count_numbers("gdl-vae-digits", 28, 28, 1, "dec."), 102017);
    assert_int_equal(count_numbers("gdl-vae-faces", 128, 128, 3, "enc."), 1732944);
    assert_int_equal(count_numbers("gdl-vae-faces", 128, 128, 3, "dec."), 917123);
}

/* ---- files of PyTorch ------------------------------------------------------------------------------------------------------ */

/* A state_dict saved by safetensors.torch.save_file gives gen the pictures that it gives PyTorch. */
static void check_saved_by_torch(const char *name)
{
    gen_error err = { 0 };
    golden t;
    char pictures[64];
    snprintf(pictures, sizeof pictures, "%s-pictures", name);
    golden_read(&t, pictures);
    TEST_OK(gen_device_open("cpu", 1, &t.device, &err));
    t.params = gen_params_new(t.device);
    int64_t count = t.n * t.h * t.w * t.c;
    t.x = golden_tensor(&t, "x", count);
    gen_program *encode = golden_program(&t, t.settings.model->encode),
                *decode = golden_program(&t, t.settings.model->decode);
    gen_run run = { .arena = t.arena,
                    .folder = ".",
                    .settings = t.settings,
                    .height = t.h,
                    .width = t.w,
                    .channels = t.c,
                    .device = t.device,
                    .params = t.params };
    char *path = gen_arena_printf(t.arena, "tests/golden/%s.safetensors", name);
    TEST_OK(gen_checkpoint_load_file(&run, test_source(path), &err));
    const float *x = golden_map(&t, decode, "z", golden_map(&t, encode, "x", t.x, "mu"), "x");
    const float *expected = golden_tensor(&t, "reconstruction", count);
    double worst = 0;
    for (int64_t i = 0; i < count; i++) worst = fmax(worst, fabs((double)x[i] - (double)expected[i]));
    printf("  %s: pixels within %.1e\n", name, worst);
    golden_expect_below(&t, "a pixel", worst, 1e-5);
    gen_program_free(encode);
    gen_program_free(decode);
    golden_close(&t);
}

TEST(golden_weights_saved_by_pytorch_give_the_same_pictures)
{
    check_saved_by_torch("pytorch-mlp");
    check_saved_by_torch("pytorch-conv");
}
