/* The ladder: for each op the reference, then the bodies of vec_list.h for each instruction set, better ones later. */
#include "kernels/cpu/kernel.h"

/* ---- rung 0: the reference, for every op that computes something ---- */

#define ROW_OP_SOURCE(id, name)
#define ROW_OP_VIEW(id, name)
#define ROW_0(id, name) ROW(id, name)
#define ROW_OP_SINK(id, name) ROW(id, name)
#define ROW_OP_ELEMENTWISE(id, name) ROW(id, name)
#define ROW_OP_RANDOM(id, name) ROW(id, name)
#define ROW_OP_PLAN(id, name) ROW(id, name)
#define OP(id, name, n_in, infer, grad, flags, dtype, computes) ROW_##flags(id, name)

#define ROW(id, name) extern const cpu_kernel cpu_ref_##name, cpu_ref64_##name;
#include "core/op_list.h"
#undef ROW

static const cpu_kernel *const refs[GEN_OP_COUNT] = {
#define ROW(id, name) [GEN_OP_##id] = &cpu_ref_##name,
#include "core/op_list.h"
#undef ROW
};

static const cpu_kernel *const refs64[GEN_OP_COUNT] = {
#define ROW(id, name) [GEN_OP_##id] = &cpu_ref64_##name,
#include "core/op_list.h"
#undef ROW
};

/* ---- the rungs above: the build defines GEN_CPU_VEC where it compiled them ---- */

typedef struct vec_row {
    gen_op op;
    const cpu_kernel *body[CPU_ISA_COUNT];
} vec_row;

#ifdef GEN_CPU_VEC
#define CPU_VEC(id, symbol) extern const cpu_kernel cpu_##symbol##_base, cpu_##symbol##_avx2, cpu_##symbol##_avx512;
#include "kernels/cpu/vec_list.h"
#undef CPU_VEC
#endif

/* The bodies of bf16/, and those of vec/ that know its words (words.h). */
// clang-format off
#define BF16(X) X(MATMUL, matmul_packed) X(CONV2D, conv2d_direct) X(CONV2D_T, conv2d_t_direct) X(CONV2D_W, conv2d_w_pairs) \
    X(LSTM, lstm) X(LSTM_DX, lstm_dx) X(GRU, gru) X(GRU_DX, gru_dx)
// clang-format on

#ifdef GEN_CPU_BF16
#define X(id, symbol) extern const cpu_kernel cpu_##symbol##_avx512_bf16;
BF16(X)
#undef X
#endif

static const vec_row vec_rows[] = {
#ifdef GEN_CPU_VEC
#define CPU_VEC(id, symbol)                                                                                            \
    { GEN_OP_##id, { NULL, &cpu_##symbol##_base, &cpu_##symbol##_avx2, &cpu_##symbol##_avx512, NULL } },
#include "kernels/cpu/vec_list.h"
#undef CPU_VEC
#endif
#ifdef GEN_CPU_BF16
#define X(id, symbol) { GEN_OP_##id, { [CPU_AVX512_BF16] = &cpu_##symbol##_avx512_bf16 } },
    BF16(X)
#undef X
#endif
        { GEN_OP_COUNT, { NULL } },
};

enum {
    N_ROWS = sizeof vec_rows / sizeof *vec_rows
}; /* with the last one, which only keeps the array from being empty */

int32_t cpu_kernel_rungs(gen_op op, cpu_isa isa, const cpu_kernel **rungs, int32_t max_rungs)
{
    int32_t n = 0;
    if (refs[op] && n < max_rungs) rungs[n++] = refs[op];
    for (cpu_isa level = CPU_BASE; level <= isa && level < CPU_ISA_COUNT; level++)
        for (size_t i = 0; i < N_ROWS; i++)
            if (vec_rows[i].op == op && vec_rows[i].body[level] && n < max_rungs) rungs[n++] = vec_rows[i].body[level];
    return n;
}

/* ---- ways ---- */

#define WAYS(X) X(conv2d_direct) X(conv2d_t_direct) X(conv2d_winograd) X(conv2d_w_winograd)

typedef struct ways_row {
    const cpu_kernel *kernel;
    int32_t (*ways)(const gen_call *call);
} ways_row;

#ifdef GEN_CPU_VEC
#define X(symbol)                                                                                                      \
    int32_t cpu_##symbol##_ways_base(const gen_call *call), cpu_##symbol##_ways_avx2(const gen_call *call),            \
        cpu_##symbol##_ways_avx512(const gen_call *call);
WAYS(X)
#undef X
#endif

#ifdef GEN_CPU_BF16
#define WAYS_BF16(X) X(conv2d_direct) X(conv2d_t_direct) X(conv2d_w_pairs)
#define X(symbol) int32_t cpu_##symbol##_ways_avx512_bf16(const gen_call *call);
WAYS_BF16(X)
#undef X
#endif

static const ways_row ways_rows[] = {
#ifdef GEN_CPU_VEC
#define X(symbol)                                                                                                      \
    { &cpu_##symbol##_base, cpu_##symbol##_ways_base }, { &cpu_##symbol##_avx2, cpu_##symbol##_ways_avx2 },            \
        { &cpu_##symbol##_avx512, cpu_##symbol##_ways_avx512 },
    WAYS(X)
#undef X
#endif
#ifdef GEN_CPU_BF16
#define X(symbol) { &cpu_##symbol##_avx512_bf16, cpu_##symbol##_ways_avx512_bf16 },
        WAYS_BF16(X)
#undef X
#endif
            { NULL, NULL },
};

int32_t cpu_kernel_ways(const cpu_kernel *kernel, const gen_call *call)
{
    for (const ways_row *row = ways_rows; row->kernel; row++)
        if (row->kernel == kernel) return row->ways(call);
    return !kernel->fits || kernel->fits(call);
}

/* ---- the best ---- */

static bool accepts(const cpu_kernel *kernel, const gen_call *call)
{
    return kernel && (!kernel->fits || kernel->fits(call));
}

const cpu_kernel *cpu_kernel_find(const gen_call *call, cpu_isa isa)
{
    for (cpu_isa level = isa; level >= CPU_BASE; level--)
        for (size_t i = N_ROWS; i-- > 0;)
            if (vec_rows[i].op == call->op && accepts(vec_rows[i].body[level], call)) return vec_rows[i].body[level];
    return refs[call->op];
}

const cpu_kernel *cpu_kernel_ref64(gen_op op)
{
    return refs64[op];
}

/* ---- cutting a call in parts ---- */

enum { MAX_PARTS = 256 };

int32_t cpu_parts_for(int64_t count, int64_t unit)
{
    int64_t parts = (count + unit - 1) / unit;
    return parts < 1 ? 1 : parts > MAX_PARTS ? MAX_PARTS : (int32_t)parts;
}

void cpu_part_range(const cpu_job *job, int64_t count, int64_t grain, int64_t *begin, int64_t *end)
{
    int64_t grains = (count + grain - 1) / grain;
    *begin = grains * job->part / job->parts * grain;
    *end = job->part + 1 == job->parts ? count : grains * (job->part + 1) / job->parts * grain;
}
