/*
 * What an earlier run left on the volume: the text of ready.json and the journal of a killed run's
 * stage, both the input's. Mode 0 reads the lists alone, in memory; mode 1 opens a volume (below
 * /dev/shm, or TMPDIR) on which they lie, with two files there, and asks whether these can be kept.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "output/internal.h"

#define RECORDS 64

static const struct output_entry wanted = {.name = "a",
                                           .size = 5,
                                           .from = "https://contoso.blob.core.windows.net/data/a",
                                           .etag = "\"0x8D1\"",
                                           .envelope = "cse-2.0",
                                           .kid = "k",
                                           .content_key_sha256 = ""};

static int memory_of(struct span bytes)
{
    int fd = memfd_create("list", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size);
    return fd;
}

static void ready_read(struct span text)
{
    AUTO(descriptor_close) int fd = memory_of(text);
    AUTO(buf_free) struct buf object = BUF(RECORD_TEXT_MAX + 2);
    struct error e = {0};
    uint64_t at = 0, size = 0;
    bool last = false, same = false;
    if (!ready_begin(fd, &at))
        return;
    for (int n = 0; n < RECORDS && !last; n++) {
        uint64_t before = at;
        if (!ready_next(fd, &at, &object, &last))
            return;
        must(at > before && at <= text.size);
        struct span start = entry_start_of(buf_span(&object));
        must(start.size <= object.size);
        must(entry_matches(buf_span(&object), &wanted, &same, &size, &e) == OK);
        must(!same || (start.size > 0 && size <= INT64_MAX));
    }
}

static void journal_read_all(struct span bytes)
{
    struct journal j = {.fd = memory_of(bytes), .size = bytes.size};
    AUTO(record_free) struct record r = RECORD_EMPTY;
    struct error e = {0};
    uint64_t at = 0;
    int n = 0;
    for (; n < RECORDS && at < j.size; n++) {
        uint64_t before = at;
        if (journal_next(&j, &at, &r, &e) != OK)
            break;
        must(at > before && at <= j.size && strlen(r.name) <= NAME_SIZE);
        uint64_t back = at;
        must(journal_previous(&j, &back, &r, &e) == OK && back == before);
    }
    at = j.size;
    while (n-- > 0 && journal_previous(&j, &at, &r, &e) == OK)
        must(at < j.size);
    journal_close(&j);
}

/* ---- On a volume ---- */

static char root[256];

static void path_of(char out[static 512], const char *name)
{
    (void)snprintf(out, 512, "%s/%s", root, name);
}

static void root_remove(void)
{
    (void)tree_remove(AT_FDCWD, root);
}

static void root_open(void)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    if (root[0] != '\0')
        return;
    (void)snprintf(root, sizeof root, "%s/decant-fuzz-XXXXXX", base != NULL ? base : "/tmp");
    must(mkdtemp(root) != NULL);
    must(atexit(root_remove) == 0);
}

/* Its time is later than that of any file so far. */
static void file_put(const char *name, struct span bytes, mode_t mode)
{
    char path[512];
    const struct timespec later[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};
    path_of(path, name);
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size);
    must(futimens(fd, later) == 0 && fchmod(fd, mode) == 0);
    (void)close(fd);
}

static void directory_put(const char *name)
{
    char path[512];
    path_of(path, name);
    (void)mkdir(path, 0700);
}

/* A journal as a killed run leaves it, TITLE and all, with the input's bytes behind, or one whole
 * record. */
static void stage_put(struct span records, bool genuine, bool foreign)
{
    char path[512];
    struct stat st;
    AUTO(buf_free) struct buf object = BUF(RECORD_TEXT_MAX);
    struct error e = {0};
    struct journal j = {.fd = -1};
    directory_put(".decant/stage");
    directory_put(".decant/stage/tree");
    file_put(".decant/stage/tree/b", SPAN_LITERAL("12345"), 0440);
    path_of(path, ".decant/stage");
    AUTO(descriptor_close) int stage = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(stage >= 0);
    (void)unlinkat(stage, JOURNAL_NAME, 0);
    must(journal_create(&j, stage, &e) == OK);
    struct output_entry b = wanted;
    b.name = "b";
    must(fstatat(stage, "tree/b", &st, 0) == 0 && entry_describe(&b, &object, &e) == OK);
    if (genuine)
        must(journal_append(&j, &(struct note){SEALED, "b", stamp_of(&st), buf_span(&object)},
                            &e) == OK);
    must(pwrite(j.fd, records.data, records.size, (off_t)j.size) == (ssize_t)records.size);
    if (foreign) /* a letter of the title, which names the boot */
        must(pwrite(j.fd, "?", 1, 64) == 1);
    journal_close(&j);
}

static void keep_try(struct volume *v, const char *name)
{
    struct output_entry entry = wanted;
    struct error e = {0};
    uint64_t size = 0;
    bool kept = false;
    entry.name = name;
    enum status status = output_keep(v, &entry, &kept, &size, &e);
    must_fail_as(status, &e, E_NAME);
    must(!kept || size == 5);
}

static void volume_try(struct span in, bool dry, bool genuine, bool foreign)
{
    AUTO(volume_close) struct volume *v = NULL;
    AUTO(chunk_free) struct chunk ready = take_chunk(&in);
    const struct volume_options options = {
        .path = root, .require = VOLUME_ANY, .mode = 0440, .uid = (uid_t)-1, .gid = (gid_t)-1};
    struct error e = {0};
    root_remove();
    must(mkdir(root, 0700) == 0);
    directory_put(".decant");
    file_put("a", SPAN_LITERAL("12345"), 0440);
    file_put(".decant/ready.json", chunk_span(&ready), 0440);
    stage_put(in, genuine, foreign);
    must(volume_open(&options, dry, &v, &e) == OK);
    keep_try(v, "a");
    keep_try(v, "b");
    keep_try(v, "a/b");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    uint8_t mode = take_byte(&in);
    if (mode % 4 == 0) {
        ready_read(in);
    } else if (mode % 4 == 1) {
        journal_read_all(in);
    } else {
        root_open();
        volume_try(in, (mode & 4) != 0, mode % 4 == 3, (mode & 8) != 0);
    }
    return 0;
}
