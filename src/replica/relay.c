/* SPDX-License-Identifier: MIT */
/*
 * relay.c - the files, and who appends to them.
 *
 *   append: feed the tracker -> a record in `out` -> [flush: `out` is full, or nothing more comes] the last file -> readers
 *
 * Everything is written, also while the target keeps up: that it will be away in a second, or that we shall be killed
 * then, is not known before. Bytes are given to the kernel at once, so our own death loses none of them; a power cut may
 * cost those of the last seconds, which the source has to send again. A file is synced when the next one is begun.
 *
 * A file is begun between two transactions only, so each one's head is a place to start from. The limit is looked at for
 * every event; a transaction goes beyond it only where waiting would be for ever: its reader has had all there is for a
 * while, and nothing is removed any more before its end has come.
 */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "event.h"
#include "gfreplica/log.h"

enum {
    FLUSH_BYTES = 256 << 10,
    PARTS = 16, /* files that the limit is divided into */
    PART_MIN = 64 << 10,
    PART_MAX = 64 << 20,
    WAIT_MS = 500,
    STEP_MS = 10,         /* how soon a transaction that may go beyond the limit goes on */
    HEAD_SPARE = 1 << 10, /* a head may be so much longer than the one before it */
    KEEP_MS = 10000,      /* how long a file outlives the target's passing it */
    DISK_STEP = 64 << 10,
    SPARE_MAX = 64 << 20,
    SPARE_PART = 20 /* of the disk, one part in so many is left to others: our own checkpoint is one of them */
};

/* ---- the tracker ---- */

static bool no_begin(void *ctx, const gf_txn_info *txn, gf_error *err)
{
    (void)ctx;
    (void)txn;
    (void)err;
    return true;
}

static bool no_row(void *ctx, const gf_table *t, gf_op op, const gf_value *before, const gf_value *after,
                   unsigned event_flags, gf_error *err)
{
    (void)ctx;
    (void)t;
    (void)op;
    (void)before;
    (void)after;
    (void)event_flags;
    (void)err;
    return true;
}

static bool no_savepoint(void *ctx, gf_slice name, bool rollback_to, gf_error *err)
{
    (void)ctx;
    (void)name;
    (void)rollback_to;
    (void)err;
    return true;
}

static bool no_position(void *ctx, const gf_position *end, gf_error *err)
{
    (void)ctx;
    (void)end;
    (void)err;
    return true;
}

static bool no_xa(void *ctx, gf_xa_kind kind, gf_slice xid, const gf_position *end, gf_error *err)
{
    (void)kind;
    (void)xid;
    return no_position(ctx, end, err);
}

static bool no_statement(void *ctx, const gf_statement *s, bool inside, const gf_position *end, gf_error *err)
{
    (void)s;
    (void)inside;
    return no_position(ctx, end, err);
}

gf_decoder *gf_relay_tracker(gf_flavor flavor, const gf_position *from)
{
    static char no_name[] = "\xff"; /* no UTF-8, so no database has it */
    static char *names[] = {no_name};
    static const gf_filter nothing = {.db_whitelist = {names, 1}};
    static const gf_sink sink = {NULL,        no_begin, no_row,       no_savepoint, no_position,
                                 no_position, no_xa,    no_statement, no_position};

    return gf_decoder_new(flavor, NULL, &nothing, from, &sink); /* no catalog: no row is ever looked at */
}

uint32_t gf_relay_timestamp(gf_slice event, uint32_t before)
{
    gf_event ev;

    return gf_event_parse(&ev, event) && ev.timestamp != 0 ? ev.timestamp : before;
}

/* ---- life ---- */

/* Small enough for the limit, and for the disk, to be reached with some files that can be removed. */
static uint64_t part_size(const gf_relay *r)
{
    struct statvfs fs;
    uint64_t most = r->limit, part;

    if (fstatvfs(r->folder, &fs) == 0 && (uint64_t)fs.f_blocks * fs.f_frsize < most)
        most = (uint64_t)fs.f_blocks * fs.f_frsize;
    part = most / PARTS;
    return part < PART_MIN ? PART_MIN : part > PART_MAX ? PART_MAX : part;
}

bool gf_relay_open(gf_relay **out, const char *dir, uint64_t limit_bytes, gf_error *err)
{
    gf_relay *r = gf_calloc(1, sizeof *r);

    r->dir = gf_strdup(dir);
    r->fd = -1;
    r->limit = limit_bytes;
    pthread_mutex_init(&r->lock, NULL);
    gf_cond_init(&r->changed);
    r->folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->folder < 0) {
        gf_fail_errno(err, "open %s", dir);
        goto fail;
    }
    r->part_bytes = part_size(r);
    if (!gf_relay_load(r, err))
        goto fail;
    *out = r;
    return true;
fail:
    gf_relay_close(r);
    return false;
}

static void close_last(gf_relay *r)
{
    if (r->fd >= 0) /* not synced, which may take its time: a stop has to be quick, and the kernel outlives us */
        close(r->fd);
    r->fd = -1;
}

/* In memory; the files stay. */
static void forget(gf_relay *r)
{
    close_last(r);
    for (size_t i = 0; i < r->count; i++)
        gf_position_free(&r->parts[i].start);
    r->count = 0;
    r->older = 0;
    r->out.len = 0;
    gf_decoder_free(r->tracker);
    r->tracker = NULL;
}

void gf_relay_close(gf_relay *r)
{
    if (r == NULL)
        return;
    forget(r);
    free(r->parts);
    gf_buf_free(&r->out);
    if (r->folder >= 0)
        close(r->folder);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r->dir);
    free(r);
}

bool gf_relay_holds(gf_relay *r, const char *identity, gf_position *end)
{
    bool holds;

    pthread_mutex_lock(&r->lock);
    holds = r->tracker != NULL && strcmp(r->identity, identity) == 0;
    if (holds && end != NULL)
        gf_position_copy(end, gf_decoder_position(r->tracker));
    pthread_mutex_unlock(&r->lock);
    return holds;
}

void gf_relay_remove(gf_relay *r)
{
    pthread_mutex_lock(&r->lock);
    gf_relay_drop_parts(r, 0);
    forget(r);
    pthread_mutex_unlock(&r->lock);
}

/* ---- writing ---- */

static const struct {
    gf_log_level level;
    const char *text;
} state_lines[] = {
    [GF_RELAY_OPEN] = {GF_LOG_INFO, "the relay has room again: receiving goes on"},
    [GF_RELAY_FULL] = {GF_LOG_WARN, "the relay is full (--relay-limit): receiving waits for the target; until then the "
                                    "source has to keep its binlogs"},
    [GF_RELAY_NO_DISK] = {GF_LOG_WARN,
                          "no room on the checkpoint directory's disk: receiving waits for some; until then "
                          "the source has to keep its binlogs"},
};

static void set_state_locked(gf_relay *r, gf_relay_state state)
{
    if (r->state == state)
        return;
    r->state = state;
    gf_log(state_lines[state].level, "%s", state_lines[state].text);
}

static bool fail_stopped(gf_error *err)
{
    return gf_fail(err, GF_ERR_STOPPED, "receiving was stopped");
}

/* Until somebody frees something or the time is over. */
static bool wait_disk(gf_relay *r, gf_error *err)
{
    bool go;

    pthread_mutex_lock(&r->lock);
    set_state_locked(r, GF_RELAY_NO_DISK);
    if (!r->stopped)
        gf_cond_wait_ms(&r->changed, &r->lock, WAIT_MS);
    go = !r->stopped;
    pthread_mutex_unlock(&r->lock);
    return go || fail_stopped(err);
}

static bool no_room(int code)
{
    return code == ENOSPC || code == EDQUOT;
}

/* *done: bytes that are in the file afterwards, also when there is no room for the rest. */
static bool write_some(size_t *done, gf_relay *r, uint64_t offset, gf_error *err)
{
    ssize_t n = pwrite(r->fd, r->out.data, r->out.len, (off_t)offset);

    *done = 0;
    if (n >= 0)
        *done = (size_t)n;
    return n >= 0 || errno == EINTR || no_room(errno) || gf_fail_errno(err, "write the relay in %s", r->dir);
}

/* Readers take what is in the file; of a record that is there in part they wait for the rest. */
static bool write_out(gf_relay *r, gf_error *err)
{
    while (r->out.len > 0) {
        size_t done;

        if (!write_some(&done, r, r->written, err) || (done == 0 && !wait_disk(r, err)))
            return false;
        memmove(r->out.data, r->out.data + done, r->out.len - done);
        r->out.len -= done;
        r->written += done;
        pthread_mutex_lock(&r->lock);
        r->parts[r->count - 1].bytes = r->written;
        if (done > 0 && r->state == GF_RELAY_NO_DISK)
            set_state_locked(r, GF_RELAY_OPEN);
        pthread_cond_broadcast(&r->changed);
        pthread_mutex_unlock(&r->lock);
    }
    return true;
}

bool gf_relay_flush(gf_relay *r, gf_error *err)
{
    /* The rest of a transaction is on its way: readers have no use for its beginning alone. */
    return r->out.len == 0 || gf_decoder_inside(r->tracker) || write_out(r, err);
}

/* ---- files ---- */

static bool write_head(gf_relay *r, const char *name, gf_slice head, gf_error *err)
{
    ssize_t n = -1;

    r->fd = openat(r->folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (r->fd < 0)
        errno = errno == 0 ? EIO : errno;
    else
        n = pwrite(r->fd, head.data, head.len, 0);
    if (n == (ssize_t)head.len && fsync(r->folder) == 0)
        return true;
    if (n >= 0 && n < (ssize_t)head.len)
        errno = ENOSPC;
    gf_fail_errno(err, "write %s/%s", r->dir, name);
    if (no_room(errno))
        err->kind = GF_ERR_RETRY;
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    unlinkat(r->folder, name, 0);
    return false;
}

static void add_part_locked(gf_relay *r, const gf_relay_head *head, uint64_t bytes)
{
    gf_relay_part *p;

    r->older += r->count == 0 ? 0 : r->written;
    r->number = r->last_number = head->number;
    r->head = r->written = r->boundary = bytes;
    r->parts = gf_realloc(r->parts, (r->count + 1) * sizeof *r->parts);
    p = &r->parts[r->count++];
    *p = (gf_relay_part){.number = head->number, .head = bytes, .bytes = bytes};
    gf_position_copy(&p->start, &head->start);
}

/* A new last file that starts at `from`. RETRY when the disk has no room for it. */
static bool create_part(gf_relay *r, const gf_position *from, gf_error *err)
{
    gf_relay_head head = {.number = r->last_number + 1, .flavor = r->flavor};
    char name[GF_RELAY_NAME_MAX];
    gf_buf bytes = {0};
    bool ok;

    head.before = r->written;
    memcpy(head.identity, r->identity, sizeof head.identity);
    gf_position_copy(&head.start, from);
    gf_relay_head_bytes(&bytes, &head);
    gf_relay_name(name, head.number);
    ok = write_head(r, name, gf_slice_of(bytes.data, bytes.len), err);
    if (ok) {
        pthread_mutex_lock(&r->lock);
        add_part_locked(r, &head, bytes.len);
        pthread_cond_broadcast(&r->changed);
        pthread_mutex_unlock(&r->lock);
    }
    gf_relay_head_free(&head);
    gf_buf_free(&bytes);
    return ok;
}

/* Between two transactions. The old file is whole and on disk before the new one says how long it is. */
static bool next_part(gf_relay *r, gf_error *err)
{
    int old = r->fd;
    bool ok = write_out(r, err);

    if (ok && fdatasync(old) != 0)
        ok = gf_fail_errno(err, "sync the relay in %s", r->dir);
    while (ok && !create_part(r, gf_decoder_position(r->tracker), err))
        ok = err->kind == GF_ERR_RETRY && wait_disk(r, err);
    if (ok)
        close(old);
    else
        r->fd = old;
    return ok;
}

bool gf_relay_begin(gf_relay *r, const char *identity, gf_flavor flavor, const gf_position *from, gf_error *err)
{
    gf_decoder *tracker = gf_relay_tracker(flavor, from);

    gf_relay_remove(r);
    r->flavor = flavor;
    r->timestamp = 0;
    r->damaged = 0;
    snprintf(r->identity, sizeof r->identity, "%s", identity);
    r->written = 0;
    if (!create_part(r, from, err)) {
        gf_decoder_free(tracker);
        return false;
    }
    pthread_mutex_lock(&r->lock);
    r->tracker = tracker;
    pthread_mutex_unlock(&r->lock);
    return true;
}

/* All from the damaged file's bad place on goes away. */
static bool mend_locked(gf_relay *r, gf_error *err)
{
    size_t i = 0;

    while (i < r->count && r->parts[i].number <= r->damaged)
        i++;
    gf_relay_drop_parts(r, i);
    if (r->reader != NULL)
        r->reader->broken = true;
    r->damaged = 0;
    forget(r);
    return gf_relay_load(r, err);
}

static bool cut_locked(gf_relay *r, gf_error *err)
{
    gf_position end = {0};

    if (r->boundary < r->written) {
        if (r->reader != NULL && r->reader->file.number == r->number && r->reader->limit > r->boundary)
            r->reader->broken = true;
        if (ftruncate(r->fd, (off_t)r->boundary) != 0)
            return gf_fail_errno(err, "cut the relay in %s", r->dir);
        r->written = r->parts[r->count - 1].bytes = r->boundary;
    }
    r->out.len = (size_t)(r->boundary - r->written);
    gf_position_copy(&end, gf_decoder_position(r->tracker));
    gf_decoder_reset(r->tracker, &end);
    gf_position_free(&end);
    return true;
}

/* With the lock over file I/O: who reads must not see a state in between, and nobody appends meanwhile. */
bool gf_relay_rewind(gf_relay *r, gf_error *err)
{
    bool ok = true;

    pthread_mutex_lock(&r->lock);
    r->stopped = false;
    if (r->damaged != 0)
        ok = mend_locked(r, err);
    else if (r->tracker != NULL)
        ok = cut_locked(r, err);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    return ok;
}

/* ---- appending ---- */

static uint64_t total_locked(const gf_relay *r)
{
    return r->count == 0 ? 0 : r->older + r->parts[r->count - 1].bytes;
}

/* The reader has had all there is, in the middle of a transaction, and for so long that nothing more will be removed:
   the target needs the rest first. */
static bool reader_starves_locked(const gf_relay *r)
{
    const gf_relay_part *last = &r->parts[r->count - 1];
    unsigned patience = r->exceeding ? 0 : WAIT_MS;

    return r->reader != NULL && r->reader->waiting && r->reader->file.number == last->number &&
           r->reader->limit == last->bytes && gf_decoder_inside(r->tracker) &&
           gf_now_ms() - r->reader->idle_since_ms >= patience;
}

/* A part of the disk is left to others: a full one would keep the checkpoint from being saved. Asked anew after so many
   bytes. */
static bool lacks_disk(gf_relay *r, uint64_t more)
{
    struct statvfs fs;
    uint64_t spare, total, there;

    if (more <= r->disk_left) {
        r->disk_left -= more;
        return false;
    }
    if (fstatvfs(r->folder, &fs) != 0)
        return false; /* the write will tell */
    total = (uint64_t)fs.f_blocks * fs.f_frsize;
    there = (uint64_t)fs.f_bavail * fs.f_frsize;
    spare = total / SPARE_PART < SPARE_MAX ? total / SPARE_PART : SPARE_MAX;
    if (there < r->out.len + more + DISK_STEP + spare)
        return true;
    r->disk_left = DISK_STEP;
    return false;
}

static bool over_limit_locked(const gf_relay *r, uint64_t more)
{
    return total_locked(r) + r->out.len + r->head + HEAD_SPARE + more > r->limit;
}

static bool is_full(gf_relay *r, uint64_t more)
{
    bool full;

    pthread_mutex_lock(&r->lock);
    full = over_limit_locked(r, more);
    pthread_mutex_unlock(&r->lock);
    return full || lacks_disk(r, more);
}

/* One look, and where that is not enough a wait for the next one. A moment's wait is nobody's business; a longer one is a
   state. */
static bool room_now(gf_relay *r, uint64_t more, uint64_t since_ms)
{
    bool lacks = lacks_disk(r, more), room;

    pthread_mutex_lock(&r->lock);
    room = !over_limit_locked(r, more) && !lacks;
    r->exceeding = r->exceeding || (!room && reader_starves_locked(r));
    room = room || r->stopped || reader_starves_locked(r);
    if (room && !r->stopped)
        set_state_locked(r, GF_RELAY_OPEN);
    if (!room && gf_now_ms() - since_ms >= WAIT_MS)
        set_state_locked(r, lacks ? GF_RELAY_NO_DISK : GF_RELAY_FULL);
    if (!room)
        gf_cond_wait_ms(&r->changed, &r->lock, r->exceeding ? STEP_MS : WAIT_MS);
    pthread_mutex_unlock(&r->lock);
    return room;
}

static bool wait_for_room(gf_relay *r, uint64_t more, gf_error *err)
{
    uint64_t since = gf_now_ms();
    bool stopped;

    while (!room_now(r, more, since))
        continue;
    pthread_mutex_lock(&r->lock);
    stopped = r->stopped;
    pthread_mutex_unlock(&r->lock);
    return !stopped || fail_stopped(err);
}

/* A place for an event of that many bytes: in the last file, or in a new one where a transaction begins. */
static bool make_room(gf_relay *r, uint64_t more, gf_error *err)
{
    bool between = !gf_decoder_inside(r->tracker), full = is_full(r, more);
    uint64_t bytes = r->written + r->out.len;

    r->exceeding = r->exceeding && !between;
    if (between && bytes > r->head && (full || bytes >= r->part_bytes) && !next_part(r, err))
        return false;
    return !full || (write_out(r, err) && wait_for_room(r, more, err));
}

/* Feeds the tracker. *news: the event belongs to a transaction, or moves the place where we are. */
static bool track(bool *news, gf_relay *r, gf_slice event, gf_error *err)
{
    const gf_position *pos = gf_decoder_position(r->tracker);
    bool inside = gf_decoder_inside(r->tracker), ok;
    uint64_t offset = pos->offset;
    char file[GF_BINLOG_NAME_MAX];

    memcpy(file, pos->file, sizeof file);
    pthread_mutex_lock(&r->lock);
    ok = gf_decoder_feed(r->tracker, event, err);
    pos = gf_decoder_position(r->tracker);
    *news = inside || gf_decoder_inside(r->tracker) || pos->offset != offset || strcmp(pos->file, file) != 0;
    if (ok && *news) {
        r->events++;
        r->timestamp = gf_relay_timestamp(event, r->timestamp);
    }
    pthread_mutex_unlock(&r->lock);
    return ok;
}

bool gf_relay_append(gf_relay *r, gf_slice event, gf_error *err)
{
    bool news;

    if (!make_room(r, gf_relay_record_size(event), err) || !track(&news, r, event, err))
        return false;
    if (!news)
        return true;
    gf_relay_record_bytes(&r->out, r->number, r->written + r->out.len, event);
    if (!gf_decoder_inside(r->tracker))
        r->boundary = r->written + r->out.len;
    return r->out.len < FLUSH_BYTES || write_out(r, err);
}

void gf_relay_stop(gf_relay *r)
{
    pthread_mutex_lock(&r->lock);
    r->stopped = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* ---- main's ---- */

/* Files are compared by place, which start positions and `pos` have of one and the same server. */
static bool passed_locked(const gf_relay *r, size_t i, const gf_position *pos)
{
    const gf_position *next;

    if (i + 1 >= r->count || (r->reader != NULL && r->reader->file.number <= r->parts[i].number))
        return false;
    next = &r->parts[i + 1].start;
    return next->file[0] != '\0' && pos->file[0] != '\0' && gf_position_cmp(next, pos) <= 0;
}

static size_t count_passed_locked(gf_relay *r, const gf_position *pos)
{
    uint64_t now = gf_now_ms(), total = total_locked(r);
    size_t n = 0;

    for (size_t i = 0; passed_locked(r, i, pos); i++) {
        if (r->parts[i].passed_ms == 0)
            r->parts[i].passed_ms = now;
        if (i == n && (now - r->parts[i].passed_ms >= KEEP_MS || total > r->limit / 2 || r->state != GF_RELAY_OPEN)) {
            total -= r->parts[i].bytes;
            n++;
        }
    }
    return n;
}

void gf_relay_passed(gf_relay *r, const gf_position *pos)
{
    char name[GF_RELAY_NAME_MAX];
    size_t n;

    pthread_mutex_lock(&r->lock);
    n = count_passed_locked(r, pos);
    for (size_t i = 0; i < n; i++) {
        gf_relay_name(name, r->parts[i].number);
        if (unlinkat(r->folder, name, 0) != 0 && errno != ENOENT)
            gf_log_warn("%s/%s: can't be removed: %s", r->dir, name, strerror(errno));
        gf_position_free(&r->parts[i].start);
        r->older -= r->parts[i].bytes;
    }
    if (n > 0) {
        memmove(r->parts, r->parts + n, (r->count - n) * sizeof *r->parts);
        r->count -= n;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
}

void gf_relay_look(gf_relay *r, gf_relay_status *out)
{
    *out = (gf_relay_status){0};
    pthread_mutex_lock(&r->lock);
    out->bytes = total_locked(r);
    out->events = r->events;
    out->state = r->state;
    out->damaged = r->damaged != 0;
    out->timestamp = r->timestamp;
    if (r->tracker != NULL) {
        const gf_position *end = gf_decoder_position(r->tracker);

        memcpy(out->file, end->file, sizeof out->file);
        out->offset = end->offset;
    }
    pthread_mutex_unlock(&r->lock);
}
