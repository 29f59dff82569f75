/* The plugin libgen_synth.so: FluidSynth. Its player and its file renderer are left alone: io/synth.c knows when events come. */
#include "io/synth_plugin.h"

#include <fluidsynth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gen_synth {
    fluid_settings_t *settings;
    fluid_synth_t *synth;
};

static char last_words[200]; /* what FluidSynth said when something failed; it has one log for the process */

static void keep_words(int level, const char *message, void *data)
{
    (void)level, (void)data;
    snprintf(last_words, sizeof last_words, "%s", message);
}

static void be_quiet(int level, const char *message, void *data)
{
    (void)level, (void)message, (void)data;
}

static void close_synth(gen_synth *s)
{
    if (s->synth) delete_fluid_synth(s->synth);
    if (s->settings) delete_fluid_settings(s->settings);
    free(s);
}

/* One core and no locked memory: the same samples on every machine, and containers that forbid mlock do. */
static int set_up(fluid_settings_t *f, const gen_synth_settings *o)
{
    int bad = fluid_settings_setnum(f, "synth.sample-rate", o->rate_hz);
    bad |= fluid_settings_setnum(f, "synth.gain", o->gain);
    bad |= fluid_settings_setint(f, "synth.reverb.active", o->reverb > 0);
    bad |= fluid_settings_setint(f, "synth.chorus.active", o->chorus > 0);
    if (o->reverb > 0) bad |= fluid_settings_setnum(f, "synth.reverb.level", o->reverb);
    if (o->chorus > 0) bad |= fluid_settings_setnum(f, "synth.chorus.level", o->chorus);
    bad |= fluid_settings_setint(f, "synth.lock-memory", 0);
    bad |= fluid_settings_setint(f, "synth.cpu-cores", 1);
    return bad != FLUID_OK;
}

static gen_synth *open_synth(const gen_synth_settings *o, char *reason, size_t reason_bytes)
{
    gen_synth *s = calloc(1, sizeof *s);
    fluid_set_log_function(FLUID_PANIC, keep_words, NULL);
    fluid_set_log_function(FLUID_ERR, keep_words, NULL);
    fluid_set_log_function(FLUID_WARN, be_quiet, NULL);
    fluid_set_log_function(FLUID_INFO, be_quiet, NULL);
    last_words[0] = 0;
    snprintf(reason, reason_bytes, "FluidSynth could not start");
    if (!s) return NULL;
    s->settings = new_fluid_settings();
    if (s->settings && set_up(s->settings, o)) snprintf(reason, reason_bytes, "FluidSynth takes no such settings");
    else if (s->settings) s->synth = new_fluid_synth(s->settings);
    if (s->synth && fluid_synth_sfload(s->synth, o->soundfont, 1) != FLUID_FAILED) return s;
    if (s->synth)
        snprintf(reason, reason_bytes, "%s is no SoundFont that FluidSynth can read%s%s", o->soundfont,
                 *last_words ? ": " : "", last_words);
    close_synth(s);
    return NULL;
}

/* Failures here are of no matter: the end of a note that has ended, a program that the SoundFont lacks (then another one is
 * taken). */
static void event(gen_synth *s, int status, int a, int b)
{
    int channel = status & 15;
    switch (status & 0xF0) {
    case 0x80: (void)fluid_synth_noteoff(s->synth, channel, a); break;
    case 0x90: (void)fluid_synth_noteon(s->synth, channel, a, b); break;
    case 0xA0: (void)fluid_synth_key_pressure(s->synth, channel, a, b); break;
    case 0xB0: (void)fluid_synth_cc(s->synth, channel, a, b); break;
    case 0xC0: (void)fluid_synth_program_change(s->synth, channel, a); break;
    case 0xD0: (void)fluid_synth_channel_pressure(s->synth, channel, a); break;
    default: (void)fluid_synth_pitch_bend(s->synth, channel, a | b << 7); break;
    }
}

static void sysex(gen_synth *s, const uint8_t *bytes, size_t n)
{
    if (n < 1 << 20) (void)fluid_synth_sysex(s->synth, (const char *)bytes, (int)n, NULL, NULL, NULL, 0);
}

static int write_frames(gen_synth *s, float *stereo, size_t n)
{
    enum { PIECE = 1 << 20 };
    for (size_t done = 0; done < n;) {
        size_t piece = n - done < PIECE ? n - done : PIECE;
        float *at = stereo + 2 * done;
        if (fluid_synth_write_float(s->synth, (int)piece, at, 0, 2, at, 1, 2) != FLUID_OK) return 1;
        done += piece;
    }
    return 0;
}

static int voices(gen_synth *s)
{
    return fluid_synth_get_active_voice_count(s->synth);
}

extern const gen_synth_plugin_table gen_synth_plugin; /* found by name with dlsym */
const gen_synth_plugin_table gen_synth_plugin = {
    GEN_SYNTH_PLUGIN_VERSION, open_synth, event, sysex, write_frames, voices, close_synth
};
