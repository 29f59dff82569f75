/* CycleGAN against PyTorch: tests/golden/cyclegan-*.safetensors, which tools/twins_cyclegan.py makes; and generators whose weights come alone. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/safetensors.h"
#include "models/generator_file.h"
#include "models/translate.h"
#include "tests/golden_run.h"

/* Generators first; both groups learn from the same fakes. */
TEST(golden_cyclegan_resnet_agrees_with_pytorch)
{
    golden_check_kernels("cyclegan-resnet");
}

/* SAME padding; discriminators first, and the generators through the discriminators that have just learned */
TEST(golden_cyclegan_unet_agrees_with_pytorch)
{
    golden_check_kernels("cyclegan-unet");
}

/* Both ways to use earlier fakes, two pictures a step and one, with Adam */
TEST(golden_cyclegans_with_pools_in_double_precision_agree_to_1e_6)
{
    golden_check("cyclegan-pool", "cpu64", "auto", GOLDEN_STEPS, 1e-6);
    golden_check("cyclegan-append", "cpu64", "auto", GOLDEN_STEPS, 1e-6);
    golden_check("cyclegan-residual", "cpu64", "auto", GOLDEN_STEPS, 1e-6);
}

/* ---- weights that come alone ---- */

/* "name:8x3x7x7" as PyTorch has it */
static char *entry_text(const golden *t, const gen_tensor_entry *e)
{
    char *text = gen_arena_printf(t->arena, "%s:", e->name);
    for (int32_t d = 0; d < e->n_dims; d++)
        text = gen_arena_printf(t->arena, "%s%s%lld", text, d ? "x" : "", (long long)e->dims[d]);
    return text;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const gen_tensor_entry *)a)->name, ((const gen_tensor_entry *)b)->name);
}

/* The run's first generator as PyTorch would save it; names and shapes are those that PyTorch's own state_dict had. */
static const char *save_alone(const golden *t)
{
    gen_error err = { 0 };
    static char path[1200];
    int32_t n = gen_params_count(t->params);
    gen_tensor_entry *entries = gen_arena_alloc(t->arena, (size_t)n * sizeof *entries);
    const size_t prefix = strlen("g_ab.");
    for (int32_t i = 0; i < n; i++) {
        gen_param_info p = gen_params_get(t->params, i);
        gen_shape shape = gen_layout_torch_shape(&p.shape, &p.spec);
        int64_t count;
        float *values = golden_in_torch_layout(t, p.name, &count);
        entries[i] = (gen_tensor_entry){
            .name = p.name + prefix, .dtype = GEN_DTYPE_F32, .n_dims = shape.rank, .n = (size_t)count, .data = values
        };
        memcpy(entries[i].dims, shape.dim, sizeof(int64_t) * (size_t)shape.rank);
    }
    qsort(entries, (size_t)n, sizeof *entries, by_name);
    char *shapes = entry_text(t, &entries[0]);
    for (int32_t i = 1; i < n; i++) shapes = gen_arena_printf(t->arena, "%s %s", shapes, entry_text(t, &entries[i]));
    assert_string_equal(shapes, gen_safetensors_metadata(&t->st, "shapes"));
    snprintf(path, sizeof path, "%s/latest_net_G_A.safetensors", test_folder());
    TEST_OK(gen_safetensors_write(path, entries, (size_t)n, NULL, 0, &err));
    return path;
}

static void make_params_known(gen_run *run)
{
    gen_error err = { 0 };
    gen_program *p;
    run->height = run->width = 32;
    TEST_OK(gen_run_program(run, run->settings.model->translate, "translate", 1, &p, &err));
    gen_program_free(p);
}

static void check_alone(const char *name, int32_t direction)
{
    gen_error err = { 0 };
    golden t;
    gen_run *run;
    bool alone = false;
    golden_open(&t, name, "cpu");
    gen_program_free(golden_program(&t, t.settings.model->translate));
    const char *path = save_alone(&t);
    TEST_OK(gen_generator_file_open(path, t.device, &run, &alone, &err));
    assert_true(alone);
    run->direction = direction; /* of no meaning to one generator */
    make_params_known(run);
    TEST_OK(gen_generator_file_load(run, path, alone, &err));
    const int64_t pixels = t.h * t.w * t.c, count = t.n * pixels;
    float *y = gen_arena_alloc(t.arena, (size_t)count * sizeof *y);
    gen_translate_plan plan;
    TEST_OK(gen_translate_plan_make(run, t.h, t.w, 0, 0, &plan, &err));
    for (int64_t i = 0; i < t.n; i++) TEST_OK(gen_translate(run, &plan, t.x + i * pixels, y + i * pixels, &err));
    const float *expected = golden_tensor(&t, "y", count);
    double worst = 0;
    for (int64_t i = 0; i < count; i++) worst = fmax(worst, fabs((double)y[i] - (double)expected[i]));
    printf("  %s: within %.1e\n", name, worst);
    assert_true(worst < 1e-3); /* a quarter of a grey level */
    gen_run_close(run);
    golden_close(&t);
}

TEST(golden_generators_saved_alone_give_pytorch_s_pictures)
{
    check_alone("cyclegan-generator-6", 0);
    check_alone("cyclegan-generator-9", 1);
    check_alone("cyclegan-generator-unet", 0);
}

/* ---- files that are none ---- */

static void expect_refused(const gen_tensor_entry *entries, size_t n, gen_status status, const char *words)
{
    gen_error err = { 0 };
    golden t;
    gen_run *run;
    bool alone;
    char path[1200];
    golden_open(&t, "cyclegan-generator-6", "cpu");
    snprintf(path, sizeof path, "%s/odd.safetensors", test_folder());
    TEST_OK(gen_safetensors_write(path, entries, n, NULL, 0, &err));
    assert_int_equal(gen_generator_file_open(path, t.device, &run, &alone, &err), status);
    if (!strstr(err.text, words)) fail_msg("\"%s\" says nothing of \"%s\"", err.text, words);
    golden_close(&t);
}

#define ENTRY(tensor_name, ...)                                                                                        \
    {                                                                                                                  \
        .name = tensor_name, .dtype = GEN_DTYPE_F32, .n_dims = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t),   \
        .dims = { __VA_ARGS__ }, .data = zeros                                                                         \
    }

TEST(generator_files_that_are_none_are_refused_with_a_sentence)
{
    static const float zeros[4 * 3 * 49];
    const gen_tensor_entry other[] = { ENTRY("features.0.weight", 4, 3, 3, 3) },
                           dropout[] = { ENTRY("model.1.weight", 4, 3, 7, 7),
                                         ENTRY("model.10.conv_block.1.weight", 2, 2, 3, 3),
                                         ENTRY("model.10.conv_block.6.weight", 2, 2, 3, 3) },
                           normed[] = { ENTRY("model.1.weight", 4, 3, 7, 7), ENTRY("model.2.weight", 4) },
                           headless[] = { ENTRY("model.1.weight", 4, 3, 7, 7) };
    expect_refused(other, 1, GEN_UNSUPPORTED, "model.1.weight");
    expect_refused(dropout, 3, GEN_UNSUPPORTED, "dropout");
    expect_refused(normed, 2, GEN_UNSUPPORTED, "model.2.weight");
    expect_refused(headless, 1, GEN_BAD_FILE, "model.10.weight");
}
