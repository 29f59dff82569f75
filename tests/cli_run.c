#define _XOPEN_SOURCE 700
#include "tests/cli_run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_WORDS = 48 };

const char *work;
outcome last;

/* ---- running it ---------------------------------------------------------------------------------------------------------- */

const char *binary(void)
{
    const char *named = getenv("GEN_BINARY"), *built = GEN_BUILD_DIR "/gen";
    return named ? named : access(built, X_OK) ? NULL : built;
}

/* Bars that differ from picture to picture, as an IDX file. */
void write_data(const char *name)
{
    gen_error err = { 0 };
    uint8_t bytes[16 + N_PICTURES * SIDE * SIDE] = { 0, 0, 8, 3, 0, 0, 0, N_PICTURES, 0, 0, 0, SIDE, 0, 0, 0, SIDE };
    for (int i = 0; i < N_PICTURES * SIDE * SIDE; i++) {
        int picture = i / (SIDE * SIDE), x = i % SIDE, y = i / SIDE % SIDE;
        bytes[16 + i] = (uint8_t)((picture % 2 ? x : y) == picture / 2 % SIDE ? 200 : x * y % 40);
    }
    TEST_OK(gen_file_write(name, bytes, sizeof bytes, &err));
}

char *in_work(const char *name)
{
    static char slots[8][1200];
    static int next;
    char *path = slots[next++ % 8];
    snprintf(path, sizeof slots[0], "%s/%s", work, name);
    return path;
}

void need_binary(void)
{
    static char folder[1024];
    if (!binary()) TEST_SKIP("there is no gen: neither $GEN_BINARY nor in the build folder");
    if (work) return;
    snprintf(folder, sizeof folder, "%s", test_folder());
    work = folder;
    write_data(in_work("bars.idx3-ubyte"));
}

char *read_text(const char *path, char *text)
{
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(text, 1, TEXT_BYTES - 1, file) : 0;
    text[n] = 0;
    if (file) fclose(file);
    return text;
}

/* Words of a command line: separated by spaces, no quotes. */
static void split_words(char *text, char *words[MAX_WORDS])
{
    int n = 1;
    char *rest = NULL;
    words[0] = (char *)(uintptr_t)binary();
    for (char *word = strtok_r(text, " ", &rest); word && n < MAX_WORDS - 1; word = strtok_r(NULL, " ", &rest))
        words[n++] = word;
    words[n] = NULL;
}

/* The child's life: output to files, another user where asked, then the program. */
static void become_gen(const char *command, uid_t user)
{
    char text[4000], *words[MAX_WORDS];
    snprintf(text, sizeof text, "%s", command);
    int out = open(in_work("stdout"), O_WRONLY | O_CREAT | O_TRUNC, 0644),
        err = open(in_work("stderr"), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (out < 0 || err < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 || chdir(work)) _exit(120);
    if (user && (setgid(user) || setuid(user))) _exit(121);
    split_words(text, words);
    execv(words[0], words);
    _exit(122);
}

pid_t start(const char *command, uid_t user)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) become_gen(command, user);
    assert_true(pid > 0);
    return pid;
}

const outcome *wait_for(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    last.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    read_text(in_work("stdout"), last.out);
    read_text(in_work("stderr"), last.err);
    return &last;
}

const outcome *gen(const char *command)
{
    return wait_for(start(command, 0));
}

const outcome *expect_code(const char *command, int code)
{
    const outcome *o = gen(command);
    if (o->code != code)
        fail_msg("gen %s: exit code %d, expected %d; it said: %s%s", command, o->code, code, o->out, o->err);
    return o;
}

void expect_says(const char *command, int code, const char *words)
{
    const outcome *o = expect_code(command, code);
    if (!strstr(o->err, words)) fail_msg("gen %s said \"%s\", expected \"%s\" in it", command, o->err, words);
    size_t n = strlen(o->err);
    if (!n || o->err[n - 1] != '\n' || strchr(o->err, '\n') != o->err + n - 1)
        fail_msg("gen %s: not one line: %s", command, o->err);
}

int exists(const char *name)
{
    return access(in_work(name), F_OK) == 0;
}

double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void sleep_s(double s)
{
    struct timespec t = { (time_t)s, (long)((s - (double)(time_t)s) * 1e9) };
    nanosleep(&t, NULL);
}

void expect_same_file(const char *a, const char *b)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes x, y;
    TEST_OK(gen_file_read(in_work(a), GEN_FILE_ANY_SIZE, arena, &x, &err));
    TEST_OK(gen_file_read(in_work(b), GEN_FILE_ANY_SIZE, arena, &y, &err));
    if (x.size != y.size || memcmp(x.data, y.data, x.size)) fail_msg("%s differs from %s", a, b);
    gen_arena_free(arena);
}

void wait_until_exists(const char *name, double limit_s)
{
    for (double begin = now_s(); now_s() - begin < limit_s; sleep_s(0.005))
        if (exists(name)) return;
    fail_msg("%s did not appear in %g s", name, limit_s);
}

void write_png(const char *name, int32_t w, int32_t h, int32_t channels, int32_t bits)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_image image;
    gen_bytes png;
    TEST_OK(gen_image_new(w, h, channels, bits, arena, &image, &err));
    for (int32_t i = 0; i < w * h * channels; i++)
        if (bits == 16) image.px16[i] = (uint16_t)(i * 997);
        else image.px8[i] = (uint8_t)(i * 31 % 251);
    TEST_OK(gen_png_write(&image, arena, &png, &err));
    TEST_OK(gen_file_write(in_work(name), png.data, png.size, &err));
    gen_arena_free(arena);
}

gen_image read_back(const char *name, gen_arena *arena)
{
    gen_error err = { 0 };
    gen_bytes file;
    gen_image image;
    TEST_OK(gen_file_read(in_work(name), GEN_FILE_ANY_SIZE, arena, &file, &err));
    TEST_OK(gen_image_read(file.data, file.size, arena, &image, &err));
    return image;
}

void check_kills(const char *train, int rounds, int64_t steps, const char *name)
{
    char command[2000], a[200], b[200];
    double begin = now_s();
    snprintf(command, sizeof command, "%s --out %s_whole", train, name);
    expect_code(command, GOOD);
    double whole_s = now_s() - begin;
    int killed = 0;
    srand((unsigned)getpid());
    for (int i = 0; i < rounds; i++) {
        snprintf(a, sizeof a, "%s_killed/config.json", name);
        if (exists(a)) snprintf(command, sizeof command, "train --resume %s_killed --quiet", name);
        else snprintf(command, sizeof command, "%s --out %s_killed", train, name);
        pid_t pid = start(command, 0);
        sleep_s(0.01 + 1.2 * whole_s / rounds * rand() / RAND_MAX);
        kill(pid, SIGKILL);
        int code = wait_for(pid)->code;
        if (code != 128 + SIGKILL && code != GOOD) fail_msg("round %d: exit code %d, it said: %s", i, code, last.err);
        killed += code != GOOD;
    }
    assert_true(killed > 0);
    snprintf(command, sizeof command, "train --resume %s_killed --quiet", name);
    expect_code(command, GOOD);
    printf("  killed %d times; a whole training takes %.1f s\n", killed, whole_s);
    static const char *const parts[] = { "", ".state" };
    for (int part = 0; part < 2; part++) {
        snprintf(a, sizeof a, "%s_whole/checkpoints/step-%08lld%s.safetensors", name, (long long)steps, parts[part]);
        snprintf(b, sizeof b, "%s_killed/checkpoints/step-%08lld%s.safetensors", name, (long long)steps, parts[part]);
        expect_same_file(a, b);
    }
}
