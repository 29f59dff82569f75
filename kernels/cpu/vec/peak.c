/* What the multipliers could do if nothing waited for memory: the register tile of every product, fed from two vectors that stay where they are. */
#include "kernels/cpu/peak.h"
#include "kernels/cpu/vec/micro.h"

double VEC_FN(peak)(int64_t rounds)
{
    vecf acc[TILE_ROWS][TILE_VECS];
    float a[TILE_ROWS * TILE_GROUP] = { 0 }, b[TILE_COLS] = { 0 };
    tile_zero(TILE_ROWS, TILE_VECS, acc);
    for (int64_t i = 0; i < rounds; i++) {
        __asm__ volatile("" ::"r"(a), "r"(b) : "memory"); /* the compiler may not see that every round is the same */
        tile_step(TILE_ROWS, a, b, acc);
    }
    vecf sum = vec_set(0);
    VEC_UNROLL
    for (int i = 0; i < TILE_ROWS; i++) { /* unrolled as the rounds are, or acc would live in memory */
        VEC_UNROLL
        for (int j = 0; j < TILE_VECS; j++) sum += acc[i][j];
    }
    vec_store(b, sum);
    return 2.0 * TILE_ROWS * TILE_COLS * (double)rounds + (double)b[0]; /* which is 0, and keeps the loop */
}
