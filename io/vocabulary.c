#include "io/vocabulary.h"

#include <stdbool.h>
#include <string.h>

int64_t gen_vocabulary_find(const gen_vocabulary *v, int32_t field, const char *word)
{
    for (int64_t i = 0; i < v->n_words[field]; i++)
        if (!strcmp(v->word[field][i], word)) return i;
    return -1;
}

int gen_vocabulary_equal(const gen_vocabulary *a, const gen_vocabulary *b)
{
    if (a->n_fields != b->n_fields || (a->n_fields && strcmp(a->tokens, b->tokens) != 0)) return 0;
    for (int32_t f = 0; f < a->n_fields; f++) {
        if (a->n_words[f] != b->n_words[f]) return 0;
        for (int64_t i = 0; i < a->n_words[f]; i++)
            if (strcmp(a->word[f][i], b->word[f][i]) != 0) return 0;
    }
    return 1;
}

void gen_vocabulary_put(const gen_vocabulary *v, const char *key, gen_json_out *out)
{
    gen_json_open(out, key, '{');
    gen_json_put_string(out, "tokens", v->tokens);
    gen_json_open(out, "fields", '[');
    for (int32_t f = 0; f < v->n_fields; f++) {
        gen_json_open(out, NULL, '{');
        gen_json_put_string(out, "name", v->field[f]);
        gen_json_open(out, "words", '[');
        for (int64_t i = 0; i < v->n_words[f]; i++) gen_json_put_string(out, NULL, v->word[f][i]);
        gen_json_close(out, ']');
        gen_json_close(out, '}');
    }
    gen_json_close(out, ']');
    gen_json_close(out, '}');
}

gen_status gen_vocabulary_write(const gen_vocabulary *v, gen_arena *arena, gen_bytes *text, gen_error *err)
{
    gen_json_out out = { .arena = arena };
    gen_vocabulary_put(v, NULL, &out);
    return gen_json_finish(&out, text, err);
}

gen_status gen_vocabulary_copy(const gen_vocabulary *from, gen_arena *arena, gen_vocabulary *to, gen_error *err)
{
    gen_vocabulary copy = *from;
    copy.tokens = gen_arena_strdup(arena, from->tokens);
    bool room = copy.tokens != NULL;
    for (int32_t f = 0; f < from->n_fields && room; f++) {
        const char **list = gen_arena_alloc(arena, (size_t)from->n_words[f] * sizeof *list);
        copy.field[f] = gen_arena_strdup(arena, from->field[f]);
        room = list && copy.field[f];
        for (int64_t i = 0; room && i < from->n_words[f]; i++) {
            list[i] = gen_arena_strdup(arena, from->word[f][i]);
            room = list[i] != NULL;
        }
        copy.word[f] = list;
    }
    if (!room) return gen_fail(err, GEN_NO_MEMORY, "no memory for a vocabulary");
    *to = copy;
    return GEN_OK;
}

static gen_status read_field(const gen_json *json, int32_t f, gen_arena *arena, gen_vocabulary *v, gen_error *err)
{
    const char *name;
    int64_t n = 0;
    GEN_TRY(gen_json_string(json, "name", &name, err));
    const gen_json *words = gen_json_get(json, "words");
    for (const gen_json *item = words ? gen_json_first(words) : NULL; item; item = gen_json_next(item)) n++;
    if (n < 2 || n > GEN_MAX_WORDS)
        return gen_fail(err, GEN_BAD_FILE, "field %s of the vocabulary has %lld words, expected 2 to %d", name,
                        (long long)n, GEN_MAX_WORDS);
    const char **list = gen_arena_alloc(arena, (size_t)n * sizeof *list);
    v->field[f] = gen_arena_strdup(arena, name);
    if (!list || !v->field[f]) return gen_fail(err, GEN_NO_MEMORY, "no memory for a vocabulary");
    n = 0;
    for (const gen_json *item = gen_json_first(words); item; item = gen_json_next(item)) {
        const char *text = gen_json_text(item);
        if (!text) return gen_fail(err, GEN_BAD_FILE, "word %lld of field %s is no text", (long long)n, name);
        list[n] = gen_arena_strdup(arena, text);
        if (!list[n++]) return gen_fail(err, GEN_NO_MEMORY, "no memory for a vocabulary");
    }
    v->word[f] = list;
    v->n_words[f] = n;
    return GEN_OK;
}

static gen_status read_fields(const gen_json *json, gen_arena *arena, gen_vocabulary *v, gen_error *err)
{
    const char *tokens;
    GEN_TRY(gen_json_string(json, "tokens", &tokens, err));
    const gen_json *fields = gen_json_get(json, "fields");
    v->tokens = gen_arena_strdup(arena, tokens);
    if (!v->tokens) return gen_fail(err, GEN_NO_MEMORY, "no memory for a vocabulary");
    for (const gen_json *item = fields ? gen_json_first(fields) : NULL; item; item = gen_json_next(item)) {
        if (v->n_fields == GEN_MAX_FIELDS)
            return gen_fail(err, GEN_BAD_FILE, "the vocabulary has more than %d fields", GEN_MAX_FIELDS);
        GEN_TRY(read_field(item, v->n_fields, arena, v, err));
        v->n_fields++;
    }
    return v->n_fields ? GEN_OK : gen_fail(err, GEN_BAD_FILE, "the vocabulary has no fields");
}

gen_status gen_vocabulary_get(const gen_json *json, gen_arena *arena, gen_vocabulary *v, gen_error *err)
{
    gen_vocabulary read = { 0 };
    if (!json) return gen_fail(err, GEN_BAD_FILE, "there is no vocabulary");
    GEN_TRY(read_fields(json, arena, &read, err));
    *v = read;
    return GEN_OK;
}

gen_status gen_vocabulary_read(const void *text, size_t size, gen_arena *arena, gen_vocabulary *v, gen_error *err)
{
    gen_json *json = NULL;
    GEN_TRY(gen_json_parse(text, size, &json, err));
    gen_status status = gen_vocabulary_get(json, arena, v, err);
    gen_json_free(json);
    return status;
}
