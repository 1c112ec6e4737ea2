/* SPDX-License-Identifier: MIT */
/*
 * clock_shim.c - a wall clock that jumps, for a program that is started with LD_PRELOAD.
 *
 * The file that GFREPLICA_TEST_CLOCK names holds the seconds by which the wall clock is wrong; it may change at any
 * time. The monotonic clock is left alone, as it is when somebody sets a machine's clock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift(void)
{
    const char *path = getenv("GFREPLICA_TEST_CLOCK");
    FILE *f = path != NULL ? fopen(path, "re") : NULL;
    char line[32] = "0";

    if (f != NULL) {
        if (fgets(line, sizeof line, f) == NULL)
            line[0] = '\0';
        fclose(f);
    }
    return strtol(line, NULL, 10);
}

int clock_gettime(clockid_t which, struct timespec *out)
{
    long result = syscall(SYS_clock_gettime, which, out);

    if (result == 0 && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        out->tv_sec += shift();
    return (int)result;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}
