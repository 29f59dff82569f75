/* tests/tunes.h: what tests of music share: small tunes, and files of them.
 *
 *     gen_midi_score score = test_score_of(notes, n, 480, &tempo);
 *     test_write_tune(path, notes, n, &(gen_midi_plan){ .beats = 4, .of = 4 });
 *     gen_midi_score again = test_read_tune(path, arena, &midi);
 */
#ifndef GEN_TESTS_TUNES_H
#define GEN_TESTS_TUNES_H

#include "io/midi.h"

uint32_t test_dice(uint32_t seed, uint32_t i, uint32_t faces); /* throw number i: 0 to faces - 1 */

/* A score of these notes alone, at 120 quarters a minute. */
gen_midi_score test_score_of(gen_midi_note *notes, size_t n, int32_t ticks_per_quarter, gen_midi_tempo *tempo);

/* A MIDI file of notes; one that must be readable. Failures end the test. */
void test_write_tune(const char *path, const gen_midi_note *notes, size_t n, const gen_midi_plan *plan);
gen_midi_score test_read_tune(const char *path, gen_arena *arena, gen_midi *midi);

#endif
