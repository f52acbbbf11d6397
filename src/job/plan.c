/*
 * The job's inputs as a stream of blobs. Of a listing one page is held, and towards its end the next,
 * which is fetched meanwhile; so memory does not grow with the number of blobs. With shards the listing is read twice: once for the sizes,
 * once for the blobs.
 */
#include "job/internal.h"

#include <string.h>

struct plan {
    struct run *run;
    struct input *inputs;
    pthread_mutex_t mutex; /* over everything below */
    bool failed;           /* one worker has the error; to the others this is the end */
    size_t at;             /* the input whose blobs come next */
    bool in_listing;
    bool listed_some; /* of the input at AT */
    struct storage_page page;
    size_t page_at;
    char *marker; /* of the page behind that one; NULL: there is none */
    struct task ahead;             /* reads it, if there is one */
    struct storage_page next_page; /* AHEAD's until it is joined */
    struct shard_list *shards; /* NULL: one shard */
    bool surveying;            /* the first reading, for the sizes */
    size_t blob_at;            /* running number over all inputs */
};

void plan_item_free(struct plan_item *item)
{
    blob_free(&item->blob);
    memory_free(item->name);
    *item = (struct plan_item){0};
}

enum status plan_check(const struct job *job, struct error *e)
{
    for (size_t i = 0; i < job->n_inputs; i++)
        if (input_check(&job->inputs[i], e) != OK)
            return wrap(e, "inputs[%zu]", i);
    return OK;
}

/* No requests here but for manifests: each worker lists and asks for itself, beside the
 * attestation. */
enum status plan_open(struct run *run, struct plan **out, struct error *e)
{
    AUTO(plan_close) struct plan *plan = memory_array(1, sizeof(*plan));
    if (plan == NULL)
        return fail(e, E_SPACE, "out of memory");
    (void)pthread_mutex_init(&plan->mutex, NULL);
    plan->run = run;
    plan->inputs = memory_array(run->job->n_inputs, sizeof(*plan->inputs));
    if (plan->inputs == NULL)
        return fail(e, E_SPACE, "out of memory");
    for (size_t i = 0; i < run->job->n_inputs; i++)
        if (input_open(run, &run->job->inputs[i], &plan->inputs[i], e) != OK)
            return wrap(e, "inputs[%zu]", i);
    if (run->options->shards > 1)
        TRY(shard_list_new(&plan->shards, e));
    plan->surveying = plan->shards != NULL;
    *out = plan;
    plan = NULL;
    return OK;
}

void plan_close(struct plan **plan)
{
    struct plan *p = *plan;
    if (p == NULL)
        return;
    task_abandon(&p->ahead);
    for (size_t i = 0; p->inputs != NULL && i < p->run->job->n_inputs; i++)
        input_close(&p->inputs[i]);
    memory_free(p->inputs);
    storage_page_free(&p->page);
    storage_page_free(&p->next_page);
    memory_free(p->marker);
    shard_list_free(&p->shards);
    (void)pthread_mutex_destroy(&p->mutex);
    memory_free(p);
    *plan = NULL;
}

/* Is this blob ours? In the survey it is only noted, and nobody's. */
static enum status is_mine(struct plan *plan, const char *name, uint64_t size, bool *mine,
                           struct error *e)
{
    size_t number = plan->blob_at++;
    *mine = true;
    if (plan->shards == NULL)
        return OK;
    if (!plan->surveying)
        return shard_check(plan->shards, number, name, size, mine, e);
    *mine = false;
    return shard_add(plan->shards, name, size, e);
}

static enum status take_single(struct plan *plan, struct plan_item *item, bool *found,
                               struct error *e)
{
    struct input *input = &plan->inputs[plan->at++];
    bool mine = false;
    TRY(is_mine(plan, input->location.name, input->config->has_size ? input->config->size : 0,
                &mine, e));
    if (!mine)
        return OK;
    item->input = input;
    item->blob.name = memory_text(input->location.name);
    if (item->blob.name == NULL)
        return fail(e, E_SPACE, "out of memory");
    TRY(input_name(input, &item->blob, &item->name, e));
    atomic_fetch_add(&plan->run->progress->blobs_found, 1);
    *found = true;
    return OK;
}

/* What is known to come, for the progress line; with shards only what is taken is known. */
static void count_page(struct plan *plan, const struct input *input)
{
    struct run_progress *progress = plan->run->progress;
    for (size_t i = 0; plan->shards == NULL && i < plan->page.n; i++) {
        if (!input_wants(input, &plan->page.blobs[i]))
            continue;
        atomic_fetch_add(&progress->blobs_found, 1);
        atomic_fetch_add(&progress->bytes_found, plan->page.blobs[i].size);
    }
}

/* Beside the workers. AT and MARKER stay as they are until this is joined. */
static enum status list_ahead(void *context, struct error *e)
{
    struct plan *plan = context;
    AUTO(http_session_give) struct http_session *session = NULL;
    TRY(http_session_take(plan->run->services.http, &session, e));
    return storage_list(plan->inputs[plan->at].storage, session, plan->marker, &plan->next_page, e);
}

static enum status turn_page(struct plan *plan, struct http_session *session, struct error *e)
{
    struct input *input = &plan->inputs[plan->at];
    storage_page_free(&plan->page);
    plan->page_at = 0;
    if (plan->ahead.running) {
        TRY(task_join(&plan->ahead, e));
        plan->page = plan->next_page;
        plan->next_page = (struct storage_page){0};
    } else {
        TRY(storage_list(input->storage, session, plan->in_listing ? plan->marker : NULL,
                         &plan->page, e));
    }
    memory_free(plan->marker);
    plan->marker = plan->page.next;
    plan->page.next = NULL;
    plan->in_listing = true;
    count_page(plan, input);
    return OK;
}

/* What was taken from a page takes no room in it any more: so there is room for a quarter. */
static enum status look_ahead(struct plan *plan, struct error *e)
{
    if (plan->marker == NULL || plan->ahead.running || plan->page_at < plan->page.n / 4 * 3)
        return OK;
    return task_start(&plan->ahead, list_ahead, plan, e);
}

static void count_one(struct plan *plan, const struct blob *blob)
{
    if (plan->shards == NULL)
        return; /* counted with its page */
    atomic_fetch_add(&plan->run->progress->blobs_found, 1);
    atomic_fetch_add(&plan->run->progress->bytes_found, blob->size);
}

static enum status take_listed(struct plan *plan, struct blob *blob, struct plan_item *item,
                               bool *found, struct error *e)
{
    struct input *input = &plan->inputs[plan->at];
    bool mine = false;
    if (!input_wants(input, blob))
        return OK;
    plan->listed_some = true;
    TRY(input_blame(input, blob, input_check_listed(input, blob, e), e));
    TRY(is_mine(plan, blob->name, blob->size, &mine, e));
    if (!mine)
        return OK;
    TRY(input_blame(input, blob, input_name(input, blob, &item->name, e), e));
    count_one(plan, blob);
    item->input = input;
    item->has_properties = true;
    item->blob = *blob;
    *blob = (struct blob){0};
    *found = true;
    return OK;
}

/* Silence would look like success: a prefix with nothing below it is most likely a wrong one. */
static enum status end_listing(struct plan *plan, struct error *e)
{
    const struct input *input = &plan->inputs[plan->at++];
    bool empty = !plan->listed_some;
    plan->in_listing = plan->listed_some = false;
    if (!empty)
        return OK;
    (void)fail(e, E_NOT_FOUND, "no blob below %s/%s%s", input->location.container_url,
               input->location.name, input->config->match != NULL ? " fits \"match\"" : "");
    advise(e, "Check the prefix, and \"match\" if there is one");
    return e->status;
}

/* One step through a listing: the next blob of the page, the next page, or the end. */
static enum status step_listing(struct plan *plan, struct http_session *session,
                                struct plan_item *item, bool *found, struct error *e)
{
    if (plan->in_listing && plan->page_at < plan->page.n) {
        TRY(look_ahead(plan, e));
        return take_listed(plan, &plan->page.blobs[plan->page_at++], item, found, e);
    }
    if (plan->in_listing && plan->marker == NULL)
        return end_listing(plan, e);
    return turn_page(plan, session, e);
}

static enum status step_through(struct plan *plan, struct http_session *session,
                                struct plan_item *item, bool *found, struct error *e)
{
    while (!*found && plan->at < plan->run->job->n_inputs) {
        size_t i = plan->at;
        if ((plan->inputs[i].config->is_prefix ? step_listing(plan, session, item, found, e)
                                               : take_single(plan, item, found, e)) != OK)
            return wrap(e, "inputs[%zu]", i);
    }
    return OK;
}

static enum status next_locked(struct plan *plan, struct http_session *session,
                               struct plan_item *item, bool *found, struct error *e)
{
    if (plan->surveying) {
        TRY(step_through(plan, session, item, found, e));
        TRY(shard_assign(plan->shards, plan->run->options->shard, plan->run->options->shards, e));
        plan->surveying = false;
        plan->at = plan->blob_at = 0;
    }
    return step_through(plan, session, item, found, e);
}

enum status plan_next(struct plan *plan, struct http_session *session, struct plan_item *item,
                      bool *found, struct error *e)
{
    *found = false;
    (void)pthread_mutex_lock(&plan->mutex);
    enum status status = plan->failed ? OK : next_locked(plan, session, item, found, e);
    plan->failed = plan->failed || status != OK;
    bool at_end = !plan->failed && !*found;
    (void)pthread_mutex_unlock(&plan->mutex);
    if (at_end)
        atomic_store(&plan->run->progress->all_found, true);
    if (status != OK)
        plan_item_free(item);
    return status;
}

enum status plan_check_complete(struct plan *plan, struct error *e)
{
    for (size_t i = 0; i < plan->run->job->n_inputs; i++)
        if (input_check_complete(&plan->inputs[i], e) != OK)
            return wrap(e, "inputs[%zu]", i);
    return OK;
}
