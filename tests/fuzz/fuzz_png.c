/* Pictures of any kind that gen_image_read tells apart. The checksums of PNG chunks are put right first, or hardly a
 * mutation would get past them. */
#include "io/image.h"

#include <string.h>
#include <zlib.h>

static void put_right(uint8_t *d, size_t size)
{
    for (size_t at = 8; size >= 20 && at <= size - 12;) {
        size_t n = (size_t)d[at] << 24 | (size_t)d[at + 1] << 16 | (size_t)d[at + 2] << 8 | d[at + 3];
        if (n > size - at - 12) return;
        uint32_t crc = (uint32_t)crc32_z(0, d + at + 4, n + 4);
        for (int i = 0; i < 4; i++) d[at + 8 + n + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += n + 12;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gen_arena *arena = gen_arena_new();
    uint8_t *copy = gen_arena_alloc(arena, size);
    gen_image image;
    if (size) memcpy(copy, data, size);
    put_right(copy, size);
    if (gen_image_read(copy, size, arena, &image, NULL) == GEN_OK && image.width_px < 10000 && image.height_px < 1000) {
        gen_bytes back;
        gen_png_write(&image, arena, &back, NULL);
    }
    gen_arena_free(arena);
    return 0;
}
