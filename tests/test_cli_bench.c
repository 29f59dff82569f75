/* gen bench: kernels of an op, and the trace of a step. */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/json.h"
#include "kernels/cpu/kernel.h"
#include "tests/cli_run.h"

static double number(const gen_json *object, const char *key)
{
    gen_error err = { 0 };
    double value;
    TEST_OK(gen_json_double(object, key, &value, &err));
    return value;
}

/* Calls `each` for every kernel of every call; returns how many kernels there were. */
static int walk_kernels(const gen_json *calls, void (*each)(const gen_json *call, const gen_json *kernel))
{
    int n = 0;
    for (const gen_json *call = gen_json_first(calls); call; call = gen_json_next(call))
        for (const gen_json *k = gen_json_first(gen_json_get(call, "kernels")); k; k = gen_json_next(k), n++)
            each(call, k);
    return n;
}

static void check_rates(const gen_json *call, const gen_json *kernel)
{
    double ms = number(kernel, "ms");
    assert_true(ms > 0 && number(call, "uses") >= 1);
    assert_true(number(call, "flop") > 0 && number(call, "bytes") > 0);
    assert_true(fabs(number(kernel, "gflop_s") * ms / (1e-6 * number(call, "flop")) - 1) < 1e-9);
    assert_true(fabs(number(kernel, "gb_s") * ms / (1e-6 * number(call, "bytes")) - 1) < 1e-9);
}

TEST(cli_bench_times_every_kernel_of_an_op)
{
    gen_error err = { 0 };
    gen_json *json;
    need_binary();
    expect_code("bench vae32 --op matmul --seconds 0.01 --threads 1 --json", GOOD);
    TEST_OK(gen_json_parse(last.out, strlen(last.out), &json, &err));
    const gen_json *calls = gen_json_get(json, "calls"), *first = gen_json_first(gen_json_first(calls));
    assert_non_null(first);
    const char *name =
        gen_json_text(gen_json_get(gen_json_first(gen_json_get(gen_json_first(calls), "kernels")), "kernel"));
    assert_string_equal(name, "matmul ref");
    assert_true(walk_kernels(calls, check_rates) >= 4); /* the VAE's two dense layers, forward and backward */
    gen_json_free(json);
}

TEST(cli_bench_times_the_largest_calls_of_all_workloads)
{
    need_binary();
    expect_code("bench --op normal --seconds 0.01 --threads 1", GOOD);
    assert_non_null(strstr(last.out, "vae32  normal"));
    assert_non_null(strstr(last.out, "ddpm8  normal"));
    assert_non_null(strstr(last.out, "GB/s"));
}

TEST(cli_bench_says_what_it_cannot_time)
{
    need_binary();
    expect_says("bench --op conv2", USAGE, "did you mean conv2d?");
    expect_says("bench vae33", USAGE, "no workload vae33");
    expect_says("bench vae32 --op lstm --threads 1", FAILED, "no training step of vae32 runs lstm");
    expect_says("bench style256 --op conv2d", USAGE, "style256 is no model");
}

/* ---- traces ------------------------------------------------------------------------------------------------------------------------------- */

static gen_json *read_trace(const char *name)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes bytes;
    gen_json *json;
    TEST_OK(gen_file_read(in_work(name), GEN_FILE_ANY_SIZE, arena, &bytes, &err));
    TEST_OK(gen_json_parse(bytes.data, bytes.size, &json, &err));
    gen_arena_free(arena);
    return json;
}

/* Steps one after the other, each filled by its calls in the order of the plan; returns how many events were products. */
static int check_trace(const char *name)
{
    gen_json *json = read_trace(name);
    int steps = 0, products = 0;
    double at = 0, end = 0, call = 0; /* microseconds; the call that comes next */
    for (const gen_json *e = gen_json_first(gen_json_get(json, "traceEvents")); e; e = gen_json_next(e)) {
        double start = number(e, "ts"), dur = number(e, "dur"), slack = 1e-3; /* of numbers with 15 digits */
        const gen_json *args = gen_json_get(e, "args");
        assert_string_equal(gen_json_text(gen_json_get(e, "ph")), "X");
        assert_true(dur >= 0 && number(e, "pid") == 1 && number(e, "tid") == 1);
        if (!strcmp(gen_json_text(gen_json_get(e, "cat")), "step")) {
            assert_true(fabs(at - end) < slack && start >= end - slack);
            at = start, end = start + dur, call = 0, steps++;
            continue;
        }
        assert_true(fabs(start - at) < slack && start + dur <= end + slack);
        assert_true(number(args, "call") == call++);
        if (gen_json_get(args, "gflop_s")) products += number(args, "gflop_s") > 0;
        at = start + dur;
    }
    assert_true(fabs(at - end) < 1e-3 && end > 0);
    assert_int_equal(steps, 3);
    gen_json_free(json);
    return products;
}

TEST(cli_bench_writes_a_trace)
{
    need_binary();
    expect_code("bench vae32 --steps 1 --threads 1 --profile --trace bench.json", GOOD);
    assert_non_null(strstr(last.out, "GFLOP/s"));
    assert_non_null(strstr(last.out, "GB/s"));
    assert_true(check_trace("bench.json") >= 3 * 20); /* eight conv layers and three dense ones, forward and backward */
}

#define SMALL_TRAINING                                                                                                 \
    "--data bars.idx3-ubyte --net mlp --hidden 16 --latent 2 --batch 8 --validation 16 --steps 6 --quiet --threads 1 "

TEST(cli_train_writes_a_trace)
{
    need_binary();
    write_data(in_work("bars.idx3-ubyte"));
    expect_code("train vae " SMALL_TRAINING "--out traced --trace train.json", GOOD);
    assert_true(check_trace("train.json") >= 3 * 4);
    expect_says("train vae " SMALL_TRAINING "--out lost --trace no/such/trace.json", FAILED, "no/such");
    expect_says("train pca --data bars.idx3-ubyte --quiet --out fitted --trace pca.json", FAILED, "needs two steps");
}

/* ---- scaling ------------------------------------------------------------------------------------------------------------------------------ */

TEST(cli_bench_says_which_workloads_scale)
{
    need_binary();
    expect_says("bench lstm --scaling", USAGE, "cyc128 and ddpm8 do");
    expect_says("bench style256 --scaling", USAGE, "cyc128 and ddpm8 do");
    expect_says("bench --scaling", USAGE, "usage: gen bench");
}

TEST(cli_check_compares_a_device_with_double_precision)
{
    int n = 0;
    need_binary();
    expect_code("check --device cpu --threads 1", GOOD);
    for (const char *at = last.out; (at = strstr(at, "good ")) != NULL; at++) n++;
    assert_int_equal(n, 7);
    assert_null(strstr(last.out, "WRONG"));
    assert_non_null(strstr(last.out, "in fp32; each may differ by 1e-04 from double precision"));
    expect_code("check extra", USAGE);
}

TEST(cli_precision_is_one_of_three_in_every_verb_that_computes)
{
    static const char *const verbs[] = { "sample",  "reconstruct", "encode",    "interpolate", "plot",
                                         "eval",    "denoise",     "translate", "inpaint",     "img2img",
                                         "compose", "style",       "bench",     "check" };
    char command[64];
    need_binary();
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        snprintf(command, sizeof command, "%s x --precision fp8", verbs[i]);
        expect_says(command, USAGE, "fp32");
    }
}

TEST(cli_bf16_is_refused_by_a_processor_that_may_not_and_checked_on_one_that_may)
{
    need_binary();
    const bool here = cpu_has_bf16();
    if (here) {
        expect_code("check --device cpu --threads 1 --precision bf16", GOOD);
        assert_non_null(strstr(last.out, "cpu (avx512-bf16, 1 thread) in bf16"));
    }
    const char *before = getenv("GEN_CPU");
    char *kept = before ? strdup(before) : NULL;
    setenv("GEN_CPU", "avx2", 1);
    expect_says("bench vae32 --device cpu --precision bf16", FAILED, "needs AVX512-BF16");
    if (kept) setenv("GEN_CPU", kept, 1);
    else unsetenv("GEN_CPU");
    free(kept);
    if (!here) TEST_SKIP("this processor has no AVX512-BF16, or $GEN_CPU forbids it");
}

/* ---- what changes how a step runs --------------------------------------------------------------------------------------------------------- */

TEST(cli_bench_remembers_what_tune_measured)
{
    char folder[512], file[600];
    need_binary();
    snprintf(folder, sizeof folder, "%s", in_work("cache"));
    setenv("XDG_CACHE_HOME", folder, 1);
    snprintf(file, sizeof file, "%s/gen/tune/%s-1.txt", folder, cpu_isa_name(cpu_isa_best()));
    remove(file);
    expect_code("bench vae32 --tune --steps 1 --threads 1 --device cpu", GOOD);
    assert_string_equal(last.err, "");
    FILE *remembered = fopen(file, "r+");
    assert_non_null(remembered);
    fputs("?", remembered);
    fclose(remembered);
    expect_code("bench vae32 --tune --steps 1 --threads 1 --device cpu", GOOD);
    assert_non_null(strstr(last.err, "warning: "));
    assert_non_null(strstr(last.err, "measured anew"));
    expect_code("bench vae32 --tune --steps 1 --threads 1 --device cpu", GOOD);
    assert_string_equal(last.err, "");
    setenv("XDG_CACHE_HOME", in_work("bars.idx3-ubyte"), 1); /* a file: no folder can be made in it */
    write_data(in_work("bars.idx3-ubyte"));
    expect_says("bench vae32 --tune --steps 1 --threads 1 --device cpu", FAILED, "bars.idx3-ubyte");
    unsetenv("XDG_CACHE_HOME");
    expect_code("help train", GOOD);
    assert_non_null(strstr(last.out, "--tune"));
    assert_non_null(strstr(last.out, "--checkpoint-activations"));
}

static double activations_mb(const char *command)
{
    double mb = 0;
    expect_code(command, GOOD);
    const char *slab = strstr(last.out, "\nslab ");
    assert_non_null(slab);
    assert_int_equal(sscanf(slab, "\nslab %lf MB", &mb), 1);
    return mb;
}

TEST(cli_info_explains_what_checkpoints_of_activations_save)
{
    need_binary();
    double kept = activations_mb("info denoise --explain-memory --batch 64"),
           dropped = activations_mb("info denoise --explain-memory --batch 64 --checkpoint-activations");
    assert_true(dropped < 0.8 * kept);
    assert_non_null(strstr(last.out, "  again\n"));
    assert_null(strstr(last.out, " 0 results computed again"));
    expect_code("bench vae32 --checkpoint-activations --steps 1 --threads 1", GOOD);
}
