/* models/style_state.h: what an unfinished style transfer consists of: for style.c and style_state.c only.
 *
 *     GEN_TRY(style_state_take(s, 0, err));       // from the program's parameters to s->state
 *     GEN_TRY(style_state_resize(&s->state, height, width, options, err));
 *     GEN_TRY(style_state_put(s, 0, err));        // and into those of the next scale's
 */
#ifndef GEN_MODELS_STYLE_STATE_H
#define GEN_MODELS_STYLE_STATE_H

#include "core/program.h"
#include "models/lbfgs.h"
#include "models/style.h"

enum {
    STYLE_MAX_SCALES = 24,
    STYLE_MAX_TARGETS = 320,
    STYLE_NAME_BYTES = 64,
    STYLE_PICTURE_BYTES = 24,
    STYLE_STATE_ARRAYS = 5,         /* pixels, m, v, average, rgb */
    STYLE_UPDATE_NUMBERS = 1 << 18, /* of the picture, that Adam moves at once where the gradient comes in tiles */
    STYLE_UPDATE_BYTES = 9 * STYLE_UPDATE_NUMBERS * 4 /* four arrays of them, the gradient, and a plan */
};

typedef struct style_scale {
    int32_t height, width;
    int64_t longer;    /* pixels of the longer side */
    int32_t tile;      /* side of the tiles that the gradient is computed in; 0: all at once */
    bool keep_content; /* tiles keep the features of the content */
} style_scale;

/* The picture and its optimiser. All [height,width,3], with room for whole updates; pixels and average are range (rgb - 1/2). */
typedef struct style_state {
    int32_t height, width;
    int64_t n;
    float *pixels, *m, *v, *average, *rgb; /* rgb: room for the result, and for the gradient that comes in tiles */
    double step;                           /* of Adam */
} style_state;

typedef struct style_target {
    char input[STYLE_NAME_BYTES];
    float *values;
    int64_t n;
} style_target;

typedef struct style_tiles style_tiles;

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
    size_t network_bytes;
    gen_program *program; /* an iteration; in tiles: Adam's update of STYLE_UPDATE_NUMBERS pixels */
    style_tiles *tiles;   /* NULL: all at once */
    float *content;       /* at this size, for tiles; NULL: as it was given */
    gen_lbfgs *lbfgs;
    float *gradient;
    style_state state;
};

int64_t style_iterations(const gen_style *s, int32_t scale);
bool style_uses_adam(const gen_style *s);
/* A whole iteration at once. NULL when memory ran out. */
gen_graph *style_iteration_graph(const gen_style *s, int32_t scale);
style_target *style_find_target(const gen_style *s, const char *input); /* NULL: none of that name */
double style_now_s(void);                                               /* of a clock that only goes forward */

/* Beginning of the names of the picture's parameters at a scale: "image3.", or "tiled." for pixels that are updated in turn; into name[STYLE_PICTURE_BYTES].
 * And "image3.pixels" into name[STYLE_NAME_BYTES]. Both return name. */
const char *style_picture_name(const gen_style *s, int32_t scale, char *name);
const char *style_name(const char *picture, const char *what, char *name);

/* On failure the state is as it was or empty. */
gen_status style_state_alloc(style_state *state, int32_t height, int32_t width, gen_error *err);
void style_state_free(style_state *state);
/* Pixels and first moments bicubic, second moments bilinear and not below zero. */
gen_status style_state_resize(style_state *state, int32_t height, int32_t width, const gen_style_options *o,
                              gen_error *err);
/* Between the state, from number `from` on, and the parameters of scale s->at; Adam only. */
gen_status style_state_put(gen_style *s, int64_t from, gen_error *err);
gen_status style_state_take(gen_style *s, int64_t from, gen_error *err);

#endif
