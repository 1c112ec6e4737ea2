/* SPDX-License-Identifier: MIT */
/*
 * load.c - the selected tables of a server, from information_schema.
 *
 * Per database one query each for tables, columns and unique keys, streamed: an equality on table_schema is what both
 * families answer without opening every table of the server. Rows come in any order; each finds its table by name.
 * SHOW CREATE TABLE takes a query per table. A table that vanishes in between is left out: its DROP is in the stream.
 *
 * The session gets an empty sql_mode meanwhile: ANSI_QUOTES and others change what SHOW CREATE TABLE prints, and
 * NO_BACKSLASH_ESCAPES how our own literals are read. And it gets texts as they are stored: in a definition not all of
 * it is UTF-8 (literals.h).
 */
#include "gfreplica/catalog.h"

#include <mysql.h>
#include <stdlib.h>

#include "gfreplica/server.h"

#define uthash_fatal(msg) gf_oom()
#include <uthash.h>

#include "column.h"
#include "literals.h"
#include "names.h"

#define NO_SUCH_TABLE 1146u

/* A table under construction. */
typedef struct {
    gf_table *table;    /* owned */
    char *key;          /* owned: its name on the server, folded if the server folds */
    unsigned *ordinals; /* owned: of table->columns, ascending */
    unsigned **seqs;    /* owned: per key in order of arrival, of its parts, ascending */
    unsigned seq_count;
    UT_hash_handle hh;
} draft;

typedef struct {
    MYSQL *server; /* borrowed, like the next two */
    const gf_filter *filter;
    gf_buf *left_out; /* NULL: nobody wants to know */
    gf_flavor flavor;
    unsigned long version;
    bool fold_case;                      /* the server's, not the filter's */
    const char *server_db, *server_name; /* what is asked for; name NULL: all selected ones */
    const char *db, *name;               /* what it is called; name NULL: as on the server */
    bool layouts;                        /* columns alone */
    draft *drafts;                       /* owned */
} loader;

typedef void row_function(loader *l, MYSQL_ROW row);

/* --- asking ------------------------------------------------------------------------------------------------------- */

/* The condition that every query ends with. */
static void add_condition(gf_buf *sql, const loader *l, const char *db_column, const char *name_column)
{
    gf_buf_printf(sql, " WHERE %s=", db_column);
    gf_buf_quote(sql, l->server_db, strlen(l->server_db));
    if (l->server_name != NULL) {
        gf_buf_printf(sql, " AND %s=", name_column);
        gf_buf_quote(sql, l->server_name, strlen(l->server_name));
    }
}

/* Results are not stored: the columns of 60,000 tables are more than we want to hold twice. */
static bool each_row(loader *l, const char *what, gf_buf *sql, row_function *use, gf_error *err)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW row;
    bool ok = false;

    if (mysql_real_query(l->server, (const char *)sql->data, sql->len) != 0 ||
        (result = mysql_use_result(l->server)) == NULL) {
        gf_fail_mysql(err, l->server, "load %s of %s", what, l->server_db);
        goto out;
    }
    while ((row = mysql_fetch_row(result)) != NULL)
        use(l, row);
    ok = mysql_errno(l->server) == 0;
    if (!ok)
        gf_fail_mysql(err, l->server, "load %s of %s", what, l->server_db);
out:
    mysql_free_result(result);
    gf_buf_free(sql);
    return ok;
}

/* --- drafts ------------------------------------------------------------------------------------------------------- */

static char *fold_name(const loader *l, const char *name)
{
    char *key = gf_strdup(name);

    for (char *p = key; l->fold_case && *p != '\0'; p++)
        *p = (char)fold_byte((uint8_t)*p);
    return key;
}

static draft *find_draft(loader *l, const char *name)
{
    char *key = fold_name(l, name);
    draft *d = NULL;

    HASH_FIND_STR(l->drafts, key, d);
    free(key);
    return d;
}

static draft *add_draft(loader *l, const char *name)
{
    draft *d = gf_calloc(1, sizeof *d);

    d->table = gf_table_new(l->db, l->name != NULL ? l->name : name);
    d->key = fold_name(l, name);
    HASH_ADD_KEYPTR(hh, l->drafts, d->key, strlen(d->key), d);
    return d;
}

static void free_draft(loader *l, draft *d)
{
    for (unsigned i = 0; i < d->seq_count; i++)
        free(d->seqs[i]);
    HASH_DEL(l->drafts, d);
    gf_table_free(d->table);
    free(d->seqs);
    free(d->ordinals);
    free(d->key);
    free(d);
}

/* The table becomes the caller's. */
static gf_table *release(draft *d)
{
    gf_table *t = d->table;

    d->table = NULL;
    return t;
}

static void free_drafts(loader *l)
{
    draft *d, *next;

    HASH_ITER (hh, l->drafts, d, next)
        free_draft(l, d);
}

/* Where `value` belongs in the ascending list, which grows by one for it. */
static unsigned insert_sorted(unsigned **list, unsigned count, unsigned value)
{
    unsigned at = count;

    *list = gf_realloc(*list, (count + 1) * sizeof **list);
    while (at > 0 && (*list)[at - 1] > value) {
        (*list)[at] = (*list)[at - 1];
        at--;
    }
    (*list)[at] = value;
    return at;
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

static bool wanted(const loader *l, const char *name)
{
    if (l->server_name != NULL)
        return same_name(l->server_name, name, l->fold_case);
    return gf_filter_table(l->filter, l->server_db, name);
}

static void leave_out(loader *l, const char *name, const char *kind)
{
    if (l->left_out == NULL)
        return;
    gf_buf_printf(l->left_out, "%s.%s: ", l->db, name);
    for (const char *p = kind; *p != '\0'; p++)
        gf_buf_byte(l->left_out, fold_byte((uint8_t)*p));
    gf_buf_byte(l->left_out, '\n');
}

static const char *text_or(const char *text, const char *otherwise)
{
    return text != NULL ? text : otherwise;
}

/* name, type, engine, collation, rows, bytes */
static void take_table(loader *l, MYSQL_ROW row)
{
    bool versioned = strcmp(text_or(row[1], ""), "SYSTEM VERSIONED") == 0;
    gf_table *t;

    if (!wanted(l, row[0]))
        return;
    if (!versioned && strcmp(text_or(row[1], ""), "BASE TABLE") != 0) {
        if (strcmp(text_or(row[1], ""), "SEQUENCE") != 0)
            leave_out(l, row[0], text_or(row[1], "unknown object"));
        return;
    }
    t = add_draft(l, row[0])->table;
    t->system_versioned = versioned;
    t->engine = gf_strdup(text_or(row[2], ""));
    t->collation = row[3] != NULL ? gf_strdup(row[3]) : NULL;
    t->row_estimate = strtoull(text_or(row[4], "0"), NULL, 10);
    t->data_bytes = strtoull(text_or(row[5], "0"), NULL, 10);
}

/* For an engine's guesses MariaDB opens each table: 4 s for 10,000 of them instead of 0.3 s. */
static bool load_tables(loader *l, gf_error *err)
{
    gf_buf sql = {0};

    gf_buf_printf(&sql, "SELECT TABLE_NAME,TABLE_TYPE,ENGINE,TABLE_COLLATION,%s FROM information_schema.TABLES",
                  l->layouts ? "NULL,NULL" : "TABLE_ROWS,DATA_LENGTH");
    add_condition(&sql, l, "TABLE_SCHEMA", "TABLE_NAME");
    return each_row(l, "tables", &sql, take_table, err);
}

/* --- columns ------------------------------------------------------------------------------------------------------ */

/* table, ordinal, then the facts in their order */
static void take_column(loader *l, MYSQL_ROW row)
{
    draft *d = find_draft(l, row[0]);
    gf_column_facts facts;
    gf_table *t;
    unsigned at;

    if (d == NULL)
        return;
    facts = (gf_column_facts){row[2], row[3], row[4],  row[5],  row[6],  row[7],
                              row[8], row[9], row[10], row[11], row[12], row[13]};
    t = d->table;
    at = insert_sorted(&d->ordinals, t->column_count, (unsigned)strtoul(row[1], NULL, 10));
    t->columns = gf_realloc(t->columns, (t->column_count + 1) * sizeof *t->columns);
    memmove(&t->columns[at + 1], &t->columns[at], (t->column_count - at) * sizeof *t->columns);
    t->column_count++;
    t->columns[at] = (gf_column){0};
    gf_column_fill(&t->columns[at], &facts);
    t->columns[at].json_types = l->filter->json_types && t->columns[at].type == GF_T_JSON;
}

static bool load_columns(loader *l, gf_error *err)
{
    gf_buf sql = {0};

    gf_buf_str(&sql, "SELECT TABLE_NAME,ORDINAL_POSITION,COLUMN_NAME,DATA_TYPE,COLUMN_TYPE,IS_NULLABLE,"
                     "CHARACTER_OCTET_LENGTH,NUMERIC_PRECISION,NUMERIC_SCALE,DATETIME_PRECISION,CHARACTER_SET_NAME,"
                     "COLLATION_NAME,EXTRA,GENERATION_EXPRESSION FROM information_schema.COLUMNS");
    add_condition(&sql, l, "TABLE_SCHEMA", "TABLE_NAME");
    return each_row(l, "columns", &sql, take_column, err);
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

static unsigned key_of(draft *d, const char *name)
{
    gf_table *t = d->table;
    unsigned i;

    for (i = 0; i < t->key_count; i++)
        if (strcmp(t->keys[i].name, name) == 0)
            return i;
    t->keys = gf_realloc(t->keys, (i + 1) * sizeof *t->keys);
    d->seqs = gf_realloc(d->seqs, (i + 1) * sizeof *d->seqs);
    t->keys[i] = (gf_key){.name = gf_strdup(name), .unique = true};
    d->seqs[i] = NULL;
    d->seq_count = ++t->key_count;
    return i;
}

static int column_index(const gf_table *t, const char *name)
{
    for (unsigned i = 0; i < t->column_count; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return (int)i;
    return -1;
}

static void add_part(gf_key *k, unsigned **seqs, unsigned seq, gf_key_part part)
{
    unsigned at = insert_sorted(seqs, k->part_count, seq);

    k->parts = gf_realloc(k->parts, (k->part_count + 1) * sizeof *k->parts);
    memmove(&k->parts[at + 1], &k->parts[at], (k->part_count - at) * sizeof *k->parts);
    k->parts[at] = part;
    k->part_count++;
}

/* MariaDB keeps uniqueness of what is too long for an index in a hash of its own, except where hashing is the engine's
   own kind of index. */
static bool is_hidden_hash(const loader *l, const gf_table *t, const char *index_type)
{
    return l->flavor == GF_FLAVOR_MARIADB && strcmp(index_type, "HASH") == 0 && strcasecmp(t->engine, "MEMORY") != 0;
}

/* table, key, sequence, column, direction, prefix, kind of index, usable by the optimizer, expression */
static void take_key_part(loader *l, MYSQL_ROW row)
{
    draft *d = find_draft(l, row[0]);
    unsigned i;
    int column;
    gf_key *k;

    if (d == NULL)
        return;
    i = key_of(d, row[1]);
    k = &d->table->keys[i];
    k->hashed = is_hidden_hash(l, d->table, text_or(row[6], ""));
    k->invisible = strcmp(text_or(row[7], "YES"), "YES") != 0;
    column = row[3] != NULL ? column_index(d->table, row[3]) : -1;
    if (row[8] != NULL || column < 0) { /* a column that we can't see is no better than an expression */
        k->functional = true;
        return;
    }
    add_part(k, &d->seqs[i], (unsigned)strtoul(row[2], NULL, 10),
             (gf_key_part){(unsigned)column, row[5] != NULL ? (unsigned)strtoul(row[5], NULL, 10) : 0,
                           strcmp(text_or(row[4], "A"), "D") == 0});
}

/* What tells whether the optimizer uses an index, "YES" if so; older servers always do. */
static const char *visible_column(const loader *l)
{
    if (l->flavor == GF_FLAVOR_MARIADB)
        return l->version >= 100600 ? "IF(IGNORED='YES','NO','YES')" : "'YES'";
    return l->version >= 80000 ? "IS_VISIBLE" : "'YES'";
}

static bool load_keys(loader *l, gf_error *err)
{
    bool expressions = l->flavor == GF_FLAVOR_MYSQL && l->version >= 80013;
    gf_buf sql = {0};

    gf_buf_printf(&sql,
                  "SELECT TABLE_NAME,INDEX_NAME,SEQ_IN_INDEX,COLUMN_NAME,COLLATION,SUB_PART,INDEX_TYPE,%s,%s "
                  "FROM information_schema.STATISTICS",
                  visible_column(l), expressions ? "EXPRESSION" : "NULL");
    add_condition(&sql, l, "TABLE_SCHEMA", "TABLE_NAME");
    gf_buf_str(&sql, " AND NON_UNIQUE=0");
    return each_row(l, "keys", &sql, take_key_part, err);
}

/* --- definitions -------------------------------------------------------------------------------------------------- */

/* *gone when there is no such table any more. */
static bool load_create(loader *l, draft *d, const char *server_name, bool *gone, gf_error *err)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW row;
    gf_buf sql = {0};
    bool ok = false;

    gf_buf_str(&sql, "SHOW CREATE TABLE ");
    gf_buf_ident(&sql, l->server_db);
    gf_buf_byte(&sql, '.');
    gf_buf_ident(&sql, server_name);
    *gone = false;
    if (mysql_real_query(l->server, (const char *)sql.data, sql.len) != 0 ||
        (result = mysql_store_result(l->server)) == NULL) {
        *gone = mysql_errno(l->server) == NO_SUCH_TABLE;
        ok = *gone || gf_fail_mysql(err, l->server, "read the definition of %s.%s", l->server_db, server_name);
        goto out;
    }
    row = mysql_fetch_row(result);
    ok = row != NULL && row[1] != NULL;
    gf_buf_reset(&sql);
    if (!ok)
        gf_fail(err, GF_ERR_DATA, "read the definition of %s.%s: the server gave none", l->server_db, server_name);
    else if (!gf_literals_to_utf8(&sql, row[1]))
        ok = gf_fail(err, GF_ERR_CONFIG,
                     "the definition of %s.%s has bytes in it that are no UTF-8: leave the table out, or alter it",
                     l->server_db, server_name);
    else
        d->table->create_sql = gf_strdup(gf_buf_cstr(&sql));
out:
    mysql_free_result(result);
    gf_buf_free(&sql);
    return ok;
}

/*
 * MariaDB's key WITHOUT OVERLAPS forbids more than equal values, and information_schema shows it like any other. Only
 * the definition tells: in the key's own line, for SHOW CREATE TABLE writes newlines in texts as \n.
 */
static bool forbids_overlaps(const gf_table *t, const gf_key *k)
{
    gf_buf start = {0};
    const char *line, *end, *found;

    gf_buf_str(&start, strcmp(k->name, "PRIMARY") == 0 ? "\n  PRIMARY KEY " : "\n  UNIQUE KEY ");
    if (strcmp(k->name, "PRIMARY") != 0)
        gf_buf_ident(&start, k->name);
    line = strstr(t->create_sql, gf_buf_cstr(&start));
    end = line != NULL ? strchr(line + 1, '\n') : NULL;
    found = line != NULL ? strstr(line, " WITHOUT OVERLAPS)") : NULL;
    gf_buf_free(&start);
    return found != NULL && end != NULL && found < end;
}

static int by_key_name(const void *a, const void *b)
{
    const gf_key *ka = a, *kb = b;
    bool pa = strcmp(ka->name, "PRIMARY") == 0, pb = strcmp(kb->name, "PRIMARY") == 0;

    return pa != pb ? (int)pb - (int)pa : strcmp(ka->name, kb->name);
}

/* Keys come in no order that is the same on all servers: PRIMARY, then by name. */
static void finish_table(loader *l, gf_table *t, const char *server_name)
{
    if (t->key_count > 0)
        qsort(t->keys, t->key_count, sizeof *t->keys, by_key_name);
    for (unsigned i = 0; i < t->key_count; i++) {
        if (t->keys[i].hashed)
            t->hidden_columns++;
        if (l->flavor == GF_FLAVOR_MARIADB && forbids_overlaps(t, &t->keys[i]))
            t->keys[i].functional = true;
    }
    gf_table_finish(t, gf_filter_target_db(l->filter, l->db),
                    gf_filter_target_table(l->filter, l->name != NULL ? l->name : server_name));
}

/* Finish the drafts; those that have vanished meanwhile are dropped. */
static bool finish_drafts(loader *l, gf_error *err)
{
    draft *d, *next;
    bool gone;

    HASH_ITER (hh, l->drafts, d, next) {
        const char *server_name = l->name != NULL ? l->server_name : d->table->name;

        gone = d->table->column_count == 0;
        if (!gone && !l->layouts && !load_create(l, d, server_name, &gone, err))
            return false;
        if (gone)
            free_draft(l, d);
        else
            finish_table(l, d->table, server_name);
    }
    return true;
}

static bool load_drafts(loader *l, gf_error *err)
{
    return load_tables(l, err) && (l->drafts == NULL || (load_columns(l, err) && (l->layouts || load_keys(l, err)))) &&
           finish_drafts(l, err);
}

/* --- what is left out --------------------------------------------------------------------------------------------- */

static void take_object(loader *l, MYSQL_ROW row)
{
    if (row[2] == NULL || gf_filter_table(l->filter, l->server_db, row[2]))
        leave_out(l, row[0], row[1]);
}

static const struct {
    const char *select, *db_column;
} objects[] = {
    {"SELECT ROUTINE_NAME,ROUTINE_TYPE,NULL FROM information_schema.ROUTINES", "ROUTINE_SCHEMA"},
    {"SELECT EVENT_NAME,'event',NULL FROM information_schema.EVENTS", "EVENT_SCHEMA"},
    {"SELECT TRIGGER_NAME,'trigger',EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS", "TRIGGER_SCHEMA"},
};

/* Only what our grants let us see: without EXECUTE, EVENT or TRIGGER the servers show nothing, and no error. */
static bool name_objects(loader *l, gf_error *err)
{
    for (size_t i = 0; l->left_out != NULL && i < sizeof objects / sizeof objects[0]; i++) {
        gf_buf sql = {0};

        gf_buf_str(&sql, objects[i].select);
        add_condition(&sql, l, objects[i].db_column, "");
        if (!each_row(l, "routines, events and triggers", &sql, take_object, err))
            return false;
    }
    return true;
}

/* --- session ------------------------------------------------------------------------------------------------------ */

static bool run(MYSQL *server, const char *sql, gf_error *err)
{
    return gf_server_run(server, "prepare to load tables", gf_slice_str(sql), err);
}

/* MySQL: fresh row estimates instead of those cached for a day; generated invisible primary keys are columns of row
   events, so they have to be in the lists. */
static bool begin_session(loader *l, gf_error *err)
{
    char *fold = NULL;

    l->version = mysql_get_server_version(l->server);
    if (!run(l->server,
             "SET @gfreplica_sql_mode=@@session.sql_mode,@@session.sql_mode='',@@session.sql_quote_show_create=1,"
             "@gfreplica_results=@@session.character_set_results,@@session.character_set_results=NULL",
             err))
        return false;
    if (l->flavor == GF_FLAVOR_MYSQL && l->version >= 80000 &&
        !run(l->server, "SET @@session.information_schema_stats_expiry=0", err))
        return false;
    if (l->flavor == GF_FLAVOR_MYSQL && l->version >= 80030 &&
        !run(l->server, "SET @@session.show_gipk_in_create_table_and_information_schema=ON", err))
        return false;
    if (!gf_server_scalar(&fold, l->server, "read lower_case_table_names", err, "SELECT @@lower_case_table_names"))
        return false;
    l->fold_case = fold != NULL && strcmp(fold, "0") != 0;
    free(fold);
    return true;
}

static bool end_session(loader *l, gf_error *err)
{
    return run(l->server,
               "SET @@session.sql_mode=@gfreplica_sql_mode,@@session.character_set_results=@gfreplica_results", err);
}

/* --- the ways in ------------------------------------------------------------------------------------------------- */

static bool load_database(loader *l, gf_catalog *c, const char *db, gf_error *err)
{
    draft *d, *next;
    bool ok;

    l->server_db = l->db = db;
    ok = load_drafts(l, err) && name_objects(l, err);
    HASH_ITER (hh, l->drafts, d, next) {
        if (ok)
            gf_catalog_put(c, release(d));
        free_draft(l, d);
    }
    return ok;
}

/* Owned names of the databases that the filter selects; *count of them. */
static bool list_databases(loader *l, gf_names *out, gf_error *err)
{
    MYSQL_RES *result =
        gf_server_query(l->server, "list databases", err, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA");
    MYSQL_ROW row;

    if (result == NULL)
        return false;
    out->items = gf_calloc(mysql_num_rows(result) + 1, sizeof *out->items);
    while ((row = mysql_fetch_row(result)) != NULL)
        if (gf_filter_db(l->filter, row[0]))
            out->items[out->count++] = gf_strdup(row[0]);
    mysql_free_result(result);
    return true;
}

static bool load_all(gf_catalog *c, loader *l, gf_error *err)
{
    gf_filter filter = *l->filter; /* names are compared as this server does */
    gf_names dbs = {0};
    bool ok = false;

    l->filter = &filter;
    if (!begin_session(l, err))
        return false;
    if (l->fold_case) {
        filter.fold_case = true;
        gf_catalog_fold_case(c);
    }
    if (!list_databases(l, &dbs, err))
        goto out;
    for (size_t i = 0; i < dbs.count; i++)
        if (!load_database(l, c, dbs.items[i], err))
            goto out;
    ok = end_session(l, err);
out:
    free_drafts(l);
    for (size_t i = 0; i < dbs.count; i++)
        free(dbs.items[i]);
    free(dbs.items);
    return ok;
}

bool gf_catalog_load(gf_catalog *c, MYSQL *source, gf_flavor flavor, const gf_filter *f, gf_buf *left_out,
                     gf_error *err)
{
    loader l = {.server = source, .filter = f, .left_out = left_out, .flavor = flavor};

    return load_all(c, &l, err);
}

bool gf_catalog_load_layouts(gf_catalog *c, MYSQL *source, gf_flavor flavor, const gf_filter *f, gf_error *err)
{
    loader l = {.server = source, .filter = f, .flavor = flavor, .layouts = true};

    return load_all(c, &l, err);
}

bool gf_catalog_load_table(gf_table **out, MYSQL *server, gf_flavor flavor, const gf_filter *f, const char *db,
                           const char *name, const char *server_db, const char *server_name, gf_error *err)
{
    loader l = {.server = server,
                .filter = f,
                .flavor = flavor,
                .server_db = server_db,
                .server_name = server_name,
                .db = db,
                .name = name};
    bool ok;

    *out = NULL;
    if (!begin_session(&l, err))
        return false;
    ok = load_drafts(&l, err) && end_session(&l, err);
    if (ok && l.drafts != NULL)
        *out = release(l.drafts);
    free_drafts(&l);
    return ok;
}
