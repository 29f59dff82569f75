/* Folders, paths, links and the lock of a run folder. */
#define _DEFAULT_SOURCE /* flock */
#include "io/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PATH = 4096, MAX_DEPTH = 32 };

/* ---- paths ---- */

int gen_path_exists(const char *path)
{
    struct stat info;
    return !stat(path, &info);
}

int gen_path_is_folder(const char *path)
{
    struct stat info;
    return !stat(path, &info) && S_ISDIR(info.st_mode);
}

const char *gen_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *gen_path_extension(const char *path)
{
    const char *base = gen_path_base(path), *dot = strrchr(base, '.');
    return dot && dot != base ? dot + 1 : "";
}

int gen_path_has_extension(const char *path, const char *word)
{
    const char *a = gen_path_extension(path), *b = word;
    while (*a && tolower((unsigned char)*a) == tolower((unsigned char)*b)) a++, b++;
    return !*a && !*b;
}

char *gen_path_join(gen_arena *arena, const char *folder, const char *name)
{
    size_t n = strlen(folder);
    if (name[0] == '/' || !n) return gen_arena_strdup(arena, name);
    return gen_arena_printf(arena, "%s%s%s", folder, folder[n - 1] == '/' ? "" : "/", name);
}

/* ---- making and listing ---- */

static gen_status make_one(const char *path, gen_error *err)
{
    if (!mkdir(path, 0777)) return GEN_OK;
    int error_number = errno; /* EEXIST, but also EROFS or EACCES on parents that are there */
    return gen_path_is_folder(path) ? GEN_OK : gen_file_fail(err, error_number, "make the folder", path);
}

gen_status gen_folder_make(const char *path, gen_error *err)
{
    char part[MAX_PATH];
    size_t n = strlen(path);
    if (!n || n >= sizeof part) return gen_file_fail(err, n ? ENAMETOOLONG : ENOENT, "make the folder", path);
    for (size_t i = 1; i < n; i++) {
        if (path[i] != '/') continue;
        memcpy(part, path, i);
        part[i] = 0;
        GEN_TRY(make_one(part, err));
    }
    return make_one(path, err);
}

typedef struct listing {
    gen_arena *arena;
    char **path;
    size_t n, room;
    int recursive, want_folders;
} listing;

typedef struct ancestor { /* to see a link that leads back up */
    const struct ancestor *up;
    dev_t device;
    ino_t inode;
} ancestor;

static gen_status listing_add(listing *list, char *path, gen_error *err)
{
    if (list->n == list->room) {
        size_t room = list->room ? list->room * 2 : 64;
        char **grown = gen_arena_alloc(list->arena, room * sizeof *grown);
        if (!grown) return gen_fail(err, GEN_NO_MEMORY, "no memory for a list of %zu file names", room);
        if (list->n) memcpy(grown, list->path, list->n * sizeof *grown);
        list->path = grown, list->room = room;
    }
    list->path[list->n++] = path;
    return GEN_OK;
}

static gen_status list_folder(listing *list, const char *folder, const char *prefix, const ancestor *up, int depth,
                              gen_error *err);

static gen_status list_entry(listing *list, const char *folder, const char *prefix, const char *name,
                             const ancestor *here, int depth, gen_error *err)
{
    struct stat info;
    char *full = gen_path_join(list->arena, folder, name), *relative = gen_path_join(list->arena, prefix, name);
    if (!full || !relative) return gen_fail(err, GEN_NO_MEMORY, "no memory for the names in '%s'", folder);
    if (stat(full, &info)) return GEN_OK; /* a dangling link, or gone since */
    int is_folder = S_ISDIR(info.st_mode);
    if (list->want_folders ? is_folder : S_ISREG(info.st_mode)) return listing_add(list, relative, err);
    if (!is_folder || !list->recursive || depth >= MAX_DEPTH) return GEN_OK;
    for (const ancestor *a = here; a; a = a->up)
        if (a->device == info.st_dev && a->inode == info.st_ino) return GEN_OK;
    return list_folder(list, full, relative, here, depth + 1, err);
}

static gen_status list_folder(listing *list, const char *folder, const char *prefix, const ancestor *up, int depth,
                              gen_error *err)
{
    struct stat info;
    DIR *dir = opendir(folder);
    if (!dir) return gen_file_fail(err, errno, "list", folder);
    ancestor here = { up, 0, 0 };
    if (!stat(folder, &info)) here.device = info.st_dev, here.inode = info.st_ino;
    gen_status status = GEN_OK;
    for (struct dirent *entry; status == GEN_OK && (entry = readdir(dir));)
        if (entry->d_name[0] != '.') status = list_entry(list, folder, prefix, entry->d_name, &here, depth, err);
    closedir(dir);
    return status;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static gen_status list_sorted(listing *list, const char *folder, gen_path_list *out, gen_error *err)
{
    GEN_TRY(list_folder(list, folder, "", NULL, 0, err));
    if (list->n) qsort(list->path, list->n, sizeof *list->path, compare_paths);
    *out = (gen_path_list){ list->path, list->n };
    return GEN_OK;
}

gen_status gen_folder_list(const char *folder, int recursive, gen_arena *arena, gen_path_list *out, gen_error *err)
{
    return list_sorted(&(listing){ .arena = arena, .recursive = recursive }, folder, out, err);
}

gen_status gen_folder_list_folders(const char *folder, gen_arena *arena, gen_path_list *out, gen_error *err)
{
    return list_sorted(&(listing){ .arena = arena, .want_folders = 1 }, folder, out, err);
}

/* ---- links and locks ---- */

gen_status gen_file_link(const char *target, const char *link_path, gen_error *err)
{
    char temporary[MAX_PATH];
    int n = snprintf(temporary, sizeof temporary, "%s.tmp-%ld", link_path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof temporary) return gen_file_fail(err, ENAMETOOLONG, "link", link_path);
    unlink(temporary); /* of an earlier process with our number */
    if (symlink(target, temporary)) return gen_file_fail(err, errno, "link", link_path);
    if (!rename(temporary, link_path)) return GEN_OK;
    gen_status status = gen_file_fail(err, errno, "link", link_path);
    unlink(temporary);
    return status;
}

struct gen_folder_lock {
    int fd;
};

static gen_status lock_file(int fd, const char *folder, gen_error *err)
{
    if (!flock(fd, LOCK_EX | LOCK_NB)) return GEN_OK;
    if (errno != EWOULDBLOCK) return gen_file_fail(err, errno, "lock", folder);
    return gen_fail(err, GEN_BUSY,
                    "'%s' is in use by another process; wait for it, stop it, or choose another folder with --out",
                    folder);
}

gen_status gen_folder_lock_take(const char *folder, gen_folder_lock **out, gen_error *err)
{
    char path[MAX_PATH];
    int n = snprintf(path, sizeof path, "%s/lock", folder);
    if (n < 0 || (size_t)n >= sizeof path) return gen_file_fail(err, ENAMETOOLONG, "lock", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return gen_file_fail(err, errno, "lock", path);
    gen_status status = lock_file(fd, folder, err);
    gen_folder_lock *lock = status == GEN_OK ? gen_alloc(1, sizeof *lock) : NULL;
    if (status == GEN_OK && !lock) status = gen_fail(err, GEN_NO_MEMORY, "no memory for the lock of '%s'", folder);
    if (!lock) {
        close(fd);
        return status;
    }
    lock->fd = fd;
    *out = lock;
    return GEN_OK;
}

void gen_folder_lock_release(gen_folder_lock *lock)
{
    if (!lock) return;
    close(lock->fd); /* the file stays: removing it would let two processes lock two different files of that name */
    gen_free(lock);
}
