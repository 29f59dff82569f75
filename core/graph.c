/* Nodes, their arena, the sticky first error; sources, outputs, assignments. Builders of op families are in core/op. */
#include "core/graph.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/rng.h"

typedef struct node_list {
    gen_node **at;
    int32_t n, room;
} node_list;

typedef struct named_output {
    const char *name;
    gen_node *node;
    struct named_output *next;
} named_output;

typedef struct param_entry {
    gen_node *node;
    gen_param_spec spec;
    gen_node *value;  /* what the step has assigned to it so far; NULL: nothing */
    gen_node *newest; /* value as a leaf, made when somebody asks for it */
} param_entry;

struct gen_graph {
    gen_arena *arena;
    node_list nodes, assigns;
    named_output *outputs, **last_output;
    int32_t n_outputs;
    param_entry *params;
    int32_t n_params, params_room;
    const char *scope;
    bool checkpoints;
    gen_error failure;
    gen_node *harmless; /* what builders return after a failure */
};

static bool list_push(node_list *list, gen_node *node)
{
    if (list->n == list->room) {
        int32_t room = list->room ? 2 * list->room : 256;
        gen_node **grown = gen_alloc((size_t)room, sizeof *grown);
        if (!grown) return false;
        if (list->n) memcpy(grown, list->at, (size_t)list->n * sizeof *grown);
        gen_free(list->at);
        list->at = grown;
        list->room = room;
    }
    list->at[list->n++] = node;
    return true;
}

gen_graph *gen_graph_new(void)
{
    gen_arena *arena = gen_arena_new();
    if (!arena) return NULL;
    gen_graph *g = gen_arena_alloc(arena, sizeof *g);
    gen_node *harmless = gen_arena_alloc(arena, sizeof *harmless);
    if (!g || !harmless) {
        gen_arena_free(arena);
        return NULL;
    }
    harmless->op = GEN_OP_CONST;
    harmless->name = "";
    *g = (gen_graph){ .arena = arena, .scope = "", .harmless = harmless };
    g->last_output = &g->outputs;
    return g;
}

void gen_graph_free(gen_graph *g)
{
    if (!g) return;
    gen_free(g->nodes.at);
    gen_free(g->assigns.at);
    gen_free(g->params);
    gen_arena_free(g->arena);
}

gen_status gen_graph_check(const gen_graph *g, gen_error *err)
{
    if (g->failure.status == GEN_OK) return GEN_OK;
    return gen_fail(err, g->failure.status, "%s", g->failure.text);
}

int32_t gen_graph_size(const gen_graph *g)
{
    return g->nodes.n;
}

gen_node *gen_graph_node(const gen_graph *g, int32_t id)
{
    return g->nodes.at[id];
}

gen_arena *gen_graph_arena(gen_graph *g)
{
    return g->arena;
}

void gen_graph_fail(gen_graph *g, gen_status status, const char *format, ...)
{
    char text[sizeof g->failure.text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gen_fail(&g->failure, status, "%s", text);
}

static gen_node *out_of_memory(gen_graph *g)
{
    gen_graph_fail(g, GEN_NO_MEMORY, "no memory for the graph after %d nodes", g->nodes.n);
    return g->harmless;
}

void gen_graph_scope(gen_graph *g, const char *layer)
{
    const char *copy = gen_arena_strdup(g->arena, layer);
    if (copy) g->scope = copy;
    else out_of_memory(g);
}

/* "conv2d enc.conv2: w has 3 input channels, x has 32 (x[64,14,14,32] w[3,3,3,64])" */
static void fail_shape(gen_graph *g, const gen_node *y, const gen_error *why)
{
    char inputs[160] = "", shape[64];
    size_t used = 0;
    for (int32_t i = 0; i < y->n_in && used < sizeof inputs; i++)
        used += (size_t)snprintf(inputs + used, sizeof inputs - used, "%s%s", i ? " " : "",
                                 gen_shape_text(&y->in[i]->shape, shape, sizeof shape));
    gen_graph_fail(g, why->status, "%s%s%s: %s (inputs %s)", gen_op_get(y->op)->name, *y->name ? " " : "", y->name,
                   why->text, inputs);
}

gen_node *gen_node_new(gen_graph *g, gen_op op, int32_t n_in, gen_node *const *in, const gen_attr *attr)
{
    if (g->failure.status != GEN_OK) return g->harmless;
    gen_node *y = gen_arena_alloc(g->arena, sizeof *y);
    gen_node **inputs = gen_arena_alloc(g->arena, (size_t)n_in * sizeof *inputs);
    if (!y || !inputs) return out_of_memory(g);
    if (n_in) memcpy(inputs, in, (size_t)n_in * sizeof *inputs);
    *y = (gen_node){ .op = op, .id = g->nodes.n, .n_in = n_in, .in = inputs, .name = g->scope };
    if (attr) y->attr = *attr;
    gen_error why = { 0 };
    if (gen_op_get(op)->infer(y, &y->shape, &why) != GEN_OK) {
        fail_shape(g, y, &why);
        return g->harmless;
    }
    return list_push(&g->nodes, y) ? y : out_of_memory(g);
}

void gen_graph_cut(gen_graph *g, int32_t n)
{
    if (n < g->nodes.n) g->nodes.n = n;
}

void gen_graph_checkpoint(gen_graph *g)
{
    g->checkpoints = true;
}

bool gen_graph_checkpoints(const gen_graph *g)
{
    return g->checkpoints;
}

static gen_node *source(gen_graph *g, gen_op op, const char *name, const gen_attr *attr)
{
    gen_node *node = gen_node_new(g, op, 0, NULL, attr);
    if (node == g->harmless || !name) return node;
    node->name = gen_arena_strdup(g->arena, name);
    if (!node->name) return out_of_memory(g);
    return node;
}

gen_node *gen_input(gen_graph *g, const char *name, gen_shape shape)
{
    for (int32_t i = 0; i < g->nodes.n; i++) {
        gen_node *known = g->nodes.at[i];
        if (known->op != GEN_OP_INPUT || strcmp(known->name, name)) continue;
        if (gen_shape_equal(&known->shape, &shape)) return known;
        char a[64], b[64];
        gen_graph_fail(g, GEN_BAD_SHAPE, "input %s is used with two shapes: %s and %s", name,
                       gen_shape_text(&known->shape, a, sizeof a), gen_shape_text(&shape, b, sizeof b));
        return g->harmless;
    }
    return source(g, GEN_OP_INPUT, name, &(gen_attr){ .shape = shape });
}

gen_node *gen_const(gen_graph *g, gen_shape shape, const float *data)
{
    size_t bytes = (size_t)gen_shape_count(&shape) * sizeof *data;
    float *copy = gen_arena_alloc(g->arena, bytes);
    if (!copy) return out_of_memory(g);
    memcpy(copy, data, bytes);
    return source(g, GEN_OP_CONST, NULL, &(gen_attr){ .shape = shape, .data = copy });
}

gen_node *gen_fill(gen_graph *g, gen_shape shape, double value)
{
    return source(g, GEN_OP_CONST, NULL, &(gen_attr){ .shape = shape, .a = value });
}

gen_node *gen_scalar(gen_graph *g, double value)
{
    return gen_fill(g, (gen_shape){ 0 }, value);
}

/* ---- parameters ---------------------------------------------------------------------------------------------------- */

static bool params_push(gen_graph *g, gen_node *node, gen_param_spec spec)
{
    if (g->n_params == g->params_room) {
        int32_t room = g->params_room ? 2 * g->params_room : 64;
        param_entry *grown = gen_alloc((size_t)room, sizeof *grown);
        if (!grown) return false;
        if (g->n_params) memcpy(grown, g->params, (size_t)g->n_params * sizeof *grown);
        gen_free(g->params);
        g->params = grown;
        g->params_room = room;
    }
    g->params[g->n_params++] = (param_entry){ .node = node, .spec = spec };
    return true;
}

/* What the parameter holds at this place of the step. No gradient flows back through an update. */
static gen_node *newest(gen_graph *g, param_entry *p)
{
    if (!p->value) return p->node;
    if (!p->newest) p->newest = gen_stop(g, p->value);
    return p->newest;
}

gen_node *gen_param(gen_graph *g, const char *name, gen_shape shape, gen_param_spec spec)
{
    for (int32_t i = 0; i < g->n_params; i++) {
        gen_node *known = g->params[i].node;
        if (strcmp(known->name, name)) continue;
        if (gen_shape_equal(&known->shape, &shape)) return newest(g, &g->params[i]);
        char a[64], b[64];
        gen_graph_fail(g, GEN_BAD_SHAPE, "parameter %s is used with two shapes: %s and %s", name,
                       gen_shape_text(&known->shape, a, sizeof a), gen_shape_text(&shape, b, sizeof b));
        return g->harmless;
    }
    gen_node *node = source(g, GEN_OP_PARAM, name, &(gen_attr){ .shape = shape });
    if (node != g->harmless && !params_push(g, node, spec)) return out_of_memory(g);
    return node;
}

int32_t gen_graph_params(const gen_graph *g)
{
    return g->n_params;
}

gen_node *gen_graph_param(const gen_graph *g, int32_t i, gen_param_spec *spec)
{
    if (spec) *spec = g->params[i].spec;
    return g->params[i].node;
}

gen_node *gen_graph_param_newest(gen_graph *g, int32_t i)
{
    return newest(g, &g->params[i]);
}

/* ---- assignments and outputs ---------------------------------------------------------------------------------------- */

static param_entry *find_param(gen_graph *g, const gen_node *param)
{
    for (int32_t i = 0; i < g->n_params; i++)
        if (g->params[i].node == param || g->params[i].newest == param) return &g->params[i];
    return NULL;
}

void gen_assign(gen_graph *g, gen_node *param, gen_node *value)
{
    if (g->failure.status != GEN_OK) return;
    param_entry *p = find_param(g, param);
    if (!p) {
        gen_graph_fail(g, GEN_BAD_SHAPE, "assign: %s is no parameter", param->name);
        return;
    }
    gen_node *assign = gen_node_new(g, GEN_OP_ASSIGN, 2, (gen_node *[]){ p->node, value }, NULL);
    if (assign == g->harmless) return;
    p->value = value;
    p->newest = NULL;
    for (int32_t i = 0; i < g->assigns.n; i++)
        if (g->assigns.at[i]->in[0] == p->node) { /* only the last value of a step is stored */
            g->assigns.at[i] = assign;
            return;
        }
    if (!list_push(&g->assigns, assign)) out_of_memory(g);
}

int32_t gen_graph_assigns(const gen_graph *g)
{
    return g->assigns.n;
}

gen_node *gen_graph_assign(const gen_graph *g, int32_t i)
{
    return g->assigns.at[i];
}

void gen_output(gen_graph *g, const char *name, gen_node *node)
{
    if (g->failure.status != GEN_OK) return;
    named_output *out = gen_arena_alloc(g->arena, sizeof *out);
    const char *copy = gen_arena_strdup(g->arena, name);
    if (!out || !copy) {
        out_of_memory(g);
        return;
    }
    *out = (named_output){ copy, node, NULL };
    *g->last_output = out;
    g->last_output = &out->next;
    g->n_outputs++;
}

int32_t gen_graph_outputs(const gen_graph *g)
{
    return g->n_outputs;
}

gen_node *gen_graph_output(const gen_graph *g, int32_t i, const char **name)
{
    named_output *out = g->outputs;
    while (i-- > 0) out = out->next;
    if (name) *name = out->name;
    return out->node;
}
