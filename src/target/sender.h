/* SPDX-License-Identifier: MIT */
/*
 * sender.h - a writer's statements on their way to the target, and whether its answers are what they must be.
 *
 * Small statements leave together, in one packet, and are answered one by one, in order; the first that fails ends the
 * packet. So a small transaction of the source costs two round trips, its COMMIT's included, however many tables it touches.
 *
 * Of several statements in a packet the server lists only the last one's warnings. When another one warns, the packet
 * fails with `warned` set: whoever sent it rolls back and sends the same again, and from then on this sender sends one
 * statement at a time. It does so from the start for tables that ROLLBACK does not reach.
 *
 * Threads: a sender belongs to its writer's thread.
 */
#ifndef GFREPLICA_TARGET_SENDER_H
#define GFREPLICA_TARGET_SENDER_H

#include "batch_sql.h"
#include "gfreplica/server.h"

enum {
    GF_PACKET_STATEMENTS = 64,
    GF_PACKET_BYTES = 64 << 10 /* a larger statement goes alone: its round trip is the least of what it costs */
};

typedef struct {
    bool exact;  /* affected rows are compared with what the source's changes mean */
    bool single; /* one row a statement, and one statement a packet: to name the key that differs */
    bool alone;  /* one statement a packet: what fails cannot be sent again */
} gf_send_mode;

typedef struct {
    MYSQL *db;                                /* borrowed */
    const gf_config *config;                  /* borrowed: for messages about the marker */
    size_t packet_max;                        /* bytes of a packet of several */
    char *strict, *relaxed;                   /* owned: SET statements of sql_mode */
    bool apart;                               /* packets of several statements are not to be had here */
    bool warned;                              /* see the top; of the statements since gf_sender_begin */
    gf_send_mode mode;                        /* of the statements since gf_sender_begin */
    gf_buf packet;                            /* owned: statements not yet sent */
    gf_stmt statements[GF_PACKET_STATEMENTS]; /* of the packet; without a table: of the marker */
    unsigned count;
    uint64_t affected, least, most; /* of the table's statements so far */
    gf_slice suspect;               /* single: the first row that was short, else over */
    bool suspect_short;
} gf_sender;

/* Sets up the session of a connection for writers. db and config stay borrowed, target is read. */
GF_MUST_CHECK bool gf_sender_open(gf_sender *s, MYSQL *db, const gf_config *config, const gf_server_info *target,
                                  gf_error *err);
void gf_sender_close(gf_sender *s); /* a sender of zeros is fine */

/* The statements that follow belong together. What was not sent before is forgotten. */
void gf_sender_begin(gf_sender *s, gf_send_mode mode);
/* ctx: the sender. The statement's key and table are borrowed until the flush. An error may be an earlier statement's. */
GF_MUST_CHECK bool gf_sender_statement(void *ctx, const gf_stmt *stmt, gf_error *err);
/* An UPDATE or INSERT of the marker, one row of our generation (rule R3): CONFIG when it is not ours any more. */
GF_MUST_CHECK bool gf_sender_marker(gf_sender *s, gf_slice sql, gf_error *err);
/* Sends what waits. True: everything so far was answered, as it must be (rule R2). */
GF_MUST_CHECK bool gf_sender_flush(gf_sender *s, gf_error *err);
/* A statement of the session's or the transaction's own, sent at once. */
GF_MUST_CHECK bool gf_sender_text(gf_sender *s, const char *sql, gf_error *err);
/* ROLLBACK, and the session as it was. */
GF_MUST_CHECK bool gf_sender_roll_back(gf_sender *s, gf_error *err);

#endif
