/* Graphs: errors that say where and why, shapes, parameters. */
#include <string.h>

#include "core/graph.h"
#include "core/nn.h"
#include "core/params.h"
#include "tests/test.h"

static void assert_fails_with(gen_graph *g, const char *const *words)
{
    gen_error err = { 0 };
    assert_int_not_equal(gen_graph_check(g, &err), GEN_OK);
    for (; *words; words++)
        if (!strstr(err.text, *words)) fail_msg("\"%s\" does not say \"%s\"", err.text, *words);
    gen_graph_free(g);
}

TEST(graph_error_names_op_layer_and_shapes)
{
    gen_graph *g = gen_graph_new();
    gen_node *x = gen_input(g, "x", GEN_SHAPE(64, 14, 14, 32));
    gen_graph_scope(g, "enc.conv2");
    gen_node *w = gen_param(g, "w", GEN_SHAPE(3, 3, 3, 64), (gen_param_spec){ 0 });
    gen_conv2d(g, x, w, gen_window_of(3, 1, 1));
    assert_fails_with(g, (const char *[]){ "conv2d enc.conv2", "w has 3 input channels, x has 32", "[64,14,14,32]",
                                           "[3,3,3,64]", NULL });
}

TEST(graph_keeps_the_first_error_and_stays_usable)
{
    gen_graph *g = gen_graph_new();
    gen_node *a = gen_input(g, "a", GEN_SHAPE(2, 3)), *b = gen_input(g, "b", GEN_SHAPE(4, 5));
    gen_node *bad = gen_matmul(g, a, b, false, false);
    gen_node *more = gen_relu(g, gen_add(g, bad, gen_reshape(g, a, GEN_SHAPE(7))));
    assert_non_null(more);
    gen_output(g, "y", more);
    assert_fails_with(g, (const char *[]){ "matmul", "inner sizes are 3 and 4", NULL });
}

TEST(graph_refuses_one_parameter_with_two_shapes)
{
    gen_graph *g = gen_graph_new();
    gen_param(g, "w", GEN_SHAPE(2, 3), (gen_param_spec){ 0 });
    gen_param(g, "w", GEN_SHAPE(3, 2), (gen_param_spec){ 0 });
    assert_fails_with(g, (const char *[]){ "parameter w", "[2,3]", "[3,2]", NULL });
}

TEST(graph_transposed_conv_refuses_a_size_that_no_conv_maps_back)
{
    gen_graph *g = gen_graph_new();
    gen_node *x = gen_input(g, "x", GEN_SHAPE(1, 7, 7, 8)),
             *w = gen_param(g, "w", GEN_SHAPE(3, 3, 4, 8), (gen_param_spec){ 0 });
    gen_conv2d_t(g, x, w, gen_window_of(3, 2, 1), 17, 17);
    assert_fails_with(g, (const char *[]){ "conv2d_t", "7x7 pixels cannot become 17x17", NULL });
}

TEST(graph_same_padding_is_tensorflows)
{
    /* total = max((ceil(n/s) - 1) s + k - n, 0), the odd zero below and right */
    static const struct {
        int32_t k, s;
        int64_t n;
        int32_t before, after;
    } rows[] = {
        { 3, 2, 28, 0, 1 }, { 3, 2, 7, 1, 1 },  { 5, 2, 28, 1, 2 }, { 5, 2, 7, 2, 2 },
        { 4, 2, 32, 1, 1 }, { 4, 1, 16, 1, 2 }, { 5, 1, 9, 2, 2 },  { 3, 1, 7, 1, 1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gen_window window = gen_window_same(rows[i].k, rows[i].s, rows[i].n, rows[i].n);
        assert_int_equal(window.pad[0], rows[i].before);
        assert_int_equal(window.pad[2], rows[i].after);
        assert_int_equal(gen_window_out(&window, 0, rows[i].n), (rows[i].n + rows[i].s - 1) / rows[i].s);
    }
}

/* What a builder gives after a failure is a scalar, which has no last axis. */
TEST(graph_norms_after_a_failure_change_nothing)
{
    gen_graph *g = gen_graph_new();
    gen_error err = { 0 };
    gen_node *bad = gen_reshape(g, gen_input(g, "x", GEN_SHAPE(2, 3)), GEN_SHAPE(7));
    assert_int_equal(bad->shape.rank, 0);
    nn_group_norm(g, bad, "norm", 0, (nn_norm_spec){ 0 });
    nn_batch_norm(g, bad, "norm2", (nn_norm_spec){ .training = true });
    assert_int_equal(gen_graph_check(g, &err), GEN_BAD_SHAPE);
    assert_non_null(strstr(err.text, "reshape"));
    gen_graph_free(g);
}

TEST(graph_broadcast_is_left_out_where_an_elementwise_op_does_it)
{
    gen_graph *g = gen_graph_new();
    gen_node *x = gen_input(g, "x", GEN_SHAPE(4, 5)), *s = gen_input(g, "s", GEN_SHAPE(4, 1));
    gen_node *y = gen_mul(g, x, gen_broadcast(g, s, GEN_SHAPE(4, 5)));
    assert_ptr_equal(y->in[1], s);
    gen_graph_free(g);
}

/* ---- layouts --------------------------------------------------------------------------------------------------------- */

TEST(params_layouts_to_torch_and_back_are_inverse)
{
    static const struct {
        gen_shape shape;
        gen_param_spec spec;
    } rows[] = {
        { { 4, { 3, 2, 5, 7 } }, { .layout = GEN_LAYOUT_CONV } },
        { { 2, { 12, 5 } }, { .layout = GEN_LAYOUT_DENSE, .flatten_in = { 3, 2, 2 } } },
        { { 2, { 5, 12 } }, { .layout = GEN_LAYOUT_DENSE, .flatten_out = { 3, 2, 2 } } },
        { { 1, { 12 } }, { .layout = GEN_LAYOUT_DENSE, .flatten_out = { 3, 2, 2 } } },
        { { 1, { 9 } }, { .layout = GEN_LAYOUT_PLAIN } },
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        float ours[256], theirs[256], back[256];
        int64_t n = gen_shape_count(&rows[r].shape);
        for (int64_t i = 0; i < n; i++) ours[i] = (float)i, theirs[i] = -1;
        gen_layout_to_torch(&rows[r].shape, &rows[r].spec, ours, theirs);
        gen_layout_from_torch(&rows[r].shape, &rows[r].spec, theirs, back);
        assert_memory_equal(ours, back, (size_t)n * sizeof *ours);
    }
}

TEST(params_filter_rskc_lies_as_kcrs_in_a_checkpoint)
{
    gen_shape shape = { 4, { 2, 2, 3, 4 } };
    gen_param_spec spec = { .layout = GEN_LAYOUT_CONV };
    float ours[48], theirs[48];
    for (int i = 0; i < 48; i++) ours[i] = (float)i;
    gen_layout_to_torch(&shape, &spec, ours, theirs);
    /* r=1 s=0 c=2 k=3 is ours[((1*2+0)*3+2)*4+3] = 35, theirs[((3*3+2)*2+1)*2+0] */
    assert_true(theirs[((3 * 3 + 2) * 2 + 1) * 2] == 35);
}

TEST(graph_input_of_the_same_name_is_the_same)
{
    gen_graph *g = gen_graph_new();
    gen_error err = { 0 };
    gen_node *x = gen_input(g, "x", GEN_SHAPE(2, 3));
    assert_ptr_equal(gen_input(g, "x", GEN_SHAPE(2, 3)), x);
    gen_input(g, "x", GEN_SHAPE(3, 2));
    assert_int_equal(gen_graph_check(g, &err), GEN_BAD_SHAPE);
    assert_non_null(strstr(err.text, "input x is used with two shapes"));
    gen_graph_free(g);
}
