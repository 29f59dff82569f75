/* io/voices.h: a piece of few voices on a grid of time: one note at most in each voice and step, SATB chorales in sixteenths above all. What begins is
 * told from what goes on, so notes that fit the grid come back as they were.
 *
 *     gen_voices v = { .steps_per_quarter = 4, .n_voices = 4 };
 *     GEN_TRY(gen_voices_make(&score, &v, arena, err));                 // v.cells[t * 4 + voice]
 *     GEN_TRY(gen_voices_notes(&v, 480, arena, &notes, &n_notes, err));
 */
#ifndef GEN_IO_VOICES_H
#define GEN_IO_VOICES_H

#include "io/midi.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    GEN_VOICE_REST = -1,
    GEN_VOICE_HOLD = -2, /* the note of the step before goes on */
    GEN_VOICES_MAX = 16,
    GEN_VOICES_MAX_STEPS = 1 << 20,
};

typedef struct gen_voices {
    int32_t steps_per_quarter; /* 1 to 96 */
    int32_t n_voices;          /* V, 1 to GEN_VOICES_MAX */
    int64_t n_steps;           /* T */
    int16_t *cells;            /* [T,V]: the pitch that begins, 0 to 127, or GEN_VOICE_REST, or GEN_VOICE_HOLD */
    size_t n_cut, n_lost; /* notes shortened by the next one of their voice; of a step that another one begins in */
} gen_voices;

/* Voice i is the i-th track that has notes (drums aside). A note begins in the step nearest to its start and lasts at least one; where two begin in one
 * step the higher one stays. GEN_UNSUPPORTED when the score has not n_voices such tracks. */
gen_status gen_voices_make(const gen_midi_score *score, gen_voices *voices, gen_arena *arena, gen_error *err);

/* By start and voice, voice i on track and channel i (channel 9 is skipped), velocity GEN_ROLL_VELOCITY. */
gen_status gen_voices_notes(const gen_voices *voices, int32_t ticks_per_quarter, gen_arena *arena,
                            gen_midi_note **notes, size_t *n_notes, gen_error *err);

/* What sounds, begun or held, in voice i at step t; -1: nothing. */
int32_t gen_voices_pitch(const gen_voices *voices, int64_t t, int32_t i);

#ifdef __cplusplus
}
#endif
#endif
