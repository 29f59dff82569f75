/* The list of tests, and where tests find files. */
#define _XOPEN_SOURCE 700
#include "tests/test.h"

#include <ftw.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef GEN_SOURCE_DIR
#error "the build defines GEN_SOURCE_DIR"
#endif

static test_case *all_tests;
static char folder[64];
static pid_t own_pid;
static test_case *running;
enum { FAILED, PASSED, SKIPPED }; /* test_case.result */
static char notes[1 << 14];       /* lines */

void test_register(test_case *test)
{
    test_case **place = &all_tests; /* sorted by file, then in the order of the file (constructors run in that order) */
    while (*place && strcmp((*place)->file, test->file) <= 0) place = &(*place)->next;
    test->next = *place;
    *place = test;
}

void test_skipped(void)
{
    running->result = SKIPPED;
}

void test_note(const char *format, ...)
{
    char line[512];
    const size_t used = strlen(notes);
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    printf("%s\n", line);
    snprintf(notes + used, sizeof notes - used, "note %s\n", line);
}

/* A test that fails or is skipped does not come back here. */
static void run_one(void **state)
{
    running = *state;
    running->run(state);
    running->result = PASSED;
}

static char *path_slot(void)
{
    static char slots[8][1024];
    static int next;
    return slots[next++ % 8];
}

const char *test_device(void)
{
    const char *chosen = getenv("GEN_TEST_DEVICE");
    return chosen && *chosen ? chosen : "cpu";
}

const char *test_source(const char *relative)
{
    char *path = path_slot();
    snprintf(path, 1024, "%s/%s", GEN_SOURCE_DIR, relative);
    return path;
}

void test_near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance)) fail_msg("%.12g, expected %.12g within %g", got, expected, tolerance);
}

const char *test_shared(const char *relative)
{
    const char *shared = getenv("GEN_SHARED");
    char *path = path_slot();
    if (shared) snprintf(path, 1024, "%s/%s", shared, relative);
    else snprintf(path, 1024, "%s/../shared/%s", GEN_SOURCE_DIR, relative);
    return access(path, R_OK) ? NULL : path;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static void remove_folder(void)
{
    if (folder[0] && getpid() == own_pid) nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_folder(void)
{
    static int count;
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/tmp/gen-test-XXXXXX");
        if (!mkdtemp(folder)) abort();
        own_pid = getpid();
        atexit(remove_folder);
    }
    char *path = path_slot(), command[1100];
    snprintf(path, 1024, "%s/%d", folder, count++);
    snprintf(command, sizeof command, "mkdir -p '%s'", path);
    if (system(command)) abort();
    return path;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int starts_with(const char *text, const char *prefix)
{
    return !strncmp(text, prefix, strlen(prefix));
}

static int is_wanted(const test_case *test, int n, char **words)
{
    for (int i = 0; i < n; i++)
        if (starts_with(base_name(test->file), words[i]) || starts_with(test->name, words[i])) return 1;
    return n == 0;
}

/* One write, so that programs that run at the same time may share the file. */
static void write_results(const struct CMUnitTest *tests, size_t n)
{
    static const char *const words[] = { "failed", "passed", "skipped" };
    const char *path = getenv("GEN_TEST_RESULTS");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (!file) return;
    for (size_t i = 0; i < n; i++) {
        const test_case *t = tests[i].initial_state;
        fprintf(file, "%s %s %s\n", words[t->result], base_name(t->file), t->name);
    }
    fputs(notes, file);
    fclose(file);
}

static size_t count_skipped(const struct CMUnitTest *tests, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += ((const test_case *)tests[i].initial_state)->result == SKIPPED;
    return count;
}

static int list_tests(void)
{
    for (const test_case *t = all_tests; t; t = t->next) printf("%s %s\n", base_name(t->file), t->name);
    return 0;
}

int main(int argc, char **argv)
{
    enum { MAX_TESTS = 4096 };
    static struct CMUnitTest run[MAX_TESTS];
    size_t n = 0;
    if (argc > 1 && !strcmp(argv[1], "--list")) return list_tests();
    for (test_case *t = all_tests; t && n < MAX_TESTS; t = t->next)
        if (is_wanted(t, argc - 1, argv + 1)) run[n++] = (struct CMUnitTest){ t->name, run_one, NULL, NULL, t };
    if (!n) {
        fprintf(stderr, "gen-test: no test of that name; `gen-test --list` names them\n");
        return 1;
    }
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    int failed = _cmocka_run_group_tests(argc > 1 ? argv[1] : "all", run, n, NULL, NULL);
    write_results(run, n);
    return failed ? 1 : count_skipped(run, n) == n ? 77 : 0;
}
