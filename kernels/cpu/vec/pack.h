/* kernels/cpu/vec/pack.h: operands of a product in the order in which the tiles of micro.h read them.
 *
 *     rows of a     [ceil(K/16)][rows][16]     16 steps of one row lie together
 *     columns of b  [K][TILE_COLS]
 */
#ifndef GEN_KERNELS_CPU_VEC_PACK_H
#define GEN_KERNELS_CPU_VEC_PACK_H

#include "kernels/cpu/vec/micro.h"

/* n columns of one row of b, zeros behind */
VEC_INLINE void pack_line(const float *from, int64_t n, float *line)
{
    if (n >= TILE_COLS) {
        VEC_UNROLL
        for (int j = 0; j < TILE_VECS; j++) vec_store(line + j * VEC_W, vec_load(from + j * VEC_W));
        return;
    }
    memcpy(line, from, sizeof(float) * (size_t)n);
    memset(line + n, 0, sizeof(float) * (size_t)(TILE_COLS - n));
}

/* n columns and k rows of b[k,n] with strides row and col, of which one is 1, to [k][TILE_COLS]; zeros behind the n. */
static inline void pack_columns_of_b(const float *b, int64_t row, int64_t col, int64_t n, int64_t k, float *to)
{
    enum { AHEAD = 16 }; /* rows lie pages apart: no prefetcher of the machine follows them */
    if (n > TILE_COLS) n = TILE_COLS;
    if (col != 1) {
        if (n < TILE_COLS) memset(to, 0, sizeof(float) * (size_t)(k * TILE_COLS));
        transpose_block(n, k, b, col, to, TILE_COLS);
        return;
    }
    for (int64_t i = 0; i < k; i++, b += row, to += TILE_COLS) {
        if (i + AHEAD < k)
            for (int64_t j = 0; j < n; j += 16) __builtin_prefetch(b + AHEAD * row + j, 0, 3);
        pack_line(b, n, to);
    }
}

/* n rows of a[m,k] with strides row and col, of which one is 1, to [ceil(k/16)][rows][16]; zeros in rows n to rows. */
static inline void pack_rows_of_a(const float *a, int64_t row, int64_t col, int64_t n, int64_t rows, int64_t k,
                                  float *to)
{
    for (int64_t k0 = 0; k0 < k; k0 += TILE_GROUP, to += rows * TILE_GROUP) {
        int64_t depth = k - k0 < TILE_GROUP ? k - k0 : TILE_GROUP;
        if (col != 1) {
            transpose_block(depth, n, a + k0 * col, col, to, TILE_GROUP);
        } else if (depth == TILE_GROUP) {
            for (int64_t i = 0; i < n; i++)
                for (int j = 0; j < TILE_GROUP; j += VEC_W)
                    vec_store(to + i * TILE_GROUP + j, vec_load(a + i * row + k0 + j));
        } else {
            for (int64_t i = 0; i < n; i++)
                memcpy(to + i * TILE_GROUP, a + i * row + k0, sizeof(float) * (size_t)depth);
        }
        memset(to + n * TILE_GROUP, 0, sizeof(float) * (size_t)((rows - n) * TILE_GROUP));
    }
}

/* ---- the heights of tiles ------------------------------------------------------------------------------------------------------------------ */

/* HEIGHTS(X): X(rows) for the heights that exist as code, tallest first. */
#if VEC_ISA == 3
#define HEIGHTS(X) X(14) X(12) X(11) X(8) X(6) X(4) X(2) X(1)
#else
#define HEIGHTS(X) X(6) X(4) X(2) X(1)
#endif

#define HEIGHT_AND_COMMA(rows) rows,
static const int32_t pack_heights[] = { HEIGHTS(HEIGHT_AND_COMMA) };
#undef HEIGHT_AND_COMMA
enum { N_HEIGHTS = sizeof pack_heights / sizeof *pack_heights };

/* The lowest tile that holds so many rows. */
static inline int32_t height_for(int64_t rows)
{
    int32_t i = N_HEIGHTS - 1;
    while (pack_heights[i] < rows) i--;
    return pack_heights[i];
}

/* A tile costs about its height + 2 (the loads of b); short tiles wait for their own sums. */
static inline int64_t tile_cost(int64_t height)
{
    return (height > TILE_ROWS / 3 ? height : TILE_ROWS / 3) + 2;
}

/* The height for m rows: the cheapest total wins, the lower of equals (128 rows: 10 x 12 + 8 is 2 % faster than 9 x 14 + 2). */
static inline int32_t best_rows(int64_t m)
{
    int64_t best = INT64_MAX;
    int32_t rows = 1;
    for (int32_t i = 0; i < N_HEIGHTS; i++) {
        int64_t rest = m % pack_heights[i];
        int64_t cost = m / pack_heights[i] * tile_cost(pack_heights[i]) + (rest ? tile_cost(height_for(rest)) : 0);
        if (cost <= best) best = cost, rows = pack_heights[i];
    }
    return rows;
}

#endif
