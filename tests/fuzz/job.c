/* A job's JSON. */
#include "config/config.h"
#include "fuzz.h"

static void texts_touch(const struct job *job)
{
    size_t sum = strlen(job->volume.path);
    for (size_t i = 0; i < job->n_keys; i++)
        sum += strlen(job->keys[i].kid);
    for (size_t i = 0; i < job->n_inputs; i++) {
        const struct config_input *in = &job->inputs[i];
        sum += strlen(in->from) + (in->to != NULL ? strlen(in->to) : 0);
        must(!in->has_size || in->size <= UINT64_C(1) << 53);
    }
    must(sum > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(job_free) struct job job = {0};
    struct error e = {0};
    enum status status = job_parse(span_of(data, size), &job, &e);
    must_fail_as(status, &e, E_USAGE);
    if (status == OK)
        texts_touch(&job);
    return 0;
}
