/* MAT-files. */
#include "io/mat.h"

static double sum(const gen_mat_array *a)
{
    double s = 0;
    for (size_t i = 0; i < a->n; i++) s += a->cells ? sum(&a->cells[i]) : gen_mat_at(a, i);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gen_arena *arena = gen_arena_new();
    gen_mat mat;
    volatile double s = 0;
    if (gen_mat_read(data, size, arena, &mat, NULL) == GEN_OK)
        for (size_t i = 0; i < mat.n_arrays; i++) s = s + sum(&mat.arrays[i]);
    gen_arena_free(arena);
    return 0;
}
