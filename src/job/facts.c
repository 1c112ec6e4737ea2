/* SPDX-License-Identifier: MIT */
/*
 * facts.c - a table's keys, defaults and CHECK constraints as both servers' information_schema tells them.
 *
 * A fact is a name and a text: all that is told of it, in lines. Texts need only be equal, never understood. What a
 * server of the pair does not tell is left out for both; so is what the same definition may be told differently: between
 * families all but a key's columns and prefixes, between versions the text of expressions and defaults.
 */
#include "facts.h"

#include <stdlib.h>
#include <strings.h>

struct fact {
    char *name; /* owned */
    gf_buf text;
};

struct facts {
    struct fact *items; /* owned, by name once read */
    size_t count;
};

/* The pair that is compared, and which of the two is asked. */
struct pair {
    const gf_server_info *source, *target;
    bool same_family, same_version;
    gf_facts_scope scope;
};

enum {
    MYSQL_DESCENDING = 80000, /* keys; and invisible ones */
    MYSQL_EXPRESSIONS = 80013,
    MYSQL_CHECKS = 80016,
    MARIADB_CHECK_LEVEL = 100510, /* the column LEVEL */
    MARIADB_IGNORED = 100600,
    MARIADB_DESCENDING = 100800
};

static void free_facts(struct facts *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->items[i].name);
        gf_buf_free(&f->items[i].text);
    }
    free(f->items);
    *f = (struct facts){0};
}

/* ---- what is asked ---- */

/* Both servers are of that family, and not older. */
static bool both(const struct pair *p, gf_flavor flavor, unsigned version)
{
    return p->same_family && p->source->flavor == flavor && p->source->version >= version &&
           p->target->version >= version;
}

static void where_table(gf_buf *sql, const char *db_column, const char *db, const char *table_column, const char *name)
{
    gf_buf_printf(sql, " WHERE %s=", db_column);
    gf_buf_quote(sql, db, strlen(db));
    gf_buf_printf(sql, " AND %s=", table_column);
    gf_buf_quote(sql, name, strlen(name));
}

static bool only_plain_keys(const struct pair *p)
{
    return p->scope == GF_FACTS_PLAIN_KEYS || !p->same_family;
}

/* Of keys that are no trees, servers make up a prefix's length. */
static void key_columns(gf_buf *sql, const struct pair *p)
{
    gf_buf_str(sql, "SELECT index_name, LOWER(column_name), IF(index_type='BTREE', sub_part, NULL), non_unique");
    if (p->same_family)
        gf_buf_str(sql, ", index_type");
    if (both(p, GF_FLAVOR_MYSQL, MYSQL_DESCENDING))
        gf_buf_str(sql, ", collation, is_visible");
    if (both(p, GF_FLAVOR_MARIADB, MARIADB_IGNORED))
        gf_buf_str(sql, ", ignored");
    if (both(p, GF_FLAVOR_MARIADB, MARIADB_DESCENDING))
        gf_buf_str(sql, ", collation");
    if (both(p, GF_FLAVOR_MYSQL, MYSQL_EXPRESSIONS))
        gf_buf_str(sql, p->same_version ? ", expression" : ", IF(expression IS NULL, NULL, 1)");
}

static bool ask_keys(gf_buf *sql, const struct pair *p, const gf_server_info *server, const char *db, const char *name)
{
    (void)server;
    if (p->scope == GF_FACTS_BUT_KEYS)
        return false;
    key_columns(sql, p);
    gf_buf_str(sql, " FROM information_schema.statistics");
    where_table(sql, "table_schema", db, "table_name", name);
    if (p->scope != GF_FACTS_ALL)
        gf_buf_str(sql, " AND non_unique=1");
    if (only_plain_keys(p))
        gf_buf_str(sql, " AND index_type='BTREE'");
    gf_buf_str(sql, " ORDER BY index_name, seq_in_index");
    return true;
}

static bool ask_defaults(gf_buf *sql, const struct pair *p, const gf_server_info *server, const char *db,
                         const char *name)
{
    (void)server;
    if (p->scope < GF_FACTS_BUT_KEYS || !p->same_version)
        return false;
    gf_buf_str(sql, "SELECT column_name, column_default, extra FROM information_schema.columns");
    where_table(sql, "table_schema", db, "table_name", name);
    return true;
}

static bool ask_expressions(gf_buf *sql, const struct pair *p, const gf_server_info *server, const char *db,
                            const char *name)
{
    (void)server;
    if (p->scope < GF_FACTS_BUT_KEYS || !p->same_version)
        return false;
    gf_buf_str(sql, "SELECT column_name, generation_expression FROM information_schema.columns");
    where_table(sql, "table_schema", db, "table_name", name);
    gf_buf_str(sql, " AND generation_expression<>''");
    return true;
}

/* MariaDB's of a column and of the table may have one name. */
static bool ask_checks(gf_buf *sql, const struct pair *p, const gf_server_info *server, const char *db,
                       const char *name)
{
    if (p->scope < GF_FACTS_BUT_KEYS || !p->same_version ||
        server->version < (server->flavor == GF_FLAVOR_MYSQL ? MYSQL_CHECKS : MARIADB_CHECK_LEVEL))
        return false;
    if (server->flavor == GF_FLAVOR_MARIADB) {
        gf_buf_str(sql, "SELECT constraint_name, level, check_clause FROM information_schema.check_constraints");
        where_table(sql, "constraint_schema", db, "table_name", name);
        gf_buf_str(sql, " ORDER BY constraint_name, level");
        return true;
    }
    gf_buf_str(sql, "SELECT t.constraint_name, t.enforced, c.check_clause FROM information_schema.table_constraints t "
                    "JOIN information_schema.check_constraints c ON c.constraint_schema=t.constraint_schema AND "
                    "c.constraint_name=t.constraint_name");
    where_table(sql, "t.table_schema", db, "t.table_name", name);
    gf_buf_str(sql, " AND t.constraint_type='CHECK'");
    return true;
}

static const struct kind {
    const char *what;
    /* Name, then its text in columns; rows of one name follow each other. False: not to be compared. */
    bool (*ask)(gf_buf *sql, const struct pair *p, const gf_server_info *server, const char *db, const char *name);
} kinds[] = {
    {"key", ask_keys},
    {"default of column", ask_defaults},
    {GF_FACT_EXPRESSION, ask_expressions},
    {"CHECK constraint", ask_checks},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- reading ---- */

static struct fact *add_fact(struct facts *f, const char *name)
{
    f->items = gf_realloc(f->items, (f->count + 1) * sizeof *f->items);
    f->items[f->count] = (struct fact){.name = gf_strdup(name)};
    return &f->items[f->count++];
}

static void add_row(struct facts *f, MYSQL_ROW row, const unsigned long *lengths, unsigned columns)
{
    const char *name = row[0] != NULL ? row[0] : "";
    struct fact *last = f->count > 0 ? &f->items[f->count - 1] : NULL;

    if (last == NULL || strcmp(last->name, name) != 0)
        last = add_fact(f, name);
    for (unsigned i = 1; i < columns; i++) {
        gf_buf_byte(&last->text, row[i] != NULL ? '=' : '-'); /* NULL is not '' */
        gf_buf_add(&last->text, row[i], row[i] != NULL ? lengths[i] : 0);
        gf_buf_byte(&last->text, '\n');
    }
}

static int by_name(const void *a, const void *b)
{
    return strcasecmp(((const struct fact *)a)->name, ((const struct fact *)b)->name);
}

static bool read_facts(struct facts *out, MYSQL *db, const char *what, const gf_buf *sql, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(db, what, err, "%.*s", (int)sql->len, (const char *)sql->data);
    MYSQL_ROW row;

    if (res == NULL)
        return false;
    while ((row = mysql_fetch_row(res)) != NULL)
        add_row(out, row, mysql_fetch_lengths(res), mysql_num_fields(res));
    mysql_free_result(res);
    if (out->count > 0)
        qsort(out->items, out->count, sizeof *out->items, by_name);
    return true;
}

/* ---- comparing ---- */

/* But for backticks: MySQL stores expressions with or without them, as sql_quote_show_create of the session said. */
static bool same_text(const struct fact *a, const struct fact *b)
{
    size_t i = 0, j = 0;

    for (;; i++, j++) {
        while (i < a->text.len && a->text.data[i] == '`')
            i++;
        while (j < b->text.len && b->text.data[j] == '`')
            j++;
        if (i == a->text.len || j == b->text.len)
            return i == a->text.len && j == b->text.len;
        if (a->text.data[i] != b->text.data[j])
            return false;
    }
}

static void compare(const char *what, const struct facts *source, const struct facts *target, gf_fact_fn *fn, void *ctx)
{
    size_t s = 0, t = 0;

    while (s < source->count || t < target->count) {
        int order = s == source->count ? 1 : t == target->count ? -1 : by_name(&source->items[s], &target->items[t]);

        if (order < 0) {
            fn(ctx, what, source->items[s++].name, GF_FACT_LACKING);
        } else if (order > 0) {
            fn(ctx, what, target->items[t++].name, GF_FACT_FURTHER);
        } else {
            if (!same_text(&source->items[s], &target->items[t]))
                fn(ctx, what, source->items[s].name, GF_FACT_DIFFERENT);
            s++;
            t++;
        }
    }
}

bool gf_facts_compare(const gf_facts_servers *servers, const gf_table *t, gf_facts_scope scope, gf_fact_fn *fn,
                      void *ctx, gf_error *err)
{
    const gf_server_info *source = servers->source_info, *target = servers->target_info;
    const struct pair p = {.source = source,
                           .target = target,
                           .same_family = source->flavor == target->flavor,
                           .same_version = strcmp(source->version_text, target->version_text) == 0,
                           .scope = scope};
    gf_buf there = {0}, here = {0};
    bool ok = true;

    for (int i = 0; ok && i < KINDS; i++) {
        struct facts of_source = {0}, of_target = {0};

        gf_buf_reset(&there);
        gf_buf_reset(&here);
        if (!kinds[i].ask(&there, &p, source, t->db, t->name) ||
            !kinds[i].ask(&here, &p, target, t->target_db, t->target_name))
            continue;
        ok = read_facts(&of_source, servers->source, "read a table's definition on the source", &there, err) &&
             read_facts(&of_target, servers->target, "read a table's definition on the target", &here, err);
        if (ok)
            compare(kinds[i].what, &of_source, &of_target, fn, ctx);
        free_facts(&of_source);
        free_facts(&of_target);
    }
    gf_buf_free(&there);
    gf_buf_free(&here);
    return ok;
}
