/* SPDX-License-Identifier: MIT */
/*
 * check_foreign.c - foreign keys that make the target differ.
 *
 * MySQL before 9.6 and MariaDB let the engine carry out ON DELETE and ON UPDATE actions, and log only the parent's
 * change. The target's rows are written without foreign key checks, so nothing cascades there: a child table whose
 * rows such actions change would silently differ.
 *
 * They are read from SHOW CREATE TABLE, where each has a line of its own: MySQL's information_schema hides them from
 * an account that has SELECT alone.
 *
 *     CONSTRAINT `name` FOREIGN KEY (`a`,`b`) REFERENCES [`db`.]`table` (`x`,`y`) ON DELETE CASCADE ON UPDATE SET NULL
 */
#include <stdlib.h>

#include "check_parts.h"

typedef struct {
    char *name, *db, *table; /* owned; db NULL: the table's own */
    bool acts;               /* ON DELETE or ON UPDATE changes the child's rows */
} foreign_key;

static void free_key(foreign_key *k)
{
    free(k->name);
    free(k->db);
    free(k->table);
    *k = (foreign_key){0};
}

/* Takes a name in backticks from *p; false when there is none. */
static bool take_name(char **out, const char **p)
{
    gf_buf b = {0};
    const char *s = *p;

    if (*s != '`')
        return false;
    for (s++; *s != '\0'; s++) {
        if (*s == '`' && *++s != '`')
            break;
        gf_buf_byte(&b, (uint8_t)*s);
    }
    free(*out);
    *out = gf_strdup(gf_buf_cstr(&b));
    gf_buf_free(&b);
    *p = s;
    return true;
}

static bool take_text(const char **p, const char *text)
{
    size_t len = strlen(text);

    if (strncmp(*p, text, len) != 0)
        return false;
    *p += len;
    return true;
}

/* (`a`,`b`) */
static bool take_columns(const char **p)
{
    char *name = NULL;
    bool ok = take_text(p, "(");

    while (ok && take_name(&name, p))
        if (!take_text(p, ",") || !take_text(p, " "))
            ok = **p == '`' || **p == ')';
    free(name);
    return ok && take_text(p, ")");
}

static bool has_action(const char *rest)
{
    static const char *const actions[] = {"ON DELETE CASCADE", "ON DELETE SET", "ON UPDATE CASCADE", "ON UPDATE SET"};
    const char *end = strchr(rest, '\n');

    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        const char *found = strstr(rest, actions[i]);

        if (found != NULL && (end == NULL || found < end))
            return true;
    }
    return false;
}

/* What stands at the start of a line; false when it is no foreign key. */
static bool parse_key(foreign_key *k, const char *p)
{
    *k = (foreign_key){0};
    if (!take_text(&p, "  CONSTRAINT ") || !take_name(&k->name, &p) || !take_text(&p, " FOREIGN KEY ") ||
        !take_columns(&p) || !take_text(&p, " REFERENCES ") || !take_name(&k->table, &p))
        return false;
    if (take_text(&p, ".")) {
        k->db = k->table;
        k->table = NULL;
        if (!take_name(&k->table, &p))
            return false;
    }
    if (!take_text(&p, " ") || !take_columns(&p))
        return false;
    k->acts = has_action(p);
    return true;
}

static void check_key(gf_check *c, const gf_table *t, const foreign_key *k, gf_check_names *acting)
{
    const char *db = k->db != NULL ? k->db : t->db;

    if (gf_catalog_find(c->catalog, db, strlen(db), k->table, strlen(k->table)) == NULL)
        gf_check_warning(c,
                         "source: foreign key %s of %s refers to %s.%s, which is not moved: see that the target has "
                         "it, with the rows that are referred to",
                         k->name, t->label, db, k->table);
    if (k->acts) {
        char *name = gf_asprintf("%s (%s)", t->label, k->name);

        gf_check_name(acting, name);
        free(name);
    }
}

static void check_table(gf_check *c, const gf_table *t, gf_check_names *acting)
{
    for (const char *line = t->create_sql; line != NULL; line = strchr(line, '\n')) {
        foreign_key k;

        if (*line == '\n')
            line++;
        if (parse_key(&k, line))
            check_key(c, t, &k, acting);
        free_key(&k);
    }
}

bool gf_check_acts(const gf_table *t)
{
    bool acts = false;

    for (const char *line = t->create_sql; line != NULL && !acts; line = strchr(line, '\n')) {
        foreign_key k;

        if (*line == '\n')
            line++;
        acts = parse_key(&k, line) && k.acts;
        free_key(&k);
    }
    return acts;
}

void gf_check_foreign_keys(gf_check *c)
{
    gf_check_names acting = {0};

    for (size_t i = 0; i < c->table_count; i++)
        check_table(c, c->tables[i], &acting);
    if (acting.count == 0 || c->source_info->logs_cascades)
        goto out;
    if (c->config->skip_foreign_keys_check)
        gf_check_warning(c,
                         "source: what ON DELETE and ON UPDATE actions change is not in this server's binlog, and the "
                         "check was switched off: if one acts during the run, the target will differ: %s",
                         gf_check_names_text(&acting));
    else
        gf_check_problem(c,
                         "source: what ON DELETE and ON UPDATE actions (CASCADE, SET NULL) change is not in this "
                         "server's binlog, so the target would differ: %s: leave the tables out, make the keys "
                         "RESTRICT, or, if nothing acts during the run, set SkipForeignKeyConstraintsCheck",
                         gf_check_names_text(&acting));
out:
    gf_check_names_free(&acting);
}
