/* tests/cli_shell.h: the program through the shell, for words with quotes, in a folder of the test's own. Exit codes come back; what it says, on both
 * streams, is in shell_out. The program is $GEN_BINARY, else gen in the build folder.
 *
 *     assert_int_equal(shell_gen(folder, "sample run --prime 'The cat'"), 0);
 *     shell_need("The cat");
 */
#ifndef GEN_TESTS_CLI_SHELL_H
#define GEN_TESTS_CLI_SHELL_H

extern char shell_out[8192];

void shell_need_binary(void); /* without one the test is skipped */
int shell_gen(const char *folder, const char *words);
void shell_need(const char *words); /* in shell_out */
/* Both: it exits with the code and says the words. */
void shell_expect(const char *folder, const char *words, int code, const char *says);

#endif
