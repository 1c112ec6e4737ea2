/* SPDX-License-Identifier: MIT */
/*
 * load.c - a table is a list of numbers into tables of kinds; a row is its number and chance.
 *
 * The number makes the key, so that writers meet on the same rows; a few low numbers are drawn half of the time. In a
 * table without a key two or three numbers share the value by which its rows are found, so equal rows and statements
 * that mean several of them happen.
 */
#include "soak/load.h"

#include <errmsg.h>
#include <inttypes.h>
#include <mysqld_error.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "harness/random.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { TABLES_MAX = 8, COLUMNS_MAX = 6, PARTS_MAX = 2, FILL_BATCH = 200, XA_ONE_IN = 40 };

/* --- kinds of columns --------------------------------------------------------------------------------------------- */

typedef struct {
    const char *type;
    void (*put)(FILE *out, h_rng *r, unsigned number);
} kind;

static void put_int(FILE *out, h_rng *r, unsigned n)
{
    (void)r;
    fprintf(out, "%d", (int)n - 100);
}

/* Both sides of the sign bit. */
static void put_big(FILE *out, h_rng *r, unsigned n)
{
    (void)r;
    fprintf(out, "%" PRIu64, UINT64_C(9223372036854775700) + (uint64_t)n * 5);
}

static void put_decimal(FILE *out, h_rng *r, unsigned n)
{
    (void)r;
    fprintf(out, "%d.%06u", (int)n * 37 - 20000, n * 1013 % 1000000);
}

static void put_bin_name(FILE *out, h_rng *r, unsigned n)
{
    char text[48];

    (void)r;
    snprintf(text, sizeof text, "%s-%u", n % 3 == 0 ? "Käse" : n % 3 == 1 ? "käse" : "日", n);
    fputs("_utf8mb4 x'", out);
    h_put_hex(out, text, strlen(text));
    fputc('\'', out);
}

static void put_char(FILE *out, h_rng *r, unsigned n)
{
    char text[48];

    (void)r;
    snprintf(text, sizeof text, "%s%u", n % 2 == 0 ? "\xe9t\xe9 " : "x", n);
    fputs("_latin1 x'", out);
    h_put_hex(out, text, strlen(text));
    fputc('\'', out);
}

static void put_digest(FILE *out, h_rng *r, unsigned n)
{
    (void)r;
    fprintf(out, "UNHEX(LEFT(SHA2('%u', 256), 24))", n);
}

static void put_moment(FILE *out, h_rng *r, unsigned n)
{
    (void)r;
    fprintf(out, "TIMESTAMP'1999-12-31 23:00:00.5' + INTERVAL %u MINUTE", n * 61);
}

/* Alone they make a primary key; name forms differ in case, which the ci collations take for the same. */
static const kind key_kinds[] = {
    {"INT NOT NULL", put_int},
    {"BIGINT UNSIGNED NOT NULL", put_big},
    {"DECIMAL(24,6) NOT NULL", put_decimal},
    {"VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL", h_put_name},
    {"VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL", h_put_name},
    {"VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL", put_bin_name},
    {"CHAR(20) CHARACTER SET latin1 NOT NULL", put_char},
    {"BINARY(16) NOT NULL", put_digest},
    {"VARBINARY(24) NOT NULL", put_digest},
    {"DATETIME(3) NOT NULL", put_moment},
};

static void put_lead(FILE *out, h_rng *r, unsigned n)
{
    (void)r;
    fprintf(out, "%d", (int)(n % 13) - 3);
}

static const kind lead = {"SMALLINT NOT NULL", put_lead}; /* one part of a composite key */

static void put_third(FILE *out, h_rng *r, unsigned n)
{
    (void)r;
    fprintf(out, "%u", n / 3);
}

static const kind shared = {"INT NOT NULL", put_third}; /* what finds rows of a table without a key */

static void put_nullable(FILE *out, h_rng *r, unsigned n)
{
    (void)n;
    if (h_chance(r, 15))
        fputs("NULL", out);
    else
        fprintf(out, "%d", (int)h_below(r, 2000000) - 1000000);
}

static void put_money(FILE *out, h_rng *r, unsigned n)
{
    (void)n;
    fprintf(out, "%s%u.%04u", h_chance(r, 50) ? "-" : "", h_below(r, 4000000), h_below(r, 10000));
}

static void put_words(FILE *out, h_rng *r, unsigned n)
{
    (void)n;
    h_put_text(out, r, 12);
}

static void put_long_text(FILE *out, h_rng *r, unsigned n)
{
    (void)n;
    h_put_text(out, r, h_chance(r, 4) ? 2000 : 30);
}

static void put_blob(FILE *out, h_rng *r, unsigned n)
{
    (void)n;
    h_put_bytes(out, r, h_chance(r, 3) ? 60000 : 200);
}

static void put_document(FILE *out, h_rng *r, unsigned n)
{
    (void)n;
    h_put_json(out, r);
}

static void put_timestamp(FILE *out, h_rng *r, unsigned n)
{
    (void)n;
    fputc('\'', out);
    h_put_date(out, r, 1971, 66);
    fputc(' ', out);
    h_put_clock(out, r, 6);
    fputc('\'', out);
}

static void put_double(FILE *out, h_rng *r, unsigned n)
{
    (void)n;
    fprintf(out, "%.17g", ((double)h_below(r, 2000000) - 1000000.0) / 7.0);
}

static void put_bits(FILE *out, h_rng *r, unsigned n)
{
    (void)n;
    fprintf(out, "%u", h_below(r, 2048));
}

static void put_member(FILE *out, h_rng *r, unsigned n)
{
    (void)n;
    fprintf(out, "%u", 1 + h_below(r, 3));
}

static const kind column_kinds[] = {
    {"INT", put_nullable},
    {"DECIMAL(14,4) NOT NULL", put_money},
    {"VARCHAR(400) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL", put_words},
    {"LONGTEXT CHARACTER SET utf8mb4", put_long_text},
    {"MEDIUMBLOB", put_blob},
    {"JSON", put_document},
    {"DATETIME(6) NOT NULL", put_timestamp},
    {"TIMESTAMP(6) NULL", put_timestamp},
    {"DOUBLE NOT NULL", put_double},
    {"BIT(11) NOT NULL", put_bits},
    {"ENUM('red','grün','') CHARACTER SET utf8mb4 NOT NULL", put_member},
};

/* --- secondary unique keys ---------------------------------------------------------------------------------------- */

static void put_slot(FILE *out, h_rng *r, unsigned rows)
{
    if (h_chance(r, 10))
        fputs("NULL", out);
    else
        fprintf(out, "%u", h_below(r, rows * 4));
}

static void put_unique_name(FILE *out, h_rng *r, unsigned rows)
{
    if (h_chance(r, 10))
        fputs("NULL", out);
    else
        h_put_name(out, r, h_below(r, rows * 4));
}

/* Column u, and the key over it; the value's "number" is the count of rows. */
static const struct unique_kind {
    const char *type, *key;
    void (*put)(FILE *out, h_rng *r, unsigned rows);
    bool mariadb_only;
} unique_kinds[] = {
    {"INT UNSIGNED", "UNIQUE (u)", put_slot, false},
    {"VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", "UNIQUE (u)", put_unique_name, false},
    {"VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "UNIQUE (u(9))", put_unique_name, false},
    {"INT UNSIGNED", "UNIQUE (u, c0)", put_slot, false},                 /* c0 is made NOT NULL and short for it */
    {"TEXT CHARACTER SET utf8mb4", "UNIQUE (u)", put_unique_name, true}, /* by a hidden hash */
};

/* --- a table ------------------------------------------------------------------------------------------------------ */

typedef struct {
    char name[16];
    const kind *parts[PARTS_MAX]; /* k0, k1: the key, or for `keyless` what finds rows */
    unsigned part_count;
    bool keyless;
    const kind *columns[COLUMNS_MAX]; /* c0, c1, ... */
    unsigned column_count;
    const struct unique_kind *unique; /* NULL: no column u */
} table;

static void choose_key(table *t, h_rng *r)
{
    const kind *main_part = &key_kinds[h_below(r, COUNT(key_kinds))];

    t->part_count = t->keyless || h_chance(r, 60) ? 1 : 2;
    if (t->keyless) {
        t->parts[0] = &shared;
    } else if (t->part_count == 1) {
        t->parts[0] = main_part;
    } else {
        bool front = h_chance(r, 50);

        t->parts[0] = front ? &lead : main_part;
        t->parts[1] = front ? main_part : &lead;
    }
}

static void choose_table(table *t, unsigned number, bool keyless, bool mariadb, h_rng *r)
{
    snprintf(t->name, sizeof t->name, "g%u", number);
    t->keyless = keyless;
    choose_key(t, r);
    t->column_count = 1 + h_below(r, COLUMNS_MAX);
    t->columns[0] = &column_kinds[1]; /* short and NOT NULL */
    for (unsigned i = 1; i < t->column_count; i++)
        t->columns[i] = &column_kinds[h_below(r, COUNT(column_kinds))];
    t->unique = keyless || h_chance(r, 35) ? NULL : &unique_kinds[h_below(r, COUNT(unique_kinds))];
    if (t->unique != NULL && t->unique->mariadb_only && !mariadb)
        t->unique = &unique_kinds[0];
}

static void create_table(h_server *source, const char *database, const table *t)
{
    char *sql = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&sql, &size);

    fprintf(out, "CREATE TABLE `%s`.%s (", database, t->name);
    for (unsigned i = 0; i < t->part_count; i++)
        fprintf(out, "k%u %s, ", i, t->parts[i]->type);
    for (unsigned i = 0; i < t->column_count; i++)
        fprintf(out, "%sc%u %s", i > 0 ? ", " : "", i, t->columns[i]->type);
    if (t->unique != NULL)
        fprintf(out, ", u %s, %s", t->unique->type, t->unique->key);
    fputs(t->keyless ? ", KEY (k0)" : t->part_count == 1 ? ", PRIMARY KEY (k0)" : ", PRIMARY KEY (k0, k1)", out);
    fputs(") ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4", out);
    fclose(out);
    h_sql(source, "%s", sql);
    free(sql);
}

static void put_row(FILE *out, const table *t, h_rng *r, unsigned number, unsigned rows)
{
    fputc('(', out);
    for (unsigned i = 0; i < t->part_count; i++) {
        t->parts[i]->put(out, r, number);
        fputs(", ", out);
    }
    for (unsigned i = 0; i < t->column_count; i++) {
        if (i > 0)
            fputs(", ", out);
        t->columns[i]->put(out, r, number);
    }
    if (t->unique != NULL) {
        fputs(", ", out);
        t->unique->put(out, r, rows);
    }
    fputc(')', out);
}

static void put_insert(FILE *out, const table *t, const char *verb, h_rng *r, unsigned first, unsigned count,
                       unsigned rows)
{
    fprintf(out, "%s INTO %s VALUES ", verb, t->name);
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            fputs(", ", out);
        put_row(out, t, r, first + i, rows);
    }
}

static void put_where(FILE *out, const table *t, h_rng *r, unsigned number)
{
    fputs(" WHERE ", out);
    for (unsigned i = 0; i < t->part_count; i++) {
        fprintf(out, "%sk%u = ", i > 0 ? " AND " : "", i);
        t->parts[i]->put(out, r, number);
    }
}

/* --- writers ------------------------------------------------------------------------------------------------------ */

typedef struct {
    load *load; /* borrowed */
    unsigned number;
    pthread_t thread;
    MYSQL *db; /* owned by the thread; NULL: not connected */
    h_rng random;
    bool broken; /* the transaction cannot go on */
    bool in_xa;  /* gfreplica refuses XA changes of tables without a key */
    bool failed; /* `failure` tells what no application should see */
    uint64_t transactions, xids;
    char failure[512];
} writer;

struct load {
    h_server *source;     /* borrowed */
    char *database;       /* owned */
    load_options options; /* copied */
    table tables[TABLES_MAX];
    writer *writers;      /* owned; writers[i] is touched by its thread alone until joined */
    pthread_rwlock_t xas; /* read-held while an XA transaction is prepared */
    pthread_mutex_t lock; /* guards both below */
    bool stopping, xa_allowed;
};

/* What an application has to expect of servers that die and of others that write. */
static const unsigned expected_errors[] = {
    ER_DUP_ENTRY,       ER_LOCK_DEADLOCK,     ER_LOCK_WAIT_TIMEOUT, ER_CHECKREAD,       CR_SERVER_LOST,
    ER_SERVER_SHUTDOWN, CR_SERVER_GONE_ERROR, CR_CONNECTION_ERROR,  CR_CONN_HOST_ERROR, ER_CONNECTION_KILLED,
    ER_XA_RBDEADLOCK,   ER_XA_RBTIMEOUT,      ER_XA_RBROLLBACK,     ER_XAER_NOTA,       ER_QUERY_INTERRUPTED,
};

static bool is_expected(unsigned error)
{
    for (size_t i = 0; i < COUNT(expected_errors); i++)
        if (error == expected_errors[i])
            return true;
    return false;
}

static bool send_sql(writer *w, const char *sql)
{
    unsigned error;

    if (mysql_query(w->db, sql) == 0)
        return true;
    error = mysql_errno(w->db);
    if (error != ER_DUP_ENTRY) /* an application carries on after that one */
        w->broken = true;
    if (!is_expected(error)) {
        w->failed = true;
        snprintf(w->failure, sizeof w->failure, "%s (%u) in: %.300s", mysql_error(w->db), error, sql);
    }
    return false;
}

static unsigned pick(writer *w)
{
    unsigned rows = w->load->options.rows;

    return h_below(&w->random, h_chance(&w->random, 50) ? 2 * rows : 1 + rows / 20);
}

static void put_action_insert(FILE *out, writer *w, const table *t)
{
    h_rng *r = &w->random;
    unsigned count = h_chance(r, 75) ? 1 : 2 + h_below(r, 8);
    bool replace = !t->keyless && h_chance(r, 35);

    put_insert(out, t, replace ? "REPLACE" : "INSERT", r, pick(w), count, w->load->options.rows);
    if (!replace && h_chance(r, 30))
        fputs(" ON DUPLICATE KEY UPDATE c0 = c0 + 1", out);
}

static void put_action_update(FILE *out, writer *w, const table *t)
{
    h_rng *r = &w->random;
    unsigned column = h_below(r, t->column_count), number = pick(w);

    fprintf(out, "UPDATE %s SET c%u = ", t->name, column);
    t->columns[column]->put(out, r, number);
    if (t->unique != NULL && h_chance(r, 50)) {
        fputs(", u = ", out);
        t->unique->put(out, r, w->load->options.rows);
    }
    put_where(out, t, r, number);
    if (t->keyless && h_chance(r, 50))
        fputs(" LIMIT 1", out);
}

static void put_action_delete(FILE *out, writer *w, const table *t)
{
    fprintf(out, "DELETE FROM %s", t->name);
    put_where(out, t, &w->random, pick(w));
    if (t->keyless && h_chance(&w->random, 50))
        fputs(" LIMIT 1", out);
}

/* Often to the same number: another form of the same key, where there is one. */
static void put_action_key(FILE *out, writer *w, const table *t)
{
    h_rng *r = &w->random;
    unsigned from = pick(w), to = h_chance(r, 20) ? from : pick(w);

    fprintf(out, "UPDATE %s SET ", t->name);
    for (unsigned i = 0; i < t->part_count; i++) {
        fprintf(out, "%sk%u = ", i > 0 ? ", " : "", i);
        t->parts[i]->put(out, r, to);
    }
    put_where(out, t, r, from);
}

/* Some rows of one end of the table, whichever they are. */
static void put_action_sweep(FILE *out, writer *w, const table *t)
{
    h_rng *r = &w->random;

    fprintf(out, "UPDATE %s SET c0 = -c0 ORDER BY k0 %s LIMIT %u", t->name, h_chance(r, 50) ? "DESC" : "ASC",
            1 + h_below(r, 40));
}

static const struct action {
    unsigned below; /* of 100 */
    void (*put)(FILE *out, writer *w, const table *t);
} actions[] = {
    {37, put_action_insert}, {67, put_action_update}, {82, put_action_delete},
    {97, put_action_key},    {100, put_action_sweep},
};

static void act(writer *w)
{
    unsigned first = w->in_xa && w->load->tables[0].keyless ? 1 : 0;
    const table *t = &w->load->tables[first + h_below(&w->random, w->load->options.tables - first)];
    unsigned dice = h_below(&w->random, 100);
    const struct action *a = actions;
    char *sql = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&sql, &size);

    if (out == NULL)
        h_fail("out of memory");
    while (dice >= a->below)
        a++;
    a->put(out, w, t);
    fclose(out);
    send_sql(w, sql);
    free(sql);
}

static void act_some(writer *w)
{
    for (unsigned left = 1 + h_below(&w->random, 6); left > 0 && !w->broken; left--)
        act(w);
}

static void plain_transaction(writer *w)
{
    if (!send_sql(w, "START TRANSACTION"))
        return;
    act_some(w);
    if (!w->broken)
        send_sql(w, h_chance(&w->random, 90) ? "COMMIT" : "ROLLBACK");
    else
        mysql_query(w->db, "ROLLBACK");
}

/* --- XA ----------------------------------------------------------------------------------------------------------- */

static bool xa_step(writer *w, const char *step, const char *xid)
{
    char *sql = h_format("XA %s '%s'", step, xid);
    bool ok = send_sql(w, sql);

    free(sql);
    return ok;
}

/* Prepared or not: a branch that could not be prepared goes with its connection. */
static bool xa_prepare(writer *w, const char *xid)
{
    if (!xa_step(w, "START", xid))
        return false;
    w->in_xa = true;
    act_some(w);
    w->in_xa = false;
    return !w->broken && xa_step(w, "END", xid) && xa_step(w, "PREPARE", xid);
}

static void disconnect(writer *w)
{
    mysql_close(w->db);
    w->db = NULL;
}

static bool connect_writer(writer *w)
{
    const h_server *s = w->load->source;

    w->db = mysql_init(NULL);
    if (w->db == NULL)
        h_fail("out of memory");
    mysql_options(w->db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (mysql_real_connect(w->db, s->host, s->user, s->password, w->load->database, s->port, NULL, 0) != NULL &&
        mysql_query(w->db, "SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = 3,"
                           " sql_mode = 'STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO'") == 0)
        return true;
    disconnect(w);
    return false;
}

/* Until it is decided, on new connections if need be: nothing prepared may stay behind. */
static void xa_decide(writer *w, const char *xid)
{
    const char *step = h_chance(&w->random, 80) ? "COMMIT" : "ROLLBACK";

    while (!w->failed) {
        w->broken = false;
        if (xa_step(w, step, xid) || (w->broken && mysql_errno(w->db) == ER_XAER_NOTA))
            return;
        disconnect(w);
        while (!connect_writer(w))
            h_sleep(0.1);
    }
}

static void xa_transaction(writer *w)
{
    char *xid = h_format("soak-%u-%" PRIu64, w->number, w->xids++);

    pthread_rwlock_rdlock(&w->load->xas);
    if (xa_prepare(w, xid)) {
        h_sleep(h_below(&w->random, 1500) / 1000.0);
        xa_decide(w, xid);
    } else {
        disconnect(w);
    }
    pthread_rwlock_unlock(&w->load->xas);
    free(xid);
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

static bool flag(load *l, const bool *which)
{
    pthread_mutex_lock(&l->lock);
    bool value = *which;
    pthread_mutex_unlock(&l->lock);
    return value;
}

static void run_transaction(writer *w)
{
    w->broken = false;
    if (h_below(&w->random, XA_ONE_IN) == 0 && flag(w->load, &w->load->xa_allowed))
        xa_transaction(w);
    else
        plain_transaction(w);
    w->transactions++;
    if (w->db != NULL && w->broken && mysql_ping(w->db) != 0)
        disconnect(w);
}

static void *writer_main(void *arg)
{
    writer *w = arg;
    double pause = 1.0 / w->load->options.rate, due = h_now();

    mysql_thread_init();
    while (!w->failed && !flag(w->load, &w->load->stopping)) {
        if (w->db == NULL && !connect_writer(w)) {
            h_sleep(0.1);
            continue;
        }
        run_transaction(w);
        due += pause;
        if (due > h_now())
            h_sleep(due - h_now());
        else
            due = h_now();
    }
    if (w->db != NULL)
        disconnect(w);
    mysql_thread_end();
    return NULL;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static void fill_table(load *l, const table *t, h_rng *r)
{
    unsigned rows = l->options.rows;

    for (unsigned done = 0; done < rows; done += FILL_BATCH) {
        char *sql = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&sql, &size);

        put_insert(out, t, "REPLACE", r, done, FILL_BATCH, rows);
        fclose(out);
        h_sql(l->source, "SET SESSION time_zone='+00:00'; USE `%s`; %s", l->database, sql);
        free(sql);
    }
}

load *load_new(h_server *source, const char *database, const load_options *options)
{
    load *l = calloc(1, sizeof *l);
    h_rng random = h_seeded(options->seed);

    if (l == NULL)
        h_fail("out of memory");
    l->source = source;
    l->database = h_format("%s", database);
    l->options = *options;
    pthread_mutex_init(&l->lock, NULL);
    pthread_rwlock_init(&l->xas, NULL);
    h_sql(source, "CREATE DATABASE `%s`", database);
    for (unsigned i = 0; i < options->tables; i++) {
        choose_table(&l->tables[i], i, options->keyless && i == 0, options->mariadb, &random);
        create_table(source, database, &l->tables[i]);
        fill_table(l, &l->tables[i], &random);
    }
    return l;
}

void load_start(load *l)
{
    l->writers = calloc(l->options.threads, sizeof *l->writers);
    if (l->writers == NULL)
        h_fail("out of memory");
    for (unsigned i = 0; i < l->options.threads; i++) {
        l->writers[i] = (writer){.load = l, .number = i, .random = h_seeded(l->options.seed * 1000 + i)};
        if (pthread_create(&l->writers[i].thread, NULL, writer_main, &l->writers[i]) != 0)
            h_fail("cannot create a thread");
    }
}

void load_allow_xa(load *l)
{
    pthread_mutex_lock(&l->lock);
    l->xa_allowed = true;
    pthread_mutex_unlock(&l->lock);
}

void load_hold_xa(load *l)
{
    pthread_rwlock_wrlock(&l->xas);
}

void load_release_xa(load *l)
{
    pthread_rwlock_unlock(&l->xas);
}

uint64_t load_stop(load *l)
{
    uint64_t sum = 0;

    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_mutex_unlock(&l->lock);
    for (unsigned i = 0; i < l->options.threads; i++)
        pthread_join(l->writers[i].thread, NULL);
    for (unsigned i = 0; i < l->options.threads; i++) {
        if (l->writers[i].failed)
            h_fail("soak's load: %s", l->writers[i].failure);
        sum += l->writers[i].transactions;
    }
    pthread_rwlock_destroy(&l->xas);
    pthread_mutex_destroy(&l->lock);
    free(l->writers);
    free(l->database);
    free(l);
    return sum;
}
