/*
 * When to try again, and how long to wait before: as the service says, else twice as long each
 * time, with jitter, so that a fleet that was started together does not come back together. The
 * wait comes from a hostile header; it is bounded here and by the deadline of the run.
 */
#include "http/internal.h"

#include <string.h>

#define TRY_MIN_MS         200
#define DELAY_MAX_MS       60000
#define RETRY_AFTER_MAX_MS 120000

/* What passes by itself (the list of Azure's client libraries). */
static const long transient_statuses[] = {408, 429, 500, 502, 503, 504};

bool status_is_transient(long status)
{
    for (size_t i = 0; i < COUNT(transient_statuses); i++) {
        if (transient_statuses[i] == status)
            return true;
    }
    return false;
}

/* Anything from 0 to LIMIT. */
static int64_t jitter_ms(int64_t limit)
{
    uint32_t r = 0;
    struct error ignored = {0};
    if (random_bytes((uint8_t *)&r, sizeof r, &ignored) != OK)
        return limit / 2;
    return (int64_t)((uint64_t)r % ((uint64_t)limit + 1));
}

static int64_t delay_ms(const struct http *http, const struct http_retry *retry,
                        const struct error *e)
{
    if (e->retry_after_ms > 0) {
        int64_t asked = e->retry_after_ms;
        if (asked > RETRY_AFTER_MAX_MS)
            asked = RETRY_AFTER_MAX_MS;
        return asked + jitter_ms(asked / 10);
    }
    int64_t delay = http->retry_delay_ms;
    for (int i = 1; i < retry->tries && delay < DELAY_MAX_MS; i++)
        delay *= 2;
    return jitter_ms(delay < DELAY_MAX_MS ? delay : DELAY_MAX_MS);
}

static bool tries_are_used_up(const struct http *http, const struct http_retry *retry)
{
    int limit = retry->max_tries > 0 ? retry->max_tries : http->tries;
    return retry->tries >= limit && clock_ms() - retry->started_ms >= retry->min_total_ms;
}

/* A try that has no time left would only hide why the one before it failed. */
static bool is_too_late(const struct http *http, int64_t delay)
{
    return http->deadline_ms != DEADLINE_NEVER &&
           delay + TRY_MIN_MS >= http->deadline_ms - clock_ms();
}

bool http_again(struct http_session *session, struct http_retry *retry, struct error *e)
{
    struct http *http = session->http;
    retry->tries++;
    if (retry->started_ms == 0)
        retry->started_ms = clock_ms();
    if (!e->transient || stop_check(e) != OK)
        return false;
    if (tries_are_used_up(http, retry)) {
        if (retry->tries > 1)
            (void)wrap(e, "after %d tries", retry->tries);
        return false;
    }
    int64_t delay = delay_ms(http, retry, e);
    if (is_too_late(http, delay)) {
        (void)wrap(e, "no time is left for another try");
        advise(e, "raise limits.timeout_s or --timeout, or start again later");
        return false;
    }
    LOG(LOG_DEBUG, "http.retry", LOG_NUMBER("try", retry->tries), LOG_NUMBER("wait_ms", delay),
        LOG_STRING("reason", e->text));
    atomic_fetch_add(&http->retries, 1);
    return stop_sleep_ms(delay, e) == OK;
}
