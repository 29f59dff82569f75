#include "models/settings.h"

#include <string.h>

#define T(field) offsetof(gen_train_options, field)

// clang-format off
const gen_option gen_train_option_rows[] = {
    { "data",             OPT_STRING, T(data),             "",     0, 0, NULL, NULL, "data set by name, or a folder of pictures, or an IDX, CIFAR or .npy file; of music a folder of MIDI files, of text a file", 0 },
    { "out",              OPT_STRING, T(out),              "",     0, 0, NULL, NULL, "run folder (default: runs/<model>-<data>)", OPT_NOT_MATH },
    { "preset",           OPT_STRING, T(preset),           "",     0, 0, NULL, NULL, "a published configuration (gen list shows them)", OPT_NOT_MATH },
    { "seed",             OPT_INT,    T(seed),             "1",    0, 9007199254740992.0, NULL, NULL, "of every random number", 0 },
    { "steps",            OPT_INT,    T(steps),            "0",    0, 1e12, NULL, "steps", "length of training (0: as --epochs)", 0 },
    { "epochs",           OPT_INT,    T(epochs),           "20",   1, 1e6, NULL, "epochs", "length of training", 0 },
    { "batch",            OPT_INT,    T(batch),            "64",   1, 65536, NULL, "images", "per step", 0 },
    { "optimiser",        OPT_CHOICE, T(optimiser),        "adam", 0, 0, "adam|adamw|rmsprop|sgd", NULL, "update rule", 0 },
    { "lr",               OPT_FLOAT,  T(lr),               "1e-3", 0, 1e3, NULL, NULL, "learning rate", 0 },
    { "schedule",         OPT_CHOICE, T(schedule),         "constant", 0, 0, "constant|step|linear|cosine", NULL, "of the learning rate; linear and cosine end at 0", 0 },
    { "warmup-steps",     OPT_INT,    T(warmup_steps),     "0",    0, 1e9, NULL, "steps", "in which the learning rate rises from 0", 0 },
    { "decay-epochs",     OPT_FLOAT,  T(decay_epochs),     "30",   1e-3, 1e6, NULL, "epochs", "between the drops of schedule step", 0 },
    { "decay-start",      OPT_FLOAT,  T(decay_start),      "0",    0, 0.999, NULL, NULL, "schedule linear: part of the training before the learning rate falls", 0 },
    { "decay-factor",     OPT_FLOAT,  T(decay_factor),     "0.1",  1e-6, 1, NULL, NULL, "of each drop of schedule step", 0 },
    { "beta1",            OPT_FLOAT,  T(beta1),            "0.9",  0, 0.999999, NULL, NULL, "of adam", 0 },
    { "beta2",            OPT_FLOAT,  T(beta2),            "0.999", 1e-6, 0.999999, NULL, NULL, "of adam", 0 },
    { "rho",              OPT_FLOAT,  T(rho),              "0.99", 1e-6, 0.999999, NULL, NULL, "of rmsprop (Keras: 0.9)", 0 },
    { "momentum",         OPT_FLOAT,  T(momentum),         "0",    0, 0.9999, NULL, NULL, "of sgd", 0 },
    { "weight-decay",     OPT_FLOAT,  T(weight_decay),     "0",    0, 10, NULL, NULL, "decoupled for adamw", 0 },
    { "accumulate",       OPT_INT,    T(accumulate),       "1",    1, 4096, NULL, "batches", "whose mean gradient one update takes: a large batch in the memory of a small one", 0 },
    { "clip-norm",        OPT_FLOAT,  T(clip_norm),        "0",    0, 1e9, NULL, NULL, "largest 2-norm of all gradients together (0: none)", 0 },
    { "ema",              OPT_FLOAT,  T(ema),              "0",    0, 0.999999, NULL, NULL, "decay of an average of the weights, used for sampling (0: none)", 0 },
    { "from",             OPT_STRING, T(from),             "",     0, 0, NULL, "RUN|FILE", "start from the weights of another run, those of equal name and shape", 0 },
    { "freeze",           OPT_STRING, T(freeze),           "",     0, 0, NULL, NULL, "beginnings of names, commas between, of weights that stay as they are: conv1,conv2", 0 },
    { "size",             OPT_INT,    T(size),             "0",    0, 4096, NULL, "px", "shorter side of the pictures, cut square (0: as they are)", 0 },
    { "channels",         OPT_INT,    T(channels),         "0",    0, 4, NULL, NULL, "1 grey, 3 RGB, 4 RGBA (0: as they are)", 0 },
    { "validation",       OPT_INT,    T(validation),       "-1",   -1, 1e9, NULL, "images", "held out from the end of the training set (-1: a twelfth, at most 5000)", 0 },
    { "patience",         OPT_INT,    T(patience),         "0",    0, 1e6, NULL, "evaluations", "without a better validation loss end the training (0: never)", 0 },
    { "min-delta",        OPT_FLOAT,  T(min_delta),        "0",    0, 1e9, NULL, NULL, "what counts as better for --patience", 0 },
    { "on-nan",           OPT_CHOICE, T(on_nan),           "stop", 0, 0, "stop|skip", NULL, "when the loss is not finite: stop, or go back and leave that batch out", 0 },
    { "checkpoint-every", OPT_INT,    T(checkpoint_every), "0",    0, 1e9, NULL, "steps", "between checkpoints (0: an epoch)", OPT_NOT_MATH },
    { "sample-every",     OPT_INT,    T(sample_every),     "0",    0, 1e9, NULL, "steps", "between sample grids (0: an epoch)", OPT_NOT_MATH },
    { "log-every",        OPT_INT,    T(log_every),        "50",   1, 1e9, NULL, "steps", "between log lines", OPT_NOT_MATH },
    { "keep",             OPT_INT,    T(keep),             "3",    1, 1e6, NULL, "checkpoints", "kept besides the best", OPT_NOT_MATH },
    { "threads",          OPT_INT,    T(threads),          "0",    0, 1024, NULL, NULL, "0: all cores; results are the same bits for any number", OPT_NOT_MATH },
    { "device",           OPT_STRING, T(device),           "auto", 0, 0, NULL, NULL, "auto, cpu or cuda[:n]", OPT_NOT_MATH },
    { "precision",        OPT_CHOICE, T(precision),        "fp32", 0, 0, "fp32|tf32|bf16", NULL, "of products; bf16 on a processor with AVX512-BF16 or on a GPU with cuDNN, tf32 on such a GPU", 0 },
    { "checkpoint-activations", OPT_BOOL, T(checkpoint_activations), "0", 0, 1, NULL, NULL, "drop most results of the forward pass and compute them again in the backward pass: less memory, about a third more time, the same bits", OPT_NOT_MATH },
    { "skip-bad",         OPT_BOOL,   T(skip_bad),         "0",    0, 1, NULL, NULL, "leave out files that cannot be read; of pictures, name them", 0 },
    { "download",         OPT_BOOL,   T(download),         "1",    0, 1, NULL, NULL, "fetch data that is on no disk", OPT_NOT_MATH },
    GEN_OPTIONS_END
};
// clang-format on

const gen_option *gen_settings_find(gen_settings *s, const char *name, void **where)
{
    const gen_option *row = gen_option_find(s->model->options, name);
    *where = s->options;
    if (row) return row;
    *where = &s->train;
    return gen_option_find(gen_train_option_rows, name);
}

const char *gen_settings_nearest(const gen_settings *s, const char *name)
{
    enum { MAX_WORDS = 256 };
    const char *words[MAX_WORDS];
    size_t n = 0;
    for (const gen_option *row = s->model->options; row->name && n < MAX_WORDS; row++) words[n++] = row->name;
    for (const gen_option *row = gen_train_option_rows; row->name && n < MAX_WORDS; row++) words[n++] = row->name;
    return gen_nearest_word(name, words, n);
}

gen_status gen_settings_set(gen_settings *s, const char *name, const char *value, gen_error *err)
{
    void *where;
    const gen_option *row = gen_settings_find(s, name, &where);
    if (!row) {
        const char *nearest = gen_settings_nearest(s, name);
        return gen_fail(err, GEN_BAD_OPTION, "%s has no option --%s%s%s%s; `gen help %s` lists them", s->model->name,
                        name, nearest ? "; did you mean --" : "", nearest ? nearest : "", nearest ? "?" : "",
                        s->model->name);
    }
    const char *copy = gen_arena_strdup(s->arena, value);
    if (!copy) return gen_fail(err, GEN_NO_MEMORY, "no memory for option --%s", name);
    return gen_option_set(row, where, copy, err);
}

/* "latent=2 beta=1 epochs=20" */
static gen_status set_all(gen_settings *s, const char *text, gen_error *err)
{
    char *words = gen_arena_strdup(s->arena, text), *rest = NULL;
    if (!words) return gen_fail(err, GEN_NO_MEMORY, "no memory for options");
    for (char *word = words; *word; word = rest) {
        rest = word + strcspn(word, " ");
        if (*rest) *rest++ = 0;
        char *equals = strchr(word, '=');
        if (!equals) continue;
        *equals = 0;
        GEN_TRY(gen_settings_set(s, word, equals + 1, err));
    }
    return GEN_OK;
}

gen_status gen_settings_start(gen_settings *s, const gen_model *model, gen_arena *arena, gen_error *err)
{
    *s = (gen_settings){ .model = model, .arena = arena, .options = gen_arena_alloc(arena, model->options_bytes) };
    if (!s->options) return gen_fail(err, GEN_NO_MEMORY, "no memory for options");
    gen_options_default(gen_train_option_rows, &s->train);
    gen_options_default(model->options, s->options);
    return set_all(s, model->defaults, err);
}

static gen_status unknown_preset(const gen_model *model, const char *preset, gen_error *err)
{
    char known[240] = "";
    for (const gen_preset *p = model->presets; p && p->name; p++) {
        strncat(known, *known ? ", " : "", sizeof known - strlen(known) - 1);
        strncat(known, p->name, sizeof known - strlen(known) - 1);
    }
    return gen_fail(err, GEN_BAD_OPTION, "%s has no preset %s; it has %s", model->name, preset, known);
}

gen_status gen_settings_preset(gen_settings *s, const char *preset, gen_error *err)
{
    const gen_preset *p = gen_preset_find(s->model, preset);
    if (!p) return unknown_preset(s->model, preset, err);
    s->train.preset = p->name;
    if (!*s->train.data) s->train.data = p->data;
    return set_all(s, p->options, err);
}

gen_optim_options gen_settings_optim(const gen_settings *s, int64_t n_steps, int64_t steps_per_epoch)
{
    const gen_train_options *t = &s->train;
    gen_optim_options o = { .lr = t->lr,
                            .beta1 = t->beta1,
                            .beta2 = t->beta2,
                            .rho = t->rho,
                            .momentum = t->momentum,
                            .weight_decay = t->weight_decay,
                            .accumulate = t->accumulate,
                            .clip_norm = t->clip_norm,
                            .ema = t->ema,
                            .frozen = t->freeze,
                            .warmup_steps = t->warmup_steps,
                            .decay_factor = t->decay_factor,
                            .decay_steps = n_steps,
                            .decay_start = (int64_t)(t->decay_start * (double)n_steps + 0.5) };
    o.rule = !strcmp(t->optimiser, "adamw")     ? GEN_ADAMW
             : !strcmp(t->optimiser, "rmsprop") ? GEN_RMSPROP
             : !strcmp(t->optimiser, "sgd")     ? GEN_SGD
                                                : GEN_ADAM;
    o.schedule = !strcmp(t->schedule, "step")     ? GEN_LR_STEP
                 : !strcmp(t->schedule, "linear") ? GEN_LR_LINEAR
                 : !strcmp(t->schedule, "cosine") ? GEN_LR_COSINE
                                                  : GEN_LR_CONSTANT;
    if (o.schedule == GEN_LR_STEP) o.decay_steps = (int64_t)(t->decay_epochs * (double)steps_per_epoch + 0.5);
    return o;
}
