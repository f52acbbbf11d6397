/*
 * http: one request in, one bounded reply out, or a body into a feed. The only room that knows
 * libcurl; the policies for TLS, redirects (never), proxies, retries and the deadline of the run
 * live here.
 *
 * Everything that comes back is hostile until the caller has checked it.
 */
#ifndef DECANT_HTTP_H
#define DECANT_HTTP_H

#include "base/base.h"

struct http;         /* one per run, shared by all threads: settings, counters, idle sessions */
struct http_session; /* one kept-alive connection at a time; used by one thread at a time */

struct http_options {
    const char *ca_file; /* PEM; NULL: the system's trust store */
    const char *proxy;   /* NULL: none (the environment's proxies are honoured only if ENV_PROXY) */
    bool env_proxy;      /* HTTPS_PROXY, HTTP_PROXY, NO_PROXY count */
    int64_t deadline_ms; /* of the whole run; 0 or DEADLINE_NEVER: none */
    int tries;           /* per request that may be retried; 0: the default (5) */
    int64_t
        retry_delay_ms; /* before the second try, then doubled, with jitter; 0: the default (800) */
};

struct http_counters {
    uint64_t requests, retries, bytes_received;
};

/* Options are copied. */
enum status http_new(const struct http_options *options, struct http **out, struct error *e);
void http_free(struct http **http); /* all sessions must have been given back */
struct http_counters http_counters(const struct http *http);
/* The trust store that TLS uses, for whoever must verify a chain by itself: a file name or NULL for
 * the system's. */
const char *http_ca_file(const struct http *http);

/* Take an idle session (the one used last, so that its connection lives on) or a new one; give it
 * back when done. session_give serves AUTO(). */
enum status http_session_take(struct http *http, struct http_session **out, struct error *e);
void http_session_give(struct http_session **session);

struct http_header {
    const char *name;
    struct span value; /* may be secret: never logged */
};

struct http_request {
    const char *what;   /* for messages: "key release", "blob data/x" */
    const char *method; /* GET, HEAD, POST, PUT, DELETE */
    const char *url;    /* the query may be secret: never logged */
    const struct http_header *headers;
    size_t n_headers;
    struct span body; /* POST and PUT */
    size_t max_reply; /* bytes of body; more is E_NETWORK; 0: 64 KiB */
    int64_t
        timeout_ms; /* of one try; 0: 60 s (a feed or a body over 64 KiB: no limit but a stall of 30 s
                       below 1 KiB/s) */
    int64_t patience_ms; /* with RETRY: go on at least this long while the answer is 429 */
    int64_t grace_ms;    /* when the run is stopped in the middle, wait so long for the answer: for what
                            happens whether we hear of it or not */
    bool retry;          /* idempotent: try again after transport failures, 408, 429 and 5xx */
    bool direct;         /* never through a proxy: metadata services on this host */
    bool plain_http;     /* http to any host: the answer proves itself (THIM) */
};

struct http_reply {
    long status;
    int sent;           /* how often a request went out for it: in http_call's tries, and by libcurl
                           where a connection that was kept is dead; http_reply_free does not reset it */
    char peer[48];      /* the address at the other end of the connection: the server's, or a proxy's */
    struct buf headers; /* the raw block of the final answer, at most 32 KiB */
    struct buf body;
};

void http_reply_free(struct http_reply *reply);
/* The value of a header, trimmed; empty if absent. Borrows from REPLY. */
struct span http_reply_header(const struct http_reply *reply, const char *name);

/* One exchange, with the retries that REQUEST allows. OK means that an answer came, whatever its
 * status: the caller judges it. E_NETWORK if none came (or one too long, or compressed),
 * E_INTERRUPTED if stopped, E_USAGE for plain http to a host that is not local. REPLY must be
 * empty. */
enum status http_call(struct http_session *session, const struct http_request *request,
                      struct http_reply *reply, struct error *e);

/* What a caller wants to see of a streamed answer. */
struct http_stream {
    /* Called once, when the header is complete; REPLY->body is empty. A failure ends the transfer.
     */
    enum status (*head)(void *context, const struct http_reply *reply, struct error *e);
    /* Called for each piece of the body, if HEAD returned OK and the status is 2xx. The body of any
     * other answer is kept in REPLY->body (at most MAX_REPLY bytes), for http_refusal. */
    enum status (*take)(void *context, struct span bytes, struct error *e);
    void *context;
};

/* One try, no retries. A 2xx answer must say how long it is. A failure of HEAD or TAKE comes back
 * as it is; one of the transport is E_NETWORK with e->transient set, and e->unreached if nobody was
 * there. OK: the answer is complete, its length as announced. */
enum status http_stream(struct http_session *session, const struct http_request *request,
                        const struct http_stream *stream, struct http_reply *reply,
                        struct error *e);

/* Turn an answer that is no success into an error: STATUS, or E_NETWORK (transient) for 408, 429
 * and 5xx. Takes the service's code, message and request id from the forms that Azure uses: the
 * headers x-ms-error-code, x-ms-request-id; JSON {"error":{"code","message"}} (an
 * innererror's code follows: "Forbidden/ForbiddenByFirewall") and
 * {"error","error_description"}; XML <Error><Code><Message>. The header's code wins. The text shows
 * the first line of the message, without long words: they could be tokens sent back. */
enum status http_refusal(const struct http_request *request, const struct http_reply *reply,
                         enum status status, struct error *e);

/* For loops of one's own (a resumed body, an answer that must be parsed to be believed):
 *     struct http_retry retry = {0};
 *     do status = try_once(…, e); while (status != OK && http_again(session, &retry, e));
 * http_again is true after it slept as E (retry_after_ms, else exponential with jitter) and the
 * settings say; false if E is not transient, the tries or the deadline are used up, or the run is
 * stopped (then E says so). */
struct http_retry {
    int tries;     /* so far */
    int max_tries; /* 0: as the settings say */
    int64_t
        min_total_ms; /* go on at least this long (the 70 s of HTTP 410 at the identity service) */
    int64_t started_ms;
};
bool http_again(struct http_session *session, struct http_retry *retry, struct error *e);
/* The settings' deadline has passed: what failed may have failed for that alone. */
bool http_deadline_is_over(const struct http *http);

#endif
