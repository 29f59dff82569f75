/* safetensors, and every value of those that are right. */
#include "io/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gen_arena *arena = gen_arena_new();
    gen_safetensors st;
    if (gen_safetensors_read(data, size, arena, &st, NULL) == GEN_OK)
        for (size_t i = 0; i < st.n_tensors; i++) {
            float *values = gen_arena_alloc(arena, st.tensors[i].n * sizeof *values);
            if (values) gen_tensor_to_float(&st.tensors[i], values);
        }
    gen_arena_free(arena);
    return 0;
}
