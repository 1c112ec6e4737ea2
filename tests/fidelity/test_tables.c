/* SPDX-License-Identifier: MIT */
/*
 * test_tables.c - every value and every key of the hostile tables, moved from each family to each.
 *
 * Two sources; each has a job to a target of its own family and one to the other's, MariaDB a third to 11.8. All jobs
 * run side by side, so the tables are filled once: before the copy, while it runs, and when it is over. The servers and
 * this program live in three time zones. At the end the two sides must be equal byte for byte; then one value in each
 * column of the target is altered by its least step, and the comparison has to find every one of them.
 */
#include <check.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "fidelity/fidelity.h"
#include "fidelity/keys.h"
#include "fidelity/scripts.h"
#include "fidelity/values.h"
#include "run_suite.h"

enum { LONG = 180, WIDE = 1017 };

static h_server *mysql[2], *mariadb[2], *newer; /* source and target of each; MariaDB 11.8 */

static const struct {
    const char *name;
    h_server **source, **target;
    int own;            /* the other family lacks what is in database "own" */
    const char *method; /* of copying: on each family each one */
} moves[] = {
    {"mysql", &mysql[0], &mysql[1], true, "insert"},     {"mariadb", &mariadb[0], &mariadb[1], true, "load"},
    {"mariadb118", &mariadb[0], &newer, true, "insert"}, {"to-mariadb", &mysql[0], &mariadb[1], false, "load"},
    {"to-mysql", &mariadb[0], &mysql[1], false, "load"},
};
enum { MOVES = sizeof moves / sizeof moves[0] };

/* Each server in a zone of its own, and we in a third: nothing may depend on one. */
static h_server *start_in(const char *zone, const char *family)
{
    setenv("TZ", zone, 1);
    return h_server_start(family, NULL);
}

static void start_servers(void)
{
    mysql[0] = start_in("Europe/Berlin", "mysql");
    mysql[1] = start_in("America/New_York", "mysql");
    mariadb[0] = start_in("Europe/Berlin", "mariadb");
    mariadb[1] = start_in("America/New_York", "mariadb");
    h_sql(mysql[1], "SET GLOBAL local_infile=1");
    newer = start_in("Australia/Lord_Howe", "mariadb118");
    setenv("TZ", "Asia/Kolkata", 1);
}

static void end_servers(void)
{
    for (int i = 0; i < 2; i++) {
        h_server_free(mysql[i]);
        h_server_free(mariadb[i]);
    }
    h_server_free(newer);
}

/* ---- databases ---- */

/* Of the same name on no two sources, because targets are shared. */
static char *database(const h_server *source, const char *part)
{
    return h_format("%s_%s", f_family(source) == ON_MYSQL ? "my" : "ma", part);
}

static void use_part(h_server *source, const char *part, int phase)
{
    char *db = database(source, part);

    if (phase < 0)
        f_database(source, db);
    else
        f_use(source, db);
    free(db);
}

/* s_CHARSET has text that both families take; r_CHARSET any bytes that its own does. */
static void create_strings(h_server *source, int i)
{
    const char *cs = values_charsets[i].charset;

    for (const char *kind = "sr"; *kind != '\0'; kind++) {
        use_part(source, *kind == 's' && values_charsets[i].families == ON_BOTH ? "both" : "own", -1);
        h_sql(source,
              "CREATE TABLE %c_%s (id INT PRIMARY KEY, c CHAR(20), v VARCHAR(40), t TEXT, m LONGTEXT, KEY (v))"
              " CHARACTER SET %s%s",
              *kind, cs, cs, strcmp(cs, "utf8mb4") == 0 ? " COLLATE utf8mb4_unicode_ci" : "");
    }
}

static void put_text(FILE *out, const char *text, const char *cs)
{
    fprintf(out, ",CONVERT(%s%s USING %s)", text[0] == 'R' ? "" : "_utf8mb4 ", text, cs);
}

/* The known texts, in other columns in each phase; then the set's own bytes. */
static void put_texts(FILE *out, int i, f_phase phase)
{
    const char *cs = values_charsets[i].charset, *bytes = values_charsets[i].bytes;
    int id = (int)phase * 100, texts = sizeof values_texts / sizeof values_texts[0];

    fprintf(out, "INSERT INTO s_%s VALUES ", cs);
    for (int n = 0; n < texts; n++) {
        fprintf(out, "(%d", ++id);
        for (int c = 0; c < 4; c++)
            put_text(out, values_texts[(n + c * (int)phase) % texts], cs);
        fputs("),", out);
    }
    fprintf(out, "(%d,X'%s',X'%s',X'%s',X'%s')", id + 1, bytes, bytes, bytes, bytes);
}

static void put_random_bytes(FILE *out, int i, f_phase phase)
{
    const char *cs = values_charsets[i].charset;

    fprintf(out, "INSERT INTO r_%s VALUES ", cs);
    for (int n = (int)phase * 100; n < (int)phase * 100 + 8; n++)
        fprintf(out, "%s(%d,UNHEX(SHA2('%d%s',256)),UNHEX(SHA2('a%d%s',512)),UNHEX(SHA2('b%d%s',512)),NULL)",
                n % 100 == 0 ? "" : ",", n, n, cs, n, cs, n, cs);
}

static void put_string_changes(FILE *out, char kind, const char *cs, f_phase phase)
{
    if (phase > F_BEFORE)
        fprintf(out,
                ";UPDATE %c_%s SET c=LEFT(v,20), v=LEFT(t,40), t=m, m=c WHERE id%%3=1;DELETE FROM %c_%s WHERE"
                " id%%11=%d",
                kind, cs, kind, cs, (int)phase);
}

static void write_strings(h_server *source, int i, f_phase phase)
{
    for (const char *kind = "sr"; *kind != '\0'; kind++) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        (*kind == 's' ? put_texts : put_random_bytes)(out, i, phase);
        put_string_changes(out, *kind, values_charsets[i].charset, phase);
        fclose(out);
        use_part(source, *kind == 's' && values_charsets[i].families == ON_BOTH ? "both" : "own", (int)phase);
        h_sql(source, "%s", text);
        free(text);
    }
}

static void create_wide(h_server *source)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    fputs("CREATE TABLE wide (id INT PRIMARY KEY", out);
    for (int i = 1; i < WIDE; i++)
        fprintf(out, ",c%d %s", i, i % 3 == 0 ? "TINYINT" : i % 3 == 1 ? "BIT(3)" : "VARCHAR(3)");
    fputs(")", out);
    fclose(out);
    h_sql(source, "%s", text);
    free(text);
}

static void write_wide(h_server *source, f_phase phase)
{
    h_sql(source,
          "INSERT INTO wide (id,c1,c2,c3,c1015,c1016) VALUES (%d,1,'a',3,'z',7),(%d,NULL,NULL,NULL,NULL,NULL);"
          "UPDATE wide SET c900=9, c17=c17+1, c1016=%d",
          phase * 10, phase * 10 + 1, phase);
}

typedef struct {
    const f_table *tables;
    size_t count;
    const char *part;
} group;

static const group groups[] = {
    {f_both, sizeof f_both / sizeof *f_both, "both"},          {f_own, sizeof f_own / sizeof *f_own, "own"},
    {f_packed, sizeof f_packed / sizeof *f_packed, "both"},    {f_keys, sizeof f_keys / sizeof *f_keys, "both"},
    {f_keyless, sizeof f_keyless / sizeof *f_keyless, "both"},
};

static const struct {
    const f_script *scripts;
    size_t count;
    const char *part;
} script_groups[] = {
    {f_scripts_both, sizeof f_scripts_both / sizeof *f_scripts_both, "both"},
    {f_scripts_own, sizeof f_scripts_own / sizeof *f_scripts_own, "own"},
    {f_scripts_loose, sizeof f_scripts_loose / sizeof *f_scripts_loose, "loose"},
    {f_scripts_old, sizeof f_scripts_old / sizeof *f_scripts_old, "old"},
};

static bool only_here(const char *name) /* a collation or a value that the other family has not */
{
    return strcmp(name, "n_minus_zeros") == 0 || strcmp(name, "k_0900") == 0 || strcmp(name, "k_0900_char") == 0 ||
           strcmp(name, "k_nopad") == 0 || strcmp(name, "k_addresses") == 0;
}

static void write_tables(h_server *source, int phase)
{
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
        for (size_t i = 0; i < groups[g].count; i++) {
            const f_table *t = &groups[g].tables[i];

            if ((t->families & f_family(source)) == 0)
                continue;
            use_part(source, only_here(t->name) ? "own" : groups[g].part, phase);
            if (phase < 0)
                f_create(source, t);
            else
                f_write(source, t, (f_phase)phase);
        }
}

static void write_scripts(h_server *source, int phase)
{
    for (size_t g = 0; g < sizeof script_groups / sizeof *script_groups; g++)
        for (size_t i = 0; i < script_groups[g].count; i++) {
            const f_script *s = &script_groups[g].scripts[i];
            const char *text = phase < 0 ? s->create : s->phases[phase];

            if ((s->families & f_family(source)) == 0 || text == NULL)
                continue;
            use_part(source, script_groups[g].part, phase);
            h_sql(source, "%s", text);
        }
}

/* phase -1: create. */
static void write_all(h_server *source, int phase)
{
    write_tables(source, phase);
    write_scripts(source, phase);
    for (int i = 0; i < (int)(sizeof values_charsets / sizeof *values_charsets); i++) {
        if ((values_charsets[i].families & f_family(source)) == 0)
            continue;
        if (phase < 0)
            create_strings(source, i);
        else
            write_strings(source, i, (f_phase)phase);
    }
    use_part(source, "both", phase);
    if (phase < 0)
        create_wide(source);
    else
        write_wide(source, (f_phase)phase);
}

/* ---- moves ---- */

static bool moves_part(int m, const char *part)
{
    bool from_mariadb = f_family(*moves[m].source) == ON_MARIADB, to_mariadb = f_family(*moves[m].target) == ON_MARIADB;

    if (strcmp(part, "own") == 0)
        return moves[m].own;
    if (strcmp(part, "loose") == 0) /* refused by a MySQL target that enforces GTIDs; said in a test of its own */
        return from_mariadb && to_mariadb;
    return strcmp(part, "both") == 0 || from_mariadb;
}

static char *databases_of(int m)
{
    static const char *const parts[] = {"both", "own", "loose", "old"};
    char *list = h_format("%s", "");

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *db = database(*moves[m].source, parts[i]);
        char *longer = h_format("%s%s%s", list, list[0] != '\0' ? "," : "", db);

        if (moves_part(m, parts[i])) {
            free(list);
            list = longer;
        } else {
            free(longer);
        }
        free(db);
    }
    return list;
}

static char *conf_of(int m)
{
    char *list = databases_of(m);
    char *conf = h_config(*moves[m].source, *moves[m].target, list,
                          "{\"LockKeylessTables\": true, \"UpdatableConfig\": {\"DataIterationBatchSize\": 7}}");

    free(list);
    return conf;
}

/* The program's own comparison. */
static h_run *start_verify(int m, const char *dir)
{
    char *conf = conf_of(m);
    h_run *run = h_start("verify", "--json", "--checkpoint-dir", dir, "--job", moves[m].name, conf);

    free(conf);
    return run;
}

/* Its report, which the caller owns (json_decref); takes the run. */
static json_t *verified(int m, h_run *run)
{
    int code = h_wait(run, LONG);
    char *out = h_stdout(run), *log = h_stderr(run);
    json_t *report = json_loads(out, 0, NULL);

    if (report == NULL || code != (json_is_true(json_object_get(report, "Equal")) ? 0 : 6))
        h_fail("%s: verify ended with %d: %s%s", moves[m].name, code, out, log);
    free(out);
    free(log);
    h_run_free(run);
    return report;
}

static h_run *start_move(int m, const char *dir)
{
    char *conf = conf_of(m);
    h_run *run = h_start("--checkpoint-dir", dir, "--job", moves[m].name, "--copy-method", moves[m].method, conf);

    free(conf);
    return run;
}

static void finish_move(int m, h_run *run, const char *dir)
{
    char *list = databases_of(m), *text;
    json_t *report;

    if (!h_wait_log(run, "stage streaming", LONG))
        f_ends(run, 0, 1);
    if (h_exec(NULL, NULL, 20, "cutover", "--checkpoint-dir", dir) != 0)
        fprintf(stderr, "%s: cutover refused\n", moves[m].name);
    f_ends(run, 0, LONG);
    fprintf(stderr, "%s: comparing %s\n", moves[m].name, list);
    /* Within one version, the remark in the definition of ma_old's table is a difference, and the only one. */
    ck_assert_uint_eq(h_compare(*moves[m].source, *moves[m].target, list), strcmp(moves[m].name, "mariadb") == 0);
    report = verified(m, start_verify(m, dir));
    text = json_dumps(report, JSON_INDENT(1));
    ck_assert_msg(json_is_true(json_object_get(report, "Equal")), "%s: %s", moves[m].name, text);
    free(text);
    json_decref(report);
    free(list);
}

/* The next id that each side would give out. */
static void counters_are_equal(int m)
{
    char *db = database(*moves[m].source, "both");
    char *sql = h_format("SELECT auto_increment FROM information_schema.tables WHERE table_schema='%s' AND"
                         " table_name='counter'",
                         db);

    if (f_family(*moves[m].source) == ON_MYSQL)
        h_sql(*moves[m].source, "SET information_schema_stats_expiry=0");
    if (f_family(*moves[m].target) == ON_MYSQL)
        h_sql(*moves[m].target, "SET information_schema_stats_expiry=0");
    ck_assert_int_eq(h_number(*moves[m].source, "%s", sql), h_number(*moves[m].target, "%s", sql));
    ck_assert_int_gt(h_number(*moves[m].source, "%s", sql), 4711);
    free(sql);
    free(db);
}

/* Each altered row of a table with a key by name, the others by their table's. */
static void alterations_are_verified(int m, h_run *run)
{
    char *db = database(*moves[m].source, "both");
    char *keyed = h_scalar(*moves[m].source,
                           "SELECT CONCAT('%s', GROUP_CONCAT(',!%s.', table_name SEPARATOR '')) FROM"
                           " information_schema.tables WHERE table_schema = '%s' AND table_name LIKE 'n\\_%%'",
                           db, db, db);
    FILE *silent = fopen("/dev/null", "we");
    json_t *report = verified(m, run), *difference;
    uint64_t rows = 0, tables = 0;
    size_t i;

    json_array_foreach (json_object_get(report, "List"), i, difference)
        *(strcmp(json_string_value(json_object_get(difference, "Kind")), "table") == 0 ? &tables : &rows) += 1;
    ck_assert_uint_eq(rows, h_compare_totals(*moves[m].source, *moves[m].target, keyed, silent, NULL));
    ck_assert_uint_eq(tables, (uint64_t)h_number(*moves[m].source,
                                                 "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema ="
                                                 " '%s' AND table_name LIKE 'n\\_%%'",
                                                 db));
    json_decref(report);
    fclose(silent);
    free(keyed);
    free(db);
}

/* All that `alter` changes in the database, and nothing else, must be found. */
static void alterations_are_found(int m)
{
    char *db = database(*moves[m].source, "both");
    unsigned left = 0;
    uint64_t altered = f_alter(*moves[m].target, db, &left), found;
    FILE *report = fopen("/dev/null", "we");

    found = h_compare_totals(*moves[m].source, *moves[m].target, db, report, NULL);
    fclose(report);
    fprintf(stderr, "%s: %llu values altered, %llu differences found, %u columns not altered\n", moves[m].name,
            (unsigned long long)altered, (unsigned long long)found, left);
    ck_assert_uint_gt(altered, 150);
    ck_assert_uint_eq(found, altered);
    free(db);
}

START_TEST(tables__arrive_exactly_both_ways)
{
    h_run *runs[MOVES];
    char *dirs[MOVES];
    h_server *sources[] = {mysql[0], mariadb[0]};

    for (int s = 0; s < 2; s++) {
        write_all(sources[s], -1);
        write_all(sources[s], F_BEFORE);
    }
    for (int m = 0; m < MOVES; m++)
        runs[m] = start_move(m, dirs[m] = h_path("checkpoints"));
    for (int s = 0; s < 2; s++)
        write_all(sources[s], F_DURING);
    for (int m = 0; m < MOVES; m++)
        if (!h_wait_log(runs[m], "stage streaming", LONG))
            f_ends(runs[m], 0, 1);
    for (int s = 0; s < 2; s++)
        write_all(sources[s], F_AFTER);
    for (int m = 0; m < MOVES; m++) {
        finish_move(m, runs[m], dirs[m]);
        counters_are_equal(m);
        h_run_free(runs[m]);
    }
    for (int m = 0; m < MOVES; m++)
        alterations_are_found(m);
    for (int m = 0; m < MOVES; m++) /* side by side: tables without a key take their time */
        runs[m] = start_verify(m, dirs[m]);
    for (int m = 0; m < MOVES; m++) {
        alterations_are_verified(m, runs[m]);
        free(dirs[m]);
    }
}
END_TEST

/* ---- what is refused, and how ---- */

/* The preflight of a job from `source`, which must fail; its report is owned by the caller. */
static char *refusal(h_server *source, h_server *target, const char *databases, const char *extra)
{
    char *conf = h_config(source, target, databases, extra), *report, *log, *all;
    int code = h_exec(&report, &log, 60, "check", conf);

    all = h_format("%s%s", report, log);
    if (code != 2)
        h_fail("check ended with %d: %s", code, all);
    free(report);
    free(log);
    free(conf);
    return all;
}

static void says(const char *report, const char *first, const char *second)
{
    const char *line = report;

    while ((line = strstr(line, first)) != NULL) {
        size_t len = strcspn(line, "\n");
        char *one = h_format("%.*s", (int)len, line);
        bool found = strstr(one, second) != NULL;
        free(one);
        if (found)
            return;
        line += len;
    }
    h_fail("not said: %s ... %s\nin: %s", first, second, report);
}

/* Tables that the other family has no type, collation or engine for: one line each, before anything is copied. */
START_TEST(tables__that_the_other_family_lacks_are_refused_by_name)
{
    char *report;

    f_database(mariadb[0], "ma_nope");
    h_sql(mariadb[0], "CREATE TABLE addresses (id INT PRIMARY KEY, i INET6, j INET4, u UUID);"
                      "CREATE TABLE nopad (id INT PRIMARY KEY, s VARCHAR(9) COLLATE utf8mb4_unicode_nopad_ci);"
                      "CREATE TABLE loose (id INT PRIMARY KEY) ENGINE=Aria;"
                      "CREATE TABLE loose2 (id INT PRIMARY KEY) ENGINE=MyISAM;"
                      "CREATE TABLE versioned (id INT PRIMARY KEY) WITH SYSTEM VERSIONING;"
                      "CREATE TABLE hashed (id INT PRIMARY KEY, b BLOB, UNIQUE (b));"
                      "CREATE TABLE faces (id INT PRIMARY KEY, d VARCHAR(9) CHARACTER SET utf8mb4 DEFAULT 'a\\'😀')");
    report = refusal(mariadb[0], mysql[1], "ma_nope", NULL);
    says(report, "ma_nope.faces", "a '?' in its default");
    says(report, "ma_nope.addresses", "MySQL has no such type");
    says(report, "utf8mb4_unicode_nopad_ci", "ma_nope.nopad.s");
    says(report, "no engine Aria", "ma_nope.loose");
    says(report, "enforce_gtid_consistency", "ma_nope.loose2");
    says(report, "ma_nope.hashed", "unlimited length");
    says(report, "system-versioned", "ma_nope.versioned");
    ck_assert_int_eq(h_number(mysql[1], "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name='ma_nope'"),
                     0);
    free(report);

    f_database(mysql[0], "my_nope");
    h_sql(mysql[0], "CREATE TABLE vectors (id INT PRIMARY KEY, v VECTOR(3));"
                    "CREATE TABLE nine (id INT PRIMARY KEY, s VARCHAR(9) COLLATE utf8mb4_0900_as_ci);"
                    "CREATE TABLE gb (id INT PRIMARY KEY, s VARCHAR(9) CHARACTER SET gb18030);"
                    "CREATE TABLE functional (id INT PRIMARY KEY, s VARCHAR(9), UNIQUE ((LOWER(s))));"
                    "CREATE TABLE faces (id INT PRIMARY KEY, e ENUM('x','😀'));"
                    "CREATE TABLE swedish (id INT PRIMARY KEY, v VARCHAR(9) AS (CONCAT(_latin1 0xE5, id)) VIRTUAL);"
                    "CREATE TABLE relaxed (id INT PRIMARY KEY, n INT, CHECK (n > 0) NOT ENFORCED);"
                    "CREATE TABLE keyless (n INT, UNIQUE (n))");
    report = refusal(mysql[0], mariadb[1], "my_nope", NULL);
    says(report, "my_nope.vectors", "vector");
    says(report, "utf8mb4_0900_as_ci", "my_nope.nine.s");
    says(report, "gb18030", "my_nope.gb");
    says(report, "my_nope.functional", "keys over expressions");
    says(report, "my_nope.relaxed", "NOT ENFORCED");
    says(report, "my_nope.faces", "a '?' in its members");
    says(report, "my_nope.swedish", "_latin1");
    says(report, "my_nope.keyless", "--lock-keyless-tables");
    ck_assert_int_eq(
        h_number(mariadb[1], "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name='my_nope'"), 0);
    free(report);
}
END_TEST

/* A move that must stop with this in its log, and in no other way. */
static void stops_with(h_server *source, h_server *target, const char *db, const char *extra, int code,
                       const char *first, const char *second)
{
    char *conf = h_config(source, target, db, extra), *dir = h_path("checkpoints"), *job = h_format("%s-stops", db),
         *log;
    h_run *run = h_start("--checkpoint-dir", dir, "--job", job, conf);

    f_ends(run, code, LONG);
    free(job);
    log = h_stderr(run);
    says(log, first, second);
    free(log);
    h_run_free(run);
    free(dir);
    free(conf);
}

/* Values that a definition lets pass and the other server would alter: the row is named, by both ways. */
START_TEST(tables__rows_that_would_be_altered_stop_the_run_by_name)
{
    static const char automatic[] = "{\"AutomaticCutover\": true}";
    char *dir = h_path("checkpoints"), *conf;
    h_run *run;

    f_database(mysql[0], "my_zero");
    h_sql(mysql[0], "CREATE TABLE t (id INT PRIMARY KEY, d DOUBLE, f FLOAT); INSERT INTO t VALUES (1,1,1),(7,-0e0,1)");
    stops_with(mysql[0], mariadb[1], "my_zero", automatic, 4, "my_zero.t (id=7)", "-0");

    f_database(mariadb[0], "ma_ascii"); /* MariaDB's ascii takes bytes above 127, MySQL's does not */
    h_sql(mariadb[0], "CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(9) CHARACTER SET ascii);"
                      "INSERT INTO t VALUES (1,'a'),(7,'a'),(8,'b')");
    conf = h_config(mariadb[0], mysql[1], "ma_ascii", NULL);
    run = h_start("--checkpoint-dir", dir, "--job", "ma_ascii", conf);
    if (!h_wait_log(run, "stage streaming", LONG))
        f_ends(run, 0, 1);
    f_use(mariadb[0], "ma_ascii");
    h_sql(mariadb[0], "UPDATE t SET s=X'61E9' WHERE id=7");
    f_ends(run, 4, LONG);
    char *log = h_stderr(run);
    says(log, "ma_ascii.t (id=7)", "1366");
    free(log);
    h_run_free(run);
    free(conf);
    free(dir);
    h_sql(mysql[1], "DROP DATABASE ma_ascii");
    stops_with(mariadb[0], mysql[1], "ma_ascii", automatic, 4, "ma_ascii.t (id=7)", "1366");
}
END_TEST

/*
 * No server lets invalid bytes in, but old ones did and their tables live on: here a binary column's file is imported
 * as a text column's, which has the same layout.
 */
static void import_as_text(h_server *source, const char *db, const char *charset)
{
    char *from = h_format("%s/%s/data/%s/raw", h_run_dir(), source->name, db);
    char *to = h_format("%s/%s/data/%s/t", h_run_dir(), source->name, db);

    h_sql(source, "CREATE TABLE raw (id INT PRIMARY KEY, s VARBINARY(12)) ROW_FORMAT=DYNAMIC;"
                  "INSERT INTO raw VALUES (1,'a'),(7,X'61FF62'),(9,'c')");
    h_sql(source,
          "CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(%d) CHARACTER SET %s) ROW_FORMAT=DYNAMIC;"
          "ALTER TABLE t DISCARD TABLESPACE; FLUSH TABLES raw FOR EXPORT",
          strcmp(charset, "utf8mb4") == 0   ? 3
          : strcmp(charset, "utf8mb3") == 0 ? 4
                                            : 12,
          charset);
    char *copy = h_format("cp %s.ibd %s.ibd", from, to);
    if (system(copy) != 0)
        h_fail("%s failed", copy);
    h_sql(source, "UNLOCK TABLES; ALTER TABLE t IMPORT TABLESPACE; DROP TABLE raw");
    ck_assert_int_eq(h_number(source, "SELECT COUNT(*) FROM t WHERE HEX(s)='61FF62'"), 1);
    free(copy);
    free(from);
    free(to);
}

START_TEST(tables__bytes_invalid_in_their_set_stop_the_run_by_name)
{
    static const char *const methods[] = {"load", "insert"}, *const sets[] = {"utf8mb4", "utf8mb3", "ascii"};
    h_server *source[] = {mysql[0], mariadb[0]}, *target[] = {mysql[1], mariadb[1]};

    for (int i = 0; i < 12; i++) {
        int family = i % 2, method = i / 2 % 2, set = i / 4;
        char *db = h_format("invalid%d", i);
        char *extra = h_format("{\"AutomaticCutover\": true, \"CopyMethod\": \"%s\"}", methods[method]);

        if (family == 1 && set == 2) { /* MariaDB's ascii takes them: so they have to arrive */
            f_database(source[1], db);
            import_as_text(source[1], db, sets[set]);
            char *conf = h_config(source[1], target[1], db, extra), *dir = h_path("checkpoints");
            h_run *run = h_start("--checkpoint-dir", dir, "--job", db, conf);
            f_ends(run, 0, LONG);
            h_run_free(run);
            ck_assert_uint_eq(h_compare(source[1], target[1], db), 0);
            free(conf);
            free(dir);
        } else {
            f_database(source[family], db);
            import_as_text(source[family], db, sets[set]);
            stops_with(source[family], target[family], db, extra, 4, ".t (id=7)", "1366");
        }
        free(extra);
        free(db);
    }
}
END_TEST

/* Tables of the operator's own making: what does not hold the same is refused by its column. */
START_TEST(tables__that_exist_and_differ_are_refused_by_column)
{
    static const struct {
        const char *source, *target, *why;
        bool taken; /* as it is, with a warning */
    } cases[] = {
        {"e INT DEFAULT 1", "e INT DEFAULT 2", "its default of column `e` is another one", true},
        {"e INT", "e INT, CONSTRAINT small CHECK (e < 5)", "its CHECK constraint `small` is not the source's", true},
        {"e ENUM('a','b')", "e ENUM('b','a')", "column `e`", false},
        {"e SET('a','b')", "e SET('a','b','c')", "column `e`", false},
        {"e VARCHAR(9) CHARACTER SET latin1", "e VARCHAR(9) CHARACTER SET cp1251", "column `e`", false},
        {"e VARCHAR(9)", "e VARCHAR(8)", "column `e`", false},
        {"e INT UNSIGNED", "e INT", "column `e`", false},
        {"e DATETIME(6)", "e DATETIME(3)", "column `e`", false},
        {"e DECIMAL(10,3)", "e DECIMAL(10,2)", "column `e`", false},
        {"e INT, UNIQUE (e)", "e INT", "unique key", false},
    };
    h_server *source[] = {mysql[0], mariadb[0]}, *target[] = {mysql[1], mariadb[1]};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int s = (int)i % 2; /* each case on one family: the code is one */
        char *db = h_format("exists%zu", i);

        f_database(source[s], db);
        h_sql(source[s], "CREATE TABLE t (id INT PRIMARY KEY, %s)", cases[i].source);
        f_database(target[s], db);
        h_sql(target[s], "CREATE TABLE t (id INT PRIMARY KEY, %s)", cases[i].target);
        stops_with(source[s], target[s], db, "{\"AutomaticCutover\": true}", cases[i].taken ? 0 : 2,
                   cases[i].taken ? "is there already" : "is not like the source", cases[i].why);
        free(db);
    }
}
END_TEST

/* --map-collation: named before anything is copied, then used. */
START_TEST(tables__a_collation_is_mapped)
{
    char *dir = h_path("checkpoints"), *conf, *report;
    h_run *run;

    f_database(mysql[0], "my_mapped");
    h_sql(mysql[0], "ALTER DATABASE my_mapped COLLATE utf8mb4_0900_ai_ci;"
                    "CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(20), b VARCHAR(20) COLLATE utf8mb4_0900_bin);"
                    "INSERT INTO t VALUES (1,'a ','É'),(2,'A','')");
    report = refusal(mysql[0], mariadb[1], "my_mapped", NULL);
    says(report, "utf8mb4_0900_ai_ci", "--map-collation");
    says(report, "utf8mb4_0900_bin", "my_mapped.t.b");
    free(report);
    report = refusal(mysql[0], mariadb[1], "my_mapped",
                     "{\"MapCollation\": {\"utf8mb4_0900_ai_ci\": \"latin1_swedish_ci\"}}");
    says(report, "utf8mb4_0900_ai_ci=latin1_swedish_ci", "two character sets");
    free(report);
    h_sql(mysql[0],
          "CREATE TABLE u (id INT PRIMARY KEY, s VARCHAR(20), b VARCHAR(20) COLLATE utf8mb4_0900_bin, at TIMESTAMP,"
          " g VARCHAR(30) AS (CAST(at AS CHAR)) VIRTUAL, UNIQUE (s), UNIQUE (b), UNIQUE zoned (g))");
    report = refusal(mysql[0], mariadb[1], "my_mapped",
                     "{\"NoMarker\": true, \"MapCollation\": {\"utf8mb4_0900_ai_ci\": \"utf8mb4_unicode_ci\","
                     " \"utf8mb4_0900_bin\": \"utf8mb4_general_ci\"}}");
    says(report, "my_mapped.u.s is part of the unique key s", "without a marker");
    says(report, "my_mapped.u.b is part of the unique key b", "holds more values");
    says(report, "my_mapped.u.zoned", "without a marker");
    free(report);
    h_sql(mysql[0], "DROP TABLE u");
    conf = h_config(mysql[0], mariadb[1], "my_mapped",
                    "{\"AutomaticCutover\": true, \"MapCollation\": {\"utf8mb4_0900_ai_ci\": \"utf8mb4_unicode_ci\","
                    " \"utf8mb4_0900_bin\": \"utf8mb4_bin\"}}");
    run = h_start("--checkpoint-dir", dir, "--job", "mapped", conf);
    f_ends(run, 0, LONG);
    h_run_free(run);
    ck_assert_uint_eq(h_compare(mysql[0], mariadb[1], "my_mapped"), 0);
    free(conf);
    free(dir);
}
END_TEST

/* What the source tells apart and the target does not can't be there at once: in one chunk, and in one after the other. */
START_TEST(tables__rows_that_would_meet_in_a_unique_key_stop_the_run_by_name)
{
    static const char *const keys[] = {"id INT PRIMARY KEY, UNIQUE (v)", "id INT, PRIMARY KEY (v)"};
    static const char *const methods[] = {"load", "insert"};

    for (int i = 0; i < 8; i++) {
        char *db = h_format("meet%d", i);
        char *extra = h_format("{\"AutomaticCutover\": true, \"CopyMethod\": \"%s\", \"DataIterationBatchSize\": %d,"
                               " \"MapCollation\": {\"utf8mb4_0900_as_cs\": \"utf8mb4_general_ci\"}}",
                               methods[i % 2], i < 4 ? 100 : 1);

        f_database(mysql[0], db);
        h_sql(mysql[0],
              "CREATE TABLE t (v VARCHAR(20) COLLATE utf8mb4_0900_as_cs NOT NULL, %s);"
              "INSERT INTO t (id, v) VALUES (1,'a'),(2,'b'),(3,'A'),(4,'c')",
              keys[i / 2 % 2]);
        stops_with(mysql[0], mariadb[1], db, extra, 4, i / 2 % 2 == 0 ? ".t (id=3)" : ".t (v=", "unique key");
        free(extra);
        free(db);
    }
}
END_TEST

/* The stream meets rows that are copied already, in the middle of the copy, when counts of rows prove nothing by themselves. */
static const struct {
    bool mapped; /* to the other family; else a unique key over what a session's time zone decides */
    const char *stream;
} meeting[] = {
    {true, "INSERT INTO t VALUES ('a ','q',9)"},
    {true, "INSERT INTO t VALUES ('c','a ',9)"},
    {true, "UPDATE t SET k='a ' WHERE k='b'"},
    {true, "UPDATE t SET u='a ' WHERE k='b'"},
    {true, "UPDATE t SET u='zz ' WHERE k='zz1'"}, /* that is not copied yet, and takes the place of one that is */
    {false, "SET time_zone='-11:00'; INSERT INTO t (id,at) VALUES (40000,'2019-12-31 13:05:00')"},
};
enum { MEETING = sizeof meeting / sizeof meeting[0] };

static void fill_meeting(const char *db, bool mapped)
{
    static const char numbers[] =
        "(WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i+1 FROM n WHERE i<900) SELECT i FROM n) q";

    f_database(mysql[0], db);
    if (mapped)
        h_sql(mysql[0],
              "CREATE TABLE t (k VARCHAR(20) PRIMARY KEY, u VARCHAR(20), v INT, UNIQUE (u)) COLLATE utf8mb4_0900_ai_ci;"
              "INSERT INTO t VALUES ('a','a',1),('b','b',2),('bz','zz',3),('zz1','x',4);"
              "INSERT INTO t SELECT CONCAT('k',LPAD(i,6,'0')), CONCAT('u',i), i FROM %s",
              numbers);
    else
        h_sql(
            mysql[0],
            "CREATE TABLE t (id INT PRIMARY KEY, at TIMESTAMP, g VARCHAR(30) AS (CAST(at AS CHAR)) VIRTUAL, UNIQUE (g));"
            "SET time_zone='+00:00'; INSERT INTO t (id,at) SELECT i, '2020-01-01' + INTERVAL i MINUTE FROM %s;"
            "SET time_zone=DEFAULT",
            numbers);
}

static void meet_while_copying(unsigned i, h_server *to)
{
    char *db = h_format("streams%u", i), *dir = h_path("checkpoints"), *log;
    char *conf =
        h_config(mysql[0], to, db,
                 meeting[i].mapped ? "{\"MapCollation\": {\"utf8mb4_0900_ai_ci\": \"utf8mb4_general_ci\"}}" : NULL);
    h_run *run;

    fill_meeting(db, meeting[i].mapped);
    run = h_start("--checkpoint-dir", dir, "--job", db, "--chunk-rows", "1", "--readers", "1", "--copy-writers", "1",
                  conf);
    ck_assert(h_wait_rows(run, to, db, "t", 10, LONG));
    f_use(mysql[0], db);
    h_sql(mysql[0], "%s", meeting[i].stream);
    f_ends(run, 4, LONG);
    log = h_stderr(run);
    ck_assert_msg(strstr(log, "stage streaming") == NULL, "the copy was over before");
    says(log, "transaction", "unique key that the source tells apart");
    free(log);
    h_run_free(run);
    free(conf);
    free(dir);
    free(db);
}

START_TEST(tables__the_stream_takes_no_rows_place_while_they_are_copied)
{
    for (unsigned i = 0; i < MEETING; i++)
        meet_while_copying(i, meeting[i].mapped ? mariadb[1] : mysql[1]);
}
END_TEST

/* Afterwards too, and beside a row that comes out as it was: it counts less than it may, which must hide nothing. */
START_TEST(tables__the_stream_takes_no_rows_place_behind_another_ones_count)
{
    char *dir = h_path("checkpoints"), *log;
    char *conf =
        h_config(mysql[0], mariadb[1], "slack", "{\"MapCollation\": {\"utf8mb4_0900_ai_ci\": \"utf8mb4_general_ci\"}}");
    h_run *run;

    f_database(mysql[0], "slack");
    h_sql(mysql[0], "CREATE TABLE t (k VARCHAR(20) PRIMARY KEY, v INT) COLLATE utf8mb4_0900_ai_ci;"
                    "INSERT INTO t VALUES ('a',1),('b',2)");
    run = h_start("--checkpoint-dir", dir, "--job", "slack", conf);
    ck_assert(h_wait_log(run, "stage streaming", LONG));
    h_sql(mysql[0], "UPDATE t SET v=7 WHERE k='b'; DELETE FROM t WHERE k='b'; INSERT INTO t VALUES ('b',2),('c',3)");
    h_sql(mysql[0], "BEGIN; UPDATE t SET v=v+1 WHERE k='b'; UPDATE t SET v=v-1 WHERE k='b';"
                    "INSERT INTO t VALUES ('a ',5); COMMIT");
    f_ends(run, 4, LONG);
    log = h_stderr(run);
    says(log, "transaction", ".t (k=");
    free(log);
    ck_assert_int_eq(h_number(mariadb[1], "SELECT COUNT(*) FROM slack.t WHERE HEX(k)='61' AND v=1"), 1);
    h_run_free(run);
    free(conf);
    free(dir);
}
END_TEST

/* FLUSH: servers compute with what a table's first user had. */
static const char of_another_session[] = "SET SESSION div_precision_increment=12; FLUSH TABLES t;"
                                         "INSERT INTO t (id) VALUES (7),(8);"
                                         "SET SESSION div_precision_increment=4";

/* The same in a transaction that is kept from its PREPARE to its COMMIT. */
static const char of_another_xa[] = "SET SESSION div_precision_increment=12; FLUSH TABLES t; XA START 'x';"
                                    "INSERT INTO t (id) VALUES (7); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x';"
                                    "SET SESSION div_precision_increment=4";

/* While it streams. */
static void computed_otherwise_later(const char *db, const char *sql)
{
    char *conf = h_config(mysql[0], mysql[1], db, NULL), *dir = h_path("checkpoints"), *log;
    h_run *run = h_start("--checkpoint-dir", dir, "--job", db, conf);

    ck_assert(h_wait_log(run, "stage streaming", LONG));
    h_sql(mysql[0], "%s", sql);
    f_ends(run, 4, LONG);
    log = h_stderr(run);
    says(log, ".t (id=7): the target computes another value", "VIRTUAL");
    free(log);
    h_run_free(run);
    h_sql(mysql[1], "DROP DATABASE %s", db);
    free(conf);
    free(dir);
}

/* What the target computes itself is compared with what the source's session has computed: by the copy, by the stream. */
START_TEST(tables__generated_values_of_another_session_stop_the_run_by_name)
{
    h_server *source[] = {mysql[0], mariadb[0]}, *target[] = {mysql[1], mariadb[1]};

    f_database(mysql[0], "computes_xa");
    h_sql(mysql[0], "CREATE TABLE t (id INT PRIMARY KEY, g VARCHAR(60) AS (id / 7) STORED)");
    computed_otherwise_later("computes_xa", of_another_xa);
    for (int i = 0; i < 4; i++) {
        char *db = h_format("computes%d", i);
        char *extra = h_format("{\"AutomaticCutover\": true, \"CopyMethod\": \"%s\"}", i / 2 == 0 ? "load" : "insert");

        f_database(source[i % 2], db);
        h_sql(source[i % 2],
              "SET SESSION div_precision_increment=%d; CREATE TABLE t (id INT PRIMARY KEY, g VARCHAR(60) AS"
              " (id / 7) STORED); INSERT INTO t (id) VALUES (1),(2)",
              i == 0 ? 4 : 12);
        if (i == 0)
            computed_otherwise_later(db, of_another_session);
        stops_with(source[i % 2], target[i % 2], db, extra, 4, i == 0 ? ".t (id=7)" : ".t (id=1)",
                   "the target computes another value");
        h_sql(source[i % 2], "SET SESSION div_precision_increment=4");
        free(extra);
        free(db);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("tables");
    TCase *t = tcase_create("tables");

    tcase_add_unchecked_fixture(t, start_servers, end_servers);
    tcase_set_timeout(t, 600);
    tcase_add_test(t, tables__that_the_other_family_lacks_are_refused_by_name);
    tcase_add_test(t, tables__rows_that_would_be_altered_stop_the_run_by_name);
    tcase_add_test(t, tables__bytes_invalid_in_their_set_stop_the_run_by_name);
    tcase_add_test(t, tables__that_exist_and_differ_are_refused_by_column);
    tcase_add_test(t, tables__a_collation_is_mapped);
    tcase_add_test(t, tables__rows_that_would_meet_in_a_unique_key_stop_the_run_by_name);
    tcase_add_test(t, tables__the_stream_takes_no_rows_place_while_they_are_copied);
    tcase_add_test(t, tables__the_stream_takes_no_rows_place_behind_another_ones_count);
    tcase_add_test(t, tables__generated_values_of_another_session_stop_the_run_by_name);
    tcase_add_test(t, tables__arrive_exactly_both_ways);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
