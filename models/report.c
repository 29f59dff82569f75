#include "models/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "io/plot.h"
#include "models/journal.h"

/* ---- curves ------------------------------------------------------------------------------------------------------------------------ */

static const gen_curve *curve_named(const gen_curves *curves, const char *name)
{
    for (int32_t i = 0; i < curves->n; i++)
        if (!strcmp(curves->at[i].name, name)) return &curves->at[i];
    return NULL;
}

static int32_t add_series(const gen_curves *curves, const char *name, const char *legend, gen_series *series, int32_t n)
{
    const gen_curve *c = curve_named(curves, name);
    if (c) series[n++] = (gen_series){ legend, c->step, c->value, c->n };
    return n;
}

gen_status gen_report_curves(gen_run *run, const char *path, gen_error *err)
{
    gen_arena *arena = gen_arena_new();
    gen_curves curves;
    gen_series series[4];
    gen_bytes png;
    int32_t n = 0;
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory for the curves");
    gen_status status = gen_journal_read(run, arena, &curves, err);
    if (status == GEN_OK) {
        n = add_series(&curves, "train/loss", "training", series, n);
        n = add_series(&curves, "val/loss", "validation", series, n);
        gen_plot plot = { .title = gen_arena_printf(arena, "%s on %s", run->settings.model->name, run->data_name),
                          .x_label = "step",
                          .y_label = "loss",
                          .format = gen_path_has_extension(path, "svg") ? GEN_PLOT_SVG : GEN_PLOT_PNG };
        status = gen_plot_lines(&plot, series, n, arena, &png, err);
    }
    if (status == GEN_OK) status = gen_file_write(path, png.data, png.size, err);
    gen_arena_free(arena);
    return status;
}

static gen_status draw_parts(gen_run *run, const gen_curves *curves, const char *path, gen_arena *arena, gen_error *err)
{
    enum { MOST = 16 };
    static const char prefix[] = "train/loss_";
    gen_series series[MOST];
    gen_bytes file;
    int32_t n = 0;
    for (int32_t i = 0; i < curves->n && n < MOST; i++)
        if (!strncmp(curves->at[i].name, prefix, sizeof prefix - 1))
            n = add_series(curves, curves->at[i].name, curves->at[i].name + sizeof prefix - 1, series, n);
    if (!n)
        return gen_fail(err, GEN_UNSUPPORTED, "the log of %s has no parts of the loss: draw its curves",
                        run->settings.model->name);
    gen_plot plot = { .title = gen_arena_printf(arena, "%s on %s", run->settings.model->name, run->data_name),
                      .x_label = "step",
                      .y_label = "loss",
                      .log_y = 1,
                      .format = gen_path_has_extension(path, "svg") ? GEN_PLOT_SVG : GEN_PLOT_PNG };
    GEN_TRY(gen_plot_lines(&plot, series, n, arena, &file, err));
    return gen_file_write(path, file.data, file.size, err);
}

gen_status gen_report_parts(gen_run *run, const char *path, gen_error *err)
{
    gen_arena *arena = gen_arena_new();
    gen_curves curves;
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory for the curves");
    gen_status status = gen_journal_read(run, arena, &curves, err);
    if (status == GEN_OK) status = draw_parts(run, &curves, path, arena, err);
    gen_arena_free(arena);
    return status;
}

/* ---- report.html --------------------------------------------------------------------------------------------------------------------- */

typedef struct page {
    gen_arena *arena;
    char *text;
    size_t size, room;
    bool failed;
} page;

static void put_bytes(page *p, const char *text, size_t n)
{
    if (p->size + n + 1 > p->room) {
        size_t room = 2 * (p->size + n + 4096);
        char *grown = gen_arena_alloc(p->arena, room);
        if (!grown) {
            p->failed = true;
            return;
        }
        if (p->size) memcpy(grown, p->text, p->size);
        p->text = grown;
        p->room = room;
    }
    memcpy(p->text + p->size, text, n);
    p->size += n;
    p->text[p->size] = 0;
}

static void put(page *p, const char *text)
{
    put_bytes(p, text, strlen(text));
}

static void put_escaped(page *p, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '<') put(p, "&lt;");
        else if (*c == '>') put(p, "&gt;");
        else if (*c == '&') put(p, "&amp;");
        else if (*c == '"') put(p, "&quot;");
        else put_bytes(p, c, 1);
    }
}

static void put_base64(page *p, const gen_bytes *b)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < b->size; i += 3) {
        size_t n = b->size - i < 3 ? b->size - i : 3;
        uint32_t v =
            (uint32_t)b->data[i] << 16 | (n > 1 ? (uint32_t)b->data[i + 1] << 8 : 0) | (n > 2 ? b->data[i + 2] : 0);
        char four[4] = { digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=',
                         n > 2 ? digits[v & 63] : '=' };
        put_bytes(p, four, 4);
    }
}

static void put_row(page *p, const char *name, const char *value)
{
    put(p, "<tr><td>");
    put_escaped(p, name);
    put(p, "</td><td>");
    put_escaped(p, value);
    put(p, "</td></tr>\n");
}

static void put_picture(page *p, const gen_run *run, const char *file, const char *caption)
{
    gen_bytes png;
    const char *path = gen_run_path(run, file);
    if (!path || !gen_path_exists(path) || gen_file_read(path, GEN_FILE_ANY_SIZE, p->arena, &png, NULL) != GEN_OK)
        return;
    put(p, "<figure><img alt=\"");
    put_escaped(p, caption);
    put(p, "\" src=\"data:image/png;base64,");
    put_base64(p, &png);
    put(p, "\"><figcaption>");
    put_escaped(p, caption);
    put(p, "</figcaption></figure>\n");
}

static void put_options(page *p, const char *title, const gen_option *rows, const void *options)
{
    char buffer[64];
    put(p, "<h2>");
    put(p, title);
    put(p, "</h2>\n<table>\n");
    for (const gen_option *row = rows; row->name; row++)
        put_row(p, row->name, gen_option_get(row, options, buffer, sizeof buffer));
    put(p, "</table>\n");
}

static void put_results(page *p, const gen_run *run, const gen_eval_result *r, double seconds)
{
    char value[64];
    put(p, "<h2>Results</h2>\n<table>\n");
    snprintf(value, sizeof value, "%" PRId64, run->progress.step);
    put_row(p, "steps", value);
    snprintf(value, sizeof value, "%.0f s", seconds);
    put_row(p, "training time", value);
    for (int32_t i = 0; r && i < r->n; i++) {
        snprintf(value, sizeof value, "%.6g", r->mean[i]);
        put_row(p, r->name[i], value);
    }
    snprintf(value, sizeof value, "%" PRId64, r ? r->count : 0);
    if (r) put_row(p, "images evaluated", value);
    put(p, "</table>\n");
}

static const char page_head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
    "content=\"width=device-width\">\n"
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 "
    "1rem;color:#222}h1,h2{line-height:1.2}"
    "table{border-collapse:collapse}td{border-bottom:1px solid #ddd;padding:.15rem 1.2rem .15rem "
    "0}figure{margin:1.5rem 0}"
    "img{max-width:100%;min-width:min(100%,30rem);image-rendering:pixelated}figcaption{color:#666}</style>\n";

gen_status gen_report_html(gen_run *run, const gen_eval_result *results, double seconds, gen_error *err)
{
    gen_arena *arena = gen_arena_new();
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory for the report");
    page p = { .arena = arena };
    const char *model = run->settings.model->name;
    put(&p, page_head);
    put(&p, "<title>");
    put_escaped(&p, run->folder);
    put(&p, "</title></head><body>\n<h1>");
    put_escaped(&p, model);
    put(&p, " on ");
    put_escaped(&p, run->data_name);
    put(&p, "</h1>\n<p>");
    put_escaped(&p, run->settings.model->summary);
    put(&p, ": ");
    put_escaped(&p, run->settings.model->paper);
    put(&p, "</p>\n");
    put_results(&p, run, results, seconds);
    put_picture(&p, run, "loss.png", "Loss");
    put_picture(&p, run, "samples.png", "Samples");
    put_picture(&p, run, "samples-film.png", "The same samples through the training");
    put_picture(&p, run, "reconstructions.png", "Test images (odd rows) and their reconstructions (even rows)");
    put_options(&p, "Model", run->settings.model->options, run->settings.options);
    put_options(&p, "Training", gen_train_option_rows, &run->settings.train);
    put(&p, "<p>Made by gen " GEN_VERSION ".</p>\n</body></html>\n");
    gen_status status = p.failed ? gen_fail(err, GEN_NO_MEMORY, "no memory for the report")
                                 : gen_file_write(gen_run_path(run, "report.html"), p.text, p.size, err);
    gen_arena_free(arena);
    return status;
}
