/*
 * Says in the user's words why a transfer ended without an answer. libcurl's texts may quote the
 * peer; they are shown, never acted upon, and left out where they could hold the query of a URL.
 */
#include "http/internal.h"

#include <string.h>

#define REACH                                                                                      \
    "check that this host may be reached from here: network rules, private endpoint, proxy"
#define DNS    "check the host's name and this container's name servers"
#define LATER  "try again later; if it stays, look at the service's health and the network between"
#define SPEAKS "check the URL's port, and that no proxy answers in the service's place"
#define SPEAKS_TLS                                                                                 \
    "TLS 1.2 or newer is needed; check the URL's port, and that no proxy answers in the service's place"
#define TRUST                                                                                      \
    "check the host's name and this machine's clock; if a private authority signed the "           \
    "certificate, name it in network.ca_file"

struct meaning {
    CURLcode code;
    enum status status;
    bool transient;
    const char *text;
    const char *remedy;
};

static const struct meaning meanings[] = {
    {CURLE_COULDNT_RESOLVE_HOST, E_NETWORK, true, "its name was not resolved", DNS},
    {CURLE_COULDNT_RESOLVE_PROXY, E_NETWORK, true, "the proxy's name was not resolved", DNS},
    {CURLE_COULDNT_CONNECT, E_NETWORK, true, "no connection", REACH},
    {CURLE_OPERATION_TIMEDOUT, E_NETWORK, true, "no complete answer in time", LATER},
    {CURLE_PARTIAL_FILE, E_NETWORK, true, "the answer was cut short", LATER},
    {CURLE_GOT_NOTHING, E_NETWORK, true, "the connection was closed without an answer", LATER},
    {CURLE_SEND_ERROR, E_NETWORK, true, "the connection broke", LATER},
    {CURLE_RECV_ERROR, E_NETWORK, true, "the connection broke", LATER},
    {CURLE_PEER_FAILED_VERIFICATION, E_NETWORK, false, "its certificate is not trusted", TRUST},
    {CURLE_SSL_CACERT_BADFILE, E_USAGE, false, "the trust store could not be read",
     "check network.ca_file: it must hold certificates in PEM form"},
    {CURLE_SSL_CONNECT_ERROR, E_NETWORK, false, "no agreement on TLS", SPEAKS_TLS},
    {CURLE_UNSUPPORTED_PROTOCOL, E_NETWORK, false, "what answers there does not speak HTTP",
     SPEAKS},
    {CURLE_WEIRD_SERVER_REPLY, E_NETWORK, false, "what answers there does not speak HTTP", SPEAKS},
    {CURLE_BAD_CONTENT_ENCODING, E_NETWORK, false, "the answer's form is broken", SPEAKS},
    {CURLE_PROXY, E_NETWORK, false, "the proxy refused", "check network.proxy"},
    {CURLE_OUT_OF_MEMORY, E_BUG, false, "no memory", "give the container more memory"},
};

static const struct meaning stalled = {CURLE_OPERATION_TIMEDOUT, E_NETWORK, true,
                                       "the transfer stalled", LATER};
static const struct meaning unreached = {CURLE_OPERATION_TIMEDOUT, E_NETWORK, true,
                                         "no connection in time", REACH};
static const struct meaning broken_handshake = {CURLE_SSL_CONNECT_ERROR, E_NETWORK, true,
                                                "the connection broke during the TLS handshake",
                                                REACH};
static const struct meaning proxy_refused = {
    CURLE_RECV_ERROR, E_NETWORK, false, "the proxy refused to connect",
    "check network.proxy, its password and what it allows"};
static const struct meaning unknown = {CURLE_OK, E_NETWORK, false, "the transfer failed", LATER};

/* Some codes have more than one meaning; libcurl's details tell which. */
static const struct meaning *meaning_refined(const struct exchange *x, CURLcode code)
{
    const char *said = x->session->said;
    curl_off_t connected_us = 0;
    long proxy_status = 0;
    (void)curl_easy_getinfo(x->session->easy, CURLINFO_CONNECT_TIME_T, &connected_us);
    (void)curl_easy_getinfo(x->session->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (code == CURLE_OPERATION_TIMEDOUT && strstr(said, "too slow") != NULL)
        return &stalled;
    if (code == CURLE_OPERATION_TIMEDOUT && connected_us == 0)
        return &unreached;
    if (code == CURLE_SSL_CONNECT_ERROR &&
        (strstr(said, "SSL_connect:") != NULL || strstr(said, "unexpected eof") != NULL))
        return &broken_handshake;
    if (proxy_status >= 400 && proxy_status < 500 && x->reply->status == 0)
        return &proxy_refused;
    return NULL;
}

static const struct meaning *meaning_of(const struct exchange *x, CURLcode code)
{
    const struct meaning *refined = meaning_refined(x, code);
    if (refined != NULL)
        return refined;
    for (size_t i = 0; i < COUNT(meanings); i++) {
        if (meanings[i].code == code)
            return &meanings[i];
    }
    return &unknown;
}

static bool is_unreached(const struct meaning *m)
{
    return m == &unreached || m->code == CURLE_COULDNT_CONNECT ||
           m->code == CURLE_COULDNT_RESOLVE_HOST || m->code == CURLE_COULDNT_RESOLVE_PROXY;
}

enum status deadline_failure(const struct http_request *request, struct error *e)
{
    enum status status =
        fail(e, E_NETWORK, "%s: the job's time limit (limits.timeout_s) is over", request->what);
    advise(e, "raise limits.timeout_s or --timeout, or see what was slow at --log-level debug");
    return status;
}

bool http_deadline_is_over(const struct http *http)
{
    return http->deadline_ms != DEADLINE_NEVER &&
           clock_ms() + DEADLINE_SLACK_MS >= http->deadline_ms;
}

enum status exchange_failure(struct exchange *x, CURLcode code)
{
    TRY(stop_check(x->e));
    if (code == CURLE_OPERATION_TIMEDOUT && http_deadline_is_over(x->session->http))
        return deadline_failure(x->request, x->e);
    const struct meaning *m = meaning_of(x, code);
    const char *said = x->session->said;
    bool show = said[0] != '\0' && strchr(said, '?') == NULL;
    struct span at = x->url.authority;
    enum status status = fail(x->e, m->status, "%s: %.*s: %s (%s%s%s)", x->request->what,
                              (int)at.size, (const char *)(const void *)at.data, m->text,
                              curl_easy_strerror(code), show ? ": " : "", show ? said : "");
    x->e->transient = m->transient;
    x->e->unreached = is_unreached(m);
    advise(x->e, "%s", m->remedy);
    return status;
}
