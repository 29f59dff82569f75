/* Random numbers as nodes: the key of a stream is made of the layer's name and its place among the random nodes of that layer, so two graphs of the
 * same model draw the same numbers. */
#include "core/op/family.h"

#include <string.h>

#include "core/rng.h"

gen_node *gen_random(gen_graph *g, gen_op op, gen_shape shape, double a, uint64_t key)
{
    return gen_node_new(g, op, 0, NULL, &(gen_attr){ .shape = shape, .a = a, .key = key });
}

static gen_node *next_stream(gen_graph *g, gen_op op, gen_shape shape, double a)
{
    gen_node *y = gen_random(g, op, shape, a, 0);
    if (!(gen_op_get(y->op)->flags & OP_RANDOM)) return y; /* the graph has failed */
    uint64_t earlier = 0;
    for (int32_t i = 0; i < y->id; i++) {
        const gen_node *other = gen_graph_node(g, i);
        bool drawn_again = other->forward;
        if ((gen_op_get(other->op)->flags & OP_RANDOM) && !drawn_again && !strcmp(other->name, y->name)) earlier++;
    }
    y->attr.key = gen_hash_name(y->name) + earlier;
    return y;
}

gen_node *gen_normal(gen_graph *g, gen_shape shape)
{
    return next_stream(g, GEN_OP_NORMAL, shape, 0);
}

gen_node *gen_uniform(gen_graph *g, gen_shape shape)
{
    return next_stream(g, GEN_OP_UNIFORM, shape, 0);
}

gen_node *gen_bernoulli(gen_graph *g, gen_shape shape, double p)
{
    return next_stream(g, GEN_OP_BERNOULLI, shape, p);
}

gen_node *gen_dropout(gen_graph *g, gen_node *x, double p)
{
    if (!(p >= 0 && p < 1)) gen_graph_fail(g, GEN_BAD_OPTION, "dropout: p = %g is not in [0, 1)", p);
    if (p == 0) return x;
    return gen_mul(g, x, gen_scale(g, gen_bernoulli(g, x->shape, 1 - p), 1 / (1 - p)));
}
