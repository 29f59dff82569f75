/* Networks that see: the layouts of published weights, which weights want what, and a classifier's convs with their norms folded in. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/program.h"
#include "io/file.h"
#include "io/pth.h"
#include "kernels/devices.h"
#include "models/features.h"
#include "tests/test.h"

/* ---- layouts ----------------------------------------------------------------------------------------------------------------------- */

/* Place in torchvision's nn.Sequential and channels of each conv; 0 ends it. */
typedef struct published {
    int place;
    int64_t in, out;
} published;

static void check_layout(const char *name, const char *last, const published *convs)
{
    gen_error err = { 0 };
    gen_graph *g = gen_graph_new();
    gen_node *tap;
    int32_t n = 0;
    gen_features_build(g, gen_feature_net_find(name), gen_input(g, "x", GEN_SHAPE(1, 32, 32, 3)),
                       &(gen_feature_options){ 0 }, 1, &last, &tap);
    TEST_OK(gen_graph_check(g, &err));
    for (const published *c = convs; c->out; c++) {
        char expected[64];
        for (int bias = 0; bias < 2; bias++) {
            gen_param_spec spec;
            const gen_node *p = gen_graph_param(g, n++, &spec);
            gen_shape shape = gen_layout_torch_shape(&p->shape, &spec),
                      want = bias ? GEN_SHAPE(c->out) : GEN_SHAPE(c->out, c->in, 3, 3);
            snprintf(expected, sizeof expected, "features.%d.%s", c->place, bias ? "bias" : "weight");
            assert_string_equal(p->name, expected);
            assert_true(gen_shape_equal(&shape, &want));
        }
    }
    assert_int_equal(n, gen_graph_params(g));
    gen_graph_free(g);
}

TEST(features_of_vgg_have_torchvision_s_names_and_shapes)
{
    static const published vgg19[] = { { 0, 3, 64 },     { 2, 64, 64 },    { 5, 64, 128 },   { 7, 128, 128 },
                                       { 10, 128, 256 }, { 12, 256, 256 }, { 14, 256, 256 }, { 16, 256, 256 },
                                       { 19, 256, 512 }, { 21, 512, 512 }, { 23, 512, 512 }, { 25, 512, 512 },
                                       { 28, 512, 512 }, { 30, 512, 512 }, { 32, 512, 512 }, { 34, 512, 512 },
                                       { 0, 0, 0 } };
    static const published vgg16[] = { { 0, 3, 64 },     { 2, 64, 64 },    { 5, 64, 128 },   { 7, 128, 128 },
                                       { 10, 128, 256 }, { 12, 256, 256 }, { 14, 256, 256 }, { 17, 256, 512 },
                                       { 19, 512, 512 }, { 21, 512, 512 }, { 24, 512, 512 }, { 26, 512, 512 },
                                       { 28, 512, 512 }, { 0, 0, 0 } };
    check_layout("vgg19", "relu5_4", vgg19);
    check_layout("vgg16", "relu5_3", vgg16);
}

/* A file with nothing but names. */
static gen_safetensors file_of(gen_tensor_entry *one, const char *name, gen_metadata_entry *says, const char *input)
{
    *one = (gen_tensor_entry){ .name = name, .dtype = GEN_DTYPE_F32, .n_dims = 1, .dims = { 0 } };
    *says = (gen_metadata_entry){ "input", input };
    return (gen_safetensors){ one, 1, says, input ? 1 : 0 };
}

TEST(features_weights_say_what_they_want_to_see)
{
    static const struct {
        const char *tensor, *says, *file;
        gen_feature_input input;
        bool known;
    } cases[] = {
        { "features.0.weight", NULL, "vgg19-dcbb9e9d.pth", GEN_INPUT_TORCHVISION, true },
        { "features.0.weight", NULL, "vgg16-397923af.pth", GEN_INPUT_TORCHVISION, true },
        { "features.0.weight", NULL, "vgg19-d01eb7cb.pth", GEN_INPUT_CAFFE, true },
        { "features.0.weight", NULL, "vgg16-00b39a1b.pth", GEN_INPUT_CAFFE, true },
        { "conv1_1.weight", NULL, "vgg_conv.pth", GEN_INPUT_CAFFE, true },
        { "features.0.weight", "BGR, 0..255", "some.safetensors", GEN_INPUT_CAFFE, true },
        { "features.0.weight", "RGB, as torchvision", "some.safetensors", GEN_INPUT_TORCHVISION, true },
        { "features.0.weight", NULL, "some.pth", GEN_INPUT_TORCHVISION, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gen_tensor_entry one;
        gen_metadata_entry says;
        gen_feature_input input;
        gen_safetensors st = file_of(&one, cases[i].tensor, &says, cases[i].says);
        assert_true(gen_features_input_of(&gen_vgg19, &st, cases[i].file, &input) == cases[i].known);
        assert_int_equal(input, cases[i].input);
    }
}

/* ---- what PyTorch saved ------------------------------------------------------------------------------------------------------------- */

typedef struct files {
    gen_arena *arena;
    gen_device *device;
    gen_safetensors seen;
    const char *folder;
} files;

/* The network in the file is recognised, takes its weights and sees what PyTorch saw. */
static void check_file(files *f, const char *name, const char *expected, const gen_feature_net *net)
{
    gen_error err = { 0 };
    gen_bytes map;
    gen_safetensors st;
    gen_feature_input input;
    gen_program *p = NULL;
    gen_node *tap;
    static const char *const last[] = { "relu5_1" };
    TEST_OK(gen_file_map(gen_arena_printf(f->arena, "%s/%s.pth", f->folder, name), &map, &err));
    TEST_OK(gen_pth_read(map.data, map.size, f->arena, &st, &err));
    assert_ptr_equal(gen_features_recognise(&st), net);
    bool caffe = !strcmp(name, "caffe");
    assert_true(gen_features_input_of(net, &st, name, &input) == caffe);
    assert_int_equal(input, caffe ? GEN_INPUT_CAFFE : GEN_INPUT_TORCHVISION);
    const gen_tensor_entry *x = gen_safetensors_find(&f->seen, "x"), *y = gen_safetensors_find(&f->seen, expected);
    float *in = gen_arena_alloc(f->arena, x->n * sizeof *in), *want = gen_arena_alloc(f->arena, 2 * y->n * sizeof *in),
          *got = want + y->n;
    gen_tensor_to_float(x, in);
    gen_tensor_to_float(y, want);
    gen_params *params = gen_params_new(f->device);
    gen_graph *g = gen_graph_new();
    gen_features_build(g, net, gen_input(g, "x", GEN_SHAPE(1, x->dims[1], x->dims[2], 3)),
                       &(gen_feature_options){ .input_given = true, .input = input }, 1, last, &tap);
    gen_output(g, "y", tap);
    TEST_OK(gen_program_new(g, f->device, params, 0, &p, &err));
    TEST_OK(gen_features_load(net, &st, params, &err));
    TEST_OK(gen_program_feed(p, "x", in, (int64_t)x->n, &err));
    TEST_OK(gen_program_run(p, (gen_run_state){ 0 }, &err));
    TEST_OK(gen_program_fetch(p, "y", got, (int64_t)y->n, &err));
    double far = 0, size = 0;
    for (size_t i = 0; i < y->n; i++) {
        far += pow((double)got[i] - (double)want[i], 2);
        size += pow((double)want[i], 2);
    }
    assert_true(size > 0);
    if (!(sqrt(far / size) < 1e-4)) fail_msg("%s: features are off by %g", name, sqrt(far / size));
    gen_program_free(p);
    gen_params_free(params);
    gen_file_unmap(&map);
}

TEST(features_of_vgg_saved_by_pytorch_in_both_containers_are_pytorch_s)
{
    const char *python = getenv("GEN_PYTHON");
    gen_error err = { 0 };
    gen_bytes bytes;
    char command[2048];
    if (!python) TEST_SKIP("GEN_PYTHON does not name a Python with torch");
    files f = { .arena = gen_arena_new(), .folder = test_folder() };
    snprintf(command, sizeof command, "%s -c 'import torch, safetensors.torch' 2>/dev/null", python);
    if (system(command)) TEST_SKIP("the Python of GEN_PYTHON has no torch or no safetensors");
    snprintf(command, sizeof command, "%s %s %s", python, test_source("tools/check_vgg.py"), f.folder);
    assert_int_equal(system(command), 0);
    TEST_OK(gen_file_read(gen_arena_printf(f.arena, "%s/seen.safetensors", f.folder), GEN_FILE_ANY_SIZE, f.arena,
                          &bytes, &err));
    TEST_OK(gen_safetensors_read(bytes.data, bytes.size, f.arena, &f.seen, &err));
    TEST_OK(gen_device_open("cpu", 1, &f.device, &err));
    check_file(&f, "vgg19", "vgg19", &gen_vgg19);
    check_file(&f, "vgg16", "vgg16", &gen_vgg16);
    check_file(&f, "caffe", "caffe", &gen_vgg16);
    f.device->ops->close(f.device);
    gen_arena_free(f.arena);
}

/* ---- norms folded into convs ------------------------------------------------------------------------------------------------------- */

enum { PARTS = 5, CONVS = 6 };

static float number_at(int64_t i)
{
    return (float)(0.5 * sin(0.7 * (double)i) + 0.3 * cos(0.013 * (double)(i * i % 4099)));
}

/* A classifier's tensors: conv weights around 0, gamma, beta, running mean, running variance. */
static void make_classifier(gen_arena *arena, gen_tensor_entry tensors[CONVS * PARTS])
{
    static const int64_t channels[CONVS + 1] = { 3, 64, 64, 128, 128, 256, 256 };
    static const char *const parts[PARTS] = { "", "_norm.weight", "_norm.bias", "_norm.running_mean",
                                              "_norm.running_var" };
    for (int i = 0; i < CONVS; i++)
        for (int part = 0; part < PARTS; part++) {
            gen_tensor_entry *t = &tensors[PARTS * i + part];
            int64_t k = channels[i + 1], c = channels[i];
            *t = (gen_tensor_entry){ .dtype = GEN_DTYPE_F32, .n_dims = part ? 1 : 4, .dims = { k, c, 3, 3 } };
            t->n = (size_t)(part ? k : k * c * 9);
            t->name = part ? gen_arena_printf(arena, "conv%d%s", i + 1, parts[part])
                           : gen_arena_printf(arena, "conv%d.weight", i + 1);
            float *values = gen_arena_alloc(arena, t->n * sizeof *values);
            for (size_t j = 0; j < t->n; j++) values[j] = number_at((int64_t)j + 31 * part) + (part == 4 ? 1.5f : 0);
            t->data = values;
        }
}

TEST(features_folded_convs_compute_what_conv_and_norm_did)
{
    enum { SIDE = 12, PLACE = 5, C = 3, K = 64 };
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_tensor_entry tensors[CONVS * PARTS], *folded;
    gen_safetensors from = { tensors, CONVS * PARTS, NULL, 0 }, st = { 0 };
    make_classifier(arena, tensors);
    TEST_OK(gen_features_fold(&gen_vgg_small, &from, arena, &folded, &st.n_tensors, &err));
    st.tensors = folded;
    assert_int_equal(st.n_tensors, 2 * CONVS);
    assert_ptr_equal(gen_features_recognise(&st), &gen_vgg_small);
    gen_device *device;
    gen_program *p = NULL;
    gen_node *tap;
    static const char *const first[] = { "relu1_1" };
    float x[SIDE * SIDE * C], y[SIDE * SIDE * K];
    for (int i = 0; i < SIDE * SIDE * C; i++) x[i] = number_at(i) + 0.5f;
    TEST_OK(gen_device_open("cpu", 1, &device, &err));
    gen_params *params = gen_params_new(device);
    gen_graph *g = gen_graph_new();
    gen_features_build(g, &gen_vgg_small, gen_input(g, "x", GEN_SHAPE(1, SIDE, SIDE, C)), &(gen_feature_options){ 0 },
                       1, first, &tap);
    gen_output(g, "y", tap);
    TEST_OK(gen_program_new(g, device, params, 0, &p, &err));
    TEST_OK(gen_features_load(&gen_vgg_small, &st, params, &err));
    TEST_OK(gen_program_feed(p, "x", x, SIDE * SIDE * C, &err));
    TEST_OK(gen_program_run(p, (gen_run_state){ 0 }, &err));
    TEST_OK(gen_program_fetch(p, "y", y, SIDE * SIDE * K, &err));
    const float *w = tensors[0].data, *gamma = tensors[1].data, *beta = tensors[2].data, *mean = tensors[3].data,
                *var = tensors[4].data;
    for (int k = 0; k < K; k++) {
        double sum = 0;
        for (int c = 0; c < C; c++)
            for (int r = 0; r < 3; r++)
                for (int s = 0; s < 3; s++)
                    sum += (double)w[((k * C + c) * 3 + r) * 3 + s] *
                           (double)x[((PLACE + r - 1) * SIDE + PLACE + s - 1) * C + c];
        double expected =
            fmax(0, (sum - (double)mean[k]) / sqrt((double)var[k] + 1e-5) * (double)gamma[k] + (double)beta[k]);
        assert_true(fabs((double)y[(PLACE * SIDE + PLACE) * K + k] - expected) < 3e-3 * (1 + expected)); /* halves */
    }
    tensors[1].name = "other";
    assert_int_equal(gen_features_fold(&gen_vgg_small, &from, arena, &folded, &st.n_tensors, &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "conv1_norm.weight"));
    gen_program_free(p);
    gen_params_free(params);
    device->ops->close(device);
    gen_arena_free(arena);
}
