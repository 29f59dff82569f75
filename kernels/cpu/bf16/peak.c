/* What the multipliers could do in bfloat16 if nothing waited for memory (vec/peak.c). */
#include "kernels/cpu/peak.h"
#include "kernels/cpu/bf16/pairs.h"

double VEC_FN(peak)(int64_t rounds)
{
    vecf acc[TILE_ROWS][TILE_VECS];
    pair a[TILE_ROWS * PAIR_GROUP] = { 0 }, b[TILE_COLS] = { 0 };
    tile_zero(TILE_ROWS, TILE_VECS, acc);
    for (int64_t i = 0; i < rounds; i++) {
        __asm__ volatile("" ::"r"(a), "r"(b) : "memory"); /* the compiler may not see that every round is the same */
        pair_step(TILE_ROWS, a, b, acc);
    }
    vecf sum = vec_set(0);
    VEC_UNROLL
    for (int i = 0; i < TILE_ROWS; i++) {
        VEC_UNROLL
        for (int j = 0; j < TILE_VECS; j++) sum += acc[i][j];
    }
    return 4.0 * TILE_ROWS * TILE_COLS * (double)rounds + (double)vec_sum(sum); /* which is 0, and keeps the loop */
}
