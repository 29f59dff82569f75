/* models/gan.c, gan_nets.c, watch.c, film.c. */
#define _POSIX_C_SOURCE 200809L
#include "tests/model_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/autodiff.h"
#include "io/file.h"
#include "io/image.h"
#include "kernels/devices.h"
#include "models/checkpoint.h"
#include "models/film.h"
#include "models/gan_nets.h"
#include "models/watch.h"

/* ---- networks -------------------------------------------------------------------------------------------------------------- */

/* Learned numbers of a group, or with statistics, as Keras counts them. */
static int64_t count_numbers(const char *preset, const char *options, int64_t h, int64_t w, int64_t c,
                             const char *group, bool statistics)
{
    gen_graph *g = gen_graph_new();
    test_model t;
    int64_t count = 0;
    test_model_open(&t, "gan", preset, options, 2, h, w, c);
    gen_model_context m = { .options = t.settings.options, .batch = 2, .height = h, .width = w, .channels = c };
    t.model->train(g, &m);
    for (int32_t i = 0; i < gen_graph_params(g); i++) {
        gen_param_spec spec;
        const gen_node *p = gen_graph_param(g, i, &spec);
        if (strncmp(p->name, group, strlen(group)) || !p->shape.rank || spec.counter) continue;
        if (!spec.state || statistics) count += gen_shape_count(&p->shape);
    }
    gen_graph_free(g);
    test_model_close(&t);
    return count;
}

TEST(gan_parameter_counts_are_the_published_ones)
{
    assert_int_equal(count_numbers("dcgan-64", "", 64, 64, 3, "g.", false), 3576704); /* PyTorch's example */
    assert_int_equal(count_numbers("dcgan-64", "", 64, 64, 3, "d.", false), 2765568);
    assert_int_equal(count_numbers("gdl-gan-camel", "", 28, 28, 1, "g.", true), 844161); /* the book's, by Keras */
    assert_int_equal(count_numbers("gdl-gan-camel", "", 28, 28, 1, "d.", true), 720833);
    assert_int_equal(count_numbers("wgan", "", 32, 32, 3, "g.", true), 884163);
    assert_int_equal(count_numbers("wgan", "", 32, 32, 3, "d.", true), 670401);
    assert_int_equal(count_numbers("wgan-gp-faces", "", 64, 64, 3, "g.", true), 5168003);
    assert_int_equal(count_numbers("wgan-gp-faces", "", 64, 64, 3, "d.", true), 4314753);
}

static double fetch(gen_program *p, const char *name)
{
    gen_error err = { 0 };
    double value;
    TEST_OK(gen_program_fetch_scalar(p, name, &value, &err));
    return value;
}

/* Some steps of a network: numbers stay finite, and every learned parameter has moved. */
static void expect_moving(const char *options, int64_t h, int64_t w, int64_t c)
{
    gen_error err = { 0 };
    test_model t;
    test_model_open(&t, "gan", NULL, options, 8, h, w, c);
    gen_program *train = test_model_program(&t, t.model->train);
    int32_t n = gen_params_count(t.params);
    test_model_steps(&t, train, 0, 3);
    assert_true(isfinite(fetch(train, "d_loss")) && isfinite(fetch(train, "g_loss")));
    for (int32_t i = 0; i < n; i++) {
        gen_param_info p = gen_params_get(t.params, i);
        int64_t count = gen_shape_count(&p.shape);
        float *start = gen_arena_alloc(t.arena, (size_t)count * sizeof *start),
              *now = gen_arena_alloc(t.arena, (size_t)count * sizeof *now);
        if (p.spec.state || (strstr(options, "wgan") && !strcmp(p.name, "d.dense.bias")))
            continue; /* what is added to D of real and of made pictures alike does not count there */
        gen_param_init_values(p.name, &p.shape, &p.spec, 1, start);
        TEST_OK(gen_params_read(t.params, i, now, &err));
        if (!memcmp(start, now, (size_t)count * sizeof *now)) fail_msg("gan %s: %s did not move", options, p.name);
    }
    gen_program_free(train);
    test_model_close(&t);
}

TEST(gan_learns_with_every_loss_and_enlargement)
{
    static const char *const options[] = { "loss=bce label-smoothing=0.1 up=nearest",
                                           "loss=ls up=bilinear spectral-norm=1 hidden=9",
                                           "loss=hinge conditional=1 hidden=5",
                                           "loss=wgan updates=separate optimiser=rmsprop n-critic=2",
                                           "loss=wgan-gp n-critic=2 conditional=1 up=nearest",
                                           "loss=r1 updates=separate fakes=running" };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        char all[160];
        snprintf(all, sizeof all, "width=4 latent=6 %s", options[i]);
        expect_moving(all, 16, 16, 3);
    }
}

TEST(gan_fits_pictures_of_any_size_and_channels)
{
    static const int64_t sizes[][3] = { { 7, 7, 1 }, { 3, 5, 3 }, { 28, 28, 1 }, { 45, 31, 4 }, { 8, 64, 3 } };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        expect_moving("width=2 latent=3", sizes[i][0], sizes[i][1], sizes[i][2]);
        expect_moving("width=2 latent=3 up=nearest loss=wgan-gp", sizes[i][0], sizes[i][1], sizes[i][2]);
    }
    expect_moving("net=gdl-camel latent=3", 9, 12, 1);
}

TEST(gan_weights_of_loss_wgan_stay_within_the_clip)
{
    gen_error err = { 0 };
    test_model t;
    test_model_open(&t, "gan", NULL, "loss=wgan clip=0.02 width=4 latent=5 lr=0.01", 8, 12, 12, 1);
    gen_program *train = test_model_program(&t, t.model->train);
    test_model_steps(&t, train, 0, 3);
    int32_t i = gen_params_find(t.params, "d.conv1.weight");
    float w[64];
    TEST_OK(gen_params_read(t.params, i, w, &err));
    double largest = 0;
    for (int k = 0; k < 64; k++) largest = fmax(largest, fabs((double)w[k]));
    assert_true(fabs(largest - 0.02) < 1e-7);
    gen_program_free(train);
    test_model_close(&t);
}

TEST(gan_refuses_options_that_do_not_fit)
{
    static const struct {
        const char *options, *says;
    } bad[] = { { "loss=wgan-gp updates=separate", "--updates joint" },
                { "loss=hinge label-smoothing=0.1", "bce or r1" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gen_error err = { 0 };
        test_model t;
        test_model_open(&t, "gan", NULL, bad[i].options, 2, 8, 8, 1);
        gen_model_context m = { .options = t.settings.options, .batch = 2, .height = 8, .width = 8, .channels = 1 };
        assert_int_equal(t.model->check(&m, &err), GEN_BAD_OPTION);
        assert_non_null(strstr(err.text, bad[i].says));
        test_model_close(&t);
    }
}

/* ---- the gradient penalty -------------------------------------------------------------------------------------------------- */

enum { N = 3, SIDE = 9 };

/* penalty = mean (|d D(u) / d u| - 1)^2, and its gradient in the first conv's weights: a gradient of a gradient */
static void build_penalty(gen_graph *g, const gen_model_context *m)
{
    (void)m;
    gan_net_options o = { .width = 3, .up = "auto", .no_norm = true };
    gan_net net = gan_net_for("dcgan", &o, SIDE, SIDE, 2);
    gen_node *u = gen_input(g, "x", GEN_SHAPE(N, SIDE, SIDE, 2)), *du, *dw;
    net.sigma = 0.3;
    gen_gradient(g, gen_sum_all(g, gan_discriminator(g, &net, u, NULL)), NULL, 1, &u, &du);
    gen_node *squared = gen_sum(g, nn_flatten(g, gen_square(g, du)), GEN_AXIS(1));
    gen_node *penalty = gen_mean(g, gen_square(g, gen_affine(g, gen_sqrt(g, squared), 1, -1)));
    gen_node *w = gen_param(g, "d.conv1.weight", GEN_SHAPE(4, 4, 2, 3), (gen_param_spec){ 0 });
    gen_gradient(g, penalty, NULL, 1, &w, &dw);
    gen_output(g, "penalty", penalty);
    gen_output(g, "dw", dw);
}

TEST(gan_gradient_penalty_has_the_gradient_that_differences_show)
{
    enum { WEIGHTS = 4 * 4 * 2 * 3 };
    gen_error err = { 0 };
    test_model t;
    float w[WEIGHTS], dw[WEIGHTS], x[N * SIDE * SIDE * 2];
    test_model_open(&t, "gan", NULL, "", N, SIDE, SIDE, 2);
    t.device->ops->close(t.device);
    TEST_OK(gen_device_open("cpu64", 1, &t.device, &err));
    gen_params_free(t.params);
    t.params = gen_params_new(t.device);
    gen_program *p = test_model_program(&t, build_penalty);
    for (int i = 0; i < N * SIDE * SIDE * 2; i++) x[i] = (float)sin(i * 1.7);
    int32_t at = gen_params_find(t.params, "d.conv1.weight");
    TEST_OK(gen_params_read(t.params, at, w, &err));
    TEST_OK(gen_program_feed(p, "x", x, N * SIDE * SIDE * 2, &err));
    TEST_OK(gen_program_run(p, (gen_run_state){ 0 }, &err));
    TEST_OK(gen_program_fetch(p, "dw", dw, WEIGHTS, &err));
    assert_true(fetch(p, "penalty") > 1e-3);
    for (int i = 0; i < WEIGHTS; i += 7) {
        double value[2];
        const float step = 1.0F / 512, middle = w[i];
        for (int side = 0; side < 2; side++) {
            w[i] = side ? middle + step : middle - step;
            TEST_OK(gen_params_write(t.params, at, w, &err));
            TEST_OK(gen_program_run(p, (gen_run_state){ 0 }, &err));
            value[side] = fetch(p, "penalty");
        }
        w[i] = middle;
        double difference = (value[1] - value[0]) / (2.0 * (double)step);
        if (!(fabs(difference - (double)dw[i]) < 1e-3 * fmax(1, fabs(difference))))
            fail_msg("weight %d: %g, differences show %g", i, (double)dw[i], difference);
    }
    gen_program_free(p);
    test_model_close(&t);
}

/* ---- sampling -------------------------------------------------------------------------------------------------------------- */

static void decode(test_model *t, const float *z, float *out)
{
    gen_error err = { 0 };
    gen_program *p = test_model_program(t, t->model->decode);
    TEST_OK(gen_program_map(p, "z", z, "x", out, t->n, (gen_run_state){ 0 }, &err));
    gen_program_free(p);
}

TEST(gan_samples_come_from_the_averaged_weights)
{
    gen_error err = { 0 };
    test_model t;
    float z[4 * 6], first[4 * 144], second[4 * 144], w[16 * 4] = { 0 };
    for (int i = 0; i < 24; i++) z[i] = (float)cos(i);
    test_model_open(&t, "gan", NULL, "width=4 latent=6 ema=0.9", 4, 12, 12, 1);
    gen_program *train = test_model_program(&t, t.model->train);
    test_model_steps(&t, train, 0, 3);
    decode(&t, z, first);
    for (int i = 0; i < 4 * 144; i++) assert_true(first[i] >= 0 && first[i] <= 1);
    TEST_OK(gen_params_write(t.params, gen_params_find(t.params, "g.conv1.weight"), w, &err));
    decode(&t, z, second);
    assert_memory_equal(first, second, sizeof first);
    TEST_OK(gen_params_write(t.params, gen_params_find(t.params, "ema.g.conv1.weight"), w, &err));
    decode(&t, z, second);
    assert_memory_not_equal(first, second, sizeof first);
    gen_program_free(train);
    test_model_close(&t);
}

TEST(gan_resumed_training_goes_on_bit_for_bit)
{
    test_run_goes_on_bit_for_bit("gan", "width=4 latent=5 batch=4 steps=6 checkpoint-every=3 ema=0.99");
    test_run_goes_on_bit_for_bit(
        "gan", "width=4 latent=5 batch=4 steps=6 loss=wgan-gp n-critic=2 spectral-norm=1 conditional=1");
}

/* Without biases a discriminator without norms has D(a x) = a D(x), and a generator trained against it stayed grey. */
TEST(gan_discriminator_has_norms_or_biases)
{
    static const struct {
        const char *options;
        int64_t numbers;
    } nets[] = {
        { "width=2 loss=bce", 16 * 2 + 16 * 2 * 4 + 2 * 4 + 4 * 7 * 7 },
        { "width=2 loss=r1", 16 * 2 + 2 + 16 * 2 * 4 + 4 + 4 * 7 * 7 + 1 },
        { "width=2 loss=wgan-gp", 16 * 2 + 2 + 16 * 2 * 4 + 4 + 4 * 7 * 7 + 1 },
        { "width=2 loss=hinge spectral-norm=1", 16 * 2 + 2 + 16 * 2 * 4 + 4 + 4 * 7 * 7 + 1 },
    };
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        assert_int_equal(count_numbers("dcgan-28", nets[i].options, 28, 28, 1, "d.", false), nets[i].numbers);
}

/* ---- trouble --------------------------------------------------------------------------------------------------------------- */

static void one_number(gen_graph *g, const gen_model_context *m)
{
    (void)m;
    gen_output(g, "loss", gen_input(g, "x", (gen_shape){ 0 }));
}

static void keep_text(void *context, const gen_event *e)
{
    if (e->kind == GEN_EVENT_TEXT) strncat(context, e->text, 799 - strlen(context));
}

TEST(watch_warns_once_and_keeps_the_checkpoint_from_before)
{
    static const gen_watch watches[] = { { "loss", 0, 1, 3, "too much" }, GEN_WATCHES_END };
    gen_error err = { 0 };
    test_model t;
    test_model_open(&t, "gan", NULL, "", 1, 8, 8, 1);
    gen_model model = *t.model;
    model.watches = watches;
    t.settings.model = &model;
    gen_run run = { .arena = t.arena, .folder = gen_arena_strdup(t.arena, test_folder()), .settings = t.settings };
    TEST_OK(gen_folder_make(gen_run_path(&run, "checkpoints"), &err));
    for (int step = 2; step <= 8; step += 2) {
        char *name = gen_arena_printf(t.arena, "checkpoints/step-%08d.safetensors", step);
        TEST_OK(gen_file_write(gen_run_path(&run, name), "x", 1, &err));
    }
    gen_program *p = test_model_program(&t, one_number);
    gen_watcher watcher = { 0 };
    char text[800] = "";
    gen_sink sink = { keep_text, text };
    for (int step = 1; step <= 9; step++)
        gen_watch_step(&watcher, &run, p, &(double){ step > 5 ? (double)NAN : 0.5 }, step, &sink);
    assert_non_null(strstr(text, "too much"));
    assert_non_null(strstr(text, "step-00000004"));
    assert_null(strstr(strstr(text, "too much") + 1, "too much"));
    char *good;
    TEST_OK(gen_checkpoint_find(&run, "good", &good, &err));
    assert_string_equal(gen_path_base(good), "step-00000004.safetensors");
    gen_program_free(p);
    test_model_close(&t);
}

static void saturated(gen_graph *g, const gen_model_context *m)
{
    (void)m;
    gen_node *x = gen_input(g, "x", (gen_shape){ 0 });
    gen_output(g, "loss", x);
    gen_output(g, "saturated", x);
}

/* A generator that collapsed to grey had a spread of 0.8, since a few of its pictures were digits, and D was right in 3 of 4 cases. */
TEST(watch_sees_pictures_that_stay_grey)
{
    gen_error err = { 0 };
    test_model t;
    test_model_open(&t, "gan", NULL, "", 1, 8, 8, 1);
    gen_run run = { .arena = t.arena, .folder = gen_arena_strdup(t.arena, test_folder()), .settings = t.settings };
    TEST_OK(gen_folder_make(gen_run_path(&run, "checkpoints"), &err));
    gen_program *p = test_model_program(&t, saturated);
    gen_watcher watcher = { 0 };
    char text[800] = "";
    gen_sink sink = { keep_text, text };
    for (int step = 1; step <= 3000; step++) /* a healthy one: black and white after a thousand */
        gen_watch_step(&watcher, &run, p, (double[]){ 0.5, step < 1000 ? -0.86 : -0.07 }, step, &sink);
    assert_string_equal(text, "");
    for (int step = 3001; step <= 5000; step++)
        gen_watch_step(&watcher, &run, p, (double[]){ 0.5, -0.61 }, step, &sink);
    assert_non_null(strstr(text, "grey"));
    gen_program_free(p);
    test_model_close(&t);
}

TEST(film_of_sample_grids_starts_with_the_first)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_run run = { .arena = arena, .folder = gen_arena_strdup(arena, test_folder()) };
    gen_image image, back;
    gen_bytes png;
    TEST_OK(gen_folder_make(gen_run_path(&run, "samples"), &err));
    TEST_OK(gen_film_write(&run, "samples", gen_run_path(&run, "film.png"), &err));
    assert_false(gen_path_exists(gen_run_path(&run, "film.png"))); /* nothing to show */
    for (int i = 0; i < 70; i++) {
        TEST_OK(gen_image_new(4, 4, 1, 8, arena, &image, &err));
        memset(image.px8, i, 16);
        TEST_OK(gen_png_write(&image, arena, &png, &err));
        TEST_OK(gen_file_write(gen_run_path(&run, gen_arena_printf(arena, "samples/samples-%08d.png", 10 * i)),
                               png.data, png.size, &err));
    }
    TEST_OK(gen_film_write(&run, "samples", gen_run_path(&run, "film.png"), &err));
    TEST_OK(gen_file_read(gen_run_path(&run, "film.png"), 1 << 20, arena, &png, &err));
    TEST_OK(gen_image_read(png.data, png.size, arena, &back, &err));
    assert_int_equal(back.px8[0], 0);
    size_t at = 33 + 8; /* behind IHDR: acTL's number of frames */
    assert_memory_equal(png.data + 33 + 4, "acTL", 4);
    assert_int_equal(png.data[at + 3], 68);
    gen_arena_free(arena);
}
