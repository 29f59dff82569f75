/* kernels/cpu/vec/matmul_strassen.c: large products with seven of eight multiplications (Strassen 1969, Numerische Mathematik 13), one level.
 *
 *     M1 = (A11 + A22)(B11 + B22)   M2 = (A21 + A22) B11   M3 = A11 (B12 - B22)   M4 = A22 (B21 - B11)
 *     M5 = (A11 + A12) B22          M6 = (A21 - A11)(B11 + B12)                   M7 = (A12 - A22)(B21 + B22)
 *
 *     C11 = M1 + M4 - M5 + M7   C12 = M3 + M5   C21 = M2 + M4   C22 = M1 - M2 + M3 + M6
 *
 * The sums cost next to nothing here: those of A and B are made while they are packed, from what is in L1 anyway, those of C from registers, for one
 * tile of each quarter at a time (a quad; 4 x 14 x 32 floats, in L1). So no quarter is read more often than a plain product reads it.
 *
 * The larger operand is packed by the parts that divide it, seven sums of a pair of panels (row tiles) at a time, to stay in L2; the smaller one
 * beforehand. What is rounded is a few times what a plain product rounds, and relative to the matrices' size rather than to each element's
 * (Higham 2002, Accuracy and Stability, section 23.2.2). GEN_MATMUL=plain: never.
 */
#include <stdlib.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/epilogue.h"
#include "kernels/cpu/vec/pack.h"

enum {
    SUMS = 7,
    PARTS = 16,
    MIN_ROWS = 128, /* below, and with fewer columns or less depth, too little is saved */
    MIN_COLS = 128,
    MIN_DEPTH = 256,
    BLOCK_BYTES = 448 * 1024, /* packed sums that a part keeps in L2 */
};

typedef struct plan {
    int64_t m, n, k;                    /* of a quarter */
    int64_t a_row, a_col, b_row, b_col; /* strides */
    int32_t rows, last_rows;            /* of a tile, and of the last one */
    int32_t tiles, panels;              /* of a quarter */
    bool late_b;                        /* the parts divide and pack b; otherwise a */
} plan;

static plan make_plan(const gen_call *c)
{
    const gen_shape *a = &c->in[0].shape, *y = &c->out[0].shape;
    bool ta = c->attr->trans_a, tb = c->attr->trans_b;
    int64_t m = y->dim[y->rank - 2], n = y->dim[y->rank - 1], k = a->dim[a->rank - (ta ? 2 : 1)];
    plan p = { .m = m / 2, .n = n / 2, .k = k / 2, .late_b = n > m };
    p.a_row = ta ? 1 : k, p.a_col = ta ? m : 1;
    p.b_row = tb ? 1 : n, p.b_col = tb ? k : 1;
    p.rows = best_rows(p.m);
    p.last_rows = p.m % p.rows ? height_for(p.m % p.rows) : p.rows;
    p.tiles = (int32_t)((p.m + p.rows - 1) / p.rows);
    p.panels = (int32_t)(p.n / TILE_COLS);
    return p;
}

static bool fits(const gen_call *c)
{
    const gen_shape *a = &c->in[0].shape, *b = &c->in[1].shape, *y = &c->out[0].shape;
    const char *asked = getenv("GEN_MATMUL");
    if (y->rank < 2 || a->rank < 2 || b->rank < 2 || (asked && strcmp(asked, "plain") == 0)) return false;
    int64_t m = y->dim[y->rank - 2], n = y->dim[y->rank - 1], k = a->dim[a->rank - (c->attr->trans_a ? 2 : 1)];
    return gen_shape_count(y) == m * n && gen_shape_count(a) == m * k && gen_shape_count(b) == k * n && m >= MIN_ROWS &&
           n >= MIN_COLS && k >= MIN_DEPTH && m % 2 == 0 && n % (2 * TILE_COLS) == 0 && k % (2 * TILE_GROUP) == 0;
}

/* Floats of the seven sums of a tile of a, or of a panel of b. */
static int64_t tile_floats(const plan *p, int64_t rows)
{
    return SUMS * p->k * rows;
}
static int64_t panel_floats(const plan *p)
{
    return SUMS * p->k * TILE_COLS;
}

/* Tiles that a part packs at once. */
static int64_t block_tiles(const plan *p)
{
    int64_t n = BLOCK_BYTES / (int64_t)sizeof(float) / tile_floats(p, p->rows);
    return n < 1 ? 1 : n;
}

static void setup(const gen_call *c, cpu_work *w)
{
    plan p = make_plan(c);
    int64_t a = tile_floats(&p, p.rows), b = panel_floats(&p);
    int32_t packed = p.late_b ? p.tiles : p.panels, shared = p.late_b ? p.panels : p.tiles;
    w->n_phases = 2;
    w->parts[0] = packed;
    w->parts[1] = shared < PARTS ? shared : PARTS;
    w->shared_bytes = sizeof(float) * (size_t)(packed * (p.late_b ? a : b));
    w->thread_bytes = sizeof(float) * (size_t)(p.late_b ? b : block_tiles(&p) * a);
}

/* ---- packing ------------------------------------------------------------------------------------------------------------------------------- */

/* One vector of each quarter of a, of b, to the seven sums, apart floats from each other. */
VEC_INLINE void sums_of_a(vecf x11, vecf x12, vecf x21, vecf x22, int64_t apart, float *to)
{
    vec_store(to, x11 + x22);
    vec_store(to + apart, x21 + x22);
    vec_store(to + 2 * apart, x11);
    vec_store(to + 3 * apart, x22);
    vec_store(to + 4 * apart, x11 + x12);
    vec_store(to + 5 * apart, x21 - x11);
    vec_store(to + 6 * apart, x12 - x22);
}
VEC_INLINE void sums_of_b(vecf x11, vecf x12, vecf x21, vecf x22, int64_t apart, float *to)
{
    vec_store(to, x11 + x22);
    vec_store(to + apart, x11);
    vec_store(to + 2 * apart, x12 - x22);
    vec_store(to + 3 * apart, x21 - x11);
    vec_store(to + 4 * apart, x22);
    vec_store(to + 5 * apart, x11 + x12);
    vec_store(to + 6 * apart, x21 + x22);
}

/* How far ahead rows are asked for: they lie pages apart, and no prefetcher of the machine follows so many. */
enum { A_AHEAD = 4 * TILE_GROUP, B_AHEAD = 16 };

/* A group of a tile whose rows lie in one piece: a is the first row's, to [rows][16] */
VEC_INLINE void pack_group(const plan *p, const float *a, int64_t n, int64_t rows, float *to)
{
    const int64_t apart = p->k * rows, down = p->m * p->a_row;
    for (int64_t i = 0; i < n; i++, a += p->a_row, to += TILE_GROUP) {
        for (int q = 0; q < 4; q++) __builtin_prefetch(a + q / 2 * down + q % 2 * p->k + A_AHEAD, 0, 2);
        for (int j = 0; j < TILE_GROUP; j += VEC_W)
            sums_of_a(vec_load(a + j), vec_load(a + p->k + j), vec_load(a + down + j), vec_load(a + down + p->k + j),
                      apart, to + j);
    }
    for (int64_t i = n; i < rows; i++, to += TILE_GROUP)
        for (int sum = 0; sum < SUMS; sum++) memset(to + sum * apart, 0, TILE_GROUP * sizeof *to);
}

/* A group of a tile whose columns lie in one piece. */
static void pack_group_across(const plan *p, const float *a, int64_t n, int64_t rows, float *to)
{
    float x[4][TILE_ROWS * TILE_GROUP];
    for (int q = 0; q < 4; q++) {
        const float *from = a + q / 2 * p->m + q % 2 * p->k * p->a_col;
        for (int64_t i = 0; i < TILE_GROUP; i++) __builtin_prefetch(from + (TILE_GROUP + i) * p->a_col, 0, 2);
        pack_rows_of_a(from, p->a_row, p->a_col, n, rows, TILE_GROUP, x[q]);
    }
    for (int64_t i = 0; i < rows * TILE_GROUP; i += VEC_W)
        sums_of_a(vec_load(x[0] + i), vec_load(x[1] + i), vec_load(x[2] + i), vec_load(x[3] + i), p->k * rows, to + i);
}

/* Tile `tile` of a: [7][K/16][rows][16] */
static void pack_tile(const plan *p, const float *a, int64_t tile, float *to)
{
    int64_t rows = tile + 1 < p->tiles ? p->rows : p->last_rows, row0 = tile * p->rows,
            n = p->m - row0 < rows ? p->m - row0 : rows;
    a += row0 * p->a_row;
    for (int64_t k = 0; k < p->k; k += TILE_GROUP, a += TILE_GROUP * p->a_col, to += TILE_GROUP * rows)
        if (p->a_col == 1) pack_group(p, a, n, rows, to);
        else pack_group_across(p, a, n, rows, to);
}

/* 16 rows of a panel of b that lie in one piece, or whose columns do: to [16][TILE_COLS] */
VEC_INLINE void pack_lines(const plan *p, const float *b, float *to)
{
    const int64_t down = p->k * p->b_row;
    for (int64_t i = 0; i < TILE_GROUP; i++, b += p->b_row, to += TILE_COLS)
        for (int j = 0; j < TILE_COLS; j += VEC_W) {
            const float *x = b + j;
            for (int q = 0; q < 4; q++) __builtin_prefetch(x + q / 2 * down + q % 2 * p->n + B_AHEAD * p->b_row, 0, 2);
            sums_of_b(vec_load(x), vec_load(x + p->n), vec_load(x + down), vec_load(x + down + p->n), p->k * TILE_COLS,
                      to + j);
        }
}
static void pack_lines_across(const plan *p, const float *b, float *to)
{
    float x[4][TILE_GROUP * TILE_COLS];
    for (int q = 0; q < 4; q++)
        pack_columns_of_b(b + q / 2 * p->k + q % 2 * p->n * p->b_col, p->b_row, p->b_col, TILE_COLS, TILE_GROUP, x[q]);
    for (int64_t i = 0; i < TILE_GROUP * TILE_COLS; i += VEC_W)
        sums_of_b(vec_load(x[0] + i), vec_load(x[1] + i), vec_load(x[2] + i), vec_load(x[3] + i), p->k * TILE_COLS,
                  to + i);
}

/* Panel `panel` of b: [7][K][TILE_COLS] */
static void pack_panel(const plan *p, const float *b, int64_t panel, float *to)
{
    b += panel * TILE_COLS * p->b_col;
    for (int64_t k = 0; k < p->k; k += TILE_GROUP, b += TILE_GROUP * p->b_row, to += TILE_GROUP * TILE_COLS)
        if (p->b_col == 1) pack_lines(p, b, to);
        else pack_lines_across(p, b, to);
}

/* ---- products ------------------------------------------------------------------------------------------------------------------------------- */

typedef float quad[4][TILE_ROWS * TILE_COLS]; /* sums so far of a tile of C11, C12, C21, C22 */

/* s = acc, s += acc, s -= acc */
VEC_INLINE void begin_sum(const int rows, vecf acc[][TILE_VECS], float *s)
{
    VEC_UNROLL
    for (int i = 0; i < rows; i++) {
        VEC_UNROLL
        for (int j = 0; j < TILE_VECS; j++) vec_store(s + i * TILE_COLS + j * VEC_W, acc[i][j]);
    }
}
VEC_INLINE void add_to(const int rows, vecf acc[][TILE_VECS], float *s)
{
    VEC_UNROLL
    for (int i = 0; i < rows; i++) {
        VEC_UNROLL
        for (int j = 0; j < TILE_VECS; j++) {
            float *at = s + i * TILE_COLS + j * VEC_W;
            vec_store(at, vec_load(at) + acc[i][j]);
        }
    }
}
VEC_INLINE void take_from(const int rows, vecf acc[][TILE_VECS], float *s)
{
    VEC_UNROLL
    for (int i = 0; i < rows; i++) {
        VEC_UNROLL
        for (int j = 0; j < TILE_VECS; j++) {
            float *at = s + i * TILE_COLS + j * VEC_W;
            vec_store(at, vec_load(at) - acc[i][j]);
        }
    }
}

typedef struct target { /* where a quad goes in memory */
    const plan *p;
    const epilogue *e;
    float *y;         /* its first element in C11 */
    int64_t m, panel; /* rows that count; first column / TILE_COLS */
} target;

/* The last sum of quarter q: s + acc, through the epilogue to memory. */
VEC_INLINE void finish(const int rows, vecf acc[][TILE_VECS], const float *s, const target *t, int q)
{
    const plan *p = t->p;
    float *row[TILE_ROWS];
    VEC_UNROLL
    for (int i = 0; i < rows; i++) {
        row[i] = i < t->m ? t->y + (q / 2 * p->m + i) * 2 * p->n : NULL;
        VEC_UNROLL
        for (int j = 0; j < TILE_VECS; j++) acc[i][j] = acc[i][j] + vec_load(s + i * TILE_COLS + j * VEC_W);
    }
    epilogue_tile(t->e, rows, acc, row, t->panel * TILE_COLS + q % 2 * p->n, TILE_COLS);
}

/* The quad of one tile and one panel; a, b: their sums, [7][..] */
VEC_INLINE void quad_of(const int rows, const float *a, const float *b, const target *t)
{
    const int64_t k = t->p->k, a_size = k * rows, b_size = k * TILE_COLS;
    vecf acc[TILE_ROWS][TILE_VECS];
    quad s;
#define PRODUCT(number)                                                                                                \
    tile_zero(rows, TILE_VECS, acc);                                                                                   \
    tile_product(rows, k, a + ((number)-1) * a_size, b + ((number)-1) * b_size, acc)
    PRODUCT(1);
    begin_sum(rows, acc, s[0]), begin_sum(rows, acc, s[3]);
    PRODUCT(2);
    begin_sum(rows, acc, s[2]), take_from(rows, acc, s[3]);
    PRODUCT(3);
    begin_sum(rows, acc, s[1]), add_to(rows, acc, s[3]);
    PRODUCT(4);
    add_to(rows, acc, s[0]), finish(rows, acc, s[2], t, 2);
    PRODUCT(5);
    take_from(rows, acc, s[0]), finish(rows, acc, s[1], t, 1);
    PRODUCT(6);
    finish(rows, acc, s[3], t, 3);
    PRODUCT(7);
    finish(rows, acc, s[0], t, 0);
#undef PRODUCT
}

/* Tiles tile0 to tile1 with one panel; a: the sums of tile0 and what follows. */
static void run_panel(const plan *p, const epilogue *e, const float *a, const float *b, float *y, int64_t tile0,
                      int64_t tile1, int64_t panel)
{
    for (int64_t tile = tile0; tile < tile1; tile++, a += tile_floats(p, p->rows)) {
        const target t = { p, e, y + tile * p->rows * 2 * p->n, p->m - tile * p->rows, panel };
        switch (tile + 1 < p->tiles ? p->rows : p->last_rows) {
#define HEIGHT(rows)                                                                                                   \
    case rows: quad_of(rows, a, b, &t); break;
            HEIGHTS(HEIGHT)
#undef HEIGHT
        default: break;
        }
    }
}

/* A part packs a panel at a time, and walks over all tiles. */
static void run_panels(const gen_call *c, const cpu_job *job, const plan *p)
{
    const epilogue e = epilogue_of(c);
    int64_t panel0 = (int64_t)job->part * p->panels / job->parts,
            panel1 = (int64_t)(job->part + 1) * p->panels / job->parts;
    for (int64_t panel = panel0; panel < panel1; panel++) {
        pack_panel(p, c->in[1].data, panel, job->scratch);
        run_panel(p, &e, job->shared, job->scratch, c->out[0].data, 0, p->tiles, panel);
    }
}

/* A part packs a few tiles at a time, and walks over all panels. */
static void run_tiles(const gen_call *c, const cpu_job *job, const plan *p)
{
    const epilogue e = epilogue_of(c);
    int64_t tile = (int64_t)job->part * p->tiles / job->parts, end = (int64_t)(job->part + 1) * p->tiles / job->parts,
            block = block_tiles(p);
    for (; tile < end; tile += block) {
        int64_t next = tile + block < end ? tile + block : end;
        for (int64_t i = tile; i < next; i++)
            pack_tile(p, c->in[0].data, i, (float *)job->scratch + (i - tile) * tile_floats(p, p->rows));
        for (int64_t panel = 0; panel < p->panels; panel++)
            run_panel(p, &e, job->scratch, (const float *)job->shared + panel * panel_floats(p), c->out[0].data, tile,
                      next, panel);
    }
}

static void run(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    if (job->phase == 0 && p.late_b)
        pack_tile(&p, c->in[0].data, job->part, (float *)job->shared + job->part * tile_floats(&p, p.rows));
    else if (job->phase == 0)
        pack_panel(&p, c->in[1].data, job->part, (float *)job->shared + job->part * panel_floats(&p));
    else if (p.late_b) run_panels(c, job, &p);
    else run_tiles(c, job, &p);
}

const cpu_kernel VEC_FN(matmul_strassen) = { VEC_NAME("matmul strassen"), fits, setup, NULL, run };
