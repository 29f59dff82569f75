#define _POSIX_C_SOURCE 200809L /* setenv */
/* The fastest of cuDNN's engines, without a GPU: found by a clock that the library that is none turns on, remembered in a file, and in whatever state that file is,
 * nothing worse happens than that it is found again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "io/file.h"
#include "tests/cuda_fake_cublaslt.h"
#include "tests/cuda_fake_cudnn.h"
#include "tests/cuda_recorder.h"
#include "tests/test.h"

static const char key[] = "cuDNN 90000, a GPU that is none";

static const char *choices_file(void)
{
    static char path[512]; /* the same for all tests */
    if (!*path) snprintf(path, sizeof path, "%s/choices.txt", test_folder());
    return path;
}

/* ---- on a device ------------------------------------------------------------------------------------------------------------- */

/* Which engine is taken for a convolution x[2,5,7,3] -> y[2,3,4,4]; after `before` calls of the GPU, one fails (0: none). */
static int64_t engine_of(cuda_precision precision, cuda_choices *choices, int32_t fail_at, cuda_recorder *r)
{
    cuda_products products = fake_products(precision);
    products.choices = choices;
    gen_device *device = cuda_recorder_open(r, &products);
    cudnn_conv conv = { .x = { 2, 5, 7, 3 }, .y = { 2, 3, 4, 4 }, .kernel = { 3, 3 }, .stride = { 2, 2 } };
    for (int i = 0; i < 4; i++) conv.pad[i] = 1;
    conv.dilation[0] = conv.dilation[1] = 1;
    conv.tensor_cores = precision != CUDA_FP32;
    conv.bias = conv.residual = conv.relu = 1;
    r->fail_at = fail_at;
    const cudnn_plan *plan = cudnn_plan_of(products.dnn, &conv);
    assert_non_null(plan);
    const int64_t engine = plan->engine;
    r->fail_at = 0;
    assert_int_equal(r->n_blocks, 0); /* what trials took they gave back */
    assert_int_equal(r->n_graphs, 0);
    device->ops->close(device);
    fake_products_are_gone();
    return engine;
}

TEST(cuda_tune_takes_the_fastest_engine)
{
    cuda_recorder r;
    assert_int_equal(engine_of(CUDA_TF32, NULL, 0, &r), FAKE_TENSOR_CORES); /* nobody asks for it */
    assert_int_equal(r.n_timed, 0);
    assert_int_equal(engine_of(CUDA_TF32, cuda_choices_open(NULL, key), 0, &r), FAKE_FAST_TENSOR_CORES);
    assert_int_equal(r.n_timed, 4 * 5); /* five engines will do, each is run once to warm up and three times */
    assert_int_equal(engine_of(CUDA_FP32, cuda_choices_open(NULL, key), 0, &r), FAKE_FAST_PLAIN_ENGINE);
    assert_int_equal(r.n_timed, 4 * 2);
}

TEST(cuda_tune_remembers_from_run_to_run)
{
    cuda_recorder r;
    (void)remove(choices_file());
    assert_int_equal(engine_of(CUDA_TF32, cuda_choices_open(choices_file(), key), 0, &r), FAKE_FAST_TENSOR_CORES);
    assert_true(r.n_timed > 0);
    assert_int_equal(engine_of(CUDA_TF32, cuda_choices_open(choices_file(), key), 0, &r), FAKE_FAST_TENSOR_CORES);
    assert_int_equal(r.n_timed, 0);
    assert_int_equal(engine_of(CUDA_FP32, cuda_choices_open(choices_file(), key), 0, &r), FAKE_FAST_PLAIN_ENGINE);
    assert_true(r.n_timed > 0); /* another precision is another convolution */
    assert_int_equal(engine_of(CUDA_TF32, cuda_choices_open(choices_file(), key), 0, &r), FAKE_FAST_TENSOR_CORES);
    assert_int_equal(r.n_timed, 0);
    assert_int_equal(engine_of(CUDA_TF32, cuda_choices_open(choices_file(), "cuDNN 90001, another"), 0, &r),
                     FAKE_FAST_TENSOR_CORES);
    assert_true(r.n_timed > 0); /* another GPU or library: that file is foreign, and is now its own */
    assert_int_equal(engine_of(CUDA_TF32, cuda_choices_open(choices_file(), key), 0, &r), FAKE_FAST_TENSOR_CORES);
    assert_true(r.n_timed > 0);
}

/* The n-th thing that is asked of the GPU fails, for n = 1, 2, …: an engine that could not be timed is left out, and without any time the first one is taken. */
TEST(cuda_tune_falls_back_when_timing_fails)
{
    cuda_recorder r;
    int fallbacks = 0;
    for (int32_t n = 1;; n++) {
        const int64_t engine = engine_of(CUDA_FP32, cuda_choices_open(NULL, key), n, &r);
        assert_true(engine == FAKE_PLAIN_ENGINE || engine == FAKE_FAST_PLAIN_ENGINE);
        fallbacks += engine == FAKE_PLAIN_ENGINE;
        if (!r.failed) break;
    }
    assert_true(fallbacks > 20); /* whenever it is the fast one's trial that fails */
}

TEST(cuda_tune_takes_the_first_engine_when_none_can_be_timed)
{
    cuda_recorder r;
    cuda_choices *choices = cuda_choices_open(NULL, key);
    cuda_products products = fake_products(CUDA_TF32);
    products.choices = choices;
    gen_device *device = cuda_recorder_open(&r, &products);
    cudnn_conv conv = { .x = { 1, 4, 4, 3 }, .y = { 1, 4, 4, 2 }, .kernel = { 1, 1 }, .stride = { 1, 1 } };
    conv.dilation[0] = conv.dilation[1] = conv.tensor_cores = 1;
    fake_cudnn_fails = true;
    assert_int_equal(cudnn_plan_of(products.dnn, &conv)->engine, FAKE_TENSOR_CORES);
    assert_int_equal(cuda_choices_count(choices), 0); /* nothing was learnt */
    fake_cudnn_fails = false;
    device->ops->close(device);
    fake_products_are_gone();
}

/* ---- the file ---------------------------------------------------------------------------------------------------------------- */

enum { N_KNOWN = 5 };

static cudnn_conv conv_number(int64_t i)
{
    cudnn_conv c = { .x = { i + 1, 28, 28, 3 }, .y = { i + 1, 28, 28, 64 }, .kernel = { 3, 3 }, .bf16 = 1 };
    for (int k = 0; k < 2; k++) c.stride[k] = c.dilation[k] = 1;
    return c;
}

static cudnn_choice choice_number(int32_t i)
{
    return (cudnn_choice){ i % 3, 40 + i };
}

static void write_known(void)
{
    (void)remove(choices_file());
    cuda_choices *c = cuda_choices_open(choices_file(), key);
    for (int32_t i = 0; i < N_KNOWN; i++) {
        const cudnn_conv conv = conv_number(i);
        const cudnn_choice choice = choice_number(i);
        cuda_choices_add(c, &conv, &(cudnn_choice){ 9, 9 });
        cuda_choices_add(c, &conv, &choice); /* takes the place of the first */
    }
    cuda_choices_close(c);
}

/* Whatever is found is right; returns how many are. */
static int found_again(void)
{
    int n = 0;
    cuda_choices *c = cuda_choices_open(choices_file(), key);
    assert_non_null(c);
    assert_in_range(cuda_choices_count(c), 0, N_KNOWN);
    for (int32_t i = 0; i < N_KNOWN; i++) {
        const cudnn_conv conv = conv_number(i);
        cudnn_choice choice;
        if (!cuda_choices_find(c, &conv, &choice)) continue;
        n++;
        assert_int_equal(choice.place, choice_number(i).place);
        assert_int_equal(choice.engine, choice_number(i).engine);
    }
    assert_int_equal(cuda_choices_count(c), n);
    cuda_choices_close(c);
    return n;
}

TEST(cuda_choices_are_found_again)
{
    write_known();
    assert_int_equal(found_again(), N_KNOWN);
    cuda_choices *other = cuda_choices_open(choices_file(), "another GPU");
    assert_int_equal(cuda_choices_count(other), 0);
    cuda_choices_close(other);
}

/* Bits turned over, ends cut off, bytes put in, at every place: never a wrong choice, and the file is whole again once something is added. */
TEST(cuda_choices_of_a_damaged_file_are_left_out)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes whole;
    int lost = 0, tried = 0;
    write_known();
    TEST_OK(gen_file_read(choices_file(), 1 << 16, arena, &whole, &err));
    char *text = gen_arena_alloc(arena, whole.size + 1);
    for (size_t at = 0; at < whole.size; at++) {
        const uint32_t dice = gen_random_word(1, 7, at);
        size_t size = whole.size;
        memcpy(text, whole.data, size);
        if (dice % 3 == 0) size = at; /* cut off */
        else if (dice % 3 == 1) text[at] = (char)(text[at] ^ (1 << (dice >> 8) % 8));
        else {
            memmove(text + at + 1, text + at, size - at);
            text[at] = (char)(dice >> 16);
            size++;
        }
        TEST_OK(gen_file_write(choices_file(), text, size, &err));
        lost += found_again() < N_KNOWN;
        tried++;
    }
    assert_true(lost > tried / 2);
    test_note("cuda: of %d damaged files of engines' choices %d had lost some, none was wrong", tried, lost);
    cuda_choices *c = cuda_choices_open(choices_file(), key);
    const cudnn_conv conv = conv_number(0);
    const cudnn_choice choice = choice_number(0);
    cuda_choices_add(c, &conv, &choice);
    const int32_t n = cuda_choices_count(c);
    cuda_choices_close(c);
    assert_int_equal(found_again(), n);
    gen_arena_free(arena);
}

TEST(cuda_choices_need_no_file)
{
    const cudnn_conv conv = conv_number(0);
    const cudnn_choice choice = choice_number(0);
    cudnn_choice found;
    cuda_choices *c = cuda_choices_open("/nowhere/at/all", key);
    cuda_choices_add(c, &conv, &choice);
    assert_true(cuda_choices_find(c, &conv, &found));
    assert_int_equal(found.engine, choice.engine);
    cuda_choices_close(c);
}

TEST(cuda_choices_lie_in_the_users_cache)
{
    char path[512], expected[600], small[8];
    const char *before = getenv("XDG_CACHE_HOME");
    char *kept = before ? strdup(before) : NULL;
    const char *folder = test_folder();
    snprintf(expected, sizeof expected, "%s/gen/a.txt", folder);
    setenv("XDG_CACHE_HOME", folder, 1);
    assert_true(cuda_choices_path("a.txt", path, sizeof path));
    assert_string_equal(path, expected);
    assert_false(cuda_choices_path("a.txt", small, sizeof small));
    cuda_choices *c = cuda_choices_open(path, key); /* its folder was made */
    const cudnn_conv conv = conv_number(0);
    cuda_choices_add(c, &conv, &(cudnn_choice){ 0, 1 });
    cuda_choices_close(c);
    assert_int_equal(remove(path), 0);
    if (kept) setenv("XDG_CACHE_HOME", kept, 1);
    else unsetenv("XDG_CACHE_HOME");
    free(kept);
}
