#include "models/cost.h"

static double count(const gen_shape *shape)
{
    return (double)gen_shape_count(shape);
}

/* of a filter [R,S,C/groups,K]: multiply-adds for each number of the conv's result */
static double field(const gen_shape *w)
{
    return (double)(w->dim[0] * w->dim[1] * w->dim[2]);
}

double gen_node_multiply_adds(const gen_node *y)
{
    switch (y->op) {
    case GEN_OP_MATMUL:
        return count(&y->shape) * (double)y->in[0]->shape.dim[y->in[0]->shape.rank - 1 - y->attr.trans_a];
    case GEN_OP_CONV2D: return count(&y->shape) * field(&y->in[1]->shape);
    case GEN_OP_CONV2D_T: return count(&y->in[0]->shape) * field(&y->in[1]->shape);
    case GEN_OP_CONV2D_W: return count(&y->in[1]->shape) * field(&y->shape);
    case GEN_OP_LSTM:
    case GEN_OP_GRU: return count(&y->in[0]->shape) * (double)y->in[1]->shape.dim[0];
    case GEN_OP_LSTM_DX:
    case GEN_OP_GRU_DX: { /* planes [6|5,T,N,H] and w [H,gates H] */
        const gen_shape *planes = &y->in[0]->shape, *w = &y->in[1]->shape;
        return (double)(planes->dim[1] * planes->dim[2]) * count(w);
    }
    default: return 0;
    }
}

double gen_graph_multiply_adds(const gen_graph *g)
{
    double total = 0;
    for (int32_t id = 0; id < gen_graph_size(g); id++) total += gen_node_multiply_adds(gen_graph_node(g, id));
    return total;
}
