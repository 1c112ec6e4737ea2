/* SPDX-License-Identifier: MIT */
/*
 * maria_pos.c - MariaDB's GTID position: "domain-server-sequence" per replication domain, comma separated.
 */
#include <ctype.h>
#include <stdlib.h>

#include "gfreplica/position.h"

void gf_maria_pos_set(gf_maria_pos *pos, gf_maria_gtid gtid)
{
    size_t at = 0;

    while (at < pos->count && pos->items[at].domain < gtid.domain)
        at++;
    if (at == pos->count || pos->items[at].domain != gtid.domain) {
        pos->items = gf_realloc(pos->items, (pos->count + 1) * sizeof *pos->items);
        memmove(&pos->items[at + 1], &pos->items[at], (pos->count - at) * sizeof *pos->items);
        pos->count++;
    }
    pos->items[at] = gtid;
}

void gf_maria_pos_copy(gf_maria_pos *to, const gf_maria_pos *from)
{
    gf_maria_pos copy = {NULL, from->count};

    if (to == from)
        return;
    if (from->count > 0) {
        copy.items = gf_malloc(from->count * sizeof *copy.items);
        memcpy(copy.items, from->items, from->count * sizeof *copy.items);
    }
    gf_maria_pos_free(to);
    *to = copy;
}

void gf_maria_pos_text(const gf_maria_pos *pos, gf_buf *out)
{
    for (size_t i = 0; i < pos->count; i++)
        gf_buf_printf(out, "%s%lu-%lu-%llu", i == 0 ? "" : ",", (unsigned long)pos->items[i].domain,
                      (unsigned long)pos->items[i].server, (unsigned long long)pos->items[i].seq);
}

void gf_maria_pos_free(gf_maria_pos *pos)
{
    free(pos->items);
    *pos = (gf_maria_pos){0};
}

/* Digits up to `limit`, followed by `stop` ('\0': by a comma, space or the end). */
static bool parse_number(uint64_t *out, const char **p, uint64_t limit, char stop)
{
    uint64_t v = 0;

    if (!isdigit((unsigned char)**p))
        return false;
    for (; isdigit((unsigned char)**p); (*p)++) {
        unsigned digit = (unsigned)(**p - '0');

        if (v > (limit - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    if (stop == '\0')
        return true;
    if (**p != stop)
        return false;
    (*p)++;
    return true;
}

static bool parse_gtid(gf_maria_gtid *out, const char **p)
{
    uint64_t domain, server, seq;

    if (!parse_number(&domain, p, UINT32_MAX, '-') || !parse_number(&server, p, UINT32_MAX, '-') ||
        !parse_number(&seq, p, UINT64_MAX, '\0'))
        return false;
    *out = (gf_maria_gtid){(uint32_t)domain, (uint32_t)server, seq};
    return true;
}

bool gf_maria_pos_parse(gf_maria_pos *out, const char *text, gf_error *err)
{
    gf_maria_pos read = {0};
    gf_maria_gtid gtid;
    const char *p = text;
    bool ok = true;

    while (isspace((unsigned char)*p))
        p++;
    while (ok && *p != '\0') {
        ok = parse_gtid(&gtid, &p);
        if (ok)
            gf_maria_pos_set(&read, gtid);
        while (isspace((unsigned char)*p))
            p++;
        if (ok && *p == ',')
            for (p++; isspace((unsigned char)*p); p++)
                ;
        else
            ok = ok && *p == '\0';
    }
    if (ok)
        gf_maria_pos_copy(out, &read);
    else
        gf_fail(err, GF_ERR_CONFIG, "malformed GTID position '%.200s': expected domain-server-sequence, e.g. 0-1-100",
                text);
    gf_maria_pos_free(&read);
    return ok;
}
