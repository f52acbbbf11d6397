/*
 * output, inside: what its files share. Nobody else includes this.
 *
 * Every name is walked from a directory descriptor, one component at a time, and never through a
 * link; no path is put together as text, so nothing on the volume can lead outside of it.
 */
#ifndef DECANT_OUTPUT_INTERNAL_H
#define DECANT_OUTPUT_INTERNAL_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "output/output.h"

#define NAME_SIZE    4096 /* bytes of a whole name, without the NUL */
#define SEGMENT_SIZE 255  /* NAME_MAX of Linux */
#define OWN_NAME     ".decant"
#define STAGE_NAME   "stage"
#define NEXT_NAME    "stage.new" /* a stage in the making */
#define TREE_NAME    "tree"
#define JOURNAL_NAME "journal"
#define EARLIER_NAME "earlier" /* in the stage: the stage of a killed run */
#define READY_NAME   "ready.json"
#define FAILED_NAME  "failed.json"
#define OLD_NAME     "ready.old" /* in the stage: the ready.json that is about to be replaced */

/* ---- journal.c: a list that lives in a file, so its length costs no memory -------------------
 */

struct journal {
    int fd; /* -1: not open */
    uint64_t first, size;
};

/* Which file it is, and when it was last touched: the same stamp, the same file, as it was. */
struct stamp {
    uint64_t inode;
    int64_t seconds, nanoseconds; /* of its ctime */
};

struct note {
    char kind;
    const char *name;
    struct stamp stamp;
    struct span text;
};

struct record {
    char kind;
    char name[NAME_SIZE + 1];
    struct stamp stamp;
    struct buf text;
};

#define RECORD_TEXT_MAX ((size_t)128 * 1024)
#define RECORD_EMPTY    ((struct record){.text = BUF(RECORD_TEXT_MAX)})

/* Without a name: it vanishes with the process. */
enum status journal_open(struct journal *j, int root, struct error *e);
/* In DIRECTORY, under its name: the next run finds it if this one is killed. */
enum status journal_create(struct journal *j, int directory, struct error *e);
/* What a killed run left in DIRECTORY, to be read. False if there is none, or if the machine was
 * started anew since: then nobody knows which of the files' bytes reached the disk. */
bool journal_reopen(struct journal *j, int directory);
void journal_close(struct journal *j);
enum status journal_append(struct journal *j, const struct note *note, struct error *e);
/* The record that starts at *AT, which moves on to the next. */
enum status journal_next(const struct journal *j, uint64_t *at, struct record *out,
                         struct error *e);
/* The record that ends at *AT, which moves back to its start. */
enum status journal_previous(const struct journal *j, uint64_t *at, struct record *out,
                             struct error *e);
void record_free(struct record *r);

/* ---- index.c: where the entry of a name stands, 16 bytes for each ------------------------------
 */

struct mark {
    uint64_t hash, place;
};

struct index {
    struct mark *marks;
    size_t count, capacity;
};

/* KEY is whatever names the entry. False if the index is full. */
bool index_add(struct index *x, struct span key, uint64_t place);
void index_sort(struct index *x); /* after the last index_add, before index_find */
/* The marks that KEY may have (or another key of the same hash): *COUNT of them. */
const struct mark *index_find(const struct index *x, struct span key, size_t *count);
void index_free(struct index *x);

/* ---- earlier.c: what earlier runs left ---------------------------------------------------------
 */

#define EARLIER_MAX 8 /* killed runs in a row whose files can be used */

/* The stage of a killed run. */
struct generation {
    int tree; /* -1: not there any more */
    struct journal journal;
};

struct earlier {
    bool loaded;
    struct stat look; /* how a file that is sealed now would look: mode, owner, device */
    int ready;        /* an earlier run's ready.json, or -1 */
    struct timespec written;
    struct generation generations[EARLIER_MAX];
    size_t count;
    struct index index;
};

#define EARLIER_EMPTY ((struct earlier){.ready = -1})

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
    _Atomic uint64_t promised; /* bytes that open files may still write */
    pthread_mutex_t lock;   /* over the journal and what earlier runs left */
    struct journal entries; /* what was sealed or kept: name, and its object in ready.json */
    struct earlier earlier;
};

/* Opens the files that earlier runs left, if any; what cannot be used is as if it were not there.
 */
void earlier_open(struct volume *v);
void earlier_close(struct earlier *x);
/* All that follow are called under the volume's lock, but for earlier_make_room, which takes it. */
void earlier_load(struct volume *v); /* reads the lists, once */
#define PLACE_READY ((size_t)0)      /* a mark's source: ready.json, or 1 + the generation */
size_t place_source(uint64_t place);
uint64_t place_at(uint64_t place);
/* Removes what killed runs left and nobody took. */
void earlier_drop(struct volume *v);
/* After E_SPACE: the same. True if there was anything, so that another try is worth it. */
bool earlier_make_room(struct volume *v);

/* ---- marker.c ----------------------------------------------------------------------------------
 */

/* Takes away what the run before said of its failure. */
enum status marker_remove(struct volume *v, struct error *e);

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
bool time_is_before(struct timespec a, struct timespec b);

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
/* The directory that will hold NAME in the stage, made if absent. E_NAME if it cannot be one. */
enum status stage_find(const struct volume *v, const char *name, int *parent, const char **leaf,
                       struct error *e);
/* E_NAME: another blob has that place. */
enum status stage_taken(int parent, const char *leaf, struct error *e);

#define SEALED 'f' /* the kinds of entries: the file waits in the stage */
#define KEPT   'k' /* the file is in its place already, and an empty one in the stage */

struct stamp stamp_of(const struct stat *st);
/* Under the volume's lock. */
enum status stage_note(struct volume *v, const struct note *note, struct error *e);

/* ---- keep.c ------------------------------------------------------------------------------------
 */

/* That the KEPT file of ENTRY is still as it was when it was kept. */
enum status kept_check(const struct volume *v, const struct record *entry, struct error *e);

/* ---- entry.c: a file's object in ready.json ----------------------------------------------------
 */

enum status entry_describe(const struct output_entry *entry, struct buf *out, struct error *e);
/* How the object of NAME starts, up to the name's closing quote: a key for the index. */
enum status entry_start(const char *name, struct buf *out, struct error *e);
/* That start of an object; empty if it is none of ours. */
struct span entry_start_of(struct span object);
/* Is OBJECT just what entry_describe makes of WANTED, whatever the size? Another run's SHA-256 may
 * be there if WANTED has none. */
enum status entry_matches(struct span object, const struct output_entry *wanted, bool *same,
                          uint64_t *size, struct error *e);

/* ---- ready.c: ready.json as a text -------------------------------------------------------------
 */

/* Writes it whole into the stage. *OUT is the caller's to close. */
enum status ready_stage(const struct volume *v, struct span summary, int *out, struct error *e);
/* Gives it a time that is later than that of any file so far. */
enum status ready_touch(int ready, struct error *e);
/* Where the first file's object stands; false if this is no text of ready_stage's. */
bool ready_begin(int ready, uint64_t *at);
/* The object at *AT, which moves on to the next. */
bool ready_next(int ready, uint64_t *at, struct buf *object, bool *last);

#endif
