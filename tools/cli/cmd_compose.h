/* tools/cli/cmd_compose.h: pieces from models of tokens, for the verbs. */
#ifndef GEN_TOOLS_CLI_CMD_COMPOSE_H
#define GEN_TOOLS_CLI_CMD_COMPOSE_H

#include "models/compose.h"
#include "models/music_theory.h"
#include "tools/cli/cli.h"

/* What the options say of seed and draw. */
gen_composition cli_composition(const cli_args *a, const gen_run *run);
/* --bars of music: notes with GEN_TOKENS_TICKS in a quarter, of the arena. */
gen_status cli_compose_notes(const cli_args *a, gen_composer *composer, const gen_run *run, gen_composition *how,
                             gen_midi_note **notes, size_t *n, gen_error *err);
gen_key cli_key_of(const gen_midi_note *notes, size_t n);

/* gen sample of a model of text, whose weights are not loaded yet: --n tokens behind --prime, to standard output or -o. */
gen_status cli_sample_text(cli_args *a, gen_run *run, gen_error *err);

/* gen eval RUN --pieces n: n new pieces, and whether they are what music should be; a line each, unless JSON is wanted (eval_pieces.c). Loads weights. */
gen_status cli_eval_compositions(const cli_args *a, gen_run *run, cli_numbers *numbers, gen_error *err);
/* gen eval RUN --baseline kneser-ney: nats a token that counting of the training split gives on another. */
gen_status cli_eval_baseline(const cli_args *a, gen_run *run, gen_split split, cli_numbers *numbers, gen_error *err);

#endif
