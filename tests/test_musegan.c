/* models/musegan.c, models/bars.c: bars of four voices. */
#include "tests/model_run.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "io/file.h"
#include "models/bars.h"

enum { STEPS = GEN_BAR_STEPS, PITCHES = GEN_BAR_PITCHES, VOICES = GEN_BAR_TRACKS };

/* ---- data ---------------------------------------------------------------------------------------------------------------- */

static gen_dataset open_bars(const char *path, int64_t bars, bool all, gen_arena *arena)
{
    gen_error err = { 0 };
    gen_dataset data;
    TEST_OK(gen_data_open_bars(path, bars, all, false, arena, &data, &err));
    assert_int_equal(data.height_px, STEPS * bars);
    assert_int_equal(data.width_px * 10 + data.channels, PITCHES * 10 + VOICES);
    return data;
}

/* One cell at most for each voice and step; the first quarter has all voices. */
TEST(bars_of_the_chorales_are_voices)
{
    gen_arena *arena = gen_arena_new();
    gen_dataset data = open_bars(test_source("samples/data/chorales"), 2, false, arena);
    assert_string_equal(data.name, "chorales");
    assert_true(data.n > 350 && data.n <= 359);
    assert_true(data.splits[GEN_SPLIT_TEST].n > 40 && data.splits[GEN_SPLIT_VALIDATION].n > 30);
    for (int64_t i = 0; i < data.n; i++)
        for (int64_t t = 0; t < 2 * STEPS; t++)
            for (int v = 0; v < VOICES; v++) {
                int on = 0;
                for (int p = 0; p < PITCHES; p++)
                    on += data.px8[((i * 2 * STEPS + t) * PITCHES + p) * VOICES + v] == 255;
                assert_true(on == 1 || (on == 0 && t >= GEN_BAR_BEAT));
            }
    assert_true(open_bars(test_source("samples/data/chorales"), 4, true, arena).n > data.n);
    gen_arena_free(arena);
}

/* Silence at the start goes in quarters; what is left is cut into excerpts, the rest of a piece is not used. */
TEST(bars_are_read_from_json)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    char *path = gen_path_join(arena, test_folder(), "Two.json");
    enum { N = 4 + 5 * STEPS };
    char *text = gen_arena_alloc(arena, N * 40 + 100), *at = text;
    at += snprintf(at, 20, "{\"train\":[[");
    for (int t = 0; t < N; t++)
        at += snprintf(at, 40, "%s[%d,60,%d,40]", t ? "," : "", t < 3 ? -1 : 70, t == 9 ? -1 : 50 + t % 2);
    snprintf(at, 60, "]],\"test\":[[[1,2,3,4]]]}");
    TEST_OK(gen_file_write(path, text, strlen(text), &err));
    gen_dataset data = open_bars(path, 2, true, arena);
    assert_string_equal(data.name, "Two");
    assert_int_equal(data.n, 2);
    assert_int_equal(data.splits[GEN_SPLIT_TRAIN].n, 2); /* the test piece is too short */
    const uint8_t *px = data.px8;
    assert_int_equal(px[70 * VOICES + 0], 255);
    assert_int_equal(px[50 * VOICES + 2], 255); /* step 4, which is even */
    assert_int_equal(px[(PITCHES + 51) * VOICES + 2], 255);
    assert_int_equal(px[(5 * PITCHES + 51) * VOICES + 2], 0); /* step 9: silent */
    assert_int_equal(open_bars(path, 2, false, arena).n, 1);
    TEST_OK(gen_file_write(path, "{\"train\":[[[1,2,3]]]}", 21, &err));
    assert_int_equal(gen_data_open_bars(path, 2, false, false, arena, &data, &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "list of 4 pitches"));
    gen_arena_free(arena);
}

/* ---- pitches, notes, measures ------------------------------------------------------------------------------------------------- */

TEST(bars_notes_end_at_each_beat)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    int16_t pitch[STEPS * VOICES];
    gen_midi_note *notes;
    size_t n, of_bass = 0;
    for (int t = 0; t < STEPS; t++)
        for (int v = 0; v < VOICES; v++) pitch[t * VOICES + v] = (int16_t)(v == 3 ? 40 : v == 2 ? -1 : 60 + t / 2);
    TEST_OK(gen_bars_notes(pitch, 1, STEPS, 480, arena, &notes, &n, &err));
    assert_int_equal(n, 4 + 2 * 8);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(notes[i].duration_ticks, notes[i].track == 3 ? 480 : 240);
        of_bass += notes[i].track == 3 && notes[i].start_ticks == (int64_t)of_bass * 480;
    }
    assert_int_equal(of_bass, 4);
    gen_arena_free(arena);
}

TEST(bars_pitches_are_the_strongest)
{
    static float x[2 * PITCHES * VOICES];
    int16_t pitch[2 * VOICES];
    x[30 * VOICES + 1] = 0.6F;
    x[31 * VOICES + 1] = 0.7F;
    x[(PITCHES + 83) * VOICES + 3] = 0.2F;
    gen_bars_pitches(x, 1, 2, false, pitch);
    assert_int_equal(pitch[1], 31);
    assert_int_equal(pitch[VOICES + 3], -1);
    gen_bars_pitches(x, 1, 2, true, pitch);
    assert_int_equal(pitch[VOICES + 3], 83);
    assert_int_equal(pitch[0], 0);
}

/* By hand. Voice 0: C for half a bar, then G, each 8 steps. 1: as 0, an octave lower. 2: silent. 3: eight notes of one step, with rests. */
TEST(bars_scores_are_what_can_be_counted_by_hand)
{
    int16_t pitch[STEPS * VOICES];
    for (int t = 0; t < STEPS; t++) {
        pitch[t * VOICES] = t < 8 ? 72 : 79;
        pitch[t * VOICES + 1] = t < 8 ? 60 : 67;
        pitch[t * VOICES + 2] = -1;
        pitch[t * VOICES + 3] = t % 2 ? -1 : 48;
    }
    gen_bar_scores s = gen_bars_score(pitch, 1, 1);
    test_near(s.empty_bars, 0.25, 1e-9);
    test_near(s.pitch_classes, (2 + 2 + 1) / 3.0, 1e-9);
    test_near(s.qualified_notes, 4 / 12.0, 1e-9);
    /* C against the middle of C and G, twice: half the distance of C and G, 7 semitones apart: on the three circles these are 49/6, 21/2 and 14/3 half
     * turns, whose chords are 2 sin(angle / 2); voices 0 and 1 agree */
    const double pi = 3.14159265358979323846;
    double fifths = 2 * sin(7 * 7 / 6.0 * pi / 2), minor = 2 * sin(7 * 3 / 2.0 * pi / 2),
           major = sin(7 * 2 / 3.0 * pi / 2);
    test_near(s.tonal_distance, 2 * 0.5 * sqrt(fifths * fifths + minor * minor + major * major) / 3, 1e-9);
}

/* ---- the model ------------------------------------------------------------------------------------------------------------------ */

/* With running statistics, as Keras counts: the book's notebook has 103,584 for a temporal network; the others are by hand. */
static int64_t stored(const test_model *t, const char *prefix)
{
    int64_t n = 0;
    for (int32_t i = 0; i < gen_params_count(t->params); i++) {
        gen_param_info p = gen_params_get(t->params, i);
        if (!strncmp(p.name, prefix, strlen(prefix)) && !strstr(p.name, "num_batches")) n += gen_shape_count(&p.shape);
    }
    return n;
}

TEST(musegan_has_the_published_parameters)
{
    test_model t;
    test_model_open(&t, "musegan", "gdl-musegan", "batch=2 n-critic=1", 2, 2 * STEPS, PITCHES, VOICES);
    gen_program_free(test_model_program(&t, t.model->decode));
    assert_int_equal(stored(&t, "g.chords"), 103584);
    assert_int_equal(stored(&t, "g.melody2"), 103584);
    assert_int_equal(stored(&t, "g.bar3"), 1521921);
    assert_int_equal(stored(&t, "g."), 6605604);
    gen_program_free(test_model_program(&t, t.model->train));
    assert_int_equal(stored(&t, "d."), 1446401);
    test_model_close(&t);
}

/* Any number of bars: pieces come out of noise, as cells in [0,1] and as pictures. */
TEST(musegan_makes_pieces_of_two_bars_and_more)
{
    for (int64_t bars = 2; bars <= 5; bars++) {
        gen_error err = { 0 };
        test_model t;
        char words[80];
        snprintf(words, sizeof words, "width=16 latent=3 n-critic=2 bars=%d", (int)bars);
        test_model_open(&t, "musegan", NULL, words, 4, bars * STEPS, PITCHES, VOICES);
        gen_program *p = test_model_program(&t, t.model->decode);
        gen_shape x = gen_program_shape(p, "x"), view = gen_program_shape(p, "view");
        assert_int_equal(x.dim[1], bars * STEPS);
        assert_int_equal(view.dim[2] * 10 + view.dim[3], 2 * bars * STEPS * 10 + 3);
        int64_t n = gen_shape_count(&x);
        float *z = gen_arena_alloc(t.arena, (size_t)(x.dim[0] * 30) * sizeof *z),
              *values = gen_arena_alloc(t.arena, (size_t)n * sizeof *values);
        for (int64_t i = 0; i < x.dim[0] * 30; i++) z[i] = (float)(i % 7) - 3;
        TEST_OK(gen_program_feed(p, "z", z, x.dim[0] * 30, &err));
        TEST_OK(gen_program_run(p, (gen_run_state){ .seed = 1 }, &err));
        TEST_OK(gen_program_fetch(p, "x", values, n, &err));
        for (int64_t i = 0; i < n; i++) assert_true(values[i] >= 0 && values[i] <= 1);
        gen_program_free(p);
        test_model_close(&t);
    }
}

TEST(musegan_goes_on_bit_for_bit)
{
    test_run_goes_on_bit_for_bit("musegan",
                                 "width=16 latent=3 n-critic=2 batch=4 steps=4 checkpoint-every=2 sample-every=2");
}

/* Fewer pieces than the critic takes in a step, but not than a batch. */
TEST(musegan_learns_from_few_pieces)
{
    test_run_goes_on_bit_for_bit("musegan", "width=8 latent=2 n-critic=5 batch=64 steps=2 checkpoint-every=1 "
                                            "sample-every=2 schedule=cosine ema=0.9");
}
