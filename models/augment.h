/* models/augment.h: training pictures changed at random by nodes of the graph: what sample i of step s looks like is a function of (seed, step, i), like all
 * random numbers, on any device.
 *
 *     x = gen_augment_pictures(g, x, &(gen_augment){ .shift_px = 2, .zoom = 0.1, .turn_degrees = 10 });
 */
#ifndef GEN_MODELS_AUGMENT_H
#define GEN_MODELS_AUGMENT_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_augment {
    double shift_px;     /* across and down, each U(-s, s) */
    double zoom;         /* each side by its own factor of U(1 - z, 1 + z) */
    double turn_degrees; /* U(-t, t), about the middle */
    bool flip;           /* left to right, half of the pictures */
} gen_augment;

/* x[N,H,W,C] -> the same shape; bilinear, black outside. No gradient passes. All zero: x itself. */
gen_node *gen_augment_pictures(gen_graph *g, gen_node *x, const gen_augment *how);

#ifdef __cplusplus
}
#endif
#endif
