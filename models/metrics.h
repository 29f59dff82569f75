/* models/metrics.h: how far one picture, or one set of pictures, is from another. Graph nodes for evaluation, and the same on arrays.
 *
 *     gen_output_errors(g, "", y, x);                              // outputs "mse", "sse", "psnr", "ssim" [N] of pictures in [0,1]
 *     double db = gen_psnr(a, b, n);
 */
#ifndef GEN_MODELS_METRICS_H
#define GEN_MODELS_METRICS_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- nodes: x[N,H,W,C] -> [N] ------------------------------------------------------------------------------------------ */
gen_node *gen_image_sum(gen_graph *g, gen_node *x);
gen_node *gen_image_mean(gen_graph *g, gen_node *x);
/* Structural similarity (Wang et al. 2004) of pictures in [0,1]: Gaussian window 11x11, sigma 1.5, only where it fits, biased variances, K1 .01, K2 .03;
 * a mean over places and channels. A side shorter than 11 makes the window as small as the largest odd number that fits. */
gen_node *gen_image_ssim(gen_graph *g, gen_node *a, gen_node *b);
/* Outputs <prefix>mse (a pixel), sse (a picture), psnr (dB, peak 1, at most 100) and ssim of y against x. */
void gen_output_errors(gen_graph *g, const char *prefix, gen_node *y, gen_node *x);

/* ---- arrays -------------------------------------------------------------------------------------------------------------- */
double gen_mse_of(const float *a, const float *b, int64_t n);
double gen_psnr(const float *a, const float *b, int64_t n); /* dB, peak 1; infinite when they are equal */
/* a, b: [h,w,c] in [0,1]; as gen_image_ssim */
double gen_ssim(const float *a, const float *b, int64_t h, int64_t w, int64_t c);

#ifdef __cplusplus
}
#endif
#endif
