/* SPDX-License-Identifier: MIT */
/*
 * verifying.c - `gfreplica verify`, beside a running job or after it, and the comparison at the cutover (--verify).
 *
 * A comparison has to know when the target has everything that it has seen of the source. Beside a running job the marker
 * tells, or the checkpoint where there is none; at the cutover's end position nothing is missing any more. Of a job that is done
 * the target stands still: rows that somebody writes to the source after the cutover differ rightly, and the report says
 * how far the source has gone on.
 */
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "gfreplica/cli.h"
#include "gfreplica/log.h"
#include "gfreplica/verify.h"
#include "internal.h"

/* ---- the job, seen from outside ---- */

typedef struct {
    const gf_config *config; /* borrowed */
    gf_flavor flavor;        /* the source's */
    bool marker, done;       /* as the checkpoint says at the begin */
} watched;

enum { LOOK_MS = 500, SAVED_MS = 2000, FIRST_PAUSE_US = 2000, LAST_PAUSE_US = 20 * 1000, TELL_MS = 60 * 1000 };

static bool peek(gf_state *out, const gf_config *c, gf_error *err)
{
    bool found;

    *out = (gf_state){0};
    if (!gf_checkpoint_peek(out, &found, c->checkpoint_dir, err))
        return false;
    return found ||
           gf_fail(err, GF_ERR_CONFIG, "%s holds no checkpoint: verify wants the job's directory", c->checkpoint_dir);
}

/* Committed on the target: exactly with a marker, else at least. */
static bool position_now(gf_position *out, const watched *w, MYSQL *control, gf_error *err)
{
    gf_state s;
    bool ok;

    if (w->marker)
        return gf_marker_look(out, control, w->config, w->flavor, err);
    ok = peek(&s, w->config, err);
    gf_position_copy(out, &s.position);
    gf_state_free(&s);
    return ok;
}

/* *over: nothing will come any more, and that is right. */
static bool still_runs(bool *over, const watched *w, gf_error *err)
{
    gf_state s;
    bool ok = peek(&s, w->config, err);

    *over = s.stage == GF_STAGE_DONE;
    if (ok && !*over && !gf_status_alive(&s))
        ok = gf_fail(err, GF_ERR_GONE,
                     "the job does not run, so the target lacks what the source has written since: start it, and "
                     "verify while it streams");
    gf_state_free(&s);
    return ok;
}

/* One line a minute: an ALTER may take hours there. */
static void tell_waiting(uint64_t *next, const gf_position *now)
{
    gf_buf at = {0};

    if (gf_now_ms() < *next)
        return;
    *next = gf_now_ms() + TELL_MS;
    gf_position_text(now, &at);
    gf_log_info("waiting for the target, which is at %s", gf_buf_cstr(&at));
    gf_buf_free(&at);
}

static bool reached(void *ctx, MYSQL *control, const gf_position *end, gf_error *err)
{
    const watched *w = ctx;
    uint64_t look = gf_now_ms() + LOOK_MS, tell = gf_now_ms() + TELL_MS;
    unsigned pause = FIRST_PAUSE_US;
    gf_position now = {0};
    bool over = w->done, ok = true;

    while (!over && (ok = position_now(&now, w, control, err)) && gf_position_cmp(&now, end) < 0) {
        if (gf_now_ms() >= look) {
            if (!(ok = still_runs(&over, w, err)))
                break;
            look = gf_now_ms() + LOOK_MS;
            tell_waiting(&tell, &now);
        }
        usleep(pause);
        pause = 2 * pause < LAST_PAUSE_US ? 2 * pause : LAST_PAUSE_US;
    }
    gf_position_free(&now);
    return ok;
}

/* Without a marker no schema change is repeated. */
static bool passed(void *ctx, uint64_t *count, MYSQL *control, const gf_table *t, gf_error *err)
{
    const watched *w = ctx;

    *count = 0;
    return !w->marker || gf_marker_look_passed(count, control, w->config, t, err);
}

/* ---- the report ---- */

static void text_difference(gf_buf *out, const gf_verify_difference *d)
{
    static const char *const what[] = {[GF_VERIFY_DIFFERS] = "differs",
                                       [GF_VERIFY_MISSING] = "is missing on the target",
                                       [GF_VERIFY_EXTRA] = "is on the target alone",
                                       [GF_VERIFY_TABLE] = "differs",
                                       [GF_VERIFY_UNSETTLED] = "could not be compared"};

    gf_buf_printf(out, "%s: ", d->table);
    if (d->key != NULL)
        gf_buf_printf(out, "row %s %s", d->key, what[d->kind]);
    else
        gf_buf_printf(out, "the table %s", what[d->kind]);
    if (d->kind == GF_VERIFY_UNSETTLED && d->what == NULL)
        gf_buf_str(out, ": it changed all the time");
    else if (d->what != NULL)
        gf_buf_printf(out, "%s %s", d->key != NULL ? " in" : ":", d->what);
    gf_buf_byte(out, '\n');
}

static void text_report(gf_buf *out, const gf_verify_result *r, bool ended)
{
    for (size_t i = 0; i < r->list_count; i++)
        text_difference(out, &r->list[i]);
    if (r->cut_short)
        gf_buf_str(out, "a table with a hundred of them was not compared to its end\n");
    if (!ended)
        gf_buf_str(out, "the comparison broke off: this is not all\n");
    gf_buf_printf(out, "%llu table%s, %llu row%s compared: %llu difference%s\n", (unsigned long long)r->tables,
                  r->tables == 1 ? "" : "s", (unsigned long long)r->rows, r->rows == 1 ? "" : "s",
                  (unsigned long long)r->differences, r->differences == 1 ? "" : "s");
}

static json_t *text_or_null(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

static void json_report(gf_buf *out, const gf_verify_result *r, bool ended)
{
    json_t *list = json_array(), *all;
    char *text;

    for (size_t i = 0; i < r->list_count; i++) {
        const gf_verify_difference *d = &r->list[i];

        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o, s:o}", "Table", d->table, "Kind", gf_verify_kind_name(d->kind),
                                        "Key", text_or_null(d->key), "What", text_or_null(d->what)));
    }
    all = json_pack("{s:b, s:b, s:I, s:I, s:I, s:I, s:b, s:o}", "Equal",
                    ended && r->differences == 0 && r->unsettled == 0, "Ended", ended, "Tables", (json_int_t)r->tables,
                    "Rows", (json_int_t)r->rows, "Differences", (json_int_t)r->differences, "Unsettled",
                    (json_int_t)r->unsettled, "CutShort", r->cut_short, "List", list);
    text = json_dumps(all, JSON_COMPACT);
    gf_buf_printf(out, "%s\n", text);
    free(text);
    json_decref(all);
}

static int code_of(const gf_verify_result *r)
{
    if (r->differences > 0)
        return GF_EXIT_MISMATCH;
    return r->unsettled > 0 ? GF_EXIT_FAILED : GF_EXIT_DONE;
}

/* ---- the command ---- */

typedef struct {
    gf_config *config; /* borrowed */
    MYSQL *source, *target;
    gf_server_info source_info, target_info;
    gf_catalog *catalog;
    watched job;
    uint64_t passed; /* schema changes, before the definitions were read */
} command;

/* The checkpoint of a job that has just begun to stream may be a moment old. */
static bool peek_patiently(gf_state *out, const gf_config *c, gf_error *err)
{
    const uint64_t until = gf_now_ms() + SAVED_MS;
    bool ok;

    while ((ok = peek(out, c, err)) && out->stage < GF_STAGE_STREAMING && gf_status_alive(out) && gf_now_ms() < until) {
        gf_state_free(out);
        usleep(1000 * LOOK_MS);
    }
    return ok;
}

/* Is it the job of this configuration, and has it copied all rows? */
static bool look_at_job(command *v, gf_error *err)
{
    char digest[65];
    gf_state s;
    bool ok = peek_patiently(&s, v->config, err);

    gf_config_digest(digest, v->config);
    if (ok && strcmp(s.config_digest, digest) != 0)
        ok = gf_fail(err, GF_ERR_CONFIG,
                     "the job in %s has other servers, databases, tables or renames: use its configuration",
                     v->config->checkpoint_dir);
    if (ok && s.stage < GF_STAGE_STREAMING)
        ok = gf_fail(err, GF_ERR_CONFIG, "the job is %s: rows can be compared when all are copied, from streaming on",
                     gf_stage_name(s.stage));
    if (ok && strcmp(s.source_identity, v->source_info.identity) != 0)
        ok = gf_fail(err, GF_ERR_CONFIG, "the source is not the server that the job follows (%s, it follows %s)",
                     v->source_info.identity, s.source_identity);
    v->job = (watched){
        .config = v->config, .flavor = v->source_info.flavor, .marker = s.marker, .done = s.stage == GF_STAGE_DONE};
    gf_state_free(&s);
    return ok;
}

static bool open_command(command *v, gf_error *err)
{
    gf_config *c = v->config;
    gf_buf left_out = {0};
    bool ok;

    if (!gf_server_connect(&v->source, &c->source, GF_CONN_PLAIN, err) ||
        !gf_server_info_read(&v->source_info, v->source, err) ||
        !gf_server_connect(&v->target, &c->target, GF_CONN_PLAIN, err) ||
        !gf_server_info_read(&v->target_info, v->target, err) || !look_at_job(v, err))
        return false;
    c->filter.fold_case = v->source_info.lower_case != 0;
    c->filter.json_types = gf_server_json_types(&v->source_info, &v->target_info);
    ok = passed(&v->job, &v->passed, v->target, NULL, err) &&
         gf_catalog_load(v->catalog, v->source, v->source_info.flavor, &c->filter, &left_out, err);
    gf_buf_free(&left_out);
    return ok;
}

/* A target that has come to its end, beside a source that has not. */
static void say_how_far(command *v)
{
    gf_position end = {0}, at = {0};
    gf_buf text = {0};
    gf_error err;

    if (v->job.done && gf_server_binlog_end(&end, v->source, &v->source_info, &err) &&
        position_now(&at, &v->job, v->target, &err) && gf_position_cmp(&at, &end) < 0) {
        gf_position_text(&at, &text);
        gf_log_warn(
            "the job is done at %s, and the source's binlog has gone on to %s:%llu: rows that were written there "
            "since the cutover differ rightly",
            gf_buf_cstr(&text), end.file, (unsigned long long)end.offset);
    }
    gf_buf_free(&text);
    gf_position_free(&end);
    gf_position_free(&at);
}

static bool compare(gf_verify_result *r, command *v, gf_error *err)
{
    gf_verify_options opt = {.config = v->config,
                             .source = &v->source_info,
                             .target = &v->target_info,
                             .reached = reached,
                             .passed = passed,
                             .passed_before = v->passed,
                             .ctx = &v->job};
    const gf_table **tables;
    bool ok;

    opt.count = gf_catalog_list(v->catalog, &tables);
    opt.tables = tables;
    ok = gf_verify_run(r, &opt, err);
    free(tables);
    return ok;
}

/* What was found by the time that it broke off is no less true. */
static int report_all(gf_buf *report, command *v, bool json, gf_error *err)
{
    gf_verify_result r = {0};
    bool ended = compare(&r, v, err);
    int code = code_of(&r);

    if (ended || r.list_count > 0)
        (json ? json_report : text_report)(report, &r, ended);
    if (!ended && code == GF_EXIT_DONE)
        code = GF_EXIT_FAILED;
    if (!ended && r.list_count > 0)
        gf_log_error("the comparison broke off: %s", err->text);
    if (code == GF_EXIT_MISMATCH)
        say_how_far(v);
    gf_verify_free(&r);
    return code;
}

int gf_job_verify(gf_buf *report, gf_config *config, bool json, gf_error *err)
{
    command v = {.config = config, .catalog = gf_catalog_new()};
    int code = open_command(&v, err) ? report_all(report, &v, json, err) : GF_EXIT_REFUSED;

    gf_catalog_free(v.catalog);
    gf_server_close(v.source);
    gf_server_close(v.target);
    return code;
}

/* ---- at the cutover ---- */

/* The stream has ended: the target has all that it will get. */
static bool nothing_is_missing(void *ctx, MYSQL *control, const gf_position *end, gf_error *err)
{
    (void)ctx, (void)control, (void)end, (void)err;
    return true;
}

static bool stop_wanted(void *ctx)
{
    return atomic_load(&((gf_job *)ctx)->stop_requests) > 0;
}

/* Nobody has held the applications: what they write now differs rightly. */
static bool is_written_to(gf_job *j)
{
    gf_position end = {0};
    gf_error err;
    bool yes = gf_server_binlog_end(&end, j->source, &j->source_info, &err);

    pthread_mutex_lock(&j->lock);
    yes = yes && gf_position_cmp(&end, &j->state.final) > 0;
    pthread_mutex_unlock(&j->lock);
    gf_position_free(&end);
    return yes;
}

static bool explain(gf_job *j, const gf_verify_result *r, bool ended, gf_error *err)
{
    gf_buf text = {0};

    text_report(&text, r, ended);
    gf_log_lines(GF_LOG_ERROR, &text);
    gf_buf_free(&text);
    if (is_written_to(j))
        return gf_fail(err, GF_ERR_DIVERGED,
                       "the comparison at the cutover found differences, and the source has been written to behind the "
                       "cutover's end position: hold the applications first");
    return gf_fail(err, GF_ERR_DIVERGED,
                   "the comparison at the cutover found %llu difference%s: the source is what counts, the target must "
                   "not be used",
                   (unsigned long long)(r->differences + r->unsettled), r->differences + r->unsettled == 1 ? "" : "s");
}

bool gf_verifying_at_cutover(gf_job *j, gf_error *err)
{
    gf_verify_result r = {0};
    const gf_table **tables;
    gf_verify_options opt = {.config = j->config,
                             .source = &j->source_info,
                             .target = &j->target_info,
                             .reached = nothing_is_missing,
                             .stopped = stop_wanted,
                             .ctx = j};
    bool ok;

    if (!j->config->verify)
        return true;
    opt.count = gf_catalog_list(j->catalog, &tables);
    opt.tables = tables;
    gf_log_info("cutover: comparing all rows of %zu tables", opt.count);
    ok = gf_verify_run(&r, &opt, err);
    if (r.list_count > 0)
        ok = explain(j, &r, ok, err);
    if (ok)
        gf_log_info("cutover: %llu rows of %llu tables are equal", (unsigned long long)r.rows,
                    (unsigned long long)r.tables);
    j->mismatch = !ok && r.differences > 0;
    gf_verify_free(&r);
    free(tables);
    return ok;
}
