/* A job's JSON; and the same from the variable DECANT_JOB, as it is or in base64, and from a file.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"
#include "fuzz.h"

static void descriptor_close(int *fd)
{
    (void)close(*fd);
}

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

static void loaded(const char *path, enum status as)
{
    AUTO(job_free) struct job job = {0};
    struct error e = {0};
    char source[256];
    enum status status = job_load(path, source, &job, &e);
    must_fail_as(status, &e, E_USAGE);
    must(as == E_BUG || status == as);
}

/* PARSED: what came of TEXT by itself. */
static void load_try(struct span text, enum status parsed)
{
    AUTO(text_free)
    char *variable = strndup(text.size > 0 ? (const char *)text.data : "", text.size);
    AUTO(buf_free) struct buf base64 = BUF((size_t)4 << 20);
    AUTO(descriptor_close) int fd = memfd_create("job", MFD_CLOEXEC);
    struct error e = {0};
    char path[64];
    must(variable != NULL && setenv("DECANT_JOB", variable, 1) == 0);
    loaded(NULL, E_BUG);
    must(base64_encode(text, BASE64, &base64, &e) == OK &&
         setenv("DECANT_JOB", buf_text(&base64), 1) == 0);
    loaded(NULL, text.size > 0 ? parsed : E_BUG);
    must(fd >= 0 && write(fd, text.data, text.size) == (ssize_t)text.size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    loaded(path, parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(job_free) struct job job = {0};
    struct error e = {0};
    enum status status = job_parse(span_of(data, size), &job, &e);
    must_fail_as(status, &e, E_USAGE);
    if (status == OK)
        texts_touch(&job);
    load_try(span_of(data, size), status);
    return 0;
}
