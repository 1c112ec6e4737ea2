/* SPDX-License-Identifier: MIT */
#include "databases.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *gf_databases_collation(const gf_config *config, const char *collation)
{
    for (size_t i = 0; i < config->map_collation.count; i++) {
        if (strcasecmp(config->map_collation.from[i], collation) == 0)
            return config->map_collation.to[i];
    }
    return collation;
}

bool gf_databases_default(char **out, MYSQL *server, const char *db, gf_error *err)
{
    gf_buf quoted = {0};
    bool ok;

    gf_buf_quote(&quoted, db, strlen(db));
    ok = gf_server_scalar(out, server, db, err,
                          "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s",
                          gf_buf_cstr(&quoted));
    gf_buf_free(&quoted);
    return ok;
}

static bool create_like(MYSQL *source, MYSQL *target, const gf_config *config, const gf_table *t, gf_error *err)
{
    gf_buf name = {0};
    char *collation = NULL;
    bool ok;

    gf_buf_ident(&name, t->target_db);
    ok = gf_databases_default(&collation, source, t->db, err);
    if (ok && collation != NULL) /* a collation brings its character set */
        ok = gf_server_exec(target, t->target_db, err, "CREATE DATABASE IF NOT EXISTS %s COLLATE %s",
                            gf_buf_cstr(&name), gf_databases_collation(config, collation));
    else if (ok)
        ok = gf_fail(err, GF_ERR_CONFIG, "source: database %s is not there any more", t->db);
    free(collation);
    gf_buf_free(&name);
    return ok || gf_fail_context(err, "create the target's database");
}

static bool is_there(MYSQL *target, const char *db, bool *there, gf_error *err)
{
    gf_buf quoted = {0};
    MYSQL_RES *res;

    gf_buf_quote(&quoted, db, strlen(db));
    res = gf_server_query(target, "look for databases", err,
                          "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s", gf_buf_cstr(&quoted));
    gf_buf_free(&quoted);
    *there = res != NULL && mysql_num_rows(res) > 0;
    mysql_free_result(res);
    return res != NULL;
}

bool gf_databases_create(MYSQL *source, MYSQL *target, const gf_config *config, const gf_table *const *tables,
                         size_t count, gf_error *err)
{
    const char *last = NULL; /* tables come ordered by database */

    for (size_t i = 0; i < count; i++) {
        bool there;

        if (last != NULL && strcmp(last, tables[i]->db) == 0)
            continue;
        last = tables[i]->db;
        if (!is_there(target, tables[i]->target_db, &there, err) ||
            (!there && !create_like(source, target, config, tables[i], err)))
            return false;
    }
    return true;
}
