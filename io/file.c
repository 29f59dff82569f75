/* Files: bounded reading, atomic writing, logs. */
#define _DEFAULT_SOURCE /* POSIX, and flock's header is shared with folder.c */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PATH = 4096, READ_STEP = 1 << 20 };

static _Atomic uint64_t write_budget; /* 0: no limit; else bytes left + 1 */

void gen_file_fail_write_at(uint64_t bytes)
{
    atomic_store(&write_budget, bytes ? bytes + 1 : 0);
}

static const char *reason_of(int error_number, char *buffer, size_t size)
{
    switch (error_number) {
    case ENOENT: return "no such file or folder";
    case EACCES:
    case EPERM: return "no permission";
    case EISDIR: return "it is a directory, a file was expected";
    case ENOTDIR: return "a part of the path is not a directory";
    case ENOSPC: return "no space left on the disk";
    case EDQUOT: return "the disk quota is used up";
    case EFBIG: return "the file would exceed the largest allowed size";
    case EROFS: return "the file system is read-only";
    case ENAMETOOLONG: return "the name is too long";
    case EMFILE: return "too many files are open";
    default: break;
    }
    return strerror_r(error_number, buffer, size) ? "unknown reason" : buffer;
}

gen_status gen_file_fail(gen_error *err, int error_number, const char *doing, const char *path)
{
    char buffer[128];
    gen_status status = error_number == ENOENT ? GEN_NOT_FOUND : error_number == ENOMEM ? GEN_NO_MEMORY : GEN_IO;
    return gen_fail(err, status, "cannot %s '%s': %s", doing, path, reason_of(error_number, buffer, sizeof buffer));
}

gen_status gen_error_in_file(gen_error *err, const char *path, gen_status status)
{
    if (!err || status == GEN_OK || strstr(err->text, path)) return status;
    char text[sizeof err->text];
    int n = snprintf(text, sizeof text, "%s: ", path);
    if (n < 0 || (size_t)n >= sizeof text / 2) return status;
    snprintf(text + n, sizeof text - (size_t)n, "%.*s", (int)(sizeof text - (size_t)n - 1), err->text);
    memcpy(err->text, text, sizeof text);
    return status;
}

/* ---- reading ---- */

static gen_status open_to_read(const char *path, int *fd, struct stat *info, gen_error *err)
{
    int f = open(path, O_RDONLY | O_CLOEXEC);
    if (f < 0) return gen_file_fail(err, errno, "read", path);
    if (fstat(f, info) || S_ISDIR(info->st_mode)) {
        int error_number = S_ISDIR(info->st_mode) ? EISDIR : errno;
        close(f);
        return gen_file_fail(err, error_number, "read", path);
    }
    *fd = f;
    return GEN_OK;
}

/* Fills buffer from fd until it is full or the file ends. */
static gen_status read_fully(int fd, const char *path, uint8_t *buffer, size_t want, size_t *got, gen_error *err)
{
    size_t n = 0;
    while (n < want) {
        ssize_t r = read(fd, buffer + n, want - n);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return gen_file_fail(err, errno, "read", path);
        if (r == 0) break;
        n += (size_t)r;
    }
    *got = n;
    return GEN_OK;
}

static gen_status fail_too_large(const char *path, size_t limit, gen_error *err)
{
    return gen_fail(err, GEN_BAD_FILE, "cannot read '%s': it is larger than the %zu bytes expected at most", path,
                    limit);
}

/* Pipes and /proc files have no size: the buffer doubles, each time copied into the arena. */
static gen_status read_unsized(int fd, const char *path, size_t limit, gen_arena *arena, gen_bytes *out, gen_error *err)
{
    size_t size = 0, room = 0;
    uint8_t *data = NULL;
    for (;;) {
        size_t grown = room ? room * 2 : READ_STEP / 16, got = 0;
        uint8_t *more = gen_arena_alloc(arena, grown + 1);
        if (!more) return gen_fail(err, GEN_NO_MEMORY, "no memory for %zu bytes of '%s'", grown, path);
        if (size) memcpy(more, data, size);
        data = more, room = grown;
        GEN_TRY(read_fully(fd, path, data + size, room - size, &got, err));
        size += got;
        if (size > limit) return fail_too_large(path, limit, err);
        if (size < room) break;
    }
    data[size] = 0;
    *out = (gen_bytes){ data, size };
    return GEN_OK;
}

static gen_status read_sized(int fd, const char *path, size_t size, gen_arena *arena, gen_bytes *out, gen_error *err)
{
    size_t got = 0;
    uint8_t *data = gen_arena_alloc(arena, size + 1);
    if (!data) return gen_fail(err, GEN_NO_MEMORY, "no memory for the %zu bytes of '%s'", size, path);
    GEN_TRY(read_fully(fd, path, data, size, &got, err));
    data[got] = 0;
    *out = (gen_bytes){ data, got };
    return GEN_OK;
}

gen_status gen_file_read(const char *path, size_t limit_bytes, gen_arena *arena, gen_bytes *out, gen_error *err)
{
    int fd = -1;
    struct stat info;
    GEN_TRY(open_to_read(path, &fd, &info, err));
    gen_status status;
    if (!S_ISREG(info.st_mode) || info.st_size == 0) status = read_unsized(fd, path, limit_bytes, arena, out, err);
    else if ((uint64_t)info.st_size > limit_bytes) status = fail_too_large(path, limit_bytes, err);
    else status = read_sized(fd, path, (size_t)info.st_size, arena, out, err);
    close(fd);
    return status;
}

gen_status gen_file_read_start(const char *path, size_t max_bytes, gen_arena *arena, gen_bytes *out, gen_error *err)
{
    int fd = -1;
    struct stat info;
    GEN_TRY(open_to_read(path, &fd, &info, err));
    gen_status status = read_sized(fd, path, max_bytes, arena, out, err);
    close(fd);
    return status;
}

gen_status gen_file_map(const char *path, gen_bytes *out, gen_error *err)
{
    int fd = -1;
    struct stat info;
    GEN_TRY(open_to_read(path, &fd, &info, err));
    gen_bytes map = { NULL, (size_t)info.st_size };
    void *p = map.size ? mmap(NULL, map.size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    int error_number = errno;
    close(fd);
    if (p == MAP_FAILED) return gen_file_fail(err, error_number, "map", path);
    map.data = p;
    *out = map;
    return GEN_OK;
}

void gen_file_unmap(gen_bytes *map)
{
    if (map->size) munmap(map->data, map->size);
    *map = (gen_bytes){ NULL, 0 };
}

/* ---- writing ---- */

static ssize_t write_some(int fd, const uint8_t *data, size_t size)
{
    uint64_t budget = atomic_load(&write_budget);
    if (budget) {
        if (budget == 1) return errno = ENOSPC, -1;
        if (size > budget - 1) size = (size_t)(budget - 1);
        atomic_fetch_sub(&write_budget, size);
    }
    return write(fd, data, size);
}

static gen_status write_fully(int fd, const char *path, const void *data, size_t size, gen_error *err)
{
    const uint8_t *p = data;
    while (size) {
        ssize_t w = write_some(fd, p, size);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return gen_file_fail(err, errno, "write", path);
        p += w, size -= (size_t)w;
    }
    return GEN_OK;
}

/* The entry of a renamed file is safe only when its folder is on the disk too. */
static void sync_folder_of(const char *path)
{
    char folder[MAX_PATH];
    size_t n = (size_t)(gen_path_base(path) - path);
    if (n >= sizeof folder) return;
    memcpy(folder, path, n);
    if (!n) folder[n++] = '.';
    folder[n] = 0;
    int fd = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd < 0) return; /* a folder that may be written but not read: nothing to sync through */
    (void)fsync(fd);    /* some file systems refuse; the file itself is synced already */
    close(fd);
}

struct gen_file_writer {
    int fd, direct;
    char path[MAX_PATH], temporary[MAX_PATH]; /* temporary is "" when written directly */
};

static int is_special(const char *path)
{
    struct stat info;
    return !stat(path, &info) && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

static gen_status name_temporary(gen_file_writer *w, gen_error *err)
{
    static _Atomic uint32_t count;
    const char *base = gen_path_base(w->path);
    int n = snprintf(w->temporary, sizeof w->temporary, "%.*s.%.200s.tmp-%ld-%u", (int)(base - w->path), w->path, base,
                     (long)getpid(), atomic_fetch_add(&count, 1));
    return n < 0 || (size_t)n >= sizeof w->temporary ? gen_file_fail(err, ENAMETOOLONG, "write", w->path) : GEN_OK;
}

static gen_status open_writer(gen_file_writer *w, gen_error *err)
{
    if (gen_path_is_folder(w->path)) return gen_file_fail(err, EISDIR, "write", w->path);
    w->direct = is_special(w->path);
    if (w->direct) w->fd = open(w->path, O_WRONLY | O_CLOEXEC);
    else {
        GEN_TRY(name_temporary(w, err));
        w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    }
    return w->fd < 0 ? gen_file_fail(err, errno, "write", w->path) : GEN_OK;
}

gen_status gen_file_create(const char *path, gen_file_writer **out, gen_error *err)
{
    if (strlen(path) >= MAX_PATH) return gen_file_fail(err, ENAMETOOLONG, "write", path);
    gen_file_writer *w = gen_alloc(1, sizeof *w);
    if (!w) return gen_fail(err, GEN_NO_MEMORY, "no memory to write '%s'", path);
    memcpy(w->path, path, strlen(path) + 1);
    gen_status status = open_writer(w, err);
    if (status != GEN_OK) gen_free(w);
    else *out = w;
    return status;
}

gen_status gen_file_put(gen_file_writer *writer, const void *data, size_t size, gen_error *err)
{
    return write_fully(writer->fd, writer->path, data, size, err);
}

void gen_file_abandon(gen_file_writer *writer)
{
    if (!writer) return;
    close(writer->fd);
    if (!writer->direct) unlink(writer->temporary);
    gen_free(writer);
}

gen_status gen_file_commit(gen_file_writer *writer, gen_error *err)
{
    if (writer->direct) {
        gen_file_abandon(writer);
        return GEN_OK;
    }
    if (fsync(writer->fd) || rename(writer->temporary, writer->path)) {
        gen_status status = gen_file_fail(err, errno, "write", writer->path);
        gen_file_abandon(writer);
        return status;
    }
    sync_folder_of(writer->path);
    close(writer->fd);
    gen_free(writer);
    return GEN_OK;
}

gen_status gen_file_write(const char *path, const void *data, size_t size, gen_error *err)
{
    gen_file_writer *writer;
    GEN_TRY(gen_file_create(path, &writer, err));
    gen_status status = gen_file_put(writer, data, size, err);
    if (status == GEN_OK) return gen_file_commit(writer, err);
    gen_file_abandon(writer);
    return status;
}

/* ---- logs ---- */

struct gen_file_log {
    int fd;
    uint64_t size;
    char path[MAX_PATH];
};

gen_status gen_file_log_open(const char *path, gen_file_log **out, gen_error *err)
{
    struct stat info;
    if (strlen(path) >= MAX_PATH) return gen_file_fail(err, ENAMETOOLONG, "append to", path);
    gen_file_log *log = gen_alloc(1, sizeof *log);
    if (!log) return gen_fail(err, GEN_NO_MEMORY, "no memory to append to '%s'", path);
    memcpy(log->path, path, strlen(path) + 1);
    log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log->fd < 0 || fstat(log->fd, &info)) {
        gen_status status = gen_file_fail(err, errno, "append to", path);
        if (log->fd >= 0) close(log->fd);
        gen_free(log);
        return status;
    }
    log->size = (uint64_t)info.st_size;
    *out = log;
    return GEN_OK;
}

/* A write that fails half way is taken back, so that the file never ends in half a record. */
gen_status gen_file_log_write(gen_file_log *log, const void *data, size_t size, gen_error *err)
{
    gen_status status = write_fully(log->fd, log->path, data, size, err);
    if (status == GEN_OK) log->size += size;
    else if (ftruncate(log->fd, (off_t)log->size))
        return status; /* then the reader meets a cut record, which it knows */
    return status;
}

gen_status gen_file_log_sync(gen_file_log *log, gen_error *err)
{
    return fsync(log->fd) ? gen_file_fail(err, errno, "write", log->path) : GEN_OK;
}

gen_status gen_file_log_cut(gen_file_log *log, uint64_t size_bytes, gen_error *err)
{
    if (ftruncate(log->fd, (off_t)size_bytes)) return gen_file_fail(err, errno, "cut", log->path);
    log->size = size_bytes;
    return GEN_OK;
}

uint64_t gen_file_log_size(const gen_file_log *log)
{
    return log->size;
}

void gen_file_log_close(gen_file_log *log)
{
    if (!log) return;
    close(log->fd);
    gen_free(log);
}

gen_status gen_file_truncate(const char *path, uint64_t size_bytes, gen_error *err)
{
    struct stat info;
    if (stat(path, &info)) return gen_file_fail(err, errno, "cut", path);
    if ((uint64_t)info.st_size < size_bytes)
        return gen_fail(err, GEN_IO, "cannot cut '%s' at byte %llu: it has only %llu", path,
                        (unsigned long long)size_bytes, (unsigned long long)info.st_size);
    return truncate(path, (off_t)size_bytes) ? gen_file_fail(err, errno, "cut", path) : GEN_OK;
}

gen_status gen_file_rename(const char *from, const char *to, gen_error *err)
{
    if (rename(from, to)) return gen_file_fail(err, errno, "rename to", to);
    sync_folder_of(to);
    return GEN_OK;
}

gen_status gen_file_remove(const char *path, gen_error *err)
{
    return unlink(path) && errno != ENOENT ? gen_file_fail(err, errno, "remove", path) : GEN_OK;
}
