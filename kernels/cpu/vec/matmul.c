/* kernels/cpu/vec/matmul.c: products of matrices, y[b,m,n] = act(sum_k a[b,m,k] b[b,k,n] + bias[n] + residual), either operand transposed.
 *
 *   phase 0  packs operands into shared memory: b as [panel][K][TILE_COLS], columns past N zero; a as [tile][ceil(K/16)][rows][16], rows past M
 *            zero (any numbers would do: their results are not stored)
 *   phase 1  a part takes a range of row tiles and a range of panels of one matrix
 *
 * Where one operand is much the larger, the parts divide it alone (each takes all of the other), and pack what they need of it themselves, a piece at
 * a time, so that it goes from memory through L2 once: packed beforehand it is read, written and read again.
 *
 * The tiles' height is the one of TILE_ROWS, …, 1 that costs least, with a last tile that may be lower: 256 rows are 18 tiles of 14 and one of 4.
 * Few columns (N <= NARROW): b is packed as columns, [n][K], and each row of a is walked once for all of them; a is not packed. Of a transposed one,
 * strips of STRIP rows are.
 */
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/epilogue.h"
#include "kernels/cpu/vec/pack.h"

enum {
    WANTED_PARTS = 32,
    BLOCK_BYTES = 384 * 1024, /* packed row tiles, or a panel, that a part keeps in L2 */
    PACK_ROWS = 32,           /* of b, packed by a part */
    NARROW = 4,
    STRIP = 4 * VEC_W, /* rows of y */
};

/* Who packs what: phase 0 both; or phase 0 one operand, and the parts the other. */
typedef enum packing { PACK_FIRST, LATE_A, LATE_B } packing;

typedef struct plan {
    int64_t batch, m, n, k, a_step, b_step; /* steps between matrices; 0: the same for all */
    int64_t a_row, a_col, b_row, b_col;     /* strides of a[m,k], b[k,n] */
    int32_t rows, last_rows;                /* of a tile, and of the last one */
    int32_t tiles, panels;
    int32_t tile_parts, panel_parts; /* of one matrix */
    int32_t tile_block;              /* that a part works on at a time */
    int64_t packed_b, packed_a;      /* floats for one matrix */
    packing packing;
    bool narrow;
} plan;

/* The packing, and a matrix cut into about so many parts. */
static void divide(plan *p, int32_t parts)
{
    bool pieces_fit = p->k * TILE_COLS * (int64_t)sizeof(float) <= BLOCK_BYTES;
    p->tile_parts = p->panel_parts = 1;
    if (p->narrow) return;
    if (2 * p->packed_a < p->packed_b && p->panels * p->batch >= WANTED_PARTS / 2) {
        p->panel_parts = p->panels < parts ? p->panels : parts;
        if (pieces_fit) p->packing = LATE_B;
    } else if (p->packed_b <= p->packed_a && p->tiles * p->batch >= WANTED_PARTS / 2) {
        p->tile_parts = p->tiles < parts ? p->tiles : parts;
        if (pieces_fit) p->packing = LATE_A;
    } else {
        p->tile_parts = p->tiles < parts ? p->tiles : parts;
        p->panel_parts = (int32_t)min64(p->panels, ceil_div(parts, p->tile_parts));
    }
}

static plan make_plan(const gen_call *c)
{
    const gen_shape *a = &c->in[0].shape, *b = &c->in[1].shape, *y = &c->out[0].shape;
    plan p = { .m = y->dim[y->rank - 2], .n = y->dim[y->rank - 1] };
    bool ta = c->attr->trans_a, tb = c->attr->trans_b;
    p.k = a->dim[a->rank - (ta ? 2 : 1)];
    p.batch = p.m > 0 && p.n > 0 ? gen_shape_count(y) / (p.m * p.n) : 0;
    p.a_step = gen_shape_count(a) == p.m * p.k ? 0 : p.m * p.k;
    p.b_step = gen_shape_count(b) == p.n * p.k ? 0 : p.n * p.k;
    p.a_row = ta ? 1 : p.k, p.a_col = ta ? p.m : 1;
    p.b_row = tb ? 1 : p.n, p.b_col = tb ? p.k : 1;
    p.narrow = p.n <= NARROW && (ta ? p.m % STRIP == 0 : p.k >= 2 * VEC_W);
    p.rows = best_rows(p.m);
    p.last_rows = p.m % p.rows ? height_for(p.m % p.rows) : p.rows;
    p.tiles = (int32_t)ceil_div(p.m, p.rows);
    p.panels = (int32_t)ceil_div(p.n, TILE_COLS);
    p.packed_a = (int64_t)p.tiles * ceil_div(p.k, TILE_GROUP) * p.rows * TILE_GROUP;
    p.packed_b = p.narrow ? p.n * ceil_div(p.k, VEC_W) * VEC_W : p.panels * p.k * TILE_COLS;
    p.tile_block = (int32_t)max64(1, BLOCK_BYTES / (int64_t)sizeof(float) / max64(1, p.k * p.rows));
    divide(&p, (int32_t)ceil_div(WANTED_PARTS, max64(1, p.batch)));
    return p;
}

/* Every leading axis is shared by both operands, or one operand is a single matrix. */
static bool fits(const gen_call *c)
{
    const gen_shape *a = &c->in[0].shape, *b = &c->in[1].shape, *y = &c->out[0].shape;
    if (y->rank < 2 || a->rank < 2 || b->rank < 2) return false;
    int64_t batch = 1, a_batch = 1, b_batch = 1;
    for (int i = 0; i < y->rank - 2; i++) batch *= y->dim[i];
    for (int i = 0; i < a->rank - 2; i++) a_batch *= a->dim[i];
    for (int i = 0; i < b->rank - 2; i++) b_batch *= b->dim[i];
    return (a_batch == batch || a_batch == 1) && (b_batch == batch || b_batch == 1);
}

/* Blocks of b that are packed at once: rows of it as it lies in memory. */
static int64_t pack_blocks(const plan *p)
{
    return p->b_col == 1 ? ceil_div(p->k, PACK_ROWS) : p->panels;
}
static int32_t pack_parts(const plan *p)
{
    if (p->packing == LATE_B) return 0;
    return (int32_t)(pack_blocks(p) * (p->b_step ? p->batch : 1));
}
static int32_t pack_a_parts(const plan *p)
{
    if (p->packing == LATE_A) return 0;
    return (int32_t)ceil_div(p->tiles, 4) * (int32_t)(p->a_step ? p->batch : 1);
}

/* Floats of a before or behind b in shared memory. */
static int64_t shared_b(const plan *p)
{
    return p->packing == LATE_B ? 0 : p->packed_b * (p->b_step ? p->batch : 1);
}
static int64_t shared_a(const plan *p)
{
    return p->packing == LATE_A || p->narrow ? 0 : p->packed_a * (p->a_step ? p->batch : 1);
}

static int64_t tile_floats(const plan *p, int64_t rows)
{
    return ceil_div(p->k, TILE_GROUP) * rows * TILE_GROUP;
}

static void setup(const gen_call *c, cpu_work *w)
{
    plan p = make_plan(c);
    w->n_phases = 2;
    w->shared_bytes = sizeof(float) * (size_t)(shared_b(&p) + shared_a(&p));
    if (p.narrow) {
        w->parts[0] = 1;
        w->parts[1] = p.a_row == 1 ? (int32_t)(p.batch * p.m / STRIP)
                                   : cpu_parts_for(p.batch * p.m, max64(1, 16384 / max64(1, p.k)));
        return;
    }
    if (p.packing == LATE_A)
        w->thread_bytes = sizeof(float) * (size_t)(min64(p.tile_block, p.tiles) * tile_floats(&p, p.rows));
    if (p.packing == LATE_B) w->thread_bytes = sizeof(float) * (size_t)(p.k * TILE_COLS);
    w->parts[0] = (int32_t)max64(1, pack_parts(&p) + pack_a_parts(&p));
    w->parts[1] = (int32_t)max64(1, p.batch * p.tile_parts * p.panel_parts);
}

/* ---- phase 0 ------------------------------------------------------------------------------------------------------------------------------------ */

/* b as it lies: rows k0 … of all panels. Whole rows are read, since a panel's width of each would be a page of memory for two lines. */
static void pack_b_rows(const plan *p, const float *b, int64_t k0, float *to)
{
    for (int64_t k = k0; k < min64(k0 + PACK_ROWS, p->k); k++)
        for (int64_t panel = 0; panel < p->panels; panel++)
            pack_line(b + k * p->b_row + panel * TILE_COLS, p->n - panel * TILE_COLS,
                      to + (panel * p->k + k) * TILE_COLS);
}

/* One panel, to [K][TILE_COLS]. */
static void pack_b_panel(const plan *p, const float *b, int64_t panel, float *to)
{
    pack_columns_of_b(b + panel * TILE_COLS * p->b_col, p->b_row, p->b_col, p->n - panel * TILE_COLS, p->k, to);
}

static void pack_b(const gen_call *c, const plan *p, int32_t part, float *shared)
{
    int64_t blocks = pack_blocks(p), block = part % blocks, batch = part / blocks;
    const float *b = (const float *)c->in[1].data + batch * p->b_step;
    float *to = shared + batch * p->packed_b;
    if (p->b_col == 1) pack_b_rows(p, b, block * PACK_ROWS, to);
    else pack_b_panel(p, b, block, to + block * p->k * TILE_COLS);
}

/* One tile of a, to [ceil(K/16)][rows][16]. */
static void pack_a_tile(const plan *p, const float *a, int64_t tile, float *to)
{
    int64_t n = min64(p->rows, p->m - tile * p->rows), rows = tile + 1 < p->tiles ? p->rows : p->last_rows;
    pack_rows_of_a(a + tile * p->rows * p->a_row, p->a_row, p->a_col, n, rows, p->k, to);
}

static void pack_a(const gen_call *c, const plan *p, int32_t part, float *packed)
{
    int32_t quads = (int32_t)ceil_div(p->tiles, 4);
    int64_t batch = part / quads, tile0 = part % quads * 4;
    const float *a = (const float *)c->in[0].data + batch * p->a_step;
    for (int64_t tile = tile0; tile < min64(tile0 + 4, p->tiles); tile++)
        pack_a_tile(p, a, tile, packed + batch * p->packed_a + tile * tile_floats(p, p->rows));
}

static void pack_columns(const gen_call *c, const plan *p, float *shared)
{
    int64_t ld = p->packed_b / p->n, matrices = p->b_step ? p->batch : 1;
    for (int64_t batch = 0; batch < matrices; batch++)
        for (int64_t n = 0; n < p->n; n++) {
            const float *b = (const float *)c->in[1].data + batch * p->b_step + n * p->b_col;
            float *to = shared + batch * p->packed_b + n * ld;
            for (int64_t k = 0; k < ld; k++) to[k] = k < p->k ? b[k * p->b_row] : 0.0f;
        }
}

/* ---- phase 1 ------------------------------------------------------------------------------------------------------------------------------------ */

/* Tiles of one panel that have the same height, of which the first begins at y; rows from m on are not stored. */
VEC_INLINE void tiles_of(const int rows, const plan *p, const epilogue *e, const float *a, const float *b, float *y,
                         int64_t m, int64_t tiles, int64_t panel)
{
    for (int64_t tile = 0; tile < tiles; tile++, a += tile_floats(p, rows), y += rows * p->n, m -= rows) {
        vecf acc[TILE_ROWS][TILE_VECS];
        float *row[TILE_ROWS];
        for (int i = 0; i < rows; i++) row[i] = i < m ? y + i * p->n : NULL;
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < TILE_COLS; j += 16) __builtin_prefetch(y + i * p->n + panel * TILE_COLS + j, 1, 3);
        tile_zero(rows, TILE_VECS, acc);
        tile_product(rows, p->k, a, b, acc);
        epilogue_tile(e, rows, acc, row, panel * TILE_COLS, (int)min64(TILE_COLS, p->n - panel * TILE_COLS));
    }
}

static void run_height(int32_t rows, const plan *p, const epilogue *e, const float *a, const float *b, float *y,
                       int64_t m, int64_t tiles, int64_t panel)
{
    switch (rows) {
#define HEIGHT(rows)                                                                                                   \
    case rows: tiles_of(rows, p, e, a, b, y, m, tiles, panel); break;
        HEIGHTS(HEIGHT)
#undef HEIGHT
    default: break;
    }
}

/* Tiles tile0 to tile1 of one panel: those of the usual height, and perhaps the last. a begins at tile0. */
static void run_panel(const plan *p, const epilogue *e, const float *a, const float *columns, float *y, int64_t tile0,
                      int64_t tile1, int64_t panel)
{
    int64_t tall = tile1 < p->tiles || p->last_rows == p->rows ? tile1 : tile1 - 1, m0 = tile0 * p->rows,
            m1 = tall * p->rows;
    run_height(p->rows, p, e, a, columns, y + m0 * p->n, p->m - m0, tall - tile0, panel);
    if (tall < tile1)
        run_height(p->last_rows, p, e, a + (tall - tile0) * tile_floats(p, p->rows), columns, y + m1 * p->n, p->m - m1,
                   1, panel);
}

static void run_tiles(const gen_call *c, const cpu_job *job, const plan *p)
{
    const epilogue e = epilogue_of(c);
    int64_t i = job->part, panel_part = i % p->panel_parts, tile_part = i / p->panel_parts % p->tile_parts,
            batch = i / p->panel_parts / p->tile_parts;
    if (batch >= p->batch) return;
    int64_t tile0 = tile_part * p->tiles / p->tile_parts, tile1 = (tile_part + 1) * p->tiles / p->tile_parts;
    int64_t panel0 = panel_part * p->panels / p->panel_parts, panel1 = (panel_part + 1) * p->panels / p->panel_parts;
    float *y = (float *)c->out[0].data + batch * p->m * p->n;
    const float *from_a = (const float *)c->in[0].data + batch * p->a_step,
                *from_b = (const float *)c->in[1].data + batch * p->b_step;
    const float *packed_b = (const float *)job->shared + (p->b_step ? batch * p->packed_b : 0);
    const float *packed_a = (const float *)job->shared + shared_b(p) + (p->a_step ? batch * p->packed_a : 0);
    int64_t step = p->packing == LATE_B ? tile1 - tile0 : p->tile_block;
    for (; tile0 < tile1; tile0 += step) {
        int64_t end = min64(tile0 + step, tile1);
        const float *a = packed_a + tile0 * tile_floats(p, p->rows);
        if (p->packing == LATE_A) {
            for (int64_t tile = tile0; tile < end; tile++)
                pack_a_tile(p, from_a, tile, (float *)job->scratch + (tile - tile0) * tile_floats(p, p->rows));
            a = job->scratch;
        }
        for (int64_t panel = panel0; panel < panel1; panel++) {
            const float *columns = packed_b + panel * p->k * TILE_COLS;
            if (p->packing == LATE_B) pack_b_panel(p, from_b, panel, job->scratch), columns = job->scratch;
            run_panel(p, &e, a, columns, y, tile0, end, panel);
        }
    }
}

VEC_INLINE void dot_row(const int n, const float *a, const float *b, int64_t ld, int64_t k, float *sum)
{
    vecf acc[NARROW][2];
    VEC_UNROLL
    for (int j = 0; j < n; j++) acc[j][0] = acc[j][1] = vec_set(0);
    int64_t i = 0;
    for (; i + 2 * VEC_W <= k; i += 2 * VEC_W) {
        vecf x = vec_load(a + i), z = vec_load(a + i + VEC_W);
        VEC_UNROLL
        for (int j = 0; j < n; j++) {
            acc[j][0] = vec_fma(x, vec_load(b + j * ld + i), acc[j][0]);
            acc[j][1] = vec_fma(z, vec_load(b + j * ld + i + VEC_W), acc[j][1]);
        }
    }
    for (; i < k; i += VEC_W) {
        vecf x = vec_load_n(a + i, (int)min64(VEC_W, k - i));
        VEC_UNROLL
        for (int j = 0; j < n; j++) acc[j][0] = vec_fma(x, vec_load(b + j * ld + i), acc[j][0]);
    }
    VEC_UNROLL
    for (int j = 0; j < n; j++) sum[j] = vec_sum(acc[j][0] + acc[j][1]);
}

/* STRIP neighbouring rows of y, whose columns are neighbours in a[K,M]: to sum[n][STRIP] */
VEC_INLINE void strip(const int n, const plan *p, const float *a, const float *b, int64_t ld, float *sum)
{
    enum { VECS = STRIP / VEC_W, AHEAD = 16 };
    vecf acc[NARROW][VECS];
    VEC_UNROLL
    for (int j = 0; j < n; j++) {
        VEC_UNROLL
        for (int v = 0; v < VECS; v++) acc[j][v] = vec_set(0);
    }
    for (int64_t k = 0; k < p->k; k++, a += p->a_col) {
        VEC_UNROLL
        for (int v = 0; v < VECS; v++) {
            const vecf x = vec_load(a + v * VEC_W);
            __builtin_prefetch(a + AHEAD * p->a_col + v * VEC_W, 0, 3);
            VEC_UNROLL
            for (int j = 0; j < n; j++) acc[j][v] = vec_fma(x, vec_set(b[j * ld + k]), acc[j][v]);
        }
    }
    VEC_UNROLL
    for (int j = 0; j < n; j++) {
        VEC_UNROLL
        for (int v = 0; v < VECS; v++) vec_store(sum + j * STRIP + v * VEC_W, acc[j][v]);
    }
}

static void run_strip(const gen_call *c, const cpu_job *job, const plan *p)
{
    const epilogue e = epilogue_of(c);
    int64_t ld = p->packed_b / p->n, row = job->part * STRIP, batch = row / p->m;
    const float *a = (const float *)c->in[0].data + batch * p->a_step + row % p->m;
    const float *b = (const float *)job->shared + (p->b_step ? batch * p->packed_b : 0);
    float sum[NARROW * STRIP];
    switch (p->n) {
    case 1: strip(1, p, a, b, ld, sum); break;
    case 2: strip(2, p, a, b, ld, sum); break;
    case 3: strip(3, p, a, b, ld, sum); break;
    default: strip(4, p, a, b, ld, sum); break;
    }
    for (int64_t i = 0; i < STRIP; i++) {
        float *y = (float *)c->out[0].data + (row + i) * p->n, of_row[VEC_W] = { 0 };
        for (int64_t j = 0; j < p->n; j++) of_row[j] = sum[j * STRIP + i];
        epilogue_store(&e, vec_load(of_row), y, 0, (int)p->n);
        if (e.late) epilogue_late(&e, y, p->n);
    }
}

static void run_narrow(const gen_call *c, const cpu_job *job, const plan *p)
{
    const epilogue e = epilogue_of(c);
    int64_t begin, end, ld = p->packed_b / p->n;
    cpu_part_range(job, p->batch * p->m, 1, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        int64_t batch = row / p->m, m = row % p->m;
        const float *a = (const float *)c->in[0].data + batch * p->a_step + m * p->a_row;
        const float *b = (const float *)job->shared + (p->b_step ? batch * p->packed_b : 0);
        float sum[VEC_W] = { 0 };
        switch (p->n) {
        case 1: dot_row(1, a, b, ld, p->k, sum); break;
        case 2: dot_row(2, a, b, ld, p->k, sum); break;
        case 3: dot_row(3, a, b, ld, p->k, sum); break;
        default: dot_row(4, a, b, ld, p->k, sum); break;
        }
        float *y = (float *)c->out[0].data + row * p->n;
        epilogue_store(&e, vec_load(sum), y, 0, (int)p->n);
        if (e.late) epilogue_late(&e, y, p->n);
    }
}

static void pack(const gen_call *c, const cpu_job *job, const plan *p)
{
    int32_t b_parts = pack_parts(p);
    if (p->narrow) pack_columns(c, p, job->shared);
    else if (job->part < b_parts) pack_b(c, p, job->part, job->shared);
    else if (job->part < b_parts + pack_a_parts(p))
        pack_a(c, p, job->part - b_parts, (float *)job->shared + shared_b(p));
}

static void run(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    if (job->phase == 0) pack(c, job, &p);
    else if (p.narrow && p.a_row == 1) run_strip(c, job, &p);
    else if (p.narrow) run_narrow(c, job, &p);
    else run_tiles(c, job, &p);
}

const cpu_kernel VEC_FN(matmul_packed) = { VEC_NAME("matmul packed"), fits, setup, NULL, run };
