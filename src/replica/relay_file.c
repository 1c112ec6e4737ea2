/* SPDX-License-Identifier: MIT */
/*
 * relay_file.c - the bytes of a relay file.
 *
 *     "gfrelay" 01        magic, format version
 *     len u32, hash u64   of the head's body: XXH3
 *     body                number u32, flavor u8, bytes of the file before u64, offset u64, then three texts, each with
 *                         its length u32 in front: source identity, binlog file, GTIDs
 *     record ...          len u32, its complement mixed with the place u32, hash u64, the event as received, without
 *                         the checksum that it had on the way
 *
 * All little-endian. The hash of a record is seeded with file number and offset, so that a record in another's place is
 * noticed like a changed bit. The length is told twice, because a wrong one would look like the end of the file.
 */
#include "relay_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char MAGIC[8] = {'g', 'f', 'r', 'e', 'l', 'a', 'y', 1};

enum {
    HEAD_FIXED = 8 + 4 + 8,
    HEAD_MAX = 1 << 20, /* a GTID set is text of some kilobytes */
    RECORD_HEAD = 4 + 4 + 8,
    READ_BYTES = 256 << 10,
    KEEP_BYTES = 4 << 20 /* what one very large event has needed is given back */
};

/* ---- names ---- */

void gf_relay_name(char out[GF_RELAY_NAME_MAX], unsigned number)
{
    snprintf(out, GF_RELAY_NAME_MAX, "relay-%010u", number);
}

bool gf_relay_name_parse(unsigned *number, const char *name)
{
    char again[GF_RELAY_NAME_MAX];
    unsigned long n;

    if (strncmp(name, "relay-", 6) != 0)
        return false;
    n = strtoul(name + 6, NULL, 10);
    if (n == 0 || n > UINT32_MAX)
        return false;
    gf_relay_name(again, (unsigned)n);
    *number = (unsigned)n;
    return strcmp(name, again) == 0;
}

/* ---- writing ---- */

static void add_text(gf_buf *out, const char *text)
{
    gf_buf_u32(out, (uint32_t)strlen(text));
    gf_buf_str(out, text);
}

void gf_relay_head_bytes(gf_buf *out, const gf_relay_head *h)
{
    gf_buf body = {0}, gtids = {0};

    gf_buf_u32(&body, h->number);
    gf_buf_byte(&body, (uint8_t)h->flavor);
    gf_buf_u64(&body, h->before);
    gf_buf_u64(&body, h->start.offset);
    add_text(&body, h->identity);
    add_text(&body, h->start.file);
    gf_position_gtid_text(&h->start, &gtids);
    add_text(&body, gf_buf_cstr(&gtids));
    gf_buf_add(out, MAGIC, sizeof MAGIC);
    gf_buf_u32(out, (uint32_t)body.len);
    gf_buf_u64(out, gf_hash(body.data, body.len, 0));
    gf_buf_add(out, body.data, body.len);
    gf_buf_free(&body);
    gf_buf_free(&gtids);
}

static uint64_t seed_of(unsigned number, uint64_t offset)
{
    return ((uint64_t)number << 40) ^ offset;
}

static uint32_t second_length(uint32_t len, unsigned number, uint64_t offset)
{
    return ~len ^ (uint32_t)offset ^ (number * 0x9e3779b1U);
}

uint64_t gf_relay_record_size(gf_slice event)
{
    return RECORD_HEAD + event.len;
}

void gf_relay_record_bytes(gf_buf *out, unsigned number, uint64_t offset, gf_slice event)
{
    uint32_t len = (uint32_t)event.len;

    gf_buf_reserve(out, RECORD_HEAD + event.len);
    gf_buf_u32(out, len);
    gf_buf_u32(out, second_length(len, number, offset));
    gf_buf_u64(out, gf_hash(event.data, event.len, seed_of(number, offset)));
    gf_buf_slice(out, event);
}

/* ---- reading ---- */

void gf_relay_head_free(gf_relay_head *h)
{
    gf_position_free(&h->start);
    *h = (gf_relay_head){0};
}

/* Has the file's bytes from f->offset on in memory, as many as `want`, if there are so many in front of `limit`. */
static bool load(gf_relay_file *f, uint64_t want, uint64_t limit, gf_error *err)
{
    uint64_t have = f->at + f->bytes.len - f->offset;

    if (have >= want || f->offset + want > limit)
        return true;
    if (have > 0)
        memmove(f->bytes.data, f->bytes.data + (f->offset - f->at), have);
    f->at = f->offset;
    f->bytes.len = have;
    if (f->bytes.cap > KEEP_BYTES && want < READ_BYTES && have < READ_BYTES) {
        f->bytes.data = gf_realloc(f->bytes.data, READ_BYTES);
        f->bytes.cap = READ_BYTES;
    }
    while (f->bytes.len < want) {
        uint64_t left = limit - f->at - f->bytes.len, more = want - f->bytes.len;
        size_t ask = (size_t)(more > READ_BYTES ? more : left < READ_BYTES ? left : READ_BYTES);
        ssize_t n;

        gf_buf_reserve(&f->bytes, ask);
        n = pread(f->fd, f->bytes.data + f->bytes.len, ask, (off_t)(f->at + f->bytes.len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return gf_fail_errno(err, "read relay-%010u", f->number);
        if (n == 0) /* cut short behind our back */
            return true;
        f->bytes.len += (size_t)n;
    }
    return true;
}

static gf_cursor loaded(const gf_relay_file *f)
{
    uint64_t skip = f->offset - f->at;

    return gf_cursor_of(f->bytes.data + skip, f->bytes.len - skip);
}

gf_relay_step gf_relay_file_next(gf_slice *event, gf_relay_file *f, uint64_t limit, gf_error *err)
{
    gf_cursor in;
    uint32_t len, again;
    uint64_t hash;

    if (!load(f, RECORD_HEAD, limit, err))
        return GF_RELAY_FAILED;
    in = loaded(f);
    if (gf_cursor_left(&in) < RECORD_HEAD)
        return GF_RELAY_END;
    len = gf_cursor_u32(&in);
    again = gf_cursor_u32(&in);
    hash = gf_cursor_u64(&in);
    if (again != second_length(len, f->number, f->offset))
        return GF_RELAY_DAMAGED;
    if (!load(f, RECORD_HEAD + (uint64_t)len, limit, err))
        return GF_RELAY_FAILED;
    in = loaded(f);
    gf_cursor_bytes(&in, RECORD_HEAD);
    if (gf_cursor_left(&in) < len)
        return GF_RELAY_END;
    *event = gf_cursor_bytes(&in, len);
    if (gf_hash(event->data, len, seed_of(f->number, f->offset)) != hash)
        return GF_RELAY_DAMAGED;
    f->offset += RECORD_HEAD + (uint64_t)len;
    return GF_RELAY_EVENT;
}

static bool take_text(char *out, size_t size, gf_cursor *in)
{
    gf_slice text = gf_cursor_bytes(in, gf_cursor_u32(in));

    if (in->bad || text.len >= size || memchr(text.data, 0, text.len) != NULL)
        return false;
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return true;
}

static bool read_body(gf_relay_head *h, gf_slice body, gf_error *err)
{
    gf_cursor in = gf_cursor_of(body.data, body.len);
    char file[GF_BINLOG_NAME_MAX], *gtids = gf_malloc(body.len + 1);
    uint64_t offset;
    bool ok;

    h->number = gf_cursor_u32(&in);
    h->flavor = (gf_flavor)gf_cursor_u8(&in);
    h->before = gf_cursor_u64(&in);
    offset = gf_cursor_u64(&in);
    ok = take_text(h->identity, sizeof h->identity, &in) && take_text(file, sizeof file, &in) &&
         take_text(gtids, body.len + 1, &in) && gf_cursor_left(&in) == 0 &&
         (h->flavor == GF_FLAVOR_MYSQL || h->flavor == GF_FLAVOR_MARIADB);
    ok = ok ? gf_position_parse(&h->start, h->flavor, file, offset, gtids, err)
            : gf_fail(err, GF_ERR_DATA, "its head makes no sense");
    free(gtids);
    return ok;
}

static bool read_head(gf_relay_head *h, gf_relay_file *f, gf_error *err)
{
    gf_cursor in;
    uint32_t len;
    uint64_t hash;
    gf_slice body;

    if (!load(f, HEAD_FIXED, HEAD_FIXED, err)) /* not a byte more: what follows may still be cut off and written anew */
        return false;
    in = loaded(f);
    if (gf_cursor_left(&in) < HEAD_FIXED || memcmp(gf_cursor_bytes(&in, sizeof MAGIC).data, MAGIC, sizeof MAGIC) != 0)
        return gf_fail(err, GF_ERR_DATA, "no relay file of this version");
    len = gf_cursor_u32(&in);
    hash = gf_cursor_u64(&in);
    if (len > HEAD_MAX)
        return gf_fail(err, GF_ERR_DATA, "its head makes no sense");
    if (!load(f, HEAD_FIXED + (uint64_t)len, HEAD_FIXED + (uint64_t)len, err))
        return false;
    in = loaded(f);
    gf_cursor_bytes(&in, HEAD_FIXED);
    body = gf_cursor_bytes(&in, len);
    if (in.bad || gf_hash(body.data, body.len, 0) != hash)
        return gf_fail(err, GF_ERR_DATA, "its head is cut short or damaged");
    f->offset = HEAD_FIXED + (uint64_t)len;
    return read_body(h, body, err);
}

bool gf_relay_file_open(gf_relay_file *f, gf_relay_head *head, int folder, unsigned number, gf_error *err)
{
    char name[GF_RELAY_NAME_MAX];

    *f = (gf_relay_file){.fd = -1, .number = number};
    *head = (gf_relay_head){0};
    gf_relay_name(name, number);
    f->fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (f->fd < 0)
        return gf_fail_errno(err, "open %s", name);
    if (read_head(head, f, err) &&
        (head->number == number || gf_fail(err, GF_ERR_DATA, "it is another file's content")))
        return true;
    gf_fail_context(err, "%s", name);
    gf_relay_head_free(head);
    gf_relay_file_close(f);
    return false;
}

void gf_relay_file_close(gf_relay_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    gf_buf_free(&f->bytes);
    *f = (gf_relay_file){.fd = -1};
}
