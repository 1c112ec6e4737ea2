/* SPDX-License-Identifier: MIT */
/*
 * query.c - statements and their results, with the statement's purpose in front of every error.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "gfreplica/server.h"

/* Reads away whatever a statement returned: a connection with an unread result refuses the next command. */
static bool discard_results(MYSQL *db, const char *what, gf_error *err)
{
    int next;

    do {
        MYSQL_RES *result = mysql_store_result(db);

        if (result == NULL && mysql_errno(db) != 0)
            return gf_fail_mysql(err, db, "%s", what);
        mysql_free_result(result);
        next = mysql_next_result(db);
    } while (next == 0);
    return next < 0 || gf_fail_mysql(err, db, "%s", what);
}

static bool send_query(MYSQL *db, const char *what, gf_slice sql, gf_error *err)
{
    if (mysql_real_query(db, (const char *)sql.data, (unsigned long)sql.len) != 0)
        return gf_fail_mysql(err, db, "%s", what);
    return true;
}

bool gf_server_run(MYSQL *db, const char *what, gf_slice sql, gf_error *err)
{
    return send_query(db, what, sql, err) && discard_results(db, what, err);
}

static void format_sql(gf_buf *out, const char *fmt, va_list ap) GF_PRINTF(2, 0);

static void format_sql(gf_buf *out, const char *fmt, va_list ap)
{
    va_list again;
    int len;

    va_copy(again, ap);
    len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (len < 0) /* only a wrong format can do that */
        abort();
    gf_buf_reserve(out, (size_t)len + 1);
    vsnprintf((char *)out->data + out->len, (size_t)len + 1, fmt, ap);
    out->len += (size_t)len;
}

bool gf_server_exec(MYSQL *db, const char *what, gf_error *err, const char *fmt, ...)
{
    gf_buf sql = {0};
    va_list ap;
    bool ok;

    va_start(ap, fmt);
    format_sql(&sql, fmt, ap);
    va_end(ap);
    ok = gf_server_run(db, what, gf_slice_of(sql.data, sql.len), err);
    gf_buf_free(&sql);
    return ok;
}

static MYSQL_RES *query(MYSQL *db, const char *what, const gf_buf *sql, gf_error *err)
{
    MYSQL_RES *result;

    if (!send_query(db, what, gf_slice_of(sql->data, sql->len), err))
        return NULL;
    result = mysql_store_result(db);
    if (result == NULL && mysql_errno(db) != 0)
        gf_fail_mysql(err, db, "%s", what);
    else if (result == NULL)
        gf_fail(err, GF_ERR_DATA, "%s: the server answered without a result", what);
    return result;
}

MYSQL_RES *gf_server_query(MYSQL *db, const char *what, gf_error *err, const char *fmt, ...)
{
    gf_buf sql = {0};
    MYSQL_RES *result;
    va_list ap;

    va_start(ap, fmt);
    format_sql(&sql, fmt, ap);
    va_end(ap);
    result = query(db, what, &sql, err);
    gf_buf_free(&sql);
    return result;
}

static char *first_value(MYSQL_RES *result)
{
    MYSQL_ROW row = mysql_fetch_row(result);
    unsigned long *lengths = row == NULL ? NULL : mysql_fetch_lengths(result);

    return row == NULL || row[0] == NULL ? NULL : gf_strndup(row[0], lengths[0]);
}

bool gf_server_scalar(char **out, MYSQL *db, const char *what, gf_error *err, const char *fmt, ...)
{
    gf_buf sql = {0};
    MYSQL_RES *result;
    va_list ap;

    *out = NULL;
    va_start(ap, fmt);
    format_sql(&sql, fmt, ap);
    va_end(ap);
    result = query(db, what, &sql, err);
    gf_buf_free(&sql);
    if (result == NULL)
        return false;
    *out = first_value(result);
    mysql_free_result(result);
    return true;
}

void gf_buf_quote(gf_buf *b, const void *data, size_t len)
{
    const uint8_t *p = data, *end = p + len;

    gf_buf_reserve(b, len + 2);
    gf_buf_byte(b, '\'');
    for (; p < end; p++) {
        static const char escaped[] = "\0\n\r\\'\"\x1a", letter[] = "0nr\\'\"Z";
        const char *at = memchr(escaped, *p, sizeof escaped - 1);

        if (at != NULL)
            gf_buf_byte(b, '\\');
        gf_buf_byte(b, at == NULL ? *p : (uint8_t)letter[at - escaped]);
    }
    gf_buf_byte(b, '\'');
}
