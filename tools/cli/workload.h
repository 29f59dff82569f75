/* tools/cli/workload.h: what `gen bench` times: steps of the models, each on pictures (or tokens) of random numbers, by the names of tools/peers.py.
 *
 *     const cli_workload *w = cli_workload_find("vae32", err);
 *     cli_loaded l = { 0 };
 *     status = cli_workload_load(a, w, device, &l, err);
 *     … gen_program_run(l.program, …) …
 *     cli_workload_unload(&l);                          // also after a failure
 */
#ifndef GEN_TOOLS_WORKLOAD_H
#define GEN_TOOLS_WORKLOAD_H

#include "models/rolling.h"
#include "tools/cli/cli.h"

typedef struct cli_workload {
    const char *name, *model, *preset; /* model NULL: style transfer, bench_style.c */
    int64_t batch, height, width, channels;
    int64_t words[GEN_MAX_FIELDS]; /* of the fields of tokens; zeros: pictures */
    int64_t classes;
    int64_t steps; /* 0: a training step is timed; else how `batch` pictures are made from noise in so many */
} cli_workload;

const cli_workload *cli_workload_at(int i); /* NULL after the last */
/* NULL: there is none of that name, and err says which there are. */
const cli_workload *cli_workload_find(const char *name, gen_error *err);

typedef struct cli_loaded {
    gen_run run;
    gen_program *program; /* of a training step, fed; or of one look of the network at noisy pictures */
    gen_dataset data;     /* random numbers, where the device draws its batches */
    gen_batches *batches;
    gen_rolling *rolling; /* NULL: the device takes one step at a time, of the first batch */
    float *pictures;      /* that are made from noise; NULL: training */
    int64_t n_pictures;
    double gflop; /* multiplications and additions of direct convolution and of products in a step */
} cli_loaded;

gen_status cli_workload_load(cli_args *a, const cli_workload *w, gen_device *device, cli_loaded *l, gen_error *err);
void cli_workload_unload(cli_loaded *l);

typedef struct cli_step_timing {
    double ms;     /* of a step, or of all pictures: the least of all looks at the clock */
    int64_t steps; /* without the warm-up */
    int64_t most;  /* steps between two looks: several where a device goes on by itself */
} cli_step_timing;

/* Steps for so many seconds, or so many (0: seconds count), after two of warm-up. A device that takes training steps on end is given as many at a time as in
 * training (models/rolling.h): the time of a step is then that of all of them, waiting and reading losses included, over their number. */
gen_status cli_workload_measure(cli_loaded *l, double seconds, int64_t steps, cli_step_timing *timing, gen_error *err);

/* The least time of a step in ms, two steps of warm-up apart: loaded, timed as --seconds or --steps say, unloaded. */
gen_status cli_workload_time(cli_args *a, const cli_workload *w, gen_device *device, double *ms, gen_error *err);

/* gen bench --scaling: the time of a step against the number of pictures and their size; drawn where there is --output (bench_scaling.c). */
gen_status cli_bench_scaling(cli_args *a, const cli_workload *w, gen_error *err);
/* gen bench --op: the kernels of an op on the shapes of a workload, or of all (bench_op.c). */
gen_status cli_bench_op(cli_args *a, const cli_workload *only, gen_error *err);

#endif
