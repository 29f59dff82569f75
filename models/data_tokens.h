/* models/data_tokens.h: pieces of music or text as windows of tokens, which a data set holds as pictures of floats: x[N,T+1,1,F], see models/sequence.h.
 *
 *     gen_corpus corpus;
 *     GEN_TRY(gen_corpus_open(&settings, NULL, arena, &corpus, err));        // every piece as tokens
 *     GEN_TRY(gen_data_open_tokens(&settings, arena, &data, err));           // and cut into windows
 *
 * Windows of a model that carries its state lie so that batch b of the training split is rows b N to b N + N - 1, and row n of it goes on where row n of
 * batch b - 1 ended: N streams side by side, of whole pieces, or of parts of long ones. The validation and test splits have GEN_EVAL_BATCH streams.
 * Windows of a model with attention are all those that a piece has, one token apart, the first behind borders alone.
 */
#ifndef GEN_MODELS_DATA_TOKENS_H
#define GEN_MODELS_DATA_TOKENS_H

#include "models/settings.h"
#include "models/tokens.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_piece {
    const char *name;
    gen_split split;
    gen_stream stream;
    bool changed; /* a copy of another piece, transposed or stretched */
} gen_piece;

typedef struct gen_corpus {
    const char *name; /* fit for a folder's name */
    gen_vocabulary vocabulary;
    gen_piece *piece; /* [n] */
    int64_t n, room;
    int64_t n_unknown; /* tokens that the vocabulary has not */
    int64_t n_skipped; /* files that cannot be read (--skip-bad), or hold no notes */
} gen_corpus;

/* settings->train.data, or the model's own: for music a folder of MIDI files (with folders train, valid or validation, test; else of ten files by name the
 * ninth is to test, the tenth for validation) or one; for text a file of UTF-8, of which the last two twentieths validate and test, or a folder of them.
 * settings->vocabulary: whose words they are; NULL: they are learned. changed: also the transposed and stretched copies of training pieces. */
gen_status gen_corpus_open(const gen_settings *settings, bool changed, gen_arena *arena, gen_corpus *out,
                           gen_error *err);

/* Semitones up to C major or A minor, whichever is the piece's mode, the shorter way (-5 to 6): --one-key. */
int32_t gen_to_one_key(const gen_midi_score *score);

gen_status gen_data_open_tokens(const gen_settings *settings, gen_arena *arena, gen_dataset *data, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
