/* kernels/cpu/bf16/pairs.h: register tiles of products whose factors are bfloat16 and whose sums are float.
 *
 *     pair_product:  acc[i][j] += sum_k a[k][i].even b[k][j].even + a[k][i].odd b[k][j].odd
 *
 * A pair is a word of 32 bits with two factors of neighbouring steps of the sum, the even step below; one instruction multiplies 16 of them. So all is
 * laid out as micro.h has it, with pairs in the place of floats: a packed [ceil(depth/16)][rows][16], b packed [depth][TILE_COLS], depth counting pairs.
 * Numbers become bfloat16 while they are packed: rounded to the nearest, halves to even; what is not a number stays that. Sums of an odd number of
 * steps end with a zero on both sides.
 *
 * Everything in this folder is compiled once, for AVX-512 with AVX512-BF16.
 */
#ifndef GEN_KERNELS_CPU_BF16_PAIRS_H
#define GEN_KERNELS_CPU_BF16_PAIRS_H

#include "kernels/cpu/vec/epilogue.h"

typedef uint32_t pair;

enum { PAIR_GROUP = TILE_GROUP, PAIR_FLOATS = 2 * PAIR_GROUP };

/* 32 floats of one row as 16 pairs of neighbours. */
VEC_INLINE __m512i pairs_along(vecf first, vecf second)
{
    return (__m512i)_mm512_cvtne2ps_pbh(second, first);
}

/* Two rows as 16 pairs, (even[i], odd[i]). */
VEC_INLINE __m512i pairs_across(vecf even, vecf odd)
{
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
}

VEC_INLINE void pair_store(pair *to, __m512i pairs)
{
    _mm512_storeu_si512(to, pairs);
}

/* n of 16 floats (any number: none, or more than there are lanes), zeros behind. */
VEC_INLINE vecf pair_load_n(const float *from, int64_t n)
{
    return n >= VEC_W ? vec_load(from) : n > 0 ? vec_load_n(from, (int)n) : vec_set(0);
}

/* n floats of one row, at most PAIR_FLOATS, as a group of pairs; zeros behind. */
VEC_INLINE void pair_put_row(pair *to, const float *from, int64_t n)
{
    pair_store(to, pairs_along(pair_load_n(from, n), pair_load_n(from + VEC_W, n - VEC_W)));
}

/* n columns of two rows, at most 16, as a vector of pairs; odd NULL: zeros. */
VEC_INLINE void pair_put_column(pair *to, const float *even, const float *odd, int64_t n)
{
    pair_store(to, pairs_across(pair_load_n(even, n), odd ? pair_load_n(odd, n) : vec_set(0)));
}

/* TILE_COLS columns of two rows, of which n are there. */
VEC_INLINE void pair_put_line(pair *to, const float *even, const float *odd, int64_t n)
{
    VEC_UNROLL
    for (int j = 0; j < TILE_COLS; j += VEC_W)
        pair_put_column(to + j, even + (j < n ? j : 0), odd ? odd + (j < n ? j : 0) : NULL, n - j);
}

/* to[j ld + i] = from[i PAIR_GROUP + j]: moves words, whatever they mean. */
VEC_INLINE void pair_transpose(int64_t rows, int64_t cols, const pair *from, pair *to, int64_t ld)
{
    transpose_block(rows, cols, (const float *)(const void *)from, PAIR_GROUP, (float *)(void *)to, ld);
}

/* A panel of n columns that lie as rows: column i's `steps` floats at from + i ld become to[pair][i]; columns past n zeros. */
static inline void pair_put_columns(pair *to, const float *from, int64_t ld, int64_t steps, int64_t n)
{
    pair block[PAIR_GROUP * PAIR_GROUP];
    for (int64_t l = 0; l < steps; l += PAIR_FLOATS, to += PAIR_GROUP * TILE_COLS)
        for (int64_t j = 0; j < TILE_COLS; j += PAIR_GROUP) {
            const int64_t pairs = (steps - l + 1) / 2;
            for (int64_t i = 0; i < PAIR_GROUP; i++)
                pair_put_row(block + i * PAIR_GROUP, from + (j + i < n ? (j + i) * ld + l : 0),
                             j + i < n ? steps - l : 0);
            pair_transpose(PAIR_GROUP, pairs < PAIR_GROUP ? pairs : PAIR_GROUP, block, to + j, TILE_COLS);
        }
}

VEC_INLINE void pair_step(const int rows, const pair *restrict a, const pair *restrict b, vecf acc[][TILE_VECS])
{
    __m512bh col[TILE_VECS];
    VEC_UNROLL
    for (int j = 0; j < TILE_VECS; j++) col[j] = (__m512bh)_mm512_loadu_si512(b + j * VEC_W);
    VEC_UNROLL
    for (int i = 0; i < rows; i++) {
        __m512bh row = (__m512bh)_mm512_set1_epi32((int32_t)a[i * PAIR_GROUP]);
        VEC_UNROLL
        for (int j = 0; j < TILE_VECS; j++) acc[i][j] = _mm512_dpbf16_ps(acc[i][j], row, col[j]);
    }
}

VEC_INLINE void pair_product(const int rows, int64_t depth, const pair *restrict a, const pair *restrict b,
                             vecf acc[][TILE_VECS])
{
    for (; depth >= PAIR_GROUP; depth -= PAIR_GROUP, a += rows * PAIR_GROUP)
        for (int k = 0; k < PAIR_GROUP; k++, b += TILE_COLS) pair_step(rows, a + k, b, acc);
    for (int k = 0; k < depth; k++, b += TILE_COLS) pair_step(rows, a + k, b, acc);
}

#endif
