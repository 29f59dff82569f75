/* gen bench WORKLOAD: times the training step of a bench preset, as bench/peers.py does: two warm-up steps, then the least time of a window. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "core/rng.h"
#include "core/thread.h"
#include "kernels/devices.h"
#include "models/cost.h"
#include "models/generate.h"
#include "tools/cli/cli.h"

typedef struct workload {
    const char *name, *model, *preset;
    int64_t batch, height, width, channels;
    int64_t words[GEN_MAX_FIELDS]; /* of the fields of tokens; zeros: pictures */
    int64_t classes;
    int64_t steps; /* 0: a training step is timed; else how `batch` pictures are made from noise in so many */
} workload;

// clang-format off
static const workload workloads[] = {
    { "vae32", "vae", "bench-vae", 32, 28, 28, 1, { 0 }, 0, 0 },
    { "vae128", "vae", "bench-vae", 128, 28, 28, 1, { 0 }, 0, 0 },
    { "cyc128", "cyclegan", "bench-cyc128", 1, 128, 128, 3, { 0 }, 0, 0 },
    { "ddpm8", "diffusion", "bench-ddpm8", 8, 32, 32, 3, { 0 }, 0, 0 },
    { "ddpm-mnist", "diffusion", "ddpm-mnist", 64, 28, 28, 1, { 0 }, 0, 0 },
    { "sample64", "diffusion", "ddpm-mnist", 64, 28, 28, 1, { 0 }, 10, 50 },
    { "camel", "gan", "bench-camel", 64, 28, 28, 1, { 0 }, 0, 0 },
    { "dcgan64", "gan", "bench-dcgan64", 64, 64, 64, 3, { 0 }, 0, 0 },
    { "wgangp", "gan", "bench-wgangp", 64, 64, 64, 3, { 0 }, 0, 0 },
    { "lstm", "music", "bench-lstm", 32, 33, 1, 2, { 128, 64 }, 0, 0 },
    { "style256", NULL, "bench-style256", 1, 256, 256, 3, { 0 }, 0, 0 }, /* no model: bench_style.c */
    { "style512", NULL, "bench-style256", 1, 512, 512, 3, { 0 }, 0, 0 },
    { "style1024", NULL, "bench-style256", 1, 1024, 1024, 3, { 0 }, 0, 0 },
};
// clang-format on
enum { N_WORKLOADS = sizeof workloads / sizeof *workloads };

static const workload *find_workload(const char *name)
{
    for (int i = 0; i < N_WORKLOADS; i++)
        if (!strcmp(workloads[i].name, name)) return &workloads[i];
    return NULL;
}

static gen_status unknown_workload(const char *name, gen_error *err)
{
    char known[200] = "";
    for (int i = 0; i < N_WORKLOADS; i++) {
        strncat(known, i ? ", " : "", sizeof known - strlen(known) - 1);
        strncat(known, workloads[i].name, sizeof known - strlen(known) - 1);
    }
    return gen_fail(err, GEN_BAD_OPTION, "there is no workload %s; there are %s", name, known);
}

/* ---- timing -------------------------------------------------------------------------------------------------------------------------------- */

typedef struct timing {
    gen_run run;
    gen_program *program; /* of a training step, or of one look of the network at noisy pictures */
    float *pictures;      /* that are made from noise; NULL: training */
    int64_t n_pictures;
    double ms;
    double gflop; /* multiplications and additions of direct convolution and of products; 0 unknown */
    int64_t steps;
} timing;

static gen_status make_training(timing *t, cli_args *a, const workload *w, gen_error *err)
{
    GEN_TRY(gen_run_program(&t->run, t->run.settings.model->train, "be trained", w->batch, &t->program, err));
    t->gflop = 2e-9 * gen_graph_multiply_adds(gen_program_graph(t->program));
    gen_model_context m = gen_run_context(&t->run, w->batch);
    int64_t n = gen_model_step_images(t->run.settings.model, &m) * w->height * w->width * w->channels;
    float *x = gen_arena_alloc(a->arena, (size_t)n * sizeof *x);
    if (!x) return gen_fail(err, GEN_NO_MEMORY, "no memory for a batch");
    for (int64_t i = 0; i < n; i++) {
        x[i] = gen_uniform_from_word(gen_random_word(1, 0, (uint64_t)i));
        if (w->words[0]) x[i] = floorf(x[i] * (float)w->words[i % w->channels]);
    }
    return gen_program_feed(t->program, "x", x, n, err);
}

/* Its weights become known, with their first values. */
static gen_status make_sampling(timing *t, cli_args *a, const workload *w, gen_error *err)
{
    char steps[24];
    snprintf(steps, sizeof steps, "%" PRId64, w->steps);
    GEN_TRY(gen_settings_set(&t->run.settings, "sample-steps", steps, err));
    GEN_TRY(gen_run_program(&t->run, t->run.settings.model->denoise, "make pictures", w->batch, &t->program, err));
    t->gflop = 2e-9 * gen_graph_multiply_adds(gen_program_graph(t->program)) * (double)w->steps;
    t->n_pictures = w->batch;
    t->pictures = gen_arena_alloc(a->arena, (size_t)(w->batch * w->height * w->width * w->channels) * sizeof(float));
    return t->pictures ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for pictures");
}

static gen_status make(timing *t, cli_args *a, const workload *w, gen_device *device, gen_error *err)
{
    t->run = (gen_run){ .arena = a->arena,
                        .folder = "",
                        .data_name = "",
                        .device = device,
                        .params = gen_params_new(device),
                        .height = w->height,
                        .width = w->width,
                        .channels = w->channels,
                        .classes = w->classes,
                        .vocabulary = { .n_fields = w->words[0] ? (int32_t)w->channels : 0,
                                        .n_words = { w->words[0], w->words[1] } } };
    if (!t->run.params) return gen_fail(err, GEN_NO_MEMORY, "no memory for a workload");
    GEN_TRY(gen_settings_start(&t->run.settings, gen_model_find(w->model), a->arena, err));
    GEN_TRY(gen_settings_preset(&t->run.settings, w->preset, err));
    return w->steps ? make_sampling(t, a, w, err) : make_training(t, a, w, err);
}

static gen_status step(timing *t, int64_t i, gen_error *err)
{
    double loss;
    if (t->pictures)
        return gen_generate(&t->run, &(gen_generation){ .n = t->n_pictures, .seed = (uint64_t)i }, t->pictures, err);
    GEN_TRY(gen_program_run(t->program, (gen_run_state){ .seed = 1, .step = (uint64_t)i }, err));
    return gen_program_fetch_scalar(t->program, gen_program_output_name(t->program, 0), &loss, err);
}

static gen_status time_steps(timing *t, const cli_args *a, gen_error *err)
{
    enum { WARM_UP = 2, LEAST = 3 };
    for (int64_t i = 0; i < WARM_UP; i++) GEN_TRY(step(t, i, err));
    double start = cli_now_s();
    t->ms = 1e30;
    for (t->steps = 0; a->o.steps ? t->steps < a->o.steps : cli_now_s() - start < a->o.seconds || t->steps < LEAST;
         t->steps++) {
        double began = cli_now_s();
        GEN_TRY(step(t, t->steps + WARM_UP, err));
        double ms = 1e3 * (cli_now_s() - began);
        if (ms < t->ms) t->ms = ms;
    }
    return GEN_OK;
}

static void print_profile(timing *t, cli_args *a, gen_error *err)
{
    enum { STEPS = 20 };
    const gen_plan *plan = gen_program_plan(t->program);
    double *seconds = gen_arena_alloc(a->arena, (size_t)plan->n_steps * sizeof *seconds), total = 0;
    char shape[64];
    if (!seconds) return;
    gen_session_profile(gen_program_session(t->program), true, seconds);
    for (int64_t i = 0; i < STEPS; i++)
        if (gen_program_run(t->program, (gen_run_state){ .seed = 1, .step = (uint64_t)i }, err) != GEN_OK) return;
    gen_session_profile(gen_program_session(t->program), false, seconds);
    for (int32_t i = 0; i < plan->n_steps; i++) total += seconds[i];
    for (int32_t i = 0; i < plan->n_steps; i++) {
        const gen_node *out = gen_graph_node(plan->graph, plan->steps[i].out[0]);
        printf("%4d  %-12s %-20.40s %-18s %8.3f ms %5.1f %%\n", i, gen_op_get(plan->steps[i].op)->name,
               plan->steps[i].name, gen_shape_text(&out->shape, shape, sizeof shape), 1e3 * seconds[i] / STEPS,
               100 * seconds[i] / total);
    }
}

static gen_status print_timing(const timing *t, cli_args *a, const workload *w, gen_error *err)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    int64_t threads = a->o.threads ? a->o.threads : gen_cpu_count();
    if (!a->o.json) {
        printf("%s: %.3f ms a step (least of %" PRId64 "), %ld MB, %s\n", w->name, t->ms, t->steps,
               usage.ru_maxrss / 1024, t->run.device->name);
        return GEN_OK;
    }
    gen_json_out out = { .arena = a->arena };
    gen_json_open(&out, NULL, '{');
    gen_json_put_string(&out, "workload", w->name);
    gen_json_put_string(&out, "mode", "gen");
    gen_json_put_string(&out, "precision", "fp32");
    gen_json_put_double(&out, "ms", t->ms);
    gen_json_put_int(&out, "steps", t->steps);
    gen_json_put_double(&out, "gflop", t->gflop);
    gen_json_put_double(&out, "peak_gflop_s",
                        t->run.device->ops->peak ? 1e-9 * t->run.device->ops->peak(t->run.device) : 0);
    gen_json_put_int(&out, "max_rss_mb", usage.ru_maxrss / 1024);
    gen_json_put_int(&out, "threads", threads);
    gen_json_put_string(&out, "device", t->run.device->name);
    gen_json_close(&out, '}');
    return cli_print_json(&out, err);
}

static gen_status bench_style(timing *t, const cli_args *a, const workload *w, gen_device *device, gen_error *err)
{
    cli_style_timing s;
    GEN_TRY(cli_bench_style(a, device, w->preset, (int32_t)w->height, &s, err));
    t->ms = s.ms;
    t->steps = s.steps;
    t->gflop = s.gflop;
    return GEN_OK;
}

static gen_status bench(cli_args *a, const workload *w, gen_error *err)
{
    timing t = { 0 };
    gen_device *device;
    GEN_TRY(gen_device_open(a->o.device, (int32_t)a->o.threads, &device, err));
    t.run.device = device;
    gen_status status = w->model ? make(&t, a, w, device, err) : bench_style(&t, a, w, device, err);
    if (status == GEN_OK && w->model) status = time_steps(&t, a, err);
    if (status == GEN_OK) status = print_timing(&t, a, w, err);
    if (status == GEN_OK && a->o.profile && t.program) print_profile(&t, a, err);
    gen_program_free(t.program);
    gen_params_free(t.run.params);
    device->ops->close(device);
    return status;
}

static int run(cli_args *a, gen_error *err)
{
    if (!a->n_words) {
        for (int i = 0; i < N_WORKLOADS; i++) puts(workloads[i].name);
        return CLI_GOOD;
    }
    if (cli_need_words(&cli_bench, a, 1, 1, err) != GEN_OK) return CLI_USAGE;
    const workload *w = find_workload(a->word[0]);
    if (!w) return unknown_workload(a->word[0], err), CLI_USAGE;
    return bench(a, w, err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
}

static const char *const takes[] = { "seconds", "steps", "profile", "threads", "device", "json", NULL };
const cli_verb cli_bench = { "bench", "[WORKLOAD]", "time the training step of a workload; alone: names them", takes,
                             0,       run };
