/* SPDX-License-Identifier: MIT */
/*
 * servers.c - servers through scripts/servers.sh, and statements on them.
 *
 * The script does the work, and its run folder says what runs there: so a test that is killed leaves nothing that
 * `servers.sh destroy --all` in that folder would not find. Names are numbered per process.
 */
#include "harness/harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SCRIPT "scripts/servers.sh"

/* What the exit handler has to clean up: a handler takes no argument, so this is file scope. */
static struct {
    pid_t owner;     /* process that has the handler: Check's forked tests inherit it and must not act on it */
    char *run_dir;   /* owned */
    bool dir_is_own; /* made here, removed at the end */
    bool keep;       /* see h_keep */
    unsigned next_number;
} state;

static pthread_mutex_t state_lock = PTHREAD_MUTEX_INITIALIZER;

void h_fail(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fflush(stdout);
    fputs("harness: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static char *format_args(const char *fmt, va_list args) H_PRINTF(1, 0);

static char *format_args(const char *fmt, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, args) < 0)
        h_fail("out of memory");
    return text;
}

char *h_format(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    char *text = format_args(fmt, args);
    va_end(args);
    return text;
}

void h_sleep(double seconds)
{
    struct timespec rest = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        ;
}

double h_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- the run folder ----------------------------------------------------------------------------------------------- */

/* Run the script with `arguments` (shell words) and return the first line that it prints. */
static char *script(const char *arguments)
{
    char *command = h_format("GFREPLICA_RUN_DIR='%s' %s %s", h_run_dir(), SCRIPT, arguments);
    FILE *pipe = popen(command, "re");
    char line[512] = "";

    if (pipe == NULL)
        h_fail("%s: %s", command, strerror(errno));
    if (fgets(line, sizeof line, pipe) == NULL)
        line[0] = '\0';
    while (fgetc(pipe) != EOF)
        ;
    int status = pclose(pipe);
    if (status != 0)
        h_fail("%s %s failed (%d)", SCRIPT, arguments, status);
    free(command);
    line[strcspn(line, "\n")] = '\0';
    return strdup(line);
}

/* Stopped in good order, so that data and binlogs can be read by whoever looks for the cause. */
static void keep_all(void)
{
    char *command = h_format("export GFREPLICA_RUN_DIR='%s'; for name in $(%s list | cut -d' ' -f1); do %s stop"
                             " \"$name\"; done",
                             state.run_dir, SCRIPT, SCRIPT);

    if (system(command) != 0)
        fprintf(stderr, "harness: cannot stop the servers of %s\n", state.run_dir);
    fprintf(stderr, "harness: kept %s\n", state.run_dir);
    free(command);
}

static void at_exit(void)
{
    if (state.owner != getpid())
        return;
    h_unmount_below(state.run_dir);
    if (state.keep) {
        keep_all();
        return;
    }
    /* Not through h_fail, which would call exit() from within exit(). */
    char *command = h_format("GFREPLICA_RUN_DIR='%s' %s destroy --all%s%s%s", state.run_dir, SCRIPT,
                             state.dir_is_own ? "; rm -rf '" : "", state.dir_is_own ? state.run_dir : "",
                             state.dir_is_own ? "'" : "");

    if (system(command) != 0)
        fprintf(stderr, "harness: cannot clean up %s\n", state.run_dir);
    free(command);
}

static void set_run_dir_locked(void)
{
    const char *given = getenv("GFREPLICA_RUN_DIR");
    char own[] = "/tmp/gfreplica-test-XXXXXX";

    if (given == NULL && mkdtemp(own) == NULL)
        h_fail("mkdtemp %s: %s", own, strerror(errno));
    state.dir_is_own = given == NULL;
    state.run_dir = realpath(given != NULL ? given : own, NULL);
    if (state.run_dir == NULL)
        h_fail("%s: %s", given, strerror(errno));
    state.owner = getpid();
    atexit(at_exit);
}

const char *h_run_dir(void)
{
    pthread_mutex_lock(&state_lock);
    if (state.run_dir == NULL)
        set_run_dir_locked();
    pthread_mutex_unlock(&state_lock);
    return state.run_dir;
}

void h_keep(bool keep)
{
    h_run_dir();
    state.keep = keep;
}

/* Also unique among the processes that share the folder: Check runs each test in a fork of its own. */
char *h_path(const char *name)
{
    const char *dir = h_run_dir();

    pthread_mutex_lock(&state_lock);
    unsigned number = state.next_number++;
    pthread_mutex_unlock(&state_lock);
    return h_format("%s/%s-%d-%u", dir, name, (int)getpid(), number);
}

/* --- start and stop ----------------------------------------------------------------------------------------------- */

static h_server *new_server(void)
{
    h_server *server = calloc(1, sizeof *server);

    if (server == NULL)
        h_fail("out of memory");
    return server;
}

h_server *h_server_at(const char *host, unsigned port, const char *user, const char *password)
{
    h_server *server = new_server();

    snprintf(server->host, sizeof server->host, "%s", host);
    snprintf(server->user, sizeof server->user, "%s", user);
    snprintf(server->password, sizeof server->password, "%s", password);
    server->port = port;
    return server;
}

h_server *h_server_start(const char *family, const char *options)
{
    char *path = h_path("s");
    const char *name = strrchr(path, '/') + 1;
    char *arguments = h_format("start %s %s 0 -- %s", family, name, options != NULL ? options : "");
    h_server *server = h_server_at("127.0.0.1", 0, "root", "");
    char *line = script(arguments);

    if (sscanf(line, "%63s %15s %u %*d %107s", server->name, server->family, &server->port, server->socket) != 4)
        h_fail("unexpected answer of servers.sh start: %s", line);
    free(line);
    free(arguments);
    free(path);
    return server;
}

typedef struct {
    const char *family, *options;
    h_server *server;
} start_order;

static void *start_thread(void *arg)
{
    start_order *order = arg;

    order->server = h_server_start(order->family, order->options);
    return NULL;
}

void h_server_start_pair(h_server **source, h_server **target, const char *family, const char *source_options,
                         const char *target_options)
{
    start_order order = {family, target_options, NULL};
    pthread_t thread;

    h_run_dir(); /* the exit handler belongs to the main thread's process: settle it first */
    if (pthread_create(&thread, NULL, start_thread, &order) != 0)
        h_fail("cannot create a thread");
    *source = h_server_start(family, source_options);
    pthread_join(thread, NULL);
    *target = order.server;
}

static void forget_admin(h_server *server)
{
    /* A connection inherited over a fork is the parent's: closing it here would close it for both. */
    if (server->admin != NULL && server->admin_owner == getpid())
        mysql_close(server->admin);
    server->admin = NULL;
}

static void script_on(h_server *server, const char *action, const char *options)
{
    char *arguments =
        h_format("%s %s%s%s", action, server->name, options != NULL ? " -- " : "", options != NULL ? options : "");

    forget_admin(server);
    free(script(arguments));
    free(arguments);
}

void h_server_stop(h_server *server)
{
    script_on(server, "stop", NULL);
}

void h_server_kill(h_server *server)
{
    script_on(server, "kill", NULL);
}

void h_server_restart(h_server *server, const char *options)
{
    script_on(server, "restart", options);
}

void h_server_free(h_server *server)
{
    if (server == NULL)
        return;
    forget_admin(server);
    if (server->name[0] != '\0') {
        char *folder = h_format("%s/%s", h_run_dir(), server->name);

        h_unmount_below(folder);
        free(folder);
        script_on(server, "destroy", NULL);
    }
    free(server);
}

char *h_tls_dir(void)
{
    return script("tls");
}

/* --- statements --------------------------------------------------------------------------------------------------- */

MYSQL *h_connect(const h_server *server)
{
    MYSQL *db = mysql_init(NULL);
    unsigned timeout = 20;
    unsigned long largest = 1UL << 30; /* a row may have tens of megabytes */

    if (db == NULL)
        h_fail("out of memory");
    mysql_options(db, MYSQL_OPT_CONNECT_TIMEOUT, &timeout);
    mysql_options(db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(db, MYSQL_OPT_MAX_ALLOWED_PACKET, &largest);
    if (mysql_real_connect(db, server->host, server->user, server->password, NULL, server->port, NULL,
                           CLIENT_MULTI_STATEMENTS) == NULL)
        h_fail("connect to %s %s:%u as %s: %s", server->name, server->host, server->port, server->user,
               mysql_error(db));
    return db;
}

static MYSQL *admin(h_server *server)
{
    if (server->admin_owner != getpid())
        forget_admin(server);
    if (server->admin == NULL) {
        server->admin = h_connect(server);
        server->admin_owner = getpid();
    }
    return server->admin;
}

/* True when all statements went well. */
static bool run_all(MYSQL *db, const char *sql)
{
    int more = mysql_real_query(db, sql, (unsigned long)strlen(sql)) == 0 ? 0 : 1;

    while (more == 0) {
        MYSQL_RES *result = mysql_store_result(db);
        if (result == NULL && mysql_errno(db) != 0)
            return false;
        mysql_free_result(result);
        more = mysql_next_result(db);
    }
    return more < 0; /* -1: no more results; above 0: an error */
}

/* "Gone away", or MySQL's parting word to a client that was idle for wait_timeout. */
static bool was_closed(unsigned error)
{
    return error == 2006 || error == 4031;
}

/* An idle connection that a restarted or impatient server has closed is no failure of the statement. */
static bool run_again(h_server *server, const char *sql)
{
    if (run_all(admin(server), sql))
        return true;
    if (!was_closed(mysql_errno(server->admin)))
        return false;
    forget_admin(server);
    return run_all(admin(server), sql);
}

void h_sql(h_server *server, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    char *sql = format_args(fmt, args);
    va_end(args);
    if (!run_again(server, sql))
        h_fail("%s %u: %s (%u) in: %.500s", server->family, server->port, mysql_error(server->admin),
               mysql_errno(server->admin), sql);
    free(sql);
}

unsigned h_sql_try(h_server *server, char **text, const char *fmt, ...)
{
    va_list args;
    unsigned error = 0;

    va_start(args, fmt);
    char *sql = format_args(fmt, args);
    va_end(args);
    if (!run_again(server, sql))
        error = mysql_errno(server->admin);
    if (text != NULL)
        *text = h_format("%s", error != 0 ? mysql_error(server->admin) : "");
    free(sql);
    return error;
}

static char *scalar(h_server *server, const char *sql)
{
    MYSQL *db = admin(server);
    char *value = NULL;

    if (mysql_real_query(db, sql, (unsigned long)strlen(sql)) != 0 && was_closed(mysql_errno(db))) {
        forget_admin(server);
        db = admin(server);
        mysql_real_query(db, sql, (unsigned long)strlen(sql));
    }
    MYSQL_RES *result = mysql_errno(db) == 0 ? mysql_store_result(db) : NULL;
    if (result == NULL)
        h_fail("%s %u: %s in: %.500s", server->family, server->port, mysql_error(db), sql);
    MYSQL_ROW row = mysql_fetch_row(result);
    if (row != NULL && row[0] != NULL)
        value = strdup(row[0]);
    mysql_free_result(result);
    return value;
}

char *h_scalar(h_server *server, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    char *sql = format_args(fmt, args);
    va_end(args);
    char *value = scalar(server, sql);
    free(sql);
    return value;
}

long long h_number(h_server *server, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    char *sql = format_args(fmt, args);
    va_end(args);
    char *value = scalar(server, sql);
    long long number = value != NULL ? strtoll(value, NULL, 10) : 0;
    free(value);
    free(sql);
    return number;
}
