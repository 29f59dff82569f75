/* tools/cli/tune.h: a piece of music as notes, whatever file it is in: MIDI, a piano roll .npy, notes or tokens as .json. What gen convert does, and how
 * info, plot, render and compose --prime read what is no MIDI.
 *
 *     cli_tune t;
 *     GEN_TRY(cli_tune_read(a, "roll.npy", &t, err));
 *     GEN_TRY(cli_tune_write(a, "tune.mid", &t, err));
 */
#ifndef GEN_TOOLS_CLI_TUNE_H
#define GEN_TOOLS_CLI_TUNE_H

#include "io/midi.h"
#include "tools/cli/cli.h"

typedef struct cli_tune {
    gen_midi_note *notes;
    size_t n;
    gen_midi_plan plan;          /* ticks_per_quarter is set */
    const gen_midi_score *score; /* of a MIDI file, where pedals are; NULL: there is none */
} cli_tune;

bool cli_is_tune(const char *path);        /* by its extension */
bool cli_can_write_tune(const char *path); /* the same */

/* Repairs of a MIDI file are printed. Errors name the file. */
gen_status cli_tune_read(const cli_args *a, const char *path, cli_tune *t, gen_error *err);
/* What the form cannot say is left out, which is printed; and what was written. */
gen_status cli_tune_write(cli_args *a, const char *path, const cli_tune *t, gen_error *err);
/* The MIDI file that it would be, and that seen as notes on one line of time. */
gen_status cli_tune_midi(const cli_args *a, const cli_tune *t, gen_bytes *file, gen_error *err);
gen_status cli_tune_score(const cli_args *a, const cli_tune *t, gen_midi *midi, gen_midi_score *score, gen_error *err);

/* Any of them, for a verb that wants a score. */
gen_status cli_tune_open(const cli_args *a, const char *path, gen_midi *midi, gen_midi_score *score, gen_error *err);

/* ---- JSON (tune_json.c): notes, or with --tokens the tokens of a model of music ---- */
gen_status cli_tune_read_json(const cli_args *a, const char *path, cli_tune *t, gen_error *err);
gen_status cli_tune_write_json(cli_args *a, const char *path, const cli_tune *t, gen_error *err);

#endif
