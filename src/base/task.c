/* A piece of work on a thread of its own, with its result. */
#include "base/base.h"

#include <errno.h>

static void *task_main(void *argument)
{
    struct task *t = argument;
    t->status = t->work(t->context, &t->error);
    return NULL;
}

enum status task_start(struct task *t, enum status (*work)(void *context, struct error *e),
                       void *context, struct error *e)
{
    *t = (struct task){.work = work, .context = context, .running = true};
    errno = pthread_create(&t->thread, NULL, task_main, t);
    if (errno != 0) {
        t->running = false;
        return fail_errno(e, E_BUG, "no thread could be started");
    }
    return OK;
}

enum status task_join(struct task *t, struct error *e)
{
    task_abandon(t);
    if (t->status != OK)
        *e = t->error;
    return t->status;
}

void task_abandon(struct task *t)
{
    if (t->running)
        (void)pthread_join(t->thread, NULL);
    t->running = false;
}
