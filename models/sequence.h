/* models/sequence.h: networks that learn what comes next in a stream of tokens: LSTM or GRU, one field or two (pitch and duration), shared by the models
 * music and text.
 *
 * x [N,T+1,1,F] holds windows: row 0 is the token before, rows 1 to T are what is to be said. A row of -1 lies beyond the end of a piece and counts for
 * nothing. With attention only the last row is to be said, from the T before (D. Foster, Generative Deep Learning, 1st ed., ch. 7). Without, the state of
 * row N n goes on in row n of the next batch, unless its row 0 is the border: truncated backpropagation through time (Williams & Peng 1990). The state is
 * kept as parameters "carry<N>.…", so a checkpoint holds it, and a resumed training has the bits of one that was not stopped.
 */
#ifndef GEN_MODELS_SEQUENCE_H
#define GEN_MODELS_SEQUENCE_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The options of both models. */
typedef struct gen_sequence_options {
    const char *tokens, *cell;
    int64_t layers, hidden, embed, window, attention, bidirectional;
    int64_t transpose, one_key, max_words;
    double dropout, stretch;
} gen_sequence_options;

#define GEN_SEQUENCE_TOKENS_MUSIC "pairs|performance|beats|melody"
#define GEN_SEQUENCE_TOKENS_TEXT "chars|words"

/* Rows of both models' option tables; the others are for one of them. DROPOUT: its default. */
// clang-format off
#define GEN_SEQUENCE_OPTION_ROWS(DROPOUT) \
    { "cell",      OPT_CHOICE, offsetof(gen_sequence_options, cell),    "lstm", 0, 0, "lstm|gru", NULL, "of the recurrent layers", 0 }, \
    { "layers",    OPT_INT,    offsetof(gen_sequence_options, layers),  "2",    1, 8, NULL, NULL, "one above the other", 0 }, \
    { "hidden",    OPT_INT,    offsetof(gen_sequence_options, hidden),  "256",  1, 4096, NULL, "units", "of each layer", 0 }, \
    { "embed",     OPT_INT,    offsetof(gen_sequence_options, embed),   "64",   1, 4096, NULL, "numbers", "that stand for a token, for each of its fields", 0 }, \
    { "window",    OPT_INT,    offsetof(gen_sequence_options, window),  "64",   2, 8192, NULL, "tokens", "that gradients go back through", 0 }, \
    { "dropout",   OPT_FLOAT,  offsetof(gen_sequence_options, dropout), DROPOUT, 0, 0.95, NULL, NULL, "between layers", 0 },
// clang-format on

int32_t gen_sequence_fields(const gen_sequence_options *o); /* F */
/* Does the state go on from batch to batch? Then windows are laid out as streams (models/data_tokens.h). */
bool gen_sequence_carries(const gen_sequence_options *o);

/* The graphs of gen_model. eval: loss [N] in nats a token (both fields together), of two fields also that of each, accuracy, and weight [N], the tokens
 * that a window has. */
void gen_sequence_train(gen_graph *g, const gen_model_context *m);
void gen_sequence_eval(gen_graph *g, const gen_model_context *m);
/* What comes next: x [N,T,1,F] -> "logits0" [N,V0], with two fields "logits1" [N,V1]; T is 1 where the state is carried, else the window. With attention
 * also "attention" [N,T]. */
void gen_sequence_next(gen_graph *g, const gen_model_context *m);
gen_status gen_sequence_check(const gen_model_context *m, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
