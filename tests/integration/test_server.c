/* SPDX-License-Identifier: MIT */
/*
 * Connecting to real servers: TLS modes, authentication plugins, sessions whatever the server's defaults are.
 *
 * MariaDB runs without TLS, MySQL with the test authority's certificate; both have hostile session defaults.
 */
#include <check.h>
#include <stdlib.h>

#include "gfreplica/server.h"
#include "harness/harness.h"
#include "run_suite.h"

enum { MARIADB, MYSQL_TLS };

static h_server *servers[2];
static char *tls_dir;

static void start_servers(void)
{
    static const char hostile[] = "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES --autocommit=OFF "
                                  "--default-time-zone=+05:30 --wait-timeout=5 --character-set-server=latin1";
    char *with_tls;

    tls_dir = h_tls_dir();
    with_tls = h_format("%s --ssl-ca=%s/ca.pem --ssl-cert=%s/server-cert.pem --ssl-key=%s/server-key.pem", hostile,
                        tls_dir, tls_dir, tls_dir);
    servers[MARIADB] = h_server_start("mariadb", hostile);
    servers[MYSQL_TLS] = h_server_start("mysql", with_tls);
    free(with_tls);
}

static void stop_servers(void)
{
    h_server_free(servers[MARIADB]);
    h_server_free(servers[MYSQL_TLS]);
    free(tls_dir);
}

static gf_server_config config_of(const h_server *server)
{
    return (gf_server_config){.role = (char *)"source",
                              .host = (char *)(uintptr_t)server->host,
                              .port = server->port,
                              .user = (char *)(uintptr_t)server->user,
                              .password = (char *)(uintptr_t)server->password};
}

/* What a server could ask for in its answer to any statement. */
START_TEST(files__are_not_given_away)
{
    gf_server_config config = config_of(servers[_i / 3]);
    gf_conn_use use = (gf_conn_use)(_i % 3);
    gf_error err;
    MYSQL *db;

    h_sql(servers[_i / 3],
          "SET GLOBAL local_infile=ON; CREATE DATABASE IF NOT EXISTS f; CREATE TABLE IF NOT EXISTS f.t%d (x TEXT)", _i);
    ck_assert_msg(gf_server_connect(&db, &config, use, &err), "%s", err.text);
    ck_assert(!gf_server_exec(db, "load", &err, "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE f.t%d", _i));
    ck_assert_int_eq(h_number(servers[_i / 3], "SELECT COUNT(*) FROM f.t%d", _i), 0);
    gf_server_close(db);
}
END_TEST

static const struct {
    int server;
    gf_tls_mode mode;
    const char *ca, *name;
    bool encrypted;
    const char *refusal; /* NULL: connects */
} tls_cases[] = {
    {MARIADB, GF_TLS_PREFERRED, NULL, NULL, false, NULL},
    {MARIADB, GF_TLS_OFF, NULL, NULL, false, NULL},
    {MARIADB, GF_TLS_REQUIRED, NULL, NULL, false, "has no TLS"},
    {MARIADB, GF_TLS_VERIFY_CA, "ca.pem", NULL, false, "has no TLS"},
    {MARIADB, GF_TLS_VERIFY_IDENTITY, "ca.pem", NULL, false, "has no TLS"},
    {MYSQL_TLS, GF_TLS_PREFERRED, NULL, NULL, true, NULL},
    {MYSQL_TLS, GF_TLS_OFF, NULL, NULL, false, NULL},
    {MYSQL_TLS, GF_TLS_REQUIRED, NULL, NULL, true, NULL},
    {MYSQL_TLS, GF_TLS_REQUIRED, "missing.pem", NULL, false, "missing.pem"},
    {MYSQL_TLS, GF_TLS_VERIFY_CA, "ca.pem", NULL, true, NULL},
    {MYSQL_TLS, GF_TLS_VERIFY_CA, "other-ca.pem", NULL, false, "does not hold"},
    {MYSQL_TLS, GF_TLS_VERIFY_CA, NULL, NULL, false, "does not hold"},
    {MYSQL_TLS, GF_TLS_VERIFY_IDENTITY, "ca.pem", NULL, true, NULL},
    {MYSQL_TLS, GF_TLS_VERIFY_IDENTITY, "ca.pem", "localhost", true, NULL},
    {MYSQL_TLS, GF_TLS_VERIFY_IDENTITY, "ca.pem", "elsewhere.invalid", false, "does not hold"},
};

START_TEST(tls__is_what_the_mode_says)
{
    gf_server_config config = config_of(servers[tls_cases[_i].server]);
    char *ca = tls_cases[_i].ca == NULL ? NULL : h_format("%s/%s", tls_dir, tls_cases[_i].ca);
    gf_error err = {0};
    MYSQL *db;
    bool ok;

    config.tls = tls_cases[_i].mode;
    config.tls_ca = ca;
    config.tls_server_name = (char *)(uintptr_t)tls_cases[_i].name;
    ok = gf_server_connect(&db, &config, GF_CONN_PLAIN, &err);
    if (tls_cases[_i].refusal != NULL) {
        ck_assert(!ok && err.kind == GF_ERR_CONFIG);
        ck_assert_msg(strstr(err.text, tls_cases[_i].refusal) != NULL, "%s", err.text);
    } else {
        ck_assert_msg(ok, "%s", err.text);
        ck_assert((mysql_get_ssl_cipher(db) != NULL) == tls_cases[_i].encrypted);
    }
    gf_server_close(db);
    free(ca);
}
END_TEST

/* What is in a row is in no message; what is there to do can be told without. */
static const struct {
    const char *sql, *says;
} telling[] = {
    {"INSERT INTO told.t VALUES (3, 'secret'' for key ''x', 1)", "error 1062: Duplicate entry '...' for key "},
    {"ALTER TABLE told.t ADD UNIQUE again (s)", "error 1062: Duplicate entry '...' for key "},
    {"INSERT INTO told.t VALUES (9, 'x', 'secret')", "error 1366: Incorrect integer value: '...' for column "},
    {"INSERT INTO told.p VALUES (4711)", "error 1526: Table has no partition for value ..."},
};

START_TEST(errors__hold_no_value_of_a_row)
{
    int family = _i % 2 == 0 ? MYSQL_TLS : MARIADB;
    gf_server_config config = config_of(servers[family]);
    gf_error err;
    MYSQL *db;

    h_sql(servers[family], "DROP DATABASE IF EXISTS told");
    h_sql(servers[family], "CREATE DATABASE told");
    h_sql(servers[family], "CREATE TABLE told.t (id INT PRIMARY KEY, v VARCHAR(30) UNIQUE, n INT, s VARCHAR(9) DEFAULT "
                           "'secret')");
    h_sql(servers[family], "INSERT INTO told.t (id, v) VALUES (1, 'secret'' for key ''x'), (2, 'secret')");
    h_sql(servers[family], "ALTER TABLE told.t MODIFY s VARCHAR(9) INVISIBLE");
    h_sql(servers[family], "CREATE TABLE told.p (v INT) PARTITION BY LIST (v) (PARTITION p VALUES IN (1))");
    ck_assert_msg(gf_server_connect(&db, &config, GF_CONN_PLAIN, &err), "%s", err.text);
    ck_assert(!gf_server_exec(db, "try", &err, "%s", telling[_i / 2].sql));
    ck_assert_msg(strstr(err.text, telling[_i / 2].says) != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, "secret") == NULL && strstr(err.text, "4711") == NULL, "%s", err.text);
    gf_server_close(db);
}
END_TEST

START_TEST(tls__gives_the_client_certificate)
{
    gf_server_config config = config_of(servers[MYSQL_TLS]);
    char *cert = h_format("%s/client-cert.pem", tls_dir), *key = h_format("%s/client-key.pem", tls_dir);
    gf_error err;
    MYSQL *db;

    h_sql(servers[MYSQL_TLS], "CREATE USER certified@'%%' IDENTIFIED BY 'pw' REQUIRE X509");
    config.user = (char *)"certified";
    config.password = (char *)"pw";
    config.tls = GF_TLS_REQUIRED;
    ck_assert(!gf_server_connect(&db, &config, GF_CONN_PLAIN, &err));
    config.tls_cert = cert;
    ck_assert(!gf_server_connect(&db, &config, GF_CONN_PLAIN, &err));
    ck_assert_msg(strstr(err.text, "needs its key") != NULL, "%s", err.text);
    config.tls_key = key;
    ck_assert_msg(gf_server_connect(&db, &config, GF_CONN_PLAIN, &err), "%s", err.text);
    gf_server_close(db);
    free(cert);
    free(key);
}
END_TEST

static const struct {
    int server;
    const char *user, *create;
} plugins[] = {
    {MYSQL_TLS, "sha2", "CREATE USER sha2@'%' IDENTIFIED WITH caching_sha2_password BY 'pw'"},
    {MARIADB, "ed", "INSTALL SONAME 'auth_ed25519'; CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('pw')"},
    {MARIADB, "native", "CREATE USER native@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('pw')"},
};

START_TEST(password__is_taken_by_every_plugin_with_and_without_tls)
{
    gf_server_config config = config_of(servers[plugins[_i].server]);
    gf_error err;

    h_sql(servers[plugins[_i].server], "%s", plugins[_i].create);
    config.user = (char *)(uintptr_t)plugins[_i].user;
    for (int wrong = 0; wrong < 2; wrong++) {
        for (int mode = GF_TLS_PREFERRED; mode <= GF_TLS_OFF; mode++) {
            MYSQL *db;
            bool ok;

            config.tls = (gf_tls_mode)mode;
            config.password = (char *)(uintptr_t)(wrong ? "no" : "pw");
            ok = gf_server_connect(&db, &config, GF_CONN_PLAIN, &err);
            ck_assert_msg(ok == !wrong, "%s", err.text);
            ck_assert(ok || (err.kind == GF_ERR_CONFIG && err.native == 1045));
            gf_server_close(db);
        }
    }
}
END_TEST

static char *scalar(MYSQL *db, const char *sql)
{
    gf_error err;
    char *value;

    ck_assert_msg(gf_server_scalar(&value, db, "ask", &err, "%s", sql), "%s", err.text);
    return value;
}

static void assert_session(MYSQL *db, const char *sql, const char *expected)
{
    char *value = scalar(db, sql);

    ck_assert_str_eq(value, expected);
    free(value);
}

/* _i & 1 is the server, _i >> 1 the use. */
START_TEST(session__inherits_nothing)
{
    static const char *const charsets[] = {"utf8mb4", "binary", "binary"};
    gf_conn_use use = (gf_conn_use)(_i >> 1);
    gf_server_config config = config_of(servers[_i & 1]);
    gf_error err;
    MYSQL *db;

    ck_assert_msg(gf_server_connect(&db, &config, use, &err), "%s", err.text);
    assert_session(db, "SELECT @@sql_mode LIKE '%ANSI%' OR @@sql_mode LIKE '%BACKSLASH%'", "0");
    assert_session(db, "SELECT @@sql_mode LIKE '%STRICT_ALL_TABLES%' AND @@sql_mode LIKE '%NO_AUTO_VALUE_ON_ZERO%'",
                   "1");
    assert_session(db, "SELECT @@time_zone", "+00:00");
    assert_session(db, "SELECT @@autocommit", use == GF_CONN_WRITER ? "0" : "1");
    assert_session(db, "SELECT @@foreign_key_checks", use == GF_CONN_WRITER ? "0" : "1");
    assert_session(db, "SELECT @@character_set_client", charsets[use]);
    assert_session(db, "SELECT @@wait_timeout > 86400", "1");
    gf_server_close(db);
}
END_TEST

/* But not over what rows depend on. */
START_TEST(params__win_and_are_checked)
{
    char *names[] = {(char *)"wait_timeout",          (char *)"lock_wait_timeout",    (char *)"sql_mode",
                     (char *)"sql_select_limit",      (char *)"character_set_client", (char *)"character_set_results",
                     (char *)"transaction_isolation", (char *)"completion_type",      (char *)"sql_safe_updates"},
         *values[] = {(char *)"77",     (char *)"78",     (char *)"ANSI_QUOTES",      (char *)"3",
                      (char *)"latin1", (char *)"latin1", (char *)"READ-UNCOMMITTED", (char *)"2",
                      (char *)"1"};
    gf_server_config config = config_of(servers[_i]);
    gf_error err;
    MYSQL *db;

    if (_i == 0)
        names[6] = (char *)"tx_isolation"; /* MariaDB's name until 11.1 */
    config.params = (gf_renames){names, values, 9};
    ck_assert_msg(gf_server_connect(&db, &config, GF_CONN_PLAIN, &err), "%s", err.text);
    assert_session(db, "SELECT @@wait_timeout", "77");
    assert_session(db, "SELECT @@lock_wait_timeout", "78");
    assert_session(db, "SELECT @@sql_mode LIKE '%ANSI_QUOTES%'", "0");
    assert_session(db, "SELECT @@sql_select_limit", "18446744073709551615");
    assert_session(db, "SELECT @@character_set_client", "utf8mb4");
    assert_session(db, "SELECT @@character_set_results", "utf8mb4");
    assert_session(db, _i == 0 ? "SELECT @@tx_isolation" : "SELECT @@transaction_isolation", "REPEATABLE-READ");
    assert_session(db, "SELECT @@completion_type", "NO_CHAIN");
    assert_session(db, "SELECT @@sql_safe_updates", "0");
    gf_server_close(db);
    names[0] = (char *)"wait_timeout=1, global read_only";
    ck_assert(!gf_server_connect(&db, &config, GF_CONN_PLAIN, &err) && err.kind == GF_ERR_CONFIG);
    names[0] = (char *)"no_such_variable";
    ck_assert(!gf_server_connect(&db, &config, GF_CONN_PLAIN, &err) && err.kind == GF_ERR_CONFIG);
}
END_TEST

START_TEST(quote__survives_the_server)
{
    gf_server_config config = config_of(servers[_i]);
    uint8_t bytes[256];
    gf_buf sql = {0};
    gf_error err;
    MYSQL_RES *result;
    MYSQL *db;

    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    ck_assert_msg(gf_server_connect(&db, &config, GF_CONN_WRITER, &err), "%s", err.text);
    gf_buf_str(&sql, "SELECT ");
    gf_buf_quote(&sql, bytes, sizeof bytes);
    ck_assert_int_eq(mysql_real_query(db, (const char *)sql.data, sql.len), 0);
    result = mysql_store_result(db);
    ck_assert_mem_eq(mysql_fetch_row(result)[0], bytes, sizeof bytes);
    mysql_free_result(result);
    gf_server_close(db);
    gf_buf_free(&sql);
}
END_TEST

START_TEST(unix_socket__is_used_when_given)
{
    gf_server_config config = config_of(servers[_i]);
    gf_error err;
    MYSQL *db;

    config.socket = servers[_i]->socket;
    config.host = NULL;
    ck_assert_msg(gf_server_connect(&db, &config, GF_CONN_PLAIN, &err), "%s", err.text);
    ck_assert(strstr(mysql_get_host_info(db), "socket") != NULL);
    gf_server_close(db);
}
END_TEST

#define ADD_EACH(tc, test, table) tcase_add_loop_test(tc, test, 0, (int)(sizeof(table) / sizeof(table)[0]))

int main(void)
{
    Suite *suite = suite_create("server");
    TCase *tc = tcase_create("server");

    tcase_add_unchecked_fixture(tc, start_servers, stop_servers);
    tcase_set_timeout(tc, 60);
    ADD_EACH(tc, tls__is_what_the_mode_says, tls_cases);
    tcase_add_test(tc, tls__gives_the_client_certificate);
    ADD_EACH(tc, password__is_taken_by_every_plugin_with_and_without_tls, plugins);
    tcase_add_loop_test(tc, errors__hold_no_value_of_a_row, 0, 2 * (int)(sizeof telling / sizeof telling[0]));
    tcase_add_loop_test(tc, session__inherits_nothing, 0, 6);
    tcase_add_loop_test(tc, params__win_and_are_checked, 0, 2);
    tcase_add_loop_test(tc, quote__survives_the_server, 0, 2);
    tcase_add_loop_test(tc, files__are_not_given_away, 0, 6);
    tcase_add_loop_test(tc, unix_socket__is_used_when_given, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
