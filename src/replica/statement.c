/* SPDX-License-Identifier: MIT */
/*
 * statement.c - what a logged statement is, and which tables it names as its objects.
 *
 * Not a parser: it reads the verb and the places where an object's name stands. Where those places depend on more of
 * the grammar than we follow (the table references of UPDATE and DELETE) it takes a name too many rather than one too
 * few: a name too many stops a run that could have gone on, one too few would lose a change. What it does not
 * recognise is UNKNOWN, and so are names that it can't compare with ours (bytes outside ASCII in a client character
 * set other than utf8).
 */
#include "statement.h"

#include "lexer.h"

typedef struct {
    gf_lexer lx;
    gf_token tok; /* the one to be looked at */
    gf_arena *arena;
    const char *db;
    gf_statement *out;
    gf_stmt_object *objects; /* in the arena */
    size_t cap;
    bool broken, foreign_bytes;
} scanner;

static const unsigned UTF8MB4_GENERAL_CI = 45;

/* ---- tokens ---- */

static void advance(scanner *s)
{
    s->tok = gf_lexer_next(&s->lx);
    s->broken = s->broken || s->tok.broken;
}

static bool is(const scanner *s, const char *word)
{
    return gf_token_is(&s->tok, word);
}

static bool accept(scanner *s, const char *word)
{
    if (!is(s, word))
        return false;
    advance(s);
    return true;
}

static bool accept_sign(scanner *s, char c)
{
    if (!gf_token_sign(&s->tok, c))
        return false;
    advance(s);
    return true;
}

static bool is_one_of(const scanner *s, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (is(s, *words))
            return true;
    }
    return false;
}

static void skip_words(scanner *s, const char *const *words)
{
    while (is_one_of(s, words))
        advance(s);
}

static bool at_end(const scanner *s)
{
    return s->tok.kind == GF_TOK_END;
}

/* Onwards to a word outside of parentheses; false when there is none. */
static bool seek(scanner *s, const char *const *words)
{
    unsigned depth = 0;

    for (; !at_end(s); advance(s)) {
        if (gf_token_sign(&s->tok, '('))
            depth++;
        else if (gf_token_sign(&s->tok, ')') && depth > 0)
            depth--;
        else if (depth == 0 && is_one_of(s, words))
            return true;
    }
    return false;
}

static void if_exists(scanner *s)
{
    if (!accept(s, "IF"))
        return;
    accept(s, "NOT");
    accept(s, "EXISTS");
}

/* ---- objects ---- */

static bool is_name(const scanner *s)
{
    return s->tok.kind == GF_TOK_WORD || s->tok.kind == GF_TOK_QUOTED;
}

/* Names in these client character sets are the bytes that the catalog has: binary, utf8mb3, utf8mb4. */
static bool is_utf8(unsigned collation)
{
    static const struct {
        uint16_t first, last;
    } ids[] = {
        {0, 0}, /* not told */
        {33, 33},     {45, 46},     {63, 63},     {76, 76},     {83, 83},
        {192, 215},   {223, 247},   {255, 323},   {576, 578},   {608, 610},   /* MariaDB */
        {1057, 1057}, {1069, 1070}, {1107, 1107}, {1216, 1239}, {1247, 1271}, /* its NO PAD ones */
        {2048, 2559},                                                         /* uca1400 */
    };

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        if (collation >= ids[i].first && collation <= ids[i].last)
            return true;
    }
    return false;
}

/* The name at hand, with doubled quotes made single. */
static gf_slice take_name(scanner *s)
{
    gf_slice from = s->tok.text;
    uint8_t *to = gf_arena_alloc(s->arena, from.len + 1), quote = s->tok.quote;
    size_t len = 0;

    for (size_t i = 0; i < from.len; i++) {
        to[len++] = from.data[i];
        s->foreign_bytes = s->foreign_bytes || from.data[i] >= 0x80;
        if (s->tok.kind == GF_TOK_QUOTED && from.data[i] == quote)
            i++;
    }
    to[len] = '\0';
    advance(s);
    return gf_slice_of(to, len);
}

static void add_object(scanner *s, gf_slice db, gf_slice table)
{
    if (s->out->object_count == s->cap) {
        gf_stmt_object *larger = gf_arena_alloc(s->arena, (2 * s->cap + 4) * sizeof *larger);

        if (s->cap > 0)
            memcpy(larger, s->objects, s->cap * sizeof *larger);
        s->objects = larger;
        s->cap = 2 * s->cap + 4;
    }
    s->objects[s->out->object_count++] =
        (gf_stmt_object){(const char *)db.data, db.len, (const char *)table.data, table.len};
    s->out->objects = s->objects;
}

/* [db.]table; false when no name stands here. */
static bool table_name(scanner *s)
{
    gf_slice name, db = gf_slice_str(s->db);

    if (!is_name(s))
        return false;
    name = take_name(s);
    if (accept_sign(s, '.')) {
        if (!is_name(s))
            return false;
        db = name;
        name = take_name(s);
    }
    add_object(s, db, name);
    return true;
}

static bool table_list(scanner *s)
{
    do {
        if (!table_name(s))
            return false;
        accept_sign(s, '.'); /* DELETE's old form t.* */
        accept_sign(s, '*');
    } while (accept_sign(s, ','));
    return true;
}

static const gf_slice NO_TABLE = {(const uint8_t *)"", 0};

static bool database_name(scanner *s)
{
    if (!is_name(s))
        return false;
    add_object(s, take_name(s), NO_TABLE);
    return true;
}

/* ---- definitions: each gets the scanner behind the object's kind, and returns false for what it can't read ---- */

/* [(] LIKE t: not an object, for nothing happens to it. */
static bool create_like(scanner *s)
{
    size_t count = s->out->object_count;

    if (!table_name(s))
        return false;
    s->out->like = &s->objects[count];
    s->out->object_count = count;
    return true;
}

static bool create_table(scanner *s)
{
    if_exists(s);
    if (!table_name(s))
        return false;
    accept_sign(s, '(');
    return !accept(s, "LIKE") || create_like(s);
}

static bool index_on_table(scanner *s)
{
    static const char *const on[] = {"ON", NULL};

    if (!seek(s, on))
        return false;
    advance(s);
    return table_name(s);
}

static bool named_database(scanner *s)
{
    if_exists(s);
    return database_name(s);
}

static bool alter_database(scanner *s)
{
    static const char *const options[] = {"DEFAULT", "CHARACTER", "CHARSET", "COLLATE", "ENCRYPTION",
                                          "READ",    "COMMENT",   "UPGRADE", NULL};

    if (!is_one_of(s, options))
        return database_name(s);
    add_object(s, gf_slice_str(s->db), NO_TABLE);
    return true;
}

/* Other tables that an ALTER TABLE names as its objects: RENAME [TO] t, EXCHANGE PARTITION p WITH TABLE t,
   CONVERT PARTITION p TO TABLE t, CONVERT TABLE t TO PARTITION. */
static bool alter_clause(scanner *s)
{
    static const char *const to[] = {"TO", "AS", NULL};
    static const char *const parts[] = {"COLUMN", "INDEX", "KEY", NULL};
    static const char *const moved[] = {"PARTITION", "TABLE", NULL};
    static const char *const table[] = {"TABLE", NULL};

    if (accept(s, "RENAME")) {
        if (is_one_of(s, parts))
            return true;
        skip_words(s, to);
        accept_sign(s, '=');
        return table_name(s);
    }
    advance(s);                                  /* EXCHANGE, CONVERT */
    if (!is_one_of(s, moved) || !seek(s, table)) /* CONVERT TO CHARACTER SET, or a column of that name */
        return true;
    advance(s);
    return table_name(s);
}

static bool alter_table(scanner *s)
{
    static const char *const clauses[] = {"RENAME", "EXCHANGE", "CONVERT", NULL};

    if_exists(s);
    if (!table_name(s))
        return false;
    while (seek(s, clauses)) {
        if (!alter_clause(s))
            return false;
    }
    return true;
}

static bool drop_tables(scanner *s)
{
    if_exists(s);
    return table_list(s);
}

static bool rename_tables(scanner *s)
{
    static const char *const waits[] = {"WAIT", "NOWAIT", NULL};

    if_exists(s);
    do {
        if (!table_name(s))
            return false;
        if (is_one_of(s, waits)) {
            bool seconds = is(s, "WAIT");

            advance(s);
            if (seconds)
                advance(s);
        }
        if (!accept(s, "TO") || !table_name(s))
            return false;
    } while (accept_sign(s, ','));
    return true;
}

/* What CREATE, ALTER, DROP and RENAME are about. No function: nothing that we apply. */
static const struct definition {
    const char *verb, *object, *name;
    bool (*scan)(scanner *s);
} definitions[] = {
    {"CREATE", "TABLE", "CREATE TABLE", create_table},
    {"CREATE", "INDEX", "CREATE INDEX", index_on_table},
    {"CREATE", "DATABASE", "CREATE DATABASE", named_database},
    {"CREATE", "SCHEMA", "CREATE DATABASE", named_database},
    {"ALTER", "TABLE", "ALTER TABLE", alter_table},
    {"ALTER", "DATABASE", "ALTER DATABASE", alter_database},
    {"ALTER", "SCHEMA", "ALTER DATABASE", alter_database},
    {"DROP", "TABLE", "DROP TABLE", drop_tables},
    {"DROP", "TABLES", "DROP TABLE", drop_tables},
    {"DROP", "INDEX", "DROP INDEX", index_on_table},
    {"DROP", "DATABASE", "DROP DATABASE", named_database},
    {"DROP", "SCHEMA", "DROP DATABASE", named_database},
    {"RENAME", "TABLE", "RENAME TABLE", rename_tables},
    {"RENAME", "TABLES", "RENAME TABLE", rename_tables},
    {NULL, "VIEW", "VIEW", NULL},
    {NULL, "PROCEDURE", "PROCEDURE", NULL},
    {NULL, "FUNCTION", "FUNCTION", NULL},
    {NULL, "TRIGGER", "TRIGGER", NULL},
    {NULL, "EVENT", "EVENT", NULL},
    {NULL, "PACKAGE", "PACKAGE", NULL},
    {NULL, "SEQUENCE", "SEQUENCE", NULL},
    {NULL, "USER", "USER", NULL},
    {NULL, "ROLE", "ROLE", NULL},
    {NULL, "SERVER", "SERVER", NULL},
    {NULL, "TABLESPACE", "TABLESPACE", NULL},
    {NULL, "LOGFILE", "LOGFILE GROUP", NULL},
    {NULL, "RESOURCE", "RESOURCE GROUP", NULL},
    {NULL, "REFERENCE", "SPATIAL REFERENCE SYSTEM", NULL},
    {NULL, "INSTANCE", "INSTANCE", NULL},
    {NULL, "PREPARE", "PREPARE", NULL},
    {NULL, "LIBRARY", "LIBRARY", NULL},
};

static const struct definition *definition_at(const scanner *s, const char *verb)
{
    for (size_t i = 0; i < sizeof definitions / sizeof definitions[0]; i++) {
        if (is(s, definitions[i].object) && (definitions[i].verb == NULL || strcmp(definitions[i].verb, verb) == 0))
            return &definitions[i];
    }
    return NULL;
}

/* A query in it makes it a change in statement format: under row format CREATE TABLE ... SELECT is logged as a
   definition and rows. No name or expression that may stand there has the reserved word unquoted. */
static bool has_query(const scanner *s)
{
    gf_lexer lx = s->lx;
    bool values = false;

    for (gf_token t = gf_lexer_next(&lx); t.kind != GF_TOK_END; t = gf_lexer_next(&lx)) {
        if (gf_token_is(&t, "SELECT") || (values && gf_token_is(&t, "ROW")))
            return true;
        values = gf_token_is(&t, "VALUES");
    }
    return false;
}

/* Between verb and object stand modifiers (OR REPLACE, UNIQUE, DEFINER=x, ...): the object is the first known word. */
static gf_stmt_kind scan_definition(scanner *s, const char *verb)
{
    const struct definition *d = NULL;
    bool temporary = false;

    for (; !at_end(s) && (d = definition_at(s, verb)) == NULL; advance(s))
        temporary = temporary || is(s, "TEMPORARY");
    if (d == NULL)
        return GF_STMT_UNKNOWN;
    s->out->verb = d->name;
    if (d->scan == create_table && has_query(s)) {
        advance(s);
        return d->scan(s) ? GF_STMT_DML : GF_STMT_UNKNOWN;
    }
    if (d->scan == NULL || temporary) /* temporary tables never leave their session under row format */
        return GF_STMT_OTHER;
    advance(s);
    return d->scan(s) ? GF_STMT_DDL : GF_STMT_UNKNOWN;
}

static gf_stmt_kind scan_truncate(scanner *s, const char *verb)
{
    (void)verb;
    s->out->verb = "TRUNCATE TABLE";
    accept(s, "TABLE");
    return table_name(s) ? GF_STMT_DDL : GF_STMT_UNKNOWN;
}

/* ---- changes in statement format ---- */

static gf_stmt_kind scan_insert(scanner *s, const char *verb)
{
    static const char *const modifiers[] = {"LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO", NULL};

    s->out->verb = verb;
    skip_words(s, modifiers);
    return table_name(s) ? GF_STMT_DML : GF_STMT_UNKNOWN;
}

/* Every name where a table reference may stand, up to SET or WHERE. */
static gf_stmt_kind scan_references(scanner *s, const char *verb)
{
    static const char *const modifiers[] = {"LOW_PRIORITY", "QUICK", "IGNORE", "LATERAL", NULL};
    static const char *const stops[] = {"SET", "WHERE", "ORDER", "LIMIT", "RETURNING", NULL};
    static const char *const expects[] = {"FROM", "JOIN", "STRAIGHT_JOIN", "USING", NULL};
    bool expecting = true;

    s->out->verb = verb;
    skip_words(s, modifiers);
    while (!at_end(s) && !is_one_of(s, stops)) {
        if (is_one_of(s, expects) || gf_token_sign(&s->tok, ',') || gf_token_sign(&s->tok, '(')) {
            expecting = true;
            advance(s);
        } else if (expecting && is_name(s) && !is(s, "SELECT") && !is(s, "LATERAL")) {
            if (!table_name(s))
                return GF_STMT_UNKNOWN;
            expecting = false;
        } else {
            expecting = expecting && is(s, "LATERAL");
            advance(s);
        }
    }
    return s->out->object_count > 0 ? GF_STMT_DML : GF_STMT_UNKNOWN;
}

static gf_stmt_kind scan_load(scanner *s, const char *verb)
{
    static const char *const into[] = {"INTO", NULL};

    (void)verb;
    s->out->verb = "LOAD DATA";
    if (is(s, "INDEX"))
        return GF_STMT_OTHER;
    do {
        if (!seek(s, into))
            return GF_STMT_UNKNOWN;
        advance(s);
    } while (!accept(s, "TABLE"));
    return table_name(s) ? GF_STMT_DML : GF_STMT_UNKNOWN;
}

static gf_stmt_kind scan_verb(scanner *s);

static gf_stmt_kind scan_with(scanner *s, const char *verb)
{
    static const char *const verbs[] = {"UPDATE", "DELETE", "INSERT", "REPLACE", NULL};

    (void)verb;
    return seek(s, verbs) ? scan_verb(s) : GF_STMT_UNKNOWN;
}

/* SET STATEMENT variable=value FOR the real statement; any other SET changes no data. */
static gf_stmt_kind scan_set(scanner *s, const char *verb)
{
    static const char *const after[] = {"FOR", NULL};

    s->out->verb = verb;
    if (!accept(s, "STATEMENT"))
        return GF_STMT_OTHER;
    if (!seek(s, after))
        return GF_STMT_UNKNOWN;
    advance(s);
    return scan_verb(s);
}

/* ANALYZE TABLE; MariaDB's ANALYZE [FORMAT=JSON] in front of a change carries it out. */
static gf_stmt_kind scan_analyze(scanner *s, const char *verb)
{
    static const char *const tables[] = {"TABLE", "TABLES", "LOCAL", "NO_WRITE_TO_BINLOG", NULL};
    static const char *const changes[] = {"UPDATE", "DELETE", "INSERT", "REPLACE", "WITH", NULL};

    s->out->verb = verb;
    if (is_one_of(s, tables))
        return GF_STMT_OTHER;
    if (accept(s, "FORMAT")) {
        accept_sign(s, '=');
        advance(s);
    }
    return is_one_of(s, changes) ? scan_verb(s) : GF_STMT_UNKNOWN;
}

static gf_stmt_kind scan_other(scanner *s, const char *verb)
{
    s->out->verb = verb;
    return GF_STMT_OTHER;
}

static const struct {
    const char *verb;
    gf_stmt_kind (*scan)(scanner *s, const char *verb);
} verbs[] = {
    {"CREATE", scan_definition}, {"ALTER", scan_definition}, {"DROP", scan_definition}, {"RENAME", scan_definition},
    {"TRUNCATE", scan_truncate}, {"INSERT", scan_insert},    {"REPLACE", scan_insert},  {"UPDATE", scan_references},
    {"DELETE", scan_references}, {"LOAD", scan_load},        {"WITH", scan_with},       {"SET", scan_set},
    {"GRANT", scan_other},       {"REVOKE", scan_other},     {"FLUSH", scan_other},     {"ANALYZE", scan_analyze},
    {"OPTIMIZE", scan_other},    {"REPAIR", scan_other},     {"CHECK", scan_other},     {"CHECKSUM", scan_other},
    {"INSTALL", scan_other},     {"UNINSTALL", scan_other},  {"CHANGE", scan_other},    {"RESET", scan_other},
    {"PURGE", scan_other},       {"START", scan_other},      {"STOP", scan_other},      {"CACHE", scan_other},
    {"USE", scan_other},         {"KILL", scan_other},       {"SHOW", scan_other},      {"BEGIN", scan_other},
    {"COMMIT", scan_other},      {"ROLLBACK", scan_other},   {"SAVEPOINT", scan_other}, {"RELEASE", scan_other},
    {"XA", scan_other},          {"LOCK", scan_other},       {"UNLOCK", scan_other},
};

static gf_stmt_kind scan_verb(scanner *s)
{
    if (at_end(s)) { /* nothing but a comment */
        s->out->verb = "";
        return GF_STMT_OTHER;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (accept(s, verbs[i].verb))
            return verbs[i].scan(s, verbs[i].verb);
    }
    return GF_STMT_UNKNOWN;
}

void gf_statement_scan_as(gf_statement *out, gf_arena *arena, gf_slice sql, const char *db, uint64_t sql_mode,
                          unsigned charset_client)
{
    scanner s = {.arena = arena, .db = db, .out = out};

    *out = (gf_statement){
        .verb = "statement", .db = db, .sql = sql, .sql_mode = sql_mode, .charset_client = charset_client};
    gf_lexer_init(&s.lx, sql, sql_mode, charset_client);
    advance(&s);
    out->kind = scan_verb(&s);
    if (s.broken || (s.foreign_bytes && !is_utf8(charset_client)))
        out->kind = GF_STMT_UNKNOWN;
}

void gf_statement_scan(gf_statement *out, gf_arena *arena, gf_slice sql, const char *db, uint64_t sql_mode)
{
    gf_statement_scan_as(out, arena, sql, db, sql_mode, UTF8MB4_GENERAL_CI);
}
