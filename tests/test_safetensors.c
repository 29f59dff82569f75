/* io/safetensors.c. tests/golden/types.safetensors was written by Python's safetensors with PyTorch. */
#include "tests/test.h"

#include "io/safetensors.h"

#include <math.h>
#include <string.h>

static gen_bytes make(const char *header, size_t data_bytes, gen_arena *arena)
{
    size_t n = strlen(header);
    uint8_t *file = gen_arena_alloc(arena, 8 + n + data_bytes);
    file[0] = (uint8_t)n, file[1] = (uint8_t)(n >> 8);
    memcpy(file + 8, header, n);
    return (gen_bytes){ file, 8 + n + data_bytes };
}

static gen_bytes read_file(const char *path, gen_arena *arena)
{
    gen_bytes file = { 0 };
    assert_int_equal(gen_file_read(path, 1 << 20, arena, &file, NULL), GEN_OK);
    return file;
}

static const char *new_path(void)
{
    static char path[1100];
    snprintf(path, sizeof path, "%s/a.safetensors", test_folder());
    return path;
}

TEST(safetensors_of_pytorch_are_read)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes file = read_file(test_source("tests/golden/types.safetensors"), arena);
    gen_safetensors st;
    TEST_OK(gen_safetensors_read(file.data, file.size, arena, &st, &err));
    assert_int_equal(st.n_tensors, 10);
    assert_string_equal(gen_safetensors_metadata(&st, "note"), "\xc3\xa9"
                                                               "crit");
    const float expected[6] = { 0, -1.5F, 65504, 0x1p-24F, -0.0F, INFINITY };
    static const char *const names[] = { "f32", "f64", "f16" };
    for (int i = 0; i < 3; i++) {
        float values[6];
        const gen_tensor_entry *t = gen_safetensors_find(&st, names[i]);
        assert_int_equal(t->n, 6);
        gen_tensor_to_float(t, values);
        assert_memory_equal(values, expected, sizeof expected);
    }
    float bf16[3];
    gen_tensor_to_float(gen_safetensors_find(&st, "bf16"), bf16);
    assert_true(bf16[0] > 0.99F && bf16[1] < -2.49F && bf16[2] > 2.9e38F);
    int64_t whole[2];
    TEST_OK(gen_tensor_to_int(gen_safetensors_find(&st, "i64"), whole, &err));
    assert_true(whole[0] == -1 && whole[1] == 1099511627776);
    TEST_OK(gen_tensor_to_int(gen_safetensors_find(&st, "i32"), whole, &err));
    assert_true(whole[0] == -7);
    TEST_OK(gen_tensor_to_int(gen_safetensors_find(&st, "u8"), whole, &err));
    assert_true(whole[1] == 255);
    assert_int_equal(gen_tensor_to_int(gen_safetensors_find(&st, "f32"), whole, &err), GEN_BAD_FILE);
    assert_int_equal(gen_safetensors_find(&st, "scalar")->n, 1);
    assert_int_equal(gen_safetensors_find(&st, "empty")->n, 0);
    assert_null(gen_safetensors_find(&st, "none"));
    gen_arena_free(arena);
}

static gen_status write_two(const char *path, gen_error *err)
{
    static const float a[6] = { 1, 2, 3, 4, 5, 6 };
    static const int64_t b[1] = { 7 };
    const gen_tensor_entry tensors[] = {
        { .name = "layer.weight", .dtype = GEN_DTYPE_F32, .n_dims = 2, .dims = { 2, 3 }, .data = a },
        { .name = "step", .dtype = GEN_DTYPE_I64, .data = b },
    };
    const gen_metadata_entry metadata[] = { { "seed", "42" }, { "a \"quoted\" key", "x\ny" } };
    return gen_safetensors_write(path, tensors, 2, metadata, 2, err);
}

TEST(safetensors_written_read_back_the_same_and_twice_the_same_bytes)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    const char *path = new_path();
    TEST_OK(write_two(path, &err));
    gen_bytes file = read_file(path, arena);
    gen_safetensors st;
    TEST_OK(gen_safetensors_read(file.data, file.size, arena, &st, &err));
    float values[6];
    gen_tensor_to_float(gen_safetensors_find(&st, "layer.weight"), values);
    assert_memory_equal(values, ((float[]){ 1, 2, 3, 4, 5, 6 }), sizeof values);
    assert_string_equal(gen_safetensors_metadata(&st, "a \"quoted\" key"), "x\ny");
    assert_int_equal(file.data[0] % 8, 0); /* data are aligned to 8 */
    TEST_OK(write_two(path, &err));
    gen_bytes again = read_file(path, arena);
    assert_int_equal(file.size, again.size);
    assert_memory_equal(file.data, again.data, file.size);
    gen_arena_free(arena);
}

TEST(safetensors_old_file_stays_when_the_disk_is_full)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    const char *path = new_path();
    TEST_OK(gen_file_write(path, "old", 3, &err));
    gen_file_fail_write_at(100);
    gen_status status = write_two(path, &err);
    gen_file_fail_write_at(0);
    assert_int_equal(status, GEN_IO);
    assert_memory_equal(read_file(path, arena).data, "old", 4);
    gen_arena_free(arena);
}

TEST(safetensors_write_refuses_a_name_given_twice)
{
    gen_error err = { 0 };
    const float x = 1;
    const gen_tensor_entry tensors[] = { { .name = "a", .data = &x }, { .name = "a", .data = &x } };
    const char *path = new_path();
    assert_int_equal(gen_safetensors_write(path, tensors, 2, NULL, 0, &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "twice"));
    assert_false(gen_path_exists(path));
}

#define T(name, dtype, shape, begin, end)                                                                              \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

TEST(safetensors_rejects_headers_that_lie)
{
    static const char *const bad[] = {
        "{" T("a", "F32", "[1]", "0", "4") "," T("a", "F32", "[1]", "4", "8") "}", /* twice */
        "{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[1]", "4", "8") "}", /* overlap */
        "{" T("a", "F32", "[1]", "4", "8") "}",                                    /* gap at the start */
        "{" T("a", "F32", "[1]", "0", "4") "}",                                    /* rest unused */
        "{" T("a", "F32", "[3]", "0", "12") "}",                                   /* beyond the end */
        "{" T("a", "F32", "[3]", "0", "8") "}",
        "{" T("a", "F32", "[-2]", "0", "8") "}",
        "{" T("a", "F32", "[2.5]", "0", "8") "}",
        "{" T("a", "F32", "[4294967296,4294967296,4]", "0", "8") "}",
        "{" T("a", "F32", "[1,1,1,1,1,1,1,1,2]", "0", "8") "}",
        "{" T("a", "F32", "[2]", "8", "0") "}",
        "{" T("a", "F32", "[2]", "-8", "0") "}",
        "{" T("a", "F32", "2", "0", "8") "}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}",
        "{\"a\":{\"dtype\":5,\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"a\":7}",
        "{\"__metadata__\":{\"k\":1}," T("a", "F32", "[2]", "0", "8") "}",
        "{\"__metadata__\":[]," T("a", "F32", "[2]", "0", "8") "}",
        "{\"__metadata__\":{},\"__metadata__\":{}," T("a", "F32", "[2]", "0", "8") "}",
        "[]",
        "{",
        "",
    };
    gen_arena *arena = gen_arena_new();
    gen_safetensors st;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gen_error err = { 0 };
        gen_bytes file = make(bad[i], 8, arena);
        if (gen_safetensors_read(file.data, file.size, arena, &st, &err) != GEN_BAD_FILE) fail_msg("read: %s", bad[i]);
        assert_true(strlen(err.text) > 20);
    }
    gen_bytes good = make("{" T("a", "F32", "[2]", "0", "8") "," T("z", "F32", "[0]", "8", "8") "}   ", 8, arena);
    assert_int_equal(gen_safetensors_read(good.data, good.size, arena, &st, NULL), GEN_OK);
    gen_bytes f8 = make("{" T("a", "F8_E4M3", "[8]", "0", "8") "}", 8, arena);
    assert_int_equal(gen_safetensors_read(f8.data, f8.size, arena, &st, NULL), GEN_UNSUPPORTED);
    gen_arena_free(arena);
}

TEST(safetensors_rejects_truncation_at_every_byte)
{
    gen_arena *arena = gen_arena_new();
    gen_bytes file = read_file(test_source("tests/golden/types.safetensors"), arena);
    gen_safetensors st;
    for (size_t n = 0; n < file.size; n++) {
        uint8_t *copy = gen_alloc(1, n);
        gen_arena *local = gen_arena_new();
        memcpy(copy, file.data, n);
        assert_int_equal(gen_safetensors_read(copy, n, local, &st, NULL), GEN_BAD_FILE);
        gen_arena_free(local);
        gen_free(copy);
    }
    gen_arena_free(arena);
}

TEST(safetensors_survives_flipped_bits)
{
    gen_arena *arena = gen_arena_new();
    gen_bytes file = read_file(test_source("tests/golden/types.safetensors"), arena);
    for (size_t bit = 0; bit < file.size * 8; bit++) {
        gen_arena *local = gen_arena_new();
        gen_safetensors st;
        file.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        if (gen_safetensors_read(file.data, file.size, local, &st, NULL) == GEN_OK)
            for (size_t i = 0; i < st.n_tensors; i++) {
                float *values = gen_alloc(st.tensors[i].n, sizeof *values);
                gen_tensor_to_float(&st.tensors[i], values);
                gen_free(values);
            }
        file.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        gen_arena_free(local);
    }
    gen_arena_free(arena);
}

TEST(safetensors_survives_failing_allocations)
{
    gen_arena *arena = gen_arena_new();
    gen_bytes file = read_file(test_source("tests/golden/types.safetensors"), arena);
    for (uint64_t n = 1, done = 0; !done; n++) {
        gen_arena *local = gen_arena_new();
        gen_safetensors st;
        gen_alloc_fail_at(n);
        gen_status status = gen_safetensors_read(file.data, file.size, local, &st, NULL);
        gen_alloc_fail_at(0);
        done = status == GEN_OK;
        gen_arena_free(local);
    }
    gen_arena_free(arena);
}

/* Every half has a float, which comes back as the same half; between two neighbours the nearer one is taken, the even one in the middle. */
TEST(safetensors_halves_are_rounded_to_the_nearest)
{
    for (uint32_t bits = 0; bits < 0x7c00; bits++) {
        uint16_t here = (uint16_t)bits, next = (uint16_t)(bits + 1);
        float pair[2], back;
        gen_tensor_entry t = { .name = "t", .dtype = GEN_DTYPE_F16, .n_dims = 1, .dims = { 1 }, .n = 1, .data = &here };
        gen_tensor_to_float(&t, &pair[0]);
        assert_int_equal(gen_half_from_float(pair[0]), here);
        assert_int_equal(gen_half_from_float(-pair[0]), here | 0x8000);
        if (next == 0x7c00) break;
        t.data = &next;
        gen_tensor_to_float(&t, &pair[1]);
        back = pair[0] + (pair[1] - pair[0]) / 2;
        assert_int_equal(gen_half_from_float(back), bits & 1 ? next : here);
        assert_int_equal(gen_half_from_float(pair[0] + (pair[1] - pair[0]) * 0.49f), here);
        assert_int_equal(gen_half_from_float(pair[0] + (pair[1] - pair[0]) * 0.51f), next);
    }
    assert_int_equal(gen_half_from_float(1e9f), 0x7c00);
}
