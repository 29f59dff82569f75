/* io/plot.h: curves, scatter plots, histograms and piano rolls as PNG or SVG. cairo draws, in a plugin that is opened on first use.
 *
 *     gen_series series[] = { { "train", steps, loss, n }, { "validation", val_steps, val_loss, n_val } };
 *     gen_plot plot = { .title = "vae on mnist", .x_label = "step", .y_label = "loss (nats)", .log_y = 0 };
 *     GEN_TRY(gen_plot_lines(&plot, series, 2, arena, &file, err));
 *     GEN_TRY(gen_file_write("loss.png", file.data, file.size, err));
 */
#ifndef GEN_IO_PLOT_H
#define GEN_IO_PLOT_H

#include "io/file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gen_plot_format { GEN_PLOT_PNG, GEN_PLOT_SVG } gen_plot_format;

typedef struct gen_plot {
    const char *title, *x_label, *y_label; /* UTF-8; NULL for none */
    int log_y;                             /* values that are not positive are left out */
    int32_t width_px, height_px;           /* 0: 800 x 500 */
    gen_plot_format format;
} gen_plot;

typedef struct gen_series {
    const char *name; /* for the legend */
    const double *x, *y;
    size_t n; /* points that are not finite are left out and break the line */
} gen_series;

/* All functions: the file in the arena; GEN_NO_DEVICE when the plugin is not there. Without any finite point the axes
 * are drawn from 0 to 1. */
gen_status gen_plot_lines(const gen_plot *plot, const gen_series *series, int32_t n_series, gen_arena *arena,
                          gen_bytes *out, gen_error *err);

/* Points coloured by label 0..n_labels-1 (labels NULL: one colour). label_names NULL: the numbers. */
gen_status gen_plot_scatter(const gen_plot *plot, const double *x, const double *y, const int32_t *labels, size_t n,
                            const char *const *label_names, int32_t n_labels, gen_arena *arena, gen_bytes *out,
                            gen_error *err);

/* The density of values in n_bins bars, with a curve (NULL for none) over it, such as the density it should have. */
gen_status gen_plot_histogram(const gen_plot *plot, const double *values, size_t n, int32_t n_bins,
                              const gen_series *curve, gen_arena *arena, gen_bytes *out, gen_error *err);

/* A note of a piano roll. */
typedef struct gen_plot_bar {
    double x0, x1, strength; /* 0 faint, 1 full */
    int32_t pitch, series;   /* 60 is C4; gives the colour */
} gen_plot_bar;

/* Notes over the keys of a piano, from x = 0 on, a colour for each series. names [n_names] are the legend's; 0: none. */
gen_status gen_plot_roll(const gen_plot *plot, const gen_plot_bar *bars, size_t n, const char *const *names,
                         int32_t n_names, gen_arena *arena, gen_bytes *out, gen_error *err);

/* Round numbers that cut low..high in about n steps of 1, 2 or 5 times a power of ten, both ends inside; at most 16.
 * Returns how many. */
int32_t gen_plot_ticks(double low, double high, int32_t n, double ticks[16]);

#ifdef __cplusplus
}
#endif
#endif
