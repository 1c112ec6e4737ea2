/* SPDX-License-Identifier: MIT */
/*
 * relay_load.c - what a start finds: files that follow one another without a gap, the last one scanned to its end.
 *
 * Only the last file can be torn: the others were synced when the next one was begun, whose head says how long they are.
 * A changed bit in them is found when it is read, and then all behind it goes away (gf_relay_rewind).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gfreplica/log.h"
#include "relay.h"

static int by_number(const void *a, const void *b)
{
    unsigned x = ((const gf_relay_part *)a)->number, y = ((const gf_relay_part *)b)->number;

    return (x > y) - (x < y);
}

static bool list(gf_relay *r, gf_error *err)
{
    int fd = openat(r->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    unsigned number;

    if (d == NULL) {
        gf_fail_errno(err, "list %s", r->dir);
        if (fd >= 0)
            close(fd);
        return false;
    }
    while ((entry = readdir(d)) != NULL) {
        if (!gf_relay_name_parse(&number, entry->d_name))
            continue;
        r->parts = gf_realloc(r->parts, (r->count + 1) * sizeof *r->parts);
        r->parts[r->count++] = (gf_relay_part){.number = number};
    }
    closedir(d);
    if (r->count > 1)
        qsort(r->parts, r->count, sizeof *r->parts, by_number);
    if (r->count > 0 && r->parts[r->count - 1].number > r->last_number)
        r->last_number = r->parts[r->count - 1].number;
    return true;
}

void gf_relay_drop_parts(gf_relay *r, size_t first)
{
    char name[GF_RELAY_NAME_MAX];

    for (size_t i = first; i < r->count; i++) {
        gf_relay_name(name, r->parts[i].number);
        if (unlinkat(r->folder, name, 0) != 0 && errno != ENOENT)
            gf_log_warn("%s/%s: can't be removed: %s", r->dir, name, strerror(errno));
        gf_position_free(&r->parts[i].start);
    }
    r->count = first < r->count ? first : r->count;
}

/* Is parts[i], whose head this is, what follows parts[i - 1]? */
static bool follows(const gf_relay *r, size_t i, const gf_relay_head *head, gf_error *err)
{
    const gf_relay_part *before = &r->parts[i - 1];

    if (before->number + 1 != r->parts[i].number)
        return gf_fail(err, GF_ERR_DATA, "relay-%010u is missing", before->number + 1);
    if (head->flavor != r->flavor || strcmp(head->identity, r->identity) != 0)
        return gf_fail(err, GF_ERR_DATA, "relay-%010u is of another source", head->number);
    if (head->before != before->bytes)
        return gf_fail(err, GF_ERR_DATA, "relay-%010u has %llu bytes instead of %llu", before->number,
                       (unsigned long long)before->bytes, (unsigned long long)head->before);
    return true;
}

static bool load_part(gf_relay *r, size_t i, gf_error *err)
{
    gf_relay_part *p = &r->parts[i];
    gf_relay_file file;
    gf_relay_head head;
    struct stat st;
    bool ok;

    if (!gf_relay_file_open(&file, &head, r->folder, p->number, err))
        return false;
    ok = fstat(file.fd, &st) == 0 || gf_fail_errno(err, "stat relay-%010u", p->number);
    if (ok && i == 0) {
        r->flavor = head.flavor;
        memcpy(r->identity, head.identity, sizeof r->identity);
    }
    ok = ok && (i == 0 || follows(r, i, &head, err));
    if (ok) {
        p->bytes = (uint64_t)st.st_size;
        p->head = file.offset;
        gf_position_copy(&p->start, &head.start);
    }
    gf_relay_head_free(&head);
    gf_relay_file_close(&file);
    return ok;
}

/* Keeps the unbroken beginning. */
static bool load_parts(gf_relay *r, gf_error *err)
{
    gf_error why;

    if (!list(r, err))
        return false;
    for (size_t i = 0; i < r->count; i++) {
        if (load_part(r, i, &why))
            continue;
        if (why.kind == GF_ERR_SYSTEM) {
            *err = why;
            return false;
        }
        gf_log_warn("%s: %s: what was received from there on is fetched again", r->dir, why.text);
        gf_relay_drop_parts(r, i);
    }
    return true;
}

/* Feeds the last file to the tracker; r->boundary is behind its last whole transaction then. */
static bool scan_last(gf_relay *r, gf_error *err)
{
    gf_relay_part *p = &r->parts[r->count - 1];
    gf_relay_step step = GF_RELAY_EVENT;
    gf_relay_file file;
    gf_relay_head head;
    gf_slice event;
    gf_error why;

    if (!gf_relay_file_open(&file, &head, r->folder, p->number, err))
        return false;
    r->tracker = gf_relay_tracker(r->flavor, &head.start);
    r->boundary = file.offset;
    while (step == GF_RELAY_EVENT) {
        step = gf_relay_file_next(&event, &file, p->bytes, err);
        if (step != GF_RELAY_EVENT)
            break;
        if (!gf_decoder_feed(r->tracker, event, &why)) {
            step = GF_RELAY_DAMAGED;
            break;
        }
        r->timestamp = gf_relay_timestamp(event, r->timestamp);
        if (!gf_decoder_inside(r->tracker))
            r->boundary = file.offset;
    }
    if (step == GF_RELAY_DAMAGED)
        gf_log_warn("%s/relay-%010u is damaged at %llu: what was received from there on is fetched again", r->dir,
                    p->number, (unsigned long long)file.offset);
    gf_relay_head_free(&head);
    gf_relay_file_close(&file);
    return step != GF_RELAY_FAILED;
}

/* What is behind the last whole transaction is received again: a transaction's beginning, or a torn record. */
static bool cut_last(gf_relay *r, gf_error *err)
{
    gf_relay_part *p = &r->parts[r->count - 1];
    gf_position end = {0};
    char name[GF_RELAY_NAME_MAX];

    gf_relay_name(name, p->number);
    r->fd = openat(r->folder, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (r->fd < 0)
        return gf_fail_errno(err, "open %s/%s", r->dir, name);
    if (p->bytes > r->boundary) {
        gf_log_debug("%s/%s: %llu bytes of an unfinished transaction cut off", r->dir, name,
                     (unsigned long long)(p->bytes - r->boundary));
        if (ftruncate(r->fd, (off_t)r->boundary) != 0)
            return gf_fail_errno(err, "cut %s/%s", r->dir, name);
        p->bytes = r->boundary;
    }
    r->number = p->number;
    r->head = p->head;
    r->written = p->bytes;
    gf_position_copy(&end, gf_decoder_position(r->tracker));
    gf_decoder_reset(r->tracker, &end);
    gf_position_free(&end);
    return true;
}

bool gf_relay_load(gf_relay *r, gf_error *err)
{
    if (!load_parts(r, err))
        return false;
    for (size_t i = 0; i + 1 < r->count; i++)
        r->older += r->parts[i].bytes;
    return r->count == 0 || (scan_last(r, err) && cut_last(r, err));
}
