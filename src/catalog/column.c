/* SPDX-License-Identifier: MIT */
/*
 * column.c - what information_schema says of a column, for MySQL 5.7 to 9 and MariaDB 10.5 to 11.
 *
 * data_type decides the type, column_type the rest that has no column of its own:
 *
 *     int(5) unsigned zerofill            bit(5)
 *     enum('a','b''c','d,e','\\')         quotes doubled; backslash, NUL, newline and return behind a backslash
 *     datetime(3) and a comment "mariadb-5.3": MariaDB's old temporal format
 *     varchar(10) and a comment "M!100301 COMPRESSED"
 *
 * The servers give column_type in three-byte UTF-8, so a member's character beyond it arrives as '?' (as it does in
 * SHOW CREATE TABLE; src/job/check_tables.c refuses to make such a table). Rows carry numbers of members.
 */
#include "column.h"

#include <stdlib.h>
#include <strings.h>

typedef struct {
    const char *name;
    gf_type type;
} type_name;

static const type_name type_names[] = {
    {"tinyint", GF_T_TINY},
    {"smallint", GF_T_SHORT},
    {"mediumint", GF_T_MEDIUM},
    {"int", GF_T_LONG},
    {"bigint", GF_T_LONGLONG},
    {"year", GF_T_YEAR},
    {"bit", GF_T_BIT},
    {"decimal", GF_T_DECIMAL},
    {"float", GF_T_FLOAT},
    {"double", GF_T_DOUBLE},
    {"date", GF_T_DATE},
    {"time", GF_T_TIME},
    {"datetime", GF_T_DATETIME},
    {"timestamp", GF_T_TIMESTAMP},
    {"char", GF_T_CHAR},
    {"varchar", GF_T_VARCHAR},
    {"tinytext", GF_T_TEXT},
    {"text", GF_T_TEXT},
    {"mediumtext", GF_T_TEXT},
    {"longtext", GF_T_TEXT},
    {"binary", GF_T_BINARY},
    {"varbinary", GF_T_VARBINARY},
    {"tinyblob", GF_T_BLOB},
    {"blob", GF_T_BLOB},
    {"mediumblob", GF_T_BLOB},
    {"longblob", GF_T_BLOB},
    {"enum", GF_T_ENUM},
    {"set", GF_T_SET},
    {"json", GF_T_JSON},
    {"geometry", GF_T_GEOMETRY},
    {"point", GF_T_GEOMETRY},
    {"linestring", GF_T_GEOMETRY},
    {"polygon", GF_T_GEOMETRY},
    {"multipoint", GF_T_GEOMETRY},
    {"multilinestring", GF_T_GEOMETRY},
    {"multipolygon", GF_T_GEOMETRY},
    {"geomcollection", GF_T_GEOMETRY},
    {"geometrycollection", GF_T_GEOMETRY},
    {"vector", GF_T_VECTOR},
    {"inet4", GF_T_INET4},
    {"inet6", GF_T_INET6},
    {"uuid", GF_T_UUID},
};

static gf_type type_of(const char *data_type)
{
    for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++)
        if (strcasecmp(type_names[i].name, data_type) == 0)
            return type_names[i].type;
    return GF_T_UNKNOWN;
}

static uint64_t number(const char *text)
{
    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static bool has_word(const char *text, const char *word)
{
    return text != NULL && strcasestr(text, word) != NULL;
}

static char *copy(const char *text)
{
    return text != NULL ? gf_strdup(text) : NULL;
}

/* One member from behind its opening quote; *p ends behind the closing one. */
static char *parse_member(const char **p)
{
    const char *s = *p;
    gf_buf b = {0};
    char *text;

    while (*s != '\0') {
        char c = *s++;

        if (c == '\'' && *s != '\'')
            break;
        if (c == '\'') {
            s++;
        } else if (c == '\\' && *s != '\0') {
            char escaped = *s++;

            c = escaped == 'n' ? '\n' : escaped == 'r' ? '\r' : escaped == '0' ? '\0' : escaped;
        }
        gf_buf_byte(&b, (uint8_t)c);
    }
    *p = s;
    text = gf_strndup(b.len > 0 ? (const char *)b.data : "", b.len);
    gf_buf_free(&b);
    return text;
}

unsigned gf_column_members(char ***out, const char *column_type)
{
    const char *p = strchr(column_type, '(');
    unsigned count = 0;

    *out = NULL;
    while (p != NULL && (p[0] == '(' || p[0] == ',') && p[1] == '\'') {
        p += 2;
        *out = gf_realloc(*out, (count + 1) * sizeof **out);
        (*out)[count++] = parse_member(&p);
    }
    return count;
}

/* Types whose column_type holds names of people's choice: a member 'unsigned' is no sign. */
static bool is_listed(gf_type type)
{
    return type == GF_T_ENUM || type == GF_T_SET;
}

static void fill_numbers(gf_column *col, const gf_column_facts *f)
{
    switch (col->type) {
    case GF_T_BIT: col->bits = (unsigned)number(f->precision); break;
    case GF_T_DECIMAL:
    case GF_T_FLOAT:
    case GF_T_DOUBLE:
        col->precision = (unsigned)number(f->precision);
        col->scale = (unsigned)number(f->scale);
        col->scale_given = f->scale != NULL;
        break;
    case GF_T_TIME:
    case GF_T_DATETIME:
    case GF_T_TIMESTAMP: col->fsp = (unsigned)number(f->fsp); break;
    default: break;
    }
}

static gf_generated generated_of(const char *extra)
{
    if (has_word(extra, "VIRTUAL GENERATED"))
        return GF_GEN_VIRTUAL;
    return has_word(extra, "STORED GENERATED") || has_word(extra, "PERSISTENT") ? GF_GEN_STORED : GF_GEN_NONE;
}

void gf_column_fill(gf_column *col, const gf_column_facts *f)
{
    col->name = gf_strdup(f->name);
    col->type_text = gf_strdup(f->column_type);
    col->type = type_of(f->data_type);
    col->nullable = strcasecmp(f->is_nullable, "YES") == 0;
    col->auto_increment = has_word(f->extra, "auto_increment");
    col->invisible = has_word(f->extra, "INVISIBLE");
    col->generated = generated_of(f->extra);
    col->row_period =
        f->generation != NULL && (strcmp(f->generation, "ROW START") == 0 || strcmp(f->generation, "ROW END") == 0);
    col->charset = copy(f->charset);
    col->collation = copy(f->collation);
    fill_numbers(col, f);
    if (is_listed(col->type)) {
        col->member_count = gf_column_members(&col->members, f->column_type);
        return;
    }
    col->char_bytes = number(f->octet_length);
    col->is_unsigned = has_word(f->column_type, "unsigned");
    col->compressed = has_word(f->column_type, "COMPRESSED");
    col->old_temporal = has_word(f->column_type, "mariadb-5.3") || has_word(f->column_type, "5.5 binary format");
}
