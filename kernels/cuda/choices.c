#define _POSIX_C_SOURCE 200809L /* getpid */
#include "kernels/cuda/choices.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/rng.h"

enum { MOST_CHOICES = 4096, LINE_BYTES = 768, PATH_BYTES = 1024, N_NUMBERS = 26 };

static const char first_line[] = "gen: cuDNN's fastest engines, version 1";

/* A line of the file. */
typedef struct known {
    cudnn_conv conv;
    cudnn_choice choice;
} known;

struct cuda_choices {
    char path[PATH_BYTES]; /* "": nothing is kept */
    char key[LINE_BYTES];
    known *at; /* [MOST_CHOICES] */
    int32_t n;
};

/* ---- a line ------------------------------------------------------------------------------------------------------------------ */

/* A convolution and what was chosen as numbers, in this order. */
static void to_numbers(const known *k, int64_t number[N_NUMBERS])
{
    const cudnn_conv *c = &k->conv;
    int n = 0;
    for (int i = 0; i < 4; i++) number[n++] = c->x[i];
    for (int i = 0; i < 4; i++) number[n++] = c->y[i];
    for (int i = 0; i < 2; i++) number[n++] = c->kernel[i];
    for (int i = 0; i < 2; i++) number[n++] = c->stride[i];
    for (int i = 0; i < 4; i++) number[n++] = c->pad[i];
    for (int i = 0; i < 2; i++) number[n++] = c->dilation[i];
    const int32_t rest[] = { c->direction, c->bf16, c->tensor_cores, c->bias, c->residual, c->relu };
    for (int i = 0; i < 6; i++) number[n++] = rest[i];
    number[n++] = k->choice.place;
    number[n++] = k->choice.engine;
}

static known from_numbers(const int64_t number[N_NUMBERS])
{
    known k = { 0 };
    cudnn_conv *c = &k.conv;
    int n = 0;
    for (int i = 0; i < 4; i++) c->x[i] = number[n++];
    for (int i = 0; i < 4; i++) c->y[i] = number[n++];
    for (int i = 0; i < 2; i++) c->kernel[i] = (int32_t)number[n++];
    for (int i = 0; i < 2; i++) c->stride[i] = (int32_t)number[n++];
    for (int i = 0; i < 4; i++) c->pad[i] = (int32_t)number[n++];
    for (int i = 0; i < 2; i++) c->dilation[i] = (int32_t)number[n++];
    int32_t *rest[] = { &c->direction, &c->bf16, &c->tensor_cores, &c->bias, &c->residual, &c->relu };
    for (int i = 0; i < 6; i++) *rest[i] = (int32_t)number[n++];
    k.choice.place = (int32_t)number[n++];
    k.choice.engine = number[n++];
    return k;
}

/* "1 28 … 4 #0123456789abcdef" without the line's end. */
static void write_line(const known *k, char line[LINE_BYTES])
{
    int64_t number[N_NUMBERS];
    size_t used = 0;
    to_numbers(k, number);
    for (int i = 0; i < N_NUMBERS; i++)
        used += (size_t)snprintf(line + used, LINE_BYTES - used, "%" PRId64 " ", number[i]);
    snprintf(line + used, LINE_BYTES - used, "#%016" PRIx64, gen_hash_name(line));
}

/* What was written by write_line, to the letter; false: it is damaged. */
static bool read_line(const char *line, known *k)
{
    int64_t number[N_NUMBERS];
    char again[LINE_BYTES], *end = NULL;
    const char *at = line;
    for (int i = 0; i < N_NUMBERS; i++, at = end) {
        number[i] = strtoll(at, &end, 10);
        if (end == at) return false;
    }
    *k = from_numbers(number);
    write_line(k, again);
    return !strcmp(line, again) && k->choice.place >= 0;
}

/* ---- the file ---------------------------------------------------------------------------------------------------------------- */

/* The next line without its end; false at the end of the file, or where a line is longer than any of ours. */
static bool next_line(FILE *file, char line[LINE_BYTES])
{
    if (!fgets(line, LINE_BYTES, file)) return false;
    char *end = strchr(line, '\n');
    if (end) *end = 0;
    return end != NULL;
}

static void read_file(cuda_choices *c)
{
    char line[LINE_BYTES];
    known k;
    FILE *file = *c->path ? fopen(c->path, "r") : NULL;
    if (!file) return;
    bool ours = next_line(file, line) && !strcmp(line, first_line) && next_line(file, line) && !strcmp(line, c->key);
    while (ours && c->n < MOST_CHOICES && next_line(file, line))
        if (read_line(line, &k)) c->at[c->n++] = k;
    fclose(file);
}

static bool write_lines(const cuda_choices *c, FILE *file)
{
    char line[LINE_BYTES];
    bool good = fprintf(file, "%s\n%s\n", first_line, c->key) > 0;
    for (int32_t i = 0; i < c->n && good; i++) {
        write_line(&c->at[i], line);
        good = fprintf(file, "%s\n", line) > 0;
    }
    return good;
}

static void write_file(const cuda_choices *c)
{
    char other[PATH_BYTES + 32];
    snprintf(other, sizeof other, "%s.%ld", c->path, (long)getpid());
    FILE *file = *c->path ? fopen(other, "w") : NULL;
    if (!file) return;
    bool good = write_lines(c, file);
    good = !fclose(file) && good;
    if (!good || rename(other, c->path)) (void)remove(other);
}

bool cuda_choices_path(const char *file, char *path, size_t bytes)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    bool own = cache && cache[0] == '/';
    if (!own && (!home || !*home)) return false;
    int n = snprintf(path, bytes, "%s%s", own ? cache : home, own ? "" : "/.cache");
    if (n < 0 || (size_t)n + 6 + strlen(file) > bytes) return false;
    (void)mkdir(path, 0700); /* they may be there; where they cannot be, neither can the file */
    snprintf(path + n, bytes - (size_t)n, "/gen");
    (void)mkdir(path, 0700);
    snprintf(path + n, bytes - (size_t)n, "/gen/%s", file);
    return true;
}

/* ---- what is known ----------------------------------------------------------------------------------------------------------- */

cuda_choices *cuda_choices_open(const char *path, const char *key)
{
    cuda_choices *c = gen_alloc(1, sizeof *c);
    known *at = gen_alloc(MOST_CHOICES, sizeof *at);
    if (!c || !at) {
        gen_free(c);
        gen_free(at);
        return NULL;
    }
    c->at = at;
    if (path && strlen(path) < sizeof c->path) snprintf(c->path, sizeof c->path, "%s", path);
    snprintf(c->key, sizeof c->key - 1, "%s", key);
    read_file(c);
    return c;
}

void cuda_choices_close(cuda_choices *c)
{
    if (!c) return;
    gen_free(c->at);
    gen_free(c);
}

static known *find(const cuda_choices *c, const cudnn_conv *conv)
{
    for (int32_t i = 0; i < c->n; i++)
        if (!memcmp(&c->at[i].conv, conv, sizeof *conv)) return &c->at[i];
    return NULL;
}

bool cuda_choices_find(const cuda_choices *c, const cudnn_conv *conv, cudnn_choice *choice)
{
    const known *k = find(c, conv);
    if (k) *choice = k->choice;
    return k != NULL;
}

void cuda_choices_add(cuda_choices *c, const cudnn_conv *conv, const cudnn_choice *choice)
{
    known *k = find(c, conv);
    if (!k && c->n == MOST_CHOICES) return;
    if (!k) k = &c->at[c->n++];
    k->conv = *conv;
    k->choice = *choice;
    write_file(c);
}

int32_t cuda_choices_count(const cuda_choices *c)
{
    return c->n;
}
