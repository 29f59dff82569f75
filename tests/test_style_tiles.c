/* Style transfer in tiles: where tiles lie, and that loss and gradient are those of the whole picture. */
#include "kernels/devices.h"
#include "models/style_state.h"
#include "models/tiles.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

/* ---- tiles ---------------------------------------------------------------------------------------------------------------------- */

/* Every place of a layer with this stride belongs to one tile, and sees nothing beyond the tile's crop that the picture has. */
static void check_axis(int32_t size, int32_t side, gen_tile_need need, int32_t stride)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_tile_axis a;
    TEST_OK(gen_tile_axis_make(size, side, &need, arena, &a, &err));
    int32_t places = size / stride, next = 0;
    assert_true(a.crop <= side || a.n == 1);
    for (int32_t i = 0; i < a.n; i++) {
        int32_t start = a.tiles[i].start;
        assert_true(start >= 0 && start % need.unit == 0 && start + a.crop <= size);
        assert_true(i + 1 < a.n || start + a.crop == size);
        gen_tile_part own = gen_tile_own(&a, i, stride, a.crop / stride);
        assert_int_equal(start / stride + own.from, next);
        next = start / stride + own.to;
        for (int32_t p = start / stride + own.from; p < next; p++) {
            assert_true(start == 0 || p * stride - need.before >= start);
            assert_true(start + a.crop == size || (p + 1) * stride + need.after <= start + a.crop);
        }
    }
    assert_int_equal(next, places);
    gen_arena_free(arena);
}

TEST(tiles_share_every_place_of_every_layer)
{
    static const int32_t sizes[] = { 7, 64, 65, 200, 201, 255, 256, 1000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int32_t side = 64; side <= 256; side += 31)
            for (int32_t stride = 1; stride <= 8; stride *= 2)
                check_axis(sizes[i], side, (gen_tile_need){ 8, 13, 9 }, stride);
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_tile_axis a;
    gen_tile_need need = { 16, 90, 70 };
    assert_int_equal(gen_tile_least_side(&need), 96 + 70 + 48);
    assert_int_equal(gen_tile_axis_make(1000, 100, &need, arena, &a, &err), GEN_UNSUPPORTED);
    assert_non_null(strstr(err.text, "it needs 214"));
    gen_arena_free(arena);
}

TEST(features_know_how_far_a_place_sees)
{
    gen_feature_reach r = gen_features_reach(gen_feature_net_find("vgg19"), "relu1_2");
    assert_true(r.stride == 1 && r.before == 2 && r.after == 2);
    r = gen_features_reach(gen_feature_net_find("vgg19"), "relu5_1");
    assert_true(r.stride == 16 && r.before + 1 + r.after == 156); /* Dumoulin & Visin's arithmetic by hand */
    r = gen_features_reach(gen_feature_net_find("squeezenet"), "pool1");
    assert_true(r.stride == 4 && r.before == 0 && r.after == 6); /* 3x3 stride 2, twice, no padding */
    assert_int_equal(gen_features_channels(gen_feature_net_find("squeezenet"), "fire8"), 512);
    assert_int_equal(gen_features_channels(gen_feature_net_find("vgg19"), "pool3"), 256);
}

/* ---- gradients -------------------------------------------------------------------------------------------------------------------- */

typedef struct picture {
    int32_t height, width;
    float *rgb;
} picture;

static picture waves(gen_arena *arena, int32_t height, int32_t width, double frequency)
{
    int64_t n = (int64_t)height * width * 3;
    picture p = { height, width, gen_arena_alloc(arena, (size_t)n * sizeof(float)) };
    for (int64_t i = 0; i < n; i++)
        p.rgb[i] = (float)(0.5 + 0.25 * sin((double)i * frequency) + 0.2 * cos((double)(i * i % 1009)));
    return p;
}

static gen_style_picture of(picture p)
{
    return (gen_style_picture){ p.rgb, p.height, p.width, 1, NULL };
}

/* A case: options as words, and how large. */
typedef struct tiled_case {
    const char *device, *net, *options;
    int32_t height, width, tile, n_styles;
    bool masked;
    double tolerance;
} tiled_case;

static void set_options(gen_style_options *o, const char *text, gen_arena *arena)
{
    gen_error err = { 0 };
    char *copy = gen_arena_strdup(arena, text), *word = copy;
    while (*word) {
        size_t length = strcspn(word, " ");
        char *next = word + length + (word[length] == ' '), *value = strchr(word, '=');
        word[length] = 0;
        *value++ = 0;
        TEST_OK(gen_option_set(gen_option_find(gen_style_option_rows, word), o, value, &err));
        word = next;
    }
}

typedef struct seen {
    double loss[4][4];
    int32_t n;
} seen;

static bool note(void *context, gen_style *s, const gen_style_progress *p)
{
    seen *t = context;
    (void)s;
    double parts[4] = { p->loss, p->content, p->style, p->tv };
    memcpy(t->loss[t->n++], parts, sizeof parts);
    return true;
}

static void run_case(const tiled_case *c, gen_style_job *job, gen_style_options *o, gen_device *device, int32_t tile,
                     seen *losses, gen_style **s)
{
    gen_error err = { 0 };
    *losses = (seen){ 0 };
    o->tile = tile;
    TEST_OK(gen_style_open(job, device, s, &err));
    TEST_OK(gen_style_run(*s, (gen_style_hooks){ .on_iteration = note, .context = losses }, &err));
    assert_int_equal((*s)->scales[0].tile, tile);
    assert_true((tile != 0) == ((*s)->tiles != NULL));
    (void)c;
}

static void expect_near(const tiled_case *c, const char *what, const float *a, const float *b, int64_t n,
                        double tolerance)
{
    double far = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        far += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    assert_true(size > 0);
    if (!(sqrt(far / size) <= tolerance))
        fail_msg("%s %s %s: %s is off by %g", c->device, c->net, c->options, what, sqrt(far / size));
}

/* With L-BFGS the gradient stays to be looked at; then three steps of Adam, whose pictures must agree as well. */
static void check_case(const tiled_case *c)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_device *device;
    gen_style_options o;
    picture content = waves(arena, c->height, c->width, 0.0131);
    float *masks[2];
    int64_t places = (int64_t)c->height * c->width;
    TEST_OK(gen_device_open(c->device, 2, &device, &err));
    TEST_OK(gen_style_options_start(&o, "", arena, &err));
    o.size = c->height > c->width ? c->height : c->width;
    o.scales = "one";
    o.init = "noise"; /* the content's own pixels would have no content loss */
    set_options(&o, c->options, arena);
    const gen_feature_net *net = gen_feature_net_find(c->net);
    gen_style_job job = {
        .options = &o, .net = net, .input = net->input, .content = of(content), .n_styles = c->n_styles
    };
    for (int k = 0; k < c->n_styles; k++) {
        job.styles[k] = of(waves(arena, c->height - 5 + 7 * k, c->width + 3, 0.37 + k));
        masks[k] = gen_arena_alloc(arena, (size_t)places * sizeof(float));
        for (int64_t i = 0; i < places; i++) masks[k][i] = (i % c->width < c->width / 3) == (k == 0);
        if (c->masked) job.styles[k].mask = masks[k];
    }
    for (int adam = 0; adam < (strcmp(c->device, "cpu64") ? 2 : 1); adam++) {
        seen whole, tiled;
        gen_style *a = NULL, *b = NULL;
        int32_t h, w;
        o.optimizer = adam ? "adam" : "lbfgs";
        o.iterations = adam ? 3 : 1;
        run_case(c, &job, &o, device, 0, &whole, &a);
        run_case(c, &job, &o, device, c->tile, &tiled, &b);
        for (int i = 0; i < whole.n; i++)
            for (int part = 0; part < 4; part++)
                if (!(fabs(tiled.loss[i][part] - whole.loss[i][part]) <= (i ? 1e-4 : 1e-5) * fabs(whole.loss[i][part])))
                    fail_msg("%s %s: part %d of loss %d is %g, at once %g", c->net, c->options, part, i,
                             tiled.loss[i][part], whole.loss[i][part]);
        if (adam)
            expect_near(c, "the picture", gen_style_result(b, &h, &w, &err), gen_style_result(a, &h, &w, &err),
                        3 * places,
                        10 * fmax(c->tolerance,
                                  1e-5)); /* Adam makes much of little: where a gradient is nearly zero, its sign */
        else expect_near(c, "the gradient", b->gradient, a->gradient, 3 * places, c->tolerance);
        gen_style_close(a);
        gen_style_close(b);
    }
    device->ops->close(device);
    gen_arena_free(arena);
}

#define SLIM "vgg19-slim"
#define SHALLOW "content-layers=relu2_2 style-layers=relu1_1,relu2_1,relu3_1 "

/* Roots of matrices (w2) lose more digits in single precision. */
TEST(style_in_tiles_has_the_gradient_of_the_whole)
{
    static const tiled_case cases[] = {
        { "cpu", "squeezenet", "tv=1", 291, 263, 224, 1, false, 1e-5 },
        { "cpu", "squeezenet", "pooling=average tv-kind=l1 tv=1e-5 content-layers=fire3 style-layers=relu1,fire2,fire4",
          150, 97, 96, 2, true, 1e-5 },
        { "cpu", "vgg19", SHALLOW, 117, 131, 96, 1, false, 1e-5 },
        { "cpu", SLIM, "style-loss=w2", 133, 250, 160, 1, false, 1e-4 },
        { "cpu", "vgg16",
          "gram=hw range=255 relative=0 tv=1e-3 tv-kind=l2 vgg-kind=caffe style-layers=relu1_2,relu2_2 "
          "content-layers=relu2_1",
          90, 141, 64, 2, false, 1e-5 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(&cases[i]);
}

/* In double precision nothing but a mistake could make a difference. */
TEST(style_in_tiles_is_exact_at_borders_with_all_pools_and_paddings)
{
    static const tiled_case cases[] = {
        { "cpu64", SLIM, "style-layers=relu1_1,relu2_1 content-layers=relu1_2,relu2_2 pooling=l2 style-loss=w2", 49, 67,
          40, 2, true, 1e-6 },
        { "cpu64", "squeezenet", "style-layers=relu1,fire2 content-layers=fire2 pooling=l2 tv-kind=l1-mean", 71, 66, 48,
          1, false, 1e-6 },
        { "cpu64", "squeezenet", "style-layers=pool1,pool3 content-layers=relu1 replicate-first=0 tv-kind=nine", 66, 71,
          56, 1, false, 1e-6 },
        { "cpu64", "vgg16", "style-layers=relu1_1,relu2_1 content-layers=pool1 replicate-first=0 pooling=average", 39,
          50, 32, 1, false, 1e-6 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(&cases[i]);
}
