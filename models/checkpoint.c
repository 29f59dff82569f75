#define _POSIX_C_SOURCE 200809L /* readlink */
#include "models/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/file.h"
#include "io/json.h"
#include "io/safetensors.h"

static char *weights_name(const gen_run *run, int64_t step)
{
    return gen_arena_printf(run->arena, "checkpoints/step-%08" PRId64 ".safetensors", step);
}

/* "…/step-1.safetensors" -> "…/step-1.state.safetensors" */
static char *state_path(const gen_run *run, const char *weights)
{
    return gen_arena_printf(run->arena, "%.*s.state.safetensors", (int)(strlen(weights) - strlen(".safetensors")),
                            weights);
}

/* ---- saving ------------------------------------------------------------------------------------------------------------------- */

/* Which file: weights, state, or weights that somebody else saved. */
typedef enum part { WEIGHTS, STATE, FOREIGN } part;

/* Averages are state too: beside the weights PyTorch would take them for unknown parameters. Graphs that make pictures have them as their weights. */
static bool is_average(const gen_param_info *p)
{
    return !strncmp(p->name, "ema.", 4);
}

static bool belongs(const gen_param_info *p, part file)
{
    bool state = p->spec.counter || is_average(p);
    return file == FOREIGN ? !p->spec.counter : state == (file == STATE);
}

/* The arena keeps the tensor in PyTorch's layout only: a large model is copied once, not twice. */
static gen_status read_tensor(const gen_run *run, int32_t i, gen_arena *arena, gen_tensor_entry *out, gen_error *err)
{
    gen_param_info p = gen_params_get(run->params, i);
    size_t n = (size_t)gen_shape_count(&p.shape);
    float *ours = gen_alloc(n, sizeof *ours), *theirs = gen_arena_alloc(arena, n * sizeof *theirs);
    gen_status status = ours && theirs ? gen_params_read(run->params, i, ours, err)
                                       : gen_fail(err, GEN_NO_MEMORY, "no memory to save %s", p.name);
    if (status == GEN_OK) gen_layout_to_torch(&p.shape, &p.spec, ours, theirs);
    gen_free(ours);
    GEN_TRY(status);
    gen_shape shape = gen_layout_torch_shape(&p.shape, &p.spec);
    *out = (gen_tensor_entry){ .name = p.name, .dtype = GEN_DTYPE_F32, .n_dims = shape.rank, .n = n, .data = theirs };
    memcpy(out->dims, shape.dim, (size_t)shape.rank * sizeof *shape.dim);
    return GEN_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const gen_tensor_entry *)a)->name, ((const gen_tensor_entry *)b)->name);
}

static gen_status write_tensors(const gen_run *run, const char *path, part file, const gen_metadata_entry *metadata,
                                size_t n_metadata, gen_error *err)
{
    gen_arena *arena = gen_arena_new();
    int32_t total = gen_params_count(run->params);
    size_t n = 0;
    gen_tensor_entry *tensors = arena ? gen_arena_alloc(arena, (size_t)total * sizeof *tensors) : NULL;
    gen_status status = tensors ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory to save %s", path);
    for (int32_t i = 0; i < total && status == GEN_OK; i++) {
        gen_param_info p = gen_params_get(run->params, i);
        if (belongs(&p, file)) status = read_tensor(run, i, arena, &tensors[n++], err);
    }
    if (status == GEN_OK) {
        qsort(tensors, n, sizeof *tensors, by_name); /* the order of creation differs between a new and a resumed run */
        status = gen_safetensors_write(path, tensors, n, metadata, n_metadata, err);
    }
    gen_arena_free(arena);
    return status;
}

/* The options that change the numbers, as one JSON object. */
static gen_status math_options(const gen_run *run, gen_bytes *text, gen_error *err)
{
    gen_json_out out = { .arena = run->arena };
    const gen_option *tables[] = { run->settings.model->options, gen_train_option_rows };
    const void *structs[] = { run->settings.options, &run->settings.train };
    char buffer[64];
    gen_json_open(&out, NULL, '{');
    for (int t = 0; t < 2; t++)
        for (const gen_option *row = tables[t]; row->name; row++)
            if (!(row->flags & OPT_NOT_MATH))
                gen_json_put_string(&out, row->name, gen_option_get(row, structs[t], buffer, sizeof buffer));
    gen_json_close(&out, '}');
    return gen_json_finish(&out, text, err);
}

/* Words belong to the weights: a file of them that came alone says what its numbers mean. */
static gen_status know_vocabulary_text(gen_run *run, gen_error *err)
{
    gen_bytes json;
    if (!run->vocabulary.n_fields || run->vocabulary_text) return GEN_OK;
    GEN_TRY(gen_vocabulary_write(&run->vocabulary, run->arena, &json, err));
    run->vocabulary_text = (const char *)json.data;
    return GEN_OK;
}

static gen_status check_vocabulary(const gen_run *run, const gen_safetensors *st, gen_error *err)
{
    const char *text = gen_safetensors_metadata(st, "vocabulary");
    gen_vocabulary v;
    if (!run->vocabulary.n_fields || !text) return GEN_OK;
    GEN_TRY(gen_vocabulary_read(text, strlen(text), run->arena, &v, err));
    return gen_vocabulary_equal(&v, &run->vocabulary)
               ? GEN_OK
               : gen_fail(err, GEN_BAD_FILE, "its vocabulary is not that of %s: the numbers mean other words",
                          run->folder);
}

static gen_status write_pair(const gen_run *run, const char *weights, gen_error *err)
{
    gen_bytes options;
    const gen_progress *p = &run->progress;
    GEN_TRY(math_options(run, &options, err));
    char *step = gen_arena_printf(run->arena, "%" PRId64, p->step),
         *best_step = gen_arena_printf(run->arena, "%" PRId64, p->best_step);
    char *best = gen_arena_printf(run->arena, "%.17g", p->best_loss),
         *bad = gen_arena_printf(run->arena, "%" PRId64, p->bad_evals);
    char *skipped = gen_arena_printf(run->arena, "%" PRId64, p->skipped), *state = state_path(run, weights);
    char *size =
        gen_arena_printf(run->arena, "%" PRId64 "x%" PRId64 "x%" PRId64, run->height, run->width, run->channels);
    if (!step || !best_step || !best || !bad || !skipped || !state || !size)
        return gen_fail(err, GEN_NO_MEMORY, "no memory to save a checkpoint");
    const char *words = run->vocabulary_text;
    gen_metadata_entry metadata[] = { { "vocabulary", words },
                                      { "format", "pt" },
                                      { "model", run->settings.model->name },
                                      { "data", run->data_name },
                                      { "size", size },
                                      { "step", step },
                                      { "options", (const char *)options.data },
                                      { "best_step", best_step },
                                      { "best_loss", best },
                                      { "bad_evals", bad },
                                      { "skipped", skipped } };
    enum { OF_WEIGHTS = 7 };
    size_t n = sizeof metadata / sizeof *metadata, first = words ? 0 : 1;
    GEN_TRY(write_tensors(run, state, STATE, metadata + 1, n - 1, err));
    return write_tensors(run, weights, WEIGHTS, metadata + first, OF_WEIGHTS - first, err);
}

/* ---- the folder of checkpoints ---------------------------------------------------------------------------------------------------- */

/* The step of "step-00000120.safetensors"; -1 for other names. */
static int64_t step_of(const char *name)
{
    int64_t step;
    char rest[32] = "";
    if (sscanf(name, "step-%" SCNd64 "%31s", &step, rest) != 2 || strcmp(rest, ".safetensors")) return -1;
    return step;
}

/* The step that the link good points to; -1: there is none. */
static int64_t good_step(const gen_run *run)
{
    char target[256];
    ssize_t n = readlink(gen_run_path(run, "checkpoints/good"), target, sizeof target - 1);
    if (n <= 0) return -1;
    target[n] = 0;
    return step_of(target);
}

/* Removes all but the newest `keep` checkpoints, the best and the good. The weights go first: a pair without weights is no checkpoint. */
static gen_status remove_old(gen_run *run, gen_error *err)
{
    gen_path_list list;
    gen_arena *arena = gen_arena_new();
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory to look at old checkpoints");
    gen_status status = gen_folder_list(gen_run_path(run, "checkpoints"), 0, arena, &list, err);
    int64_t kept = 0, good = good_step(run);
    for (size_t i = status == GEN_OK ? list.n : 0; i-- > 0 && status == GEN_OK;) { /* names sort by step */
        int64_t step = step_of(list.path[i]);
        if (step < 0) continue;
        if (kept++ < run->settings.train.keep || step == run->progress.best_step || step == good) continue;
        char *weights = gen_run_path(run, weights_name(run, step));
        status = gen_file_remove(weights, err);
        if (status == GEN_OK) status = gen_file_remove(state_path(run, weights), err);
    }
    gen_arena_free(arena);
    return status;
}

gen_status gen_checkpoint_steps(const gen_run *run, gen_arena *arena, int64_t **steps, int32_t *n, gen_error *err)
{
    gen_path_list list;
    *n = 0;
    GEN_TRY(gen_folder_list(gen_run_path(run, "checkpoints"), 0, arena, &list, err)); /* names sort by step */
    *steps = gen_arena_alloc(arena, (list.n + 1) * sizeof **steps);
    if (!*steps) return gen_fail(err, GEN_NO_MEMORY, "no memory to look at old checkpoints");
    for (size_t i = 0; i < list.n; i++)
        if (step_of(list.path[i]) >= 0) (*steps)[(*n)++] = step_of(list.path[i]);
    return GEN_OK;
}

gen_status gen_checkpoint_save(gen_run *run, gen_error *err)
{
    char *name = weights_name(run, run->progress.step), *path = name ? gen_run_path(run, name) : NULL;
    if (!path) return gen_fail(err, GEN_NO_MEMORY, "no memory to save a checkpoint");
    GEN_TRY(know_vocabulary_text(run, err));
    GEN_TRY(write_pair(run, path, err));
    GEN_TRY(gen_file_link(gen_path_base(name), gen_run_path(run, "checkpoints/latest"), err));
    return remove_old(run, err);
}

gen_status gen_checkpoint_mark_best(gen_run *run, gen_error *err)
{
    return gen_file_link(gen_path_base(weights_name(run, run->progress.best_step)),
                         gen_run_path(run, "checkpoints/best"), err);
}

gen_status gen_checkpoint_keep_good(gen_run *run, int64_t step, char **path, gen_error *err)
{
    gen_arena *arena = gen_arena_new();
    int64_t *steps, best = -1;
    int32_t n;
    if (!arena) return gen_fail(err, GEN_NO_MEMORY, "no memory to look at old checkpoints");
    gen_status status = gen_checkpoint_steps(run, arena, &steps, &n, err);
    for (int32_t i = 0; status == GEN_OK && i < n && steps[i] <= step; i++) best = steps[i];
    gen_arena_free(arena);
    if (status != GEN_OK || best < 0) return status;
    GEN_TRY(gen_file_link(gen_path_base(weights_name(run, best)), gen_run_path(run, "checkpoints/good"), err));
    *path = gen_run_path(run, weights_name(run, best));
    return GEN_OK;
}

/* ---- loading ------------------------------------------------------------------------------------------------------------------------ */

/* latest and best are links to a file beside them; the state belongs to the file, not to the link. */
static char *follow_link(const gen_run *run, char *path)
{
    char target[256];
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n <= 0) return path;
    target[n] = 0;
    char *name = gen_arena_printf(run->arena, "checkpoints/%s", target);
    return name ? gen_run_path(run, name) : NULL;
}

gen_status gen_checkpoint_find(const gen_run *run, const char *which, char **path, gen_error *err)
{
    char *found = NULL, *end, *bare = gen_run_path(run, "weights.safetensors");
    if (!strcmp(which, "best-or-latest") && gen_path_exists(bare)) {
        *path = bare;
        return GEN_OK;
    }
    if (!strcmp(which, "best-or-latest"))
        which = gen_path_exists(gen_run_path(run, "checkpoints/best")) ? "best" : "latest";
    if (!strcmp(which, "latest") || !strcmp(which, "best") || !strcmp(which, "good")) {
        found = gen_run_path(run, gen_arena_printf(run->arena, "checkpoints/%s", which));
    } else {
        long long step = strtoll(which, &end, 10);
        if (*end || step < 0)
            return gen_fail(err, GEN_BAD_OPTION, "checkpoint %s is neither latest, best, good nor a step number",
                            which);
        found = gen_run_path(run, weights_name(run, step));
    }
    if (!gen_path_exists(found)) return gen_fail(err, GEN_NOT_FOUND, "%s has no checkpoint %s yet", run->folder, which);
    *path = follow_link(run, found);
    return *path ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory for a path");
}

static gen_status fill_param(gen_run *run, int32_t i, const gen_tensor_entry *t, gen_error *err)
{
    gen_param_info p = gen_params_get(run->params, i);
    gen_shape want = gen_layout_torch_shape(&p.shape, &p.spec), have = { .rank = t->n_dims };
    char a[64], b[64];
    for (int32_t d = 0; d < t->n_dims && d < GEN_MAX_RANK; d++) have.dim[d] = t->dims[d];
    if (t->n_dims > GEN_MAX_RANK || !gen_shape_equal(&want, &have))
        return gen_fail(err, GEN_BAD_FILE, "tensor %s is %s, the model wants %s", p.name,
                        gen_shape_text(&have, a, sizeof a), gen_shape_text(&want, b, sizeof b));
    float *theirs = gen_alloc(t->n, sizeof *theirs), *ours = gen_alloc(t->n, sizeof *ours);
    gen_status status = theirs && ours ? GEN_OK : gen_fail(err, GEN_NO_MEMORY, "no memory to load %s", p.name);
    if (status == GEN_OK) {
        gen_tensor_to_float(t, theirs);
        gen_layout_from_torch(&p.shape, &p.spec, theirs, ours);
        status = gen_params_write(run->params, i, ours, err);
    }
    gen_free(theirs);
    gen_free(ours);
    return status;
}

/* skipped: letters of the run's names that the file's lack */
static gen_status fill_params(gen_run *run, const gen_safetensors *st, part file, size_t skipped, gen_error *err)
{
    for (int32_t i = 0; i < gen_params_count(run->params); i++) {
        gen_param_info p = gen_params_get(run->params, i);
        if (!belongs(&p, file)) continue;
        const gen_tensor_entry *t = gen_safetensors_find(st, p.name + skipped);
        if (!t && file == FOREIGN && is_average(&p)) t = gen_safetensors_find(st, p.name + 4);
        if (!t)
            return gen_fail(err, GEN_BAD_FILE, "tensor %s is missing: the file is of another model or other options",
                            p.name + skipped);
        GEN_TRY(fill_param(run, i, t, err));
    }
    return GEN_OK;
}

static gen_status read_number(const gen_safetensors *st, const char *key, double *out, gen_error *err)
{
    const char *text = gen_safetensors_metadata(st, key);
    char *end;
    if (!text) return gen_fail(err, GEN_BAD_FILE, "the metadata has no %s", key);
    *out = strtod(text, &end);
    return *end || end == text
               ? gen_fail(err, GEN_BAD_FILE, "the metadata's %s is \"%.40s\", expected a number", key, text)
               : GEN_OK;
}

static gen_status read_progress(const gen_safetensors *st, gen_progress *p, gen_error *err)
{
    double step = 0, best_step = 0, best_loss = 0, bad_evals = 0, skipped = 0;
    GEN_TRY(read_number(st, "step", &step, err));
    GEN_TRY(read_number(st, "best_step", &best_step, err));
    GEN_TRY(read_number(st, "best_loss", &best_loss, err));
    GEN_TRY(read_number(st, "bad_evals", &bad_evals, err));
    GEN_TRY(read_number(st, "skipped", &skipped, err));
    if (!(step >= 0 && step < 9e15)) return gen_fail(err, GEN_BAD_FILE, "the metadata's step is %g", step);
    *p = (gen_progress){ .step = (int64_t)step,
                         .best_step = (int64_t)best_step,
                         .best_loss = best_loss,
                         .bad_evals = (int64_t)bad_evals,
                         .skipped = (int64_t)skipped };
    return GEN_OK;
}

/* progress, and unless only that is wanted the parameters, of one file */
static gen_status load_one(gen_run *run, const char *path, part file, bool fill, size_t skipped, gen_progress *progress,
                           gen_error *err)
{
    gen_bytes map = { 0 };
    gen_safetensors st;
    gen_arena *arena = gen_arena_new();
    gen_status status =
        arena ? gen_file_map(path, &map, err) : gen_fail(err, GEN_NO_MEMORY, "no memory to load %s", path);
    if (status == GEN_OK) {
        status = gen_safetensors_read(map.data, map.size, arena, &st, err);
        if (status == GEN_OK && progress) status = read_progress(&st, progress, err);
        if (status == GEN_OK && fill && file != STATE) status = check_vocabulary(run, &st, err);
        if (status == GEN_OK && fill) status = fill_params(run, &st, file, skipped, err);
        if (status != GEN_OK) gen_error_in_file(err, path, status);
        gen_file_unmap(&map);
    }
    gen_arena_free(arena);
    return status;
}

gen_status gen_checkpoint_load_file(gen_run *run, const char *path, gen_error *err)
{
    return load_one(run, path, FOREIGN, true, 0, NULL, err);
}

gen_status gen_checkpoint_load_part(gen_run *run, const char *path, const char *prefix, gen_error *err)
{
    return load_one(run, path, FOREIGN, true, strlen(prefix), NULL, err);
}

static gen_status take_params(gen_run *run, const gen_safetensors *st, gen_taken *taken, gen_error *err)
{
    *taken = (gen_taken){ 0 };
    for (int32_t i = 0; i < gen_params_count(run->params); i++) {
        gen_param_info p = gen_params_get(run->params, i);
        if (!belongs(&p, FOREIGN)) continue;
        const gen_tensor_entry *t = gen_safetensors_find(st, is_average(&p) ? p.name + 4 : p.name);
        if (t && fill_param(run, i, t, NULL) == GEN_OK) {
            taken->taken++;
        } else {
            taken->left++;
            if (!taken->first_left) taken->first_left = p.name;
        }
    }
    return taken->taken ? GEN_OK
                        : gen_fail(err, GEN_BAD_FILE, "no tensor has a name and shape of this model's weights");
}

gen_status gen_checkpoint_take(gen_run *run, const char *from, gen_taken *taken, gen_error *err)
{
    gen_bytes map = { 0 };
    gen_safetensors st;
    gen_run other = { .arena = run->arena, .folder = from };
    char *path = gen_arena_strdup(run->arena, from);
    if (!path) return gen_fail(err, GEN_NO_MEMORY, "no memory for a path");
    if (!gen_path_exists(from)) return gen_fail(err, GEN_NOT_FOUND, "--from %s: there is no such run or file", from);
    if (gen_path_is_folder(from)) GEN_TRY(gen_checkpoint_find(&other, "best-or-latest", &path, err));
    GEN_TRY(gen_file_map(path, &map, err));
    gen_arena *arena = gen_arena_new();
    gen_status status = arena ? gen_safetensors_read(map.data, map.size, arena, &st, err)
                              : gen_fail(err, GEN_NO_MEMORY, "no memory to load %s", path);
    if (status == GEN_OK) status = take_params(run, &st, taken, err);
    if (status != GEN_OK) gen_error_in_file(err, path, status);
    gen_arena_free(arena);
    gen_file_unmap(&map);
    return status;
}

bool gen_checkpoint_has_averages(const gen_run *run)
{
    for (int32_t i = 0; i < gen_params_count(run->params); i++) {
        gen_param_info p = gen_params_get(run->params, i);
        if (is_average(&p)) return true;
    }
    return false;
}

gen_status gen_checkpoint_load(gen_run *run, const char *which, gen_checkpoint_part which_part, gen_error *err)
{
    char *weights;
    GEN_TRY(gen_checkpoint_find(run, which, &weights, err));
    GEN_TRY(load_one(run, weights, WEIGHTS, true, 0, NULL, err));
    if (which_part == GEN_CHECKPOINT_ALL)
        return load_one(run, state_path(run, weights), STATE, true, 0, &run->progress, err);
    return gen_checkpoint_has_averages(run) ? load_one(run, state_path(run, weights), STATE, true, 0, NULL, err)
                                            : GEN_OK;
}

gen_status gen_checkpoint_resume(gen_run *run, gen_error *err)
{
    char *weights;
    if (gen_checkpoint_find(run, "latest", &weights, NULL) != GEN_OK)
        return GEN_OK; /* killed before the first one: from the start */
    GEN_TRY(load_one(run, state_path(run, weights), STATE, false, 0, &run->progress, err));
    return run->progress.best_step >= 0 ? gen_checkpoint_mark_best(run, err) : GEN_OK;
}
