/* Eigenvectors of matrices that are known, planes that are recovered, and the published errors on MNIST. */
#include <math.h>
#include <string.h>

#include "kernels/devices.h"
#include "models/data.h"
#include "models/evaluate.h"
#include "models/linalg.h"
#include "models/train.h"
#include "tests/model_run.h"

static void need_lapack(void)
{
    gen_error err = { 0 };
    double x = 1, c = 0;
    if (gen_gram_add(&x, 1, 1, &c, &err) == GEN_NO_DEVICE) TEST_SKIP(err.text);
}

TEST(linalg_eigenvectors_of_the_second_difference_are_sines)
{
    enum { N = 12, K = 5 };
    gen_error err = { 0 };
    double a[N * N] = { 0 }, values[K], vectors[K * N];
    need_lapack();
    for (int i = 0; i < N; i++) {
        a[i * N + i] = 2;
        if (i) a[i * N + i - 1] = a[(i - 1) * N + i] = -1;
    }
    TEST_OK(gen_eigen_largest(a, N, K, values, vectors, &err));
    for (int k = 0; k < K; k++) { /* 2 - 2 cos(j pi / (N + 1)), j = N, N - 1, … */
        double angle = (N - k) * 3.14159265358979323846 / (N + 1), product = 0;
        assert_true(fabs(values[k] - (2 - 2 * cos(angle))) < 1e-12);
        for (int i = 0; i < N; i++) product += vectors[k * N + i] * sin((i + 1) * angle) * sqrt(2.0 / (N + 1));
        assert_true(fabs(fabs(product) - 1) < 1e-10);
    }
}

TEST(linalg_gram_adds_up_what_eigen_reads)
{
    gen_error err = { 0 };
    const double x[3 * 2] = { 1, 2, 3, 4, 5, 6 };
    double c[4] = { 0 }, values[2], vectors[4];
    need_lapack();
    TEST_OK(gen_gram_add(x, 2, 2, c, &err));
    TEST_OK(gen_gram_add(x + 4, 1, 2, c, &err)); /* 35 44, 44 56 */
    TEST_OK(gen_eigen_largest(c, 2, 2, values, vectors, &err));
    assert_true(fabs(values[0] + values[1] - 91) < 1e-10);
    assert_true(fabs(values[0] * values[1] - (35 * 56 - 44 * 44)) < 1e-8);
    assert_int_equal(gen_eigen_largest(c, 2, 3, values, vectors, &err), GEN_UNSUPPORTED);
}

typedef struct fitted {
    gen_arena *arena;
    gen_device *device;
    gen_settings settings;
    gen_dataset data;
    gen_run *run;
    gen_program *eval;
} fitted;

static void fit(fitted *f, const char *latent)
{
    gen_error err = { 0 };
    gen_train_hooks hooks = { .stop = NULL };
    TEST_OK(gen_settings_start(&f->settings, gen_model_find("pca"), f->arena, &err));
    TEST_OK(gen_settings_set(&f->settings, "latent", latent, &err));
    f->settings.train.out = gen_arena_strdup(f->arena, test_folder());
    TEST_OK(gen_device_open("cpu", 2, &f->device, &err));
    TEST_OK(gen_run_create(&f->settings, &f->data, f->device, &f->run, &err));
    TEST_OK(gen_train(f->run, &f->data, &hooks, &err));
    TEST_OK(gen_run_program(f->run, f->run->settings.model->eval, "be evaluated", GEN_EVAL_BATCH, &f->eval, &err));
}

static double mse_of(fitted *f, gen_split split)
{
    gen_error err = { 0 };
    gen_eval_result r;
    TEST_OK(gen_evaluate(f->run, f->eval, &f->data, f->data.splits[split], &r, &err));
    return gen_eval_mean(&r, "mse");
}

static void close_fitted(fitted *f)
{
    gen_program_free(f->eval);
    gen_run_close(f->run);
    f->device->ops->close(f->device);
}

TEST(pca_finds_the_plane_that_the_pictures_are_in)
{
    enum { N = 300, SIDE = 5, P = SIDE * SIDE };
    gen_error err = { 0 };
    fitted f = { .arena = gen_arena_new() };
    float x[N * P], z[N * 2];
    double mean[2] = { 0 }, square[2] = { 0 }, cross = 0;
    need_lapack();
    for (int i = 0; i < N; i++)
        for (int p = 0; p < P; p++)
            x[i * P + p] = (float)(0.5 + 0.2 * sin(0.7 * i) * cos(0.3 * p) + 0.1 * cos(1.9 * i) * sin(0.9 * p));
    f.data = (gen_dataset){
        .name = "plane", .n = N, .height_px = SIDE, .width_px = SIDE, .channels = 1, .values = x, .splits = { { 0, N } }
    };
    fit(&f, "2");
    assert_true(mse_of(&f, GEN_SPLIT_TRAIN) < 1e-10);
    TEST_OK(gen_encode(f.run, x, NULL, N, z, NULL, &err));
    for (int i = 0; i < N; i++) {
        for (int d = 0; d < 2; d++) mean[d] += (double)z[2 * i + d] / N, square[d] += pow((double)z[2 * i + d], 2) / N;
        cross += (double)z[2 * i] * (double)z[2 * i + 1] / N;
    }
    for (int d = 0; d < 2; d++) assert_true(fabs(mean[d]) < 1e-4 && fabs(square[d] - 1) < 1e-4);
    assert_true(fabs(cross) < 1e-4);
    close_fitted(&f);
    gen_arena_free(f.arena);
}

TEST(pca_of_mnist_has_the_published_test_errors)
{
    static const struct {
        const char *latent;
        double mse;
    } expected[] = { { "2", .05567 }, { "10", .03407 }, { "32", .01683 } };
    gen_error err = { 0 };
    need_lapack();
    fitted f = { .arena = gen_arena_new() };
    gen_dataset_options options = { .download = 0 };
    TEST_OK(gen_dataset_open(test_source("samples/data/mnist"), &options, NULL, f.arena, &f.data, &err));
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        fit(&f, expected[i].latent);
        double mse = mse_of(&f, GEN_SPLIT_TEST);
        if (fabs(mse - expected[i].mse) > 5e-6)
            fail_msg("k = %s: %.6f, published %.5f", expected[i].latent, mse, expected[i].mse);
        close_fitted(&f);
    }
    gen_arena_free(f.arena);
}

TEST(pca_that_is_done_stays_as_it_is)
{
    gen_error err = { 0 };
    enum { N = 40, SIDE = 4, P = SIDE * SIDE };
    fitted f = { .arena = gen_arena_new() };
    float x[N * P];
    need_lapack();
    for (int i = 0; i < N * P; i++) x[i] = (float)(0.5 + 0.5 * sin(0.013 * i * i));
    f.data = (gen_dataset){
        .name = "waves", .n = N, .height_px = SIDE, .width_px = SIDE, .channels = 1, .values = x, .splits = { { 0, N } }
    };
    fit(&f, "16");
    double before = mse_of(&f, GEN_SPLIT_TRAIN);
    assert_true(before < 1e-8); /* all components: nothing is lost */
    gen_train_hooks hooks = { .stop = NULL };
    TEST_OK(gen_train(f.run, &f.data, &hooks, &err));
    assert_true(mse_of(&f, GEN_SPLIT_TRAIN) == before);
    close_fitted(&f);
    gen_arena_free(f.arena);
}

TEST(pca_refuses_more_components_than_pixels)
{
    gen_error err = { 0 };
    test_model t;
    test_model_open(&t, "pca", NULL, "latent=20", 2, 4, 4, 1);
    gen_model_context m = { .options = t.settings.options, .batch = 2, .height = 4, .width = 4, .channels = 1 };
    assert_int_equal(t.model->check(&m, &err), GEN_BAD_OPTION);
    test_model_close(&t);
}
