#include "models/cost.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/session.h"

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

double gen_step_multiply_adds(const gen_plan *plan, const gen_plan_step *step)
{
    gen_node *in[4] = { 0 }; /* no product reads more, and none less than two */
    if (!step->attr || step->n_in < 2 || step->n_in > 4) return 0;
    for (int32_t i = 0; i < step->n_in; i++) in[i] = gen_graph_node(plan->graph, step->in[i]);
    gen_node y = { .op = step->op,
                   .n_in = step->n_in,
                   .in = in,
                   .shape = gen_graph_node(plan->graph, step->out[0])->shape,
                   .attr = *step->attr };
    return gen_node_multiply_adds(&y);
}

/* A chain reads a constant that is one number everywhere as a single number. */
static double numbers_of(const gen_plan *plan, const gen_plan_step *step, int32_t id)
{
    const gen_node *node = gen_graph_node(plan->graph, id);
    bool one = step->op == GEN_OP_CHAIN && gen_node_is_fill(gen_node_view_base(node));
    return one ? 1 : count(&node->shape);
}

double gen_step_bytes(const gen_plan *plan, const gen_plan_step *step, size_t element_bytes)
{
    double numbers = 0;
    for (int32_t i = 0; i < step->n_in; i++) {
        bool again = false;
        for (int32_t j = 0; j < i; j++) again = again || step->in[j] == step->in[i];
        if (!again) numbers += numbers_of(plan, step, step->in[i]);
    }
    for (int32_t i = 0; i < step->n_out; i++) numbers += numbers_of(plan, step, step->out[i]);
    if (step->bias >= 0) numbers += numbers_of(plan, step, step->bias);
    if (step->residual >= 0) numbers += numbers_of(plan, step, step->residual);
    return numbers * (double)element_bytes;
}

static gen_status measure(const gen_graph *g, gen_node **nodes, gen_device *device, size_t *bytes, gen_error *err)
{
    int32_t n_outputs = gen_graph_outputs(g), n_assigns = gen_graph_assigns(g);
    gen_plan *plan = NULL;
    for (int32_t i = 0; i < n_outputs; i++) nodes[i] = gen_graph_output(g, i, NULL);
    for (int32_t i = 0; i < n_assigns; i++) nodes[n_outputs + i] = gen_graph_assign(g, i);
    gen_plan_request request = { n_outputs, nodes, n_assigns, nodes + n_outputs, false };
    GEN_TRY(gen_plan_new(g, &request, &plan, err));
    gen_status status = gen_session_measure(plan, device, bytes, err);
    gen_plan_free(plan);
    return status;
}

gen_status gen_graph_bytes(const gen_graph *g, gen_device *device, size_t *bytes, gen_error *err)
{
    GEN_TRY(gen_graph_check(g, err));
    gen_node **nodes = gen_alloc((size_t)(gen_graph_outputs(g) + gen_graph_assigns(g)), sizeof(gen_node *));
    if (!nodes) return gen_fail(err, GEN_NO_MEMORY, "no memory for a plan");
    gen_status status = measure(g, nodes, device, bytes, err);
    gen_free(nodes);
    return status;
}

size_t gen_graph_param_bytes(const gen_graph *g, const gen_device *device)
{
    size_t numbers = 0;
    for (int32_t i = 0; i < gen_graph_params(g); i++) {
        gen_param_spec spec;
        numbers += (size_t)gen_shape_count(&gen_graph_param(g, i, &spec)->shape);
    }
    return numbers * device->element_bytes;
}

gen_status gen_bytes_parse(const char *option, const char *text, size_t *bytes, gen_error *err)
{
    static const char units[] = "KMGT";
    char *end;
    double value = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;
    bool fine = end > text && value >= 0 && value < 1e15 && (!*end || (unit && *unit && !end[1]));
    if (!fine) return gen_fail(err, GEN_BAD_OPTION, "--%s %s: expected a size such as 500M or 2G", option, text);
    for (const char *u = units; unit && u <= unit; u++) value *= 1024;
    *bytes = value < 9e18 ? (size_t)value : SIZE_MAX;
    return GEN_OK;
}
