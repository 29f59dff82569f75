/* Two sets of pictures in the features of a classifier: Frechet and kernel distance, precision and recall, and which classes there are. A side is a run's
 * samples, a data set's test pictures, a folder or an .npy. The classifier is a run, or one of those that come with gen: samples/weights. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "io/file.h"
#include "kernels/devices.h"
#include "models/checkpoint.h"
#include "models/compare.h"
#include "models/data.h"
#include "models/evaluate.h"
#include "models/metrics.h"
#include "models/squeezenet.h"
#include "tools/cli/cli.h"

enum { N_FEATURED = 10000, CHUNK = 500, NEIGHBOURS = 3 }; /* 3: Kynkaanniemi et al. 2019, section 4 */
static const double confident = 0.9;

typedef struct side {
    const char *name;
    gen_run *run;            /* its samples, or NULL, and then */
    gen_mixture *mixture;    /* that its codes are drawn from; NULL: the prior */
    const gen_dataset *data; /* pictures of this range */
    gen_range range;
    int64_t n;
    float *features, *probability; /* [n,d], [n,classes] or NULL */
    float *labels;                 /* [n]: what a run was told to make; NULL: it is told nothing */
} side;

void cli_add_number(cli_numbers *numbers, const char *name, double value)
{
    if (numbers->n == CLI_MAX_NUMBERS) return;
    numbers->name[numbers->n] = name;
    numbers->value[numbers->n++] = value;
}

/* ---- the classifier ---------------------------------------------------------------------------------------------------------- */

/* Its encoder's parameters become known, and are loaded. */
static gen_status load_classifier(gen_run *run, gen_error *err)
{
    gen_program *program = NULL;
    GEN_TRY(gen_run_program(run, run->settings.model->encode, "encode pictures", 1, &program, err));
    gen_program_free(program);
    return gen_checkpoint_load(run, "best-or-latest", GEN_CHECKPOINT_WEIGHTS, err);
}

/* A run's folder, else one that came with gen: weights lie beside the data, "mnist" in weights/mnist-classifier. */
static gen_status find_classifier(const cli_args *a, const char *name, char **folder, gen_error *err)
{
    if (gen_path_exists(name)) return gen_dataset_find(name, a->arena, folder, err);
    const char *shipped = gen_arena_printf(a->arena, "../weights/%s-classifier", name);
    if (gen_dataset_find(shipped, a->arena, folder, NULL) == GEN_OK) return GEN_OK;
    return gen_fail(err, GEN_NOT_FOUND,
                    "--features %s: expected the folder of a run, the weights of SqueezeNet (.safetensors), or mnist, "
                    "the classifier "
                    "of digits that comes with gen",
                    name);
}

gen_status cli_open_features(const cli_args *a, gen_device *device, int64_t height, int64_t width, int64_t channels,
                             gen_run **run, const char **network, gen_error *err)
{
    enum { DIGIT = 28 };
    char *folder;
    *network = *a->o.features ? a->o.features : "mnist";
    if (!*a->o.features && (height != DIGIT || width != DIGIT || channels != 1))
        return gen_fail(
            err, GEN_BAD_OPTION,
            "pictures of %" PRId64 "x%" PRId64 "x%" PRId64
            " need --features: the folder of a classifier trained on such pictures, or the weights of SqueezeNet; "
            "only a classifier of 28x28 grey digits comes with gen",
            width, height, channels);
    if (gen_path_has_extension(*network, "safetensors"))
        return gen_squeezenet_open(*network, device, height, width, channels, run, err);
    GEN_TRY(find_classifier(a, *network, &folder, err));
    GEN_TRY(gen_run_open(folder, device, GEN_RUN_READ, run, err));
    const gen_run *f = *run;
    gen_status status = GEN_OK;
    if (!f->settings.model->encode || !gen_latent_size(f))
        status = gen_fail(err, GEN_UNSUPPORTED, "--features %s: %s has no features", *network, f->settings.model->name);
    else if (f->height != height || f->width != width || f->channels != channels)
        status = gen_fail(err, GEN_BAD_SHAPE,
                          "--features %s is of pictures of %" PRId64 "x%" PRId64 "x%" PRId64 ", these are of %" PRId64
                          "x%" PRId64 "x%" PRId64,
                          *network, f->width, f->height, f->channels, width, height, channels);
    if (status == GEN_OK) status = load_classifier(*run, err);
    if (status == GEN_OK) return GEN_OK;
    gen_run_close(*run);
    *run = NULL;
    return status;
}

/* ---- one side ---------------------------------------------------------------------------------------------------------------------- */

/* Pictures first.. of a side. A conditional run is given the labels of the other side's pictures, else all in turn, and keeps them. */
static gen_status some_pictures(const side *s, const side *other, int64_t first, int64_t n, float *x, gen_error *err)
{
    int64_t index[CHUNK];
    float labels[CHUNK];
    const side *source = s->run ? other : s;
    for (int64_t i = 0; source->data && i < n; i++) index[i] = source->range.first + (first + i) % source->range.n;
    if (!s->run) {
        gen_dataset_batch(s->data, index, (int32_t)n, x);
        return GEN_OK;
    }
    bool known = source->data && source->data->labels && source->data->n_classes <= s->run->classes;
    for (int64_t i = 0; !known && i < n; i++) labels[i] = (float)(s->run->classes ? (first + i) % s->run->classes : 0);
    if (known) gen_data_labels(source->data, index, n, labels);
    if (s->labels) memcpy(s->labels + first, labels, (size_t)n * sizeof *labels);
    uint64_t seed = (uint64_t)s->run->settings.train.seed;
    if (!s->mixture) return gen_sample(s->run, seed, (uint64_t)first, labels, n, x, err);
    float *z = gen_alloc((size_t)(n * s->mixture->d), sizeof *z);
    if (!z) return gen_fail(err, GEN_NO_MEMORY, "no memory for codes");
    gen_mixture_draw(s->mixture, seed, (uint64_t)first, n, z);
    gen_status status = gen_decode(s->run, z, labels, n, x, err);
    gen_free(z);
    return status;
}

static gen_status look_at(const cli_args *a, gen_run *classifier, side *s, const side *other, gen_error *err)
{
    int64_t d = gen_latent_size(classifier), k = gen_is_classifier(classifier) ? classifier->classes : 0,
            pixels = classifier->height * classifier->width * classifier->channels;
    float *x = gen_arena_alloc(a->arena, (size_t)(CHUNK * pixels) * sizeof *x);
    s->features = gen_arena_alloc(a->arena, (size_t)(s->n * d) * sizeof *s->features);
    s->probability = k ? gen_arena_alloc(a->arena, (size_t)(s->n * k) * sizeof *s->probability) : NULL;
    bool told = s->run && k && k == s->run->classes && gen_is_conditional(s->run);
    s->labels = told ? gen_arena_alloc(a->arena, (size_t)s->n * sizeof *s->labels) : NULL;
    if (!x || !s->features || (k && !s->probability) || (told && !s->labels))
        return gen_fail(err, GEN_NO_MEMORY, "no memory for features of %" PRId64 " pictures: use a smaller --n", s->n);
    for (int64_t i = 0; i < s->n; i += CHUNK) {
        int64_t n = s->n - i < CHUNK ? s->n - i : CHUNK;
        GEN_TRY(some_pictures(s, other, i, n, x, err));
        GEN_TRY(gen_classify(classifier, x, n, s->features + i * d, k ? s->probability + i * k : NULL, err));
    }
    return GEN_OK;
}

/* ---- both -------------------------------------------------------------------------------------------------------------------------- */

static gen_status compare_classes(const cli_args *a, const side *made, const side *real, cli_feature_sets *sets,
                                  gen_error *err)
{
    int64_t k = sets->classes;
    double *p = gen_arena_alloc(a->arena, (size_t)(2 * k) * sizeof *p), least = 1;
    sets->share = gen_arena_alloc(a->arena, (size_t)k * sizeof *sets->share);
    if (!p || !sets->share) return gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " classes", k);
    gen_class_shares(made->probability, made->n, k, 0, p);
    gen_class_shares(real->probability, real->n, k, 0, p + k);
    gen_class_shares(made->probability, made->n, k, confident, sets->share);
    for (int64_t c = 0; c < k; c++) least = fmin(least, sets->share[c]);
    if (made->labels)
        cli_add_number(&sets->numbers, "right_label", gen_class_agreement(made->probability, made->labels, made->n, k));
    cli_add_number(&sets->numbers, "class_kl", gen_class_divergence(p, p + k, k));
    cli_add_number(&sets->numbers, "least_class", least);
    return GEN_OK;
}

static gen_status compare(const cli_args *a, gen_run *classifier, side *made, side *real, cli_feature_sets *sets,
                          gen_error *err)
{
    double frechet, precision, recall;
    sets->n_made = made->n;
    sets->n_real = real->n;
    sets->d = gen_latent_size(classifier);
    GEN_TRY(look_at(a, classifier, made, real, err));
    GEN_TRY(look_at(a, classifier, real, made, err));
    GEN_TRY(gen_frechet(real->features, real->n, made->features, made->n, sets->d, &frechet, err));
    GEN_TRY(gen_precision_recall(real->features, real->n, made->features, made->n, sets->d, NEIGHBOURS, &precision,
                                 &recall, err));
    cli_add_number(&sets->numbers, "frechet", frechet);
    cli_add_number(&sets->numbers, "kid",
                   gen_kernel_distance(real->features, real->n, made->features, made->n, sets->d));
    cli_add_number(&sets->numbers, "precision", precision);
    cli_add_number(&sets->numbers, "recall", recall);
    sets->classes = made->probability ? classifier->classes : 0;
    return sets->classes ? compare_classes(a, made, real, sets, err) : GEN_OK;
}

static int64_t how_many(const cli_args *a, int64_t most)
{
    int64_t n = a->o.n ? a->o.n : N_FEATURED;
    return n < most ? n : most;
}

/* Parameters that only making pictures needs become known, and all are loaded. */
static gen_status load_maker(const cli_args *a, gen_run *run, gen_error *err)
{
    gen_program *program = NULL;
    const gen_model *model = run->settings.model;
    if ((!model->decode && !model->denoise) || !gen_latent_size(run))
        return gen_fail(err, GEN_UNSUPPORTED, "%s makes no pictures of its own: there is nothing to compare",
                        model->name);
    GEN_TRY(gen_run_program(run, model->denoise ? model->denoise : model->decode, "make pictures", 1, &program, err));
    gen_program_free(program);
    if (cli_wants_mixture(a)) { /* the encoder too */
        GEN_TRY(gen_run_program(run, model->encode, "encode pictures", 1, &program, err));
        gen_program_free(program);
    }
    return cli_load_weights(a, run, err);
}

/* Where --sampler gmm asks for it */
static gen_status fit_mixture(const cli_args *a, side *s, const gen_dataset *data, gen_error *err)
{
    if (!cli_wants_mixture(a)) return GEN_OK;
    s->mixture = gen_arena_alloc(a->arena, sizeof *s->mixture);
    if (!s->mixture) return gen_fail(err, GEN_NO_MEMORY, "no memory for a mixture");
    return cli_fit_mixture(a, s->run, data, s->mixture, err);
}

gen_status cli_compare_run(const cli_args *a, gen_run *run, const gen_dataset *data, gen_range real, gen_range train,
                           cli_feature_sets *sets, gen_error *err)
{
    gen_run *classifier = NULL;
    double floor;
    *sets = (cli_feature_sets){ 0 };
    side test = { .data = data, .range = real, .n = how_many(a, real.n) },
         samples = { .run = run, .n = a->o.n ? a->o.n : test.n },
         training = { .data = data, .range = train, .n = test.n < train.n ? test.n : train.n };
    GEN_TRY(load_maker(a, run, err));
    GEN_TRY(fit_mixture(a, &samples, data, err));
    GEN_TRY(
        cli_open_features(a, run->device, run->height, run->width, run->channels, &classifier, &sets->network, err));
    gen_status status = compare(a, classifier, &samples, &test, sets, err);
    if (status == GEN_OK && training.n > 1) status = look_at(a, classifier, &training, &test, err);
    if (status == GEN_OK && training.n > 1)
        status = gen_frechet(test.features, test.n, training.features, training.n, sets->d, &floor, err);
    if (status == GEN_OK && training.n > 1) cli_add_number(&sets->numbers, "frechet_floor", floor);
    gen_run_close(classifier);
    return status;
}

/* ---- any two ------------------------------------------------------------------------------------------------------------------------ */

bool cli_are_sets(const cli_args *a)
{
    return a->n_words == 2 && (*a->o.features || a->o.n) && !(cli_is_run(a, a->word[0]) && cli_is_run(a, a->word[1]));
}

/* size: of the other side's pictures where that is known, else zeros, which it becomes */
static gen_status open_side(const cli_args *a, const char *word, gen_device *device, side *s, int64_t size[3],
                            gen_error *err)
{
    *s = (side){ .name = word };
    int64_t own[3];
    if (cli_is_run(a, word)) {
        GEN_TRY(gen_run_open(word, device, GEN_RUN_READ, &s->run, err));
        GEN_TRY(load_maker(a, s->run, err));
        GEN_TRY(fit_mixture(a, s, NULL, err));
        own[0] = s->run->height, own[1] = s->run->width, own[2] = s->run->channels;
        s->n = a->o.n ? a->o.n : N_FEATURED;
    } else {
        gen_dataset *data = gen_arena_alloc(a->arena, sizeof *data);
        if (!data) return gen_fail(err, GEN_NO_MEMORY, "no memory for a data set");
        gen_dataset_options options = { .channels = (int32_t)size[2] };
        GEN_TRY(gen_dataset_open(word, &options, NULL, a->arena, data, err));
        s->data = data;
        s->range = data->splits[gen_data_test_split(data)];
        s->n = how_many(a, s->range.n);
        own[0] = data->height_px, own[1] = data->width_px, own[2] = data->channels;
    }
    if (size[0] && (own[0] != size[0] || own[1] != size[1] || own[2] != size[2]))
        return gen_fail(err, GEN_BAD_SHAPE,
                        "%s has pictures of %" PRId64 "x%" PRId64 "x%" PRId64 ", the other side of %" PRId64 "x%" PRId64
                        "x%" PRId64,
                        word, own[1], own[0], own[2], size[1], size[0], size[2]);
    memcpy(size, own, sizeof own);
    return GEN_OK;
}

static gen_status compare_sides(const cli_args *a, gen_device *device, side *made, side *real, cli_feature_sets *sets,
                                gen_error *err)
{
    gen_run *classifier = NULL;
    int64_t size[3] = { 0 };
    GEN_TRY(open_side(a, a->word[0], device, made, size, err));
    GEN_TRY(open_side(a, a->word[1], device, real, size, err));
    GEN_TRY(cli_open_features(a, device, size[0], size[1], size[2], &classifier, &sets->network, err));
    gen_status status = compare(a, classifier, made, real, sets, err);
    gen_run_close(classifier);
    return status;
}

gen_status cli_eval_sets(const cli_args *a, gen_error *err)
{
    gen_device *device = NULL;
    cli_feature_sets sets = { 0 };
    side made = { 0 }, real = { 0 };
    GEN_TRY(cli_open_device(a, &device, err));
    gen_status status = compare_sides(a, device, &made, &real, &sets, err);
    gen_run_close(made.run);
    gen_run_close(real.run);
    device->ops->close(device);
    if (status != GEN_OK) return status;
    if (a->o.json) {
        gen_json_out out = { .arena = a->arena };
        gen_json_open(&out, NULL, '{');
        for (int32_t i = 0; i < sets.numbers.n; i++)
            gen_json_put_double(&out, sets.numbers.name[i], sets.numbers.value[i]);
        cli_put_sets(&out, &sets);
        gen_json_close(&out, '}');
        return cli_print_json(&out, err);
    }
    printf("%s against %s\n", made.name, real.name);
    for (int32_t i = 0; i < sets.numbers.n; i++) printf("  %-16s %.6g\n", sets.numbers.name[i], sets.numbers.value[i]);
    cli_print_sets(&sets);
    return GEN_OK;
}

/* ---- results -------------------------------------------------------------------------------------------------------------------------- */

void cli_warn_of_few(int64_t pictures, int64_t d)
{
    if (pictures > d) return;
    fprintf(stderr,
            "gen eval: %" PRId64 " pictures are no more than the %" PRId64
            " features: a Frechet distance of so few is far too large; use more pictures, or look at kid\n",
            pictures, d);
}

void cli_print_sets(const cli_feature_sets *sets)
{
    printf("  in %" PRId64 " features of %s: %" PRId64 " pictures against %" PRId64 "\n", sets->d, sets->network,
           sets->n_made, sets->n_real);
    if (sets->classes) printf("  of each class, at confidence %g:", confident);
    for (int64_t c = 0; c < sets->classes; c++) printf(" %.1f", 100 * sets->share[c]);
    if (sets->classes) printf(" %%\n");
    cli_warn_of_few(sets->n_made < sets->n_real ? sets->n_made : sets->n_real, sets->d);
}

void cli_put_sets(gen_json_out *out, const cli_feature_sets *sets)
{
    gen_json_put_string(out, "features", sets->network);
    gen_json_put_int(out, "n_features", sets->d);
    gen_json_put_int(out, "samples", sets->n_made);
    gen_json_put_int(out, "reference", sets->n_real);
    if (!sets->classes) return;
    gen_json_open(out, "class_shares", '[');
    for (int64_t c = 0; c < sets->classes; c++) gen_json_put_double(out, NULL, sets->share[c]);
    gen_json_close(out, ']');
}
