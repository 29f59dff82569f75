/* tools/cli/music.h: what the verbs that take a piece of music share (music.c).
 *
 *     gen_midi midi; gen_midi_score score;
 *     GEN_TRY(cli_open_midi(a->arena, "tune.mid", &midi, &score, err));
 */
#ifndef GEN_TOOLS_CLI_MUSIC_H
#define GEN_TOOLS_CLI_MUSIC_H

#include <stdbool.h>

#include "io/midi.h"
#include "tools/cli/cli.h"

bool cli_is_midi(const char *path); /* by its extension */

/* Errors name the file. */
gen_status cli_open_midi(gen_arena *arena, const char *path, gen_midi *midi, gen_midi_score *score, gen_error *err);

/* Texts in files are of any encoding: UTF-8 without control characters; NULL: no memory. The name of a track, or "". */
char *cli_midi_text(gen_arena *arena, const uint8_t *bytes, size_t n);
char *cli_midi_track_name(gen_arena *arena, const gen_midi_track *track);

void cli_print_repairs(FILE *to, const gen_midi *midi); /* a line each */

gen_status cli_describe_midi(cli_args *a, const char *path, gen_error *err);
/* A tune as sound, by the options of gen render; as a piano roll. */
gen_status cli_render_tune(cli_args *a, const char *tune, const char *path, gen_error *err);
gen_status cli_plot_tune(cli_args *a, const char *tune, const char *path, gen_error *err);
gen_status cli_plot_midi(cli_args *a, const char *path, gen_error *err);
/* The piano roll of x.mid as x.png; where no plots can be drawn, a warning instead. */
gen_status cli_picture_beside(cli_args *a, const char *path, gen_error *err);

#endif
