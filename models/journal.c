#define _POSIX_C_SOURCE 200809L
#include "models/journal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "io/file.h"
#include "io/image.h"
#include "io/json.h"
#include "io/tfevents.h"

struct gen_journal {
    gen_run *run;
    gen_sink also;
    gen_file_log *log;
    gen_tfevents *events;
    gen_error error;
};

static double wall_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- opening: a resumed run forgets what came after its checkpoint ---------------------------------------------------------------- */

static gen_status cut_log(gen_run *run, const char *path, gen_error *err)
{
    gen_bytes text;
    if (!gen_path_exists(path)) return GEN_OK;
    GEN_TRY(gen_file_map(path, &text, err));
    size_t offset = gen_json_log_offset_after(text.data, text.size, run->progress.step);
    gen_file_unmap(&text);
    return gen_file_truncate(path, offset, err);
}

static gen_status cut_events(gen_run *run, const char *path, gen_error *err)
{
    gen_bytes data;
    size_t offset = 0;
    GEN_TRY(gen_file_map(path, &data, err));
    gen_status status = gen_tfevents_offset_after(data.data, data.size, run->progress.step, &offset, err);
    gen_file_unmap(&data);
    return status == GEN_OK ? gen_file_truncate(path, offset, err) : status;
}

/* The run's event file: the one that is there, else a new name with the time, as TensorBoard expects. */
static gen_status open_events(gen_journal *j, gen_error *err)
{
    gen_path_list list;
    const char *prefix = "events.out.tfevents.";
    char *path = NULL;
    GEN_TRY(gen_folder_list(j->run->folder, 0, j->run->arena, &list, err));
    for (size_t i = 0; i < list.n && !path; i++)
        if (!strncmp(list.path[i], prefix, strlen(prefix))) path = gen_run_path(j->run, list.path[i]);
    if (path) GEN_TRY(cut_events(j->run, path, err));
    else path = gen_run_path(j->run, gen_arena_printf(j->run->arena, "%s%.0f.gen", prefix, wall_time()));
    return gen_tfevents_open(path, wall_time(), &j->events, err);
}

static gen_status open_files(gen_journal *j, gen_error *err)
{
    char *log = gen_run_path(j->run, "log.jsonl");
    if (!log) return gen_fail(err, GEN_NO_MEMORY, "no memory for the log");
    GEN_TRY(cut_log(j->run, log, err));
    GEN_TRY(gen_file_log_open(log, &j->log, err));
    return open_events(j, err);
}

gen_status gen_journal_open(gen_run *run, const gen_sink *also, gen_journal **out, gen_error *err)
{
    gen_journal *j = gen_alloc(1, sizeof *j);
    if (!j) return gen_fail(err, GEN_NO_MEMORY, "no memory for the log");
    *j = (gen_journal){ .run = run };
    if (also) j->also = *also;
    gen_status status = open_files(j, err);
    if (status == GEN_OK) *out = j;
    else gen_journal_close(j);
    return status;
}

void gen_journal_close(gen_journal *j)
{
    if (!j) return;
    gen_file_log_close(j->log);
    gen_tfevents_close(j->events);
    gen_free(j);
}

gen_status gen_journal_error(const gen_journal *j, gen_error *err)
{
    return j->error.status == GEN_OK ? GEN_OK : gen_fail(err, j->error.status, "%s", j->error.text);
}

/* ---- writing ------------------------------------------------------------------------------------------------------------------------ */

static void write_line(gen_journal *j, const gen_event *e)
{
    gen_arena *arena = gen_arena_new();
    if (!arena) return;
    gen_json_out out = { .arena = arena };
    gen_json_open(&out, NULL, '{');
    gen_json_put_int(&out, "step", e->step);
    if (e->kind == GEN_EVENT_SCALAR) gen_json_put_double(&out, e->name, e->value);
    else gen_json_put_string(&out, e->name, e->text);
    gen_json_close(&out, '}');
    gen_json_log(j->log, &out, &j->error);
    gen_arena_free(arena);
}

/* samples/<name>-step-00000120.png, and the same picture for TensorBoard */
static void write_image(gen_journal *j, const gen_event *e)
{
    gen_arena *arena = gen_arena_new();
    gen_image image;
    gen_bytes png;
    if (!arena) return;
    char *path = gen_arena_printf(arena, "%s/samples/%s-%08" PRId64 ".png", j->run->folder, e->name, e->step);
    gen_status status = gen_image_new(e->width_px, e->height_px, e->channels, 8, arena, &image, &j->error);
    if (status == GEN_OK && path) {
        char *seed = gen_arena_printf(arena, "%" PRId64, j->run->settings.train.seed),
             *step = gen_arena_printf(arena, "%" PRId64, e->step);
        gen_image_text texts[] = { { "Software", "gen " GEN_VERSION },
                                   { "model", j->run->settings.model->name },
                                   { "seed", seed ? seed : "" },
                                   { "step", step ? step : "" } };
        image.texts = texts;
        image.n_texts = 4;
        gen_image_to_bytes(e->pixels, (size_t)e->height_px * (size_t)e->width_px * (size_t)e->channels, 0, 1,
                           image.px8);
        status = gen_png_write(&image, arena, &png, &j->error);
        if (status == GEN_OK) status = gen_file_write(path, png.data, png.size, &j->error);
        if (status == GEN_OK)
            gen_tfevents_image(j->events, e->step, wall_time(), e->name, e->height_px, e->width_px, e->channels, &png,
                               &j->error);
    }
    gen_arena_free(arena);
}

static void emit(void *context, const gen_event *e)
{
    gen_journal *j = context;
    if (e->kind == GEN_EVENT_SCALAR) {
        write_line(j, e);
        gen_tfevents_scalar(j->events, e->step, wall_time(), e->name, e->value, &j->error);
    }
    if (e->kind == GEN_EVENT_TEXT) write_line(j, e);
    if (e->kind == GEN_EVENT_IMAGE) write_image(j, e);
    if (j->also.emit) j->also.emit(j->also.context, e);
}

gen_sink gen_journal_sink(gen_journal *j)
{
    return (gen_sink){ emit, j };
}

void gen_emit_scalar(const gen_sink *sink, int64_t step, const char *name, double value)
{
    if (sink && sink->emit)
        sink->emit(sink->context, &(gen_event){ .kind = GEN_EVENT_SCALAR, .step = step, .name = name, .value = value });
}

void gen_emit_text(const gen_sink *sink, int64_t step, const char *name, const char *format, ...)
{
    char text[400];
    va_list args;
    if (!sink || !sink->emit) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sink->emit(sink->context, &(gen_event){ .kind = GEN_EVENT_TEXT, .step = step, .name = name, .text = text });
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------------- */

static gen_curve *find_curve(gen_curves *curves, const char *name, gen_arena *arena)
{
    for (int32_t i = 0; i < curves->n; i++)
        if (!strcmp(curves->at[i].name, name)) return &curves->at[i];
    enum { MAX_CURVES = 64 };
    if (!curves->at) curves->at = gen_arena_alloc(arena, MAX_CURVES * sizeof *curves->at);
    if (!curves->at || curves->n == MAX_CURVES) return NULL;
    gen_curve *c = &curves->at[curves->n];
    *c = (gen_curve){ .name = gen_arena_strdup(arena, name) };
    if (c->name) curves->n++;
    return c->name ? c : NULL;
}

static void add_point(gen_curve *c, double step, double value, gen_arena *arena)
{
    if (c->n == c->room) {
        size_t room = c->room ? 2 * c->room : 256;
        double *steps = gen_arena_alloc(arena, room * sizeof *steps),
               *values = gen_arena_alloc(arena, room * sizeof *values);
        if (!steps || !values) return;
        if (c->n) memcpy(steps, c->step, c->n * sizeof *steps), memcpy(values, c->value, c->n * sizeof *values);
        c->step = steps, c->value = values, c->room = room;
    }
    c->step[c->n] = step;
    c->value[c->n++] = value;
}

static void read_line(const char *line, size_t size, gen_arena *arena, gen_curves *out)
{
    gen_json *json = NULL;
    double step, value;
    if (gen_json_parse(line, size, &json, NULL) != GEN_OK) return; /* a line cut short by a kill */
    if (gen_json_to_double(gen_json_get(json, "step"), &step))
        for (const gen_json *item = gen_json_first(json); item; item = gen_json_next(item)) {
            if (!strcmp(gen_json_key(item), "step") || !gen_json_to_double(item, &value)) continue;
            gen_curve *c = find_curve(out, gen_json_key(item), arena);
            if (c) add_point(c, step, value, arena);
        }
    gen_json_free(json);
}

gen_status gen_journal_read(const gen_run *run, gen_arena *arena, gen_curves *out, gen_error *err)
{
    gen_bytes text;
    *out = (gen_curves){ 0 };
    GEN_TRY(gen_file_read(gen_run_path(run, "log.jsonl"), GEN_FILE_ANY_SIZE, arena, &text, err));
    const char *at = (const char *)text.data, *end = at + text.size;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) break;
        read_line(at, (size_t)(stop - at), arena, out);
        at = stop + 1;
    }
    return GEN_OK;
}
