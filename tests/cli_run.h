/* tests/cli_run.h: the program itself, run in a folder that the tests share. It is $GEN_BINARY, else gen in the build folder; without it the tests are
 * skipped.
 *
 *     need_binary();
 *     write_png("photo.png", 40, 30, 3, 8);
 *     expect_code("translate run photo.png -o out.png", GOOD);
 *     expect_says("translate run none.png", FAILED, "none.png");         // one line on standard error, with these words
 */
#ifndef GEN_TESTS_CLI_RUN_H
#define GEN_TESTS_CLI_RUN_H

#include <sys/types.h>

#include "io/file.h"
#include "io/image.h"
#include "tests/test.h"

enum { TEXT_BYTES = 1 << 16, SIDE = 8, N_PICTURES = 80 /* of bars.idx3-ubyte */ };
enum { GOOD = 0, FAILED = 1, USAGE = 2 }; /* exit codes */

/* What a command did. */
typedef struct outcome {
    int code; /* exit code, or 128 + signal */
    char out[TEXT_BYTES], err[TEXT_BYTES];
} outcome;

extern const char *work; /* the folder; made by need_binary, with bars.idx3-ubyte, 80 pictures of 8x8 */
extern outcome last;

void need_binary(void);
const char *binary(void);
void write_data(const char *path);             /* those bars, as an IDX file */
char *read_text(const char *path, char *text); /* into text[TEXT_BYTES] */
char *in_work(const char *name);               /* its path; of the last eight that were asked for */
int exists(const char *name);

const outcome *gen(const char *command); /* runs `gen <command>`: words with spaces between, no quotes */
const outcome *expect_code(const char *command, int code);
void expect_says(const char *command, int code, const char *words);
pid_t start(const char *command, uid_t user); /* without waiting; user 0: the same */
const outcome *wait_for(pid_t pid);
void wait_until_exists(const char *name, double limit_s);
double now_s(void);
void sleep_s(double s);

void write_png(const char *name, int32_t w, int32_t h, int32_t channels, int32_t bits);
gen_image read_back(const char *name, gen_arena *arena);
void expect_same_file(const char *a, const char *b);

/* A training (`train`: its command without --out, of so many steps) that is killed with -9 at moments that nobody chose, as often as rounds says, and goes on,
 * ends in the bytes of one that was never killed: weights and all the rest of the state. Runs are <name>_whole and <name>_killed. */
void check_kills(const char *train, int rounds, int64_t steps, const char *name);

#endif
