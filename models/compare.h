/* models/compare.h: two sets of pictures as two sets of vectors (features, pixels) or of class probabilities: who is near whom, and which classes there are.
 *
 *     GEN_TRY(gen_precision_recall(real, n, made, n, 128, 3, &precision, &recall, err));
 *     gen_class_shares(probability, n, 10, 0.9, share);                      // share[10]
 */
#ifndef GEN_MODELS_COMPARE_H
#define GEN_MODELS_COMPARE_H

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Precision and recall (Kynkaanniemi et al. 2019): a set's manifold is the union of balls about its points, each as wide as the distance to the point's
 * k-th neighbour in the set. precision: part of made[n_made,d] in the manifold of real[n_real,d]; recall: part of real in that of made.
 * GEN_BAD_SHAPE unless both have more than k points. Time n^2 d, memory n. */
gen_status gen_precision_recall(const float *real, int64_t n_real, const float *made, int64_t n_made, int64_t d,
                                int64_t k, double *precision, double *recall, gen_error *err);

/* The k nearest of others[n,d] to x[d], nearest first, and their squared distances; the first in order wins where two are as far. k <= n */
void gen_nearest(const float *x, const float *others, int64_t n, int64_t d, int64_t k, int64_t *index, double *square);

/* share[classes]: part of the n rows of probability[n,classes] whose likeliest class it is with at least that confidence (0: every row counts). */
void gen_class_shares(const float *probability, int64_t n, int64_t classes, double confidence, double *share);

/* The part of the n rows of probability[n,classes] whose likeliest class (the first of equals) is labels[n]'s. */
double gen_class_agreement(const float *probability, const float *labels, int64_t n, int64_t classes);

/* KL(p || q) in nats of two histograms of classes; infinite where q lacks a class of p. */
double gen_class_divergence(const double *p, const double *q, int64_t classes);

#ifdef __cplusplus
}
#endif
#endif
