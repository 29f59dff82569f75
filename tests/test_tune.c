/* Measured choices of kernels: every way computes the same, what is measured is remembered, and what a file says is what runs. */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/graph.h"
#include "core/rng.h"
#include "kernels/cpu/tune.h"
#include "kernels/devices.h"
#include "tests/test.h"

enum { N = 2, SIDE = 10, C = 32, K = 32, X = N * SIDE * SIDE * C, W = 9 * C * K, Y = N * SIDE * SIDE * K };

/* A convolution and its two gradients: 3x3, stride 1. */
typedef struct conv {
    float x[X], w[W], y[Y];
    gen_view in[2], out[1];
    gen_attr attr;
    gen_call call;
} conv;

static void start(conv *c, gen_op op)
{
    gen_shape x = GEN_SHAPE(N, SIDE, SIDE, C), w = GEN_SHAPE(3, 3, C, K), y = GEN_SHAPE(N, SIDE, SIDE, K);
    for (int i = 0; i < X; i++) c->x[i] = 2 * gen_uniform_from_word(gen_random_word(1, 0, (uint64_t)i)) - 1;
    for (int i = 0; i < W; i++) c->w[i] = 2 * gen_uniform_from_word(gen_random_word(2, 0, (uint64_t)i)) - 1;
    for (int i = 0; i < Y; i++) c->y[i] = 2 * gen_uniform_from_word(gen_random_word(3, 0, (uint64_t)i)) - 1;
    c->attr = (gen_attr){ .window = gen_window_of(3, 1, 1) };
    gen_view vx = { c->x, x }, vw = { c->w, w }, vy = { c->y, y };
    c->in[0] = op == GEN_OP_CONV2D_T ? vy : vx;
    c->in[1] = op == GEN_OP_CONV2D_W ? vy : vw;
    c->out[0] = op == GEN_OP_CONV2D ? vy : op == GEN_OP_CONV2D_T ? vx : vw;
    c->call = (gen_call){ .op = op,
                          .n_in = 2,
                          .n_out = 1,
                          .in = c->in,
                          .out = c->out,
                          .attr = &c->attr,
                          .epilogue = { .act = GEN_OP_COUNT } };
}

static size_t result_bytes(const conv *c)
{
    return (size_t)gen_shape_count(&c->out[0].shape) * sizeof(float);
}

static gen_device *open_cpu(int threads)
{
    gen_error err = { 0 };
    gen_device *device;
    TEST_OK(gen_device_open("cpu", threads, &device, &err));
    return device;
}

static void run_exec(gen_device *device, gen_exec *exec)
{
    gen_error err = { 0 };
    TEST_OK(device->ops->run(exec, &err));
    device->ops->exec_free(exec);
}

/* ---- ways ---------------------------------------------------------------------------------------------------------------- */

static void run_way(conv *c, const cpu_kernel *kernel, int32_t way, int threads, float *result)
{
    gen_error err = { 0 };
    gen_exec *exec;
    gen_device *device = open_cpu(threads);
    start(c, c->call.op);
    TEST_OK(cpu_device_compile_way(device, &c->call, kernel, way, &exec, &err));
    run_exec(device, exec);
    memcpy(result, c->out[0].data, result_bytes(c));
    device->ops->close(device);
}

/* Sums of conv2d and conv2d_t go in one order in all ways; those of conv2d_w are cut in pieces. */
static void check_ways(conv *c, const cpu_kernel *kernel)
{
    static float own[X + W + Y], one[X + W + Y], three[X + W + Y];
    int32_t ways = cpu_kernel_ways(kernel, &c->call);
    if (ways) run_way(c, kernel, 0, 2, own);
    for (int32_t way = 1; ways > 1 && way <= ways; way++) {
        run_way(c, kernel, way, 1, one);
        run_way(c, kernel, way, 3, three);
        if (memcmp(one, three, result_bytes(c)) != 0) fail_msg("%s, way %d: threads matter", kernel->name, way);
        for (size_t i = 0; i < result_bytes(c) / sizeof *one; i++)
            if (c->call.op == GEN_OP_CONV2D_W ? fabsf(one[i] - own[i]) > 1e-4f * (1 + fabsf(own[i])) : one[i] != own[i])
                fail_msg("%s, way %d: element %zu is %g, in its own way %g", kernel->name, way, i, (double)one[i],
                         (double)own[i]);
    }
}

TEST(tune_all_ways_of_a_kernel_compute_the_same)
{
    enum { MAX_RUNGS = 64 };
    static const gen_op ops[] = { GEN_OP_CONV2D, GEN_OP_CONV2D_T, GEN_OP_CONV2D_W };
    static conv c;
    int32_t most = 0;
    for (size_t o = 0; o < sizeof ops / sizeof *ops; o++) {
        const cpu_kernel *rungs[MAX_RUNGS];
        start(&c, ops[o]);
        int32_t n = cpu_kernel_rungs(ops[o], cpu_isa_best(), rungs, MAX_RUNGS);
        for (int32_t i = 0; i < n; i++) {
            int32_t ways = cpu_kernel_ways(rungs[i], &c.call);
            if (ways > most) most = ways;
            check_ways(&c, rungs[i]);
        }
    }
    assert_true(cpu_isa_best() == CPU_REF || most > 1);
}

/* ---- the file ------------------------------------------------------------------------------------------------------------ */

typedef struct place {
    char folder[512], path[700];
} place;

static place make_place(int threads)
{
    place p;
    snprintf(p.folder, sizeof p.folder, "%s", test_folder());
    snprintf(p.path, sizeof p.path, "%s/%s-%d.txt", p.folder, cpu_isa_name(cpu_isa_best()), threads);
    remove(p.path);
    return p;
}

static void read_text(const place *p, char *text, size_t bytes)
{
    FILE *file = fopen(p->path, "r");
    assert_non_null(file);
    text[fread(text, 1, bytes - 1, file)] = 0;
    fclose(file);
}

static void write_text(const place *p, const char *text)
{
    FILE *file = fopen(p->path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Opens the device with the file, compiles and runs conv2d; note gets what was said about the file. */
static void run_tuned(const place *p, conv *c, char *note)
{
    gen_error err = { 0 };
    gen_exec *exec;
    gen_device *device = open_cpu(2);
    TEST_OK(gen_device_tune(device, p->folder, note, 300, &err));
    start(c, GEN_OP_CONV2D);
    TEST_OK(device->ops->compile(device, &c->call, 1, &exec, &err));
    run_exec(device, exec);
    device->ops->close(device);
}

/* The file with its one line's kernel, way and time in place of what was measured. */
static void rewrite(const place *p, const char *text, const char *kernel, int way)
{
    char changed[2000], *tab = strchr(text, '\t');
    assert_non_null(tab);
    snprintf(changed, sizeof changed, "%.*s\t%s\t%d\t1\nend\t1\n", (int)(tab - text), text, kernel, way);
    write_text(p, changed);
}

TEST(tune_runs_what_the_file_says)
{
    static conv c;
    static float direct[Y], own[Y];
    char note[300], text[2000], again[2000], kernel[64];
    gen_error err = { 0 };
    gen_exec *exec;
    const char *level = cpu_isa_name(cpu_isa_best());
    if (cpu_isa_best() == CPU_REF) skip();
    place p = make_place(2);
    run_tuned(&p, &c, note);
    assert_string_equal(note, "");
    read_text(&p, text, sizeof text);
    assert_non_null(
        strstr(text, "conv2d [2,10,10,32] [3,3,32,32] [2,10,10,32] s1,1 p1,1,1,1 d1,1 g1 b0 r0 a0\tconv2d "));
    run_tuned(&p, &c, note); /* nothing is measured: the file stays as it is, times included */
    read_text(&p, again, sizeof again);
    assert_string_equal(text, again);

    gen_device *device = open_cpu(2);
    start(&c, GEN_OP_CONV2D);
    TEST_OK(device->ops->compile(device, &c.call, 1, &exec, &err));
    run_exec(device, exec);
    memcpy(own, c.y, sizeof own);
    device->ops->close(device);
    snprintf(kernel, sizeof kernel, "conv2d direct %s", level);
    rewrite(&p, text, kernel, 1);
    run_tuned(&p, &c, note);
    memcpy(direct, c.y, sizeof direct);
    snprintf(kernel, sizeof kernel, "conv2d winograd %s", level);
    rewrite(&p, text, kernel, 4);
    run_tuned(&p, &c, note);
    assert_memory_not_equal(direct, c.y, sizeof direct); /* other sums: both came from the file */
    for (int i = 0; i < Y; i++) assert_true(fabsf(direct[i] - c.y[i]) < 1e-3f);
    rewrite(&p, text, "conv2d of tomorrow", 1); /* is not there: the usual one runs */
    run_tuned(&p, &c, note);
    assert_memory_equal(own, c.y, sizeof own);
}

TEST(tune_forgets_files_that_are_damaged_or_foreign)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        { "", "of another version" },
        { "gen-tune 999\n", "of another version" },
        { "gen-tune 1\nsome other processor, avx512, 2\nend\t0\n", "another machine" },
        { "\x89PNG\r\n\x1a\n", "of another version" },
    };
    static conv c;
    char note[300], text[2000], cut[2000];
    if (cpu_isa_best() == CPU_REF) skip();
    place p = make_place(2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text(&p, cases[i].text);
        run_tuned(&p, &c, note);
        if (!strstr(note, cases[i].said)) fail_msg("case %zu: \"%s\" does not say %s", i, note, cases[i].said);
        run_tuned(&p, &c, note); /* it was written anew */
        assert_string_equal(note, "");
    }
    read_text(&p, text, sizeof text);
    for (size_t n = strlen("gen-tune 1\n"); n + 1 < strlen(text); n++) { /* cut anywhere */
        snprintf(cut, sizeof cut, "%.*s", (int)n, text);
        write_text(&p, cut);
        cpu_tuning *t;
        gen_error err = { 0 };
        char machine[300];
        snprintf(machine, sizeof machine, "%.*s", (int)strcspn(text + 11, "\n"), text + 11);
        TEST_OK(cpu_tuning_open(p.path, machine, &t, note, sizeof note, &err));
        if (!*note) fail_msg("a file cut after %zu bytes is taken for whole", n);
        cpu_tuning_close(t);
    }
}

TEST(tune_refuses_devices_that_have_no_choice)
{
    char note[300];
    gen_error err = { 0 };
    gen_device *device;
    TEST_OK(gen_device_open("cpu64", 1, &device, &err));
    assert_int_equal(gen_device_tune(device, test_folder(), note, sizeof note, &err), GEN_UNSUPPORTED);
    device->ops->close(device);
}
