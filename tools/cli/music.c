/* A piece of music for the verbs: `gen info tune.mid` says what is in it, `gen plot tune.mid` draws it as a piano roll. */
#include "tools/cli/music.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "io/plot.h"
#include "models/music_theory.h"
#include "tools/cli/tune.h"

bool cli_is_midi(const char *path)
{
    return gen_path_has_extension(path, "mid") || gen_path_has_extension(path, "midi") ||
           gen_path_has_extension(path, "kar") || gen_path_has_extension(path, "rmi");
}

gen_status cli_open_midi(gen_arena *arena, const char *path, gen_midi *midi, gen_midi_score *score, gen_error *err)
{
    gen_bytes file;
    GEN_TRY(gen_file_read(path, GEN_MIDI_MAX_BYTES, arena, &file, err));
    gen_status status = gen_midi_read(file.data, file.size, arena, midi, err);
    if (status == GEN_OK) status = gen_midi_score_make(midi, arena, score, err);
    return status == GEN_OK ? GEN_OK : gen_error_in_file(err, path, status);
}

/* ---- names ------------------------------------------------------------------------------------------------------------- */

/* Bytes of the UTF-8 character at p, 0 when there is none. */
static size_t utf8_length(const uint8_t *p, size_t left)
{
    size_t n = *p < 0x80 ? 1 : *p >= 0xC2 && *p < 0xE0 ? 2 : (*p & 0xF0) == 0xE0 ? 3 : *p >= 0xF0 && *p < 0xF5 ? 4 : 0;
    if (n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    return n;
}

char *cli_midi_text(gen_arena *arena, const uint8_t *bytes, size_t n)
{
    char *text = gen_arena_alloc(arena, 2 * n + 1), *to = text;
    if (!text) return NULL;
    for (size_t i = 0; i < n;) {
        size_t length = utf8_length(bytes + i, n - i);
        if (length == 1) {
            *to++ = bytes[i] < 0x20 || bytes[i] == 0x7F ? ' ' : (char)bytes[i];
        } else if (length) {
            memcpy(to, bytes + i, length);
            to += length;
        } else if (bytes[i] < 0xA0) {
            *to++ = ' '; /* a control character of Latin-1 */
        } else {         /* its letters */
            *to++ = (char)(0xC0 | bytes[i] >> 6);
            *to++ = (char)(0x80 | (bytes[i] & 0x3F));
        }
        i += length ? length : 1;
    }
    while (to > text && to[-1] == ' ') to--;
    *to = 0;
    return text;
}

enum { MOST_LETTERS = 28, NAME_BYTES = 4 * MOST_LETTERS + 8 };

/* At most `most` letters of a text, and "…" where there were more. Returns how many letters that are. */
static int cut_text(const char *text, int most, char buffer[NAME_BYTES])
{
    size_t n = 0;
    int letters = 0;
    for (; text[n] && letters < most; letters++) n += utf8_length((const uint8_t *)text + n, strlen(text + n));
    snprintf(buffer, NAME_BYTES, "%.*s%s", (int)n, text, text[n] ? "…" : "");
    return letters + (text[n] != 0);
}

char *cli_midi_track_name(gen_arena *arena, const gen_midi_track *track)
{
    for (size_t i = 0; i < track->n_events; i++) {
        const gen_midi_event *e = &track->events[i];
        if (gen_midi_is_meta(e, GEN_MIDI_TRACK_NAME)) return cli_midi_text(arena, e->bytes, e->n_bytes);
    }
    return gen_arena_strdup(arena, "");
}

/* ---- info -------------------------------------------------------------------------------------------------------------- */

typedef struct track_facts {
    char *name;
    size_t notes;
    int low, high;                     /* pitches */
    uint32_t channels;                 /* a bit each */
    int programs[4], n_programs, more; /* the first few; not of drums */
} track_facts;

typedef struct facts {
    const char *form; /* what was read */
    const gen_midi *midi;
    const gen_midi_score *score;
    track_facts *tracks;
    double seconds, slowest, fastest; /* quarters a minute, while the piece lasts */
    int32_t beats, of, times;         /* the first time signature, and how many there are */
    int32_t sharps, minor, keys;      /* the first key signature, and how many there are */
    gen_key heard;
} facts;

static void add_program(track_facts *t, int program)
{
    for (int i = 0; i < t->n_programs; i++)
        if (t->programs[i] == program) return;
    if (t->n_programs < 4) t->programs[t->n_programs++] = program;
    else t->more = 1;
}

/* Each pitch class weighs as many quarters as it is heard, drums aside. */
static void look_at_notes(facts *f)
{
    double heard[12] = { 0 };
    for (size_t i = 0; i < f->score->n_notes; i++) {
        const gen_midi_note *n = &f->score->notes[i];
        track_facts *t = &f->tracks[n->track];
        if (!t->notes++) t->low = t->high = n->pitch;
        if (n->pitch < t->low) t->low = n->pitch;
        if (n->pitch > t->high) t->high = n->pitch;
        t->channels |= 1U << n->channel;
        if (n->channel == GEN_MIDI_DRUMS) continue;
        add_program(t, n->program);
        heard[n->pitch % 12] += (double)n->duration_ticks;
    }
    f->heard = gen_find_key(heard);
}

static void look_at_signatures(facts *f)
{
    int32_t a, b;
    for (size_t i = 0; i < f->score->n_moments; i++) {
        const gen_midi_event *e = f->score->moments[i].event;
        if (gen_midi_time_of(e, &a, &b) && !f->times++) f->beats = a, f->of = b;
        if (gen_midi_key_of(e, &a, &b) && !f->keys++) f->sharps = a, f->minor = b;
    }
}

static void look_at_tempo(facts *f)
{
    for (size_t i = 0; i < f->score->n_tempos; i++) {
        const gen_midi_tempo *t = &f->score->tempos[i];
        double tempo = 60 / (t->seconds_per_tick * f->score->ticks_per_quarter);
        if (i && t->ticks >= f->score->end_ticks) break;
        if (!i || tempo < f->slowest) f->slowest = tempo;
        if (!i || tempo > f->fastest) f->fastest = tempo;
    }
}

static gen_status collect(cli_args *a, const gen_midi *midi, const gen_midi_score *score, facts *f, gen_error *err)
{
    *f = (facts){ .midi = midi, .score = score, .seconds = gen_midi_seconds(score, score->end_ticks) };
    f->tracks = gen_arena_alloc(a->arena, (size_t)midi->n_tracks * sizeof *f->tracks);
    if (!f->tracks) return gen_fail(err, GEN_NO_MEMORY, "no memory for %d tracks", midi->n_tracks);
    for (int32_t t = 0; t < midi->n_tracks; t++) {
        f->tracks[t].name = cli_midi_track_name(a->arena, &midi->tracks[t]);
        if (!f->tracks[t].name) return gen_fail(err, GEN_NO_MEMORY, "no memory for %d tracks", midi->n_tracks);
    }
    look_at_notes(f);
    look_at_signatures(f);
    look_at_tempo(f);
    return GEN_OK;
}

/* "Eb major" of three flats: each sharp is a fifth up; the minor key lies a minor third below. */
static const char *signature_text(const facts *f, char text[32])
{
    int tonic = ((f->sharps * 7) % 12 + 12 + (f->minor ? 9 : 0)) % 12;
    snprintf(text, 32, "%s %s", gen_pitch_class_name(tonic), f->minor ? "minor" : "major");
    return text;
}

static const char *heard_text(const facts *f, char text[32])
{
    snprintf(text, 32, "%s %s", gen_pitch_class_name(f->heard.tonic), f->heard.minor ? "minor" : "major");
    return text;
}

static void print_head(const facts *f)
{
    char text[32];
    const gen_midi *m = f->midi;
    int minutes = (int)(f->seconds / 60);
    printf("%s, format %d, %d track%s, %zu notes, %d:%06.3f", f->form, m->format, m->n_tracks,
           m->n_tracks == 1 ? "" : "s", f->score->n_notes, minutes, f->seconds - 60 * minutes);
    if (m->ticks_per_quarter) printf(", %d ticks in a quarter note\n", m->ticks_per_quarter);
    else printf(", %d frames a second of %d ticks\n", m->frames_per_second, m->ticks_per_frame);
    if (f->fastest - f->slowest < 0.005) printf("tempo %.4g quarters a minute", f->slowest);
    else printf("tempo %.4g to %.4g quarters a minute (%zu changes)", f->slowest, f->fastest, f->score->n_tempos - 1);
    if (f->times) printf(", time %d/%d", f->beats, f->of);
    if (f->times > 1) printf(" (of %d signatures)", f->times);
    if (f->keys) printf(", key signature of %s", signature_text(f, text));
    if (f->keys > 1) printf(" (of %d)", f->keys);
    if (f->heard.correlation > 0)
        printf(", sounds like %s (correlation %.2f)", heard_text(f, text), f->heard.correlation);
    putchar('\n');
}

static void print_track(const facts *f, int32_t i)
{
    const track_facts *t = &f->tracks[i];
    char low[8], high[8], pitches[24] = "", name[NAME_BYTES];
    if (t->notes)
        snprintf(pitches, sizeof pitches, "%s to %s", gen_midi_pitch_name(t->low, low),
                 gen_midi_pitch_name(t->high, high));
    int letters = cut_text(t->name, MOST_LETTERS, name);
    printf("%5d  %s%*s %7zu  %-12s ", i + 1, name, MOST_LETTERS + 1 - letters, "", t->notes, pitches);
    const char *comma = "";
    for (int p = 0; p < t->n_programs; p++, comma = ", ") printf("%s%s", comma, gen_midi_program_name(t->programs[p]));
    if (t->more) fputs(", …", stdout);
    if (t->channels >> GEN_MIDI_DRUMS & 1) printf("%sdrums", comma);
    putchar('\n');
}

static gen_status print_json(cli_args *a, const facts *f, gen_error *err)
{
    char text[32];
    gen_json_out out = { .arena = a->arena };
    gen_json_open(&out, NULL, '{');
    gen_json_put_int(&out, "format", f->midi->format);
    gen_json_put_int(&out, "ticks_per_quarter", f->midi->ticks_per_quarter);
    gen_json_put_int(&out, "notes", (int64_t)f->score->n_notes);
    gen_json_put_double(&out, "seconds", f->seconds);
    gen_json_put_double(&out, "slowest", f->slowest);
    gen_json_put_double(&out, "fastest", f->fastest);
    if (f->times) gen_json_put_string(&out, "time", gen_arena_printf(a->arena, "%d/%d", f->beats, f->of));
    if (f->keys) gen_json_put_string(&out, "key_signature", signature_text(f, text));
    gen_json_put_string(&out, "key", f->heard.correlation > 0 ? heard_text(f, text) : "none");
    gen_json_put_double(&out, "key_correlation", f->heard.correlation);
    gen_json_open(&out, "tracks", '[');
    for (int32_t i = 0; i < f->midi->n_tracks; i++) {
        const track_facts *t = &f->tracks[i];
        gen_json_open(&out, NULL, '{');
        gen_json_put_string(&out, "name", t->name);
        gen_json_put_int(&out, "notes", (int64_t)t->notes);
        if (t->notes) gen_json_put_int(&out, "lowest", t->low), gen_json_put_int(&out, "highest", t->high);
        gen_json_open(&out, "programs", '[');
        for (int p = 0; p < t->n_programs; p++) gen_json_put_int(&out, NULL, t->programs[p]);
        gen_json_close(&out, ']');
        gen_json_put_bool(&out, "drums", t->channels >> GEN_MIDI_DRUMS & 1);
        gen_json_close(&out, '}');
    }
    gen_json_close(&out, ']');
    gen_json_open(&out, "repairs", '[');
    for (size_t i = 0; i < f->midi->n_repairs; i++) {
        gen_json_open(&out, NULL, '{');
        gen_json_put_int(&out, "byte", (int64_t)f->midi->repairs[i].offset);
        gen_json_put_string(&out, "text", f->midi->repairs[i].text);
        gen_json_close(&out, '}');
    }
    gen_json_close(&out, ']');
    gen_json_close(&out, '}');
    return cli_print_json(&out, err);
}

void cli_print_repairs(FILE *to, const gen_midi *midi)
{
    for (size_t i = 0; i < midi->n_repairs; i++)
        fprintf(to, "repaired: byte %zu: %s\n", midi->repairs[i].offset, midi->repairs[i].text);
    if (midi->n_repairs_made > midi->n_repairs)
        fprintf(to, "repaired: and %zu more\n", midi->n_repairs_made - midi->n_repairs);
}

gen_status cli_describe_midi(cli_args *a, const char *path, gen_error *err)
{
    gen_midi midi;
    gen_midi_score score = { 0 };
    facts f;
    GEN_TRY(cli_tune_open(a, path, &midi, &score, err));
    GEN_TRY(collect(a, &midi, &score, &f, err));
    if (a->o.json) return print_json(a, &f, err);
    f.form = cli_is_midi(path) ? "MIDI" : "music as JSON; as MIDI";
    print_head(&f);
    printf("\ntrack  %-29s %7s  %-12s %s\n", "name", "notes", "pitches", "programs");
    for (int32_t i = 0; i < midi.n_tracks; i++) print_track(&f, i);
    if (midi.n_repairs) putchar('\n');
    cli_print_repairs(stdout, &midi);
    return GEN_OK;
}

/* ---- plot -------------------------------------------------------------------------------------------------------------- */

/* "Cello", or what the track calls itself. */
static const char *legend_name(cli_args *a, const facts *f, int32_t track)
{
    char buffer[NAME_BYTES];
    const track_facts *t = &f->tracks[track];
    const char *name = t->name;
    if (!*name) name = t->n_programs ? gen_midi_program_name(t->programs[0]) : "drums";
    cut_text(name, 22, buffer);
    return gen_arena_strdup(a->arena, buffer);
}

/* Tracks with notes are numbered anew: they get the first colours. */
static gen_status number_tracks(cli_args *a, const facts *f, int32_t *series, const char **names, int32_t *n,
                                gen_error *err)
{
    *n = 0;
    for (int32_t t = 0; t < f->midi->n_tracks; t++) {
        if (!f->tracks[t].notes) continue;
        series[t] = *n;
        names[*n] = legend_name(a, f, t);
        if (!names[(*n)++]) return gen_fail(err, GEN_NO_MEMORY, "no memory for a plot");
    }
    return GEN_OK;
}

static gen_status draw(cli_args *a, const facts *f, const char *title, const char *path, gen_error *err)
{
    enum { MOST_NAMES = 32, PX_PER_SECOND = 16, LEAST_PX = 1400, MOST_PX = 4000 };
    int32_t n_series;
    double width = f->seconds * PX_PER_SECOND;
    gen_bytes file;
    size_t n = f->score->n_notes;
    gen_plot_bar *bars = gen_arena_alloc(a->arena, n * sizeof *bars);
    int32_t *series = gen_arena_alloc(a->arena, (size_t)f->midi->n_tracks * sizeof *series);
    const char **names = gen_arena_alloc(a->arena, (size_t)f->midi->n_tracks * sizeof *names);
    if (!bars || !series || !names) return gen_fail(err, GEN_NO_MEMORY, "no memory for a plot of %zu notes", n);
    GEN_TRY(number_tracks(a, f, series, names, &n_series, err));
    for (size_t i = 0; i < n; i++) {
        const gen_midi_note *note = &f->score->notes[i];
        bars[i] = (gen_plot_bar){ .x0 = gen_midi_seconds(f->score, note->start_ticks),
                                  .x1 = gen_midi_seconds(f->score, note->start_ticks + note->duration_ticks),
                                  .strength = note->velocity / 127.0,
                                  .pitch = note->pitch,
                                  .series = series[note->track] };
    }
    gen_plot plot = { .title = title,
                      .x_label = "seconds",
                      .width_px = width < LEAST_PX  ? LEAST_PX
                                  : width > MOST_PX ? MOST_PX
                                                    : (int32_t)width,
                      .height_px = 720,
                      .format = gen_path_has_extension(path, "svg") ? GEN_PLOT_SVG : GEN_PLOT_PNG };
    GEN_TRY(gen_plot_roll(&plot, bars, n, names, n_series > MOST_NAMES ? MOST_NAMES : n_series, a->arena, &file, err));
    GEN_TRY(gen_file_write(path, file.data, file.size, err));
    return cli_print_file(a, path, (int64_t)n, "notes", err);
}

gen_status cli_plot_midi(cli_args *a, const char *path, gen_error *err)
{
    gen_midi midi;
    gen_midi_score score = { 0 };
    facts f;
    char key[32];
    GEN_TRY(cli_tune_open(a, path, &midi, &score, err));
    if (!score.n_notes) return gen_fail(err, GEN_UNSUPPORTED, "%s has no notes to draw", path);
    GEN_TRY(collect(a, &midi, &score, &f, err));
    const char *base = gen_path_base(path);
    char *title = cli_midi_text(a->arena, (const uint8_t *)base, strlen(base));
    if (title && f.heard.correlation > 0)
        title = gen_arena_printf(a->arena, "%s · %s · %.4g quarters a minute", title, heard_text(&f, key), f.slowest);
    return draw(a, &f, title, *a->o.output ? a->o.output : "roll.png", err);
}

gen_status cli_plot_tune(cli_args *a, const char *tune, const char *path, gen_error *err)
{
    cli_args own = *a;
    own.o.output = path;
    return cli_plot_midi(&own, tune, err);
}

gen_status cli_picture_beside(cli_args *a, const char *path, gen_error *err)
{
    gen_error plot = { 0 };
    cli_args own = *a;
    size_t stem = strlen(path) - strlen(gen_path_extension(path));
    own.o.output = gen_arena_printf(a->arena, "%.*spng", (int)stem, path);
    if (!own.o.output) return gen_fail(err, GEN_NO_MEMORY, "no memory for a picture");
    gen_status status = cli_plot_midi(&own, path, &plot);
    if (status == GEN_NO_DEVICE) fprintf(stderr, "no picture: %s\n", plot.text);
    else if (status != GEN_OK) return gen_fail(err, status, "%s", plot.text);
    return GEN_OK;
}
