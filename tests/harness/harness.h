/* SPDX-License-Identifier: MIT */
/*
 * harness.h - what tests against real servers are made of: servers, gfreplica processes, a comparison, a workload.
 *
 * Whatever goes wrong in the harness itself (a server that does not start, a statement that fails) ends the process
 * with a message on stderr: a test need not check. Under Check that is the forked test, which then counts as failed.
 *
 * Everything lives in one folder per process, GFREPLICA_RUN_DIR (scripts/run-tests.sh gives one) or a temporary one.
 * At the exit of the process that used it first, its servers are destroyed; gfreplica processes are killed when the
 * process that started them ends. Servers started in an unchecked fixture (Check's parent process) are shared by its
 * tests. Paths are relative to the repository: run from there, as scripts/run-tests.sh does.
 *
 * Threads: an h_server and an h_run are used by one thread at a time. The workload has threads of its own.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <mysql.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define H_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define H_NORETURN          __attribute__((noreturn))

/* Print the message to stderr and end the process. */
H_NORETURN void h_fail(const char *fmt, ...) H_PRINTF(1, 2);

/* printf into a string that the caller owns. */
char *h_format(const char *fmt, ...) H_PRINTF(1, 2);

void h_sleep(double seconds);
double h_now(void); /* seconds of the monotonic clock */

/* The folder of this process, absolute; borrowed for ever. */
const char *h_run_dir(void);

/* Whether this process's exit leaves that folder as it is, servers stopped but not destroyed, and says where. Called by
 * the process that uses it first. */
void h_keep(bool keep);

/* A new path in it, "NAME-N" with a number never used before, nothing created. Owned by the caller. */
char *h_path(const char *name);

/* --- servers.c ---------------------------------------------------------------------------------------------------- */

typedef struct {
    char name[64];   /* as scripts/servers.sh knows it; empty for h_server_at */
    char family[16]; /* "mariadb", "mysql", "mariadb118" */
    char host[64];
    unsigned port;
    char socket[108];
    char user[64], password[64]; /* for connections and configurations: root and "" unless changed */
    MYSQL *admin;                /* owned, opened on demand by h_sql and its like, in admin_owner only */
    pid_t admin_owner;
} h_server;

/* Start a server; `options` are the server's own, separated by blanks, or NULL. Owned by the caller. */
h_server *h_server_start(const char *family, const char *options);

/* Start two, both at once: a source and a target. */
void h_server_start_pair(h_server **source, h_server **target, const char *family, const char *source_options,
                         const char *target_options);

/* A server that runs already. */
h_server *h_server_at(const char *host, unsigned port, const char *user, const char *password);

void h_server_stop(h_server *server);                         /* in good order */
void h_server_kill(h_server *server);                         /* -9 */
void h_server_restart(h_server *server, const char *options); /* NULL: with the options that it had */
void h_server_free(h_server *server);                         /* destroys server and data; NULL is fine */

/* Folder with ca.pem, other-ca.pem, {server,wrong-name,client}-{cert,key}.pem; owned by the caller. */
char *h_tls_dir(void);

/* A connection of the caller's, as server->user, through TCP; utf8mb4. */
MYSQL *h_connect(const h_server *server);

/* Run one or several statements, all results thrown away. */
void h_sql(h_server *server, const char *fmt, ...) H_PRINTF(2, 3);

/* The same, but 0 or the error number instead of the end; `*text`, if wanted, is owned by the caller. */
unsigned h_sql_try(h_server *server, char **text, const char *fmt, ...) H_PRINTF(3, 4);

/* The first column of the first row: NULL for no row or NULL, else owned by the caller. */
char *h_scalar(h_server *server, const char *fmt, ...) H_PRINTF(2, 3);
long long h_number(h_server *server, const char *fmt, ...) H_PRINTF(2, 3); /* of it; 0 for none */

/* --- process.c ---------------------------------------------------------------------------------------------------- */

typedef struct {
    pid_t pid;
    char *command;                   /* for messages */
    char *stdout_path, *stderr_path; /* the files stay until the run dir goes */
    bool ended;
    int exit_code; /* once ended; 128 + N when signal N ended it */
} h_run;

/* Start the program of GFREPLICA (default build/gfreplica) with these arguments, NULL at the end. */
h_run *h_start_argv(const char *const arguments[]);
#define h_start(...) h_start_argv((const char *const[]){__VA_ARGS__, NULL})

void h_signal(h_run *run, int number);

/* Wait for its end: the exit code, or -1 when it still runs after so many seconds. */
int h_wait(h_run *run, double seconds);

/* Wait until a table, which need not be there yet, has so many rows; false when the run ended or the time is over. */
bool h_wait_rows(h_run *run, h_server *target, const char *database, const char *table, long long rows, double seconds);

/* Wait until its stderr contains `text`; false when it ended without it or when the time is over. */
bool h_wait_log(h_run *run, const char *text, double seconds);

/* All that it printed so far; owned by the caller. */
char *h_stdout(const h_run *run);
char *h_stderr(const h_run *run);

void h_run_free(h_run *run); /* kills it if it still runs; NULL is fine */

/* Run it to its end (at most so many seconds) and return the exit code; `*out` and `*err`, if not NULL, are what it
 * printed, owned by the caller. */
int h_exec_argv(char **out, char **err, double seconds, const char *const arguments[]);
#define h_exec(out, err, seconds, ...) h_exec_argv(out, err, seconds, (const char *const[]){__VA_ARGS__, NULL})

/* Write a configuration in Ghostferry's form and return its path, owned by the caller. `databases` is "a,b". `extra`,
 * NULL or a JSON object, is merged over it, level by level; the HTTP port is off unless it says otherwise:
 *     {"AutomaticCutover": true, "Source": {"User": "mover"}} */
char *h_config(const h_server *source, const h_server *target, const char *databases, const char *extra);

/* --- proxy.c ------------------------------------------------------------------------------------------------------ */

typedef struct h_proxy h_proxy; /* opaque: defined in proxy.c */

/* What a connection turned out to be for, by what its client sent; only without TLS. */
typedef enum {
    H_LINK_PLAIN = 1,  /* catalog, status; also any that has not said yet */
    H_LINK_READER = 2, /* of chunks */
    H_LINK_WRITER = 4,
    H_LINK_DUMP = 8, /* of the binlog */
    H_LINK_ALL = 15
} h_link;

/* What the network does to links; all zero: nothing. */
typedef struct {
    double latency;            /* seconds, each way */
    unsigned bytes_per_second; /* each way of each link; 0: no limit */
    bool byte_by_byte;         /* every byte a packet of its own */
    bool silent;               /* nothing arrives any more, no acknowledgement either, and no end is told */
} h_weather;

/* A network of its own between a client and a server: listens on a free port of 127.0.0.1 until freed. */
h_proxy *h_proxy_start(const h_server *server);
void h_proxy_free(h_proxy *proxy); /* ends its links; NULL is fine */

/* The server as seen through it: for h_config, not for h_sql. */
h_server h_proxy_view(const h_proxy *proxy);

/* From now on this server is behind it: links to the one before end. */
void h_proxy_retarget(h_proxy *proxy, const h_server *server);

/* From now on, for links of these kinds (h_link, added up), those to come included. While H_LINK_PLAIN links are
 * silent, nobody can connect. */
void h_proxy_weather(h_proxy *proxy, unsigned kinds, h_weather weather);

/* End the links of these kinds that there are. Returns how many there were. */
unsigned h_proxy_cut(h_proxy *proxy, unsigned kinds);

/* Of each link of these kinds the next packet from the server arrives by half, then the link is reset. */
void h_proxy_reset(h_proxy *proxy, unsigned kinds);

/* How many links of these kinds there are. */
unsigned h_proxy_links(h_proxy *proxy, unsigned kinds);

/* --- mounts.c ----------------------------------------------------------------------------------------------------- */

/* Over a folder of the test's: a file system of that size, or the folder itself, but read-only. False when we may not,
 * which takes root. What is left mounted in the run dir at the end is taken down, as servers are. */
bool h_mount_small(const char *folder, unsigned mebibytes);
bool h_mount_read_only(const char *folder);
void h_unmount(const char *folder);
void h_unmount_below(const char *folder); /* all that there is, the last first */

/* --- compare.c ---------------------------------------------------------------------------------------------------- */

typedef struct {
    unsigned tables;
    uint64_t rows, bytes; /* of the source */
    uint64_t differences; /* rows that differ or that one side lacks, tables that one side lacks or defines otherwise */
} h_totals;

/*
 * Compare all base tables of the databases, row by row and byte for byte, both sides streamed. `what` is a list with
 * commas: "db", "db=name on target", "db.table=name on target" (renames one table of a listed database), "!db.table"
 * (leaves one out). The first differences of each table are named on `report` (NULL: stderr): table, key, column, both
 * values in hex. Servers of the same version must have the same SHOW CREATE TABLE too (AUTO_INCREMENT aside).
 * Nobody may write meanwhile. Returns the number of differences; `totals` may be NULL.
 */
uint64_t h_compare_totals(const h_server *source, const h_server *target, const char *what, FILE *report,
                          h_totals *totals);
uint64_t h_compare(const h_server *source, const h_server *target, const char *what);

/* --- workload.c --------------------------------------------------------------------------------------------------- */

typedef struct h_workload h_workload; /* opaque: defined in workload.c */

typedef struct {
    uint64_t transactions, rolled_back;              /* ended by COMMIT; by ROLLBACK */
    uint64_t inserts, updates, deletes, key_changes; /* rows that they say they changed, rolled back ones included */
    uint64_t duplicates, deadlocks, reconnects;      /* refused statements; lost connections */
} h_workload_counts;

/* Create the database and its tables w_*: keys and columns of many kinds. */
void h_workload_schema(h_server *server, const char *database);

/* Put about so many rows into each. The same seed gives the same rows. */
void h_workload_fill(h_server *server, const char *database, unsigned rows, uint64_t seed);

/* Write at random from so many threads until stopped; `rate`: transactions per second and thread, 0 = no limit. Keys
 * are drawn from about twice `rows`, so that many statements meet the same rows. A lost connection is tried again. */
h_workload *h_workload_start(const h_server *server, const char *database, unsigned threads, unsigned rows,
                             unsigned rate, uint64_t seed);
h_workload_counts h_workload_peek(h_workload *load);
h_workload_counts h_workload_stop(h_workload *load); /* waits for the threads and frees it */

#endif
