/* SPDX-License-Identifier: MIT */
/*
 * measure.c - what a command costs: itself and the servers that it keeps busy.
 *
 *   measure [PID]... -- COMMAND [ARGUMENT]...
 *
 * Prints one line on descriptor 3 (else stdout): seconds of wall time, of CPU of the command with its children (user,
 * system), KiB of the largest process's memory, then seconds of CPU of each PID meanwhile. Ends as the command ended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PIDS = 8, FIELD_UTIME = 14 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* utime + stime of /proc/PID/stat, which stand behind a command name that may hold anything but a last ')'. */
static double cpu_of(const char *pid)
{
    char path[64], text[1024], *p;
    unsigned long user = 0, sys = 0;
    FILE *f;
    size_t len;

    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    f = fopen(path, "r");
    if (f == NULL)
        return 0;
    len = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[len] = '\0';
    p = strrchr(text, ')');
    for (int field = 2; p != NULL && field < FIELD_UTIME; field++)
        p = strchr(p + 1, ' ');
    if (p == NULL || sscanf(p, "%lu %lu", &user, &sys) != 2)
        return 0;
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static int run(char **command)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        execvp(command[0], command);
        perror(command[0]);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return 126;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    double before[MAX_PIDS], start;
    struct rusage usage;
    int pids = 0, code;
    FILE *out = fdopen(3, "w");

    while (pids + 1 < argc && strcmp(argv[pids + 1], "--") != 0)
        pids++;
    if (pids > MAX_PIDS || pids + 2 >= argc) {
        fprintf(stderr, "usage: measure [PID]... -- COMMAND [ARGUMENT]...\n");
        return 2;
    }
    for (int i = 0; i < pids; i++)
        before[i] = cpu_of(argv[i + 1]);
    start = now();
    code = run(argv + pids + 2);
    start = now() - start;
    getrusage(RUSAGE_CHILDREN, &usage);
    if (out == NULL)
        out = stdout;
    fprintf(out, "%.3f\t%.3f\t%.3f\t%ld", start, seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss);
    for (int i = 0; i < pids; i++)
        fprintf(out, "\t%.3f", cpu_of(argv[i + 1]) - before[i]);
    fputc('\n', out);
    fflush(out);
    return code;
}
