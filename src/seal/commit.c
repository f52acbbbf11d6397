/*
 * What is staged becomes blobs: all of it, or it is taken back. Manifests and receipts come after
 * all files, and go before them: one that is there never names what is not there yet.
 *
 * Each commit is noted in the journal before and after, so that the way back knows what is there,
 * and what may be there because no answer came. It has services and a minute of its own: the run's
 * time may be used up, and signals wait until it has cleaned up. What replaced an older blob cannot
 * be undone: it stays, and the error says so.
 */
#include "seal/internal.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

enum { WAY_BACK_S = 60 };

struct pass {
    struct seal *seal;
    pthread_mutex_t mutex; /* over the reader */
    struct journal_reader reader;
    uint64_t end; /* where in the journal it ends */
};

struct step {
    struct journal_reader reader; /* a copy of the pass's, with texts of its own */
    struct entry entry;
};

static void step_free(struct step *step)
{
    journal_reader_free(&step->reader);
}

/* The next entry, for this worker alone. */
static enum status next_step(struct pass *pass, struct step *step, bool *found, struct error *e)
{
    (void)pthread_mutex_lock(&pass->mutex);
    enum status status = OK;
    step->reader.next = pass->reader.next;
    *found = pass->reader.next < pass->end;
    if (*found)
        status = journal_read(&step->reader, &step->entry, found, e);
    pass->reader.next = step->reader.next;
    (void)pthread_mutex_unlock(&pass->mutex);
    return status;
}

/* ---- Forward ---- */

static enum status commit(struct seal *seal, struct step *step, struct http_session *session,
                          struct error *e)
{
    const struct entry *entry = &step->entry;
    const struct output *output = &seal->outputs[entry->output];
    const struct storage_commit wish = {
        .blocks = entry->blocks,
        .encryption_data = entry->encryption_data,
        .content_type = entry->encryption_data == NULL ? "application/json" : NULL,
        .overwrite = output->config->overwrite,
    };
    struct storage_made made = {0};
    TRY(journal_note(&step->reader, ENTRY_TRIED, "", e));
    enum status status = storage_commit(output->storage, session, &entry->upload, &wish, &made, e);
    struct error ignored;
    if (made.refused)
        (void)!journal_note(&step->reader, ENTRY_STAGED, "", &ignored);
    TRY(status);
    return journal_note(&step->reader, made.replaced ? ENTRY_REPLACED : ENTRY_MADE, made.etag, e);
}

static enum status work_forward(void *context, struct error *e)
{
    struct pass *pass = context;
    AUTO(step_free) struct step step = {.reader = JOURNAL_READER(pass->seal->journal)};
    AUTO(http_session_give) struct http_session *session = NULL;
    bool found = true;
    TRY(http_session_take(pass->seal->services.http, &session, e));
    for (;;) {
        TRY(stop_check(e));
        TRY(next_step(pass, &step, &found, e));
        if (!found)
            return OK;
        TRY(commit(pass->seal, &step, session, e));
    }
}

static enum status go_forward(struct seal *seal, uint64_t from, uint64_t end, struct error *e)
{
    struct pass pass = {.seal = seal,
                        .mutex = PTHREAD_MUTEX_INITIALIZER,
                        .reader = JOURNAL_READER(seal->journal),
                        .end = end};
    pass.reader.next = from;
    enum status status = crew_run(crew_size(seal->job), work_forward, &pass, e);
    (void)pthread_mutex_destroy(&pass.mutex);
    return status;
}

/* ---- Back ---- */

struct way_back {
    struct pass pass;
    struct job job; /* the seal's, with a time limit of its own */
    struct services services;
    struct output *outputs;     /* the seal's, entered with these services */
    _Atomic uint64_t left_over; /* blobs that are, or may be, still there */
    _Atomic uint64_t replaced;
};

static enum status take_back(struct way_back *back, struct step *step, struct http_session *session,
                             struct error *e)
{
    const struct entry *entry = &step->entry;
    bool gone = false;
    if (entry->state == ENTRY_STAGED)
        return OK;
    if (entry->state == ENTRY_REPLACED) {
        atomic_fetch_add(&back->replaced, 1);
        return OK;
    }
    enum status status = storage_take_back(back->outputs[entry->output].storage, session,
                                           &entry->upload, entry->etag, &gone, e);
    if (status != OK || !gone) {
        atomic_fetch_add(&back->left_over, 1);
        LOG(LOG_WARN, "not_taken_back", LOG_STRING("blob", entry->upload.name),
            LOG_STRING("reason", e->text));
    }
    return status == E_INTERRUPTED ? status : OK;
}

static enum status work_back(void *context, struct error *e)
{
    struct way_back *back = context;
    AUTO(step_free) struct step step = {.reader = JOURNAL_READER(back->pass.seal->journal)};
    AUTO(http_session_give) struct http_session *session = NULL;
    bool found = true;
    TRY(http_session_take(back->services.http, &session, e));
    for (;;) {
        TRY(next_step(&back->pass, &step, &found, e));
        if (!found)
            return OK;
        TRY(take_back(back, &step, session, e));
    }
}

static void way_back_close(struct way_back *back)
{
    for (size_t i = 0; back->outputs != NULL && i < back->pass.seal->n_outputs; i++)
        storage_close(&back->outputs[i].storage);
    memory_free(back->outputs);
    services_close(&back->services);
    (void)pthread_mutex_destroy(&back->pass.mutex);
}

/* Ways into storage of its own; everything else of the outputs is not needed here. */
static enum status open_storages(struct way_back *back, struct error *e)
{
    const struct seal *seal = back->pass.seal;
    back->job = *seal->job;
    back->job.limits.timeout_s = WAY_BACK_S;
    TRY(services_open(&back->job, &back->services, e));
    back->outputs = memory_array(seal->n_outputs, sizeof(*back->outputs));
    if (back->outputs == NULL)
        return fail(e, E_SPACE, "out of memory");
    for (size_t i = 0; i < seal->n_outputs; i++)
        TRY(services_storage(&back->services, &seal->outputs[i].location,
                             &seal->outputs[i].config->sas, &back->outputs[i].storage, e));
    return OK;
}

static enum status take_all_back(struct way_back *back, uint64_t from, uint64_t end,
                                 struct error *e)
{
    back->pass.reader.next = from;
    back->pass.end = end;
    return crew_run(crew_size(back->pass.seal->job), work_back, back, e);
}

/* SIGINT and SIGTERM wait, here and in the threads that start from here. */
static void hold_signals(sigset_t *before)
{
    sigset_t stops;
    (void)sigemptyset(&stops);
    (void)sigaddset(&stops, SIGINT);
    (void)sigaddset(&stops, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &stops, before);
}

static enum status undo(struct way_back *back, struct error *e)
{
    const struct seal *seal = back->pass.seal;
    TRY(open_storages(back, e));
    TRY(take_all_back(back, seal->files_end, journal_end(seal->journal), e));
    return take_all_back(back, 0, seal->files_end, e);
}

/* E: why the commit failed; says what could not be taken back. */
static void go_back(struct seal *seal, struct error *e)
{
    struct error mine = {0};
    sigset_t before;
    AUTO(way_back_close)
    struct way_back back = {.pass = {.seal = seal,
                                     .mutex = PTHREAD_MUTEX_INITIALIZER,
                                     .reader = JOURNAL_READER(seal->journal)}};
    hold_signals(&before);
    const int reason = stop_reason();
    stop_reset();
    LOG(LOG_INFO, "taking_back", LOG_STRING("reason", e->text));
    const enum status status = undo(&back, &mine);
    if (reason != 0)
        stop_request(reason);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != OK)
        (void)wrap(e, "not all blobs could be taken back (%s)", mine.text);
    else if (back.left_over > 0)
        (void)wrap(e, "%" PRIu64 " blobs could not be taken back", back.left_over);
    if (back.replaced > 0)
        (void)wrap(e, "%" PRIu64 " blobs had replaced older ones and stay", back.replaced);
}

enum status commit_all(struct seal *seal, struct error *e)
{
    enum status status = go_forward(seal, 0, seal->files_end, e);
    if (status == OK)
        status = go_forward(seal, seal->files_end, journal_end(seal->journal), e);
    if (status != OK)
        go_back(seal, e);
    return status;
}
