/* io/prefetch.c. The thread sanitizer runs these too. */
#include "tests/test.h"

#include "io/prefetch.h"

#include <string.h>

enum { BATCH = 1000 };

static gen_status fill_with_number(void *context, int64_t i, void *buffer, gen_error *err)
{
    int64_t *fail_at = context, *out = buffer;
    if (fail_at && i == *fail_at) return gen_fail(err, GEN_BAD_FILE, "batch %d is damaged", (int)i);
    for (int k = 0; k < BATCH; k++) out[k] = i;
    return GEN_OK;
}

static void expect_batch(gen_prefetch *queue, int64_t i)
{
    gen_error err = { 0 };
    const void *batch;
    TEST_OK(gen_prefetch_next(queue, &batch, &err));
    for (int k = 0; k < BATCH; k++) assert_true(((const int64_t *)batch)[k] == i);
}

TEST(prefetch_gives_every_batch_once_in_order)
{
    gen_error err = { 0 };
    gen_prefetch *queue;
    const void *batch;
    TEST_OK(gen_prefetch_new(fill_with_number, NULL, BATCH * 8, 5, 500, &queue, &err));
    for (int64_t i = 5; i < 505; i++) expect_batch(queue, i);
    assert_int_equal(gen_prefetch_next(queue, &batch, NULL), GEN_STOPPED);
    assert_int_equal(gen_prefetch_next(queue, &batch, NULL), GEN_STOPPED);
    gen_prefetch_free(queue);
}

TEST(prefetch_failure_comes_in_order)
{
    gen_error err = { 0 };
    gen_prefetch *queue;
    const void *batch;
    int64_t fail_at = 3;
    TEST_OK(gen_prefetch_new(fill_with_number, &fail_at, BATCH * 8, 0, -1, &queue, &err));
    for (int64_t i = 0; i < 3; i++) expect_batch(queue, i);
    assert_int_equal(gen_prefetch_next(queue, &batch, &err), GEN_BAD_FILE);
    assert_string_equal(err.text, "batch 3 is damaged");
    gen_prefetch_free(queue);
}

TEST(prefetch_stops_at_any_moment)
{
    for (int taken = 0; taken < 5; taken++) {
        gen_error err = { 0 };
        gen_prefetch *queue;
        TEST_OK(gen_prefetch_new(fill_with_number, NULL, BATCH * 8, 0, -1, &queue, &err));
        for (int64_t i = 0; i < taken; i++) expect_batch(queue, i);
        gen_prefetch_free(queue);
    }
    gen_prefetch_free(NULL);
}

TEST(prefetch_survives_failing_allocations)
{
    for (uint64_t n = 1, done = 0; !done; n++) {
        gen_prefetch *queue = NULL;
        gen_alloc_fail_at(n);
        gen_status status = gen_prefetch_new(fill_with_number, NULL, BATCH * 8, 0, 1, &queue, NULL);
        gen_alloc_fail_at(0);
        gen_prefetch_free(queue);
        done = status == GEN_OK;
    }
}
