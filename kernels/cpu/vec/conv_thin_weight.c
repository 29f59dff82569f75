/* kernels/cpu/vec/conv_thin_weight.c: conv2d_w where x or dy has few channels: first and last layers.
 *
 *     dw[r,s,c,k] = sum_{n,p,q} x[n, p u + r - pad, q v + s - pad, c] dy[n,p,q,k]
 *
 * For one filter row r and one pixel of the wide tensor, the numbers of the thin one that meet it lie side by side: thin x, all (s, c) of the window of q;
 * thin dy (stride 1), all (q, k) whose window holds the pixel, that is s from last to first. So
 *
 *     sum[r][f][j] += thin[pixel step + f] wide[pixel][j],     f < S C (S K),  j < K (C)
 *
 * is an outer product with up to TILE_ROWS of them in registers. Rows of the thin tensor are copied with zeros at their ends. A part owns a filter row and
 * a chunk of the picture rows; a second phase adds the chunks in order and puts dw's axes in place.
 */
#include <stdbool.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/micro.h"

enum { THIN = 4, MAX_CHUNKS = 16, MAX_PARTIAL_FLOATS = 4 << 20, MAX_SIDE = 16 };

typedef struct plan {
    bool thin_x; /* else dy is the thin one */
    int64_t n, h, w, p, q, r, s;
    int64_t thin, wide;      /* channels */
    int64_t floats;          /* S thin: of the thin row that meet a pixel */
    int64_t pixels, step;    /* of a wide row; floats of the thin row from pixel to pixel */
    int64_t front, row;      /* zeros in front of a thin row; its length with all zeros */
    int64_t chunks, partial; /* of picture rows; floats of a chunk's sums */
    const gen_window *win;
} plan;

static plan make_plan(const gen_call *c)
{
    const int64_t *x = c->in[0].shape.dim, *dy = c->in[1].shape.dim;
    const gen_window *win = &c->attr->window;
    plan p = {
        .win = win, .n = x[0], .h = x[1], .w = x[2], .p = dy[1], .q = dy[2], .r = win->kernel[0], .s = win->kernel[1]
    };
    p.thin_x = x[3] <= THIN;
    p.thin = p.thin_x ? x[3] : dy[3];
    p.wide = p.thin_x ? dy[3] : x[3];
    p.floats = p.s * p.thin;
    p.pixels = p.thin_x ? p.q : p.w;
    p.step = (p.thin_x ? win->stride[1] : 1) * p.thin;
    p.front = p.thin_x ? win->pad[1] : p.s - 1 - win->pad[1];
    p.row = (p.pixels - 1) * p.step + p.floats;
    p.partial = p.r * p.floats * p.wide;
    p.chunks = min64(p.n * p.p, MAX_CHUNKS);
    while (p.chunks > 1 && p.chunks * p.partial > MAX_PARTIAL_FLOATS) p.chunks--;
    return p;
}

static bool fits(const gen_call *c)
{
    const gen_window *win = &c->attr->window;
    int64_t in = c->in[0].shape.dim[3], out = c->in[1].shape.dim[3];
    if (win->groups > 1 || win->dilation[0] != 1 || win->dilation[1] != 1 || win->kernel[1] > MAX_SIDE) return false;
    if (in <= THIN) return out >= VEC_W && out > in;
    return out <= THIN && in >= VEC_W && win->stride[0] == 1 && win->stride[1] == 1;
}

static void setup(const gen_call *c, cpu_work *w)
{
    plan p = make_plan(c);
    w->n_phases = 2;
    w->parts[0] = (int32_t)(p.r * p.chunks);
    w->parts[1] = cpu_parts_for(p.partial, 8192);
    w->shared_bytes = (size_t)(p.partial * p.chunks) * sizeof(float);
    w->thread_bytes = (size_t)p.row * sizeof(float);
}

/* to[row] = the thin row from[pixels][thin] between zeros, or cut, as front says */
static void copy_row(const plan *p, const float *from, int64_t pixels, float *to)
{
    int64_t first = p->front * p->thin, begin = first < 0 ? 0 : min64(first, p->row),
            end = min64(p->row, first + pixels * p->thin);
    memset(to, 0, (size_t)p->row * sizeof *to);
    if (end > begin) memcpy(to + begin, from + begin - first, (size_t)(end - begin) * sizeof *to);
}

/* rows floats of the thin row from f on, all columns of the wide one */
VEC_INLINE void add_row(const int rows, const plan *p, const float *thin, const float *wide, float *sum)
{
    for (int64_t j = 0; j < p->wide; j += TILE_COLS) {
        int64_t left = p->wide - j;
        vecf acc[TILE_ROWS][TILE_VECS];
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < TILE_VECS; v++) {
                int n = (int)min64(VEC_W, left - v * VEC_W);
                acc[i][v] = n == VEC_W ? vec_load(sum + i * p->wide + j + v * VEC_W)
                            : n > 0    ? vec_load_n(sum + i * p->wide + j + v * VEC_W, n)
                                       : vec_set(0);
            }
        if (left >= TILE_COLS) outer_product(rows, TILE_VECS, VEC_W, p->pixels, thin, p->step, wide + j, p->wide, acc);
        else if (left > VEC_W)
            outer_product(rows, TILE_VECS, (int)(left - VEC_W), p->pixels, thin, p->step, wide + j, p->wide, acc);
        else outer_product(rows, 1, (int)left, p->pixels, thin, p->step, wide + j, p->wide, acc);
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < TILE_VECS; v++) {
                int n = (int)min64(VEC_W, left - v * VEC_W);
                if (n == VEC_W) vec_store(sum + i * p->wide + j + v * VEC_W, acc[i][v]);
                else if (n > 0) vec_store_n(sum + i * p->wide + j + v * VEC_W, acc[i][v], n);
            }
    }
}

static void sum_chunk(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    int64_t r = job->part / p.chunks, chunk = job->part % p.chunks, all = p.n * p.p;
    float *sum = (float *)job->shared + chunk * p.partial + r * p.floats * p.wide, *thin = job->scratch;
    const float *x = c->in[0].data, *dy = c->in[1].data;
    memset(sum, 0, (size_t)(p.floats * p.wide) * sizeof *sum);
    for (int64_t i = all * chunk / p.chunks; i < all * (chunk + 1) / p.chunks; i++) {
        int64_t h = i % p.p * p.win->stride[0] + r - p.win->pad[0];
        if (h < 0 || h >= p.h) continue;
        const float *x_row = x + (i / p.p * p.h + h) * p.w * c->in[0].shape.dim[3],
                    *dy_row = dy + i * p.q * c->in[1].shape.dim[3];
        copy_row(&p, p.thin_x ? x_row : dy_row, p.thin_x ? p.w : p.q, thin);
        const float *wide = p.thin_x ? dy_row : x_row;
        int64_t f = 0;
        for (; f + TILE_ROWS <= p.floats; f += TILE_ROWS) add_row(TILE_ROWS, &p, thin + f, wide, sum + f * p.wide);
        for (; f + 4 <= p.floats; f += 4) add_row(4, &p, thin + f, wide, sum + f * p.wide);
        for (; f < p.floats; f++) add_row(1, &p, thin + f, wide, sum + f * p.wide);
    }
}

/* dw[i]: with a thin x in the order of the sums; with a thin dy, [r][S-1-s][k][c] of them is [r][s][c][k] of dw. */
static void add_chunks(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    const float *partial = job->shared;
    float *dw = c->out[0].data;
    int64_t begin, end;
    cpu_part_range(job, p.partial, VEC_W, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t from = i;
        if (!p.thin_x) {
            int64_t k = i % p.thin, ch = i / p.thin % p.wide, s = i / p.thin / p.wide % p.s,
                    r = i / p.thin / p.wide / p.s;
            from = ((r * p.s + p.s - 1 - s) * p.thin + k) * p.wide + ch;
        }
        float sum = partial[from];
        for (int64_t chunk = 1; chunk < p.chunks; chunk++) sum += partial[chunk * p.partial + from];
        dw[i] = sum;
    }
}

static void run(const gen_call *c, const cpu_job *job)
{
    if (job->phase == 0) sum_chunk(c, job);
    else add_chunks(c, job);
}

const cpu_kernel VEC_FN(conv2d_w_thin) = { VEC_NAME("conv2d_w thin"), fits, setup, NULL, run };
