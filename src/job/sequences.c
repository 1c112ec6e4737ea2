/* SPDX-License-Identifier: MIT */
#include "sequences.h"

#include <stdlib.h>

#include "databases.h"
#include "gfreplica/log.h"

/* One sequence, under both its names. */
typedef struct {
    const char *db, *name, *target_db; /* borrowed */
    gf_buf source_sql, target_sql;     /* quoted */
} sequence;

typedef bool sequence_function(void *ctx, sequence *s, gf_error *err);

static bool call(sequence_function *use, void *ctx, const gf_filter *f, MYSQL_ROW row, gf_error *err)
{
    sequence s = {.db = row[0], .name = row[1], .target_db = gf_filter_target_db(f, row[0])};
    bool ok;

    gf_buf_ident(&s.source_sql, s.db);
    gf_buf_byte(&s.source_sql, '.');
    gf_buf_ident(&s.source_sql, s.name);
    gf_buf_ident(&s.target_sql, s.target_db);
    gf_buf_byte(&s.target_sql, '.');
    gf_buf_ident(&s.target_sql, gf_filter_target_table(f, s.name));
    ok = use(ctx, &s, err);
    gf_buf_free(&s.source_sql);
    gf_buf_free(&s.target_sql);
    return ok || gf_fail_context(err, "sequence %s.%s", row[0], row[1]);
}

static bool each_sequence(MYSQL *source, const gf_server_info *info, const gf_filter *f, sequence_function *use,
                          void *ctx, gf_error *err)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    bool ok;

    if (info->flavor != GF_FLAVOR_MARIADB)
        return true;
    res = gf_server_query(source, "list sequences", err,
                          "SELECT TABLE_SCHEMA,TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE='SEQUENCE'");
    ok = res != NULL;
    while (ok && (row = mysql_fetch_row(res)) != NULL) {
        if (gf_filter_table(f, row[0], row[1]))
            ok = call(use, ctx, f, row, err);
    }
    mysql_free_result(res);
    return ok;
}

typedef struct {
    gf_catalog *catalog;
    gf_buf *left_out; /* NULL: the target has sequences too */
} finding;

static bool tell_catalog(void *ctx, sequence *s, gf_error *err)
{
    finding *f = ctx;

    (void)err;
    gf_catalog_add_sequence(f->catalog, s->db, s->name);
    if (f->left_out != NULL)
        gf_buf_printf(f->left_out, "%s.%s: sequence, which MySQL does not have\n", s->db, s->name);
    return true;
}

bool gf_sequences_find(gf_catalog *c, MYSQL *source, const gf_server_info *source_info,
                       const gf_server_info *target_info, const gf_filter *f, gf_buf *left_out, gf_error *err)
{
    finding all = {c, target_info->flavor == GF_FLAVOR_MARIADB ? NULL : left_out};

    return each_sequence(source, source_info, f, tell_catalog, &all, err);
}

typedef struct {
    MYSQL *source, *target;
    const gf_config *config;
} both;

/* The only row of what the source was asked about a sequence; NULL with an error where there is none. */
static MYSQL_ROW only_row(MYSQL_RES *res, gf_error *err)
{
    MYSQL_ROW row = res == NULL ? NULL : mysql_fetch_row(res);

    if (row != NULL && row[0] != NULL && row[1] != NULL)
        return row;
    if (res != NULL)
        gf_fail(err, GF_ERR_DATA, "the source shows nothing of it");
    return NULL;
}

/* A table of that name is told now, not at the cutover. */
static bool make_once(both *b, sequence *s, const char *definition, gf_error *err)
{
    char *there = NULL;
    bool ok = gf_server_exec(b->target, "create it", err, "CREATE SEQUENCE IF NOT EXISTS %s%s",
                             gf_buf_cstr(&s->target_sql), definition) &&
              gf_server_scalar(&there, b->target, "look at the target's", err, "SELECT next_not_cached_value FROM %s",
                               gf_buf_cstr(&s->target_sql));

    free(there);
    return ok;
}

/* A sequence's one row is not written with its definition: a target that crashed in between has one without. */
static bool make(both *b, sequence *s, const char *definition, gf_error *err)
{
    enum { ER_KEY_NOT_FOUND = 1032 };

    if (make_once(b, s, definition, err))
        return true;
    if (mysql_errno(b->target) != ER_KEY_NOT_FOUND)
        return false;
    gf_log_warn("the target's sequence %s has lost its row in a crash: it is made anew", gf_buf_cstr(&s->target_sql));
    return gf_server_exec(b->target, "drop it", err, "DROP SEQUENCE %s", gf_buf_cstr(&s->target_sql)) &&
           make_once(b, s, definition, err);
}

/* The definition behind the name: "CREATE SEQUENCE `name` start with 1 ..." */
static bool create_as(both *b, sequence *s, const char *text, gf_error *err)
{
    const char *head = strchr(text, '`'), *end = head == NULL ? NULL : head + 1;

    while (end != NULL && *end != '\0' && (*end != '`' || end[1] == '`'))
        end += *end == '`' ? 2 : 1;
    if (end == NULL || *end == '\0')
        return gf_fail(err, GF_ERR_DATA, "SHOW CREATE SEQUENCE gave an unknown form: %.200s", text);
    return make(b, s, end + 1, err);
}

static bool create(void *ctx, sequence *s, gf_error *err)
{
    both *b = ctx;
    MYSQL_RES *res =
        gf_server_query(b->source, "read its definition", err, "SHOW CREATE SEQUENCE %s", gf_buf_cstr(&s->source_sql));
    MYSQL_ROW row = only_row(res, err);
    bool ok =
        row != NULL &&
        gf_databases_create(b->source, b->target, b->config, s->db, s->target_db, err) /* it may hold nothing else */ &&
        create_as(b, s, row[1], err);

    mysql_free_result(res);
    return ok;
}

bool gf_sequences_create(MYSQL *source, MYSQL *target, const gf_server_info *source_info,
                         const gf_server_info *target_info, const gf_config *config, gf_error *err)
{
    both b = {source, target, config};

    return target_info->flavor != GF_FLAVOR_MARIADB ||
           each_sequence(source, source_info, &config->filter, create, &b, err);
}

static bool read_properties(char **out, MYSQL *db, gf_buf *name, gf_error *err)
{
    static const char all[] = "start_value,minimum_value,maximum_value,increment,cache_size,cycle_option";

    return gf_server_scalar(out, db, "read its properties", err, "SELECT CONCAT_WS(',',%s) FROM %s", all,
                            gf_buf_cstr(name));
}

/* ALTER SEQUENCE is not repeated, and need not be: nobody draws from the target's before the end. */
static bool make_alike(both *b, sequence *s, gf_error *err)
{
    char *there = NULL, *here = NULL;
    bool ok = read_properties(&there, b->source, &s->source_sql, err) &&
              read_properties(&here, b->target, &s->target_sql, err);

    if (ok && there != NULL && here != NULL && strcmp(there, here) != 0) {
        gf_log_info("sequence %s.%s was altered while the job ran: the target's is made anew", s->db, s->name);
        ok = gf_server_exec(b->target, "drop it", err, "DROP SEQUENCE %s", gf_buf_cstr(&s->target_sql)) &&
             create(b, s, err);
    }
    free(there);
    free(here);
    return ok;
}

/* SETVAL never goes back, so this may be repeated. The source has handed out no value that it has not cached before. */
static bool raise(void *ctx, sequence *s, gf_error *err)
{
    both *b = ctx;
    MYSQL_RES *res;
    MYSQL_ROW row;
    bool ok;

    if (!make_alike(b, s, err))
        return false;
    res = gf_server_query(b->source, "read its value", err, "SELECT next_not_cached_value,cycle_count FROM %s",
                          gf_buf_cstr(&s->source_sql));
    row = only_row(res, err);
    ok = row != NULL && gf_server_exec(b->target, "raise the target's", err, "DO SETVAL(%s,%s,0,%s)",
                                       gf_buf_cstr(&s->target_sql), row[0], row[1]);

    mysql_free_result(res);
    return ok;
}

/* ---- what the target has alone ---- */

static MYSQL_RES *sequences_of(MYSQL *server, const char *db, gf_error *err)
{
    gf_buf quoted = {0};
    MYSQL_RES *res;

    gf_buf_quote(&quoted, db, strlen(db));
    res = gf_server_query(server, "list sequences", err,
                          "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE='SEQUENCE' AND "
                          "TABLE_SCHEMA=%s",
                          gf_buf_cstr(&quoted));
    gf_buf_free(&quoted);
    return res;
}

static bool has_counterpart(MYSQL_RES *of_source, const gf_filter *f, const char *name)
{
    MYSQL_ROW row;

    mysql_data_seek(of_source, 0);
    while ((row = mysql_fetch_row(of_source)) != NULL) {
        if (strcmp(gf_filter_target_table(f, row[0]), name) == 0)
            return true;
    }
    return false;
}

/* DROP SEQUENCE is not repeated: what was there before we came looks the same as what the source has dropped since. */
static bool tell_further(both *b, const char *db, gf_error *err)
{
    const gf_filter *f = &b->config->filter;
    const char *target_db = gf_filter_target_db(f, db);
    MYSQL_RES *there = sequences_of(b->source, db, err), *here = NULL;
    MYSQL_ROW row;

    if (there != NULL)
        here = sequences_of(b->target, target_db, err);
    while (here != NULL && (row = mysql_fetch_row(here)) != NULL) {
        if (!has_counterpart(there, f, row[0]))
            gf_log_warn("the target has a sequence %s.%s that the source has not (any more): it stays", target_db,
                        row[0]);
    }
    mysql_free_result(there);
    mysql_free_result(here);
    return here != NULL;
}

static bool tell_all_further(both *b, gf_error *err)
{
    MYSQL_RES *dbs =
        gf_server_query(b->source, "list databases", err, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA");
    bool ok = dbs != NULL;
    MYSQL_ROW row;

    while (ok && (row = mysql_fetch_row(dbs)) != NULL) {
        if (gf_filter_db(&b->config->filter, row[0]))
            ok = tell_further(b, row[0], err);
    }
    mysql_free_result(dbs);
    return ok;
}

bool gf_sequences_raise(MYSQL *source, MYSQL *target, const gf_server_info *source_info,
                        const gf_server_info *target_info, const gf_config *config, gf_error *err)
{
    both b = {source, target, config};

    if (source_info->flavor != GF_FLAVOR_MARIADB || target_info->flavor != GF_FLAVOR_MARIADB)
        return true;
    return each_sequence(source, source_info, &config->filter, raise, &b, err) && tell_all_further(&b, err);
}
