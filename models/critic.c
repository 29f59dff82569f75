#include "models/critic.h"

#include "core/autodiff.h"
#include "core/nn.h"

gen_node *gen_between(gen_graph *g, gen_node *real, gen_node *made)
{
    gen_graph_scope(g, "between");
    gen_node *part = gen_uniform(g, GEN_SHAPE(real->shape.dim[0], 1, 1, 1));
    gen_graph_scope(g, "");
    return gen_add(g, gen_mul(g, part, real), gen_mul(g, gen_affine(g, part, -1, 1), made));
}

gen_node *gen_squared_slope(gen_graph *g, gen_node *logit, gen_node *u)
{
    gen_node *du;
    gen_gradient(g, gen_sum_all(g, logit), NULL, 1, &u, &du);
    gen_node *flat = nn_flatten(g, gen_square(g, du));
    return gen_reshape(g, gen_sum(g, flat, GEN_AXIS(1)), GEN_SHAPE(u->shape.dim[0]));
}

gen_node *gen_slope(gen_graph *g, gen_node *squared)
{
    return gen_sqrt(g, gen_affine(g, squared, 1, 1e-12));
}
