/* SPDX-License-Identifier: MIT */
/*
 * fidelity.h - hostile tables, the rows to fill them with, and the question whether they arrived.
 *
 * A table here is a list of columns, each with the values that hurt most, and a generator of random ones. Rows are
 * written at three moments: before the copy (so the chunk way carries them), while it runs, and after it (so the
 * binlog way does), each time with inserts, updates to other hostile values and deletes. What can't be said that way
 * (own DDL, statements in an order of their own) is a script with a text for each moment.
 *
 * Everything is drawn from a seed: the same seed gives the same statements.
 */
#ifndef FIDELITY_H
#define FIDELITY_H

#include "harness/harness.h"
#include "integration/values_tables.h" /* ON_MARIADB, ON_MYSQL, ON_BOTH: families as a source */

typedef enum { F_BEFORE, F_DURING, F_AFTER, F_PHASES } f_phase;

/* Random values beside the hostile ones; `size` of the column says how large. */
typedef enum {
    F_NONE,
    F_SIGNED,   /* size bits */
    F_UNSIGNED, /* size bits */
    F_DECIMAL,  /* size digits, half of them behind the point */
    F_FLOAT,    /* any finite pattern of 32 bits */
    F_DOUBLE,   /* of 64 */
    F_BYTES,    /* at most size bytes, all 256 of them */
    F_ASCII,    /* at most size printable ones, quotes and backslashes among them */
    F_DATETIME, /* size fraction digits, years 1970 to 2037 */
    F_TIME,     /* the same, both signs */
    F_JSON,
    F_DOCUMENT /* MySQL's: what only expressions put into one, decimals and doubles of any size */
} f_random;

enum { F_VALUES = 24, F_COLUMNS = 24 };

typedef struct {
    const char *name, *type;
    f_random random;
    int size;
    const char *values[F_VALUES]; /* SQL expressions */
} f_column;

typedef struct {
    int families; /* sources that can have it */
    const char *name;
    const char *tail; /* keys behind the columns, NULL: PRIMARY KEY (id); `id INT NOT NULL` is the first column */
    const char *options;
    f_column columns[F_COLUMNS];
} f_table;

typedef struct {
    int families;
    const char *name;             /* of the table, for people */
    const char *create;           /* one or several statements, in the database */
    const char *phases[F_PHASES]; /* same; NULL: nothing */
} f_script;

/* Create the table and, in each phase, change its rows. The current database of server's session is used. */
void f_create(h_server *server, const f_table *t);
void f_write(h_server *server, const f_table *t, f_phase phase);

/* The bit of ON_... that this source is. */
int f_family(const h_server *server);

/* The session that writes hostile rows: lax, so that whatever a server would ever take gets in. */
void f_use(h_server *server, const char *database);
void f_database(h_server *server, const char *database); /* the same, created if it is missing */

/*
 * Alter one value on the target in each column of each table of the database that is no part of a unique key, by one
 * bit or one unit in its last place, each in a row of its own. Returns how many differences there are now: one each,
 * two in a table without a key (named n_...), whose rows are paired by all but their floats. Columns without a value that can be altered (NULL everywhere, fewer rows
 * than columns) are counted in *left.
 */
uint64_t f_alter(h_server *target, const char *database, unsigned *left);

/* Exit with the run's log on stderr unless it ends with this code. */
void f_ends(h_run *run, int code, double seconds);

#endif
