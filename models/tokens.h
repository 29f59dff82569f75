/* models/tokens.h: pieces of music and text as streams of tokens, and back. Which words there are is learned from the pieces, or given by the kind:
 *
 *   pairs        two fields: what sounds ("G3", "C3.E3.G3", "rest") and for how long, in quarters ("1", "3/4"). Chords are slices of time in which nothing
 *                begins or ends, as music21's chordify makes them (D. Foster, Generative Deep Learning, 1st ed., ch. 7); a note that goes on is said again in
 *                the next slice. Times are brought to the nearest quarter or third of a beat.
 *   performance  "on 60", "off 60", "shift 12" (of 10 ms, at most 100), "velocity 20" (of 32): 388 events (Simon & Oore 2017). The pedal makes notes longer.
 *   beats        the same with shifts of 1/24 of a quarter
 *   melody       a 16th each: "on", "off", or the pitch that begins, of 36 from C3 (Magenta's Melody RNN: 38 classes). The highest voice, octaves folded.
 *   chars        characters of UTF-8          words   runs of letters and digits with the space before, other characters alone
 *
 *     gen_tokeniser t;
 *     GEN_TRY(gen_tokeniser_start(&t, "pairs", NULL, arena, err));
 *     GEN_TRY(gen_tokens_of_score(&t, &score, 0, 1, &stream, err));
 *     gen_vocabulary v = gen_tokeniser_vocabulary(&t);
 *     GEN_TRY(gen_tokens_notes(&v, stream.token, stream.n, 120, arena, &notes, &n_notes, err));
 */
#ifndef GEN_MODELS_TOKENS_H
#define GEN_MODELS_TOKENS_H

#include <stdbool.h>

#include "io/midi.h"
#include "io/vocabulary.h"
#include "models/words.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    GEN_TOKENS_TICKS = 600
}; /* in a quarter, of notes made of tokens: all units of time are whole numbers of them, at 120 quarters a minute */

typedef struct gen_stream {
    int32_t *token; /* [n,F], without borders */
    int64_t n, room;
} gen_stream;

typedef struct gen_tokeniser {
    gen_arena *arena;
    const char *kind;
    int32_t n_fields;
    gen_words field[GEN_MAX_FIELDS];
    bool closed; /* no new words: what is unknown is read as the nearest known, and counted */
    int64_t n_unknown;
} gen_tokeniser;

/* known NULL: words are learned (of "words", see gen_tokeniser_limit). Else those, closed. GEN_BAD_FILE where a vocabulary is not one of its kind. */
gen_status gen_tokeniser_start(gen_tokeniser *t, const char *kind, const gen_vocabulary *known, gen_arena *arena,
                               gen_error *err);
/* Keeps the n_words most frequent of a learned vocabulary of one field, closes it, and forgets the counts: the texts are then to be read again. */
gen_status gen_tokeniser_limit(gen_tokeniser *t, int64_t n_words, gen_error *err);
gen_vocabulary gen_tokeniser_vocabulary(const gen_tokeniser *t); /* points into t */

bool gen_tokens_are_text(const char *kind);
/* All notes but drums, semitones higher and times stretch; GEN_BAD_SHAPE where that leaves MIDI's pitches. An empty score gives an empty stream. */
gen_status gen_tokens_of_score(gen_tokeniser *t, const gen_midi_score *score, int32_t semitones, double stretch,
                               gen_stream *out, gen_error *err);
gen_status gen_tokens_of_text(gen_tokeniser *t, const char *text, size_t size, gen_stream *out, gen_error *err);

/* By start and pitch, on one track. Tokens may be any of the vocabulary in any order; ends without a beginning are nothing, a note without an end lasts
 * to the end. quarters_per_minute is what the notes will be played at: only performance, whose times are seconds, looks at it. */
gen_status gen_tokens_notes(const gen_vocabulary *v, const int32_t *token, int64_t n, double quarters_per_minute,
                            gen_arena *arena, gen_midi_note **notes, size_t *n_notes, gen_error *err);
/* Quarters that the tokens last. */
double gen_tokens_quarters(const gen_vocabulary *v, const int32_t *token, int64_t n, double quarters_per_minute);
/* The texts of the tokens, one after the other. */
gen_status gen_tokens_text(const gen_vocabulary *v, const int32_t *token, int64_t n, gen_arena *arena, gen_bytes *out,
                           gen_error *err);

/* ---- for the files of the kinds ---- */

/* A note in steps of time, whole numbers of whatever the kind counts in. */
typedef struct gen_step_note {
    int64_t start, end;
    int32_t pitch, velocity;
} gen_step_note;

/* Appends a token of t->n_fields numbers. */
gen_status gen_stream_put(const gen_tokeniser *t, gen_stream *s, int32_t a, int32_t b, gen_error *err);
/* Notes of a score by start, then pitch. steps_per_quarter 0: steps of 10 ms, pedal and stretch applied. */
gen_status gen_tokens_steps(const gen_midi_score *score, int32_t steps_per_quarter, int32_t semitones, double stretch,
                            gen_arena *arena, gen_step_note **notes, size_t *n_notes, gen_error *err);

gen_status gen_pairs_encode(gen_tokeniser *t, const gen_midi_score *score, int32_t semitones, gen_stream *out,
                            gen_error *err);
gen_status gen_events_encode(gen_tokeniser *t, gen_step_note *notes, size_t n, gen_stream *out, gen_error *err);
gen_status gen_melody_encode(gen_tokeniser *t, const gen_step_note *notes, size_t n, gen_stream *out, gen_error *err);

/* Steps that n tokens last; notes may be NULL, else has room for as many as gen_pairs_most_notes says, or one a token of the others. */
int64_t gen_pairs_most_notes(const gen_vocabulary *v, const int32_t *token, int64_t n);
bool gen_pairs_is_chord(const char *text);    /* "rest", or pitches as "C3.E-3.G3" */
bool gen_pairs_is_duration(const char *text); /* quarters, a whole number of twelfths: "1", "3/4" */
int64_t gen_pairs_decode(const gen_vocabulary *v, const int32_t *token, int64_t n, gen_step_note *notes,
                         size_t *n_notes);
/* longest: steps that a note without an end lasts at most */
int64_t gen_events_decode(const int32_t *token, int64_t n, int64_t longest, gen_step_note *notes, size_t *n_notes);
int64_t gen_melody_decode(const int32_t *token, int64_t n, gen_step_note *notes, size_t *n_notes);

/* Name of word number i of the events, of the melody; NULL beyond the last. */
const char *gen_events_word(int32_t i, char buffer[24]);
const char *gen_melody_word(int32_t i, char buffer[24]);

enum { GEN_PAIRS_STEPS = 12, GEN_BEATS_STEPS = 24, GEN_MELODY_STEPS = 4 }; /* in a quarter */
enum { GEN_EVENT_STEPS = 100 };                                            /* in a second, of performance */

#ifdef __cplusplus
}
#endif
#endif
