/* kernels/cpu/vec/lookup.c: rows of tables.
 *
 *   gather        y[i,:] = table[index[i],:], with an epilogue (epilogue.h); an index that names no row gives zeros
 *   scatter_add   y[v,:] = sum_{i: index[i] = v} dy[i,:], in the order of i; a part owns columns of y and reads all indices
 *   one_hot       y[i,v] = index[i] == v
 */
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/epilogue.h"

enum { PART_ELEMENTS = 16384, PART_COLUMNS = 128 };

/* The row that an index names; -1 when it names none. */
static int64_t row_of(float index, int64_t n_rows)
{
    if (!(index >= 0 && index < (float)n_rows)) return -1;
    int64_t row = (int64_t)index;
    return (float)row == index ? row : -1;
}

static int64_t last_dim(const gen_shape *s)
{
    return s->dim[s->rank - 1];
}

static void rows_setup(const gen_call *c, cpu_work *w)
{
    w->parts[0] = cpu_parts_for(gen_shape_count(&c->out[0].shape), PART_ELEMENTS);
}

/* y[n] = act(row + bias + residual); row NULL: zeros */
static void gather_row(const epilogue *e, const float *row, float *y, int64_t n)
{
    for (int64_t d = 0; d < n; d += VEC_W) {
        const int some = (int)min64(VEC_W, n - d);
        epilogue_store(e, row ? vec_load_n(row + d, some) : vec_set(0), y + d, d, some);
    }
    if (e->late) epilogue_late(e, y, n);
}

static void gather_run(const gen_call *c, const cpu_job *job)
{
    const gen_shape *table = &c->in[0].shape;
    const float *index = c->in[1].data;
    const epilogue e = epilogue_of(c);
    const bool plain = !e.bias && !e.residual && e.slope == 1.0f && !e.late;
    int64_t begin, end, n_d = table->dim[1];
    cpu_part_range(job, gen_shape_count(&c->in[1].shape), 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t v = row_of(index[i], table->dim[0]);
        float *to = (float *)c->out[0].data + i * n_d;
        const float *row = v < 0 ? NULL : (const float *)c->in[0].data + v * n_d;
        if (!plain) gather_row(&e, row, to, n_d);
        else if (!row) memset(to, 0, (size_t)n_d * sizeof *to);
        else memcpy(to, row, (size_t)n_d * sizeof *to);
    }
}

static void scatter_setup(const gen_call *c, cpu_work *w)
{
    w->parts[0] = cpu_parts_for(c->out[0].shape.dim[1], PART_COLUMNS);
}

static void scatter_add_run(const gen_call *c, const cpu_job *job)
{
    const gen_shape *table = &c->out[0].shape;
    const float *index = c->in[0].data, *dy = c->in[1].data;
    float *y = c->out[0].data;
    int64_t begin, end, n_d = table->dim[1], n = gen_shape_count(&c->in[0].shape);
    cpu_part_range(job, n_d, VEC_W, &begin, &end);
    for (int64_t v = 0; v < table->dim[0]; v++) memset(y + v * n_d + begin, 0, (size_t)(end - begin) * sizeof *y);
    for (int64_t i = 0; i < n; i++) {
        int64_t v = row_of(index[i], table->dim[0]), d = begin;
        float *to = y + v * n_d;
        const float *from = dy + i * n_d;
        if (v < 0) continue;
        for (; d + VEC_W <= end; d += VEC_W) vec_store(to + d, vec_load(to + d) + vec_load(from + d));
        for (; d < end; d++) to[d] += from[d];
    }
}

static void one_hot_run(const gen_call *c, const cpu_job *job)
{
    const float *index = c->in[0].data;
    int64_t begin, end, n_v = last_dim(&c->out[0].shape);
    cpu_part_range(job, gen_shape_count(&c->in[0].shape), 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        float *y = (float *)c->out[0].data + i * n_v;
        int64_t v = row_of(index[i], n_v);
        memset(y, 0, (size_t)n_v * sizeof *y);
        if (v >= 0) y[v] = 1;
    }
}

const cpu_kernel VEC_FN(gather) = { VEC_NAME("gather"), NULL, rows_setup, NULL, gather_run };
const cpu_kernel VEC_FN(scatter_add) = { VEC_NAME("scatter_add"), NULL, scatter_setup, NULL, scatter_add_run };
const cpu_kernel VEC_FN(one_hot) = { VEC_NAME("one_hot"), NULL, rows_setup, NULL, one_hot_run };
