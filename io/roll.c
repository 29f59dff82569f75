/* Piano rolls. */
#include "io/roll.h"

#include <math.h>

static gen_status check_form(const gen_roll *roll, gen_error *err)
{
    if (roll->steps_per_quarter < 1 || roll->steps_per_quarter > 96)
        return gen_fail(err, GEN_BAD_OPTION, "%d steps in a quarter note; 1 to 96 were expected",
                        roll->steps_per_quarter);
    if (roll->lowest < 0 || roll->n_pitches < 1 || roll->lowest + roll->n_pitches > 128)
        return gen_fail(err, GEN_BAD_SHAPE, "a piano roll of pitches %d to %d; 0 to 127 were expected", roll->lowest,
                        roll->lowest + roll->n_pitches - 1);
    return GEN_OK;
}

static int64_t step_of(const gen_midi_score *score, const gen_roll *roll, int64_t ticks)
{
    return (2 * ticks * roll->steps_per_quarter + score->ticks_per_quarter) / (2 * score->ticks_per_quarter);
}

/* Whether the note has a place; its steps are first to last - 1. */
static int place(const gen_midi_score *score, const gen_roll *roll, const gen_midi_note *n, int64_t *first,
                 int64_t *last)
{
    *first = step_of(score, roll, n->start_ticks);
    *last = step_of(score, roll, n->start_ticks + n->duration_ticks);
    if (*last <= *first) *last = *first + 1;
    return n->channel != GEN_MIDI_DRUMS && n->pitch >= roll->lowest && n->pitch < roll->lowest + roll->n_pitches;
}

gen_status gen_roll_make(const gen_midi_score *score, gen_roll *roll, gen_arena *arena, gen_error *err)
{
    int64_t first, last;
    GEN_TRY(check_form(roll, err));
    roll->n_steps = 0, roll->n_outside = roll->n_drums = 0;
    for (size_t i = 0; i < score->n_notes; i++) {
        if (place(score, roll, &score->notes[i], &first, &last))
            roll->n_steps = last > roll->n_steps ? last : roll->n_steps;
        else if (score->notes[i].channel == GEN_MIDI_DRUMS) roll->n_drums++;
        else roll->n_outside++;
    }
    if (roll->n_steps > GEN_ROLL_MAX_STEPS)
        return gen_fail(err, GEN_UNSUPPORTED, "a piano roll of %lld steps; gen makes at most %d",
                        (long long)roll->n_steps, GEN_ROLL_MAX_STEPS);
    roll->values = gen_arena_alloc(arena, (size_t)(roll->n_steps * roll->n_pitches) * sizeof *roll->values);
    if (!roll->values)
        return gen_fail(err, GEN_NO_MEMORY, "no memory for a piano roll of %lld steps", (long long)roll->n_steps);
    for (size_t i = 0; i < score->n_notes; i++) {
        const gen_midi_note *n = &score->notes[i];
        if (!place(score, roll, n, &first, &last)) continue;
        for (int64_t t = first; t < last; t++)
            roll->values[t * roll->n_pitches + n->pitch - roll->lowest] = (float)n->velocity / 127.0F;
    }
    return GEN_OK;
}

static int is_on(const gen_roll *roll, int64_t t, int32_t p)
{
    return t >= 0 && t < roll->n_steps && roll->values[t * roll->n_pitches + p] > 0;
}

static int is_binary(const gen_roll *roll)
{
    for (int64_t i = 0; i < roll->n_steps * roll->n_pitches; i++)
        if (roll->values[i] != 0 && roll->values[i] != 1) return 0;
    return 1;
}

gen_status gen_roll_notes(const gen_roll *roll, int32_t ticks_per_quarter, gen_arena *arena, gen_midi_note **notes,
                          size_t *n_notes, gen_error *err)
{
    size_t n = 0;
    GEN_TRY(check_form(roll, err));
    int32_t binary = is_binary(roll), step = ticks_per_quarter / roll->steps_per_quarter;
    if (step < 1 || roll->n_steps > GEN_MIDI_MAX_TICKS / step)
        return gen_fail(err, GEN_BAD_OPTION, "%d ticks in a quarter note for %d steps, %lld of them", ticks_per_quarter,
                        roll->steps_per_quarter, (long long)roll->n_steps);
    for (int64_t t = 0; t < roll->n_steps; t++)
        for (int32_t p = 0; p < roll->n_pitches; p++) n += is_on(roll, t, p) && !is_on(roll, t - 1, p);
    *notes = gen_arena_alloc(arena, n * sizeof **notes);
    if (!*notes) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu notes", n);
    *n_notes = 0;
    for (int64_t t = 0; t < roll->n_steps; t++) {
        for (int32_t p = 0; p < roll->n_pitches; p++) {
            int64_t end = t + 1;
            if (!is_on(roll, t, p) || is_on(roll, t - 1, p)) continue;
            while (is_on(roll, end, p)) end++;
            double velocity = rint((double)roll->values[t * roll->n_pitches + p] * 127);
            (*notes)[(*n_notes)++] = (gen_midi_note){
                .start_ticks = t * step,
                .duration_ticks = (end - t) * step,
                .pitch = (uint8_t)(roll->lowest + p),
                .velocity = (uint8_t)(binary           ? GEN_ROLL_VELOCITY
                                      : velocity < 1   ? 1
                                      : velocity > 127 ? 127
                                                       : velocity),
            };
        }
    }
    return GEN_OK;
}
