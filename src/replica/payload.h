/* SPDX-License-Identifier: MIT */
/*
 * payload.h - compressed events: MySQL's TRANSACTION_PAYLOAD and MariaDB's zlib form.
 */
#ifndef GFREPLICA_REPLICA_PAYLOAD_H
#define GFREPLICA_REPLICA_PAYLOAD_H

#include "event.h"

/* Calls `each` with every event inside, header and body, one after another: what is in memory is one of them and
   zstd's window, whatever the size of the transaction. Borrowed for the call. */
GF_MUST_CHECK bool gf_payload_each(const gf_event *payload, bool (*each)(void *ctx, gf_slice event, gf_error *err),
                                   void *ctx, gf_error *err);

/* MariaDB's compressed text or rows, inflated into *out (appended). */
GF_MUST_CHECK bool gf_payload_inflate(gf_buf *out, gf_slice compressed, gf_error *err);

#endif
