#include "models/bands.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/cost.h"
#include "models/tiles.h"

enum { NAME_BYTES = 32 };
#define NORM_EPS 1e-5 /* instance norm's, as nn_group_norm's default */

struct gen_bands {
    gen_run *run;
    gen_arena *arena;
    gen_model_context m;
    int32_t height, width;
    gen_stage stage[GEN_MAX_STAGES];
    int32_t n, narrow_first,
        narrow_end;               /* stages narrow_first … narrow_end - 1 lie between two of the narrowest pictures */
    float *stats[GEN_MAX_STAGES]; /* [2,C]: mean and 1 / deviation of each channel of the stage's result */
};

/* Stages first … last in one graph, whose input is a part of a stored picture; raw: a result that its norm is still to come to. */
typedef struct chain {
    int32_t first, last;
    bool raw;
} chain;

static int64_t channels_out(const gen_bands *b, int32_t i)
{
    return i + 1 < b->n ? b->stage[i + 1].channels_in : b->m.channels;
}

/* ---- graphs ---------------------------------------------------------------------------------------------------------------------- */

static const char *stats_name(int32_t i, char *name)
{
    snprintf(name, NAME_BYTES, "stats%d", i);
    return name;
}

/* Norm and end of stage i; before: what went into the stage before */
static gen_node *finish(gen_graph *g, const gen_bands *b, int32_t i, gen_node *y, gen_node *before)
{
    char name[NAME_BYTES];
    gen_node *stats = gen_input(g, stats_name(i, name), GEN_SHAPE(2, channels_out(b, i)));
    y = gen_mul(g, gen_sub(g, y, gen_slice(g, stats, 0, 0, 1)), gen_slice(g, stats, 0, 1, 1));
    return b->stage[i].end == GEN_STAGE_ADD ? gen_add(g, y, before) : gen_relu(g, y);
}

static void chain_graph(gen_graph *g, const gen_bands *b, chain c, int32_t height, int32_t width)
{
    const gen_stage *first = &b->stage[c.first];
    gen_node *before = NULL;
    gen_node *x =
        gen_input(g, "x", GEN_SHAPE(1, height / first->stride_in, width / first->stride_in, first->channels_in));
    if (c.raw) x = finish(g, b, c.first - 1, x, NULL);
    for (int32_t i = c.first; i < c.last; i++) {
        gen_node *y = finish(g, b, i, b->run->settings.model->stage(g, &b->m, i, x), before);
        before = x;
        x = y;
    }
    gen_output(g, "y", b->run->settings.model->stage(g, &b->m, c.last, x));
}

/* What a chain wants of a crop, in pixels of the picture. */
static gen_tile_need need_of(const gen_bands *b, chain c)
{
    gen_tile_need need = { 1, 0, 0 };
    for (int32_t i = c.first; i <= c.last; i++) {
        const gen_stage *s = &b->stage[i];
        if (s->stride_in > need.unit) need.unit = s->stride_in;
        if (s->stride_out > need.unit) need.unit = s->stride_out;
        need.before += s->before * s->stride_in;
        need.after += s->after * s->stride_in;
    }
    return need;
}

static gen_status lay_out(const gen_bands *b, chain c, int32_t side, bool square, gen_arena *arena,
                          gen_tile_axis axes[2], gen_error *err)
{
    gen_tile_need need = need_of(b, c);
    GEN_TRY(gen_tile_axis_make(b->height, side, &need, arena, &axes[0], err));
    return gen_tile_axis_make(b->width, square ? side : b->width, &need, arena, &axes[1], err);
}

/* ---- one pass -------------------------------------------------------------------------------------------------------------------- */

/* A picture at some stride: [height / stride, width / stride, c] */
typedef struct plane {
    float *values;
    int32_t stride;
    int64_t width, c;
} plane;

typedef struct pass {
    const gen_bands *b;
    chain c;
    gen_tile_axis axes[2];
    plane from, to;  /* to.values NULL: only statistics are wanted */
    float *in, *out; /* of a crop */
    double *sums;    /* [2,C]: of the results, of their squares */
    int64_t in_h, in_w, out_h, out_w;
} pass;

/* Rows of a crop that the crop before has too come from there: where a picture is replaced in place, they are no longer in it. */
static void fill(pass *p, int32_t row, int32_t column)
{
    int64_t top = p->axes[0].tiles[row].start / p->from.stride, left = p->axes[1].tiles[column].start / p->from.stride,
            n = p->in_w * p->from.c, had = 0;
    if (row && p->axes[1].n == 1) {
        int64_t moved = top - p->axes[0].tiles[row - 1].start / p->from.stride;
        had = moved < p->in_h ? p->in_h - moved : 0;
        memmove(p->in, p->in + moved * n, (size_t)(had * n) * sizeof *p->in);
    }
    for (int64_t r = had; r < p->in_h; r++)
        memcpy(p->in + r * n, p->from.values + ((top + r) * p->from.width + left) * p->from.c,
               (size_t)n * sizeof *p->in);
}

static void take(pass *p, int32_t row, int32_t column)
{
    int32_t stride = p->to.stride;
    gen_tile_part rows = gen_tile_own(&p->axes[0], row, stride, (int32_t)p->out_h),
                  columns = gen_tile_own(&p->axes[1], column, stride, (int32_t)p->out_w);
    int64_t top = p->axes[0].tiles[row].start / stride, left = p->axes[1].tiles[column].start / stride, c = p->to.c,
            n = (int64_t)(columns.to - columns.from) * c;
    for (int64_t r = rows.from; r < rows.to; r++) {
        const float *y = p->out + (r * p->out_w + columns.from) * c;
        for (int64_t i = 0; i < n && p->sums; i++) {
            p->sums[i % c] += (double)y[i];
            p->sums[c + i % c] += (double)y[i] * (double)y[i];
        }
        if (p->to.values)
            memcpy(p->to.values + ((top + r) * p->to.width + left + columns.from) * c, y, (size_t)n * sizeof *y);
    }
}

static gen_status run_tiles(pass *p, gen_program *program, gen_error *err)
{
    char name[NAME_BYTES];
    const gen_bands *b = p->b;
    for (int32_t i = p->c.raw ? p->c.first - 1 : p->c.first; i < p->c.last; i++)
        GEN_TRY(gen_program_feed(program, stats_name(i, name), b->stats[i], 2 * channels_out(b, i), err));
    for (int32_t row = 0; row < p->axes[0].n; row++)
        for (int32_t column = 0; column < p->axes[1].n; column++) {
            fill(p, row, column);
            GEN_TRY(gen_program_feed(program, "x", p->in, p->in_h * p->in_w * p->from.c, err));
            GEN_TRY(gen_program_run(program, (gen_run_state){ 0 }, err));
            GEN_TRY(gen_program_fetch(program, "y", p->out, p->out_h * p->out_w * p->to.c, err));
            take(p, row, column);
        }
    return GEN_OK;
}

static void find_stats(const pass *p, float *stats)
{
    int64_t c = p->to.c;
    double n = (double)(p->b->height / p->to.stride) * (p->b->width / p->to.stride);
    for (int64_t i = 0; i < c; i++) {
        double mean = p->sums[i] / n, variance = fmax(p->sums[c + i] / n - mean * mean, 0);
        stats[i] = (float)mean;
        stats[c + i] = (float)(1 / sqrt(variance + NORM_EPS));
    }
}

static void size_pass(pass *p)
{
    p->in_h = p->axes[0].crop / p->from.stride;
    p->in_w = p->axes[1].crop / p->from.stride;
    p->out_h = p->axes[0].crop / p->to.stride;
    p->out_w = p->axes[1].crop / p->to.stride;
}

static plane plane_of(const gen_bands *b, float *values, int32_t stride, int64_t c)
{
    return (plane){ values, stride, b->width / stride, c };
}

static pass pass_of(const gen_bands *b, chain c, float *from, float *to)
{
    const gen_stage *first = &b->stage[c.first], *last = &b->stage[c.last];
    return (pass){ .b = b,
                   .c = c,
                   .from = plane_of(b, from, first->stride_in, first->channels_in),
                   .to = plane_of(b, to, last->stride_out, channels_out(b, c.last)) };
}

static gen_status run_pass(pass *p, gen_arena *arena, gen_error *err)
{
    gen_program *program = NULL;
    gen_graph *g = gen_graph_new();
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    chain_graph(g, p->b, p->c, p->axes[0].crop, p->axes[1].crop);
    GEN_TRY(gen_program_new(g, p->b->run->device, p->b->run->params, 0, &program, err));
    size_pass(p);
    p->in = gen_arena_alloc(arena, (size_t)(p->in_h * p->in_w * p->from.c) * sizeof *p->in);
    p->out = gen_arena_alloc(arena, (size_t)(p->out_h * p->out_w * p->to.c) * sizeof *p->out);
    gen_status status =
        p->in && p->out ? run_tiles(p, program, err) : gen_fail(err, GEN_NO_MEMORY, "no memory for a band");
    gen_program_free(program);
    return status;
}

/* from and to (NULL: nowhere) may be the same picture of the same stride. Statistics of the result go to b->stats, unless it is the end. */
static gen_status do_chain(gen_bands *b, chain c, int32_t side, float *from, float *to, gen_error *err)
{
    pass p = pass_of(b, c, from, to);
    bool normed = b->stage[c.last].end != GEN_STAGE_OUT;
    gen_arena *arena = gen_arena_new();
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory for a band");
    p.sums = normed ? gen_arena_alloc(arena, 2 * (size_t)p.to.c * sizeof *p.sums) : NULL;
    gen_status status = normed && !p.sums ? gen_fail(err, GEN_NO_MEMORY, "no memory for a band") : GEN_OK;
    if (status == GEN_OK) status = lay_out(b, c, side, false, arena, p.axes, err);
    if (status == GEN_OK) status = run_pass(&p, arena, err);
    if (status == GEN_OK && normed) find_stats(&p, b->stats[c.last]);
    gen_arena_free(arena);
    return status;
}

/* ---- the whole picture --------------------------------------------------------------------------------------------------------------- */

/* x = relu(norm(x)), or x += norm(z): all of a narrow picture */
static void finish_narrow(const gen_bands *b, int32_t i, float *x, const float *z)
{
    int64_t c = channels_out(b, i), stride = b->stage[i].stride_out, n = (b->height / stride) * (b->width / stride);
    const float *mean = b->stats[i], *scale = b->stats[i] + c;
    for (int64_t at = 0; at < n * c; at += c)
        for (int64_t k = 0; k < c; k++) {
            float y = (z[at + k] - mean[k]) * scale[k];
            x[at + k] = b->stage[i].end == GEN_STAGE_ADD ? x[at + k] + y : fmaxf(y, 0);
        }
}

static gen_status do_blocks(gen_bands *b, int32_t side, float *x, float *z, gen_error *err)
{
    for (int32_t i = b->narrow_first; i < b->narrow_end; i += 2) {
        GEN_TRY(do_chain(b, (chain){ i, i, false }, side, x, z, err));
        GEN_TRY(do_chain(b, (chain){ i + 1, i + 1, true }, side, z, z, err));
        finish_narrow(b, i + 1, x, z);
    }
    return GEN_OK;
}

/* Numbers of one of the narrowest pictures */
static int64_t narrow_numbers(const gen_bands *b)
{
    int64_t stride = b->stage[b->narrow_first].stride_in;
    return (b->height / stride) * (b->width / stride) * b->stage[b->narrow_first].channels_in;
}

gen_status gen_bands_translate(gen_bands *b, float *picture, int32_t side, gen_error *err)
{
    int32_t in = b->narrow_first - 1, out = b->narrow_end, last = b->n - 1;
    size_t n = (size_t)narrow_numbers(b);
    float *x = gen_alloc(2 * n, sizeof *x), *z = x ? x + n : NULL;
    gen_status status = x ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for the middle of the net");
    for (int32_t i = 0; i <= in && status == GEN_OK; i++)
        status = do_chain(b, (chain){ 0, i, false }, side, picture, i == in ? x : NULL, err);
    if (status == GEN_OK) finish_narrow(b, in, x, x);
    if (status == GEN_OK) status = do_blocks(b, side, x, z, err);
    for (int32_t i = out; i <= last && status == GEN_OK; i++)
        status = do_chain(b, (chain){ out, i, false }, side, x, i == last ? picture : NULL, err);
    gen_free(x);
    return status;
}

gen_status gen_bands_translate_like(gen_bands *b, const gen_bands *smaller, float *picture, int32_t side,
                                    gen_error *err)
{
    size_t n = (size_t)b->height * (size_t)b->width * (size_t)b->m.channels;
    for (int32_t i = 0; i < b->n - 1; i++)
        memcpy(b->stats[i], smaller->stats[i], 2 * (size_t)channels_out(b, i) * sizeof *b->stats[i]);
    gen_arena *arena = gen_arena_new();
    float *from = gen_alloc(n, sizeof *from);
    pass p = pass_of(b, (chain){ 0, b->n - 1, false }, from, picture);
    gen_status status = arena && from ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for a picture");
    if (status == GEN_OK) memcpy(from, picture, n * sizeof *from);
    if (status == GEN_OK) status = lay_out(b, p.c, side, true, arena, p.axes, err);
    if (status == GEN_OK) status = run_pass(&p, arena, err);
    gen_free(from);
    gen_arena_free(arena);
    return status;
}

/* ---- bytes --------------------------------------------------------------------------------------------------------------------------- */

static gen_status chain_bytes(const gen_bands *b, chain c, int32_t side, bool square, gen_arena *arena, size_t *most,
                              gen_error *err)
{
    size_t bytes = 0;
    pass p = pass_of(b, c, NULL, NULL);
    GEN_TRY(lay_out(b, c, side, square, arena, p.axes, err));
    gen_graph *g = gen_graph_new();
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    chain_graph(g, b, c, p.axes[0].crop, p.axes[1].crop);
    gen_status status = gen_graph_bytes(g, b->run->device, &bytes, err);
    gen_graph_free(g);
    size_pass(&p);
    bytes += (size_t)(p.in_h * p.in_w * p.from.c + p.out_h * p.out_w * p.to.c) * sizeof(float);
    if (bytes > *most) *most = bytes;
    return status;
}

static gen_status most_bytes(const gen_bands *b, int32_t side, gen_arena *arena, size_t *most, gen_error *err)
{
    int32_t out = b->narrow_end;
    for (int32_t i = 0; i < b->narrow_first; i++)
        GEN_TRY(chain_bytes(b, (chain){ 0, i, false }, side, false, arena, most, err));
    for (int32_t i = 0; i < 2 && b->narrow_first < out; i++)
        GEN_TRY(
            chain_bytes(b, (chain){ b->narrow_first + i, b->narrow_first + i, i == 1 }, side, false, arena, most, err));
    for (int32_t i = out; i < b->n; i++)
        GEN_TRY(chain_bytes(b, (chain){ out, i, false }, side, false, arena, most, err));
    return GEN_OK;
}

gen_status gen_bands_bytes(gen_bands *b, int32_t side, double *bytes, gen_error *err)
{
    size_t most = 0;
    gen_arena *arena = gen_arena_new();
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory to measure bands");
    gen_status status = most_bytes(b, side, arena, &most, err);
    *bytes = (double)most + 2 * (double)narrow_numbers(b) * (double)sizeof(float);
    gen_arena_free(arena);
    return status;
}

gen_status gen_bands_like_bytes(gen_bands *b, int32_t side, double *bytes, gen_error *err)
{
    size_t most = 0;
    gen_arena *arena = gen_arena_new();
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory to measure tiles");
    gen_status status = chain_bytes(b, (chain){ 0, b->n - 1, false }, side, true, arena, &most, err);
    *bytes = (double)most + (double)b->height * b->width * (double)b->m.channels * (double)sizeof(float);
    gen_arena_free(arena);
    return status;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------------- */

/* The stages whose input and result are the narrowest; between the first and the last of them nothing but blocks of two. */
static void find_narrow(gen_bands *b)
{
    int32_t most = 1;
    for (int32_t i = 0; i < b->n; i++)
        if (b->stage[i].stride_out > most) most = b->stage[i].stride_out;
    for (b->narrow_first = 0; b->stage[b->narrow_first].stride_in != most;) b->narrow_first++;
    for (b->narrow_end = b->narrow_first; b->stage[b->narrow_end].stride_out == most;) b->narrow_end++;
}

static gen_status open_bands(gen_bands *b, gen_error *err)
{
    const gen_model *model = b->run->settings.model;
    b->arena = gen_arena_new();
    if (!b->arena) return gen_fail(err, GEN_NO_MEMORY, "no memory for bands");
    b->n = model->stages ? model->stages(&b->m, b->stage) : 0;
    if (!b->n) return gen_fail(err, GEN_UNSUPPORTED, "this net of %s cannot work in bands", model->name);
    find_narrow(b);
    for (int32_t i = 0; i < b->n; i++) {
        b->stats[i] = gen_arena_alloc(b->arena, 2 * (size_t)channels_out(b, i) * sizeof *b->stats[i]);
        if (!b->stats[i]) return gen_fail(err, GEN_NO_MEMORY, "no memory for bands");
    }
    return GEN_OK;
}

gen_status gen_bands_open(gen_run *run, int64_t height, int64_t width, gen_bands **bands, gen_error *err)
{
    gen_bands *b = gen_alloc(1, sizeof *b);
    if (!b) return gen_fail(err, GEN_NO_MEMORY, "no memory for bands");
    b->run = run;
    b->m = gen_run_context(run, 1);
    b->height = (int32_t)height;
    b->width = (int32_t)width;
    gen_status status = open_bands(b, err);
    if (status == GEN_OK) *bands = b;
    else gen_bands_close(b);
    return status;
}

void gen_bands_close(gen_bands *b)
{
    if (!b) return;
    gen_arena_free(b->arena);
    gen_free(b);
}
