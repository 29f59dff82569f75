/* gen eval of a run that translates between two sets of pictures: how much of a picture is lost on the way there and back, and whether translations look
 * like the other set: Frechet and kernel distance in a network's features, beside those of the pictures before translation. */
#include <inttypes.h>
#include <string.h>

#include "io/image.h"
#include "models/data.h"
#include "models/data_pair.h"
#include "models/evaluate.h"
#include "models/metrics.h"
#include "tools/cli/cli.h"

enum { BATCH = 4 };

/* One set: its test pictures, and all of them for the other's translations to be compared with. */
typedef struct set {
    gen_range test, training;
    int64_t n_all;
    float *from, *made, *all; /* features [test.n,d], [test.n,d], [n_all,d] */
} set;

typedef struct trip {
    const cli_args *a;
    gen_run *run, *network; /* network NULL: no features */
    const gen_dataset *data;
    cli_numbers *numbers;
    int64_t height, width, pixels; /* of the part of a picture that the nets see */
    int64_t d;                     /* features */
    float *x, *part[2];            /* [BATCH,H,W,C]; "from" and "made" [BATCH,height,width,C] */
    gen_program *program[2];       /* by direction */
    set set[2];
} trip;

static float *floats(const trip *t, int64_t n, gen_error *err)
{
    float *memory = gen_arena_alloc(t->a->arena, (size_t)n * sizeof *memory);
    if (!memory) gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " numbers: use a smaller --limit", n);
    return memory;
}

/* ---- what goes through ------------------------------------------------------------------------------------------------------- */

/* Pictures first.. of a range; beyond its end the last one again, so that a batch is full. */
static void read_batch(const trip *t, gen_range range, int64_t first)
{
    int64_t index[BATCH];
    for (int64_t i = 0; i < BATCH; i++) index[i] = range.first + (first + i < range.n ? first + i : range.n - 1);
    gen_dataset_batch(t->data, index, BATCH, t->x);
}

static gen_status look(const trip *t, const float *pictures, int64_t n, float *features, gen_error *err)
{
    return t->network ? gen_classify(t->network, pictures, n, features, NULL, err) : GEN_OK;
}

/* The test pictures of set `side` there and back; sum of the errors. */
static gen_status go_round(trip *t, int side, double *cycle, double *identity, gen_error *err)
{
    static const char *const parts[] = { "from", "made" };
    set *s = &t->set[side];
    gen_program *p = t->program[side];
    float error[2][BATCH];
    for (int64_t i = 0; i < s->test.n; i += BATCH) {
        int64_t n = s->test.n - i < BATCH ? s->test.n - i : BATCH;
        read_batch(t, s->test, i);
        GEN_TRY(gen_program_feed(p, "x", t->x, BATCH * t->run->height * t->run->width * t->run->channels, err));
        GEN_TRY(gen_program_run(p, (gen_run_state){ 0 }, err));
        GEN_TRY(gen_program_fetch(p, "cycle", error[0], BATCH, err));
        GEN_TRY(gen_program_fetch(p, "identity", error[1], BATCH, err));
        for (int64_t k = 0; k < n; k++) *cycle += (double)error[0][k], *identity += (double)error[1][k];
        for (int k = 0; k < 2 && t->network; k++)
            GEN_TRY(gen_program_fetch(p, parts[k], t->part[k], BATCH * t->pixels, err));
        GEN_TRY(look(t, t->part[0], n, s->from + i * t->d, err));
        GEN_TRY(look(t, t->part[1], n, s->made + i * t->d, err));
    }
    return GEN_OK;
}

/* Features of all pictures of a range, of the part that the nets see; returns where the next ones go. */
static gen_status look_at_range(trip *t, gen_range range, float **to, gen_error *err)
{
    const gen_run *run = t->run;
    int64_t whole = run->height * run->width * run->channels;
    for (int64_t i = 0; i < range.n; i += BATCH) {
        int64_t n = range.n - i < BATCH ? range.n - i : BATCH;
        read_batch(t, range, i);
        for (int64_t k = 0; k < n; k++)
            gen_image_crop_centre(t->x + k * whole, (int32_t)run->height, (int32_t)run->width, (int32_t)run->channels,
                                  t->part[0] + k * t->pixels, (int32_t)t->height, (int32_t)t->width);
        GEN_TRY(look(t, t->part[0], n, *to, err));
        *to += n * t->d;
    }
    return GEN_OK;
}

/* ---- numbers -------------------------------------------------------------------------------------------------------------------- */

static void add(trip *t, const char *name, int side, double value)
{
    cli_add_number(t->numbers, gen_arena_printf(t->a->arena, "%s_%c", name, "ab"[side]), value);
}

static gen_status add_errors(trip *t, int side, gen_error *err)
{
    double cycle = 0, identity = 0, n = (double)t->set[side].test.n;
    GEN_TRY(go_round(t, side, &cycle, &identity, err));
    add(t, "pictures", side, n);
    add(t, "cycle", side, cycle / n);
    add(t, "identity", side, identity / n);
    return GEN_OK;
}

/* Translations to set `side`, and the same pictures before, against all of that set */
static gen_status add_distances(trip *t, int side, gen_error *err)
{
    const set *to = &t->set[side], *s = &t->set[1 - side];
    double made, before;
    GEN_TRY(gen_frechet(to->all, to->n_all, s->made, s->test.n, t->d, &made, err));
    GEN_TRY(gen_frechet(to->all, to->n_all, s->from, s->test.n, t->d, &before, err));
    add(t, "reference", side, (double)to->n_all);
    add(t, "frechet_to", side, made);
    add(t, "frechet_before", side, before);
    add(t, "kid_to", side, gen_kernel_distance(to->all, to->n_all, s->made, s->test.n, t->d));
    add(t, "kid_before", side, gen_kernel_distance(to->all, to->n_all, s->from, s->test.n, t->d));
    cli_warn_of_few(to->n_all < s->test.n ? to->n_all : s->test.n, t->d);
    return GEN_OK;
}

/* ---- the parts together ---------------------------------------------------------------------------------------------------------- */

static gen_status open_programs(trip *t, gen_error *err)
{
    gen_run *run = t->run;
    int32_t own = run->direction;
    gen_status status = GEN_OK;
    for (int32_t side = 0; side < 2 && status == GEN_OK; side++) {
        run->direction = side;
        status =
            gen_run_program(run, run->settings.model->round_trip, "translate and back", BATCH, &t->program[side], err);
    }
    run->direction = own;
    if (status != GEN_OK) return status;
    gen_shape part = gen_program_shape(t->program[0], "from");
    t->height = part.dim[1];
    t->width = part.dim[2];
    t->pixels = t->height * t->width * run->channels;
    return cli_load_weights(t->a, run, err);
}

static gen_status make_room(trip *t, gen_error *err)
{
    t->x = floats(t, BATCH * t->run->height * t->run->width * t->run->channels, err);
    for (int i = 0; i < 2; i++) {
        set *s = &t->set[i];
        int64_t tests = s->test.n * t->d;
        t->part[i] = floats(t, BATCH * t->pixels, err);
        s->from = floats(t, 2 * tests + s->n_all * t->d, err);
        if (!t->x || !t->part[i] || !s->from) return GEN_NO_MEMORY;
        s->made = s->from + tests;
        s->all = s->made + tests;
    }
    return GEN_OK;
}

static gen_status find_sets(trip *t, gen_error *err)
{
    for (int side = 0; side < 2; side++) {
        set *s = &t->set[side];
        s->training = gen_data_label_range(t->data, t->data->splits[GEN_SPLIT_TRAIN], side);
        s->test = gen_data_label_range(t->data, t->data->splits[gen_data_test_split(t->data)], side);
        s->n_all = s->training.n + s->test.n;
        if (t->a->o.limit && t->a->o.limit < s->test.n) s->test.n = t->a->o.limit;
        if (!s->test.n)
            return gen_fail(err, GEN_BAD_OPTION, "%s has no test pictures of set %c", t->data->name, "ab"[side]);
    }
    return GEN_OK;
}

/* All of a set: training pictures and test pictures, whatever --limit leaves of those for translation. */
static gen_status look_at_all(trip *t, gen_error *err)
{
    for (int side = 0; side < 2; side++) {
        set *s = &t->set[side];
        float *to = s->all;
        gen_range tests = { s->test.first, s->n_all - s->training.n };
        GEN_TRY(look_at_range(t, s->training, &to, err));
        GEN_TRY(look_at_range(t, tests, &to, err));
    }
    return GEN_OK;
}

static gen_status measure(trip *t, gen_error *err)
{
    const char *name;
    GEN_TRY(find_sets(t, err));
    GEN_TRY(open_programs(t, err));
    if (*t->a->o.features) {
        GEN_TRY(
            cli_open_features(t->a, t->run->device, t->height, t->width, t->run->channels, &t->network, &name, err));
        t->d = gen_latent_size(t->network);
    }
    GEN_TRY(make_room(t, err));
    for (int side = 0; side < 2; side++) GEN_TRY(add_errors(t, side, err));
    if (!t->network) return GEN_OK;
    cli_add_number(t->numbers, "features", (double)t->d);
    GEN_TRY(look_at_all(t, err));
    GEN_TRY(add_distances(t, 1, err));
    return add_distances(t, 0, err);
}

gen_status cli_eval_translation(const cli_args *a, gen_run *run, const gen_dataset *data, cli_numbers *numbers,
                                gen_error *err)
{
    trip t = { .a = a, .run = run, .data = data, .numbers = numbers };
    gen_status status = measure(&t, err);
    for (int side = 0; side < 2; side++) gen_program_free(t.program[side]);
    gen_run_close(t.network);
    return status;
}
