/* io/idx.c. */
#include "tests/test.h"

#include "io/idx.h"

#include <string.h>

static uint8_t small[] = { 0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6 };

TEST(idx_plain_file_is_read_in_place)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_idx idx;
    TEST_OK(gen_idx_read(small, sizeof small, arena, &idx, &err));
    assert_int_equal(idx.n_dims, 2);
    assert_int_equal(idx.dims[0] * 10 + idx.dims[1], 23);
    assert_ptr_equal(idx.data, small + 12);
    assert_int_equal(idx.size, 6);
    gen_arena_free(arena);
}

TEST(idx_refuses_other_types_by_name)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_idx idx;
    uint8_t copy[sizeof small];
    memcpy(copy, small, sizeof small);
    copy[2] = 0x0D;
    assert_int_equal(gen_idx_read(copy, sizeof copy, arena, &idx, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "holds float"));
    copy[2] = 7;
    assert_int_equal(gen_idx_read(copy, sizeof copy, arena, &idx, NULL), GEN_BAD_FILE);
    gen_arena_free(arena);
}

TEST(idx_rejects_truncation_and_hostile_sizes)
{
    gen_arena *arena = gen_arena_new();
    gen_idx idx;
    for (size_t n = 0; n < sizeof small; n++) {
        uint8_t *copy = gen_alloc(1, n);
        memcpy(copy, small, n);
        assert_int_equal(gen_idx_read(copy, n, arena, &idx, NULL), GEN_BAD_FILE);
        gen_free(copy);
    }
    uint8_t huge[] = {
        0, 0, 8, 4, 0x7f, 255, 255, 255, 0x7f, 255, 255, 255, 0x7f, 255, 255, 255, 0x7f, 255, 255, 255, 1
    };
    assert_int_equal(gen_idx_read(huge, sizeof huge, arena, &idx, NULL), GEN_BAD_FILE);
    gen_arena_free(arena);
}

/* A gzip file (stored block) whose IDX header promises 2^30 bytes. */
TEST(idx_packed_promise_beyond_the_file_costs_no_memory)
{
    uint8_t gz[] = { 0x1f, 0x8b, 8, 0,    0, 0, 0, 0,    0,    3,    1,    8, 0, 0xf7, 0xff, 0,
                     0,    8,    1, 0x40, 0, 0, 0, 0x89, 0x2c, 0x05, 0x2f, 8, 0, 0,    0 };
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_idx idx;
    assert_int_equal(gen_idx_read(gz, sizeof gz, arena, &idx, &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "promises 1073741824 bytes"));
    assert_true(gen_arena_used(arena) < 1000);
    gen_arena_free(arena);
}

static gen_bytes read_mnist(const char *name, gen_arena *arena)
{
    char relative[100];
    gen_bytes file = { 0 };
    snprintf(relative, sizeof relative, "samples/data/mnist/%s", name);
    assert_int_equal(gen_file_read(test_source(relative), GEN_FILE_ANY_SIZE, arena, &file, NULL), GEN_OK);
    return file;
}

TEST(idx_reads_the_mnist_test_set)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_idx images, labels;
    gen_bytes a = read_mnist("t10k-images-idx3-ubyte.gz", arena), b = read_mnist("t10k-labels-idx1-ubyte.gz", arena);
    TEST_OK(gen_idx_read(a.data, a.size, arena, &images, &err));
    TEST_OK(gen_idx_read(b.data, b.size, arena, &labels, &err));
    assert_int_equal(images.size, 10000 * 28 * 28);
    assert_memory_equal(labels.data, "\7\2\1\0\4\1\4\11\5\11", 10);
    double sum = 0;
    for (size_t i = 0; i < images.size; i++) sum += images.data[i];
    assert_true(sum / 255 / (double)images.size > 0.1325 && sum / 255 / (double)images.size < 0.1326);
    gen_arena_free(arena);
}

TEST(idx_packed_file_survives_cuts_flips_and_failing_allocations)
{
    gen_arena *arena = gen_arena_new();
    gen_bytes file = read_mnist("t10k-labels-idx1-ubyte.gz", arena);
    gen_idx idx;
    for (size_t n = 0; n < file.size; n += n < 64 ? 1 : 97) {
        gen_arena *local = gen_arena_new();
        assert_int_equal(gen_idx_read(file.data, n, local, &idx, NULL), GEN_BAD_FILE);
        gen_arena_free(local);
    }
    for (size_t i = 0; i < 500; i++) {
        gen_arena *local = gen_arena_new();
        file.data[i * 9] ^= (uint8_t)(1U << i % 8);
        (void)gen_idx_read(file.data, file.size, local, &idx, NULL);
        file.data[i * 9] ^= (uint8_t)(1U << i % 8);
        gen_arena_free(local);
    }
    for (uint64_t n = 1, done = 0; !done; n++) {
        gen_arena *local = gen_arena_new();
        gen_alloc_fail_at(n);
        gen_status status = gen_idx_read(file.data, file.size, local, &idx, NULL);
        gen_alloc_fail_at(0);
        assert_true(status == GEN_OK || status == GEN_NO_MEMORY);
        done = status == GEN_OK;
        gen_arena_free(local);
    }
    gen_arena_free(arena);
}
