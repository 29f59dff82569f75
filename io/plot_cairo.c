/* The plugin libgen_plot.so: a canvas by cairo. */
#include "io/plot_plugin.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <stdlib.h>

struct gen_canvas {
    cairo_t *cairo;
    cairo_surface_t *surface;
    int svg;
    gen_canvas_write write;
    void *context;
};

static const double quarter = 1.5707963267948966;

static cairo_status_t pass_on(void *context, const unsigned char *bytes, unsigned n)
{
    gen_canvas *c = context;
    return c->write(c->context, bytes, n) ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

static void set_colour(gen_canvas *c, uint32_t colour, double alpha)
{
    cairo_set_source_rgba(c->cairo, (colour >> 16) / 255.0, (colour >> 8 & 255) / 255.0, (colour & 255) / 255.0, alpha);
}

static gen_canvas *open_canvas(double width, double height, int svg, gen_canvas_write write, void *context)
{
    gen_canvas *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    *c = (gen_canvas){ .svg = svg, .write = write, .context = context };
    c->surface = svg ? cairo_svg_surface_create_for_stream(pass_on, c, width, height)
                     : cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
    c->cairo = cairo_create(c->surface); /* never NULL: an error stays inside and shows at close */
    set_colour(c, 0xffffff, 1);
    cairo_paint(c->cairo);
    return c;
}

static void line(gen_canvas *c, const double *xy, size_t n_points, uint32_t colour, double width)
{
    for (size_t i = 0; i < n_points; i++) {
        if (i) cairo_line_to(c->cairo, xy[2 * i], xy[2 * i + 1]);
        else cairo_move_to(c->cairo, xy[0], xy[1]);
    }
    set_colour(c, colour, 1);
    cairo_set_line_width(c->cairo, width);
    cairo_set_line_join(c->cairo, CAIRO_LINE_JOIN_ROUND);
    cairo_stroke(c->cairo);
}

static void box(gen_canvas *c, double x, double y, double w, double h, uint32_t colour, double alpha)
{
    set_colour(c, colour, alpha);
    cairo_rectangle(c->cairo, x, y, w, h);
    cairo_fill(c->cairo);
}

static void disc(gen_canvas *c, double x, double y, double radius, uint32_t colour, double alpha)
{
    set_colour(c, colour, alpha);
    cairo_arc(c->cairo, x, y, radius, 0, 4 * quarter);
    cairo_fill(c->cairo);
}

static void choose_font(gen_canvas *c, double size, int bold)
{
    cairo_select_font_face(c->cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(c->cairo, size);
}

static void text(gen_canvas *c, double x, double y, const char *words, double size, uint32_t colour, double at,
                 int upward, int bold)
{
    cairo_text_extents_t extents, small;
    choose_font(c, size, bold);
    cairo_text_extents(c->cairo, words, &extents);
    cairo_text_extents(c->cairo, "x", &small);
    cairo_save(c->cairo);
    cairo_translate(c->cairo, x, y);
    if (upward) cairo_rotate(c->cairo, -quarter);
    cairo_move_to(c->cairo, -at * extents.x_advance, small.height / 2);
    set_colour(c, colour, 1);
    cairo_show_text(c->cairo, words);
    cairo_restore(c->cairo);
}

static double text_width(gen_canvas *c, const char *words, double size)
{
    cairo_text_extents_t extents;
    choose_font(c, size, 0);
    cairo_text_extents(c->cairo, words, &extents);
    return extents.x_advance;
}

static void clip(gen_canvas *c, double x, double y, double w, double h)
{
    cairo_reset_clip(c->cairo);
    if (w <= 0) return;
    cairo_rectangle(c->cairo, x, y, w, h);
    cairo_clip(c->cairo);
}

static int close_canvas(gen_canvas *c)
{
    int bad = cairo_status(c->cairo) != CAIRO_STATUS_SUCCESS;
    cairo_destroy(c->cairo);
    if (!c->svg && !bad) bad = cairo_surface_write_to_png_stream(c->surface, pass_on, c) != CAIRO_STATUS_SUCCESS;
    cairo_surface_finish(c->surface);
    bad = bad || cairo_surface_status(c->surface) != CAIRO_STATUS_SUCCESS;
    cairo_surface_destroy(c->surface);
    free(c);
    return bad;
}

extern const gen_plot_plugin_table gen_plot_plugin; /* found by name with dlsym */
const gen_plot_plugin_table gen_plot_plugin = {
    GEN_PLOT_PLUGIN_VERSION, open_canvas, line, box, disc, text, text_width, clip, close_canvas
};
