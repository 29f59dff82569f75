/* The program itself: what it says, what it exits with, and what is left after Ctrl-C, kill -9, and folders that cannot be written. It is
 * $GEN_BINARY, else gen in the build folder; without it the tests are skipped. */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/image.h"
#include "io/json.h"
#include "models/model.h"
#include "tests/cli_run.h"

#define SMALL                                                                                                          \
    "--data bars.idx3-ubyte --net mlp --hidden 16 --latent 2 --batch 8 --validation 16 --sample-every 1000000 "        \
    "--quiet "

/* A run that all tests may read. */
static void need_run(void)
{
    need_binary();
    if (!exists("shared/config.json"))
        expect_code("train vae " SMALL "--steps 40 --checkpoint-every 10 --out shared", GOOD);
}

/* ---- usage -------------------------------------------------------------------------------------------------------------- */

TEST(cli_version_is_known_at_once)
{
    need_binary();
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        double begin = now_s();
        expect_code("--version", GOOD);
        double s = now_s() - begin;
        if (s < best) best = s;
    }
    assert_string_equal(last.out, "gen " GEN_VERSION "\n");
    printf("  gen --version: %.1f ms\n", 1e3 * best);
    assert_true(best < 1);
}

/* The preset's network, as its alias has it; what is there already takes no options. */
TEST(cli_info_describes_the_preset_that_is_asked_for)
{
    static char alias[TEXT_BYTES];
    need_run();
    expect_code("info gdl-vae-digits --json", GOOD);
    snprintf(alias, sizeof alias, "%s", last.out);
    expect_code("info vae --preset gdl-vae-digits --json", GOOD);
    assert_string_equal(last.out, alias);
    expect_code("info vae --json", GOOD);
    assert_string_not_equal(last.out, alias);
    expect_says("info vae --preset gdl-vae-digit", USAGE, "gdl-vae-digits");
    expect_says("info shared --preset gdl-vae-digits", USAGE, "shared is no model");
    expect_says("info bars.idx3-ubyte --latent 4", USAGE, "--latent is of a model's description");
}

TEST(cli_wrong_usage_exits_with_2_and_suggests)
{
    need_run();
    expect_says("trian vae", USAGE, "did you mean train?");
    expect_says("zzzzzz", USAGE, "no verb zzzzzz");
    expect_says("train vax", USAGE, "did you mean vae?");
    expect_says("train vae --latnet 3", USAGE, "did you mean --latent?");
    expect_says("train vae --preset gdl-vae-digit", USAGE, "gdl-vae-digits");
    expect_says("sample shared --gird 2x2", USAGE, "did you mean --grid?");
    expect_says("sample shared -x", USAGE, "-x");
    expect_says("sample", USAGE, "usage: gen sample RUN");
    expect_says("train vae --batch", USAGE, "--batch needs a value");
    expect_says("sample shared --grid 8y8", USAGE, "columns x rows");
    expect_says("train --resume shared --latent 3", USAGE, "--latent cannot change");
    expect_code("", USAGE);
}

TEST(cli_option_out_of_range_names_the_range)
{
    need_binary();
    expect_says("train vae --data bars.idx3-ubyte --batch 0", USAGE, "from 1 to 65536");
    expect_says("train vae --data bars.idx3-ubyte --latent 5000", USAGE, "from 1 to 4096");
    expect_says("train vae --data bars.idx3-ubyte --latent 3.5", USAGE, "whole number");
    expect_says("train vae --data bars.idx3-ubyte --lr fast", USAGE, "--lr");
    expect_says("train vae --data bars.idx3-ubyte --net conv2", USAGE, "mlp");
    expect_says("train vae --data bars.idx3-ubyte --net mlp --hidden 0 --out none", USAGE, "--hidden");
    assert_false(exists("none"));
}

TEST(cli_help_is_there_for_every_verb_and_model)
{
    need_binary();
    char verbs[TEXT_BYTES], command[200];
    const outcome *o = expect_code("help", GOOD);
    assert_true(strlen(o->out) > 200 && !*o->err);
    memcpy(verbs, o->out, sizeof verbs);
    int n = 0;
    for (char *at = verbs; (at = strstr(at, "\n  gen ")); at++) {
        char verb[40];
        if (sscanf(at, "\n  gen %39[a-z0-9]", verb) != 1) continue;
        snprintf(command, sizeof command, "help %s", verb);
        if (strlen(expect_code(command, GOOD)->out) < 20) fail_msg("gen %s says nothing", command);
        snprintf(command, sizeof command, "%s --help", verb);
        expect_code(command, GOOD);
        n++;
    }
    assert_true(n >= 15);
    for (int i = 0; gen_models[i]; i++) {
        snprintf(command, sizeof command, "help %s", gen_models[i]->name);
        o = expect_code(command, GOOD);
        for (const gen_option *row = gen_models[i]->options; row->name; row++)
            if (!strstr(o->out, row->name)) fail_msg("gen %s does not name --%s", command, row->name);
    }
    expect_says("help vax", USAGE, "did you mean vae?");
}

/* ---- failures -------------------------------------------------------------------------------------------------------------- */

TEST(cli_failed_work_exits_with_1_and_one_sentence)
{
    gen_error err = { 0 };
    need_run();
    gen_arena *arena = gen_arena_new();
    gen_bytes data;
    TEST_OK(gen_file_read(in_work("bars.idx3-ubyte"), GEN_FILE_ANY_SIZE, arena, &data, &err));
    TEST_OK(gen_file_write(in_work("cut.idx3-ubyte"), data.data, 3000, &err));
    TEST_OK(gen_file_write(in_work("cut3.idx3-ubyte"), data.data, 3, &err));
    gen_arena_free(arena);
    expect_says("train vae --data cut.idx3-ubyte --out none", FAILED,
                "cut.idx3-ubyte: IDX: the header promises 5120 bytes");
    expect_says("train vae --data cut3.idx3-ubyte --out none", FAILED, "cut3.idx3-ubyte");
    expect_says("train vae --data /nowhere/x --out none", FAILED, "/nowhere/x");
    expect_says("train vae --data mnits --out none --download 0", FAILED, "mnits");
    expect_says("sample .", FAILED, "not a run folder");
    expect_says("sample nowhere", FAILED, "nowhere: no such run folder");
    expect_says("plot bars.idx3-ubyte", FAILED, "bars.idx3-ubyte: a file, not a run folder");
    expect_says("train --resume nowhere", FAILED, "nowhere: no such run folder");
    expect_says("sample shared --checkpoint 7", FAILED, "no checkpoint 7");
    expect_says("eval shared --n 50", USAGE, "need --features");
    expect_says("eval shared --posterior-steps 9", USAGE, "say --is-samples");
    expect_says("eval shared --features nowhere", FAILED, "--features nowhere");
    expect_says("eval shared --features mnist", FAILED, "--features mnist is of pictures of 28x28x1");
    expect_says("eval shared bars.idx3-ubyte --features shared --n 1", FAILED, "at least 2 pictures");
    expect_says("train vae " SMALL "--out none1 --freeze enx", USAGE, "--freeze enx: no weight's name starts so");
    expect_says("train vae " SMALL "--out none2 --from nowhere", FAILED, "--from nowhere");
    expect_says("reconstruct shared --sampler gmm", USAGE, "--sampler gmm is of gen sample");
    expect_says("sample shared --label 1", USAGE, "train with --conditional");
    expect_says("train vae " SMALL "--conditional --out none", USAGE, "--conditional needs labels");
    expect_says("sample shared -o /nowhere/a.png", FAILED, "/nowhere/a.png");
    expect_says("sample shared -o samples.txt", USAGE, "as a grid (.png, .jpg, .ppm, .pgm), as an array (.npy)");
    expect_says("reconstruct shared -o .", USAGE, "folder whose name ends with /");
    expect_says("sample shared --weights bars.idx3-ubyte", FAILED, "bars.idx3-ubyte");
    expect_says("train vae " SMALL "--out shared", FAILED, "--resume shared");
    expect_says("train vae " SMALL "--out none --batch 1000", USAGE, "smaller --batch");
    assert_false(exists("none/checkpoints/latest"));
}

TEST(cli_samples_are_a_grid_an_array_or_a_folder_as_their_name_says)
{
    need_run();
    expect_code("sample shared --n 3 -o three.npy", GOOD);
    expect_code("sample shared --n 3 -o three/", GOOD);
    expect_code("sample shared --n 3 -o three.jpg", GOOD);
    assert_true(exists("three/00003.png") && !exists("three/00004.png") && exists("three.jpg"));
    expect_code("train vae --data three.npy --size 0 --batch 2 --validation 0 --steps 1 --out of-array", GOOD);
    expect_code("eval three/ three/ --json", GOOD);
}

/* A user who may not write: an error with the path, while reading goes on working. */
TEST(cli_read_only_folder_is_named)
{
    need_run();
    const uid_t nobody = geteuid() ? 0 : 65534;
    char parent[1100];
    snprintf(parent, sizeof parent, "%s", work);
    *strrchr(parent, '/') = 0;
    chmod(parent, 0711); /* mkdtemp's 0700 would hide the data too */
    chmod(work, 0555);
    struct {
        const char *command, *says;
        int code;
    } rows[] = {
        { "train vae " SMALL "--steps 5 --out shut", "shut", FAILED },
        { "train --resume shared --steps 50", "shared", FAILED },
        { "sample shared -o shut.png", "shut.png", FAILED },
        { "eval shared --json", "", GOOD },
    };
    if (nobody) chmod(in_work("shared"), 0755);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const outcome *o = wait_for(start(rows[i].command, nobody));
        if (nobody == 0 && i == 1) continue; /* the folder is ours */
        bool named = strstr(o->err, rows[i].says) != NULL;
        if (o->code != rows[i].code || !named) {
            chmod(work, 0755);
            fail_msg("gen %s: exit code %d, expected %d; it said: %s", rows[i].command, o->code, rows[i].code, o->err);
        }
    }
    chmod(work, 0755);
}

/* A file size limit is a full disk: an error with a sentence, no signal. */
TEST(cli_file_size_limit_is_an_error)
{
    need_run();
    char command[3000];
    snprintf(command, sizeof command,
             "cd '%s' && ulimit -f 2 && '%s' train vae " SMALL "--steps 40 --out limited > /dev/null 2> stderr", work,
             binary());
    int status = system(command);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), FAILED);
    read_text(in_work("stderr"), last.err);
    assert_non_null(strstr(last.err, "limited"));
}

/* ---- results ---------------------------------------------------------------------------------------------------------------- */

static gen_json *expect_json(const char *command)
{
    gen_error err = { 0 };
    gen_json *json = NULL;
    const outcome *o = expect_code(command, GOOD);
    size_t n = strlen(o->out);
    if (!n || o->out[n - 1] != '\n' || strchr(o->out, '\n') != o->out + n - 1)
        fail_msg("gen %s: standard output is not one line: %s", command, o->out);
    TEST_OK(gen_json_parse(o->out, n, &json, &err));
    assert_true(gen_json_is_object(json));
    return json;
}

TEST(cli_json_is_one_object_and_nothing_else)
{
    gen_error err = { 0 };
    need_run();
    gen_json *json =
        expect_json("train vae --data bars.idx3-ubyte --net mlp --hidden 16 --batch 8 --steps 20 --out json --json");
    int64_t steps;
    TEST_OK(gen_json_int(json, "steps", &steps, &err));
    assert_int_equal(steps, 20);
    gen_json_free(json);
    json = expect_json("eval shared --json");
    double loss, elbo;
    TEST_OK(gen_json_double(json, "loss", &loss, &err));
    TEST_OK(gen_json_double(json, "elbo", &elbo, &err));
    assert_true(loss > 0 && elbo < 0);
    gen_json_free(json);
    gen_json_free(expect_json("sample shared --grid 2x2 -o json.png --json"));
    gen_json_free(expect_json("reconstruct shared -o json.png --json"));
    gen_json_free(expect_json("interpolate shared -o json.png --json"));
    gen_json_free(expect_json("version --json"));
}

TEST(cli_verbs_write_what_they_are_asked_for)
{
    need_run();
    static const char *const commands[] = {
        "sample shared --grid 4x2 -o out1.png",
        "reconstruct shared -o out2.png",
        "interpolate shared --frames 5 -o out3.png",
        "encode shared -o out4.csv",
        "encode shared -o out5.npy",
        "interpolate shared --mode linear -o out7.png",
        "sample shared --n 3 --seed 5 -o out8.png",
        "sample shared --n 3 --sampler gmm --components 2 -o out9.png",
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct stat info;
        expect_code(commands[i], GOOD);
        const char *name = strstr(commands[i], "-o ") + 3;
        if (stat(in_work(name), &info) || info.st_size < 50) fail_msg("gen %s wrote nothing", commands[i]);
    }
    static const char *const words[] = { "plot shared --kind neighbours -o near.png",
                                         "info vae",
                                         "info shared",
                                         "info shared --explain-memory",
                                         "list",
                                         "data list",
                                         "devices",
                                         "completion",
                                         "eval shared" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(expect_code(words[i], GOOD)->out) < 20) fail_msg("gen %s says nothing", words[i]);
}

TEST(cli_plot_draws_or_names_the_library_that_is_missing)
{
    need_run();
    const outcome *o = gen("plot shared --kind scatter -o plot.svg");
    if (o->code != GOOD) assert_non_null(strstr(o->err, "libgen_plot.so"));
    assert_int_equal(exists("plot.svg"), o->code == GOOD);
}

/* A short training of a diffusion model, and an 8x8 picture and mask. */
static void need_diffusion(void)
{
    gen_error err = { 0 };
    char picture[75] = "P5 8 8 255\n";
    need_run();
    if (exists("noise/config.json")) return;
    for (int i = 0; i < SIDE * SIDE; i++) picture[11 + i] = (char)(i % SIDE < 4 ? 0 : 127);
    TEST_OK(gen_file_write(in_work("half.pgm"), picture, sizeof picture, &err));
    picture[5] = '4'; /* 8x4: as many bytes as it needs, and more */
    TEST_OK(gen_file_write(in_work("flat.pgm"), picture, sizeof picture, &err));
    expect_code(
        "train diffusion --data bars.idx3-ubyte --width 4 --mults 1,2 --groups 2 --attention 4 --steps 6 --batch 8 "
        "--validation 16 --warmup-steps 0 --sample-steps 3 --quiet --out noise",
        GOOD);
}

TEST(cli_diffusion_verbs_write_pictures)
{
    static const char *const commands[] = {
        "sample noise --n 4 --sampler heun --spacing karras --churn 2 -o noise1.png",
        "sample noise --grid 2x2 --frames 3 -o noise2.png",
        "inpaint noise half.pgm --mask half.pgm --n 2 --resample 2 -o noise3.png",
        "img2img noise half.pgm --strength 0.4 --n 2 -o noise4.png",
        "interpolate noise --n 2 --frames 3 -o noise5.png",
        "reconstruct noise --n 4 --sample-steps 5 -o noise6.png",
    };
    need_diffusion();
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        expect_code(commands[i], GOOD);
        if (!exists(strstr(commands[i], "-o ") + 3)) fail_msg("gen %s wrote nothing", commands[i]);
    }
    expect_code("sample noise --n 4 --sampler heun --spacing karras --churn 2 -o noise7.png --threads 1", GOOD);
    gen_json *json = expect_json("eval noise --bits 3 --json");
    double bits;
    gen_error err = { 0 };
    TEST_OK(gen_json_double(json, "bits_per_dim", &bits, &err));
    assert_true(bits > 0.1 && bits < 100);
    gen_json_free(json);
}

TEST(cli_diffusion_says_what_does_not_fit)
{
    need_diffusion();
    expect_says("sample noise --sample-steps 1001", USAGE, "only 1000 steps");
    expect_says("sample noise --sampler dmpp", USAGE, "dpmpp-2m");
    expect_says("sample noise --guidance x", USAGE, "--guidance");
    expect_says("sample noise --frames 1", USAGE, "--frames");
    expect_says("sample noise --label 3", USAGE, "--label");
    expect_says("sample shared --sampler ddim", USAGE, "vae makes pictures in one go");
    expect_says("img2img noise half.pgm --strength 1.5", USAGE, "above 0 and at most 1");
    expect_says("img2img noise half.pgm --label 2", USAGE, "--label 2");
    expect_says("img2img noise flat.pgm", FAILED, "has 8x4 pixels, the run makes pictures of 8x8");
    expect_says("inpaint noise half.pgm", USAGE, "--mask is missing");
    expect_says("inpaint noise half.pgm --mask flat.pgm", FAILED, "the mask flat.pgm has 8x4 pixels");
    expect_says("inpaint shared half.pgm --mask half.pgm", FAILED, "vae cannot make pictures from noise");
    expect_says("eval shared --bits 2", FAILED, "vae is no diffusion model");
    expect_says("plot shared --kind parts", FAILED, "no parts of the loss");
    expect_says(
        "train diffusion --data bars.idx3-ubyte --width 4 --mults 1,2 --groups 2 --steps 60 --batch 8 --validation 16 "
        "--warmup-steps 0 --schedule constant --optimiser sgd --lr 1000 --clip-norm 0 --quiet --out much",
        FAILED, "of layer ");
}

/* Sample i depends on the seed and i alone. */
TEST(cli_samples_are_the_same_again)
{
    gen_error err = { 0 };
    need_run();
    gen_arena *arena = gen_arena_new();
    gen_bytes a, b, c;
    expect_code("sample shared --grid 2x2 --threads 1 -o same1.png", GOOD);
    expect_code("sample shared --grid 2x2 --threads 3 -o same2.png", GOOD);
    expect_code("sample shared --grid 2x2 --seed 9 -o same3.png", GOOD);
    TEST_OK(gen_file_read(in_work("same1.png"), GEN_FILE_ANY_SIZE, arena, &a, &err));
    TEST_OK(gen_file_read(in_work("same2.png"), GEN_FILE_ANY_SIZE, arena, &b, &err));
    TEST_OK(gen_file_read(in_work("same3.png"), GEN_FILE_ANY_SIZE, arena, &c, &err));
    assert_true(a.size == b.size && !memcmp(a.data, b.data, a.size));
    assert_true(a.size != c.size || memcmp(a.data, c.data, a.size));
    gen_arena_free(arena);
}

/* ---- signals ------------------------------------------------------------------------------------------------------------------ */

static void check_stop(int number, const char *folder)
{
    char command[400], name[200];
    snprintf(command, sizeof command, "train vae " SMALL "--steps 100000000 --checkpoint-every 50 --out %s", folder);
    pid_t pid = start(command, 0);
    snprintf(name, sizeof name, "%s/checkpoints/latest", folder);
    wait_until_exists(name, 20);
    kill(pid, number);
    const outcome *o = wait_for(pid);
    assert_int_equal(o->code, FAILED);
    long long step = -1;
    const char *said = strstr(o->err, "stopped after step ");
    if (!said || sscanf(said, "stopped after step %lld of 100000000", &step) != 1) fail_msg("it said: %s", o->err);
    snprintf(command, sizeof command, "gen train --resume %s", folder);
    assert_non_null(strstr(o->err, command));
    snprintf(name, sizeof name, "%s/checkpoints/step-%08lld.safetensors", folder, step);
    assert_true(exists(name)); /* the very step that was reached */
    snprintf(command, sizeof command, "train --resume %s --steps %lld", folder, step + 3);
    expect_code(command, GOOD);
    snprintf(name, sizeof name, "%s/checkpoints/step-%08lld.safetensors", folder, step + 3);
    assert_true(exists(name));
}

TEST(cli_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on)
{
    need_binary();
    check_stop(SIGINT, "int");
    check_stop(SIGTERM, "term");
}

TEST(cli_second_training_in_a_run_is_refused)
{
    need_binary();
    pid_t pid = start("train vae " SMALL "--steps 100000000 --checkpoint-every 50 --out locked", 0);
    wait_until_exists("locked/checkpoints/latest", 20);
    const outcome *o = gen("train --resume locked");
    int code = o->code;
    bool named = strstr(o->err, "locked") != NULL;
    kill(pid, SIGKILL);
    assert_int_equal(wait_for(pid)->code, 128 + SIGKILL);
    assert_int_equal(code, FAILED);
    assert_true(named);
    expect_code("sample locked -o locked.png", GOOD);
}

#define LONG SMALL "--steps 4000 --checkpoint-every 97 --keep 2 --batch-norm 0 --ema 0.9 "

TEST(cli_kill_9_ten_times_ends_in_the_same_bytes)
{
    need_binary();
    check_kills("train vae " LONG, 10, 4000, "vae");
    expect_same_file("vae_whole/checkpoints/best", "vae_killed/checkpoints/best");
    expect_code("sample vae_killed -o killed.png", GOOD);
}

/* ---- translate ---------------------------------------------------------------------------------------------------------------- */

/* Two sets of six pictures, and a run that has seen them for two steps */
static void need_translator(void)
{
    need_binary();
    if (exists("cyc/config.json")) return;
    gen_error err = { 0 };
    TEST_OK(gen_folder_make(in_work("set_a"), &err));
    TEST_OK(gen_folder_make(in_work("set_b"), &err));
    for (int i = 0; i < 12; i++) {
        char name[32];
        snprintf(name, sizeof name, "set_%c/%d.png", i % 2 ? 'b' : 'a', i);
        write_png(name, 32, 32, 3, 8);
    }
    expect_code("train cyclegan --a set_a --b set_b --size 32 --ngf 2 --ndf 2 --blocks 1 --steps 2 --quiet --out cyc",
                GOOD);
}

static void expect_translated(const char *in, const char *out, int32_t channels, int32_t bits)
{
    char command[200];
    gen_arena *arena = gen_arena_new();
    snprintf(command, sizeof command, "translate cyc %s -o %s --to a", in, out);
    expect_code(command, GOOD);
    gen_image from = read_back(in, arena), to = read_back(out, arena);
    assert_int_equal(to.width_px, from.width_px);
    assert_int_equal(to.height_px, from.height_px);
    assert_int_equal(to.channels, channels);
    assert_true((to.px16 != NULL) == (bits == 16));
    bool alpha = channels == 4; /* is as it was */
    for (int32_t i = 0; alpha && i < to.width_px * to.height_px; i++) {
        int32_t a = 4 * i + 3, b = from.channels * (i + 1) - 1;
        assert_int_equal(to.px16 ? to.px16[a] : to.px8[a], from.px16 ? from.px16[b] : from.px8[b]);
    }
    gen_arena_free(arena);
}

TEST(cli_translates_pictures_of_any_shape_and_kind)
{
    need_translator();
    write_png("rgb.png", 37, 3, 3, 8);
    write_png("grey.png", 1, 1, 1, 8);
    write_png("grey_alpha.png", 9, 50, 2, 8);
    write_png("deep.png", 20, 21, 4, 16);
    expect_translated("rgb.png", "t_rgb.png", 3, 8);
    expect_translated("rgb.png", "t_rgb.ppm", 3, 8);
    expect_translated("rgb.png", "t_rgb.jpg", 3, 8);
    expect_translated("t_rgb.jpg", "t_again.png", 3, 8);
    expect_translated("grey.png", "t_grey.png", 3, 8);
    expect_translated("grey_alpha.png", "t_grey_alpha.png", 4, 8);
    expect_translated("deep.png", "t_deep.png", 4, 16);
    expect_code("translate cyc rgb.png set_a -o both/ --json", GOOD);
    assert_true(exists("both/rgb.png") && exists("both/0.png") && exists("both/10.png"));
    expect_code("translate cyc/checkpoints/latest set_b --to a -o from_file", GOOD); /* the weights alone */
    assert_true(exists("from_file/11.png"));
}

TEST(cli_translate_says_what_is_wrong_and_loses_nothing)
{
    need_translator();
    need_run();
    gen_error err = { 0 };
    write_png("rgb.png", 37, 3, 3, 8);
    expect_says("translate cyc rgb.png --to c", USAGE, "expected a or b");
    expect_says("translate cyc rgb.png -o out.gif", USAGE, ".png");
    expect_says("translate cyc none.png", FAILED, "none.png");
    expect_says("translate cyc set_a -o set_a", USAGE, "would be replaced");
    expect_says("translate cyc set_a/0.png set_a -o twice", USAGE, "would both become");
    expect_says("translate cyc set_a -o rgb.png", USAGE, "need a folder");
    expect_says("translate shared rgb.png", FAILED, "cannot make pictures of pictures");
    expect_says("translate rgb.png rgb.png", FAILED, "rgb.png");
    expect_says("translate cyc rgb.png --memory 2X", USAGE, "such as 500M");
    expect_says("translate cyc rgb.png --memory 10K", FAILED, "scale the picture down, or allow more");
    TEST_OK(gen_folder_make(in_work("mixed"), &err));
    write_png("mixed/good.png", 8, 8, 3, 8);
    TEST_OK(gen_file_write(in_work("mixed/bad.png"), "no picture", 10, &err));
    const outcome *o = expect_code("translate cyc mixed -o mixed_out", FAILED);
    assert_non_null(strstr(o->err, "mixed/bad.png"));
    assert_non_null(strstr(o->err, "1 of 2"));
    assert_true(exists("mixed_out/good.png") && !exists("mixed_out/bad.png"));
}

TEST(cli_eval_of_a_translator_says_what_is_lost_on_the_way_and_back)
{
    need_translator();
    const outcome *o = expect_code("eval cyc --json", GOOD);
    static const char *const keys[] = { "pictures_a", "cycle_a", "identity_a", "pictures_b", "cycle_b", "identity_b" };
    gen_json *json;
    gen_error err = { 0 };
    TEST_OK(gen_json_parse(o->out, strlen(o->out), &json, &err));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        double value;
        TEST_OK(gen_json_double(json, keys[i], &value, &err));
        assert_true(value > 0 &&
                    value <= (i % 3 ? 2 : 6)); /* mean |difference| of the range [-1,1]; six pictures a set */
    }
    gen_json_free(json);
    expect_says("eval cyc --features none.safetensors", FAILED, "none.safetensors");
}

TEST(cli_eval_of_all_checkpoints_has_a_line_for_each_and_draws_them)
{
    need_run();
    gen_json *json;
    gen_error err = { 0 };
    int64_t before = -1, step, n = 0;
    const outcome *o = expect_code("eval shared --checkpoint all --json", GOOD);
    TEST_OK(gen_json_parse(o->out, strlen(o->out), &json, &err));
    for (const gen_json *at = gen_json_first(json); at; at = gen_json_next(at), before = step, n++) {
        double loss;
        TEST_OK(gen_json_int(at, "step", &step, &err));
        TEST_OK(gen_json_double(at, "loss", &loss, &err));
        assert_true(step > before && loss > 0);
    }
    assert_true(n >= 3 && step == 40);
    gen_json_free(json);
    o = gen("eval shared --checkpoint all -o steps.svg");
    if (o->code != GOOD) assert_non_null(strstr(o->err, "libgen_plot.so"));
    assert_int_equal(exists("steps.svg"), o->code == GOOD);
    assert_non_null(strstr(o->out, "step"));
    expect_says("eval shared -o steps.svg", USAGE, "--checkpoint all");
    o = gen("eval shared shared -o runs.svg");
    if (o->code != GOOD) assert_non_null(strstr(o->err, "libgen_plot.so"));
    assert_int_equal(exists("runs.svg"), o->code == GOOD);
    expect_says("eval shared shared --checkpoint all", USAGE, "one run");
}

TEST(cli_denoising_runs_of_one_size_stand_side_by_side)
{
    need_run();
    static const char train[] = "train denoise --data bars.idx3-ubyte --net dense --hidden 9 --batch 8 --steps 3 "
                                "--validation 16 --quiet --noise-level ";
    static const double levels[] = { 0.25, 0.5 };
    char command[400];
    for (int i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "%s%g --out noise%d", train, levels[i], i);
        if (!exists(i ? "noise1/config.json" : "noise0/config.json")) expect_code(command, GOOD);
    }
    gen_json *json = expect_json("denoise noise0 noise1 --n 4 -o both.png --json");
    const gen_json *at = gen_json_first(gen_json_get(json, "runs"));
    gen_error err = { 0 };
    double before = INFINITY;
    for (int i = 0; i < 2; i++, at = gen_json_next(at)) {
        double level, psnr;
        TEST_OK(gen_json_double(at, "level", &level, &err));
        TEST_OK(gen_json_double(at, "noisy_psnr", &psnr, &err));
        assert_true(level == levels[i] && psnr < before);
        before = psnr;
    }
    gen_json_free(json);
    gen_bytes file;
    gen_image image;
    gen_arena *arena = gen_arena_new();
    TEST_OK(gen_file_read(in_work("both.png"), GEN_FILE_ANY_SIZE, arena, &file, &err));
    TEST_OK(gen_png_read(file.data, file.size, arena, &image, &err));
    assert_true(image.width_px > 4 * 5 && image.height_px > 2 * image.width_px); /* ten rows of four */
    gen_arena_free(arena);
    expect_says("denoise noise0 shared", USAGE, "model vae");
}
