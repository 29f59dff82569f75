/* tools/cli/frames.h: what the verbs do with frames of music (frames.c). */
#ifndef GEN_TOOLS_CLI_FRAMES_H
#define GEN_TOOLS_CLI_FRAMES_H

#include <stdbool.h>

#include "io/dataset.h"
#include "models/run.h"
#include "tools/cli/cli.h"

/* Is it a .mat file, or a folder with MIDI files in it? */
bool cli_is_frames(cli_args *a, const char *path);
/* gen info of such: pieces, frames, and what a model of them has to beat. */
gen_status cli_describe_frames(cli_args *a, const char *path, gen_error *err);

/* gen eval RUN --baseline bernoulli: nats a frame of keys that sound by chance, as often as in the training split, on another. */
gen_status cli_eval_bernoulli(const cli_args *a, gen_run *run, gen_split split, cli_numbers *numbers, gen_error *err);

/* gen sample of a model of frames, whose weights are loaded: --n frames after --prime, as MIDI and as a picture, or as a piano roll .npy. */
gen_status cli_sample_frames(cli_args *a, gen_run *run, gen_error *err);

#endif
