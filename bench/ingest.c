/* SPDX-License-Identifier: MIT */
/*
 * ingest.c - how fast a server takes rows that are ready: the limit that a copy is compared with.
 *
 *   ingest SOCKET DATABASE CONNECTIONS load|insert FILE...
 *
 * A FILE is one table's rows, or a piece of them, TABLE.PIECE.tsv as SELECT ... INTO OUTFILE writes it or TABLE.PIECE.sql
 * with one statement a line. Connections take the files one after the other; the bytes go from the page cache straight
 * to the server. A file TABLE.columns beside it, if there, is what stands behind LOAD DATA ... INTO TABLE.
 */
#include <fcntl.h>
#include <mysql.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
    const char *data;
    size_t len, at;
};

static struct {
    const char *socket, *database;
    bool load;
    char **files;
    int count;
    atomic_int next;
} job;

static void die(MYSQL *db, const char *what)
{
    fprintf(stderr, "ingest: %s: %s\n", what, db != NULL ? mysql_error(db) : "failed");
    exit(1);
}

static struct file map(const char *path)
{
    struct file f = {NULL, 0, 0};
    struct stat st;
    int fd = open(path, O_RDONLY);

    if (fd < 0 || fstat(fd, &st) != 0)
        die(NULL, path);
    f.len = (size_t)st.st_size;
    f.data = f.len == 0 ? "" : mmap(NULL, f.len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (f.data == MAP_FAILED)
        die(NULL, path);
    close(fd);
    return f;
}

static int infile_open(void **out, const char *name, void *ctx)
{
    (void)name;
    *out = ctx;
    return 0;
}

static int infile_read(void *ctx, char *to, unsigned int size)
{
    struct file *f = ctx;
    size_t n = f->len - f->at < size ? f->len - f->at : size;

    memcpy(to, f->data + f->at, n);
    f->at += n;
    return (int)n;
}

static void infile_close(void *ctx)
{
    (void)ctx;
}

static int infile_error(void *ctx, char *text, unsigned int size)
{
    (void)ctx;
    snprintf(text, size, "no error");
    return 0;
}

/* "dir/t1.0.tsv" -> "t1" */
static void table_of(char out[128], const char *path)
{
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;

    snprintf(out, 128, "%.*s", (int)strcspn(name, "."), name);
}

static void columns_of(char *out, size_t size, const char *path, const char *table)
{
    char columns[512];
    FILE *f;
    size_t len = 0;

    snprintf(columns, sizeof columns, "%.*s%s.columns", (int)(strrchr(path, '/') + 1 - path), path, table);
    f = fopen(columns, "r");
    if (f != NULL) {
        len = fread(out, 1, size - 1, f);
        fclose(f);
    }
    out[len] = '\0';
}

static void load(MYSQL *db, const char *path)
{
    char table[128], columns[2048], sql[4096];
    struct file f = map(path);

    table_of(table, path);
    columns_of(columns, sizeof columns, path, table);
    mysql_set_local_infile_handler(db, infile_open, infile_read, infile_close, infile_error, &f);
    snprintf(sql, sizeof sql, "LOAD DATA LOCAL INFILE 'x' INTO TABLE `%s` CHARACTER SET binary %s", table, columns);
    if (mysql_query(db, sql) != 0 || mysql_warning_count(db) != 0)
        die(db, path);
}

static void insert(MYSQL *db, const char *path)
{
    struct file f = map(path);

    while (f.at < f.len) {
        const char *line = f.data + f.at, *end = memchr(line, '\n', f.len - f.at);
        size_t len = end != NULL ? (size_t)(end - line) : f.len - f.at;

        if (len > 0 && mysql_real_query(db, line, len) != 0)
            die(db, path);
        f.at += len + 1;
    }
}

static void *work(void *arg)
{
    MYSQL *db = mysql_init(NULL);
    unsigned on = 1;
    int i;

    (void)arg;
    mysql_optionsv(db, MYSQL_OPT_LOCAL_INFILE, &on);
    if (mysql_real_connect(db, NULL, "root", "", job.database, 0, job.socket, 0) == NULL ||
        mysql_query(db, "SET NAMES binary, foreign_key_checks=0") != 0)
        die(db, "connect");
    while ((i = atomic_fetch_add(&job.next, 1)) < job.count)
        (job.load ? load : insert)(db, job.files[i]);
    mysql_close(db);
    mysql_thread_end();
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[64];
    int connections;

    if (argc < 6 || (connections = atoi(argv[3])) < 1 || connections > 64) {
        fprintf(stderr, "usage: ingest SOCKET DATABASE CONNECTIONS load|insert FILE...\n");
        return 2;
    }
    mysql_library_init(0, NULL, NULL);
    job.socket = argv[1];
    job.database = argv[2];
    job.load = strcmp(argv[4], "load") == 0;
    job.files = argv + 5;
    job.count = argc - 5;
    for (int i = 0; i < connections; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            die(NULL, "start a thread");
    for (int i = 0; i < connections; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
