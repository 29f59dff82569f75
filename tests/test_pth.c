/* Files that PyTorch wrote, in both containers; and damaged ones. */
#include "io/pth.h"
#include "tests/test.h"

#include <string.h>

static const char *const files[] = { "new.pth", "old.pth", "packed.pth" };

static gen_bytes load(gen_arena *arena, const char *name)
{
    gen_error err = { 0 };
    gen_bytes file;
    TEST_OK(gen_file_read(test_source(gen_arena_printf(arena, "tests/fuzz/corpus/fuzz_pth/%s", name)),
                          GEN_FILE_ANY_SIZE, arena, &file, &err));
    return file;
}

static void expect(const gen_safetensors *st, const char *name, int32_t n_dims, size_t n, const float *values)
{
    float got[16];
    const gen_tensor_entry *t = gen_safetensors_find(st, name);
    assert_non_null(t);
    assert_int_equal(t->n_dims, n_dims);
    assert_int_equal(t->n, n);
    gen_tensor_to_float(t, got);
    for (size_t i = 0; i < n; i++) assert_true(got[i] == values[i]);
}

static void expect_all(const gen_safetensors *st, const char *prefix, gen_arena *arena)
{
#define NAME(x) gen_arena_printf(arena, "%s%s", prefix, x)
    expect(st, NAME("conv.weight"), 2, 6, (const float[]){ 0, 1, 2, 3, 4, 5 });
    expect(st, NAME("conv.turned"), 2, 6, (const float[]){ 0, 3, 1, 4, 2, 5 });
    expect(st, NAME("half"), 1, 2, (const float[]){ 0.5f, -2 });
    expect(st, NAME("brain"), 1, 2, (const float[]){ 1.5f, 3 });
    expect(st, NAME("double"), 1, 1, (const float[]){ 0.25f });
    expect(st, NAME("count"), 0, 1, (const float[]){ 7 });
    expect(st, NAME("part"), 1, 3, (const float[]){ 2, 4, 6 });
    expect(st, NAME("param"), 1, 2, (const float[]){ 1, 1 });
#undef NAME
}

TEST(pth_reads_what_pytorch_writes_in_both_containers)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_safetensors st;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        gen_bytes file = load(arena, files[i]);
        assert_true(gen_is_pth(file.data, file.size));
        TEST_OK(gen_pth_read(file.data, file.size, arena, &st, &err));
        assert_int_equal(st.n_tensors, 8);
        expect_all(&st, "", arena);
    }
    gen_bytes file = load(arena, "nested.pth");
    TEST_OK(gen_pth_read(file.data, file.size, arena, &st, &err));
    assert_int_equal(st.n_tensors, 9);
    expect_all(&st, "state.m.", arena);
    expect(&st, "list.0", 1, 1, (const float[]){ 0 });
    gen_arena_free(arena);
}

TEST(pth_survives_truncation_at_every_byte)
{
    gen_safetensors st;
    for (size_t i = 0; i < 2; i++) {
        gen_arena *arena = gen_arena_new();
        gen_bytes file = load(arena, files[i]);
        for (size_t n = 0; n < file.size; n++) {
            gen_arena *each = gen_arena_new();
            gen_error err = { 0 };
            uint8_t *cut = gen_alloc(n + 1, 1); /* so that reading beyond the end is seen */
            memcpy(cut, file.data, n);
            assert_int_not_equal(gen_pth_read(cut, n, each, &st, &err), GEN_OK);
            assert_true(err.text[0] != 0);
            gen_free(cut);
            gen_arena_free(each);
        }
        gen_arena_free(arena);
    }
}

TEST(pth_survives_every_flipped_bit)
{
    gen_safetensors st;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        gen_arena *arena = gen_arena_new();
        gen_bytes file = load(arena, files[i]);
        for (size_t n = 0; n < 8 * file.size; n += 3) {
            gen_arena *each = gen_arena_new();
            file.data[n / 8] ^= (uint8_t)(1 << n % 8);
            if (gen_pth_read(file.data, file.size, each, &st, NULL) == GEN_OK)
                for (size_t k = 0; k < st.n_tensors; k++) {
                    float *values = gen_arena_alloc(each, (st.tensors[k].n + 1) * sizeof *values);
                    gen_tensor_to_float(&st.tensors[k], values);
                }
            file.data[n / 8] ^= (uint8_t)(1 << n % 8);
            gen_arena_free(each);
        }
        gen_arena_free(arena);
    }
}

TEST(pth_refuses_what_is_no_state_dict_and_calls_nothing)
{
    /* a pickle that asks for os.system("true") in the older container */
    static const char evil[] =
        "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02"
        "cos\nsystem\nX\x04\x00\x00\x00true\x85R.\x80\x02].";
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_safetensors st;
    assert_int_equal(gen_pth_read(evil, sizeof evil - 1, arena, &st, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "no tensors"));
    assert_int_equal(gen_pth_read("hello", 5, arena, &st, NULL), GEN_BAD_FILE);
    gen_arena_free(arena);
}
