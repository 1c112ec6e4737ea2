/* SPDX-License-Identifier: MIT */
/*
 * statement.h - gf_statement_scan for statements whose client character set is known.
 */
#ifndef GFREPLICA_REPLICA_STATEMENT_H
#define GFREPLICA_REPLICA_STATEMENT_H

#include "gfreplica/decoder.h"

/* As gf_statement_scan, for text in the character set of that collation id. Also sets out->charset_client. */
void gf_statement_scan_as(gf_statement *out, gf_arena *arena, gf_slice sql, const char *db, uint64_t sql_mode,
                          unsigned charset_client);

#endif
