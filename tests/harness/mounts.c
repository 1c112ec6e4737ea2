/* SPDX-License-Identifier: MIT */
/*
 * mounts.c - file systems of a test's own, over a folder of its own.
 *
 * Both are mounted on top of what is there: who has that open goes on with it, who comes by the path finds the mount.
 * The kernel's list of mounts is what there is to take down, whoever made them and however he ended.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "harness/harness.h"

bool h_mount_small(const char *folder, unsigned mebibytes)
{
    char *options = h_format("size=%um,mode=0777", mebibytes);
    bool ok = mount("none", folder, "tmpfs", 0, options) == 0;

    free(options);
    return ok;
}

/* Itself, seen through a mount that is read-only. */
bool h_mount_read_only(const char *folder)
{
    if (mount(folder, folder, NULL, MS_BIND, NULL) != 0)
        return false;
    if (mount(NULL, folder, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0)
        return true;
    h_unmount(folder);
    return false;
}

void h_unmount(const char *folder)
{
    if (umount2(folder, MNT_DETACH) != 0)
        h_fail("umount %s: %s", folder, strerror(errno));
}

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* What was mounted last is at the end of the list. */
static char *last_below(const char *folder)
{
    FILE *list = fopen("/proc/self/mounts", "re");
    char line[2048], path[1024], *last = NULL;

    while (list != NULL && fgets(line, sizeof line, list) != NULL) {
        if (sscanf(line, "%*s %1023s", path) != 1 || !is_below(path, folder))
            continue;
        free(last);
        last = h_format("%s", path);
    }
    if (list != NULL)
        fclose(list);
    return last;
}

void h_unmount_below(const char *folder)
{
    char *path;

    while ((path = last_below(folder)) != NULL) {
        bool ok = umount2(path, MNT_DETACH) == 0;

        free(path);
        if (!ok)
            return;
    }
}
