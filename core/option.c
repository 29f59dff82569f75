#include "core/option.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *field(const gen_option *row, void *options)
{
    return (char *)options + row->offset;
}

static const char *unit(const gen_option *row)
{
    return row->unit ? row->unit : "";
}

/* A row whose ends are equal has no range. */
static bool in_range(const gen_option *row, double value)
{
    return row->low >= row->high || (value >= row->low && value <= row->high);
}

static gen_status fail_number(const gen_option *row, const char *kind, const char *text, gen_error *err)
{
    const char *space = *unit(row) ? " " : "";
    if (row->low >= row->high) return gen_fail(err, GEN_BAD_OPTION, "--%s takes %s, not '%s'", row->name, kind, text);
    return gen_fail(err, GEN_BAD_OPTION, "--%s takes %s from %.10g to %.10g%s%s, not '%s'", row->name, kind, row->low,
                    row->high, space, unit(row), text);
}

static gen_status set_int(const gen_option *row, int64_t *value, const char *text, gen_error *err)
{
    char *end = NULL;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    bool whole = *text && !isspace((unsigned char)*text) && !*end && !errno;
    if (!whole || !in_range(row, (double)parsed)) return fail_number(row, "a whole number", text, err);
    *value = parsed;
    return GEN_OK;
}

static gen_status set_float(const gen_option *row, double *value, const char *text, gen_error *err)
{
    char *end = NULL;
    double parsed = strtod(text, &end);
    bool number = *text && !isspace((unsigned char)*text) && !*end && isfinite(parsed);
    if (!number || !in_range(row, parsed)) return fail_number(row, "a number", text, err);
    *value = parsed;
    return GEN_OK;
}

static bool one_of(const char *text, const char *const words[4])
{
    for (int i = 0; i < 4; i++)
        if (!strcmp(text, words[i])) return true;
    return false;
}

static gen_status set_bool(const gen_option *row, int64_t *value, const char *text, gen_error *err)
{
    static const char *const yes[4] = { "1", "true", "yes", "on" }, *const no[4] = { "0", "false", "no", "off" };
    if (!one_of(text, yes) && !one_of(text, no))
        return gen_fail(err, GEN_BAD_OPTION, "--%s takes true or false, not '%s'", row->name, text);
    *value = one_of(text, yes);
    return GEN_OK;
}

/* Is text one of the words of "a|b|c"? */
static bool is_choice(const char *choices, const char *text)
{
    size_t n = strlen(text);
    for (const char *word = choices; word; word = strchr(word, '|')) {
        if (*word == '|') word++;
        if (n && strcspn(word, "|") == n && !strncmp(word, text, n)) return true;
    }
    return false;
}

static gen_status set_choice(const gen_option *row, const char **value, const char *text, gen_error *err)
{
    if (!is_choice(row->choices, text))
        return gen_fail(err, GEN_BAD_OPTION, "--%s takes one of %s, not '%s'", row->name, row->choices, text);
    *value = text;
    return GEN_OK;
}

gen_status gen_option_set(const gen_option *row, void *options, const char *text, gen_error *err)
{
    switch (row->type) {
    case OPT_INT: return set_int(row, field(row, options), text, err);
    case OPT_FLOAT: return set_float(row, field(row, options), text, err);
    case OPT_BOOL: return set_bool(row, field(row, options), text, err);
    case OPT_CHOICE: return set_choice(row, field(row, options), text, err);
    case OPT_STRING: *(const char **)field(row, options) = text; return GEN_OK;
    }
    return gen_fail(err, GEN_BAD_OPTION, "--%s has no known type", row->name);
}

void gen_options_default(const gen_option *rows, void *options)
{
    for (const gen_option *row = rows; row->name; row++) {
        gen_status status = gen_option_set(row, options, row->fallback ? row->fallback : "", NULL);
        assert(status == GEN_OK); /* a table with a wrong default is our mistake */
        (void)status;
    }
}

const gen_option *gen_option_find(const gen_option *rows, const char *name)
{
    for (const gen_option *row = rows; row->name; row++)
        if (!strcmp(row->name, name)) return row;
    return NULL;
}

/* The shortest decimal that reads back as the same double. */
static void print_double(double value, char *buffer, size_t bytes)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buffer, bytes, "%.*g", digits, value);
        if (strtod(buffer, NULL) == value) return;
    }
}

const char *gen_option_get(const gen_option *row, const void *options, char *buffer, size_t buffer_bytes)
{
    const char *at = (const char *)options + row->offset;
    switch (row->type) {
    case OPT_INT: snprintf(buffer, buffer_bytes, "%" PRId64, *(const int64_t *)(const void *)at); break;
    case OPT_FLOAT: print_double(*(const double *)(const void *)at, buffer, buffer_bytes); break;
    case OPT_BOOL: snprintf(buffer, buffer_bytes, "%s", *(const int64_t *)(const void *)at ? "true" : "false"); break;
    case OPT_STRING:
    case OPT_CHOICE: return *(const char *const *)(const void *)at;
    }
    return buffer;
}

/* ---- the nearest word ---- */
enum { LONGEST_WORD = 63 };

static size_t min2(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Damerau & Levenshtein: letters to insert, remove, replace, or swap with their neighbour; each pair swapped once. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t n_a = strlen(a), n_b = strlen(b);
    if (n_a > LONGEST_WORD || n_b > LONGEST_WORD) return SIZE_MAX;
    size_t d[LONGEST_WORD + 1][LONGEST_WORD + 1];
    for (size_t i = 0; i <= n_a; i++)
        for (size_t j = 0; j <= n_b; j++) {
            d[i][j] =
                i && j ? min2(min2(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])) : i + j;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = min2(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[n_a][n_b];
}

/* One mistake, and one more for each five letters; but never all letters. */
const char *gen_nearest_word(const char *word, const char *const *words, size_t n)
{
    const char *nearest = NULL;
    size_t length = strlen(word), best = min2(1 + length / 5, length ? length - 1 : 0) + 1;
    for (size_t i = 0; i < n; i++) {
        size_t distance = edit_distance(word, words[i]);
        if (distance >= best) continue;
        best = distance;
        nearest = words[i];
    }
    return nearest;
}
