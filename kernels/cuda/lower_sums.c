/* Lowering of ops that sum many numbers: reductions, norms. How they are cut depends on the shapes alone, so a result has the same bits on every run. */
#include "kernels/cuda/lower.h"

enum {
    LANE_WORK = 8,       /* numbers that a thread should sum at least, before a row gets another thread */
    WANTED_BLOCKS = 264, /* two for each multiprocessor of a big GPU; fewer blocks, and rows are cut into parts */
    LEAST_CHUNK = 2048,
    MOST_PARTS = 512,
};

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Rows of a block: a power of two that leaves each row lanes for its work. */
static int32_t rows_of_block(int64_t n_rows, int64_t work)
{
    int32_t rows = CUDA_THREADS;
    while (rows > 1 && (rows / 2 >= n_rows || CUDA_THREADS / rows * LANE_WORK < work)) rows /= 2;
    return rows;
}

/* Parts of a row's work, and their size, when all rows together take this many blocks. */
static int32_t cut_into_parts(int64_t blocks, int64_t work, int32_t *chunk)
{
    int64_t parts = divide_up(WANTED_BLOCKS, blocks), most = divide_up(work, LEAST_CHUNK);
    if (parts > most) parts = most;
    if (parts > MOST_PARTS) parts = MOST_PARTS;
    *chunk = (int32_t)divide_up(work, parts);
    return (int32_t)divide_up(work, *chunk);
}

/* ---- reductions ---- */

static void add_axis(reduce_field *f, int64_t n, int64_t stride)
{
    int32_t last = f->rank - 1;
    if (n == 1) return;
    if (last >= 0 && f->stride[last] == n * stride) { /* the two are one longer axis */
        f->n[last] *= (int32_t)n;
        f->stride[last] = (int32_t)stride;
        return;
    }
    f->n[f->rank] = (int32_t)n;
    f->stride[f->rank++] = (int32_t)stride;
}

static int32_t field_count(const reduce_field *f)
{
    int32_t n = 1;
    for (int32_t axis = 0; axis < f->rank; axis++) n *= f->n[axis];
    return n;
}

static void set_fields(reduce_args *a, const gen_shape *x, uint32_t axes)
{
    int64_t stride = gen_shape_count(x);
    for (int32_t axis = 0; axis < x->rank; axis++) {
        stride /= x->dim[axis];
        add_axis(axes & 1u << axis ? &a->fold : &a->row, x->dim[axis], stride);
    }
    a->n_rows = field_count(&a->row);
    a->n_fold = field_count(&a->fold);
}

static void emit_reduce(cuda_launches *list, reduce_args *a)
{
    a->along = a->fold.rank && a->fold.stride[a->fold.rank - 1] == 1;
    a->rows = rows_of_block(a->n_rows, a->chunk);
    EMIT(list, reduce, a->parts * divide_up(a->n_rows, a->rows), a);
}

void cuda_emit_sum_of_parts(cuda_launches *list, const float *x, int32_t parts, int64_t count, float *y)
{
    reduce_args a = { .x = x, .y = y, .kind = REDUCE_SUM, .parts = 1, .chunk = parts };
    add_axis(&a.fold, parts, count);
    add_axis(&a.row, count, 1);
    a.n_rows = (int32_t)count;
    a.n_fold = parts;
    emit_reduce(list, &a);
}

/* One reduction of kind to y; in two launches when there are few rows and much work. */
static void emit_fold(cuda_launches *list, reduce_args a)
{
    float *y = a.y;
    int32_t log_at_end = a.log_at_end;
    a.parts = cut_into_parts(divide_up(a.n_rows, rows_of_block(a.n_rows, a.n_fold)), a.n_fold, &a.chunk);
    if (a.parts > 1) {
        a.y = cuda_scratch(list, (int64_t)a.parts * a.n_rows);
        a.log_at_end = 0;
    }
    emit_reduce(list, &a);
    if (a.parts == 1) return;
    reduce_args join = { .x = a.y, .shift = a.shift, .y = y, .log_at_end = log_at_end, .n_rows = a.n_rows };
    join.kind = a.kind == REDUCE_MAX ? REDUCE_MAX : REDUCE_SUM;
    join.n_fold = join.chunk = a.parts;
    join.parts = 1;
    add_axis(&join.fold, a.parts, a.n_rows);
    add_axis(&join.row, a.n_rows, 1);
    emit_reduce(list, &join);
}

void lower_reduce(const gen_call *c, cuda_launches *list)
{
    reduce_args a = { .x = cuda_in(c, 0), .y = cuda_out(c) };
    set_fields(&a, &c->in[0].shape, c->attr->axes);
    a.kind = c->op == GEN_OP_SUM ? REDUCE_SUM : REDUCE_MAX;
    if (c->op == GEN_OP_LSE) {
        float *largest = cuda_scratch(list, a.n_rows);
        a.y = largest;
        emit_fold(list, a);
        a.kind = REDUCE_SUM_EXP;
        a.log_at_end = 1;
        a.shift = largest;
        a.y = cuda_out(c);
    }
    emit_fold(list, a);
}

void lower_argmax(const gen_call *c, cuda_launches *list)
{
    const gen_shape *x = &c->in[0].shape;
    argmax_args a = { cuda_in(c, 0), cuda_out(c), cuda_count(&c->out[0]), (int32_t)x->dim[x->rank - 1] };
    EMIT(list, argmax, cuda_item_blocks(a.n_rows), &a);
}

/* ---- norms ---- */

static norm_args norm_of(const gen_call *c)
{
    const gen_shape *x = &c->in[0].shape;
    norm_args a = {
        .x = cuda_in(c, 0), .y = cuda_out(c), .groups = c->attr->groups, .eps = (float)c->attr->a, .parts = 1, .some = 1
    };
    a.n = (int32_t)x->dim[0];
    a.c = (int32_t)x->dim[x->rank - 1];
    a.pixels = cuda_count(&c->in[0]) / (a.n * a.c);
    a.group_c = a.c / a.groups;
    a.rows = rows_of_block((int64_t)a.n * a.groups, (int64_t)a.pixels * a.group_c);
    return a;
}

/* Sums take four channels of one group at a time. */
static void sum_fours(norm_args *a)
{
    const bool fours = a->group_c % 4 == 0 && cuda_is_aligned(a->x) && cuda_is_aligned(a->y) &&
                       cuda_is_aligned(a->dy) && cuda_is_aligned(a->gamma);
    a->some = fours ? 4 : 1;
}

void lower_norm_stats(const gen_call *c, cuda_launches *list)
{
    norm_args a = norm_of(c);
    sum_fours(&a);
    EMIT(list, norm_stats, divide_up((int64_t)a.n * a.groups, a.rows), &a);
}

void lower_norm(const gen_call *c, cuda_launches *list)
{
    norm_args a = norm_of(c);
    a.stats = cuda_in(c, 1);
    a.gamma = cuda_in(c, 2);
    a.beta = cuda_in(c, 3);
    a.tail = cuda_tail_of(c);
    const bool padded = c->n_out == 2; /* join.h */
    const bool fours = a.c % 4 == 0 && cuda_is_aligned(a.x) && cuda_is_aligned(a.y) && cuda_is_aligned(a.gamma) &&
                       cuda_is_aligned(a.beta) && cuda_is_aligned(a.tail.bias) && cuda_is_aligned(a.tail.residual) &&
                       (!padded || cuda_is_aligned(c->out[1].data));
    a.some = fours ? 4 : 1;
    if (!padded) {
        EMIT(list, norm, cuda_item_blocks(cuda_count(&c->out[0]) / a.some), &a);
        return;
    }
    norm_pad_args both = { a, cuda_pad_of(c->attr, &c->out[0], &c->out[1]) };
    both.pad.y = c->out[1].data;
    both.pad.n = cuda_count(&c->out[1]);
    both.pad.some = a.some;
    EMIT(list, norm_pad, cuda_item_blocks(both.pad.n / a.some), &both);
}

void lower_norm_dx(const gen_call *c, cuda_launches *list)
{
    norm_args a = norm_of(c);
    a.stats = cuda_in(c, 1);
    a.gamma = cuda_in(c, 2);
    a.dy = cuda_in(c, 3);
    sum_fours(&a);
    EMIT(list, norm_dx, divide_up((int64_t)a.n * a.groups, a.rows), &a);
}

void lower_norm_dp(const gen_call *c, cuda_launches *list)
{
    norm_args a = norm_of(c);
    int64_t work = (int64_t)a.n * a.pixels;
    a.stats = cuda_in(c, 1);
    a.dy = cuda_in(c, 2);
    a.rows = rows_of_block(a.c, work);
    a.parts = cut_into_parts(divide_up(a.c, a.rows), work, &a.chunk);
    if (a.parts > 1) a.y = cuda_scratch(list, (int64_t)a.parts * 2 * a.c);
    EMIT(list, norm_dp, a.parts * divide_up(a.c, a.rows), &a);
    if (a.parts > 1) cuda_emit_sum_of_parts(list, a.y, a.parts, 2 * (int64_t)a.c, cuda_out(c));
}
