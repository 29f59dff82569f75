/* Building a table of steps as a graph, and finding the weights of one in a file. */
#include "models/features.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 96 };

const gen_feature_net *const gen_feature_nets[] = {
    &gen_vgg19, &gen_vgg16, &gen_vgg19_slim, &gen_vgg_small, &gen_feature_squeezenet, NULL
};

const gen_feature_net *gen_feature_net_find(const char *name)
{
    for (int i = 0; gen_feature_nets[i]; i++)
        if (!strcmp(gen_feature_nets[i]->name, name)) return gen_feature_nets[i];
    return NULL;
}

const gen_feature_step *gen_feature_step_find(const gen_feature_net *net, const char *layer)
{
    for (const gen_feature_step *s = net->steps; s->layer; s++)
        if (!strcmp(s->layer, layer)) return s;
    return NULL;
}

int64_t gen_features_stride(const gen_feature_net *net, const char *layer)
{
    int64_t stride = 1;
    for (const gen_feature_step *s = net->steps; s->layer; s++) {
        stride *= s->stride;
        if (!strcmp(s->layer, layer)) return stride;
    }
    return 0;
}

gen_feature_reach gen_features_reach(const gen_feature_net *net, const char *layer)
{
    gen_feature_reach r = { 0 };
    const gen_feature_step *last = gen_feature_step_find(net, layer);
    if (!last) return r;
    r.stride = (int32_t)gen_features_stride(net, layer);
    for (const gen_feature_step *s = last;;
         s--) { /* place i of a step sees i stride - pad … i stride - pad + kernel - 1 */
        r.before = r.before * s->stride + s->pad;
        r.after = r.after * s->stride + s->kernel - 1 - s->pad;
        if (s == net->steps) return r;
    }
}

int64_t gen_features_channels(const gen_feature_net *net, const char *layer)
{
    int64_t channels = 0;
    for (const gen_feature_step *s = net->steps; s->layer; s++) {
        if (s->kind != GEN_FEATURE_POOL) channels = s->kind == GEN_FEATURE_FIRE ? 2 * s->channels : s->channels;
        if (!strcmp(s->layer, layer)) return channels;
    }
    return 0;
}

/* ---- layers ------------------------------------------------------------------------------------------------------------------ */

typedef struct builder {
    gen_graph *g;
    const gen_feature_net *net;
    const gen_feature_options *o;
    bool first; /* no conv with padding was built yet */
} builder;

static gen_node *see(builder *b, gen_node *rgb)
{
    static const float mean[3] = { 0.485f, 0.456f, 0.406f }, std[3] = { 0.229f, 0.224f, 0.225f };
    gen_graph *g = b->g;
    gen_feature_input input = b->o->input_given ? b->o->input : b->net->input;
    if (input == GEN_INPUT_RGB) return rgb;
    if (input == GEN_INPUT_TORCHVISION) {
        float scale[3], shift[3];
        for (int i = 0; i < 3; i++) scale[i] = 1 / std[i], shift[i] = -mean[i] / std[i];
        gen_node *scaled = gen_mul(g, rgb, gen_const(g, GEN_SHAPE(3), scale));
        return gen_add(g, scaled, gen_const(g, GEN_SHAPE(3), shift));
    }
    float minus[3];
    for (int i = 0; i < 3; i++) minus[i] = (float)b->net->caffe_mean[i];
    gen_node *bgr = gen_scale(g, gen_flip(g, rgb, 3), b->o->caffe_scale != 0 ? b->o->caffe_scale : 255);
    return gen_sub(g, bgr, gen_const(g, GEN_SHAPE(3), minus));
}

static gen_node *conv(builder *b, gen_node *x, const char *weights, int64_t channels, int32_t kernel, int32_t stride,
                      int32_t pad)
{
    gen_graph *g = b->g;
    char name[NAME_BYTES];
    gen_graph_scope(g, weights);
    if (pad && (b->net->reflect || (b->first && b->o->replicate_first))) {
        gen_pad_mode mode = b->net->reflect ? GEN_PAD_REFLECT : GEN_PAD_REPLICATE;
        x = gen_pad(g, x, mode, pad, pad, pad, pad);
        pad = 0;
    }
    if (kernel > 1) b->first = false;
    int64_t fan = (int64_t)kernel * kernel * x->shape.dim[3];
    snprintf(name, sizeof name, "%s.weight", weights);
    gen_node *w = gen_param(g, name, GEN_SHAPE(kernel, kernel, x->shape.dim[3], channels),
                            (gen_param_spec){ .init = GEN_INIT_HE, .fan_in = fan, .layout = GEN_LAYOUT_CONV });
    snprintf(name, sizeof name, "%s.bias", weights);
    gen_node *bias = gen_param(g, name, GEN_SHAPE(channels), (gen_param_spec){ .init = GEN_INIT_ZERO });
    gen_node *y = gen_add(g, gen_conv2d(g, x, w, gen_window_of(kernel, stride, pad)), bias);
    gen_graph_scope(g, "");
    return y;
}

static gen_node *fire(builder *b, gen_node *x, const gen_feature_step *s)
{
    char name[NAME_BYTES];
    gen_node *wide[2];
    snprintf(name, sizeof name, "%s.squeeze", s->weights);
    gen_node *h = gen_relu(b->g, conv(b, x, name, s->squeeze, 1, 1, 0));
    snprintf(name, sizeof name, "%s.expand1x1", s->weights);
    wide[0] = gen_relu(b->g, conv(b, h, name, s->channels, 1, 1, 0));
    snprintf(name, sizeof name, "%s.expand3x3", s->weights);
    wide[1] = gen_relu(b->g, conv(b, h, name, s->channels, 3, 1, 1));
    return gen_concat(b->g, 2, wide, 3);
}

static gen_node *pool(builder *b, gen_node *x, const gen_feature_step *s)
{
    gen_graph *g = b->g;
    gen_window w = gen_window_of(s->kernel, s->stride, 0);
    double scale = b->o->pooling_scale != 0 ? b->o->pooling_scale : 1;
    if (b->o->pooling == GEN_POOLING_AVERAGE) return gen_scale(g, gen_avg_pool(g, x, w), scale);
    if (b->o->pooling == GEN_POOLING_L2) /* the small number keeps the root's slope finite where all is zero */
        return gen_scale(g, gen_sqrt(g, gen_affine(g, gen_sum_pool(g, gen_square(g, x), w), 1, 1e-8)), scale);
    for (int axis = 0; axis < 2 && b->net->ceil; axis++) { /* rows that the last window reaches beyond the border */
        int64_t n = x->shape.dim[1 + axis], windows = (n - s->kernel + s->stride - 1) / s->stride + 1;
        int64_t beyond = (windows - 1) * s->stride + s->kernel - n;
        w.pad[2 + axis] = beyond > 0 ? (int32_t)beyond : 0;
    }
    return gen_max_pool(g, x, w);
}

/* Is there enough of x for this step? */
static bool fits(builder *b, const gen_node *x, const gen_feature_step *s)
{
    int64_t h = x->shape.dim[1], w = x->shape.dim[2], least = h < w ? h : w;
    int64_t need = s->kind == GEN_FEATURE_FIRE                   ? 1
                   : b->net->reflect && s->pad                   ? s->pad + 1
                   : s->kind == GEN_FEATURE_POOL && b->net->ceil ? s->kernel - 1
                                                                 : s->kernel - 2 * s->pad;
    return least >= (need > 1 ? need : 1);
}

static gen_node *apply(builder *b, gen_node *x, const gen_feature_step *s)
{
    switch (s->kind) {
    case GEN_FEATURE_CONV: return gen_relu(b->g, conv(b, x, s->weights, s->channels, s->kernel, s->stride, s->pad));
    case GEN_FEATURE_LINEAR: return conv(b, x, s->weights, s->channels, s->kernel, s->stride, s->pad);
    case GEN_FEATURE_POOL: return pool(b, x, s);
    case GEN_FEATURE_FIRE: return fire(b, x, s);
    }
    return x;
}

/* The names of all layers, for messages. */
static const char *layers_of(const gen_feature_net *net, char *text, size_t bytes)
{
    text[0] = 0;
    for (const gen_feature_step *s = net->steps; s->layer; s++) {
        size_t used = strlen(text);
        snprintf(text + used, bytes - used, "%s%s", used ? " " : "", s->layer);
    }
    return text;
}

static bool all_known(gen_graph *g, const gen_feature_net *net, int32_t n, const char *const *names)
{
    char text[256];
    for (int32_t i = 0; i < n; i++)
        if (!gen_feature_step_find(net, names[i])) {
            gen_graph_fail(g, GEN_BAD_OPTION, "%s has no layer %s; it has %s", net->name, names[i],
                           layers_of(net, text, sizeof text));
            return false;
        }
    return true;
}

void gen_features_build(gen_graph *g, const gen_feature_net *net, gen_node *rgb, const gen_feature_options *options,
                        int32_t n, const char *const *names, gen_node **taps)
{
    builder b = { g, net, options, true };
    int32_t left = n;
    gen_node *x = see(&b, rgb);
    for (int32_t i = 0; i < n; i++) taps[i] = x;
    if (!all_known(g, net, n, names)) return;
    for (const gen_feature_step *s = net->steps; s->layer && left > 0; s++) {
        if (!fits(&b, x, s)) {
            int64_t need = gen_features_stride(net, names[n - 1]);
            gen_graph_fail(g, GEN_BAD_SHAPE,
                           "a picture of %" PRId64 "x%" PRId64
                           " pixels is too small for layer %s of %s; it needs about %" PRId64
                           " pixels on each side: make --size larger, or take earlier layers",
                           rgb->shape.dim[2], rgb->shape.dim[1], s->layer, net->name, 2 * need);
            return;
        }
        x = apply(&b, x, s);
        for (int32_t i = 0; i < n; i++)
            if (!strcmp(names[i], s->layer)) taps[i] = x, left--;
    }
}

void gen_features_size(const gen_feature_net *net, const gen_feature_options *options, const char *layer,
                       int32_t height, int32_t width, int32_t *h, int32_t *w)
{
    gen_graph *g = gen_graph_new();
    *h = *w = 0;
    if (!g) return;
    gen_node *tap;
    gen_features_build(g, net, gen_input(g, "x", GEN_SHAPE(1, height, width, 3)), options, 1, &layer, &tap);
    if (gen_graph_check(g, NULL) == GEN_OK) {
        *h = (int32_t)tap->shape.dim[1];
        *w = (int32_t)tap->shape.dim[2];
    }
    gen_graph_free(g);
}

/* ---- weights ------------------------------------------------------------------------------------------------------------------- */

/* The tensor of a parameter, by its own name or, "features.0.weight", by the step's second one, "conv1_1.weight". */
static const gen_tensor_entry *tensor_of(const gen_feature_net *net, const gen_safetensors *file, const char *name)
{
    const gen_tensor_entry *found = gen_safetensors_find(file, name);
    char other[NAME_BYTES];
    for (const gen_feature_step *s = net->steps; s->layer && !found; s++) {
        size_t n = s->also ? strlen(s->weights) : 0;
        if (!n || strncmp(name, s->weights, n) || name[n] != '.') continue;
        snprintf(other, sizeof other, "%s%s", s->also, name + n);
        found = gen_safetensors_find(file, other);
    }
    return found;
}

static bool has_weights(const gen_feature_net *net, const gen_safetensors *file, const gen_feature_step *s)
{
    char name[NAME_BYTES];
    if (!s->weights) return true;
    snprintf(name, sizeof name, "%s%s", s->weights, s->kind == GEN_FEATURE_FIRE ? ".squeeze.weight" : ".weight");
    const gen_tensor_entry *w = tensor_of(net, file, name);
    int32_t channels = s->kind == GEN_FEATURE_FIRE ? s->squeeze : s->channels;
    return w && w->n_dims == 4 && w->dims[0] == channels;
}

/* VGG-16's names are a part of VGG-19's, so the network with most steps that all fit is the one. */
const gen_feature_net *gen_features_recognise(const gen_safetensors *file)
{
    const gen_feature_net *best = NULL;
    int most = 0;
    for (int i = 0; gen_feature_nets[i]; i++) {
        int n = 0;
        bool fits_all = true;
        for (const gen_feature_step *s = gen_feature_nets[i]->steps; s->layer && fits_all; s++, n++)
            fits_all = has_weights(gen_feature_nets[i], file, s);
        if (fits_all && n > most) best = gen_feature_nets[i], most = n;
    }
    return best;
}

bool gen_features_input_of(const gen_feature_net *net, const gen_safetensors *file, const char *file_name,
                           gen_feature_input *input)
{
    const char *said = gen_safetensors_metadata(file, "input");
    *input = net->input;
    if (net->input == GEN_INPUT_RGB) return true;
    if (said && !strncmp(said, "BGR", 3)) *input = GEN_INPUT_CAFFE;
    if (said && (!strncmp(said, "BGR", 3) || !strncmp(said, "RGB", 3))) return true;
    if (strstr(file_name, "dcbb9e9d")) return true; /* torchvision's vgg19, 397923af its vgg16 */
    if (strstr(file_name, "397923af")) return true;
    /* converted from Caffe under torchvision's names; and with Caffe's own */
    bool caffe =
        strstr(file_name, "d01eb7cb") || strstr(file_name, "00b39a1b") || gen_safetensors_find(file, "conv1_1.weight");
    if (caffe) *input = GEN_INPUT_CAFFE;
    return caffe;
}

static gen_status check_tensor(const gen_feature_net *net, const gen_param_info *p, const gen_tensor_entry *tensor,
                               gen_error *err)
{
    char wanted[64], found[64];
    gen_shape theirs = gen_layout_torch_shape(&p->shape, &p->spec);
    if (!tensor)
        return gen_fail(err, GEN_NOT_FOUND, "expected the weights of %s, but there is no tensor %s", net->name,
                        p->name);
    gen_shape has = gen_shape_of(tensor->n_dims < GEN_MAX_RANK ? tensor->n_dims : GEN_MAX_RANK, tensor->dims);
    if (gen_shape_equal(&theirs, &has)) return GEN_OK;
    return gen_fail(err, GEN_BAD_SHAPE, "tensor %s is %s, in %s it is %s: these are weights of another network",
                    p->name, gen_shape_text(&has, found, sizeof found), net->name,
                    gen_shape_text(&theirs, wanted, sizeof wanted));
}

static gen_status load_one(const gen_feature_net *net, const gen_safetensors *file, gen_params *params, int32_t i,
                           gen_error *err)
{
    gen_param_info p = gen_params_get(params, i);
    const gen_tensor_entry *tensor = tensor_of(net, file, p.name);
    GEN_TRY(check_tensor(net, &p, tensor, err));
    float *values = gen_alloc(2 * tensor->n, sizeof *values);
    if (!values) return gen_fail(err, GEN_NO_MEMORY, "no memory for %s", p.name);
    gen_tensor_to_float(tensor, values);
    gen_layout_from_torch(&p.shape, &p.spec, values, values + tensor->n);
    gen_status status = gen_params_write(params, i, values + tensor->n, err);
    gen_free(values);
    return status;
}

/* Is it a parameter of the network, and not one of the picture's? */
static bool is_of(const gen_feature_net *net, const char *name)
{
    for (const gen_feature_step *s = net->steps; s->layer; s++) {
        size_t n = s->weights ? strlen(s->weights) : 0;
        if (n && !strncmp(name, s->weights, n) && name[n] == '.') return true;
    }
    return false;
}

gen_status gen_features_load(const gen_feature_net *net, const gen_safetensors *file, gen_params *params,
                             gen_error *err)
{
    for (int32_t i = 0; i < gen_params_count(params); i++)
        if (is_of(net, gen_params_get(params, i).name)) GEN_TRY(load_one(net, file, params, i, err));
    return GEN_OK;
}
