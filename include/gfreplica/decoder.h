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

typedef struct {
    gf_stmt_kind kind;
    const char *verb; /* "ALTER TABLE", static */
    const char *db;   /* default database of the event, NUL-terminated */
    gf_slice sql;     /* as logged, in the client's character set */
    uint64_t sql_mode;
    unsigned charset_client, collation_connection, collation_server; /* collation ids */
    const gf_stmt_object *objects; /* tables and databases that it names as its objects */
    size_t object_count;
} gf_statement;

/* Splits a statement into what decoder and DDL need; objects point into `arena`. sql_mode decides quoting. */
void gf_statement_scan(gf_statement *out, gf_arena *arena, gf_slice sql, const char *db, uint64_t sql_mode);

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
/* MySQL's binary JSON as the text that the server prints. Appended; false if malformed. */
bool gf_json_text(gf_buf *out, gf_slice binary);

#endif
