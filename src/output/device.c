/*
 * Is a block device encrypted by the guest? /sys/dev/block/MAJOR:MINOR has the device mapper's name
 * for it (Documentation/ABI/testing/sysfs-block-dm).
 *
 * cryptsetup names what it makes "CRYPT-<type>-…", and not each type encrypts: VERITY and INTEGRITY
 * only authenticate, SUBDEV is a helper below another device, and LUKS2-OPAL leaves the encryption
 * to the disk, which belongs to the host. So the types that do are listed.
 */
#include "output/internal.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#define STACK_MAX 8 /* device mapper layers: more than anybody builds */

static const char *const encrypting[] = {
    "CRYPT-PLAIN-",  "CRYPT-LUKS1-", "CRYPT-LUKS2-",   "CRYPT-LOOPAES-",
    "CRYPT-TCRYPT-", "CRYPT-BITLK-", "CRYPT-FVAULT2-",
};

static bool uuid_encrypts(const char *directory)
{
    char path[1024];
    int n = snprintf(path, sizeof path, "%s/dm/uuid", directory);
    struct error ignored = {0};
    AUTO(buf_free) struct buf uuid = BUF(256);
    if (n < 0 || (size_t)n >= sizeof path || file_read(path, 256, &uuid, E_BUG, &ignored) != OK)
        return false;
    if (span_starts(buf_span(&uuid), "CRYPT-LUKS2-OPAL-"))
        return false;
    for (size_t i = 0; i < COUNT(encrypting); i++)
        if (span_starts(buf_span(&uuid), encrypting[i]))
            return true;
    return false;
}

static void directory_close(DIR **d)
{
    if (*d != NULL)
        (void)closedir(*d);
    *d = NULL;
}

/* DIRECTORY describes a block device in sysfs. It is encrypted if it is a dm-crypt device itself,
 * or made of others (LVM, RAID, integrity) that all are. */
static bool stack_is_encrypted(const char *directory, int levels) // NOLINT(misc-no-recursion)
{
    if (uuid_encrypts(directory))
        return true;
    char path[1024];
    int n = snprintf(path, sizeof path, "%s/slaves", directory);
    if (levels == 0 || n < 0 || (size_t)n >= sizeof path)
        return false;
    AUTO(directory_close) DIR *d = opendir(path);
    size_t found = 0;
    for (const struct dirent *entry = d != NULL ? readdir(d) : NULL; entry != NULL;
         entry = readdir(d)) {
        if (entry->d_name[0] == '.')
            continue;
        char below[1024];
        n = snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (n < 0 || (size_t)n >= sizeof below || !stack_is_encrypted(below, levels - 1))
            return false;
        found++;
    }
    return found > 0;
}

bool device_is_encrypted(dev_t device)
{
    if (major(device) == 0) /* anonymous: btrfs, overlay, network file systems */
        return false;
    char directory[64];
    (void)snprintf(directory, sizeof directory, "/sys/dev/block/%u:%u", major(device),
                   minor(device));
    return stack_is_encrypted(directory, STACK_MAX);
}
