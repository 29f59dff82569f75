/* models/tokens_json.h: a piece of music as a JSON object of tokens, for people and for programs elsewhere:
 *
 *     {"tokens":"melody","quarters_per_minute":90,"stream":["C4","on","on","on","E4","on","off"],"vocabulary":{..}}
 *
 * Of pairs each token is a list: ["C4.E4","1/2"]. Words say everything. The vocabulary, as config.json of a run has it, gives each its number: that of its
 * place. Reading does not look at it.
 *
 *     GEN_TRY(gen_tokens_to_json(&piece, arena, &file, err));
 *     GEN_TRY(gen_tokens_from_json(json, arena, &piece, err));
 */
#ifndef GEN_MODELS_TOKENS_JSON_H
#define GEN_MODELS_TOKENS_JSON_H

#include "models/tokens.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_token_piece {
    gen_vocabulary vocabulary;
    gen_stream stream;
    double quarters_per_minute; /* 0: it says none, as performance, whose times are seconds */
} gen_token_piece;

gen_status gen_tokens_to_json(const gen_token_piece *piece, gen_arena *arena, gen_bytes *text, gen_error *err);
/* GEN_BAD_FILE: which token is no word of its kind, or what else is missing. The piece lives in the arena. */
gen_status gen_tokens_from_json(const gen_json *json, gen_arena *arena, gen_token_piece *piece, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
