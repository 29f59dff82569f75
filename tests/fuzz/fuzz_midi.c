/* MIDI files: what is read is seen as notes, written, and read again. */
#include "io/midi.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gen_arena *arena = gen_arena_new();
    gen_midi midi, again;
    gen_midi_score score;
    gen_bytes file;
    if (gen_midi_read(data, size, arena, &midi, NULL) == GEN_OK) {
        if (gen_arena_used(arena) > 16 * size + 65536) abort();
        if (gen_midi_score_make(&midi, arena, &score, NULL) != GEN_OK) abort();
        if (gen_midi_write(&midi, arena, &file, NULL) != GEN_OK) abort();
        if (gen_midi_read(file.data, file.size, arena, &again, NULL) != GEN_OK) abort();
    }
    gen_arena_free(arena);
    return 0;
}
