/* kernels/cpu/vec/vec.h: one vector of floats, as wide as the instruction set has. Every file of this folder is compiled once per set:
 *
 *     -DVEC_ISA=1   SSE2          4 floats
 *     -DVEC_ISA=2   AVX2 + FMA    8 floats
 *     -DVEC_ISA=3   AVX-512      16 floats
 *
 *     const cpu_kernel VEC_FN(relu) = { VEC_NAME("relu"), … };      // cpu_relu_avx512, "relu avx512"
 *
 * vecf adds, subtracts, multiplies and divides by the operators of C. veci holds as many 32-bit integers, vecm the outcome of a comparison.
 * The minimum and maximum return their second operand when either is not a number: write vec_max(bound, x) to keep NaN.
 */
#ifndef GEN_KERNELS_CPU_VEC_VEC_H
#define GEN_KERNELS_CPU_VEC_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <immintrin.h>

#ifndef VEC_ISA
#define VEC_ISA 1
#endif

#define VEC_JOIN_(a, b) cpu_##a##_##b
#define VEC_JOIN(a, b) VEC_JOIN_(a, b)
#if defined VEC_BF16 /* kernels/cpu/bf16 */
#define VEC_SUFFIX avx512_bf16
#define VEC_NAME(text) text " avx512-bf16"
#elif VEC_ISA == 3
#define VEC_SUFFIX avx512
#define VEC_NAME(text) text " avx512"
#elif VEC_ISA == 2
#define VEC_SUFFIX avx2
#define VEC_NAME(text) text " avx2"
#else
#define VEC_SUFFIX base
#define VEC_NAME(text) text " base"
#endif
#define VEC_FN(name) VEC_JOIN(name, VEC_SUFFIX)

#define VEC_INLINE static inline __attribute__((always_inline))
#define VEC_UNROLL _Pragma("GCC unroll 32")

// clang-format off
#if VEC_ISA == 3

enum { VEC_W = 16 };
typedef __m512 vecf;
typedef __m512i veci;
typedef __mmask16 vecm;

VEC_INLINE vecf vec_load(const float *p) { return _mm512_loadu_ps(p); }
VEC_INLINE void vec_store(float *p, vecf a) { _mm512_storeu_ps(p, a); }
VEC_INLINE vecf vec_set(float a) { return _mm512_set1_ps(a); }
VEC_INLINE vecf vec_fma(vecf a, vecf b, vecf c) { return _mm512_fmadd_ps(a, b, c); }
VEC_INLINE vecf vec_min(vecf a, vecf b) { return _mm512_min_ps(a, b); }
VEC_INLINE vecf vec_max(vecf a, vecf b) { return _mm512_max_ps(a, b); }
VEC_INLINE vecf vec_sqrt(vecf a) { return _mm512_sqrt_ps(a); }
VEC_INLINE vecf vec_and(vecf a, vecf b) { return _mm512_and_ps(a, b); }
VEC_INLINE vecf vec_andnot(vecf a, vecf b) { return _mm512_andnot_ps(a, b); } /* ~a & b */
VEC_INLINE vecf vec_or(vecf a, vecf b) { return _mm512_or_ps(a, b); }
VEC_INLINE vecm vec_lt(vecf a, vecf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
VEC_INLINE vecm vec_eq(vecf a, vecf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
VEC_INLINE vecm vec_ne(vecf a, vecf b) { return _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ); }
VEC_INLINE vecf vec_select(vecm m, vecf a, vecf b) { return _mm512_mask_blend_ps(m, b, a); } /* m ? a : b */
VEC_INLINE int vec_any(vecm m) { return m != 0; }
VEC_INLINE vecf vec_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1u), p); }
VEC_INLINE void vec_store_n(float *p, vecf a, int n) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), a); }
VEC_INLINE veci vec_round_int(vecf a) { return _mm512_cvtps_epi32(a); } /* to the nearest even */
VEC_INLINE vecf vec_from_int(veci a) { return _mm512_cvtepi32_ps(a); }
VEC_INLINE veci vec_bits(vecf a) { return _mm512_castps_si512(a); }
VEC_INLINE vecf vec_of_bits(veci a) { return _mm512_castsi512_ps(a); }
VEC_INLINE veci vec_iset(int32_t a) { return _mm512_set1_epi32(a); }
VEC_INLINE veci vec_iadd(veci a, veci b) { return _mm512_add_epi32(a, b); }
VEC_INLINE veci vec_isub(veci a, veci b) { return _mm512_sub_epi32(a, b); }
VEC_INLINE veci vec_iand(veci a, veci b) { return _mm512_and_si512(a, b); }
VEC_INLINE veci vec_ior(veci a, veci b) { return _mm512_or_si512(a, b); }
VEC_INLINE veci vec_ixor(veci a, veci b) { return _mm512_xor_si512(a, b); }
VEC_INLINE vecm vec_ieq(veci a, veci b) { return _mm512_cmpeq_epi32_mask(a, b); }
#define vec_ishl(a, n) _mm512_slli_epi32(a, n)
#define vec_isar(a, n) _mm512_srai_epi32(a, n)
#define vec_ishr(a, n) _mm512_srli_epi32(a, n)
VEC_INLINE veci vec_product_low(veci even, veci odd) { return _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32)); }
VEC_INLINE veci vec_product_high(veci even, veci odd) { return _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd); }
#define vec_mul_even(a, b) _mm512_mul_epu32(a, b)
#define vec_odd(a) _mm512_srli_epi64(a, 32)
VEC_INLINE vecf vec_floor(vecf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }

#elif VEC_ISA == 2

enum { VEC_W = 8 };
typedef __m256 vecf;
typedef __m256i veci;
typedef __m256 vecm;

VEC_INLINE vecf vec_load(const float *p) { return _mm256_loadu_ps(p); }
VEC_INLINE void vec_store(float *p, vecf a) { _mm256_storeu_ps(p, a); }
VEC_INLINE vecf vec_set(float a) { return _mm256_set1_ps(a); }
VEC_INLINE vecf vec_fma(vecf a, vecf b, vecf c) { return _mm256_fmadd_ps(a, b, c); }
VEC_INLINE vecf vec_min(vecf a, vecf b) { return _mm256_min_ps(a, b); }
VEC_INLINE vecf vec_max(vecf a, vecf b) { return _mm256_max_ps(a, b); }
VEC_INLINE vecf vec_sqrt(vecf a) { return _mm256_sqrt_ps(a); }
VEC_INLINE vecf vec_and(vecf a, vecf b) { return _mm256_and_ps(a, b); }
VEC_INLINE vecf vec_andnot(vecf a, vecf b) { return _mm256_andnot_ps(a, b); }
VEC_INLINE vecf vec_or(vecf a, vecf b) { return _mm256_or_ps(a, b); }
VEC_INLINE vecm vec_lt(vecf a, vecf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
VEC_INLINE vecm vec_eq(vecf a, vecf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
VEC_INLINE vecm vec_ne(vecf a, vecf b) { return _mm256_cmp_ps(a, b, _CMP_NEQ_UQ); }
VEC_INLINE vecf vec_select(vecm m, vecf a, vecf b) { return _mm256_blendv_ps(b, a, m); }
VEC_INLINE int vec_any(vecm m) { return _mm256_movemask_ps(m) != 0; }
VEC_INLINE veci vec_first_lanes(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
VEC_INLINE vecf vec_load_n(const float *p, int n) { return _mm256_maskload_ps(p, vec_first_lanes(n)); }
VEC_INLINE void vec_store_n(float *p, vecf a, int n) { _mm256_maskstore_ps(p, vec_first_lanes(n), a); }
VEC_INLINE veci vec_round_int(vecf a) { return _mm256_cvtps_epi32(a); }
VEC_INLINE vecf vec_from_int(veci a) { return _mm256_cvtepi32_ps(a); }
VEC_INLINE veci vec_bits(vecf a) { return _mm256_castps_si256(a); }
VEC_INLINE vecf vec_of_bits(veci a) { return _mm256_castsi256_ps(a); }
VEC_INLINE veci vec_iset(int32_t a) { return _mm256_set1_epi32(a); }
VEC_INLINE veci vec_iadd(veci a, veci b) { return _mm256_add_epi32(a, b); }
VEC_INLINE veci vec_isub(veci a, veci b) { return _mm256_sub_epi32(a, b); }
VEC_INLINE veci vec_iand(veci a, veci b) { return _mm256_and_si256(a, b); }
VEC_INLINE veci vec_ior(veci a, veci b) { return _mm256_or_si256(a, b); }
VEC_INLINE veci vec_ixor(veci a, veci b) { return _mm256_xor_si256(a, b); }
VEC_INLINE vecm vec_ieq(veci a, veci b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)); }
#define vec_ishl(a, n) _mm256_slli_epi32(a, n)
#define vec_isar(a, n) _mm256_srai_epi32(a, n)
#define vec_ishr(a, n) _mm256_srli_epi32(a, n)
VEC_INLINE veci vec_product_low(veci even, veci odd) { return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA); }
VEC_INLINE veci vec_product_high(veci even, veci odd) { return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA); }
#define vec_mul_even(a, b) _mm256_mul_epu32(a, b)
#define vec_odd(a) _mm256_srli_epi64(a, 32)
VEC_INLINE vecf vec_floor(vecf a) { return _mm256_floor_ps(a); }

#else

enum { VEC_W = 4 };
typedef __m128 vecf;
typedef __m128i veci;
typedef __m128 vecm;

VEC_INLINE vecf vec_load(const float *p) { return _mm_loadu_ps(p); }
VEC_INLINE void vec_store(float *p, vecf a) { _mm_storeu_ps(p, a); }
VEC_INLINE vecf vec_set(float a) { return _mm_set1_ps(a); }
VEC_INLINE vecf vec_fma(vecf a, vecf b, vecf c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
VEC_INLINE vecf vec_min(vecf a, vecf b) { return _mm_min_ps(a, b); }
VEC_INLINE vecf vec_max(vecf a, vecf b) { return _mm_max_ps(a, b); }
VEC_INLINE vecf vec_sqrt(vecf a) { return _mm_sqrt_ps(a); }
VEC_INLINE vecf vec_and(vecf a, vecf b) { return _mm_and_ps(a, b); }
VEC_INLINE vecf vec_andnot(vecf a, vecf b) { return _mm_andnot_ps(a, b); }
VEC_INLINE vecf vec_or(vecf a, vecf b) { return _mm_or_ps(a, b); }
VEC_INLINE vecm vec_lt(vecf a, vecf b) { return _mm_cmplt_ps(a, b); }
VEC_INLINE vecm vec_eq(vecf a, vecf b) { return _mm_cmpeq_ps(a, b); }
VEC_INLINE vecm vec_ne(vecf a, vecf b) { return _mm_cmpneq_ps(a, b); }
VEC_INLINE vecf vec_select(vecm m, vecf a, vecf b) { return _mm_or_ps(_mm_and_ps(m, a), _mm_andnot_ps(m, b)); }
VEC_INLINE int vec_any(vecm m) { return _mm_movemask_ps(m) != 0; }
VEC_INLINE vecf vec_load_n(const float *p, int n)
{
    float t[VEC_W] = { 0 };
    for (int i = 0; i < n; i++) t[i] = p[i];
    return _mm_loadu_ps(t);
}
VEC_INLINE void vec_store_n(float *p, vecf a, int n)
{
    float t[VEC_W];
    _mm_storeu_ps(t, a);
    for (int i = 0; i < n; i++) p[i] = t[i];
}
VEC_INLINE veci vec_round_int(vecf a) { return _mm_cvtps_epi32(a); }
VEC_INLINE vecf vec_from_int(veci a) { return _mm_cvtepi32_ps(a); }
VEC_INLINE veci vec_bits(vecf a) { return _mm_castps_si128(a); }
VEC_INLINE vecf vec_of_bits(veci a) { return _mm_castsi128_ps(a); }
VEC_INLINE veci vec_iset(int32_t a) { return _mm_set1_epi32(a); }
VEC_INLINE veci vec_iadd(veci a, veci b) { return _mm_add_epi32(a, b); }
VEC_INLINE veci vec_isub(veci a, veci b) { return _mm_sub_epi32(a, b); }
VEC_INLINE veci vec_iand(veci a, veci b) { return _mm_and_si128(a, b); }
VEC_INLINE veci vec_ior(veci a, veci b) { return _mm_or_si128(a, b); }
VEC_INLINE veci vec_ixor(veci a, veci b) { return _mm_xor_si128(a, b); }
VEC_INLINE vecm vec_ieq(veci a, veci b) { return _mm_castsi128_ps(_mm_cmpeq_epi32(a, b)); }
#define vec_ishl(a, n) _mm_slli_epi32(a, n)
#define vec_isar(a, n) _mm_srai_epi32(a, n)
#define vec_ishr(a, n) _mm_srli_epi32(a, n)
VEC_INLINE veci vec_product_low(veci even, veci odd)
{
    return _mm_or_si128(_mm_and_si128(even, _mm_set_epi32(0, -1, 0, -1)), _mm_slli_epi64(odd, 32));
}
VEC_INLINE veci vec_product_high(veci even, veci odd)
{
    return _mm_or_si128(_mm_srli_epi64(even, 32), _mm_and_si128(odd, _mm_set_epi32(-1, 0, -1, 0)));
}
#define vec_mul_even(a, b) _mm_mul_epu32(a, b)
#define vec_odd(a) _mm_srli_epi64(a, 32)
/* SSE2 has no rounding instruction: truncate, step down where that went up; numbers without a fraction (2^23 and more, NaN) pass through. */
VEC_INLINE vecf vec_floor(vecf a)
{
    vecf t = _mm_cvtepi32_ps(_mm_cvttps_epi32(a));
    t = _mm_sub_ps(t, _mm_and_ps(_mm_cmpgt_ps(t, a), _mm_set1_ps(1)));
    vecf sign = _mm_set1_ps(-0.0f), magnitude = _mm_andnot_ps(sign, a);
    vecm small = _mm_cmplt_ps(magnitude, _mm_set1_ps(8388608.0f));
    return vec_select(small, _mm_or_ps(t, _mm_and_ps(sign, a)), a);
}

#endif
// clang-format on

/* a b of unsigned lanes: the low halves; the high ones go to *high. The hardware multiplies every other lane. */
VEC_INLINE veci vec_mul_wide(veci a, veci b, veci *high)
{
    veci even = vec_mul_even(a, b), odd = vec_mul_even(vec_odd(a), vec_odd(b));
    *high = vec_product_high(even, odd);
    return vec_product_low(even, odd);
}

VEC_INLINE vecf vec_abs(vecf a)
{
    return vec_andnot(vec_set(-0.0f), a);
}
VEC_INLINE vecf vec_copysign(vecf magnitude, vecf sign)
{
    vecf bit = vec_set(-0.0f);
    return vec_or(vec_andnot(bit, magnitude), vec_and(bit, sign));
}

/* Sum and maximum of the lanes, halving: the same order on every call. */
VEC_INLINE float vec_sum(vecf a)
{
    float t[VEC_W];
    vec_store(t, a);
    for (int s = VEC_W / 2; s; s /= 2)
        for (int i = 0; i < s; i++) t[i] += t[i + s];
    return t[0];
}

VEC_INLINE float vec_largest(vecf a)
{
    float t[VEC_W], m;
    vec_store(t, a);
    m = t[0];
    for (int i = 1; i < VEC_W; i++) m = t[i] > m || t[i] != t[i] ? t[i] : m;
    return m;
}

#endif
