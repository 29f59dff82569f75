/* core/autodiff.h: gradients as more nodes of the same graph, so a gradient can be differentiated again.
 *
 *     gen_node *dw;
 *     gen_gradient(g, loss, NULL, 1, &w, &dw);       // dw = d loss / d w, the shape of w
 *     gen_node *penalty = gen_mean(g, gen_square(g, dw));
 */
#ifndef GEN_CORE_AUTODIFF_H
#define GEN_CORE_AUTODIFF_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* dx[i] = sum over y of seed * d y / d x[i]. seed has y's shape; NULL means ones (y a scalar: its gradient). Where y does not depend on x[i], dx[i] is
 * zeros of its shape. Only nodes on a path from some x[i] to y get a gradient: nothing else costs anything. */
void gen_gradient(gen_graph *g, gen_node *y, gen_node *seed, int32_t n, gen_node *const *x, gen_node **dx);

/* The same for a scalar whose gradient nobody differentiates again: results of the forward pass that cost less to compute again than to keep, or after
 * gen_graph_checkpoint most of them, are computed again (core/recompute.h). The same bits as gen_gradient. */
void gen_loss_gradient(gen_graph *g, gen_node *loss, int32_t n, gen_node *const *x, gen_node **dx);

#ifdef __cplusplus
}
#endif
#endif
