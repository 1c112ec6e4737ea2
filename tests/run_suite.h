/* SPDX-License-Identifier: MIT */
/*
 * run_suite.h - what every test program's main ends with.
 */
#ifndef GFREPLICA_TESTS_RUN_SUITE_H
#define GFREPLICA_TESTS_RUN_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Runs and frees it; the program's exit status. */
static inline int run_suite(Suite *s)
{
    SRunner *runner = srunner_create(s);
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
