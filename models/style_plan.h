/* models/style_plan.h: the sizes of a style transfer, and what each takes: for style.c and its neighbours only.
 *
 *     GEN_TRY(style_find_scales(s, err));         // s->scales, from --scales and --size
 *     GEN_TRY(style_plan(s, err));                // s->scales[i].tile, s->estimate; the network's parameters
 */
#ifndef GEN_MODELS_STYLE_PLAN_H
#define GEN_MODELS_STYLE_PLAN_H

#include "models/style_state.h"

gen_status style_find_scales(gen_style *s, gen_error *err);
/* GEN_NO_MEMORY when even small tiles do not fit into the job's memory_limit: the sentence says what would do. */
gen_status style_plan(gen_style *s, gen_error *err);

int32_t style_scaled_side(int32_t side, double factor); /* rounded, at least 1 */

#endif
