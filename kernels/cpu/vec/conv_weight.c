/* kernels/cpu/vec/conv_weight.c: conv2d_w, the gradient of a convolution in its filter, without any copy of the inputs.
 *
 *     dw[r,s,c,k] = sum_{n,p,q} x[n, p u + r d - pad, q v + s d - pad, c] dy[n,p,q,k]
 *
 * For one filter row r a part walks over its images in groups that stay in L2; for each tap and each register tile of (OUTER_ROWS c) x (2 vectors
 * k) it sums over the pixels whose window lies inside, row by row: within a row both x (step v C) and dy (step K) are walked in place.
 *
 * Sums run on two levels (a group of images in registers, then memory), so errors do not grow with the batch. When the tiles alone give too few
 * parts, the images are cut in chunks of their own partial results, added in order by a second phase.
 */
#include <stdbool.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/vec/micro.h"

enum {
    WANTED_PARTS = 32,
    GROUP_PIXELS = 512, /* output pixels summed in registers before they go to memory */
    MAX_PARTIAL_FLOATS = 4 << 20,
};

typedef struct plan {
    const gen_window *win;
    int64_t n, h, w, c, p, q, k, groups, group_c, group_k;
    int32_t c_blocks, chunks, image_group; /* parts along c of a group; chunks of images; images summed in registers */
    int64_t dw_floats;
} plan;

static plan make_plan(const gen_call *c)
{
    const gen_shape *x = &c->in[0].shape, *dy = &c->in[1].shape;
    plan p = { .win = &c->attr->window };
    p.n = x->dim[0], p.h = x->dim[1], p.w = x->dim[2], p.c = x->dim[3];
    p.p = dy->dim[1], p.q = dy->dim[2], p.k = dy->dim[3];
    p.groups = p.win->groups > 0 ? p.win->groups : 1;
    p.group_c = p.c / p.groups, p.group_k = p.k / p.groups;
    p.dw_floats = (int64_t)p.win->kernel[0] * p.win->kernel[1] * p.group_c * p.k;
    int64_t taps = (int64_t)p.win->kernel[0] * p.win->kernel[1] * p.groups;
    p.c_blocks = (int32_t)max64(1, min64(ceil_div(p.group_c, 32), ceil_div(WANTED_PARTS, taps)));
    int64_t chunks = min64(min64(p.n, 16), ceil_div(WANTED_PARTS, taps * p.c_blocks));
    while (chunks > 1 && chunks * p.dw_floats > MAX_PARTIAL_FLOATS) chunks--;
    p.chunks = (int32_t)max64(1, chunks);
    p.image_group = (int32_t)max64(1, GROUP_PIXELS / max64(1, p.p * p.q));
    return p;
}

static void setup(const gen_call *c, cpu_work *w)
{
    plan p = make_plan(c);
    w->n_phases = p.chunks > 1 ? 2 : 1;
    w->parts[0] = (int32_t)(p.win->kernel[0] * p.win->kernel[1] * p.groups) * p.c_blocks * p.chunks;
    w->parts[1] = cpu_parts_for(p.dw_floats, 8192);
    w->shared_bytes = p.chunks > 1 ? sizeof(float) * (size_t)(p.dw_floats * p.chunks) : 0;
}

/* Rows and columns of dy whose window position lies inside of x: [*begin, *end). */
static void inside(int64_t n_in, int64_t n_out, int64_t stride, int64_t offset, int64_t *begin, int64_t *end)
{
    *begin = offset < 0 ? ceil_div(-offset, stride) : 0;
    *end = offset < n_in ? (n_in - 1 - offset) / stride + 1 : 0;
    *end = min64(*end, n_out);
}

/* Where one register tile finds its numbers: images n0 .. n1 - 1, rows p0 .. p1 - 1, columns q0 .. q1 - 1 of dy. */
typedef struct walk {
    const float *x, *dy; /* element (c, k) of the tile's corner at (n0, p0, q0) */
    int64_t images, rows, columns;
    int64_t x_image, x_row, x_pixel, dy_image, dy_row, dy_pixel; /* steps */
} walk;

VEC_INLINE void sum_tile(const int rows, const int vecs, const int n_last, const walk *w, float *dw, int64_t ld,
                         bool first)
{
    vecf acc[OUTER_ROWS][TILE_VECS];
    tile_zero(rows, vecs, acc);
    for (int64_t n = 0; n < w->images; n++)
        for (int64_t p = 0; p < w->rows; p++)
            outer_product(rows, vecs, n_last, w->columns, w->x + n * w->x_image + p * w->x_row, w->x_pixel,
                          w->dy + n * w->dy_image + p * w->dy_row, w->dy_pixel, acc);
    VEC_UNROLL
    for (int i = 0; i < rows; i++) {
        VEC_UNROLL
        for (int j = 0; j < vecs; j++) {
            float *to = dw + i * ld + j * VEC_W;
            vecf sum = acc[i][j];
            bool part = j == vecs - 1 && n_last < VEC_W;
            if (!first) sum = sum + (part ? vec_load_n(to, n_last) : vec_load(to));
            if (part) vec_store_n(to, sum, n_last);
            else vec_store(to, sum);
        }
    }
}

/* One row of tiles: rows is constant, the columns 0 .. n - 1 go by whole tiles, then a vector, then a part of one. */
VEC_INLINE void sum_row(const int rows, const walk *corner, int64_t n, float *dw, int64_t ld, bool first)
{
    walk w = *corner;
    int64_t k = 0;
    for (; k + TILE_COLS <= n; k += TILE_COLS, w.dy += TILE_COLS)
        sum_tile(rows, TILE_VECS, VEC_W, &w, dw + k, ld, first);
    for (; k + VEC_W <= n; k += VEC_W, w.dy += VEC_W) sum_tile(rows, 1, VEC_W, &w, dw + k, ld, first);
    if (k < n) sum_tile(rows, 1, (int)(n - k), &w, dw + k, ld, first);
}

static void sum_chunk(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    const int64_t S = p.win->kernel[1];
    int32_t i = job->part;
    int32_t chunk = i % p.chunks, block = i / p.chunks % p.c_blocks;
    int64_t tap_group = i / p.chunks / p.c_blocks, group = tap_group % p.groups, tap = tap_group / p.groups,
            r = tap / S, s = tap % S;
    int64_t c0 = p.group_c * block / p.c_blocks / OUTER_ROWS * OUTER_ROWS,
            c1 = p.group_c * (block + 1) / p.c_blocks / OUTER_ROWS * OUTER_ROWS;
    if (block + 1 == p.c_blocks) c1 = p.group_c;
    int64_t n0 = p.n * chunk / p.chunks, n1 = p.n * (chunk + 1) / p.chunks;
    float *dw = (p.chunks > 1 ? (float *)job->shared + chunk * p.dw_floats : (float *)c->out[0].data) +
                tap * p.group_c * p.k + group * p.group_k;

    int64_t u = p.win->stride[0], v = p.win->stride[1], p0, p1, q0, q1;
    int64_t oy = r * p.win->dilation[0] - p.win->pad[0], ox = s * p.win->dilation[1] - p.win->pad[1];
    inside(p.h, p.p, u, oy, &p0, &p1);
    inside(p.w, p.q, v, ox, &q0, &q1);
    walk w = { .rows = max64(0, p1 - p0),
               .columns = max64(0, q1 - q0),
               .x_image = p.h * p.w * p.c,
               .x_row = u * p.w * p.c,
               .x_pixel = v * p.c,
               .dy_image = p.p * p.q * p.k,
               .dy_row = p.q * p.k,
               .dy_pixel = p.k };
    if (w.rows == 0 || w.columns == 0) w.rows = 0, p0 = q0 = 0, oy = ox = 0;
    const float *x = (const float *)c->in[0].data + ((p0 * u + oy) * p.w + q0 * v + ox) * p.c + group * p.group_c;
    const float *dy = (const float *)c->in[1].data + (p0 * p.q + q0) * p.k + group * p.group_k;
    for (int64_t n = n0; n < n1; n += p.image_group) {
        w.images = min64(p.image_group, n1 - n);
        w.dy = dy + n * w.dy_image;
        for (int64_t row = c0; row < c1;) {
            w.x = x + n * w.x_image + row;
            float *to = dw + row * p.k;
            if (c1 - row >= OUTER_ROWS) sum_row(OUTER_ROWS, &w, p.group_k, to, p.k, n == n0), row += OUTER_ROWS;
            else if (c1 - row >= 3) sum_row(3, &w, p.group_k, to, p.k, n == n0), row += 3;
            else sum_row(1, &w, p.group_k, to, p.k, n == n0), row += 1;
        }
    }
}

static void add_chunks(const gen_call *c, const cpu_job *job)
{
    const plan p = make_plan(c);
    const float *partial = job->shared;
    float *dw = c->out[0].data;
    int64_t begin, end;
    cpu_part_range(job, p.dw_floats, VEC_W, &begin, &end);
    for (int64_t i = begin; i < end; i += VEC_W) {
        int n = (int)min64(VEC_W, end - i);
        vecf sum = vec_load_n(partial + i, n);
        for (int32_t chunk = 1; chunk < p.chunks; chunk++) sum = sum + vec_load_n(partial + chunk * p.dw_floats + i, n);
        vec_store_n(dw + i, sum, n);
    }
}

static void run(const gen_call *c, const cpu_job *job)
{
    if (job->phase == 0) sum_chunk(c, job);
    else add_chunks(c, job);
}

const cpu_kernel VEC_FN(conv2d_w_direct) = { VEC_NAME("conv2d_w direct"), NULL, setup, NULL, run };
