/* Pieces of frames, and their windows as a data set. */
#include "models/data_frames.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "io/mat.h"
#include "io/roll.h"

static gen_status no_memory(gen_error *err)
{
    return gen_fail(err, GEN_NO_MEMORY, "no memory for pieces of music");
}

static gen_status add_piece(gen_frame_pieces *list, gen_frames piece, gen_arena *arena, gen_error *err)
{
    if (list->n == list->room) {
        int64_t room = list->room ? 2 * list->room : 64;
        gen_frames *grown = gen_arena_alloc(arena, (size_t)room * sizeof *grown);
        if (!grown) return no_memory(err);
        if (list->n) memcpy(grown, list->piece, (size_t)list->n * sizeof *grown);
        list->piece = grown;
        list->room = room;
    }
    list->piece[list->n++] = piece;
    return GEN_OK;
}

/* ---- MATLAB's rolls ------------------------------------------------------------------------------------------------------- */

static gen_status add_cell(gen_frame_pieces *list, const gen_mat_array *roll, const char *name, gen_split split,
                           gen_arena *arena, gen_error *err)
{
    if (roll->cells || roll->n_dims != 2 || roll->dims[1] != GEN_FRAME_KEYS)
        return gen_fail(err, GEN_BAD_FILE, "%s: a piece is a matrix of %d columns; this one has %" PRId64, name,
                        GEN_FRAME_KEYS, roll->cells || roll->n_dims != 2 ? 0 : roll->dims[1]);
    int64_t n = roll->dims[0];
    uint8_t *keys = gen_arena_alloc(arena, roll->n + 1);
    if (!keys) return no_memory(err);
    for (int64_t t = 0; t < n; t++)
        for (int64_t k = 0; k < GEN_FRAME_KEYS; k++)
            keys[t * GEN_FRAME_KEYS + k] = gen_mat_at(roll, (size_t)(t + k * n)) > 0;
    return add_piece(list, (gen_frames){ name, split, n, keys }, arena, err);
}

static gen_status open_mat(const char *path, gen_arena *arena, gen_frame_pieces *list, gen_error *err)
{
    static const char *const variables[] = { "traindata", "testdata", "validdata" }; /* in the order of gen_split */
    gen_bytes file;
    gen_mat mat;
    GEN_TRY(gen_file_read(path, GEN_MAT_MAX_BYTES, arena, &file, err));
    gen_status status = gen_mat_read(file.data, file.size, arena, &mat, err);
    for (int s = 0; s < GEN_N_SPLITS && status == GEN_OK; s++) {
        const gen_mat_array *cells = gen_mat_find(&mat, variables[s]);
        if (!cells || !cells->cells) {
            status = gen_fail(err, GEN_BAD_FILE,
                              "no cell array %s; a file of piano rolls has traindata, validdata and "
                              "testdata",
                              variables[s]);
            break;
        }
        for (size_t i = 0; i < cells->n && status == GEN_OK; i++)
            status = add_cell(list, &cells->cells[i], variables[s], (gen_split)s, arena, err);
    }
    return status == GEN_OK ? GEN_OK : gen_error_in_file(err, path, status);
}

/* ---- MIDI ------------------------------------------------------------------------------------------------------------------ */

gen_status gen_frames_of_score(const gen_midi_score *score, int32_t steps_per_quarter, gen_arena *arena, uint8_t **keys,
                               int64_t *n, gen_error *err)
{
    gen_roll roll = { .steps_per_quarter = steps_per_quarter,
                      .lowest = GEN_ROLL_PIANO_LOWEST,
                      .n_pitches = GEN_FRAME_KEYS };
    GEN_TRY(gen_roll_make(score, &roll, arena, err));
    int64_t count = roll.n_steps * GEN_FRAME_KEYS;
    uint8_t *on = gen_arena_alloc(arena, (size_t)count + 1);
    if (!on) return no_memory(err);
    for (int64_t i = 0; i < count; i++) on[i] = roll.values[i] > 0;
    *keys = on;
    *n = roll.n_steps;
    return GEN_OK;
}

typedef struct midi_context {
    gen_frame_pieces *list;
    gen_arena *arena;
    int32_t steps_per_quarter;
} midi_context;

static gen_status take_midi(void *context, const char *path, gen_split split, const gen_midi_score *score,
                            gen_error *err)
{
    midi_context *c = context;
    uint8_t *keys;
    int64_t n;
    GEN_TRY(gen_frames_of_score(score, c->steps_per_quarter, c->arena, &keys, &n, err));
    return add_piece(c->list, (gen_frames){ path, split, n, keys }, c->arena, err);
}

/* ---- any source ------------------------------------------------------------------------------------------------------------ */

/* Training, test, validation, each in the order it came. */
static gen_status by_split(gen_frame_pieces *list, gen_arena *arena, gen_error *err)
{
    gen_frames *sorted = gen_arena_alloc(arena, (size_t)list->n * sizeof *sorted);
    int64_t n = 0;
    if (!sorted) return no_memory(err);
    for (int s = 0; s < GEN_N_SPLITS; s++)
        for (int64_t i = 0; i < list->n; i++)
            if (list->piece[i].split == (gen_split)s) sorted[n++] = list->piece[i];
    list->piece = sorted;
    list->room = list->n;
    return GEN_OK;
}

gen_status gen_frame_pieces_open(const char *path, int32_t steps_per_quarter, bool skip_bad, gen_arena *arena,
                                 gen_frame_pieces *out, gen_error *err)
{
    gen_frame_pieces list = { 0 };
    midi_context c = { &list, arena, steps_per_quarter };
    if (gen_path_has_extension(path, "mat") && !gen_path_is_folder(path)) GEN_TRY(open_mat(path, arena, &list, err));
    else if (gen_path_is_folder(path) || gen_is_midi_file(path))
        GEN_TRY(gen_midi_files_each(path, skip_bad, arena, take_midi, &c, &list.skipped, err));
    else
        return gen_fail(err, GEN_UNSUPPORTED,
                        "%s: a folder of MIDI files, a MIDI file or a .mat file of piano rolls was expected", path);
    if (!list.n) return gen_fail(err, GEN_NOT_FOUND, "%s holds no MIDI file that can be read", path);
    GEN_TRY(by_split(&list, arena, err));
    *out = list;
    return GEN_OK;
}

/* ---- windows --------------------------------------------------------------------------------------------------------------- */

/* Every window but the last foretells `window` frames. */
static int64_t windows_of(const gen_frames *piece, int64_t window)
{
    return piece->n < 2 ? 0 : (piece->n - 1 + window - 1) / window;
}

/* Window number w of a piece into px[window + 1,89]. */
static void fill_window(const gen_frames *piece, int64_t w, int64_t window, uint8_t *px)
{
    memset(px, 0, (size_t)((window + 1) * GEN_FRAME_COLUMNS));
    for (int64_t i = 0; i <= window && w * window + i < piece->n; i++) {
        const uint8_t *keys = piece->keys + (w * window + i) * GEN_FRAME_KEYS;
        for (int64_t k = 0; k < GEN_FRAME_KEYS; k++) px[i * GEN_FRAME_COLUMNS + k] = keys[k] ? 255 : 0;
        px[i * GEN_FRAME_COLUMNS + GEN_FRAME_KEYS] = 255;
    }
}

gen_status gen_data_open_frames(const char *path, int64_t window, int32_t steps_per_quarter, bool skip_bad,
                                gen_arena *arena, gen_dataset *data, gen_error *err)
{
    gen_frame_pieces list;
    int64_t n = 0, bytes = (window + 1) * GEN_FRAME_COLUMNS;
    GEN_TRY(gen_frame_pieces_open(path, steps_per_quarter, skip_bad, arena, &list, err));
    for (int64_t i = 0; i < list.n; i++) n += windows_of(&list.piece[i], window);
    if (!n) return gen_fail(err, GEN_NOT_FOUND, "%s: no piece has two frames", path);
    uint8_t *px = gen_arena_alloc(arena, (size_t)(n * bytes)), *continues = gen_arena_alloc(arena, (size_t)n);
    *data = (gen_dataset){ .name = gen_name_of_path(path, arena),
                           .n = n,
                           .height_px = (int32_t)(window + 1),
                           .width_px = GEN_FRAME_COLUMNS,
                           .channels = 1,
                           .px8 = px,
                           .continues = continues,
                           .skipped = list.skipped.text,
                           .n_skipped = list.skipped.n };
    if (!px || !continues || !data->name) return no_memory(err);
    int64_t at = 0;
    for (int64_t i = 0; i < list.n; i++) {
        gen_range *split = &data->splits[list.piece[i].split];
        if (!split->n) split->first = at;
        for (int64_t w = 0; w < windows_of(&list.piece[i], window); w++, at++, split->n++) {
            fill_window(&list.piece[i], w, window, px + at * bytes);
            continues[at] = w > 0;
        }
    }
    return GEN_OK;
}

/* ---- what any model has to beat -------------------------------------------------------------------------------------------- */

double gen_frames_bernoulli(const gen_frame_pieces *pieces, gen_split split)
{
    double on[GEN_FRAME_KEYS] = { 0 }, frames = 0, tested = 0, sum = 0;
    for (int64_t i = 0; i < pieces->n; i++) {
        const gen_frames *p = &pieces->piece[i];
        if (p->split != GEN_SPLIT_TRAIN) continue;
        for (int64_t c = 0; c < p->n * GEN_FRAME_KEYS; c++) on[c % GEN_FRAME_KEYS] += p->keys[c];
        frames += (double)p->n;
    }
    for (int k = 0; k < GEN_FRAME_KEYS; k++) on[k] = (on[k] + 1) / (frames + 2);
    for (int64_t i = 0; i < pieces->n; i++) {
        const gen_frames *p = &pieces->piece[i];
        if (p->split != split || p->n < 2) continue;
        for (int64_t c = GEN_FRAME_KEYS; c < p->n * GEN_FRAME_KEYS; c++) {
            double q = on[c % GEN_FRAME_KEYS];
            sum -= log(p->keys[c] ? q : 1 - q);
        }
        tested += (double)(p->n - 1);
    }
    return tested > 0 ? sum / tested : (double)NAN;
}
