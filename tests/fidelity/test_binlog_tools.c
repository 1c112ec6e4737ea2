/* SPDX-License-Identifier: MIT */
/*
 * test_binlog_tools.c - our decoder against the servers' own: mysqlbinlog and mariadb-binlog.
 *
 * The random writers fill a server's binlog files. Both read the same files: the tool prints them with
 * `-vv --base64-output=decode-rows`, our decoder's sink prints what it is told in the tool's form, line by line. The
 * lines of rows (###) have to be the same ones in the same order, and there must be thousands of them.
 *
 * The tool knows nothing of a table but what the event says: integers are printed as signed ones (and once more as
 * unsigned when they are negative), ENUM and SET as numbers. Its comment behind each value is cut off.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fidelity/fidelity.h"
#include "gfreplica/decoder.h"
#include "gfreplica/server.h"
#include "run_suite.h"

enum { EVENT_HEADER = 19, DESCRIPTION = 15, CRC = 4, FEWEST_ROWS = 1000 };

static const struct way {
    const char *family, *root, *tool, *options;
} ways[] = {
    {"mysql", "mysql", "mysqlbinlog", "--max-binlog-size=200000"},
    {"mysql", "mysql", "mysqlbinlog",
     "--max-binlog-size=200000 --binlog-transaction-compression=ON --binlog-checksum=NONE --binlog-row-metadata=FULL "
     "--binlog-row-event-max-size=300"},
    {"mariadb", "mariadb118", "mariadb-binlog", "--max-binlog-size=200000"},
    {"mariadb", "mariadb118", "mariadb-binlog",
     "--max-binlog-size=200000 --log-bin-compress=ON --log-bin-compress-min-len=10 --binlog-checksum=NONE "
     "--binlog-row-metadata=FULL"},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

/* ---- values in the tools' form ---- */

typedef struct {
    FILE *out;
    bool mysql;
    uint64_t rows;
} printer;

static void put_quoted(const printer *p, gf_slice s)
{
    static const char named[] = "\b\t\n\f\r\\'", letters[] = "btnfr\\'";

    fputc('\'', p->out);
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        const char *found = c == 0 || !p->mysql ? NULL : strchr(named, c);

        if (found != NULL)
            fprintf(p->out, "\\%c", letters[found - named]);
        else if (c < 0x20)
            fprintf(p->out, "\\x%02x", c);
        else
            fputc(c, p->out);
    }
    fputc('\'', p->out);
}

static unsigned width_of(gf_type type)
{
    switch (type) {
    case GF_T_TINY: return 8;
    case GF_T_SHORT: return 16;
    case GF_T_MEDIUM: return 24;
    case GF_T_LONG: return 32;
    default: return 64;
    }
}

static void put_integer(const printer *p, const gf_column *c, const gf_value *v)
{
    unsigned shift = 64 - width_of(c->type);
    int64_t number = (int64_t)(v->u << shift) >> shift; /* INT and UINT share their bits */

    if (c->type == GF_T_YEAR || c->type == GF_T_ENUM)
        fprintf(p->out, c->type == GF_T_YEAR ? "%04llu" : "%llu", (unsigned long long)v->u);
    else if (number < 0)
        fprintf(p->out, "%lld (%llu)", (long long)number, (unsigned long long)(v->u << shift >> shift));
    else
        fprintf(p->out, "%lld", (long long)number);
}

static void put_bits(const printer *p, uint64_t v, unsigned bits)
{
    fputs("b'", p->out);
    while (bits-- > 0)
        fputc(v >> bits & 1 ? '1' : '0', p->out);
    fputc('\'', p->out);
}

static uint64_t big_endian(gf_slice s)
{
    uint64_t v = 0;

    for (size_t i = 0; i < s.len; i++)
        v = v << 8 | s.data[i];
    return v;
}

/* Seconds since 1970 and the fraction's digits. */
static void put_timestamp(const printer *p, gf_slice s)
{
    struct tm when = {0};
    char text[40];

    snprintf(text, sizeof text, "%.*s", (int)s.len, (const char *)s.data);
    if (strncmp(text, "0000", 4) == 0) {
        fprintf(p->out, "0%s", s.len > 19 ? text + 19 : "");
        return;
    }
    strptime(text, "%Y-%m-%d %H:%M:%S", &when);
    fprintf(p->out, "%lld%s", (long long)timegm(&when), s.len > 19 ? text + 19 : "");
}

static void put_temporal(const printer *p, const gf_column *c, gf_slice s)
{
    if (c->type == GF_T_TIMESTAMP) {
        put_timestamp(p, s);
    } else if (c->type == GF_T_DATE) { /* with colons */
        fprintf(p->out, "'%.4s:%.2s:%.2s'", (const char *)s.data, (const char *)s.data + 5, (const char *)s.data + 8);
    } else {
        fprintf(p->out, "'%.*s'", (int)s.len, (const char *)s.data);
    }
}

static void put_value(const printer *p, const gf_column *c, const gf_value *v)
{
    switch (v->kind) {
    case GF_V_ABSENT: break;
    case GF_V_NULL: fputs("NULL", p->out); break;
    case GF_V_INT:
    case GF_V_UINT:
        if (c->type == GF_T_SET)
            put_bits(p, v->u, (c->member_count + 7) / 8 * 8);
        else
            put_integer(p, c, v);
        break;
    case GF_V_DOUBLE: fprintf(p->out, c->type == GF_T_FLOAT ? "%-20g" : "%-.20g", v->d); break;
    case GF_V_NUMBER: fprintf(p->out, "%.*s", (int)v->bytes.len, (const char *)v->bytes.data); break;
    case GF_V_TEMPORAL: put_temporal(p, c, v->bytes); break;
    case GF_V_BYTES:
        if (c->type == GF_T_BIT)
            put_bits(p, big_endian(v->bytes), c->bits);
        else
            put_quoted(p, v->bytes);
        break;
    case GF_V_JSON: put_quoted(p, v->bytes); break;
    }
}

static void put_image(const printer *p, const gf_table *t, const char *title, const gf_value *row)
{
    fprintf(p->out, "### %s\n", title);
    for (unsigned i = 0; i < t->column_count; i++) {
        fprintf(p->out, "###   @%u=", i + 1);
        put_value(p, &t->columns[i], &row[i]);
        fputc('\n', p->out);
    }
}

/* ---- the sink ---- */

static bool on_begin(void *ctx, const gf_txn_info *txn, gf_error *err)
{
    (void)ctx;
    (void)txn;
    (void)err;
    return true;
}

static bool on_row(void *ctx, const gf_table *t, gf_op op, const gf_value *before, const gf_value *after,
                   unsigned event_flags, gf_error *err)
{
    static const char *const verbs[] = {
        [GF_OP_INSERT] = "INSERT INTO", [GF_OP_UPDATE] = "UPDATE", [GF_OP_DELETE] = "DELETE FROM"};
    printer *p = ctx;

    (void)event_flags;
    (void)err;
    fprintf(p->out, "### %s `%s`.`%s`\n", verbs[op], t->db, t->name);
    if (op != GF_OP_INSERT)
        put_image(p, t, "WHERE", before);
    if (op != GF_OP_DELETE)
        put_image(p, t, "SET", after);
    p->rows++;
    return true;
}

static bool on_savepoint(void *ctx, gf_slice name, bool rollback_to, gf_error *err)
{
    (void)ctx;
    (void)name;
    (void)rollback_to;
    (void)err;
    return true;
}

static bool on_position(void *ctx, const gf_position *pos, gf_error *err)
{
    (void)ctx;
    (void)pos;
    (void)err;
    return true;
}

static bool on_xa(void *ctx, gf_xa_kind kind, gf_slice xid, const gf_position *end, gf_error *err)
{
    (void)ctx;
    (void)kind;
    (void)xid;
    (void)end;
    (void)err;
    return true;
}

static bool on_statement(void *ctx, const gf_statement *s, bool inside, const gf_position *end, gf_error *err)
{
    (void)ctx;
    (void)s;
    (void)inside;
    (void)end;
    (void)err;
    return true;
}

/* ---- files ---- */

/* What the description of the file says of its events: they end with a checksum. */
static bool has_checksums(const uint8_t *event, size_t len)
{
    return event[len - CRC - 1] == 1;
}

static void decode_file(gf_decoder *d, const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t header[EVENT_HEADER];
    bool checksums = false;
    gf_error err;

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fseek(f, 4, SEEK_SET), 0); /* the file's magic */
    while (fread(header, 1, sizeof header, f) == sizeof header) {
        size_t len = header[9] | (size_t)header[10] << 8 | (size_t)header[11] << 16 | (size_t)header[12] << 24;
        uint8_t *event = malloc(len);
        bool description = header[4] == DESCRIPTION;

        ck_assert(event != NULL && len >= sizeof header);
        memcpy(event, header, sizeof header);
        ck_assert_uint_eq(fread(event + sizeof header, 1, len - sizeof header, f), len - sizeof header);
        if (description)
            checksums = has_checksums(event, len);
        if (!gf_decoder_feed(d, gf_slice_of(event, len - (description || checksums ? CRC : 0U)), &err))
            ck_abort_msg("%s: %s", path, err.text);
        free(event);
    }
    fclose(f);
}

static char *file_path(const h_server *server, int number)
{
    return h_format("%s/%s/data/binlog.%06d", h_run_dir(), server->name, number);
}

/* All finished files through our decoder; returns what it printed. */
static char *ours(h_server *server, const struct way *way, int files, uint64_t *rows)
{
    static char *database[] = {(char *)"w"};
    bool mysql = strcmp(way->family, "mysql") == 0;
    const gf_filter filter = {.db_whitelist = {database, 1}};
    const gf_position from = {.file = "binlog.000001", .offset = 4};
    gf_flavor flavor = mysql ? GF_FLAVOR_MYSQL : GF_FLAVOR_MARIADB;
    gf_catalog *catalog = gf_catalog_new();
    gf_buf left_out = {0};
    MYSQL *db = h_connect(server);
    char *text = NULL;
    size_t size = 0;
    printer p = {.out = open_memstream(&text, &size), .mysql = mysql};
    const gf_sink sink = {&p,          on_begin, on_row,       on_savepoint, on_position,
                          on_position, on_xa,    on_statement, on_position};
    gf_decoder *d;
    gf_error err;

    if (!gf_catalog_load(catalog, db, flavor, &filter, &left_out, &err))
        ck_abort_msg("%s", err.text);
    d = gf_decoder_new(flavor, catalog, &filter, &from, &sink);
    for (int i = 1; i <= files; i++) {
        char *path = file_path(server, i);

        decode_file(d, path);
        free(path);
    }
    gf_decoder_free(d);
    gf_catalog_free(catalog);
    gf_buf_free(&left_out);
    mysql_close(db);
    fclose(p.out);
    *rows = p.rows;
    return text;
}

/* The tool runs as the servers do: through the loader that came with it. */
static FILE *start_tool(h_server *server, const struct way *way, int files)
{
    const char *cache = getenv("GFREPLICA_CACHE");
    char *names = h_format("%s", ""), *command;
    FILE *pipe;

    for (int i = 1; i <= files; i++) {
        char *path = file_path(server, i), *longer = h_format("%s '%s'", names, path);

        free(path);
        free(names);
        names = longer;
    }
    command =
        h_format("scripts/servers.sh fetch %s && root='%s/%s/root' && lib=$(echo \"$root\"/usr/lib/*-linux-gnu) && "
                 "$(ls \"$root\"/usr/lib*/ld-linux-*.so.* | head -n 1) --library-path "
                 "\"$lib:$lib/mysql:$root/usr/lib/mysql/private\" \"$root/usr/bin/%s\" --no-defaults -vv "
                 "--base64-output=decode-rows %s",
                 way->root, cache != NULL ? cache : ".cache", way->root, way->tool, names);
    pipe = popen(command, "r");
    if (pipe == NULL)
        h_fail("cannot run %s", way->tool);
    free(command);
    free(names);
    return pipe;
}

/* The tool's comment starts with the last of these marks; inside of a string there may be others before it. */
static void cut_comment(char *line)
{
    char *last = NULL;

    for (char *p = line; (p = strstr(p, " /* ")) != NULL; p++)
        last = p;
    if (strncmp(line, "###   @", 7) == 0 && last != NULL)
        *last = '\0';
}

static char *next_line(char **rest)
{
    char *line = *rest, *end = line == NULL ? NULL : strchr(line, '\n');

    if (end == NULL)
        return NULL;
    *end = '\0';
    *rest = end + 1;
    return line;
}

static void compare_lines(FILE *theirs, char *text)
{
    char *line = NULL, *rest = text, *our;
    size_t size = 0;
    ssize_t len;
    unsigned number = 0;

    while ((len = getline(&line, &size, theirs)) > 0) {
        if (strncmp(line, "### ", 4) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        cut_comment(line);
        our = next_line(&rest);
        number++;
        if (our == NULL || strcmp(our, line) != 0)
            ck_abort_msg("line %u: the tool: %s\nours: %s", number, line, our == NULL ? "(none)" : our);
    }
    our = next_line(&rest);
    ck_assert_msg(our == NULL, "only ours, behind line %u: %s", number, our);
    free(line);
}

START_TEST(decoder__sees_the_same_rows_as_the_servers_own_tool)
{
    const struct way *way = &ways[_i];
    h_server *server = h_server_start(way->family, way->options);
    char *last, *text;
    uint64_t rows = 0;
    FILE *theirs;
    int files;

    h_workload_schema(server, "w");
    h_workload_fill(server, "w", 100, 11);
    h_workload *load = h_workload_start(server, "w", 4, 100, 0, 12 + (uint64_t)_i);
    h_sleep(4);
    h_workload_stop(load);
    h_sql(server, "FLUSH BINARY LOGS");
    last = h_scalar(server, "%s", strcmp(way->family, "mysql") == 0 ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS");
    files = atoi(strrchr(last, '.') + 1) - 1;
    text = ours(server, way, files, &rows);
    ck_assert_uint_ge(rows, FEWEST_ROWS);
    theirs = start_tool(server, way, files);
    compare_lines(theirs, text);
    ck_assert_int_eq(pclose(theirs), 0);
    h_server_free(server);
    free(last);
    free(text);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("binlog tools");
    TCase *t = tcase_create("rows");

    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, decoder__sees_the_same_rows_as_the_servers_own_tool, 0, WAYS);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
