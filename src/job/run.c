/*
 * decant run: volume, identity, keys, inputs, workers, publication, in this order. Whatever fails
 * unwinds to "no file, no key": publishing is the last thing that is done.
 */
#include "job/internal.h"

static enum status open_volume(struct run *run, struct error *e)
{
    static const enum volume_requirement requirements[] = {VOLUME_CONFIDENTIAL, VOLUME_TMPFS,
                                                           VOLUME_ANY};
    const struct job *job = run->job;
    const struct volume_options options = {
        .path = job->volume.path,
        .require = requirements[job->volume.require],
        .mode = job->volume.mode,
        .uid = job->volume.uid,
        .gid = job->volume.gid,
    };
    TRY(volume_open(&options, run->options->dry_run, &run->volume, e));
    const struct volume_facts *facts = volume_facts(run->volume);
    LOG(LOG_INFO, "volume", LOG_STRING("path", job->volume.path), LOG_STRING("kind", facts->kind));
    if (!facts->confidential)
        LOG(LOG_WARN, "volume_not_confidential", LOG_STRING("path", job->volume.path),
            LOG_STRING("kind", facts->kind),
            LOG_STRING("note", "allowed by volume.require \"any\""));
    if (facts->swap)
        LOG(LOG_WARN, "swap", LOG_STRING("note", "plaintext on this volume can be swapped out"));
    return OK;
}

static void run_close(struct run *run)
{
    plan_close(&run->plan);
    keyring_close(&run->keyring);
    services_close(&run->services);
    volume_close(&run->volume);
}

static enum status run_open(struct run *run, struct error *e)
{
    TRY(open_volume(run, e));
    TRY(services_open(run->job, &run->services, e));
    atomic_store(&run->progress->phase, "attesting");
    TRY(keyring_open(&run->services, run->options->shards, &run->keyring, e));
    return plan_open(run, &run->plan, e);
}

/* The keys have done their work. */
static void close_keyring(struct run *run)
{
    const struct keyring_counters counters = keyring_counters(run->keyring);
    run->summary->keys = counters.keys;
    run->summary->attest_ms = counters.attest_ms;
    run->summary->release_ms = counters.release_ms;
    keyring_close(&run->keyring);
}

static enum status publish(struct run *run, struct error *e)
{
    AUTO(buf_free) struct buf members = BUF(256);
    if (run->options->dry_run)
        return OK;
    atomic_store(&run->progress->phase, "publishing");
    TRY(buf_addf(&members, e, "\"version\":1,\"decant\":\"%s\"", DECANT_VERSION));
    return volume_publish(run->volume, buf_span(&members), e);
}

static void summarize(struct run *run, int64_t start)
{
    const struct http_counters counters = http_counters(run->services.http);
    struct run_summary *summary = run->summary;
    summary->dry_run = run->options->dry_run;
    summary->files = atomic_load(&run->progress->blobs_done);
    summary->kept = atomic_load(&run->kept);
    summary->plain_bytes = atomic_load(&run->plain_bytes);
    summary->stored_bytes = atomic_load(&run->progress->bytes_found);
    summary->requests = counters.requests;
    summary->retries = counters.retries;
    summary->total_ms = clock_ms() - start;
}

static enum status run_all(struct run *run, struct error *e)
{
    TRY(run_open(run, e));
    atomic_store(&run->progress->phase, "decanting");
    TRY(fetch_all(run, e));
    TRY(plan_check_complete(run->plan, e));
    close_keyring(run);
    test_point("keys no longer needed");
    if (!secrets_are_locked())
        LOG(LOG_WARN, "memory_not_locked",
            LOG_STRING("note", "keys could not be locked in memory; raise the memlock limit"));
    return publish(run, e);
}

/* For whoever waits for ready.json. */
static void mark_failed(struct run *run, const struct error *why)
{
    AUTO(buf_free) struct buf sentence = BUF(4096);
    struct error e = {0};
    if (run->volume == NULL)
        return;
    struct error shown = *why;
    shown.status = (enum status)exit_code(why);
    if (error_sentence("run", &shown, &sentence, &e) != OK ||
        volume_mark_failed(run->volume, exit_code(why), buf_span(&sentence), &e) != OK)
        LOG(LOG_WARN, "failure_not_marked", LOG_STRING("reason", e.text));
}

enum status job_run(const struct job *job, const struct run_options *options,
                    struct run_progress *progress, struct run_summary *out, struct error *e)
{
    struct run_summary summary = {0};
    AUTO(run_close)
    struct run run = {.job = job, .options = options, .progress = progress, .summary = &summary};
    int64_t start = clock_ms();
    if (job->n_inputs == 0)
        return fail(e, E_USAGE, "inputs: the job has none, so there is nothing to run");
    TRY(keyring_check(job, e));
    TRY(plan_check(job, e));
    if (run_all(&run, e) != OK) {
        error_settle(e);
        mark_failed(&run, e);
        return e->status;
    }
    summarize(&run, start);
    *out = summary;
    return OK;
}
