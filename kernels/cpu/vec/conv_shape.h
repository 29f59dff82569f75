/* kernels/cpu/vec/conv_shape.h: conv2d and conv2d_t as gathers.
 *
 * Both compute, for each output pixel of a phase,
 *
 *     out[n, a + i U, b + j V, m] = sum_{tap t, l} in[n, i sy + ty[t], j sx + tx[t], l] * w[tap t][l][m]
 *
 * conv2d:   one phase (U = V = 1), sy, sx = the stride, ty = r dilation - pad; l runs over c, m over k.
 * conv2d_t: row h = a + i U of x collects the rows p of y with p u + r dilation - pad = h. So the phase a = h mod u uses the taps r with
 *           (a + pad - r dilation) mod u = 0, at p = i + (a + pad - r dilation) / u; U = u, sy = 1; l runs over k, m over c (w transposed).
 *
 * A phase may have no taps (its pixels are act(bias)); windows that stick out of the input read zeros.
 */
#ifndef GEN_KERNELS_CPU_VEC_CONV_SHAPE_H
#define GEN_KERNELS_CPU_VEC_CONV_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/op.h"

enum { CONV_MAX_SIDE = 16, CONV_MAX_TAPS = CONV_MAX_SIDE * CONV_MAX_SIDE, CONV_MAX_STRIDE = 8 };

/* One axis of a phase: the taps that it uses. */
typedef struct conv_axis {
    int32_t n_taps;
    int32_t offset[CONV_MAX_SIDE]; /* input position = i * step + offset */
    int32_t tap[CONV_MAX_SIDE];    /* index in the filter */
    int64_t out;                   /* output positions of the phase */
} conv_axis;

typedef struct conv_shape {
    bool transposed;             /* conv2d_t */
    int64_t n, in_h, in_w, in_c; /* input: x, or y of the adjoint; channels of all groups */
    int64_t out_h, out_w, out_c;
    int32_t groups;
    int64_t group_in, group_out; /* channels of one group */
    int32_t step[2];             /* sy, sx */
    int32_t phases[2];           /* U, V */
    conv_axis axis[2][CONV_MAX_STRIDE];
    int64_t filter_side[2]; /* R, S */
    int64_t w_c, w_k;       /* filter is [R, S, w_c, w_k] */
} conv_shape;

static inline bool conv_shape_fits(const gen_window *win)
{
    for (int i = 0; i < 2; i++)
        if (win->kernel[i] > CONV_MAX_SIDE || win->stride[i] > CONV_MAX_STRIDE) return false;
    return true;
}

static inline int64_t floor_div(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

static inline void conv_shape_axis(const gen_window *win, int i, conv_shape *s)
{
    int32_t stride = win->stride[i], dilation = win->dilation[i], pad = win->pad[i];
    int64_t out = i ? s->out_w : s->out_h;
    s->filter_side[i] = win->kernel[i];
    s->phases[i] = s->transposed ? stride : 1;
    s->step[i] = s->transposed ? 1 : stride;
    for (int32_t a = 0; a < s->phases[i]; a++) {
        conv_axis *ax = &s->axis[i][a];
        ax->n_taps = 0;
        ax->out = (out - a + s->phases[i] - 1) / s->phases[i];
        if (ax->out < 0) ax->out = 0;
        for (int32_t r = 0; r < win->kernel[i]; r++) {
            int64_t at = s->transposed ? a + pad - r * dilation : r * dilation - pad;
            if (s->transposed && at % stride) continue;
            ax->offset[ax->n_taps] = (int32_t)(s->transposed ? floor_div(at, stride) : at);
            ax->tap[ax->n_taps++] = r;
        }
    }
}

static inline void conv_shape_of(const gen_call *c, conv_shape *s)
{
    const gen_window *win = &c->attr->window;
    const gen_shape *in = &c->in[0].shape, *out = &c->out[0].shape, *w = &c->in[1].shape;
    s->transposed = c->op == GEN_OP_CONV2D_T;
    s->n = in->dim[0], s->in_h = in->dim[1], s->in_w = in->dim[2], s->in_c = in->dim[3];
    s->out_h = out->dim[1], s->out_w = out->dim[2], s->out_c = out->dim[3];
    s->groups = win->groups > 0 ? win->groups : 1;
    s->group_in = s->in_c / s->groups, s->group_out = s->out_c / s->groups;
    s->w_c = w->dim[2], s->w_k = w->dim[3];
    conv_shape_axis(win, 0, s);
    conv_shape_axis(win, 1, s);
}

#endif
