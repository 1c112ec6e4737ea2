/* SPDX-License-Identifier: MIT */
/*
 * marker_look.c - how far a job has come, asked from outside, without the locks by which its own instance reads the
 * marker.
 */
#include <stdlib.h>

#include "gfreplica/target.h"

static MYSQL_RES *query(MYSQL *target, const gf_config *config, gf_error *err)
{
    gf_buf db = {0}, job = {0};
    MYSQL_RES *res;

    gf_buf_ident(&db, config->marker_db);
    gf_buf_hex(&job, config->job, strlen(config->job));
    res = gf_server_query(target, "read the marker's position", err,
                          "SELECT file, file_offset, gtids FROM %s.slot WHERE job=_utf8mb4 X'%s' ORDER BY seq DESC "
                          "LIMIT 1",
                          gf_buf_cstr(&db), gf_buf_cstr(&job));
    gf_buf_free(&db);
    gf_buf_free(&job);
    return res;
}

bool gf_marker_look_passed(uint64_t *out, MYSQL *target, const gf_config *config, const gf_table *t, gf_error *err)
{
    gf_buf sql = {0}, db = {0};
    char *count = NULL;
    bool ok;

    gf_buf_ident(&db, config->marker_db);
    if (t == NULL)
        gf_buf_printf(&sql, "SELECT passed FROM %s.ddl", gf_buf_cstr(&db));
    else
        gf_buf_printf(&sql, "SELECT versions FROM %s.ddl_table", gf_buf_cstr(&db));
    gf_buf_str(&sql, " WHERE job=_utf8mb4 X'");
    gf_buf_hex(&sql, config->job, strlen(config->job));
    if (t != NULL) {
        gf_buf_str(&sql, "' AND db=_utf8mb4 X'");
        gf_buf_hex(&sql, t->db, strlen(t->db));
        gf_buf_str(&sql, "' AND name=_utf8mb4 X'");
        gf_buf_hex(&sql, t->name, strlen(t->name));
    }
    gf_buf_byte(&sql, '\'');
    ok = gf_server_scalar(&count, target, "read the marker's schema changes", err, "%s", gf_buf_cstr(&sql));
    *out = ok && count != NULL ? strtoull(count, NULL, 10) : 0;
    free(count);
    gf_buf_free(&sql);
    gf_buf_free(&db);
    return ok;
}

bool gf_marker_look(gf_position *out, MYSQL *target, const gf_config *config, gf_flavor flavor, gf_error *err)
{
    MYSQL_RES *res = query(target, config, err);
    MYSQL_ROW row;
    bool ok;

    if (res == NULL)
        return false;
    row = mysql_fetch_row(res);
    if (row == NULL)
        ok = gf_fail(err, GF_ERR_CONFIG, "the target's marker %s knows no job '%s'", config->marker_db, config->job);
    else
        ok = gf_position_parse(out, flavor, row[0], strtoull(row[1], NULL, 10), row[2], err);
    mysql_free_result(res);
    return ok;
}
