/* kernels/cpu/vec/conv_winograd.h: which convolutions Winograd's engine serves, and how they become transforms of one filter size.
 *
 * Output phases (so x so of them, conv2d_t with stride so) and input phases (si x si, conv2d with stride si) leave stride-1 convolutions:
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
#include "kernels/cpu/vec/micro.h"

enum { WINO_MAX_TAPS = 5, WINO_MAX_STRIDE = 2, WINO_MAX_PHASES = WINO_MAX_STRIDE * WINO_MAX_STRIDE };

typedef struct wino_phase {
    int32_t row, col;                                     /* of the first tap */
    int16_t tap[WINO_MAX_TAPS * WINO_MAX_TAPS];           /* r S + s, or -1 */
} wino_phase;

typedef struct wino_shape {
    conv_shape s;
    int32_t points, taps, tile;                           /* tile = points + 1 - taps results a side */
    int32_t si, so;
    wino_phase phase[WINO_MAX_PHASES][WINO_MAX_PHASES];   /* [output phase][input phase] */
    int64_t depth;                                        /* R = si^2 in_c */
} wino_shape;

typedef enum conv_choice { CONV_AUTO, CONV_DIRECT, CONV_WINOGRAD } conv_choice;

/* $GEN_CONV = direct | winograd | auto, for tests and comparisons. */
static inline conv_choice conv_choice_asked(void)
{
    const char *asked = getenv("GEN_CONV");
    if (asked && strcmp(asked, "direct") == 0) return CONV_DIRECT;
    if (asked && strcmp(asked, "winograd") == 0) return CONV_WINOGRAD;
    return CONV_AUTO;
}

static inline int64_t wino_tiles(const wino_shape *w, int axis, int f)
{
    int64_t out = w->s.axis[axis][f].out;
    return (out + w->tile - 1) / w->tile;
}

/* false where the engine cannot do it: filters that are not square or of a side not in 2..5 (2..10 at stride 2), strides above 2, dilation, groups,
 * channels that are not multiples of 16. */
static inline bool wino_shape_of(const gen_call *c, wino_shape *w)
{
    const gen_window *win = &c->attr->window;
    int32_t k = win->kernel[0], stride = win->stride[0];
    if (win->groups > 1 || k != win->kernel[1] || stride != win->stride[1] || win->dilation[0] != 1 || win->dilation[1] != 1) return false;
    if (stride > WINO_MAX_STRIDE || k < 2 || (k == 2 && stride == 2)) return false;
    conv_shape_of(c, &w->s);
    if (w->s.in_c % TILE_GROUP || w->s.out_c % TILE_GROUP) return false;
    bool transposed = c->op == GEN_OP_CONV2D_T;
    w->si = transposed ? 1 : stride, w->so = transposed ? stride : 1;
    w->taps = (k + stride - 1) / stride;
    if (w->taps < 2 || w->taps > WINO_MAX_TAPS) return false;
    w->points = w->taps == 2 ? 5 : 6;
    w->tile = w->points + 1 - w->taps;
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
                    to->tap[u * w->taps + v] = (int16_t)(tap[0][u] < 0 || tap[1][v] < 0 ? -1 : tap[0][u] * k + tap[1][v]);
        }
    return true;
}

#endif
