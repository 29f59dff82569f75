/* models/tokens*.c, words.c, data_tokens.c, io/vocabulary.c: streams of tokens. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "models/data_tokens.h"
#include "models/evaluate.h"
#include "models/model.h"
#include "models/sequence.h"
#include "tests/test.h"
#include "tests/tunes.h"

enum { N_NOTES = 40, TPQ = 480 };

/* Two voices of notes of 1 to 8 units, that never overlap at one pitch; velocities are middles of their 32 classes. */
static size_t random_notes(uint32_t seed, int64_t unit, gen_midi_note notes[N_NOTES])
{
    int64_t at[2] = { 0 };
    size_t n = 0;
    for (uint32_t i = 0; n < N_NOTES; i++) {
        int voice = at[1] < at[0];
        int64_t length = unit * (1 + test_dice(seed, 4 * i, 8));
        notes[n++] = (gen_midi_note){ .start_ticks = at[voice],
                                      .duration_ticks = length,
                                      .pitch = (uint8_t)((voice ? 72 : 48) + test_dice(seed, 4 * i + 1, 12)),
                                      .velocity = (uint8_t)(4 * (1 + test_dice(seed, 4 * i + 2, 31)) + 2) };
        at[voice] += length + (test_dice(seed, 4 * i + 3, 4) ? 0 : unit);
    }
    return n;
}

static int by_start(const void *a, const void *b)
{
    const gen_midi_note *x = a, *y = b;
    return x->start_ticks != y->start_ticks ? (x->start_ticks < y->start_ticks ? -1 : 1) : x->pitch - y->pitch;
}

/* What a kind can say comes back as it was: notes on its grid. */
static void check_notes_come_back(const char *kind, int64_t unit)
{
    for (uint32_t seed = 0; seed < 50; seed++) {
        gen_error err = { 0 };
        gen_arena *arena = gen_arena_new();
        gen_midi_note notes[N_NOTES], *back;
        gen_midi_tempo tempo;
        gen_tokeniser t;
        gen_stream stream;
        size_t n = random_notes(seed, unit, notes), n_back;
        gen_midi_score score = test_score_of(notes, n, TPQ, &tempo);
        TEST_OK(gen_tokeniser_start(&t, kind, NULL, arena, &err));
        TEST_OK(gen_tokens_of_score(&t, &score, 0, 1, &stream, &err));
        gen_vocabulary v = gen_tokeniser_vocabulary(&t);
        TEST_OK(gen_tokens_notes(&v, stream.token, stream.n, 120, arena, &back, &n_back, &err));
        qsort(notes, n, sizeof *notes, by_start);
        assert_int_equal(n_back, n);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(back[i].start_ticks * TPQ, notes[i].start_ticks * GEN_TOKENS_TICKS);
            assert_int_equal(back[i].duration_ticks * TPQ, notes[i].duration_ticks * GEN_TOKENS_TICKS);
            assert_int_equal(back[i].pitch, notes[i].pitch);
            assert_int_equal(back[i].velocity, notes[i].velocity);
        }
        gen_arena_free(arena);
    }
}

TEST(tokens_of_events_give_every_note_back)
{
    check_notes_come_back("beats", TPQ / GEN_BEATS_STEPS);
    check_notes_come_back("performance", 48); /* 50 ms at 120 quarters a minute, which is 5 steps */
}

/* Chords and melodies are not all that MIDI can say; what they say comes back as the same tokens. */
static void check_tokens_come_back(const char *kind)
{
    for (uint32_t seed = 0; seed < 50; seed++) {
        gen_error err = { 0 };
        gen_arena *arena = gen_arena_new();
        gen_midi_note notes[N_NOTES], *made;
        gen_midi_tempo tempo;
        gen_tokeniser t, again;
        gen_stream first, second;
        size_t n = random_notes(seed, TPQ / 4, notes), n_made;
        gen_midi_score score = test_score_of(notes, n, TPQ, &tempo);
        TEST_OK(gen_tokeniser_start(&t, kind, NULL, arena, &err));
        TEST_OK(gen_tokens_of_score(&t, &score, 0, 1, &first, &err));
        gen_vocabulary v = gen_tokeniser_vocabulary(&t);
        TEST_OK(gen_tokens_notes(&v, first.token, first.n, 120, arena, &made, &n_made, &err));
        for (size_t i = 0; i < n_made; i++) {
            made[i].start_ticks = made[i].start_ticks * TPQ / GEN_TOKENS_TICKS;
            made[i].duration_ticks = made[i].duration_ticks * TPQ / GEN_TOKENS_TICKS;
        }
        score = test_score_of(made, n_made, TPQ, &tempo);
        TEST_OK(gen_tokeniser_start(&again, kind, &v, arena, &err));
        TEST_OK(gen_tokens_of_score(&again, &score, 0, 1, &second, &err));
        assert_int_equal(again.n_unknown, 0);
        /* a rest at the end is said by no note */
        assert_true(second.n <= first.n && second.n + 1 >= first.n);
        assert_memory_equal(first.token, second.token, (size_t)(second.n * v.n_fields) * sizeof(int32_t));
        gen_arena_free(arena);
    }
}

TEST(tokens_of_pairs_and_melodies_come_back_from_their_notes)
{
    check_tokens_come_back("pairs");
    check_tokens_come_back("melody");
}

/* By hand: C4 for a quarter, over its second half E4; an eighth of silence; E flat and G for a triplet eighth. */
TEST(tokens_of_pairs_are_chords_and_quarters)
{
    static const char *const words[][2] = {
        { "C4", "1/2" }, { "C4.E4", "1/2" }, { "rest", "1/2" }, { "E-4.G4", "1/3" }
    };
    gen_midi_note notes[] = {
        { .start_ticks = 0, .duration_ticks = 480, .pitch = 60, .velocity = 80 },
        { .start_ticks = 240, .duration_ticks = 240, .pitch = 64, .velocity = 80 },
        { .start_ticks = 480, .duration_ticks = 480, .pitch = 40, .velocity = 80, .channel = GEN_MIDI_DRUMS },
        { .start_ticks = 640, .duration_ticks = 160, .pitch = 63, .velocity = 80 },
        { .start_ticks = 640, .duration_ticks = 160, .pitch = 67, .velocity = 80 }
    };
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_midi_tempo tempo;
    gen_tokeniser t;
    gen_stream s;
    gen_midi_score score = test_score_of(notes, 5, TPQ, &tempo);
    notes[3].start_ticks = notes[4].start_ticks = 720;
    TEST_OK(gen_tokeniser_start(&t, "pairs", NULL, arena, &err));
    TEST_OK(gen_tokens_of_score(&t, &score, 0, 1, &s, &err));
    gen_vocabulary v = gen_tokeniser_vocabulary(&t);
    assert_int_equal(s.n, 4);
    for (int i = 0; i < 4; i++)
        for (int f = 0; f < 2; f++)
            if (i < 3 || !f) assert_string_equal(v.word[f][s.token[2 * i + f]], words[i][f]);
    /* higher by three semitones it is another chord; known words only: the nearest */
    gen_tokeniser known;
    gen_stream moved;
    TEST_OK(gen_tokeniser_start(&known, "pairs", &v, arena, &err));
    TEST_OK(gen_tokens_of_score(&known, &score, 3, 1, &moved, &err));
    assert_int_equal(moved.n, 4);
    assert_true(known.n_unknown > 0);
    assert_int_equal(gen_tokens_of_score(&known, &score, 70, 1, &moved, &err), GEN_BAD_SHAPE);
    gen_arena_free(arena);
}

/* Two notes of one pitch: the first is cut where the second begins. Pedal: the note lasts until it comes up. */
TEST(tokens_of_events_cut_overlaps_and_hear_the_pedal)
{
    gen_midi_note notes[] = { { .start_ticks = 0, .duration_ticks = 960, .pitch = 60, .velocity = 82 },
                              { .start_ticks = 480, .duration_ticks = 240, .pitch = 60, .velocity = 82 } };
    const gen_midi_event down = { .status = GEN_MIDI_CONTROL, .data = { 64, 127 } },
                         up = { .status = GEN_MIDI_CONTROL, .data = { 64, 0 } };
    gen_midi_moment moments[] = { { 600, 0, &down }, { 1440, 0, &up } };
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_midi_tempo tempo;
    gen_tokeniser t;
    gen_stream s;
    gen_midi_note *back;
    size_t n;
    gen_midi_score score = test_score_of(notes, 2, TPQ, &tempo);
    score.moments = moments;
    score.n_moments = 2;
    score.end_ticks = 1440;
    TEST_OK(gen_tokeniser_start(&t, "performance", NULL, arena, &err));
    TEST_OK(gen_tokens_of_score(&t, &score, 0, 1, &s, &err));
    gen_vocabulary v = gen_tokeniser_vocabulary(&t);
    assert_int_equal(v.n_words[0], 389); /* 388 events and the border */
    TEST_OK(gen_tokens_notes(&v, s.token, s.n, 120, arena, &back, &n, &err));
    assert_int_equal(n, 2);
    assert_int_equal(back[0].duration_ticks, GEN_TOKENS_TICKS);
    assert_int_equal(back[1].duration_ticks, 2 * GEN_TOKENS_TICKS); /* from 480 to 1440 */
    gen_arena_free(arena);
}

/* Any tokens at all are notes: ends without a beginning, beginnings without an end. */
TEST(tokens_in_any_order_are_notes)
{
    static const char *const kinds[] = { "beats", "melody", "performance" };
    for (int k = 0; k < 3; k++) {
        gen_error err = { 0 };
        gen_arena *arena = gen_arena_new();
        gen_tokeniser t;
        gen_midi_note *notes;
        size_t n;
        int32_t token[500];
        TEST_OK(gen_tokeniser_start(&t, kinds[k], NULL, arena, &err));
        gen_vocabulary v = gen_tokeniser_vocabulary(&t);
        for (uint32_t i = 0; i < 500; i++) token[i] = (int32_t)test_dice(5, i, (uint32_t)v.n_words[0]);
        TEST_OK(gen_tokens_notes(&v, token, 500, 93, arena, &notes, &n, &err));
        assert_true(n > 10);
        for (size_t i = 0; i < n; i++) assert_true(notes[i].duration_ticks > 0 && notes[i].pitch < 128);
        gen_arena_free(arena);
    }
}

/* "on 60", then 300 steps without its end: it sounds for a bar, not to the end of the piece. */
TEST(tokens_end_a_note_that_is_never_let_go)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_tokeniser t;
    gen_midi_note *notes;
    size_t n;
    const int32_t on = 1 + 60, shift = 1 + 2 * 128 + 99, token[] = { on, shift, shift, shift };
    TEST_OK(gen_tokeniser_start(&t, "beats", NULL, arena, &err));
    gen_vocabulary v = gen_tokeniser_vocabulary(&t);
    TEST_OK(gen_tokens_notes(&v, token, 4, 120, arena, &notes, &n, &err));
    assert_int_equal(n, 1);
    assert_int_equal(notes[0].duration_ticks, 4 * GEN_TOKENS_TICKS);
    gen_arena_free(arena);
}

TEST(tokens_of_text_come_back_letter_by_letter)
{
    static const char text[] = "Über uns: \"Wir\" sind's – 42,5 %!\n\n  zwei  Leerzeichen";
    static const char *const kinds[] = { "chars", "words" };
    for (int k = 0; k < 2; k++) {
        gen_error err = { 0 };
        gen_arena *arena = gen_arena_new();
        gen_tokeniser t, known;
        gen_stream s;
        gen_bytes back;
        TEST_OK(gen_tokeniser_start(&t, kinds[k], NULL, arena, &err));
        TEST_OK(gen_tokens_of_text(&t, text, strlen(text), &s, &err));
        gen_vocabulary v = gen_tokeniser_vocabulary(&t), copy;
        TEST_OK(gen_tokens_text(&v, s.token, s.n, arena, &back, &err));
        assert_string_equal((const char *)back.data, text);
        /* through the text of a checkpoint, too */
        gen_bytes json;
        TEST_OK(gen_vocabulary_write(&v, arena, &json, &err));
        TEST_OK(gen_vocabulary_read(json.data, json.size, arena, &copy, &err));
        assert_true(gen_vocabulary_equal(&v, &copy));
        TEST_OK(gen_tokeniser_start(&known, kinds[k], &copy, arena, &err));
        TEST_OK(gen_tokens_of_text(&known, "Wir Ω", strlen("Wir Ω"), &s, &err));
        assert_int_equal(known.n_unknown, 1);
        assert_int_equal(gen_tokens_of_text(&t, "\xff", 1, &s, &err), GEN_BAD_FILE);
        assert_non_null(strstr(err.text, "UTF-8"));
        gen_arena_free(arena);
    }
}

TEST(vocabularies_that_are_damaged_are_refused)
{
    static const char *const texts[] = { "{}", "{\"tokens\":\"chars\",\"fields\":[]}",
                                         "{\"tokens\":\"chars\",\"fields\":[{\"name\":\"x\",\"words\":[\"a\"]}]}",
                                         "{\"tokens\":\"chars\",\"fields\":[{\"name\":\"x\",\"words\":[\"a\",7]}]}",
                                         "{\"tokens\":\"chars\",\"fields\":[{\"name\":\"x\"}]}" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        gen_error err = { 0 };
        gen_arena *arena = gen_arena_new();
        gen_vocabulary v;
        assert_int_equal(gen_vocabulary_read(texts[i], strlen(texts[i]), arena, &v, &err), GEN_BAD_FILE);
        gen_arena_free(arena);
    }
}

/* ---- windows ------------------------------------------------------------------------------------------------------------------- */

static void open_chorales(gen_settings *s, const char *tokens, const char *attention, const char *window,
                          gen_arena *arena, gen_dataset *data)
{
    gen_error err = { 0 };
    TEST_OK(gen_settings_start(s, gen_model_find("music"), arena, &err));
    TEST_OK(gen_settings_set(s, "data", test_source("samples/data/chorales"), &err));
    TEST_OK(gen_settings_set(s, "tokens", tokens, &err));
    TEST_OK(gen_settings_set(s, "attention", attention, &err));
    TEST_OK(gen_settings_set(s, "window", window, &err));
    TEST_OK(gen_settings_set(s, "batch", "16", &err));
    TEST_OK(gen_data_open_tokens(s, arena, data, &err));
}

/* Each stream of each split goes on from batch to batch, or begins with the border; every token of every piece is said once. */
TEST(windows_of_streams_go_on_and_say_everything_once)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_settings s;
    gen_dataset data;
    gen_corpus corpus;
    enum { WINDOW = 50, ROWS = WINDOW + 1 };
    open_chorales(&s, "beats", "0", "50", arena, &data);
    TEST_OK(gen_corpus_open(&s, false, arena, &corpus, &err));
    for (int split = 0; split < GEN_N_SPLITS; split++) {
        int64_t streams = split == GEN_SPLIT_TRAIN ? 16 : GEN_EVAL_BATCH, said = 0, tokens = 0;
        gen_range range = data.splits[split];
        assert_int_equal(range.n % streams, 0);
        for (int64_t i = 0; i < corpus.n; i++)
            if (corpus.piece[i].split == (gen_split)split) tokens += corpus.piece[i].stream.n + 1;
        for (int64_t w = range.first; w < range.first + range.n; w++) {
            const float *x = data.values + w * ROWS, *before = x - streams * ROWS;
            bool first = w < range.first + streams;
            if (x[0] > 0) assert_true(!first && before[WINDOW] >= 0 && x[0] - before[WINDOW] == 0);
            for (int row = 1; row < ROWS; row++) said += x[row] >= 0;
        }
        assert_true(tokens > 0);
        assert_int_equal(said, tokens);
    }
    gen_arena_free(arena);
}

/* With attention the last row of the windows says everything once. */
TEST(windows_of_attention_are_one_token_apart)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_settings s;
    gen_dataset data;
    gen_corpus corpus;
    enum { WINDOW = 8, ROWS = WINDOW + 1, F = 2 };
    open_chorales(&s, "pairs", "1", "8", arena, &data);
    TEST_OK(gen_corpus_open(&s, false, arena, &corpus, &err));
    int64_t tokens = 0;
    for (int64_t i = 0; i < corpus.n; i++) tokens += corpus.piece[i].stream.n + 1;
    assert_int_equal(data.n, tokens);
    assert_int_equal(data.channels, F);
    for (int64_t w = 0; w < data.n; w++)
        for (int64_t i = 0; i < ROWS * F; i++) assert_true(data.values[w * ROWS * F + i] >= 0);
    gen_arena_free(arena);
}

/* In one key: the sum of pitch classes that C major has not is small. */
TEST(music_in_one_key_has_few_black_keys)
{
    gen_arena *arena = gen_arena_new();
    gen_error err = { 0 };
    gen_settings s;
    gen_corpus corpus;
    TEST_OK(gen_settings_start(&s, gen_model_find("music"), arena, &err));
    TEST_OK(gen_settings_set(&s, "data", test_source("samples/data/chorales"), &err));
    double black[2] = { 0 };
    for (int k = 0; k < 2; k++) {
        double notes = 0;
        TEST_OK(gen_settings_set(&s, "one-key", k ? "1" : "0", &err));
        TEST_OK(gen_corpus_open(&s, false, arena, &corpus, &err));
        for (int64_t i = 0; i < corpus.n; i++)
            for (int64_t j = 0; j < corpus.piece[i].stream.n; j++) {
                int32_t pitch = corpus.piece[i].stream.token[j] - 1; /* "on 0" is word 1 */
                if (pitch < 0 || pitch > 127) continue;
                notes++;
                black[k] += (0x54A >> pitch % 12 & 1) != 0; /* C# D# F# G# A# */
            }
        black[k] /= notes;
    }
    assert_true(black[1] < 0.15 && black[1] < 0.6 * black[0]);
    gen_arena_free(arena);
}
