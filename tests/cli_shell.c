#define _XOPEN_SOURCE 700
#include "tests/cli_shell.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

char shell_out[8192];

static const char *program(void)
{
    const char *named = getenv("GEN_BINARY"), *built = GEN_BUILD_DIR "/gen";
    return named ? named : built;
}

void shell_need_binary(void)
{
    if (access(program(), X_OK)) TEST_SKIP("there is no gen: neither $GEN_BINARY nor in the build folder");
}

int shell_gen(const char *folder, const char *words)
{
    char command[3000];
    snprintf(command, sizeof command, "cd '%s' && '%s' %s 2>&1", folder, program(), words);
    FILE *pipe = popen(command, "r"); /* NOLINT: the words are ours */
    assert_non_null(pipe);
    shell_out[fread(shell_out, 1, sizeof shell_out - 1, pipe)] = 0;
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void shell_need(const char *words)
{
    if (!strstr(shell_out, words)) fail_msg("no '%s' in:\n%s", words, shell_out);
}

void shell_expect(const char *folder, const char *words, int code, const char *says)
{
    int was = shell_gen(folder, words);
    if (was != code) fail_msg("gen %s: exit code %d, expected %d; it said: %s", words, was, code, shell_out);
    shell_need(says);
}
