/* Threads that do the same work until there is none left, or until one of them fails. */
#include "seal/internal.h"

/* Of a worker's memory, 4 MiB are its region and the rest is libcurl's and TLS's; eight of them
 * keep the whole below 48 MiB. */
enum { WORKERS_MAX = 8, WORKER_MIB = 5, PROGRAM_MIB = 8 };

size_t crew_size(const struct job *job)
{
    uint64_t n = (job->limits.memory_mib - PROGRAM_MIB) / WORKER_MIB;
    if (n > WORKERS_MAX)
        n = WORKERS_MAX;
    return (size_t)(job->limits.parallel < n ? job->limits.parallel : n);
}

struct crew {
    enum status (*work)(void *context, struct error *e);
    void *context;
    pthread_mutex_t mutex;
    bool failed;
    struct error first;
};

static enum status member(void *context, struct error *e)
{
    struct crew *crew = context;
    enum status status = crew->work(crew->context, e);
    if (status == OK)
        return OK;
    (void)pthread_mutex_lock(&crew->mutex);
    if (!crew->failed)
        crew->first = *e;
    crew->failed = true;
    (void)pthread_mutex_unlock(&crew->mutex);
    stop_request(STOP_ON_FAILURE);
    return status;
}

static void tasks_free(struct task **tasks)
{
    memory_free(*tasks);
}

enum status crew_run(size_t n, enum status (*work)(void *context, struct error *e), void *context,
                     struct error *e)
{
    struct crew crew = {.work = work, .context = context, .mutex = PTHREAD_MUTEX_INITIALIZER};
    AUTO(tasks_free) struct task *tasks = memory_array(n, sizeof(*tasks));
    size_t started = 0;
    if (tasks == NULL)
        return fail(e, E_SPACE, "out of memory");
    while (started < n && task_start(&tasks[started], member, &crew, e) == OK)
        started++;
    for (size_t i = 0; i < started; i++)
        task_abandon(&tasks[i]); /* the first failure was kept by member() */
    (void)pthread_mutex_destroy(&crew.mutex);
    if (started == 0)
        return e->status;
    if (!crew.failed)
        return OK;
    *e = crew.first;
    return e->status;
}
