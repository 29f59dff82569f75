/* kernels/cpu/vec/conv_winograd_weight.c: conv2d_w by the transposed Winograd algorithm.
 *
 *     dw[u,v,c,k] = G^T [ sum_tiles (B^T x B)[c] o (A dy A^T)[k] ] G        (winograd.h; one input phase of conv_winograd.h at a time)
 *
 * A part owns a block of c and of k of one input phase, and a chunk of the tiles. It walks over its tiles in blocks:
 *     V = B^T x B    [plane][c/16][tile][16]       D = A dy A^T   [plane][panel][tile][TILE_COLS]
 *     S[u plane][c][k] += sum_tile V[c] D[k]       stays in L2; planes of a mixed scheme that share a filter share S
 * and at last brings S back to filters. No sum crosses threads. Where channels alone give too few parts, or sums would be long, chunks of tiles have
 * results of their own, which a second phase adds in order.
 */
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/conv_winograd.h"

enum {
    WANTED_PARTS = 16,
    CHANNELS = 64,        /* of a block of c or k */
    LONGEST_CHUNK = 1024, /* tiles summed in one float: longer sums lose digits */
    MAX_PARTIAL_FLOATS = 8 << 20,
};

typedef struct plan {
    wino_shape w;
    int32_t planes, u_planes, c_blocks, k_blocks, in_phases, chunks;
    int64_t tiles, across, down;
    int64_t v_plane, d_plane, s_plane; /* floats between planes */
    int64_t dw_floats;
} plan;

/* Tiles of a block: V and D of many planes take the place of few. */
VEC_INLINE int tile_block(const wino_scheme s)
{
    return wino_core(s) == 8 ? 8 : 16;
}

/* Fewest tiles of a chunk: below, bringing S back costs too much. */
VEC_INLINE int shortest_chunk(const wino_scheme s)
{
    return wino_core(s) == 8 ? 16 : 48;
}

/* Ways that may be measured: half as many chunks of tiles as 0 takes, as many, twice as many. */
enum { WAY_FEW = 1, WAY_MANY = 3, N_WAYS = 3 };

static bool make_plan(const gen_call *c, int32_t way, plan *p)
{
    gen_view in[2] = { c->in[0], c->out[0] }, out[1] = { c->in[1] }; /* the convolution that dw belongs to */
    gen_call forward = { .op = GEN_OP_CONV2D, .n_in = 2, .n_out = 1, .in = in, .out = out, .attr = c->attr };
    if (!wino_shape_of(&forward, &p->w)) return false;
    const wino_shape *w = &p->w;
    const int tiles = tile_block(w->scheme);
    p->planes = w->points * w->points, p->u_planes = w->u_points * w->u_points;
    p->in_phases = w->si * w->si;
    p->c_blocks = (int32_t)ceil_div(w->s.in_c, CHANNELS);
    p->k_blocks = (int32_t)ceil_div(w->s.out_c, CHANNELS);
    p->down = wino_tiles(w, 0, 0), p->across = wino_tiles(w, 1, 0);
    p->tiles = w->s.n * p->down * p->across;
    int64_t parts = (int64_t)p->in_phases * p->c_blocks * p->k_blocks;
    p->dw_floats = w->s.filter_side[0] * w->s.filter_side[1] * w->s.in_c * w->s.out_c;
    int64_t chunks = max64(min64(ceil_div(WANTED_PARTS, parts), p->tiles / shortest_chunk(w->scheme)),
                           ceil_div(p->tiles, LONGEST_CHUNK));
    if (way == WAY_FEW) chunks = max64(chunks / 2, ceil_div(p->tiles, LONGEST_CHUNK));
    if (way == WAY_MANY) chunks = min64(2 * chunks, max64(1, p->tiles / tiles));
    p->chunks = (int32_t)max64(1, min64(chunks, MAX_PARTIAL_FLOATS / p->dw_floats));
    p->v_plane = wino_odd_lines(min64(CHANNELS, w->s.in_c) * tiles);
    p->d_plane = wino_odd_lines(ceil_div(min64(CHANNELS, w->s.out_c), TILE_COLS) * TILE_COLS * tiles);
    p->s_plane = wino_odd_lines(min64(CHANNELS, w->s.in_c) * CHANNELS);
    return true;
}

/* As in conv_winograd.c: vector products of both ways; transforms run again for each block of the other operand's channels. */
static bool pays(const plan *p, double rate)
{
    const wino_shape *w = &p->w;
    double R = (double)w->depth, K = (double)w->s.out_c, pixels = (double)(w->s.n * w->s.out_h * w->s.out_w);
    double direct = pixels * (double)p->dw_floats;
    double wino =
        (double)p->tiles * p->planes * (1.2 * R * K + 6 * R * p->k_blocks + 6 * K * p->in_phases * p->c_blocks) +
        4.0 * p->chunks * p->u_planes * R * K;
    return wino < 0.95 * direct / rate;
}

bool VEC_FN(conv2d_w_winograd_beats)(const gen_call *c, double rate);

bool VEC_FN(conv2d_w_winograd_beats)(const gen_call *c, double rate)
{
    plan p;
    conv_choice asked = conv_choice_asked();
    if (asked == CONV_DIRECT || !make_plan(c, 0, &p)) return false;
    return asked == CONV_WINOGRAD || pays(&p, rate);
}

static bool fits(const gen_call *c)
{
    return VEC_FN(conv2d_w_winograd_beats)(c, 1);
}

int32_t VEC_FN(conv2d_w_winograd_ways)(const gen_call *c);

int32_t VEC_FN(conv2d_w_winograd_ways)(const gen_call *c)
{
    plan p;
    return conv_choice_asked() != CONV_DIRECT && make_plan(c, 0, &p) ? N_WAYS : 0;
}

static void setup(const gen_call *c, cpu_work *w)
{
    plan p;
    make_plan(c, w->way, &p);
    w->n_phases = p.chunks > 1 ? 2 : 1;
    w->parts[0] = p.in_phases * p.c_blocks * p.k_blocks * p.chunks;
    w->parts[1] = cpu_parts_for(p.dw_floats, 8192);
    w->shared_bytes = p.chunks > 1 ? sizeof(float) * (size_t)(p.dw_floats * p.chunks) : 0;
    w->thread_bytes = sizeof(float) * (size_t)(p.planes * (p.v_plane + p.d_plane) + p.u_planes * p.s_plane);
    w->keep_bytes = sizeof(plan);
}

static void prepare(const gen_call *c, const cpu_work *work, void *keep)
{
    make_plan(c, work->way, keep);
}

/* ---- transforms ---------------------------------------------------------------------------------------------------------------------------------------- */

VEC_INLINE void transform_dy(const wino_scheme scheme, const plan *p, const float *dy, wino_place at, int64_t k0,
                             int64_t k1, float *d)
{
    const int points = wino_points(scheme), results = wino_results(scheme);
    const conv_shape *s = &p->w.s;
    const int64_t i0 = at.i * results, j0 = at.j * results, row = s->out_w * s->out_c, rows = s->out_h - i0,
                  cols = s->out_w - j0;
    const float *corner = dy + ((at.n * s->out_h + i0) * s->out_w + j0) * s->out_c;
    for (int64_t k = k0; k < k1; k += VEC_W) {
        vecf half[WINO_MAX][WINO_MAX_CORE];
        for (int j = 0; j < results; j++) {
            vecf y[WINO_MAX_CORE], o[WINO_MAX];
            VEC_UNROLL
            for (int i = 0; i < results; i++)
                y[i] = i < rows && j < cols ? vec_load(corner + i * row + j * s->out_c + k) : vec_set(0);
            wino_output_back(scheme, y, o);
            VEC_UNROLL
            for (int i = 0; i < points; i++) half[i][j] = o[i];
        }
        float *to = d + (k - k0) / TILE_COLS * tile_block(scheme) * TILE_COLS + (k - k0) % TILE_COLS;
        for (int i = 0; i < points; i++) {
            vecf o[WINO_MAX];
            wino_output_back(scheme, half[i], o);
            VEC_UNROLL
            for (int j = 0; j < points; j++) vec_store(to + (i * points + j) * p->d_plane, o[j]);
        }
    }
}

/* S += V D over n tiles, all planes; first: S = V D. The last u point of a mixed scheme takes the products of all points past the core. */
VEC_INLINE void accumulate(const wino_scheme scheme, const plan *p, int64_t n, int64_t n_c, int64_t n_k, const float *v,
                           const float *d, float *s, bool first)
{
    const int points = wino_points(scheme), u_points = wino_u_points(scheme), tiles = tile_block(scheme);
    for (int u = 0; u < u_points * u_points; u++) {
        int i0 = u / u_points, j0 = u % u_points, i1 = i0 + 1 < u_points ? i0 + 1 : points,
            j1 = j0 + 1 < u_points ? j0 + 1 : points;
        for (int64_t k = 0; k < n_k; k += TILE_COLS)
            for (int64_t c = 0; c < n_c; c += OUTER_ROWS) {
                vecf acc[OUTER_ROWS][TILE_VECS];
                float *to = s + u * p->s_plane + c * CHANNELS + k;
                const float *vc = v + c / TILE_GROUP * tiles * TILE_GROUP + c % TILE_GROUP, *dk = d + k * tiles;
                if (first) tile_zero(OUTER_ROWS, TILE_VECS, acc);
                else VEC_UNROLL
                for (int r = 0; r < OUTER_ROWS; r++) {
                    VEC_UNROLL
                    for (int q = 0; q < TILE_VECS; q++) acc[r][q] = vec_load(to + r * CHANNELS + q * VEC_W);
                }
                for (int i = i0; i < i1; i++)
                    for (int j = j0; j < j1; j++)
                        outer_product(OUTER_ROWS, TILE_VECS, VEC_W, n, vc + (i * points + j) * p->v_plane, TILE_GROUP,
                                      dk + (i * points + j) * p->d_plane, TILE_COLS, acc);
                VEC_UNROLL
                for (int r = 0; r < OUTER_ROWS; r++) {
                    VEC_UNROLL
                    for (int q = 0; q < TILE_VECS; q++) vec_store(to + r * CHANNELS + q * VEC_W, acc[r][q]);
                }
            }
    }
}

/* dw of the block's channels and of the taps that belong to the phase. */
VEC_INLINE void transform_back(const wino_scheme scheme, const plan *p, const wino_phase *ph, int64_t n_c, int64_t n_k,
                               const float *s, float *dw)
{
    const int points = wino_u_points(scheme), taps = wino_taps(scheme);
    const int64_t tap_floats = p->w.s.in_c * p->w.s.out_c;
    for (int64_t c = 0; c < n_c; c++)
        for (int64_t k = 0; k < n_k; k += VEC_W) {
            vecf half[WINO_MAX_TAPS][WINO_MAX];
            VEC_UNROLL
            for (int j = 0; j < points; j++) {
                vecf m[WINO_MAX], o[WINO_MAX_TAPS];
                VEC_UNROLL
                for (int i = 0; i < points; i++) m[i] = vec_load(s + (i * points + j) * p->s_plane + c * CHANNELS + k);
                wino_filter_back(scheme, m, o);
                VEC_UNROLL
                for (int i = 0; i < taps; i++) half[i][j] = o[i];
            }
            VEC_UNROLL
            for (int i = 0; i < taps; i++) {
                vecf o[WINO_MAX_TAPS];
                wino_filter_back(scheme, half[i], o);
                VEC_UNROLL
                for (int j = 0; j < taps; j++)
                    if (ph->tap[i * taps + j] >= 0)
                        vec_store(dw + ph->tap[i * taps + j] * tap_floats + c * p->w.s.out_c + k, o[j]);
            }
        }
}

/* ---- phases -------------------------------------------------------------------------------------------------------------------------------------------- */

VEC_INLINE void sum_chunk(const wino_scheme scheme, const gen_call *c, const cpu_job *job)
{
    const int tiles = tile_block(scheme);
    const plan *p = job->keep;
    const wino_shape *w = &p->w;
    const conv_shape *s = &w->s;
    int32_t i = job->part, chunk = i % p->chunks, k_block = i / p->chunks % p->k_blocks;
    int32_t c_block = i / p->chunks / p->k_blocks % p->c_blocks, phase = i / p->chunks / p->k_blocks / p->c_blocks;
    int64_t c0 = (int64_t)c_block * CHANNELS, c1 = min64(c0 + CHANNELS, s->in_c), k0 = (int64_t)k_block * CHANNELS,
            k1 = min64(k0 + CHANNELS, s->out_c);
    int64_t first = p->tiles * chunk / p->chunks, end = p->tiles * (chunk + 1) / p->chunks;
    float *v = job->scratch, *d = v + p->planes * p->v_plane, *sum = d + p->planes * p->d_plane;
    const wino_phase *ph = &w->phase[0][phase];
    if ((k1 - k0) % TILE_COLS)
        memset(d, 0, sizeof(float) * (size_t)(p->planes * p->d_plane)); /* columns past K stay zero */
    for (int64_t t = first; t < end; t += tiles) {
        int64_t n = min64(tiles, end - t);
        for (int64_t j = 0; j < n; j++) {
            wino_place at = wino_place_of(w, 0, t + j);
            wino_transform_input(scheme, w, ph, c->in[0].data, at, c0, c1, v + j * TILE_GROUP, p->v_plane,
                                 tiles * TILE_GROUP);
            transform_dy(scheme, p, c->in[1].data, at, k0, k1, d + j * TILE_COLS);
        }
        accumulate(scheme, p, n, c1 - c0, k1 - k0, v, d, sum, t == first);
    }
    float *dw = p->chunks > 1 ? (float *)job->shared + chunk * p->dw_floats : (float *)c->out[0].data;
    transform_back(scheme, p, ph, c1 - c0, k1 - k0, sum, dw + c0 * s->out_c + k0);
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

/* Each scheme is its own code. */
#define SCHEME(name)                                                                                                   \
    static void sum_##name(const gen_call *c, const cpu_job *job)                                                      \
    {                                                                                                                  \
        sum_chunk(WINO_##name, c, job);                                                                                \
    }
SCHEME(4_2)
SCHEME(4_3)
SCHEME(3_4)
SCHEME(2_5)
SCHEME(STRIDED_4)
SCHEME(STRIDED_7)

static void run(const gen_call *c, const cpu_job *job)
{
    const plan *p = job->keep;
    if (job->phase == 1) {
        add_chunks(c, job);
        return;
    }
    switch (p->w.scheme) {
    case WINO_4_2: sum_4_2(c, job); break;
    case WINO_4_3: sum_4_3(c, job); break;
    case WINO_3_4: sum_3_4(c, job); break;
    case WINO_2_5: sum_2_5(c, job); break;
    case WINO_STRIDED_4: sum_STRIDED_4(c, job); break;
    default: sum_STRIDED_7(c, job); break;
    }
}

const cpu_kernel VEC_FN(conv2d_w_winograd) = { VEC_NAME("conv2d_w winograd"), fits, setup, prepare, run };
