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

static bool is_there(MYSQL *target, const char *db, bool *there, gf_error *err)
{
    char *collation = NULL;
    bool ok = gf_databases_default(&collation, target, db, err);

    *there = collation != NULL;
    free(collation);
    return ok;
}

static bool create_like(MYSQL *source, MYSQL *target, const gf_config *config, const char *db, const char *target_db,
                        gf_error *err)
{
    gf_buf name = {0};
    char *collation = NULL;
    bool ok;

    gf_buf_ident(&name, target_db);
    ok = gf_databases_default(&collation, source, db, err);
    if (ok && collation != NULL) /* a collation brings its character set */
        ok = gf_server_exec(target, target_db, err, "CREATE DATABASE IF NOT EXISTS %s COLLATE %s", gf_buf_cstr(&name),
                            gf_databases_collation(config, collation));
    else if (ok)
        ok = gf_fail(err, GF_ERR_CONFIG, "source: database %s is not there any more", db);
    free(collation);
    gf_buf_free(&name);
    return ok || gf_fail_context(err, "create the target's database");
}

bool gf_databases_create(MYSQL *source, MYSQL *target, const gf_config *config, const char *db, const char *target_db,
                         gf_error *err)
{
    bool there;

    return is_there(target, target_db, &there, err) &&
           (there || create_like(source, target, config, db, target_db, err));
}

bool gf_databases_create_all(MYSQL *source, MYSQL *target, const gf_config *config, const gf_table *const *tables,
                             size_t count, gf_error *err)
{
    const char *last = NULL; /* tables come ordered by database */

    for (size_t i = 0; i < count; i++) {
        if (last != NULL && strcmp(last, tables[i]->db) == 0)
            continue;
        last = tables[i]->db;
        if (!gf_databases_create(source, target, config, tables[i]->db, tables[i]->target_db, err))
            return false;
    }
    return true;
}
