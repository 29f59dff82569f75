/* gen eval RUN …: means over the test split; the importance-sampled likelihood, and distances in the features of a classifier, when asked for. Several
 * runs stand side by side, the checkpoints of one (--checkpoint all) below each other. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "io/plot.h"
#include "models/bound.h"
#include "models/checkpoint.h"
#include "models/data.h"
#include "models/evaluate.h"
#include "models/likelihood.h"
#include "models/metrics.h"
#include "tools/cli/bars.h"
#include "tools/cli/cli.h"
#include "tools/cli/cmd_compose.h"
#include "tools/cli/frames.h"

typedef struct evaluation {
    cli_args *a;
    int64_t step;         /* of the checkpoint, with --checkpoint all; else -1 */
    const char *model;    /* its name, and */
    int64_t code_numbers; /* how many its code has; 0: none */
    const char *folder, *data_name, *split;
    gen_device *device;
    gen_run *run;
    gen_dataset data;
    gen_range range;
    cli_numbers numbers;
    const char *things; /* that are counted: "images", "frames" */
    int64_t images;
    bool compared; /* with sets */
    cli_feature_sets sets;
    int64_t d; /* of the code, where the model has a posterior; else 0 */
    double *kl;
} evaluation;

/* ---- means ---------------------------------------------------------------------------------------------------------------- */

static gen_status means(evaluation *e, gen_error *err)
{
    gen_program *program = NULL;
    gen_eval_result r;
    gen_run *run = e->run;
    GEN_TRY(gen_run_program(run, run->settings.model->eval, "be evaluated", GEN_EVAL_BATCH, &program, err));
    gen_status status = cli_load_weights(e->a, run, err);
    if (status == GEN_OK) status = gen_evaluate(run, program, &e->data, e->range, &r, err);
    for (int32_t i = 0; status == GEN_OK && i < r.n; i++)
        cli_add_number(&e->numbers, gen_arena_strdup(e->a->arena, r.name[i]), r.mean[i]);
    if (status == GEN_OK) e->images = r.count;
    gen_program_free(program);
    return status;
}

static gen_status open_data(evaluation *e, gen_error *err)
{
    cli_args *a = e->a;
    gen_run *run = e->run;
    if (*a->o.data) run->settings.train.data = a->o.data;
    GEN_TRY(gen_data_open(&run->settings, NULL, a->arena, &e->data, err));
    if (e->data.height_px != run->height || e->data.width_px != run->width || e->data.channels != run->channels)
        return gen_fail(err, GEN_BAD_SHAPE,
                        "%s has pictures of %dx%dx%d, the run was trained on %" PRId64 "x%" PRId64 "x%" PRId64,
                        e->data.name, e->data.height_px, e->data.width_px, e->data.channels, run->height, run->width,
                        run->channels);
    e->range = e->data.splits[gen_data_test_split(&e->data)];
    if (a->o.limit && a->o.limit < e->range.n) e->range.n = a->o.limit;
    e->data_name = e->data.name;
    e->split = gen_split_name(gen_data_test_split(&e->data));
    return GEN_OK;
}

/* ---- codes ------------------------------------------------------------------------------------------------------------------ */

/* How many numbers of the code are used, and how much each. */
static gen_status codes(evaluation *e, gen_error *err)
{
    const double active = 0.01; /* Burda et al. 2016, section 5: Var_x[mu_d] */
    gen_run *run = e->run;
    gen_program *program = NULL;
    int64_t n = 0;
    if (!gen_has_posterior(run)) return GEN_OK;
    e->d = gen_latent_size(run);
    e->kl = gen_arena_alloc(e->a->arena, (size_t)(2 * e->d) * sizeof *e->kl);
    if (!e->kl) return gen_fail(err, GEN_NO_MEMORY, "no memory for codes");
    GEN_TRY(gen_run_program(run, run->settings.model->encode, "encode pictures", 1, &program, err));
    gen_program_free(program);
    GEN_TRY(cli_load_weights(e->a, run, err));
    GEN_TRY(gen_code_usage(run, &e->data, e->range, e->kl + e->d, e->kl, err));
    for (int64_t i = 0; i < e->d; i++) n += e->kl[e->d + i] > active;
    cli_add_number(&e->numbers, "active_units", (double)n);
    return GEN_OK;
}

/* ---- tokens ----------------------------------------------------------------------------------------------------------------- */

static const double *find(const evaluation *e, const char *name)
{
    for (int32_t i = 0; i < e->numbers.n; i++)
        if (!strcmp(e->numbers.name[i], name)) return &e->numbers.value[i];
    return NULL;
}

static gen_status tokens(evaluation *e, gen_error *err)
{
    const cli_args *a = e->a;
    const double *loss = find(e, "loss");
    if (e->run->settings.model->tokens && loss) cli_add_number(&e->numbers, "perplexity", exp(*loss));
    if (!strcmp(a->o.baseline, "bernoulli"))
        GEN_TRY(cli_eval_bernoulli(a, e->run, gen_data_test_split(&e->data), &e->numbers, err));
    else if (strcmp(a->o.baseline, "none"))
        GEN_TRY(cli_eval_baseline(a, e->run, gen_data_test_split(&e->data), &e->numbers, err));
    return a->o.pieces ? cli_eval_compositions(a, e->run, &e->numbers, err) : GEN_OK;
}

/* ---- one run -------------------------------------------------------------------------------------------------------------------- */

static gen_status evaluate(evaluation *e, gen_error *err)
{
    const cli_args *a = e->a;
    double nll;
    if (a->o.posterior_steps && !a->o.is_samples)
        return gen_fail(err, GEN_BAD_OPTION, "--posterior-steps are of a likelihood: say --is-samples 200, too");
    e->model = e->run->settings.model->name;
    if (e->run->settings.model->things) e->things = e->run->settings.model->things;
    if (e->run->settings.model->denoise) GEN_TRY(cli_set_sampler(a, e->run, err));
    GEN_TRY(open_data(e, err));
    const gen_model *model = e->run->settings.model;
    if (model->round_trip) {
        e->images = e->data.splits[gen_data_test_split(&e->data)].n;
        return cli_eval_translation(a, e->run, &e->data, &e->numbers, err);
    }
    if (model->bars) {
        if (strcmp(a->o.baseline, "none"))
            return gen_fail(err, GEN_BAD_OPTION, "--baseline is of models that foretell music, %s makes it from noise",
                            model->name);
        e->images = e->data.splits[GEN_SPLIT_TRAIN].n, e->split = gen_split_name(GEN_SPLIT_TRAIN);
        return cli_eval_bars(e->a, e->run, &e->data, &e->numbers, err);
    }
    bool only_pictures =
        !model->eval && (model->decode || model->denoise); /* a GAN: there is nothing else to measure */
    e->compared = *a->o.features || a->o.n || only_pictures;
    if (model->eval || !e->compared) GEN_TRY(means(e, err));
    GEN_TRY(codes(e, err));
    GEN_TRY(tokens(e, err));
    e->code_numbers = gen_latent_size(e->run);
    if (a->o.is_samples) {
        const gen_likelihood how = { a->o.is_samples, a->o.posterior_steps };
        GEN_TRY(gen_nll(e->run, &e->data, e->range, &how, &nll, err));
        cli_add_number(&e->numbers, "nll", nll);
    }
    if (a->o.bits) { /* the weights are there: eval's network is the same */
        double bits;
        GEN_TRY(gen_bits_per_dim(e->run, &e->data, e->range, a->o.bits, &bits, err));
        cli_add_number(&e->numbers, "bits_per_dim", bits);
    }
    if (!e->compared) return GEN_OK;
    GEN_TRY(cli_compare_run(a, e->run, &e->data, e->range, e->data.splits[GEN_SPLIT_TRAIN], &e->sets, err));
    if (!model->eval) e->images = e->sets.n_real;
    for (int32_t i = 0; i < e->sets.numbers.n; i++)
        cli_add_number(&e->numbers, e->sets.numbers.name[i], e->sets.numbers.value[i]);
    return GEN_OK;
}

static gen_status evaluate_folder(evaluation *e, gen_error *err)
{
    GEN_TRY(cli_open_run(e->a, e->folder, &e->device, &e->run, err));
    gen_status status = evaluate(e, err);
    cli_close_run(e->run, e->device);
    return status;
}

/* ---- results ---------------------------------------------------------------------------------------------------------------------- */

static void put_json(gen_json_out *out, const evaluation *e)
{
    gen_json_open(out, NULL, '{');
    gen_json_put_string(out, "run", e->folder);
    if (e->step >= 0) gen_json_put_int(out, "step", e->step);
    gen_json_put_string(out, "split", e->split);
    gen_json_put_int(out, e->things, e->images);
    for (int32_t i = 0; i < e->numbers.n; i++) gen_json_put_double(out, e->numbers.name[i], e->numbers.value[i]);
    if (e->a->o.is_samples) gen_json_put_int(out, "is_samples", e->a->o.is_samples);
    if (e->a->o.posterior_steps) gen_json_put_int(out, "posterior_steps", e->a->o.posterior_steps);
    if (e->d) gen_json_open(out, "kl_dims", '[');
    for (int64_t i = 0; i < e->d; i++) gen_json_put_double(out, NULL, e->kl[i]);
    if (e->d) gen_json_close(out, ']');
    if (e->compared) cli_put_sets(out, &e->sets);
    gen_json_close(out, '}');
}

static gen_status print_json(const cli_args *a, const evaluation *e, int n, gen_error *err)
{
    gen_json_out out = { .arena = a->arena };
    bool many = n > 1 || e[0].step >= 0;
    if (many) gen_json_open(&out, NULL, '[');
    for (int i = 0; i < n; i++) put_json(&out, &e[i]);
    if (many) gen_json_close(&out, ']');
    return cli_print_json(&out, err);
}

static void print_how(const cli_args *a)
{
    printf("  (nats an image, %" PRId64 " importance samples", a->o.is_samples);
    if (a->o.posterior_steps) printf(", each picture's own q after %" PRId64 " steps", a->o.posterior_steps);
    printf(")");
}

static void print_one(const evaluation *e)
{
    printf("%s on %" PRId64 " %s %s of %s\n", e->folder, e->images, e->split, e->things, e->data_name);
    for (int32_t i = 0; i < e->numbers.n; i++) {
        const char *name = e->numbers.name[i];
        printf("  %-16s %.6g", name, e->numbers.value[i]);
        if (!strcmp(name, "nll")) print_how(e->a);
        if (!strcmp(name, "active_units")) printf("  (of %" PRId64 ")", e->d);
        if (!strcmp(name, "frechet_floor")) printf("  (training against test images)");
        printf("\n");
    }
    if (e->d) printf("  kl of each dimension:");
    for (int64_t i = 0; i < e->d; i++) printf(" %.2f", e->kl[i]);
    if (e->d) printf("\n");
    if (e->compared) cli_print_sets(&e->sets);
}

/* A line for each number that the first run has, a column for each run. */
static void print_table(const evaluation *e, int n)
{
    enum { WIDTH = 22 };
    printf("%-16s", "");
    for (int i = 0; i < n; i++) {
        size_t length = strlen(e[i].folder), skip = length > WIDTH - 2 ? length - (WIDTH - 2) : 0;
        printf("%*s", WIDTH, e[i].folder + skip);
    }
    printf("\n%-16s", e->things);
    for (int i = 0; i < n; i++) printf("%*" PRId64, WIDTH, e[i].images);
    printf("\n");
    for (int32_t k = 0; k < e[0].numbers.n; k++) {
        printf("%-16s", e[0].numbers.name[k]);
        for (int i = 0; i < n; i++) {
            const double *value = find(&e[i], e[0].numbers.name[k]);
            if (value) printf("%*.6g", WIDTH, *value);
            else printf("%*s", WIDTH, "-");
        }
        printf("\n");
    }
}

/* ---- plots ------------------------------------------------------------------------------------------------------------------ */

static gen_status draw(const cli_args *a, const char *title, const char *x, const char *y, const gen_series *series,
                       int32_t n, gen_error *err)
{
    gen_bytes file;
    gen_plot plot = { .title = title,
                      .x_label = x,
                      .y_label = y,
                      .format = gen_path_has_extension(a->o.output, "svg") ? GEN_PLOT_SVG : GEN_PLOT_PNG };
    GEN_TRY(gen_plot_lines(&plot, series, n, a->arena, &file, err));
    return gen_file_write(a->o.output, file.data, file.size, err);
}

static double value_of(const evaluation *e, const char *name)
{
    const double *value = find(e, name);
    return value ? *value : (double)NAN;
}

/* The Frechet distance of each checkpoint, or its loss where nothing is compared. */
static gen_status plot_steps(const evaluation *e, int32_t n, gen_error *err)
{
    const char *name = e->compared ? "frechet" : "loss";
    double *x = gen_arena_alloc(e->a->arena, (size_t)(2 * n) * sizeof *x);
    if (!x) return gen_fail(err, GEN_NO_MEMORY, "no memory for a plot");
    for (int32_t i = 0; i < n; i++) {
        x[i] = (double)e[i].step;
        x[n + i] = value_of(&e[i], name);
    }
    gen_series series = { name, x, x + n, (size_t)n };
    return draw(e->a, e->folder, "step", name, &series, 1, err);
}

/* The runs of one model, their codes growing: x how many numbers they have, y the error; returns how many runs. */
static size_t runs_of(const evaluation *e, int32_t n, const char *model, const char *number, double *x, double *y)
{
    size_t m = 0;
    for (int32_t i = 0; i < n; i++) {
        if (strcmp(e[i].model, model)) continue;
        size_t at = m++;
        for (; at && x[at - 1] > (double)e[i].code_numbers; at--) x[at] = x[at - 1], y[at] = y[at - 1];
        x[at] = (double)e[i].code_numbers;
        y[at] = value_of(&e[i], number);
    }
    return m;
}

/* The error over the size of the code, a line for each model, so that models compare at equal size. */
static gen_status plot_runs(const evaluation *e, int32_t n, gen_error *err)
{
    const char *number = find(&e[0], "mse") ? "mse" : "loss";
    gen_series *series = gen_arena_alloc(e->a->arena, (size_t)n * sizeof *series);
    double *x = gen_arena_alloc(e->a->arena, (size_t)(2 * n) * sizeof *x), *y = x + n;
    int32_t lines = 0;
    if (!series || !x) return gen_fail(err, GEN_NO_MEMORY, "no memory for a plot");
    for (int32_t i = 0; i < n; i++) {
        int32_t known = 0;
        while (known < lines && strcmp(series[known].name, e[i].model)) known++;
        if (known < lines) continue;
        size_t m = runs_of(e, n, e[i].model, number, x, y);
        series[lines++] = (gen_series){ e[i].model, x, y, m };
        x += m, y += m;
    }
    return draw(e->a, e[0].data_name, "numbers of the code", number, series, lines, err);
}

/* ---- along a training --------------------------------------------------------------------------------------------------------- */

static gen_status steps_of(const cli_args *a, int64_t **steps, int32_t *n, gen_error *err)
{
    gen_device *device;
    gen_run *run;
    GEN_TRY(cli_open_run(a, a->word[0], &device, &run, err));
    gen_status status = gen_checkpoint_steps(run, a->arena, steps, n, err);
    cli_close_run(run, device);
    if (status == GEN_OK && !*n)
        status = gen_fail(err, GEN_NOT_FOUND, "%s has no checkpoints yet: gen train --resume %s goes on", a->word[0],
                          a->word[0]);
    return status;
}

static void print_steps(const evaluation *e, int32_t n)
{
    enum { WIDTH = 16 };
    printf("%s on %" PRId64 " %s %s of %s\n%8s", e->folder, e->images, e->split, e->things, e->data_name, "step");
    for (int32_t k = 0; k < e[0].numbers.n; k++) printf("%*s", WIDTH, e[0].numbers.name[k]);
    printf("\n");
    for (int32_t i = 0; i < n; i++) {
        printf("%8" PRId64, e[i].step);
        for (int32_t k = 0; k < e[i].numbers.n; k++) printf("%*.6g", WIDTH, e[i].numbers.value[k]);
        printf("\n");
    }
    if (e->compared)
        printf("  in %" PRId64 " features of %s: %" PRId64 " pictures against %" PRId64 "\n", e->sets.d,
               e->sets.network, e->sets.n_made, e->sets.n_real);
}

static gen_status evaluate_steps(const cli_args *a, gen_error *err)
{
    int64_t *steps;
    int32_t n;
    GEN_TRY(steps_of(a, &steps, &n, err));
    evaluation *e = gen_arena_alloc(a->arena, (size_t)n * sizeof *e);
    cli_args *words = gen_arena_alloc(a->arena, (size_t)n * sizeof *words); /* the same but for the checkpoint */
    if (!e || !words) return gen_fail(err, GEN_NO_MEMORY, "no memory for results");
    for (int32_t i = 0; i < n; i++) {
        words[i] = *a;
        words[i].o.checkpoint = gen_arena_printf(a->arena, "%" PRId64, steps[i]);
        e[i] = (evaluation){ .a = &words[i], .step = steps[i], .folder = a->word[0], .things = "images" };
        GEN_TRY(evaluate_folder(&e[i], err));
    }
    if (a->o.json) GEN_TRY(print_json(a, e, n, err));
    else print_steps(e, n);
    return *a->o.output ? plot_steps(e, n, err) : GEN_OK;
}

/* ---- the verb ----------------------------------------------------------------------------------------------------------------------- */

static int run(cli_args *a, gen_error *err)
{
    evaluation *e = gen_arena_alloc(a->arena, CLI_MAX_WORDS * sizeof *e);
    if (cli_need_words(&cli_eval, a, 1, CLI_MAX_WORDS, err) != GEN_OK) return CLI_USAGE;
    if (cli_are_sets(a)) return cli_eval_sets(a, err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
    if (cli_are_pictures(a)) return cli_eval_pictures(a, err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
    if (!e) return gen_fail(err, GEN_NO_MEMORY, "no memory for results"), CLI_FAILED;
    bool all = !strcmp(a->o.checkpoint, "all");
    if (all && a->n_words != 1)
        return gen_fail(err, GEN_BAD_OPTION, "--checkpoint all is for one run, not for %d", a->n_words), CLI_USAGE;
    if (!all && *a->o.output && a->n_words == 1)
        return gen_fail(err, GEN_BAD_OPTION,
                        "-o %s draws several runs, or with --checkpoint all one of them: here is one", a->o.output),
               CLI_USAGE;
    if (all) return evaluate_steps(a, err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
    for (int i = 0; i < a->n_words; i++) {
        e[i] = (evaluation){ .a = a, .step = -1, .folder = a->word[i], .things = "images" };
        if (evaluate_folder(&e[i], err) != GEN_OK) return CLI_FAILED;
    }
    if (a->o.json && print_json(a, e, a->n_words, err) != GEN_OK) return CLI_FAILED;
    if (!a->o.json && a->n_words == 1) print_one(e);
    if (!a->o.json && a->n_words > 1) print_table(e, a->n_words);
    if (*a->o.output && plot_runs(e, a->n_words, err) != GEN_OK) return CLI_FAILED;
    return CLI_GOOD;
}

static const char *const takes[] = {
    "data",      "limit",       "is-samples",      "posterior-steps", "bits",     "features",
    "n",         "components",  "checkpoint",      "weights",         "threads",  "device",
    "precision", "json",        CLI_TAKES_SAMPLER, "pieces",          "baseline", "bars",
    "tempo",     "temperature", "top-k",           "top-p",           "repeats",  "seed",
    "output",    NULL
};
const cli_verb cli_eval = { "eval",
                            "RUN [RUN …]",
                            "how good models are on test data, side by side; how far apart two pictures or folders "
                            "are, or two sets in a network's features",
                            takes,
                            0,
                            run };
