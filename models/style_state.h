/* models/style_state.h: what an unfinished style transfer consists of: for style.c and style_state.c only.
 *
 *     GEN_TRY(style_state_take(s, err));          // from the program's parameters to s->state
 *     GEN_TRY(style_state_resize(&s->state, height, width, options, err));
 *     GEN_TRY(style_state_put(s, err));           // and into those of the next scale's
 */
#ifndef GEN_MODELS_STYLE_STATE_H
#define GEN_MODELS_STYLE_STATE_H

#include "core/program.h"
#include "models/lbfgs.h"
#include "models/style.h"

enum { STYLE_MAX_SCALES = 24, STYLE_MAX_TARGETS = 320, STYLE_NAME_BYTES = 64 };

typedef struct style_scale {
    int32_t height, width;
    int64_t longer; /* pixels of the longer side */
} style_scale;

/* The picture and its optimiser. All [height,width,3]; pixels and average are range (rgb - 1/2). */
typedef struct style_state {
    int32_t height, width;
    int64_t n;
    float *pixels, *m, *v, *average, *rgb; /* rgb: room for the result */
    double step;                           /* of Adam */
} style_state;

typedef struct style_target {
    char input[STYLE_NAME_BYTES];
    float *values;
    int64_t n;
} style_target;

struct gen_style {
    gen_style_job job;
    gen_device *device;
    gen_params *params;
    gen_arena *arena, *targets; /* targets: of this scale */
    gen_style_loss loss;
    style_scale scales[STYLE_MAX_SCALES];
    int32_t n_scales, at;
    int64_t iteration, done, total; /* of this scale; of the scales before; of all */
    gen_style_estimate estimate;
    double measured_flops, measured_s;
    style_target fed[STYLE_MAX_TARGETS];
    int32_t n_fed;
    gen_program *program;
    gen_lbfgs *lbfgs;
    float *gradient;
    style_state state;
};

int64_t style_iterations(const gen_style *s, int32_t scale);

/* "image3.pixels" into name (at least STYLE_NAME_BYTES or, for what = "", 32 bytes); returns it. */
const char *style_name(int32_t scale, const char *what, char *name);

/* On failure the state is as it was or empty. */
gen_status style_state_alloc(style_state *state, int32_t height, int32_t width, gen_error *err);
void style_state_free(style_state *state);
/* Pixels and first moments bicubic, second moments bilinear and not below zero. */
gen_status style_state_resize(style_state *state, int32_t height, int32_t width, const gen_style_options *o,
                              gen_error *err);
/* Between the state and the parameters of scale s->at; Adam only. */
gen_status style_state_put(gen_style *s, gen_error *err);
gen_status style_state_take(gen_style *s, gen_error *err);

#endif
