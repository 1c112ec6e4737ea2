/* SPDX-License-Identifier: MIT */
/*
 * chunk.c - SELECT ... WHERE behind the cursor AND not behind the range's end ORDER BY the identity LIMIT n.
 *
 * n follows what the last chunk took in bytes and in time, because rows of one table differ by six orders of
 * magnitude. A chunk that turns out far too large is cut: its rows are a prefix of an ordered result of one view, so it
 * is a chunk like any other, only not the last one of its range.
 */
#include "chunk.h"

#include <sys/socket.h>

#include "gfreplica/literal.h"

enum {
    FIRST_LIMIT = 500,
    MAX_LIMIT = 50000,
    CUT_AT = 4 /* times chunk_bytes */
};

static unsigned clamp_limit(uint64_t rows, const gf_config *config)
{
    unsigned most = atomic_load(&config->live.chunk_rows);

    if (most == 0 || most > MAX_LIMIT)
        most = MAX_LIMIT;
    if (rows > most)
        return most;
    return rows > 0 ? (unsigned)rows : 1;
}

/* The server's statistics tell whether rows are huge; for the rest we find out. */
static unsigned first_limit(const gf_table *t, const gf_config *config)
{
    uint64_t average = t->row_estimate > 0 ? t->data_bytes / t->row_estimate : 0;
    uint64_t fit = average > 0 ? config->chunk_bytes / average : FIRST_LIMIT;

    return clamp_limit(fit < FIRST_LIMIT ? fit : FIRST_LIMIT, config);
}

void gf_chunk_reader_init(gf_chunk_reader *r, const gf_table *t, const gf_config *config, gf_flavor flavor, bool lines)
{
    *r = (gf_chunk_reader){.limit = first_limit(t, config)};
    gf_rows_init(&r->rows, t, NULL, flavor, lines);
}

void gf_chunk_reader_free(gf_chunk_reader *r)
{
    gf_rows_free(&r->rows);
    *r = (gf_chunk_reader){0};
}

static bool build_select(gf_buf *sql, const gf_chunk_reader *r, const gf_range *range, gf_slice cursor,
                         const char *clause, gf_error *err)
{
    const gf_table *t = r->rows.table;
    gf_slice lower = cursor.len > 0 ? cursor : range->lower;

    gf_buf_str(sql, "SELECT ");
    gf_buf_slice(sql, gf_slice_of(r->rows.fields.data, r->rows.fields.len));
    gf_buf_printf(sql, " FROM %s", t->source_sql);
    if (!r->any_index) { /* a plan by another index would sort the whole rest of the table for each chunk */
        gf_buf_str(sql, " FORCE INDEX (");
        gf_buf_ident(sql, t->keys[t->identity].name);
        gf_buf_str(sql, ")");
    }
    if (lower.len > 0) { /* rule M7: open ends stay open */
        gf_buf_str(sql, " WHERE (");
        if (!gf_literal_after(sql, t, lower, err))
            return false;
        gf_buf_str(sql, ")");
    }
    if (range->upper.len > 0) {
        gf_buf_str(sql, lower.len > 0 ? " AND (" : " WHERE (");
        if (!gf_literal_upto(sql, t, range->upper, err))
            return false;
        gf_buf_str(sql, ")");
    }
    gf_buf_str(sql, " ORDER BY ");
    gf_literal_order(sql, t);
    gf_buf_printf(sql, " LIMIT %u%s", r->limit, clause);
    return true;
}

/* A chunk is about as large as the last one: growing to that size by doubling would copy all of it once more. */
static void make_room(gf_chunk *c, const gf_chunk_reader *r)
{
    gf_buf_reserve(&c->text, r->text_len + r->text_len / 8);
    gf_buf_reserve(&c->keys, r->keys_len + r->keys_len / 8);
}

static void remember_size(gf_chunk_reader *r, const gf_chunk *c)
{
    r->text_len = c->text.len;
    r->keys_len = c->keys.len;
}

/* Rows until the end, an error (*err is filled) or the cut. */
static bool fetch_rows(gf_chunk *c, bool *cut, gf_chunk_reader *r, MYSQL *db, MYSQL_RES *res, const gf_config *config,
                       gf_error *err)
{
    MYSQL_ROW row;

    while ((row = mysql_fetch_row(res)) != NULL) {
        gf_rows_add(c, &r->rows, row, mysql_fetch_lengths(res));
        if (c->text.len >= (size_t)CUT_AT * config->chunk_bytes && c->row_count < r->limit) {
            *cut = true;
            return true;
        }
    }
    return mysql_errno(db) == 0 || gf_fail_mysql(err, db, "read %s", r->rows.table->label);
}

/* The rest of a cut result comes over the wire whether we want it or not, unless the link is cut too. */
static bool rest_is_large(const gf_chunk *c, const gf_chunk_reader *r, const gf_config *config)
{
    uint64_t left = r->limit - c->row_count;

    return left * (c->text.len / c->row_count) > (uint64_t)CUT_AT * config->chunk_bytes;
}

static void set_frontier(gf_chunk *c, gf_slice cursor)
{
    const gf_chunk_row *row;

    if (c->row_count == 0) { /* nothing was left: the frontier stays where it is */
        gf_buf_slice(&c->frontier, cursor);
        return;
    }
    row = &c->rows[c->row_count - 1];
    gf_buf_add(&c->frontier, c->keys.data + row->key, row->key_len);
}

/* At most doubled, at most an eighth: one chunk's luck must not decide the next one's size. */
static void adapt(gf_chunk_reader *r, const gf_chunk *c, const gf_config *config)
{
    double rows = (double)c->row_count, bytes = (double)c->text.len, us = (double)c->read_us + 1;
    double fit, by_time;

    if (c->row_count == 0)
        return;
    fit = rows * config->chunk_bytes / (bytes + 1);
    by_time = rows * config->chunk_ms * 1000.0 / us;
    if (by_time < fit)
        fit = by_time;
    if (fit > 2.0 * r->limit)
        fit = 2.0 * r->limit;
    if (fit < r->limit / 8.0)
        fit = r->limit / 8.0;
    r->limit = clamp_limit((uint64_t)fit, config);
}

bool gf_chunk_read(gf_chunk *c, bool *broken, gf_chunk_reader *r, gf_view *view, gf_slice cursor,
                   const gf_config *config, gf_error *err)
{
    const gf_table *t = r->rows.table;
    uint64_t start = gf_now_us();
    gf_buf sql = {0};
    MYSQL_RES *res = NULL;
    bool ok = false, cut = false;

    *broken = false;
    r->limit = clamp_limit(r->limit, config);
    if (!build_select(&sql, r, c->range, cursor, gf_view_clause(view), err))
        goto out;
    if (mysql_real_query(view->db, (const char *)sql.data, sql.len) != 0 ||
        (res = mysql_use_result(view->db)) == NULL) {
        gf_fail_mysql(err, view->db, "read %s", t->label);
        goto out;
    }
    make_room(c, r);
    if (!gf_rows_fit(&r->rows, res, err) || !fetch_rows(c, &cut, r, view->db, res, config, err))
        goto out;
    *broken = cut && rest_is_large(c, r, config);
    c->last = !cut && c->row_count < r->limit;
    c->read_us = gf_now_us() - start;
    set_frontier(c, cursor);
    adapt(r, c, config);
    remember_size(r, c);
    gf_chunk_trim(c);
    ok = true;
out:
    if (*broken) /* so that freeing the result does not read the rest */
        shutdown((int)mysql_get_socket(view->db), SHUT_RDWR);
    if (res != NULL)
        mysql_free_result(res);
    gf_buf_free(&sql);
    return ok;
}
