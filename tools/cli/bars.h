/* tools/cli/bars.h: what the verbs do with models that make bars of voices (bars.c; gen_model.bars). */
#ifndef GEN_TOOLS_CLI_BARS_H
#define GEN_TOOLS_CLI_BARS_H

#include "models/run.h"
#include "tools/cli/cli.h"

/* gen sample, weights loaded: --n pieces as MIDI with its piano roll beside, or as a grid of pictures .png. */
gen_status cli_sample_bars(cli_args *a, gen_run *run, gen_error *err);

/* gen eval: MuseGAN's measures of --n samples (256), and beside them those of the training pieces, as "training …". Loads the weights. */
gen_status cli_eval_bars(cli_args *a, gen_run *run, const gen_dataset *data, cli_numbers *numbers, gen_error *err);

#endif
