/* Rendering: every event at its sample, then the sound dies away. */
#include "io/synth.h"

#include "io/plugin.h"
#include "io/synth_plugin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 2, MOST_TAIL_S = 10, MIDI_CHANNELS = 16, SUSTAIN = 64, ALL_NOTES_OFF = 123 };
static const double faded = 1e-4, silent = 1e-5; /* -80 dB: less than the last bits of 16; nothing at all */

gen_status gen_synth_find_soundfont(const char *chosen, gen_arena *arena, const char **path, gen_error *err)
{
    static const char *const usual[] = {
        "/usr/share/sounds/sf2/default-GM.sf2", /* Debian's choice among those installed */
        "/usr/share/sounds/sf3/default-GM.sf3", "/usr/share/soundfonts/default.sf2",
        "/usr/share/sounds/sf2/TimGM6mb.sf2",   "/usr/share/sounds/sf2/FluidR3_GM.sf2",
        "/usr/share/soundfonts/FluidR3_GM.sf2",
    };
    const char *named = chosen && *chosen ? chosen : getenv("SOUNDFONT");
    if (named && *named) {
        if (!gen_path_exists(named)) return gen_fail(err, GEN_NOT_FOUND, "there is no SoundFont %s", named);
        *path = gen_arena_strdup(arena, named);
        return *path ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for a path");
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        if (!gen_path_exists(usual[i])) continue;
        *path = usual[i];
        return GEN_OK;
    }
    return gen_fail(err, GEN_NOT_FOUND,
                    "no SoundFont was found in /usr/share/sounds and /usr/share/soundfonts: install one (Debian: "
                    "timgm6mb-soundfont), name it with --soundfont, or set $SOUNDFONT");
}

/* ---- the schedule ---- */

typedef struct player {
    const gen_synth_plugin_table *table;
    gen_synth *synth;
    gen_sound *sound; /* n_frames: done so far */
    size_t room;      /* frames */
} player;

static int play_to(player *p, size_t frame)
{
    size_t done = (size_t)p->sound->n_frames;
    if (frame > p->room) frame = p->room;
    if (frame <= done) return 0;
    p->sound->n_frames = (int64_t)frame;
    return p->table->write(p->synth, p->sound->samples + CHANNELS * done, frame - done);
}

static void send(player *p, const gen_midi_event *e)
{
    if (e->status < GEN_MIDI_SYSEX) {
        p->table->event(p->synth, e->status, e->data[0], e->data[1]);
    } else if (e->status == GEN_MIDI_SYSEX && e->n_bytes) {
        size_t n = e->n_bytes - (e->bytes[e->n_bytes - 1] == 0xF7);
        p->table->sysex(p->synth, e->bytes, n);
    }
}

static int play_events(player *p, const gen_midi_score *score)
{
    for (size_t i = 0; i < score->n_moments; i++) {
        const gen_midi_moment *m = &score->moments[i];
        if (play_to(p, (size_t)llround(gen_midi_seconds(score, m->ticks) * p->sound->rate_hz))) return 1;
        send(p, m->event);
    }
    return play_to(p, (size_t)llround(gen_midi_seconds(score, score->end_ticks) * p->sound->rate_hz));
}

static double peak_of(const float *samples, size_t n)
{
    float peak = 0;
    for (size_t i = 0; i < n; i++) peak = fmaxf(peak, fabsf(samples[i]));
    return (double)peak;
}

/* Pedals up and keys off; then as long as it was said, or until a tenth of a second cannot be heard. */
static int play_tail(player *p, double tail_s)
{
    for (int c = 0; c < MIDI_CHANNELS; c++) {
        p->table->event(p->synth, GEN_MIDI_CONTROL | c, SUSTAIN, 0);
        p->table->event(p->synth, GEN_MIDI_CONTROL | c, ALL_NOTES_OFF, 0);
    }
    if (tail_s >= 0) return play_to(p, p->room);
    for (size_t step = (size_t)p->sound->rate_hz / 10; (size_t)p->sound->n_frames < p->room;) {
        size_t before = (size_t)p->sound->n_frames;
        if (play_to(p, before + step)) return 1;
        size_t n = (size_t)p->sound->n_frames - before;
        if (!p->table->voices(p->synth) && peak_of(p->sound->samples + CHANNELS * before, CHANNELS * n) < faded) break;
    }
    return 0;
}

/* Why nothing is heard, as far as can be seen. */
static gen_status check_sound(const gen_midi_score *score, const gen_synth_options *o, const gen_sound *sound,
                              gen_error *err)
{
    if (peak_of(sound->samples, CHANNELS * (size_t)sound->n_frames) > silent) return GEN_OK;
    if (o->gain <= 0) return gen_fail(err, GEN_UNSUPPORTED, "the result is silent: the gain is 0");
    for (size_t i = 0; i < score->n_moments; i++) {
        const gen_midi_event *e = score->moments[i].event;
        if ((e->status & 0xF0) == GEN_MIDI_CONTROL && (e->data[0] == 7 || e->data[0] == 11) && !e->data[1])
            return gen_fail(err, GEN_UNSUPPORTED, "the result is silent: channel %d is turned down to 0",
                            (e->status & 15) + 1);
    }
    return gen_fail(err, GEN_UNSUPPORTED,
                    "the result is silent: the SoundFont %s has no sound for these notes and programs; try another one",
                    o->soundfont);
}

static gen_status check_options(const gen_midi_score *score, const gen_synth_options *o, gen_error *err)
{
    double seconds = gen_midi_seconds(score, score->end_ticks);
    if (o->rate_hz < 8000 || o->rate_hz > 96000)
        return gen_fail(err, GEN_BAD_OPTION, "a rate of %d samples a second; 8000 to 96000 were expected", o->rate_hz);
    if (!(o->gain >= 0 && o->gain <= 10) || !(o->reverb >= 0 && o->reverb <= 1) || !(o->chorus >= 0 && o->chorus <= 10))
        return gen_fail(err, GEN_BAD_OPTION,
                        "gain %g, reverb %g, chorus %g; at most 10, 1 and 10 were expected, and none below 0", o->gain,
                        o->reverb, o->chorus);
    if (!score->n_notes) return gen_fail(err, GEN_UNSUPPORTED, "the result would be silent: there are no notes");
    if (!(seconds + o->tail_s <= GEN_SYNTH_MAX_SECONDS))
        return gen_fail(err, GEN_UNSUPPORTED, "%.0f seconds of music; gen renders at most %d", seconds,
                        GEN_SYNTH_MAX_SECONDS);
    return GEN_OK;
}

/* FluidSynth would also say so, but with remarks of its libraries on standard error. */
static gen_status check_soundfont(const char *path, gen_arena *arena, gen_error *err)
{
    gen_bytes start;
    GEN_TRY(gen_file_read_start(path, 12, arena, &start, err));
    if (start.size == 12 && !memcmp(start.data, "RIFF", 4) && !memcmp(start.data + 8, "sfbk", 4)) return GEN_OK;
    return gen_fail(err, GEN_BAD_FILE, "%s is no SoundFont: it should start with RIFF, and sfbk at byte 8", path);
}

gen_status gen_synth_render(const gen_midi_score *score, const gen_synth_options *o, gen_arena *arena, gen_sound *sound,
                            gen_error *err)
{
    const void *table;
    char reason[300] = "";
    gen_sound made = { .rate_hz = o->rate_hz, .n_channels = CHANNELS };
    player p = { .sound = &made };
    GEN_TRY(check_options(score, o, err));
    GEN_TRY(check_soundfont(o->soundfont, arena, err));
    GEN_TRY(gen_plugin_open("gen_synth", GEN_SYNTH_PLUGIN_VERSION, "rendering music (FluidSynth)", &table, err));
    double seconds = gen_midi_seconds(score, score->end_ticks) + (o->tail_s >= 0 ? o->tail_s : MOST_TAIL_S);
    p.table = table, p.room = (size_t)llround(seconds * o->rate_hz);
    made.samples = gen_arena_alloc(arena, CHANNELS * p.room * sizeof *made.samples);
    if (!made.samples) return gen_fail(err, GEN_NO_MEMORY, "no memory for %.0f seconds of sound", seconds);
    gen_synth_settings settings = { o->soundfont, o->rate_hz, o->gain, o->reverb, o->chorus };
    p.synth = p.table->open(&settings, reason, sizeof reason);
    if (!p.synth) return gen_fail(err, GEN_NO_DEVICE, "%s", reason);
    int failed = play_events(&p, score) || play_tail(&p, o->tail_s);
    p.table->close(p.synth);
    if (failed)
        return gen_fail(err, GEN_NO_DEVICE, "FluidSynth stopped at %.3f seconds", (double)made.n_frames / o->rate_hz);
    GEN_TRY(check_sound(score, o, &made, err));
    *sound = made;
    return GEN_OK;
}
