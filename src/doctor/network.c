/*
 * The trust store, the proxy, and each host that the job talks to: one request without a credential,
 * for which any answer is good, shows name resolution, route, proxy and TLS at once. Its Date tells
 * of our clock.
 */
#include "doctor/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PROBE_MS = 15000, SKEW_NOTE_S = 30, SKEW_FAIL_S = 300 };

/* NULL if it is not set, or empty. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static enum status check_trust(struct doctor *d, struct error *e)
{
    struct error why = {0};
    enum status status = services_open(d->job, &d->services, &why);
    d->has_services = status == OK;
    bool from_variable = d->job->network.ca_file == NULL && variable("SSL_CERT_FILE") != NULL;
    const char *file = d->has_services ? http_ca_file(d->services.http) : NULL;
    return finding_check(d->findings, "trust store", status, &why, e, "%.300s%s",
                         file != NULL ? file : "the system's",
                         d->job->network.ca_file != NULL ? " (network.ca_file)"
                         : from_variable                 ? " (SSL_CERT_FILE)"
                                                         : "");
}

/* A proxy's URL may hold a password: what is before the '@' is not shown. */
static const char *without_password(const char *url)
{
    const char *at = strrchr(url, '@');
    return at != NULL ? at + 1 : url;
}

static enum status check_proxy(struct doctor *d, struct error *e)
{
    static const char *const variables[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    if (d->job->network.proxy != NULL)
        return finding_note(d->findings, "proxy", e, "%.200s (network.proxy)",
                            without_password(d->job->network.proxy));
    const char *except = variable("no_proxy") != NULL ? variable("no_proxy") : variable("NO_PROXY");
    for (size_t i = 0; i < COUNT(variables); i++) {
        const char *url = variable(variables[i]);
        if (url != NULL)
            return finding_note(d->findings, "proxy", e, "%.200s (%s)%s%.200s",
                                without_password(url), variables[i],
                                except != NULL ? ", not for " : "", except != NULL ? except : "");
    }
    return finding_note(d->findings, "proxy", e, "none");
}

/* ---- Hosts ---- */

static struct host *host_find(struct doctor *d, struct span authority)
{
    for (size_t i = 0; i < d->n_hosts; i++)
        if (strlen(d->hosts[i].authority) == authority.size &&
            strncasecmp(d->hosts[i].authority, (const char *)authority.data, authority.size) == 0)
            return &d->hosts[i];
    return NULL;
}

static void note_date(struct doctor *d, const struct http_reply *reply, const char *host)
{
    struct span text = http_reply_header(reply, "Date"); /* RFC 9110, 5.6.7 */
    char date[64];
    struct tm tm = {0};
    if (d->has_date || text.size == 0 || text.size >= sizeof date)
        return;
    (void)snprintf(date, sizeof date, "%.*s", (int)text.size, (const char *)text.data);
    const char *end = strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (end == NULL || *end != '\0')
        return;
    d->skew_s = clock_unix_s() - (int64_t)timegm(&tm);
    d->has_date = true;
    (void)snprintf(d->date_of, sizeof d->date_of, "%s", host);
}

static enum status ask(struct doctor *d, const struct url *url, const char *authority,
                       struct http_reply *reply, struct error *why)
{
    char base[sizeof(d->hosts[0].authority) + 16];
    AUTO(http_session_give) struct http_session *session = NULL;
    (void)snprintf(base, sizeof base, "http%s://%s/", url->https ? "s" : "", authority);
    const struct http_request request = {.what = "a first request",
                                         .method = "GET",
                                         .url = base,
                                         .max_reply = 1 << 20,
                                         .timeout_ms = PROBE_MS,
                                         .retry = true,
                                         .direct = url_host_is_local(url)};
    TRY(http_session_take(d->services.http, &session, why));
    return http_call(session, &request, reply, why);
}

static enum status check_host(struct doctor *d, const struct url *url, struct error *e)
{
    AUTO(http_reply_free) struct http_reply reply = {0};
    struct error why = {0};
    char step[STEP_SIZE];
    if (host_find(d, url->authority) != NULL || d->n_hosts == HOSTS_MAX)
        return OK;
    struct host *host = &d->hosts[d->n_hosts++];
    (void)snprintf(host->authority, sizeof host->authority, "%.*s", (int)url->authority.size,
                   (const char *)url->authority.data);
    (void)snprintf(step, sizeof step, "host %.110s", host->authority);
    int64_t start = clock_ms();
    enum status status = ask(d, url, host->authority, &reply, &why);
    host->answers = status == OK;
    if (status == OK)
        note_date(d, &reply, host->authority);
    return finding_check(d->findings, step, status, &why, e,
                         "answers %s in %lld ms; the connection goes to %s",
                         url->https ? "over TLS" : "(local, so without TLS)",
                         (long long)(clock_ms() - start), reply.peer);
}

static enum status check_host_of(struct doctor *d, const char *text, struct error *e)
{
    struct url url = {0};
    struct error ignored = {0};
    if (text == NULL || url_parse(text, &url, &ignored) != OK)
        return OK; /* what is wrong with it is said where it is used */
    return check_host(d, &url, e);
}

static enum status check_hosts(struct doctor *d, struct error *e)
{
    const struct job *job = d->job;
    if (job_attests(job))
        TRY(check_host_of(d, job->attestation.provider, e));
    TRY(check_host_of(d, job->attestation.sidecar, e));
    for (size_t i = 0; i < job->n_keys; i++)
        if (key_is_vaulted(&job->keys[i]))
            TRY(check_host_of(d, job->keys[i].kid, e));
    for (size_t i = 0; i < job->n_inputs; i++)
        TRY(check_host_of(d, job->inputs[i].from, e));
    for (size_t i = 0; i < job->n_outputs; i++) {
        const struct config_output *output = &job->outputs[i];
        if (output->key_file == NULL && output->key_inline == NULL)
            TRY(check_host_of(d, output->key, e));
        TRY(check_host_of(d, output->to, e));
    }
    return OK;
}

enum status check_network(struct doctor *d, struct error *e)
{
    TRY(check_trust(d, e));
    if (!d->has_services)
        return finding_skip(d->findings, "hosts", e, "not asked: there is no trust store");
    TRY(check_proxy(d, e));
    return check_hosts(d, e);
}

bool host_is_lost(struct doctor *d, const char *step, const char *url, struct error *e)
{
    struct url parsed = {0};
    struct error ignored = {0};
    const char *reason = NULL;
    if (!d->has_services)
        reason = "nothing can be asked without a trust store";
    else if (url_parse(url, &parsed, &ignored) == OK) {
        const struct host *host = host_find(d, parsed.authority);
        reason = host != NULL && !host->answers ? "its host does not answer" : NULL;
    }
    return reason != NULL && finding_skip(d->findings, step, e, "not asked: %s", reason) == OK;
}

/* ---- Clock ---- */

enum status check_clock(struct doctor *d, struct error *e)
{
    struct error why = {0};
    if (!d->has_date)
        return finding_skip(d->findings, "clock", e, "not compared: no service told the time");
    long long skew = d->skew_s, amount = skew < 0 ? -skew : skew;
    const char *side = skew < 0 ? "behind" : "ahead of";
    if (amount > SKEW_FAIL_S) {
        (void)!fail(&why, E_BUG, "%lld s %s that of %s: tokens and certificates would seem out of date",
                    amount, side, d->date_of);
        advise(&why, "set the machine's clock; in a container it is the host's");
        return finding_fail(d->findings, "clock", &why, e);
    }
    if (amount > SKEW_NOTE_S)
        return finding_note(d->findings, "clock", e,
                            "%lld s %s that of %s; services take up to %d s", amount, side,
                            d->date_of, SKEW_FAIL_S);
    return finding_ok(d->findings, "clock", e, "within %d s of that of %s", SKEW_NOTE_S,
                      d->date_of);
}
