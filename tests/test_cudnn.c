/* cuDNN without a GPU: against a library that computes on the host (cuda_fake_cudnn.h), everywhere; and, where cuDNN is installed, the real one's plans for
 * every convolution of every preset, made for the GPU that tests/data/h200.json describes. */
#include <math.h>
#include <string.h>

#include "core/autodiff.h"
#include "io/file.h"
#include "kernels/cuda/libraries.h"
#include "models/data.h"
#include "models/style_loss.h"
#include "tests/cuda_emulator.h"
#include "tests/cuda_fake_cudnn.h"
#include "tests/model_run.h"

#if defined(__has_include) && __has_include(<cudnn.h>)
#include <cudnn.h>
#define NUMBER(name, value) _Static_assert((int)CUDNN_##name == (value), "cuDNN's " #name);
#include "kernels/cuda/cudnn_list.h"
#undef NUMBER
#endif
#if defined(__has_include) && __has_include(<cublasLt.h>)
#include <cublasLt.h>
#define NUMBER(name, value) _Static_assert((int)CUBLAS##name == (value), "cuBLASLt's " #name);
#include "kernels/cuda/cublaslt_list.h"
#undef NUMBER
_Static_assert(sizeof(cublasLtMatmulHeuristicResult_t) == sizeof(cublaslt_result), "cuBLASLt's result");
#endif

/* ---- which engine ---- */

static cudnn_conv a_conv(void)
{
    cudnn_conv c = { .x = { 2, 5, 7, 3 }, .y = { 2, 3, 4, 4 }, .kernel = { 3, 3 }, .stride = { 2, 2 } };
    for (int i = 0; i < 4; i++) c.pad[i] = 1;
    c.dilation[0] = c.dilation[1] = 1;
    return c;
}

static cudnn *opened_fake(void)
{
    gen_error err = { 0 };
    cudnn *dnn = NULL;
    fake_cudnn_start();
    TEST_OK(cudnn_open(&fake_cudnn_api, NULL, &dnn, &err));
    return dnn;
}

TEST(cudnn_takes_engines_that_are_deterministic_ready_and_small)
{
    cudnn *dnn = opened_fake();
    cudnn_conv exact = a_conv(), rounded = a_conv();
    rounded.tensor_cores = 1;
    const cudnn_plan *plan = cudnn_plan_of(dnn, &exact);
    assert_int_equal(plan->engine, FAKE_PLAIN_ENGINE);
    assert_false(plan->on_tensor_cores);
    plan = cudnn_plan_of(dnn, &rounded);
    assert_int_equal(plan->engine, FAKE_TENSOR_CORES);
    assert_true(plan->on_tensor_cores);
    assert_int_equal(plan->workspace_bytes, 131);
    assert_ptr_equal(cudnn_plan_of(dnn, &rounded), plan); /* remembered */
    cudnn_close(dnn);
    assert_int_equal(fake_cudnn_alive(), 0);
}

TEST(cudnn_remembers_that_there_is_no_plan)
{
    cudnn *dnn = opened_fake();
    cudnn_conv fused = a_conv();
    fused.bias = fused.relu = 1;
    fake_cudnn_refuses_fusion = true;
    assert_null(cudnn_plan_of(dnn, &fused));
    fake_cudnn_refuses_fusion = false;
    assert_null(cudnn_plan_of(dnn, &fused));
    cudnn_close(dnn);
    assert_int_equal(fake_cudnn_alive(), 0);
}

/* ---- convolutions in bfloat16 ---- */

enum { N = 2, H = 5, W = 7, C = 3, K = 5, P = 3, Q = 4 };

typedef struct conv_numbers {
    float x[N * H * W * C], w[3 * 3 * C * K], y[N * P * Q * K], bias[K];
} conv_numbers;

/* Whole numbers of few bits, so that bfloat16 holds them, products and their sums included. */
static void fill(float *x, int n, int step)
{
    for (int i = 0; i < n; i++) x[i] = (float)(i * step % 7 - 3);
}

static void run_conv(gen_op op, conv_numbers *v, cuda_products products)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_attr attr = { .window = { { 3, 3 }, { 2, 2 }, { 1, 1, 1, 1 }, { 1, 1 }, 1 } };
    gen_view x = { v->x, GEN_SHAPE(N, H, W, C) }, w = { v->w, GEN_SHAPE(3, 3, C, K) },
             y = { v->y, GEN_SHAPE(N, P, Q, K) };
    gen_view in[2] = { op == GEN_OP_CONV2D_T ? y : x, op == GEN_OP_CONV2D_W ? y : w };
    gen_view out = op == GEN_OP_CONV2D ? y : op == GEN_OP_CONV2D_T ? x : w;
    gen_call call = { .op = op, .n_in = 2, .n_out = 1, .in = in, .out = &out, .attr = &attr, .name = "conv" };
    call.epilogue.act = GEN_OP_COUNT;
    if (op == GEN_OP_CONV2D) {
        call.epilogue.bias = (gen_view){ v->bias, GEN_SHAPE(K) };
        call.epilogue.act = GEN_OP_LEAKY;
        call.epilogue.act_a = 0.5;
    }
    cuda_launches count = { .arena = arena, .products = products }, list = count;
    TEST_OK(cuda_lower(&call, &count, &err));
    list.scratch = (uintptr_t)gen_arena_alloc(arena, count.scratch_bytes);
    TEST_OK(cuda_lower(&call, &list, &err));
    for (int32_t i = 0; i < list.n; i++) cuda_emulate(&list.launch[i]);
    gen_arena_free(arena);
}

TEST(cudnn_convolves_bfloat16_with_channels_filled_up)
{
    static const gen_op ops[] = { GEN_OP_CONV2D, GEN_OP_CONV2D_T, GEN_OP_CONV2D_W };
    for (int i = 0; i < 3; i++) {
        conv_numbers half, whole;
        fill(half.x, N * H * W * C, 3);
        fill(half.w, 3 * 3 * C * K, 5);
        fill(half.y, N * P * Q * K, 2);
        fill(half.bias, K, 1);
        whole = half;
        cuda_products products = { .precision = CUDA_BF16, .dnn = opened_fake() };
        run_conv(ops[i], &half, products);
        run_conv(ops[i], &whole, (cuda_products){ 0 });
        assert_memory_equal(&half, &whole, sizeof half);
        assert_int_equal(fake_cudnn_executed(), 1);
        cudnn_close(products.dnn);
        assert_int_equal(fake_cudnn_alive(), 0);
    }
}

/* ---- the real one ---- */

typedef struct checked {
    cudnn *dnn;
    gen_arena *arena;
    cuda_precision precision;
    int n_convs, n_asked,
        n_without; /* convolutions of steps; that cuDNN is asked for; that have no engine on tensor cores */
    size_t most_workspace;
} checked;

static bool is_conv(gen_op op)
{
    return op == GEN_OP_CONV2D || op == GEN_OP_CONV2D_T || op == GEN_OP_CONV2D_W;
}

static gen_view view_of(const gen_plan *plan, int32_t id)
{
    static char somewhere;
    return id < 0 ? (gen_view){ 0 } : (gen_view){ &somewhere, gen_graph_node(plan->graph, id)->shape };
}

static void describe(const char *preset, const cudnn_conv *c, char *text, size_t bytes)
{
    static const char *const directions[] = { "forward", "data", "filter" };
    snprintf(text, bytes, "%s: %s, x[%d,%d,%d,%d] y[%d,%d,%d,%d] %dx%d stride %d,%d pad %d,%d,%d,%d", preset,
             directions[c->direction], (int)c->x[0], (int)c->x[1], (int)c->x[2], (int)c->x[3], (int)c->y[0],
             (int)c->y[1], (int)c->y[2], (int)c->y[3], c->kernel[0], c->kernel[1], c->stride[0], c->stride[1],
             c->pad[0], c->pad[1], c->pad[2], c->pad[3]);
}

/* cuDNN 9.19 has no engine on tensor cores for these: bars of music whose windows lie side by side; causal convolutions of music; a 6x6 filter's gradient. */
static bool is_known_without(const cudnn_conv *c)
{
    bool bars = c->direction == CUDNN_FORWARD && c->kernel[1] == 12 && c->stride[1] == 12;
    bool causal = c->kernel[0] == 5 && c->kernel[1] == 1 && c->x[2] == 1;
    bool wide = c->direction == CUDNN_FILTER && c->kernel[0] == 6 && c->stride[0] == 2;
    return bars || causal || wide;
}

static void check_step(checked *t, const char *preset, const gen_plan *plan, const gen_plan_step *step)
{
    char text[256];
    gen_view in[2] = { view_of(plan, step->in[0]), view_of(plan, step->in[1]) }, out = view_of(plan, step->out[0]);
    gen_call call = {
        .op = step->op, .n_in = 2, .n_out = 1, .in = in, .out = &out, .attr = step->attr, .name = preset
    };
    cudnn_conv conv;
    call.epilogue = (gen_epilogue){ view_of(plan, step->bias), view_of(plan, step->residual), step->act, 0 };
    t->n_convs++;
    if (!cuda_conv_of(&call, t->precision, &conv)) return;
    t->n_asked++;
    const cudnn_plan *chosen = cudnn_plan_of(t->dnn, &conv);
    describe(preset, &conv, text, sizeof text);
    if (!chosen) fail_msg("cuDNN has no plan for %s", text);
    if (!chosen->on_tensor_cores && !is_known_without(&conv))
        fail_msg("engine %d is not on tensor cores: %s", (int)chosen->engine, text);
    t->n_without += !chosen->on_tensor_cores;
    if (chosen->workspace_bytes > t->most_workspace) t->most_workspace = chosen->workspace_bytes;
}

static void check_graph(checked *t, const char *preset, gen_graph *g)
{
    gen_error err = { 0 };
    gen_plan *plan = NULL;
    gen_node *outputs[64], *assigns[4096];
    gen_plan_request request = { .outputs = outputs,
                                 .assigns = assigns,
                                 .no_fusion = true }; /* quicker; bf16 fuses nothing */
    TEST_OK(gen_graph_check(g, &err));
    assert_in_range(gen_graph_outputs(g), 1, 64);
    assert_in_range(gen_graph_assigns(g), 0, 4096);
    for (; request.n_outputs < gen_graph_outputs(g); request.n_outputs++)
        outputs[request.n_outputs] = gen_graph_output(g, request.n_outputs, NULL);
    for (; request.n_assigns < gen_graph_assigns(g); request.n_assigns++)
        assigns[request.n_assigns] = gen_graph_assign(g, request.n_assigns);
    TEST_OK(gen_plan_new(g, &request, &plan, &err));
    for (int32_t s = 0; s < plan->n_steps; s++)
        if (is_conv(plan->steps[s].op)) check_step(t, preset, plan, &plan->steps[s]);
    gen_plan_free(plan);
    gen_graph_free(g);
}

/* Height, width and channels of the data that a preset is meant for. */
static void sizes_of(const char *data, int64_t size[3])
{
    bool colour = strcmp(data, "mnist") != 0 && strncmp(data, "quickdraw", 9) != 0;
    size[0] = size[1] = !strcmp(data, "cifar10") ? 32 : colour ? 128 : 28;
    size[2] = colour ? 3 : 1;
}

/* Its training step, and what it does with pictures afterwards. */
static void check_preset(checked *t, const gen_model *model, const gen_preset *preset)
{
    gen_error err = { 0 };
    gen_settings s;
    int64_t size[3];
    TEST_OK(gen_settings_start(&s, model, t->arena, &err));
    if (preset) TEST_OK(gen_settings_preset(&s, preset->name, &err));
    sizes_of(preset ? preset->data : model->data, size);
    if (s.train.size) size[0] = size[1] = s.train.size;
    if (s.train.channels) size[2] = s.train.channels;
    if (model->open_data) {
        gen_dataset data;
        if (gen_data_open(&s, NULL, t->arena, &data, NULL)) {
            printf("  %s is left out: its data are not here\n", preset ? preset->name : model->name);
            return;
        }
        size[0] = data.height_px, size[1] = data.width_px, size[2] = data.channels;
    }
    gen_model_context m = { .options = s.options,
                            .batch = s.train.batch,
                            .height = size[0],
                            .width = size[1],
                            .channels = size[2],
                            .classes = 10,
                            .n_steps = 1000,
                            .steps_per_epoch = 100,
                            .optim = gen_settings_optim(&s, 1000, 100) };
    if (model->check(&m, &err)) fail_msg("%s: %s", preset ? preset->name : model->name, err.text);
    void (*const builds[])(gen_graph *, const gen_model_context *) = { model->train, model->translate, model->denoise };
    for (int i = 0; i < 3; i++) {
        if (!builds[i]) continue;
        gen_graph *g = gen_graph_new();
        builds[i](g, &m);
        check_graph(t, preset ? preset->name : model->name, g);
    }
}

TEST(cuda_libraries_that_are_installed_have_all_functions)
{
    gen_error err = { 0 };
    cudnn_api dnn;
    cublaslt_api blas;
    gen_status status = cuda_load_cudnn(&dnn, &err);
    if (status == GEN_OK) status = cuda_load_cublaslt(&blas, &err);
    if (status && strstr(err.text, " has no ")) fail_msg("%s", err.text);
    if (status) TEST_SKIP(err.text);
    printf("cuDNN %zu, cuBLASLt\n", dnn.version());
}

static cudnn *opened_for_h200(void)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes json;
    cudnn_api api;
    cudnn *dnn = NULL;
    if (cuda_load_cudnn(&api, &err)) {
        gen_arena_free(arena);
        return NULL;
    }
    TEST_OK(gen_file_read(test_source("tests/data/h200.json"), 1 << 16, arena, &json, &err));
    char *text = gen_arena_printf(arena, "%.*s", (int)json.size, (const char *)json.data);
    TEST_OK(cudnn_open(&api, text, &dnn, &err));
    gen_arena_free(arena);
    return dnn;
}

TEST(cudnn_has_a_plan_on_tensor_cores_for_every_convolution)
{
#ifdef __SANITIZE_ADDRESS__
    TEST_SKIP("cuDNN's own libraries leak when they are unloaded; the other builds run this");
#endif
    checked t = { .arena = gen_arena_new(), .dnn = opened_for_h200(), .precision = CUDA_BF16 };
    if (!t.dnn) {
        gen_arena_free(t.arena);
        TEST_SKIP("cuDNN is not installed");
    }
    for (int i = 0; gen_models[i]; i++) {
        if (gen_models[i]->tokens) continue; /* no convolutions */
        check_preset(&t, gen_models[i], NULL);
        for (const gen_preset *p = gen_models[i]->presets; p && p->name; p++) check_preset(&t, gen_models[i], p);
    }
    test_note("cuDNN: of %d convolutions %d have plans, %d of them not on tensor cores; workspace up to %.1f MB",
              t.n_convs, t.n_asked, t.n_without, 1e-6 * (double)t.most_workspace);
    assert_in_range(t.n_without, 0, t.n_asked / 200);
    assert_true(t.n_asked > 1000);
    cudnn_close(t.dnn);
    gen_arena_free(t.arena);
}

/* ---- style transfer --------------------------------------------------------------------------------------------------------- */

/* What an iteration computes with a picture: the loss of the network's own layers, and its gradient. */
static void check_style(checked *t, const gen_feature_net *net, int64_t height, int64_t width)
{
    gen_error err = { 0 };
    char name[64];
    gen_style_loss l = { .net = net, .content_weight = 1, .style_weight = 1e3, .tv_weight = 1, .n_targets = 1 };
    gen_node *gradient = NULL;
    TEST_OK(gen_style_layers_parse("content", net->content, t->arena, l.content, &l.n_content, &err));
    TEST_OK(gen_style_layers_parse("style", net->style, t->arena, l.style, &l.n_style, &err));
    gen_graph *g = gen_graph_new();
    gen_node *rgb = gen_input(g, "rgb", GEN_SHAPE(1, height, width, 3));
    const gen_style_parts parts = gen_style_objective(g, &l, rgb);
    gen_gradient(g, parts.loss, NULL, 1, &rgb, &gradient);
    gen_output(g, "loss", parts.loss);
    gen_output(g, "gradient", gradient);
    snprintf(name, sizeof name, "style %s", net->name);
    check_graph(t, name, g);
}

/* The VGGs and SqueezeNet on pictures of all usual sizes, upright and lying ones of odd sides among them. */
TEST(cudnn_has_a_plan_on_tensor_cores_for_style_transfer)
{
    static const int64_t sizes[][2] = { { 128, 128 }, { 256, 256 },  { 333, 500 },   { 512, 512 },  { 512, 683 },
                                        { 768, 576 }, { 720, 1280 }, { 1024, 1024 }, { 2048, 1365 } };
    static const cuda_precision precisions[] = { CUDA_BF16, CUDA_TF32 };
#ifdef __SANITIZE_ADDRESS__
    TEST_SKIP("cuDNN's own libraries leak when they are unloaded; the other builds run this");
#endif
    checked t = { .arena = gen_arena_new(), .dnn = opened_for_h200() };
    if (!t.dnn) {
        gen_arena_free(t.arena);
        TEST_SKIP("cuDNN is not installed");
    }
    for (int p = 0; p < 2; p++) {
        t.precision = precisions[p];
        for (int i = 0; gen_feature_nets[i]; i++)
            for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
                check_style(&t, gen_feature_nets[i], sizes[k][0], sizes[k][1]);
    }
    test_note(
        "cuDNN: of %d convolutions of style transfer %d have plans, %d of them not on tensor cores; workspace up to "
        "%.1f MB",
        t.n_convs, t.n_asked, t.n_without, 1e-6 * (double)t.most_workspace);
    assert_true(t.n_asked > 1000);
    cudnn_close(t.dnn);
    gen_arena_free(t.arena);
}
