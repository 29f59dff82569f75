/* The workload style256 of gen bench: iterations of style transfer on random pictures with random weights. */
#define _POSIX_C_SOURCE 200809L

#include "core/rng.h"
#include "models/style.h"
#include "tools/cli/cli.h"

enum { SIDE = 256, WARM_UP = 2, LEAST = 3 };

typedef struct stopwatch {
    double first_s, last_s, least_s, seconds;
    int64_t steps, want; /* without the warm-up; want 0: as many as fit into seconds */
} stopwatch;

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

static gen_style_picture noise(gen_arena *arena, uint32_t stream)
{
    size_t n = (size_t)SIDE * SIDE * 3;
    float *rgb = gen_arena_alloc(arena, n * sizeof *rgb);
    for (size_t i = 0; rgb && i < n; i++) rgb[i] = gen_uniform_from_word(gen_random_word(1, stream, i));
    return (gen_style_picture){ rgb, SIDE, SIDE, 1, NULL };
}

gen_status cli_bench_style(const cli_args *a, gen_device *device, const char *preset, double *ms, int64_t *steps,
                           gen_error *err)
{
    gen_style_options o;
    gen_style *s = NULL;
    stopwatch w = { .least_s = 1e30, .seconds = a->o.seconds, .want = a->o.steps };
    GEN_TRY(gen_style_options_start(&o, preset, a->arena, err));
    gen_style_job job = { .options = &o,
                          .net = &gen_vgg19,
                          .input = gen_vgg19.input,
                          .content = noise(a->arena, 0),
                          .styles = { noise(a->arena, 1) },
                          .n_styles = 1 };
    if (!job.content.rgb || !job.styles[0].rgb) return gen_fail(err, GEN_NO_MEMORY, "no memory for a workload");
    GEN_TRY(gen_style_open(&job, device, &s, err));
    gen_error stopped = { 0 };
    gen_status status = gen_style_run(s, (gen_style_hooks){ .on_iteration = on_iteration, .context = &w }, &stopped);
    gen_style_close(s);
    if (status != GEN_OK && status != GEN_STOPPED) return gen_fail(err, status, "%s", stopped.text);
    *ms = 1e3 * w.least_s;
    *steps = w.steps;
    return GEN_OK;
}
