/* SPDX-License-Identifier: MIT */
/*
 * payload.c - compressed events as a stream.
 *
 * TRANSACTION_PAYLOAD (MySQL 8.0.20): fields `type | length | value`, all length-encoded, ended by type 0, then the
 * payload: whole events, one behind the other, without checksums. MariaDB (log_bin_compress): a byte
 * `0x80 | algorithm << 4 | n`, the length in n bytes big-endian, a zlib stream.
 */
#include "payload.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
    FIELD_END = 0,
    FIELD_SIZE = 1,
    FIELD_COMPRESSION = 2,
    ZSTD = 0,
    NONE = 255,
    EVENT_MAX = 0x7fffffff, /* servers stop at 1 GiB */
    SIZE_AT = 9             /* of event_size in an event's header */
};

typedef struct {
    uint64_t compression;
    gf_slice data;
} payload;

static bool read_fields(payload *out, gf_cursor *in)
{
    uint64_t type, size = UINT64_MAX;

    out->compression = NONE;
    while ((type = gf_cursor_lenenc(in)) != FIELD_END && !in->bad) {
        gf_slice value = gf_cursor_bytes(in, gf_cursor_lenenc(in));
        gf_cursor number = gf_cursor_of(value.data, value.len);

        if (type == FIELD_COMPRESSION)
            out->compression = gf_cursor_lenenc(&number);
        if (type == FIELD_SIZE)
            size = gf_cursor_lenenc(&number);
        if (number.bad)
            return false;
    }
    out->data = gf_slice_of(in->p, gf_cursor_left(in));
    return !in->bad && (size == UINT64_MAX || size == out->data.len);
}

/* Gathers bytes until an event is whole, then hands it on. */
typedef struct {
    gf_buf event; /* owned: what has come of the current one */
    bool (*each)(void *ctx, gf_slice event, gf_error *err);
    void *ctx;
} splitter;

/* Bytes that the current event still lacks: of its header first, then of the whole. 0: no server writes that. */
static size_t missing(const splitter *s)
{
    gf_cursor size;
    uint32_t len;

    if (s->event.len < GF_EVENT_HEADER)
        return GF_EVENT_HEADER - s->event.len;
    size = gf_cursor_of(s->event.data + SIZE_AT, 4);
    len = gf_cursor_u32(&size);
    return len <= s->event.len || len > EVENT_MAX ? 0 : len - s->event.len;
}

static bool whole(const splitter *s)
{
    gf_cursor size;

    if (s->event.len < GF_EVENT_HEADER)
        return false;
    size = gf_cursor_of(s->event.data + SIZE_AT, 4);
    return gf_cursor_u32(&size) == s->event.len;
}

static bool split(splitter *s, gf_slice bytes, gf_error *err)
{
    while (bytes.len > 0) {
        size_t take = missing(s);

        if (take == 0)
            return gf_fail(err, GF_ERR_DATA, "malformed event inside a transaction payload");
        if (take > bytes.len)
            take = bytes.len;
        gf_buf_add(&s->event, bytes.data, take);
        bytes = gf_slice_of(bytes.data + take, bytes.len - take);
        if (!whole(s))
            continue;
        if (!s->each(s->ctx, gf_slice_of(s->event.data, s->event.len), err))
            return false;
        gf_buf_reset(&s->event);
    }
    return true;
}

static bool decompress(splitter *s, gf_slice data, gf_error *err)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = {data.data, data.len, 0};
    size_t room = ZSTD_DStreamOutSize(), state = 1;
    uint8_t *chunk = gf_malloc(room);
    bool ok = true;

    if (stream == NULL)
        gf_oom();
    while (ok) {
        ZSTD_outBuffer out = {chunk, room, 0};

        state = ZSTD_decompressStream(stream, &out, &in);
        if (ZSTD_isError(state)) {
            ok = gf_fail(err, GF_ERR_DATA, "decompress a transaction payload: %s", ZSTD_getErrorName(state));
            break;
        }
        ok = split(s, gf_slice_of(chunk, out.pos), err);
        if (out.pos < out.size && in.pos == in.size) /* nothing left inside the library either */
            break;
    }
    if (ok && state != 0)
        ok = gf_fail(err, GF_ERR_DATA, "decompress a transaction payload: it is cut short");
    free(chunk);
    ZSTD_freeDStream(stream);
    return ok;
}

bool gf_payload_each(const gf_event *event, bool (*each)(void *ctx, gf_slice event, gf_error *err), void *ctx,
                     gf_error *err)
{
    gf_cursor in = gf_cursor_of(event->body.data, event->body.len);
    splitter s = {.each = each, .ctx = ctx};
    payload p;
    bool ok;

    if (!read_fields(&p, &in))
        return gf_fail(err, GF_ERR_DATA, "malformed transaction payload");
    if (p.compression == ZSTD)
        ok = decompress(&s, p.data, err);
    else if (p.compression == NONE)
        ok = split(&s, p.data, err);
    else
        ok = gf_fail(err, GF_ERR_DATA, "transaction payload in unknown compression %llu",
                     (unsigned long long)p.compression);
    if (ok && s.event.len > 0)
        ok = gf_fail(err, GF_ERR_DATA, "a transaction payload ends inside an event");
    gf_buf_free(&s.event);
    return ok;
}

bool gf_payload_inflate(gf_buf *out, gf_slice compressed, gf_error *err)
{
    enum { MARK = 0x80, ALGORITHM = 0x70, WIDTH = 0x07, GROWTH_MAX = 1100 };
    gf_cursor in = gf_cursor_of(compressed.data, compressed.len);
    uint8_t head = gf_cursor_u8(&in);
    unsigned width = head & WIDTH;
    uint64_t len = width >= 1 && width <= 4 ? gf_cursor_be(&in, width) : 0;
    uLongf inflated = (uLongf)len;

    /* zlib makes nothing shorter than about a thousandth: a larger claim is no reason to ask for memory. */
    if (in.bad || (head & MARK) == 0 || (head & ALGORITHM) != 0 || width < 1 || width > 4 ||
        len > GROWTH_MAX * (uint64_t)gf_cursor_left(&in))
        return gf_fail(err, GF_ERR_DATA, "malformed compressed event");
    gf_buf_reserve(out, len + 1); /* a place even for nothing */
    if (uncompress(out->data + out->len, &inflated, in.p, gf_cursor_left(&in)) != Z_OK || inflated != len)
        return gf_fail(err, GF_ERR_DATA, "a compressed event can't be inflated");
    out->len += len;
    return true;
}
