/* How far the run is, for people (a line on the terminal) and for logs (an event every ten
 * seconds). */
#include "cli/internal.h"

#include <stdio.h>

enum { TICK_MS = 200, LOG_EVERY_MS = 10000 };

struct progress_display {
    const struct run_progress *progress;
    bool on_terminal;
    int64_t start_ms, logged_ms;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool ended;
    struct task task;
};

static const char *human(uint64_t bytes, char out[static 32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < COUNT(units)) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return out;
}

static void show_line(const struct progress_display *display)
{
    const struct run_progress *p = display->progress;
    char line[240], done[32], found[32], rate[32], left[32] = "";
    const char *phase = atomic_load(&p->phase);
    uint64_t bytes = atomic_load(&p->bytes_done), all = atomic_load(&p->bytes_found);
    int64_t ms = clock_ms() - display->start_ms;
    uint64_t per_second = ms > 0 ? bytes * 1000 / (uint64_t)ms : 0;
    bool known = atomic_load(&p->all_found);
    if (known && per_second > 0 && all >= bytes)
        (void)snprintf(left, sizeof(left), ", %llu s left",
                       (unsigned long long)((all - bytes + per_second - 1) / per_second));
    (void)snprintf(line, sizeof(line), "%s: %s of %s%s, %llu of %llu%s blobs, %s/s%s",
                   phase != NULL ? phase : "starting", human(bytes, done), human(all, found),
                   known ? "" : " or more", (unsigned long long)atomic_load(&p->blobs_done),
                   (unsigned long long)atomic_load(&p->blobs_found), known ? "" : " or more",
                   human(per_second, rate), left);
    log_progress(line);
}

static void log_line(struct progress_display *display)
{
    const struct run_progress *p = display->progress;
    if (clock_ms() - display->logged_ms < LOG_EVERY_MS)
        return;
    display->logged_ms = clock_ms();
    LOG(LOG_INFO, "progress", LOG_NUMBER("blobs_done", atomic_load(&p->blobs_done)),
        LOG_NUMBER("blobs_found", atomic_load(&p->blobs_found)),
        LOG_NUMBER("bytes_done", atomic_load(&p->bytes_done)),
        LOG_NUMBER("bytes_found", atomic_load(&p->bytes_found)));
}

static void wait_tick(struct progress_display *display)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += TICK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_cond_timedwait(&display->wake, &display->mutex, &until);
}

static enum status display_loop(void *context, struct error *e)
{
    (void)e;
    struct progress_display *display = context;
    (void)pthread_mutex_lock(&display->mutex);
    while (!display->ended) {
        wait_tick(display);
        if (display->ended)
            break;
        if (display->on_terminal)
            show_line(display);
        else
            log_line(display);
    }
    (void)pthread_mutex_unlock(&display->mutex);
    log_progress("");
    return OK;
}

enum status progress_start(const struct run_progress *progress, bool on_terminal,
                           struct progress_display **out, struct error *e)
{
    AUTO(progress_stop) struct progress_display *display = memory_array(1, sizeof(*display));
    if (display == NULL)
        return fail(e, E_SPACE, "out of memory");
    display->progress = progress;
    display->on_terminal = on_terminal;
    display->start_ms = display->logged_ms = clock_ms();
    (void)pthread_mutex_init(&display->mutex, NULL);
    (void)pthread_cond_init(&display->wake, NULL);
    TRY(task_start(&display->task, display_loop, display, e));
    *out = display;
    display = NULL;
    return OK;
}

void progress_stop(struct progress_display **display)
{
    struct progress_display *d = *display;
    if (d == NULL)
        return;
    (void)pthread_mutex_lock(&d->mutex);
    d->ended = true;
    (void)pthread_cond_signal(&d->wake);
    (void)pthread_mutex_unlock(&d->mutex);
    task_abandon(&d->task);
    (void)pthread_cond_destroy(&d->wake);
    (void)pthread_mutex_destroy(&d->mutex);
    memory_free(d);
    *display = NULL;
}
