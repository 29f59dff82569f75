/* models/translate.h: whole pictures through a model that maps pictures to pictures, whatever their size.
 *
 *     gen_translate_plan plan;
 *     GEN_TRY(gen_translate_plan_make(run, 1080, 1920, 0, 0, &plan, err));
 *     GEN_TRY(gen_translate(run, &plan, x, y, err));           // x, y [1080,1920,C] in [0,1]; the run's weights are loaded
 */
#ifndef GEN_MODELS_TRANSLATE_H
#define GEN_MODELS_TRANSLATE_H

#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    GEN_TILE_SIDE = 256
}; /* the largest tile of models that take any size; others take tiles of the training size */

typedef enum gen_translate_way {
    GEN_TRANSLATE_TILES,   /* tiles that overlap by a quarter and fade into each other */
    GEN_TRANSLATE_WHOLE,   /* all at once: a model that computes with whole pictures */
    GEN_TRANSLATE_BANDS,   /* such a model in bands, with the same result (models/bands.h) */
    GEN_TRANSLATE_REDUCED, /* such a model in tiles, with the statistics of a reduced copy: not the same */
} gen_translate_way;

/* How a picture of some size goes through a model, and what that takes. */
typedef struct gen_translate_plan {
    gen_translate_way way;
    int64_t h, w;    /* of the picture */
    int32_t side_px; /* of bands and tiles */
    int64_t reduced_h, reduced_w;
    double bytes; /* in all: plan, scratch, weights, picture; and what the caller said it holds */
} gen_translate_plan;

/* limit: bytes that may be used, 0: any; used: of these, what the caller holds, x and y included. The first way of whole, bands, reduced that fits.
 * GEN_NO_MEMORY: none, and the sentence says what would. GEN_UNSUPPORTED when the model maps no pictures. */
gen_status gen_translate_plan_make(gen_run *run, int64_t h, int64_t w, size_t limit, size_t used,
                                   gen_translate_plan *plan, gen_error *err);
/* x[h,w,C] -> y[h,w,C], in the run's direction; y may be x. Smaller than what the model takes, or no multiple of what it divides by: the picture goes on as
 * its mirror image. */
gen_status gen_translate(gen_run *run, const gen_translate_plan *plan, const float *x, float *y, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
