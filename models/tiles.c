#include "models/tiles.h"

#include <string.h>

static int32_t whole_units(int32_t pixels, int32_t unit)
{
    return pixels / unit * unit;
}

/* A crop must be as long as the picture modulo `unit`, so that the last one, which ends with the picture, starts on the grid like all others. */
static int32_t crop_of(int32_t size, int32_t side, int32_t unit)
{
    if (size <= side) return size;
    int32_t odd = size % unit;
    return side >= odd ? whole_units(side - odd, unit) + odd : odd;
}

/* Pixels of context before the own ones: on the grid */
static int32_t lead_of(const gen_tile_need *need)
{
    return (need->before + need->unit - 1) / need->unit * need->unit;
}

int32_t gen_tile_least_side(const gen_tile_need *need)
{
    return lead_of(need) + need->after + 3 * need->unit;
}

/* From own_from on: the crop that starts as late as it may, and what it can answer for. */
static gen_tile next_tile(const gen_tile_axis *axis, const gen_tile_need *need, int32_t own_from)
{
    int32_t lead = lead_of(need), start = own_from > lead ? own_from - lead : 0;
    if (start + axis->crop >= axis->size) return (gen_tile){ axis->size - axis->crop, own_from, axis->size };
    return (gen_tile){ start, own_from, whole_units(start + axis->crop - need->after, need->unit) };
}

gen_status gen_tile_axis_make(int32_t size, int32_t side, const gen_tile_need *need, gen_arena *arena,
                              gen_tile_axis *axis, gen_error *err)
{
    gen_tile_axis a = { .size = size, .crop = crop_of(size, side, need->unit) };
    int32_t least = gen_tile_least_side(need), room = size / need->unit + 1;
    if (size > side && side < least)
        return gen_fail(err, GEN_UNSUPPORTED,
                        "tiles of %d pixels are too small for the network, whose layers see %d pixels around a place; "
                        "it needs %d",
                        side, need->before > need->after ? need->before : need->after, least);
    a.tiles = gen_arena_alloc(arena, (size_t)room * sizeof *a.tiles);
    if (!a.tiles) return gen_fail(err, GEN_NO_MEMORY, "no memory for tiles");
    for (int32_t from = 0; from < size; from = a.tiles[a.n++].own_to) a.tiles[a.n] = next_tile(&a, need, from);
    *axis = a;
    return GEN_OK;
}

gen_tile_part gen_tile_own(const gen_tile_axis *axis, int32_t i, int32_t stride, int32_t n)
{
    const gen_tile *t = &axis->tiles[i];
    gen_tile_part own = { (t->own_from - t->start) / stride, (t->own_to - t->start) / stride };
    if (i + 1 == axis->n || own.to > n) own.to = n;
    if (own.from > own.to) own.from = own.to;
    return own;
}

void gen_tile_cut(const float *x, int32_t width, int32_t c, const gen_tile_axis axes[2], int32_t row, int32_t column,
                  float *tile)
{
    int64_t top = axes[0].tiles[row].start, left = axes[1].tiles[column].start, n = (int64_t)axes[1].crop * c;
    for (int64_t r = 0; r < axes[0].crop; r++)
        memcpy(tile + r * n, x + ((top + r) * width + left) * c, (size_t)n * sizeof *x);
}

void gen_tile_add(const float *tile, int32_t width, int32_t c, const gen_tile_axis axes[2], int32_t row, int32_t column,
                  float *x)
{
    int64_t top = axes[0].tiles[row].start, left = axes[1].tiles[column].start, n = (int64_t)axes[1].crop * c;
    for (int64_t r = 0; r < axes[0].crop; r++) {
        float *to = x + ((top + r) * width + left) * c;
        for (int64_t i = 0; i < n; i++) to[i] += tile[r * n + i];
    }
}
