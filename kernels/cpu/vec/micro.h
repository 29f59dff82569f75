/* kernels/cpu/vec/micro.h: the register tiles that all products are built from.
 *
 *     tile_product:  acc[i][j] += sum_k a[k][i] b[k][j]     a packed [ceil(depth/16)][rows][16]: 16 steps of one row lie together
 *                                                           b packed [depth][TILE_COLS]
 *     outer_product: acc[i][j] += sum_t a[t ld_a + i] b[t ld_b + j]     both in place: rows of a and columns of b are contiguous
 *
 * Tiles are TILE_ROWS x TILE_VECS vectors: 14 x 2 of 32 registers with AVX-512, 6 x 2 of 16 otherwise. rows and vecs are compile-time constants at
 * every use, so that gcc keeps acc in registers; pass tile sizes that are not through the switch of tile_dispatch.
 */
#ifndef GEN_KERNELS_CPU_VEC_MICRO_H
#define GEN_KERNELS_CPU_VEC_MICRO_H

#include "kernels/cpu/vec/vec.h"

enum {
    TILE_ROWS = VEC_ISA == 3 ? 14 : 6,
    TILE_VECS = 2,
    TILE_COLS = TILE_VECS * VEC_W,
    TILE_GROUP = 16,                   /* steps of a packed row, for all instruction sets */
    OUTER_ROWS = VEC_ISA == 3 ? 8 : 4, /* rows of an outer product: divides the usual channel counts */
};

VEC_INLINE void tile_zero(const int rows, const int vecs, vecf acc[][TILE_VECS])
{
    VEC_UNROLL
    for (int i = 0; i < rows; i++) {
        VEC_UNROLL
        for (int j = 0; j < vecs; j++) acc[i][j] = vec_set(0);
    }
}

VEC_INLINE void tile_step(const int rows, const float *restrict a, const float *restrict b, vecf acc[][TILE_VECS])
{
    vecf col[TILE_VECS];
    VEC_UNROLL
    for (int j = 0; j < TILE_VECS; j++) col[j] = vec_load(b + j * VEC_W);
    VEC_UNROLL
    for (int i = 0; i < rows; i++) {
        vecf row = vec_set(a[i * TILE_GROUP]);
        VEC_UNROLL
        for (int j = 0; j < TILE_VECS; j++) acc[i][j] = vec_fma(row, col[j], acc[i][j]);
    }
}

/* One loop for whole and partial groups: with a second one for the rest, gcc keeps acc in other registers in each, and moves them between all groups. */
VEC_INLINE void tile_product(const int rows, int64_t depth, const float *restrict a, const float *restrict b,
                             vecf acc[][TILE_VECS])
{
    for (; depth > 0; depth -= TILE_GROUP, a += rows * TILE_GROUP) {
        const int64_t n = depth < TILE_GROUP ? depth : TILE_GROUP;
        for (int64_t k = 0; k < n; k++, b += TILE_COLS) tile_step(rows, a + k, b, acc);
    }
}

/* The same for a panel b that streams from beyond L2: the next lines are asked for early. Reads no memory past b itself. */
VEC_INLINE void tile_product_stream(const int rows, int64_t depth, const float *restrict a, const float *restrict b,
                                    vecf acc[][TILE_VECS])
{
    enum { AHEAD = 1024 }; /* floats; longer distances were worse */
    for (; depth > 0; depth -= TILE_GROUP, a += rows * TILE_GROUP) {
        const int64_t n = depth < TILE_GROUP ? depth : TILE_GROUP;
        for (int64_t k = 0; k < n; k++, b += TILE_COLS) {
            VEC_UNROLL
            for (int j = 0; j < TILE_COLS; j += 16) __builtin_prefetch(b + AHEAD + j, 0, 2);
            tile_step(rows, a + k, b, acc);
        }
    }
}

/* n_last: columns of the last vector, VEC_W when it is whole (a constant there). */
VEC_INLINE void outer_product(const int rows, const int vecs, const int n_last, int64_t depth, const float *restrict a,
                              int64_t ld_a, const float *restrict b, int64_t ld_b, vecf acc[][TILE_VECS])
{
    for (int64_t t = 0; t < depth; t++, a += ld_a, b += ld_b) {
        vecf col[TILE_VECS];
        VEC_UNROLL
        for (int j = 0; j < vecs; j++)
            col[j] = j == vecs - 1 && n_last < VEC_W ? vec_load_n(b + j * VEC_W, n_last) : vec_load(b + j * VEC_W);
        VEC_UNROLL
        for (int i = 0; i < rows; i++) {
            vecf row = vec_set(a[i]);
            VEC_UNROLL
            for (int j = 0; j < vecs; j++) acc[i][j] = vec_fma(row, col[j], acc[i][j]);
        }
    }
}

#if VEC_ISA == 3
/* to[j][0 … 15] = from[0 … 15][j] for j < cols <= 16: pairs of rows, then pairs of those, then quarters of registers, then halves. */
VEC_INLINE void transpose_16(int64_t cols, const float *from, int64_t ld_from, float *to, int64_t ld_to)
{
    const __mmask16 some = (__mmask16)((1u << cols) - 1u);
    vecf x[16], y[16];
    VEC_UNROLL
    for (int i = 0; i < 16; i++) x[i] = _mm512_maskz_loadu_ps(some, from + i * ld_from);
    VEC_UNROLL
    for (int i = 0; i < 16; i += 2) {
        y[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
    }
#define PAIRS(half, a, b) (vecf) _mm512_unpack##half##_pd((__m512d)(a), (__m512d)(b))
    VEC_UNROLL
    for (int i = 0; i < 16; i += 4) {
        x[i] = PAIRS(lo, y[i], y[i + 2]);
        x[i + 1] = PAIRS(hi, y[i], y[i + 2]);
        x[i + 2] = PAIRS(lo, y[i + 1], y[i + 3]);
        x[i + 3] = PAIRS(hi, y[i + 1], y[i + 3]);
    }
#undef PAIRS
    enum { EVEN = 0x88, ODD = 0xdd }; /* quarters 0 and 2, 1 and 3 of both */
    VEC_UNROLL
    for (int i = 0; i < 4; i++) {
        y[i] = _mm512_shuffle_f32x4(x[i], x[i + 4], EVEN);
        y[i + 4] = _mm512_shuffle_f32x4(x[i], x[i + 4], ODD);
        y[i + 8] = _mm512_shuffle_f32x4(x[i + 8], x[i + 12], EVEN);
        y[i + 12] = _mm512_shuffle_f32x4(x[i + 8], x[i + 12], ODD);
    }
    VEC_UNROLL
    for (int i = 0; i < 8; i++) {
        x[i] = _mm512_shuffle_f32x4(y[i], y[i + 8], EVEN);
        x[i + 8] = _mm512_shuffle_f32x4(y[i], y[i + 8], ODD);
    }
    VEC_UNROLL
    for (int j = 0; j < 16; j++)
        if (j < cols) vec_store(to + j * ld_to, x[j]);
}
#endif

/* to[j][i] = from[i][j] for a block of rows x cols: 16 x 16 or 4 x 4 at a time. */
VEC_INLINE void transpose_block(int64_t rows, int64_t cols, const float *from, int64_t ld_from, float *to,
                                int64_t ld_to)
{
#if VEC_ISA == 3
    for (; rows >= 16; rows -= 16, from += 16 * ld_from, to += 16)
        for (int64_t j = 0; j < cols; j += 16)
            transpose_16(cols - j < 16 ? cols - j : 16, from + j, ld_from, to + j * ld_to, ld_to);
#endif
    const int64_t whole_rows = rows / 4 * 4, whole_cols = cols / 4 * 4;
    for (int64_t i = 0; i < whole_rows; i += 4) {
        const float *f = from + i * ld_from;
        for (int64_t j = 0; j < whole_cols; j += 4) {
            __m128 r0 = _mm_loadu_ps(f + j), r1 = _mm_loadu_ps(f + ld_from + j);
            __m128 r2 = _mm_loadu_ps(f + 2 * ld_from + j), r3 = _mm_loadu_ps(f + 3 * ld_from + j);
            _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
            float *t = to + j * ld_to + i;
            _mm_storeu_ps(t, r0);
            _mm_storeu_ps(t + ld_to, r1);
            _mm_storeu_ps(t + 2 * ld_to, r2);
            _mm_storeu_ps(t + 3 * ld_to, r3);
        }
        for (int64_t j = whole_cols; j < cols; j++)
            for (int64_t k = 0; k < 4; k++) to[j * ld_to + i + k] = f[k * ld_from + j];
    }
    for (int64_t i = whole_rows; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) to[j * ld_to + i] = from[i * ld_from + j];
}

#endif
