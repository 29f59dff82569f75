/* io/json.h: JSON in (through cJSON, with bounds and line:column in errors) and out (a printer whose bytes depend on
 * the values alone).
 *
 *     gen_json *config; GEN_TRY(gen_json_parse(text, size, &config, err));
 *     int64_t seed; GEN_TRY(gen_json_int(config, "seed", &seed, err));
 *     gen_json_free(config);
 *     gen_json_out out = { .arena = arena };
 *     gen_json_open(&out, NULL, '{');
 *     gen_json_put_int(&out, "step", 12);
 *     gen_json_close(&out, '}');
 *     GEN_TRY(gen_json_finish(&out, &bytes, err));              // {"step":12}
 */
#ifndef GEN_IO_JSON_H
#define GEN_IO_JSON_H

#include "io/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- reading ---- */

typedef struct cJSON gen_json;

/* At most 64 levels deep, 256 MiB long, nothing but white space after the value. GEN_BAD_FILE names line and column. */
gen_status gen_json_parse(const void *text, size_t size, gen_json **out, gen_error *err);
void gen_json_free(gen_json *json); /* accepts NULL */

/* The member of an object or NULL; the first item of an object or array, the next one, and its key ("" in an array). */
const gen_json *gen_json_get(const gen_json *object, const char *key);
const gen_json *gen_json_first(const gen_json *list);
const gen_json *gen_json_next(const gen_json *item);
const char *gen_json_key(const gen_json *item);

int gen_json_is_object(const gen_json *json);
int gen_json_is_array(const gen_json *json);
const char *gen_json_text(const gen_json *json);           /* the string, or NULL when it is none */
int gen_json_to_double(const gen_json *json, double *out); /* 0 when it is no number */
int gen_json_to_int(const gen_json *json, int64_t *out);   /* 0 when it is no whole number within +-2^53 */

/* Members that must be there: GEN_BAD_FILE names the key and what was expected. Strings live as long as the object. */
gen_status gen_json_double(const gen_json *object, const char *key, double *out, gen_error *err);
gen_status gen_json_int(const gen_json *object, const char *key, int64_t *out, gen_error *err);
gen_status gen_json_string(const gen_json *object, const char *key, const char **out, gen_error *err);

/* ---- writing ---- */

typedef struct gen_json_out {
    gen_arena *arena; /* the only field to set */
    char *text;
    size_t size, room;
    int needs_comma, failed;
} gen_json_out;

/* key is NULL inside an array and at the top. Text that is not UTF-8 gets U+FFFD for each bad byte; numbers that are
 * not finite are null. */
void gen_json_open(gen_json_out *out, const char *key, char bracket); /* '{' or '[' */
void gen_json_close(gen_json_out *out, char bracket);                 /* '}' or ']' */
void gen_json_put_int(gen_json_out *out, const char *key, int64_t value);
void gen_json_put_float(gen_json_out *out, const char *key, float value); /* 9 digits: reads back exactly as float */
void gen_json_put_double(gen_json_out *out, const char *key,
                         double value); /* the fewest of 15, 16, 17 digits that read back exactly */
void gen_json_put_bool(gen_json_out *out, const char *key, int value);
void gen_json_put_string(gen_json_out *out, const char *key, const char *value);

/* The text, zero-terminated beyond size, in the arena. GEN_NO_MEMORY if any put ran out. */
gen_status gen_json_finish(gen_json_out *out, gen_bytes *bytes, gen_error *err);

/* Appends what out holds and a newline as one line of a JSON-lines log, in one write. */
gen_status gen_json_log(gen_file_log *log, gen_json_out *out, gen_error *err);

/* Where to cut a JSON-lines log so that it holds lines up to step: before the first line whose member "step" is larger,
 * or that is cut short or damaged, as a killed writer leaves it. Lines without a step belong to those before them. */
size_t gen_json_log_offset_after(const void *text, size_t size, int64_t step);

#ifdef __cplusplus
}
#endif
#endif
