/* SPDX-License-Identifier: MIT */
/*
 * replica.c - one replication connection: register, ask for the dump, read events.
 *
 *   gf_replica_open -> the server id's locks [identity.c] -> session variables [set_variables]
 *                   -> COM_REGISTER_SLAVE [register_replica] -> COM_BINLOG_DUMP or COM_BINLOG_DUMP_GTID [request_dump]
 *                   -> gf_replica_read ...
 *
 * libmariadb connects, authenticates and frames packets; commands and events are ours. A packet of the stream is
 * `00 | event`, an ERR packet (which the library turns into mysql_errno) or an EOF packet, which servers send when
 * they shut down or when the dump is killed: it means "connect again". We do not ask for semi-sync, so packets never
 * carry its header.
 *
 * Checksums: every event ends in a CRC32 of all before it, if the last FORMAT_DESCRIPTION event says so. That event
 * itself always has one, and the fake ROTATE that opens the stream has one because we asked for CRC32.
 *
 * Stopping from another thread: a flag, then the lifeline is broken.
 */
#include "gfreplica/replica.h"

#include <errmsg.h>
#include <ma_pvio.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "event.h"

enum {
    COM_DUMP_GTID = 0x1e,    /* not in the library's enum */
    USE_HEARTBEAT_V2 = 0x02, /* MySQL: positions of 64 bits; MariaDB gives this bit another meaning */
    THROUGH_GTID = 0x04,
    FIRST_EVENT = 4, /* offset of the first event of a binlog file */
    CRC_LEN = 4,
    MIN_READ_TIMEOUT = 3, /* seconds; also holds for the handshake */
    SILENT_HEARTBEATS = 2
};

struct gf_replica {
    gf_replica_options opt;
    MYSQL *db;         /* owned; the reading thread's */
    char address[160]; /* "127.0.0.1:3306", for errors */
    bool checksums;    /* events end in a CRC32 */
    bool received;     /* at least one packet came: from then on a broken link is just that */
    unsigned timeout_s;

    atomic_bool stopping;
    pthread_mutex_t lock; /* guards lifeline */
    gf_lifeline lifeline;
};

/* ---- errors ---- */

/* Nearly everything fatal about a dump is error 1236: only its text tells what happened. */
static const struct {
    const char *text;
    gf_error_kind kind;
    const char *advice;
} dump_errors[] = {
    {"Could not find first log file name", GF_ERR_GONE, "the binlog file is no longer on the source"},
    {"could not find next log", GF_ERR_RETRY, "the source's binlogs were removed while it sent them"},
    {"purged required binary logs", GF_ERR_GONE, "the source has purged transactions that are still needed"},
    {"Could not find GTID state requested", GF_ERR_GONE, "the source has purged transactions that are still needed"},
    {"is missing the GTID", GF_ERR_GONE, "the source lacks transactions that were applied: another history"},
    {"requested to start from GTID", GF_ERR_GONE, "the source lacks transactions that were applied: another history"},
    {"more GTIDs than the", GF_ERR_GONE, "the source lacks transactions that were applied: another history"},
    {"position > file size", GF_ERR_GONE, "the binlog file is shorter than it was: another history"},
    {"impossible position", GF_ERR_GONE, "the binlog file is shorter than it was: another history"},
    {"same server_uuid/server_id", GF_ERR_CONFIG,
     "two replicas with one identity: is this job running twice? Else give each its own server id and UUID"},
    {"checksum that", GF_ERR_CONFIG, "the source cannot send checksums in a form we know"},
    {"AUTO_POSITION mode", GF_ERR_CONFIG, "gtid_mode of the source was changed"},
    {"exceeded max_allowed_packet", GF_ERR_DATA, "not the start of an event, or a damaged binlog file"},
    {"truncated in the middle", GF_ERR_DATA, "not the start of an event, or a damaged binlog file"},
};

enum {
    ER_MASTER_FATAL = 1236,
    ER_DUPLICATE_IDENTITY = 4052, /* MariaDB */
    ER_ACCESS = 1045,
    ER_PRIVILEGE = 1227
};

static bool append_advice(gf_error *err, const char *advice)
{
    size_t len = strlen(err->text);

    snprintf(err->text + len, sizeof err->text - len, " (%s)", advice);
    return false;
}

static bool fail_fatal(gf_error *err)
{
    err->kind = GF_ERR_DATA;
    for (size_t i = 0; i < sizeof dump_errors / sizeof dump_errors[0]; i++) {
        if (strstr(err->text, dump_errors[i].text) == NULL)
            continue;
        err->kind = dump_errors[i].kind;
        return append_advice(err, dump_errors[i].advice);
    }
    return false;
}

static bool fail_link(gf_replica *r, const char *what, gf_error *err)
{
    unsigned code = mysql_errno(r->db);

    if (atomic_load(&r->stopping))
        return gf_fail(err, GF_ERR_STOPPED, "replication from %s was stopped", r->address);
    gf_fail_mysql(err, r->db, "%s %s", what, r->address);
    switch (code) {
    case ER_MASTER_FATAL:
    case ER_DUPLICATE_IDENTITY: return fail_fatal(err);
    case ER_ACCESS:
    case ER_PRIVILEGE:
        err->kind = GF_ERR_CONFIG;
        return append_advice(err, "missing grant, run GRANT REPLICATION SLAVE ON *.* TO ... on the source");
    case 0: /* the library gave up without a word */ err->kind = GF_ERR_RETRY; return false;
    case CR_SERVER_LOST:
    case CR_SSL_CONNECTION_ERROR:
        err->kind = GF_ERR_RETRY;
        return r->received ? append_advice(err, "the link broke or was silent for too long") : false;
    default: return false;
    }
}

/* ---- handshake ---- */

/* One statement, each variable in the spelling of either flavour: they are user variables, unknown ones are ignored. */
static bool set_variables(gf_replica *r, const gf_position *from, bool by_gtid, gf_error *err)
{
    unsigned long long period = (unsigned long long)r->opt.heartbeat_ms * 1000000ULL;
    gf_buf sql = {0};
    bool ok;

    gf_buf_printf(&sql,
                  "SET @source_heartbeat_period=%llu, @master_heartbeat_period=%llu, @source_binlog_checksum='CRC32', "
                  "@master_binlog_checksum='CRC32', @mariadb_slave_capability=4, ",
                  period, period);
    gf_buf_printf(&sql, "@replica_uuid='%s', @slave_uuid='%s'", r->opt.uuid, r->opt.uuid);
    if (r->opt.info->flavor == GF_FLAVOR_MARIADB && by_gtid) {
        /* Strict: a later number of the same server is not taken for ours, as another history may well reach it. */
        gf_buf_str(&sql, ", @slave_gtid_strict_mode=1, @slave_gtid_ignore_duplicates=0, @slave_connect_state='");
        gf_maria_pos_text(&from->maria, &sql);
        gf_buf_str(&sql, "'");
    }
    /* The dump thread gives up on a reader that does not read for this long. */
    gf_buf_str(&sql, ", SESSION net_write_timeout=3600");
    ok = gf_server_run(r->db, "set up replication", gf_slice_of(sql.data, sql.len), err);
    gf_buf_free(&sql);
    return ok;
}

/* `checked`: an OK or ERR packet follows and is read. */
static bool command(gf_replica *r, unsigned code, const gf_buf *body, bool checked, const char *what, gf_error *err)
{
    if (r->db->methods->db_command(r->db, (enum enum_server_command)code, (const char *)body->data, body->len,
                                   checked ? 0 : 1, NULL) == 0)
        return true;
    return fail_link(r, what, err);
}

static void add_short_text(gf_buf *body, const char *text)
{
    size_t len = text == NULL ? 0 : strlen(text);

    if (len > 60) /* the narrowest column of the servers' lists */
        len = 60;
    gf_buf_byte(body, (uint8_t)len);
    gf_buf_add(body, text, len);
}

static bool register_replica(gf_replica *r, gf_error *err)
{
    gf_buf body = {0};
    bool ok;

    gf_buf_u32(&body, r->opt.server_id);
    add_short_text(&body, r->opt.report_host);
    add_short_text(&body, NULL); /* user and password of the replica's own server: it has none */
    add_short_text(&body, NULL);
    gf_buf_u16(&body, (uint16_t)r->opt.report_port);
    gf_buf_u32(&body, 0); /* rank */
    gf_buf_u32(&body, 0); /* source id: filled in by the source */
    ok = command(r, COM_REGISTER_SLAVE, &body, true, "register as a replica of", err);
    gf_buf_free(&body);
    return ok;
}

/* MySQL's command with GTIDs: file name empty, the source finds the place and leaves out what is in the set. */
static bool dump_by_set(gf_replica *r, const gf_position *from, gf_error *err)
{
    gf_buf body = {0}, set = {0};
    bool ok;

    gf_gtid_set_encode(from->gtids, &set);
    gf_buf_u16(&body, USE_HEARTBEAT_V2 | THROUGH_GTID);
    gf_buf_u32(&body, r->opt.server_id);
    gf_buf_u32(&body, 0); /* length of the file name */
    gf_buf_u64(&body, FIRST_EVENT);
    gf_buf_u32(&body, (uint32_t)set.len);
    gf_buf_add(&body, set.data, set.len);
    ok = command(r, COM_DUMP_GTID, &body, false, "ask for the binlog of", err);
    gf_buf_free(&set);
    gf_buf_free(&body);
    return ok;
}

static bool dump_by_file(gf_replica *r, const char *file, uint64_t offset, gf_error *err)
{
    uint16_t flags = r->opt.info->flavor == GF_FLAVOR_MYSQL ? USE_HEARTBEAT_V2 : 0;
    gf_buf body = {0};
    bool ok;

    if (offset > UINT32_MAX)
        return gf_fail(err, GF_ERR_GONE,
                       "start replication at %s:%llu: without GTIDs the protocol reaches no further than 4 GiB into "
                       "a file",
                       file, (unsigned long long)offset);
    gf_buf_u32(&body, (uint32_t)offset);
    gf_buf_u16(&body, flags);
    gf_buf_u32(&body, r->opt.server_id);
    gf_buf_str(&body, file);
    ok = command(r, COM_BINLOG_DUMP, &body, false, "ask for the binlog of", err);
    gf_buf_free(&body);
    return ok;
}

static bool request_dump(gf_replica *r, const gf_position *from, bool by_gtid, gf_error *err)
{
    if (!by_gtid)
        return dump_by_file(r, from->file, from->offset < FIRST_EVENT ? FIRST_EVENT : from->offset, err);
    if (r->opt.info->flavor == GF_FLAVOR_MYSQL)
        return dump_by_set(r, from, err);
    return dump_by_file(r, "", FIRST_EVENT, err); /* the place is in @slave_connect_state */
}

static bool starts_by_gtid(const gf_server_info *info, const gf_position *from)
{
    if (info->flavor == GF_FLAVOR_MYSQL)
        return info->gtids && from->gtids != NULL;
    return from->maria.count > 0 || from->file[0] == '\0'; /* nothing known: from the oldest binlog */
}

static bool connect_link(gf_replica *r, gf_error *err)
{
    gf_server_config cfg = *r->opt.server; /* its strings stay borrowed */

    cfg.read_timeout = r->timeout_s;
    if (!gf_server_connect(&r->db, &cfg, GF_CONN_STREAM, err))
        return false;
    gf_lifeline_hold(&r->lifeline, (int)mysql_get_socket(r->db), false);
    return r->lifeline.held || gf_fail_errno(err, "duplicate the replication socket");
}

static unsigned timeout_of(unsigned heartbeat_ms)
{
    unsigned seconds = (SILENT_HEARTBEATS * heartbeat_ms + 999) / 1000;

    return seconds < MIN_READ_TIMEOUT ? MIN_READ_TIMEOUT : seconds;
}

static void name_address(gf_replica *r)
{
    const gf_server_config *c = r->opt.server;

    if (c->socket != NULL)
        snprintf(r->address, sizeof r->address, "%.150s", c->socket);
    else
        snprintf(r->address, sizeof r->address, "%.140s:%u", c->host, c->port);
}

bool gf_replica_open(gf_replica **out, const gf_replica_options *opt, const gf_position *from, gf_error *err)
{
    gf_replica *r = gf_calloc(1, sizeof *r);
    bool by_gtid = !opt->by_file && starts_by_gtid(opt->info, from);

    *out = NULL;
    r->opt = *opt;
    r->checksums = true;
    r->timeout_s = timeout_of(opt->heartbeat_ms);
    name_address(r);
    pthread_mutex_init(&r->lock, NULL);
    if (!by_gtid && from->file[0] == '\0') {
        gf_fail(err, GF_ERR_GONE, "start replication from %s: neither a binlog file nor GTIDs are known", r->address);
        goto fail;
    }
    if (!connect_link(r, err) || !gf_replica_hold_id(r->db, opt, err) || !set_variables(r, from, by_gtid, err) ||
        !register_replica(r, err) || !request_dump(r, from, by_gtid, err))
        goto fail;
    *out = r;
    return true;
fail:
    gf_replica_close(r);
    return false;
}

/* ---- the stream ---- */

static bool read_packet(gf_slice *packet, gf_replica *r, gf_error *err)
{
    unsigned long len = mysql_net_read_packet(r->db);

    if (len == packet_error) /* 32 bits of ones in an unsigned long */
        return fail_link(r, "read the binlog of", err);
    *packet = gf_slice_of(r->db->net.read_pos, len);
    r->received = true;
    if (len > 0 && packet->data[0] == 0xfe && len < 9) {
        if (atomic_load(&r->stopping))
            return gf_fail(err, GF_ERR_STOPPED, "replication from %s was stopped", r->address);
        return gf_fail(err, GF_ERR_RETRY,
                       "read the binlog of %s: the source ended the stream (it shuts down, or the "
                       "dump was killed)",
                       r->address);
    }
    if (len < 1 + GF_EVENT_HEADER || packet->data[0] != 0)
        return gf_fail(err, GF_ERR_DATA, "read the binlog of %s: a packet of %lu bytes that holds no event", r->address,
                       len);
    return true;
}

static bool verify_checksum(const gf_replica *r, gf_slice event, const gf_event *head, gf_error *err)
{
    size_t len = event.len - CRC_LEN;
    gf_cursor tail = gf_cursor_of(event.data + len, CRC_LEN);
    uint32_t said = gf_cursor_u32(&tail);
    uint32_t is = (uint32_t)crc32_z(crc32_z(0, NULL, 0), event.data, len);

    if (said == is)
        return true;
    return gf_fail(err, GF_ERR_DATA,
                   "read the binlog of %s: checksum of an event of type %u and %zu bytes that ends at %lu is wrong: "
                   "damaged on the source's disk or on the way",
                   r->address, head->type, event.len, (unsigned long)head->log_pos);
}

/* The algorithm byte stands in front of the checksum's place, which this event always has. Without an algorithm what is
   there proves nothing: MySQL alters the event for a start in the middle of a file and leaves the old checksum. */
static bool learn_algorithm(gf_replica *r, gf_slice event, gf_error *err)
{
    uint8_t algorithm = event.data[event.len - CRC_LEN - 1];

    if (algorithm > 1)
        return gf_fail(err, GF_ERR_DATA, "read the binlog of %s: unknown checksum algorithm %u", r->address, algorithm);
    r->checksums = algorithm == 1;
    return true;
}

bool gf_replica_read(gf_slice *event, gf_replica *r, gf_error *err)
{
    gf_slice packet = {0}, raw;
    gf_event head;
    bool is_description;

    if (!read_packet(&packet, r, err))
        return false;
    raw = gf_slice_of(packet.data + 1, packet.len - 1);
    if (!gf_event_parse(&head, raw) || head.size != raw.len)
        return gf_fail(err, GF_ERR_DATA, "read the binlog of %s: an event of %zu bytes that claims %lu", r->address,
                       raw.len, (unsigned long)head.size);
    is_description = head.type == GF_EV_FORMAT_DESCRIPTION;
    *event = raw;
    if (!is_description && !r->checksums)
        return true;
    if (raw.len < GF_EVENT_HEADER + CRC_LEN) /* STOP has no body */
        return gf_fail(err, GF_ERR_DATA, "read the binlog of %s: an event of %zu bytes is too short for its checksum",
                       r->address, raw.len);
    if (is_description && !learn_algorithm(r, raw, err))
        return false;
    if (r->checksums && !verify_checksum(r, raw, &head, err))
        return false;
    event->len = raw.len - CRC_LEN;
    return true;
}

bool gf_replica_pending(gf_replica *r)
{
    const MARIADB_PVIO *link = r->db->net.pvio;
    struct pollfd socket = {.fd = r->lifeline.fd, .events = POLLIN};

    if (link->cache != NULL && link->cache_pos < link->cache + link->cache_size)
        return true;
    return poll(&socket, 1, 0) == 1;
}

static void cut(gf_replica *r)
{
    pthread_mutex_lock(&r->lock);
    gf_lifeline_break(&r->lifeline);
    pthread_mutex_unlock(&r->lock);
}

void gf_replica_stop(gf_replica *r)
{
    atomic_store(&r->stopping, true);
    cut(r);
}

void gf_replica_close(gf_replica *r)
{
    if (r == NULL)
        return;
    cut(r); /* or the library would send COM_QUIT into the stream */
    pthread_mutex_lock(&r->lock);
    gf_lifeline_hold(&r->lifeline, -1, false);
    pthread_mutex_unlock(&r->lock);
    gf_server_close(r->db);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
