/* io/voices.c: grids of voices, and the chorales of samples/data. */
#include "tests/test.h"
#include "tests/tunes.h"

#include "core/rng.h"
#include "io/voices.h"

#include <string.h>

enum { MOST = 64 };

/* Any grid that notes can make: a hold follows a note of its voice. */
static void random_grid(uint64_t seed, gen_voices *v, int16_t *cells)
{
    v->steps_per_quarter = 4;
    v->n_voices = 1 + (int32_t)(seed % 5);
    v->n_steps = 1 + (int64_t)(seed % (MOST / 5));
    v->cells = cells;
    for (int64_t c = 0; c < v->n_steps * v->n_voices; c++) {
        gen_philox r = gen_philox_block(seed, (uint32_t)c, 0, 0, 0);
        int sounds = c >= v->n_voices && cells[c - v->n_voices] != GEN_VOICE_REST;
        cells[c] = (int16_t)(r.word[0] % 3 == 0             ? GEN_VOICE_REST
                             : r.word[0] % 3 == 1 && sounds ? GEN_VOICE_HOLD
                                                            : (int)(r.word[1] % 128));
    }
    for (int32_t i = 0; i < v->n_voices; i++) cells[i] = (int16_t)(60 + i); /* each voice has a note */
    int64_t last = v->n_steps - 1;
    if (cells[last * v->n_voices] == GEN_VOICE_REST) cells[last * v->n_voices] = 1; /* rests at the end are no notes */
}

TEST(voices_come_back_from_notes_as_they_were)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        gen_error err = { 0 };
        gen_arena *arena = gen_arena_new();
        int16_t cells[MOST * 5];
        gen_voices v = { 0 }, again = { 0 };
        gen_midi_note *notes;
        size_t n;
        random_grid(seed, &v, cells);
        TEST_OK(gen_voices_notes(&v, 24, arena, &notes, &n, &err));
        gen_midi_score score = { .ticks_per_quarter = 24, .notes = notes, .n_notes = n };
        again.steps_per_quarter = 4, again.n_voices = v.n_voices;
        TEST_OK(gen_voices_make(&score, &again, arena, &err));
        assert_int_equal(again.n_steps, v.n_steps);
        assert_memory_equal(again.cells, cells, (size_t)(v.n_steps * v.n_voices) * sizeof *cells);
        assert_int_equal(again.n_cut + again.n_lost, 0);
        gen_arena_free(arena);
    }
}

/* Two notes that begin together leave the higher one; a note that begins while another sounds ends it. */
TEST(voices_keep_one_note_at_a_time)
{
    gen_midi_note notes[] = { { 0, 6, 3, 60, 9, 0, 0 },
                              { 0, 18, 3, 67, 9, 0, 0 },
                              { 0, 9, 0, 40, 9, GEN_MIDI_DRUMS, 0 },
                              { 1, 1, 1, 40, 9, 1, 0 },
                              { 6, 12, 3, 72, 9, 0, 0 } };
    static const int16_t expected[] = { 40, 67, -1, 72, -1, -2 };
    gen_midi_score score = { .ticks_per_quarter = 24, .notes = notes, .n_notes = 5 };
    gen_voices v = { .steps_per_quarter = 4, .n_voices = 2 };
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    TEST_OK(gen_voices_make(&score, &v, arena, &err));
    assert_int_equal(v.n_steps, 3);
    assert_memory_equal(v.cells, expected, sizeof expected); /* the track of drums is no voice */
    assert_int_equal(v.n_cut, 1);
    assert_int_equal(v.n_lost, 1);
    assert_int_equal(gen_voices_pitch(&v, 2, 1), 72);
    assert_int_equal(gen_voices_pitch(&v, 2, 0), GEN_VOICE_REST);
    v.n_voices = 3;
    assert_int_equal(gen_voices_make(&score, &v, arena, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "2 tracks of notes"));
    gen_arena_free(arena);
}

/* Each is four voices, highest first, whose notes nothing of the reader had to repair. */
TEST(voices_of_the_chorales_are_four)
{
    static const char *const splits[] = { "train", "valid", "test" };
    size_t least[] = { 250, 20, 20 }, in_grid = 0, all = 0;
    for (int s = 0; s < 3; s++) {
        gen_error err = { 0 };
        gen_arena *arena = gen_arena_new();
        gen_path_list files;
        char *folder = gen_path_join(arena, test_source("samples/data/chorales"), splits[s]);
        TEST_OK(gen_folder_list(folder, 0, arena, &files, &err));
        assert_true(files.n >= least[s]);
        for (size_t i = 0; i < files.n; i++) {
            gen_midi midi;
            gen_midi_score score = test_read_tune(gen_path_join(arena, folder, files.path[i]), arena, &midi);
            gen_voices v = { .steps_per_quarter = 4, .n_voices = 4 };
            TEST_OK(gen_voices_make(&score, &v, arena, &err));
            assert_int_equal(midi.n_repairs_made, 0);
            in_grid += v.n_cut + v.n_lost == 0;
            all++;
        }
        gen_arena_free(arena);
    }
    assert_true(10 * in_grid >= 9 * all); /* the others have thirty-seconds */
}
