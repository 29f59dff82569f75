/* models/style.h: neural style transfer (Gatys et al. 2016): the pixels of one picture are the parameter, minimised by Adam or L-BFGS from a small
 * size to the wanted one.
 *
 *     gen_style_options o; gen_style_options_start(&o, "", err);
 *     gen_style_job job = { .options = &o, .net = gen_vgg19, .weights = &file, .content = photo, .n_styles = 1, .styles = { painting } };
 *     GEN_TRY(gen_style_open(&job, device, &s, err));              // plans; says time and memory
 *     GEN_TRY(gen_style_run(s, hooks, err));                       // GEN_STOPPED when a hook said so
 *     const float *rgb = gen_style_result(s, &height, &width, err);
 *     gen_style_close(s);
 */
#ifndef GEN_MODELS_STYLE_H
#define GEN_MODELS_STYLE_H

#include "models/model.h"
#include "models/style_loss.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What `gen style` is told; rows and presets are in style_options.c. */
typedef struct gen_style_options {
    const char *features, *vgg_kind, *content_layers, *style_layers, *style_loss, *gram, *tv_kind, *pooling, *init,
        *optimizer, *scales, *style_weights, *masks, *colours, *reconstruct, *memory, *resume, *trace;
    double content_weight, style_weight, tv, range, lr, beta2, ema, noise, style_scale, pooling_scale;
    int64_t size, iterations, later_iterations, min_scale, tile, history, clamp, relative, replicate_first, texture,
        seed, preview, quality, bits;
} gen_style_options;

extern const gen_option gen_style_option_rows[];
extern const gen_preset gen_style_presets[];

/* Defaults, and over them the preset of that name ("": none). GEN_BAD_OPTION names the presets there are. */
gen_status gen_style_options_start(gen_style_options *o, const char *preset, gen_arena *arena, gen_error *err);
/* What is minimised, as the options say. Lists of layers are in the arena. n_styles: pictures, of which each is a target of its own when masked. */
gen_status gen_style_loss_of(const gen_style_options *o, const gen_feature_net *net, gen_feature_input input,
                             int32_t n_styles, bool masked, gen_arena *arena, gen_style_loss *loss, gen_error *err);

typedef struct gen_style_picture {
    const float *rgb; /* [height,width,3] in [0,1], the caller's */
    int32_t height_px, width_px;
    double weight; /* of a style, among the others */
    const float
        *mask; /* of a style: [height,width] of the CONTENT picture, 1 where the style is wanted; NULL: everywhere */
} gen_style_picture;

typedef struct gen_style_job {
    const gen_style_options *options;
    const gen_feature_net *net;
    gen_feature_input input;        /* what the weights want to see */
    const gen_safetensors *weights; /* NULL: random ones, of the seed */
    gen_style_picture content;      /* rgb NULL: none; then height and width say what is made */
    gen_style_picture start;        /* with --init FILE, else rgb NULL */
    gen_style_picture styles[GEN_STYLE_MAX_PICTURES];
    int32_t n_styles;
    size_t memory_limit; /* bytes; 0: none. What does not fit at once is worked at in tiles, with the same result */
    size_t used_bytes;   /* that the caller holds already, and that count */
} gen_style_job;

typedef struct gen_style gen_style;

typedef struct gen_style_progress {
    int32_t scale, n_scales, height_px, width_px;
    int64_t iteration, n_iterations; /* of this scale; iteration counts from 1 */
    int64_t done, total;             /* of all scales */
    double loss, content, style, tv;
} gen_style_progress;

/* What the whole work will take. */
typedef struct gen_style_estimate {
    double flops;        /* of all iterations */
    double seconds;      /* from the speed of the first look at the pictures; 0: not known yet */
    size_t memory_bytes; /* at most: activations, scratch, weights, optimiser, pictures, what the caller said */
    int32_t tile_px;     /* side of the tiles of the largest scale; 0: all at once */
} gen_style_estimate;

/* Called before the first iteration, and after each; false stops. Any may be NULL. */
typedef struct gen_style_hooks {
    void (*on_start)(void *context, const gen_style_estimate *estimate);
    bool (*on_iteration)(void *context, gen_style *s, const gen_style_progress *progress);
    void *context;
} gen_style_hooks;

/* job and what it points to outlive s. GEN_NO_MEMORY names what the limit would have to be. */
gen_status gen_style_open(const gen_style_job *job, gen_device *device, gen_style **out, gen_error *err);
void gen_style_close(gen_style *s); /* accepts NULL */
gen_status gen_style_run(gen_style *s, gen_style_hooks hooks, gen_error *err);

/* The picture as it is, [height,width,3] in [0,1], until the next call; average of iterates where there is one. NULL when reading it failed. */
const float *gen_style_result(gen_style *s, int32_t *height_px, int32_t *width_px, gen_error *err);

/* All that the next iteration needs, as a safetensors file, and back: to be called between open and run. L-BFGS forgets its past steps. */
gen_status gen_style_save(gen_style *s, const char *path, gen_error *err);
gen_status gen_style_resume(gen_style *s, const char *path, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
