/* io/image.c, io/pnm.c and io/deflate.c. */
#include "tests/test.h"

#include "io/deflate.h"
#include "io/image.h"

#include <math.h>
#include <string.h>

static gen_status read_text(const char *text, size_t size, gen_arena *arena, gen_image *image, gen_error *err)
{
    return gen_image_read(text, size, arena, image, err);
}

#define READ(literal, image) read_text(literal, sizeof(literal) - 1, arena, image, &err)

static void expect_near(const float *a, const float *b, size_t n, float tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) <= tolerance)) fail_msg("element %zu: %g, expected %g", i, (double)a[i], (double)b[i]);
}

TEST(image_read_tells_kinds_apart)
{
    gen_arena *arena = gen_arena_new();
    gen_image image;
    gen_error err = { 0 };
    assert_int_equal(READ("GIF89a....", &image), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "GIF"));
    err = (gen_error){ 0 };
    assert_int_equal(READ("\xff\xd8\xff\xe0....", &image), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "JPEG"));
    err = (gen_error){ 0 };
    assert_int_equal(READ("RIFF....WEBPVP8 ", &image), GEN_UNSUPPORTED);
    err = (gen_error){ 0 };
    assert_int_equal(READ("<html>", &image), GEN_BAD_FILE);
    assert_int_equal(READ("", &image), GEN_BAD_FILE);
    assert_int_equal(READ("P\0", &image), GEN_BAD_FILE);
    gen_arena_free(arena);
}

TEST(pnm_reads_text_and_binary_with_comments)
{
    gen_arena *arena = gen_arena_new();
    gen_image image;
    gen_error err = { 0 };
    TEST_OK(READ("P2 # grey\n# two wide\n3 2 15\n0 5 10\n15 # four\n 1 2", &image));
    const uint8_t grey[] = { 0, 85, 170, 255, 17, 34 };
    assert_memory_equal(image.px8, grey, 6);
    TEST_OK(READ("P3 1 1 255 1 2 3", &image));
    assert_int_equal(image.channels, 3);
    assert_memory_equal(image.px8, "\1\2\3", 3);
    TEST_OK(READ("P6\n1 2\n255\nabcdef", &image));
    assert_memory_equal(image.px8, "abcdef", 6);
    TEST_OK(READ("P5 2 1 65535 \x12\x34\xff\xff", &image));
    assert_int_equal(image.px16[0], 0x1234);
    assert_int_equal(image.px16[1], 0xffff);
    TEST_OK(READ("P5 1 1 1000 \x03\xe8", &image));
    assert_int_equal(image.px16[0], 65535);
    gen_arena_free(arena);
}

TEST(pnm_rejects_damage_and_hostile_sizes)
{
    static const char *const bad[] = { "P5",
                                       "P5 1",
                                       "P5 1 1",
                                       "P5 1 1 255",
                                       "P5 0 1 255 x",
                                       "P5 1 1 0 x",
                                       "P5 1 1 65536 xx",
                                       "P5 2 2 255 abc",
                                       "P5 999999999 999999999 255 x",
                                       "P5 9999999999 1 255 x",
                                       "P2 2 1 255 1",
                                       "P2 2 1 255 1 x",
                                       "P3 1 1 255 1 2",
                                       "P5 -1 1 255 x",
                                       "P2 500000000 2 1 0 1" };
    gen_arena *arena = gen_arena_new();
    gen_image image;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gen_error err = { 0 };
        if (read_text(bad[i], strlen(bad[i]), arena, &image, &err) != GEN_BAD_FILE) fail_msg("'%s' was read", bad[i]);
        assert_true(strlen(err.text) > 20);
    }
    gen_arena_free(arena);
}

TEST(pnm_written_reads_back_without_alpha)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_image image, back;
    TEST_OK(gen_image_new(2, 1, 4, 16, arena, &image, &err));
    for (int i = 0; i < 8; i++) image.px16[i] = (uint16_t)(i * 1000 + 1);
    gen_bytes file;
    TEST_OK(gen_pnm_write(&image, arena, &file, &err));
    TEST_OK(gen_pnm_read(file.data, file.size, arena, &back, &err));
    assert_int_equal(back.channels, 3);
    const uint16_t expected[] = { 1, 1001, 2001, 4001, 5001, 6001 };
    assert_memory_equal(back.px16, expected, sizeof expected);
    gen_arena_free(arena);
}

TEST(image_to_float_converts_channels)
{
    uint8_t rgba[] = { 255, 0, 0, 51, 0, 255, 0, 255 }, grey[] = { 0, 255 };
    gen_image image = { .width_px = 2, .height_px = 1, .channels = 4, .px8 = rgba };
    float out[8];
    gen_image_to_float(&image, 1, out);
    expect_near(out, (float[]){ 0.299F, 0.587F }, 2, 1e-6F);
    gen_image_to_float(&image, 3, out);
    expect_near(out, (float[]){ 1, 0, 0, 0, 1, 0 }, 6, 0);
    gen_image_to_float(&image, 4, out);
    expect_near(out, (float[]){ 1, 0, 0, 0.2F, 0, 1, 0, 1 }, 8, 0);
    image = (gen_image){ .width_px = 2, .height_px = 1, .channels = 1, .px8 = grey };
    gen_image_to_float(&image, 4, out);
    expect_near(out, (float[]){ 0, 0, 0, 1, 1, 1, 1, 1 }, 8, 0);
}

TEST(image_bytes_survive_the_way_through_float)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    uint8_t all[256];
    float values[256];
    for (int i = 0; i < 256; i++) all[i] = (uint8_t)i;
    gen_image image = { .width_px = 16, .height_px = 16, .channels = 1, .px8 = all }, back;
    gen_image_to_float(&image, 1, values);
    TEST_OK(gen_image_grid(values, 1, 16, 16, 1, &(gen_grid){ .high = 1 }, arena, &back, &err));
    assert_memory_equal(back.px8, all, 256);
    gen_arena_free(arena);
}

TEST(image_grid_places_pads_and_clamps)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    const float pixels[] = { -1, 1, 5, NAN, 0 }; /* five pictures of one pixel */
    gen_image image;
    gen_grid grid = { .columns = 2, .padding_px = 1, .background = 1, .low = -1, .high = 1 };
    TEST_OK(gen_image_grid(pixels, 5, 1, 1, 1, &grid, arena, &image, &err));
    const uint8_t expected[7][5] = { { 255, 255, 255, 255, 255 }, { 255, 0, 255, 255, 255 },
                                     { 255, 255, 255, 255, 255 }, { 255, 255, 255, 0, 255 },
                                     { 255, 255, 255, 255, 255 }, { 255, 128, 255, 255, 255 },
                                     { 255, 255, 255, 255, 255 } };
    assert_int_equal(image.width_px, 5);
    assert_int_equal(image.height_px, 7);
    assert_memory_equal(image.px8, expected, sizeof expected);
    TEST_OK(gen_image_grid(pixels, 5, 1, 1, 1, &(gen_grid){ .high = 1 }, arena, &image, &err));
    assert_int_equal(image.width_px, 3); /* the smallest square that holds five */
    assert_int_equal(gen_image_grid(pixels, 5, 1, 1, 1, &(gen_grid){ 0 }, arena, &image, &err), GEN_BAD_SHAPE);
    gen_arena_free(arena);
}

/* Values of Pillow 13's Image.resize in mode F. */
TEST(image_resize_agrees_with_pillow)
{
    gen_error err = { 0 };
    float in[35], out[70];
    for (int y = 0; y < 5; y++)
        for (int x = 0; x < 7; x++) in[y * 7 + x] = (float)((3 * x * x + 5 * y * x + 7 * y) % 17);
    TEST_OK(gen_image_resize(in, 5, 7, 1, out, 2, 3, GEN_FILTER_BOX, &err));
    expect_near(out, (float[]){ 8.16667F, 9.44444F, 7.00000F, 5.00000F, 9.66667F, 8.25000F }, 6, 2e-5F);
    TEST_OK(gen_image_resize(in, 5, 7, 1, out, 2, 3, GEN_FILTER_BILINEAR, &err));
    expect_near(out, (float[]){ 8.90584F, 9.77807F, 7.02273F, 7.79870F, 8.36898F, 7.32143F }, 6, 2e-5F);
    TEST_OK(gen_image_resize(in, 5, 7, 1, out, 7, 10, GEN_FILTER_BILINEAR, &err));
    expect_near(out,
                (float[]){ 0.00000F, 1.65000F, 5.25000F, 11.55000F, 10.70000F, 11.40000F, 13.65000F, 8.75000F, 6.55000F,
                           6.00000F, 4.00000F, 7.22143F },
                12, 2e-5F);
    TEST_OK(gen_image_resize(in, 5, 7, 1, out, 7, 10, GEN_FILTER_BOX, &err));
    expect_near(out, (float[]){ 0, 3, 3, 12, 10, 10, 14, 7, 7, 6, 7, 15 }, 12, 2e-5F);
    TEST_OK(gen_image_resize(in, 5, 7, 1, out, 5, 7, GEN_FILTER_BILINEAR, &err));
    expect_near(out, in, 35, 0);
}

TEST(image_fit_square_takes_the_middle)
{
    gen_error err = { 0 };
    float in[4 * 8 * 2], out[2 * 2 * 2];
    for (int i = 0; i < 32; i++) in[2 * i] = (float)(i % 8), in[2 * i + 1] = (float)(i / 8);
    TEST_OK(gen_image_fit_square(in, 4, 8, 2, out, 2, &err));
    assert_true(fabsf(out[0] + out[2] - 7) < 1e-5F); /* columns lie evenly around the middle of 0..7 */
    assert_true(fabsf(out[1] + out[5] - 3) < 1e-5F); /* rows around that of 0..3 */
    assert_true(out[0] > 2 && out[2] < 5);
}

TEST(image_resize_survives_failing_allocations)
{
    float in[12] = { 0 }, out[4];
    for (uint64_t n = 1, done = 0; !done; n++) {
        gen_alloc_fail_at(n);
        gen_status status = gen_image_fit_square(in, 3, 4, 1, out, 2, NULL);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || status == GEN_NO_MEMORY);
        done = status == GEN_OK;
    }
}

/* gzip of "hello" by gzip -n */
static const uint8_t hello_gz[] = { 0x1f, 0x8b, 8, 0, 0,    0,    0,    0,    0, 3, 0xcb, 0x48, 0xcd,
                                    0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0,    0 };

TEST(gunzip_gives_what_fits_and_says_whether_there_is_more)
{
    gen_error err = { 0 };
    char out[8];
    size_t got;
    int more;
    TEST_OK(gen_gunzip(hello_gz, sizeof hello_gz, out, 5, &got, &more, &err));
    assert_int_equal(got * 10 + (size_t)more, 50);
    assert_memory_equal(out, "hello", 5);
    TEST_OK(gen_gunzip(hello_gz, sizeof hello_gz, out, 3, &got, &more, &err));
    assert_int_equal(got * 10 + (size_t)more, 31);
    TEST_OK(gen_gunzip(hello_gz, sizeof hello_gz, out, 8, &got, &more, &err));
    assert_int_equal(got * 10 + (size_t)more, 50);
}

TEST(gunzip_reads_members_one_after_the_other)
{
    gen_error err = { 0 };
    uint8_t two[2 * sizeof hello_gz];
    char out[16];
    size_t got;
    int more;
    memcpy(two, hello_gz, sizeof hello_gz);
    memcpy(two + sizeof hello_gz, hello_gz, sizeof hello_gz);
    TEST_OK(gen_gunzip(two, sizeof two, out, 16, &got, &more, &err));
    assert_int_equal(got, 10);
    assert_memory_equal(out, "hellohello", 10);
}

TEST(gunzip_rejects_truncation_and_wrong_checksum)
{
    char out[8];
    size_t got;
    int more;
    for (size_t n = 0; n < sizeof hello_gz; n++)
        assert_int_equal(gen_gunzip(hello_gz, n, out, 8, &got, &more, NULL), GEN_BAD_FILE);
    uint8_t copy[sizeof hello_gz];
    memcpy(copy, hello_gz, sizeof copy);
    copy[18] ^= 1;
    assert_int_equal(gen_gunzip(copy, sizeof copy, out, 8, &got, &more, NULL), GEN_BAD_FILE);
}
