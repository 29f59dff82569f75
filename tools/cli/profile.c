#define _POSIX_C_SOURCE 200809L
#include "tools/cli/profile.h"

#include <stdio.h>
#include <string.h>

#include "models/cost.h"
#include "tools/cli/cli.h"

static const char *call_shape(const gen_plan *plan, const gen_plan_step *step, char shape[64])
{
    return gen_shape_text(&gen_graph_node(plan->graph, step->out[0])->shape, shape, 64);
}

/* ---- a file for browsers ------------------------------------------------------------------------------------------------------------------- */

/* An event that lasts: "ph": "X", times in microseconds. Left open for its arguments. */
static void open_event(gen_json_out *out, const char *name, const char *category, double start_s, double seconds)
{
    gen_json_open(out, NULL, '{');
    gen_json_put_string(out, "name", name);
    gen_json_put_string(out, "cat", category);
    gen_json_put_string(out, "ph", "X");
    gen_json_put_double(out, "ts", 1e6 * start_s);
    gen_json_put_double(out, "dur", 1e6 * seconds);
    gen_json_put_int(out, "pid", 1);
    gen_json_put_int(out, "tid", 1);
    gen_json_open(out, "args", '{');
}

static void close_event(gen_json_out *out)
{
    gen_json_close(out, '}');
    gen_json_close(out, '}');
}

static void put_call(gen_json_out *out, const gen_plan *plan, int32_t i, double start_s, double seconds)
{
    const gen_plan_step *step = &plan->steps[i];
    const char *op = gen_op_get(step->op)->name;
    char name[128], shape[64];
    snprintf(name, sizeof name, "%s%s%.100s", op, *step->name ? " " : "", step->name);
    open_event(out, name, op, start_s, seconds);
    gen_json_put_int(out, "call", i);
    gen_json_put_string(out, "result", call_shape(plan, step, shape));
    if (seconds > 0) {
        gen_json_put_double(out, "gflop_s", 2e-9 * gen_step_multiply_adds(plan, step) / seconds);
        gen_json_put_double(out, "gb_s", 1e-9 * gen_step_bytes(plan, step, sizeof(float)) / seconds);
    }
    close_event(out);
}

static void start_trace(cli_trace *t, gen_program *program)
{
    size_t n = (size_t)gen_program_plan(program)->n_steps;
    t->open = true;
    t->seconds = gen_arena_alloc(t->arena, 2 * n * sizeof *t->seconds);
    t->failed = !t->seconds;
    if (t->failed) return;
    memset(t->seconds, 0, 2 * n * sizeof *t->seconds);
    t->out = (gen_json_out){ .arena = t->arena };
    gen_json_open(&t->out, NULL, '{');
    gen_json_put_string(&t->out, "displayTimeUnit", "ms");
    gen_json_open(&t->out, "traceEvents", '[');
    gen_session_profile(gen_program_session(program), true, NULL);
    t->start_s = cli_now_s();
}

bool cli_trace_full(const cli_trace *t)
{
    return t->failed || t->steps == CLI_TRACE_STEPS;
}

/* The device counts seconds for each call; calls run one after the other, so where each began follows. */
void cli_trace_ran(cli_trace *t, gen_program *program)
{
    if (!t->open) start_trace(t, program);
    else if (!cli_trace_full(t)) {
        const gen_plan *plan = gen_program_plan(program);
        int32_t n = plan->n_steps;
        double *before = t->seconds, *now = t->seconds + n, total = 0;
        char name[32];
        t->steps++;
        gen_session_profile(gen_program_session(program), !cli_trace_full(t), now);
        for (int32_t i = 0; i < n; i++) total += now[i] - before[i];
        double at = cli_now_s() - t->start_s - total;
        if (at < t->last_s) at = t->last_s;
        snprintf(name, sizeof name, "step %d", t->steps);
        open_event(&t->out, name, "step", at, total);
        close_event(&t->out);
        for (int32_t i = 0; i < n; i++) {
            put_call(&t->out, plan, i, at, now[i] - before[i]);
            at += now[i] - before[i];
        }
        t->last_s = at;
        memcpy(before, now, (size_t)n * sizeof *before);
    }
}

gen_status cli_trace_write(cli_trace *t, const char *path, gen_error *err)
{
    gen_bytes bytes;
    if (t->failed) return gen_fail(err, GEN_NO_MEMORY, "no memory for a trace");
    if (!t->steps)
        return gen_fail(err, GEN_UNSUPPORTED, "%s is not written: a trace needs two steps or more, of a network", path);
    gen_json_close(&t->out, ']');
    gen_json_close(&t->out, '}');
    GEN_TRY(gen_json_finish(&t->out, &bytes, err));
    return gen_file_write(path, bytes.data, bytes.size, err);
}

/* ---- a table -------------------------------------------------------------------------------------------------------------------------------- */

gen_status cli_print_profile(gen_program *program, int64_t n_runs, gen_arena *arena, gen_error *err)
{
    const gen_plan *plan = gen_program_plan(program);
    double *seconds = gen_arena_alloc(arena, (size_t)plan->n_steps * sizeof *seconds), total = 0;
    char shape[64];
    if (!seconds) return gen_fail(err, GEN_NO_MEMORY, "no memory for a profile");
    gen_session_profile(gen_program_session(program), true, NULL);
    for (int64_t i = 0; i < n_runs; i++)
        GEN_TRY(gen_program_run(program, (gen_run_state){ .seed = 1, .step = (uint64_t)i }, err));
    gen_session_profile(gen_program_session(program), false, seconds);
    for (int32_t i = 0; i < plan->n_steps; i++) total += seconds[i];
    for (int32_t i = 0; i < plan->n_steps; i++) {
        const gen_plan_step *step = &plan->steps[i];
        double s = seconds[i] / (double)n_runs, flops = 2 * gen_step_multiply_adds(plan, step);
        double rate = 1e-9 * (flops > 0 ? flops : gen_step_bytes(plan, step, sizeof(float))) / s;
        printf("%4d  %-12s %-20.40s %-18s %8.3f ms %5.1f %% %8.1f %s\n", i, gen_op_get(step->op)->name, step->name,
               call_shape(plan, step, shape), 1e3 * s, 100 * seconds[i] / total, rate, flops > 0 ? "GFLOP/s" : "GB/s");
    }
    return GEN_OK;
}
