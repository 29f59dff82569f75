/* sample, reconstruct, interpolate: pictures from a trained model */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "io/file.h"
#include "io/image.h"
#include "models/checkpoint.h"
#include "models/data.h"
#include "models/evaluate.h"
#include "models/journal.h"
#include "tools/cli/bars.h"
#include "tools/cli/cli.h"
#include "tools/cli/cmd_compose.h"
#include "tools/cli/frames.h"

typedef struct pictures {
    cli_args *a;
    gen_device *device;
    gen_run *run;
    gen_dataset data;
    int64_t pixels; /* of a picture */
    bool sampling;
} pictures;

/* A program of `build` is made and dropped once, so that the run's parameters are known; then the weights are loaded. */
static gen_status know_params(pictures *p, void (*build)(gen_graph *g, const gen_model_context *m), const char *verb,
                              gen_error *err)
{
    gen_program *program = NULL;
    GEN_TRY(gen_run_program(p->run, build, verb, 1, &program, err));
    gen_program_free(program);
    return GEN_OK;
}

static gen_status open_pictures(pictures *p, gen_error *err)
{
    GEN_TRY(cli_open_run(p->a, p->a->word[0], &p->device, &p->run, err));
    const gen_model *model = p->run->settings.model;
    p->pixels = p->run->height * p->run->width * p->run->channels;
    if (model->tokens && p->sampling) return GEN_OK;
    GEN_TRY(cli_set_sampler(p->a, p->run, err));
    if (model->denoise) GEN_TRY(know_params(p, model->denoise, "make pictures from noise", err));
    else if (model->state && !model->decode) GEN_TRY(know_params(p, model->eval, "be evaluated", err));
    else GEN_TRY(know_params(p, model->decode, "make pictures from codes", err));
    if (model->encode) GEN_TRY(know_params(p, model->encode, "encode pictures", err));
    return cli_load_weights(p->a, p->run, err);
}

static float *floats(pictures *p, int64_t n, gen_error *err)
{
    float *memory = gen_arena_alloc(p->a->arena, (size_t)n * sizeof *memory);
    if (!memory) gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " numbers: ask for fewer pictures", n);
    return memory;
}

static uint64_t seed_of(const pictures *p)
{
    return (uint64_t)(p->a->o.seed >= 0 ? p->a->o.seed : p->run->settings.train.seed);
}

static gen_status save(pictures *p, const float *x, int64_t n, int64_t columns, const char *fallback, gen_error *err)
{
    const char *path = *p->a->o.output ? p->a->o.output : fallback;
    GEN_TRY(cli_write_pictures(p->run, x, n, (int32_t)columns, path, p->a->arena, err));
    return cli_print_file(p->a, path, n, "pictures", err);
}

/* ---- labels ---------------------------------------------------------------------------------------------------------------------------- */

static gen_status may_have_label(const pictures *p, gen_error *err)
{
    int64_t label = p->a->o.label;
    if (label >= 0 && !gen_is_conditional(p->run))
        return gen_fail(err, GEN_BAD_OPTION, "%s knows no labels, so --label means nothing: train with --conditional",
                        p->run->folder);
    if (label >= p->run->classes && label > 0)
        return gen_fail(err, GEN_BAD_OPTION, "--label %" PRId64 ": this run knows labels 0 to %" PRId64, label,
                        p->run->classes - 1);
    return GEN_OK;
}

/* Of picture i: --label, else all classes in turn, each for `each` pictures */
static float *asked_labels(pictures *p, int64_t n, int64_t each, gen_error *err)
{
    float *labels = floats(p, n, err);
    int64_t classes = p->run->classes ? p->run->classes : 1;
    for (int64_t i = 0; labels && i < n; i++)
        labels[i] = (float)(p->a->o.label >= 0 ? p->a->o.label : i / each % classes);
    return labels;
}

/* Of n images of the data from index first on; *labels is NULL where it has none. */
static gen_status labels_of(pictures *p, int64_t first, int64_t n, const float **labels, gen_error *err)
{
    float *out = floats(p, n, err);
    int64_t *index = gen_arena_alloc(p->a->arena, (size_t)n * sizeof *index);
    if (!out || !index) return gen_fail(err, GEN_NO_MEMORY, "no memory for %" PRId64 " labels", n);
    for (int64_t i = 0; i < n; i++) index[i] = first + i;
    *labels = gen_data_labels(&p->data, index, n, out);
    return GEN_OK;
}

/* ---- codes ----------------------------------------------------------------------------------------------------------------------------- */

/* Codes of n images of the data from index first on. */
static gen_status encode_images(pictures *p, int64_t first, int64_t n, float *x, float *z, gen_error *err)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t index = first + i;
        gen_dataset_batch(&p->data, &index, 1, x + i * p->pixels);
    }
    const float *labels = NULL;
    GEN_TRY(labels_of(p, first, n, &labels, err));
    return gen_encode(p->run, x, labels, n, z, NULL, err);
}

static gen_status open_data(pictures *p, gen_error *err)
{
    if (*p->a->o.data) p->run->settings.train.data = p->a->o.data;
    GEN_TRY(gen_data_open(&p->run->settings, NULL, p->a->arena, &p->data, err));
    if (p->data.height_px == p->run->height && p->data.width_px == p->run->width &&
        p->data.channels == p->run->channels)
        return GEN_OK;
    return gen_fail(err, GEN_BAD_SHAPE,
                    "%s has pictures of %dx%dx%d, the run was trained on %" PRId64 "x%" PRId64 "x%" PRId64
                    "; fit it with --size and --channels in training",
                    p->data.name, p->data.height_px, p->data.width_px, p->data.channels, p->run->height, p->run->width,
                    p->run->channels);
}

/* The mean code of a label, over at most 2000 training images. */
static gen_status label_mean(pictures *p, int64_t label, int64_t d, float *mean, gen_error *err)
{
    enum { MOST = 2000 };
    gen_range train = p->data.splits[GEN_SPLIT_TRAIN];
    float *x = floats(p, MOST * p->pixels, err), *z = floats(p, MOST * d, err);
    if (!x || !z) return GEN_NO_MEMORY;
    if (!p->data.labels)
        return gen_fail(err, GEN_BAD_OPTION, "%s has no labels, so --add-label and --sub-label mean nothing",
                        p->data.name);
    int64_t n = 0;
    for (int64_t i = train.first; i < train.first + train.n && n < MOST; i++)
        if (p->data.labels[i] == label) gen_dataset_batch(&p->data, &i, 1, x + n++ * p->pixels);
    if (!n)
        return gen_fail(err, GEN_BAD_OPTION, "%s has no image with label %" PRId64 "; labels are 0 to %d", p->data.name,
                        label, p->data.n_classes - 1);
    float *labels = floats(p, n, err);
    if (!labels) return GEN_NO_MEMORY;
    for (int64_t i = 0; i < n; i++) labels[i] = (float)label;
    GEN_TRY(gen_encode(p->run, x, labels, n, z, NULL, err));
    for (int64_t j = 0; j < d; j++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += (double)z[i * d + j];
        mean[j] = (float)(sum / (double)n);
    }
    return GEN_OK;
}

/* z += mean(add) - mean(sub): attribute arithmetic (White 2016; GDL 03_06) */
static gen_status move_codes(pictures *p, float *z, int64_t n, int64_t d, gen_error *err)
{
    const int64_t label[2] = { p->a->o.add_label, p->a->o.sub_label };
    float *mean = floats(p, d, err);
    if (!mean) return GEN_NO_MEMORY;
    for (int which = 0; which < 2; which++) {
        if (label[which] < 0) continue;
        GEN_TRY(label_mean(p, label[which], d, mean, err));
        for (int64_t i = 0; i < n * d; i++) z[i] += which == 0 ? mean[i % d] : -mean[i % d];
    }
    return GEN_OK;
}

/* ---- on the way from one code to another -------------------------------------------------------------------------------------------------- */

/* Between codes a and b at t in [0,1]: straight, or on the great circle, where normal codes of many dimensions live (White 2016). */
static void between(const float *a, const float *b, int64_t d, double t, bool spherical, float *out)
{
    double aa = 0, bb = 0, ab = 0, wa = 1 - t, wb = t;
    for (int64_t j = 0; j < d; j++)
        aa += (double)a[j] * (double)a[j], bb += (double)b[j] * (double)b[j], ab += (double)a[j] * (double)b[j];
    double c = aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 1, angle = acos(c > 1 ? 1 : c < -1 ? -1 : c);
    if (spherical && sin(angle) > 1e-6) {
        wa = sin((1 - t) * angle) / sin(angle);
        wb = sin(t * angle) / sin(angle);
    }
    for (int64_t j = 0; j < d; j++) out[j] = (float)(wa * (double)a[j] + wb * (double)b[j]);
}

/* Each picture of the grid goes round through STOPS random codes, all at once, and ends where it began: a film to loop. */
static gen_status walk(pictures *p, int64_t n, int64_t columns, const float *labels, gen_error *err)
{
    enum { STOPS = 4 };
    int64_t frames = p->a->o.walk, d = gen_latent_size(p->run);
    bool spherical = !strcmp(p->a->o.mode, "spherical");
    float *stops = floats(p, STOPS * n * d, err), *z = floats(p, n * d, err),
          *x = floats(p, frames * n * p->pixels, err);
    if (!stops || !z || !x) return GEN_NO_MEMORY;
    gen_latent_draw(seed_of(p), 0, STOPS * n, d, stops); /* stop s of picture i is code s n + i */
    for (int64_t f = 0; f < frames; f++) {
        double way = (double)(f * STOPS) / (double)frames;
        int64_t from = (int64_t)way, to = (from + 1) % STOPS;
        for (int64_t i = 0; i < n; i++)
            between(stops + (from * n + i) * d, stops + (to * n + i) * d, d, way - (double)from, spherical, z + i * d);
        GEN_TRY(gen_decode(p->run, z, labels, n, x + f * n * p->pixels, err));
    }
    const char *path = *p->a->o.output ? p->a->o.output : "walk.png";
    GEN_TRY(cli_write_frames(p->run, x, frames, n, (int32_t)columns, path, err));
    return cli_print_file(p->a, path, frames, "frames", err);
}

/* ---- sample ------------------------------------------------------------------------------------------------------------------------------ */

static gen_status sample(pictures *p, gen_error *err)
{
    enum { MOST_COLUMNS = 32, ROWS = 8 };
    if (p->run->settings.model->tokens == GEN_TOKENS_TEXT) return cli_sample_text(p->a, p->run, err);
    if (p->run->settings.model->tokens)
        return gen_fail(err, GEN_UNSUPPORTED, "%s is a run of %s: gen compose %s -o new.mid", p->run->folder,
                        p->run->settings.model->name, p->run->folder);
    if (p->run->settings.model->state) return cli_sample_frames(p->a, p->run, err);
    if (p->run->settings.model->bars) return cli_sample_bars(p->a, p->run, err);
    if (!p->a->o.walk && !p->a->o.frames) GEN_TRY(cli_can_write_pictures(p->a->o.output, err));
    int64_t columns, n, classes = gen_is_conditional(p->run) ? p->run->classes : 0;
    bool by_class = classes > 0 && classes <= MOST_COLUMNS && p->a->o.label < 0;
    GEN_TRY(cli_grid_size(p->a, by_class ? ROWS * classes : 64, &columns, &n, err));
    if (by_class && !columns) columns = classes; /* a column each */
    float *x = floats(p, n * p->pixels, err), *labels = asked_labels(p, n, 1, err);
    if (!x || !labels) return GEN_NO_MEMORY;
    if (p->a->o.walk) return walk(p, n, columns, labels, err);
    if (p->run->settings.model->denoise) return cli_sample_generated(p->a, p->run, labels, n, columns, err);
    if (cli_wants_mixture(p->a)) {
        gen_mixture mixture;
        float *z = floats(p, n * gen_latent_size(p->run), err);
        if (!z) return GEN_NO_MEMORY;
        GEN_TRY(cli_fit_mixture(p->a, p->run, NULL, &mixture, err));
        gen_mixture_draw(&mixture, seed_of(p), 0, n, z);
        GEN_TRY(gen_decode(p->run, z, labels, n, x, err));
    } else {
        GEN_TRY(gen_sample(p->run, seed_of(p), 0, labels, n, x, err));
    }
    return save(p, x, n, columns, "samples.png", err);
}

/* ---- reconstruct --------------------------------------------------------------------------------------------------------------------------- */

/* Each row of originals stands above the row of its reconstructions. A conditional run takes each picture's own label, or --label in the decoder. */
static gen_status reconstruct(pictures *p, gen_error *err)
{
    GEN_TRY(cli_can_write_pictures(p->a->o.output, err));
    int64_t columns, n, d = gen_latent_size(p->run);
    GEN_TRY(open_data(p, err));
    GEN_TRY(cli_grid_size(p->a, 64, &columns, &n, err));
    if (!columns) columns = (int64_t)ceil(sqrt((double)n));
    gen_range test = p->data.splits[gen_data_test_split(&p->data)];
    if (n > test.n) n = test.n;
    if (n < 1) return gen_fail(err, GEN_NOT_FOUND, "%s has no test pictures", p->data.name);
    if (columns > n) columns = n;
    n -= n % columns; /* whole rows */
    float *x = floats(p, n * p->pixels, err), *z = floats(p, n * d, err), *y = floats(p, n * p->pixels, err),
          *rows = floats(p, 2 * n * p->pixels, err);
    if (!x || !z || !y || !rows) return GEN_NO_MEMORY;
    GEN_TRY(encode_images(p, test.first, n, x, z, err));
    if (p->a->o.add_label >= 0 || p->a->o.sub_label >= 0) GEN_TRY(move_codes(p, z, n, d, err));
    const float *labels = NULL;
    if (p->a->o.label >= 0) labels = asked_labels(p, n, 1, err);
    else GEN_TRY(labels_of(p, test.first, n, &labels, err));
    GEN_TRY(gen_decode(p->run, z, labels, n, y, err));
    int64_t row = columns * p->pixels;
    for (int64_t r = 0; r < n / columns; r++) {
        memcpy(rows + 2 * r * row, x + r * row, (size_t)row * sizeof *x);
        memcpy(rows + (2 * r + 1) * row, y + r * row, (size_t)row * sizeof *y);
    }
    return save(p, rows, 2 * n, columns, "reconstructions.png", err);
}

/* ---- interpolate ------------------------------------------------------------------------------------------------------------------------------ */

/* --n rows, each from one code to another in --frames pictures: between test images where the model encodes, else between random codes. The codes of a
 * conditional run say how a picture is drawn, not what it shows: row by row one class after the other, or --label. */
static gen_status interpolate(pictures *p, gen_error *err)
{
    GEN_TRY(cli_can_write_pictures(p->a->o.output, err));
    int64_t rows = p->a->o.n ? p->a->o.n : 8, frames = p->a->o.frames ? p->a->o.frames : 10,
            d = gen_latent_size(p->run), n = rows * frames;
    float *ends = floats(p, 2 * rows * d, err),
          *x = floats(p, n * p->pixels > 2 * rows * p->pixels ? n * p->pixels : 2 * rows * p->pixels, err),
          *z = floats(p, n * d, err);
    if (!ends || !x || !z) return GEN_NO_MEMORY;
    if (p->run->settings.model->encode && p->a->o.seed < 0) {
        GEN_TRY(open_data(p, err));
        gen_range test = p->data.splits[gen_data_test_split(&p->data)];
        if (test.n < 2 * rows)
            return gen_fail(err, GEN_BAD_OPTION, "%" PRId64 " rows need %" PRId64 " images, there are %" PRId64, rows,
                            2 * rows, test.n);
        GEN_TRY(encode_images(p, test.first, 2 * rows, x, ends, err));
    } else {
        gen_latent_draw(seed_of(p), 0, 2 * rows, d, ends);
    }
    for (int64_t i = 0; i < n; i++)
        between(ends + 2 * (i / frames) * d, ends + (2 * (i / frames) + 1) * d, d,
                (double)(i % frames) / (double)(frames - 1), !strcmp(p->a->o.mode, "spherical"), z + i * d);
    float *labels = asked_labels(p, n, frames, err);
    if (!labels) return GEN_NO_MEMORY;
    GEN_TRY(gen_decode(p->run, z, labels, n, x, err));
    return save(p, x, n, frames, "interpolation.png", err);
}

/* ---- verbs ------------------------------------------------------------------------------------------------------------------------------------ */

static void say_averages(const pictures *p)
{
    gen_sink terminal = cli_terminal(p->a);
    if (gen_checkpoint_has_averages(p->run) && !*p->a->o.weights)
        gen_emit_text(&terminal, 0, "note", "by the weights averaged in training (--ema %g)",
                      p->run->settings.train.ema);
}

static int with_run(cli_args *a, const cli_verb *verb, gen_status (*work)(pictures *p, gen_error *err), gen_error *err)
{
    pictures p = { .a = a, .sampling = verb == &cli_sample };
    if (cli_need_words(verb, a, 1, 1, err) != GEN_OK) return CLI_USAGE;
    gen_status status = open_pictures(&p, err);
    if (status == GEN_OK && cli_wants_mixture(a) && verb != &cli_sample)
        status = gen_fail(err, GEN_BAD_OPTION, "--sampler gmm is of gen sample and gen eval; gen %s draws no codes",
                          verb->name);
    if (status == GEN_OK && p.run->settings.model->bars && verb != &cli_sample)
        status = gen_fail(err, GEN_UNSUPPORTED, "gen %s is of pictures, %s makes music: gen sample %s -o x.mid",
                          verb->name, p.run->settings.model->name, p.run->folder);
    if (status == GEN_OK) status = may_have_label(&p, err);
    if (status == GEN_OK) status = work(&p, err);
    if (status == GEN_OK) say_averages(&p);
    if (p.run) cli_close_run(p.run, p.device);
    return status == GEN_OK ? CLI_GOOD : CLI_FAILED;
}

static int run_sample(cli_args *a, gen_error *err)
{
    return with_run(a, &cli_sample, sample, err);
}
static int run_reconstruct(cli_args *a, gen_error *err)
{
    return with_run(a, &cli_reconstruct, reconstruct, err);
}
static int run_interpolate(cli_args *a, gen_error *err)
{
    return with_run(a, &cli_interpolate, interpolate, err);
}

static const char *const sample_takes[] = {
    "output",  "walk",        "mode",      "grid",  "n",     "seed",    "checkpoint", "weights",
    "threads", "device",      "precision", "json",  "label", "frames",  "components", "data",
    "prime",   "temperature", "tempo",     "top-k", "top-p", "repeats", "quiet",      CLI_TAKES_SAMPLER,
    NULL
};
static const char *const reconstruct_takes[] = {
    "output",  "grid",    "n",      "data",      "label", "add-label",       "sub-label", "checkpoint",
    "weights", "threads", "device", "precision", "json",  CLI_TAKES_SAMPLER, NULL
};
static const char *const interpolate_takes[] = {
    "output",  "n",      "frames",    "mode", "label",           "seed", "data", "checkpoint", "weights",
    "threads", "device", "precision", "json", CLI_TAKES_SAMPLER, NULL
};
const cli_verb cli_sample = { "sample",     "RUN", "new pictures, music or text from a trained model",
                              sample_takes, 0,     run_sample };
const cli_verb cli_reconstruct = { "reconstruct",     "RUN", "test pictures and what the model makes of them",
                                   reconstruct_takes, 0,     run_reconstruct };
const cli_verb cli_interpolate = { "interpolate",     "RUN", "pictures on the way from one to another",
                                   interpolate_takes, 0,     run_interpolate };
