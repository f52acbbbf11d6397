/* What this machine gives: the volume, its space, memory, and memory that is kept from swap. */
#include "doctor/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

enum { PATH_SIZE = 4096, LOCKED_MIN = 64 << 10, LEVELS_MAX = 32 };

/* ---- Volume ---- */

static const enum volume_requirement requirements[] = {
    [CONFIG_REQUIRE_CONFIDENTIAL] = VOLUME_CONFIDENTIAL,
    [CONFIG_REQUIRE_TMPFS] = VOLUME_TMPFS,
    [CONFIG_REQUIRE_ANY] = VOLUME_ANY,
};

static enum status tell_volume(struct doctor *d, const struct volume_facts *facts, struct error *e)
{
    const char *path = d->job->volume.path;
    d->has_volume = true;
    d->available = facts->available;
    d->volume_is_memory = strcmp(facts->kind, "tmpfs") == 0 || strcmp(facts->kind, "ramfs") == 0;
    if (!facts->confidential)
        return finding_note(d->findings, "volume", e,
                            "%.300s: %s, which is NOT confidential; volume.require is \"any\"", path,
                            facts->kind);
    TRY(finding_ok(d->findings, "volume", e, "%.300s: %s, confidential, writable", path, facts->kind));
    if (!facts->swap)
        return OK;
    TRY(finding_note(d->findings, "swap", e,
                     "there is swap that the volume's pages could go out to"));
    finding_advise(d->findings, "switch swap off (swapoff -a), or encrypt it");
    return OK;
}

/* As a dry run opens it. */
enum status check_volume(struct doctor *d, struct error *e)
{
    const struct volume_options options = {
        .path = d->job->volume.path,
        .require = requirements[d->job->volume.require],
        .mode = d->job->volume.mode,
        .uid = d->job->volume.uid,
        .gid = d->job->volume.gid,
    };
    AUTO(volume_close) struct volume *volume = NULL;
    struct error why = {0};
    if (volume_open(&options, true, &volume, &why) != OK)
        return finding_fail(d->findings, "volume", &why, e);
    return tell_volume(d, volume_facts(volume), e);
}

static enum status fail_space(struct doctor *d, const char *needed, const char *available,
                              struct error *e)
{
    struct error why = {0};
    (void)!fail(&why, E_SPACE, "%s available, and the inputs have %s", available, needed);
    advise(&why, "give the volume more room (sizeLimit, size=), and the container as much more memory");
    return finding_fail(d->findings, "space", &why, e);
}

/* Ciphertext is larger than what is in it by less than a thousandth. */
enum status check_space(struct doctor *d, struct error *e)
{
    char needed[SIZE_TEXT], available[SIZE_TEXT];
    if (d->job->n_inputs == 0)
        return OK;
    if (!d->has_volume)
        return finding_skip(d->findings, "space", e, "not compared: there is no volume");
    size_text(d->data_size, needed);
    if (d->available == UINT64_MAX)
        (void)snprintf(available, sizeof available, "no limit");
    else
        size_text(d->available, available);
    if (d->data_size - d->data_size / 1000 > d->available)
        return fail_space(d, needed, available, e);
    if (d->data_is_more)
        return finding_note(d->findings, "space", e,
                            "%s available; the inputs have %s or more: not all sizes are known",
                            available, needed);
    return finding_ok(d->findings, "space", e, "%s available; the inputs have %s", available,
                      needed);
}

/* ---- Memory ---- */

static bool read_text(const char *path, char *out, size_t size)
{
    AUTO(buf_free) struct buf text = BUF(0);
    struct error ignored = {0};
    if (file_read(path, size - 1, &text, E_BUG, &ignored) != OK)
        return false;
    (void)snprintf(out, size, "%.*s", (int)text.size, buf_text(&text));
    return true;
}

static void take_limit(const char *path, uint64_t *limit)
{
    char text[64], *end = NULL;
    if (!read_text(path, text, sizeof text))
        return;
    unsigned long long number = strtoull(text, &end, 10); /* "max": no digits */
    if (end != text && number < *limit)
        *limit = number;
}

/* The smallest limit of the group and those above it (cgroups(7)): BASE/GROUP/FILE. */
static void take_limits(const char *base, const char *group, const char *file, uint64_t *limit)
{
    char own[PATH_SIZE], path[PATH_SIZE + 128];
    (void)snprintf(own, sizeof own, "%s", group);
    for (int level = 0; level < LEVELS_MAX; level++) {
        (void)snprintf(path, sizeof path, "%s%s/%s", base, strcmp(own, "/") == 0 ? "" : own, file);
        take_limit(path, limit);
        char *slash = strrchr(own, '/');
        if (slash == NULL)
            return;
        *slash = '\0';
    }
}

/* Version 2 is the line "0::GROUP", version 1 has one with "memory" between the colons. */
static uint64_t memory_limit(void)
{
    char text[PATH_SIZE], *rest = text, *line;
    uint64_t limit = UINT64_MAX;
    if (!read_text("/proc/self/cgroup", text, sizeof text))
        return limit;
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *group = strstr(line, ":/");
        if (group == NULL)
            continue;
        if (strncmp(line, "0::", 3) == 0)
            take_limits(CGROUP_ROOT, group + 1, "memory.max", &limit);
        else if (strstr(line, ":memory:") != NULL)
            take_limits(CGROUP_ROOT "/memory", group + 1, "memory.limit_in_bytes", &limit);
    }
    return limit >= (uint64_t)1 << 60 ? UINT64_MAX : limit; /* version 1's word for none */
}

enum status check_memory(struct doctor *d, struct error *e)
{
    char has[SIZE_TEXT], data[SIZE_TEXT];
    uint64_t limit = memory_limit(), own = d->job->limits.memory_mib << 20;
    struct error why = {0};
    unsigned long long wanted = d->job->limits.memory_mib;
    if (limit == UINT64_MAX)
        return finding_ok(d->findings, "memory", e,
                          "no limit (cgroup); limits.memory_mib is %llu", wanted);
    size_text(limit, has);
    size_text(d->data_size, data);
    if (limit < own) {
        (void)!fail(&why, E_SPACE, "limited to %s (cgroup), and limits.memory_mib is %llu", has,
                    wanted);
        advise(&why, "give the container more memory, or lower limits.memory_mib (32 at least)");
        return finding_fail(d->findings, "memory", &why, e);
    }
    if (d->volume_is_memory && d->data_size > limit - own) {
        TRY(finding_note(d->findings, "memory", e,
                         "limited to %s (cgroup); limits.memory_mib is %llu, and what is on the volume "
                         "counts as well: %s of inputs",
                         has, wanted, data));
        finding_advise(d->findings, "give the container more memory, unless the volume's counts elsewhere");
        return OK;
    }
    return finding_ok(d->findings, "memory", e, "limited to %s (cgroup); limits.memory_mib is %llu",
                      has, wanted);
}

enum status check_locked_memory(struct doctor *d, struct error *e)
{
    AUTO(secret_free) struct secret probe = {0};
    struct rlimit limit = {0};
    struct error why = {0};
    char has[SIZE_TEXT];
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || secret_new(&probe, LOCKED_MIN / 2, &why) != OK)
        return finding_skip(d->findings, "locked memory", e, "its limit cannot be read");
    if (limit.rlim_cur == RLIM_INFINITY)
        (void)snprintf(has, sizeof has, "no limit");
    else
        size_text((uint64_t)limit.rlim_cur, has);
    if (secrets_are_locked() && limit.rlim_cur >= LOCKED_MIN)
        return finding_ok(d->findings, "locked memory", e, "%s (RLIMIT_MEMLOCK): keys stay out of swap",
                          has);
    TRY(finding_note(d->findings, "locked memory", e,
                     "%s (RLIMIT_MEMLOCK): keys may not all be kept out of swap", has));
    finding_advise(d->findings, "raise the limit (ulimit -l), or run without swap");
    return OK;
}
