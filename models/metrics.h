/* models/metrics.h: how far one picture, or one set of pictures, is from another. Graph nodes for evaluation, and the same on arrays.
 *
 *     gen_output_errors(g, "", y, x);                              // outputs "mse", "sse", "psnr", "ssim" [N] of pictures in [0,1]
 *     double db = gen_psnr(a, b, n);
 *     GEN_TRY(gen_frechet(features, n, others, n, 256, &distance, err));
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

/* ---- sets of feature vectors a[n_a,d], b[n_b,d] ---------------------------------------------------------------------------- */
/* Frechet distance of the normal distributions fitted to both (Heusel et al. 2017): |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2), with unbiased
 * covariances. The root is that of a symmetric matrix, so no complex number can appear; what rounding makes negative counts as 0. */
gen_status gen_frechet(const float *a, int64_t n_a, const float *b, int64_t n_b, int64_t d, double *distance,
                       gen_error *err);
/* Kernel distance (Binkowski et al. 2018): the unbiased estimate of MMD^2 with kernel (x.y / d + 1)^3, a mean over consecutive subsets of at most 1000 */
double gen_kernel_distance(const float *a, int64_t n_a, const float *b, int64_t n_b, int64_t d);

#ifdef __cplusplus
}
#endif
#endif
