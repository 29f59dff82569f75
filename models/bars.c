#include "models/bars.h"

#include <math.h>
#include <string.h>

#include "io/json.h"
#include "io/voices.h"

enum { TRACKS = GEN_BAR_TRACKS, PITCHES = GEN_BAR_PITCHES, BAR = GEN_BAR_STEPS, BEAT = GEN_BAR_BEAT };

static gen_status no_memory(gen_error *err)
{
    return gen_fail(err, GEN_NO_MEMORY, "no memory for bars of music");
}

/* ---- pieces ---------------------------------------------------------------------------------------------------------------- */

typedef struct bar_piece {
    gen_split split;
    int64_t steps;
    int16_t *pitch; /* [steps,4], -1: silent */
} bar_piece;

typedef struct bar_pieces {
    gen_arena *arena;
    bar_piece *piece;
    int64_t n, room;
} bar_pieces;

static gen_status add_piece(bar_pieces *list, gen_split split, int64_t steps, bar_piece **out, gen_error *err)
{
    if (list->n == list->room) {
        int64_t room = list->room ? 2 * list->room : 64;
        bar_piece *grown = gen_arena_alloc(list->arena, (size_t)room * sizeof *grown);
        if (!grown) return no_memory(err);
        if (list->n) memcpy(grown, list->piece, (size_t)list->n * sizeof *grown);
        list->piece = grown;
        list->room = room;
    }
    int16_t *pitch = gen_arena_alloc(list->arena, (size_t)(steps * TRACKS + 1) * sizeof *pitch);
    if (!pitch) return no_memory(err);
    list->piece[list->n] = (bar_piece){ split, steps, pitch };
    *out = &list->piece[list->n++];
    return GEN_OK;
}

static gen_status take_midi(void *context, const char *path, gen_split split, const gen_midi_score *score,
                            gen_error *err)
{
    (void)path;
    bar_pieces *list = context;
    gen_voices v = { .steps_per_quarter = BEAT, .n_voices = TRACKS };
    bar_piece *piece;
    GEN_TRY(gen_voices_make(score, &v, list->arena, err));
    GEN_TRY(add_piece(list, split, v.n_steps, &piece, err));
    for (int64_t t = 0; t < v.n_steps; t++)
        for (int32_t i = 0; i < TRACKS; i++) piece->pitch[t * TRACKS + i] = (int16_t)gen_voices_pitch(&v, t, i);
    return GEN_OK;
}

/* ---- JSON -------------------------------------------------------------------------------------------------------------------- */

static gen_status read_step(const gen_json *step, int16_t pitch[TRACKS], gen_error *err)
{
    const gen_json *voice = gen_json_is_array(step) ? gen_json_first(step) : NULL;
    for (int i = 0; i < TRACKS; i++, voice = gen_json_next(voice)) {
        int64_t value;
        if (!voice || !gen_json_to_int(voice, &value) || value < -1 || value > 127)
            return gen_fail(err, GEN_BAD_FILE, "JSON: a step is a list of %d pitches, -1 to 127", TRACKS);
        pitch[i] = (int16_t)value;
    }
    return GEN_OK;
}

static gen_status read_split(bar_pieces *list, const gen_json *pieces, gen_split split, gen_error *err)
{
    for (const gen_json *p = gen_json_first(pieces); p; p = gen_json_next(p)) {
        int64_t steps = 0;
        bar_piece *piece;
        if (!gen_json_is_array(p)) return gen_fail(err, GEN_BAD_FILE, "JSON: a piece is a list of steps");
        for (const gen_json *s = gen_json_first(p); s; s = gen_json_next(s)) steps++;
        GEN_TRY(add_piece(list, split, steps, &piece, err));
        int16_t *pitch = piece->pitch;
        for (const gen_json *s = gen_json_first(p); s; s = gen_json_next(s), pitch += TRACKS)
            GEN_TRY(read_step(s, pitch, err));
    }
    return GEN_OK;
}

static const struct {
    const char *name;
    gen_split split;
} parts[] = { { "train", GEN_SPLIT_TRAIN }, { "test", GEN_SPLIT_TEST }, { "valid", GEN_SPLIT_VALIDATION } };

static gen_status open_json(bar_pieces *list, const char *path, gen_error *err)
{
    enum { MOST_BYTES = 256 << 20 };
    gen_bytes file;
    gen_json *json = NULL;
    GEN_TRY(gen_file_read(path, MOST_BYTES, list->arena, &file, err));
    gen_status status = gen_json_parse(file.data, file.size, &json, err);
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == GEN_OK; i++) {
        const gen_json *pieces = gen_json_get(json, parts[i].name);
        if (pieces && gen_json_is_array(pieces)) status = read_split(list, pieces, parts[i].split, err);
    }
    gen_json_free(json);
    return status == GEN_OK ? GEN_OK : gen_error_in_file(err, path, status);
}

/* ---- the data set ------------------------------------------------------------------------------------------------------------ */

/* The first step that counts: the quarters before have a voice that is silent. */
static int64_t begin_of(const bar_piece *p)
{
    for (int64_t at = 0; at + BEAT <= p->steps; at += BEAT) {
        bool silent = false;
        for (int64_t c = at * TRACKS; c < (at + BEAT) * TRACKS; c++) silent = silent || p->pitch[c] < 0;
        if (!silent) return at;
    }
    return p->steps;
}

static int64_t excerpts_of(const bar_piece *p, int64_t steps, bool all)
{
    int64_t n = (p->steps - begin_of(p)) / steps;
    return all || n < 1 ? n : 1;
}

static void fill(const int16_t *pitch, int64_t steps, uint8_t *px)
{
    memset(px, 0, (size_t)(steps * PITCHES * TRACKS));
    for (int64_t c = 0; c < steps * TRACKS; c++)
        if (pitch[c] >= 0 && pitch[c] < PITCHES) px[(c / TRACKS * PITCHES + pitch[c]) * TRACKS + c % TRACKS] = 255;
}

static gen_status make_data(const bar_pieces *list, int64_t steps, bool all, gen_dataset *data, gen_error *err)
{
    int64_t n = 0, bytes = steps * PITCHES * TRACKS;
    for (int64_t i = 0; i < list->n; i++) n += excerpts_of(&list->piece[i], steps, all);
    if (!n) return gen_fail(err, GEN_NOT_FOUND, "no piece of %lld sixteenths of four voices", (long long)steps);
    uint8_t *px = gen_arena_alloc(list->arena, (size_t)(n * bytes));
    if (!px) return no_memory(err);
    *data = (gen_dataset){ .n = n, .height_px = (int32_t)steps, .width_px = PITCHES, .channels = TRACKS, .px8 = px };
    int64_t at = 0;
    for (int s = 0; s < GEN_N_SPLITS; s++) {
        data->splits[s].first = at;
        for (int64_t i = 0; i < list->n; i++) {
            const bar_piece *p = &list->piece[i];
            for (int64_t e = 0; p->split == (gen_split)s && e < excerpts_of(p, steps, all); e++, at++)
                fill(p->pitch + (begin_of(p) + e * steps) * TRACKS, steps, px + at * bytes);
        }
        data->splits[s].n = at - data->splits[s].first;
    }
    return GEN_OK;
}

gen_status gen_data_open_bars(const char *path, int64_t n_bars, bool all, bool skip_bad, gen_arena *arena,
                              gen_dataset *data, gen_error *err)
{
    bar_pieces list = { .arena = arena };
    gen_skipped_files skipped = { 0 };
    gen_dataset made;
    if (gen_path_is_folder(path) || gen_is_midi_file(path))
        GEN_TRY(gen_midi_files_each(path, skip_bad, arena, take_midi, &list, &skipped, err));
    else if (gen_path_has_extension(path, "json")) GEN_TRY(open_json(&list, path, err));
    else
        return gen_fail(err, GEN_UNSUPPORTED,
                        "%s: a folder of MIDI files of four voices, or a .json file of their pitches, was expected",
                        path);
    GEN_TRY(make_data(&list, n_bars * BAR, all, &made, err));
    made.name = gen_name_of_path(path, arena);
    made.skipped = skipped.text, made.n_skipped = skipped.n;
    if (!made.name) return no_memory(err);
    *data = made;
    return GEN_OK;
}

/* ---- pitches, notes ---------------------------------------------------------------------------------------------------------- */

void gen_bars_pitches(const float *x, int64_t n, int64_t steps, bool always, int16_t *pitch)
{
    for (int64_t s = 0; s < n * steps; s++)
        for (int64_t v = 0; v < TRACKS; v++) {
            const float *cell = x + s * PITCHES * TRACKS + v;
            int best = 0;
            for (int p = 1; p < PITCHES; p++)
                if (cell[p * TRACKS] > cell[best * TRACKS]) best = p;
            pitch[s * TRACKS + v] = (int16_t)(always || cell[best * TRACKS] >= 0.5F ? best : -1);
        }
}

gen_status gen_bars_notes(const int16_t *pitch, int64_t n, int64_t steps, int32_t ticks_per_quarter, gen_arena *arena,
                          gen_midi_note **notes, size_t *n_notes, gen_error *err)
{
    int64_t total = n * (steps + BAR);
    gen_voices v = { .steps_per_quarter = BEAT, .n_voices = TRACKS, .n_steps = total };
    if (total > GEN_VOICES_MAX_STEPS)
        return gen_fail(err, GEN_BAD_OPTION, "%lld pieces are too many for one file", (long long)n);
    v.cells = gen_arena_alloc(arena, (size_t)(total * TRACKS) * sizeof *v.cells);
    if (!v.cells) return no_memory(err);
    for (int64_t c = 0; c < total * TRACKS; c++) v.cells[c] = GEN_VOICE_REST;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < steps * TRACKS; c++) {
            int16_t now = pitch[i * steps * TRACKS + c];
            bool on_beat = c / TRACKS % BEAT == 0;
            bool same = !on_beat && now >= 0 && now == pitch[i * steps * TRACKS + c - TRACKS];
            v.cells[i * (steps + BAR) * TRACKS + c] = same ? GEN_VOICE_HOLD : now;
        }
    return gen_voices_notes(&v, ticks_per_quarter, arena, notes, n_notes, err);
}

/* ---- measures ------------------------------------------------------------------------------------------------------------------ */

typedef struct tally {
    double bars, empty, classes, notes, qualified, pairs, distance;
} tally;

/* Six coordinates on the circles of fifths, minor and major thirds (Harte, Sandler & Gasser 2006, equation 1). */
static void tonal_centroid(const double chroma[12], double out[6])
{
    static const double turn[] = { 7.0 / 6, 3.0 / 2, 2.0 / 3 }, radius[] = { 1, 1, 0.5 };
    const double pi = 3.14159265358979323846;
    for (int k = 0; k < 3; k++) {
        out[2 * k] = out[2 * k + 1] = 0;
        for (int p = 0; p < 12; p++) {
            out[2 * k] += radius[k] * sin(p * turn[k] * pi) * chroma[p];
            out[2 * k + 1] += radius[k] * cos(p * turn[k] * pi) * chroma[p];
        }
    }
}

/* One bar of one voice: pitch of step t is bar[t TRACKS]. chroma sums to 1; false: the bar is empty. */
static bool look_at_bar(const int16_t *bar, tally *sum, double chroma[12])
{
    int sounding = 0, classes = 0;
    for (int p = 0; p < 12; p++) chroma[p] = 0;
    for (int t = 0; t < BAR; t++)
        if (bar[t * TRACKS] >= 0) chroma[bar[t * TRACKS] % 12]++, sounding++;
    for (int t = 0, length; t < BAR; t += length) {
        for (length = 1; t + length < BAR && bar[(t + length) * TRACKS] == bar[t * TRACKS];) length++;
        if (bar[t * TRACKS] >= 0) sum->notes++, sum->qualified += length >= 2;
    }
    for (int p = 0; p < 12; p++) classes += chroma[p] > 0, chroma[p] /= sounding ? sounding : 1;
    sum->bars++;
    sum->empty += !sounding;
    sum->classes += classes;
    return sounding > 0;
}

static void look_at_voices(const int16_t *bar, tally *sum)
{
    double chroma[12], centroid[TRACKS][6];
    bool sounds[TRACKS];
    for (int v = 0; v < TRACKS; v++) {
        sounds[v] = look_at_bar(bar + v, sum, chroma);
        tonal_centroid(chroma, centroid[v]);
    }
    for (int a = 0; a < TRACKS; a++)
        for (int b = a + 1; b < TRACKS; b++) {
            double squares = 0;
            if (!sounds[a] || !sounds[b]) continue;
            for (int k = 0; k < 6; k++)
                squares += (centroid[a][k] - centroid[b][k]) * (centroid[a][k] - centroid[b][k]);
            sum->distance += sqrt(squares);
            sum->pairs++;
        }
}

static double over(double a, double b)
{
    return b > 0 ? a / b : 0;
}

gen_bar_scores gen_bars_score(const int16_t *pitch, int64_t n, int64_t n_bars)
{
    tally sum = { 0 };
    for (int64_t bar = 0; bar < n * n_bars; bar++) look_at_voices(pitch + bar * BAR * TRACKS, &sum);
    return (gen_bar_scores){ .empty_bars = over(sum.empty, sum.bars),
                             .pitch_classes = over(sum.classes, sum.bars - sum.empty),
                             .qualified_notes = over(sum.qualified, sum.notes),
                             .tonal_distance = over(sum.distance, sum.pairs) };
}
