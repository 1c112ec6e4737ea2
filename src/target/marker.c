/* SPDX-License-Identifier: MIT */
/*
 * marker.c - what the target itself remembers about a job, in the transactions that wrote it.
 *
 *   job          one row a job: source, digest of its configuration, generation, stage
 *   slot         one row a stream writer: the position that its last commit reached; the newest seq is the job's
 *   table_range  one row a range of a table's keys: how far its rows are copied
 *   deferred     one row a table that was made without some of its indexes, until they are built
 *   indexed      one row a table that has got them from us
 *   xa           one row a prepared XA transaction: the changes that wait for its COMMIT (rule S4)
 *   object       one row a trigger or event that a cutover has made
 *   ddl          one row a job that has met DDL: how many it has passed, and the one that is about to run
 *   ddl_table    one row a table that DDL has touched: its definition at the position
 *   memory       ENGINE=MEMORY, made where a table of the job's is: one row a job, gone with the rows of such tables
 *
 * Every row carries the generation of the instance that may write it (rule R3). Claiming the job takes the rows with
 * locks, so it waits for a commit that a dead instance left behind, and then raises the generation in all of them:
 * whoever still writes `WHERE generation = the old one` affects no row and stops.
 *
 * Each writer has a slot of its own, else all commits would queue up for one row. Every UPDATE changes a value, so
 * it affects one row whatever CLIENT_FOUND_ROWS says.
 *
 * Names and keys are written as hex digits, which no sql_mode or character set of the session reads differently.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gfreplica/target.h"

struct gf_marker {
    char *db, *job; /* owned */
    char *db_sql;   /* owned: `db` */
    char *job_sql;  /* owned: the job's name as a literal */
    const gf_config
        *config;         /* borrowed: its digest says whose job it is, take_over whether another's may be replaced */
    unsigned slots;      /* config->writers */
    uint64_t generation; /* ours, once claimed or begun */
};

enum { INSERT_BYTES = 1 << 20, ER_DUP_ENTRY = 1062 };

static const char *const tables[][2] = {
    {"job", "job VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,"
            "source_identity VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
            "config_digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,"
            "generation BIGINT UNSIGNED NOT NULL,"
            "stage VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,"
            "created DATETIME NOT NULL"},
    {"slot", "job VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
             "slot INT UNSIGNED NOT NULL,"
             "generation BIGINT UNSIGNED NOT NULL,"
             "seq BIGINT UNSIGNED NOT NULL,"
             "file VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
             "file_offset BIGINT UNSIGNED NOT NULL,"
             "gtids LONGTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,"
             "PRIMARY KEY (job, slot)"},
    {"table_range", "job VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
                    "db VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
                    "name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
                    "range_index INT UNSIGNED NOT NULL,"
                    "generation BIGINT UNSIGNED NOT NULL,"
                    "lower_key LONGBLOB NOT NULL,"
                    "upper_key LONGBLOB NOT NULL,"
                    "frontier LONGBLOB NOT NULL,"
                    "done TINYINT UNSIGNED NOT NULL,"
                    "row_total BIGINT UNSIGNED NOT NULL,"
                    "chunk_total BIGINT UNSIGNED NOT NULL,"
                    "snap_file VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
                    "snap_offset BIGINT UNSIGNED NOT NULL,"
                    "PRIMARY KEY (job, db, name, range_index)"},
    {"xa", "job VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
           "xid VARBINARY(512) NOT NULL,"
           "generation BIGINT UNSIGNED NOT NULL,"
           "block LONGBLOB NOT NULL,"
           "PRIMARY KEY (job, xid)"},
    {"ddl", "job VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,"
            "generation BIGINT UNSIGNED NOT NULL,"
            "passed BIGINT UNSIGNED NOT NULL,"
            "pending LONGBLOB NOT NULL"},
    {"ddl_table", "job VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
                  "db VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
                  "name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
                  "generation BIGINT UNSIGNED NOT NULL,"
                  "versions BIGINT UNSIGNED NOT NULL,"
                  "definition LONGBLOB NOT NULL,"
                  "PRIMARY KEY (job, db, name)"},
    {"deferred", "job VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
                 "db VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
                 "name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
                 "generation BIGINT UNSIGNED NOT NULL,"
                 "PRIMARY KEY (job, db, name)"},
    {"object", "job VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
               "kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,"
               "db VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
               "name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
               "generation BIGINT UNSIGNED NOT NULL,"
               "PRIMARY KEY (job, kind, db, name)"},
    {"indexed", "job VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
                "db VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
                "name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,"
                "generation BIGINT UNSIGNED NOT NULL,"
                "PRIMARY KEY (job, db, name)"},
};
enum { TABLE_COUNT = sizeof(tables) / sizeof(tables[0]) };

/* ---- text ---- */

static void add_text(gf_buf *out, const char *text)
{
    gf_buf_str(out, "_utf8mb4 X'");
    gf_buf_hex(out, text, strlen(text));
    gf_buf_str(out, "'");
}

static void add_bytes(gf_buf *out, gf_slice bytes)
{
    gf_buf_str(out, "X'");
    gf_buf_hex(out, bytes.data, bytes.len);
    gf_buf_str(out, "'");
}

static void add_position(gf_buf *out, const gf_position *pos)
{
    gf_buf gtids = {0};

    gf_position_gtid_text(pos, &gtids);
    add_text(out, pos->file);
    gf_buf_printf(out, ",%" PRIu64 ",", pos->offset);
    add_text(out, gf_buf_cstr(&gtids));
    gf_buf_free(&gtids);
}

/* The two families write GTIDs differently, so the text tells whose it is: "uuid:1-5" or "0-1-42". */
static gf_flavor gtid_flavor(const char *gtids)
{
    bool maria = gtids[0] >= '0' && gtids[0] <= '9' && strspn(gtids, "0123456789-, ") == strlen(gtids);

    return maria ? GF_FLAVOR_MARIADB : GF_FLAVOR_MYSQL;
}

static bool run(MYSQL *db, const char *what, const gf_buf *sql, gf_error *err)
{
    return gf_server_run(db, what, gf_slice_of(sql->data, sql->len), err);
}

/* Ends the transaction: COMMIT when all went well, else ROLLBACK with the first error kept. */
static bool end_transaction(MYSQL *db, bool ok, const char *what, gf_error *err)
{
    gf_error second;

    if (ok)
        return gf_server_exec(db, what, err, "COMMIT");
    if (!gf_server_exec(db, what, &second, "ROLLBACK"))
        return false; /* a lost connection has rolled it back by itself */
    return false;
}

/* ---- open ---- */

static bool is_usable(const gf_marker *m, MYSQL *target)
{
    gf_error ignored;

    for (int i = 0; i < TABLE_COUNT; i++)
        if (!gf_server_exec(target, "look at the marker", &ignored, "SELECT generation FROM %s.%s LIMIT 0", m->db_sql,
                            tables[i][0]))
            return false;
    return true;
}

static bool create(const gf_marker *m, MYSQL *target, gf_error *err)
{
    gf_error first;
    bool made = gf_server_exec(target, "create the marker's database", &first,
                               "CREATE DATABASE IF NOT EXISTS %s DEFAULT CHARACTER SET utf8mb4", m->db_sql);

    /* Without the right to create a database it may still be there for us: the tables will tell. */
    if (!made && first.kind != GF_ERR_CONFIG) {
        *err = first;
        return false;
    }
    for (int i = 0; i < TABLE_COUNT; i++) {
        if (gf_server_exec(target, "create the marker's tables", err,
                           "CREATE TABLE IF NOT EXISTS %s.%s (%s) ENGINE=InnoDB ROW_FORMAT=DYNAMIC", m->db_sql,
                           tables[i][0], tables[i][1]))
            continue;
        if (!made)
            *err = first;
        return gf_fail_context(err,
                               "the target's grants allow no marker: GRANT CREATE, SELECT, INSERT, UPDATE, DELETE "
                               "ON %s.* TO the target's user",
                               m->db_sql);
    }
    return true;
}

/* The rows must be writable too: asked with statements that touch none. */
static bool may_write(const gf_marker *m, MYSQL *target, gf_error *err)
{
    for (int i = 0; i < TABLE_COUNT; i++) {
        if (!gf_server_exec(target, "write the marker", err, "DELETE FROM %s.%s WHERE 1=0", m->db_sql, tables[i][0]) ||
            !gf_server_exec(target, "write the marker", err, "UPDATE %s.%s SET generation=generation+1 WHERE 1=0",
                            m->db_sql, tables[i][0]))
            return gf_fail_context(err, "GRANT SELECT, INSERT, UPDATE, DELETE ON %s.* TO the target's user", m->db_sql);
    }
    return true;
}

uint64_t gf_marker_hash(const gf_config *config)
{
    return gf_hash(config->marker_db, strlen(config->marker_db), gf_hash(config->job, strlen(config->job), 0));
}

bool gf_marker_open(gf_marker **out, const gf_config *config, MYSQL *target, gf_error *err)
{
    gf_marker *m = gf_calloc(1, sizeof(*m));
    gf_buf text = {0};

    m->db = gf_strdup(config->marker_db);
    m->job = gf_strdup(config->job);
    m->config = config;
    m->slots = config->writers;
    gf_buf_ident(&text, m->db);
    m->db_sql = gf_strdup(gf_buf_cstr(&text));
    gf_buf_reset(&text);
    add_text(&text, m->job);
    m->job_sql = gf_strdup(gf_buf_cstr(&text));
    gf_buf_free(&text);
    if ((!is_usable(m, target) && !create(m, target, err)) || !may_write(m, target, err)) {
        gf_marker_free(m);
        return false;
    }
    *out = m;
    return true;
}

void gf_marker_free(gf_marker *m)
{
    if (m == NULL)
        return;
    free(m->db);
    free(m->job);
    free(m->db_sql);
    free(m->job_sql);
    free(m);
}

/* ---- claim ---- */

/* Rule R3: FOR UPDATE here and below waits for a COMMIT that a lost connection left in flight. */
static bool lock_job(gf_marker_content *out, const gf_marker *m, MYSQL *target, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(target, "read the marker's job", err,
                                     "SELECT source_identity, generation, stage, config_digest FROM %s.job "
                                     "WHERE job=%s FOR UPDATE",
                                     m->db_sql, m->job_sql);
    MYSQL_ROW row;

    if (res == NULL)
        return false;
    row = mysql_fetch_row(res);
    if (row != NULL) {
        out->exists = true;
        snprintf(out->source_identity, sizeof(out->source_identity), "%s", row[0]);
        out->generation = strtoull(row[1], NULL, 10);
        snprintf(out->stage, sizeof(out->stage), "%s", row[2]);
        out->of_another = strcmp(row[3], m->config->digest) != 0;
    }
    mysql_free_result(res);
    return true;
}

static bool read_slots(gf_marker_content *out, const gf_marker *m, MYSQL *target, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(target, "read the marker's position", err,
                                     "SELECT seq, file, file_offset, gtids FROM %s.slot WHERE job=%s "
                                     "ORDER BY seq DESC FOR UPDATE",
                                     m->db_sql, m->job_sql);
    MYSQL_ROW row;
    bool ok;

    if (res == NULL)
        return false;
    row = mysql_fetch_row(res);
    if (row == NULL) {
        ok = gf_fail(err, GF_ERR_GONE, "the marker of job '%s' in %s has lost its position", m->job, m->db_sql);
    } else {
        out->seq = strtoull(row[0], NULL, 10);
        ok = gf_position_parse(&out->position, gtid_flavor(row[3]), row[1], strtoull(row[2], NULL, 10), row[3], err);
    }
    mysql_free_result(res);
    return ok;
}

static void read_range(gf_marker_range *r, MYSQL_ROW row, const unsigned long *lengths)
{
    r->db = gf_strdup(row[0]);
    r->name = gf_strdup(row[1]);
    r->index = (unsigned)strtoul(row[2], NULL, 10);
    gf_buf_add(&r->lower, row[3], lengths[3]);
    gf_buf_add(&r->upper, row[4], lengths[4]);
    gf_buf_add(&r->frontier, row[5], lengths[5]);
    r->done = row[6][0] != '0';
    r->rows = strtoull(row[7], NULL, 10);
    snprintf(r->snap_file, sizeof(r->snap_file), "%s", row[8]);
    r->snap_offset = strtoull(row[9], NULL, 10);
}

static bool read_ranges(gf_marker_content *out, const gf_marker *m, MYSQL *target, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(target, "read the marker's ranges", err,
                                     "SELECT db, name, range_index, lower_key, upper_key, frontier, done, row_total, "
                                     "snap_file, snap_offset FROM %s.table_range WHERE job=%s "
                                     "ORDER BY db, name, range_index FOR UPDATE",
                                     m->db_sql, m->job_sql);
    MYSQL_ROW row;

    if (res == NULL)
        return false;
    out->ranges = gf_calloc((size_t)mysql_num_rows(res) + 1, sizeof(*out->ranges));
    while ((row = mysql_fetch_row(res)) != NULL)
        read_range(&out->ranges[out->range_count++], row, mysql_fetch_lengths(res));
    mysql_free_result(res);
    return true;
}

static bool read_xas(gf_marker_content *out, const gf_marker *m, MYSQL *target, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(target, "read the marker's XA transactions", err,
                                     "SELECT xid, block FROM %s.xa WHERE job=%s FOR UPDATE", m->db_sql, m->job_sql);
    MYSQL_ROW row;

    if (res == NULL)
        return false;
    out->xas = gf_calloc((size_t)mysql_num_rows(res) + 1, sizeof(*out->xas));
    while ((row = mysql_fetch_row(res)) != NULL) {
        const unsigned long *lengths = mysql_fetch_lengths(res);
        gf_marker_xa *x = &out->xas[out->xa_count++];

        gf_buf_add(&x->xid, row[0], lengths[0]);
        gf_buf_add(&x->block, row[1], lengths[1]);
    }
    mysql_free_result(res);
    return true;
}

static bool read_ddl(gf_marker_content *out, const gf_marker *m, MYSQL *target, gf_error *err)
{
    MYSQL_RES *res =
        gf_server_query(target, "read the marker's DDL", err,
                        "SELECT passed, pending FROM %s.ddl WHERE job=%s FOR UPDATE", m->db_sql, m->job_sql);
    MYSQL_ROW row;

    if (res == NULL)
        return false;
    row = mysql_fetch_row(res);
    if (row != NULL) {
        out->schema_changes = strtoull(row[0], NULL, 10);
        gf_buf_add(&out->pending, row[1], mysql_fetch_lengths(res)[1]);
    }
    mysql_free_result(res);
    return true;
}

static bool read_schemas(gf_marker_content *out, const gf_marker *m, MYSQL *target, gf_error *err)
{
    MYSQL_RES *res =
        gf_server_query(target, "read the marker's definitions", err,
                        "SELECT db, name, definition FROM %s.ddl_table WHERE job=%s FOR UPDATE", m->db_sql, m->job_sql);
    MYSQL_ROW row;

    if (res == NULL)
        return false;
    out->schemas = gf_calloc((size_t)mysql_num_rows(res) + 1, sizeof(*out->schemas));
    while ((row = mysql_fetch_row(res)) != NULL) {
        gf_marker_schema *s = &out->schemas[out->schema_count++];

        s->db = gf_strdup(row[0]);
        s->name = gf_strdup(row[1]);
        gf_buf_add(&s->schema, row[2], mysql_fetch_lengths(res)[2]);
    }
    mysql_free_result(res);
    return true;
}

static bool read_tables(gf_marker_table **out, size_t *count, const gf_marker *m, MYSQL *target, const char *from,
                        gf_error *err)
{
    MYSQL_RES *res = gf_server_query(target, "read from the marker which tables are indexed later", err,
                                     "SELECT db, name FROM %s.%s WHERE job=%s ORDER BY db, name FOR UPDATE", m->db_sql,
                                     from, m->job_sql);
    MYSQL_ROW row;

    if (res == NULL)
        return false;
    *out = gf_calloc((size_t)mysql_num_rows(res) + 1, sizeof(**out));
    while ((row = mysql_fetch_row(res)) != NULL)
        (*out)[(*count)++] = (gf_marker_table){gf_strdup(row[0]), gf_strdup(row[1])};
    mysql_free_result(res);
    return true;
}

static bool read_deferred(gf_marker_content *out, const gf_marker *m, MYSQL *target, gf_error *err)
{
    return read_tables(&out->deferred, &out->deferred_count, m, target, "deferred", err);
}

/* Rule R3: from here on an instance of an older generation affects no row of the marker. */
static bool raise_generation(const gf_marker *m, MYSQL *target, uint64_t generation, gf_error *err)
{
    for (int i = 0; i < TABLE_COUNT; i++)
        if (!gf_server_exec(target, "claim the marker", err, "UPDATE %s.%s SET generation=%" PRIu64 " WHERE job=%s",
                            m->db_sql, tables[i][0], generation, m->job_sql))
            return false;
    return true;
}

/* A run with more writers than the one before needs more slots. */
static bool add_slots(const gf_marker *m, MYSQL *target, uint64_t generation, const gf_position *pos, uint64_t seq,
                      unsigned slots, gf_error *err)
{
    gf_buf sql = {0};
    bool ok = true;

    gf_buf_printf(&sql, "INSERT INTO %s.slot (job, slot, generation, seq, file, file_offset, gtids) VALUES ",
                  m->db_sql);
    for (unsigned i = 0; i < slots; i++) {
        gf_buf_printf(&sql, "%s(%s,%u,%" PRIu64 ",%" PRIu64 ",", i == 0 ? "" : ",", m->job_sql, i, generation, seq);
        add_position(&sql, pos);
        gf_buf_str(&sql, ")");
    }
    gf_buf_str(&sql, " ON DUPLICATE KEY UPDATE seq=seq");
    if (slots > 0)
        ok = run(target, "make the marker's slots", &sql, err);
    gf_buf_free(&sql);
    return ok;
}

static bool claim(gf_marker_content *out, const gf_marker *m, MYSQL *target, gf_error *err)
{
    if (!lock_job(out, m, target, err))
        return false;
    if (m->config->take_over && (out->of_another || strcmp(out->stage, "done") == 0))
        *out = (gf_marker_content){0}; /* as if it were not there: gf_marker_begin replaces it */
    if (!out->exists)
        return read_deferred(out, m, target, err);
    if (out->of_another) /* before its generation is touched, or a job that runs would stop */
        return gf_fail(err, GF_ERR_CONFIG,
                       "the target's %s holds a job '%s' of other servers, databases, tables or renames: give this one "
                       "a name of its own (--job), or --take-over its place if that job is given up",
                       m->db_sql, m->job);
    out->generation++;
    return read_slots(out, m, target, err) && read_ranges(out, m, target, err) && read_xas(out, m, target, err) &&
           read_ddl(out, m, target, err) && read_schemas(out, m, target, err) && read_deferred(out, m, target, err) &&
           raise_generation(m, target, out->generation, err) &&
           add_slots(m, target, out->generation, &out->position, out->seq, m->slots, err);
}

bool gf_marker_claim(gf_marker_content *out, gf_marker *m, MYSQL *target, gf_error *err)
{
    bool ok;

    *out = (gf_marker_content){0};
    if (!gf_server_exec(target, "claim the marker", err, "START TRANSACTION"))
        return false;
    ok = end_transaction(target, claim(out, m, target, err), "claim the marker", err);
    if (ok)
        m->generation = out->generation;
    else
        gf_marker_content_free(out);
    return ok;
}

static void free_tables(gf_marker_table *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].db);
        free(list[i].name);
    }
    free(list);
}

void gf_marker_content_free(gf_marker_content *c)
{
    for (size_t i = 0; i < c->range_count; i++) {
        gf_marker_range *r = &c->ranges[i];

        free(r->db);
        free(r->name);
        gf_buf_free(&r->lower);
        gf_buf_free(&r->upper);
        gf_buf_free(&r->frontier);
    }
    free(c->ranges);
    for (size_t i = 0; i < c->xa_count; i++) {
        gf_buf_free(&c->xas[i].xid);
        gf_buf_free(&c->xas[i].block);
    }
    free(c->xas);
    for (size_t i = 0; i < c->schema_count; i++) {
        free(c->schemas[i].db);
        free(c->schemas[i].name);
        gf_buf_free(&c->schemas[i].schema);
    }
    free(c->schemas);
    gf_buf_free(&c->pending);
    free_tables(c->deferred, c->deferred_count);
    free_tables(c->indexed, c->indexed_count);
    gf_position_free(&c->position);
    *c = (gf_marker_content){0};
}

/* ---- XA ---- */

void gf_marker_xa_keep_sql(gf_buf *out, const gf_marker *m, gf_slice xid, gf_slice block)
{
    gf_buf_printf(out, "INSERT INTO %s.xa (job, xid, generation, block) VALUES (%s,", m->db_sql, m->job_sql);
    add_bytes(out, xid);
    gf_buf_printf(out, ",%" PRIu64 ",", m->generation);
    add_bytes(out, block);
    gf_buf_str(out, ")");
}

void gf_marker_xa_drop_sql(gf_buf *out, const gf_marker *m, gf_slice xid)
{
    gf_buf_printf(out, "DELETE FROM %s.xa WHERE job=%s AND generation=%" PRIu64 " AND xid=", m->db_sql, m->job_sql,
                  m->generation);
    add_bytes(out, xid);
}

/* ---- begin, stage, remove ---- */

/* all: also what was noted before the job began. */
static bool delete_rows(const gf_marker *m, MYSQL *target, bool all, gf_error *err)
{
    for (int i = 0; i < TABLE_COUNT; i++)
        if ((all || strcmp(tables[i][0], "deferred") != 0) &&
            !gf_server_exec(target, "remove the marker's rows", err, "DELETE FROM %s.%s WHERE job=%s", m->db_sql,
                            tables[i][0], m->job_sql))
            return false;
    return true;
}

static bool insert_job(const gf_marker *m, MYSQL *target, const char *source_identity, uint64_t generation,
                       gf_error *err)
{
    gf_buf sql = {0};
    bool ok;

    gf_buf_printf(&sql,
                  "INSERT INTO %s.job (job, source_identity, config_digest, generation, stage, created) "
                  "VALUES (%s, ",
                  m->db_sql, m->job_sql);
    add_text(&sql, source_identity);
    gf_buf_str(&sql, ",");
    add_text(&sql, m->config->digest);
    gf_buf_printf(&sql, ",%" PRIu64 ",'copying',UTC_TIMESTAMP())", generation);
    ok = run(target, "begin the marker's job", &sql, err);
    gf_buf_free(&sql);
    return ok;
}

/* A job of the same name that was there is replaced, under a later generation, so its instance stops. */
static bool begin(gf_marker *m, MYSQL *target, const char *source_identity, const gf_position *start, unsigned slots,
                  uint64_t *generation, gf_error *err)
{
    gf_marker_content old = {0};

    if (!lock_job(&old, m, target, err))
        return false;
    *generation = old.generation + 1;
    if (old.exists && !m->config->take_over) {
        gf_marker_content_free(&old);
        return gf_fail(err, GF_ERR_CONFIG, "another instance has begun job '%s' at the same moment: this one stops",
                       m->job);
    }
    gf_marker_content_free(&old);
    return delete_rows(m, target, false, err) && insert_job(m, target, source_identity, *generation, err) &&
           add_slots(m, target, *generation, start, 0, slots, err);
}

bool gf_marker_begin(gf_marker *m, MYSQL *target, const char *source_identity, const gf_position *start, unsigned slots,
                     gf_error *err)
{
    uint64_t generation = 0;
    bool ok;

    if (!gf_server_exec(target, "begin the marker's job", err, "START TRANSACTION"))
        return false;
    ok = begin(m, target, source_identity, start, slots, &generation, err);
    ok = end_transaction(target, ok, "begin the marker's job", err);
    if (ok)
        m->generation = generation;
    return ok;
}

bool gf_marker_remove(gf_marker *m, MYSQL *target, gf_error *err)
{
    if (!gf_server_exec(target, "remove the marker's rows", err, "START TRANSACTION"))
        return false;
    return end_transaction(target, delete_rows(m, target, true, err), "remove the marker's rows", err);
}

static bool taken_over(const gf_marker *m, gf_error *err)
{
    return gf_fail(err, GF_ERR_CONFIG,
                   "another instance has taken over job '%s' (its marker in %s is not of generation %" PRIu64
                   " any more): this one stops",
                   m->job, m->db_sql, m->generation);
}

/* The job's row, locked, is ours; inside a transaction. */
static bool is_ours(const gf_marker *m, MYSQL *target, gf_error *err)
{
    gf_marker_content now = {0};
    bool ok = lock_job(&now, m, target, err);

    if (ok && now.generation != m->generation)
        ok = taken_over(m, err);
    gf_marker_content_free(&now);
    return ok;
}

static bool set_stage(const gf_marker *m, MYSQL *target, const char *stage, gf_error *err)
{
    gf_buf sql = {0};
    bool ok;

    gf_buf_printf(&sql, "UPDATE %s.job SET stage=", m->db_sql);
    add_text(&sql, stage);
    gf_buf_printf(&sql, " WHERE job=%s", m->job_sql);
    ok = is_ours(m, target, err) && run(target, "note the stage in the marker", &sql, err);
    gf_buf_free(&sql);
    return ok;
}

bool gf_marker_stage(gf_marker *m, MYSQL *target, const char *stage, gf_error *err)
{
    if (!gf_server_exec(target, "note the stage in the marker", err, "START TRANSACTION"))
        return false;
    return end_transaction(target, set_stage(m, target, stage, err), "note the stage in the marker", err);
}

/* ---- what a cutover has made ---- */

static bool add_objects(const gf_marker *m, MYSQL *target, const gf_marker_object *objects, size_t count, gf_error *err)
{
    gf_buf sql = {0};
    bool ok = is_ours(m, target, err);

    for (size_t i = 0; ok && i < count; i++) {
        gf_buf_reset(&sql);
        gf_buf_printf(&sql, "REPLACE INTO %s.object (job, kind, db, name, generation) VALUES (%s,", m->db_sql,
                      m->job_sql);
        add_text(&sql, objects[i].kind);
        gf_buf_byte(&sql, ',');
        add_text(&sql, objects[i].db);
        gf_buf_byte(&sql, ',');
        add_text(&sql, objects[i].name);
        gf_buf_printf(&sql, ",%" PRIu64 ")", m->generation);
        ok = run(target, "note triggers and events in the marker", &sql, err);
    }
    gf_buf_free(&sql);
    return ok;
}

bool gf_marker_note_objects(const gf_marker *m, MYSQL *target, const gf_marker_object *objects, size_t count,
                            gf_error *err)
{
    static const char what[] = "note triggers and events in the marker";

    if (!gf_server_exec(target, what, err, "START TRANSACTION"))
        return false;
    return end_transaction(target, add_objects(m, target, objects, count, err), what, err);
}

bool gf_marker_objects(gf_marker_object **out, size_t *count, const gf_marker *m, MYSQL *target, gf_error *err)
{
    MYSQL_RES *res = gf_server_query(target, "read triggers and events from the marker", err,
                                     "SELECT kind, db, name FROM %s.object WHERE job=%s", m->db_sql, m->job_sql);
    MYSQL_ROW row;

    *out = NULL;
    *count = 0;
    if (res == NULL)
        return false;
    *out = gf_calloc((size_t)mysql_num_rows(res) + 1, sizeof **out);
    while ((row = mysql_fetch_row(res)) != NULL)
        (*out)[(*count)++] = (gf_marker_object){gf_strdup(row[0]), gf_strdup(row[1]), gf_strdup(row[2])};
    mysql_free_result(res);
    return true;
}

bool gf_marker_forget_objects(const gf_marker *m, MYSQL *target, gf_error *err)
{
    static const char what[] = "forget triggers and events in the marker";

    if (!gf_server_exec(target, what, err, "START TRANSACTION"))
        return false;
    return end_transaction(
        target,
        is_ours(m, target, err) &&
            gf_server_exec(target, what, err, "DELETE FROM %s.object WHERE job=%s", m->db_sql, m->job_sql),
        what, err);
}

void gf_marker_objects_free(gf_marker_object *objects, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(objects[i].kind);
        free(objects[i].db);
        free(objects[i].name);
    }
    free(objects);
}

/* ---- another source ---- */

static bool set_source(const gf_marker *m, MYSQL *target, const char *source_identity, bool same_binlog, gf_error *err)
{
    gf_buf sql = {0};
    bool ok;

    gf_buf_printf(&sql, "UPDATE %s.job SET source_identity=", m->db_sql);
    add_text(&sql, source_identity);
    gf_buf_printf(&sql, " WHERE job=%s", m->job_sql);
    ok = is_ours(m, target, err) && run(target, "note the source in the marker", &sql, err) &&
         (same_binlog ||
          gf_server_exec(target, "note the source in the marker", err,
                         "UPDATE %s.table_range SET snap_file='', snap_offset=0 WHERE job=%s", m->db_sql, m->job_sql));
    gf_buf_free(&sql);
    return ok;
}

bool gf_marker_source(gf_marker *m, MYSQL *target, const char *source_identity, bool same_binlog, gf_error *err)
{
    if (!gf_server_exec(target, "note the source in the marker", err, "START TRANSACTION"))
        return false;
    return end_transaction(target, set_source(m, target, source_identity, same_binlog, err),
                           "note the source in the marker", err);
}

/* DELETE, not TRUNCATE, which commits by itself: nothing may stand between the check and the deed. */
bool gf_marker_empty_table(gf_marker *m, MYSQL *target, const gf_table *t, gf_error *err)
{
    bool ok;

    if (!gf_server_exec(target, t->label, err, "START TRANSACTION"))
        return false;
    ok = is_ours(m, target, err) && gf_server_exec(target, t->label, err, "DELETE FROM %s", t->target_sql);
    return end_transaction(target, ok, t->label, err);
}

/* ---- what lives in the target's memory ---- */

bool gf_marker_memory_open(const gf_marker *m, MYSQL *target, gf_error *err)
{
    return gf_server_exec(target, "make the marker's table in memory", err,
                          "CREATE TABLE IF NOT EXISTS %s.memory (job VARCHAR(64) CHARACTER SET utf8mb4 COLLATE "
                          "utf8mb4_bin NOT NULL PRIMARY KEY) ENGINE=MEMORY",
                          m->db_sql);
}

bool gf_marker_memory_lost(bool *lost, const gf_marker *m, MYSQL *target, gf_error *err)
{
    char *found = NULL;
    bool ok = gf_server_scalar(&found, target, "look for the marker's row in memory", err,
                               "SELECT 1 FROM %s.memory WHERE job=%s", m->db_sql, m->job_sql);

    *lost = found == NULL;
    free(found);
    return ok;
}

static bool restart_ranges(const gf_marker *m, MYSQL *target, const gf_table *t, gf_error *err)
{
    gf_buf sql = {0};
    bool ok;

    gf_buf_printf(&sql, "UPDATE %s.table_range SET frontier='',done=0,row_total=0 WHERE job=%s AND db=", m->db_sql,
                  m->job_sql);
    add_text(&sql, t->db);
    gf_buf_str(&sql, " AND name=");
    add_text(&sql, t->name);
    ok = run(target, t->label, &sql, err);
    gf_buf_free(&sql);
    return ok;
}

bool gf_marker_memory_restart(gf_marker *m, MYSQL *target, const gf_table *t, gf_error *err)
{
    return (m->config->allow_existing || gf_marker_empty_table(m, target, t, err)) &&
           gf_server_exec(target, t->label, err, "START TRANSACTION") &&
           end_transaction(target, is_ours(m, target, err) && restart_ranges(m, target, t, err), t->label, err);
}

bool gf_marker_memory_note(const gf_marker *m, MYSQL *target, gf_error *err)
{
    return gf_server_exec(target, "note what is in memory", err, "REPLACE INTO %s.memory (job) VALUES (%s)", m->db_sql,
                          m->job_sql);
}

bool gf_marker_memory_forget(const gf_marker *m, MYSQL *target, gf_error *err)
{
    return gf_server_exec(target, "forget what is in memory", err, "DELETE FROM %s.memory WHERE job=%s", m->db_sql,
                          m->job_sql);
}

/* ---- ranges ---- */

static void add_range_row(gf_buf *sql, const gf_marker *m, const gf_range *r)
{
    gf_buf_printf(sql, "(%s,", m->job_sql);
    add_text(sql, r->table->db);
    gf_buf_str(sql, ",");
    add_text(sql, r->table->name);
    gf_buf_printf(sql, ",%u,%" PRIu64 ",", r->index, m->generation);
    add_bytes(sql, r->lower);
    gf_buf_str(sql, ",");
    add_bytes(sql, r->upper);
    gf_buf_str(sql, ",");
    add_bytes(sql, gf_slice_of(r->frontier.data, r->frontier.len));
    gf_buf_printf(sql, ",%d,%" PRIu64 ",0,'',0)", r->done ? 1 : 0, r->rows);
}

static void begin_range_insert(gf_buf *sql, const gf_marker *m)
{
    gf_buf_printf(sql,
                  "INSERT INTO %s.table_range (job, db, name, range_index, generation, lower_key, upper_key, "
                  "frontier, done, row_total, chunk_total, snap_file, snap_offset) VALUES ",
                  m->db_sql);
}

/* Statements of about INSERT_BYTES; *duplicate when a row was there already. */
static bool insert_ranges(const gf_marker *m, MYSQL *target, const gf_range *const *ranges, size_t count,
                          bool *duplicate, gf_error *err)
{
    gf_buf sql = {0};
    bool ok = true;

    for (size_t i = 0; i < count && ok; i++) {
        if (sql.len == 0)
            begin_range_insert(&sql, m);
        else
            gf_buf_str(&sql, ",");
        add_range_row(&sql, m, ranges[i]);
        if (sql.len < INSERT_BYTES && i + 1 < count)
            continue;
        ok = run(target, "note ranges in the marker", &sql, err);
        *duplicate = !ok && err->native == ER_DUP_ENTRY;
        gf_buf_reset(&sql);
    }
    gf_buf_free(&sql);
    return ok;
}

static void where_range(gf_buf *sql, const gf_marker *m, const gf_range *r)
{
    gf_buf_printf(sql, " WHERE job=%s AND db=", m->job_sql);
    add_text(sql, r->table->db);
    gf_buf_str(sql, " AND name=");
    add_text(sql, r->table->name);
    gf_buf_printf(sql, " AND range_index=%u AND generation=%" PRIu64, r->index, m->generation);
}

/* Ranges that are there must be these: half of one plan and half of another would leave rows out. */
static bool same_range(const gf_marker *m, MYSQL *target, const gf_range *r, gf_error *err)
{
    gf_buf sql = {0};
    char *found = NULL;
    bool ok;

    gf_buf_printf(&sql, "SELECT COUNT(*) FROM %s.table_range", m->db_sql);
    where_range(&sql, m, r);
    gf_buf_str(&sql, " AND lower_key=");
    add_bytes(&sql, r->lower);
    gf_buf_str(&sql, " AND upper_key=");
    add_bytes(&sql, r->upper);
    ok = gf_server_scalar(&found, target, "compare ranges with the marker", err, "%s", gf_buf_cstr(&sql));
    if (ok && (found == NULL || strcmp(found, "1") != 0))
        ok = gf_fail(err, GF_ERR_DATA, "the marker of job '%s' in %s holds other ranges of %s than this run's", m->job,
                     m->db_sql, r->table->label);
    free(found);
    gf_buf_free(&sql);
    return ok;
}

static bool same_ranges(const gf_marker *m, MYSQL *target, const gf_range *const *ranges, size_t count, gf_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!same_range(m, target, ranges[i], err))
            return false;
    return true;
}

bool gf_marker_add_ranges(gf_marker *m, MYSQL *target, const gf_table *t, const gf_range *const *ranges, size_t count,
                          gf_error *err)
{
    static const char what[] = "note ranges in the marker";
    bool duplicate = false, ok;

    (void)t; /* each range knows its own: one call may bring the ranges of many tables */
    if (count == 0)
        return true;
    if (!gf_server_exec(target, what, err, "START TRANSACTION"))
        return false;
    ok = is_ours(m, target, err) && insert_ranges(m, target, ranges, count, &duplicate, err);
    if (end_transaction(target, ok, what, err))
        return true;
    return duplicate && same_ranges(m, target, ranges, count, err);
}

/* ---- indexes that are built after the rows ---- */

static void add_name(gf_buf *sql, const gf_table *t)
{
    add_text(sql, t->db);
    gf_buf_str(sql, ",");
    add_text(sql, t->name);
}

/* Another instance that starts at the same moment may have noted tables, and made them: its notes stay. */
static bool add_deferred(const gf_marker *m, MYSQL *target, const gf_table *const *deferred, size_t count,
                         gf_error *err)
{
    gf_buf sql = {0};
    bool ok = true;

    for (size_t i = 0; i < count && ok; i++) {
        gf_buf_str(&sql, sql.len > 0 ? "," : "");
        if (sql.len == 0)
            gf_buf_printf(&sql, "INSERT INTO %s.deferred (job, generation, db, name) VALUES ", m->db_sql);
        gf_buf_printf(&sql, "(%s,%" PRIu64 ",", m->job_sql, m->generation);
        add_name(&sql, deferred[i]);
        gf_buf_str(&sql, ")");
        if (sql.len < INSERT_BYTES && i + 1 < count)
            continue;
        gf_buf_printf(&sql, " ON DUPLICATE KEY UPDATE generation=%" PRIu64, m->generation);
        ok = run(target, "note deferred indexes in the marker", &sql, err);
        gf_buf_reset(&sql);
    }
    gf_buf_free(&sql);
    return ok;
}

bool gf_marker_defer(gf_marker *m, MYSQL *target, const gf_table *const *deferred, size_t count, gf_error *err)
{
    static const char what[] = "note deferred indexes in the marker";

    if (!gf_server_exec(target, what, err, "START TRANSACTION"))
        return false;
    return end_transaction(target, add_deferred(m, target, deferred, count, err), what, err);
}

bool gf_marker_deferred(gf_marker_content *out, const gf_marker *m, MYSQL *target, gf_error *err)
{
    *out = (gf_marker_content){0};
    return read_deferred(out, m, target, err);
}

bool gf_marker_indexed(gf_marker_content *out, const gf_marker *m, MYSQL *target, gf_error *err)
{
    *out = (gf_marker_content){0};
    return read_tables(&out->indexed, &out->indexed_count, m, target, "indexed", err);
}

bool gf_marker_is_ours(const gf_marker *m, MYSQL *target, gf_error *err)
{
    static const char what[] = "look whose job it is in the marker";

    if (!gf_server_exec(target, what, err, "START TRANSACTION"))
        return false;
    return end_transaction(target, is_ours(m, target, err), what, err);
}

/* Moves the note from `deferred` to `indexed`. */
static bool note_built(const gf_marker *m, MYSQL *target, const gf_table *t, gf_error *err)
{
    gf_buf away = {0}, add = {0};
    bool ok;

    gf_buf_printf(&away, "DELETE FROM %s.deferred WHERE job=%s AND (db,name)=(", m->db_sql, m->job_sql);
    add_name(&away, t);
    gf_buf_str(&away, ")");
    gf_buf_printf(&add, "REPLACE INTO %s.indexed (job, generation, db, name) VALUES (%s,%" PRIu64 ",", m->db_sql,
                  m->job_sql, m->generation);
    add_name(&add, t);
    gf_buf_str(&add, ")");
    ok = is_ours(m, target, err) && run(target, "note built indexes in the marker", &away, err) &&
         run(target, "note built indexes in the marker", &add, err);
    gf_buf_free(&away);
    gf_buf_free(&add);
    return ok;
}

bool gf_marker_built(const gf_marker *m, MYSQL *target, const gf_table *t, gf_error *err)
{
    static const char what[] = "note built indexes in the marker";

    if (!gf_server_exec(target, what, err, "START TRANSACTION"))
        return false;
    return end_transaction(target, note_built(m, target, t, err), what, err);
}

/* ---- what travels with rows ---- */

void gf_marker_position_sql(gf_buf *out, const gf_marker *m, unsigned slot, uint64_t seq, const gf_position *pos)
{
    gf_buf gtids = {0};

    gf_position_gtid_text(pos, &gtids);
    gf_buf_printf(out, "UPDATE %s.slot SET seq=%" PRIu64 ",file=", m->db_sql, seq);
    add_text(out, pos->file);
    gf_buf_printf(out, ",file_offset=%" PRIu64 ",gtids=", pos->offset);
    add_text(out, gf_buf_cstr(&gtids));
    gf_buf_printf(out, " WHERE job=%s AND slot=%u AND generation=%" PRIu64, m->job_sql, slot, m->generation);
    gf_buf_free(&gtids);
}

void gf_marker_range_sql(gf_buf *out, const gf_marker *m, const gf_range *r, gf_slice frontier, bool last,
                         uint64_t rows_added, const gf_position *snapshot)
{
    gf_buf_printf(out, "UPDATE %s.table_range SET row_total=row_total+%" PRIu64 ",chunk_total=chunk_total+1", m->db_sql,
                  rows_added);
    if (last)
        gf_buf_str(out, ",done=1");
    if (frontier.len > 0) { /* an empty last chunk moves nothing */
        gf_buf_str(out, ",frontier=");
        add_bytes(out, frontier);
    }
    if (snapshot != NULL) {
        gf_buf_str(out, ",snap_file=");
        add_text(out, snapshot->file);
        gf_buf_printf(out, ",snap_offset=%" PRIu64, snapshot->offset);
    }
    where_range(out, m, r);
}

/* ---- DDL ---- */

static bool note_pending(const gf_marker *m, MYSQL *target, gf_slice pending, gf_error *err)
{
    gf_buf sql = {0};
    bool ok;

    gf_buf_printf(&sql, "INSERT INTO %s.ddl (job, generation, passed, pending) VALUES (%s,%" PRIu64 ",0,", m->db_sql,
                  m->job_sql, m->generation);
    add_bytes(&sql, pending);
    gf_buf_str(&sql, ") ON DUPLICATE KEY UPDATE pending=");
    add_bytes(&sql, pending);
    ok = run(target, "note a DDL in the marker", &sql, err);
    gf_buf_free(&sql);
    return ok;
}

static bool note_schema(const gf_marker *m, MYSQL *target, const gf_marker_schema *t, gf_error *err)
{
    gf_buf sql = {0};
    bool ok;

    gf_buf_printf(&sql, "REPLACE INTO %s.ddl_table (job, db, name, generation, versions, definition) VALUES (%s,",
                  m->db_sql, m->job_sql);
    add_text(&sql, t->db);
    gf_buf_str(&sql, ",");
    add_text(&sql, t->name);
    gf_buf_printf(&sql, ",%" PRIu64 ",0,", m->generation);
    add_bytes(&sql, gf_slice_of(t->schema.data, t->schema.len));
    gf_buf_str(&sql, ")");
    ok = run(target, "note a definition in the marker", &sql, err);
    gf_buf_free(&sql);
    return ok;
}

bool gf_marker_schema_begin(gf_marker *m, MYSQL *target, gf_slice pending, const gf_marker_schema *touched,
                            size_t count, gf_error *err)
{
    static const char what[] = "note a DDL in the marker";
    bool ok;

    if (!gf_server_exec(target, what, err, "START TRANSACTION"))
        return false;
    ok = is_ours(m, target, err) && note_pending(m, target, pending, err);
    for (size_t i = 0; ok && i < count; i++)
        ok = note_schema(m, target, &touched[i], err);
    return end_transaction(target, ok, what, err);
}

bool gf_marker_schemas(gf_marker_content *out, const gf_marker *m, MYSQL *target, gf_error *err)
{
    *out = (gf_marker_content){0};
    return read_schemas(out, m, target, err);
}

/* `versions` makes it change a value whatever the definition: one row, also when that is as it was. */
void gf_marker_schema_sql(gf_buf *out, const gf_marker *m, const gf_marker_schema *t)
{
    gf_buf_printf(out, "UPDATE %s.ddl_table SET versions=versions+1, definition=", m->db_sql);
    add_bytes(out, gf_slice_of(t->schema.data, t->schema.len));
    gf_buf_printf(out, " WHERE job=%s AND db=", m->job_sql);
    add_text(out, t->db);
    gf_buf_str(out, " AND name=");
    add_text(out, t->name);
    gf_buf_printf(out, " AND generation=%" PRIu64, m->generation);
}

void gf_marker_schema_end_sql(gf_buf *out, const gf_marker *m)
{
    gf_buf_printf(
        out, "UPDATE %s.ddl SET passed=passed+1, pending='' WHERE job=%s AND generation=%" PRIu64 " AND pending<>''",
        m->db_sql, m->job_sql, m->generation);
}

void gf_marker_range_add_sql(gf_buf *out, const gf_marker *m, const gf_range *r)
{
    begin_range_insert(out, m);
    add_range_row(out, m, r);
}

void gf_marker_range_drop_sql(gf_buf *out, const gf_marker *m, const gf_range *r)
{
    gf_buf_printf(out, "DELETE FROM %s.table_range", m->db_sql);
    where_range(out, m, r);
}
