/* The options of style transfer, the published configurations, and what they mean for the loss. */
#include "models/style.h"

#include <stdlib.h>
#include <string.h>

#define O(field) offsetof(gen_style_options, field)

// clang-format off
const gen_option gen_style_option_rows[] = {
    { "features",       OPT_STRING, O(features),       "builtin", 0, 0, NULL, "FILE", "weights of VGG or SqueezeNet (.safetensors, .pth), builtin: a small VGG that comes with gen, vgg19|vgg16|squeezenet: what gen data fetch got, or random:vgg19", 0 },
    { "vgg-kind",       OPT_CHOICE, O(vgg_kind),       "auto",   0, 0, "auto|torchvision|caffe", NULL, "what those weights were trained to see", 0 },
    { "size",           OPT_INT,    O(size),           "512",    1, 32768, NULL, "px", "longer side of the result", 0 },
    { "iterations",     OPT_INT,    O(iterations),     "300",    1, 1e6, NULL, NULL, "at the first size", 0 },
    { "later-iterations", OPT_INT,  O(later_iterations), "0",    0, 1e6, NULL, NULL, "at each size after it (0: half as many)", 0 },
    { "scales",         OPT_STRING, O(scales),         "auto",   0, 0, NULL, NULL, "sizes worked at: auto (from --min-scale up by the root of 2), one, or a list as 256,512", 0 },
    { "min-scale",      OPT_INT,    O(min_scale),      "128",    1, 32768, NULL, "px", "first size of --scales auto", 0 },
    { "content-layers", OPT_STRING, O(content_layers), "",       0, 0, NULL, NULL, "layers with weights, as relu4_2:1 (default: the network's)", 0 },
    { "style-layers",   OPT_STRING, O(style_layers),   "",       0, 0, NULL, NULL, "layers with weights, as relu1_1:1,relu2_1:1 (default: the network's, equal)", 0 },
    { "content-weight", OPT_FLOAT,  O(content_weight), "1",      0, 1e15, NULL, NULL, "of the content's loss", 0 },
    { "style-weight",   OPT_FLOAT,  O(style_weight),   "20",     0, 1e15, NULL, NULL, "of the style's loss", 0 },
    { "tv",             OPT_FLOAT,  O(tv),             "1",      0, 1e15, NULL, NULL, "weight of the total variation: more is smoother", 0 },
    { "tv-kind",        OPT_CHOICE, O(tv_kind),        "nine",   0, 0, "l1|l1-mean|l2|nine", NULL, "how it is measured", 0 },
    { "style-loss",     OPT_CHOICE, O(style_loss),     "gram",   0, 0, "gram|w2", NULL, "differences of Gram matrices, or distance of Gaussians (slower)", 0 },
    { "gram",           OPT_CHOICE, O(gram),           "chw",    0, 0, "chw|hw|none", NULL, "what Gram matrices are divided by", 0 },
    { "relative",       OPT_BOOL,   O(relative),       "1",      0, 1, NULL, NULL, "each layer's loss relative to the size of its target, so that weights mean the same for every network", 0 },
    { "pooling",        OPT_CHOICE, O(pooling),        "max",    0, 0, "max|average|l2", NULL, "in the network", 0 },
    { "pooling-scale",  OPT_FLOAT,  O(pooling_scale),  "0",      0, 100, NULL, NULL, "times this (0: 1 for max, 2 for average, 0.78 for l2)", 0 },
    { "replicate-first", OPT_BOOL,  O(replicate_first), "1",     0, 1, NULL, NULL, "the first layer repeats border pixels instead of seeing black", 0 },
    { "init",           OPT_STRING, O(init),           "content", 0, 0, NULL, NULL, "first picture: content, noise, grey, mean (the average colour) or a file", 0 },
    { "noise",          OPT_FLOAT,  O(noise),          "0.25",   0, 10, NULL, NULL, "deviation of --init noise", 0 },
    { "range",          OPT_FLOAT,  O(range),          "1",      1e-3, 1000, NULL, NULL, "the number that stands for white: 1, 255 or 256", 0 },
    { "clamp",          OPT_BOOL,   O(clamp),          "1",      0, 1, NULL, NULL, "pixels stay between black and white in every iteration (not with lbfgs)", 0 },
    { "optimizer",      OPT_CHOICE, O(optimizer),      "adam",   0, 0, "adam|lbfgs", NULL, "how the pixels are changed", 0 },
    { "lr",             OPT_FLOAT,  O(lr),             "0",      0, 1000, NULL, NULL, "step, in units of --range (0: 0.02 of it for adam, 1 for lbfgs)", 0 },
    { "beta2",          OPT_FLOAT,  O(beta2),          "0.99",   0.1, 0.99999, NULL, NULL, "of Adam", 0 },
    { "history",        OPT_INT,    O(history),        "10",     1, 1000, NULL, "steps", "that L-BFGS remembers", 0 },
    { "ema",            OPT_FLOAT,  O(ema),            "0.99",   0, 0.99999, NULL, NULL, "the result is an average of iterates with this decay (0: the last one; not with lbfgs)", 0 },
    { "style-weights",  OPT_STRING, O(style_weights),  "",       0, 0, NULL, NULL, "of several styles, as 2,1 (default: equal)", 0 },
    { "style-scale",    OPT_FLOAT,  O(style_scale),    "1",      0.05, 20, NULL, NULL, "size of the style pictures relative to the result: larger gives larger strokes", 0 },
    { "masks",          OPT_STRING, O(masks),          "",       0, 0, NULL, "FILES", "one picture for each style, commas between: white where it is wanted", 0 },
    { "colours",        OPT_CHOICE, O(colours),        "style",  0, 0, "style|luma|linear|histogram", NULL, "of the result: the style's; the content's, by replacing only brightness, or by recolouring the style first", 0 },
    { "texture",        OPT_BOOL,   O(texture),        "0",      0, 1, NULL, NULL, "no content: a texture of the style alone", 0 },
    { "reconstruct-layer", OPT_STRING, O(reconstruct), "",       0, 0, NULL, NULL, "no style: what this layer still knows of the content", 0 },
    { "seed",           OPT_INT,    O(seed),           "0",      0, 9007199254740992.0, NULL, NULL, "of noise and random weights", 0 },
    { "memory",         OPT_STRING, O(memory),         "",       0, 0, NULL, "SIZE", "that may be used, as 2G or 500M: what needs more is worked at in tiles, with the same result (default: what is free; 0: no limit)", OPT_NOT_MATH },
    { "tile",           OPT_INT,    O(tile),           "0",      0, 32768, NULL, "px", "side of the tiles (0: as --memory wants)", OPT_NOT_MATH },
    { "preview-every",  OPT_INT,    O(preview),        "0",      0, 1e6, NULL, "iterations", "the picture is written as it is so far (0: at the end)", OPT_NOT_MATH },
    { "quality",        OPT_INT,    O(quality),        "95",     1, 100, NULL, NULL, "of a JPEG", OPT_NOT_MATH },
    { "bits",           OPT_INT,    O(bits),           "8",      8, 16, NULL, NULL, "of a PNG: 8 or 16", OPT_NOT_MATH },
    { "trace",          OPT_STRING, O(trace),          "",       0, 0, NULL, "FILE", "losses and time of every iteration, as JSON", OPT_NOT_MATH },
    { "resume",         OPT_STRING, O(resume),         "",       0, 0, NULL, "FILE", "go on from what an interrupted run saved", OPT_NOT_MATH },
    GEN_OPTIONS_END
};

/* The numbers of the published programs. Weights of layers of gatys: 1e3 / channels^2; of crowson: 256, 64, 16, 4, 1 over their sum. */
const gen_preset gen_style_presets[] = {
    { "gatys", "vgg-kind=caffe range=255 relative=0 gram=hw content-weight=1 content-layers=relu4_2 style-weight=1000 "
               "style-layers=relu1_1:2.44140625e-4,relu2_1:6.103515625e-5,relu3_1:1.52587890625e-5,relu4_1:3.814697265625e-6,relu5_1:3.814697265625e-6 "
               "tv=0 init=content optimizer=lbfgs lr=1 history=100 iterations=500 scales=one ema=0 clamp=0 replicate-first=0 size=512",
      "Gatys et al. 2016; leongatys/PytorchNeuralStyleTransfer (its second pass: --init FILE --size 800 --iterations 200)", "" },
    { "jcjohnson", "vgg-kind=caffe range=256 relative=0 gram=chw content-weight=5 content-layers=relu4_2 style-weight=100 "
                   "style-layers=relu1_1,relu2_1,relu3_1,relu4_1,relu5_1 tv=1e-3 tv-kind=l2 init=mean optimizer=lbfgs lr=1 history=100 "
                   "iterations=1000 scales=one ema=0 clamp=0 replicate-first=0 size=512",
      "jcjohnson/neural-style; its Adam: --optimizer adam --lr 10 --beta2 0.999", "" },
    { "crowson", "vgg-kind=torchvision range=1 relative=0 style-loss=w2 gram=hw content-weight=0.015 content-layers=relu4_2 style-weight=1 "
                 "style-layers=relu1_1:0.750733137829912,relu2_1:0.187683284457478,relu3_1:0.0469208211143695,relu4_1:0.0117302052785924,relu5_1:0.00293255131964809 "
                 "tv=2 tv-kind=nine init=content optimizer=adam lr=0.02 beta2=0.99 iterations=1000 later-iterations=500 scales=auto min-scale=128 "
                 "ema=0.99 clamp=1 replicate-first=1 size=512",
      "crowsonkb/style-transfer-pytorch", "" },
    { "bench-style256", "features=random:vgg19 relative=0 gram=chw content-weight=1 content-layers=relu4_2 style-weight=1 "
                        "style-layers=relu1_1,relu2_1,relu3_1,relu4_1,relu5_1 tv=1e-3 tv-kind=l1-mean optimizer=adam lr=0.02 beta2=0.999 "
                        "iterations=1000000 scales=one ema=0 clamp=0 replicate-first=0 size=256",
      "what speed is measured on", "" },
    GEN_PRESETS_END
};
// clang-format on

static gen_status unknown_preset(const char *preset, gen_error *err)
{
    char known[128] = "";
    for (const gen_preset *p = gen_style_presets; p->name; p++) {
        strncat(known, *known ? ", " : "", sizeof known - strlen(known) - 1);
        strncat(known, p->name, sizeof known - strlen(known) - 1);
    }
    return gen_fail(err, GEN_BAD_OPTION, "style transfer has no preset %s; it has %s", preset, known);
}

gen_status gen_style_options_start(gen_style_options *o, const char *preset, gen_arena *arena, gen_error *err)
{
    gen_options_default(gen_style_option_rows, o);
    if (!*preset) return GEN_OK;
    const gen_preset *p = gen_style_presets;
    while (p->name && strcmp(p->name, preset)) p++;
    if (!p->name) return unknown_preset(preset, err);
    char *text = gen_arena_strdup(arena, p->options);
    if (!text) return gen_fail(err, GEN_NO_MEMORY, "no memory for a preset");
    while (*text) { /* name=value name=value */
        size_t length = strcspn(text, " ");
        char *next = text + length + (text[length] == ' '), *value = strchr(text, '=') + 1;
        text[length] = value[-1] = 0;
        GEN_TRY(gen_option_set(gen_option_find(gen_style_option_rows, text), o, value, err));
        text = next;
    }
    return GEN_OK;
}

/* ---- the loss ------------------------------------------------------------------------------------------------------------------ */

static int32_t choice(const char *word, const char *const *words)
{
    int32_t i = 0;
    while (words[i + 1] && strcmp(words[i], word)) i++;
    return i;
}

static gen_feature_options feature_options(const gen_style_options *o, gen_feature_input input)
{
    static const char *const poolings[] = { "max", "average", "l2", NULL };
    static const double scales[] = { 1, 2, 0.78 }; /* crowsonkb/style-transfer-pytorch */
    int32_t pooling = choice(o->pooling, poolings);
    return (gen_feature_options){ .input_given = true,
                                  .input = input,
                                  .caffe_scale = o->range > 1 ? o->range : 255,
                                  .pooling = (gen_feature_pooling)pooling,
                                  .pooling_scale = o->pooling_scale != 0 ? o->pooling_scale : scales[pooling],
                                  .replicate_first = o->replicate_first != 0 };
}

/* Equal shares that sum up to 1, where nobody gave weights. */
static void share(gen_style_layer *layers, int32_t n)
{
    for (int32_t i = 0; i < n; i++) layers[i].weight = 1 / (double)n;
}

static gen_status unknown_layer(const gen_feature_net *net, const char *layer, gen_error *err)
{
    char known[256] = "";
    for (const gen_feature_step *s = net->steps; s->layer; s++) {
        strncat(known, " ", sizeof known - strlen(known) - 1);
        strncat(known, s->layer, sizeof known - strlen(known) - 1);
    }
    return gen_fail(err, GEN_BAD_OPTION, "%s has no layer %s; it has%s", net->name, layer, known);
}

static gen_status parse_layers(const gen_style_options *o, gen_style_loss *l, gen_arena *arena, gen_error *err)
{
    const char *content = *o->reconstruct ? o->reconstruct : *o->content_layers ? o->content_layers : l->net->content;
    const char *style = *o->style_layers ? o->style_layers : l->net->style;
    if (!o->texture) GEN_TRY(gen_style_layers_parse("content-layers", content, arena, l->content, &l->n_content, err));
    if (!*o->reconstruct) GEN_TRY(gen_style_layers_parse("style-layers", style, arena, l->style, &l->n_style, err));
    if (!*o->style_layers) share(l->style, l->n_style);
    for (int32_t i = 0; i < l->n_content + l->n_style; i++) {
        const char *name = i < l->n_content ? l->content[i].name : l->style[i - l->n_content].name;
        if (!gen_feature_step_find(l->net, name)) return unknown_layer(l->net, name, err);
    }
    return GEN_OK;
}

gen_status gen_style_loss_of(const gen_style_options *o, const gen_feature_net *net, gen_feature_input input,
                             int32_t n_styles, bool masked, gen_arena *arena, gen_style_loss *loss, gen_error *err)
{
    static const char *const grams[] = { "chw", "hw", "none", NULL };
    static const char *const variations[] = { "l1", "l1-mean", "l2", "nine", NULL };
    *loss = (gen_style_loss){ .net = net,
                              .features = feature_options(o, input),
                              .content_weight = o->content_weight,
                              .style_weight = o->style_weight,
                              .tv_weight = o->tv,
                              .gram = (gen_gram_norm)choice(o->gram, grams),
                              .tv = (gen_tv)choice(o->tv_kind, variations),
                              .w2 = !strcmp(o->style_loss, "w2"),
                              .relative = o->relative != 0,
                              .range = o->range,
                              .n_targets = *o->reconstruct ? 0
                                           : masked        ? n_styles
                                                           : 1,
                              .masked = masked };
    if (o->texture && *o->reconstruct)
        return gen_fail(err, GEN_BAD_OPTION, "--texture has no content and --reconstruct-layer no style: take one");
    return parse_layers(o, loss, arena, err);
}
