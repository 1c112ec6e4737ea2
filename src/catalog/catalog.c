/* SPDX-License-Identifier: MIT */
/*
 * catalog.c - the current definition of each table by name; former ones are kept until the end.
 *
 * Readers hold gf_table pointers without a lock while DDL replaces entries: so nothing is freed before the catalog
 * is. A definition takes a few kilobytes and DDL is rare; that is what this costs.
 */
#include "gfreplica/catalog.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define uthash_fatal(msg) gf_oom()
#include <uthash.h>

#include "names.h"

/* Row events carry names of at most 255 bytes. */
#define KEY_MAX 512

typedef struct {
    gf_table *table; /* borrowed from gf_catalog.all; NULL for a sequence */
    char *key;       /* owned: db, NUL, name; folded if the catalog folds */
    UT_hash_handle hh;
} entry;

struct gf_catalog {
    pthread_mutex_t lock; /* guards all below */
    bool fold_case;
    entry *current;   /* owned */
    entry *sequences; /* owned */
    gf_table **all;   /* owned, in order of id: also those replaced or removed */
    size_t all_count, all_cap;
};

gf_catalog *gf_catalog_new(void)
{
    gf_catalog *c = gf_calloc(1, sizeof *c);

    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void gf_catalog_fold_case(gf_catalog *c)
{
    pthread_mutex_lock(&c->lock);
    c->fold_case = true;
    pthread_mutex_unlock(&c->lock);
}

static void drop_entry(entry **from, entry *e)
{
    HASH_DEL(*from, e);
    free(e->key);
    free(e);
}

void gf_catalog_free(gf_catalog *c)
{
    entry *e, *next;

    if (c == NULL)
        return;
    HASH_ITER (hh, c->current, e, next)
        drop_entry(&c->current, e);
    HASH_ITER (hh, c->sequences, e, next)
        drop_entry(&c->sequences, e);
    for (size_t i = 0; i < c->all_count; i++)
        gf_table_free(c->all[i]);
    free(c->all);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* Length of the key in `out`; 0 when no table can have such a name. */
static size_t make_key(char out[KEY_MAX], bool fold_case, const char *db, size_t db_len, const char *name,
                       size_t name_len)
{
    size_t len = db_len + 1 + name_len;

    if (len > KEY_MAX)
        return 0;
    memcpy(out, db, db_len);
    out[db_len] = '\0';
    memcpy(out + db_len + 1, name, name_len);
    for (size_t i = 0; fold_case && i < len; i++)
        out[i] = (char)fold_byte((uint8_t)out[i]);
    return len;
}

static entry *find_locked(entry *in, const char *key, size_t len)
{
    entry *e = NULL;

    HASH_FIND(hh, in, key, len, e);
    return e;
}

/* The entry of that name, made when it is missing. */
static entry *entry_locked(entry **in, const char *key, size_t len)
{
    entry *e = find_locked(*in, key, len);

    if (e == NULL) {
        e = gf_calloc(1, sizeof *e);
        e->key = gf_malloc(len);
        memcpy(e->key, key, len);
        HASH_ADD_KEYPTR(hh, *in, e->key, len, e);
    }
    return e;
}

static void keep_locked(gf_catalog *c, gf_table *t)
{
    if (c->all_count == c->all_cap) {
        c->all_cap = c->all_cap > 0 ? c->all_cap * 2 : 64;
        c->all = gf_realloc(c->all, c->all_cap * sizeof *c->all);
    }
    c->all[c->all_count++] = t;
    t->id = (uint32_t)c->all_count; /* 0 is no table */
}

void gf_catalog_put(gf_catalog *c, gf_table *t)
{
    char key[KEY_MAX];
    size_t len;

    pthread_mutex_lock(&c->lock);
    keep_locked(c, t);
    len = make_key(key, c->fold_case, t->db, strlen(t->db), t->name, strlen(t->name));
    assert(len > 0); /* names have at most 64 characters of 3 bytes */
    entry_locked(&c->current, key, len)->table = t;
    pthread_mutex_unlock(&c->lock);
}

void gf_catalog_remove(gf_catalog *c, const char *db, const char *name)
{
    char key[KEY_MAX];
    size_t len;
    entry *e;

    pthread_mutex_lock(&c->lock);
    len = make_key(key, c->fold_case, db, strlen(db), name, strlen(name));
    e = len > 0 ? find_locked(c->current, key, len) : NULL;
    if (e != NULL)
        drop_entry(&c->current, e);
    pthread_mutex_unlock(&c->lock);
}

const gf_table *gf_catalog_find(gf_catalog *c, const char *db, size_t db_len, const char *name, size_t name_len)
{
    const gf_table *found = NULL;
    char key[KEY_MAX];
    size_t len;
    entry *e;

    pthread_mutex_lock(&c->lock);
    len = make_key(key, c->fold_case, db, db_len, name, name_len);
    e = len > 0 ? find_locked(c->current, key, len) : NULL;
    if (e != NULL)
        found = e->table;
    pthread_mutex_unlock(&c->lock);
    return found;
}

void gf_catalog_add_sequence(gf_catalog *c, const char *db, const char *name)
{
    char key[KEY_MAX];
    size_t len;

    pthread_mutex_lock(&c->lock);
    len = make_key(key, c->fold_case, db, strlen(db), name, strlen(name));
    if (len > 0)
        entry_locked(&c->sequences, key, len);
    pthread_mutex_unlock(&c->lock);
}

bool gf_catalog_is_sequence(gf_catalog *c, const char *db, const char *name)
{
    char key[KEY_MAX];
    size_t len;
    bool found;

    pthread_mutex_lock(&c->lock);
    len = make_key(key, c->fold_case, db, strlen(db), name, strlen(name));
    found = len > 0 && find_locked(c->sequences, key, len) != NULL;
    pthread_mutex_unlock(&c->lock);
    return found;
}

size_t gf_catalog_count(gf_catalog *c)
{
    size_t count;

    pthread_mutex_lock(&c->lock);
    count = HASH_COUNT(c->current);
    pthread_mutex_unlock(&c->lock);
    return count;
}

static int by_name(const void *a, const void *b)
{
    const gf_table *ta = *(const gf_table *const *)a, *tb = *(const gf_table *const *)b;
    int order = strcmp(ta->db, tb->db);

    return order != 0 ? order : strcmp(ta->name, tb->name);
}

size_t gf_catalog_list(gf_catalog *c, const gf_table ***out)
{
    const gf_table **list;
    size_t count = 0;
    entry *e, *next;

    pthread_mutex_lock(&c->lock);
    list = gf_calloc(HASH_COUNT(c->current) + 1, sizeof(const gf_table *));
    HASH_ITER (hh, c->current, e, next)
        list[count++] = e->table;
    pthread_mutex_unlock(&c->lock);
    qsort(list, count, sizeof(const gf_table *), by_name);
    *out = list;
    return count;
}
