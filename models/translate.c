#include "models/translate.h"

#include <string.h>

enum { LEAST_SIDE = 16 };

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

static gen_status plan_bytes(const tiling *t, gen_graph *g, double *bytes, gen_error *err)
{
    gen_plan *plan = NULL;
    gen_model_context m = gen_run_context(t->run, 1);
    m.height = t->tile_h;
    m.width = t->tile_w;
    t->run->settings.model->translate(g, &m);
    GEN_TRY(gen_graph_check(g, err));
    gen_node *y = gen_graph_output(g, 0, NULL);
    GEN_TRY(gen_plan_new(g, &(gen_plan_request){ .n_outputs = 1, .outputs = &y }, &plan, err));
    *bytes = (double)plan->slab_count * (double)t->run->device->element_bytes;
    gen_plan_free(plan);
    return GEN_OK;
}

gen_status gen_translate_bytes(gen_run *run, int64_t h, int64_t w, double *bytes, gen_error *err)
{
    tiling t = { .run = run, .h = h, .w = w, .c = run->channels };
    gen_graph *g = gen_graph_new();
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    choose_tile(&t);
    gen_status status = plan_bytes(&t, g, bytes, err);
    gen_graph_free(g);
    double picture = (double)h * (double)w * (double)(2 * t.c + 1),
           tile = (double)t.tile_h * (double)t.tile_w * (double)(2 * t.c);
    *bytes += (picture + tile) * (double)sizeof(float);
    return status;
}

gen_status gen_translate(gen_run *run, const float *x, int64_t h, int64_t w, float *y, gen_error *err)
{
    tiling t = { .run = run, .x = x, .y = y, .h = h, .w = w, .c = run->channels };
    GEN_TRY(make_program(&t, err));
    size_t count = (size_t)(t.tile_h * t.tile_w * t.c);
    t.tile = gen_alloc(2 * count, sizeof *t.tile);
    t.weight = gen_alloc((size_t)(h * w), sizeof *t.weight);
    t.out = t.tile ? t.tile + count : NULL;
    gen_status status = t.tile && t.weight ? run_tiles(&t, err)
                                           : gen_fail(err, GEN_NO_MEMORY, "no memory for a picture of %lldx%lld pixels",
                                                      (long long)w, (long long)h);
    gen_free(t.tile);
    gen_free(t.weight);
    gen_program_free(t.program);
    return status;
}
