/* kernels/cpu/vec/vec_math.h: exp, log, tanh … of a vector, to about 2 units in the last place, with the limits of libm: exp(-inf) = 0,
 * log(0) = -inf, log(-1) = NaN, tanh(inf) = 1, and NaN stays NaN.
 *
 * Polynomials: Moshier's Cephes (expf, logf, tanhf, sinf, cosf); erf: N. Juffa's minimax pair.
 */
#ifndef GEN_KERNELS_CPU_VEC_VEC_MATH_H
#define GEN_KERNELS_CPU_VEC_VEC_MATH_H

#include <math.h>

#include "kernels/cpu/vec/vec.h"

/* e^x = 2^n e^r, n = round(x / ln 2), |r| <= ln 2 / 2: e^r and n. */
VEC_INLINE vecf vec_exp_parts(vecf x, veci *n)
{
    *n = vec_round_int(x * vec_set(1.44269504f));
    vecf nf = vec_from_int(*n);
    vecf r = vec_fma(nf, vec_set(-0.693359375f), x);
    r = vec_fma(nf, vec_set(2.12194440e-4f), r);
    vecf p = vec_fma(vec_set(1.9875691500e-4f), r, vec_set(1.3981999507e-3f));
    p = vec_fma(p, r, vec_set(8.3334519073e-3f));
    p = vec_fma(p, r, vec_set(4.1665795894e-2f));
    p = vec_fma(p, r, vec_set(1.6666665459e-1f));
    p = vec_fma(p, r, vec_set(5.0000001201e-1f));
    return vec_fma(p, r * r, r + vec_set(1));
}

/* 2^n in two factors, so that results below 2^-126 come out right. */
VEC_INLINE vecf vec_exp(vecf x)
{
    veci n;
    vecf p = vec_exp_parts(vec_min(vec_set(89.0f), vec_max(vec_set(-104.0f), x)), &n);
    veci half = vec_isar(n, 1), rest = vec_isub(n, half);
    vecf a = vec_of_bits(vec_ishl(vec_iadd(half, vec_iset(127)), 23)),
         b = vec_of_bits(vec_ishl(vec_iadd(rest, vec_iset(127)), 23));
    return p * a * b;
}

/* ln x = ln m + n ln 2 with m in [sqrt 1/2, sqrt 2). */
VEC_INLINE vecf vec_log(vecf x)
{
    vecf one = vec_set(1);
    vecm tiny = vec_lt(x, vec_set(1.17549435e-38f)); /* below the normal numbers: scale by 2^24 first */
    vecf y = vec_select(tiny, x * vec_set(16777216.0f), x);
    veci bits = vec_bits(y);
    vecf n = vec_from_int(vec_isub(vec_isar(bits, 23), vec_iset(126)));
    n = vec_select(tiny, n - vec_set(24), n);
    vecf m = vec_of_bits(vec_ior(vec_iand(bits, vec_iset(0x007fffff)), vec_iset(0x3f000000))); /* [1/2, 1) */
    vecm low = vec_lt(m, vec_set(0.707106781f));
    n = vec_select(low, n - one, n);
    vecf t = vec_select(low, m + m, m) - one, z = t * t;
    vecf p = vec_fma(vec_set(7.0376836292e-2f), t, vec_set(-1.1514610310e-1f));
    p = vec_fma(p, t, vec_set(1.1676998740e-1f));
    p = vec_fma(p, t, vec_set(-1.2420140846e-1f));
    p = vec_fma(p, t, vec_set(1.4249322787e-1f));
    p = vec_fma(p, t, vec_set(-1.6668057665e-1f));
    p = vec_fma(p, t, vec_set(2.0000714765e-1f));
    p = vec_fma(p, t, vec_set(-2.4999993993e-1f));
    p = vec_fma(p, t, vec_set(3.3333331174e-1f));
    p = p * t * z;
    p = vec_fma(n, vec_set(-2.12194440e-4f), p);
    p = vec_fma(z, vec_set(-0.5f), p) + t;
    p = vec_fma(n, vec_set(0.693359375f), p);
    vecf inf = vec_set(INFINITY);
    p = vec_select(vec_lt(x, inf), p, x); /* inf and NaN */
    p = vec_select(vec_eq(x, vec_set(0)), vec_set(-INFINITY), p);
    return vec_select(vec_lt(x, vec_set(0)), vec_set(NAN), p);
}

/* ln(1 + u) for u >= 0: the part of u that 1 + u rounds away comes back as a first-order term. */
VEC_INLINE vecf vec_log1p(vecf u)
{
    vecf one = vec_set(1), w = one + u;
    return vec_log(w) + (u - (w - one)) / w;
}

VEC_INLINE vecf vec_tanh(vecf x)
{
    vecf a = vec_abs(x), z = x * x;
    vecf p = vec_fma(vec_set(-5.70498872745e-3f), z, vec_set(2.06390887954e-2f));
    p = vec_fma(p, z, vec_set(-5.37397155531e-2f));
    p = vec_fma(p, z, vec_set(1.33314422036e-1f));
    p = vec_fma(p, z, vec_set(-3.33332819422e-1f));
    vecf near = vec_fma(p * z, x, x);
    vecf far = vec_set(1) - vec_set(2) / (vec_exp(a + a) + vec_set(1));
    return vec_select(vec_lt(a, vec_set(0.625f)), near, vec_copysign(far, x));
}

VEC_INLINE vecf vec_sigmoid(vecf x)
{
    return vec_set(1) / (vec_set(1) + vec_exp(vec_set(0) - x));
}

/* The functions of gates, to about 1e-7 of 1 rather than of their result; NaN stays NaN. 2^x = 2^n p(x - n), n = round(x): the last bits of x + 3 2^22;
 * p is the minimax polynomial with p(0) = 1 (so that tanh 0 is 0), 1.1e-7 of 2^r. x is cut off where 2^x leaves the normal numbers. */
VEC_INLINE vecf vec_gate_exp2(vecf x)
{
    const vecf shift = vec_set(12582912);
    vecf y = vec_min(vec_set(125), vec_max(vec_set(-125), x)), n = y + shift, r = y - (n - shift);
    vecf p = vec_fma(vec_set(1.32647052e-3f), r, vec_set(9.67151299e-3f));
    p = vec_fma(p, r, vec_set(5.55073395e-2f));
    p = vec_fma(p, r, vec_set(2.40222424e-1f));
    p = vec_fma(p, r, vec_set(6.93147004e-1f));
    p = vec_fma(p, r, vec_set(1));
    return vec_of_bits(vec_iadd(vec_bits(p), vec_ishl(vec_bits(n), 23)));
}
VEC_INLINE vecf vec_gate_sigmoid(vecf x)
{
    return vec_set(1) / (vec_set(1) + vec_gate_exp2(x * vec_set(-1.44269504f)));
}
VEC_INLINE vecf vec_gate_tanh(vecf x)
{
    return vec_set(1) - vec_set(2) / (vec_set(1) + vec_gate_exp2(x * vec_set(2.88539008f)));
}

VEC_INLINE vecf vec_softplus(vecf x)
{
    return vec_max(vec_set(0), x) + vec_log1p(vec_exp(vec_set(0) - vec_abs(x)));
}

VEC_INLINE vecf vec_erf(vecf x)
{
    vecf t = vec_min(vec_set(10), vec_abs(x)), s = x * x;
    vecf r = vec_fma(vec_set(-1.72853470e-5f), t, vec_set(3.83197126e-4f));
    vecf u = vec_fma(vec_set(-3.88396438e-3f), t, vec_set(2.42546219e-2f));
    r = vec_fma(r, t * t, u);
    r = vec_fma(r, t, vec_set(-1.06777877e-1f));
    r = vec_fma(r, t, vec_set(-6.34846687e-1f));
    r = vec_fma(r, t, vec_set(-1.28717512e-1f));
    r = vec_fma(r, t, vec_set(0) - t);
    vecf far = vec_copysign(vec_set(1) - vec_exp(r), x);
    vecf p = vec_fma(vec_set(-5.96761703e-4f), s, vec_set(4.99119423e-3f));
    p = vec_fma(p, s, vec_set(-2.67681349e-2f));
    p = vec_fma(p, s, vec_set(1.12819925e-1f));
    p = vec_fma(p, s, vec_set(-3.76125336e-1f));
    p = vec_fma(p, s, vec_set(1.28379166e-1f));
    vecf near = vec_fma(p, x, x);
    return vec_select(vec_lt(vec_abs(x), vec_set(0.927734375f)), near, far);
}

/* sin (quarter = 0) or cos (quarter = 1) by reduction to [-pi/4, pi/4] in three steps; exact enough for |x| < 8192, libm lane by lane beyond. */
VEC_INLINE vecf vec_sincos(vecf x, int quarter)
{
    if (vec_any(vec_lt(vec_set(8192), vec_abs(x)))) {
        float t[VEC_W];
        vec_store(t, x);
        for (int i = 0; i < VEC_W; i++) t[i] = quarter ? cosf(t[i]) : sinf(t[i]);
        return vec_load(t);
    }
    veci n = vec_round_int(x * vec_set(0.636619772f));
    vecf nf = vec_from_int(n);
    vecf r = vec_fma(nf, vec_set(-1.5703125f), x);
    r = vec_fma(nf, vec_set(-4.837512969970703125e-4f), r);
    r = vec_fma(nf, vec_set(-7.54978995489188216e-8f), r);
    vecf z = r * r;
    vecf s = vec_fma(vec_set(-1.9515295891e-4f), z, vec_set(8.3321608736e-3f));
    s = vec_fma(s, z, vec_set(-1.6666654611e-1f));
    s = vec_fma(s * z, r, r);
    vecf c = vec_fma(vec_set(2.443315711809948e-5f), z, vec_set(-1.388731625493765e-3f));
    c = vec_fma(c, z, vec_set(4.166664568298827e-2f));
    c = vec_fma(c, z * z, vec_fma(z, vec_set(-0.5f), vec_set(1)));
    veci turn = vec_iadd(n, vec_iset(quarter));
    vecf y = vec_select(vec_ieq(vec_iand(turn, vec_iset(1)), vec_iset(0)), s, c);
    veci sign = vec_ishl(vec_iand(turn, vec_iset(2)), 30); /* half turns change the sign */
    return vec_of_bits(vec_ixor(vec_bits(y), sign));
}

/* Rare, and wrong in its last digits as exp(b log a): libm, lane by lane. */
VEC_INLINE vecf vec_pow(vecf a, vecf b)
{
    float s[VEC_W], t[VEC_W];
    vec_store(s, a);
    vec_store(t, b);
    for (int i = 0; i < VEC_W; i++) s[i] = powf(s[i], t[i]);
    return vec_load(s);
}

#endif
