/*
 * The means to get in, and the one place where a request to the service is put together.
 *
 * A SAS is a bearer secret in the query, so the complete URL exists only inside ask_once, in memory
 * that is wiped, and goes nowhere but to the http room. What the service answers is judged by the
 * callers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/internal.h"

/* The SAS that counts, after the same checks as one in a URL. */
static enum status sas_adopt(struct storage *storage, struct span sas, struct error *e)
{
    AUTO(buf_free) struct buf pin = BUF(256);
    AUTO(buf_free) struct buf checked = BUF(16 * 1024);

    sas = span_trim(sas);
    if (sas.size > 0 && sas.data[0] == '?')
        sas = span_of(sas.data + 1, sas.size - 1);
    if (sas.size == 0)
        sas = span_text(storage->location->sas);
    if (sas.size == 0)
        return OK;
    TRY(query_split(sas, &pin, &checked, e));
    if (pin.size > 0)
        return fail(e, E_USAGE, "the SAS names a version or snapshot: that belongs in the URL");
    return secret_copy(&storage->sas, buf_span(&checked), e);
}

enum status storage_open(const struct storage_location *location,
                         const struct storage_options *options, struct storage **out,
                         struct error *e)
{
    AUTO(storage_close) struct storage *made = calloc(1, sizeof *made);
    if (made == NULL)
        return fail(e, E_BUG, "no memory");
    if (options->tokens != NULL && options->audience == NULL)
        return fail(e, E_BUG, "storage: tokens without an audience");
    made->location = location;
    made->tokens = options->tokens;
    made->audience = options->audience;
    TRY(sas_adopt(made, options->sas, e));
    *out = made;
    made = NULL;
    return OK;
}

void storage_close(struct storage **storage)
{
    if (*storage == NULL)
        return;
    secret_free(&(*storage)->sas);
    free(*storage);
    *storage = NULL;
}

bool storage_has_sas(const struct storage *storage)
{
    return storage->sas.size > 0;
}

bool storage_has_bearer(const struct storage *storage)
{
    return !storage_has_sas(storage) && storage->tokens != NULL;
}

enum status storage_url(const struct storage *storage, const char *name, struct buf *url,
                        struct error *e)
{
    const struct storage_location *location = storage->location;
    TRY(buf_add(url, span_text(location->container_url), e));
    if (name == NULL)
        return OK;
    if (name_has_dot_segment(name))
        return fail(e, E_NAME,
                    "blob %.160s: a segment '.' or '..' would name another blob in a URL", name);
    TRY(buf_add(url, SPAN_LITERAL("/"), e));
    TRY(percent_encode(span_text(name), "/", url, e));
    if (!location->is_prefix && location->pin != NULL)
        TRY(buf_addf(url, e, "?%s", location->pin));
    return OK;
}

void storage_what(const struct storage *storage, const char *name, char what[static WHAT_SIZE])
{
    const char *slash = strrchr(storage->location->container_url, '/');
    const char *container = slash == NULL ? "" : slash + 1;
    if (name == NULL)
        snprintf(what, WHAT_SIZE, "container %.64s", container);
    else
        snprintf(what, WHAT_SIZE, "blob %.64s/%.160s%s", container, name,
                 strlen(name) > 160 ? "..." : "");
}

/* "Bearer TOKEN", in locked memory as the token itself. */
static enum status bearer_get(const struct storage *storage, struct secret *out, struct error *e)
{
    static const char scheme[] = "Bearer ";
    AUTO(secret_free) struct secret token = {0};

    TRY(storage->tokens->get(storage->tokens->context, storage->audience, &token, e));
    struct span text = secret_view(&token);
    TRY(secret_new(out, sizeof scheme - 1 + text.size, e));
    memcpy(secret_room(out), scheme, sizeof scheme - 1);
    if (text.size > 0)
        memcpy(secret_room(out) + sizeof scheme - 1, text.data, text.size);
    return OK;
}

static enum status url_complete(const struct storage *storage, const struct ask *ask,
                                struct buf *url, struct error *e)
{
    TRY(buf_add(url, span_text(ask->url), e));
    if (!storage_has_sas(storage))
        return OK;
    TRY(buf_add(url, span_text(strchr(ask->url, '?') == NULL ? "?" : "&"), e));
    return buf_add(url, secret_view(&storage->sas), e);
}

static enum status ask_once(const struct storage *storage, struct http_session *session,
                            const struct ask *ask, const struct http_stream *stream,
                            struct http_reply *reply, struct error *e)
{
    AUTO(secret_free) struct secret bearer = {0};
    AUTO(buf_free) struct buf url = BUF(URL_BYTES_MAX);
    struct http_header headers[COUNT(ask->headers) + 2] = {
        {"x-ms-version", SPAN_LITERAL(STORAGE_VERSION)}};
    size_t n = 1;

    for (size_t i = 0; i < ask->n_headers; i++)
        headers[n++] = ask->headers[i];
    if (storage_has_bearer(storage)) {
        TRY(bearer_get(storage, &bearer, e));
        headers[n++] = (struct http_header){"Authorization", secret_view(&bearer)};
    }
    TRY(url_complete(storage, ask, &url, e));
    struct http_request request = {
        .what = ask->what,
        .method = ask->method,
        .url = buf_text(&url),
        .headers = headers,
        .n_headers = n,
        .body = ask->body,
        .max_reply = REFUSAL_BYTES_MAX,
        .grace_ms = ask->grace_ms,
        .retry = ask->retry,
    };
    return stream == NULL ? http_call(session, &request, reply, e)
                          : http_stream(session, &request, stream, reply, e);
}

enum status ask_send(const struct storage *storage, struct http_session *session,
                     const struct ask *ask, const struct http_stream *stream,
                     struct http_reply *reply, struct error *e)
{
    TRY(ask_once(storage, session, ask, stream, reply, e));
    if (reply->status != 401 || !storage_has_bearer(storage))
        return OK;
    http_reply_free(reply); /* the token may have run out on the way */
    reply->sent--;          /* refused, so of no effect */
    return ask_once(storage, session, ask, stream, reply, e);
}
