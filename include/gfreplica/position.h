/* SPDX-License-Identifier: MIT */
/*
 * position.h - where in a source's history we are: binlog file and offset, and GTIDs.
 *
 * File and offset order events of one server only (rule S5). GTIDs hold across servers: a MySQL GTID set
 * (intervals per UUID and tag) or a MariaDB GTID position (last sequence number per domain).
 * Byte layouts: MySQL's COM_BINLOG_DUMP_GTID and PREVIOUS_GTIDS forms, untagged and tagged.
 *
 * Threads: plain values without locks.
 */
#ifndef GFREPLICA_POSITION_H
#define GFREPLICA_POSITION_H

#include "gfreplica/bytes.h"

typedef enum { GF_FLAVOR_MYSQL = 1, GF_FLAVOR_MARIADB = 2 } gf_flavor;

/* MySQL: a set of uuid[:tag]:intervals. {0} is the empty set. */
typedef struct gf_gtid_set gf_gtid_set; /* opaque: gtid.c */

gf_gtid_set *gf_gtid_set_new(void); /* empty, owned */
gf_gtid_set *gf_gtid_set_copy(const gf_gtid_set *set);
void gf_gtid_set_free(gf_gtid_set *set);                                                 /* NULL is fine */
GF_MUST_CHECK bool gf_gtid_set_parse(gf_gtid_set *out, const char *text, gf_error *err); /* adds to *out */
void gf_gtid_set_add(gf_gtid_set *set, const uint8_t uuid[16], const char *tag, uint64_t gno);
bool gf_gtid_set_has(const gf_gtid_set *set, const uint8_t uuid[16], const char *tag, uint64_t gno);
bool gf_gtid_set_contains(const gf_gtid_set *set, const gf_gtid_set *subset); /* subset is within set */
void gf_gtid_set_union(gf_gtid_set *set, const gf_gtid_set *other);
bool gf_gtid_set_empty(const gf_gtid_set *set);
void gf_gtid_set_text(const gf_gtid_set *set, gf_buf *out);   /* the server's own text form, appended */
void gf_gtid_set_encode(const gf_gtid_set *set, gf_buf *out); /* COM_BINLOG_DUMP_GTID's bytes, appended */
GF_MUST_CHECK bool gf_gtid_set_decode(gf_gtid_set *out, gf_slice body, gf_error *err); /* PREVIOUS_GTIDS body */

/* MariaDB: the last GTID per domain. */
typedef struct {
    uint32_t domain, server;
    uint64_t seq;
} gf_maria_gtid;

typedef struct {
    gf_maria_gtid *items; /* owned, ordered by domain */
    size_t count;
} gf_maria_pos;

GF_MUST_CHECK bool gf_maria_pos_parse(gf_maria_pos *out, const char *text, gf_error *err);
void gf_maria_pos_set(gf_maria_pos *pos, gf_maria_gtid gtid); /* replaces the domain's entry */
void gf_maria_pos_copy(gf_maria_pos *to, const gf_maria_pos *from);
void gf_maria_pos_text(const gf_maria_pos *pos, gf_buf *out);
void gf_maria_pos_free(gf_maria_pos *pos); /* back to {0} */

#define GF_BINLOG_NAME_MAX 512 /* FN_REFLEN of the servers */

/* {0} is "nowhere". file is "" while unknown (a GTID start before the first ROTATE). */
typedef struct {
    char file[GF_BINLOG_NAME_MAX];
    uint64_t offset;
    gf_gtid_set *gtids; /* owned; MySQL with GTIDs, else NULL */
    gf_maria_pos maria; /* owned; MariaDB, else empty */
} gf_position;

void gf_position_copy(gf_position *to, const gf_position *from); /* frees what *to held */
void gf_position_free(gf_position *pos);                         /* back to {0} */
/* Orders file and offset of one server: by the number behind the last dot, then offset. <0, 0, >0. */
int gf_position_cmp(const gf_position *a, const gf_position *b);
int gf_binlog_cmp(const char *file_a, uint64_t off_a, const char *file_b, uint64_t off_b);
/* "binlog.000007:4711" with the GTIDs behind a space where there are any; for logs. Appended. */
void gf_position_text(const gf_position *pos, gf_buf *out);
/* The GTIDs alone: MySQL's set or MariaDB's position as text, "" if none, "-" for MySQL's set that is there but empty
   (a new server): only the latter is a start by GTID. Appended. */
void gf_position_gtid_text(const gf_position *pos, gf_buf *out);
/* The reverse of file, offset, gtid text as stored in the marker and the checkpoint. */
GF_MUST_CHECK bool gf_position_parse(gf_position *out, gf_flavor flavor, const char *file, uint64_t offset,
                                     const char *gtids, gf_error *err);

#endif
