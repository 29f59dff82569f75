/* The cpu as a device: opening, compiling, running; what it refuses. */
#define _POSIX_C_SOURCE 200809L
#include "kernels/devices.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

enum { N = 40000 };

/* y = x + x, then y = y * x: two calls on device memory */
typedef struct two_calls {
    gen_device *device;
    gen_attr attr;
    gen_view x[2], y[2];
    gen_call calls[2];
} two_calls;

static void open_two_calls(two_calls *t, const char *device)
{
    gen_error err = { 0 };
    memset(t, 0, sizeof *t);
    TEST_OK(gen_device_open(device, 3, &t->device, &err));
    size_t bytes = N * t->device->element_bytes;
    gen_view x = { t->device->ops->alloc(t->device, bytes), GEN_SHAPE(N) };
    gen_view y = { t->device->ops->alloc(t->device, bytes), GEN_SHAPE(N) };
    float *host = gen_alloc(N, sizeof *host);
    for (int i = 0; i < N; i++) host[i] = (float)i;
    TEST_OK(t->device->ops->upload(t->device, x.data, host, N, &err));
    gen_free(host);
    t->x[0] = t->x[1] = x;
    t->y[0] = y;
    t->y[1] = x;
    gen_call call = {
        .n_in = 2, .n_out = 1, .out = t->y, .attr = &t->attr, .epilogue.act = GEN_OP_COUNT, .name = "a layer"
    };
    t->calls[0] = t->calls[1] = call;
    t->calls[0].op = GEN_OP_ADD;
    t->calls[0].in = t->x;
    t->calls[1].op = GEN_OP_MUL;
    t->calls[1].in = t->y;
}

static void close_two_calls(two_calls *t)
{
    t->device->ops->free(t->device, t->x[0].data);
    t->device->ops->free(t->device, t->y[0].data);
    t->device->ops->close(t->device);
}

static void runs_in_order(const char *device)
{
    two_calls t;
    gen_error err = { 0 };
    gen_exec *exec;
    open_two_calls(&t, device);
    TEST_OK(t.device->ops->compile(t.device, t.calls, 2, &exec, &err));
    TEST_OK(t.device->ops->run(exec, &err));
    uint64_t before = gen_alloc_count();
    TEST_OK(t.device->ops->run(exec, &err));
    assert_int_equal(gen_alloc_count(), before);
    float *host = gen_alloc(N, sizeof *host);
    TEST_OK(t.device->ops->download(t.device, host, t.y[0].data, N, &err));
    for (int i = 0; i < N; i++) assert_true(host[i] == 2.0f * (float)i * (float)i);
    gen_free(host);
    t.device->ops->exec_free(exec);
    close_two_calls(&t);
}

TEST(device_cpu_runs_calls_in_order_without_allocating)
{
    runs_in_order("cpu");
    runs_in_order("cpu64");
}

TEST(device_cpu_profiles_since_it_was_switched_on)
{
    two_calls t;
    gen_error err = { 0 };
    gen_exec *exec;
    double seconds[2] = { -1, -1 };
    open_two_calls(&t, "cpu");
    TEST_OK(t.device->ops->compile(t.device, t.calls, 2, &exec, &err));
    TEST_OK(t.device->ops->run(exec, &err));
    t.device->ops->profile(exec, true, NULL);
    for (int i = 0; i < 10; i++) TEST_OK(t.device->ops->run(exec, &err));
    t.device->ops->profile(exec, false, seconds);
    assert_true(seconds[0] > 0 && seconds[1] > 0 && seconds[0] < 10);
    t.device->ops->profile(exec, true, NULL);
    t.device->ops->profile(exec, false, seconds);
    assert_true(seconds[0] == 0 && seconds[1] == 0);
    t.device->ops->exec_free(exec);
    close_two_calls(&t);
}

/* Every rung that is offered serves the call, and gives what the others give. */
TEST(device_cpu_runs_a_call_on_each_of_its_rungs)
{
    enum { MOST = 16 };
    two_calls t;
    gen_error err = { 0 };
    gen_exec *exec = NULL;
    const char *names[MOST] = { NULL };
    open_two_calls(&t, "cpu");
    int32_t n = gen_device_rungs(t.device, &t.calls[0], names, MOST);
    assert_true(n >= 1 && n <= MOST);
    assert_string_equal(names[0], "add ref");
    float *host = gen_alloc(N, sizeof *host);
    for (int32_t i = 0; i < n; i++) {
        for (int32_t j = 0; j < i; j++) assert_string_not_equal(names[i], names[j]);
        memset(t.y[0].data, 0xff, N * sizeof *host);
        TEST_OK(gen_device_compile_rung(t.device, &t.calls[0], i, &exec, &err));
        TEST_OK(t.device->ops->run(exec, &err));
        TEST_OK(t.device->ops->download(t.device, host, t.y[0].data, N, &err));
        for (int k = 0; k < N; k++) assert_true(host[k] == 2 * (float)k);
        t.device->ops->exec_free(exec);
    }
    gen_free(host);
    assert_int_equal(gen_device_compile_rung(t.device, &t.calls[0], n, &exec, &err), GEN_UNSUPPORTED);
    close_two_calls(&t);
    open_two_calls(&t, "cpu64");
    assert_int_equal(gen_device_rungs(t.device, &t.calls[0], names, MOST), 0);
    close_two_calls(&t);
}

TEST(device_cpu_refuses_an_op_without_kernel_by_name)
{
    two_calls t;
    gen_error err = { 0 };
    gen_exec *exec = NULL;
    open_two_calls(&t, "cpu");
    t.calls[1].op = GEN_OP_INPUT;
    assert_int_equal(t.device->ops->compile(t.device, t.calls, 2, &exec, &err), GEN_UNSUPPORTED);
    assert_string_equal(err.text, "a layer: the cpu has no kernel for input");
    assert_null(exec);
    close_two_calls(&t);
}

/* The n-th allocation fails, for n = 1, 2, … until compiling succeeds. */
TEST(device_cpu_survives_failing_allocations)
{
    two_calls t;
    gen_exec *exec = NULL;
    open_two_calls(&t, "cpu");
    for (uint64_t n = 1; !exec && n < 50; n++) {
        gen_error err = { 0 };
        gen_alloc_fail_at(n);
        gen_status status = t.device->ops->compile(t.device, t.calls, 2, &exec, &err);
        gen_alloc_fail_at(0);
        assert_int_equal(status, exec ? GEN_OK : GEN_NO_MEMORY);
    }
    assert_non_null(exec);
    t.device->ops->exec_free(exec);
    for (uint64_t n = 1; n <= 3; n++) {
        gen_error err = { 0 };
        gen_device *device = NULL;
        gen_alloc_fail_at(n);
        gen_status status = gen_device_open("cpu", 2, &device, &err);
        gen_alloc_fail_at(0);
        assert_int_equal(status, GEN_NO_MEMORY);
    }
    close_two_calls(&t);
}

static gen_status open_and_close(const char *name, int32_t threads, gen_error *err)
{
    gen_device *device;
    *err = (gen_error){ 0 };
    gen_status status = gen_device_open(name, threads, &device, err);
    if (!status) device->ops->close(device);
    return status;
}

TEST(device_names_are_checked)
{
    static const char *const wrong[] = { "",     "gpu", "cp", "cpu65", "cuda:", "cuda:x", "cuda:-1", "cuda:9999999999",
                                         "cuda0" };
    gen_error err;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(open_and_close(wrong[i], 1, &err), GEN_BAD_OPTION);
        assert_non_null(strstr(err.text, "expected auto, cpu, cpu64 or cuda"));
    }
    TEST_OK(open_and_close("auto", 1, &err));
    TEST_OK(open_and_close("cpu", 0, &err));
    assert_int_equal(open_and_close("cpu:1", 1, &err), GEN_NO_DEVICE);
    assert_int_equal(open_and_close("cpu", -1, &err), GEN_BAD_OPTION);
    assert_int_equal(open_and_close("cpu", 100000, &err), GEN_BAD_OPTION);
}

TEST(device_cpu_level_is_capped_by_the_environment)
{
    static const char *const levels[] = { "ref", "base" };
    gen_error err = { 0 };
    const char *was = getenv("GEN_CPU");
    char saved[32];
    snprintf(saved, sizeof saved, "%s", was ? was : "");
    for (int i = 0; i < 2; i++) {
        gen_device *device;
        setenv("GEN_CPU", levels[i], 1);
        TEST_OK(gen_device_open("cpu", 2, &device, &err));
        char expected[64];
        snprintf(expected, sizeof expected, "cpu (%s, 2 threads)", levels[i]);
        assert_string_equal(device->name, expected);
        device->ops->close(device);
    }
    setenv("GEN_CPU", "sse9", 1);
    assert_int_equal(open_and_close("cpu", 1, &err), GEN_BAD_OPTION);
    assert_non_null(strstr(err.text, "sse9"));
    if (*saved) setenv("GEN_CPU", saved, 1);
    else unsetenv("GEN_CPU");
}

TEST(device_descriptions_fit_and_end_in_lines)
{
    char text[2048], small[8];
    gen_devices_describe(text, sizeof text);
    assert_true(strlen(text) > 10 && text[strlen(text) - 1] == '\n');
    assert_non_null(strstr(text, "core"));
    gen_devices_describe(small, sizeof small);
    assert_true(strlen(small) < sizeof small);
}
