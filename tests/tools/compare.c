/* SPDX-License-Identifier: MIT */
/*
 * compare - compare databases of two servers, row by row and byte for byte.
 *
 *     compare SOURCE_PORT TARGET_PORT LIST       (root without password on 127.0.0.1; LIST as in harness.h)
 *
 * Exit status: 0 equal, 1 not equal or failed.
 */
#include "harness/harness.h"

#include <inttypes.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    h_totals totals;
    double start = h_now();

    if (argc != 4) {
        fputs("usage: compare SOURCE_PORT TARGET_PORT DATABASES\n", stderr);
        return 2;
    }
    h_server *source = h_server_at("127.0.0.1", (unsigned)atoi(argv[1]), "root", "");
    h_server *target = h_server_at("127.0.0.1", (unsigned)atoi(argv[2]), "root", "");
    h_compare_totals(source, target, argv[3], stdout, &totals);
    printf("compared %u tables, %" PRIu64 " rows, %.1f MB in %.1f s: %" PRIu64 " differences\n", totals.tables,
           totals.rows, (double)totals.bytes / 1e6, h_now() - start, totals.differences);
    h_server_free(source);
    h_server_free(target);
    return totals.differences == 0 ? 0 : 1;
}
