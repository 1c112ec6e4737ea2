/* SPDX-License-Identifier: MIT */
/*
 * source.c - questions to a source before replication starts: is our place still there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gfreplica/log.h"
#include "gfreplica/replica.h"

enum {
    ER_PRIVILEGE = 1227,
    ER_NO_BINARY_LOGGING = 1381,
    ER_BINLOG_EVENTS = 1220, /* no event starts there */
    RECORDED_MS = 5000,      /* how long a sent transaction may take to be recorded on the source */
    POLL_US = 250000
};

/* ---- is our place still there? ---- */

/* "binlog_expire_logs_seconds=2592000", for people. Nothing when the server doesn't tell. */
static void retention_text(gf_buf *out, MYSQL *source)
{
    MYSQL_RES *result = gf_server_query(source, "read the retention of binlogs", NULL,
                                        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('binlog_expire_logs_seconds', "
                                        "'expire_logs_days', 'binlog_expire_logs_auto_purge')");
    MYSQL_ROW row;

    if (result == NULL)
        return;
    while ((row = mysql_fetch_row(result)) != NULL)
        gf_buf_printf(out, "%s%s=%s", out->len == 0 ? "" : ", ", row[0], row[1] == NULL ? "" : row[1]);
    mysql_free_result(result);
}

/* MariaDB has both since 10.6 and keeps them equal; days may have a fraction. */
bool gf_replica_retention(uint64_t *seconds, MYSQL *source, gf_error *err)
{
    MYSQL_RES *result = gf_server_query(source, "read the retention of binlogs", err,
                                        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('binlog_expire_logs_seconds', "
                                        "'expire_logs_days', 'binlog_expire_logs_auto_purge')");
    bool purges = true;
    double most = 0;
    MYSQL_ROW row;

    if (result == NULL)
        return false;
    while ((row = mysql_fetch_row(result)) != NULL) {
        double value = row[1] == NULL ? 0 : strtod(row[1], NULL);

        if (strcasecmp(row[0], "binlog_expire_logs_auto_purge") == 0)
            purges = strcasecmp(row[1] == NULL ? "" : row[1], "OFF") != 0;
        else if (strcasecmp(row[0], "expire_logs_days") == 0)
            most = value * 86400 > most ? value * 86400 : most;
        else
            most = value > most ? value : most;
    }
    mysql_free_result(result);
    *seconds = purges ? (uint64_t)most : 0;
    return true;
}

typedef struct {
    char oldest[GF_BINLOG_NAME_MAX], newest[GF_BINLOG_NAME_MAX];
    bool found;    /* the file that was asked for */
    uint64_t size; /* its size */
} binlogs;

static bool read_binlogs(binlogs *out, MYSQL *source, const char *file, gf_error *err)
{
    MYSQL_RES *result = gf_server_query(source, "list the source's binlogs", err, "SHOW BINARY LOGS");
    MYSQL_ROW row;

    memset(out, 0, sizeof *out);
    if (result == NULL)
        return false;
    while ((row = mysql_fetch_row(result)) != NULL) {
        if (row[0] == NULL || row[1] == NULL)
            continue;
        if (out->oldest[0] == '\0')
            snprintf(out->oldest, sizeof out->oldest, "%s", row[0]);
        snprintf(out->newest, sizeof out->newest, "%s", row[0]);
        if (strcmp(row[0], file) == 0) {
            out->found = true;
            out->size = strtoull(row[1], NULL, 10);
        }
    }
    mysql_free_result(result);
    return true;
}

static bool fail_gone(gf_error *err, MYSQL *source, const char *missing, const char *there)
{
    gf_buf retention = {0}, files = {0};
    binlogs logs;

    retention_text(&retention, source);
    if (read_binlogs(&logs, source, "", NULL) && logs.oldest[0] != '\0') /* else the server doesn't tell */
        gf_buf_printf(&files, "; its binlogs are %s to %s", logs.oldest, logs.newest);
    gf_fail(
        err, GF_ERR_GONE,
        "the source no longer has what is needed to go on: %.400s; there is %.300s%.150s; retention on the source: %s; "
        "this job has to start anew, and a longer retention prevents the next time",
        missing, there[0] == '\0' ? "no transaction" : there, gf_buf_cstr(&files), gf_buf_cstr(&retention));
    gf_buf_free(&retention);
    gf_buf_free(&files);
    return false;
}

static bool set_difference(char **out, MYSQL *source, const char *a, const char *b, gf_error *err)
{
    if (!gf_server_scalar(out, source, "compare GTID sets", err, "SELECT GTID_SUBTRACT(%s, %s)", a, b))
        return false;
    if (*out == NULL)
        *out = gf_strdup("");
    return true;
}

/* What of ours the source does not have. A transaction reaches replicas before it is recorded in gtid_executed, so
   one that we applied in the last moment may still be on its way there. */
static bool unknown_to_source(char **out, MYSQL *source, const char *ours, gf_error *err)
{
    uint64_t until = gf_now_ms() + RECORDED_MS;

    for (;;) {
        if (!set_difference(out, source, ours, "@@global.gtid_executed", err))
            return false;
        if ((*out)[0] == '\0' || gf_now_ms() >= until)
            return true;
        free(*out);
        *out = NULL;
        usleep(POLL_US);
    }
}

/* found: our very place is in its binlog, so it is the server that has sent them, and will show them. */
static bool set_available(MYSQL *source, const gf_gtid_set *ours, bool found, gf_error *err)
{
    gf_buf text = {0}, quoted = {0}, missing = {0};
    char *purged = NULL, *unknown = NULL, *executed = NULL;
    bool ok = false;

    gf_gtid_set_text(ours, &text);
    gf_buf_quote(&quoted, text.data, text.len);
    if (!set_difference(&purged, source, "@@global.gtid_purged", gf_buf_cstr(&quoted), err) ||
        !unknown_to_source(&unknown, source, gf_buf_cstr(&quoted), err) ||
        !gf_server_scalar(&executed, source, "read the binlog's GTIDs", err,
                          "SELECT GTID_SUBTRACT(@@global.gtid_executed, @@global.gtid_purged)"))
        goto out;
    if (purged[0] != '\0') {
        gf_buf_printf(&missing, "transactions %.300s have been purged", purged);
        fail_gone(err, source, gf_buf_cstr(&missing), executed == NULL ? "" : executed);
    } else if (unknown[0] != '\0' && found) {
        gf_fail(
            err, GF_ERR_RETRY,
            "the source does not show transactions %.300s yet, which it has sent: its semi-sync waits for a replica",
            unknown);
    } else if (unknown[0] != '\0') {
        gf_buf_printf(&missing,
                      "it does not know transactions %.300s, which have been applied: another server, or one "
                      "that was restored",
                      unknown);
        fail_gone(err, source, gf_buf_cstr(&missing), executed == NULL ? "" : executed);
    } else {
        ok = true;
    }
out:
    free(purged);
    free(unknown);
    free(executed);
    gf_buf_free(&text);
    gf_buf_free(&quoted);
    gf_buf_free(&missing);
    return ok;
}

static bool list_binlogs(binlogs *out, MYSQL *source, const gf_server_info *info, const char *file, gf_error *err)
{
    if (read_binlogs(out, source, file, err))
        return true;
    if (mysql_errno(source) == ER_PRIVILEGE)
        gf_fail_context(err, "missing grant, run GRANT %s ON *.* TO ... on the source",
                        info->flavor == GF_FLAVOR_MARIADB ? "BINLOG MONITOR" : "REPLICATION CLIENT");
    else if (mysql_errno(source) == ER_NO_BINARY_LOGGING)
        err->kind = GF_ERR_CONFIG;
    return false;
}

bool gf_replica_has_file(bool *found, bool *newest, MYSQL *source, const gf_server_info *info, const char *file,
                         gf_error *err)
{
    binlogs logs;

    if (!list_binlogs(&logs, source, info, file, err))
        return false;
    *found = logs.found;
    *newest = logs.found && strcmp(logs.newest, file) == 0;
    return true;
}

static bool file_available(MYSQL *source, const gf_server_info *info, const gf_position *from, gf_error *err)
{
    gf_buf missing = {0}, there = {0};
    binlogs logs;

    if (!list_binlogs(&logs, source, info, from->file, err))
        return false;
    if (logs.found && from->offset <= logs.size)
        return true;
    gf_buf_printf(&missing, "binlog %s at %llu", from->file, (unsigned long long)from->offset);
    if (logs.found)
        gf_buf_printf(&there, "a file of that name with %llu bytes only: another server, or one that was reset",
                      (unsigned long long)logs.size);
    else
        gf_buf_str(&there, "no file of that name");
    fail_gone(err, source, gf_buf_cstr(&missing), gf_buf_cstr(&there));
    gf_buf_free(&missing);
    gf_buf_free(&there);
    return false;
}

static const gf_maria_gtid *of_domain(const gf_maria_pos *pos, uint32_t domain)
{
    for (size_t i = 0; i < pos->count; i++) {
        if (pos->items[i].domain == domain)
            return &pos->items[i];
    }
    return NULL;
}

/* The position as text at the start of the oldest binlog, and the one of its end. */
static bool read_maria_range(gf_maria_pos *oldest, gf_maria_pos *end, MYSQL *source, const gf_server_info *info,
                             gf_error *err)
{
    binlogs logs;
    char *first = NULL, *last = NULL;
    gf_buf name = {0};
    bool ok = false;

    if (!list_binlogs(&logs, source, info, "", err))
        return false;
    gf_buf_quote(&name, logs.oldest, strlen(logs.oldest));
    if (gf_server_scalar(&first, source, "read the oldest binlog's GTIDs", err, "SELECT BINLOG_GTID_POS(%s, 4)",
                         gf_buf_cstr(&name)) &&
        gf_server_scalar(&last, source, "read gtid_binlog_pos", err, "SELECT @@global.gtid_binlog_pos"))
        ok = gf_maria_pos_parse(oldest, first == NULL ? "" : first, err) &&
             gf_maria_pos_parse(end, last == NULL ? "" : last, err);
    gf_buf_free(&name);
    free(first);
    free(last);
    return ok;
}

static bool domains_available(MYSQL *source, const gf_position *from, const gf_maria_pos *oldest,
                              const gf_maria_pos *end, gf_error *err)
{
    gf_buf missing = {0}, there = {0};
    bool ok;

    for (size_t i = 0; i < oldest->count; i++) {
        const gf_maria_gtid *ours = of_domain(&from->maria, oldest->items[i].domain);

        if (ours == NULL || ours->seq < oldest->items[i].seq)
            gf_buf_printf(&missing, "%stransactions of domain %lu behind %llu", missing.len == 0 ? "" : ", ",
                          (unsigned long)oldest->items[i].domain, ours == NULL ? 0ULL : (unsigned long long)ours->seq);
    }
    for (size_t i = 0; i < from->maria.count; i++) {
        const gf_maria_gtid *ours = &from->maria.items[i], *theirs = of_domain(end, ours->domain);

        if (theirs != NULL && theirs->seq < ours->seq)
            gf_buf_printf(&missing, "%sGTID %lu-%lu-%llu, which has been applied", missing.len == 0 ? "" : ", ",
                          (unsigned long)ours->domain, (unsigned long)ours->server, (unsigned long long)ours->seq);
    }
    ok = missing.len == 0;
    if (!ok) {
        gf_buf_str(&there, oldest->count == 0 ? "everything" : "what follows ");
        gf_maria_pos_text(oldest, &there);
        gf_buf_str(&there, " up to ");
        gf_maria_pos_text(end, &there);
        fail_gone(err, source, gf_buf_cstr(&missing), gf_buf_cstr(&there));
    }
    gf_buf_free(&missing);
    gf_buf_free(&there);
    return ok;
}

/* The same file and offset must still mean the same place: after RESET MASTER new transactions may reach the old names,
   offsets and GTIDs. Files that were purged prove nothing. */
static bool same_place_maria(MYSQL *source, const gf_position *from, gf_error *err)
{
    gf_maria_pos there = {0};
    gf_buf ours = {0}, now = {0}, name = {0};
    char *text = NULL; /* NULL as well when no event starts there */
    bool ok, same;

    gf_buf_quote(&name, from->file, strlen(from->file));
    ok = gf_server_scalar(&text, source, "look for our place in the binlog", err, "SELECT BINLOG_GTID_POS(%s, %llu)",
                          gf_buf_cstr(&name), (unsigned long long)from->offset) &&
         gf_maria_pos_parse(&there, text == NULL ? "" : text, err);
    same = text != NULL;
    for (size_t i = 0; same && i < from->maria.count; i++) {
        const gf_maria_gtid *a = &from->maria.items[i], *b = of_domain(&there, a->domain);

        same = b != NULL && a->server == b->server && a->seq == b->seq;
    }
    if (ok && !same) {
        gf_maria_pos_text(&from->maria, &ours);
        gf_buf_printf(&ours, " at %s:%llu", from->file, (unsigned long long)from->offset);
        gf_buf_printf(&now, "%s: another server, or one that was reset",
                      text == NULL      ? "no event that starts there"
                      : text[0] == '\0' ? "no transaction before that place"
                                        : text);
        ok = fail_gone(err, source, gf_buf_cstr(&ours), gf_buf_cstr(&now));
    }
    gf_maria_pos_free(&there);
    gf_buf_free(&ours);
    gf_buf_free(&now);
    gf_buf_free(&name);
    free(text);
    return ok;
}

static bool same_place_mysql(MYSQL *source, const gf_position *from, gf_error *err)
{
    gf_buf name = {0}, ours = {0};
    MYSQL_RES *res;
    bool ok;

    gf_buf_quote(&name, from->file, strlen(from->file));
    res = gf_server_query(source, "look for our place in the binlog", err, "SHOW BINLOG EVENTS IN %s FROM %llu LIMIT 1",
                          gf_buf_cstr(&name), (unsigned long long)from->offset);
    ok = res != NULL;
    mysql_free_result(res);
    if (!ok && mysql_errno(source) == ER_BINLOG_EVENTS) {
        gf_buf_printf(&ours, "an event that starts at %s:%llu", from->file, (unsigned long long)from->offset);
        fail_gone(err, source, gf_buf_cstr(&ours),
                  "a file of that name with other events: another server, or one that "
                  "was reset");
    }
    gf_buf_free(&name);
    gf_buf_free(&ours);
    return ok;
}

/* binlog.000007 and binlog.000012, but not other.000012 */
static bool same_series(const char *a, const char *b)
{
    const char *dot_a = strrchr(a, '.'), *dot_b = strrchr(b, '.');

    return dot_a != NULL && dot_b != NULL && dot_a - a == dot_b - b && strncmp(a, b, (size_t)(dot_a - a)) == 0;
}

bool gf_replica_same_place(bool *found, MYSQL *source, const gf_server_info *info, const gf_position *from,
                           gf_error *err)
{
    gf_buf missing = {0}, there = {0};
    binlogs logs;
    bool ok = true;

    *found = false;
    if (from->file[0] == '\0')
        return true;
    if (!list_binlogs(&logs, source, info, from->file, err))
        return false;
    if (logs.found && from->offset <= logs.size) {
        *found = true;
        return info->flavor == GF_FLAVOR_MARIADB ? same_place_maria(source, from, err)
                                                 : same_place_mysql(source, from, err);
    }
    gf_buf_printf(&missing, "binlog %s at %llu", from->file, (unsigned long long)from->offset);
    if (logs.found)
        gf_buf_printf(&there, "a file of that name with %llu bytes only: another server, or one that was reset",
                      (unsigned long long)logs.size);
    else
        gf_buf_str(&there, "no file of that name: another server, or one that was reset");
    if (logs.found ||
        (same_series(from->file, logs.newest) && gf_binlog_cmp(from->file, 0, logs.newest, UINT64_MAX) > 0))
        ok = fail_gone(err, source, gf_buf_cstr(&missing), gf_buf_cstr(&there));
    gf_buf_free(&missing);
    gf_buf_free(&there);
    return ok;
}

static bool maria_available(MYSQL *source, const gf_server_info *info, const gf_position *from, gf_error *err)
{
    gf_maria_pos oldest = {0}, end = {0};
    bool ok = read_maria_range(&oldest, &end, source, info, err) && domains_available(source, from, &oldest, &end, err);

    gf_maria_pos_free(&oldest);
    gf_maria_pos_free(&end);
    return ok;
}

bool gf_replica_available(MYSQL *source, const gf_server_info *info, const gf_position *from, gf_error *err)
{
    bool found;

    if (!gf_replica_same_place(&found, source, info, from, err))
        return false;
    if (info->flavor == GF_FLAVOR_MARIADB && from->maria.count > 0)
        return maria_available(source, info, from, err);
    if (info->flavor == GF_FLAVOR_MYSQL && info->gtids && from->gtids != NULL)
        return set_available(source, from->gtids, found, err);
    if (from->file[0] == '\0')
        return gf_fail(err, GF_ERR_GONE,
                       from->gtids == NULL ? "the position to resume from names neither a binlog file nor GTIDs"
                                           : "the position to resume from is made of GTIDs alone, but the source has "
                                             "gtid_mode other than ON now");
    return found || file_available(source, info, from, err);
}
