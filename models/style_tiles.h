/* models/style_tiles.h: loss and gradient of a picture too large for one graph, exactly, tile by tile: for style.c and its neighbours only.
 *
 *     GEN_TRY(style_tiles_new(s, &scale, rgb, &t, err));                      // rgb: the content at this scale
 *     GEN_TRY(style_tiles_gradient(t, pixels, gradient, &losses, err));
 *     style_tiles_free(t);
 *
 * Twice over the tiles: the first adds up Gram matrices of the whole picture; from these follow loss and slopes; the second passes the slopes back through
 * each tile. A tile answers for its own places of each layer alone (models/tiles.h), so every place counts once, and overlapping gradients add up.
 */
#ifndef GEN_MODELS_STYLE_TILES_H
#define GEN_MODELS_STYLE_TILES_H

#include "models/style_state.h"

typedef struct style_losses {
    double content, style, tv;
} style_losses;

/* What work in tiles takes, without taking it. */
typedef struct style_tiles_cost {
    size_t bytes;         /* programs and buffers */
    size_t content_bytes; /* more, if the content's features are kept and not computed anew each time */
    double flops;         /* of an iteration, the content's features computed anew */
    double content_flops; /* of these, what keeping them saves */
} style_tiles_cost;
gen_status style_tiles_measure(const gen_style *s, const style_scale *at, int32_t side, style_tiles_cost *cost,
                               gen_error *err);
int32_t style_tiles_least_side(const gen_style *s);

/* content[height,width,3] in [0,1] is used until the end, or NULL without layers of content. s has its style targets by then. */
gen_status style_tiles_new(gen_style *s, const style_scale *at, const float *content, style_tiles **out,
                           gen_error *err);
void style_tiles_free(style_tiles *t); /* accepts NULL */

/* pixels and gradient: [height,width,3], pixels as range (rgb - 1/2). */
gen_status style_tiles_gradient(style_tiles *t, const float *pixels, float *gradient, style_losses *losses,
                                gen_error *err);

/* The style of rgb[height,width,3], seen in tiles of at most `side` pixels (0: all at once): values[i] [C + 1,C] of layer i, counts[i] numbers of
 * s->targets. */
gen_status style_tiles_describe(gen_style *s, const float *rgb, int32_t height, int32_t width, int32_t side,
                                float *values[GEN_STYLE_MAX_LAYERS], int64_t counts[GEN_STYLE_MAX_LAYERS],
                                gen_error *err);

#endif
