/* kernels/cpu/vec/conv_direct.c: conv2d and conv2d_t as implicit products of matrices; any window, stride, dilation, padding, groups; in float, and once
 * more in bfloat16 (words.h).
 *
 * One phase of conv_shape.h is out[m][col] = sum_d A[m][d] B[d][col]: m counts the phase's pixels over all images, d = (tap, channel), in words.
 *   A  is copied tile by tile, TILE_ROWS pixels at a time, to [ceil(depth/16)][TILE_ROWS][16]; it never exists as a whole.
 *   B  the filter, packed once per call to [panel][depth][TILE_COLS] (shared), columns past the last are zero.
 * A part packs a block of tiles that stays in L2 and runs all its panels over them.
 *
 * Phase 0 packs the filter, one part for each (phase, group, panel, tap); phase 1 computes, one part for each (phase, group, block, panel range).
 */
#include "kernels/cpu/bf16/choice.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/conv_shape.h"
#include "kernels/cpu/vec/words.h"

enum {
    BLOCK_BYTES = 384 * 1024, /* packed tiles of a part: a good part of the smallest L2 (1 MB) */
    MAX_BLOCK = 32,
    WANTED_PARTS = 32,
    MAX_PHASES = CONV_MAX_STRIDE * CONV_MAX_STRIDE,
    TILE_AHEAD = TILE_ROWS * TILE_GROUP, /* words from one group of a packed row to the next */
};

typedef struct phase_plan {
    int32_t n_taps;
    int64_t depth, pixels, tiles;   /* depth: words of a sum */
    int64_t weights;                /* offset of the packed filter in shared */
    int32_t block, blocks;          /* tiles of a part; parts along the tiles */
    int32_t splits;                 /* parts along the panels */
    int32_t first_part, first_pack; /* of phase 1 and of phase 0 */
} phase_plan;

typedef struct plan {
    conv_shape s;
    int32_t panels; /* of one group */
    int32_t n_phases, parts, packs;
    int64_t tap_words;     /* of one tap of one group */
    int64_t weights;       /* words of shared */
    int64_t scratch_words; /* packed tiles; row pointers follow */
    phase_plan phase[MAX_PHASES];
} plan;

/* Ways that may be measured: half of BLOCK_BYTES, as 0 takes, twice as much. */
enum { WAY_SMALL = 1, WAY_LARGE = 3, N_WAYS = 3 };

static void make_plan(const gen_call *c, int32_t way, plan *p)
{
    int64_t block_bytes = way == WAY_SMALL ? BLOCK_BYTES / 2 : way == WAY_LARGE ? 2 * BLOCK_BYTES : BLOCK_BYTES;
    conv_shape_of(c, &p->s);
    const conv_shape *s = &p->s;
    p->panels = (int32_t)ceil_div(s->group_out, TILE_COLS);
    p->n_phases = s->phases[0] * s->phases[1];
    p->parts = p->packs = 0;
    p->weights = 0;
    p->scratch_words = 0;
    p->tap_words = word_count(s->group_in);
    for (int f = 0; f < p->n_phases; f++) {
        const conv_axis *ay = &s->axis[0][f / s->phases[1]], *ax = &s->axis[1][f % s->phases[1]];
        phase_plan *ph = &p->phase[f];
        ph->n_taps = ay->n_taps * ax->n_taps;
        ph->depth = ph->n_taps * p->tap_words;
        ph->pixels = s->n * ay->out * ax->out;
        ph->tiles = ceil_div(ph->pixels, TILE_ROWS);
        ph->weights = p->weights;
        p->weights += s->groups * p->panels * ph->depth * TILE_COLS;
        int64_t tile_words = max64(1, ceil_div(ph->depth, TILE_GROUP)) * TILE_AHEAD;
        int64_t fits = max64(1, min64(MAX_BLOCK, block_bytes / (tile_words * (int64_t)sizeof(word))));
        ph->block = (int32_t)max64(1, min64(fits, ceil_div(ph->tiles * p->n_phases, WANTED_PARTS)));
        ph->blocks = (int32_t)ceil_div(ph->tiles, ph->block);
        ph->splits = (int32_t)max64(1, min64(p->panels, WANTED_PARTS / max64(1, ph->blocks * s->groups * p->n_phases)));
        ph->first_part = p->parts;
        ph->first_pack = p->packs;
        p->parts += s->groups * ph->blocks * ph->splits;
        p->packs += s->groups * p->panels * ph->n_taps;
        p->scratch_words = max64(p->scratch_words, ph->block * tile_words);
    }
}

#ifdef VEC_BF16
enum { THIN = 4 }; /* channels: so few are a matter of memory, and stay float */

static bool fits(const gen_call *c)
{
    const double rate = 1.64; /* where the model and the clock agree best (docs/decisions/0009-bf16.md) */
    return conv_shape_fits(&c->attr->window) && c->in[0].shape.dim[3] > THIN && c->out[0].shape.dim[3] > THIN &&
           !cpu_conv2d_winograd_beats_avx512(c, rate);
}
#else
static bool fits(const gen_call *c)
{
    return conv_shape_fits(&c->attr->window);
}
#endif

int32_t VEC_FN(conv2d_direct_ways)(const gen_call *c), VEC_FN(conv2d_t_direct_ways)(const gen_call *c);

int32_t VEC_FN(conv2d_direct_ways)(const gen_call *c)
{
    return conv_shape_fits(&c->attr->window) ? N_WAYS : 0;
}

int32_t VEC_FN(conv2d_t_direct_ways)(const gen_call *c)
{
    return VEC_FN(conv2d_direct_ways)(c);
}

static void setup(const gen_call *c, cpu_work *w)
{
    plan p;
    make_plan(c, w->way, &p);
    w->n_phases = 2;
    w->parts[0] = p.packs > 0 ? p.packs : 1;
    w->parts[1] = p.parts > 0 ? p.parts : 1;
    w->shared_bytes = sizeof(word) * (size_t)(p.weights + TILE_COLS);
    w->thread_bytes = sizeof(word) * (size_t)p.scratch_words + sizeof(float *) * MAX_BLOCK * TILE_ROWS;
    w->keep_bytes = sizeof(plan);
}

static void prepare(const gen_call *c, const cpu_work *work, void *keep)
{
    make_plan(c, work->way, keep);
}

/* ---- phase 0: the filter ---------------------------------------------------------------------------------------------------------------------- */

/* group_in rows of one tap: to[l][col] = w[r][s][l][col], or w[r][s][col][l] when transposed. */
static void pack_filter(const gen_call *c, const plan *p, int32_t part, word *shared)
{
    const conv_shape *s = &p->s;
    int f = 0;
    while (f + 1 < p->n_phases && part >= p->phase[f + 1].first_pack) f++;
    const phase_plan *ph = &p->phase[f];
    if (part >= p->packs || ph->n_taps == 0) return;
    int32_t i = part - ph->first_pack, tap = i % ph->n_taps, panel = i / ph->n_taps % p->panels,
            group = i / ph->n_taps / p->panels;
    const conv_axis *ay = &s->axis[0][f / s->phases[1]], *ax = &s->axis[1][f % s->phases[1]];
    int32_t r = ay->tap[tap / ax->n_taps], col = ax->tap[tap % ax->n_taps];
    const float *w = (const float *)c->in[1].data + ((int64_t)r * s->filter_side[1] + col) * s->w_c * s->w_k;
    word *to =
        shared + ph->weights + (((int64_t)group * p->panels + panel) * ph->depth + tap * p->tap_words) * TILE_COLS;
    int64_t first = (int64_t)panel * TILE_COLS, n = min64(TILE_COLS, s->group_out - first);
    /* transposed: columns are c of the group, w rows; depth is the group's k */
    if (s->transposed) word_put_columns(to, w + first * s->w_k + group * s->group_in, s->w_k, s->group_in, n);
    else word_put_lines(to, w + group * s->group_out + first, s->w_k, s->group_in, n);
}

/* ---- phase 1: tiles ----------------------------------------------------------------------------------------------------------------------------- */

/* The rows of A of TILE_ROWS pixels from pixel first on; y[i] becomes the memory of pixel i's result, NULL past the end. */
static void pack_tile(const gen_call *c, const plan *p, int f, int32_t group, int64_t first, word *to, float **y)
{
    const conv_shape *s = &p->s;
    const phase_plan *ph = &p->phase[f];
    const int a = f / s->phases[1], b = f % s->phases[1];
    const conv_axis *ay = &s->axis[0][a], *ax = &s->axis[1][b];
    int64_t j = first % ax->out, i = first / ax->out % ay->out, n = first / ax->out / ay->out;
    bool in_groups = s->group_in % GROUP_FLOATS == 0;
    for (int row = 0; row < TILE_ROWS; row++) {
        word *t = to + row * TILE_GROUP;
        bool past = first + row >= ph->pixels;
        y[row] = past ? NULL
                      : (float *)c->out[0].data +
                            ((n * s->out_h + a + i * s->phases[0]) * s->out_w + b + j * s->phases[1]) * s->out_c +
                            group * s->group_out;
        const float *x = (const float *)c->in[0].data + n * s->in_h * s->in_w * s->in_c + group * s->group_in;
        int64_t d = 0;
        for (int u = 0; u < ay->n_taps; u++) {
            int64_t in_y = i * s->step[0] + ay->offset[u];
            bool row_inside = !past && in_y >= 0 && in_y < s->in_h;
            for (int v = 0; v < ax->n_taps; v++, d += p->tap_words) {
                int64_t in_x = j * s->step[1] + ax->offset[v];
                bool inside = row_inside && in_x >= 0 && in_x < s->in_w;
                const float *from = inside ? x + (in_y * s->in_w + in_x) * s->in_c : NULL;
                if (in_groups) t = word_put_groups(t, TILE_AHEAD, from, s->group_in);
                else word_put_any(t, TILE_AHEAD, d, from, s->group_in);
            }
        }
        if (++j == ax->out) {
            j = 0;
            if (++i == ay->out) i = 0, n++;
        }
    }
}

static void run_tiles(const gen_call *c, const cpu_job *job)
{
    const plan *p = job->keep;
    const conv_shape *s = &p->s;
    const epilogue e = epilogue_of(c);
    int f = 0;
    while (f + 1 < p->n_phases && job->part >= p->phase[f + 1].first_part) f++;
    const phase_plan *ph = &p->phase[f];
    if (job->part >= p->parts || ph->tiles == 0) return;
    int32_t i = job->part - ph->first_part, split = i % ph->splits, block = i / ph->splits % ph->blocks,
            group = i / ph->splits / ph->blocks;
    int64_t t0 = (int64_t)block * ph->block, t1 = min64(t0 + ph->block, ph->tiles);
    int64_t tile_words = ceil_div(ph->depth, TILE_GROUP) * TILE_AHEAD;
    word *packed = job->scratch;
    float **y = (float **)(void *)(packed + p->scratch_words);
    for (int64_t t = t0; t < t1; t++)
        pack_tile(c, p, f, group, t * TILE_ROWS, packed + (t - t0) * tile_words, y + (t - t0) * TILE_ROWS);

    const word *weights = (const word *)job->shared + ph->weights + (int64_t)group * p->panels * ph->depth * TILE_COLS;
    int32_t panel0 = (int32_t)((int64_t)p->panels * split / ph->splits),
            panel1 = (int32_t)((int64_t)p->panels * (split + 1) / ph->splits);
    epilogue own = e; /* bias and columns of the group */
    if (own.bias) own.bias += group * s->group_out;
    for (int32_t panel = panel0; panel < panel1; panel++) {
        int64_t col = (int64_t)panel * TILE_COLS;
        int n = (int)min64(TILE_COLS, s->group_out - col);
        for (int64_t t = 0; t < t1 - t0; t++) {
            vecf acc[TILE_ROWS][TILE_VECS];
            tile_zero(TILE_ROWS, TILE_VECS, acc);
            word_product(TILE_ROWS, ph->depth, packed + t * tile_words, weights + panel * ph->depth * TILE_COLS, acc);
            epilogue_tile(&own, TILE_ROWS, acc, y + t * TILE_ROWS, col, n);
        }
    }
}

static void run(const gen_call *c, const cpu_job *job)
{
    if (job->phase == 0) pack_filter(c, job->keep, job->part, job->shared);
    else run_tiles(c, job);
}

const cpu_kernel VEC_FN(conv2d_direct) = { VEC_NAME("conv2d direct"), fits, setup, prepare, run };
const cpu_kernel VEC_FN(conv2d_t_direct) = { VEC_NAME("conv2d_t direct"), fits, setup, prepare, run };
