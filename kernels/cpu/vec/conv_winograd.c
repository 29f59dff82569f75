/* kernels/cpu/vec/conv_winograd.c: conv2d and conv2d_t by Winograd's transforms (winograd.h, conv_winograd.h): 2.25 to 4 times fewer products.
 *
 *   phase 0   U = G g G^T for all filters: [output phase][plane][panel][R][TILE_COLS], planes = points^2
 *   phase 1   a part owns a block of tile groups (TILE_ROWS tiles each):
 *               V = B^T x B   [plane][group][R/16][TILE_ROWS][16]      the packed rows that tile_product wants
 *               M = V U       [plane][panel][group][TILE_ROWS][TILE_COLS], some panels at a time
 *               y = A^T M A   with the epilogue, straight to memory; results past the border are dropped
 *
 * V and M of a part stay in L2; U streams through once per block. Tiles are numbered over images, rows and columns, so groups waste nothing at the
 * ends of rows. Results do not depend on the block sizes: the order of each sum is that of R.
 */
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/conv_winograd.h"
#include "kernels/cpu/vec/epilogue.h"
#include "kernels/cpu/vec/winograd.h"

enum {
    BLOCK_BYTES = 640 * 1024, /* V and M of a part: most of the smallest L2 */
    MAX_BLOCK = 4,
    COLUMNS = 64,             /* of M at a time */
    WANTED_PARTS = 16,
    FILTER_ROWS = 16,         /* rows of the filter that a part of phase 0 transforms */
};

typedef struct plan {
    wino_shape w;
    int32_t planes, panels, m_panels;      /* m_panels: of M at a time */
    int64_t v_tile, v_plane, m_plane;      /* floats of a tile group; between planes of V and M */
    int64_t u_plane, u_phase;              /* between planes and output phases of U */
    int32_t block;                         /* tile groups of a part */
    int32_t n_phases, parts;
    int32_t first_part[WINO_MAX_PHASES + 1];
    int64_t tiles[WINO_MAX_PHASES];
} plan;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

static bool make_plan(const gen_call *c, plan *p)
{
    if (!wino_shape_of(c, &p->w)) return false;
    const wino_shape *w = &p->w;
    p->planes = w->points * w->points;
    p->panels = (int32_t)ceil_div(w->s.out_c, TILE_COLS);
    p->m_panels = (int32_t)min64(p->panels, COLUMNS / TILE_COLS);
    p->v_tile = w->depth * TILE_ROWS;
    p->u_plane = w->depth * p->panels * TILE_COLS;
    p->u_phase = p->u_plane * p->planes;
    p->n_phases = w->so * w->so;
    int64_t m_tile = (int64_t)TILE_ROWS * TILE_COLS * p->m_panels, groups = 0;
    for (int f = 0; f < p->n_phases; f++) {
        p->tiles[f] = w->s.n * wino_tiles(w, 0, f / w->so) * wino_tiles(w, 1, f % w->so);
        groups += ceil_div(p->tiles[f], TILE_ROWS);
    }
    int64_t fits = BLOCK_BYTES / (int64_t)sizeof(float) / (p->planes * (p->v_tile + m_tile));
    p->block = (int32_t)max64(1, min64(min64(MAX_BLOCK, fits), groups / WANTED_PARTS));
    p->v_plane = wino_odd_lines(p->v_tile * p->block);
    p->m_plane = wino_odd_lines(m_tile * p->block);
    p->parts = 0;
    for (int f = 0; f < p->n_phases; f++) {
        p->first_part[f] = p->parts;
        p->parts += (int32_t)ceil_div(ceil_div(p->tiles[f], TILE_ROWS), p->block);
    }
    p->first_part[p->n_phases] = p->parts;
    return true;
}

/* Time of both ways in vector products (VEC_W multiplications and additions): the products themselves, the transforms at so many operations a number,
 * and U where it does not stay in L2. Rates are those measured: tiles of Winograd's products are a little slower than long ones. */
static bool pays(const plan *p)
{
    const wino_shape *w = &p->w;
    const conv_shape *s = &w->s;
    double direct = 0, wino = 0, R = (double)w->depth, K = (double)s->out_c, C = (double)s->in_c, u_bytes = 4.0 * (double)p->u_phase;
    for (int f = 0; f < p->n_phases; f++) {
        const conv_axis *ay = &s->axis[0][f / w->so], *ax = &s->axis[1][f % w->so];
        double tiles = (double)ceil_div(p->tiles[f], TILE_ROWS) * TILE_ROWS, pixels = (double)(s->n * ay->out * ax->out);
        direct += 1.1 * pixels * ay->n_taps * ax->n_taps * C * K;
        wino += tiles * p->planes * (1.15 * R * K + 6 * R + 6 * K);
        wino += p->planes * R * K * 4; /* U */
        if (u_bytes > 512 * 1024) wino += u_bytes / 6 * VEC_W * tiles / (TILE_ROWS * p->block);
    }
    return wino < 0.95 * direct;
}

static bool fits(const gen_call *c)
{
    plan p;
    conv_choice asked = conv_choice_asked();
    if (asked == CONV_DIRECT || !make_plan(c, &p)) return false;
    return asked == CONV_WINOGRAD || pays(&p);
}

static int64_t filter_parts(const plan *p) { return (int64_t)p->n_phases * p->panels * (p->w.depth / FILTER_ROWS); }

static void setup(const gen_call *c, cpu_work *w)
{
    plan p;
    make_plan(c, &p);
    w->n_phases = 2;
    w->parts[0] = (int32_t)filter_parts(&p);
    w->parts[1] = p.parts;
    w->shared_bytes = sizeof(float) * (size_t)(p.u_phase * p.n_phases + 2048); /* prefetches run ahead */
    w->thread_bytes = sizeof(float) * (size_t)max64(p.planes * (p.v_plane + p.m_plane), WINO_MAX_TAPS * WINO_MAX_TAPS * FILTER_ROWS * TILE_COLS);
    w->keep_bytes = sizeof(plan);
}

static void prepare(const gen_call *c, const cpu_work *work, void *keep)
{
    (void)work;
    make_plan(c, keep);
}

/* ---- phase 0: filters -------------------------------------------------------------------------------------------------------------------------------- */

/* buffer[tap][row][TILE_COLS]: rows r0 .. + FILTER_ROWS - 1 and one panel of each tap of an output and an input phase; zeros where there is none. */
static void gather_filter(const gen_call *c, const plan *p, const wino_phase *ph, int64_t row0, int64_t panel, float *buffer)
{
    const conv_shape *s = &p->w.s;
    int64_t col0 = panel * TILE_COLS, n = min64(TILE_COLS, s->out_c - col0);
    for (int t = 0; t < p->w.taps * p->w.taps; t++) {
        float *to = buffer + (int64_t)t * FILTER_ROWS * TILE_COLS;
        if (ph->tap[t] < 0 || n < TILE_COLS) memset(to, 0, sizeof(float) * FILTER_ROWS * TILE_COLS);
        if (ph->tap[t] < 0) continue;
        const float *w = (const float *)c->in[1].data + ph->tap[t] * s->w_c * s->w_k;
        if (s->transposed) {
            transpose_block(n, FILTER_ROWS, w + col0 * s->w_k + row0, s->w_k, to, TILE_COLS);
        } else {
            for (int64_t i = 0; i < FILTER_ROWS; i++) memcpy(to + i * TILE_COLS, w + (row0 + i) * s->w_k + col0, sizeof(float) * (size_t)n);
        }
    }
}

VEC_INLINE void transform_filter(const int points, const int taps, const float *buffer, float *u, int64_t u_plane)
{
    for (int64_t at = 0; at < FILTER_ROWS * TILE_COLS; at += VEC_W) {
        vecf half[WINO_MAX][WINO_MAX];
        VEC_UNROLL for (int j = 0; j < taps; j++) {
            vecf g[WINO_MAX], o[WINO_MAX];
            VEC_UNROLL for (int i = 0; i < taps; i++) g[i] = vec_load(buffer + (i * taps + j) * FILTER_ROWS * TILE_COLS + at);
            wino_expand(points, taps, 1, g, o);
            VEC_UNROLL for (int i = 0; i < points; i++) half[i][j] = o[i];
        }
        VEC_UNROLL for (int i = 0; i < points; i++) {
            vecf o[WINO_MAX];
            wino_expand(points, taps, 1, half[i], o);
            VEC_UNROLL for (int j = 0; j < points; j++) vec_store(u + (i * points + j) * u_plane + at, o[j]);
        }
    }
}

/* ---- phase 1: tiles ---------------------------------------------------------------------------------------------------------------------------------- */

typedef struct place { /* of a tile */
    int64_t n, i, j; /* image, and the phase row and column of its first result */
} place;

static place place_of(const plan *p, int f, int64_t tile)
{
    int64_t across = wino_tiles(&p->w, 1, f % p->w.so), down = wino_tiles(&p->w, 0, f / p->w.so);
    return (place){ tile / across / down, tile / across % down * p->w.tile, tile % across * p->w.tile };
}

/* All channels of one input phase of a tile to row i of its group: v + plane v_plane + (channel group) TILE_ROWS 16. */
VEC_INLINE void transform_input(const int points, const plan *p, const wino_phase *ph, const float *x, place at, float *v)
{
    const conv_shape *s = &p->w.s;
    const int64_t si = p->w.si, y0 = at.i * si + ph->row, x0 = at.j * si + ph->col, row = s->in_w * s->in_c * si, col = s->in_c * si;
    const float *corner = x + ((at.n * s->in_h + y0) * s->in_w + x0) * s->in_c;
    bool inside = y0 >= 0 && x0 >= 0 && y0 + (points - 1) * si < s->in_h && x0 + (points - 1) * si < s->in_w;
    for (int64_t c = 0; c < s->in_c; c += VEC_W) {
        vecf half[WINO_MAX][WINO_MAX];
        for (int j = 0; j < points; j++) {
            vecf d[WINO_MAX], o[WINO_MAX];
            if (inside) {
                VEC_UNROLL for (int i = 0; i < points; i++) d[i] = vec_load(corner + i * row + j * col + c);
            } else {
                bool column = x0 + j * si >= 0 && x0 + j * si < s->in_w;
                VEC_UNROLL for (int i = 0; i < points; i++)
                    d[i] = column && y0 + i * si >= 0 && y0 + i * si < s->in_h ? vec_load(corner + i * row + j * col + c) : vec_set(0);
            }
            wino_input(points, d, o);
            VEC_UNROLL for (int i = 0; i < points; i++) half[i][j] = o[i];
        }
        float *to = v + c / TILE_GROUP * TILE_ROWS * TILE_GROUP + c % TILE_GROUP;
        for (int i = 0; i < points; i++) {
            vecf o[WINO_MAX];
            wino_input(points, half[i], o);
            VEC_UNROLL for (int j = 0; j < points; j++) vec_store(to + (i * points + j) * p->v_plane, o[j]);
        }
    }
}

/* One panel of one tile from M to memory. */
VEC_INLINE void transform_output(const int points, const int taps, const plan *p, const epilogue *e, int f, place at, int64_t col0, const float *m, float *y)
{
    const int tile = points + 1 - taps;
    const conv_shape *s = &p->w.s;
    const int64_t so = p->w.so, rows = min64(tile, s->axis[0][f / so].out - at.i), cols = min64(tile, s->axis[1][f % so].out - at.j);
    float *corner = y + ((at.n * s->out_h + f / so + at.i * so) * s->out_w + f % so + at.j * so) * s->out_c;
    for (int64_t k = 0; k < TILE_COLS && col0 + k < s->out_c; k += VEC_W) {
        vecf half[WINO_MAX][WINO_MAX];
        for (int j = 0; j < points; j++) {
            vecf d[WINO_MAX], o[WINO_MAX];
            VEC_UNROLL for (int i = 0; i < points; i++) d[i] = vec_load(m + (i * points + j) * p->m_plane + k);
            wino_collect(points, tile, 0, d, o);
            VEC_UNROLL for (int i = 0; i < tile; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < rows; i++) {
            vecf o[WINO_MAX];
            wino_collect(points, tile, 0, half[i], o);
            float *to = corner + i * so * s->out_w * s->out_c + col0 + k;
            VEC_UNROLL for (int j = 0; j < tile; j++)
                if (j < cols) epilogue_store(e, o[j], to + j * so * s->out_c, col0 + k, VEC_W);
        }
        if (e->late)
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < cols; j++) epilogue_late(e, corner + (i * s->out_w + j) * so * s->out_c + col0 + k, VEC_W);
    }
}

/* M of panels panel0 .. panel1 - 1 for all groups of the part. */
static void multiply(const plan *p, int64_t groups, int64_t panel0, int64_t panel1, const float *u_phase, const float *v, float *m)
{
    const int64_t depth = p->w.depth;
    for (int plane = 0; plane < p->planes; plane++)
        for (int64_t panel = panel0; panel < panel1; panel++) {
            const float *u = u_phase + plane * p->u_plane + panel * depth * TILE_COLS;
            for (int64_t g = 0; g < groups; g++) {
                vecf acc[TILE_ROWS][TILE_VECS];
                tile_zero(TILE_ROWS, TILE_VECS, acc);
                if (g == 0) tile_product_stream(TILE_ROWS, depth, v + plane * p->v_plane + g * p->v_tile, u, acc);
                else tile_product(TILE_ROWS, depth, v + plane * p->v_plane + g * p->v_tile, u, acc);
                float *to = m + plane * p->m_plane + ((panel - panel0) * p->block + g) * TILE_ROWS * TILE_COLS;
                VEC_UNROLL for (int i = 0; i < TILE_ROWS; i++)
                    VEC_UNROLL for (int j = 0; j < TILE_VECS; j++) vec_store(to + i * TILE_COLS + j * VEC_W, acc[i][j]);
            }
        }
}

VEC_INLINE void run_block(const int points, const int taps, const gen_call *c, const cpu_job *job, const plan *p)
{
    const wino_shape *w = &p->w;
    const epilogue e = epilogue_of(c);
    int f = 0;
    while (job->part >= p->first_part[f + 1]) f++;
    int64_t all = ceil_div(p->tiles[f], TILE_ROWS), g0 = (int64_t)(job->part - p->first_part[f]) * p->block, groups = min64(p->block, all - g0);
    float *v = job->scratch, *m = v + p->planes * p->v_plane;
    for (int64_t g = 0; g < groups; g++)
        for (int64_t i = 0; i < TILE_ROWS; i++) { /* rows past the last tile keep old numbers: their results are not stored */
            int64_t tile = (g0 + g) * TILE_ROWS + i;
            if (tile >= p->tiles[f]) break;
            place at = place_of(p, f, tile);
            for (int ph = 0; ph < w->si * w->si; ph++)
                transform_input(points, p, &w->phase[f][ph], c->in[0].data, at, v + g * p->v_tile + ph * w->s.in_c * TILE_ROWS + i * TILE_GROUP);
        }
    for (int64_t panel0 = 0; panel0 < p->panels; panel0 += p->m_panels) {
        int64_t panel1 = min64(panel0 + p->m_panels, p->panels);
        multiply(p, groups, panel0, panel1, (const float *)job->shared + f * p->u_phase, v, m);
        for (int64_t panel = panel0; panel < panel1; panel++)
            for (int64_t i = 0; i < groups * TILE_ROWS && g0 * TILE_ROWS + i < p->tiles[f]; i++)
                transform_output(points, taps, p, &e, f, place_of(p, f, g0 * TILE_ROWS + i), panel * TILE_COLS,
                                 m + (panel - panel0) * p->block * TILE_ROWS * TILE_COLS + i * TILE_COLS, c->out[0].data);
    }
}

VEC_INLINE void run_scheme(const int points, const int taps, const gen_call *c, const cpu_job *job)
{
    const plan *p = job->keep;
    if (job->phase == 1) {
        run_block(points, taps, c, job, p);
        return;
    }
    int64_t blocks = p->w.depth / FILTER_ROWS, i = job->part, row = i % blocks * FILTER_ROWS, panel = i / blocks % p->panels, f = i / blocks / p->panels;
    gather_filter(c, p, &p->w.phase[f][row / p->w.s.in_c], row % p->w.s.in_c, panel, job->scratch);
    transform_filter(points, taps, job->scratch, (float *)job->shared + f * p->u_phase + (panel * p->w.depth + row) * TILE_COLS, p->u_plane);
}

static void run(const gen_call *c, const cpu_job *job)
{
    const plan *p = job->keep;
    switch (p->w.taps) {
    case 2: run_scheme(5, 2, c, job); break;
    case 3: run_scheme(6, 3, c, job); break;
    case 4: run_scheme(6, 4, c, job); break;
    default: run_scheme(6, 5, c, job); break;
    }
}

const cpu_kernel VEC_FN(conv2d_winograd) = { VEC_NAME("conv2d winograd"), fits, setup, prepare, run };
