/* Parameter counts of the published networks, the pool of earlier fakes, pairs of folders, training that goes on. */
#include <math.h>
#include <string.h>

#include "models/batches.h"
#include "models/data_pair.h"
#include "tests/model_run.h"

static void check_counts(const char *preset, int64_t side, int64_t generator, int64_t discriminator)
{
    test_model t;
    test_model_open(&t, "cyclegan", preset, "crop=0 batch=1", 2, side, side, 3);
    gen_program *p = test_model_program(&t, t.model->train);
    assert_int_equal(test_model_count(&t, "g_ab."), generator);
    assert_int_equal(test_model_count(&t, "g_ba."), generator);
    assert_int_equal(test_model_count(&t, "d_a."), discriminator);
    assert_int_equal(test_model_count(&t, "d_b."), discriminator);
    gen_program_free(p);
    test_model_close(&t);
}

TEST(cyclegan_has_the_parameters_of_the_published_networks)
{
    check_counts("junyanz-256", 64, 11378179, 2764737);
    check_counts("gdl-cyclegan-monet", 64, 11378179, 2764737);
    check_counts("gdl-cyclegan-apple2orange", 64, 1545411, 694241);
}

TEST(cyclegan_learns_in_every_form)
{
    static const char *const options[] = {
        "ngf=4 ndf=4 blocks=1 lr=2e-3", "ngf=4 ndf=4 blocks=1 up=nearest pool=0 lr=2e-3",
        "ngf=4 ndf=4 net=unet init=keras pool-style=append pool=3 lr=2e-3",
        "ngf=4 ndf=4 blocks=1 order=discriminators-first crop=32 identity=0 lr=2e-3"
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        test_model t;
        test_model_open(&t, "cyclegan", NULL, options[i], 4, 48, 48, 3);
        test_model_learns(&t, 25);
        test_model_close(&t);
    }
}

/* ---- the pool ---- */

static float state_of(test_model *t, const char *name, int64_t i, int64_t count)
{
    gen_error err = { 0 };
    float *values = gen_arena_alloc(t->arena, (size_t)count * sizeof *values);
    TEST_OK(gen_params_read(t->params, gen_params_find(t->params, name), values, &err));
    return values[i];
}

/* After 3 steps of one picture a pool of 5 holds three of them, and the rest is as it was; after 40 it is full and counts on. */
static void check_filling(const char *style)
{
    enum { POOL = 5, SIDE = 32 };
    test_model t;
    char options[80];
    snprintf(options, sizeof options, "ngf=2 ndf=2 blocks=0 pool=%d pool-style=%s", POOL, style);
    test_model_open(&t, "cyclegan", NULL, options, 2, SIDE, SIDE, 1);
    gen_program *train = test_model_program(&t, t.model->train);
    const int64_t d = SIDE * SIDE;
    for (int steps = 0; steps < 40; steps++) {
        test_model_steps(&t, train, steps, steps + 1);
        assert_true(state_of(&t, "pool_a.count", 0, 1) == (float)(steps + 1));
        for (int64_t k = 0; k < POOL; k++) {
            bool used = fabsf(state_of(&t, "pool_b.pictures", k * d + 7, POOL * d)) > 0;
            assert_true(used == (k <= steps));
        }
    }
    gen_program_free(train);
    test_model_close(&t);
}

TEST(cyclegan_pool_fills_one_picture_a_step)
{
    check_filling("swap");
    check_filling("append");
}

/* ---- pairs ---- */

TEST(batches_of_a_pair_hold_one_set_after_the_other_and_every_picture_once_a_pass)
{
    enum { N_A = 7, N_B = 5, STEPS = 35 };
    float values[N_A + N_B];
    int32_t labels[N_A + N_B];
    for (int i = 0; i < N_A + N_B; i++) values[i] = (float)i, labels[i] = i >= N_A;
    gen_dataset data = { .name = "pair",
                         .n = N_A + N_B,
                         .height_px = 1,
                         .width_px = 1,
                         .channels = 1,
                         .values = values,
                         .labels = labels,
                         .n_classes = 2,
                         .splits = { { 0, N_A + N_B } } };
    gen_error err = { 0 };
    gen_batches *b;
    gen_range a = gen_data_label_range(&data, data.splits[0], 0), c = gen_data_label_range(&data, data.splits[0], 1);
    assert_int_equal(a.n, N_A);
    assert_int_equal(c.first, N_A);
    TEST_OK(gen_batches_new_pair(&data, a, c, 2, 3, &b, &err));
    assert_int_equal(gen_batches_per_epoch(b), N_A);
    int seen[N_A + N_B] = { 0 };
    for (int s = 0; s < STEPS; s++) {
        gen_batch batch;
        TEST_OK(gen_batches_make(b, s, &batch, &err));
        assert_true(batch.labels[0] == 0 && batch.labels[1] == 1);
        for (int k = 0; k < 2; k++) seen[(int)batch.x[k]]++;
    }
    for (int i = 0; i < N_A + N_B; i++) assert_int_equal(seen[i], i < N_A ? STEPS / N_A : STEPS / N_B);
    gen_batches_free(b);
    assert_int_equal(gen_batches_new_pair(&data, a, (gen_range){ 0, 0 }, 2, 3, &b, &err), GEN_BAD_OPTION);
}

/* ---- training ---- */

TEST(cyclegan_goes_on_bit_for_bit)
{
    test_run_goes_on_bit_for_bit("cyclegan", "ngf=2 ndf=2 blocks=1 pool=3 steps=12 batch=1 lr=2e-3");
    test_run_goes_on_bit_for_bit("cyclegan",
                                 "ngf=2 ndf=2 net=unet pool-style=append pool=3 steps=8 batch=2 lr=2e-3 crop=32");
}

TEST(cyclegan_says_what_size_it_needs)
{
    gen_error err = { 0 };
    test_model t;
    test_model_open(&t, "cyclegan", NULL, "crop=0", 2, 70, 70, 3);
    gen_model_context m = { .options = t.settings.options, .batch = 1, .height = 70, .width = 70, .channels = 3 };
    assert_int_equal(t.model->check(&m, &err), GEN_BAD_SHAPE);
    assert_non_null(strstr(err.text, "multiples of 4"));
    test_model_close(&t);
}
