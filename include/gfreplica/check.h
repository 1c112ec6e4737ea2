/* SPDX-License-Identifier: MIT */
/*
 * check.h - preflight: everything that would stop or harm the run, found before it starts, told all at once.
 */
#ifndef GFREPLICA_CHECK_H
#define GFREPLICA_CHECK_H

#include "gfreplica/server.h"

typedef struct {
    gf_buf problems; /* lines: what is wrong, where, what to do; empty = may start */
    gf_buf warnings; /* lines: worth knowing */
    unsigned problem_count, warning_count;
    bool may_alter; /* on the target: every table whose indexes are better built later (gf_deferral_pays) */
} gf_check_report;

/* Reads only. source and target are GF_CONN_PLAIN; tables is the loaded catalog; resuming leaves out what only a
   first start needs (free names). False only when the checks themselves could not run. */
GF_MUST_CHECK bool gf_check_run(gf_check_report *out, const gf_config *config, MYSQL *source,
                                const gf_server_info *source_info, MYSQL *target, const gf_server_info *target_info,
                                gf_catalog *catalog, bool resuming, gf_error *err);
void gf_check_free(gf_check_report *r);

/* Has it a foreign key whose actions change its rows without a row event (unless the source logs_cascades)? */
bool gf_check_acts(const gf_table *t);

#endif
