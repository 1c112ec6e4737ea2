/* SPDX-License-Identifier: MIT */
/*
 * relay_file.h - one file of the relay: a head that describes it, then records, each an event with its checksum.
 *
 * Threads: a gf_relay_file is used by one thread at a time; another process or thread may append behind `limit`.
 */
#ifndef GFREPLICA_REPLICA_RELAY_FILE_H
#define GFREPLICA_REPLICA_RELAY_FILE_H

#include "gfreplica/position.h"

enum { GF_RELAY_NAME_MAX = 32 };

/* What the first bytes of a file say. */
typedef struct {
    unsigned number;    /* of the file, as in its name */
    gf_flavor flavor;   /* of the source */
    char identity[128]; /* of the source, see gf_server_info */
    gf_position start;  /* owned: the first record is what follows it */
    uint64_t before;    /* bytes of the file before this one, which must still have them; 0: it is the first */
} gf_relay_head;

void gf_relay_head_free(gf_relay_head *h);
void gf_relay_name(char out[GF_RELAY_NAME_MAX], unsigned number);
bool gf_relay_name_parse(unsigned *number, const char *name); /* false for any other name */

/* Bytes to write, appended. `offset` is where the record will stand in its file. */
void gf_relay_head_bytes(gf_buf *out, const gf_relay_head *h);
void gf_relay_record_bytes(gf_buf *out, unsigned number, uint64_t offset, gf_slice event);
uint64_t gf_relay_record_size(gf_slice event);

typedef struct {
    int fd;          /* owned; -1 when closed */
    uint64_t offset; /* of the next record */
    gf_buf bytes;    /* what has been read of the file, from `at` on */
    uint64_t at;
    unsigned number;
} gf_relay_file;

/* Opens DIR/relay-N and reads its head (owned by the caller). DATA error when it has none that is whole. */
GF_MUST_CHECK bool gf_relay_file_open(gf_relay_file *f, gf_relay_head *head, int folder, unsigned number,
                                      gf_error *err);
void gf_relay_file_close(gf_relay_file *f);

typedef enum {
    GF_RELAY_EVENT,
    GF_RELAY_END,     /* no whole record in front of `limit` */
    GF_RELAY_DAMAGED, /* the bytes that are there are no record */
    GF_RELAY_FAILED   /* *err says why */
} gf_relay_step;

/* The next record's event: borrowed until the next call. */
gf_relay_step gf_relay_file_next(gf_slice *event, gf_relay_file *f, uint64_t limit, gf_error *err);

#endif
