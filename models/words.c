#include "models/words.h"

#include <string.h>

/* 64-bit FNV-1a */
static uint64_t hash(const char *text, size_t length)
{
    uint64_t h = 14695981039346656037ull;
    for (size_t i = 0; i < length; i++) h = (h ^ (uint8_t)text[i]) * 1099511628211ull;
    return h;
}

/* The place of the text, or the free one where it belongs. n_slots is a power of two. */
static int64_t place_of(const gen_words *w, const char *text, size_t length)
{
    int64_t mask = w->n_slots - 1, at = (int64_t)(hash(text, length) & (uint64_t)mask);
    for (; w->slot[at]; at = (at + 1) & mask) {
        const char *other = w->text[w->slot[at] - 1];
        if (!strncmp(other, text, length) && !other[length]) break;
    }
    return at;
}

int64_t gen_words_find(const gen_words *w, const char *text, size_t length)
{
    return w->n_slots ? w->slot[place_of(w, text, length)] - 1 : -1;
}

static int grow(gen_words *w)
{
    int64_t room = w->room ? 2 * w->room : 256;
    gen_words bigger = { .arena = w->arena, .n = w->n, .room = room, .n_slots = 4 * room };
    bigger.text = gen_arena_alloc(w->arena, (size_t)room * sizeof *bigger.text);
    bigger.count = gen_arena_alloc(w->arena, (size_t)room * sizeof *bigger.count);
    bigger.slot = gen_arena_alloc(w->arena, (size_t)bigger.n_slots * sizeof *bigger.slot);
    if (!bigger.text || !bigger.count || !bigger.slot) return 0;
    for (int64_t i = 0; i < w->n; i++) {
        bigger.text[i] = w->text[i];
        bigger.count[i] = w->count[i];
        bigger.slot[place_of(&bigger, w->text[i], strlen(w->text[i]))] = (int32_t)i + 1;
    }
    *w = bigger;
    return 1;
}

int64_t gen_words_add(gen_words *w, const char *text, size_t length)
{
    if (w->n == w->room && !grow(w)) return -1;
    int64_t at = place_of(w, text, length);
    if (!w->slot[at]) {
        char *copy = gen_arena_alloc(w->arena, length + 1);
        if (!copy) return -1;
        memcpy(copy, text, length);
        w->text[w->n++] = copy;
        w->slot[at] = (int32_t)w->n;
    }
    w->count[w->slot[at] - 1]++;
    return w->slot[at] - 1;
}
