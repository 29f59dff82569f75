#include "models/translate.h"

#include <math.h>
#include <string.h>

#include "io/image.h"
#include "models/bands.h"
#include "models/cost.h"

enum { LEAST_SIDE = 16, BESIDES_BYTES = 48 << 20 /* graphs, plans, rounding up */ };

typedef struct tiling {
    gen_run *run;
    gen_program *program;
    const float *x;
    float *y, *tile, *out, *weight; /* weight [h,w]: sum of the tiles' weights at each place */
    int64_t h, w, c, tile_h, tile_w;
} tiling;

/* ..., 2, 1, 0, 1, ..., n - 1, n - 2, ... */
static int64_t mirrored(int64_t i, int64_t n)
{
    if (n == 1) return 0;
    int64_t period = 2 * (n - 1), at = i % period;
    return at < n ? at : period - at;
}

static void cut(tiling *t, int64_t top, int64_t left)
{
    for (int64_t r = 0; r < t->tile_h; r++)
        for (int64_t s = 0; s < t->tile_w; s++) {
            int64_t from = mirrored(top + r, t->h) * t->w + mirrored(left + s, t->w);
            memcpy(t->tile + (r * t->tile_w + s) * t->c, t->x + from * t->c, (size_t)t->c * sizeof *t->tile);
        }
}

static int64_t overlap_of(int64_t side)
{
    return side / 4;
}

/* 1 inside, falling towards each edge over the overlap, never 0 */
static float fade(int64_t i, int64_t side)
{
    int64_t edge = i + 1 < side - i ? i + 1 : side - i, overlap = overlap_of(side);
    return edge > overlap ? 1 : (float)edge / (float)(overlap + 1);
}

static void paste(tiling *t, int64_t top, int64_t left)
{
    int64_t rows = t->h - top < t->tile_h ? t->h - top : t->tile_h,
            columns = t->w - left < t->tile_w ? t->w - left : t->tile_w;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t s = 0; s < columns; s++) {
            int64_t to = (top + r) * t->w + left + s;
            float weight = fade(r, t->tile_h) * fade(s, t->tile_w);
            for (int64_t k = 0; k < t->c; k++) t->y[to * t->c + k] += weight * t->out[(r * t->tile_w + s) * t->c + k];
            t->weight[to] += weight;
        }
}

/* The first place of the next tile after `at`, or -1: the last tile ends where the picture ends. */
static int64_t next_place(int64_t at, int64_t side, int64_t n)
{
    if (at + side >= n) return -1;
    int64_t next = at + side - overlap_of(side);
    return next + side > n ? n - side : next;
}

static gen_status run_tiles(tiling *t, gen_error *err)
{
    int64_t count = t->tile_h * t->tile_w * t->c;
    gen_run_state state = { .seed = (uint64_t)t->run->settings.train.seed };
    memset(t->y, 0, (size_t)(t->h * t->w * t->c) * sizeof *t->y);
    memset(t->weight, 0, (size_t)(t->h * t->w) * sizeof *t->weight);
    for (int64_t top = 0; top >= 0; top = next_place(top, t->tile_h, t->h))
        for (int64_t left = 0; left >= 0; left = next_place(left, t->tile_w, t->w)) {
            cut(t, top, left);
            GEN_TRY(gen_program_feed(t->program, "x", t->tile, count, err));
            GEN_TRY(gen_program_run(t->program, state, err));
            GEN_TRY(gen_program_fetch(t->program, "y", t->out, count, err));
            paste(t, top, left);
        }
    for (int64_t i = 0; i < t->h * t->w * t->c; i++) t->y[i] /= t->weight[i / t->c];
    return GEN_OK;
}

static int64_t tile_side(int64_t n)
{
    return n > GEN_TILE_SIDE ? GEN_TILE_SIDE : n < LEAST_SIDE ? LEAST_SIDE : n;
}

/* The least side of a whole picture, padded, that the model takes. */
static int64_t padded_side(int64_t n, int64_t unit)
{
    return n < 2 * unit ? 2 * unit : (n + unit - 1) / unit * unit;
}

static void choose_tile(tiling *t)
{
    const gen_run *run = t->run;
    const gen_model *model = run->settings.model;
    gen_model_context m = gen_run_context(run, 1);
    bool any_size = model->any_size && model->any_size(&m);
    int64_t unit = model->whole ? model->whole(&m) : 0;
    t->tile_h = unit ? padded_side(t->h, unit) : any_size ? tile_side(t->h) : run->height;
    t->tile_w = unit ? padded_side(t->w, unit) : any_size ? tile_side(t->w) : run->width;
}

/* A program of the tile's size: the run's own size is put back. */
static gen_status make_program(tiling *t, gen_error *err)
{
    gen_run *run = t->run;
    int64_t own_h = run->height, own_w = run->width;
    choose_tile(t);
    run->height = t->tile_h;
    run->width = t->tile_w;
    gen_status status =
        gen_run_program(run, run->settings.model->translate, "make pictures of pictures", 1, &t->program, err);
    run->height = own_h;
    run->width = own_w;
    return status;
}

/* ---- how ------------------------------------------------------------------------------------------------------------------------- */

static double params_bytes(const gen_run *run)
{
    double n = 0;
    for (int32_t i = 0; i < gen_params_count(run->params); i++) {
        gen_param_info p = gen_params_get(run->params, i);
        n += (double)gen_shape_count(&p.shape);
    }
    return n * (double)run->device->element_bytes;
}

/* Tiles, or the whole picture as one: the plan, a tile before and after, the result, the weights of places. */
static gen_status tile_bytes(tiling *t, double *bytes, gen_error *err)
{
    size_t planned = 0;
    gen_graph *g = gen_graph_new();
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    choose_tile(t);
    gen_model_context m = gen_run_context(t->run, 1);
    m.height = t->tile_h;
    m.width = t->tile_w;
    t->run->settings.model->translate(g, &m);
    gen_status status = gen_graph_bytes(g, t->run->device, &planned, err);
    gen_graph_free(g);
    double picture = (double)t->h * (double)t->w * (double)(t->c + 1),
           tile = (double)t->tile_h * (double)t->tile_w * (double)(2 * t->c);
    *bytes = (double)planned + (picture + tile) * (double)sizeof(float);
    return status;
}

/* The picture goes on as its mirror image where its sides are no multiples. */
static double padding_bytes(const gen_translate_plan *p, int64_t h, int64_t w, int64_t c)
{
    return p->h == h && p->w == w ? 0 : (double)(h * w * c) * (double)sizeof(float);
}

typedef gen_status (*bytes_of_side)(gen_bands *b, int32_t side_px, double *bytes, gen_error *err);

/* The largest side that fits; false: *least is what the one with least needs. */
static bool choose_side(gen_bands *b, bytes_of_side measure, double room, int32_t *side, double *bytes, double *least)
{
    static const int32_t sides[] = { 512, 384, 256, 192, 128, 96, 64, 48, 32 };
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        if (measure(b, sides[i], bytes, NULL) != GEN_OK) continue; /* too small for what the net sees */
        *side = sides[i];
        if (*bytes < *least) *least = *bytes;
        if (*bytes <= room) return true;
    }
    return false;
}

static gen_status plan_bands(gen_run *run, int64_t h, int64_t w, double room, gen_translate_plan *p, double *least,
                             bool *fits, gen_error *err)
{
    gen_bands *b = NULL;
    double extra = padding_bytes(p, h, w, run->channels), enough = 1e300;
    GEN_TRY(gen_bands_open(run, h, w, &b, err));
    p->way = GEN_TRANSLATE_BANDS;
    *fits = choose_side(b, gen_bands_bytes, room - extra, &p->side_px, &p->bytes, &enough);
    if (enough + extra < *least) *least = enough + extra;
    p->bytes += extra;
    gen_bands_close(b);
    return GEN_OK;
}

/* A copy of an n-th of the height and width, of which bands take what the tiles of the picture leave. */
static gen_status plan_reduced(gen_run *run, int64_t h, int64_t w, int64_t unit, double room, gen_translate_plan *p,
                               double *least, bool *fits, gen_error *err)
{
    gen_bands *b = NULL;
    double extra = padding_bytes(p, h, w, run->channels), enough = 1e300;
    GEN_TRY(gen_bands_open(run, h, w, &b, err));
    p->way = GEN_TRANSLATE_REDUCED;
    *fits = choose_side(b, gen_bands_like_bytes, room - extra, &p->side_px, &p->bytes, &enough);
    gen_bands_close(b);
    if (enough + extra < *least) *least = enough + extra;
    p->bytes += extra;
    for (int64_t part = 2; *fits && part <= 16; part++) {
        double bytes;
        p->reduced_h = padded_side(h / part, unit);
        p->reduced_w = padded_side(w / part, unit);
        GEN_TRY(gen_bands_open(run, p->reduced_h, p->reduced_w, &b, err));
        gen_status status = gen_bands_bytes(b, p->side_px, &bytes, err);
        gen_bands_close(b);
        if (status != GEN_OK || bytes <= room - extra) return status;
    }
    *fits = false;
    return GEN_OK;
}

static gen_status refuse(const gen_translate_plan *p, double least, size_t limit, gen_error *err)
{
    const double mega = 1024.0 * 1024.0;
    return gen_fail(err, GEN_NO_MEMORY,
                    "%lldx%lld pixels need %.0f MB, and there are %.4g (--memory sets what may be used): scale the "
                    "picture down, or allow more",
                    (long long)p->w, (long long)p->h, ceil(least / mega), (double)limit / mega);
}

gen_status gen_translate_plan_make(gen_run *run, int64_t h, int64_t w, size_t limit, size_t used,
                                   gen_translate_plan *plan, gen_error *err)
{
    const gen_model *model = run->settings.model;
    tiling t = { .run = run, .h = h, .w = w, .c = run->channels };
    gen_model_context m = gen_run_context(run, 1);
    if (!model->translate) return gen_fail(err, GEN_UNSUPPORTED, "%s cannot make pictures of pictures", model->name);
    int64_t unit = model->whole ? model->whole(&m) : 0;
    double others = params_bytes(run) + (double)used + BESIDES_BYTES, room = limit ? (double)limit - others : 1e300,
           least;
    gen_translate_plan p = { .way = unit ? GEN_TRANSLATE_WHOLE : GEN_TRANSLATE_TILES, .h = h, .w = w };
    GEN_TRY(tile_bytes(&t, &p.bytes, err));
    least = p.bytes;
    bool fits = p.bytes <= room, staged = model->stages && unit;
    gen_stage stages[GEN_MAX_STAGES];
    staged = staged && model->stages(&m, stages);
    int64_t whole_h = unit ? padded_side(h, unit) : h, whole_w = unit ? padded_side(w, unit) : w;
    if (!fits && staged) GEN_TRY(plan_bands(run, whole_h, whole_w, room, &p, &least, &fits, err));
    if (!fits && staged) GEN_TRY(plan_reduced(run, whole_h, whole_w, unit, room, &p, &least, &fits, err));
    if (!fits) return refuse(&p, least + others, limit, err);
    p.bytes += others;
    *plan = p;
    return GEN_OK;
}

/* ---- doing it ------------------------------------------------------------------------------------------------------------------------ */

static gen_status in_tiles(gen_run *run, const gen_translate_plan *p, const float *x, float *y, gen_error *err)
{
    tiling t = { .run = run, .x = x, .h = p->h, .w = p->w, .c = run->channels };
    GEN_TRY(make_program(&t, err));
    size_t count = (size_t)(t.tile_h * t.tile_w * t.c), numbers = (size_t)(p->h * p->w * t.c);
    t.tile = gen_alloc(2 * count, sizeof *t.tile);
    t.weight = gen_alloc((size_t)(p->h * p->w), sizeof *t.weight);
    t.y = gen_alloc(numbers, sizeof *t.y);
    t.out = t.tile ? t.tile + count : NULL;
    gen_status status = t.tile && t.weight && t.y
                            ? run_tiles(&t, err)
                            : gen_fail(err, GEN_NO_MEMORY, "no memory for a picture of %lldx%lld pixels",
                                       (long long)p->w, (long long)p->h);
    if (status == GEN_OK) memcpy(y, t.y, numbers * sizeof *y);
    gen_free(t.tile);
    gen_free(t.weight);
    gen_free(t.y);
    gen_program_free(t.program);
    return status;
}

/* The statistics of a reduced copy of picture[h,w,C] are those of its translation. */
static gen_status translate_like_a_copy(gen_run *run, const gen_translate_plan *p, gen_bands *b, float *picture,
                                        int64_t h, int64_t w, gen_error *err)
{
    gen_bands *small = NULL;
    int64_t n = p->reduced_h * p->reduced_w * run->channels;
    float *copy = gen_alloc((size_t)n, sizeof *copy);
    gen_status status = copy ? gen_image_resize(picture, (int32_t)h, (int32_t)w, (int32_t)run->channels, copy,
                                                (int32_t)p->reduced_h, (int32_t)p->reduced_w, GEN_FILTER_BICUBIC, err)
                             : gen_fail(err, GEN_NO_MEMORY, "no memory for a copy");
    if (status == GEN_OK) status = gen_bands_open(run, p->reduced_h, p->reduced_w, &small, err);
    if (status == GEN_OK) status = gen_bands_translate(small, copy, p->side_px, err);
    if (status == GEN_OK) status = gen_bands_translate_like(b, small, picture, p->side_px, err);
    gen_bands_close(small);
    gen_free(copy);
    return status;
}

static gen_status in_bands(gen_run *run, const gen_translate_plan *p, float *picture, int64_t h, int64_t w,
                           gen_error *err)
{
    gen_bands *b = NULL;
    GEN_TRY(gen_bands_open(run, h, w, &b, err));
    gen_status status = p->way == GEN_TRANSLATE_BANDS ? gen_bands_translate(b, picture, p->side_px, err)
                                                      : translate_like_a_copy(run, p, b, picture, h, w, err);
    gen_bands_close(b);
    return status;
}

gen_status gen_translate(gen_run *run, const gen_translate_plan *p, const float *x, float *y, gen_error *err)
{
    if (p->way == GEN_TRANSLATE_TILES || p->way == GEN_TRANSLATE_WHOLE) return in_tiles(run, p, x, y, err);
    gen_model_context m = gen_run_context(run, 1);
    int64_t unit = run->settings.model->whole(&m), c = run->channels;
    tiling t = {
        .x = x, .h = p->h, .w = p->w, .c = c, .tile_h = padded_side(p->h, unit), .tile_w = padded_side(p->w, unit)
    };
    if (t.tile_h == p->h && t.tile_w == p->w) {
        if (x != y) memcpy(y, x, (size_t)(p->h * p->w * c) * sizeof *y);
        return in_bands(run, p, y, p->h, p->w, err);
    }
    t.tile = gen_alloc((size_t)(t.tile_h * t.tile_w * c), sizeof *t.tile);
    if (!t.tile) return gen_fail(err, GEN_NO_MEMORY, "no memory for a picture");
    cut(&t, 0, 0);
    gen_status status = in_bands(run, p, t.tile, t.tile_h, t.tile_w, err);
    for (int64_t r = 0; r < p->h && status == GEN_OK; r++)
        memcpy(y + r * p->w * c, t.tile + r * t.tile_w * c, (size_t)(p->w * c) * sizeof *y);
    gen_free(t.tile);
    return status;
}
