/* Loaders of data sets in single files: IDX, CIFAR-10, npy. */
#include "io/dataset_load.h"

#include "io/deflate.h"
#include "io/idx.h"
#include "io/npy.h"

#include <stdio.h>
#include <string.h>

enum { CIFAR_SIDE = 32, CIFAR_RECORD = 1 + 3 * CIFAR_SIDE * CIFAR_SIDE, CIFAR_PER_FILE = 10000 };

static gen_status no_memory(gen_error *err)
{
    return gen_fail(err, GEN_NO_MEMORY, "no memory for the data set");
}

static gen_status add_part(gen_parts *parts, const gen_part *part, gen_error *err)
{
    if (parts->n == GEN_MAX_PARTS)
        return gen_fail(err, GEN_BAD_FILE, "the data set has more than %d parts", GEN_MAX_PARTS);
    parts->part[parts->n++] = *part;
    return GEN_OK;
}

/* ---- IDX ---- */

static gen_status read_idx(const char *path, gen_arena *arena, gen_idx *idx, gen_error *err)
{
    gen_bytes file;
    GEN_TRY(gen_file_read(path, GEN_FILE_ANY_SIZE, arena, &file, err));
    return gen_error_in_file(err, path, gen_idx_read(file.data, file.size, arena, idx, err));
}

/* EMNIST's pictures lie on their side. */
static gen_status transpose(gen_part *part, gen_arena *arena, gen_error *err)
{
    size_t h = (size_t)part->height_px, w = (size_t)part->width_px;
    uint8_t *turned = gen_arena_alloc(arena, (size_t)part->n * h * w);
    if (!turned) return no_memory(err);
    for (size_t i = 0; i < (size_t)part->n; i++)
        for (size_t y = 0; y < h; y++)
            for (size_t x = 0; x < w; x++) turned[(i * w + x) * h + y] = part->px8[(i * h + y) * w + x];
    part->px8 = turned, part->height_px = (int32_t)w, part->width_px = (int32_t)h;
    return GEN_OK;
}

static gen_status read_idx_labels(const char *path, int64_t n, gen_arena *arena, const int32_t **out, gen_error *err)
{
    gen_idx idx;
    GEN_TRY(read_idx(path, arena, &idx, err));
    if (idx.n_dims != 1 || idx.dims[0] != n)
        return gen_fail(err, GEN_BAD_FILE, "%s: %lld labels were expected, it has %d dimensions and %d entries", path,
                        (long long)n, idx.n_dims, idx.dims[0]);
    int32_t *labels = gen_arena_alloc(arena, (size_t)n * sizeof *labels);
    if (!labels) return no_memory(err);
    for (int64_t i = 0; i < n; i++) labels[i] = idx.data[i];
    *out = labels;
    return GEN_OK;
}

static gen_status load_idx_pair(const char *images, const char *labels, gen_split split, gen_arena *arena,
                                gen_parts *parts, gen_error *err)
{
    gen_idx idx;
    gen_part part = { .split = split };
    GEN_TRY(read_idx(images, arena, &idx, err));
    if (idx.n_dims < 3 || (idx.n_dims == 4 && idx.dims[3] != 1 && idx.dims[3] != 3))
        return gen_fail(err, GEN_BAD_FILE, "%s: pictures need 3 dimensions (number, height, width), the file has %d",
                        images, idx.n_dims);
    part.n = idx.dims[0], part.height_px = idx.dims[1], part.width_px = idx.dims[2], part.px8 = idx.data;
    part.channels = idx.n_dims == 4 ? idx.dims[3] : 1;
    if (!strncmp(gen_path_base(images), "emnist-", 7) && part.channels == 1) GEN_TRY(transpose(&part, arena, err));
    if (labels) GEN_TRY(read_idx_labels(labels, part.n, arena, &part.labels, err));
    return add_part(parts, &part, err);
}

/* The first file of a list whose name contains a word. */
static const char *find_in_list(const gen_path_list *list, const char *word)
{
    for (size_t i = 0; i < list->n; i++)
        if (strstr(list->path[i], word)) return list->path[i];
    return NULL;
}

static gen_status load_idx_split(const char *folder, const gen_path_list *list, const char *prefix, gen_split split,
                                 gen_arena *arena, gen_parts *parts, gen_error *err)
{
    char word[64];
    snprintf(word, sizeof word, "%s-images-idx3-ubyte", prefix);
    const char *images = find_in_list(list, word);
    if (!images) return GEN_OK;
    snprintf(word, sizeof word, "%s-labels-idx1-ubyte", prefix);
    const char *labels = find_in_list(list, word);
    char *image_path = gen_path_join(arena, folder, images),
         *label_path = labels ? gen_path_join(arena, folder, labels) : NULL;
    if (!image_path || (labels && !label_path)) return no_memory(err);
    return load_idx_pair(image_path, label_path, split, arena, parts, err);
}

static gen_status load_idx_folder(const char *folder, const gen_path_list *list, gen_arena *arena, gen_parts *parts,
                                  gen_error *err)
{
    GEN_TRY(load_idx_split(folder, list, "train", GEN_SPLIT_TRAIN, arena, parts, err));
    GEN_TRY(load_idx_split(folder, list, "t10k", GEN_SPLIT_TEST, arena, parts, err));
    return load_idx_split(folder, list, "test", GEN_SPLIT_TEST, arena, parts, err);
}

/* ---- CIFAR-10, binary version: a label, then 1024 red, 1024 green, 1024 blue bytes ---- */

static gen_status add_cifar(const gen_bytes *file, const char *path, gen_split split, gen_arena *arena,
                            gen_parts *parts, gen_error *err)
{
    size_t n = file->size / CIFAR_RECORD, plane = CIFAR_SIDE * CIFAR_SIDE;
    if (!n || file->size % CIFAR_RECORD)
        return gen_fail(err, GEN_BAD_FILE, "%s: a CIFAR-10 file has a multiple of %d bytes, this one %zu", path,
                        CIFAR_RECORD, file->size);
    uint8_t *pixels = gen_arena_alloc(arena, n * 3 * plane);
    int32_t *labels = gen_arena_alloc(arena, n * sizeof *labels);
    if (!pixels || !labels) return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *record = file->data + i * CIFAR_RECORD;
        labels[i] = record[0];
        if (record[0] > 9)
            return gen_fail(err, GEN_BAD_FILE, "%s: picture %zu has label %d, 0 to 9 were expected", path, i,
                            record[0]);
        for (size_t p = 0; p < plane; p++)
            for (size_t c = 0; c < 3; c++) pixels[(i * plane + p) * 3 + c] = record[1 + c * plane + p];
    }
    gen_part part = { .split = split,
                      .n = (int64_t)n,
                      .height_px = CIFAR_SIDE,
                      .width_px = CIFAR_SIDE,
                      .channels = 3,
                      .px8 = pixels,
                      .labels = labels };
    return add_part(parts, &part, err);
}

static gen_status load_cifar_file(const char *path, gen_split split, gen_arena *arena, gen_parts *parts, gen_error *err)
{
    gen_bytes file;
    GEN_TRY(gen_file_read(path, GEN_FILE_ANY_SIZE, arena, &file, err));
    return add_cifar(&file, path, split, arena, parts, err);
}

static gen_split split_of_name(const char *name)
{
    return strstr(name, "test") ? GEN_SPLIT_TEST : GEN_SPLIT_TRAIN;
}

static gen_status load_cifar_folder(const char *folder, const gen_path_list *list, gen_arena *arena, gen_parts *parts,
                                    gen_error *err)
{
    for (size_t i = 0; i < list->n; i++) {
        if (!strstr(list->path[i], "_batch") || !gen_path_has_extension(list->path[i], "bin")) continue;
        char *path = gen_path_join(arena, folder, list->path[i]);
        if (!path) return no_memory(err);
        GEN_TRY(load_cifar_file(path, split_of_name(gen_path_base(path)), arena, parts, err));
    }
    return GEN_OK;
}

/* A tar archive is 512-byte headers (name at 0, size in octal at 124), each followed by its file, padded to 512. */
static gen_status load_cifar_tar(const gen_bytes *tar, const char *path, gen_arena *arena, gen_parts *parts,
                                 gen_error *err)
{
    size_t at = 0;
    while (tar->size - at >= 512 && tar->data[at]) {
        const uint8_t *header = tar->data + at;
        char name[101] = "";
        uint64_t size = 0;
        memcpy(name, header, 100);
        for (int i = 124; i < 135; i++)
            if (header[i] >= '0' && header[i] <= '7') size = size * 8 + (header[i] - '0');
        at += 512;
        if (size > tar->size - at) return gen_fail(err, GEN_BAD_FILE, "%s: the archive is cut short in %s", path, name);
        gen_bytes member = { tar->data + at, (size_t)size };
        if (gen_path_has_extension(name, "bin"))
            GEN_TRY(add_cifar(&member, name, split_of_name(gen_path_base(name)), arena, parts, err));
        size_t padded = ((size_t)size + 511) / 512 * 512;
        at += padded < tar->size - at ? padded : tar->size - at;
    }
    return GEN_OK;
}

static gen_status load_cifar_archive(const char *path, gen_arena *arena, gen_parts *parts, gen_error *err)
{
    enum { MOST = 7 * CIFAR_PER_FILE * CIFAR_RECORD }; /* six batches and the small files around them */
    gen_bytes packed, tar = { 0 };
    int more;
    GEN_TRY(gen_file_read(path, MOST, arena, &packed, err));
    size_t room = packed.size < MOST / GEN_DEFLATE_MAX_RATIO ? packed.size * GEN_DEFLATE_MAX_RATIO : MOST;
    tar.data = gen_arena_alloc(arena, room);
    if (!tar.data) return no_memory(err);
    GEN_TRY(gen_error_in_file(err, path, gen_gunzip(packed.data, packed.size, tar.data, room, &tar.size, &more, err)));
    return load_cifar_tar(&tar, path, arena, parts, err);
}

/* ---- npy ---- */

static int32_t square_side(int64_t n)
{
    int32_t side = 1;
    while ((int64_t)side * side < n && side < 46340) side++;
    return (int64_t)side * side == n ? side : 0;
}

static gen_status npy_shape(const gen_npy *npy, gen_part *part, gen_error *err)
{
    int32_t side = npy->n_dims == 2 ? square_side(npy->dims[1]) : 0;
    int64_t h = side ? side : npy->n_dims > 2 ? npy->dims[1] : 0, w = side ? side : npy->n_dims > 2 ? npy->dims[2] : 0;
    int64_t c = npy->n_dims == 4 ? npy->dims[3] : 1;
    if (npy->n_dims > 4 || h < 1 || w < 1 || h > 1 << 20 || w > 1 << 20 || (c != 1 && c != 3 && c != 4) || npy->n < 1)
        return gen_fail(err, GEN_BAD_FILE,
                        "pictures need shape [N,H,W], [N,H,W,C] with 1, 3 or 4 channels, or [N,side*side]; the array "
                        "has %d dimensions",
                        npy->n_dims);
    part->n = npy->dims[0], part->height_px = (int32_t)h, part->width_px = (int32_t)w, part->channels = (int32_t)c;
    return GEN_OK;
}

/* Floats may be 0..1, -1..1 or 0..255: brought to 0..1. */
static gen_status scale_values(float *v, size_t n, gen_error *err)
{
    float low = 0, high = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(v[i] >= -1 && v[i] <= 255))
            return gen_fail(err, GEN_BAD_FILE, "value %zu is %g; pictures have values in 0..1, -1..1 or 0..255", i,
                            (double)v[i]);
        if (v[i] < low) low = v[i];
        if (v[i] > high) high = v[i];
    }
    if (low < 0 && high > 1)
        return gen_fail(err, GEN_BAD_FILE, "values are %g..%g; pictures have values in 0..1, -1..1 or 0..255",
                        (double)low, (double)high);
    float shift = low < 0 ? 1.0F : 0.0F, scale = low < 0 ? 0.5F : high > 1 ? 1 / 255.0F : 1.0F;
    for (size_t i = 0; i < n; i++) v[i] = (v[i] + shift) * scale;
    return GEN_OK;
}

static gen_status add_npy(const gen_bytes *file, gen_arena *arena, gen_parts *parts, gen_error *err)
{
    gen_npy npy;
    gen_part part = { .split = GEN_SPLIT_TRAIN };
    GEN_TRY(gen_npy_read(file->data, file->size, arena, &npy, err));
    GEN_TRY(npy_shape(&npy, &part, err));
    if (npy.values) GEN_TRY(scale_values(npy.values, npy.n, err));
    part.px8 = npy.u1, part.values = npy.values;
    return add_part(parts, &part, err);
}

static gen_status load_npy(const char *path, gen_arena *arena, gen_parts *parts, gen_error *err)
{
    gen_bytes file;
    GEN_TRY(gen_file_read(path, GEN_FILE_ANY_SIZE, arena, &file, err));
    return gen_error_in_file(err, path, add_npy(&file, arena, parts, err));
}

/* ---- which loader ---- */

/* The labels that belong to an IDX file of pictures: the same name with labels-idx1 for images-idx3. */
static gen_status load_idx_file(const char *path, gen_arena *arena, gen_parts *parts, gen_error *err)
{
    const char *word = strstr(gen_path_base(path), "images-idx3");
    char *labels =
        word ? gen_arena_printf(arena, "%.*slabels-idx1%s", (int)(word - path), path, word + strlen("images-idx3"))
             : NULL;
    if (word && !labels) return no_memory(err);
    return load_idx_pair(path, labels && gen_path_exists(labels) ? labels : NULL, GEN_SPLIT_TRAIN, arena, parts, err);
}

static gen_status load_file(const char *path, const gen_dataset_options *options, gen_arena *arena, gen_parts *parts,
                            gen_error *err)
{
    if (gen_path_has_extension(path, "npy")) return load_npy(path, arena, parts, err);
    if (gen_path_has_extension(path, "bin")) return load_cifar_file(path, GEN_SPLIT_TRAIN, arena, parts, err);
    if (strstr(gen_path_base(path), "-ubyte") || strstr(gen_path_base(path), "idx"))
        return load_idx_file(path, arena, parts, err);
    if (strstr(gen_path_base(path), "cifar-10-binary.tar")) return load_cifar_archive(path, arena, parts, err);
    return gen_parts_load_pictures(path, options, arena, parts, err);
}

gen_status gen_parts_load(const char *path, const gen_dataset_options *options, gen_arena *arena, gen_parts *out,
                          gen_error *err)
{
    gen_path_list list;
    if (!gen_path_is_folder(path)) return load_file(path, options, arena, out, err);
    GEN_TRY(gen_folder_list(path, 0, arena, &list, err));
    const char *archive = find_in_list(&list, "cifar-10-binary.tar");
    if (find_in_list(&list, "-images-idx3-ubyte")) return load_idx_folder(path, &list, arena, out, err);
    if (find_in_list(&list, "data_batch_1.bin")) return load_cifar_folder(path, &list, arena, out, err);
    if (!archive) return gen_parts_load_pictures(path, options, arena, out, err);
    char *full = gen_path_join(arena, path, archive);
    return full ? load_cifar_archive(full, arena, out, err) : no_memory(err);
}
