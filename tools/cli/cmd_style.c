/* gen style CONTENT STYLE… -o OUT: the content of one picture in the style of others. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/devices.h"
#include "models/style_colour.h"
#include "tools/cli/cli.h"
#include "tools/cli/picture_file.h"
#include "tools/cli/style_files.h"

typedef struct styling {
    cli_args *a;
    gen_style_options o;
    gen_style_job job;
    style_network network;
    style_picture content, start, styles[GEN_STYLE_MAX_PICTURES];
    bool has_content, is_terminal;
    const char *out, *state_path;
    const volatile sig_atomic_t *stop;
    double started_s, drawn_s;
    gen_json_out trace;
    gen_style_progress last;
    gen_error *err;
    gen_status hook_status; /* of a preview that could not be written */
} styling;

/* ---- pictures ------------------------------------------------------------------------------------------------------------------ */

static gen_style_picture picture_of(const style_picture *p, double weight)
{
    return (gen_style_picture){ p->rgb, p->image.height_px, p->image.width_px, weight, NULL };
}

static gen_status read_styles(styling *s, int first, gen_error *err)
{
    int n = s->a->n_words - first;
    if (n > GEN_STYLE_MAX_PICTURES)
        return gen_fail(err, GEN_BAD_OPTION, "at most %d styles, got %d", GEN_STYLE_MAX_PICTURES, n);
    for (int i = 0; i < n; i++) {
        GEN_TRY(style_read_picture(s->a->arena, s->a->word[first + i], &s->styles[i], err));
        s->job.styles[i] = picture_of(&s->styles[i], 1);
    }
    s->job.n_styles = n;
    return GEN_OK;
}

static gen_status read_weights(styling *s, gen_error *err)
{
    const char *text = s->o.style_weights;
    int n = 0;
    for (; *text; n++) {
        char *end;
        double value = strtod(text, &end);
        if (end == text || (*end && *end != ',') || !(value > 0) || n == s->job.n_styles) break;
        s->job.styles[n].weight = value;
        text = *end ? end + 1 : end;
    }
    if (!*s->o.style_weights || (!*text && n == s->job.n_styles)) return GEN_OK;
    return gen_fail(err, GEN_BAD_OPTION, "--style-weights %s: expected %d numbers above 0 with commas between",
                    s->o.style_weights, s->job.n_styles);
}

static gen_status read_masks(styling *s, gen_error *err)
{
    if (!*s->o.masks) return GEN_OK;
    char *rest = gen_arena_strdup(s->a->arena, s->o.masks);
    if (!rest) return gen_fail(err, GEN_NO_MEMORY, "no memory for masks");
    for (int k = 0; k < s->job.n_styles; k++) {
        size_t length = strcspn(rest, ",");
        char *path = rest;
        float *mask;
        rest += length + (rest[length] == ',');
        path[length] = 0;
        if (!length || (k + 1 == s->job.n_styles && *rest))
            return gen_fail(err, GEN_BAD_OPTION, "--masks: expected %d files, one for each style", s->job.n_styles);
        GEN_TRY(style_read_mask(s->a->arena, path, s->job.content.height_px, s->job.content.width_px, &mask, err));
        s->job.styles[k].mask = mask;
    }
    return GEN_OK;
}

/* Styles take the content's colours before anything is looked at. */
static void recolour_styles(styling *s)
{
    bool linear = !strcmp(s->o.colours, "linear"), histogram = !strcmp(s->o.colours, "histogram");
    const gen_style_picture *c = &s->job.content;
    if (!s->has_content || (!linear && !histogram)) return;
    for (int k = 0; k < s->job.n_styles; k++) {
        int64_t n = (int64_t)s->job.styles[k].height_px * s->job.styles[k].width_px;
        if (linear) gen_colour_match(s->styles[k].rgb, n, c->rgb, (int64_t)c->height_px * c->width_px);
        else gen_colour_histogram(s->styles[k].rgb, n, c->rgb, (int64_t)c->height_px * c->width_px);
    }
}

static bool is_word_of_init(const char *word)
{
    return !strcmp(word, "content") || !strcmp(word, "noise") || !strcmp(word, "grey") || !strcmp(word, "mean");
}

static gen_status read_pictures(styling *s, gen_error *err)
{
    s->has_content = !s->o.texture;
    if (s->has_content) {
        GEN_TRY(style_read_picture(s->a->arena, s->a->word[0], &s->content, err));
        s->job.content = picture_of(&s->content, 1);
    }
    GEN_TRY(read_styles(s, s->has_content ? 1 : 0, err));
    if (!s->has_content) { /* a texture has the shape of its first style */
        s->job.content = s->job.styles[0];
        s->job.content.rgb = NULL;
    }
    if (!is_word_of_init(s->o.init)) {
        GEN_TRY(style_read_picture(s->a->arena, s->o.init, &s->start, err));
        s->job.start = picture_of(&s->start, 1);
    }
    GEN_TRY(read_weights(s, err));
    GEN_TRY(read_masks(s, err));
    recolour_styles(s);
    return GEN_OK;
}

/* ---- results ------------------------------------------------------------------------------------------------------------------- */

/* rgb with the brightness of the result and the colours of the content, in the arena. */
static gen_status keep_colours(const styling *s, gen_arena *arena, const float **rgb, int32_t h, int32_t w,
                               gen_error *err)
{
    int64_t n = (int64_t)h * w;
    float *kept = gen_arena_alloc(arena, 6 * (size_t)n * sizeof *kept);
    if (!kept) return gen_fail(err, GEN_NO_MEMORY, "no memory for a picture");
    memcpy(kept, *rgb, 3 * (size_t)n * sizeof *kept);
    GEN_TRY(gen_image_resize(s->content.rgb, s->content.image.height_px, s->content.image.width_px, 3, kept + 3 * n, h,
                             w, GEN_FILTER_BICUBIC, err));
    gen_colour_keep(kept, kept + 3 * n, n);
    *rgb = kept;
    return GEN_OK;
}

/* Writes the picture as it is; its memory is given back, so that previews do not pile up. */
static gen_status write_result(styling *s, gen_style *style, gen_error *err)
{
    int32_t h, w;
    const float *rgb = gen_style_result(style, &h, &w, err);
    gen_arena *arena = gen_arena_new();
    gen_status status = !rgb ? err->status : arena ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for a picture");
    if (rgb && status == GEN_OK && s->has_content && !strcmp(s->o.colours, "luma"))
        status = keep_colours(s, arena, &rgb, h, w, err);
    if (status == GEN_OK)
        status = style_write_picture(arena, rgb, h, w, s->has_content ? &s->content : NULL, &s->o, s->out, err);
    gen_arena_free(arena);
    return status;
}

static gen_status write_trace(styling *s, gen_error *err)
{
    gen_bytes text;
    if (!*s->o.trace) return GEN_OK;
    gen_json_close(&s->trace, ']');
    gen_json_close(&s->trace, '}');
    GEN_TRY(gen_json_finish(&s->trace, &text, err));
    return gen_file_write(s->o.trace, text.data, text.size, err);
}

/* ---- while it runs --------------------------------------------------------------------------------------------------------------- */

static const char *duration(double seconds, char *buffer, size_t bytes)
{
    int total = (int)(seconds + 0.5);
    if (total >= 3600) snprintf(buffer, bytes, "%d h %d min", total / 3600, total / 60 % 60);
    else if (total >= 60) snprintf(buffer, bytes, "%d min %d s", total / 60, total % 60);
    else snprintf(buffer, bytes, "%d s", total);
    return buffer;
}

static void on_start(void *context, const gen_style_estimate *e)
{
    styling *s = context;
    char time[32];
    if (s->a->o.quiet) return;
    fprintf(stderr, "%s: %.3g TFLOP, about %s, %.0f MB", s->network.net->name, e->flops / 1e12,
            duration(e->seconds, time, sizeof time), (double)e->memory_bytes / (1 << 20));
    if (e->tile_px) fprintf(stderr, ", in tiles of %d pixels", e->tile_px);
    fputc('\n', stderr);
    if (!s->network.input_known)
        fprintf(stderr,
                "note: the weights do not say what they were trained to see; torchvision's kind is assumed. Where the "
                "result looks washed out, try --vgg-kind caffe\n");
}

static void trace_iteration(styling *s, const gen_style_progress *p)
{
    if (!*s->o.trace) return;
    gen_json_open(&s->trace, NULL, '{');
    gen_json_put_int(&s->trace, "w", p->width_px);
    gen_json_put_int(&s->trace, "h", p->height_px);
    gen_json_put_int(&s->trace, "i", p->iteration);
    gen_json_put_double(&s->trace, "loss", p->loss);
    gen_json_put_double(&s->trace, "content", p->content);
    gen_json_put_double(&s->trace, "style", p->style);
    gen_json_put_double(&s->trace, "tv", p->tv);
    gen_json_put_double(&s->trace, "time", cli_now_s() - s->started_s);
    gen_json_close(&s->trace, '}');
}

/* A line that is written over on a terminal; when piped one every few seconds. */
static void draw(styling *s, const gen_style_progress *p)
{
    double now = cli_now_s(), every = s->is_terminal ? 0.1 : 5;
    bool last = p->done == p->total;
    char left[32];
    if (s->a->o.quiet || (now - s->drawn_s < every && !last)) return;
    double per = (now - s->started_s) / (double)(p->done > 0 ? p->done : 1); /* sizes grow: too hopeful at first */
    fprintf(stderr, "%s%" PRId64 "/%" PRId64 "  %dx%d  loss %.4g = content %.4g + style %.4g + variation %.4g",
            s->is_terminal ? "\r" : "", p->done, p->total, p->width_px, p->height_px, p->loss, p->content, p->style,
            p->tv);
    if (s->is_terminal)
        fprintf(stderr, "  %s left \033[K%s", duration(per * (double)(p->total - p->done), left, sizeof left),
                last ? "\n" : "");
    else fputc('\n', stderr);
    s->drawn_s = now;
}

static bool on_iteration(void *context, gen_style *style, const gen_style_progress *p)
{
    styling *s = context;
    s->last = *p;
    trace_iteration(s, p);
    draw(s, p);
    if (s->o.preview && p->done % s->o.preview == 0) s->hook_status = write_result(s, style, s->err);
    return !*s->stop && s->hook_status == GEN_OK;
}

/* ---- the verb -------------------------------------------------------------------------------------------------------------------- */

/* Interrupted: the picture so far, and what is needed to go on. */
static gen_status save_and_say(styling *s, gen_style *style, gen_error *err)
{
    gen_error why = { 0 };
    if (s->hook_status != GEN_OK) return s->hook_status;
    gen_status status = write_result(s, style, &why);
    if (status == GEN_OK) status = gen_style_save(style, s->state_path, &why);
    if (status == GEN_OK) status = write_trace(s, &why);
    *err = why;
    if (status != GEN_OK) return status;
    return gen_fail(err, GEN_STOPPED,
                    "stopped after %" PRId64 " of %" PRId64
                    " iterations; %s is the picture so far. The same command with --resume %s goes on",
                    s->last.done, s->last.total, s->out, s->state_path);
}

static gen_status print_result(styling *s, gen_error *err)
{
    if (!s->a->o.json) {
        printf("%s: %dx%d pixels, loss %.5g (content %.4g, style %.4g, variation %.4g), %.1f s\n", s->out,
               s->last.width_px, s->last.height_px, s->last.loss, s->last.content, s->last.style, s->last.tv,
               cli_now_s() - s->started_s);
        return GEN_OK;
    }
    gen_json_out out = { .arena = s->a->arena };
    gen_json_open(&out, NULL, '{');
    gen_json_put_string(&out, "file", s->out);
    gen_json_put_int(&out, "width", s->last.width_px);
    gen_json_put_int(&out, "height", s->last.height_px);
    gen_json_put_int(&out, "iterations", s->last.done);
    gen_json_put_double(&out, "loss", s->last.loss);
    gen_json_put_double(&out, "content", s->last.content);
    gen_json_put_double(&out, "style", s->last.style);
    gen_json_put_double(&out, "tv", s->last.tv);
    gen_json_put_double(&out, "seconds", cli_now_s() - s->started_s);
    gen_json_close(&out, '}');
    return cli_print_json(&out, err);
}

static gen_status finish(styling *s, gen_style *style, gen_error *err)
{
    GEN_TRY(write_result(s, style, err));
    GEN_TRY(write_trace(s, err));
    if (*s->o.resume) gen_file_remove(s->state_path, NULL); /* done: nothing to go on with */
    return print_result(s, err);
}

static gen_status transfer(styling *s, gen_device *device, gen_error *err)
{
    gen_style *style = NULL;
    GEN_TRY(gen_style_open(&s->job, device, &style, err));
    gen_status status = *s->o.resume ? gen_style_resume(style, s->o.resume, err) : GEN_OK;
    if (status == GEN_OK) status = gen_style_run(style, (gen_style_hooks){ on_start, on_iteration, s }, err);
    if (status == GEN_OK) status = finish(s, style, err);
    else if (status == GEN_STOPPED) status = save_and_say(s, style, err);
    gen_style_close(style);
    return status;
}

static gen_status read_options(styling *s, gen_error *err)
{
    GEN_TRY(gen_style_options_start(&s->o, s->a->o.preset, s->a->arena, err));
    for (int i = 0; i < s->a->n_extra; i++)
        GEN_TRY(gen_option_set(gen_option_find(gen_style_option_rows, s->a->extra_name[i]), &s->o, s->a->extra_value[i],
                               err));
    int need = s->o.texture || *s->o.reconstruct ? 1 : 2;
    if (s->a->n_words < need)
        return gen_fail(
            err, GEN_BAD_OPTION,
            "usage: gen style CONTENT STYLE… -o OUT; with --texture STYLE…; with --reconstruct-layer L CONTENT");
    s->out = *s->a->o.output ? s->a->o.output : "styled.png";
    s->state_path = *s->o.resume ? s->o.resume : gen_arena_printf(s->a->arena, "%s.resume", s->out);
    if (cli_is_picture_name(s->out))
        return s->state_path ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for a name");
    return gen_fail(err, GEN_BAD_OPTION, "-o %s: expected a name that ends in .png or .jpg", s->out);
}

static gen_status work(styling *s, gen_error *err)
{
    gen_device *device;
    GEN_TRY(read_options(s, err));
    GEN_TRY(read_pictures(s, err));
    GEN_TRY(style_open_network(s->a->arena, &s->o, &s->network, err));
    s->job.options = &s->o;
    s->job.net = s->network.net;
    s->job.input = s->network.input;
    s->job.weights = s->network.file.data ? &s->network.tensors : NULL;
    GEN_TRY(cli_memory_limit(s->o.memory, &s->job.memory_limit, err));
    s->job.used_bytes = cli_used_bytes();
    GEN_TRY(cli_open_device(s->a, &device, err));
    s->stop = cli_catch_stop();
    gen_status status = transfer(s, device, err);
    device->ops->close(device);
    return status;
}

static int run(cli_args *a, gen_error *err)
{
    styling *s = gen_arena_alloc(a->arena, sizeof *s);
    if (!s) return gen_fail(err, GEN_NO_MEMORY, "no memory for a picture"), CLI_FAILED;
    s->a = a;
    s->err = err;
    s->started_s = cli_now_s();
    s->is_terminal = isatty(STDERR_FILENO);
    s->trace = (gen_json_out){ .arena = a->arena };
    gen_json_open(&s->trace, NULL, '{');
    gen_json_open(&s->trace, "iterates", '[');
    gen_status status = work(s, err);
    gen_file_unmap(&s->network.file);
    return status == GEN_OK ? CLI_GOOD : CLI_FAILED;
}

static const char *const takes[] = { "output", "preset", "threads", "device", "precision", "json", "quiet", NULL };
const cli_verb cli_style = { "style", "CONTENT STYLE...", "the content of one picture in the style of others", takes, 1,
                             run };
