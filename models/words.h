/* models/words.h: texts as numbers: each new text gets the next number. */
#ifndef GEN_MODELS_WORDS_H
#define GEN_MODELS_WORDS_H

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_words {
    gen_arena *arena;  /* the only field to set */
    const char **text; /* [n] */
    int64_t *count;    /* [n]: how often each was added */
    int64_t n, room;
    int32_t *slot; /* hash table of numbers + 1 */
    int64_t n_slots;
} gen_words;

/* Number of the text, which is added when it is new; -1: no memory. */
int64_t gen_words_add(gen_words *words, const char *text, size_t length);
int64_t gen_words_find(const gen_words *words, const char *text, size_t length); /* -1: there is none */

#ifdef __cplusplus
}
#endif
#endif
