/* SPDX-License-Identifier: MIT */
/* json_line.c - RFC 8259, written forward only. */
#include "json_line.h"

#include <inttypes.h>
#include <math.h>

static void begin_value(gf_buf *out, const char *key)
{
    uint8_t last = out->len > 0 ? out->data[out->len - 1] : '[';

    if (last != '{' && last != '[' && last != ':')
        gf_buf_byte(out, ',');
    if (key != NULL) {
        gf_buf_byte(out, '"');
        gf_jline_escape(out, gf_slice_str(key));
        gf_buf_str(out, "\":");
    }
}

/* The length of the well-formed UTF-8 character at p (Unicode 15, table 3-7), 0 if there is none. */
static size_t character(const uint8_t *p, size_t left)
{
    uint8_t first = p[0], low = 0x80, high = 0xBF;
    size_t len = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;

    if (len == 0 || len > left)
        return 0;
    low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : low;   /* no longer form than needed */
    high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : high; /* no surrogates, nothing above U+10FFFF */
    for (size_t i = 1; i < len; i++, low = 0x80, high = 0xBF)
        if (p[i] < low || p[i] > high)
            return 0;
    return len;
}

static void escape_ascii(gf_buf *out, uint8_t c)
{
    static const char *const names[128] = {
        ['"'] = "\\\"", ['\\'] = "\\\\", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t",
    };

    if (names[c] != NULL)
        gf_buf_str(out, names[c]);
    else if (c < 0x20 || c == 0x7F)
        gf_buf_printf(out, "\\u%04x", c);
    else
        gf_buf_byte(out, c);
}

void gf_jline_escape(gf_buf *out, gf_slice text)
{
    for (size_t i = 0; i < text.len;) {
        size_t len = character(text.data + i, text.len - i);

        if (len == 1)
            escape_ascii(out, text.data[i]);
        else if (len > 1)
            gf_buf_add(out, text.data + i, len);
        else
            gf_buf_str(out, "\\ufffd");
        i += len > 0 ? len : 1;
    }
}

void gf_jline_open(gf_buf *out, const char *key, char bracket)
{
    begin_value(out, key);
    gf_buf_byte(out, (uint8_t)bracket);
}

void gf_jline_close(gf_buf *out, char bracket)
{
    gf_buf_byte(out, (uint8_t)bracket);
}

void gf_jline_bytes(gf_buf *out, const char *key, gf_slice text)
{
    begin_value(out, key);
    gf_buf_byte(out, '"');
    gf_jline_escape(out, text);
    gf_buf_byte(out, '"');
}

void gf_jline_text(gf_buf *out, const char *key, const char *text)
{
    gf_jline_bytes(out, key, gf_slice_str(text));
}

static void quoted_name(gf_buf *out, const char *db, const char *table)
{
    gf_buf_byte(out, '"');
    gf_jline_escape(out, gf_slice_str(db));
    gf_buf_byte(out, '.');
    gf_jline_escape(out, gf_slice_str(table));
    gf_buf_byte(out, '"');
}

void gf_jline_name(gf_buf *out, const char *key, const char *db, const char *table)
{
    begin_value(out, key);
    quoted_name(out, db, table);
}

void gf_jline_open_name(gf_buf *out, const char *db, const char *table, char bracket)
{
    begin_value(out, NULL);
    quoted_name(out, db, table);
    gf_buf_byte(out, ':');
    gf_buf_byte(out, (uint8_t)bracket);
}

void gf_jline_uint(gf_buf *out, const char *key, uint64_t n)
{
    begin_value(out, key);
    gf_buf_printf(out, "%" PRIu64, n);
}

void gf_jline_int(gf_buf *out, const char *key, int64_t n)
{
    begin_value(out, key);
    gf_buf_printf(out, "%" PRId64, n);
}

void gf_jline_real(gf_buf *out, const char *key, double x)
{
    if (!isfinite(x)) {
        gf_jline_null(out, key);
        return;
    }
    begin_value(out, key);
    gf_buf_printf(out, "%.3f", x);
}

void gf_jline_bool(gf_buf *out, const char *key, bool yes)
{
    begin_value(out, key);
    gf_buf_str(out, yes ? "true" : "false");
}

void gf_jline_null(gf_buf *out, const char *key)
{
    begin_value(out, key);
    gf_buf_str(out, "null");
}
