/* gen eval RUN …: means over the test split; the importance-sampled likelihood, and distances in the features of a classifier, when asked for. Several
 * runs stand side by side. */
#include <inttypes.h>
#include <string.h>

#include "models/checkpoint.h"
#include "models/data.h"
#include "models/evaluate.h"
#include "models/metrics.h"
#include "tools/cli/cli.h"

enum { MAX_NUMBERS = GEN_EVAL_MAX + 8, N_FEATURED = 10000, CHUNK = 500 };

typedef struct evaluation {
    cli_args *a;
    const char *folder, *data_name, *split;
    gen_device *device;
    gen_run *run;
    gen_dataset data;
    gen_range range;
    const char *name[MAX_NUMBERS];
    double value[MAX_NUMBERS];
    int32_t n;
    int64_t images, featured;
} evaluation;

static void add(evaluation *e, const char *name, double value)
{
    if (e->n == MAX_NUMBERS) return;
    e->name[e->n] = name;
    e->value[e->n++] = value;
}

/* ---- means ---------------------------------------------------------------------------------------------------------------- */

static gen_status means(evaluation *e, gen_error *err)
{
    gen_program *program = NULL;
    gen_eval_result r;
    gen_run *run = e->run;
    GEN_TRY(gen_run_program(run, run->settings.model->eval, "be evaluated", GEN_EVAL_BATCH, &program, err));
    gen_status status = cli_load_weights(e->a, run, err);
    if (status == GEN_OK) status = gen_evaluate(run, program, &e->data, e->range, &r, err);
    for (int32_t i = 0; status == GEN_OK && i < r.n; i++) add(e, gen_arena_strdup(e->a->arena, r.name[i]), r.mean[i]);
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

/* ---- distances in features ----------------------------------------------------------------------------------------------------- */

/* Parameters that only encode and decode have are made known, then loaded. */
static gen_status load_codes(evaluation *e, gen_run *run, bool decode, gen_error *err)
{
    gen_program *program = NULL;
    const gen_model *model = run->settings.model;
    GEN_TRY(gen_run_program(run, decode ? (model->denoise ? model->denoise : model->decode) : model->encode,
                            decode ? "make pictures from codes" : "encode pictures", 1, &program, err));
    gen_program_free(program);
    return decode ? cli_load_weights(e->a, run, err)
                  : gen_checkpoint_load(run, "best-or-latest", GEN_CHECKPOINT_WEIGHTS, err);
}

typedef struct featured {
    evaluation *e;
    gen_run *classifier;
    int64_t d, pixels;
    float *x; /* room for CHUNK pictures */
} featured;

/* Features of n pictures of a range, or of n samples of the run where range is NULL. */
static gen_status features(featured *f, const gen_range *range, int64_t n, float *out, gen_error *err)
{
    gen_run *run = f->e->run;
    float labels[CHUNK]; /* of the test pictures: a conditional run's samples have the test set's classes */
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t some = n - i < CHUNK ? n - i : CHUNK;
        for (int64_t k = 0; range && k < some; k++) {
            int64_t index = range->first + i + k;
            gen_dataset_batch(&f->e->data, &index, 1, f->x + k * f->pixels);
        }
        if (!range) {
            int64_t index[CHUNK];
            for (int64_t k = 0; k < some; k++) index[k] = f->e->range.first + i + k;
            GEN_TRY(gen_sample(run, (uint64_t)run->settings.train.seed, (uint64_t)i,
                               gen_data_labels(&f->e->data, index, some, labels), some, f->x, err));
        }
        GEN_TRY(gen_encode(f->classifier, f->x, NULL, some, out + i * f->d, NULL, err));
    }
    return GEN_OK;
}

/* The model's samples against test pictures; and training pictures against them, which is the floor. */
static gen_status distances(featured *f, gen_error *err)
{
    evaluation *e = f->e;
    gen_range train = e->data.splits[GEN_SPLIT_TRAIN];
    int64_t n = e->a->o.n ? e->a->o.n : N_FEATURED;
    if (n > e->range.n) n = e->range.n;
    int64_t n_train = n < train.n ? n : train.n;
    double distance = 0;
    float *real = gen_arena_alloc(e->a->arena, (size_t)(n * f->d) * sizeof *real),
          *other = gen_arena_alloc(e->a->arena, (size_t)(n * f->d) * sizeof *other);
    if (!real || !other) return gen_fail(err, GEN_NO_MEMORY, "no memory for features of %" PRId64 " pictures", n);
    e->featured = n;
    GEN_TRY(features(f, &e->range, n, real, err));
    GEN_TRY(features(f, NULL, n, other, err));
    GEN_TRY(gen_frechet(real, n, other, n, f->d, &distance, err));
    add(e, "frechet", distance);
    add(e, "kid", gen_kernel_distance(real, n, other, n, f->d));
    GEN_TRY(features(f, &train, n_train, other, err));
    GEN_TRY(gen_frechet(real, n, other, n_train, f->d, &distance, err));
    add(e, "frechet_floor", distance);
    return GEN_OK;
}

static gen_status same_pictures(const evaluation *e, const gen_run *classifier, gen_error *err)
{
    const gen_run *run = e->run;
    if ((!run->settings.model->decode && !run->settings.model->denoise) || !gen_latent_size(run))
        return gen_fail(err, GEN_UNSUPPORTED, "%s makes no pictures from codes: --features has nothing to compare",
                        run->settings.model->name);
    if (classifier->height == run->height && classifier->width == run->width && classifier->channels == run->channels)
        return GEN_OK;
    return gen_fail(err, GEN_BAD_SHAPE,
                    "--features %s is of pictures of %" PRId64 "x%" PRId64 "x%" PRId64 ", the run of %" PRId64
                    "x%" PRId64 "x%" PRId64,
                    classifier->folder, classifier->height, classifier->width, classifier->channels, run->height,
                    run->width, run->channels);
}

static gen_status compare_features(evaluation *e, gen_error *err)
{
    featured f = { .e = e };
    GEN_TRY(gen_run_open(e->a->o.features, e->device, GEN_RUN_READ, &f.classifier, err));
    gen_status status = same_pictures(e, f.classifier, err);
    if (status == GEN_OK) status = load_codes(e, f.classifier, false, err);
    if (status == GEN_OK) status = load_codes(e, e->run, true, err);
    if (status == GEN_OK) {
        f.d = gen_latent_size(f.classifier);
        f.pixels = e->run->height * e->run->width * e->run->channels;
        f.x = gen_alloc((size_t)(CHUNK * f.pixels), sizeof *f.x);
        status = f.x ? distances(&f, err) : gen_fail(err, GEN_NO_MEMORY, "no memory for pictures");
    }
    gen_free(f.x);
    gen_run_close(f.classifier);
    return status;
}

/* ---- one run -------------------------------------------------------------------------------------------------------------------- */

static gen_status evaluate(evaluation *e, gen_error *err)
{
    const cli_args *a = e->a;
    double nll;
    GEN_TRY(open_data(e, err));
    GEN_TRY(means(e, err));
    if (a->o.is_samples) {
        GEN_TRY(gen_nll(e->run, &e->data, e->range, a->o.is_samples, &nll, err));
        add(e, "nll", nll);
    }
    return *a->o.features ? compare_features(e, err) : GEN_OK;
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
    gen_json_put_string(out, "split", e->split);
    gen_json_put_int(out, "images", e->images);
    for (int32_t i = 0; i < e->n; i++) gen_json_put_double(out, e->name[i], e->value[i]);
    if (e->a->o.is_samples) gen_json_put_int(out, "is_samples", e->a->o.is_samples);
    if (e->featured) gen_json_put_int(out, "samples", e->featured);
    gen_json_close(out, '}');
}

static gen_status print_json(const cli_args *a, const evaluation *e, int n, gen_error *err)
{
    gen_json_out out = { .arena = a->arena };
    if (n > 1) gen_json_open(&out, NULL, '[');
    for (int i = 0; i < n; i++) put_json(&out, &e[i]);
    if (n > 1) gen_json_close(&out, ']');
    return cli_print_json(&out, err);
}

static void print_one(const evaluation *e)
{
    printf("%s on %" PRId64 " %s images of %s\n", e->folder, e->images, e->split, e->data_name);
    for (int32_t i = 0; i < e->n; i++) {
        printf("  %-16s %.6g", e->name[i], e->value[i]);
        if (!strcmp(e->name[i], "nll")) printf("  (nats an image, %" PRId64 " importance samples)", e->a->o.is_samples);
        if (!strcmp(e->name[i], "frechet")) printf("  (%" PRId64 " samples)", e->featured);
        if (!strcmp(e->name[i], "frechet_floor")) printf("  (training against test images)");
        printf("\n");
    }
}

static const double *find(const evaluation *e, const char *name)
{
    for (int32_t i = 0; i < e->n; i++)
        if (!strcmp(e->name[i], name)) return &e->value[i];
    return NULL;
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
    printf("\n%-16s", "images");
    for (int i = 0; i < n; i++) printf("%*" PRId64, WIDTH, e[i].images);
    printf("\n");
    for (int32_t k = 0; k < e[0].n; k++) {
        printf("%-16s", e[0].name[k]);
        for (int i = 0; i < n; i++) {
            const double *value = find(&e[i], e[0].name[k]);
            if (value) printf("%*.6g", WIDTH, *value);
            else printf("%*s", WIDTH, "-");
        }
        printf("\n");
    }
}

static int run(cli_args *a, gen_error *err)
{
    evaluation *e = gen_arena_alloc(a->arena, CLI_MAX_WORDS * sizeof *e);
    if (cli_need_words(&cli_eval, a, 1, CLI_MAX_WORDS, err) != GEN_OK) return CLI_USAGE;
    if (cli_are_pictures(a)) return cli_eval_pictures(a, err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
    if (!e) return gen_fail(err, GEN_NO_MEMORY, "no memory for results"), CLI_FAILED;
    for (int i = 0; i < a->n_words; i++) {
        e[i] = (evaluation){ .a = a, .folder = a->word[i] };
        if (evaluate_folder(&e[i], err) != GEN_OK) return CLI_FAILED;
    }
    if (a->o.json) return print_json(a, e, a->n_words, err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
    if (a->n_words == 1) print_one(e);
    else print_table(e, a->n_words);
    return CLI_GOOD;
}

static const char *const takes[] = { "data",    "limit",   "is-samples", "features", "n", "checkpoint",
                                     "weights", "threads", "device",     "json",     NULL };
const cli_verb cli_eval = {
    "eval",
    "RUN [RUN …]",
    "how good models are on test data, side by side; or how far apart two pictures or folders are",
    takes,
    0,
    run
};
