/* What the multipliers could do if nothing waited for memory: the register tile of every product, fed from two vectors that stay where they are. */
#include "kernels/cpu/peak.h"
#include "kernels/cpu/vec/micro.h"

double VEC_FN(peak)(int64_t rounds)
{
    vecf acc[TILE_ROWS][TILE_VECS];
    float a[TILE_ROWS * TILE_GROUP] = { 0 }, b[TILE_COLS] = { 0 };
    tile_zero(TILE_ROWS, TILE_VECS, acc);
    for (int64_t i = 0; i < rounds; i++) {
        __asm__ volatile("" ::: "memory"); /* the compiler may not see that every round is the same */
        tile_step(TILE_ROWS, a, b, acc);
    }
    float sum = 0;
    for (int i = 0; i < TILE_ROWS; i++)
        for (int j = 0; j < TILE_VECS; j++) {
            float lane[VEC_W];
            vec_store(lane, acc[i][j]);
            sum += lane[0];
        }
    return 2.0 * TILE_ROWS * TILE_COLS * (double)rounds + (double)sum; /* sum is 0; it keeps the loop */
}
