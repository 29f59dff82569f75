/* io/file.h: whole files in and out. Reading is bounded; writing is atomic (a temporary file in the same folder, fsync,
 * rename), so that a full disk or a kill leaves the old file as it was. Only io/file.c and io/folder.c open files:
 * codecs work on memory.
 *
 *     gen_bytes png;
 *     GEN_TRY(gen_file_read("in.png", GEN_FILE_ANY_SIZE, arena, &png, err));
 *     GEN_TRY(gen_image_read(png.data, png.size, arena, &image, err));
 *     GEN_TRY(gen_file_write("out.png", png.data, png.size, err));
 */
#ifndef GEN_IO_FILE_H
#define GEN_IO_FILE_H

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_bytes {
    uint8_t *data;
    size_t size;
} gen_bytes;

#define GEN_FILE_ANY_SIZE SIZE_MAX

/* The file in the arena, followed by one zero byte that size does not count. GEN_NOT_FOUND when it is missing,
 * GEN_BAD_FILE when it is larger than limit_bytes, GEN_IO for a directory, no permission and the like. */
gen_status gen_file_read(const char *path, size_t limit_bytes, gen_arena *arena, gen_bytes *out, gen_error *err);

/* At most max_bytes from the start of the file, for looking at its first bytes. */
gen_status gen_file_read_start(const char *path, size_t max_bytes, gen_arena *arena, gen_bytes *out, gen_error *err);

/* The file in memory, read-only, until gen_file_unmap; the file must not shrink meanwhile. An empty file maps to size
 * 0. */
gen_status gen_file_map(const char *path, gen_bytes *out, gen_error *err);
void gen_file_unmap(gen_bytes *map);

/* Replaces path by these bytes, atomically. A path that is no regular file (a pipe, /dev/null) is written directly. */
gen_status gen_file_write(const char *path, const void *data, size_t size, gen_error *err);

/* The same in pieces. commit makes the file appear, abandon leaves what was there; both free the writer, commit also
 * when it fails. After a failed put call abandon. */
typedef struct gen_file_writer gen_file_writer;
gen_status gen_file_create(const char *path, gen_file_writer **out, gen_error *err);
gen_status gen_file_put(gen_file_writer *writer, const void *data, size_t size, gen_error *err);
gen_status gen_file_commit(gen_file_writer *writer, gen_error *err);
void gen_file_abandon(gen_file_writer *writer); /* accepts NULL */

/* A file that only grows, for logs. Each write reaches the kernel before the call returns; sync reaches the disk. */
typedef struct gen_file_log gen_file_log;
gen_status gen_file_log_open(const char *path, gen_file_log **out, gen_error *err);
gen_status gen_file_log_write(gen_file_log *log, const void *data, size_t size, gen_error *err);
gen_status gen_file_log_sync(gen_file_log *log, gen_error *err);
gen_status gen_file_log_cut(gen_file_log *log, uint64_t size_bytes, gen_error *err);
uint64_t gen_file_log_size(const gen_file_log *log); /* bytes in the file */
void gen_file_log_close(gen_file_log *log);          /* accepts NULL */

/* Cuts a file at size_bytes; GEN_IO when it is shorter. */
gen_status gen_file_truncate(const char *path, uint64_t size_bytes, gen_error *err);

gen_status gen_file_rename(const char *from, const char *to, gen_error *err); /* replaces to, then fsyncs its folder */
gen_status gen_file_remove(const char *path, gen_error *err);                 /* a missing file is no error */

/* Puts "path: " before the text of an error that came from a codec; returns status. */
gen_status gen_error_in_file(gen_error *err, const char *path, gen_status status);

/* Test hook: from now on only this many bytes can be written by all the functions above, then the disk is "full". 0 =
 * no limit. */
void gen_file_fail_write_at(uint64_t bytes);

/* ---- folders and paths (io/folder.c) ---- */

int gen_path_exists(const char *path);
int gen_path_is_folder(const char *path);
const char *gen_path_base(const char *path);                    /* after the last slash */
const char *gen_path_extension(const char *path);               /* after the last dot of the base, or "" */
int gen_path_has_extension(const char *path, const char *word); /* "png", upper or lower case */
char *gen_path_join(gen_arena *arena, const char *folder,
                    const char *name); /* name itself when it is absolute; NULL: no memory */

gen_status gen_folder_make(const char *path, gen_error *err); /* with its parents; an existing folder is fine */

typedef struct gen_path_list {
    char **path; /* relative to the folder, sorted by bytes */
    size_t n;
} gen_path_list;

/* The regular files of a folder, or the folders in it; names that start with a dot are left out, links are followed. */
gen_status gen_folder_list(const char *folder, int recursive, gen_arena *arena, gen_path_list *out, gen_error *err);
gen_status gen_folder_list_folders(const char *folder, gen_arena *arena, gen_path_list *out, gen_error *err);

/* link_path becomes a symbolic link to target (relative to the link's folder), replaced by rename: readers see the old
 * or the new. */
gen_status gen_file_link(const char *target, const char *link_path, gen_error *err);

/* folder/lock, held until unlock or the end of the process, even by kill -9. GEN_BUSY when somebody holds it. */
typedef struct gen_folder_lock gen_folder_lock;
gen_status gen_folder_lock_take(const char *folder, gen_folder_lock **out, gen_error *err);
void gen_folder_lock_release(gen_folder_lock *lock); /* accepts NULL */

/* The message for an errno value: path and reason, with the status that fits. For the files of io only. */
gen_status gen_file_fail(gen_error *err, int error_number, const char *doing, const char *path);

#ifdef __cplusplus
}
#endif
#endif
