/* models/tokens_json.c: pieces of tokens as JSON, there and back. */
#include "models/tokens_json.h"

#include <stdio.h>
#include <string.h>

#include "tests/test.h"
#include "tests/tunes.h"

static const char *const kinds[] = { "pairs", "performance", "beats", "melody" };
enum { N_KINDS = 4, N_NOTES = 60, TPQ = GEN_TOKENS_TICKS, SEEDS = 40 };

/* Any notes at all: off every grid, on top of each other, of every pitch. */
static void random_notes(uint32_t seed, gen_midi_note notes[N_NOTES])
{
    for (uint32_t i = 0; i < N_NOTES; i++)
        notes[i] = (gen_midi_note){ .start_ticks = test_dice(seed, 4 * i, 20 * TPQ),
                                    .duration_ticks = 1 + test_dice(seed, 4 * i + 1, 3 * TPQ),
                                    .pitch = (uint8_t)test_dice(seed, 4 * i + 2, 128),
                                    .velocity = (uint8_t)(1 + test_dice(seed, 4 * i + 3, 127)) };
}

/* What a kind makes of notes, at 120 quarters a minute. */
static gen_token_piece piece_of(const char *kind, gen_midi_note *notes, size_t n, gen_arena *arena)
{
    gen_error err = { 0 };
    gen_tokeniser *t = gen_arena_alloc(arena, sizeof *t);
    gen_midi_tempo tempo;
    gen_midi_score score = test_score_of(notes, n, TPQ, &tempo);
    gen_token_piece p = { .quarters_per_minute = 120 };
    TEST_OK(gen_tokeniser_start(t, kind, NULL, arena, &err));
    TEST_OK(gen_tokens_of_score(t, &score, 0, 1, &p.stream, &err));
    p.vocabulary = gen_tokeniser_vocabulary(t);
    return p;
}

static gen_bytes written(const gen_token_piece *p, gen_arena *arena)
{
    gen_error err = { 0 };
    gen_bytes text;
    TEST_OK(gen_tokens_to_json(p, arena, &text, &err));
    return text;
}

static gen_status read_text(const void *text, size_t size, gen_arena *arena, gen_token_piece *p, gen_error *err)
{
    gen_json *json;
    GEN_TRY(gen_json_parse(text, size, &json, err));
    gen_status status = gen_tokens_from_json(json, arena, p, err);
    gen_json_free(json);
    return status;
}

static void check_same_notes(const gen_token_piece *a, const gen_token_piece *b, gen_arena *arena)
{
    gen_error err = { 0 };
    gen_midi_note *x, *y;
    size_t n, m;
    TEST_OK(gen_tokens_notes(&a->vocabulary, a->stream.token, a->stream.n, 120, arena, &x, &n, &err));
    TEST_OK(gen_tokens_notes(&b->vocabulary, b->stream.token, b->stream.n, 120, arena, &y, &m, &err));
    assert_int_equal(n, m);
    assert_true(n > 0);
    assert_memory_equal(x, y, n * sizeof *x);
}

/* JSON loses nothing: the same words in the same order, the same numbers, the same notes, the same bytes again. */
TEST(tokens_as_json_come_back_as_they_were)
{
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        gen_error err = { 0 };
        gen_arena *arena = gen_arena_new();
        gen_midi_note notes[N_NOTES];
        random_notes(seed, notes);
        for (int k = 0; k < N_KINDS; k++) {
            gen_token_piece p = piece_of(kinds[k], notes, N_NOTES, arena), back;
            gen_bytes text = written(&p, arena);
            TEST_OK(read_text(text.data, text.size, arena, &back, &err));
            assert_int_equal(back.stream.n, p.stream.n);
            assert_memory_equal(back.stream.token, p.stream.token,
                                (size_t)(p.stream.n * p.vocabulary.n_fields) * sizeof *p.stream.token);
            assert_true(gen_vocabulary_equal(&back.vocabulary, &p.vocabulary));
            check_same_notes(&p, &back, arena);
            gen_bytes again = written(&back, arena);
            assert_int_equal(again.size, text.size);
            assert_memory_equal(again.data, text.data, text.size);
        }
        gen_arena_free(arena);
    }
}

/* What tokens can say, they keep: their notes give the same tokens again, whatever the first notes were. */
TEST(tokens_of_their_own_notes_are_the_same_tokens)
{
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        gen_arena *arena = gen_arena_new();
        gen_midi_note first[N_NOTES], *notes;
        random_notes(seed, first);
        for (int k = 0; k < N_KINDS; k++) {
            gen_error err = { 0 };
            size_t n;
            gen_token_piece p = piece_of(kinds[k], first, N_NOTES, arena);
            TEST_OK(gen_tokens_notes(&p.vocabulary, p.stream.token, p.stream.n, 120, arena, &notes, &n, &err));
            gen_token_piece again = piece_of(kinds[k], notes, n, arena);
            gen_bytes a = written(&p, arena), b = written(&again, arena);
            if (a.size != b.size || memcmp(a.data, b.data, a.size) != 0)
                fail_msg("%s, seed %u:\n%.600s\n%.600s", kinds[k], seed, (char *)a.data, (char *)b.data);
        }
        gen_arena_free(arena);
    }
}

TEST(tokens_as_json_are_read_without_a_vocabulary)
{
    static const char text[] =
        "{\"tokens\":\"pairs\",\"stream\":[[\"C4.E4\",\"1/2\"],[\"rest\",\"1\"],[\"C4\",\"1/2\"]]}";
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_token_piece p;
    gen_midi_note *notes;
    size_t n;
    TEST_OK(read_text(text, sizeof text - 1, arena, &p, &err));
    assert_true(p.quarters_per_minute == 0); /* it says none */
    TEST_OK(gen_tokens_notes(&p.vocabulary, p.stream.token, p.stream.n, 120, arena, &notes, &n, &err));
    assert_int_equal(n, 3);
    assert_int_equal(notes[2].start_ticks, 3 * TPQ / 2);
    assert_int_equal(notes[2].pitch, 60);
    gen_arena_free(arena);
}

TEST(tokens_as_json_that_are_none_are_refused_in_a_sentence)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "[]", "tokens" },
        { "{\"tokens\":7}", "tokens" },
        { "{\"tokens\":\"chars\",\"stream\":[]}", "pairs, performance, beats or melody" },
        { "{\"tokens\":\"beats\"}", "called stream" },
        { "{\"tokens\":\"beats\",\"stream\":{}}", "called stream" },
        { "{\"tokens\":\"beats\",\"stream\":[\"on 60\",\"on 128\"]}", "token 2 of the stream: \"on 128\" is no word" },
        { "{\"tokens\":\"beats\",\"stream\":[12]}", "token 1 of the stream is no text, such as \"on 0\"" },
        { "{\"tokens\":\"melody\",\"stream\":[\"<border>\"]}", "\"<border>\" is no word of melody" },
        { "{\"tokens\":\"pairs\",\"stream\":[\"C4\"]}", "no list of a chord and its duration" },
        { "{\"tokens\":\"pairs\",\"stream\":[[\"C4\"]]}", "no list of a chord and its duration" },
        { "{\"tokens\":\"pairs\",\"stream\":[[\"C4\",\"1\",\"1\"]]}", "no list of a chord and its duration" },
        { "{\"tokens\":\"pairs\",\"stream\":[[\"H4\",\"1\"]]}", "\"H4\" is no chord of pairs" },
        { "{\"tokens\":\"pairs\",\"stream\":[[\"C4.\",\"1\"]]}", "\"C4.\" is no chord" },
        { "{\"tokens\":\"pairs\",\"stream\":[[\"C4\",\"1/5\"]]}", "\"1/5\" is no duration" },
        { "{\"tokens\":\"pairs\",\"stream\":[[\"C4\",\"0\"]]}", "\"0\" is no duration" },
        { "{\"tokens\":\"beats\",\"stream\":[],\"quarters_per_minute\":0}", "tempo of 0 quarters" },
        { "{\"tokens\":\"beats\",\"stream\":[],\"quarters_per_minute\":\"x\"}", "quarters_per_minute" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gen_error err = { 0 };
        gen_arena *arena = gen_arena_new();
        gen_token_piece p;
        assert_int_equal(read_text(cases[i].text, strlen(cases[i].text), arena, &p, &err), GEN_BAD_FILE);
        if (!strstr(err.text, cases[i].says)) fail_msg("%s\nsays: %s", cases[i].text, err.text);
        gen_arena_free(arena);
    }
}
