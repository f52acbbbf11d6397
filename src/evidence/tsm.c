/*
 * Reports through configfs (Documentation/ABI/testing/configfs-tsm, Linux 6.7): a directory of our
 * own, the report data into "inblob", the report out of "outblob". "generation" counts the writes:
 * one more than ours, and someone else has asked in our entry. The kernel and the host behind it
 * fill the files; the report is verified later.
 */
#include "evidence/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TSM_ROOT      "/sys/kernel/config/tsm/report"
#define PROVIDER      "sev_guest"
#define ENTRY_MAX     128
#define PATH_SIZE     (ENTRY_MAX + 16)
#define ATTRIBUTE_MAX 256
#define OUTBLOB_MAX   4096
#define RANDOM_SIZE   8

struct entry {
    char path[ENTRY_MAX]; /* "" before it exists */
};

static void entry_remove(struct entry *entry)
{
    if (entry->path[0] != '\0')
        (void)rmdir(entry->path);
    entry->path[0] = '\0';
}

static void descriptor_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static enum status entry_make(const char *root, struct entry *entry, struct error *e)
{
    uint8_t number[RANDOM_SIZE] = {0};
    AUTO(buf_free) struct buf name = BUF(2 * RANDOM_SIZE);
    TRY(random_bytes(number, sizeof number, e));
    TRY(hex_encode(span_of(number, sizeof number), &name, e));
    char path[ENTRY_MAX] = "";
    int length = snprintf(path, sizeof path, "%s/decant-%s", root, buf_text(&name));
    if (length < 0 || (size_t)length >= sizeof path)
        return fail(e, E_BUG, "%s: the path is too long", root);
    if (mkdir(path, 0700) != 0) {
        enum status status = fail_errno(e, E_NO_EVIDENCE, "cannot make a report entry in %s", root);
        advise(e, "mount configfs writable for this container, or give it /dev/sev-guest");
        return status;
    }
    memcpy(entry->path, path, sizeof path);
    return OK;
}

/* Returns 0 or errno: the caller knows what it means. */
static int attribute_open(const struct entry *entry, const char *name, int flags, int *fd)
{
    char path[PATH_SIZE] = "";
    (void)snprintf(path, sizeof path, "%s/%s", entry->path, name);
    *fd = open(path, flags | O_CLOEXEC);
    return *fd >= 0 ? 0 : errno;
}

static int attribute_read(const struct entry *entry, const char *name, uint8_t *out, size_t room,
                          size_t *size)
{
    AUTO(descriptor_close) int fd = -1;
    int number = attribute_open(entry, name, O_RDONLY, &fd);
    size_t have = 0;
    while (number == 0 && have < room) {
        ssize_t n = read(fd, out + have, room - have);
        if (n == 0)
            break;
        if (n < 0)
            number = errno;
        else
            have += (size_t)n;
    }
    *size = have;
    return number;
}

static int attribute_write(const struct entry *entry, const char *name, struct span value)
{
    AUTO(descriptor_close) int fd = -1;
    int number = attribute_open(entry, name, O_WRONLY, &fd);
    if (number != 0)
        return number;
    ssize_t n = write(fd, value.data, value.size);
    if (n < 0)
        return errno;
    return (size_t)n == value.size ? 0 : EIO;
}

static enum status attribute_failed(const struct entry *entry, const char *name, int number,
                                    struct error *e)
{
    errno = number;
    return fail_errno(e, E_NO_EVIDENCE, "%s/%s", entry->path, name);
}

static enum status provider_check(const struct entry *entry, struct error *e)
{
    uint8_t text[ATTRIBUTE_MAX] = {0};
    size_t size = 0;
    int number = attribute_read(entry, "provider", text, sizeof text, &size);
    if (number != 0)
        return attribute_failed(entry, "provider", number, e);
    if (!span_is(span_trim(span_of(text, size)), PROVIDER))
        return fail(e, E_NO_EVIDENCE, "%s: the reports are not made by %s", entry->path, PROVIDER);
    return OK;
}

static enum status generation_read(const struct entry *entry, uint64_t *out, struct error *e)
{
    uint8_t text[ATTRIBUTE_MAX] = {0};
    size_t size = 0;
    int number = attribute_read(entry, "generation", text, sizeof text, &size);
    if (number != 0)
        return attribute_failed(entry, "generation", number, e);
    struct span digits = span_trim(span_of(text, size));
    uint64_t value = 0;
    bool good = digits.size > 0;
    for (size_t i = 0; good && i < digits.size; i++)
        good = digits.data[i] >= '0' && digits.data[i] <= '9' &&
               !__builtin_mul_overflow(value, (uint64_t)10, &value) &&
               !__builtin_add_overflow(value, (uint64_t)(digits.data[i] - '0'), &value);
    if (!good)
        return fail(e, E_NO_EVIDENCE, "%s/generation is no number", entry->path);
    *out = value;
    return OK;
}

/* Reading "outblob" is what makes the kernel ask the firmware. */
static enum status outblob_read(const struct entry *entry, int *tries, struct buf *out,
                                struct error *e)
{
    for (;;) {
        uint8_t blob[OUTBLOB_MAX] = {0};
        size_t size = 0;
        int number = attribute_read(entry, "outblob", blob, sizeof blob, &size);
        if (number == 0 && size != SNP_REPORT_SIZE)
            return fail(e, E_NO_EVIDENCE, "%s: the report has %zu bytes, not %d", entry->path, size,
                        SNP_REPORT_SIZE);
        if (number == 0)
            return buf_add(out, span_of(blob, size), e);
        if (!errno_is_busy(number))
            return attribute_failed(entry, "outblob", number, e);
        TRY(firmware_wait(tries, entry->path, e));
    }
}

static enum status inblob_write(const struct entry *entry, int *tries, struct span data,
                                struct error *e)
{
    for (;;) {
        int number = attribute_write(entry, "inblob", data);
        if (number == 0)
            return OK;
        if (!errno_is_busy(number))
            return attribute_failed(entry, "inblob", number, e);
        TRY(firmware_wait(tries, entry->path, e));
    }
}

static enum status report_tsm(const char *root, const uint8_t data[static REPORT_DATA_SIZE],
                              struct buf *out, struct error *e)
{
    AUTO(entry_remove) struct entry entry = {0};
    AUTO(buf_free) struct buf report = BUF(SNP_REPORT_SIZE);
    uint64_t before = 0, after = 0;
    int tries = 0;
    TRY(entry_make(root, &entry, e));
    TRY(provider_check(&entry, e));
    TRY(generation_read(&entry, &before, e));
    TRY(inblob_write(&entry, &tries, span_of(data, REPORT_DATA_SIZE), e));
    TRY(outblob_read(&entry, &tries, &report, e));
    TRY(generation_read(&entry, &after, e));
    if (after - before != 1)
        return fail(e, E_NO_EVIDENCE, "%s: someone else wrote to our report entry", entry.path);
    return buf_add(out, buf_span(&report), e);
}

const struct reporter reporter_tsm = {EVIDENCE_TSM, "configfs-tsm", TSM_ROOT, report_tsm};
