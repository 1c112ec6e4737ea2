/* SPDX-License-Identifier: MIT */
/*
 * start.c - everything between the command and the first thread.
 *
 *   source    connect, who it is: another server behind the same address is noticed; from here on the receiver may run
 *   target    connect
 *   prepare   once a process: catalog (source or checkpoint), preflight
 *   position  every attempt: the marker is read with a lock (rule R3) and decides where the stream starts and what
 *             of each table is copied; a new job gets its start position (S1-S3), tables, plan and marker (S6)
 *
 * A retried attempt and a resumed process take the same way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "anew.h"
#include "databases.h"
#include "found.h"
#include "gfreplica/check.h"
#include "gfreplica/cli.h"
#include "gfreplica/log.h"
#include "in_memory.h"
#include "internal.h"
#include "sequences.h"

enum { NOTICED_MS = 2000 }; /* after two heartbeats a source has noticed that a replica is gone */

/* ---- connections ---- */

static void address(char *out, size_t size, const gf_server_config *c)
{
    if (c->socket != NULL)
        snprintf(out, size, "%s", c->socket);
    else
        snprintf(out, size, "%s:%u", c->host, c->port);
}

/* A stop shuts these sockets down, so that a server that hangs does not hold us. */
static void keep_link(gf_job *j, int slot, MYSQL *db)
{
    pthread_mutex_lock(&j->lock);
    gf_lifeline_hold(&j->links[slot], db == NULL ? -1 : (int)mysql_get_socket(db), atomic_load(&j->stop_requests) > 0);
    pthread_mutex_unlock(&j->lock);
}

static bool connect_one(MYSQL **db, gf_job *j, int slot, const gf_server_config *c, gf_server_info *info, gf_error *err)
{
    if (!gf_server_connect(db, c, GF_CONN_PLAIN, err))
        return false;
    keep_link(j, slot, *db);
    return gf_server_info_read(info, *db, err) || gf_fail_context(err, "%s", c->role);
}

void gf_start_disconnect(gf_job *j)
{
    keep_link(j, 0, NULL);
    keep_link(j, 1, NULL);
    gf_server_close(j->source);
    gf_server_close(j->target);
    j->source = j->target = NULL;
}

/* MariaDB's identity is made of names, which change when a server moves house (a container made anew): it is the same if
   its binlog holds our very place. */
static bool same_binlog(gf_job *j, const gf_position *at, gf_error *err)
{
    bool found;

    if (!gf_replica_same_place(&found, j->source, &j->source_info, at, err))
        return false;
    return found || gf_fail(err, GF_ERR_GONE, "its binlog does not hold our position");
}

/* Rule R5: another source may take over only when it has all that we have, and nothing we lack is purged from it. */
static bool same_gtids(gf_job *j, const gf_position *at, gf_error *err)
{
    gf_buf ours = {0};
    char *missing = NULL;
    bool ok = false;

    gf_position_gtid_text(at, &ours);
    if (at->gtids != NULL && gf_gtid_set_empty(at->gtids))
        gf_buf_reset(&ours); /* a new server's: there is nothing that another one could lack */
    if (!j->source_info.gtids || at->gtids == NULL) {
        gf_fail(err, GF_ERR_GONE, "without GTIDs a position means nothing there");
        goto out;
    }
    if (!gf_server_scalar(&missing, j->source, "compare GTIDs", err,
                          "SELECT GTID_SUBTRACT('%s', @@global.gtid_executed)", gf_buf_cstr(&ours)))
        goto out;
    ok = missing != NULL && missing[0] == '\0';
    if (!ok)
        gf_fail(err, GF_ERR_GONE, "it lacks transactions that the target has: %s", missing == NULL ? "" : missing);
out:
    free(missing);
    gf_buf_free(&ours);
    return ok;
}

/* Is the GTID in this gtid_binlog_state, which has the last one of each domain and server? */
static bool state_has(const char *state, const gf_maria_gtid *gtid)
{
    char *copy = gf_strdup(state), *rest = NULL;
    bool found = false;

    for (char *word = strtok_r(copy, ", ", &rest); word != NULL && !found; word = strtok_r(NULL, ", ", &rest)) {
        gf_maria_pos last = {0};

        found = gf_maria_pos_parse(&last, word, NULL) && last.count == 1 && last.items[0].domain == gtid->domain &&
                last.items[0].server == gtid->server && last.items[0].seq >= gtid->seq;
        gf_maria_pos_free(&last);
    }
    free(copy);
    return found;
}

/* Rule R5 for MariaDB: its binlog has the very transactions at which we stand. Whether it still has what follows, the
   start position's own check tells. */
static bool same_maria_gtids(gf_job *j, const gf_position *at, gf_error *err)
{
    char *state = NULL;
    bool ok = at->maria.count > 0 || gf_fail(err, GF_ERR_GONE, "without GTIDs a position means nothing there");

    ok = ok && gf_server_scalar(&state, j->source, "compare GTIDs", err, "SELECT @@global.gtid_binlog_state");
    for (size_t i = 0; ok && i < at->maria.count; i++) {
        const gf_maria_gtid *ours = &at->maria.items[i];

        if (!state_has(state == NULL ? "" : state, ours))
            ok = gf_fail(err, GF_ERR_GONE, "it lacks transactions that the target has: %lu-%lu-%llu",
                         (unsigned long)ours->domain, (unsigned long)ours->server, (unsigned long long)ours->seq);
    }
    free(state);
    return ok;
}

/* *elsewhere: it is another server, to which files and offsets of the old one mean nothing (rule S5). */
static bool same_history(bool *elsewhere, gf_job *j, const gf_position *at, gf_error *err)
{
    bool same;

    *elsewhere = true;
    if (j->source_info.flavor == GF_FLAVOR_MYSQL)
        return same_gtids(j, at, err);
    same = same_binlog(j, at, err);
    *elsewhere = !same;
    return same || (err->kind == GF_ERR_GONE && same_maria_gtids(j, at, err));
}

static bool check_identity(gf_job *j, gf_error *err)
{
    bool elsewhere;

    if (j->state.source_identity[0] == '\0' || strcmp(j->state.source_identity, j->source_info.identity) == 0)
        return true;
    if (!same_history(&elsewhere, j, &j->state.position, err))
        return gf_fail_context(err, "another server (%s) answers at %s, this job's source is %s",
                               j->source_info.identity, j->state.source_address, j->state.source_identity);
    gf_log_warn("the source is now %s instead of %s: it has all that we have, going on from there",
                j->source_info.identity, j->state.source_identity);
    pthread_mutex_lock(&j->lock);
    snprintf(j->state.source_identity, sizeof j->state.source_identity, "%s", j->source_info.identity);
    if (elsewhere) {
        j->state.position.file[0] = '\0';
        j->state.position.offset = 0;
    }
    pthread_mutex_unlock(&j->lock);
    return true;
}

/* ---- who we are ---- */

static void make_uuid(char out[40])
{
    uint8_t b[16];

    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
        gf_oom();
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* version 4, RFC 4122 */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(out, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
             b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* An id that we chose ourselves is chosen again: the same UUID comes to the same one, or to the next while the source
   still lists what a kill has left of us. */
static bool choose_replica(gf_job *j, gf_error *err)
{
    const gf_config *c = j->config;

    if (c->server_uuid != NULL)
        snprintf(j->state.our_uuid, sizeof j->state.our_uuid, "%s", c->server_uuid);
    else if (j->state.our_uuid[0] == '\0')
        make_uuid(j->state.our_uuid);
    return gf_replica_choose_id(&j->state.our_server_id, j->source, &j->source_info, c->server_id, j->state.our_uuid,
                                2 * c->heartbeat_ms + NOTICED_MS, err);
}

static bool same_config(gf_job *j, gf_error *err)
{
    const char *digest = j->config->digest;

    if (j->resumed && j->loaded.config_digest[0] != '\0' && strcmp(digest, j->loaded.config_digest) != 0)
        return gf_fail(err, GF_ERR_CONFIG,
                       "the state in %s belongs to a job with other servers, databases, tables or renames: use its "
                       "configuration, or another checkpoint directory",
                       j->loaded.imported && gf_import_given(j->config) ? "the given dump" : j->config->checkpoint_dir);
    memcpy(j->state.config_digest, digest, sizeof j->state.config_digest);
    return true;
}

bool gf_start_target(gf_job *j, gf_error *err)
{
    if (!connect_one(&j->target, j, 1, &j->config->target, &j->target_info, err))
        return false;
    j->config->filter.json_types = gf_server_json_types(&j->source_info, &j->target_info);
    return true;
}

bool gf_start_source(gf_job *j, gf_error *err)
{
    if (!connect_one(&j->source, j, 0, &j->config->source, &j->source_info, err))
        return false;
    pthread_mutex_lock(&j->lock);
    j->state.flavor = j->source_info.flavor;
    address(j->state.source_address, sizeof j->state.source_address, &j->config->source);
    address(j->state.target_address, sizeof j->state.target_address, &j->config->target);
    pthread_mutex_unlock(&j->lock);
    if (!check_identity(j, err))
        return false;
    /* No thread runs yet. What names mean is the source's to say, and the stream asks the filter too. */
    j->config->filter.fold_case = j->source_info.lower_case != 0;
    if (j->state.source_identity[0] == '\0')
        memcpy(j->state.source_identity, j->source_info.identity, sizeof j->state.source_identity);
    j->named = j->named || (same_config(j, err) && choose_replica(j, err));
    return j->named;
}

/* ---- where a new job starts ---- */

/* Rule S3: the exact position of a view, with no lock and no extra grant. */
static bool snapshot_position(gf_position *out, gf_job *j, gf_error *err)
{
    char *file = NULL, *offset = NULL, *gtid = NULL;
    bool ok = false;

    if (!gf_server_exec(j->source, "open a view", err, "START TRANSACTION WITH CONSISTENT SNAPSHOT"))
        return false;
    if (!gf_server_scalar(&file, j->source, "position of the view", err,
                          "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE "
                          "VARIABLE_NAME = 'BINLOG_SNAPSHOT_FILE'") ||
        !gf_server_scalar(&offset, j->source, "position of the view", err,
                          "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE "
                          "VARIABLE_NAME = 'BINLOG_SNAPSHOT_POSITION'"))
        goto out;
    if (file == NULL || file[0] == '\0' || offset == NULL) {
        gf_fail(err, GF_ERR_CONFIG, "source: no binlog position of a snapshot: is log_bin on?");
        goto out;
    }
    if (!gf_server_scalar(&gtid, j->source, "GTID of the view", err, "SELECT BINLOG_GTID_POS('%s', %s)", file, offset))
        goto out;
    ok = gf_position_parse(out, GF_FLAVOR_MARIADB, file, strtoull(offset, NULL, 10), gtid == NULL ? "" : gtid, err);
out:
    if (!gf_server_exec(j->source, "close the view", ok ? err : NULL, "COMMIT"))
        ok = false;
    free(file);
    free(offset);
    free(gtid);
    return ok;
}

/* Rule S1: what is in gtid_executed is visible to the first view, which comes later. */
static bool gtid_position(gf_position *out, gf_job *j, gf_error *err)
{
    char *executed = NULL;
    bool ok;

    if (!gf_server_scalar(&executed, j->source, "executed GTIDs", err, "SELECT @@global.gtid_executed"))
        return false;
    ok = gf_position_parse(out, GF_FLAVOR_MYSQL, "", 0, executed == NULL || executed[0] == '\0' ? "-" : executed, err);
    free(executed);
    return ok;
}

/* Rule S2: any place up to the end will do, because without GTIDs a chunk is a locking read, which waits for whatever
   is in the binlog and not visible yet (docs/ARCHITECTURE.md, Decisions). */
static bool file_position(gf_position *out, gf_job *j, gf_error *err)
{
    return gf_server_binlog_end(out, j->source, &j->source_info, err);
}

static bool new_position(gf_position *out, gf_job *j, gf_error *err)
{
    if (j->source_info.flavor == GF_FLAVOR_MARIADB)
        return snapshot_position(out, j, err);
    return j->source_info.gtids ? gtid_position(out, j, err) : file_position(out, j, err);
}

/* ---- once a process ---- */

/* Today's schema. What alters a definition between our position and now can't be told from what is in it already, so
   the place up to which that holds is kept. */
static bool read_schema(gf_job *j, gf_error *err)
{
    gf_position end = {0};
    bool ok = gf_catalog_load(j->catalog, j->source, j->source_info.flavor, &j->config->filter, &j->left_out, err) &&
              gf_server_binlog_end(&end, j->source, &j->source_info, err);

    if (ok) {
        pthread_mutex_lock(&j->lock);
        memcpy(j->state.schema_file, end.file, sizeof j->state.schema_file);
        j->state.schema_offset = end.offset;
        pthread_mutex_unlock(&j->lock);
    }
    gf_position_free(&end);
    return ok || gf_fail_context(err, "read the source's schema");
}

/* The schema that was in force at the position, not today's: from the checkpoint where it has one. The checkpoint is
   loaded once, an attempt that gets no further than here may be one of several. */
static bool load_catalog(gf_job *j, gf_error *err)
{
    bool have_schema = j->resumed && (j->begun || j->loaded.table_count > 0); /* there may be no table any more */

    if (j->has_loaded_schema)
        return true;
    gf_catalog_free(j->catalog);
    j->catalog = gf_catalog_new();
    for (size_t i = 0; have_schema && i < j->loaded.table_count; i++)
        have_schema = j->loaded.tables[i].table != NULL;
    if (!have_schema)
        return read_schema(j, err);
    if (j->config->filter.fold_case)
        gf_catalog_fold_case(j->catalog);
    for (size_t i = 0; i < j->loaded.table_count; i++) {
        gf_catalog_put(j->catalog, j->loaded.tables[i].table);
        j->loaded.tables[i].table = NULL;
    }
    j->has_loaded_schema = true;
    return true;
}

static bool preflight(gf_job *j, gf_error *err)
{
    gf_config config = *j->config;
    bool foreign = gf_import_foreign(&j->loaded), ok;
    gf_check_report report;

    config.allow_existing = config.allow_existing || foreign; /* another program has begun to fill them */
    if (!gf_check_run(&report, &config, j->source, &j->source_info, j->target, &j->target_info, j->catalog,
                      j->resumed && !foreign, err))
        return false;
    gf_log_lines(GF_LOG_WARN, &report.warnings);
    gf_log_lines(GF_LOG_ERROR, &report.problems);
    j->may_alter = report.may_alter;
    ok = report.problem_count == 0 || gf_fail(err, GF_ERR_CONFIG, "preflight found %u problem%s, listed above",
                                              report.problem_count, report.problem_count == 1 ? "" : "s");
    gf_check_free(&report);
    return ok;
}

bool gf_start_prepare(gf_job *j, gf_error *err)
{
    if (j->prepared)
        return true;
    /* The position first: what alters a definition after it is in the stream. */
    if (!j->begun && !j->loaded.imported && !new_position(&j->first, j, err))
        return false;
    gf_buf_reset(&j->left_out);
    if (!load_catalog(j, err) ||
        !gf_sequences_find(j->catalog, j->source, &j->source_info, &j->target_info, &j->config->filter, &j->left_out,
                           err) ||
        !preflight(j, err))
        return false;
    if (gf_catalog_count(j->catalog) == 0 && !j->resumed) /* all may have been dropped since */
        return gf_fail(err, GF_ERR_CONFIG, "no table is selected: look at Databases and Tables of the configuration");
    if (j->left_out.len > 0)
        gf_log_lines(GF_LOG_INFO, &j->left_out);
    j->prepared = true;
    return true;
}

/* ---- plan and marker ---- */

/* The plan's ranges in the order of adding. */
struct range_list {
    const gf_range **items; /* owned */
    size_t count, cap;
};

static void collect_range(void *ctx, const gf_range *r)
{
    struct range_list *l = ctx;

    if (l->count == l->cap) {
        l->cap = l->cap > 0 ? 2 * l->cap : 64;
        l->items = gf_realloc(l->items, l->cap * sizeof *l->items);
    }
    l->items[l->count++] = r;
}

/* Those that were added after the first `known`, of all tables in one transaction: a commit for each of thousands of
   tables would take longer than their rows. */
static bool mark_ranges(gf_job *j, size_t known, gf_error *err)
{
    struct range_list l = {0};
    bool ok;

    if (j->marker == NULL)
        return true;
    gf_plan_each(j->plan, collect_range, &l);
    ok = l.count == known ||
         gf_marker_add_ranges(j->marker, j->target, l.items[known]->table, l.items + known, l.count - known, err);
    free(l.items);
    return ok;
}

/* reader: to sample keys. */
static bool plan_table(gf_job *j, const gf_table *t, MYSQL *reader, gf_error *err)
{
    /* What a marker does not know has not happened, whatever a checkpoint says of it (rule C3). */
    bool counts = j->resumed && (j->marker == NULL || j->loaded.imported);
    const gf_state_table *st = counts ? gf_import_table(&j->loaded, t) : NULL;

    return (st != NULL && gf_import_plan(j->plan, t, st)) ||
           gf_plan_split(j->plan, t, reader, j->config->range_rows, err);
}

static int by_table(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (const gf_table *const *)a, y = (uintptr_t) * (const gf_table *const *)b;

    return (x > y) - (x < y);
}

/* Owned by the caller: the tables of which there are ranges, in the order of by_table. */
static const gf_table **planned_tables(gf_job *j, size_t *ranges)
{
    struct range_list l = {0};
    const gf_table **tables;

    gf_plan_each(j->plan, collect_range, &l);
    tables = gf_calloc(l.count + 1, sizeof *tables);
    for (size_t i = 0; i < l.count; i++)
        tables[i] = l.items[i]->table;
    qsort(tables, l.count, sizeof *tables, by_table);
    *ranges = l.count;
    free(l.items);
    return tables;
}

/* Plans what the plan does not have yet, and makes it durable. */
static bool plan_rest(gf_job *j, gf_error *err)
{
    const gf_table **tables, **planned;
    size_t count = gf_catalog_list(j->catalog, &tables), known;
    MYSQL *reader = NULL;
    bool ok = true;

    planned = planned_tables(j, &known);
    for (size_t i = 0; ok && i < count; i++) {
        if (bsearch(&tables[i], planned, known, sizeof *planned, by_table) != NULL)
            continue;
        if (reader == NULL)
            ok = gf_server_connect(&reader, &j->config->source, GF_CONN_READER, err);
        ok = ok && plan_table(j, tables[i], reader, err) && !gf_stop_wanted(j, err);
    }
    ok = ok && mark_ranges(j, known, err);
    gf_server_close(reader);
    free(planned);
    free(tables);
    return ok;
}

static void count_rows(void *ctx, const gf_range *r)
{
    gf_state *s = ctx;

    s->rows_copied += r->rows;
    if (r->index == 0)
        s->rows_estimate += r->table->row_estimate;
}

/* Rule R1: the marker's ranges are the truth about the data, the plan is made from them anew at every attempt. */
static void plan_from_marker(gf_job *j, const gf_marker_content *m)
{
    for (size_t i = 0; i < m->range_count; i++) {
        const gf_marker_range *r = &m->ranges[i];
        const gf_table *t = gf_catalog_find(j->catalog, r->db, strlen(r->db), r->name, strlen(r->name));

        if (t == NULL)
            continue;
        gf_plan_add(j->plan, t, r->index, gf_slice_of(r->lower.data, r->lower.len),
                    gf_slice_of(r->upper.data, r->upper.len), gf_slice_of(r->frontier.data, r->frontier.len), r->done,
                    r->rows);
        if (r->done && r->snap_file[0] != '\0')
            gf_start_snapshot(j, t, r->snap_file, r->snap_offset);
    }
}

void gf_start_snapshot(gf_job *j, const gf_table *t, const char *file, uint64_t offset)
{
    struct snapshot *s;

    j->snapshots = gf_realloc(j->snapshots, (j->snapshot_count + 1) * sizeof *j->snapshots);
    s = &j->snapshots[j->snapshot_count++];
    s->table = t;
    s->offset = offset;
    snprintf(s->file, sizeof s->file, "%s", file);
}

void gf_start_forget_xas(gf_job *j)
{
    for (size_t i = 0; i < j->xa_count; i++) {
        gf_buf_free(&j->xas[i].xid);
        gf_buf_free(&j->xas[i].block);
    }
    free(j->xas);
    j->xas = NULL;
    j->xa_count = 0;
}

void gf_start_forget_deferred(gf_job *j)
{
    gf_deferral_free(j->deferral);
    free(j->deferred);
    j->deferral = NULL;
    j->deferred = NULL;
    j->deferred_count = 0;
}

static void new_plan(gf_job *j)
{
    gf_plan *old;

    pthread_mutex_lock(&j->lock);
    old = j->plan;
    j->plan = gf_plan_new();
    pthread_mutex_unlock(&j->lock);
    gf_plan_free(old);
    j->snapshot_count = 0;
    gf_start_forget_xas(j);
    gf_start_forget_deferred(j);
}

/* ---- indexes that are built after the rows ---- */

static const char *why_not_deferred(const gf_job *j)
{
    if (j->marker == NULL)
        return "there is no marker on the target to remember it by";
    return j->may_alter ? NULL : "the target's grants lack ALTER";
}

static bool any_pays(const gf_job *j, const gf_table *const *tables, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (gf_deferral_pays(j->config, tables[i]))
            return true;
    return false;
}

/* Noted before the tables are made: whoever goes on after us must know it. */
static bool note_deferred(gf_job *j, const gf_table *const *tables, size_t count, const bool *deferred, gf_error *err)
{
    const gf_table **list = gf_calloc(count + 1, sizeof *list);
    size_t noted = 0;
    bool ok;

    for (size_t i = 0; i < count; i++)
        if (deferred[i])
            list[noted++] = tables[i];
    ok = gf_marker_defer(j->marker, j->target, list, noted, err);
    free(list);
    return ok;
}

static bool choose_deferred(gf_job *j, const gf_marker_content *m, const gf_found *f, bool *deferred, gf_error *err)
{
    const gf_indexes_choice choice = {.config = j->config,
                                      .deferral = j->deferral,
                                      .allowed = f->why_not == NULL,
                                      .tables = f->tables,
                                      .missing = f->missing,
                                      .count = f->count,
                                      .noted = m->deferred,
                                      .noted_count = m->deferred_count};

    return gf_indexes_choose(deferred, &choice, err) && gf_found_choose(deferred, j, f, err);
}

/* Fills deferred[i], and j->deferral where any may be true. */
static bool defer_indexes(gf_job *j, const gf_marker_content *m, const gf_table *const *tables, size_t count,
                          bool *deferred, gf_error *err)
{
    bool *missing = gf_calloc(count + 1, sizeof *missing), ok;
    const gf_found f = {.tables = tables, .count = count, .missing = missing, .why_not = why_not_deferred(j)};

    if (f.why_not != NULL && any_pays(j, tables, count))
        gf_log_info("large tables are made with all their indexes (--defer-indexes): %s", f.why_not);
    if (j->marker != NULL)
        j->deferral = gf_deferral_new(j->config, &j->source_info, &j->target_info, tables, count);
    ok = gf_target_missing(missing, j->target, j->config, tables, count, err) &&
         choose_deferred(j, m, &f, deferred, err) &&
         (j->marker == NULL || note_deferred(j, tables, count, deferred, err));
    free(missing);
    return ok;
}

/* What the marker says of the tables that we have. */
static void take_deferred(gf_job *j, const gf_marker_content *m)
{
    const gf_table **tables;
    size_t count;

    gf_start_forget_deferred(j);
    if (m->deferred_count == 0)
        return;
    count = gf_catalog_list(j->catalog, &tables);
    j->deferral = gf_deferral_new(j->config, &j->source_info, &j->target_info, tables, count);
    free(tables);
    j->deferred = gf_calloc(m->deferred_count, sizeof *j->deferred);
    for (size_t i = 0; i < m->deferred_count; i++) {
        const gf_marker_table *d = &m->deferred[i];
        const gf_table *t = gf_catalog_find(j->catalog, d->db, strlen(d->db), d->name, strlen(d->name));

        if (t != NULL && t->create_sql != NULL)
            j->deferred[j->deferred_count++] = t;
    }
}

/* Another instance that started at the same moment may have made tables that we have found there: it has noted them
   before, and stops, since the job is ours. */
static bool read_deferred(gf_job *j, gf_error *err)
{
    gf_marker_content m = {0};
    bool ok = gf_marker_deferred(&m, j->marker, j->target, err);

    if (ok)
        take_deferred(j, &m);
    gf_marker_content_free(&m);
    return ok;
}

static bool create_tables(gf_job *j, const gf_marker_content *m, gf_error *err)
{
    const gf_table **tables;
    size_t count = gf_catalog_list(j->catalog, &tables);
    gf_config config = *j->config;
    bool *deferred = gf_calloc(count + 1, sizeof *deferred), ok;

    config.allow_existing = config.allow_existing || j->loaded.imported; /* an imported job has filled them already */
    ok = gf_databases_create_all(j->source, j->target, &config, tables, count, err) &&
         gf_sequences_create(j->source, j->target, &j->source_info, &j->target_info, &config, err) &&
         defer_indexes(j, m, tables, count, deferred, err) &&
         gf_target_create(j->target, &config, &j->source_info, &j->target_info, tables, count, j->deferral, deferred,
                          err);
    free(deferred);
    free(tables);
    return ok;
}

/* A job that the target knows nothing of. Rule S6: the start is in the marker before the first row is written. */
static bool begin_job(gf_job *j, const gf_marker_content *m, gf_error *err)
{
    gf_position_copy(&j->start, j->loaded.imported ? &j->loaded.position : &j->first);
    if (!gf_replica_available(j->source, &j->source_info, &j->start, err) ||
        (j->loaded.imported && !gf_import_check(&j->loaded, j->catalog, j->target, err)) || !create_tables(j, m, err))
        return false;
    j->seq = 0;
    pthread_mutex_lock(&j->lock);
    j->state.schema_changes = 0;
    pthread_mutex_unlock(&j->lock);
    gf_buf_reset(&j->pending_ddl);
    return j->marker == NULL ||
           (gf_marker_begin(j->marker, j->target, j->state.source_identity, &j->start, j->config->writers, err) &&
            gf_memory_begin(j, err) && read_deferred(j, err));
}

static void forget_schema_place(gf_job *j)
{
    pthread_mutex_lock(&j->lock);
    j->state.schema_file[0] = '\0';
    j->state.schema_offset = 0;
    pthread_mutex_unlock(&j->lock);
}

/* Rule S5: files and offsets were the old server's. A snapshot of a keyless table that the marker has not passed would
   have to be compared with the new one's. */
static bool change_source(gf_job *j, gf_marker_content *m, bool elsewhere, gf_error *err)
{
    for (size_t i = 0; i < m->range_count && elsewhere; i++) {
        gf_marker_range *r = &m->ranges[i];

        if (r->snap_file[0] != '\0' &&
            gf_binlog_cmp(m->position.file, m->position.offset, r->snap_file, r->snap_offset) < 0)
            return gf_fail(err, GF_ERR_GONE,
                           "%s.%s has no key and was copied from the old source, behind the position reached: start "
                           "the job anew",
                           r->db, r->name);
        r->snap_file[0] = '\0';
    }
    if (elsewhere &&
        gf_binlog_cmp(m->position.file, m->position.offset, j->state.schema_file, j->state.schema_offset) < 0)
        return gf_fail(err, GF_ERR_GONE,
                       "the old source's schema was read behind the position reached (%s:%llu): start the job anew",
                       j->state.schema_file, (unsigned long long)j->state.schema_offset);
    if (elsewhere) {
        j->start.file[0] = '\0';
        j->start.offset = 0;
        forget_schema_place(j);
    }
    return gf_marker_source(j->marker, j->target, j->state.source_identity, !elsewhere, err);
}

/* One definition as the marker has it: into the catalog, or out of it. */
static bool adopt_schema(gf_job *j, const gf_marker_schema *s, gf_error *err)
{
    const gf_table *have = gf_catalog_find(j->catalog, s->db, strlen(s->db), s->name, strlen(s->name));
    gf_table *t;

    if (s->schema.len == 0) {
        gf_catalog_remove(j->catalog, s->db, s->name);
        return true;
    }
    if (!gf_schema_decode(&t, gf_slice_of(s->schema.data, s->schema.len), err))
        return gf_fail_context(err, "the marker's definition of %s.%s", s->db, s->name);
    if (have != NULL && have->fingerprint == t->fingerprint && strcmp(have->create_sql, t->create_sql) == 0)
        gf_table_free(t); /* a catalog keeps all that it ever got */
    else
        gf_catalog_put(j->catalog, t);
    return true;
}

/*
 * The schema at the marker's position. Tables that DDL has touched are in the marker as they were there, so our own,
 * from the checkpoint or the attempt before, may be older, or newer by the one DDL that is pending. Newer by more, the
 * target has been put back to a time before a DDL that it does not know of: how its tables were then, nobody has kept.
 */
static bool schemas_at(gf_job *j, const gf_marker_content *m, gf_error *err)
{
    uint64_t known = m->schema_changes + (m->pending.len > 0 ? 1 : 0);

    if (j->state.schema_changes > known)
        return gf_fail(err, GF_ERR_GONE,
                       "the target was put back to a time before a schema change that this job has passed (its marker "
                       "has %llu, the checkpoint %llu): start anew with empty tables and another checkpoint directory",
                       (unsigned long long)m->schema_changes, (unsigned long long)j->state.schema_changes);
    for (size_t i = 0; i < m->schema_count; i++) {
        if (!adopt_schema(j, &m->schemas[i], err))
            return false;
    }
    pthread_mutex_lock(&j->lock);
    j->state.schema_changes = m->schema_changes;
    pthread_mutex_unlock(&j->lock);
    gf_buf_reset(&j->pending_ddl);
    gf_buf_slice(&j->pending_ddl, gf_slice_of(m->pending.data, m->pending.len));
    return true;
}

static bool resume_job(gf_job *j, gf_marker_content *m, gf_error *err)
{
    bool changed = strcmp(m->source_identity, j->state.source_identity) != 0, elsewhere = false;

    if (strcmp(m->stage, "done") == 0 && !j->begun)
        return gf_fail(
            err, GF_ERR_CONFIG,
            "the target's %s holds a finished job '%s': give this one another name (--job), or --take-over its "
            "place",
            j->config->marker_db, j->config->job);
    if (changed && !same_history(&elsewhere, j, &m->position, err))
        return gf_fail_context(err, "job '%s' in the target's %s is of the source %s", j->config->job,
                               j->config->marker_db, m->source_identity);
    if (!j->begun)
        gf_log_warn(
            "the checkpoint directory is empty but the target knows job '%s': going on from its marker with the "
            "schema that the source has now",
            j->config->job);
    gf_position_copy(&j->start, &m->position);
    if (changed && !change_source(j, m, elsewhere, err))
        return false;
    j->seq = m->seq;
    if (!schemas_at(j, m, err) || (strcmp(m->stage, "done") != 0 && !gf_memory_resume(j, m, err)))
        return false;
    plan_from_marker(j, m);
    j->xas = m->xas; /* taken */
    j->xa_count = m->xa_count;
    m->xas = NULL;
    m->xa_count = 0;
    take_deferred(j, m);
    return true;
}

/* Without a marker the checkpoint's own position and frontiers are what is known (rule R4), and what this process
   has committed since. */
static bool resume_without_marker(gf_job *j)
{
    gf_position_copy(&j->start, &j->state.position);
    if (j->had_attempt)
        gf_plan_rewind(j->plan); /* else the plan is made from the checkpoint */
    return true;
}

static bool open_marker(gf_job *j, gf_error *err)
{
    if (j->marker != NULL || j->config->no_marker)
        return true;
    if (j->begun && !j->state.marker) {
        gf_log_info("this job was begun without a marker, and goes on without");
        j->config->no_marker = true;
        return true;
    }
    if (gf_marker_open(&j->marker, j->config, j->target, err)) {
        j->state.marker = true;
        return true;
    }
    if (err->kind != GF_ERR_CONFIG || (j->begun && j->state.marker))
        return false;
    gf_log_warn("no marker on the target (%s): replays converge after a crash of ours, but if the target loses commits "
                "in a crash of its own, this job cannot notice it; tables without a key are refused",
                err->text);
    j->config->no_marker = true;
    return true;
}

static bool begin_once_more(gf_job *j, const gf_marker_content *m, gf_catalog *before, gf_error *err)
{
    if (!gf_start_prepare(j, err))
        return false;
    gf_anew_tell_dropped(j, before);
    return begin_job(j, m, err);
}

/* The checkpoint has begun a job of which the target's marker knows nothing. */
static bool begin_anew(gf_job *j, const gf_marker_content *m, gf_error *err)
{
    gf_catalog *before = j->catalog;
    bool possible, ok;

    if (j->marker == NULL)
        return gf_fail(err, GF_ERR_CONFIG,
                       "job '%s' was begun with a marker on the target (%s): it can't go on without (--no-marker)",
                       j->config->job, j->config->marker_db);
    if (!gf_anew_possible(&possible, j, err))
        return false;
    if (!possible)
        return gf_fail(
            err, GF_ERR_GONE,
            "the target's %s knows nothing of job '%s', though the checkpoint says it should: is this the same "
            "target, or was it restored to a time before the job? Start anew with empty tables and another "
            "checkpoint directory",
            j->config->marker_db, j->config->job);
    if (!gf_anew_forget(j, err))
        return false;
    j->catalog = NULL;
    ok = begin_once_more(j, m, before, err);
    gf_catalog_free(before);
    return ok;
}

static bool read_position(gf_job *j, gf_error *err)
{
    gf_marker_content m = {0};
    bool ok = false;

    if (!open_marker(j, err) || (j->marker != NULL && !gf_marker_claim(&m, j->marker, j->target, err)))
        goto out;
    if (m.exists)
        ok = resume_job(j, &m, err) && (strcmp(m.stage, "done") == 0 || gf_cutover_take_back(j, err));
    else if (!j->begun)
        ok = begin_job(j, &m, err);
    else if (j->state.marker)
        ok = begin_anew(j, &m, err);
    else
        ok = resume_without_marker(j);
    if (ok && m.exists && strcmp(m.stage, "done") == 0)
        gf_stage_enter(j, GF_STAGE_DONE);
out:
    gf_marker_content_free(&m);
    return ok;
}

/* Has MariaDB committed an XA transaction since it started? Then its snapshots can't be trusted (copier/view.c). */
static bool look_for_xa(gf_job *j, gf_error *err)
{
    MYSQL_RES *res;
    MYSQL_ROW row;

    if (j->source_info.flavor != GF_FLAVOR_MARIADB)
        return true;
    res = gf_server_query(j->source, "look for XA transactions", err, "SHOW GLOBAL STATUS LIKE 'Com_xa_commit'");
    row = res == NULL ? NULL : mysql_fetch_row(res);
    if (row == NULL || row[1] == NULL || strcmp(row[1], "0") != 0 || j->xa_count > 0)
        atomic_store(&j->xa_seen, true);
    mysql_free_result(res);
    return res != NULL;
}

bool gf_start_position(gf_job *j, gf_error *err)
{
    j->plan_ready = false;
    if (j->marker != NULL || !j->had_attempt)
        new_plan(j);
    if (!read_position(j, err))
        return false;
    j->begun = true;
    if (gf_stage_now(j) == GF_STAGE_DONE)
        return true;
    j->source_info.gtids = j->source_info.gtids && (j->start.gtids != NULL || j->start.maria.count > 0);
    if (!gf_receiving_from(j, err) || !plan_rest(j, err) || !look_for_xa(j, err))
        return false;
    pthread_mutex_lock(&j->lock);
    gf_position_copy(&j->state.position, &j->start);
    j->state.rows_copied = j->state.rows_estimate = 0;
    gf_plan_each(j->plan, count_rows, &j->state);
    pthread_mutex_unlock(&j->lock);
    j->had_attempt = j->plan_ready = true;
    gf_stage_enter(j, GF_STAGE_COPYING);
    return gf_progress_save(j, err);
}
