/* SqueezeNet's layers against PyTorch (tools/twins_squeezenet.py), its published size, and weights that do not fit. */
#include <math.h>
#include <string.h>

#include "kernels/devices.h"
#include "models/evaluate.h"
#include "models/features.h"
#include "models/squeezenet.h"
#include "tests/golden_run.h"

/* torchvision's features.1 … features.12 */
static const char *const layers[] = { "relu1", "pool1", "fire2", "fire3", "pool3", "fire4",
                                      "fire5", "pool5", "fire6", "fire7", "fire8", "fire9" };
enum { N_LAYERS = sizeof layers / sizeof *layers };

static void all_layers(gen_graph *g, const gen_model_context *m)
{
    gen_node *tap[N_LAYERS], *x = gen_input(g, "x", GEN_SHAPE(m->batch, m->height, m->width, m->channels));
    gen_features_build(g, &gen_feature_squeezenet, x, &(gen_feature_options){ 0 }, N_LAYERS, layers, tap);
    for (int i = 0; i < N_LAYERS; i++)
        gen_output(g, gen_arena_printf(gen_graph_arena(g), "features.%d", i + 1), tap[i]);
    gen_output(g, "mu", gen_global_avg_pool(g, tap[N_LAYERS - 1]));
}

TEST(squeezenet_layers_agree_with_pytorch)
{
    golden t;
    golden_open(&t, "squeezenet", "cpu");
    gen_program *p = golden_program(&t, all_layers);
    int64_t learned = 0;
    for (int32_t i = 0; i < gen_params_count(t.params); i++) {
        gen_param_info info = gen_params_get(t.params, i);
        learned += gen_shape_count(&info.shape);
    }
    assert_int_equal(learned, 722496); /* torchvision's 1,235,496 without the classifier's 512 x 1000 + 1000 */
    for (int i = 1; i <= N_LAYERS; i++) {
        char *name = gen_arena_printf(t.arena, "features.%d", i);
        gen_shape shape = gen_program_shape(p, name);
        int64_t count = gen_shape_count(&shape);
        float *y = golden_map(&t, p, "x", t.x, name);
        golden_expect_below(&t, name, golden_distance(&t, "", name, y, count), 1e-4 * golden_norm(y, count));
    }
    const float *expected = golden_tensor(&t, "mu", t.n * GEN_SQUEEZENET_FEATURES),
                *mu = golden_map(&t, p, "x", t.x, "mu");
    for (int64_t i = 0; i < t.n * GEN_SQUEEZENET_FEATURES; i++)
        assert_true(fabs((double)mu[i] - (double)expected[i]) < 1e-3);
    gen_program_free(p);
    golden_close(&t);
}

TEST(squeezenet_takes_torchvision_s_weights_and_no_others)
{
    enum { SIDE = 64 };
    static const char theirs[] = "data/weights/squeezenet1_1_torchvision.safetensors",
                      caffe[] = "data/weights/squeezenet1_1_caffe.safetensors";
    static float x[SIDE * SIDE * 3];
    float features[GEN_SQUEEZENET_FEATURES], sum = 0;
    gen_error err = { 0 };
    gen_device *device;
    gen_run *run;
    if (!test_shared(theirs)) TEST_SKIP("no weights in ../shared/data");
    TEST_OK(gen_device_open("cpu", 1, &device, &err));
    TEST_OK(gen_squeezenet_open(test_shared(theirs), device, SIDE, SIDE, 3, &run, &err));
    TEST_OK(gen_classify(run, x, 1, features, NULL, &err));
    for (int i = 0; i < GEN_SQUEEZENET_FEATURES; i++) {
        assert_true(features[i] >= 0 && isfinite(features[i]));
        sum += features[i];
    }
    assert_true(sum > 0);
    gen_run_close(run);
    assert_int_equal(gen_squeezenet_open(test_shared(caffe), device, SIDE, SIDE, 3, &run, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "BGR"));
    err = (gen_error){ 0 };
    assert_int_equal(gen_squeezenet_open(test_shared(theirs), device, 20, 20, 3, &run, &err), GEN_BAD_SHAPE);
    assert_non_null(strstr(err.text, "at least 21"));
    device->ops->close(device);
}
