/* gen check: does this device compute what it should? Small trainings of every family of models, beside the same in double precision on the processor. */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "kernels/devices.h"
#include "models/evaluate.h"
#include "tools/cli/cli.h"

enum { BATCH = 8, N_STEPS = 2 };

/* A small model; pictures are [images,side,side,channels] of noise. */
typedef struct subject {
    const char *model, *options; /* "net=mlp hidden=12" */
    int64_t images, side, channels;
} subject;

static const subject subjects[] = {
    { "vae", "net=mlp hidden=32 latent=4", BATCH, 14, 1 },
    { "vae", "net=conv width=8 latent=4 hidden=16 batch-norm=1", BATCH, 16, 1 },
    { "classifier", "layers=c8,p,c8,a,f16 dropout=0", BATCH, 16, 3 },
    { "gan", "width=8 latent=6 loss=bce", BATCH, 16, 3 },
    { "gan", "width=8 latent=6 loss=wgan-gp n-critic=2 up=nearest", BATCH, 16, 1 },
    { "cyclegan", "ngf=4 ndf=4 blocks=1", 2, 32, 3 },
    { "diffusion", "width=8 mults=1,2 blocks=1 attention=4 groups=2 warmup-steps=0", 4, 8, 3 },
};
enum { N_SUBJECTS = sizeof subjects / sizeof *subjects };

/* A model on a device, and how its parameters have moved. */
typedef struct trial {
    gen_params *params;
    gen_program *program;
    float **start; /* of each learned parameter: its values; after training: by how much they changed */
    double loss;
} trial;

typedef struct check {
    cli_args *a;
    gen_device *device, *exact;
    double bound;
    int n_bad;
} check;

/* Of steps, by which a device may differ: what the precision of products leaves, with room for what networks make of it. */
static double bound_of(const char *precision)
{
    return !strcmp(precision, "bf16") ? 1e-1 : !strcmp(precision, "tf32") ? 1e-2 : 1e-4;
}

/* Plain gradient steps: what the parameters do is then as exact as the gradients are. */
static gen_status settings_of(const subject *s, gen_arena *arena, gen_settings *settings, gen_error *err)
{
    char *rest = NULL, *text = gen_arena_printf(arena, "%s optimiser=sgd lr=0.01", s->options);
    if (!text) return gen_fail(err, GEN_NO_MEMORY, "no memory for a check");
    GEN_TRY(gen_settings_start(settings, gen_model_find(s->model), arena, err));
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        *value++ = 0;
        GEN_TRY(gen_settings_set(settings, word, value, err));
    }
    return GEN_OK;
}

/* ---- a trial ---------------------------------------------------------------------------------------------------------------- */

static gen_status build(trial *t, const subject *s, const gen_settings *settings, gen_device *device, gen_error *err)
{
    gen_graph *g = gen_graph_new();
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    gen_model_context m = { .options = settings->options, .height = s->side, .width = s->side };
    m.channels = s->channels;
    m.classes = 4;
    m.batch = 1;
    m.batch = s->images / gen_model_step_images(settings->model, &m);
    m.n_steps = 1000;
    m.steps_per_epoch = 100;
    m.optim = gen_settings_optim(settings, 1000, 100);
    settings->model->train(g, &m);
    t->params = gen_params_new(device);
    if (t->params) return gen_program_new(g, device, t->params, 1, &t->program, err);
    gen_graph_free(g);
    return gen_fail(err, GEN_NO_MEMORY, "no memory for parameters");
}

/* Values of learned parameter i less those in start, where there are some already. */
static gen_status read_values(trial *t, int32_t i, gen_arena *arena, gen_error *err)
{
    const gen_param_info p = gen_params_get(t->params, i);
    const int64_t n = gen_shape_count(&p.shape);
    float *now = p.spec.state ? NULL : gen_arena_alloc(arena, (size_t)n * sizeof *now);
    if (p.spec.state) return GEN_OK;
    if (!now) return gen_fail(err, GEN_NO_MEMORY, "no memory for parameters");
    GEN_TRY(gen_params_read(t->params, i, now, err));
    for (int64_t k = 0; t->start[i] && k < n; k++) now[k] -= t->start[i][k];
    t->start[i] = now;
    return GEN_OK;
}

static gen_status read_all(trial *t, gen_arena *arena, gen_error *err)
{
    for (int32_t i = 0; i < gen_params_count(t->params); i++) GEN_TRY(read_values(t, i, arena, err));
    return GEN_OK;
}

static gen_status take_steps(trial *t, const subject *s, gen_arena *arena, gen_error *err)
{
    const int64_t count = s->images * s->side * s->side * s->channels;
    float *x = gen_arena_alloc(arena, (size_t)count * sizeof *x), label[BATCH];
    if (!x) return gen_fail(err, GEN_NO_MEMORY, "no memory for pictures");
    for (int64_t i = 0; i < count; i++) x[i] = gen_uniform_from_word(gen_random_word(1, 2, (uint64_t)i));
    for (int i = 0; i < BATCH; i++) label[i] = (float)(i % 4);
    for (uint64_t step = 0; step < N_STEPS; step++) {
        GEN_TRY(gen_program_feed(t->program, "x", x, count, err));
        if (gen_program_wants(t->program, "label"))
            GEN_TRY(gen_program_feed(t->program, "label", label, s->images, err));
        GEN_TRY(gen_program_run(t->program, (gen_run_state){ .seed = 1, .step = step }, err));
    }
    return gen_program_fetch_scalar(t->program, gen_program_output_name(t->program, 0), &t->loss, err);
}

/* To the nearest bfloat16; all are finite. */
static float rounded(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static gen_status round_weights(trial *t, gen_arena *arena, gen_error *err)
{
    for (int32_t i = 0; i < gen_params_count(t->params); i++) {
        const gen_param_info p = gen_params_get(t->params, i);
        const int64_t n = gen_shape_count(&p.shape);
        float *values = gen_arena_alloc(arena, (size_t)n * sizeof *values);
        if (!values) return gen_fail(err, GEN_NO_MEMORY, "no memory for parameters");
        GEN_TRY(gen_params_read(t->params, i, values, err));
        for (int64_t k = 0; k < n; k++) values[k] = rounded(values[k]);
        GEN_TRY(gen_params_write(t->params, i, values, err));
    }
    return GEN_OK;
}

/* round: from weights rounded to bfloat16. */
static gen_status try_on(trial *t, const subject *s, gen_device *device, bool round, gen_arena *arena, gen_error *err)
{
    gen_settings settings;
    GEN_TRY(settings_of(s, arena, &settings, err));
    GEN_TRY(build(t, s, &settings, device, err));
    t->start = gen_arena_alloc(arena, (size_t)gen_params_count(t->params) * sizeof *t->start);
    if (!t->start) return gen_fail(err, GEN_NO_MEMORY, "no memory for parameters");
    if (round) GEN_TRY(round_weights(t, arena, err));
    GEN_TRY(read_all(t, arena, err));
    GEN_TRY(take_steps(t, s, arena, err));
    return read_all(t, arena, err);
}

/* ---- two of them ------------------------------------------------------------------------------------------------------------ */

/* ||a - b|| / ||b|| over all learned parameters: single ones may have no gradient but roundings. */
static double distance(const trial *a, const trial *b)
{
    double difference = 0, size = 0;
    for (int32_t i = 0; i < gen_params_count(b->params); i++) {
        const gen_param_info p = gen_params_get(b->params, i);
        const int64_t n = b->start[i] ? gen_shape_count(&p.shape) : 0;
        for (int64_t k = 0; k < n; k++) {
            const double x = (double)a->start[i][k], y = (double)b->start[i][k];
            difference += (x - y) * (x - y);
            size += y * y;
        }
    }
    return sqrt(difference / size);
}

static void free_trial(trial *t)
{
    gen_program_free(t->program);
    gen_params_free(t->params);
}

/* Some networks make much of little: the bound of bf16 is at least twice what one that computes in double precision makes of rounded weights. */
static gen_status widen(const check *c, const subject *s, const trial *exact, double *bound, gen_arena *arena,
                        gen_error *err)
{
    trial t = { 0 };
    if (strcmp(c->a->o.precision, "bf16") != 0) return GEN_OK;
    gen_status status = try_on(&t, s, c->exact, true, arena, err);
    if (status == GEN_OK) *bound = fmax(*bound, 2 * distance(&t, exact));
    free_trial(&t);
    return status;
}

static gen_status compare(check *c, const subject *s, gen_arena *arena, gen_error *err)
{
    trial here = { 0 }, exact = { 0 };
    double bound = c->bound;
    gen_status status = try_on(&exact, s, c->exact, false, arena, err);
    if (status == GEN_OK) status = try_on(&here, s, c->device, false, arena, err);
    if (status == GEN_OK) status = widen(c, s, &exact, &bound, arena, err);
    if (status == GEN_OK) {
        const double steps = distance(&here, &exact), loss = fabs(here.loss / exact.loss - 1);
        const bool good = steps < bound && loss < c->bound;
        c->n_bad += !good;
        printf("%-6s %s %s: steps differ by %.1e, the loss by %.1e", good ? "good" : "WRONG", s->model, s->options,
               steps, loss);
        if (bound > c->bound) printf("; by %.1e they may", bound);
        printf("\n");
    }
    free_trial(&here);
    free_trial(&exact);
    return status;
}

static gen_status compare_all(check *c, gen_error *err)
{
    printf("%s in %s; each may differ by %.0e from double precision\n", c->device->name, c->a->o.precision, c->bound);
    for (int i = 0; i < N_SUBJECTS; i++) {
        gen_arena *arena = gen_arena_new();
        gen_status status = arena ? compare(c, &subjects[i], arena, err) : gen_fail(err, GEN_NO_MEMORY, "no memory");
        gen_arena_free(arena);
        if (status != GEN_OK) return status;
    }
    if (!c->n_bad) return GEN_OK;
    return gen_fail(err, GEN_NO_DEVICE, "%d of %d trainings differ from the processor's in double precision", c->n_bad,
                    (int)N_SUBJECTS);
}

static int run(cli_args *a, gen_error *err)
{
    check c = { .a = a, .bound = bound_of(a->o.precision) };
    if (cli_need_words(&cli_check, a, 0, 0, err) != GEN_OK) return CLI_USAGE;
    if (cli_open_device(a, &c.device, err) != GEN_OK) return CLI_FAILED;
    gen_status status = gen_device_open("cpu64", (int32_t)a->o.threads, &c.exact, err);
    if (status == GEN_OK) {
        status = compare_all(&c, err);
        c.exact->ops->close(c.exact);
    }
    c.device->ops->close(c.device);
    return status == GEN_OK ? CLI_GOOD : CLI_FAILED;
}

static const char *const takes[] = { "threads", "device", "precision", NULL };

const cli_verb cli_check = { "check", "", "small trainings on a device beside the same in double precision",
                             takes,   0,  run };
