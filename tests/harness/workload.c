/* SPDX-License-Identifier: MIT */
/*
 * workload.c - applications that write at random.
 *
 * Each table has a small set of actions; a transaction is a few actions on random tables. Keys are drawn from a range
 * about twice as large as the table, half of the time from its first few rows, so that inserts hit existing rows,
 * updates miss, several threads meet on one row, and unique values wander from row to row. A statement that is refused
 * (duplicate key) leaves its transaction going on, as in an application that carries on; a deadlock ends it.
 *
 * All values are made here and sent as hex literals with their character set: nothing depends on escaping.
 */
#include "harness/harness.h"
#include "harness/random.h"

#include <errmsg.h>
#include <inttypes.h>
#include <mysqld_error.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array)    (sizeof(array) / sizeof *(array))
#define FILL_BATCH      500u
#define BIG_TRANSACTION 400u /* rows */

typedef struct writer {
    h_workload *load; /* borrowed */
    pthread_t thread;
    MYSQL *db; /* owned by the thread */
    h_rng random;
    FILE *out; /* the statement being written, into sql */
    char *sql;
    size_t sql_size;
    bool broken;              /* the transaction cannot go on: deadlock or lost connection */
    bool failed;              /* something that no application should see; `failure` tells */
    h_workload_counts counts; /* guarded by load->lock */
    char failure[512];
} writer;

struct h_workload {
    const h_server *server; /* borrowed */
    char *database;         /* owned */
    unsigned rows, rate;

    pthread_mutex_t lock; /* guards stopping and the writers' counts */
    bool stopping;
    unsigned writer_count;
    writer writers[]; /* writers[i] is touched by its thread alone until joined, counts aside */
};

static unsigned pick_row(const writer *w, h_rng *r)
{
    return h_below(r, h_chance(r, 50) ? 2 * w->load->rows : 1 + w->load->rows / 20);
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

/*
 * What follows the table's name in CREATE TABLE, and how a row is written. A row is a function of its number (the key)
 * and of chance (the rest).
 */
typedef struct {
    const char *name, *definition, *columns;
    void (*put_row)(FILE *out, h_rng *r, unsigned number);
    void (*put_key)(FILE *out, h_rng *r, unsigned number);     /* "a = 1 AND b = 2" */
    void (*put_change)(FILE *out, h_rng *r, unsigned number);  /* SET list without the key */
    void (*put_new_key)(FILE *out, h_rng *r, unsigned number); /* SET list with it; NULL when it never changes */
} table;

/* Zero and below are keys too. */
static int int_id(unsigned number)
{
    return (int)number - 40;
}

static void int_row(FILE *out, h_rng *r, unsigned number)
{
    fprintf(out, "(%d, %u, ", int_id(number), h_below(r, 1000000));
    h_put_text(out, r, 6);
    fputc(')', out);
}

static void int_key(FILE *out, h_rng *r, unsigned number)
{
    (void)r;
    fprintf(out, "id = %d", int_id(number));
}

static void int_change(FILE *out, h_rng *r, unsigned number)
{
    (void)number;
    if (h_chance(r, 30)) {
        fputs("v = v + 1", out);
        return;
    }
    fprintf(out, "v = %u, note = ", h_below(r, 1000000));
    h_put_text(out, r, 6);
}

static void int_new_key(FILE *out, h_rng *r, unsigned number)
{
    (void)r;
    fprintf(out, "id = %d", int_id(number));
}

/* Across the sign bit of a signed 64-bit number. */
static uint64_t big_id(unsigned number)
{
    return UINT64_C(9223372036854775000) + (uint64_t)number * 3;
}

static void big_row(FILE *out, h_rng *r, unsigned number)
{
    fprintf(out, "(%" PRIu64 ", ", big_id(number));
    if (h_chance(r, 10))
        fputs("NULL, ", out);
    else
        fprintf(out, "%u, ", h_below(r, 100000));
    h_put_bytes(out, r, 200);
    fputc(')', out);
}

static void big_key(FILE *out, h_rng *r, unsigned number)
{
    (void)r;
    fprintf(out, "id = %" PRIu64, big_id(number));
}

/* The unique value goes to the neighbourhood of others: some are taken. */
static void big_change(FILE *out, h_rng *r, unsigned number)
{
    (void)number;
    fprintf(out, "slot = %u", h_below(r, 100000));
    if (h_chance(r, 50)) {
        fputs(", payload = ", out);
        h_put_bytes(out, r, 200);
    }
}

static void big_new_key(FILE *out, h_rng *r, unsigned number)
{
    (void)r;
    fprintf(out, "id = %" PRIu64, big_id(number));
}

static void name_row(FILE *out, h_rng *r, unsigned number)
{
    fputc('(', out);
    h_put_name(out, r, number);
    fprintf(out, ", %u)", h_below(r, 1000));
}

static void name_key(FILE *out, h_rng *r, unsigned number)
{
    fputs("name = ", out);
    h_put_name(out, r, number);
}

static void name_change(FILE *out, h_rng *r, unsigned number)
{
    (void)r;
    (void)number;
    fputs("hits = hits + 1", out);
}

static void name_new_key(FILE *out, h_rng *r, unsigned number)
{
    fputs("name = ", out);
    h_put_name(out, r, number);
}

static void pair_row(FILE *out, h_rng *r, unsigned number)
{
    fprintf(out, "(%d, ", (int)(number % 50) - 5);
    h_put_latin1(out, number);
    fprintf(out, ", DATE'2000-01-01' + INTERVAL %u DAY, %d.%06u)", number, (int)h_below(r, 2000000) - 1000000,
            h_below(r, 1000000));
}

static void pair_key(FILE *out, h_rng *r, unsigned number)
{
    (void)r;
    fprintf(out, "a = %d AND b = ", (int)(number % 50) - 5);
    h_put_latin1(out, number);
    fprintf(out, " AND c = DATE'2000-01-01' + INTERVAL %u DAY", number);
}

static void pair_change(FILE *out, h_rng *r, unsigned number)
{
    (void)number;
    fprintf(out, "v = v %c 0.%06u", h_chance(r, 50) ? '+' : '-', h_below(r, 1000000));
}

static void pair_new_key(FILE *out, h_rng *r, unsigned number)
{
    (void)r;
    fputs("b = ", out);
    h_put_latin1(out, number + 1);
}

static void uniq_row(FILE *out, h_rng *r, unsigned number)
{
    fprintf(out, "(UNHEX(LEFT(SHA2('%u', 256), 40)), ", number);
    h_put_text(out, r, 3);
    fputc(')', out);
}

static void uniq_key(FILE *out, h_rng *r, unsigned number)
{
    (void)r;
    fprintf(out, "code = UNHEX(LEFT(SHA2('%u', 256), 40))", number);
}

static void uniq_change(FILE *out, h_rng *r, unsigned number)
{
    (void)number;
    fputs("val = ", out);
    h_put_text(out, r, 3);
}

static void uniq_new_key(FILE *out, h_rng *r, unsigned number)
{
    (void)r;
    fprintf(out, "code = UNHEX(LEFT(SHA2('%u', 256), 40))", number);
}

static void text_row(FILE *out, h_rng *r, unsigned number)
{
    fprintf(out, "(%u, ", number);
    h_put_text(out, r, 60);
    fputs(", ", out);
    h_put_bytes(out, r, h_chance(r, 5) ? 20000 : 300);
    fputs(", ", out);
    h_put_text(out, r, h_chance(r, 3) ? 3000 : 20);
    fputs(", ", out);
    h_put_json(out, r);
    fputc(')', out);
}

static void text_key(FILE *out, h_rng *r, unsigned number)
{
    (void)r;
    fprintf(out, "id = %u", number);
}

static void text_change(FILE *out, h_rng *r, unsigned number)
{
    (void)number;
    switch (h_below(r, 4)) {
    case 0:
        fputs("t = ", out);
        h_put_text(out, r, 60);
        break;
    case 1:
        fputs("b = NULL, t = ", out);
        h_put_text(out, r, 5);
        break;
    case 2:
        fprintf(out, "j = JSON_SET(j, '$.n', %u)", h_below(r, 1000)); /* a partial JSON update where that is on */
        break;
    default:
        fputs("j = ", out);
        h_put_json(out, r);
        break;
    }
}

/* "%a"-like doubles: any bit pattern that is a number. */
static double any_double(h_rng *r)
{
    double d;
    uint64_t bits;

    do {
        bits = h_next(r);
        memcpy(&d, &bits, sizeof d);
    } while (d != d || d - d != 0); /* neither NaN nor infinite */
    return d;
}

static void put_types(FILE *out, h_rng *r, const char *const names[])
{
    static const char *const sizes[] = {"small", "medium", "größe"};
    unsigned i = 0;
#define NEXT fprintf(out, "%s%s", i > 0 ? ", " : "", names[i]), i++

    NEXT;
    fprintf(out, "%s%" PRIu64 "%010u.%015u", h_chance(r, 50) ? "-" : "", h_next(r) >> 16, h_below(r, 1000000000),
            h_below(r, 1000000000));
    NEXT;
    fprintf(out, "%.9g", (double)(float)(((double)h_below(r, 1000000) - 500000.0) / 7.0));
    NEXT;
    fprintf(out, "%.17g", any_double(r));
    NEXT;
    fputc('\'', out);
    h_put_date(out, r, 1000, 8999);
    fputc(' ', out);
    h_put_clock(out, r, 6);
    fputc('\'', out);
    NEXT;
    fputc('\'', out);
    h_put_date(out, r, 1971, 66);
    fputc(' ', out);
    h_put_clock(out, r, 3);
    fputc('\'', out);
    NEXT;
    fprintf(out, "'%s%u:%02u:%02u.%02u'", h_chance(r, 50) ? "-" : "", h_below(r, 838), h_below(r, 60), h_below(r, 60),
            h_below(r, 100));
    NEXT;
    fprintf(out, "%u", 1901 + h_below(r, 255));
    NEXT;
    if (h_chance(r, 10)) {
        fputs("NULL", out);
    } else {
        fputs("_utf8mb4 x'", out);
        const char *size = sizes[h_below(r, COUNT(sizes))];
        h_put_hex(out, size, strlen(size));
        fputc('\'', out);
    }
    NEXT;
    fprintf(out, "%u", h_below(r, 16)); /* a set by its bits */
    NEXT;
    fprintf(out, "%u", h_below(r, 2048));
#undef NEXT
}

static void types_row(FILE *out, h_rng *r, unsigned number)
{
    static const char *const none[] = {"", "", "", "", "", "", "", "", "", ""};

    fprintf(out, "(%u, ", number);
    put_types(out, r, none);
    fputc(')', out);
}

static void types_key(FILE *out, h_rng *r, unsigned number)
{
    (void)r;
    fprintf(out, "id = %u", number);
}

static void types_change(FILE *out, h_rng *r, unsigned number)
{
    static const char *const names[] = {
        "d = ", "f = ", "g = ", "dt = ", "ts = ", "tm = ", "y = ", "e = ", "s = ", "bits = "};

    (void)number;
    put_types(out, r, names);
}

static void hot_row(FILE *out, h_rng *r, unsigned number)
{
    fprintf(out, "(%u, %u)", number % 8, h_below(r, 10));
}

static void hot_key(FILE *out, h_rng *r, unsigned number)
{
    (void)r;
    fprintf(out, "id = %u", number % 8);
}

static void hot_change(FILE *out, h_rng *r, unsigned number)
{
    (void)number;
    fprintf(out, "n = n + %u", 1 + h_below(r, 3));
}

static const table tables[] = {
    {"w_int", "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT UNSIGNED NOT NULL, note VARCHAR(200), KEY (v)",
     "id, v, note", int_row, int_key, int_change, int_new_key},
    {"w_big", "id BIGINT UNSIGNED NOT NULL PRIMARY KEY, slot INT UNSIGNED UNIQUE, payload VARBINARY(200) NOT NULL",
     "id, slot, payload", big_row, big_key, big_change, big_new_key},
    {"w_name", "name VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL PRIMARY KEY, hits INT",
     "name, hits", name_row, name_key, name_change, name_new_key},
    {"w_pair",
     "a SMALLINT NOT NULL, b CHAR(12) CHARACTER SET latin1 NOT NULL, c DATE NOT NULL, v DECIMAL(20,6) NOT NULL,"
     " PRIMARY KEY (a, b, c)",
     "a, b, c, v", pair_row, pair_key, pair_change, pair_new_key},
    {"w_uniq", "code VARBINARY(24) NOT NULL UNIQUE, val VARCHAR(100)", "code, val", uniq_row, uniq_key, uniq_change,
     uniq_new_key},
    {"w_text", "id INT UNSIGNED NOT NULL PRIMARY KEY, t TEXT, b MEDIUMBLOB, lt LONGTEXT, j JSON", "id, t, b, lt, j",
     text_row, text_key, text_change, NULL},
    {"w_types",
     "id INT UNSIGNED NOT NULL PRIMARY KEY, d DECIMAL(40,15), f FLOAT, g DOUBLE, dt DATETIME(6), ts TIMESTAMP(3) NULL,"
     " tm TIME(2), y YEAR, e ENUM('small','medium','größe'), s SET('a','b','c','d'), bits BIT(11)",
     "id, d, f, g, dt, ts, tm, y, e, s, bits", types_row, types_key, types_change, NULL},
    {"w_hot", "id TINYINT UNSIGNED NOT NULL PRIMARY KEY, n BIGINT NOT NULL", "id, n", hot_row, hot_key, hot_change,
     NULL},
};

/* --- statements --------------------------------------------------------------------------------------------------- */

static FILE *begin_sql(writer *w)
{
    w->out = open_memstream(&w->sql, &w->sql_size);
    if (w->out == NULL)
        h_fail("out of memory");
    return w->out;
}

static void add(writer *w, uint64_t *counter, uint64_t n)
{
    pthread_mutex_lock(&w->load->lock);
    *counter += n;
    pthread_mutex_unlock(&w->load->lock);
}

static void note_failure(writer *w, const char *sql)
{
    w->failed = w->broken = true;
    snprintf(w->failure, sizeof w->failure, "%s (%u) in: %.300s", mysql_error(w->db), mysql_errno(w->db), sql);
}

/* What an application has to expect; anything else is a mistake of ours. */
static void note_error(writer *w, const char *sql)
{
    switch (mysql_errno(w->db)) {
    case ER_DUP_ENTRY: add(w, &w->counts.duplicates, 1); break;
    case ER_LOCK_DEADLOCK:
    case ER_LOCK_WAIT_TIMEOUT:
    case ER_CHECKREAD: /* MariaDB: record has changed since last read */
        w->broken = true;
        add(w, &w->counts.deadlocks, 1);
        break;
    case CR_SERVER_LOST:
    case CR_SERVER_GONE_ERROR:
    case CR_CONNECTION_ERROR:
    case CR_CONN_HOST_ERROR:
    case ER_SERVER_SHUTDOWN:
    case ER_CONNECTION_KILLED:
    case ER_OPTION_PREVENTS_STATEMENT: /* read_only: somebody cuts over */
        w->broken = true;
        add(w, &w->counts.reconnects, 1);
        break;
    default: note_failure(w, sql);
    }
}

/* Ends what begin_sql began. Rows changed are added to `counter`. */
static bool send_sql(writer *w, uint64_t *counter)
{
    bool ok;

    fclose(w->out);
    ok = mysql_real_query(w->db, w->sql, (unsigned long)w->sql_size) == 0;
    if (!ok)
        note_error(w, w->sql);
    else if (counter != NULL)
        add(w, counter, mysql_affected_rows(w->db));
    free(w->sql);
    w->sql = NULL;
    return ok;
}

static bool send_text(writer *w, const char *sql)
{
    fputs(sql, begin_sql(w));
    return send_sql(w, NULL);
}

static void insert_rows(writer *w, const table *t, const char *verb, unsigned first, unsigned count)
{
    FILE *out = begin_sql(w);

    fprintf(out, "%s INTO %s (%s) VALUES ", verb, t->name, t->columns);
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            fputs(", ", out);
        t->put_row(out, &w->random, first + i);
    }
    send_sql(w, &w->counts.inserts);
}

static void insert_some(writer *w, const table *t)
{
    unsigned count = h_chance(&w->random, 80) ? 1 : 1 + h_below(&w->random, 8);

    insert_rows(w, t, h_chance(&w->random, 75) ? "INSERT" : "REPLACE", pick_row(w, &w->random), count);
}

/* By key; sometimes several at once, in whatever order the server finds them. */
static void put_where(writer *w, const table *t, FILE *out)
{
    unsigned count = h_chance(&w->random, 85) ? 1 : 2 + h_below(&w->random, 6);

    fputs(" WHERE ", out);
    for (unsigned i = 0; i < count; i++) {
        fputs(i > 0 ? " OR (" : "(", out);
        t->put_key(out, &w->random, pick_row(w, &w->random));
        fputc(')', out);
    }
}

static void update_some(writer *w, const table *t)
{
    FILE *out = begin_sql(w);

    fprintf(out, "UPDATE %s SET ", t->name);
    t->put_change(out, &w->random, 0);
    put_where(w, t, out);
    send_sql(w, &w->counts.updates);
}

static void delete_some(writer *w, const table *t)
{
    FILE *out = begin_sql(w);

    fprintf(out, "DELETE FROM %s", t->name);
    put_where(w, t, out);
    send_sql(w, &w->counts.deletes);
}

static void change_key(writer *w, const table *t)
{
    unsigned from = pick_row(w, &w->random), to = pick_row(w, &w->random);
    FILE *out;

    if (t->put_new_key == NULL)
        return;
    if (h_chance(&w->random, 20)) /* the same key in other letters, where there are any */
        to = from;
    out = begin_sql(w);
    fprintf(out, "UPDATE %s SET ", t->name);
    t->put_new_key(out, &w->random, to);
    fputs(" WHERE ", out);
    t->put_key(out, &w->random, from);
    send_sql(w, &w->counts.key_changes);
}

/* Two rows exchange their unique values, through NULL. */
static void swap_slots(writer *w)
{
    uint64_t a = big_id(pick_row(w, &w->random)), b = big_id(pick_row(w, &w->random));

    fprintf(begin_sql(w),
            "SELECT MAX(IF(id = %" PRIu64 ", slot, NULL)), MAX(IF(id = %" PRIu64 ", slot, NULL)) INTO @a, @b"
            " FROM w_big WHERE id IN (%" PRIu64 ", %" PRIu64 ") FOR UPDATE",
            a, b, a, b);
    if (!send_sql(w, NULL))
        return;
    fprintf(begin_sql(w), "UPDATE w_big SET slot = NULL WHERE id IN (%" PRIu64 ", %" PRIu64 ")", a, b);
    if (!send_sql(w, &w->counts.updates))
        return;
    fprintf(begin_sql(w), "UPDATE w_big SET slot = IF(id = %" PRIu64 ", @b, @a) WHERE id IN (%" PRIu64 ", %" PRIu64 ")",
            a, a, b);
    send_sql(w, &w->counts.updates);
}

static void act(writer *w)
{
    const table *t = &tables[h_below(&w->random, COUNT(tables))];
    unsigned dice = h_below(&w->random, 100);

    if (dice < 35)
        insert_some(w, t);
    else if (dice < 70)
        update_some(w, t);
    else if (dice < 85)
        delete_some(w, t);
    else if (dice < 96)
        change_key(w, t);
    else
        swap_slots(w);
}

/* --- transactions ------------------------------------------------------------------------------------------------- */

static void act_in_savepoint(writer *w)
{
    if (!send_text(w, "SAVEPOINT s"))
        return;
    act(w);
    if (!w->broken && h_chance(&w->random, 50))
        send_text(w, "ROLLBACK TO SAVEPOINT s");
}

static void big_transaction(writer *w)
{
    unsigned first = h_below(&w->random, w->load->rows);

    for (unsigned done = 0; done < BIG_TRANSACTION && !w->broken; done += 50)
        insert_rows(w, &tables[0], "REPLACE", first + done, 50);
}

static void fill_transaction(writer *w)
{
    if (h_below(&w->random, 1000) < 3) {
        big_transaction(w);
        return;
    }
    for (unsigned left = 1 + h_below(&w->random, 6); left > 0 && !w->broken; left--) {
        if (h_chance(&w->random, 5))
            act_in_savepoint(w);
        else
            act(w);
    }
}

static void end_transaction(writer *w)
{
    if (!w->broken && h_chance(&w->random, 92)) {
        if (send_text(w, "COMMIT"))
            add(w, &w->counts.transactions, 1);
    } else if (mysql_query(w->db, "ROLLBACK") == 0) {
        add(w, &w->counts.rolled_back, 1);
    }
}

static void run_transaction(writer *w)
{
    w->broken = false;
    if (h_chance(&w->random, 10)) { /* autocommit */
        act(w);
        add(w, &w->counts.transactions, 1);
        return;
    }
    if (send_text(w, "START TRANSACTION")) {
        fill_transaction(w);
        end_transaction(w);
    }
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

static bool is_stopping(writer *w)
{
    pthread_mutex_lock(&w->load->lock);
    bool stopping = w->load->stopping;
    pthread_mutex_unlock(&w->load->lock);
    return stopping;
}

/* False while the server is away. */
static bool connect_writer(writer *w)
{
    const h_server *s = w->load->server;

    w->db = mysql_init(NULL);
    if (w->db == NULL)
        h_fail("out of memory");
    mysql_options(w->db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (mysql_real_connect(w->db, s->host, s->user, s->password, w->load->database, s->port, NULL, 0) != NULL &&
        mysql_query(w->db, "SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = 5,"
                           " sql_mode = 'STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO'") == 0)
        return true;
    mysql_close(w->db);
    w->db = NULL;
    return false;
}

static void disconnect_if_lost(writer *w)
{
    if (mysql_errno(w->db) >= CR_MIN_ERROR || (w->broken && mysql_ping(w->db) != 0)) {
        mysql_close(w->db);
        w->db = NULL;
    }
}

static void *writer_main(void *arg)
{
    writer *w = arg;
    double pause = w->load->rate > 0 ? 1.0 / w->load->rate : 0, due = h_now();

    mysql_thread_init();
    while (!w->failed && !is_stopping(w)) {
        if (w->db == NULL && !connect_writer(w)) {
            h_sleep(0.1);
            continue;
        }
        run_transaction(w);
        disconnect_if_lost(w);
        due += pause;
        if (due > h_now())
            h_sleep(due - h_now());
        else
            due = h_now(); /* no burst after a slow one */
    }
    mysql_close(w->db);
    mysql_thread_end();
    return NULL;
}

h_workload *h_workload_start(const h_server *server, const char *database, unsigned threads, unsigned rows,
                             unsigned rate, uint64_t seed)
{
    h_workload *load = calloc(1, sizeof *load + threads * sizeof load->writers[0]);

    if (load == NULL)
        h_fail("out of memory");
    load->server = server;
    load->database = h_format("%s", database);
    load->rows = rows > 0 ? rows : 1;
    load->rate = rate;
    load->writer_count = threads;
    pthread_mutex_init(&load->lock, NULL);
    for (unsigned i = 0; i < threads; i++) {
        load->writers[i].load = load;
        load->writers[i].random = h_seeded(seed * 1000 + i);
        if (pthread_create(&load->writers[i].thread, NULL, writer_main, &load->writers[i]) != 0)
            h_fail("cannot create a thread");
    }
    return load;
}

static void add_counts(h_workload_counts *sum, const h_workload_counts *one)
{
    sum->transactions += one->transactions;
    sum->rolled_back += one->rolled_back;
    sum->inserts += one->inserts;
    sum->updates += one->updates;
    sum->deletes += one->deletes;
    sum->key_changes += one->key_changes;
    sum->duplicates += one->duplicates;
    sum->deadlocks += one->deadlocks;
    sum->reconnects += one->reconnects;
}

h_workload_counts h_workload_peek(h_workload *load)
{
    h_workload_counts sum = {0};

    pthread_mutex_lock(&load->lock);
    for (unsigned i = 0; i < load->writer_count; i++)
        add_counts(&sum, &load->writers[i].counts);
    pthread_mutex_unlock(&load->lock);
    return sum;
}

h_workload_counts h_workload_stop(h_workload *load)
{
    pthread_mutex_lock(&load->lock);
    load->stopping = true;
    pthread_mutex_unlock(&load->lock);
    for (unsigned i = 0; i < load->writer_count; i++)
        pthread_join(load->writers[i].thread, NULL);

    h_workload_counts sum = h_workload_peek(load);
    for (unsigned i = 0; i < load->writer_count; i++)
        if (load->writers[i].failed)
            h_fail("workload: %s", load->writers[i].failure);
    pthread_mutex_destroy(&load->lock);
    free(load->database);
    free(load);
    return sum;
}

/* --- schema and first rows ---------------------------------------------------------------------------------------- */

void h_workload_schema(h_server *server, const char *database)
{
    h_sql(server, "CREATE DATABASE `%s` CHARACTER SET utf8mb4", database);
    for (size_t i = 0; i < COUNT(tables); i++)
        h_sql(server, "CREATE TABLE `%s`.%s (%s) ENGINE=InnoDB", database, tables[i].name, tables[i].definition);
}

static void fill_table(writer *w, const table *t, unsigned rows)
{
    for (unsigned done = 0; done < rows && !w->failed; done += FILL_BATCH) {
        unsigned count = rows - done < FILL_BATCH ? rows - done : FILL_BATCH;
        insert_rows(w, t, "REPLACE", done, count); /* REPLACE: random unique values may meet */
    }
}

void h_workload_fill(h_server *server, const char *database, unsigned rows, uint64_t seed)
{
    h_workload load = {.server = server, .database = h_format("%s", database), .rows = rows};
    writer w = {.load = &load, .random = h_seeded(seed)};

    pthread_mutex_init(&load.lock, NULL);
    if (!connect_writer(&w))
        h_fail("cannot connect to fill %s", database);
    for (size_t i = 0; i < COUNT(tables) && !w.failed; i++)
        fill_table(&w, &tables[i], rows);
    if (w.broken || w.failed)
        h_fail("filling %s: %s", database, w.failure);
    mysql_close(w.db);
    pthread_mutex_destroy(&load.lock);
    free(load.database);
}
