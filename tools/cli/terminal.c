/* The terminal as a sink: a progress line that is written over on a terminal, plain lines when piped. Everything on standard error. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli/cli.h"

typedef struct terminal {
    int quiet, is_terminal, line_open;
    const char *things; /* that are learned from: "images", "windows" */
    double rate;        /* of them a second, of the last log line */
    int64_t first_step;
    double started_s, drawn_s, loss;
    char values[160]; /* of the last log lines: "loss 103.2 kl 24.1" */
    int64_t values_step;
} terminal;

static terminal the_terminal;

static void close_line(terminal *t)
{
    if (t->line_open) fputc('\n', stderr);
    t->line_open = 0;
}

static const char *duration(double s, char *buffer, size_t bytes)
{
    int total = (int)(s + 0.5);
    if (total >= 3600) snprintf(buffer, bytes, "%dh%02dm", total / 3600, total / 60 % 60);
    else snprintf(buffer, bytes, "%d:%02d", total / 60, total % 60);
    return buffer;
}

static void draw_bar(terminal *t, const gen_event *e, double now)
{
    enum { WIDTH = 24 };
    char bar[WIDTH + 1], left[24];
    double done = (double)e->step / (double)e->n_steps;
    double per_step = e->step > t->first_step ? (now - t->started_s) / (double)(e->step - t->first_step) : 0;
    for (int i = 0; i < WIDTH; i++) bar[i] = i < (int)(done * WIDTH) ? '#' : '.';
    bar[WIDTH] = 0;
    fprintf(stderr, "\r[%s] %" PRId64 "/%" PRId64 "  loss %.4g  %.0f %s/s  %s left \033[K", bar, e->step, e->n_steps,
            e->value, t->rate, t->things, duration(per_step * (double)(e->n_steps - e->step), left, sizeof left));
    t->line_open = 1;
    t->drawn_s = now;
}

static void on_step(terminal *t, const gen_event *e)
{
    double now = cli_now_s();
    if (t->started_s == 0) t->started_s = now, t->first_step = e->step;
    if (e->images_per_s > 0) t->rate = e->images_per_s;
    if (t->is_terminal) {
        if (now - t->drawn_s > 0.1 || e->step == e->n_steps) draw_bar(t, e, now);
    } else if (e->images_per_s > 0 &&
               (now - t->drawn_s > 5 || e->step == e->n_steps)) { /* when piped: a line now and then */
        fprintf(stderr, "step %" PRId64 "/%" PRId64 "  loss %.5g  %.0f %s/s\n", e->step, e->n_steps, e->value,
                e->images_per_s, t->things);
        t->drawn_s = now;
    }
}

static void collect_value(terminal *t, const gen_event *e)
{
    if (strncmp(e->name, "val/", 4)) return;
    if (t->values_step != e->step) t->values[0] = 0, t->values_step = e->step;
    size_t used = strlen(t->values);
    snprintf(t->values + used, sizeof t->values - used, "%s%s %.5g", used ? "  " : "", e->name + 4, e->value);
}

static void emit(void *context, const gen_event *e)
{
    terminal *t = context;
    if (e->kind == GEN_EVENT_TEXT) {
        if (t->quiet && strcmp(e->name, "warning")) return;
        close_line(t);
        fprintf(stderr, "%s\n", e->text);
    }
    if (t->quiet) return;
    if (e->kind == GEN_EVENT_SCALAR) collect_value(t, e);
    if (e->kind == GEN_EVENT_STEP) {
        if (t->values[0] && t->values_step < e->step) {
            close_line(t);
            fprintf(stderr, "validation after step %" PRId64 ": %s\n", t->values_step, t->values);
            t->values[0] = 0;
        }
        on_step(t, e);
        if (e->step == e->n_steps) close_line(t);
    }
}

gen_sink cli_terminal(const cli_args *a)
{
    the_terminal = (terminal){
        .quiet = a->o.quiet != 0, .is_terminal = isatty(STDERR_FILENO), .things = "images", .values_step = -1
    };
    return (gen_sink){ emit, &the_terminal };
}

void cli_terminal_counts(const char *things)
{
    the_terminal.things = things;
}
