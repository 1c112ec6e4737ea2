/* SPDX-License-Identifier: MIT */
/*
 * defer.c - a definition taken apart into what the rows need and what can follow them.
 *
 * What can follow is what the target adds while rows are written (ALGORITHM=INPLACE, LOCK=NONE on both families), and
 * what nobody misses before: plain keys over columns. Not so
 *   PRIMARY and UNIQUE   rows are found and replaced by them
 *   FULLTEXT, SPATIAL, VECTOR, keys over expressions   writes stand still while one is added
 *   keys that begin with a column of a foreign key, on either side of it   the server wants them, or makes its own
 *   keys with the AUTO_INCREMENT column   the table cannot be made without
 *
 * The order. A server sorts a table's keys when it is made and when it is altered: unique ones first, FULLTEXT last, the
 * others as they were given, new ones behind old ones. So the keys that are added later must be the last of those
 * others: a key that stays keeps all before it. MySQL puts those over expressions and virtual columns behind the rest:
 * one over an expression keeps only such ones.
 */
#include "defer.h"

#include <stdlib.h>
#include <strings.h>

#include "gfreplica/tokens.h"

/* One element of the list between the definition's outer parentheses: tokens from..to, spaces around it left out. */
struct element {
    size_t from, to;
    enum {
        APART, /* a column, a constraint, a key whose place does not depend on others */
        STAYS, /* a key that later ones must not overtake */
        MAY_FOLLOW
    } kind;
};

struct elements {
    gf_tok *tokens;        /* owned */
    struct element *items; /* owned */
    size_t count;
};

/* ---- tokens ---- */

static size_t solid(const gf_tok *tokens, size_t at)
{
    while (tokens[at].kind == GF_TOK_SPACE)
        at++;
    return at;
}

static size_t behind(const gf_tok *tokens, size_t at)
{
    return tokens[at].kind == GF_TOK_END ? at : solid(tokens, at + 1);
}

static int step_depth(const gf_tok *k)
{
    return gf_tok_punct(k, '(') - gf_tok_punct(k, ')');
}

static void add_element(struct elements *e, size_t from, size_t to)
{
    struct element *el;

    while (to > from && e->tokens[to - 1].kind == GF_TOK_SPACE)
        to--;
    e->items = gf_realloc(e->items, (e->count + 1) * sizeof *e->items);
    el = &e->items[e->count++];
    *el = (struct element){.from = from, .to = to};
}

static void cut_elements(struct elements *e, const char *sql)
{
    size_t at = 0, from;
    int depth = 1;

    *e = (struct elements){.tokens = gf_tok_cut(sql)};
    while (e->tokens[at].kind != GF_TOK_END && !gf_tok_punct(&e->tokens[at], '('))
        at++;
    from = at = behind(e->tokens, at);
    for (; e->tokens[at].kind != GF_TOK_END; at++) {
        const gf_tok *k = &e->tokens[at];

        depth += step_depth(k);
        if (depth > 1 || (depth == 1 && !gf_tok_punct(k, ',')))
            continue;
        add_element(e, from, at);
        if (depth == 0)
            return;
        from = behind(e->tokens, at);
    }
}

static void free_elements(struct elements *e)
{
    free(e->items);
    free(e->tokens);
}

/* ---- columns ---- */

static bool same_name(const gf_tok *k, const char *name)
{
    char *text = gf_tok_unquote(k);
    bool same = strcasecmp(text, name) == 0;

    free(text);
    return same;
}

/* The token behind `phrase`'s words in the element; 0: they are not there. */
static size_t find_words(const struct elements *e, const struct element *el, const char *first, const char *second)
{
    for (size_t at = el->from; at < el->to; at++) {
        size_t next = behind(e->tokens, at);

        if (!gf_tok_is(&e->tokens[at], first))
            continue;
        if (second == NULL)
            return next;
        if (gf_tok_is(&e->tokens[next], second))
            return behind(e->tokens, next);
    }
    return 0;
}

/* Calls fn for each name in the parentheses that open at `at`. */
static void each_column(const struct elements *e, size_t at, void (*fn)(void *ctx, const gf_tok *name), void *ctx)
{
    while (e->tokens[at].kind != GF_TOK_END && !gf_tok_punct(&e->tokens[at], '('))
        at++;
    for (; e->tokens[at].kind != GF_TOK_END && !gf_tok_punct(&e->tokens[at], ')'); at++)
        if (e->tokens[at].kind == GF_TOK_NAME)
            fn(ctx, &e->tokens[at]);
}

/* ---- foreign keys ---- */

struct reference_to {
    gf_references *list;
    char *db, *table;
};

static void add_reference(void *ctx, const gf_tok *name)
{
    const struct reference_to *to = ctx;
    gf_references *r = to->list;

    r->items = gf_realloc(r->items, (r->count + 1) * sizeof *r->items);
    r->items[r->count++] = (struct gf_reference){gf_strdup(to->db), gf_strdup(to->table), gf_tok_unquote(name)};
}

/* REFERENCES [`db`.]`table` (`a`,`b`) */
static void add_foreign_key(gf_references *r, const gf_table *t, const struct elements *e, size_t at)
{
    size_t dot = behind(e->tokens, at);
    struct reference_to to = {.list = r};

    if (gf_tok_punct(&e->tokens[dot], '.')) {
        to.db = gf_tok_unquote(&e->tokens[at]);
        at = behind(e->tokens, dot);
    } else {
        to.db = gf_strdup(t->target_db);
    }
    to.table = gf_tok_unquote(&e->tokens[at]);
    each_column(e, at, add_reference, &to);
    free(to.db);
    free(to.table);
}

void gf_references_add(gf_references *r, const gf_table *t, const char *sql)
{
    struct elements e;

    cut_elements(&e, sql);
    for (size_t i = 0; i < e.count; i++) {
        size_t at =
            find_words(&e, &e.items[i], "FOREIGN", "KEY") == 0 ? 0 : find_words(&e, &e.items[i], "REFERENCES", NULL);

        if (at != 0 && e.tokens[at].kind == GF_TOK_NAME)
            add_foreign_key(r, t, &e, at);
    }
    free_elements(&e);
}

void gf_references_free(gf_references *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->items[i].db);
        free(r->items[i].table);
        free(r->items[i].column);
    }
    free(r->items);
    *r = (gf_references){0};
}

static bool is_referred_to(const gf_references *refs, const gf_table *t, const gf_tok *column)
{
    for (size_t i = 0; i < refs->count; i++)
        if (strcasecmp(refs->items[i].table, t->target_name) == 0 && strcasecmp(refs->items[i].db, t->target_db) == 0 &&
            same_name(column, refs->items[i].column))
            return true;
    return false;
}

struct search {
    const gf_tok *column;
    bool found;
};

static void compare_column(void *ctx, const gf_tok *name)
{
    struct search *s = ctx;

    s->found = s->found || (name->len == s->column->len && strncasecmp(name->text, s->column->text, name->len) == 0);
}

static bool refers_by(const struct elements *e, const gf_tok *column)
{
    struct search s = {.column = column};

    for (size_t i = 0; i < e->count; i++) {
        size_t at = find_words(e, &e->items[i], "FOREIGN", "KEY");

        if (at != 0)
            each_column(e, at, compare_column, &s);
    }
    return s.found;
}

/* ---- keys ---- */

/* Asks about the first token of each part of KEY `name` (`a`(10) DESC,(expression),...): is it so for all of them? */
static bool all_parts(const struct elements *e, const struct element *el,
                      bool (*is_so)(const gf_table *t, const gf_tok *first), const gf_table *t)
{
    const gf_tok *tokens = e->tokens;
    size_t at = behind(tokens, behind(tokens, el->from));
    int depth = 0;

    if (!gf_tok_punct(&tokens[at], '('))
        return false;
    do {
        depth += step_depth(&tokens[at]);
        if (depth == 1 && (gf_tok_punct(&tokens[at], '(') || gf_tok_punct(&tokens[at], ',')) &&
            !is_so(t, &tokens[behind(tokens, at)]))
            return false;
    } while (depth > 0 && ++at < el->to);
    return true;
}

static bool is_column(const gf_table *t, const gf_tok *first)
{
    (void)t;
    return first->kind == GF_TOK_NAME;
}

static bool is_no_counter(const gf_table *t, const gf_tok *first)
{
    for (unsigned i = 0; i < t->column_count; i++)
        if (t->columns[i].auto_increment && same_name(first, t->columns[i].name))
            return false;
    return true;
}

static bool is_not_virtual(const gf_table *t, const gf_tok *first)
{
    for (unsigned i = 0; i < t->column_count; i++)
        if (t->columns[i].generated == GF_GEN_VIRTUAL && same_name(first, t->columns[i].name))
            return false;
    return true;
}

static bool is_plain_key(const struct elements *e, const struct element *el)
{
    return gf_tok_is(&e->tokens[el->from], "KEY") && e->tokens[behind(e->tokens, el->from)].kind == GF_TOK_NAME;
}

static bool is_over_expression(const struct elements *e, const struct element *el)
{
    return is_plain_key(e, el) && !all_parts(e, el, is_column, NULL);
}

/* Over columns alone, none of which wants it from the beginning. */
static bool may_follow(const struct elements *e, const struct element *el, const gf_table *t, const gf_references *refs)
{
    const gf_tok *tokens = e->tokens, *first = &tokens[behind(tokens, behind(tokens, behind(tokens, el->from)))];

    return is_plain_key(e, el) && all_parts(e, el, is_column, t) && all_parts(e, el, is_no_counter, t) &&
           !refers_by(e, first) && !is_referred_to(refs, t, first);
}

static bool is_apart(const gf_tok *k)
{
    static const char *const words[] = {"PRIMARY", "UNIQUE", "FULLTEXT", "CONSTRAINT", "CHECK", "FOREIGN", "PERIOD"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (gf_tok_is(k, words[i]))
            return true;
    return k->kind == GF_TOK_NAME;
}

/* From the last key to the first: is what is before still free to follow? */
static void classify(struct elements *e, const gf_table *t, const gf_references *refs)
{
    bool open = true, virtual_open = true;

    for (size_t i = e->count; i > 0; i--) {
        struct element *el = &e->items[i - 1];

        if (is_apart(&e->tokens[el->from]))
            continue;
        el->kind = STAYS;
        if (is_over_expression(e, el) ||
            (!virtual_open && is_plain_key(e, el) && !all_parts(e, el, is_not_virtual, t))) {
            virtual_open = false;
            continue;
        }
        open = open && may_follow(e, el, t, refs);
        virtual_open = virtual_open && open;
        if (open)
            el->kind = MAY_FOLLOW;
    }
}

static bool is_there(const gf_names *there, const gf_tok *name)
{
    for (size_t i = 0; there != NULL && i < there->count; i++)
        if (same_name(name, there->items[i]))
            return true;
    return false;
}

static void copy_tokens(gf_buf *out, const gf_tok *tokens, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        gf_buf_add(out, tokens[i].text, tokens[i].len);
}

/* An element that goes takes the comma in front of it along: the first one is a column, which stays. */
static void write_rest(gf_buf *create, const struct elements *e)
{
    size_t from = 0, end = 0;

    for (size_t i = 0; i < e->count; i++) {
        if (e->items[i].kind != MAY_FOLLOW)
            continue;
        copy_tokens(create, e->tokens, from, e->items[i - 1].to > from ? e->items[i - 1].to : from);
        from = e->items[i].to;
    }
    for (end = from; e->tokens[end].kind != GF_TOK_END;)
        end++;
    copy_tokens(create, e->tokens, from, end);
}

unsigned gf_defer_split(gf_buf *create, gf_buf *add, const gf_table *t, const char *sql, const gf_references *refs,
                        const gf_names *there)
{
    struct elements e;
    unsigned count = 0;

    cut_elements(&e, sql);
    classify(&e, t, refs);
    if (create != NULL)
        write_rest(create, &e);
    for (size_t i = 0; i < e.count; i++) {
        const struct element *el = &e.items[i];

        if (el->kind != MAY_FOLLOW || is_there(there, &e.tokens[behind(e.tokens, el->from)]))
            continue;
        if (add != NULL) {
            gf_buf_str(add, count > 0 ? ", ADD " : "ADD ");
            copy_tokens(add, e.tokens, el->from, el->to);
        }
        count++;
    }
    free_elements(&e);
    return count;
}
