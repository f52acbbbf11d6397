/*
 * The policy of every request, told to libcurl option by option. URL, headers and body come from
 * the other rooms; a job's author may have written the URL, a service may have taken part in a
 * header (an ETag). It promises: TLS 1.2 or newer and a verified name, or plain http to where that
 * is allowed; no redirect, cookie, password file, compression or proxy that nobody asked for; a
 * bounded time.
 */
#include "http/internal.h"

#include <string.h>

#define CONNECT_MS        10000
#define CONNECT_DIRECT_MS 5000 /* a metadata service is near, or it is not there */
#define CALL_MS           60000
#define STALL_S           30L
#define STALL_BYTES       1024L
#define STREAM_BUFFER     (512L * 1024) /* halves the time of a single fast connection */
#define UPLOAD_BUFFER     (256L * 1024) /* of each that uploads; larger is no faster */
#define STREAM_SMALL      (64L * 1024)
#define STREAM_LARGE      (1024u * 1024)
#define LARGE_BODY        (64u * 1024)

static const struct {
    CURLoption option;
    long value;
} policy[] = {
    {CURLOPT_NOSIGNAL, 1L},
    {CURLOPT_FOLLOWLOCATION, 0L},
    {CURLOPT_NETRC, (long)CURL_NETRC_IGNORED},
    {CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1},
    {CURLOPT_HTTP09_ALLOWED, 0L},
    {CURLOPT_HTTP_CONTENT_DECODING, 0L},
    {CURLOPT_PATH_AS_IS, 1L}, /* a blob's name may hold "/../"; it must not become another blob's */
    {CURLOPT_SSL_VERIFYPEER, 1L},
    {CURLOPT_SSL_VERIFYHOST, 2L},
    {CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2},
    {CURLOPT_PROXY_SSL_VERIFYPEER, 1L},
    {CURLOPT_PROXY_SSL_VERIFYHOST, 2L},
    {CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2},
    {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L},
    {CURLOPT_TCP_NODELAY, 1L},
    {CURLOPT_TCP_KEEPALIVE, 1L},
    {CURLOPT_TCP_KEEPIDLE, 30L},
    {CURLOPT_TCP_KEEPINTVL, 10L},
    {CURLOPT_NOPROGRESS, 1L},
#if LIBCURL_VERSION_NUM >= 0x075700
    {CURLOPT_QUICK_EXIT, 1L}, /* a name server that does not answer must not hold up our end */
#endif
};

static enum status option_check(struct exchange *x, CURLoption option, CURLcode code)
{
    if (code == CURLE_OK)
        return OK;
    return fail(x->e, E_BUG, "%s: libcurl refuses option %d: %s", x->request->what, (int)option,
                curl_easy_strerror(code));
}

static enum status set_number(struct exchange *x, CURLoption option, long value)
{
    return option_check(x, option, curl_easy_setopt(x->session->easy, option, value));
}

/* TEXT is copied by libcurl, except for CURLOPT_POSTFIELDS. */
static enum status set_text(struct exchange *x, CURLoption option, const char *text)
{
    return option_check(x, option, curl_easy_setopt(x->session->easy, option, text));
}

static enum status url_check(struct exchange *x)
{
    const struct http_request *r = x->request;
    if (url_parse(r->url, &x->url, x->e) != OK)
        return wrap(x->e, "%s", r->what);
    if (x->url.https || r->plain_http || url_host_is_local(&x->url))
        return OK;
    enum status status =
        fail(x->e, E_USAGE, "%s: plain http to %.*s is not allowed", r->what,
             (int)x->url.authority.size, (const char *)(const void *)x->url.authority.data);
    advise(x->e, "use https; plain http is for loopback and link-local addresses only");
    return status;
}

static enum status header_check(struct exchange *x, const struct http_header *h)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789!#$%&'*+-.^_`|~"; /* RFC 9110: token */
    if (h->name[0] == '\0' || h->name[strspn(h->name, letters)] != '\0')
        return fail(x->e, E_BUG, "%s: not the name of a header", x->request->what);
    for (size_t i = 0; i < h->value.size; i++) {
        uint8_t c = h->value.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return fail(x->e, E_BUG, "%s: header %s holds a control character", x->request->what,
                        h->name);
    }
    return OK;
}

static enum status header_line_add(struct exchange *x, const char *line)
{
    struct curl_slist *longer = curl_slist_append(x->headers, line);
    if (longer == NULL)
        return fail(x->e, E_BUG, "%s: no memory", x->request->what);
    x->headers = longer;
    return OK;
}

static enum status header_add(struct exchange *x, const struct http_header *h)
{
    TRY(header_check(x, h));
    AUTO(buf_free) struct buf line = BUF(1u << 20);
    TRY(buf_add(&line, span_text(h->name), x->e));
    if (span_trim(h->value).size == 0) /* libcurl's spelling of a header without a value */
        TRY(buf_add(&line, span_text(";"), x->e));
    else {
        TRY(buf_add(&line, span_text(": "), x->e));
        TRY(buf_add(&line, h->value, x->e));
    }
    return header_line_add(x, buf_text(&line));
}

static enum status headers_set(struct exchange *x)
{
    bool has_type = false;
    for (size_t i = 0; i < x->request->n_headers; i++) {
        const struct http_header *h = &x->request->headers[i];
        TRY(header_add(x, h));
        has_type = has_type || strcasecmp(h->name, "Content-Type") == 0;
    }
    TRY(header_line_add(x, "Expect:")); /* an own round trip, for nothing */
    if (!has_type)
        TRY(header_line_add(x, "Content-Type:")); /* libcurl would call any POST a web form */
    return option_check(x, CURLOPT_HTTPHEADER,
                        curl_easy_setopt(x->session->easy, CURLOPT_HTTPHEADER, x->headers));
}

static enum status method_set(struct exchange *x)
{
    const char *method = x->request->method;
    if (strcmp(method, "GET") == 0)
        return set_number(x, CURLOPT_HTTPGET, 1L);
    if (strcmp(method, "HEAD") == 0)
        return set_number(x, CURLOPT_NOBODY, 1L);
    if (strcmp(method, "DELETE") == 0) {
        TRY(set_number(x, CURLOPT_HTTPGET, 1L));
        return set_text(x, CURLOPT_CUSTOMREQUEST, method);
    }
    if (strcmp(method, "POST") != 0 && strcmp(method, "PUT") != 0)
        return fail(x->e, E_BUG, "%s: method %s", x->request->what, method);
    struct span body = x->request->body;
    TRY(set_number(x, CURLOPT_POST, 1L));
    TRY(set_text(x, CURLOPT_CUSTOMREQUEST, method));
    TRY(option_check(
        x, CURLOPT_POSTFIELDSIZE_LARGE,
        curl_easy_setopt(x->session->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.size)));
    if (body.size > LARGE_BODY)
        TRY(set_number(x, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER));
    return set_text(x, CURLOPT_POSTFIELDS,
                    body.size > 0 ? (const char *)(const void *)body.data : "");
}

static enum status proxy_set(struct exchange *x)
{
    const struct http *http = x->session->http;
    if (x->request->direct || url_host_is_local(&x->url)) {
        TRY(set_text(x, CURLOPT_NOPROXY, "*"));
        return set_text(x, CURLOPT_PROXY, "");
    }
    if (!http->env_proxy)
        TRY(set_text(x, CURLOPT_NOPROXY, "")); /* else libcurl looks at the environment */
    if (http->proxy != NULL)
        return set_text(x, CURLOPT_PROXY, http->proxy);
    return http->env_proxy ? OK : set_text(x, CURLOPT_PROXY, "");
}

/* No authorities but those of the shared store: for the server and for a proxy with TLS. */
static enum status trust_set(struct exchange *x)
{
    static const CURLoption places[] = {CURLOPT_CAINFO, CURLOPT_CAPATH, CURLOPT_PROXY_CAINFO,
                                        CURLOPT_PROXY_CAPATH};
    struct http *http = x->session->http;
    CURL *easy = x->session->easy;
    TRY(trust_open(http, x->e));
    for (size_t i = 0; i < COUNT(places); i++)
        TRY(set_text(x, places[i], NULL));
    TRY(option_check(x, CURLOPT_SSL_CTX_FUNCTION,
                     curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, trust_give)));
    return option_check(x, CURLOPT_SSL_CTX_DATA,
                        curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, http));
}

/* libcurl takes the buffer anew for each transfer, and ours is wiped when it gives it back: a small
 * body is not worth a large one. What the session brought last tells what comes next. */
static enum status buffer_set(struct exchange *x)
{
    long size = x->session->streamed >= STREAM_LARGE ? STREAM_BUFFER : STREAM_SMALL;
    x->session->streamed = 0;
    return set_number(x, CURLOPT_BUFFERSIZE, size);
}

static enum status times_set(struct exchange *x)
{
    const struct http_request *r = x->request;
    int64_t limit = r->timeout_ms;
    const bool is_bulk = x->stream != NULL || r->body.size > LARGE_BODY;
    if (limit == 0 && !is_bulk)
        limit = CALL_MS;
    if (x->session->http->deadline_ms != DEADLINE_NEVER) {
        if (http_deadline_is_over(x->session->http))
            return deadline_failure(r, x->e);
        int64_t left = x->session->http->deadline_ms - clock_ms();
        if (left < 1)
            left = 1; /* 0 would mean no limit */
        limit = limit == 0 || left < limit ? left : limit;
    }
    if (limit > INT32_MAX)
        limit = INT32_MAX; /* 24 days; libcurl refuses more */
    TRY(set_number(x, CURLOPT_TIMEOUT_MS, (long)limit));
    TRY(set_number(x, CURLOPT_CONNECTTIMEOUT_MS, r->direct ? CONNECT_DIRECT_MS : CONNECT_MS));
    if (!is_bulk)
        return OK;
    if (x->stream != NULL)
        TRY(buffer_set(x));
    TRY(set_number(x, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES));
    return set_number(x, CURLOPT_LOW_SPEED_TIME, STALL_S);
}

static enum status callbacks_set(struct exchange *x)
{
    CURL *easy = x->session->easy;
    const CURLcode codes[] = {
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->session->said),
        curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, exchange_count),
        curl_easy_setopt(easy, CURLOPT_PREREQDATA, x),
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, reply_take_header),
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, x),
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, reply_take_body),
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, x),
    };
    for (size_t i = 0; i < COUNT(codes); i++)
        TRY(option_check(x, CURLOPT_WRITEFUNCTION, codes[i]));
    return OK;
}

enum status exchange_set_up(struct exchange *x)
{
    curl_easy_reset(x->session->easy);
    x->session->said[0] = '\0';
    TRY(url_check(x));
    for (size_t i = 0; i < COUNT(policy); i++)
        TRY(set_number(x, policy[i].option, policy[i].value));
    TRY(set_text(x, CURLOPT_PROTOCOLS_STR, x->url.https ? "https" : "http"));
    TRY(set_text(x, CURLOPT_URL, x->request->url));
    TRY(set_text(x, CURLOPT_USERAGENT, "decant/" DECANT_VERSION));
    TRY(proxy_set(x));
    if (x->url.https)
        TRY(trust_set(x));
    TRY(times_set(x));
    TRY(method_set(x));
    TRY(headers_set(x));
    return callbacks_set(x);
}
