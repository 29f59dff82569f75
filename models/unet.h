/* models/unet.h: the U-Net of diffusion models (Ho et al. 2020, appendix B): residual blocks with group norm and SiLU that are told the time (and the
 * label), attention at some sizes, skips from the way down to the way up.
 *
 *     gen_unet u = { .width = 32, .n_levels = 3, .mult = { 1, 2, 2 }, .blocks = 2, .groups = 8, .prefix = "" };
 *     gen_node *y = gen_unet_build(g, &u, x, t, NULL, true);      // x[N,H,W,C], t[N] -> y[N,H,W,C]
 */
#ifndef GEN_MODELS_UNET_H
#define GEN_MODELS_UNET_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_UNET_LEVELS = 8 };

typedef struct gen_unet {
    int64_t width;                 /* channels that mult is of */
    int32_t n_levels;              /* sizes: each has half the height and width of the one before */
    int64_t mult[GEN_UNET_LEVELS]; /* level i has width mult[i] channels */
    int32_t blocks;                /* residual blocks of a level on the way down; one more on the way up */
    int32_t n_attention;
    int64_t attention[GEN_UNET_LEVELS]; /* shorter sides in px of the levels with attention; the middle always has it */
    int32_t groups;                     /* of group norm; divides every level's channels */
    double dropout;                     /* before each block's second conv */
    bool
        zero_init; /* the last layer of each block, of attention and of all starts at zero, so that blocks start as the identity */
    int64_t classes;    /* labels 0 .. classes - 1, and label `classes` says "none"; 0: there are none */
    const char *prefix; /* of the parameters' names: "", or "ema." for their averages */
} gen_unet;

/* x[N,H,W,C], t[N] (any numbers; their size matters as much as that of time steps 0..999), label[N] or NULL -> [N,H,W,C]. Sizes that do not divide by
 * 2^(n_levels - 1) are padded with zeros below and right, and cropped back. training: with dropout. */
gen_node *gen_unet_build(gen_graph *g, const gen_unet *u, gen_node *x, gen_node *t, gen_node *label, bool training);

/* Fails with the sentence that says which number does not fit. */
gen_status gen_unet_check(const gen_unet *u, int64_t height, int64_t width, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
