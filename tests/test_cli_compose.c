/* The program with models of tokens: a short training, gen compose, gen sample of text, gen eval. It is $GEN_BINARY, else gen in the build folder. */
#define _XOPEN_SOURCE 700
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/midi.h"
#include "tests/cli_shell.h"
#include "tests/test.h"
#include "tests/tunes.h"

static void write_tune(const char *folder, int number)
{
    enum { N = 60 };
    gen_midi_note notes[N];
    char path[1200];
    for (int i = 0; i < N; i++)
        notes[i] = (gen_midi_note){ .start_ticks = 240 * i,
                                    .duration_ticks = i % 3 ? 240 : 120,
                                    .pitch = (uint8_t)(60 + (i * (number + 2)) % 12),
                                    .velocity = 80 };
    snprintf(path, sizeof path, "%s/tune%02d.mid", folder, number);
    test_write_tune(path, notes, N, &(gen_midi_plan){ .beats = 4, .of = 4 });
}

/* A folder with ten tunes and a text. */
static const char *prepare(void)
{
    static char folder[1024];
    char tunes[1100], text[20000] = "";
    gen_error err = { 0 };
    shell_need_binary();
    snprintf(folder, sizeof folder, "%s", test_folder());
    snprintf(tunes, sizeof tunes, "%s/tunes", folder);
    TEST_OK(gen_folder_make(tunes, &err));
    for (int i = 0; i < 10; i++) write_tune(tunes, i);
    for (int i = 0; i < 200; i++)
        strncat(text, "The cat sat on the mat, and the dog ran.\n", sizeof text - strlen(text) - 1);
    snprintf(tunes, sizeof tunes, "%s/cats.txt", folder);
    TEST_OK(gen_file_write(tunes, text, strlen(text), &err));
    for (char *c = text; *c; c++) *c = (char)(*c == 'c' ? 'C' : *c); /* as many letters, but others */
    snprintf(tunes, sizeof tunes, "%s/dogs.txt", folder);
    TEST_OK(gen_file_write(tunes, text, strlen(text), &err));
    return folder;
}

static void same_files(const char *folder, const char *a, const char *b)
{
    gen_error err = { 0 };
    gen_arena *arena = gen_arena_new();
    gen_bytes one, two;
    TEST_OK(gen_file_read(gen_path_join(arena, folder, a), GEN_FILE_ANY_SIZE, arena, &one, &err));
    TEST_OK(gen_file_read(gen_path_join(arena, folder, b), GEN_FILE_ANY_SIZE, arena, &two, &err));
    assert_int_equal(one.size, two.size);
    assert_memory_equal(one.data, two.data, one.size);
    gen_arena_free(arena);
}

#define TINY " --layers 1 --hidden 16 --embed 8 --window 16 --batch 4 --steps 8 --quiet"

TEST(cli_composes_the_same_for_any_threads)
{
    const char *folder = prepare();
    if (shell_gen(folder, "train music --data tunes --tokens pairs --attention 1 --out r" TINY))
        fail_msg("%s", shell_out);
    shell_need("test tokens:  loss");
    shell_expect(folder, "compose r -o a.mid --seed 5 --bars 4 --threads 1", 0, "4 bars");
    shell_expect(folder, "compose r -o b.mid --seed 5 --bars 4 --threads 2 --json", 0, "\"bars\":4");
    same_files(folder, "a.mid", "b.mid");
    if (shell_gen(
            folder,
            "compose r -o c.mid --prime tunes/tune03.mid --bars 10 --key 'D minor' --instrument cello --tempo 90"))
        fail_msg("%s", shell_out);
    int minor = strstr(shell_out, "minor,") != NULL; /* what it sounds like, which is D minor or has its notes */
    shell_need(minor ? "bars, D minor, seed" : "bars, F major (the notes of D minor), seed");
    shell_expect(folder, "info c.mid", 0, "Cello");
    shell_need("tempo 90");
    if (shell_gen(folder, "eval r --pieces 3 --bars 2 --baseline kneser-ney --json")) fail_msg("%s", shell_out);
    shell_need("\"perplexity\"");
    shell_need("\"kneser_ney\"");
    shell_need("\"in_key\"");
}

/* Published for the vocabulary of 387 chords and 18 durations: Keras counts one bias for each LSTM. */
TEST(cli_counts_the_cello_models_parameters_both_ways)
{
    const char *folder = prepare();
    shell_expect(folder, "info gdl-cello", 0, "trainable parameters 1140170");
    shell_need("as Keras counts: 1138122");
}

TEST(cli_says_why_it_cannot_compose)
{
    const char *folder = prepare();
    if (shell_gen(folder, "train music --data tunes --tokens melody --out r" TINY)) fail_msg("%s", shell_out);
    shell_expect(folder, "compose r -o x.png", 2, ".mid");
    shell_expect(folder, "compose r -o x.mid --key H", 2, "D minor");
    shell_expect(folder, "compose r -o x.mid --instrument kazoo", 2, "General MIDI");
    shell_expect(folder, "compose r -o x.mid --prime tunes/tune03.mid --bars 2", 2, "has 7.5 bars already");
    shell_expect(folder, "compose r -o x.mid --prime no.mid", 1, "no.mid");
    shell_expect(folder, "sample r", 1, "gen compose r");
    assert_int_equal(shell_gen(folder, "train music --data cats.txt --out s --tokens pairs" TINY), 1);
    assert_int_equal(shell_gen(folder, "eval r --baseline kneser-ney --data tunes/tune00.mid"), 0);
}

TEST(cli_trains_on_text_and_goes_on_with_it)
{
    const char *folder = prepare();
    if (shell_gen(
            folder,
            "train text --data cats.txt --out loud --layers 1 --hidden 16 --embed 8 --window 16 --batch 4 --steps 8"))
        fail_msg("%s", shell_out);
    shell_need(" windows/s");
    if (shell_gen(folder, "train text --data cats.txt --out r" TINY)) fail_msg("%s", shell_out);
    shell_expect(folder, "sample r --prime 'The cat' --n 30 --seed 2 --threads 1", 0, "The cat");
    assert_int_equal(shell_gen(folder, "sample r --prime 'The cat' --n 30 --seed 2 -o a.txt --threads 1"), 0);
    assert_int_equal(shell_gen(folder, "sample r --prime 'The cat' --n 30 --seed 2 -o b.txt --threads 2"), 0);
    same_files(folder, "a.txt", "b.txt");
    shell_expect(folder, "eval r", 0, "perplexity");
    if (shell_gen(folder, "train text --data cats.txt --tokens words --bidirectional --out two" TINY))
        fail_msg("%s", shell_out);
    assert_int_equal(shell_gen(folder, "eval two"), 0);
    shell_expect(folder, "sample two", 1, "cannot go on with one");
    if (shell_gen(folder, "train text --data tunes/../dogs.txt --out dogs" TINY)) fail_msg("%s", shell_out);
    shell_expect(folder, "sample r --weights dogs/checkpoints/latest", 1, "its vocabulary is not that of r");
    shell_expect(folder, "train text --out three", 2, "needs --data");
}
