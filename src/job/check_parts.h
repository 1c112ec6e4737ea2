/* SPDX-License-Identifier: MIT */
/*
 * check_parts.h - what the files of the preflight share; private to them.
 *
 *   check.c          runs the parts, keeps the report
 *   check_job.c      the job's name and server id
 *   check_server.c   versions and settings of both servers
 *   check_grants.c   SHOW GRANTS read, and what of it is missing
 *   check_objects.c  what --create-objects needs; check_definers.c of the account, check_sessions.c to make them alike
 *   check_collations.c collations that the target lacks
 *   check_tables.c   keys, engines, names: table by table
 *   check_generated.c what the target computes itself
 *   check_foreign.c  foreign keys
 *
 * A part returns false only when it could not ask; what it finds goes into the report.
 */
#ifndef JOB_CHECK_PARTS_H
#define JOB_CHECK_PARTS_H

#include "gfreplica/check.h"

/* ---- grants ---- */

typedef struct {
    bool revoked;     /* a partial revoke of MySQL */
    char *db;         /* owned: pattern as the server keeps it; NULL = all */
    char *table;      /* owned; NULL = all */
    char *privileges; /* owned: ",SELECT,INSERT,", upper case, '_' as ' ' */
} gf_grant;

typedef struct {
    gf_grant *items; /* owned */
    size_t count;
    char *user; /* owned: 'user'@'host', quoted for a GRANT statement */
} gf_grants;

GF_MUST_CHECK bool gf_grants_read(gf_grants *out, MYSQL *db, gf_error *err);
void gf_grants_add(gf_grants *g, const char *line); /* one line of SHOW GRANTS */
/* db NULL: on *.*; table NULL: on all of db. What is granted on more is granted on less. */
bool gf_grants_have(const gf_grants *g, const char *privilege, const char *db, const char *table);
void gf_grants_free(gf_grants *g);

/* ---- the check ---- */

/* What the checkpoint directory says of this job. */
typedef struct {
    bool begun, running;
    char uuid[40]; /* "": none */
} gf_check_own;

typedef struct {
    gf_check_report *report;
    const gf_config *config;
    MYSQL *source, *target;
    const gf_server_info *source_info, *target_info;
    gf_catalog *catalog;
    const gf_table **tables; /* owned list */
    size_t table_count;
    bool resuming; /* the job was at work before: what passes by itself is waited for */
    bool begun;    /* the job's tables are on the target already: this is no first start */
    bool marker;   /* the target's grants allow one, and the configuration wants it */
    gf_check_own own;
    gf_grants source_grants, target_grants;
} gf_check;

void gf_check_problem(gf_check *c, const char *fmt, ...) GF_PRINTF(2, 3);
void gf_check_warning(gf_check *c, const char *fmt, ...) GF_PRINTF(2, 3);

/* A list of names that stays readable: "a, b and 17 more". {0} is empty. */
typedef struct {
    gf_buf text;
    size_t count;
} gf_check_names;

void gf_check_name(gf_check_names *list, const char *name);
void gf_check_name_of(gf_check_names *list, const gf_table *t, const char *name); /* a column or key of it */
const char *gf_check_names_text(gf_check_names *list);                            /* valid until the next change */
void gf_check_names_free(gf_check_names *list);

/* Something of the source's by name (a collation, a database), and where it is used. {0} is empty. */
typedef struct {
    char *name; /* owned */
    gf_check_names users;
} gf_check_usage;

typedef struct {
    gf_check_usage *items; /* owned */
    size_t count;
} gf_check_usages;

void gf_check_use(gf_check_usages *u, const char *name, const char *user);
const gf_check_usage *gf_check_used(const gf_check_usages *u, const char *name); /* NULL: it is not */
void gf_check_usages_free(gf_check_usages *u);

/* Is a view, trigger, routine or event of that database moved? table: the trigger's, which it stays with; else NULL. */
bool gf_check_object_moved(const gf_check *c, const char *db, const char *table);

/* `name` as an identifier of SQL; owned by the caller. */
char *gf_check_quoted(const char *name);

/* A global variable: *out is owned, NULL where the server has no such one. */
GF_MUST_CHECK bool gf_check_variable(char **out, MYSQL *db, const char *name, gf_error *err);

void gf_check_job_name(gf_check *c); /* fills own and begun */
GF_MUST_CHECK bool gf_check_server_id(gf_check *c, gf_error *err);
GF_MUST_CHECK bool gf_check_servers(gf_check *c, gf_error *err);
GF_MUST_CHECK bool gf_check_grants(gf_check *c, gf_error *err);
GF_MUST_CHECK bool gf_check_objects(gf_check *c, gf_error *err);
GF_MUST_CHECK bool gf_check_definers(gf_check *c, gf_error *err);
GF_MUST_CHECK bool gf_check_sessions(gf_check *c, gf_error *err);
GF_MUST_CHECK bool gf_check_collations(gf_check *c, gf_error *err);
/* Adds the default collation of the source's database, if the target has none and it will be made. */
GF_MUST_CHECK bool gf_check_use_default(gf_check_usages *out, gf_check *c, const char *db, const char *target_db,
                                        gf_error *err);
/* Is each of them there? What is not becomes a problem. */
GF_MUST_CHECK bool gf_check_collations_known(gf_check *c, gf_check_usages *used, gf_error *err);
GF_MUST_CHECK bool gf_check_tables(gf_check *c, gf_error *err);
void gf_check_generated(gf_check *c);
/* What SHOW CREATE TABLE has behind the column's name, to the end of its line; borrowed from t. Empty: there is none. */
gf_slice gf_check_column_line(const gf_table *t, const gf_column *col);
void gf_check_foreign_keys(gf_check *c);

/* ---- check_limits.c ---- */
void gf_check_limits(gf_check *c);

#endif
