/* kernels/cpu/vec/elementwise.c: chains of elementwise ops, and single ops as chains of one instruction.
 *
 *     for each element i of the iteration shape: r[n_in + j] = op_j(r[src0], r[src1], r[src2]);   out_k[i] = r[out[k]]
 *
 * A part runs its elements in blocks of BLOCK: each instruction is one vector loop over the block, and all blocks in flight fit in L1. A register
 * is one of: the memory of a full input, in place; a block that holds an input repeated (a scalar, a row of channels), filled once per part when
 * the row divides the block; the memory of an output; a scratch block, shared between registers that do not live at the same time.
 *
 * Invariants: blocks in memory are whole (n == BLOCK); the tail of the iteration runs in scratch blocks only, so that vector loops need no masks.
 * An output goes straight to its memory only if no input that is read later lives there (in-place calls).
 */
#include <stdbool.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/vec_math.h"

enum {
    BLOCK = 512,
    MAX_REG = GEN_CHAIN_MAX_IN + GEN_CHAIN_MAX_CODE,
    PART_BLOCKS = 16,             /* blocks of a part: 32 KB of each stream */
    FUSED_MUL_ADD = GEN_OP_COUNT, /* r = s0 s1 + s2 */
    FUSED_MUL_SUB,                /* r = s0 s1 - s2 */
    FUSED_SUB_MUL,                /* r = s2 - s0 s1 */
};

typedef enum input_kind {
    INPUT_FULL, /* as many elements as the iteration */
    INPUT_ROW,  /* repeats with a period that divides BLOCK: one block for the whole part */
    INPUT_LONG, /* repeats with a period that is a multiple of BLOCK: in place */
    INPUT_WALK, /* anything else: filled block by block */
} input_kind;

typedef struct chain_input {
    input_kind kind;
    int32_t rank; /* axes after merging neighbours that step alike */
    int64_t period;
    int64_t size[GEN_MAX_RANK], stride[GEN_MAX_RANK]; /* stride 0: repeated */
} chain_input;

typedef struct instruction {
    int32_t op;
    int16_t src[3];
    int16_t to;
    float a, b;
} instruction;

typedef struct program {
    int64_t count;
    int32_t n_in, n_out, n_code, n_slots;
    int16_t out[GEN_CHAIN_MAX_OUT];
    int16_t slot[MAX_REG];     /* scratch block of a register, -1: none needed */
    int16_t last_use[MAX_REG]; /* index of the last instruction that reads it; n_code for outputs */
    chain_input input[GEN_CHAIN_MAX_IN];
    instruction code[GEN_CHAIN_MAX_CODE];
} program;

/* ---- preparing ------------------------------------------------------------------------------------------------------------------------------ */

/* How an input of this shape steps through the iteration shape: axes of size 1 repeat; neighbours merge. */
static void describe_input(const gen_shape *shape, const gen_shape *iteration, chain_input *in)
{
    int64_t stride = 1, period = 1;
    bool full = true, periodic = true;
    int rank = 0;
    int64_t size[GEN_MAX_RANK] = { 0 }, step[GEN_MAX_RANK] = { 0 }; /* innermost first */
    for (int i = 0; i < iteration->rank; i++) {
        int axis = iteration->rank - 1 - i, own = shape->rank - 1 - i;
        int64_t n = iteration->dim[axis], m = own >= 0 ? shape->dim[own] : 1;
        if (n == 1) continue;
        int64_t s = m == 1 ? 0 : stride;
        if (m == 1) full = false;
        else if (!full) periodic = false; /* varies outside of a repeated axis */
        if (m != 1 && full) period *= n;
        bool merges = rank > 0 && ((s == 0 && step[rank - 1] == 0) ||
                                   (s != 0 && step[rank - 1] != 0 && s == step[rank - 1] * size[rank - 1]));
        if (merges) size[rank - 1] *= n;
        else size[rank] = n, step[rank] = s, rank++;
        stride *= m;
    }
    in->rank = rank;
    for (int i = 0; i < rank; i++) in->size[i] = size[rank - 1 - i], in->stride[i] = step[rank - 1 - i];
    in->period = period;
    in->kind = full                              ? INPUT_FULL
               : periodic && BLOCK % period == 0 ? INPUT_ROW
               : periodic && period % BLOCK == 0 ? INPUT_LONG
                                                 : INPUT_WALK;
}

/* A product that only the following sum reads becomes one instruction. */
static void fuse_products(program *p)
{
    int uses[MAX_REG] = { 0 };
    for (int i = 0; i < p->n_code; i++)
        for (int s = 0; s < 3; s++)
            if (p->code[i].src[s] >= 0) uses[p->code[i].src[s]]++;
    for (int i = 0; i < p->n_out; i++) uses[p->out[i]] += 2;
    int n = 0;
    for (int i = 0; i < p->n_code; i++) {
        instruction now = p->code[i];
        const instruction *before = n ? &p->code[n - 1] : NULL;
        bool sum = now.op == GEN_OP_ADD || now.op == GEN_OP_SUB;
        if (sum && before && before->op == GEN_OP_MUL && uses[before->to] == 1 &&
            (now.src[0] == before->to || now.src[1] == before->to)) {
            bool first = now.src[0] == before->to;
            int16_t other = first ? now.src[1] : now.src[0];
            now.op = now.op == GEN_OP_ADD ? FUSED_MUL_ADD : first ? FUSED_MUL_SUB : FUSED_SUB_MUL;
            now.src[0] = before->src[0], now.src[1] = before->src[1], now.src[2] = other;
            n--;
        }
        p->code[n++] = now;
    }
    p->n_code = n;
}

/* Scratch blocks by linear scan. Inputs that repeat keep theirs for the whole part; every output has one for the tail; the others share. */
static void allocate_slots(program *p)
{
    int16_t free_slot[MAX_REG + GEN_CHAIN_MAX_OUT];
    int n_free = 0;
    for (int r = 0; r < MAX_REG; r++) p->slot[r] = -1, p->last_use[r] = -1;
    for (int i = 0; i < p->n_code; i++)
        for (int s = 0; s < 3; s++)
            if (p->code[i].src[s] >= 0) p->last_use[p->code[i].src[s]] = (int16_t)i;
    for (int i = 0; i < p->n_out; i++) p->last_use[p->out[i]] = (int16_t)p->n_code;
    for (int r = 0; r < p->n_in; r++) p->slot[r] = (int16_t)p->n_slots++;
    for (int i = 0; i < p->n_code; i++) {
        const instruction *in = &p->code[i];
        for (int s = 0; s < 3; s++) {
            int r = in->src[s];
            if (r < p->n_in || p->last_use[r] != i) continue;
            bool seen = false;
            for (int t = 0; t < s; t++) seen |= in->src[t] == r;
            if (!seen) free_slot[n_free++] = p->slot[r];
        }
        p->slot[in->to] = n_free ? free_slot[--n_free] : (int16_t)p->n_slots++;
    }
}

static program *program_of(const cpu_job *job)
{
    return job->keep;
}

static int32_t code_of(const gen_call *c, program *p)
{
    if (c->op != GEN_OP_CHAIN) {
        p->n_in = c->n_in, p->n_out = 1, p->n_code = 1;
        p->out[0] = (int16_t)c->n_in;
        p->code[0] =
            (instruction){ (int32_t)c->op, { 0, 1, 2 }, (int16_t)c->n_in, (float)c->attr->a, (float)c->attr->b };
        for (int s = c->n_in; s < 3; s++) p->code[0].src[s] = -1;
        return 1;
    }
    const gen_chain *chain = c->chain;
    p->n_in = chain->n_in, p->n_out = chain->n_out, p->n_code = chain->n_code;
    memcpy(p->out, chain->out, sizeof p->out);
    for (int i = 0; i < chain->n_code; i++) {
        const gen_chain_code *from = &chain->code[i];
        p->code[i] = (instruction){ (int32_t)from->op,
                                    { from->src[0], from->src[1], from->src[2] },
                                    (int16_t)(chain->n_in + i),
                                    (float)from->a,
                                    (float)from->b };
        int n_in = gen_op_get(from->op)->n_in;
        for (int s = n_in; s < 3; s++) p->code[i].src[s] = -1;
    }
    return chain->n_code;
}

static void prepare(const gen_call *c, const cpu_work *work, void *keep)
{
    (void)work;
    program *p = keep;
    const gen_shape *iteration = c->op == GEN_OP_CHAIN ? &c->chain->shape : &c->out[0].shape;
    memset(p, 0, sizeof *p);
    p->count = gen_shape_count(iteration);
    code_of(c, p);
    for (int i = 0; i < p->n_in; i++) describe_input(&c->in[i].shape, iteration, &p->input[i]);
    fuse_products(p);
    allocate_slots(p);
}

static void setup(const gen_call *c, cpu_work *w)
{
    const gen_shape *iteration = c->op == GEN_OP_CHAIN ? &c->chain->shape : &c->out[0].shape;
    int64_t count = gen_shape_count(iteration);
    int n_reg = c->op == GEN_OP_CHAIN ? c->chain->n_in + c->chain->n_code : c->n_in + 1;
    int64_t parts = (count + BLOCK * PART_BLOCKS - 1) / (BLOCK * PART_BLOCKS);
    w->parts[0] = parts < 1 ? 1 : parts > 256 ? 256 : (int32_t)parts;
    w->thread_bytes = sizeof(float) * BLOCK * (size_t)n_reg;
    w->keep_bytes = sizeof(program);
}

/* ---- running -------------------------------------------------------------------------------------------------------------------------------- */

/* Elements begin .. begin + n - 1 of an input that repeats: runs along the innermost axis. */
static void fill(const chain_input *in, const float *x, int64_t begin, int n, float *to)
{
    int64_t at[GEN_MAX_RANK] = { 0 }, rest = begin, offset = 0;
    int last = in->rank - 1;
    if (last < 0) {
        for (int i = 0; i < n; i++) to[i] = x[0];
        return;
    }
    for (int i = last; i >= 0; i--) at[i] = rest % in->size[i], rest /= in->size[i], offset += at[i] * in->stride[i];
    for (int done = 0; done < n;) {
        int64_t left = in->size[last] - at[last];
        int run = left < n - done ? (int)left : n - done;
        if (in->stride[last]) {
            for (int i = 0; i < run; i++) to[done + i] = x[offset + i];
        } else {
            for (int i = 0; i < run; i++) to[done + i] = x[offset];
        }
        done += run;
        at[last] += run, offset += run * in->stride[last];
        for (int i = last; i > 0 && at[i] == in->size[i]; i--) {
            offset += in->stride[i - 1] - at[i] * in->stride[i];
            at[i] = 0, at[i - 1]++;
        }
        if (at[0] == in->size[0]) at[0] = 0, offset = 0; /* a block longer than the iteration: from the start again */
    }
}

#define EACH for (int i = 0; i < n; i += VEC_W)
#define UNARY(id, expression)                                                                                          \
    case GEN_OP_##id:                                                                                                  \
        EACH                                                                                                           \
        {                                                                                                              \
            vecf x = vec_load(s0 + i);                                                                                 \
            vec_store(y + i, expression);                                                                              \
        }                                                                                                              \
        break
#define BINARY(id, expression)                                                                                         \
    case id:                                                                                                           \
        EACH                                                                                                           \
        {                                                                                                              \
            vecf x = vec_load(s0 + i), z = vec_load(s1 + i);                                                           \
            vec_store(y + i, expression);                                                                              \
        }                                                                                                              \
        break
#define TERNARY(id, expression)                                                                                        \
    case id:                                                                                                           \
        EACH                                                                                                           \
        {                                                                                                              \
            vecf x = vec_load(s0 + i), z = vec_load(s1 + i), u = vec_load(s2 + i);                                     \
            vec_store(y + i, expression);                                                                              \
        }                                                                                                              \
        break

static void run_instruction(const instruction *in, const float *s0, const float *s1, const float *s2, float *y, int n)
{
    const vecf zero = vec_set(0), one = vec_set(1), a = vec_set(in->a), b = vec_set(in->b);
    switch (in->op) {
        UNARY(AFFINE, vec_fma(a, x, b));
        UNARY(ABS, vec_abs(x));
        UNARY(SIGN, vec_select(vec_lt(zero, x), one, vec_select(vec_lt(x, zero), zero - one, zero)));
        UNARY(STEP, vec_select(vec_lt(zero, x), one, zero));
        UNARY(SQUARE, x * x);
        UNARY(SQRT, vec_sqrt(x));
        UNARY(RSQRT, one / vec_sqrt(x));
        UNARY(EXP, vec_exp(x));
        UNARY(LOG, vec_log(x));
        UNARY(SIN, vec_sincos(x, 0));
        UNARY(COS, vec_sincos(x, 1));
        UNARY(TANH, vec_tanh(x));
        UNARY(SIGMOID, vec_sigmoid(x));
        UNARY(SOFTPLUS, vec_softplus(x));
        UNARY(ERF, vec_erf(x));
        UNARY(RELU, vec_max(zero, x));
        UNARY(LEAKY, vec_max(a * x, x));
        UNARY(CLAMP, vec_min(b, vec_max(a, x)));
        UNARY(FLOOR, vec_floor(x));
        BINARY(GEN_OP_ADD, x + z);
        BINARY(GEN_OP_SUB, x - z);
        BINARY(GEN_OP_MUL, x * z);
        BINARY(GEN_OP_DIV, x / z);
        BINARY(GEN_OP_POW, vec_pow(x, z));
        BINARY(GEN_OP_MIN, vec_select(vec_ne(x, x), x, vec_min(x, z)));
        BINARY(GEN_OP_MAX, vec_select(vec_ne(x, x), x, vec_max(x, z)));
        BINARY(GEN_OP_LESS, vec_select(vec_lt(x, z), one, zero));
        BINARY(GEN_OP_EQUAL, vec_select(vec_eq(x, z), one, zero));
        TERNARY(GEN_OP_SELECT, vec_select(vec_ne(x, zero), z, u));
        TERNARY(FUSED_MUL_ADD, vec_fma(x, z, u));
        TERNARY(FUSED_MUL_SUB, vec_fma(x, z, zero - u));
        TERNARY(FUSED_SUB_MUL, vec_fma(zero - x, z, u));
    default: break;
    }
}

/* May instruction i write output memory at once? Not if an input that lives there is still to be read, by a later instruction or as an output. */
static bool safe_in_place(const gen_call *c, const program *p, int i, const float *memory)
{
    for (int r = 0; r < p->n_in; r++)
        if (c->in[r].data == memory && p->last_use[r] > i) return false;
    return true;
}

static void run(const gen_call *c, const cpu_job *job)
{
    const program *p = program_of(job);
    int64_t begin, end;
    float *slots = job->scratch, *direct[MAX_REG] = { 0 }, *reg[MAX_REG] = { 0 };
    cpu_part_range(job, p->count, BLOCK, &begin, &end);
    for (int r = 0; r < p->n_in; r++)
        if (p->input[r].kind == INPUT_ROW) fill(&p->input[r], c->in[r].data, 0, BLOCK, slots + p->slot[r] * BLOCK);
    for (int i = 0; i < p->n_code; i++) /* the first output of a register is its memory, where that is safe */
        for (int k = p->n_out - 1; k >= 0; k--)
            if (p->out[k] == p->code[i].to && safe_in_place(c, p, i, c->out[k].data))
                direct[p->code[i].to] = c->out[k].data;

    for (int64_t at = begin; at < end; at += BLOCK) {
        bool whole = end - at >= BLOCK;
        int n = whole ? BLOCK : (int)(end - at), padded = (n + VEC_W - 1) / VEC_W * VEC_W;
        for (int r = 0; r < p->n_in; r++) {
            const chain_input *in = &p->input[r];
            float *x = c->in[r].data;
            reg[r] = slots + p->slot[r] * BLOCK;
            if (in->kind == INPUT_FULL && whole) reg[r] = x + at;
            else if (in->kind == INPUT_LONG && whole) reg[r] = x + at % in->period;
            else if (in->kind == INPUT_FULL) memcpy(reg[r], x + at, sizeof(float) * (size_t)n);
            else if (in->kind != INPUT_ROW) fill(in, x, at, n, reg[r]);
        }
        for (int i = 0; i < p->n_code; i++) {
            const instruction *in = &p->code[i];
            reg[in->to] = whole && direct[in->to] ? direct[in->to] + at : slots + p->slot[in->to] * BLOCK;
            run_instruction(in, reg[in->src[0]], in->src[1] < 0 ? NULL : reg[in->src[1]],
                            in->src[2] < 0 ? NULL : reg[in->src[2]], reg[in->to], padded);
        }
        for (int k = 0; k < p->n_out; k++) {
            float *to = (float *)c->out[k].data + at;
            if (reg[p->out[k]] != to) memmove(to, reg[p->out[k]], sizeof(float) * (size_t)n);
        }
    }
}

const cpu_kernel VEC_FN(elementwise) = { VEC_NAME("elementwise"), NULL, setup, prepare, run };
