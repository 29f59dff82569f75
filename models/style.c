/* The loop of style transfer: from the smallest size to the largest, at each one plan that is a whole iteration (network, losses, gradient, Adam), or for
 * L-BFGS one that gives loss and gradient.
 *
 * The parameter is p = range (rgb - 1/2): centred, so that keeping pixels between black and white is keeping |p| below range / 2.
 * Averages of iterates and the moments of Adam go from one size to the next as in crowsonkb/style-transfer-pytorch.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/autodiff.h"
#include "core/program.h"
#include "core/rng.h"
#include "io/image.h"
#include "models/cost.h"
#include "models/lbfgs.h"
#include "models/style.h"
#include "models/style_state.h"

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- sizes ------------------------------------------------------------------------------------------------------------------ */

static int32_t scaled_side(int32_t side, double factor)
{
    int32_t n = (int32_t)floor(side * factor + 0.5);
    return n > 1 ? n : 1;
}

static void add_scale(gen_style *s, int64_t longer_px)
{
    const gen_style_picture *c = &s->job.content;
    double factor = (double)longer_px / (c->height_px > c->width_px ? c->height_px : c->width_px);
    s->scales[s->n_scales++] =
        (style_scale){ scaled_side(c->height_px, factor), scaled_side(c->width_px, factor), longer_px };
}

/* end / 2^(i/2), from the smallest that is not below the first size */
static void automatic_scales(gen_style *s)
{
    int steps = 0;
    const gen_style_options *o = s->job.options;
    while (steps + 1 < STYLE_MAX_SCALES && (double)o->size / pow(2, (steps + 1) / 2.0) >= (double)o->min_scale) steps++;
    for (int i = steps; i >= 0; i--) add_scale(s, llround((double)o->size / pow(2, i / 2.0)));
}

static gen_status listed_scales(gen_style *s, const char *text, gen_error *err)
{
    while (*text) {
        char *end;
        long long size = strtoll(text, &end, 10);
        if (end == text || (*end && *end != ',') || size < 1 || size > 32768 || s->n_scales == STYLE_MAX_SCALES)
            return gen_fail(err, GEN_BAD_OPTION, "--scales: expected auto, one, or sizes as 256,512, found %.40s",
                            text);
        add_scale(s, size);
        text = *end ? end + 1 : end;
    }
    return GEN_OK;
}

static gen_status find_scales(gen_style *s, gen_error *err)
{
    const gen_style_options *o = s->job.options;
    if (!strcmp(o->scales, "auto")) automatic_scales(s);
    else if (!strcmp(o->scales, "one")) add_scale(s, o->size);
    else GEN_TRY(listed_scales(s, o->scales, err));
    for (int32_t i = 0; i < s->n_scales; i++) s->total += style_iterations(s, i);
    return s->n_scales ? GEN_OK : gen_fail(err, GEN_BAD_OPTION, "--scales names no size");
}

int64_t style_iterations(const gen_style *s, int32_t scale)
{
    const gen_style_options *o = s->job.options;
    int64_t later = o->later_iterations ? o->later_iterations : (o->iterations + 1) / 2;
    return scale ? later : o->iterations;
}

/* ---- graphs ------------------------------------------------------------------------------------------------------------------ */

static bool uses_adam(const gen_style *s)
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

/* One iteration. Parameters of the picture start with the prefix, those of the network do not. */
static void adam_graph(gen_graph *g, const gen_style *s, int32_t scale)
{
    const gen_style_options *o = s->job.options;
    char prefix[32], name[64];
    gen_param_spec state = { .init = GEN_INIT_ZERO, .state = true, .counter = true };
    style_name(scale, "", prefix);
    gen_shape shape = picture_shape(&s->scales[scale]);
    gen_node *pixels =
        gen_param(g, style_name(scale, "pixels", name), shape, (gen_param_spec){ .init = GEN_INIT_ZERO });
    gen_style_parts parts = gen_style_objective(g, &s->loss, gen_affine(g, pixels, 1 / o->range, 0.5));
    put_losses(g, parts);
    gen_optim_options optim = adam_options(o);
    gen_optim_minimise(g, parts.loss, prefix, &optim);
    if (o->ema == 0) return;
    gen_node *average = gen_param(g, style_name(scale, "average", name), shape, state);
    gen_node *moved = gen_param(g, style_name(scale, "pixels", name), shape, (gen_param_spec){ .init = GEN_INIT_ZERO });
    gen_assign(g, average, gen_add(g, gen_scale(g, average, o->ema), gen_scale(g, moved, 1 - o->ema)));
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

static gen_graph *iteration_graph(const gen_style *s, int32_t scale)
{
    gen_graph *g = gen_graph_new();
    if (g && uses_adam(s)) adam_graph(g, s, scale);
    else if (g) gradient_graph(g, s, scale);
    return g;
}

/* ---- what it will take ----------------------------------------------------------------------------------------------------------- */

/* Bytes of activations and parameters while the graph's outputs and assignments are computed. */
static gen_status bytes_of(const gen_graph *g, size_t *bytes, gen_error *err)
{
    int32_t n_outputs = gen_graph_outputs(g), n_assigns = gen_graph_assigns(g);
    gen_node **nodes = gen_alloc((size_t)(n_outputs + n_assigns), sizeof(gen_node *));
    gen_plan *plan = NULL;
    if (!nodes) return gen_fail(err, GEN_NO_MEMORY, "no memory for a plan");
    for (int32_t i = 0; i < n_outputs; i++) nodes[i] = gen_graph_output(g, i, NULL);
    for (int32_t i = 0; i < n_assigns; i++) nodes[n_outputs + i] = gen_graph_assign(g, i);
    gen_plan_request request = { n_outputs, nodes, n_assigns, nodes + n_outputs, false };
    gen_status status = gen_plan_new(g, &request, &plan, err);
    int64_t numbers = status == GEN_OK ? plan->slab_count : 0;
    for (int32_t i = 0; i < gen_graph_params(g); i++) {
        gen_param_spec spec;
        numbers += gen_shape_count(&gen_graph_param(g, i, &spec)->shape);
    }
    *bytes = (size_t)numbers * sizeof(float);
    gen_plan_free(plan);
    gen_free(nodes);
    return status;
}

static gen_status estimate_scale(gen_style *s, int32_t scale, gen_error *err)
{
    size_t bytes = 0;
    gen_graph *g = iteration_graph(s, scale);
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    gen_status status = gen_graph_check(g, err);
    if (status == GEN_OK) status = bytes_of(g, &bytes, err);
    if (status == GEN_OK && !scale) status = gen_params_add(s->params, g, (uint64_t)s->job.options->seed, err);
    if (!uses_adam(s))
        bytes += gen_lbfgs_bytes((int64_t)s->scales[scale].height * s->scales[scale].width * 3,
                                 (int32_t)s->job.options->history);
    if (bytes > s->estimate.memory_bytes) s->estimate.memory_bytes = bytes;
    s->estimate.flops += 2 * gen_graph_multiply_adds(g) * (double)style_iterations(s, scale);
    gen_graph_free(g);
    return status;
}

/* The last scale is planned first: what does not fit should be known at once. */
static gen_status estimate(gen_style *s, gen_error *err)
{
    size_t limit;
    GEN_TRY(gen_style_parse_bytes(s->job.options->memory, &limit, err));
    for (int32_t i = s->n_scales - 1; i >= 0; i--) GEN_TRY(estimate_scale(s, i, err));
    double need = (double)s->estimate.memory_bytes / (1 << 20);
    if (!limit || s->estimate.memory_bytes <= limit) return GEN_OK;
    return gen_fail(
        err, GEN_NO_MEMORY,
        "%dx%d pixels with %s need %.0f MB, --memory allows %.0f: take a smaller --size, a smaller network, "
        "or --memory %.0fM",
        s->scales[s->n_scales - 1].width, s->scales[s->n_scales - 1].height, s->loss.net->name, need,
        (double)limit / (1 << 20), ceil(need));
}

/* ---- targets: what the pictures themselves give --------------------------------------------------------------------------------- */

static gen_status resized(const float *rgb, int32_t h, int32_t w, int32_t to_h, int32_t to_w, float **out,
                          gen_error *err)
{
    size_t n = (size_t)to_h * (size_t)to_w * 3;
    *out = gen_alloc(n, sizeof **out);
    if (!*out) return gen_fail(err, GEN_NO_MEMORY, "no memory for a picture of %dx%d", to_w, to_h);
    gen_status status = gen_image_resize(rgb, h, w, 3, *out, to_h, to_w, GEN_FILTER_BICUBIC, err);
    for (size_t i = 0; i < n; i++) (*out)[i] = fminf(fmaxf((*out)[i], 0), 1);
    return status;
}

typedef void (*describe)(gen_graph *g, const gen_style_loss *l, gen_node *rgb);

/* Runs a description over a picture; the time it took says how fast this machine is. */
static gen_status describe_picture(gen_style *s, describe what, const gen_style_picture *picture, int32_t h, int32_t w,
                                   gen_program **out, gen_error *err)
{
    float *rgb = NULL;
    gen_graph *g = gen_graph_new();
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    what(g, &s->loss, gen_input(g, "x", GEN_SHAPE(1, h, w, 3)));
    double flops = 2 * gen_graph_multiply_adds(g);
    gen_status status = gen_program_new(g, s->device, s->params, (uint64_t)s->job.options->seed, out, err);
    if (status != GEN_OK) return status;
    status = resized(picture->rgb, picture->height_px, picture->width_px, h, w, &rgb, err);
    if (status == GEN_OK) status = gen_program_feed(*out, "x", rgb, (int64_t)h * w * 3, err);
    double start = now_s();
    if (status == GEN_OK) status = gen_program_run(*out, (gen_run_state){ 0 }, err);
    s->measured_flops += flops;
    s->measured_s += now_s() - start;
    gen_free(rgb);
    return status;
}

/* Output i of a program in the scale's arena. */
static gen_status fetch(gen_style *s, gen_program *p, const char *output, float **values, int64_t *n, gen_error *err)
{
    gen_shape shape = gen_program_shape(p, output);
    *n = gen_shape_count(&shape);
    *values = gen_arena_alloc(s->targets, (size_t)*n * sizeof **values);
    if (!*values) return gen_fail(err, GEN_NO_MEMORY, "no memory for %s", output);
    return gen_program_fetch(p, output, *values, *n, err);
}

static gen_status keep_target(gen_style *s, const char *input, float *values, int64_t n, gen_error *err)
{
    if (s->n_fed == STYLE_MAX_TARGETS) return gen_fail(err, GEN_UNSUPPORTED, "more than %d targets", STYLE_MAX_TARGETS);
    style_target *t = &s->fed[s->n_fed++];
    snprintf(t->input, sizeof t->input, "%s", input);
    t->values = values;
    t->n = n;
    return GEN_OK;
}

static gen_status content_targets(gen_style *s, const style_scale *at, gen_error *err)
{
    gen_program *p = NULL;
    if (!s->loss.n_content) return GEN_OK;
    gen_status status = describe_picture(s, gen_style_content_of, &s->job.content, at->height, at->width, &p, err);
    for (int32_t i = 0; i < gen_program_outputs(p) && status == GEN_OK; i++) {
        float *values;
        int64_t n;
        status = fetch(s, p, gen_program_output_name(p, i), &values, &n, err);
        if (status == GEN_OK) status = keep_target(s, gen_program_output_name(p, i), values, n, err);
    }
    gen_program_free(p);
    return status;
}

static style_target *find_target(gen_style *s, const char *input)
{
    for (int32_t i = 0; i < s->n_fed; i++)
        if (!strcmp(s->fed[i].input, input)) return &s->fed[i];
    return NULL;
}

/* Adds share times the numbers of one style to target number `target`. */
static gen_status add_style(gen_style *s, gen_program *p, int32_t target, double part, gen_error *err)
{
    char input[STYLE_NAME_BYTES];
    for (int32_t i = 0; i < gen_program_outputs(p); i++) {
        float *values;
        int64_t n;
        const char *output = gen_program_output_name(p, i);
        GEN_TRY(fetch(s, p, output, &values, &n, err));
        snprintf(input, sizeof input, "style%d%s", target, strchr(output, '.'));
        style_target *t = find_target(s, input);
        for (int64_t k = 0; k < n; k++) values[k] = (float)(part * (double)values[k]) + (t ? t->values[k] : 0);
        if (t) t->values = values;
        else GEN_TRY(keep_target(s, input, values, n, err));
    }
    return GEN_OK;
}

/* Styles are never enlarged: there is nothing to see in it. */
static void style_size(const gen_style *s, const gen_style_picture *style, const style_scale *at, int32_t *h,
                       int32_t *w)
{
    double longer = style->height_px > style->width_px ? style->height_px : style->width_px;
    double factor = fmin(1, (double)at->longer * s->job.options->style_scale / longer);
    *h = scaled_side(style->height_px, factor);
    *w = scaled_side(style->width_px, factor);
}

/* The share of each layer that the mask of a style covers at this size. */
static gen_status mask_targets(gen_style *s, const style_scale *at, int32_t k, gen_error *err)
{
    const gen_style_picture *style = &s->job.styles[k], *content = &s->job.content;
    char input[STYLE_NAME_BYTES];
    for (int32_t i = 0; i < s->loss.n_style; i++) {
        int32_t h, w;
        gen_features_size(s->loss.net, &s->loss.features, s->loss.style[i].name, at->height, at->width, &h, &w);
        float *mask = gen_arena_alloc(s->targets, (size_t)h * (size_t)w * sizeof *mask);
        if (!mask) return gen_fail(err, GEN_NO_MEMORY, "no memory for a mask");
        for (int64_t j = 0; j < (int64_t)h * w && !style->mask; j++) mask[j] = 1;
        if (style->mask)
            GEN_TRY(gen_image_resize(style->mask, content->height_px, content->width_px, 1, mask, h, w, GEN_FILTER_BOX,
                                     err));
        snprintf(input, sizeof input, "mask%d.%s", k, s->loss.style[i].name);
        GEN_TRY(keep_target(s, input, mask, (int64_t)h * w, err));
    }
    return GEN_OK;
}

static gen_status style_targets(gen_style *s, const style_scale *at, gen_error *err)
{
    double sum = 0;
    for (int32_t k = 0; k < s->job.n_styles; k++) sum += s->job.styles[k].weight;
    for (int32_t k = 0; k < s->job.n_styles && s->loss.n_targets; k++) {
        const gen_style_picture *style = &s->job.styles[k];
        gen_program *p = NULL;
        int32_t h, w;
        style_size(s, style, at, &h, &w);
        gen_status status = describe_picture(s, gen_style_of, style, h, w, &p, err);
        if (status == GEN_OK)
            status = add_style(s, p, s->loss.masked ? k : 0, s->loss.masked ? 1 : style->weight / sum, err);
        if (status == GEN_OK && s->loss.masked) status = mask_targets(s, at, k, err);
        gen_program_free(p);
        GEN_TRY(status);
    }
    return GEN_OK;
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

/* neural-style starts from N(0, 0.001^2) around the mean of its network, where white is 256 */
static gen_status first_picture(gen_style *s, const style_scale *at, float **rgb, gen_error *err)
{
    static const double grey[3] = { 0.5, 0.5, 0.5 }, mean[3] = { 123.68 / 255, 116.779 / 255, 103.939 / 255 };
    const gen_style_options *o = s->job.options;
    const gen_style_picture *from = s->job.start.rgb ? &s->job.start : &s->job.content;
    bool without = o->texture || *o->reconstruct;
    const char *init = without && !strcmp(o->init, "content") ? "noise" : o->init;
    int64_t n = (int64_t)at->height * at->width * 3;
    if (s->job.start.rgb || !strcmp(init, "content"))
        return resized(from->rgb, from->height_px, from->width_px, at->height, at->width, rgb, err);
    *rgb = gen_alloc((size_t)n, sizeof **rgb);
    if (!*rgb) return gen_fail(err, GEN_NO_MEMORY, "no memory for a picture");
    if (!strcmp(init, "noise")) noise_around(s, grey, o->noise, *rgb, n);
    else if (!strcmp(init, "mean")) noise_around(s, mean, 0.001 / 256, *rgb, n);
    else noise_around(s, grey, 0, *rgb, n);
    return GEN_OK;
}

static gen_status start_state(gen_style *s, const style_scale *at, gen_error *err)
{
    float *rgb = NULL;
    gen_status status = first_picture(s, at, &rgb, err);
    if (status == GEN_OK) status = style_state_alloc(&s->state, at->height, at->width, err);
    for (int64_t i = 0; i < s->state.n && status == GEN_OK; i++)
        s->state.pixels[i] = (float)(((double)rgb[i] - 0.5) * s->job.options->range);
    gen_free(rgb);
    return status;
}

/* ---- one scale ----------------------------------------------------------------------------------------------------------------- */

static gen_status feed_all(gen_style *s, gen_error *err)
{
    for (int32_t i = 0; i < s->n_fed; i++)
        GEN_TRY(gen_program_feed(s->program, s->fed[i].input, s->fed[i].values, s->fed[i].n, err));
    return GEN_OK;
}

static gen_status enter_scale(gen_style *s, gen_error *err)
{
    const style_scale *at = &s->scales[s->at];
    gen_arena_free(s->targets);
    s->n_fed = 0;
    s->targets = gen_arena_new();
    if (!s->targets) return gen_fail(err, GEN_NO_MEMORY, "no memory for targets");
    GEN_TRY(content_targets(s, at, err));
    GEN_TRY(style_targets(s, at, err));
    if (!s->state.pixels) GEN_TRY(start_state(s, at, err));
    else if (s->state.height != at->height || s->state.width != at->width)
        GEN_TRY(style_state_resize(&s->state, at->height, at->width, s->job.options, err));
    gen_graph *g = iteration_graph(s, s->at);
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    GEN_TRY(gen_program_new(g, s->device, s->params, (uint64_t)s->job.options->seed, &s->program, err));
    GEN_TRY(feed_all(s, err));
    if (uses_adam(s)) return style_state_put(s, err);
    const gen_style_options *o = s->job.options;
    s->gradient = gen_alloc((size_t)s->state.n, sizeof *s->gradient);
    if (!s->gradient) return gen_fail(err, GEN_NO_MEMORY, "no memory for a gradient");
    return gen_lbfgs_new(s->state.n, (int32_t)o->history, o->lr != 0 ? o->lr : 1, &s->lbfgs, err);
}

static void free_scale(gen_style *s)
{
    gen_program_free(s->program);
    gen_lbfgs_free(s->lbfgs);
    gen_free(s->gradient);
    s->program = NULL;
    s->lbfgs = NULL;
    s->gradient = NULL;
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

static gen_status lbfgs_iteration(gen_style *s, bool *moved, gen_error *err)
{
    GEN_TRY(gen_program_feed(s->program, "pixels", s->state.pixels, s->state.n, err));
    GEN_TRY(gen_program_run(s->program, (gen_run_state){ 0 }, err));
    GEN_TRY(gen_program_fetch(s->program, "gradient", s->gradient, s->state.n, err));
    *moved = gen_lbfgs_step(s->lbfgs, s->gradient, s->state.pixels);
    return GEN_OK;
}

static gen_status iterate(gen_style *s, gen_style_progress *p, bool *moved, gen_error *err)
{
    *moved = true;
    if (uses_adam(s)) GEN_TRY(gen_program_run(s->program, (gen_run_state){ .step = (uint64_t)s->iteration }, err));
    else GEN_TRY(lbfgs_iteration(s, moved, err));
    GEN_TRY(gen_program_fetch_scalar(s->program, "loss", &p->loss, err));
    GEN_TRY(gen_program_fetch_scalar(s->program, "content", &p->content, err));
    GEN_TRY(gen_program_fetch_scalar(s->program, "style", &p->style, err));
    GEN_TRY(gen_program_fetch_scalar(s->program, "tv", &p->tv, err));
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
    if (s->program && uses_adam(s) && style_state_take(s, err) != GEN_OK) return NULL;
    bool averaged = uses_adam(s) && o->ema != 0 && s->iteration > 0;
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
    GEN_TRY(find_scales(s, err));
    GEN_TRY(estimate(s, err));
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
