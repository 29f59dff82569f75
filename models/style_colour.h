/* models/style_colour.h: keeping the colours of a photograph in a picture of another style (Gatys et al. 2016b, "Preserving Color").
 *
 *     gen_colour_match(painting, n, photo, m);            // before styling: the painting gets the photograph's colours
 *     gen_colour_keep(result, photo, n);                  // after it: brightness of the result, colours of the photograph
 *
 * Pictures are RGB in [0,1], pixel after pixel; changed in place.
 */
#ifndef GEN_MODELS_STYLE_COLOUR_H
#define GEN_MODELS_STYLE_COLOUR_H

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

/* rgb[n] gets mean and covariance of like[m]: x -> A (x - mu) + mu', A = S'^1/2 S^-1/2. */
void gen_colour_match(float *rgb, int64_t n, const float *like, int64_t m);
/* Each channel of rgb[n] gets the distribution of values of that of like[m]. */
void gen_colour_histogram(float *rgb, int64_t n, const float *like, int64_t m);
/* Y of rgb with Cb and Cr of colours (ITU-R BT.601); both [n]. */
void gen_colour_keep(float *rgb, const float *colours, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
