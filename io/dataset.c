/* Data sets: where they are, one array out of their parts, batches. */
#define _POSIX_C_SOURCE 200809L
#include "io/dataset.h"

#include "core/option.h"

#include "io/dataset_load.h"
#include "io/file.h"
#include "io/image.h"

#include <stdlib.h>
#include <string.h>

#ifndef GEN_SAMPLES_DIR
#define GEN_SAMPLES_DIR "samples/data"
#endif
#ifndef GEN_INSTALLED_DATA_DIR
#define GEN_INSTALLED_DATA_DIR "/usr/local/share/gen/data"
#endif

static gen_status no_memory(gen_error *err)
{
    return gen_fail(err, GEN_NO_MEMORY, "no memory for the data set");
}

/* ---- where ---- */

/* $XDG_CACHE_HOME/gen/data or ~/.cache/gen/data; NULL when neither is set or memory ran out. */
static char *cache_folder(gen_arena *arena)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/') return gen_arena_printf(arena, "%s/gen/data", cache);
    return home && home[0] ? gen_arena_printf(arena, "%s/.cache/gen/data", home) : NULL;
}

/* "quickdraw:cat" is the file quickdraw/cat.npy below each place. */
static char *place_of(gen_arena *arena, const char *root, const char *name)
{
    const char *colon = strchr(name, ':');
    if (colon) return gen_arena_printf(arena, "%s/%.*s/%s.npy", root, (int)(colon - name), name, colon + 1);
    return gen_path_join(arena, root, name);
}

static const char *nearest_source(const char *name)
{
    enum { MAX_WORDS = 64 };
    const char *words[MAX_WORDS];
    size_t n, used = 0;
    const gen_dataset_source *sources = gen_dataset_sources(&n);
    for (; used < n && used < MAX_WORDS; used++) words[used] = sources[used].name;
    return gen_nearest_word(name, words, used);
}

gen_status gen_dataset_find(const char *name_or_path, gen_arena *arena, char **path, gen_error *err)
{
    const char *roots[] = { getenv("GEN_DATA"), GEN_INSTALLED_DATA_DIR, GEN_SAMPLES_DIR, "/usr/share/datasets",
                            cache_folder(arena) };
    if (!name_or_path[0]) return gen_fail(err, GEN_BAD_OPTION, "the name of a data set is empty");
    if (gen_path_exists(name_or_path)) return (*path = gen_arena_strdup(arena, name_or_path)) ? GEN_OK : no_memory(err);
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        if (!roots[i] || !roots[i][0] || name_or_path[0] == '/') continue;
        char *place = place_of(arena, roots[i], name_or_path);
        if (!place) return no_memory(err);
        if (!gen_path_exists(place)) continue;
        *path = place;
        return GEN_OK;
    }
    if (gen_dataset_source_find(name_or_path))
        return gen_fail(err, GEN_NOT_FOUND,
                        "'%s' is not on this machine (looked in $GEN_DATA, %s, %s, /usr/share/datasets and the cache); "
                        "fetch it with: gen data fetch %s",
                        name_or_path, GEN_INSTALLED_DATA_DIR, GEN_SAMPLES_DIR, name_or_path);
    const char *nearest = nearest_source(name_or_path);
    return gen_fail(
        err, GEN_NOT_FOUND,
        "'%.200s' is neither a file or folder nor a data set that gen knows%s%s%s; `gen data list` names those",
        name_or_path, nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

gen_status gen_dataset_fetch_to_cache(const char *name, const gen_sink *sink, gen_arena *arena, char **path,
                                      gen_error *err)
{
    const gen_dataset_source *source = gen_dataset_source_find(name);
    const char *colon = strchr(name, ':'), *cache = cache_folder(arena);
    if (!cache)
        return gen_fail(err, GEN_NOT_FOUND,
                        "there is no cache folder to download '%s' to: set $XDG_CACHE_HOME or $HOME", name);
    char *folder = gen_path_join(arena, cache, source->name);
    if (!folder) return no_memory(err);
    GEN_TRY(gen_dataset_fetch(source, colon ? colon + 1 : NULL, folder, sink, err));
    return gen_dataset_find(name, arena, path, err);
}

static gen_status find_or_fetch(const char *name, const gen_dataset_options *options, const gen_sink *sink,
                                gen_arena *arena, char **path, gen_error *err)
{
    gen_error own = { 0 };
    const gen_dataset_source *source = gen_dataset_source_find(name);
    if (source && source->weights)
        return gen_fail(err, GEN_BAD_OPTION, "'%s' is no data set: %s", name, source->summary);
    gen_status status = gen_dataset_find(name, arena, path, &own);
    if (status == GEN_NOT_FOUND && options->download && source)
        return gen_dataset_fetch_to_cache(name, sink, arena, path, err);
    return status == GEN_OK ? GEN_OK : gen_fail(err, status, "%s", own.text);
}

/* ---- parts to one array ---- */

typedef struct join {
    gen_dataset *data;
    const gen_dataset_options *options;
    uint8_t *px8;
    float *values;
    int32_t *labels;
    int64_t at; /* pictures placed */
} join;

static size_t picture_size(const gen_dataset *data)
{
    return (size_t)data->height_px * (size_t)data->width_px * (size_t)data->channels;
}

static int needs_change(const gen_part *part, const gen_dataset *data)
{
    return part->height_px != data->height_px || part->width_px != data->width_px || part->channels != data->channels;
}

static void widen(const uint8_t *in, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = (float)in[i] / 255.0F;
}

/* scratch holds three pictures of the larger kind. */
static gen_status change_one(join *j, const gen_part *part, int64_t i, float *scratch, size_t room, gen_error *err)
{
    gen_dataset *data = j->data;
    size_t pixels = (size_t)part->height_px * (size_t)part->width_px, in = pixels * (size_t)part->channels,
           out = picture_size(data);
    float *source = scratch, *recoloured = scratch + room, *fitted = scratch + 2 * room;
    if (part->px8) widen(part->px8 + (size_t)i * in, in, source);
    else memcpy(source, part->values + (size_t)i * in, in * sizeof *source);
    gen_image_convert_channels(source, pixels, part->channels, recoloured, data->channels);
    if (part->height_px == data->height_px && part->width_px == data->width_px) fitted = recoloured;
    else
        GEN_TRY(gen_image_fit_square(recoloured, part->height_px, part->width_px, data->channels, fitted,
                                     data->height_px, err));
    if (j->px8) gen_image_to_bytes(fitted, out, 0, 1, j->px8 + (size_t)(j->at + i) * out);
    else memcpy(j->values + (size_t)(j->at + i) * out, fitted, out * sizeof *fitted);
    return GEN_OK;
}

static gen_status change_all(join *j, const gen_part *part, gen_error *err)
{
    size_t in = (size_t)part->height_px * (size_t)part->width_px * 4, out = picture_size(j->data),
           room = in > out ? in : out;
    float *scratch = gen_alloc(3 * room, sizeof *scratch);
    if (!scratch) return no_memory(err);
    gen_status status = GEN_OK;
    for (int64_t i = 0; i < part->n && status == GEN_OK; i++) status = change_one(j, part, i, scratch, room, err);
    gen_free(scratch);
    return status;
}

static gen_status place_part(join *j, const gen_part *part, gen_error *err)
{
    size_t size = picture_size(j->data), n = (size_t)part->n, at = (size_t)j->at;
    if (needs_change(part, j->data)) GEN_TRY(change_all(j, part, err));
    else if (j->px8) memcpy(j->px8 + at * size, part->px8, n * size);
    else memcpy(j->values + at * size, part->values, n * size * sizeof *j->values);
    if (j->labels) memcpy(j->labels + at, part->labels, n * sizeof *j->labels);
    gen_range *range = &j->data->splits[part->split];
    if (!range->n) range->first = j->at;
    range->n += part->n;
    j->at += part->n;
    return GEN_OK;
}

static gen_status check_parts(const gen_parts *parts, const gen_dataset_options *options, gen_dataset *data,
                              gen_error *err)
{
    const gen_part *first = &parts->part[0];
    for (int32_t i = 0; i < parts->n; i++) {
        const gen_part *p = &parts->part[i];
        if (p->height_px != first->height_px || p->width_px != first->width_px || p->channels != first->channels ||
            !p->px8 != !first->px8)
            return gen_fail(err, GEN_BAD_FILE,
                            "the splits of the data set differ in size: %d x %d x %d and %d x %d x %d", first->width_px,
                            first->height_px, first->channels, p->width_px, p->height_px, p->channels);
        data->n += p->n;
    }
    data->channels = options->channels ? options->channels : first->channels;
    data->height_px = options->size_px ? options->size_px : first->height_px;
    data->width_px = options->size_px ? options->size_px : first->width_px;
    return GEN_OK;
}

static int all_labelled(const gen_parts *parts)
{
    for (int32_t i = 0; i < parts->n; i++)
        if (!parts->part[i].labels) return 0;
    return parts->n > 0;
}

static gen_status make_room(join *j, const gen_parts *parts, gen_arena *arena, gen_error *err)
{
    size_t n = (size_t)j->data->n, size = picture_size(j->data),
           bytes = size * (parts->part[0].px8 ? 1 : sizeof(float));
    void *room = n <= SIZE_MAX / 2 / bytes ? gen_arena_alloc(arena, n * bytes) : NULL;
    if (all_labelled(parts)) j->labels = gen_arena_alloc(arena, n * sizeof *j->labels);
    if (!room || (all_labelled(parts) && !j->labels))
        return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu pictures of %zu bytes; choose a smaller --size", n,
                        bytes);
    if (parts->part[0].px8) j->px8 = room;
    else j->values = room;
    return GEN_OK;
}

/* One part that fits is taken as it is; else all are copied, train first, then test, then validation. */
static gen_status join_parts(const gen_parts *parts, const gen_dataset_options *options, gen_arena *arena,
                             gen_dataset *data, gen_error *err)
{
    join j = { .data = data, .options = options };
    const gen_part *first = &parts->part[0];
    GEN_TRY(check_parts(parts, options, data, err));
    if (parts->n == 1 && !needs_change(first, data)) {
        data->px8 = first->px8, data->values = first->values, data->labels = first->labels;
        data->splits[first->split] = (gen_range){ 0, first->n };
        return GEN_OK;
    }
    GEN_TRY(make_room(&j, parts, arena, err));
    for (int split = 0; split < GEN_N_SPLITS; split++)
        for (int32_t i = 0; i < parts->n; i++)
            if ((int)parts->part[i].split == split) GEN_TRY(place_part(&j, &parts->part[i], err));
    data->px8 = j.px8, data->values = j.values, data->labels = j.labels;
    return GEN_OK;
}

/* ---- names ---- */

static gen_status name_classes(gen_dataset *data, const gen_parts *parts, const gen_dataset_source *source,
                               gen_arena *arena, gen_error *err)
{
    int32_t most = -1;
    data->class_names = parts->class_names, data->n_classes = parts->n_classes;
    if (!data->labels || data->class_names) return GEN_OK;
    for (int64_t i = 0; i < data->n; i++)
        if (data->labels[i] > most) most = data->labels[i];
    data->n_classes = most + 1;
    if (!source || !source->class_names) return GEN_OK;
    char *text = gen_arena_strdup(arena, source->class_names);
    const char **names = gen_arena_alloc(arena, 64 * sizeof *names);
    int32_t n = 0;
    if (!text || !names) return no_memory(err);
    for (char *p = text, *bar; p && n < 64; p = bar ? bar + 1 : NULL) {
        bar = strchr(p, '|');
        if (bar) *bar = 0;
        names[n++] = p;
    }
    if (n >= data->n_classes) data->class_names = names, data->n_classes = n;
    return GEN_OK;
}

/* The base name without extension, in characters that fit any folder. */
static char *short_name(const char *name, gen_arena *arena)
{
    size_t n = strlen(name);
    while (n > 1 && name[n - 1] == '/') n--;
    char *copy = gen_arena_printf(arena, "%.*s", (int)n, name);
    if (!copy) return NULL;
    char *base = copy + (gen_path_base(copy) - copy), *dot = strchr(base, '.');
    if (dot && dot != base) *dot = 0;
    for (char *p = base; *p; p++)
        if (strchr(": /\\", *p)) *p = '-';
    return base[0] && strcmp(base, ".") && strcmp(base, "..") ? base : gen_arena_strdup(arena, "data");
}

static gen_status take_validation(gen_dataset *data, int64_t n, gen_error *err)
{
    gen_range *train = &data->splits[GEN_SPLIT_TRAIN], *validation = &data->splits[GEN_SPLIT_VALIDATION];
    if (n <= 0) return GEN_OK;
    if (validation->n || n >= train->n)
        return gen_fail(err, GEN_BAD_OPTION, "cannot take %lld validation pictures from %lld for training%s",
                        (long long)n, (long long)train->n,
                        validation->n ? ": the data set has a validation split of its own" : "");
    train->n -= n;
    *validation = (gen_range){ train->first + train->n, n };
    return GEN_OK;
}

gen_status gen_dataset_open(const char *name_or_path, const gen_dataset_options *options, const gen_sink *sink,
                            gen_arena *arena, gen_dataset *out, gen_error *err)
{
    gen_parts parts = { 0 };
    gen_dataset data = { 0 };
    char *path;
    int32_t c = options->channels;
    if ((c != 0 && c != 1 && c != 3 && c != 4) || options->size_px < 0 || options->size_px > 1 << 14)
        return gen_fail(err, GEN_BAD_OPTION,
                        "size %d with %d channels: a size of at most 16384 and 1, 3 or 4 channels were expected",
                        options->size_px, c);
    GEN_TRY(find_or_fetch(name_or_path, options, sink, arena, &path, err));
    GEN_TRY(gen_parts_load(path, options, arena, &parts, err));
    if (!parts.n) return gen_fail(err, GEN_BAD_FILE, "'%s' has no pictures", path);
    GEN_TRY(join_parts(&parts, options, arena, &data, err));
    GEN_TRY(name_classes(&data, &parts, gen_dataset_source_find(name_or_path), arena, err));
    GEN_TRY(take_validation(&data, options->n_validation, err));
    data.name = short_name(name_or_path, arena);
    if (!data.name) return no_memory(err);
    data.skipped = parts.skipped, data.n_skipped = parts.n_skipped;
    *out = data;
    return GEN_OK;
}

void gen_dataset_batch(const gen_dataset *data, const int64_t *indices, int32_t n, float *out)
{
    size_t size = picture_size(data);
    for (int32_t i = 0; i < n; i++) {
        size_t at = (size_t)indices[i] * size;
        if (data->px8) widen(data->px8 + at, size, out + (size_t)i * size);
        else memcpy(out + (size_t)i * size, data->values + at, size * sizeof *out);
    }
}
