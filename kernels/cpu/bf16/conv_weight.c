/* kernels/cpu/bf16/conv_weight.c: conv2d_w, the gradient of a convolution in its filter, in bfloat16.
 *
 *     dw[r,s,c,k] = sum_{n,p,q} x[n, p u + r d - pad, q v + s d - pad, c] dy[n,p,q,k]
 *
 * The pixels of dy, over all images, are the steps of the sum, two in a pair: pair t has pixels 2t and 2t + 1, wherever they lie.
 *
 *   phase 0  dy, packed once for all taps: [group][panel][pair][TILE_COLS]
 *   phase 1  a part has a tap, a block of channels c and a chunk of the pairs. It goes by some pairs at a time, which stay in the nearest caches: packs what
 *            the tap sees of x as [ROWS channels][pair][ROWS], zeros outside of the picture, and adds their products to dw, which lies in memory
 *   phase 2  adds the chunks' results in order, where there are several
 */
#include "kernels/cpu/bf16/choice.h"
#include "kernels/cpu/bf16/pairs.h"
#include "kernels/cpu/kernel.h"

enum {
    WANTED_PARTS = 32,
    ROWS = 8,         /* channels of a register tile */
    CHANNELS = 64,    /* of a block */
    PAIRS = 128,      /* at a time: sums in registers */
    FEW_CHANNELS = 8, /* fewer are a matter of memory, and stay float */
    MAX_PARTIAL_FLOATS = 4 << 20,
};

typedef struct plan {
    const gen_window *win;
    int64_t n, h, w, c, p, q, k, groups, group_c, group_k;
    int64_t pixels, pairs;
    int32_t taps, c_blocks, panels, blocks, chunks; /* panels of a group; blocks of PAIRS, and chunks of these */
    int64_t dy_pairs, dw_floats;                    /* packed dy; a result */
} plan;

static plan make_plan(const gen_call *c)
{
    const gen_shape *x = &c->in[0].shape, *dy = &c->in[1].shape;
    plan p = { .win = &c->attr->window };
    p.n = x->dim[0], p.h = x->dim[1], p.w = x->dim[2], p.c = x->dim[3];
    p.p = dy->dim[1], p.q = dy->dim[2], p.k = dy->dim[3];
    p.groups = p.win->groups > 0 ? p.win->groups : 1;
    p.group_c = p.c / p.groups, p.group_k = p.k / p.groups;
    p.pixels = p.n * p.p * p.q;
    p.pairs = ceil_div(p.pixels, 2);
    p.taps = p.win->kernel[0] * p.win->kernel[1];
    p.c_blocks = (int32_t)ceil_div(p.group_c, CHANNELS);
    p.panels = (int32_t)ceil_div(p.group_k, TILE_COLS);
    p.blocks = (int32_t)ceil_div(p.pairs, PAIRS);
    p.dy_pairs = p.groups * p.panels * p.pairs * TILE_COLS;
    p.dw_floats = p.taps * p.group_c * p.k;
    int64_t chunks = min64(p.blocks, ceil_div(WANTED_PARTS, p.taps * p.groups * p.c_blocks));
    p.chunks = (int32_t)max64(1, min64(chunks, MAX_PARTIAL_FLOATS / max64(1, p.dw_floats)));
    return p;
}

static bool fits(const gen_call *c)
{
    const double rate = 1.85; /* where the model and the clock agree best (docs/decisions/0009-bf16.md) */
    const plan p = make_plan(c);
    return p.group_c >= FEW_CHANNELS && p.group_k >= FEW_CHANNELS && !cpu_conv2d_w_winograd_beats_avx512(c, rate);
}

int32_t VEC_FN(conv2d_w_pairs_ways)(const gen_call *c);

int32_t VEC_FN(conv2d_w_pairs_ways)(const gen_call *c)
{
    (void)c;
    return 1;
}

static void setup(const gen_call *c, cpu_work *w)
{
    const plan p = make_plan(c);
    w->n_phases = p.chunks > 1 ? 3 : 2;
    w->parts[0] = cpu_parts_for(p.pairs * p.k, 32768);
    w->parts[1] = (int32_t)(p.taps * p.groups) * p.c_blocks * p.chunks;
    w->parts[2] = cpu_parts_for(p.dw_floats, 8192);
    w->shared_bytes = sizeof(pair) * (size_t)p.dy_pairs;
    if (p.chunks > 1) w->shared_bytes += sizeof(float) * (size_t)(p.dw_floats * p.chunks);
    w->thread_bytes = sizeof(pair) * CHANNELS * PAIRS;
}

/* ---- phase 0 ----------------------------------------------------------------------------------------------------------------- */

static void pack_dy(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    int64_t begin, end;
    cpu_part_range(job, p.pairs, 1, &begin, &end);
    for (int64_t t = begin; t < end; t++) {
        const float *even = (const float *)c->in[1].data + 2 * t * p.k, *odd = 2 * t + 1 < p.pixels ? even + p.k : NULL;
        for (int64_t group = 0; group < p.groups; group++)
            for (int64_t panel = 0; panel < p.panels; panel++) {
                const int64_t k = panel * TILE_COLS, at = group * p.group_k + k;
                pair_put_line((pair *)job->shared + ((group * p.panels + panel) * p.pairs + t) * TILE_COLS, even + at,
                              odd ? odd + at : NULL, p.group_k - k);
            }
    }
}

/* ---- phase 1 ----------------------------------------------------------------------------------------------------------------- */

/* What one tap sees of x, pixel by pixel of dy. */
typedef struct walk {
    const float *x; /* the first channel of interest of the first picture */
    int64_t n, p, q, offset_y, offset_x;
} walk;

/* The next pixel's channels; NULL outside of the picture, or of the last one. */
static const float *next_pixel(const plan *p, walk *w)
{
    const int64_t y = w->p * p->win->stride[0] + w->offset_y, x = w->q * p->win->stride[1] + w->offset_x;
    const bool inside = w->n < p->n && y >= 0 && y < p->h && x >= 0 && x < p->w;
    const float *pixel = inside ? w->x + ((w->n * p->h + y) * p->w + x) * p->c : NULL;
    if (++w->q == p->q) {
        w->q = 0;
        if (++w->p == p->p) w->p = 0, w->n++;
    }
    return pixel;
}

VEC_INLINE vecf channels(const float *pixel, int64_t at, int64_t n)
{
    return pixel && at < n ? pair_load_n(pixel + at, n - at) : vec_set(0);
}

/* The next `pairs` pairs of n channels, to [n / ROWS][PAIRS][ROWS]. */
static void pack_x(const plan *p, walk *w, int64_t pairs, int64_t n, pair *to)
{
    for (int64_t t = 0; t < pairs; t++) {
        const float *even = next_pixel(p, w), *odd = next_pixel(p, w);
        for (int64_t at = 0; at < n; at += VEC_W) {
            const __m512i both = pairs_across(channels(even, at, n), channels(odd, at, n));
            pair *tile = to + at * PAIRS + t * ROWS;
            _mm256_storeu_si256((__m256i *)(void *)tile, _mm512_castsi512_si256(both));
            if (at + ROWS < n)
                _mm256_storeu_si256((__m256i *)(void *)(tile + ROWS * PAIRS), _mm512_extracti64x4_epi64(both, 1));
        }
    }
}

/* ROWS channels, of which `rows` are there, times one panel, of which n columns are; dw starts or grows. */
static void add_tile(int64_t pairs, const pair *a, const pair *b, int64_t rows, int64_t n, float *dw, int64_t ld,
                     bool starts)
{
    vecf acc[ROWS][TILE_VECS];
    tile_zero(ROWS, TILE_VECS, acc);
    for (int64_t t = 0; t < pairs; t++, a += ROWS, b += TILE_COLS) {
        __m512bh col[TILE_VECS];
        VEC_UNROLL
        for (int j = 0; j < TILE_VECS; j++) col[j] = (__m512bh)_mm512_loadu_si512(b + j * VEC_W);
        VEC_UNROLL
        for (int i = 0; i < ROWS; i++) {
            const __m512bh row = (__m512bh)_mm512_set1_epi32((int32_t)a[i]);
            VEC_UNROLL
            for (int j = 0; j < TILE_VECS; j++) acc[i][j] = _mm512_dpbf16_ps(acc[i][j], row, col[j]);
        }
    }
    VEC_UNROLL
    for (int i = 0; i < ROWS; i++) {
        VEC_UNROLL
        for (int j = 0; j < TILE_VECS; j++) {
            const int left = (int)min64(VEC_W, n - j * VEC_W);
            float *to = dw + i * ld + j * VEC_W;
            if (i >= rows || left <= 0) continue;
            vecf sum = acc[i][j];
            if (!starts) sum = sum + vec_load_n(to, left);
            vec_store_n(to, sum, left);
        }
    }
}

/* All tiles of a block of pairs. */
static void add_block(const plan *p, int64_t pairs, const pair *x, const pair *dy, int64_t n_c, float *dw, bool starts)
{
    for (int64_t panel = 0; panel < p->panels; panel++) {
        const int64_t k = panel * TILE_COLS;
        for (int64_t row = 0; row < n_c; row += ROWS)
            add_tile(pairs, x + row * PAIRS, dy + panel * p->pairs * TILE_COLS, n_c - row,
                     min64(TILE_COLS, p->group_k - k), dw + row * p->k + k, p->k, starts);
    }
}

static void sum_chunk(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    const int64_t i = job->part, chunk = i % p.chunks, block = i / p.chunks % p.c_blocks,
                  group = i / p.chunks / p.c_blocks % p.groups, tap = i / p.chunks / p.c_blocks / p.groups;
    const int64_t c0 = block * CHANNELS, n_c = min64(CHANNELS, p.group_c - c0), first = p.blocks * chunk / p.chunks,
                  end = p.blocks * (chunk + 1) / p.chunks, pixel = 2 * first * PAIRS;
    const pair *dy = (const pair *)job->shared + group * p.panels * p.pairs * TILE_COLS;
    float *partial = (float *)(void *)((pair *)job->shared + p.dy_pairs);
    float *dw = (p.chunks > 1 ? partial + chunk * p.dw_floats : (float *)c->out[0].data) +
                (tap * p.group_c + c0) * p.k + group * p.group_k;
    walk w = { .x = (const float *)c->in[0].data + group * p.group_c + c0,
               .n = pixel / (p.p * p.q),
               .p = pixel / p.q % p.p,
               .q = pixel % p.q,
               .offset_y = tap / p.win->kernel[1] * p.win->dilation[0] - p.win->pad[0],
               .offset_x = tap % p.win->kernel[1] * p.win->dilation[1] - p.win->pad[1] };
    for (int64_t b = first; b < end; b++) {
        const int64_t t = b * PAIRS, pairs = min64(PAIRS, p.pairs - t);
        pack_x(&p, &w, pairs, n_c, job->scratch);
        add_block(&p, pairs, job->scratch, dy + t * TILE_COLS, n_c, dw, b == first);
    }
}

/* ---- phase 2 ----------------------------------------------------------------------------------------------------------------- */

static void add_chunks(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    const float *partial = (const float *)(const void *)((const pair *)job->shared + p.dy_pairs);
    int64_t begin, end;
    cpu_part_range(job, p.dw_floats, VEC_W, &begin, &end);
    for (int64_t i = begin; i < end; i += VEC_W) {
        int n = (int)min64(VEC_W, end - i);
        vecf sum = vec_load_n(partial + i, n);
        for (int32_t chunk = 1; chunk < p.chunks; chunk++) sum = sum + vec_load_n(partial + chunk * p.dw_floats + i, n);
        vec_store_n((float *)c->out[0].data + i, sum, n);
    }
}

static void run(const gen_call *c, const cpu_job *job)
{
    if (job->phase == 0) pack_dy(c, job);
    else if (job->phase == 1) sum_chunk(c, job);
    else add_chunks(c, job);
}

const cpu_kernel VEC_FN(conv2d_w_pairs) = { VEC_NAME("conv2d_w pairs"), fits, setup, NULL, run };
