/*
 * Turns an answer that is no success into an error the user can act upon. All of it is written by
 * the peer, who may be anybody: codes and messages are shown, shortened, and never acted upon here.
 * The forms: Azure's REST guidelines (JSON with "error"), OAuth 2.0 (RFC 6749, 5.2), Blob storage
 * (XML).
 */
#include "http/internal.h"

#include <expat.h>
#include <string.h>

#define WORD_MAX 40 /* longer runs of letters and digits look like tokens, keys and signatures */

struct service_error {
    char code[96];
    char message[300];
};

/* ---- Text ---- */

static bool is_token_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("+-_=%", c) != NULL);
}

/* Appends as much of TEXT[0..N) as fits, whole UTF-8 characters only. */
static void text_add(char *out, size_t size, const char *text, size_t n)
{
    size_t used = strlen(out);
    size_t room = size - 1 - used;
    if (n > room) {
        n = room;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
    }
    memcpy(out + used, text, n);
    out[used + n] = '\0';
}

/* The first line of a service's message (storage puts ids and times on the others), without
 * anything that could be a secret which the service, or somebody in its place, sends back to us. */
static void message_copy(char *out, size_t size, const char *message)
{
    out[0] = '\0';
    const char *end = message + strcspn(message, "\r\n");
    while (message < end) {
        size_t n = 0;
        while (message + n < end && is_token_letter(message[n]))
            n++;
        if (n >= WORD_MAX)
            text_add(out, size, "[...]", 5);
        else
            text_add(out, size, message, n > 0 ? n : 1);
        message += n > 0 ? n : 1;
    }
    size_t last = strlen(out);
    while (last > 0 && (out[last - 1] == '.' || out[last - 1] == ' '))
        out[--last] = '\0'; /* it stands within a sentence */
}

/* ---- JSON ---- */

static void code_add(struct service_error *s, const char *code)
{
    if (code == NULL || code[0] == '\0' || strcmp(code, s->code) == 0)
        return;
    if (s->code[0] != '\0')
        text_add(s->code, sizeof s->code, "/", 1);
    text_add(s->code, sizeof s->code, code, strlen(code));
}

static void json_read(struct span body, struct service_error *s)
{
    AUTO(json_free) struct cJSON *tree = NULL;
    struct error ignored = {0};
    if (json_parse(body, E_NETWORK, &tree, &ignored) != OK)
        return;
    const struct cJSON *error = json_object(tree, "error");
    const char *message = json_text(error, "message");
    if (error != NULL) {
        const struct cJSON *inner = json_object(error, "innererror");
        code_add(s, json_text(error, "code"));
        code_add(s, json_text(inner != NULL ? inner : json_object(error, "innerError"), "code"));
    } else {
        code_add(s, json_text(tree, "error"));
        message = json_text(tree, "error_description");
    }
    if (message != NULL)
        message_copy(s->message, sizeof s->message, message);
}

/* ---- XML ---- */

struct xml_reader {
    XML_Parser parser;
    int depth;
    bool is_error; /* the root's name is Error */
    char *into;    /* the element we are in: CODE, MESSAGE or NULL */
    size_t into_size;
    char code[96], message[1024];
};

static void XMLCALL xml_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
    (void)attributes;
    struct xml_reader *r = context;
    r->depth++;
    if (r->depth == 1)
        r->is_error = strcmp(name, "Error") == 0;
    r->into = NULL;
    if (r->depth != 2 || !r->is_error)
        return;
    if (strcmp(name, "Code") == 0) {
        r->into = r->code;
        r->into_size = sizeof r->code;
    } else if (strcmp(name, "Message") == 0) {
        r->into = r->message;
        r->into_size = sizeof r->message;
    }
}

static void XMLCALL xml_end(void *context, const XML_Char *name)
{
    (void)name;
    struct xml_reader *r = context;
    r->depth--;
    r->into = NULL;
}

static void XMLCALL xml_text(void *context, const XML_Char *text, int size)
{
    struct xml_reader *r = context;
    if (r->into != NULL && size > 0)
        text_add(r->into, r->into_size, text, (size_t)size);
}

/* A document type could define entities that grow without end; no service sends one. */
static void XMLCALL xml_doctype(void *context, const XML_Char *name, const XML_Char *system_id,
                                const XML_Char *public_id, int has_subset)
{
    (void)name, (void)system_id, (void)public_id, (void)has_subset;
    struct xml_reader *r = context;
    XML_StopParser(r->parser, XML_FALSE);
}

/* A body that was cut, or breaks off, still gives what stood before. */
static void xml_read(struct span body, struct service_error *s)
{
    static const XML_Memory_Handling_Suite memory = {memory_new, memory_resize, memory_free};
    if (body.size > INT32_MAX)
        return;
    struct xml_reader r = {.parser = XML_ParserCreate_MM("UTF-8", &memory, NULL)};
    if (r.parser == NULL)
        return;
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, xml_start, xml_end);
    XML_SetCharacterDataHandler(r.parser, xml_text);
    XML_SetStartDoctypeDeclHandler(r.parser, xml_doctype);
    (void)XML_Parse(r.parser, (const char *)(const void *)body.data, (int)body.size, 1);
    XML_ParserFree(r.parser);
    code_add(s, r.code);
    message_copy(s->message, sizeof s->message, r.message);
}

/* ---- All together ---- */

static void body_read(struct span body, struct service_error *s)
{
    if (span_starts(body, "\xef\xbb\xbf")) /* storage begins with a byte order mark */
        body = span_of(body.data + 3, body.size - 3);
    body = span_trim(body);
    if (span_starts(body, "{"))
        json_read(body, s);
    else if (span_starts(body, "<"))
        xml_read(body, s);
}

static void header_copy(const struct http_reply *reply, const char *name, char *out, size_t size)
{
    struct span value = http_reply_header(reply, name);
    if (value.size == 0)
        return;
    out[0] = '\0';
    text_add(out, size, (const char *)(const void *)value.data, value.size);
}

/* Codes and ids go to terminals and logs as they are: plain letters only. */
static void text_plain(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~')
            *text = '?';
    }
}

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static void refusal_advise(long status, struct error *e)
{
    if (is_redirect(status))
        advise(e, "give the URL it would lead to; redirects are never followed, because the "
                  "credentials would follow them");
    else if (e->transient)
        advise(e, "the service is overloaded or disturbed: start again later");
}

enum status http_refusal(const struct http_request *request, const struct http_reply *reply,
                         enum status status, struct error *e)
{
    struct service_error s = {0};
    body_read(buf_span(&reply->body), &s);
    header_copy(reply, "x-ms-error-code", s.code, sizeof s.code);
    bool transient = reply->status == 408 || reply->status == 429 ||
                     (reply->status >= 500 && reply->status <= 599);
    const char *message = is_redirect(reply->status) ? "redirect refused" : s.message;
    status = fail(e, transient ? E_NETWORK : status, "%s: HTTP %ld%s%s", request->what,
                  reply->status, message[0] != '\0' ? ": " : "", message);
    e->transient = transient;
    e->retry_after_ms = reply_retry_after_ms(reply);
    text_plain(s.code);
    text_add(e->service_code, sizeof e->service_code, s.code, strlen(s.code));
    header_copy(reply, "x-ms-request-id", e->request_id, sizeof e->request_id);
    text_plain(e->request_id);
    refusal_advise(reply->status, e);
    return status;
}
