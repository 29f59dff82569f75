/* The loop of style transfer: from the smallest size to the largest, at each one plan that is a whole iteration (network, losses, gradient, Adam), or for
 * L-BFGS one that gives loss and gradient. Pictures too large for that get their gradient in tiles, and Adam moves some pixels after the other.
 *
 * The parameter is p = range (rgb - 1/2): centred, so that keeping pixels between black and white is keeping |p| below range / 2.
 * Averages of iterates and the moments of Adam go from one size to the next as in crowsonkb/style-transfer-pytorch.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/autodiff.h"
#include "core/program.h"
#include "core/rng.h"
#include "models/lbfgs.h"
#include "models/style.h"
#include "models/style_plan.h"
#include "models/style_state.h"
#include "models/style_targets.h"
#include "models/style_tiles.h"

int64_t style_iterations(const gen_style *s, int32_t scale)
{
    const gen_style_options *o = s->job.options;
    int64_t later = o->later_iterations ? o->later_iterations : (o->iterations + 1) / 2;
    return scale ? later : o->iterations;
}

/* ---- graphs ------------------------------------------------------------------------------------------------------------------ */

bool style_uses_adam(const gen_style *s)
{
    return !strcmp(s->job.options->optimizer, "adam");
}

static gen_shape picture_shape(const style_scale *at)
{
    return GEN_SHAPE(1, at->height, at->width, 3);
}

static void put_losses(gen_graph *g, gen_style_parts p)
{
    gen_output(g, "loss", p.loss);
    gen_output(g, "content", p.content);
    gen_output(g, "style", p.style);
    gen_output(g, "tv", p.tv);
}

static gen_optim_options adam_options(const gen_style_options *o)
{
    return (gen_optim_options){ .rule = GEN_ADAM,
                                .lr = o->lr != 0 ? o->lr : 0.02 * o->range,
                                .beta2 = o->beta2,
                                .clip_value = o->clamp ? o->range / 2 : 0 };
}

static gen_node *pixels_of(gen_graph *g, const char *picture, gen_shape shape)
{
    char name[STYLE_NAME_BYTES];
    return gen_param(g, style_name(picture, "pixels", name), shape, (gen_param_spec){ .init = GEN_INIT_ZERO });
}

/* A step of Adam down the loss, and the average of the iterates. Parameters of the picture start with its name, those of the network do not. */
static void move(gen_graph *g, const gen_style_options *o, const char *picture, gen_node *loss, gen_shape shape)
{
    char name[STYLE_NAME_BYTES];
    gen_param_spec state = { .init = GEN_INIT_ZERO, .state = true, .counter = true };
    gen_optim_options optim = adam_options(o);
    gen_optim_minimise(g, loss, picture, &optim);
    if (o->ema == 0) return;
    gen_node *average = gen_param(g, style_name(picture, "average", name), shape, state);
    gen_node *moved = pixels_of(g, picture, shape);
    gen_assign(g, average, gen_add(g, gen_scale(g, average, o->ema), gen_scale(g, moved, 1 - o->ema)));
}

static void adam_graph(gen_graph *g, const gen_style *s, int32_t scale)
{
    const gen_style_options *o = s->job.options;
    char picture[STYLE_PICTURE_BYTES];
    gen_shape shape = picture_shape(&s->scales[scale]);
    gen_node *pixels = pixels_of(g, style_picture_name(s, scale, picture), shape);
    gen_style_parts parts = gen_style_objective(g, &s->loss, gen_affine(g, pixels, 1 / o->range, 0.5));
    put_losses(g, parts);
    move(g, o, picture, parts.loss, shape);
}

/* Adam for some pixels whose gradient is known: it is that of the sum of gradient times pixels. */
static void update_graph(gen_graph *g, const gen_style *s, int32_t scale)
{
    char picture[STYLE_PICTURE_BYTES];
    gen_shape shape = GEN_SHAPE(STYLE_UPDATE_NUMBERS);
    gen_node *pixels = pixels_of(g, style_picture_name(s, scale, picture), shape);
    gen_node *loss = gen_sum_all(g, gen_mul(g, gen_input(g, "gradient", shape), pixels));
    move(g, s->job.options, picture, loss, shape);
}

/* Loss and gradient at "pixels". */
static void gradient_graph(gen_graph *g, const gen_style *s, int32_t scale)
{
    gen_node *pixels = gen_input(g, "pixels", picture_shape(&s->scales[scale])), *gradient;
    gen_style_parts parts = gen_style_objective(g, &s->loss, gen_affine(g, pixels, 1 / s->job.options->range, 0.5));
    put_losses(g, parts);
    gen_gradient(g, parts.loss, NULL, 1, &pixels, &gradient);
    gen_output(g, "gradient", gradient);
}

gen_graph *style_iteration_graph(const gen_style *s, int32_t scale)
{
    gen_graph *g = gen_graph_new();
    if (g && style_uses_adam(s)) adam_graph(g, s, scale);
    else if (g) gradient_graph(g, s, scale);
    return g;
}

static gen_graph *graph_of_updates(const gen_style *s, int32_t scale)
{
    gen_graph *g = gen_graph_new();
    if (g) update_graph(g, s, scale);
    return g;
}

/* ---- the first picture ------------------------------------------------------------------------------------------------------------- */

static double normal_at(uint64_t seed, int64_t i)
{
    float numbers[4];
    gen_normal_from_block(gen_philox_block(seed, (uint32_t)(i / 4), 0, 0, (uint32_t)gen_hash_name("style")), numbers);
    return (double)numbers[i % 4];
}

static void noise_around(gen_style *s, const double centre[3], double deviation, float *rgb, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double v = centre[i % 3] + (deviation > 0 ? deviation * normal_at((uint64_t)s->job.options->seed, i) : 0);
        rgb[i] = (float)fmin(fmax(v, 0), 1);
    }
}

/* into rgb[h,w,3]. neural-style starts from N(0, 0.001^2) around the mean of its network, where white is 256 */
static gen_status first_picture(gen_style *s, const style_scale *at, float *rgb, gen_error *err)
{
    static const double grey[3] = { 0.5, 0.5, 0.5 }, mean[3] = { 123.68 / 255, 116.779 / 255, 103.939 / 255 };
    const gen_style_options *o = s->job.options;
    const gen_style_picture *from = s->job.start.rgb ? &s->job.start : &s->job.content;
    bool without = o->texture || *o->reconstruct;
    const char *init = without && !strcmp(o->init, "content") ? "noise" : o->init;
    int64_t n = (int64_t)at->height * at->width * 3;
    if (s->job.start.rgb || !strcmp(init, "content"))
        return style_resize_into(from->rgb, from->height_px, from->width_px, at->height, at->width, rgb, err);
    if (!strcmp(init, "noise")) noise_around(s, grey, o->noise, rgb, n);
    else if (!strcmp(init, "mean")) noise_around(s, mean, 0.001 / 256, rgb, n);
    else noise_around(s, grey, 0, rgb, n);
    return GEN_OK;
}

static gen_status start_state(gen_style *s, const style_scale *at, gen_error *err)
{
    GEN_TRY(style_state_alloc(&s->state, at->height, at->width, err));
    GEN_TRY(first_picture(s, at, s->state.pixels, err));
    for (int64_t i = 0; i < s->state.n; i++)
        s->state.pixels[i] = (float)(((double)s->state.pixels[i] - 0.5) * s->job.options->range);
    return GEN_OK;
}

/* ---- one scale ----------------------------------------------------------------------------------------------------------------- */

static gen_status feed_all(gen_style *s, gen_error *err)
{
    for (int32_t i = 0; i < s->n_fed; i++)
        GEN_TRY(gen_program_feed(s->program, s->fed[i].input, s->fed[i].values, s->fed[i].n, err));
    return GEN_OK;
}

static gen_status make_program(gen_style *s, gen_graph *g, gen_error *err)
{
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    return gen_program_new(g, s->device, s->params, (uint64_t)s->job.options->seed, &s->program, err);
}

static gen_status enter_whole(gen_style *s, const style_scale *at, gen_error *err)
{
    GEN_TRY(style_content_targets(s, at, err));
    GEN_TRY(make_program(s, style_iteration_graph(s, s->at), err));
    GEN_TRY(feed_all(s, err));
    return style_uses_adam(s) ? style_state_put(s, 0, err) : GEN_OK;
}

static gen_status enter_tiled(gen_style *s, const style_scale *at, gen_error *err)
{
    const gen_style_picture *c = &s->job.content;
    if (s->loss.n_content && (c->height_px != at->height || c->width_px != at->width))
        GEN_TRY(style_resized(c->rgb, c->height_px, c->width_px, at->height, at->width, &s->content, err));
    GEN_TRY(style_tiles_new(s, at, s->content ? s->content : c->rgb, &s->tiles, err));
    return style_uses_adam(s) ? make_program(s, graph_of_updates(s, s->at), err) : GEN_OK;
}

static gen_status enter_scale(gen_style *s, gen_error *err)
{
    const style_scale *at = &s->scales[s->at];
    gen_arena_free(s->targets);
    s->n_fed = 0;
    s->targets = gen_arena_new();
    if (!s->targets) return gen_fail(err, GEN_NO_MEMORY, "no memory for targets");
    if (!s->state.pixels) GEN_TRY(start_state(s, at, err));
    else if (s->state.height != at->height || s->state.width != at->width)
        GEN_TRY(style_state_resize(&s->state, at->height, at->width, s->job.options, err));
    GEN_TRY(style_style_targets(s, at, err));
    GEN_TRY(at->tile ? enter_tiled(s, at, err) : enter_whole(s, at, err));
    if (style_uses_adam(s)) return GEN_OK;
    const gen_style_options *o = s->job.options;
    s->gradient = gen_alloc((size_t)s->state.n, sizeof *s->gradient);
    if (!s->gradient) return gen_fail(err, GEN_NO_MEMORY, "no memory for a gradient");
    return gen_lbfgs_new(s->state.n, (int32_t)o->history, o->lr != 0 ? o->lr : 1, &s->lbfgs, err);
}

static void free_scale(gen_style *s)
{
    gen_program_free(s->program);
    style_tiles_free(s->tiles);
    gen_lbfgs_free(s->lbfgs);
    gen_free(s->gradient);
    gen_free(s->content);
    s->program = NULL;
    s->tiles = NULL;
    s->lbfgs = NULL;
    s->gradient = s->content = NULL;
}

/* The next scale starts from the average, and with no average of its own. */
static gen_status leave_scale(gen_style *s, gen_error *err)
{
    int32_t h, w;
    const float *rgb = gen_style_result(s, &h, &w, err);
    if (!rgb) return err && err->status != GEN_OK ? err->status : GEN_IO;
    for (int64_t i = 0; i < s->state.n; i++) {
        s->state.pixels[i] = (float)(((double)rgb[i] - 0.5) * s->job.options->range);
        s->state.average[i] = 0;
    }
    free_scale(s);
    return GEN_OK;
}

static gen_status fetch_losses(gen_style *s, style_losses *l, gen_error *err)
{
    GEN_TRY(gen_program_fetch_scalar(s->program, "content", &l->content, err));
    GEN_TRY(gen_program_fetch_scalar(s->program, "style", &l->style, err));
    return gen_program_fetch_scalar(s->program, "tv", &l->tv, err);
}

static gen_status gradient_at_once(gen_style *s, float *gradient, style_losses *l, gen_error *err)
{
    GEN_TRY(gen_program_feed(s->program, "pixels", s->state.pixels, s->state.n, err));
    GEN_TRY(gen_program_run(s->program, (gen_run_state){ 0 }, err));
    GEN_TRY(gen_program_fetch(s->program, "gradient", gradient, s->state.n, err));
    return fetch_losses(s, l, err);
}

static gen_status lbfgs_iteration(gen_style *s, style_losses *l, bool *moved, gen_error *err)
{
    if (s->tiles) GEN_TRY(style_tiles_gradient(s->tiles, s->state.pixels, s->gradient, l, err));
    else GEN_TRY(gradient_at_once(s, s->gradient, l, err));
    *moved = gen_lbfgs_step(s->lbfgs, s->gradient, s->state.pixels);
    return GEN_OK;
}

static gen_status adam_in_tiles(gen_style *s, style_losses *l, gen_error *err)
{
    float *gradient = s->state.rgb;
    const int64_t n = STYLE_UPDATE_NUMBERS;
    double step = s->state.step;
    GEN_TRY(style_tiles_gradient(s->tiles, s->state.pixels, gradient, l, err));
    for (int64_t from = 0; from < s->state.n; from += n) { /* the arrays have room for the last of these */
        s->state.step = step;
        GEN_TRY(style_state_put(s, from, err));
        GEN_TRY(gen_program_feed(s->program, "gradient", gradient + from, n, err));
        GEN_TRY(gen_program_run(s->program, (gen_run_state){ 0 }, err));
        GEN_TRY(style_state_take(s, from, err));
    }
    return GEN_OK;
}

static gen_status adam_iteration(gen_style *s, style_losses *l, gen_error *err)
{
    if (s->tiles) return adam_in_tiles(s, l, err);
    GEN_TRY(gen_program_run(s->program, (gen_run_state){ .step = (uint64_t)s->iteration }, err));
    return fetch_losses(s, l, err);
}

static gen_status iterate(gen_style *s, gen_style_progress *p, bool *moved, gen_error *err)
{
    style_losses l;
    *moved = true;
    GEN_TRY(style_uses_adam(s) ? adam_iteration(s, &l, err) : lbfgs_iteration(s, &l, moved, err));
    p->content = l.content;
    p->style = l.style;
    p->tv = l.tv;
    p->loss = l.content + l.style + l.tv;
    if (isfinite(p->loss)) return GEN_OK;
    return gen_fail(err, GEN_NOT_FINITE,
                    "the loss is no finite number at iteration %" PRId64
                    " of %dx%d pixels: a smaller --lr or a smaller "
                    "--style-weight helps, or --optimizer adam",
                    s->iteration + 1, p->width_px, p->height_px);
}

static gen_status run_scale(gen_style *s, const gen_style_hooks *hooks, gen_error *err)
{
    gen_style_progress p = { .scale = s->at,
                             .n_scales = s->n_scales,
                             .height_px = s->scales[s->at].height,
                             .width_px = s->scales[s->at].width,
                             .n_iterations = style_iterations(s, s->at),
                             .total = s->total };
    for (bool moved = true; s->iteration < p.n_iterations && moved;) {
        GEN_TRY(iterate(s, &p, &moved, err));
        p.iteration = ++s->iteration;
        p.done = s->done + p.iteration;
        if (hooks->on_iteration && !hooks->on_iteration(hooks->context, s, &p))
            return gen_fail(err, GEN_STOPPED, "stopped after iteration %" PRId64 " of %" PRId64, p.done, p.total);
    }
    return GEN_OK;
}

/* ---- the whole --------------------------------------------------------------------------------------------------------------------- */

gen_status gen_style_run(gen_style *s, gen_style_hooks hooks, gen_error *err)
{
    bool started = false;
    for (; s->at < s->n_scales; s->at++) {
        GEN_TRY(enter_scale(s, err));
        if (s->measured_s > 0) s->estimate.seconds = s->estimate.flops * s->measured_s / s->measured_flops;
        if (!started && hooks.on_start) hooks.on_start(hooks.context, &s->estimate);
        started = true;
        GEN_TRY(run_scale(s, &hooks, err));
        if (s->at + 1 == s->n_scales) return GEN_OK; /* its program stays: the result is read from it */
        GEN_TRY(leave_scale(s, err));
        s->done += s->iteration;
        s->iteration = 0;
    }
    return GEN_OK;
}

const float *gen_style_result(gen_style *s, int32_t *height_px, int32_t *width_px, gen_error *err)
{
    const gen_style_options *o = s->job.options;
    if (s->program && !s->tiles && style_uses_adam(s) && style_state_take(s, 0, err) != GEN_OK) return NULL;
    bool averaged = style_uses_adam(s) && o->ema != 0 && s->iteration > 0;
    double weight = averaged ? 1 / (1 - pow(o->ema, (double)s->iteration)) : 1;
    const float *from = averaged ? s->state.average : s->state.pixels;
    for (int64_t i = 0; i < s->state.n; i++)
        s->state.rgb[i] = (float)fmin(fmax((double)from[i] * weight / o->range + 0.5, 0), 1);
    *height_px = s->state.height;
    *width_px = s->state.width;
    return s->state.rgb;
}

static gen_status open_job(gen_style *s, gen_error *err)
{
    bool masked = false;
    for (int32_t k = 0; k < s->job.n_styles; k++) masked = masked || s->job.styles[k].mask;
    GEN_TRY(
        gen_style_loss_of(s->job.options, s->job.net, s->job.input, s->job.n_styles, masked, s->arena, &s->loss, err));
    GEN_TRY(style_find_scales(s, err));
    GEN_TRY(style_plan(s, err));
    if (!s->job.weights) return GEN_OK;
    return gen_features_load(s->job.net, s->job.weights, s->params, err);
}

gen_status gen_style_open(const gen_style_job *job, gen_device *device, gen_style **out, gen_error *err)
{
    gen_style *s = gen_alloc(1, sizeof *s);
    if (!s) return gen_fail(err, GEN_NO_MEMORY, "no memory for a picture");
    s->job = *job;
    s->device = device;
    s->arena = gen_arena_new();
    s->params = gen_params_new(device);
    gen_status status =
        s->arena && s->params ? open_job(s, err) : gen_fail(err, GEN_NO_MEMORY, "no memory for a picture");
    if (status == GEN_OK) *out = s;
    else gen_style_close(s);
    return status;
}

void gen_style_close(gen_style *s)
{
    if (!s) return;
    free_scale(s);
    style_state_free(&s->state);
    gen_params_free(s->params);
    gen_arena_free(s->targets);
    gen_arena_free(s->arena);
    gen_free(s);
}
