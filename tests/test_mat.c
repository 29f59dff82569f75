/* io/mat.c. */
#include "tests/test.h"

#include "io/deflate.h"
#include "io/mat.h"

#include <string.h>

/* A file under construction. */
typedef struct maker {
    uint8_t bytes[2000];
    size_t n;
} maker;

static void put(maker *m, const void *bytes, size_t n)
{
    memcpy(m->bytes + m->n, bytes, n);
    m->n += n;
}

static void put_u32(maker *m, uint32_t v)
{
    uint8_t b[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) };
    put(m, b, 4);
}

static void put_element(maker *m, uint32_t type, const void *data, uint32_t n)
{
    static const uint8_t zeros[8] = { 0 };
    put_u32(m, type);
    put_u32(m, n);
    put(m, data, n);
    put(m, zeros, (8 - n % 8) % 8);
}

static void put_header(maker *m)
{
    m->n = 0;
    memset(m->bytes, ' ', 124);
    memcpy(m->bytes, "MATLAB 5.0 MAT-file", 19);
    m->n = 124;
    put(m, "\0\1IM", 4);
}

/* A matrix [rows,columns] of kind (6: double, 1: cells …), its values as elements already made. */
static void put_matrix(maker *m, uint32_t kind, uint32_t rows, uint32_t columns, const char *name, const maker *values)
{
    maker body = { .n = 0 }, words = { .n = 0 };
    put_u32(&words, kind), put_u32(&words, 0);
    put_element(&body, 6, words.bytes, 8);
    words.n = 0;
    put_u32(&words, rows), put_u32(&words, columns);
    put_element(&body, 5, words.bytes, 8);
    put_element(&body, 1, name, (uint32_t)strlen(name));
    put(&body, values->bytes, values->n);
    put_element(m, 14, body.bytes, (uint32_t)body.n);
}

/* x: doubles kept as bytes, [2,3]; c: two cells, one with doubles, one empty; s: a text, which is not read. */
static void make_file(maker *file)
{
    static const uint8_t six[] = { 1, 2, 3, 4, 5, 6 }, pi[] = { 0x18, 0x2d, 0x44, 0x54, 0xfb, 0x21, 0x09, 0x40 };
    static const uint8_t small[] = { 3, 0, 2, 0, 0xFE, 0xFF, 0, 0 }; /* one int16 packed into its tag: -2 */
    maker values = { .n = 0 }, cells = { .n = 0 };
    put_header(file);
    put_element(&values, 2, six, 6);
    put_matrix(file, 6, 2, 3, "x", &values);
    values.n = 0;
    put_element(&values, 9, pi, 8);
    put_matrix(&cells, 6, 1, 1, "", &values);
    values.n = 0;
    put(&values, small, 8);
    put_matrix(&cells, 10, 1, 1, "", &values);
    put_element(&cells, 14, "", 0);
    put_matrix(file, 1, 1, 3, "c", &cells);
    values.n = 0;
    put_element(&values, 4, "h\0i\0", 4);
    put_matrix(file, 4, 1, 2, "s", &values);
}

static void check_file(const gen_mat *mat)
{
    assert_int_equal(mat->n_arrays, 2);
    assert_int_equal(mat->n_left_out, 1);
    const gen_mat_array *x = gen_mat_find(mat, "x"), *c = gen_mat_find(mat, "c");
    assert_non_null(x);
    assert_non_null(c);
    assert_int_equal(x->dims[0] * 10 + x->dims[1], 23);
    assert_true(gen_mat_at(x, 1 + 2 * 2) == 6); /* row 1, column 2 */
    assert_int_equal(c->n, 3);
    assert_true(gen_mat_at(&c->cells[0], 0) == 3.141592653589793);
    assert_true(gen_mat_at(&c->cells[1], 0) == -2);
    assert_int_equal(c->cells[2].n, 0);
    assert_null(gen_mat_find(mat, "s"));
}

TEST(mat_reads_matrices_and_cells)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    maker file;
    gen_mat mat;
    make_file(&file);
    TEST_OK(gen_mat_read(file.bytes, file.n, arena, &mat, &err));
    check_file(&mat);
    gen_arena_free(arena);
}

/* The same with each variable packed. */
static void pack(const maker *plain, maker *packed, gen_arena *arena)
{
    put_header(packed);
    for (size_t at = 128; at < plain->n;) {
        gen_bytes z = { 0 };
        size_t n = 8 + (plain->bytes[at + 4] | (size_t)plain->bytes[at + 5] << 8);
        assert_int_equal(gen_deflate(plain->bytes + at, n, arena, &z, NULL), GEN_OK);
        put_u32(packed, 15), put_u32(packed, (uint32_t)z.size);
        put(packed, z.data, z.size);
        at += n;
    }
}

TEST(mat_reads_packed_variables)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    maker file, packed;
    gen_mat mat;
    make_file(&file);
    pack(&file, &packed, arena);
    TEST_OK(gen_mat_read(packed.bytes, packed.n, arena, &mat, &err));
    check_file(&mat);
    gen_arena_free(arena);
}

TEST(mat_refuses_other_files_by_name)
{
    gen_error err = { 0 };
    gen_mat mat;
    gen_arena *arena = gen_arena_new();
    assert_int_equal(gen_mat_read("\x89HDF\r\n\x1a\n", 8, arena, &mat, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "7.3"));
    maker file;
    put_header(&file);
    memcpy(file.bytes + 126, "MI", 2);
    assert_int_equal(gen_mat_read(file.bytes, file.n, arena, &mat, NULL), GEN_UNSUPPORTED);
    assert_int_equal(gen_mat_read("MATLAB 5.0", 10, arena, &mat, NULL), GEN_BAD_FILE);
    gen_arena_free(arena);
}

/* A packed matrix that says it has 2^30 bytes, and a cell array of 2^28 cells: refused before memory is asked for. */
TEST(mat_promises_beyond_the_file_cost_no_memory)
{
    static const uint8_t tag[16] = { 14, 0, 0, 0, 0, 0, 0, 0x40 };
    gen_error err = { 0 };
    gen_mat mat;
    gen_bytes z = { 0 };
    gen_arena *arena = gen_arena_new(), *local = gen_arena_new();
    maker file, none = { .n = 0 };
    assert_int_equal(gen_deflate(tag, sizeof tag, arena, &z, NULL), GEN_OK);
    put_header(&file);
    put_u32(&file, 15), put_u32(&file, (uint32_t)z.size);
    put(&file, z.data, z.size);
    assert_int_equal(gen_mat_read(file.bytes, file.n, local, &mat, &err), GEN_BAD_FILE);
    put_header(&file);
    put_matrix(&file, 1, 1 << 14, 1 << 14, "c", &none);
    assert_int_equal(gen_mat_read(file.bytes, file.n, local, &mat, NULL), GEN_BAD_FILE);
    assert_true(gen_arena_used(local) < 2000);
    gen_arena_free(arena);
    gen_arena_free(local);
}

static double touch(const gen_mat_array *a)
{
    double sum = 0;
    for (size_t i = 0; i < a->n; i++) sum += a->cells ? touch(&a->cells[i]) : gen_mat_at(a, i);
    return sum;
}

static gen_status read_copy(const uint8_t *bytes, size_t n)
{
    gen_arena *arena = gen_arena_new();
    gen_mat mat;
    uint8_t *copy = gen_alloc(1, n ? n : 1);
    volatile double sum = 0;
    if (n) memcpy(copy, bytes, n);
    gen_status status = gen_mat_read(copy, n, arena, &mat, NULL);
    for (size_t i = 0; status == GEN_OK && i < mat.n_arrays; i++) sum = sum + touch(&mat.arrays[i]);
    gen_free(copy);
    gen_arena_free(arena);
    return status;
}

TEST(mat_survives_cuts_flips_and_failing_allocations)
{
    maker file, packed;
    gen_arena *arena = gen_arena_new();
    make_file(&file);
    pack(&file, &packed, arena);
    for (int kind = 0; kind < 2; kind++) {
        maker *m = kind ? &packed : &file;
        int whole = 0;
        for (size_t n = 0; n < m->n; n++) whole += read_copy(m->bytes, n) == GEN_OK;
        assert_true(whole <= 3 + 7); /* after the header and between variables; padding at the end may be missing */
        for (size_t bit = 0; bit < 8 * m->n; bit++) {
            m->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
            gen_status status = read_copy(m->bytes, m->n);
            assert_true(status == GEN_OK || status == GEN_BAD_FILE || status == GEN_UNSUPPORTED);
            m->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        for (uint64_t n = 1, done = 0; !done; n++) {
            gen_arena *local = gen_arena_new();
            gen_mat mat;
            gen_alloc_fail_at(n);
            gen_status status = gen_mat_read(m->bytes, m->n, local, &mat, NULL);
            gen_alloc_fail_at(0);
            assert_true(status == GEN_OK || status == GEN_NO_MEMORY);
            done = status == GEN_OK;
            gen_arena_free(local);
        }
    }
    gen_arena_free(arena);
}

/* Pieces and frames of the four sets of Boulanger-Lewandowski et al. 2012, as `data/README.md` counts them. */
TEST(mat_counts_the_rolls_of_the_polyphonic_sets)
{
    static const struct {
        const char *file;
        size_t pieces[3];
        int64_t frames[3];
    } sets[] = { { "JSB_Chorales", { 229, 76, 77 }, { 13807, 4602, 4725 } },
                 { "Nottingham", { 694, 173, 170 }, { 176561, 45513, 44463 } },
                 { "MuseData", { 524, 135, 124 }, { 245202, 82755, 64339 } },
                 { "Piano_midi", { 87, 12, 25 }, { 75911, 8540, 19036 } } };
    static const char *const splits[] = { "traindata", "validdata", "testdata" };
    if (!test_shared("data/midi/poly_music_boulanger_lewandowski/JSB_Chorales.mat"))
        TEST_SKIP("no ../shared/data/midi/poly_music_boulanger_lewandowski");
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        gen_error err = { 0 };
        gen_arena *arena = gen_arena_new();
        gen_bytes file;
        gen_mat mat;
        char name[100];
        snprintf(name, sizeof name, "data/midi/poly_music_boulanger_lewandowski/%s.mat", sets[i].file);
        TEST_OK(gen_file_read(test_shared(name), GEN_FILE_ANY_SIZE, arena, &file, &err));
        TEST_OK(gen_mat_read(file.data, file.size, arena, &mat, &err));
        for (int s = 0; s < 3; s++) {
            int64_t frames = 0, others = 0;
            const gen_mat_array *cells = gen_mat_find(&mat, splits[s]);
            assert_non_null(cells);
            assert_int_equal(cells->n, sets[i].pieces[s]);
            for (size_t p = 0; p < cells->n; p++) {
                const gen_mat_array *roll = &cells->cells[p];
                assert_int_equal(roll->dims[1], 88);
                frames += roll->dims[0];
                for (size_t k = 0; k < roll->n; k++) others += gen_mat_at(roll, k) != 0 && gen_mat_at(roll, k) != 1;
            }
            assert_int_equal(frames, sets[i].frames[s]);
            assert_int_equal(others, 0);
        }
        gen_arena_free(arena);
    }
}
