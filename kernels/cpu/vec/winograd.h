/* kernels/cpu/vec/winograd.h: the one-dimensional transforms of Winograd's convolutions, on vectors of channels.
 *
 *   F(m, taps): m neighbouring results of a filter with so many taps from points = m + taps - 1 products,
 *       y = A^T [ (G g) o (B^T x) ]          weight gradient, the same identity transposed:  dg = G^T [ (B^T x) o (A dy) ]
 *
 *   6 points 0, +-a, +-b, infinity with a = sqrt(1/2), b = sqrt(2): a^2 b^2 = 1 saves a product in B^T, and the numbers stay small (better
 *   conditioned than 0, +-1, +-2).   5 points 0, 1, -1, 1/2, infinity.
 *
 * P is the Vandermonde matrix of the points (its row for infinity picks the highest power), A = P with m columns, G = P with taps columns and rows
 * scaled by 1/N_i = 1 / prod_{j != i} (x_i - x_j). points and the counts are compile-time constants at every use.
 */
#ifndef GEN_KERNELS_CPU_VEC_WINOGRAD_H
#define GEN_KERNELS_CPU_VEC_WINOGRAD_H

#include "kernels/cpu/vec/vec.h"

enum { WINO_MAX = 6 };

#define WINO_A 0.70710678118654752440f
#define WINO_B 1.41421356237309504880f

static const float wino_power6[6][5] = { { 1, 0, 0, 0, 0 },
                                         { 1, WINO_A, .5f, .5f * WINO_A, .25f },
                                         { 1, -WINO_A, .5f, -.5f * WINO_A, .25f },
                                         { 1, WINO_B, 2, 2 * WINO_B, 4 },
                                         { 1, -WINO_B, 2, -2 * WINO_B, 4 },
                                         { 0, 0, 0, 0, 0 } };
static const float wino_scale6[6] = { 1, -2 / 3.f, -2 / 3.f, 1 / 6.f, 1 / 6.f, 1 };
static const float wino_power5[5][4] = { { 1, 0, 0, 0 }, { 1, 1, 1, 1 }, { 1, -1, 1, -1 }, { 1, .5f, .25f, .125f }, { 0, 0, 0, 0 } };
static const float wino_scale5[5] = { 2, 1, -1 / 3.f, -8 / 3.f, 1 };

VEC_INLINE float wino_power(const int points, int i, int j, int n)
{
    if (i == points - 1) return j == n - 1 ? 1.0f : 0.0f;
    return points == 6 ? wino_power6[i][j] : wino_power5[i][j];
}

VEC_INLINE float wino_scale(const int points, int i) { return points == 6 ? wino_scale6[i] : wino_scale5[i]; }

/* B^T: points -> points. */
VEC_INLINE void wino_input(const int points, const vecf *d, vecf *o)
{
    if (points == 6) {
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

/* n -> points by P; scaled: by G. Odd and even powers apart, so that a pair of points +-x shares them. */
VEC_INLINE void wino_expand(const int points, const int n, const int scaled, const vecf *y, vecf *o)
{
    VEC_UNROLL for (int i = 0; i < points; i++) {
        float scale = scaled ? wino_scale(points, i) : 1.0f;
        vecf even = y[0] * vec_set(wino_power(points, i, 0, n) * scale), odd = vec_set(0);
        VEC_UNROLL for (int j = 1; j < n; j++) {
            float k = wino_power(points, i, j, n) * scale;
            if (k == 0) continue;
            if (j & 1) odd = vec_fma(y[j], vec_set(k), odd);
            else even = vec_fma(y[j], vec_set(k), even);
        }
        o[i] = even + odd;
        bool pair = (i == 1 || (points == 6 && i == 3)) && !(points == 5 && scaled);
        if (pair) {
            o[i + 1] = even - odd;
            i++;
        }
    }
}

/* points -> n by P^T; scaled: by G^T. */
VEC_INLINE void wino_collect(const int points, const int n, const int scaled, const vecf *m, vecf *o)
{
    vecf sum1 = m[1] + m[2], difference1 = m[1] - m[2], sum2 = m[3], difference2 = m[3];
    if (points == 6) sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    VEC_UNROLL for (int j = 0; j < n; j++) {
        float k1 = wino_power(points, 1, j, n) * (scaled ? wino_scale(points, 1) : 1.0f);
        float k3 = wino_power(points, 3, j, n) * (scaled ? wino_scale(points, 3) : 1.0f);
        vecf a;
        if (points == 5 && scaled) {
            a = m[1] * vec_set(k1);
            a = vec_fma(m[2], vec_set(wino_power(points, 2, j, n) * wino_scale(points, 2)), a);
        } else {
            a = (j & 1 ? difference1 : sum1) * vec_set(k1);
        }
        a = vec_fma(j & 1 ? difference2 : sum2, vec_set(k3), a);
        if (j == 0) a = vec_fma(m[0], vec_set(scaled ? wino_scale(points, 0) : 1.0f), a);
        if (j == n - 1) a = a + m[points - 1];
        o[j] = a;
    }
}

/* Floats between planes of n: an odd number of cache lines, or the points^2 stores of one tile would fall into the same sets of L1. */
static inline int64_t wino_odd_lines(int64_t n) { return (((n + 15) / 16) | 1) * 16; }

#endif
