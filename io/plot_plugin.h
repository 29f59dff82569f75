/* io/plot_plugin.h: the few strokes io/plot.c asks of the plugin libgen_plot.so (io/plot_cairo.c). The plugin calls
 * nothing of gen.
 *
 *     gen_canvas *c = table->open(800, 500, 0, write, context);
 *     table->line(c, xy, n, 0x1f77b4, 2);
 *     if (table->close(c)) …
 */
#ifndef GEN_IO_PLOT_PLUGIN_H
#define GEN_IO_PLOT_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

enum { GEN_PLOT_PLUGIN_VERSION = 1 };

typedef struct gen_canvas gen_canvas;

/* Keeps bytes of the file; not 0 when it cannot. */
typedef int (*gen_canvas_write)(void *context, const void *bytes, size_t n);

/* Pixels from the top left; colours are 0xrrggbb. */
typedef struct gen_plot_plugin_table {
    uint32_t version;
    gen_canvas *(*open)(double width, double height, int svg, gen_canvas_write write,
                        void *context); /* white; NULL: no memory */
    void (*line)(gen_canvas *c, const double *xy, size_t n_points, uint32_t colour, double width);
    void (*box)(gen_canvas *c, double x, double y, double w, double h, uint32_t colour, double alpha);
    void (*disc)(gen_canvas *c, double x, double y, double radius, uint32_t colour, double alpha);
    /* at: 0 the text starts at x, 0.5 is centred on it, 1 ends there; y is the middle of small letters; upward turns it
     * a quarter left */
    void (*text)(gen_canvas *c, double x, double y, const char *text, double size, uint32_t colour, double at,
                 int upward, int bold);
    double (*text_width)(gen_canvas *c, const char *text, double size);
    void (*clip)(gen_canvas *c, double x, double y, double w, double h); /* w = 0: no more */
    int (*close)(gen_canvas *c);                                         /* not 0 when the file could not be made */
} gen_plot_plugin_table;

#endif
