/* Plots: ranges, ticks, axes, legend. Strokes are the plugin's. */
#include "io/plot.h"

#include "io/plot_plugin.h"
#include "io/plugin.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_WIDTH = 800, DEFAULT_HEIGHT = 500, MAX_TICKS = 16, TEXT = 13, TITLE = 16, MARGIN = 16 };

static const uint32_t ink = 0x333333, grid_colour = 0xe6e6e6;

/* Tableau's twenty, as matplotlib orders them: ten, then the same ones lighter. */
static uint32_t series_colour(int32_t i)
{
    static const uint32_t colours[] = { 0x1f77b4, 0xff7f0e, 0x2ca02c, 0xd62728, 0x9467bd, 0x8c564b, 0xe377c2,
                                        0x7f7f7f, 0xbcbd22, 0x17becf, 0xaec7e8, 0xffbb78, 0x98df8a, 0xff9896,
                                        0xc5b0d5, 0xc49c94, 0xf7b6d2, 0xc7c7c7, 0xdbdb8d, 0x9edae5 };
    return colours[i % 20];
}

typedef struct file_out {
    gen_arena *arena;
    gen_bytes bytes;
    size_t room;
} file_out;

typedef struct figure {
    const gen_plot *plot;
    const gen_plot_plugin_table *draw;
    gen_canvas *canvas;
    file_out file;
    double x0, x1, y0, y1;           /* values at the edges; y as its logarithm when log_y */
    double left, top, width, height; /* the area inside the axes, px */
    double ticks_x[MAX_TICKS], ticks_y[MAX_TICKS];
    int32_t n_x, n_y;
    int is_roll;              /* y are pitches: black and white keys, ticks at each C */
    const char *const *names; /* legend: n_names, NULL for the numbers */
    int32_t n_names;
} figure;

/* ---- ranges and ticks ---- */

static double nice_step(double raw)
{
    double power = pow(10, floor(log10(raw))), rest = raw / power;
    return power * (rest <= 1.0000001 ? 1 : rest <= 2.0000001 ? 2 : rest <= 5.0000001 ? 5 : 10);
}

int32_t gen_plot_ticks(double low, double high, int32_t n, double ticks[16])
{
    int32_t count = 0;
    if (!(high > low) || n < 1) return 0;
    double step = nice_step((high - low) / n);
    for (double k = ceil(low / step - 1e-9); k * step <= high + step * 1e-9 && count < MAX_TICKS; k++)
        ticks[count++] = k * step;
    return count;
}

typedef struct range {
    double low, high;
} range;

/* Beyond this, differences and squares would overflow. */
static int is_usable(double v)
{
    return fabs(v) < 1e150;
}

static void widen_range(range *r, double v)
{
    if (!is_usable(v)) return;
    if (v < r->low) r->low = v;
    if (v > r->high) r->high = v;
}

static const range no_range = { DBL_MAX, -DBL_MAX };

/* A little air on both sides; a single value gets a range around it. */
static range with_air(range r, double air)
{
    if (r.low > r.high) return (range){ 0, 1 };
    double span = r.high - r.low, least = fmax(fabs(r.high), 1e-30) * 1e-6;
    if (span < least)
        return (range){ r.low - fmax(fabs(r.low) * 0.1, 1e-30), r.high + fmax(fabs(r.high) * 0.1, 1e-30) };
    return (range){ r.low - span * air, r.high + span * air };
}

static double y_value(const gen_plot *plot, double y)
{
    if (!plot->log_y) return y;
    return y > 0 ? log10(y) : -HUGE_VAL;
}

static int has_point(const gen_plot *plot, double x, double y)
{
    return is_usable(x) && is_usable(y_value(plot, y));
}

static void set_range(figure *f, range x, range y)
{
    x = with_air(x, 0.02), y = with_air(y, 0.05);
    f->x0 = x.low, f->x1 = x.high, f->y0 = y.low, f->y1 = y.high;
}

/* Decades; when there are fewer than two, also 2 and 5 times them, plain numbers when even those are too few. */
static int32_t log_ticks(double low, double high, double ticks[MAX_TICKS])
{
    static const double parts[] = { 0, 0.30102999566398120, 0.69897000433601880 };
    int32_t n = 0;
    double step = high - low > 8 ? ceil((high - low) / 8) : 1;
    int n_parts = high - low < 2.5 ? 3 : 1;
    for (double decade = floor(low / step) * step; decade <= high; decade += step)
        for (int i = 0; i < n_parts; i++)
            if (decade + parts[i] >= low && decade + parts[i] <= high && n < MAX_TICKS) ticks[n++] = decade + parts[i];
    if (n >= 4) return n;
    n = gen_plot_ticks(pow(10, low), pow(10, high), 5, ticks);
    for (int32_t i = 0; i < n; i++) ticks[i] = log10(ticks[i]);
    return n;
}

static int32_t octave_ticks(double low, double high, double ticks[MAX_TICKS])
{
    int32_t n = 0;
    for (double c = ceil(low / 12) * 12; c <= high && n < MAX_TICKS; c += 12) ticks[n++] = c;
    return n;
}

static void find_ticks(figure *f)
{
    f->n_x = gen_plot_ticks(f->x0, f->x1, f->is_roll ? 12 : 7, f->ticks_x);
    if (f->is_roll) {
        f->n_y = octave_ticks(f->y0, f->y1, f->ticks_y);
        return;
    }
    f->n_y = f->plot->log_y ? log_ticks(f->y0, f->y1, f->ticks_y) : gen_plot_ticks(f->y0, f->y1, 6, f->ticks_y);
}

/* 0.3 not 0.30000000000000004; 20k for 20000; 1.2M. */
static const char *tick_text(double v, double step, char buffer[32])
{
    double size = fabs(v);
    if (size < step * 1e-6) snprintf(buffer, 32, "0");
    else if (size >= 1e6 && size < 1e9) snprintf(buffer, 32, "%.6gM", v / 1e6);
    else if ((size >= 1e4 || step >= 1e3) && size < 1e6) snprintf(buffer, 32, "%.6gk", v / 1e3);
    else snprintf(buffer, 32, "%.6g", v);
    return buffer;
}

static double tick_step(const double *ticks, int32_t n)
{
    return n > 1 ? ticks[1] - ticks[0] : 1;
}

static const char *y_tick_text(const figure *f, int32_t i, char buffer[32])
{
    double v = f->ticks_y[i];
    if (f->is_roll) return snprintf(buffer, 32, "C%g", v / 12 - 1), buffer;
    return f->plot->log_y ? tick_text(pow(10, v), 0, buffer) : tick_text(v, tick_step(f->ticks_y, f->n_y), buffer);
}

/* ---- the frame ---- */

static double x_px(const figure *f, double x)
{
    return f->left + (x - f->x0) / (f->x1 - f->x0) * f->width;
}

/* y as y_value gives it */
static double y_px(const figure *f, double y)
{
    return f->top + (f->y1 - y) / (f->y1 - f->y0) * f->height;
}

static const char *legend_text(const figure *f, int32_t i, char buffer[16])
{
    if (f->names) return f->names[i] ? f->names[i] : "";
    snprintf(buffer, 16, "%d", i);
    return buffer;
}

static double legend_width(const figure *f)
{
    double widest = 0;
    char buffer[16];
    for (int32_t i = 0; i < f->n_names; i++)
        widest = fmax(widest, f->draw->text_width(f->canvas, legend_text(f, i, buffer), TEXT));
    return f->n_names ? widest + 24 + MARGIN : 0;
}

static void lay_out(figure *f, double width, double height)
{
    double widest = 0;
    char buffer[32];
    for (int32_t i = 0; i < f->n_y; i++)
        widest = fmax(widest, f->draw->text_width(f->canvas, y_tick_text(f, i, buffer), TEXT));
    f->left = MARGIN + widest + 8 + (f->plot->y_label ? TEXT + 10 : 0);
    f->top = MARGIN + (f->plot->title ? TITLE + 12 : 0);
    f->width = fmax(20, width - f->left - legend_width(f) - MARGIN - 4);
    f->height = fmax(20, height - f->top - MARGIN - TEXT - 8 - (f->plot->x_label ? TEXT + 10 : 0));
}

static void stroke(const figure *f, double xa, double ya, double xb, double yb, uint32_t colour)
{
    f->draw->line(f->canvas, (double[]){ xa, ya, xb, yb }, 2, colour, 1);
}

/* On the middle of a pixel, a line one pixel wide is sharp. */
static double sharp(double v)
{
    return floor(v) + 0.5;
}

static void draw_axes(const figure *f)
{
    char buffer[32];
    double bottom = f->top + f->height, right = f->left + f->width;
    for (int32_t i = 0; i < f->n_x; i++) {
        double x = sharp(x_px(f, f->ticks_x[i]));
        stroke(f, x, f->top, x, bottom, grid_colour);
        f->draw->text(f->canvas, x, bottom + 6 + TEXT / 2.0,
                      tick_text(f->ticks_x[i], tick_step(f->ticks_x, f->n_x), buffer), TEXT, ink, 0.5, 0, 0);
    }
    for (int32_t i = 0; i < f->n_y; i++) {
        double y = sharp(y_px(f, f->ticks_y[i]));
        if (!f->is_roll) stroke(f, f->left, y, right, y, grid_colour);
        f->draw->text(f->canvas, f->left - 8, y, y_tick_text(f, i, buffer), TEXT, ink, 1, 0, 0);
    }
    stroke(f, sharp(f->left), f->top, sharp(f->left), sharp(bottom), ink);
    stroke(f, sharp(f->left), sharp(bottom), right, sharp(bottom), ink);
}

static void draw_labels(const figure *f, double height)
{
    double x = f->left + f->width / 2, y = f->top + f->height / 2;
    const gen_plot *p = f->plot;
    if (p->title) f->draw->text(f->canvas, x, MARGIN + TITLE / 2.0, p->title, TITLE, 0x111111, 0.5, 0, 1);
    if (p->x_label) f->draw->text(f->canvas, x, height - MARGIN / 2.0 - TEXT / 2.0, p->x_label, TEXT, ink, 0.5, 0, 0);
    if (p->y_label) f->draw->text(f->canvas, MARGIN / 2.0 + TEXT / 2.0, y, p->y_label, TEXT, ink, 0.5, 1, 0);
}

static void draw_legend(const figure *f)
{
    char buffer[16];
    double x = f->left + f->width + MARGIN, step = fmin(TEXT + 8, f->height / fmax(1, f->n_names));
    for (int32_t i = 0; i < f->n_names; i++) {
        double y = f->top + step * (i + 0.5);
        f->draw->box(f->canvas, x, y - 5, 14, 10, series_colour(i), 1);
        f->draw->text(f->canvas, x + 22, y, legend_text(f, i, buffer), TEXT, ink, 0, 0, 0);
    }
}

/* ---- opening and closing ---- */

static int keep_bytes(void *context, const void *bytes, size_t n)
{
    file_out *file = context;
    if (n > file->room - file->bytes.size) {
        size_t room = file->room * 2 + n + 16384;
        uint8_t *grown = gen_arena_alloc(file->arena, room);
        if (!grown) return 1;
        if (file->bytes.size) memcpy(grown, file->bytes.data, file->bytes.size);
        file->bytes.data = grown, file->room = room;
    }
    memcpy(file->bytes.data + file->bytes.size, bytes, n);
    file->bytes.size += n;
    return 0;
}

/* Draws all that does not depend on the kind of plot and limits drawing to the area. Ranges are set before. */
static gen_status figure_open(figure *f, const gen_plot *plot, gen_arena *arena, gen_error *err)
{
    const void *table;
    double width = plot->width_px ? plot->width_px : DEFAULT_WIDTH,
           height = plot->height_px ? plot->height_px : DEFAULT_HEIGHT;
    if (width < 100 || height < 100 || width > 10000 || height > 10000)
        return gen_fail(err, GEN_BAD_OPTION, "a plot of %g x %g pixels: 100 to 10000 were expected", width, height);
    GEN_TRY(gen_plugin_open("gen_plot", GEN_PLOT_PLUGIN_VERSION, "drawing plots (cairo)", &table, err));
    f->draw = table, f->file.arena = arena;
    f->canvas = f->draw->open(width, height, plot->format == GEN_PLOT_SVG, keep_bytes, &f->file);
    if (!f->canvas) return gen_fail(err, GEN_NO_MEMORY, "no memory for a plot of %g x %g pixels", width, height);
    find_ticks(f);
    lay_out(f, width, height);
    draw_axes(f);
    draw_labels(f, height);
    draw_legend(f);
    f->draw->clip(f->canvas, f->left, f->top - 2, f->width + 2, f->height + 2);
    return GEN_OK;
}

static gen_status figure_close(figure *f, gen_bytes *out, gen_error *err)
{
    if (f->draw->close(f->canvas)) return gen_fail(err, GEN_NO_MEMORY, "no memory to make the plot");
    *out = f->file.bytes;
    return GEN_OK;
}

/* ---- kinds ---- */

/* xy has room for all points. Each run of points that are there is one line; a point alone is a dot. */
static void draw_series(const figure *f, const gen_series *s, uint32_t colour, double *xy)
{
    size_t n = 0;
    for (size_t i = 0; i <= s->n; i++) {
        if (i < s->n && has_point(f->plot, s->x[i], s->y[i])) {
            xy[2 * n] = x_px(f, s->x[i]), xy[2 * n + 1] = y_px(f, y_value(f->plot, s->y[i]));
            n++;
            continue;
        }
        if (n == 1) f->draw->disc(f->canvas, xy[0], xy[1], 2.5, colour, 1);
        else if (n) f->draw->line(f->canvas, xy, n, colour, 1.8);
        n = 0;
    }
}

static void range_of_series(const gen_plot *plot, const gen_series *s, range *x, range *y)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!has_point(plot, s->x[i], s->y[i])) continue;
        widen_range(x, s->x[i]);
        widen_range(y, y_value(plot, s->y[i]));
    }
}

static double *room_for_points(size_t n, gen_arena *arena, gen_error *err)
{
    double *xy = gen_arena_alloc(arena, 2 * (n + 1) * sizeof *xy);
    if (!xy) gen_fail(err, GEN_NO_MEMORY, "no memory for a plot of %zu points", n);
    return xy;
}

gen_status gen_plot_lines(const gen_plot *plot, const gen_series *series, int32_t n_series, gen_arena *arena,
                          gen_bytes *out, gen_error *err)
{
    figure f = { .plot = plot };
    range x = no_range, y = no_range;
    size_t most = 0;
    const char **names = gen_arena_alloc(arena, (size_t)n_series * sizeof *names);
    for (int32_t i = 0; i < n_series && names; i++) {
        range_of_series(plot, &series[i], &x, &y);
        names[i] = series[i].name;
        if (series[i].n > most) most = series[i].n;
    }
    double *xy = room_for_points(most, arena, err);
    if (!xy || !names) return gen_fail(err, GEN_NO_MEMORY, "no memory for a plot of %d series", n_series);
    set_range(&f, x, y);
    if (n_series > 1) f.names = names, f.n_names = n_series;
    GEN_TRY(figure_open(&f, plot, arena, err));
    for (int32_t i = 0; i < n_series; i++) draw_series(&f, &series[i], series_colour(i), xy);
    return figure_close(&f, out, err);
}

gen_status gen_plot_scatter(const gen_plot *plot, const double *x, const double *y, const int32_t *labels, size_t n,
                            const char *const *label_names, int32_t n_labels, gen_arena *arena, gen_bytes *out,
                            gen_error *err)
{
    figure f = { .plot = plot };
    range rx = no_range, ry = no_range;
    range_of_series(plot, &(gen_series){ NULL, x, y, n }, &rx, &ry);
    set_range(&f, rx, ry);
    if (labels && n_labels > 0) f.names = label_names, f.n_names = n_labels;
    GEN_TRY(figure_open(&f, plot, arena, err));
    double radius = n > 5000 ? 1.4 : n > 500 ? 2 : 3, alpha = n > 5000 ? 0.5 : 0.75;
    for (size_t i = 0; i < n; i++)
        if (has_point(plot, x[i], y[i]))
            f.draw->disc(f.canvas, x_px(&f, x[i]), y_px(&f, y_value(plot, y[i])), radius,
                         series_colour(labels ? labels[i] & 0xffff : 0), alpha);
    return figure_close(&f, out, err);
}

static void count_bins(const double *values, size_t n, range r, int32_t n_bins, double *density)
{
    double width = (r.high - r.low) / n_bins;
    size_t finite = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_usable(values[i])) continue;
        int32_t bin = (int32_t)((values[i] - r.low) / width);
        density[bin < n_bins ? bin : n_bins - 1]++;
        finite++;
    }
    for (int32_t i = 0; i < n_bins && finite; i++) density[i] /= (double)finite * width;
}

static void draw_bars(const figure *f, range r, int32_t n_bins, const double *density)
{
    double width = (r.high - r.low) / n_bins, floor_px = y_px(f, f->y0);
    for (int32_t i = 0; i < n_bins; i++) {
        double left = x_px(f, r.low + i * width), right = x_px(f, r.low + (i + 1) * width),
               value = y_value(f->plot, density[i]);
        if (!is_usable(value) || density[i] <= 0) continue;
        f->draw->box(f->canvas, left + 0.5, y_px(f, value), fmax(0.5, right - left - 1), floor_px - y_px(f, value),
                     series_colour(0), 0.65);
    }
}

gen_status gen_plot_histogram(const gen_plot *plot, const double *values, size_t n, int32_t n_bins,
                              const gen_series *curve, gen_arena *arena, gen_bytes *out, gen_error *err)
{
    figure f = { .plot = plot };
    range bars = no_range, y = no_range;
    if (n_bins < 1 || n_bins > 10000)
        return gen_fail(err, GEN_BAD_OPTION, "a histogram with %d bars: 1 to 10000 were expected", n_bins);
    for (size_t i = 0; i < n; i++) widen_range(&bars, values[i]);
    bars = with_air(bars, 0);
    double *density = gen_arena_alloc(arena, (size_t)n_bins * sizeof *density),
           *xy = room_for_points(curve ? curve->n : 0, arena, err);
    if (!density || !xy) return gen_fail(err, GEN_NO_MEMORY, "no memory for a histogram of %d bars", n_bins);
    count_bins(values, n, bars, n_bins, density);
    range x = bars;
    if (!plot->log_y) widen_range(&y, 0);
    for (int32_t i = 0; i < n_bins; i++) widen_range(&y, y_value(plot, density[i]));
    if (curve) range_of_series(plot, curve, &x, &y);
    set_range(&f, x, y);
    if (!plot->log_y) f.y0 = 0; /* bars stand on the axis */
    const char *names[] = { "data", curve ? curve->name : "" };
    if (curve) f.names = names, f.n_names = 2;
    GEN_TRY(figure_open(&f, plot, arena, err));
    draw_bars(&f, bars, n_bins, density);
    if (curve) draw_series(&f, curve, series_colour(1), xy);
    return figure_close(&f, out, err);
}

/* ---- piano rolls ---- */

/* Rows of black keys are grey, and a line lies below each C. */
static void draw_keys(const figure *f)
{
    for (int32_t pitch = (int32_t)ceil(f->y0); pitch <= f->y1; pitch++) {
        double top = y_px(f, pitch + 0.5), bottom = y_px(f, pitch - 0.5);
        int key = pitch % 12;
        if (key == 1 || key == 3 || key == 6 || key == 8 || key == 10)
            f->draw->box(f->canvas, f->left, top, f->width, bottom - top, 0x000000, 0.045);
        if (key == 0) stroke(f, f->left, sharp(bottom), f->left + f->width, sharp(bottom), 0xc8c8c8);
    }
}

static void draw_bar(const figure *f, const gen_plot_bar *bar)
{
    double left = x_px(f, bar->x0), width = x_px(f, bar->x1) - left, row = f->height / (f->y1 - f->y0);
    double gap = row > 5 ? 1 : 0; /* between keys, and between repeated notes */
    uint32_t colour = series_colour(bar->series & 0xffff);
    width = fmax(1, width - (width > 3 ? 1 : 0));
    f->draw->box(f->canvas, left, y_px(f, bar->pitch + 0.5) + gap / 2, width, fmax(1, row - gap), colour,
                 0.35 + 0.65 * fmin(1, fmax(0, bar->strength)));
}

gen_status gen_plot_roll(const gen_plot *plot, const gen_plot_bar *bars, size_t n, const char *const *names,
                         int32_t n_names, gen_arena *arena, gen_bytes *out, gen_error *err)
{
    enum { AIR = 2, LEAST = 24 }; /* keys: around the notes, and in all */
    figure f = { .plot = plot, .is_roll = 1, .names = names, .n_names = n_names };
    range x = { 0, 0 }, y = no_range;
    for (size_t i = 0; i < n; i++) {
        widen_range(&x, bars[i].x1);
        widen_range(&y, bars[i].pitch);
    }
    if (y.low > y.high) y = (range){ 60, 60 };
    double more = fmax(0, LEAST - (y.high - y.low)) / 2;
    f.x0 = 0, f.x1 = x.high > 0 ? x.high * 1.005 : 1;
    f.y0 = fmax(-0.5, floor(y.low - more) - AIR + 0.5), f.y1 = fmin(127.5, ceil(y.high + more) + AIR - 0.5);
    GEN_TRY(figure_open(&f, plot, arena, err));
    draw_keys(&f);
    for (size_t i = 0; i < n; i++) draw_bar(&f, &bars[i]);
    return figure_close(&f, out, err);
}
