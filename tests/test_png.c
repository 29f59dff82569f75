/* io/png.c and io/apng.c. */
#include "tests/test.h"

#include "io/image.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U; /* Numerical Recipes' quick generator: any fixed sequence does */
    return *state >> 8;
}

static gen_image random_image(int32_t width, int32_t height, int32_t channels, int32_t bits, gen_arena *arena)
{
    gen_image image;
    uint32_t state = (uint32_t)(width * 1000 + height * 10 + channels);
    assert_int_equal(gen_image_new(width, height, channels, bits, arena, &image, NULL), GEN_OK);
    for (int32_t i = 0; i < width * height * channels; i++) {
        if (bits == 16) image.px16[i] = (uint16_t)next_random(&state);
        else image.px8[i] = (uint8_t)next_random(&state);
    }
    return image;
}

static size_t sample_bytes(const gen_image *image)
{
    return (size_t)image->width_px * (size_t)image->height_px * (size_t)image->channels * (image->px16 ? 2 : 1);
}

static void expect_equal(const gen_image *a, const gen_image *b)
{
    assert_int_equal(a->width_px, b->width_px);
    assert_int_equal(a->height_px, b->height_px);
    assert_int_equal(a->channels, b->channels);
    assert_int_equal(!a->px16, !b->px16);
    if (a->px16) assert_memory_equal(a->px16, b->px16, sample_bytes(a));
    else assert_memory_equal(a->px8, b->px8, sample_bytes(a));
}

TEST(png_written_reads_back_the_same)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    for (int32_t channels = 1; channels <= 4; channels++)
        for (int32_t bits = 8; bits <= 16; bits += 8) {
            gen_image image = random_image(13, 7, channels, bits, arena), back;
            gen_bytes file;
            TEST_OK(gen_png_write(&image, arena, &file, &err));
            TEST_OK(gen_image_read(file.data, file.size, arena, &back, &err));
            expect_equal(&image, &back);
        }
    gen_arena_free(arena);
}

TEST(png_carries_text_both_ways)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_image image = random_image(3, 2, 1, 8, arena), back;
    char *lengthy = gen_arena_alloc(arena, 5000);
    memset(lengthy, 'x', 4999);
    const gen_image_text texts[] = { { "seed", "42" },
                                     { "settings", lengthy },
                                     { "title", "\xc3\xa9t\xc3\xa9 \xe2\x82\xac" } };
    image.texts = texts, image.n_texts = 3;
    gen_bytes file;
    TEST_OK(gen_png_write(&image, arena, &file, &err));
    assert_true(file.size < 1000); /* the long one is packed */
    TEST_OK(gen_png_read(file.data, file.size, arena, &back, &err));
    assert_int_equal(back.n_texts, 3);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(back.texts[i].key, texts[i].key);
        assert_string_equal(back.texts[i].value, texts[i].value);
    }
    gen_arena_free(arena);
}

TEST(png_write_refuses_a_wrong_text_key)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_image image = random_image(3, 2, 1, 8, arena);
    image.texts = &(gen_image_text){ "", "v" }, image.n_texts = 1;
    gen_bytes file;
    gen_status status = gen_png_write(&image, arena, &file, &err);
    assert_int_equal(status, GEN_BAD_OPTION);
    gen_arena_free(arena);
}

typedef struct suite_row {
    const char *name;
    int32_t width, height, channels, bits;
    uint32_t crc;
} suite_row;

static const suite_row suite[] = {
#include "tests/golden/pngsuite.h"
};

static uint32_t crc_of(const gen_image *image)
{
    size_t n = sample_bytes(image);
    if (!image->px16) return (uint32_t)crc32_z(0, image->px8, n);
    uint32_t crc = 0;
    for (size_t i = 0; i < n / 2; i++) {
        uint8_t sample[2] = { (uint8_t)(image->px16[i] >> 8), (uint8_t)image->px16[i] };
        crc = (uint32_t)crc32_z(crc, sample, 2);
    }
    return crc;
}

static gen_bytes read_suite(const char *name, gen_arena *arena)
{
    char relative[100];
    gen_bytes file = { 0 };
    snprintf(relative, sizeof relative, "data/odd-images/pngsuite/png/%s.png", name);
    const char *path = test_shared(relative);
    if (path) assert_int_equal(gen_file_read(path, 1 << 20, arena, &file, NULL), GEN_OK);
    return file;
}

TEST(png_decodes_pngsuite_exactly)
{
    if (!test_shared("data/odd-images/pngsuite/png")) TEST_SKIP("no shared/data/odd-images/pngsuite");
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    for (size_t i = 0; i < sizeof suite / sizeof *suite; i++) {
        const suite_row *row = &suite[i];
        gen_bytes file = read_suite(row->name, arena);
        gen_image image;
        TEST_OK(gen_png_read(file.data, file.size, arena, &image, &err));
        int same = image.width_px == row->width && image.height_px == row->height && image.channels == row->channels &&
                   (image.px16 ? 16 : 8) == row->bits && crc_of(&image) == row->crc;
        if (!same) fail_msg("%s: %d x %d x %d differs", row->name, image.width_px, image.height_px, image.channels);
    }
    gen_arena_free(arena);
}

TEST(png_rejects_every_broken_file_of_pngsuite)
{
    static const char *const broken[] = { "xc1n0g08", "xc9n2c08", "xcrn0g04", "xcsn0g01", "xd0n2c08",
                                          "xd3n2c08", "xd9n2c08", "xdtn0g01", "xhdn0g08", "xlfn0g04",
                                          "xs1n0g01", "xs2n0g01", "xs4n0g01", "xs7n0g01" };
    if (!test_shared("data/odd-images/pngsuite/png")) TEST_SKIP("no shared/data/odd-images/pngsuite");
    gen_arena *arena = gen_arena_new();
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        gen_error err = { 0 };
        gen_bytes file = read_suite(broken[i], arena);
        gen_image image;
        if (gen_png_read(file.data, file.size, arena, &image, &err) != GEN_BAD_FILE) fail_msg("%s was read", broken[i]);
        assert_true(strlen(err.text) > 20);
        err = (gen_error){ 0 };
        assert_int_equal(gen_image_read(file.data, file.size, arena, &image, &err), GEN_BAD_FILE);
    }
    gen_arena_free(arena);
}

TEST(png_rejects_truncation_at_every_byte)
{
    gen_arena *arena = gen_arena_new();
    gen_image image = random_image(9, 5, 3, 16, arena), back;
    gen_bytes file;
    assert_int_equal(gen_png_write(&image, arena, &file, NULL), GEN_OK);
    for (size_t n = 0; n < file.size; n++) {
        uint8_t *copy = gen_alloc(1, n);
        gen_arena *local = gen_arena_new();
        memcpy(copy, file.data, n);
        assert_int_equal(gen_png_read(copy, n, local, &back, NULL), GEN_BAD_FILE);
        gen_arena_free(local);
        gen_free(copy);
    }
    gen_arena_free(arena);
}

TEST(png_survives_flipped_bits)
{
    gen_arena *arena = gen_arena_new();
    gen_image image = random_image(9, 5, 3, 8, arena), back;
    gen_bytes file;
    uint32_t dice = 1;
    assert_int_equal(gen_png_write(&image, arena, &file, NULL), GEN_OK);
    for (int i = 0; i < 2000; i++) {
        size_t at = next_random(&dice) % file.size;
        uint8_t bit = (uint8_t)(1U << next_random(&dice) % 8);
        gen_arena *local = gen_arena_new();
        file.data[at] ^= bit;
        (void)gen_png_read(file.data, file.size, local, &back, NULL);
        file.data[at] ^= bit;
        gen_arena_free(local);
    }
    gen_arena_free(arena);
}

/* An IHDR of any size with a right checksum, followed by what the small picture had. */
static void set_size(gen_bytes file, uint32_t width, uint32_t height)
{
    for (int i = 0; i < 4; i++) {
        file.data[16 + i] = (uint8_t)(width >> (24 - 8 * i));
        file.data[20 + i] = (uint8_t)(height >> (24 - 8 * i));
    }
    uint32_t crc = (uint32_t)crc32_z(0, file.data + 12, 17);
    for (int i = 0; i < 4; i++) file.data[29 + i] = (uint8_t)(crc >> (24 - 8 * i));
}

TEST(png_refuses_sizes_that_cannot_be_in_the_file)
{
    static const uint32_t sizes[][2] = { { 100000, 100000 },         { 0x7fffffff, 1 }, { 1, 0x7fffffff },
                                         { 0x7fffffff, 0x7fffffff }, { 0, 1 },          { 20000, 9000 } };
    gen_arena *arena = gen_arena_new();
    gen_image image = random_image(4, 4, 4, 16, arena), back;
    gen_bytes file;
    assert_int_equal(gen_png_write(&image, arena, &file, NULL), GEN_OK);
    size_t before = gen_arena_used(arena);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        set_size(file, sizes[i][0], sizes[i][1]);
        assert_int_equal(gen_png_read(file.data, file.size, arena, &back, NULL), GEN_BAD_FILE);
    }
    assert_true(gen_arena_used(arena) - before < 65536);
    gen_arena_free(arena);
}

TEST(png_survives_failing_allocations)
{
    gen_arena *arena = gen_arena_new();
    gen_image image = random_image(9, 5, 3, 8, arena), back;
    image.texts = &(gen_image_text){ "title", "\xc3\xa9" }, image.n_texts = 1;
    gen_bytes file;
    for (uint64_t n = 1, done = 0; !done; n++) {
        gen_arena *local = gen_arena_new();
        gen_alloc_fail_at(n);
        gen_status status = gen_png_write(&image, local, &file, NULL);
        if (status == GEN_OK) status = gen_png_read(file.data, file.size, local, &back, NULL);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || status == GEN_NO_MEMORY || status == GEN_BAD_FILE);
        done = status == GEN_OK && back.n_texts == 1;
        gen_arena_free(local);
    }
    gen_arena_free(arena);
}

/* ---- animation ---- */

static uint32_t u32_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

TEST(apng_first_frame_reads_as_ordinary_png)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_image frames[3], back;
    for (int i = 0; i < 3; i++) frames[i] = random_image(8, 6, 3, 8, arena);
    for (int i = 0; i < 8 * 6 * 3; i++)
        frames[0].px8[i] = (uint8_t)(i * 3); /* smooth, so that other filters than none are used */
    frames[0].texts = &(gen_image_text){ "seed", "7" }, frames[0].n_texts = 1;
    gen_bytes file;
    TEST_OK(gen_apng_write(frames, 3, 40, 0, arena, &file, &err));
    TEST_OK(gen_png_read(file.data, file.size, arena, &back, &err));
    expect_equal(&frames[0], &back);
    assert_int_equal(back.n_texts, 1);
    gen_arena_free(arena);
}

TEST(apng_chunks_are_numbered_and_checked)
{
    gen_arena *arena = gen_arena_new();
    gen_image frames[3];
    for (int i = 0; i < 3; i++) frames[i] = random_image(5, 4, 1, 8, arena);
    gen_bytes file;
    assert_int_equal(gen_apng_write(frames, 3, 40, 2, arena, &file, NULL), GEN_OK);
    char order[200] = "";
    uint32_t sequence = 0;
    for (size_t at = 8; at < file.size;) {
        uint32_t n = u32_at(file.data + at);
        const uint8_t *type = file.data + at + 4;
        assert_int_equal((uint32_t)crc32_z(0, type, n + 4), u32_at(type + 4 + n));
        strncat(order, (const char *)type, 4);
        if (!memcmp(type, "acTL", 4)) assert_int_equal(u32_at(type + 4) * 10 + u32_at(type + 8), 32);
        if (!memcmp(type, "fcTL", 4) || !memcmp(type, "fdAT", 4)) assert_int_equal(u32_at(type + 4), sequence++);
        at += n + 12;
    }
    assert_string_equal(order, "IHDRacTLfcTLIDATfcTLfdATfcTLfdATIEND");
    gen_arena_free(arena);
}

TEST(apng_refuses_frames_of_different_size)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_image frames[2] = { random_image(5, 4, 1, 8, arena), random_image(4, 4, 1, 8, arena) };
    gen_bytes file;
    assert_int_equal(gen_apng_write(frames, 2, 40, 0, arena, &file, &err), GEN_BAD_SHAPE);
    assert_non_null(strstr(err.text, "frame 1 is 4 x 4 x 1"));
    assert_int_equal(gen_apng_write(frames, 1, 0, 0, arena, &file, NULL), GEN_BAD_OPTION);
    gen_arena_free(arena);
}
