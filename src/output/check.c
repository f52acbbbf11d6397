/*
 * What the volume is made of. The kernel says it: statfs(2) the kind of file system, stat(2) its
 * block device, /sys/dev/block/MAJOR:MINOR the device mapper's name for that
 * (Documentation/ABI/testing/sysfs-block-dm). None of it is written by the network; it is as
 * trustworthy as the kernel, which attestation covers.
 *
 * cryptsetup names what it makes "CRYPT-<type>-…", and not each type encrypts: VERITY and INTEGRITY
 * only authenticate, SUBDEV is a helper below another device, and LUKS2-OPAL leaves the encryption
 * to the disk, which belongs to the host. So the types that do are listed.
 */
#include "output/internal.h"

#include <dirent.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define STACK_MAX 8 /* device mapper layers: more than anybody builds */

static const struct kind {
    uint32_t magic;
    const char *name;
    bool memory;
} kinds[] = {
    {TMPFS_MAGIC, "tmpfs", true},        {RAMFS_MAGIC, "ramfs", true},
    {XFS_SUPER_MAGIC, "xfs", false},     {EXT4_SUPER_MAGIC, "ext4", false},
    {BTRFS_SUPER_MAGIC, "btrfs", false}, {OVERLAYFS_SUPER_MAGIC, "overlay", false},
    {F2FS_SUPER_MAGIC, "f2fs", false},   {FUSE_SUPER_MAGIC, "fuse", false},
    {NFS_SUPER_MAGIC, "nfs", false},     {0xFF534D42, "cifs", false},
    {SMB2_SUPER_MAGIC, "smb2", false},   {V9FS_MAGIC, "9p", false},
    {0x2FC12FC1, "zfs", false},          {HUGETLBFS_MAGIC, "hugetlbfs", false},
    {PROC_SUPER_MAGIC, "proc", false},   {SYSFS_MAGIC, "sysfs", false},
};

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

uint64_t volume_available(int root)
{
    struct statvfs s;
    uint64_t bytes = 0;
    if (fstatvfs(root, &s) != 0)
        return 0;
    if (s.f_blocks == 0) /* ramfs, and a tmpfs without a limit */
        return UINT64_MAX;
    if (__builtin_mul_overflow((uint64_t)s.f_bavail, (uint64_t)s.f_frsize, &bytes))
        return UINT64_MAX;
    return bytes;
}

static void kind_describe(uint32_t magic, dev_t device, bool encrypted, char *out, size_t size)
{
    char name[32];
    (void)snprintf(name, sizeof name, "file system 0x%08x", magic);
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i].magic == magic)
            (void)snprintf(name, sizeof name, "%s", kinds[i].name);
    if (encrypted)
        (void)snprintf(out, size, "%s on dm-crypt", name);
    else if (major(device) != 0)
        (void)snprintf(out, size, "%s on device %u:%u", name, major(device), minor(device));
    else
        (void)snprintf(out, size, "%s", name);
}

static enum status requirement_check(const struct volume *v, enum volume_requirement require,
                                     struct error *e)
{
    if (require == VOLUME_ANY || v->memory ||
        (require == VOLUME_CONFIDENTIAL && v->facts.confidential))
        return OK;
    if (require == VOLUME_TMPFS)
        (void)fail(e, E_VOLUME, "the volume %.200s is not tmpfs: it is %s", v->path, v->facts.kind);
    else
        (void)fail(e, E_VOLUME,
                   "the volume %.200s is not confidential: it is %s, neither tmpfs nor on dm-crypt",
                   v->path, v->facts.kind);
    advise(e, "mount a memory-backed volume there (emptyDir with medium Memory, or a tmpfs); "
              "for development only, set volume.require to \"any\"");
    return E_VOLUME;
}

enum status volume_check(struct volume *v, enum volume_requirement require, struct error *e)
{
    struct statfs fs;
    struct stat st;
    if (fstatfs(v->root, &fs) != 0 || fstat(v->root, &st) != 0)
        return fail_errno(e, E_VOLUME, "cannot tell what file system the volume %.200s is",
                          v->path);
    uint32_t magic = (uint32_t)fs.f_type;
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i].magic == magic)
            v->memory = kinds[i].memory;
    bool encrypted = !v->memory && device_is_encrypted(st.st_dev);
    kind_describe(magic, st.st_dev, encrypted, v->facts.kind, sizeof v->facts.kind);
    v->facts.confidential = v->memory || encrypted;
    v->facts.swap = magic == TMPFS_MAGIC && swap_can_take(st.st_dev);
    v->facts.available = volume_available(v->root);
    return requirement_check(v, require, e);
}
