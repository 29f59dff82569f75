/* io/dataset*.c. */
#define _POSIX_C_SOURCE 200809L
#include "tests/test.h"

#include "io/dataset.h"
#include "io/image.h"
#include "io/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const gen_dataset_options plain = { 0 };

static void put_picture(const char *folder, const char *name, int32_t size, int32_t channels, int value,
                        gen_arena *arena)
{
    gen_error err = { 0 };
    gen_image image;
    gen_bytes png;
    char path[1200], parent[1200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(parent, sizeof parent, "%.*s", (int)(gen_path_base(path) - path - 1), path);
    TEST_OK(gen_folder_make(parent, &err));
    TEST_OK(gen_image_new(size, size, channels, 8, arena, &image, &err));
    memset(image.px8, value, (size_t)(size * size * channels));
    TEST_OK(gen_png_write(&image, arena, &png, &err));
    TEST_OK(gen_file_write(path, png.data, png.size, &err));
}

TEST(dataset_mnist_is_in_the_source_tree)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_dataset data;
    gen_dataset_options o = { .n_validation = 10000 };
    TEST_OK(gen_dataset_open("mnist", &o, NULL, arena, &data, &err));
    assert_int_equal(data.n, 70000);
    assert_int_equal(data.height_px * 10000 + data.width_px * 10 + data.channels, 280281);
    assert_string_equal(data.name, "mnist");
    assert_string_equal(data.class_names[7], "7");
    assert_int_equal(data.n_classes, 10);
    const int64_t ranges[] = { 0, 50000, 60000, 10000, 50000, 10000 };
    for (int s = 0; s < 3; s++)
        assert_true(data.splits[s].first == ranges[2 * s] && data.splits[s].n == ranges[2 * s + 1]);
    const int32_t train[] = { 5, 0, 4, 1, 9 }, test[] = { 7, 2, 1, 0, 4 };
    assert_memory_equal(data.labels, train, sizeof train);
    assert_memory_equal(data.labels + 60000, test, sizeof test);
    float x[2 * 28 * 28];
    gen_dataset_batch(&data, (int64_t[]){ 60000, 0 }, 2, x);
    double sum = 0;
    for (int i = 0; i < 2 * 28 * 28; i++) sum += (double)x[i];
    for (int i = 0; i < 28 * 28; i++) sum -= (data.px8[60000 * 784 + i] + data.px8[i]) / 255.0;
    assert_true(fabs(sum) < 1e-3);
    gen_arena_free(arena);
}

TEST(dataset_brings_pictures_to_size_and_channels)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_dataset data;
    gen_dataset_options o = { .size_px = 8, .channels = 3 };
    TEST_OK(
        gen_dataset_open(test_source("samples/data/mnist/t10k-images-idx3-ubyte.gz"), &o, NULL, arena, &data, &err));
    assert_int_equal(data.n, 10000);
    assert_int_equal(data.height_px * 100 + data.width_px * 10 + data.channels, 883);
    assert_int_equal(data.labels[0], 7); /* found beside the pictures */
    for (int i = 0; i < 64; i++)
        assert_true(data.px8[3 * i] == data.px8[3 * i + 1] && data.px8[3 * i] == data.px8[3 * i + 2]);
    assert_string_equal(data.name, "t10k-images-idx3-ubyte");
    gen_arena_free(arena);
}

TEST(dataset_folder_takes_labels_and_splits_from_sub_folders)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_dataset data;
    const char *folder = test_folder();
    put_picture(folder, "train/dog/b.png", 4, 3, 30, arena);
    put_picture(folder, "train/cat/x/a.png", 4, 3, 10, arena);
    put_picture(folder, "train/cat/b.png", 4, 1, 20, arena);
    put_picture(folder, "test/dog/a.png", 4, 3, 40, arena);
    put_picture(folder, "test/ant/a.png", 4, 4, 50, arena);
    gen_file_write(gen_path_join(arena, folder, "readme.txt"), "x", 1, &err);
    TEST_OK(gen_dataset_open(folder, &plain, NULL, arena, &data, &err));
    assert_int_equal(data.n * 10 + data.channels, 53);
    const int32_t labels[] = { 1, 2, 1, 0, 2 }; /* ant cat dog; train first; classes are dealt out */
    const int first[] = { 20, 30, 10, 50, 40 };
    assert_memory_equal(data.labels, labels, sizeof labels);
    for (int i = 0; i < 5; i++) assert_int_equal(data.px8[i * 16 * data.channels], first[i]);
    assert_string_equal(data.class_names[0], "ant");
    assert_int_equal(data.splits[GEN_SPLIT_TEST].first * 10 + data.splits[GEN_SPLIT_TEST].n, 32);
    gen_arena_free(arena);
}

/* Taken from the end of sorted names, it was the last class alone, of which hardly any was left to learn from. */
TEST(dataset_folder_gives_each_class_its_share_of_validation)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_dataset data;
    const char *folder = test_folder();
    const int n[] = { 24, 12, 12 };
    int seen[3] = { 0 };
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < n[c]; i++)
            put_picture(folder, gen_arena_printf(arena, "%c/%02d.png", 'a' + c, i), 2, 1, 10 * c + i, arena);
    gen_dataset_options o = { .n_validation = 12 };
    TEST_OK(gen_dataset_open(folder, &o, NULL, arena, &data, &err));
    gen_range validation = data.splits[GEN_SPLIT_VALIDATION];
    assert_int_equal(validation.n, 12);
    for (int64_t i = 0; i < validation.n; i++) seen[data.labels[validation.first + i]]++;
    assert_int_equal(seen[0] * 100 + seen[1] * 10 + seen[2], 633);
    gen_arena_free(arena);
}

TEST(dataset_skip_bad_names_and_counts_what_it_leaves_out)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_dataset data;
    gen_dataset_options skip = { .skip_bad = 1 };
    const char *folder = test_folder();
    put_picture(folder, "a.png", 4, 1, 1, arena);
    put_picture(folder, "c.png", 4, 1, 3, arena);
    gen_file_write(gen_path_join(arena, folder, "b.png"), "\x89PNG....", 8, &err);
    gen_file_write(gen_path_join(arena, folder, "d.webp.png"), "RIFF....WEBP", 12, &err);
    assert_int_equal(gen_dataset_open(folder, &plain, NULL, arena, &data, &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "b.png: "));
    assert_non_null(strstr(err.text, "--skip-bad"));
    err = (gen_error){ 0 };
    TEST_OK(gen_dataset_open(folder, &skip, NULL, arena, &data, &err));
    assert_int_equal(data.n * 10 + data.n_skipped, 22);
    assert_non_null(strstr(data.skipped[0], "b.png: "));
    assert_null(data.labels);
    assert_int_equal(data.px8[16], 3);
    gen_arena_free(arena);
}

TEST(dataset_folder_mixes_png_and_jpeg_and_skips_a_cut_one)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_dataset data;
    gen_image image;
    gen_bytes jpeg;
    const char *folder = test_folder();
    put_picture(folder, "a.png", 8, 3, 10, arena);
    TEST_OK(gen_image_new(8, 8, 3, 8, arena, &image, &err));
    for (int i = 0; i < 192; i++) image.px8[i] = (uint8_t)(200 + i % 8);
    TEST_OK(gen_jpeg_write(&image, GEN_JPEG_QUALITY, arena, &jpeg, &err));
    TEST_OK(gen_file_write(gen_path_join(arena, folder, "b.jpg"), jpeg.data, jpeg.size, &err));
    TEST_OK(gen_file_write(gen_path_join(arena, folder, "c.JPEG"), jpeg.data, jpeg.size - 9, &err));
    assert_int_equal(gen_dataset_open(folder, &plain, NULL, arena, &data, &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "c.JPEG: JPEG: the file is cut short after row 0 of 8"));
    err = (gen_error){ 0 };
    TEST_OK(gen_dataset_open(folder, &(gen_dataset_options){ .skip_bad = 1 }, NULL, arena, &data, &err));
    assert_int_equal(data.n * 100 + data.n_skipped * 10 + data.channels, 213);
    assert_true(data.px8[0] == 10 && data.px8[192] > 195 && data.px8[192] < 210);
    gen_arena_free(arena);
}

TEST(dataset_folder_of_different_sizes_asks_for_a_size)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_dataset data;
    const char *folder = test_folder();
    put_picture(folder, "a.png", 4, 1, 1, arena);
    put_picture(folder, "b.png", 9, 1, 200, arena);
    assert_int_equal(gen_dataset_open(folder, &plain, NULL, arena, &data, &err), GEN_BAD_SHAPE);
    assert_non_null(strstr(err.text, "--size"));
    err = (gen_error){ 0 };
    TEST_OK(gen_dataset_open(folder, &(gen_dataset_options){ .size_px = 6, .channels = 1 }, NULL, arena, &data, &err));
    assert_int_equal(data.px8[0] * 1000 + data.px8[36], 1200);
    gen_arena_free(arena);
}

TEST(dataset_npy_keeps_floats_and_scales_them)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_dataset data;
    gen_bytes file;
    char *path = gen_path_join(arena, test_folder(), "x.npy");
    const float values[8] = { -1, 1, 0, 0.5F, -1, -1, -1, 1 };
    TEST_OK(gen_npy_write(values, (int64_t[]){ 2, 4 }, 2, arena, &file, &err));
    TEST_OK(gen_file_write(path, file.data, file.size, &err));
    TEST_OK(gen_dataset_open(path, &plain, NULL, arena, &data, &err));
    assert_int_equal(data.n * 100 + data.height_px * 10 + data.width_px, 222);
    assert_true(data.values[0] < 0.01F && data.values[1] > 0.99F && fabsf(data.values[3] - 0.75F) < 1e-6F);
    gen_arena_free(arena);
}

TEST(dataset_cifar_binary_is_read)
{
    const char *path = test_shared("data/cifar10/test-1000.bin");
    if (!path) TEST_SKIP("no shared/data/cifar10");
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_dataset data;
    TEST_OK(gen_dataset_open(path, &plain, NULL, arena, &data, &err));
    assert_int_equal(data.n, 1000);
    assert_int_equal(data.height_px * 10 + data.channels, 323);
    const int32_t labels[] = { 3, 8, 8, 0, 6 }; /* cat ship ship airplane frog: the test set as published */
    assert_memory_equal(data.labels, labels, sizeof labels);
    const uint8_t first_pixel[] = { 158, 112, 49 };
    assert_memory_equal(data.px8, first_pixel, 3);
    gen_arena_free(arena);
}

TEST(dataset_cifar_of_a_wrong_size_is_refused)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_dataset data;
    char *path = gen_path_join(arena, test_folder(), "a.bin");
    TEST_OK(gen_file_write(path, "xyz", 3, &err));
    assert_int_equal(gen_dataset_open(path, &plain, NULL, arena, &data, &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "multiple of 3073"));
    gen_arena_free(arena);
}

static void put_tar_member(gzFile file, const char *name, const uint8_t *data, unsigned size)
{
    char header[512] = "";
    static const char zeros[512];
    snprintf(header, 100, "cifar-10-batches-bin/%s", name);
    snprintf(header + 124, 12, "%011o", size);
    header[156] = '0';
    gzwrite(file, header, 512);
    gzwrite(file, data, size);
    gzwrite(file, zeros, (512 - size % 512) % 512);
}

TEST(dataset_cifar_archive_is_read_without_unpacking)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_dataset data;
    uint8_t records[2 * 3073];
    const char *folder = test_folder();
    for (size_t i = 0; i < sizeof records; i++) records[i] = (uint8_t)(i * 7);
    records[0] = 3, records[3073] = 9;
    gzFile file = gzopen(gen_path_join(arena, folder, "cifar-10-binary.tar.gz"), "wb");
    put_tar_member(file, "readme.html", records, 600);
    put_tar_member(file, "test_batch.bin", records + 3073, 3073);
    put_tar_member(file, "data_batch_1.bin", records, 2 * 3073);
    static const char end[1024];
    gzwrite(file, end, 1024);
    gzclose(file);
    TEST_OK(gen_dataset_open(folder, &plain, NULL, arena, &data, &err));
    assert_int_equal(data.n * 100 + data.splits[GEN_SPLIT_TRAIN].n * 10 + data.splits[GEN_SPLIT_TEST].first, 322);
    const int32_t labels[] = { 3, 9, 9 };
    assert_memory_equal(data.labels, labels, sizeof labels);
    assert_int_equal(data.px8[3 * 5 + 1], records[1 + 1024 + 5]); /* green of pixel 5 */
    gen_arena_free(arena);
}

TEST(dataset_emnist_is_turned_upright)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_dataset data;
    const uint8_t idx[] = { 0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4 };
    const char *folder = test_folder();
    TEST_OK(
        gen_file_write(gen_path_join(arena, folder, "emnist-letters-train-images-idx3-ubyte"), idx, sizeof idx, &err));
    TEST_OK(gen_dataset_open(folder, &plain, NULL, arena, &data, &err));
    assert_memory_equal(data.px8, "\1\3\2\4", 4);
    gen_arena_free(arena);
}

TEST(dataset_names_are_looked_for_in_order)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    char *path;
    const char *folder = test_folder();
    put_picture(folder, "mnist/a.png", 4, 1, 1, arena);
    setenv("GEN_DATA", folder, 1);
    gen_status status = gen_dataset_find("mnist", arena, &path, &err);
    unsetenv("GEN_DATA");
    assert_int_equal(status, GEN_OK);
    assert_non_null(strstr(path, folder));
    TEST_OK(gen_dataset_find("mnist", arena, &path, &err));
    assert_non_null(strstr(path, "samples/data/mnist"));
    gen_arena_free(arena);
}

TEST(dataset_unknown_and_missing_names_say_what_to_do)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_dataset data;
    assert_int_equal(gen_dataset_open("mmist", &plain, NULL, arena, &data, &err), GEN_NOT_FOUND);
    assert_non_null(strstr(err.text, "gen data list"));
    err = (gen_error){ 0 };
    setenv("XDG_CACHE_HOME", test_folder(), 1);
    assert_int_equal(gen_dataset_open("celeba", &plain, NULL, arena, &data, &err), GEN_NOT_FOUND);
    assert_non_null(strstr(err.text, "gen data fetch celeba"));
    err = (gen_error){ 0 };
    assert_int_equal(gen_dataset_open("celeba", &(gen_dataset_options){ .download = 1 }, NULL, arena, &data, &err),
                     GEN_NOT_FOUND);
    assert_non_null(strstr(err.text, "by hand"));
    err = (gen_error){ 0 };
    assert_int_equal(gen_dataset_open("quickdraw", &(gen_dataset_options){ .download = 1 }, NULL, arena, &data, &err),
                     GEN_BAD_OPTION);
    unsetenv("XDG_CACHE_HOME");
    gen_arena_free(arena);
}

TEST(dataset_sources_are_complete)
{
    size_t n;
    const gen_dataset_source *s = gen_dataset_sources(&n);
    assert_ptr_equal(gen_dataset_source_find("quickdraw:cat"), gen_dataset_source_find("quickdraw"));
    assert_null(gen_dataset_source_find("mnis"));
    assert_true(gen_dataset_source_find("vgg19")->weights && !gen_dataset_source_find("mnist")->weights);
    for (size_t i = 0; i < n; i++) {
        assert_true(s[i].summary && s[i].licence && s[i].citation);
        assert_true(s[i].mirrors[0] ? s[i].files[0].name != NULL : s[i].by_hand != NULL);
    }
}

TEST(dataset_survives_failing_allocations)
{
    gen_arena *arena = gen_arena_new();
    const char *folder = test_folder();
    put_picture(folder, "cat/a.png", 4, 1, 1, arena);
    put_picture(folder, "dog/b.png", 5, 3, 1, arena);
    for (uint64_t n = 1, done = 0; !done; n++) {
        gen_arena *local = gen_arena_new();
        gen_dataset data;
        gen_alloc_fail_at(n);
        gen_status status = gen_dataset_open(folder, &(gen_dataset_options){ .size_px = 3 }, NULL, local, &data, NULL);
        gen_alloc_fail_at(0);
        done = status == GEN_OK;
        gen_arena_free(local);
    }
    gen_arena_free(arena);
}
