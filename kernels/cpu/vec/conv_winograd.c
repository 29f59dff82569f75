/* kernels/cpu/vec/conv_winograd.c: conv2d and conv2d_t by Winograd's transforms (winograd.h, conv_winograd.h): 2.25 to 4 times fewer products.
 *
 *   phase 0   U = G g G^T for all filters: [output phase][u plane][panel][R][TILE_COLS]
 *   phase 1   a part owns a block of tile groups (rows tiles each):
 *               V = B^T x B   [plane][group][R/16][rows][16]      the packed rows that tile_product wants
 *               M = V U       [plane][panel][group][rows][TILE_COLS], some panels at a time
 *               y = A^T M A   with the epilogue, straight to memory; results past the border are dropped
 *
 * V and M of a part stay in L2; U streams through once per block. Tiles are numbered over images, rows and columns, so groups waste nothing at the
 * ends of rows. Results do not depend on the block sizes: the order of each sum is that of R.
 */
#include "kernels/cpu/vec/conv_winograd.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/epilogue.h"

enum {
    BLOCK_BYTES = 640 * 1024, /* V and M of a part: most of the smallest L2 */
    MAX_BLOCK = 4,
    COLUMNS = 64, /* of M at a time */
    WANTED_PARTS = 16,
    FILTER_ROWS = 16, /* rows of the filter that a part of phase 0 transforms */
};

typedef struct plan {
    wino_shape w;
    int32_t planes, u_planes, panels, m_panels; /* m_panels: of M at a time */
    int64_t v_tile, v_plane, m_plane;           /* floats of a tile group; between planes of V and M */
    int64_t u_plane, u_phase;                   /* between planes and output phases of U */
    int32_t block;                              /* tile groups of a part */
    int32_t n_phases, parts;
    int32_t first_part[WINO_MAX_PHASES + 1];
    int64_t tiles[WINO_MAX_PHASES];
} plan;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}
static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool make_plan(const gen_call *c, plan *p)
{
    if (!wino_shape_of(c, &p->w)) return false;
    const wino_shape *w = &p->w;
    p->planes = w->points * w->points;
    p->u_planes = w->u_points * w->u_points;
    p->panels = (int32_t)ceil_div(w->s.out_c, TILE_COLS);
    p->m_panels = (int32_t)min64(p->panels, COLUMNS / TILE_COLS);
    p->v_tile = w->depth * w->rows;
    p->u_plane = w->depth * p->panels * TILE_COLS;
    p->u_phase = p->u_plane * p->u_planes;
    p->n_phases = w->so * w->so;
    if (p->planes * w->rows * (w->depth + COLUMNS) * (int64_t)sizeof(float) > BLOCK_BYTES) p->m_panels = 1;
    int64_t m_tile = (int64_t)w->rows * TILE_COLS * p->m_panels, groups = 0;
    for (int f = 0; f < p->n_phases; f++) {
        p->tiles[f] = w->s.n * wino_tiles(w, 0, f / w->so) * wino_tiles(w, 1, f % w->so);
        groups += ceil_div(p->tiles[f], w->rows);
    }
    int64_t fits = BLOCK_BYTES / (int64_t)sizeof(float) / (p->planes * (p->v_tile + m_tile));
    p->block = (int32_t)max64(1, min64(min64(MAX_BLOCK, fits), groups / WANTED_PARTS));
    p->v_plane = wino_odd_lines(p->v_tile * p->block);
    p->m_plane = wino_odd_lines(m_tile * p->block);
    p->parts = 0;
    for (int f = 0; f < p->n_phases; f++) {
        p->first_part[f] = p->parts;
        p->parts += (int32_t)ceil_div(ceil_div(p->tiles[f], w->rows), p->block);
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
    double direct = 0, wino = 0, R = (double)w->depth, K = (double)s->out_c, C = (double)s->in_c,
           u_bytes = 4.0 * (double)p->u_phase;
    for (int f = 0; f < s->phases[0] * s->phases[1]; f++) {
        const conv_axis *ay = &s->axis[0][f / s->phases[1]], *ax = &s->axis[1][f % s->phases[1]];
        direct += 1.1 * (double)(s->n * ay->out * ax->out) * ay->n_taps * ax->n_taps * C * K;
    }
    for (int f = 0; f < p->n_phases; f++) {
        double tiles = (double)(ceil_div(p->tiles[f], w->rows) * w->rows);
        wino += tiles * p->planes * (1.15 * R * K + 6 * R + 6 * K);
        wino += p->u_planes * R * K * 4; /* U */
        if (u_bytes > 512 * 1024) wino += u_bytes / 6 * VEC_W * tiles / (w->rows * p->block);
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

static int64_t filter_parts(const plan *p)
{
    return (int64_t)p->n_phases * p->panels * (p->w.depth / FILTER_ROWS);
}

static void setup(const gen_call *c, cpu_work *w)
{
    plan p;
    make_plan(c, &p);
    w->n_phases = 2;
    w->parts[0] = (int32_t)filter_parts(&p);
    w->parts[1] = p.parts;
    w->shared_bytes = sizeof(float) * (size_t)(p.u_phase * p.n_phases + 2048); /* prefetches run ahead */
    w->thread_bytes = sizeof(float) * (size_t)max64(p.planes * (p.v_plane + p.m_plane),
                                                    WINO_MAX_TAPS * WINO_MAX_TAPS * FILTER_ROWS * TILE_COLS);
    w->keep_bytes = sizeof(plan);
}

static void prepare(const gen_call *c, const cpu_work *work, void *keep)
{
    (void)work;
    make_plan(c, keep);
}

/* ---- phase 0: filters -------------------------------------------------------------------------------------------------------------------------------- */

/* buffer[tap][row][TILE_COLS]: rows r0 .. + FILTER_ROWS - 1 and one panel of each tap of an output and an input phase; zeros where there is none. */
static void gather_filter(const gen_call *c, const plan *p, const wino_phase *ph, int64_t row0, int64_t panel,
                          float *buffer)
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
            for (int64_t i = 0; i < FILTER_ROWS; i++)
                memcpy(to + i * TILE_COLS, w + (row0 + i) * s->w_k + col0, sizeof(float) * (size_t)n);
        }
    }
}

VEC_INLINE void transform_filter(const wino_scheme scheme, const float *buffer, float *u, int64_t u_plane)
{
    const int points = wino_u_points(scheme), taps = wino_taps(scheme);
    for (int64_t at = 0; at < FILTER_ROWS * TILE_COLS; at += VEC_W) {
        vecf half[WINO_MAX][WINO_MAX_TAPS];
        VEC_UNROLL
        for (int j = 0; j < taps; j++) {
            vecf g[WINO_MAX_TAPS], o[WINO_MAX];
            VEC_UNROLL
            for (int i = 0; i < taps; i++) g[i] = vec_load(buffer + (i * taps + j) * FILTER_ROWS * TILE_COLS + at);
            wino_filter(scheme, g, o);
            VEC_UNROLL
            for (int i = 0; i < points; i++) half[i][j] = o[i];
        }
        VEC_UNROLL
        for (int i = 0; i < points; i++) {
            vecf o[WINO_MAX];
            wino_filter(scheme, half[i], o);
            VEC_UNROLL
            for (int j = 0; j < points; j++) vec_store(u + (i * points + j) * u_plane + at, o[j]);
        }
    }
}

/* ---- phase 1: tiles ---------------------------------------------------------------------------------------------------------------------------------- */

/* One panel of one tile from M to memory. */
VEC_INLINE void transform_output(const wino_scheme scheme, const plan *p, const epilogue *e, int f, wino_place at,
                                 int64_t col0, const float *m, float *y)
{
    const int points = wino_points(scheme), results = wino_results(scheme);
    const wino_shape *w = &p->w;
    const conv_shape *s = &w->s;
    const int64_t so = w->so, i0 = at.i * results, j0 = at.j * results;
    const int64_t rows = min64(results, wino_out(w, 0, f / w->so) - i0),
                  cols = min64(results, wino_out(w, 1, f % w->so) - j0);
    float *corner = y + ((at.n * s->out_h + f / so + i0 * so) * s->out_w + f % so + j0 * so) * s->out_c;
    for (int64_t k = 0; k < TILE_COLS && col0 + k < s->out_c; k += VEC_W) {
        vecf half[WINO_MAX][WINO_MAX];
        for (int j = 0; j < points; j++) {
            vecf d[WINO_MAX], o[WINO_MAX];
            VEC_UNROLL
            for (int i = 0; i < points; i++) d[i] = vec_load(m + (i * points + j) * p->m_plane + k);
            wino_output(scheme, d, o);
            VEC_UNROLL
            for (int i = 0; i < results; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < rows; i++) {
            vecf o[WINO_MAX];
            wino_output(scheme, half[i], o);
            float *to = corner + i * so * s->out_w * s->out_c + col0 + k;
            VEC_UNROLL
            for (int j = 0; j < results; j++)
                if (j < cols) epilogue_store(e, o[j], to + j * so * s->out_c, col0 + k, VEC_W);
        }
        if (e->late)
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < cols; j++)
                    epilogue_late(e, corner + (i * s->out_w + j) * so * s->out_c + col0 + k, VEC_W);
    }
}

/* M of panels panel0 .. panel1 - 1 for all groups of the part. Points past the core of a mixed scheme share the last filter. */
VEC_INLINE void multiply(const wino_scheme scheme, const plan *p, int64_t groups, int64_t panel0, int64_t panel1,
                         const float *u_phase, const float *v, float *m)
{
    const int points = wino_points(scheme), u_points = wino_u_points(scheme), rows = wino_rows(scheme);
    const int64_t depth = p->w.depth;
    for (int plane = 0; plane < points * points; plane++)
        for (int64_t panel = panel0; panel < panel1; panel++) {
            int i = plane / points, j = plane % points,
                u_plane = (i < u_points ? i : u_points - 1) * u_points + (j < u_points ? j : u_points - 1);
            const float *u = u_phase + u_plane * p->u_plane + panel * depth * TILE_COLS;
            for (int64_t g = 0; g < groups; g++) {
                vecf acc[TILE_ROWS][TILE_VECS];
                tile_zero(rows, TILE_VECS, acc);
                if (g == 0) tile_product_stream(rows, depth, v + plane * p->v_plane + g * p->v_tile, u, acc);
                else tile_product(rows, depth, v + plane * p->v_plane + g * p->v_tile, u, acc);
                float *to = m + plane * p->m_plane + ((panel - panel0) * p->block + g) * rows * TILE_COLS;
                VEC_UNROLL
                for (int r = 0; r < rows; r++) {
                    VEC_UNROLL
                    for (int k = 0; k < TILE_VECS; k++) vec_store(to + r * TILE_COLS + k * VEC_W, acc[r][k]);
                }
            }
        }
}

VEC_INLINE void run_block(const wino_scheme scheme, const gen_call *c, const cpu_job *job, const plan *p)
{
    const int rows = wino_rows(scheme);
    const wino_shape *w = &p->w;
    const epilogue e = epilogue_of(c);
    int f = 0;
    while (job->part >= p->first_part[f + 1]) f++;
    int64_t all = ceil_div(p->tiles[f], rows), g0 = (int64_t)(job->part - p->first_part[f]) * p->block,
            groups = min64(p->block, all - g0);
    float *v = job->scratch, *m = v + p->planes * p->v_plane;
    for (int64_t g = 0; g < groups; g++) /* rows past the last tile keep old numbers: their results are not stored */
        for (int64_t i = 0; i < rows; i++) {
            int64_t tile = (g0 + g) * rows + i;
            if (tile >= p->tiles[f]) break;
            wino_place at = wino_place_of(w, f, tile);
            for (int ph = 0; ph < w->si * w->si; ph++)
                wino_transform_input(scheme, w, &w->phase[f][ph], c->in[0].data, at, 0, w->s.in_c,
                                     v + g * p->v_tile + ph * w->s.in_c * rows + i * TILE_GROUP, p->v_plane,
                                     rows * TILE_GROUP);
        }
    for (int64_t panel0 = 0; panel0 < p->panels; panel0 += p->m_panels) {
        int64_t panel1 = min64(panel0 + p->m_panels, p->panels);
        multiply(scheme, p, groups, panel0, panel1, (const float *)job->shared + f * p->u_phase, v, m);
        for (int64_t panel = panel0; panel < panel1; panel++)
            for (int64_t i = 0; i < groups * rows && g0 * rows + i < p->tiles[f]; i++)
                transform_output(scheme, p, &e, f, wino_place_of(w, f, g0 * rows + i), panel * TILE_COLS,
                                 m + (panel - panel0) * p->block * rows * TILE_COLS + i * TILE_COLS, c->out[0].data);
    }
}

VEC_INLINE void run_scheme(const wino_scheme scheme, const gen_call *c, const cpu_job *job)
{
    const plan *p = job->keep;
    if (job->phase == 1) {
        run_block(scheme, c, job, p);
        return;
    }
    int64_t blocks = p->w.depth / FILTER_ROWS, i = job->part, row = i % blocks * FILTER_ROWS,
            panel = i / blocks % p->panels, f = i / blocks / p->panels;
    gather_filter(c, p, &p->w.phase[f][row / p->w.s.in_c], row % p->w.s.in_c, panel, job->scratch);
    transform_filter(scheme, job->scratch,
                     (float *)job->shared + f * p->u_phase + (panel * p->w.depth + row) * TILE_COLS, p->u_plane);
}

/* Each scheme is its own code. */
#define SCHEME(name)                                                                                                   \
    static void run_##name(const gen_call *c, const cpu_job *job)                                                      \
    {                                                                                                                  \
        run_scheme(WINO_##name, c, job);                                                                               \
    }
SCHEME(4_2)
SCHEME(4_3)
SCHEME(3_4)
SCHEME(2_5)
SCHEME(STRIDED_4)
SCHEME(STRIDED_7)
SCHEME(SPREAD_4_EVEN)
SCHEME(SPREAD_7_EVEN)
SCHEME(SPREAD_4_ODD)
SCHEME(SPREAD_7_ODD)

static void run(const gen_call *c, const cpu_job *job)
{
    static void (*const schemes[])(const gen_call *, const cpu_job *) = {
        [WINO_4_2] = run_4_2,
        [WINO_4_3] = run_4_3,
        [WINO_3_4] = run_3_4,
        [WINO_2_5] = run_2_5,
        [WINO_STRIDED_4] = run_STRIDED_4,
        [WINO_STRIDED_7] = run_STRIDED_7,
        [WINO_SPREAD_4_EVEN] = run_SPREAD_4_EVEN,
        [WINO_SPREAD_7_EVEN] = run_SPREAD_7_EVEN,
        [WINO_SPREAD_4_ODD] = run_SPREAD_4_ODD,
        [WINO_SPREAD_7_ODD] = run_SPREAD_7_ODD,
    };
    schemes[((const plan *)job->keep)->w.scheme](c, job);
}

const cpu_kernel VEC_FN(conv2d_winograd) = { VEC_NAME("conv2d winograd"), fits, setup, prepare, run };
