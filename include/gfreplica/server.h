/* SPDX-License-Identifier: MIT */
/*
 * server.h - connections to MySQL and MariaDB servers, set up for what they are for.
 *
 * Every session variable that matters is set, none inherited: time_zone +00:00, SET NAMES binary, sql_mode,
 * autocommit, isolation, timeouts, sql_quote_show_create, group_concat_max_len, foreign_key_checks=0,
 * unique_checks, innodb_strict_mode=0 for DDL of the source's making.
 * Threads: a MYSQL * is opened, used and closed by one thread (mysql_thread_init is done here).
 */
#ifndef GFREPLICA_SERVER_H
#define GFREPLICA_SERVER_H

#include <mysql.h>

#include "gfreplica/config.h"

typedef enum {
    GF_CONN_PLAIN, /* catalog, preflight, status: utf8mb4 */
    GF_CONN_READER, /* chunk reads on the source: SET NAMES binary, REPEATABLE READ; may FLUSH TABLES ... WITH READ LOCK */
    GF_CONN_WRITER, /* rows and marker on the target: SET NAMES binary, READ COMMITTED, autocommit=0 */
    GF_CONN_STREAM  /* COM_BINLOG_DUMP: no session set-up but what replica.c does itself */
} gf_conn_use;

/* On success *out is owned by the caller (gf_server_close). RETRY when the server can't be reached now. */
GF_MUST_CHECK bool gf_server_connect(MYSQL **out, const gf_server_config *cfg, gf_conn_use use, gf_error *err);
void gf_server_close(MYSQL *db); /* NULL is fine */

/* The process is to stop: every gf_server_connect under way ends at once with STOPPED, and so does every later one. Links
   that are open are their owners'. From any thread. */
void gf_server_interrupt(void);

/* ---- lifeline.c ---- */

/* By which another thread may break a connection. {0}: of none. Guarded by a lock of its owner. */
typedef struct {
    bool held;
    int fd; /* owned: a duplicate of the connection's socket */
} gf_lifeline;

/* Of this socket from now on, -1: of none. stopping: it is broken at once, since whoever stops has been here before. */
void gf_lifeline_hold(gf_lifeline *l, int fd, bool stopping);
void gf_lifeline_break(const gf_lifeline *l);

/* Run one statement; text by printf or as bytes. `what` goes in front of an error ("create shop.orders"). */
GF_MUST_CHECK bool gf_server_exec(MYSQL *db, const char *what, gf_error *err, const char *fmt, ...) GF_PRINTF(4, 5);
GF_MUST_CHECK bool gf_server_run(MYSQL *db, const char *what, gf_slice sql, gf_error *err);
/* Run a query and store its result: owned by the caller (mysql_free_result). NULL on error. */
GF_MUST_CHECK MYSQL_RES *gf_server_query(MYSQL *db, const char *what, gf_error *err, const char *fmt, ...)
    GF_PRINTF(4, 5);
/* First column of the first row as a string, owned; NULL value or no row: *out = NULL, still true. */
GF_MUST_CHECK bool gf_server_scalar(char **out, MYSQL *db, const char *what, gf_error *err, const char *fmt, ...)
    GF_PRINTF(5, 6);
/*
 * A user-level lock of the session, held until it is released or the session ends; the server ends that after its
 * statement, however the client died. `what` says what its holder is at ("a schema change of an earlier run").
 */
typedef struct {
    const char *name; /* borrowed, like all here; letters, digits, dots: at most 64 */
    const char *what;
    unsigned timeout; /* seconds for which a holder is waited for that is not seen to execute anything */
    bool (*stopped)(void *ctx);
    void *ctx;
} gf_server_lock;

/* Waits for it, and logs once who holds it and what can be done. CONFIG error after the timeout, STOPPED by `stopped`. */
GF_MUST_CHECK bool gf_server_lock_take(MYSQL *db, const gf_server_lock *l, gf_error *err);
GF_MUST_CHECK bool gf_server_lock_release(MYSQL *db, const gf_server_lock *l, gf_error *err);

/* 'text' quoted and escaped for a session without NO_BACKSLASH_ESCAPES. Appended. */
void gf_buf_quote(gf_buf *b, const void *data, size_t len);

/* What a server is: read once at the start, compared at every reconnect. */
typedef struct {
    gf_flavor flavor;
    unsigned version; /* 80043, 101119 */
    char version_text[128];
    char uuid[64]; /* MySQL: server_uuid; MariaDB: "" (has none before 12) */
    unsigned server_id;
    bool log_bin, gtids; /* gtids: MySQL gtid_mode=ON; MariaDB always */
    char gtid_mode[32];
    unsigned lower_case; /* lower_case_table_names */
    uint64_t max_allowed_packet;
    bool read_only;
    bool local_infile;  /* takes LOAD DATA LOCAL */
    bool logs_cascades; /* foreign-key cascades are in the binlog (MySQL >= 9.6) */
    char identity[128]; /* what tells this server from another one behind the same address:
                                 MySQL its UUID; MariaDB "server_id/hostname/port/datadir hash" */
} gf_server_info;

GF_MUST_CHECK bool gf_server_info_read(gf_server_info *out, MYSQL *db, gf_error *err);
/* Can the types inside a JSON document be read on the source (JSON_TABLE of MySQL 8.0.4), and made on the target? */
bool gf_server_json_types(const gf_server_info *source, const gf_server_info *target);

/* The end of the binlog now (SHOW BINARY LOG STATUS / SHOW MASTER STATUS), file and offset without GTIDs: runs ahead
   of visibility (rule M3). */
GF_MUST_CHECK bool gf_server_binlog_end(gf_position *out, MYSQL *db, const gf_server_info *info, gf_error *err);

#endif
