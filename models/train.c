#define _POSIX_C_SOURCE 200809L
#include "models/train.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "models/batches.h"
#include "models/checkpoint.h"
#include "models/data.h"
#include "models/data_pair.h"
#include "models/evaluate.h"
#include "models/generate.h"
#include "models/journal.h"
#include "models/rolling.h"
#include "models/sequence.h"
#include "models/watch.h"

enum { MAX_SCALARS = GEN_MAX_NUMBERS, GRID_SIDE = 8, N_GRID = GRID_SIDE * GRID_SIDE, MAX_SKIPPED = 100 };

typedef struct trainer {
    gen_run *run;
    const gen_dataset *data;
    gen_train_hooks hooks;
    gen_batches *batches;
    gen_rolling *rolling; /* NULL: steps are taken one by one */
    gen_program *train, *eval, *decode, *panel;
    int64_t batch;  /* what the model's graph is built for */
    int64_t images; /* that a run of the graph takes: a multiple of batch */
    int64_t runs;   /* of the graph in a step: --accumulate */
    int64_t per_epoch, n_steps;
    int64_t checkpoint_every, sample_every;
    double sums[MAX_SCALARS]; /* of each output since the last log line */
    int64_t in_sums;
    double since_s; /* when the last log line was written */
    gen_watcher watcher;
} trainer;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- making ready ---------------------------------------------------------------------------------------------------------------- */

static void find_lengths(trainer *t)
{
    const gen_train_options *o = &t->run->settings.train;
    t->per_epoch = gen_batches_per_epoch(t->batches);
    t->n_steps = o->steps ? o->steps : o->epochs * t->per_epoch;
    t->checkpoint_every = o->checkpoint_every ? o->checkpoint_every : t->per_epoch;
    t->sample_every = o->sample_every ? o->sample_every : t->per_epoch;
}

/* May the device take steps by itself? Not where a step is several runs or somebody looks at each. */
static bool may_roll(const trainer *t)
{
    return t->runs == 1 && !t->hooks.ran && gen_rolling_can(t->run->device);
}

static gen_status make_train_program(trainer *t, gen_error *err)
{
    gen_graph *g = gen_graph_new();
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    gen_model_context m = gen_run_context(t->run, t->batch);
    m.n_steps = t->n_steps;
    m.steps_per_epoch = t->per_epoch;
    m.optim = gen_settings_optim(&t->run->settings, t->n_steps, t->per_epoch);
    if (t->run->settings.train.checkpoint_activations) gen_graph_checkpoint(g);
    t->run->settings.model->train(g, &m);
    if (may_roll(t) && gen_graph_outputs(g) > 0) gen_optim_guard(g, gen_graph_output(g, 0, NULL));
    GEN_TRY(gen_program_new(g, t->run->device, t->run->params, (uint64_t)t->run->settings.train.seed, &t->train, err));
    return may_roll(t) ? gen_rolling_new(t->train, t->batches, &t->rolling, err) : GEN_OK;
}

/* Each beginning of --freeze must be one of a weight's name: a typing error would train what was to stay. */
static gen_status check_freeze(const trainer *t, gen_error *err)
{
    const gen_params *params = t->run->params;
    for (const char *list = t->run->settings.train.freeze; *list;) {
        size_t n = strcspn(list, ",");
        bool found = false;
        for (int32_t i = 0; i < gen_params_count(params); i++) {
            gen_param_info p = gen_params_get(params, i);
            found = found || (!p.spec.state && !strncmp(p.name, list, n));
        }
        if (!found || !n)
            return gen_fail(err, GEN_BAD_OPTION, "--freeze %.*s: no weight's name starts so; gen info lists them",
                            (int)n, list);
        list += n + (list[n] == ',');
    }
    return GEN_OK;
}

/* --from: the start of a training whose first step is still to come. */
static gen_status take_weights(trainer *t, bool tell, gen_error *err)
{
    const gen_train_options *o = &t->run->settings.train;
    gen_taken taken;
    if (!*o->from) return GEN_OK;
    GEN_TRY(gen_checkpoint_take(t->run, o->from, &taken, err));
    if (tell)
        gen_emit_text(&t->hooks.sink, 0, "note", "%d tensors come from %s, %d start new%s%s%s", taken.taken, o->from,
                      taken.left, taken.first_left ? " (" : "", taken.first_left ? taken.first_left : "",
                      !taken.first_left ? ""
                      : taken.left > 1  ? " …)"
                                        : ")");
    return GEN_OK;
}

static gen_status make_inference_programs(trainer *t, gen_error *err)
{
    const gen_model *model = t->run->settings.model;
    if (model->eval) GEN_TRY(gen_run_program(t->run, model->eval, "be evaluated", GEN_EVAL_BATCH, &t->eval, err));
    if (model->panel) GEN_TRY(gen_run_program(t->run, model->panel, "make a panel", 1, &t->panel, err));
    if (model->decode && model->latent)
        GEN_TRY(gen_run_program(t->run, model->decode, "make pictures from codes", N_GRID, &t->decode, err));
    return GEN_OK;
}

static gen_status make_batches(trainer *t, gen_error *err)
{
    gen_range range = t->data->splits[GEN_SPLIT_TRAIN];
    uint64_t seed = (uint64_t)t->run->settings.train.seed;
    if (t->run->settings.model->tokens && gen_sequence_carries(t->run->settings.options)) {
        if (t->runs > 1)
            return gen_fail(err, GEN_BAD_OPTION,
                            "--accumulate %" PRId64 ": a network that carries its state on takes 1 only", t->runs);
        return gen_batches_new_in_order(t->data, range, t->images, &t->batches, err);
    }
    if (!t->run->settings.model->paired)
        return gen_batches_new(t->data, range, t->images * t->runs, t->images / t->batch, seed, &t->batches, err);
    if (t->runs >
        1) /* the pictures of a step lie in two halves, one of each set: a part of them would be of one set only */
        return gen_fail(err, GEN_BAD_OPTION, "--accumulate %" PRId64 ": %s learns from two sets and takes 1 only",
                        t->runs, t->run->settings.model->name);
    return gen_batches_new_pair(t->data, gen_data_label_range(t->data, range, 0),
                                gen_data_label_range(t->data, range, 1), t->images, seed, &t->batches, err);
}

static gen_status start(trainer *t, gen_error *err)
{
    const gen_train_options *o = &t->run->settings.train;
    t->batch = o->batch;
    t->runs = o->accumulate;
    gen_model_context m = gen_run_context(t->run, t->batch);
    t->images = gen_model_step_images(t->run->settings.model, &m);
    GEN_TRY(make_batches(t, err));
    find_lengths(t);
    GEN_TRY(make_train_program(t, err));
    GEN_TRY(check_freeze(t, err));
    return make_inference_programs(t, err);
}

static void finish(trainer *t)
{
    gen_batches_free(t->batches);
    gen_rolling_free(t->rolling);
    gen_program_free(t->train);
    gen_program_free(t->eval);
    gen_program_free(t->decode);
    gen_program_free(t->panel);
}

/* ---- one step ---------------------------------------------------------------------------------------------------------------------- */

static gen_run_state state_at(const trainer *t, int64_t step)
{
    return (gen_run_state){ .seed = (uint64_t)t->run->settings.train.seed, .step = (uint64_t)step };
}

/* The r-th of a step's runs draws random numbers of its own. */
static gen_run_state state_of_run(const trainer *t, int64_t step, int64_t r)
{
    return state_at(t, step * t->runs + r);
}

/* The pictures of the r-th run. */
static gen_status feed(trainer *t, const gen_batch *batch, int64_t r, gen_error *err)
{
    int64_t count = t->images * t->run->height * t->run->width * t->run->channels;
    GEN_TRY(gen_program_feed(t->train, "x", batch->x + r * count, count, err));
    if (gen_program_wants(t->train, "label"))
        GEN_TRY(gen_program_feed(t->train, "label", batch->labels + r * t->images, t->images, err));
    return GEN_OK;
}

/* Adds what the graph put out, divided by the number of runs, to scalars. */
static gen_status add_outputs(trainer *t, double scalars[MAX_SCALARS], gen_error *err)
{
    int32_t n = gen_program_outputs(t->train);
    for (int32_t i = 0; i < n && i < MAX_SCALARS; i++) {
        double value;
        GEN_TRY(gen_program_fetch_scalar(t->train, gen_program_output_name(t->train, i), &value, err));
        scalars[i] += value / (double)t->runs;
    }
    return GEN_OK;
}

/* Runs step number `step`; scalars are means over its runs; *finite says whether the loss is a number. */
static gen_status run_step(trainer *t, int64_t step, const gen_batch *batch, double scalars[MAX_SCALARS], bool *finite,
                           gen_error *err)
{
    for (int32_t i = 0; i < MAX_SCALARS; i++) scalars[i] = 0;
    for (int64_t r = 0; r < t->runs; r++) {
        GEN_TRY(feed(t, batch, r, err));
        GEN_TRY(gen_program_run(t->train, state_of_run(t, step, r), err));
        if (t->hooks.ran) t->hooks.ran(t->hooks.context, t->train);
        GEN_TRY(add_outputs(t, scalars, err));
    }
    *finite = isfinite(scalars[0]);
    return GEN_OK;
}

/* ---- reports ------------------------------------------------------------------------------------------------------------------------ */

static void report(trainer *t, int64_t step, const double scalars[MAX_SCALARS])
{
    const gen_sink *sink = &t->hooks.sink;
    int32_t n = gen_program_outputs(t->train) < MAX_SCALARS ? gen_program_outputs(t->train) : MAX_SCALARS;
    double now = now_s(), rate = 0;
    for (int32_t i = 0; i < n; i++) t->sums[i] += scalars[i];
    t->in_sums++;
    bool line = step % t->run->settings.train.log_every == 0 || step == t->n_steps;
    if (line) {
        rate = (double)(t->in_sums * t->images * t->runs) / (now - t->since_s);
        for (int32_t i = 0; i < n; i++) {
            char name[64] = "train/";
            strncat(name, gen_program_output_name(t->train, i), sizeof name - 7);
            gen_emit_scalar(sink, step, name, t->sums[i] / (double)t->in_sums);
            t->sums[i] = 0;
        }
        t->in_sums = 0;
        t->since_s = now;
    }
    gen_event e = {
        .kind = GEN_EVENT_STEP, .step = step, .value = scalars[0], .n_steps = t->n_steps, .images_per_s = rate
    };
    if (sink->emit) sink->emit(sink->context, &e);
}

/* A grid of N_GRID pictures [H,W,C] in [0,1], a black pixel between them, as one float image. */
static void emit_pictures(trainer *t, const char *name, const float *pictures, int64_t h, int64_t w, int64_t c)
{
    int64_t gh = GRID_SIDE * (h + 1) + 1, gw = GRID_SIDE * (w + 1) + 1;
    float *grid = gen_alloc((size_t)(gh * gw * c), sizeof *grid);
    if (!grid) return;
    for (int64_t i = 0; i < N_GRID; i++)
        for (int64_t y = 0; y < h; y++)
            memcpy(grid + ((i / GRID_SIDE * (h + 1) + 1 + y) * gw + i % GRID_SIDE * (w + 1) + 1) * c,
                   pictures + (i * h + y) * w * c, (size_t)(w * c) * sizeof *grid);
    gen_event e = { .kind = GEN_EVENT_IMAGE,
                    .step = t->run->progress.step,
                    .name = name,
                    .pixels = grid,
                    .height_px = (int32_t)gh,
                    .width_px = (int32_t)gw,
                    .channels = (int32_t)c };
    if (t->hooks.sink.emit) t->hooks.sink.emit(t->hooks.sink.context, &e);
    gen_free(grid);
}

static void emit_grid(trainer *t, const char *name, const float *pictures)
{
    emit_pictures(t, name, pictures, t->run->height, t->run->width, t->run->channels);
}

/* The same codes every time, so that the grids of a run are a film. */
static gen_status sample_codes(trainer *t, gen_error *err)
{
    float labels[N_GRID];
    const char *output = gen_program_shape(t->decode, "view").rank == 4 ? "view" : "x";
    gen_shape shape = gen_program_shape(t->decode, output);
    int64_t d = gen_latent_size(t->run), pixels = shape.dim[1] * shape.dim[2] * shape.dim[3];
    float *z = gen_alloc((size_t)(N_GRID * d), sizeof *z),
          *pictures = gen_alloc((size_t)(N_GRID * pixels), sizeof *pictures);
    gen_status status = z && pictures ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for samples");
    if (status == GEN_OK) {
        gen_latent_draw((uint64_t)t->run->settings.train.seed, 0, N_GRID, d, z);
        for (int64_t i = 0; i < N_GRID; i++) labels[i] = t->run->classes ? (float)(i % t->run->classes) : 0;
        if (gen_program_wants(t->decode, "label")) status = gen_program_feed(t->decode, "label", labels, N_GRID, err);
    }
    if (status == GEN_OK) {
        status = gen_program_map(t->decode, "z", z, output, pictures, N_GRID, state_at(t, 0), err);
    }
    if (status == GEN_OK) emit_pictures(t, "samples", pictures, shape.dim[1], shape.dim[2], shape.dim[3]);
    gen_free(z);
    gen_free(pictures);
    return status;
}

/* New pictures from the averaged weights, of the labels in turn; always from the same noise. */
static gen_status sample_generated(trainer *t, gen_error *err)
{
    int64_t pixels = t->run->height * t->run->width * t->run->channels;
    float *pictures = gen_alloc((size_t)(N_GRID * pixels), sizeof *pictures);
    if (!pictures) return gen_fail(err, GEN_NO_MEMORY, "no memory for samples");
    const gen_generation how = { .n = N_GRID, .seed = (uint64_t)t->run->settings.train.seed };
    gen_status status = gen_generate(t->run, &how, pictures, err);
    if (status == GEN_OK) emit_grid(t, "samples", pictures);
    gen_free(pictures);
    return status;
}

/* Rows of noisy test pictures, each above what the model makes of them. room: 3 batches */
static gen_status sample_denoised(trainer *t, float *room, gen_error *err)
{
    int64_t pixels = t->run->height * t->run->width * t->run->channels, batch = GEN_EVAL_BATCH * pixels,
            row = GRID_SIDE * pixels, indices[GEN_EVAL_BATCH];
    float *noisy = room, *denoised = noisy + batch, *x = denoised + batch;
    gen_range test = t->data->splits[gen_data_test_split(t->data)];
    for (int64_t i = 0; i < GEN_EVAL_BATCH; i++) indices[i] = test.first + i % test.n;
    gen_dataset_batch(t->data, indices, GEN_EVAL_BATCH, x);
    GEN_TRY(gen_program_feed(t->eval, "x", x, batch, err));
    GEN_TRY(gen_program_run(t->eval, state_at(t, 0), err));
    GEN_TRY(gen_program_fetch(t->eval, "noisy", noisy, batch, err));
    GEN_TRY(gen_program_fetch(t->eval, "denoised", denoised, batch, err));
    for (int64_t r = 0; r < GRID_SIDE; r++)
        memcpy(x + r * row, (r % 2 ? denoised : noisy) + r / 2 * row, (size_t)row * sizeof *x);
    emit_grid(t, "denoised", x);
    return GEN_OK;
}

/* Rows of pairs of test pictures: the first half always the same, the others new ones each time. */
static gen_status sample_panels(trainer *t, gen_error *err)
{
    gen_shape shape = gen_program_shape(t->panel, "panel");
    int64_t pixels = t->run->height * t->run->width * t->run->channels, count = gen_shape_count(&shape);
    int64_t n_rows = N_GRID / shape.dim[0];
    gen_range test = t->data->splits[gen_data_test_split(t->data)], side[2];
    for (int32_t k = 0; k < 2; k++) side[k] = gen_data_label_range(t->data, test, k);
    float *pictures = gen_alloc((size_t)(n_rows * count), sizeof *pictures),
          *x = gen_alloc((size_t)(2 * pixels), sizeof *x);
    gen_status status = pictures && x ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for samples");
    for (int64_t r = 0; r < n_rows && status == GEN_OK; r++) {
        int64_t indices[2], place = r < n_rows / 2 ? r : r + t->run->progress.step;
        for (int k = 0; k < 2; k++) indices[k] = side[k].first + place % side[k].n;
        gen_dataset_batch(t->data, indices, 2, x);
        status = gen_program_feed(t->panel, "x", x, 2 * pixels, err);
        if (status == GEN_OK) status = gen_program_run(t->panel, state_at(t, 0), err);
        if (status == GEN_OK) status = gen_program_fetch(t->panel, "panel", pictures + r * count, count, err);
    }
    if (status == GEN_OK) emit_pictures(t, "panel", pictures, shape.dim[1], shape.dim[2], shape.dim[3]);
    gen_free(pictures);
    gen_free(x);
    return status;
}

static gen_status sample(trainer *t, gen_error *err)
{
    if (t->panel) return sample_panels(t, err);
    if (t->decode) return sample_codes(t, err);
    if (t->run->settings.model->denoise) return sample_generated(t, err);
    if (!t->eval || gen_program_shape(t->eval, "denoised").rank != 4) return GEN_OK;
    int64_t pixels = t->run->height * t->run->width * t->run->channels;
    float *room = gen_alloc((size_t)(3 * GEN_EVAL_BATCH * pixels), sizeof *room);
    if (!room) return gen_fail(err, GEN_NO_MEMORY, "no memory for samples");
    gen_status status = sample_denoised(t, room, err);
    gen_free(room);
    return status;
}

/* ---- evaluation, checkpoints ----------------------------------------------------------------------------------------------------------- */

/* Looks at the validation split; true in *best when its loss is the best so far. */
static gen_status validate(trainer *t, bool *best, gen_error *err)
{
    gen_range range = t->data->splits[GEN_SPLIT_VALIDATION];
    gen_progress *p = &t->run->progress;
    gen_eval_result r;
    *best = false;
    if (!t->eval || !range.n) return GEN_OK;
    GEN_TRY(gen_evaluate(t->run, t->eval, t->data, range, &r, err));
    for (int32_t i = 0; i < r.n; i++) {
        char name[64] = "val/";
        strncat(name, r.name[i], sizeof name - 5);
        gen_emit_scalar(&t->hooks.sink, p->step, name, r.mean[i]);
    }
    *best = p->best_step < 0 || r.mean[0] < p->best_loss - t->run->settings.train.min_delta;
    if (*best) {
        p->best_loss = r.mean[0];
        p->best_step = p->step;
        p->bad_evals = 0;
    } else {
        p->bad_evals++;
    }
    return GEN_OK;
}

static gen_status checkpoint(trainer *t, gen_error *err)
{
    bool best;
    GEN_TRY(validate(t, &best, err));
    GEN_TRY(gen_checkpoint_save(t->run, err));
    return best ? gen_checkpoint_mark_best(t->run, err) : GEN_OK;
}

static bool out_of_patience(const trainer *t)
{
    int64_t patience = t->run->settings.train.patience;
    return patience > 0 && t->run->progress.bad_evals >= patience;
}

/* ---- numbers that are not finite ---------------------------------------------------------------------------------------------------------- */

/* Goes back to the latest checkpoint (or the start) and runs again up to `step`, without looking: parameters are then as they were before it. */
static gen_status replay_to(trainer *t, int64_t step, gen_error *err)
{
    gen_progress keep = t->run->progress;
    gen_batch batch;
    char *path;
    t->run->progress.step = 0;
    if (gen_checkpoint_find(t->run, "latest", &path, NULL) == GEN_OK) {
        GEN_TRY(gen_checkpoint_load(t->run, "latest", GEN_CHECKPOINT_ALL, err));
    } else {
        for (int32_t i = 0; i < gen_params_count(t->run->params); i++)
            GEN_TRY(gen_params_reset(t->run->params, i, (uint64_t)t->run->settings.train.seed, err));
        GEN_TRY(take_weights(t, false, err));
    }
    for (int64_t s = t->run->progress.step; s < step; s++) {
        double scalars[MAX_SCALARS];
        bool finite;
        GEN_TRY(gen_batches_make(t->batches, s, &batch, err));
        GEN_TRY(run_step(t, s, &batch, scalars, &finite, err));
    }
    t->run->progress = keep;
    return GEN_OK;
}

static gen_status explain_not_finite(trainer *t, int64_t step, gen_error *err)
{
    gen_error where = { 0 };
    gen_batch batch;
    char *good = NULL;
    gen_status status = replay_to(t, step, NULL);
    if (status == GEN_OK) status = gen_batches_make(t->batches, step, &batch, NULL);
    for (int64_t r = 0; r < t->runs && status == GEN_OK; r++) {
        status = feed(t, &batch, r, NULL);
        if (status == GEN_OK)
            status = gen_session_find_not_finite(gen_program_session(t->train), state_of_run(t, step, r), &where);
    }
    gen_checkpoint_find(t->run, "latest", &good, NULL);
    return gen_fail(err, GEN_NOT_FINITE,
                    "step %" PRId64 ": the loss is not a finite number (%.160s). Last good checkpoint: %s. Try a "
                    "smaller --lr or --clip-norm 1, or go on with --on-nan skip",
                    step + 1, *where.text ? where.text : "it could not be found again where", good ? good : "none yet");
}

/* A step that gave no number: stop with the reason, or go back and leave it out. */
static gen_status handle_not_finite(trainer *t, int64_t step, gen_error *err)
{
    gen_progress *p = &t->run->progress;
    if (strcmp(t->run->settings.train.on_nan, "skip")) return explain_not_finite(t, step, err);
    if (++p->skipped > MAX_SKIPPED)
        return gen_fail(err, GEN_NOT_FINITE,
                        "step %" PRId64 ": more than %d steps had no finite loss; try a smaller --lr", step + 1,
                        MAX_SKIPPED);
    gen_emit_text(&t->hooks.sink, step + 1, "warning", "step %" PRId64 " had no finite loss: left out", step + 1);
    if (t->rolling) return p->step = step + 1, GEN_OK; /* it changed nothing: gen_optim_guard */
    GEN_TRY(replay_to(t, step, err));
    p->step = step + 1;
    GEN_TRY(gen_checkpoint_save(t->run, err)); /* so that no replay has to leave it out again */
    return gen_batches_start(t->batches, step + 1, t->n_steps, err);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------------------------------- */

static gen_status after_step(trainer *t, bool stopping, gen_error *err)
{
    int64_t step = t->run->progress.step;
    bool last = step == t->n_steps;
    if (step % t->sample_every == 0 || last) GEN_TRY(sample(t, err));
    if (step % t->checkpoint_every == 0 || last) return checkpoint(t, err);
    return stopping ? gen_checkpoint_save(t->run, err) : GEN_OK;
}

static void took_step(trainer *t, int64_t step, const double scalars[MAX_SCALARS])
{
    t->run->progress.step = step + 1;
    report(t, step + 1, scalars);
    gen_watch_step(&t->watcher, t->run, t->train, scalars, step + 1, &t->hooks.sink);
}

static int64_t steps_to_next_report(const trainer *t)
{
    const int64_t every[] = { t->run->settings.train.log_every, t->sample_every, t->checkpoint_every };
    int64_t step = t->run->progress.step, room = t->n_steps - step;
    for (int i = 0; i < 3; i++)
        if (every[i] - step % every[i] < room) room = every[i] - step % every[i];
    return room;
}

static gen_status many_steps(trainer *t, gen_error *err)
{
    const float *numbers;
    const int64_t first = t->run->progress.step, n = gen_rolling_most(t->rolling, steps_to_next_report(t));
    const int32_t width = gen_program_outputs(t->train);
    GEN_TRY(gen_rolling_run(t->rolling, state_at(t, first), n, &numbers, err));
    for (int64_t i = 0; i < n; i++) {
        double scalars[MAX_SCALARS] = { 0 };
        for (int32_t k = 0; k < width; k++) scalars[k] = (double)numbers[i * width + k];
        if (isfinite(scalars[0])) took_step(t, first + i, scalars);
        else GEN_TRY(handle_not_finite(t, first + i, err));
    }
    return GEN_OK;
}

static gen_status one_step(trainer *t, gen_error *err)
{
    double scalars[MAX_SCALARS];
    bool finite;
    gen_batch batch;
    int64_t step = t->run->progress.step;
    GEN_TRY(gen_batches_next(t->batches, &batch, err));
    GEN_TRY(run_step(t, step, &batch, scalars, &finite, err));
    if (!finite) return handle_not_finite(t, step, err);
    took_step(t, step, scalars);
    return GEN_OK;
}

static gen_status loop(trainer *t, gen_error *err)
{
    gen_progress *p = &t->run->progress;
    if (!t->rolling) GEN_TRY(gen_batches_start(t->batches, p->step, t->n_steps, err));
    t->since_s = now_s();
    while (p->step < t->n_steps && !out_of_patience(t)) {
        GEN_TRY(t->rolling ? many_steps(t, err) : one_step(t, err));
        bool stopping = t->hooks.stop && *t->hooks.stop;
        GEN_TRY(after_step(t, stopping, err));
        if (stopping && p->step < t->n_steps)
            return gen_fail(err, GEN_STOPPED,
                            "stopped after step %" PRId64 " of %" PRId64 "; go on with `gen train --resume %s`",
                            p->step, t->n_steps, t->run->folder);
    }
    if (out_of_patience(t))
        gen_emit_text(&t->hooks.sink, p->step, "note",
                      "no better validation loss in %" PRId64
                      " evaluations: the training ends; the best was at step %" PRId64,
                      p->bad_evals, p->best_step);
    return GEN_OK;
}

/* ---- models that are computed ------------------------------------------------------------------------------------------------------------- */

static gen_status start_fit(trainer *t, gen_error *err)
{
    const gen_model *model = t->run->settings.model;
    gen_program *encode = NULL;
    t->n_steps = 1;
    GEN_TRY(make_inference_programs(t, err));
    if (!model->encode) return GEN_OK;
    GEN_TRY(gen_run_program(t->run, model->encode, "encode pictures", 1, &encode, err));
    gen_program_free(encode); /* its parameters exist now */
    return GEN_OK;
}

static gen_status emit_training_means(trainer *t, gen_error *err)
{
    gen_eval_result r;
    GEN_TRY(gen_evaluate(t->run, t->eval, t->data, t->data->splits[GEN_SPLIT_TRAIN], &r, err));
    for (int32_t i = 0; i < r.n; i++) {
        char name[64] = "train/";
        strncat(name, r.name[i], sizeof name - 7);
        gen_emit_scalar(&t->hooks.sink, t->run->progress.step, name, r.mean[i]);
    }
    return GEN_OK;
}

/* One step does it all; a run whose step is done has nothing left to do. */
static gen_status fit(trainer *t, gen_error *err)
{
    gen_run *run = t->run;
    gen_model_context m = gen_run_context(run, 1);
    GEN_TRY(start_fit(t, err));
    if (run->progress.step > 0) return gen_checkpoint_load(run, "latest", GEN_CHECKPOINT_ALL, err);
    GEN_TRY(run->settings.model->fit(&m, t->data, t->data->splits[GEN_SPLIT_TRAIN], run->params, err));
    run->progress.step = 1;
    if (t->eval) GEN_TRY(emit_training_means(t, err));
    GEN_TRY(sample(t, err));
    return checkpoint(t, err);
}

static gen_status train(trainer *t, gen_error *err)
{
    GEN_TRY(start(t, err));
    if (t->run->progress.step > 0) GEN_TRY(gen_checkpoint_load(t->run, "latest", GEN_CHECKPOINT_ALL, err));
    else GEN_TRY(take_weights(t, true, err));
    return loop(t, err);
}

gen_status gen_train(gen_run *run, const gen_dataset *data, const gen_train_hooks *hooks, gen_error *err)
{
    trainer t = { .run = run, .data = data, .hooks = *hooks };
    gen_status status = run->settings.model->fit ? fit(&t, err) : train(&t, err);
    finish(&t);
    return status;
}
