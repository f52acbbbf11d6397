/*
 * What the volume is made of. The kernel says it: statfs(2) the kind of file system, stat(2) its
 * block device. None of it is written by the network; it is as trustworthy as the kernel, which
 * attestation covers.
 */
#include "output/internal.h"

#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

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
