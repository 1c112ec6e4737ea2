/* SPDX-License-Identifier: MIT */
/*
 * create_sql.c - a table's SHOW CREATE TABLE under its name on the target.
 *
 * The text is cut into tokens and copied; only what must differ is replaced: names, collations, and what one family
 * writes and the other reads differently or not at all. Nothing is dropped silently that decides over values, keys or
 * checks: such a table is refused by name.
 *
 * Versioned comments. A server skips `/ *!80023 ... * /` when its version is lower, MariaDB also when it is from
 * MySQL's 5.7 on. What would be skipped is either harmless, or has another spelling, or is a reason to refuse.
 */
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "gfreplica/target.h"
#include "gfreplica/tokens.h"

struct rewrite {
    const gf_table *t;
    const gf_config *config;
    const gf_server_info *source, *target;
    gf_tok *tokens; /* owned; ends with GF_TOK_END */
    size_t at;
    gf_buf out;              /* owned */
    int depth;               /* of parentheses */
    bool behind;             /* the column list is over: table options and partitions */
    bool item;               /* at the start of an element of the column list */
    const gf_column *column; /* whose definition this is; NULL in keys, constraints, options */
    bool charset_named;      /* by the column, before its COLLATE */
};

/* ---- tokens ---- */

/* Index of the next token at or after `from` that is not a space. */
static size_t solid(const struct rewrite *r, size_t from)
{
    while (r->tokens[from].kind == GF_TOK_SPACE)
        from++;
    return from;
}

/* The one behind it; the end stays the end. */
static size_t behind(const struct rewrite *r, size_t at)
{
    return r->tokens[at].kind == GF_TOK_END ? at : solid(r, at + 1);
}

/* Do the words of `phrase` stand at `from`, however they are spaced? *end is behind them. */
static bool matches(const struct rewrite *r, size_t from, const char *phrase, size_t *end)
{
    while (*phrase != '\0') {
        const gf_tok *k = &r->tokens[from = solid(r, from)];
        size_t len = strcspn(phrase, " ");

        if (k->kind != GF_TOK_WORD || k->len != len || strncasecmp(k->text, phrase, len) != 0)
            return false;
        from++;
        phrase += len + (phrase[len] == ' ');
    }
    *end = from;
    return true;
}

static void copy(struct rewrite *r, const gf_tok *k)
{
    gf_buf_add(&r->out, k->text, k->len);
}

/* Leaves out what is at the end of the output: the space in front of a dropped part. */
static void trim(struct rewrite *r)
{
    while (r->out.len > 0 && isspace(r->out.data[r->out.len - 1]))
        r->out.len--;
}

static bool refuse(const struct rewrite *r, gf_error *err, const char *what, size_t len, const char *why)
{
    return gf_fail(err, GF_ERR_CONFIG, "create %s: %.*s: %s; create the table on the target yourself, or leave it out",
                   r->t->label, (int)len, what, why);
}

static bool to_mariadb(const struct rewrite *r)
{
    return r->target->flavor == GF_FLAVOR_MARIADB;
}

static bool from_mariadb(const struct rewrite *r)
{
    return r->source->flavor == GF_FLAVOR_MARIADB;
}

/* ---- collations ---- */

/* Collations that a family has not, or not before a version. */
static const struct {
    const char *part;
    gf_flavor target;
    unsigned since; /* first version that knows it, 0 = none */
} missing_collations[] = {
    {"_0900_", GF_FLAVOR_MARIADB, 110405},   {"_ja_", GF_FLAVOR_MARIADB, 0},   {"gb18030_", GF_FLAVOR_MARIADB, 0},
    {"uca1400_", GF_FLAVOR_MARIADB, 101001}, {"uca1400_", GF_FLAVOR_MYSQL, 0}, {"_nopad_", GF_FLAVOR_MYSQL, 0},
    {"_mysql561_", GF_FLAVOR_MYSQL, 0},      {"_520_w2", GF_FLAVOR_MYSQL, 0},  {"_myanmar_", GF_FLAVOR_MYSQL, 0},
    {"_0900_", GF_FLAVOR_MYSQL, 80000},
};

/* utf8_... was renamed utf8mb3_... by MySQL 8.0.30 and MariaDB 10.6; the old name may be gone. */
static void add_collation(struct rewrite *r, const char *name)
{
    bool renamed = r->target->version >= (to_mariadb(r) ? 100600U : 80030U);

    if (renamed && strncasecmp(name, "utf8_", 5) == 0)
        gf_buf_printf(&r->out, "utf8mb3_%s", name + 5);
    else if (!renamed && strncasecmp(name, "utf8mb3_", 8) == 0)
        gf_buf_printf(&r->out, "utf8_%s", name + 8);
    else
        gf_buf_str(&r->out, name);
}

static const char *mapped(const struct rewrite *r, const char *name)
{
    const gf_renames *map = &r->config->map_collation;

    for (size_t i = 0; i < map->count; i++)
        if (strcasecmp(map->from[i], name) == 0)
            return map->to[i];
    return name;
}

static bool write_collation(struct rewrite *r, const char *name, gf_error *err)
{
    name = mapped(r, name);
    for (size_t i = 0; i < sizeof(missing_collations) / sizeof(missing_collations[0]); i++) {
        unsigned since = missing_collations[i].since;

        if (missing_collations[i].target != r->target->flavor || strstr(name, missing_collations[i].part) == NULL)
            continue;
        if (since == 0 || r->target->version < since)
            return gf_fail(err, GF_ERR_CONFIG,
                           "create %s: the target does not know the collation %s: name one to use instead "
                           "(--map-collation %s=...)",
                           r->t->label, name, name);
    }
    add_collation(r, name);
    return true;
}

/* MySQL prints a column that has all from its table as "COLLATE x", and one that was created so with its CHARACTER SET
   as well. Left out, it is the table's again: the same column, and the same text. */
static bool is_inherited(const struct rewrite *r, size_t name)
{
    const gf_tok *k = &r->tokens[name];

    return r->source->flavor == GF_FLAVOR_MYSQL && !to_mariadb(r) && r->column != NULL && r->depth == 1 &&
           !r->charset_named && r->t->collation != NULL && gf_tok_is(k, r->t->collation);
}

/* COLLATE [=] name */
static bool on_collate(struct rewrite *r, gf_error *err)
{
    size_t name = behind(r, r->at);
    char *text;
    bool ok;

    if (is_inherited(r, name)) {
        trim(r);
        r->at = name + 1;
        return true;
    }
    if (gf_tok_punct(&r->tokens[name], '='))
        name = behind(r, name);
    for (; r->at < name; r->at++)
        copy(r, &r->tokens[r->at]);
    if (r->tokens[name].kind != GF_TOK_WORD)
        return true;
    text = gf_strndup(r->tokens[name].text, r->tokens[name].len);
    ok = write_collation(r, text, err);
    free(text);
    r->at++;
    return ok;
}

/* CHARSET=x or CHARACTER SET x: where no COLLATE follows, the source's default for x is meant, and the target's may be
   another one. */
static bool write_charset(struct rewrite *r, size_t name, gf_error *err)
{
    const char *implied = r->column != NULL ? r->column->collation : r->t->collation;
    bool same = strcmp(r->source->version_text, r->target->version_text) == 0;

    r->charset_named = true;
    if (gf_tok_punct(&r->tokens[name], '='))
        name = behind(r, name);
    for (; r->at <= name && r->tokens[r->at].kind != GF_TOK_END; r->at++)
        copy(r, &r->tokens[r->at]);
    /* Deeper in parentheses it is a CAST of some expression. */
    if (implied == NULL || r->depth > 1 || gf_tok_is(&r->tokens[solid(r, r->at)], "COLLATE"))
        return true;
    if (same && mapped(r, implied) == implied)
        return true;
    gf_buf_str(&r->out, r->column != NULL ? " COLLATE " : " COLLATE=");
    return write_collation(r, implied, err);
}

static bool on_charset(struct rewrite *r, gf_error *err)
{
    return write_charset(r, behind(r, r->at), err);
}

static bool on_character(struct rewrite *r, gf_error *err)
{
    size_t end;

    if (!matches(r, r->at, "CHARACTER SET", &end)) {
        copy(r, &r->tokens[r->at++]);
        return true;
    }
    return write_charset(r, solid(r, end), err);
}

/* ---- names ---- */

/* with_db: also where it is the table's own. */
static void write_reference(struct rewrite *r, const char *db, const char *name, bool with_db)
{
    const gf_filter *f = &r->config->filter;
    bool moved = gf_filter_table(f, db, name);
    const char *target_db = moved ? gf_filter_target_db(f, db) : db;

    if (with_db || strcmp(target_db, r->t->target_db) != 0) {
        gf_buf_ident(&r->out, target_db);
        gf_buf_str(&r->out, ".");
    }
    gf_buf_ident(&r->out, moved ? gf_filter_target_table(f, name) : name);
}

/* REFERENCES [`db`.]`table` */
static bool on_references(struct rewrite *r, gf_error *err)
{
    size_t first = behind(r, r->at), dot = behind(r, first), second = 0;
    char *db, *name;

    (void)err;
    for (; r->at < first; r->at++)
        copy(r, &r->tokens[r->at]);
    if (r->tokens[first].kind != GF_TOK_NAME)
        return true;
    if (gf_tok_punct(&r->tokens[dot], '.') && r->tokens[behind(r, dot)].kind == GF_TOK_NAME)
        second = behind(r, dot);
    db = second != 0 ? gf_tok_unquote(&r->tokens[first]) : gf_strdup(r->t->db);
    name = gf_tok_unquote(&r->tokens[second != 0 ? second : first]);
    write_reference(r, db, name, false);
    free(db);
    free(name);
    r->at = (second != 0 ? second : first) + 1;
    return true;
}

/* nextval(`db`.`sequence`), as MariaDB prints it in a DEFAULT */
static bool on_sequence(struct rewrite *r, gf_error *err)
{
    size_t open = behind(r, r->at), first = behind(r, open), dot = behind(r, first), second = behind(r, dot);
    size_t close = behind(r, second);
    char *db, *name;

    (void)err;
    if (!gf_tok_punct(&r->tokens[open], '(') || r->tokens[first].kind != GF_TOK_NAME ||
        !gf_tok_punct(&r->tokens[dot], '.') || r->tokens[second].kind != GF_TOK_NAME ||
        !gf_tok_punct(&r->tokens[close], ')')) {
        copy(r, &r->tokens[r->at++]);
        return true;
    }
    for (; r->at < first; r->at++)
        copy(r, &r->tokens[r->at]);
    db = gf_tok_unquote(&r->tokens[first]);
    name = gf_tok_unquote(&r->tokens[second]);
    write_reference(r, db, name, true);
    gf_buf_byte(&r->out, ')');
    free(name);
    free(db);
    r->at = close + 1;
    return true;
}

/* ---- defaults and generated columns ---- */

static bool wants_expression(gf_type type)
{
    return type == GF_T_TEXT || type == GF_T_BLOB || type == GF_T_JSON || type == GF_T_GEOMETRY;
}

/* Behind the default value that starts at `from`: a literal, NULL, or a function call. */
static size_t default_end(const struct rewrite *r, size_t from)
{
    size_t paren = behind(r, from);
    int depth = 0;

    if (r->tokens[from].kind == GF_TOK_WORD && r->tokens[from].text[0] == '_' &&
        r->tokens[from + 1].kind == GF_TOK_STRING)
        return from + 2;
    if (r->tokens[from].kind != GF_TOK_WORD || !gf_tok_punct(&r->tokens[paren], '('))
        return from + 1;
    for (from = paren; r->tokens[from].kind != GF_TOK_END; from++) {
        depth += gf_tok_punct(&r->tokens[from], '(') - gf_tok_punct(&r->tokens[from], ')');
        if (depth == 0)
            return from + 1;
    }
    return from;
}

/* MariaDB takes DEFAULT uuid() and a TEXT column's DEFAULT 'x'; MySQL wants both in parentheses. */
static bool on_default(struct rewrite *r, gf_error *err)
{
    size_t value = behind(r, r->at), end = default_end(r, value);
    const gf_tok *k = &r->tokens[value];
    bool call = k->kind == GF_TOK_WORD && end > value + 1 && k->text[0] != '_';
    bool wrap = r->column != NULL && !to_mariadb(r) && from_mariadb(r);

    (void)err;
    wrap = wrap && k->kind != GF_TOK_END && !gf_tok_punct(k, '(') && !gf_tok_is(k, "NULL") &&
           !gf_tok_is(k, "current_timestamp");
    wrap = wrap && (call || wants_expression(r->column->type));
    for (; r->at < value; r->at++)
        copy(r, &r->tokens[r->at]);
    if (!wrap)
        return true;
    gf_buf_str(&r->out, "(");
    for (; r->at < end; r->at++)
        copy(r, &r->tokens[r->at]);
    gf_buf_str(&r->out, ")");
    return true;
}

/*
 * _utf8mb4'it\'s' in a DEFAULT, a CHECK or a generated column, as MySQL prints its literals. MariaDB stores such an
 * expression as text, and behind an introducer it forgets to escape, and writes what does not print as \xC3, which it
 * reads as xC3 (10.11, 11.8): what its own text of such a one means, nobody knows. Our connection is utf8mb4, so that ASCII
 * and UTF-8 mean the same without.
 */
static bool on_introducer(struct rewrite *r, gf_error *err)
{
    const gf_tok *k = &r->tokens[r->at], *text = k + 1;
    bool same = gf_tok_is_ascii(text) || strncmp(k->text, "_utf8", 5) == 0;

    if (from_mariadb(r) && memmem(text->text, text->len, "\\x", 2) != NULL)
        return refuse(r, err, k->text, k->len + text->len, "MariaDB prints this literal as another one than it is");
    if (!to_mariadb(r) || from_mariadb(r) || (gf_tok_is_ascii(text) && memchr(text->text, '\\', text->len) == NULL)) {
        copy(r, k);
        r->at++;
        return true;
    }
    if (!same)
        return refuse(r, err, k->text, k->len + text->len, "MariaDB can't store this literal");
    r->at++;
    return true;
}

/* _latin1 X'C9': src/catalog/literals.c */
static bool is_introduced_hex(const struct rewrite *r)
{
    const gf_tok *k = &r->tokens[r->at], *x = &r->tokens[behind(r, r->at)];

    return k->text[0] == '_' && gf_tok_is(x, "X") && x[1].kind == GF_TOK_STRING;
}

/* MariaDB has no NOT NULL for generated columns; their values are the same without it. */
static bool on_generated(struct rewrite *r, gf_error *err)
{
    size_t end;

    (void)err;
    copy(r, &r->tokens[r->at++]);
    if (to_mariadb(r) && r->column != NULL && matches(r, r->at, "NOT NULL", &end))
        r->at = end;
    return true;
}

/* MySQL's name for it since 8.0, which MariaDB has not. */
static bool on_geomcollection(struct rewrite *r, gf_error *err)
{
    (void)err;
    if (to_mariadb(r) && r->column != NULL)
        gf_buf_str(&r->out, "geometrycollection");
    else
        copy(r, &r->tokens[r->at]);
    r->at++;
    return true;
}

/* KEY `k` ((lower(`a`)), `b`): MySQL's key over an expression. */
static bool on_key(struct rewrite *r, gf_error *err)
{
    size_t at = behind(r, r->at);

    if (r->tokens[at].kind == GF_TOK_NAME)
        at = behind(r, at);
    if (to_mariadb(r) && r->column == NULL && r->depth == 1 && !r->behind && gf_tok_punct(&r->tokens[at], '('))
        for (const gf_tok *k = &r->tokens[at]; k->kind != GF_TOK_END && !gf_tok_punct(k, ')'); k++)
            if ((gf_tok_punct(k, '(') || gf_tok_punct(k, ',')) && gf_tok_punct(k + 1, '('))
                return refuse(r, err, "KEY", 3, "MariaDB has no keys over expressions");
    copy(r, &r->tokens[r->at++]);
    return true;
}

/* ---- options ---- */

enum { ANY_FLAVOR = GF_FLAVOR_MYSQL | GF_FLAVOR_MARIADB };

/* Where and how rows are stored, not which: left out where the target has no such option. */
static const struct {
    const char *name;
    unsigned targets; /* bit mask of gf_flavor */
} dropped_options[] = {
    {"DATA DIRECTORY", ANY_FLAVOR}, /* paths of the source's machine */
    {"INDEX DIRECTORY", ANY_FLAVOR},         {"TABLESPACE", ANY_FLAVOR},
    {"COMPRESSION", GF_FLAVOR_MARIADB},      {"ENCRYPTION", GF_FLAVOR_MARIADB},
    {"AUTOEXTEND_SIZE", GF_FLAVOR_MARIADB},  {"ENGINE_ATTRIBUTE", GF_FLAVOR_MARIADB},
    {"SECONDARY_ENGINE", GF_FLAVOR_MARIADB}, {"SECONDARY_ENGINE_ATTRIBUTE", GF_FLAVOR_MARIADB},
    {"PAGE_CHECKSUM", GF_FLAVOR_MYSQL},      {"TRANSACTIONAL", GF_FLAVOR_MYSQL},
    {"PAGE_COMPRESSED", GF_FLAVOR_MYSQL},    {"PAGE_COMPRESSION_LEVEL", GF_FLAVOR_MYSQL},
    {"ENCRYPTED", GF_FLAVOR_MYSQL},          {"ENCRYPTION_KEY_ID", GF_FLAVOR_MYSQL},
};

/* What decides over rows and has no counterpart. */
static const struct {
    const char *phrase;
    gf_flavor target;
    const char *why;
} refused[] = {
    {"WITH SYSTEM VERSIONING", GF_FLAVOR_MYSQL, "MySQL has no system-versioned tables"},
    {"WITHOUT SYSTEM VERSIONING", GF_FLAVOR_MYSQL, "MySQL has no system-versioned tables"},
    {"PERIOD FOR", GF_FLAVOR_MYSQL, "MySQL has no periods"},
    {"WITHOUT OVERLAPS", GF_FLAVOR_MYSQL, "MySQL has no keys over periods"},
};

/* Behind "NAME [=] value" at `from`, whose name is given; 0 if that is not what stands there. MariaDB quotes the names
   of engine options. */
static size_t option_end(const struct rewrite *r, size_t from, const char *name)
{
    const gf_tok *k = &r->tokens[from];
    size_t end;

    if (k->kind == GF_TOK_NAME && r->behind && k->len == strlen(name) + 2 &&
        strncasecmp(k->text + 1, name, strlen(name)) == 0)
        end = from + 1;
    else if (!matches(r, from, name, &end))
        return 0;
    end = solid(r, end);
    if (gf_tok_punct(&r->tokens[end], '='))
        end = behind(r, end);
    else if (r->tokens[end].kind != GF_TOK_STRING && r->tokens[end].kind != GF_TOK_NAME)
        return 0;
    return r->tokens[end].kind == GF_TOK_END ? end : end + 1;
}

static bool drop_option(struct rewrite *r)
{
    for (size_t i = 0; i < sizeof(dropped_options) / sizeof(dropped_options[0]); i++) {
        size_t end;

        if ((dropped_options[i].targets & r->target->flavor) == 0)
            continue;
        end = option_end(r, r->at, dropped_options[i].name);
        if (end == 0)
            continue;
        trim(r);
        r->at = end;
        return true;
    }
    return false;
}

static bool check_refused(const struct rewrite *r, gf_error *err)
{
    size_t end;

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (refused[i].target == r->target->flavor && matches(r, r->at, refused[i].phrase, &end))
            return refuse(r, err, refused[i].phrase, strlen(refused[i].phrase), refused[i].why);
    return true;
}

/* ---- versioned comments ---- */

/* What the target would skip. instead NULL: refused with why. */
static const struct {
    unsigned version; /* 0 = any */
    const char *phrase;
    const char *instead, *why;
} skipped_comments[] = {
    {80023, "INVISIBLE", "INVISIBLE", NULL},
    {80000, "INVISIBLE", "", NULL}, /* an index that the optimizer leaves alone */
    {80016, "NOT ENFORCED", NULL, "a check that is not enforced would be enforced on the target"},
    {0, "SRID", "", NULL},
    {0, "ENCRYPTION", "", NULL},
    {0, "COMPRESSION", "", NULL},
    {0, "ENGINE_ATTRIBUTE", "", NULL},
    {0, "SECONDARY_ENGINE_ATTRIBUTE", "", NULL},
    {0, "SECONDARY_ENGINE", "", NULL},
    {0, "AUTOEXTEND_SIZE", "", NULL},
    {0, "COLUMN_FORMAT", "", NULL},
    {0, "STORAGE", "", NULL},
    {0, "TABLESPACE", "", NULL},
    {0, "COMPRESSED", "", NULL}, /* MariaDB's compressed columns: storage */
};

static bool target_reads(const struct rewrite *r, const gf_tok *open)
{
    bool only_mariadb = open->text[2] == 'M';
    unsigned version = (unsigned)strtoul(open->text + (only_mariadb ? 4 : 3), NULL, 10);

    if (only_mariadb)
        return to_mariadb(r) && r->target->version >= version;
    if (to_mariadb(r) && version >= 50700 && version <= 99999)
        return false;
    return r->target->version >= version;
}

static bool replace_comment(struct rewrite *r, gf_error *err)
{
    const gf_tok *open = &r->tokens[r->at];
    unsigned version = (unsigned)strtoul(open->text + (open->text[2] == 'M' ? 4 : 3), NULL, 10);
    size_t close = r->at + 1, end;

    while (r->tokens[close].kind != GF_TOK_CLOSE && r->tokens[close].kind != GF_TOK_END)
        close++;
    for (size_t i = 0; i < sizeof(skipped_comments) / sizeof(skipped_comments[0]); i++) {
        if ((skipped_comments[i].version != 0 && skipped_comments[i].version != version) ||
            !matches(r, r->at + 1, skipped_comments[i].phrase, &end))
            continue;
        if (skipped_comments[i].instead == NULL)
            return refuse(r, err, skipped_comments[i].phrase, strlen(skipped_comments[i].phrase),
                          skipped_comments[i].why);
        if (*skipped_comments[i].instead == '\0')
            trim(r);
        gf_buf_str(&r->out, skipped_comments[i].instead);
        r->at = r->tokens[close].kind == GF_TOK_END ? close : close + 1;
        return true;
    }
    return refuse(r, err, open->text, (size_t)(r->tokens[close].text - open->text) + r->tokens[close].len,
                  "the target would skip it");
}

/* ---- the walk ---- */

static const struct {
    const char *word;
    bool (*handle)(struct rewrite *r, gf_error *err);
} handlers[] = {
    {"REFERENCES", on_references},
    {"COLLATE", on_collate},
    {"CHARSET", on_charset},
    {"CHARACTER", on_character},
    {"DEFAULT", on_default},
    {"VIRTUAL", on_generated},
    {"STORED", on_generated},
    {"GEOMCOLLECTION", on_geomcollection},
    {"KEY", on_key},
    {"NEXTVAL", on_sequence},
    {"LASTVAL", on_sequence},
};

static const gf_column *find_column(const gf_table *t, const gf_tok *k)
{
    char *name = gf_tok_unquote(k);
    const gf_column *found = NULL;

    for (unsigned i = 0; i < t->column_count && found == NULL; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            found = &t->columns[i];
    free(name);
    return found;
}

/* Where in the text are we? */
static void track(struct rewrite *r, const gf_tok *k)
{
    if (k->kind == GF_TOK_SPACE)
        return;
    if (r->item) {
        r->column = k->kind == GF_TOK_NAME ? find_column(r->t, k) : NULL;
        r->charset_named = false;
    }
    r->item = false;
    if (gf_tok_punct(k, '('))
        r->item = r->depth++ == 0 && !r->behind;
    else if (gf_tok_punct(k, ')') && --r->depth == 0)
        r->behind = true;
    else if (gf_tok_punct(k, ','))
        r->item = r->depth == 1 && !r->behind;
    if (r->behind)
        r->column = NULL;
}

static bool handle_word(struct rewrite *r, gf_error *err)
{
    const gf_tok *k = &r->tokens[r->at];

    if (!check_refused(r, err))
        return false;
    if (k->text[0] == '_' && k[1].kind == GF_TOK_STRING)
        return on_introducer(r, err);
    if (is_introduced_hex(r) && to_mariadb(r) && !from_mariadb(r))
        return refuse(r, err, k->text, k->len, "MariaDB can't store a literal of this character set outside ASCII");
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
        if (gf_tok_is(k, handlers[i].word))
            return handlers[i].handle(r, err);
    copy(r, k);
    r->at++;
    return true;
}

static bool step(struct rewrite *r, gf_error *err)
{
    const gf_tok *k = &r->tokens[r->at];

    track(r, k);
    if (k->kind == GF_TOK_OPEN && !target_reads(r, k))
        return replace_comment(r, err);
    if ((k->kind == GF_TOK_WORD || k->kind == GF_TOK_NAME) && drop_option(r))
        return true;
    if (k->kind == GF_TOK_WORD)
        return handle_word(r, err);
    copy(r, k);
    r->at++;
    return true;
}

/* CREATE TABLE `name` becomes CREATE TABLE `db`.`name`. */
static bool write_head(struct rewrite *r, gf_error *err)
{
    size_t end;

    if (!matches(r, 0, "CREATE TABLE", &end) || r->tokens[end = solid(r, end)].kind != GF_TOK_NAME)
        return gf_fail(err, GF_ERR_DATA, "create %s: the source's SHOW CREATE TABLE does not begin with CREATE TABLE",
                       r->t->label);
    gf_buf_str(&r->out, "CREATE TABLE ");
    gf_buf_str(&r->out, r->t->target_sql);
    r->at = end + 1;
    return true;
}

/* What MySQL and MariaDB do not both have. */
static bool check_kinds(const struct rewrite *r, gf_error *err)
{
    for (unsigned i = 0; i < r->t->column_count; i++) {
        const gf_column *c = &r->t->columns[i];

        if ((c->type == GF_T_INET4 || c->type == GF_T_INET6 || c->type == GF_T_UUID) && !to_mariadb(r))
            return refuse(r, err, c->type_text, strlen(c->type_text), "MySQL has no such type");
        if (c->type == GF_T_VECTOR && r->source->flavor != r->target->flavor)
            return refuse(r, err, c->type_text, strlen(c->type_text),
                          "MySQL's and MariaDB's are not known to hold the same");
    }
    for (unsigned i = 0; i < r->t->key_count; i++) {
        const gf_key *k = &r->t->keys[i];

        if (k->hashed && !to_mariadb(r))
            return refuse(r, err, k->name, strlen(k->name), "MySQL has no unique keys of unlimited length");
    }
    return true;
}

bool gf_target_create_sql(char **out, const gf_table *t, const gf_config *config, const gf_server_info *source,
                          const gf_server_info *target, gf_error *err)
{
    struct rewrite r = {.t = t, .config = config, .source = source, .target = target};
    bool ok;

    assert(t->create_sql != NULL);
    r.tokens = gf_tok_cut(t->create_sql);
    ok = check_kinds(&r, err) && write_head(&r, err);
    while (ok && r.tokens[r.at].kind != GF_TOK_END)
        ok = step(&r, err);
    if (ok)
        *out = gf_strdup(gf_buf_cstr(&r.out));
    gf_buf_free(&r.out);
    free(r.tokens);
    return ok;
}
