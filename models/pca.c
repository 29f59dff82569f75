/* Principal component analysis: Pearson 1901; Hotelling 1933. Exact: nothing is trained.
 *
 *   C = 1/n sum_i (x_i - m)(x_i - m)^T = sum_d l_d v_d v_d^T,     z_d = v_d . (x - m) / s_d,     y = m + sum_{d<=D} s_d z_d v_d,     s_d = sqrt(l_d)
 *
 * Codes have variance 1, so N(0, I) is what `gen sample` and the manifold draw from: the best Gaussian in that plane. Encoder and decoder are two dense
 * layers with the names of `ae --net linear`, which learns the same plane; y is not cut to [0,1] where errors are measured.
 */
#include "core/nn.h"
#include "models/linalg.h"
#include "models/metrics.h"
#include "models/model.h"
#include "models/trunk.h"

#include <math.h>
#include <string.h>

typedef struct pca_options {
    int64_t latent;
} pca_options;

// clang-format off
static const gen_option options[] = {
    { "latent", OPT_INT, offsetof(pca_options, latent), "32", 1, 4096, NULL, NULL, "number of components", 0 },
    GEN_OPTIONS_END
};

static const gen_preset presets[] = {
    { "pca-2", "latent=2", "the plane of most variance", "mnist" },
    { "pca-30", "latent=30", "Hinton & Salakhutdinov 2006: 13.87 squared error a digit", "mnist" },
    GEN_PRESETS_END
};
// clang-format on

/* ---- graphs ------------------------------------------------------------------------------------------------------------------ */

static int64_t latent(const gen_model_context *m)
{
    return ((const pca_options *)m->options)->latent;
}

static gen_trunk trunk_of(const gen_model_context *m)
{
    return gen_trunk_for("linear", &(gen_trunk_options){ .init = "torch" }, m->height, m->width, m->channels);
}

static gen_node *encoder(gen_graph *g, const gen_model_context *m, gen_node *x)
{
    gen_trunk t = trunk_of(m);
    return nn_dense(g, gen_trunk_encode(g, &t, x, false), "enc.code", latent(m), gen_trunk_dense(&t));
}

static gen_node *decoder(gen_graph *g, const gen_model_context *m, gen_node *z)
{
    gen_trunk t = trunk_of(m);
    return gen_trunk_decode(g, &t, z, false);
}

static gen_node *input_image(gen_graph *g, const gen_model_context *m)
{
    return gen_input(g, "x", GEN_SHAPE(m->batch, m->height, m->width, m->channels));
}

/* There is no step: this is for `gen info`. */
static void train(gen_graph *g, const gen_model_context *m)
{
    gen_node *x = input_image(g, m);
    gen_output(g, "loss", gen_mse(g, decoder(g, m, encoder(g, m, x)), x));
}

static void eval(gen_graph *g, const gen_model_context *m)
{
    gen_node *x = input_image(g, m), *y = decoder(g, m, encoder(g, m, x));
    gen_output(g, "loss", gen_image_mean(g, gen_square(g, gen_sub(g, y, x))));
    gen_output_errors(g, "", y, x);
}

static void encode(gen_graph *g, const gen_model_context *m)
{
    gen_output(g, "mu", encoder(g, m, input_image(g, m)));
}

static void decode(gen_graph *g, const gen_model_context *m)
{
    gen_node *z = gen_input(g, "z", GEN_SHAPE(m->batch, latent(m)));
    gen_output(g, "x", gen_clamp(g, decoder(g, m, z), 0, 1));
}

/* ---- the one pass ---------------------------------------------------------------------------------------------------------------- */

enum { CHUNK = 512 };

typedef struct work {
    const gen_dataset *data;
    gen_range range;
    int64_t p, d;    /* pixels, components */
    float *x;        /* [CHUNK,p] */
    double *centred; /* [CHUNK,p] */
    double *mean;    /* [p] */
    double *c;       /* [p,p] */
    double *values, *vectors;
    float *enc, *dec, *enc_bias, *dec_bias; /* [p,d], [d,p], [d], [p] */
} work;

static int64_t read_chunk(work *w, int64_t first)
{
    int64_t n = w->range.n - first < CHUNK ? w->range.n - first : CHUNK, indices[CHUNK];
    for (int64_t i = 0; i < n; i++) indices[i] = w->range.first + first + i;
    gen_dataset_batch(w->data, indices, (int32_t)n, w->x);
    return n;
}

static gen_status add_up(work *w, gen_error *err)
{
    for (int64_t i = 0; i < w->range.n; i += CHUNK) {
        int64_t n = read_chunk(w, i);
        for (int64_t r = 0; r < n; r++)
            for (int64_t k = 0; k < w->p; k++) w->mean[k] += (double)w->x[r * w->p + k];
    }
    for (int64_t k = 0; k < w->p; k++) w->mean[k] /= (double)w->range.n;
    for (int64_t i = 0; i < w->range.n; i += CHUNK) {
        int64_t n = read_chunk(w, i);
        for (int64_t r = 0; r < n; r++)
            for (int64_t k = 0; k < w->p; k++) w->centred[r * w->p + k] = (double)w->x[r * w->p + k] - w->mean[k];
        GEN_TRY(gen_gram_add(w->centred, n, w->p, w->c, err));
    }
    return GEN_OK;
}

/* Eigenvectors as weights of the two layers. A direction without variance has codes of 0. */
static void fill_layers(work *w)
{
    for (int64_t j = 0; j < w->d; j++) {
        double variance = w->values[j] / (double)w->range.n, s = variance > 1e-12 ? sqrt(variance) : 0, bias = 0;
        for (int64_t k = 0; k < w->p; k++) {
            double v = w->vectors[j * w->p + k], in = s > 0 ? v / s : 0;
            w->enc[k * w->d + j] = (float)in;
            w->dec[j * w->p + k] = (float)(v * s);
            bias -= in * w->mean[k];
        }
        w->enc_bias[j] = (float)bias;
    }
    for (int64_t k = 0; k < w->p; k++) w->dec_bias[k] = (float)w->mean[k];
}

static gen_status write_layers(const work *w, gen_params *params, gen_error *err)
{
    const struct {
        const char *name;
        const float *values;
    } all[] = { { "enc.code.weight", w->enc },
                { "enc.code.bias", w->enc_bias },
                { "dec.out.weight", w->dec },
                { "dec.out.bias", w->dec_bias } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        GEN_TRY(gen_params_write(params, gen_params_find(params, all[i].name), all[i].values, err));
    return GEN_OK;
}

static gen_status make_room(work *w, gen_arena *arena, gen_error *err)
{
    size_t p = (size_t)w->p, d = (size_t)w->d;
    w->x = gen_arena_alloc(arena, CHUNK * p * sizeof *w->x);
    w->centred = gen_arena_alloc(arena, CHUNK * p * sizeof *w->centred);
    w->mean = gen_arena_alloc(arena, p * sizeof *w->mean);
    w->c = gen_arena_alloc(arena, p * p * sizeof *w->c);
    w->values = gen_arena_alloc(arena, d * sizeof *w->values);
    w->vectors = gen_arena_alloc(arena, d * p * sizeof *w->vectors);
    w->enc = gen_arena_alloc(arena, p * d * sizeof *w->enc);
    w->dec = gen_arena_alloc(arena, p * d * sizeof *w->dec);
    w->enc_bias = gen_arena_alloc(arena, d * sizeof *w->enc_bias);
    w->dec_bias = gen_arena_alloc(arena, p * sizeof *w->dec_bias);
    if (!w->x || !w->centred || !w->mean || !w->c || !w->values || !w->vectors || !w->enc || !w->dec || !w->enc_bias ||
        !w->dec_bias)
        return gen_fail(err, GEN_NO_MEMORY, "no memory for the covariance of %lld pixels: use a smaller --size",
                        (long long)w->p);
    memset(w->mean, 0, p * sizeof *w->mean);
    memset(w->c, 0, p * p * sizeof *w->c);
    return GEN_OK;
}

static gen_status fit(const gen_model_context *m, const gen_dataset *data, gen_range range, gen_params *params,
                      gen_error *err)
{
    work w = { .data = data, .range = range, .p = m->height * m->width * m->channels, .d = latent(m) };
    gen_arena *arena = gen_arena_new();
    gen_status status = arena ? make_room(&w, arena, err) : gen_fail(err, GEN_NO_MEMORY, "no memory for pca");
    if (status == GEN_OK) status = add_up(&w, err);
    if (status == GEN_OK) status = gen_eigen_largest(w.c, w.p, w.d, w.values, w.vectors, err);
    if (status == GEN_OK) {
        fill_layers(&w);
        status = write_layers(&w, params, err);
    }
    gen_arena_free(arena);
    return status;
}

static gen_status check(const gen_model_context *m, gen_error *err)
{
    int64_t pixels = m->height * m->width * m->channels;
    if (pixels < 1) return gen_fail(err, GEN_BAD_SHAPE, "pca needs images; the data has none");
    if (pixels > GEN_EIGEN_MOST)
        return gen_fail(err, GEN_BAD_OPTION,
                        "pca of %lld numbers a picture: at most %d are taken; use --size or --channels",
                        (long long)pixels, GEN_EIGEN_MOST);
    if (latent(m) > pixels)
        return gen_fail(err, GEN_BAD_OPTION, "--latent %lld: pictures of %lld numbers have no more components",
                        (long long)latent(m), (long long)pixels);
    return GEN_OK;
}

const gen_model gen_model_pca = {
    .name = "pca",
    .summary = "principal component analysis, exact",
    .paper = "Pearson 1901; Hotelling 1933",
    .options = options,
    .options_bytes = sizeof(pca_options),
    .presets = presets,
    .defaults = "validation=0",
    .data = "mnist",
    .check = check,
    .fit = fit,
    .train = train,
    .eval = eval,
    .encode = encode,
    .decode = decode,
    .latent = latent,
};
