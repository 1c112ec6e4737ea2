/* SPDX-License-Identifier: MIT */
/*
 * compare.c - are two sets of tables equal, byte for byte?
 *
 * Both sides are read with the same query and streamed (mysql_use_result), so a table may be of any size. What makes
 * equal bytes come back for equal rows, and different ones for different rows:
 *   - character_set_results = NULL: text comes in the column's own character set, as it is stored;
 *   - time_zone +00:00: a TIMESTAMP is printed as it is stored;
 *   - FLOAT and DOUBLE are multiplied by 1e0: the printed double has all digits, a printed FLOAT has six;
 *   - of ENUM and SET the number stands in front of the members' bytes: the invalid value 0 prints like a member '';
 *   - behind a JSON document of MySQL stand the types of all values inside, in the order in which the server lists them.
 * Rows are paired by a sort key that both servers sort alike whatever their collations: an integer key as it is, any
 * other as bytes; a table without primary or unique NOT NULL key by a digest of the whole row. Where the sort keys of
 * two rows differ, the lower one has no partner.
 */
#include "harness/harness.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAMED_PER_TABLE 5u  /* differences told in full; the rest is counted */
#define SHOWN_BYTES     96u /* of a value */

typedef struct {
    char *name;
    bool is_integer, is_float, has_members;
    bool is_document;       /* MySQL's JSON, on both sides */
    unsigned address_bytes; /* of MariaDB's INET4, INET6, UUID; else 0 */
} column;

typedef struct {
    column *columns; /* owned */
    unsigned column_count;
    unsigned *key; /* owned: indexes into columns; key_count 0: no key, the first value of a row is its digest */
    unsigned key_count;
} layout;

typedef struct {
    MYSQL *db;          /* owned */
    MYSQL_RES *result;  /* owned, of the table being read */
    MYSQL_ROW row;      /* borrowed from result; NULL at the end */
    unsigned long *len; /* same */
} side;

typedef struct {
    side source, target;
    FILE *report;
    h_totals totals;
    const char *what;  /* borrowed: the caller's list */
    bool same_version; /* then the definitions must be the same text */
} comparison;

/* --- reading ------------------------------------------------------------------------------------------------------ */

static MYSQL_RES *query(MYSQL *db, bool stream, const char *sql)
{
    MYSQL_RES *result = NULL;

    if (mysql_real_query(db, sql, (unsigned long)strlen(sql)) == 0)
        result = stream ? mysql_use_result(db) : mysql_store_result(db);
    if (result == NULL && mysql_errno(db) != 0)
        h_fail("compare: %s in: %.500s", mysql_error(db), sql);
    return result;
}

static MYSQL_RES *query_free(MYSQL *db, char *sql)
{
    MYSQL_RES *result = query(db, false, sql);

    free(sql);
    return result;
}

/* A text literal or, with '`', an identifier. */
static char *quote(const char *name, char mark)
{
    char *out = malloc(2 * strlen(name) + 3), *to = out;

    if (out == NULL)
        h_fail("out of memory");
    *to++ = mark;
    for (; *name != '\0'; name++) {
        if (*name == mark || (*name == '\\' && mark == '\''))
            *to++ = *name;
        *to++ = *name;
    }
    *to++ = mark;
    *to = '\0';
    return out;
}

static void open_side(side *s, const h_server *server)
{
    s->db = h_connect(server);
    mysql_free_result(query(s->db, false,
                            "SET SESSION character_set_results = NULL, time_zone = '+00:00', sql_mode = '',"
                            " max_sort_length = 4096, net_write_timeout = 3600, wait_timeout = 28800"));
}

static void fetch(side *s)
{
    s->row = mysql_fetch_row(s->result);
    if (s->row == NULL && mysql_errno(s->db) != 0)
        h_fail("compare: %s while reading", mysql_error(s->db));
    s->len = s->row != NULL ? mysql_fetch_lengths(s->result) : NULL;
}

/* --- what a table looks like -------------------------------------------------------------------------------------- */

static bool is_in(const char *word, const char *const list[])
{
    for (size_t i = 0; list[i] != NULL; i++)
        if (strcasecmp(word, list[i]) == 0)
            return true;
    return false;
}

static unsigned address_bytes(const char *type)
{
    static const char *const wide[] = {"inet6", "uuid", NULL};

    return is_in(type, wide) ? 16 : strcasecmp(type, "inet4") == 0 ? 4 : 0;
}

static void load_columns(layout *l, MYSQL *db, const char *schema, const char *table)
{
    static const char *const integers[] = {"tinyint", "smallint", "mediumint", "int", "bigint", NULL};
    static const char *const floats[] = {"float", "double", NULL};
    static const char *const members[] = {"enum", "set", NULL};
    MYSQL_RES *result = query_free(db, h_format("SELECT column_name, data_type FROM information_schema.columns"
                                                " WHERE table_schema = %s AND table_name = %s"
                                                " ORDER BY ordinal_position",
                                                schema, table));
    MYSQL_ROW row;

    l->columns = calloc((size_t)mysql_num_rows(result) + 1, sizeof *l->columns);
    if (l->columns == NULL)
        h_fail("out of memory");
    while ((row = mysql_fetch_row(result)) != NULL)
        l->columns[l->column_count++] =
            (column){strdup(row[0]),         is_in(row[1], integers),         is_in(row[1], floats),
                     is_in(row[1], members), strcasecmp(row[1], "json") == 0, address_bytes(row[1])};
    mysql_free_result(result);
}

static unsigned column_index(const layout *l, const char *name)
{
    for (unsigned i = 0; i < l->column_count; i++)
        if (strcmp(l->columns[i].name, name) == 0)
            return i;
    h_fail("compare: no column %s", name);
}

/* The primary key, else a unique one that is whole and NOT NULL, else none. */
static void load_key(layout *l, MYSQL *db, const char *schema, const char *table)
{
    MYSQL_RES *result = query_free(
        db, h_format("SELECT s.column_name, s.index_name FROM information_schema.statistics s JOIN"
                     " (SELECT index_name FROM information_schema.statistics"
                     "  WHERE table_schema = %s AND table_name = %s AND non_unique = 0 GROUP BY index_name"
                     "  HAVING SUM(nullable = 'YES' OR sub_part IS NOT NULL OR column_name IS NULL) = 0"
                     "  ORDER BY index_name <> 'PRIMARY', index_name LIMIT 1) k ON k.index_name = s.index_name"
                     " WHERE table_schema = %s AND table_name = %s ORDER BY seq_in_index",
                     schema, table, schema, table));
    MYSQL_ROW row;

    l->key = calloc((size_t)mysql_num_rows(result) + 1, sizeof *l->key);
    if (l->key == NULL)
        h_fail("out of memory");
    while ((row = mysql_fetch_row(result)) != NULL)
        l->key[l->key_count++] = column_index(l, row[0]);
    mysql_free_result(result);
}

static layout load_layout(MYSQL *db, const char *database, const char *name)
{
    char *schema = quote(database, '\''), *table = quote(name, '\'');
    layout l = {0};

    load_columns(&l, db, schema, table);
    load_key(&l, db, schema, table);
    free(schema);
    free(table);
    return l;
}

static void free_layout(layout *l)
{
    for (unsigned i = 0; i < l->column_count; i++)
        free(l->columns[i].name);
    free(l->columns);
    free(l->key);
}

/* --- the query of a table ----------------------------------------------------------------------------------------- */

/* One that is too long for CONCAT is compared as text. */
static void write_document(FILE *out, const char *name)
{
    static const char types[] = "(SELECT JSON_ARRAYAGG(JSON_TYPE(v)) FROM JSON_TABLE(%s, '$**%s'"
                                " COLUMNS (v JSON PATH '$')) t)";

    fprintf(out, "IFNULL(CONCAT(%s, JSON_TYPE(%s), IFNULL(", name, name);
    fprintf(out, types, name, ".*");
    fputs(", ''), IFNULL(", out);
    fprintf(out, types, name, "[*]");
    fprintf(out, ", '')), %s)", name);
}

static void write_column(FILE *out, const column *c)
{
    char *name = quote(c->name, '`');

    if (c->has_members)
        fprintf(out, "CONCAT(LPAD(%s | 0, 20, '0'), CAST(%s AS BINARY))", name, name);
    else if (c->address_bytes > 0)
        fprintf(out, "HEX(CAST(%s AS BINARY(%u)))", name, c->address_bytes);
    else if (c->is_document)
        write_document(out, name);
    else
        fprintf(out, c->is_float ? "%s * 1e0" : "%s", name);
    free(name);
}

/* Without the floats: cast to text, not every server prints them alike. */
static void write_digest(FILE *out, const layout *l)
{
    fputs("SHA2(CONCAT_WS(',', ''", out); /* newer servers have no SHA1 and MD5 */
    for (unsigned i = 0; i < l->column_count; i++) {
        if (l->columns[i].is_float)
            continue;
        fputs(", IFNULL(SHA2(CAST(", out);
        write_column(out, &l->columns[i]);
        fputs(" AS BINARY), 256), '-')", out);
    }
    fputs("), 256)", out);
}

static void write_columns(FILE *out, const layout *l)
{
    for (unsigned i = 0; i < l->column_count; i++) {
        fputs(", ", out);
        write_column(out, &l->columns[i]);
    }
}

static void write_order(FILE *out, const layout *l)
{
    if (l->key_count == 0) {
        fputs("1", out);
        for (unsigned i = 0; i < l->column_count; i++)
            if (l->columns[i].is_float) /* rows that differ in nothing else: in one order on both sides */
                fprintf(out, ", %u", i + 2);
    }
    for (unsigned i = 0; i < l->key_count; i++) {
        const column *c = &l->columns[l->key[i]];
        fputs(i > 0 ? ", " : "", out);
        fputs(c->is_integer || c->is_float ? "" : "CAST(", out);
        write_column(out, c);
        fputs(c->is_integer || c->is_float ? "" : " AS BINARY)", out);
    }
}

static char *select_sql(const layout *l, const char *database, const char *table)
{
    char *sql = NULL, *db_name = quote(database, '`'), *table_name = quote(table, '`');
    size_t size = 0;
    FILE *out = open_memstream(&sql, &size);

    if (out == NULL)
        h_fail("out of memory");
    fputs("SELECT ", out);
    if (l->key_count == 0)
        write_digest(out, l);
    else
        fputs("NULL", out); /* so that column i is value i + 1 in both cases */
    write_columns(out, l);
    fprintf(out, " FROM %s.%s ORDER BY ", db_name, table_name);
    write_order(out, l);
    fclose(out);
    free(db_name);
    free(table_name);
    return sql;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t common = a_len < b_len ? a_len : b_len;
    int order = memcmp(a, b, common);

    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int compare_integers(const char *a, const char *b)
{
    bool a_negative = a[0] == '-', b_negative = b[0] == '-';

    if (a_negative != b_negative)
        return a_negative ? -1 : 1;
    unsigned long long x = strtoull(a + a_negative, NULL, 10), y = strtoull(b + b_negative, NULL, 10);
    int order = (x > y) - (x < y);
    return a_negative ? -order : order;
}

static int compare_doubles(const char *a, const char *b)
{
    double x = strtod(a, NULL), y = strtod(b, NULL);

    return (x > y) - (x < y);
}

/* In the order of select_sql. */
static int compare_keys(const layout *l, const side *a, const side *b)
{
    int order = 0;

    if (l->key_count == 0)
        return compare_bytes(a->row[0], a->len[0], b->row[0], b->len[0]);
    for (unsigned i = 0; i < l->key_count && order == 0; i++) {
        const column *c = &l->columns[l->key[i]];
        unsigned at = l->key[i] + 1;
        if (c->is_integer)
            order = compare_integers(a->row[at], b->row[at]);
        else if (c->is_float)
            order = compare_doubles(a->row[at], b->row[at]);
        else
            order = compare_bytes(a->row[at], a->len[at], b->row[at], b->len[at]);
    }
    return order;
}

/* The first column in which they differ, or column_count. */
static unsigned first_difference(const layout *l, const side *a, const side *b)
{
    unsigned i = 0;

    while (i < l->column_count && (a->row[i + 1] == NULL) == (b->row[i + 1] == NULL) &&
           (a->row[i + 1] == NULL || compare_bytes(a->row[i + 1], a->len[i + 1], b->row[i + 1], b->len[i + 1]) == 0))
        i++;
    return i;
}

static void print_value(FILE *out, const char *value, size_t len)
{
    if (value == NULL) {
        fputs("NULL", out);
        return;
    }
    fputs("0x", out);
    for (size_t i = 0; i < len && i < SHOWN_BYTES; i++)
        fprintf(out, "%02x", (unsigned char)value[i]);
    if (len > SHOWN_BYTES)
        fprintf(out, "... (%zu bytes)", len);
}

static void print_key(FILE *out, const layout *l, const side *s)
{
    if (l->key_count == 0)
        fprintf(out, "row with digest %s", s->row[0]);
    for (unsigned i = 0; i < l->key_count; i++) {
        const column *c = &l->columns[l->key[i]];
        unsigned at = l->key[i] + 1;
        fprintf(out, "%s%s=", i > 0 ? "," : "", c->name);
        if (c->is_integer)
            fputs(s->row[at], out);
        else
            print_value(out, s->row[at], s->len[at]);
    }
}

static uint64_t row_bytes(const layout *l, const side *s)
{
    uint64_t bytes = 0;

    for (unsigned i = 1; i <= l->column_count; i++)
        bytes += s->len[i];
    return bytes;
}

static void report_lone_row(FILE *out, const char *table, const layout *l, const side *s, const char *where)
{
    fprintf(out, "compare: %s: ", table);
    print_key(out, l, s);
    fprintf(out, ": only on the %s\n", where);
}

static void report_value(FILE *out, const char *table, const layout *l, const side *a, const side *b, unsigned i)
{
    fprintf(out, "compare: %s: ", table);
    print_key(out, l, a);
    fprintf(out, ": column %s: source ", l->columns[i].name);
    print_value(out, a->row[i + 1], a->len[i + 1]);
    fputs(", target ", out);
    print_value(out, b->row[i + 1], b->len[i + 1]);
    fputc('\n', out);
}

/* One step of the merge of both sorted streams; true when it found a difference. */
static bool compare_step(comparison *c, const layout *l, const char *table, bool tell)
{
    side *a = &c->source, *b = &c->target;
    int order = a->row == NULL ? 1 : b->row == NULL ? -1 : compare_keys(l, a, b);
    unsigned differs = order == 0 ? first_difference(l, a, b) : 0;
    bool found = order != 0 || differs < l->column_count;

    if (found && tell && order != 0)
        report_lone_row(c->report, table, l, order < 0 ? a : b, order < 0 ? "source" : "target");
    else if (found && tell)
        report_value(c->report, table, l, a, b, differs);
    if (order <= 0) {
        c->totals.rows++;
        c->totals.bytes += row_bytes(l, a);
        fetch(a);
    }
    if (order >= 0)
        fetch(b);
    return found;
}

static void begin_side(side *s, const layout *l, const char *database, const char *table)
{
    char *sql = select_sql(l, database, table);

    s->result = query(s->db, true, sql);
    fetch(s);
    free(sql);
}

static void compare_rows(comparison *c, const layout *l, const char *db, const char *table, const char *target_db,
                         const char *target_table)
{
    char *name = h_format("%s.%s", db, table);
    uint64_t found = 0;

    begin_side(&c->source, l, db, table);
    begin_side(&c->target, l, target_db, target_table);
    while (c->source.row != NULL || c->target.row != NULL)
        found += compare_step(c, l, name, found < NAMED_PER_TABLE);
    mysql_free_result(c->source.result);
    mysql_free_result(c->target.result);
    if (found > NAMED_PER_TABLE)
        fprintf(c->report, "compare: %s: %" PRIu64 " differences in all\n", name, found);
    c->totals.differences += found;
    free(name);
}

/* --- definitions -------------------------------------------------------------------------------------------------- */

static void cut_auto_increment(char *definition)
{
    char *start = strstr(definition, " AUTO_INCREMENT=");

    if (start != NULL) {
        char *end = start + strlen(" AUTO_INCREMENT=");
        end += strspn(end, "0123456789");
        memmove(start, end, strlen(end) + 1);
    }
}

/* From its opening parenthesis on: the name may be another. Owned by the caller. */
static char *definition(MYSQL *db, const char *database, const char *table)
{
    char *db_name = quote(database, '`'), *table_name = quote(table, '`');
    MYSQL_RES *result = query_free(db, h_format("SHOW CREATE TABLE %s.%s", db_name, table_name));
    MYSQL_ROW row = mysql_fetch_row(result);
    char *text = h_format("%s", strchr(row[1], '('));

    mysql_free_result(result);
    cut_auto_increment(text);
    free(db_name);
    free(table_name);
    return text;
}

static bool same_columns(const layout *a, const layout *b)
{
    bool same = a->column_count == b->column_count;

    for (unsigned i = 0; same && i < a->column_count; i++)
        same = strcmp(a->columns[i].name, b->columns[i].name) == 0;
    return same;
}

static void compare_definitions(comparison *c, const char *db, const char *table, const char *target_db,
                                const char *target_table)
{
    char *a = definition(c->source.db, db, table), *b = definition(c->target.db, target_db, target_table);

    if (strcmp(a, b) != 0) {
        c->totals.differences++;
        fprintf(c->report, "compare: %s.%s: definitions differ:\nsource %s\ntarget %s\n", db, table, a, b);
    }
    free(a);
    free(b);
}

static void compare_table(comparison *c, const char *db, const char *table, const char *target_db,
                          const char *target_table)
{
    layout a = load_layout(c->source.db, db, table), b = load_layout(c->target.db, target_db, target_table);

    for (unsigned i = 0; i < a.column_count && i < b.column_count; i++)
        a.columns[i].is_document = a.columns[i].is_document && b.columns[i].is_document;
    c->totals.tables++;
    if (b.column_count == 0) {
        c->totals.differences++;
        fprintf(c->report, "compare: %s.%s: no table %s.%s on the target\n", db, table, target_db, target_table);
    } else if (!same_columns(&a, &b)) {
        c->totals.differences++;
        fprintf(c->report, "compare: %s.%s: the columns differ\n", db, table);
    } else {
        if (c->same_version)
            compare_definitions(c, db, table, target_db, target_table);
        compare_rows(c, &a, db, table, target_db, target_table);
    }
    free_layout(&a);
    free_layout(&b);
}

/* --- the list ----------------------------------------------------------------------------------------------------- */

/* The next item of the list that starts at *rest, owned by the caller, or NULL. */
static char *next_item(const char **rest)
{
    *rest += strspn(*rest, ", ");
    size_t len = strcspn(*rest, ",");
    if (len == 0)
        return NULL;
    char *item = h_format("%.*s", (int)len, *rest);
    *rest += len;
    return item;
}

/* What the list makes of `name`: the part behind '=', or NULL when it does not name it. Owned by the caller. */
static char *renamed(const char *list, const char *name)
{
    char *item, *found = NULL;

    while (found == NULL && (item = next_item(&list)) != NULL) {
        char *equals = strchr(item, '=');
        if (equals != NULL && strncmp(item, name, strlen(name)) == 0 && item + strlen(name) == equals)
            found = h_format("%s", equals + 1);
        free(item);
    }
    return found;
}

static bool is_left_out(const char *list, const char *name)
{
    char *item;
    bool found = false;

    while (!found && (item = next_item(&list)) != NULL) {
        found = item[0] == '!' && strcmp(item + 1, name) == 0;
        free(item);
    }
    return found;
}

/* Where table db.table is to be found on the target: "database.table", owned by the caller. */
static char *target_of(const char *list, const char *db, const char *target_db, const char *table)
{
    char *full = h_format("%s.%s", db, table);
    char *target = renamed(list, full);

    if (target == NULL)
        target = h_format("%s.%s", target_db, table);
    free(full);
    return target;
}

static MYSQL_RES *base_tables(MYSQL *db, const char *database)
{
    char *name = quote(database, '\'');
    MYSQL_RES *result = query_free(db, h_format("SELECT table_name FROM information_schema.tables WHERE table_schema ="
                                                " %s AND table_type = 'BASE TABLE' ORDER BY table_name",
                                                name));

    free(name);
    return result;
}

/* Of the same name, and not renamed: true of nearly all, and asked of each of tens of thousands. */
static bool has_same_name(comparison *c, const char *db, const char *target_db, const char *name, const char *full)
{
    char *schema = quote(db, '\''), *table = quote(name, '\''), *target = target_of(c->what, db, target_db, name);
    MYSQL_RES *result =
        query_free(c->source.db, h_format("SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND"
                                          " table_name = %s AND table_type = 'BASE TABLE'",
                                          schema, table));
    bool same = mysql_num_rows(result) > 0 && strcmp(target, full) == 0;

    mysql_free_result(result);
    free(schema);
    free(table);
    free(target);
    return same;
}

/* Does some table of the source belong at `full` on the target? */
static bool is_expected(comparison *c, const char *db, const char *target_db, const char *full)
{
    MYSQL_RES *tables = base_tables(c->source.db, db);
    MYSQL_ROW row;
    bool found = false;

    while (!found && (row = mysql_fetch_row(tables)) != NULL) {
        char *target = target_of(c->what, db, target_db, row[0]);
        found = strcmp(target, full) == 0;
        free(target);
    }
    mysql_free_result(tables);
    return found;
}

static void find_extra_tables(comparison *c, const char *db, const char *target_db)
{
    MYSQL_RES *tables = base_tables(c->target.db, target_db);
    MYSQL_ROW row;

    while ((row = mysql_fetch_row(tables)) != NULL) {
        char *full = h_format("%s.%s", target_db, row[0]);
        if (!is_left_out(c->what, full) && !has_same_name(c, db, target_db, row[0], full) &&
            !is_expected(c, db, target_db, full)) {
            c->totals.differences++;
            fprintf(c->report, "compare: %s: only on the target\n", full);
        }
        free(full);
    }
    mysql_free_result(tables);
}

static void compare_database(comparison *c, const char *db, const char *target_db)
{
    MYSQL_RES *tables = base_tables(c->source.db, db);
    MYSQL_ROW row;

    while ((row = mysql_fetch_row(tables)) != NULL) {
        char *full = h_format("%s.%s", db, row[0]);
        char *target = target_of(c->what, db, target_db, row[0]);
        char *dot = strchr(target, '.');
        *dot = '\0';
        if (!is_left_out(c->what, full))
            compare_table(c, db, row[0], target, dot + 1);
        free(full);
        free(target);
    }
    mysql_free_result(tables);
    find_extra_tables(c, db, target_db);
}

/* A target of several renamed databases would find the other's tables extra: each must have one of its own. */
static void compare_item(comparison *c, char *item)
{
    char *equals = strchr(item, '=');

    if (item[0] == '!' || strchr(item, '.') != NULL)
        return;
    if (equals != NULL)
        *equals = '\0';
    compare_database(c, item, equals != NULL ? equals + 1 : item);
}

static bool have_same_version(comparison *c)
{
    return strcmp(mysql_get_server_info(c->source.db), mysql_get_server_info(c->target.db)) == 0;
}

uint64_t h_compare_totals(const h_server *source, const h_server *target, const char *what, FILE *report,
                          h_totals *totals)
{
    comparison c = {.report = report != NULL ? report : stderr, .what = what};
    const char *rest = what;
    char *item;

    open_side(&c.source, source);
    open_side(&c.target, target);
    c.same_version = have_same_version(&c);
    while ((item = next_item(&rest)) != NULL) {
        compare_item(&c, item);
        free(item);
    }
    mysql_close(c.source.db);
    mysql_close(c.target.db);
    if (totals != NULL)
        *totals = c.totals;
    return c.totals.differences;
}

uint64_t h_compare(const h_server *source, const h_server *target, const char *what)
{
    return h_compare_totals(source, target, what, NULL, NULL);
}
