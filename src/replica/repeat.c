/* SPDX-License-Identifier: MIT */
/*
 * repeat.c - would another server do exactly the same with this definition statement?
 *
 * Not a parser: it looks for words that make the outcome depend on what the other server does not share: the order of
 * rows on disk, files, functions whose value is drawn anew. What it does not know of it lets pass, because the caller
 * compares the tables before and the definitions after; what it can't tell apart (an index that is named like a
 * function) it refuses.
 */
#include <strings.h>

#include "gfreplica/decoder.h"
#include "lexer.h"

typedef struct {
    const gf_statement *s;
    gf_lexer lx;
    gf_token before, tok, next; /* the one to be looked at, with its neighbours */
    unsigned depth;             /* of parentheses */
    gf_ddl *out;
    /* ALTER's clause at hand */
    gf_token verb; /* its first word */
    gf_token name; /* the first name behind it */
    unsigned moved_columns, places;
    bool adds, drops;
} reader;

static void refuse(reader *r, const char *why)
{
    if (r->out->refused == NULL)
        r->out->refused = why;
}

static void advance(reader *r)
{
    r->before = r->tok;
    r->tok = r->next;
    r->next = gf_lexer_next(&r->lx);
    if (r->tok.broken)
        refuse(r, "it could not be read to its end");
}

static bool is(const reader *r, const char *word)
{
    return gf_token_is(&r->tok, word);
}

static bool is_pair(const reader *r, const char *first, const char *second)
{
    return gf_token_is(&r->tok, first) && gf_token_is(&r->next, second);
}

static bool is_one_of(const gf_token *t, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (gf_token_is(t, *words))
            return true;
    }
    return false;
}

/* ---- what no text may hold ---- */

static const struct {
    const char *first, *second, *why;
} refused_pairs[] = {
    {"IGNORE", "TABLE", "it leaves out rows by their order on disk"},
    {"EXCHANGE", "PARTITION", "it moves rows between tables"},
    {"CONVERT", "PARTITION", "it moves rows between tables"},
    {"CONVERT", "TABLE", "it moves rows between tables"},
    {"DISCARD", "TABLESPACE", "it takes files that the target does not have"},
    {"IMPORT", "TABLESPACE", "it takes files that the target does not have"},
    {"DISCARD", "PARTITION", "it takes files that the target does not have"},
    {"IMPORT", "PARTITION", "it takes files that the target does not have"},
    {"SYSTEM", "VERSIONING", "system versioning keeps rows by the time of their change"},
    {"PERIOD", "FOR", "it makes a period, which is not supported"},
    {"NEXT", "VALUE", "it takes values from a sequence"},
};

static void look_for_pairs(reader *r)
{
    for (size_t i = 0; i < sizeof refused_pairs / sizeof refused_pairs[0]; i++) {
        if (is_pair(r, refused_pairs[i].first, refused_pairs[i].second))
            refuse(r, refused_pairs[i].why);
    }
}

static void look_at_engine(reader *r)
{
    static const char *const columns[] = {"ADD", "COLUMN", "CHANGE", "MODIFY", "DROP", "AFTER", "TO", NULL};
    gf_lexer ahead = r->lx;
    gf_token name = r->next;

    if (!is(r, "ENGINE") || r->depth > 0 || is_one_of(&r->before, columns)) /* a partition's is its table's */
        return;
    if (gf_token_sign(&name, '='))
        name = gf_lexer_next(&ahead);
    r->out->names_engine = true;
    if (name.text.len != 6 || strncasecmp((const char *)name.text.data, "InnoDB", 6) != 0)
        refuse(r, "it names an engine other than InnoDB");
}

static void look_at_references(reader *r)
{
    r->out->references = r->out->references || is(r, "REFERENCES");
    if (r->out->references && (is(r, "CASCADE") || is_pair(r, "DELETE", "SET") || is_pair(r, "UPDATE", "SET")))
        r->out->acts = true;
}

/* ---- ALTER TABLE ---- */

/* Behind some words stands a name, whatever it looks like; so it does behind a dot. */
static bool calls(const reader *r, const char *const *functions)
{
    static const char *const names[] = {"KEY",    "INDEX",      "UNIQUE",  "FULLTEXT",   "SPATIAL",
                                        "COLUMN", "CONSTRAINT", "FOREIGN", "REFERENCES", NULL};

    return is_one_of(&r->tok, functions) && gf_token_sign(&r->next, '(') && !is_one_of(&r->before, names) &&
           !gf_token_sign(&r->before, '.');
}

/* Their values are drawn anew, or belong to one server or session. */
static bool is_drawn(const reader *r)
{
    static const char *const functions[] = {
        "RAND",           "UUID",         "UUID_SHORT",       "UUID_V4",
        "UUID_V7",        "SYS_GUID",     "RANDOM_BYTES",     "SYSDATE",
        "CONNECTION_ID",  "USER",         "SESSION_USER",     "SYSTEM_USER",
        "CURRENT_USER",   "CURRENT_ROLE", "DATABASE",         "SCHEMA",
        "VERSION",        "FOUND_ROWS",   "ROW_COUNT",        "SLEEP",
        "LAST_INSERT_ID", "BENCHMARK",    "LOAD_FILE",        "NEXTVAL",
        "LASTVAL",        "SETVAL",       "GET_LOCK",         "RELEASE_LOCK",
        "IS_FREE_LOCK",   "IS_USED_LOCK", "PS_THREAD_ID",     "PS_CURRENT_THREAD_ID",
        "ICU_VERSION",    "TRX_ID",       "STATEMENT_DIGEST", NULL};
    static const char *const without[] = {"CURRENT_USER", "CURRENT_ROLE", NULL};
    static const char *const members[] = {"NEXTVAL", "CURRVAL", NULL}; /* Oracle's way to ask a sequence */

    if (gf_token_sign(&r->before, '.'))
        return is_one_of(&r->tok, members);
    return calls(r, functions) || is_one_of(&r->tok, without);
}

/* Their values depend on variables or tables of the server that no event tells of: block_encryption_mode, the time zone
   tables, MariaDB's default_regex_flags. */
static bool is_tuned(const reader *r)
{
    static const char *const functions[] = {
        "AES_ENCRYPT", "AES_DECRYPT",  "DES_ENCRYPT", "DES_DECRYPT",    "ENCRYPT",       "PASSWORD",   "OLD_PASSWORD",
        "COMPRESS",    "REGEXP_INSTR", "REGEXP_LIKE", "REGEXP_REPLACE", "REGEXP_SUBSTR", "CONVERT_TZ", NULL};
    static const char *const operators[] = {"REGEXP", "RLIKE", NULL};

    return calls(r, functions) || (r->depth > 0 && is_one_of(&r->tok, operators));
}

/* default_week_format becomes part of the definition. */
static void look_at_week(reader *r)
{
    if (calls(r, (const char *const[]){"WEEK", NULL}))
        refuse(r, "it calls WEEK, whose mode may be a variable's that is not logged (default_week_format)");
}

static bool is_name(const gf_token *t)
{
    return t->kind == GF_TOK_WORD || t->kind == GF_TOK_QUOTED;
}

static void begin_clause(reader *r)
{
    r->verb = r->tok;
    r->name = (gf_token){.kind = GF_TOK_END};
    if (is(r, "CHANGE") || is_pair(r, "RENAME", "COLUMN"))
        r->moved_columns++;
}

static void look_for_name(reader *r)
{
    static const char *const noise[] = {"COLUMN", "IF", "EXISTS", NULL};

    if (r->name.kind == GF_TOK_END && is_name(&r->tok) && !is_one_of(&r->tok, noise))
        r->name = r->tok;
}

static bool is_number(const gf_token *t)
{
    return t->kind == GF_TOK_WORD && t->text.data[0] >= '0' && t->text.data[0] <= '9';
}

/* A column's property, not the table option AUTO_INCREMENT [=] n. */
static void look_at_counter(reader *r)
{
    if (is(r, "SERIAL") && !is_name(&r->next)) /* a type, and not a column of that name */
        refuse(r, "it numbers rows by their order on disk");
    if (!is(r, "AUTO_INCREMENT") || gf_token_sign(&r->next, '=') || is_number(&r->next))
        return;
    if (gf_token_is(&r->verb, "MODIFY") || gf_token_is(&r->verb, "CHANGE"))
        r->out->counter = r->name.text;
    else
        refuse(r, "it numbers rows by their order on disk");
}

/* "utf8", "utf8_bin", quoted or not. */
static bool names_utf8(const gf_token *t)
{
    gf_slice text = t->text;

    if (t->kind != GF_TOK_WORD && t->kind != GF_TOK_QUOTED && t->kind != GF_TOK_STRING)
        return false;
    if (text.len > 1 && (text.data[0] == '\'' || text.data[0] == '"')) {
        text.data++;
        text.len -= 2;
    }
    return text.len >= 4 && strncasecmp((const char *)text.data, "utf8", 4) == 0 &&
           (text.len == 4 || text.data[4] == '_');
}

static void look_at_types(reader *r)
{
    static const char *const changes[] = {"MODIFY", "CHANGE", "CONVERT", NULL};
    static const char *const dates[] = {"DATE", "DATETIME", "TIMESTAMP", NULL};

    r->out->retypes = r->out->retypes || is_one_of(&r->tok, changes);
    r->out->utf8 = r->out->utf8 || names_utf8(&r->tok);
    r->out->dates = r->out->dates || is_one_of(&r->tok, dates);
}

static void look_at_clause(reader *r)
{
    look_for_name(r);
    look_at_counter(r);
    if (is(r, "FIRST") || is(r, "AFTER"))
        r->places++;
    if (is_drawn(r))
        refuse(r, "it calls a function whose value the target would draw anew");
    if (is_tuned(r))
        refuse(r, "it calls a function whose value depends on what is not logged");
    if (gf_token_sign(&r->tok, '/') && r->depth > 0)
        refuse(r, "it divides, with as many digits as a variable says that is not logged (div_precision_increment)");
    if (gf_token_sign(&r->tok, '@'))
        refuse(r, "it reads a variable");
}

/* Two columns that swap names and places leave a definition that looks as before, and so does one that takes the name
   of a dropped one and leaves its own to a new one: after a crash nobody could tell whether it was done. */
static void end_of_alter(reader *r)
{
    if (r->moved_columns > 1 && r->places > 0)
        refuse(r, "it renames and moves several columns at once");
    if (r->moved_columns > 0 && r->adds && r->drops)
        refuse(r, "it drops, renames and adds at once");
    if (r->s->object_count > 2)
        refuse(r, "it names several tables");
}

static void count_parentheses(reader *r)
{
    if (gf_token_sign(&r->tok, '('))
        r->depth++;
    else if (gf_token_sign(&r->tok, ')') && r->depth > 0)
        r->depth--;
}

/* Whatever the statement is. */
static void look_at_word(reader *r)
{
    look_for_pairs(r);
    look_at_week(r);
    look_at_engine(r);
    look_at_references(r);
}

static void read_alter(reader *r)
{
    bool first = true; /* behind the table's name clauses begin: the first one at its first word */

    for (; r->tok.kind != GF_TOK_END; advance(r)) {
        bool after_comma = r->depth == 0 && gf_token_sign(&r->before, ',');

        count_parentheses(r);
        if (after_comma ||
            (first && is_one_of(&r->tok, (const char *const[]){"ADD", "MODIFY", "CHANGE", "RENAME", NULL}) &&
             !gf_token_is(&r->before, "TABLE") && !gf_token_is(&r->before, "EXISTS"))) {
            begin_clause(r);
            first = false;
        } else {
            look_at_clause(r);
        }
        look_at_types(r);
        r->adds = r->adds || is(r, "ADD");
        r->drops = r->drops || is(r, "DROP");
        look_at_word(r);
    }
    end_of_alter(r);
}

/* ---- the others ---- */

static void read_plain(reader *r)
{
    for (; r->tok.kind != GF_TOK_END; advance(r)) {
        count_parentheses(r);
        r->out->replaces = r->out->replaces || (r->out->kind == GF_DDL_CREATE && is_pair(r, "OR", "REPLACE"));
        look_at_word(r);
    }
}

static const struct {
    const char *verb;
    gf_ddl_kind kind;
    void (*read)(reader *r);
} known[] = {
    {"CREATE TABLE", GF_DDL_CREATE, read_plain},     {"ALTER TABLE", GF_DDL_CHANGE, read_alter},
    {"CREATE INDEX", GF_DDL_CHANGE, read_plain},     {"DROP INDEX", GF_DDL_CHANGE, read_plain},
    {"DROP TABLE", GF_DDL_DROP, read_plain},         {"RENAME TABLE", GF_DDL_RENAME, read_plain},
    {"TRUNCATE TABLE", GF_DDL_TRUNCATE, read_plain},
};

static bool has_text(gf_slice in, const char *text)
{
    return in.len > 0 && memmem(in.data, in.len, text, strlen(text)) != NULL;
}

static bool is_plain_name(const char *name)
{
    for (const char *p = name; *p != '\0'; p++)
        if ((*p & 0x80) != 0 || *p == '`' || *p == '"')
            return false;
    return true;
}

/* Behind these a name is one that is made, changed or dropped; behind CHANGE two of them. */
static bool names_follow(const gf_token *t, unsigned *names)
{
    static const char *const verbs[] = {"CHANGE", "MODIFY", "DROP", "ADD", "RENAME", "TO", NULL};
    static const char *const between[] = {"COLUMN", "INDEX", "KEY",    "UNIQUE",  "CONSTRAINT",
                                          "IF",     "NOT",   "EXISTS", "FOREIGN", NULL};

    if (is_one_of(t, verbs)) {
        *names = gf_token_is(t, "CHANGE") ? 2 : 1;
        return true;
    }
    return *names > 0 && is_one_of(t, between);
}

bool gf_ddl_concerns(const gf_statement *s, const char *name)
{
    size_t len = strlen(name);
    unsigned names = 0;
    gf_lexer lx;
    gf_token t;

    if (!is_plain_name(name))
        return true;
    gf_lexer_init(&lx, s->sql, s->sql_mode, s->charset_client);
    for (t = gf_lexer_next(&lx); t.kind != GF_TOK_END && !t.broken; t = gf_lexer_next(&lx)) {
        bool is_name = t.kind == GF_TOK_WORD || t.kind == GF_TOK_QUOTED;

        if (names_follow(&t, &names))
            continue;
        if (names > 0 && is_name && t.text.len == len && strncasecmp((const char *)t.text.data, name, len) == 0)
            return true;
        names = is_name && names > 0 ? names - 1 : 0;
    }
    return t.broken;
}

void gf_ddl_read(gf_ddl *out, const gf_statement *s)
{
    static const char *const verbs[] = {"CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE", NULL};
    reader r = {.s = s, .out = out};
    size_t i;

    *out = (gf_ddl){.conditional = has_text(s->sql, "/*!") || has_text(s->sql, "/*M!")};
    gf_lexer_init(&r.lx, s->sql, s->sql_mode, s->charset_client);
    advance(&r);
    advance(&r); /* tok is the first one now */
    if (!is_one_of(&r.tok, verbs))
        refuse(&r, "it sets variables for itself");
    for (i = 0; i < sizeof known / sizeof known[0] && strcmp(known[i].verb, s->verb) != 0; i++)
        ;
    if (i == sizeof known / sizeof known[0]) {
        refuse(&r, "it is not about a table alone");
        return;
    }
    out->kind = known[i].kind;
    known[i].read(&r);
}
