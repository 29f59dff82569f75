/* Accesses of 16 bytes: taken where memory and shapes allow it, and nowhere else; and the emulator sees one at a crooked place. The numbers are the same. */
#define GEN_EMULATE
#include <math.h>
#include <string.h>

#include "kernels/cuda/body.h"
#include "tests/cuda_emulator.h"
#include "tests/op_run.h"
#include "tests/test.h"

typedef struct crooked_args {
    const float *x;
    float *y;
} crooked_args;

void emulated_crooked(const void *args);
GEN_KERNEL(crooked)
{
    float v[4];
    GEN_FOR_THREADS(t)
    {
        if (t > 0) continue;
        load4(v, a->x + 3);
        store4(a->y, v);
    }
}

TEST(cuda_emulator_sees_a_crooked_access_of_16_bytes)
{
    _Alignas(16) float x[8] = { 0, 1, 2, 3, 4, 5, 6, 7 }, y[4];
    const crooked_args args = { x, y };
    emulated.n_fours = emulated.n_crooked = 0;
    cuda_emulate_body(emulated_crooked, 1, &args);
    assert_int_equal(emulated.n_fours, 2);
    assert_int_equal(emulated.n_crooked, 1);
    assert_true(y[0] == 3 && y[3] == 6);
    emulated.n_crooked = 0;
}

/* ---- which calls take them -------------------------------------------------------------------------------------------------- */

static const struct row {
    op_case c;
    bool fours; /* what is read and written most can be taken by fours */
} rows[] = {
    { { .op = GEN_OP_TANH, .n_in = 1, .in = { S(64) } }, true },
    { { .op = GEN_OP_TANH, .n_in = 1, .in = { S(67) } }, true }, /* all but the last three */
    { { .op = GEN_OP_ADD, .n_in = 2, .in = { S(3, 5, 8), S(8) } }, true },
    { { .op = GEN_OP_ADD, .n_in = 2, .in = { S(2, 3, 5, 8), S(2, 1, 1, 8) } }, true },
    { { .op = GEN_OP_ADD, .n_in = 2, .in = { S(2, 3, 5, 8), S(2, 3, 1, 1) } }, true },
    { { .op = GEN_OP_ADD, .n_in = 2, .in = { S(2, 4), S(1, 3, 1, 1) } }, true },
    { { .op = GEN_OP_TRANSPOSE, .n_in = 1, .in = { S(3, 5, 8) }, .attr.perm = { 1, 0, 2 } }, true },
    { { .op = GEN_OP_TRANSPOSE, .n_in = 1, .in = { S(8, 8) }, .attr.perm = { 1, 0 } }, false },
    { { .op = GEN_OP_TRANSPOSE, .n_in = 1, .in = { S(3, 5, 6) }, .attr.perm = { 1, 0, 2 } }, false },
    { { .op = GEN_OP_SLICE,
        .n_in = 1,
        .in = { S(5, 12) },
        .attr = { .start = { 1, 4 }, .step = { 2, 1 }, .shape = S(2, 8) } },
      true },
    { { .op = GEN_OP_SLICE,
        .n_in = 1,
        .in = { S(5, 12) },
        .attr = { .start = { 1, 2 }, .step = { 2, 1 }, .shape = S(2, 8) } },
      false },
    { { .op = GEN_OP_SLICE_T,
        .n_in = 1,
        .in = { S(2, 8) },
        .attr = { .start = { 1, 4 }, .step = { 2, 1 }, .shape = S(5, 12) } },
      true },
    { { .op = GEN_OP_SLICE_T,
        .n_in = 1,
        .in = { S(2, 8) },
        .attr = { .start = { 1, 3 }, .step = { 2, 1 }, .shape = S(5, 12) } },
      false },
    { { .op = GEN_OP_PAD, .n_in = 1, .in = { S(2, 4, 5, 8) }, .attr = { .window.pad = { 1, 2, 3, 2 } } }, true },
    { { .op = GEN_OP_PAD, .n_in = 1, .in = { S(2, 4, 5, 3) }, .attr = { .window.pad = { 1, 2, 3, 2 } } }, false },
    { { .op = GEN_OP_PAD_T, .n_in = 1, .in = { S(2, 9, 9, 8) }, .attr = { .window.pad = { 1, 2, 3, 2 } } }, true },
    { { .op = GEN_OP_CONCAT, .n_in = 2, .in = { S(3, 5, 8), S(3, 5, 4) }, .attr.axis = 2 }, true },
    { { .op = GEN_OP_CONCAT, .n_in = 2, .in = { S(3, 6), S(3, 7) }, .attr.axis = 1 }, false },
    { { .op = GEN_OP_GATHER, .n_in = 2, .in = { S(7, 8), S(3, 4) } }, true },
    { { .op = GEN_OP_GATHER, .n_in = 2, .in = { S(7, 8), S(3, 4) }, .residual = true, .bias = true, .tolerance = 1e-6 },
      true },
    { { .op = GEN_OP_GATHER, .n_in = 2, .in = { S(7, 5), S(3, 4) } }, false },
    { { .op = GEN_OP_SUM_SQUARES, .n_in = 2, .in = { S(5000), S(7) }, .tolerance = 1e-6 }, true },
    { { .op = GEN_OP_NORM_STATS,
        .n_in = 1,
        .in = { S(2, 5, 5, 16) },
        .attr = { .groups = 2, .a = 1e-5 },
        .tolerance = 1e-5 },
      true },
    { { .op = GEN_OP_NORM_STATS,
        .n_in = 1,
        .in = { S(2, 5, 5, 16) },
        .attr = { .groups = 16, .a = 1e-5 },
        .tolerance = 1e-5 },
      false }, /* neighbours are of other groups */
    { { .op = GEN_OP_NORM,
        .n_in = 4,
        .in = { S(2, 5, 5, 16), S(2, 2, 16), S(16), S(16) },
        .attr.groups = 16,
        .bias = true,
        .residual = true,
        .act = GEN_OP_RELU },
      true },
    { { .op = GEN_OP_NORM, .n_in = 4, .in = { S(2, 5, 5, 6), S(2, 2, 3), S(6), S(6) }, .attr.groups = 3 }, false },
    { { .op = GEN_OP_NORM_DX,
        .n_in = 4,
        .in = { S(2, 5, 5, 16), S(2, 2, 2), S(16), S(2, 5, 5, 16) },
        .attr.groups = 2,
        .tolerance = 1e-5 },
      true },
};

enum { ROOM = 1 << 13 };

/* Numbers of a view, at a multiple of 16 bytes or one float behind it. */
static gen_view view_of(gen_arena *arena, gen_shape shape, bool straight, const double *values)
{
    float *at = (float *)gen_arena_alloc(arena, (ROOM + 1) * sizeof(float)) + !straight;
    const int64_t n = gen_shape_count(&shape);
    assert_in_range(n, 1, ROOM);
    assert_int_equal((uintptr_t)at % 16, straight ? 0 : 4);
    for (int64_t i = 0; i < n && values; i++) at[i] = (float)values[i];
    return (gen_view){ at, shape };
}

/* Runs the case and says how many accesses of 16 bytes it took. */
static int64_t run_case(gen_arena *arena, const op_case *c, bool straight, gen_view *out)
{
    static double values[ROOM];
    gen_view in[CASE_MAX_IN];
    *out = view_of(arena, op_inferred_shape(c), straight, NULL);
    gen_call call = { .op = c->op, .n_in = c->n_in, .n_out = 1, .in = in, .out = out, .attr = &c->attr, .name = "row" };
    call.epilogue.act = c->act ? c->act : GEN_OP_COUNT;
    for (int32_t i = 0; i < c->n_in; i++) {
        op_random(op_domain_of(c, i), (uint32_t)i, values, gen_shape_count(&c->in[i]));
        in[i] = view_of(arena, c->in[i], straight, values);
    }
    if (c->bias) call.epilogue.bias = view_of(arena, GEN_SHAPE(out->shape.dim[out->shape.rank - 1]), straight, values);
    if (c->residual) call.epilogue.residual = view_of(arena, out->shape, straight, values);
    emulated.n_fours = 0;
    cuda_emulated_kernel.run(&call, NULL);
    return emulated.n_fours;
}

TEST(cuda_kernels_take_fours_where_these_lie_straight)
{
    int by_fours = 0;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const op_case *c = &rows[r].c;
        gen_arena *arena = gen_arena_new();
        gen_view straight, crooked;
        const int64_t fours = run_case(arena, c, true, &straight), none = run_case(arena, c, false, &crooked);
        const int64_t n = gen_shape_count(&straight.shape);
        if (rows[r].fours ? fours < n / 4 / 2 || fours < 1 : fours > n / 4)
            fail_msg("%s: %lld accesses of 16 bytes for %lld results", op_case_text(c), (long long)fours, (long long)n);
        if (none) fail_msg("%s: %lld accesses of 16 bytes in crooked memory", op_case_text(c), (long long)none);
        for (int64_t i = 0; i < n; i++) {
            const double x = (double)((float *)straight.data)[i], y = (double)((float *)crooked.data)[i];
            if (!(fabs(x - y) <= c->tolerance * (1 + fabs(y))))
                fail_msg("%s: result %lld is %g by fours, %g by ones", op_case_text(c), (long long)i, x, y);
        }
        by_fours += rows[r].fours;
        gen_arena_free(arena);
    }
    test_note("cuda: %d kinds of calls in accesses of 16 bytes, %d that must not be", by_fours,
              (int)(sizeof rows / sizeof *rows) - by_fours);
}
