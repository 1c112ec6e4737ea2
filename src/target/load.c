/* SPDX-License-Identifier: MIT */
/*
 * load.c - the server asks for a file and gets a chunk's lines.
 *
 * REPLACE, and not only because rows may be there: with LOCAL alone a server turns errors into warnings and skips rows
 * (it implies IGNORE). With REPLACE both families stop at the first bad value, as a strict INSERT does. What they say
 * of the rows afterwards is compared all the same.
 */
#include "load.h"

#include <stdio.h>

#include "gfreplica/line.h"

/* ---- what libmariadb calls ---- */

static int feed_open(void **out, const char *name, void *ctx)
{
    gf_load_feed *feed = ctx;

    (void)name; /* the server may ask for any name: it gets rows or nothing */
    *out = feed;
    return feed->chunk == NULL;
}

/* Neighbouring rows lie next to each other, so a chunk of which nothing was dropped is one run. */
static bool next_run(gf_load_feed *feed)
{
    const gf_chunk *c = feed->chunk;

    while (feed->row < feed->stop && (c->rows[feed->row].dropped || c->rows[feed->row].sql))
        feed->row++;
    if (feed->row == feed->stop)
        return false;
    feed->at = feed->end = c->rows[feed->row].tuple;
    for (; feed->row < feed->stop; feed->row++) {
        const gf_chunk_row *r = &c->rows[feed->row];

        if (r->dropped || r->sql)
            break;
        feed->end += r->tuple_len;
    }
    return true;
}

static int feed_read(void *ctx, char *to, unsigned int size)
{
    gf_load_feed *feed = ctx;
    unsigned int done = 0;

    while (done < size && (feed->at < feed->end || next_run(feed))) {
        size_t n = feed->end - feed->at;

        if (n > size - done)
            n = size - done;
        memcpy(to + done, feed->chunk->text.data + feed->at, n);
        feed->at += n;
        done += (unsigned int)n;
    }
    return (int)done;
}

static void feed_close(void *ctx)
{
    (void)ctx;
}

static int feed_error(void *ctx, char *text, unsigned int size)
{
    (void)ctx;
    snprintf(text, size, "the server asked for a file that it was not offered");
    return 2000; /* CR_UNKNOWN_ERROR */
}

void gf_load_serve(MYSQL *db, gf_load_feed *feed)
{
    mysql_set_local_infile_handler(db, feed_open, feed_read, feed_close, feed_error, feed);
}

/* ---- the statement ---- */

/* A server would load a row that it could neither send nor replicate. */
static bool count_lines(uint64_t *rows, const gf_chunk *c, size_t from, size_t to, size_t packet, gf_error *err)
{
    *rows = 0;
    for (size_t i = from; i < to; i++) {
        const gf_chunk_row *r = &c->rows[i];

        if (r->dropped || r->sql)
            continue;
        if (r->tuple_len > packet)
            return gf_fail(err, GF_ERR_CONFIG,
                           "a row takes %u bytes, the target allows %zu: raise max_allowed_packet there", r->tuple_len,
                           packet);
        ++*rows;
    }
    return true;
}

static bool is_switched_off(unsigned code)
{
    /* ER_NOT_ALLOWED_COMMAND, MySQL's ER_CLIENT_LOCAL_FILES_DISABLED, MariaDB's ER_LOAD_INFILE_CAPABILITY_DISABLED */
    return code == 1148 || code == 3948 || code == 4166;
}

static bool run(MYSQL *db, const gf_chunk *c, const char *prefix, gf_error *err)
{
    const gf_table *t = c->range->table;
    gf_buf sql = {0};
    bool ok;

    gf_buf_printf(&sql, "%sLOAD DATA LOCAL INFILE 'chunk' REPLACE INTO TABLE %s", prefix, t->target_sql);
    gf_line_columns(&sql, t);
    ok = mysql_real_query(db, (const char *)sql.data, (unsigned long)sql.len) == 0 || gf_fail_mysql(err, db, "load");
    gf_buf_free(&sql);
    if (!ok && is_switched_off(err->native)) { /* the next attempt asks what the target allows now */
        err->kind = GF_ERR_RETRY;
        gf_fail_context(err, "LOAD DATA LOCAL is not allowed any more: --copy-method insert does without");
    }
    return ok;
}

/* "Records: 3  Deleted: 0  Skipped: 0  Warnings: 0" in the server's language. */
static unsigned read_numbers(uint64_t *numbers, unsigned max, const char *text)
{
    unsigned count = 0;

    while (text != NULL && count < max) {
        int used = 0;
        unsigned long long n;

        text += strcspn(text, "0123456789");
        if (sscanf(text, "%llu%n", &n, &used) != 1)
            break;
        numbers[count++] = n;
        text += used;
    }
    return count;
}

static bool check_counts(uint64_t *replaced, MYSQL *db, uint64_t rows, gf_error *err)
{
    enum { RECORDS, DELETED, SKIPPED, WARNINGS, COUNT };
    uint64_t n[COUNT] = {0};
    const char *info = mysql_info(db);

    if (read_numbers(n, COUNT, info) == COUNT && n[RECORDS] == rows && n[SKIPPED] == 0) {
        *replaced = n[DELETED];
        return true;
    }
    return gf_fail(err, GF_ERR_DATA, "%llu rows were sent, the target says: %s", (unsigned long long)rows,
                   info != NULL ? info : "nothing");
}

bool gf_load_rows(uint64_t *rows, uint64_t *replaced, MYSQL *db, gf_load_feed *feed, const gf_chunk *c, size_t from,
                  size_t to, const gf_sql_options *o, gf_error *err)
{
    bool ok;

    *replaced = 0;
    if (!count_lines(rows, c, from, to, o->packet, err))
        return false;
    if (*rows == 0)
        return true;
    *feed = (gf_load_feed){.chunk = c, .row = from, .stop = to};
    ok = run(db, c, o->prefix, err) && check_counts(replaced, db, *rows, err);
    *feed = (gf_load_feed){0};
    return ok;
}
