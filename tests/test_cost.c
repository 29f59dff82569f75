/* Parameters and multiply-adds as lectures count them: dense and conv layers, recurrent cells, LSTMs, and C = 6 N D of a training. */
#include "core/nn.h"
#include "core/program.h"
#include "kernels/devices.h"
#include "models/cost.h"
#include "tests/model_run.h"

static int64_t params_of(const gen_graph *g)
{
    int64_t n = 0;
    for (int32_t i = 0; i < gen_graph_params(g); i++) {
        gen_param_spec spec;
        const gen_node *p = gen_graph_param(g, i, &spec);
        n += gen_shape_count(&p->shape);
    }
    return n;
}

TEST(cost_of_dense_and_conv_layers_is_that_of_lectures)
{
    enum { N = 3, H = 28, C = 2, K = 5 };
    gen_graph *g = gen_graph_new();
    gen_node *x = gen_input(g, "x", GEN_SHAPE(N, H, H, C));
    gen_node *h = nn_conv(g, x, "conv", K, (nn_conv_spec){ .kernel = 3 }); /* 26 x 26 */
    assert_int_equal(params_of(g), K * (3 * 3 * C + 1));
    assert_true(gen_graph_multiply_adds(g) == N * 26.0 * 26 * K * 3 * 3 * C);
    double conv = gen_graph_multiply_adds(g);
    nn_dense(g, nn_flatten(g, h), "fc", 7, (nn_dense_spec){ 0 });
    assert_int_equal(params_of(g), K * (3 * 3 * C + 1) + 26 * 26 * K * 7 + 7);
    assert_true(gen_graph_multiply_adds(g) - conv == N * 26.0 * 26 * K * 7);
    gen_graph_free(g);
}

/* The layer of lectures: input and state side by side into `gates` dense layers of h units: h (h + i) + h parameters each. */
static void check_cell(int64_t inputs, int64_t h, int64_t gates)
{
    gen_graph *g = gen_graph_new();
    gen_node *both[] = { gen_input(g, "x", GEN_SHAPE(1, inputs)), gen_input(g, "h", GEN_SHAPE(1, h)) };
    nn_dense(g, gen_concat(g, 2, both, 1), "cell", gates * h, (nn_dense_spec){ 0 });
    assert_int_equal(gen_graph_check(g, NULL), GEN_OK);
    assert_int_equal(params_of(g), gates * (h * (h + inputs) + h));
    assert_true(gen_graph_multiply_adds(g) == (double)(gates * h * (h + inputs)));
    gen_graph_free(g);
}

TEST(cost_of_a_recurrent_cell_and_an_lstm_is_that_of_lectures)
{
    check_cell(10, 32, 1);  /* RNN: 1,376 parameters */
    check_cell(10, 32, 4);  /* LSTM: 5,504 */
    check_cell(88, 256, 4); /* one of 256 units on 88 piano keys: 353,280 */
}

/* 2 N D forward, 4 N D backward; the first layer's input needs no gradient: 2 N_1 D less. */
TEST(cost_of_training_a_dense_net_is_6_n_d)
{
    enum { D = 16, PIXELS = 64, HIDDEN = 12, LATENT = 3 };
    test_model t;
    test_model_open(&t, "ae", NULL, "net=mlp hidden=12 latent=3", D, 8, 8, 1);
    gen_program *train = test_model_program(&t, t.model->train), *eval = test_model_program(&t, t.model->encode);
    double n = 2.0 * (PIXELS * HIDDEN + HIDDEN * LATENT), first = PIXELS * HIDDEN;
    assert_true(2 * gen_graph_multiply_adds(gen_program_graph(train)) == 6 * n * D - 2 * first * D);
    assert_true(2 * gen_graph_multiply_adds(gen_program_graph(eval)) == 2 * (n / 2) * D); /* half of the net, forward */
    gen_program_free(train);
    gen_program_free(eval);
    test_model_close(&t);
}

/* y = sum of a convolution: activations and constants are the session's, scratch comes on top. */
TEST(cost_of_memory_is_what_a_program_takes)
{
    gen_error err = { 0 };
    gen_device *device;
    gen_program *p = NULL;
    size_t bytes = 0;
    TEST_OK(gen_device_open("cpu", 1, &device, &err));
    gen_params *params = gen_params_new(device);
    gen_graph *g = gen_graph_new();
    gen_node *x = gen_input(g, "x", GEN_SHAPE(1, 40, 40, 8));
    gen_node *w = gen_param(g, "w", GEN_SHAPE(3, 3, 8, 16), (gen_param_spec){ .init = GEN_INIT_HE });
    gen_node *y = gen_conv2d(g, gen_mul(g, x, gen_const(g, GEN_SHAPE(8), (float[]){ 1, 2, 3, 4, 5, 6, 7, 8 })), w,
                             gen_window_of(3, 1, 1));
    gen_output(g, "y", gen_sum_all(g, gen_relu(g, y)));
    TEST_OK(gen_graph_bytes(g, device, &bytes, &err));
    assert_int_equal(gen_graph_param_bytes(g, device), 3 * 3 * 8 * 16 * sizeof(float));
    TEST_OK(gen_program_new(g, device, params, 0, &p, &err));
    size_t taken = gen_session_bytes(gen_program_session(p));
    assert_true(taken >= (40 * 40 * (8 + 16) + 8) * sizeof(float));
    assert_true(bytes > taken && bytes < taken + (4 << 20));
    gen_program_free(p);
    gen_params_free(params);
    device->ops->close(device);
}

/* y = relu(x w + b) as one step: the work of the product, and each number once. */
TEST(cost_of_a_fused_step_is_that_of_its_product)
{
    enum { M = 5, K = 7, N = 3 };
    gen_graph *g = gen_graph_new();
    gen_plan *plan = NULL;
    gen_error err = { 0 };
    gen_node *x = gen_input(g, "x", GEN_SHAPE(M, K));
    gen_node *w = gen_param(g, "w", GEN_SHAPE(K, N), (gen_param_spec){ 0 });
    gen_node *b = gen_param(g, "b", GEN_SHAPE(N), (gen_param_spec){ 0 });
    gen_node *y = gen_relu(g, gen_add(g, gen_matmul(g, x, w, false, false), b));
    TEST_OK(gen_plan_new(g, &(gen_plan_request){ .n_outputs = 1, .outputs = &y }, &plan, &err));
    assert_int_equal(plan->n_steps, 1);
    assert_true(gen_step_multiply_adds(plan, &plan->steps[0]) == M * K * N);
    assert_true(gen_step_bytes(plan, &plan->steps[0], sizeof(float)) == 4.0 * (M * K + K * N + N + M * N));
    gen_plan_free(plan);
    gen_graph_free(g);
}

/* Numbers that a chain reads twice count once, and a constant that is one number everywhere as one. */
TEST(cost_of_a_chain_is_what_it_reads_and_writes)
{
    enum { N = 100 };
    gen_graph *g = gen_graph_new();
    gen_plan *plan = NULL;
    gen_error err = { 0 };
    gen_node *x = gen_input(g, "x", GEN_SHAPE(N));
    gen_node *y = gen_tanh(g, gen_mul(g, gen_add(g, x, gen_exp(g, x)), gen_sin(g, x)));
    TEST_OK(gen_plan_new(g, &(gen_plan_request){ .n_outputs = 1, .outputs = &y }, &plan, &err));
    assert_int_equal(plan->n_steps, 1);
    assert_true(gen_step_multiply_adds(plan, &plan->steps[0]) == 0);
    assert_true(gen_step_bytes(plan, &plan->steps[0], sizeof(float)) == 4.0 * 2 * N);
    gen_plan_free(plan);
    gen_graph_free(g);
}

TEST(cost_sizes_are_read_as_people_write_them)
{
    gen_error err = { 0 };
    size_t bytes;
    TEST_OK(gen_bytes_parse("memory", "1.5G", &bytes, &err));
    assert_int_equal(bytes, (size_t)3 << 29);
    TEST_OK(gen_bytes_parse("memory", "500m", &bytes, &err));
    assert_int_equal(bytes, (size_t)500 << 20);
    static const char *const wrong[] = { "much", "", "-1", "2X", "2GB", "G" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(gen_bytes_parse("memory", wrong[i], &bytes, NULL), GEN_BAD_OPTION);
}
