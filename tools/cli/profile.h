/* tools/cli/profile.h: where the time of a step goes, call by call: as a table, or as a file that browsers draw.
 *
 *     cli_trace trace = { .arena = arena };
 *     for (…) { GEN_TRY(gen_program_run(program, state, err)); cli_trace_ran(&trace, program); }
 *     GEN_TRY(cli_trace_write(&trace, "trace.json", err));
 */
#ifndef GEN_TOOLS_PROFILE_H
#define GEN_TOOLS_PROFILE_H

#include "core/program.h"
#include "io/json.h"

enum { CLI_TRACE_STEPS = 3 };

typedef struct cli_trace {
    gen_arena *arena; /* the only field to set */
    gen_json_out out;
    double *seconds;        /* [2][calls]: what the device had counted before the last run, and now */
    double start_s, last_s; /* of the first event, and the end of the last one */
    int32_t steps;          /* recorded */
    bool open, failed;
} cli_trace;

/* Tells that the program, always the same one, has run once. The first time warms up: the steps recorded are those after it, CLI_TRACE_STEPS of them. */
void cli_trace_ran(cli_trace *t, gen_program *program);
bool cli_trace_full(const cli_trace *t);
/* Writes what was recorded, in the Trace Event Format of chrome://tracing and ui.perfetto.dev. GEN_UNSUPPORTED when no step was. */
gen_status cli_trace_write(cli_trace *t, const char *path, gen_error *err);

/* Runs the program so many times and prints a line for each call: its share, GFLOP/s or GB/s. */
gen_status cli_print_profile(gen_program *program, int64_t n_runs, gen_arena *arena, gen_error *err);

#endif
