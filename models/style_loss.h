/* models/style_loss.h: how much a picture lacks of the content of one picture and of the style of others, as nodes of a graph.
 *
 *     gen_style_loss l = { .net = gen_vgg19, .n_style = 1, .style = { { "relu1_1", 1 } }, .style_weight = 1e3, .n_targets = 1 };
 *     gen_style_parts parts = gen_style_objective(g, &l, rgb);             // rgb[1,H,W,3]; inputs "content.relu4_2", "style0.relu1_1" …
 *     gen_gradient(g, parts.loss, NULL, 1, &rgb, &gradient);
 *
 * Inputs are named after what they are fed with: the outputs of gen_style_content_of and gen_style_from_sums for other pictures.
 */
#ifndef GEN_MODELS_STYLE_LOSS_H
#define GEN_MODELS_STYLE_LOSS_H

#include "models/features.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_STYLE_MAX_LAYERS = 16, GEN_STYLE_MAX_PICTURES = 8 };
#define GEN_STYLE_MASK_EPS                                                                                             \
    1e-6 /* added to the sum of a mask: one that is black at some layer divides nothing by zero */

/* What a Gram matrix F^T F of features F[P,C], P = h w places, is divided by. */
typedef enum gen_gram_norm { GEN_GRAM_CHW, GEN_GRAM_HW, GEN_GRAM_NONE } gen_gram_norm;

/* Total variation of a picture x, d its differences to the right and below:
 * L1 sum |d|;  L1_MEAN the mean of |d| per axis;  L2 1/2 sum d^2;  NINE means of squares, neighbours /3, diagonal ones /12, times 2. */
typedef enum gen_tv { GEN_TV_L1, GEN_TV_L1_MEAN, GEN_TV_L2, GEN_TV_NINE } gen_tv;

typedef struct gen_style_layer {
    const char *name;
    double weight;
} gen_style_layer;

typedef struct gen_style_loss {
    const gen_feature_net *net;
    gen_feature_options features;
    gen_style_layer content[GEN_STYLE_MAX_LAYERS], style[GEN_STYLE_MAX_LAYERS];
    int32_t n_content, n_style;
    double content_weight, style_weight, tv_weight;
    gen_gram_norm gram;
    gen_tv tv;
    bool w2; /* distance of Gaussians (Wasserstein-2) instead of squared differences of Gram matrices */
    bool
        relative; /* every layer's loss is divided by that of an empty picture: weights mean the same for all networks */
    double range;      /* the number that stands for white where variation is measured: 1 or 255 */
    int32_t n_targets; /* styles with a mask of their own; without masks 1 */
    bool masked;
} gen_style_loss;

typedef struct gen_style_parts {
    gen_node *loss, *content, *style, *tv; /* scalars: the sum, and its weighted parts */
} gen_style_parts;

/* rgb[1,H,W,3] in [0,1]. Inputs: "content.LAYER" [1,h,w,C]; "styleK.LAYER" [C + 1,C], K < n_targets; "maskK.LAYER" [h w,1] when masked. */
gen_style_parts gen_style_objective(gen_graph *g, const gen_style_loss *l, gen_node *rgb);

/* Outputs of a picture's own features, under the names of the inputs above, for each layer of content. */
void gen_style_content_of(gen_graph *g, const gen_style_loss *l, gen_node *rgb);

/* ---- in parts, for pictures too large for one graph (models/style_tiles.c) ------------------------------------------------------------- */

/* 1. What a part of a picture adds to the sums over all of it. rgb[1,h,w,3]; inputs "maskK.LAYER" [h w,1]: how much each place counts for target K, 0 where
 * it belongs to another part. Outputs "sumsK.LAYER" [C + 1,C], F^T m F and below it m^T F, for each layer of style and target; "content.LAYER", features
 * [1,h,w,C] of each layer of content. */
void gen_style_sums_of(gen_graph *g, const gen_style_loss *l, gen_node *rgb);

/* Sums over all of a style picture -> its style, output "style.LAYER" [C + 1,C]: the Gram matrix, divided as `gram` says, and below it the mean of each
 * channel. Inputs "sums0.LAYER" and "count0.LAYER" [1], the sum of its mask; channels[n_style]: C of each layer. */
void gen_style_from_sums(gen_graph *g, const gen_style_loss *l, const int64_t *channels);

/* 2. Loss and slopes from sums over all of the picture: inputs "sumsK.LAYER", "countK.LAYER", "styleK.LAYER" -> outputs "style", "slopeK.LAYER" [C + 1,C]:
 * d style / d sums. */
void gen_style_slopes_of(gen_graph *g, const gen_style_loss *l, const int64_t *channels);

/* 3. What a part of the picture adds to content loss and gradient. Inputs "maskK.LAYER", "slopeK.LAYER", "content.LAYER" as above, and "own.LAYER" [1,h,w,1]:
 * the weight of a place's squared difference in the content loss, 0 where it belongs to another part. Returns a scalar whose gradient in rgb is that of the
 * part's content and style losses; *content becomes its content loss. */
gen_node *gen_style_part_of(gen_graph *g, const gen_style_loss *l, gen_node *rgb, gen_node **content);

/* The weighted variation of some rows rgb[1,h,W,3] of a picture, as its share of the whole's. They begin one row early, unless they begin with the picture. */
typedef struct gen_style_rows {
    bool top, bottom; /* do they begin, end with the picture? */
    int64_t height;   /* of the whole picture */
} gen_style_rows;
gen_node *gen_style_variation(gen_graph *g, const gen_style_loss *l, gen_node *rgb, gen_style_rows rows);

/* Parses "relu1_1:1,relu2_1:0.5" (no number: 1). GEN_BAD_OPTION names the option. */
gen_status gen_style_layers_parse(const char *option, const char *text, gen_arena *arena, gen_style_layer *layers,
                                  int32_t *n, gen_error *err);

/* The matrix root A^(1/2) of a symmetric positive definite a[C,C], by Newton-Schulz iterations: for tests, too. */
gen_node *gen_matrix_root(gen_graph *g, gen_node *a, int32_t iterations);

#ifdef __cplusplus
}
#endif
#endif
