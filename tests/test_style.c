/* Style transfer: feature networks, losses, L-BFGS, colours, resuming, and what users get wrong. */
#define _POSIX_C_SOURCE 200809L
#include "core/autodiff.h"
#include "core/program.h"
#include "io/image.h"
#include "kernels/devices.h"
#include "models/lbfgs.h"
#include "models/style.h"
#include "models/style_colour.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- feature networks --------------------------------------------------------------------------------------------------------- */

static int64_t count_weights(const gen_feature_net *net, const char *last)
{
    gen_graph *g = gen_graph_new();
    gen_node *tap;
    gen_error err = { 0 };
    int64_t n = 0;
    gen_features_build(g, net, gen_input(g, "x", GEN_SHAPE(1, 64, 64, 3)), &(gen_feature_options){ 0 }, 1, &last, &tap);
    TEST_OK(gen_graph_check(g, &err));
    for (int32_t i = 0; i < gen_graph_params(g); i++) {
        gen_param_spec spec;
        n += gen_shape_count(&gen_graph_param(g, i, &spec)->shape);
    }
    gen_graph_free(g);
    return n;
}

TEST(features_have_as_many_weights_as_the_published_networks)
{
    assert_int_equal(count_weights(gen_feature_net_find("vgg19"), "relu5_4"), 20024384); /* Keras' VGG19 without top */
    assert_int_equal(count_weights(gen_feature_net_find("vgg16"), "relu5_3"), 14714688); /* and VGG16 */
    /* torchvision's SqueezeNet 1.1 has 1,235,496, of which 513,000 are the classifier's */
    assert_int_equal(count_weights(gen_feature_net_find("squeezenet"), "fire9"), 1235496 - 513000);
    assert_int_equal(gen_features_stride(gen_feature_net_find("vgg19"), "relu5_1"), 16);
    assert_null(gen_feature_net_find("vgg11"));
}

static void expect_layer_size(const char *net, const char *layer, int size, int expected)
{
    int32_t h, w;
    gen_features_size(gen_feature_net_find(net), &(gen_feature_options){ 0 }, layer, size, size, &h, &w);
    assert_int_equal(h, expected);
    assert_int_equal(w, expected);
}

TEST(features_have_the_sizes_that_torchvision_gives)
{
    expect_layer_size("vgg19", "relu5_1", 224, 14);
    expect_layer_size("squeezenet", "relu1", 224, 111);
    expect_layer_size("squeezenet", "pool1", 224, 55);
    expect_layer_size("squeezenet", "pool3", 224, 27);
    expect_layer_size("squeezenet", "fire9", 224, 13);
    expect_layer_size("squeezenet", "pool3", 227, 28); /* ceil_mode: 113, 56, and 27.5 becomes 28 */
    expect_layer_size("vgg19", "relu5_1", 15, 0);      /* too small */
}

/* ---- L-BFGS ---------------------------------------------------------------------------------------------------------------------- */

TEST(lbfgs_finds_the_lowest_point_of_a_long_valley)
{
    enum { N = 40 };
    gen_error err = { 0 };
    gen_lbfgs *o = NULL;
    float x[N], g[N];
    double far = 0;
    TEST_OK(gen_lbfgs_new(N, 10, 1, &o, &err));
    for (int i = 0; i < N; i++) x[i] = 1;
    for (int step = 0; step < 100; step++) { /* f = sum c (x - i)^2 / 2, c from 1 to 40 */
        for (int i = 0; i < N; i++) g[i] = (float)(i + 1) * (x[i] - (float)i);
        if (!gen_lbfgs_step(o, g, x)) break;
    }
    for (int i = 0; i < N; i++) far = fmax(far, fabs((double)x[i] - i));
    assert_true(far < 1e-2);
    gen_lbfgs_free(o);
    assert_int_equal(gen_lbfgs_new(N, 0, 1, &o, &err), GEN_BAD_OPTION);
}

/* ---- losses ------------------------------------------------------------------------------------------------------------------------ */

TEST(style_matrix_root_squared_is_the_matrix)
{
    enum { N = 5 };
    gen_error err = { 0 };
    float a[N * N], r[N * N];
    for (int i = 0; i < N * N; i++) a[i] = (float)(i / N == i % N ? 2 + i / N : 0.3);
    gen_device *device;
    gen_program *p = NULL;
    gen_graph *g = gen_graph_new();
    gen_output(g, "root", gen_matrix_root(g, gen_input(g, "a", GEN_SHAPE(N, N)), 12));
    TEST_OK(gen_device_open("cpu", 1, &device, &err));
    gen_params *params = gen_params_new(device);
    TEST_OK(gen_program_new(g, device, params, 0, &p, &err));
    TEST_OK(gen_program_feed(p, "a", a, N * N, &err));
    TEST_OK(gen_program_run(p, (gen_run_state){ 0 }, &err));
    TEST_OK(gen_program_fetch(p, "root", r, N * N, &err));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++) sum += (double)r[i * N + k] * (double)r[k * N + j];
            assert_true(fabs(sum - (double)a[i * N + j]) < 1e-4);
        }
    gen_program_free(p);
    gen_params_free(params);
    device->ops->close(device);
}

TEST(style_lists_of_layers_are_read_and_refused)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_style_layer layers[GEN_STYLE_MAX_LAYERS];
    int32_t n;
    TEST_OK(gen_style_layers_parse("style-layers", "relu1_1:0.25,relu4_2", arena, layers, &n, &err));
    assert_int_equal(n, 2);
    assert_string_equal(layers[0].name, "relu1_1");
    assert_true(layers[0].weight == 0.25 && layers[1].weight == 1);
    assert_int_equal(gen_style_layers_parse("style-layers", "relu1_1:x", arena, layers, &n, &err), GEN_BAD_OPTION);
    assert_int_equal(gen_style_layers_parse("style-layers", "a,b,a", arena, layers, &n, &err), GEN_BAD_OPTION);
    assert_int_equal(gen_style_layers_parse("style-layers", "a:-1", arena, layers, &n, &err), GEN_BAD_OPTION);
    gen_arena_free(arena);
}

TEST(style_presets_are_known_and_their_words_are_options)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_style_options o;
    for (const gen_preset *p = gen_style_presets; p->name; p++)
        TEST_OK(gen_style_options_start(&o, p->name, arena, &err));
    TEST_OK(gen_style_options_start(&o, "jcjohnson", arena, &err));
    assert_true(o.range == 256 && o.content_weight == 5 && o.style_weight == 100 && o.tv == 1e-3);
    assert_int_equal(gen_style_options_start(&o, "picasso", arena, &err), GEN_BAD_OPTION);
    gen_arena_free(arena);
}

/* ---- colours ----------------------------------------------------------------------------------------------------------------------- */

static void mean_of(const float *rgb, int n, double mean[3])
{
    mean[0] = mean[1] = mean[2] = 0;
    for (int i = 0; i < 3 * n; i++) mean[i % 3] += (double)rgb[i] / n;
}

TEST(colours_of_one_picture_become_those_of_another)
{
    enum { N = 400 };
    float painting[3 * N], photo[3 * N], copy[3 * N];
    double a[3], b[3];
    for (int i = 0; i < 3 * N; i++) {
        painting[i] = (float)(0.3 + 0.1 * sin(i * 0.7) + 0.05 * (i % 3));
        photo[i] = (float)(0.6 + 0.15 * sin(i * 0.31) - 0.1 * (i % 3));
    }
    memcpy(copy, painting, sizeof copy);
    gen_colour_match(copy, N, photo, N);
    mean_of(copy, N, a);
    mean_of(photo, N, b);
    for (int k = 0; k < 3; k++) assert_true(fabs(a[k] - b[k]) < 0.01);
    memcpy(copy, painting, sizeof copy);
    gen_colour_histogram(copy, N, photo, N);
    mean_of(copy, N, a);
    for (int k = 0; k < 3; k++) assert_true(fabs(a[k] - b[k]) < 0.01);
    gen_colour_keep(painting, photo, N);
    /* R - B is what it was in the photograph */
    for (int i = 0; i < N; i++) {
        double now = (double)painting[3 * i] - (double)painting[3 * i + 2],
               was = (double)photo[3 * i] - (double)photo[3 * i + 2];
        bool clipped = painting[3 * i] <= 0 || painting[3 * i + 2] <= 0 || painting[3 * i] >= 1;
        assert_true(clipped || fabs(now - was) < 1e-5);
    }
}

/* ---- a whole run ------------------------------------------------------------------------------------------------------------------- */

enum { SIDE = 40 };

typedef struct session {
    gen_arena *arena;
    gen_device *device;
    gen_style_options o;
    gen_style_job job;
    float content[SIDE * SIDE * 3], style[SIDE * SIDE * 3];
    int64_t seen, stop_after;
    double first, last;
} session;

static void start(session *t, const char *net)
{
    gen_error err = { 0 };
    *t = (session){ .arena = gen_arena_new() };
    TEST_OK(gen_device_open("cpu", 2, &t->device, &err));
    TEST_OK(gen_style_options_start(&t->o, "", t->arena, &err));
    t->o.size = SIDE;
    t->o.iterations = 12;
    t->o.scales = "28,40";
    for (int i = 0; i < SIDE * SIDE * 3; i++) {
        t->content[i] = (float)(0.5 + 0.4 * sin(i * 0.013));
        t->style[i] = (float)(0.5 + 0.4 * sin(i * 0.37));
    }
    t->job = (gen_style_job){ .options = &t->o,
                              .net = gen_feature_net_find(net),
                              .input = gen_feature_net_find(net)->input,
                              .content = { t->content, SIDE, SIDE, 1, NULL },
                              .styles = { { t->style, SIDE, SIDE, 1, NULL } },
                              .n_styles = 1 };
}

static void end(session *t)
{
    t->device->ops->close(t->device);
    gen_arena_free(t->arena);
}

static bool watch(void *context, gen_style *s, const gen_style_progress *p)
{
    session *t = context;
    (void)s;
    if (p->iteration == 1 && p->scale == 0) t->first = p->loss;
    t->last = p->loss;
    return ++t->seen != t->stop_after;
}

static gen_style_hooks hooks(session *t)
{
    return (gen_style_hooks){ .on_iteration = watch, .context = t };
}

TEST(style_resumed_goes_on_bit_for_bit)
{
    session t;
    gen_error err = { 0 };
    gen_style *whole = NULL, *part = NULL, *rest = NULL;
    int32_t h, w;
    start(&t, "vgg19-slim");
    t.o.style_layers = "relu1_1,relu2_1";
    t.o.content_layers = "relu2_1";
    TEST_OK(gen_style_open(&t.job, t.device, &whole, &err));
    TEST_OK(gen_style_run(whole, hooks(&t), &err));
    assert_int_equal(t.seen, 12 + 6);
    assert_true(t.last < t.first);
    char *path = gen_arena_printf(t.arena, "%s/state", test_folder());
    for (int64_t stop = 5; stop <= 15; stop += 10) { /* in the first size, and in the second */
        t.seen = 0;
        t.stop_after = stop;
        TEST_OK(gen_style_open(&t.job, t.device, &part, &err));
        assert_int_equal(gen_style_run(part, hooks(&t), NULL), GEN_STOPPED);
        TEST_OK(gen_style_save(part, path, &err));
        gen_style_close(part);
        t.stop_after = 0;
        TEST_OK(gen_style_open(&t.job, t.device, &rest, &err));
        TEST_OK(gen_style_resume(rest, path, &err));
        TEST_OK(gen_style_run(rest, hooks(&t), &err));
        assert_int_equal(t.seen, 18);
        const float *a = gen_style_result(whole, &h, &w, &err), *b = gen_style_result(rest, &h, &w, &err);
        assert_int_equal(h, SIDE);
        assert_memory_equal(a, b, SIDE * SIDE * 3 * sizeof *a);
        gen_style_close(rest);
    }
    t.o.scales = "one";
    TEST_OK(gen_style_open(&t.job, t.device, &rest, &err));
    assert_int_equal(gen_style_resume(rest, path, &err), GEN_BAD_OPTION);
    gen_style_close(rest);
    gen_style_close(whole);
    end(&t);
}

TEST(style_masks_keep_a_style_where_it_belongs)
{
    session t;
    gen_error err = { 0 };
    gen_style *s = NULL;
    int32_t h, w;
    float left[SIDE * SIDE], right[SIDE * SIDE], black[SIDE * SIDE * 3] = { 0 }, white[SIDE * SIDE * 3];
    double mean[2] = { 0 };
    start(&t, "vgg19-slim");
    for (int i = 0; i < SIDE * SIDE; i++) {
        left[i] = i % SIDE < SIDE / 2;
        right[i] = 1 - left[i];
    }
    for (int i = 0; i < SIDE * SIDE * 3; i++) white[i] = 1;
    t.job.styles[0] = (gen_style_picture){ black, SIDE, SIDE, 1, left };
    t.job.styles[1] = (gen_style_picture){ white, SIDE, SIDE, 1, right };
    t.job.n_styles = 2;
    t.o.style_layers = "relu1_1";
    t.o.content_layers = "relu1_1";
    t.o.content_weight = 0.01;
    t.o.scales = "one";
    t.o.iterations = 60;
    t.o.init = "grey";
    TEST_OK(gen_style_open(&t.job, t.device, &s, &err));
    TEST_OK(gen_style_run(s, hooks(&t), &err));
    const float *rgb = gen_style_result(s, &h, &w, &err);
    for (int i = 0; i < SIDE * SIDE * 3; i++) mean[i / 3 % SIDE >= SIDE / 2] += (double)rgb[i] / (SIDE * SIDE * 1.5);
    assert_true(mean[1] - mean[0] > 0.2);
    gen_style_close(s);
    end(&t);
}

static gen_status opens(session *t, gen_error *err)
{
    gen_style *s = NULL;
    *err = (gen_error){ 0 };
    gen_status status = gen_style_open(&t->job, t->device, &s, err);
    gen_style_close(s);
    return status;
}

TEST(style_says_what_is_wrong_with_sizes_layers_and_memory)
{
    session t;
    gen_error err;
    start(&t, "vgg19-slim");
    t.job.content.height_px = t.job.content.width_px = 1;
    t.o.scales = "one";
    t.o.size = 1;
    assert_int_equal(opens(&t, &err), GEN_BAD_SHAPE);
    assert_non_null(strstr(err.text, "too small"));
    t.job.content.width_px = SIDE;
    t.o.size = SIDE; /* 40 pixels wide, one high */
    assert_int_equal(opens(&t, &err), GEN_BAD_SHAPE);
    t.job.content.height_px = SIDE;
    t.job.memory_limit = 1 << 20;
    assert_int_equal(opens(&t, &err), GEN_NO_MEMORY);
    assert_non_null(strstr(err.text, "--memory allows 1"));
    t.job.memory_limit = 0;
    t.o.style_layers = "relu9_9";
    assert_int_equal(opens(&t, &err), GEN_BAD_OPTION);
    assert_non_null(strstr(err.text, "relu9_9"));
    t.o.style_layers = "";
    t.o.scales = "12,x";
    assert_int_equal(opens(&t, &err), GEN_BAD_OPTION);
    end(&t);
}

TEST(style_makes_textures_and_reconstructions)
{
    session t;
    gen_error err = { 0 };
    gen_style *s = NULL;
    start(&t, "vgg19-slim");
    t.o.texture = 1;
    t.o.style_layers = "relu1_1,relu3_1";
    t.job.content.rgb = NULL;
    TEST_OK(gen_style_open(&t.job, t.device, &s, &err));
    TEST_OK(gen_style_run(s, hooks(&t), &err));
    assert_true(t.last < t.first);
    gen_style_close(s);
    t.o.texture = 0;
    t.o.reconstruct = "relu2_1";
    t.job.content.rgb = t.content;
    TEST_OK(gen_style_open(&t.job, t.device, &s, &err));
    TEST_OK(gen_style_run(s, hooks(&t), &err));
    assert_true(t.last < t.first);
    gen_style_close(s);
    end(&t);
}
