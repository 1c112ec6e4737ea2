/* SPDX-License-Identifier: MIT */
/*
 * torn.h - a binlog file that ends in the middle of an event, because its server was killed while it wrote.
 *
 * MySQL cuts such an end off when it starts again. MariaDB leaves it, begins a new file, and refuses from then on to send
 * what follows ("truncated in the middle of event"), since it can't be asked by GTID to begin behind it. The torn
 * transaction itself never was: the server has rolled it back, and its GTID is given again. So the stream may go on at the
 * start of the next file, but only when no whole transaction stands between: the next file begins with the list of the
 * last GTIDs of all before it, and that has to be our very position. A file that is damaged in its middle gives the same
 * error, and another list.
 */
#ifndef GFREPLICA_REPLICA_TORN_H
#define GFREPLICA_REPLICA_TORN_H

#include "gfreplica/server.h"

/* Is it that error? Then `file` is the torn one's name. */
bool gf_torn_named(char *file, size_t size, const gf_error *err);

/* `end`: behind the last whole transaction received. *next: the place to go on from, by file and offset; DATA where
   going on would leave something out. */
GF_MUST_CHECK bool gf_torn_step_over(gf_position *next, MYSQL *source, const char *file, const gf_position *end,
                                     gf_error *err);

#endif
