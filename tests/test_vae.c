/* The importance weighted bound: what it is when it can be computed by hand, that it learns and goes on, and what it does not go with. Conditional VAEs:
 * labels reach encoder and decoder, and are asked for. */
#include <math.h>
#include <string.h>

#include "models/evaluate.h"
#include "tests/model_run.h"

enum { N = 64, SIDE = 8 };

static const double log_2 = 0.693147180559945309417;

/* Every weight 0: q(z|x) is the prior, each pixel is 0 or 1 with probability 1/2. enc.mu's bias is then what is asked for. */
static void blank(test_model *t, float mu)
{
    gen_error err = { 0 };
    for (int32_t i = 0; i < gen_params_count(t->params); i++) {
        gen_param_info p = gen_params_get(t->params, i);
        int64_t n = gen_shape_count(&p.shape);
        float *values = gen_arena_alloc(t->arena, (size_t)n * sizeof *values);
        for (int64_t k = 0; k < n; k++) values[k] = strcmp(p.name, "enc.mu.bias") ? 0 : mu;
        TEST_OK(gen_params_write(t->params, i, values, &err));
    }
}

/* Mean of an output of eval over the N pictures, weights blank */
static double blank_mean(const char *options, float mu, const char *output)
{
    gen_error err = { 0 };
    test_model t;
    float values[N];
    double sum = 0;
    test_model_open(&t, "vae", NULL, options, N, SIDE, SIDE, 1);
    gen_program *eval = test_model_program(&t, t.model->eval);
    blank(&t, mu);
    TEST_OK(gen_program_map(eval, "x", t.x, output, values, N, (gen_run_state){ .seed = 1 }, &err));
    for (int i = 0; i < N; i++) sum += (double)values[i] / N;
    gen_program_free(eval);
    test_model_close(&t);
    return sum;
}

/* All weights w_k = p(x|z) are equal: the bound is log p(x) = -64 log 2, whatever K is. */
TEST(vae_iwae_loss_is_exact_where_the_posterior_is_the_prior)
{
    const double expected = SIDE * SIDE * log_2;
    assert_true(fabs(blank_mean("net=mlp hidden=4 latent=2", 0, "loss") - expected) < 1e-4);
    assert_true(fabs(blank_mean("net=mlp hidden=4 latent=2 iwae-k=7", 0, "loss") - expected) < 1e-4);
    assert_true(fabs(blank_mean("net=mlp hidden=4 latent=2 iwae-k=7", 0, "elbo") + expected) < 1e-4);
}

/* q = N(1, I) in 2 dimensions: the ELBO is log p(x) - 1 (KL = 1/2 + 1/2), and the bound rises from there towards log p(x) with K. */
TEST(vae_iwae_bound_closes_the_gap_with_more_samples)
{
    const double log_p = -SIDE * SIDE * log_2;
    double elbo = blank_mean("net=mlp hidden=4 latent=2 iwae-k=5", 1, "elbo");
    double five = -blank_mean("net=mlp hidden=4 latent=2 iwae-k=5", 1, "loss");
    double many = -blank_mean("net=mlp hidden=4 latent=2 iwae-k=500", 1, "loss");
    assert_true(fabs(elbo - (log_p - 1)) < 1e-4);
    assert_true(five > elbo + 0.4 && five < log_p + 0.1);
    assert_true(many > five && fabs(many - log_p) < 0.03);
}

TEST(vae_iwae_learns)
{
    static const char *const options[] = { "net=mlp hidden=12 latent=3 iwae-k=5", "net=conv width=4 latent=2 iwae-k=2",
                                           "net=mlp hidden=12 latent=3 iwae-k=3 likelihood=gaussian-learned" };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        test_model t;
        test_model_open(&t, "vae", NULL, options[i], 16, SIDE, SIDE, 1);
        test_model_learns(&t, 30);
        test_model_close(&t);
    }
}

TEST(vae_iwae_presets_differ_from_vae_nll_in_the_number_of_samples_alone)
{
    const gen_model *vae = gen_model_find("vae");
    const char *plain = gen_preset_find(vae, "vae-nll")->options;
    static const char *const names[] = { "iwae-5", "iwae-50" }, *const words[] = { " iwae-k=5 ", " iwae-k=50 " };
    for (int i = 0; i < 2; i++) {
        const char *all = gen_preset_find(vae, names[i])->options, *at = strstr(all, words[i]);
        assert_non_null(at);
        size_t before = (size_t)(at - all);
        assert_int_equal(strncmp(all, plain, before), 0);
        assert_string_equal(at + strlen(words[i]), plain + before + 1);
    }
}

TEST(vae_iwae_refuses_losses_that_are_no_bound)
{
    static const char *const options[] = { "iwae-k=5 r-loss-factor=1000", "iwae-k=5 free-bits=1" };
    for (int i = 0; i < 2; i++) {
        gen_error err = { 0 };
        test_model t;
        test_model_open(&t, "vae", NULL, options[i], 2, SIDE, SIDE, 1);
        gen_model_context m = { .options = t.settings.options, .height = SIDE, .width = SIDE, .channels = 1 };
        assert_int_equal(t.model->check(&m, &err), GEN_BAD_OPTION);
        assert_non_null(strstr(err.text, i ? "--free-bits" : "--r-loss-factor"));
        test_model_close(&t);
    }
}

/* ---- labels ---------------------------------------------------------------------------------------------------------------- */

/* Beside the plain VAE: one weight a class and unit of the first layer of encoder and decoder. */
TEST(vae_conditional_has_a_weight_for_each_class_and_unit)
{
    test_model t;
    test_model_open(&t, "vae", NULL, "net=mlp hidden=10 latent=3 conditional=1", 4, SIDE, SIDE, 1);
    gen_program_free(test_model_program(&t, t.model->eval));
    int64_t enc = 64 * 10 + 10 + 2 * (10 * 3 + 3), dec = 3 * 10 + 10 + 10 * 64 + 64;
    assert_int_equal(test_model_count(&t, "enc."), enc + 4 * 10);
    assert_int_equal(test_model_count(&t, "dec."), dec + 4 * 10);
    test_model_close(&t);
}

TEST(vae_conditional_learns_in_every_net)
{
    static const char *const options[] = { "net=mlp hidden=12 latent=3 conditional=1",
                                           "net=hinton latent=2 conditional=1",
                                           "net=conv width=4 latent=2 hidden=8 conditional=1 batch-norm=1",
                                           "net=conv width=4 latent=2 hidden=0 conditional=1",
                                           "net=mlp hidden=12 latent=3 conditional=1 iwae-k=3" };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        test_model t;
        test_model_open(&t, "vae", NULL, options[i], 16, SIDE, SIDE, 1);
        test_model_learns(&t, 30);
        test_model_close(&t);
    }
}

/* Code 0 with each label: after some training the blob is where the label says. */
TEST(vae_conditional_decoder_draws_what_the_label_says)
{
    gen_error err = { 0 };
    test_model t;
    float z[4] = { 0 }, y[4 * SIDE * SIDE];
    const float labels[4] = { 3, 2, 1, 0 };
    test_model_open(&t, "vae", NULL, "net=mlp hidden=24 latent=1 conditional=1 lr=0.01", N, SIDE, SIDE, 1);
    gen_program *train = test_model_program(&t, t.model->train);
    test_model_steps(&t, train, 0, 300);
    gen_program_free(train);
    gen_run run = { .arena = t.arena,
                    .folder = "",
                    .data_name = "",
                    .settings = t.settings,
                    .height = SIDE,
                    .width = SIDE,
                    .channels = 1,
                    .classes = t.classes,
                    .device = t.device,
                    .params = t.params };
    assert_true(gen_is_conditional(&run));
    TEST_OK(gen_decode(&run, z, labels, 4, y, &err));
    for (int i = 0; i < 4; i++) {
        double quarter[4] = { 0 };
        for (int p = 0; p < SIDE * SIDE; p++)
            quarter[p / SIDE / (SIDE / 2) * 2 + p % SIDE / (SIDE / 2)] += (double)y[i * SIDE * SIDE + p];
        for (int q = 0; q < 4; q++) assert_true(quarter[q] <= quarter[(int)labels[i]]);
    }
    assert_int_equal(gen_decode(&run, z, NULL, 4, y, &err), GEN_BAD_OPTION);
    assert_non_null(strstr(err.text, "labels"));
    err = (gen_error){ 0 };
    assert_int_equal(gen_encode(&run, t.x, (float[]){ 0, 1, 4, 2 }, 4, z, NULL, &err), GEN_BAD_OPTION);
    assert_string_equal(err.text, "label 4: this run knows labels 0 to 3");
    test_model_close(&t);
}

/* Weights blank, q = N(1, I): every KL is 1/2 and no mu differs from picture to picture. */
TEST(vae_code_usage_is_counted_for_each_dimension)
{
    gen_error err = { 0 };
    test_model t;
    double variance[2], kl[2];
    test_model_open(&t, "vae", NULL, "net=mlp hidden=8 latent=2", N, SIDE, SIDE, 1);
    gen_program_free(test_model_program(&t, t.model->eval));
    blank(&t, 1);
    gen_run run = { .arena = t.arena,
                    .folder = "",
                    .data_name = "",
                    .settings = t.settings,
                    .height = SIDE,
                    .width = SIDE,
                    .channels = 1,
                    .classes = t.classes,
                    .device = t.device,
                    .params = t.params };
    gen_dataset data = { .n = N, .height_px = SIDE, .width_px = SIDE, .channels = 1, .values = t.x };
    assert_true(gen_has_posterior(&run) && !gen_is_classifier(&run));
    TEST_OK(gen_code_usage(&run, &data, (gen_range){ 0, N }, variance, kl, &err));
    for (int d = 0; d < 2; d++) assert_true(fabs(kl[d] - 0.5) < 1e-6 && fabs(variance[d]) < 1e-9);
    test_model_close(&t);
}

/* Rows are fed in batches with their own labels: the same as one by one. */
TEST(vae_conditional_codes_do_not_depend_on_the_batch)
{
    gen_error err = { 0 };
    test_model t;
    float one[2], labels[200], mu[200 * 2], *x;
    test_model_open(&t, "vae", NULL, "net=mlp hidden=8 latent=2 conditional=1", 200, SIDE, SIDE, 1);
    gen_run run = { .arena = t.arena,
                    .folder = "",
                    .data_name = "",
                    .settings = t.settings,
                    .height = SIDE,
                    .width = SIDE,
                    .channels = 1,
                    .classes = t.classes,
                    .device = t.device,
                    .params = t.params };
    x = t.x;
    for (int i = 0; i < 200; i++) labels[i] = (float)(i * 7 % 4);
    TEST_OK(gen_encode(&run, x, labels, 200, mu, NULL, &err));
    for (int i = 0; i < 200; i += 33) {
        TEST_OK(gen_encode(&run, x + i * t.pixels, labels + i, 1, one, NULL, &err));
        for (int d = 0; d < 2; d++) assert_true(fabs((double)one[d] - (double)mu[2 * i + d]) < 1e-6);
    }
    test_model_close(&t);
}

TEST(vae_conditional_refuses_data_without_labels_and_nets_without_a_hidden_layer)
{
    gen_error err = { 0 };
    test_model t;
    test_model_open(&t, "vae", NULL, "conditional=1", 2, SIDE, SIDE, 1);
    gen_model_context m = { .options = t.settings.options, .height = SIDE, .width = SIDE, .channels = 1 };
    assert_int_equal(t.model->check(&m, &err), GEN_BAD_OPTION);
    assert_non_null(strstr(err.text, "--conditional needs labels"));
    TEST_OK(gen_settings_set(&t.settings, "net", "linear", NULL));
    m.classes = 4;
    err = (gen_error){ 0 };
    assert_int_equal(t.model->check(&m, &err), GEN_BAD_OPTION);
    assert_non_null(strstr(err.text, "--net linear"));
    test_model_close(&t);
}

TEST(vae_training_goes_on_bit_for_bit)
{
    test_run_goes_on_bit_for_bit("vae", "net=mlp hidden=8 latent=2 iwae-k=4 kl-warmup=5 batch=8 steps=6");
    test_run_goes_on_bit_for_bit("vae", "net=mlp hidden=8 latent=2 conditional=1 batch=8 steps=6");
}
