/* SPDX-License-Identifier: MIT */
/*
 * event.c - binlog events taken apart: header, control events, GTIDs, QUERY.
 */
#include "event.h"

bool gf_event_parse(gf_event *out, gf_slice raw)
{
    gf_cursor in = gf_cursor_of(raw.data, raw.len);

    out->timestamp = gf_cursor_u32(&in);
    out->type = gf_cursor_u8(&in);
    out->server_id = gf_cursor_u32(&in);
    out->size = gf_cursor_u32(&in);
    out->log_pos = gf_cursor_u32(&in);
    out->flags = gf_cursor_u16(&in);
    out->body = gf_slice_of(in.p, gf_cursor_left(&in));
    return !in.bad;
}

static gf_cursor body_of(const gf_event *ev)
{
    return gf_cursor_of(ev->body.data, ev->body.len);
}

static gf_slice rest_of(gf_cursor *in)
{
    return gf_cursor_bytes(in, gf_cursor_left(in));
}

/* ---- files ---- */

bool gf_event_description(gf_ev_description *out, const gf_event *ev)
{
    gf_cursor in = body_of(ev);
    uint16_t version = gf_cursor_u16(&in);
    gf_slice text = gf_cursor_bytes(&in, 50);

    out->created = gf_cursor_u32(&in);
    if (in.bad || version != 4 || gf_cursor_u8(&in) != GF_EVENT_HEADER || in.bad)
        return false;
    out->mariadb = memmem(text.data, text.len, "MariaDB", 7) != NULL;
    return true;
}

bool gf_event_rotate(gf_ev_place *out, const gf_event *ev)
{
    gf_cursor in = body_of(ev);

    out->offset = gf_cursor_u64(&in);
    out->file = rest_of(&in);
    return !in.bad && out->file.len > 0 && out->file.len < GF_BINLOG_NAME_MAX;
}

/* Fields `type, length, value`, all numbers length-encoded, ended by type 0. */
static bool heartbeat_v2(gf_ev_place *out, gf_cursor *in)
{
    enum { END = 0, FILE_NAME = 1, POSITION = 2 };

    while (gf_cursor_left(in) > 0) {
        uint64_t type = gf_cursor_lenenc(in);
        gf_slice value;
        gf_cursor number;

        if (type == END)
            break;
        value = gf_cursor_bytes(in, gf_cursor_lenenc(in));
        number = gf_cursor_of(value.data, value.len);
        if (type == FILE_NAME)
            out->file = value;
        if (type == POSITION)
            out->offset = gf_cursor_lenenc(&number);
        if (in->bad || number.bad)
            return false;
    }
    return !in->bad;
}

bool gf_event_heartbeat(gf_ev_place *out, const gf_event *ev)
{
    gf_cursor in = body_of(ev);
    bool ok = true;

    *out = (gf_ev_place){.offset = ev->log_pos};
    if (ev->type == GF_EV_HEARTBEAT_V2)
        ok = heartbeat_v2(out, &in);
    else
        out->file = rest_of(&in);
    return ok && out->file.len > 0 && out->file.len < GF_BINLOG_NAME_MAX;
}

/* ---- MySQL's GTIDs ---- */

static uint64_t strip_high_bit(uint64_t v, unsigned bytes)
{
    return v & ~((uint64_t)1 << (8 * bytes - 1));
}

static bool gtid_untagged(gf_ev_gtid *out, gf_cursor *in)
{
    enum { LOGICAL_TIMESTAMP = 2, TIME_BYTES = 7 };
    gf_slice uuid;

    gf_cursor_u8(in); /* flags: may have statements */
    uuid = gf_cursor_bytes(in, sizeof out->uuid);
    out->gno = gf_cursor_u64(in);
    if (in->bad)
        return false;
    memcpy(out->uuid, uuid.data, sizeof out->uuid);
    /* The rest grew with the versions: take what is there. */
    if (gf_cursor_left(in) < 1 + 8 + 8 + TIME_BYTES || gf_cursor_u8(in) != LOGICAL_TIMESTAMP)
        return true;
    gf_cursor_u64(in); /* last_committed */
    gf_cursor_u64(in); /* sequence_number */
    out->commit_us = strip_high_bit(gf_cursor_le(in, TIME_BYTES), TIME_BYTES);
    return true;
}

/* The serialisation library's integer: as many one bits in front as bytes follow the first. */
static uint64_t varint(gf_cursor *in)
{
    uint8_t first = gf_cursor_u8(in);
    unsigned more = 0;

    while (more < 8 && (first & 1U << more) != 0)
        more++;
    if (more == 0)
        return first >> 1;
    if (more == 8)
        return gf_cursor_u64(in);
    /* The value's low bits are what the first byte has left: 7 - more of them. */
    return gf_cursor_le(in, more) << (7 - more) | (uint64_t)first >> (more + 1);
}

static int64_t signed_varint(gf_cursor *in)
{
    uint64_t v = varint(in);

    return (v & 1) == 0 ? (int64_t)(v >> 1) : -(int64_t)(v >> 1) - 1;
}

static bool tagged_uuid(gf_ev_gtid *out, gf_cursor *in)
{
    for (unsigned i = 0; i < sizeof out->uuid; i++) {
        uint64_t byte = varint(in);

        if (byte > 255)
            return false;
        out->uuid[i] = (uint8_t)byte;
    }
    return !in->bad;
}

static bool tagged_tag(gf_ev_gtid *out, gf_cursor *in)
{
    uint64_t len = varint(in);
    gf_slice tag;

    if (len >= sizeof out->tag)
        return false;
    tag = gf_cursor_bytes(in, len);
    if (in->bad)
        return false;
    if (len > 0)
        memcpy(out->tag, tag.data, len);
    out->tag[len] = '\0';
    return memchr(out->tag, '\0', sizeof out->tag) == out->tag + len;
}

enum { FIELD_FLAGS, FIELD_UUID, FIELD_GNO, FIELD_TAG, FIELD_LAST, FIELD_SEQUENCE, FIELD_TIME };

/* Fields come in rising order; those behind the commit time do not concern us. */
static bool gtid_tagged(gf_ev_gtid *out, gf_cursor *in)
{
    bool uuid = false, gno = false;

    if (varint(in) != 1) /* version */
        return false;
    varint(in); /* size */
    varint(in); /* the last field that a reader must know */
    while (!in->bad && gf_cursor_left(in) > 0) {
        int64_t number;

        switch (varint(in)) {
        case FIELD_FLAGS: varint(in); break;
        case FIELD_UUID:
            uuid = tagged_uuid(out, in);
            if (!uuid)
                return false;
            break;
        case FIELD_GNO:
            number = signed_varint(in);
            gno = number > 0;
            out->gno = gno ? (uint64_t)number : 0;
            break;
        case FIELD_TAG:
            if (!tagged_tag(out, in))
                return false;
            break;
        case FIELD_LAST:
        case FIELD_SEQUENCE: signed_varint(in); break;
        case FIELD_TIME: out->commit_us = varint(in); return !in->bad && uuid && gno;
        default: return !in->bad && uuid && gno;
        }
    }
    return !in->bad && uuid && gno;
}

bool gf_event_gtid(gf_ev_gtid *out, const gf_event *ev)
{
    gf_cursor in = body_of(ev);

    memset(out, 0, sizeof *out);
    if (ev->type == GF_EV_GTID_TAGGED)
        return gtid_tagged(out, &in);
    return gtid_untagged(out, &in) && (ev->type == GF_EV_ANONYMOUS_GTID || out->gno > 0);
}

/* ---- MariaDB's GTIDs ---- */

static void read_xid_data(gf_ev_xid *xid, gf_cursor *in, size_t gtrid, size_t bqual)
{
    xid->gtrid = gf_cursor_bytes(in, gtrid);
    xid->bqual = gf_cursor_bytes(in, bqual);
}

bool gf_event_maria_gtid(gf_ev_maria_gtid *out, const gf_event *ev)
{
    enum { GROUP_COMMIT = 0x02, SEVERAL_ENGINES = 0x01 };
    gf_cursor in = body_of(ev);

    memset(out, 0, sizeof *out);
    out->gtid.server = ev->server_id;
    out->gtid.seq = gf_cursor_u64(&in);
    out->gtid.domain = gf_cursor_u32(&in);
    out->flags = gf_cursor_u8(&in);
    if ((out->flags & GROUP_COMMIT) != 0)
        gf_cursor_u64(&in);
    if ((out->flags & (GF_MARIA_XA_PREPARE | GF_MARIA_XA_COMPLETE)) != 0) {
        size_t gtrid, bqual;

        out->xid.format = gf_cursor_u32(&in);
        gtrid = gf_cursor_u8(&in);
        bqual = gf_cursor_u8(&in);
        read_xid_data(&out->xid, &in, gtrid, bqual);
    }
    if (!in.bad && gf_cursor_left(&in) > 0)
        out->flags_extra = gf_cursor_u8(&in); /* zero when it is padding */
    return !in.bad;
}

bool gf_event_maria_list(gf_maria_pos *out, const gf_event *ev)
{
    gf_cursor in = body_of(ev);
    uint32_t count = gf_cursor_u32(&in) & 0x0fffffff;

    if (in.bad || count > gf_cursor_left(&in) / 16)
        return false;
    for (uint32_t i = 0; i < count; i++) { /* within a domain the newest comes last */
        gf_maria_gtid gtid;

        gtid.domain = gf_cursor_u32(&in);
        gtid.server = gf_cursor_u32(&in);
        gtid.seq = gf_cursor_u64(&in);
        gf_maria_pos_set(out, gtid);
    }
    return true;
}

/* ---- XA ---- */

static void hex_lower(gf_buf *out, gf_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        gf_buf_printf(out, "%02x", s.data[i]);
}

void gf_ev_xid_text(gf_buf *out, const gf_ev_xid *xid)
{
    gf_buf_str(out, "X'");
    hex_lower(out, xid->gtrid);
    gf_buf_str(out, "',X'");
    hex_lower(out, xid->bqual);
    gf_buf_printf(out, "',%lu", (unsigned long)xid->format);
}

bool gf_event_xa_prepare(gf_ev_xa_prepare *out, const gf_event *ev)
{
    enum { PART_MAX = 64 };
    gf_cursor in = body_of(ev);
    uint32_t gtrid, bqual;

    out->one_phase = gf_cursor_u8(&in) != 0;
    out->xid.format = gf_cursor_u32(&in);
    gtrid = gf_cursor_u32(&in);
    bqual = gf_cursor_u32(&in);
    if (in.bad || gtrid > PART_MAX || bqual > PART_MAX)
        return false;
    read_xid_data(&out->xid, &in, gtrid, bqual);
    return !in.bad;
}

/* ---- QUERY ---- */

static void skip_text(gf_cursor *in)
{
    gf_cursor_bytes(in, gf_cursor_u8(in));
}

/* Names of updated databases; 254 stands for too many, and none follow. */
static void skip_databases(gf_cursor *in)
{
    unsigned count = gf_cursor_u8(in);

    for (unsigned i = 0; count != 254 && i < count && !in->bad; i++) {
        while (gf_cursor_u8(in) != 0 && !in->bad)
            ;
    }
}

static gf_slice read_text(gf_cursor *in)
{
    return gf_cursor_bytes(in, gf_cursor_u8(in));
}

static void read_maria_flags(gf_stmt_session *s, gf_cursor *in)
{
    if ((gf_cursor_u8(in) & (GF_MARIA_COMMIT_ALTER | GF_MARIA_ROLLBACK_ALTER)) == 0)
        return;
    s->two_phase = true;
    gf_cursor_u64(in);
}

static void read_flags(gf_stmt_session *s, gf_cursor *in)
{
    s->has_flags = true;
    s->flags = gf_cursor_u32(in);
}

static void read_sql_mode(gf_ev_query *out, gf_cursor *in)
{
    out->session.has_sql_mode = true;
    out->sql_mode = gf_cursor_u64(in);
}

static void read_charset(gf_ev_query *out, gf_cursor *in)
{
    out->session.has_charset = true;
    out->charset_client = gf_cursor_u16(in);
    out->collation_connection = gf_cursor_u16(in);
    out->collation_server = gf_cursor_u16(in);
}

static void read_explicit_ts(gf_stmt_session *s, gf_cursor *in)
{
    s->has_explicit_ts = true;
    s->explicit_ts = gf_cursor_u8(in) != 0;
}

static void read_encryption(gf_stmt_session *s, gf_cursor *in)
{
    s->has_encryption = true;
    s->encryption = gf_cursor_u8(in) != 0;
}

/* Variables of fixed width that are only passed over: auto_increment's, the table map of updates, the master's data,
   XIDs, sql_require_primary_key (what was done there may be done), cascades of triggers. */
static const uint8_t widths[] = {
    [3] = 4, [9] = 8, [10] = 4, [17] = 8, [19] = 1, [21] = 1, [129] = 8,
};

/* Reads up to the first variable that it doesn't know: its length can't be known either. */
static void read_variables(gf_ev_query *out, gf_slice variables)
{
    gf_cursor in = gf_cursor_of(variables.data, variables.len);
    gf_stmt_session *s = &out->session;

    while (!in.bad && gf_cursor_left(&in) > 0) {
        uint8_t code = gf_cursor_u8(&in);

        switch (code) {
        case 0: read_flags(s, &in); break;
        case 1: read_sql_mode(out, &in); break;
        case 2: /* catalog, with a NUL */
            skip_text(&in);
            gf_cursor_u8(&in);
            break;
        case 5: s->time_zone = read_text(&in); break;
        case 6: /* catalog */ skip_text(&in); break;
        case 7: s->lc_time_names = gf_cursor_u16(&in); break;
        case 8: s->db_collation = gf_cursor_u16(&in); break;
        case 11: /* user and host */
            skip_text(&in);
            skip_text(&in);
            break;
        case 4: read_charset(out, &in); break;
        case 12: skip_databases(&in); break;
        case 13: /* MySQL's microseconds */
        case 128: /* MariaDB's */ s->microseconds = (uint32_t)gf_cursor_le(&in, 3); break;
        case 16: read_explicit_ts(s, &in); break;
        case 18: s->utf8mb4 = gf_cursor_u16(&in); break;
        case 20: read_encryption(s, &in); break;
        case 130: read_maria_flags(s, &in); break;
        case 131: s->collations = gf_cursor_bytes(&in, 4U * gf_cursor_u8(&in)); break;
        default:
            if (code >= sizeof widths || widths[code] == 0) {
                s->unknown = true;
                return;
            }
            gf_cursor_bytes(&in, widths[code]);
        }
    }
    s->unknown = s->unknown || in.bad;
}

bool gf_event_query(gf_ev_query *out, const gf_event *ev)
{
    gf_cursor in = body_of(ev);
    size_t db_len;
    uint16_t variables_len;

    memset(out, 0, sizeof *out);
    out->session.timestamp = ev->timestamp;
    gf_cursor_u32(&in); /* thread */
    gf_cursor_u32(&in); /* duration */
    db_len = gf_cursor_u8(&in);
    out->error = gf_cursor_u16(&in);
    variables_len = gf_cursor_u16(&in);
    if (ev->type == GF_EV_EXECUTE_LOAD_QUERY)
        gf_cursor_bytes(&in, 13); /* file id, place of the file name, handling of duplicates */
    read_variables(out, gf_cursor_bytes(&in, variables_len));
    out->db = gf_cursor_bytes(&in, db_len);
    gf_cursor_u8(&in);
    out->sql = rest_of(&in);
    return !in.bad;
}

bool gf_event_incident(gf_slice *text, const gf_event *ev)
{
    gf_cursor in = body_of(ev);

    gf_cursor_u16(&in); /* kind */
    *text = gf_cursor_bytes(&in, gf_cursor_u8(&in));
    return !in.bad;
}
