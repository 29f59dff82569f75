/* Losses are compositions: their gradients come from the ops they are made of. */
#include "core/op/family.h"

/* -t ln s(x) - (1-t) ln(1 - s(x)) = softplus(x) - x t, finite for every x */
gen_node *gen_bce_logits(gen_graph *g, gen_node *logit, gen_node *target)
{
    return gen_sub(g, gen_softplus(g, logit), gen_mul(g, logit, target));
}

gen_node *gen_cross_entropy(gen_graph *g, gen_node *logits, gen_node *labels)
{
    int32_t last = logits->shape.rank - 1;
    gen_node *one_hot = gen_one_hot(g, labels, last >= 0 ? logits->shape.dim[last] : 1);
    gen_node *picked = gen_sum(g, gen_mul(g, logits, one_hot), GEN_AXIS(last));
    return gen_reshape(g, gen_sub(g, gen_lse(g, logits, GEN_AXIS(last)), picked), labels->shape);
}

gen_node *gen_mse(gen_graph *g, gen_node *a, gen_node *b)
{
    return gen_mean(g, gen_square(g, gen_sub(g, a, b)));
}

gen_node *gen_l1(gen_graph *g, gen_node *a, gen_node *b)
{
    return gen_mean(g, gen_abs(g, gen_sub(g, a, b)));
}
