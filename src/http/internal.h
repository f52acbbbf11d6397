/* http's own: what a session and an exchange are made of. */
#ifndef DECANT_HTTP_INTERNAL_H
#define DECANT_HTTP_INTERNAL_H

#include "http/http.h"

#include <curl/curl.h>
#include <stdatomic.h>

#define HEADERS_MAX      (32u * 1024)       /* of the answer that counts */
#define HEADERS_SEEN_MAX (4u * HEADERS_MAX) /* interim answers and trailers included */
#define REPLY_DEFAULT    (64u * 1024)       /* the body, where the request names no limit */

struct http {
    char *ca_file, *proxy;
    bool env_proxy;
    int64_t deadline_ms, retry_delay_ms;
    int tries;
    pthread_mutex_t lock;      /* guards IDLE and the making of TRUST */
    struct http_session *idle; /* the one used last is first */
    struct x509_store_st *trust; /* NULL until the first https request */
    atomic_uint_fast64_t requests, retries, bytes_received;
};

struct http_session {
    struct http *http;
    struct http_session *next;
    CURLM *multi;      /* keeps the connections */
    CURL *easy;        /* set up anew for each exchange */
    uint64_t streamed; /* bytes of the body streamed last */
    char said[CURL_ERROR_SIZE];
};

/* One try, from the request to the end of the answer. */
struct exchange {
    struct http_session *session;
    const struct http_request *request;
    const struct http_stream *stream; /* NULL: the body goes to REPLY */
    struct http_reply *reply;
    struct error *e;
    struct url url;
    struct curl_slist *headers;
    size_t headers_seen;
    enum status status; /* of our side: not OK ends the transfer, E says why */
    bool head_complete;
    bool enough; /* as much of a refusal's body as we keep */
};

/* exchange.c: one try. */
enum status exchange_run(struct exchange *x);
/* libcurl's callback before a request goes out. */
int exchange_count(void *x, char *, char *, int, int);

/* trust.c: the store that all connections share. E_USAGE. */
enum status trust_open(struct http *http, struct error *e);
void trust_close(struct http *http);
/* libcurl's callback: hands the store to a connection. */
CURLcode trust_give(CURL *easy, void *context, void *http);

/* setup.c: everything libcurl must know about this try. */
enum status exchange_set_up(struct exchange *x);

/* reply.c: libcurl's callbacks; their context is the struct exchange. */
size_t reply_take_header(char *line, size_t one, size_t size, void *context);
size_t reply_take_body(char *bytes, size_t one, size_t size, void *context);
/* What the service asked us to wait, 0 if nothing. */
int64_t reply_retry_after_ms(const struct http_reply *reply);

/* failure.c: what libcurl's CODE means for the user. */
enum status exchange_failure(struct exchange *x, CURLcode code);
#define DEADLINE_SLACK_MS 20 /* libcurl may end a transfer a little early */
/* The same sentence wherever the run's own time limit ends a request. */
enum status deadline_failure(const struct http_request *request, struct error *e);

/* retry.c: is the status one that the same request may get over? */
bool status_is_transient(long status);

#endif
