/* Building a plan: what is needed, units, order, steps. */
#include "core/plan.h"

#include <stdio.h>
#include <string.h>

#include "core/plan_parts.h"

static gen_status no_memory(plan_build *b)
{
    return gen_fail(b->err, GEN_NO_MEMORY, "no memory for the plan of %d nodes", b->n);
}

/* ---- what is needed ---------------------------------------------------------------------------------------------------- */

static void mark_needed(plan_build *b)
{
    const gen_plan_request *r = b->request;
    for (int32_t i = 0; i < r->n_outputs; i++) b->needed[r->outputs[i]->id] = b->kept[r->outputs[i]->id] = true;
    for (int32_t i = 0; i < r->n_assigns; i++) {
        b->needed[r->assigns[i]->id] = true;
        b->kept[r->assigns[i]->in[1]->id] = true;
    }
    for (int32_t id = b->n - 1; id >= 0; id--) {
        if (!b->needed[id]) continue;
        const gen_node *node = gen_graph_node(b->g, id);
        /* an assignment does not read its parameter */
        for (int32_t i = node->op == GEN_OP_ASSIGN; i < node->n_in; i++) {
            b->needed[node->in[i]->id] = true;
            b->n_users[node->in[i]->id]++;
            b->user[node->in[i]->id] = id;
        }
    }
}

/* ---- order ------------------------------------------------------------------------------------------------------------- */

/* Edges between units: producer before consumer, and every reader of a parameter before the unit that writes it in place. */
typedef struct edge_list {
    int32_t *to, *next, *head; /* linked lists by source unit */
    int32_t *n_before;         /* incoming edges of each unit */
    int32_t n, room;
} edge_list;

static void add_edge(edge_list *e, int32_t from, int32_t to)
{
    if (from < 0 || from == to || e->n == e->room) return;
    e->to[e->n] = to;
    e->next[e->n] = e->head[from];
    e->head[from] = e->n++;
    e->n_before[to]++;
}

static int32_t count_inputs(const plan_build *b)
{
    int32_t n = 0;
    for (int32_t id = 0; id < b->n; id++)
        if (b->needed[id]) n += gen_graph_node(b->g, id)->n_in;
    return n;
}

static void add_producer_edges(plan_build *b, edge_list *e)
{
    for (int32_t id = 0; id < b->n; id++) {
        if (b->unit_of[id] < 0) continue;
        const gen_node *node = gen_graph_node(b->g, id);
        for (int32_t i = 0; i < node->n_in; i++)
            add_edge(e, b->unit_of[gen_node_view_base(node->in[i])->id], b->unit_of[id]);
    }
}

/* Can unit `to` be reached from unit `from`? */
static bool reaches(const plan_build *b, const edge_list *e, int32_t from, int32_t to, int32_t *stack, bool *seen)
{
    memset(seen, 0, (size_t)b->n_units * sizeof *seen);
    int32_t depth = 0;
    stack[depth++] = from;
    seen[from] = true;
    while (depth) {
        int32_t u = stack[--depth];
        if (u == to) return true;
        for (int32_t k = e->head[u]; k >= 0; k = e->next[k])
            if (!seen[e->to[k]]) {
                seen[e->to[k]] = true;
                stack[depth++] = e->to[k];
            }
    }
    return false;
}

/* Units that read the parameter, apart from `except`. The list ends with -1. */
static void find_readers(const plan_build *b, const gen_node *param, int32_t except, int32_t *readers)
{
    int32_t n = 0;
    for (int32_t id = 0; id < b->n; id++) {
        if (b->unit_of[id] < 0 || b->unit_of[id] == except) continue;
        const gen_node *node = gen_graph_node(b->g, id);
        for (int32_t i = 0; i < node->n_in; i++)
            if (gen_node_view_base(node->in[i]) == param) {
                readers[n++] = b->unit_of[id];
                break;
            }
    }
    readers[n] = -1;
}

/* May the unit that makes the value write straight into the parameter? It must be its only home, and a unit that reads the parameter too must be a
 * chain that reads it element by element. */
static bool can_write_in_place(const plan_build *b, const gen_node *param, const gen_node *value)
{
    int32_t u = b->unit_of[value->id];
    if (u < 0) return false;
    for (int32_t i = 0; i < b->request->n_outputs; i++)
        if (gen_node_view_base(b->request->outputs[i]) == param) return false; /* asked for: its old value */
    for (int32_t i = 0; i < b->request->n_assigns; i++)
        if (gen_node_view_base(b->request->assigns[i]->in[1]) == param) return false; /* its old value goes elsewhere */
    const plan_unit *unit = &b->units[u];
    for (int32_t m = 0; m < unit->n_members; m++) {
        const gen_node *node = gen_graph_node(b->g, unit->members[m]);
        for (int32_t i = 0; i < node->n_in; i++)
            if (gen_node_view_base(node->in[i]) == param &&
                (unit->kind != UNIT_CHAIN || !plan_is_full(node->in[i], &unit->shape)))
                return false;
    }
    return true;
}

/* Decides for each assignment: in place (readers come first), or a copy at the end (a unit of its own). */
static gen_status place_assigns(plan_build *b, edge_list *e)
{
    int32_t *readers = gen_arena_alloc(b->work, (size_t)(b->n + 1) * sizeof *readers);
    int32_t *stack = gen_arena_alloc(b->work, (size_t)b->n_units * sizeof *stack + 1);
    bool *seen = gen_arena_alloc(b->work, (size_t)b->n_units + 1);
    if (!readers || !stack || !seen) return no_memory(b);
    for (int32_t a = 0; a < b->request->n_assigns; a++) {
        const gen_node *assign = b->request->assigns[a], *param = assign->in[0], *value = assign->in[1];
        gen_value *v = &b->plan->values[value->id];
        if (v->place != GEN_PLACE_NONE || !can_write_in_place(b, param, value)) continue;
        int32_t u = b->unit_of[value->id];
        find_readers(b, param, u, readers);
        bool cycle = false;
        for (int32_t *r = readers; *r >= 0 && !cycle; r++) cycle = reaches(b, e, u, *r, stack, seen);
        if (cycle) continue;
        for (int32_t *r = readers; *r >= 0; r++) add_edge(e, *r, u);
        *v = (gen_value){ .place = GEN_PLACE_PARAM, .param = param->id, .buffer = -1 };
    }
    return GEN_OK;
}

/* A binary heap of units by smallest key: units run as late as their last member was written down, which is the model's own order. */
static void heap_push(int32_t *heap, int32_t *n, const plan_unit *units, int32_t u)
{
    int32_t i = (*n)++;
    for (; i > 0 && units[heap[(i - 1) / 2]].max_id > units[u].max_id; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = u;
}

static int32_t heap_pop(int32_t *heap, int32_t *n, const plan_unit *units)
{
    int32_t top = heap[0], last = heap[--*n], i = 0;
    for (int32_t c; (c = 2 * i + 1) < *n; i = c) {
        if (c + 1 < *n && units[heap[c + 1]].max_id < units[heap[c]].max_id) c++;
        if (units[heap[c]].max_id >= units[last].max_id) break;
        heap[i] = heap[c];
    }
    heap[i] = last;
    return top;
}

static gen_status order_units(plan_build *b, int32_t *order, int32_t *n_order)
{
    int32_t room = count_inputs(b) + 8 * b->n + 16;
    edge_list e = { .room = room };
    e.to = gen_arena_alloc(b->work, (size_t)room * sizeof *e.to);
    e.next = gen_arena_alloc(b->work, (size_t)room * sizeof *e.next);
    e.head = gen_arena_alloc(b->work, (size_t)b->n_units * sizeof *e.head);
    e.n_before = gen_arena_alloc(b->work, (size_t)b->n_units * sizeof *e.n_before);
    int32_t *heap = gen_arena_alloc(b->work, (size_t)b->n_units * sizeof *heap);
    if (!e.to || !e.next || !e.head || !e.n_before || !heap) return no_memory(b);
    for (int32_t u = 0; u < b->n_units; u++) e.head[u] = -1;
    add_producer_edges(b, &e);
    GEN_TRY(place_assigns(b, &e));
    if (e.n == e.room) return gen_fail(b->err, GEN_NO_MEMORY, "too many edges in a plan of %d nodes", b->n);
    int32_t n_heap = 0;
    for (int32_t u = 0; u < b->n_units; u++)
        if (!b->units[u].dead && !e.n_before[u]) heap_push(heap, &n_heap, b->units, u);
    while (n_heap) {
        int32_t u = heap_pop(heap, &n_heap, b->units);
        order[(*n_order)++] = u;
        for (int32_t k = e.head[u]; k >= 0; k = e.next[k])
            if (!--e.n_before[e.to[k]]) heap_push(heap, &n_heap, b->units, e.to[k]);
    }
    int32_t alive = 0;
    for (int32_t u = 0; u < b->n_units; u++) alive += !b->units[u].dead;
    if (*n_order == alive) return GEN_OK;
    return gen_fail(b->err, GEN_UNSUPPORTED, "%d of the plan's %d steps wait for each other: a fusion went wrong",
                    alive - *n_order, alive);
}

/* ---- steps ------------------------------------------------------------------------------------------------------------- */

static gen_status node_step(plan_build *b, const gen_node *node, int32_t result, gen_plan_step *step)
{
    step->in = gen_arena_alloc(b->arena, (size_t)node->n_in * sizeof *step->in);
    step->out = gen_arena_alloc(b->arena, sizeof *step->out);
    if (!step->in || !step->out) return no_memory(b);
    step->n_in = node->n_in;
    step->n_out = 1;
    for (int32_t i = 0; i < node->n_in; i++) step->in[i] = node->in[i]->id;
    step->out[0] = result;
    return GEN_OK;
}

static gen_status unit_step(plan_build *b, const plan_unit *unit, gen_plan_step *step)
{
    const gen_node *first = gen_graph_node(b->g, unit->members[0]);
    const gen_node *last = gen_graph_node(b->g, unit->members[unit->n_members - 1]);
    *step = (gen_plan_step){ .op = first->op,
                             .attr = &first->attr,
                             .name = first->name,
                             .bias = unit->bias,
                             .residual = unit->residual,
                             .act = unit->act,
                             .act_a = unit->act_a };
    if (unit->kind == UNIT_CHAIN && (unit->n_members > 1 || first->op == GEN_OP_BROADCAST)) {
        step->op = GEN_OP_CHAIN;
        step->name = last->name;
        return plan_make_chain(b, unit, step);
    }
    return node_step(b, first, last->id, step);
}

static gen_status make_steps(plan_build *b, const int32_t *order, int32_t n_order)
{
    gen_plan *plan = b->plan;
    plan->steps = gen_arena_alloc(b->arena, (size_t)(n_order + b->request->n_assigns) * sizeof *plan->steps);
    if (!plan->steps) return no_memory(b);
    for (int32_t i = 0; i < n_order; i++) {
        GEN_TRY(unit_step(b, &b->units[order[i]], &plan->steps[plan->n_steps++]));
        plan->n_fused += b->units[order[i]].n_members - 1;
    }
    /* those that could not be written in place: copies at the end */
    for (int32_t a = 0; a < b->request->n_assigns; a++) {
        const gen_node *assign = b->request->assigns[a], *value = assign->in[1];
        const gen_value *v = &plan->values[value->id];
        plan->values[assign->id] = (gen_value){ .place = GEN_PLACE_PARAM, .param = assign->in[0]->id, .buffer = -1 };
        if (v->place == GEN_PLACE_PARAM && v->param == assign->in[0]->id) continue;
        gen_plan_step *step = &plan->steps[plan->n_steps++];
        *step = (gen_plan_step){ .op = GEN_OP_ASSIGN,
                                 .attr = &assign->attr,
                                 .name = assign->in[0]->name,
                                 .bias = -1,
                                 .residual = -1,
                                 .act = GEN_OP_COUNT };
        GEN_TRY(node_step(b, assign, assign->id, step));
    }
    return GEN_OK;
}

/* ---- the plan ---------------------------------------------------------------------------------------------------------- */

static gen_status build_start(plan_build *b)
{
    size_t n = (size_t)b->n;
    b->needed = gen_arena_alloc(b->work, n * sizeof *b->needed);
    b->kept = gen_arena_alloc(b->work, n * sizeof *b->kept);
    b->n_users = gen_arena_alloc(b->work, n * sizeof *b->n_users);
    b->user = gen_arena_alloc(b->work, n * sizeof *b->user);
    b->unit_of = gen_arena_alloc(b->work, n * sizeof *b->unit_of);
    b->units = gen_arena_alloc(b->work, n * sizeof *b->units);
    gen_plan *plan = b->plan;
    plan->values = gen_arena_alloc(b->arena, n * sizeof *plan->values);
    plan->outputs = gen_arena_alloc(b->arena, (size_t)b->request->n_outputs * sizeof *plan->outputs);
    if (!b->needed || !b->kept || !b->n_users || !b->user || !b->unit_of || !b->units || !plan->values ||
        !plan->outputs)
        return no_memory(b);
    plan->n_nodes = b->n;
    plan->n_outputs = b->request->n_outputs;
    for (int32_t i = 0; i < plan->n_outputs; i++) plan->outputs[i] = b->request->outputs[i]->id;
    return GEN_OK;
}

static gen_status build(plan_build *b)
{
    GEN_TRY(build_start(b));
    mark_needed(b);
    GEN_TRY(plan_make_units(b));
    int32_t n_order = 0, *order = gen_arena_alloc(b->work, (size_t)b->n_units * sizeof *order);
    if (!order) return no_memory(b);
    GEN_TRY(order_units(b, order, &n_order));
    GEN_TRY(make_steps(b, order, n_order));
    return plan_place_values(b);
}

gen_status gen_plan_new(const gen_graph *g, const gen_plan_request *request, gen_plan **plan, gen_error *err)
{
    GEN_TRY(gen_graph_check(g, err));
    gen_arena *arena = gen_arena_new(), *work = gen_arena_new();
    gen_plan *p = arena ? gen_arena_alloc(arena, sizeof *p) : NULL;
    gen_status status = GEN_NO_MEMORY;
    if (p && work) {
        *p = (gen_plan){ .graph = g, .arena = arena };
        plan_build b = {
            .g = g, .request = request, .arena = arena, .work = work, .n = gen_graph_size(g), .plan = p, .err = err
        };
        status = build(&b);
    } else {
        gen_fail(err, GEN_NO_MEMORY, "no memory for a plan");
    }
    gen_arena_free(work);
    if (status == GEN_OK) *plan = p;
    else gen_arena_free(arena);
    return status;
}

void gen_plan_free(gen_plan *plan)
{
    if (plan) gen_arena_free(plan->arena);
}

static void explain_value(const gen_plan *plan, int32_t id, size_t element_bytes, char *text, size_t bytes)
{
    const gen_value *v = &plan->values[id];
    const gen_node *node = gen_graph_node(plan->graph, id);
    char shape[64];
    gen_shape_text(&node->shape, shape, sizeof shape);
    if (v->place == GEN_PLACE_SLAB)
        snprintf(text, bytes, "%-20s %12lld bytes at %12lld  used %d..%d", shape,
                 (long long)(gen_shape_count(&node->shape) * (int64_t)element_bytes),
                 (long long)(v->offset * (int64_t)element_bytes), v->first, v->last);
    else snprintf(text, bytes, "%-20s in parameter %s", shape, gen_graph_node(plan->graph, v->param)->name);
}

void gen_plan_explain(const gen_plan *plan, size_t element_bytes, void (*line)(void *context, const char *text),
                      void *context)
{
    char text[320], value[160];
    int32_t n_again = 0;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const gen_plan_step *step = &plan->steps[s];
        for (int32_t o = 0; o < step->n_out; o++) {
            explain_value(plan, step->out[o], element_bytes, value, sizeof value);
            bool again = gen_graph_node(plan->graph, step->out[o])->forward;
            n_again += again;
            snprintf(text, sizeof text, "%4d  %-12s %-16.40s %s%s", s, gen_op_get(step->op)->name, step->name, value,
                     again ? "  again" : "");
            line(context, text);
        }
    }
    snprintf(text, sizeof text,
             "slab %.1f MB; the most alive at once %.1f MB; %d steps; %d nodes fused away; %d results computed again",
             1e-6 * (double)plan->slab_count * (double)element_bytes,
             1e-6 * (double)plan->live_count * (double)element_bytes, plan->n_steps, plan->n_fused, n_again);
    line(context, text);
}
