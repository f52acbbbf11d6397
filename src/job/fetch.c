/*
 * The workers. Each is a straight line on a connection of its own: take a stretch, read it, decrypt
 * while the bytes are in cache, write. No queue between them; a large blob is shared by whoever is
 * free. The first failure stops all.
 */
#include "job/internal.h"

#include <string.h>

struct active { /* a transfer that others may join */
    struct transfer *transfer;
    struct pace pace;
    size_t workers;
    bool drained; /* no stretches left to take */
    struct active *next;
};

struct fetch {
    struct run *run;
    pthread_mutex_t mutex; /* over everything below */
    pthread_cond_t changed;
    struct active *active;
    size_t opening; /* workers between plan and transfer: what they bring may be shared */
    bool all_planned;
    bool failed;
    struct error error; /* of the first failure */
};

static void report(struct fetch *fetch, const struct error *e)
{
    (void)pthread_mutex_lock(&fetch->mutex);
    if (!fetch->failed)
        fetch->error = *e;
    fetch->failed = true;
    (void)pthread_cond_broadcast(&fetch->changed);
    (void)pthread_mutex_unlock(&fetch->mutex);
    stop_request(STOP_ON_FAILURE);
}

enum choice { WORK_JOIN, WORK_OPEN, WORK_END };

static struct active *joinable(struct fetch *fetch)
{
    struct active *active = fetch->active;
    while (active != NULL && (active->drained || active->workers >= active->pace.limit))
        active = active->next;
    return active;
}

/* Is there anything that a worker may yet be wanted for? */
static bool is_busy(const struct fetch *fetch)
{
    const struct active *active = fetch->active;
    while (active != NULL && active->drained)
        active = active->next;
    return active != NULL || fetch->opening > 0;
}

/* Help with what is there, else take a new blob, else wait for what others are about to open. */
static enum choice choose(struct fetch *fetch, struct active **active)
{
    enum choice choice = WORK_END;
    (void)pthread_mutex_lock(&fetch->mutex);
    for (;;) {
        *active = joinable(fetch);
        if (fetch->failed)
            break;
        if (*active != NULL) {
            (*active)->workers++;
            choice = WORK_JOIN;
            break;
        }
        if (!fetch->all_planned) {
            fetch->opening++;
            choice = WORK_OPEN;
            break;
        }
        if (!is_busy(fetch))
            break;
        (void)pthread_cond_wait(&fetch->changed, &fetch->mutex);
    }
    (void)pthread_mutex_unlock(&fetch->mutex);
    return choice;
}

/* ACTIVE: what was opened, NULL if nothing. */
static void opened(struct fetch *fetch, struct active *active, bool all_planned)
{
    bool shared = active != NULL && transfer_is_shared(active->transfer);
    (void)pthread_mutex_lock(&fetch->mutex);
    fetch->opening--;
    fetch->all_planned = fetch->all_planned || all_planned;
    if (shared) {
        active->next = fetch->active;
        fetch->active = active;
    }
    (void)pthread_cond_broadcast(&fetch->changed);
    (void)pthread_mutex_unlock(&fetch->mutex);
}

/* True for the last worker to leave, who then owns it. */
static bool leave(struct fetch *fetch, struct active *active, bool drained)
{
    (void)pthread_mutex_lock(&fetch->mutex);
    if (drained && !active->drained)
        (void)pthread_cond_broadcast(&fetch->changed); /* nobody needs to wait for it any more */
    active->drained = active->drained || drained;
    bool last = --active->workers == 0;
    for (struct active **at = &fetch->active; last && *at != NULL; at = &(*at)->next) {
        if (*at == active) {
            *at = active->next;
            break;
        }
    }
    (void)pthread_mutex_unlock(&fetch->mutex);
    return last;
}

static void active_free(struct active **active)
{
    if (*active != NULL)
        transfer_close(&(*active)->transfer);
    memory_free(*active);
    *active = NULL;
}

/* After a stretch of BYTES: is this worker still wanted here? */
static bool stays(struct fetch *fetch, struct active *active, uint64_t bytes)
{
    (void)pthread_mutex_lock(&fetch->mutex);
    if (pace_note(&active->pace, bytes, clock_ms()))
        (void)pthread_cond_broadcast(&fetch->changed);
    bool wanted = active->workers <= active->pace.limit;
    (void)pthread_mutex_unlock(&fetch->mutex);
    return wanted;
}

/* Until there are no more stretches, or too many workers. */
static enum status read_on(struct fetch *fetch, struct active *active, struct http_session *session,
                           struct envelope_reader *reader, bool *drained, struct error *e)
{
    uint64_t bytes = 0;
    do {
        TRY(transfer_work(active->transfer, session, reader, &bytes, e));
        *drained = bytes == 0;
    } while (!*drained && stays(fetch, active, bytes));
    return OK;
}

/* Whoever fails leaves as well, so that the last one can clean up; only a whole transfer is
 * finished. */
static enum status work_on(struct fetch *fetch, struct active *active, struct http_session *session,
                           struct envelope_reader *reader, struct error *e)
{
    bool drained = false;
    enum status status = read_on(fetch, active, session, reader, &drained, e);
    if (status != OK)
        report(fetch, e);
    if (!leave(fetch, active, drained || status != OK))
        return status;
    AUTO(active_free) struct active *mine = active;
    TRY(status);
    (void)pthread_mutex_lock(&fetch->mutex);
    bool failed = fetch->failed;
    (void)pthread_mutex_unlock(&fetch->mutex);
    return failed ? stop_check(e) : transfer_finish(mine->transfer, e);
}

/* A connection costs about 1 MiB: libcurl's receive buffer, the reader's, TLS. The rest is for the
 * program and two pages of a listing with long names. */
static size_t worker_count(const struct job *job)
{
    uint64_t room = job->limits.memory_mib - 24;
    return (size_t)(job->limits.parallel < room ? job->limits.parallel : room);
}

static enum status open_next(struct fetch *fetch, struct http_session *session, bool *found,
                             struct active **out, struct error *e)
{
    AUTO(plan_item_free) struct plan_item item = {0};
    AUTO(active_free) struct active *active = NULL;
    TRY(plan_next(fetch->run->plan, session, &item, found, e));
    if (!*found)
        return OK;
    active = memory_array(1, sizeof(*active));
    if (active == NULL)
        return fail(e, E_SPACE, "out of memory");
    active->workers = 1;
    pace_start(&active->pace, worker_count(fetch->run->job));
    TRY(transfer_open(fetch->run, session, &item, &active->transfer, e));
    if (active->transfer == NULL)
        return OK;
    *out = active;
    active = NULL;
    return OK;
}

static enum status work_on_next(struct fetch *fetch, struct http_session *session,
                                struct envelope_reader *reader, struct error *e)
{
    bool found = true;
    struct active *active = NULL;
    enum status status = open_next(fetch, session, &found, &active, e);
    if (active != NULL && fetch->run->options->dry_run) {
        status = transfer_finish(active->transfer, e);
        active_free(&active);
    }
    opened(fetch, active, !found);
    return active != NULL ? work_on(fetch, active, session, reader, e) : status;
}

static enum status work(struct fetch *fetch, struct error *e)
{
    AUTO(http_session_give) struct http_session *session = NULL;
    AUTO(envelope_reader_free) struct envelope_reader *reader = NULL;
    TRY(http_session_take(fetch->run->services.http, &session, e));
    TRY(envelope_reader_new(&reader, e));
    for (;;) {
        struct active *active = NULL;
        TRY(stop_check(e));
        switch (choose(fetch, &active)) {
        case WORK_JOIN:
            TRY(work_on(fetch, active, session, reader, e));
            break;
        case WORK_OPEN:
            TRY(work_on_next(fetch, session, reader, e));
            break;
        case WORK_END:
            return OK;
        }
    }
}

static enum status worker(void *context, struct error *e)
{
    enum status status = work(context, e);
    if (status != OK)
        report(context, e);
    return status;
}

static void tasks_free(struct task **tasks)
{
    memory_free(*tasks);
}

static enum status run_workers(struct fetch *fetch, struct task *tasks, size_t n, struct error *e)
{
    size_t started = 0;
    while (started < n && task_start(&tasks[started], worker, fetch, e) == OK)
        started++;
    if (started == 0)
        return e->status;
    for (size_t i = 0; i < started; i++) {
        struct error ignored; /* the first one was kept by report() */
        (void)!task_join(&tasks[i], &ignored);
    }
    return OK;
}

enum status fetch_all(struct run *run, struct error *e)
{
    struct fetch fetch = {.run = run};
    size_t n = worker_count(run->job);
    AUTO(tasks_free) struct task *tasks = memory_array(n, sizeof(*tasks));
    if (tasks == NULL)
        return fail(e, E_SPACE, "out of memory");
    (void)pthread_mutex_init(&fetch.mutex, NULL);
    (void)pthread_cond_init(&fetch.changed, NULL);
    enum status status = run_workers(&fetch, tasks, n, e);
    (void)pthread_cond_destroy(&fetch.changed);
    (void)pthread_mutex_destroy(&fetch.mutex);
    TRY(status);
    if (!fetch.failed)
        return OK;
    *e = fetch.error;
    return e->status;
}
