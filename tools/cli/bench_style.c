/* The workloads style256 … of gen bench: iterations of style transfer on random pictures with random weights. */
#define _POSIX_C_SOURCE 200809L

#include "core/rng.h"
#include "models/style.h"
#include "tools/cli/cli.h"

enum { WARM_UP = 2, LEAST = 3 };

typedef struct stopwatch {
    double first_s, last_s, least_s, seconds;
    int64_t steps, want; /* without the warm-up; want 0: as many as fit into seconds */
    double flops;        /* of all iterations that the preset asks for */
} stopwatch;

static void on_start(void *context, const gen_style_estimate *e)
{
    ((stopwatch *)context)->flops = e->flops;
}

static bool on_iteration(void *context, gen_style *s, const gen_style_progress *p)
{
    stopwatch *w = context;
    double now = cli_now_s(), took = now - w->last_s;
    (void)s;
    w->last_s = now;
    if (p->done == WARM_UP) w->first_s = now;
    if (p->done <= WARM_UP) return true;
    if (took < w->least_s) w->least_s = took;
    w->steps++;
    return w->want ? w->steps < w->want : now - w->first_s < w->seconds || w->steps < LEAST;
}

static gen_style_picture noise(gen_arena *arena, int32_t side, uint32_t stream)
{
    size_t n = (size_t)side * (size_t)side * 3;
    float *rgb = gen_arena_alloc(arena, n * sizeof *rgb);
    for (size_t i = 0; rgb && i < n; i++) rgb[i] = gen_uniform_from_word(gen_random_word(1, stream, i));
    return (gen_style_picture){ rgb, side, side, 1, NULL };
}

gen_status cli_bench_style(const cli_args *a, gen_device *device, const char *preset, int32_t size_px,
                           cli_style_timing *timing, gen_error *err)
{
    gen_style_options o;
    gen_style *s = NULL;
    stopwatch w = { .least_s = 1e30, .seconds = a->o.seconds, .want = a->o.steps };
    GEN_TRY(gen_style_options_start(&o, preset, a->arena, err));
    o.size = size_px;
    gen_style_job job = { .options = &o,
                          .net = &gen_vgg19,
                          .input = gen_vgg19.input,
                          .content = noise(a->arena, size_px, 0),
                          .styles = { noise(a->arena, size_px, 1) },
                          .n_styles = 1 };
    if (!job.content.rgb || !job.styles[0].rgb) return gen_fail(err, GEN_NO_MEMORY, "no memory for a workload");
    GEN_TRY(gen_style_open(&job, device, &s, err));
    gen_error stopped = { 0 };
    gen_status status = gen_style_run(s, (gen_style_hooks){ on_start, on_iteration, &w }, &stopped);
    gen_style_close(s);
    if (status != GEN_OK && status != GEN_STOPPED) return gen_fail(err, status, "%s", stopped.text);
    *timing = (cli_style_timing){ 1e3 * w.least_s, 1e-9 * w.flops / (double)o.iterations, w.steps };
    return GEN_OK;
}
