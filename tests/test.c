/* The list of tests, and where tests find files. */
#define _XOPEN_SOURCE 700
#include "tests/test.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef GEN_SOURCE_DIR
#error "the build defines GEN_SOURCE_DIR"
#endif

static test_case *all_tests;
static char folder[64];
static size_t n_skipped;

void test_register(test_case *test)
{
    test_case **place = &all_tests; /* sorted by file, then in the order of the file (constructors run in that order) */
    while (*place && strcmp((*place)->file, test->file) <= 0) place = &(*place)->next;
    test->next = *place;
    *place = test;
}

void test_count_skip(void)
{
    n_skipped++;
}

static char *path_slot(void)
{
    static char slots[8][1024];
    static int next;
    return slots[next++ % 8];
}

const char *test_source(const char *relative)
{
    char *path = path_slot();
    snprintf(path, 1024, "%s/%s", GEN_SOURCE_DIR, relative);
    return path;
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
    if (folder[0]) nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_folder(void)
{
    static int count;
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/tmp/gen-test-XXXXXX");
        if (!mkdtemp(folder)) abort();
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

int main(int argc, char **argv)
{
    int list = argc > 1 && !strcmp(argv[1], "--list");
    enum { MAX_TESTS = 4096 };
    static struct CMUnitTest run[MAX_TESTS];
    size_t n = 0;
    for (test_case *t = all_tests; t && n < MAX_TESTS; t = t->next) {
        int wanted = argc < 2 || list;
        for (int i = 1; i < argc && !wanted; i++)
            wanted = starts_with(base_name(t->file), argv[i]) || starts_with(t->name, argv[i]);
        if (!wanted) continue;
        if (list) printf("%s %s\n", base_name(t->file), t->name);
        else run[n++] = (struct CMUnitTest){ t->name, t->run, NULL, NULL, NULL };
    }
    if (list) return 0;
    if (!n) {
        fprintf(stderr, "gen-test: no test of that name; `gen-test --list` names them\n");
        return 1;
    }
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    int failed = _cmocka_run_group_tests(argc > 1 ? argv[1] : "all", run, n, NULL, NULL);
    return failed ? 1 : n_skipped == n ? 77 : 0;
}
