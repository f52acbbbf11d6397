/*
 * What all threads of a run share: the settings, the counters and the sessions that wait for work.
 * Nothing here comes from the network. It promises that libcurl is initialised once, with
 * allocators that wipe, and that a session is in one thread's hands at a time.
 */
#include "http/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIES_DEFAULT          5
#define RETRY_DELAY_DEFAULT_MS 800
#define CONNECTIONS_KEPT       4L /* per session: one run speaks with four or five hosts */

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_code;

static void global_init(void)
{
    global_code = curl_global_init_mem(CURL_GLOBAL_DEFAULT, memory_new, memory_free, memory_resize,
                                       memory_text, memory_array);
}

/* Where distributions keep their trust store; for a libcurl that was built without knowing. */
static const char *const system_stores[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

static const char *system_store(void)
{
    const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);
    if (built->age >= CURLVERSION_SEVENTH &&
        ((built->cainfo != NULL && access(built->cainfo, R_OK) == 0) ||
         (built->capath != NULL && access(built->capath, R_OK) == 0)))
        return NULL;
    for (size_t i = 0; i < COUNT(system_stores); i++) {
        if (access(system_stores[i], R_OK) == 0)
            return system_stores[i];
    }
    return NULL;
}

static enum status text_keep(const char *text, char **out, struct error *e)
{
    if (text == NULL || text[0] == '\0')
        return OK;
    *out = memory_text(text);
    return *out != NULL ? OK : fail(e, E_BUG, "http settings: no memory");
}

static enum status settings_keep(struct http *http, const struct http_options *o, struct error *e)
{
    if (o->ca_file != NULL && access(o->ca_file, R_OK) != 0) {
        enum status status = fail_errno(e, E_USAGE, "network.ca_file: %s", o->ca_file);
        advise(e, "name a readable PEM file, or leave it out for the system's trust store");
        return status;
    }
    TRY(text_keep(o->ca_file != NULL ? o->ca_file : system_store(), &http->ca_file, e));
    TRY(text_keep(o->proxy, &http->proxy, e));
    http->env_proxy = o->env_proxy;
    http->deadline_ms = o->deadline_ms > 0 ? o->deadline_ms : DEADLINE_NEVER;
    http->tries = o->tries > 0 ? o->tries : TRIES_DEFAULT;
    http->retry_delay_ms = o->retry_delay_ms > 0 ? o->retry_delay_ms : RETRY_DELAY_DEFAULT_MS;
    return OK;
}

enum status http_new(const struct http_options *options, struct http **out, struct error *e)
{
    pthread_once(&global_once, global_init);
    if (global_code != CURLE_OK)
        return fail(e, E_BUG, "libcurl: %s", curl_easy_strerror(global_code));
    AUTO(http_free) struct http *http = calloc(1, sizeof *http);
    if (http == NULL)
        return fail(e, E_BUG, "http: no memory");
    pthread_mutex_init(&http->lock, NULL);
    TRY(settings_keep(http, options != NULL ? options : &(struct http_options){0}, e));
    *out = http;
    http = NULL;
    return OK;
}

static void session_free(struct http_session *session)
{
    if (session->easy != NULL)
        curl_easy_cleanup(session->easy);
    if (session->multi != NULL)
        curl_multi_cleanup(session->multi);
    free(session);
}

void http_free(struct http **http)
{
    struct http *h = *http;
    if (h == NULL)
        return;
    while (h->idle != NULL) {
        struct http_session *session = h->idle;
        h->idle = session->next;
        session_free(session);
    }
    trust_close(h);
    pthread_mutex_destroy(&h->lock);
    memory_free(h->ca_file);
    memory_free(h->proxy); /* may hold a password */
    free(h);
    *http = NULL;
}

struct http_counters http_counters(const struct http *http)
{
    return (struct http_counters){
        .requests = atomic_load(&http->requests),
        .retries = atomic_load(&http->retries),
        .bytes_received = atomic_load(&http->bytes_received),
    };
}

const char *http_ca_file(const struct http *http)
{
    return http->ca_file;
}

static enum status session_new(struct http *http, struct http_session **out, struct error *e)
{
    struct http_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return fail(e, E_BUG, "http session: no memory");
    session->http = http;
    session->multi = curl_multi_init();
    session->easy = curl_easy_init();
    if (session->multi == NULL || session->easy == NULL ||
        curl_multi_setopt(session->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT) != CURLM_OK) {
        session_free(session);
        return fail(e, E_BUG, "http session: libcurl gives none");
    }
    *out = session;
    return OK;
}

enum status http_session_take(struct http *http, struct http_session **out, struct error *e)
{
    pthread_mutex_lock(&http->lock);
    struct http_session *session = http->idle;
    if (session != NULL)
        http->idle = session->next;
    pthread_mutex_unlock(&http->lock);
    if (session == NULL)
        return session_new(http, out, e);
    session->next = NULL;
    *out = session;
    return OK;
}

void http_session_give(struct http_session **session)
{
    struct http_session *s = *session;
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->http->lock);
    s->next = s->http->idle;
    s->http->idle = s;
    pthread_mutex_unlock(&s->http->lock);
    *session = NULL;
}
