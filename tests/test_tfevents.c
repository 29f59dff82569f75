/* io/tfevents.c. tests/golden/tensorboard.tfevents was written by the Python package tensorboard 2.21. */
#define _POSIX_C_SOURCE 200809L
#include "tests/test.h"

#include "io/image.h"
#include "io/tfevents.h"

#include <stdlib.h>
#include <string.h>

static const char *new_path(void)
{
    static char path[1100];
    snprintf(path, sizeof path, "%s/events.out.tfevents.1.gen", test_folder());
    return path;
}

static gen_bytes read_file(const char *path, gen_arena *arena)
{
    gen_bytes file = { 0 };
    assert_int_equal(gen_file_read(path, 1 << 20, arena, &file, NULL), GEN_OK);
    return file;
}

static gen_bytes small_png(gen_arena *arena)
{
    gen_image image;
    gen_bytes png = { 0 };
    assert_int_equal(gen_image_new(4, 3, 3, 8, arena, &image, NULL), GEN_OK);
    assert_int_equal(gen_png_write(&image, arena, &png, NULL), GEN_OK);
    return png;
}

/* Everything as text, one line per value. */
static int describe(void *context, const gen_tfevent *e)
{
    char *text = context;
    size_t n = strlen(text), room = 4000 - n;
    if (e->file_version) snprintf(text + n, room, "version %s\n", e->file_version);
    else if (e->png.size)
        snprintf(text + n, room, "%lld %s image %d %d %d\n", (long long)e->step, e->tag, e->height_px, e->width_px,
                 e->channels);
    else if (e->has_value) snprintf(text + n, room, "%lld %s %g\n", (long long)e->step, e->tag, e->value);
    return 0;
}

static void expect_events(gen_bytes file, const char *expected)
{
    gen_error err = { 0 };
    char text[4000] = "";
    TEST_OK(gen_tfevents_read(file.data, file.size, describe, text, NULL, &err));
    assert_string_equal(text, expected);
}

/* RFC 3720, appendix B.4 */
TEST(crc32c_gives_the_published_values)
{
    uint8_t data[32] = { 0 };
    assert_int_equal(gen_crc32c(data, 32), 0x8a9136aa);
    memset(data, 0xff, 32);
    assert_int_equal(gen_crc32c(data, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++) data[i] = (uint8_t)i;
    assert_int_equal(gen_crc32c(data, 32), 0x46dd794e);
    for (int i = 0; i < 32; i++) data[i] = (uint8_t)(31 - i);
    assert_int_equal(gen_crc32c(data, 32), 0x113fdb5c);
    assert_int_equal(gen_crc32c("123456789", 9), 0xe3069283);
}

TEST(tfevents_of_tensorboard_are_read)
{
    gen_arena *arena = gen_arena_new();
    expect_events(read_file(test_source("tests/golden/tensorboard.tfevents"), arena),
                  "version brain.Event:2\n1 train/loss 2.5\n2 train/loss 1.25\n2 lr 0.125\n3 samples image 3 4 3\n4 "
                  "train/loss 0.5\n");
    gen_arena_free(arena);
}

static void write_some(const char *path)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes png = small_png(arena);
    gen_tfevents *events;
    TEST_OK(gen_tfevents_open(path, 1000, &events, &err));
    TEST_OK(gen_tfevents_scalar(events, 0, 1000.5, "train/loss", 103.25, &err));
    TEST_OK(gen_tfevents_image(events, 200, 1001, "samples", 3, 4, 3, &png, &err));
    gen_tfevents_close(events);
    TEST_OK(gen_tfevents_open(path, 1002, &events, &err)); /* goes on, without a second version */
    TEST_OK(gen_tfevents_scalar(events, 5000000000, 1003, "val/kl", -2.5, &err));
    TEST_OK(gen_tfevents_sync(events, &err));
    gen_tfevents_close(events);
    gen_arena_free(arena);
}

TEST(tfevents_written_read_back_the_same)
{
    gen_arena *arena = gen_arena_new();
    const char *path = new_path();
    write_some(path);
    expect_events(read_file(path, arena),
                  "version brain.Event:2\n0 train/loss 103.25\n200 samples image 3 4 3\n5000000000 val/kl -2.5\n");
    gen_arena_free(arena);
}

TEST(tensorboard_reads_our_tfevents)
{
    const char *python = getenv("GEN_PYTHON");
    if (!python) TEST_SKIP("GEN_PYTHON does not name a Python with tensorboard");
    char command[4000], text[1000] = "";
    const char *path = new_path();
    write_some(path);
    snprintf(command, sizeof command, "'%s' '%s' '%s'", python, test_source("tools/check_tfevents.py"), path);
    FILE *pipe = popen(command, "r");
    size_t n = fread(text, 1, sizeof text - 1, pipe);
    text[n] = 0;
    assert_int_equal(pclose(pipe), 0);
    assert_string_equal(text,
                        "version brain.Event:2\n0 train/loss 103.25\n200 samples png 3 4 3\n5000000000 val/kl -2.5\n");
}

TEST(tfevents_are_cut_after_a_step)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes file = read_file(test_source("tests/golden/tensorboard.tfevents"), arena);
    size_t offset;
    TEST_OK(gen_tfevents_offset_after(file.data, file.size, 2, &offset, &err));
    expect_events((gen_bytes){ file.data, offset },
                  "version brain.Event:2\n1 train/loss 2.5\n2 train/loss 1.25\n2 lr 0.125\n");
    TEST_OK(gen_tfevents_offset_after(file.data, file.size, 4, &offset, &err));
    assert_int_equal(offset, file.size);
    TEST_OK(
        gen_tfevents_offset_after(file.data, file.size - 1, 4, &offset, &err)); /* a record cut by a kill goes too */
    expect_events((gen_bytes){ file.data, offset },
                  "version brain.Event:2\n1 train/loss 2.5\n2 train/loss 1.25\n2 lr 0.125\n3 samples image 3 4 3\n");
    gen_arena_free(arena);
}

static int ignore(void *context, const gen_tfevent *e)
{
    (void)context, (void)e;
    return 0;
}

TEST(tfevents_cut_anywhere_end_at_a_whole_record)
{
    gen_arena *arena = gen_arena_new();
    gen_bytes file = read_file(test_source("tests/golden/tensorboard.tfevents"), arena);
    for (size_t n = 0, last = 0; n <= file.size; n++) {
        size_t valid = 0;
        uint8_t *copy = gen_alloc(1, n);
        memcpy(copy, file.data, n);
        assert_int_equal(gen_tfevents_read(copy, n, ignore, NULL, &valid, NULL), GEN_OK);
        assert_true(valid >= last && valid <= n);
        last = valid;
        gen_free(copy);
    }
    gen_arena_free(arena);
}

TEST(tfevents_notice_every_flipped_bit)
{
    gen_arena *arena = gen_arena_new();
    gen_bytes file = read_file(test_source("tests/golden/tensorboard.tfevents"), arena);
    for (size_t bit = 0; bit < file.size * 8; bit++) {
        file.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(gen_tfevents_read(file.data, file.size, ignore, NULL, NULL, NULL), GEN_BAD_FILE);
        file.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    gen_arena_free(arena);
}
