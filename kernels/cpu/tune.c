/* The file:  "gen-tune 1", the machine, then a line for each call: key, kernel, way, ms, with tabs between; at last "end" and the number of lines. */
#define _POSIX_C_SOURCE 200809L
#include "kernels/cpu/tune.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEY_BYTES = 400, NAME_BYTES = 48, LINE_BYTES = 600, MAX_KERNELS = 64, MAX_WAY = 99 };

static const char header[] =
    "gen-tune 1"; /* of this set of kernels and ways: another number when one of them changes */

typedef struct row {
    char key[KEY_BYTES], kernel[NAME_BYTES];
    int32_t way;
    double ms;
} row;

struct cpu_tuning {
    char *path, *machine;
    row *rows;
    int32_t n, room;
    bool changed;
};

static char *copy_text(const char *text)
{
    char *copy = gen_alloc(strlen(text) + 1, 1);
    if (copy) memcpy(copy, text, strlen(text));
    return copy;
}

static row *find_row(const cpu_tuning *t, const char *key)
{
    for (int32_t i = 0; i < t->n; i++)
        if (!strcmp(t->rows[i].key, key)) return &t->rows[i];
    return NULL;
}

static gen_status add_row(cpu_tuning *t, const row *r, gen_error *err)
{
    if (t->n == t->room) {
        int32_t room = t->room ? 2 * t->room : 64;
        row *grown = gen_alloc((size_t)room, sizeof *grown);
        if (!grown) return gen_fail(err, GEN_NO_MEMORY, "no memory for measured choices");
        if (t->n) memcpy(grown, t->rows, (size_t)t->n * sizeof *grown);
        gen_free(t->rows);
        t->rows = grown;
        t->room = room;
    }
    t->rows[t->n++] = *r;
    return GEN_OK;
}

/* ---- the file ---------------------------------------------------------------------------------------------------------- */

/* Cuts the line's end off; false when there is none: the line is longer than any of ours, or the file was cut. */
static bool read_line(FILE *file, char *line)
{
    if (!fgets(line, LINE_BYTES, file)) return false;
    size_t n = strcspn(line, "\n");
    bool whole = line[n] == '\n';
    line[n] = 0;
    return whole;
}

/* Copies the next piece of a line, up to a tab or the end; false when there is none, or it does not fit. */
static bool next_piece(const char **at, char *piece, size_t bytes)
{
    size_t n = *at ? strcspn(*at, "\t") : 0;
    if (!n || n >= bytes) return false;
    memcpy(piece, *at, n);
    piece[n] = 0;
    *at = (*at)[n] ? *at + n + 1 : NULL;
    return true;
}

static bool parse_row(const char *line, row *r)
{
    char way[NAME_BYTES], ms[NAME_BYTES], *end_way, *end_ms;
    if (!next_piece(&line, r->key, KEY_BYTES) || !next_piece(&line, r->kernel, NAME_BYTES) ||
        !next_piece(&line, way, NAME_BYTES) || !next_piece(&line, ms, NAME_BYTES) || line)
        return false;
    long number = strtol(way, &end_way, 10);
    r->way = (int32_t)number;
    r->ms = strtod(ms, &end_ms);
    return !*end_way && !*end_ms && number >= 0 && number <= MAX_WAY && r->ms > 0;
}

/* NULL when all is well, else what is wrong. */
static const char *read_rows(cpu_tuning *t, FILE *file, gen_error *err)
{
    char line[LINE_BYTES], end[32];
    row r;
    if (!read_line(file, line) || strcmp(line, header) != 0) return "is of another version, or no file of gen's";
    if (!read_line(file, line) || strcmp(line, t->machine) != 0) return "was measured on another machine";
    while (read_line(file, line)) {
        snprintf(end, sizeof end, "end\t%d", t->n);
        if (!strcmp(line, end)) return fgetc(file) == EOF ? NULL : "is damaged";
        if (!parse_row(line, &r) || find_row(t, r.key)) return "is damaged";
        if (add_row(t, &r, err) != GEN_OK) return "does not fit into memory";
    }
    return "is damaged";
}

static gen_status read_file(cpu_tuning *t, char *note, size_t note_bytes, gen_error *err)
{
    FILE *file = fopen(t->path, "r");
    if (!file) return GEN_OK;
    const char *wrong = read_rows(t, file, err);
    fclose(file);
    if (!wrong) return GEN_OK;
    t->n = 0;
    t->changed = true;
    if (note) snprintf(note, note_bytes, "%s %s: kernels are measured anew", t->path, wrong);
    return GEN_OK;
}

gen_status cpu_tuning_open(const char *path, const char *machine, cpu_tuning **tuning, char *note, size_t note_bytes,
                           gen_error *err)
{
    if (note && note_bytes) *note = 0;
    cpu_tuning *t = gen_alloc(1, sizeof *t);
    if (t) t->path = copy_text(path);
    if (t) t->machine = copy_text(machine);
    if (!t || !t->path || !t->machine) {
        cpu_tuning_close(t);
        return gen_fail(err, GEN_NO_MEMORY, "no memory for measured choices");
    }
    gen_status status = read_file(t, note, note_bytes, err);
    if (status == GEN_OK) *tuning = t;
    else cpu_tuning_close(t);
    return status;
}

void cpu_tuning_close(cpu_tuning *t)
{
    if (!t) return;
    gen_free(t->path);
    gen_free(t->machine);
    gen_free(t->rows);
    gen_free(t);
}

gen_status cpu_tuning_save(cpu_tuning *t, gen_error *err)
{
    char part[1100];
    if (!t->changed) return GEN_OK;
    snprintf(part, sizeof part, "%s.part", t->path);
    FILE *file = fopen(part, "w");
    if (!file) return gen_fail(err, GEN_IO, "%s: %s; --tune remembers there what it measures", part, strerror(errno));
    fprintf(file, "%s\n%s\n", header, t->machine);
    for (int32_t i = 0; i < t->n; i++)
        fprintf(file, "%s\t%s\t%d\t%.6g\n", t->rows[i].key, t->rows[i].kernel, t->rows[i].way, t->rows[i].ms);
    fprintf(file, "end\t%d\n", t->n);
    bool written = !ferror(file);
    if (fclose(file) || !written || rename(part, t->path)) {
        gen_status status = gen_fail(err, GEN_IO, "%s: %s", t->path, strerror(errno));
        remove(part);
        return status;
    }
    t->changed = false;
    return GEN_OK;
}

/* ---- what a call is called ----------------------------------------------------------------------------------------------- */

static bool has_choices(const gen_call *c)
{
    return c->op == GEN_OP_CONV2D || c->op == GEN_OP_CONV2D_T || c->op == GEN_OP_CONV2D_W;
}

/* All that a kernel's time can depend on: shapes, window, epilogue. */
static void key_of(const gen_call *c, char key[KEY_BYTES])
{
    char shape[2][64], out[64];
    const gen_window *w = &c->attr->window;
    const gen_epilogue *e = &c->epilogue;
    for (int i = 0; i < 2; i++) gen_shape_text(&c->in[i].shape, shape[i], sizeof shape[i]);
    gen_shape_text(&c->out[0].shape, out, sizeof out);
    snprintf(key, KEY_BYTES, "%s %s %s %s s%d,%d p%d,%d,%d,%d d%d,%d g%d b%d r%d a%s", gen_op_get(c->op)->name,
             shape[0], shape[1], out, w->stride[0], w->stride[1], w->pad[0], w->pad[1], w->pad[2], w->pad[3],
             w->dilation[0], w->dilation[1], w->groups, e->bias.data != NULL, e->residual.data != NULL,
             e->act && e->act != GEN_OP_COUNT ? gen_op_get(e->act)->name : "0");
}

/* ---- measuring ------------------------------------------------------------------------------------------------------------- */

/* The call with memory of its own. */
typedef struct trial {
    gen_call call;
    gen_view in[2], out[1];
    void *memory[5];
    int32_t n;
} trial;

/* Numbers between -1 and 1 that no arithmetic unit finds easy. */
static bool give_memory(trial *t, gen_view *view)
{
    int64_t count = gen_shape_count(&view->shape);
    float *x = gen_alloc((size_t)count, sizeof *x);
    uint32_t word = 12345;
    for (int64_t i = 0; x && i < count; i++) {
        word = word * 1664525 + 1013904223;
        x[i] = (float)(word >> 8) / (1 << 23) - 1;
    }
    view->data = t->memory[t->n++] = x;
    return x;
}

static bool start_trial(trial *t, const gen_call *c)
{
    *t = (trial){ .call = *c, .in = { c->in[0], c->in[1] }, .out = { c->out[0] } };
    t->call.in = t->in;
    t->call.out = t->out;
    gen_epilogue *e = &t->call.epilogue;
    return give_memory(t, &t->in[0]) && give_memory(t, &t->in[1]) && give_memory(t, &t->out[0]) &&
           (!e->bias.data || give_memory(t, &e->bias)) && (!e->residual.data || give_memory(t, &e->residual));
}

static void end_trial(trial *t)
{
    for (int32_t i = 0; i < t->n; i++) gen_free(t->memory[i]);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* The least of some runs; few of one that is far from the best. */
static gen_status time_way(gen_device *device, const gen_call *call, const cpu_kernel *kernel, int32_t way, double best,
                           double *ms, gen_error *err)
{
    enum { LEAST = 4, MOST = 40, ENOUGH_MS = 20 };
    gen_exec *exec = NULL;
    GEN_TRY(cpu_device_compile_way(device, call, kernel, way, &exec, err));
    gen_status status = device->ops->run(exec, err); /* packs what is packed once, and warms up */
    double total = 0;
    *ms = 1e30;
    for (int i = 0; i < MOST && status == GEN_OK && (i < LEAST || total < ENOUGH_MS); i++) {
        double start = now_ms();
        status = device->ops->run(exec, err);
        double took = now_ms() - start;
        total += took;
        if (took < *ms) *ms = took;
        if (i > 0 && *ms > 2 * best) break;
    }
    device->ops->exec_free(exec);
    return status;
}

/* Where products may be rounded, they may also be exact. */
static bool of_level(const cpu_kernel *kernel, cpu_isa isa)
{
    if (isa == CPU_AVX512_BF16 && of_level(kernel, CPU_AVX512)) return true;
    size_t n = strlen(kernel->name), level = strlen(cpu_isa_name(isa));
    return n > level && !strcmp(kernel->name + n - level, cpu_isa_name(isa));
}

static gen_status try_kernels(const gen_call *call, gen_device *device, cpu_isa isa, row *best, gen_error *err)
{
    enum { BETTER_BY = 97 }; /* percent of the usual choice's time: below is no noise */
    const cpu_kernel *rungs[MAX_KERNELS], *usual = cpu_kernel_find(call, isa);
    double ms;
    GEN_TRY(time_way(device, call, usual, 0, 1e30, &best->ms, err));
    snprintf(best->kernel, sizeof best->kernel, "%s", usual->name);
    double bar = best->ms * BETTER_BY / 100;
    int32_t n = cpu_kernel_rungs(call->op, isa, rungs, MAX_KERNELS);
    for (int32_t i = 0; i < n; i++) {
        int32_t ways = of_level(rungs[i], isa) ? cpu_kernel_ways(rungs[i], call) : 0;
        for (int32_t way = ways > 1 ? 1 : 0; ways && way <= ways - (ways == 1); way++) {
            GEN_TRY(time_way(device, call, rungs[i], way, best->ms, &ms, err));
            if (ms >= bar) continue;
            bar = best->ms = ms;
            best->way = way;
            snprintf(best->kernel, sizeof best->kernel, "%s", rungs[i]->name);
        }
    }
    return GEN_OK;
}

gen_status cpu_tuning_measure(cpu_tuning *t, gen_device *device, const gen_call *call, cpu_isa isa, gen_error *err)
{
    row best = { 0 };
    trial own;
    if (!has_choices(call)) return GEN_OK;
    key_of(call, best.key);
    if (find_row(t, best.key)) return GEN_OK;
    gen_status status = start_trial(&own, call) ? try_kernels(&own.call, device, isa, &best, err)
                                                : gen_fail(err, GEN_NO_MEMORY, "no memory to measure %s", best.key);
    end_trial(&own);
    GEN_TRY(status);
    t->changed = true;
    return add_row(t, &best, err);
}

void cpu_tuning_find(const cpu_tuning *t, const gen_call *call, cpu_isa isa, const cpu_kernel **kernel, int32_t *way)
{
    char key[KEY_BYTES];
    const cpu_kernel *rungs[MAX_KERNELS];
    if (!has_choices(call)) return;
    key_of(call, key);
    const row *r = find_row(t, key);
    int32_t n = r ? cpu_kernel_rungs(call->op, isa, rungs, MAX_KERNELS) : 0;
    for (int32_t i = 0; i < n; i++)
        if (!strcmp(rungs[i]->name, r->kernel) && cpu_kernel_ways(rungs[i], call) >= (r->way ? r->way : 1)) {
            *kernel = rungs[i];
            *way = r->way;
        }
}
