/* SPDX-License-Identifier: MIT */
/*
 * sender.c - statements in packets; warnings and affected rows of each.
 *
 * Several statements of one COM_QUERY: CLIENT_MULTI_STATEMENTS, switched on by COM_SET_OPTION; answers have
 * SERVER_MORE_RESULTS_EXISTS until the last (protocol documentation of both families).
 */
#include "sender.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "warnings.h"

/* What the server said of one statement of a packet. */
typedef struct {
    uint64_t affected;
    unsigned warnings;
} answer;

/* ---- session ---- */

bool gf_sender_text(gf_sender *s, const char *sql, gf_error *err)
{
    if (mysql_real_query(s->db, sql, strlen(sql)) != 0)
        return gf_fail_mysql(err, s->db, "%s", sql);
    return true;
}

/* "SET SESSION sql_mode='A,B'" of the mode as it is, with or without its strict parts. */
static char *mode_statement(const char *mode, bool strict)
{
    gf_buf sql = {0};
    const char *comma = "";

    gf_buf_str(&sql, "SET SESSION sql_mode='");
    for (const char *p = mode; *p != '\0';) {
        size_t len = strcspn(p, ",");

        if (strict || strncmp(p, "STRICT_", 7) != 0) {
            gf_buf_printf(&sql, "%s%.*s", comma, (int)len, p);
            comma = ",";
        }
        p += len + (p[len] == ',');
    }
    gf_buf_str(&sql, "'");
    gf_buf_cstr(&sql);
    return (char *)sql.data;
}

static bool read_mode(gf_sender *s, gf_error *err)
{
    char *mode = NULL;

    if (!gf_server_scalar(&mode, s->db, "read the writer's sql_mode", err, "SELECT @@SESSION.sql_mode"))
        return false;
    s->strict = mode_statement(mode != NULL ? mode : "", true);
    s->relaxed = mode_statement(mode != NULL ? mode : "", false);
    free(mode);
    return true;
}

/* All warnings have to be seen, not the first 64. MySQL wants SESSION_VARIABLES_ADMIN for that; without it a statement
   with more warnings than are listed is refused (gf_warnings_check). */
static bool list_all_warnings(gf_sender *s, gf_error *err)
{
    enum { ACCESS_DENIED = 1227 };

    return gf_server_exec(s->db, "set up a writer", err, "SET SESSION max_error_count=65535") ||
           err->native == ACCESS_DENIED;
}

bool gf_sender_open(gf_sender *s, MYSQL *db, const gf_config *config, const gf_server_info *target, gf_error *err)
{
    s->db = db;
    s->config = config;
    s->packet_max = GF_PACKET_BYTES;
    if (target->max_allowed_packet != 0 && target->max_allowed_packet < 2 * s->packet_max)
        s->packet_max = target->max_allowed_packet / 2; /* room for what the protocol puts around it */
    /* A proxy in front of the server may not know of it: then each goes alone. */
    s->apart = mysql_set_server_option(db, MYSQL_OPTION_MULTI_STATEMENTS_ON) != 0;
    return read_mode(s, err) && list_all_warnings(s, err);
}

void gf_sender_close(gf_sender *s)
{
    free(s->strict);
    free(s->relaxed);
    gf_buf_free(&s->packet);
}

bool gf_sender_roll_back(gf_sender *s, gf_error *err)
{
    /* A relaxed row may have been the one that failed. */
    return gf_sender_text(s, "ROLLBACK", err) && gf_sender_text(s, s->strict, err);
}

/* ---- affected rows ---- */

static bool diverged(gf_sender *s, const gf_stmt *stmt, gf_error *err)
{
    gf_buf label = {0};

    gf_row_label(&label, stmt->table, s->mode.single ? s->suspect : (gf_slice){0});
    if (stmt->compares)
        gf_fail(
            err, GF_ERR_DIVERGED,
            "write %s: the target computes another value than the source holds in a stored generated column: the row was "
            "written there under another time zone, lc_time_names or the like. Make the column VIRTUAL, or leave the "
            "table out",
            gf_buf_cstr(&label));
    else
        gf_fail(err, GF_ERR_DIVERGED,
                "%s %s: %" PRIu64 " rows affected where the source's changes mean %" PRIu64
                "%s: the target differs there%s",
                stmt->deletes ? "delete from" : "write", gf_buf_cstr(&label), s->affected,
                s->affected < s->least ? s->least : s->most, s->least == s->most ? "" : " at the outside",
                s->affected > s->most && !stmt->deletes
                    ? ", or holds rows equal in a unique key that the source tells apart"
                    : "");
    gf_buf_free(&label);
    return false;
}

/* Where is the row that the sum misses? The first one that was short, else the first one over. */
static void suspect(gf_sender *s, const gf_stmt *stmt, uint64_t affected)
{
    bool is_short = affected < stmt->least;

    if (!s->mode.single || (affected >= stmt->least && affected <= stmt->most))
        return;
    if (s->suspect.len == 0 || (is_short && !s->suspect_short)) {
        s->suspect = stmt->key;
        s->suspect_short = is_short;
    }
}

static bool check_affected(gf_sender *s, const gf_stmt *stmt, uint64_t affected, gf_error *err)
{
    bool ok;

    if (!s->mode.exact && !stmt->alone && !stmt->sure)
        return true;
    s->affected += affected;
    s->least += stmt->least;
    s->most += stmt->most;
    suspect(s, stmt, affected);
    if (!stmt->alone && !stmt->last)
        return true;
    ok = s->affected >= s->least && s->affected <= s->most;
    if (!ok && (stmt->alone || gf_is_countable(stmt->table)))
        return diverged(s, stmt, err);
    s->affected = s->least = s->most = 0;
    s->suspect = (gf_slice){0};
    return true;
}

/* ---- packets ---- */

void gf_sender_begin(gf_sender *s, gf_send_mode mode)
{
    s->mode = mode;
    s->warned = false;
    s->count = 0;
    gf_buf_reset(&s->packet);
    s->affected = s->least = s->most = 0;
    s->suspect = (gf_slice){0};
    s->suspect_short = false;
}

static bool is_ours(const gf_sender *s, uint64_t affected, gf_error *err)
{
    return affected == 1 ||
           gf_fail(err, GF_ERR_CONFIG,
                   "update the marker: its row is not ours any more: another instance has taken over job '%s', or the "
                   "marker was removed from database %s; this instance stops, nothing of this transaction was written",
                   s->config->job, s->config->marker_db);
}

static bool judge(gf_sender *s, const gf_stmt *stmt, uint64_t affected, gf_error *err)
{
    return stmt->table == NULL ? is_ours(s, affected, err) : check_affected(s, stmt, affected, err);
}

/* All answers are read before any is judged: until then the connection takes no other statement. */
static bool exchange(gf_sender *s, gf_slice sql, answer *answers, gf_error *err)
{
    for (unsigned i = 0; i < s->count; i++) {
        int rc =
            i == 0 ? mysql_real_query(s->db, (const char *)sql.data, (unsigned long)sql.len) : mysql_next_result(s->db);

        if (rc > 0)
            gf_fail_mysql(err, s->db, "answer");
        else if (rc < 0)
            gf_fail(err, GF_ERR_RETRY, "the target has not answered it");
        if (rc != 0)
            return gf_stmt_context(&s->statements[i], err);
        answers[i].affected = mysql_affected_rows(s->db);
        answers[i].warnings = mysql_warning_count(s->db);
    }
    return !mysql_more_results(s->db) || gf_fail(err, GF_ERR_RETRY, "the target has answered more than was asked");
}

static bool look_at_warnings(gf_sender *s, const answer *answers, gf_error *err)
{
    bool any = false;

    if (s->count == 1)
        return gf_warnings_check(s->db, &s->statements[0], err);
    for (unsigned i = 0; i < s->count; i++)
        any = any || answers[i].warnings > 0;
    if (!any)
        return true;
    s->apart = s->warned = true;
    return gf_fail(err, GF_ERR_DATA, "one of %u statements has a warning that the target does not list", s->count);
}

static bool send_all(gf_sender *s, gf_slice sql, gf_error *err)
{
    answer answers[GF_PACKET_STATEMENTS];
    bool ok = exchange(s, sql, answers, err) && look_at_warnings(s, answers, err);

    for (unsigned i = 0; i < s->count && ok; i++)
        ok = judge(s, &s->statements[i], answers[i].affected, err);
    s->count = 0;
    return ok;
}

bool gf_sender_flush(gf_sender *s, gf_error *err)
{
    bool ok = s->count == 0 || send_all(s, gf_slice_of(s->packet.data, s->packet.len), err);

    gf_buf_reset(&s->packet);
    return ok;
}

static bool send_alone(gf_sender *s, const gf_stmt *stmt, gf_error *err)
{
    if (!gf_sender_flush(s, err) || (stmt->relaxed && !gf_sender_text(s, s->relaxed, err)))
        return false;
    s->statements[s->count++] = *stmt;
    return send_all(s, stmt->sql, err) && (!stmt->relaxed || gf_sender_text(s, s->strict, err));
}

static bool goes_alone(const gf_sender *s, const gf_stmt *stmt)
{
    return s->apart || s->mode.single || s->mode.alone || stmt->relaxed || stmt->sql.len > s->packet_max;
}

static bool put(gf_sender *s, const gf_stmt *stmt, gf_error *err)
{
    bool full = s->count == GF_PACKET_STATEMENTS || s->packet.len + 1 + stmt->sql.len > s->packet_max;

    if (full && !gf_sender_flush(s, err))
        return false;
    if (s->count > 0)
        gf_buf_str(&s->packet, ";");
    gf_buf_slice(&s->packet, stmt->sql);
    s->statements[s->count++] = *stmt;
    return true;
}

bool gf_sender_statement(void *ctx, const gf_stmt *stmt, gf_error *err)
{
    gf_sender *s = ctx;

    /* A packet that warns is rolled back, which these tables are not; a harmless warning is no reason to write twice. */
    if (stmt->table != NULL && !stmt->table->transactional)
        s->apart = true;
    return goes_alone(s, stmt) ? send_alone(s, stmt, err) : put(s, stmt, err);
}

bool gf_sender_marker(gf_sender *s, gf_slice sql, gf_error *err)
{
    return gf_sender_statement(s, &(gf_stmt){.sql = sql}, err);
}
