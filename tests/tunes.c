#include "tests/tunes.h"

#include "core/rng.h"
#include "tests/test.h"

uint32_t test_dice(uint32_t seed, uint32_t i, uint32_t faces)
{
    return gen_philox_block(seed, i, 0, 0, 7).word[0] % faces;
}

gen_midi_score test_score_of(gen_midi_note *notes, size_t n, int32_t ticks_per_quarter, gen_midi_tempo *tempo)
{
    *tempo = (gen_midi_tempo){ .seconds_per_tick = 0.5 / ticks_per_quarter };
    return (gen_midi_score){
        .ticks_per_quarter = ticks_per_quarter, .notes = notes, .n_notes = n, .tempos = tempo, .n_tempos = 1
    };
}

void test_write_tune(const char *path, const gen_midi_note *notes, size_t n, const gen_midi_plan *plan)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_midi midi;
    gen_bytes file;
    TEST_OK(gen_midi_from_notes(notes, n, plan, arena, &midi, &err));
    TEST_OK(gen_midi_write(&midi, arena, &file, &err));
    TEST_OK(gen_file_write(path, file.data, file.size, &err));
    gen_arena_free(arena);
}

gen_midi_score test_read_tune(const char *path, gen_arena *arena, gen_midi *midi)
{
    gen_error err = { 0 };
    gen_bytes file;
    gen_midi_score score = { 0 };
    TEST_OK(gen_file_read(path, GEN_MIDI_MAX_BYTES, arena, &file, &err));
    TEST_OK(gen_midi_read(file.data, file.size, arena, midi, &err));
    TEST_OK(gen_midi_score_make(midi, arena, &score, &err));
    return score;
}
