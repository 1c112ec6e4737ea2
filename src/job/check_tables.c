/* SPDX-License-Identifier: MIT */
/*
 * check_tables.c - what stands against moving this or that table.
 */
#include <stdlib.h>
#include <strings.h>

#include "check_parts.h"
#include "databases.h"
#include "facts.h"
#include "gfreplica/target.h"

/* ---- what we can't move ---- */

static void check_versioned(gf_check *c)
{
    gf_check_names names = {0};

    for (size_t i = 0; i < c->table_count; i++)
        if (c->tables[i]->system_versioned)
            gf_check_name(&names, c->tables[i]->label);
    if (names.count > 0)
        gf_check_problem(c, "source: system-versioned tables can't be moved with their history yet: %s: leave them out",
                         gf_check_names_text(&names));
    gf_check_names_free(&names);
}

static void check_types(gf_check *c)
{
    for (size_t i = 0; i < c->table_count; i++) {
        const gf_table *t = c->tables[i];

        for (unsigned k = 0; k < t->column_count; k++)
            if (t->columns[k].type == GF_T_UNKNOWN)
                gf_check_problem(c,
                                 "source: %s: column %s is of a type that is not supported (%s): leave the table out",
                                 t->label, t->columns[k].name, t->columns[k].type_text);
    }
}

/* A job that an older version began has its tables without the types. */
static bool has_types(const gf_check *c, const gf_column *col)
{
    return gf_server_json_types(c->source_info, c->target_info) && (col->json_types || !c->resuming);
}

/* Without the types inside only a document's text arrives; to MariaDB, that is all that there is to it. */
static void check_documents(gf_check *c)
{
    gf_check_names printed = {0}, keyless = {0};

    for (size_t i = 0; i < c->table_count && c->target_info->flavor == GF_FLAVOR_MYSQL; i++) {
        const gf_table *t = c->tables[i];

        for (unsigned k = 0; k < t->column_count; k++) {
            const gf_column *col = &t->columns[k];

            if (col->type == GF_T_JSON && !has_types(c, col))
                gf_check_name_of(&printed, t, col->name);
            else if (col->type == GF_T_JSON && t->identity < 0)
                gf_check_name_of(&keyless, t, col->name);
        }
    }
    if (printed.count > 0)
        gf_check_warning(
            c,
            "source: JSON columns %s: documents arrive printing alike, but what JSON text does not tell apart "
            "may have another JSON_TYPE inside: a date or binary string is a string then, an unsigned "
            "integer an integer, a decimal a double",
            gf_check_names_text(&printed));
    if (keyless.count > 0)
        gf_check_warning(
            c,
            "source: JSON columns %s, of tables without a key: rows that differ in nothing but types inside "
            "a document (a date and a string that prints like it) are taken for each other when one of "
            "them is changed: add a key if there are such",
            gf_check_names_text(&keyless));
    gf_check_names_free(&printed);
    gf_check_names_free(&keyless);
}

/* MariaDB refuses REPLACE and LOAD DATA there; a table without another key is written by INSERT. */
static void check_overlaps(gf_check *c)
{
    for (size_t i = 0; i < c->table_count && c->source_info->flavor == GF_FLAVOR_MARIADB; i++) {
        const gf_table *t = c->tables[i];

        for (unsigned k = 0; k < t->key_count && t->identity >= 0; k++)
            if (t->keys[k].functional)
                gf_check_problem(c,
                                 "source: %s: rows can't be written again under its key %s, WITHOUT OVERLAPS (MariaDB "
                                 "has no REPLACE there): drop the key until the cutover, or leave the table out",
                                 t->label, t->keys[k].name);
    }
}

static bool has_wide_characters(const gf_column *col)
{
    static const char *const wide[] = {"utf8mb4", "utf16", "utf16le", "utf32", "gb18030", "binary"};

    for (size_t i = 0; col->charset != NULL && i < sizeof wide / sizeof wide[0]; i++)
        if (strcmp(col->charset, wide[i]) == 0)
            return true;
    return false;
}

static bool member_has_mark(const gf_column *col)
{
    for (unsigned m = 0; m < col->member_count; m++)
        if (strchr(col->members[m], '?') != NULL)
            return true;
    return false;
}

/* "DEFAULT 'text'" with one in the text. */
static bool default_has_mark(const gf_table *t, const gf_column *col)
{
    static const char word[] = " DEFAULT '";
    gf_slice line = gf_check_column_line(t, col);
    const uint8_t *end = line.data + line.len, *p;

    p = line.len > 0 ? memmem(line.data, line.len, word, strlen(word)) : NULL;
    if (p == NULL)
        return false;
    for (p += strlen(word); p < end && *p != '?'; p++) {
        if (*p == '\'' && (p + 1 == end || p[1] != '\''))
            return false;
        p += *p == '\'' || *p == '\\';
    }
    return p < end;
}

/* A missing SELECT is told among the grants. */
static bool is_denied(MYSQL *db)
{
    enum { ER_TABLEACCESS_DENIED = 1142 };

    return mysql_errno(db) == ER_TABLEACCESS_DENIED;
}

/* What a row has that names no value tells it; false too when there is no row to ask. */
static bool default_is_plain(bool *plain, gf_check *c, const gf_table *t, const gf_column *col, gf_error *err)
{
    gf_buf name = {0};
    char *hex = NULL;
    bool ok;

    gf_buf_ident(&name, col->name);
    ok = gf_server_scalar(&hex, c->source, t->label, err,
                          "SELECT HEX(CONVERT(DEFAULT(%s) USING utf8mb4)) FROM %s LIMIT 1", gf_buf_cstr(&name),
                          t->source_sql) ||
         is_denied(c->source);
    *plain = hex != NULL;
    for (const char *p = hex; *plain && *p != '\0'; p += 2)
        *plain = *p != 'F'; /* the first of four bytes */
    free(hex);
    gf_buf_free(&name);
    return ok;
}

/* The servers print members in three-byte UTF-8, many of them defaults as well: an emoji becomes a question mark, and we
   would make another table. A member '?' that is one can't be told from it. */
static bool check_printed(gf_check *c, const gf_table *t, gf_error *err)
{
    for (unsigned k = 0; k < t->column_count; k++) {
        const gf_column *col = &t->columns[k];
        bool member = member_has_mark(col), plain = false;

        if (!has_wide_characters(col) || (!member && !default_has_mark(t, col)))
            continue;
        if (!member && !default_is_plain(&plain, c, t, col, err))
            return false;
        if (!plain)
            gf_check_problem(
                c,
                "source: %s: column %s has a '?' in its %s, as which servers print characters beyond "
                "three-byte UTF-8 too: create the table on the target yourself, from your own schema; then "
                "it is used as it is",
                t->label, col->name, member ? "members" : "default");
    }
    return true;
}

/* Engines whose tables show rows that are kept elsewhere: in other tables, on other servers, in files, nowhere. Rows would
   be written twice, or far from the target. */
static const char *const borrowing[] = {"MRG_MyISAM", "FEDERATED", "CONNECT", "SPIDER",
                                        "SPHINX",     "OQGRAPH",   "S3",      "BLACKHOLE"};

static bool borrows(const gf_table *t)
{
    for (size_t i = 0; i < sizeof borrowing / sizeof borrowing[0]; i++)
        if (strcasecmp(t->engine, borrowing[i]) == 0)
            return true;
    return false;
}

static void check_borrowing(gf_check *c)
{
    for (size_t i = 0; i < c->table_count; i++)
        if (borrows(c->tables[i]))
            gf_check_problem(c, "source: %s: engine %s keeps no rows of its own: leave it out and create it by hand",
                             c->tables[i]->label, c->tables[i]->engine);
}

/* ---- keys and engines ---- */

static bool may_lock(const gf_check *c, const gf_table *t)
{
    const gf_grants *g = &c->source_grants;

    return (gf_grants_have(g, "RELOAD", NULL, NULL) || gf_grants_have(g, "FLUSH TABLES", NULL, NULL)) &&
           gf_grants_have(g, "LOCK TABLES", t->db, NULL);
}

/* Rule K: one exact snapshot, and a marker that knows which changes are in it. */
static void check_keyless(gf_check *c, const gf_table *t, gf_check_names *allowed)
{
    static const char none[] = "has no primary key and no other unique NOT NULL key to name its rows by";

    if (!c->marker)
        gf_check_problem(c,
                         "source: %s %s, and without a marker on the target its changes can't be applied exactly once: "
                         "add a key, leave it out, or allow the marker",
                         t->label, none);
    else if (!t->transactional)
        gf_check_problem(c,
                         "source: %s %s, and what was written of it in engine %s can't be rolled back, so it could be "
                         "written twice: add a key or leave it out",
                         t->label, none, t->engine);
    else if (c->source_info->flavor == GF_FLAVOR_MYSQL && !c->config->lock_keyless)
        gf_check_problem(c,
                         "source: %s %s: add a key, leave it out, or allow that writes to it wait for a moment "
                         "(--lock-keyless-tables)",
                         t->label, none);
    else if (c->source_info->flavor == GF_FLAVOR_MYSQL && !may_lock(c, t))
        gf_check_problem(c,
                         "source: %s %s, and the right to lock it for a moment is missing: GRANT RELOAD ON *.* TO %s; "
                         "GRANT LOCK TABLES ON `%s`.* TO %s",
                         t->label, none, c->source_grants.user, t->db, c->source_grants.user);
    else
        gf_check_name(allowed, t->label);
}

static void check_keys(gf_check *c)
{
    gf_check_names keyless = {0}, engines = {0};

    for (size_t i = 0; i < c->table_count; i++) {
        const gf_table *t = c->tables[i];

        if (t->identity < 0 && !t->system_versioned && !c->begun)
            check_keyless(c, t, &keyless);
        if (!t->transactional)
            gf_check_name(&engines, t->label);
    }
    if (keyless.count > 0)
        gf_check_warning(c,
                         "source: tables without a key are copied in one piece each, and their changes found by all "
                         "columns, which is slow: %s",
                         gf_check_names_text(&keyless));
    if (engines.count > 0)
        gf_check_warning(c, "source: engines without transactions: these tables end equal but may differ meanwhile: %s",
                         gf_check_names_text(&engines));
    gf_check_names_free(&keyless);
    gf_check_names_free(&engines);
}

/* ---- what the target lacks ---- */

static bool engine_known(gf_check *c, bool *known, const char *name, gf_error *err)
{
    char *support = NULL;
    gf_buf sql = {0};
    bool ok;

    gf_buf_str(&sql, "SELECT SUPPORT FROM information_schema.ENGINES WHERE ENGINE=");
    gf_buf_quote(&sql, name, strlen(name));
    ok = gf_server_scalar(&support, c->target, "look for an engine", err, "%s", gf_buf_cstr(&sql));
    *known = support != NULL && (strcasecmp(support, "YES") == 0 || strcasecmp(support, "DEFAULT") == 0);
    free(support);
    gf_buf_free(&sql);
    return ok;
}

static bool check_engines(gf_check *c, gf_error *err)
{
    gf_check_usages used = {0};
    bool known, ok = true;

    for (size_t i = 0; i < c->table_count; i++)
        gf_check_use(&used, c->tables[i]->engine, c->tables[i]->label);
    for (size_t i = 0; ok && i < used.count; i++) {
        ok = engine_known(c, &known, used.items[i].name, err);
        if (ok && !known)
            gf_check_problem(c,
                             "target: it has no engine %s, used by %s: install it, change the tables' engine, or leave "
                             "them out",
                             used.items[i].name, gf_check_names_text(&used.items[i].users));
    }
    gf_check_usages_free(&used);
    return ok;
}

/* MySQL lets a table without transactions be written by a statement of its own only, never beside others or the marker:
   in such a transaction it could not say by one GTID what was done. */
static bool check_gtid_consistency(gf_check *c, gf_error *err)
{
    gf_check_names names = {0};
    char *value = NULL;

    for (size_t i = 0; i < c->table_count; i++)
        if (!c->tables[i]->transactional)
            gf_check_name(&names, c->tables[i]->label);
    if (names.count > 0 && !gf_check_variable(&value, c->target, "enforce_gtid_consistency", err)) {
        gf_check_names_free(&names);
        return false;
    }
    if (value != NULL && (strcasecmp(value, "ON") == 0 || strcmp(value, "1") == 0))
        gf_check_problem(
            c,
            "target: enforce_gtid_consistency is ON, so that rows of engines without transactions can't be "
            "written together with others: %s: give them ENGINE=InnoDB, leave them out, or use a target "
            "without it",
            gf_check_names_text(&names));
    free(value);
    gf_check_names_free(&names);
    return true;
}

/* Collations are told above, once for all tables: a definition is tried with those that are missing left aside. */
static bool is_about_collation(const gf_error *err)
{
    return strstr(err->text, "--map-collation") != NULL;
}

/* One of the operator's own making is compared when its turn comes; how ours would look does not matter then. */
static bool is_there(gf_check *c, const gf_table *t)
{
    gf_buf sql = {0};
    gf_error ignored;
    char *found = NULL;
    bool asked;

    gf_buf_str(&sql, "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA=");
    gf_buf_quote(&sql, t->target_db, strlen(t->target_db));
    gf_buf_str(&sql, " AND TABLE_NAME=");
    gf_buf_quote(&sql, t->target_name, strlen(t->target_name));
    asked = gf_server_scalar(&found, c->target, "look for a table", &ignored, "%s", gf_buf_cstr(&sql));
    asked = asked && found != NULL;
    gf_buf_free(&sql);
    free(found);
    return asked;
}

static void check_definitions(gf_check *c)
{
    for (size_t i = 0; i < c->table_count; i++) {
        const gf_table *t = c->tables[i];
        char *sql = NULL;
        gf_error err;

        if (t->create_sql == NULL || t->system_versioned)
            continue;
        if (!gf_target_create_sql(&sql, t, c->config, c->source_info, c->target_info, &err) &&
            !is_about_collation(&err) && !is_there(c, t))
            gf_check_problem(c, "target: %s", err.text);
        free(sql);
    }
}

/* ---- names on the target ---- */

static bool fold_target(const gf_check *c)
{
    return c->target_info->lower_case != 0;
}

static int compare_names(const char *a, const char *b, bool fold)
{
    return fold ? strcasecmp(a, b) : strcmp(a, b);
}

static int by_target(const void *a, const void *b, void *fold)
{
    const gf_table *x = *(const gf_table *const *)a, *y = *(const gf_table *const *)b;
    int order = compare_names(x->target_db, y->target_db, *(bool *)fold);

    return order != 0 ? order : compare_names(x->target_name, y->target_name, *(bool *)fold);
}

static void check_collisions(gf_check *c)
{
    bool fold = fold_target(c);
    const gf_table **sorted = gf_calloc(c->table_count + 1, sizeof(const gf_table *));

    for (size_t i = 0; i < c->table_count; i++)
        sorted[i] = c->tables[i];
    qsort_r(sorted, c->table_count, sizeof(const gf_table *), by_target, &fold);
    for (size_t i = 1; i < c->table_count; i++)
        if (by_target(&sorted[i - 1], &sorted[i], &fold) == 0)
            gf_check_problem(c, "target: %s and %s both become %s.%s: rename one or leave it out", sorted[i - 1]->label,
                             sorted[i]->label, sorted[i]->target_db, sorted[i]->target_name);
    free(sorted);
}

static void check_marker_name(gf_check *c)
{
    for (size_t i = 0; !c->config->no_marker && i < c->table_count; i++)
        if (compare_names(c->tables[i]->target_db, c->config->marker_db, fold_target(c)) == 0) {
            gf_check_problem(c, "target: %s would go into the marker's own database %s: rename one of them",
                             c->tables[i]->label, c->config->marker_db);
            return;
        }
}

/* Of the tables first..end, which go to one target database: that of this name there; end: none. */
static size_t find_target(const gf_check *c, size_t first, size_t end, char *name)
{
    const gf_table wanted = {.target_db = c->tables[first]->target_db, .target_name = name}, *key = &wanted;
    bool fold = fold_target(c);
    size_t low = first, high = end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = by_target(&key, &c->tables[middle], &fold);

        if (order == 0)
            return middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return end;
}

/* One question for a whole target database, whose tables are first..end: rows of (table's name, value); the value of
   each that is ours goes to values[i], owned. select ends with a condition's "column=". */
static bool ask_database(gf_check *c, size_t first, size_t end, char **values, const char *what, const char *select,
                         gf_error *err)
{
    const char *db = c->tables[first]->target_db;
    gf_buf sql = {0};
    MYSQL_RES *result;
    MYSQL_ROW row;

    gf_buf_str(&sql, select);
    gf_buf_quote(&sql, db, strlen(db));
    result = gf_server_query(c->target, what, err, "%s", gf_buf_cstr(&sql));
    gf_buf_free(&sql);
    if (result == NULL)
        return false;
    while ((row = mysql_fetch_row(result)) != NULL) {
        size_t i = row[0] == NULL ? end : find_target(c, first, end, row[0]);

        if (i == end)
            continue;
        free(values[i]);
        values[i] = gf_strdup(row[1] != NULL ? row[1] : "");
    }
    mysql_free_result(result);
    return true;
}

static bool any_there(char *const *kinds, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        if (kinds[i] != NULL)
            return true;
    return false;
}

/* Names on the target that are ours, and triggers on them: kinds[i], triggers[i] for table i. */
static bool list_existing(gf_check *c, size_t first, size_t end, char **kinds, char **triggers, gf_error *err)
{
    return ask_database(c, first, end, kinds, "list the target's tables",
                        "SELECT TABLE_NAME,TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA=", err) &&
           (!any_there(kinds, first, end) ||
            ask_database(c, first, end, triggers, "look for triggers of the target",
                         "SELECT EVENT_OBJECT_TABLE,TRIGGER_NAME FROM information_schema.TRIGGERS WHERE "
                         "EVENT_OBJECT_SCHEMA=",
                         err));
}

/* What a trigger of the source did is in the binlog, and in the rows copied: one on the target would do it again.
   MariaDB shows triggers to whoever may read the table, MySQL to those with TRIGGER alone. */
static void check_triggers(gf_check *c, const gf_table *t, const char *trigger, gf_check_names *unseen)
{
    if (trigger != NULL && c->config->allow_existing)
        gf_check_warning(c, "target: %s.%s has a trigger (%s), which is run again for each row", t->target_db,
                         t->target_name, trigger);
    else if (trigger != NULL)
        gf_check_problem(c,
                         "target: %s.%s has a trigger (%s), which would change rows once more: drop it, and create it "
                         "after the cutover, or allow it (AllowExistingTargetTable)",
                         t->target_db, t->target_name, trigger);
    else if (c->target_info->flavor == GF_FLAVOR_MYSQL &&
             !gf_grants_have(&c->target_grants, "TRIGGER", t->target_db, t->target_name))
        gf_check_name(unseen, t->target_sql);
}

static bool check_alike(gf_check *c, const gf_table *t, gf_error *err)
{
    gf_buf differences = {0};
    bool ok = gf_target_differences(&differences, c->target, c->config, c->target_info, t, err);

    if (ok && differences.len > 0)
        gf_check_problem(c,
                         "target: %s.%s is not like the source's %s: %s: drop it, so that it is made anew, or alter it",
                         t->target_db, t->target_name, t->label, gf_buf_cstr(&differences));
    gf_buf_free(&differences);
    return ok || is_denied(c->target);
}

struct unlike {
    gf_check *check;
    const gf_table *table;
};

static void on_fact(void *ctx, const char *what, const char *name, gf_fact_difference how)
{
    const struct unlike *u = ctx;
    static const char *const is[] = {[GF_FACT_LACKING] = "is not there",
                                     [GF_FACT_DIFFERENT] = "is another one",
                                     [GF_FACT_FURTHER] = "is not the source's"};

    if (strcmp(what, GF_FACT_EXPRESSION) == 0) {
        gf_check_problem(
            u->check,
            "target: %s.%s is there already, and its %s `%s` %s: drop the table, so that it is made anew, or "
            "alter it",
            u->table->target_db, u->table->target_name, what, name, is[how]);
        return;
    }
    gf_check_warning(u->check, "target: %s.%s is there already, and its %s `%s` %s: it stays as it is",
                     u->table->target_db, u->table->target_name, what, name, is[how]);
}

/* What decides over no row that is moved; but for what is computed of one. */
static bool tell_unlike(gf_check *c, const gf_table *t, gf_error *err)
{
    const gf_facts_servers servers = {c->source, c->target, c->source_info, c->target_info};
    struct unlike u = {c, t};

    return gf_facts_compare(&servers, t, GF_FACTS_BUT_KEYS, on_fact, &u, err) || is_denied(c->target);
}

static bool check_existing(gf_check *c, const gf_table *t, const char *kind, gf_check_names *full, gf_error *err)
{
    bool rows;

    if (strcmp(kind, "BASE TABLE") != 0) {
        gf_check_problem(c, "target: %s.%s is there already and is no table (%s): drop it or rename %s", t->target_db,
                         t->target_name, kind, t->label);
        return true;
    }
    if (!check_alike(c, t, err) || !tell_unlike(c, t, err))
        return false;
    if (c->config->allow_existing)
        return true;
    if (!gf_target_has_rows(&rows, c->target, t, err))
        return is_denied(c->target);
    if (rows) {
        char *name = gf_asprintf("%s.%s", t->target_db, t->target_name);

        gf_check_name(full, name);
        free(name);
    }
    return true;
}

static bool check_free_names(gf_check *c, gf_error *err)
{
    bool fold = fold_target(c), ok = true;
    char **kinds = gf_calloc(c->table_count + 1, sizeof *kinds);
    char **triggers = gf_calloc(c->table_count + 1, sizeof *triggers);
    gf_check_names full = {0}, unseen = {0};

    qsort_r(c->tables, c->table_count, sizeof(const gf_table *), by_target, &fold);
    for (size_t first = 0, i = 1; ok && i <= c->table_count; i++) {
        if (i < c->table_count && compare_names(c->tables[i]->target_db, c->tables[first]->target_db, fold) == 0)
            continue;
        ok = list_existing(c, first, i, kinds, triggers, err);
        first = i;
    }
    for (size_t i = 0; ok && i < c->table_count; i++) {
        if (kinds[i] == NULL) {
            ok = check_printed(c, c->tables[i], err);
            continue;
        }
        ok = check_existing(c, c->tables[i], kinds[i], &full, err);
        check_triggers(c, c->tables[i], triggers[i], &unseen);
    }
    if (full.count > 0)
        gf_check_problem(c,
                         "target: tables hold rows already: %s: empty them (they need not be dropped), or allow it "
                         "(AllowExistingTargetTable)",
                         gf_check_names_text(&full));
    if (unseen.count > 0)
        gf_check_warning(
            c,
            "target: see that tables which are there already have no triggers, they would change rows once "
            "more (%s): to have it looked at, GRANT TRIGGER ON their database TO %s",
            gf_check_names_text(&unseen), c->target_grants.user);
    gf_check_names_free(&full);
    gf_check_names_free(&unseen);
    for (size_t i = 0; i < c->table_count; i++) {
        free(kinds[i]);
        free(triggers[i]);
    }
    free(kinds);
    free(triggers);
    return ok;
}

bool gf_check_tables(gf_check *c, gf_error *err)
{
    check_versioned(c);
    check_types(c);
    check_borrowing(c);
    check_keys(c);
    check_overlaps(c);
    check_collisions(c);
    check_marker_name(c);
    if (!check_gtid_consistency(c, err))
        return false;
    if (c->begun) /* the tables are there, with all that they need */
        return true;
    gf_check_limits(c);
    check_documents(c);
    check_definitions(c);
    return gf_check_collations(c, err) && check_engines(c, err) && check_free_names(c, err);
}
