/* Style transfer in tiles: what each tile is asked, and what becomes of the answers. */
#include "models/style_tiles.h"

#include <stdio.h>
#include <string.h>

#include "core/autodiff.h"
#include "models/cost.h"
#include "models/tiles.h"

enum { BAND_NUMBERS = 1 << 20, ONE_TILE = 1 << 30 };

/* A layer of a crop. */
typedef struct layer {
    const char *name;
    int32_t stride, h, w;
    int64_t channels;
    int32_t whole_h, whole_w;
} layer;

/* Where tiles are and what their layers measure. */
typedef struct layout {
    const gen_style_loss *loss;
    int32_t height, width;
    gen_tile_axis axes[2];
    layer style[GEN_STYLE_MAX_LAYERS], content[GEN_STYLE_MAX_LAYERS];
    int32_t n_style;                        /* 0 without targets */
    int64_t channels[GEN_STYLE_MAX_LAYERS]; /* of style */
} layout;

/* Rows of the picture whose variation is computed at once: the first ones, those between, the last ones. */
enum { BAND_TOP, BAND_MIDDLE, BAND_BOTTOM, BAND_KINDS };

struct style_tiles {
    gen_style *s;
    gen_arena *arena;
    layout at;
    gen_program *look, *slopes, *part, *bands[BAND_KINDS];
    double own[GEN_STYLE_MAX_LAYERS];   /* weight of one squared difference in the content loss */
    double *sums[STYLE_MAX_TARGETS];    /* target by layer: [C + 1,C] */
    float *numbers;                     /* room for [C + 1,C], for places of a layer, for features of a crop */
    float *tile;                        /* [crop_h,crop_w,3], or a band of rows */
    const float *content;               /* the whole picture */
    float **kept[GEN_STYLE_MAX_LAYERS]; /* features of the content by tile; NULL: computed anew */
};

/* ---- layout ---------------------------------------------------------------------------------------------------------------------- */

static gen_tile_need need_of(const gen_style_loss *l)
{
    gen_tile_need need = { 1, 0, 0 };
    for (int32_t i = 0; i < l->n_content + (l->n_targets ? l->n_style : 0); i++) {
        const char *name = i < l->n_content ? l->content[i].name : l->style[i - l->n_content].name;
        gen_feature_reach r = gen_features_reach(l->net, name);
        if (r.stride > need.unit) need.unit = r.stride;
        if (r.before > need.before) need.before = r.before;
        if (r.after + 1 - r.stride > need.after) need.after = r.after + 1 - r.stride;
    }
    return need;
}

int32_t style_tiles_least_side(const gen_style *s)
{
    gen_tile_need need = need_of(&s->loss);
    return gen_tile_least_side(&need);
}

static layer layer_of(const layout *at, const char *name)
{
    const gen_style_loss *l = at->loss;
    layer y = { .name = name, .stride = gen_features_reach(l->net, name).stride };
    gen_features_size(l->net, &l->features, name, at->axes[0].crop, at->axes[1].crop, &y.h, &y.w);
    gen_features_size(l->net, &l->features, name, at->height, at->width, &y.whole_h, &y.whole_w);
    y.channels = gen_features_channels(l->net, name);
    return y;
}

static gen_status lay_out(const gen_style_loss *l, int32_t height, int32_t width, int32_t side, gen_arena *arena,
                          layout *at, gen_error *err)
{
    gen_tile_need need = need_of(l);
    *at = (layout){ .loss = l, .height = height, .width = width, .n_style = l->n_targets ? l->n_style : 0 };
    GEN_TRY(gen_tile_axis_make(height, side, &need, arena, &at->axes[0], err));
    GEN_TRY(gen_tile_axis_make(width, side, &need, arena, &at->axes[1], err));
    for (int32_t i = 0; i < l->n_content; i++) at->content[i] = layer_of(at, l->content[i].name);
    for (int32_t i = 0; i < at->n_style; i++) {
        at->style[i] = layer_of(at, l->style[i].name);
        at->channels[i] = at->style[i].channels;
    }
    return GEN_OK;
}

static int32_t tiles_of(const layout *at)
{
    return at->axes[0].n * at->axes[1].n;
}

static int64_t crop_numbers(const layout *at)
{
    return (int64_t)at->axes[0].crop * at->axes[1].crop * 3;
}

/* Rows of a band, without the one above that it begins with: a million numbers, so that bands cost little memory, and at least two. */
static int32_t band_rows(const layout *at)
{
    int32_t rows = BAND_NUMBERS / (3 * at->width);
    return rows < 2 ? 2 : rows < at->height ? rows : at->height;
}

/* What is largest of all that passes through t->numbers */
static int64_t most_numbers(const layout *at)
{
    int64_t most = 1;
    for (int32_t i = 0; i < at->n_style; i++) {
        const layer *y = &at->style[i];
        int64_t square = (y->channels + 1) * y->channels, places = (int64_t)y->h * y->w;
        if (square > most) most = square;
        if (places > most) most = places;
    }
    for (int32_t i = 0; i < at->loss->n_content; i++) {
        int64_t features = at->content[i].h * at->content[i].w * at->content[i].channels;
        if (features > most) most = features;
    }
    return most > crop_numbers(at) ? most : crop_numbers(at);
}

static int64_t tile_numbers(const layout *at)
{
    int64_t band = (int64_t)(band_rows(at) + 1) * at->width * 3;
    return band > crop_numbers(at) ? band : crop_numbers(at);
}

static int64_t kept_numbers(const layout *at)
{
    int64_t n = 0;
    for (int32_t i = 0; i < at->loss->n_content; i++)
        n += at->content[i].h * at->content[i].w * at->content[i].channels * tiles_of(at);
    return n;
}

/* ---- graphs ---------------------------------------------------------------------------------------------------------------------- */

static gen_node *pixels_input(gen_graph *g, const gen_style_loss *l, int64_t height, int64_t width, gen_node **rgb)
{
    gen_node *pixels = gen_input(g, "pixels", GEN_SHAPE(1, height, width, 3));
    *rgb = gen_affine(g, pixels, 1 / l->range, 0.5);
    return pixels;
}

static void look_graph(gen_graph *g, const layout *at, int kind)
{
    gen_node *rgb;
    (void)kind;
    pixels_input(g, at->loss, at->axes[0].crop, at->axes[1].crop, &rgb);
    gen_style_sums_of(g, at->loss, rgb);
}

static void slopes_graph(gen_graph *g, const layout *at, int kind)
{
    (void)kind;
    gen_style_slopes_of(g, at->loss, at->channels);
}

static void part_graph(gen_graph *g, const layout *at, int kind)
{
    gen_node *rgb, *content, *gradient;
    (void)kind;
    gen_node *pixels = pixels_input(g, at->loss, at->axes[0].crop, at->axes[1].crop, &rgb);
    gen_node *sum = gen_style_part_of(g, at->loss, rgb, &content);
    gen_gradient(g, sum, NULL, 1, &pixels, &gradient);
    gen_output(g, "content", content);
    gen_output(g, "gradient", gradient);
}

typedef struct band {
    int32_t from, to; /* rows; it begins one row early unless it is the first */
    int kind;
} band;

static band band_at(const layout *at, int32_t from)
{
    int32_t rows = band_rows(at), to = from + rows < at->height ? from + rows : at->height;
    return (band){ from ? from - 1 : 0, to, !from ? BAND_TOP : to < at->height ? BAND_MIDDLE : BAND_BOTTOM };
}

static void band_graph(gen_graph *g, const layout *at, int kind)
{
    int32_t rows = band_rows(at), last = (at->height - 1) / rows * rows; /* the last band begins here */
    band b = band_at(at, kind == BAND_TOP ? 0 : kind == BAND_BOTTOM ? last : rows);
    gen_style_rows where = { kind == BAND_TOP, b.to == at->height, at->height };
    gen_node *rgb, *gradient, *pixels = pixels_input(g, at->loss, b.to - b.from, at->width, &rgb);
    gen_node *tv = gen_style_variation(g, at->loss, rgb, where);
    gen_gradient(g, tv, NULL, 1, &pixels, &gradient);
    gen_output(g, "tv", tv);
    gen_output(g, "gradient", gradient);
}

static bool has_band(const layout *at, int kind)
{
    int32_t n = (at->height + band_rows(at) - 1) / band_rows(at);
    return at->loss->tv_weight != 0 && n > (kind == BAND_TOP ? 0 : kind == BAND_BOTTOM ? 1 : 2);
}

/* ---- what it costs ------------------------------------------------------------------------------------------------------------------- */

typedef void (*graph_of)(gen_graph *g, const layout *at, int kind);

static gen_status cost_of(const gen_style *s, const layout *at, graph_of build, int kind, size_t *bytes, double *flops,
                          gen_error *err)
{
    size_t more = 0;
    gen_graph *g = gen_graph_new();
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    build(g, at, kind);
    gen_status status = gen_graph_bytes(g, s->device, &more, err);
    *bytes += more;
    *flops += 2 * gen_graph_multiply_adds(g);
    gen_graph_free(g);
    return status;
}

static gen_status measure(const gen_style *s, const layout *at, style_tiles_cost *cost, gen_error *err)
{
    double look = 0, part = 0, none = 0;
    size_t bytes = 0;
    GEN_TRY(cost_of(s, at, look_graph, 0, &bytes, &look, err));
    if (at->n_style) GEN_TRY(cost_of(s, at, slopes_graph, 0, &bytes, &none, err));
    GEN_TRY(cost_of(s, at, part_graph, 0, &bytes, &part, err));
    for (int kind = 0; kind < BAND_KINDS; kind++)
        if (has_band(at, kind)) GEN_TRY(cost_of(s, at, band_graph, kind, &bytes, &none, err));
    for (int32_t i = 0; i < at->n_style; i++)
        bytes += (size_t)(at->loss->n_targets * (at->channels[i] + 1) * at->channels[i]) * sizeof(double);
    bytes += (size_t)(most_numbers(at) + tile_numbers(at)) * sizeof(float);
    double content = at->loss->n_content ? tiles_of(at) * look : 0;
    *cost = (style_tiles_cost){ bytes, (size_t)kept_numbers(at) * sizeof(float), content + tiles_of(at) * (look + part),
                                content };
    return GEN_OK;
}

gen_status style_tiles_measure(const gen_style *s, const style_scale *at, int32_t side, style_tiles_cost *cost,
                               gen_error *err)
{
    layout where;
    gen_arena *arena = gen_arena_new();
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory for tiles");
    gen_status status = lay_out(&s->loss, at->height, at->width, side, arena, &where, err);
    if (status == GEN_OK) status = measure(s, &where, cost, err);
    gen_arena_free(arena);
    return status;
}

/* ---- one tile: what goes in, what comes out ------------------------------------------------------------------------------------------- */

static gen_status feed(gen_program *p, const char *what, int32_t target, const char *name, const float *values,
                       int64_t n, gen_error *err)
{
    char input[STYLE_NAME_BYTES];
    if (target < 0) snprintf(input, sizeof input, "%s.%s", what, name);
    else snprintf(input, sizeof input, "%s%d.%s", what, target, name);
    return gen_program_feed(p, input, values, n, err);
}

static gen_status fetch(gen_program *p, const char *what, int32_t target, const char *name, float *values, int64_t n,
                        gen_error *err)
{
    char output[STYLE_NAME_BYTES];
    if (target < 0) snprintf(output, sizeof output, "%s.%s", what, name);
    else snprintf(output, sizeof output, "%s%d.%s", what, target, name);
    return gen_program_fetch(p, output, values, n, err);
}

/* The weight of each place of a layer in a tile: `weight` times the mask (of the whole layer; NULL: ones) where the tile answers for it, else 0. */
static void own_places(const layout *at, const layer *y, int32_t tile, const float *mask, float weight, float *places)
{
    int32_t row = tile / at->axes[1].n, column = tile % at->axes[1].n;
    gen_tile_part rows = gen_tile_own(&at->axes[0], row, y->stride, y->h),
                  columns = gen_tile_own(&at->axes[1], column, y->stride, y->w);
    int64_t top = at->axes[0].tiles[row].start / y->stride, left = at->axes[1].tiles[column].start / y->stride;
    memset(places, 0, (size_t)y->h * (size_t)y->w * sizeof *places);
    for (int64_t r = rows.from; r < rows.to; r++)
        for (int64_t c = columns.from; c < columns.to; c++)
            places[r * y->w + c] = weight * (mask ? mask[(top + r) * y->whole_w + left + c] : 1);
}

static const float *mask_of(const gen_style *s, int32_t target, const layer *y)
{
    char input[STYLE_NAME_BYTES];
    snprintf(input, sizeof input, "mask%d.%s", target, y->name);
    const style_target *mask = style_find_target(s, input);
    return mask ? mask->values : NULL;
}

static gen_status feed_masks(style_tiles *t, gen_program *p, int32_t tile, gen_error *err)
{
    for (int32_t k = 0; k < t->at.loss->n_targets; k++)
        for (int32_t i = 0; i < t->at.n_style; i++) {
            const layer *y = &t->at.style[i];
            own_places(&t->at, y, tile, t->at.loss->masked ? mask_of(t->s, k, y) : NULL, 1, t->numbers);
            GEN_TRY(feed(p, "mask", k, y->name, t->numbers, (int64_t)y->h * y->w, err));
        }
    return GEN_OK;
}

/* pixels: range (rgb - 1/2), or where `rgb` says so in [0,1] */
static gen_status feed_pixels(style_tiles *t, gen_program *p, int32_t tile, const float *pixels, bool rgb,
                              gen_error *err)
{
    int64_t n = crop_numbers(&t->at);
    gen_tile_cut(pixels, t->at.width, 3, t->at.axes, tile / t->at.axes[1].n, tile % t->at.axes[1].n, t->tile);
    for (int64_t i = 0; i < n && rgb; i++) t->tile[i] = (float)(((double)t->tile[i] - 0.5) * t->at.loss->range);
    return gen_program_feed(p, "pixels", t->tile, n, err);
}

/* ---- first pass: sums ------------------------------------------------------------------------------------------------------------------ */

static gen_status add_sums(style_tiles *t, int32_t tile, gen_error *err)
{
    GEN_TRY(feed_masks(t, t->look, tile, err));
    GEN_TRY(gen_program_run(t->look, (gen_run_state){ 0 }, err));
    for (int32_t k = 0; k < t->at.loss->n_targets; k++)
        for (int32_t i = 0; i < t->at.n_style; i++) {
            int64_t c = t->at.channels[i], n = (c + 1) * c;
            double *sums = t->sums[k * t->at.n_style + i];
            GEN_TRY(fetch(t->look, "sums", k, t->at.style[i].name, t->numbers, n, err));
            for (int64_t j = 0; j < n; j++) sums[j] += (double)t->numbers[j];
        }
    return GEN_OK;
}

static gen_status sum_up(style_tiles *t, const float *pixels, bool rgb, gen_error *err)
{
    for (int32_t j = 0; j < t->at.loss->n_targets * t->at.n_style; j++) {
        int64_t c = t->at.channels[j % t->at.n_style];
        memset(t->sums[j], 0, (size_t)((c + 1) * c) * sizeof(double));
    }
    double start = style_now_s();
    for (int32_t tile = 0; tile < tiles_of(&t->at); tile++) {
        GEN_TRY(feed_pixels(t, t->look, tile, pixels, rgb, err));
        GEN_TRY(add_sums(t, tile, err));
    }
    t->s->measured_s += style_now_s() - start; /* says how fast this machine is */
    t->s->measured_flops += 2 * tiles_of(&t->at) * gen_graph_multiply_adds(gen_program_graph(t->look));
    return GEN_OK;
}

static gen_status feed_sums(style_tiles *t, gen_program *p, int32_t k, int32_t i, gen_error *err)
{
    const layer *y = &t->at.style[i];
    int64_t n = (y->channels + 1) * y->channels, places = (int64_t)y->whole_h * y->whole_w;
    const float *mask = t->at.loss->masked ? mask_of(t->s, k, y) : NULL;
    double count = mask ? GEN_STYLE_MASK_EPS : (double)places;
    for (int64_t j = 0; j < places && mask; j++) count += (double)mask[j];
    const double *sums = t->sums[k * t->at.n_style + i];
    for (int64_t j = 0; j < n; j++) t->numbers[j] = (float)sums[j];
    GEN_TRY(feed(p, "sums", k, y->name, t->numbers, n, err));
    return feed(p, "count", k, y->name, &(float){ (float)count }, 1, err);
}

/* From the sums to the loss, and to what the second pass takes back. */
static gen_status find_slopes(style_tiles *t, double *style, gen_error *err)
{
    *style = 0;
    if (!t->at.n_style) return GEN_OK;
    for (int32_t k = 0; k < t->at.loss->n_targets; k++)
        for (int32_t i = 0; i < t->at.n_style; i++) GEN_TRY(feed_sums(t, t->slopes, k, i, err));
    GEN_TRY(gen_program_run(t->slopes, (gen_run_state){ 0 }, err));
    for (int32_t k = 0; k < t->at.loss->n_targets; k++)
        for (int32_t i = 0; i < t->at.n_style; i++) {
            int64_t n = (t->at.channels[i] + 1) * t->at.channels[i];
            GEN_TRY(fetch(t->slopes, "slope", k, t->at.style[i].name, t->numbers, n, err));
            GEN_TRY(feed(t->part, "slope", k, t->at.style[i].name, t->numbers, n, err));
        }
    return gen_program_fetch_scalar(t->slopes, "style", style, err);
}

/* ---- second pass: the gradient --------------------------------------------------------------------------------------------------------- */

static int64_t features_of(const layer *y)
{
    return y->h * y->w * y->channels;
}

/* The content's features in a tile: kept ones, or from the content itself. */
static gen_status feed_content(style_tiles *t, int32_t tile, gen_error *err)
{
    int32_t n = t->at.loss->n_content;
    if (n && !t->kept[0]) {
        GEN_TRY(feed_pixels(t, t->look, tile, t->content, true, err));
        GEN_TRY(gen_program_run(t->look, (gen_run_state){ 0 }, err));
    }
    for (int32_t i = 0; i < n; i++) {
        const layer *y = &t->at.content[i];
        const float *values = t->kept[i] ? t->kept[i][tile] : t->numbers;
        if (!t->kept[i]) GEN_TRY(fetch(t->look, "content", -1, y->name, t->numbers, features_of(y), err));
        GEN_TRY(feed(t->part, "content", -1, y->name, values, features_of(y), err));
        own_places(&t->at, y, tile, NULL, (float)t->own[i], t->numbers);
        GEN_TRY(feed(t->part, "own", -1, y->name, t->numbers, (int64_t)y->h * y->w, err));
    }
    return GEN_OK;
}

static gen_status add_part(style_tiles *t, int32_t tile, const float *pixels, float *gradient, double *content,
                           gen_error *err)
{
    double more;
    GEN_TRY(feed_content(t, tile, err));
    GEN_TRY(feed_masks(t, t->part, tile, err));
    GEN_TRY(feed_pixels(t, t->part, tile, pixels, false, err));
    GEN_TRY(gen_program_run(t->part, (gen_run_state){ 0 }, err));
    GEN_TRY(gen_program_fetch_scalar(t->part, "content", &more, err));
    GEN_TRY(gen_program_fetch(t->part, "gradient", t->tile, crop_numbers(&t->at), err));
    gen_tile_add(t->tile, t->at.width, 3, t->at.axes, tile / t->at.axes[1].n, tile % t->at.axes[1].n, gradient);
    *content += more;
    return GEN_OK;
}

static gen_status add_variation(style_tiles *t, const float *pixels, float *gradient, double *tv, gen_error *err)
{
    int64_t row = (int64_t)t->at.width * 3;
    for (int32_t from = 0; from < t->at.height && t->bands[BAND_TOP]; from += band_rows(&t->at)) {
        band b = band_at(&t->at, from);
        gen_program *p = t->bands[b.kind];
        int64_t n = (b.to - b.from) * row;
        double more;
        GEN_TRY(gen_program_feed(p, "pixels", pixels + b.from * row, n, err));
        GEN_TRY(gen_program_run(p, (gen_run_state){ 0 }, err));
        GEN_TRY(gen_program_fetch_scalar(p, "tv", &more, err));
        GEN_TRY(gen_program_fetch(p, "gradient", t->tile, n, err));
        for (int64_t i = 0; i < n; i++) gradient[b.from * row + i] += t->tile[i];
        *tv += more;
    }
    return GEN_OK;
}

gen_status style_tiles_gradient(style_tiles *t, const float *pixels, float *gradient, style_losses *losses,
                                gen_error *err)
{
    *losses = (style_losses){ 0 };
    memset(gradient, 0, (size_t)t->at.height * (size_t)t->at.width * 3 * sizeof *gradient);
    if (t->at.n_style) GEN_TRY(sum_up(t, pixels, false, err));
    GEN_TRY(find_slopes(t, &losses->style, err));
    for (int32_t tile = 0; tile < tiles_of(&t->at); tile++)
        GEN_TRY(add_part(t, tile, pixels, gradient, &losses->content, err));
    return add_variation(t, pixels, gradient, &losses->tv, err);
}

/* ---- making -------------------------------------------------------------------------------------------------------------------------------- */

static gen_status make_program(style_tiles *t, graph_of build, int kind, gen_program **p, gen_error *err)
{
    gen_graph *g = gen_graph_new();
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    build(g, &t->at, kind);
    return gen_program_new(g, t->s->device, t->s->params, (uint64_t)t->s->job.options->seed, p, err);
}

static gen_status make_room(style_tiles *t, gen_error *err)
{
    t->numbers = gen_arena_alloc(t->arena, (size_t)most_numbers(&t->at) * sizeof *t->numbers);
    t->tile = gen_arena_alloc(t->arena, (size_t)tile_numbers(&t->at) * sizeof *t->tile);
    bool fine = t->numbers && t->tile;
    for (int32_t j = 0; j < t->at.loss->n_targets * t->at.n_style; j++) {
        int64_t c = t->at.channels[j % t->at.n_style];
        t->sums[j] = gen_arena_alloc(t->arena, (size_t)((c + 1) * c) * sizeof *t->sums[j]);
        fine = fine && t->sums[j];
    }
    return fine ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for a tile");
}

/* Features of layer i in a tile, in t->kept where they are kept; and the sum of their squares over the tile's own places. */
static gen_status keep_features(style_tiles *t, int32_t i, int32_t tile, double *energy, gen_error *err)
{
    const layer *y = &t->at.content[i];
    int64_t n = features_of(y);
    float *values = t->numbers;
    if (t->kept[i]) values = t->kept[i][tile] = gen_arena_alloc(t->arena, (size_t)n * sizeof *values);
    if (!values) return gen_fail(err, GEN_NO_MEMORY, "no memory for the content");
    GEN_TRY(fetch(t->look, "content", -1, y->name, values, n, err));
    gen_tile_part rows = gen_tile_own(&t->at.axes[0], tile / t->at.axes[1].n, y->stride, y->h),
                  columns = gen_tile_own(&t->at.axes[1], tile % t->at.axes[1].n, y->stride, y->w);
    for (int64_t r = rows.from; r < rows.to; r++)
        for (int64_t k = (r * y->w + columns.from) * y->channels; k < (r * y->w + columns.to) * y->channels; k++)
            *energy += (double)values[k] * (double)values[k];
    return GEN_OK;
}

/* One look at all of the content: how large its features are, and the features themselves where they are kept. */
static gen_status look_at_content(style_tiles *t, bool keep, gen_error *err)
{
    const gen_style_loss *l = t->at.loss;
    double energy[GEN_STYLE_MAX_LAYERS] = { 0 };
    for (int32_t i = 0; i < l->n_content && keep; i++) {
        t->kept[i] = gen_arena_alloc(t->arena, (size_t)tiles_of(&t->at) * sizeof *t->kept[i]);
        if (!t->kept[i]) return gen_fail(err, GEN_NO_MEMORY, "no memory for the content");
    }
    for (int32_t tile = 0; tile < tiles_of(&t->at) && l->n_content; tile++) {
        GEN_TRY(feed_pixels(t, t->look, tile, t->content, true, err));
        GEN_TRY(gen_program_run(t->look, (gen_run_state){ 0 }, err));
        for (int32_t i = 0; i < l->n_content; i++) GEN_TRY(keep_features(t, i, tile, &energy[i], err));
    }
    for (int32_t i = 0; i < l->n_content; i++) {
        const layer *y = &t->at.content[i];
        double n = (double)y->whole_h * y->whole_w * (double)y->channels;
        t->own[i] = l->content_weight * l->content[i].weight / (n * (l->relative ? energy[i] / n + 1e-12 : 1));
    }
    return GEN_OK;
}

static gen_status open_tiles(style_tiles *t, const gen_style_loss *loss, int32_t height, int32_t width, int32_t side,
                             gen_error *err)
{
    t->arena = gen_arena_new();
    if (!t->arena) return gen_fail(err, GEN_NO_MEMORY, "no memory for tiles");
    GEN_TRY(lay_out(loss, height, width, side, t->arena, &t->at, err));
    GEN_TRY(make_room(t, err));
    return make_program(t, look_graph, 0, &t->look, err);
}

static gen_status make_programs(style_tiles *t, gen_error *err)
{
    if (t->at.n_style) GEN_TRY(make_program(t, slopes_graph, 0, &t->slopes, err));
    for (int32_t k = 0; k < t->at.loss->n_targets; k++)
        for (int32_t i = 0; i < t->at.n_style; i++) {
            const layer *y = &t->at.style[i];
            char input[STYLE_NAME_BYTES];
            snprintf(input, sizeof input, "style%d.%s", k, y->name);
            const style_target *target = style_find_target(t->s, input);
            if (!target) return gen_fail(err, GEN_NOT_FOUND, "there is no target %s", input);
            GEN_TRY(gen_program_feed(t->slopes, input, target->values, target->n, err));
        }
    GEN_TRY(make_program(t, part_graph, 0, &t->part, err));
    for (int kind = 0; kind < BAND_KINDS; kind++)
        if (has_band(&t->at, kind)) GEN_TRY(make_program(t, band_graph, kind, &t->bands[kind], err));
    return GEN_OK;
}

gen_status style_tiles_new(gen_style *s, const style_scale *at, const float *content, style_tiles **out, gen_error *err)
{
    style_tiles *t = gen_alloc(1, sizeof *t);
    if (!t) return gen_fail(err, GEN_NO_MEMORY, "no memory for tiles");
    t->s = s;
    t->content = content;
    gen_status status = open_tiles(t, &s->loss, at->height, at->width, at->tile, err);
    if (status == GEN_OK) status = look_at_content(t, at->keep_content, err);
    if (status == GEN_OK) status = make_programs(t, err);
    if (status == GEN_OK) *out = t;
    else style_tiles_free(t);
    return status;
}

void style_tiles_free(style_tiles *t)
{
    if (!t) return;
    gen_program_free(t->look);
    gen_program_free(t->slopes);
    gen_program_free(t->part);
    for (int kind = 0; kind < BAND_KINDS; kind++) gen_program_free(t->bands[kind]);
    gen_arena_free(t->arena);
    gen_free(t);
}

/* ---- other pictures ---------------------------------------------------------------------------------------------------------------------- */

static void from_sums_graph(gen_graph *g, const layout *at, int kind)
{
    (void)kind;
    gen_style_from_sums(g, at->loss, at->channels);
}

static gen_status describe(style_tiles *t, const float *rgb, float *values[], int64_t counts[], gen_error *err)
{
    GEN_TRY(sum_up(t, rgb, true, err));
    GEN_TRY(make_program(t, from_sums_graph, 0, &t->slopes, err));
    for (int32_t i = 0; i < t->at.n_style; i++) GEN_TRY(feed_sums(t, t->slopes, 0, i, err));
    GEN_TRY(gen_program_run(t->slopes, (gen_run_state){ 0 }, err));
    for (int32_t i = 0; i < t->at.n_style; i++) {
        counts[i] = (t->at.channels[i] + 1) * t->at.channels[i];
        values[i] = gen_arena_alloc(t->s->targets, (size_t)counts[i] * sizeof *values[i]);
        if (!values[i]) return gen_fail(err, GEN_NO_MEMORY, "no memory for a style");
        GEN_TRY(fetch(t->slopes, "style", -1, t->at.style[i].name, values[i], counts[i], err));
    }
    return GEN_OK;
}

gen_status style_tiles_describe(gen_style *s, const float *rgb, int32_t height, int32_t width, int32_t side,
                                float *values[GEN_STYLE_MAX_LAYERS], int64_t counts[GEN_STYLE_MAX_LAYERS],
                                gen_error *err)
{
    gen_style_loss alone = s->loss; /* one picture without a mask, and no content */
    alone.n_targets = 1;
    alone.masked = false;
    alone.n_content = 0;
    style_tiles *t = gen_alloc(1, sizeof *t);
    if (!t) return gen_fail(err, GEN_NO_MEMORY, "no memory for tiles");
    t->s = s;
    gen_status status = open_tiles(t, &alone, height, width, side ? side : ONE_TILE, err);
    if (status == GEN_OK) status = describe(t, rgb, values, counts, err);
    style_tiles_free(t);
    return status;
}
