/* Text as a stream of characters or words, of which a recurrent network learns what comes next (models/sequence.h); Mikolov et al. 2010, "Recurrent neural
 * network based language model". Perplexity is e^loss, the loss in nats a token.
 *
 * With --bidirectional it learns what stands between: each token from all before it in the window, by one stack of layers, and all behind it, by another
 * (as Peters et al. 2018, arXiv:1802.05365, build their biLM, whose two directions never see the token itself). Such a network cannot go on with a text.
 */
#include "models/sequence.h"

#define S(field) offsetof(gen_sequence_options, field)

// clang-format off
static const gen_option options[] = {
    { "tokens",    OPT_CHOICE, S(tokens),    "chars", 0, 0, GEN_SEQUENCE_TOKENS_TEXT, NULL, "what the text is taken apart into", 0 },
    { "max-words", OPT_INT,    S(max_words), "10000", 2, 1000000, NULL, "words", "of the vocabulary, the most frequent ones; others are read as unknown", 0 },
    GEN_SEQUENCE_OPTION_ROWS("0.1")
    { "bidirectional", OPT_BOOL, S(bidirectional), "0", 0, 1, NULL, NULL, "learn what stands between, not what comes next", 0 },
    GEN_OPTIONS_END
};

static const gen_preset presets[] = {
    { "char-rnn", "tokens=chars cell=lstm layers=2 hidden=128 embed=64 window=50 dropout=0 batch=50 optimiser=rmsprop rho=0.95 lr=2e-3 schedule=step decay-epochs=10 decay-factor=0.5 epochs=50",
      "A. Karpathy, char-rnn (2015), its defaults: two LSTM of 128, sequences of 50", "" },
    { "word-lstm", "tokens=words max-words=10000 layers=2 hidden=200 embed=200 window=20 dropout=0 batch=20 optimiser=sgd lr=1 clip-norm=5 schedule=constant epochs=13",
      "Zaremba et al. 2014, arXiv:1409.2329, the small network", "" },
    { "bi-lstm", "tokens=chars bidirectional=1 layers=1 hidden=128 embed=64 window=64 batch=32", "what stands between, from both sides", "" },
    GEN_PRESETS_END
};
// clang-format on

const gen_model gen_model_text = {
    .name = "text",
    .summary = "recurrent network for text, of characters or words",
    .paper = "Mikolov et al. 2010, Interspeech, pp. 1045-1048",
    .options = options,
    .options_bytes = sizeof(gen_sequence_options),
    .presets = presets,
    .defaults = "batch=32 lr=2e-3 schedule=cosine epochs=10 clip-norm=1",
    .data = "",
    .things = "tokens",
    .tokens = GEN_TOKENS_TEXT,
    .check = gen_sequence_check,
    .train = gen_sequence_train,
    .eval = gen_sequence_eval,
    .next = gen_sequence_next,
};
