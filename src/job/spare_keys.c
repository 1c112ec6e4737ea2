/* SPDX-License-Identifier: MIT */
/*
 * spare_keys.c - a foreign key needs an index. Where there is none the server makes one, and takes it away as soon as another
 * one begins with its columns. SHOW CREATE TABLE prints it like any other, so the target has made it as one that somebody
 * asked for, and keeps it: until a statement uses its name, or to the end.
 *
 * What may go is a plain key of just a foreign key's columns. That another one serves the foreign key is for the server to
 * say: it refuses to drop the last.
 */
#include "spare_keys.h"

#include <stdlib.h>

#include "gfreplica/log.h"
#include "gfreplica/server.h"

enum { ER_DROP_INDEX_FK = 1553 };

static void add_text(gf_buf *sql, const char *column, const char *value)
{
    gf_buf_str(sql, column);
    gf_buf_byte(sql, '=');
    gf_buf_quote(sql, value, strlen(value));
}

/* Is it a plain key of the very columns of a foreign key of the table? */
static bool is_of_foreign_key(bool *yes, MYSQL *target, const char *db, const char *name, const char *key,
                              gf_error *err)
{
    gf_buf sql = {0};
    char *found = NULL;
    bool ok;

    gf_buf_str(&sql, "SELECT COUNT(*) FROM (SELECT GROUP_CONCAT(column_name ORDER BY ordinal_position) columns FROM "
                     "information_schema.key_column_usage WHERE referenced_table_name IS NOT NULL AND ");
    add_text(&sql, "table_schema", db);
    add_text(&sql, " AND table_name", name);
    gf_buf_str(&sql,
               " GROUP BY constraint_name) f JOIN (SELECT GROUP_CONCAT(column_name ORDER BY seq_in_index) columns, "
               "MAX(sub_part) prefix, MIN(non_unique) plain FROM information_schema.statistics WHERE ");
    add_text(&sql, "table_schema", db);
    add_text(&sql, " AND table_name", name);
    add_text(&sql, " AND index_name", key);
    gf_buf_str(&sql, ") k ON f.columns=k.columns AND k.prefix IS NULL AND k.plain=1");
    ok = gf_server_scalar(&found, target, "look at a foreign key", err, "%s", gf_buf_cstr(&sql));
    *yes = ok && found != NULL && strcmp(found, "0") != 0;
    free(found);
    gf_buf_free(&sql);
    return ok;
}

bool gf_spare_key_drop(bool *dropped, MYSQL *target, const char *db, const char *name, const char *key, gf_error *err)
{
    gf_buf sql = {0};
    bool ok;

    if (!is_of_foreign_key(dropped, target, db, name, key, err))
        return false;
    if (!*dropped)
        return true;
    gf_buf_str(&sql, "ALTER TABLE ");
    gf_buf_ident(&sql, db);
    gf_buf_byte(&sql, '.');
    gf_buf_ident(&sql, name);
    gf_buf_str(&sql, " DROP KEY ");
    gf_buf_ident(&sql, key);
    ok = gf_server_run(target, "drop a key that the source has no more", gf_slice_of(sql.data, sql.len), err);
    gf_buf_free(&sql);
    if (!ok && err->native == ER_DROP_INDEX_FK) {
        *dropped = false;
        return true;
    }
    if (ok)
        gf_log_info(
            "%s.%s: key `%s` is dropped on the target: the source's server has dropped it by itself, as it does "
            "with those that it made for a foreign key",
            db, name, key);
    return ok;
}
