/* io/json.c. */
#include "tests/test.h"

#include "io/json.h"

#include <float.h>
#include <math.h>
#include <string.h>

static gen_status parse(const char *text, gen_error *err)
{
    gen_json *json = NULL;
    gen_status status = gen_json_parse(text, strlen(text), &json, err);
    gen_json_free(json);
    return status;
}

TEST(json_reads_members)
{
    gen_error err = { 0 };
    const char *text = " {\"a\": 9007199254740992, \"b\": \"h\\u00e9\", \"c\": [1, 2.5], \"A\": true}\n";
    gen_json *json;
    int64_t a;
    double c;
    const char *b;
    TEST_OK(gen_json_parse(text, strlen(text), &json, &err));
    TEST_OK(gen_json_int(json, "a", &a, &err));
    TEST_OK(gen_json_string(json, "b", &b, &err));
    assert_true(a == 9007199254740992);
    assert_string_equal(b, "h\xc3\xa9");
    const gen_json *item = gen_json_first(gen_json_get(json, "c"));
    assert_true(gen_json_to_double(gen_json_next(item), &c) && c > 2.4 && c < 2.6);
    assert_int_equal(gen_json_to_int(gen_json_next(item), &a), 0);
    assert_string_equal(gen_json_key(gen_json_first(json)), "a");
    assert_int_equal(gen_json_int(json, "b", &a, &err), GEN_BAD_FILE);
    assert_string_equal(err.text, "JSON: \"b\" should be a whole number");
    gen_json_free(json);
}

TEST(json_errors_have_line_and_column)
{
    gen_error err = { 0 };
    assert_int_equal(parse("{\n  \"a\": nope }", &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "line 2, column 8"));
    err = (gen_error){ 0 };
    assert_int_equal(parse("{}\n{}", &err), GEN_BAD_FILE);
    assert_non_null(strstr(err.text, "after the value at line 2, column 1"));
}

TEST(json_refuses_depth_zero_characters_and_nothing)
{
    char deep[200];
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    deep[130] = 0;
    assert_int_equal(parse(deep, NULL), GEN_BAD_FILE);
    assert_int_equal(parse(deep + 1, NULL), GEN_BAD_FILE); /* unbalanced */
    deep[129] = 0;
    assert_int_equal(parse(deep + 1, NULL), GEN_OK);
    assert_int_equal(parse("\"a\\u0000b\"", NULL), GEN_BAD_FILE);
    assert_int_equal(parse("", NULL), GEN_BAD_FILE);
    assert_int_equal(gen_json_parse("1\0", 2, &(gen_json *){ NULL }, NULL), GEN_BAD_FILE);
}

TEST(json_survives_truncation_at_every_byte)
{
    const char *text = "{\"a\":[1,2,{\"b\":\"\\u00e9\\n\"}],\"c\":-1.5e3,\"d\":null}";
    for (size_t n = 0; n < strlen(text); n++) {
        gen_json *json = NULL;
        char *copy = gen_alloc(1, n);
        memcpy(copy, text, n);
        assert_int_equal(gen_json_parse(copy, n, &json, NULL), GEN_BAD_FILE);
        gen_free(copy);
    }
}

TEST(json_survives_allocation_failure)
{
    const char *text = "{\"a\":[1,2,{\"b\":\"text\"}]}";
    for (uint64_t n = 1;; n++) {
        gen_json *json = NULL;
        gen_alloc_fail_at(n);
        gen_status status = gen_json_parse(text, strlen(text), &json, NULL);
        gen_alloc_fail_at(0);
        gen_json_free(json);
        if (status == GEN_OK) break;
    }
}

TEST(json_prints_what_was_put)
{
    gen_error err = { 0 };
    gen_json_out out = { .arena = gen_arena_new() };
    gen_bytes bytes;
    gen_json_open(&out, NULL, '{');
    gen_json_put_int(&out, "i", INT64_MIN);
    gen_json_put_double(&out, "d", 0.1);
    gen_json_put_float(&out, "f", 0.1F);
    gen_json_put_double(&out, "inf", (double)INFINITY);
    gen_json_open(&out, "list", '[');
    gen_json_put_bool(&out, NULL, 1);
    gen_json_put_string(&out, NULL, "q\"\\\n\x01\xff\xc3\xa9");
    gen_json_close(&out, ']');
    gen_json_open(&out, "empty", '{');
    gen_json_close(&out, '}');
    gen_json_close(&out, '}');
    TEST_OK(gen_json_finish(&out, &bytes, &err));
    assert_string_equal((char *)bytes.data,
                        "{\"i\":-9223372036854775808,\"d\":0.1,\"f\":0.100000001,\"inf\":null,"
                        "\"list\":[true,\"q\\\"\\\\\\n\\u0001\xef\xbf\xbd\xc3\xa9\"],\"empty\":{}}");
    assert_int_equal(bytes.size, strlen((char *)bytes.data));
    gen_arena_free(out.arena);
}

TEST(json_doubles_read_back_exactly)
{
    const double values[] = { 0.1, 1.0 / 3, DBL_MAX, DBL_MIN, 4.9e-324, 123456789012345678.0, -2.5e-7 };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        gen_json_out out = { .arena = gen_arena_new() };
        gen_bytes bytes;
        gen_json *json;
        double back = 0;
        gen_json_put_double(&out, NULL, values[i]);
        assert_int_equal(gen_json_finish(&out, &bytes, NULL), GEN_OK);
        assert_int_equal(gen_json_parse(bytes.data, bytes.size, &json, NULL), GEN_OK);
        assert_true(gen_json_to_double(json, &back));
        assert_memory_equal(&back, &values[i], sizeof back);
        gen_json_free(json);
        gen_arena_free(out.arena);
    }
}

TEST(json_log_appends_one_line)
{
    gen_error err = { 0 };
    char path[1100];
    snprintf(path, sizeof path, "%s/log.jsonl", test_folder());
    gen_arena *arena = gen_arena_new();
    gen_file_log *log;
    TEST_OK(gen_file_log_open(path, &log, &err));
    for (int i = 0; i < 2; i++) {
        gen_json_out out = { .arena = arena };
        gen_json_open(&out, NULL, '{');
        gen_json_put_int(&out, "step", i);
        gen_json_close(&out, '}');
        TEST_OK(gen_json_log(log, &out, &err));
    }
    gen_file_log_close(log);
    gen_bytes bytes;
    TEST_OK(gen_file_read(path, 1000, arena, &bytes, &err));
    assert_string_equal((char *)bytes.data, "{\"step\":0}\n{\"step\":1}\n");
    gen_arena_free(arena);
}

TEST(json_log_is_cut_after_a_step_and_at_a_half_line)
{
    const char *log = "{\"model\":\"vae\"}\n{\"step\":1}\n{\"step\":2}\n{\"note\":1}\n{\"step\":3}\n{\"st";
    size_t n = strlen(log);
    assert_int_equal(gen_json_log_offset_after(log, n, 2), strstr(log, "{\"step\":3") - log);
    assert_int_equal(gen_json_log_offset_after(log, n, 0), strstr(log, "{\"step\":1") - log);
    assert_int_equal(gen_json_log_offset_after(log, n, 9), n - strlen("{\"st"));
    assert_int_equal(gen_json_log_offset_after("", 0, 9), 0);
}
