/* SPDX-License-Identifier: MIT */
/*
 * check_generated.c - values that the target computes: stored generated columns, and generated columns and expressions in
 * unique keys.
 *
 * Nobody can write them, so the target computes them from the row, in our session: in UTC, with the defaults of
 * lc_time_names and div_precision_increment. Where the expression depends on the session, the source's value is that of
 * whoever wrote the row; the writers compare (gf_literal_computed), and stop at a row that comes out otherwise. Here such
 * expressions are named beforehand, as far as words tell: a TIMESTAMP that is only asked whether it is NULL is named too.
 *
 * SHOW CREATE TABLE has a line for each column and key, with names in backquotes: what stands there is what is looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "check_parts.h"

static bool mentions(gf_slice line, const char *word)
{
    return line.len > 0 && memmem(line.data, line.len, word, strlen(word)) != NULL;
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

gf_slice gf_check_column_line(const gf_table *t, const gf_column *col)
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
        zoned[i] = t->columns[i].type == GF_T_TIMESTAMP && !t->columns[i].row_period;
    while (more) {
        more = false;
        for (unsigned i = 0; i < t->column_count; i++) {
            const gf_column *col = &t->columns[i];

            if (zoned[i] || col->generated == GF_GEN_NONE || !names_zoned(gf_check_column_line(t, col), t, zoned))
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
    gf_check_names zoned, keys, doubtful;
} findings;

static void look_at(findings *f, const gf_table *t, bool same_family)
{
    bool *zoned = gf_calloc(t->column_count + 1, sizeof *zoned);

    find_zoned(zoned, t);
    for (unsigned i = 0; i < t->column_count; i++) {
        const gf_column *col = &t->columns[i];

        if (col->generated != GF_GEN_STORED)
            continue;
        if (zoned[i])
            gf_check_name_of(&f->zoned, t, col->name);
        else if (is_doubtful(gf_check_column_line(t, col), same_family))
            gf_check_name_of(&f->doubtful, t, col->name);
    }
    for (unsigned k = 0; k < t->key_count; k++)
        if (is_zoned_key(t, &t->keys[k], zoned))
            gf_check_name_of(&f->keys, t, t->keys[k].name);
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

static void tell(gf_check *c, findings *f)
{
    if (f->zoned.count > 0)
        gf_check_warning(
            c,
            "source: %s: what is computed there names a TIMESTAMP: where its value is that of the writing "
            "session's time zone, a row that was written in another one than UTC stops the run (in a table "
            "without a key or transactions it will differ): make such a column VIRTUAL",
            gf_check_names_text(&f->zoned));
    if (f->keys.count > 0 && c->marker)
        gf_check_warning(c,
                         "source: unique keys %s: what is computed there names a TIMESTAMP: a row that was written in "
                         "another time zone than UTC, and meets another one in such a key, stops the run",
                         gf_check_names_text(&f->keys));
    if (f->keys.count > 0 && !c->marker)
        gf_check_problem(c,
                         "source: unique keys %s: what is computed there names a TIMESTAMP, and without a marker a row "
                         "that meets another one in such a key would take its place unseen: let the target's user make "
                         "one (GRANT ... ON the marker's database), or drop such keys",
                         gf_check_names_text(&f->keys));
    if (f->doubtful.count > 0)
        gf_check_warning(c,
                         "source: stored columns %s: the target computes them anew, by its own arithmetic and the "
                         "defaults of lc_time_names and div_precision_increment: a row that was written with others "
                         "stops the run (in a table without a key or transactions it will differ)",
                         gf_check_names_text(&f->doubtful));
}

void gf_check_generated(gf_check *c)
{
    findings f = {0};

    for (size_t i = 0; i < c->table_count; i++)
        if (computes(c->tables[i]))
            look_at(&f, c->tables[i], c->source_info->flavor == c->target_info->flavor);
    tell(c, &f);
    gf_check_names_free(&f.zoned);
    gf_check_names_free(&f.keys);
    gf_check_names_free(&f.doubtful);
}
