/* SPDX-License-Identifier: MIT */
/*
 * relay_read.c - reading the relay from a given place on, beside the thread that appends to it.
 */
#include <stdlib.h>

#include "gfreplica/log.h"
#include "relay.h"

static bool say_damaged(gf_relay_reader *reader, gf_error *err)
{
    gf_relay *r = reader->relay;

    pthread_mutex_lock(&r->lock);
    if (r->damaged == 0 || reader->file.number < r->damaged)
        r->damaged = reader->file.number;
    pthread_mutex_unlock(&r->lock);
    return gf_fail(err, GF_ERR_RETRY,
                   "%s/relay-%010u is damaged at %llu: what was received from there on has to be fetched again", r->dir,
                   reader->file.number, (unsigned long long)reader->file.offset);
}

static size_t index_locked(const gf_relay *r, unsigned number)
{
    size_t i = 0;

    while (i < r->count && r->parts[i].number != number)
        i++;
    return i;
}

/* What the file has now. False when it is no longer one of the relay's. */
static bool refresh_locked(gf_relay_reader *reader)
{
    const gf_relay *r = reader->relay;
    size_t i = index_locked(r, reader->file.number);

    if (i == r->count)
        return false;
    reader->limit = r->parts[i].bytes;
    reader->more = i + 1 < r->count;
    return true;
}

/* Everything in this file has been read, and another one follows. */
static bool next_file(gf_relay_reader *reader, gf_error *err)
{
    gf_relay *r = reader->relay;
    gf_relay_file file;
    gf_relay_head head;
    bool known;

    if (reader->file.offset != reader->limit)
        return say_damaged(reader, err);
    if (!gf_relay_file_open(&file, &head, r->folder, reader->file.number + 1, err))
        return err->kind == GF_ERR_SYSTEM ? false : say_damaged(reader, err);
    gf_relay_head_free(&head);
    gf_relay_file_close(&reader->file);
    pthread_mutex_lock(&r->lock);
    reader->file = file;
    known = refresh_locked(reader);
    pthread_mutex_unlock(&r->lock);
    return known || gf_fail(err, GF_ERR_RETRY, "the relay was begun anew");
}

/* *out: the reader has waited as long as it should, or was kicked. */
static bool wait_for_more(bool *out, gf_relay_reader *reader, uint64_t until_ms, gf_error *err)
{
    gf_relay *r = reader->relay;
    uint64_t had = reader->limit, now;
    bool known = true;

    *out = false;
    pthread_mutex_lock(&r->lock);
    while (!reader->broken && (known = refresh_locked(reader)) && reader->limit == had && !reader->more) {
        now = gf_now_ms();
        if (!reader->waiting)
            reader->idle_since_ms = now;
        reader->waiting = true;
        *out = reader->kicked || now >= until_ms;
        reader->kicked = false;
        if (*out)
            break;
        gf_cond_wait_ms(&r->changed, &r->lock, (unsigned)(until_ms - now));
    }
    reader->waiting = *out; /* else it is fed now */
    known = known && !reader->broken;
    pthread_mutex_unlock(&r->lock);
    return known ||
           gf_fail(err, GF_ERR_RETRY, "the link to the source was lost inside of a transaction: it has to come again");
}

bool gf_relay_read(gf_slice *event, gf_relay_reader *reader, unsigned wait_ms, gf_error *err)
{
    uint64_t until = gf_now_ms() + wait_ms;
    bool out = false;

    for (;;) {
        switch (gf_relay_file_next(event, &reader->file, reader->limit, err)) {
        case GF_RELAY_EVENT: return true;
        case GF_RELAY_FAILED: return false;
        case GF_RELAY_DAMAGED: return say_damaged(reader, err);
        case GF_RELAY_END: break;
        }
        *event = gf_slice_of(NULL, 0);
        if (!(reader->more ? next_file(reader, err) : wait_for_more(&out, reader, until, err)))
            return false;
        if (out)
            return true;
    }
}

void gf_relay_kick(gf_relay_reader *reader)
{
    gf_relay *r = reader->relay;

    pthread_mutex_lock(&r->lock);
    reader->kicked = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

bool gf_relay_idle(gf_relay_reader *reader)
{
    gf_relay *r = reader->relay;
    bool idle;

    pthread_mutex_lock(&r->lock);
    idle = reader->broken || (reader->waiting && r->count > 0 && reader->file.number == r->parts[r->count - 1].number &&
                              reader->limit == r->parts[r->count - 1].bytes);
    pthread_mutex_unlock(&r->lock);
    return idle;
}

void gf_relay_reader_close(gf_relay_reader *reader)
{
    gf_relay *r;

    if (reader == NULL)
        return;
    r = reader->relay;
    pthread_mutex_lock(&r->lock);
    r->reader = NULL;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    gf_relay_file_close(&reader->file);
    free(reader);
}

/* ---- finding a place ---- */

/* The same place of one server, and the same transactions before it as far as both sides know them: the same file and
   offset mean something else after RESET MASTER. */
static bool same_place(const gf_position *a, const gf_position *b)
{
    if (a->offset != b->offset || strcmp(a->file, b->file) != 0)
        return false;
    if (a->gtids != NULL && b->gtids != NULL)
        return gf_gtid_set_contains(a->gtids, b->gtids) && gf_gtid_set_contains(b->gtids, a->gtids);
    for (size_t i = 0; a->maria.count == b->maria.count && i < a->maria.count; i++) {
        const gf_maria_gtid *x = &a->maria.items[i], *y = &b->maria.items[i];

        if (x->domain != y->domain || x->server != y->server || x->seq != y->seq)
            return false;
    }
    return true;
}

/* The file that `at` is in: the last that does not start behind it. */
static bool choose(gf_relay_reader *reader, gf_relay_head *head, const gf_position *at, gf_error *err)
{
    gf_relay *r = reader->relay;
    gf_relay_file file;
    unsigned number = 0;

    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->count && gf_position_cmp(&r->parts[i].start, at) <= 0; i++)
        number = r->parts[i].number;
    pthread_mutex_unlock(&r->lock);
    if (number == 0)
        return gf_fail(err, GF_ERR_GONE, "the relay starts later");
    if (!gf_relay_file_open(&file, head, r->folder, number, err))
        return false;
    pthread_mutex_lock(&r->lock);
    reader->file = file;
    refresh_locked(reader);
    pthread_mutex_unlock(&r->lock);
    return true;
}

/* Reads on until `at` is reached. False, err->kind GONE, when it is passed or the end comes before. */
static bool seek(gf_relay_reader *reader, const gf_relay_head *head, const gf_position *at, gf_error *err)
{
    gf_decoder *d = gf_relay_tracker(head->flavor, &head->start);
    gf_relay_step step = GF_RELAY_EVENT;
    gf_slice event;
    bool found, ok = true;

    for (;;) {
        const gf_position *pos = gf_decoder_position(d);

        found = same_place(pos, at);
        if (found || (pos->file[0] != '\0' && gf_position_cmp(pos, at) > 0))
            break;
        step = gf_relay_file_next(&event, &reader->file, reader->limit, err);
        if (step != GF_RELAY_EVENT || !(ok = gf_decoder_feed(d, event, err)))
            break;
    }
    gf_decoder_free(d);
    if (step == GF_RELAY_DAMAGED || !ok)
        return say_damaged(reader, err);
    if (step == GF_RELAY_FAILED)
        return false;
    return found || gf_fail(err, GF_ERR_GONE, "the relay does not have that place");
}

bool gf_relay_find(gf_relay_reader **out, gf_relay *r, const gf_position *at, gf_error *err)
{
    gf_relay_reader *reader = gf_calloc(1, sizeof *reader);
    gf_relay_head head = {0};
    bool found;

    *out = NULL;
    reader->relay = r;
    reader->file.fd = -1;
    pthread_mutex_lock(&r->lock); /* from here on it may be broken, and its file is not removed */
    r->reader = reader;
    pthread_mutex_unlock(&r->lock);
    found = choose(reader, &head, at, err) && seek(reader, &head, at, err);
    gf_relay_head_free(&head);
    if (found) {
        *out = reader;
        return true;
    }
    gf_relay_reader_close(reader);
    if (err->kind != GF_ERR_SYSTEM)
        gf_log_debug("not read on from the relay: %s", err->text);
    return err->kind != GF_ERR_SYSTEM;
}
