/*
 * output, inside: what its files share. Nobody else includes this.
 *
 * Every name is walked from a directory descriptor, one component at a time, and never through a
 * link; no path is put together as text, so nothing on the volume can lead outside of it.
 */
#ifndef DECANT_OUTPUT_INTERNAL_H
#define DECANT_OUTPUT_INTERNAL_H

#include "output/output.h"

#define NAME_SIZE    4096 /* bytes of a whole name, without the NUL */
#define SEGMENT_SIZE 255  /* NAME_MAX of Linux */
#define OWN_NAME     ".decant"
#define STAGE_NAME   "stage"
#define TREE_NAME    "tree"
#define READY_NAME   "ready.json"

/* ---- journal.c: a list that lives in an unnamed file, so its length costs no memory -----------
 */

struct journal {
    int fd; /* -1: not open */
    uint64_t size;
};

struct record {
    char kind;
    char name[NAME_SIZE + 1];
    struct buf text;
};

#define RECORD_TEXT_MAX ((size_t)128 * 1024)
#define RECORD_EMPTY    ((struct record){.text = BUF(RECORD_TEXT_MAX)})

enum status journal_open(struct journal *j, int root, struct error *e);
void journal_close(struct journal *j);
enum status journal_append(struct journal *j, char kind, const char *name, struct span text,
                           struct error *e);
/* The record that starts at *AT, which moves on to the next. */
enum status journal_next(const struct journal *j, uint64_t *at, struct record *out,
                         struct error *e);
/* The record that ends at *AT, which moves back to its start. */
enum status journal_previous(const struct journal *j, uint64_t *at, struct record *out,
                             struct error *e);
void record_free(struct record *r);

/* ---- volume.c ----------------------------------------------------------------------------------
 */

struct volume {
    char *path; /* for messages only */
    bool dry;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    struct volume_facts facts;
    bool memory;     /* tmpfs or ramfs: nothing to sync */
    int root;        /* the volume */
    int own;         /* its .decant, which carries the lock */
    int stage, tree; /* .decant/stage, and the sealed files in .decant/stage/tree */
    bool locked;     /* the stage is ours to remove */
    bool ours;       /* .decant is there only because of runs that did not publish */
    bool published;
    pthread_mutex_t lock;   /* over the journal */
    struct journal entries; /* what was sealed: name, and its object in ready.json */
};

/* ---- system.c ----------------------------------------------------------------------------------
 */

/* A new file without a name, readable and writable by the caller alone. */
enum status unnamed_open(int root, int *out, struct error *e);
/* Gives the unnamed file FD a name. Plain linkat: 0, or -1 and errno. */
int unnamed_link(int fd, int parent, const char *leaf);
/* Mode and owner of what is published. */
enum status volume_dress(const struct volume *v, int fd, mode_t mode, const char *name,
                         struct error *e);
/* All of BYTES, at their place. */
enum status bytes_write(int fd, uint64_t at, struct span bytes, struct error *e);
/* The class of a failed system call on the volume. */
enum status status_of(int number);
void advise_space(struct error *e); /* after E_SPACE */
void descriptor_close(int *fd);

/* ---- check.c and swap.c: what the volume is ----------------------------------------------------
 */

enum status volume_check(struct volume *v, enum volume_requirement require, struct error *e);
uint64_t volume_available(int root);
/* Whether the block device lies, all of it, on dm-crypt. */
bool device_is_encrypted(dev_t device);
/* Whether tmpfs pages of DEVICE could be swapped out unencrypted. */
bool swap_can_take(dev_t device);

/* ---- tree.c: directories -----------------------------------------------------------------------
 */

#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct walk {
    int root;
    bool make;            /* make parents that are not there */
    mode_t mode;          /* with these permissions at least, whatever the umask */
    struct journal *made; /* told of each one beforehand, as MADE_DIRECTORY; may be NULL */
    const char *obstacle; /* what it means if a parent is something else than a directory */
};

#define MADE_DIRECTORY 'd'

/* Opens the directory that holds NAME's last segment, which LEAF then points to. *PARENT is the
 * caller's to close. */
enum status walk_parent(const struct walk *w, const char *name, int *parent, const char **leaf,
                        struct error *e);
/* The child directory NAME of PARENT, made if absent. */
enum status directory_make(int parent, const char *name, mode_t mode, int *out, bool *made,
                           struct error *e);
/* Removes NAME below PARENT and everything in it, following no link. True if it is gone. */
bool tree_remove(int parent, const char *name);

/* ---- stage.c -----------------------------------------------------------------------------------
 */

enum status stage_open(struct volume *v, struct error *e);
void stage_close(struct volume *v);

#endif
