/*
 * What was uploaded: name, metadata and block count of each blob to be. A commit needs them long
 * after the upload, and there may be millions, so they are kept in an unnamed file: below TMPDIR or
 * /tmp, else in memory of the system's. Nothing in it is secret: content keys are wrapped.
 */
#include "seal/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct journal {
    int fd;
    uint64_t size;
    pthread_mutex_t mutex;
};

/* As it lies in the file; the name and the metadata follow, each with its NUL. */
struct record {
    uint32_t output, blocks;
    uint32_t name_size, data_size; /* with the NUL; no metadata: 0 */
    uint64_t plain_size;
    uint8_t pin[SHA256_SIZE];
    uint8_t id[STORAGE_UPLOAD_ID_SIZE];
    struct note {
        uint32_t state;
        char etag[64];
    } note;
};

static int unnamed_file(void)
{
    const char *folder = getenv("TMPDIR");
    int fd = open(folder != NULL && folder[0] == '/' ? folder : "/tmp",
                  O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : memfd_create("decant-journal", MFD_CLOEXEC);
}

enum status journal_new(struct journal **out, struct error *e)
{
    AUTO(journal_free) struct journal *journal = memory_array(1, sizeof(*journal));
    if (journal == NULL)
        return fail(e, E_SPACE, "out of memory");
    (void)pthread_mutex_init(&journal->mutex, NULL);
    journal->fd = unnamed_file();
    if (journal->fd < 0)
        return fail_errno(e, E_SPACE, "no temporary file can be made");
    *out = journal;
    journal = NULL;
    return OK;
}

void journal_free(struct journal **journal)
{
    if (*journal == NULL)
        return;
    if ((*journal)->fd >= 0)
        (void)close((*journal)->fd);
    (void)pthread_mutex_destroy(&(*journal)->mutex);
    memory_free(*journal);
    *journal = NULL;
}

static enum status write_at(int fd, struct span bytes, uint64_t at, struct error *e)
{
    while (bytes.size > 0) {
        ssize_t n = pwrite(fd, bytes.data, bytes.size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(e, E_SPACE, "the temporary list of uploads cannot be written");
        bytes = span_of(bytes.data + n, bytes.size - (size_t)n);
        at += (uint64_t)n;
    }
    return OK;
}

static enum status read_at(int fd, void *out, size_t size, uint64_t at, struct error *e)
{
    uint8_t *to = out;
    while (size > 0) {
        ssize_t n = pread(fd, to, size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(e, E_BUG, "the temporary list of uploads cannot be read");
        to += n;
        size -= (size_t)n;
        at += (uint64_t)n;
    }
    return OK;
}

enum status journal_add(struct journal *journal, const struct entry *entry, struct error *e)
{
    AUTO(buf_free) struct buf bytes = BUF(32768);
    struct record record = {
        .output = entry->output,
        .blocks = entry->blocks,
        .name_size = (uint32_t)strlen(entry->upload.name) + 1,
        .data_size =
            entry->encryption_data != NULL ? (uint32_t)strlen(entry->encryption_data) + 1 : 0,
        .plain_size = entry->plain_size,
        .note.state = entry->state,
    };
    memcpy(record.pin, entry->pin, sizeof(record.pin));
    memcpy(record.id, entry->upload.id, sizeof(record.id));
    TRY(buf_add(&bytes, span_of(&record, sizeof(record)), e));
    TRY(buf_add(&bytes, span_of(entry->upload.name, record.name_size), e));
    if (record.data_size > 0)
        TRY(buf_add(&bytes, span_of(entry->encryption_data, record.data_size), e));
    (void)pthread_mutex_lock(&journal->mutex);
    enum status status = write_at(journal->fd, buf_span(&bytes), journal->size, e);
    if (status == OK)
        journal->size += bytes.size;
    (void)pthread_mutex_unlock(&journal->mutex);
    return status;
}

uint64_t journal_end(const struct journal *journal)
{
    return journal->size;
}

enum status journal_read(struct journal_reader *reader, struct entry *out, bool *found,
                         struct error *e)
{
    struct record record;
    const int fd = reader->journal->fd;
    uint8_t texts[16384];
    *found = reader->next < reader->journal->size;
    if (!*found)
        return OK;
    reader->at = reader->next;
    TRY(read_at(fd, &record, sizeof(record), reader->at, e));
    size_t size = (size_t)record.name_size + record.data_size;
    if (size > sizeof(texts))
        return fail(e, E_BUG, "the temporary list of uploads is damaged");
    TRY(read_at(fd, texts, size, reader->at + sizeof(record), e));
    buf_clear(&reader->texts);
    TRY(buf_add(&reader->texts, span_of(texts, size), e));
    reader->next = reader->at + sizeof(record) + size;
    *out = (struct entry){
        .output = record.output,
        .blocks = record.blocks,
        .plain_size = record.plain_size,
        .upload.name = buf_text(&reader->texts),
        .encryption_data = record.data_size > 0 ? buf_text(&reader->texts) + record.name_size : NULL,
        .state = (enum entry_state)record.note.state,
    };
    memcpy(out->pin, record.pin, sizeof(out->pin));
    memcpy(out->upload.id, record.id, sizeof(out->upload.id));
    memcpy(out->etag, record.note.etag, sizeof(out->etag));
    return OK;
}

enum status journal_note(const struct journal_reader *reader, enum entry_state state,
                         const char *etag, struct error *e)
{
    struct note note = {.state = state};
    memcpy(note.etag, etag, strnlen(etag, sizeof(note.etag) - 1));
    return write_at(reader->journal->fd, span_of(&note, sizeof(note)),
                    reader->at + offsetof(struct record, note), e);
}

void journal_reader_free(struct journal_reader *reader)
{
    buf_free(&reader->texts);
}
