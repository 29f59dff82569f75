/* Music as a stream of tokens, of which a recurrent network learns what comes next (models/sequence.h).
 *
 *   pairs         pitch or chord, and duration: two fields, each with a softmax (D. Foster, Generative Deep Learning, 1st ed., ch. 7)
 *   performance   note on, note off, time in 10 ms, velocity: 388 events (Simon & Oore 2017, Performance RNN)
 *   beats         the same with time in 24ths of a quarter, for music in metre
 *   melody        one voice in 16ths: go on, note off, 36 pitches (Magenta's Melody RNN)
 *
 * Deviations from GDL's Keras layers: PyTorch's LSTM has two biases where Keras' has one (of 4 x 256 numbers each), its gates are sigmoids where Keras 2.2
 * had straight lines, and its forget bias starts near 0 where theirs was 1.
 */
#include "models/sequence.h"

#define S(field) offsetof(gen_sequence_options, field)

// clang-format off
static const gen_option options[] = {
    { "tokens",    OPT_CHOICE, S(tokens),    "beats", 0, 0, GEN_SEQUENCE_TOKENS_MUSIC, NULL, "what a piece is taken apart into", 0 },
    GEN_SEQUENCE_OPTION_ROWS("0")
    { "attention", OPT_BOOL,   S(attention), "0",    0, 1, NULL, NULL, "say only what follows a window, from a weighted mean of its states, and carry no state on", 0 },
    { "transpose", OPT_INT,    S(transpose), "0",    0, 6, NULL, "semitones", "up and down that each training piece is also heard", 0 },
    { "one-key",   OPT_BOOL,   S(one_key),   "0",    0, 1, NULL, NULL, "hear every piece in C major or A minor, whatever its key (Krumhansl) is", 0 },
    { "stretch",   OPT_FLOAT,  S(stretch),   "0",    0, 0.5, NULL, NULL, "part by which each training piece is also slower and faster (performance only)", 0 },
    GEN_OPTIONS_END
};

static const gen_preset presets[] = {
    { "gdl-cello", "tokens=pairs attention=1 layers=2 hidden=256 embed=100 window=32 dropout=0 transpose=0 one-key=0 batch=32 optimiser=rmsprop rho=0.9 lr=1e-3 clip-norm=0 schedule=constant epochs=20",
      "D. Foster, Generative Deep Learning, 1st ed., 07_02: LSTM with attention on the cello suites", "chorales" },
    { "performance-rnn", "tokens=performance layers=3 hidden=512 embed=256 window=256 dropout=0 batch=64 lr=1e-3 clip-norm=3 transpose=3 one-key=0 stretch=0.05 schedule=constant epochs=50",
      "Simon & Oore 2017, Performance RNN: 388 events, three LSTM of 512", "" },
    { "melody-rnn", "tokens=melody layers=2 hidden=128 embed=38 window=64 dropout=0.5 batch=128 lr=1e-3 clip-norm=5 one-key=1 schedule=constant epochs=50",
      "Magenta, Melody RNN (basic): 38 classes, two LSTM of 128", "" },
    { "bench-lstm", "tokens=pairs attention=1 layers=2 hidden=256 embed=100 window=32 dropout=0 transpose=0 one-key=0 batch=32 optimiser=rmsprop lr=1e-3 clip-norm=0 schedule=constant",
      "the LSTM with attention that training speed is compared on", "" },
    GEN_PRESETS_END
};
// clang-format on

const gen_model gen_model_music = {
    .name = "music",
    .summary = "recurrent network for music: LSTM or GRU, with attention if wanted",
    .paper = "Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735",
    .options = options,
    .options_bytes = sizeof(gen_sequence_options),
    .presets = presets,
    .defaults = "batch=32 lr=2e-3 schedule=cosine epochs=40 clip-norm=1 one-key=1 dropout=0.3",
    .data = "chorales",
    .things = "tokens",
    .tokens = GEN_TOKENS_MUSIC,
    .check = gen_sequence_check,
    .train = gen_sequence_train,
    .eval = gen_sequence_eval,
    .next = gen_sequence_next,
};
