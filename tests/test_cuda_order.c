/* Calls in lanes: everything that must come before a call does, by lanes and waits; what need not, may run beside it. */
#include <string.h>

#include "core/rng.h"
#include "kernels/cuda/order.h"
#include "tests/test.h"

enum { MAX_CALLS = 60, MAX_VIEWS = 4, SLAB = 40 };

/* Calls that add up places of a slab of SLAB floats into other places. */
typedef struct calls {
    gen_arena *arena;
    gen_call call[MAX_CALLS];
    gen_view in[MAX_CALLS][MAX_VIEWS], out[MAX_CALLS][1];
    gen_attr attr;
    int32_t n;
    cuda_slot *slots;
} calls;

static float slab[SLAB];

static uint32_t dice(uint32_t *state, uint32_t sides)
{
    return gen_philox_block(7, (*state)++, 0, 0, 0).word[0] % sides;
}

static gen_view view(int64_t first, int64_t count)
{
    return (gen_view){ slab + first, GEN_SHAPE(count) };
}

static void open_calls(calls *c)
{
    memset(c, 0, sizeof *c);
    c->arena = gen_arena_new();
}

static gen_call *add_call(calls *c, int32_t n_in)
{
    gen_call *call = &c->call[c->n];
    *call = (gen_call){ .op = GEN_OP_CONCAT, .n_in = n_in, .n_out = 1, .in = c->in[c->n], .out = c->out[c->n] };
    call->attr = &c->attr;
    call->epilogue.act = GEN_OP_COUNT;
    c->n++;
    return call;
}

static void order(calls *c)
{
    c->slots = cuda_order_calls(c->call, c->n, c->arena);
    assert_non_null(c->slots);
}

/* Does call b surely run after call a? Along the lane before it, and along waits. */
static bool comes_after(const calls *c, int32_t b, int32_t a)
{
    bool before[MAX_CALLS] = { false };
    before[b] = true;
    for (int32_t i = b; i > a; i--) {
        if (!before[i]) continue;
        for (int32_t lane = 0; lane < CUDA_LANES; lane++)
            if (c->slots[i].wait[lane] >= 0) before[c->slots[i].wait[lane]] = true;
        int32_t last = i - 1;
        while (last >= 0 && c->slots[last].lane != c->slots[i].lane) last--;
        if (last >= 0) before[last] = true;
    }
    return before[a];
}

static bool overlap(const gen_view *x, const gen_view *y)
{
    const float *a = x->data, *b = y->data;
    return a && b && a < b + gen_shape_count(&y->shape) && b < a + gen_shape_count(&x->shape);
}

/* Does either write what the other uses? Written apart from the scheduler's own idea of it. */
static bool must_not_meet(const gen_call *a, const gen_call *b)
{
    bool meet = overlap(a->out, b->out) || overlap(a->out, &b->epilogue.bias) || overlap(b->out, &a->epilogue.bias) ||
                overlap(a->out, &b->epilogue.residual) || overlap(b->out, &a->epilogue.residual);
    for (int32_t i = 0; i < b->n_in; i++) meet |= overlap(a->out, &b->in[i]);
    for (int32_t i = 0; i < a->n_in; i++) meet |= overlap(b->out, &a->in[i]);
    return meet;
}

static void check(const calls *c)
{
    for (int32_t b = 0; b < c->n; b++) {
        assert_in_range(c->slots[b].lane, 0, CUDA_LANES - 1);
        for (int32_t lane = 0; lane < CUDA_LANES; lane++) {
            int32_t on = c->slots[b].wait[lane];
            assert_true(on < b);
            if (on >= 0) assert_true(c->slots[on].lane == lane && lane != c->slots[b].lane && c->slots[on].mark > 0);
        }
        for (int32_t a = 0; a < b; a++)
            if (must_not_meet(&c->call[a], &c->call[b]) && !comes_after(c, b, a))
                fail_msg("call %d may run before call %d is done", b, a);
    }
}

/* Memory is shared by the readers and writers of all kinds of neighbours, also in part. */
TEST(cuda_order_keeps_every_reader_and_writer_apart)
{
    uint32_t state = 0;
    int beside = 0;
    for (int turn = 0; turn < 300; turn++) {
        calls c;
        open_calls(&c);
        int32_t n = 2 + (int32_t)dice(&state, MAX_CALLS - 2), largest = 1 + (int32_t)dice(&state, 6);
        for (int32_t i = 0; i < n; i++) {
            gen_call *call = add_call(&c, (int32_t)dice(&state, MAX_VIEWS + 1));
            for (int32_t k = 0; k < call->n_in; k++)
                call->in[k] = view(dice(&state, SLAB - 6), 1 + dice(&state, (uint32_t)largest));
            call->out[0] = view(dice(&state, SLAB - 6), 1 + dice(&state, (uint32_t)largest));
            if (!dice(&state, 4)) call->epilogue.bias = view(dice(&state, SLAB), 1);
            if (!dice(&state, 4)) call->epilogue.residual = view(dice(&state, SLAB - 6), 1 + dice(&state, 6));
        }
        order(&c);
        check(&c);
        for (int32_t i = 0; i < c.n; i++) beside += c.slots[i].lane > 0;
        gen_arena_free(c.arena);
    }
    assert_true(beside > 100);
}

/* y = f(x) again and again, and beside each step a result that nobody on the way needs: as gradients in weights are. Works of the same length. */
TEST(cuda_order_puts_work_beside_a_chain)
{
    static float path[20][1 << 16], weight[20][1 << 16];
    calls c;
    int beside = 0;
    open_calls(&c);
    for (int32_t i = 0; i < 19; i++) {
        gen_call *side = add_call(&c, 1), *next = add_call(&c, 1);
        side->in[0] = next->in[0] = (gen_view){ path[i], GEN_SHAPE(1 << 16) };
        side->out[0] = (gen_view){ weight[i], GEN_SHAPE(1 << 16) };
        next->out[0] = (gen_view){ path[i + 1], GEN_SHAPE(1 << 16) };
    }
    order(&c);
    check(&c);
    for (int32_t i = 0; i < c.n; i += 2) beside += c.slots[i].lane != c.slots[i + 1].lane;
    assert_in_range(beside, 15, 19);
    gen_arena_free(c.arena);
}

/* Two nets that know nothing of each other, one written down after the other. */
TEST(cuda_order_runs_two_nets_side_by_side)
{
    static float net[2][10][1 << 16];
    calls c;
    open_calls(&c);
    for (int side = 0; side < 2; side++)
        for (int32_t i = 0; i < 9; i++) {
            gen_call *call = add_call(&c, 1);
            call->in[0] = (gen_view){ net[side][i], GEN_SHAPE(1 << 16) };
            call->out[0] = (gen_view){ net[side][i + 1], GEN_SHAPE(1 << 16) };
        }
    order(&c);
    check(&c);
    for (int32_t i = 0; i < 9; i++) {
        assert_int_equal(c.slots[i].lane, c.slots[0].lane);
        assert_int_equal(c.slots[9 + i].lane, c.slots[9].lane);
    }
    assert_int_not_equal(c.slots[0].lane, c.slots[9].lane);
    gen_arena_free(c.arena);
}

TEST(cuda_order_keeps_a_chain_in_one_lane)
{
    calls c;
    open_calls(&c);
    for (int32_t i = 0; i < 20; i++) {
        gen_call *call = add_call(&c, 1);
        call->in[0] = view(i, 1);
        call->out[0] = view(i + 1, 1);
    }
    order(&c);
    check(&c);
    for (int32_t i = 0; i < c.n; i++) {
        assert_int_equal(c.slots[i].lane, 0);
        assert_int_equal(c.slots[i].mark, 0);
    }
    gen_arena_free(c.arena);
}
