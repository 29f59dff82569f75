#include "models/tokens_json.h"

#include <string.h>

static void put_word(gen_json_out *out, const gen_token_piece *p, int64_t i, int32_t field)
{
    const gen_vocabulary *v = &p->vocabulary;
    gen_json_put_string(out, NULL, v->word[field][p->stream.token[i * v->n_fields + field]]);
}

gen_status gen_tokens_to_json(const gen_token_piece *p, gen_arena *arena, gen_bytes *text, gen_error *err)
{
    gen_json_out out = { .arena = arena };
    int32_t fields = p->vocabulary.n_fields;
    gen_json_open(&out, NULL, '{');
    gen_json_put_string(&out, "tokens", p->vocabulary.tokens);
    if (p->quarters_per_minute > 0) gen_json_put_double(&out, "quarters_per_minute", p->quarters_per_minute);
    gen_json_open(&out, "stream", '[');
    for (int64_t i = 0; i < p->stream.n; i++) {
        if (fields > 1) gen_json_open(&out, NULL, '[');
        for (int32_t f = 0; f < fields; f++) put_word(&out, p, i, f);
        if (fields > 1) gen_json_close(&out, ']');
    }
    gen_json_close(&out, ']');
    gen_vocabulary_put(&p->vocabulary, "vocabulary", &out);
    gen_json_close(&out, '}');
    return gen_json_finish(&out, text, err);
}

/* ---- and back ----------------------------------------------------------------------------------------------------------------- */

/* Fixed vocabularies have the word or have it not; pairs learn it, where it is one. -1: it is no word. */
static int64_t number_of(gen_tokeniser *t, int32_t field, const char *word)
{
    size_t length = strlen(word);
    if (t->closed) return gen_words_find(&t->field[field], word, length);
    bool is_word = field ? gen_pairs_is_duration(word) : gen_pairs_is_chord(word);
    return is_word ? gen_words_add(&t->field[field], word, length) : -1;
}

static gen_status take_word(gen_tokeniser *t, int32_t field, const char *word, int64_t number, int32_t *id,
                            gen_error *err)
{
    static const char *const pair[] = { "chord", "duration" };
    int64_t found = number_of(t, field, word);
    *id = (int32_t)found;
    if (found > GEN_BORDER) return GEN_OK;
    return gen_fail(err, GEN_BAD_FILE, "JSON: token %lld of the stream: \"%.40s\" is no %s of %s", (long long)number,
                    word, t->n_fields > 1 ? pair[field] : "word", t->kind);
}

static gen_status take_token(gen_tokeniser *t, const gen_json *json, int64_t number, gen_stream *stream, gen_error *err)
{
    int32_t id = 0;
    const char *word = gen_json_text(json);
    if (!word)
        return gen_fail(err, GEN_BAD_FILE, "JSON: token %lld of the stream is no text, such as \"%s\"",
                        (long long)number, t->field[0].text[1]);
    GEN_TRY(take_word(t, 0, word, number, &id, err));
    return gen_stream_put(t, stream, id, 0, err);
}

static gen_status take_pair(gen_tokeniser *t, const gen_json *json, int64_t number, gen_stream *stream, gen_error *err)
{
    int32_t id[2] = { 0 };
    const gen_json *chord = gen_json_first(json), *duration = chord ? gen_json_next(chord) : NULL;
    bool two = duration && !gen_json_next(duration) && gen_json_text(chord) && gen_json_text(duration);
    if (!two)
        return gen_fail(err, GEN_BAD_FILE,
                        "JSON: token %lld of the stream is no list of a chord and its duration, such as [\"C4.E4\", "
                        "\"1/2\"]",
                        (long long)number);
    GEN_TRY(take_word(t, 0, gen_json_text(chord), number, &id[0], err));
    GEN_TRY(take_word(t, 1, gen_json_text(duration), number, &id[1], err));
    return gen_stream_put(t, stream, id[0], id[1], err);
}

/* Of the program's own texts, which outlive the JSON; NULL before. */
static gen_status take_kind(const gen_json *json, const char **kind, gen_error *err)
{
    static const char *const kinds[] = { "pairs", "performance", "beats", "melody" };
    const char *text;
    GEN_TRY(gen_json_string(json, "tokens", &text, err));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(text, kinds[i])) *kind = kinds[i];
    if (*kind) return GEN_OK;
    return gen_fail(err, GEN_BAD_FILE, "JSON: tokens of kind %.40s; music is of pairs, performance, beats or melody",
                    text);
}

gen_status gen_tokens_from_json(const gen_json *json, gen_arena *arena, gen_token_piece *out, gen_error *err)
{
    const char *kind = NULL;
    gen_tokeniser *t = gen_arena_alloc(arena, sizeof *t); /* the vocabulary points into it */
    gen_token_piece p = { 0 };
    if (!t) return gen_fail(err, GEN_NO_MEMORY, "no memory for tokens");
    GEN_TRY(take_kind(json, &kind, err));
    GEN_TRY(gen_tokeniser_start(t, kind, NULL, arena, err));
    const gen_json *stream = gen_json_get(json, "stream");
    if (!stream || !gen_json_is_array(stream))
        return gen_fail(err, GEN_BAD_FILE, "JSON: a list of tokens called stream was expected");
    if (gen_json_get(json, "quarters_per_minute")) {
        GEN_TRY(gen_json_double(json, "quarters_per_minute", &p.quarters_per_minute, err));
        if (!gen_midi_can_say_tempo(p.quarters_per_minute))
            return gen_fail(err, GEN_BAD_FILE, "JSON: a tempo of %g quarters a minute; MIDI says 3.6 to 60 million",
                            p.quarters_per_minute);
    }
    int64_t number = 1;
    for (const gen_json *token = gen_json_first(stream); token; token = gen_json_next(token), number++)
        GEN_TRY((t->n_fields > 1 ? take_pair : take_token)(t, token, number, &p.stream, err));
    p.vocabulary = gen_tokeniser_vocabulary(t);
    *out = p;
    return GEN_OK;
}
