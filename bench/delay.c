/* SPDX-License-Identifier: MIT */
/*
 * delay.c - from the source's answer to a COMMIT until a reader of the target sees it.
 *
 *   delay SOURCE-SOCKET TARGET-SOCKET DATABASE SECONDS
 *
 * One row after the other goes into DATABASE.probe, while others load the source; the target is asked until it shows
 * it. Prints p50, p99 and the largest delay in milliseconds, and how many there were.
 */
#include <mysql.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SAMPLES = 100000, ASK_AGAIN_US = 500, PAUSE_US = 10000, GIVE_UP_S = 60 };

static double samples[MAX_SAMPLES];

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(MYSQL *db, const char *what)
{
    fprintf(stderr, "delay: %s: %s\n", what, mysql_error(db));
    exit(1);
}

static MYSQL *open_socket(const char *socket, const char *database)
{
    MYSQL *db = mysql_init(NULL);

    if (mysql_real_connect(db, NULL, "root", "", database, 0, socket, 0) == NULL)
        die(db, socket);
    return db;
}

static bool shows(MYSQL *db, unsigned id)
{
    char sql[64];
    MYSQL_RES *res = NULL;
    bool there;

    snprintf(sql, sizeof sql, "SELECT 1 FROM probe WHERE id=%u", id);
    if (mysql_query(db, sql) == 0)
        res = mysql_store_result(db);
    if (res == NULL)
        die(db, sql);
    there = mysql_num_rows(res) > 0;
    mysql_free_result(res);
    return there;
}

static double probe(MYSQL *source, MYSQL *target, unsigned id)
{
    char sql[64];
    double start;

    snprintf(sql, sizeof sql, "INSERT INTO probe VALUES (%u)", id);
    if (mysql_query(source, sql) != 0)
        die(source, sql);
    start = now();
    while (!shows(target, id)) {
        if (now() - start > GIVE_UP_S)
            die(target, "a row does not arrive");
        usleep(ASK_AGAIN_US);
    }
    return (now() - start) * 1e3;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    double end;

    if (argc != 5) {
        fprintf(stderr, "usage: delay SOURCE-SOCKET TARGET-SOCKET DATABASE SECONDS\n");
        return 2;
    }
    MYSQL *source = open_socket(argv[1], argv[3]), *target = open_socket(argv[2], argv[3]);

    if (mysql_query(source, "DELETE FROM probe") != 0)
        die(source, "empty probe");
    for (end = now() + atof(argv[4]); now() < end && count < MAX_SAMPLES; count++) {
        samples[count] = probe(source, target, count + 1);
        usleep(PAUSE_US);
    }
    qsort(samples, count, sizeof samples[0], compare);
    printf("%.2f\t%.2f\t%.2f\t%u\n", samples[count / 2], samples[count * 99 / 100], samples[count - 1], count);
    mysql_close(source);
    mysql_close(target);
    return 0;
}
