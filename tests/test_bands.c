/* A net of stages in bands: the same picture as all at once, in less memory. */
#include <math.h>
#include <string.h>

#include "models/translate.h"
#include "tests/model_run.h"

typedef struct setting {
    test_model t;
    gen_run run;
    int64_t h, w, n;
    float *x, *whole, *bands;
} setting;

static void open_setting(setting *s, const char *options, int64_t h, int64_t w, int64_t c, int32_t direction)
{
    test_model_open(&s->t, "cyclegan", NULL, options, 2, 32, 32, c);
    gen_program_free(test_model_program(&s->t, s->t.model->train));
    s->run = (gen_run){ .arena = s->t.arena,
                        .folder = "",
                        .data_name = "",
                        .settings = s->t.settings,
                        .height = 32,
                        .width = 32,
                        .channels = c,
                        .direction = direction,
                        .device = s->t.device,
                        .params = s->t.params };
    s->h = h;
    s->w = w;
    s->n = h * w * c;
    s->x = gen_arena_alloc(s->t.arena, 3 * (size_t)s->n * sizeof(float));
    s->whole = s->x + s->n;
    s->bands = s->whole + s->n;
    for (int64_t i = 0; i < s->n; i++)
        s->x[i] = (float)(0.5 + 0.3 * sin(0.011 * (double)i) + 0.2 * cos((double)(i * i % 997)));
}

static double difference(const float *a, const float *b, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

static void check_bands(const char *options, int64_t h, int64_t w, int64_t c, int32_t side, int32_t direction)
{
    gen_error err = { 0 };
    setting s;
    gen_translate_plan plan;
    open_setting(&s, options, h, w, c, direction);
    TEST_OK(gen_translate_plan_make(&s.run, h, w, 0, 0, &plan, &err));
    assert_int_equal(plan.way, GEN_TRANSLATE_WHOLE);
    TEST_OK(gen_translate(&s.run, &plan, s.x, s.whole, &err));
    plan.way = GEN_TRANSLATE_BANDS;
    plan.side_px = side;
    memcpy(s.bands, s.x, (size_t)s.n * sizeof(float));
    TEST_OK(gen_translate(&s.run, &plan, s.bands, s.bands, &err)); /* in place */
    assert_true(difference(s.whole, s.x, s.n) > 0.1);
    if (!(difference(s.whole, s.bands, s.n) < 1e-5))
        fail_msg("%s: bands of %d are off by %g", options, side, difference(s.whole, s.bands, s.n));
    test_model_close(&s.t);
}

TEST(bands_give_the_picture_of_the_whole)
{
    check_bands("ngf=4 ndf=2 blocks=2 init=keras", 96, 64, 3, 48, 0);
    check_bands("ngf=4 ndf=2 blocks=2 init=keras", 121, 75, 3, 40, 1);
    check_bands("ngf=4 ndf=2 blocks=1 init=keras up=nearest", 100, 44, 1, 36, 0);
    check_bands("ngf=2 ndf=2 blocks=0 init=keras", 80, 32, 3, 32, 0);
}

TEST(bands_are_taken_when_memory_is_short_and_a_copy_when_it_is_shorter)
{
    gen_error err = { 0 };
    setting s;
    gen_translate_plan whole, plan;
    double sum = 0;
    open_setting(&s, "ngf=4 ndf=2 blocks=1 init=keras", 640, 512, 3, 0);
    for (int64_t i = 0; i < s.n; i++) /* smooth: a copy of half the size has nearly its statistics */
        s.x[i] = (float)(0.5 + 0.3 * sin(0.02 * (double)(i / 3 / s.w)) +
                         0.2 * cos(0.03 * (double)(i / 3 % s.w) + (double)(i % 3)));
    TEST_OK(gen_translate_plan_make(&s.run, s.h, s.w, 0, 1000, &whole, &err));
    TEST_OK(gen_translate_plan_make(&s.run, s.h, s.w, (size_t)whole.bytes, 1000, &plan, &err));
    assert_int_equal(plan.way, GEN_TRANSLATE_WHOLE);
    TEST_OK(gen_translate_plan_make(&s.run, s.h, s.w, (size_t)whole.bytes - 1, 1000, &plan, &err));
    assert_int_equal(plan.way, GEN_TRANSLATE_BANDS);
    assert_true(plan.bytes < whole.bytes);
    TEST_OK(gen_translate(&s.run, &whole, s.x, s.whole, &err));
    plan.way = GEN_TRANSLATE_REDUCED;
    plan.side_px = 96;
    plan.reduced_h = 320;
    plan.reduced_w = 256;
    TEST_OK(gen_translate(&s.run, &plan, s.x, s.bands, &err));
    for (int64_t i = 0; i < s.n; i++) sum += fabs((double)s.whole[i] - (double)s.bands[i]) / (double)s.n;
    if (!(sum > 1e-6 && sum < 0.03)) fail_msg("with a copy's statistics the picture is off by %g", sum);
    assert_int_equal(gen_translate_plan_make(&s.run, s.h, s.w, 1 << 20, 0, &plan, &err), GEN_NO_MEMORY);
    assert_non_null(strstr(err.text, "512x640 pixels need"));
    test_model_close(&s.t);
}

TEST(bands_are_not_for_nets_that_skip)
{
    gen_error err = { 0 };
    setting s;
    gen_translate_plan plan;
    open_setting(&s, "net=unet ngf=4 ndf=2", 64, 64, 3, 0);
    assert_int_equal(gen_translate_plan_make(&s.run, 64, 64, 1 << 20, 0, &plan, &err), GEN_NO_MEMORY);
    test_model_close(&s.t);
}
