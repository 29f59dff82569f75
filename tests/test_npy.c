/* io/npy.c. */
#include "tests/test.h"

#include "io/npy.h"

#include <string.h>

/* Puts a version 1 file together: header text, data. */
static gen_bytes make(const char *header, const void *data, size_t size, gen_arena *arena)
{
    size_t n = strlen(header);
    uint8_t *file = gen_arena_alloc(arena, 10 + n + size);
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = (uint8_t)n, file[9] = (uint8_t)(n >> 8);
    memcpy(file + 10, header, n);
    if (size) memcpy(file + 10 + n, data, size);
    return (gen_bytes){ file, 10 + n + size };
}

static gen_status read_made(const char *header, const void *data, size_t size, gen_arena *arena, gen_npy *npy,
                            gen_error *err)
{
    gen_bytes file = make(header, data, size, arena);
    return gen_npy_read(file.data, file.size, arena, npy, err);
}

TEST(npy_written_reads_back_the_same)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    const float values[6] = { 0, 1.5F, -2, 3e38F, 1e-40F, 6 };
    gen_bytes file;
    gen_npy npy;
    TEST_OK(gen_npy_write(values, (int64_t[]){ 2, 3 }, 2, arena, &file, &err));
    assert_int_equal((file.size - sizeof values) % 64, 0);
    TEST_OK(gen_npy_read(file.data, file.size, arena, &npy, &err));
    assert_int_equal(npy.n_dims * 100 + npy.dims[0] * 10 + npy.dims[1], 223);
    assert_memory_equal(npy.values, values, sizeof values);
    TEST_OK(gen_npy_write(values, NULL, 0, arena, &file, &err));
    TEST_OK(gen_npy_read(file.data, file.size, arena, &npy, &err));
    assert_int_equal(npy.n, 1);
    gen_arena_free(arena);
}

TEST(npy_reads_the_types_of_numpy)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_npy npy;
    const double d[2] = { 0.5, -3 };
    const int64_t l[1] = { -5 };
    const int32_t i[1] = { -6 };
    TEST_OK(read_made("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n", d, 16, arena, &npy, &err));
    assert_true(npy.values[0] > 0.4F && npy.values[1] < -2.9F);
    TEST_OK(read_made("{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n", l, 8, arena, &npy, &err));
    assert_true(npy.values[0] < -4.9F && npy.n_dims == 0);
    TEST_OK(read_made("{\"shape\": (1, 1), 'descr': '<i4', 'fortran_order': False}", i, 4, arena, &npy, &err));
    assert_true(npy.values[0] < -5.9F);
    TEST_OK(read_made("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", "\1\0", 2, arena, &npy, &err));
    assert_true(npy.values[0] > 0.9F && npy.values[1] < 0.1F);
    TEST_OK(read_made("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", "\xfe\0", 2, arena, &npy, &err));
    assert_true(npy.u1[0] == 254 && !npy.values);
    TEST_OK(read_made("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }", "", 0, arena, &npy, &err));
    assert_int_equal(npy.n, 0);
    gen_arena_free(arena);
}

TEST(npy_refuses_what_it_cannot_read_with_a_sentence)
{
    gen_arena *arena = gen_arena_new();
    gen_npy npy;
    gen_error err = { 0 };
    assert_int_equal(
        read_made("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", "1234", 4, arena, &npy, &err),
        GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "ascontiguousarray"));
    err = (gen_error){ 0 };
    assert_int_equal(
        read_made("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "1234", 4, arena, &npy, &err),
        GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, ">f4"));
    gen_arena_free(arena);
}

TEST(npy_rejects_headers_that_lie)
{
    static const char *const bad[] = {
        "",
        "{",
        "{}",
        "{'descr': '<f4'}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999999999,999999999999999999)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (1,)}",
        "{'descr': '<f4', 'descr",
    };
    gen_arena *arena = gen_arena_new();
    gen_npy npy;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (read_made(bad[i], "1234", 4, arena, &npy, NULL) != GEN_BAD_FILE) fail_msg("read: %s", bad[i]);
    gen_arena_free(arena);
}

TEST(npy_rejects_truncation_and_survives_flipped_bits)
{
    gen_arena *arena = gen_arena_new();
    const float values[3] = { 1, 2, 3 };
    gen_bytes file;
    gen_npy npy;
    assert_int_equal(gen_npy_write(values, (int64_t[]){ 3 }, 1, arena, &file, NULL), GEN_OK);
    for (size_t n = 0; n < file.size; n++) {
        uint8_t *copy = gen_alloc(1, n);
        memcpy(copy, file.data, n);
        assert_int_not_equal(gen_npy_read(copy, n, arena, &npy, NULL), GEN_OK);
        gen_free(copy);
    }
    for (size_t bit = 0; bit < file.size * 8; bit++) {
        file.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        (void)gen_npy_read(file.data, file.size, arena, &npy, NULL);
        file.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    gen_arena_free(arena);
}
