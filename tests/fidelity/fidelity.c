/* SPDX-License-Identifier: MIT */
/*
 * fidelity.c - statements for hostile tables, and alterations that a comparison has to find.
 *
 * A phase's new rows have ids of their own (PHASE_IDS apart). A later phase updates rows of the earlier ones and deletes
 * some, so that a value of each kind is written, replaced by another and removed on both ways. IGNORE lets a statement
 * pass that meets a unique value twice: then the row stays as it is, here and there.
 */
#include "fidelity/fidelity.h"

#include <stdlib.h>
#include <string.h>

enum { PHASE_IDS = 1000, RANDOM_ROWS = 12, MOST_COLUMNS = 30 /* altered in one table */ };

/* ---- random values ---- */

static uint64_t mix(uint64_t x) /* splitmix64 */
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void put_bytes(FILE *out, uint64_t r, int size, bool printable)
{
    int len = (int)(mix(r) % (uint64_t)(size + 1));

    fputs("X'", out);
    for (int i = 0; i < len; i++) {
        unsigned b = (unsigned)(mix(r + (uint64_t)i * 7919) >> 13);
        fprintf(out, "%02X", printable ? 32 + b % 95 : b & 255);
    }
    fputc('\'', out);
}

static void put_digits(FILE *out, uint64_t r, int count)
{
    for (int i = 0; i < count; i++)
        fputc((int)('0' + mix(r + (uint64_t)i) % 10), out);
}

static void put_float(FILE *out, uint64_t r)
{
    uint32_t bits = (uint32_t)r;
    float f;

    if ((bits & 0x7f800000U) == 0x7f800000U) /* no server stores infinities */
        bits &= 0x7f7fffffU;
    memcpy(&f, &bits, sizeof f);
    fprintf(out, "%.9e", (double)f);
}

static void put_double(FILE *out, uint64_t r)
{
    double d;

    if ((r & UINT64_C(0x7ff0000000000000)) == UINT64_C(0x7ff0000000000000))
        r &= UINT64_C(0x7fefffffffffffff);
    memcpy(&d, &r, sizeof d);
    fprintf(out, "%.17e", d);
}

static void put_fraction(FILE *out, uint64_t r, int digits)
{
    if (digits > 0)
        fputc('.', out);
    put_digits(out, r, digits);
}

/* Containers in containers, with values of all types on each level. */
static void put_nested(FILE *out, uint64_t r, unsigned depth)
{
    static const char *const scalars[] = {"1",
                                          "1.5",
                                          "1.5e0",
                                          "CAST(1 AS UNSIGNED)",
                                          "DATE'2024-01-02'",
                                          "'2024-01-02'",
                                          "4294967296",
                                          "CAST(4294967296 AS UNSIGNED)",
                                          "TIME'01:02:03'",
                                          "NULL",
                                          "TRUE",
                                          "X'6162'",
                                          "'base64:type15:YWI='",
                                          "CAST(12 AS DECIMAL(5,0))"};
    bool object = (r & 1) != 0;
    unsigned members = (unsigned)(r >> 1) % 5;

    fputs(object ? "JSON_OBJECT(" : "JSON_ARRAY(", out);
    for (unsigned i = 0; i < members; i++) {
        uint64_t s = mix(r + i + 1);

        fputs(i > 0 ? "," : "", out);
        if (object)
            fprintf(out, "'%llu',", (unsigned long long)(s >> 8) % 1000);
        if (depth > 0 && s % 3 == 0)
            put_nested(out, mix(s), depth - 1);
        else
            fputs(scalars[(s >> 16) % (sizeof scalars / sizeof scalars[0])], out);
    }
    fputc(')', out);
}

static void put_document(FILE *out, uint64_t r)
{
    int scale = (int)(mix(r) % 31), digits = 1 + (int)(mix(r + 1) % 30);

    fprintf(out, "JSON_ARRAY(CAST('%s", r & 1 ? "-" : "");
    put_digits(out, r, digits);
    put_fraction(out, mix(r + 2), scale);
    fprintf(out, "' AS DECIMAL(61,%d)),", scale);
    put_double(out, mix(r + 3));
    fprintf(out,
            ",JSON_OBJECT('%llu',CAST(%lld AS DECIMAL(20,0)),'d.\"k',CAST(%lld/1000 AS DECIMAL(30,%d)),'f',%.15ge0,",
            (unsigned long long)(r % 100), (long long)mix(r + 4), (long long)(mix(r + 5) >> 20), scale % 10,
            (double)(int64_t)mix(r + 6) / 1e6);
    fprintf(out, "'u',%llu),", (unsigned long long)mix(r + 7));
    put_nested(out, mix(r + 8) | 8, 5);
    fputc(')', out);
}

static void put_random(FILE *out, const f_column *c, uint64_t r)
{
    unsigned n = (unsigned)(r >> 32);

    switch (c->random) {
    case F_SIGNED: fprintf(out, "%lld", (long long)((int64_t)r >> (64 - c->size))); break;
    case F_UNSIGNED: fprintf(out, "%llu", (unsigned long long)(r >> (64 - c->size))); break;
    case F_DECIMAL:
        if (r & 1)
            fputc('-', out);
        put_digits(out, r, c->size - c->size / 2);
        put_fraction(out, r >> 1, c->size / 2);
        break;
    case F_FLOAT: put_float(out, r); break;
    case F_DOUBLE: put_double(out, r); break;
    case F_BYTES: put_bytes(out, r, c->size, false); break;
    case F_ASCII: put_bytes(out, r, c->size, true); break;
    case F_DATETIME:
        fprintf(out, "'%u-%02u-%02u %02u:%02u:%02u", 1970 + n % 68, 1 + n / 68 % 12, 1 + n / 816 % 28, n % 24, n % 60,
                n / 60 % 60);
        put_fraction(out, r, c->size);
        fputc('\'', out);
        break;
    case F_TIME:
        fprintf(out, "'%s%u:%02u:%02u", r & 1 ? "-" : "", n % 838, n / 838 % 60, n / 50280 % 60);
        put_fraction(out, r, c->size);
        fputc('\'', out);
        break;
    case F_JSON:
        fprintf(out, "'[%lld, {\"k%u\": %.17g}, \"%u\\\\u%04x\"]'", (long long)r, n % 100,
                (double)(int64_t)mix(r) / 3e7, n, 0x20 + n % 0xd000);
        break;
    case F_DOCUMENT: put_document(out, r); break;
    case F_NONE: fputs("NULL", out); break;
    }
}

/* ---- rows ---- */

static unsigned count_values(const f_column *c)
{
    unsigned n = 0;

    while (n < F_VALUES && c->values[n] != NULL)
        n++;
    return n;
}

static unsigned count_columns(const f_table *t)
{
    unsigned n = 0;

    while (n < F_COLUMNS && t->columns[n].name != NULL)
        n++;
    return n;
}

/* The value of column c in a row: hostile ones in turn while n is below the longest list, then random ones. */
static void put_value(FILE *out, const f_table *t, unsigned c, unsigned n, unsigned turn)
{
    const f_column *col = &t->columns[c];
    unsigned values = count_values(col);
    uint64_t r = mix(mix(n * 1000003U + turn * 101U) ^ (c + 1));

    if (n < F_VALUES + 1 || col->random == F_NONE) {
        if (values == 0)
            put_random(out, col, r);
        else /* columns shift against each other with the turn, so that not the same values always meet */
            fputs(col->values[(n + turn * (c % 3 + 1)) % values], out);
        return;
    }
    put_random(out, col, r);
}

static unsigned longest(const f_table *t)
{
    unsigned most = 1;

    for (unsigned c = 0; c < count_columns(t); c++)
        if (count_values(&t->columns[c]) > most)
            most = count_values(&t->columns[c]);
    return most;
}

static void put_insert(FILE *out, const f_table *t, f_phase phase)
{
    unsigned columns = count_columns(t), hostile = longest(t);

    fprintf(out, "INSERT IGNORE INTO `%s` (id", t->name);
    for (unsigned c = 0; c < columns; c++)
        fprintf(out, ",`%s`", t->columns[c].name);
    fputs(") VALUES ", out);
    for (unsigned i = 0; i < hostile + RANDOM_ROWS; i++) {
        fprintf(out, "%s(%u", i > 0 ? "," : "", (unsigned)phase * PHASE_IDS + i);
        for (unsigned c = 0; c < columns; c++) {
            fputc(',', out);
            put_value(out, t, c, i < hostile ? i : F_VALUES + 1 + i, (unsigned)phase);
        }
        fputc(')', out);
    }
}

static void put_update(FILE *out, const f_table *t, unsigned id, unsigned n, unsigned turn)
{
    fprintf(out, ";UPDATE IGNORE `%s` SET ", t->name);
    for (unsigned c = 0; c < count_columns(t); c++) {
        fprintf(out, "%s`%s`=", c > 0 ? "," : "", t->columns[c].name);
        put_value(out, t, c, n, turn);
    }
    fprintf(out, " WHERE id=%u", id);
}

/* Of the rows of each earlier phase: most are updated, to the value next to their own, and every seventh goes away. */
static void put_changes(FILE *out, const f_table *t, f_phase phase)
{
    unsigned rows = longest(t) + RANDOM_ROWS;

    for (unsigned earlier = 0; earlier < (unsigned)phase; earlier++)
        for (unsigned i = 0; i < rows; i++) {
            unsigned id = earlier * PHASE_IDS + i;

            if ((i + (unsigned)phase) % 7 == 3)
                fprintf(out, ";DELETE FROM `%s` WHERE id=%u", t->name, id);
            else if ((i + (unsigned)phase) % 3 != 0)
                put_update(out, t, id, i < longest(t) ? i + 1 : F_VALUES + 1 + i, (unsigned)phase + 10);
        }
}

static void run_text(h_server *server, char *text)
{
    h_sql(server, "%s", text);
    free(text);
}

void f_create(h_server *server, const f_table *t)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL)
        h_fail("out of memory");
    fprintf(out, "CREATE TABLE `%s` (id INT NOT NULL", t->name);
    for (unsigned c = 0; c < count_columns(t); c++)
        fprintf(out, ", `%s` %s", t->columns[c].name, t->columns[c].type);
    fprintf(out, ", %s) %s", t->tail != NULL ? t->tail : "PRIMARY KEY (id)", t->options != NULL ? t->options : "");
    fclose(out);
    run_text(server, text);
}

void f_write(h_server *server, const f_table *t, f_phase phase)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL)
        h_fail("out of memory");
    fputs("BEGIN;", out); /* one fsync for all */
    put_insert(out, t, phase);
    put_changes(out, t, phase);
    fputs(";COMMIT", out);
    fclose(out);
    run_text(server, text);
}

int f_family(const h_server *server)
{
    return strncmp(server->family, "mysql", 5) == 0 ? ON_MYSQL : ON_MARIADB;
}

void f_use(h_server *server, const char *database)
{
    h_sql(server,
          "SET NAMES utf8mb4; SET SESSION autocommit=1, sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';"
          "USE `%s`",
          database);
}

void f_database(h_server *server, const char *database)
{
    h_sql(server, "CREATE DATABASE IF NOT EXISTS `%s` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", database);
    f_use(server, database);
}

/* ---- alterations ---- */

/* How a value is altered by the least that its type has; %s is the quoted column. */
static const struct {
    const char *types; /* data_type between commas */
    const char *form;
    const char *which; /* rows where that gives another valid value */
} least[] = {
    {",tinyint,smallint,mediumint,int,bigint,", "%s + IF(%s %% 2 = 0, 1, -1)", "%s BETWEEN -100 AND 100"},
    {",year,", "%s + IF(%s %% 2 = 0, 1, -1)", "%s BETWEEN 1950 AND 2100"},
    {",bit,", "%s ^ 1", "%s IS NOT NULL"},
    {",float,", "%s * (1 + 1.2e-7)", "ABS(%s) BETWEEN 1e-30 AND 1e30"},
    {",double,", "%s * (1 + 2.3e-16)", "ABS(%s) BETWEEN 1e-300 AND 1e300"},
    {",date,", "%s + INTERVAL 1 DAY", "%s BETWEEN '1000-01-01' AND '2100-01-01' AND %s + INTERVAL 1 DAY IS NOT NULL"},
    {",datetime,timestamp,", "%s + INTERVAL 1 SECOND",
     "%s BETWEEN '1971-01-01' AND '2037-01-01' AND %s + INTERVAL 1 SECOND IS NOT NULL"},
    {",time,", "ADDTIME(%s, '00:00:01')", "%s BETWEEN '-800:00:00' AND '800:00:00'"},
    {",enum,set,", "IF(%s+0 = 1, 2, 1)", "%s IS NOT NULL"},
    {",uuid,", "UNHEX(CONCAT(LEFT(HEX(CAST(%s AS BINARY(16))), 30), '5B'))", "%s IS NOT NULL"},
    {",inet6,", "UNHEX(CONCAT(LEFT(HEX(CAST(%s AS BINARY(16))), 30), '5B'))", "%s IS NOT NULL"},
    {",inet4,", "UNHEX(CONCAT(LEFT(HEX(CAST(%s AS BINARY(4))), 6), '5B'))", "%s IS NOT NULL"},
    /* the same text with other types inside, where there are such */
    {",json,",
     "IF(JSON_STORAGE_SIZE(CAST(CAST(%s AS CHAR) AS JSON)) <> JSON_STORAGE_SIZE(%s), CAST(CAST(%s AS CHAR) AS JSON),"
     " JSON_ARRAY(%s))",
     "%s IS NOT NULL"},
};

/* printf with the same argument for every %s. */
static char *fill(const char *form, const char *name)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    for (; *form != '\0'; form++) {
        if (form[0] == '%' && form[1] == 's')
            fputs(name, out);
        else
            fputc(*form, out);
        form += form[0] == '%';
    }
    fclose(out);
    return text;
}

static void alteration(char **form, char **which, const char *type, const char *scale, const char *name)
{
    char *wanted = h_format(",%s,", type);

    *form = *which = NULL;
    for (size_t i = 0; i < sizeof least / sizeof least[0]; i++)
        if (strstr(least[i].types, wanted) != NULL) {
            *form = fill(least[i].form, name);
            *which = fill(least[i].which, name);
        }
    if (strcmp(type, "decimal") == 0) {
        *form = h_format("%s + IF(%s > 0, -1, 1) * CAST(1e-%s AS DECIMAL(65,30))", name, name, scale);
        *which = h_format("%s IS NOT NULL", name);
    } else if ((strcmp(type, "float") == 0 || strcmp(type, "double") == 0) && strcmp(scale, "0") != 0) {
        free(*form);
        *form = h_format("%s + 1e-%s", name, scale);
    } else if (*form == NULL) { /* all that is bytes: the lowest bit of the last one */
        *form = h_format("UNHEX(CONCAT(LEFT(HEX(%s), LENGTH(%s)*2-1),"
                         " SUBSTR('1032547698BADCFE', CONV(RIGHT(HEX(%s), 1), 16, 10) + 1, 1)))",
                         name, name, name);
        *which = h_format("LENGTH(%s) > 0", name);
    }
    free(wanted);
}

/* One altered row: ids are tried in their order behind *id, which becomes that of the row. */
static bool alter_column(h_server *target, const char *table, const char *column, const char *type, const char *scale,
                         char **done)
{
    char *name = h_format("`%s`", column), *form, *which;
    bool found = false;

    alteration(&form, &which, type, scale, name);
    for (int offset = 0; !found && offset < 60; offset++) {
        char *id = h_scalar(target, "SELECT id FROM `%s` WHERE %s AND NOT FIND_IN_SET(id, '%s') LIMIT 1 OFFSET %d",
                            table, which, *done, offset);
        if (id == NULL)
            break;
        h_sql_try(target, NULL, "UPDATE IGNORE `%s` SET %s = %s WHERE id='%s' LIMIT 1", table, name, form, id);
        found = h_number(target, "SELECT ROW_COUNT()") == 1;
        if (found) {
            char *longer = h_format("%s,%s", *done, id);
            free(*done);
            *done = longer;
        }
        free(id);
    }
    free(form);
    free(which);
    free(name);
    return found;
}

static uint64_t alter_table(h_server *target, const char *database, const char *table, unsigned *left)
{
    MYSQL *db = h_connect(target);
    char *sql = h_format("SELECT column_name, data_type, IFNULL(numeric_scale,0) FROM information_schema.columns c"
                         " WHERE table_schema='%s' AND table_name='%s' AND column_name <> 'id'"
                         " AND extra NOT LIKE '%%GENERATED%%' AND generation_expression IS NULL OR"
                         " (table_schema='%s' AND table_name='%s' AND column_name <> 'id' AND generation_expression='')"
                         " ORDER BY ordinal_position LIMIT %d",
                         database, table, database, table, MOST_COLUMNS);
    char *done = h_format("-1");
    uint64_t altered = 0;
    MYSQL_RES *result;
    MYSQL_ROW row;

    if (mysql_query(db, sql) != 0 || (result = mysql_store_result(db)) == NULL)
        h_fail("%s in %s", mysql_error(db), sql);
    while ((row = mysql_fetch_row(result)) != NULL) {
        if (h_number(target,
                     "SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema='%s' AND table_name='%s'"
                     " AND column_name='%s' AND non_unique=0",
                     database, table, row[0]) > 0)
            continue;
        if (alter_column(target, table, row[0], row[1], row[2], &done))
            altered += strncmp(table, "n_", 2) == 0 && strcmp(row[1], "float") != 0 ? 2 : 1;
        else
            ++*left;
    }
    mysql_free_result(result);
    mysql_close(db);
    free(done);
    free(sql);
    return altered;
}

uint64_t f_alter(h_server *target, const char *database, unsigned *left)
{
    MYSQL *db = h_connect(target);
    char *sql =
        h_format("SELECT table_name FROM information_schema.columns WHERE table_schema='%s' AND column_name='id'"
                 " ORDER BY 1",
                 database);
    uint64_t altered = 0;
    MYSQL_RES *result;
    MYSQL_ROW row;

    f_use(target, database);
    h_sql(target, "SET time_zone='+00:00'");
    if (f_family(target) == ON_MARIADB)
        h_sql(target, "SET check_constraint_checks=0");
    if (mysql_query(db, sql) != 0 || (result = mysql_store_result(db)) == NULL)
        h_fail("%s in %s", mysql_error(db), sql);
    while ((row = mysql_fetch_row(result)) != NULL)
        altered += alter_table(target, database, row[0], left);
    mysql_free_result(result);
    mysql_close(db);
    free(sql);
    return altered;
}

void f_ends(h_run *run, int code, double seconds)
{
    int ended = h_wait(run, seconds);

    if (ended != code) {
        char *log = h_stderr(run);
        h_fail("ended with %d instead of %d:\n%s", ended, code, log);
    }
}
