/* What a picture is compared with: features of the content, statistics of the styles, masks, all at one size. */
#define _POSIX_C_SOURCE 200809L
#include "models/style_targets.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "io/image.h"
#include "models/cost.h"
#include "models/style_plan.h"
#include "models/style_tiles.h"

double style_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

gen_status style_resize_into(const float *rgb, int32_t h, int32_t w, int32_t to_h, int32_t to_w, float *to,
                             gen_error *err)
{
    size_t n = (size_t)to_h * (size_t)to_w * 3;
    if (h == to_h && w == to_w) memcpy(to, rgb, n * sizeof *to);
    else GEN_TRY(gen_image_resize(rgb, h, w, 3, to, to_h, to_w, GEN_FILTER_BICUBIC, err));
    for (size_t i = 0; i < n; i++) to[i] = fminf(fmaxf(to[i], 0), 1);
    return GEN_OK;
}

gen_status style_resized(const float *rgb, int32_t h, int32_t w, int32_t to_h, int32_t to_w, float **out,
                         gen_error *err)
{
    *out = gen_alloc((size_t)to_h * (size_t)to_w * 3, sizeof **out);
    if (!*out) return gen_fail(err, GEN_NO_MEMORY, "no memory for a picture of %dx%d", to_w, to_h);
    return style_resize_into(rgb, h, w, to_h, to_w, *out, err);
}

/* ---- content ---------------------------------------------------------------------------------------------------------------------- */

/* Runs the network over the whole content; the time it took says how fast this machine is. */
static gen_status look_at_content(gen_style *s, int32_t h, int32_t w, gen_program **out, gen_error *err)
{
    const gen_style_picture *picture = &s->job.content;
    float *rgb = NULL;
    gen_graph *g = gen_graph_new();
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    gen_style_content_of(g, &s->loss, gen_input(g, "x", GEN_SHAPE(1, h, w, 3)));
    double flops = 2 * gen_graph_multiply_adds(g);
    gen_status status = gen_program_new(g, s->device, s->params, (uint64_t)s->job.options->seed, out, err);
    if (status != GEN_OK) return status;
    status = style_resized(picture->rgb, picture->height_px, picture->width_px, h, w, &rgb, err);
    if (status == GEN_OK) status = gen_program_feed(*out, "x", rgb, (int64_t)h * w * 3, err);
    double start = style_now_s();
    if (status == GEN_OK) status = gen_program_run(*out, (gen_run_state){ 0 }, err);
    s->measured_flops += flops;
    s->measured_s += style_now_s() - start;
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

gen_status style_content_targets(gen_style *s, const style_scale *at, gen_error *err)
{
    gen_program *p = NULL;
    if (!s->loss.n_content) return GEN_OK;
    gen_status status = look_at_content(s, at->height, at->width, &p, err);
    for (int32_t i = 0; i < gen_program_outputs(p) && status == GEN_OK; i++) {
        float *values;
        int64_t n;
        status = fetch(s, p, gen_program_output_name(p, i), &values, &n, err);
        if (status == GEN_OK) status = keep_target(s, gen_program_output_name(p, i), values, n, err);
    }
    gen_program_free(p);
    return status;
}

style_target *style_find_target(const gen_style *s, const char *input)
{
    for (int32_t i = 0; i < s->n_fed; i++)
        if (!strcmp(s->fed[i].input, input)) return (style_target *)&s->fed[i];
    return NULL;
}

/* ---- styles ----------------------------------------------------------------------------------------------------------------------- */

/* Adds share times the numbers of a layer of one style to target number `target`. */
static gen_status add_style(gen_style *s, const char *layer, float *values, int64_t n, int32_t target, double part,
                            gen_error *err)
{
    char input[STYLE_NAME_BYTES];
    snprintf(input, sizeof input, "style%d.%s", target, layer);
    style_target *t = style_find_target(s, input);
    for (int64_t k = 0; k < n; k++) values[k] = (float)(part * (double)values[k]) + (t ? t->values[k] : 0);
    if (!t) return keep_target(s, input, values, n, err);
    t->values = values;
    return GEN_OK;
}

/* Styles are never enlarged: there is nothing to see in it. */
static void style_size(const gen_style *s, const gen_style_picture *style, const style_scale *at, int32_t *h,
                       int32_t *w)
{
    double longer = style->height_px > style->width_px ? style->height_px : style->width_px;
    double factor = fmin(1, (double)at->longer * s->job.options->style_scale / longer);
    *h = style_scaled_side(style->height_px, factor);
    *w = style_scaled_side(style->width_px, factor);
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

static gen_status describe_style(gen_style *s, const style_scale *at, int32_t k, double part, gen_error *err)
{
    const gen_style_picture *style = &s->job.styles[k];
    float *rgb = NULL, *values[GEN_STYLE_MAX_LAYERS];
    int64_t counts[GEN_STYLE_MAX_LAYERS];
    int32_t h, w, target = s->loss.masked ? k : 0;
    style_size(s, style, at, &h, &w);
    GEN_TRY(style_resized(style->rgb, style->height_px, style->width_px, h, w, &rgb, err));
    gen_error why = { 0 };
    gen_status status = style_tiles_describe(s, rgb, h, w, at->tile, values, counts, &why);
    if (status != GEN_OK) gen_fail(err, status, "style %d: %s", k + 1, why.text);
    gen_free(rgb);
    for (int32_t i = 0; i < s->loss.n_style && status == GEN_OK; i++)
        status = add_style(s, s->loss.style[i].name, values[i], counts[i], target, s->loss.masked ? 1 : part, err);
    return status == GEN_OK && s->loss.masked ? mask_targets(s, at, k, err) : status;
}

gen_status style_style_targets(gen_style *s, const style_scale *at, gen_error *err)
{
    double sum = 0;
    for (int32_t k = 0; k < s->job.n_styles; k++) sum += s->job.styles[k].weight;
    for (int32_t k = 0; k < s->job.n_styles && s->loss.n_targets; k++)
        GEN_TRY(describe_style(s, at, k, s->job.styles[k].weight / sum, err));
    return GEN_OK;
}
