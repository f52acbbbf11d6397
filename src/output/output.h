/*
 * output: the volume: is it confidential, is there room; files without a name that get theirs
 * together, when the whole run is known to be good.
 *
 *     volume_open → { keep, or file_new → file_write… → file_seal }… → volume_publish →
 *     volume_close
 *
 * Sealed files wait, complete and verified, below <volume>/.decant/stage/ under their later names,
 * so the file system itself refuses two files of one name. volume_publish moves them to their
 * places and writes ready.json last; if it fails it moves them back. volume_close removes whatever
 * was not published. Only a run that is killed leaves its stage, for the next one to keep from.
 */
#ifndef DECANT_OUTPUT_H
#define DECANT_OUTPUT_H

#include "base/base.h"

enum volume_requirement {
    VOLUME_CONFIDENTIAL, /* tmpfs, ramfs, or a file system on dm-crypt */
    VOLUME_TMPFS,        /* tmpfs or ramfs */
    VOLUME_ANY,          /* development */
};

struct volume_options {
    const char *path;
    enum volume_requirement require;
    mode_t mode; /* of published files */
    uid_t uid;   /* (uid_t)-1: the caller */
    gid_t gid;   /* (gid_t)-1: the caller's */
};

struct volume;

struct volume_facts {
    char kind[64]; /* "tmpfs", "ramfs", "xfs on dm-crypt", … */
    bool confidential;
    bool swap;          /* there is swap that tmpfs pages could go out to (/proc/swaps) */
    uint64_t available; /* bytes; UINT64_MAX if the file system has no limit (ramfs) */
};

/* Opens, checks, locks (one decant at a time), puts aside what a killed run left behind: it goes
 * with volume_publish, volume_close, or when its room is needed. E_VOLUME;
 * E_USAGE if PATH is no directory or not writable; E_NAME if a file or link is where .decant should
 * be; E_BUG if another decant is at work on it. DRY: changes nothing, for --dry-run. */
enum status volume_open(const struct volume_options *options, bool dry, struct volume **out,
                        struct error *e);
void volume_close(struct volume **volume);
const struct volume_facts *volume_facts(const struct volume *volume);
/* E_SPACE if fewer than SIZE bytes are available now. */
enum status volume_has_room(struct volume *volume, uint64_t size, struct error *e);

/* Is NAME one that can be published: relative, UTF-8, no empty, "." or ".." segment, no control
 * character or backslash, no segment over 255 bytes, at most 4096 in all, not below ".decant"? NAME
 * is hostile. E_NAME. */
enum status output_name_check(const char *name, struct error *e);

/* A file that has no name yet. */
struct output_file;

/* RESERVE bytes are set aside: E_SPACE before the download, not in its middle, unless others write
 * to the volume as well. */
enum status output_file_new(struct volume *volume, const char *name, uint64_t reserve,
                            struct output_file **out, struct error *e);
void output_file_free(struct output_file **file); /* forgets the bytes unless sealed */
/* Thread-safe for distinct places. E_SPACE. */
enum status output_file_write(struct output_file *file, uint64_t at, struct span bytes,
                              struct error *e);
struct sink output_file_sink(struct output_file *file);

/* SIZE bytes from AT back into ROOM, all of which must have been written: for a second pass. */
enum status output_file_read(struct output_file *file, uint64_t at, uint8_t *room, size_t size,
                             struct error *e);

/* What ready.json tells of a file. */
struct output_entry {
    const char *name;
    uint64_t size;
    const char *from; /* blob URL without query */
    const char *etag;
    const char *envelope;
    const char *kid;                /* "" for plain */
    const char *content_key_sha256; /* hex of SHA-256 over the EncryptedKey bytes, or "" */
    const char *decompress;         /* "gzip" if the file is what came out of it; else "" or NULL */
    uint8_t sha256[SHA256_SIZE];
    bool has_sha256;
};

/* SHA-256 over the first SIZE bytes: a second pass, only on demand. */
enum status output_file_sha256(struct output_file *file, uint64_t size,
                               uint8_t digest[static SHA256_SIZE], struct error *e);
/* Cuts to entry->size, sets mode and owner, stages it under entry->name. E_NAME if that name is
 * taken, or is a directory or lies below a file; E_BUG if fewer bytes than its size were written.
 * The file is closed and freed whatever comes of it. Thread-safe. */
enum status output_file_seal(struct output_file **file, const struct output_entry *entry,
                             struct error *e);

/* Is a file of an earlier run still right, so that it need not be fetched? Yes if ready.json, or
 * the journal of a run that was killed, has an entry with just this name, from, etag, envelope, kid
 * and content_key_sha256 (and sha256, if WANTED has one; WANTED's size is ignored), and the file is
 * there: a regular file of that entry's size, with the mode and owner that this run gives, not
 * touched since. Then it is one of this run's files: ready.json will list it as the earlier entry
 * did, and no other blob may have its name; *SIZE is the size of its plaintext, for the caller to
 * judge. If it is not right, *KEPT is false, *SIZE is left alone, and the file is to be fetched.
 * E_NAME as for output_file_seal, also if the name was kept or sealed before. A dry run only looks,
 * and does not notice names that are kept twice. Thread-safe. */
enum status output_keep(struct volume *volume, const struct output_entry *wanted, bool *kept,
                        uint64_t *size, struct error *e);

/* All or nothing. SUMMARY: JSON members for ready.json without braces, e.g. "\"version\":1"; may be
 * empty. E_NAME if a place is a directory or below a link; E_SPACE; E_INTERRUPTED if stopped before
 * ready.json is in place; E_BUG if a kept file was touched meanwhile. */
enum status volume_publish(struct volume *volume, struct span summary, struct error *e);

/* After a failure, before volume_close: leaves .decant/failed.json for those who wait: CODE is the
 * exit code, SENTENCE what the user reads. Nothing can be published any more. The next volume_open
 * removes it. Nothing is left in a dry run, after volume_publish, or where .decant is not ours.
 * E_SPACE and others: then there is none. */
enum status volume_mark_failed(struct volume *volume, int code, struct span sentence,
                               struct error *e);

/* For another process: has a job published? PATH is VOLUME/.decant/ready.json; what is there is
 * hostile. *READY if no run is at work there, it is there, of decant's form, and every file that it
 * lists is there in its size; else WAITING says what is missing. A failed run's mark: that run's exit code as the status,
 * and its sentence. E_BUG if the mark is not of decant's form. */
enum status ready_look(const char *path, bool *ready, struct error *waiting, struct error *e);

#endif
