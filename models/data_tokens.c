#include "models/data_tokens.h"

#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "models/evaluate.h"
#include "models/midi_files.h"
#include "models/music_theory.h"
#include "models/sequence.h"

/* ---- files ------------------------------------------------------------------------------------------------------------------- */

typedef struct reading {
    const gen_settings *settings;
    const gen_sequence_options *options;
    gen_arena *arena;
    gen_tokeniser tokeniser;
    gen_corpus *corpus;
    bool text, changed;
} reading;

static gen_status no_memory(gen_error *err)
{
    return gen_fail(err, GEN_NO_MEMORY, "no memory for tokens");
}

static bool is_text_file(const char *path)
{
    return gen_path_has_extension(path, "txt") || gen_path_has_extension(path, "md");
}

/* ---- pieces -------------------------------------------------------------------------------------------------------------------- */

static gen_status add_piece(reading *r, gen_piece piece, gen_error *err)
{
    gen_corpus *c = r->corpus;
    if (!piece.stream.n) {
        c->n_skipped += !piece.changed;
        return GEN_OK;
    }
    if (c->n == c->room) {
        int64_t room = c->room ? 2 * c->room : 256;
        gen_piece *bigger = gen_arena_alloc(r->arena, (size_t)room * sizeof *bigger);
        if (!bigger) return no_memory(err);
        if (c->n) memcpy(bigger, c->piece, (size_t)c->n * sizeof *bigger);
        c->piece = bigger;
        c->room = room;
    }
    c->piece[c->n++] = piece;
    return GEN_OK;
}

int32_t gen_to_one_key(const gen_midi_score *score)
{
    double weight[12] = { 0 };
    for (size_t i = 0; i < score->n_notes; i++)
        if (score->notes[i].channel != GEN_MIDI_DRUMS)
            weight[score->notes[i].pitch % 12] += (double)score->notes[i].duration_ticks;
    gen_key key = gen_find_key(weight);
    int32_t up = (12 + (key.minor ? 9 : 0) - key.tonic) % 12;
    return up > 6 ? up - 12 : up;
}

/* A training piece also higher, lower, slower and faster. up: semitones that it is moved anyway */
static gen_status add_changed(reading *r, const gen_midi_score *score, const gen_split_file *s, int32_t up,
                              gen_error *err)
{
    const gen_sequence_options *o = r->options;
    int stretches = o->stretch > 0 && !strcmp(o->tokens, "performance") ? 1 : 0;
    for (int64_t semitones = -o->transpose; semitones <= o->transpose; semitones++)
        for (int k = -stretches; k <= stretches; k++) {
            gen_piece piece = { .name = s->path, .split = s->split, .changed = true };
            if (!semitones && !k) continue;
            gen_status status = gen_tokens_of_score(&r->tokeniser, score, up + (int32_t)semitones, 1 + k * o->stretch,
                                                    &piece.stream, NULL);
            if (status == GEN_BAD_SHAPE) continue; /* beyond MIDI's pitches */
            if (status != GEN_OK) return no_memory(err);
            GEN_TRY(add_piece(r, piece, err));
        }
    return GEN_OK;
}

static gen_status read_music(reading *r, const gen_split_file *s, gen_error *err)
{
    gen_bytes file;
    gen_midi midi;
    gen_midi_score score;
    gen_piece piece = { .name = s->path, .split = s->split };
    GEN_TRY(gen_file_read(s->path, GEN_MIDI_MAX_BYTES, r->arena, &file, err));
    gen_status status = gen_midi_read(file.data, file.size, r->arena, &midi, err);
    if (status == GEN_OK) status = gen_midi_score_make(&midi, r->arena, &score, err);
    int32_t up = status == GEN_OK && r->options->one_key ? gen_to_one_key(&score) : 0;
    if (status == GEN_OK) status = gen_tokens_of_score(&r->tokeniser, &score, up, 1, &piece.stream, err);
    if (status == GEN_OK) status = add_piece(r, piece, err);
    if (status == GEN_OK && r->changed && s->split == GEN_SPLIT_TRAIN) status = add_changed(r, &score, s, up, err);
    return status == GEN_OK ? GEN_OK : gen_error_in_file(err, s->path, status);
}

/* The first place behind a line's end from `at` on. */
static size_t next_line(const gen_bytes *text, size_t at)
{
    const uint8_t *end = at < text->size ? memchr(text->data + at, '\n', text->size - at) : NULL;
    return end ? (size_t)(end - text->data) + 1 : text->size;
}

/* One text: its last two twentieths validate and test. */
static gen_status read_parts(reading *r, const gen_split_file *s, const gen_bytes *text, gen_error *err)
{
    size_t cut[4] = { 0, next_line(text, text->size / 20 * 18), next_line(text, text->size / 20 * 19), text->size };
    static const gen_split splits[] = { GEN_SPLIT_TRAIN, GEN_SPLIT_VALIDATION, GEN_SPLIT_TEST };
    for (int i = 0; i < 3; i++) {
        gen_piece piece = { .name = s->path, .split = splits[i] };
        GEN_TRY(gen_tokens_of_text(&r->tokeniser, (const char *)text->data + cut[i], cut[i + 1] - cut[i], &piece.stream,
                                   err));
        GEN_TRY(add_piece(r, piece, err));
    }
    return GEN_OK;
}

static gen_status read_text(reading *r, const gen_split_file *s, bool alone, gen_error *err)
{
    gen_bytes text;
    gen_piece piece = { .name = s->path, .split = s->split };
    GEN_TRY(gen_file_read(s->path, GEN_FILE_ANY_SIZE, r->arena, &text, err));
    gen_status status = alone
                            ? read_parts(r, s, &text, err)
                            : gen_tokens_of_text(&r->tokeniser, (const char *)text.data, text.size, &piece.stream, err);
    if (status == GEN_OK && !alone) status = add_piece(r, piece, err);
    return status == GEN_OK ? GEN_OK : gen_error_in_file(err, s->path, status);
}

static gen_status read_all(reading *r, const gen_split_files *files, gen_error *err)
{
    for (int64_t i = 0; i < files->n; i++) {
        gen_error own = { 0 };
        gen_status status =
            r->text ? read_text(r, &files->file[i], files->n == 1, &own) : read_music(r, &files->file[i], &own);
        bool bad = status == GEN_BAD_FILE || status == GEN_UNSUPPORTED;
        if (bad && r->settings->train.skip_bad) r->corpus->n_skipped++;
        else if (bad) return gen_fail(err, status, "%s; --skip-bad leaves such files out", own.text);
        else if (status != GEN_OK) return gen_fail(err, status, "%s", own.text);
    }
    return GEN_OK;
}

/* Words are counted in a first reading; the second one knows which are frequent. */
static gen_status read_twice(reading *r, const gen_split_files *files, gen_error *err)
{
    GEN_TRY(read_all(r, files, err));
    GEN_TRY(gen_tokeniser_limit(&r->tokeniser, r->options->max_words, err));
    r->corpus->n = r->corpus->n_skipped = 0;
    return read_all(r, files, err);
}

gen_status gen_corpus_open(const gen_settings *settings, bool changed, gen_arena *arena, gen_corpus *out,
                           gen_error *err)
{
    reading r = { .settings = settings,
                  .options = settings->options,
                  .arena = arena,
                  .corpus = out,
                  .text = settings->model->tokens == GEN_TOKENS_TEXT,
                  .changed = changed };
    const char *name = *settings->train.data ? settings->train.data : settings->model->data;
    char *path;
    gen_split_files files;
    *out = (gen_corpus){ 0 };
    if (!*name)
        return gen_fail(err, GEN_BAD_OPTION, "%s needs --data: %s", settings->model->name,
                        r.text ? "a text file or a folder of them" : "a folder of MIDI files");
    GEN_TRY(gen_dataset_find(name, arena, &path, err));
    GEN_TRY(gen_split_files_list(path, r.text ? is_text_file : gen_is_midi_file, arena, &files, err));
    if (!files.n)
        return gen_fail(err, GEN_NOT_FOUND, "%s holds no %s", path, r.text ? "text files (.txt)" : "MIDI files (.mid)");
    GEN_TRY(gen_tokeniser_start(&r.tokeniser, r.options->tokens, settings->vocabulary, arena, err));
    bool twice = !settings->vocabulary && !strcmp(r.options->tokens, "words");
    GEN_TRY(twice ? read_twice(&r, &files, err) : read_all(&r, &files, err));
    out->vocabulary = gen_tokeniser_vocabulary(&r.tokeniser);
    out->n_unknown = r.tokeniser.n_unknown;
    out->name = gen_name_of_path(path, arena);
    if (!out->n) return gen_fail(err, GEN_BAD_FILE, "%s holds no notes or letters to learn from", path);
    return out->name ? GEN_OK : no_memory(err);
}

/* ---- windows ------------------------------------------------------------------------------------------------------------------ */

/* A part of a piece: rows of windows come from `first` on. */
typedef struct section {
    const gen_piece *piece;
    int64_t first, n; /* tokens */
    bool ends;        /* the piece: then the border is said behind */
} section;

typedef struct layout {
    const gen_corpus *corpus;
    gen_arena *arena;
    int64_t window, streams; /* streams 0: windows one token apart */
    int32_t fields;
    section *section;
    int64_t n_sections;
    int64_t steps, n; /* of each stream; windows */
} layout;

/* The longest part of a piece that goes to one stream: long, so that states are kept, but short enough to share a long text out evenly. */
static int64_t longest_section(const layout *l, gen_split split)
{
    enum { LEAST = 16, MOST = 64, PARTS = 4 };
    int64_t windows = 0;
    for (int64_t i = 0; i < l->corpus->n; i++)
        if (l->corpus->piece[i].split == split) windows += l->corpus->piece[i].stream.n / l->window + 1;
    int64_t n = windows / (PARTS * l->streams);
    return l->window * (n < LEAST ? LEAST : n > MOST ? MOST : n);
}

static int64_t windows_of(const layout *l, const section *s)
{
    int64_t said = s->n + s->ends;
    return l->streams ? (said + l->window - 1) / l->window : said;
}

/* Cuts the pieces of a split into sections, in an order that the seed says. */
static gen_status cut_sections(layout *l, gen_split split, uint64_t seed, gen_error *err)
{
    int64_t longest = l->streams ? longest_section(l, split) : INT64_MAX, n = 0;
    for (int pass = 0; pass < 2; pass++) {
        l->n_sections = n;
        n = 0;
        if (pass) l->section = gen_arena_alloc(l->arena, (size_t)(l->n_sections + 1) * sizeof *l->section);
        if (pass && !l->section) return no_memory(err);
        for (int64_t i = 0; i < l->corpus->n; i++) {
            const gen_piece *p = &l->corpus->piece[i];
            if (p->split != split) continue;
            for (int64_t first = 0; first < p->stream.n; n++) {
                int64_t left = p->stream.n - first, take = left < longest ? left : longest;
                if (pass) l->section[n] = (section){ p, first, take, take == left };
                first += take;
            }
        }
    }
    uint32_t *order = gen_arena_alloc(l->arena, (size_t)(n + 1) * sizeof *order);
    section *sorted = gen_arena_alloc(l->arena, (size_t)(n + 1) * sizeof *sorted);
    if (!order || !sorted) return no_memory(err);
    gen_shuffle(seed, 0, order, (uint32_t)n);
    for (int64_t i = 0; i < n; i++) sorted[i] = l->section[order[i]];
    l->section = sorted;
    return GEN_OK;
}

/* Rows `first` to first + T of a section: row 0 of it is the border. */
static void fill_window(const layout *l, const section *s, int64_t first, float *x)
{
    for (int64_t row = 0; row <= l->window; row++)
        for (int32_t f = 0; f < l->fields; f++) {
            int64_t at = first + row - 1;
            float *out = &x[row * l->fields + f];
            if (at < 0 || (at == s->n && s->ends)) *out = GEN_BORDER;
            else *out = at < s->n ? (float)s->piece->stream.token[(s->first + at) * l->fields + f] : -1;
        }
}

/* Each section goes to the stream that is shortest so far: where[i] is the stream, step[i] its first window there. */
static gen_status share_out(layout *l, int64_t **where, int64_t **step, gen_error *err)
{
    int64_t *length = gen_arena_alloc(l->arena, (size_t)l->streams * sizeof *length);
    *where = gen_arena_alloc(l->arena, (size_t)(l->n_sections + 1) * sizeof **where);
    *step = gen_arena_alloc(l->arena, (size_t)(l->n_sections + 1) * sizeof **step);
    if (!length || !*where || !*step) return no_memory(err);
    l->steps = 0;
    for (int64_t i = 0; i < l->n_sections; i++) {
        int64_t best = 0;
        for (int64_t k = 1; k < l->streams; k++)
            if (length[k] < length[best]) best = k;
        (*where)[i] = best;
        (*step)[i] = length[best];
        length[best] += windows_of(l, &l->section[i]);
        if (length[best] > l->steps) l->steps = length[best];
    }
    l->n = l->steps * l->streams;
    return GEN_OK;
}

static gen_status fill_streams(layout *l, float **values, gen_error *err)
{
    int64_t *where, *step, rows = (l->window + 1) * l->fields;
    GEN_TRY(share_out(l, &where, &step, err));
    float *x = gen_arena_alloc(l->arena, (size_t)(l->n * rows + 1) * sizeof *x);
    if (!x) return no_memory(err);
    for (int64_t i = 0; i < l->n * rows; i++) x[i] = -1;
    for (int64_t i = 0; i < l->n_sections; i++)
        for (int64_t w = 0; w < windows_of(l, &l->section[i]); w++)
            fill_window(l, &l->section[i], w * l->window, x + ((step[i] + w) * l->streams + where[i]) * rows);
    *values = x;
    return GEN_OK;
}

/* Window w foretells token w of the piece. */
static gen_status fill_single(layout *l, float **values, gen_error *err)
{
    int64_t rows = (l->window + 1) * l->fields, at = 0;
    l->n = 0;
    for (int64_t i = 0; i < l->n_sections; i++) l->n += windows_of(l, &l->section[i]);
    float *x = gen_arena_alloc(l->arena, (size_t)(l->n * rows + 1) * sizeof *x);
    if (!x) return no_memory(err);
    for (int64_t i = 0; i < l->n_sections; i++)
        for (int64_t w = 0; w < windows_of(l, &l->section[i]); w++)
            fill_window(l, &l->section[i], w + 1 - l->window, x + at++ * rows);
    *values = x;
    return GEN_OK;
}

/* Windows of a split, behind those that data has. */
static gen_status add_split(layout *l, gen_split split, uint64_t seed, float **values, gen_error *err)
{
    GEN_TRY(cut_sections(l, split, seed, err));
    return l->streams ? fill_streams(l, values, err) : fill_single(l, values, err);
}

gen_status gen_data_open_tokens(const gen_settings *s, gen_arena *arena, gen_dataset *data, gen_error *err)
{
    const gen_sequence_options *o = s->options;
    gen_corpus *corpus = gen_arena_alloc(arena, sizeof *corpus);
    gen_vocabulary *vocabulary = gen_arena_alloc(arena, sizeof *vocabulary);
    float *part[GEN_N_SPLITS];
    int64_t n = 0, at = 0;
    if (!corpus || !vocabulary) return no_memory(err);
    GEN_TRY(gen_corpus_open(s, true, arena, corpus, err));
    layout l = { .corpus = corpus, .arena = arena, .window = o->window, .fields = corpus->vocabulary.n_fields };
    int64_t rows = (l.window + 1) * l.fields;
    *vocabulary = corpus->vocabulary;
    *data = (gen_dataset){ .name = corpus->name,
                           .height_px = (int32_t)(o->window + 1),
                           .width_px = 1,
                           .channels = l.fields,
                           .vocabulary = vocabulary };
    for (int i = 0; i < GEN_N_SPLITS; i++) {
        l.streams = o->attention ? 0 : i == GEN_SPLIT_TRAIN ? s->train.batch : GEN_EVAL_BATCH;
        GEN_TRY(add_split(&l, (gen_split)i, (uint64_t)s->train.seed, &part[i], err));
        data->splits[i] = (gen_range){ n, l.n };
        n += l.n;
    }
    float *values = gen_arena_alloc(arena, (size_t)(n * rows + 1) * sizeof *values);
    if (!values) return no_memory(err);
    for (int i = 0; i < GEN_N_SPLITS; i++) {
        memcpy(values + at, part[i], (size_t)(data->splits[i].n * rows) * sizeof *values);
        at += data->splits[i].n * rows;
    }
    data->n = n;
    data->values = values;
    return GEN_OK;
}
