/* NumPy arrays. */
#include "io/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gen_arena *arena = gen_arena_new();
    gen_npy npy;
    gen_npy_read(data, size, arena, &npy, NULL);
    gen_arena_free(arena);
    return 0;
}
