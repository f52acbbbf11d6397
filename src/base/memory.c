/*
 * Memory that is wiped when it is given back. OpenSSL, libcurl, expat and cJSON make copies of
 * keys and tokens that no caller can reach; with these allocators they die with their owner.
 */
#include "base/base.h"

#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cjson/cJSON.h>
#include <openssl/crypto.h>

enum { ARENAS = 2 };

#ifdef DECANT_TEST_HOOKS

/* The counter-proof: the search for secrets must find them when nothing is wiped. */
static bool keeps_secrets(void)
{
    const char *wish = getenv("DECANT_TEST_KEEP_SECRETS");
    return wish != NULL && wish[0] == '1';
}

void test_point(const char *name)
{
    const char *wish = getenv("DECANT_TEST_STOP");
    if (wish != NULL && strstr(wish, name) != NULL)
        (void)raise(SIGSTOP);
}

#else

static bool keeps_secrets(void)
{
    return false;
}

#endif

void wipe(void *data, size_t size)
{
    if (size > 0 && !keeps_secrets())
        explicit_bzero(data, size);
}

static atomic_bool ran_out;

bool memory_ran_out(void)
{
    return atomic_load(&ran_out);
}

void *memory_new(size_t size)
{
    void *data = malloc(size > 0 ? size : 1);
    if (data == NULL)
        atomic_store(&ran_out, true);
    return data;
}

void memory_free(void *data)
{
    if (data == NULL)
        return;
    wipe(data, malloc_usable_size(data));
    free(data);
}

void *memory_resize(void *old, size_t size)
{
    if (old == NULL)
        return memory_new(size);
    size_t room = malloc_usable_size(old);
    if (size > 0 && size <= room)
        return old;
    void *new = memory_new(size);
    if (new == NULL)
        return NULL;
    memcpy(new, old, room < size ? room : size);
    memory_free(old);
    return new;
}

char *memory_text(const char *text)
{
    return span_dup(span_text(text));
}

void *memory_array(size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    void *data = memory_new(bytes);
    if (data != NULL)
        memset(data, 0, bytes);
    return data;
}

static void *openssl_new(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return memory_new(size);
}

static void *openssl_resize(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return memory_resize(old, size);
}

static void openssl_free(void *data, const char *file, int line)
{
    (void)file;
    (void)line;
    memory_free(data);
}

enum status memory_init(struct error *e)
{
    const struct rlimit no_core = {0, 0};
    if (setrlimit(RLIMIT_CORE, &no_core) != 0)
        return fail_errno(e, E_BUG, "core dumps cannot be switched off");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return fail_errno(e, E_BUG, "the process cannot be closed to tracing");
    /* glibc gives each thread an arena of its own, eight for each processor, and what one thread
     * frees of another's stays there: half of the memory of a run over many blobs. An allocator in
     * its place (AddressSanitizer's) need not have any. */
    (void)mallopt(M_ARENA_MAX, ARENAS);
    if (CRYPTO_set_mem_functions(openssl_new, openssl_resize, openssl_free) != 1)
        return fail(e, E_BUG, "OpenSSL allocated memory before it could be told how");
    /* Made here, where it can fail: later, without it, OpenSSL 3.0 follows a NULL pointer. */
    if (OSSL_LIB_CTX_get0_global_default() == NULL)
        return fail(e, E_SPACE, "out of memory");
    cJSON_Hooks hooks = {.malloc_fn = memory_new, .free_fn = memory_free};
    cJSON_InitHooks(&hooks);
    return OK;
}
