/* models/bars.h: bars of four voices in sixteenths, as MuseGAN has them: the data set, what made bars mean, and how they are measured.
 *
 *     GEN_TRY(gen_data_open_bars("chorales", 2, false, false, arena, &data, err));          // x[N,32,84,4]: 1 where the voice sings that pitch
 *     gen_bars_pitches(x, n, 32, true, pitch);                                        // pitch[n,32,4]
 *     gen_bar_scores s = gen_bars_score(pitch, n, 2);
 */
#ifndef GEN_MODELS_BARS_H
#define GEN_MODELS_BARS_H

#include "models/midi_files.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_BAR_STEPS = 16, GEN_BAR_BEAT = 4, GEN_BAR_PITCHES = 84, GEN_BAR_TRACKS = 4 };

/* path: MIDI files of four voices as gen_midi_files_each takes them; or a JSON file {"train": [piece, ..], "valid": ..,
 * "test": ..}, a piece being a list of steps [S,A,T,B], of pitches or -1 (github.com/czhuang/JSB-Chorales-dataset, Jsb16thSeparated.json). Of each piece
 * the first n_bars bars, or with `all` as many as it has, one after the other. As Foster's book does it, quarters at the start in which a voice is silent are
 * skipped, a bar is 16 sixteenths whatever the metre, and pitches are 0 to 83. */
gen_status gen_data_open_bars(const char *path, int64_t n_bars, bool all, bool skip_bad, gen_arena *arena,
                              gen_dataset *data, gen_error *err);

/* x[n,steps,84,4] -> pitch[n,steps,4]: the strongest pitch of each voice and step. always: there is one, as in Foster's book; else -1 where
 * the strongest is below a half. */
void gen_bars_pitches(const float *x, int64_t n, int64_t steps, bool always, int16_t *pitch);

/* n pieces of pitch[n,steps,4] after each other, a bar of rest between them; notes end where the pitch changes, and at each beat. Voice i is on
 * track and channel i. */
gen_status gen_bars_notes(const int16_t *pitch, int64_t n, int64_t steps, int32_t ticks_per_quarter, gen_arena *arena,
                          gen_midi_note **notes, size_t *n_notes, gen_error *err);

/* Dong et al. 2018 (MuseGAN, arXiv:1709.06298), section 6, over bars of single voices. */
typedef struct gen_bar_scores {
    double empty_bars;      /* part of the bars in which the voice is silent */
    double pitch_classes;   /* used in a bar that is not empty, 1 to 12 */
    double qualified_notes; /* part of the notes that last 2 steps (an eighth) or more */
    double
        tonal_distance; /* between two voices in a bar, mean over pairs: Harte et al. 2006; small: they go together */
} gen_bar_scores;
gen_bar_scores gen_bars_score(const int16_t *pitch, int64_t n, int64_t n_bars);

#ifdef __cplusplus
}
#endif
#endif
