/*
 * Space for the files of this run. Where the volume is memory, allocating it beforehand would touch
 * every page twice (a tenth of a large blob's time), so there it is promised: no file begins unless
 * it fits beside what the others may still write. Other writers on the volume can break a promise;
 * then the write fails. On a disk the space is allocated.
 */
#include "output/file.h"

#include <errno.h>
#include <fcntl.h>

#define PAGE_MASK ((uint64_t)4095) /* tmpfs takes whole pages */

static enum status refuse(uint64_t size, uint64_t available, struct error *e)
{
    (void)fail(e, E_SPACE, "no space: %llu bytes needed, %llu available", (unsigned long long)size,
               (unsigned long long)available);
    advise_space(e);
    return E_SPACE;
}

/* ---- On memory ---- */

static enum status promise(struct output_file *f, uint64_t size, struct error *e)
{
    _Atomic uint64_t *all = &f->volume->promised;
    uint64_t pages = (size + PAGE_MASK) & ~PAGE_MASK;
    if (size > INT64_MAX)
        return refuse(size, volume_available(f->volume->root), e);
    uint64_t before = atomic_fetch_add(all, pages);
    uint64_t available = volume_available(f->volume->root);
    if (available < before || available - before < pages) {
        (void)atomic_fetch_sub(all, pages);
        return refuse(size, available < before ? 0 : available - before, e);
    }
    (void)atomic_fetch_add(&f->promised, pages);
    return OK;
}

void promise_use(struct output_file *f, uint64_t size)
{
    uint64_t left = atomic_load_explicit(&f->promised, memory_order_relaxed), used;
    do
        used = size < left ? size : left;
    while (used > 0 && !atomic_compare_exchange_weak(&f->promised, &left, left - used));
    (void)atomic_fetch_sub(&f->volume->promised, used);
}

/* ---- On a disk ---- */

/* fallocate(2) itself: glibc's posix_fallocate would write into each page where the file system
 * cannot. The kernel lets a signal interrupt it and gives back what it had, so it is tried again
 * unless we should stop. */
static enum status allocate(int fd, uint64_t size, bool *unsupported, struct error *e)
{
    while (fallocate(fd, 0, 0, (off_t)size) != 0) {
        if (errno == EINTR) {
            TRY(stop_check(e));
            continue;
        }
        *unsupported = errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS;
        return fail_errno(e, status_of(errno), "no space");
    }
    return OK;
}

static enum status reserve(struct output_file *f, uint64_t size, struct error *e)
{
    bool unsupported = false;
    if (f->volume->memory || size > INT64_MAX)
        return promise(f, size, e);
    enum status s = allocate(f->fd, size, &unsupported, e);
    if (unsupported)
        return promise(f, size, e);
    return s == E_SPACE ? refuse(size, volume_available(f->volume->root), e) : s;
}

enum status space_reserve(struct output_file *f, uint64_t size, struct error *e)
{
    if (size == 0)
        return OK;
    enum status s = reserve(f, size, e);
    return s == E_SPACE && earlier_make_room(f->volume) ? reserve(f, size, e) : s;
}

enum status space_extend(struct output_file *f, uint64_t size, struct error *e)
{
    uint64_t left = atomic_load_explicit(&f->promised, memory_order_relaxed);
    return !f->volume->memory || left >= size ? OK : space_reserve(f, size - left, e);
}
