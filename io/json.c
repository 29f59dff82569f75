/* JSON: cJSON reads, we print. */
#define _POSIX_C_SOURCE 200809L /* pthread_once */
#include "io/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64, MAX_SIZE = 256 << 20 };

/* ---- reading ---- */

static void *allocate(size_t size)
{
    return gen_alloc(1, size);
}

static void use_our_allocator(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){ allocate, gen_free });
}

static gen_status fail_at(const char *text, const char *at, const char *what, gen_error *err)
{
    size_t line = 1, column = 1;
    for (const char *p = text; p < at; p++) {
        if (*p == '\n') line++, column = 1;
        else column++;
    }
    return gen_fail(err, GEN_BAD_FILE, "JSON: %s at line %zu, column %zu", what, line, column);
}

/* What cJSON lets pass or does by recursion is looked at first: depth, and zero characters, which would cut a string
 * short. */
static gen_status check_text(const char *text, size_t size, gen_error *err)
{
    int depth = 0, in_string = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (!c) return fail_at(text, text + i, "a zero byte", err);
        if (in_string) {
            if (c == '"') in_string = 0;
            else if ((unsigned char)c < 0x20)
                return fail_at(text, text + i, "a control character inside a string", err);
            else if (c == '\\' && i + 5 < size && !memcmp(text + i, "\\u0000", 6))
                return fail_at(text, text + i, "a zero character", err);
            else if (c == '\\') i++;
        } else if (c == '"') in_string = 1;
        else if ((c == '{' || c == '[') && ++depth > MAX_DEPTH)
            return fail_at(text, text + i, "more than 64 levels", err);
        else if (c == '}' || c == ']') depth--;
    }
    return GEN_OK;
}

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

gen_status gen_json_parse(const void *text, size_t size, gen_json **out, gen_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, use_our_allocator);
    const char *t = text, *end = NULL;
    if (size > MAX_SIZE) return gen_fail(err, GEN_BAD_FILE, "JSON: %zu bytes, at most %d are read", size, MAX_SIZE);
    if (!size) return gen_fail(err, GEN_BAD_FILE, "JSON: a value was expected, the text is empty");
    GEN_TRY(check_text(t, size, err));
    cJSON *json = cJSON_ParseWithLengthOpts(t, size, &end, 0);
    if (!json) return fail_at(t, end && end < t + size ? end : t + size, "not valid (or memory ran out)", err);
    while (end < t + size && is_space(*end)) end++;
    if (end < t + size) {
        cJSON_Delete(json);
        return fail_at(t, end, "more text after the value", err);
    }
    *out = json;
    return GEN_OK;
}

void gen_json_free(gen_json *json)
{
    cJSON_Delete(json);
}

const gen_json *gen_json_get(const gen_json *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

const gen_json *gen_json_first(const gen_json *list)
{
    return cJSON_IsObject(list) || cJSON_IsArray(list) ? list->child : NULL;
}

const gen_json *gen_json_next(const gen_json *item)
{
    return item->next;
}

const char *gen_json_key(const gen_json *item)
{
    return item->string ? item->string : "";
}

int gen_json_is_object(const gen_json *json)
{
    return cJSON_IsObject(json);
}

int gen_json_is_array(const gen_json *json)
{
    return cJSON_IsArray(json);
}

const char *gen_json_text(const gen_json *json)
{
    return cJSON_IsString(json) ? json->valuestring : NULL;
}

int gen_json_to_double(const gen_json *json, double *out)
{
    if (!cJSON_IsNumber(json) || !isfinite(json->valuedouble)) return 0;
    *out = json->valuedouble;
    return 1;
}

int gen_json_to_int(const gen_json *json, int64_t *out)
{
    double value;
    if (!gen_json_to_double(json, &value) || fabs(value) > 9007199254740992.0 || value < floor(value) ||
        value > floor(value))
        return 0;
    *out = (int64_t)value;
    return 1;
}

static gen_status fail_member(const char *key, const char *expected, gen_error *err)
{
    return gen_fail(err, GEN_BAD_FILE, "JSON: \"%.80s\" should be %s", key, expected);
}

gen_status gen_json_double(const gen_json *object, const char *key, double *out, gen_error *err)
{
    return gen_json_to_double(gen_json_get(object, key), out) ? GEN_OK : fail_member(key, "a number", err);
}

gen_status gen_json_int(const gen_json *object, const char *key, int64_t *out, gen_error *err)
{
    return gen_json_to_int(gen_json_get(object, key), out) ? GEN_OK : fail_member(key, "a whole number", err);
}

gen_status gen_json_string(const gen_json *object, const char *key, const char **out, gen_error *err)
{
    const char *text = gen_json_text(gen_json_get(object, key));
    if (!text) return fail_member(key, "a string", err);
    *out = text;
    return GEN_OK;
}

/* ---- writing ---- */

static void append(gen_json_out *out, const char *text, size_t n)
{
    if (out->failed) return;
    if (out->size + n + 1 > out->room) {
        size_t room = out->room ? out->room * 2 : 256;
        while (room < out->size + n + 1) room *= 2;
        char *grown = gen_arena_alloc(out->arena, room);
        if (!grown) {
            out->failed = 1;
            return;
        }
        if (out->size) memcpy(grown, out->text, out->size);
        out->text = grown, out->room = room;
    }
    memcpy(out->text + out->size, text, n);
    out->size += n;
    out->text[out->size] = 0;
}

static void append_text(gen_json_out *out, const char *text)
{
    append(out, text, strlen(text));
}

/* Length of the UTF-8 character at p, 0 when it is none (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *p)
{
    if (p[0] < 0x80) return 1;
    unsigned low = p[0] == 0xe0   ? 0xa0
                   : p[0] == 0xf0 ? 0x90
                                  : 0x80,
             high = p[0] == 0xed   ? 0x9f
                    : p[0] == 0xf4 ? 0x8f
                                   : 0xbf;
    size_t n = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : 0;
    if (!n || p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return n;
}

static void append_string(gen_json_out *out, const char *text)
{
    append(out, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        char escaped[8];
        size_t n = utf8_length(p);
        if (*p == '"' || *p == '\\') snprintf(escaped, sizeof escaped, "\\%c", *p);
        else if (*p == '\n') memcpy(escaped, "\\n", 3);
        else if (*p == '\t') memcpy(escaped, "\\t", 3);
        else if (*p < 0x20) snprintf(escaped, sizeof escaped, "\\u%04x", *p);
        else if (!n) memcpy(escaped, "\xef\xbf\xbd", 4);
        else memcpy(escaped, p, n), escaped[n] = 0;
        append_text(out, escaped);
        p += n ? n : 1;
    }
    append(out, "\"", 1);
}

static void begin_item(gen_json_out *out, const char *key)
{
    if (out->needs_comma) append(out, ",", 1);
    out->needs_comma = 1;
    if (!key) return;
    append_string(out, key);
    append(out, ":", 1);
}

void gen_json_open(gen_json_out *out, const char *key, char bracket)
{
    begin_item(out, key);
    append(out, &bracket, 1);
    out->needs_comma = 0;
}

void gen_json_close(gen_json_out *out, char bracket)
{
    append(out, &bracket, 1);
    out->needs_comma = 1;
}

void gen_json_put_int(gen_json_out *out, const char *key, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    begin_item(out, key);
    append_text(out, text);
}

/* The C library may print a decimal comma when a program has set a locale. */
static void append_number(gen_json_out *out, char *text)
{
    for (char *p = text; *p; p++)
        if (!strchr("0123456789+-e", *p)) *p = '.';
    append_text(out, text);
}

void gen_json_put_float(gen_json_out *out, const char *key, float value)
{
    char text[40];
    begin_item(out, key);
    if (!isfinite(value)) append_text(out, "null");
    else snprintf(text, sizeof text, "%.9g", (double)value), append_number(out, text);
}

void gen_json_put_double(gen_json_out *out, const char *key, double value)
{
    char text[40];
    begin_item(out, key);
    if (!isfinite(value)) {
        append_text(out, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        double back = strtod(text, NULL);
        if (!memcmp(&back, &value, sizeof back)) break;
    }
    append_number(out, text);
}

void gen_json_put_bool(gen_json_out *out, const char *key, int value)
{
    begin_item(out, key);
    append_text(out, value ? "true" : "false");
}

void gen_json_put_string(gen_json_out *out, const char *key, const char *value)
{
    begin_item(out, key);
    append_string(out, value);
}

gen_status gen_json_finish(gen_json_out *out, gen_bytes *bytes, gen_error *err)
{
    append(out, "", 0);
    if (out->failed) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu bytes of JSON", out->size);
    *bytes = (gen_bytes){ (uint8_t *)out->text, out->size };
    return GEN_OK;
}

gen_status gen_json_log(gen_file_log *log, gen_json_out *out, gen_error *err)
{
    gen_bytes line = { 0 };
    append(out, "\n", 1);
    GEN_TRY(gen_json_finish(out, &line, err));
    return gen_file_log_write(log, line.data, line.size, err);
}

/* Whether a line is whole and belongs to a step up to this one. */
static int keeps_line(const char *line, size_t n, int64_t step)
{
    gen_json *json = NULL;
    int64_t own = 0;
    if (gen_json_parse(line, n, &json, NULL) != GEN_OK) return 0;
    int keep = !gen_json_to_int(gen_json_get(json, "step"), &own) || own <= step;
    gen_json_free(json);
    return keep;
}

size_t gen_json_log_offset_after(const void *text, size_t size, int64_t step)
{
    const char *t = text;
    size_t at = 0;
    while (at < size) {
        const char *end = memchr(t + at, '\n', size - at);
        if (!end || !keeps_line(t + at, (size_t)(end - t) - at, step)) break;
        at = (size_t)(end - t) + 1;
    }
    return at;
}
