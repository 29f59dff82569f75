/* io/file.c and io/folder.c. */
#define _DEFAULT_SOURCE
#include "tests/test.h"

#include "io/file.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *in_folder(const char *folder, const char *name)
{
    static char slots[8][1100];
    static int next;
    char *path = slots[next++ % 8];
    snprintf(path, sizeof slots[0], "%s/%s", folder, name);
    return path;
}

static void expect_content(const char *path, const char *text)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes bytes;
    TEST_OK(gen_file_read(path, GEN_FILE_ANY_SIZE, arena, &bytes, &err));
    assert_int_equal(bytes.size, strlen(text));
    assert_string_equal((char *)bytes.data, text);
    gen_arena_free(arena);
}

static size_t count_files(const char *folder)
{
    size_t n = 0;
    char command[1200];
    snprintf(command, sizeof command, "ls -A '%s'", folder);
    FILE *f = popen(command, "r");
    for (int c; (c = fgetc(f)) != EOF;) n += c == '\n';
    pclose(f);
    return n;
}

TEST(file_write_then_read_gives_the_same_bytes)
{
    gen_error err = { 0 };
    const char *path = in_folder(test_folder(), "a");
    TEST_OK(gen_file_write(path, "hello", 5, &err));
    expect_content(path, "hello");
    TEST_OK(gen_file_write(path, "", 0, &err));
    expect_content(path, "");
}

TEST(file_read_names_path_and_reason)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes bytes;
    const char *folder = test_folder();
    assert_int_equal(gen_file_read(in_folder(folder, "none"), 10, arena, &bytes, &err), GEN_NOT_FOUND);
    assert_non_null(strstr(err.text, "none': no such file"));
    err = (gen_error){ 0 };
    assert_int_equal(gen_file_read(folder, 10, arena, &bytes, &err), GEN_IO);
    assert_non_null(strstr(err.text, "directory"));
    err = (gen_error){ 0 };
    TEST_OK(gen_file_write(in_folder(folder, "big"), "0123456789", 10, &err));
    assert_int_equal(gen_file_read(in_folder(folder, "big"), 9, arena, &bytes, &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "larger than the 9 bytes"));
    gen_arena_free(arena);
}

TEST(file_read_takes_files_without_a_size)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes bytes;
    TEST_OK(gen_file_read("/proc/self/status", GEN_FILE_ANY_SIZE, arena, &bytes, &err));
    assert_non_null(strstr((char *)bytes.data, "Name:"));
    gen_arena_free(arena);
}

/* As an ordinary user in a child: root may read and write everything. */
static int as_ordinary_user(const char *folder, int (*act)(const char *folder))
{
    chmod(in_folder(folder, ".."), 0755); /* the folder of all test folders is private to its owner */
    pid_t pid = fork();
    if (!pid) {
        if (getuid() == 0 && (setgid(65534) || setuid(65534))) _exit(9);
        _exit(act(folder));
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int meets_no_permission(const char *folder)
{
    gen_error a = { 0 }, b = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes bytes;
    int ok =
        gen_file_read(in_folder(folder, "secret"), 10, arena, &bytes, &a) == GEN_IO && strstr(a.text, "no permission");
    ok = ok && gen_file_write(in_folder(folder, "new"), "x", 1, &b) == GEN_IO && strstr(b.text, "no permission");
    gen_arena_free(arena);
    return ok ? 0 : 1;
}

TEST(file_says_no_permission_for_reading_and_writing)
{
    gen_error err = { 0 };
    const char *folder = test_folder();
    TEST_OK(gen_file_write(in_folder(folder, "secret"), "x", 1, &err));
    assert_int_equal(chmod(in_folder(folder, "secret"), 0), 0);
    assert_int_equal(chmod(folder, 0555), 0);
    int rc = as_ordinary_user(folder, meets_no_permission);
    chmod(folder, 0755);
    assert_int_equal(rc, 0);
}

TEST(file_write_keeps_the_old_file_when_the_disk_is_full)
{
    gen_error err = { 0 };
    const char *folder = test_folder(), *path = in_folder(folder, "a");
    TEST_OK(gen_file_write(path, "old", 3, &err));
    gen_file_fail_write_at(4);
    gen_status status = gen_file_write(path, "new and longer", 14, &err);
    gen_file_fail_write_at(0);
    assert_int_equal(status, GEN_IO);
    assert_non_null(strstr(err.text, "no space left"));
    assert_non_null(strstr(err.text, path));
    expect_content(path, "old");
    assert_int_equal(count_files(folder), 1); /* no temporary file is left */
}

static int writes_past_the_limit(const char *folder)
{
    gen_error err = { 0 };
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = { 100, 100 };
    setrlimit(RLIMIT_FSIZE, &limit);
    static char big[1000];
    if (gen_file_write(in_folder(folder, "a"), big, sizeof big, &err) != GEN_IO) return 1;
    return strstr(err.text, "largest allowed size") ? 0 : 2;
}

TEST(file_write_keeps_the_old_file_at_the_size_limit)
{
    gen_error err = { 0 };
    const char *folder = test_folder();
    TEST_OK(gen_file_write(in_folder(folder, "a"), "old", 3, &err));
    chmod(folder, 0777);
    assert_int_equal(as_ordinary_user(folder, writes_past_the_limit), 0);
    expect_content(in_folder(folder, "a"), "old");
    assert_int_equal(count_files(folder), 1);
}

TEST(file_writer_abandoned_leaves_nothing)
{
    gen_error err = { 0 };
    const char *folder = test_folder();
    gen_file_writer *writer;
    TEST_OK(gen_file_create(in_folder(folder, "a"), &writer, &err));
    TEST_OK(gen_file_put(writer, "abc", 3, &err));
    assert_false(gen_path_exists(in_folder(folder, "a")));
    gen_file_abandon(writer);
    assert_int_equal(count_files(folder), 0);
}

TEST(file_write_refuses_a_directory_and_a_missing_folder)
{
    gen_error err = { 0 };
    const char *folder = test_folder();
    assert_int_equal(gen_file_write(folder, "x", 1, &err), GEN_IO);
    err = (gen_error){ 0 };
    assert_int_equal(gen_file_write(in_folder(folder, "no/a"), "x", 1, &err), GEN_NOT_FOUND);
    err = (gen_error){ 0 };
    TEST_OK(gen_file_write("/dev/null", "x", 1, &err));
}

TEST(file_log_grows_and_cuts_back_a_failed_record)
{
    gen_error err = { 0 };
    const char *path = in_folder(test_folder(), "log");
    gen_file_log *log;
    TEST_OK(gen_file_log_open(path, &log, &err));
    TEST_OK(gen_file_log_write(log, "one\n", 4, &err));
    gen_file_fail_write_at(2);
    assert_int_equal(gen_file_log_write(log, "two\n", 4, &err), GEN_IO);
    gen_file_fail_write_at(0);
    err = (gen_error){ 0 };
    TEST_OK(gen_file_log_write(log, "three\n", 6, &err));
    TEST_OK(gen_file_log_sync(log, &err));
    assert_int_equal(gen_file_log_size(log), 10);
    gen_file_log_close(log);
    expect_content(path, "one\nthree\n");
    TEST_OK(gen_file_truncate(path, 4, &err));
    expect_content(path, "one\n");
    assert_int_equal(gen_file_truncate(path, 5, &err), GEN_IO);
}

TEST(file_map_shows_the_bytes)
{
    gen_error err = { 0 };
    const char *path = in_folder(test_folder(), "a");
    gen_bytes map;
    TEST_OK(gen_file_write(path, "hello", 5, &err));
    TEST_OK(gen_file_map(path, &map, &err));
    assert_memory_equal(map.data, "hello", 5);
    gen_file_unmap(&map);
    TEST_OK(gen_file_write(path, "", 0, &err));
    TEST_OK(gen_file_map(path, &map, &err));
    assert_int_equal(map.size, 0);
    gen_file_unmap(&map);
}

TEST(folder_list_is_sorted_and_survives_link_loops)
{
    gen_error err = { 0 };
    const char *folder = test_folder();
    gen_arena *arena = gen_arena_new();
    TEST_OK(gen_folder_make(in_folder(folder, "b/c"), &err));
    TEST_OK(gen_folder_make(in_folder(folder, "b/c"), &err));
    const char *names[] = { "b/c/2", "b/10", "a", ".hidden", "z" };
    for (int i = 0; i < 5; i++) TEST_OK(gen_file_write(in_folder(folder, names[i]), "", 0, &err));
    TEST_OK(gen_file_link(".", in_folder(folder, "b/loop"), &err));
    TEST_OK(gen_file_link("nowhere", in_folder(folder, "dangling"), &err));
    gen_path_list list;
    TEST_OK(gen_folder_list(folder, 1, arena, &list, &err));
    const char *expected[] = { "a", "b/10", "b/c/2", "z" };
    assert_int_equal(list.n, 4);
    for (int i = 0; i < 4; i++) assert_string_equal(list.path[i], expected[i]);
    TEST_OK(gen_folder_list(folder, 0, arena, &list, &err));
    assert_int_equal(list.n, 2);
    TEST_OK(gen_folder_list_folders(folder, arena, &list, &err));
    assert_int_equal(list.n, 1);
    assert_string_equal(list.path[0], "b");
    gen_arena_free(arena);
}

TEST(file_link_is_replaced)
{
    gen_error err = { 0 };
    const char *folder = test_folder(), *link_path = in_folder(folder, "latest");
    TEST_OK(gen_file_write(in_folder(folder, "one"), "1", 1, &err));
    TEST_OK(gen_file_write(in_folder(folder, "two"), "2", 1, &err));
    TEST_OK(gen_file_link("one", link_path, &err));
    expect_content(link_path, "1");
    TEST_OK(gen_file_link("two", link_path, &err));
    expect_content(link_path, "2");
    assert_int_equal(count_files(folder), 3);
}

TEST(folder_lock_second_taker_is_told_busy)
{
    gen_error err = { 0 };
    const char *folder = test_folder();
    gen_folder_lock *a, *b;
    TEST_OK(gen_folder_lock_take(folder, &a, &err));
    assert_int_equal(gen_folder_lock_take(folder, &b, &err), GEN_BUSY);
    assert_non_null(strstr(err.text, folder));
    gen_folder_lock_release(a);
    err = (gen_error){ 0 };
    TEST_OK(gen_folder_lock_take(folder, &b, &err));
    gen_folder_lock_release(b);
}

TEST(folder_lock_dies_with_a_killed_holder)
{
    gen_error err = { 0 };
    const char *folder = test_folder();
    int pipe_fd[2];
    assert_int_equal(pipe(pipe_fd), 0);
    pid_t pid = fork();
    if (!pid) {
        gen_folder_lock *mine;
        gen_status status = gen_folder_lock_take(folder, &mine, NULL);
        if (write(pipe_fd[1], &status, 1) != 1) _exit(1);
        pause();
        _exit(0);
    }
    char taken = 9;
    assert_int_equal(read(pipe_fd[0], &taken, 1), 1);
    assert_int_equal(taken, GEN_OK);
    gen_folder_lock *lock;
    assert_int_equal(gen_folder_lock_take(folder, &lock, NULL), GEN_BUSY);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    TEST_OK(gen_folder_lock_take(folder, &lock, &err));
    gen_folder_lock_release(lock);
    close(pipe_fd[0]), close(pipe_fd[1]);
}

TEST(path_parts_are_found)
{
    gen_arena *arena = gen_arena_new();
    assert_string_equal(gen_path_join(arena, "a", "b"), "a/b");
    assert_string_equal(gen_path_join(arena, "a/", "b"), "a/b");
    assert_string_equal(gen_path_join(arena, "a", "/b"), "/b");
    assert_string_equal(gen_path_join(arena, "", "b"), "b");
    assert_string_equal(gen_path_extension("a.b/c"), "");
    assert_string_equal(gen_path_extension("a/.profile"), "");
    assert_string_equal(gen_path_extension("a/c.tar.gz"), "gz");
    assert_true(gen_path_has_extension("X.PNG", "png"));
    assert_false(gen_path_has_extension("X.PN", "png"));
    gen_arena_free(arena);
}

TEST(error_in_file_puts_the_path_first_once)
{
    gen_error err = { 0 };
    gen_fail(&err, GEN_BAD_FILE, "PNG: cut");
    assert_int_equal(gen_error_in_file(&err, "a.png", GEN_BAD_FILE), GEN_BAD_FILE);
    assert_string_equal(err.text, "a.png: PNG: cut");
    gen_error_in_file(&err, "a.png", GEN_BAD_FILE);
    assert_string_equal(err.text, "a.png: PNG: cut");
}
