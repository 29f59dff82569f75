#include "models/generate.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "models/evaluate.h"

enum { BATCH = 64 };

/* One batch's work. */
typedef struct maker {
    gen_run *run;
    gen_arena *arena;
    gen_noise noise;
    gen_sampler_options options;
    gen_program *program;
    gen_sampler *sampler;
    int64_t batch, d;
    bool has_labels;
    float *labels, *none, *unguided; /* [batch], [batch], [batch,d] */
    float *pictures, *y;             /* [batch,d]: in [0,1] and in [-1,1] */
    float *z;                        /* [batch,d] */
    double *known;                   /* [batch,d] in [-1,1] */
} maker;

/* ---- the network as a denoiser ------------------------------------------------------------------------------------------- */

static gen_status run_once(maker *k, const float *labels, float *x0, gen_error *err)
{
    if (k->has_labels) GEN_TRY(gen_program_feed(k->program, "label", labels, k->batch, err));
    GEN_TRY(gen_program_run(k->program, (gen_run_state){ .seed = 0 }, err));
    return gen_program_fetch(k->program, "x0", x0, k->batch * k->d, err);
}

/* none + guidance (label - none): Ho & Salimans 2022, equation 6, with guidance = 1 + w */
static gen_status guided(maker *k, float *x0, gen_error *err)
{
    double w = k->options.guidance;
    if (!k->has_labels || w == 1) return run_once(k, k->labels, x0, err);
    GEN_TRY(run_once(k, k->none, k->unguided, err));
    if (w == 0) memcpy(x0, k->unguided, (size_t)(k->batch * k->d) * sizeof *x0);
    else GEN_TRY(run_once(k, k->labels, x0, err));
    for (int64_t i = 0; i < k->batch * k->d; i++)
        x0[i] = (float)((double)k->unguided[i] + w * ((double)x0[i] - (double)k->unguided[i]));
    return GEN_OK;
}

static gen_status feed_all(maker *k, const char *input, double value, gen_error *err)
{
    float values[BATCH];
    for (int64_t i = 0; i < k->batch; i++) values[i] = (float)value;
    return gen_program_feed(k->program, input, values, k->batch, err);
}

static gen_status look(void *context, const float *x, double sigma, double time, float *x0, gen_error *err)
{
    maker *k = context;
    GEN_TRY(gen_program_feed(k->program, "x", x, k->batch * k->d, err));
    GEN_TRY(feed_all(k, "sigma", sigma, err));
    if (k->noise.times) GEN_TRY(feed_all(k, "time", time, err));
    return guided(k, x0, err);
}

/* ---- making ready -------------------------------------------------------------------------------------------------------------- */

static gen_status ask_model(gen_run *run, gen_arena *arena, gen_noise *noise, gen_sampler_options *how, gen_error *err)
{
    const gen_model *model = run->settings.model;
    gen_model_context m = gen_run_context(run, 1);
    if (!model->denoise || !model->sampling)
        return gen_fail(err, GEN_UNSUPPORTED, "%s does not make pictures from noise, step by step", model->name);
    return model->sampling(&m, arena, noise, how, err);
}

static float *floats(maker *k, int64_t n)
{
    return gen_arena_alloc(k->arena, (size_t)n * sizeof(float));
}

static gen_status open_maker(maker *k, gen_run *run, int64_t n, gen_error *err)
{
    *k = (maker){ .run = run, .arena = gen_arena_new(), .batch = n < BATCH ? n : BATCH };
    if (!k->arena) return gen_fail(err, GEN_NO_MEMORY, "no memory to make pictures");
    k->d = run->height * run->width * run->channels;
    GEN_TRY(ask_model(run, k->arena, &k->noise, &k->options, err));
    GEN_TRY(gen_run_program(run, run->settings.model->denoise, "make pictures from noise", k->batch, &k->program, err));
    k->has_labels = gen_program_wants(k->program, "label");
    k->labels = floats(k, k->batch);
    k->none = floats(k, k->batch);
    k->unguided = floats(k, k->batch * k->d);
    k->pictures = floats(k, k->batch * k->d);
    k->y = floats(k, k->batch * k->d);
    k->z = floats(k, k->batch * k->d);
    k->known = gen_arena_alloc(k->arena, (size_t)(k->batch * k->d) * sizeof *k->known);
    if (!k->labels || !k->none || !k->unguided || !k->pictures || !k->y || !k->z || !k->known)
        return gen_fail(err, GEN_NO_MEMORY, "no memory to make %" PRId64 " pictures at once", k->batch);
    for (int64_t i = 0; i < k->batch; i++) k->none[i] = (float)run->classes;
    return gen_sampler_new(&k->options, &k->noise, k->batch, k->d, &k->sampler, err);
}

static void close_maker(maker *k)
{
    gen_sampler_free(k->sampler);
    gen_program_free(k->program);
    gen_arena_free(k->arena);
}

/* ---- rows of a batch ------------------------------------------------------------------------------------------------------------ */

/* Rows at.. of a tensor of n rows; the last batch is filled up with its last row. */
static void take_rows(const maker *k, const float *from, int64_t at, int64_t n, int64_t width, float *out)
{
    for (int64_t i = 0; i < k->batch; i++)
        memcpy(out + i * width, from + (at + i < n ? at + i : n - 1) * width, (size_t)width * sizeof *out);
}

static gen_status choose_labels(maker *k, const gen_generation *how, int64_t at, gen_error *err)
{
    int64_t classes = k->run->classes;
    if (!k->has_labels) return GEN_OK;
    if (how->labels) take_rows(k, how->labels, at, how->n, 1, k->labels);
    for (int64_t i = 0; i < k->batch; i++) {
        if (how->no_labels) k->labels[i] = k->none[i];
        else if (!how->labels) k->labels[i] = (float)((how->first + (uint64_t)(at + i)) % (uint64_t)classes);
        double label = (double)k->labels[i];
        if (!(label >= 0 && label <= (double)classes) || label != floor(label))
            return gen_fail(err, GEN_BAD_OPTION, "label %g: the run has labels 0 to %" PRId64, label, classes - 1);
    }
    return GEN_OK;
}

/* [0,1] to [-1,1] and back */
static void to_model(const maker *k, const float *pictures, float *y)
{
    for (int64_t i = 0; i < k->batch * k->d; i++) y[i] = 2 * pictures[i] - 1;
}

static float pixel(double y)
{
    double x = 0.5 * y + 0.5;
    return (float)(x < 0 ? 0 : x > 1 ? 1 : x);
}

/* ---- parts that are known ---------------------------------------------------------------------------------------------------------- */

static const uint32_t KNOWN_DRAWS = 0x80000000u; /* the sampler itself draws 0, 1, 2 … */

/* Outside the mask the state is the known picture with the noise of sigma (RePaint, algorithm 1, lines 4 and 7). */
static void put_known(maker *k, const gen_generation *how, int64_t at, double sigma, uint32_t draw)
{
    double *x = gen_sampler_state(k->sampler);
    int64_t channels = k->run->channels;
    if (!how->known) return;
    gen_sampler_noise(how->seed, how->first + (uint64_t)at, k->batch, k->d, KNOWN_DRAWS + draw, k->z);
    for (int64_t i = 0; i < k->batch * k->d; i++)
        if (how->mask[i % k->d / channels] == 0) x[i] = k->known[i] + sigma * (double)k->z[i];
}

/* ---- one batch ----------------------------------------------------------------------------------------------------------------------- */

static int64_t start(maker *k, const gen_generation *how, int64_t at)
{
    gen_sampler *s = k->sampler;
    uint64_t first = how->first + (uint64_t)at;
    int64_t steps = gen_sampler_steps(s), from = 0;
    if (how->from) {
        from = steps - (int64_t)ceil(how->strength * (double)steps - 1e-9);
        take_rows(k, how->from, at, how->n, k->d, k->pictures);
        to_model(k, k->pictures, k->y);
        gen_sampler_start_at(s, how->seed, first, from, k->y);
    } else if (how->z) {
        take_rows(k, how->z, at, how->n, k->d, k->z);
        gen_sampler_start_from(s, how->seed, first, k->z);
    } else {
        gen_sampler_start(s, how->seed, first);
    }
    if (how->known) {
        take_rows(k, how->known, at, how->n, k->d, k->pictures);
        for (int64_t i = 0; i < k->batch * k->d; i++) k->known[i] = 2 * (double)k->pictures[i] - 1;
    }
    return from;
}

static void show(maker *k, const gen_generation *how, int64_t step, int64_t at)
{
    int64_t real = how->n - at < k->batch ? how->n - at : k->batch;
    if (!how->frame) return;
    const float *x0 = gen_sampler_x0(k->sampler);
    double *x = gen_sampler_state(k->sampler), size = gen_sampler_sigma(k->sampler, step);
    for (int64_t i = 0; i < real * k->d; i++) /* what is left of the noise is shown as DDPM's x_t has it */
        k->pictures[i] =
            step == gen_sampler_steps(k->sampler) ? pixel((double)x0[i]) : pixel(x[i] / sqrt(1 + size * size));
    how->frame(how->context, step, at, real, k->pictures);
}

/* Step i, gone over as often as how->resample says. */
static gen_status one_step(maker *k, const gen_generation *how, int64_t at, int64_t i, uint32_t *draw, gen_error *err)
{
    const gen_denoiser f = { k, look };
    int64_t times = how->known && how->resample > 1 ? how->resample : 1;
    for (int64_t r = 0; r < times; r++) {
        if (r) gen_sampler_renoise(k->sampler, i);
        put_known(k, how, at, gen_sampler_sigma(k->sampler, i), (*draw)++);
        GEN_TRY(gen_sampler_step(k->sampler, i, &f, err));
    }
    put_known(k, how, at, gen_sampler_sigma(k->sampler, i + 1), (*draw)++);
    return GEN_OK;
}

static gen_status make_batch(maker *k, const gen_generation *how, int64_t at, float *pictures, gen_error *err)
{
    uint32_t draw = 0;
    GEN_TRY(choose_labels(k, how, at, err));
    int64_t from = start(k, how, at), real = how->n - at < k->batch ? how->n - at : k->batch;
    show(k, how, from, at);
    for (int64_t i = from; i < gen_sampler_steps(k->sampler); i++) {
        GEN_TRY(one_step(k, how, at, i, &draw, err));
        show(k, how, i + 1, at);
    }
    const double *x = gen_sampler_state(k->sampler);
    for (int64_t i = 0; i < real * k->d; i++) pictures[at * k->d + i] = pixel(x[i]);
    return GEN_OK;
}

static gen_status check(const gen_generation *how, gen_error *err)
{
    if (how->from && !(how->strength > 0 && how->strength <= 1))
        return gen_fail(err, GEN_BAD_OPTION, "--strength %g: expected a number above 0 and at most 1", how->strength);
    return GEN_OK;
}

gen_status gen_generate(gen_run *run, const gen_generation *how, float *pictures, gen_error *err)
{
    maker k = { .run = NULL };
    gen_status status = check(how, err);
    if (status == GEN_OK) status = open_maker(&k, run, how->n, err);
    for (int64_t at = 0; at < how->n && status == GEN_OK; at += k.batch)
        status = make_batch(&k, how, at, pictures, err);
    close_maker(&k);
    return status;
}

/* ---- back to noise ------------------------------------------------------------------------------------------------------------------------ */

/* The state at the most noise, in units of it. */
static gen_status invert_batch(maker *k, const float *x, const gen_generation *how, int64_t at, float *z,
                               gen_error *err)
{
    const gen_denoiser f = { k, look };
    gen_sampler *s = k->sampler;
    double *state = gen_sampler_state(s), sigma = gen_sampler_sigma(s, 0),
           size = k->noise.times ? sqrt(1 + sigma * sigma) : sigma;
    int64_t real = how->n - at < k->batch ? how->n - at : k->batch;
    GEN_TRY(choose_labels(k, how, at, err));
    take_rows(k, x, at, how->n, k->d, k->pictures);
    for (int64_t i = 0; i < k->batch * k->d; i++) state[i] = 2 * (double)k->pictures[i] - 1;
    for (int64_t i = gen_sampler_steps(s); i-- > 0;) GEN_TRY(gen_sampler_step_back(s, i, &f, err));
    for (int64_t i = 0; i < real * k->d; i++) z[at * k->d + i] = (float)(state[i] / size);
    return GEN_OK;
}

gen_status gen_invert(gen_run *run, const float *x, const float *labels, int64_t n, float *z, gen_error *err)
{
    maker k = { .run = NULL };
    const gen_generation how = { .n = n, .labels = labels, .no_labels = !labels };
    gen_status status = open_maker(&k, run, n, err);
    for (int64_t at = 0; at < n && status == GEN_OK; at += k.batch) status = invert_batch(&k, x, &how, at, z, err);
    close_maker(&k);
    return status;
}

gen_status gen_generation_steps(gen_run *run, int64_t *steps, gen_error *err)
{
    gen_noise noise;
    gen_sampler_options how;
    gen_arena *arena = gen_arena_new();
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory to make pictures");
    gen_status status = ask_model(run, arena, &noise, &how, err);
    if (status == GEN_OK) *steps = how.steps;
    gen_arena_free(arena);
    return status;
}
