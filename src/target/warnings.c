/* SPDX-License-Identifier: MIT */
/*
 * warnings.c - what the target warned of: nothing, something harmless, or what may be a difference.
 */
#include "warnings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Warnings that say nothing about the data. */
static const struct {
    unsigned code;
    const char *why;
} harmless[] = {
    {1287, "deprecated syntax: the introducer of a value's character set (_utf8mb3, _ucs2)"},
    {1592, "unsafe for statement format: speaks of the target's own binlog, which records rows or the statement"},
    {1681, "deprecated syntax without replacement"},
    {3170, "range_optimizer_max_mem_size: the statement was planned otherwise"},
    {3719, "deprecated name of a character set: utf8"},
    {3778, "deprecated name of a collation: utf8_..."},
    {6414, "deprecated: engines with and without transactions in one transaction, as on the source"},
};

enum { WARN_TRUNCATED = 1265 /* what a relaxed row's ENUM or SET gives */ };

/* "write db.t (id=5)": with the key where the statement holds one row. Owned by the caller. */
static char *describe(const gf_stmt *stmt)
{
    gf_buf text = {0};

    if (stmt->table == NULL) {
        gf_buf_str(&text, "update the marker");
    } else {
        gf_buf_str(&text, stmt->deletes ? "delete from " : "write ");
        gf_row_label(&text, stmt->table, stmt->rows == 1 ? stmt->key : (gf_slice){0});
    }
    gf_buf_cstr(&text);
    return (char *)text.data;
}

bool gf_stmt_context(const gf_stmt *stmt, gf_error *err)
{
    char *what = describe(stmt);

    gf_fail_context(err, "%s", what);
    free(what);
    return false;
}

static bool is_harmless(unsigned code)
{
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
        if (harmless[i].code == code)
            return true;
    return false;
}

/* The server names the column in quotes, whatever its language. */
static bool is_expected(const gf_stmt *stmt, unsigned code, const char *text)
{
    bool found = false;

    if (!stmt->relaxed || code != WARN_TRUNCATED)
        return false;
    for (unsigned i = 0; i < stmt->table->column_count && !found; i++) {
        const gf_column *col = &stmt->table->columns[i];
        char *quoted;

        if (col->type != GF_T_ENUM && col->type != GF_T_SET)
            continue;
        quoted = gf_asprintf("'%s'", col->name);
        found = strstr(text, quoted) != NULL;
        free(quoted);
    }
    return found;
}

bool gf_warnings_check(MYSQL *db, const gf_stmt *stmt, gf_error *err)
{
    unsigned count = mysql_warning_count(db);
    char reason[640];
    MYSQL_RES *res;
    MYSQL_ROW row;
    bool ok = true;

    if (count == 0)
        return true;
    res = gf_server_query(db, "read warnings", err, "SHOW WARNINGS");
    if (res == NULL)
        return false;
    while (ok && (row = mysql_fetch_row(res)) != NULL) {
        unsigned code = (unsigned)strtoul(row[1] != NULL ? row[1] : "0", NULL, 10);
        const char *text = row[2] != NULL ? row[2] : "";

        if (is_harmless(code) || is_expected(stmt, code, text))
            continue;
        gf_print_reason(reason, sizeof reason, code, text);
        ok = gf_fail(err, GF_ERR_DATA, "the target warns: %s", reason);
    }
    if (ok && mysql_num_rows(res) < count) /* what is not listed cannot be judged */
        ok = gf_fail(err, GF_ERR_DATA, "the target has %u warnings and lists only %" PRIu64, count,
                     (uint64_t)mysql_num_rows(res));
    mysql_free_result(res);
    return ok || gf_stmt_context(stmt, err);
}
