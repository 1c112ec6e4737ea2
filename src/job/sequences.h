/* SPDX-License-Identifier: MIT */
/*
 * sequences.h - MariaDB's sequences: made before the tables whose defaults may call them, raised at the cutover.
 *
 * A sequence's row events are passed over: like an AUTO_INCREMENT counter it is no row, and what it has handed out is in
 * the rows. Until the cutover the target's stands where it was made. A target that is no MariaDB has none: each is named.
 *
 * Threads: the caller's; source and target are plain connections.
 */
#ifndef GFREPLICA_JOB_SEQUENCES_H
#define GFREPLICA_JOB_SEQUENCES_H

#include "gfreplica/server.h"

/* Tells the catalog which names are selected sequences of the source (none for another family than MariaDB). For a target
   without sequences each gets a line in left_out. */
GF_MUST_CHECK bool gf_sequences_find(gf_catalog *c, MYSQL *source, const gf_server_info *source_info,
                                     const gf_server_info *target_info, const gf_filter *f, gf_buf *left_out,
                                     gf_error *err);
/* Makes those that the target does not have. */
GF_MUST_CHECK bool gf_sequences_create(MYSQL *source, MYSQL *target, const gf_server_info *source_info,
                                       const gf_server_info *target_info, const gf_config *config, gf_error *err);
/* Raises the target's to where the source's stand. Again does no harm. */
GF_MUST_CHECK bool gf_sequences_raise(MYSQL *source, MYSQL *target, const gf_server_info *source_info,
                                      const gf_server_info *target_info, const gf_config *config, gf_error *err);

#endif
