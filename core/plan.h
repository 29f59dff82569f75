/* core/plan.h: from a graph to a list of calls with places in memory. All thinking happens here, none while running.
 *
 *     gen_plan *plan;
 *     GEN_TRY(gen_plan_new(g, &(gen_plan_request){ .n_outputs = 1, .outputs = &loss, .n_assigns = n, .assigns = updates }, &plan, err));
 *     … gen_session_new(plan, …) …
 *     gen_plan_free(plan);
 *
 * Steps: nodes that outputs and assignments need; fusion (conv, matmul, norm, gather with bias, residual and activation; elementwise ops into chains); order;
 * assignments written in place where every other reader comes before; liveness; offsets in one slab.
 */
#ifndef GEN_CORE_PLAN_H
#define GEN_CORE_PLAN_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_plan_request {
    int32_t n_outputs;
    gen_node *const *outputs; /* fetchable after a run */
    int32_t n_assigns;
    gen_node *const *assigns; /* gen_graph_assign nodes that this plan performs */
    bool no_fusion;           /* for tests: every op by itself */
} gen_plan_request;

typedef enum gen_place { GEN_PLACE_NONE, GEN_PLACE_SLAB, GEN_PLACE_PARAM, GEN_PLACE_CONST } gen_place;

/* Where a node's numbers are while the plan runs. */
typedef struct gen_value {
    gen_place place;
    int64_t offset;      /* elements from the start of the slab, or of the parameter; multiple of 16 */
    int32_t param;       /* PARAM: the node id of the parameter */
    int32_t first, last; /* SLAB: the steps between which it is alive; inputs from -1, outputs to n_steps */
    int32_t buffer;      /* values with the same buffer share memory: views and in-place results */
} gen_value;

/* One step. Node ids say where the numbers are: values[id]. */
typedef struct gen_plan_step {
    gen_op op;
    const gen_attr *attr;
    const char *name;
    int32_t n_in, n_out;
    int32_t *in, *out;      /* node ids */
    int32_t bias, residual; /* node ids or -1 */
    gen_op act;             /* GEN_OP_COUNT: none */
    double act_a;
    gen_chain *chain;
} gen_plan_step;

typedef struct gen_plan {
    const gen_graph *graph;
    gen_arena *arena;
    int32_t n_nodes, n_steps;
    gen_plan_step *steps;
    gen_value *values;  /* one for each node of the graph at the time */
    int64_t slab_count; /* elements */
    int64_t live_count; /* the largest number of elements alive at one step: no slab can be smaller */
    int32_t n_outputs;
    int32_t *outputs; /* node ids */
    int32_t n_fused;  /* nodes that disappeared in epilogues and chains */
} gen_plan;

/* The graph must have passed gen_graph_check and outlive the plan. */
gen_status gen_plan_new(const gen_graph *g, const gen_plan_request *request, gen_plan **plan, gen_error *err);
void gen_plan_free(gen_plan *plan);

/* Does the node show memory of its input: a reshape, a stop, or a slice that lies there in one piece and begins at 64 bytes? */
bool gen_node_is_view(const gen_node *node);
/* The node whose memory a node shows, views followed, and at which of its elements. */
const gen_node *gen_node_view_base(const gen_node *node);
int64_t gen_node_view_offset(const gen_node *node);
/* A constant that is one number everywhere: chains read it as a single number. */
bool gen_node_is_fill(const gen_node *node);

/* The plan as a table for people: step, op, layer, shape, bytes, offset, first and last use. Writes whole lines through line(context, text). */
void gen_plan_explain(const gen_plan *plan, size_t element_bytes, void (*line)(void *context, const char *text),
                      void *context);

#ifdef __cplusplus
}
#endif
#endif
