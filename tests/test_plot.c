/* io/plot.c and io/plot_cairo.c. GEN_KEEP_PLOTS=folder keeps the pictures, to look at. */
#define _POSIX_C_SOURCE 200809L
#include "tests/test.h"

#include "io/image.h"
#include "io/plot.h"
#include "io/plugin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 400 };

static int has_plugin(void)
{
    gen_arena *arena = gen_arena_new();
    gen_bytes out;
    gen_status status = gen_plot_lines(&(gen_plot){ 0 }, NULL, 0, arena, &out, NULL);
    gen_arena_free(arena);
    return status != GEN_NO_DEVICE;
}

#define NEED_PLUGIN                                                                                                    \
    if (!has_plugin()) TEST_SKIP("libgen_plot.so is not built");

static void keep(const char *name, const gen_bytes *file)
{
    char path[1000];
    const char *folder = getenv("GEN_KEEP_PLOTS");
    if (!folder) return;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(gen_file_write(path, file->data, file->size, NULL), GEN_OK);
}

/* The share of pixels that are nearly this colour. */
static double share_of(const gen_bytes *png, int r, int g, int b)
{
    gen_arena *arena = gen_arena_new();
    gen_image image;
    size_t hits = 0, n;
    assert_int_equal(gen_png_read(png->data, png->size, arena, &image, NULL), GEN_OK);
    n = (size_t)image.width_px * (size_t)image.height_px;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = image.px8 + i * (size_t)image.channels;
        hits += abs(p[0] - r) + abs(p[1] - g) + abs(p[2] - b) < 24;
    }
    gen_arena_free(arena);
    return (double)hits / (double)n;
}

TEST(plot_ticks_are_round_and_inside)
{
    double t[16];
    assert_int_equal(gen_plot_ticks(0, 1, 5, t), 6);
    assert_true(fabs(t[1] - 0.2) < 1e-12 && fabs(t[5] - 1) < 1e-12);
    assert_int_equal(gen_plot_ticks(-3.1, 17, 7, t), 4); /* 0 5 10 15 */
    assert_true(fabs(t[3] - 15) < 1e-12);
    assert_int_equal(gen_plot_ticks(1, 1, 5, t), 0);
    assert_int_equal(gen_plot_ticks((double)NAN, 1, 5, t), 0);
}

TEST(plot_lines_draws_each_series_in_its_colour)
{
    NEED_PLUGIN
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    double x[N], a[N], b[N];
    for (int i = 0; i < N; i++)
        x[i] = i * 50, a[i] = 90 + 120 * exp(-i / 40.0) + 4 * sin(i * 1.7), b[i] = 93 + 110 * exp(-i / 50.0);
    a[200] = (double)NAN, b[300] = (double)INFINITY;
    gen_series series[] = { { "train", x, a, N }, { "validation", x, b, N } };
    gen_plot plot = { .title = "vae on mnist", .x_label = "step", .y_label = "loss (nats)" };
    gen_bytes file;
    TEST_OK(gen_plot_lines(&plot, series, 2, arena, &file, &err));
    keep("lines.png", &file);
    assert_true(share_of(&file, 0x1f, 0x77, 0xb4) > 0.002);
    assert_true(share_of(&file, 0xff, 0x7f, 0x0e) > 0.002);
    assert_true(share_of(&file, 255, 255, 255) > 0.8);
    plot.log_y = 1;
    b[0] = -1;
    TEST_OK(gen_plot_lines(&plot, series, 2, arena, &file, &err));
    keep("lines-log.png", &file);
    plot.format = GEN_PLOT_SVG;
    TEST_OK(gen_plot_lines(&plot, series, 2, arena, &file, &err));
    keep("lines.svg", &file);
    assert_true(file.size > 1000 && !memcmp(file.data, "<?xml", 5));
    gen_arena_free(arena);
}

TEST(plot_scatter_colours_by_label)
{
    NEED_PLUGIN
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    double x[2000], y[2000];
    int32_t labels[2000];
    uint32_t dice = 1;
    for (int i = 0; i < 2000; i++) {
        double u[4];
        for (int k = 0; k < 4; k++) dice = dice * 1664525U + 1013904223U, u[k] = (dice >> 8) / 16777216.0;
        labels[i] = i % 10;
        x[i] = 3 * cos(labels[i] * 0.628) + u[0] + u[1] - 1, y[i] = 3 * sin(labels[i] * 0.628) + u[2] + u[3] - 1;
    }
    gen_bytes file;
    gen_plot plot = { .title = "latent codes",
                      .x_label = "z\xe2\x82\x81",
                      .y_label = "z\xe2\x82\x82",
                      .width_px = 640,
                      .height_px = 560 };
    TEST_OK(gen_plot_scatter(&plot, x, y, labels, 2000, NULL, 10, arena, &file, &err));
    keep("scatter.png", &file);
    assert_true(share_of(&file, 0x17, 0xbe, 0xcf) > 0.0003); /* the legend at least */
    gen_arena_free(arena);
}

TEST(plot_histogram_stands_under_its_curve)
{
    NEED_PLUGIN
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    double values[5000], x[N], y[N];
    uint32_t dice = 1;
    for (int i = 0; i < 5000; i++) {
        values[i] = -6;
        for (int k = 0; k < 12; k++) dice = dice * 1664525U + 1013904223U, values[i] += (dice >> 8) / 16777216.0;
    }
    values[7] = (double)NAN;
    for (int i = 0; i < N; i++) x[i] = -4 + i * 0.02, y[i] = exp(-x[i] * x[i] / 2) / 2.5066282746;
    gen_series curve = { "N(0, 1)", x, y, N };
    gen_bytes file;
    TEST_OK(gen_plot_histogram(&(gen_plot){ .title = "codes of the test set", .x_label = "z", .y_label = "density" },
                               values, 5000, 40, &curve, arena, &file, &err));
    keep("histogram.png", &file);
    double bars = share_of(&file, 0x6d, 0xa6, 0xcf); /* the blue at 65 % over white */
    if (bars < 0.1 || bars > 0.4) fail_msg("%g of the picture are bars", bars);
    gen_arena_free(arena);
}

TEST(plot_of_nothing_one_point_and_equal_values_is_drawn)
{
    NEED_PLUGIN
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes file;
    const double one[] = { 5, 5, 5 }, nan[] = { (double)NAN, (double)NAN, (double)NAN }, zero[] = { 0, 0, 0 },
                 huge[] = { -1e308, 0, 1e308 };
    const double *kinds[] = { one, nan, zero, huge };
    for (int i = 0; i < 16; i++) {
        gen_series s = { "s", kinds[i / 4], kinds[i % 4], 3 };
        for (int log_y = 0; log_y < 2; log_y++)
            TEST_OK(gen_plot_lines(&(gen_plot){ .log_y = log_y }, &s, 1, arena, &file, &err));
    }
    TEST_OK(gen_plot_histogram(&(gen_plot){ 0 }, nan, 3, 5, NULL, arena, &file, &err));
    TEST_OK(gen_plot_histogram(&(gen_plot){ 0 }, one, 3, 5, NULL, arena, &file, &err));
    assert_int_equal(gen_plot_histogram(&(gen_plot){ 0 }, one, 3, 0, NULL, arena, &file, &err), GEN_BAD_OPTION);
    gen_arena_free(arena);
}

TEST(plot_survives_failing_allocations)
{
    NEED_PLUGIN
    const double x[] = { 0, 1 };
    for (uint64_t n = 1, done = 0; !done; n++) {
        gen_arena *arena = gen_arena_new();
        gen_bytes file;
        gen_alloc_fail_at(n);
        gen_status status = gen_plot_lines(&(gen_plot){ 0 }, &(gen_series){ "s", x, x, 2 }, 1, arena, &file, NULL);
        gen_alloc_fail_at(0);
        done = status == GEN_OK;
        assert_true(done || status == GEN_NO_MEMORY);
        gen_arena_free(arena);
    }
}

TEST(plugin_that_is_absent_or_of_another_version_gives_one_sentence)
{
    gen_error err = { 0 };
    const void *table;
    assert_int_equal(gen_plugin_open("gen_nothing", 1, "testing", &table, &err), GEN_NO_DEVICE);
    assert_string_equal(err.text, "testing needs libgen_nothing.so, which was not found: build gen with that library "
                                  "installed, or set $GEN_PLUGINS");
    NEED_PLUGIN
    err = (gen_error){ 0 };
    assert_int_equal(gen_plugin_open("gen_plot", 9999, "testing", &table, &err), GEN_NO_DEVICE);
    assert_non_null(strstr(err.text, "another one was found"));
}

TEST(plugin_that_is_no_library_is_passed_over)
{
    gen_error err = { 0 };
    const void *table;
    char path[1100];
    const char *folder = test_folder();
    snprintf(path, sizeof path, "%s/libgen_broken.so", folder);
    TEST_OK(gen_file_write(path, "no library", 10, &err));
    setenv("GEN_PLUGINS", folder, 1);
    gen_status status = gen_plugin_open("gen_broken", 1, "testing", &table, &err);
    unsetenv("GEN_PLUGINS");
    assert_int_equal(status, GEN_NO_DEVICE);
    assert_non_null(strstr(err.text, "libgen_broken.so"));
}
