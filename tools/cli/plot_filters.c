/* The first layer of a network as pictures: what each of its units looks for. */
#include <inttypes.h>

#include "io/file.h"
#include "io/image.h"
#include "models/evaluate.h"
#include "tools/cli/cli.h"

enum { MOST = 400, SMALLEST_SIDE = 24 };

typedef struct filters {
    int64_t n, h, w, c;
    float *x; /* [n,h,w,c], each filter from its least to its largest weight in 0..1 */
} filters;

/* The parameters of whatever the model can do with pictures become known, and are loaded. */
static gen_status load(const cli_args *a, gen_run *run, gen_error *err)
{
    gen_program *program = NULL;
    const gen_model *m = run->settings.model;
    GEN_TRY(gen_run_program(run, m->encode ? m->encode : m->eval, "look at pictures", GEN_EVAL_BATCH, &program, err));
    gen_program_free(program);
    return cli_load_weights(a, run, err);
}

/* The first parameter that takes pictures: a conv layer [R,S,C,K], or a dense one [H W C,units]. */
static int32_t first_layer(const gen_run *run, filters *f)
{
    for (int32_t i = 0; i < gen_params_count(run->params); i++) {
        gen_param_info p = gen_params_get(run->params, i);
        const gen_shape *s = &p.shape;
        if (p.spec.layout == GEN_LAYOUT_CONV && s->rank == 4 && s->dim[2] == run->channels) {
            *f = (filters){ .n = s->dim[3], .h = s->dim[0], .w = s->dim[1], .c = s->dim[2] };
            return i;
        }
        if (p.spec.layout == GEN_LAYOUT_DENSE && s->rank == 2 &&
            s->dim[0] == run->height * run->width * run->channels) {
            *f = (filters){ .n = s->dim[1], .h = run->height, .w = run->width, .c = run->channels };
            return i;
        }
    }
    return -1;
}

/* Weight e of unit k lies at e n + k in both kinds of layer. */
static void put_filter(const filters *f, const float *weights, int64_t n_units, int64_t k)
{
    int64_t count = f->h * f->w * f->c;
    float low = weights[k], high = weights[k], *out = f->x + k * count;
    for (int64_t e = 0; e < count; e++) {
        float v = out[e] = weights[e * n_units + k];
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    for (int64_t e = 0; e < count; e++) out[e] = high > low ? (out[e] - low) / (high - low) : 0.5f;
}

/* Small filters become larger, pixel by pixel, so that an eye can see them. */
static gen_status enlarge(const cli_args *a, filters *f, gen_error *err)
{
    int64_t least = f->h < f->w ? f->h : f->w, times = (SMALLEST_SIDE + least - 1) / least;
    int64_t h = f->h * times, w = f->w * times, count = f->h * f->w * f->c;
    float *large = gen_arena_alloc(a->arena, (size_t)(f->n * h * w * f->c) * sizeof *large);
    if (!large) return gen_fail(err, GEN_NO_MEMORY, "no memory for pictures of filters");
    for (int64_t k = 0; k < f->n; k++)
        GEN_TRY(gen_image_resize(f->x + k * count, (int32_t)f->h, (int32_t)f->w, (int32_t)f->c,
                                 large + k * h * w * f->c, (int32_t)h, (int32_t)w, GEN_FILTER_BOX, err));
    f->x = large;
    f->h = h;
    f->w = w;
    return GEN_OK;
}

static gen_status write_grid(const cli_args *a, const filters *f, const char *path, gen_error *err)
{
    gen_image image;
    gen_bytes png;
    gen_grid grid = { .padding_px = 2, .background = 1, .low = 0, .high = 1 };
    GEN_TRY(
        gen_image_grid(f->x, (int32_t)f->n, (int32_t)f->h, (int32_t)f->w, (int32_t)f->c, &grid, a->arena, &image, err));
    GEN_TRY(gen_png_write(&image, a->arena, &png, err));
    return gen_file_write(path, png.data, png.size, err);
}

/* The first `most` filters of the first layer, which is *layer; *n_units: how many it has. */
static gen_status read_filters(const cli_args *a, gen_run *run, int64_t most, filters *f, int32_t *layer,
                               int64_t *n_units, gen_error *err)
{
    *layer = first_layer(run, f);
    if (*layer < 0)
        return gen_fail(err, GEN_UNSUPPORTED, "%s has no layer whose units look at pictures",
                        run->settings.model->name);
    gen_param_info p = gen_params_get(run->params, *layer);
    *n_units = f->n;
    if (f->n > most) f->n = most;
    float *weights = gen_arena_alloc(a->arena, (size_t)gen_shape_count(&p.shape) * sizeof *weights);
    f->x = gen_arena_alloc(a->arena, (size_t)(f->n * f->h * f->w * f->c) * sizeof *f->x);
    if (!weights || !f->x) return gen_fail(err, GEN_NO_MEMORY, "no memory for filters");
    GEN_TRY(gen_params_read(run->params, *layer, weights, err));
    for (int64_t k = 0; k < f->n; k++) put_filter(f, weights, *n_units, k);
    return GEN_OK;
}

gen_status cli_filters_as_pictures(const cli_args *a, gen_run *run, int64_t n, float *x, gen_error *err)
{
    filters f;
    int32_t layer;
    int64_t n_units, count = run->height * run->width * run->channels;
    GEN_TRY(read_filters(a, run, n, &f, &layer, &n_units, err));
    for (int64_t k = 0; k < f.n; k++)
        GEN_TRY(gen_image_resize(f.x + k * f.h * f.w * f.c, (int32_t)f.h, (int32_t)f.w, (int32_t)f.c, x + k * count,
                                 (int32_t)run->height, (int32_t)run->width, GEN_FILTER_BOX, err));
    for (int64_t i = f.n * count; i < n * count; i++) x[i] = 0.5f;
    return GEN_OK;
}

gen_status cli_plot_filters(const cli_args *a, gen_run *run, const char *path, gen_error *err)
{
    filters f;
    int32_t layer;
    int64_t n_units;
    GEN_TRY(load(a, run, err));
    GEN_TRY(read_filters(a, run, MOST, &f, &layer, &n_units, err));
    GEN_TRY(enlarge(a, &f, err));
    GEN_TRY(write_grid(a, &f, path, err));
    printf("%s: %" PRId64 " of the %" PRId64 " filters of %s\n", path, f.n, n_units,
           gen_params_get(run->params, layer).name);
    return GEN_OK;
}
