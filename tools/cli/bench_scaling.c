/* gen bench WORKLOAD --scaling: the time of a step against the number of pictures, and against their size. Both are straight lines where the work is. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>

#include "io/plot.h"
#include "kernels/devices.h"
#include "tools/cli/workload.h"

enum { SIZES = 4, SERIES = 2 };

static const char *const names[SERIES] = { "more pictures", "larger pictures" };
/* Of the workload's own: the batch, or height and width, in quarters. */
static const int64_t quarters[SERIES][SIZES] = { { 4, 8, 12, 16 }, { 2, 3, 4, 6 } };

typedef struct point {
    cli_workload w;
    double ms;
} point;

static cli_workload scaled(const cli_workload *w, int series, int64_t in_quarters)
{
    cli_workload s = *w;
    if (series == 0) s.batch = w->batch * in_quarters / 4;
    if (series == 1) s.height = w->height * in_quarters / 4;
    if (series == 1) s.width = w->width * in_quarters / 4;
    return s;
}

static double megapixels(const cli_workload *w)
{
    return 1e-6 * (double)(w->batch * w->height * w->width);
}

static gen_status measure(cli_args *a, const cli_workload *w, gen_device *device, point p[SERIES][SIZES],
                          gen_error *err)
{
    for (int s = 0; s < SERIES; s++)
        for (int i = 0; i < SIZES; i++) {
            p[s][i].w = scaled(w, s, quarters[s][i]);
            GEN_TRY(cli_workload_time(a, &p[s][i].w, device, &p[s][i].ms, err));
            if (!a->o.json)
                printf("%s: %-15s %4" PRId64 " of %4" PRId64 " x %-4" PRId64
                       " %10.3f ms a step, %8.3f ms a megapixel\n",
                       w->name, names[s], p[s][i].w.batch, p[s][i].w.height, p[s][i].w.width, p[s][i].ms,
                       p[s][i].ms / megapixels(&p[s][i].w));
        }
    return GEN_OK;
}

static gen_status print_json(cli_args *a, const cli_workload *w, gen_device *device, point p[SERIES][SIZES],
                             gen_error *err)
{
    gen_json_out out = { .arena = a->arena };
    gen_json_open(&out, NULL, '{');
    gen_json_put_string(&out, "workload", w->name);
    gen_json_put_string(&out, "device", device->name);
    gen_json_open(&out, "points", '[');
    for (int i = 0; i < SERIES * SIZES; i++) {
        const point *at = &p[i / SIZES][i % SIZES];
        gen_json_open(&out, NULL, '{');
        gen_json_put_string(&out, "series", names[i / SIZES]);
        gen_json_put_int(&out, "batch", at->w.batch);
        gen_json_put_int(&out, "height", at->w.height);
        gen_json_put_int(&out, "width", at->w.width);
        gen_json_put_double(&out, "ms", at->ms);
        gen_json_close(&out, '}');
    }
    gen_json_close(&out, ']');
    gen_json_close(&out, '}');
    return cli_print_json(&out, err);
}

static gen_status draw(cli_args *a, const cli_workload *w, point p[SERIES][SIZES], gen_error *err)
{
    char title[96];
    double x[SERIES][SIZES + 1] = { { 0 } }, y[SERIES][SIZES + 1] = { { 0 } }; /* from nothing, which takes no time */
    gen_series series[SERIES];
    gen_bytes file;
    for (int s = 0; s < SERIES; s++) {
        for (int i = 0; i < SIZES; i++) {
            x[s][i + 1] = megapixels(&p[s][i].w);
            y[s][i + 1] = p[s][i].ms;
        }
        series[s] = (gen_series){ names[s], x[s], y[s], SIZES + 1 };
    }
    snprintf(title, sizeof title, "a training step of %s", w->name);
    gen_plot plot = { .title = title, .x_label = "megapixels in a step", .y_label = "ms" };
    GEN_TRY(gen_plot_lines(&plot, series, SERIES, a->arena, &file, err));
    return gen_file_write(a->o.output, file.data, file.size, err);
}

static gen_status scaling(cli_args *a, const cli_workload *w, gen_device *device, gen_error *err)
{
    point p[SERIES][SIZES];
    GEN_TRY(measure(a, w, device, p, err));
    if (*a->o.output) GEN_TRY(draw(a, w, p, err));
    return a->o.json ? print_json(a, w, device, p, err) : GEN_OK;
}

gen_status cli_bench_scaling(cli_args *a, const cli_workload *w, gen_error *err)
{
    gen_device *device;
    if (!w->model || w->steps || w->words[0])
        return gen_fail(err, GEN_BAD_OPTION,
                        "--scaling: %s does not train on pictures of any size; cyc128 and ddpm8 do", w->name);
    GEN_TRY(cli_open_device(a, &device, err));
    gen_status status = scaling(a, w, device, err);
    device->ops->close(device);
    return status;
}
