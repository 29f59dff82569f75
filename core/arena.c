/* Arenas: a list of blocks, each twice the size of the one before; freed as a whole. */
#define _DEFAULT_SOURCE /* madvise */
#include "core/gen.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 * 1024 * 1024, ALIGN = 64, FIRST_BLOCK = 16 * 1024, LARGEST_BLOCK = 4 * 1024 * 1024 };

typedef struct block {
    struct block *next;
    size_t used, size; /* bytes after the header */
} block;

struct gen_arena {
    block *top;
    size_t used, next_size;
};

static _Atomic uint64_t alloc_count, alloc_fail_at;

/* Kernels walk through many rows at once, each on a page of its own: with pages of 2 MB the processor need not look up where those are. Whatever does
 * not fill such a page stays on small ones, so nothing gets larger; a system that has none answers with an error, which harms nobody. */
static void ask_for_huge_pages(void *p, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#else
    (void)p, (void)bytes;
#endif
}

void *gen_alloc(size_t count, size_t size)
{
    uint64_t n = atomic_fetch_add(&alloc_count, 1) + 1;
    uint64_t fail = atomic_load(&alloc_fail_at);
    if (fail && n >= fail) return NULL;
    if (size && count > (SIZE_MAX - ALIGN) / size) return NULL;
    size_t bytes = (count * size + ALIGN - 1) / ALIGN * ALIGN;
    if (!bytes) bytes = ALIGN;
    void *p = NULL;
    if (posix_memalign(&p, bytes < HUGE_PAGE ? ALIGN : HUGE_PAGE, bytes)) return NULL;
    if (bytes >= HUGE_PAGE) ask_for_huge_pages(p, bytes);
    return memset(p, 0, bytes);
}

void gen_free(void *p)
{
    free(p);
}

uint64_t gen_alloc_count(void)
{
    return atomic_load(&alloc_count);
}

void gen_alloc_fail_at(uint64_t n)
{
    atomic_store(&alloc_fail_at, n ? atomic_load(&alloc_count) + n : 0);
}

gen_arena *gen_arena_new(void)
{
    gen_arena *arena = gen_alloc(1, sizeof *arena);
    if (arena) arena->next_size = FIRST_BLOCK;
    return arena;
}

void gen_arena_free(gen_arena *arena)
{
    if (!arena) return;
    for (block *b = arena->top, *next; b; b = next) {
        next = b->next;
        gen_free(b);
    }
    gen_free(arena);
}

void *gen_arena_alloc(gen_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2) return NULL;
    size_t rounded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (!rounded) rounded = ALIGN;
    if (!arena->top || arena->top->size - arena->top->used < rounded) {
        size_t size = rounded > arena->next_size ? rounded : arena->next_size;
        block *b = gen_alloc(1, ALIGN + size); /* zeroed: so are the blocks cut from it */
        if (!b) return NULL;
        b->size = size;
        b->next = arena->top;
        arena->top = b;
        if (arena->next_size < LARGEST_BLOCK) arena->next_size *= 2;
    }
    void *p = (char *)arena->top + ALIGN + arena->top->used;
    arena->top->used += rounded;
    arena->used += rounded;
    return p;
}

char *gen_arena_strdup(gen_arena *arena, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = gen_arena_alloc(arena, n);
    return copy ? memcpy(copy, text, n) : NULL;
}

char *gen_arena_printf(gen_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : gen_arena_alloc(arena, (size_t)n + 1);
    if (!text) return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    return text;
}

size_t gen_arena_used(const gen_arena *arena)
{
    return arena->used;
}
