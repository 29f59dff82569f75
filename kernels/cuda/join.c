/* Within a stretch of elementwise calls each one is put off until something needs it: then its group, which is all calls of equal code that were put off, goes
 * out as one call. Whoever comes in between has been found to touch nothing of it. */
#include "kernels/cuda/join.h"

#include <string.h>

/* Calls put off, of equal code. */
typedef struct group {
    const gen_chain *chain;
    int32_t first, last, n; /* members: a list through joiner.next */
} group;

typedef struct joiner {
    const gen_call *calls;
    gen_arena *arena;
    int32_t *next; /* [n_calls]: of each member the one behind it; -1: the last */
    group *groups; /* [n_calls]: those that wait, in the order of their first members */
    int32_t n_groups;
    gen_call *out; /* what was put out so far */
    int32_t n_out;
    bool no_memory;
} joiner;

/* ---- what may be joined ----------------------------------------------------------------------------------------------------- */

static bool is_elementwise(const gen_call *c)
{
    return c->op == GEN_OP_CHAIN || gen_op_get(c->op)->flags & OP_ELEMENTWISE;
}

/* Inputs are of the full shape or single numbers: where an element lies then says its number alone. */
static bool can_join(const gen_call *c)
{
    const int64_t n = gen_shape_count(&c->out[0].shape);
    for (int32_t i = 0; i < c->n_in; i++) {
        const int64_t count = gen_shape_count(&c->in[i].shape);
        if (count != n && count != 1) return false;
    }
    return c->n_in > 0;
}

/* An op alone is a chain of one instruction. */
static const gen_chain *chain_of(joiner *j, const gen_call *c)
{
    if (c->op == GEN_OP_CHAIN) return c->chain;
    gen_chain *chain = gen_arena_alloc(j->arena, sizeof *chain);
    if (!chain) return j->no_memory = true, NULL;
    *chain = (gen_chain){ .shape = c->out[0].shape, .n_in = c->n_in, .n_out = 1, .n_code = 1 };
    chain->out[0] = (int16_t)c->n_in;
    chain->code[0] = (gen_chain_code){ .op = c->op, .src = { -1, -1, -1 }, .a = c->attr->a, .b = c->attr->b };
    for (int16_t i = 0; i < c->n_in; i++) chain->code[0].src[i] = i;
    return chain;
}

static bool same_number(double a, double b)
{
    return !memcmp(&a, &b, sizeof a);
}

static bool same_instruction(const gen_chain_code *a, const gen_chain_code *b)
{
    return a->op == b->op && !memcmp(a->src, b->src, sizeof a->src) && same_number(a->a, b->a) &&
           same_number(a->b, b->b);
}

static bool same_code(const gen_chain *a, const gen_chain *b)
{
    if (a->n_in != b->n_in || a->n_out != b->n_out || a->n_code != b->n_code) return false;
    for (int32_t i = 0; i < a->n_out; i++)
        if (a->out[i] != b->out[i]) return false;
    for (int32_t i = 0; i < a->n_code; i++)
        if (!same_instruction(&a->code[i], &b->code[i])) return false;
    return true;
}

static bool overlap(const gen_view *a, const gen_view *b)
{
    const uintptr_t x = (uintptr_t)a->data, y = (uintptr_t)b->data;
    return x < y + (uintptr_t)gen_shape_count(&b->shape) * sizeof(float) &&
           y < x + (uintptr_t)gen_shape_count(&a->shape) * sizeof(float);
}

/* Does one write what the other reads or writes? */
static bool in_conflict(const gen_call *a, const gen_call *b)
{
    for (int32_t i = 0; i < a->n_out; i++) {
        for (int32_t k = 0; k < b->n_out; k++)
            if (overlap(&a->out[i], &b->out[k])) return true;
        for (int32_t k = 0; k < b->n_in; k++)
            if (overlap(&a->out[i], &b->in[k])) return true;
    }
    for (int32_t i = 0; i < b->n_out; i++)
        for (int32_t k = 0; k < a->n_in; k++)
            if (overlap(&b->out[i], &a->in[k])) return true;
    return false;
}

/* ---- groups ----------------------------------------------------------------------------------------------------------------- */

static void put_out(joiner *j, const group *g)
{
    const gen_call *first = &j->calls[g->first];
    gen_call *call = &j->out[j->n_out++];
    *call = *first;
    if (g->n == 1) return;
    call->op = GEN_OP_CHAIN;
    call->chain = g->chain;
    call->in = gen_arena_alloc(j->arena, (size_t)(g->n * first->n_in) * sizeof *call->in);
    call->out = gen_arena_alloc(j->arena, (size_t)(g->n * first->n_out) * sizeof *call->out);
    call->n_in = call->n_out = 0;
    if (!call->in || !call->out) {
        j->no_memory = true;
        return;
    }
    for (int32_t i = g->first; i >= 0; i = j->next[i]) {
        memcpy(call->in + call->n_in, j->calls[i].in, (size_t)first->n_in * sizeof *call->in);
        memcpy(call->out + call->n_out, j->calls[i].out, (size_t)first->n_out * sizeof *call->out);
        call->n_in += first->n_in;
        call->n_out += first->n_out;
    }
}

static void put_out_all(joiner *j)
{
    for (int32_t i = 0; i < j->n_groups; i++) put_out(j, &j->groups[i]);
    j->n_groups = 0;
}

static bool touches(const joiner *j, const group *g, const gen_call *c)
{
    for (int32_t i = g->first; i >= 0; i = j->next[i])
        if (in_conflict(&j->calls[i], c)) return true;
    return false;
}

/* Groups that the call must come after go out: they know nothing of each other, so their order is free. */
static void make_way(joiner *j, const gen_call *c)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < j->n_groups; i++) {
        if (touches(j, &j->groups[i], c)) put_out(j, &j->groups[i]);
        else j->groups[kept++] = j->groups[i];
    }
    j->n_groups = kept;
}

static void put_off(joiner *j, int32_t call)
{
    const gen_call *c = &j->calls[call];
    const gen_chain *chain = can_join(c) ? chain_of(j, c) : NULL;
    make_way(j, c);
    j->next[call] = -1;
    for (int32_t i = 0; i < j->n_groups && chain; i++) {
        group *g = &j->groups[i];
        if (!g->chain || !same_code(g->chain, chain)) continue;
        j->next[g->last] = call;
        g->last = call;
        g->n++;
        return;
    }
    j->groups[j->n_groups++] = (group){ chain, call, call, 1 };
}

/* ---- padding ---------------------------------------------------------------------------------------------------------------- */

static bool any_overlap(const gen_view *views, int32_t n, const gen_view *with)
{
    for (int32_t i = 0; i < n; i++)
        if (views[i].data && overlap(&views[i], with)) return true;
    return false;
}

static bool pads_outwards(const gen_call *c)
{
    const int32_t *pad = c->attr->window.pad;
    return pad[0] >= 0 && pad[1] >= 0 && pad[2] >= 0 && pad[3] >= 0;
}

/* A norm, and the padding of its result, which is written while what the norm reads is still being read. */
static bool can_pad_norm(const gen_call *norm, const gen_call *pad)
{
    return norm->op == GEN_OP_NORM && pad->op == GEN_OP_PAD && norm->out[0].data == pad->in[0].data &&
           gen_shape_equal(&norm->out[0].shape, &pad->in[0].shape) && pads_outwards(pad) &&
           !any_overlap(norm->in, norm->n_in, &pad->out[0]) && !any_overlap(&norm->epilogue.bias, 1, &pad->out[0]) &&
           !any_overlap(&norm->epilogue.residual, 1, &pad->out[0]) && !any_overlap(norm->in, norm->n_in, &norm->out[0]);
}

static void pad_norm(joiner *j, const gen_call *norm, const gen_call *pad)
{
    gen_call *call = &j->out[j->n_out++];
    gen_attr *attr = gen_arena_alloc(j->arena, sizeof *attr);
    *call = *norm;
    call->out = gen_arena_alloc(j->arena, 2 * sizeof *call->out);
    if (!attr || !call->out) {
        j->no_memory = true;
        return;
    }
    *attr = *norm->attr;
    attr->mode = pad->attr->mode;
    attr->window = pad->attr->window;
    call->attr = attr;
    call->n_out = 2;
    call->out[0] = norm->out[0];
    call->out[1] = pad->out[0];
    if (norm->passing) call->out[0].data = NULL;
}

/* The adjoint of padding, and elementwise work on its result, which reads it once; nothing that is written lies where the padded one does. */
static bool can_follow_pad_t(const gen_call *pad, const gen_call *c)
{
    int32_t reads = 0;
    if (pad->op != GEN_OP_PAD_T || !is_elementwise(c)) return false;
    for (int32_t i = 0; i < c->n_in; i++) {
        const bool same = c->in[i].data == pad->out[0].data;
        if (same && gen_shape_count(&c->in[i].shape) != gen_shape_count(&pad->out[0].shape)) return false;
        reads += same;
    }
    return reads == 1 && gen_shape_count(&c->out[0].shape) == gen_shape_count(&pad->out[0].shape) &&
           !any_overlap(c->out, c->n_out, &pad->in[0]) && !any_overlap(c->in, c->n_in, &pad->in[0]) &&
           !overlap(&pad->in[0], &pad->out[0]);
}

/* in[0]: padded; in[1] …: the chain's, of which the one that is computed has no data; out[0]: what that is, where anybody else wants it; out[1] …: the
 * chain's. */
static void follow_pad_t(joiner *j, const gen_call *pad, const gen_call *c)
{
    gen_call *call = &j->out[j->n_out++];
    const gen_chain *chain = chain_of(j, c);
    *call = *pad;
    call->chain = chain;
    call->in = gen_arena_alloc(j->arena, (size_t)(c->n_in + 1) * sizeof *call->in);
    call->out = gen_arena_alloc(j->arena, (size_t)(c->n_out + 1) * sizeof *call->out);
    if (!chain || !call->in || !call->out) {
        j->no_memory = true;
        return;
    }
    call->in[0] = pad->in[0];
    call->out[0] = pad->out[0];
    memcpy(call->in + 1, c->in, (size_t)c->n_in * sizeof *call->in);
    memcpy(call->out + 1, c->out, (size_t)c->n_out * sizeof *call->out);
    call->n_in = c->n_in + 1;
    call->n_out = c->n_out + 1;
    for (int32_t i = 1; i <= c->n_in; i++)
        if (call->in[i].data == pad->out[0].data) call->in[i].data = NULL;
    if (pad->passing || any_overlap(c->out, c->n_out, &pad->out[0])) call->out[0].data = NULL; /* written over */
}

/* Two calls as one, where they can be. */
static bool join_padding(joiner *j, const gen_call *first, const gen_call *second)
{
    if (can_pad_norm(first, second)) pad_norm(j, first, second);
    else if (can_follow_pad_t(first, second)) follow_pad_t(j, first, second);
    else return false;
    return true;
}

const gen_call *cuda_join_calls(const gen_call *calls, int32_t *n, gen_arena *arena)
{
    joiner j = { .calls = calls, .arena = arena };
    j.next = gen_arena_alloc(arena, (size_t)*n * sizeof *j.next);
    j.groups = gen_arena_alloc(arena, (size_t)*n * sizeof *j.groups);
    j.out = gen_arena_alloc(arena, (size_t)*n * sizeof *j.out);
    if (!j.next || !j.groups || !j.out) return NULL;
    for (int32_t i = 0; i < *n; i++) {
        if (is_elementwise(&calls[i])) {
            put_off(&j, i);
            continue;
        }
        put_out_all(&j);
        if (i + 1 < *n && join_padding(&j, &calls[i], &calls[i + 1])) i++;
        else j.out[j.n_out++] = calls[i];
    }
    put_out_all(&j);
    *n = j.n_out;
    return j.no_memory ? NULL : j.out;
}
