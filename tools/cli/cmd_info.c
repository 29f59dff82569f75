/* info, list, data: what gen knows of models, runs, files and data sets. */
#include <inttypes.h>
#include <string.h>

#include "core/program.h"
#include "io/dataset.h"
#include "io/file.h"
#include "io/image.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "kernels/devices.h"
#include "models/checkpoint.h"
#include "models/cost.h"
#include "models/data.h"
#include "models/evaluate.h"
#include "tools/cli/frames.h"
#include "tools/cli/music.h"
#include "tools/cli/picture_file.h"

/* ---- a model or a run: layers, parameters, memory ------------------------------------------------------------------------------------------ */

static void print_line(void *context, const char *text)
{
    (void)context;
    puts(text);
}

typedef struct summary {
    int64_t learned, stored;               /* numbers: that are trained; with running statistics */
    double gflop, activation_mb, state_mb; /* state: weights, moments, averages, statistics */
    int32_t calls, fused;
} summary;

static summary summarise(const gen_params *params, const gen_program *program)
{
    const gen_plan *plan = gen_program_plan(program);
    summary s = { .gflop = 2e-9 * gen_graph_multiply_adds(gen_program_graph(program)),
                  .activation_mb = 4e-6 * (double)plan->slab_count,
                  .calls = plan->n_steps,
                  .fused = plan->n_fused };
    for (int32_t i = 0; i < gen_params_count(params); i++) {
        gen_param_info p = gen_params_get(params, i);
        s.state_mb += 4e-6 * (double)gen_shape_count(&p.shape);
        if (p.spec.counter) continue;
        s.stored += gen_shape_count(&p.shape);
        if (!p.spec.state) s.learned += gen_shape_count(&p.shape);
    }
    return s;
}

static void print_params(const gen_params *params)
{
    char shape[64];
    printf("\n%-36s %-20s %12s\n", "parameter", "shape (PyTorch)", "numbers");
    for (int32_t i = 0; i < gen_params_count(params); i++) {
        gen_param_info p = gen_params_get(params, i);
        if (p.spec.counter) continue;
        gen_shape torch = gen_layout_torch_shape(&p.shape, &p.spec);
        printf("%-36s %-20s %12" PRId64 "%s\n", p.name, gen_shape_text(&torch, shape, sizeof shape),
               gen_shape_count(&p.shape), p.spec.state ? "  (statistics)" : "");
    }
}

/* What looking at one picture costs, layer by layer */
static gen_status print_layers(const gen_run *run, gen_error *err)
{
    const gen_model *model = run->settings.model;
    char shape[64];
    gen_graph *g = model->eval ? gen_graph_new() : NULL;
    if (!g) return GEN_OK;
    gen_model_context m = gen_run_context(run, 1);
    model->eval(g, &m);
    gen_status status = gen_graph_check(g, err);
    if (status == GEN_OK) printf("\n%-36s %-20s %12s\n", "layer", "gives, of a picture", "multiply-adds");
    for (int32_t id = 0; status == GEN_OK && id < gen_graph_size(g); id++) {
        const gen_node *y = gen_graph_node(g, id);
        if (*y->name && gen_node_multiply_adds(y) > 0)
            printf("%-36s %-20s %12.0f\n", y->name, gen_shape_text(&y->shape, shape, sizeof shape),
                   gen_node_multiply_adds(y));
    }
    gen_graph_free(g);
    return status;
}

static gen_status print_summary_json(cli_args *a, const gen_run *run, const summary *s, gen_error *err)
{
    gen_json_out out = { .arena = a->arena };
    gen_json_open(&out, NULL, '{');
    gen_json_put_string(&out, "model", run->settings.model->name);
    gen_json_put_int(&out, "height", run->height);
    gen_json_put_int(&out, "width", run->width);
    gen_json_put_int(&out, "channels", run->channels);
    gen_json_put_int(&out, "trainable_parameters", s->learned);
    gen_json_put_int(&out, "parameters", s->stored);
    gen_json_put_int(&out, "batch", run->settings.train.batch);
    gen_json_put_double(&out, "gflop", s->gflop);
    gen_json_put_int(&out, "calls", s->calls);
    gen_json_put_double(&out, "activation_mb", s->activation_mb);
    gen_json_put_double(&out, "state_mb", s->state_mb);
    gen_json_close(&out, '}');
    return cli_print_json(&out, err);
}

/* PyTorch's LSTM has two biases that are added, of which Keras has one. */
static int64_t second_biases(const gen_params *params)
{
    int64_t n = 0;
    for (int32_t i = 0; i < gen_params_count(params); i++) {
        gen_param_info p = gen_params_get(params, i);
        if (!p.spec.state && strstr(p.name, ".bias_hh_l") && strstr(p.name, "lstm")) n += gen_shape_count(&p.shape);
    }
    return n;
}

/* Everything about the training step of a run-like thing. */
static gen_status describe(cli_args *a, gen_run *run, gen_error *err)
{
    const gen_model *model = run->settings.model;
    gen_program *program = NULL;
    int64_t batch = run->settings.train.batch;
    GEN_TRY(gen_run_program(run, model->train, "be trained", batch, &program, err));
    summary s = summarise(run->params, program);
    gen_status status = GEN_OK;
    if (a->o.json) {
        status = print_summary_json(a, run, &s, err);
    } else {
        printf("%s: %s\n%s\n", model->name, model->summary, model->paper);
        if (!model->tokens)
            printf("pictures %" PRId64 "x%" PRId64 "x%" PRId64 "\n", run->height, run->width, run->channels);
        print_params(run->params);
        status = print_layers(run, err);
        printf("\ntrainable parameters %" PRId64 ", with running statistics %" PRId64 "\n", s.learned, s.stored);
        int64_t second = second_biases(run->params);
        if (second) printf("with one bias a recurrent layer, as Keras counts: %" PRId64 "\n", s.learned - second);
        printf("a training step of %" PRId64
               " %s: %.3f GFLOP, %d calls (%d nodes fused away), %.1f MB of activations, %.1f MB of weights and the "
               "optimiser's numbers\n",
               batch, model->tokens ? "windows" : "pictures", s.gflop, s.calls, s.fused, s.activation_mb, s.state_mb);
        if (a->o.explain_memory) gen_plan_explain(gen_program_plan(program), sizeof(float), print_line, NULL);
    }
    gen_program_free(program);
    return status;
}

/* Where data are no pictures they say what sizes there are. */
static gen_status guess_sizes(cli_args *a, gen_run *run, const gen_preset *preset, gen_error *err)
{
    gen_dataset data;
    int faces = preset && !strcmp(preset->data, "celeba");
    run->height = run->width = run->settings.train.size ? run->settings.train.size : faces ? 128 : 28;
    run->channels = run->settings.train.channels ? run->settings.train.channels : faces ? 3 : 1;
    if (!run->settings.model->open_data) return GEN_OK;
    GEN_TRY(gen_data_open(&run->settings, NULL, a->arena, &data, err));
    run->height = data.height_px, run->width = data.width_px, run->channels = data.channels;
    return GEN_OK;
}

/* A run that only lives in memory, of a model with a preset and the picture size of its data, 28x28 grey when that is not here. */
static gen_status describe_model(cli_args *a, const gen_model *model, const gen_preset *preset, gen_device *device,
                                 gen_error *err)
{
    gen_run run = {
        .arena = a->arena, .folder = "", .data_name = "", .device = device, .params = gen_params_new(device)
    };
    if (!run.params) return gen_fail(err, GEN_NO_MEMORY, "no memory for a model");
    gen_status status = gen_settings_start(&run.settings, model, a->arena, err);
    if (status == GEN_OK && *a->o.preset) status = gen_settings_preset(&run.settings, a->o.preset, err);
    else if (status == GEN_OK && preset) status = gen_settings_preset(&run.settings, preset->name, err);
    for (int i = 0; i < a->n_extra && status == GEN_OK; i++)
        status = gen_settings_set(&run.settings, a->extra_name[i], a->extra_value[i], err);
    if (status == GEN_OK) status = guess_sizes(a, &run, preset, err);
    if (status == GEN_OK) status = describe(a, &run, err);
    gen_params_free(run.params);
    return status;
}

static gen_status describe_run(cli_args *a, const char *folder, gen_device *device, gen_error *err)
{
    gen_run *run = NULL;
    char *path;
    GEN_TRY(gen_run_open(folder, device, GEN_RUN_READ, &run, err));
    gen_status status = describe(a, run, err);
    if (status == GEN_OK && !a->o.json && gen_checkpoint_find(run, "latest", &path, NULL) == GEN_OK &&
        gen_checkpoint_load(run, "latest", GEN_CHECKPOINT_ALL, NULL) == GEN_OK)
        printf("trained on %s for %" PRId64 " steps; best validation loss %.6g at step %" PRId64 "\n", run->data_name,
               run->progress.step, run->progress.best_loss, run->progress.best_step);
    gen_run_close(run);
    return status;
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------------------ */

static gen_status describe_safetensors(cli_args *a, const gen_bytes *file, gen_error *err)
{
    gen_safetensors st;
    int64_t total = 0;
    GEN_TRY(gen_safetensors_read(file->data, file->size, a->arena, &st, err));
    for (size_t i = 0; i < st.n_metadata; i++) printf("%s: %s\n", st.metadata[i].key, st.metadata[i].value);
    for (size_t i = 0; i < st.n_tensors; i++) {
        const gen_tensor_entry *t = &st.tensors[i];
        printf("%-40s %-5s [", t->name, gen_dtype_name(t->dtype));
        for (int32_t d = 0; d < t->n_dims; d++) printf("%s%" PRId64, d ? "," : "", t->dims[d]);
        puts("]");
        total += (int64_t)t->n;
    }
    printf("%zu tensors, %" PRId64 " numbers\n", st.n_tensors, total);
    return GEN_OK;
}

static gen_status describe_image(cli_args *a, const gen_bytes *file, gen_error *err)
{
    gen_image image;
    GEN_TRY(gen_image_read(file->data, file->size, a->arena, &image, err));
    printf("picture of %dx%d pixels, %d channel%s of %d bits\n", image.width_px, image.height_px, image.channels,
           image.channels == 1 ? "" : "s", image.px8 ? 8 : 16);
    for (int32_t i = 0; i < image.n_texts; i++) printf("%s: %s\n", image.texts[i].key, image.texts[i].value);
    return GEN_OK;
}

static gen_status describe_npy(cli_args *a, const gen_bytes *file, gen_error *err)
{
    gen_npy npy;
    GEN_TRY(gen_npy_read(file->data, file->size, a->arena, &npy, err));
    printf("array [");
    for (int32_t d = 0; d < npy.n_dims; d++) printf("%s%" PRId64, d ? "," : "", npy.dims[d]);
    printf("], %zu numbers\n", npy.n);
    return GEN_OK;
}

static gen_status describe_data(cli_args *a, const char *name, gen_error *err)
{
    gen_dataset data;
    char *path;
    if (gen_dataset_find(name, a->arena, &path, NULL) == GEN_OK && cli_is_frames(a, path))
        return cli_describe_frames(a, path, err);
    gen_dataset_options options = { .download = 0 };
    GEN_TRY(gen_dataset_open(name, &options, NULL, a->arena, &data, err));
    printf("%s: %" PRId64 " pictures of %dx%dx%d", data.name, data.n, data.height_px, data.width_px, data.channels);
    for (int s = 0; s < GEN_N_SPLITS; s++)
        if (data.splits[s].n) printf(", %" PRId64 " %s", data.splits[s].n, gen_split_name((gen_split)s));
    printf("\n");
    if (data.n_classes) printf("%d classes\n", data.n_classes);
    return GEN_OK;
}

static gen_status describe_file(cli_args *a, const char *path, gen_error *err)
{
    gen_bytes file;
    if (gen_path_is_folder(path) || gen_path_has_extension(path, "mat")) return describe_data(a, path, err);
    if (cli_is_midi(path) || gen_path_has_extension(path, "json")) return cli_describe_midi(a, path, err);
    GEN_TRY(gen_file_read(path, GEN_FILE_ANY_SIZE, a->arena, &file, err));
    if (gen_path_has_extension(path, "safetensors")) return describe_safetensors(a, &file, err);
    if (gen_path_has_extension(path, "npy")) return describe_npy(a, &file, err);
    if (strstr(gen_path_base(path), "idx") || gen_path_has_extension(path, "bin")) return describe_data(a, path, err);
    gen_status status = describe_image(a, &file, err);
    if (status == GEN_BAD_FILE && !cli_is_picture_name(path)) {
        *err = (gen_error){ 0 }; /* that it is no picture is not all there is to say */
        return gen_fail(err, GEN_BAD_FILE,
                        "%s is none of the files that gen knows: pictures (PNG, JPEG, PGM, PPM), .safetensors, .npy, "
                        ".mat, .mid, tokens as .json, and MNIST's idx",
                        path);
    }
    return status == GEN_OK ? GEN_OK : gen_error_in_file(err, path, status);
}

/* Options describe a model that is not there yet; a run, a file and a data set are what they are. */
static gen_status needs_no_options(const cli_args *a, gen_error *err)
{
    const char *name = *a->o.preset ? "preset" : a->n_extra ? a->extra_name[0] : NULL;
    if (!name) return GEN_OK;
    return gen_fail(err, GEN_BAD_OPTION, "--%s is of a model's description, and %s is no model; `gen list` shows them",
                    name, a->word[0]);
}

/* A run, a file or a data set. */
static gen_status describe_what_is_there(cli_args *a, const char *name, gen_device *device, gen_error *err)
{
    char *found;
    bool run = cli_is_run(a, name);
    bool file = !run && gen_path_exists(name);
    bool data =
        !run && !file && (gen_dataset_source_find(name) || gen_dataset_find(name, a->arena, &found, NULL) == GEN_OK);
    if (!run && !file && !data)
        return gen_fail(err, GEN_NOT_FOUND, "%s is no model, preset, run folder, file or data set", name);
    GEN_TRY(needs_no_options(a, err));
    return run ? describe_run(a, name, device, err) : file ? describe_file(a, name, err) : describe_data(a, name, err);
}

static int info(cli_args *a, gen_error *err)
{
    gen_device *device = NULL;
    const gen_model *model;
    const gen_preset *preset = NULL;
    if (cli_need_words(&cli_info, a, 1, 1, err) != GEN_OK) return CLI_USAGE;
    if (gen_device_open("cpu", (int32_t)a->o.threads, &device, err) != GEN_OK) return CLI_FAILED;
    model = gen_model_find(a->word[0]);
    gen_status status = model || gen_model_alias(a->word[0], &model, &preset)
                            ? describe_model(a, model, preset, device, err)
                            : describe_what_is_there(a, a->word[0], device, err);
    device->ops->close(device);
    return status == GEN_OK ? CLI_GOOD : CLI_FAILED;
}

/* ---- list --------------------------------------------------------------------------------------------------------------------------------------- */

static gen_status list_json(cli_args *a, gen_error *err)
{
    gen_json_out out = { .arena = a->arena };
    gen_json_open(&out, NULL, '{');
    gen_json_open(&out, "models", '[');
    for (int i = 0; gen_models[i]; i++) {
        gen_json_open(&out, NULL, '{');
        gen_json_put_string(&out, "name", gen_models[i]->name);
        gen_json_put_string(&out, "summary", gen_models[i]->summary);
        gen_json_put_string(&out, "paper", gen_models[i]->paper);
        gen_json_open(&out, "presets", '[');
        for (const gen_preset *p = gen_models[i]->presets; p && p->name; p++) gen_json_put_string(&out, NULL, p->name);
        gen_json_close(&out, ']');
        gen_json_close(&out, '}');
    }
    gen_json_close(&out, ']');
    gen_json_close(&out, '}');
    return cli_print_json(&out, err);
}

static int list(cli_args *a, gen_error *err)
{
    if (a->o.json) return list_json(a, err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
    if (a->o.markdown) {
        puts("| model | preset | from | options |\n| --- | --- | --- | --- |");
        for (int i = 0; gen_models[i]; i++) {
            printf("| **%s** | | %s | %s |\n", gen_models[i]->name, gen_models[i]->paper, gen_models[i]->defaults);
            for (const gen_preset *p = gen_models[i]->presets; p && p->name; p++)
                printf("| %s | `%s` | %s | `%s` |\n", gen_models[i]->name, p->name, p->source, p->options);
        }
        return CLI_GOOD;
    }
    for (int i = 0; gen_models[i]; i++) {
        printf("%s: %s (%s)\n", gen_models[i]->name, gen_models[i]->summary, gen_models[i]->paper);
        for (const gen_preset *p = gen_models[i]->presets; p && p->name; p++)
            printf("  %-18s %s\n", p->name, p->source);
    }
    puts("\n`gen help MODEL` lists options; `gen info PRESET` layers and parameters; `gen train PRESET` trains one.");
    return CLI_GOOD;
}

/* ---- data ---------------------------------------------------------------------------------------------------------------------------------------- */

static void data_list(cli_args *a)
{
    size_t n;
    const gen_dataset_source *sources = gen_dataset_sources(&n);
    for (size_t i = 0; i < n; i++) {
        char *path;
        bool here = gen_dataset_find(sources[i].name, a->arena, &path, NULL) == GEN_OK;
        printf("%-16s %s\n%-16s %s\n", sources[i].name, sources[i].summary, "",
               here                  ? path
               : *sources[i].mirrors ? "not here; gen data fetch gets it"
                                     : sources[i].by_hand);
    }
}

static gen_status data_show(cli_args *a, const char *name, gen_error *err)
{
    enum { SIDE = 16 };
    gen_dataset data;
    gen_dataset_options options = { .download = 0 };
    GEN_TRY(gen_dataset_open(name, &options, NULL, a->arena, &data, err));
    int64_t n = data.n < SIDE * SIDE ? data.n : SIDE * SIDE;
    gen_run run = { .settings.model = gen_models[0],
                    .data_name = data.name,
                    .height = data.height_px,
                    .width = data.width_px,
                    .channels = data.channels };
    float *x = gen_arena_alloc(a->arena, (size_t)(n * run.height * run.width * run.channels) * sizeof *x);
    if (!x) return gen_fail(err, GEN_NO_MEMORY, "no memory for pictures");
    for (int64_t i = 0; i < n; i++) gen_dataset_batch(&data, &i, 1, x + i * run.height * run.width * run.channels);
    const char *path = *a->o.output ? a->o.output : "data.png";
    GEN_TRY(cli_write_grid(&run, x, n, SIDE, path, err));
    printf("%s: the first %" PRId64 " pictures of %s\n", path, n, data.name);
    return GEN_OK;
}

/* Into the user's cache, where --data NAME finds it, or into a folder. */
static gen_status data_fetch(cli_args *a, const char *name, gen_error *err)
{
    const gen_dataset_source *source = gen_dataset_source_find(name);
    const char *colon = strchr(name, ':');
    gen_sink sink = cli_terminal(a);
    gen_dataset data;
    gen_dataset_options options = { .download = 1 };
    char *path;
    if (!source)
        return gen_fail(err, GEN_NOT_FOUND, "there is no data set %s; `gen data list` shows those that can be fetched",
                        name);
    if (*a->o.output) {
        GEN_TRY(gen_dataset_fetch(source, colon ? colon + 1 : NULL, a->o.output, &sink, err));
        printf("%s\n", a->o.output);
        return GEN_OK;
    }
    if (source->weights) {
        GEN_TRY(gen_dataset_fetch_to_cache(name, &sink, a->arena, &path, err));
        printf("%s: %s/%s\n", name, path, source->files[0].name);
        return GEN_OK;
    }
    GEN_TRY(gen_dataset_open(name, &options, &sink, a->arena, &data, err));
    GEN_TRY(gen_dataset_find(name, a->arena, &path, err));
    printf("%s: %" PRId64 " pictures in %s\n", name, data.n, path);
    return GEN_OK;
}

static int data(cli_args *a, gen_error *err)
{
    const char *what = a->n_words ? a->word[0] : "list";
    if (!strcmp(what, "list")) return data_list(a), CLI_GOOD;
    if (a->n_words != 2)
        return gen_fail(err, GEN_BAD_OPTION, "usage: gen data list, or gen data info|show|fetch NAME|PATH"), CLI_USAGE;
    if (!strcmp(what, "info")) return describe_data(a, a->word[1], err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
    if (!strcmp(what, "show")) return data_show(a, a->word[1], err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
    if (!strcmp(what, "fetch")) return data_fetch(a, a->word[1], err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
    gen_fail(err, GEN_BAD_OPTION, "gen data %s: expected list, info, show or fetch", what);
    return CLI_USAGE;
}

static const char *const info_takes[] = { "preset", "explain-memory", "steps-per-quarter", "threads", "json", NULL };
static const char *const list_takes[] = { "markdown", "json", NULL };
static const char *const data_takes[] = { "output", "quiet", NULL };
const cli_verb cli_info = {
    "info", "MODEL|RUN|FILE", "layers, parameters and memory of a model or run; what a file holds", info_takes, 1, info
};
const cli_verb cli_list = { "list", "", "models and presets", list_takes, 0, list };
const cli_verb cli_data = { "data", "list|info|show|fetch", "data sets: where they are, what they hold", data_takes, 0,
                            data };
