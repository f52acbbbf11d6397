/*
 * How many connections one large blob is worth. A service far away gives each connection its share,
 * so more of them are faster; on a fast path they only get in each other's way. So we begin with a
 * few, and double them as long as that pays.
 */
#include "job/internal.h"

enum { FIRST = 4, GAIN_PERCENT = 15 };

static void window_start(struct pace *pace, int64_t now_ms)
{
    pace->stretches = 0;
    pace->bytes = 0;
    pace->since_ms = now_ms;
}

void pace_start(struct pace *pace, size_t most)
{
    *pace = (struct pace){.most = most, .limit = most < FIRST ? most : FIRST};
    pace->settled = pace->limit == most;
}

static void decide(struct pace *pace, uint64_t rate, int64_t now_ms)
{
    if (rate <= pace->rate + pace->rate * GAIN_PERCENT / 100) {
        pace->limit = pace->before; /* the last step did not pay */
        pace->settled = true;
        return;
    }
    pace->rate = rate;
    pace->before = pace->limit;
    pace->settled = pace->limit == pace->most;
    pace->limit = pace->limit * 2 < pace->most ? pace->limit * 2 : pace->most;
    window_start(pace, now_ms);
}

bool pace_note(struct pace *pace, uint64_t bytes, int64_t now_ms)
{
    size_t before = pace->limit;
    if (pace->settled)
        return false;
    pace->stretches++;
    if (pace->stretches <= pace->limit) { /* each connection's first: it was being set up */
        pace->since_ms = now_ms;
        return false;
    }
    pace->bytes += bytes;
    if (pace->stretches < 3 * pace->limit || now_ms == pace->since_ms)
        return false;
    decide(pace, pace->bytes * 1000 / (uint64_t)(now_ms - pace->since_ms), now_ms);
    return pace->limit > before;
}
