/* SPDX-License-Identifier: MIT */
/*
 * error.c - filling a gf_error, and what a server's error number lets the caller do.
 */
#include "gfreplica/error.h"

#include <errno.h>
#include <mysql.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(gf_error *err, gf_error_kind kind, unsigned native, const char *fmt, va_list ap)
{
    if (err == NULL)
        return;
    err->kind = kind;
    err->native = native;
    vsnprintf(err->text, sizeof err->text, fmt, ap);
}

static void append(gf_error *err, const char *text)
{
    size_t len;

    if (err == NULL)
        return;
    len = strlen(err->text);
    snprintf(err->text + len, sizeof err->text - len, "%s", text);
}

/* A message is one line, whatever a server puts into it. */
static void one_line(gf_error *err)
{
    if (err == NULL)
        return;
    for (char *p = err->text; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ')
            *p = ' ';
    }
}

bool gf_fail(gf_error *err, gf_error_kind kind, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(err, kind, 0, fmt, ap);
    va_end(ap);
    one_line(err);
    return false;
}

bool gf_fail_errno(gf_error *err, const char *fmt, ...)
{
    int saved = errno;
    char reason[128];
    va_list ap;

    va_start(ap, fmt);
    fill(err, GF_ERR_SYSTEM, (unsigned)saved, fmt, ap);
    va_end(ap);
    append(err, ": ");
    append(err, strerror_r(saved, reason, sizeof reason));
    one_line(err);
    return false;
}

/* Messages with a value of some row in them: it stands behind `before`, and ends at the last `behind` (NULL: the end). */
static const struct {
    unsigned code;
    const char *before, *behind;
} telling[] = {
    {1062, "entry '", "' for key "},       /* ER_DUP_ENTRY */
    {1586, "entry '", "' for key "},       /* ER_DUP_ENTRY_WITH_KEY_NAME */
    {1292, "value: '", "' for column "},   /* ER_TRUNCATED_WRONG_VALUE */
    {1366, "value: '", "' for column "},   /* ER_TRUNCATED_WRONG_VALUE_FOR_FIELD */
    {1411, "value: '", "' for function "}, /* ER_WRONG_VALUE_FOR_TYPE */
    {1300, "string: '", NULL},             /* ER_INVALID_CHARACTER_STRING */
    {1367, " '", "' value found"},         /* ER_ILLEGAL_VALUE_FOR_TYPE */
    {1525, "value: '", NULL},              /* ER_WRONG_VALUE */
    {1526, "for value ", NULL},            /* ER_NO_PARTITION_FOR_GIVEN_VALUE */
    {1918, "value '", "' when "},          /* ER_BAD_DATA (MariaDB) */
    {1064, "near '", NULL},                /* ER_PARSE_ERROR: of a statement that holds values */
    {1690, "in '", NULL},                  /* ER_DATA_OUT_OF_RANGE: an expression with its constants */
    {1761, "record '", NULL},              /* ER_FOREIGN_DUPLICATE_KEY_WITH_CHILD_INFO */
    {1762, "record '", NULL},              /* ER_FOREIGN_DUPLICATE_KEY_WITHOUT_CHILD_INFO */
    {3854, "string '", NULL},              /* ER_CANNOT_CONVERT_STRING */
};

static const char *find_last(const char *text, const char *wanted)
{
    const char *last = NULL;

    for (const char *p = strstr(text, wanted); p != NULL; p = strstr(p + 1, wanted))
        last = p;
    return last;
}

/* Values of rows are nobody's business but the tables' (docs/operations.md). A text in another language is left out. */
void gf_print_reason(char *out, size_t size, unsigned code, const char *text)
{
    for (size_t i = 0; i < sizeof telling / sizeof telling[0]; i++) {
        const char *value, *rest;

        if (telling[i].code != code)
            continue;
        value = strstr(text, telling[i].before);
        if (value == NULL) {
            snprintf(out, size, "error %u", code);
            return;
        }
        value += strlen(telling[i].before);
        rest = telling[i].behind != NULL ? find_last(value, telling[i].behind) : NULL;
        snprintf(out, size, "error %u: %.*s...%s", code, (int)(value - text), text, rest != NULL ? rest : "");
        return;
    }
    snprintf(out, size, "error %u: %s", code, text);
}

bool gf_fail_mysql(gf_error *err, MYSQL *db, const char *fmt, ...)
{
    unsigned code = mysql_errno(db);
    char reason[640];
    va_list ap;

    va_start(ap, fmt);
    fill(err, gf_mysql_error_kind(code), code, fmt, ap);
    va_end(ap);
    gf_print_reason(reason, sizeof reason, code, mysql_error(db));
    append(err, ": ");
    append(err, reason);
    one_line(err);
    return false;
}

bool gf_fail_context(gf_error *err, const char *fmt, ...)
{
    char inner[sizeof err->text];
    va_list ap;

    if (err == NULL)
        return false;
    memcpy(inner, err->text, sizeof inner);
    va_start(ap, fmt);
    fill(err, err->kind, err->native, fmt, ap);
    va_end(ap);
    append(err, ": ");
    append(err, inner);
    return false;
}

/* What passes by itself, and what only the operator can change; everything else is DATA. */
static const struct {
    unsigned code;
    gf_error_kind kind;
} kinds[] = {
    {2002, GF_ERR_RETRY},  /* CR_CONNECTION_ERROR: unix socket */
    {2003, GF_ERR_RETRY},  /* CR_CONN_HOST_ERROR */
    {2006, GF_ERR_RETRY},  /* CR_SERVER_GONE_ERROR */
    {2013, GF_ERR_RETRY},  /* CR_SERVER_LOST */
    {2026, GF_ERR_RETRY},  /* CR_SSL_CONNECTION_ERROR: a cut TLS link says so too */
    {2055, GF_ERR_RETRY},  /* CR_SERVER_LOST_EXTENDED */
    {1037, GF_ERR_RETRY},  /* ER_OUTOFMEMORY */
    {1021, GF_ERR_RETRY},  /* ER_DISK_FULL */
    {1040, GF_ERR_RETRY},  /* ER_CON_COUNT_ERROR */
    {1041, GF_ERR_RETRY},  /* ER_OUT_OF_RESOURCES */
    {1053, GF_ERR_RETRY},  /* ER_SERVER_SHUTDOWN */
    {1077, GF_ERR_RETRY},  /* ER_NORMAL_SHUTDOWN */
    {1114, GF_ERR_RETRY},  /* ER_RECORD_FILE_FULL: disk full for InnoDB */
    {1135, GF_ERR_RETRY},  /* ER_CANT_CREATE_THREAD */
    {1158, GF_ERR_RETRY},  /* ER_NET_READ_ERROR */
    {1159, GF_ERR_RETRY},  /* ER_NET_READ_INTERRUPTED */
    {1160, GF_ERR_RETRY},  /* ER_NET_ERROR_ON_WRITE */
    {1161, GF_ERR_RETRY},  /* ER_NET_WRITE_INTERRUPTED */
    {1180, GF_ERR_RETRY},  /* ER_ERROR_DURING_COMMIT */
    {1203, GF_ERR_RETRY},  /* ER_TOO_MANY_USER_CONNECTIONS */
    {1205, GF_ERR_RETRY},  /* ER_LOCK_WAIT_TIMEOUT */
    {1206, GF_ERR_RETRY},  /* ER_LOCK_TABLE_FULL */
    {1213, GF_ERR_RETRY},  /* ER_LOCK_DEADLOCK */
    {1226, GF_ERR_RETRY},  /* ER_USER_LIMIT_REACHED */
    {1290, GF_ERR_RETRY},  /* ER_OPTION_PREVENTS_STATEMENT: read_only */
    {1317, GF_ERR_RETRY},  /* ER_QUERY_INTERRUPTED: somebody's KILL QUERY */
    {1613, GF_ERR_RETRY},  /* ER_XA_RBTIMEOUT */
    {1614, GF_ERR_RETRY},  /* ER_XA_RBDEADLOCK */
    {1792, GF_ERR_RETRY},  /* ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION */
    {1836, GF_ERR_RETRY},  /* ER_READ_ONLY_MODE */
    {1878, GF_ERR_RETRY},  /* ER_TEMP_FILE_WRITE_FAILURE: disk full while an index is sorted */
    {1927, GF_ERR_RETRY},  /* ER_CONNECTION_KILLED (MariaDB) */
    {1969, GF_ERR_RETRY},  /* ER_STATEMENT_TIMEOUT (MariaDB) */
    {3024, GF_ERR_RETRY},  /* ER_QUERY_TIMEOUT */
    {3100, GF_ERR_RETRY},  /* ER_RUN_HOOK_ERROR: group replication is between views */
    {3101, GF_ERR_RETRY},  /* ER_TRANSACTION_ROLLBACK_DURING_COMMIT */
    {3572, GF_ERR_RETRY},  /* ER_LOCK_NOWAIT */
    {4031, GF_ERR_RETRY},  /* ER_CLIENT_INTERACTION_TIMEOUT */
    {1020, GF_ERR_RETRY},  /* ER_CHECKREAD: record changed since last read (MariaDB 11 snapshot isolation) */
    {1044, GF_ERR_CONFIG}, /* ER_DBACCESS_DENIED_ERROR */
    {1045, GF_ERR_CONFIG}, /* ER_ACCESS_DENIED_ERROR */
    {1049, GF_ERR_CONFIG}, /* ER_BAD_DB_ERROR */
    {1130, GF_ERR_CONFIG}, /* ER_HOST_NOT_PRIVILEGED */
    {1142, GF_ERR_CONFIG}, /* ER_TABLEACCESS_DENIED_ERROR */
    {1143, GF_ERR_CONFIG}, /* ER_COLUMNACCESS_DENIED_ERROR */
    {1146, GF_ERR_CONFIG}, /* ER_NO_SUCH_TABLE */
    {1153, GF_ERR_CONFIG}, /* ER_NET_PACKET_TOO_LARGE: max_allowed_packet */
    {1193, GF_ERR_CONFIG}, /* ER_UNKNOWN_SYSTEM_VARIABLE */
    {1227, GF_ERR_CONFIG}, /* ER_SPECIFIC_ACCESS_DENIED_ERROR */
    {1251, GF_ERR_CONFIG}, /* ER_NOT_SUPPORTED_AUTH_MODE */
    {1698, GF_ERR_CONFIG}, /* ER_ACCESS_DENIED_NO_PASSWORD_ERROR */
    {1820, GF_ERR_CONFIG}, /* ER_MUST_CHANGE_PASSWORD */
    {1862, GF_ERR_CONFIG}, /* ER_MUST_CHANGE_PASSWORD_LOGIN */
    {2005, GF_ERR_RETRY},  /* CR_UNKNOWN_HOST: name servers come back */
    {2019, GF_ERR_CONFIG}, /* CR_CANT_READ_CHARSET */
    {2020, GF_ERR_CONFIG}, /* CR_NET_PACKET_TOO_LARGE */
    {2059, GF_ERR_CONFIG}, /* CR_AUTH_PLUGIN_CANNOT_LOAD */
    {2061, GF_ERR_CONFIG}, /* CR_AUTH_PLUGIN_ERR */
    {3118, GF_ERR_CONFIG}, /* ER_ACCOUNT_HAS_BEEN_LOCKED */
    {3159, GF_ERR_CONFIG}, /* ER_SECURE_TRANSPORT_REQUIRED */
};

gf_error_kind gf_mysql_error_kind(unsigned code)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].code == code)
            return kinds[i].kind;
    }
    return GF_ERR_DATA;
}

const char *gf_error_kind_name(gf_error_kind kind)
{
    static const char *const names[] = {
        [GF_ERR_RETRY] = "retry",     [GF_ERR_CONFIG] = "config",     [GF_ERR_DATA] = "data",
        [GF_ERR_SYSTEM] = "system",   [GF_ERR_DIVERGED] = "diverged", [GF_ERR_GONE] = "gone",
        [GF_ERR_STOPPED] = "stopped",
    };
    return names[kind];
}
