#define _POSIX_C_SOURCE 200809L
/* Style transfer against PyTorch: 20 iterations of Adam, 20 evaluations of L-BFGS, from the same random weights (tools/twins_style.py). */
#include "core/rng.h"
#include "io/file.h"
#include "kernels/devices.h"
#include "models/style.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 20, PARTS = 4 };

typedef struct twin {
    gen_arena *arena;
    gen_safetensors st;
    gen_style_options o;
    gen_style_picture content, style;
    double losses[STEPS][PARTS];
    int64_t n;
} twin;

/* Uniform noise, as twins.random_tensor. */
static gen_style_picture noise(twin *t, const char *name)
{
    int height = 0, width = 0;
    uint64_t key = gen_hash_name(name);
    assert_int_equal(sscanf(gen_safetensors_metadata(&t->st, name), "%d %d", &height, &width), 2);
    int64_t n = (int64_t)height * width * 3;
    float *rgb = gen_arena_alloc(t->arena, (size_t)n * sizeof *rgb);
    for (int64_t i = 0; i < n; i++)
        rgb[i] = gen_uniform_from_word(
            gen_philox_block(0, (uint32_t)(i / 4), 0, 0, (uint32_t)(key ^ key >> 32)).word[i % 4]);
    return (gen_style_picture){ rgb, height, width, 1, NULL };
}

static void open_twin(twin *t, const char *name)
{
    gen_error err = { 0 };
    gen_bytes file;
    *t = (twin){ .arena = gen_arena_new() };
    const char *path = gen_arena_printf(t->arena, "tests/golden/style-%s.safetensors", name);
    TEST_OK(gen_file_read(test_source(path), GEN_FILE_ANY_SIZE, t->arena, &file, &err));
    TEST_OK(gen_safetensors_read(file.data, file.size, t->arena, &t->st, &err));
    TEST_OK(gen_style_options_start(&t->o, "", t->arena, &err));
    char *rest = NULL, *text = gen_arena_strdup(t->arena, gen_safetensors_metadata(&t->st, "options"));
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        *value++ = 0;
        TEST_OK(gen_option_set(gen_option_find(gen_style_option_rows, word), &t->o, value, &err));
    }
    t->o.seed = strtoll(gen_safetensors_metadata(&t->st, "seed"), NULL, 10);
    t->content = noise(t, "content");
    t->style = noise(t, "style");
}

static bool record(void *context, gen_style *s, const gen_style_progress *p)
{
    twin *t = context;
    (void)s;
    double parts[PARTS] = { p->loss, p->content, p->style, p->tv };
    assert_true(t->n < STEPS);
    memcpy(t->losses[t->n++], parts, sizeof parts);
    return true;
}

static void check(const char *name, double tolerance)
{
    twin t;
    gen_error err = { 0 };
    gen_device *device;
    gen_style *s = NULL;
    float expected[STEPS * PARTS];
    open_twin(&t, name);
    setenv("GEN_CONV", "direct",
           1); /* twenty steps of Adam make much of little: where a gradient is nearly zero, its sign */
    TEST_OK(gen_device_open("cpu", 2, &device, &err));
    const gen_feature_net *net = gen_feature_net_find(gen_safetensors_metadata(&t.st, "net"));
    gen_style_job job = { .options = &t.o,
                          .net = net,
                          .input = strcmp(t.o.vgg_kind, "caffe") ? net->input : GEN_INPUT_CAFFE,
                          .content = t.content,
                          .styles = { t.style },
                          .n_styles = 1 };
    TEST_OK(gen_style_open(&job, device, &s, &err));
    TEST_OK(gen_style_run(s, (gen_style_hooks){ .on_iteration = record, .context = &t }, &err));
    assert_int_equal(t.n, STEPS);
    gen_tensor_to_float(gen_safetensors_find(&t.st, "losses"), expected);
    for (int i = 0; i < STEPS * PARTS; i++) {
        double got = t.losses[i / PARTS][i % PARTS], want = (double)expected[i];
        double total = fabs((double)expected[i / PARTS * PARTS]); /* parts drift first: at once 5 % of the sum counts */
        double scale = i / PARTS < 2 ? fmax(fabs(want), 0.05 * total) : total;
        if (!(fabs(got - want) <= tolerance * scale))
            fail_msg("%s: number %d of iteration %d is %g, in PyTorch %g", name, i % PARTS, i / PARTS, got, want);
    }
    gen_style_close(s);
    device->ops->close(device);
    unsetenv("GEN_CONV");
    gen_arena_free(t.arena);
}

TEST(style_of_caffe_networks_agrees_with_pytorch)
{
    check("caffe", 1e-3);
}

TEST(style_adam_takes_the_same_steps_as_pytorch)
{
    check("adam", 1e-3);
}

TEST(style_relative_losses_average_pools_and_reflected_borders_agree_with_pytorch)
{
    check("relative", 1e-3);
}

TEST(style_distance_of_gaussians_agrees_with_pytorch)
{
    check("w2", 1e-3);
}

TEST(style_lbfgs_takes_the_same_steps_as_pytorch)
{
    check("lbfgs", 1e-3);
}
