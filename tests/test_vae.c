/* The importance weighted bound: what it is when it can be computed by hand, that it learns and goes on, and what it does not go with. */
#include <math.h>
#include <string.h>

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

TEST(vae_training_goes_on_bit_for_bit)
{
    test_run_goes_on_bit_for_bit("vae", "net=mlp hidden=8 latent=2 iwae-k=4 kl-warmup=5 batch=8 steps=6");
}
