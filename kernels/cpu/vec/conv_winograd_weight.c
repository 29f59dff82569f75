/* kernels/cpu/vec/conv_winograd_weight.c: conv2d_w by the transposed Winograd algorithm.
 *
 *     dw[u,v,c,k] = G^T [ sum_tiles (B^T x B)[c] o (A dy A^T)[k] ] G        (winograd.h; one input phase of conv_winograd.h at a time)
 *
 * A part owns C_BLOCK x K_BLOCK channels of one input phase, and a chunk of the tiles. It walks over its tiles in blocks of TILE_BLOCK:
 *     V = B^T x B    [plane][c/16][tile][16]       D = A dy A^T   [plane][panel][tile][TILE_COLS]
 *     S[plane][c][k] += sum_tile V[c] D[k]         stays in L2
 * and at last brings S back to filters. No sum crosses threads. Where channels alone give too few parts, or sums would be long, chunks of tiles have
 * results of their own, which a second phase adds in order.
 */
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/conv_winograd.h"
#include "kernels/cpu/vec/winograd.h"

enum {
    C_BLOCK = 64, K_BLOCK = 64,
    TILE_BLOCK = 16,
    WANTED_PARTS = 16,
    SHORTEST_CHUNK = 48,  /* tiles: below, bringing S back costs too much */
    LONGEST_CHUNK = 1024, /* tiles summed in one float: longer sums lose digits */
    MAX_PARTIAL_FLOATS = 8 << 20,
};

typedef struct plan {
    wino_shape w;
    int32_t planes, c_blocks, k_blocks, in_phases, chunks;
    int64_t tiles, across, down;
    int64_t v_plane, d_plane, s_plane; /* floats between planes */
    int64_t dw_floats;
} plan;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

static bool make_plan(const gen_call *c, plan *p)
{
    gen_view in[2] = { c->in[0], c->out[0] }, out[1] = { c->in[1] }; /* the convolution that dw belongs to */
    gen_call forward = { .op = GEN_OP_CONV2D, .n_in = 2, .n_out = 1, .in = in, .out = out, .attr = c->attr };
    if (!wino_shape_of(&forward, &p->w)) return false;
    const wino_shape *w = &p->w;
    p->planes = w->points * w->points;
    p->in_phases = w->si * w->si;
    p->c_blocks = (int32_t)ceil_div(w->s.in_c, C_BLOCK);
    p->k_blocks = (int32_t)ceil_div(w->s.out_c, K_BLOCK);
    p->down = wino_tiles(w, 0, 0), p->across = wino_tiles(w, 1, 0);
    p->tiles = w->s.n * p->down * p->across;
    int64_t parts = (int64_t)p->in_phases * p->c_blocks * p->k_blocks;
    p->dw_floats = w->s.filter_side[0] * w->s.filter_side[1] * w->s.in_c * w->s.out_c;
    int64_t chunks = max64(min64(ceil_div(WANTED_PARTS, parts), p->tiles / SHORTEST_CHUNK), ceil_div(p->tiles, LONGEST_CHUNK));
    p->chunks = (int32_t)max64(1, min64(chunks, MAX_PARTIAL_FLOATS / p->dw_floats));
    p->v_plane = wino_odd_lines(min64(C_BLOCK, w->s.in_c) * TILE_BLOCK);
    p->d_plane = wino_odd_lines(ceil_div(min64(K_BLOCK, w->s.out_c), TILE_COLS) * TILE_COLS * TILE_BLOCK);
    p->s_plane = wino_odd_lines(min64(C_BLOCK, w->s.in_c) * K_BLOCK);
    return true;
}

/* As in conv_winograd.c: vector products of both ways; transforms run again for each block of the other operand's channels. */
static bool pays(const plan *p)
{
    const wino_shape *w = &p->w;
    double R = (double)w->depth, K = (double)w->s.out_c, pixels = (double)(w->s.n * w->s.out_h * w->s.out_w);
    double direct = pixels * (double)p->dw_floats;
    double wino = (double)p->tiles * p->planes * (1.2 * R * K + 6 * R * p->k_blocks + 6 * K * p->in_phases * p->c_blocks) + 4.0 * p->chunks * p->planes * R * K;
    return wino < 0.95 * direct;
}

static bool fits(const gen_call *c)
{
    plan p;
    conv_choice asked = conv_choice_asked();
    if (asked == CONV_DIRECT || !make_plan(c, &p)) return false;
    return asked == CONV_WINOGRAD || pays(&p);
}

static void setup(const gen_call *c, cpu_work *w)
{
    plan p;
    make_plan(c, &p);
    w->n_phases = p.chunks > 1 ? 2 : 1;
    w->parts[0] = p.in_phases * p.c_blocks * p.k_blocks * p.chunks;
    w->parts[1] = cpu_parts_for(p.dw_floats, 8192);
    w->shared_bytes = p.chunks > 1 ? sizeof(float) * (size_t)(p.dw_floats * p.chunks) : 0;
    w->thread_bytes = sizeof(float) * (size_t)(p.planes * (p.v_plane + p.d_plane + p.s_plane));
    w->keep_bytes = sizeof(plan);
}

static void prepare(const gen_call *c, const cpu_work *work, void *keep)
{
    (void)work;
    make_plan(c, keep);
}

/* ---- transforms ---------------------------------------------------------------------------------------------------------------------------------------- */

typedef struct place {
    int64_t n, i, j;
} place;

static place place_of(const plan *p, int64_t tile)
{
    return (place){ tile / p->across / p->down, tile / p->across % p->down * p->w.tile, tile % p->across * p->w.tile };
}

VEC_INLINE void transform_x(const int points, const plan *p, const wino_phase *ph, const float *x, place at, int64_t c0, int64_t c1, float *v)
{
    const conv_shape *s = &p->w.s;
    const int64_t si = p->w.si, y0 = at.i * si + ph->row, x0 = at.j * si + ph->col, row = s->in_w * s->in_c * si, col = s->in_c * si;
    const float *corner = x + ((at.n * s->in_h + y0) * s->in_w + x0) * s->in_c;
    bool inside = y0 >= 0 && x0 >= 0 && y0 + (points - 1) * si < s->in_h && x0 + (points - 1) * si < s->in_w;
    for (int64_t c = c0; c < c1; c += VEC_W) {
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
        float *to = v + (c - c0) / TILE_GROUP * TILE_BLOCK * TILE_GROUP + c % TILE_GROUP;
        for (int i = 0; i < points; i++) {
            vecf o[WINO_MAX];
            wino_input(points, half[i], o);
            VEC_UNROLL for (int j = 0; j < points; j++) vec_store(to + (i * points + j) * p->v_plane, o[j]);
        }
    }
}

VEC_INLINE void transform_dy(const int points, const int taps, const plan *p, const float *dy, place at, int64_t k0, int64_t k1, float *d)
{
    const int tile = points + 1 - taps;
    const conv_shape *s = &p->w.s;
    const int64_t row = s->out_w * s->out_c, rows = s->out_h - at.i, cols = s->out_w - at.j;
    const float *corner = dy + ((at.n * s->out_h + at.i) * s->out_w + at.j) * s->out_c;
    for (int64_t k = k0; k < k1; k += VEC_W) {
        vecf half[WINO_MAX][WINO_MAX];
        VEC_UNROLL for (int j = 0; j < tile; j++) {
            vecf y[WINO_MAX], o[WINO_MAX];
            VEC_UNROLL for (int i = 0; i < tile; i++) y[i] = i < rows && j < cols ? vec_load(corner + i * row + j * s->out_c + k) : vec_set(0);
            wino_expand(points, tile, 0, y, o);
            VEC_UNROLL for (int i = 0; i < points; i++) half[i][j] = o[i];
        }
        float *to = d + (k - k0) / TILE_COLS * TILE_BLOCK * TILE_COLS + (k - k0) % TILE_COLS;
        VEC_UNROLL for (int i = 0; i < points; i++) {
            vecf o[WINO_MAX];
            wino_expand(points, tile, 0, half[i], o);
            VEC_UNROLL for (int j = 0; j < points; j++) vec_store(to + (i * points + j) * p->d_plane, o[j]);
        }
    }
}

/* S += V D over n tiles, all planes; first: S = V D. */
static void accumulate(const plan *p, int64_t n, int64_t n_c, int64_t n_k, const float *v, const float *d, float *s, bool first)
{
    for (int plane = 0; plane < p->planes; plane++)
        for (int64_t k = 0; k < n_k; k += TILE_COLS)
            for (int64_t c = 0; c < n_c; c += OUTER_ROWS) {
                vecf acc[OUTER_ROWS][TILE_VECS];
                float *to = s + plane * p->s_plane + c * K_BLOCK + k;
                if (first) tile_zero(OUTER_ROWS, TILE_VECS, acc);
                else VEC_UNROLL for (int i = 0; i < OUTER_ROWS; i++)
                    VEC_UNROLL for (int j = 0; j < TILE_VECS; j++) acc[i][j] = vec_load(to + i * K_BLOCK + j * VEC_W);
                outer_product(OUTER_ROWS, TILE_VECS, VEC_W, n, v + plane * p->v_plane + c / TILE_GROUP * TILE_BLOCK * TILE_GROUP + c % TILE_GROUP, TILE_GROUP,
                              d + plane * p->d_plane + k * TILE_BLOCK, TILE_COLS, acc);
                VEC_UNROLL for (int i = 0; i < OUTER_ROWS; i++)
                    VEC_UNROLL for (int j = 0; j < TILE_VECS; j++) vec_store(to + i * K_BLOCK + j * VEC_W, acc[i][j]);
            }
}

/* dw of the block's channels and of the taps that belong to the phase. */
VEC_INLINE void transform_back(const int points, const int taps, const plan *p, const wino_phase *ph, int64_t n_c, int64_t n_k, const float *s, float *dw)
{
    const int64_t tap_floats = p->w.s.in_c * p->w.s.out_c;
    for (int64_t c = 0; c < n_c; c++)
        for (int64_t k = 0; k < n_k; k += VEC_W) {
            vecf half[WINO_MAX][WINO_MAX];
            VEC_UNROLL for (int j = 0; j < points; j++) {
                vecf m[WINO_MAX], o[WINO_MAX];
                VEC_UNROLL for (int i = 0; i < points; i++) m[i] = vec_load(s + (i * points + j) * p->s_plane + c * K_BLOCK + k);
                wino_collect(points, taps, 1, m, o);
                VEC_UNROLL for (int i = 0; i < taps; i++) half[i][j] = o[i];
            }
            VEC_UNROLL for (int i = 0; i < taps; i++) {
                vecf o[WINO_MAX];
                wino_collect(points, taps, 1, half[i], o);
                VEC_UNROLL for (int j = 0; j < taps; j++)
                    if (ph->tap[i * taps + j] >= 0) vec_store(dw + ph->tap[i * taps + j] * tap_floats + c * p->w.s.out_c + k, o[j]);
            }
        }
}

/* ---- phases -------------------------------------------------------------------------------------------------------------------------------------------- */

VEC_INLINE void sum_chunk(const int points, const int taps, const gen_call *c, const cpu_job *job)
{
    const plan *p = job->keep;
    const conv_shape *s = &p->w.s;
    int32_t i = job->part, chunk = i % p->chunks, k_block = i / p->chunks % p->k_blocks;
    int32_t c_block = i / p->chunks / p->k_blocks % p->c_blocks, phase = i / p->chunks / p->k_blocks / p->c_blocks;
    int64_t c0 = (int64_t)c_block * C_BLOCK, c1 = min64(c0 + C_BLOCK, s->in_c), k0 = (int64_t)k_block * K_BLOCK, k1 = min64(k0 + K_BLOCK, s->out_c);
    int64_t first = p->tiles * chunk / p->chunks, end = p->tiles * (chunk + 1) / p->chunks;
    float *v = job->scratch, *d = v + p->planes * p->v_plane, *sum = d + p->planes * p->d_plane;
    const wino_phase *ph = &p->w.phase[0][phase];
    if ((k1 - k0) % TILE_COLS) memset(d, 0, sizeof(float) * (size_t)(p->planes * p->d_plane)); /* columns past K stay zero */
    for (int64_t t = first; t < end; t += TILE_BLOCK) {
        int64_t n = min64(TILE_BLOCK, end - t);
        for (int64_t j = 0; j < n; j++) {
            place at = place_of(p, t + j);
            transform_x(points, p, ph, c->in[0].data, at, c0, c1, v + j * TILE_GROUP);
            transform_dy(points, taps, p, c->in[1].data, at, k0, k1, d + j * TILE_COLS);
        }
        accumulate(p, n, c1 - c0, k1 - k0, v, d, sum, t == first);
    }
    float *dw = p->chunks > 1 ? (float *)job->shared + chunk * p->dw_floats : (float *)c->out[0].data;
    transform_back(points, taps, p, ph, c1 - c0, k1 - k0, sum, dw + c0 * s->out_c + k0);
}

static void add_chunks(const gen_call *c, const cpu_job *job)
{
    const plan *p = job->keep;
    const float *partial = job->shared;
    float *dw = c->out[0].data;
    int64_t begin, end;
    cpu_part_range(job, p->dw_floats, 16, &begin, &end);
    for (int64_t i = begin; i < end; i += VEC_W) { /* channels are multiples of 16 */
        vecf sum = vec_load(partial + i);
        for (int32_t chunk = 1; chunk < p->chunks; chunk++) sum = sum + vec_load(partial + chunk * p->dw_floats + i);
        vec_store(dw + i, sum);
    }
}

static void run(const gen_call *c, const cpu_job *job)
{
    const plan *p = job->keep;
    if (job->phase == 1) {
        add_chunks(c, job);
        return;
    }
    switch (p->w.taps) {
    case 2: sum_chunk(5, 2, c, job); break;
    case 3: sum_chunk(6, 3, c, job); break;
    case 4: sum_chunk(6, 4, c, job); break;
    default: sum_chunk(6, 5, c, job); break;
    }
}

const cpu_kernel VEC_FN(conv2d_w_winograd) = { VEC_NAME("conv2d_w winograd"), fits, setup, prepare, run };
