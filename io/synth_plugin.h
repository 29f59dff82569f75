/* io/synth_plugin.h: what io/synth.c asks of the plugin libgen_synth.so (io/synth_fluid.c). The plugin calls nothing of gen.
 *
 *     gen_synth *s = table->open(&settings, reason, sizeof reason);
 *     table->event(s, 0x90, 60, 100);
 *     table->write(s, stereo, 44100);
 */
#ifndef GEN_IO_SYNTH_PLUGIN_H
#define GEN_IO_SYNTH_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

enum { GEN_SYNTH_PLUGIN_VERSION = 1 };

typedef struct gen_synth gen_synth;

typedef struct gen_synth_settings {
    const char *soundfont;
    double rate_hz, gain, reverb, chorus; /* levels; 0 is off */
} gen_synth_settings;

typedef struct gen_synth_plugin_table {
    uint32_t version;
    gen_synth *(*open)(const gen_synth_settings *settings, char *reason,
                       size_t reason_bytes);                       /* NULL, with the reason */
    void (*event)(gen_synth *s, int status, int data0, int data1); /* of a channel */
    void (*sysex)(gen_synth *s, const uint8_t *bytes, size_t n);   /* without F0 and F7 */
    int (*write)(gen_synth *s, float *stereo, size_t n_frames);    /* not 0 when it failed */
    int (*voices)(gen_synth *s);                                   /* that sound now */
    void (*close)(gen_synth *s);
} gen_synth_plugin_table;

#endif
