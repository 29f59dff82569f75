/* kernels/cpu/bf16/matmul.c: products of matrices in bfloat16, y[b,m,n] = act(sum_k a[b,m,k] b[b,k,n] + bias[n] + residual), either operand transposed.
 *
 *   phase 0  packs into shared memory what several parts read: b as [panel][pairs][TILE_COLS], columns past N zero; a as [tile][ceil(pairs/16)][rows][16]
 *   phase 1  a part takes a range of row tiles and a range of panels of one matrix. An operand that no other part reads is packed here, a piece that stays
 *            in L2 at a time: a where the panels are not divided, else b where the tiles are not.
 */
#include "kernels/cpu/bf16/pairs.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/pack.h"

enum {
    WANTED_PARTS = 32,
    BLOCK_BYTES = 384 * 1024, /* packed row tiles that a part keeps in L2 */
    PACK_PAIRS = 16,          /* rows of b / 2, packed by a part */
    PACK_TILES = 4,           /* of a, packed by a part */
    NARROW = 4,               /* columns: so few are a matter of memory, and stay float */
};

typedef struct plan {
    int64_t batch, m, n, k, a_step, b_step; /* steps between matrices; 0: the same for all */
    int64_t a_row, a_col, b_row, b_col;     /* strides of a[m,k], b[k,n] */
    int64_t pairs;                          /* of a sum */
    int32_t rows, last_rows;                /* of a tile, and of the last one */
    int32_t tiles, panels;
    int32_t tile_parts, panel_parts; /* of one matrix */
    int32_t tile_block;              /* that a part works on at a time */
    int64_t packed_b, packed_a;      /* pairs for one matrix */
    bool late_a, late_b;             /* packed by the parts */
} plan;

static int64_t tile_pairs(const plan *p, int64_t rows)
{
    return ceil_div(p->pairs, PAIR_GROUP) * rows * PAIR_GROUP;
}

/* A matrix in about so many parts, along its longer side first. */
static void divide(plan *p, int32_t parts)
{
    bool wide = p->packed_b > p->packed_a;
    int32_t *first = wide ? &p->panel_parts : &p->tile_parts, *second = wide ? &p->tile_parts : &p->panel_parts;
    *first = (int32_t)max64(1, min64(wide ? p->panels : p->tiles, parts));
    *second = (int32_t)max64(1, min64(wide ? p->tiles : p->panels, parts / *first));
    p->late_a = p->panel_parts == 1;
    p->late_b = !p->late_a && p->tile_parts == 1;
}

static plan make_plan(const gen_call *c)
{
    const gen_shape *a = &c->in[0].shape, *b = &c->in[1].shape, *y = &c->out[0].shape;
    plan p = { .m = y->dim[y->rank - 2], .n = y->dim[y->rank - 1] };
    bool ta = c->attr->trans_a, tb = c->attr->trans_b;
    p.k = a->dim[a->rank - (ta ? 2 : 1)];
    p.pairs = ceil_div(p.k, 2);
    p.batch = p.m > 0 && p.n > 0 ? gen_shape_count(y) / (p.m * p.n) : 0;
    p.a_step = gen_shape_count(a) == p.m * p.k ? 0 : p.m * p.k;
    p.b_step = gen_shape_count(b) == p.n * p.k ? 0 : p.n * p.k;
    p.a_row = ta ? 1 : p.k, p.a_col = ta ? p.m : 1;
    p.b_row = tb ? 1 : p.n, p.b_col = tb ? p.k : 1;
    p.rows = best_rows(p.m);
    p.last_rows = p.m % p.rows ? height_for(p.m % p.rows) : p.rows;
    p.tiles = (int32_t)ceil_div(p.m, p.rows);
    p.panels = (int32_t)ceil_div(p.n, TILE_COLS);
    p.packed_a = p.tiles * tile_pairs(&p, p.rows);
    p.packed_b = p.panels * p.pairs * TILE_COLS;
    divide(&p, (int32_t)ceil_div(WANTED_PARTS, max64(1, p.batch)));
    int64_t fits = BLOCK_BYTES / (int64_t)sizeof(pair) / max64(1, tile_pairs(&p, p.rows));
    p.tile_block = (int32_t)max64(1, min64(fits, p.tiles));
    return p;
}

/* Every leading axis is shared by both operands, or one operand is a single matrix. */
static bool fits(const gen_call *c)
{
    const gen_shape *a = &c->in[0].shape, *b = &c->in[1].shape, *y = &c->out[0].shape;
    if (y->rank < 2 || a->rank < 2 || b->rank < 2 || y->dim[y->rank - 1] <= NARROW) return false;
    int64_t batch = 1, a_batch = 1, b_batch = 1;
    for (int i = 0; i < y->rank - 2; i++) batch *= y->dim[i];
    for (int i = 0; i < a->rank - 2; i++) a_batch *= a->dim[i];
    for (int i = 0; i < b->rank - 2; i++) b_batch *= b->dim[i];
    return (a_batch == batch || a_batch == 1) && (b_batch == batch || b_batch == 1);
}

/* Pieces of b that are packed at once: two rows at a time as they lie in memory, or a panel. */
static int64_t b_pieces(const plan *p)
{
    return p->b_col == 1 ? ceil_div(p->pairs, PACK_PAIRS) : p->panels;
}
static int64_t b_matrices(const plan *p)
{
    return p->late_b ? 0 : p->b_step ? p->batch : 1;
}
static int64_t a_matrices(const plan *p)
{
    return p->late_a ? 0 : p->a_step ? p->batch : 1;
}

static void setup(const gen_call *c, cpu_work *w)
{
    plan p = make_plan(c);
    w->n_phases = 2;
    w->shared_bytes = sizeof(pair) * (size_t)(b_matrices(&p) * p.packed_b + a_matrices(&p) * p.packed_a);
    if (p.late_a) w->thread_bytes = sizeof(pair) * (size_t)(p.tile_block * tile_pairs(&p, p.rows));
    if (p.late_b) w->thread_bytes = sizeof(pair) * (size_t)(p.pairs * TILE_COLS);
    w->parts[0] = (int32_t)max64(1, b_matrices(&p) * b_pieces(&p) + a_matrices(&p) * ceil_div(p.tiles, PACK_TILES));
    w->parts[1] = (int32_t)max64(1, p.batch * p.tile_parts * p.panel_parts);
}

/* ---- packing ------------------------------------------------------------------------------------------------------------------------------------ */

/* Pairs k0 to k1 of the panels from `panel` to `end` of b as it lies. Whole rows are read, since a panel's width of each would be a page for two lines. */
static void pack_b_rows(const plan *p, const float *b, int64_t k0, int64_t k1, int64_t panel0, int64_t panel1, pair *to)
{
    for (int64_t k = k0; k < k1; k++) {
        const float *even = b + 2 * k * p->b_row, *odd = 2 * k + 1 < p->k ? even + p->b_row : NULL;
        for (int64_t panel = panel0; panel < panel1; panel++) {
            int64_t at = panel * TILE_COLS;
            pair_put_line(to + ((panel - panel0) * p->pairs + k) * TILE_COLS, even + at, odd ? odd + at : NULL,
                          p->n - at);
        }
    }
}

/* One panel of b transposed: its columns are rows in memory. */
static void pack_b_columns(const plan *p, const float *b, int64_t panel, pair *to)
{
    pair_put_columns(to, b + panel * TILE_COLS * p->b_col, p->b_col, p->k, min64(TILE_COLS, p->n - panel * TILE_COLS));
}

static void pack_b_panel(const plan *p, const float *b, int64_t panel, pair *to)
{
    if (p->b_col == 1) pack_b_rows(p, b, 0, p->pairs, panel, panel + 1, to);
    else pack_b_columns(p, b, panel, to);
}

static void pack_b(const gen_call *c, const plan *p, int64_t part, pair *shared)
{
    int64_t piece = part % b_pieces(p), batch = part / b_pieces(p);
    const float *b = (const float *)c->in[1].data + batch * p->b_step;
    pair *to = shared + batch * p->packed_b;
    if (p->b_col == 1)
        pack_b_rows(p, b, piece * PACK_PAIRS, min64((piece + 1) * PACK_PAIRS, p->pairs), 0, p->panels, to);
    else pack_b_columns(p, b, piece, to + piece * p->pairs * TILE_COLS);
}

/* Sixteen pairs from k on of n rows of a; to[row][16]. */
static void pack_a_group(const plan *p, const float *a, int64_t n, int64_t k, pair *to)
{
    if (p->a_col == 1) {
        for (int64_t i = 0; i < n; i++) pair_put_row(to + i * PAIR_GROUP, a + i * p->a_row + 2 * k, p->k - 2 * k);
        return;
    }
    pair block[PAIR_GROUP * PAIR_GROUP];
    int64_t pairs = min64(PAIR_GROUP, p->pairs - k);
    for (int64_t i = 0; i < pairs; i++) {
        const float *even = a + 2 * (k + i) * p->a_col;
        pair_put_column(block + i * PAIR_GROUP, even, 2 * (k + i) + 1 < p->k ? even + p->a_col : NULL, n);
    }
    pair_transpose(pairs, n, block, to, PAIR_GROUP);
}

/* One tile of a, to [ceil(pairs/16)][rows][16]; rows past the last keep what is there: their results are not stored. */
static void pack_a_tile(const plan *p, const float *a, int64_t tile, pair *to)
{
    int64_t n = min64(p->rows, p->m - tile * p->rows), rows = tile + 1 < p->tiles ? p->rows : p->last_rows;
    a += tile * p->rows * p->a_row;
    for (int64_t k = 0; k < p->pairs; k += PAIR_GROUP, to += rows * PAIR_GROUP) pack_a_group(p, a, n, k, to);
}

static void pack_a(const gen_call *c, const plan *p, int64_t part, pair *packed)
{
    int64_t pieces = ceil_div(p->tiles, PACK_TILES), batch = part / pieces, tile0 = part % pieces * PACK_TILES;
    const float *a = (const float *)c->in[0].data + batch * p->a_step;
    for (int64_t tile = tile0; tile < min64(tile0 + PACK_TILES, p->tiles); tile++)
        pack_a_tile(p, a, tile, packed + batch * p->packed_a + tile * tile_pairs(p, p->rows));
}

static void pack(const gen_call *c, const cpu_job *job, const plan *p)
{
    int64_t b_parts = b_matrices(p) * b_pieces(p), a_parts = a_matrices(p) * ceil_div(p->tiles, PACK_TILES);
    if (job->part < b_parts) pack_b(c, p, job->part, job->shared);
    else if (job->part < b_parts + a_parts)
        pack_a(c, p, job->part - b_parts, (pair *)job->shared + b_matrices(p) * p->packed_b);
}

/* ---- products ----------------------------------------------------------------------------------------------------------------------------------- */

/* Tiles of one panel that have the same height, of which the first begins at y; rows from m on are not stored. */
VEC_INLINE void tiles_of(const int rows, const plan *p, const epilogue *e, const pair *a, const pair *b, float *y,
                         int64_t m, int64_t tiles, int64_t panel)
{
    for (int64_t tile = 0; tile < tiles; tile++, a += tile_pairs(p, rows), y += rows * p->n, m -= rows) {
        vecf acc[TILE_ROWS][TILE_VECS];
        float *row[TILE_ROWS];
        for (int i = 0; i < rows; i++) row[i] = i < m ? y + i * p->n : NULL;
        tile_zero(rows, TILE_VECS, acc);
        pair_product(rows, p->pairs, a, b, acc);
        epilogue_tile(e, rows, acc, row, panel * TILE_COLS, (int)min64(TILE_COLS, p->n - panel * TILE_COLS));
    }
}

static void run_height(int32_t rows, const plan *p, const epilogue *e, const pair *a, const pair *b, float *y,
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

/* Tiles tile0 to tile1 of one panel: those of the usual height, and perhaps the last. a begins at tile0, y is the whole matrix. */
static void run_panel(const plan *p, const epilogue *e, const pair *a, const pair *columns, float *y, int64_t tile0,
                      int64_t tile1, int64_t panel)
{
    int64_t tall = tile1 < p->tiles || p->last_rows == p->rows ? tile1 : tile1 - 1, m0 = tile0 * p->rows,
            m1 = tall * p->rows;
    run_height(p->rows, p, e, a, columns, y + m0 * p->n, p->m - m0, tall - tile0, panel);
    if (tall < tile1)
        run_height(p->last_rows, p, e, a + (tall - tile0) * tile_pairs(p, p->rows), columns, y + m1 * p->n, p->m - m1,
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
    const pair *packed_b = (const pair *)job->shared + (p->b_step ? batch * p->packed_b : 0);
    const pair *packed_a =
        (const pair *)job->shared + b_matrices(p) * p->packed_b + (p->a_step ? batch * p->packed_a : 0);
    int64_t step = p->late_b ? tile1 - tile0 : p->tile_block;
    for (; tile0 < tile1; tile0 += step) {
        int64_t end = min64(tile0 + step, tile1);
        const pair *a = p->late_a ? job->scratch : packed_a + tile0 * tile_pairs(p, p->rows);
        for (int64_t tile = tile0; p->late_a && tile < end; tile++)
            pack_a_tile(p, from_a, tile, (pair *)job->scratch + (tile - tile0) * tile_pairs(p, p->rows));
        for (int64_t panel = panel0; panel < panel1; panel++) {
            const pair *columns = p->late_b ? job->scratch : packed_b + panel * p->pairs * TILE_COLS;
            if (p->late_b) pack_b_panel(p, from_b, panel, job->scratch);
            run_panel(p, &e, a, columns, y, tile0, end, panel);
        }
    }
}

static void run(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    if (job->phase == 0) pack(c, job, &p);
    else run_tiles(c, job, &p);
}

const cpu_kernel VEC_FN(matmul_packed) = { VEC_NAME("matmul packed"), fits, setup, NULL, run };
