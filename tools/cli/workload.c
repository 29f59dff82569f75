/* The workloads of gen bench, and how one is made ready. */
#define _POSIX_C_SOURCE 200809L
#include "tools/cli/workload.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "models/cost.h"
#include "models/generate.h"

// clang-format off
static const cli_workload workloads[] = {
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

const cli_workload *cli_workload_at(int i)
{
    return i < N_WORKLOADS ? &workloads[i] : NULL;
}

const cli_workload *cli_workload_find(const char *name, gen_error *err)
{
    char known[200] = "";
    for (int i = 0; i < N_WORKLOADS; i++) {
        if (!strcmp(workloads[i].name, name)) return &workloads[i];
        strncat(known, i ? ", " : "", sizeof known - strlen(known) - 1);
        strncat(known, workloads[i].name, sizeof known - strlen(known) - 1);
    }
    gen_fail(err, GEN_BAD_OPTION, "there is no workload %s; there are %s", name, known);
    return NULL;
}

/* ---- making one ready ------------------------------------------------------------------------------------------------------------------------ */

/* A number of picture or token i of what is learned from. */
static float noise_at(const cli_workload *w, int64_t i)
{
    const float x = gen_uniform_from_word(gen_random_word(1, 0, (uint64_t)i));
    return w->words[0] ? floorf(x * (float)w->words[i % w->channels]) : x;
}

/* For a device that draws its batches: 32 of them, which are more than a graph of many steps takes; pictures as bytes, as files have them. */
static gen_status make_data(cli_loaded *l, cli_args *a, const cli_workload *w, int64_t batch, gen_error *err)
{
    enum { BATCHES = 32 };
    const int64_t n = BATCHES * batch * w->height * w->width * w->channels;
    uint8_t *px = w->words[0] ? NULL : gen_arena_alloc(a->arena, (size_t)n);
    float *x = w->words[0] ? gen_arena_alloc(a->arena, (size_t)n * sizeof *x) : NULL;
    if (!px && !x) return gen_fail(err, GEN_NO_MEMORY, "no memory for %d batches", BATCHES);
    for (int64_t i = 0; i < n && px; i++) px[i] = (uint8_t)(256 * noise_at(w, i));
    for (int64_t i = 0; i < n && x; i++) x[i] = noise_at(w, i);
    l->data = (gen_dataset){ .name = "noise", .n = BATCHES * batch, .px8 = px, .values = x };
    l->data.height_px = (int32_t)w->height;
    l->data.width_px = (int32_t)w->width;
    l->data.channels = (int32_t)w->channels;
    return GEN_OK;
}

/* The step as training has it: where the device takes several on end, with the guard that keeps a bad loss out of the weights. */
static gen_status make_step(cli_loaded *l, int64_t batch, gen_error *err)
{
    gen_graph *g = gen_graph_new();
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    const gen_model_context m = gen_run_context(&l->run, batch);
    if (l->run.settings.train.checkpoint_activations) gen_graph_checkpoint(g);
    l->run.settings.model->train(g, &m);
    if (gen_rolling_can(l->run.device) && gen_graph_outputs(g) > 0) gen_optim_guard(g, gen_graph_output(g, 0, NULL));
    GEN_TRY(gen_program_new(g, l->run.device, l->run.params, (uint64_t)l->run.settings.train.seed, &l->program, err));
    l->gflop = 2e-9 * gen_graph_multiply_adds(gen_program_graph(l->program));
    return GEN_OK;
}

static gen_status make_training(cli_loaded *l, cli_args *a, const cli_workload *w, gen_error *err)
{
    const gen_model_context m = gen_run_context(&l->run, w->batch);
    const int64_t batch = gen_model_step_images(l->run.settings.model, &m);
    const int64_t n = batch * w->height * w->width * w->channels;
    GEN_TRY(make_step(l, w->batch, err));
    if (gen_rolling_can(l->run.device)) {
        GEN_TRY(make_data(l, a, w, batch, err));
        GEN_TRY(gen_batches_new(&l->data, (gen_range){ 0, l->data.n }, batch, 1, 1, &l->batches, err));
        GEN_TRY(gen_rolling_new(l->program, l->batches, &l->rolling, err));
    }
    float *x = gen_arena_alloc(a->arena, (size_t)n * sizeof *x);
    if (!x) return gen_fail(err, GEN_NO_MEMORY, "no memory for a batch");
    for (int64_t i = 0; i < n; i++) x[i] = noise_at(w, i);
    return gen_program_feed(l->program, "x", x, n, err);
}

/* Its weights become known, with their first values. */
static gen_status make_sampling(cli_loaded *l, cli_args *a, const cli_workload *w, gen_error *err)
{
    char steps[24];
    snprintf(steps, sizeof steps, "%" PRId64, w->steps);
    GEN_TRY(gen_settings_set(&l->run.settings, "sample-steps", steps, err));
    GEN_TRY(gen_run_program(&l->run, l->run.settings.model->denoise, "make pictures", w->batch, &l->program, err));
    l->gflop = 2e-9 * gen_graph_multiply_adds(gen_program_graph(l->program)) * (double)w->steps;
    l->n_pictures = w->batch;
    l->pictures = gen_arena_alloc(a->arena, (size_t)(w->batch * w->height * w->width * w->channels) * sizeof(float));
    return l->pictures ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for pictures");
}

gen_status cli_workload_load(cli_args *a, const cli_workload *w, gen_device *device, cli_loaded *l, gen_error *err)
{
    l->run = (gen_run){ .arena = a->arena,
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
    if (!l->run.params) return gen_fail(err, GEN_NO_MEMORY, "no memory for a workload");
    GEN_TRY(gen_settings_start(&l->run.settings, gen_model_find(w->model), a->arena, err));
    GEN_TRY(gen_settings_preset(&l->run.settings, w->preset, err));
    l->run.settings.train.checkpoint_activations = a->o.checkpoint_activations;
    return w->steps ? make_sampling(l, a, w, err) : make_training(l, a, w, err);
}

/* ---- timing it ------------------------------------------------------------------------------------------------------------------------------- */

static gen_status one_step(cli_loaded *l, int64_t i, gen_error *err)
{
    double loss;
    if (l->pictures)
        return gen_generate(&l->run, &(gen_generation){ .n = l->n_pictures, .seed = (uint64_t)i }, l->pictures, err);
    GEN_TRY(gen_program_run(l->program, (gen_run_state){ .seed = 1, .step = (uint64_t)i }, err));
    return gen_program_fetch_scalar(l->program, gen_program_output_name(l->program, 0), &loss, err);
}

/* Steps i … i + n - 1, or all pictures; returns when they are done. */
static gen_status take_steps(cli_loaded *l, int64_t i, int64_t n, gen_error *err)
{
    const float *numbers;
    if (!l->rolling) return one_step(l, i, err);
    return gen_rolling_run(l->rolling, (gen_run_state){ .seed = 1, .step = (uint64_t)i }, n, &numbers, err);
}

gen_status cli_workload_measure(cli_loaded *l, double seconds, int64_t steps, cli_step_timing *t, gen_error *err)
{
    enum { WARM_UP = 2, LEAST = 3 };
    for (int64_t i = 0; i < WARM_UP; i++) GEN_TRY(take_steps(l, i, 1, err));
    const double start = cli_now_s();
    *t = (cli_step_timing){ .ms = 1e30 };
    while (steps ? t->steps < steps : cli_now_s() - start < seconds || t->steps < LEAST) {
        const int64_t n = l->rolling ? gen_rolling_most(l->rolling, steps ? steps - t->steps : INT64_MAX) : 1;
        const double began = cli_now_s();
        GEN_TRY(take_steps(l, t->steps + WARM_UP, n, err));
        const double ms = 1e3 * (cli_now_s() - began) / (double)n;
        if (ms < t->ms) t->ms = ms;
        if (n > t->most) t->most = n;
        t->steps += n;
    }
    return GEN_OK;
}

void cli_workload_unload(cli_loaded *l)
{
    gen_rolling_free(l->rolling);
    gen_batches_free(l->batches);
    gen_program_free(l->program);
    gen_params_free(l->run.params);
}
