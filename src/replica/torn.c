/* SPDX-License-Identifier: MIT */
/*
 * torn.c - see torn.h; what is compared is the GTID list with which the next file begins.
 */
#include "torn.h"

#include <stdio.h>
#include <stdlib.h>

#include "gfreplica/log.h"

enum { ER_DUMP = 1236, FIRST_EVENT = 4 };

/* "...truncated in the middle of event; ..., the last event read from 'binlog.000026' at 708558, ..." */
bool gf_torn_named(char *file, size_t size, const gf_error *err)
{
    static const char before[] = "the last event read from '";
    const char *name = strstr(err->text, before), *end;

    if (err->native != ER_DUMP || strstr(err->text, "truncated in the middle of event") == NULL || name == NULL)
        return false;
    name += sizeof before - 1;
    end = strchr(name, '\'');
    if (end == NULL || end == name || (size_t)(end - name) >= size)
        return false;
    snprintf(file, size, "%.*s", (int)(end - name), name);
    return true;
}

/* The file behind that one. */
static bool next_file(char *out, size_t size, MYSQL *source, const char *file, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(source, "list binlogs", err, "SHOW BINARY LOGS");
    bool found = false, here = false, asked = res != NULL;
    MYSQL_ROW row;

    while (asked && !found && (row = mysql_fetch_row(res)) != NULL) {
        found = here;
        if (found)
            snprintf(out, size, "%s", row[0]);
        here = here || strcmp(row[0], file) == 0;
    }
    mysql_free_result(res);
    if (asked && !found)
        gf_fail(err, GF_ERR_DATA, "the source's %s is truncated in the middle of an event, and no file follows it",
                file);
    return found;
}

static bool has(const gf_maria_pos *pos, const gf_maria_gtid *gtid)
{
    for (size_t i = 0; i < pos->count; i++) {
        const gf_maria_gtid *g = &pos->items[i];

        if (g->domain == gtid->domain)
            return g->server == gtid->server && g->seq == gtid->seq;
    }
    return false;
}

static bool same_gtids(const gf_maria_pos *a, const gf_maria_pos *b)
{
    bool same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++)
        same = has(b, &a->items[i]);
    return same;
}

bool gf_torn_step_over(gf_position *next, MYSQL *source, const char *file, const gf_position *end, gf_error *err)
{
    char name[GF_BINLOG_NAME_MAX] = "", *list = NULL;
    bool ok = next_file(name, sizeof name, source, file, err) &&
              gf_server_scalar(&list, source, "read the binlog's GTID list", err, "SELECT BINLOG_GTID_POS('%s', %d)",
                               name, FIRST_EVENT) &&
              gf_position_parse(next, GF_FLAVOR_MARIADB, name, FIRST_EVENT, list == NULL ? "" : list, err);

    if (ok && !same_gtids(&next->maria, &end->maria))
        ok = gf_fail(
            err, GF_ERR_DATA,
            "the source's %s is truncated in the middle of an event, and transactions follow in it that were not "
            "received: %s begins behind %s",
            file, name, list == NULL ? "nothing" : list);
    if (ok)
        gf_log_warn(
            "the source's %s ends in the middle of an event, as a crash leaves it; nothing whole is behind what "
            "was received: going on with %s",
            file, name);
    free(list);
    return ok;
}
