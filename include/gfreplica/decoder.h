/* SPDX-License-Identifier: MIT */
/*
 * decoder.h - binlog events in, transactions of typed row changes out.
 *
 * Takes events without checksum in stream order, keeps table maps, follows file and offset (names from every
 * ROTATE, u32 wrap beyond 4 GiB), opens TRANSACTION_PAYLOAD and MariaDB's compressed events as a stream, and calls
 * the sink. It never skips a change of a selected table silently: what it can't give exactly is a DATA error that
 * names file, offset, GTID and table. Rows of tables that are not selected are not decoded.
 *
 * Threads: one thread at a time.
 */
#ifndef GFREPLICA_DECODER_H
#define GFREPLICA_DECODER_H

#include "gfreplica/batch.h"
#include "gfreplica/catalog.h"

typedef struct {
    char gtid[128]; /* "uuid:tag:7", "0-1-7", "" without GTIDs */
    char file[GF_BINLOG_NAME_MAX];
    uint64_t offset;    /* where it starts */
    uint32_t timestamp; /* of its first event, seconds; the client may set it to anything */
    uint64_t commit_us; /* MySQL's immediate_commit_timestamp; 0 if not known */
    const char *xid;    /* XA: "X'..',X'..',1" of the transaction, else NULL */
} gf_txn_info;

typedef enum {
    GF_STMT_DDL,    /* changes definitions or contents as a statement: CREATE, ALTER, DROP, RENAME, TRUNCATE ... */
    GF_STMT_DML,    /* a change in statement format */
    GF_STMT_OTHER,  /* GRANT, FLUSH, ANALYZE, routines, views, triggers, events: nothing to apply */
    GF_STMT_UNKNOWN /* not recognised */
} gf_stmt_kind;

typedef struct {
    const char *db;
    size_t db_len; /* resolved: the default database where the statement names none */
    const char *table;
    size_t table_len; /* empty: the whole database */
} gf_stmt_object;

/*
 * The session that ran a statement, as far as its event tells. Servers leave out what the statement does not depend on:
 * each group says whether it is there. sql_mode and the connection's character set are in gf_statement.
 */
typedef struct {
    bool has_flags, has_sql_mode, has_charset;
    uint32_t flags;         /* GF_SESSION_... */
    gf_slice time_zone;     /* no data: not told */
    unsigned lc_time_names; /* 0: en_US, also when not told */
    unsigned db_collation;  /* collation_database where it is not the database's own; 0: it is */
    uint32_t timestamp;     /* @@timestamp, seconds */
    uint32_t microseconds;  /* and its fraction */
    bool has_explicit_ts;   /* MySQL: explicit_defaults_for_timestamp is told */
    bool explicit_ts;       /* and what it is; MariaDB has a flag */
    unsigned utf8mb4;       /* MySQL: default_collation_for_utf8mb4, a collation id; 0: not told */
    bool has_encryption;    /* MySQL: default_table_encryption is told */
    bool encryption;        /* and what it is */
    gf_slice collations;    /* MariaDB's character_set_collations: pairs of ids (u16 each, LE); no data: not told */
    bool two_phase;         /* MariaDB: the end of a START ALTER */
    bool unknown;           /* it told something that we do not know */
} gf_stmt_session;

enum {
    GF_SESSION_NO_CONSTRAINT_CHECKS = 0x8000, /* MariaDB */
    GF_SESSION_EXPLICIT_TS = 0x01000000,      /* MariaDB */
    GF_SESSION_NO_FOREIGN_KEYS = 0x04000000,
    GF_SESSION_NO_UNIQUE_CHECKS = 0x08000000,
    GF_SESSION_IF_EXISTS = 0x10000000 /* MariaDB */
};

typedef struct {
    gf_stmt_kind kind;
    const char *verb; /* "ALTER TABLE", static */
    const char *db;   /* default database of the event, NUL-terminated */
    gf_slice sql;     /* as logged, in the client's character set */
    uint64_t sql_mode;
    unsigned charset_client, collation_connection, collation_server; /* collation ids */
    const gf_stmt_object *objects; /* tables and databases that it names as its objects */
    size_t object_count;
    const gf_stmt_object *like; /* CREATE TABLE ... LIKE: where the definition comes from; NULL: none */
    gf_stmt_session session;
} gf_statement;

/* Splits a statement into what decoder and DDL need; objects point into `arena`. sql_mode decides quoting. */
void gf_statement_scan(gf_statement *out, gf_arena *arena, gf_slice sql, const char *db, uint64_t sql_mode);

/*
 * A definition statement, read for the question whether another server would do exactly the same with it. Only what the
 * text tells: the session, the tables and the two servers are for the caller to look at.
 */
typedef enum {
    GF_DDL_CREATE,  /* CREATE TABLE [LIKE] */
    GF_DDL_CHANGE,  /* ALTER TABLE, CREATE INDEX, DROP INDEX; a second object is the new name */
    GF_DDL_DROP,    /* DROP TABLE */
    GF_DDL_RENAME,  /* RENAME TABLE: objects are pairs of old and new name */
    GF_DDL_TRUNCATE /* TRUNCATE TABLE */
} gf_ddl_kind;

typedef struct {
    gf_ddl_kind kind;
    const char *refused; /* why it can't be repeated, static: "it ..."; NULL: nothing in the text forbids it */
    bool replaces;       /* CREATE OR REPLACE */
    bool names_engine;   /* CREATE says which engine */
    bool references;     /* it makes foreign keys */
    bool acts;           /* and their actions change other rows */
    bool conditional;    /* parts of it are for some versions only */
    bool retypes;        /* ALTER gives columns that are there another type or character set: MODIFY, CHANGE, CONVERT */
    bool utf8;           /* it names the character set utf8, whichever that is, or a collation by that name */
    bool dates;          /* it names a type with a date */
    gf_slice counter;    /* the column that MODIFY or CHANGE gives AUTO_INCREMENT; no data: none */
} gf_ddl;
void gf_ddl_read(gf_ddl *out, const gf_statement *s);
/* Does it make, change, rename or drop a column or key of this name (utf8)? True also for a name that cannot be compared
   with the text as it is: one outside ASCII or with quotes in it. */
bool gf_ddl_concerns(const gf_statement *s, const char *name);

typedef enum { GF_XA_PREPARE, GF_XA_COMMIT, GF_XA_ROLLBACK } gf_xa_kind;

/*
 * Each callback returns false with *err filled to stop. Values and info are borrowed for the call.
 *
 * begin opens a transaction, just before its first row, savepoint or statement; exactly one of commit, rollback, xa and
 * statement(inside = false) ends it, unless the decoder is reset. One that has none of them is only `moved` over.
 */
typedef struct {
    void *ctx;
    bool (*begin)(void *ctx, const gf_txn_info *txn, gf_error *err);
    /* before has column_count values for UPDATE and DELETE, after for INSERT and UPDATE; ABSENT where the row image
       is partial. event_flags: of the rows event (0x02 foreign keys off, ...). */
    bool (*row)(void *ctx, const gf_table *t, gf_op op, const gf_value *before, const gf_value *after,
                unsigned event_flags, gf_error *err);
    /* SAVEPOINT name (rollback_to false) or ROLLBACK TO name: what came after it is undone on transactional tables. */
    bool (*savepoint)(void *ctx, gf_slice name, bool rollback_to, gf_error *err);
    /* The transaction takes effect / has no effect. end: position after it, GTID included. */
    bool (*commit)(void *ctx, const gf_position *end, gf_error *err);
    bool (*rollback)(void *ctx, const gf_position *end, gf_error *err);
    /* XA: rows since begin belong to xid and wait (PREPARE), or an earlier PREPARE is decided. */
    bool (*xa)(void *ctx, gf_xa_kind kind, gf_slice xid, const gf_position *end, gf_error *err);
    /* A statement that is a transaction of its own (DDL), or one in statement format inside a transaction
       (inside = true: end is not valid yet and commit follows). */
    bool (*statement)(void *ctx, const gf_statement *s, bool inside, const gf_position *end, gf_error *err);
    /* The position moved with nothing to apply: heartbeat, rotation, skipped transactions. */
    bool (*moved)(void *ctx, const gf_position *pos, gf_error *err);
} gf_sink;

typedef struct gf_decoder gf_decoder;

gf_decoder *gf_decoder_new(gf_flavor flavor, gf_catalog *catalog, const gf_filter *filter, const gf_position *from,
                           const gf_sink *sink);
GF_MUST_CHECK bool gf_decoder_feed(gf_decoder *d, gf_slice event, gf_error *err);
/* Forget an unfinished transaction and all table maps: before a reconnect. */
void gf_decoder_reset(gf_decoder *d, const gf_position *from);
/* Position after the last complete transaction fed. Borrowed until the next feed. */
const gf_position *gf_decoder_position(const gf_decoder *d);
bool gf_decoder_inside(const gf_decoder *d); /* a transaction has begun and not ended */
void gf_decoder_free(gf_decoder *d);

/*
 * rowimage: one row image of a rows event. `present` says which columns it holds; their values are appended in table
 * order to row[] (column_count slots, ABSENT for the others), text forms go to `arena`.
 */
typedef struct {
    uint8_t *types; /* owned by the table map: type code per event column */
    uint16_t *meta; /* metadata per event column, STRING already split (see rowimage.c) */
    unsigned count; /* event columns: table columns + hidden ones */
} gf_event_columns;

GF_MUST_CHECK bool gf_rowimage_read(gf_value *row, gf_cursor *in, const gf_table *t, const gf_event_columns *cols,
                                    const uint8_t *present, gf_arena *arena, gf_error *err);
/* Does the table map fit our definition? DATA error naming the first column that differs. */
GF_MUST_CHECK bool gf_rowimage_check(const gf_table *t, const gf_event_columns *cols, gf_error *err);
/* MySQL's binary JSON as the text that the server prints, on request with marks (value.h). Appended; false if malformed. */
bool gf_json_text(gf_buf *out, gf_slice binary, bool marks);

#endif
