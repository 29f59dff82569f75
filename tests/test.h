/* tests/test.h: tests list themselves.
 *
 *     TEST(png_rejects_truncated_idat)
 *     {
 *         assert_int_equal(gen_png_read(...), GEN_BAD_FILE);   // cmocka's assertions
 *     }
 *
 * `gen-test` runs all, `gen-test test_png` those of one file, `gen-test png_rejects` those whose name starts so; `gen-test --list` names them.
 * The program returns 1 on failure, 77 when every test that ran was skipped, else 0. With $GEN_TEST_RESULTS it adds a line for each test to that file:
 * "passed|failed|skipped file test".
 */
#ifndef GEN_TESTS_TEST_H
#define GEN_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/gen.h"

#ifdef __clang_analyzer__ /* cmocka does not say that a failed assertion leaves the test */
void _fail(const char *file, int line) __attribute__((analyzer_noreturn)); /* NOLINT */
#endif

typedef struct test_case {
    const char *file, *name;
    void (*run)(void **);
    struct test_case *next;
    int result;
} test_case;

void test_register(test_case *test);
void test_skipped(void);

#define TEST(test_name)                                                                                                \
    static void test_name(void **);                                                                                    \
    static test_case test_name##_case = { __FILE__, #test_name, test_name, NULL, 0 };                                  \
    __attribute__((constructor)) static void test_name##_register(void)                                                \
    {                                                                                                                  \
        test_register(&test_name##_case);                                                                              \
    }                                                                                                                  \
    static void test_name(void **test_state_ __attribute__((unused)))

/* Reports the running test as skipped, with the reason, and leaves it. */
#define TEST_SKIP(reason)                                                                                              \
    do {                                                                                                               \
        test_skipped();                                                                                                \
        printf("[  SKIPPED ] %s: %s\n", __func__, reason);                                                             \
        skip();                                                                                                        \
    } while (0)

/* Prints a line on what was covered: "66 ops of 66 run in the emulator". $GEN_TEST_RESULTS gets it too, as "note …", and tools/check shows it. */
void test_note(const char *format, ...) GEN_PRINTF(1, 2);

/* A call that must succeed; prints the error's text when it does not. */
#define TEST_OK(call)                                                                                                  \
    do {                                                                                                               \
        gen_status ok_status_ = (call);                                                                                \
        if (ok_status_ != GEN_OK) fail_msg("%s: %s (%s)", #call, err.text, gen_status_text(ok_status_));               \
    } while (0)

void test_near(double got, double expected, double tolerance);

/* The device that tests of models and of op cases are about: $GEN_TEST_DEVICE, else "cpu". */
const char *test_device(void);
/* Path of a file below ../shared (or $GEN_SHARED), or NULL when it is absent: then skip. */
const char *test_shared(const char *relative);
/* Path of a file in the source tree; a new empty folder that is removed at exit. Static buffers, valid until the 8th next call. */
const char *test_source(const char *relative);
const char *test_folder(void);

#endif
