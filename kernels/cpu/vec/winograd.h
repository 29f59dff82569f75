/* kernels/cpu/vec/winograd.h: the one-dimensional transforms of Winograd's convolutions, on vectors of channels.
 *
 * F(m, taps): m neighbouring results of a filter with so many taps from m + taps - 1 products, one for each point:
 *
 *     y = A^T [ (G g) o (B^T x) ]            weight gradient, the same identity transposed:  dg = G^T [ (B^T x) o (A dy) ]
 *
 *   8 points 0, +-1/2, +-1, +-2, infinity;   6 points 0, +-a, +-b, infinity with a = sqrt(1/2), b = sqrt(2): a^2 b^2 = 1 saves a product in B^T and
 *   the numbers stay small (better conditioned than 0, +-1, +-2);   5 points 0, 1, -1, 1/2, infinity.
 * P is the Vandermonde matrix of the points (its row for infinity picks the highest power), A = P with m columns, G = P with taps columns and rows
 * scaled by 1/N_i = 1 / prod_{j != i} (x_i - x_j).
 *
 * Three taps at stride 2 are two sums: the outer taps on every other input (two neighbouring taps, F(m, 2)) and the middle tap alone on the inputs
 * between, which needs m products and no transform. STRIDED schemes put both side by side: 2 m + 1 products for m results, after core = m + 1 points
 * m plain ones. Their transpose (SPREAD) makes 2 m results from m + 1 inputs: those of one parity have the outer taps, those of the other the middle
 * one. G repeats the middle tap m times; its products share one filter ("u points": core + 1 of them).
 *
 * A scheme is a compile-time constant at every use.
 */
#ifndef GEN_KERNELS_CPU_VEC_WINOGRAD_H
#define GEN_KERNELS_CPU_VEC_WINOGRAD_H

#include <stdbool.h>

#include "kernels/cpu/vec/micro.h"

typedef enum wino_scheme {
    WINO_4_2,
    WINO_4_3,
    WINO_3_4,
    WINO_2_5, /* F(m, taps) */
    WINO_STRIDED_4,
    WINO_STRIDED_7, /* three taps at stride 2, by m */
    WINO_SPREAD_4_EVEN,
    WINO_SPREAD_7_EVEN,
    WINO_SPREAD_4_ODD,
    WINO_SPREAD_7_ODD, /* by m and the parity of results with two taps */
} wino_scheme;

enum { WINO_MAX = 15, WINO_MAX_CORE = 8 };

VEC_INLINE bool wino_strided(const wino_scheme s)
{
    return s == WINO_STRIDED_4 || s == WINO_STRIDED_7;
}
VEC_INLINE bool wino_spread(const wino_scheme s)
{
    return s >= WINO_SPREAD_4_EVEN;
}
VEC_INLINE bool wino_mixed(const wino_scheme s)
{
    return s >= WINO_STRIDED_4;
}
VEC_INLINE int wino_core(const wino_scheme s)
{
    if (s == WINO_STRIDED_7 || s == WINO_SPREAD_7_EVEN || s == WINO_SPREAD_7_ODD) return 8;
    return s == WINO_4_2 || wino_mixed(s) ? 5 : 6;
}
VEC_INLINE int wino_core_taps(const wino_scheme s)
{
    return s == WINO_4_3 ? 3 : s == WINO_3_4 ? 4 : s == WINO_2_5 ? 5 : 2;
}
VEC_INLINE int wino_taps(const wino_scheme s)
{
    return wino_mixed(s) ? 3 : wino_core_taps(s);
}
VEC_INLINE int wino_m(const wino_scheme s)
{
    return wino_core(s) + 1 - wino_core_taps(s);
}
VEC_INLINE int wino_points(const wino_scheme s)
{
    return wino_mixed(s) ? wino_core(s) + wino_m(s) : wino_core(s);
}
VEC_INLINE int wino_u_points(const wino_scheme s)
{
    return wino_mixed(s) ? wino_core(s) + 1 : wino_core(s);
}
VEC_INLINE int wino_inputs(const wino_scheme s)
{
    return wino_strided(s) ? 2 * wino_m(s) + 1 : wino_core(s);
}
VEC_INLINE int wino_results(const wino_scheme s)
{
    return wino_spread(s) ? 2 * wino_m(s) : wino_m(s);
}
VEC_INLINE int wino_pitch(const wino_scheme s)
{
    return wino_strided(s) ? 2 * wino_m(s) : wino_m(s);
} /* inputs from tile to tile */
/* Tiles of one register tile: fewer where there are many planes, for V and M have to stay in L2. */
VEC_INLINE int wino_rows(const wino_scheme s)
{
    return wino_core(s) == 8 && TILE_ROWS > 8 ? 8 : TILE_ROWS;
}

#define WINO_A 0.70710678118654752440f
#define WINO_B 1.41421356237309504880f

static const float wino_power8[8][7] = { { 1, 0, 0, 0, 0, 0, 0 },
                                         { 1, .5f, .25f, .125f, .0625f, .03125f, .015625f },
                                         { 1, -.5f, .25f, -.125f, .0625f, -.03125f, .015625f },
                                         { 1, 1, 1, 1, 1, 1, 1 },
                                         { 1, -1, 1, -1, 1, -1, 1 },
                                         { 1, 2, 4, 8, 16, 32, 64 },
                                         { 1, -2, 4, -8, 16, -32, 64 },
                                         { 0, 0, 0, 0, 0, 0, 0 } };
static const float wino_scale8[8] = { -1, 32 / 45.f, 32 / 45.f, -2 / 9.f, -2 / 9.f, 1 / 90.f, 1 / 90.f, 1 };
static const float wino_power6[6][5] = { { 1, 0, 0, 0, 0 },
                                         { 1, WINO_A, .5f, .5f * WINO_A, .25f },
                                         { 1, -WINO_A, .5f, -.5f * WINO_A, .25f },
                                         { 1, WINO_B, 2, 2 * WINO_B, 4 },
                                         { 1, -WINO_B, 2, -2 * WINO_B, 4 },
                                         { 0, 0, 0, 0, 0 } };
static const float wino_scale6[6] = { 1, -2 / 3.f, -2 / 3.f, 1 / 6.f, 1 / 6.f, 1 };
static const float wino_power5[5][4] = {
    { 1, 0, 0, 0 }, { 1, 1, 1, 1 }, { 1, -1, 1, -1 }, { 1, .5f, .25f, .125f }, { 0, 0, 0, 0 }
};
static const float wino_scale5[5] = { 2, 1, -1 / 3.f, -8 / 3.f, 1 };

VEC_INLINE float wino_power(const int core, int i, int j, int n)
{
    if (i == core - 1) return j == n - 1 ? 1.0f : 0.0f;
    return core == 8 ? wino_power8[i][j] : core == 6 ? wino_power6[i][j] : wino_power5[i][j];
}

VEC_INLINE float wino_scale(const int core, int i)
{
    return core == 8 ? wino_scale8[i] : core == 6 ? wino_scale6[i] : wino_scale5[i];
}

/* B^T: core -> core. A pair of points +-x shares the even and the odd half of its rows. */
VEC_INLINE void wino_core_input(const int core, const vecf *d, vecf *o)
{
    if (core == 8) {
        static const float s[3] = { -5, -4.25f, -1.25f }, p[3] = { 4, 1, .25f }, x[3] = { .5f, 1, 2 };
        VEC_UNROLL
        for (int i = 0; i < 3; i++) {
            vecf even = vec_fma(d[2], vec_set(p[i]), vec_fma(d[4], vec_set(s[i]), d[6]));
            vecf odd = vec_fma(d[1], vec_set(p[i]), vec_fma(d[3], vec_set(s[i]), d[5]));
            o[1 + 2 * i] = vec_fma(odd, vec_set(x[i]), even);
            o[2 + 2 * i] = vec_fma(odd, vec_set(-x[i]), even);
        }
        o[0] = vec_fma(d[2] - d[4], vec_set(5.25f), d[6] - d[0]);
        o[7] = vec_fma(d[3] - d[5], vec_set(5.25f), d[7] - d[1]);
    } else if (core == 6) {
        vecf u = vec_fma(d[2], vec_set(-2), d[4]), v = vec_fma(d[1], vec_set(-2), d[3]);
        vecf w = vec_fma(d[2], vec_set(-.5f), d[4]), z = vec_fma(d[1], vec_set(-.5f), d[3]);
        o[0] = vec_fma(d[2], vec_set(-2.5f), d[4] + d[0]);
        o[1] = vec_fma(v, vec_set(WINO_A), u);
        o[2] = vec_fma(v, vec_set(-WINO_A), u);
        o[3] = vec_fma(z, vec_set(WINO_B), w);
        o[4] = vec_fma(z, vec_set(-WINO_B), w);
        o[5] = vec_fma(d[3], vec_set(-2.5f), d[5] + d[1]);
    } else {
        vecf e = vec_fma(d[2], vec_set(-.5f), d[3]), f = vec_fma(d[1], vec_set(-.5f), d[2]);
        o[0] = vec_fma(d[0] - d[2], vec_set(.5f), d[3] - d[1]);
        o[1] = e + f;
        o[2] = e - f;
        o[3] = d[3] - d[1];
        o[4] = vec_fma(d[1] - d[3], vec_set(.5f), d[4] - d[2]);
    }
}

/* n -> core by P; scaled: by G. Odd and even powers apart, shared by the pairs. */
VEC_INLINE void wino_expand(const int core, const int n, const bool scaled, const vecf *y, vecf *o)
{
    VEC_UNROLL
    for (int i = 0; i < core; i++) {
        float scale = scaled ? wino_scale(core, i) : 1.0f;
        vecf even = y[0] * vec_set(wino_power(core, i, 0, n) * scale), odd = vec_set(0);
        VEC_UNROLL
        for (int j = 1; j < n; j++) {
            float k = wino_power(core, i, j, n) * scale;
            if (k == 0) continue;
            if (j & 1) odd = vec_fma(y[j], vec_set(k), odd);
            else even = vec_fma(y[j], vec_set(k), even);
        }
        o[i] = even + odd;
        bool pair = core == 5 ? i == 1 && !scaled : i & 1 && i < core - 1;
        if (pair) {
            o[i + 1] = even - odd;
            i++;
        }
    }
}

/* core -> n by P^T; scaled: by G^T. */
VEC_INLINE void wino_collect(const int core, const int n, const bool scaled, const vecf *m, vecf *o)
{
    vecf sum[3], difference[3];
    VEC_UNROLL
    for (int i = 0; i < 3; i++)
        if (2 * i + 2 < core - 1) sum[i] = m[2 * i + 1] + m[2 * i + 2], difference[i] = m[2 * i + 1] - m[2 * i + 2];
    VEC_UNROLL
    for (int j = 0; j < n; j++) {
        vecf a = vec_set(0);
        if (core == 5) {
            float k3 = wino_power(5, 3, j, n) * (scaled ? wino_scale(5, 3) : 1.0f);
            if (scaled)
                a = vec_fma(m[1], vec_set(wino_power(5, 1, j, n) * wino_scale(5, 1)),
                            m[2] * vec_set(wino_power(5, 2, j, n) * wino_scale(5, 2)));
            else if (j & 1) a = difference[0];
            else a = sum[0];
            a = vec_fma(m[3], vec_set(k3), a);
        } else {
            VEC_UNROLL
            for (int i = 0; i < 3; i++) {
                if (2 * i + 2 >= core - 1) continue;
                float k = wino_power(core, 2 * i + 1, j, n) * (scaled ? wino_scale(core, 2 * i + 1) : 1.0f);
                if (j & 1) a = vec_fma(difference[i], vec_set(k), a);
                else a = vec_fma(sum[i], vec_set(k), a);
            }
        }
        if (j == 0) a = vec_fma(m[0], vec_set(scaled ? wino_scale(core, 0) : 1.0f), a);
        if (j == n - 1) a = a + m[core - 1];
        o[j] = a;
    }
}

/* ---- the transforms of a scheme -------------------------------------------------------------------------------------------------------------------- */

/* inputs -> points */
VEC_INLINE void wino_input(const wino_scheme s, const vecf *d, vecf *o)
{
    const int core = wino_core(s), m = wino_m(s);
    if (wino_strided(s)) {
        vecf outer[WINO_MAX_CORE];
        VEC_UNROLL
        for (int j = 0; j < core; j++) outer[j] = d[2 * j];
        wino_core_input(core, outer, o);
        VEC_UNROLL
        for (int j = 0; j < m; j++) o[core + j] = d[2 * j + 1];
    } else {
        wino_core_input(core, d, o);
        if (wino_spread(s)) {
            const int shift = s == WINO_SPREAD_4_EVEN ||
                              s == WINO_SPREAD_7_EVEN; /* the middle tap looks at the later of the outer taps' inputs */
            VEC_UNROLL
            for (int j = 0; j < m; j++) o[core + j] = d[j + shift];
        }
    }
}

/* taps -> u points */
VEC_INLINE void wino_filter(const wino_scheme s, const vecf *g, vecf *o)
{
    const int core = wino_core(s);
    if (!wino_mixed(s)) {
        wino_expand(core, wino_taps(s), true, g, o);
        return;
    }
    const vecf outer[2] = { g[0], g[2] };
    wino_expand(core, 2, true, outer, o);
    o[core] = g[1];
}

/* points -> results */
VEC_INLINE void wino_output(const wino_scheme s, const vecf *p, vecf *o)
{
    const int core = wino_core(s), m = wino_m(s);
    vecf y[WINO_MAX_CORE];
    wino_collect(core, m, false, p, y);
    VEC_UNROLL
    for (int j = 0; j < m; j++) {
        if (wino_spread(s)) {
            const int parity = s == WINO_SPREAD_4_ODD || s == WINO_SPREAD_7_ODD;
            o[2 * j + parity] = y[j];
            o[2 * j + 1 - parity] = p[core + j];
        } else if (wino_strided(s)) {
            o[j] = y[j] + p[core + j];
        } else {
            o[j] = y[j];
        }
    }
}

/* A: gradients of results -> points (not for SPREAD: its weight gradient is that of STRIDED). */
VEC_INLINE void wino_output_back(const wino_scheme s, const vecf *y, vecf *o)
{
    const int core = wino_core(s), m = wino_m(s);
    wino_expand(core, m, false, y, o);
    if (wino_mixed(s)) {
        VEC_UNROLL
        for (int j = 0; j < m; j++) o[core + j] = y[j];
    }
}

/* G^T: u points -> taps */
VEC_INLINE void wino_filter_back(const wino_scheme s, const vecf *u, vecf *g)
{
    const int core = wino_core(s);
    if (!wino_mixed(s)) {
        wino_collect(core, wino_taps(s), true, u, g);
        return;
    }
    vecf outer[2];
    wino_collect(core, 2, true, u, outer);
    g[0] = outer[0], g[1] = u[core], g[2] = outer[1];
}

/* Floats between planes of n: an odd number of cache lines, or the stores of one tile, one to each plane, would fall into the same sets of L1. */
static inline int64_t wino_odd_lines(int64_t n)
{
    return (((n + 15) / 16) | 1) * 16;
}

#endif
