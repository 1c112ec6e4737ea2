/* SPDX-License-Identifier: MIT */
/*
 * process.c - gfreplica as a child process, and its configuration.
 *
 * Output goes to files, not pipes: a program that writes more than a pipe holds must not wait for the test. Children
 * ask the kernel to be killed when their parent dies, so that a test that is aborted leaves none behind; the kernel means
 * the thread that forked, so start them from one that lives as long as they shall.
 */
#include "harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLL_SECONDS 0.02

static void redirect(const char *path, int flags, int wanted)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    if (fd < 0 || dup2(fd, wanted) < 0)
        _exit(126);
}

/* After fork(), in a process that may have had threads: only system calls. */
H_NORETURN static void become(char *const argv[], const h_run *run, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before we asked */
        _exit(126);
    redirect("/dev/null", O_RDONLY, STDIN_FILENO);
    redirect(run->stdout_path, O_WRONLY | O_CREAT | O_APPEND, STDOUT_FILENO);
    redirect(run->stderr_path, O_WRONLY | O_CREAT | O_APPEND, STDERR_FILENO);
    execv(argv[0], argv);
    dprintf(STDERR_FILENO, "harness: cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static char **make_argv(const char *program, const char *const arguments[])
{
    size_t count = 0;

    while (arguments[count] != NULL)
        count++;
    char **argv = calloc(count + 2, sizeof *argv);
    if (argv == NULL)
        h_fail("out of memory");
    argv[0] = strdup(program);
    for (size_t i = 0; i < count; i++)
        argv[i + 1] = strdup(arguments[i]);
    return argv;
}

static void free_argv(char **argv)
{
    for (size_t i = 0; argv[i] != NULL; i++)
        free(argv[i]);
    free(argv);
}

static char *join(char *const argv[])
{
    char *all = strdup(argv[0]);

    for (size_t i = 1; argv[i] != NULL; i++) {
        char *longer = h_format("%s %s", all, argv[i]);
        free(all);
        all = longer;
    }
    return all;
}

h_run *h_start_argv(const char *const arguments[])
{
    const char *program = getenv("GFREPLICA");
    char **argv = make_argv(program != NULL ? program : "build/gfreplica", arguments);
    h_run *run = calloc(1, sizeof *run);
    pid_t parent = getpid();

    if (run == NULL)
        h_fail("out of memory");
    run->command = join(argv);
    run->stdout_path = h_path("stdout");
    run->stderr_path = h_path("stderr");
    fflush(NULL);
    run->pid = fork();
    if (run->pid < 0)
        h_fail("fork: %s", strerror(errno));
    if (run->pid == 0)
        become(argv, run, parent);
    free_argv(argv);
    return run;
}

void h_signal(h_run *run, int number)
{
    if (!run->ended && kill(run->pid, number) != 0)
        h_fail("kill %d %d: %s", number, (int)run->pid, strerror(errno));
}

/* True once it has ended. */
static bool reap(h_run *run)
{
    int status;

    if (run->ended)
        return true;
    if (waitpid(run->pid, &status, WNOHANG) != run->pid)
        return false;
    run->ended = true;
    run->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

int h_wait(h_run *run, double seconds)
{
    double deadline = h_now() + seconds;

    while (!reap(run)) {
        if (h_now() > deadline)
            return -1;
        h_sleep(POLL_SECONDS);
    }
    return run->exit_code;
}

static char *read_file(const char *path)
{
    char *text = NULL;
    size_t size = 0, got;
    FILE *out = open_memstream(&text, &size);
    FILE *in = fopen(path, "re");
    char block[65536];

    if (out == NULL)
        h_fail("out of memory");
    while (in != NULL && (got = fread(block, 1, sizeof block, in)) > 0)
        fwrite(block, 1, got, out);
    if (in != NULL)
        fclose(in);
    fclose(out);
    return text;
}

char *h_stdout(const h_run *run)
{
    return read_file(run->stdout_path);
}

char *h_stderr(const h_run *run)
{
    return read_file(run->stderr_path);
}

bool h_wait_log(h_run *run, const char *text, double seconds)
{
    double deadline = h_now() + seconds;

    for (;;) {
        bool last = reap(run) || h_now() > deadline; /* before the look: nothing is written after it */
        char *log = h_stderr(run);
        bool found = strstr(log, text) != NULL;

        free(log);
        if (found || last)
            return found;
        h_sleep(POLL_SECONDS);
    }
}

bool h_wait_rows(h_run *run, h_server *target, const char *database, const char *table, long long rows, double seconds)
{
    double deadline = h_now() + seconds;

    while (h_sql_try(target, NULL, "SELECT 1 FROM %s.%s LIMIT 0", database, table) != 0 ||
           h_number(target, "SELECT COUNT(*) FROM %s.%s", database, table) < rows) {
        if (reap(run) || h_now() > deadline)
            return false;
        h_sleep(POLL_SECONDS);
    }
    return true;
}

void h_run_free(h_run *run)
{
    if (run == NULL)
        return;
    if (!reap(run)) {
        kill(run->pid, SIGKILL);
        waitpid(run->pid, NULL, 0);
    }
    free(run->command);
    free(run->stdout_path);
    free(run->stderr_path);
    free(run);
}

int h_exec_argv(char **out, char **err, double seconds, const char *const arguments[])
{
    h_run *run = h_start_argv(arguments);
    int code = h_wait(run, seconds);

    if (code < 0) {
        char *log = h_stderr(run);
        h_fail("%s still runs after %g s; it said:\n%s", run->command, seconds, log);
    }
    if (out != NULL)
        *out = h_stdout(run);
    if (err != NULL)
        *err = h_stderr(run);
    h_run_free(run);
    return code;
}

/* --- configuration ------------------------------------------------------------------------------------------------ */

static json_t *endpoint(const h_server *server)
{
    return json_pack("{s:s, s:i, s:s, s:s}", "Host", server->host, "Port", (int)server->port, "User", server->user,
                     "Pass", server->password);
}

static json_t *split(const char *list)
{
    json_t *array = json_array();
    char *copy = h_format("%s", list), *rest = NULL;

    for (char *item = strtok_r(copy, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest))
        json_array_append_new(array, json_string(item));
    free(copy);
    return array;
}

char *h_config(const h_server *source, const h_server *target, const char *databases, const char *extra)
{
    char *path = h_path("conf.json");
    json_error_t error;
    json_t *conf = json_pack("{s:o, s:o, s:{s:o}, s:{s:b}}", "Source", endpoint(source), "Target", endpoint(target),
                             "Databases", "Whitelist", split(databases), "ControlServerConfig", "Enabled", 0);

    if (extra != NULL) {
        json_t *more = json_loads(extra, 0, &error);
        if (more == NULL || json_object_update_recursive(conf, more) != 0)
            h_fail("h_config: %s in %s", more == NULL ? error.text : "no object", extra);
        json_decref(more);
    }
    if (json_dump_file(conf, path, JSON_INDENT(2)) != 0)
        h_fail("cannot write %s", path);
    json_decref(conf);
    return path;
}
