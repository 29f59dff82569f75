/* Music as JSON of tokens: what is read becomes notes, and is written and read again. */
#include <stdlib.h>

#include "models/tokens_json.h"

static int read_tokens(const void *text, size_t size, gen_arena *arena, gen_token_piece *p)
{
    gen_json *json;
    if (gen_json_parse(text, size, &json, NULL) != GEN_OK) return 0;
    gen_status status = gen_tokens_from_json(json, arena, p, NULL);
    gen_json_free(json);
    return status == GEN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gen_arena *arena = gen_arena_new();
    gen_token_piece p, again;
    gen_midi_note *notes;
    gen_bytes file;
    size_t n;
    if (read_tokens(data, size, arena, &p)) {
        if (gen_tokens_notes(&p.vocabulary, p.stream.token, p.stream.n, 120, arena, &notes, &n, NULL) != GEN_OK)
            abort();
        if (gen_tokens_to_json(&p, arena, &file, NULL) != GEN_OK) abort();
        if (!read_tokens(file.data, file.size, arena, &again) || again.stream.n != p.stream.n) abort();
    }
    gen_arena_free(arena);
    return 0;
}
