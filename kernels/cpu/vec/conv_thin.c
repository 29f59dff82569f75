/* kernels/cpu/vec/conv_thin.c: conv2d and conv2d_t with 1 to 4 channels on one side (first and last layers of image models, and their gradients).
 *
 * Thin input (phases of conv_shape.h, l runs over in_c <= 4):  out[i, j, m] = sum_{ty} sum_e row[i sy + ty][(j sx) in_c + e] w[ty][e][m]
 *   e = (tx, l) counts the taps of a row and their channels together, because they are neighbours in memory. Pixels of one output row are
 *   broadcast straight from a zero-padded copy of the input row: no im2col. Tiles are rows x TILE_VECS; the last tile of a row overlaps its
 *   predecessor instead of being cut.
 *
 * Thin output (out_c <= 4, gathers with step 1):  the lanes of a vector are neighbouring pixels of a row. Input rows are transposed once to planes
 *   [row][in_c][width], then out[i, j .. j+lanes, m] = sum_{ty, tx, l} plane[i + ty][l][j + tx ..] w[ty][tx][l][m], 4 rows x 2 vectors at a time.
 *   Results are scattered to their pixels (phases interleave), then whole rows get bias, residual and activation.
 */
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/conv_shape.h"
#include "kernels/cpu/vec/epilogue.h"

enum {
    THIN = 4,
    WANTED_PARTS = 32,
    SHORT_ROWS = VEC_ISA == 3 ? 8 : 4, /* tile height where TILE_ROWS would waste more */
    OUT_ROWS = 4,
    OUT_VECS = 2,             /* register tile of thin outputs: rows x vectors of pixels, for each channel */
    PLANE_BYTES = 256 * 1024, /* transposed rows of a part */
};

/* First and one past the last input offset of an axis' taps; false where they are not neighbours. */
static bool neighbours(const conv_axis *a, int32_t *first, int32_t *end)
{
    *first = *end = 0;
    if (a->n_taps == 0) return true;
    *first = *end = a->offset[0];
    for (int t = 0; t < a->n_taps; t++) {
        if (t && a->offset[t] - a->offset[t - 1] != 1 && a->offset[t - 1] - a->offset[t] != 1) return false;
        if (a->offset[t] < *first) *first = a->offset[t];
        if (a->offset[t] > *end) *end = a->offset[t];
    }
    *end += 1;
    return true;
}

static bool common_fits(const gen_call *c, conv_shape *s)
{
    if (!conv_shape_fits(&c->attr->window) || c->attr->window.groups > 1) return false;
    conv_shape_of(c, s);
    int32_t first, end;
    for (int i = 0; i < 2; i++)
        for (int f = 0; f < s->phases[i]; f++)
            if (!neighbours(&s->axis[i][f], &first, &end)) return false;
    return true;
}

/* ---- thin input ------------------------------------------------------------------------------------------------------------------------------------ */

typedef struct in_plan {
    conv_shape s;
    int32_t panels, block, blocks;                          /* phase rows (n, i) of a part; parts of a phase */
    int64_t weights[CONV_MAX_STRIDE * CONV_MAX_STRIDE + 1]; /* offset of each phase's packed filter */
    int64_t row_floats, max_rows;
} in_plan;

static bool in_fits(const gen_call *c)
{
    conv_shape s;
    return common_fits(c, &s) && s.in_c <= THIN && s.out_c >= VEC_W && s.out_w / s.phases[1] >= 4;
}

static void in_make(const gen_call *c, in_plan *p)
{
    conv_shape_of(c, &p->s);
    const conv_shape *s = &p->s;
    int n_phases = s->phases[0] * s->phases[1];
    p->panels = (int32_t)ceil_div(s->out_c, TILE_COLS);
    p->weights[0] = 0;
    for (int f = 0; f < n_phases; f++) {
        int64_t taps = (int64_t)s->axis[0][f / s->phases[1]].n_taps * s->axis[1][f % s->phases[1]].n_taps;
        p->weights[f + 1] = p->weights[f] + p->panels * taps * s->in_c * TILE_COLS;
    }
    int64_t rows = s->n * s->axis[0][0].out;
    p->blocks = (int32_t)max64(1, min64(rows, ceil_div(WANTED_PARTS * 2, n_phases)));
    p->block = (int32_t)ceil_div(rows, p->blocks);
    p->row_floats = (max64(s->axis[1][0].out, TILE_ROWS) * s->step[1] + CONV_MAX_SIDE) * s->in_c;
}

static void in_setup(const gen_call *c, cpu_work *w)
{
    in_plan p;
    in_make(c, &p);
    int n_phases = p.s.phases[0] * p.s.phases[1];
    w->n_phases = 2;
    w->parts[0] = n_phases;
    w->parts[1] = n_phases * p.blocks;
    w->shared_bytes = sizeof(float) * (size_t)(p.weights[n_phases] + TILE_COLS);
    w->thread_bytes = sizeof(float) * (size_t)(CONV_MAX_SIDE * p.row_floats);
    w->keep_bytes = sizeof(in_plan);
}

static void in_prepare(const gen_call *c, const cpu_work *work, void *keep)
{
    (void)work;
    in_make(c, keep);
}

/* to[panel][ty][e = (tx ascending, l)][TILE_COLS] */
static void in_pack(const gen_call *c, const in_plan *p, int f, float *to)
{
    const conv_shape *s = &p->s;
    const conv_axis *ay = &s->axis[0][f / s->phases[1]], *ax = &s->axis[1][f % s->phases[1]];
    const float *w = c->in[1].data;
    int32_t first, end;
    neighbours(ax, &first, &end);
    for (int64_t panel = 0; panel < p->panels; panel++) {
        int64_t m0 = panel * TILE_COLS, n = min64(TILE_COLS, s->out_c - m0);
        for (int u = 0; u < ay->n_taps; u++)
            for (int v = 0; v < ax->n_taps; v++) {
                const float *tap = w + ((int64_t)ay->tap[u] * s->filter_side[1] + ax->tap[v]) * s->w_c * s->w_k;
                for (int64_t l = 0; l < s->in_c; l++) {
                    float *row = to + (((panel * ay->n_taps + u) * ax->n_taps + ax->offset[v] - first) * s->in_c + l) *
                                          TILE_COLS;
                    for (int64_t m = 0; m < TILE_COLS; m++)
                        row[m] = m >= n ? 0.0f : s->transposed ? tap[(m0 + m) * s->w_k + l] : tap[l * s->w_k + m0 + m];
                }
            }
    }
}

/* rows x TILE_COLS results: x_rows tap rows of row_floats each, n_e numbers of each; pixels lie step floats apart. */
VEC_INLINE void in_tile(const int rows, const int64_t step, const float *x, int64_t row_floats, int x_rows, int n_e,
                        const float *w, vecf acc[][TILE_VECS])
{
    tile_zero(rows, TILE_VECS, acc);
    for (int u = 0; u < x_rows; u++) {
        const float *a = x + u * row_floats;
        for (int e = 0; e < n_e; e++, a++, w += TILE_COLS) {
            vecf col[TILE_VECS];
            VEC_UNROLL
            for (int j = 0; j < TILE_VECS; j++) col[j] = vec_load(w + j * VEC_W);
            VEC_UNROLL
            for (int i = 0; i < rows; i++) {
                vecf row = vec_set(a[i * step]);
                VEC_UNROLL
                for (int j = 0; j < TILE_VECS; j++) acc[i][j] = vec_fma(row, col[j], acc[i][j]);
            }
        }
    }
}

typedef struct in_row { /* one output row of a phase */
    const float *x, *w;
    int64_t row_floats, n_out, pixel_step; /* phase pixels; floats between neighbours of them in y */
    int x_rows, n_e;
    float *y;
} in_row;

VEC_INLINE void in_run_row(const int rows, const int64_t step, const in_row *r, const epilogue *e, int64_t out_c)
{
    for (int64_t j = 0; j < r->n_out; j += rows) {
        if (j + rows > r->n_out) j = max64(0, r->n_out - rows);
        float *y[TILE_ROWS];
        for (int i = 0; i < rows; i++) y[i] = j + i < r->n_out ? r->y + (j + i) * r->pixel_step : NULL;
        const float *w = r->w;
        for (int64_t m = 0; m < out_c; m += TILE_COLS, w += (int64_t)r->x_rows * r->n_e * TILE_COLS) {
            vecf acc[TILE_ROWS][TILE_VECS];
            in_tile(rows, step, r->x + j * step, r->row_floats, r->x_rows, r->n_e, w, acc);
            epilogue_tile(e, rows, acc, y, m, (int)min64(TILE_COLS, out_c - m));
        }
    }
}

/* Pixel steps of 1 and 3 channels at strides 1 and 2 are constants in the unrolled tile. */
VEC_INLINE void in_by_step(const int rows, int64_t step, const in_row *r, const epilogue *e, int64_t out_c)
{
    switch (step) {
    case 1: in_run_row(rows, 1, r, e, out_c); break;
    case 2: in_run_row(rows, 2, r, e, out_c); break;
    case 3: in_run_row(rows, 3, r, e, out_c); break;
    case 6: in_run_row(rows, 6, r, e, out_c); break;
    default: in_run_row(rows, step, r, e, out_c); break;
    }
}

static void in_rows(const gen_call *c, const cpu_job *job, const in_plan *p)
{
    const conv_shape *s = &p->s;
    const epilogue e = epilogue_of(c);
    const int f = job->part / p->blocks, block = job->part % p->blocks, a = f / s->phases[1], b = f % s->phases[1];
    const conv_axis *ay = &s->axis[0][a], *ax = &s->axis[1][b];
    int32_t first, end;
    neighbours(ax, &first, &end);
    const int64_t all = s->n * ay->out, q1 = min64(all, (int64_t)(block + 1) * p->block),
                  width = p->row_floats / s->in_c;
    in_row r = { .x = job->scratch,
                 .w = (const float *)job->shared + p->weights[f],
                 .row_floats = p->row_floats,
                 .n_out = ax->out,
                 .pixel_step = s->phases[1] * s->out_c,
                 .x_rows = ay->n_taps,
                 .n_e = (int)(ax->n_taps * s->in_c) };
    bool tall = ceil_div(ax->out, TILE_ROWS) * (TILE_ROWS + 2) <= ceil_div(ax->out, SHORT_ROWS) * (SHORT_ROWS + 2);
    for (int64_t q = (int64_t)block * p->block; q < q1; q++) {
        int64_t n = q / ay->out, i = q % ay->out;
        for (int u = 0; u < ay->n_taps; u++) { /* columns first .. of the input, zeros outside */
            float *to = (float *)job->scratch + u * p->row_floats;
            int64_t h = i * s->step[0] + ay->offset[u], left = max64(0, -(int64_t)first), from = max64(0, first),
                    n_in = min64(s->in_w - from, width - left);
            if (h < 0 || h >= s->in_h || n_in <= 0) {
                memset(to, 0, sizeof(float) * (size_t)p->row_floats);
                continue;
            }
            memset(to, 0, sizeof(float) * (size_t)(left * s->in_c));
            memcpy(to + left * s->in_c, (const float *)c->in[0].data + ((n * s->in_h + h) * s->in_w + from) * s->in_c,
                   sizeof(float) * (size_t)(n_in * s->in_c));
            memset(to + (left + n_in) * s->in_c, 0, sizeof(float) * (size_t)((width - left - n_in) * s->in_c));
        }
        r.y = (float *)c->out[0].data + ((n * s->out_h + a + i * s->phases[0]) * s->out_w + b) * s->out_c;
        if (tall) in_by_step(TILE_ROWS, s->step[1] * s->in_c, &r, &e, s->out_c);
        else in_by_step(SHORT_ROWS, s->step[1] * s->in_c, &r, &e, s->out_c);
    }
}

static void in_run(const gen_call *c, const cpu_job *job)
{
    const in_plan *p = job->keep;
    if (job->phase == 0) in_pack(c, p, job->part, (float *)job->shared + p->weights[job->part]);
    else in_rows(c, job, p);
}

const cpu_kernel VEC_FN(conv2d_thin_in) = { VEC_NAME("conv2d thin input"), in_fits, in_setup, in_prepare, in_run };

/* ---- thin output ----------------------------------------------------------------------------------------------------------------------------------- */

typedef struct out_plan {
    conv_shape s;
    int32_t block, blocks;   /* phase rows i of a part; parts of an image */
    int32_t top, left, rows; /* planes hold input rows i0 + top .. + rows - 1, columns left .. */
    int64_t width;           /* of a plane */
    int64_t weights[CONV_MAX_STRIDE * CONV_MAX_STRIDE + 1];
} out_plan;

static bool out_fits(const gen_call *c)
{
    conv_shape s;
    return common_fits(c, &s) && s.out_c <= THIN && s.in_c >= 4 && s.step[0] == 1 && s.step[1] == 1 &&
           s.out_w / s.phases[1] >= VEC_W / 2;
}

static void out_make(const gen_call *c, out_plan *p)
{
    conv_shape_of(c, &p->s);
    const conv_shape *s = &p->s;
    int n_phases = s->phases[0] * s->phases[1];
    int32_t end[2] = { 0 }, start[2] = { 0 };
    for (int i = 0; i < 2; i++)
        for (int f = 0; f < s->phases[i]; f++) {
            int32_t a, b;
            neighbours(&s->axis[i][f], &a, &b);
            if (f == 0 || a < start[i]) start[i] = a;
            if (f == 0 || b > end[i]) end[i] = b;
        }
    p->top = start[0], p->left = start[1];
    p->width = ceil_div(s->axis[1][0].out, OUT_VECS * VEC_W) * OUT_VECS * VEC_W + (end[1] - start[1]);
    p->width =
        ceil_div(p->width, 16) * 16 + 16; /* planes an odd number of lines apart where widths are powers of two */
    int64_t fits = PLANE_BYTES / (p->width * s->in_c * (int64_t)sizeof(float)) - (end[0] - start[0]),
            rows = s->axis[0][0].out;
    int64_t block = max64(OUT_ROWS, min64(fits, ceil_div(rows * s->n, WANTED_PARTS))) / OUT_ROWS * OUT_ROWS;
    p->block = (int32_t)min64(block, ceil_div(rows, OUT_ROWS) * OUT_ROWS);
    p->blocks = (int32_t)ceil_div(rows, p->block);
    p->rows = p->block + end[0] - start[0];
    p->weights[0] = 0;
    for (int f = 0; f < n_phases; f++) {
        int64_t taps = (int64_t)s->axis[0][f / s->phases[1]].n_taps * s->axis[1][f % s->phases[1]].n_taps;
        p->weights[f + 1] = p->weights[f] + taps * s->in_c * s->out_c;
    }
}

static void out_setup(const gen_call *c, cpu_work *w)
{
    out_plan p;
    out_make(c, &p);
    int n_phases = p.s.phases[0] * p.s.phases[1];
    w->n_phases = 2;
    w->parts[0] = n_phases;
    w->parts[1] = (int32_t)p.s.n * p.blocks;
    w->shared_bytes = sizeof(float) * (size_t)(p.weights[n_phases] + 16);
    w->thread_bytes = sizeof(float) * (size_t)(p.rows * p.s.in_c * p.width + p.s.out_w * p.s.out_c + VEC_W);
    w->keep_bytes = sizeof(out_plan);
}

static void out_prepare(const gen_call *c, const cpu_work *work, void *keep)
{
    (void)work;
    out_make(c, keep);
}

/* to[ty][tx][l][m] of the phase */
static void out_pack(const gen_call *c, const out_plan *p, int f, float *to)
{
    const conv_shape *s = &p->s;
    const conv_axis *ay = &s->axis[0][f / s->phases[1]], *ax = &s->axis[1][f % s->phases[1]];
    const float *w = c->in[1].data;
    for (int u = 0; u < ay->n_taps; u++)
        for (int v = 0; v < ax->n_taps; v++) {
            const float *tap = w + ((int64_t)ay->tap[u] * s->filter_side[1] + ax->tap[v]) * s->w_c * s->w_k;
            for (int64_t l = 0; l < s->in_c; l++)
                for (int64_t m = 0; m < s->out_c; m++)
                    *to++ = s->transposed ? tap[m * s->w_k + l] : tap[l * s->w_k + m];
        }
}

/* Input row h of an image to planes [in_c][width]; column 0 of a plane is input column p->left. */
static void out_transpose(const gen_call *c, const out_plan *p, int64_t n, int64_t h, float *to)
{
    const conv_shape *s = &p->s;
    if (h < 0 || h >= s->in_h) {
        memset(to, 0, sizeof(float) * (size_t)(s->in_c * p->width));
        return;
    }
    int64_t zeros = max64(0, -(int64_t)p->left), from = max64(0, p->left),
            n_in = max64(0, min64(s->in_w - from, p->width - zeros)), end = zeros + n_in;
    for (int64_t l = 0; l < s->in_c; l++) {
        memset(to + l * p->width, 0, sizeof(float) * (size_t)zeros);
        memset(to + l * p->width + end, 0, sizeof(float) * (size_t)(p->width - end));
    }
    transpose_block(n_in, s->in_c, (const float *)c->in[0].data + ((n * s->in_h + h) * s->in_w + from) * s->in_c,
                    s->in_c, to + zeros, p->width);
}

/* OUT_ROWS rows x OUT_VECS vectors x n_m channels of a phase. x: the planes at the tile's first pixel; stored as [m][row][pixel]. */
VEC_INLINE void out_tile(const int n_m, const float *x, int64_t row_floats, int64_t width, int64_t in_c,
                         const conv_axis *ay, const conv_axis *ax, int32_t top, int32_t left, const float *w, float *to)
{
    vecf acc[THIN][OUT_ROWS][OUT_VECS];
    VEC_UNROLL
    for (int m = 0; m < n_m; m++) {
        VEC_UNROLL
        for (int i = 0; i < OUT_ROWS; i++) {
            VEC_UNROLL
            for (int j = 0; j < OUT_VECS; j++) acc[m][i][j] = vec_set(0);
        }
    }
    for (int u = 0; u < ay->n_taps; u++)
        for (int v = 0; v < ax->n_taps; v++) {
            const float *a = x + (ay->offset[u] - top) * row_floats + (ax->offset[v] - left);
            for (int64_t l = 0; l < in_c; l++, a += width, w += n_m) {
                vecf pixel[OUT_ROWS][OUT_VECS];
                VEC_UNROLL
                for (int i = 0; i < OUT_ROWS; i++) {
                    VEC_UNROLL
                    for (int j = 0; j < OUT_VECS; j++) pixel[i][j] = vec_load(a + i * row_floats + j * VEC_W);
                }
                VEC_UNROLL
                for (int m = 0; m < n_m; m++) {
                    vecf weight = vec_set(w[m]);
                    VEC_UNROLL
                    for (int i = 0; i < OUT_ROWS; i++) {
                        VEC_UNROLL
                        for (int j = 0; j < OUT_VECS; j++) acc[m][i][j] = vec_fma(pixel[i][j], weight, acc[m][i][j]);
                    }
                }
            }
        }
    VEC_UNROLL
    for (int m = 0; m < n_m; m++) {
        VEC_UNROLL
        for (int i = 0; i < OUT_ROWS; i++) {
            VEC_UNROLL
            for (int j = 0; j < OUT_VECS; j++)
                vec_store(to + ((m * OUT_ROWS + i) * OUT_VECS + j) * VEC_W, acc[m][i][j]);
        }
    }
}

/* Phase (a, b) of rows i .. i + OUT_ROWS - 1 of the part: raw sums to y. */
static void out_phase(const gen_call *c, const out_plan *p, int a, int b, int64_t n, int64_t i, const float *planes,
                      const float *w)
{
    const conv_shape *s = &p->s;
    const conv_axis *ay = &s->axis[0][a], *ax = &s->axis[1][b];
    float tile[THIN * OUT_ROWS * OUT_VECS * VEC_W];
    const int64_t row_floats = s->in_c * p->width, step = s->phases[1] * s->out_c;
    for (int64_t j = 0; j < ax->out; j += OUT_VECS * VEC_W) {
        switch (s->out_c) {
        case 1: out_tile(1, planes + j, row_floats, p->width, s->in_c, ay, ax, p->top, p->left, w, tile); break;
        case 2: out_tile(2, planes + j, row_floats, p->width, s->in_c, ay, ax, p->top, p->left, w, tile); break;
        case 3: out_tile(3, planes + j, row_floats, p->width, s->in_c, ay, ax, p->top, p->left, w, tile); break;
        default: out_tile(4, planes + j, row_floats, p->width, s->in_c, ay, ax, p->top, p->left, w, tile); break;
        }
        int64_t pixels = min64(OUT_VECS * VEC_W, ax->out - j);
        for (int64_t row = 0; row < OUT_ROWS && i + row < ay->out; row++) {
            float *y = (float *)c->out[0].data +
                       ((n * s->out_h + a + (i + row) * s->phases[0]) * s->out_w + b + j * s->phases[1]) * s->out_c;
            for (int64_t m = 0; m < s->out_c; m++) {
                const float *from = tile + (m * OUT_ROWS + row) * OUT_VECS * VEC_W;
                for (int64_t q = 0; q < pixels; q++) y[q * step + m] = from[q];
            }
        }
    }
}

/* Bias, residual and activation of n neighbouring elements; pattern holds the bias repeated. */
static void out_finish(const epilogue *e, float *y, int64_t n)
{
    for (int64_t k = 0; k < n; k += VEC_W) {
        int left = (int)min64(VEC_W, n - k);
        epilogue_store(e, left == VEC_W ? vec_load(y + k) : vec_load_n(y + k, left), y + k, k, left);
    }
    if (e->late) epilogue_late(e, y, n);
}

static void out_rows(const gen_call *c, const cpu_job *job, const out_plan *p)
{
    const conv_shape *s = &p->s;
    int64_t n = job->part / p->blocks, i0 = (int64_t)(job->part % p->blocks) * p->block,
            i1 = min64(i0 + p->block, s->axis[0][0].out);
    int64_t row_floats = s->in_c * p->width, y_row = s->out_w * s->out_c;
    float *planes = job->scratch, *pattern = planes + p->rows * row_floats;
    epilogue e = epilogue_of(c);
    if (e.bias) {
        for (int64_t k = 0; k < y_row; k++) pattern[k] = e.bias[k % s->out_c];
        e.bias = pattern;
    }
    for (int64_t r = 0; r < p->rows; r++) out_transpose(c, p, n, i0 + p->top + r, planes + r * row_floats);
    for (int64_t i = i0; i < i1; i += OUT_ROWS)
        for (int a = 0; a < s->phases[0]; a++) {
            for (int b = 0; b < s->phases[1]; b++)
                out_phase(c, p, a, b, n, i, planes + (i - i0) * row_floats,
                          (const float *)job->shared + p->weights[a * s->phases[1] + b]);
            for (int64_t row = i; row < min64(i + OUT_ROWS, s->axis[0][a].out); row++)
                out_finish(&e, (float *)c->out[0].data + (n * s->out_h + a + row * s->phases[0]) * y_row, y_row);
        }
}

static void out_run(const gen_call *c, const cpu_job *job)
{
    const out_plan *p = job->keep;
    if (job->phase == 0) out_pack(c, p, job->part, (float *)job->shared + p->weights[job->part]);
    else out_rows(c, job, p);
}

const cpu_kernel VEC_FN(conv2d_thin_out) = { VEC_NAME("conv2d thin output"), out_fits, out_setup, out_prepare,
                                             out_run };
