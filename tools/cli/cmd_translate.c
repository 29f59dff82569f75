/* translate: pictures of any size to the other set of a CycleGAN, or through any model that maps pictures to pictures. The network is a run, or a file of
 * a generator's weights alone. Pictures are files or folders of them; one that cannot be read does not keep the rest from being made. */
#define _XOPEN_SOURCE 700 /* realpath */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "kernels/devices.h"
#include "models/generator_file.h"
#include "tools/cli/cli.h"
#include "tools/cli/picture_file.h"

typedef struct job {
    const char *from, *to;
} job;

typedef struct translation {
    cli_args *a;
    gen_device *device;
    gen_run *run;
    bool from_file, alone; /* the network: of a file, and there the only one */
    job *jobs;
    int64_t n_jobs, room, n_failed;
    gen_json_out json;
} translation;

/* ---- what is to be done -------------------------------------------------------------------------------------------------------- */

static gen_status add_job(translation *t, const char *from, const char *to, gen_error *err)
{
    if (t->n_jobs == t->room) {
        int64_t room = t->room ? 2 * t->room : 64;
        job *grown = gen_arena_alloc(t->a->arena, (size_t)room * sizeof *grown);
        if (!grown) return gen_fail(err, GEN_NO_MEMORY, "no memory for a list of pictures");
        if (t->n_jobs) memcpy(grown, t->jobs, (size_t)t->n_jobs * sizeof *grown);
        t->jobs = grown;
        t->room = room;
    }
    if (!from || !to) return gen_fail(err, GEN_NO_MEMORY, "no memory for a path");
    t->jobs[t->n_jobs++] = (job){ from, to };
    return GEN_OK;
}

/* Pictures of a folder keep their names; other files of it are none of ours. */
static gen_status add_folder(translation *t, const char *folder, const char *out, gen_error *err)
{
    gen_path_list list;
    int64_t before = t->n_jobs;
    gen_arena *arena = t->a->arena;
    GEN_TRY(gen_folder_list(folder, 0, arena, &list, err));
    for (size_t i = 0; i < list.n; i++)
        if (cli_is_picture_name(list.path[i]))
            GEN_TRY(
                add_job(t, gen_path_join(arena, folder, list.path[i]), gen_path_join(arena, out, list.path[i]), err));
    return t->n_jobs > before ? GEN_OK
                              : gen_fail(err, GEN_NOT_FOUND, "%s has no pictures (.png, .jpg, .ppm, .pgm)", folder);
}

static bool same_file(const char *a, const char *b)
{
    char *one = realpath(a, NULL), *two = realpath(b, NULL);
    bool same = one && two && !strcmp(one, two);
    free(one);
    free(two);
    return same;
}

static int by_target(const void *a, const void *b)
{
    return strcmp(((const job *)a)->to, ((const job *)b)->to);
}

/* In a folder no result may take the place of a picture that was given, nor of another result. */
static gen_status check_folder(const translation *t, gen_error *err)
{
    job *sorted = gen_arena_alloc(t->a->arena, (size_t)t->n_jobs * sizeof *sorted);
    if (!sorted) return gen_fail(err, GEN_NO_MEMORY, "no memory for a list of pictures");
    memcpy(sorted, t->jobs, (size_t)t->n_jobs * sizeof *sorted);
    qsort(sorted, (size_t)t->n_jobs, sizeof *sorted, by_target);
    for (int64_t i = 0; i < t->n_jobs; i++) {
        if (same_file(sorted[i].from, sorted[i].to))
            return gen_fail(err, GEN_BAD_OPTION, "%s would be replaced by its translation: give another folder with -o",
                            sorted[i].from);
        if (i && !strcmp(sorted[i].to, sorted[i - 1].to))
            return gen_fail(err, GEN_BAD_OPTION,
                            "%s and %s would both become %s: translate them one by one, or into two folders",
                            sorted[i - 1].from, sorted[i].from, sorted[i].to);
    }
    return GEN_OK;
}

/* One picture becomes the file that -o names; several, or those of a folder, become files of the folder that it names. */
static gen_status list_jobs(translation *t, gen_error *err)
{
    const cli_args *a = t->a;
    const char *out = a->o.output, *first = a->word[1];
    size_t length = strlen(out);
    bool into =
        a->n_words > 2 || gen_path_is_folder(first) || gen_path_is_folder(out) || (length && out[length - 1] == '/');
    if (!into && *out && !cli_is_picture_name(out))
        return gen_fail(err, GEN_BAD_OPTION,
                        "-o %s: expected a name that ends in .png, .jpg, .ppm or .pgm, or a folder/", out);
    if (!into) return add_job(t, first, *out ? out : "translated.png", err);
    if (!*out) out = "translated";
    if (gen_path_exists(out) && !gen_path_is_folder(out))
        return gen_fail(err, GEN_BAD_OPTION, "-o %s is a file; several pictures need a folder", out);
    for (int i = 1; i < a->n_words; i++) {
        const char *word = a->word[i], *base = gen_path_base(word);
        if (gen_path_is_folder(word)) {
            GEN_TRY(add_folder(t, word, out, err));
            continue;
        }
        char *name =
            cli_is_picture_name(base) ? gen_arena_strdup(a->arena, base) : gen_arena_printf(a->arena, "%s.png", base);
        GEN_TRY(add_job(t, word, name ? gen_path_join(a->arena, out, name) : NULL, err));
    }
    GEN_TRY(check_folder(t, err));
    return gen_folder_make(out, err);
}

/* ---- one picture --------------------------------------------------------------------------------------------------------------------- */

/* A grey picture that a net of colours has seen has colours. */
static gen_status give_colours(gen_image *image, gen_arena *arena, gen_error *err)
{
    gen_image wide;
    int32_t c = image->channels;
    if (c >= 3) return GEN_OK;
    GEN_TRY(gen_image_new(image->width_px, image->height_px, c + 2, image->px16 ? 16 : 8, arena, &wide, err));
    size_t n = (size_t)image->width_px * (size_t)image->height_px;
    for (size_t i = 0; c == 2 && i < n; i++) {
        if (image->px16) wide.px16[4 * i + 3] = image->px16[2 * i + 1];
        else wide.px8[4 * i + 3] = image->px8[2 * i + 1];
    }
    wide.texts = image->texts;
    wide.n_texts = image->n_texts;
    *image = wide;
    return GEN_OK;
}

/* As the memory allows; better a sentence than a machine without memory. */
static gen_status plan_picture(const translation *t, const job *j, const gen_image *image, gen_translate_plan *plan,
                               gen_error *err)
{
    size_t limit;
    GEN_TRY(cli_memory_limit(t->a->o.memory, &limit, err));
    gen_status status =
        gen_translate_plan_make(t->run, image->height_px, image->width_px, limit, cli_used_bytes(), plan, err);
    if (status != GEN_OK) return gen_error_in_file(err, j->from, status);
    if (t->a->o.quiet || plan->way < GEN_TRANSLATE_BANDS) return GEN_OK;
    fprintf(stderr, "%s: %.0f MB, in %s of %d pixels", j->from, plan->bytes / (1 << 20),
            plan->way == GEN_TRANSLATE_BANDS ? "bands" : "tiles", plan->side_px);
    if (plan->way == GEN_TRANSLATE_REDUCED)
        fprintf(stderr,
                "; the norms take the statistics of a copy of %" PRId64 "x%" PRId64
                " pixels: the result is near that of the whole picture, not equal to it; more --memory makes it so",
                plan->reduced_w, plan->reduced_h);
    fputc('\n', stderr);
    return GEN_OK;
}

static gen_status translate_picture(translation *t, const job *j, gen_arena *arena, gen_image *image, gen_error *err)
{
    float *rgba;
    gen_translate_plan plan;
    GEN_TRY(cli_read_picture(j->from, 4, arena, image, &rgba, err));
    GEN_TRY(plan_picture(t, j, image, &plan, err));
    bool grey = image->channels < 3;
    GEN_TRY(cli_translate_colours(t->run, &plan, rgba, grey, arena, err));
    if (t->run->channels == 3) GEN_TRY(give_colours(image, arena, err));
    cli_put_colours(rgba, image);
    return cli_write_picture(image, j->to, t->a->o.quality, arena, err);
}

static void say_done(translation *t, const job *j, const gen_image *image)
{
    if (!t->a->o.json) {
        printf("%s: %dx%d pixels\n", j->to, image->width_px, image->height_px);
        return;
    }
    gen_json_open(&t->json, NULL, '{');
    gen_json_put_string(&t->json, "picture", j->from);
    gen_json_put_string(&t->json, "file", j->to);
    gen_json_put_int(&t->json, "width", image->width_px);
    gen_json_put_int(&t->json, "height", image->height_px);
    gen_json_close(&t->json, '}');
}

static gen_status translate_job(translation *t, const job *j, gen_error *err)
{
    gen_image image = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_status status =
        arena ? translate_picture(t, j, arena, &image, err) : gen_fail(err, GEN_NO_MEMORY, "no memory for a picture");
    if (status == GEN_OK) say_done(t, j, &image);
    gen_arena_free(arena);
    return status;
}

/* Of several, one that fails is told of and the rest are made. */
static gen_status translate_all(translation *t, gen_error *err)
{
    if (t->n_jobs == 1) return translate_job(t, &t->jobs[0], err);
    for (int64_t i = 0; i < t->n_jobs; i++) {
        gen_error one = { 0 };
        if (translate_job(t, &t->jobs[i], &one) == GEN_OK) continue;
        fprintf(stderr, "gen translate: %s\n", one.text);
        t->n_failed++;
    }
    return GEN_OK;
}

/* ---- the network ------------------------------------------------------------------------------------------------------------------------ */

static gen_status open_network(translation *t, gen_error *err)
{
    cli_args *a = t->a;
    const char *name = a->word[0];
    t->from_file = gen_path_exists(name) && !gen_path_is_folder(name);
    if (!t->from_file) return cli_open_run(a, name, &t->device, &t->run, err);
    GEN_TRY(cli_open_device(a, &t->device, err));
    gen_status status = gen_generator_file_open(name, t->device, &t->run, &t->alone, err);
    if (status != GEN_OK) t->device->ops->close(t->device);
    return status;
}

static gen_status set_direction(translation *t, gen_error *err)
{
    const char *to = t->a->o.to, *model = t->run->settings.model->name;
    if (*to && strcmp(to, "a") && strcmp(to, "b"))
        return gen_fail(err, GEN_BAD_OPTION, "--to %s: expected a or b, the set that the pictures are to look like",
                        to);
    if (*to && !t->run->settings.model->paired)
        return gen_fail(err, GEN_BAD_OPTION, "--to %s: %s goes one way only; leave --to out", to, model);
    if (*to && t->alone)
        return gen_fail(err, GEN_BAD_OPTION, "--to %s: %s holds one generator, which goes one way; leave --to out", to,
                        t->a->word[0]);
    t->run->direction = !strcmp(to, "a");
    return GEN_OK;
}

static gen_status load_network(translation *t, gen_error *err)
{
    gen_program *program = NULL;
    gen_run *run = t->run;
    int64_t height = run->height, width = run->width;
    if (t->from_file) run->height = run->width = 32; /* any size makes the parameters known */
    gen_status status =
        gen_run_program(run, run->settings.model->translate, "make pictures of pictures", 1, &program, err);
    gen_program_free(program);
    run->height = height;
    run->width = width;
    if (status != GEN_OK) return status;
    return t->from_file ? gen_generator_file_load(run, t->a->word[0], t->alone, err) : cli_load_weights(t->a, run, err);
}

/* ---- the verb --------------------------------------------------------------------------------------------------------------------------- */

static gen_status work(translation *t, gen_error *err)
{
    GEN_TRY(set_direction(t, err));
    GEN_TRY(list_jobs(t, err));
    GEN_TRY(load_network(t, err));
    t->json = (gen_json_out){ .arena = t->a->arena };
    gen_json_open(&t->json, NULL, '{');
    gen_json_open(&t->json, "pictures", '[');
    GEN_TRY(translate_all(t, err));
    gen_json_close(&t->json, ']');
    gen_json_put_int(&t->json, "failed", t->n_failed);
    gen_json_close(&t->json, '}');
    if (t->a->o.json) GEN_TRY(cli_print_json(&t->json, err));
    if (!t->n_failed) return GEN_OK;
    return gen_fail(err, GEN_BAD_FILE, "%" PRId64 " of %" PRId64 " pictures could not be translated", t->n_failed,
                    t->n_jobs);
}

static int run(cli_args *a, gen_error *err)
{
    translation t = { .a = a };
    if (cli_need_words(&cli_translate, a, 2, CLI_MAX_WORDS, err) != GEN_OK) return CLI_USAGE;
    if (open_network(&t, err) != GEN_OK) return CLI_FAILED;
    gen_status status = work(&t, err);
    cli_close_run(t.run, t.device);
    return status == GEN_OK ? CLI_GOOD : CLI_FAILED;
}

static const char *const takes[] = { "output",  "to",     "quality",   "memory", "checkpoint", "weights",
                                     "threads", "device", "precision", "json",   "quiet",      NULL };
const cli_verb cli_translate = { "translate",
                                 "RUN|FILE PICTURE …",
                                 "pictures of any size to the look of the other set; files or whole folders",
                                 takes,
                                 0,
                                 run };
