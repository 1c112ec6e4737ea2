/* SPDX-License-Identifier: MIT */
/*
 * barrier_look.c - what the target has of the tables that a statement names: is it what the source had, and has the
 * statement been executed already?
 *
 * Two short texts answer the second question, written before the statement runs and again when nobody knows any more: a
 * line of hashes for the statement, one for each table's SHOW CREATE TABLE.
 */
#include <stdlib.h>

#include "barrier_parts.h"
#include "definitions.h"

bool gf_barrier_load(gf_table **out, const gf_barrier *b, const char *db, const char *name, gf_error *err)
{
    return gf_catalog_load_table(out, b->links[GF_LINK_CONTROL], b->opt.target->flavor, &b->opt.config->filter, db,
                                 name, db, name, err) ||
           gf_fail_context(err, "read a definition from the target");
}

static void add_hash(gf_buf *out, const void *data, size_t len)
{
    gf_buf_printf(out, "%016llx%016llx\n", (unsigned long long)gf_hash(data, len, 0),
                  (unsigned long long)gf_hash(data, len, 0x64646c));
}

/* A line for a table, "-" for none. */
static void add_print(gf_buf *out, const gf_table *t)
{
    gf_buf text = {0};

    if (t == NULL) {
        gf_buf_str(out, "-\n");
        return;
    }
    gf_definition_text(&text, t->create_sql);
    add_hash(out, text.data, text.len);
    gf_buf_free(&text);
}

/* Which statement: the same one is delivered again after a crash, by whatever server has taken the source's place. */
void gf_barrier_print_statement(gf_buf *out, const gf_barrier *b)
{
    gf_buf text = {0};

    if (b->txn->gtid[0] != '\0')
        gf_buf_str(&text, b->txn->gtid);
    else
        gf_buf_printf(&text, "%s:%llu", b->txn->file, (unsigned long long)b->txn->offset);
    gf_buf_byte(&text, '\n');
    gf_buf_slice(&text, b->s->sql);
    add_hash(out, text.data, text.len);
    gf_buf_free(&text);
}

/* Else its outcome there says nothing of the source. */
static bool same_table(const gf_touched *t, const gf_table *there, gf_error *err)
{
    if ((t->old == NULL) != (there == NULL))
        return gf_fail(err, GF_ERR_DATA, "%s.%s is %son the target", t->db, t->name,
                       there == NULL ? "not " : "already ");
    if (there == NULL || gf_definition_same(t->old, there))
        return true;
    return gf_fail(err, GF_ERR_DATA, "%s.%s is not defined on the target as on the source", t->db, t->name);
}

static bool look_at_like(const gf_barrier *b, gf_error *err)
{
    const gf_stmt_object *o = b->s->like;
    gf_table *there = NULL;
    gf_touched t = {0};
    bool ok;

    if (o == NULL)
        return true;
    t.db = gf_strndup(o->db, o->db_len);
    t.name = gf_strndup(o->table, o->table_len);
    t.old = gf_catalog_find(b->opt.catalog, t.db, o->db_len, t.name, o->table_len);
    ok = gf_barrier_load(&there, b, t.db, t.name, err) && same_table(&t, there, err);
    gf_table_free(there);
    free(t.db);
    free(t.name);
    return ok;
}

/* The target's tables as lines of hashes; compared with ours unless the statement may have been there already. */
bool gf_barrier_look(gf_buf *prints, const gf_barrier *b, bool compare, gf_error *err)
{
    for (size_t i = 0; i < b->count; i++) {
        const gf_touched *t = &b->tables[i];
        gf_table *there;
        bool ok;

        if (!gf_barrier_load(&there, b, t->db, t->name, err))
            return false;
        ok = !compare || same_table(t, there, err);
        add_print(prints, there);
        gf_table_free(there);
        if (!ok)
            return false;
    }
    return !compare || look_at_like(b, err);
}
