/* models/translate.h: whole pictures through a model that maps pictures to pictures, whatever their size.
 *
 *     GEN_TRY(gen_translate(run, x, 1080, 1920, y, err));      // x, y [1080,1920,C] in [0,1]; the run's weights are loaded
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

/* x[h,w,C] -> y[h,w,C], in the run's direction. Larger than a tile: tiles that overlap by a quarter and fade into each other; a model that computes with
 * whole pictures gets one tile that is all of it. Smaller than what the model takes: the picture goes on as its mirror image. Memory is that of one tile.
 * GEN_UNSUPPORTED when the model maps no pictures. */
gen_status gen_translate(gen_run *run, const float *x, int64_t h, int64_t w, float *y, gen_error *err);
/* Bytes that this will take: the plan's, and the picture before and after. Scratch memory of kernels comes on top. */
gen_status gen_translate_bytes(gen_run *run, int64_t h, int64_t w, double *bytes, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
