/* gen bench WORKLOAD: times the training step of a bench preset, as bench/peers.py does: two warm-up steps, then the least time of a window. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <sys/resource.h>

#include "core/thread.h"
#include "kernels/devices.h"
#include "tools/cli/profile.h"
#include "tools/cli/workload.h"

typedef struct timing {
    cli_loaded loaded;
    gen_device *device;
    double ms;              /* the least of so many steps */
    double gflop;           /* of a step; 0: unknown */
    int64_t steps, at_once; /* at_once: between two looks at the clock */
} timing;

static gen_status time_steps(timing *t, const cli_args *a, gen_error *err)
{
    cli_step_timing took;
    GEN_TRY(cli_workload_measure(&t->loaded, a->o.seconds, a->o.steps, &took, err));
    t->ms = took.ms;
    t->steps = took.steps;
    t->at_once = took.most;
    return GEN_OK;
}

static gen_status write_trace(timing *t, cli_args *a, gen_error *err)
{
    cli_trace trace = { .arena = a->arena };
    for (uint64_t i = 0; !cli_trace_full(&trace); i++) {
        GEN_TRY(gen_program_run(t->loaded.program, (gen_run_state){ .seed = 1, .step = i }, err));
        cli_trace_ran(&trace, t->loaded.program);
    }
    return cli_trace_write(&trace, a->o.trace, err);
}

gen_status cli_workload_time(cli_args *a, const cli_workload *w, gen_device *device, double *ms, gen_error *err)
{
    timing t = { .device = device };
    gen_status status = cli_workload_load(a, w, device, &t.loaded, err);
    if (status == GEN_OK) status = time_steps(&t, a, err);
    if (status == GEN_OK) *ms = t.ms;
    cli_workload_unload(&t.loaded);
    return status;
}

/* Call by call, of which style transfer has none to show. */
static gen_status look_inside(timing *t, cli_args *a, const cli_workload *w, gen_error *err)
{
    if (!a->o.profile && !*a->o.trace) return GEN_OK;
    if (!t->loaded.program)
        return gen_fail(err, GEN_UNSUPPORTED, "%s is no model: its calls cannot be shown one by one", w->name);
    if (!t->device->ops->profile)
        return gen_fail(err, GEN_UNSUPPORTED, "%s does not measure single calls", t->device->name);
    const int64_t usual = 20;
    if (a->o.profile) GEN_TRY(cli_print_profile(t->loaded.program, a->o.steps ? a->o.steps : usual, a->arena, err));
    return *a->o.trace ? write_trace(t, a, err) : GEN_OK;
}

static gen_status print_timing(const timing *t, cli_args *a, const cli_workload *w, gen_error *err)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    int64_t threads = a->o.threads ? a->o.threads : gen_cpu_count();
    if (!a->o.json) {
        printf("%s: %.3f ms a step (least of %" PRId64 "), %ld MB, %s\n", w->name, t->ms, t->steps,
               usage.ru_maxrss / 1024, t->device->name);
        return GEN_OK;
    }
    gen_json_out out = { .arena = a->arena };
    gen_json_open(&out, NULL, '{');
    gen_json_put_string(&out, "workload", w->name);
    gen_json_put_string(&out, "mode", "gen");
    gen_json_put_string(&out, "precision", a->o.precision);
    gen_json_put_double(&out, "ms", t->ms);
    gen_json_put_int(&out, "steps", t->steps);
    gen_json_put_int(&out, "steps_at_once", t->at_once);
    gen_json_put_double(&out, "gflop", t->gflop);
    gen_json_put_double(&out, "peak_gflop_s", t->device->ops->peak ? 1e-9 * t->device->ops->peak(t->device) : 0);
    gen_json_put_int(&out, "max_rss_mb", usage.ru_maxrss / 1024);
    gen_json_put_int(&out, "threads", threads);
    gen_json_put_string(&out, "device", t->device->name);
    gen_json_close(&out, '}');
    return cli_print_json(&out, err);
}

static gen_status bench_style(timing *t, const cli_args *a, const cli_workload *w, gen_device *device, gen_error *err)
{
    cli_style_timing s;
    GEN_TRY(cli_bench_style(a, device, w->preset, (int32_t)w->height, &s, err));
    t->ms = s.ms;
    t->steps = s.steps;
    t->at_once = 1;
    t->gflop = s.gflop;
    return GEN_OK;
}

static gen_status time_workload(timing *t, cli_args *a, const cli_workload *w, gen_error *err)
{
    if (!w->model) return bench_style(t, a, w, t->device, err);
    GEN_TRY(cli_workload_load(a, w, t->device, &t->loaded, err));
    t->gflop = t->loaded.gflop;
    return time_steps(t, a, err);
}

static gen_status bench(cli_args *a, const cli_workload *w, gen_error *err)
{
    timing t = { 0 };
    GEN_TRY(cli_open_device(a, &t.device, err));
    gen_status status = cli_use_tuning(a, t.device, err);
    if (status == GEN_OK) status = time_workload(&t, a, w, err);
    if (status == GEN_OK) status = print_timing(&t, a, w, err);
    if (status == GEN_OK) status = look_inside(&t, a, w, err);
    cli_workload_unload(&t.loaded);
    t.device->ops->close(t.device);
    return status;
}

static int run(cli_args *a, gen_error *err)
{
    if (!a->n_words && !*a->o.op && !a->o.scaling) {
        for (int i = 0; cli_workload_at(i); i++) puts(cli_workload_at(i)->name);
        return CLI_GOOD;
    }
    if (cli_need_words(&cli_bench, a, !*a->o.op, 1, err) != GEN_OK) return CLI_USAGE;
    const cli_workload *w = a->n_words ? cli_workload_find(a->word[0], err) : NULL;
    gen_status status;
    if (*a->o.op && !a->n_words) status = cli_bench_op(a, NULL, err);
    else if (!w) return CLI_USAGE;
    else status = *a->o.op ? cli_bench_op(a, w, err) : a->o.scaling ? cli_bench_scaling(a, w, err) : bench(a, w, err);
    return status == GEN_OK ? CLI_GOOD : CLI_FAILED;
}

static const char *const takes[] = {
    "op",   "scaling", "output",  "seconds", "steps",     "profile", "checkpoint-activations",
    "tune", "trace",   "threads", "device",  "precision", "json",    NULL
};
const cli_verb cli_bench = {
    "bench", "[WORKLOAD]", "time a step of a workload, or with --op kernels; alone: names workloads", takes, 0, run
};
