/* SPDX-License-Identifier: MIT */
/*
 * status_text.c - a state for people: where it stands, how far, how long, and what to do next.
 *
 * Bounded: tables that are done or wait are counted, of those being copied the first few are lines. What to do next
 * comes from one table, asked from top to bottom.
 */
#include "gfreplica/control.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "status.h"

#define TABLES_SHOWN 20

/* --- values --------------------------------------------------------------------------------------------------- */

static void add_count(gf_buf *out, uint64_t n)
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);

    for (int i = 0; i < len; i++) {
        gf_buf_byte(out, (uint8_t)digits[i]);
        if ((len - i) % 3 == 1 && i + 1 < len)
            gf_buf_byte(out, ',');
    }
}

static void add_bytes(gf_buf *out, uint64_t n)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double x = (double)n;
    unsigned unit = 0;

    while (x >= 1024 && unit < 6) {
        x /= 1024;
        unit++;
    }
    gf_buf_printf(out, unit == 0 ? "%.0f %s" : "%.1f %s", x, units[unit]);
}

static void add_duration(gf_buf *out, double seconds)
{
    uint64_t s = (uint64_t)seconds;

    if (seconds >= 1e15)
        gf_buf_str(out, "more than a lifetime");
    else if (s >= 86400)
        gf_buf_printf(out, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s % 86400 / 3600);
    else if (s >= 3600)
        gf_buf_printf(out, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s % 3600 / 60);
    else if (s >= 60)
        gf_buf_printf(out, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
    else
        gf_buf_printf(out, s < 10 ? "%.1f s" : "%.0f s", seconds);
}

static void add_label(gf_buf *out, const char *label)
{
    gf_buf_printf(out, "%-11s ", label);
}

/* --- lines ---------------------------------------------------------------------------------------------------- */

/* The first line alone tells how it goes: people watch it by `| head -n 1`. */
static void add_stage(gf_buf *out, const gf_state *s)
{
    add_label(out, "stage");
    gf_buf_str(out, gf_stage_name(s->stage));
    if (!gf_status_alive(s)) {
        gf_buf_str(out, s->stage == GF_STAGE_DONE ? "\n" : ", not running\n");
        return;
    }
    if (s->receiving)
        gf_buf_str(out, ", receiving only");
    if (s->paused)
        gf_buf_str(out, ", paused");
    if (s->stage == GF_STAGE_COPYING && s->rows_estimate > 0 && s->rows_copied <= s->rows_estimate)
        gf_buf_printf(out, ", about %.0f %%", 100 * (double)s->rows_copied / (double)s->rows_estimate);
    if (s->indexed_tables < s->deferred_tables)
        gf_buf_printf(out, ", indexes built of %" PRIu64 " of %" PRIu64 " tables", s->indexed_tables,
                      s->deferred_tables);
    if (s->lag_seconds >= 0) {
        gf_buf_str(out, ", lag ");
        add_duration(out, s->lag_seconds);
    }
    if (s->eta_seconds > 0) {
        gf_buf_str(out, ", eta ");
        add_duration(out, s->eta_seconds);
    }
    gf_buf_printf(out, ", process %d\n", s->pid);
}

static void add_servers(gf_buf *out, const gf_state *s)
{
    add_label(out, "source");
    gf_buf_printf(out, "%s\n", s->source_address);
    add_label(out, "target");
    gf_buf_printf(out, "%s%s\n", s->target_address, s->marker ? "" : " (no marker: resumes from the checkpoint alone)");
}

static void add_copied(gf_buf *out, const gf_state *s)
{
    add_label(out, "copied");
    add_count(out, s->rows_copied);
    gf_buf_str(out, " rows");
    if (s->stage <= GF_STAGE_COPYING && s->rows_estimate > 0) {
        gf_buf_str(out, " of about ");
        add_count(out, s->rows_estimate);
    }
    if (s->rows_per_second > 0 && s->stage == GF_STAGE_COPYING && gf_status_alive(s)) {
        gf_buf_str(out, ", ");
        add_count(out, (uint64_t)s->rows_per_second);
        gf_buf_str(out, " a second");
    }
    gf_buf_printf(out, "; %zu of %zu tables done\n", gf_status_count(s, GF_TABLE_DONE), s->table_count);
}

static void add_table(gf_buf *out, const gf_state_table *t)
{
    size_t done = 0;

    for (size_t i = 0; i < t->range_count; i++)
        done += t->ranges[i].done;
    add_label(out, "");
    gf_buf_printf(out, "%s.%s: ", t->db, t->name);
    add_count(out, gf_status_rows(t));
    gf_buf_str(out, " rows");
    if (t->table != NULL && t->table->row_estimate > 0) {
        gf_buf_str(out, " of about ");
        add_count(out, t->table->row_estimate);
    }
    if (t->range_count > 1)
        gf_buf_printf(out, ", %zu of %zu ranges", done, t->range_count);
    gf_buf_byte(out, '\n');
}

static void add_tables(gf_buf *out, const gf_state *s)
{
    size_t waiting = gf_status_count(s, GF_TABLE_WAITING), copying = gf_status_count(s, GF_TABLE_COPYING), shown = 0;

    for (size_t i = 0; i < s->table_count && shown < TABLES_SHOWN; i++) {
        if (gf_status_table(&s->tables[i]) != GF_TABLE_COPYING)
            continue;
        add_table(out, &s->tables[i]);
        shown++;
    }
    if (copying > shown || waiting > 0) {
        add_label(out, "");
        gf_buf_printf(out, "%zu more being copied, %zu waiting\n", copying - shown, waiting);
    }
}

static void add_stream(gf_buf *out, const gf_state *s)
{
    add_label(out, "applied");
    add_count(out, s->changes_applied);
    gf_buf_str(out, " row changes of ");
    add_count(out, s->transactions_applied);
    gf_buf_str(out, " transactions\n");
    add_label(out, "position");
    if (s->position.file[0] != '\0' || s->position.gtids != NULL || s->position.maria.count > 0)
        gf_position_text(&s->position, out);
    else
        gf_buf_str(out, "none yet");
    gf_buf_byte(out, '\n');
}

static void add_times(gf_buf *out, const gf_state *s)
{
    add_label(out, "lag");
    if (s->lag_seconds < 0) {
        gf_buf_str(out, "not known yet");
    } else {
        add_duration(out, s->lag_seconds);
        gf_buf_str(out, ", ");
        add_bytes(out, s->lag_bytes);
    }
    gf_buf_byte(out, '\n');
    add_label(out, "eta");
    if (s->eta_seconds < 0)
        gf_buf_str(out, "not known yet");
    else
        add_duration(out, s->eta_seconds);
    gf_buf_byte(out, '\n');
}

static void add_relay(gf_buf *out, const gf_state *s)
{
    if (s->received_file[0] == '\0' || s->stage == GF_STAGE_DONE)
        return;
    add_label(out, "received");
    gf_buf_printf(out, "up to %s:%" PRIu64 ", relay ", s->received_file, s->received_offset);
    add_bytes(out, s->relay_bytes);
    gf_buf_str(out, s->relay_full ? ", full: the source has to keep the rest\n" : "\n");
}

/* What is not received yet has to be on the source still. */
static void add_kept(gf_buf *out, const gf_state *s)
{
    uint64_t until, now = gf_wall_ms();
    char text[64];
    time_t seconds;
    struct tm tm;

    if (!gf_status_kept(&until, s) || (gf_status_alive(s) && s->lag_bytes == 0 && !s->relay_full))
        return;
    add_label(out, "source");
    if (s->needed_gone) {
        gf_buf_printf(out, "it has purged %s, which is needed next\n", s->received_file);
        return;
    }
    if (until == 0) {
        gf_buf_printf(out, "keeps %s, which is needed next, without limit of age\n", s->received_file);
        return;
    }
    seconds = (time_t)(until / 1000);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", gmtime_r(&seconds, &tm));
    if (until > now) {
        gf_buf_printf(out, "keeps %s, which is needed next, until %s at least: ", s->received_file, text);
        add_duration(out, (double)(until - now) / 1000);
    } else {
        gf_buf_printf(out, "may have purged %s, which is needed next, since %s", s->received_file, text);
    }
    gf_buf_byte(out, '\n');
}

static void add_saved(gf_buf *out, const gf_state *s)
{
    uint64_t now = gf_wall_ms();

    add_label(out, "checkpoint");
    gf_buf_printf(out, "generation %u, ", s->generation);
    add_duration(out, now > s->saved_ms ? (double)(now - s->saved_ms) / 1000 : 0);
    gf_buf_str(out, " ago\n");
    if (s->cause[0] != '\0') {
        add_label(out, "stopped by");
        gf_buf_printf(out, "%s\n", s->cause);
    }
}

/* --- what to do next ------------------------------------------------------------------------------------------ */

static bool is_done(const gf_state *s)
{
    return s->stage == GF_STAGE_DONE;
}

static bool is_final(const gf_state *s)
{
    return !gf_status_alive(s) && s->cause[0] != '\0' && !s->resumable;
}

static bool is_stopped(const gf_state *s)
{
    return !gf_status_alive(s);
}

static bool is_receiving(const gf_state *s)
{
    return s->receiving;
}

static bool is_paused(const gf_state *s)
{
    return s->paused;
}

static bool is_cutting_over(const gf_state *s)
{
    return s->stage == GF_STAGE_CUTOVER;
}

static bool is_automatic(const gf_state *s)
{
    return s->automatic_cutover;
}

static bool is_streaming(const gf_state *s)
{
    return s->stage == GF_STAGE_STREAMING;
}

static bool is_anything(const gf_state *s)
{
    (void)s;
    return true;
}

static const struct advice {
    bool (*applies)(const gf_state *s);
    const char *text;
} advices[] = {
    {is_done, "nothing: the target has all; let the applications use it"},
    {is_final,
     "this job can't go on: mend the cause, then begin a new one with an empty checkpoint directory and empty target tables"},
    {is_stopped, "run the same command again: it goes on from here (if it failed: after mending what stopped it)"},
    {is_receiving, "it only pulls the source's binlog: stop it, then run the job, when the target is there"},
    {is_paused, "`gfreplica resume` when it may go on"},
    {is_cutting_over, "nothing: it applies what the source has written up to the final position, then ends"},
    {is_automatic, "nothing: it cuts over by itself when the copy is complete and the stream has caught up"},
    {is_streaming, "it is a live replica; to move: stop writes on the source, then `gfreplica cutover`"},
    {is_anything, "wait for the copy; it then stays a live replica until `gfreplica cutover`"},
};

void gf_control_status_text(gf_buf *out, const gf_state *s)
{
    const struct advice *next = advices;

    add_stage(out, s);
    add_servers(out, s);
    add_copied(out, s);
    if (s->stage <= GF_STAGE_COPYING)
        add_tables(out, s);
    add_stream(out, s);
    if (gf_status_alive(s))
        add_times(out, s);
    add_relay(out, s);
    add_kept(out, s);
    if (s->saved_ms > 0)
        add_saved(out, s);
    while (!next->applies(s))
        next++;
    add_label(out, "next");
    gf_buf_printf(out, "%s\n", next->text);
}
