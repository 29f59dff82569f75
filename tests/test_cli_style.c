/* The program with pictures of other looks: gen style and what users get wrong; trainings of GAN and CycleGAN that are killed. */
#define _XOPEN_SOURCE 700
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/cli_run.h"

#define QUICK                                                                                                          \
    " --features random:vgg-small --style-layers relu1_1 --content-layers relu1_2 --size 48 --scales one "             \
    "--iterations 2 --quiet "

static void need_pictures(void)
{
    need_binary();
    if (exists("photo.png")) return;
    write_png("photo.png", 60, 40, 3, 8);
    write_png("grey.png", 30, 50, 1, 8);
    write_png("rgba.png", 33, 31, 4, 8);
    write_png("deep.png", 41, 40, 4, 16);
    write_png("one.png", 1, 1, 3, 8);
    write_png("line.png", 80, 1, 3, 8);
}

TEST(cli_style_takes_pictures_of_all_kinds_and_sizes)
{
    need_pictures();
    gen_arena *arena = gen_arena_new();
    static const char *const pairs[] = { "photo.png grey.png", "grey.png rgba.png", "rgba.png deep.png photo.png",
                                         "deep.png photo.png", "one.png photo.png" };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char command[400];
        snprintf(command, sizeof command, "style %s -o styled.png" QUICK, pairs[i]);
        expect_code(command, GOOD);
        gen_image image = read_back("styled.png", arena);
        assert_int_equal(image.width_px > image.height_px ? image.width_px : image.height_px, 48);
        assert_int_equal(image.channels,
                         strstr(pairs[i], "rgba") == pairs[i] || strstr(pairs[i], "deep") == pairs[i] ? 4 : 3);
    }
    gen_arena_free(arena);
}

TEST(cli_style_in_tiles_makes_the_same_picture)
{
    need_pictures();
    gen_arena *arena = gen_arena_new();
    expect_code("style photo.png grey.png -o whole.png" QUICK, GOOD);
    expect_code("style photo.png grey.png -o tiled.png --tile 24" QUICK, GOOD);
    gen_image a = read_back("whole.png", arena), b = read_back("tiled.png", arena);
    for (int32_t i = 0; i < a.width_px * a.height_px * 3; i++) assert_true(abs(a.px8[i] - b.px8[i]) <= 1);
    gen_arena_free(arena);
}

TEST(cli_style_says_what_is_wrong)
{
    need_pictures();
    gen_error err = { 0 };
    TEST_OK(gen_file_write(in_work("no.png"), "no picture", 10, &err));
    /* 2,000,000,000 pixels a side */
    static const unsigned char huge[] = { 137, 'P', 'N', 'G', 13, 10,  26, 10, 0, 0, 0, 13, 'I', 'H', 'D', 'R', 119,
                                          53,  148, 0,   119, 53, 148, 0,  8,  2, 0, 0, 0,  1,   2,   3,   4 };
    TEST_OK(gen_file_write(in_work("huge.png"), huge, sizeof huge, &err));
    expect_says("style no.png grey.png" QUICK, FAILED, "no.png: a picture was expected");
    expect_says("style photo.png no.png" QUICK, FAILED, "no.png: a picture was expected");
    expect_says("style huge.png grey.png" QUICK, FAILED, "huge.png");
    expect_says("style none.png grey.png" QUICK, FAILED, "none.png");
    expect_says("style photo.png one.png --features random:squeezenet --size 48 --iterations 1 --quiet", FAILED,
                "style 1: a picture of 1x1 pixels is too small");
    expect_says("style line.png grey.png --features random:squeezenet --size 48 --iterations 1 --quiet", FAILED,
                "48x1 pixels is too small");
    expect_says("style photo.png grey.png --features none.pth", FAILED, "there is no file none.pth");
    expect_says("style photo.png grey.png --features random:vgg11", USAGE, "vgg19, vgg16");
    expect_says("style photo.png grey.png --features photo.png", FAILED, "photo.png");
    expect_says("style photo.png grey.png --memory 1M" QUICK, FAILED, "--memory allows 1");
    expect_says("style photo.png grey.png --memory much" QUICK, USAGE, "such as 500M");
    expect_says("style photo.png grey.png -o out.gif" QUICK, USAGE, ".png or .jpg");
    expect_says("style photo.png", USAGE, "usage: gen style");
}

/* Weights of another network, and Caffe's where torchvision's were said. */
TEST(cli_style_knows_whose_weights_it_gets)
{
    need_pictures();
    char command[3000];
    const char *caffe = test_shared("data/weights/squeezenet1_1_caffe.safetensors");
    if (!caffe) TEST_SKIP("no weights in ../shared/data");
    snprintf(command, sizeof command, "style photo.png grey.png --size 48 --features %s --vgg-kind torchvision", caffe);
    expect_says(command, USAGE, "take --vgg-kind auto");
}

/* A run of the preset, one step long, becomes the built-in network of a data folder; without any, the sentence says just that. */
TEST(cli_style_finds_the_built_in_network_or_says_how_it_is_made)
{
    need_pictures();
    gen_error err = { 0 };
    static const char *const folders[] = { "classes", "classes/a", "classes/b", "weights", "data" };
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) TEST_OK(gen_folder_make(in_work(folders[i]), &err));
    for (int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof name, "classes/%c/%d.png", i % 2 ? 'b' : 'a', i);
        write_png(name, 32, 32, 3, 8);
    }
    setenv("GEN_DATA", in_work("data"), 1);
    if (gen("style photo.png grey.png --size 48 --iterations 1 --quiet")->code == FAILED) { /* it may be installed */
        assert_non_null(strstr(last.err, "gen train vgg-small"));
        assert_non_null(strstr(last.err, "gen convert RUN"));
    }
    expect_code("train vgg-small --data classes --batch 4 --steps 1 --validation 2 --quiet --out small", GOOD);
    expect_code("convert small weights/style.safetensors", GOOD);
    expect_code("convert small/checkpoints/latest again.safetensors", USAGE); /* a name without a kind */
    expect_code("style photo.png grey.png --size 48 --iterations 1 --quiet", GOOD);
    expect_says("convert weights/style.safetensors twice.safetensors", FAILED, "conv1_norm.weight");
    unsetenv("GEN_DATA");
}

/* ---- kill -9 --------------------------------------------------------------------------------------------------------------------- */

TEST(cli_gan_killed_ends_in_the_same_bytes)
{
    need_binary();
    check_kills("train gan --data bars.idx3-ubyte --width 2 --latent 3 --batch 8 --ema 0.9 --steps 600 "
                "--checkpoint-every 37 --keep 2 "
                "--sample-every 1000000 --quiet",
                4, 600, "gan");
}

/* Both optimisers, and the pictures that the pools keep. */
TEST(cli_cyclegan_killed_ends_in_the_same_bytes)
{
    need_binary();
    gen_error err = { 0 };
    TEST_OK(gen_folder_make(in_work("kill_a"), &err));
    TEST_OK(gen_folder_make(in_work("kill_b"), &err));
    for (int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof name, "kill_%c/%d.png", i % 2 ? 'b' : 'a', i);
        write_png(name, 32, 32, 3, 8);
    }
    check_kills("train cyclegan --a kill_a --b kill_b --size 32 --ngf 2 --ndf 2 --blocks 1 --pool 3 --ema 0.9 --steps "
                "60 --checkpoint-every 5 "
                "--keep 2 --sample-every 1000000 --quiet",
                4, 60, "cyc");
}
