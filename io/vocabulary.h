/* io/vocabulary.h: the words that the numbers of a token stream stand for. A stream has one field or two, such as pitch and duration, each with words of
 * its own. Word 0 of each field is the border: what stands before the first token of a piece and behind its last.
 *
 *     gen_vocabulary v = { .tokens = "chars", .n_fields = 1 };
 *     GEN_TRY(gen_vocabulary_write(&v, arena, &text, err));              // what config.json and every checkpoint hold
 *     GEN_TRY(gen_vocabulary_read(text.data, text.size, arena, &v, err));
 */
#ifndef GEN_IO_VOCABULARY_H
#define GEN_IO_VOCABULARY_H

#include "io/json.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEN_MAX_FIELDS = 2, GEN_MAX_WORDS = 1 << 20, GEN_BORDER = 0 };

typedef struct gen_vocabulary {
    const char
        *tokens; /* which tokens: "pairs", "performance", "beats", "melody", "chars", "words"; NULL: there are none */
    int32_t n_fields;
    const char *field[GEN_MAX_FIELDS];       /* names, for people: "pitch", "duration" */
    int64_t n_words[GEN_MAX_FIELDS];         /* the border too */
    const char *const *word[GEN_MAX_FIELDS]; /* [n_words]; NULL where only the sizes are known */
} gen_vocabulary;

/* Number of a word; -1: there is none such. Takes a time proportional to the vocabulary. */
int64_t gen_vocabulary_find(const gen_vocabulary *v, int32_t field, const char *word);
/* Are all words equal, in the same order? */
int gen_vocabulary_equal(const gen_vocabulary *a, const gen_vocabulary *b);

/* As a member of a JSON object that is being written, NULL: as all of it; and read from one, NULL where there is none. */
void gen_vocabulary_put(const gen_vocabulary *v, const char *key, gen_json_out *out);
gen_status gen_vocabulary_get(const gen_json *json, gen_arena *arena, gen_vocabulary *v, gen_error *err);
/* With words of its own in the arena. */
gen_status gen_vocabulary_copy(const gen_vocabulary *from, gen_arena *arena, gen_vocabulary *to, gen_error *err);

/* One JSON object; the arena keeps the text, which ends with a zero. */
gen_status gen_vocabulary_write(const gen_vocabulary *v, gen_arena *arena, gen_bytes *text, gen_error *err);
/* GEN_BAD_FILE says what is wrong; a field without words, more fields or words than there may be are. Words live in the arena. */
gen_status gen_vocabulary_read(const void *text, size_t size, gen_arena *arena, gen_vocabulary *v, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
