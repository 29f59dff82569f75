/* kernels/cpu/vec/conv_winograd.h: which convolutions Winograd's engine serves, and how they become tiles of one scheme (winograd.h).
 *
 * 3x3 at stride 2 has schemes of its own. Otherwise output phases (so x so of them, conv2d_t with stride so) and input phases (si x si, conv2d with
 * stride si) leave stride-1 convolutions:
 *
 *     out[n, a + so i, b + so j, m] = sum_{input phase ph} sum_{u, v < taps} sum_l in[n, si (i + u) + row, si (j + v) + col, l] w[tap(ph, u, v)][l][m]
 *
 * All input phases add up in the transformed domain: the reduction runs over R = si^2 in_c. A filter smaller than taps has tap -1 there: zeros.
 */
#ifndef GEN_KERNELS_CPU_VEC_CONV_WINOGRAD_H
#define GEN_KERNELS_CPU_VEC_CONV_WINOGRAD_H

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/vec/conv_shape.h"
#include "kernels/cpu/vec/winograd.h"

enum { WINO_MAX_TAPS = 5, WINO_MAX_STRIDE = 2, WINO_MAX_PHASES = WINO_MAX_STRIDE * WINO_MAX_STRIDE };

typedef struct wino_phase {
    int32_t row, col;                           /* of the first tap */
    int16_t tap[WINO_MAX_TAPS * WINO_MAX_TAPS]; /* r S + s, or -1 */
} wino_phase;

/* Rows of R whose filters are not zero. The last point (infinity) sees the last tap alone, so a filter that lacks it contributes nothing to the last
 * row or column of planes: of a 5x5 filter at stride 2, whose phases have 3x3, 3x2, 2x3 and 2x2 taps, that is a sixth of all products. */
typedef struct wino_rows_of_r {
    int32_t n; /* ranges */
    int64_t begin[WINO_MAX_PHASES], end[WINO_MAX_PHASES];
} wino_rows_of_r;

typedef struct wino_shape {
    conv_shape s;
    wino_scheme scheme;
    int32_t points, u_points, taps, rows; /* rows: tiles of a register tile */
    int32_t results, pitch;               /* results of a tile; inputs (of one phase) from tile to tile */
    int32_t si, so;
    wino_phase phase[WINO_MAX_PHASES][WINO_MAX_PHASES]; /* [output phase][input phase] */
    int64_t depth;                                      /* R = si^2 in_c */
    wino_rows_of_r rows_of_r[WINO_MAX_PHASES][4];       /* [output phase][edge of the plane] */
} wino_shape;

typedef struct wino_place { /* of a tile: image, tile row and column */
    int64_t n, i, j;
} wino_place;

typedef enum conv_choice { CONV_AUTO, CONV_DIRECT, CONV_WINOGRAD } conv_choice;

/* $GEN_CONV = direct | winograd | auto, for tests and comparisons. */
static inline conv_choice conv_choice_asked(void)
{
    const char *asked = getenv("GEN_CONV");
    if (asked && strcmp(asked, "direct") == 0) return CONV_DIRECT;
    if (asked && strcmp(asked, "winograd") == 0) return CONV_WINOGRAD;
    return CONV_AUTO;
}

/* Results and tiles along an axis of output phase a. */
static inline int64_t wino_out(const wino_shape *w, int axis, int a)
{
    if (wino_mixed(w->scheme)) return axis ? w->s.out_w : w->s.out_h;
    return w->s.axis[axis][a].out;
}
static inline int64_t wino_tiles(const wino_shape *w, int axis, int a)
{
    return (wino_out(w, axis, a) + w->results - 1) / w->results;
}

static inline wino_place wino_place_of(const wino_shape *w, int f, int64_t tile)
{
    int64_t across = wino_tiles(w, 1, f % w->so), down = wino_tiles(w, 0, f / w->so);
    return (wino_place){ tile / across / down, tile / across % down, tile % across };
}

static inline void wino_take_scheme(wino_shape *w, wino_scheme scheme)
{
    w->scheme = scheme;
    w->points = wino_points(scheme), w->u_points = wino_u_points(scheme), w->taps = wino_taps(scheme),
    w->rows = wino_rows(scheme);
    w->results = wino_results(scheme), w->pitch = wino_pitch(scheme);
}

/* Three taps at stride 2: the number of results a tile that needs fewest products. */
static inline void wino_mixed_shape(const gen_window *win, wino_shape *w)
{
    static const wino_scheme schemes[3][2] = { { WINO_STRIDED_4, WINO_STRIDED_7 },
                                               { WINO_SPREAD_4_EVEN, WINO_SPREAD_7_EVEN },
                                               { WINO_SPREAD_4_ODD, WINO_SPREAD_7_ODD } };
    const wino_scheme *choice = schemes[!w->s.transposed ? 0 : win->pad[0] & 1 ? 2 : 1];
    double cost[2];
    w->si = w->so = 1;
    for (int i = 0; i < 2; i++) {
        wino_take_scheme(w, choice[i]);
        cost[i] = (double)wino_tiles(w, 0, 0) * (double)wino_tiles(w, 1, 0) * w->points * w->points;
    }
    wino_take_scheme(w, choice[cost[1] < 0.95 * cost[0]]);
    wino_phase *ph = &w->phase[0][0];
    for (int i = 0; i < 2; i++) {
        /* conv2d_t: the first input of the outer taps, which look at (pad - 2) / 2 and pad / 2 from results of pad's parity */
        int32_t first = !w->s.transposed ? -win->pad[i] : (int32_t)floor_div(win->pad[i] - 1, 2);
        if (i) ph->col = first;
        else ph->row = first;
    }
    for (int t = 0; t < 9; t++) ph->tap[t] = (int16_t)(w->s.transposed ? 8 - t : t);
    w->depth = w->s.in_c;
}

/* Which of the four kinds a plane is: in the last row of planes (1), the last column (2), both (3), neither (0). */
static inline int wino_edge(const wino_shape *w, int i, int j)
{
    return (i == w->points - 1 ? 1 : 0) | (j == w->points - 1 ? 2 : 0);
}

/* Has the filter a tap in its last row (edge 1), its last column (2), its last corner (3), anywhere (0)? */
static inline bool wino_contributes(const wino_phase *ph, int taps, int edge)
{
    for (int u = edge & 1 ? taps - 1 : 0; u < taps; u++)
        for (int v = edge & 2 ? taps - 1 : 0; v < taps; v++)
            if (ph->tap[u * taps + v] >= 0) return true;
    return false;
}

static inline void wino_find_rows(wino_shape *w)
{
    for (int f = 0; f < w->so * w->so; f++)
        for (int edge = 0; edge < 4; edge++) {
            wino_rows_of_r *r = &w->rows_of_r[f][edge];
            r->n = 0;
            for (int ph = 0; ph < w->si * w->si; ph++) {
                if (!wino_mixed(w->scheme) && !wino_contributes(&w->phase[f][ph], w->taps, edge)) continue;
                int64_t begin = ph * w->s.in_c;
                if (r->n && r->end[r->n - 1] == begin) r->end[r->n - 1] += w->s.in_c;
                else r->begin[r->n] = begin, r->end[r->n++] = begin + w->s.in_c;
            }
        }
}

/* false where the engine cannot do it: filters that are not square or of a side not in 2..5 (3..10 at stride 2), strides above 2, dilation, groups,
 * channels that are not multiples of 16. */
static inline bool wino_shape_of(const gen_call *c, wino_shape *w)
{
    const gen_window *win = &c->attr->window;
    int32_t k = win->kernel[0], stride = win->stride[0];
    if (win->groups > 1 || k != win->kernel[1] || stride != win->stride[1] || win->dilation[0] != 1 ||
        win->dilation[1] != 1)
        return false;
    if (stride > WINO_MAX_STRIDE || k < 2 || k > WINO_MAX_TAPS * stride || (k == 2 && stride == 2)) return false;
    conv_shape_of(c, &w->s);
    if (w->s.in_c % TILE_GROUP || w->s.out_c % TILE_GROUP) return false;
    bool transposed = w->s.transposed;
    if (k == 3 && stride == 2 && (!transposed || ((win->pad[0] ^ win->pad[1]) & 1) == 0)) {
        wino_mixed_shape(win, w);
        wino_find_rows(w);
        return true;
    }
    static const wino_scheme by_taps[] = { WINO_4_2, WINO_4_3, WINO_3_4, WINO_2_5 };
    w->si = transposed ? 1 : stride, w->so = transposed ? stride : 1;
    wino_take_scheme(w, by_taps[(k + stride - 1) / stride - 2]);
    w->depth = w->s.in_c * w->si * w->si;
    for (int f = 0; f < w->so * w->so; f++)
        for (int ph = 0; ph < w->si * w->si; ph++) {
            wino_phase *to = &w->phase[f][ph];
            int at[2] = { f / w->so, f % w->so }, in[2] = { ph / w->si, ph % w->si }, tap[2][WINO_MAX_TAPS], first[2];
            for (int i = 0; i < 2; i++) {
                const conv_axis *axis = &w->s.axis[i][at[i]];
                first[i] = in[i] - win->pad[i];
                if (transposed) {
                    first[i] = axis->offset[0];
                    for (int t = 0; t < axis->n_taps; t++)
                        if (axis->offset[t] < first[i]) first[i] = axis->offset[t];
                }
                for (int u = 0; u < w->taps; u++) {
                    tap[i][u] = transposed ? -1 : u * stride + in[i] < k ? u * stride + in[i] : -1;
                    for (int t = 0; transposed && t < axis->n_taps; t++)
                        if (axis->offset[t] == first[i] + u) tap[i][u] = axis->tap[t];
                }
            }
            to->row = first[0], to->col = first[1];
            for (int u = 0; u < w->taps; u++)
                for (int v = 0; v < w->taps; v++)
                    to->tap[u * w->taps + v] =
                        (int16_t)(tap[0][u] < 0 || tap[1][v] < 0 ? -1 : tap[0][u] * k + tap[1][v]);
        }
    wino_find_rows(w);
    return true;
}

/* Channels c0 .. c1 - 1 of one input phase of a tile, transformed: plane (i, j) of channel c goes to
 * to[(i points + j) plane + (c - c0) / 16 group + c % 16]. Inputs outside of the image are zeros. */
VEC_INLINE void wino_transform_input(const wino_scheme scheme, const wino_shape *w, const wino_phase *ph,
                                     const float *x, wino_place at, int64_t c0, int64_t c1, float *to, int64_t plane,
                                     int64_t group)
{
    const int points = wino_points(scheme), inputs = wino_inputs(scheme);
    const conv_shape *s = &w->s;
    const int64_t si = w->si, y0 = at.i * w->pitch * si + ph->row, x0 = at.j * w->pitch * si + ph->col,
                  row = s->in_w * s->in_c * si, col = s->in_c * si;
    const float *corner = x + ((at.n * s->in_h + y0) * s->in_w + x0) * s->in_c;
    bool inside = y0 >= 0 && x0 >= 0 && y0 + (inputs - 1) * si < s->in_h && x0 + (inputs - 1) * si < s->in_w;
    for (int64_t c = c0; c < c1; c += VEC_W) {
        vecf half[WINO_MAX][WINO_MAX];
        for (int j = 0; j < inputs; j++) {
            vecf d[WINO_MAX], o[WINO_MAX];
            if (inside) {
                VEC_UNROLL
                for (int i = 0; i < inputs; i++) d[i] = vec_load(corner + i * row + j * col + c);
            } else {
                bool column = x0 + j * si >= 0 && x0 + j * si < s->in_w;
                VEC_UNROLL
                for (int i = 0; i < inputs; i++)
                    d[i] = column && y0 + i * si >= 0 && y0 + i * si < s->in_h
                               ? vec_load(corner + i * row + j * col + c)
                               : vec_set(0);
            }
            wino_input(scheme, d, o);
            VEC_UNROLL
            for (int i = 0; i < points; i++) half[i][j] = o[i];
        }
        float *v = to + (c - c0) / TILE_GROUP * group + c % TILE_GROUP;
        for (int i = 0; i < points; i++) {
            vecf o[WINO_MAX];
            wino_input(scheme, half[i], o);
            VEC_UNROLL
            for (int j = 0; j < points; j++) vec_store(v + (i * points + j) * plane, o[j]);
        }
    }
}

#endif
