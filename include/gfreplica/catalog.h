/* SPDX-License-Identifier: MIT */
/*
 * catalog.h - the tables we move: columns, keys, character sets, names here and there.
 *
 * A gf_table is immutable once published: readers, decoder and writers share it without a lock. A new
 * definition (DDL) is a new gf_table; old ones live until the catalog is freed.
 *
 * Threads: gf_catalog_find, _put and _is_sequence take an inner lock; the rest is for one thread at a time.
 */
#ifndef GFREPLICA_CATALOG_H
#define GFREPLICA_CATALOG_H

#include "gfreplica/position.h"
#include "gfreplica/value.h"

typedef enum {
    GF_T_UNKNOWN,
    GF_T_TINY,
    GF_T_SHORT,
    GF_T_MEDIUM,
    GF_T_LONG,
    GF_T_LONGLONG,
    GF_T_YEAR,
    GF_T_BIT,
    GF_T_DECIMAL,
    GF_T_FLOAT,
    GF_T_DOUBLE,
    GF_T_DATE,
    GF_T_TIME,
    GF_T_DATETIME,
    GF_T_TIMESTAMP,
    GF_T_CHAR,
    GF_T_VARCHAR,
    GF_T_TEXT, /* with a character set */
    GF_T_BINARY,
    GF_T_VARBINARY,
    GF_T_BLOB, /* without */
    GF_T_ENUM,
    GF_T_SET,
    GF_T_JSON, /* JSON: MySQL's binary one only */
    GF_T_GEOMETRY,
    GF_T_VECTOR,
    GF_T_INET4,
    GF_T_INET6,
    GF_T_UUID
} gf_type;

typedef enum { GF_GEN_NONE, GF_GEN_VIRTUAL, GF_GEN_STORED } gf_generated;

typedef struct {
    char *name;      /* owned, utf8mb4 like all names */
    char *type_text; /* owned: information_schema.columns.column_type, "int(10) unsigned" */
    gf_type type;
    bool is_unsigned, nullable, auto_increment;
    bool invisible;    /* not in SELECT *; still in row events */
    bool row_period;   /* MariaDB system versioning's row start/end */
    bool old_temporal; /* MariaDB's pre-5.6 temporal format: no metadata in events */
    bool compressed;   /* MariaDB COMPRESSED column */
    bool json_types;   /* JSON whose values carry marks (value.h) */
    gf_generated generated;
    uint64_t char_bytes;       /* declared maximum in bytes: CHAR, VARCHAR, BINARY, VARBINARY, TEXT, BLOB */
    unsigned precision, scale; /* DECIMAL; FLOAT(m,d) and DOUBLE(m,d) when scale_given */
    bool scale_given;
    unsigned fsp;              /* temporal: 0..6 fraction digits */
    unsigned bits;             /* BIT(n) */
    char *charset, *collation; /* owned; NULL for types without */
    char **members;            /* owned: ENUM/SET members, utf8mb4 */
    unsigned member_count;
    /* Filled by gf_table_finish, for gf_row_claims alone: how values that the server holds equal are made equal. */
    uint8_t fold; /* gf_fold of src/catalog/fold.h */
    int8_t unit;  /* bytes of a code unit of its character set: 1, 2, 4; -2 = 2, little-endian */
} gf_column;

typedef struct {
    unsigned column; /* index into the table's columns */
    unsigned prefix; /* characters, 0 = whole column */
    bool descending;
} gf_key_part;

enum { GF_KEY_PARTS_MAX = 32 }; /* MariaDB's limit; MySQL's is 16 */

typedef struct {
    char *name;         /* owned; "PRIMARY" */
    gf_key_part *parts; /* owned */
    unsigned part_count;
    bool unique;     /* only unique keys are kept */
    bool nullable;   /* some part may be NULL */
    bool functional; /* has an expression part or WITHOUT OVERLAPS: parts lists the others */
    bool hashed;     /* MariaDB: enforced by a hidden DB_ROW_HASH_n, so it has no order to page by */
    bool invisible;  /* the optimizer ignores it (INVISIBLE, IGNORED); it is enforced all the same */
} gf_key;

typedef struct gf_table {
    uint32_t id;                   /* unique within the catalog, also across versions of one table */
    char *db, *name;               /* owned: on the source */
    char *target_db, *target_name; /* owned: after rewrites */
    char *source_sql;              /* owned: `db`.`name`, quoted */
    char *target_sql;              /* owned: the target's, quoted */
    char *label;                   /* owned: "db.name" for people */
    gf_column *columns;            /* owned, in table order: what row events carry */
    unsigned column_count;
    gf_key *keys; /* owned: unique keys, PRIMARY first */
    unsigned key_count;
    int identity;                      /* index into keys: PRIMARY, else the first usable unique NOT NULL key without
                                  prefix or expression; -1 = none, rule K applies */
    char *engine;                      /* owned */
    char *collation;                   /* owned: the table's default, NULL if not known */
    bool transactional;                /* InnoDB, XtraDB, TokuDB, RocksDB */
    bool system_versioned;             /* MariaDB: history rows, row period columns that may be in no list */
    bool hidden_hash;                  /* MariaDB: events carry an extra DB_ROW_HASH_n column at the end */
    unsigned hidden_columns;           /* how many such */
    char *create_sql;                  /* owned: SHOW CREATE TABLE of the source */
    uint64_t row_estimate, data_bytes; /* information_schema's guess at load time */
    /* "`a`,`b`,...": columns that are written (no generated ones), owned. writes[i] says it of column i. */
    char *write_columns;
    bool *writes;         /* owned */
    bool computes;        /* what the target computes for a row can be compared: stored generated columns */
    uint64_t fingerprint; /* of columns and keys: equal definitions have equal ones */
} gf_table;

/* Do affected rows mean what they say? Other engines keep a half of what a crash broke off, and a versioned table's
   history may count too. */
static inline bool gf_is_countable(const gf_table *t)
{
    return t->transactional && !t->system_versioned;
}

typedef struct gf_catalog gf_catalog;

/* What is moved and under which name. All owned by the config that holds it. */
typedef struct {
    char **items;
    size_t count;
} gf_names;
typedef struct {
    char **from, **to;
    size_t count;
} gf_renames;
typedef struct {
    gf_names db_whitelist, db_blacklist, table_whitelist, table_blacklist; /* exact names; "db.table" not used */
    gf_renames db_renames, table_renames;
    const char *marker_db; /* borrowed: never selected; NULL = "_gfreplica" */
    bool fold_case;        /* the source's lower_case_table_names is not 0: ASCII case of names does not count */
    bool json_types;       /* the source tells the types inside a JSON document, and the target keeps them */
} gf_filter;

bool gf_filter_db(const gf_filter *f, const char *db);                       /* system schemas never */
bool gf_filter_table(const gf_filter *f, const char *db, const char *table); /* includes gf_filter_db */
const char *gf_filter_target_db(const gf_filter *f, const char *db);         /* borrowed */
const char *gf_filter_target_table(const gf_filter *f, const char *table);   /* borrowed */

gf_catalog *gf_catalog_new(void);
void gf_catalog_free(gf_catalog *c);
/* From now on names are found whatever their ASCII case: for lower_case_table_names 1 and 2. On an empty catalog. */
void gf_catalog_fold_case(gf_catalog *c);
/* Takes t; replaces the entry of the same db and name, the old gf_table stays valid. Gives t its id. */
void gf_catalog_put(gf_catalog *c, gf_table *t);
void gf_catalog_remove(gf_catalog *c, const char *db, const char *name);
const gf_table *gf_catalog_find(gf_catalog *c, const char *db, size_t db_len, const char *name, size_t name_len);
/* Sequences are known by name alone: nothing of them is moved as rows. gf_catalog_find does not find them. */
void gf_catalog_add_sequence(gf_catalog *c, const char *db, const char *name);
bool gf_catalog_is_sequence(gf_catalog *c, const char *db, const char *name);
size_t gf_catalog_count(gf_catalog *c);
/* The current tables, ordered by db and name; *out is owned by the caller, the tables are borrowed. */
size_t gf_catalog_list(gf_catalog *c, const gf_table ***out);

struct st_mysql;
/* Load every selected base table with its columns and unique keys, in a few queries in all (60,000 tables are
   fine). lower_case: the source's lower_case_table_names. Views are left out and named in *left_out (lines,
   appended), sequences are left to gf_catalog_add_sequence. */
GF_MUST_CHECK bool gf_catalog_load(gf_catalog *c, struct st_mysql *source, gf_flavor flavor, const gf_filter *f,
                                   gf_buf *left_out, gf_error *err);
/* The same tables with their columns alone: no keys, no create_sql; two queries a database. */
GF_MUST_CHECK bool gf_catalog_load_layouts(gf_catalog *c, struct st_mysql *source, gf_flavor flavor, const gf_filter *f,
                                           gf_error *err);
/* Load one table as it is on `server` now under (server_db, server_name), as the definition of (db, name).
   *out is owned by the caller; *out = NULL when there is no such table. */
GF_MUST_CHECK bool gf_catalog_load_table(gf_table **out, struct st_mysql *server, gf_flavor flavor, const gf_filter *f,
                                         const char *db, const char *name, const char *server_db,
                                         const char *server_name, gf_error *err);
gf_table *gf_table_new(const char *db, const char *name); /* empty, for loaders and tests */
/* Fills what is derived: labels, quoted names, identity, write_columns, fingerprint. Call once when built. */
void gf_table_finish(gf_table *t, const char *target_db, const char *target_name);
void gf_table_free(gf_table *t);

/*
 * Keys in one canonical, reversible byte form, the same for events and chunks: per part
 * `kind u8 | length u32 LE | bytes`; integers as 8 bytes BE (sign bit flipped for signed columns), DOUBLE as its
 * 8 IEEE bytes BE, the rest as its bytes. Equal forms = the same key; used by windows, frontiers and the marker.
 */
void gf_key_encode(gf_buf *out, const gf_table *t, const gf_key *key, const gf_value *row);
/* The reverse. values has part_count slots, their bytes borrow from `encoded`. False if malformed. */
bool gf_key_decode(gf_value *values, const gf_table *t, const gf_key *key, gf_slice encoded);
/* For errors and JSON: "id=42, name='x'" with text cut at 64 bytes, non-printing bytes as hex. Appended. */
void gf_key_text(gf_buf *out, const gf_table *t, const gf_key *key, gf_slice encoded);

/*
 * What a row claims for rule C1: one 64-bit hash per unique key (identity first), made so that two values that the
 * server may hold equal (case, accents, trailing spaces) have the same one. Where that can't be told cheaply (text
 * outside printable ASCII under a collation that is not binary, an expression key) the claim is the whole key of the
 * table, "wild": GF_CLAIM_WILD is set in *wild and every row of that table conflicts. NULL parts claim nothing.
 * A table without identity claims itself. Appends to out (room for key_count + 1), returns how many.
 */
unsigned gf_row_claims(uint64_t *out, bool *wild, const gf_table *t, const gf_value *row);
/* The claim that stands for a whole table: what wild rows take exclusively and others share. */
uint64_t gf_table_claim(const gf_table *t);

#endif
