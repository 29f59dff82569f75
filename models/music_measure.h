/* models/music_measure.h: is it music? Numbers that a piece of notes has, by start and then pitch, and whether it was copied.
 *
 *     gen_figures *known;
 *     GEN_TRY(gen_figures_new(&known, err));
 *     GEN_TRY(gen_figures_add(known, training_notes, n, err)); …
 *     gen_measure m = gen_measure_notes(notes, n, known);
 */
#ifndef GEN_MODELS_MUSIC_MEASURE_H
#define GEN_MODELS_MUSIC_MEASURE_H

#include "io/midi.h"
#include "models/music_theory.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_FIGURE_NOTES = 8, GEN_COPY_NOTES = 24 };

typedef struct gen_measure {
    size_t n_notes;
    gen_key key;       /* in which most is heard: gen_find_key of the durations */
    double in_key;     /* part of the notes that are of its scale; minor: natural, with the raised seventh too */
    int32_t durations; /* different ones */
    int32_t
        repeats; /* most times that a figure of GEN_FIGURE_NOTES notes stands in a row; 1: none comes again at once; 0: there are fewer notes */
    int64_t
        copied; /* figures of GEN_COPY_NOTES notes that are known, at any pitch: the same steps, times and durations */
} gen_measure;

/* Figures of GEN_COPY_NOTES notes in a row. */
typedef struct gen_figures gen_figures;
gen_status gen_figures_new(gen_figures **out, gen_error *err);
void gen_figures_free(gen_figures *f); /* accepts NULL */
/* Those of a piece; times must be in the ticks of the pieces that are measured. After the last one gen_figures_sort. */
gen_status gen_figures_add(gen_figures *f, const gen_midi_note *notes, size_t n, gen_error *err);
void gen_figures_sort(gen_figures *f);

gen_measure gen_measure_notes(const gen_midi_note *notes, size_t n, const gen_figures *known);

#ifdef __cplusplus
}
#endif
#endif
