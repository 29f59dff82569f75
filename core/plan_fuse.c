/* Fusion: which nodes run together.
 *
 * 1. Epilogues: conv2d, conv2d_t, matmul, norm and gather take the bias, residual sum and activation that follow, when nobody else reads between.
 * 2. Chains: elementwise ops over one shape that feed each other become one pass over memory. Two units are merged only if no path leads from one to
 *    the other through a third: else neither could run first.
 */
#include "core/plan_parts.h"

#include <string.h>

/* Where the first element of a slice lies in what it is cut from. */
static int64_t slice_offset(const gen_node *node)
{
    const gen_shape *from = &node->in[0]->shape;
    int64_t offset = 0, step = 1;
    for (int32_t i = from->rank; i-- > 0; step *= from->dim[i]) offset += node->attr.start[i] * step;
    return offset;
}

/* A slice of what lies in one piece: every axis before the cut one has length 1, every axis behind is whole, and the order is kept. It begins where a
 * buffer could (libraries and vectors like 64 bytes). A constant may be stored as one number, so it has no pieces. */
static bool is_piece(const gen_node *node)
{
    const gen_shape *from = &node->in[0]->shape, *to = &node->shape;
    int32_t cut = 0;
    while (cut < to->rank && to->dim[cut] == 1) cut++;
    for (int32_t i = cut; i < to->rank; i++)
        if ((i > cut && to->dim[i] != from->dim[i]) || (to->dim[i] > 1 && node->attr.step[i] != 1)) return false;
    return slice_offset(node) % PLAN_ALIGN_ELEMENTS == 0 && gen_node_view_base(node->in[0])->op != GEN_OP_CONST;
}

bool gen_node_is_view(const gen_node *node)
{
    return (gen_op_get(node->op)->flags & OP_VIEW) || (node->op == GEN_OP_SLICE && is_piece(node));
}

const gen_node *gen_node_view_base(const gen_node *node)
{
    while (gen_node_is_view(node)) node = node->in[0];
    return node;
}

int64_t gen_node_view_offset(const gen_node *node)
{
    int64_t offset = 0;
    for (; gen_node_is_view(node); node = node->in[0])
        if (node->op == GEN_OP_SLICE) offset += slice_offset(node);
    return offset;
}

bool gen_node_is_fill(const gen_node *node)
{
    return node->op == GEN_OP_CONST && !node->attr.data;
}

bool plan_is_full(const gen_node *node, const gen_shape *shape)
{
    return !gen_node_is_fill(node) && gen_shape_count(&node->shape) == gen_shape_count(shape);
}

/* A broadcast is a chain of no instruction: its result is an input read with stride 0. */
static bool is_elementwise(const gen_node *node)
{
    return (gen_op_get(node->op)->flags & OP_ELEMENTWISE) || node->op == GEN_OP_BROADCAST;
}

static bool runs(const gen_node *node)
{
    return !(gen_op_get(node->op)->flags & OP_SOURCE) && !gen_node_is_view(node);
}

static int32_t unit_new(plan_build *b, unit_kind kind, int32_t n_members, const int32_t *members)
{
    plan_unit *u = &b->units[b->n_units];
    int32_t *copy = gen_arena_alloc(b->work, (size_t)n_members * sizeof *copy);
    if (!copy) return -1;
    memcpy(copy, members, (size_t)n_members * sizeof *copy);
    *u = (plan_unit){
        .kind = kind, .n_members = n_members, .members = copy, .bias = -1, .residual = -1, .act = GEN_OP_COUNT
    };
    u->max_id = copy[n_members - 1];
    for (int32_t i = 0; i < n_members; i++) b->unit_of[copy[i]] = b->n_units;
    return b->n_units++;
}

/* ---- epilogues ------------------------------------------------------------------------------------------------------ */

static bool takes_epilogue(gen_op op)
{
    return op == GEN_OP_CONV2D || op == GEN_OP_CONV2D_T || op == GEN_OP_MATMUL || op == GEN_OP_NORM ||
           op == GEN_OP_GATHER;
}

static bool is_activation(gen_op op)
{
    return op == GEN_OP_RELU || op == GEN_OP_LEAKY || op == GEN_OP_SIGMOID || op == GEN_OP_TANH;
}

/* [K], or [1,..,1,K], for a result [..,K] */
static bool is_bias_of(const gen_node *bias, const gen_shape *y)
{
    int32_t last = bias->shape.rank - 1;
    return last >= 0 && !gen_node_is_fill(bias) && y->rank >= bias->shape.rank &&
           bias->shape.dim[last] == y->dim[y->rank - 1] && gen_shape_count(&bias->shape) == bias->shape.dim[last];
}

typedef struct epilogue {
    int32_t members[4], n;
    int32_t bias, residual;
    gen_op act;
    double act_a;
} epilogue;

/* Takes node (the only reader of the result so far) into the epilogue, if it fits: y = act(y + bias + residual). */
static bool epilogue_take(epilogue *e, const gen_node *node, const gen_node *so_far)
{
    if (e->act != GEN_OP_COUNT) return false;
    if (is_activation(node->op)) {
        e->act = node->op;
        e->act_a = node->attr.a;
    } else if (node->op == GEN_OP_ADD && node->in[0] != node->in[1] && gen_shape_equal(&node->shape, &so_far->shape)) {
        const gen_node *other = node->in[node->in[0] == so_far];
        bool full = gen_shape_equal(&other->shape, &so_far->shape) && !gen_node_is_fill(other);
        if (e->bias < 0 && is_bias_of(other, &so_far->shape) && !(full && so_far->shape.rank == 1)) e->bias = other->id;
        else if (e->residual < 0 && full) e->residual = other->id;
        else return false;
    } else {
        return false;
    }
    e->members[e->n++] = node->id;
    return true;
}

static gen_status make_epilogue(plan_build *b, const gen_node *anchor)
{
    epilogue e = { .members = { anchor->id }, .n = 1, .bias = -1, .residual = -1, .act = GEN_OP_COUNT };
    const gen_node *node = anchor;
    while (e.n < 4 && b->n_users[node->id] == 1 && !b->kept[node->id]) {
        const gen_node *next = gen_graph_node(b->g, b->user[node->id]);
        if (b->unit_of[next->id] >= 0 || !epilogue_take(&e, next, node)) break;
        node = next;
    }
    int32_t u = unit_new(b, UNIT_EPILOGUE, e.n, e.members);
    if (u < 0) return gen_fail(b->err, GEN_NO_MEMORY, "no memory for the plan");
    b->units[u].bias = e.bias;
    b->units[u].residual = e.residual;
    b->units[u].act = e.act;
    b->units[u].act_a = e.act_a;
    return GEN_OK;
}

/* ---- merging ---------------------------------------------------------------------------------------------------------- */

/* Calls visit for every unit that member nodes of u read from, views followed. */
typedef struct search {
    plan_build *b;
    int32_t *seen; /* [n_units]: stamp of the last search */
    int32_t stamp;
    int32_t *stack; /* [n_units] */
} search;

static int32_t producer_unit(const plan_build *b, const gen_node *node)
{
    return b->unit_of[gen_node_view_base(node)->id];
}

static int32_t push_producers(search *s, const plan_unit *u, int32_t depth, int32_t skip_a, int32_t skip_b)
{
    for (int32_t m = 0; m < u->n_members; m++) {
        const gen_node *node = gen_graph_node(s->b->g, u->members[m]);
        for (int32_t i = 0; i < node->n_in; i++) {
            int32_t p = producer_unit(s->b, node->in[i]);
            if (p < 0 || p == skip_a || p == skip_b || s->seen[p] == s->stamp) continue;
            s->seen[p] = s->stamp;
            s->stack[depth++] = p;
        }
    }
    return depth;
}

/* Does unit `to` depend on unit `from` through some third unit? Ids do not cut the search short: a merged unit has late members, and its early ones are
 * read by units before `from`. */
static bool path_through_others(search *s, int32_t from, int32_t to)
{
    const plan_unit *units = s->b->units;
    s->stamp++;
    int32_t depth = push_producers(s, &units[to], 0, from, to);
    while (depth) {
        int32_t u = s->stack[--depth];
        const plan_unit *unit = &units[u];
        for (int32_t m = 0; m < unit->n_members; m++) {
            const gen_node *node = gen_graph_node(s->b->g, unit->members[m]);
            for (int32_t i = 0; i < node->n_in; i++)
                if (producer_unit(s->b, node->in[i]) == from) return true;
        }
        depth = push_producers(s, unit, depth, to, u);
    }
    return false;
}

static int32_t *merge_members(plan_build *b, const plan_unit *x, const plan_unit *y)
{
    int32_t *all = gen_arena_alloc(b->work, (size_t)(x->n_members + y->n_members) * sizeof *all), i = 0, j = 0, n = 0;
    if (!all) return NULL;
    while (i < x->n_members || j < y->n_members) {
        bool take_x = j == y->n_members || (i < x->n_members && x->members[i] < y->members[j]);
        all[n++] = take_x ? x->members[i++] : y->members[j++];
    }
    return all;
}

static bool is_member(const int32_t *members, int32_t n, int32_t id)
{
    for (int32_t m = 0; m < n; m++)
        if (members[m] == id) return true;
    return false;
}

/* Input slots of members that read node id. */
static int32_t uses_inside(const plan_build *b, const int32_t *members, int32_t n, int32_t id)
{
    int32_t uses = 0;
    for (int32_t m = 0; m < n; m++) {
        const gen_node *node = gen_graph_node(b->g, members[m]);
        for (int32_t i = 0; i < node->n_in; i++) uses += node->in[i]->id == id;
    }
    return uses;
}

static bool read_outside(const plan_build *b, const int32_t *members, int32_t n, int32_t id)
{
    return b->kept[id] || uses_inside(b, members, n, id) < b->n_users[id];
}

/* The distinct nodes that members read from outside, into inputs; -1 when there are more than a chain may have. */
static int32_t chain_inputs(const plan_build *b, const int32_t *members, int32_t n, int32_t inputs[GEN_CHAIN_MAX_IN])
{
    int32_t n_in = 0;
    for (int32_t m = 0; m < n; m++) {
        const gen_node *node = gen_graph_node(b->g, members[m]);
        for (int32_t i = 0; i < node->n_in; i++) {
            int32_t id = node->in[i]->id;
            if (is_member(members, n, id) || is_member(inputs, n_in, id)) continue;
            if (n_in == GEN_CHAIN_MAX_IN) return -1;
            inputs[n_in++] = id;
        }
    }
    return n_in;
}

static bool chain_fits(const plan_build *b, const int32_t *members, int32_t n)
{
    int32_t inputs[GEN_CHAIN_MAX_IN], n_out = 0;
    if (n > GEN_CHAIN_MAX_CODE || chain_inputs(b, members, n, inputs) < 0) return false;
    for (int32_t m = 0; m < n; m++) n_out += read_outside(b, members, n, members[m]);
    return n_out <= GEN_CHAIN_MAX_OUT;
}

static gen_status try_merge(search *s, int32_t u, int32_t v, bool *merged)
{
    plan_build *b = s->b;
    *merged = false;
    int32_t n = b->units[u].n_members + b->units[v].n_members;
    int32_t forward = b->units[u].forward > b->units[v].forward ? b->units[u].forward : b->units[v].forward;
    if (b->units[u].members[0] < forward || b->units[v].members[0] < forward)
        return GEN_OK; /* it would be kept, not computed again */
    if (n > GEN_CHAIN_MAX_CODE || path_through_others(s, u, v) || path_through_others(s, v, u)) return GEN_OK;
    int32_t *members = merge_members(b, &b->units[u], &b->units[v]);
    if (!members) return gen_fail(b->err, GEN_NO_MEMORY, "no memory for the plan");
    if (!chain_fits(b, members, n)) return GEN_OK;
    plan_unit *to = &b->units[u], *from = &b->units[v];
    to->members = members;
    to->n_members = n;
    to->max_id = members[n - 1];
    to->forward = forward;
    for (int32_t i = 0; i < n; i++) b->unit_of[members[i]] = u;
    from->dead = true;
    *merged = true;
    return GEN_OK;
}

/* From the last node to the first: so a cheap function of a forward result that only the backward pass reads is computed there, not kept. */
static gen_status make_chains(plan_build *b)
{
    search s = { .b = b };
    s.seen = gen_arena_alloc(b->work, (size_t)b->n * sizeof *s.seen);
    s.stack = gen_arena_alloc(b->work, (size_t)b->n * sizeof *s.stack);
    if (!s.seen || !s.stack) return gen_fail(b->err, GEN_NO_MEMORY, "no memory for the plan");
    for (int32_t id = b->n - 1; id >= 0; id--) {
        int32_t v = b->unit_of[id];
        if (v < 0 || b->units[v].kind != UNIT_CHAIN) continue;
        const gen_node *node = gen_graph_node(b->g, id);
        for (int32_t i = 0; i < node->n_in; i++) {
            int32_t u = b->unit_of[node->in[i]->id]; /* not through views: their shapes differ */
            v = b->unit_of[id];
            if (u < 0 || u == v || b->units[u].kind != UNIT_CHAIN ||
                !gen_shape_equal(&b->units[u].shape, &b->units[v].shape))
                continue;
            bool merged;
            GEN_TRY(try_merge(&s, u, v, &merged));
        }
    }
    return GEN_OK;
}

gen_status plan_make_units(plan_build *b)
{
    bool fuse = !b->request->no_fusion;
    for (int32_t id = 0; id < b->n; id++) b->unit_of[id] = -1;
    for (int32_t id = 0; id < b->n && fuse; id++)
        if (b->needed[id] && takes_epilogue(gen_graph_node(b->g, id)->op))
            GEN_TRY(make_epilogue(b, gen_graph_node(b->g, id)));
    for (int32_t id = 0; id < b->n; id++) {
        const gen_node *node = gen_graph_node(b->g, id);
        if (!b->needed[id] || !runs(node) || b->unit_of[id] >= 0 || node->op == GEN_OP_ASSIGN) continue;
        bool chain = is_elementwise(node) && (fuse || node->op == GEN_OP_BROADCAST);
        int32_t u = unit_new(b, chain ? UNIT_CHAIN : UNIT_NODE, 1, &id);
        if (u < 0) return gen_fail(b->err, GEN_NO_MEMORY, "no memory for the plan");
        b->units[u].shape = node->shape;
        b->units[u].forward = node->forward;
    }
    return fuse ? make_chains(b) : GEN_OK;
}

/* ---- code of a chain --------------------------------------------------------------------------------------------------- */

typedef struct chain_maker {
    plan_build *b;
    const plan_unit *unit;
    gen_chain *chain;
    int32_t in[GEN_CHAIN_MAX_IN], out[GEN_CHAIN_MAX_OUT];
    int16_t reg[GEN_CHAIN_MAX_CODE]; /* of each member */
} chain_maker;

static int32_t member_index(const plan_unit *unit, int32_t id)
{
    for (int32_t m = 0; m < unit->n_members; m++)
        if (unit->members[m] == id) return m;
    return -1;
}

static int16_t register_of(const chain_maker *c, int32_t id)
{
    int32_t m = member_index(c->unit, id);
    if (m >= 0) return c->reg[m];
    for (int32_t k = 0; k < c->chain->n_in; k++)
        if (c->in[k] == id) return (int16_t)k;
    return -1;
}

static void emit(chain_maker *c, int32_t m)
{
    const gen_node *node = gen_graph_node(c->b->g, c->unit->members[m]);
    if (node->op == GEN_OP_BROADCAST) {
        c->reg[m] = register_of(c, node->in[0]->id);
        return;
    }
    gen_chain_code *code = &c->chain->code[c->chain->n_code];
    *code = (gen_chain_code){ .op = node->op, .src = { -1, -1, -1 }, .a = node->attr.a, .b = node->attr.b };
    for (int32_t i = 0; i < node->n_in; i++) code->src[i] = register_of(c, node->in[i]->id);
    c->reg[m] = (int16_t)(c->chain->n_in + c->chain->n_code++);
}

gen_status plan_make_chain(plan_build *b, const plan_unit *unit, gen_plan_step *step)
{
    chain_maker c = { .b = b, .unit = unit, .chain = gen_arena_alloc(b->arena, sizeof *c.chain) };
    if (!c.chain) return gen_fail(b->err, GEN_NO_MEMORY, "no memory for the plan");
    c.chain->shape = unit->shape;
    c.chain->n_in = chain_inputs(b, unit->members, unit->n_members, c.in);
    for (int32_t m = 0; m < unit->n_members; m++) emit(&c, m);
    for (int32_t m = 0; m < unit->n_members; m++) {
        if (!read_outside(b, unit->members, unit->n_members, unit->members[m])) continue;
        c.chain->out[c.chain->n_out] = c.reg[m];
        c.out[c.chain->n_out++] = unit->members[m];
    }
    step->chain = c.chain;
    step->n_in = c.chain->n_in;
    step->n_out = c.chain->n_out;
    step->in = gen_arena_alloc(b->arena, sizeof c.in);
    step->out = gen_arena_alloc(b->arena, sizeof c.out);
    if (!step->in || !step->out) return gen_fail(b->err, GEN_NO_MEMORY, "no memory for the plan");
    memcpy(step->in, c.in, sizeof c.in);
    memcpy(step->out, c.out, sizeof c.out);
    return GEN_OK;
}
