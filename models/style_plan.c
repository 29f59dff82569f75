/* What a style transfer will be: its sizes, and at each of them all at once or in tiles, as the memory allows. */
#include "models/style_plan.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/cost.h"
#include "models/style_tiles.h"

enum { BESIDES_BYTES = 48 << 20 }; /* graphs, plans, files while they are written, rounding up */

/* ---- sizes ------------------------------------------------------------------------------------------------------------------ */

int32_t style_scaled_side(int32_t side, double factor)
{
    int32_t n = (int32_t)floor(side * factor + 0.5);
    return n > 1 ? n : 1;
}

static void add_scale(gen_style *s, int64_t longer_px)
{
    const gen_style_picture *c = &s->job.content;
    double factor = (double)longer_px / (c->height_px > c->width_px ? c->height_px : c->width_px);
    s->scales[s->n_scales++] = (style_scale){ .height = style_scaled_side(c->height_px, factor),
                                              .width = style_scaled_side(c->width_px, factor),
                                              .longer = longer_px };
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

gen_status style_find_scales(gen_style *s, gen_error *err)
{
    const gen_style_options *o = s->job.options;
    if (!strcmp(o->scales, "auto")) automatic_scales(s);
    else if (!strcmp(o->scales, "one")) add_scale(s, o->size);
    else GEN_TRY(listed_scales(s, o->scales, err));
    for (int32_t i = 0; i < s->n_scales; i++) s->total += style_iterations(s, i);
    return s->n_scales ? GEN_OK : gen_fail(err, GEN_BAD_OPTION, "--scales names no size");
}

/* ---- memory -------------------------------------------------------------------------------------------------------------------- */

static size_t numbers_of(const style_scale *at)
{
    return (size_t)at->height * (size_t)at->width * 3;
}

/* What the picture itself takes, however its gradient is computed: its state and optimiser, and at the end a file of it (samples, and those compressed). */
static size_t picture_bytes(const gen_style *s, const style_scale *at)
{
    const gen_style_options *o = s->job.options;
    size_t n = numbers_of(at), state = STYLE_STATE_ARRAYS * n * sizeof(float),
           file = n * (o->bits > 8 ? 4 : 2) + (strcmp(o->colours, "luma") ? 0 : 2 * n * sizeof(float));
    if (!style_uses_adam(s))
        state += gen_lbfgs_bytes((int64_t)n, (int32_t)o->history) + n * sizeof(float); /* and the gradient */
    return state + file;
}

/* While a picture grows, it is there twice, and one array of it half grown. */
static size_t growing_bytes(const gen_style *s, int32_t scale)
{
    if (!scale) return 0;
    const style_scale *from = &s->scales[scale - 1], *to = &s->scales[scale];
    size_t half = (size_t)from->height * (size_t)to->width * 3;
    return (STYLE_STATE_ARRAYS * (numbers_of(from) + numbers_of(to)) + half) * sizeof(float);
}

/* Parameters of the pictures of the sizes before stay where they are. */
static size_t earlier_bytes(const gen_style *s, int32_t scale)
{
    size_t n = 0;
    for (int32_t i = 0; i < scale && style_uses_adam(s); i++)
        n += s->scales[i].tile ? 0 : (s->job.options->ema != 0 ? 4 : 3) * numbers_of(&s->scales[i]);
    return n * s->device->element_bytes;
}

/* Masks at each layer's size, a copy of each style's statistics. */
static size_t target_bytes(const gen_style *s, const style_scale *at)
{
    const gen_style_loss *l = &s->loss;
    size_t n = 0;
    for (int32_t i = 0; i < l->n_style && l->n_targets; i++) {
        int32_t h, w;
        size_t c = (size_t)gen_features_channels(l->net, l->style[i].name);
        gen_features_size(l->net, &l->features, l->style[i].name, at->height, at->width, &h, &w);
        n += (size_t)l->n_targets * ((c + 1) * c + (l->masked ? (size_t)h * (size_t)w : 0));
    }
    return n * sizeof(float);
}

/* All at once: the iteration's plan, the parameters in it (network and picture), and the content's features as they are fed. */
static gen_status whole_bytes(const gen_style *s, int32_t scale, size_t *bytes, double *flops, gen_error *err)
{
    const style_scale *at = &s->scales[scale];
    gen_graph *g = style_iteration_graph(s, scale);
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    gen_status status = gen_graph_bytes(g, s->device, bytes, err);
    *bytes += gen_graph_param_bytes(g, s->device) + picture_bytes(s, at) + target_bytes(s, at);
    for (int32_t i = 0; i < s->loss.n_content && status == GEN_OK; i++) {
        int32_t h, w;
        gen_features_size(s->loss.net, &s->loss.features, s->loss.content[i].name, at->height, at->width, &h, &w);
        *bytes +=
            (size_t)h * (size_t)w * (size_t)gen_features_channels(s->loss.net, s->loss.content[i].name) * sizeof(float);
    }
    *flops = 2 * gen_graph_multiply_adds(g);
    gen_graph_free(g);
    return status;
}

/* In tiles: the programs of one tile, of the update; the content at this size, unless it is the one that was given. */
static gen_status tiled_bytes(const gen_style *s, const style_scale *at, int32_t side, bool keep, size_t *bytes,
                              double *flops, gen_error *err)
{
    style_tiles_cost cost;
    const gen_style_picture *c = &s->job.content;
    GEN_TRY(style_tiles_measure(s, at, side, &cost, err));
    bool as_given = c->height_px == at->height && c->width_px == at->width;
    *bytes = cost.bytes + s->network_bytes + picture_bytes(s, at) + target_bytes(s, at) +
             (as_given || !s->loss.n_content ? 0 : numbers_of(at) * sizeof(float)) + STYLE_UPDATE_BYTES +
             (keep ? cost.content_bytes : 0);
    *flops = keep ? cost.flops - cost.content_flops : cost.flops;
    return GEN_OK;
}

/* ---- whole, or which tiles -------------------------------------------------------------------------------------------------------- */

static gen_status refuse(const gen_style *s, const style_scale *at, size_t bytes, gen_error *err)
{
    double need = (double)(bytes + s->job.used_bytes) / (1 << 20);
    return gen_fail(
        err, GEN_NO_MEMORY,
        "%dx%d pixels with %s need %.0f MB, --memory allows %.0f: take a smaller --size, a smaller network%s, "
        "or --memory %.0fM",
        at->width, at->height, s->loss.net->name, need, (double)s->job.memory_limit / (1 << 20),
        style_uses_adam(s) ? "" : ", a smaller --history, --optimizer adam", ceil(need));
}

/* The tile with the least work of those that fit into `room`; the smallest where none does, and *bytes what it needs. */
static gen_status choose_tile(const gen_style *s, style_scale *at, size_t room, size_t *bytes, double *flops,
                              gen_error *err)
{
    static const int32_t sides[] = { 2048, 1536, 1024, 768, 640, 512, 384, 320, 256, 192, 160, 128, 96, 64 };
    int32_t least = style_tiles_least_side(s);
    *bytes = SIZE_MAX;
    for (size_t i = 0; i <= sizeof sides / sizeof *sides; i++)
        for (int keep = 0; keep < 2; keep++) {
            int32_t side = i < sizeof sides / sizeof *sides ? sides[i] : least;
            size_t takes;
            double work;
            if (side < least) continue;
            GEN_TRY(tiled_bytes(s, at, side, keep, &takes, &work, err));
            bool fits = takes <= room, better = *bytes > room ? takes < *bytes : work < *flops;
            if (!better || (*bytes <= room && !fits)) continue;
            *bytes = takes;
            *flops = work;
            at->tile = side;
            at->keep_content = keep;
        }
    return GEN_OK;
}

static gen_status plan_scale(gen_style *s, int32_t scale, gen_error *err)
{
    style_scale *at = &s->scales[scale];
    size_t limit = s->job.memory_limit,
           room = !limit                      ? SIZE_MAX
                  : limit > s->job.used_bytes ? limit - s->job.used_bytes
                                              : 0,
           bytes = 0, growing = growing_bytes(s, scale), earlier = earlier_bytes(s, scale) + BESIDES_BYTES;
    double flops = 0;
    room = room > earlier ? room - earlier : 0;
    GEN_TRY(whole_bytes(s, scale, &bytes, &flops, err));
    if (s->job.options->tile) {
        at->tile = (int32_t)s->job.options->tile;
        GEN_TRY(tiled_bytes(s, at, at->tile, false, &bytes, &flops, err));
    } else if (bytes > room) {
        GEN_TRY(choose_tile(s, at, room, &bytes, &flops, err));
    }
    if (growing > bytes) bytes = growing;
    if (bytes > room) return refuse(s, at, bytes + earlier, err);
    bytes += earlier + s->job.used_bytes;
    if (bytes > s->estimate.memory_bytes) {
        s->estimate.memory_bytes = bytes;
        s->estimate.tile_px = at->tile;
    }
    s->estimate.flops += flops * (double)style_iterations(s, scale);
    return GEN_OK;
}

/* The parameters of the network, from the smallest picture's graph. */
static gen_status add_network(gen_style *s, gen_error *err)
{
    gen_graph *g = gen_graph_new();
    gen_status status = GEN_OK;
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    const style_scale *at = &s->scales[0];
    gen_style_objective(g, &s->loss, gen_input(g, "x", GEN_SHAPE(1, at->height, at->width, 3)));
    status = gen_graph_check(g, err);
    if (status == GEN_OK) status = gen_params_add(s->params, g, (uint64_t)s->job.options->seed, err);
    s->network_bytes = gen_graph_param_bytes(g, s->device);
    gen_graph_free(g);
    return status;
}

gen_status style_plan(gen_style *s, gen_error *err)
{
    GEN_TRY(add_network(s, err));
    for (int32_t i = 0; i < s->n_scales; i++) GEN_TRY(plan_scale(s, i, err));
    return GEN_OK;
}
