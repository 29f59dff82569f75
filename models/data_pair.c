#include "models/data_pair.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"

enum { N_PARTS = 4, MOST_HELD_OUT = 100 }; /* train A, train B, test A, test B */

static const char *const part_folders[N_PARTS] = { "trainA", "trainB", "testA", "testB" };

typedef struct pair {
    const gen_dataset_options *options;
    const gen_sink *sink;
    gen_arena *arena;
    gen_dataset part[N_PARTS];
} pair;

static char *join_path(gen_arena *arena, const char *folder, const char *name)
{
    size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = gen_arena_alloc(arena, bytes);
    if (path) snprintf(path, bytes, "%s/%s", folder, name);
    return path;
}

static gen_status open_part(pair *p, int i, const char *path, gen_error *err)
{
    gen_dataset_options options = *p->options;
    options.n_validation = 0;
    return gen_dataset_open(path, &options, p->sink, p->arena, &p->part[i], err);
}

static gen_status open_sub_folders(pair *p, const char *folder, gen_error *err)
{
    for (int i = 0; i < N_PARTS; i++) {
        char *path = join_path(p->arena, folder, part_folders[i]);
        if (!path) return gen_fail(err, GEN_NO_MEMORY, "no memory for a path");
        if (gen_path_exists(path)) GEN_TRY(open_part(p, i, path, err));
        else if (i < 2)
            return gen_fail(err, GEN_NOT_FOUND,
                            "'%s' has no folder %s: two sets of pictures are needed, as --a FOLDER --b FOLDER or as a "
                            "folder with trainA and trainB",
                            folder, part_folders[i]);
    }
    return GEN_OK;
}

static gen_status check_shapes(const pair *p, gen_error *err)
{
    const gen_dataset *first = &p->part[0];
    for (int i = 0; i < N_PARTS; i++) {
        const gen_dataset *d = &p->part[i];
        if (!d->n) continue;
        if (!d->px8) return gen_fail(err, GEN_UNSUPPORTED, "%s holds floats; pairs are made of pictures", d->name);
        if (d->height_px == first->height_px && d->width_px == first->width_px && d->channels == first->channels)
            continue;
        return gen_fail(err, GEN_BAD_SHAPE,
                        "%s has pictures of %dx%dx%d, %s of %dx%dx%d; --size and --channels make "
                        "them alike",
                        first->name, first->height_px, first->width_px, first->channels, d->name, d->height_px,
                        d->width_px, d->channels);
    }
    return GEN_OK;
}

/* How many of a part's pictures train: all, or without a test part of its own all but the last. */
static int64_t n_training(const pair *p, int side)
{
    int64_t n = p->part[side].n, held_out = n / 10 < MOST_HELD_OUT ? n / 10 : MOST_HELD_OUT;
    return p->part[2].n || p->part[3].n ? n : n - held_out;
}

typedef struct piece {
    const gen_dataset *from;
    int64_t first, n;
    int32_t label;
} piece;

static gen_status join_pieces(pair *p, const piece pieces[N_PARTS], gen_dataset *data, gen_error *err)
{
    static const char *const names[] = { "a", "b" };
    const gen_dataset *first = &p->part[0];
    size_t picture = (size_t)first->height_px * (size_t)first->width_px * (size_t)first->channels, at = 0;
    int64_t n = 0;
    for (int i = 0; i < N_PARTS; i++) n += pieces[i].n;
    uint8_t *px = gen_arena_alloc(p->arena, (size_t)n * picture);
    int32_t *labels = gen_arena_alloc(p->arena, (size_t)n * sizeof *labels);
    if (!px || !labels) return gen_fail(err, GEN_NO_MEMORY, "no memory for %lld pictures", (long long)n);
    for (int i = 0; i < N_PARTS; i++) {
        const piece *q = &pieces[i];
        if (q->n) memcpy(px + at * picture, q->from->px8 + (size_t)q->first * picture, (size_t)q->n * picture);
        for (int64_t k = 0; k < q->n; k++) labels[at++] = q->label;
    }
    *data = *first;
    data->n = n;
    data->px8 = px;
    data->labels = labels;
    data->class_names = names;
    data->n_classes = 2;
    int64_t training = pieces[0].n + pieces[1].n;
    data->splits[GEN_SPLIT_TRAIN] = (gen_range){ 0, training };
    data->splits[GEN_SPLIT_TEST] = (gen_range){ training, n - training };
    data->splits[GEN_SPLIT_VALIDATION] = (gen_range){ 0, 0 };
    return GEN_OK;
}

static gen_status join_pair(pair *p, gen_dataset *data, gen_error *err)
{
    piece pieces[N_PARTS];
    GEN_TRY(check_shapes(p, err));
    bool own_test = p->part[2].n || p->part[3].n;
    for (int side = 0; side < 2; side++) {
        int64_t n = n_training(p, side);
        if (!n) return gen_fail(err, GEN_BAD_FILE, "%s has no pictures to train on", p->part[side].name);
        pieces[side] = (piece){ &p->part[side], 0, n, side };
        pieces[2 + side] = own_test ? (piece){ &p->part[2 + side], 0, p->part[2 + side].n, side }
                                    : (piece){ &p->part[side], n, p->part[side].n - n, side };
    }
    return join_pieces(p, pieces, data, err);
}

gen_status gen_data_open_pair(const char *a, const char *b, const gen_dataset_options *options, const gen_sink *sink,
                              gen_arena *arena, gen_dataset *data, gen_error *err)
{
    pair *p = gen_arena_alloc(arena, sizeof *p);
    if (!p) return gen_fail(err, GEN_NO_MEMORY, "no memory for two sets of pictures");
    *p = (pair){ .options = options, .sink = sink, .arena = arena };
    if (!*b) {
        GEN_TRY(open_sub_folders(p, a, err));
        GEN_TRY(join_pair(p, data, err));
        const char *slash = strrchr(a, '/');
        data->name = gen_arena_strdup(arena, slash && slash[1] ? slash + 1 : a);
    } else {
        GEN_TRY(open_part(p, 0, a, err));
        GEN_TRY(open_part(p, 1, b, err));
        GEN_TRY(join_pair(p, data, err));
        size_t bytes = strlen(p->part[0].name) + strlen(p->part[1].name) + 2;
        char *name = gen_arena_alloc(arena, bytes);
        if (name) snprintf(name, bytes, "%s2%s", p->part[0].name, p->part[1].name);
        data->name = name;
    }
    return data->name ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for a name");
}

gen_range gen_data_label_range(const gen_dataset *data, gen_range split, int32_t label)
{
    gen_range r = { split.first, 0 };
    for (int64_t i = split.first; i < split.first + split.n; i++) {
        if (data->labels[i] != label) continue;
        if (!r.n) r.first = i;
        r.n = i - r.first + 1;
    }
    return r;
}
