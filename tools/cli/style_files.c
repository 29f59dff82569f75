/* Pictures and weights of gen style. */
#include "tools/cli/style_files.h"

#include <inttypes.h>
#include <string.h>

#include "io/dataset.h"
#include "io/pth.h"
#include "tools/cli/picture_file.h"

/* ---- pictures ------------------------------------------------------------------------------------------------------------------ */

gen_status style_read_picture(gen_arena *arena, const char *path, style_picture *out, gen_error *err)
{
    *out = (style_picture){ .path = path };
    return cli_read_picture(path, 3, arena, &out->image, &out->rgb, err);
}

gen_status style_read_mask(gen_arena *arena, const char *path, int32_t height, int32_t width, float **mask,
                           gen_error *err)
{
    gen_image image;
    float *grey;
    GEN_TRY(cli_read_picture(path, 1, arena, &image, &grey, err));
    *mask = gen_arena_alloc(arena, (size_t)height * (size_t)width * sizeof **mask);
    if (!*mask) return gen_fail(err, GEN_NO_MEMORY, "no memory for %s", path);
    GEN_TRY(gen_image_resize(grey, image.height_px, image.width_px, 1, *mask, height, width, GEN_FILTER_BOX, err));
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++)
        if ((*mask)[i] > 0) return GEN_OK;
    return gen_fail(err, GEN_BAD_OPTION, "%s is black everywhere: its style would be nowhere", path);
}

/* Alpha of the picture that was styled, at the result's size; NULL when it has none. */
static gen_status alpha_of(gen_arena *arena, const style_picture *like, int32_t height, int32_t width, float **alpha,
                           gen_error *err)
{
    *alpha = NULL;
    if (!like || (like->image.channels != 2 && like->image.channels != 4)) return GEN_OK;
    size_t n = (size_t)like->image.height_px * (size_t)like->image.width_px;
    float *rgba = gen_arena_alloc(arena, 5 * n * sizeof *rgba);
    *alpha = gen_arena_alloc(arena, (size_t)height * (size_t)width * sizeof **alpha);
    if (!rgba || !*alpha) return gen_fail(err, GEN_NO_MEMORY, "no memory for the transparency of %s", like->path);
    gen_image_to_float(&like->image, 4, rgba);
    for (size_t i = 0; i < n; i++) rgba[4 * n + i] = rgba[4 * i + 3];
    return gen_image_resize(rgba + 4 * n, like->image.height_px, like->image.width_px, 1, *alpha, height, width,
                            GEN_FILTER_BILINEAR, err);
}

static void put_sample(gen_image *image, size_t at, float v)
{
    v = v < 0 ? 0 : v > 1 ? 1 : v;
    if (image->px16) image->px16[at] = (uint16_t)(v * 65535 + 0.5f);
    else image->px8[at] = (uint8_t)(v * 255 + 0.5f);
}

static gen_status make_image(gen_arena *arena, const float *rgb, int32_t height, int32_t width,
                             const style_picture *like, int32_t bits, gen_image *image, gen_error *err)
{
    float *alpha;
    GEN_TRY(alpha_of(arena, like, height, width, &alpha, err));
    int32_t channels = alpha ? 4 : 3;
    GEN_TRY(gen_image_new(width, height, channels, bits, arena, image, err));
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++) {
        for (size_t k = 0; k < 3; k++) put_sample(image, i * (size_t)channels + k, rgb[3 * i + k]);
        if (alpha) put_sample(image, 4 * i + 3, alpha[i]);
    }
    if (like && like->image.channels >= 3) image->icc = like->image.icc; /* a grey picture's profile is of grey */
    return GEN_OK;
}

gen_status style_write_picture(gen_arena *arena, const float *rgb, int32_t height, int32_t width,
                               const style_picture *like, const gen_style_options *o, const char *path, gen_error *err)
{
    gen_image image;
    bool jpeg = gen_path_has_extension(path, "jpg") || gen_path_has_extension(path, "jpeg");
    GEN_TRY(make_image(arena, rgb, height, width, like, o->bits > 8 && !jpeg ? 16 : 8, &image, err));
    gen_image_text texts[] = { { "Software", "gen " GEN_VERSION },
                               { "seed", gen_arena_printf(arena, "%" PRId64, o->seed) },
                               { "features", o->features } };
    image.texts = texts;
    image.n_texts = texts[1].value ? 3 : 1;
    return cli_write_picture(&image, path, o->quality, arena, err);
}

/* ---- weights --------------------------------------------------------------------------------------------------------------------- */

static gen_status random_network(const char *name, style_network *out, gen_error *err)
{
    char known[128] = "";
    for (int i = 0; gen_feature_nets[i]; i++) {
        strncat(known, i ? ", " : "", sizeof known - strlen(known) - 1);
        strncat(known, gen_feature_nets[i]->name, sizeof known - strlen(known) - 1);
    }
    out->net = gen_feature_net_find(name);
    if (!out->net) return gen_fail(err, GEN_BAD_OPTION, "there is no network %s; there are %s", name, known);
    out->input = out->net->input;
    out->input_known = true;
    return GEN_OK;
}

static const char shipped[] = "../weights/style.safetensors"; /* beside the data that came with gen */

/* Weights that gen can fetch, by name: where `gen data fetch` put them. */
static gen_status find_fetched(gen_arena *arena, const gen_dataset_source *source, char **path, gen_error *err)
{
    char *folder;
    *path = NULL;
    if (gen_dataset_find(source->name, arena, &folder, NULL) == GEN_OK)
        *path = gen_path_join(arena, folder, source->files[0].name);
    if (*path && gen_path_exists(*path)) return GEN_OK;
    return gen_fail(err, GEN_NOT_FOUND, "%s is not here: %s; get it with: gen data fetch %s", source->files[0].name,
                    source->summary, source->name);
}

/* What the user named, or "builtin": the weights that came with gen. */
static gen_status find_weights(gen_arena *arena, const char *name, char **path, gen_error *err)
{
    const gen_dataset_source *source = gen_dataset_source_find(name);
    bool builtin = !strcmp(name, "builtin");
    if (!builtin && gen_path_exists(name))
        return (*path = gen_arena_strdup(arena, name)) ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for a name");
    if (source && source->weights) return find_fetched(arena, source, path, err);
    if (builtin && gen_dataset_find(shipped, arena, path, NULL) == GEN_OK) return GEN_OK;
    if (builtin)
        return gen_fail(
            err, GEN_NOT_FOUND,
            "the built-in network, samples/weights/style.safetensors, is not there; it is made by: gen train "
            "vgg-small --out RUN, then gen convert RUN samples/weights/style.safetensors. Or name weights of "
            "VGG-19, VGG-16 or SqueezeNet 1.1 as --features FILE");
    return gen_fail(
        err, GEN_NOT_FOUND,
        "there is no file %s: --features takes builtin, the weights of VGG-19, VGG-16 or SqueezeNet 1.1 "
        "(.safetensors, or PyTorch's .pth), vgg19, vgg16 or squeezenet as gen data fetch gets them, or random:vgg19",
        name);
}

/* --vgg-kind decides where the weights do not say; against what they say it is refused, since nothing good comes of it. */
static gen_status set_kind(const gen_style_options *o, style_network *out, gen_error *err)
{
    gen_feature_input said = strcmp(o->vgg_kind, "caffe") ? GEN_INPUT_TORCHVISION : GEN_INPUT_CAFFE;
    if (out->file.data && out->input_known && said != out->input)
        return gen_fail(err, GEN_BAD_OPTION,
                        "--vgg-kind %s, but the weights %s were trained to see what %s shows: take --vgg-kind auto",
                        o->vgg_kind, o->features, out->input == GEN_INPUT_CAFFE ? "caffe" : "torchvision");
    out->input = said;
    out->input_known = true;
    return GEN_OK;
}

gen_status style_open_network(gen_arena *arena, const gen_style_options *o, style_network *out, gen_error *err)
{
    char *path;
    *out = (style_network){ 0 };
    if (!strncmp(o->features, "random:", 7)) GEN_TRY(random_network(o->features + 7, out, err));
    else {
        GEN_TRY(find_weights(arena, o->features, &path, err));
        GEN_TRY(gen_file_map(path, &out->file, err));
        gen_bytes file = out->file;
        gen_status status = gen_is_pth(file.data, file.size)
                                ? gen_pth_read(file.data, file.size, arena, &out->tensors, err)
                                : gen_safetensors_read(file.data, file.size, arena, &out->tensors, err);
        if (status != GEN_OK) return gen_error_in_file(err, path, status);
        out->net = gen_features_recognise(&out->tensors);
        if (!out->net)
            return gen_fail(
                err, GEN_BAD_FILE,
                "%s: these are not weights of VGG-19, VGG-16, the slim VGG-19, gen's own small VGG or SqueezeNet 1.1",
                path);
        out->input_known = gen_features_input_of(out->net, &out->tensors, gen_path_base(path), &out->input);
    }
    if (!strcmp(o->vgg_kind, "auto") || out->net->input == GEN_INPUT_RGB) return GEN_OK;
    return set_kind(o, out, err);
}
