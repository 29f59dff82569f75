/* gen train MODEL [--data …] [--option value], gen train --resume RUN */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "io/file.h"
#include "kernels/devices.h"
#include "models/checkpoint.h"
#include "models/data.h"
#include "models/evaluate.h"
#include "models/film.h"
#include "models/journal.h"
#include "models/report.h"
#include "models/train.h"
#include "tools/cli/cli.h"
#include "tools/cli/profile.h"

typedef struct training {
    cli_args *a;
    gen_settings settings;
    gen_device *device;
    char no_gpu[400]; /* why the device is not the GPU, where that was left to us; said once the training begins */
    gen_run *run;
    gen_dataset data;
    gen_sink terminal;
    gen_eval_result result;
    gen_program *eval;
    double seconds;
    cli_trace trace;
    gen_error trace_error; /* why it could not be written */
    const volatile sig_atomic_t *stop;
} training;

/* ---- what to train ------------------------------------------------------------------------------------------------------------------ */

static gen_status unknown_model(const char *name, gen_error *err)
{
    const char *words[128];
    size_t n = 0;
    for (int i = 0; gen_models[i]; i++) {
        words[n++] = gen_models[i]->name;
        for (const gen_preset *p = gen_models[i]->presets; p && p->name && n < 128; p++) words[n++] = p->name;
    }
    const char *nearest = gen_nearest_word(name, words, n);
    return gen_fail(err, GEN_BAD_OPTION, "there is no model %s%s%s%s; `gen list` shows the models", name,
                    nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static gen_status make_settings(training *t, gen_error *err)
{
    cli_args *a = t->a;
    const gen_preset *preset = NULL;
    if (a->n_words != 1)
        return gen_fail(err, GEN_BAD_OPTION,
                        "usage: gen train MODEL [--data NAME|PATH] [--option value], or gen train --resume RUN; `gen "
                        "list` shows the models");
    const gen_model *model = gen_model_find(a->word[0]);
    if (!model && !gen_model_alias(a->word[0], &model, &preset)) return unknown_model(a->word[0], err);
    GEN_TRY(gen_settings_start(&t->settings, model, a->arena, err));
    if (*a->o.preset) GEN_TRY(gen_settings_preset(&t->settings, a->o.preset, err));
    else if (preset) GEN_TRY(gen_settings_preset(&t->settings, preset->name, err));
    for (int i = 0; i < a->n_extra; i++)
        GEN_TRY(gen_settings_set(&t->settings, a->extra_name[i], a->extra_value[i], err));
    if (!*t->settings.train.data) t->settings.train.data = model->data;
    return GEN_OK;
}

/* Options that do not change the numbers may be given again; with the others the run would no longer be the same. */
static gen_status resume_options(training *t, gen_error *err)
{
    for (int i = 0; i < t->a->n_extra; i++) {
        void *where;
        const gen_option *row = gen_settings_find(&t->run->settings, t->a->extra_name[i], &where);
        bool longer = !strcmp(t->a->extra_name[i], "epochs") || !strcmp(t->a->extra_name[i], "steps");
        if (row && !(row->flags & OPT_NOT_MATH) && !longer)
            return gen_fail(err, GEN_BAD_OPTION, "--%s cannot change when a run goes on; start a new run with it",
                            row->name);
        GEN_TRY(gen_settings_set(&t->run->settings, t->a->extra_name[i], t->a->extra_value[i], err));
    }
    return GEN_OK;
}

static void common_options(const cli_args *a, gen_train_options *o)
{
    if (a->o.threads) o->threads = a->o.threads;
    if (strcmp(a->o.device, "auto")) o->device = a->o.device;
}

static gen_status open_device(training *t, const char *name, int64_t threads, const char *precision, gen_error *err)
{
    GEN_TRY(gen_device_open_with(name, (int32_t)threads, precision, &t->device, t->no_gpu, sizeof t->no_gpu, err));
    return cli_use_tuning(t->a, t->device, err);
}

/* What a run was trained with so far; the text is the arena's. */
static gen_status precision_of(const cli_args *a, const char *folder, const char **precision, gen_error *err)
{
    gen_device *device;
    gen_run *run = NULL;
    GEN_TRY(gen_device_open("cpu", 1, &device, err));
    gen_status status = gen_run_open(folder, device, GEN_RUN_READ, &run, err);
    if (status == GEN_OK) *precision = gen_arena_strdup(a->arena, run->settings.train.precision);
    gen_run_close(run);
    device->ops->close(device);
    return status;
}

static gen_status open_new(training *t, gen_error *err)
{
    GEN_TRY(make_settings(t, err));
    common_options(t->a, &t->settings.train);
    if (*t->a->o.data) t->settings.train.data = t->a->o.data;
    GEN_TRY(open_device(t, t->settings.train.device, t->settings.train.threads, t->settings.train.precision, err));
    GEN_TRY(gen_data_open(&t->settings, &t->terminal, t->a->arena, &t->data, err));
    return gen_run_create(&t->settings, &t->data, t->device, &t->run, err);
}

static gen_status open_old(training *t, gen_error *err)
{
    if (t->a->n_words) return gen_fail(err, GEN_BAD_OPTION, "gen train --resume RUN takes no model: the run knows it");
    const char *precision;
    GEN_TRY(precision_of(t->a, t->a->o.resume, &precision, err));
    GEN_TRY(open_device(t, t->a->o.device, t->a->o.threads, precision, err));
    GEN_TRY(gen_run_open(t->a->o.resume, t->device, GEN_RUN_WRITE, &t->run, err));
    GEN_TRY(resume_options(t, err));
    GEN_TRY(gen_data_open(&t->run->settings, &t->terminal, t->a->arena, &t->data, err));
    if (t->data.height_px != t->run->height || t->data.width_px != t->run->width ||
        t->data.channels != t->run->channels)
        return gen_fail(err, GEN_BAD_SHAPE,
                        "%s has pictures of %dx%dx%d, the run was trained on %" PRId64 "x%" PRId64 "x%" PRId64,
                        t->data.name, t->data.height_px, t->data.width_px, t->data.channels, t->run->height,
                        t->run->width, t->run->channels);
    return gen_checkpoint_resume(t->run, err);
}

/* ---- the end of a training ------------------------------------------------------------------------------------------------------------- */

/* 16x16 prior samples, and 8 rows of test images each above their reconstructions. */
static gen_status final_pictures(training *t, gen_error *err)
{
    enum { SIDE = 16, ROWS = 8, N = SIDE * SIDE, N_TEST = SIDE * ROWS };
    gen_run *run = t->run;
    const gen_model *model = run->settings.model;
    int64_t d = gen_latent_size(run), pixels = run->height * run->width * run->channels, indices[N_TEST];
    if (!model->decode || !d) return GEN_OK;
    float *z = gen_arena_alloc(t->a->arena, (size_t)(N * d) * sizeof *z),
          *pictures = gen_arena_alloc(t->a->arena, (size_t)(N * pixels) * sizeof *pictures);
    float *x = gen_arena_alloc(t->a->arena, (size_t)(N_TEST * pixels) * sizeof *x);
    float labels[N];
    if (!z || !pictures || !x) return gen_fail(err, GEN_NO_MEMORY, "no memory for pictures");
    for (int64_t i = 0; i < N; i++) labels[i] = run->classes ? (float)(i / SIDE % run->classes) : 0; /* row by row */
    gen_latent_draw((uint64_t)run->settings.train.seed, 0, N, d, z);
    GEN_TRY(cli_write_view(run, z, labels, N, SIDE, t->a->arena, gen_run_path(run, "samples.png"), err));
    GEN_TRY(gen_film_write(run, "samples", gen_run_path(run, "samples-film.png"), err));
    if (!model->encode) return GEN_OK;
    gen_range test = t->data.splits[gen_data_test_split(&t->data)];
    for (int64_t i = 0; i < N_TEST; i++) indices[i] = test.first + i % test.n;
    gen_dataset_batch(&t->data, indices, N_TEST, x);
    const float *known = gen_data_labels(&t->data, indices, N_TEST, labels);
    GEN_TRY(gen_encode(run, x, known, N_TEST, z, NULL, err));
    float *back = gen_arena_alloc(t->a->arena, (size_t)(N_TEST * pixels) * sizeof *back);
    if (!back) return gen_fail(err, GEN_NO_MEMORY, "no memory for pictures");
    GEN_TRY(gen_decode(run, z, known, N_TEST, back, err));
    for (int64_t row = 0; row < ROWS; row++) {
        size_t bytes = (size_t)(SIDE * pixels) * sizeof *x;
        memcpy(pictures + 2 * row * SIDE * pixels, x + row * SIDE * pixels, bytes);
        memcpy(pictures + (2 * row + 1) * SIDE * pixels, back + row * SIDE * pixels, bytes);
    }
    return cli_write_grid(run, pictures, N, SIDE, gen_run_path(run, "reconstructions.png"), err);
}

static gen_status final_numbers(training *t, gen_error *err)
{
    if (!t->run->settings.model->eval) return GEN_OK;
    GEN_TRY(gen_run_program(t->run, t->run->settings.model->eval, "be evaluated", GEN_EVAL_BATCH, &t->eval, err));
    return gen_evaluate(t->run, t->eval, &t->data, t->data.splits[gen_data_test_split(&t->data)], &t->result, err);
}

static gen_status print_results(training *t, gen_error *err)
{
    gen_run *run = t->run;
    const char *split = gen_split_name(gen_data_test_split(&t->data));
    const char *things = run->settings.model->things ? run->settings.model->things : "images";
    if (t->a->o.json) {
        gen_json_out out = { .arena = t->a->arena };
        gen_json_open(&out, NULL, '{');
        gen_json_put_string(&out, "run", run->folder);
        gen_json_put_int(&out, "steps", run->progress.step);
        gen_json_put_double(&out, "seconds", t->seconds);
        gen_json_put_string(&out, "split", split);
        gen_json_put_int(&out, things, t->result.count);
        for (int32_t i = 0; i < t->result.n; i++) gen_json_put_double(&out, t->result.name[i], t->result.mean[i]);
        gen_json_close(&out, '}');
        return cli_print_json(&out, err);
    }
    printf("%s: %" PRId64 " steps in %.0f s\n", run->folder, run->progress.step, t->seconds);
    if (t->result.count) printf("on %" PRId64 " %s %s:", t->result.count, split, things);
    for (int32_t i = 0; i < t->result.n; i++) printf("  %s %.6g", t->result.name[i], t->result.mean[i]);
    printf("%s", t->result.count ? "\n" : "");
    printf("look at %s/report.html", run->folder);
    if (run->settings.model->decode || run->settings.model->denoise)
        printf("; more pictures: gen sample %s -o samples.png", run->folder);
    else if (run->settings.model->tokens == GEN_TOKENS_MUSIC) printf("; next: gen compose %s -o new.mid", run->folder);
    else if (run->settings.model->tokens) printf("; next: gen sample %s", run->folder);
    else if (run->settings.model->state) printf("; next: gen sample %s -o new.mid", run->folder);
    else if (run->settings.model->translate)
        printf("; next: gen %s %s PICTURE", run->settings.model->paired ? "translate" : "denoise", run->folder);
    printf("\n");
    return GEN_OK;
}

/* The report is worth having, but a training has not failed for want of a plot library. */
static gen_status write_report(training *t, gen_error *err)
{
    gen_error plot = { 0 };
    gen_status status = gen_report_curves(t->run, gen_run_path(t->run, "loss.png"), &plot);
    if (status == GEN_NO_DEVICE)
        gen_emit_text(&t->terminal, t->run->progress.step, "warning", "no loss.png: %s", plot.text);
    else if (status != GEN_OK) return gen_fail(err, status, "%s", plot.text);
    return gen_report_html(t->run, &t->result, t->seconds, err);
}

/* The first steps after the warm-up; the file is there as soon as they are done. */
static void on_run(void *context, gen_program *program)
{
    training *t = context;
    if (cli_trace_full(&t->trace)) return;
    cli_trace_ran(&t->trace, program);
    if (cli_trace_full(&t->trace)) cli_trace_write(&t->trace, t->a->o.trace, &t->trace_error);
}

/* Of a training too short for all its steps: what there is. */
static gen_status finish_trace(training *t, gen_error *err)
{
    if (!cli_trace_full(&t->trace)) cli_trace_write(&t->trace, t->a->o.trace, &t->trace_error);
    if (t->trace_error.status == GEN_OK) return GEN_OK;
    return gen_fail(err, t->trace_error.status, "%s", t->trace_error.text);
}

static gen_status train_and_report(training *t, gen_error *err)
{
    gen_journal *journal = NULL;
    double start = cli_now_s();
    const gen_model *model = t->run->settings.model;
    const char *things = model->state || model->tokens ? "windows" : model->things ? model->things : "images";
    cli_terminal_counts(things);
    GEN_TRY(gen_journal_open(t->run, &t->terminal, &journal, err));
    gen_emit_text(&t->terminal, t->run->progress.step, "note", "%s on %s (%" PRId64 " training %s), %s; run folder %s",
                  model->name, t->data.name, t->data.splits[GEN_SPLIT_TRAIN].n, things, t->device->name,
                  t->run->folder);
    if (*t->no_gpu) gen_emit_text(&t->terminal, t->run->progress.step, "note", "%s", t->no_gpu);
    gen_model_context m = gen_run_context(t->run, t->run->settings.train.batch);
    if (t->run->settings.model->healthy)
        gen_emit_text(&t->terminal, t->run->progress.step, "note", "%s", t->run->settings.model->healthy(&m));
    gen_train_hooks hooks = {
        .sink = gen_journal_sink(journal), .stop = t->stop, .ran = *t->a->o.trace ? on_run : NULL, .context = t
    };
    gen_status status = gen_train(t->run, &t->data, &hooks, err);
    if (status == GEN_OK) status = gen_journal_error(journal, err);
    gen_journal_close(journal);
    t->seconds = cli_now_s() - start;
    if (status != GEN_OK) return status;
    if (*t->a->o.trace) GEN_TRY(finish_trace(t, err));
    GEN_TRY(final_numbers(t, err));
    GEN_TRY(final_pictures(t, err));
    GEN_TRY(write_report(t, err));
    return print_results(t, err);
}

static int run(cli_args *a, gen_error *err)
{
    training t = { .a = a, .terminal = cli_terminal(a), .trace = { .arena = a->arena } };
    t.stop = cli_catch_stop();
    gen_status status = *a->o.resume ? open_old(&t, err) : open_new(&t, err);
    if (status == GEN_OK) status = train_and_report(&t, err);
    gen_program_free(t.eval);
    gen_run_close(t.run);
    if (t.device) t.device->ops->close(t.device);
    return status == GEN_OK ? CLI_GOOD : CLI_FAILED;
}

static const char *const takes[] = { "data",    "preset", "resume", "trace", "tune",
                                     "threads", "device", "json",   "quiet", NULL };
const cli_verb cli_train = { "train", "MODEL", "train a model; --resume RUN goes on with one", takes, 1, run };
