/* models/bands.h: a net of stages (gen_model.stages) over a picture too large for one graph, exactly, band by band.
 *
 *     gen_bands *b;
 *     GEN_TRY(gen_bands_open(run, 3000, 4000, &b, err));
 *     GEN_TRY(gen_bands_translate(b, picture, 128, err));               // picture[3000,4000,C] becomes its translation
 *     gen_bands_close(b);
 *
 * A norm wants the whole picture's statistics before the next stage can begin: one pass over the bands for each. Two pictures of the narrowest stages
 * (a quarter of the height and width) are held; what lies before and after them is computed anew in each pass, which costs little beside the middle.
 */
#ifndef GEN_MODELS_BANDS_H
#define GEN_MODELS_BANDS_H

#include "models/run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_bands gen_bands;

/* height and width are multiples of the model's `whole`. GEN_UNSUPPORTED: the model is no row of stages. The run's parameters are there already. */
gen_status gen_bands_open(gen_run *run, int64_t height, int64_t width, gen_bands **bands, gen_error *err);
void gen_bands_close(gen_bands *b); /* accepts NULL */

/* Bands of at most side_px rows, the context that they need included. picture[height,width,C] in [0,1]. */
gen_status gen_bands_translate(gen_bands *b, float *picture, int32_t side_px, gen_error *err);
/* Bytes that this takes on top of picture and parameters. GEN_UNSUPPORTED when side_px is too small. */
gen_status gen_bands_bytes(gen_bands *b, int32_t side_px, double *bytes, gen_error *err);

/* The same with the statistics of another, smaller picture's translation instead of the picture's own: one pass over square tiles, nothing is held. */
gen_status gen_bands_translate_like(gen_bands *b, const gen_bands *smaller, float *picture, int32_t side_px,
                                    gen_error *err);
gen_status gen_bands_like_bytes(gen_bands *b, int32_t side_px, double *bytes, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
