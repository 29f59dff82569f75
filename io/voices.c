/* Voices on a grid. */
#include "io/voices.h"

#include "io/roll.h"

static gen_status check_form(const gen_voices *v, gen_error *err)
{
    if (v->steps_per_quarter < 1 || v->steps_per_quarter > 96)
        return gen_fail(err, GEN_BAD_OPTION, "%d steps in a quarter note; 1 to 96 were expected", v->steps_per_quarter);
    if (v->n_voices < 1 || v->n_voices > GEN_VOICES_MAX)
        return gen_fail(err, GEN_BAD_SHAPE, "%d voices; 1 to %d were expected", v->n_voices, GEN_VOICES_MAX);
    return GEN_OK;
}

/* ---- from notes ------------------------------------------------------------------------------------------------------------ */

typedef struct placed {
    const gen_midi_note *note;
    int64_t first, last; /* steps first to last - 1 */
    int32_t voice;       /* -1: drums */
} placed;

/* Numbers the tracks that have notes in the order of tracks; voice_of[n_tracks] gets -1 for the others. */
static int32_t number_tracks(const gen_midi_score *score, int32_t *voice_of, int32_t n_tracks)
{
    int32_t n = 0;
    for (int32_t t = 0; t < n_tracks; t++) voice_of[t] = -1;
    for (size_t i = 0; i < score->n_notes; i++)
        if (score->notes[i].channel != GEN_MIDI_DRUMS) voice_of[score->notes[i].track] = 0;
    for (int32_t t = 0; t < n_tracks; t++)
        if (voice_of[t] == 0) voice_of[t] = n++;
    return n;
}

static int32_t count_tracks(const gen_midi_score *score)
{
    int32_t n = 0;
    for (size_t i = 0; i < score->n_notes; i++)
        if (score->notes[i].track >= n) n = score->notes[i].track + 1;
    return n;
}

static int64_t step_of(const gen_midi_score *score, const gen_voices *v, int64_t ticks)
{
    return (2 * ticks * v->steps_per_quarter + score->ticks_per_quarter) / (2 * score->ticks_per_quarter);
}

static gen_status new_cells(gen_voices *v, gen_arena *arena, gen_error *err)
{
    if (v->n_steps > GEN_VOICES_MAX_STEPS)
        return gen_fail(err, GEN_UNSUPPORTED, "a grid of %lld steps; gen makes at most %d", (long long)v->n_steps,
                        GEN_VOICES_MAX_STEPS);
    int64_t n = v->n_steps * v->n_voices;
    v->cells = gen_arena_alloc(arena, (size_t)(n + 1) * sizeof *v->cells);
    if (!v->cells) return gen_fail(err, GEN_NO_MEMORY, "no memory for a grid of %lld steps", (long long)v->n_steps);
    for (int64_t i = 0; i < n; i++) v->cells[i] = GEN_VOICE_REST;
    return GEN_OK;
}

/* Notes come by start: one that begins later cuts those before it. */
static void put(gen_voices *v, const placed *p)
{
    int16_t *cell = &v->cells[p->first * v->n_voices + p->voice];
    int taken = *cell >= 0, ahead = *cell == GEN_VOICE_HOLD;
    if (taken) v->n_lost++;
    if (taken && *cell >= p->note->pitch) return;
    if (ahead) v->n_cut++;
    *cell = p->note->pitch;
    int64_t t = p->first + 1;
    for (; t < p->last; t++) v->cells[t * v->n_voices + p->voice] = GEN_VOICE_HOLD;
    for (; t < v->n_steps && v->cells[t * v->n_voices + p->voice] == GEN_VOICE_HOLD; t++)
        v->cells[t * v->n_voices + p->voice] = GEN_VOICE_REST; /* the rest of what was cut */
}

gen_status gen_voices_make(const gen_midi_score *score, gen_voices *v, gen_arena *arena, gen_error *err)
{
    GEN_TRY(check_form(v, err));
    int32_t n_tracks = count_tracks(score);
    int32_t *voice_of = gen_arena_alloc(arena, (size_t)(n_tracks + 1) * sizeof *voice_of);
    placed *all = gen_arena_alloc(arena, (score->n_notes + 1) * sizeof *all);
    if (!voice_of || !all) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu notes", score->n_notes);
    int32_t found = number_tracks(score, voice_of, n_tracks);
    if (found != v->n_voices)
        return gen_fail(err, GEN_UNSUPPORTED, "%d track%s of notes; a voice each was expected, %d of them", found,
                        found == 1 ? "" : "s", v->n_voices);
    v->n_steps = 0, v->n_cut = v->n_lost = 0;
    for (size_t i = 0; i < score->n_notes; i++) {
        const gen_midi_note *n = &score->notes[i];
        all[i] = (placed){ n, step_of(score, v, n->start_ticks), step_of(score, v, n->start_ticks + n->duration_ticks),
                           n->channel == GEN_MIDI_DRUMS ? -1 : voice_of[n->track] };
        if (all[i].last <= all[i].first) all[i].last = all[i].first + 1;
        if (all[i].voice >= 0 && all[i].last > v->n_steps) v->n_steps = all[i].last;
    }
    GEN_TRY(new_cells(v, arena, err));
    for (size_t i = 0; i < score->n_notes; i++)
        if (all[i].voice >= 0) put(v, &all[i]);
    return GEN_OK;
}

/* ---- to notes -------------------------------------------------------------------------------------------------------------- */

int32_t gen_voices_pitch(const gen_voices *v, int64_t t, int32_t i)
{
    while (t > 0 && v->cells[t * v->n_voices + i] == GEN_VOICE_HOLD) t--;
    return v->cells[t * v->n_voices + i] >= 0 ? v->cells[t * v->n_voices + i] : GEN_VOICE_REST;
}

static int64_t end_of(const gen_voices *v, int64_t t, int32_t i)
{
    while (++t < v->n_steps && v->cells[t * v->n_voices + i] == GEN_VOICE_HOLD) continue;
    return t;
}

gen_status gen_voices_notes(const gen_voices *v, int32_t ticks_per_quarter, gen_arena *arena, gen_midi_note **notes,
                            size_t *n_notes, gen_error *err)
{
    GEN_TRY(check_form(v, err));
    int32_t step = ticks_per_quarter / v->steps_per_quarter;
    size_t n = 0;
    if (step < 1 || v->n_steps > GEN_MIDI_MAX_TICKS / step)
        return gen_fail(err, GEN_BAD_OPTION, "%d ticks in a quarter note for %d steps, %lld of them", ticks_per_quarter,
                        v->steps_per_quarter, (long long)v->n_steps);
    for (int64_t c = 0; c < v->n_steps * v->n_voices; c++) n += v->cells[c] >= 0;
    *notes = gen_arena_alloc(arena, (n + 1) * sizeof **notes);
    if (!*notes) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu notes", n);
    *n_notes = 0;
    for (int64_t t = 0; t < v->n_steps; t++) {
        for (int32_t i = 0; i < v->n_voices; i++) {
            int32_t pitch = v->cells[t * v->n_voices + i], channel = i < GEN_MIDI_DRUMS ? i : i + 1;
            if (pitch < 0) continue;
            (*notes)[(*n_notes)++] = (gen_midi_note){ .start_ticks = t * step,
                                                      .duration_ticks = (end_of(v, t, i) - t) * step,
                                                      .track = i,
                                                      .pitch = (uint8_t)pitch,
                                                      .velocity = GEN_ROLL_VELOCITY,
                                                      .channel = (uint8_t)(channel & 15) };
        }
    }
    return GEN_OK;
}
