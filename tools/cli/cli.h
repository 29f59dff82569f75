/* tools/cli/cli.h: what the verbs of the `gen` command share. One table holds every option of every verb, so an option means the same everywhere; a verb
 * names those it takes.
 *
 *     static const char *const takes[] = { "output", "n", "grid", NULL };
 *     const cli_verb cli_sample = { "sample", "RUN", "new pictures from a trained model", takes, run };
 */
#ifndef GEN_TOOLS_CLI_H
#define GEN_TOOLS_CLI_H

#include <signal.h>
#include <stdio.h>

#include "core/event.h"
#include "io/json.h"
#include "models/mixture.h"

enum { CLI_MAX_WORDS = 64, CLI_MAX_EXTRA = 128 };

/* Exit codes. */
enum { CLI_GOOD = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

typedef struct cli_options {
    const char *output, *device, *precision, *checkpoint, *weights, *grid, *data, *resume, *preset, *format, *kind,
        *mode, *op, *levels, *features, *mask, *sampler, *sample_steps, *spacing, *guidance, *eta, *churn, *clip, *to,
        *memory, *trace;
    int64_t json, quiet, threads, seed, n, frames, walk, is_samples, posterior_steps, limit, add_label, sub_label,
        label, explain_memory, profile, scaling, checkpoint_activations, tune, markdown, steps, batch, resample, bits,
        components, quality, help;
    double strength, low, high, seconds;
    /* of music */
    const char *tokens, *pitches, *soundfont, *prime, *key, *instrument, *wav, *png, *baseline;
    int64_t top_k, repeats, bars, pieces;
    double top_p;
    double temperature;
    int64_t steps_per_quarter, rate, mono;
    double tempo, gain, reverb, chorus, tail;
} cli_options;

/* A command line, parsed. */
typedef struct cli_args {
    gen_arena *arena;
    cli_options o;
    const char *word[CLI_MAX_WORDS]; /* what is no option: model, run, files */
    int n_words;
    /* options that the verb leaves to the model (train, bench) */
    const char *extra_name[CLI_MAX_EXTRA], *extra_value[CLI_MAX_EXTRA];
    int n_extra;
    int silent; /* a verb does the work of another, and says itself what was done */
} cli_args;

typedef struct cli_verb {
    const char *name, *words, *summary;
    const char *const *takes; /* names of rows of cli_option_rows */
    int leaves_options;       /* unknown options are the model's */
    int (*run)(cli_args *a, gen_error *err);
} cli_verb;

extern const cli_verb cli_train, cli_sample, cli_reconstruct, cli_encode, cli_interpolate, cli_plot, cli_eval, cli_info,
    cli_denoise, cli_translate, cli_inpaint, cli_img2img, cli_data, cli_list, cli_bench, cli_devices, cli_help,
    cli_completion, cli_version, cli_convert, cli_render, cli_style, cli_compose, cli_check;
extern const gen_option cli_option_rows[];
extern const cli_verb *const cli_verbs[]; /* NULL ends it */
const cli_verb *cli_verb_find(const char *name);

/* Rows of options that this verb alone has (it leaves_options, and finds them in cli_args.extra_*); NULL: none. */
const gen_option *cli_own_rows(const cli_verb *verb);

/* Parses argv after the verb. Fails with GEN_BAD_OPTION. */
gen_status cli_parse(const cli_verb *verb, int argc, char **argv, cli_args *a, gen_error *err);

/* Fails with GEN_BAD_OPTION unless there are low to high words. */
gen_status cli_need_words(const cli_verb *verb, const cli_args *a, int low, int high, gen_error *err);

/* Seconds of a clock that only goes forward. */
double cli_now_s(void);
/* From now on the first Ctrl-C (or SIGTERM) asks for a clean end, by making *result 1; the second ends at once. */
const volatile sig_atomic_t *cli_catch_stop(void);
/* What --memory says, such as 2G (0: no limit); nothing: what is free, and what this process has already. 0: no limit, or unknown. */
gen_status cli_memory_limit(const char *text, size_t *bytes, gen_error *err);
size_t cli_used_bytes(void); /* by this process, now */

/* Progress and notes on standard error: a bar on a terminal, lines when piped, nothing when quiet. */
gen_sink cli_terminal(const cli_args *a);
void cli_terminal_counts(
    const char *things); /* what a training learns from, for "… a second"; "images" if never called */

/* The device of --device, --threads and --precision. */
gen_status cli_open_device(const cli_args *a, gen_device **device, gen_error *err);

/* Is a word the folder of a run? Opens the run named by word 0 with device, program parameters not yet loaded; then its weights as --checkpoint or --weights say. */
bool cli_is_run(const cli_args *a, const char *word);
gen_status cli_open_run(const cli_args *a, const char *folder, gen_device **device, gen_run **run, gen_error *err);
gen_status cli_load_weights(const cli_args *a, gen_run *run, gen_error *err);
void cli_close_run(gen_run *run, gen_device *device);
/* --tune, when it is given (gen_device_tune); a warning about an old file goes to standard error. */
gen_status cli_use_tuning(cli_args *a, gen_device *device, gen_error *err);

/* Writes pictures [n,H,W,C] in [0,1] as one grid, with text chunks about the run where it is a PNG. columns 0: square. */
gen_status cli_write_grid(const gen_run *run, const float *pictures, int64_t n, int32_t columns, const char *path,
                          gen_error *err);
/* The same as the name's ending says: a grid; .npy, an array; "folder/", one PNG each. */
gen_status cli_write_pictures(const gen_run *run, const float *x, int64_t n, int32_t columns, const char *path,
                              gen_arena *arena, gen_error *err);
/* GEN_BAD_OPTION where cli_write_pictures would not know the ending: to be asked before the work. "" is fine. */
gen_status cli_can_write_pictures(const char *path, gen_error *err);
/* "8x4" -> columns, rows. */
/* A grid of what the model shows of n codes. */
gen_status cli_write_view(gen_run *run, const float *z, const float *labels, int64_t n, int32_t columns,
                          gen_arena *arena, const char *path, gen_error *err);
gen_status cli_parse_grid(const char *text, int64_t *columns, int64_t *rows, gen_error *err);

/* --grid CxR, else --n in a square (columns 0), else `fallback` pictures. */
gen_status cli_grid_size(const cli_args *a, int64_t fallback, int64_t *columns, int64_t *n, gen_error *err);
/* The options of how a diffusion model makes pictures become the run's; GEN_BAD_OPTION where the model is none (cmd_generate.c). */
#define CLI_TAKES_SAMPLER "sampler", "sample-steps", "spacing", "guidance", "eta", "churn", "clip"
gen_status cli_set_sampler(const cli_args *a, gen_run *run, gen_error *err);
/* --sampler gmm: the mixture of the codes of the run's training pictures, --components of them; data NULL: the run's own is opened. The run's weights,
 * those of its encoder too, are loaded. */
bool cli_wants_mixture(const cli_args *a);
gen_status cli_fit_mixture(const cli_args *a, gen_run *run, const gen_dataset *data, gen_mixture *mixture,
                           gen_error *err);
/* gen sample of a diffusion model, whose weights are loaded. */
gen_status cli_sample_generated(cli_args *a, gen_run *run, const float *labels, int64_t n, int64_t columns,
                                gen_error *err);
/* Pictures [frames,n,H,W,C] in [0,1] as an animated PNG, each frame a grid; where path ends with a slash, as files frame-0001.png … of that folder. */
gen_status cli_write_frames(const gen_run *run, const float *pictures, int64_t frames, int64_t n, int32_t columns,
                            const char *path, gen_error *err);

/* Says which file was written and how many things are in it: a line, or with --json one object. */
gen_status cli_print_file(cli_args *a, const char *path, int64_t n, const char *things, gen_error *err);

/* The first n filters of the run's first layer, whose weights are loaded (fewer: grey squares follow), each from its least to its largest weight in 0..1,
 * resized to pictures of the run's size: x[n,H,W,C]. Filters of the run's first layer as a grid of pictures (plot_filters.c). */
gen_status cli_filters_as_pictures(const cli_args *a, gen_run *run, int64_t n, float *x, gen_error *err);
gen_status cli_plot_filters(const cli_args *a, gen_run *run, const char *path, gen_error *err);
/* Samples beside their nearest training pictures (plot_neighbours.c). */
gen_status cli_plot_neighbours(const cli_args *a, gen_run *run, const char *path, gen_error *err);
/* Which classes are taken for which (plot_confusion.c); .png or .csv. */
gen_status cli_plot_confusion(const cli_args *a, gen_run *run, const char *path, gen_error *err);
/* Are the words two picture files or folders of them, and no runs? Then what lies between them (eval_pictures.c). */
bool cli_are_pictures(const cli_args *a);
gen_status cli_eval_pictures(const cli_args *a, gen_error *err);

/* Two sets of pictures in the features of a classifier (eval_features.c). */
enum { CLI_MAX_NUMBERS = 48 };
typedef struct cli_numbers {
    int32_t n;
    const char *name[CLI_MAX_NUMBERS];
    double value[CLI_MAX_NUMBERS];
} cli_numbers;
void cli_add_number(cli_numbers *numbers, const char *name, double value); /* beyond the last place: nothing */

typedef struct cli_feature_sets {
    const char *network;                /* name or folder of the classifier */
    int64_t n_made, n_real, d, classes; /* classes 0: the network is no classifier */
    double *share;       /* [classes]: part of the made pictures that are of that class with confidence 0.9 */
    cli_numbers numbers; /* frechet kid precision recall class_kl least_class frechet_floor, those that apply */
} cli_feature_sets;
/* Samples of a run, whose weights are loaded, against pictures of its data; train: also the distance between those and the training pictures. */
gen_status cli_compare_run(const cli_args *a, gen_run *run, const gen_dataset *data, gen_range real, gen_range train,
                           cli_feature_sets *sets, gen_error *err);
/* Are the words two sides of which one at least is no run, and are features or a number asked for? Then what cli_compare_run says of any two: runs,
 * folders of pictures, .npy files, data sets. */
bool cli_are_sets(const cli_args *a);
gen_status cli_eval_sets(const cli_args *a, gen_error *err);
/* A run that translates between two sets, on its test pictures: the errors of its round trips; with --features how far translations, and the pictures
 * themselves, are from the other set (eval_translation.c). */
gen_status cli_eval_translation(const cli_args *a, gen_run *run, const gen_dataset *data, cli_numbers *numbers,
                                gen_error *err);
/* A warning where sets of so few pictures have no Frechet distance in d features. */
void cli_warn_of_few(int64_t pictures, int64_t d);
/* The lines beside the numbers, and the keys of the same. */
void cli_print_sets(const cli_feature_sets *sets);
void cli_put_sets(gen_json_out *out, const cli_feature_sets *sets);

/* Opens the classifier that --features names (else the shipped one, where pictures are of its size), its weights loaded; *network names it. */
gen_status cli_open_features(const cli_args *a, gen_device *device, int64_t height, int64_t width, int64_t channels,
                             gen_run **run, const char **network, gen_error *err);

/* Times iterations of style transfer of size_px pixels a side with random weights (bench_style.c): the least of them, how many, and the work of one. */
typedef struct cli_style_timing {
    double ms, gflop;
    int64_t steps;
} cli_style_timing;
gen_status cli_bench_style(const cli_args *a, gen_device *device, const char *preset, int32_t size_px,
                           cli_style_timing *timing, gen_error *err);

/* gen convert of weights, PyTorch's to safetensors (convert_weights.c). */
bool cli_is_weights(const char *from, const char *to);
gen_status cli_convert_weights(cli_args *a, const char *from, const char *to, gen_error *err);
/* A run of preset vgg-small, or its weights, becomes what gen style --features takes. */
bool cli_is_classifier(const char *from, const char *to);
gen_status cli_convert_classifier(cli_args *a, const char *from, const char *to, gen_error *err);

/* gen denoise of several runs: filters and reconstructions side by side (denoise_runs.c). */
gen_status cli_denoise_runs(cli_args *a, gen_error *err);

/* One JSON object on standard output. */
gen_status cli_print_json(gen_json_out *out, gen_error *err);

#endif
