#include "core/option.h"
#include "tests/test.h"

#include <string.h>

typedef struct sample_options {
    int64_t latent, verbose;
    double beta;
    const char *data, *likelihood;
} sample_options;

static const gen_option rows[] = {
    { "latent", OPT_INT, offsetof(sample_options, latent), "20", 1, 4096, NULL, NULL, "size of the latent code", 0 },
    { "verbose", OPT_BOOL, offsetof(sample_options, verbose), "false", 0, 0, NULL, NULL, "say more", OPT_NOT_MATH },
    { "beta", OPT_FLOAT, offsetof(sample_options, beta), "1", 0, 1e4, NULL, "nats", "weight of the KL term", 0 },
    { "data", OPT_STRING, offsetof(sample_options, data), NULL, 0, 0, NULL, NULL, "name or path", 0 },
    { "likelihood", OPT_CHOICE, offsetof(sample_options, likelihood), "bernoulli", 0, 0, "bernoulli|gaussian", NULL,
      "of a pixel", 0 },
    GEN_OPTIONS_END,
};

static gen_status set(sample_options *o, const char *name, const char *text, gen_error *err)
{
    *err = (gen_error){ 0 };
    return gen_option_set(gen_option_find(rows, name), o, text, err);
}

TEST(option_defaults_come_from_the_table)
{
    sample_options o;
    gen_options_default(rows, &o);
    assert_int_equal(o.latent, 20);
    assert_int_equal(o.verbose, 0);
    assert_true(o.beta == 1.0);
    assert_string_equal(o.data, "");
    assert_string_equal(o.likelihood, "bernoulli");
    assert_null(gen_option_find(rows, "latents"));
}

TEST(option_accepts_what_is_in_range)
{
    static const char *const good[][2] = {
        { "latent", "1" },    { "latent", "4096" }, { "latent", "+7" },           { "beta", "0" },
        { "beta", "1e-3" },   { "beta", ".5" },     { "verbose", "1" },           { "verbose", "yes" },
        { "verbose", "off" }, { "data", "" },       { "likelihood", "gaussian" },
    };
    sample_options o;
    gen_error err;
    gen_options_default(rows, &o);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) TEST_OK(set(&o, good[i][0], good[i][1], &err));
}

TEST(option_refuses_what_is_not)
{
    static const char *const bad[][2] = {
        { "latent", "" },
        { "latent", "0" },
        { "latent", "4097" },
        { "latent", "1e3" },
        { "latent", "12x" },
        { "latent", " 12" },
        { "latent", "99999999999999999999" },
        { "beta", "" },
        { "beta", "nan" },
        { "beta", "inf" },
        { "beta", "1e999" },
        { "beta", "-1" },
        { "beta", "1,5" },
        { "verbose", "" },
        { "verbose", "2" },
        { "likelihood", "" },
        { "likelihood", "gauss" },
        { "likelihood", "bernoulli|gaussian" },
        { "likelihood", "|" },
    };
    sample_options o, before;
    gen_error err;
    gen_options_default(rows, &o);
    before = o;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (set(&o, bad[i][0], bad[i][1], &err) != GEN_BAD_OPTION) fail_msg("--%s accepts '%s'", bad[i][0], bad[i][1]);
        assert_non_null(strstr(err.text, bad[i][0]));
    }
    assert_memory_equal(&o, &before, sizeof o);
}

TEST(option_messages_name_range_unit_and_choices)
{
    sample_options o;
    gen_error err;
    set(&o, "latent", "0", &err);
    assert_string_equal(err.text, "--latent takes a whole number from 1 to 4096, not '0'");
    set(&o, "beta", "x", &err);
    assert_string_equal(err.text, "--beta takes a number from 0 to 10000 nats, not 'x'");
    set(&o, "likelihood", "x", &err);
    assert_string_equal(err.text, "--likelihood takes one of bernoulli|gaussian, not 'x'");
}

TEST(option_text_reads_back_exactly)
{
    static const char *const values[] = { "0.1", "1e-05", "3.3333333333333335", "10000", "0" };
    sample_options o;
    gen_error err;
    char buffer[64];
    gen_options_default(rows, &o);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        TEST_OK(set(&o, "beta", values[i], &err));
        assert_string_equal(gen_option_get(gen_option_find(rows, "beta"), &o, buffer, sizeof buffer), values[i]);
    }
    assert_string_equal(gen_option_get(gen_option_find(rows, "latent"), &o, buffer, sizeof buffer), "20");
    assert_string_equal(gen_option_get(gen_option_find(rows, "verbose"), &o, buffer, sizeof buffer), "false");
    assert_string_equal(gen_option_get(gen_option_find(rows, "likelihood"), &o, buffer, sizeof buffer), "bernoulli");
}

TEST(option_nearest_word_finds_what_was_meant_and_nothing_else)
{
    static const char *const words[] = { "latent", "beta", "lr", "epochs", "checkpoint-every", "sample-every" };
    static const char *const pairs[][2] = {
        { "latnet", "latent" },
        { "lattent", "latent" },
        { "betta", "beta" },
        { "epoch", "epochs" },
        { "chekpoint-evry", "checkpoint-every" },
        { "rl", "lr" },
        { "x", NULL },
        { "", NULL },
        { "resume", NULL },
        { "threads", NULL },
        { "sample-steps", NULL },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *found = gen_nearest_word(pairs[i][0], words, sizeof words / sizeof *words);
        if (!pairs[i][1] ? found != NULL : !found || strcmp(found, pairs[i][1]))
            fail_msg("'%s' gives '%s', not '%s'", pairs[i][0], found ? found : "nothing",
                     pairs[i][1] ? pairs[i][1] : "nothing");
    }
}
