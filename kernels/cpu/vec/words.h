/* kernels/cpu/vec/words.h: how the factors of a product are packed, for bodies that exist for float and for bfloat16.
 *
 * A word has the factors of WORD_FLOATS neighbouring steps of a sum: one float, or a pair of bfloat16 (bf16/pairs.h). n steps are word_count(n) words, the last
 * with zeros where the steps end. Row tiles are packed [ceil(words/16)][rows][16], panels of columns [words][TILE_COLS], as in micro.h.
 */
#ifndef GEN_KERNELS_CPU_VEC_WORDS_H
#define GEN_KERNELS_CPU_VEC_WORDS_H

#include "kernels/cpu/vec/epilogue.h"

#ifdef VEC_BF16
#include "kernels/cpu/bf16/pairs.h"

typedef pair word;
enum { WORD_FLOATS = 2 };
#else
typedef float word;
enum { WORD_FLOATS = 1 };
#endif

enum { GROUP_FLOATS = TILE_GROUP * WORD_FLOATS };

static inline int64_t word_count(int64_t steps)
{
    return (steps + WORD_FLOATS - 1) / WORD_FLOATS;
}

/* Whole groups of one row: count, a multiple of GROUP_FLOATS, steps at x (zeros when x is NULL); the row's next group lies `ahead` words after one. Returns
 * where the next would go. */
VEC_INLINE word *word_put_groups(word *to, int64_t ahead, const float *x, int64_t count)
{
    for (int64_t l = 0; l < count; l += GROUP_FLOATS, to += ahead) {
#ifdef VEC_BF16
        pair_store(to, x ? pairs_along(vec_load(x + l), vec_load(x + l + VEC_W)) : _mm512_setzero_si512());
#else
        VEC_UNROLL
        for (int v = 0; v < TILE_GROUP; v += VEC_W) vec_store(to + v, x ? vec_load(x + l + v) : vec_set(0));
#endif
    }
    return to;
}

/* The same for any count, into words from number `at` of a row on. */
static inline void word_put_any(word *row, int64_t ahead, int64_t at, const float *x, int64_t count)
{
#ifdef VEC_BF16
    for (int64_t l = 0; l < count; l += GROUP_FLOATS) {
        pair some[TILE_GROUP];
        const int64_t n = count - l < GROUP_FLOATS ? count - l : GROUP_FLOATS;
        if (x) pair_put_row(some, x + l, n);
        else memset(some, 0, sizeof some);
        for (int64_t i = 0; i < word_count(n); i++, at++) row[at / TILE_GROUP * ahead + at % TILE_GROUP] = some[i];
    }
#else
    for (int64_t l = 0; l < count; l++, at++) row[at / TILE_GROUP * ahead + at % TILE_GROUP] = x ? x[l] : 0.0f;
#endif
}

/* A panel of n columns: step l's factors are n floats at from + l ld. Columns past n become zeros. */
static inline void word_put_lines(word *to, const float *from, int64_t ld, int64_t steps, int64_t n)
{
#ifdef VEC_BF16
    for (int64_t l = 0; l < steps; l += 2, to += TILE_COLS)
        pair_put_line(to, from + l * ld, l + 1 < steps ? from + (l + 1) * ld : NULL, n);
#else
    if (n < TILE_COLS) memset(to, 0, sizeof *to * (size_t)(steps * TILE_COLS));
    for (int64_t l = 0; l < steps; l++) memcpy(to + l * TILE_COLS, from + l * ld, sizeof *to * (size_t)n);
#endif
}

/* The same of columns that lie as rows: column i's factors are `steps` floats at from + i ld. */
static inline void word_put_columns(word *to, const float *from, int64_t ld, int64_t steps, int64_t n)
{
#ifdef VEC_BF16
    pair_put_columns(to, from, ld, steps, n);
#else
    if (n < TILE_COLS) memset(to, 0, sizeof *to * (size_t)(steps * TILE_COLS));
    transpose_block(n, steps, from, ld, to, TILE_COLS);
#endif
}

/* A vector of n columns of one word: the factors of neighbouring steps at even and odd (NULL: zeros; float has no odd ones). Zeros behind. */
VEC_INLINE void word_put_vector(word *to, const float *even, const float *odd, int n)
{
#ifdef VEC_BF16
    pair_put_column(to, even, odd, n);
#else
    (void)odd;
    vec_store(to, n == VEC_W ? vec_load(even) : vec_load_n(even, n));
#endif
}

/* VEC_W neighbouring steps of a row. */
VEC_INLINE void word_put_steps(word *to, vecf steps)
{
#ifdef VEC_BF16
    _mm256_storeu_si256((__m256i *)(void *)to, (__m256i)_mm512_cvtneps_pbh(steps));
#else
    vec_store(to, steps);
#endif
}

/* sum + the products of one word with a vector of words */
#ifdef VEC_BF16
typedef __m512bh words;
VEC_INLINE words word_load(const word *p)
{
    return (words)_mm512_loadu_si512(p);
}
VEC_INLINE words word_set(word a)
{
    return (words)_mm512_set1_epi32((int32_t)a);
}
VEC_INLINE vecf word_fma(words a, words b, vecf sum)
{
    return _mm512_dpbf16_ps(sum, a, b);
}
#else
typedef vecf words;
VEC_INLINE words word_load(const word *p)
{
    return vec_load(p);
}
VEC_INLINE words word_set(word a)
{
    return vec_set(a);
}
VEC_INLINE vecf word_fma(words a, words b, vecf sum)
{
    return vec_fma(a, b, sum);
}
#endif

VEC_INLINE void word_product(const int rows, int64_t depth, const word *a, const word *b, vecf acc[][TILE_VECS])
{
#ifdef VEC_BF16
    pair_product(rows, depth, a, b, acc);
#else
    tile_product(rows, depth, a, b, acc);
#endif
}

#endif
