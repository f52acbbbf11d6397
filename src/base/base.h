/*
 * base: the words every room speaks: bytes and who owns them, errors, secrets, keys, encodings,
 * JSON, URLs, time, cancellation and the log.
 *
 * Conventions that hold everywhere:
 *   - `struct span` borrows; `struct buf`, `struct secret`, `struct kek` own. `x_free(&x)` takes
 * the address of the owner, accepts an empty one and leaves it empty, so it serves AUTO().
 *   - Functions that can fail return `enum status` and describe the failure in the last parameter.
 *     Out-parameters are written on success only.
 *   - Every function is thread-safe for distinct objects unless it says otherwise.
 */
#ifndef DECANT_BASE_H
#define DECANT_BASE_H

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct cJSON;
struct evp_pkey_st;

#define AUTO(free_function) __attribute__((cleanup(free_function)))
#define PRINTF_LIKE(format_at, first_argument)                                                     \
    __attribute__((format(printf, format_at, first_argument)))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Errors -------------------------------------------------------------------------------- */

/* The class of a failure is the exit code the user sees (docs/operations.md). */
enum [[nodiscard]] status{
    OK = 0,
    E_BUG = 1,            /* a bug or an unexpected local failure */
    E_USAGE = 2,          /* the command line or the job is wrong */
    E_NO_EVIDENCE = 10,   /* no hardware evidence here */
    E_NOT_ATTESTED = 11,  /* the attestation service refused the evidence */
    E_NO_TOKEN = 12,      /* no access token */
    E_NOT_RELEASED = 13,  /* the vault refused to release or find the key */
    E_BAD_KEY = 14,       /* the released key is not what it should be */
    E_NOT_FOUND = 20,     /* a blob or container is not there */
    E_DENIED = 21,        /* access to storage denied */
    E_NETWORK = 22,       /* network or service failure that outlasted the retries */
    E_NOT_AUTHENTIC = 30, /* a blob is not authentic or not a valid envelope */
    E_MISMATCH = 31,      /* a size, digest or manifest does not match */
    E_VOLUME = 40,        /* the volume is not confidential */
    E_SPACE = 41,         /* no space or over a limit */
    E_NAME = 42,          /* an unsafe or colliding name */
    E_NOT_STARTED = 50,   /* exec: the command could not be started */
    E_INTERRUPTED = 130,  /* stopped by a signal; main turns SIGTERM into 143 */
};

/* Owned by the caller, never allocates. Start from `{ 0 }`. */
struct error {
    enum status status;
    bool transient;         /* the same request may succeed later */
    bool unreached;         /* nobody answers at that address, or it has none */
    int64_t retry_after_ms; /* what the service asked for; 0 if it did not */
    char text[640];         /* what failed and where, one sentence without a final stop */
    char service_code[96];  /* the service's own error code, or "" */
    char request_id[96];    /* the service's request id, or "" */
    char remedy[320];       /* what to do about it, one sentence, or "" */
};

/* Describe a failure where it is noticed; forgets whatever E said before. Bytes that a terminal
 * could take for commands, and broken UTF-8, are shown as '?'. Each returns STATUS. */
enum status fail(struct error *e, enum status status, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same, and ": " and the text of errno. */
enum status fail_errno(struct error *e, enum status status, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* The same, and ": " and OpenSSL's reason; empties the thread's OpenSSL error queue. */
enum status fail_openssl(struct error *e, enum status status, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Put "FORMAT: " in front of the text on the way up. Returns the status that E already has. */
enum status wrap(struct error *e, const char *format, ...) PRINTF_LIKE(2, 3);
/* Say what the user can do; the innermost advice stays. */
void advise(struct error *e, const char *format, ...) PRINTF_LIKE(2, 3);

/* Makes TEXT, up to its NUL, fit for a terminal in the same way, in place. */
void text_make_printable(char *text);

/* Call once the command failed for good: a failure after memory ran out becomes that, E_SPACE. */
void error_settle(struct error *e);

struct buf;
/* "decant COMMAND: TEXT (code …, request …). REMEDY.": what the user reads last. */
enum status error_sentence(const char *command, const struct error *shown, struct buf *out,
                           struct error *e);

#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum status try_status_ = (call);                                                          \
        if (try_status_ != OK)                                                                     \
            return try_status_;                                                                    \
    } while (0)

/* ---- Bytes --------------------------------------------------------------------------------- */

struct span {
    const uint8_t *data;
    size_t size;
};

#define SPAN_LITERAL(text) ((struct span){(const uint8_t *)("" text), sizeof(text) - 1})

struct span span_of(const void *data, size_t size);
struct span span_text(const char *text);       /* without the NUL; NULL is empty */
struct span span_trim(struct span s);          /* without white space at both ends */
bool span_equal(struct span a, struct span b); /* in time that depends on the sizes only */
bool span_is(struct span s, const char *text); /* the same bytes as TEXT */
bool span_starts(struct span s, const char *prefix);
char *span_dup(struct span s); /* malloc'd with a NUL behind; NULL if no memory */

/* A growable buffer that is born with a maximum. DATA always has a NUL behind SIZE once anything
 * was added. Its memory is wiped when it moves and when it is freed. */
struct buf {
    uint8_t *data;
    size_t size, capacity, max;
};

#define BUF(maximum) ((struct buf){.max = (maximum)})

enum status buf_add(struct buf *b, struct span bytes,
                    struct error *e); /* E_SPACE over the maximum */
enum status buf_addf(struct buf *b, struct error *e, const char *format, ...) PRINTF_LIKE(3, 4);
struct span buf_span(const struct buf *b);
const char *buf_text(const struct buf *b); /* "" if empty */
void buf_clear(struct buf *b);             /* wipes, keeps the memory */
void buf_free(struct buf *b);              /* keeps the maximum */

/* Where decrypted bytes go: each call gives BYTES their place AT in the plaintext. */
struct sink {
    enum status (*write)(void *context, uint64_t at, struct span bytes, struct error *e);
    void *context;
};

/* Where a body goes, in order, as it arrives. */
struct feed {
    enum status (*take)(void *context, struct span bytes, struct error *e);
    void *context;
};

/* ---- Secrets and memory -------------------------------------------------------------------- */

void wipe(void *data, size_t size); /* never optimised away */

/* Allocators that wipe what they free or move; given to OpenSSL, libcurl, expat and cJSON, whose
 * copies of tokens and keys we cannot reach otherwise. */
void *memory_new(size_t size);
void *memory_resize(void *old, size_t size);
void memory_free(void *data);
char *memory_text(const char *text);
void *memory_array(size_t n, size_t size);
/* True once any of them had no memory. What fails after that proves nothing about a key, a service
 * or a blob: the libraries call their own lack of memory a bad signature or a broken document. */
bool memory_ran_out(void);

/* Only in a build of tests/hardening: stops the process at the points that DECANT_TEST_STOP names, so
 * that its memory can be searched. */
#ifdef DECANT_TEST_HOOKS
void test_point(const char *name);
#else
#define test_point(name) ((void)0)
#endif

/* Call first in main: no core dumps, not traceable, wiping allocators under OpenSSL and cJSON. */
enum status memory_init(struct error *e);

/* Secret bytes in pages of their own: locked if the limit allows, out of core dumps, not inherited
 * by children, wiped on free. Doors: secret_view to read, secret_room to fill. */
struct secret {
    uint8_t *pages;
    size_t size, mapped;
};

enum status secret_new(struct secret *s, size_t size,
                       struct error *e); /* zeroes; S must be empty */
enum status secret_copy(struct secret *s, struct span bytes,
                        struct error *e); /* replaces what S had */
struct span secret_view(const struct secret *s);
uint8_t *secret_room(struct secret *s); /* SIZE writable bytes */
void secret_free(struct secret *s);
/* False once any secret's pages could not be locked; to be reported once per run. */
bool secrets_are_locked(void);

/* A key encryption key: what the vault released. One of both is set. */
struct kek {
    char kid[512];            /* as the vault or the job names it */
    struct evp_pkey_st *pair; /* RSA or EC private key, else NULL */
    struct secret octets;     /* symmetric key (oct): 16, 24 or 32 bytes for AES */
};

void kek_free(struct kek *k);

/* Gives the access token for AUDIENCE (such as "https://vault.azure.net"), from a cache where it is
 * still good. Thread-safe. The token replaces what OUT had. */
struct token_source {
    enum status (*get)(void *context, const char *audience, struct secret *out, struct error *e);
    void *context;
};

/* ---- Encodings ----------------------------------------------------------------------------- */

enum base64_kind {
    BASE64,           /* RFC 4648 section 4, padded */
    BASE64URL,        /* section 5, without padding */
    BASE64URL_PADDED, /* section 5, padded: what the attestation service's clients send */
};

/* Appends to OUT. Decoding is strict: no white space, no foreign letters, zero trailing bits.
 * BASE64 wants its padding; both url kinds take the text with or without. Fails with STATUS_IF_BAD.
 */
enum status base64_encode(struct span bytes, enum base64_kind kind, struct buf *out,
                          struct error *e);
enum status base64_decode(struct span text, enum base64_kind kind, struct buf *out,
                          enum status status_if_bad, struct error *e);

enum status hex_encode(struct span bytes, struct buf *out, struct error *e); /* lower case */
enum status hex_decode(struct span text, struct buf *out, enum status status_if_bad,
                       struct error *e);

/* RFC 3986: everything but unreserved characters and those in KEEP becomes %XX. */
enum status percent_encode(struct span bytes, const char *keep, struct buf *out, struct error *e);
enum status percent_decode(struct span text, struct buf *out, enum status status_if_bad,
                           struct error *e);

bool utf8_is_valid(struct span text); /* shortest forms only, no surrogates, no NUL */

#define SHA256_SIZE 32
enum status sha256(struct span bytes, uint8_t digest[static SHA256_SIZE], struct error *e);
enum status random_bytes(uint8_t *out, size_t size, struct error *e);

/* Reads at most MAX bytes of a regular file, a pipe or a /proc or /sys file into OUT (whose maximum
 * is raised to fit). The file that is larger is refused. Failures have STATUS_IF_BAD. */
enum status file_read(const char *path, size_t max, struct buf *out, enum status status_if_bad,
                      struct error *e);

/* ---- JSON (RFC 8259), read strictly ---------------------------------------------------------- */

/* Refuses with STATUS_IF_BAD: anything after the value, duplicate member names, NUL characters,
 * invalid UTF-8, more than 32 levels. The tree belongs to the caller. */
enum status json_parse(struct span text, enum status status_if_bad, struct cJSON **out,
                       struct error *e);
void json_free(struct cJSON **tree);
/* Members by exact name; NULL (or false) if OBJECT is NULL or no object, or has no such member of
 * that type. */
const struct cJSON *json_member(const struct cJSON *object, const char *name);
const struct cJSON *json_object(const struct cJSON *object, const char *name);
const struct cJSON *json_array(const struct cJSON *object, const char *name);
const char *json_text(const struct cJSON *object, const char *name);
bool json_number(const struct cJSON *object, const char *name, uint64_t *out); /* 0 … 2^53, whole */
/* A long list of objects, one at a time: TEXT is an object whose member NAME is that list. What is
 * behind a failure has not been looked at, so nothing of the list counts before its end was seen. */
struct json_list {
    struct span text; /* borrowed, as is NAME, while this is used */
    const char *name;
    size_t at, taken;
    enum status status_if_bad;
};
/* *REST becomes the object with an empty list in it. */
enum status json_list_open(struct span text, const char *name, enum status status_if_bad,
                           struct json_list *out, struct cJSON **rest, struct error *e);
/* No more elements than this are still to come. */
size_t json_list_count(const struct json_list *list);
/* Frees *OUT; then it is the next element, NULL at the end. */
enum status json_list_next(struct json_list *list, struct cJSON **out, struct error *e);
/* Appends TEXT as a JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD. */
enum status json_quote(struct span text, struct buf *out, struct error *e);
/* Appends TEXT, which json_parse takes, laid out for people: members on lines of their own. What a
 * terminal could take for commands is escaped. Numbers keep their letters. */
enum status json_indent(struct span text, struct buf *out, struct error *e);

/* ---- URLs ------------------------------------------------------------------------------------ */

/* An http or https URL cut into parts that borrow from its text. Nothing is decoded. */
struct url {
    bool https;
    struct span host;      /* without brackets; letters as given */
    struct span authority; /* host and port as given, for the Host header and for messages */
    uint16_t port;         /* 443 or 80 if not given */
    struct span path;      /* starts with '/', or empty */
    struct span query;     /* without '?', or empty */
};

/* Refuses anything else: other schemes, user names, fragments, control or non-ASCII characters,
 * odd host names. E_USAGE. The text of a refused URL is not repeated: it may hold a SAS. */
enum status url_parse(const char *text, struct url *out, struct error *e);
bool url_host_is_address(const struct url *u); /* IPv4 or IPv6 literal */
/* Loopback (127/8, ::1, localhost) and link-local (169.254/16, fe80::/10): where plain http is
 * allowed. */
bool url_host_is_local(const struct url *u);
bool url_host_ends(const struct url *u,
                   const char *suffix); /* ".vault.azure.net"; case-insensitive */

/* ---- Time and cancellation ------------------------------------------------------------------- */

int64_t clock_ms(void);     /* monotonic */
int64_t clock_unix_s(void); /* wall clock, for expiry dates */

#define DEADLINE_NEVER INT64_MAX /* deadlines are values of clock_ms() */

/* One run, one stop: set by SIGINT and SIGTERM, or when one part failed and the others should end.
 */
#define STOP_ON_FAILURE (-1)
enum status stop_on_signals(struct error *e); /* installs the handlers; ignores SIGPIPE */
void stop_request(int why);    /* a signal number or STOP_ON_FAILURE; the first stays */
int stop_reason(void);         /* 0 = go on */
void stop_reset(void);         /* for tests and for the next stage of exec */
/* What a process that failed with E exits with: its class, or 128 and the signal that stopped it. */
int exit_code(const struct error *e);
/* Sleeps; E_INTERRUPTED at once when stopped. */
enum status stop_sleep_ms(int64_t ms, struct error *e);
/* E_INTERRUPTED if stopped, else OK. */
enum status stop_check(struct error *e);

/* ---- Threads --------------------------------------------------------------------------------- */

/* One piece of work on a thread of its own. Zero-initialise; task_join waits, returns the work's
 * status and copies its error. task_abandon waits and forgets; it serves AUTO(). */
struct task {
    enum status (*work)(void *context, struct error *e);
    void *context;
    pthread_t thread;
    bool running;
    enum status status;
    struct error error;
};

enum status task_start(struct task *t, enum status (*work)(void *context, struct error *e),
                       void *context, struct error *e);
enum status task_join(struct task *t, struct error *e);
void task_abandon(struct task *t);

/* ---- Log ------------------------------------------------------------------------------------- */

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

struct log_field {
    const char *key;
    const char *text; /* NULL: NUMBER counts */
    int64_t number;
};

void log_open(enum log_level level, enum log_format format);
bool log_wants(enum log_level level);
/* One line on standard error: time, level, event, fields. Never a header, a token, a query or a
 * body. */
void log_event(enum log_level level, const char *event, const struct log_field *fields, size_t n);
/* The last line of a failed command, shown at every level: SENTENCE, or a JSON line that holds it.
 */
void log_final(const char *sentence, const struct error *e);
/* A line that the next one overwrites, on a terminal; "" takes it away. Log lines appear above it.
 */
void log_progress(const char *line);

#define LOG(level, event, ...)                                                                     \
    log_event((level), (event), (const struct log_field[]){__VA_ARGS__},                           \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
#define LOG_STRING(name, value)                                                                    \
    {                                                                                              \
        .key = (name), .text = (value)                                                             \
    }
#define LOG_NUMBER(name, value)                                                                    \
    {                                                                                              \
        .key = (name), .number = (int64_t)(value)                                                  \
    }

#endif
