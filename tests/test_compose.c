/* models/compose.c, sequence.c, kneser_ney.c, music_measure.c: what models of tokens make, and how it is judged. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "kernels/devices.h"
#include "models/compose.h"
#include "models/kneser_ney.h"
#include "models/music_measure.h"
#include "tests/model_run.h"

/* ---- counting ------------------------------------------------------------------------------------------------------------------ */

/* The pieces "a b" and "a c" over the words border, a, b, c; all by hand:
 * three: (.,.,a) 2, (.,a,b) 1, (a,b,.) 1, (.,a,c) 1, (a,c,.) 1: D3 = 4 / (4 + 2) = 2/3.   two: five pairs, each behind one word: D2 = 5/5 = 1.
 * one: the border stands behind b and c: 2; a, b, c: 1 each: D1 = 3 / (3 + 2) = 0.6; p(.) = 1.4/5 + 0.6 4/5 1/4 = 0.4, p(a) = p(b) = p(c) = 0.2
 * p(b|a) = 0 + 1 2/2 0.2;  p(b|.,a) = (1/3)/2 + 2/3 2/2 0.2 = 0.3;  p(a|.,.) = (4/3)/2 + 2/3 1/2 0.2 = 11/15;  p(.|a,b) = 1/3 + 2/3 0.4 = 0.6 */
TEST(kneser_ney_is_what_can_be_counted_by_hand)
{
    enum { BORDER, A, B, C, V };
    gen_error err = { 0 };
    gen_kneser_ney *k;
    TEST_OK(gen_kneser_ney_new(V, &k, &err));
    TEST_OK(gen_kneser_ney_add(k, (int64_t[]){ A, B }, 2, &err));
    TEST_OK(gen_kneser_ney_add(k, (int64_t[]){ A, C }, 2, &err));
    TEST_OK(gen_kneser_ney_fit(k, &err));
    test_near(gen_kneser_ney_probability(k, B, A, B), 0.2, 1e-12); /* (b,a) was never seen: p(b|a) */
    test_near(gen_kneser_ney_probability(k, BORDER, A, B), 0.3, 1e-12);
    test_near(gen_kneser_ney_probability(k, BORDER, BORDER, A), 11.0 / 15, 1e-12);
    test_near(gen_kneser_ney_probability(k, A, B, BORDER), 0.6, 1e-12);
    test_near(gen_kneser_ney_nats(k, (int64_t[]){ A, B }, 2), -log(11.0 / 15) - log(0.3) - log(0.6), 1e-12);
    for (int64_t u = 0; u < V; u++)
        for (int64_t v = 0; v < V; v++) {
            double sum = 0;
            for (int64_t w = 0; w < V; w++) sum += gen_kneser_ney_probability(k, u, v, w);
            test_near(sum, 1, 1e-12);
        }
    gen_kneser_ney_free(k);
}

TEST(kneser_ney_sums_to_one_on_random_text)
{
    enum { V = 12, N = 400 };
    gen_error err = { 0 };
    gen_kneser_ney *k;
    int64_t word[N];
    for (uint32_t i = 0; i < N; i++) word[i] = 1 + gen_philox_block(3, i, 0, 0, 1).word[0] % 5 + (i % 3 ? 0 : 5);
    TEST_OK(gen_kneser_ney_new(V, &k, &err));
    TEST_OK(gen_kneser_ney_add(k, word, N, &err));
    TEST_OK(gen_kneser_ney_fit(k, &err));
    for (int64_t u = 0; u < V; u++)
        for (int64_t v = 0; v < V; v++) {
            double sum = 0;
            for (int64_t w = 0; w < V; w++) sum += gen_kneser_ney_probability(k, u, v, w);
            test_near(sum, 1, 1e-9);
        }
    assert_int_equal(gen_kneser_ney_new((int64_t)GEN_KNESER_NEY_MAX_WORDS + 1, &k, &err), GEN_UNSUPPORTED);
    gen_kneser_ney_free(k);
}

/* ---- drawing ------------------------------------------------------------------------------------------------------------------- */

/* p = 1/2, 1/4, 1/8, 1/16, 1/16 */
TEST(draws_come_from_the_words_that_are_let)
{
    const float logits[5] = { logf(8), logf(4), logf(2), 0, 0 };
    double room[10];
    gen_composition how = { .temperature = 1, .top_p = 1 };
    assert_int_equal(gen_draw_word(logits, 5, &how, -1, -1, 0.49, room), 0);
    assert_int_equal(gen_draw_word(logits, 5, &how, -1, -1, 0.51, room), 1);
    assert_int_equal(gen_draw_word(logits, 5, &how, -1, -1, 0.999, room), 4);
    assert_int_equal(gen_draw_word(logits, 5, &how, 0, -1, 0.49, room), 1); /* 1/4 of 1/2 */
    assert_int_equal(gen_draw_word(logits, 5, &how, 0, 1, 0.49, room), 2);
    how.top_k = 2; /* 2/3 and 1/3 */
    assert_int_equal(gen_draw_word(logits, 5, &how, -1, -1, 0.66, room), 0);
    assert_int_equal(gen_draw_word(logits, 5, &how, -1, -1, 0.999, room), 1);
    how = (gen_composition){ .temperature = 1, .top_p = 0.8 }; /* three words have 7/8 */
    assert_int_equal(gen_draw_word(logits, 5, &how, -1, -1, 0.999, room), 2);
    how = (gen_composition){ .temperature = 0.5, .top_p = 1 }; /* squares: 64 of 86 */
    assert_int_equal(gen_draw_word(logits, 5, &how, -1, -1, 0.74, room), 0);
    how.temperature = 0;
    assert_int_equal(gen_draw_word(logits, 5, &how, -1, -1, 0.999, room), 0);
}

TEST(figures_without_end_are_seen)
{
    enum { N = 200 };
    int32_t token[N], next = 0;
    for (int i = 0; i < N; i++) token[i] = i % 10;
    assert_true(gen_repeats_too_often(token, 30, 1, &next, 3) == false); /* 31 tokens are too few */
    for (int i = 0; i < 40; i++) token[i] = i % 10;
    next = 0;
    assert_true(gen_repeats_too_often(token, 40, 1, &next, 3));
    assert_false(gen_repeats_too_often(token, 40, 1, &next, 5));
    next = 7; /* another way on */
    assert_false(gen_repeats_too_often(token, 40, 1, &next, 3));
    for (int i = 0; i < N; i++) token[i] = i * i % 97;
    assert_false(gen_repeats_too_often(token, N, 1, &next, 2));
    assert_false(gen_repeats_too_often(token, 0, 1, &next, 1));
    /* two fields */
    for (int i = 0; i < N; i++) token[i] = i / 2 % 4;
    int32_t pair[2] = { 0, 0 };
    assert_true(gen_repeats_too_often(token, N / 2, 2, pair, 4));
}

/* ---- measures ------------------------------------------------------------------------------------------------------------------- */

/* C major up and down in quarters and eighths, eight notes, k times; then one note that is not in the key */
static size_t scale(gen_midi_note *notes, int times)
{
    static const int steps[8] = { 0, 4, 7, 12, 7, 4, 5, 2 };
    size_t n = 0;
    for (int i = 0; i < 8 * times; i++, n++)
        notes[n] = (gen_midi_note){
            .start_ticks = 100 * i, .duration_ticks = 100, .pitch = (uint8_t)(60 + steps[i % 8]), .velocity = 80
        };
    notes[n] = (gen_midi_note){ .start_ticks = 800 * times, .duration_ticks = 50, .pitch = 61, .velocity = 80 };
    return n + 1;
}

TEST(music_is_measured_as_counted_by_hand)
{
    gen_midi_note notes[100];
    gen_error err = { 0 };
    gen_figures *known;
    size_t n = scale(notes, 5);
    TEST_OK(gen_figures_new(&known, &err));
    gen_measure m = gen_measure_notes(notes, n, known);
    assert_int_equal(m.n_notes, 41);
    assert_true(!m.key.minor && m.key.tonic == 0);
    test_near(m.in_key, 40.0 / 41, 1e-12);
    assert_int_equal(m.durations, 2);
    assert_int_equal(m.repeats, 5);
    assert_int_equal(m.copied, 0);
    /* known at another pitch and time: every figure of 24 but those with the last note, which is another */
    gen_midi_note other[100];
    memcpy(other, notes, sizeof other);
    for (size_t i = 0; i < n; i++) other[i].pitch += 5, other[i].start_ticks += 77;
    other[n - 1].duration_ticks = 60;
    TEST_OK(gen_figures_add(known, other, n, &err));
    gen_figures_sort(known);
    m = gen_measure_notes(notes, n, known);
    assert_int_equal(m.copied, 41 - 24);
    assert_int_equal(gen_measure_notes(notes, 7, known).repeats, 0);
    gen_figures_free(known);
}

/* ---- runs ------------------------------------------------------------------------------------------------------------------------- */

#define SMALL "layers=1 hidden=12 embed=6 window=24 batch=4 "

/* The state that goes on is part of the checkpoint. */
TEST(music_runs_go_on_bit_for_bit)
{
    test_run_goes_on_bit_for_bit("music", SMALL "steps=6 tokens=beats data=chorales");
    test_run_goes_on_bit_for_bit("music", SMALL "steps=6 tokens=melody cell=gru dropout=0.2 data=chorales");
}
