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

#include "core/program.h"
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
    float *pictures;      /* that are made from noise; NULL: training */
    int64_t n_pictures;
    double gflop; /* multiplications and additions of direct convolution and of products in a step */
} cli_loaded;

gen_status cli_workload_load(cli_args *a, const cli_workload *w, gen_device *device, cli_loaded *l, gen_error *err);
void cli_workload_unload(cli_loaded *l);
/* Steps i … i + n - 1, of which only the last one's loss is read; or all pictures n times. */
gen_status cli_workload_steps(cli_loaded *l, int64_t i, int64_t n, gen_error *err);

/* The least time of a step in ms, two steps of warm-up apart: loaded, timed as --seconds or --steps say, unloaded. */
gen_status cli_workload_time(cli_args *a, const cli_workload *w, gen_device *device, double *ms, gen_error *err);

/* gen bench --scaling: the time of a step against the number of pictures and their size; drawn where there is --output (bench_scaling.c). */
gen_status cli_bench_scaling(cli_args *a, const cli_workload *w, gen_error *err);
/* gen bench --op: the kernels of an op on the shapes of a workload, or of all (bench_op.c). */
gen_status cli_bench_op(cli_args *a, const cli_workload *only, gen_error *err);

#endif
