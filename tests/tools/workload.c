/* SPDX-License-Identifier: MIT */
/*
 * workload - the random writers of the tests, by hand.
 *
 *     workload PORT DATABASE fill ROWS                    create the tables and fill them
 *     workload PORT DATABASE run ROWS THREADS RATE        write until SIGTERM or SIGINT, then print what was done
 */
#include "harness/harness.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void print_counts(const h_workload_counts *c)
{
    printf("%" PRIu64 " transactions (and %" PRIu64 " rolled back): %" PRIu64 " inserts, %" PRIu64 " updates, %" PRIu64
           " deletes, %" PRIu64 " key changes; %" PRIu64 " duplicates and %" PRIu64 " deadlocks refused\n",
           c->transactions, c->rolled_back, c->inserts, c->updates, c->deletes, c->key_changes, c->duplicates,
           c->deadlocks);
}

static void run_until_signal(h_server *server, char **argv)
{
    sigset_t ends;
    int number;

    /* Blocked before there are threads: they inherit it, and only sigwait takes the signal. */
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    h_workload *load = h_workload_start(server, argv[2], (unsigned)atoi(argv[5]), (unsigned)atoi(argv[4]),
                                        (unsigned)atoi(argv[6]), (uint64_t)time(NULL));
    sigwait(&ends, &number);
    h_workload_counts counts = h_workload_stop(load);
    print_counts(&counts);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[3], "fill") == 0) {
        h_server *server = h_server_at("127.0.0.1", (unsigned)atoi(argv[1]), "root", "");
        h_workload_schema(server, argv[2]);
        h_workload_fill(server, argv[2], (unsigned)atoi(argv[4]), 1);
        h_server_free(server);
    } else if (argc == 7 && strcmp(argv[3], "run") == 0) {
        h_server *server = h_server_at("127.0.0.1", (unsigned)atoi(argv[1]), "root", "");
        run_until_signal(server, argv);
        h_server_free(server);
    } else {
        fputs("usage: workload PORT DATABASE fill ROWS | run ROWS THREADS RATE\n", stderr);
        return 2;
    }
    return 0;
}
