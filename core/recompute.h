/* core/recompute.h: which results of a forward pass the backward pass computes again instead of keeping them.
 *
 *     gen_recompute again;
 *     if (gen_recompute_start(&again, g, read)) … gen_recompute_patch(&again, first_new) after each gradient rule …
 *
 * Nodes 0 .. n-1 are forward. A result that is not kept gets a twin: the same op, attributes and (for random numbers) key, so the same bits, on inputs
 * that are kept or twins themselves. Twins are made when the backward pass first wants them, and those that nobody wants never run.
 */
#ifndef GEN_CORE_RECOMPUTE_H
#define GEN_CORE_RECOMPUTE_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_recompute {
    gen_graph *g;
    int32_t n;
    bool *dropped;   /* [n]: has a twin instead of a place in memory until the backward pass */
    gen_node **twin; /* [n]: NULL until somebody wanted it */
} gen_recompute;

/* read[n]: the gradient reads the node; useful[n]: the loss depends on it. What is dropped:
 * - always: elementwise functions of what is kept anyway (the sigmoid of a SiLU, a masked activation): they join the backward pass that reads them;
 * - after gen_graph_checkpoint: all but what passes from one segment of the forward pass to a later one, with as many segments as make the least
 *   memory, the last segment excepted (Chen et al. 2016, arXiv:1604.06174). Small results of large ones (statistics, norms) are kept.
 * false: memory ran out, which the graph then says. */
bool gen_recompute_start(gen_recompute *r, gen_graph *g, const bool *read, const bool *useful, int32_t n);
void gen_recompute_end(gen_recompute *r);

/* Makes the twins of a node and its inputs, before its gradient rule runs. */
void gen_recompute_want(gen_recompute *r, const bool *read, gen_node *node);
/* Nodes from id first on, which the rule made, read twins where there are some. */
void gen_recompute_patch(const gen_recompute *r, int32_t first);

#ifdef __cplusplus
}
#endif
#endif
