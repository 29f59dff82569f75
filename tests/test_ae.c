/* Autoencoders: parameter counts of the published ones, gradients, the scale of codes, and that a training goes on as if it had never stopped. */
#include <math.h>
#include <string.h>

#include "tests/model_run.h"

static int64_t count_of(const char *preset, const char *prefix)
{
    test_model t;
    test_model_open(&t, "ae", preset, "", 4, 28, 28, 1);
    gen_program_free(test_model_program(&t, t.model->eval));
    int64_t n = test_model_count(&t, prefix);
    test_model_close(&t);
    return n;
}

TEST(ae_gdl_digits_has_the_parameters_of_the_book)
{
    assert_int_equal(count_of("gdl-ae-digits", "enc."), 98946);
    assert_int_equal(count_of("gdl-ae-digits", "dec."), 102017);
}

TEST(ae_hinton_deep_is_784_1000_500_250_30_and_back)
{
    int64_t enc = 784 * 1000 + 1000 + 1000 * 500 + 500 + 500 * 250 + 250 + 250 * 30 + 30;
    int64_t dec = 30 * 250 + 250 + 250 * 500 + 500 + 500 * 1000 + 1000 + 1000 * 784 + 784;
    assert_int_equal(count_of("hinton-deep", "enc."), enc);
    assert_int_equal(count_of("hinton-deep", "dec."), dec);
}

TEST(ae_linear_is_two_dense_layers)
{
    assert_int_equal(count_of("linear", ""), 784 * 32 + 32 + 32 * 784 + 784);
}

TEST(ae_of_any_net_size_and_channels_has_finite_gradients_that_lower_the_loss)
{
    static const struct {
        const char *options;
        int64_t h, w, c;
    } cases[] = {
        { "net=conv latent=3 width=4 hidden=16", 13, 17, 3 },
        { "net=conv latent=3 width=4 hidden=0 batch-norm=1 loss=bce", 5, 5, 1 },
        { "net=mlp latent=3 hidden=9", 7, 4, 4 },
        { "net=hinton latent=3 loss=bce", 6, 6, 1 },
        { "net=hinton latent=3 loss=bce activation=sigmoid init=keras", 6, 6, 1 },
        { "net=mlp latent=3 hidden=30 activation=tanh dropout=0.2", 7, 4, 4 },
        { "net=mlp latent=3 hidden=9 activation=softplus", 7, 4, 4 },
        { "net=linear latent=2", 9, 3, 3 },
        { "net=gdl-digits latent=2 init=keras", 28, 28, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_model t;
        test_model_open(&t, "ae", NULL, cases[i].options, 8, cases[i].h, cases[i].w, cases[i].c);
        test_model_learns(&t, 12);
        test_model_close(&t);
    }
}

TEST(ae_codes_as_the_verbs_see_them_have_the_scale_of_a_standard_normal)
{
    enum { N = 64, D = 3 };
    gen_error err = { 0 };
    test_model t;
    float mu[N * D];
    test_model_open(&t, "ae", NULL, "net=mlp hidden=20 latent=3", N, 8, 8, 1);
    gen_program *train = test_model_program(&t, t.model->train), *encode = test_model_program(&t, t.model->encode);
    test_model_steps(&t, train, 0, 1000); /* the schedule ends there: codes no longer drift */
    TEST_OK(gen_program_feed(encode, "x", t.x, N * t.pixels, &err));
    TEST_OK(gen_program_run(encode, (gen_run_state){ .seed = 1 }, &err));
    TEST_OK(gen_program_fetch(encode, "mu", mu, N * D, &err));
    for (int d = 0; d < D; d++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < N; i++) sum += (double)mu[i * D + d], squares += pow((double)mu[i * D + d], 2);
        assert_true(fabs(sum / N) < 0.1);
        assert_true(fabs(sqrt(squares / N) - 1) < 0.1);
    }
    gen_program_free(train);
    gen_program_free(encode);
    test_model_close(&t);
}

TEST(ae_decode_of_encode_is_the_reconstruction_that_eval_measures)
{
    enum { N = 8 };
    gen_error err = { 0 };
    test_model t;
    float mu[N * 3], *y, mse[N];
    test_model_open(&t, "ae", NULL, "net=conv width=4 latent=3", N, 12, 12, 3);
    y = gen_arena_alloc(t.arena, (size_t)(N * t.pixels) * sizeof *y);
    gen_program *encode = test_model_program(&t, t.model->encode), *decode = test_model_program(&t, t.model->decode),
                *eval = test_model_program(&t, t.model->eval);
    TEST_OK(gen_program_map(encode, "x", t.x, "mu", mu, N, (gen_run_state){ .seed = 1 }, &err));
    TEST_OK(gen_program_map(decode, "z", mu, "x", y, N, (gen_run_state){ .seed = 1 }, &err));
    TEST_OK(gen_program_map(eval, "x", t.x, "mse", mse, N, (gen_run_state){ .seed = 1 }, &err));
    for (int i = 0; i < N; i++)
        assert_true(fabs(gen_mse_of(t.x + i * t.pixels, y + i * t.pixels, t.pixels) - (double)mse[i]) < 1e-6);
    gen_program_free(encode);
    gen_program_free(decode);
    gen_program_free(eval);
    test_model_close(&t);
}

TEST(ae_training_goes_on_bit_for_bit)
{
    test_run_goes_on_bit_for_bit("ae", "net=conv width=4 hidden=8 latent=3 loss=bce batch=8 steps=6");
    test_run_goes_on_bit_for_bit("ae", "net=mlp hidden=8 latent=2 batch=8 steps=6");
}
