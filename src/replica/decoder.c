/* SPDX-License-Identifier: MIT */
/*
 * decoder.c - the stream's grammar: where files, transactions and statements begin and end.
 *
 *   OUTSIDE --GTID [on_gtid]--> NAMED --BEGIN, XA START--> INSIDE --XID, COMMIT, ROLLBACK, XA_PREPARE--> OUTSIDE
 *                               NAMED --any other QUERY: a transaction of its own [statement]----------> OUTSIDE
 *   OUTSIDE --MariaDB's GTID, unless it stands alone [on_maria_gtid]--> INSIDE
 *   any     --FORMAT_DESCRIPTION of a restarted source: what was unfinished is undone--> OUTSIDE
 *
 * Two positions: the cursor (file, offset) is the end of the event at hand; `pos` is the end of the last transaction
 * or of whatever else was passed outside of one, and alone is told. Both follow file names from every ROTATE, since a
 * restarted source sends no real one, and offsets from events that are in the file (log_pos set, not artificial).
 *
 * After a start by GTID the source sends from the beginning of some file and leaves out what we have. Until the first
 * transaction arrives the cursor may therefore be behind `pos`, which then stays where it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "event.h"
#include "lexer.h"
#include "payload.h"
#include "statement.h"
#include "tables.h"

enum state { OUTSIDE, NAMED, INSIDE };

struct gf_decoder {
    const gf_filter *filter; /* borrowed */
    gf_sink sink;
    gf_tables *tables; /* owned */
    gf_arena arena;    /* of one event */
    gf_buf text;       /* of one event: an inflated statement, an XID */
    uint64_t sql_mode; /* of one event: a statement's session's */

    gf_position pos;
    char file[GF_BINLOG_NAME_MAX];
    uint64_t offset, event_start;
    bool catching_up;   /* started by GTID, no transaction has arrived yet */
    bool domains_known; /* pos.maria holds every domain: only then is it kept up to date */
    bool sink_failed;   /* the error at hand is the sink's, which has named the place itself */

    enum state state;
    bool begun;     /* the sink knows of the transaction */
    bool passing;   /* a two-phase ALTER before its commit: nothing of it counts */
    bool two_phase; /* its commit */
    gf_txn_info info;
    gf_buf xid;          /* what info.xid points to */
    gf_ev_gtid gtid;     /* gno 0: none */
    gf_maria_gtid maria; /* seq 0: none */
};

/* ---- life ---- */

static void forget_transaction(gf_decoder *d)
{
    d->state = OUTSIDE;
    d->begun = d->passing = d->two_phase = false;
    memset(&d->info, 0, sizeof d->info);
    memset(&d->gtid, 0, sizeof d->gtid);
    memset(&d->maria, 0, sizeof d->maria);
    gf_tables_clear(d->tables);
}

void gf_decoder_reset(gf_decoder *d, const gf_position *from)
{
    forget_transaction(d);
    gf_position_copy(&d->pos, from);
    memcpy(d->file, from->file, sizeof d->file);
    d->offset = from->offset;
    d->domains_known = from->maria.count > 0;
    d->catching_up = from->gtids != NULL || d->domains_known;
    d->sink_failed = false;
}

gf_decoder *gf_decoder_new(gf_flavor flavor, gf_catalog *catalog, const gf_filter *filter, const gf_position *from,
                           const gf_sink *sink)
{
    gf_decoder *d = gf_calloc(1, sizeof *d);

    (void)flavor; /* the events say it themselves */
    d->filter = filter;
    d->sink = *sink;
    d->tables = gf_tables_new(catalog, filter);
    gf_decoder_reset(d, from);
    return d;
}

void gf_decoder_free(gf_decoder *d)
{
    if (d == NULL)
        return;
    gf_tables_free(d->tables);
    gf_arena_free(&d->arena);
    gf_buf_free(&d->text);
    gf_buf_free(&d->xid);
    gf_position_free(&d->pos);
    free(d);
}

const gf_position *gf_decoder_position(const gf_decoder *d)
{
    return &d->pos;
}

bool gf_decoder_inside(const gf_decoder *d)
{
    return d->state != OUTSIDE;
}

/* ---- positions ---- */

static void set_file(gf_decoder *d, gf_slice file)
{
    memcpy(d->file, file.data, file.len); /* parsers have checked the length */
    d->file[file.len] = '\0';
}

/* log_pos has 32 bits, files may be longer: a step back by more than half of them is a wrap. A small step back can
   only be a mistake, and taking it for a wrap would put us 4 GiB ahead. */
static bool advance(gf_decoder *d, uint32_t log_pos, gf_error *err)
{
    uint64_t high = d->offset & ~(uint64_t)UINT32_MAX;
    uint32_t low = (uint32_t)d->offset;

    if (log_pos < low && low - log_pos < UINT32_MAX / 2)
        return gf_fail(err, GF_ERR_DATA, "an event ends at %lu, before the one before it", (unsigned long)log_pos);
    d->offset = high + log_pos + (log_pos < low ? (uint64_t)UINT32_MAX + 1 : 0);
    return true;
}

/* The cursor becomes the position. */
static void settle(gf_decoder *d)
{
    memcpy(d->pos.file, d->file, sizeof d->pos.file);
    d->pos.offset = d->offset;
}

static bool tell_moved(gf_decoder *d, gf_error *err)
{
    if (d->sink.moved(d->sink.ctx, &d->pos, err))
        return true;
    d->sink_failed = true;
    return false;
}

/* Outside of a transaction everything up to the cursor has been dealt with. */
static bool pass(gf_decoder *d, gf_error *err)
{
    int order = gf_binlog_cmp(d->file, d->offset, d->pos.file, d->pos.offset);

    if (d->file[0] == '\0' || order == 0 || (d->catching_up && order < 0))
        return true;
    settle(d);
    return tell_moved(d, err);
}

/* ---- transactions ---- */

static bool open_transaction(gf_decoder *d, const gf_event *ev, enum state next, gf_error *err)
{
    if (d->state != OUTSIDE)
        return gf_fail(err, GF_ERR_DATA, "a transaction begins before the one before it has ended");
    forget_transaction(d);
    d->state = next;
    memcpy(d->info.file, d->file, sizeof d->info.file);
    d->info.offset = d->event_start;
    d->info.timestamp = ev->timestamp;
    return true;
}

static void name_gtid(gf_decoder *d)
{
    const uint8_t *u = d->gtid.uuid;
    gf_txn_info *info = &d->info;

    if (d->gtid.gno != 0)
        snprintf(info->gtid, sizeof info->gtid,
                 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x:%s%s%llu", u[0], u[1], u[2],
                 u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15], d->gtid.tag,
                 d->gtid.tag[0] == '\0' ? "" : ":", (unsigned long long)d->gtid.gno);
    else if (d->maria.seq != 0)
        snprintf(info->gtid, sizeof info->gtid, "%lu-%lu-%llu", (unsigned long)d->maria.domain,
                 (unsigned long)d->maria.server, (unsigned long long)d->maria.seq);
}

static void set_xid(gf_decoder *d, gf_slice text)
{
    gf_buf_reset(&d->xid);
    gf_buf_slice(&d->xid, text);
    d->info.xid = gf_buf_cstr(&d->xid);
}

/* Only now does the sink learn of the transaction: most have nothing of the selected tables. */
static bool begin(gf_decoder *d, gf_error *err)
{
    if (d->begun)
        return true;
    name_gtid(d);
    d->begun = true;
    if (d->sink.begin(d->sink.ctx, &d->info, err))
        return true;
    d->sink_failed = true;
    return false;
}

/* The transaction is in `pos` from here on; returns whether the sink has to be told how it ended. */
static bool close_transaction(gf_decoder *d)
{
    bool begun = d->begun;

    if (d->gtid.gno != 0 && d->pos.gtids != NULL)
        gf_gtid_set_add(d->pos.gtids, d->gtid.uuid, d->gtid.tag, d->gtid.gno);
    if (d->maria.seq != 0 && d->domains_known)
        gf_maria_pos_set(&d->pos.maria, d->maria);
    settle(d);
    d->catching_up = false;
    forget_transaction(d);
    return begun;
}

static bool need_inside(const gf_decoder *d, const char *what, gf_error *err)
{
    if (d->state == INSIDE)
        return true;
    return gf_fail(err, GF_ERR_DATA, "%s outside of a transaction", what);
}

static bool end_with(gf_decoder *d, bool (*tell)(void *ctx, const gf_position *end, gf_error *err), gf_error *err)
{
    if (!close_transaction(d))
        return tell_moved(d, err);
    if (tell(d->sink.ctx, &d->pos, err))
        return true;
    d->sink_failed = true;
    return false;
}

static bool commit(gf_decoder *d, gf_error *err)
{
    return need_inside(d, "a commit", err) && end_with(d, d->sink.commit, err);
}

/* The sink is told of every XA transaction, also of those without rows of ours: the decision that comes later names
   nothing but the XID, and only who has seen all of them can tell what it is about. */
static bool end_xa(gf_decoder *d, gf_xa_kind kind, gf_slice xid, gf_error *err)
{
    set_xid(d, xid);
    if (!begin(d, err))
        return false;
    close_transaction(d);
    if (d->sink.xa(d->sink.ctx, kind, gf_slice_of(d->xid.data, d->xid.len), &d->pos, err))
        return true;
    d->sink_failed = true;
    return false;
}

/* ---- QUERY ---- */

static bool query_begin(gf_decoder *d, const gf_event *ev, gf_slice rest, gf_error *err)
{
    (void)rest;
    if (d->state == OUTSIDE)
        return open_transaction(d, ev, INSIDE, err);
    if (d->state == INSIDE && d->begun)
        return gf_fail(err, GF_ERR_DATA, "BEGIN inside of a transaction");
    d->state = INSIDE;
    return true;
}

static bool query_commit(gf_decoder *d, const gf_event *ev, gf_slice rest, gf_error *err)
{
    (void)ev;
    (void)rest;
    return commit(d, err);
}

static bool query_rollback(gf_decoder *d, const gf_event *ev, gf_slice rest, gf_error *err)
{
    (void)ev;
    (void)rest;
    return need_inside(d, "a rollback", err) && end_with(d, d->sink.rollback, err);
}

/* The name is quoted as the session's sql_mode wants it; its bytes are utf8 whatever the client's character set. */
static bool tell_savepoint(gf_decoder *d, gf_slice rest, bool rollback_to, gf_error *err)
{
    gf_lexer lx;
    gf_token name;

    gf_lexer_init(&lx, rest, d->sql_mode, 0);
    name = gf_lexer_next(&lx);
    if (rollback_to && gf_token_is(&name, "SAVEPOINT"))
        name = gf_lexer_next(&lx);
    if (name.broken || (name.kind != GF_TOK_WORD && name.kind != GF_TOK_QUOTED))
        return gf_fail(err, GF_ERR_DATA, "a savepoint without a name");
    if (!need_inside(d, "a savepoint", err) || !begin(d, err))
        return false;
    if (d->sink.savepoint(d->sink.ctx, name.text, rollback_to, err))
        return true;
    d->sink_failed = true;
    return false;
}

static bool query_savepoint(gf_decoder *d, const gf_event *ev, gf_slice rest, gf_error *err)
{
    (void)ev;
    return tell_savepoint(d, rest, false, err);
}

static bool query_rollback_to(gf_decoder *d, const gf_event *ev, gf_slice rest, gf_error *err)
{
    (void)ev;
    return tell_savepoint(d, rest, true, err);
}

static bool query_xa_start(gf_decoder *d, const gf_event *ev, gf_slice rest, gf_error *err)
{
    if (!query_begin(d, ev, rest, err))
        return false;
    set_xid(d, rest);
    return true;
}

static bool query_xa_end(gf_decoder *d, const gf_event *ev, gf_slice rest, gf_error *err)
{
    (void)ev;
    (void)rest;
    return need_inside(d, "XA END", err);
}

static bool decide_xa(gf_decoder *d, const gf_event *ev, gf_xa_kind kind, gf_slice rest, gf_error *err)
{
    if (d->state == INSIDE)
        return gf_fail(err, GF_ERR_DATA, "XA COMMIT or ROLLBACK inside of a transaction");
    return (d->state == NAMED || open_transaction(d, ev, NAMED, err)) && end_xa(d, kind, rest, err);
}

static bool query_xa_commit(gf_decoder *d, const gf_event *ev, gf_slice rest, gf_error *err)
{
    return decide_xa(d, ev, GF_XA_COMMIT, rest, err);
}

static bool query_xa_rollback(gf_decoder *d, const gf_event *ev, gf_slice rest, gf_error *err)
{
    return decide_xa(d, ev, GF_XA_ROLLBACK, rest, err);
}

/* Statements that steer, in the servers' own wording; `rest` is what follows. The longer ones come first. */
static const struct {
    const char *text;
    bool whole; /* nothing may follow */
    bool (*handle)(gf_decoder *d, const gf_event *ev, gf_slice rest, gf_error *err);
} steering[] = {
    {"BEGIN", true, query_begin},
    {"COMMIT", true, query_commit},
    {"ROLLBACK", true, query_rollback},
    {"ROLLBACK TO ", false, query_rollback_to},
    {"SAVEPOINT ", false, query_savepoint},
    {"XA START ", false, query_xa_start},
    {"XA END ", false, query_xa_end},
    {"XA COMMIT ", false, query_xa_commit},
    {"XA ROLLBACK ", false, query_xa_rollback},
};

static bool steers(size_t i, gf_slice sql)
{
    size_t len = strlen(steering[i].text);

    return (steering[i].whole ? sql.len == len : sql.len > len) &&
           strncasecmp((const char *)sql.data, steering[i].text, len) == 0;
}

/* MySQL's CREATE TABLE ... SELECT: rows follow in the same transaction, and the words that say so are not for us. */
static gf_slice without_suffix(gf_slice sql)
{
    static const char suffix[] = "START TRANSACTION";
    size_t len = sizeof suffix - 1;

    while (sql.len > 0 && (sql.data[sql.len - 1] == ' ' || sql.data[sql.len - 1] == '\n'))
        sql.len--;
    if (sql.len > len && strncasecmp((const char *)sql.data + sql.len - len, suffix, len) == 0)
        sql.len -= len;
    return sql;
}

static bool object_selected(const gf_decoder *d, gf_arena *arena, const gf_stmt_object *o)
{
    /* One copy, for the NULs behind the names. */
    char *db = gf_arena_alloc(arena, o->db_len + o->table_len + 2), *table = db + o->db_len + 1;

    memcpy(db, o->db, o->db_len);
    db[o->db_len] = '\0';
    memcpy(table, o->table, o->table_len);
    table[o->table_len] = '\0';
    return o->table_len == 0 ? gf_filter_db(d->filter, db) : gf_filter_table(d->filter, db, table);
}

/* An error code in the event: the statement stopped half-way on the source, and what it did there can't be known. */
static bool refuse_failed(gf_decoder *d, const gf_statement *s, unsigned code, gf_error *err)
{
    bool concerns = s->kind == GF_STMT_UNKNOWN;

    if (code == 0 || s->kind == GF_STMT_OTHER)
        return true;
    for (size_t i = 0; i < s->object_count; i++)
        concerns = concerns || object_selected(d, &d->arena, &s->objects[i]);
    if (!concerns)
        return true;
    return gf_fail(err, GF_ERR_DATA, "%s failed half-way on the source (error %u), what it changed is not known",
                   s->verb, code);
}

static bool tell_statement(gf_decoder *d, const gf_statement *s, bool inside, gf_error *err)
{
    if (d->sink.statement(d->sink.ctx, s, inside, &d->pos, err))
        return true;
    d->sink_failed = true;
    return false;
}

static bool statement(gf_decoder *d, const gf_event *ev, const gf_ev_query *q, gf_error *err)
{
    char *db = gf_arena_alloc(&d->arena, q->db.len + 1);
    gf_statement s;

    memcpy(db, q->db.data, q->db.len);
    db[q->db.len] = '\0';
    gf_statement_scan_as(&s, &d->arena, d->state == INSIDE ? without_suffix(q->sql) : q->sql, db, q->sql_mode,
                         q->charset_client);
    s.collation_connection = q->collation_connection;
    s.collation_server = q->collation_server;
    s.session = q->session;
    s.session.two_phase = s.session.two_phase || d->two_phase;
    if (d->state == OUTSIDE && !open_transaction(d, ev, NAMED, err))
        return false;
    if (!d->passing && !refuse_failed(d, &s, q->error, err))
        return false;
    if (d->state == INSIDE)
        return begin(d, err) && tell_statement(d, &s, true, err);
    if (d->passing) {
        close_transaction(d);
        return tell_moved(d, err);
    }
    if (!begin(d, err))
        return false;
    close_transaction(d);
    return tell_statement(d, &s, false, err);
}

static bool on_query(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    gf_ev_query q;

    if (!gf_event_query(&q, ev))
        return gf_fail(err, GF_ERR_DATA, "malformed QUERY event");
    if (ev->type == GF_EV_MARIA_QUERY_COMPRESSED) {
        gf_buf_reset(&d->text);
        if (!gf_payload_inflate(&d->text, q.sql, err))
            return false;
        q.sql = gf_slice_of(d->text.data, d->text.len);
    }
    d->sql_mode = q.sql_mode;
    for (size_t i = 0; i < sizeof steering / sizeof steering[0]; i++) {
        size_t len = strlen(steering[i].text);

        if (steers(i, q.sql))
            return steering[i].handle(d, ev, gf_slice_of(q.sql.data + len, q.sql.len - len), err);
    }
    return statement(d, ev, &q, err);
}

/* ---- other parts of a transaction ---- */

static bool on_gtid(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    gf_ev_gtid gtid;

    if (!gf_event_gtid(&gtid, ev))
        return gf_fail(err, GF_ERR_DATA, "malformed GTID event");
    if (!open_transaction(d, ev, NAMED, err))
        return false;
    d->gtid = gtid;
    d->info.commit_us = gtid.commit_us;
    return true;
}

static bool on_maria_gtid(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    gf_ev_maria_gtid g;

    if (!gf_event_maria_gtid(&g, ev))
        return gf_fail(err, GF_ERR_DATA, "malformed GTID event");
    if (!open_transaction(d, ev, (g.flags & GF_MARIA_STANDALONE) != 0 ? NAMED : INSIDE, err))
        return false;
    d->maria = g.gtid;
    /* The statement comes once more with COMMIT ALTER, and only then does it take effect. */
    d->passing = (g.flags_extra & (GF_MARIA_START_ALTER | GF_MARIA_ROLLBACK_ALTER)) != 0;
    d->two_phase = (g.flags_extra & GF_MARIA_COMMIT_ALTER) != 0;
    if ((g.flags & (GF_MARIA_XA_PREPARE | GF_MARIA_XA_COMPLETE)) != 0) {
        gf_buf_reset(&d->text);
        gf_ev_xid_text(&d->text, &g.xid);
        set_xid(d, gf_slice_of(d->text.data, d->text.len));
    }
    return true;
}

static bool on_xid(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    if (ev->body.len < 8)
        return gf_fail(err, GF_ERR_DATA, "malformed XID event");
    return commit(d, err);
}

static bool on_xa_prepare(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    gf_ev_xa_prepare p;

    if (!gf_event_xa_prepare(&p, ev))
        return gf_fail(err, GF_ERR_DATA, "malformed XA_PREPARE event");
    if (p.one_phase)
        return commit(d, err);
    if (!need_inside(d, "XA PREPARE", err))
        return false;
    gf_buf_reset(&d->text);
    gf_ev_xid_text(&d->text, &p.xid);
    return end_xa(d, GF_XA_PREPARE, gf_slice_of(d->text.data, d->text.len), err);
}

static bool on_table_map(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    return need_inside(d, "a table map", err) && gf_tables_map(d->tables, ev, err);
}

static bool tell_row(void *ctx, const gf_table *t, gf_op op, const gf_value *before, const gf_value *after,
                     unsigned event_flags, gf_error *err)
{
    gf_decoder *d = ctx;

    if (!begin(d, err))
        return false;
    if (d->sink.row(d->sink.ctx, t, op, before, after, event_flags, err))
        return true;
    d->sink_failed = true;
    return false;
}

static bool on_rows(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    return need_inside(d, "a rows event", err) && gf_tables_rows(d->tables, ev, tell_row, d, err);
}

static bool on_incident(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    gf_slice text;

    (void)d;
    if (!gf_event_incident(&text, ev))
        text = gf_slice_of(NULL, 0);
    return gf_fail(err, GF_ERR_DATA,
                   "the source reports that events are missing from its binlog ('%.*s'): the job has to start anew",
                   (int)text.len, text.data == NULL ? "" : (const char *)text.data);
}

/* ---- files ---- */

static bool on_rotate(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    gf_ev_place to;

    if (!gf_event_rotate(&to, ev))
        return gf_fail(err, GF_ERR_DATA, "malformed ROTATE event");
    set_file(d, to.file);
    d->offset = to.offset;
    return true;
}

/* A new file, or the description of the one that we start in. Table ids mean nothing any more. */
static bool on_description(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    gf_ev_description description;
    bool begun = d->begun;

    if (!gf_event_description(&description, ev))
        return gf_fail(err, GF_ERR_DATA,
                       "malformed FORMAT_DESCRIPTION event: a binlog older than MySQL 5.0, or damaged");
    gf_tables_clear(d->tables);
    if (d->state == OUTSIDE)
        return true;
    if (description.created == 0)
        return gf_fail(err, GF_ERR_DATA, "a binlog file ends inside a transaction");
    /* The source died while it wrote this transaction and has undone it: it never happened. */
    forget_transaction(d);
    if (!begun || d->sink.rollback(d->sink.ctx, &d->pos, err))
        return true;
    d->sink_failed = true;
    return false;
}

static bool on_heartbeat(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    gf_ev_place at;

    if (!gf_event_heartbeat(&at, ev))
        return gf_fail(err, GF_ERR_DATA, "malformed heartbeat");
    if (at.offset == 0 || d->state != OUTSIDE)
        return true;
    if (strlen(d->file) != at.file.len || memcmp(d->file, at.file.data, at.file.len) != 0) {
        set_file(d, at.file);
        d->offset = at.offset;
        return true;
    }
    if (ev->type == GF_EV_HEARTBEAT)
        return advance(d, ev->log_pos, err);
    if (at.offset > d->offset)
        d->offset = at.offset;
    return true;
}

/* At the start of a file: the last GTIDs of all files before it. An artificial one ends what was left out for us. */
static bool on_maria_list(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    gf_maria_pos list = {0};
    bool ok = gf_event_maria_list(&list, ev);

    if (!ok)
        gf_fail(err, GF_ERR_DATA, "malformed GTID_LIST event");
    else if ((ev->flags & GF_EVF_ARTIFICIAL) != 0)
        ok = ev->log_pos == 0 || advance(d, ev->log_pos, err);
    else if (!d->domains_known && d->state == OUTSIDE) {
        gf_maria_pos_copy(&d->pos.maria, &list);
        d->domains_known = true;
    }
    gf_maria_pos_free(&list);
    return ok;
}

static bool on_nothing(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    (void)d;
    (void)ev;
    (void)err;
    return true;
}

static bool on_payload(gf_decoder *d, const gf_event *ev, gf_error *err);

typedef bool event_handler(gf_decoder *d, const gf_event *ev, gf_error *err);

/* Variables and file blocks of statement-format changes are passed over: their statement is what decides. */
static event_handler *const handlers[256] = {
    [GF_EV_QUERY] = on_query,
    [GF_EV_STOP] = on_nothing,
    [GF_EV_ROTATE] = on_rotate,
    [GF_EV_INTVAR] = on_nothing,
    [GF_EV_APPEND_BLOCK] = on_nothing,
    [GF_EV_DELETE_FILE] = on_nothing,
    [GF_EV_RAND] = on_nothing,
    [GF_EV_USER_VAR] = on_nothing,
    [GF_EV_FORMAT_DESCRIPTION] = on_description,
    [GF_EV_XID] = on_xid,
    [GF_EV_BEGIN_LOAD_QUERY] = on_nothing,
    [GF_EV_EXECUTE_LOAD_QUERY] = on_query,
    [GF_EV_TABLE_MAP] = on_table_map,
    [GF_EV_WRITE_ROWS_V1] = on_rows,
    [GF_EV_UPDATE_ROWS_V1] = on_rows,
    [GF_EV_DELETE_ROWS_V1] = on_rows,
    [GF_EV_INCIDENT] = on_incident,
    [GF_EV_HEARTBEAT] = on_heartbeat,
    [GF_EV_IGNORABLE] = on_nothing,
    [GF_EV_ROWS_QUERY] = on_nothing,
    [GF_EV_WRITE_ROWS] = on_rows,
    [GF_EV_UPDATE_ROWS] = on_rows,
    [GF_EV_DELETE_ROWS] = on_rows,
    [GF_EV_GTID] = on_gtid,
    [GF_EV_ANONYMOUS_GTID] = on_gtid,
    [GF_EV_PREVIOUS_GTIDS] = on_nothing,
    [GF_EV_TRANSACTION_CONTEXT] = on_nothing,
    [GF_EV_VIEW_CHANGE] = on_nothing,
    [GF_EV_XA_PREPARE] = on_xa_prepare,
    [GF_EV_PARTIAL_UPDATE_ROWS] = on_rows,
    [GF_EV_TRANSACTION_PAYLOAD] = on_payload,
    [GF_EV_HEARTBEAT_V2] = on_heartbeat,
    [GF_EV_GTID_TAGGED] = on_gtid,
    [GF_EV_MARIA_ANNOTATE] = on_nothing,
    [GF_EV_MARIA_CHECKPOINT] = on_nothing,
    [GF_EV_MARIA_GTID] = on_maria_gtid,
    [GF_EV_MARIA_GTID_LIST] = on_maria_list,
    [GF_EV_MARIA_ENCRYPTION] = on_nothing,
    [GF_EV_MARIA_QUERY_COMPRESSED] = on_query,
    [GF_EV_MARIA_WRITE_COMPRESSED_V1] = on_rows,
    [GF_EV_MARIA_UPDATE_COMPRESSED_V1] = on_rows,
    [GF_EV_MARIA_DELETE_COMPRESSED_V1] = on_rows,
    [GF_EV_MARIA_WRITE_COMPRESSED] = on_rows,
    [GF_EV_MARIA_UPDATE_COMPRESSED] = on_rows,
    [GF_EV_MARIA_DELETE_COMPRESSED] = on_rows,
};

static bool dispatch(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    event_handler *handle = handlers[ev->type];

    if (handle == NULL && (ev->flags & GF_EVF_IGNORABLE) == 0) /* stop rather than lose a change */
        return gf_fail(err, GF_ERR_DATA, "an event of unknown type %u, which may be a change", ev->type);
    return handle == NULL || handle(d, ev, err);
}

/* What belongs to a transaction; everything else inside a payload would move the stream's own state. */
static bool may_be_inside(uint8_t type)
{
    return type != GF_EV_TRANSACTION_PAYLOAD && type != GF_EV_ROTATE && type != GF_EV_FORMAT_DESCRIPTION &&
           type != GF_EV_HEARTBEAT && type != GF_EV_HEARTBEAT_V2 && handlers[type] != on_gtid;
}

static bool feed_inner(void *ctx, gf_slice raw, gf_error *err)
{
    gf_decoder *d = ctx;
    gf_event ev;

    if (!gf_event_parse(&ev, raw) || !may_be_inside(ev.type))
        return gf_fail(err, GF_ERR_DATA, "malformed event inside a transaction payload");
    gf_arena_reset(&d->arena);
    return dispatch(d, &ev, err);
}

static bool on_payload(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    if (!gf_payload_each(ev, feed_inner, d, err))
        return false;
    return d->state == OUTSIDE || gf_fail(err, GF_ERR_DATA, "a transaction payload ends before its transaction");
}

/* ---- one event ---- */

static bool is_in_file(const gf_event *ev)
{
    return ev->log_pos != 0 && (ev->flags & GF_EVF_ARTIFICIAL) == 0 && ev->type != GF_EV_HEARTBEAT &&
           ev->type != GF_EV_HEARTBEAT_V2;
}

static bool follow(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    d->event_start = d->offset;
    if (!is_in_file(ev))
        return true;
    if (!advance(d, ev->log_pos, err))
        return false;
    d->event_start = d->offset - ev->size;
    return true;
}

static bool name_place(gf_decoder *d, const gf_event *ev, gf_error *err)
{
    name_gtid(d);
    return gf_fail_context(err, "event of type %u at %s:%llu%s%s", ev->type, d->file,
                           (unsigned long long)d->event_start, d->info.gtid[0] == '\0' ? "" : ", transaction ",
                           d->info.gtid);
}

bool gf_decoder_feed(gf_decoder *d, gf_slice raw, gf_error *err)
{
    gf_event ev;

    d->sink_failed = false;
    if (!gf_event_parse(&ev, raw))
        return gf_fail(err, GF_ERR_DATA, "an event of %zu bytes behind %s:%llu is cut short", raw.len, d->file,
                       (unsigned long long)d->offset);
    gf_arena_reset(&d->arena);
    if (follow(d, &ev, err) && dispatch(d, &ev, err) && (d->state != OUTSIDE || pass(d, err)))
        return true;
    return d->sink_failed ? false : name_place(d, &ev, err);
}
