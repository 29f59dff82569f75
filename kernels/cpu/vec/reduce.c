/* kernels/cpu/vec/reduce.c: sum, largest and log-sum-exp over a run of neighbouring axes: x seen as [A][R][B], y[a,b] = sum_r x[a,r,b].
 *
 *   B = 1   rows: the lanes of a vector run along R
 *   B > 1   columns: the lanes run along B (per-channel sums: A = 1, B = C)
 *
 * B is cut in blocks of columns, and R in chunks where blocks alone are too few parts or a chunk too long (a function of the shape alone): phase 0
 * reduces each chunk, phase 1 joins the chunks' results in order, in double; without chunks there is none to join. One chunk never sums more than
 * MAX_CHUNK numbers in one float, so errors do not grow with the batch. lse first needs the largest: two phases more.
 *
 * sum_squares sums chunks of each input, and joins them all in double.
 */
#include <math.h>
#include <stdbool.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/vec_math.h"

enum {
    WANTED_PARTS = 32,
    MAX_CHUNK = 512, /* rows summed one after the other */
    MIN_PART = 8192, /* elements of x worth a part */
    COLUMN_VECS = 4, /* vectors of columns in flight */
    BLOCK = 256,     /* the narrowest block of columns: 1 KB of a row */
};

typedef struct plan {
    int64_t a, r, b;
    int64_t width; /* of a block of columns */
    int32_t blocks, chunks;
} plan;

/* Axes as [A][R][B]; axes of size 1 belong anywhere. false: reduced axes have kept ones between them. */
static bool split_axes(const gen_call *c, plan *p)
{
    const gen_shape *x = &c->in[0].shape;
    p->a = p->r = p->b = 1;
    for (int i = 0; i < x->rank; i++) {
        if (x->dim[i] == 1) continue;
        bool reduced = c->attr->axes >> i & 1;
        if (reduced && p->b > 1) return false;
        if (reduced) p->r *= x->dim[i];
        else if (p->r > 1) p->b *= x->dim[i];
        else p->a *= x->dim[i];
    }
    return true;
}

static bool fits(const gen_call *c)
{
    plan p;
    return split_axes(c, &p);
}

/* Chunks of rows of one float sum each (B > 1), or of as many numbers as lanes can share (B = 1). */
static plan make_plan(const gen_call *c)
{
    plan p;
    split_axes(c, &p);
    int64_t longest = p.b > 1 ? MAX_CHUNK : MAX_CHUNK * 16, chunks = ceil_div(p.r, longest);
    int64_t wanted = min64(ceil_div(p.a * p.r * p.b, MIN_PART), WANTED_PARTS);
    int64_t blocks = max64(1, min64(ceil_div(wanted, max64(1, p.a)), p.b / BLOCK));
    p.width = ceil_div(ceil_div(p.b, blocks), 16) * 16;
    p.blocks = (int32_t)ceil_div(p.b, p.width);
    chunks = max64(chunks, ceil_div(wanted, max64(1, p.a * p.blocks)));
    p.chunks = (int32_t)max64(1, min64(chunks, p.r));
    return p;
}

static void setup(const gen_call *c, cpu_work *w)
{
    plan p = make_plan(c);
    bool lse = c->op == GEN_OP_LSE;
    int64_t pieces = p.a * p.chunks * p.blocks;
    w->n_phases = lse ? 4 : p.chunks > 1 ? 2 : 1;
    w->parts[0] = w->parts[2] = cpu_parts_for(pieces, max64(1, MIN_PART * pieces / max64(1, p.a * p.r * p.b)));
    w->parts[1] = w->parts[3] = cpu_parts_for(p.a * p.b, 1024);
    w->shared_bytes = sizeof(float) * (size_t)(p.a * p.chunks * p.b + (lse ? p.a * p.b : 0));
}

typedef enum fold {
    FOLD_SUM,
    FOLD_MAX,
    FOLD_EXP,
    FOLD_SQUARE
} fold; /* FOLD_EXP: sum e^(x - shift); FOLD_SQUARE: sum x^2 */

VEC_INLINE vecf step(const fold f, vecf sum, vecf x, vecf shift)
{
    if (f == FOLD_SUM) return sum + x;
    if (f == FOLD_EXP) return sum + vec_exp(x - shift);
    if (f == FOLD_SQUARE) return vec_fma(x, x, sum);
    return vec_select(vec_ne(x, x), x, vec_max(x, sum)); /* NaN of either wins */
}

VEC_INLINE float identity(const fold f)
{
    return f == FOLD_MAX ? -INFINITY : 0.0f;
}

VEC_INLINE float join(const fold f, vecf v)
{
    return f == FOLD_MAX ? vec_largest(v) : vec_sum(v);
}

/* n numbers in a row. */
VEC_INLINE float fold_row(const fold f, const float *x, int64_t n, float shift)
{
    vecf acc[4], s = vec_set(shift);
    VEC_UNROLL
    for (int j = 0; j < 4; j++) acc[j] = vec_set(identity(f));
    int64_t i = 0;
    for (; i + 4 * VEC_W <= n; i += 4 * VEC_W) {
        VEC_UNROLL
        for (int j = 0; j < 4; j++) acc[j] = step(f, acc[j], vec_load(x + i + j * VEC_W), s);
    }
    for (; i + VEC_W <= n; i += VEC_W) acc[0] = step(f, acc[0], vec_load(x + i), s);
    vecf all = (acc[0] + acc[1]) + (acc[2] + acc[3]);
    if (f == FOLD_MAX) all = step(f, step(f, acc[0], acc[1], s), step(f, acc[2], acc[3], s), s);
    float tail[VEC_W];
    if (i < n) { /* lanes past the end hold the identity */
        for (int j = 0; j < VEC_W; j++) tail[j] = f == FOLD_EXP ? -INFINITY : identity(f);
        memcpy(tail, x + i, sizeof(float) * (size_t)(n - i));
        all = step(f, all, vec_load(tail), s);
    }
    return join(f, all);
}

VEC_INLINE void fold_column_block(const fold f, const int vecs, const int n_last, const float *x, int64_t rows,
                                  int64_t ld, const float *shift, float *to)
{
    vecf acc[COLUMN_VECS], s[COLUMN_VECS];
    bool part = n_last < VEC_W;
    VEC_UNROLL
    for (int j = 0; j < vecs; j++) {
        acc[j] = vec_set(identity(f));
        s[j] =
            f == FOLD_EXP ? (part ? vec_load_n(shift + j * VEC_W, n_last) : vec_load(shift + j * VEC_W)) : vec_set(0);
    }
    for (int64_t r = 0; r < rows; r++, x += ld) {
        VEC_UNROLL
        for (int j = 0; j < vecs; j++)
            acc[j] = step(f, acc[j], part ? vec_load_n(x + j * VEC_W, n_last) : vec_load(x + j * VEC_W), s[j]);
    }
    VEC_UNROLL
    for (int j = 0; j < vecs; j++) {
        if (part) vec_store_n(to + j * VEC_W, acc[j], n_last);
        else vec_store(to + j * VEC_W, acc[j]);
    }
}

VEC_INLINE void fold_columns(const fold f, const float *x, int64_t rows, int64_t ld, int64_t columns,
                             const float *shift, float *to)
{
    int64_t b = 0;
    for (; b + COLUMN_VECS * VEC_W <= columns; b += COLUMN_VECS * VEC_W)
        fold_column_block(f, COLUMN_VECS, VEC_W, x + b, rows, ld, shift + b, to + b);
    for (; b + VEC_W <= columns; b += VEC_W) fold_column_block(f, 1, VEC_W, x + b, rows, ld, shift + b, to + b);
    if (b < columns) fold_column_block(f, 1, (int)(columns - b), x + b, rows, ld, shift + b, to + b);
}

/* Phase 0 (and 2 of lse): the chunks, to [A][chunks][B]. largest: [A][B], for FOLD_EXP. */
VEC_INLINE void fold_chunks(const fold f, const gen_call *c, const cpu_job *job, const plan *p, const float *largest,
                            float *results)
{
    int64_t begin, end;
    cpu_part_range(job, p->a * p->chunks * p->blocks, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t row = i / p->blocks, a = row / p->chunks, chunk = row % p->chunks, r0 = p->r * chunk / p->chunks,
                r1 = p->r * (chunk + 1) / p->chunks, b = i % p->blocks * p->width;
        const float *x = (const float *)c->in[0].data + (a * p->r + r0) * p->b + b,
                    *shift = f == FOLD_EXP ? largest + a * p->b + b : x;
        float *to = results + row * p->b + b;
        if (p->b == 1) *to = fold_row(f, x, r1 - r0, *shift);
        else fold_columns(f, x, r1 - r0, p->b, min64(p->width, p->b - b), shift, to);
    }
}

enum { JOINED = 64 }; /* columns joined side by side */

/* n columns; x: of the first chunk. */
static void join_columns(const plan *p, fold f, const float *x, const float *shift, float *y, int64_t n)
{
    double sum[JOINED];
    for (int64_t j = 0; j < n; j++) sum[j] = (double)identity(f);
    for (int32_t k = 0; k < p->chunks; k++, x += p->b)
        for (int64_t j = 0; j < n; j++) {
            double v = (double)x[j];
            if (f == FOLD_MAX) sum[j] = v > sum[j] || isnan(v) ? v : sum[j];
            else sum[j] += v;
        }
    for (int64_t j = 0; j < n; j++) {
        if (f == FOLD_EXP) sum[j] = isfinite(shift[j]) ? (double)shift[j] + log(sum[j]) : (double)shift[j];
        y[j] = (float)sum[j];
    }
}

/* shift: [A][B], for FOLD_EXP. */
static void join_chunks(const cpu_job *job, const plan *p, fold f, const float *shift, float *y)
{
    int64_t begin, end;
    cpu_part_range(job, p->a * p->b, 1, &begin, &end);
    for (int64_t i = begin, n; i < end; i += n) {
        int64_t a = i / p->b, b = i % p->b;
        n = min64(JOINED, min64(end - i, p->b - b));
        join_columns(p, f, (const float *)job->shared + a * p->chunks * p->b + b, shift + i, y + i, n);
    }
}

static void run(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    float *y = c->out[0].data, *chunks = job->shared, *largest = chunks + p.a * p.chunks * p.b;
    bool lse = c->op == GEN_OP_LSE;
    float *first = p.chunks > 1 || lse ? chunks : y;
    if (job->phase == 0 && c->op == GEN_OP_SUM) fold_chunks(FOLD_SUM, c, job, &p, NULL, first);
    else if (job->phase == 0) fold_chunks(FOLD_MAX, c, job, &p, NULL, first);
    else if (job->phase == 1) join_chunks(job, &p, c->op == GEN_OP_SUM ? FOLD_SUM : FOLD_MAX, y, lse ? largest : y);
    else if (job->phase == 2) fold_chunks(FOLD_EXP, c, job, &p, largest, chunks);
    else join_chunks(job, &p, FOLD_EXP, largest, y);
}

const cpu_kernel VEC_FN(reduce) = { VEC_NAME("reduce"), fits, setup, NULL, run };

/* ---- sum of squares of many tensors ----------------------------------------------------------------------------------------- */

enum { SQUARES_CHUNK = MAX_CHUNK * 16 };

static int64_t squares_chunks(const gen_view *x)
{
    return ceil_div(gen_shape_count(&x->shape), SQUARES_CHUNK);
}

static int64_t all_chunks(const gen_call *c)
{
    int64_t chunks = 0;
    for (int32_t i = 0; i < c->n_in; i++) chunks += squares_chunks(&c->in[i]);
    return chunks;
}

static void squares_setup(const gen_call *c, cpu_work *w)
{
    const int64_t chunks = all_chunks(c);
    w->n_phases = 2;
    w->parts[0] = cpu_parts_for(chunks, 2);
    w->parts[1] = 1;
    w->shared_bytes = sizeof(float) * (size_t)chunks;
}

/* Chunks are counted through all inputs: those of this part. */
static void square_chunks(const gen_call *c, const cpu_job *job)
{
    float *sums = job->shared;
    int64_t begin, end, first = 0;
    cpu_part_range(job, all_chunks(c), 1, &begin, &end);
    for (int32_t i = 0; i < c->n_in; i++) {
        const int64_t n = gen_shape_count(&c->in[i].shape), last = first + squares_chunks(&c->in[i]);
        for (int64_t k = max64(begin, first); k < min64(end, last); k++) {
            const int64_t at = (k - first) * SQUARES_CHUNK;
            sums[k] = fold_row(FOLD_SQUARE, (const float *)c->in[i].data + at, min64(SQUARES_CHUNK, n - at), 0);
        }
        first = last;
    }
}

static void squares_run(const gen_call *c, const cpu_job *job)
{
    const float *sums = job->shared;
    double sum = 0;
    if (job->phase == 0) {
        square_chunks(c, job);
        return;
    }
    for (int64_t k = 0, n = all_chunks(c); k < n; k++) sum += (double)sums[k];
    *(float *)c->out[0].data = (float)sum;
}

const cpu_kernel VEC_FN(sum_squares) = { VEC_NAME("sum_squares"), NULL, squares_setup, NULL, squares_run };
