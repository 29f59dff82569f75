/* A session: the slab, constants on the device, and one gen_call for each step of the plan with all pointers filled in. */
#include "core/session.h"

#include <math.h>
#include <string.h>

struct gen_session {
    const gen_plan *plan;
    gen_device *device;
    gen_params *params;
    gen_arena *arena;
    gen_run_state state; /* calls point here */
    char *slab;          /* device memory */
    void **consts;       /* [n_nodes]: device memory of constants, NULL elsewhere */
    gen_view *values;    /* [n_nodes] */
    gen_call *calls;     /* [n_steps] */
    gen_exec *exec;
    size_t bytes;
};

/* Is the node used by something that wants all its elements? A chain reads a constant that is one number everywhere as a single number. */
static void mark_whole_uses(const gen_plan *plan, bool *whole)
{
    for (int32_t i = 0; i < plan->n_outputs; i++)
        whole[gen_node_view_base(gen_graph_node(plan->graph, plan->outputs[i]))->id] = true;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const gen_plan_step *step = &plan->steps[s];
        for (int32_t i = 0; i < step->n_in && step->op != GEN_OP_CHAIN; i++)
            whole[gen_node_view_base(gen_graph_node(plan->graph, step->in[i]))->id] = true;
        if (step->bias >= 0) whole[gen_node_view_base(gen_graph_node(plan->graph, step->bias))->id] = true;
        if (step->residual >= 0) whole[gen_node_view_base(gen_graph_node(plan->graph, step->residual))->id] = true;
    }
}

static size_t const_count(const gen_node *node, bool whole)
{
    return gen_node_is_fill(node) && !whole ? 1 : (size_t)gen_shape_count(&node->shape);
}

static gen_status upload_const(gen_session *s, const gen_node *node, bool whole, gen_error *err)
{
    size_t count = const_count(node, whole);
    const gen_device_ops *ops = s->device->ops;
    void *memory = ops->alloc(s->device, count * s->device->element_bytes);
    if (!memory)
        return gen_fail(err, GEN_NO_MEMORY, "no memory on %s for a constant of %zu numbers", s->device->name, count);
    s->consts[node->id] = memory;
    s->bytes += count * s->device->element_bytes;
    if (!gen_node_is_fill(node)) return ops->upload(s->device, memory, node->attr.data, count, err);
    float *host = gen_alloc(count, sizeof *host);
    if (!host) return gen_fail(err, GEN_NO_MEMORY, "no memory for a constant of %zu numbers", count);
    for (size_t i = 0; i < count; i++) host[i] = (float)node->attr.a;
    gen_status status = ops->upload(s->device, memory, host, count, err);
    gen_free(host);
    return status;
}

static bool is_stored_const(const gen_plan *plan, int32_t id)
{
    return plan->values[id].place == GEN_PLACE_CONST && gen_graph_node(plan->graph, id)->op == GEN_OP_CONST;
}

static gen_status upload_consts(gen_session *s, gen_error *err)
{
    const gen_plan *plan = s->plan;
    bool *whole = gen_arena_alloc(s->arena, (size_t)plan->n_nodes * sizeof *whole);
    if (!whole) return gen_fail(err, GEN_NO_MEMORY, "no memory for a session");
    mark_whole_uses(plan, whole);
    for (int32_t id = 0; id < plan->n_nodes; id++)
        if (is_stored_const(plan, id)) GEN_TRY(upload_const(s, gen_graph_node(plan->graph, id), whole[id], err));
    return GEN_OK;
}

static gen_status bind_value(gen_session *s, int32_t id, gen_error *err)
{
    const gen_value *v = &s->plan->values[id];
    const gen_node *node = gen_graph_node(s->plan->graph, id);
    gen_view *view = &s->values[id];
    view->shape = node->shape;
    if (v->place == GEN_PLACE_SLAB) {
        view->data = s->slab + (size_t)v->offset * s->device->element_bytes;
    } else if (v->place == GEN_PLACE_CONST) {
        view->data = s->consts[gen_node_view_base(node)->id];
    } else if (v->place == GEN_PLACE_PARAM) {
        const char *name = gen_graph_node(s->plan->graph, v->param)->name;
        int32_t p = gen_params_find(s->params, name);
        if (p < 0) return gen_fail(err, GEN_NOT_FOUND, "parameter %s is not stored", name);
        gen_param_info info = gen_params_get(s->params, p);
        if (gen_shape_count(&info.shape) != gen_shape_count(&gen_graph_node(s->plan->graph, v->param)->shape))
            return gen_fail(err, GEN_BAD_SHAPE, "parameter %s is stored with another size", name);
        view->data = (char *)info.data + (size_t)v->offset * s->device->element_bytes;
    }
    return GEN_OK;
}

/* As a call sees it: fills are single numbers for chains. */
static gen_view view_for(const gen_session *s, const gen_plan_step *step, int32_t id)
{
    gen_view view = s->values[id];
    if (step->op == GEN_OP_CHAIN && gen_node_is_fill(gen_node_view_base(gen_graph_node(s->plan->graph, id))))
        view.shape = (gen_shape){ 0 };
    return view;
}

/* Is its first result read by the step behind it alone? */
static bool passes_on(const gen_plan *plan, const gen_plan_step *step)
{
    const int32_t next = (int32_t)(step - plan->steps) + 1;
    const gen_value *value = &plan->values[step->out[0]];
    return value->place == GEN_PLACE_SLAB && value->last == next && next < plan->n_steps;
}

static gen_status make_call(gen_session *s, const gen_plan_step *step, gen_call *call, gen_error *err)
{
    *call = (gen_call){ .op = step->op,
                        .n_in = step->n_in,
                        .n_out = step->n_out,
                        .attr = step->attr,
                        .chain = step->chain,
                        .state = &s->state,
                        .name = step->name };
    call->in = gen_arena_alloc(s->arena, (size_t)step->n_in * sizeof *call->in);
    call->out = gen_arena_alloc(s->arena, (size_t)step->n_out * sizeof *call->out);
    if (!call->in || !call->out) return gen_fail(err, GEN_NO_MEMORY, "no memory for a session");
    for (int32_t i = 0; i < step->n_in; i++) call->in[i] = view_for(s, step, step->in[i]);
    for (int32_t i = 0; i < step->n_out; i++) call->out[i] = s->values[step->out[i]];
    call->passing = passes_on(s->plan, step);
    call->epilogue = (gen_epilogue){ .act = step->act, .act_a = step->act_a };
    if (step->bias >= 0) call->epilogue.bias = s->values[step->bias];
    if (step->residual >= 0) call->epilogue.residual = s->values[step->residual];
    return GEN_OK;
}

static gen_status make_tables(gen_session *s, gen_error *err)
{
    const gen_plan *plan = s->plan;
    s->consts = gen_arena_alloc(s->arena, (size_t)plan->n_nodes * sizeof *s->consts);
    s->values = gen_arena_alloc(s->arena, (size_t)plan->n_nodes * sizeof *s->values);
    s->calls = gen_arena_alloc(s->arena, (size_t)plan->n_steps * sizeof *s->calls);
    return s->consts && s->values && s->calls ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for a session");
}

static gen_status bind(gen_session *s, gen_error *err)
{
    const gen_plan *plan = s->plan;
    size_t slab_bytes = (size_t)plan->slab_count * s->device->element_bytes;
    GEN_TRY(make_tables(s, err));
    s->slab = s->device->ops->alloc(s->device, slab_bytes);
    if (!s->slab)
        return gen_fail(err, GEN_NO_MEMORY, "no memory on %s for %.1f MB of activations: use a smaller batch",
                        s->device->name, 1e-6 * (double)slab_bytes);
    s->bytes += slab_bytes;
    GEN_TRY(upload_consts(s, err));
    for (int32_t id = 0; id < plan->n_nodes; id++) GEN_TRY(bind_value(s, id, err));
    for (int32_t i = 0; i < plan->n_steps; i++) GEN_TRY(make_call(s, &plan->steps[i], &s->calls[i], err));
    return s->device->ops->compile(s->device, s->calls, plan->n_steps, &s->exec, err);
}

gen_status gen_session_new(const gen_plan *plan, gen_device *device, gen_params *params, gen_session **session,
                           gen_error *err)
{
    gen_arena *arena = gen_arena_new();
    gen_session *s = arena ? gen_arena_alloc(arena, sizeof *s) : NULL;
    if (!s) {
        gen_arena_free(arena);
        return gen_fail(err, GEN_NO_MEMORY, "no memory for a session");
    }
    *s = (gen_session){ .plan = plan, .device = device, .params = params, .arena = arena };
    gen_status status = bind(s, err);
    if (status == GEN_OK) *session = s;
    else gen_session_free(s);
    return status;
}

void gen_session_free(gen_session *s)
{
    if (!s) return;
    const gen_device_ops *ops = s->device->ops;
    if (s->exec) ops->exec_free(s->exec);
    for (int32_t id = 0; s->consts && id < s->plan->n_nodes; id++)
        if (s->consts[id]) ops->free(s->device, s->consts[id]);
    if (s->slab) ops->free(s->device, s->slab);
    gen_arena_free(s->arena);
}

gen_status gen_session_feed(gen_session *s, const char *input, const float *data, int64_t count, gen_error *err)
{
    for (int32_t id = 0; id < s->plan->n_nodes; id++) {
        const gen_node *node = gen_graph_node(s->plan->graph, id);
        if (node->op != GEN_OP_INPUT || strcmp(node->name, input)) continue;
        if (gen_shape_count(&node->shape) != count)
            return gen_fail(err, GEN_BAD_SHAPE, "input %s takes %lld numbers, got %lld", input,
                            (long long)gen_shape_count(&node->shape), (long long)count);
        if (!s->values[id].data) return GEN_OK;
        return s->device->ops->upload(s->device, s->values[id].data, data, (size_t)count, err);
    }
    return gen_fail(err, GEN_NOT_FOUND, "the graph has no input %s", input);
}

gen_status gen_session_run(gen_session *s, gen_run_state state, gen_error *err)
{
    s->state = state;
    return s->device->ops->run(s->exec, err);
}

gen_status gen_session_fetch(gen_session *s, int32_t i, float *data, int64_t count, gen_error *err)
{
    const gen_view *view = &s->values[s->plan->outputs[i]];
    if (gen_shape_count(&view->shape) != count)
        return gen_fail(err, GEN_BAD_SHAPE, "output %d has %lld numbers, asked for %lld", i,
                        (long long)gen_shape_count(&view->shape), (long long)count);
    return s->device->ops->download(s->device, data, view->data, (size_t)count, err);
}

/* ---- many runs on end -------------------------------------------------------------------------------------------------------- */

static gen_status find_fed(gen_session *s, const gen_rows *rows, gen_loop *loop, gen_error *err)
{
    const int64_t n = rows->share * rows->n_decks;
    for (int32_t id = 0; id < s->plan->n_nodes; id++) {
        const gen_node *node = gen_graph_node(s->plan->graph, id);
        if (node->op != GEN_OP_INPUT) continue;
        bool x = !strcmp(node->name, "x"), label = !strcmp(node->name, "label");
        if ((!x && !label) || gen_shape_count(&node->shape) != (x ? n * rows->width : n))
            return gen_fail(err, GEN_UNSUPPORTED, "input %s is not fed from rows", node->name);
        *(x ? &loop->x : &loop->label) = s->values[id].data;
    }
    return GEN_OK;
}

gen_status gen_session_loop(gen_session *s, const gen_rows *rows, int32_t most, gen_error *err)
{
    const gen_device_ops *ops = s->device->ops;
    gen_loop loop = { .rows = rows, .n_numbers = s->plan->n_outputs, .most = most };
    if (!ops->loop) return gen_fail(err, GEN_UNSUPPORTED, "%s takes one run at a time", s->device->name);
    GEN_TRY(find_fed(s, rows, &loop, err));
    for (int32_t i = 0; i < loop.n_numbers; i++) {
        const gen_view *view = &s->values[s->plan->outputs[i]];
        if (i == GEN_MAX_NUMBERS || gen_shape_count(&view->shape) != 1)
            return gen_fail(err, GEN_UNSUPPORTED, "output %d is more than one number, or one too many", i);
        loop.number[i] = view->data;
    }
    return ops->loop(s->exec, s->calls, s->plan->n_steps, &loop, err);
}

gen_status gen_session_run_loop(gen_session *s, gen_run_state first, int32_t n, float *numbers, gen_error *err)
{
    return s->device->ops->run_loop(s->exec, first, n, numbers, err);
}

/* ---- looking for the first number that is not finite ---------------------------------------------------------------------- */

static gen_status check_result(gen_session *s, const gen_call *call, const gen_view *out, gen_error *err)
{
    size_t count = (size_t)gen_shape_count(&out->shape);
    float *host = gen_alloc(count, sizeof *host);
    if (!host) return gen_fail(err, GEN_NO_MEMORY, "no memory to look at a result");
    gen_status status = s->device->ops->download(s->device, host, out->data, count, err);
    for (size_t i = 0; i < count && status == GEN_OK; i++)
        if (!isfinite(host[i]))
            status = gen_fail(err, GEN_NOT_FINITE, "%s%s%s: element %zu of %zu is %f", gen_op_get(call->op)->name,
                              call->name && *call->name ? " of layer " : "", call->name ? call->name : "", i, count,
                              (double)host[i]);
    gen_free(host);
    return status;
}

static gen_status run_one(gen_session *s, const gen_call *call, gen_error *err)
{
    gen_exec *exec = NULL;
    GEN_TRY(s->device->ops->compile(s->device, call, 1, &exec, err));
    gen_status status = s->device->ops->run(exec, err);
    s->device->ops->exec_free(exec);
    for (int32_t o = 0; o < call->n_out && status == GEN_OK; o++) status = check_result(s, call, &call->out[o], err);
    return status;
}

gen_status gen_session_find_not_finite(gen_session *s, gen_run_state state, gen_error *err)
{
    s->state = state;
    for (int32_t i = 0; i < s->plan->n_steps; i++) GEN_TRY(run_one(s, &s->calls[i], err));
    return GEN_OK;
}

void gen_session_profile(gen_session *s, bool on, double *seconds)
{
    if (s->device->ops->profile) s->device->ops->profile(s->exec, on, seconds);
}

size_t gen_session_bytes(const gen_session *s)
{
    return s->bytes;
}

/* Calls with all shapes, and pointers that say only whether there is something. */
static gen_status measure(gen_session *s, gen_error *err)
{
    static char somewhere;
    const gen_plan *plan = s->plan;
    bool *whole = gen_arena_alloc(s->arena, (size_t)plan->n_nodes * sizeof *whole);
    GEN_TRY(make_tables(s, err));
    if (!whole) return gen_fail(err, GEN_NO_MEMORY, "no memory to measure a plan");
    mark_whole_uses(plan, whole);
    s->bytes = (size_t)plan->slab_count * s->device->element_bytes;
    for (int32_t id = 0; id < plan->n_nodes; id++) {
        const gen_node *node = gen_graph_node(plan->graph, id);
        void *data = plan->values[id].place == GEN_PLACE_NONE ? NULL : &somewhere;
        s->values[id] = (gen_view){ data, node->shape };
        if (is_stored_const(plan, id)) s->bytes += const_count(node, whole[id]) * s->device->element_bytes;
    }
    for (int32_t i = 0; i < plan->n_steps; i++) GEN_TRY(make_call(s, &plan->steps[i], &s->calls[i], err));
    if (s->device->ops->compile_bytes) s->bytes += s->device->ops->compile_bytes(s->device, s->calls, plan->n_steps);
    return GEN_OK;
}

gen_status gen_session_measure(const gen_plan *plan, gen_device *device, size_t *bytes, gen_error *err)
{
    gen_session s = { .plan = plan, .device = device, .arena = gen_arena_new() };
    if (!s.arena) return gen_fail(err, GEN_NO_MEMORY, "no memory to measure a plan");
    gen_status status = measure(&s, err);
    if (status == GEN_OK) *bytes = s.bytes;
    gen_arena_free(s.arena);
    return status;
}
