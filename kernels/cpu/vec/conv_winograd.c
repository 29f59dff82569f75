/* kernels/cpu/vec/conv_winograd.c: conv2d and conv2d_t by Winograd's transforms (winograd.h, conv_winograd.h): 2.25 to 4 times fewer products.
 *
 *   U = G g G^T   [output phase][u plane][panel][R][TILE_COLS]
 *   V = B^T x B   [plane][group][R/16][rows][16]      the packed rows that tile_product wants; a group is `rows` tiles
 *   M = V U       [plane][panel][group][rows][TILE_COLS]
 *   y = A^T M A   with the epilogue, straight to memory; results past the border are dropped
 *
 * By tiles (many tiles, few channels):    phase 0 makes all of U; in phase 1 a part owns a block of groups, whose V and M stay in L2, and U streams
 *                                         through once per block.
 * By panels (few tiles, many channels):   phase 0 makes all of V; in phase 1 a part owns a panel of output channels and runs all tiles over it, some rows
 *                                         of R at a time, whose U it makes in L2: U as a whole never exists.
 *
 * Tiles are numbered over images, rows and columns, so groups waste nothing at the ends of rows. Results do not depend on the order or the block sizes:
 * each sum goes along R.
 */
#include <math.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/conv_winograd.h"
#include "kernels/cpu/vec/epilogue.h"

enum {
    BLOCK_BYTES = 640 * 1024, /* V and M of a part: most of the smallest L2 */
    MAX_BLOCK = 4,
    COLUMNS = 64, /* of M at a time */
    WANTED_PARTS = 16,
    FILTER_ROWS = 16,         /* rows of the filter that are transformed at a time */
    PANEL_BYTES = 640 * 1024, /* U of a part by panels */
    FAR_BYTES = 512 * 1024,   /* what is larger does not stay in L2 */
    FAR_RATE = 6,             /* bytes from beyond L2 in the time of a vector product */
    FEW_PARTS = 4,            /* cores that a plan should keep busy */
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
    bool by_panels;
    int64_t u_rows;  /* by panels: rows of R at a time */
    int64_t v_phase; /* by panels: between output phases of V */
} plan;

static int64_t groups_of(const plan *p, int f)
{
    return ceil_div(p->tiles[f], p->w.rows);
}

static int64_t most_groups(const plan *p)
{
    int64_t most = 0;
    for (int f = 0; f < p->n_phases; f++) most = max64(most, groups_of(p, f));
    return most;
}

/* Bytes of one output phase that come from beyond L2: by tiles U for every block; by panels V for every panel, and M there and back. */
static double far_bytes(const plan *p, int f, bool by_panels)
{
    double groups = (double)groups_of(p, f), u = 4.0 * p->u_planes * (double)p->w.depth * p->panels * TILE_COLS;
    double v = 4.0 * groups * p->planes * (double)p->v_tile, m = 4.0 * groups * p->planes * p->w.rows * TILE_COLS;
    if (by_panels) return (v + (m > FAR_BYTES ? 2 * m : 0)) * p->panels;
    return u > FAR_BYTES ? u * ceil(groups / p->block) : 0;
}

/* In vector products, times what is lost when the parts do not fill the cores. */
static double order_cost(const plan *p, bool by_panels)
{
    double cost = 0, parts = by_panels ? p->n_phases * p->panels : p->parts;
    for (int f = 0; f < p->n_phases; f++)
        cost += (double)groups_of(p, f) * p->w.rows * p->planes * (double)p->w.depth * (double)p->w.s.out_c +
                far_bytes(p, f, by_panels) / FAR_RATE * VEC_W;
    return cost * ceil(parts / FEW_PARTS) * FEW_PARTS / parts;
}

static void go_by_panels(plan *p)
{
    int64_t groups = most_groups(p), fits = PANEL_BYTES / (int64_t)sizeof(float) / (p->u_planes * TILE_COLS);
    p->by_panels = true;
    p->block = (int32_t)groups;
    p->parts = p->n_phases * p->panels;
    p->v_plane = wino_odd_lines(p->v_tile * groups);
    p->v_phase = p->v_plane * p->planes;
    p->m_plane = wino_odd_lines(groups * p->w.rows * TILE_COLS);
    p->u_rows = min64(p->w.depth, max64(FILTER_ROWS, fits / FILTER_ROWS * FILTER_ROWS));
    p->u_plane = wino_odd_lines(p->u_rows * TILE_COLS);
}

/* Ways that may be measured: by tiles in blocks of 1, 2 or 4 groups; by panels. 0: by what they should cost. */
enum { WAY_PANELS = 4, N_WAYS = 4 };

static bool make_plan(const gen_call *c, int32_t way, plan *p)
{
    *p = (plan){ 0 };
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
        groups += groups_of(p, f);
    }
    int64_t fits = BLOCK_BYTES / (int64_t)sizeof(float) / (p->planes * (p->v_tile + m_tile));
    p->block = (int32_t)max64(1, min64(min64(MAX_BLOCK, fits), groups / WANTED_PARTS));
    if (way && way < WAY_PANELS) p->block = (int32_t)max64(1, min64(groups, 1 << (way - 1)));
    p->parts = 0;
    for (int f = 0; f < p->n_phases; f++) {
        p->first_part[f] = p->parts;
        p->parts += (int32_t)ceil_div(groups_of(p, f), p->block);
    }
    p->first_part[p->n_phases] = p->parts;
    p->v_plane = wino_odd_lines(p->v_tile * p->block);
    p->m_plane = wino_odd_lines(m_tile * p->block);
    if (way ? way == WAY_PANELS : order_cost(p, true) < order_cost(p, false)) go_by_panels(p);
    return true;
}

/* Time of both ways, of which direct is `rate` times as fast as in float, in vector products (VEC_W multiplications and additions): the products themselves, the transforms at so many operations a number,
 * and U where it does not stay in L2. Rates are those measured: tiles of Winograd's products are a little slower than long ones. */
static bool pays(const plan *p, double rate)
{
    const wino_shape *w = &p->w;
    const conv_shape *s = &w->s;
    double direct = 0, wino = 0, R = (double)w->depth, K = (double)s->out_c, C = (double)s->in_c;
    for (int f = 0; f < s->phases[0] * s->phases[1]; f++) {
        const conv_axis *ay = &s->axis[0][f / s->phases[1]], *ax = &s->axis[1][f % s->phases[1]];
        direct += 1.1 * (double)(s->n * ay->out * ax->out) * ay->n_taps * ax->n_taps * C * K;
    }
    for (int f = 0; f < p->n_phases; f++) {
        double tiles = (double)(groups_of(p, f) * w->rows);
        wino += tiles * p->planes * (1.15 * R * K + 6 * R + 6 * K);
        wino += p->u_planes * R * K * 4; /* U */
        wino += far_bytes(p, f, p->by_panels) / FAR_RATE * VEC_W;
    }
    return wino < 0.95 * direct / rate;
}

bool VEC_FN(conv2d_winograd_beats)(const gen_call *c, double rate);

bool VEC_FN(conv2d_winograd_beats)(const gen_call *c, double rate)
{
    plan p;
    conv_choice asked = conv_choice_asked();
    if (asked == CONV_DIRECT || !make_plan(c, 0, &p)) return false;
    return asked == CONV_WINOGRAD || pays(&p, rate);
}

static bool fits(const gen_call *c)
{
    return VEC_FN(conv2d_winograd_beats)(c, 1);
}

int32_t VEC_FN(conv2d_winograd_ways)(const gen_call *c);

int32_t VEC_FN(conv2d_winograd_ways)(const gen_call *c)
{
    plan p;
    return conv_choice_asked() != CONV_DIRECT && make_plan(c, 0, &p) ? N_WAYS : 0;
}

static int64_t filter_parts(const plan *p)
{
    return (int64_t)p->n_phases * p->panels * (p->w.depth / FILTER_ROWS);
}

static int64_t all_groups(const plan *p)
{
    int64_t groups = 0;
    for (int f = 0; f < p->n_phases; f++) groups += groups_of(p, f);
    return groups;
}

static void setup(const gen_call *c, cpu_work *w)
{
    plan p;
    make_plan(c, w->way, &p);
    int64_t filter = WINO_MAX_TAPS * WINO_MAX_TAPS * FILTER_ROWS * TILE_COLS;
    w->n_phases = 2;
    w->parts[0] = (int32_t)(p.by_panels ? all_groups(&p) : filter_parts(&p));
    w->parts[1] = p.parts;
    int64_t shared = p.by_panels ? p.v_phase : p.u_phase;
    w->shared_bytes = sizeof(float) * (size_t)(shared * p.n_phases + 2048); /* prefetches run ahead */
    int64_t own = p.by_panels ? p.u_planes * p.u_plane + p.planes * p.m_plane + filter
                              : max64(p.planes * (p.v_plane + p.m_plane), filter);
    w->thread_bytes = sizeof(float) * (size_t)(own + 2048);
    w->keep_bytes = sizeof(plan);
}

static void prepare(const gen_call *c, const cpu_work *work, void *keep)
{
    make_plan(c, work->way, keep);
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
VEC_INLINE void multiply(const wino_scheme scheme, const plan *p, int f, int64_t groups, int64_t panel0, int64_t panel1,
                         const float *u_phase, const float *v, float *m)
{
    const int points = wino_points(scheme), u_points = wino_u_points(scheme), rows = wino_rows(scheme);
    const int64_t depth = p->w.depth;
    for (int plane = 0; plane < points * points; plane++)
        for (int64_t panel = panel0; panel < panel1; panel++) {
            int i = plane / points, j = plane % points,
                u_plane = (i < u_points ? i : u_points - 1) * u_points + (j < u_points ? j : u_points - 1);
            const float *u = u_phase + u_plane * p->u_plane + panel * depth * TILE_COLS;
            const wino_rows_of_r *ranges = &p->w.rows_of_r[f][wino_edge(&p->w, i, j)];
            for (int64_t g = 0; g < groups; g++) {
                vecf acc[TILE_ROWS][TILE_VECS];
                tile_zero(rows, TILE_VECS, acc);
                for (int k = 0; k < ranges->n; k++) {
                    int64_t r0 = ranges->begin[k], n = ranges->end[k] - r0;
                    const float *v_rows = v + plane * p->v_plane + g * p->v_tile + r0 * rows;
                    if (g == 0) tile_product_stream(rows, n, v_rows, u + r0 * TILE_COLS, acc);
                    else tile_product(rows, n, v_rows, u + r0 * TILE_COLS, acc);
                }
                float *to = m + plane * p->m_plane + ((panel - panel0) * p->block + g) * rows * TILE_COLS;
                VEC_UNROLL
                for (int r = 0; r < rows; r++) {
                    VEC_UNROLL
                    for (int k = 0; k < TILE_VECS; k++) vec_store(to + r * TILE_COLS + k * VEC_W, acc[r][k]);
                }
            }
        }
}

/* V of one group: v is where the group begins. Rows past the last tile keep old numbers: their results are not stored. */
VEC_INLINE void transform_group(const wino_scheme scheme, const gen_call *c, const plan *p, int f, int64_t group,
                                float *v)
{
    const int rows = wino_rows(scheme);
    const wino_shape *w = &p->w;
    for (int64_t i = 0; i < rows; i++) {
        int64_t tile = group * rows + i;
        if (tile >= p->tiles[f]) break;
        wino_place at = wino_place_of(w, f, tile);
        for (int ph = 0; ph < w->si * w->si; ph++)
            wino_transform_input(scheme, w, &w->phase[f][ph], c->in[0].data, at, 0, w->s.in_c,
                                 v + ph * w->s.in_c * rows + i * TILE_GROUP, p->v_plane, rows * TILE_GROUP);
    }
}

VEC_INLINE void run_block(const wino_scheme scheme, const gen_call *c, const cpu_job *job, const plan *p)
{
    const int rows = wino_rows(scheme);
    const wino_shape *w = &p->w;
    const epilogue e = epilogue_of(c);
    int f = 0;
    while (job->part >= p->first_part[f + 1]) f++;
    int64_t g0 = (int64_t)(job->part - p->first_part[f]) * p->block, groups = min64(p->block, groups_of(p, f) - g0);
    float *v = job->scratch, *m = v + p->planes * p->v_plane;
    for (int64_t g = 0; g < groups; g++) transform_group(scheme, c, p, f, g0 + g, v + g * p->v_tile);
    for (int64_t panel0 = 0; panel0 < p->panels; panel0 += p->m_panels) {
        int64_t panel1 = min64(panel0 + p->m_panels, p->panels);
        multiply(scheme, p, f, groups, panel0, panel1, (const float *)job->shared + f * p->u_phase, v, m);
        for (int64_t panel = panel0; panel < panel1; panel++)
            for (int64_t i = 0; i < groups * rows && g0 * rows + i < p->tiles[f]; i++)
                transform_output(scheme, p, &e, f, wino_place_of(w, f, g0 * rows + i), panel * TILE_COLS,
                                 m + (panel - panel0) * p->block * rows * TILE_COLS + i * TILE_COLS, c->out[0].data);
    }
}

/* ---- by panels ------------------------------------------------------------------------------------------------------------------------------------------ */

/* M += V U for rows r0 .. r0 + depth - 1 of R; the first of them start M. */
VEC_INLINE void multiply_rows(const wino_scheme scheme, const plan *p, int f, int64_t groups, int64_t r0, int64_t depth,
                              const float *u, const float *v, float *m)
{
    const int points = wino_points(scheme), u_points = wino_u_points(scheme), rows = wino_rows(scheme);
    for (int plane = 0; plane < points * points; plane++) {
        int i = plane / points, j = plane % points,
            u_plane = (i < u_points ? i : u_points - 1) * u_points + (j < u_points ? j : u_points - 1);
        const wino_rows_of_r *ranges = &p->w.rows_of_r[f][wino_edge(&p->w, i, j)];
        for (int64_t g = 0; g < groups; g++) {
            vecf acc[TILE_ROWS][TILE_VECS];
            float *to = m + plane * p->m_plane + g * rows * TILE_COLS;
            VEC_UNROLL
            for (int r = 0; r < rows; r++) {
                VEC_UNROLL
                for (int k = 0; k < TILE_VECS; k++)
                    acc[r][k] = r0 ? vec_load(to + r * TILE_COLS + k * VEC_W) : vec_set(0);
            }
            for (int k = 0; k < ranges->n; k++) {
                int64_t begin = max64(r0, ranges->begin[k]), end = min64(r0 + depth, ranges->end[k]);
                if (begin >= end) continue;
                tile_product(rows, end - begin, v + plane * p->v_plane + g * p->v_tile + begin * rows,
                             u + u_plane * p->u_plane + (begin - r0) * TILE_COLS, acc);
            }
            VEC_UNROLL
            for (int r = 0; r < rows; r++) {
                VEC_UNROLL
                for (int k = 0; k < TILE_VECS; k++) vec_store(to + r * TILE_COLS + k * VEC_W, acc[r][k]);
            }
        }
    }
}

VEC_INLINE void run_panel(const wino_scheme scheme, const gen_call *c, const cpu_job *job, const plan *p)
{
    const wino_shape *w = &p->w;
    const epilogue e = epilogue_of(c);
    int f = job->part / p->panels;
    int64_t panel = job->part % p->panels, groups = groups_of(p, f);
    const float *v = (const float *)job->shared + f * p->v_phase;
    float *u = job->scratch, *m = u + p->u_planes * p->u_plane, *buffer = m + p->planes * p->m_plane;
    for (int64_t r0 = 0; r0 < w->depth; r0 += p->u_rows) {
        int64_t depth = min64(p->u_rows, w->depth - r0);
        for (int64_t r = 0; r < depth; r += FILTER_ROWS) {
            int64_t row = r0 + r;
            gather_filter(c, p, &w->phase[f][row / w->s.in_c], row % w->s.in_c, panel, buffer);
            transform_filter(scheme, buffer, u + r * TILE_COLS, p->u_plane);
        }
        multiply_rows(scheme, p, f, groups, r0, depth, u, v, m);
    }
    for (int64_t i = 0; i < p->tiles[f]; i++)
        transform_output(scheme, p, &e, f, wino_place_of(w, f, i), panel * TILE_COLS, m + i * TILE_COLS,
                         c->out[0].data);
}

/* Phase 0 by panels: part number i is a group of an output phase. */
VEC_INLINE void run_group(const wino_scheme scheme, const gen_call *c, const cpu_job *job, const plan *p)
{
    int f = 0;
    int64_t group = job->part;
    while (group >= groups_of(p, f)) group -= groups_of(p, f++);
    transform_group(scheme, c, p, f, group, (float *)job->shared + f * p->v_phase + group * p->v_tile);
}

/* ---- both -------------------------------------------------------------------------------------------------------------------------------------------------- */

VEC_INLINE void run_filter(const wino_scheme scheme, const gen_call *c, const cpu_job *job, const plan *p)
{
    int64_t blocks = p->w.depth / FILTER_ROWS, i = job->part, row = i % blocks * FILTER_ROWS,
            panel = i / blocks % p->panels, f = i / blocks / p->panels;
    gather_filter(c, p, &p->w.phase[f][row / p->w.s.in_c], row % p->w.s.in_c, panel, job->scratch);
    transform_filter(scheme, job->scratch,
                     (float *)job->shared + f * p->u_phase + (panel * p->w.depth + row) * TILE_COLS, p->u_plane);
}

VEC_INLINE void run_scheme(const wino_scheme scheme, const gen_call *c, const cpu_job *job)
{
    const plan *p = job->keep;
    if (p->by_panels) {
        if (job->phase == 0) run_group(scheme, c, job, p);
        else run_panel(scheme, c, job, p);
    } else {
        if (job->phase == 0) run_filter(scheme, c, job, p);
        else run_block(scheme, c, job, p);
    }
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
