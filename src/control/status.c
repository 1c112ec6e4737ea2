/* SPDX-License-Identifier: MIT */
/*
 * status.c - a state as Ghostferry's status document, with our own fields beside its.
 *
 * Scripts that watch a ghostferry-copydb read `OverallState`, `ETA`, `BinlogStreamerLag`, `CompletedTableCount` and
 * the like: each keeps its name, its type and its meaning. A number of Ghostferry's that is not known is -1, one of
 * ours null. What gfreplica does not have (custom scripts, a verifier in the job) is there with its empty value.
 */
#include "gfreplica/control.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "gfreplica/version.h"
#include "json_line.h"
#include "status.h"

/* Ghostferry's names of the stages: what we call streaming is to it the wait for the cutover. */
static const char *const overall_states[] = {
    [GF_STAGE_STARTING] = "starting", [GF_STAGE_COPYING] = "copying", [GF_STAGE_STREAMING] = "wait-for-cutover",
    [GF_STAGE_CUTOVER] = "cutover",   [GF_STAGE_DONE] = "done",
};

static const char *const actions[] = {
    [GF_TABLE_WAITING] = "waiting", [GF_TABLE_COPYING] = "copying", [GF_TABLE_DONE] = "completed"};

/* --- what a state says of its tables -------------------------------------------------------------------------- */

gf_table_progress gf_status_table(const gf_state_table *t)
{
    if (t->done)
        return GF_TABLE_DONE;
    for (size_t i = 0; i < t->range_count; i++)
        if (t->ranges[i].done || t->ranges[i].frontier.len > 0 || t->ranges[i].rows > 0)
            return GF_TABLE_COPYING;
    return GF_TABLE_WAITING;
}

uint64_t gf_status_rows(const gf_state_table *t)
{
    uint64_t rows = 0;

    for (size_t i = 0; i < t->range_count; i++)
        rows += t->ranges[i].rows;
    return rows;
}

size_t gf_status_count(const gf_state *s, gf_table_progress progress)
{
    size_t count = 0;

    for (size_t i = 0; i < s->table_count; i++)
        count += gf_status_table(&s->tables[i]) == progress;
    return count;
}

bool gf_status_alive(const gf_state *s)
{
    return s->pid > 0 && s->cause[0] == '\0' && s->stage != GF_STAGE_DONE &&
           (kill((pid_t)s->pid, 0) == 0 || errno == EPERM);
}

bool gf_status_kept(uint64_t *until_ms, const gf_state *s)
{
    if (s->stage == GF_STAGE_DONE || s->received_file[0] == '\0' || !s->retention_known)
        return false;
    *until_ms = s->source_keeps_s == 0 ? 0 : s->needed_ms + 1000 * s->source_keeps_s;
    return s->source_keeps_s == 0 || s->needed_ms > 0;
}

/* The key up to which all rows are copied: ranges are read side by side, so this is the frontier of the first one
   that is not done. Empty when nothing is, or when the table is empty. */
static gf_slice copied_up_to(const gf_state_table *t)
{
    gf_slice key = {0};

    for (size_t i = 0; i < t->range_count; i++) {
        const gf_state_range *r = &t->ranges[i];
        const gf_buf *reached = r->done && r->upper.len > 0 ? &r->upper : &r->frontier;

        if (reached->len > 0)
            key = gf_slice_of(reached->data, reached->len);
        if (!r->done)
            break;
    }
    return key;
}

static const gf_key *identity(const gf_state_table *t)
{
    return t->table != NULL && t->table->identity >= 0 ? &t->table->keys[t->table->identity] : NULL;
}

/* One part of a canonical key (catalog.h) as Ghostferry writes keys: a number, or bytes in hex. */
static void add_key_part(gf_buf *out, gf_value_kind kind, gf_slice bytes)
{
    gf_cursor c = gf_cursor_of(bytes.data, bytes.len);

    if (kind == GF_V_INT && bytes.len == 8)
        gf_buf_printf(out, "%" PRId64, (int64_t)(gf_cursor_be(&c, 8) ^ UINT64_C(1) << 63));
    else if (kind == GF_V_UINT && bytes.len == 8)
        gf_buf_printf(out, "%" PRIu64, gf_cursor_be(&c, 8));
    else if (kind == GF_V_NUMBER || kind == GF_V_TEMPORAL)
        gf_buf_slice(out, bytes);
    else
        for (size_t i = 0; i < bytes.len; i++)
            gf_buf_printf(out, "%02x", bytes.data[i]);
}

static void add_last_key(gf_buf *out, const gf_state_table *t)
{
    gf_slice key = copied_up_to(t);
    gf_cursor c = gf_cursor_of(key.data, key.len);
    gf_buf text = {0};

    while (gf_cursor_left(&c) > 0 && !c.bad) {
        gf_value_kind kind = (gf_value_kind)gf_cursor_u8(&c);
        gf_slice bytes = gf_cursor_bytes(&c, gf_cursor_u32(&c));

        if (text.len > 0)
            gf_buf_byte(&text, ',');
        if (!c.bad)
            add_key_part(&text, kind, bytes);
    }
    gf_jline_bytes(out, "LastSuccessfulPaginationKey", gf_slice_of(text.data, text.len));
    gf_buf_free(&text);
}

/* Only a state that came from a checkpoint knows the table's definition; of a running job this is "". */
static void add_key_name(gf_buf *out, const gf_state_table *t)
{
    const gf_key *key = identity(t);
    gf_buf names = {0};

    for (unsigned i = 0; key != NULL && i < key->part_count; i++)
        gf_buf_printf(&names, "%s%s", i > 0 ? "," : "", t->table->columns[key->parts[i].column].name);
    gf_jline_bytes(out, "PaginationKeyName", gf_slice_of(names.data, names.len));
    gf_buf_free(&names);
}

/* --- values --------------------------------------------------------------------------------------------------- */

static void add_position(gf_buf *out, const char *key, const gf_position *pos)
{
    gf_jline_open(out, key, '{');
    gf_jline_text(out, "Name", pos->file);
    gf_jline_uint(out, "Pos", pos->offset);
    gf_jline_close(out, '}');
}

/* As Go prints a time; the year 1 is its zero. */
static void add_time(gf_buf *out, const char *key, uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[64] = "0001-01-01T00:00:00Z";
    size_t len;

    if (wall_ms > 0 && gmtime_r(&seconds, &tm) != NULL) {
        len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(text + len, sizeof text - len, ".%03uZ", (unsigned)(wall_ms % 1000));
    }
    gf_jline_text(out, key, text);
}

static double seconds_taken(const gf_state *s)
{
    uint64_t until = gf_status_alive(s) ? gf_wall_ms() : s->saved_ms;

    return s->started_ms > 0 && until > s->started_ms ? (double)(until - s->started_ms) / 1000 : 0;
}

/* Ghostferry has these as fractions in its progress and as whole seconds in its status. */
static void add_seconds(gf_buf *out, const char *key, double seconds, bool whole)
{
    if (whole)
        gf_jline_int(out, key, seconds >= 0 && seconds < 1e15 ? (int64_t)ceil(seconds) : -1);
    else
        gf_jline_real(out, key, seconds >= 0 ? seconds : -1);
}

static void add_known(gf_buf *out, const char *key, double x)
{
    if (x < 0)
        gf_jline_null(out, key);
    else
        gf_jline_real(out, key, x);
}

/* --- documents ------------------------------------------------------------------------------------------------ */

static void add_progress_tables(gf_buf *out, const gf_state *s)
{
    gf_jline_open(out, "Tables", '{');
    for (size_t i = 0; i < s->table_count; i++) {
        const gf_state_table *t = &s->tables[i];

        gf_jline_open_name(out, t->db, t->name, '{');
        add_last_key(out, t);
        gf_jline_text(out, "TargetPaginationKey", ""); /* rule M7: no maximum is assumed */
        gf_jline_text(out, "CurrentAction", actions[gf_status_table(t)]);
        gf_jline_uint(out, "RowsWritten", gf_status_rows(t));
        gf_jline_uint(out, "BatchSize", 0);
        gf_jline_uint(out, "BytesWritten", 0);
        gf_jline_close(out, '}');
    }
    gf_jline_close(out, '}');
}

static void add_progress(gf_buf *out, const gf_state *s, const char *custom_payload, bool whole_seconds)
{
    gf_jline_text(out, "CurrentState", overall_states[s->stage]);
    gf_jline_text(out, "CustomPayload", custom_payload);
    add_progress_tables(out, s);
    add_position(out, "LastSuccessfulBinlogPos", &s->position);
    add_seconds(out, "BinlogStreamerLag", s->lag_seconds, whole_seconds);
    add_seconds(out, "BinlogWriterLag", s->lag_seconds, false);
    gf_jline_bool(out, "Throttled", s->paused);
    gf_jline_real(out, "TargetBinlogStreamerLag", 0);
    gf_jline_uint(out, "ActiveDataIterators", gf_status_count(s, GF_TABLE_COPYING));
    gf_jline_text(out, "VerifierType", "");
    gf_jline_text(out, "VerifierMessage", "");
    add_position(out, "FinalBinlogPos", &s->final);
    gf_jline_uint(out, "PaginationKeysPerSecond", s->rows_per_second > 0 ? (uint64_t)s->rows_per_second : 0);
    add_seconds(out, "ETA", s->eta_seconds, whole_seconds);
    add_seconds(out, "TimeTaken", seconds_taken(s), whole_seconds);
}

static void add_table_statuses(gf_buf *out, const gf_state *s)
{
    gf_jline_open(out, "TableStatuses", '[');
    for (size_t i = 0; i < s->table_count; i++) {
        const gf_state_table *t = &s->tables[i];

        gf_jline_open(out, NULL, '{');
        gf_jline_name(out, "TableName", t->db, t->name);
        add_key_name(out, t);
        gf_jline_text(out, "Status", actions[gf_status_table(t)]);
        add_last_key(out, t);
        gf_jline_text(out, "TargetPaginationKey", "");
        gf_jline_uint(out, "BatchSize", 0);
        gf_jline_uint(out, "RowsWritten", gf_status_rows(t));
        gf_jline_close(out, '}');
    }
    gf_jline_close(out, ']');
}

/* Tables come ordered by database, so each database once is each change of it. */
static void add_names(gf_buf *out, const gf_state *s)
{
    gf_jline_open(out, "AllTableNames", '[');
    for (size_t i = 0; i < s->table_count; i++)
        gf_jline_name(out, NULL, s->tables[i].db, s->tables[i].name);
    gf_jline_close(out, ']');
    gf_jline_open(out, "AllDatabaseNames", '[');
    for (size_t i = 0; i < s->table_count; i++)
        if (i == 0 || strcmp(s->tables[i - 1].db, s->tables[i].db) != 0)
            gf_jline_text(out, NULL, s->tables[i].db);
    gf_jline_close(out, ']');
}

static void add_overall(gf_buf *out, const gf_state *s)
{
    gf_jline_text(out, "GhostferryVersion", GF_VERSION);
    gf_jline_text(out, "SourceHostPort", s->source_address);
    gf_jline_text(out, "TargetHostPort", s->target_address);
    gf_jline_text(out, "OverallState", overall_states[s->stage]);
    add_time(out, "StartTime", s->started_ms);
    add_time(out, "CurrentTime", gf_wall_ms());
    gf_jline_bool(out, "AutomaticCutover", s->automatic_cutover);
    gf_jline_bool(out, "BinlogStreamerStopRequested", s->stage >= GF_STAGE_CUTOVER);
    gf_jline_uint(out, "CompletedTableCount", gf_status_count(s, GF_TABLE_DONE));
    gf_jline_uint(out, "TotalTableCount", s->table_count);
    add_table_statuses(out, s);
    add_names(out, s);
}

static void add_verifier(gf_buf *out)
{
    gf_jline_bool(out, "VerifierSupport", false);
    gf_jline_bool(out, "VerifierAvailable", false);
    gf_jline_bool(out, "VerificationStarted", false);
    gf_jline_bool(out, "VerificationDone", false);
    gf_jline_open(out, "VerificationResult", '{');
    gf_jline_bool(out, "DataCorrect", false);
    gf_jline_text(out, "Message", "");
    gf_jline_open(out, "IncorrectTables", '[');
    gf_jline_close(out, ']');
    gf_jline_close(out, '}');
    gf_jline_null(out, "VerificationErr");
    gf_jline_open(out, "CustomScriptStatuses", '{');
    gf_jline_close(out, '}');
}

static void add_where(gf_buf *out, const char *position_key, const char *gtids_key, const gf_position *pos)
{
    gf_buf text = {0};

    if (pos->file[0] != '\0')
        gf_buf_printf(&text, "%s:%llu", pos->file, (unsigned long long)pos->offset);
    gf_jline_bytes(out, position_key, gf_slice_of(text.data, text.len));
    gf_buf_reset(&text);
    gf_position_gtid_text(pos, &text);
    gf_jline_bytes(out, gtids_key, gf_slice_of(text.data, text.len));
    gf_buf_free(&text);
}

static void add_receiving(gf_buf *out, const gf_state *s)
{
    uint64_t until = 0, now = gf_wall_ms();
    bool known = gf_status_kept(&until, s);
    gf_buf text = {0};

    if (s->received_file[0] != '\0')
        gf_buf_printf(&text, "%s:%" PRIu64, s->received_file, s->received_offset);
    gf_jline_bytes(out, "ReceivedPosition", gf_slice_of(text.data, text.len));
    gf_jline_bool(out, "ReceiveOnly", s->receiving);
    gf_jline_uint(out, "RelayBytes", s->relay_bytes);
    gf_jline_bool(out, "RelayFull", s->relay_full);
    gf_jline_text(out, "NeededBinlog", s->received_file);
    gf_jline_bool(out, "NeededBinlogGone", s->needed_gone);
    if (known && until > 0)
        add_time(out, "SourceKeepsUntil", until);
    else
        gf_jline_null(out, "SourceKeepsUntil");
    add_known(out, "SourceKeepsSeconds", !known || until == 0 ? -1 : until < now ? 0 : (double)(until - now) / 1000);
    gf_buf_free(&text);
}

static void add_ours(gf_buf *out, const gf_state *s)
{
    gf_jline_text(out, "Job", s->job);
    gf_jline_text(out, "Stage", gf_stage_name(s->stage));
    gf_jline_bool(out, "Running", gf_status_alive(s));
    gf_jline_int(out, "Pid", s->pid);
    gf_jline_bool(out, "Paused", s->paused);
    gf_jline_uint(out, "DeferredTableCount", s->deferred_tables);
    gf_jline_uint(out, "IndexedTableCount", s->indexed_tables);
    gf_jline_bool(out, "Resumable", s->stage != GF_STAGE_DONE && (s->resumable || s->cause[0] == '\0'));
    gf_jline_text(out, "Cause", s->cause);
    add_where(out, "Position", "GTIDs", &s->position);
    add_where(out, "FinalPosition", "FinalGTIDs", &s->final);
    add_known(out, "LagSeconds", s->lag_seconds);
    gf_jline_uint(out, "LagBytes", s->lag_bytes);
    add_known(out, "ETASeconds", s->eta_seconds);
    add_receiving(out, s);
    gf_jline_uint(out, "RowsCopied", s->rows_copied);
    gf_jline_uint(out, "RowsEstimate", s->rows_estimate);
    gf_jline_real(out, "RowsPerSecond", s->rows_per_second);
    gf_jline_uint(out, "TransactionsApplied", s->transactions_applied);
    gf_jline_uint(out, "ChangesApplied", s->changes_applied);
    gf_jline_bool(out, "Marker", s->marker);
    gf_jline_uint(out, "CheckpointGeneration", s->generation);
    add_time(out, "CheckpointTime", s->saved_ms);
    gf_jline_text(out, "ControlAddress", s->control);
}

void gf_control_status_json(gf_buf *out, const gf_state *s)
{
    gf_buf_byte(out, '{');
    add_overall(out, s);
    add_progress(out, s, "", true);
    add_verifier(out);
    add_ours(out, s);
    gf_buf_str(out, "}\n");
}

void gf_control_progress_json(gf_buf *out, const gf_state *s, const char *custom_payload)
{
    gf_buf_byte(out, '{');
    add_progress(out, s, custom_payload != NULL ? custom_payload : "", false);
    gf_buf_byte(out, '}');
}
