/* SPDX-License-Identifier: MIT */
/*
 * position.c - positions as values: copying, ordering, text.
 */
#include "gfreplica/position.h"

#include <ctype.h>
#include <stdio.h>

/* How a GTID set that is there but empty is written: "" means that the server has no GTIDs at all. */
static const char EMPTY_SET[] = "-";

void gf_position_copy(gf_position *to, const gf_position *from)
{
    if (to == from)
        return;
    memcpy(to->file, from->file, sizeof to->file);
    to->offset = from->offset;
    gf_gtid_set_free(to->gtids);
    to->gtids = from->gtids == NULL ? NULL : gf_gtid_set_copy(from->gtids);
    gf_maria_pos_copy(&to->maria, &from->maria);
}

void gf_position_free(gf_position *pos)
{
    gf_gtid_set_free(pos->gtids);
    gf_maria_pos_free(&pos->maria);
    *pos = (gf_position){0};
}

/* The digits behind the last dot without leading zeros; len 0 when there are none. */
static gf_slice number_of(const char *file)
{
    const char *dot = strrchr(file, '.'), *p = dot == NULL ? "" : dot + 1;
    size_t len;

    while (*p == '0' && p[1] != '\0')
        p++;
    len = strlen(p);
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)p[i]))
            return gf_slice_of(NULL, 0);
    }
    return gf_slice_of(p, len);
}

/* Numbers grow beyond six digits: the longer one is the larger one. No file is before any file. */
static int compare_files(const char *a, const char *b)
{
    gf_slice x = number_of(a), y = number_of(b);

    if (x.len == 0 || y.len == 0)
        return strcmp(a, b);
    if (x.len != y.len)
        return x.len < y.len ? -1 : 1;
    return memcmp(x.data, y.data, x.len);
}

int gf_binlog_cmp(const char *file_a, uint64_t off_a, const char *file_b, uint64_t off_b)
{
    int order = compare_files(file_a, file_b);

    if (order != 0)
        return order;
    return off_a < off_b ? -1 : off_a > off_b;
}

int gf_position_cmp(const gf_position *a, const gf_position *b)
{
    return gf_binlog_cmp(a->file, a->offset, b->file, b->offset);
}

void gf_position_gtid_text(const gf_position *pos, gf_buf *out)
{
    if (pos->gtids == NULL)
        gf_maria_pos_text(&pos->maria, out);
    else if (gf_gtid_set_empty(pos->gtids))
        gf_buf_str(out, EMPTY_SET);
    else
        gf_gtid_set_text(pos->gtids, out);
}

void gf_position_text(const gf_position *pos, gf_buf *out)
{
    size_t start = out->len;

    if (pos->file[0] != '\0')
        gf_buf_printf(out, "%s:%llu", pos->file, (unsigned long long)pos->offset);
    if (pos->gtids == NULL && pos->maria.count == 0) {
        gf_buf_str(out, out->len == start ? "(nowhere)" : "");
        return;
    }
    gf_buf_str(out, out->len == start ? "" : " ");
    gf_position_gtid_text(pos, out);
}

static bool parse_gtids(gf_position *pos, gf_flavor flavor, const char *gtids, gf_error *err)
{
    if (gtids == NULL || gtids[0] == '\0')
        return true;
    if (flavor == GF_FLAVOR_MARIADB)
        return gf_maria_pos_parse(&pos->maria, gtids, err);
    pos->gtids = gf_gtid_set_new();
    return strcmp(gtids, EMPTY_SET) == 0 || gf_gtid_set_parse(pos->gtids, gtids, err);
}

bool gf_position_parse(gf_position *out, gf_flavor flavor, const char *file, uint64_t offset, const char *gtids,
                       gf_error *err)
{
    gf_position pos = {.offset = offset};
    size_t len = file == NULL ? 0 : strlen(file);

    if (len >= sizeof pos.file)
        return gf_fail(err, GF_ERR_CONFIG, "binlog file name of %zu bytes is too long: '%.60s...'", len, file);
    if (len > 0)
        memcpy(pos.file, file, len);
    if (!parse_gtids(&pos, flavor, gtids, err)) {
        gf_position_free(&pos);
        return false;
    }
    gf_position_free(out);
    *out = pos;
    return true;
}
