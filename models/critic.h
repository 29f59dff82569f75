/* models/critic.h: the slope of a critic, which gradient penalties hold on to (Gulrajani et al. 2017; Mescheder et al. 2018).
 *
 *     gen_node *u = gen_between(g, real, made), *squared = gen_squared_slope(g, critic(g, u), u);   // [N]
 *     gen_node *penalty = gen_mean(g, gen_square(g, gen_affine(g, gen_slope(g, squared), 1, -1)));
 */
#ifndef GEN_MODELS_CRITIC_H
#define GEN_MODELS_CRITIC_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* t real + (1 - t) made, one t ~ U(0,1) for each of N; real, made [N,H,W,C] */
gen_node *gen_between(gen_graph *g, gen_node *real, gen_node *made);
/* |d D(u) / d u|^2 of each of N. logit[N] = D(u[N,..]) */
gen_node *gen_squared_slope(gen_graph *g, gen_node *logit, gen_node *u);
/* Its root; a little is added under it, because at 0 the root's slope would be infinite. */
gen_node *gen_slope(gen_graph *g, gen_node *squared);

#ifdef __cplusplus
}
#endif
#endif
