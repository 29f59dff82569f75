/* models/style_targets.h: what a picture is compared with at one size, kept in s->fed under the names of the loss's inputs: for style.c only.
 *
 *     GEN_TRY(style_style_targets(s, at, err));       // "style0.relu1_1" …, "mask0.relu1_1" …
 *     GEN_TRY(style_content_targets(s, at, err));     // "content.relu4_2"; not in tiles, which look at the content themselves
 */
#ifndef GEN_MODELS_STYLE_TARGETS_H
#define GEN_MODELS_STYLE_TARGETS_H

#include "models/style_state.h"

gen_status style_style_targets(gen_style *s, const style_scale *at, gen_error *err);
gen_status style_content_targets(gen_style *s, const style_scale *at, gen_error *err);

/* rgb[h,w,3] at another size, in [0,1]: into to[to_h,to_w,3], or into memory that the caller frees with gen_free, also on failure. */
gen_status style_resize_into(const float *rgb, int32_t h, int32_t w, int32_t to_h, int32_t to_w, float *to,
                             gen_error *err);
gen_status style_resized(const float *rgb, int32_t h, int32_t w, int32_t to_h, int32_t to_w, float **out,
                         gen_error *err);

#endif
