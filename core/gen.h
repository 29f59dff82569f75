/* core/gen.h: status, error and arena: the one header that every other header includes.
 *
 *     gen_error err = {0};
 *     gen_arena *arena = gen_arena_new();
 *     float *x = gen_arena_alloc(arena, n * sizeof *x);
 *     if (!x) return gen_fail(&err, GEN_NO_MEMORY, "%zu bytes for the batch", n * sizeof *x);
 *     gen_arena_free(arena);
 */
#ifndef GEN_CORE_GEN_H
#define GEN_CORE_GEN_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GEN_VERSION "0.1.0"

// clang-format off
#define GEN_STATUS_LIST(X)                                                        \
    X(OK,          "no error")                                                    \
    X(BAD_SHAPE,   "tensor shapes do not fit together")                           \
    X(BAD_FILE,    "a file is damaged or of an unknown kind")                     \
    X(BAD_OPTION,  "an option or argument is wrong")                              \
    X(IO,          "reading or writing failed")                                   \
    X(NOT_FOUND,   "something named does not exist")                              \
    X(NO_MEMORY,   "memory ran out")                                              \
    X(NO_DEVICE,   "a device or a library is not there")                          \
    X(UNSUPPORTED, "this is valid, but not something gen can do")                 \
    X(NOT_FINITE,  "a number became infinite or not a number")                    \
    X(BUSY,        "somebody else is using it")                                   \
    X(STOPPED,     "stopped on request")
// clang-format on

typedef enum gen_status {
#define X(id, text) GEN_##id,
    GEN_STATUS_LIST(X)
#undef X
} gen_status;

/* The code is for callers, the text for people: what was expected, what was found, where, what to do. */
typedef struct gen_error {
    gen_status status;
    char text[400];
} gen_error;

#if defined(__GNUC__)
#define GEN_PRINTF(format_index, first_arg) __attribute__((format(printf, format_index, first_arg)))
#else
#define GEN_PRINTF(format_index, first_arg)
#endif

/* Records a failure in err (may be NULL) and returns status. The first failure wins: later calls keep the text. */
gen_status gen_fail(gen_error *err, gen_status status, const char *format, ...) GEN_PRINTF(3, 4);

#ifdef __clang_analyzer__ /* it sees one file at a time, and would think that gen_fail may return GEN_OK */
#define gen_fail(err, status, ...) (gen_fail(err, status, __VA_ARGS__), (status))
#endif

/* The text of a status, for messages that have no gen_error. */
const char *gen_status_text(gen_status status);

/* Returns from the enclosing function if call fails; for functions that have nothing to release. */
#define GEN_TRY(call)                                                                                                  \
    do {                                                                                                               \
        gen_status try_status_ = (call);                                                                               \
        if (try_status_ != GEN_OK) return try_status_;                                                                 \
    } while (0)

/* Memory that dies as a whole. Blocks are zeroed and aligned to 64 bytes. */
typedef struct gen_arena gen_arena;

gen_arena *gen_arena_new(void);        /* NULL when memory ran out */
void gen_arena_free(gen_arena *arena); /* accepts NULL */

/* Zeroed bytes, 64-byte aligned, valid until the arena is freed. NULL when memory ran out; 0 bytes give a valid pointer. */
void *gen_arena_alloc(gen_arena *arena, size_t bytes);

/* Copies of strings into the arena; NULL when memory ran out. */
char *gen_arena_strdup(gen_arena *arena, const char *text);
char *gen_arena_printf(gen_arena *arena, const char *format, ...) GEN_PRINTF(2, 3);

/* Bytes handed out so far (for tests and --explain-memory). */
size_t gen_arena_used(const gen_arena *arena);

/* Every heap allocation of the library passes here. Zeroed; NULL when memory ran out. */
void *gen_alloc(size_t count, size_t size);
void gen_free(void *block);

/* Test hooks: number of gen_alloc calls so far; fail the n-th call from now on (0 = never). */
uint64_t gen_alloc_count(void);
void gen_alloc_fail_at(uint64_t n);

#ifdef __cplusplus
}
#endif
#endif
