/* io/roll.c, and models/music_theory.c, which also sees only pitches and times. */
#include "tests/test.h"
#include "tests/tunes.h"

#include "io/roll.h"
#include "models/music_theory.h"

#include <string.h>

TEST(roll_takes_each_note_from_its_nearest_step)
{
    gen_midi_note notes[] = { { 0, 480, 0, 60, 127, 0, 0 },
                              { 490, 200, 0, 62, 64, 0, 0 },
                              { 480, 1, 0, 108, 9, 0, 0 },
                              { 0, 480, 0, 40, 100, GEN_MIDI_DRUMS, 0 },
                              { 0, 4800, 0, 20, 9, 0, 0 } };
    gen_midi_tempo tempo;
    gen_midi_score score = test_score_of(notes, 5, 480, &tempo);
    gen_roll roll = { .steps_per_quarter = 4, .lowest = GEN_ROLL_PIANO_LOWEST, .n_pitches = 88 };
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    TEST_OK(gen_roll_make(&score, &roll, arena, &err));
    assert_int_equal(roll.n_steps, 6); /* what lies outside has no steps */
    assert_int_equal(roll.n_drums * 10 + roll.n_outside, 11);
    for (int64_t t = 0; t < 6; t++) {
        assert_true((roll.values[t * 88 + 60 - 21] == 1) == (t < 4));
        assert_true((roll.values[t * 88 + 62 - 21] == 64.0F / 127) == (t >= 4));
        assert_true((roll.values[t * 88 + 108 - 21] > 0) == (t == 4));
    }
    gen_arena_free(arena);
}

TEST(roll_gives_its_notes_back)
{
    gen_midi_note notes[] = { { 0, 240, 0, 50, 100, 0, 0 },
                              { 120, 120, 0, 70, 33, 0, 0 },
                              { 480, 600, 0, 50, 1, 0, 0 } },
                  *again;
    gen_midi_tempo tempo;
    gen_midi_score score = test_score_of(notes, 3, 480, &tempo);
    gen_roll roll = { .steps_per_quarter = 4, .n_pitches = 128 };
    gen_error err = { 0 };
    size_t n;
    gen_arena *arena = gen_arena_new();
    TEST_OK(gen_roll_make(&score, &roll, arena, &err));
    TEST_OK(gen_roll_notes(&roll, 480, arena, &again, &n, &err));
    assert_int_equal(n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(again[i].start_ticks, notes[i].start_ticks);
        assert_int_equal(again[i].duration_ticks, notes[i].duration_ticks);
        assert_int_equal(again[i].pitch * 1000 + again[i].velocity, notes[i].pitch * 1000 + notes[i].velocity);
    }
    for (int64_t i = 0; i < roll.n_steps * 128; i++) roll.values[i] = roll.values[i] > 0;
    TEST_OK(gen_roll_notes(&roll, 480, arena, &again, &n, &err));
    assert_int_equal(again[2].velocity, GEN_ROLL_VELOCITY);
    gen_arena_free(arena);
}

TEST(roll_refuses_what_is_too_long_or_no_roll)
{
    gen_midi_note note = { GEN_MIDI_MAX_TICKS - 1, 1, 0, 50, 100, 0, 0 }, *again;
    gen_midi_tempo tempo;
    gen_midi_score score = test_score_of(&note, 1, 480, &tempo);
    gen_roll roll = { .steps_per_quarter = 4, .n_pitches = 128 }, wide = { .steps_per_quarter = 4, .n_pitches = 129 };
    size_t n;
    gen_arena *arena = gen_arena_new();
    assert_int_equal(gen_roll_make(&score, &roll, arena, NULL), GEN_UNSUPPORTED);
    assert_int_equal(gen_roll_make(&score, &wide, arena, NULL), GEN_BAD_SHAPE);
    roll.n_steps = 0;
    assert_int_equal(gen_roll_notes(&roll, 3, arena, &again, &n, NULL), GEN_BAD_OPTION);
    assert_true(gen_arena_used(arena) < 1000);
    gen_arena_free(arena);
}

static gen_key key_of_scale(const int steps[7], int tonic)
{
    static const double weights[7] = { 4, 1, 2, 1.5, 3, 1, 1 }; /* tonic, third and fifth are heard most */
    double heard[12] = { 0 };
    for (int i = 0; i < 7; i++) heard[(steps[i] + tonic) % 12] = weights[i];
    return gen_find_key(heard);
}

TEST(music_theory_names_the_key_of_all_scales)
{
    static const int major[7] = { 0, 2, 4, 5, 7, 9, 11 }, minor[7] = { 0, 2, 3, 5, 7, 8, 10 };
    for (int tonic = 0; tonic < 12; tonic++) {
        gen_key a = key_of_scale(major, tonic), b = key_of_scale(minor, tonic);
        assert_int_equal(a.tonic * 2 + a.minor, tonic * 2);
        assert_int_equal(b.tonic * 2 + b.minor, tonic * 2 + 1);
        assert_true(a.correlation > 0.8 && b.correlation > 0.8);
    }
    gen_key none = gen_find_key((double[12]){ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 });
    assert_true(none.correlation == 0);
}
