/* Classifiers: the counts that lectures make by hand, pictures that are changed as they should be, gradients, and trainings that go on. */
#include <math.h>
#include <string.h>

#include "kernels/devices.h"
#include "models/augment.h"
#include "models/checkpoint.h"
#include "models/evaluate.h"
#include "tests/model_run.h"

static int64_t count_of(test_model *t, const char *prefix)
{
    return test_model_count(t, prefix);
}

TEST(classifier_keras_mnist_has_the_parameters_of_the_lectures)
{
    test_model t;
    test_model_open(&t, "classifier", "keras-mnist", "", 2, 28, 28, 1);
    t.classes = 10;
    gen_program_free(test_model_program(&t, t.model->eval));
    assert_int_equal(count_of(&t, "conv1"), 320);
    assert_int_equal(count_of(&t, "conv2"), 18496);
    assert_int_equal(count_of(&t, "fc1"), 204928);
    assert_int_equal(count_of(&t, "out"), 1290);
    assert_int_equal(count_of(&t, ""), 320 + 18496 + 204928 + 1290);
    test_model_close(&t);
}

TEST(classifier_learns_with_every_option_and_any_size)
{
    static const struct {
        const char *options;
        int64_t h, w, c;
    } cases[] = {
        { "layers=c8,p,d,c8k5s2,f16,d shift=1 zoom=0.1 turn=10 label-smoothing=0.1", 14, 17, 3 },
        { "layers=c8k5,a,f8 valid=1 batch-norm=0 dropout=0 init=keras", 9, 12, 1 },
        { "layers=f12 flip=1 init=torch", 6, 5, 4 },
        { "layers= batch-norm=0", 8, 8, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_model t;
        test_model_open(&t, "classifier", NULL, cases[i].options, 16, cases[i].h, cases[i].w, cases[i].c);
        test_model_learns(&t, 40);
        test_model_close(&t);
    }
}

TEST(classifier_learns_which_quarter_a_blob_is_in)
{
    enum { N = 32 };
    gen_error err = { 0 };
    test_model t;
    float hits[N], sum = 0;
    test_model_open(&t, "classifier", NULL, "layers=c8,p,f16 batch-norm=0", N, 12, 12, 1);
    gen_program *train = test_model_program(&t, t.model->train), *eval = test_model_program(&t, t.model->eval);
    test_model_steps(&t, train, 0, 150);
    TEST_OK(gen_program_feed(eval, "x", t.x, N * t.pixels, &err));
    TEST_OK(gen_program_feed(eval, "label", t.labels, N, &err));
    TEST_OK(gen_program_run(eval, (gen_run_state){ .seed = 1 }, &err));
    TEST_OK(gen_program_fetch(eval, "accuracy", hits, N, &err));
    for (int i = 0; i < N; i++) sum += hits[i] / N;
    assert_true(sum > 99);
    assert_true(gen_program_wants(eval, "label") && !gen_program_wants(eval, "z"));
    gen_program_free(train);
    gen_program_free(eval);
    test_model_close(&t);
}

/* ---- changed pictures ------------------------------------------------------------------------------------------------ */

enum { PICTURES = 64, H = 21, W = 25, PIXELS = H * W };

static float changed[PICTURES * PIXELS];

/* PICTURES changed copies of x[H,W,1] */
static void change(const float *x, const gen_augment *how)
{
    gen_error err = { 0 };
    test_model t;
    gen_program *p = NULL;
    test_model_open(&t, "classifier", NULL, "", 1, 8, 8, 1);
    gen_graph *g = gen_graph_new();
    gen_node *one = gen_input(g, "x", GEN_SHAPE(1, H, W, 1));
    gen_output(g, "y", gen_augment_pictures(g, gen_broadcast(g, one, GEN_SHAPE(PICTURES, H, W, 1)), how));
    TEST_OK(gen_program_new(g, t.device, t.params, 1, &p, &err));
    TEST_OK(gen_program_feed(p, "x", x, PIXELS, &err));
    TEST_OK(gen_program_run(p, (gen_run_state){ .seed = 1 }, &err));
    TEST_OK(gen_program_fetch(p, "y", changed, PICTURES * PIXELS, &err));
    gen_program_free(p);
    test_model_close(&t);
}

/* sum of the pixels, and the middle of their weight from the picture's middle */
static void weigh(const float *x, double *sum, double *across, double *down)
{
    *sum = *across = *down = 0;
    for (int i = 0; i < PIXELS; i++) {
        *sum += (double)x[i];
        *across += (double)x[i] * (i % W - (W - 1) / 2.0);
        *down += (double)x[i] * (i / W - (H - 1) / 2.0);
    }
    *across /= *sum;
    *down /= *sum;
}

static void spot(double across, double down, float *x)
{
    for (int i = 0; i < PIXELS; i++) {
        double dx = i % W - (W - 1) / 2.0 - across, dy = i / W - (H - 1) / 2.0 - down;
        x[i] = (float)exp(-(dx * dx + dy * dy) / 3);
    }
}

TEST(augment_by_nothing_is_the_picture)
{
    float x[PIXELS];
    spot(2, 3, x);
    change(x, &(gen_augment){ .shift_px = 0 });
    for (int i = 0; i < PICTURES * PIXELS; i++) assert_true(changed[i] == x[i % PIXELS]);
}

TEST(augment_flip_mirrors_about_half_of_the_pictures)
{
    float x[PIXELS];
    int mirrored = 0;
    spot(4, 3, x);
    change(x, &(gen_augment){ .flip = true });
    for (int n = 0; n < PICTURES; n++) {
        const float *y = changed + n * PIXELS;
        bool flipped = y[(H / 2) * W] > y[(H / 2) * W + W - 1];
        mirrored += flipped;
        for (int i = 0; i < PIXELS; i++)
            assert_true(fabs((double)(y[i] - x[flipped ? i / W * W + W - 1 - i % W : i])) < 1e-6);
    }
    assert_in_range(mirrored, PICTURES / 4, PICTURES * 3 / 4);
}

TEST(augment_shift_moves_by_at_most_so_many_pixels)
{
    float x[PIXELS];
    double sum, whole, across, down, most = 0;
    spot(0, 0, x);
    weigh(x, &whole, &across, &down);
    change(x, &(gen_augment){ .shift_px = 3 });
    for (int n = 0; n < PICTURES; n++) {
        weigh(changed + n * PIXELS, &sum, &across, &down);
        assert_true(fabs(sum / whole - 1) < 1e-3);
        assert_true(fabs(across) < 3.001 && fabs(down) < 3.001);
        most = fmax(most, fmax(fabs(across), fabs(down)));
    }
    assert_true(most > 2);
}

TEST(augment_turn_is_a_rotation_about_the_middle)
{
    float x[PIXELS];
    double sum, across, down, low = 0, high = 0;
    spot(6, 0, x);
    change(x, &(gen_augment){ .turn_degrees = 20 });
    for (int n = 0; n < PICTURES; n++) {
        weigh(changed + n * PIXELS, &sum, &across, &down);
        double angle = atan2(down, across) * 57.29577951308232;
        assert_true(fabs(hypot(across, down) / 6 - 1) < 0.08);
        assert_true(fabs(angle) < 21);
        low = fmin(low, angle);
        high = fmax(high, angle);
    }
    assert_true(low < -10 && high > 10);
}

TEST(augment_zoom_keeps_the_middle)
{
    float x[PIXELS];
    double sum, whole, across, down, least = 10, most = 0;
    spot(0, 0, x);
    weigh(x, &whole, &across, &down);
    change(x, &(gen_augment){ .zoom = 0.2 });
    for (int n = 0; n < PICTURES; n++) {
        weigh(changed + n * PIXELS, &sum, &across, &down);
        assert_true(fabs(across) < 0.01 && fabs(down) < 0.01);
        least = fmin(least, sum / whole);
        most = fmax(most, sum / whole);
    }
    assert_true(least > 0.68 && least < 0.9 && most > 1.1 && most < 1.58);
}

/* ---- features, refusals, resuming -------------------------------------------------------------------------------------- */

TEST(classifier_encodes_what_enters_its_last_layer)
{
    test_model t;
    test_model_open(&t, "classifier", NULL, "layers=c8,p,f24,d", 4, 12, 10, 1);
    gen_model_context m = {
        .options = t.settings.options, .batch = 4, .height = 12, .width = 10, .channels = 1, .classes = 4
    };
    assert_int_equal(t.model->latent(&m), 24);
    gen_program *p = test_model_program(&t, t.model->encode);
    assert_int_equal(gen_program_shape(p, "mu").dim[1], 24);
    gen_program_free(p);
    test_model_close(&t);
}

/* The network that gen eval measures digits in, on the first test digits: 99.54 % of all 10,000. */
TEST(classifier_that_comes_with_gen_knows_digits)
{
    enum { N = 1000, DIGIT = 28 * 28, FEATURES = 128, CLASSES = 10 };
    gen_error err = { 0 };
    gen_run *run;
    gen_device *device;
    gen_program *program;
    gen_dataset data;
    gen_arena *arena = gen_arena_new();
    gen_dataset_options options = { 0 };
    int64_t index[N], right = 0;
    TEST_OK(gen_dataset_open(test_source("samples/data/mnist"), &options, NULL, arena, &data, &err));
    TEST_OK(gen_device_open("cpu", 2, &device, &err));
    TEST_OK(gen_run_open(test_source("samples/weights/mnist-classifier"), device, GEN_RUN_READ, &run, &err));
    assert_true(gen_is_classifier(run) && gen_latent_size(run) == FEATURES && run->classes == CLASSES);
    TEST_OK(gen_run_program(run, run->settings.model->encode, "encode pictures", 1, &program, &err));
    gen_program_free(program);
    TEST_OK(gen_checkpoint_load(run, "best-or-latest", GEN_CHECKPOINT_WEIGHTS, &err));
    float *x = gen_arena_alloc(arena, N * DIGIT * sizeof *x),
          *features = gen_arena_alloc(arena, N * FEATURES * sizeof *x),
          *p = gen_arena_alloc(arena, N * CLASSES * sizeof *x);
    for (int64_t i = 0; i < N; i++) index[i] = data.splits[GEN_SPLIT_TEST].first + i;
    gen_dataset_batch(&data, index, N, x);
    TEST_OK(gen_classify(run, x, N, features, p, &err));
    for (int64_t i = 0; i < N; i++) {
        int64_t guess = 0;
        for (int64_t c = 1; c < CLASSES; c++)
            if (p[i * CLASSES + c] > p[i * CLASSES + guess]) guess = c;
        right += guess == data.labels[index[i]];
    }
    assert_true(right >= 990);
    gen_run_close(run);
    device->ops->close(device);
    gen_arena_free(arena);
}

static float *read_weights(test_model *t, const char *name, int64_t *count)
{
    gen_error err = { 0 };
    int32_t i = gen_params_find(t->params, name);
    assert_true(i >= 0);
    gen_param_info p = gen_params_get(t->params, i);
    *count = gen_shape_count(&p.shape);
    float *values = gen_arena_alloc(t->arena, (size_t)*count * sizeof *values);
    TEST_OK(gen_params_read(t->params, i, values, &err));
    return values;
}

/* Frozen weights stay, to the bit, have no moments, and the rest learns. */
TEST(classifier_frozen_layers_stay_as_they_are)
{
    static const struct {
        const char *name;
        bool moves;
    } rows[] = { { "conv1.weight", false },
                 { "conv1_norm.weight", false },
                 { "conv2.weight", true },
                 { "fc1.weight", false },
                 { "out.weight", true } };
    test_model t;
    float *before[5];
    int64_t count;
    test_model_open(&t, "classifier", NULL, "layers=c4,p,c6,p,f8 freeze=conv1,fc1", 16, 12, 12, 1);
    gen_program *train = test_model_program(&t, t.model->train);
    for (int i = 0; i < 5; i++) before[i] = read_weights(&t, rows[i].name, &count);
    double first = test_model_steps(&t, train, 0, 1), last = test_model_steps(&t, train, 1, 40);
    assert_true(last < first);
    for (int i = 0; i < 5; i++) {
        float *after = read_weights(&t, rows[i].name, &count);
        char moment[64];
        assert_int_equal(memcmp(after, before[i], (size_t)count * sizeof *after) != 0, rows[i].moves);
        snprintf(moment, sizeof moment, "optim.m.%s", rows[i].name);
        assert_int_equal(gen_params_find(t.params, moment) >= 0, rows[i].moves);
    }
    gen_program_free(train);
    test_model_close(&t);
}

/* Another number of features: the convs are taken, the dense layer and the classes start new. */
TEST(classifier_takes_what_fits_from_another_run)
{
    gen_error err = { 0 };
    gen_taken taken;
    test_model t, whole;
    int64_t count, same;
    const char *from = test_source("samples/weights/mnist-classifier");
    test_model_open(&t, "classifier", "features-mnist", "layers=c24,p,d,c48,c48,p,d,f64,d", 2, 28, 28, 1);
    test_model_open(&whole, "classifier", "features-mnist", "", 2, 28, 28, 1);
    t.classes = whole.classes = 10;
    gen_program_free(test_model_program(&t, t.model->eval));
    gen_program_free(test_model_program(&whole, t.model->eval));
    gen_run run = { .arena = t.arena, .folder = ".", .settings = t.settings, .device = t.device, .params = t.params };
    gen_run all = {
        .arena = whole.arena, .folder = ".", .settings = whole.settings, .device = whole.device, .params = whole.params
    };
    float *dense = read_weights(&t, "fc1.weight", &count);
    TEST_OK(gen_checkpoint_take(&run, from, &taken, &err));
    assert_true(taken.taken == 3 * 6 + 2 && taken.left == 6); /* also the bias of the classes and a counter */
    assert_string_equal(taken.first_left, "fc1.weight");
    assert_memory_equal(read_weights(&t, "fc1.weight", &count), dense, (size_t)count * sizeof *dense);
    TEST_OK(gen_checkpoint_take(&all, from, &taken, &err));
    assert_true(taken.left == 0);
    float *ours = read_weights(&t, "conv2.weight", &count), *theirs = read_weights(&whole, "conv2.weight", &same);
    assert_true(count == same);
    assert_memory_equal(ours, theirs, (size_t)count * sizeof *ours);
    assert_int_equal(gen_checkpoint_take(&run, "/nowhere", &taken, &err), GEN_NOT_FOUND);
    test_model_close(&t);
    test_model_close(&whole);
}

TEST(classifier_refuses_layers_that_are_none_and_data_without_labels)
{
    static const char *const bad[] = { "c", "x32", "c32,q", "f10,p", "c32k", "c99999", "c8,,c8", "c8k40", "p,p,p,p,p" };
    gen_error err;
    test_model t;
    test_model_open(&t, "classifier", NULL, "", 2, 12, 12, 1);
    gen_model_context m = {
        .options = t.settings.options, .batch = 2, .height = 12, .width = 12, .channels = 1, .classes = 4
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (gen_error){ 0 };
        TEST_OK(gen_settings_set(&t.settings, "layers", bad[i], &err));
        if (t.model->check(&m, &err) != GEN_BAD_OPTION) fail_msg("--layers %s was taken", bad[i]);
    }
    err = (gen_error){ 0 };
    TEST_OK(gen_settings_set(&t.settings, "layers", "c8,p,f4", &err));
    TEST_OK(t.model->check(&m, &err));
    m.classes = 0;
    assert_int_equal(t.model->check(&m, &err), GEN_BAD_OPTION);
    test_model_close(&t);
}

TEST(classifier_training_goes_on_bit_for_bit)
{
    test_run_goes_on_bit_for_bit("classifier", "layers=c4,p,d,f8 shift=1 zoom=0.1 turn=5 flip=1 batch=8 steps=6");
}
