/* SPDX-License-Identifier: MIT */
/*
 * main.c - the command line's verbs.
 *
 * Signals are blocked in every thread; one thread waits for SIGINT and SIGTERM: the first stops the job in good
 * order, the second ends the process at once, which loses nothing either. What comes within half a second of the first
 * counts as the first: timeout(1), sudo and terminals send theirs to the process and to its group.
 */
#include <fcntl.h>
#include <malloc.h>
#include <mysql.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "gfreplica/check.h"
#include "gfreplica/cli.h"
#include "gfreplica/control.h"
#include "gfreplica/job.h"
#include "gfreplica/log.h"
#include "gfreplica/version.h"

static int fail(const gf_error *err, int code)
{
    fprintf(stderr, "gfreplica: %s\n", err->text);
    return code;
}

static int print(gf_buf *text)
{
    bool ok = fwrite(text->data, 1, text->len, stdout) == text->len && fflush(stdout) == 0;

    gf_buf_free(text);
    return ok ? GF_EXIT_DONE : GF_EXIT_FAILED;
}

/* ---- run ---- */

static void *wait_for_signals(void *arg)
{
    const struct timespec echo = {.tv_nsec = 500000000};
    gf_job *job = arg;
    sigset_t set;
    int sig;

    gf_log_thread("signals");
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    for (int seen = 0;; seen++) {
        if (sigwait(&set, &sig) != 0)
            continue;
        if (seen > 0) {
            gf_log_warn("%s again: ending at once", sig == SIGINT ? "SIGINT" : "SIGTERM");
            _exit(GF_EXIT_INTERRUPTED);
        }
        gf_job_stop(job, sig == SIGINT ? "SIGINT" : "SIGTERM");
        nanosleep(&echo, NULL);
        while (sigtimedwait(&set, NULL, &(struct timespec){0}) > 0)
            continue;
    }
    return NULL;
}

static void mask_signals(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(how, &set, NULL);
}

static int run(gf_cli *cli, int (*what)(gf_job *job))
{
    gf_job *job = gf_job_new(&cli->config);
    pthread_t signals;
    int code;

    gf_log_info("gfreplica %s, checkpoint directory %s", GF_VERSION, cli->config.checkpoint_dir);
    if (pthread_create(&signals, NULL, wait_for_signals, job) != 0) {
        gf_log_error("cannot start the signal thread");
        gf_job_free(job);
        return GF_EXIT_FAILED;
    }
    code = what(job);
    pthread_cancel(signals); /* sigwait is a cancellation point and it owns nothing */
    pthread_join(signals, NULL);
    gf_job_free(job);
    return code;
}

/* ---- check ---- */

static int report(gf_check_report *r)
{
    fwrite(r->problems.data, 1, r->problems.len, stdout);
    fwrite(r->warnings.data, 1, r->warnings.len, stdout);
    printf("%u problem%s, %u warning%s\n", r->problem_count, r->problem_count == 1 ? "" : "s", r->warning_count,
           r->warning_count == 1 ? "" : "s");
    return r->problem_count == 0 ? GF_EXIT_DONE : GF_EXIT_REFUSED;
}

static int check(gf_cli *cli)
{
    const gf_config *c = &cli->config;
    gf_server_info source_info, target_info;
    gf_catalog *catalog = gf_catalog_new();
    MYSQL *source = NULL, *target = NULL;
    gf_check_report r = {0};
    gf_buf left_out = {0};
    gf_error err = {0};
    int code;

    if (gf_server_connect(&source, &c->source, GF_CONN_PLAIN, &err) &&
        gf_server_info_read(&source_info, source, &err) &&
        gf_server_connect(&target, &c->target, GF_CONN_PLAIN, &err) &&
        gf_server_info_read(&target_info, target, &err) &&
        gf_catalog_load(catalog, source, source_info.flavor, &c->filter, &left_out, &err) &&
        gf_check_run(&r, c, source, &source_info, target, &target_info, catalog, false, &err))
        code = report(&r);
    else
        code = fail(&err, GF_EXIT_REFUSED);
    gf_check_free(&r);
    gf_buf_free(&left_out);
    gf_catalog_free(catalog);
    gf_server_close(source);
    gf_server_close(target);
    return code;
}

/* ---- a job seen from outside ---- */

static int status(gf_cli *cli)
{
    const char *dir = cli->config.checkpoint_dir;
    gf_buf text = {0};
    gf_state s = {0};
    bool found;
    gf_error err;

    if (cli->json && gf_control_request(&text, dir, "status", &err))
        return print(&text);
    gf_buf_reset(&text);
    if (!gf_checkpoint_peek(&s, &found, dir, &err))
        return fail(&err, GF_EXIT_USAGE);
    if (!found) {
        fprintf(stderr, "gfreplica: %s holds no checkpoint\n", dir);
        return GF_EXIT_USAGE;
    }
    if (!gf_status_alive(&s))
        gf_job_ask_source(&cli->config, &s);
    if (cli->json)
        gf_control_status_json(&text, &s);
    else
        gf_control_status_text(&text, &s);
    gf_state_free(&s);
    return print(&text);
}

static int verify(gf_cli *cli)
{
    gf_buf report = {0};
    gf_error err;
    int code = gf_job_verify(&report, &cli->config, cli->json, &err);

    if (report.len == 0) {
        gf_buf_free(&report);
        return fail(&err, code);
    }
    return print(&report) == GF_EXIT_DONE ? code : GF_EXIT_FAILED;
}

static int request(gf_cli *cli, const char *what)
{
    gf_error err;

    if (!gf_control_request(NULL, cli->config.checkpoint_dir, what, &err))
        return fail(&err, GF_EXIT_USAGE);
    return GF_EXIT_DONE;
}

static int export_state(gf_cli *cli)
{
    gf_state s = {0};
    gf_buf json = {0};
    bool found;
    gf_error err;

    if (!gf_checkpoint_peek(&s, &found, cli->config.checkpoint_dir, &err))
        return fail(&err, GF_EXIT_USAGE);
    if (!found) {
        fprintf(stderr, "gfreplica: %s holds no checkpoint\n", cli->config.checkpoint_dir);
        return GF_EXIT_USAGE;
    }
    gf_state_json(&json, &s, cli->native ? GF_FORMAT_NATIVE : GF_FORMAT_GHOSTFERRY, !cli->config.dump_without_schema);
    gf_state_free(&s);
    return print(&json);
}

static bool import_into(gf_checkpoint *cp, gf_cli *cli, gf_error *err)
{
    gf_state s = {0}, old = {0};
    gf_buf text = {0};
    bool found = false, ok;

    ok = gf_checkpoint_load(&old, &found, cp, err);
    if (ok && found)
        ok = gf_fail(err, GF_ERR_CONFIG, "%s holds a job already: import into an empty directory",
                     cli->config.checkpoint_dir);
    ok =
        ok && gf_buf_read_file(&text, cli->file, err) && gf_state_from_json(&s, (const char *)text.data, text.len, err);
    s.imported = true;
    ok = ok && gf_checkpoint_save(cp, &s, err);
    gf_state_free(&s);
    gf_state_free(&old);
    gf_buf_free(&text);
    return ok;
}

static int import_state(gf_cli *cli)
{
    gf_checkpoint *cp = NULL;
    gf_error err = {0};
    bool ok = gf_checkpoint_open(&cp, cli->config.checkpoint_dir, &err) && import_into(cp, cli, &err);

    gf_checkpoint_close(cp);
    return ok ? GF_EXIT_DONE : fail(&err, GF_EXIT_USAGE);
}

/* ---- verbs ---- */

static int usage(void)
{
    gf_buf text = {0};

    gf_cli_usage(&text);
    return print(&text);
}

static int docs(gf_cli *cli)
{
    gf_buf text = {0};

    gf_cli_docs(&text, cli->file);
    return print(&text);
}

static int execute(gf_cli *cli)
{
    if (cli->command != GF_CMD_RUN && cli->command != GF_CMD_RECEIVE)
        mask_signals(SIG_UNBLOCK);
    switch (cli->command) {
    case GF_CMD_RUN: return run(cli, gf_job_run);
    case GF_CMD_RECEIVE: return run(cli, gf_job_receive);
    case GF_CMD_CHECK: return check(cli);
    case GF_CMD_STATUS: return status(cli);
    case GF_CMD_VERIFY: return verify(cli);
    case GF_CMD_CUTOVER: return request(cli, "cutover");
    case GF_CMD_PAUSE: return request(cli, "pause");
    case GF_CMD_RESUME: return request(cli, "resume");
    case GF_CMD_STOP: return request(cli, "stop");
    case GF_CMD_EXPORT_STATE: return export_state(cli);
    case GF_CMD_IMPORT_STATE: return import_state(cli);
    case GF_CMD_DOCS: return docs(cli);
    case GF_CMD_HELP: return usage();
    case GF_CMD_VERSION: printf("gfreplica %s\n", GF_VERSION); return GF_EXIT_DONE;
    }
    return GF_EXIT_USAGE;
}

/* Chunks and statements of some MiB come and go all the time. Given back to the kernel each time, their pages would be
   cleared and mapped anew each time: a quarter of all our CPU. What is kept is bounded by --memory. */
static void keep_memory(void)
{
#ifdef __GLIBC__
    enum { LARGEST_KEPT = 32 << 20, MOST_KEPT = 64 << 20 };

    mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT);
    mallopt(M_TRIM_THRESHOLD, MOST_KEPT);
#endif
}

/* A program started with stdout or stderr closed (>&-) would get a server's socket under their numbers, and write its log
   and its state into that. */
static bool keep_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    gf_cli cli = {0};
    gf_error err = {0};
    int code;

    if (!keep_standard_streams())
        return GF_EXIT_FAILED;
    mask_signals(SIG_BLOCK);  /* from the first moment: a stop must find the job, not the default action */
    signal(SIGPIPE, SIG_IGN); /* a TLS write to a closed link raises it */
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* a core would hold passwords and rows */
    keep_memory();
    if (mysql_library_init(0, NULL, NULL) != 0) {
        fprintf(stderr, "gfreplica: the client library does not start\n");
        return GF_EXIT_FAILED;
    }
    if (gf_cli_parse(&cli, argc, argv, &err)) {
        gf_log_set_level((gf_log_level)cli.config.log_level);
        gf_log_set_json(cli.config.log_json);
        code = execute(&cli);
    } else {
        code = fail(&err, GF_EXIT_USAGE);
    }
    gf_cli_free(&cli);
    mysql_library_end();
    return code;
}
