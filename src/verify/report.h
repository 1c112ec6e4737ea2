/* SPDX-License-Identifier: MIT */
/*
 * report.h - what the threads of a comparison have found.
 *
 * Threads: all functions take an inner lock.
 */
#ifndef GFREPLICA_VERIFY_REPORT_H
#define GFREPLICA_VERIFY_REPORT_H

#include "settle.h"

enum { GF_LISTED_MAX = 100 /* findings of one table; then the rest of it is left alone */ };

typedef struct gf_report gf_report;

gf_report *gf_report_new(const gf_verify_options *opt);
/* Ends it: what it has found goes to *out. */
void gf_report_end(gf_verify_result *out, gf_report *r);

void gf_report_rows(gf_report *r, uint64_t rows); /* so many more rows compared */
void gf_report_table(gf_report *r);               /* one more table, looked at to its end or until it was enough */
/* The table as such: GF_VERIFY_TABLE or GF_VERIFY_UNSETTLED. */
void gf_report_whole(gf_report *r, gf_verify_kind kind, const char *label, const char *what);
/* The settled list: differences and what stays open. Rows that are listed already are not counted twice. *enough: the table
   has GF_LISTED_MAX. */
GF_MUST_CHECK bool gf_report_suspects(bool *enough, gf_report *r, gf_pair *p, const gf_suspects *s, gf_error *err);
/* The table is compared anew: what was found in it is forgotten. */
void gf_report_forget(gf_report *r, const char *label);

#endif
