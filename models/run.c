/* The run folder and its config.json. */
#include "models/run.h"

#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "io/json.h"
#include "models/sequence.h"
#include "models/tokens.h"

/* ---- config.json ---------------------------------------------------------------------------------------------------------- */

static void put_options(gen_json_out *out, const char *key, const gen_option *rows, const void *options)
{
    char buffer[64];
    gen_json_open(out, key, '{');
    for (const gen_option *row = rows; row->name; row++)
        gen_json_put_string(out, row->name, gen_option_get(row, options, buffer, sizeof buffer));
    gen_json_close(out, '}');
}

static gen_status write_config(const gen_run *run, gen_error *err)
{
    gen_arena *arena = gen_arena_new();
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory for config.json");
    gen_json_out out = { .arena = arena };
    gen_bytes text;
    gen_json_open(&out, NULL, '{');
    gen_json_put_string(&out, "model", run->settings.model->name);
    gen_json_put_string(&out, "data", run->data_name);
    gen_json_put_int(&out, "height", run->height);
    gen_json_put_int(&out, "width", run->width);
    gen_json_put_int(&out, "channels", run->channels);
    gen_json_put_int(&out, "classes", run->classes);
    put_options(&out, "options", run->settings.model->options, run->settings.options);
    put_options(&out, "training", gen_train_option_rows, &run->settings.train);
    if (run->vocabulary.n_fields) gen_vocabulary_put(&run->vocabulary, "vocabulary", &out);
    gen_json_close(&out, '}');
    gen_status status = gen_json_finish(&out, &text, err);
    if (status == GEN_OK) status = gen_file_write(gen_run_path(run, "config.json"), text.data, text.size, err);
    gen_arena_free(arena);
    return status;
}

/* An option that this version does not know is left out: an older program must read a newer run. */
static gen_status read_options(gen_run *run, const gen_json *list, gen_error *err)
{
    for (const gen_json *item = gen_json_first(list); item; item = gen_json_next(item)) {
        void *where;
        const char *value = gen_json_text(item);
        if (!value || !gen_settings_find(&run->settings, gen_json_key(item), &where)) continue;
        GEN_TRY(gen_settings_set(&run->settings, gen_json_key(item), value, err));
    }
    return GEN_OK;
}

/* Words that are not those of the run's tokens would be taken for others. */
static gen_status read_vocabulary(gen_run *run, const gen_json *json, gen_error *err)
{
    gen_tokeniser t;
    const gen_sequence_options *o = run->settings.options;
    GEN_TRY(gen_vocabulary_get(json, run->arena, &run->vocabulary, err));
    run->settings.vocabulary = &run->vocabulary;
    return gen_tokeniser_start(&t, o->tokens, &run->vocabulary, run->arena, err);
}

static gen_status read_members(gen_run *run, const gen_json *config, gen_error *err)
{
    const char *model_name, *data;
    GEN_TRY(gen_json_string(config, "model", &model_name, err));
    GEN_TRY(gen_json_string(config, "data", &data, err));
    const gen_model *model = gen_model_find(model_name);
    if (!model)
        return gen_fail(err, GEN_UNSUPPORTED, "this gen has no model %s; `gen list` shows the models", model_name);
    GEN_TRY(gen_settings_start(&run->settings, model, run->arena, err));
    GEN_TRY(read_options(run, gen_json_get(config, "options"), err));
    GEN_TRY(read_options(run, gen_json_get(config, "training"), err));
    GEN_TRY(gen_json_int(config, "height", &run->height, err));
    GEN_TRY(gen_json_int(config, "width", &run->width, err));
    GEN_TRY(gen_json_int(config, "channels", &run->channels, err));
    GEN_TRY(gen_json_int(config, "classes", &run->classes, err));
    run->data_name = gen_arena_strdup(run->arena, data);
    if (!run->data_name) return gen_fail(err, GEN_NO_MEMORY, "no memory for a run");
    if (!model->tokens) return GEN_OK;
    return read_vocabulary(run, gen_json_get(config, "vocabulary"), err);
}

static gen_status read_config(gen_run *run, gen_error *err)
{
    enum { LIMIT = 64 << 20 }; /* vocabularies may be long */
    char *path = gen_run_path(run, "config.json");
    gen_bytes text;
    gen_json *config = NULL;
    if (!gen_path_is_folder(run->folder))
        return gen_fail(err, GEN_NOT_FOUND, "%s: %s; `gen train` makes one", run->folder,
                        gen_path_exists(run->folder) ? "a file, not a run folder" : "no such run folder");
    if (!gen_path_exists(path))
        return gen_fail(err, GEN_NOT_FOUND, "%s: not a run folder: it has no config.json", run->folder);
    GEN_TRY(gen_file_read(path, LIMIT, run->arena, &text, err));
    gen_status status = gen_json_parse(text.data, text.size, &config, err);
    if (status == GEN_OK) status = read_members(run, config, err);
    gen_json_free(config);
    return status == GEN_OK ? GEN_OK : gen_error_in_file(err, path, status);
}

/* ---- the folder -------------------------------------------------------------------------------------------------------------- */

char *gen_run_path(const gen_run *run, const char *name)
{
    return gen_path_join(run->arena, run->folder, name);
}

static gen_run *run_new(gen_device *device)
{
    gen_arena *arena = gen_arena_new();
    gen_run *run = arena ? gen_arena_alloc(arena, sizeof *run) : NULL;
    gen_params *params = gen_params_new(device);
    if (!run || !params) {
        gen_params_free(params);
        gen_arena_free(arena);
        return NULL;
    }
    *run = (gen_run){ .arena = arena, .device = device, .params = params, .progress = { .best_step = -1 } };
    return run;
}

void gen_run_close(gen_run *run)
{
    if (!run) return;
    gen_folder_lock_release(run->lock);
    gen_params_free(run->params);
    gen_arena_free(run->arena);
}

/* runs/<model>-<data>, then …-2, -3: the first that does not exist. */
static const char *free_folder(gen_run *run)
{
    const char *model = run->settings.model->name;
    for (int i = 1; i < 100000; i++) {
        char *path = i == 1 ? gen_arena_printf(run->arena, "runs/%s-%s", model, run->data_name)
                            : gen_arena_printf(run->arena, "runs/%s-%s-%d", model, run->data_name, i);
        if (!path || !gen_path_exists(path)) return path;
    }
    return NULL;
}

static gen_status make_folder(gen_run *run, gen_error *err)
{
    const char *out = run->settings.train.out;
    run->folder = *out ? gen_arena_strdup(run->arena, out) : free_folder(run);
    if (!run->folder) return gen_fail(err, GEN_NO_MEMORY, "no memory for a run");
    GEN_TRY(gen_folder_make(run->folder, err));
    GEN_TRY(gen_folder_lock_take(run->folder, &run->lock, err));
    if (gen_path_exists(gen_run_path(run, "config.json")))
        return gen_fail(err, GEN_BUSY, "%s is a run already: go on with `gen train --resume %s`, or give another --out",
                        run->folder, run->folder);
    GEN_TRY(gen_folder_make(gen_run_path(run, "checkpoints"), err));
    GEN_TRY(gen_folder_make(gen_run_path(run, "samples"), err));
    return write_config(run, err);
}

/* A copy of settings whose strings live in the run. */
static gen_status copy_settings(gen_run *run, const gen_settings *from, gen_error *err)
{
    char buffer[64];
    GEN_TRY(gen_settings_start(&run->settings, from->model, run->arena, err));
    for (const gen_option *row = from->model->options; row->name; row++)
        GEN_TRY(gen_settings_set(&run->settings, row->name, gen_option_get(row, from->options, buffer, sizeof buffer),
                                 err));
    for (const gen_option *row = gen_train_option_rows; row->name; row++)
        GEN_TRY(
            gen_settings_set(&run->settings, row->name, gen_option_get(row, &from->train, buffer, sizeof buffer), err));
    return GEN_OK;
}

static gen_status start_run(gen_run *run, const gen_settings *settings, const gen_dataset *data, gen_error *err)
{
    GEN_TRY(copy_settings(run, settings, err));
    run->data_name = gen_arena_strdup(run->arena, data->name);
    if (!run->data_name) return gen_fail(err, GEN_NO_MEMORY, "no memory for a run");
    run->height = data->height_px;
    run->width = data->width_px;
    run->channels = data->channels;
    run->classes = data->n_classes;
    if (data->vocabulary) {
        GEN_TRY(gen_vocabulary_copy(data->vocabulary, run->arena, &run->vocabulary, err));
        run->settings.vocabulary = &run->vocabulary;
    }
    gen_model_context m = gen_run_context(run, 1);
    GEN_TRY(settings->model->check(&m, err));
    return make_folder(run, err);
}

gen_status gen_run_create(const gen_settings *settings, const gen_dataset *data, gen_device *device, gen_run **out,
                          gen_error *err)
{
    gen_run *run = run_new(device);
    if (!run) return gen_fail(err, GEN_NO_MEMORY, "no memory for a run");
    gen_status status = start_run(run, settings, data, err);
    if (status == GEN_OK) *out = run;
    else gen_run_close(run);
    return status;
}

static gen_status open_run(gen_run *run, const char *folder, gen_run_mode mode, gen_error *err)
{
    run->folder = gen_arena_strdup(run->arena, folder);
    if (!run->folder) return gen_fail(err, GEN_NO_MEMORY, "no memory for a run");
    GEN_TRY(read_config(run, err));
    return mode == GEN_RUN_WRITE ? gen_folder_lock_take(folder, &run->lock, err) : GEN_OK;
}

gen_status gen_run_open(const char *folder, gen_device *device, gen_run_mode mode, gen_run **out, gen_error *err)
{
    gen_run *run = run_new(device);
    if (!run) return gen_fail(err, GEN_NO_MEMORY, "no memory for a run");
    gen_status status = open_run(run, folder, mode, err);
    if (status == GEN_OK) *out = run;
    else gen_run_close(run);
    return status;
}

gen_status gen_run_in_memory(const gen_model *model, gen_device *device, gen_run **out, gen_error *err)
{
    gen_run *run = run_new(device);
    if (!run) return gen_fail(err, GEN_NO_MEMORY, "no memory for a run");
    run->folder = run->data_name = "";
    gen_status status = gen_settings_start(&run->settings, model, run->arena, err);
    if (status == GEN_OK) *out = run;
    else gen_run_close(run);
    return status;
}

gen_model_context gen_run_context(const gen_run *run, int64_t batch)
{
    return (gen_model_context){ .options = run->settings.options,
                                .batch = batch,
                                .words = { run->vocabulary.n_words[0], run->vocabulary.n_words[1] },
                                .height = run->height,
                                .width = run->width,
                                .channels = run->channels,
                                .classes = run->classes,
                                .direction = run->direction,
                                .n_steps = 1,
                                .steps_per_epoch = 1,
                                .optim = gen_settings_optim(&run->settings, 1, 1) };
}

gen_status gen_run_program(gen_run *run, void (*build)(gen_graph *g, const gen_model_context *m), const char *verb,
                           int64_t batch, gen_program **program, gen_error *err)
{
    if (!build) return gen_fail(err, GEN_UNSUPPORTED, "%s cannot %s", run->settings.model->name, verb);
    gen_graph *g = gen_graph_new();
    if (!g) return gen_fail(err, GEN_NO_MEMORY, "no memory for a graph");
    gen_model_context m = gen_run_context(run, batch);
    if (run->settings.train.checkpoint_activations) gen_graph_checkpoint(g);
    build(g, &m);
    return gen_program_new(g, run->device, run->params, (uint64_t)run->settings.train.seed, program, err);
}
