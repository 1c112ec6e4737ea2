/* SPDX-License-Identifier: MIT */
/*
 * options.c - the options table and how a value gets into the configuration.
 */
#include "options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "gfreplica/log.h"

#define AT(member)   offsetof(cli_input, member)
#define CONF(member) offsetof(cli_input, cli.config.member)

static const char *const tls_modes[] = {"preferred", "off", "required", "verify-ca", "verify-identity", NULL};
static const char *const ddl_modes[] = {"apply", "stop", NULL};
static const char *const copy_methods[] = {"auto", "load", "insert", NULL};
static const char *const verifiers[] = {"ChecksumTable", "Iterative", "Inline", "NoVerification", NULL};
static const char *const defer_choices[] = {"auto", "always", "never", NULL};
/* As gf_log_level; behind them names that only other loggers know, settled by settle.c. */
static const char *const log_levels[] = {"error", "warn", "info", "debug", "panic", "fatal", "trace", "warning", NULL};
static const char *const log_backends[] = {"logrus", "zerolog", NULL};

const char *const cli_server_names[SERVERS] = {"source", "target", "source-primary"};

const char *const cli_section_titles[SECTION_LIMIT] = {
    [SECTION_SOURCE] = "Source",
    [SECTION_TARGET] = "Target",
    [SECTION_PRIMARY] = "Writer behind a source that is itself a replica",
    [SECTION_WHAT] = "What is moved",
    [SECTION_STATE] = "State",
    [SECTION_REPLICA] = "As a replica",
    [SECTION_COPY] = "Copying",
    [SECTION_LIMITS] = "Limits",
    [SECTION_CUTOVER] = "Cutover",
    [SECTION_CONTROL] = "Control and callbacks",
    [SECTION_OUTPUT] = "Output",
    [SECTION_COMMAND] = "For single commands",
    [SECTION_IGNORED] = "Accepted without effect",
};

/* clang-format off */

/* The same set for each of the three servers. p: flag prefix, j: JSON object, c: its config, n: its number. */
#define SERVER(p, j, c, n, s, default_user) \
    {.flag = p, .type = OPT_URL, .offset = CONF(c), .section = s, \
     .help = "server as mysql://user@host:port/?tls=verify-identity&tls-ca=FILE; IPv6 as [::1]; never with a password"}, \
    {.flag = p "-host", .json = j ".Host", .type = OPT_STRING, .offset = CONF(c.host), .section = s, \
     .help = "host name or address; with Net \"unix\" the path of its socket"}, \
    {.flag = p "-port", .json = j ".Port", .type = OPT_UINT, .initial = "3306", .offset = CONF(c.port), .section = s, \
     .min = 1, .max = 65535, .help = "TCP port"}, \
    {.flag = p "-net", .json = j ".Net", .type = OPT_STRING, .offset = AT(net[n]), .section = s, \
     .help = "\"tcp\" or \"unix\"; default tcp"}, \
    {.flag = p "-socket", .json = j ".Socket", .type = OPT_STRING, .offset = CONF(c.socket), .section = s, \
     .help = "unix socket, instead of host and port"}, \
    {.flag = p "-user", .json = j ".User", .type = OPT_STRING, .initial = default_user, .offset = CONF(c.user), .section = s, \
     .help = "user name"}, \
    {.flag = p "-password", .json = j ".Pass", .type = OPT_SECRET, .offset = CONF(c.password), .section = s, \
     .help = "password; not a flag, because arguments are visible to every user of a machine"}, \
    {.flag = p "-password-file", .type = OPT_STRING, .offset = AT(password_file[n]), .section = s, \
     .help = "file whose first line is the password"}, \
    {.flag = p "-tls", .json = j ".TLS.Mode", .type = OPT_CHOICE, .initial = "preferred", .offset = CONF(c.tls), \
     .section = s, .choices = tls_modes, \
     .help = "encryption; where a CA is given, preferred means verify-identity"}, \
    {.flag = p "-tls-ca", .json = j ".TLS.CertPath", .type = OPT_STRING, .offset = CONF(c.tls_ca), .section = s, \
     .help = "file of the CA certificates that may sign the server's"}, \
    {.flag = p "-tls-cert", .json = j ".TLS.ClientCertPath", .type = OPT_STRING, .offset = CONF(c.tls_cert), \
     .section = s, .help = "our certificate, if the server wants one"}, \
    {.flag = p "-tls-key", .json = j ".TLS.ClientKeyPath", .type = OPT_STRING, .offset = CONF(c.tls_key), \
     .section = s, .help = "its private key"}, \
    {.flag = p "-tls-server-name", .json = j ".TLS.ServerName", .type = OPT_STRING, .offset = CONF(c.tls_server_name), \
     .section = s, .help = "name expected in the server's certificate, when it is not the host's"}, \
    {.flag = p "-collation", .json = j ".Collation", .type = OPT_STRING, .offset = CONF(c.collation), .section = s, \
     .help = "connection collation of status and catalog queries; rows travel as bytes whatever it is"}, \
    {.flag = p "-param", .json = j ".Params", .type = OPT_MAP, .offset = CONF(c.params), .section = s, \
     .help = "session variables for our SQL connections; those on which rows depend keep our values"}, \
    {.flag = p "-connect-timeout", .json = j ".ConnectTimeout", .type = OPT_SECONDS, .offset = CONF(c.connect_timeout), \
     .section = s, .max = 86400, .help = "time for a connection to come about; 0 = the program's choice"}, \
    {.flag = p "-read-timeout", .json = j ".ReadTimeout", .type = OPT_SECONDS, .offset = CONF(c.read_timeout), \
     .section = s, .max = 864000, .help = "time for an answer on SQL connections; 0 = the program's choice"}, \
    {.flag = p "-write-timeout", .json = j ".WriteTimeout", .type = OPT_SECONDS, .offset = CONF(c.write_timeout), \
     .section = s, .max = 864000, .help = "time for a packet to be taken; 0 = the program's choice"}, \
    {.flag = p "-marginalia", .json = j ".Marginalia", .type = OPT_STRING, .offset = CONF(c.marginalia), .section = s, \
     .help = "comment in front of every write, to find them in logs and binlogs"}

#define IGNORED(key, why) {.json = key, .type = OPT_IGNORED, .section = SECTION_IGNORED, .help = why}
#define REFUSED(key, why) {.json = key, .type = OPT_REFUSED, .section = SECTION_IGNORED, .help = why}
#define CALLBACK(key, member, what) \
    {.json = key ".URI", .type = OPT_STRING, .offset = CONF(member.uri), .section = SECTION_CONTROL, \
     .help = "http:// address that is POSTed " what}, \
    {.json = key ".Payload", .type = OPT_STRING, .offset = CONF(member.payload), .section = SECTION_CONTROL, \
     .help = "text that goes along with it"}

const cli_option cli_options[] = {
    SERVER("source", "Source", source, 0, SECTION_SOURCE, "ghostferry"),
    SERVER("target", "Target", target, 1, SECTION_TARGET, "ghostferry"),
    SERVER("source-primary", "SourceReplicationMaster", source_primary, 2, SECTION_PRIMARY, NULL),
    {.flag = "run-from-replica", .json = "RunFerryFromReplica", .type = OPT_BOOL, .offset = AT(run_from_replica),
     .section = SECTION_PRIMARY, .help = "the source is a replica of the server that is written to"},
    {.flag = "replicated-position-query", .json = "ReplicatedMasterPositionQuery", .type = OPT_STRING,
     .offset = CONF(replicated_position_query), .section = SECTION_PRIMARY,
     .help = "run on the source: one row with the writer's binlog file and position that it has replicated up to"},
    {.flag = "wait-for-replication", .json = "WaitForReplicationTimeout", .type = OPT_SECONDS, .initial = "0",
     .offset = CONF(wait_for_replication), .section = SECTION_PRIMARY,
     .help = "how long the cutover waits for the source to catch up with the writer; 0 = for ever"},

    {.flag = "databases", .json = "Databases.Whitelist", .type = OPT_NAMES, .offset = CONF(filter.db_whitelist),
     .section = SECTION_WHAT, .help = "only these databases; without any list, all but the servers' own"},
    {.flag = "exclude-databases", .json = "Databases.Blacklist", .type = OPT_NAMES,
     .offset = CONF(filter.db_blacklist), .section = SECTION_WHAT, .help = "all databases but these"},
    {.flag = "rename-database", .json = "Databases.Rewrites", .type = OPT_MAP, .offset = CONF(filter.db_renames),
     .section = SECTION_WHAT, .help = "source name = target name; may be repeated"},
    {.json = "DatabaseRewrites", .type = OPT_MAP, .offset = CONF(filter.db_renames), .section = SECTION_WHAT,
     .old = true, .help = "as Databases.Rewrites, which wins"},
    {.flag = "tables", .json = "Tables.Whitelist", .type = OPT_NAMES, .offset = CONF(filter.table_whitelist),
     .section = SECTION_WHAT, .help = "only tables of these names, in every database"},
    {.flag = "exclude-tables", .json = "Tables.Blacklist", .type = OPT_NAMES,
     .offset = CONF(filter.table_blacklist), .section = SECTION_WHAT, .help = "all tables but those of these names"},
    {.flag = "rename-table", .json = "Tables.Rewrites", .type = OPT_MAP, .offset = CONF(filter.table_renames),
     .section = SECTION_WHAT, .help = "source name = target name, in every database; may be repeated"},
    {.json = "TableRewrites", .type = OPT_MAP, .offset = CONF(filter.table_renames), .section = SECTION_WHAT,
     .old = true, .help = "as Tables.Rewrites, which wins"},
    {.flag = "create-first", .json = "TablesToBeCreatedFirst", .type = OPT_NAMES, .offset = CONF(create_first),
     .section = SECTION_WHAT, .help = "tables (database.table) that are created before the others, in this order"},
    {.flag = "allow-existing-target-tables", .json = "AllowExistingTargetTable", .type = OPT_BOOL,
     .offset = CONF(allow_existing), .section = SECTION_WHAT,
     .help = "target tables may exist and hold rows; rows of the same key are replaced"},
    {.flag = "map-collation", .json = "MapCollation", .type = OPT_MAP, .offset = CONF(map_collation),
     .section = SECTION_WHAT, .help = "collation of the source = collation to use on a target that lacks it"},
    {.flag = "create-objects", .json = "CreateObjects", .type = OPT_BOOL, .offset = CONF(create_objects),
     .section = SECTION_WHAT, .help = "create triggers, views, routines and events on the target at the cutover"},
    {.flag = "skip-foreign-key-check", .json = "SkipForeignKeyConstraintsCheck", .type = OPT_BOOL,
     .offset = CONF(skip_foreign_keys_check), .section = SECTION_WHAT,
     .help = "move tables with foreign keys although what their cascades do is not in the binlog"},
    {.flag = "skip-target-verification", .json = "SkipTargetVerification", .type = OPT_BOOL,
     .offset = CONF(skip_target_verification), .section = SECTION_WHAT,
     .help = "do not look for other writers on the target"},
    {.flag = "allow-super-on-read-only", .json = "AllowSuperUserOnReadOnly", .type = OPT_BOOL,
     .offset = CONF(allow_super_on_read_only), .section = SECTION_WHAT,
     .help = "a target with read_only=ON is no obstacle, because our user may write all the same"},

    {.flag = "checkpoint-dir", .json = "CheckpointDir", .type = OPT_STRING, .offset = CONF(checkpoint_dir),
     .section = SECTION_STATE,
     .help = "directory of the job's state; default: CONF.gfreplica next to CONF.json, else ./gfreplica-checkpoint"},
    {.flag = "job", .json = "Job", .type = OPT_STRING, .initial = "default", .offset = CONF(job),
     .section = SECTION_STATE, .help = "name of this job in the marker, where several share a target"},
    {.flag = "marker-database", .json = "MarkerDatabase", .type = OPT_STRING, .initial = "_gfreplica",
     .offset = CONF(marker_db), .section = SECTION_STATE,
     .help = "database on the target that holds the marker, written in the same transactions as the rows"},
    {.flag = "no-marker", .json = "NoMarker", .type = OPT_BOOL, .offset = CONF(no_marker), .section = SECTION_STATE,
     .help = "resume by the checkpoint alone; a target that loses commits can't be healed then"},
    {.flag = "take-over", .json = "TakeOver", .type = OPT_BOOL, .offset = CONF(take_over), .section = SECTION_STATE,
     .help = "replace a marker that another job has left"},
    {.flag = "resumestate", .type = OPT_STRING, .offset = CONF(resume_state), .section = SECTION_STATE,
     .help = "state dump (JSON, ours or Ghostferry's) to resume from"},
    {.json = "StateToResumeFrom", .type = OPT_JSON, .offset = CONF(resume_text), .section = SECTION_STATE,
     .help = "the same as an object inside CONF.json"},
    {.flag = "dump-state-on-signal", .json = "DumpStateOnSignal", .type = OPT_BOOL, .offset = CONF(dump_on_signal),
     .section = SECTION_STATE, .help = "print the state as JSON on stdout at SIGINT, SIGTERM or a fatal error"},
    {.flag = "dump-state-on-error", .json = "DumpStateToStdoutOnError", .type = OPT_BOOL,
     .offset = CONF(dump_on_error), .section = SECTION_STATE, .help = "the same"},
    {.flag = "dump-without-schema", .json = "DoNotIncludeSchemaCacheInStateDump", .type = OPT_BOOL,
     .offset = CONF(dump_without_schema), .section = SECTION_STATE,
     .help = "leave table definitions out of those dumps"},

    {.flag = "server-id", .json = "MyServerId", .type = OPT_UINT, .initial = "0", .offset = CONF(server_id),
     .section = SECTION_REPLICA, .help = "our server id; 0 = a free one is chosen"},
    {.flag = "server-uuid", .json = "ServerUUID", .type = OPT_STRING, .offset = CONF(server_uuid),
     .section = SECTION_REPLICA, .help = "our server UUID; default: made once and kept in the checkpoint"},
    {.flag = "report-host", .json = "ReportHost", .type = OPT_STRING, .offset = CONF(report_host),
     .section = SECTION_REPLICA, .help = "host that SHOW REPLICAS shows for us; default: this machine's name"},
    {.flag = "report-port", .json = "ReportPort", .type = OPT_UINT, .initial = "0", .offset = CONF(report_port),
     .section = SECTION_REPLICA, .max = 65535, .help = "port that it shows"},
    {.flag = "heartbeat", .json = "HeartbeatInterval", .type = OPT_MILLIS, .initial = "5s",
     .offset = CONF(heartbeat_ms), .section = SECTION_REPLICA, .min = 100, .max = 3600000,
     .help = "how often an idle source tells that it is there; silence for two of these (at least 3s) is a dead link, to either server"},

    {.flag = "readers", .json = "DataIterationConcurrency", .type = OPT_UINT, .initial = "4",
     .offset = CONF(readers), .section = SECTION_COPY, .min = 1, .max = 256,
     .help = "ranges that are read at once, of one or of several tables"},
    {.flag = "writers", .json = "Writers", .type = OPT_UINT, .initial = "4", .offset = CONF(writers),
     .section = SECTION_COPY, .min = 1, .max = 256, .help = "connections that apply the stream to the target"},
    {.flag = "copy-writers", .json = "CopyWriters", .type = OPT_UINT, .initial = "4", .offset = CONF(copy_writers),
     .section = SECTION_COPY, .min = 1, .max = 256, .help = "connections that write copied rows to the target"},
    {.flag = "chunk-bytes", .json = "ChunkBytes", .type = OPT_BYTES, .initial = "2M", .offset = CONF(chunk_bytes),
     .section = SECTION_COPY, .min = 4096, .max = 256u << 20, .help = "aim for the size of one read"},
    {.flag = "chunk-time", .json = "ChunkTime", .type = OPT_MILLIS, .initial = "500ms", .offset = CONF(chunk_ms),
     .section = SECTION_COPY, .min = 10, .max = 60000, .help = "aim for its duration on the source"},
    {.flag = "chunk-rows", .json = "UpdatableConfig.DataIterationBatchSize", .type = OPT_ATOMIC_UINT, .initial = "0",
     .offset = CONF(live.chunk_rows), .section = SECTION_COPY,
     .help = "most rows of one read; 0 = by bytes and time alone; may be changed while the job runs"},
    {.json = "DataIterationBatchSize", .type = OPT_ATOMIC_UINT, .offset = CONF(live.chunk_rows),
     .section = SECTION_COPY, .old = true, .help = "as UpdatableConfig.DataIterationBatchSize, which wins"},
    {.flag = "range-rows", .json = "RangeRows", .type = OPT_UINT, .initial = "200000", .offset = CONF(range_rows),
     .section = SECTION_COPY, .min = 1000, .max = UINT_MAX,
     .help = "tables larger than this are split into ranges of about so many rows"},
    {.flag = "max-source-load", .json = "MaxSourceLoad", .type = OPT_UINT, .initial = "0",
     .offset = CONF(max_source_load), .section = SECTION_COPY, .max = 100000,
     .help = "while more sessions than this run on the source besides ours (Threads_running), the copy takes a tenth of"
             " its time: one reader, which rests nine times as long as it reads; 0 = never"},
    {.flag = "copy-method", .json = "CopyMethod", .type = OPT_CHOICE, .initial = "auto", .offset = CONF(copy_method),
     .section = SECTION_COPY, .choices = copy_methods,
     .help = "how copied rows are written: LOAD DATA LOCAL, which costs the target a third less and needs its"
             " local_infile=ON, or multi-row REPLACE; auto takes what the target allows"},
    {.flag = "defer-indexes", .json = "DeferIndexes", .type = OPT_CHOICE, .initial = "auto",
     .offset = CONF(defer_indexes), .section = SECTION_COPY, .choices = defer_choices,
     .help = "a table that the job makes gets its indexes that are not unique after its rows, in one ALTER TABLE beside"
             " the stream; auto: tables of 100,000 rows or 64 MiB and more"},
    {.flag = "lock-keyless-tables", .json = "LockKeylessTables", .type = OPT_BOOL, .offset = CONF(lock_keyless),
     .section = SECTION_COPY,
     .help = "MySQL: tables without a usable key may be locked (FLUSH TABLES ... WITH READ LOCK) while they are read"},
    {.flag = "ddl", .json = "DDL", .type = OPT_CHOICE, .initial = "apply", .offset = CONF(ddl),
     .section = SECTION_COPY, .choices = ddl_modes,
     .help = "definition statements (ALTER TABLE, RENAME TABLE, ...) of tables that are moved: apply repeats them on the "
             "target, at their place in the stream, where that is sure to give the same; what is not, and all with stop, "
             "ends the run"},
    {.flag = "allow-unselected-statements", .json = "AllowUnselectedStatements", .type = OPT_BOOL,
     .offset = CONF(allow_statements), .section = SECTION_COPY,
     .help = "changes in statement format of tables that are not moved do not stop the run: only where no trigger, "
             "function or foreign key of theirs changes tables that are"},

    {.flag = "memory", .json = "MemoryLimit", .type = OPT_SIZE, .initial = "96M", .offset = CONF(memory_bytes),
     .section = SECTION_LIMITS, .help = "queues and batches in all; at least 16M"},
    {.flag = "relay-limit", .json = "RelayLimit", .type = OPT_SIZE, .initial = "16G", .offset = CONF(relay_bytes),
     .section = SECTION_LIMITS,
     .help = "disk that received and not yet applied events may take in the checkpoint directory; at least 1M"},
    {.flag = "batch-rows", .json = "BinlogEventBatchSize", .type = OPT_UINT, .initial = "1000",
     .offset = CONF(batch_rows), .section = SECTION_LIMITS, .min = 1, .max = 1000000,
     .help = "most row changes that share one target transaction while behind"},
    {.flag = "batch-bytes", .json = "BatchBytes", .type = OPT_BYTES, .initial = "1M", .offset = CONF(batch_bytes),
     .section = SECTION_LIMITS, .min = 4096, .max = 64u << 20, .help = "and their size"},
    {.flag = "retry-timeout", .json = "RetryTimeout", .type = OPT_SECONDS, .initial = "10m",
     .offset = CONF(retry_timeout), .section = SECTION_LIMITS,
     .help = "how long a passing fault (link, restart, lock wait, full disk) is ridden through"},

    {.flag = "automatic-cutover", .json = "AutomaticCutover", .type = OPT_ATOMIC_BOOL, .initial = "false",
     .offset = CONF(live.automatic_cutover), .section = SECTION_CUTOVER,
     .help = "cut over and end when the copy is complete and the stream has caught up; otherwise stay a replica"},
    {.flag = "cutover-timeout", .json = "CutoverTimeout", .type = OPT_SECONDS, .initial = "10m",
     .offset = CONF(cutover_timeout), .section = SECTION_CUTOVER,
     .help = "how long the final position may take to be reached"},
    {.flag = "verify", .json = "VerifyAtCutover", .type = OPT_BOOL, .initial = "false", .offset = CONF(verify),
     .section = SECTION_CUTOVER,
     .help = "compare all rows of source and target at the cutover's end position, before the move is called done; the "
             "applications wait for as long as both servers need to be read once"},
    CALLBACK("CutoverLock", cutover_lock, "before the final position is taken, so that writes end"),
    CALLBACK("CutoverUnlock", cutover_unlock, "when the target is complete"),
    {.flag = "cutover-retries", .json = "MaxCutoverRetries", .type = OPT_UINT, .initial = "1",
     .offset = CONF(cutover_retries), .section = SECTION_CUTOVER, .min = 1, .max = 100000,
     .help = "attempts of the lock callback"},
    {.flag = "cutover-retry-wait", .json = "CutoverRetryWaitSeconds", .type = OPT_SECONDS, .initial = "1",
     .offset = CONF(cutover_retry_wait), .section = SECTION_CUTOVER, .help = "pause between them"},

    {.flag = "control", .json = "ControlServerConfig.Enabled", .type = OPT_BOOL, .initial = "true",
     .offset = CONF(control_enabled), .section = SECTION_CONTROL, .help = "serve HTTP for status and control"},
    {.flag = "control-bind", .json = "ControlServerConfig.ServerBindAddr", .type = OPT_STRING,
     .initial = "127.0.0.1:8000", .offset = CONF(control_bind), .section = SECTION_CONTROL,
     .help = "where; it has no authentication, so think before leaving loopback"},
    {.json = "ServerBindAddr", .type = OPT_STRING, .offset = CONF(control_bind), .section = SECTION_CONTROL,
     .old = true, .help = "as ControlServerConfig.ServerBindAddr, which wins"},
    CALLBACK("ProgressCallback", on_progress, "with the progress"),
    CALLBACK("StateCallback", on_state, "with the state"),
    CALLBACK("ErrorCallback", on_error, "with a fatal error"),
    {.flag = "progress-every", .json = "ProgressReportFrequency", .type = OPT_MILLIS, .initial = "10s",
     .offset = CONF(progress_ms), .section = SECTION_CONTROL, .max = 86400000,
     .help = "how often the progress is posted; 0 = this default"},
    {.flag = "state-every", .json = "StateReportFrequency", .type = OPT_MILLIS, .initial = "10s",
     .offset = CONF(state_ms), .section = SECTION_CONTROL, .max = 86400000,
     .help = "how often the state is posted; 0 = this default"},

    {.flag = "verbose", .json = "Verbose", .type = OPT_BOOL, .offset = CONF(verbose), .section = SECTION_OUTPUT,
     .help = "log level debug"},
    {.flag = "log-level", .json = "LogLevel", .type = OPT_CHOICE, .initial = "info", .offset = CONF(log_level),
     .section = SECTION_OUTPUT, .choices = log_levels, .env = "GHOSTFERRY_LOG_LEVEL",
     .help = "what is logged; verbose wins"},
    {.flag = "log-json", .json = "LogJSON", .type = OPT_BOOL, .offset = CONF(log_json), .section = SECTION_OUTPUT,
     .help = "log lines are JSON objects"},
    {.json = "LogBackend", .type = OPT_CHOICE, .initial = "logrus", .offset = AT(log_backend),
     .section = SECTION_OUTPUT, .choices = log_backends, .env = "GHOSTFERRY_LOG_BACKEND",
     .help = "zerolog means log-json"},
    {.flag = "progress", .json = "ProgressLine", .type = OPT_BOOL, .offset = CONF(progress_line),
     .section = SECTION_OUTPUT, .help = "a line that tells the progress on stderr; default: when stderr is a terminal"},
    {.flag = "dryrun", .json = "DryRun", .type = OPT_BOOL, .offset = CONF(dry_run), .section = SECTION_OUTPUT,
     .help = "connect, check everything, say so and exit; changes nothing"},

    {.flag = "defaults-file", .type = OPT_STRING, .offset = AT(defaults_file), .section = SECTION_COMMAND,
     .help = "option file to read instead of ~/.my.cnf: sections [gfreplica], [gfreplica-source], [gfreplica-target]"},
    {.flag = "json", .type = OPT_BOOL, .offset = AT(cli.json), .section = SECTION_COMMAND,
     .help = "status, verify: as JSON"},
    {.flag = "format", .type = OPT_STRING, .initial = "ghostferry", .offset = AT(format), .section = SECTION_COMMAND,
     .help = "export-state: ghostferry or native"},
    {.flag = "help", .type = OPT_BOOL, .offset = AT(help), .section = SECTION_COMMAND, .help = "print a summary"},
    {.flag = "version", .type = OPT_BOOL, .offset = AT(version), .section = SECTION_COMMAND,
     .help = "print the version"},

    {.json = "VerifierType", .type = OPT_IGNORED, .section = SECTION_IGNORED, .choices = verifiers,
     .help = "rows are compared by `gfreplica verify` while the job streams, and at the cutover with VerifyAtCutover"},
    IGNORED("IterativeVerifierConfig", "there is no such verifier"),
    IGNORED("InlineVerifierConfig", "there is no such verifier"),
    IGNORED("CompressedColumnsForVerification", "columns are compared as they are stored"),
    IGNORED("IgnoredColumnsForVerification", "all columns are compared"),
    IGNORED("ForceIndexForVerification", "index hints are not needed"),
    IGNORED("SkipBinlogRowImageCheck", "no check is skipped: a row image other than FULL stops the run at such a change"),
    IGNORED("CascadingPaginationColumnConfig", "tables are read by their primary key or a unique one"),
    IGNORED("DataIterationBatchSizePerTableOverride", "reads are sized by bytes and time (ChunkBytes, ChunkTime)"),
    IGNORED("DBWriteRetries", "passing faults are ridden through for RetryTimeout"),
    IGNORED("DBReadRetries", "passing faults are ridden through for RetryTimeout"),
    IGNORED("EnableRowBatchSize", "bytes are always counted"),
    IGNORED("EnablePProf", "it is the profiler of another language"),
    IGNORED("ControlServerConfig.WebBasedir", "pages are part of the program"),
    IGNORED("WebBasedir", "pages are part of the program"),
    IGNORED("ControlServerConfig.CustomScripts", "commands are not run over HTTP"),
    IGNORED("ControlServerCustomScripts", "commands are not run over HTTP"),
    IGNORED("BinlogCoordinateMode", "GTIDs are used where the source has them"),
    IGNORED("ReplicatedMasterGTIDQuery", "use ReplicatedMasterPositionQuery"),
    IGNORED("AutomaticDDLHandling", "DDL is followed unless --ddl stop"),
    IGNORED("SchemaChangeTransitionTimeout", "DDL is followed at its place in the stream, without a transition"),
    IGNORED("DDLTraceFile", "DDL is in the log"),
    REFUSED("TableFilter", "a filter of Go code can't be given in JSON; use Databases and Tables"),
    REFUSED("CopyFilter", "a filter of Go code can't be given in JSON; rows can't be chosen, only tables"),
    REFUSED("ShardingKey", "moving single shards of a table is not supported"),
    REFUSED("ShardingValue", "moving single shards of a table is not supported"),
    REFUSED("SourceDB", "a key of ghostferry-sharding; use Databases"),
    REFUSED("TargetDB", "a key of ghostferry-sharding; use Databases"),
    REFUSED("JoinedTables", "moving single shards of a table is not supported"),
    REFUSED("IncludedTables", "patterns are not supported; use Tables"),
    REFUSED("IgnoredTables", "patterns are not supported; use Tables"),
    REFUSED("PrimaryKeyTables", "moving single shards of a table is not supported"),
    REFUSED("ShardedCopyFilterConfig", "moving single shards of a table is not supported"),
};
const size_t cli_option_count = sizeof cli_options / sizeof cli_options[0];
/* clang-format on */

gf_server_config *cli_server(cli_input *in, unsigned which)
{
    gf_config *c = &in->cli.config;

    return which == 0 ? &c->source : which == 1 ? &c->target : &c->source_primary;
}

void *cli_at(cli_input *in, const cli_option *o)
{
    return (char *)in + o->offset;
}

/* ---- finding ---- */

const cli_option *cli_find_flag(const char *flag)
{
    for (size_t i = 0; i < cli_option_count; i++) {
        if (cli_options[i].flag != NULL && strcmp(cli_options[i].flag, flag) == 0)
            return &cli_options[i];
    }
    return NULL;
}

const cli_option *cli_find_json(const char *path, bool *object)
{
    size_t len = strlen(path);

    *object = false;
    for (size_t i = 0; i < cli_option_count; i++) {
        const char *json = cli_options[i].json;

        if (json == NULL || strncasecmp(json, path, len) != 0)
            continue;
        if (json[len] == '\0')
            return &cli_options[i];
        *object = *object || json[len] == '.';
    }
    return NULL;
}

const cli_option *cli_server_option(unsigned which, const char *part)
{
    char flag[64];
    const cli_option *o;

    snprintf(flag, sizeof flag, "%s-%s", cli_server_names[which], part);
    o = cli_find_flag(flag);
    assert(o != NULL);
    return o;
}

/* Levenshtein's distance without regard to case, for names of up to 63 bytes. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[64], diagonal, cost;
    size_t la = strlen(a), lb = strlen(b);

    if (la >= 64 || lb >= 64)
        return UINT_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            cost = diagonal + (tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]) ? 0 : 1);
            diagonal = row[j];
            if (row[j] + 1 < cost)
                cost = row[j] + 1;
            if (row[j - 1] + 1 < cost)
                cost = row[j - 1] + 1;
            row[j] = cost;
        }
    }
    return row[lb];
}

/* A name of which the other is the beginning is near, however long its rest: "ControlServer". */
static unsigned closeness(const char *name, const char *known)
{
    size_t len = strlen(name);

    if (len >= 4 && strncasecmp(name, known, len) == 0)
        return 1;
    return distance(name, known);
}

/* For keys: the part of the known path as deep as `name` is, so that a group of keys can be the answer. */
static void same_depth(char out[64], const char *name, const char *path)
{
    size_t dots = 0, len = 0;

    memset(out, 0, 64);
    for (const char *p = name; *p != '\0'; p++)
        dots += *p == '.' ? 1 : 0;
    while (path[len] != '\0' && len < 63 && (path[len] != '.' || dots-- > 0))
        len++;
    memcpy(out, path, len);
}

bool cli_nearest(char out[64], const char *name, bool json)
{
    unsigned best = (unsigned)strlen(name) / 3 + 2; /* farther away, it is another word */
    char part[64];

    out[0] = '\0';
    for (size_t i = 0; i < cli_option_count; i++) {
        const char *known = json ? cli_options[i].json : cli_options[i].flag;
        unsigned d;

        if (known == NULL || cli_options[i].type == OPT_REFUSED)
            continue;
        same_depth(part, json ? name : "", known);
        d = closeness(name, part);
        if (d < best) {
            best = d;
            memcpy(out, part, sizeof part);
        }
    }
    return out[0] != '\0';
}

/* ---- values ---- */

static bool bad_value(const char *where, const char *text, const char *expected, gf_error *err)
{
    return gf_fail(err, GF_ERR_CONFIG, "%s: \"%.64s\" is not %s", where, text, expected);
}

static bool parse_bool(bool *out, const char *text, const char *where, gf_error *err)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true},   {"1", true},  {"t", true},  {"yes", true}, {"on", true},
                 {"false", false}, {"0", false}, {"f", false}, {"no", false}, {"off", false}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(words[i].word, text) == 0) {
            *out = words[i].value;
            return true;
        }
    }
    return bad_value(where, text, "true or false", err);
}

static bool parse_number(uint64_t *out, const char *text, const char **rest)
{
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    *rest = end;
    return errno == 0;
}

/* 4096, 64K, 2M, 1G, also 2MB and 2MiB: powers of 1024. */
static bool parse_size(uint64_t *out, const char *text)
{
    static const char units[] = "KMGT";
    const char *rest, *unit;

    if (!parse_number(out, text, &rest))
        return false;
    if (*rest == '\0')
        return true;
    unit = strchr(units, toupper((unsigned char)*rest));
    if (unit == NULL ||
        (strcmp(rest + 1, "") != 0 && strcasecmp(rest + 1, "B") != 0 && strcasecmp(rest + 1, "iB") != 0))
        return false;
    for (const char *u = units; u <= unit; u++) {
        if (*out > UINT64_MAX / 1024)
            return false;
        *out *= 1024;
    }
    return true;
}

bool cli_duration(uint64_t *ms, const char *text)
{
    static const struct {
        const char *unit;
        double factor;
    } units[] = {{"ms", 1},    {"s", 1000},         {"m", 60000}, {"h", 3600000}, /* "ms" before "m" */
                 {"us", 1e-3}, {"\xC2\xB5s", 1e-3}, {"ns", 1e-6}};
    double sum = 0;

    if (*text == '\0')
        return false;
    while (*text != '\0') {
        size_t i, n = sizeof units / sizeof units[0];
        char *end;
        double v;

        if (!isdigit((unsigned char)*text) && *text != '.')
            return false;
        v = strtod(text, &end);
        for (i = 0; i < n && strncmp(end, units[i].unit, strlen(units[i].unit)) != 0; i++)
            ;
        if (i == n)
            return false;
        sum += v * units[i].factor;
        text = end + strlen(units[i].unit);
    }
    if (!(sum >= 0 && sum < 1e15))
        return false;
    *ms = (uint64_t)sum + ((double)(uint64_t)sum < sum ? 1 : 0);
    return true;
}

/* A bare number counts in the option's own unit, as Ghostferry's integers do. */
static bool parse_time(uint64_t *out, const char *text, unsigned unit_ms)
{
    const char *rest;
    uint64_t ms;

    if (parse_number(out, text, &rest) && *rest == '\0')
        return true;
    if (!cli_duration(&ms, text))
        return false;
    *out = (ms + unit_ms - 1) / unit_ms;
    return true;
}

static const char *expected_number(opt_type type)
{
    return type == OPT_SECONDS || type == OPT_MILLIS ? "a duration like \"1.5s\" or \"10m\""
           : type == OPT_SIZE || type == OPT_BYTES   ? "a size like 4096, 64K or 2M"
                                                     : "a whole number";
}

static bool parse_quantity(uint64_t *out, const cli_option *o, const char *text, const char *where, gf_error *err)
{
    const char *rest = "";
    uint64_t max = o->max != 0 ? o->max : o->type == OPT_SIZE ? SIZE_MAX / 2 : UINT_MAX;
    bool ok;

    switch (o->type) {
    case OPT_SECONDS: ok = parse_time(out, text, 1000); break;
    case OPT_MILLIS: ok = parse_time(out, text, 1); break;
    case OPT_SIZE:
    case OPT_BYTES: ok = parse_size(out, text); break;
    default: ok = parse_number(out, text, &rest) && *rest == '\0'; break;
    }
    if (!ok)
        return bad_value(where, text, expected_number(o->type), err);
    if (*out < o->min || *out > max)
        return gf_fail(err, GF_ERR_CONFIG, "%s: %s is out of range (%u to %llu)", where, text, o->min,
                       (unsigned long long)max);
    return true;
}

static bool set_quantity(void *at, const cli_option *o, const char *text, const char *where, gf_error *err)
{
    uint64_t n;

    if (!parse_quantity(&n, o, text, where, err))
        return false;
    if (o->type == OPT_SIZE)
        *(size_t *)at = (size_t)n;
    else if (o->type == OPT_ATOMIC_UINT)
        atomic_store((atomic_uint *)at, (unsigned)n);
    else
        *(unsigned *)at = (unsigned)n;
    return true;
}

static bool set_bool(void *at, const cli_option *o, const char *text, const char *where, gf_error *err)
{
    bool v;

    if (!parse_bool(&v, text, where, err))
        return false;
    if (o->type == OPT_ATOMIC_BOOL)
        atomic_store((atomic_bool *)at, v);
    else
        *(bool *)at = v;
    return true;
}

static bool set_choice(unsigned *at, const cli_option *o, const char *text, const char *where, gf_error *err)
{
    gf_buf list = {0};

    for (unsigned i = 0; o->choices[i] != NULL; i++) {
        if (strcasecmp(o->choices[i], text) == 0) {
            *at = i;
            return true;
        }
    }
    for (unsigned i = 0; o->choices[i] != NULL; i++)
        gf_buf_printf(&list, "%s%s", i == 0 ? "one of " : ", ", o->choices[i]);
    bad_value(where, text, gf_buf_cstr(&list), err);
    gf_buf_free(&list);
    return false;
}

void cli_add_name(gf_names *list, const char *name)
{
    list->items = gf_realloc(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = gf_strdup(name);
}

void cli_add_pair(gf_renames *map, const char *from, const char *to)
{
    for (size_t i = 0; i < map->count; i++) {
        if (strcmp(map->from[i], from) == 0) {
            free(map->to[i]);
            map->to[i] = gf_strdup(to);
            return;
        }
    }
    map->from = gf_realloc(map->from, (map->count + 1) * sizeof *map->from);
    map->to = gf_realloc(map->to, (map->count + 1) * sizeof *map->to);
    map->from[map->count] = gf_strdup(from);
    map->to[map->count++] = gf_strdup(to);
}

static void clear_names(gf_names *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (gf_names){0};
}

static void clear_map(gf_renames *map)
{
    for (size_t i = 0; i < map->count; i++) {
        free(map->from[i]);
        free(map->to[i]);
    }
    free(map->from);
    free(map->to);
    *map = (gf_renames){0};
}

/* "a,b" or "a=b,c=d". Names with commas or equal signs need CONF.json. */
static bool add_list(void *at, const cli_option *o, const char *text, const char *where, gf_error *err)
{
    char *copy = gf_strdup(text), *save = NULL;
    bool ok = true;

    for (char *item = strtok_r(copy, ",", &save); item != NULL && ok; item = strtok_r(NULL, ",", &save)) {
        char *equals = strchr(item, '=');

        if (o->type == OPT_NAMES) {
            cli_add_name(at, item);
        } else if (equals == NULL || equals == item) {
            ok = bad_value(where, item, "of the form name=value", err);
        } else {
            *equals = '\0';
            cli_add_pair(at, item, equals + 1);
        }
    }
    free(copy);
    return ok;
}

/* ---- setting ---- */

/* Several names may stand for one member: they share the level of the first. */
static opt_level *level_of(cli_input *in, const cli_option *o)
{
    for (size_t i = 0; i < cli_option_count; i++) {
        if (cli_options[i].offset == o->offset && cli_options[i].type == o->type)
            return &in->levels[i];
    }
    return &in->levels[o - cli_options];
}

opt_level cli_level(cli_input *in, const cli_option *o)
{
    return *level_of(in, o);
}

bool cli_begin(cli_input *in, const cli_option *o, opt_level level)
{
    opt_level *now = level_of(in, o);

    if (*now > level)
        return false;
    if (*now < level || level == FROM_JSON) { /* the last one of equal keys in a JSON object counts */
        if (o->type == OPT_NAMES)
            clear_names(cli_at(in, o));
        if (o->type == OPT_MAP)
            clear_map(cli_at(in, o));
    }
    *now = level;
    return true;
}

static void set_string(char **at, const char *text)
{
    free(*at);
    *at = gf_strdup(text);
}

bool cli_set(cli_input *in, const cli_option *o, opt_level level, const char *text, const char *where, gf_error *err)
{
    void *at = cli_at(in, o);

    if (!cli_begin(in, o, level))
        return true;
    switch (o->type) {
    case OPT_BOOL:
    case OPT_ATOMIC_BOOL: return set_bool(at, o, text, where, err);
    case OPT_UINT:
    case OPT_ATOMIC_UINT:
    case OPT_SIZE:
    case OPT_BYTES:
    case OPT_SECONDS:
    case OPT_MILLIS: return set_quantity(at, o, text, where, err);
    case OPT_CHOICE: return set_choice(at, o, text, where, err);
    case OPT_NAMES:
    case OPT_MAP: return add_list(at, o, text, where, err);
    case OPT_STRING:
    case OPT_SECRET:
    case OPT_JSON: set_string(at, text); return true;
    case OPT_URL: return cli_set_url(in, o->flag, level, text, where, err);
    case OPT_IGNORED: return true;
    case OPT_REFUSED: return gf_fail(err, GF_ERR_CONFIG, "%s: %s", where, o->help);
    }
    return false;
}

void cli_defaults(cli_input *in)
{
    gf_error err;

    for (size_t i = 0; i < cli_option_count; i++) {
        const cli_option *o = &cli_options[i];

        if (o->initial != NULL && !cli_set(in, o, FROM_DEFAULT, o->initial, o->flag == NULL ? o->json : o->flag, &err))
            gf_log_error("default: %s", err.text); /* a bug, found by the unit test that reads every default */
    }
}

/* ---- the end ---- */

static void free_string(char **at)
{
    free(*at);
    *at = NULL; /* a second name of the same member finds nothing more */
}

void cli_input_free(cli_input *in)
{
    for (size_t i = 0; i < cli_option_count; i++) {
        void *at = cli_at(in, &cli_options[i]);

        switch (cli_options[i].type) {
        case OPT_STRING:
        case OPT_JSON: free_string(at); break;
        case OPT_SECRET:
            if (*(char **)at != NULL)
                explicit_bzero(*(char **)at, strlen(*(char **)at));
            free_string(at);
            break;
        case OPT_NAMES: clear_names(at); break;
        case OPT_MAP: clear_map(at); break;
        default: break;
        }
    }
    for (unsigned i = 0; i < SERVERS; i++)
        free_string(&cli_server(in, i)->role);
    free_string(&in->cli.config.config_path);
    free_string(&in->cli.file);
    free(in->levels);
    in->levels = NULL;
}
