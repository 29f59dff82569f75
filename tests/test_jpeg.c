/* io/jpeg.c. */
#define _POSIX_C_SOURCE 200809L
#include "tests/test.h"

#include "io/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Each channel a slope of its own, so that a mirrored or turned picture is another picture. */
static gen_image slopes(int32_t width, int32_t height, int32_t channels, int32_t bits, gen_arena *arena)
{
    gen_image image;
    assert_int_equal(gen_image_new(width, height, channels, bits, arena, &image, NULL), GEN_OK);
    for (int32_t i = 0; i < width * height; i++)
        for (int32_t c = 0; c < channels; c++) {
            int32_t x = i % width * 255 / width, y = i / width * 255 / height;
            int32_t v = c == 0 ? (3 * x + y) / 4 : c == 1 ? 255 - y : c == 2 ? 255 - x : 128;
            if (bits == 16) image.px16[i * channels + c] = (uint16_t)(v * 257);
            else image.px8[i * channels + c] = (uint8_t)v;
        }
    return image;
}

static gen_bytes written(const gen_image *image, int32_t quality, gen_arena *arena)
{
    gen_error err = { 0 };
    gen_bytes file = { 0 };
    TEST_OK(gen_jpeg_write(image, quality, arena, &file, &err));
    return file;
}

/* Mean absolute difference of samples 0..255; a may be 16 bits, and colour where b is grey. */
static double difference(const gen_image *a, const gen_image *b)
{
    if (a->width_px != b->width_px || a->height_px != b->height_px) return 1e9;
    size_t n = (size_t)a->width_px * (size_t)a->height_px * 3;
    float *x = gen_alloc(2 * n, sizeof *x), *y = x + n;
    double sum = 0;
    assert_non_null(x);
    gen_image_to_float(a, 3, x);
    gen_image_to_float(b, 3, y);
    for (size_t i = 0; i < n; i++) sum += fabs((double)x[i] - (double)y[i]);
    gen_free(x);
    return 255 * sum / (double)n;
}

TEST(jpeg_written_reads_back_nearly_the_same)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    for (int32_t channels = 1; channels <= 4; channels++)
        for (int32_t bits = 8; bits <= 16; bits += 8) {
            gen_image image = slopes(37, 21, channels, bits, arena), back;
            gen_bytes file = written(&image, GEN_JPEG_QUALITY, arena);
            TEST_OK(gen_image_read(file.data, file.size, arena, &back, &err));
            assert_int_equal(back.channels, channels >= 3 ? 3 : 1);
            assert_true(difference(&image, &back) < 1);
        }
    gen_arena_free(arena);
}

TEST(jpeg_quality_trades_size_for_error)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_image image = slopes(64, 64, 3, 8, arena), low, high;
    for (int i = 0; i < 64 * 64 * 3; i += 7) image.px8[i] ^= 0x55; /* something to lose */
    gen_bytes small = written(&image, 10, arena), large = written(&image, 100, arena);
    assert_true(4 * small.size < large.size);
    TEST_OK(gen_jpeg_read(small.data, small.size, arena, &low, &err));
    TEST_OK(gen_jpeg_read(large.data, large.size, arena, &high, &err));
    assert_true(difference(&image, &high) < 1 && difference(&image, &low) > 4);
    assert_int_equal(gen_jpeg_write(&image, 101, arena, &small, &err), GEN_BAD_OPTION);
    err = (gen_error){ 0 };
    image.width_px = 70000, image.height_px = 1;
    assert_int_equal(gen_jpeg_write(&image, 90, arena, &small, &err), GEN_UNSUPPORTED);
    gen_arena_free(arena);
}

/* The file with a segment put behind its first marker. */
static gen_bytes with_segment(gen_bytes file, uint8_t marker, const void *data, size_t size, gen_arena *arena)
{
    gen_bytes out = { gen_arena_alloc(arena, file.size + size + 4), file.size + size + 4 };
    const uint8_t head[4] = { 0xff, marker, (uint8_t)((size + 2) >> 8), (uint8_t)(size + 2) };
    assert_non_null(out.data);
    memcpy(out.data, file.data, 2);
    memcpy(out.data + 2, head, 4);
    memcpy(out.data + 6, data, size);
    memcpy(out.data + 6 + size, file.data + 2, file.size - 2);
    return out;
}

static gen_bytes with_orientation(gen_bytes file, int value, int big_endian, gen_arena *arena)
{
    uint8_t little[] = "Exif\0\0II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0v\0\0\0\0\0\0",
            big[] = "Exif\0\0MM\0*\0\0\0\10\0\1\1\x12\0\3\0\0\0\1\0v\0\0\0\0\0";
    little[24] = (uint8_t)value, big[25] = (uint8_t)value;
    return with_segment(file, 0xe1, big_endian ? big : little, sizeof little, arena);
}

/* Pixel (x, y) of the upright picture is pixel (*sx, *sy) of the stored w x h one: Exif 2.3, table of tag 0x112. */
static void source_of(int orientation, int32_t w, int32_t h, int32_t x, int32_t y, int32_t *sx, int32_t *sy)
{
    int32_t mx = w - 1, my = h - 1;
    const int32_t table[8][2] = { { x, y }, { mx - x, y }, { mx - x, my - y }, { x, my - y },
                                  { y, x }, { y, my - x }, { mx - y, my - x }, { mx - y, x } };
    *sx = table[orientation - 1][0], *sy = table[orientation - 1][1];
}

TEST(jpeg_applies_all_exif_orientations)
{
    enum { W = 24, H = 16 };
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_image image = slopes(W, H, 3, 8, arena), plain, turned;
    gen_bytes file = written(&image, 100, arena);
    TEST_OK(gen_jpeg_read(file.data, file.size, arena, &plain, &err));
    for (int n = 0; n < 16; n++) {
        int orientation = n / 2 + 1;
        gen_bytes tagged = with_orientation(file, orientation, n % 2, arena);
        TEST_OK(gen_jpeg_read(tagged.data, tagged.size, arena, &turned, &err));
        assert_int_equal(turned.width_px, orientation >= 5 ? H : W);
        assert_int_equal(turned.height_px, orientation >= 5 ? W : H);
        for (int32_t y = 0; y < turned.height_px; y++)
            for (int32_t x = 0; x < turned.width_px; x++) {
                int32_t sx, sy;
                source_of(orientation, W, H, x, y, &sx, &sy);
                if (memcmp(turned.px8 + (y * turned.width_px + x) * 3, plain.px8 + (sy * W + sx) * 3, 3))
                    fail_msg("orientation %d: pixel %d, %d is not %d, %d", orientation, x, y, sx, sy);
            }
    }
    gen_arena_free(arena);
}

TEST(jpeg_with_damaged_exif_is_read_as_it_lies)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_image image = slopes(24, 16, 1, 8, arena), back;
    gen_bytes file = written(&image, 100, arena);
    for (uint8_t at = 0; at < 32; at++) {
        gen_bytes tagged = with_orientation(file, 6, at % 2, arena);
        tagged.data[6 + at] = 0xff; /* offsets, counts, values beyond the segment */
        TEST_OK(gen_jpeg_read(tagged.data, tagged.size, arena, &back, &err));
        assert_int_equal(back.width_px + back.height_px, 40);
    }
    for (size_t size = 0; size < 38; size++) {
        gen_bytes tagged = with_segment(file, 0xe1, "Exif\0\0MM\0*\xff\xff\xff\xff", size < 14 ? size : 14, arena);
        TEST_OK(gen_jpeg_read(tagged.data, tagged.size, arena, &back, &err));
        assert_int_equal(back.width_px, 24);
    }
    gen_arena_free(arena);
}

TEST(jpeg_carries_a_colour_profile_of_several_segments)
{
    enum { SIZE = 150000 };
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_image image = slopes(8, 8, 3, 8, arena), back;
    image.icc = (gen_bytes){ gen_arena_alloc(arena, SIZE), SIZE };
    for (int i = 0; i < SIZE; i++) image.icc.data[i] = (uint8_t)(i * 7 >> 3);
    gen_bytes file = written(&image, 90, arena);
    TEST_OK(gen_jpeg_read(file.data, file.size, arena, &back, &err));
    assert_int_equal(back.icc.size, SIZE);
    assert_memory_equal(back.icc.data, image.icc.data, SIZE);
    gen_arena_free(arena);
}

TEST(jpeg_cut_anywhere_before_its_last_pixel_is_refused_with_the_row)
{
    gen_arena *arena = gen_arena_new();
    gen_image image = slopes(40, 40, 3, 8, arena), back;
    for (int i = 0; i < 40 * 40 * 3; i += 5) image.px8[i] ^= 0x2a;
    gen_bytes file = written(&image, 95, arena);
    int with_row = 0;
    for (size_t n = 0; n + 3 < file.size; n++) {
        gen_error err = { 0 };
        uint8_t *copy = gen_alloc(1, n);
        gen_arena *local = gen_arena_new();
        memcpy(copy, file.data, n);
        if (gen_jpeg_read(copy, n, local, &back, &err) != GEN_BAD_FILE) fail_msg("%zu of %zu bytes", n, file.size);
        with_row += strstr(err.text, " of 40") != NULL;
        if (n == file.size - 10) assert_string_equal(err.text, "JPEG: the file is cut short after row 32 of 40");
        gen_arena_free(local);
        gen_free(copy);
    }
    assert_true(with_row > 500);
    assert_int_equal(gen_jpeg_read(file.data, file.size - 2, arena, &back, NULL),
                     GEN_OK); /* only the end marker is gone */
    gen_arena_free(arena);
}

TEST(jpeg_survives_flipped_bits)
{
    gen_arena *arena = gen_arena_new();
    gen_image image = slopes(40, 24, 3, 8, arena), back;
    gen_bytes file = written(&image, 60, arena);
    uint32_t dice = 1;
    for (int i = 0; i < 3000; i++) {
        dice = dice * 1664525U + 1013904223U; /* Numerical Recipes' quick generator: any fixed sequence does */
        size_t at = (dice >> 8) % file.size;
        uint8_t bit = (uint8_t)(1U << (dice >> 4) % 8);
        gen_arena *local = gen_arena_new();
        gen_error err = { 0 };
        file.data[at] ^= bit;
        gen_status status = gen_jpeg_read(file.data, file.size, local, &back, &err);
        assert_true(status == GEN_OK || strlen(err.text) > 10);
        file.data[at] ^= bit;
        gen_arena_free(local);
    }
    gen_arena_free(arena);
}

/* Where the frame header starts: marker ff c0, length, bits, height, width. */
static uint8_t *frame_of(gen_bytes file)
{
    for (size_t i = 2; i + 9 < file.size; i++)
        if (file.data[i] == 0xff && file.data[i + 1] == 0xc0) return file.data + i;
    return NULL;
}

TEST(jpeg_says_what_kind_it_cannot_read)
{
    gen_arena *arena = gen_arena_new();
    gen_image image = slopes(16, 16, 3, 8, arena), back;
    gen_bytes file = written(&image, 90, arena);
    uint8_t *frame = frame_of(file);
    gen_error err = { 0 };
    frame[4] = 12;
    assert_int_equal(gen_jpeg_read(file.data, file.size, arena, &back, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "12 bits"));
    frame[4] = 8, frame[1] = 0xc5, err = (gen_error){ 0 };
    assert_int_equal(gen_jpeg_read(file.data, file.size, arena, &back, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "hierarchical"));
    gen_arena_free(arena);
}

TEST(jpeg_refuses_sizes_that_cannot_be_in_the_file)
{
    static const uint16_t sizes[][2] = { { 65500, 65500 }, { 65535, 65535 }, { 40000, 2000 }, { 0, 8 }, { 8, 0 } };
    gen_arena *arena = gen_arena_new();
    gen_image image = slopes(16, 16, 3, 8, arena), back;
    gen_bytes file = written(&image, 90, arena);
    uint8_t *frame = frame_of(file);
    size_t before = gen_arena_used(arena);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        frame[5] = (uint8_t)(sizes[i][1] >> 8), frame[6] = (uint8_t)sizes[i][1];
        frame[7] = (uint8_t)(sizes[i][0] >> 8), frame[8] = (uint8_t)sizes[i][0];
        assert_int_equal(gen_jpeg_read(file.data, file.size, arena, &back, NULL), GEN_BAD_FILE);
    }
    assert_true(gen_arena_used(arena) - before < 65536);
    gen_arena_free(arena);
}

TEST(jpeg_survives_failing_allocations)
{
    gen_arena *arena = gen_arena_new();
    gen_image image = slopes(100, 100, 3, 8, arena), back = { 0 };
    image.icc = (gen_bytes){ (uint8_t *)"profile", 7 };
    gen_bytes file;
    for (uint64_t n = 1; !back.icc.size; n++) {
        gen_arena *local = gen_arena_new();
        gen_alloc_fail_at(n);
        gen_status status = gen_jpeg_write(&image, 100, local, &file, NULL);
        if (status == GEN_OK) status = gen_jpeg_read(file.data, file.size, local, &back, NULL);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || status == GEN_NO_MEMORY);
        gen_arena_free(local);
    }
    gen_arena_free(arena);
}

/* ---- files of others, beside the project ---- */

static gen_status read_file(const char *path, gen_arena *arena, gen_image *image, gen_error *err)
{
    gen_bytes file;
    GEN_TRY(gen_file_read(path, 1 << 26, arena, &file, err));
    return gen_image_read(file.data, file.size, arena, image, err);
}

static int is_lossless(const char *name)
{
    return strstr(name, "lossless/") != NULL;
}

static void expect_like_reference(const char *folder, const char *name, double limit)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_image image, reference;
    char *path = gen_path_join(arena, folder, name), *png = gen_path_join(arena, folder, name);
    memcpy(strrchr(png, '.'), ".png", 4);
    gen_status status = read_file(path, arena, &image, &err);
    if (is_lossless(name)) {
        assert_int_equal(status, GEN_UNSUPPORTED);
        assert_true(strstr(err.text, "lossless") || strstr(err.text, "bits"));
    } else if (gen_path_exists(png)) {
        if (status != GEN_OK) fail_msg("%s: %s", name, err.text);
        TEST_OK(read_file(png, arena, &reference, &err));
        double d = difference(&image, &reference);
        if (!(d < limit)) fail_msg("%s differs by %g of 255", name, d);
    }
    gen_arena_free(arena);
}

TEST(jpeg_agrees_with_reference_pictures)
{
    const char *folder = test_shared("data/odd-images/jpeg_image-rs_jpeg-decoder/reftest/images");
    if (!folder) TEST_SKIP("no shared/data/odd-images/jpeg_image-rs_jpeg-decoder");
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_path_list list;
    size_t n = 0;
    TEST_OK(gen_folder_list(folder, 1, arena, &list, &err));
    for (size_t i = 0; i < list.n; i++) {
        if (!gen_path_has_extension(list.path[i], "jpg")) continue;
        expect_like_reference(folder, list.path[i], 1.5);
        n++;
    }
    assert_true(n >= 48);
    gen_arena_free(arena);
}

TEST(jpeg_reads_arithmetic_coding_and_refuses_12_bits)
{
    const char *folder = test_shared("data/odd-images/libjpeg-turbo_testimages");
    if (!folder) TEST_SKIP("no shared/data/odd-images/libjpeg-turbo_testimages");
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_image original, image;
    TEST_OK(read_file(gen_path_join(arena, folder, "testorig.ppm"), arena, &original, &err));
    static const char *const names[] = { "testorig.jpg", "testimgint.jpg", "testimgari.jpg" };
    for (int i = 0; i < 3; i++) {
        TEST_OK(read_file(gen_path_join(arena, folder, names[i]), arena, &image, &err));
        double d = difference(&original, &image);
        if (!(d < 4)) fail_msg("%s differs from what was coded by %g", names[i], d);
    }
    assert_int_equal(read_file(gen_path_join(arena, folder, "monkey12.jpg"), arena, &image, &err), GEN_UNSUPPORTED);
    gen_arena_free(arena);
}

TEST(jpeg_turns_a_portrait_upright_and_keeps_profiles)
{
    const char *portrait = test_shared("data/odd-images/jpeg_image-rs_image/images/jpg/portrait_2.jpg");
    const char *profile = test_shared("data/odd-images/jpeg_image-rs_jpeg-decoder/icc/icc_chunk_order.jpeg");
    if (!portrait || !profile) TEST_SKIP("no shared/data/odd-images/jpeg_image-rs_image");
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_image image;
    TEST_OK(read_file(portrait, arena, &image, &err));
    assert_true(image.height_px > image.width_px);
    TEST_OK(read_file(profile, arena, &image, &err));
    assert_true(image.icc.size > 0);
    gen_arena_free(arena);
}

TEST(jpeg_cut_in_a_pass_is_refused)
{
    const char *path = test_shared("data/odd-images/jpeg_image-rs_jpeg-decoder/reftest/images/progressive3.jpg");
    if (!path) TEST_SKIP("no shared/data/odd-images/jpeg_image-rs_jpeg-decoder");
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes file;
    gen_image image;
    TEST_OK(gen_file_read(path, 1 << 26, arena, &file, &err));
    for (size_t n = 0; n + 2 < file.size; n += file.size / 60) {
        gen_arena *local = gen_arena_new();
        assert_int_equal(gen_jpeg_read(file.data, n, local, &image, NULL), GEN_BAD_FILE);
        gen_arena_free(local);
    }
    gen_arena_free(arena);
}

/* Files that made other decoders crash: any status will do, but a failure has a sentence. */
TEST(jpeg_survives_files_that_crashed_others)
{
    const char *folder = test_shared("data/odd-images/jpeg_image-rs_jpeg-decoder");
    if (!folder) TEST_SKIP("no shared/data/odd-images/jpeg_image-rs_jpeg-decoder");
    gen_error first = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_path_list list;
    int n = 0, refused = 0;
    assert_int_equal(gen_folder_list(folder, 1, arena, &list, &first), GEN_OK);
    for (size_t i = 0; i < list.n; i++) {
        if (!strstr(list.path[i], "crashtest") || !gen_path_has_extension(list.path[i], "jpg")) continue;
        gen_arena *local = gen_arena_new();
        gen_error err = { 0 };
        gen_image image;
        gen_status status = read_file(gen_path_join(local, folder, list.path[i]), local, &image, &err);
        assert_true(status == GEN_OK || strlen(err.text) > 15);
        n++, refused += status != GEN_OK;
        gen_arena_free(local);
    }
    assert_true(n > 70 && refused > 60);
    gen_arena_free(arena);
}
