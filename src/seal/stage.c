/*
 * All files of all outputs, uploaded as blocks that nobody sees yet. Workers help with the files
 * that are open, region by region, and open another one only when no region is left; so at most as
 * many files are open as there are workers, and a large file has all of them.
 */
#include "seal/internal.h"

#include <string.h>
#include <sys/mman.h>

struct stage {
    struct seal *seal;
    pthread_mutex_t mutex; /* over everything below but the walk */
    pthread_cond_t changed;
    struct sealing *open; /* those that are not finished */
    size_t opening;       /* workers that may bring another one */
    bool walked;          /* there are no more files */

    pthread_mutex_t walk; /* over everything below */
    size_t at;            /* output */
    struct source *source;
    uint64_t found; /* files of this output */
};

/* ---- The walk ---- */

static enum status source_path(const struct job *job, const struct config_output *config,
                               struct buf *out, struct error *e)
{
    struct span from = span_text(config->from);
    while (from.size > 1 && from.data[from.size - 1] == '/')
        from.size--;
    if (config->from[0] != '/')
        TRY(buf_addf(out, e, "%s/", job->volume.path));
    return buf_add(out, from, e);
}

static enum status open_source(struct stage *stage, const struct output *output, struct error *e)
{
    AUTO(buf_free) struct buf path = BUF(16384);
    TRY(source_path(stage->seal->job, output->config, &path, e));
    TRY(source_open(buf_text(&path), &stage->source, e));
    if (!source_is_directory(stage->source) || output->location.is_prefix)
        return OK;
    (void)fail(e, E_USAGE, "\"from\" is a directory, but \"to\" is a single blob");
    advise(e, "Let \"to\" end in '/'");
    return E_USAGE;
}

/* Silence would look like success. */
static enum status end_source(struct stage *stage, struct error *e)
{
    const struct output *output = &stage->seal->outputs[stage->at];
    source_close(&stage->source);
    stage->at++;
    if (stage->found > 0)
        return OK;
    (void)fail(e, E_NOT_FOUND, "there is no file in %s: nothing to seal", output->config->from);
    advise(e, "Check \"from\", and that the workload wrote its results there");
    return E_NOT_FOUND;
}

static enum status walk(struct stage *stage, struct output **output, struct source_file *file,
                        bool *found, struct error *e)
{
    *found = false;
    while (!*found && stage->at < stage->seal->n_outputs) {
        *output = &stage->seal->outputs[stage->at];
        if (stage->source == NULL) {
            stage->found = 0;
            if (open_source(stage, *output, e) != OK)
                return wrap(e, "outputs[%zu]", stage->at);
        }
        if (source_next(stage->source, file, found, e) != OK)
            return wrap(e, "outputs[%zu]", stage->at);
        stage->found += *found;
        if (!*found)
            TRY(end_source(stage, e));
    }
    return OK;
}

static enum status next_file(struct stage *stage, struct output **output, struct source_file *file,
                             bool *found, struct error *e)
{
    (void)pthread_mutex_lock(&stage->walk);
    enum status status = walk(stage, output, file, found, e);
    (void)pthread_mutex_unlock(&stage->walk);
    return status;
}

/* ---- The list of open files ---- */

static void list_add(struct stage *stage, struct sealing *sealing)
{
    sealing->next = stage->open;
    if (stage->open != NULL)
        stage->open->previous = sealing;
    stage->open = sealing;
}

static void list_remove(struct stage *stage, struct sealing *sealing)
{
    if (sealing->previous != NULL)
        sealing->previous->next = sealing->next;
    else
        stage->open = sealing->next;
    if (sealing->next != NULL)
        sealing->next->previous = sealing->previous;
}

static struct sealing *with_regions(struct stage *stage)
{
    struct sealing *sealing = stage->open;
    while (sealing != NULL && sealing->taken == sealing->regions)
        sealing = sealing->next;
    return sealing;
}

enum choice { WORK_REGION, WORK_OPEN, WORK_END };

static enum choice choose(struct stage *stage, struct sealing **sealing, uint32_t *index)
{
    enum choice choice = WORK_END;
    (void)pthread_mutex_lock(&stage->mutex);
    while ((*sealing = with_regions(stage)) == NULL && stage->walked && stage->opening > 0 &&
           stop_reason() == 0)
        (void)pthread_cond_wait(&stage->changed, &stage->mutex);
    if (*sealing != NULL) {
        choice = WORK_REGION;
        *index = (*sealing)->taken++;
    } else if (!stage->walked) {
        choice = WORK_OPEN;
        stage->opening++;
    }
    (void)pthread_mutex_unlock(&stage->mutex);
    return choice;
}

/* SEALING: what was opened for all to help with, or NULL. */
static void opened(struct stage *stage, struct sealing *sealing, bool walked)
{
    (void)pthread_mutex_lock(&stage->mutex);
    stage->opening--;
    stage->walked = stage->walked || walked;
    if (sealing != NULL)
        list_add(stage, sealing);
    (void)pthread_cond_broadcast(&stage->changed);
    (void)pthread_mutex_unlock(&stage->mutex);
}

/* ---- The workers ---- */

struct worker {
    struct stage *stage;
    struct http_session *session;
    uint8_t *room;
};

/* A region's worth of pages; touched only as far as the files are large. */
static uint8_t *room_new(void)
{
    void *room = mmap(NULL, SEALING_ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return NULL;
    (void)madvise(room, SEALING_ROOM, MADV_DONTDUMP);
    return room;
}

static void worker_free(struct worker *worker)
{
    http_session_give(&worker->session);
    if (worker->room != NULL)
        (void)munmap(worker->room, SEALING_ROOM);
}

static enum status finish(struct sealing *sealing, struct error *e)
{
    AUTO(sealing_free) struct sealing *mine = sealing;
    return sealing_finish(mine, e);
}

static enum status work_on_region(struct worker *worker, struct sealing *sealing, uint32_t index,
                                  struct error *e)
{
    bool last = false;
    TRY(sealing_work(sealing, index, worker->session, worker->room, &last, e));
    if (!last)
        return OK;
    (void)pthread_mutex_lock(&worker->stage->mutex);
    list_remove(worker->stage, sealing);
    (void)pthread_mutex_unlock(&worker->stage->mutex);
    return finish(sealing, e);
}

/* *SHARED: a file that others can help with; what needs one worker only is done at once. */
static enum status open_next(struct worker *worker, struct sealing **shared, bool *found,
                             struct error *e)
{
    struct seal *seal = worker->stage->seal;
    struct output *output = NULL;
    AUTO(source_file_close) struct source_file file = {0};
    AUTO(sealing_free) struct sealing *sealing = NULL;
    TRY(stop_check(e));
    TRY(next_file(worker->stage, &output, &file, found, e));
    if (!*found || output == NULL) /* both or none; analysers see only the second */
        return OK;
    TRY(sealing_new(seal, output, &file, worker->session, &sealing, e));
    if (seal->options->dry_run || (sealing->regions == 0 && !output->config->gzip))
        return sealing_finish(sealing, e);
    if (output->config->gzip) {
        TRY(sealing_compress(sealing, worker->session, worker->room, e));
        return sealing_finish(sealing, e);
    }
    *shared = sealing;
    sealing = NULL;
    return OK;
}

static enum status work_on_next(struct worker *worker, struct error *e)
{
    struct sealing *shared = NULL;
    bool found = false;
    enum status status = open_next(worker, &shared, &found, e);
    opened(worker->stage, shared, !found);
    return status;
}

static enum status work(void *context, struct error *e)
{
    AUTO(worker_free) struct worker worker = {.stage = context, .room = room_new()};
    if (worker.room == NULL)
        return fail(e, E_SPACE, "out of memory");
    TRY(http_session_take(worker.stage->seal->services.http, &worker.session, e));
    for (;;) {
        struct sealing *sealing = NULL;
        uint32_t index = 0;
        switch (choose(worker.stage, &sealing, &index)) {
        case WORK_REGION:
            TRY(work_on_region(&worker, sealing, index, e));
            break;
        case WORK_OPEN:
            TRY(work_on_next(&worker, e));
            break;
        case WORK_END:
            return OK;
        }
    }
}

static void stage_close(struct stage *stage)
{
    while (stage->open != NULL) {
        struct sealing *sealing = stage->open;
        list_remove(stage, sealing);
        sealing_free(&sealing);
    }
    source_close(&stage->source);
    (void)pthread_mutex_destroy(&stage->walk);
    (void)pthread_cond_destroy(&stage->changed);
    (void)pthread_mutex_destroy(&stage->mutex);
}

enum status stage_all(struct seal *seal, struct error *e)
{
    AUTO(stage_close)
    struct stage stage = {.seal = seal,
                          .mutex = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER,
                          .walk = PTHREAD_MUTEX_INITIALIZER};
    TRY(crew_run(crew_size(seal->job), work, &stage, e));
    return stop_check(e);
}

enum status stage_plain(struct seal *seal, struct output *output, const char *name,
                        struct span bytes, struct error *e)
{
    AUTO(http_session_give) struct http_session *session = NULL;
    struct entry entry = {
        .output = (uint32_t)output->index, .blocks = 1, .plain_size = bytes.size, .upload = {name, {0}}};
    TRY(random_bytes(entry.upload.id, sizeof(entry.upload.id), e));
    TRY(http_session_take(seal->services.http, &session, e));
    TRY(storage_put_block(output->storage, session, &entry.upload, 0, bytes, e));
    atomic_fetch_add(&seal->stored_bytes, bytes.size);
    return journal_add(seal->journal, &entry, e);
}
