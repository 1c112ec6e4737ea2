/* SPDX-License-Identifier: MIT */
/*
 * log.h - one line per change of state, on stderr, never on stdout.
 *
 * A line reads `2026-11-24T06:54:34.123Z replica[2] info: streaming from binlog.000007:4711`.
 * Rows and passwords never go here. Threads: all functions may be called from any thread.
 */
#ifndef GFREPLICA_LOG_H
#define GFREPLICA_LOG_H

#include "gfreplica/bytes.h"

typedef enum { GF_LOG_ERROR, GF_LOG_WARN, GF_LOG_INFO, GF_LOG_DEBUG } gf_log_level;

void gf_log_set_level(gf_log_level level);
void gf_log_set_json(bool json); /* one JSON object a line instead of text */
/* The calling thread's name in its lines ("replica", "reader[2]"): copied, at most 31 bytes. */
void gf_log_thread(const char *fmt, ...) GF_PRINTF(1, 2);

bool gf_log_enabled(gf_log_level level);
void gf_log(gf_log_level level, const char *fmt, ...) GF_PRINTF(2, 3);

/* Each line of the text as a line of its own. */
void gf_log_lines(gf_log_level level, gf_buf *text);

#define gf_log_error(...) gf_log(GF_LOG_ERROR, __VA_ARGS__)
#define gf_log_warn(...)  gf_log(GF_LOG_WARN, __VA_ARGS__)
#define gf_log_info(...)  gf_log(GF_LOG_INFO, __VA_ARGS__)
#define gf_log_debug(...)                                                                                              \
    do {                                                                                                               \
        if (gf_log_enabled(GF_LOG_DEBUG))                                                                              \
            gf_log(GF_LOG_DEBUG, __VA_ARGS__);                                                                         \
    } while (0)

#endif
