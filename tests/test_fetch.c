/* io/fetch.c, io/fetch_curl.c and io/sha256.c, against a small HTTP server in a child process. */
#define _GNU_SOURCE /* strcasestr */
#include "tests/test.h"

#include "io/fetch.h"
#include "io/file.h"
#include "io/sha256.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 100000 };

static uint8_t content[SIZE];
static char content_sha256[GEN_SHA256_HEX];

static void send_all(int fd, const void *data, size_t n)
{
    for (const char *p = data; n;) {
        ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
        if (w <= 0) return;
        p += w, n -= (size_t)w;
    }
}

/* /ok whole or from a range; /norange always whole; /cut promises all and sends half; /silent sends nothing; /other
 * wrong bytes. */
static void answer(int fd)
{
    char request[2000] = "", header[200];
    size_t n = 0, from = 0;
    while (n < sizeof request - 1 && !strstr(request, "\r\n\r\n")) {
        ssize_t r = recv(fd, request + n, sizeof request - 1 - n, 0);
        if (r <= 0) return;
        n += (size_t)r;
    }
    const char *range = strcasestr(request, "range: bytes=");
    if (range && strncmp(request, "GET /norange", 12)) from = strtoul(range + 13, NULL, 10);
    if (!strncmp(request, "GET /silent", 11)) {
        sleep(4);
        return;
    }
    if (!strncmp(request, "GET /missing", 12)) {
        const char *text = "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot here\n";
        send_all(fd, text, strlen(text));
        return;
    }
    if (from >= SIZE) {
        const char *text = "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        send_all(fd, text, strlen(text));
        return;
    }
    int h = snprintf(header, sizeof header, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n",
                     from ? "206 Partial Content" : "200 OK", SIZE - from);
    send_all(fd, header, (size_t)h);
    if (from) {
        h = snprintf(header, sizeof header, "Content-Range: bytes %zu-%d/%d\r\n", from, SIZE - 1, SIZE);
        send_all(fd, header, (size_t)h);
    }
    send_all(fd, "\r\n", 2);
    if (!strncmp(request, "GET /other", 10)) memset(content, 1, sizeof content);
    send_all(fd, content + from, !strncmp(request, "GET /cut", 8) ? SIZE / 2 : SIZE - from);
}

typedef struct server {
    pid_t pid;
    int port;
} server;

static server start_server(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0 && !bind(fd, (struct sockaddr *)&address, length) && !listen(fd, 8));
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    pid_t pid = fork();
    if (!pid)
        for (;;) {
            int one = accept(fd, NULL, NULL);
            if (one < 0) _exit(0);
            if (!fork()) { /* each answer in its own process: some are slow, one changes the content */
                answer(one);
                _exit(0);
            }
            close(one);
            while (waitpid(-1, NULL, WNOHANG) > 0) {
            }
        }
    close(fd);
    return (server){ pid, ntohs(address.sin_port) };
}

static void stop_server(server s)
{
    kill(s.pid, SIGKILL);
    waitpid(s.pid, NULL, 0);
}

/* Skips when the plugin is not built. */
static int has_plugin(void)
{
    gen_error err = { 0 };
    gen_fetch_file nothing = { .path = "/nonexistent/x" };
    return gen_fetch(&nothing, NULL, &err) != GEN_NO_DEVICE;
}

#define NEED_PLUGIN                                                                                                    \
    if (!has_plugin()) TEST_SKIP("libgen_fetch.so is not built");

typedef struct job {
    server s;
    char path[1100], part[1200], url[2][100];
    const char *urls[2];
    gen_fetch_file file;
} job;

static job new_job(const char *first, const char *second)
{
    job j = { .s = start_server() };
    snprintf(j.path, sizeof j.path, "%s/x.bin", test_folder());
    snprintf(j.part, sizeof j.part, "%s.part", j.path);
    snprintf(j.url[0], sizeof j.url[0], "http://127.0.0.1:%d/%s", j.s.port, first);
    snprintf(j.url[1], sizeof j.url[1], "http://127.0.0.1:%d/%s", j.s.port, second ? second : "");
    return j;
}

static gen_status fetch(job *j, int n_urls, uint64_t size, const char *sha256, const gen_sink *sink, gen_error *err)
{
    setenv("no_proxy", "127.0.0.1", 1);
    j->urls[0] = j->url[0], j->urls[1] = j->url[1];
    gen_fetch_file file = {
        .urls = j->urls, .n_urls = n_urls, .path = j->path, .size_bytes = size, .sha256 = sha256, .stall_s = 2
    };
    return gen_fetch(&file, sink, err);
}

static void make_content(void)
{
    for (size_t i = 0; i < SIZE; i++) content[i] = (uint8_t)(i * i >> 5);
    gen_sha256(content, SIZE, content_sha256);
}

static void expect_fetched(const job *j)
{
    gen_arena *arena = gen_arena_new();
    gen_bytes file = { 0 };
    assert_int_equal(gen_file_read(j->path, GEN_FILE_ANY_SIZE, arena, &file, NULL), GEN_OK);
    assert_int_equal(file.size, SIZE);
    assert_memory_equal(file.data, content, SIZE);
    assert_false(gen_path_exists(j->part));
    gen_arena_free(arena);
}

/* FIPS 180-4 examples, and a message of a million a */
TEST(sha256_gives_the_published_values)
{
    char hex[GEN_SHA256_HEX];
    gen_sha256("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    gen_sha256("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    gen_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hex);
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *many = gen_alloc(1, 1000000);
    memset(many, 'a', 1000000);
    gen_sha256(many, 1000000, hex);
    gen_free(many);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void count_progress(void *context, const gen_event *event)
{
    double *seen = context;
    if (event->kind == GEN_EVENT_TEXT) seen[0]++;
    if (event->kind == GEN_EVENT_SCALAR) seen[1] = event->value;
}

TEST(fetch_downloads_checks_and_tells_progress)
{
    NEED_PLUGIN
    gen_error err = { 0 };
    double seen[2] = { 0 };
    make_content();
    job j = new_job("ok", NULL);
    gen_status status = fetch(&j, 1, SIZE, content_sha256, &(gen_sink){ count_progress, seen }, &err);
    stop_server(j.s);
    if (status != GEN_OK) fail_msg("%s", err.text);
    expect_fetched(&j);
    assert_true(seen[0] > 0.9 && seen[1] > 0.999);
}

static void put_part(const job *j, const void *data, size_t n)
{
    assert_int_equal(gen_file_write(j->part, data, n, NULL), GEN_OK);
}

TEST(fetch_goes_on_where_it_was_cut)
{
    NEED_PLUGIN
    gen_error err = { 0 };
    make_content();
    job j = new_job("cut", "ok");
    gen_status cut = fetch(&j, 1, 0, content_sha256, NULL, &err);
    assert_int_equal(cut, GEN_IO);
    assert_non_null(strstr(err.text, "x.bin"));
    assert_true(gen_path_exists(j.part));
    err = (gen_error){ 0 };
    gen_status status = fetch(&j, 2, SIZE, content_sha256, NULL,
                              &err); /* the first cuts again, after the second half the second is whole */
    stop_server(j.s);
    if (status != GEN_OK) fail_msg("%s", err.text);
    expect_fetched(&j);
}

TEST(fetch_starts_anew_when_the_server_knows_no_ranges)
{
    NEED_PLUGIN
    gen_error err = { 0 };
    make_content();
    job j = new_job("norange", NULL);
    put_part(&j, "wrong beginning", 15);
    gen_status status = fetch(&j, 1, 0, NULL, NULL, &err);
    stop_server(j.s);
    if (status != GEN_OK) fail_msg("%s", err.text);
    expect_fetched(&j);
}

TEST(fetch_throws_away_a_part_that_does_not_fit)
{
    NEED_PLUGIN
    gen_error err = { 0 };
    make_content();
    job j = new_job("ok", NULL);
    put_part(&j, "wrong beginning", 15);
    gen_status status = fetch(&j, 1, SIZE, content_sha256, NULL, &err);
    static char lengthy[SIZE + 10];
    put_part(&j, lengthy, sizeof lengthy); /* longer than the file: 416 */
    gen_status again = fetch(&j, 1, 0, content_sha256, NULL, &err);
    stop_server(j.s);
    if (status != GEN_OK || again != GEN_OK) fail_msg("%s", err.text);
    expect_fetched(&j);
}

TEST(fetch_refuses_a_wrong_checksum_and_a_wrong_size)
{
    NEED_PLUGIN
    gen_error err = { 0 }, size_err = { 0 };
    make_content();
    job j = new_job("other", NULL);
    gen_status checksum = fetch(&j, 1, SIZE, content_sha256, NULL, &err),
               size = fetch(&j, 1, SIZE - 1, NULL, NULL, &size_err);
    stop_server(j.s);
    assert_int_equal(checksum, GEN_IO);
    assert_non_null(strstr(err.text, "SHA-256"));
    assert_int_equal(size, GEN_IO);
    assert_non_null(strstr(size_err.text, "more than the 99999 bytes"));
    assert_false(gen_path_exists(j.path));
    assert_false(gen_path_exists(j.part));
}

/* PyTorch's weights have the first digits of their SHA-256 in the name. */
TEST(fetch_checks_the_digits_that_are_stated)
{
    NEED_PLUGIN
    gen_error err = { 0 };
    char first[9];
    make_content();
    snprintf(first, sizeof first, "%.8s", content_sha256);
    job j = new_job("ok", NULL);
    gen_status right = fetch(&j, 1, SIZE, first, NULL, &err);
    expect_fetched(&j);
    assert_int_equal(unlink(j.path), 0);
    first[7] = first[7] == '0' ? '1' : '0';
    gen_status wrong = fetch(&j, 1, SIZE, first, NULL, &err);
    stop_server(j.s);
    assert_int_equal(right, GEN_OK);
    assert_int_equal(wrong, GEN_IO);
    assert_non_null(strstr(err.text, first));
    assert_false(gen_path_exists(j.path));
}

TEST(fetch_tries_the_next_mirror_and_names_the_last_reason)
{
    NEED_PLUGIN
    gen_error err = { 0 };
    make_content();
    job j = new_job("missing", "ok");
    gen_status one = fetch(&j, 1, 0, NULL, NULL, &err);
    assert_int_equal(one, GEN_IO);
    assert_non_null(strstr(err.text, "404"));
    err = (gen_error){ 0 };
    gen_status two = fetch(&j, 2, SIZE, content_sha256, NULL, &err);
    stop_server(j.s);
    if (two != GEN_OK) fail_msg("%s", err.text);
    expect_fetched(&j);
}

TEST(fetch_gives_up_on_a_silent_server)
{
    NEED_PLUGIN
    gen_error err = { 0 };
    job j = new_job("silent", NULL);
    gen_status status = fetch(&j, 1, 0, NULL, NULL, &err);
    stop_server(j.s);
    assert_int_equal(status, GEN_IO);
    assert_non_null(strstr(err.text, "no data came for 2 s"));
}

TEST(fetch_says_when_nobody_listens)
{
    NEED_PLUGIN
    gen_error err = { 0 };
    job j = new_job("ok", NULL);
    stop_server(j.s);
    assert_int_equal(fetch(&j, 1, 0, NULL, NULL, &err), GEN_IO);
    assert_non_null(strstr(err.text, "127.0.0.1"));
}

TEST(fetch_full_disk_is_named)
{
    NEED_PLUGIN
    gen_error err = { 0 };
    make_content();
    job j = new_job("ok", NULL);
    gen_file_fail_write_at(1000);
    gen_status status = fetch(&j, 1, 0, NULL, NULL, &err);
    gen_file_fail_write_at(0);
    stop_server(j.s);
    assert_int_equal(status, GEN_IO);
    assert_non_null(strstr(err.text, "no space left"));
    assert_false(gen_path_exists(j.path));
}
