/* SPDX-License-Identifier: MIT */
/*
 * error.h - one struct for everything that can go wrong, filled once by whoever saw it.
 *
 * Callers clean up, at most add context in front, and pass it on. Only the place that decides
 * (retry, stop) logs it. A bug is no error: assert states what must hold.
 */
#ifndef GFREPLICA_ERROR_H
#define GFREPLICA_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#define GF_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define GF_MUST_CHECK         __attribute__((warn_unused_result))

typedef enum {
    GF_ERR_RETRY,    /* the link broke or the server is busy: try again */
    GF_ERR_CONFIG,   /* the operator has to change something */
    GF_ERR_DATA,     /* the source sent what we cannot apply exactly: stop, lose nothing */
    GF_ERR_SYSTEM,   /* disk, memory, kernel */
    GF_ERR_DIVERGED, /* source and target differ where they must not */
    GF_ERR_GONE,     /* what a resume needs (binlog, GTIDs, the other server) no longer exists */
    GF_ERR_STOPPED   /* asked to stop: not a failure */
} gf_error_kind;     /* what the caller can do about it */

typedef struct {
    gf_error_kind kind;
    unsigned native; /* mysql_errno() or errno, 0 when neither applies */
    char text[1024]; /* one line, lower case, no full stop: "read binlog.000007:4711: lost connection" */
} gf_error;

struct st_mysql; /* MYSQL of mysql.h */

/* These fill *err and return false, so a failure is one line: return gf_fail(err, ...); err may be NULL. */
bool gf_fail(gf_error *err, gf_error_kind kind, const char *fmt, ...) GF_PRINTF(3, 4);
bool gf_fail_errno(gf_error *err, const char *fmt, ...) GF_PRINTF(2, 3); /* kind SYSTEM; appends strerror(errno) */
/* Appends the server's code and message; kind RETRY for what passes by itself (link, deadlock, lock wait,
   read-only flip, too many connections, shutdown, full disk), CONFIG for access and missing objects, else DATA. */
bool gf_fail_mysql(gf_error *err, struct st_mysql *db, const char *fmt, ...) GF_PRINTF(3, 4);
/* "error 1062: Duplicate entry '...' for key 'k'": a server's message, error or warning, without the values of rows. */
void gf_print_reason(char *out, size_t size, unsigned code, const char *text);
/* The same decision for an error number alone. */
gf_error_kind gf_mysql_error_kind(unsigned code);
/* Puts "prefix: " in front of err->text; returns false. */
bool gf_fail_context(gf_error *err, const char *fmt, ...) GF_PRINTF(2, 3);

const char *gf_error_kind_name(gf_error_kind kind); /* "retry", "config", ... static */

#endif
