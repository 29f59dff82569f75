/* Pictures with their optimiser: between sizes, between plan and host, between runs. */
#include "models/style_state.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/image.h"

const char *style_picture_name(const gen_style *s, int32_t scale, char *name)
{
    if (s->scales[scale].tile) snprintf(name, STYLE_PICTURE_BYTES, "tiled.");
    else snprintf(name, STYLE_PICTURE_BYTES, "image%d.", scale);
    return name;
}

const char *style_name(const char *picture, const char *what, char *name)
{
    snprintf(name, STYLE_NAME_BYTES, "%s%s", picture, what);
    return name;
}

void style_state_free(style_state *state)
{
    gen_free(state->pixels); /* the others follow it in the same block */
    *state = (style_state){ 0 };
}

gen_status style_state_alloc(style_state *state, int32_t height, int32_t width, gen_error *err)
{
    int64_t n = (int64_t)height * width * 3,
            room = (n + STYLE_UPDATE_NUMBERS - 1) / STYLE_UPDATE_NUMBERS * STYLE_UPDATE_NUMBERS;
    float *block = gen_alloc(STYLE_STATE_ARRAYS * (size_t)room, sizeof *block);
    if (!block) return gen_fail(err, GEN_NO_MEMORY, "no memory for a picture of %dx%d", width, height);
    *state =
        (style_state){ height, width, n, block, block + room, block + 2 * room, block + 3 * room, block + 4 * room, 0 };
    return GEN_OK;
}

gen_status style_state_resize(style_state *state, int32_t height, int32_t width, const gen_style_options *o,
                              gen_error *err)
{
    style_state from = *state, to = { 0 };
    float edge = (float)(o->range / 2);
    GEN_TRY(style_state_alloc(&to, height, width, err));
    to.step = from.step;
    gen_status status =
        gen_image_resize(from.pixels, from.height, from.width, 3, to.pixels, height, width, GEN_FILTER_BICUBIC, err);
    if (status == GEN_OK)
        status = gen_image_resize(from.m, from.height, from.width, 3, to.m, height, width, GEN_FILTER_BICUBIC, err);
    if (status == GEN_OK)
        status = gen_image_resize(from.v, from.height, from.width, 3, to.v, height, width, GEN_FILTER_BILINEAR, err);
    for (int64_t i = 0; i < to.n; i++) {
        to.pixels[i] = fminf(fmaxf(to.pixels[i], -edge), edge);
        to.v[i] = fmaxf(to.v[i], 0);
    }
    if (status != GEN_OK) {
        style_state_free(&to);
        return status;
    }
    style_state_free(state);
    *state = to;
    return GEN_OK;
}

/* ---- parameters ------------------------------------------------------------------------------------------------------------------ */

typedef gen_status (*transfer)(gen_style *s, int32_t i, float *values, gen_error *err);

static gen_status put(gen_style *s, int32_t i, float *values, gen_error *err)
{
    return gen_params_write(s->params, i, values, err);
}

static gen_status take(gen_style *s, int32_t i, float *values, gen_error *err)
{
    return gen_params_read(s->params, i, values, err);
}

static gen_status transfer_all(gen_style *s, int64_t from, transfer act, gen_error *err)
{
    char picture[STYLE_PICTURE_BYTES], image[3][STYLE_NAME_BYTES], names[5][STYLE_NAME_BYTES + 16];
    float step = (float)s->state.step,
          *values[5] = { s->state.pixels + from, s->state.m + from, s->state.v + from, s->state.average + from, &step };
    style_picture_name(s, s->at, picture);
    style_name(picture, "pixels", image[0]);
    style_name(picture, "average", image[1]);
    style_name(picture, "step", image[2]);
    snprintf(names[0], sizeof names[0], "%s", image[0]);
    snprintf(names[1], sizeof names[1], "optim.m.%s", image[0]);
    snprintf(names[2], sizeof names[2], "optim.v.%s", image[0]);
    snprintf(names[3], sizeof names[3], "%s", image[1]);
    snprintf(names[4], sizeof names[4], "optim.%s", image[2]);
    for (int k = 0; k < 5; k++) {
        int32_t i = gen_params_find(s->params, names[k]);
        if (i >= 0) GEN_TRY(act(s, i, values[k], err)); /* there is no average without --ema */
    }
    s->state.step = (double)step;
    return GEN_OK;
}

gen_status style_state_put(gen_style *s, int64_t from, gen_error *err)
{
    return transfer_all(s, from, put, err);
}

gen_status style_state_take(gen_style *s, int64_t from, gen_error *err)
{
    return transfer_all(s, from, take, err);
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------- */

gen_status gen_style_save(gen_style *s, const char *path, gen_error *err)
{
    char at[32], iteration[32], done[32], step[32];
    style_state *t = &s->state;
    if (!t->pixels) return gen_fail(err, GEN_NOT_FOUND, "there is no picture yet to save");
    if (s->program && !s->lbfgs && !s->tiles) GEN_TRY(style_state_take(s, 0, err));
    snprintf(at, sizeof at, "%d", s->at);
    snprintf(iteration, sizeof iteration, "%" PRId64, s->iteration);
    snprintf(done, sizeof done, "%" PRId64, s->done);
    snprintf(step, sizeof step, "%.0f", t->step);
    gen_tensor_entry tensors[4] = { { "pixels", GEN_DTYPE_F32, 3, { t->height, t->width, 3 }, 0, t->pixels },
                                    { "m", GEN_DTYPE_F32, 3, { t->height, t->width, 3 }, 0, t->m },
                                    { "v", GEN_DTYPE_F32, 3, { t->height, t->width, 3 }, 0, t->v },
                                    { "average", GEN_DTYPE_F32, 3, { t->height, t->width, 3 }, 0, t->average } };
    gen_metadata_entry metadata[] = {
        { "kind", "gen style" }, { "scale", at }, { "iteration", iteration }, { "done", done }, { "step", step }
    };
    return gen_safetensors_write(path, tensors, 4, metadata, sizeof metadata / sizeof *metadata, err);
}

static double number(const gen_safetensors *st, const char *key)
{
    const char *text = gen_safetensors_metadata(st, key);
    return text ? strtod(text, NULL) : -1;
}

static gen_status read_state(gen_style *s, const gen_safetensors *st, const char *path, gen_error *err)
{
    static const char *const names[] = { "pixels", "m", "v", "average" };
    const char *kind = gen_safetensors_metadata(st, "kind");
    double at = number(st, "scale"), iteration = number(st, "iteration"), done = number(st, "done");
    if (!kind || strcmp(kind, "gen style") || !(at >= 0) || !(iteration >= 0) || !(done >= 0))
        return gen_fail(err, GEN_BAD_FILE, "--resume %s: expected what an interrupted gen style saved", path);
    if (at >= s->n_scales || iteration > (double)style_iterations(s, (int32_t)at) || done > (double)s->total)
        return gen_fail(err, GEN_BAD_OPTION, "--resume %s: it was saved with other --scales or --iterations", path);
    const style_scale *scale = &s->scales[(int32_t)at];
    GEN_TRY(style_state_alloc(&s->state, scale->height, scale->width, err));
    float *to[] = { s->state.pixels, s->state.m, s->state.v, s->state.average };
    for (int k = 0; k < 4; k++) {
        const gen_tensor_entry *t = gen_safetensors_find(st, names[k]);
        if (!t || t->n_dims != 3 || t->dims[0] != scale->height || t->dims[1] != scale->width || t->dims[2] != 3)
            return gen_fail(err, GEN_BAD_OPTION,
                            "--resume %s: its picture is not of %dx%d pixels: the content or --size is another", path,
                            scale->width, scale->height);
        gen_tensor_to_float(t, to[k]);
    }
    s->at = (int32_t)at;
    s->iteration = (int64_t)iteration;
    s->done = (int64_t)done;
    s->state.step = fmax(number(st, "step"), 0);
    return GEN_OK;
}

gen_status gen_style_resume(gen_style *s, const char *path, gen_error *err)
{
    gen_bytes file;
    gen_safetensors st;
    gen_arena *arena = gen_arena_new();
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory for %s", path);
    gen_status status = gen_file_read(path, GEN_FILE_ANY_SIZE, arena, &file, err);
    if (status == GEN_OK) {
        status = gen_safetensors_read(file.data, file.size, arena, &st, err);
        if (status != GEN_OK) gen_error_in_file(err, path, status);
    }
    if (status == GEN_OK) status = read_state(s, &st, path, err);
    gen_arena_free(arena);
    return status;
}
