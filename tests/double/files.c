/*
 * Other files under well-known names, for LD_PRELOAD under a dynamically linked program: what a
 * test needs to be /proc/swaps, /dev/termination-log or below /sys.
 *
 *   DOUBLE_FILES         from=to:from=to …  exact paths from '/'; an empty "to" makes the file
 * missing DOUBLE_STATFS_PATH   a directory; statfs and fstatfs of it and of what is below it …
 *   DOUBLE_STATFS_TYPE   … say this f_type, in hexadecimal
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PUBLIC           __attribute__((visibility("default")))
#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))
#define MISSING          "/nonexistent/double"

/* Up to the ':' that the next path or nothing follows: paths below /sys/dev have a ':' of their
 * own. */
static size_t entry_size(const char *at)
{
    size_t n = strcspn(at, ":");
    while (at[n] == ':' && at[n + 1] != '/' && at[n + 1] != '\0')
        n += 1 + strcspn(at + n + 1, ":");
    return n;
}

/* PATH, or what stands for it; ROOM holds the text. */
static const char *swap(const char *path, char room[PATH_MAX])
{
    const char *list = getenv("DOUBLE_FILES");
    size_t size = path == NULL ? 0 : strlen(path);
    for (const char *at = list; at != NULL && *at != '\0' && size > 0;) {
        size_t n = entry_size(at), from = strcspn(at, "=");
        if (from == size && from < n && memcmp(at, path, size) == 0) {
            int length = (int)(n - from - 1);
            (void)snprintf(room, PATH_MAX, "%.*s", length, at + from + 1);
            return length > 0 ? room : MISSING;
        }
        at += n + (at[n] == ':');
    }
    return path;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

#define PLAY_OPEN(name)                                                                            \
    PUBLIC int name(const char *path, int flags, ...);                                             \
    PUBLIC int name(const char *path, int flags, ...)                                              \
    {                                                                                              \
        char room[PATH_MAX];                                                                       \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = mode_of(flags, arguments);                                                   \
        va_end(arguments);                                                                         \
        return REAL(int (*)(const char *, int, ...), #name)(swap(path, room), flags, mode);        \
    }
PLAY_OPEN(open)
PLAY_OPEN(open64)

#define PLAY_OPENAT(name)                                                                          \
    PUBLIC int name(int at, const char *path, int flags, ...);                                     \
    PUBLIC int name(int at, const char *path, int flags, ...)                                      \
    {                                                                                              \
        char room[PATH_MAX];                                                                       \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = mode_of(flags, arguments);                                                   \
        va_end(arguments);                                                                         \
        return REAL(int (*)(int, const char *, int, ...), #name)(at, swap(path, room), flags,      \
                                                                 mode);                            \
    }
PLAY_OPENAT(openat)
PLAY_OPENAT(openat64)

/* Functions whose first argument is the path. */
#define PLAY_PATH(result, name, parameters, types, ...)                                            \
    PUBLIC result name parameters;                                                                 \
    PUBLIC result name parameters                                                                  \
    {                                                                                              \
        char room[PATH_MAX];                                                                       \
        return REAL(result(*) types, #name)(swap(path, room) __VA_OPT__(, ) __VA_ARGS__);          \
    }
PLAY_PATH(int, __open_2, (const char *path, int flags), (const char *, int), flags)
PLAY_PATH(int, __open64_2, (const char *path, int flags), (const char *, int), flags)
PLAY_PATH(int, access, (const char *path, int mode), (const char *, int), mode)
PLAY_PATH(int, stat, (const char *path, struct stat *out), (const char *, struct stat *), out)
PLAY_PATH(int, stat64, (const char *path, struct stat64 *out), (const char *, struct stat64 *), out)
PLAY_PATH(int, lstat, (const char *path, struct stat *out), (const char *, struct stat *), out)
PLAY_PATH(int, lstat64, (const char *path, struct stat64 *out), (const char *, struct stat64 *),
          out)
PLAY_PATH(FILE *, fopen, (const char *path, const char *mode), (const char *, const char *), mode)
PLAY_PATH(FILE *, fopen64, (const char *path, const char *mode), (const char *, const char *), mode)
PLAY_PATH(DIR *, opendir, (const char *path), (const char *))
PLAY_PATH(ssize_t, readlink, (const char *path, char *out, size_t size),
          (const char *, char *, size_t), out, size)

/* Functions whose second argument is the path. */
#define PLAY_AT(name, parameters, types, ...)                                                      \
    PUBLIC int name parameters;                                                                    \
    PUBLIC int name parameters                                                                     \
    {                                                                                              \
        char room[PATH_MAX];                                                                       \
        return REAL(int(*) types, #name)(at, swap(path, room), __VA_ARGS__);                       \
    }
PLAY_AT(__openat_2, (int at, const char *path, int flags), (int, const char *, int), flags)
PLAY_AT(__openat64_2, (int at, const char *path, int flags), (int, const char *, int), flags)
PLAY_AT(faccessat, (int at, const char *path, int mode, int flags), (int, const char *, int, int),
        mode, flags)
PLAY_AT(fstatat, (int at, const char *path, struct stat *out, int flags),
        (int, const char *, struct stat *, int), out, flags)
PLAY_AT(fstatat64, (int at, const char *path, struct stat64 *out, int flags),
        (int, const char *, struct stat64 *, int), out, flags)
PLAY_AT(statx, (int at, const char *path, int flags, unsigned mask, struct statx *out),
        (int, const char *, int, unsigned, struct statx *), flags, mask, out)

/* ---- the type of a file system ---- */

static bool is_below(const char *path)
{
    const char *root = getenv("DOUBLE_STATFS_PATH");
    size_t size = root == NULL ? 0 : strlen(root);
    return size > 0 && strncmp(path, root, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

static long type_of(const char *path, long type)
{
    const char *wish = getenv("DOUBLE_STATFS_TYPE");
    return wish != NULL && is_below(path) ? (long)strtoul(wish, NULL, 16) : type;
}

#define PLAY_STATFS(name, descriptor_name, type)                                                   \
    PUBLIC int name(const char *path, struct type *out);                                           \
    PUBLIC int name(const char *path, struct type *out)                                            \
    {                                                                                              \
        char room[PATH_MAX];                                                                       \
        int result = REAL(int (*)(const char *, struct type *), #name)(swap(path, room), out);     \
        if (result == 0)                                                                           \
            out->f_type = type_of(path, out->f_type);                                              \
        return result;                                                                             \
    }                                                                                              \
    PUBLIC int descriptor_name(int fd, struct type *out);                                          \
    PUBLIC int descriptor_name(int fd, struct type *out)                                           \
    {                                                                                              \
        char link[64], path[PATH_MAX] = "";                                                        \
        int result = REAL(int (*)(int, struct type *), #descriptor_name)(fd, out);                 \
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);                                \
        long size = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof(path) - 1);               \
        if (result == 0 && size > 0)                                                               \
            out->f_type = type_of(path, out->f_type);                                              \
        return result;                                                                             \
    }
PLAY_STATFS(statfs, fstatfs, statfs)
PLAY_STATFS(statfs64, fstatfs64, statfs64)
