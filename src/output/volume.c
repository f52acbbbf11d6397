/*
 * The volume as one directory descriptor: opening, checking, locking, and closing without a trace.
 * Its path comes from the job; what is on it may have been left by an earlier run, killed or not,
 * or by another container. Promises: one decant at a time; after volume_close nothing unpublished
 * is left, neither of this run nor of a killed one.
 */
#include "output/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_TRIES 16

/* ---- Opening -----------------------------------------------------------------------------------
 */

static enum status volume_new(const struct volume_options *o, bool dry, struct volume **out,
                              struct error *e)
{
    AUTO(volume_close) struct volume *v = calloc(1, sizeof *v);
    if (v == NULL)
        return fail(e, E_BUG, "out of memory");
    v->root = v->own = v->stage = v->tree = v->entries.fd = -1;
    v->earlier = EARLIER_EMPTY;
    v->dry = dry;
    v->mode = o->mode & 0777;
    v->uid = o->uid;
    v->gid = o->gid;
    int number = pthread_mutex_init(&v->lock, NULL);
    if (number != 0) {
        free(v);
        v = NULL;
        return fail(e, E_BUG, "no mutex for the volume: error %d", number);
    }
    v->path = strdup(o->path);
    if (v->path == NULL)
        return fail(e, E_BUG, "out of memory");
    *out = v;
    v = NULL;
    return OK;
}

static enum status root_open(struct volume *v, struct error *e)
{
    v->root = open(v->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (v->root >= 0)
        return OK;
    if (errno == ENOTDIR)
        (void)fail(e, E_USAGE, "the volume %.200s is not a directory", v->path);
    else
        (void)fail_errno(e, E_USAGE, "cannot open the volume %.200s", v->path);
    advise(e, "mount the volume there, or correct volume.path");
    return E_USAGE;
}

static enum status lock_take(const struct volume *v, struct error *e)
{
    while (flock(v->own, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK) {
            (void)fail_errno(e, E_BUG, "cannot lock %.200s/" OWN_NAME, v->path);
            if (v->ours)
                (void)unlinkat(v->root, OWN_NAME, AT_REMOVEDIR);
            return E_BUG;
        }
        (void)fail(e, E_BUG, "another decant is at work on the volume %.200s", v->path);
        advise(e, "wait until it has ended, or give this job a volume of its own");
        return E_BUG;
    }
    return OK;
}

static enum status own_open(struct volume *v, struct error *e)
{
    bool made = false;
    enum status s = OK;
    if (!v->dry) {
        s = directory_make(v->root, OWN_NAME, 0755, &v->own, &made, e);
        v->ours |= made;
    } else {
        v->own = openat(v->root, OWN_NAME, OPEN_DIRECTORY);
        if (v->own < 0 && errno != ENOENT)
            s = fail_errno(e, E_NAME, "cannot open the directory " OWN_NAME);
    }
    if (s == OK)
        return OK;
    s = wrap(e, "the volume %.200s", v->path);
    advise(e,
           "the volume must be writable, and " OWN_NAME " on it is decant's: remove what is there");
    return s;
}

/* A failed run removes its .decant, perhaps while we wait at its door: then the lock is on a
 * directory that is there no more, and we start over. */
static bool own_is_current(const struct volume *v)
{
    struct stat held;
    struct stat named;
    return fstat(v->own, &held) == 0 &&
           fstatat(v->root, OWN_NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

static enum status volume_lock(struct volume *v, struct error *e)
{
    for (int tries = 0; tries < LOCK_TRIES; tries++) {
        TRY(own_open(v, e));
        if (v->own < 0)
            return OK; /* dry, and nothing there to lock */
        TRY(lock_take(v, e));
        if (own_is_current(v)) {
            v->locked = !v->dry;
            return OK;
        }
        descriptor_close(&v->own);
    }
    return fail(e, E_BUG, "another decant keeps starting on the volume %.200s", v->path);
}

/* Sealing links and publishing renames: both stay within one file system. */
static enum status own_device_check(const struct volume *v, struct error *e)
{
    struct stat root;
    struct stat own;
    if (v->own < 0)
        return OK;
    if (fstat(v->root, &root) != 0 || fstat(v->own, &own) != 0)
        return fail_errno(e, E_BUG, "cannot examine the volume %.200s", v->path);
    if (root.st_dev != own.st_dev)
        return fail(e, E_VOLUME, "%.200s/" OWN_NAME " is on another file system than the volume",
                    v->path);
    return OK;
}

/* An unnamed file is made and dropped: better to learn now that the volume takes none. */
static enum status unnamed_probe(const struct volume *v, struct error *e)
{
    AUTO(descriptor_close) int fd = -1;
    if (unnamed_open(v->root, &fd, e) == OK)
        return OK;
    if (e->status == E_USAGE)
        advise(e, "make the volume writable for user %u (readOnly, fsGroup, securityContext)",
               (unsigned int)geteuid());
    return wrap(e, "the volume %.200s", v->path);
}

enum status volume_open(const struct volume_options *options, bool dry, struct volume **out,
                        struct error *e)
{
    AUTO(volume_close) struct volume *v = NULL;
    TRY(volume_new(options, dry, &v, e));
    TRY(root_open(v, e));
    TRY(volume_check(v, options->require, e));
    TRY(unnamed_probe(v, e));
    TRY(volume_lock(v, e));
    TRY(own_device_check(v, e));
    TRY(marker_remove(v, e));
    if (!dry)
        TRY(stage_open(v, e));
    earlier_open(v);
    *out = v;
    v = NULL;
    return OK;
}

void volume_close(struct volume **volume)
{
    struct volume *v = *volume;
    if (v == NULL)
        return;
    *volume = NULL;
    journal_close(&v->entries);
    earlier_close(&v->earlier);
    stage_close(v);
    if (v->locked && v->ours && !v->published)
        (void)unlinkat(v->root, OWN_NAME, AT_REMOVEDIR); /* fails, rightly, if anything is in it */
    descriptor_close(&v->own);                           /* the lock goes with it, last */
    descriptor_close(&v->root);
    (void)pthread_mutex_destroy(&v->lock);
    free(v->path);
    free(v);
}

const struct volume_facts *volume_facts(const struct volume *volume)
{
    return &volume->facts;
}

enum status volume_has_room(struct volume *volume, uint64_t size, struct error *e)
{
    uint64_t available = volume_available(volume->root);
    uint64_t promised = atomic_load(&volume->promised);
    available = available > promised ? available - promised : 0;
    if (available >= size)
        return OK;
    (void)fail(e, E_SPACE,
               "the volume %.200s has %llu bytes available and the job needs %llu bytes",
               volume->path, (unsigned long long)available, (unsigned long long)size);
    advise_space(e);
    return E_SPACE;
}
