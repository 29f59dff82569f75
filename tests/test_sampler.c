/* Each step of each sampler against tests/golden/samplers.safetensors: diffusers' schedulers and Karras et al. 2022, algorithm 2, on a toy denoiser
 * (tools/golden_samplers.py), with the same noise. A tensor's name says the options. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/safetensors.h"
#include "models/sampler.h"
#include "tests/test.h"

enum { N = 2, D = 9, SEED = 5, FIRST = 3, TIMES = 1000 };

static gen_status toy(void *context, const float *x, double sigma, double time, float *x0, gen_error *err)
{
    (void)context, (void)err;
    for (int i = 0; i < N * D; i++)
        x0[i] = (float)(0.8 * tanh((double)x[i] / sqrt(1 + sigma * sigma)) + 0.3 * cos(time / 100));
    return GEN_OK;
}

/* The value of name in "a=1 b=2", or `fallback`. */
static const char *value_of(gen_arena *arena, const char *text, const char *name, const char *fallback)
{
    char *start = gen_arena_printf(arena, "%s=", name);
    const char *at = strstr(text, start);
    if (!at) return fallback;
    at += strlen(start);
    return gen_arena_printf(arena, "%.*s", (int)strcspn(at, " "), at);
}

static gen_sampler_options options_of(gen_arena *arena, const char *text)
{
    return (gen_sampler_options){ .sampler = value_of(arena, text, "sampler", "ddim"),
                                  .spacing = value_of(arena, text, "spacing", "auto"),
                                  .clip = value_of(arena, text, "clip", "none"),
                                  .steps = strtoll(value_of(arena, text, "sample-steps", "10"), NULL, 10),
                                  .eta = strtod(value_of(arena, text, "eta", "0"), NULL),
                                  .churn = strtod(value_of(arena, text, "churn", "0"), NULL) };
}

static gen_noise noise_of(gen_arena *arena, const char *kind)
{
    if (!strcmp(kind, "log-normal")) return (gen_noise){ .low = 0.002, .high = 80 };
    double *sigma = gen_arena_alloc(arena, TIMES * sizeof *sigma);
    gen_noise_fill(kind, TIMES, sigma);
    return (gen_noise){ .times = TIMES, .sigma = sigma, .low = sigma[0], .high = sigma[TIMES - 1] };
}

/* States of the two sides to 1e-5 of their size. */
static void check_case(gen_arena *arena, const gen_tensor_entry *entry)
{
    gen_error err = { 0 };
    const gen_denoiser f = { NULL, toy };
    gen_sampler_options o = options_of(arena, entry->name);
    gen_noise noise = noise_of(arena, value_of(arena, entry->name, "noise", "linear"));
    gen_sampler *s = NULL;
    float *expected = gen_arena_alloc(arena, entry->n * sizeof *expected);
    gen_tensor_to_float(entry, expected);
    assert_int_equal(entry->n, o.steps * N * D);
    TEST_OK(gen_sampler_new(&o, &noise, N, D, &s, &err));
    gen_sampler_start(s, SEED, FIRST);
    for (int64_t i = 0; i < gen_sampler_steps(s); i++) {
        TEST_OK(gen_sampler_step(s, i, &f, &err));
        for (int k = 0; k < N * D; k++) {
            double got = gen_sampler_state(s)[k], want = (double)expected[i * N * D + k];
            if (!(fabs(got - want) <= 1e-5 * fmax(1, gen_sampler_sigma(s, i + 1))))
                fail_msg("%s: step %" PRId64 ", element %d is %.9g, expected %.9g", entry->name, i + 1, k, got, want);
        }
    }
    gen_sampler_free(s);
}

TEST(sampler_steps_are_those_of_diffusers_and_of_karras)
{
    gen_error err = { 0 };
    gen_bytes file;
    gen_safetensors st;
    gen_arena *arena = gen_arena_new();
    int cases = 0;
    TEST_OK(gen_file_read(test_source("tests/golden/samplers.safetensors"), GEN_FILE_ANY_SIZE, arena, &file, &err));
    TEST_OK(gen_safetensors_read(file.data, file.size, arena, &st, &err));
    for (size_t i = 0; i < st.n_tensors; i++) {
        if (strncmp(st.tensors[i].name, "sampler=", 8)) continue;
        check_case(arena, &st.tensors[i]);
        cases++;
    }
    assert_int_equal(cases, 19);
    gen_arena_free(arena);
}

TEST(sampler_noise_tables_are_those_of_the_papers)
{
    static const char *const kinds[] = { "linear", "cosine" };
    gen_error err = { 0 };
    gen_bytes file;
    gen_safetensors st;
    gen_arena *arena = gen_arena_new();
    float expected[TIMES];
    TEST_OK(gen_file_read(test_source("tests/golden/samplers.safetensors"), GEN_FILE_ANY_SIZE, arena, &file, &err));
    TEST_OK(gen_safetensors_read(file.data, file.size, arena, &st, &err));
    for (int k = 0; k < 2; k++) {
        gen_noise noise = noise_of(arena, kinds[k]);
        gen_tensor_to_float(gen_safetensors_find(&st, gen_arena_printf(arena, "sigma %s", kinds[k])), expected);
        for (int i = 0; i < TIMES; i++) assert_true(fabs(noise.sigma[i] / (double)expected[i] - 1) < 1e-6);
    }
    gen_arena_free(arena);
}

/* A denoiser that knows the picture finds it in one step and in many, by every method. */
static gen_status knows(void *context, const float *x, double sigma, double time, float *x0, gen_error *err)
{
    (void)x, (void)sigma, (void)time, (void)err;
    memcpy(x0, context, N * D * sizeof *x0);
    return GEN_OK;
}

TEST(sampler_of_a_denoiser_that_knows_ends_at_the_picture)
{
    static const char *const samplers[] = { "ddpm", "ddim", "euler", "heun", "dpmpp-2m" };
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_noise noise = noise_of(arena, "cosine");
    float picture[N * D];
    for (int i = 0; i < N * D; i++) picture[i] = (float)sin(i);
    const gen_denoiser f = { picture, knows };
    for (int m = 0; m < 5; m++)
        for (int64_t steps = 1; steps <= 9; steps += 4) {
            gen_sampler_options o = {
                .sampler = samplers[m], .spacing = "trailing", .clip = "range", .steps = steps, .eta = 0.3
            };
            gen_sampler *s = NULL;
            TEST_OK(gen_sampler_new(&o, &noise, N, D, &s, &err));
            gen_sampler_start(s, 1, 0);
            for (int64_t i = 0; i < steps; i++) TEST_OK(gen_sampler_step(s, i, &f, &err));
            for (int k = 0; k < N * D; k++) assert_true(fabs(gen_sampler_state(s)[k] - (double)picture[k]) < 1e-6);
            gen_sampler_free(s);
        }
    gen_arena_free(arena);
}

static gen_status refuses(void *context, const float *x, double sigma, double time, float *x0, gen_error *err)
{
    (void)context, (void)x, (void)sigma, (void)time, (void)x0;
    return gen_fail(err, GEN_IO, "the network is gone");
}

TEST(sampler_passes_a_failure_on)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_noise noise = noise_of(arena, "linear");
    const gen_denoiser f = { NULL, refuses };
    gen_sampler_options o = { .sampler = "heun", .spacing = "auto", .clip = "none", .steps = 3 };
    gen_sampler *s = NULL;
    TEST_OK(gen_sampler_new(&o, &noise, N, D, &s, &err));
    gen_sampler_start(s, 1, 0);
    assert_int_equal(gen_sampler_step(s, 0, &f, &err), GEN_IO);
    gen_sampler_free(s);
    gen_arena_free(arena);
}
