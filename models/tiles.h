/* models/tiles.h: a large picture cut into tiles that a network can work on one by one, so that together they give exactly what the whole would.
 *
 *     gen_tile_axis rows;
 *     GEN_TRY(gen_tile_axis_make(height, 512, &(gen_tile_need){ .unit = 16, .before = 96, .after = 80 }, arena, &rows, err));
 *     for (int32_t i = 0; i < rows.n; i++) … pixels rows.tiles[i].start … + rows.crop of the picture go in …
 *     gen_tile_part own = gen_tile_own(&rows, i, stride, n);        // of a layer's n rows, those that this tile is to answer for
 *
 * A tile is a crop that lies on the network's grid (its start is a multiple of `unit`), all of the same size: one graph serves them all. It answers
 * only for places that see nothing beyond the crop, except where the crop ends with the picture; each place of each layer belongs to one tile.
 */
#ifndef GEN_MODELS_TILES_H
#define GEN_MODELS_TILES_H

#include <stdbool.h>

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the layers of a network want of a crop, in pixels. */
typedef struct gen_tile_need {
    int32_t unit;          /* the largest stride of its layers; the others divide it */
    int32_t before, after; /* how far a place sees beyond the pixels i stride … (i + 1) stride - 1 that are its own */
} gen_tile_need;

typedef struct gen_tile {
    int32_t start;            /* of the crop */
    int32_t own_from, own_to; /* pixels that it answers for: multiples of unit, but for the picture's end */
} gen_tile;

typedef struct gen_tile_axis {
    int32_t size, crop; /* of the picture, of each tile */
    int32_t n;
    gen_tile *tiles; /* in the arena */
} gen_tile_axis;

/* Crops of at most `side` pixels, or one of all of the picture where it is not larger. GEN_UNSUPPORTED when such a crop has no place to answer for: the
 * sentence names the least side. */
gen_status gen_tile_axis_make(int32_t size, int32_t side, const gen_tile_need *need, gen_arena *arena,
                              gen_tile_axis *axis, gen_error *err);
/* The least side that gen_tile_axis_make takes. */
int32_t gen_tile_least_side(const gen_tile_need *need);

/* Places from … to - 1 of a layer, counted in the crop, that a tile answers for; may be none. n: places of the layer in a crop. */
typedef struct gen_tile_part {
    int32_t from, to;
} gen_tile_part;
gen_tile_part gen_tile_own(const gen_tile_axis *axis, int32_t i, int32_t stride, int32_t n);

/* A rectangle of a picture x[height,width,c] into tile[crop_h,crop_w,c], and added back from it. */
void gen_tile_cut(const float *x, int32_t width, int32_t c, const gen_tile_axis axes[2], int32_t row, int32_t column,
                  float *tile);
void gen_tile_add(const float *tile, int32_t width, int32_t c, const gen_tile_axis axes[2], int32_t row, int32_t column,
                  float *x);

#ifdef __cplusplus
}
#endif
#endif
