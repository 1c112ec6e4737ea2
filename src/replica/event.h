/* SPDX-License-Identifier: MIT */
/*
 * event.h - binlog events taken apart, without memory of what came before.
 *
 * An event here has lost its checksum; parsers read only what is there and return false for what is cut short or
 * contradicts itself. All slices are borrowed from the event. Layouts: MySQL internals manual "Binary Log Event",
 * MariaDB Knowledge Base "Replication Protocol".
 */
#ifndef GFREPLICA_REPLICA_EVENT_H
#define GFREPLICA_REPLICA_EVENT_H

#include "gfreplica/decoder.h"

enum { GF_EVENT_HEADER = 19 };

typedef enum {
    GF_EV_QUERY = 2,
    GF_EV_STOP = 3,
    GF_EV_ROTATE = 4,
    GF_EV_INTVAR = 5,
    GF_EV_APPEND_BLOCK = 9,
    GF_EV_DELETE_FILE = 11,
    GF_EV_RAND = 13,
    GF_EV_USER_VAR = 14,
    GF_EV_FORMAT_DESCRIPTION = 15,
    GF_EV_XID = 16,
    GF_EV_BEGIN_LOAD_QUERY = 17,
    GF_EV_EXECUTE_LOAD_QUERY = 18,
    GF_EV_TABLE_MAP = 19,
    GF_EV_WRITE_ROWS_V1 = 23,
    GF_EV_UPDATE_ROWS_V1 = 24,
    GF_EV_DELETE_ROWS_V1 = 25,
    GF_EV_INCIDENT = 26,
    GF_EV_HEARTBEAT = 27,
    GF_EV_IGNORABLE = 28,
    GF_EV_ROWS_QUERY = 29,
    GF_EV_WRITE_ROWS = 30,
    GF_EV_UPDATE_ROWS = 31,
    GF_EV_DELETE_ROWS = 32,
    GF_EV_GTID = 33,
    GF_EV_ANONYMOUS_GTID = 34,
    GF_EV_PREVIOUS_GTIDS = 35,
    GF_EV_TRANSACTION_CONTEXT = 36,
    GF_EV_VIEW_CHANGE = 37,
    GF_EV_XA_PREPARE = 38,
    GF_EV_PARTIAL_UPDATE_ROWS = 39,
    GF_EV_TRANSACTION_PAYLOAD = 40,
    GF_EV_HEARTBEAT_V2 = 41,
    GF_EV_GTID_TAGGED = 42,
    GF_EV_MARIA_ANNOTATE = 160,
    GF_EV_MARIA_CHECKPOINT = 161,
    GF_EV_MARIA_GTID = 162,
    GF_EV_MARIA_GTID_LIST = 163,
    GF_EV_MARIA_ENCRYPTION = 164,
    GF_EV_MARIA_QUERY_COMPRESSED = 165,
    GF_EV_MARIA_WRITE_COMPRESSED_V1 = 166,
    GF_EV_MARIA_UPDATE_COMPRESSED_V1 = 167,
    GF_EV_MARIA_DELETE_COMPRESSED_V1 = 168,
    GF_EV_MARIA_WRITE_COMPRESSED = 169,
    GF_EV_MARIA_UPDATE_COMPRESSED = 170,
    GF_EV_MARIA_DELETE_COMPRESSED = 171
} gf_event_type;

enum { GF_EVF_ARTIFICIAL = 0x20, GF_EVF_IGNORABLE = 0x80 };

typedef struct {
    uint32_t timestamp;
    uint8_t type;
    uint32_t server_id;
    uint32_t size;    /* of the event as sent, with its checksum if it has one */
    uint32_t log_pos; /* end position, 32 bits of it; 0 in events that are in no file */
    uint16_t flags;
    gf_slice body;
} gf_event;

bool gf_event_parse(gf_event *out, gf_slice raw); /* the header; size is not compared with raw.len */

typedef struct {
    uint32_t created; /* 0 unless it is the first file after the server's start */
    bool mariadb;
} gf_ev_description;
bool gf_event_description(gf_ev_description *out, const gf_event *ev);

typedef struct {
    gf_slice file;
    uint64_t offset;
} gf_ev_place;
bool gf_event_rotate(gf_ev_place *out, const gf_event *ev);
/* Either version. `offset` of version 1 has 32 bits: the header's. */
bool gf_event_heartbeat(gf_ev_place *out, const gf_event *ev);

typedef struct {
    uint8_t uuid[16];
    char tag[33];
    uint64_t gno;       /* 0: anonymous */
    uint64_t commit_us; /* immediate_commit_timestamp, 0 if not there */
} gf_ev_gtid;
bool gf_event_gtid(gf_ev_gtid *out, const gf_event *ev); /* GTID, ANONYMOUS_GTID, GTID_TAGGED */

enum { GF_MARIA_STANDALONE = 0x01, GF_MARIA_DDL = 0x20, GF_MARIA_XA_PREPARE = 0x40, GF_MARIA_XA_COMPLETE = 0x80 };
enum { GF_MARIA_START_ALTER = 0x02, GF_MARIA_COMMIT_ALTER = 0x04, GF_MARIA_ROLLBACK_ALTER = 0x08 };

typedef struct {
    uint32_t format;
    gf_slice gtrid, bqual; /* gtrid without data: no XID */
} gf_ev_xid;
void gf_ev_xid_text(gf_buf *out, const gf_ev_xid *xid); /* X'..',X'..',1 as the servers write it. Appended. */

typedef struct {
    gf_maria_gtid gtid;
    uint8_t flags, flags_extra;
    gf_ev_xid xid; /* with either XA flag */
} gf_ev_maria_gtid;
bool gf_event_maria_gtid(gf_ev_maria_gtid *out, const gf_event *ev);
bool gf_event_maria_list(gf_maria_pos *out, const gf_event *ev); /* out: owned, the last GTID of each domain */

typedef struct {
    uint16_t error; /* the statement failed with it on the source, half-way */
    gf_slice db, sql;
    uint64_t sql_mode;
    unsigned charset_client, collation_connection, collation_server;
    gf_stmt_session session;
} gf_ev_query;
bool gf_event_query(gf_ev_query *out, const gf_event *ev); /* QUERY, its compressed form (sql as sent), LOAD */

typedef struct {
    bool one_phase;
    gf_ev_xid xid;
} gf_ev_xa_prepare;
bool gf_event_xa_prepare(gf_ev_xa_prepare *out, const gf_event *ev);

typedef struct {
    uint64_t id;
    gf_slice db, table; /* both are followed by a NUL */
    uint32_t columns;
    gf_slice types, metadata;
} gf_ev_table_map;
bool gf_event_table_map(gf_ev_table_map *out, const gf_event *ev);
/* Types and metadata per column in the form that rowimage.c describes, in `arena`. */
bool gf_event_columns_read(gf_event_columns *out, const gf_ev_table_map *map, gf_arena *arena);

enum { GF_ROWS_STMT_END = 0x01 };

typedef struct {
    uint64_t table_id;
    uint16_t flags;
    gf_op op;
    bool compressed, partial;
    uint32_t columns;
    gf_slice before, after; /* bitmaps of the columns present; data NULL where the operation has no such image */
    gf_slice rows;          /* as sent */
} gf_ev_rows;
bool gf_event_rows(gf_ev_rows *out, const gf_event *ev);
bool gf_event_is_rows(uint8_t type);

bool gf_event_incident(gf_slice *text, const gf_event *ev);

#endif
