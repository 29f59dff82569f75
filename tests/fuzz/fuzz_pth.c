/* Files of torch.save: both containers. */
#include "io/pth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gen_arena *arena = gen_arena_new();
    gen_safetensors st;
    gen_pth_read(data, size, arena, &st, NULL);
    gen_arena_free(arena);
    return 0;
}
