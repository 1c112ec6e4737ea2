/* SPDX-License-Identifier: MIT */
/*
 * test_cli.c - flags, environment, option files and CONF.json: what is taken, what wins, what is refused and how.
 */
#include <check.h>
#include <ctype.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/cli/options.h"
#include "gfreplica/cli.h"
#include "gfreplica/log.h"
#include "run_suite.h"

static char dir[64], conf[96];
static gf_error err;
static gf_cli cli;

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/gfreplica-cli-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(conf, sizeof conf, "%s/conf.json", dir);
    setenv("HOME", dir, 1);
    for (size_t i = 0; i < cli_option_count; i++) { /* nothing of whoever runs this */
        char name[128];

        if (cli_options[i].flag == NULL)
            continue;
        snprintf(name, sizeof name, "GFREPLICA_%s", cli_options[i].flag);
        for (char *p = name; *p != '\0'; p++)
            *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
        unsetenv(name);
    }
    memset(&err, 0, sizeof err);
    memset(&cli, 0, sizeof cli);
}

static void teardown(void)
{
    char command[128];

    gf_cli_free(&cli);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static char *write_file(const char *name, const char *text, mode_t mode)
{
    static char path[160];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    chmod(path, mode);
    return path;
}

/* Arguments, NULL at the end. What goes to stderr meanwhile is kept in `warnings`. */
static char warnings[16384];

static bool vparse(const char *first, va_list ap)
{
    char *argv[32] = {(char[]){"gfreplica"}};
    int argc = 1, saved = dup(STDERR_FILENO), fd;
    char path[160];
    ssize_t n;
    bool ok;

    for (const char *a = first; a != NULL; a = va_arg(ap, const char *))
        argv[argc++] = gf_strdup(a);
    snprintf(path, sizeof path, "%s/stderr", dir);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDERR_FILENO);
    ok = gf_cli_parse(&cli, argc, argv, &err);
    dup2(saved, STDERR_FILENO);
    close(saved);
    n = pread(fd, warnings, sizeof warnings - 1, 0);
    warnings[n < 0 ? 0 : n] = '\0';
    close(fd);
    for (int i = 1; i < argc; i++)
        free(argv[i]);
    return ok;
}

static void parses(const char *first, ...)
{
    va_list ap;

    gf_cli_free(&cli);
    va_start(ap, first);
    ck_assert_msg(vparse(first, ap), "%s", err.text);
    va_end(ap);
}

static void fails(const char *because, const char *first, ...)
{
    va_list ap;

    va_start(ap, first);
    ck_assert_msg(!vparse(first, ap), "\"%s\" was expected", because);
    va_end(ap);
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    ck_assert_msg(strstr(err.text, because) != NULL, "\"%s\" lacks \"%s\"", err.text, because);
}

static void json(const char *text)
{
    write_file("conf.json", text, 0600);
}

#define BOTH "--source", "mysql://a@s", "--target", "mysql://b@t"

/* ---- commands ---- */

START_TEST(command__is_found_before_and_behind_flags)
{
    static const struct {
        const char *name;
        gf_command command;
    } all[] = {{"status", GF_CMD_STATUS}, {"cutover", GF_CMD_CUTOVER}, {"pause", GF_CMD_PAUSE},
               {"resume", GF_CMD_RESUME}, {"stop", GF_CMD_STOP},       {"export-state", GF_CMD_EXPORT_STATE}};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        parses(all[i].name, "--checkpoint-dir", "/x", NULL);
        ck_assert_int_eq(cli.command, all[i].command);
        parses("--checkpoint-dir=/x", all[i].name, NULL);
        ck_assert_int_eq(cli.command, all[i].command);
        ck_assert_str_eq(cli.config.checkpoint_dir, "/x");
    }
    parses("run", BOTH, NULL);
    ck_assert_int_eq(cli.command, GF_CMD_RUN);
    parses(BOTH, NULL);
    ck_assert_int_eq(cli.command, GF_CMD_RUN);
    parses("check", BOTH, NULL);
    ck_assert_int_eq(cli.command, GF_CMD_CHECK);
}
END_TEST

START_TEST(command__takes_its_operand)
{
    parses("import-state", "--checkpoint-dir", "/x", "state.json", NULL);
    ck_assert_int_eq(cli.command, GF_CMD_IMPORT_STATE);
    ck_assert_str_eq(cli.file, "state.json");
    fails("STATE.json is missing", "import-state", NULL);
    parses("docs", "man", NULL);
    ck_assert_str_eq(cli.file, "man");
    fails("no section \"cooking\"", "docs", "cooking", NULL);
    parses("status", "--json", NULL);
    ck_assert(cli.json);
    parses("export-state", "--format=native", NULL);
    ck_assert(cli.native);
    parses("export-state", NULL);
    ck_assert(!cli.native);
    fails("neither ghostferry nor native", "export-state", "--format", "xml", NULL);
}
END_TEST

START_TEST(command__help_and_version_need_nothing_else)
{
    parses("--help", NULL);
    ck_assert_int_eq(cli.command, GF_CMD_HELP);
    parses("-h", NULL);
    ck_assert_int_eq(cli.command, GF_CMD_HELP);
    parses("help", NULL);
    ck_assert_int_eq(cli.command, GF_CMD_HELP);
    parses("--version", NULL);
    ck_assert_int_eq(cli.command, GF_CMD_VERSION);
    parses("version", NULL);
    ck_assert_int_eq(cli.command, GF_CMD_VERSION);
}
END_TEST

START_TEST(command__that_is_none_and_no_file_is_named)
{
    fails("\"statsu\" is neither a command nor a file", "statsu", NULL);
}
END_TEST

/* ---- flags ---- */

START_TEST(flags__may_be_written_as_ghostferry_does)
{
    json("{\"Source\":{\"Host\":\"s\"},\"Target\":{\"Host\":\"t\"}}");
    parses("-verbose", "-resumestate", "state-dump.json", conf, NULL);
    ck_assert(cli.config.verbose);
    ck_assert_uint_eq(cli.config.log_level, GF_LOG_DEBUG);
    ck_assert_str_eq(cli.config.resume_state, "state-dump.json");
    ck_assert_str_eq(cli.config.config_path, conf);
    ck_assert_str_eq(cli.config.source.user, "ghostferry");
    ck_assert_uint_eq(cli.config.source.port, 3306);
    parses("-verbose=false", "-dryrun=true", "-resumestate=x.json", conf, NULL);
    ck_assert(!cli.config.verbose);
    ck_assert(cli.config.dry_run);
    ck_assert_str_eq(cli.config.resume_state, "x.json");
    parses("--dryrun", conf, NULL);
    ck_assert(cli.config.dry_run);
}
END_TEST

START_TEST(flags__that_are_unknown_are_named_with_the_nearest)
{
    fails("unknown or ambiguous flag --chekpoint-dir; the nearest known one is --checkpoint-dir", "--chekpoint-dir=/x",
          NULL);
    fails("unknown flag --xyzzyplugh", "--xyzzyplugh", NULL);
    fails("--checkpoint-dir needs a value", "--checkpoint-dir", NULL);
    fails("--readers: \"many\" is not a whole number", BOTH, "--readers", "many", NULL);
    fails("--readers: 0 is out of range (1 to 256)", BOTH, "--readers", "0", NULL);
    fails("--chunk-time: \"soon\" is not a duration", BOTH, "--chunk-time", "soon", NULL);
    fails("is not one of preferred, off, required", BOTH, "--source-tls", "maybe", NULL);
}
END_TEST

START_TEST(flags__set_what_they_say)
{
    parses(BOTH, "--databases", "a,b", "--databases", "c", "--rename-database", "a=x", "--rename-database", "b=y",
           "--memory", "64MiB", "--chunk-bytes", "1M", "--chunk-time", "1.5s", "--retry-timeout", "2m", "--heartbeat",
           "750", "--automatic-cutover", "--chunk-rows", "500", NULL);
    ck_assert_uint_eq(cli.config.filter.db_whitelist.count, 3);
    ck_assert_str_eq(cli.config.filter.db_whitelist.items[2], "c");
    ck_assert_uint_eq(cli.config.filter.db_renames.count, 2);
    ck_assert_str_eq(cli.config.filter.db_renames.to[1], "y");
    ck_assert_uint_eq(cli.config.memory_bytes, 64u << 20);
    ck_assert_uint_eq(cli.config.chunk_bytes, 1u << 20);
    ck_assert_uint_eq(cli.config.chunk_ms, 1500);
    ck_assert_uint_eq(cli.config.retry_timeout, 120);
    ck_assert_uint_eq(cli.config.heartbeat_ms, 750);
    ck_assert(atomic_load(&cli.config.live.automatic_cutover));
    ck_assert_uint_eq(atomic_load(&cli.config.live.chunk_rows), 500);
}
END_TEST

START_TEST(defaults__are_what_the_documentation_says)
{
    const gf_config *c = &cli.config;

    parses(BOTH, NULL);
    ck_assert_str_eq(warnings, "");
    ck_assert_uint_eq(c->readers, 4);
    ck_assert_uint_eq(c->writers, 4);
    ck_assert_uint_eq(c->chunk_bytes, 2u << 20);
    ck_assert_uint_eq(c->chunk_ms, 500);
    ck_assert_uint_eq(c->range_rows, 200000);
    ck_assert_uint_eq(c->memory_bytes, 96u << 20);
    ck_assert_uint_eq(c->batch_rows, 1000);
    ck_assert_uint_eq(c->batch_bytes, 1u << 20);
    ck_assert_uint_eq(c->heartbeat_ms, 5000);
    ck_assert_uint_eq(c->retry_timeout, 600);
    ck_assert(c->control_enabled);
    ck_assert_str_eq(c->control_bind, "127.0.0.1:8000");
    ck_assert_str_eq(c->marker_db, "_gfreplica");
    ck_assert_str_eq(c->job, "default");
    ck_assert(!atomic_load(&c->live.automatic_cutover));
    ck_assert_uint_eq(c->log_level, GF_LOG_INFO);
    ck_assert_str_eq(c->source.role, "source");
    ck_assert_str_eq(c->target.role, "target");
    ck_assert_ptr_null(c->source_primary.host);
    ck_assert_str_eq(c->checkpoint_dir, "./gfreplica-checkpoint");
}
END_TEST

START_TEST(checkpoint_dir__stands_next_to_the_config_file)
{
    char want[160];

    json("{\"Source\":{\"Host\":\"s\"},\"Target\":{\"Host\":\"t\"}}");
    parses(conf, NULL);
    snprintf(want, sizeof want, "%s/conf.gfreplica", dir);
    ck_assert_str_eq(cli.config.checkpoint_dir, want);
    parses("--checkpoint-dir", "/elsewhere", conf, NULL);
    ck_assert_str_eq(cli.config.checkpoint_dir, "/elsewhere");
}
END_TEST

/* ---- servers ---- */

START_TEST(url__sets_all_parts_of_a_server)
{
    const gf_server_config *s = &cli.config.source;

    parses("--source", "mysql://me%40home@db.example:3307/?tls=verify-ca&tls-ca=/etc/ca.pem&read-timeout=5s",
           "--target", "mariadb://[::1]:3308", NULL);
    ck_assert_str_eq(s->user, "me@home");
    ck_assert_str_eq(s->host, "db.example");
    ck_assert_uint_eq(s->port, 3307);
    ck_assert_int_eq((int)s->tls, GF_TLS_VERIFY_CA);
    ck_assert_str_eq(s->tls_ca, "/etc/ca.pem");
    ck_assert_uint_eq(s->read_timeout, 5);
    ck_assert_str_eq(cli.config.target.host, "::1");
    ck_assert_uint_eq(cli.config.target.port, 3308);
    parses("--source", "mysql://u@localhost/?socket=%2Frun%2Fm.sock", "--target", "mysql://t", NULL);
    ck_assert_str_eq(s->socket, "/run/m.sock");
    ck_assert_ptr_null(s->host);
}
END_TEST

START_TEST(url__is_refused_with_a_password_and_never_shown)
{
    static const char *const urls[] = {"mysql://u:s3cret@h",         "mysql://u:s3/cret@h",  "mysql://u:s3cret@h:1/?x",
                                       "mysql://h/?password=s3cret", "mysql://u@h:s3cret@x", "s3cret"};

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        fails("--source", "--target", "mysql://t", "--source", urls[i], NULL);
        ck_assert_ptr_null(strstr(err.text, "s3"));
        ck_assert_ptr_null(strstr(err.text, "cret"));
        ck_assert_ptr_null(strstr(warnings, "cret"));
    }
    fails("may not hold a password", "--source", "mysql://u:s3cret@h", NULL);
    fails("--databases", "--source", "mysql://h/shop", NULL);
    fails("no setting \"colour\"", "--source", "mysql://h/?colour=red", NULL);
}
END_TEST

START_TEST(password__is_never_an_argument)
{
    fails("--source-password-file", BOTH, "--source-password=s3cret", NULL);
    ck_assert_ptr_null(strstr(err.text, "s3cret"));
    fails("--target-password-file", BOTH, "-target-password", "s3cret", NULL);
    ck_assert_ptr_null(strstr(err.text, "s3cret"));
}
END_TEST

START_TEST(password__comes_from_file_environment_option_file_or_json)
{
    const char *file;

    json("{\"Source\":{\"Host\":\"s\",\"Pass\":\"from json\"},\"Target\":{\"Host\":\"t\"}}");
    parses(conf, NULL);
    ck_assert_str_eq(cli.config.source.password, "from json");
    write_file(".my.cnf", "[client]\npassword=no\n[gfreplica-source]\npassword = \"from option file\"\n", 0600);
    parses(conf, NULL);
    ck_assert_str_eq(cli.config.source.password, "from option file");
    setenv("GFREPLICA_SOURCE_PASSWORD", "from environment", 1);
    parses(conf, NULL);
    ck_assert_str_eq(cli.config.source.password, "from environment");
    file = write_file("pw", "from file\nnot this\n", 0600);
    parses("--source-password-file", file, conf, NULL);
    ck_assert_str_eq(cli.config.source.password, "from file");
    ck_assert_ptr_null(cli.config.target.password);
    fails("no-such-file", "--source-password-file", "/no-such-file", conf, NULL);
}
END_TEST

START_TEST(option_file__is_read_as_the_servers_do)
{
    const char *file = write_file("opts.cnf",
                                  "# comment\n; another\n[mysqld]\nport=1\n\n[gfreplica-source]\nhost=s\n"
                                  "user='u # x'\npassword=a\\\\b\\s\nssl_ca=/ca\nssl-mode=VERIFY_CA\n"
                                  "[gfreplica-target]\nsocket=/t.sock\n[gfreplica]\nreaders=7\nverbose\n",
                                  0600);
    const gf_config *c = &cli.config;

    parses("--defaults-file", file, NULL);
    ck_assert_str_eq(c->source.user, "u # x");
    ck_assert_str_eq(c->source.password, "a\\b ");
    ck_assert_str_eq(c->source.tls_ca, "/ca");
    ck_assert_int_eq((int)c->source.tls, GF_TLS_VERIFY_CA);
    ck_assert_str_eq(c->target.socket, "/t.sock");
    ck_assert_uint_eq(c->readers, 7);
    ck_assert(c->verbose);
    file = write_file("opts.cnf", "[gfreplica-source]\nhots=s\n", 0644);
    fails("opts.cnf:2: hots is no setting of [gfreplica-source]", "--defaults-file", file, NULL);
    ck_assert_ptr_nonnull(strstr(warnings, "chmod 600"));
    fails("no-such", "--defaults-file", "/no-such", NULL);
}
END_TEST

START_TEST(tls__with_a_ca_means_that_the_server_is_verified)
{
    json(
        "{\"Source\":{\"Host\":\"s\",\"TLS\":{\"CertPath\":\"/ca\",\"ServerName\":\"db\"}},\"Target\":{\"Host\":\"t\"}}");
    parses(conf, NULL);
    ck_assert_int_eq((int)cli.config.source.tls, GF_TLS_VERIFY_IDENTITY);
    ck_assert_str_eq(cli.config.source.tls_server_name, "db");
    ck_assert_int_eq((int)cli.config.target.tls, GF_TLS_PREFERRED);
    fails("go together", BOTH, "--source-tls-cert", "/c", NULL);
    fails("TLS is off", BOTH, "--source-tls", "off", "--source-tls-ca", "/c", NULL);
}
END_TEST

START_TEST(net__unix_takes_the_host_as_socket)
{
    json("{\"Source\":{\"Net\":\"unix\",\"Host\":\"/s.sock\"},\"Target\":{\"Host\":\"t\"}}");
    parses(conf, NULL);
    ck_assert_str_eq(cli.config.source.socket, "/s.sock");
    ck_assert_ptr_null(cli.config.source.host);
    parses("--source-host", "db", conf, NULL); /* a flag's host is a host */
    ck_assert_str_eq(cli.config.source.host, "db");
    ck_assert_ptr_null(cli.config.source.socket);
    json("{\"Source\":{\"Net\":\"udp\",\"Host\":\"s\"},\"Target\":{\"Host\":\"t\"}}");
    fails("neither \"tcp\" nor \"unix\"", conf, NULL);
}
END_TEST

START_TEST(params__are_session_variables_only)
{
    json("{\"Source\":{\"Host\":\"s\",\"Params\":{\"time_zone\":\"'+00:00'\",\"foreign_key_checks\":\"0\","
         "\"charset\":\"utf8mb4\",\"tls\":\"true\"}},\"Target\":{\"Host\":\"t\"}}");
    parses(conf, NULL);
    ck_assert_uint_eq(cli.config.source.params.count, 1);
    ck_assert_str_eq(cli.config.source.params.from[0], "foreign_key_checks");
    ck_assert_ptr_nonnull(strstr(warnings, "charset has no effect"));
    ck_assert_int_eq((int)cli.config.source.tls, GF_TLS_VERIFY_IDENTITY);
    json("{\"Source\":{\"Host\":\"s\",\"Params\":{\"time_zone\":\"'+01:00'\"}},\"Target\":{\"Host\":\"t\"}}");
    fails("time_zone can't be chosen", conf, NULL);
    json("{\"Source\":{\"Host\":\"s\",\"Params\":{\"x=1,y\":\"1\"}},\"Target\":{\"Host\":\"t\"}}");
    fails("no variable's name", conf, NULL);
}
END_TEST

START_TEST(primary__is_looked_at_only_with_its_switch)
{
    json("{\"Source\":{\"Host\":\"s\"},\"Target\":{\"Host\":\"t\"},\"SourceReplicationMaster\":{\"Host\":\"m\"}}");
    parses(conf, NULL);
    ck_assert_ptr_null(cli.config.source_primary.host);
    fails("ReplicatedMasterPositionQuery", "--run-from-replica", conf, NULL);
    parses("--run-from-replica", "--replicated-position-query", "SELECT 1, 2", conf, NULL);
    ck_assert_str_eq(cli.config.source_primary.host, "m");
    ck_assert_uint_eq(cli.config.source_primary.port, 3306);
}
END_TEST

/* ---- CONF.json ---- */

/* Every key that ghostferry-copydb has. */
static const char full_config[] =
    "{\"Source\":{\"Host\":\"db1\",\"Port\":3310,\"Net\":\"tcp\",\"User\":\"u\",\"Pass\":\"s3cret\","
    "\"Collation\":\"utf8mb4_unicode_ci\",\"Params\":{\"charset\":\"utf8mb4\"},\"TLS\":{\"CertPath\":\"/ca\","
    "\"ServerName\":\"n\"},\"ReadTimeout\":30,\"WriteTimeout\":31,\"Marginalia\":\"application:x\"},"
    "\"Target\":{\"Host\":\"db2\",\"User\":\"u\",\"Pass\":\"\",\"TLS\":null},"
    "\"SourceReplicationMaster\":{\"Host\":\"db0\",\"Port\":3306,\"User\":\"u\",\"Pass\":\"p\"},"
    "\"RunFerryFromReplica\":true,\"ReplicatedMasterPositionQuery\":\"SELECT file, pos FROM heartbeat\","
    "\"WaitForReplicationTimeout\":\"90s\","
    "\"Databases\":{\"Whitelist\":[\"abc\"],\"Blacklist\":[],\"Rewrites\":{\"abc\":\"abc2\"}},"
    "\"Tables\":{\"Whitelist\":null,\"Blacklist\":[\"skip\"],\"Rewrites\":{\"t\":\"t2\"}},"
    "\"TablesToBeCreatedFirst\":[\"abc.a\",\"abc.b\"],\"AllowExistingTargetTable\":true,"
    "\"DatabaseRewrites\":{\"zzz\":\"y\"},\"TableRewrites\":{},\"DBWriteRetries\":5,\"DBReadRetries\":5,"
    "\"TableFilter\":null,\"CopyFilter\":null,\"MyServerId\":4294967295,\"BinlogEventBatchSize\":250,"
    "\"DataIterationConcurrency\":6,\"UpdatableConfig\":{\"DataIterationBatchSize\":300},"
    "\"DataIterationBatchSizePerTableOverride\":{\"MinRowSize\":1,\"MaxRowSize\":2,\"ControlPoints\":{\"1\":2}},"
    "\"AutomaticCutover\":true,\"DumpStateOnSignal\":true,\"DumpStateToStdoutOnError\":true,"
    "\"DoNotIncludeSchemaCacheInStateDump\":true,"
    "\"ControlServerConfig\":{\"Enabled\":true,\"ServerBindAddr\":\"0.0.0.0:8001\",\"WebBasedir\":\".\","
    "\"CustomScripts\":{\"x\":[\"y\"]}},"
    "\"ProgressCallback\":{\"URI\":\"http://h/p\",\"Payload\":\"1\"},\"StateCallback\":{\"URI\":\"http://h/s\"},"
    "\"ErrorCallback\":{\"URI\":\"http://h/e\"},\"CutoverLock\":{\"URI\":\"http://h/l\",\"Payload\":\"L\"},"
    "\"CutoverUnlock\":{\"URI\":\"http://h/u\"},\"ProgressReportFrequency\":1500,\"StateReportFrequency\":0,"
    "\"MaxCutoverRetries\":3,\"CutoverRetryWaitSeconds\":4,\"StateToResumeFrom\":{\"CopyStage\":null},"
    "\"VerifierType\":\"Inline\",\"IterativeVerifierConfig\":{\"Concurrency\":4},"
    "\"InlineVerifierConfig\":{\"MaxExpectedDowntime\":\"1s\",\"VerifyBinlogEventsInterval\":\"1s\"},"
    "\"SkipBinlogRowImageCheck\":true,\"CompressedColumnsForVerification\":{},"
    "\"IgnoredColumnsForVerification\":{\"a\":{\"b\":{\"c\":{}}}},\"ForceIndexForVerification\":{},"
    "\"CascadingPaginationColumnConfig\":{\"PerTable\":{},\"FallbackColumn\":\"id\"},"
    "\"SkipTargetVerification\":true,\"SkipForeignKeyConstraintsCheck\":true,\"EnableRowBatchSize\":true,"
    "\"AllowSuperUserOnReadOnly\":true,\"EnablePProf\":true,\"LogBackend\":\"zerolog\",\"LogLevel\":\"warn\","
    "\"DataIterationBatchSize\":999,\"ServerBindAddr\":\"1.2.3.4:9\",\"WebBasedir\":\".\","
    "\"ControlServerCustomScripts\":{},\"BinlogCoordinateMode\":\"gtid\",\"ReplicatedMasterGTIDQuery\":\"\","
    "\"AutomaticDDLHandling\":true,\"SchemaChangeTransitionTimeout\":\"1s\",\"DDLTraceFile\":\"x\"}";

START_TEST(json__takes_a_full_ghostferry_config)
{
    const gf_config *c = &cli.config;

    json(full_config);
    parses(conf, NULL);
    ck_assert_ptr_null(strstr(warnings, "unknown key"));
    ck_assert_ptr_nonnull(strstr(warnings, "VerifierType has no effect here: "));
    ck_assert_ptr_nonnull(strstr(warnings, "InlineVerifierConfig has no effect here: "));
    ck_assert_ptr_null(strstr(warnings, "ForceIndexForVerification")); /* empty: nothing is lost */
    ck_assert_uint_eq(c->source.port, 3310);
    ck_assert_uint_eq(c->source.read_timeout, 30);
    ck_assert_str_eq(c->source.marginalia, "application:x");
    ck_assert_str_eq(c->source_primary.host, "db0");
    ck_assert_uint_eq(c->wait_for_replication, 90);
    ck_assert_uint_eq(c->filter.db_renames.count, 1);
    ck_assert_str_eq(c->filter.db_renames.from[0], "abc");
    ck_assert_str_eq(c->filter.table_blacklist.items[0], "skip");
    ck_assert_str_eq(c->create_first.items[1], "abc.b");
    ck_assert(c->allow_existing && c->dump_on_signal && c->dump_on_error && c->dump_without_schema);
    ck_assert(c->skip_target_verification && c->skip_foreign_keys_check && c->allow_super_on_read_only);
    ck_assert_uint_eq(c->server_id, 4294967295u);
    ck_assert_uint_eq(c->batch_rows, 250);
    ck_assert_uint_eq(c->readers, 6);
    ck_assert_uint_eq(atomic_load(&c->live.chunk_rows), 300);
    ck_assert(atomic_load(&c->live.automatic_cutover));
    ck_assert_str_eq(c->control_bind, "0.0.0.0:8001");
    ck_assert_str_eq(c->cutover_lock.payload, "L");
    ck_assert_uint_eq(c->progress_ms, 1500);
    ck_assert_uint_eq(c->state_ms, 10000);
    ck_assert_uint_eq(c->cutover_retries, 3);
    ck_assert_uint_eq(c->cutover_retry_wait, 4);
    ck_assert_str_eq(c->resume_text, "{\"CopyStage\":null}");
    ck_assert(c->log_json);
    ck_assert_uint_eq(c->log_level, GF_LOG_WARN);
    ck_assert_ptr_null(strstr(warnings, "s3cret"));
}
END_TEST

#define SERVERS_JSON "\"Source\":{\"Host\":\"s\"},\"Target\":{\"Host\":\"t\"}"

START_TEST(json__matches_keys_in_either_case_and_reads_one_value)
{
    json("{\"source\":{\"HOST\":\"s\"},\"TARGET\":{\"host\":\"t\"},\"automaticcutover\":true} trailing {");
    parses(conf, NULL);
    ck_assert_str_eq(cli.config.source.host, "s");
    ck_assert(atomic_load(&cli.config.live.automatic_cutover));
    ck_assert_str_eq(warnings, "");
}
END_TEST

START_TEST(json__warns_of_unknown_keys_with_the_nearest)
{
    json("{" SERVERS_JSON ",\"ControlServer\":{\"Enabled\":true},\"AutomaticCutOvr\":true,\"Xyzzy\":1,"
         "\"Databases\":{\"WhiteLst\":[\"a\"]}}");
    parses(conf, NULL);
    ck_assert_ptr_nonnull(
        strstr(warnings, "unknown key \"ControlServer\" is ignored; the nearest known one is \"ControlServerConfig\""));
    ck_assert_ptr_nonnull(strstr(warnings, "the nearest known one is \"AutomaticCutover\""));
    ck_assert_ptr_nonnull(strstr(warnings, "the nearest known one is \"Databases.Whitelist\""));
    ck_assert_ptr_nonnull(strstr(warnings, "unknown key \"Xyzzy\" is ignored\n"));
}
END_TEST

START_TEST(json__names_file_and_key_of_a_wrong_type)
{
    static const char *const wrong[][2] = {
        {"{" SERVERS_JSON ",\"AutomaticCutover\":\"yes\"}", "conf.json: AutomaticCutover: expected true or false"},
        {"{\"Source\":{\"Host\":1}}", "conf.json: Source.Host: expected a string, found a number"},
        {"{\"Source\":\"db\"}", "conf.json: Source: expected an object, found a string"},
        {"{" SERVERS_JSON ",\"Databases\":{\"Whitelist\":\"a\"}}", "Databases.Whitelist: expected a list of strings"},
        {"{" SERVERS_JSON ",\"Databases\":{\"Rewrites\":{\"a\":1}}}", "Databases.Rewrites: expected an object of"},
        {"{\"Source\":{\"Host\":\"s\",\"Port\":0}}", "Source.Port: 0 is out of range"},
        {"{\"Source\":{\"Host\":\"s\",\"Port\":70000}}", "Source.Port: 70000 is out of range"},
        {"{" SERVERS_JSON ",\"MyServerId\":-1}", "MyServerId"},
        {"{" SERVERS_JSON ",\"VerifierType\":\"Bogus\"}", "VerifierType: not one of the values"},
        {"{" SERVERS_JSON ",\"TableFilter\":{}}", "TableFilter: a filter of Go code"},
        {"{" SERVERS_JSON ",\"MyServerId\":1.5}",
         "MyServerId: expected a whole number, found a number with a fraction"},
        {"{" SERVERS_JSON ",\"WaitForReplicationTimeout\":\"soon\"}", "WaitForReplicationTimeout: \"soon\""},
        {"{" SERVERS_JSON ",\"CopyFilter\":{\"x\":1}}", "CopyFilter: "},
        {"{" SERVERS_JSON ",\"ShardingKey\":\"id\"}", "ShardingKey: "},
        {"{" SERVERS_JSON ",\"LogLevel\":\"loud\"}", "LogLevel: \"loud\" is not one of"},
        {"{\"Source\":", "conf.json: line 1"},
        {"[]", "expected a JSON object, found a list"},
        {"", "conf.json: line 1"},
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        json(wrong[i][0]);
        fails(wrong[i][1], conf, NULL);
    }
}
END_TEST

START_TEST(json__whitelist_and_blacklist_exclude_each_other)
{
    json("{" SERVERS_JSON ",\"Databases\":{\"Whitelist\":[\"a\"],\"Blacklist\":[\"b\"]}}");
    fails("Databases: Whitelist and Blacklist", conf, NULL);
    json("{" SERVERS_JSON ",\"Tables\":{\"Whitelist\":[\"a\"],\"Blacklist\":[\"b\"]}}");
    fails("Tables: Whitelist and Blacklist", conf, NULL);
    json("{" SERVERS_JSON ",\"Databases\":{\"Rewrites\":{\"a\":\"x\",\"b\":\"x\"}}}");
    fails("would both become \"x\"", conf, NULL);
}
END_TEST

START_TEST(servers__are_needed_for_run_and_check_only)
{
    fails("no source is given", NULL);
    fails("no target is given", "check", "--source", "mysql://s", NULL);
    parses("status", "--checkpoint-dir", "/x", NULL);
}
END_TEST

START_TEST(precedence__is_flag_environment_option_file_json_default)
{
    json("{" SERVERS_JSON ",\"DataIterationConcurrency\":11,\"Writers\":12,\"CopyWriters\":13,"
         "\"Databases\":{\"Whitelist\":[\"json\"]}}");
    write_file(".my.cnf", "[gfreplica]\nreaders=21\nwriters=22\n", 0600);
    setenv("GFREPLICA_READERS", "31", 1);
    parses("--readers", "41", "--databases", "flag", conf, NULL);
    ck_assert_uint_eq(cli.config.readers, 41);
    ck_assert_uint_eq(cli.config.writers, 22);
    ck_assert_uint_eq(cli.config.copy_writers, 13);
    ck_assert_uint_eq(cli.config.filter.db_whitelist.count, 1);
    ck_assert_str_eq(cli.config.filter.db_whitelist.items[0], "flag");
    parses(conf, NULL);
    ck_assert_uint_eq(cli.config.readers, 31);
    setenv("GFREPLICA_READERS", "x", 1);
    fails("GFREPLICA_READERS: \"x\" is not a whole number", conf, NULL);
    setenv("GFREPLICA_READERS", "", 1);
    parses(conf, NULL);
    ck_assert_uint_eq(cli.config.readers, 21);
}
END_TEST

START_TEST(duration__is_read_as_go_does)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"1.5s", 1500}, {"10m", 600000}, {"1h30m", 5400000}, {"250ms", 250},
                {"1us", 1},     {"0s", 0},       {".5s", 500}};
    static const char *const bad[] = {"", "s", "5", "5 s", "-1s", "1x", "1s5", "1e400h"};
    uint64_t ms;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(cli_duration(&ms, good[i].text), "%s", good[i].text);
        ck_assert_uint_eq(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!cli_duration(&ms, bad[i]), "%s", bad[i]);
}
END_TEST

/* ---- digest ---- */

static void digest(char out[65])
{
    gf_config_digest(out, &cli.config);
    ck_assert_uint_eq(strlen(out), 64);
}

START_TEST(digest__changes_with_what_decides_the_data_only)
{
    char first[65], other[65];

    parses(BOTH, "--databases", "a,b", NULL);
    digest(first);
    parses("--source", "mysql://someone@s", "--target", "mysql://b@t", "--databases", "b,a", "--readers", "9", NULL);
    digest(other);
    ck_assert_str_eq(first, other);
    parses(BOTH, "--databases", "a", NULL);
    digest(other);
    ck_assert_str_ne(first, other);
    parses(BOTH, "--databases", "a,b", "--rename-database", "a=c", NULL);
    digest(other);
    ck_assert_str_ne(first, other);
    parses(BOTH, "--exclude-databases", "a,b", NULL);
    digest(other);
    ck_assert_str_ne(first, other);
    parses("--source", "mysql://a@s:3307", "--target", "mysql://b@t", "--databases", "a,b", NULL);
    digest(other);
    ck_assert_str_ne(first, other);
}
END_TEST

/* ---- texts ---- */

START_TEST(docs__hold_every_flag_and_key_but_no_password_flag)
{
    gf_buf usage = {0}, markdown = {0}, man = {0};

    gf_cli_usage(&usage);
    gf_cli_docs(&markdown, "configuration");
    gf_cli_docs(&man, "man");
    for (size_t i = 0; i < cli_option_count; i++) {
        const cli_option *o = &cli_options[i];

        if (o->section == SECTION_TARGET || (o->json != NULL && strncmp(o->json, "SourceReplicationMaster", 23) == 0))
            continue;
        if (o->json != NULL)
            ck_assert_msg(strstr(gf_buf_cstr(&markdown), o->json) != NULL, "%s", o->json);
        if (o->flag != NULL && o->type != OPT_SECRET && strncmp(o->flag, "source-primary", 14) != 0) {
            char *flag = gf_asprintf("--%s ", o->flag);

            ck_assert_msg(strstr(gf_buf_cstr(&usage), flag) != NULL, "%s", flag);
            free(flag);
        }
    }
    ck_assert_ptr_null(strstr(gf_buf_cstr(&usage), "--source-password "));
    ck_assert_ptr_null(strstr(gf_buf_cstr(&markdown), "`--source-password`"));
    ck_assert_ptr_nonnull(strstr(gf_buf_cstr(&man), ".SH OPTIONS"));
    ck_assert_ptr_null(strstr(gf_buf_cstr(&man), "source\\-password\\fR"));
    gf_buf_free(&usage);
    gf_buf_free(&markdown);
    gf_buf_free(&man);
}
END_TEST

START_TEST(docs__show_no_password_that_was_given)
{
    gf_buf out = {0};

    setenv("GFREPLICA_SOURCE_PASSWORD", "s3cret", 1);
    parses(BOTH, NULL);
    ck_assert_str_eq(cli.config.source.password, "s3cret");
    gf_cli_usage(&out);
    gf_cli_docs(&out, "configuration");
    gf_cli_docs(&out, "man");
    ck_assert_ptr_null(strstr(gf_buf_cstr(&out), "s3cret"));
    gf_buf_free(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli");
    TCase *tc = tcase_create("parse");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, command__is_found_before_and_behind_flags);
    tcase_add_test(tc, command__takes_its_operand);
    tcase_add_test(tc, command__help_and_version_need_nothing_else);
    tcase_add_test(tc, command__that_is_none_and_no_file_is_named);
    tcase_add_test(tc, flags__may_be_written_as_ghostferry_does);
    tcase_add_test(tc, flags__that_are_unknown_are_named_with_the_nearest);
    tcase_add_test(tc, flags__set_what_they_say);
    tcase_add_test(tc, defaults__are_what_the_documentation_says);
    tcase_add_test(tc, checkpoint_dir__stands_next_to_the_config_file);
    tcase_add_test(tc, url__sets_all_parts_of_a_server);
    tcase_add_test(tc, url__is_refused_with_a_password_and_never_shown);
    tcase_add_test(tc, password__is_never_an_argument);
    tcase_add_test(tc, password__comes_from_file_environment_option_file_or_json);
    tcase_add_test(tc, option_file__is_read_as_the_servers_do);
    tcase_add_test(tc, tls__with_a_ca_means_that_the_server_is_verified);
    tcase_add_test(tc, net__unix_takes_the_host_as_socket);
    tcase_add_test(tc, params__are_session_variables_only);
    tcase_add_test(tc, primary__is_looked_at_only_with_its_switch);
    tcase_add_test(tc, json__takes_a_full_ghostferry_config);
    tcase_add_test(tc, json__matches_keys_in_either_case_and_reads_one_value);
    tcase_add_test(tc, json__warns_of_unknown_keys_with_the_nearest);
    tcase_add_test(tc, json__names_file_and_key_of_a_wrong_type);
    tcase_add_test(tc, json__whitelist_and_blacklist_exclude_each_other);
    tcase_add_test(tc, servers__are_needed_for_run_and_check_only);
    tcase_add_test(tc, precedence__is_flag_environment_option_file_json_default);
    tcase_add_test(tc, duration__is_read_as_go_does);
    tcase_add_test(tc, digest__changes_with_what_decides_the_data_only);
    tcase_add_test(tc, docs__hold_every_flag_and_key_but_no_password_flag);
    tcase_add_test(tc, docs__show_no_password_that_was_given);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
