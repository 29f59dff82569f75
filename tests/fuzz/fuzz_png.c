/* Pictures of any kind that gen_image_read tells apart. */
#include "io/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gen_arena *arena = gen_arena_new();
    gen_image image;
    if (gen_image_read(data, size, arena, &image, NULL) == GEN_OK) {
        gen_bytes back;
        gen_png_write(&image, arena, &back, NULL);
    }
    gen_arena_free(arena);
    return 0;
}
