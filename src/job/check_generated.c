/* SPDX-License-Identifier: MIT */
/*
 * check_generated.c - values that the target computes: stored generated columns, and generated columns and expressions in
 * unique keys.
 *
 * Nobody can write them, so the target computes them from the row, in our session: in UTC, with the defaults of
 * lc_time_names and div_precision_increment. Where the expression depends on the session, the source's value is that of
 * whoever wrote the row; the writers compare (gf_literal_computed), and stop at a row that comes out otherwise. A
 * TIMESTAMP becomes a date or text by the session's zone, so that on a source whose zone is not UTC that would be every
 * row, and two may meet in a unique key: refused. Other expressions are named.
 *
 * SHOW CREATE TABLE has a line for each column and key, with names in backquotes: what stands there is what is looked at.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "check_parts.h"

static bool mentions(gf_slice line, const char *word)
{
    return memmem(line.data, line.len, word, strlen(word)) != NULL;
}

static bool mentions_name(gf_slice line, const char *name)
{
    gf_buf quoted = {0};
    bool yes;

    gf_buf_ident(&quoted, name);
    yes = mentions(line, gf_buf_cstr(&quoted));
    gf_buf_free(&quoted);
    return yes;
}

/* The line of the definition that begins with `head`; empty when there is none. */
static gf_slice find_line(const char *create_sql, const char *head)
{
    for (const char *p = create_sql; (p = strchr(p, '\n')) != NULL; p++) {
        const char *start = p + 1 + strspn(p + 1, " ");

        if (strncmp(start, head, strlen(head)) == 0)
            return gf_slice_of(start, strcspn(start, "\n"));
    }
    return (gf_slice){0};
}

/* Behind the column's own name. */
static gf_slice column_line(const gf_table *t, const gf_column *col)
{
    gf_buf head = {0};
    gf_slice line;

    gf_buf_ident(&head, col->name);
    line = find_line(t->create_sql, gf_buf_cstr(&head));
    if (line.len > head.len)
        line = gf_slice_of(line.data + head.len, line.len - head.len);
    gf_buf_free(&head);
    return line;
}

static gf_slice key_line(const gf_table *t, const gf_key *key)
{
    gf_buf head = {0};
    gf_slice line;

    gf_buf_str(&head, "UNIQUE KEY ");
    gf_buf_ident(&head, key->name);
    line = find_line(t->create_sql, gf_buf_cstr(&head));
    gf_buf_free(&head);
    return line;
}

static bool names_zoned(gf_slice line, const gf_table *t, const bool *zoned)
{
    for (unsigned i = 0; i < t->column_count; i++)
        if (zoned[i] && mentions_name(line, t->columns[i].name))
            return true;
    return mentions(line, "from_unixtime(") || mentions(line, "unix_timestamp(");
}

/* Which columns hold, or are computed from, what a session's zone decides. Expressions may name later columns too. */
static void find_zoned(bool *zoned, const gf_table *t)
{
    bool more = true;

    for (unsigned i = 0; i < t->column_count; i++)
        zoned[i] = t->columns[i].type == GF_T_TIMESTAMP && t->columns[i].generated == GF_GEN_NONE;
    while (more) {
        more = false;
        for (unsigned i = 0; i < t->column_count; i++) {
            const gf_column *col = &t->columns[i];

            if (zoned[i] || col->generated == GF_GEN_NONE || !names_zoned(column_line(t, col), t, zoned))
                continue;
            zoned[i] = more = true;
        }
    }
}

static bool is_zoned_key(const gf_table *t, const gf_key *key, const bool *zoned)
{
    for (unsigned p = 0; p < key->part_count; p++) {
        unsigned column = key->parts[p].column;

        if (zoned[column] && t->columns[column].generated != GF_GEN_NONE)
            return true;
    }
    return key->functional && names_zoned(key_line(t, key), t, zoned);
}

/* What else of a session, or of a server, an expression's value may depend on. */
static bool is_doubtful(gf_slice line, bool same_family)
{
    static const char *const words[] = {" / ", "dayname(", "monthname(", "date_format("};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (mentions(line, words[i]))
            return true;
    return !same_family;
}

typedef struct {
    gf_check_names zoned, doubtful;
} findings;

static void add(gf_check_names *out, const gf_table *t, const char *name)
{
    char *full = gf_asprintf("%s.%s", t->label, name);

    gf_check_name(out, full);
    free(full);
}

static void look_at(findings *f, const gf_table *t, bool same_family)
{
    bool *zoned = gf_calloc(t->column_count + 1, sizeof *zoned);

    find_zoned(zoned, t);
    for (unsigned i = 0; i < t->column_count; i++) {
        const gf_column *col = &t->columns[i];

        if (col->generated != GF_GEN_STORED)
            continue;
        if (zoned[i])
            add(&f->zoned, t, col->name);
        else if (is_doubtful(column_line(t, col), same_family))
            add(&f->doubtful, t, col->name);
    }
    for (unsigned k = 0; k < t->key_count; k++)
        if (is_zoned_key(t, &t->keys[k], zoned))
            add(&f->zoned, t, t->keys[k].name);
    free(zoned);
}

static bool computes(const gf_table *t)
{
    bool yes = false;

    for (unsigned i = 0; i < t->column_count; i++)
        yes = yes || t->columns[i].generated != GF_GEN_NONE;
    for (unsigned k = 0; k < t->key_count; k++)
        yes = yes || t->keys[k].functional;
    return yes && t->create_sql != NULL;
}

/* What most sessions of the source have. */
static bool source_is_utc(bool *utc, gf_check *c, gf_error *err)
{
    static const char *const names[] = {"UTC", "+00:00", "-00:00", "GMT", "Etc/UTC", "Etc/GMT"};
    char *zone = NULL;
    bool ok = gf_server_scalar(&zone, c->source, "read its time zone", err,
                               "SELECT IF(@@global.time_zone='SYSTEM',@@system_time_zone,@@global.time_zone)");

    *utc = false;
    for (size_t i = 0; ok && zone != NULL && i < sizeof names / sizeof names[0]; i++)
        *utc = *utc || strcasecmp(zone, names[i]) == 0;
    free(zone);
    return ok;
}

static void tell(gf_check *c, findings *f, bool utc)
{
    if (f->zoned.count > 0 && utc)
        gf_check_warning(c,
                         "source: %s: computed from a TIMESTAMP in the time zone of the session that wrote a row: the "
                         "target computes them in UTC, as this source does by default; a row that a session of another "
                         "zone wrote stops the run",
                         gf_check_names_text(&f->zoned));
    else if (f->zoned.count > 0)
        gf_check_problem(c,
                         "source: %s: computed from a TIMESTAMP in the time zone of the session that wrote a row, and "
                         "by default this source's is not UTC, in which the target would compute them: make the column "
                         "VIRTUAL and drop its unique keys, or leave the table out",
                         gf_check_names_text(&f->zoned));
    if (f->doubtful.count > 0)
        gf_check_warning(c,
                         "source: stored columns %s: the target computes them anew, by its own arithmetic and the "
                         "defaults of lc_time_names and div_precision_increment: a row that was written with others "
                         "stops the run",
                         gf_check_names_text(&f->doubtful));
}

bool gf_check_generated(gf_check *c, gf_error *err)
{
    findings f = {0};
    bool utc = true, ok = true;

    for (size_t i = 0; i < c->table_count; i++)
        if (computes(c->tables[i]))
            look_at(&f, c->tables[i], c->source_info->flavor == c->target_info->flavor);
    if (f.zoned.count > 0)
        ok = source_is_utc(&utc, c, err);
    if (ok)
        tell(c, &f, utc);
    gf_check_names_free(&f.zoned);
    gf_check_names_free(&f.doubtful);
    return ok;
}
