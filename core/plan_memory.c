/* Memory of a plan: when each value is alive, which values share a buffer (views, in-place results), and offsets in one slab such that buffers alive at
 * the same step never overlap. Offsets by greedy best fit, the largest buffer first; or the longest lived or the earliest first, where that takes less. */
#include <stdlib.h>
#include <string.h>

#include "core/plan_parts.h"

typedef struct buffer {
    int64_t count, offset;
    int32_t first, last; /* steps, both included */
    bool used;
} buffer;

typedef struct memory {
    plan_build *b;
    gen_plan *plan;
    buffer *buffers;    /* one for each base node that lives in the slab, by node id */
    int32_t *buffer_of; /* [n]: node id of the buffer that holds the node's numbers; -1: none */
} memory;

static int32_t buffer_of(const memory *m, int32_t id)
{
    return m->buffer_of[gen_node_view_base(gen_graph_node(m->b->g, id))->id];
}

static int64_t round_up(int64_t count)
{
    return (count + PLAN_ALIGN_ELEMENTS - 1) / PLAN_ALIGN_ELEMENTS * PLAN_ALIGN_ELEMENTS;
}

static void start_buffer(memory *m, int32_t id, int32_t first)
{
    m->buffer_of[id] = id;
    m->buffers[id] = (buffer){ .count = round_up(gen_shape_count(&gen_graph_node(m->b->g, id)->shape)),
                               .first = first,
                               .last = first,
                               .used = true };
}

static void touch(memory *m, int32_t id, int32_t step)
{
    int32_t at = id < 0 ? -1 : buffer_of(m, id);
    if (at >= 0 && m->buffers[at].last < step) m->buffers[at].last = step;
}

static void touch_inputs(memory *m, const gen_plan_step *step, int32_t s)
{
    for (int32_t i = 0; i < step->n_in; i++) touch(m, step->in[i], s);
    touch(m, step->bias, s);
    touch(m, step->residual, s);
}

/* First pass: one buffer for each result and fed input; last uses. */
static void find_lifetimes(memory *m)
{
    gen_plan *plan = m->plan;
    for (int32_t id = 0; id < m->b->n; id++) {
        m->buffer_of[id] = -1;
        if (!m->b->needed[id] || gen_graph_node(m->b->g, id)->op != GEN_OP_INPUT) continue;
        start_buffer(m, id, -1);
        m->buffers[id].last = plan->n_steps; /* what was fed stays, so a run can be repeated */
    }
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const gen_plan_step *step = &plan->steps[s];
        for (int32_t o = 0; o < step->n_out; o++)
            if (plan->values[step->out[o]].place == GEN_PLACE_NONE) start_buffer(m, step->out[o], s);
        touch_inputs(m, step, s);
    }
    for (int32_t i = 0; i < plan->n_outputs; i++) touch(m, plan->outputs[i], plan->n_steps);
}

static bool is_elementwise_step(const gen_plan_step *step)
{
    return step->op == GEN_OP_CHAIN || (gen_op_get(step->op)->flags & OP_ELEMENTWISE);
}

/* Does every input of the step that lies in the buffer lie there as the result would: whole, from the start, element by element? */
static bool all_in_step(const memory *m, const gen_plan_step *step, int32_t at, const gen_shape *shape)
{
    for (int32_t i = 0; i <= step->n_in; i++) {
        const int32_t id = i < step->n_in ? step->in[i] : step->residual;
        const gen_node *in = id < 0 ? NULL : gen_graph_node(m->b->g, id);
        if (in && buffer_of(m, id) == at && (!plan_is_full(in, shape) || gen_node_view_offset(in))) return false;
    }
    return true;
}

/* What lies in buffer `out` lies from now on in `at`. */
static void join_buffers(memory *m, int32_t at, int32_t out)
{
    buffer *a = &m->buffers[at], *o = &m->buffers[out];
    if (a->last < o->last) a->last = o->last;
    if (a->count < o->count) a->count = o->count;
    o->used = false;
    for (int32_t id = out; id < m->b->n; id++)
        if (m->buffer_of[id] == out) m->buffer_of[id] = at;
}

/* Does the result of the step take over the buffer of its input `in`, which dies there and has as many elements? */
static bool take_over(memory *m, const gen_plan_step *step, int32_t s, int32_t in, int32_t out)
{
    const gen_shape *shape = &gen_graph_node(m->b->g, out)->shape;
    const int32_t at = in < 0 ? -1 : buffer_of(m, in);
    if (at < 0 || m->buffers[at].last != s || m->buffers[at].first >= s) return false;
    if (m->buffers[at].count != m->buffers[out].count || !all_in_step(m, step, at, shape)) return false;
    join_buffers(m, at, out);
    return true;
}

/* Second pass: results of elementwise steps, and of gathers that add something. */
static void share_in_place(memory *m)
{
    gen_plan *plan = m->plan;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const gen_plan_step *step = &plan->steps[s];
        for (int32_t o = 0; o < step->n_out; o++) {
            const int32_t out = step->out[o];
            if (m->buffer_of[out] != out) continue;
            if (step->op == GEN_OP_GATHER) take_over(m, step, s, step->residual, out);
            for (int32_t i = 0, taken = 0; is_elementwise_step(step) && i < step->n_in && !taken; i++)
                taken = take_over(m, step, s, step->in[i], out);
        }
    }
}

/* Do any other inputs of the step lie in the buffer? */
static bool others_lie_in(const memory *m, const gen_plan_step *step, int32_t at)
{
    for (int32_t i = 1; i < step->n_in; i++)
        if (buffer_of(m, step->in[i]) == at) return true;
    return false;
}

/* Does anything after step s still read what begins before `end` in the buffer? */
static bool is_read_later(const memory *m, int32_t s, int32_t at, int64_t end)
{
#define READS(id) ((id) >= 0 && buffer_of(m, id) == at && gen_node_view_offset(gen_graph_node(m->b->g, id)) < end)
    const gen_plan *plan = m->plan;
    for (int32_t later = s + 1; later < plan->n_steps; later++) {
        const gen_plan_step *step = &plan->steps[later];
        for (int32_t i = 0; i < step->n_in; i++)
            if (READS(step->in[i])) return true;
        if (READS(step->bias) || READS(step->residual)) return true;
    }
    for (int32_t i = 0; i < plan->n_outputs; i++)
        if (READS(plan->outputs[i])) return true;
    return false;
#undef READS
}

/* Third pass: what an lstm makes of its gates' inputs lies in their place, and the gradients before the gates in the gates' (core/graph.h: all three are
 * [T,N,4,H] from the start of their buffer on, and kernels read a unit's four before they write them). The states behind the gates stay. */
static void share_gates(memory *m)
{
    for (int32_t s = 0; s < m->plan->n_steps; s++) {
        const gen_plan_step *step = &m->plan->steps[s];
        if (step->op != GEN_OP_LSTM && step->op != GEN_OP_LSTM_DX) continue;
        const int32_t out = step->out[0], at = buffer_of(m, step->in[0]);
        if (at < 0 || m->buffer_of[out] != out || m->buffers[at].first >= s) continue;
        if (m->buffers[at].first < 0) continue; /* fed: it stays */
        if (gen_node_view_offset(gen_graph_node(m->b->g, step->in[0])) || others_lie_in(m, step, at)) continue;
        if (!is_read_later(m, s, at, m->buffers[out].count)) join_buffers(m, at, out);
    }
}

/* ---- offsets ----------------------------------------------------------------------------------------------------------- */

typedef struct slot {
    double key; /* the largest comes first */
    int32_t id;
} slot;

static int larger_first(const void *x, const void *y)
{
    const slot *a = x, *b = y;
    if (a->key != b->key) return a->key < b->key ? 1 : -1;
    return a->id < b->id ? -1 : a->id > b->id;
}

typedef enum packing { BY_SIZE, BY_SIZE_AND_TIME, BY_START, N_PACKINGS } packing;

static double key_of(const buffer *x, packing by)
{
    double size = (double)x->count;
    return by == BY_SIZE ? size : by == BY_SIZE_AND_TIME ? size * (x->last - x->first + 1) : -(double)x->first;
}

static bool together(const buffer *a, const buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The smallest gap between placed buffers (sorted by offset) that are alive together with x; after the last one if no gap fits. */
static int64_t find_offset(const memory *m, const int32_t *placed, int32_t n, const buffer *x)
{
    int64_t end = 0, best = -1, best_gap = INT64_MAX;
    for (int32_t i = 0; i < n; i++) {
        const buffer *p = &m->buffers[placed[i]];
        if (!together(p, x)) continue;
        int64_t gap = p->offset - end;
        if (gap >= x->count && gap < best_gap) {
            best = end;
            best_gap = gap;
        }
        if (p->offset + p->count > end) end = p->offset + p->count;
    }
    return best >= 0 ? best : end;
}

static gen_status measure_live(memory *m)
{
    int64_t *live = gen_arena_alloc(m->b->work, (size_t)(m->plan->n_steps + 3) * sizeof *live), now = 0;
    if (!live) return gen_fail(m->b->err, GEN_NO_MEMORY, "no memory for the plan");
    for (int32_t id = 0; id < m->b->n; id++) {
        const buffer *x = &m->buffers[id];
        if (!x->used) continue;
        live[x->first + 1] += x->count;
        live[x->last + 2] -= x->count;
    }
    for (int32_t s = 0; s < m->plan->n_steps + 2; s++) {
        now += live[s];
        if (now > m->plan->live_count) m->plan->live_count = now;
    }
    return GEN_OK;
}

/* Offsets of all buffers; the elements that they take together. */
static int64_t pack(memory *m, packing by, slot *order, int32_t *placed)
{
    int32_t n = 0;
    int64_t total = 0;
    for (int32_t id = 0; id < m->b->n; id++)
        if (m->buffers[id].used) order[n++] = (slot){ key_of(&m->buffers[id], by), id };
    qsort(order, (size_t)n, sizeof *order, larger_first);
    for (int32_t i = 0; i < n; i++) {
        buffer *x = &m->buffers[order[i].id];
        x->offset = find_offset(m, placed, i, x);
        int32_t k = i; /* insert, sorted by offset */
        for (; k > 0 && m->buffers[placed[k - 1]].offset > x->offset; k--) placed[k] = placed[k - 1];
        placed[k] = order[i].id;
        if (x->offset + x->count > total) total = x->offset + x->count;
    }
    return total;
}

/* Other orders are tried only where the usual one wastes something. */
static gen_status give_offsets(memory *m)
{
    plan_build *b = m->b;
    slot *order = gen_arena_alloc(b->work, (size_t)b->n * sizeof *order);
    int32_t *placed = gen_arena_alloc(b->work, (size_t)b->n * sizeof *placed);
    if (!order || !placed) return gen_fail(b->err, GEN_NO_MEMORY, "no memory for the plan");
    packing best = BY_SIZE, last = BY_SIZE;
    m->plan->slab_count = pack(m, BY_SIZE, order, placed);
    for (packing by = BY_SIZE + 1; by < N_PACKINGS && m->plan->slab_count > m->plan->live_count; by++) {
        int64_t count = pack(m, by, order, placed);
        last = by;
        if (count >= m->plan->slab_count) continue;
        best = by;
        m->plan->slab_count = count;
    }
    if (last != best) pack(m, best, order, placed);
    return GEN_OK;
}

static void write_values(memory *m)
{
    for (int32_t id = 0; id < m->b->n; id++) {
        if (!m->b->needed[id]) continue;
        const gen_node *base = gen_node_view_base(gen_graph_node(m->b->g, id));
        gen_value *v = &m->plan->values[id];
        int32_t at = m->buffer_of[base->id];
        if (v->place != GEN_PLACE_NONE) continue;
        int64_t offset = gen_node_view_offset(gen_graph_node(m->b->g, id));
        if (base->op == GEN_OP_PARAM)
            *v = (gen_value){ .place = GEN_PLACE_PARAM, .offset = offset, .param = base->id, .buffer = -1 };
        else if (base->op == GEN_OP_CONST) *v = (gen_value){ .place = GEN_PLACE_CONST, .buffer = -1 };
        else if (at >= 0)
            *v = (gen_value){ .place = GEN_PLACE_SLAB,
                              .offset = m->buffers[at].offset + offset,
                              .buffer = at,
                              .first = m->buffers[at].first,
                              .last = m->buffers[at].last };
        else if (m->plan->values[base->id].place == GEN_PLACE_PARAM) { /* a view of a value written in place */
            *v = m->plan->values[base->id];
            v->offset = offset;
        }
    }
}

gen_status plan_place_values(plan_build *b)
{
    memory m = { .b = b, .plan = b->plan };
    m.buffers = gen_arena_alloc(b->work, (size_t)b->n * sizeof *m.buffers);
    m.buffer_of = gen_arena_alloc(b->work, (size_t)b->n * sizeof *m.buffer_of);
    if (!m.buffers || !m.buffer_of) return gen_fail(b->err, GEN_NO_MEMORY, "no memory for the plan");
    find_lifetimes(&m);
    share_in_place(&m);
    share_gates(&m);
    GEN_TRY(measure_live(&m));
    GEN_TRY(give_offsets(&m));
    write_values(&m);
    return GEN_OK;
}
