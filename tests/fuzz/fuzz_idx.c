/* IDX, plain and packed. */
#include "io/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gen_arena *arena = gen_arena_new();
    gen_idx idx;
    uint8_t *copy = gen_arena_alloc(arena, size);
    for (size_t i = 0; i < size; i++) copy[i] = data[i];
    gen_idx_read(copy, size, arena, &idx, NULL);
    gen_arena_free(arena);
    return 0;
}
