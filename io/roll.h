/* io/roll.h: piano rolls [T,P]: what sounds in each step of time. Made of notes, and made into notes.
 *
 *     gen_roll roll = { .steps_per_quarter = 4, .lowest = GEN_ROLL_PIANO_LOWEST, .n_pitches = 88 };
 *     GEN_TRY(gen_roll_make(&score, &roll, arena, err));                     // roll.values[t * 88 + pitch - 21]
 *     GEN_TRY(gen_roll_notes(&roll, 480, arena, &notes, &n_notes, err));
 */
#ifndef GEN_IO_ROLL_H
#define GEN_IO_ROLL_H

#include "io/midi.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    GEN_ROLL_PIANO_LOWEST = 21,   /* the A0 of a piano's 88 keys */
    GEN_ROLL_MAX_STEPS = 1 << 20, /* longer rolls are refused: half a GiB */
    GEN_ROLL_VELOCITY = 80,       /* of notes of a roll that knows only on and off */
};

typedef struct gen_roll {
    int32_t steps_per_quarter; /* 1 to 96 */
    int32_t lowest, n_pitches; /* column p is pitch lowest + p */
    int64_t n_steps;           /* T */
    float *values;             /* velocity / 127 where a note sounds, else 0 */
    size_t n_outside, n_drums; /* notes left out: of other pitches, of channel 10 */
} gen_roll;

/* Fills values and n_steps from the notes of a score, each from its nearest step on and at least one step long. Two notes of
 * one pitch that touch become one: rolls cannot tell them apart. */
gen_status gen_roll_make(const gen_midi_score *score, gen_roll *roll, gen_arena *arena, gen_error *err);

/* A note for each run of values above 0 in a column, on channel 0 with program 0. Velocity is the first value's (x 127),
 * GEN_ROLL_VELOCITY where the whole roll is of zeros and ones. */
gen_status gen_roll_notes(const gen_roll *roll, int32_t ticks_per_quarter, gen_arena *arena, gen_midi_note **notes,
                          size_t *n_notes, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
