/* SPDX-License-Identifier: MIT */
/*
 * test_values.c - every column type, read both ways and written again, on real servers.
 *
 * The tables of values_tables.h are filled in database v. Their rows are read as chunks are (SELECT, text protocol)
 * and as the stream is (row events of the binlog file, cut out here by a reader of some thirty lines), and written
 * from the one into va, from the other into vb. The server's own binlog then is the judge: the row images of va and
 * vb must be v's to the bit, JSON apart, which is compared as text and types (marks).
 *
 * The loop tests (_i) run once per family.
 */
#include "harness/harness.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/target/load.h"
#include "gfreplica/copier.h"
#include "gfreplica/decoder.h"
#include "gfreplica/json_types.h"
#include "gfreplica/line.h"
#include "gfreplica/literal.h"
#include "run_suite.h"
#include "values_tables.h"

static const struct {
    const char *name;
    gf_flavor flavor;
    int bit;
} families[] = {{"mariadb", GF_FLAVOR_MARIADB, ON_MARIADB}, {"mysql", GF_FLAVOR_MYSQL, ON_MYSQL}};

enum { FAMILIES = sizeof families / sizeof families[0] };

static h_server *servers[FAMILIES]; /* Check's fixtures take no argument */

typedef struct {
    gf_value *values; /* column_count of them */
    gf_slice image;   /* as the binlog has it; none from a chunk */
    gf_slice present; /* what it was read with, like the next; in the world's arena */
    const gf_event_columns *cols;
} a_row;

typedef struct {
    const char *db;
    const gf_table *table; /* borrowed: definition in v */
    a_row *rows;           /* owned, ordered by id */
    size_t count;
} row_set;

typedef struct {
    int family;
    gf_arena arena;    /* owns what rows point to */
    gf_table **tables; /* owned */
    size_t count;
} world;

static gf_error err; /* every test is a process of its own */

/* ---- the source ---- */

static void run_all(int i, const values_statement *s, size_t count)
{
    for (size_t n = 0; n < count; n++)
        if ((s[n].families & families[i].bit) != 0)
            h_sql(servers[i], "%s", s[n].sql);
}

static void make_strings(int i, const char *cs, const char *bytes)
{
    int id = 0;

    h_sql(servers[i],
          "CREATE TABLE s_%s (id INT PRIMARY KEY, c CHAR(20) NOT NULL, v VARCHAR(40) NOT NULL, w VARCHAR(300), t TEXT,"
          " m LONGTEXT, UNIQUE k1 (c,id), UNIQUE k2 (v,id)) CHARACTER SET %s",
          cs, cs);
    for (size_t n = 0; n < sizeof values_texts / sizeof values_texts[0]; n++) {
        char *x = h_format("CONVERT(_utf8mb4 %s USING %s)", values_texts[n], cs);

        if (strncmp(values_texts[n], "REPEAT", 6) == 0) {
            free(x);
            x = h_format("CONVERT(%s USING %s)", values_texts[n], cs);
        }
        h_sql(servers[i], "INSERT INTO s_%s VALUES (%d,%s,%s,%s,%s,%s)", cs, ++id, x, x, x, x, x);
        free(x);
    }
    h_sql(servers[i],
          "INSERT INTO s_%s VALUES (%d,X'%s',X'%s',X'%s',X'%s',X'%s'),(%d,REPEAT(X'%s',2),X'%s',REPEAT(X'%s',10),"
          "REPEAT(X'%s',1000),REPEAT(X'%s',5000)),(%d,'','',NULL,NULL,NULL)",
          cs, id + 1, bytes, bytes, bytes, bytes, bytes, id + 2, bytes, bytes, bytes, bytes, bytes, id + 3);
}

static void start_servers(void)
{
    for (int i = 0; i < FAMILIES; i++) {
        servers[i] = h_server_start(families[i].name, NULL);
        h_sql(servers[i], "CREATE DATABASE v CHARACTER SET utf8mb4; CREATE DATABASE va; CREATE DATABASE vb; USE v;"
                          "SET sql_mode='STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'");
        run_all(i, values_statements, sizeof values_statements / sizeof values_statements[0]);
        h_sql(servers[i], "SET sql_mode=''"); /* or CONVERT refuses what a set lacks, instead of giving '?' */
        for (size_t n = 0; n < sizeof values_charsets / sizeof values_charsets[0]; n++)
            if ((values_charsets[n].families & families[i].bit) != 0)
                make_strings(i, values_charsets[n].charset, values_charsets[n].bytes);
        if (families[i].flavor == GF_FLAVOR_MARIADB)
            h_sql(servers[i], "SET GLOBAL mysql56_temporal_format=OFF");
        run_all(i, values_old_temporals, sizeof values_old_temporals / sizeof values_old_temporals[0]);
    }
}

static void stop_servers(void)
{
    for (int i = 0; i < FAMILIES; i++)
        h_server_free(servers[i]);
}

/* ---- connections and definitions ---- */

static MYSQL *connect_as(int i, gf_conn_use use)
{
    gf_server_config cfg = {.role = "source",
                            .host = servers[i]->host,
                            .port = servers[i]->port,
                            .user = servers[i]->user,
                            .password = servers[i]->password};
    MYSQL *db = NULL;

    ck_assert_msg(gf_server_connect(&db, &cfg, use, &err), "%s", err.text);
    return db;
}

static void open_world(world *w, int i)
{
    MYSQL *db = connect_as(i, GF_CONN_PLAIN);
    MYSQL_RES *names = gf_server_query(db, "list tables", &err, "SHOW TABLES FROM v");
    gf_filter filter = {.json_types = families[i].flavor == GF_FLAVOR_MYSQL};
    MYSQL_ROW row;

    ck_assert_msg(names != NULL, "%s", err.text);
    *w = (world){.family = i};
    w->tables = calloc(mysql_num_rows(names), sizeof(gf_table *));
    while ((row = mysql_fetch_row(names)) != NULL) {
        gf_table *t = NULL;

        ck_assert_msg(gf_catalog_load_table(&t, db, families[i].flavor, &filter, "v", row[0], "v", row[0], &err), "%s",
                      err.text);
        ck_assert_ptr_nonnull(t);
        w->tables[w->count++] = t;
    }
    mysql_free_result(names);
    gf_server_close(db);
    ck_assert_uint_gt(w->count, 40);
}

static void close_world(world *w)
{
    for (size_t i = 0; i < w->count; i++)
        gf_table_free(w->tables[i]);
    free(w->tables);
    gf_arena_free(&w->arena);
}

static a_row *add_row(row_set *set, world *w)
{
    set->rows = gf_realloc(set->rows, (set->count + 1) * sizeof *set->rows);
    set->rows[set->count] = (a_row){.values = gf_arena_alloc(&w->arena, set->table->column_count * sizeof(gf_value))};
    return &set->rows[set->count++];
}

static int64_t row_id(const a_row *r)
{
    const gf_value *id = &r->values[0];
    char text[24]; /* the bytes have no end of their own */

    if (id->kind == GF_V_INT)
        return id->i;
    snprintf(text, sizeof text, "%.*s", (int)id->bytes.len, (const char *)id->bytes.data);
    return strtoll(text, NULL, 10);
}

static int by_id(const void *a, const void *b)
{
    int64_t x = row_id(a), y = row_id(b);

    return (x > y) - (x < y);
}

/* ---- the way of the chunks ---- */

static void read_chunk(row_set *set, world *w, MYSQL *db)
{
    gf_buf sql = {0};

    gf_buf_str(&sql, "SELECT ");
    for (unsigned c = 0; c < set->table->column_count; c++) {
        gf_buf_str(&sql, c > 0 ? "," : "");
        gf_column_select(&sql, &set->table->columns[c], families[w->family].flavor);
        if (set->table->columns[c].json_types) {
            gf_buf_str(&sql, ",");
            gf_json_types_select(&sql, &set->table->columns[c]);
        }
    }
    MYSQL_RES *result =
        gf_server_query(db, "read", &err, "%s FROM %s.`%s` ORDER BY id", gf_buf_cstr(&sql), set->db, set->table->name);
    MYSQL_ROW fields;

    ck_assert_msg(result != NULL, "%s: %s", set->table->label, err.text);
    while ((fields = mysql_fetch_row(result)) != NULL) {
        unsigned long *lengths = mysql_fetch_lengths(result);
        a_row *row = add_row(set, w);

        for (unsigned c = 0, f = 0; c < set->table->column_count; c++, f++) {
            /* an end of its own, so that a read beyond it is seen */
            gf_slice own = gf_arena_copy(&w->arena, fields[f], fields[f] == NULL ? 0 : lengths[f]);

            gf_value_from_text(&row->values[c], &set->table->columns[c],
                               fields[f] == NULL ? NULL : (const char *)own.data, own.len, &w->arena);
            if (set->table->columns[c].json_types && fields[f++] != NULL)
                row->values[c].bytes = gf_json_types_mark(row->values[c].bytes, fields[f], &w->arena);
        }
    }
    mysql_free_result(result);
    gf_buf_free(&sql);
}

/* ---- the way of the stream ---- */

typedef struct {
    uint64_t id;
    row_set *set;
    const gf_event_columns *cols; /* in the world's arena */
} table_map;

typedef struct {
    world *w;
    row_set *sets;
    size_t set_count;
    table_map maps[1024];
    size_t map_count;
} file_reader;

static unsigned meta_bytes(uint8_t type)
{
    switch (type) {
    case 4:
    case 5:
    case 17:
    case 18:
    case 19:
    case 140:
    case 242:
    case 245:
    case 252:
    case 255: return 1;
    case 15:
    case 16:
    case 141:
    case 246:
    case 253:
    case 254: return 2;
    default: return 0;
    }
}

/* Types and metadata in the form that rowimage.c wants. */
static const gf_event_columns *take_columns(world *w, gf_cursor *in)
{
    gf_event_columns cols = {.count = (unsigned)gf_cursor_lenenc(in)};
    gf_slice types = gf_cursor_bytes(in, cols.count);

    gf_cursor_lenenc(in);
    cols.types = gf_arena_alloc(&w->arena, cols.count);
    cols.meta = gf_arena_alloc(&w->arena, cols.count * sizeof *cols.meta);
    for (unsigned c = 0; c < cols.count; c++) {
        unsigned size = meta_bytes(types.data[c]), meta = size == 0 ? 0 : (unsigned)gf_cursor_le(in, size);

        cols.types[c] = types.data[c];
        if (types.data[c] == 254) {
            unsigned first = meta & 0xff, second = meta >> 8;

            if (first == 247 || first == 248)
                cols.types[c] = (uint8_t)first, meta = second;
            else
                meta = second | ((first & 0x30) ^ 0x30) << 4;
        }
        cols.meta[c] = (uint16_t)meta;
    }
    return (const gf_event_columns *)gf_arena_copy(&w->arena, &cols, sizeof cols).data;
}

static void on_table_map(file_reader *f, gf_cursor in)
{
    uint64_t id = gf_cursor_le(&in, 6);

    gf_cursor_u16(&in);
    gf_slice db = gf_cursor_bytes(&in, gf_cursor_u8(&in));
    gf_cursor_u8(&in);
    gf_slice name = gf_cursor_bytes(&in, gf_cursor_u8(&in));
    gf_cursor_u8(&in);
    for (size_t i = 0; i < f->set_count; i++) {
        row_set *set = &f->sets[i];

        if (!gf_slice_eq(db, gf_slice_str(set->db)) || !gf_slice_eq(name, gf_slice_str(set->table->name)))
            continue;
        for (size_t m = 0; m < f->map_count; m++)
            if (f->maps[m].id == id)
                return;
        ck_assert_uint_lt(f->map_count, 1024);
        table_map *map = &f->maps[f->map_count++];

        *map = (table_map){id, set, take_columns(f->w, &in)};
        ck_assert_msg(gf_rowimage_check(set->table, map->cols, &err), "%s", err.text);
    }
}

static void on_write_rows(file_reader *f, gf_cursor in, bool v2)
{
    uint64_t id = gf_cursor_le(&in, 6);
    table_map *map = NULL;

    gf_cursor_u16(&in);
    if (v2)
        gf_cursor_bytes(&in, gf_cursor_u16(&in) - 2u);
    for (size_t m = 0; m < f->map_count; m++)
        if (f->maps[m].id == id)
            map = &f->maps[m];
    if (map == NULL)
        return;
    unsigned count = (unsigned)gf_cursor_lenenc(&in);
    gf_slice present = gf_cursor_bytes(&in, (count + 7) / 8);

    while (gf_cursor_left(&in) > 0) {
        const uint8_t *start = in.p;
        a_row *row = add_row(map->set, f->w);

        ck_assert_msg(gf_rowimage_read(row->values, &in, map->set->table, map->cols, present.data, &f->w->arena, &err),
                      "%s", err.text);
        row->image = gf_slice_of(start, (size_t)(in.p - start));
        row->present = present;
        row->cols = map->cols;
    }
}

static void read_events(file_reader *f, gf_slice file)
{
    gf_cursor in = gf_cursor_of(file.data, file.len);
    size_t checksum = 0;

    ck_assert(gf_cursor_u32(&in) == 0x6e6962fe);
    while (gf_cursor_left(&in) >= 19) {
        gf_cursor head = in;

        gf_cursor_u32(&head);
        uint8_t type = gf_cursor_u8(&head);
        gf_cursor_u32(&head);
        gf_slice event = gf_cursor_bytes(&in, gf_cursor_u32(&head));

        ck_assert(!in.bad);
        if (type == 15) /* the algorithm stands before this event's own checksum */
            checksum = event.data[event.len - 5] == 1 ? 4 : 0;
        gf_cursor body = gf_cursor_of(event.data + 19, event.len - 19 - checksum);

        if (type == 19)
            on_table_map(f, body);
        else if (type == 23 || type == 30)
            on_write_rows(f, body, type == 30);
    }
}

static void read_binlogs(row_set *sets, size_t count, world *w)
{
    char *base = h_scalar(servers[w->family], "SELECT @@log_bin_basename");
    static file_reader f;

    f = (file_reader){.w = w, .sets = sets, .set_count = count};
    for (int n = 1;; n++) {
        char *path = h_format("%s.%06d", base, n);
        FILE *file = fopen(path, "rb");

        free(path);
        if (file == NULL) {
            ck_assert_int_gt(n, 1);
            break;
        }
        fseek(file, 0, SEEK_END);
        size_t size = (size_t)ftell(file);
        uint8_t *data = gf_arena_alloc(&w->arena, size);

        rewind(file);
        ck_assert_uint_eq(fread(data, 1, size, file), size);
        fclose(file);
        read_events(&f, gf_slice_of(data, size));
    }
    free(base);
    for (size_t i = 0; i < count; i++)
        qsort(sets[i].rows, sets[i].count, sizeof *sets[i].rows, by_id);
}

static row_set *sets_of(world *w, const char *db)
{
    row_set *sets = gf_calloc(w->count, sizeof *sets);

    for (size_t i = 0; i < w->count; i++)
        sets[i] = (row_set){.db = db, .table = w->tables[i]};
    return sets;
}

static row_set *chunks_of(world *w, const char *db)
{
    MYSQL *reader = connect_as(w->family, GF_CONN_READER);
    row_set *sets = sets_of(w, db);

    for (size_t i = 0; i < w->count; i++)
        read_chunk(&sets[i], w, reader);
    gf_server_close(reader);
    return sets;
}

static row_set *events_of(world *w, const char *db)
{
    row_set *sets = sets_of(w, db);

    read_binlogs(sets, w->count, w);
    return sets;
}

static void free_sets(row_set *sets, const world *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(sets[i].rows);
    free(sets);
}

/* ---- 1: both ways give the same ---- */

static bool is_integer(const gf_column *col)
{
    return col->type <= GF_T_YEAR;
}

typedef void writer(gf_buf *out, const gf_column *col, const gf_value *v);

static void store(gf_buf *out, const gf_column *col, const gf_value *v)
{
    bool relaxed = false;

    gf_literal_store(out, col, v, &relaxed);
    gf_buf_printf(out, " %d", relaxed);
}

static void expect_equal_text(writer *write, const row_set *set, size_t r, unsigned c, const gf_value *x,
                              const gf_value *y)
{
    const gf_column *col = &set->table->columns[c];
    gf_buf a = {0}, b = {0};

    write(&a, col, x);
    write(&b, col, y);
    ck_assert_msg(a.len == b.len && memcmp(a.data, b.data, a.len) == 0, "%s row %zu column %s: %.200s != %.200s",
                  set->table->label, r, col->name, gf_buf_cstr(&a), gf_buf_cstr(&b));
    gf_buf_free(&a);
    gf_buf_free(&b);
}

static void expect_equal_keys(const row_set *set, const a_row *x, const a_row *y)
{
    for (unsigned k = 0; k < set->table->key_count; k++) {
        gf_buf a = {0}, b = {0};

        gf_key_encode(&a, set->table, &set->table->keys[k], x->values);
        gf_key_encode(&b, set->table, &set->table->keys[k], y->values);
        ck_assert_msg(gf_slice_eq(gf_slice_of(a.data, a.len), gf_slice_of(b.data, b.len)), "%s key %s",
                      set->table->label, set->table->keys[k].name);
        gf_buf_free(&a);
        gf_buf_free(&b);
    }
}

START_TEST(values__are_the_same_from_chunks_and_from_events)
{
    world w;

    open_world(&w, _i);
    row_set *chunks = chunks_of(&w, "v"), *events = events_of(&w, "v");

    for (size_t i = 0; i < w.count; i++) {
        row_set *a = &chunks[i], *b = &events[i];

        ck_assert_msg(a->count == b->count && a->count > 0, "%s: %zu rows, %zu in events", a->table->label, a->count,
                      b->count);
        for (size_t r = 0; r < a->count; r++) {
            for (unsigned c = 0; c < a->table->column_count; c++) {
                const gf_value *x = &a->rows[r].values[c], *y = &b->rows[r].values[c];

                ck_assert_msg(x->kind == y->kind || is_integer(&a->table->columns[c]), "%s.%s: kinds %d and %d",
                              a->table->label, a->table->columns[c].name, x->kind, y->kind);
                expect_equal_text(store, a, r, c, x, y);
                expect_equal_text(gf_literal_compare, a, r, c, x, y);
            }
            expect_equal_keys(a, &a->rows[r], &b->rows[r]);
        }
    }
    free_sets(chunks, &w);
    free_sets(events, &w);
    close_world(&w);
}
END_TEST

/* ---- recorded images, cut short ---- */

enum { CUT_MAX = 2000 }; /* longer images repeat themselves */

static void expect_refused_when_cut(const row_set *set, const a_row *row)
{
    gf_value *values = gf_malloc(set->table->column_count * sizeof *values);
    gf_arena arena = {0};

    for (size_t cut = 0; cut < row->image.len; cut++) {
        uint8_t *exact = gf_malloc(cut); /* so that ASan sees a byte too far */
        gf_cursor in = gf_cursor_of(exact, cut);

        memcpy(exact, row->image.data, cut);
        ck_assert_msg(!gf_rowimage_read(values, &in, set->table, row->cols, row->present.data, &arena, &err),
                      "%s row %lld: read though cut to %zu of %zu bytes", set->table->label, (long long)row_id(row),
                      cut, row->image.len);
        ck_assert_int_eq(err.kind, GF_ERR_DATA);
        gf_arena_reset(&arena);
        free(exact);
    }
    gf_arena_free(&arena);
    free(values);
}

START_TEST(images__are_refused_when_cut_short_anywhere)
{
    world w;

    open_world(&w, _i);
    row_set *events = events_of(&w, "v");

    for (size_t i = 0; i < w.count; i++)
        for (size_t r = 0; r < events[i].count; r++)
            if (events[i].rows[r].image.len <= CUT_MAX)
                expect_refused_when_cut(&events[i], &events[i].rows[r]);
    free_sets(events, &w);
    close_world(&w);
}
END_TEST

/* ---- 2: what is written equals what was read ---- */

static void insert_row(MYSQL *db, const row_set *set, const char *to, const a_row *row)
{
    bool relaxed = false;
    gf_buf sql = {0};

    gf_buf_printf(&sql, "INSERT INTO %s.`%s` (%s) VALUES ", to, set->table->name, set->table->write_columns);
    gf_literal_tuple(&sql, set->table, row->values, &relaxed);
    if (relaxed)
        ck_assert(gf_server_exec(db, "mode", &err, "SET sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"));
    ck_assert_msg(gf_server_run(db, "insert", gf_slice_of(sql.data, sql.len), &err), "%s: %s: %.300s",
                  set->table->label, err.text, gf_buf_cstr(&sql));
    if (relaxed)
        ck_assert(gf_server_exec(db, "mode", &err,
                                 "SET sql_mode='STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"));
    gf_buf_free(&sql);
}

/* All rows of a table as one chunk, so that those that are no lines stand between those that are. */
static gf_chunk *chunk_of(gf_range *range, const row_set *set)
{
    gf_chunk *c = gf_chunk_new(range);

    c->lines = true;
    c->rows = gf_calloc(set->count + 1, sizeof *c->rows);
    for (size_t r = 0; r < set->count; r++) {
        gf_chunk_row *row = &c->rows[c->row_count++];

        row->tuple = (uint32_t)c->text.len;
        row->sql = !gf_line_row(&c->text, set->table, set->rows[r].values);
        row->tuple_len = (uint32_t)(c->text.len - row->tuple);
    }
    return c;
}

static void load_rows(MYSQL *db, const row_set *set, const char *to)
{
    gf_table copy = *set->table;
    gf_range range = {.table = &copy};
    gf_chunk *c = chunk_of(&range, set);
    const gf_sql_options o = {.packet = SIZE_MAX, .prefix = ""};
    gf_load_feed feed = {0};
    uint64_t loaded, replaced;

    copy.target_sql = h_format("%s.`%s`", to, copy.name);
    gf_load_serve(db, &feed);
    ck_assert_msg(gf_load_rows(&loaded, &replaced, db, &feed, c, 0, c->row_count, &o, &err), "%s: %s", copy.label,
                  err.text);
    ck_assert_msg(mysql_warning_count(db) == 0, "%s: %u warnings", copy.label, mysql_warning_count(db));
    for (size_t r = 0; r < set->count; r++)
        if (c->rows[r].sql)
            insert_row(db, set, to, &set->rows[r]);
    gf_chunk_free(c);
    free(copy.target_sql);
}

static void write_copy(world *w, const row_set *sets, const char *to, bool load)
{
    MYSQL *db = connect_as(w->family, GF_CONN_WRITER);

    for (size_t i = 0; i < w->count; i++) {
        const row_set *set = &sets[i];
        bool old = strcmp(set->table->name, "old_dates") == 0;

        if (families[w->family].flavor == GF_FLAVOR_MARIADB)
            h_sql(servers[w->family], "SET GLOBAL mysql56_temporal_format=%s", old ? "OFF" : "ON");
        h_sql(servers[w->family], "CREATE TABLE %s.`%s` LIKE v.`%s`", to, set->table->name, set->table->name);
        if (load && gf_line_fits(set->table))
            load_rows(db, set, to);
        else
            for (size_t r = 0; r < set->count; r++)
                insert_row(db, set, to, &set->rows[r]);
        ck_assert(gf_server_exec(db, "commit", &err, "COMMIT"));
    }
    gf_server_close(db);
}

static bool has_json(const gf_table *t)
{
    for (unsigned c = 0; c < t->column_count; c++)
        if (t->columns[c].type == GF_T_JSON)
            return true;
    return false;
}

static void expect_equal_rows(const row_set *a, const row_set *b)
{
    ck_assert_msg(a->count == b->count, "%s: %zu rows in v, %zu in %s", a->table->label, a->count, b->count, b->db);
    for (size_t r = 0; r < a->count; r++) {
        for (unsigned c = 0; c < a->table->column_count; c++)
            expect_equal_text(store, a, r, c, &a->rows[r].values[c], &b->rows[r].values[c]);
        if (has_json(a->table))
            continue;
        ck_assert_msg(gf_slice_eq(a->rows[r].image, b->rows[r].image), "%s row %zu: image differs in %s",
                      a->table->label, r, b->db);
    }
}

START_TEST(values__arrive_to_the_bit_as_lines)
{
    world w;
    size_t as_lines = 0;

    open_world(&w, _i);
    h_sql(servers[_i], "SET GLOBAL local_infile=ON; DROP DATABASE IF EXISTS vc; CREATE DATABASE vc");
    row_set *chunks = chunks_of(&w, "v"), *events = events_of(&w, "v");

    write_copy(&w, chunks, "vc", true);
    row_set *by_load = events_of(&w, "vc");

    for (size_t i = 0; i < w.count; i++) {
        as_lines += gf_line_fits(w.tables[i]);
        expect_equal_rows(&events[i], &by_load[i]);
    }
    ck_assert_uint_gt(as_lines, 40);
    free_sets(chunks, &w);
    free_sets(events, &w);
    free_sets(by_load, &w);
    close_world(&w);
}
END_TEST

START_TEST(values__arrive_to_the_bit_on_both_ways)
{
    world w;

    open_world(&w, _i);
    row_set *chunks = chunks_of(&w, "v"), *events = events_of(&w, "v");

    h_sql(servers[_i], "DROP DATABASE va; DROP DATABASE vb; CREATE DATABASE va; CREATE DATABASE vb");
    write_copy(&w, chunks, "va", false);
    write_copy(&w, events, "vb", false);
    row_set *by_chunk = events_of(&w, "va"), *by_event = events_of(&w, "vb"), *read_back = chunks_of(&w, "va");

    for (size_t i = 0; i < w.count; i++) {
        expect_equal_rows(&events[i], &by_chunk[i]);
        expect_equal_rows(&events[i], &by_event[i]);
        for (size_t r = 0; r < chunks[i].count; r++)
            for (unsigned c = 0; c < w.tables[i]->column_count; c++)
                expect_equal_text(store, &chunks[i], r, c, &chunks[i].rows[r].values[c],
                                  &read_back[i].rows[r].values[c]);
    }
    free_sets(chunks, &w);
    free_sets(events, &w);
    free_sets(by_chunk, &w);
    free_sets(by_event, &w);
    free_sets(read_back, &w);
    close_world(&w);
}
END_TEST

/* ---- 3: rows are found by what names them ---- */

static unsigned count_where(MYSQL *db, const gf_table *t, const char *column, gf_buf *where)
{
    char *count = NULL;

    ck_assert_msg(gf_server_scalar(&count, db, "count", &err, "SELECT COUNT(*) FROM v.`%s` WHERE %s%s%s", t->name,
                                   column == NULL ? "" : column, column == NULL ? "" : "=", gf_buf_cstr(where)),
                  "%s: %s: %.300s", t->label, err.text, gf_buf_cstr(where));
    unsigned n = (unsigned)atoi(count);

    free(count);
    return n;
}

/* Rows that have the same image but for id, the four bytes behind the null bitmap. */
static unsigned count_twins(const row_set *set, const a_row *row)
{
    size_t id_at = (set->table->column_count + set->table->hidden_columns + 7) / 8, rest = id_at + 4;
    unsigned n = 0;

    for (size_t r = 0; r < set->count; r++) {
        gf_slice x = set->rows[r].image, y = row->image;

        n += x.len == y.len && memcmp(x.data, y.data, id_at) == 0 &&
             memcmp(x.data + rest, y.data + rest, x.len - rest) == 0;
    }
    return n;
}

static void expect_found_keyless(MYSQL *db, const row_set *set, const a_row *row)
{
    gf_table keyless = *set->table;
    bool *writes = gf_malloc(keyless.column_count * sizeof *writes);
    gf_buf where = {0};

    memcpy(writes, keyless.writes, keyless.column_count * sizeof *writes);
    writes[0] = false; /* id would tell them all apart */
    keyless.writes = writes;
    keyless.identity = -1;
    gf_literal_where(&where, &keyless, row->values);
    ck_assert_msg(count_where(db, set->table, NULL, &where) == count_twins(set, row),
                  "%s: %u rows instead of %u: %.300s", set->table->label, count_where(db, set->table, NULL, &where),
                  count_twins(set, row), gf_buf_cstr(&where));
    gf_buf_free(&where);
    free(writes);
}

static bool can_be_identity(const gf_key *key)
{
    return !key->nullable && !key->functional && !key->hashed;
}

static void expect_found_by_keys(MYSQL *db, const row_set *set, const a_row *row)
{
    gf_table copy = *set->table;

    for (unsigned k = 0; k < copy.key_count; k++) {
        const gf_key *key = &copy.keys[k];
        gf_buf where = {0};

        if (!can_be_identity(key))
            continue;
        copy.identity = (int)k;
        gf_literal_where(&where, &copy, row->values);
        const char *column = key->part_count == 1 ? copy.columns[key->parts[0].column].name : NULL;

        ck_assert_msg(count_where(db, &copy, column, &where) == 1, "%s key %s: %s", copy.label, key->name,
                      gf_buf_cstr(&where));
        gf_buf_free(&where);
    }
}

START_TEST(rows__are_found_by_key_and_by_all_their_bytes)
{
    world w;

    open_world(&w, _i);
    row_set *events = events_of(&w, "v");
    MYSQL *db = connect_as(_i, GF_CONN_WRITER);

    for (size_t i = 0; i < w.count; i++) {
        for (size_t r = 0; r < events[i].count; r++) {
            expect_found_by_keys(db, &events[i], &events[i].rows[r]);
            expect_found_keyless(db, &events[i], &events[i].rows[r]);
        }
    }
    gf_server_close(db);
    free_sets(events, &w);
    close_world(&w);
}
END_TEST

/* ---- 4: places in key order ---- */

static void expect_place(MYSQL *db, const gf_table *t, gf_slice key, unsigned upto, unsigned after)
{
    gf_buf where = {0};

    ck_assert_msg(gf_literal_upto(&where, t, key, &err), "%s", err.text);
    ck_assert_msg(count_where(db, t, NULL, &where) == upto, "%s: not %u: %s", t->label, upto, gf_buf_cstr(&where));
    gf_buf_reset(&where);
    ck_assert_msg(gf_literal_after(&where, t, key, &err), "%s", err.text);
    ck_assert_msg(count_where(db, t, NULL, &where) == after, "%s: not %u: %s", t->label, after, gf_buf_cstr(&where));
    gf_buf_free(&where);
}

static void expect_order(MYSQL *db, const gf_table *t, const row_set *set)
{
    gf_buf order = {0};

    gf_literal_order(&order, t);
    MYSQL_RES *ids =
        gf_server_query(db, "order", &err, "SELECT id FROM v.`%s` ORDER BY %s", t->name, gf_buf_cstr(&order));
    unsigned place = 0;
    MYSQL_ROW row;

    ck_assert_msg(ids != NULL, "%s", err.text);
    while ((row = mysql_fetch_row(ids)) != NULL) {
        for (size_t r = 0; r < set->count; r++) {
            gf_buf key = {0};

            if (row_id(&set->rows[r]) != atoll(row[0]))
                continue;
            gf_key_encode(&key, t, &t->keys[t->identity], set->rows[r].values);
            place++;
            expect_place(db, t, gf_slice_of(key.data, key.len), place, (unsigned)set->count - place);
            gf_buf_free(&key);
        }
    }
    mysql_free_result(ids);
    gf_buf_free(&order);
}

START_TEST(places__split_the_key_order_where_the_server_does)
{
    world w;

    open_world(&w, _i);
    row_set *chunks = chunks_of(&w, "v");
    MYSQL *db = connect_as(_i, GF_CONN_READER);

    for (size_t i = 0; i < w.count; i++) {
        gf_table copy = *w.tables[i];

        for (unsigned k = 0; k < copy.key_count; k++) {
            copy.identity = (int)k;
            if (can_be_identity(&copy.keys[k]))
                expect_order(db, &copy, &chunks[i]);
        }
    }
    gf_server_close(db);
    free_sets(chunks, &w);
    close_world(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("values");
    TCase *tcase = tcase_create("both families");

    tcase_add_unchecked_fixture(tcase, start_servers, stop_servers);
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, values__are_the_same_from_chunks_and_from_events, 0, FAMILIES);
    tcase_add_loop_test(tcase, images__are_refused_when_cut_short_anywhere, 0, FAMILIES);
    tcase_add_loop_test(tcase, values__arrive_to_the_bit_on_both_ways, 0, FAMILIES);
    tcase_add_loop_test(tcase, values__arrive_to_the_bit_as_lines, 0, FAMILIES);
    tcase_add_loop_test(tcase, rows__are_found_by_key_and_by_all_their_bytes, 0, FAMILIES);
    tcase_add_loop_test(tcase, places__split_the_key_order_where_the_server_does, 0, FAMILIES);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
