/* What verbs ask of the machine: the time, whether somebody pressed Ctrl-C, how much memory there is. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/file.h"
#include "models/cost.h"
#include "tools/cli/cli.h"

double cli_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Ctrl-C -------------------------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t stop_requested;

static void on_signal(int number)
{
    if (stop_requested) _exit(128 + number);
    stop_requested = 1;
}

const volatile sig_atomic_t *cli_catch_stop(void)
{
    struct sigaction action = { .sa_handler = on_signal };
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return &stop_requested;
}

/* ---- memory -------------------------------------------------------------------------------------------------------------------- */

/* A number of kB behind a word of a file of /proc, in bytes; 0: unknown */
static size_t kilobytes(const char *file, const char *word)
{
    gen_bytes text;
    gen_arena *arena = gen_arena_new();
    size_t bytes = 0;
    if (arena && gen_file_read_start(file, 4096, arena, &text, NULL) == GEN_OK) {
        const char *found = strstr((const char *)text.data, word);
        bytes = found ? 1024 * (size_t)strtoull(found + strlen(word), NULL, 10) : 0;
    }
    gen_arena_free(arena);
    return bytes;
}

size_t cli_used_bytes(void)
{
    return kilobytes("/proc/self/status", "VmRSS:");
}

gen_status cli_memory_limit(const char *text, size_t *bytes, gen_error *err)
{
    if (*text) return gen_bytes_parse("memory", text, bytes, err);
    size_t available = kilobytes("/proc/meminfo", "MemAvailable:");
    *bytes = available ? available + cli_used_bytes() : 0;
    return GEN_OK;
}
