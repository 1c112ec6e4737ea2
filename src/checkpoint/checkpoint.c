/* SPDX-License-Identifier: MIT */
/*
 * checkpoint.c - the checkpoint directory: one owner, whole generations, never a half-written one.
 *
 * A file is written under a temporary name, synced, renamed, and then the folder is synced: at any instant the name
 * checkpoint-N.msgpack stands for a whole file or for none. What a disk or a hand may still do to it (cut it short,
 * turn a bit, put another file in its place) is found when it is read:
 *
 *     93                array of 3
 *     01                format version (GF_STATE_FORMAT)
 *     c4 20 sha[32]     SHA-256 of the body
 *     c6 len[4 BE] body the body, a map (pack.h); the file ends with it
 *
 * Each byte of the head has only one right value, so a changed bit anywhere is noticed. The body repeats the format
 * version and the generation: a version that differs is damage, an equal one is a file of a newer program, which
 * must not be passed over in favour of an older generation.
 *
 * The lock is flock() on DIR/lock: the kernel gives it back when its process dies, however it dies. The pid inside is
 * for people only.
 */
#include "gfreplica/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gfreplica/log.h"
#include "pack.h"

enum { KEEP = 3, SHA_LEN = 32, HEAD_LEN = 2 + 2 + SHA_LEN + 5 };
static const size_t max_body = (size_t)1 << 30; /* a gigabyte: some hundred thousand tables */

struct gf_checkpoint {
    char *dir;       /* owned */
    int folder;      /* the directory, for fsync and *at calls */
    int lock;        /* holds the flock */
    unsigned newest; /* highest generation number that was ever seen or tried here */
    unsigned *bad;   /* owned: generations known not to be whole; they don't count among those kept */
    size_t bad_count;
};

/* Generations in a directory, newest first. */
typedef struct {
    unsigned *items; /* owned */
    size_t count;
} generations;

/* "checkpoint-17.msgpack" + suffix -> 17; false for any other name. */
static bool parse_name(unsigned *generation, const char *name, const char *suffix)
{
    char again[64];
    unsigned long n;
    char *end;

    if (strncmp(name, "checkpoint-", 11) != 0 || name[11] < '1' || name[11] > '9')
        return false;
    errno = 0;
    n = strtoul(name + 11, &end, 10);
    if (errno != 0 || n >= UINT32_MAX)
        return false;
    snprintf(again, sizeof again, "checkpoint-%lu.msgpack%s", n, suffix);
    *generation = (unsigned)n;
    return strcmp(name, again) == 0;
}

static void make_name(char *out, size_t size, unsigned generation, const char *suffix)
{
    snprintf(out, size, "checkpoint-%u.msgpack%s", generation, suffix);
}

static int newest_first(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return x < y ? 1 : x > y ? -1 : 0;
}

/* fdopendir takes its descriptor, and two of them share an offset when dup'ed: so open the folder anew. */
static DIR *open_listing(int folder, const char *dir, gf_error *err)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (d == NULL) {
        gf_fail_errno(err, "list %s", dir);
        if (fd >= 0)
            close(fd);
    }
    return d;
}

static bool list(generations *out, int folder, const char *dir, gf_error *err)
{
    DIR *d = open_listing(folder, dir, err);
    struct dirent *entry;
    unsigned n;

    *out = (generations){0};
    if (d == NULL)
        return false;
    while ((entry = readdir(d)) != NULL) {
        if (!parse_name(&n, entry->d_name, ""))
            continue;
        out->items = gf_realloc(out->items, (out->count + 1) * sizeof *out->items);
        out->items[out->count++] = n;
    }
    closedir(d);
    if (out->count > 1)
        qsort(out->items, out->count, sizeof *out->items, newest_first);
    return true;
}

/* Files that a killed process was writing. Nobody else writes here while we hold the lock. */
static bool remove_leftovers(gf_checkpoint *cp, gf_error *err)
{
    DIR *d = open_listing(cp->folder, cp->dir, err);
    struct dirent *entry;
    unsigned n;

    if (d == NULL)
        return false;
    while ((entry = readdir(d)) != NULL) {
        if (!parse_name(&n, entry->d_name, ".tmp"))
            continue;
        if (unlinkat(cp->folder, entry->d_name, 0) == 0)
            gf_log_debug("%s/%s: unfinished, removed", cp->dir, entry->d_name);
        else
            gf_log_warn("%s/%s: unfinished, can't be removed: %s", cp->dir, entry->d_name, strerror(errno));
    }
    closedir(d);
    return true;
}

/* ---- the lock ---- */

static long lock_owner(int fd)
{
    char text[32] = {0};

    return pread(fd, text, sizeof text - 1, 0) > 0 ? strtol(text, NULL, 10) : 0;
}

static bool take_lock(gf_checkpoint *cp, gf_error *err)
{
    char text[32];
    int len;

    cp->lock = openat(cp->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (cp->lock < 0)
        return gf_fail_errno(err, "open %s/lock", cp->dir);
    if (flock(cp->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return gf_fail_errno(err, "lock %s/lock", cp->dir);
        return gf_fail(err, GF_ERR_CONFIG,
                       "%s is in use by process %ld: one process per checkpoint directory; to end it use "
                       "\"gfreplica stop --checkpoint-dir %s\"",
                       cp->dir, lock_owner(cp->lock), cp->dir);
    }
    len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(cp->lock, 0) != 0 || pwrite(cp->lock, text, (size_t)len, 0) != len)
        return gf_fail_errno(err, "write %s/lock", cp->dir);
    return true;
}

static bool open_folder(int *out, const char *dir, gf_error *err)
{
    *out = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *out >= 0 || gf_fail_errno(err, "open checkpoint directory %s", dir);
}

bool gf_checkpoint_open(gf_checkpoint **out, const char *dir, gf_error *err)
{
    gf_checkpoint *cp = gf_calloc(1, sizeof *cp);
    generations g = {0};

    cp->dir = gf_strdup(dir);
    cp->folder = cp->lock = -1;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        gf_fail_errno(err, "create checkpoint directory %s", dir);
        goto fail;
    }
    if (!open_folder(&cp->folder, dir, err) || !take_lock(cp, err) || !remove_leftovers(cp, err) ||
        !list(&g, cp->folder, dir, err))
        goto fail;
    cp->newest = g.count > 0 ? g.items[0] : 0;
    free(g.items);
    *out = cp;
    return true;
fail:
    gf_checkpoint_close(cp);
    return false;
}

void gf_checkpoint_close(gf_checkpoint *cp)
{
    if (cp == NULL)
        return;
    if (cp->lock >= 0)
        close(cp->lock); /* and with it the lock; the file stays, so that nobody locks one that is being removed */
    if (cp->folder >= 0)
        close(cp->folder);
    free(cp->bad);
    free(cp->dir);
    free(cp);
}

/* ---- reading ---- */

static bool sha256(uint8_t out[SHA_LEN], gf_slice body, gf_error *err)
{
    unsigned len = 0;

    if (EVP_Digest(body.data, body.len, out, &len, EVP_sha256(), NULL) != 1 || len != SHA_LEN)
        return gf_fail(err, GF_ERR_SYSTEM, "SHA-256 is not available in this OpenSSL");
    return true;
}

static bool read_all(int fd, void *to, size_t len, gf_error *err)
{
    char *p = to;

    while (len > 0) {
        ssize_t n = read(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return gf_fail_errno(err, "read");
        if (n == 0)
            return gf_fail(err, GF_ERR_DATA, "cut short");
        p += n;
        len -= (size_t)n;
    }
    return true;
}

/* The head, checked against the file's size before anything is allocated for the body. */
static bool read_head(unsigned *format, uint8_t sha[SHA_LEN], size_t *body_len, int fd, gf_error *err)
{
    uint8_t head[HEAD_LEN];
    struct stat st;
    gf_cursor in = gf_cursor_of(head, sizeof head);

    if (fstat(fd, &st) != 0)
        return gf_fail_errno(err, "stat");
    if (!S_ISREG(st.st_mode))
        return gf_fail(err, GF_ERR_DATA, "not a file");
    if (st.st_size == 0)
        return gf_fail(err, GF_ERR_DATA, "empty");
    if (st.st_size < HEAD_LEN)
        return gf_fail(err, GF_ERR_DATA, "cut short");
    if (!read_all(fd, head, sizeof head, err))
        return false;
    if (gf_cursor_u8(&in) != 0x93 || (*format = gf_cursor_u8(&in)) > 0x7f || gf_cursor_be(&in, 2) != 0xc420)
        return gf_fail(err, GF_ERR_DATA, "not a checkpoint file");
    memcpy(sha, gf_cursor_bytes(&in, SHA_LEN).data, SHA_LEN);
    if (gf_cursor_u8(&in) != 0xc6)
        return gf_fail(err, GF_ERR_DATA, "not a checkpoint file");
    *body_len = (size_t)gf_cursor_be(&in, 4);
    if (*body_len > max_body || (uint64_t)st.st_size != *body_len + HEAD_LEN)
        return gf_fail(err, GF_ERR_DATA, "%lld bytes, should be %zu", (long long)st.st_size, *body_len + HEAD_LEN);
    return true;
}

static bool decode_body(gf_state *out, unsigned format, unsigned generation, gf_slice body, gf_error *err)
{
    unsigned inner = 0;

    if (!gf_state_decode(out, &inner, body, err)) {
        /* Of a newer program it may be unreadable rightly: then the version is the better news. */
        return format > GF_STATE_FORMAT
                   ? gf_fail(err, GF_ERR_CONFIG, "format %u, made by a newer gfreplica: this one reads up to format %u",
                             format, GF_STATE_FORMAT)
                   : false;
    }
    if (inner != format || out->generation != generation) {
        gf_state_free(out);
        return gf_fail(err, GF_ERR_DATA, inner != format ? "damaged format version" : "holds another generation");
    }
    if (format != GF_STATE_FORMAT) {
        gf_state_free(out);
        return gf_fail(err, GF_ERR_CONFIG, "format %u, made by a newer gfreplica: this one reads up to format %u",
                       format, GF_STATE_FORMAT);
    }
    return true;
}

static bool read_open_file(gf_state *out, int fd, unsigned generation, gf_error *err)
{
    uint8_t want[SHA_LEN], have[SHA_LEN];
    size_t len = 0;
    unsigned format = 0;
    uint8_t *body = NULL;
    bool ok = false;

    if (!read_head(&format, want, &len, fd, err))
        return false;
    body = gf_malloc(len);
    if (!read_all(fd, body, len, err) || !sha256(have, gf_slice_of(body, len), err))
        goto out;
    if (memcmp(want, have, SHA_LEN) != 0) {
        gf_fail(err, GF_ERR_DATA, "its SHA-256 does not match: damaged");
        goto out;
    }
    ok = decode_body(out, format, generation, gf_slice_of(body, len), err);
out:
    free(body);
    return ok;
}

/* One generation. *gone: it was removed since it was listed. */
static bool read_file(gf_state *out, bool *gone, int folder, unsigned generation, gf_error *err)
{
    char name[64];
    bool ok;
    int fd;

    make_name(name, sizeof name, generation, "");
    /* NONBLOCK: a pipe of that name must not hold us. */
    fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *gone = fd < 0 && errno == ENOENT;
    if (fd < 0)
        return gf_fail_errno(err, "open");
    ok = read_open_file(out, fd, generation, err);
    close(fd);
    return ok;
}

static bool is_bad(const gf_checkpoint *cp, unsigned generation)
{
    for (size_t i = 0; i < cp->bad_count; i++) {
        if (cp->bad[i] == generation)
            return true;
    }
    return false;
}

static void remember_bad(gf_checkpoint *cp, unsigned generation)
{
    if (cp == NULL || is_bad(cp, generation))
        return;
    cp->bad = gf_realloc(cp->bad, (cp->bad_count + 1) * sizeof *cp->bad);
    cp->bad[cp->bad_count++] = generation;
}

/* The newest whole one of `g`. *missed: one had been removed under us. cp, when not NULL, learns the bad ones. */
static bool load_newest(gf_state *out, bool *found, bool *missed, gf_checkpoint *cp, int folder, const char *dir,
                        const generations *g, gf_error *err)
{
    gf_error why = {0};
    bool gone;

    *found = *missed = false;
    for (size_t i = 0; i < g->count; i++) {
        if (read_file(out, &gone, folder, g->items[i], &why)) {
            *found = true;
            if (i > 0)
                gf_log_warn("%s: going on from generation %u", dir, g->items[i]);
            return true;
        }
        *missed = *missed || gone;
        if (gone)
            continue;
        if (why.kind != GF_ERR_DATA) {
            *err = why;
            return gf_fail_context(err, "%s/checkpoint-%u.msgpack", dir, g->items[i]);
        }
        gf_log_warn("%s/checkpoint-%u.msgpack is refused: %s", dir, g->items[i], why.text);
        remember_bad(cp, g->items[i]);
    }
    if (g->count == 0 || *missed)
        return true;
    return gf_fail(err, GF_ERR_SYSTEM,
                   "%s: none of %zu checkpoint files is whole (checkpoint-%u.msgpack: %s); restore one, or start anew "
                   "with an empty directory",
                   dir, g->count, g->items[g->count - 1], why.text);
}

bool gf_checkpoint_load(gf_state *out, bool *found, gf_checkpoint *cp, gf_error *err)
{
    generations g;
    bool missed, ok;

    if (!list(&g, cp->folder, cp->dir, err))
        return false;
    ok = load_newest(out, found, &missed, cp, cp->folder, cp->dir, &g, err);
    free(g.items);
    if (ok && !*found && missed) /* to say "empty" here would begin the whole move anew */
        return gf_fail(err, GF_ERR_SYSTEM, "%s: checkpoint files vanish while they are read", cp->dir);
    return ok;
}

/* Beside a running job files come and go: one that is gone has a newer one in its place, so list again. */
static bool peek(gf_state *out, bool *found, int folder, const char *dir, gf_error *err)
{
    for (int tries = 0; tries < 5; tries++) {
        generations g;
        bool missed, ok;

        if (!list(&g, folder, dir, err))
            return false;
        ok = load_newest(out, found, &missed, NULL, folder, dir, &g, err);
        free(g.items);
        if (!ok || *found || !missed)
            return ok;
    }
    return gf_fail(err, GF_ERR_SYSTEM, "%s: checkpoint files vanish faster than they can be read", dir);
}

bool gf_checkpoint_peek(gf_state *out, bool *found, const char *dir, gf_error *err)
{
    int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok;

    if (folder < 0 && errno == ENOENT)
        return gf_fail(err, GF_ERR_CONFIG, "there is no checkpoint directory %s", dir);
    if (folder < 0)
        return gf_fail_errno(err, "open checkpoint directory %s", dir);
    ok = peek(out, found, folder, dir, err);
    close(folder);
    return ok;
}

/* ---- writing ---- */

static bool write_all(int fd, const void *from, size_t len)
{
    const char *p = from;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

/* Head and body of a file. The state's generation is the file's. */
static bool build(gf_buf *out, const gf_state *s, unsigned generation, gf_error *err)
{
    static const uint8_t room[HEAD_LEN] = {0x93, GF_STATE_FORMAT, 0xc4, SHA_LEN};
    gf_state numbered = *s; /* borrows all of it */
    size_t len;

    numbered.generation = generation;
    gf_buf_add(out, room, sizeof room);
    gf_state_encode(out, &numbered);
    len = out->len - HEAD_LEN;
    if (len > max_body)
        return gf_fail(err, GF_ERR_SYSTEM, "checkpoint of %zu bytes: more than %zu are not supported", len, max_body);
    if (!sha256(out->data + 4, gf_slice_of(out->data + HEAD_LEN, len), err))
        return false;
    out->data[4 + SHA_LEN] = 0xc6;
    for (unsigned i = 0; i < 4; i++)
        out->data[5 + SHA_LEN + i] = (uint8_t)(len >> (24 - 8 * i));
    return true;
}

static bool write_temporary(gf_checkpoint *cp, const char *tmp, const gf_buf *content, gf_error *err)
{
    int fd = openat(cp->folder, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = false;

    if (fd < 0)
        return gf_fail_errno(err, "open %s/%s", cp->dir, tmp);
    if (!write_all(fd, content->data, content->len))
        gf_fail_errno(err, "write %s/%s", cp->dir, tmp);
    else if (fsync(fd) != 0)
        gf_fail_errno(err, "sync %s/%s", cp->dir, tmp);
    else
        ok = true;
    if (close(fd) != 0 && ok)
        ok = gf_fail_errno(err, "close %s/%s", cp->dir, tmp);
    if (!ok)
        unlinkat(cp->folder, tmp, 0);
    return ok;
}

static bool publish(gf_checkpoint *cp, const char *tmp, const char *name, gf_error *err)
{
    if (renameat(cp->folder, tmp, cp->folder, name) != 0) {
        gf_fail_errno(err, "rename %s/%s to %s", cp->dir, tmp, name);
        unlinkat(cp->folder, tmp, 0);
        return false;
    }
    /* Until the folder is synced too, a power cut may bring the state before back. */
    return fsync(cp->folder) == 0 || gf_fail_errno(err, "sync %s", cp->dir);
}

/* Whole generations beyond the newest KEEP go, and damaged ones among or behind them. */
static void prune(gf_checkpoint *cp)
{
    generations g;
    gf_error err;
    size_t kept = 0;
    char name[64];

    if (!list(&g, cp->folder, cp->dir, &err)) {
        gf_log_warn("old checkpoints stay: %s", err.text);
        return;
    }
    for (size_t i = 0; i < g.count; i++) {
        if (kept < KEEP) {
            kept += is_bad(cp, g.items[i]) ? 0 : 1;
            continue;
        }
        make_name(name, sizeof name, g.items[i], "");
        if (unlinkat(cp->folder, name, 0) != 0)
            gf_log_warn("%s/%s is old and can't be removed: %s", cp->dir, name, strerror(errno));
    }
    free(g.items);
}

bool gf_checkpoint_save(gf_checkpoint *cp, const gf_state *s, gf_error *err)
{
    char name[64], tmp[64];
    gf_buf content = {0};
    bool ok = false;

    if (cp->newest >= UINT32_MAX - 2)
        return gf_fail(err, GF_ERR_SYSTEM, "%s: generation numbers are used up", cp->dir);
    /* A number is used once, also when saving fails: a damaged file of that name must not pass for this one. */
    cp->newest++;
    make_name(name, sizeof name, cp->newest, "");
    make_name(tmp, sizeof tmp, cp->newest, ".tmp");
    if (!build(&content, s, cp->newest, err) || !write_temporary(cp, tmp, &content, err) ||
        !publish(cp, tmp, name, err))
        goto out;
    prune(cp);
    ok = true;
out:
    gf_buf_free(&content);
    return ok;
}
