/*
 * One call fails: a library for LD_PRELOAD that counts the calls of calls.h and makes call number N
 * of one function fail once. x86-64, for the gates are a few lines of assembly: they keep every
 * argument as it is, so no prototype is needed and variadic functions work, too.
 *
 *   FAULT_STATE   a file of sizeof(struct state) zero bytes: the counts and what was hit, even if
 *                 the program crashes
 *   FAULT_CALL, FAULT_NUMBER   the function and which of its calls fails (1, 2 …); unset: none
 *   FAULT_PAIR    a PEM file with an RSA pair that EVP_PKEY_Q_keygen gives out, so that a run is
 *                 short and its calls are the same each time
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "calls.h"

#define CALLS_MAX 256
#define FRAMES    24

enum class { MEMORY, OPENSSL, CURL_CALLS, PARSERS, FILES, SYSTEM }; /* CURL is a type of libcurl */
#define CLASS_MEMORY  MEMORY
#define CLASS_OPENSSL OPENSSL
#define CLASS_CURL    CURL_CALLS
#define CLASS_PARSERS PARSERS
#define CLASS_FILES   FILES
#define CLASS_SYSTEM  SYSTEM

/* tests/fault/preload.py reads this. */
struct state {
    uint64_t armed, hit, n_frames, main_base;
    uint64_t frames[FRAMES];
    _Atomic uint64_t counts[CALLS_MAX];
};

struct call {
    const char *name;
    enum class class;
    long result;
    int number;
    void *_Atomic real;
};

#define CALL_ROW(class, name, result, number) {#name, CLASS_##class, result, number, NULL},
static struct call calls[] = {CALLS(CALL_ROW)};

#define N_CALLS (sizeof(calls) / sizeof(calls[0]))
_Static_assert(N_CALLS <= CALLS_MAX, "more room in struct state");

static struct state *state;
static size_t target = SIZE_MAX;
static uint64_t target_number;
static uintptr_t main_start, main_end;
static __thread int suspended __attribute__((tls_model("initial-exec")));

struct verdict {
    void *real; /* NULL: the call fails … */
    long result; /* … with this */
};
struct verdict fault_decide(size_t index, uintptr_t caller);
void fault_gate(void);

/* Saves all that can be an argument, asks, and goes on to the real function or returns. */
__asm__(".text\n.globl fault_gate\n.hidden fault_gate\n.type fault_gate, @function\nfault_gate:\n"
        "  .cfi_startproc\n  .cfi_def_cfa_offset 16\n  push %rbp\n  .cfi_def_cfa_offset 24\n"
        "  .cfi_offset %rbp, -24\n  mov %rsp, %rbp\n  .cfi_def_cfa_register %rbp\n"
        /* [rbp+8] the gate's number, [rbp+16] where the caller goes on */
        "  push %rax\n  push %rdi\n  push %rsi\n  push %rdx\n  push %rcx\n  push %r8\n  push %r9\n"
        "  push %r10\n  sub $128, %rsp\n"
        "  movups %xmm0, (%rsp)\n  movups %xmm1, 16(%rsp)\n  movups %xmm2, 32(%rsp)\n"
        "  movups %xmm3, 48(%rsp)\n  movups %xmm4, 64(%rsp)\n  movups %xmm5, 80(%rsp)\n"
        "  movups %xmm6, 96(%rsp)\n  movups %xmm7, 112(%rsp)\n"
        "  mov 8(%rbp), %rdi\n  mov 16(%rbp), %rsi\n"
        "  and $-16, %rsp\n  call fault_decide\n"
        "  mov %rax, %r11\n  test %rax, %rax\n  jz 1f\n"
        "  lea -192(%rbp), %rsp\n"
        "  movups (%rsp), %xmm0\n  movups 16(%rsp), %xmm1\n  movups 32(%rsp), %xmm2\n"
        "  movups 48(%rsp), %xmm3\n  movups 64(%rsp), %xmm4\n  movups 80(%rsp), %xmm5\n"
        "  movups 96(%rsp), %xmm6\n  movups 112(%rsp), %xmm7\n  add $128, %rsp\n"
        "  pop %r10\n  pop %r9\n  pop %r8\n  pop %rcx\n  pop %rdx\n  pop %rsi\n  pop %rdi\n"
        "  pop %rax\n  pop %rbp\n  add $8, %rsp\n  jmp *%r11\n"
        "1:  mov %rdx, %rax\n  mov %rbp, %rsp\n  pop %rbp\n  add $8, %rsp\n  ret\n"
        "  .cfi_endproc\n.size fault_gate, .-fault_gate\n");

/* Gates are numbered from 1, in the order of the table. */
_Static_assert(__COUNTER__ == 0, "nothing counted before the gates");
#define TEXT(x)     #x
#define TEXT_OF(x)  TEXT(x)
#define CALL_GATE(class, name, result, number)                                                     \
    __asm__(".text\n.globl " #name "\n.type " #name ", @function\n" #name ":\n  endbr64\n"        \
            "  pushq $" TEXT_OF(__COUNTER__) "\n  jmp fault_gate\n.size " #name ", .-" #name "\n");
CALLS(CALL_GATE)

static void *real_of(struct call *call)
{
    void *real = atomic_load(&call->real);
    if (real == NULL) {
        real = dlsym(RTLD_NEXT, call->name);
        atomic_store(&call->real, real);
    }
    if (real == NULL)
        abort(); /* the program calls what no library has */
    return real;
}

/* The libraries' own use of openssl, curl and the parsers is theirs: only decant's calls count. */
static bool counts(const struct call *call, uintptr_t caller)
{
    bool from_main = caller >= main_start && caller < main_end;
    return call->class == MEMORY || call->class == FILES || call->class == SYSTEM || from_main;
}

static void note_hit(uintptr_t caller)
{
    void *frames[FRAMES];
    suspended++;
    int n = backtrace(frames, FRAMES);
    for (int i = 0; i < n; i++)
        state->frames[i] = (uint64_t)(uintptr_t)frames[i];
    state->n_frames = (uint64_t)n;
    state->hit = caller;
    suspended--;
}

struct verdict fault_decide(size_t gate, uintptr_t caller)
{
    struct call *call = &calls[gate - 1];
    struct verdict pass = {real_of(call), 0};
    if (state == NULL || suspended > 0 || !counts(call, caller))
        return pass;
    uint64_t number = atomic_fetch_add(&state->counts[gate - 1], 1) + 1;
    if (gate - 1 != target || number != target_number)
        return pass;
    note_hit(caller);
    if (call->number != 0)
        errno = call->number;
    return (struct verdict){NULL, call->result};
}

/* ---- what is played or kept out of the count ---- */

/* The double of the device signs reports with calls of its own: they are not decant's. */
static int ioctl_uncounted(int fd, unsigned long request, void *argument)
{
    suspended++;
    int (*real)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    int result = real(fd, request, argument);
    suspended--;
    return result;
}

/* The address sanitizer asks this for each thread, and does not outlive a refusal. */
__attribute__((visibility("default"))) int pthread_getattr_np(pthread_t thread, pthread_attr_t *out)
{
    suspended++;
    int (*real)(pthread_t, pthread_attr_t *) =
        (int (*)(pthread_t, pthread_attr_t *))dlsym(RTLD_NEXT, "pthread_getattr_np");
    int result = real(thread, out);
    suspended--;
    return result;
}

static EVP_PKEY *given_pair(void)
{
    suspended++;
    FILE *file = fopen(getenv("FAULT_PAIR"), "r");
    EVP_PKEY *pair = file != NULL ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    if (file != NULL)
        (void)fclose(file);
    suspended--;
    return pair;
}

static void set_real(const char *name, void *real)
{
    for (size_t i = 0; i < N_CALLS; i++)
        if (strcmp(calls[i].name, name) == 0)
            atomic_store(&calls[i].real, real);
}

/* ---- start ---- */

static int find_main(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    main_start = UINTPTR_MAX;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD)
            continue;
        uintptr_t start = info->dlpi_addr + part->p_vaddr;
        main_start = start < main_start ? start : main_start;
        main_end = start + part->p_memsz > main_end ? start + part->p_memsz : main_end;
    }
    return 1; /* the program comes first */
}

static void choose_target(const char *name, const char *number)
{
    for (size_t i = 0; name != NULL && i < N_CALLS; i++)
        if (strcmp(calls[i].name, name) == 0)
            target = i;
    target_number = number != NULL ? strtoull(number, NULL, 10) : 0;
    if (name != NULL && target == SIZE_MAX)
        abort();
}

static struct state *map_state(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *map = MAP_FAILED;
    if (fd >= 0)
        map = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        abort();
    (void)close(fd);
    return map;
}

__attribute__((constructor)) static void start(void)
{
    void *frames[FRAMES];
    const char *path = getenv("FAULT_STATE");
    if (path == NULL)
        return;
    suspended++;
    (void)backtrace(frames, FRAMES); /* loads what it needs */
    (void)dl_iterate_phdr(find_main, NULL);
    choose_target(getenv("FAULT_CALL"), getenv("FAULT_NUMBER"));
    set_real("ioctl", (void *)ioctl_uncounted);
    if (getenv("FAULT_PAIR") != NULL)
        set_real("EVP_PKEY_Q_keygen", (void *)given_pair);
    struct state *map = map_state(path);
    map->main_base = main_start;
    map->armed = 1;
    state = map;
    suspended--;
}
