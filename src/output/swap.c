/*
 * Could pages of a tmpfs leave for a swap device? Reads /proc/swaps and /proc/self/mountinfo
 * (proc(5)), which the kernel writes. It only feeds a warning, so whatever cannot be read counts as
 * "there may be swap" if swap exists at all. Not counted: swap on dm-crypt, and a tmpfs that was
 * mounted with noswap (Linux 6.4; the kubelet does that for memory volumes).
 */
#include "output/internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define SWAPS_MAX     ((size_t)256 * 1024)
#define MOUNTINFO_MAX ((size_t)4 * 1024 * 1024)

/* Cuts the next line off *REST. */
static struct span next_line(struct span *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->size);
    size_t size = end != NULL ? (size_t)(end - rest->data) : rest->size;
    struct span line = span_of(rest->data, size);
    size_t skip = end != NULL ? size + 1 : size;
    *rest = span_of(rest->data + skip, rest->size - skip);
    return line;
}

/* Cuts the next word, bounded by spaces or tabs, off *REST. */
static struct span next_word(struct span *rest)
{
    *rest = span_trim(*rest);
    size_t n = 0;
    while (n < rest->size && rest->data[n] != ' ' && rest->data[n] != '\t')
        n++;
    struct span word = span_of(rest->data, n);
    *rest = span_of(rest->data + n, rest->size - n);
    return word;
}

static bool swap_is_encrypted(struct span line)
{
    struct span word = next_word(&line);
    char path[256];
    if (word.size == 0 || word.size >= sizeof path)
        return false;
    memcpy(path, word.data, word.size);
    path[word.size] = '\0';
    struct stat st;
    return stat(path, &st) == 0 && S_ISBLK(st.st_mode) && device_is_encrypted(st.st_rdev);
}

/* The first line is a heading; each other one a swap area, its path in front. */
static bool swap_is_open(void)
{
    struct error ignored = {0};
    AUTO(buf_free) struct buf text = BUF(SWAPS_MAX);
    if (file_read("/proc/swaps", SWAPS_MAX, &text, E_BUG, &ignored) != OK)
        return false; /* a kernel without swap has no such file */
    struct span rest = buf_span(&text);
    if (rest.size == 0)
        return false;
    (void)next_line(&rest);
    while (rest.size > 0) {
        struct span line = span_trim(next_line(&rest));
        if (line.size > 0 && !swap_is_encrypted(line))
            return true;
    }
    return false;
}

static bool has_option(struct span options, const char *wanted)
{
    size_t start = 0;
    for (size_t i = 0; i <= options.size; i++) {
        if (i < options.size && options.data[i] != ',')
            continue;
        if (span_is(span_of(options.data + start, i - start), wanted))
            return true;
        start = i + 1;
    }
    return false;
}

/* "36 35 98:0 / /mnt rw,noatime master:1 - tmpfs tmpfs rw,noswap": the third word is the device,
 * the last one holds the options of the file system itself. */
static bool line_is_noswap(struct span line, const char *device)
{
    (void)next_word(&line);
    (void)next_word(&line);
    if (!span_is(next_word(&line), device))
        return false;
    struct span last = {0};
    for (struct span word = next_word(&line); word.size > 0; word = next_word(&line))
        last = word;
    return has_option(last, "noswap");
}

static bool mounted_noswap(dev_t device)
{
    char wanted[32];
    (void)snprintf(wanted, sizeof wanted, "%u:%u", major(device), minor(device));
    struct error ignored = {0};
    AUTO(buf_free) struct buf text = BUF(MOUNTINFO_MAX);
    if (file_read("/proc/self/mountinfo", MOUNTINFO_MAX, &text, E_BUG, &ignored) != OK)
        return false;
    struct span rest = buf_span(&text);
    while (rest.size > 0)
        if (line_is_noswap(next_line(&rest), wanted))
            return true;
    return false;
}

bool swap_can_take(dev_t device)
{
    return swap_is_open() && !mounted_noswap(device);
}
