/*
 * A scripted HTTP/1.1 server on 127.0.0.1 inside the test: each request goes to the test's handler,
 * which appends the raw bytes of the answer. One thread per connection, connections are kept alive;
 * the handler runs under a lock, one call at a time. The last PEER_RECORDS requests are kept as
 * text.
 *
 *     static void handler(void *context, const struct peer_request *q, struct peer_answer *a)
 *     {
 *         if (strcmp(q->path, "/x?y=1") == 0)
 *             peer_reply(a, 200, "Content-Type: application/json\r\n", "{}");
 *         else
 *             peer_reply(a, 404, NULL, "");
 *     }
 *     struct peer peer;
 *     peer_start(&peer, handler, NULL);
 *     … peer_url(&peer) is "http://127.0.0.1:PORT" …
 *     peer_stop(&peer);
 *
 * In the handler no cmocka assertion may fail (it would jump out of another thread): record, and
 * assert later.
 */
#ifndef DECANT_PEER_H
#define DECANT_PEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "testing.h"

#define PEER_CONNECTIONS 64
#define PEER_RECORDS     64
#define PEER_MAX         ((size_t)64 << 20)

struct peer_request {
    size_t number;             /* 0 for the first request this peer got */
    const char *method, *path; /* the path with its query */
    const char *head; /* the request line and the headers as they came, with a NUL behind */
    struct span body;
};

struct peer_answer {
    struct buf bytes; /* what the peer sends */
    bool close;       /* end the connection after BYTES: cut an answer short */
    bool reset;       /* the same, with a TCP reset */
    int64_t delay_ms; /* before anything is sent */
};

typedef void peer_handler(void *context, const struct peer_request *request,
                          struct peer_answer *answer);

struct peer_connection {
    struct peer *peer;
    pthread_t thread;
    int fd;
    bool used;
};

struct peer {
    peer_handler *handler;
    void *context;
    int listener;
    char url[64];
    pthread_t thread;
    pthread_mutex_t lock;
    bool stopping;
    size_t n_requests; /* so far; read it after peer_stop, or when no request is under way */
    size_t n_connections;
    char *records[PEER_RECORDS]; /* head and body of request N at N % PEER_RECORDS */
    struct peer_connection connections[PEER_CONNECTIONS];
};

/* The value of a request's header in OUT, "" if there is none. */
static inline void peer_header(const struct peer_request *q, const char *name, char *out,
                               size_t size)
{
    out[0] = 0;
    for (const char *line = strstr(q->head, "\r\n"); line && line[2] && line[2] != '\r';
         line = strstr(line + 2, "\r\n")) {
        size_t n = strlen(name);
        if (strncasecmp(line + 2, name, n) != 0 || line[2 + n] != ':')
            continue;
        const char *value = line + 3 + n + strspn(line + 3 + n, " ");
        (void)snprintf(out, size, "%.*s", (int)strcspn(value, "\r"), value);
        return;
    }
}

/* The same, of a recorded request (peer.records[i]). */
static inline void peer_recorded_header(const char *record, const char *name, char *out,
                                        size_t size)
{
    peer_header(&(struct peer_request){.head = record}, name, out, size);
}

static inline void peer_send(struct peer_answer *a, const void *data, size_t size)
{
    struct error e = {0};
    if (buf_add(&a->bytes, span_of(data, size), &e) != OK)
        abort();
}

static inline void peer_text(struct peer_answer *a, const char *text)
{
    peer_send(a, text, strlen(text));
}

/* A whole answer with its Content-Length; HEADERS: more lines, each with its "\r\n", or NULL. */
static inline void peer_reply_bytes(struct peer_answer *a, int status, const char *headers,
                                    const void *body, size_t size)
{
    char line[128];
    (void)snprintf(line, sizeof line, "HTTP/1.1 %d Scripted\r\nContent-Length: %zu\r\n", status,
                   size);
    peer_text(a, line);
    peer_text(a, headers ? headers : "");
    peer_text(a, "\r\n");
    if (size)
        peer_send(a, body, size);
}

static inline void peer_reply(struct peer_answer *a, int status, const char *headers,
                              const char *body)
{
    peer_reply_bytes(a, status, headers, body, strlen(body));
}

/* Reads one request into TEXT (malloc'd, NUL behind). False at the end of the connection. */
static inline bool peer_read(int fd, char **text, size_t *head, size_t *total)
{
    size_t size = 0, capacity = 1 << 16, want = SIZE_MAX;
    char *t = malloc(capacity + 1);
    *head = 0;
    while (t && size < want) {
        if (size == capacity) {
            capacity *= 2;
            char *more = capacity <= PEER_MAX ? realloc(t, capacity + 1) : NULL;
            if (!more)
                break;
            t = more;
        }
        ssize_t n = recv(fd, t + size, capacity - size, 0);
        if (n <= 0)
            break;
        size += (size_t)n;
        t[size] = 0;
        char *end = *head ? NULL : strstr(t, "\r\n\r\n");
        if (!end)
            continue;
        *head = (size_t)(end + 4 - t);
        char length[32], expect[32];
        peer_recorded_header(t, "Content-Length", length, sizeof length);
        peer_recorded_header(t, "Expect", expect, sizeof expect);
        want = *head + strtoul(length, NULL, 10);
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        if (expect[0])
            (void)!send(fd, go_on, sizeof go_on - 1, MSG_NOSIGNAL);
    }
    if (!t || size < want) {
        free(t);
        return false;
    }
    *text = t;
    *total = size;
    return true;
}

static inline bool peer_write(int fd, struct span bytes)
{
    while (bytes.size) {
        ssize_t n = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes = span_of(bytes.data + n, bytes.size - (size_t)n);
    }
    return true;
}

/* Asks the handler; TEXT is taken into the records. */
static inline void peer_handle(struct peer *p, char *text, size_t head, size_t total,
                               struct peer_answer *a)
{
    char *top = strndup(text, head), *method = strdup(text), *path = NULL;
    if (!top || !method)
        abort();
    method[strcspn(method, "\r")] = 0;
    path = method + strcspn(method, " ");
    if (*path)
        *path++ = 0;
    path[strcspn(path, " ")] = 0;
    (void)pthread_mutex_lock(&p->lock);
    size_t number = p->n_requests++;
    char **record = &p->records[number % PEER_RECORDS];
    free(*record);
    *record = text;
    p->handler(p->context,
               &(struct peer_request){.number = number,
                                      .method = method,
                                      .path = path,
                                      .head = top,
                                      .body = span_of(text + head, total - head)},
               a);
    (void)pthread_mutex_unlock(&p->lock);
    free(top);
    free(method);
}

static inline void *peer_serve(void *argument)
{
    struct peer_connection *c = argument;
    bool more = true;
    while (more) {
        struct peer_answer a = {.bytes = BUF(PEER_MAX)};
        char *text = NULL;
        size_t head = 0, total = 0;
        if (!peer_read(c->fd, &text, &head, &total))
            break;
        peer_handle(c->peer, text, head, total, &a);
        for (int64_t t = 0; t < a.delay_ms && !c->peer->stopping; t += 10)
            (void)usleep(10000);
        more = peer_write(c->fd, buf_span(&a.bytes)) && !a.close && !a.reset;
        if (a.reset)
            (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0},
                             sizeof(struct linger));
        buf_free(&a.bytes);
    }
    (void)pthread_mutex_lock(&c->peer->lock);
    (void)close(c->fd);
    c->fd = -1;
    (void)pthread_mutex_unlock(&c->peer->lock);
    return NULL;
}

static inline void *peer_accept(void *argument)
{
    struct peer *p = argument;
    for (;;) {
        int fd = accept(p->listener, NULL, NULL);
        (void)pthread_mutex_lock(&p->lock);
        struct peer_connection *c = NULL;
        for (size_t i = 0; fd >= 0 && !p->stopping && !c && i < PEER_CONNECTIONS; i++)
            if (!p->connections[i].used || p->connections[i].fd < 0)
                c = &p->connections[i];
        bool old = c && c->used;
        if (c && !old) {
            *c = (struct peer_connection){.peer = p, .fd = fd, .used = true};
            p->n_connections++;
            if (pthread_create(&c->thread, NULL, peer_serve, c) != 0)
                abort();
        }
        bool stopping = p->stopping;
        (void)pthread_mutex_unlock(&p->lock);
        if (old) { /* an ended connection's place: its thread is done with the lock */
            (void)pthread_join(c->thread, NULL);
            (void)pthread_mutex_lock(&p->lock);
            c->fd = fd;
            p->n_connections++;
            if (pthread_create(&c->thread, NULL, peer_serve, c) != 0)
                abort();
            (void)pthread_mutex_unlock(&p->lock);
        }
        if (fd >= 0 && !c)
            (void)close(fd);
        if (stopping || fd < 0)
            return NULL;
    }
}

static inline void peer_start(struct peer *p, peer_handler *handler, void *context)
{
    *p = (struct peer){.handler = handler, .context = context};
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof where;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(p->listener >= 0);
    assert_int_equal(bind(p->listener, (const struct sockaddr *)&where, size), 0);
    assert_int_equal(listen(p->listener, 64), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&where, &size), 0);
    (void)snprintf(p->url, sizeof p->url, "http://127.0.0.1:%u", ntohs(where.sin_port));
    assert_int_equal(pthread_mutex_init(&p->lock, NULL), 0);
    assert_int_equal(pthread_create(&p->thread, NULL, peer_accept, p), 0);
}

static inline const char *peer_url(const struct peer *p)
{
    return p->url;
}

/* Ends the connections, too. Afterwards the counts can still be read, the records cannot. */
static inline void peer_stop(struct peer *p)
{
    (void)pthread_mutex_lock(&p->lock);
    p->stopping = true;
    (void)shutdown(p->listener, SHUT_RDWR);
    for (size_t i = 0; i < PEER_CONNECTIONS; i++)
        if (p->connections[i].used && p->connections[i].fd >= 0)
            (void)shutdown(p->connections[i].fd, SHUT_RDWR);
    (void)pthread_mutex_unlock(&p->lock);
    (void)pthread_join(p->thread, NULL);
    (void)close(p->listener);
    for (size_t i = 0; i < PEER_CONNECTIONS; i++)
        if (p->connections[i].used)
            (void)pthread_join(p->connections[i].thread, NULL);
    for (size_t i = 0; i < PEER_RECORDS; i++) {
        free(p->records[i]);
        p->records[i] = NULL;
    }
    (void)pthread_mutex_destroy(&p->lock);
}

#endif
