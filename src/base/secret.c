/*
 * Secret bytes: pages of their own, locked, left out of core dumps and of children, wiped when
 * freed. The audit of who touches key material is a search for secret_view and secret_room.
 */
#include "base/base.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/evp.h>

static atomic_bool not_locked;

/* Wiped pages that wait for the next secret. Each blob has a content key: to map, lock and unmap
 * pages for it takes ten system calls that stop all threads, more than the rest of a small blob. */
static struct {
    pthread_mutex_t mutex;
    void *pages[64]; /* one page each, locked and left out of dumps */
    size_t n;
} spare = {.mutex = PTHREAD_MUTEX_INITIALIZER};

bool secrets_are_locked(void)
{
    return !atomic_load(&not_locked);
}

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void *spare_take(void)
{
    (void)pthread_mutex_lock(&spare.mutex);
    void *page = spare.n > 0 ? spare.pages[--spare.n] : NULL;
    (void)pthread_mutex_unlock(&spare.mutex);
    return page;
}

static bool spare_give(void *page)
{
    (void)pthread_mutex_lock(&spare.mutex);
    bool has_room = spare.n < COUNT(spare.pages);
    if (has_room)
        spare.pages[spare.n++] = page;
    (void)pthread_mutex_unlock(&spare.mutex);
    return has_room;
}

static enum status map_pages(struct secret *s, size_t size, struct error *e)
{
    size_t page = page_size();
    size_t mapped;
    if (__builtin_add_overflow(size > 0 ? size : 1, page - 1, &mapped))
        return fail(e, E_SPACE, "a secret of %zu bytes", size);
    mapped -= mapped % page;
    void *pages = mapped == page ? spare_take() : NULL;
    if (pages != NULL) {
        *s = (struct secret){.pages = pages, .size = size, .mapped = mapped};
        return OK;
    }
    pages = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return fail_errno(e, E_SPACE, "no memory for a secret");
    /* A limit on locked memory must not stop the job: it is reported once (secrets_are_locked). */
    if (mlock(pages, mapped) != 0)
        atomic_store(&not_locked, true);
    (void)madvise(pages, mapped, MADV_DONTDUMP);
    (void)madvise(pages, mapped, MADV_DONTFORK);
    *s = (struct secret){.pages = pages, .size = size, .mapped = mapped};
    return OK;
}

enum status secret_new(struct secret *s, size_t size, struct error *e)
{
    return map_pages(s, size, e);
}

enum status secret_copy(struct secret *s, struct span bytes, struct error *e)
{
    if (s->pages == NULL || bytes.size > s->mapped) {
        struct secret new = {0};
        TRY(map_pages(&new, bytes.size, e));
        secret_free(s);
        *s = new;
    }
    wipe(s->pages, s->mapped);
    if (bytes.size > 0)
        memcpy(s->pages, bytes.data, bytes.size);
    s->size = bytes.size;
    return OK;
}

struct span secret_view(const struct secret *s)
{
    return span_of(s->pages, s->size);
}

uint8_t *secret_room(struct secret *s)
{
    return s->pages;
}

void secret_free(struct secret *s)
{
    if (s->pages != NULL) {
        wipe(s->pages, s->mapped);
        if (s->mapped != page_size() || !spare_give(s->pages))
            (void)munmap(s->pages, s->mapped);
    }
    *s = (struct secret){0};
}

void kek_free(struct kek *k)
{
    EVP_PKEY_free(k->pair);
    secret_free(&k->octets);
    *k = (struct kek){0};
}
