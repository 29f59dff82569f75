/* Folders of pictures: decoded, brought to one size, labelled by their sub-folders. */
#include "io/dataset_load.h"

#include "io/image.h"

#include <stdlib.h>
#include <string.h>

#define LARGEST_FILE ((size_t)1 << 30)

typedef struct pictures {
    const char *folder; /* "" for a single file */
    const gen_dataset_options *options;
    gen_arena *arena;
    gen_path_list list; /* relative to folder; pictures only */
    int32_t height_px, width_px, channels;
    uint8_t *px8;
    int64_t n;    /* decoded so far */
    size_t *kept; /* n: index in list */
    gen_parts *out;
} pictures;

static gen_status no_memory(gen_error *err)
{
    return gen_fail(err, GEN_NO_MEMORY, "no memory for the pictures");
}

static int is_picture(const char *path)
{
    static const char *const kinds[] = { "png", "jpg", "jpeg", "pgm", "ppm" };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (gen_path_has_extension(path, kinds[i])) return 1;
    return 0;
}

static gen_status decode(const char *path, gen_arena *scratch, gen_image *image, gen_error *err)
{
    gen_bytes file;
    GEN_TRY(gen_file_read(path, LARGEST_FILE, scratch, &file, err));
    return gen_error_in_file(err, path, gen_image_read(file.data, file.size, scratch, image, err));
}

/* The first picture decides what the options leave open, and then there is room for all. */
static gen_status choose_size(pictures *p, const gen_image *image, gen_error *err)
{
    int32_t own = image->channels >= 3 ? 3 : 1, size = p->options->size_px;
    p->channels = p->options->channels ? p->options->channels : own;
    p->height_px = size ? size : image->height_px, p->width_px = size ? size : image->width_px;
    size_t bytes = (size_t)p->height_px * (size_t)p->width_px * (size_t)p->channels;
    p->px8 = p->list.n <= SIZE_MAX / 2 / bytes ? gen_arena_alloc(p->arena, p->list.n * bytes) : NULL;
    if (!p->px8)
        return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu pictures of %d x %d x %d; choose a smaller --size",
                        p->list.n, p->width_px, p->height_px, p->channels);
    return GEN_OK;
}

static gen_status place(pictures *p, const char *path, const gen_image *image, gen_arena *scratch, gen_error *err)
{
    if (!p->px8) GEN_TRY(choose_size(p, image, err));
    size_t pixels = (size_t)image->width_px * (size_t)image->height_px,
           wanted = (size_t)p->height_px * (size_t)p->width_px;
    float *whole = gen_arena_alloc(scratch, pixels * (size_t)p->channels * sizeof *whole), *fitted = whole;
    if (!whole) return no_memory(err);
    gen_image_to_float(image, p->channels, whole);
    if (image->height_px != p->height_px || image->width_px != p->width_px) {
        if (!p->options->size_px)
            return gen_fail(
                err, GEN_BAD_SHAPE,
                "%s has %d x %d pixels, the pictures before it %d x %d; give --size to bring all to one size", path,
                image->width_px, image->height_px, p->width_px, p->height_px);
        fitted = gen_arena_alloc(scratch, wanted * (size_t)p->channels * sizeof *fitted);
        if (!fitted) return no_memory(err);
        GEN_TRY(gen_image_fit_square(whole, image->height_px, image->width_px, p->channels, fitted, p->options->size_px,
                                     err));
    }
    size_t size = wanted * (size_t)p->channels;
    gen_image_to_bytes(fitted, size, 0, 1, p->px8 + (size_t)p->n * size);
    return GEN_OK;
}

static gen_status load_one(pictures *p, size_t i, gen_arena *scratch, gen_error *err)
{
    gen_image image;
    char *path = gen_path_join(scratch, p->folder, p->list.path[i]);
    if (!path) return no_memory(err);
    GEN_TRY(decode(path, scratch, &image, err));
    GEN_TRY(place(p, path, &image, scratch, err));
    p->kept[p->n++] = i;
    return GEN_OK;
}

/* With skip_bad, a picture that is damaged or of a kind not read is named and left out; want of memory is never
 * skipped. */
static gen_status load_or_skip(pictures *p, size_t i, gen_error *err)
{
    gen_error own = { 0 };
    gen_arena *scratch = gen_arena_new();
    gen_status status = scratch ? load_one(p, i, scratch, &own) : no_memory(&own);
    gen_arena_free(scratch);
    int skip = p->options->skip_bad &&
               (status == GEN_BAD_FILE || status == GEN_UNSUPPORTED || status == GEN_IO || status == GEN_NOT_FOUND);
    if (status == GEN_OK) return GEN_OK;
    if (!skip)
        return gen_fail(err, status, "%s%s", own.text,
                        status == GEN_BAD_FILE || status == GEN_UNSUPPORTED ? " (--skip-bad leaves such files out)"
                                                                            : "");
    char *text = gen_arena_strdup(p->arena, own.text);
    if (!text) return no_memory(err);
    p->out->skipped[p->out->n_skipped++] = text;
    return GEN_OK;
}

/* ---- splits and labels from the names ---- */

static const struct {
    const char *folder;
    gen_split split;
} split_names[] = { { "train/", GEN_SPLIT_TRAIN },
                    { "test/", GEN_SPLIT_TEST },
                    { "val/", GEN_SPLIT_VALIDATION },
                    { "valid/", GEN_SPLIT_VALIDATION },
                    { "validation/", GEN_SPLIT_VALIDATION } };

/* The part of a path after the split's folder. */
static const char *take_split(const char *path, gen_split *split)
{
    for (size_t i = 0; i < sizeof split_names / sizeof *split_names; i++) {
        size_t n = strlen(split_names[i].folder);
        if (strncmp(path, split_names[i].folder, n)) continue;
        *split = split_names[i].split;
        return path + n;
    }
    *split = GEN_SPLIT_TRAIN;
    return path;
}

/* Splits count only when every picture lies in one. */
static int has_splits(const gen_path_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        gen_split split;
        if (take_split(list->path[i], &split) == list->path[i]) return 0;
    }
    return 1;
}

static const char *after_split(const pictures *p, size_t i, int splits, gen_split *split)
{
    *split = GEN_SPLIT_TRAIN;
    const char *path = p->list.path[p->kept[i]];
    return splits ? take_split(path, split) : path;
}

static int32_t find_class(const char *const *names, int32_t n, const char *name, size_t length)
{
    for (int32_t i = 0; i < n; i++)
        if (strlen(names[i]) == length && !memcmp(names[i], name, length)) return i;
    return -1;
}

/* The class names are collected, sorted by insertion, then looked up. */
static gen_status collect_classes(pictures *p, int splits, gen_error *err)
{
    enum { MOST = 4096 };
    const char **names = gen_arena_alloc(p->arena, MOST * sizeof *names);
    int32_t n = 0;
    if (!names) return no_memory(err);
    for (size_t i = 0; i < (size_t)p->n; i++) {
        gen_split split;
        const char *name = after_split(p, i, splits, &split), *slash = strchr(name, '/');
        if (!slash) return GEN_OK; /* a picture without sub-folder: then there are no labels */
        if (find_class(names, n, name, (size_t)(slash - name)) >= 0) continue;
        char *own = gen_arena_printf(p->arena, "%.*s", (int)(slash - name), name);
        if (!own) return no_memory(err);
        if (n == MOST)
            return gen_fail(err, GEN_UNSUPPORTED, "'%s' has more than %d sub-folders, which would be that many classes",
                            p->folder, MOST);
        int32_t at = n++;
        for (; at > 0 && strcmp(names[at - 1], own) > 0; at--) names[at] = names[at - 1];
        names[at] = own;
    }
    p->out->class_names = names, p->out->n_classes = n;
    return GEN_OK;
}

static gen_status label_all(pictures *p, int splits, int32_t **out, gen_error *err)
{
    GEN_TRY(collect_classes(p, splits, err));
    if (!p->out->n_classes) return GEN_OK;
    int32_t *labels = gen_arena_alloc(p->arena, (size_t)p->n * sizeof *labels);
    if (!labels) return no_memory(err);
    for (size_t i = 0; i < (size_t)p->n; i++) {
        gen_split split;
        const char *name = after_split(p, i, splits, &split);
        labels[i] = find_class(p->out->class_names, p->out->n_classes, name, (size_t)(strchr(name, '/') - name));
    }
    *out = labels;
    return GEN_OK;
}

/* Each split's pictures are together: one part for each run. */
static void cut_into_parts(pictures *p, int splits, const int32_t *labels)
{
    size_t size = (size_t)p->height_px * (size_t)p->width_px * (size_t)p->channels;
    for (size_t i = 0; i < (size_t)p->n; i++) {
        gen_split split;
        after_split(p, i, splits, &split);
        gen_part *last = p->out->n ? &p->out->part[p->out->n - 1] : NULL;
        if (!last || last->split != split) {
            last = &p->out->part[p->out->n++]; /* at most as many as split_names, which fit */
            *last = (gen_part){ .split = split,
                                .height_px = p->height_px,
                                .width_px = p->width_px,
                                .channels = p->channels,
                                .px8 = p->px8 + i * size,
                                .labels = labels ? labels + i : NULL };
        }
        last->n++;
    }
}

/* ---- order ---- */

typedef struct dealt {
    double at; /* number of the split's run, plus the place in the class from 0 to 1 */
    size_t i;
    char *path;
} dealt;

static int compare_dealt(const void *a, const void *b)
{
    const dealt *x = a, *y = b;
    return x->at != y->at ? (x->at > y->at) - (x->at < y->at) : (x->i > y->i) - (x->i < y->i);
}

/* Bytes of a path up to the slash behind its class; 0: it lies in no sub-folder. */
static size_t class_end(const char *path, int splits)
{
    gen_split split;
    const char *name = splits ? take_split(path, &split) : path, *slash = strchr(name, '/');
    return slash ? (size_t)(slash - path) : 0;
}

static int same_class(const char *a, const char *b, size_t end, int splits)
{
    return class_end(b, splits) == end && !memcmp(a, b, end);
}

static int same_split(const char *a, const char *b, int splits)
{
    gen_split x, y;
    if (!splits) return 1;
    take_split(a, &x);
    take_split(b, &y);
    return x == y;
}

/* Sorted paths are sorted by class, and a validation split taken from the end would be the last class. So classes are dealt out evenly: any stretch of a
 * split has of each about its share. */
static gen_status deal_classes(pictures *p, int splits, gen_error *err)
{
    dealt *all = gen_arena_alloc(p->arena, p->list.n * sizeof *all);
    if (!all) return no_memory(err);
    double run = 0;
    for (size_t first = 0, end; first < p->list.n; first = end) {
        const char *path = p->list.path[first];
        size_t length = class_end(path, splits);
        if (!length) return GEN_OK; /* no labels: the order of names stays */
        if (first && !same_split(p->list.path[first - 1], path, splits)) run++;
        for (end = first + 1; end < p->list.n && same_class(path, p->list.path[end], length, splits);) end++;
        for (size_t i = first; i < end; i++)
            all[i] = (dealt){ run + ((double)(i - first) + 0.5) / (double)(end - first), i, p->list.path[i] };
    }
    qsort(all, p->list.n, sizeof *all, compare_dealt);
    for (size_t i = 0; i < p->list.n; i++) p->list.path[i] = all[i].path;
    return GEN_OK;
}

static gen_status list_pictures(pictures *p, const char *path, gen_error *err)
{
    size_t n = 0;
    if (!gen_path_is_folder(path)) {
        p->list = (gen_path_list){ gen_arena_alloc(p->arena, sizeof *p->list.path), 1 };
        if (!p->list.path || !(p->list.path[0] = gen_arena_strdup(p->arena, path))) return no_memory(err);
        return GEN_OK;
    }
    p->folder = path;
    GEN_TRY(gen_folder_list(path, 1, p->arena, &p->list, err));
    for (size_t i = 0; i < p->list.n; i++)
        if (is_picture(p->list.path[i])) p->list.path[n++] = p->list.path[i];
    if (!n)
        return gen_fail(
            err, GEN_NOT_FOUND,
            "'%s' holds no data that gen knows: none of its %zu files is a picture (png, jpg, pgm, ppm) or a data set",
            path, p->list.n);
    p->list.n = n;
    return GEN_OK;
}

gen_status gen_parts_load_pictures(const char *path, const gen_dataset_options *options, gen_arena *arena,
                                   gen_parts *out, gen_error *err)
{
    pictures p = { .folder = "", .options = options, .arena = arena, .out = out };
    int32_t *labels = NULL;
    GEN_TRY(list_pictures(&p, path, err));
    int splits = p.folder[0] && has_splits(&p.list);
    if (p.folder[0]) GEN_TRY(deal_classes(&p, splits, err));
    p.kept = gen_arena_alloc(arena, p.list.n * sizeof *p.kept);
    out->skipped = gen_arena_alloc(arena, p.list.n * sizeof *out->skipped);
    if (!p.kept || !out->skipped) return no_memory(err);
    for (size_t i = 0; i < p.list.n; i++) GEN_TRY(load_or_skip(&p, i, err));
    if (!p.n)
        return gen_fail(err, GEN_BAD_FILE, "none of the %zu pictures of '%s' could be read; the first: %s", p.list.n,
                        path, out->skipped[0]);
    if (p.folder[0]) GEN_TRY(label_all(&p, splits, &labels, err));
    cut_into_parts(&p, splits, labels);
    return GEN_OK;
}
