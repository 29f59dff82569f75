/* The option table and the parser of command lines. */
#include <string.h>

#include "core/option.h"
#include "models/sequence.h"
#include "models/style.h"
#include "tools/cli/cli.h"

#define O(field) offsetof(cli_options, field)

// clang-format off
const gen_option cli_option_rows[] = {
    { "output",         OPT_STRING, O(output),     "",     0, 0, NULL, "FILE", "what the verb writes (also -o); of many pictures a grid (.png), an array (.npy), or a folder (name/)", 0 },
    { "data",           OPT_STRING, O(data),       "",     0, 0, NULL, NULL, "other data than the run was trained on", 0 },
    { "resume",         OPT_STRING, O(resume),     "",     0, 0, NULL, "RUN", "go on with a run; no other option is needed", 0 },
    { "preset",         OPT_STRING, O(preset),     "",     0, 0, NULL, NULL, "a published configuration (gen list shows them)", 0 },
    { "checkpoint",     OPT_STRING, O(checkpoint), "best-or-latest", 0, 0, NULL, NULL, "latest, best or a step number; of eval also all", 0 },
    { "weights",        OPT_STRING, O(weights),    "",     0, 0, NULL, "FILE", "safetensors with PyTorch's names instead of a checkpoint", 0 },
    { "n",              OPT_INT,    O(n),          "0",    0, 1e7, NULL, "pictures", "how many; of models of music: frames, or pieces; of text: tokens", 0 },
    { "prime",          OPT_STRING, O(prime),      "",     0, 0, NULL, "FILE|TEXT", "music (.mid), or a text, that is gone on with", 0 },
    { "temperature",    OPT_FLOAT,  O(temperature), "-1", -1, 100, NULL, NULL, "of what music and text are drawn from: below 1 more likely, above 1 more surprising (-1: 0.8 for composing, 1 for the rest)", 0 },
    { "grid",           OPT_STRING, O(grid),       "",     0, 0, NULL, NULL, "columns x rows of pictures, e.g. 16x16", 0 },
    { "seed",           OPT_INT,    O(seed),       "-1",   -1, 9007199254740992.0, NULL, NULL, "of the random numbers (-1: the run's)", 0 },
    { "frames",         OPT_INT,    O(frames),     "0",    0, 1000, NULL, "pictures", "from one end to the other (0: 10); of a diffusion model's sample: an animation of how it is made (0: none)", 0 },
    { "sampler",        OPT_STRING, O(sampler),    "",     0, 0, NULL, NULL, "of a diffusion model: ddpm, ddim, euler, heun or dpmpp-2m (default: the run's); gmm: a mixture fitted to an autoencoder's training codes", 0 },
    { "components",     OPT_INT,    O(components), "10",   1, 1000, NULL, NULL, "of the mixture of --sampler gmm", 0 },
    { "sample-steps",   OPT_STRING, O(sample_steps), "",   0, 0, NULL, "steps", "from noise to picture (default: the run's)", 0 },
    { "spacing",        OPT_STRING, O(spacing),    "",     0, 0, NULL, NULL, "of those steps: leading, linspace, trailing or karras (default: the run's)", 0 },
    { "guidance",       OPT_STRING, O(guidance),   "",     0, 0, NULL, "W", "how much labels count: 0 not at all, 1 as trained, more: clearer and less varied (default: the run's)", 0 },
    { "eta",            OPT_STRING, O(eta),        "",     0, 0, NULL, "ETA", "new noise of sampler ddim, 0 to 1 (default: the run's)", 0 },
    { "churn",          OPT_STRING, O(churn),      "",     0, 0, NULL, "S", "new noise of samplers euler and heun (default: the run's)", 0 },
    { "clip",           OPT_STRING, O(clip),       "",     0, 0, NULL, NULL, "of what the network sees: none, range or dynamic (default: the run's)", 0 },
    { "mask",           OPT_STRING, O(mask),       "",     0, 0, NULL, "FILE", "a picture, white where there is to be painted", 0 },
    { "resample",       OPT_INT,    O(resample),   "5",    1, 1000, NULL, "times", "that each step is gone over, so that what is painted fits to what is kept", 0 },
    { "strength",       OPT_FLOAT,  O(strength),   "0.6",  -1e9, 1e9, NULL, NULL, "how much of the way from noise is gone again, above 0 to 1", 0 },
    { "to",             OPT_STRING, O(to),         "",     0, 0, NULL, "a|b", "the set that translated pictures are to look like (default: b)", 0 },
    { "memory",         OPT_STRING, O(memory),     "",     0, 0, NULL, "SIZE", "that may be used, such as 2G (default: what is free)", 0 },
    { "quality",        OPT_INT,    O(quality),    "95",   1, 100, NULL, NULL, "of JPEG files", 0 },
    { "walk",           OPT_INT,    O(walk),       "0",    0, 1000, NULL, "pictures", "an animated PNG of so many: each picture of the grid on a round trip between codes (0: none)", 0 },
    { "mode",           OPT_CHOICE, O(mode),       "spherical", 0, 0, "linear|spherical", NULL, "way of interpolation", 0 },
    { "label",          OPT_INT,    O(label),      "-1",   -1, 1e6, NULL, NULL, "of the pictures that a conditional run makes (-1: all in turn)", 0 },
    { "add-label",      OPT_INT,    O(add_label),  "-1",   -1, 1e6, NULL, NULL, "move codes towards the mean code of this label", 0 },
    { "sub-label",      OPT_INT,    O(sub_label),  "-1",   -1, 1e6, NULL, NULL, "and away from that of this one", 0 },
    { "features",       OPT_STRING, O(features),   "",     0, 0, NULL, "RUN|FILE", "a classifier, or weights of SqueezeNet: samples against test pictures in its features", 0 },
    { "levels",         OPT_STRING, O(levels),     "0.1,0.2,0.3,0.5", 0, 0, NULL, NULL, "of noise to compare", 0 },
    { "kind",           OPT_CHOICE, O(kind),       "curves", 0, 0, "curves|parts|scatter|manifold|histogram|filters|confusion|units|neighbours", NULL, "what to draw", 0 },
    { "limit",          OPT_INT,    O(limit),      "0",    0, 1e9, NULL, "images", "use only so many (0: all)", 0 },
    { "is-samples",     OPT_INT,    O(is_samples), "0",    0, 1e6, NULL, "samples", "importance samples an image for the likelihood (0: none)", 0 },
    { "posterior-steps", OPT_INT,  O(posterior_steps), "0", 0, 10000, NULL, "steps", "of Adam that fit what a picture's samples are drawn from to the picture, from what the encoder says on", 0 },
    { "bits",           OPT_INT,    O(bits),       "0",    0, 1e6, NULL, "samples", "steps of noise an image to estimate a diffusion model's bits per dimension from (0: not)", 0 },
    { "top-k",          OPT_INT,    O(top_k),      "0",    0, 1e6, NULL, "words", "draw from only so many of the likeliest (0: all)", 0 },
    { "top-p",          OPT_FLOAT,  O(top_p),      "0.95", 0, 1, NULL, NULL, "draw from only the likeliest that have this probability together (1: all)", 0 },
    { "repeats",        OPT_INT,    O(repeats),    "3",    0, 1000, NULL, "times", "that a figure may stand in a row (0: any)", 0 },
    { "bars",           OPT_INT,    O(bars),       "16",   1, 10000, NULL, "bars", "of four quarters that a piece has", 0 },
    { "key",            OPT_STRING, O(key),        "",     0, 0, NULL, NULL, "that a piece is moved to, such as \"D minor\" or Bb (default: as it comes)", 0 },
    { "instrument",     OPT_STRING, O(instrument), "",     0, 0, NULL, NULL, "of General MIDI, by name or number from 1 (default: piano)", 0 },
    { "wav",            OPT_STRING, O(wav),        "",     0, 0, NULL, "FILE", "also as sound: .wav, .flac or .ogg", 0 },
    { "png",            OPT_STRING, O(png),        "",     0, 0, NULL, "FILE", "also as a piano roll: .png or .svg", 0 },
    { "pieces",         OPT_INT,    O(pieces),     "0",    0, 1000, NULL, "pieces", "that a model of music composes, to see whether they are what music should be (0: none)", 0 },
    { "baseline",       OPT_CHOICE, O(baseline),   "none", 0, 0, "none|kneser-ney|bernoulli", NULL, "what counting gives on the same data: three tokens in a row; of a model of frames, bernoulli: how often each key sounds", 0 },
    { "steps-per-quarter", OPT_INT, O(steps_per_quarter), "4", 1, 96, NULL, "steps", "of a piano roll, in a quarter note", 0 },
    { "tokens",         OPT_CHOICE, O(tokens),     "notes", 0, 0, "notes|" GEN_SEQUENCE_TOKENS_MUSIC, NULL, "what a .json that is written holds: notes, or tokens of a model of music; which one it is that is read, the file says", 0 },
    { "pitches",        OPT_CHOICE, O(pitches),    "128",  0, 0, "128|88", NULL, "of a piano roll that is written: all of MIDI, or a piano's from A0", 0 },
    { "soundfont",      OPT_STRING, O(soundfont),  "",     0, 0, NULL, "FILE", "the instruments, .sf2 (default: $SOUNDFONT, else the system's)", 0 },
    { "rate",           OPT_INT,    O(rate),       "44100", 8000, 96000, NULL, "Hz", "samples a second", 0 },
    { "mono",           OPT_BOOL,   O(mono),       "0",    0, 1, NULL, NULL, "one channel instead of two", 0 },
    { "gain",           OPT_FLOAT,  O(gain),       "0.5",  0, 10, NULL, NULL, "how loud; clipping is reported", 0 },
    { "reverb",         OPT_FLOAT,  O(reverb),     "0.2",  0, 1, NULL, NULL, "level of the room (0: none)", 0 },
    { "chorus",         OPT_FLOAT,  O(chorus),     "2",    0, 10, NULL, NULL, "level of the chorus (0: none)", 0 },
    { "tail",           OPT_FLOAT,  O(tail),       "-1",   -1, 600, NULL, "s", "of sound after the last event (-1: until it has faded away)", 0 },
    { "tempo",          OPT_FLOAT,  O(tempo),      "120",  4, 1000, NULL, "quarters/min", "of music that says none", 0 },
    { "steps",          OPT_INT,    O(steps),      "0",    0, 1e6, NULL, "steps", "to time (0: as --seconds)", 0 },
    { "seconds",        OPT_FLOAT,  O(seconds),    "3",    0.01, 3600, NULL, "s", "to time; with --op a tenth of it for each kernel", 0 },
    { "op",             OPT_STRING, O(op),         "",     0, 0, NULL, "OP", "such as conv2d: time each kernel of its largest calls in the workloads, or of all calls in the one named", 0 },
    { "scaling",        OPT_BOOL,   O(scaling),    "0",    0, 1, NULL, NULL, "time steps of more and of larger pictures; -o FILE.png draws them", 0 },
    { "explain-memory", OPT_BOOL,   O(explain_memory), "0", 0, 1, NULL, NULL, "print the memory plan of the training step", 0 },
    { "checkpoint-activations", OPT_BOOL, O(checkpoint_activations), "0", 0, 1, NULL, NULL, "drop results of the forward pass and compute them again: less memory, more time", 0 },
    { "tune",           OPT_BOOL,   O(tune),       "0",    0, 1, NULL, NULL, "measure the kernels and block sizes of each convolution on this processor, remember the fastest in ~/.cache/gen/tune, and run those; results may differ in rounding", 0 },
    { "profile",        OPT_BOOL,   O(profile),    "0",    0, 1, NULL, NULL, "print time and rate of each call of a step", 0 },
    { "trace",          OPT_STRING, O(trace),      "",     0, 0, NULL, "FILE", "of when each call of three steps ran, for chrome://tracing or ui.perfetto.dev", 0 },
    { "markdown",       OPT_BOOL,   O(markdown),   "0",    0, 1, NULL, NULL, "print tables for the documentation", 0 },
    { "threads",        OPT_INT,    O(threads),    "0",    0, 1024, NULL, NULL, "0: all cores; results are the same bits for any number", 0 },
    { "device",         OPT_STRING, O(device),     "auto", 0, 0, NULL, NULL, "auto, cpu or cuda[:n]", 0 },
    { "precision",      OPT_CHOICE, O(precision),  "fp32", 0, 0, "fp32|tf32|bf16", NULL, "of products; bf16 on a processor with AVX512-BF16 or on a GPU with cuDNN, tf32 on such a GPU", 0 },
    { "json",           OPT_BOOL,   O(json),       "0",    0, 1, NULL, NULL, "print one JSON object on standard output", 0 },
    { "quiet",          OPT_BOOL,   O(quiet),      "0",    0, 1, NULL, NULL, "no progress", 0 },
    { "help",           OPT_BOOL,   O(help),       "0",    0, 1, NULL, NULL, "this help", 0 },
    GEN_OPTIONS_END
};
// clang-format on

static const struct own {
    const cli_verb *verb;
    const gen_option *rows;
} own[] = { { &cli_style, gen_style_option_rows } };

const gen_option *cli_own_rows(const cli_verb *verb)
{
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (own[i].verb == verb) return own[i].rows;
    return NULL;
}

static int takes(const cli_verb *verb, const char *name)
{
    if (!strcmp(name, "help")) return 1;
    for (const char *const *t = verb->takes; t && *t; t++)
        if (!strcmp(*t, name)) return 1;
    return 0;
}

static gen_status unknown_option(const cli_verb *verb, const char *name, gen_error *err)
{
    const char *words[64], *nearest;
    size_t n = 0;
    for (const char *const *t = verb->takes; t && *t && n < 64; t++) words[n++] = *t;
    for (const gen_option *o = cli_own_rows(verb); o && o->name && n < 64; o++) words[n++] = o->name;
    nearest = gen_nearest_word(name, words, n);
    return gen_fail(err, GEN_BAD_OPTION, "there is no option --%s%s%s%s; `gen help %s` lists them", name,
                    nearest ? "; did you mean --" : "", nearest ? nearest : "", nearest ? "?" : "", verb->name);
}

/* The row of an option that the verb leaves to the model: those are known by name only. Or of one of its own. */
static const gen_option *left_row(const cli_verb *verb, const char *name)
{
    if (cli_own_rows(verb)) return gen_option_find(cli_own_rows(verb), name);
    const gen_option *row = gen_option_find(gen_train_option_rows, name);
    for (int i = 0; !row && gen_models[i]; i++) row = gen_option_find(gen_models[i]->options, name);
    return row;
}

/* --name of a switch of the model means 1, --no-name 0; a value may follow all the same. */
static const char *left_switch(const cli_verb *verb, char **name, const char *next)
{
    const gen_option *row = left_row(verb, *name);
    int64_t ignored;
    bool negative = !row && !strncmp(*name, "no-", 3);
    if (negative) row = left_row(verb, *name + 3);
    if (!row || row->type != OPT_BOOL) return NULL;
    gen_option plain = *row;
    plain.offset = 0;
    if (!negative && next && gen_option_set(&plain, &ignored, next, NULL) == GEN_OK) return NULL;
    if (negative) *name += 3;
    return negative ? "0" : "1";
}

/* One option at argv[i]; *used is how many words it took. */
static gen_status parse_option(const cli_verb *verb, int argc, char **argv, int i, cli_args *a, int *used,
                               gen_error *err)
{
    char *name = gen_arena_strdup(a->arena, argv[i] + 2);
    if (!name) return gen_fail(err, GEN_NO_MEMORY, "no memory for the command line");
    char *equals = strchr(name, '=');
    const char *value = NULL;
    *used = 1;
    if (equals) {
        *equals = 0;
        value = equals + 1;
    }
    const gen_option *row = takes(verb, name) ? gen_option_find(cli_option_rows, name) : NULL;
    int negative = !row && !strncmp(name, "no-", 3) && takes(verb, name + 3);
    if (negative) row = gen_option_find(cli_option_rows, name + 3);
    if (row && row->type == OPT_BOOL && !value) value = negative ? "0" : "1";
    if (!row && !verb->leaves_options) return unknown_option(verb, name, err);
    const char *next = i + 1 < argc && strncmp(argv[i + 1], "--", 2) ? argv[i + 1] : NULL;
    if (!row && !value) value = left_switch(verb, &name, next);
    if (!row && cli_own_rows(verb) && !left_row(verb, name)) return unknown_option(verb, name, err);
    if (!value) {
        if (!next) return gen_fail(err, GEN_BAD_OPTION, "--%s needs a value", name);
        value = next;
        *used = 2;
    }
    if (row) return gen_option_set(row, &a->o, value, err);
    if (a->n_extra == CLI_MAX_EXTRA) return gen_fail(err, GEN_BAD_OPTION, "more than %d options", CLI_MAX_EXTRA);
    a->extra_name[a->n_extra] = name;
    a->extra_value[a->n_extra++] = value;
    return GEN_OK;
}

static gen_status parse_word(const char *word, cli_args *a, gen_error *err)
{
    if (a->n_words == CLI_MAX_WORDS) return gen_fail(err, GEN_BAD_OPTION, "more than %d arguments", CLI_MAX_WORDS);
    a->word[a->n_words++] = word;
    return GEN_OK;
}

gen_status cli_parse(const cli_verb *verb, int argc, char **argv, cli_args *a, gen_error *err)
{
    gen_options_default(cli_option_rows, &a->o);
    int only_words = 0;
    for (int i = 0, used; i < argc; i += used) {
        used = 1;
        if (!only_words && !strcmp(argv[i], "--")) {
            only_words = 1;
        } else if (!only_words && !strcmp(argv[i], "-o") && takes(verb, "output")) {
            if (i + 1 >= argc) return gen_fail(err, GEN_BAD_OPTION, "-o needs a file");
            a->o.output = argv[i + 1];
            used = 2;
        } else if (!only_words && !strncmp(argv[i], "--", 2)) {
            GEN_TRY(parse_option(verb, argc, argv, i, a, &used, err));
        } else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
            return gen_fail(err, GEN_BAD_OPTION, "%s is no option of %s; options are written --name value", argv[i],
                            verb->name);
        } else {
            GEN_TRY(parse_word(argv[i], a, err));
        }
    }
    return GEN_OK;
}

gen_status cli_need_words(const cli_verb *verb, const cli_args *a, int low, int high, gen_error *err)
{
    if (a->n_words >= low && a->n_words <= high) return GEN_OK;
    return gen_fail(err, GEN_BAD_OPTION, "usage: gen %s %s [--option value]; got %d argument%s", verb->name,
                    verb->words, a->n_words, a->n_words == 1 ? "" : "s");
}
