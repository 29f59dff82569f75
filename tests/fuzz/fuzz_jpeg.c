/* JPEG read, then written and read again. */
#include "io/image.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gen_arena *arena = gen_arena_new();
    uint8_t *copy = gen_arena_alloc(arena, size);
    gen_image image;
    if (size) memcpy(copy, data, size);
    if (gen_jpeg_read(copy, size, arena, &image, NULL) == GEN_OK && image.width_px < 1000 && image.height_px < 1000) {
        gen_bytes back;
        if (gen_jpeg_write(&image, GEN_JPEG_QUALITY, arena, &back, NULL) != GEN_OK ||
            gen_jpeg_read(back.data, back.size, arena, &image, NULL) != GEN_OK)
            __builtin_trap();
    }
    gen_arena_free(arena);
    return 0;
}
