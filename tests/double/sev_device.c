/*
 * A stand-in for SEV-SNP firmware, for LD_PRELOAD under a dynamically linked program:
 * /dev/sev-guest, /dev/sev and configfs-tsm. It checks requests as the kernels do and signs reports
 * with a worthless test key.
 *
 *   DOUBLE_SEV         which exist: a comma list of guest, sev, tsm. The others do not, whatever
 * the machine has. DOUBLE_SEV_KEY     PEM file with the P-384 private key that plays the VCEK
 *   DOUBLE_SEV_REPORT  1184 bytes: the report to fill in (report data, VMPL) and sign
 *   DOUBLE_SEV_FAIL    throttle:N  the first N requests of each open device (or entry) fail with
 * EAGAIN busy:N      … with EIO and the host error "busy" (/dev/sev-guest only) status:N    the
 * firmware answers with status N and no report size:N      the firmware says that the report has N
 * bytes eio         requests fail with EIO data        the report is over other data than asked
 *                      provider, generation   (tsm) another provider; a foreign write to the entry
 *   DOUBLE_SEV_LOG     a file that gets one line per signed report and per descriptor or entry left
 * open at exit
 *
 * All variables are read at each call, so a test can change them on its way.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define TSM_ROOT     "/sys/kernel/config/tsm/report"
#define REPORT_SIZE  1184
#define SIGNED_SIZE  672
#define NUMBER_SIZE  72
#define REQUEST_SIZE 96
#define ENTRIES      8
#define DESCRIPTORS  32
#define PUBLIC       __attribute__((visibility("default")))

enum what { NOTHING, GUEST, SEV, TSM_INBLOB, TSM_OTHER };

struct entry {
    char name[64];
    uint8_t inblob[64];
    bool written;
    unsigned generation, failures;
};

struct descriptor {
    int fd;
    enum what what;
    struct entry *entry;
    unsigned failures;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry entries[ENTRIES];
static struct descriptor descriptors[DESCRIPTORS];

/* The next library's function of the same name. */
#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))

/* ---- settings ---- */

static bool plays(const char *word)
{
    const char *list = getenv("DOUBLE_SEV");
    size_t size = strlen(word);
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t n = strcspn(at, ",");
        if (n == size && memcmp(at, word, n) == 0)
            return true;
        at += n + (at[n] == ',');
    }
    return false;
}

/* True if DOUBLE_SEV_FAIL is WORD or WORD:N; N goes to NUMBER. */
static bool fails(const char *word, unsigned *number)
{
    const char *wish = getenv("DOUBLE_SEV_FAIL");
    size_t size = strlen(word);
    if (wish == NULL || strncmp(wish, word, size) != 0)
        return false;
    if (wish[size] == ':')
        *number = (unsigned)strtoul(wish + size + 1, NULL, 0);
    return wish[size] == ':' || wish[size] == '\0';
}

/* The first N requests of a descriptor or an entry fail; COUNT counts them. */
static bool fails_now(const char *word, unsigned *count)
{
    unsigned n = 0;
    if (!fails(word, &n))
        return false;
    return (*count)++ < n;
}

static void note(const char *text)
{
    const char *path = getenv("DOUBLE_SEV_LOG");
    int fd = path == NULL ? -1
                          : (int)syscall(SYS_openat, AT_FDCWD, path,
                                         O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    (void)syscall(SYS_write, fd, text, strlen(text));
    (void)syscall(SYS_close, fd);
}

/* ---- the firmware ---- */

static bool template_read(uint8_t report[REPORT_SIZE])
{
    const char *path = getenv("DOUBLE_SEV_REPORT");
    FILE *f = path == NULL ? NULL : fopen(path, "rb");
    bool good = f != NULL && fread(report, 1, REPORT_SIZE, f) == REPORT_SIZE;
    if (f != NULL)
        (void)fclose(f);
    return good;
}

static EVP_PKEY *key_read(void)
{
    const char *path = getenv("DOUBLE_SEV_KEY");
    FILE *f = path == NULL ? NULL : fopen(path, "rb");
    EVP_PKEY *key = f == NULL ? NULL : PEM_read_PrivateKey(f, NULL, NULL, NULL);
    if (f != NULL)
        (void)fclose(f);
    return key;
}

static bool numbers_write(const unsigned char *der, size_t size, uint8_t *out)
{
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)size);
    bool good =
        signature != NULL &&
        BN_bn2lebinpad(ECDSA_SIG_get0_r(signature), out, NUMBER_SIZE) == NUMBER_SIZE &&
        BN_bn2lebinpad(ECDSA_SIG_get0_s(signature), out + NUMBER_SIZE, NUMBER_SIZE) == NUMBER_SIZE;
    ECDSA_SIG_free(signature);
    return good;
}

static bool report_sign(uint8_t report[REPORT_SIZE])
{
    unsigned char der[256];
    size_t size = sizeof(der);
    EVP_PKEY *key = key_read();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = key != NULL && context != NULL &&
                EVP_DigestSignInit(context, NULL, EVP_sha384(), NULL, key) == 1 &&
                EVP_DigestSign(context, der, &size, report, SIGNED_SIZE) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    memset(report + SIGNED_SIZE, 0, REPORT_SIZE - SIGNED_SIZE);
    return good && numbers_write(der, size, report + SIGNED_SIZE);
}

/* 0 or errno. */
static int report_make(const uint8_t data[64], uint32_t vmpl, uint8_t report[REPORT_SIZE])
{
    unsigned ignored = 0;
    if (!template_read(report)) {
        (void)fprintf(stderr, "double_sev_device: cannot read DOUBLE_SEV_REPORT\n");
        return EIO;
    }
    memcpy(report + 80, data, 64);
    memcpy(report + 48, &vmpl, sizeof(vmpl));
    if (fails("data", &ignored))
        report[80] ^= 1;
    if (!report_sign(report)) {
        (void)fprintf(stderr, "double_sev_device: cannot sign with DOUBLE_SEV_KEY\n");
        return EIO;
    }
    note("report\n");
    return 0;
}

/* MSG_REPORT_REQ to MSG_REPORT_RSP. */
static int firmware(const uint8_t *request, uint8_t *response, size_t room)
{
    static const uint8_t zero[24];
    uint8_t report[REPORT_SIZE] = {0};
    uint32_t vmpl, key_select, status = 0, size = REPORT_SIZE;
    unsigned wish = 0;
    memcpy(&vmpl, request + 64, 4);
    memcpy(&key_select, request + 68, 4);
    if (vmpl > 3 || key_select > 2 || memcmp(request + 72, zero, sizeof(zero)) != 0)
        status = 0x16; /* INVALID_PARAM */
    if (fails("status", &wish))
        status = wish;
    if (fails("size", &wish))
        size = wish;
    memset(response, 0, room);
    memcpy(response, &status, 4);
    if (status != 0)
        return 0;
    int number = report_make(request, vmpl, report);
    memcpy(response + 4, &size, 4);
    memcpy(response + 32, report, REPORT_SIZE);
    return number;
}

/* ---- the two ioctls ---- */

static int call_guest(uint8_t *call, unsigned *failures)
{
    uint64_t request, response;
    unsigned ignored = 0;
    memcpy(&request, call + 8, 8);
    memcpy(&response, call + 16, 8);
    memset(call + 24, 0xff, 4); /* as the kernel does before it knows better */
    memset(call + 28, 0, 4);
    if (call[0] != 1 || request == 0 || response == 0)
        return EINVAL;
    if (fails_now("throttle", failures))
        return EAGAIN;
    if (fails_now("busy", failures)) {
        call[28] = 2;
        return EIO;
    }
    if (fails("eio", &ignored))
        return EIO;
    memset(call + 24, 0, 8);
    return firmware((const uint8_t *)(uintptr_t)request, (uint8_t *)(uintptr_t)response, 4000);
}

static int call_sev(uint8_t *call, unsigned *failures)
{
    uint16_t request_size, response_size;
    uint64_t request, response;
    unsigned ignored = 0;
    memcpy(&request_size, call + 4, 2);
    memcpy(&request, call + 8, 8);
    memcpy(&response_size, call + 16, 2);
    memcpy(&response, call + 24, 8);
    if (call[0] != 5 || call[1] != 6 || call[2] != 1 || request == 0 || response == 0)
        return EINVAL;
    if (request_size != REQUEST_SIZE || response_size < 1280)
        return EINVAL;
    if (fails_now("throttle", failures))
        return EAGAIN;
    if (fails("eio", &ignored))
        return EIO;
    return firmware((const uint8_t *)(uintptr_t)request, (uint8_t *)(uintptr_t)response, 1280);
}

/* ---- descriptors ---- */

static struct descriptor *find(int fd)
{
    for (size_t i = 0; i < DESCRIPTORS; i++)
        if (descriptors[i].what != NOTHING && descriptors[i].fd == fd)
            return &descriptors[i];
    return NULL;
}

static int give(enum what what, struct entry *entry, const void *content, size_t size)
{
    int fd = (int)syscall(SYS_memfd_create, "double", MFD_CLOEXEC);
    if (fd >= 0 && size > 0) {
        (void)syscall(SYS_write, fd, content, size);
        (void)syscall(SYS_lseek, fd, 0, SEEK_SET);
    }
    for (size_t i = 0; fd >= 0 && i < DESCRIPTORS; i++)
        if (descriptors[i].what == NOTHING) {
            descriptors[i] = (struct descriptor){fd, what, entry, 0};
            return fd;
        }
    errno = EMFILE;
    return -1;
}

__attribute__((destructor)) static void complain(void)
{
    for (size_t i = 0; i < DESCRIPTORS; i++)
        if (descriptors[i].what != NOTHING)
            note("left open: a descriptor\n");
    for (size_t i = 0; i < ENTRIES; i++)
        if (entries[i].name[0] != '\0')
            note("left behind: an entry\n");
}

/* ---- configfs-tsm ---- */

/* The part of PATH below the root, or NULL. */
static const char *below_root(const char *path)
{
    size_t size = strlen(TSM_ROOT);
    if (strncmp(path, TSM_ROOT, size) != 0)
        return NULL;
    return path[size] == '/' ? path + size + 1 : NULL;
}

static struct entry *entry_find(const char *name, size_t size)
{
    for (size_t i = 0; i < ENTRIES; i++)
        if (strlen(entries[i].name) == size && size > 0 && memcmp(entries[i].name, name, size) == 0)
            return &entries[i];
    return NULL;
}

static int outblob(struct entry *entry)
{
    uint8_t report[REPORT_SIZE] = {0};
    unsigned size = REPORT_SIZE;
    unsigned ignored = 0;
    int number = entry->written ? 0 : EINVAL;
    if (number == 0 && fails_now("throttle", &entry->failures))
        number = EAGAIN;
    if (number == 0 && (fails("eio", &ignored) || fails("status", &ignored)))
        number = EIO;
    if (number == 0)
        number = report_make(entry->inblob, 0, report);
    if (number != 0) {
        errno = number;
        return -1;
    }
    (void)fails("size", &size);
    if (fails("generation", &ignored))
        entry->generation++;
    return give(TSM_OTHER, entry, report, size < REPORT_SIZE ? size : REPORT_SIZE);
}

static int tsm_open(const char *rest, int flags)
{
    size_t n = strcspn(rest, "/");
    struct entry *entry = entry_find(rest, n);
    const char *name = rest[n] == '/' ? rest + n + 1 : "";
    bool writing = (flags & O_ACCMODE) == O_WRONLY;
    char text[32];
    unsigned ignored = 0;
    if (entry != NULL && strcmp(name, "inblob") == 0 && writing)
        return give(TSM_INBLOB, entry, NULL, 0);
    if (entry != NULL && strcmp(name, "outblob") == 0 && !writing)
        return outblob(entry);
    if (entry != NULL && strcmp(name, "provider") == 0 && !writing) {
        const char *provider = fails("provider", &ignored) ? "tdx_guest\n" : "sev_guest\n";
        return give(TSM_OTHER, entry, provider, strlen(provider));
    }
    if (entry != NULL && strcmp(name, "generation") == 0 && !writing) {
        (void)snprintf(text, sizeof(text), "%u\n", entry->generation);
        return give(TSM_OTHER, entry, text, strlen(text));
    }
    errno = entry == NULL ? ENOENT : EACCES;
    return -1;
}

/* ---- which names are ours ---- */

/* 1: it is ours and exists, 0: it is ours and does not, -1: not ours. */
static int exists(const char *path)
{
    if (getenv("DOUBLE_SEV") == NULL || path == NULL)
        return -1;
    if (strcmp(path, "/dev/sev-guest") == 0)
        return plays("guest");
    if (strcmp(path, "/dev/sev") == 0)
        return plays("sev");
    if (strcmp(path, TSM_ROOT) == 0)
        return plays("tsm");
    const char *rest = below_root(path);
    if (rest == NULL)
        return -1;
    return plays("tsm") && entry_find(rest, strcspn(rest, "/")) != NULL;
}

/* True if the call is answered here; the answer goes to RESULT. */
static bool open_ours(const char *path, int flags, int *result)
{
    int there = exists(path);
    if (there < 0)
        return false;
    pthread_mutex_lock(&lock);
    const char *rest = below_root(path);
    errno = there ? EISDIR : ENOENT;
    *result = -1;
    if (there && rest != NULL)
        *result = tsm_open(rest, flags);
    else if (there && strcmp(path, TSM_ROOT) != 0)
        *result = give(strcmp(path, "/dev/sev") == 0 ? SEV : GUEST, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    return true;
}

static bool stat_ours(const char *path, struct stat *out, int *result)
{
    int there = exists(path);
    if (there < 0)
        return false;
    *result = there ? 0 : -1;
    if (!there) {
        errno = ENOENT;
        return true;
    }
    memset(out, 0, sizeof(*out));
    bool device = strncmp(path, "/dev/", 5) == 0;
    out->st_mode = device ? S_IFCHR | 0660 : S_IFDIR | 0755;
    out->st_rdev = device ? makedev(10, 124) : 0;
    return true;
}

/* ---- the functions that are played ---- */

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

#define PLAY_OPEN(name)                                                                            \
    PUBLIC int name(const char *path, int flags, ...);                                             \
    PUBLIC int name(const char *path, int flags, ...)                                              \
    {                                                                                              \
        int result;                                                                                \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = mode_of(flags, arguments);                                                   \
        va_end(arguments);                                                                         \
        if (open_ours(path, flags, &result))                                                       \
            return result;                                                                         \
        return REAL(int (*)(const char *, int, ...), #name)(path, flags, mode);                    \
    }
PLAY_OPEN(open)
PLAY_OPEN(open64)

#define PLAY_OPENAT(name)                                                                          \
    PUBLIC int name(int at, const char *path, int flags, ...);                                     \
    PUBLIC int name(int at, const char *path, int flags, ...)                                      \
    {                                                                                              \
        int result;                                                                                \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = mode_of(flags, arguments);                                                   \
        va_end(arguments);                                                                         \
        if (open_ours(path, flags, &result))                                                       \
            return result;                                                                         \
        return REAL(int (*)(int, const char *, int, ...), #name)(at, path, flags, mode);           \
    }
PLAY_OPENAT(openat)
PLAY_OPENAT(openat64)

#define PLAY_OPEN_2(name)                                                                          \
    PUBLIC int name(const char *path, int flags);                                                  \
    PUBLIC int name(const char *path, int flags)                                                   \
    {                                                                                              \
        int result;                                                                                \
        if (open_ours(path, flags, &result))                                                       \
            return result;                                                                         \
        return REAL(int (*)(const char *, int), #name)(path, flags);                               \
    }
PLAY_OPEN_2(__open_2)
PLAY_OPEN_2(__open64_2)

#define PLAY_OPENAT_2(name)                                                                        \
    PUBLIC int name(int at, const char *path, int flags);                                          \
    PUBLIC int name(int at, const char *path, int flags)                                           \
    {                                                                                              \
        int result;                                                                                \
        if (open_ours(path, flags, &result))                                                       \
            return result;                                                                         \
        return REAL(int (*)(int, const char *, int), #name)(at, path, flags);                      \
    }
PLAY_OPENAT_2(__openat_2)
PLAY_OPENAT_2(__openat64_2)

PUBLIC int access(const char *path, int mode)
{
    struct stat s;
    int result;
    if (stat_ours(path, &s, &result))
        return result;
    return REAL(int (*)(const char *, int), "access")(path, mode);
}

PUBLIC int faccessat(int at, const char *path, int mode, int flags)
{
    struct stat s;
    int result;
    if (stat_ours(path, &s, &result))
        return result;
    return REAL(int (*)(int, const char *, int, int), "faccessat")(at, path, mode, flags);
}

#define PLAY_STAT(name, type)                                                                      \
    PUBLIC int name(const char *path, struct type *out);                                           \
    PUBLIC int name(const char *path, struct type *out)                                            \
    {                                                                                              \
        int result;                                                                                \
        if (stat_ours(path, (struct stat *)out, &result))                                          \
            return result;                                                                         \
        return REAL(int (*)(const char *, struct type *), #name)(path, out);                       \
    }
PLAY_STAT(stat, stat)
PLAY_STAT(stat64, stat64)
PLAY_STAT(lstat, stat)
PLAY_STAT(lstat64, stat64)

PUBLIC int fstatat(int at, const char *path, struct stat *out, int flags)
{
    int result;
    if (stat_ours(path, out, &result))
        return result;
    return REAL(int (*)(int, const char *, struct stat *, int), "fstatat")(at, path, out, flags);
}

PUBLIC int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    pthread_mutex_lock(&lock);
    struct descriptor *d = find(fd);
    enum what what = d == NULL ? NOTHING : d->what;
    int number = ENOTTY;
    if (what == GUEST && request == 0xC0205300UL)
        number = call_guest(argument, &d->failures);
    else if (what == SEV && request == 0xC0285301UL)
        number = call_sev(argument, &d->failures);
    pthread_mutex_unlock(&lock);
    if (what == NOTHING)
        return REAL(int (*)(int, unsigned long, ...), "ioctl")(fd, request, argument);
    errno = number;
    return number == 0 ? 0 : -1;
}

PUBLIC ssize_t write(int fd, const void *data, size_t size)
{
    pthread_mutex_lock(&lock);
    struct descriptor *d = find(fd);
    bool ours = d != NULL && d->what == TSM_INBLOB;
    bool good = ours && size == sizeof(d->entry->inblob);
    if (good) {
        memcpy(d->entry->inblob, data, size);
        d->entry->written = true;
        d->entry->generation++;
    }
    pthread_mutex_unlock(&lock);
    if (!ours)
        return REAL(ssize_t(*)(int, const void *, size_t), "write")(fd, data, size);
    errno = good ? 0 : EINVAL;
    return good ? (ssize_t)size : -1;
}

PUBLIC int close(int fd)
{
    pthread_mutex_lock(&lock);
    struct descriptor *d = find(fd);
    if (d != NULL)
        *d = (struct descriptor){0};
    pthread_mutex_unlock(&lock);
    return REAL(int (*)(int), "close")(fd);
}

PUBLIC int mkdir(const char *path, mode_t mode)
{
    const char *name = getenv("DOUBLE_SEV") == NULL ? NULL : below_root(path);
    if (name == NULL)
        return REAL(int (*)(const char *, mode_t), "mkdir")(path, mode);
    int number = plays("tsm") ? ENOSPC : ENOENT;
    pthread_mutex_lock(&lock);
    if (number == ENOSPC && entry_find(name, strlen(name)) != NULL)
        number = EEXIST;
    for (size_t i = 0; number == ENOSPC && i < ENTRIES; i++)
        if (entries[i].name[0] == '\0' && strlen(name) < sizeof(entries[i].name)) {
            entries[i] = (struct entry){0};
            (void)snprintf(entries[i].name, sizeof(entries[i].name), "%s", name);
            number = 0;
        }
    pthread_mutex_unlock(&lock);
    errno = number;
    return number == 0 ? 0 : -1;
}

PUBLIC int rmdir(const char *path)
{
    const char *name = getenv("DOUBLE_SEV") == NULL ? NULL : below_root(path);
    if (name == NULL)
        return REAL(int (*)(const char *), "rmdir")(path);
    pthread_mutex_lock(&lock);
    struct entry *entry = entry_find(name, strlen(name));
    if (entry != NULL)
        entry->name[0] = '\0';
    pthread_mutex_unlock(&lock);
    errno = ENOENT;
    return entry != NULL ? 0 : -1;
}
