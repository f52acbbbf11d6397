/*
 * envelope: stored bytes + key → plaintext, verified. The formats are client-side
 * encryption 2.0, 2.1 and 1.0 of the Azure Storage SDKs, plain AES-GCM (nonce‖ciphertext‖tag), and
 * none.
 *
 * One envelope per blob, shared by the threads that read it; one reader per thread and span.
 * Plaintext goes to the sink before its region's tag was seen: the sink must not show it to anybody
 * before envelope_verdict.
 *
 * The other way, plaintext becomes client-side encryption 2.0: one writer per blob, shared by the
 * threads that encrypt its regions.
 */
#ifndef DECANT_ENVELOPE_H
#define DECANT_ENVELOPE_H

#include "base/base.h"

enum envelope_format {
    ENVELOPE_CSE,     /* 2.0 and 2.1; refuses a blob without encryption metadata */
    ENVELOPE_CSE_V1,  /* 1.0: AES-CBC, unauthenticated; only on demand */
    ENVELOPE_AES_GCM, /* nonce(12) ‖ ciphertext ‖ tag(16) under a symmetric key */
    ENVELOPE_PLAIN,   /* copied */
};

/* What `encryptiondata` says. */
struct envelope_metadata {
    char protocol[8];      /* "1.0", "2.0", "2.1" */
    char kid[512];         /* WrappedContentKey.KeyId */
    char algorithm[32];    /* WrappedContentKey.Algorithm */
    uint8_t wrapped[1024]; /* EncryptedKey */
    size_t wrapped_size;
    uint64_t region_size; /* plaintext bytes per region (2.x) */
    uint8_t iv[16];       /* ContentEncryptionIV (1.0) */
    char library[128];    /* KeyWrappingMetadata.EncryptionLibrary, or "" */
};

/* TEXT is the metadata value, hostile; NULL if the blob has none. Refuses what FORMAT (CSE or
 * CSE_V1) does not allow, with a sentence that says what it is. E_NOT_AUTHENTIC. */
enum status envelope_metadata_parse(const char *text, enum envelope_format format,
                                    struct envelope_metadata *out, struct error *e);

struct envelope;

/* Unwraps the content key and fixes the layout. METADATA for the CSE formats, KEK for all but
 * PLAIN. Checks STORED_SIZE against the layout. E_NOT_AUTHENTIC, E_BAD_KEY (the key is of the wrong
 * kind). Nothing is borrowed. */
enum status envelope_open(enum envelope_format format, const struct envelope_metadata *metadata,
                          const struct kek *kek, uint64_t stored_size, struct envelope **out,
                          struct error *e);
void envelope_close(struct envelope **envelope);

/* Exact for all formats but CSE_V1, where it is an upper bound until the verdict. */
uint64_t envelope_plain_size(const struct envelope *envelope);
/* What ready.json calls it: "cse-2.0", "cse-2.1", "cse-1.0", "aes-gcm", "plain". METADATA: NULL for
 * the last two. */
const char *envelope_name(enum envelope_format format, const struct envelope_metadata *metadata);

/* A stretch of the blob that can be read by itself: whole regions. */
struct envelope_span {
    uint64_t stored_at, stored_size;
    uint64_t plain_at, plain_size; /* upper bound for CSE_V1 */
};

/* The I-th stretch of about WANTED stored bytes (at least one region, the whole blob where the
 * format is one piece); false behind the last. An empty blob has none. */
bool envelope_span(const struct envelope *envelope, uint64_t wanted, uint64_t i,
                   struct envelope_span *out);

/* Decrypts one stretch as its bytes come in. */
struct envelope_reader;
/* SINK receives plaintext at its absolute places, in order, in pieces that are fit for pwrite (up
 * to 256 KiB); nothing of a region before the tag of the one in front was verified. A reader that
 * failed takes nothing more until it is started again; a stretch that was given up may be started
 * anew. The envelope must outlive the stretch. */
enum status envelope_reader_new(struct envelope_reader **out, struct error *e);
void envelope_reader_free(struct envelope_reader **reader);
enum status envelope_reader_start(struct envelope_reader *reader, struct envelope *envelope,
                                  const struct envelope_span *span, const struct sink *sink,
                                  struct error *e);
/* E_NOT_AUTHENTIC as soon as a region is not genuine; a failure of the sink as it is. */
enum status envelope_reader_feed(struct envelope_reader *reader, struct span bytes,
                                 struct error *e);
/* All bytes of the stretch were fed: the last tag is checked, the rest goes to the sink. */
enum status envelope_reader_finish(struct envelope_reader *reader, struct error *e);

/* After every stretch finished: were all regions seen, once, and do their nonces fit one writer's
 * order? Gives the plaintext's exact size. E_NOT_AUTHENTIC. Call it for empty blobs too. Of CSE_V1
 * with wrong padding PLAIN_SIZE is how much the sink got: what is compared with right plaintext can
 * be compared with that as well, so that both take the same time. */
enum status envelope_verdict(struct envelope *envelope, uint64_t *plain_size, struct error *e);

/* ---- Writing: client-side encryption 2.0 ---- */

enum {
    ENVELOPE_REGION_SIZE = 4 << 20,   /* plaintext bytes of each region but the last */
    ENVELOPE_NONCE_SIZE = 12,         /* in front of a region's ciphertext */
    ENVELOPE_REGION_OVERHEAD = 12 + 16, /* nonce and tag */
};

/* A blob to be: a content key of its own, made here and wrapped for one recipient. Thread-safe. */
struct envelope_writer;
/* RECIPIENT: an RSA key, of which the public half is enough, of 2048 bits or more; its kid becomes
 * the blob's KeyId. E_USAGE if it cannot be a recipient. Nothing is borrowed. */
enum status envelope_writer_new(const struct kek *recipient, struct envelope_writer **out,
                                struct error *e);
void envelope_writer_free(struct envelope_writer **writer);
/* The value of the metadata item `encryptiondata`: ASCII, one line. Borrows from WRITER. */
const char *envelope_writer_metadata(const struct envelope_writer *writer);
/* What pins the content: the SHA-256 of EncryptedKey. Borrows from WRITER, SHA256_SIZE bytes. */
const uint8_t *envelope_writer_pin(const struct envelope_writer *writer);
/* Encrypts region INDEX in place. ROOM: ENVELOPE_NONCE_SIZE bytes to be filled, SIZE bytes of
 * plaintext (1 … ENVELOPE_REGION_SIZE), and 16 bytes behind them for the tag. A region is encrypted
 * once: a second time with other plaintext would betray the key stream and the authentication key,
 * so it is E_BUG. Who sends it again, sends the same bytes. */
enum status envelope_writer_seal(struct envelope_writer *writer, uint64_t index, uint8_t *room,
                                 size_t size, struct error *e);
/* How many bytes a blob of SIZE bytes of plaintext has. */
uint64_t envelope_sealed_size(uint64_t size);

#endif
