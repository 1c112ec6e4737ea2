/* SPDX-License-Identifier: MIT */
/*
 * json_write.c - see json_write.h. Text that is not UTF-8 (a server's message, cut in the middle of a character) gets
 * U+FFFD for each wrong byte, because a document that no parser takes would be worth nothing.
 */
#include "json_write.h"

#include <inttypes.h>
#include <math.h>

static void new_line(gf_json *j)
{
    gf_buf_byte(j->out, '\n');
    for (unsigned i = 0; i < j->depth; i++)
        gf_buf_byte(j->out, ' ');
}

/* Length of the UTF-8 character at s, 0 if there is none. Overlong forms and surrogates are none. */
static size_t utf8_length(const uint8_t *s, size_t left)
{
    static const struct {
        uint8_t mask, lead, low, high; /* of the second byte */
        size_t len;
    } forms[] = {
        {0xff, 0xe0, 0xa0, 0xbf, 3}, {0xff, 0xed, 0x80, 0x9f, 3}, {0xff, 0xf0, 0x90, 0xbf, 4},
        {0xff, 0xf4, 0x80, 0x8f, 4}, {0xf0, 0xe0, 0x80, 0xbf, 3},
    };

    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        return left >= 2 && (s[1] & 0xc0) == 0x80 ? 2 : 0;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if ((s[0] & forms[i].mask) != forms[i].lead)
            continue;
        if (left < forms[i].len || s[1] < forms[i].low || s[1] > forms[i].high || (s[2] & 0xc0) != 0x80)
            return 0;
        return forms[i].len == 3 || (s[3] & 0xc0) == 0x80 ? forms[i].len : 0;
    }
    if (s[0] >= 0xf1 && s[0] <= 0xf3 && left >= 4)
        return (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 && (s[3] & 0xc0) == 0x80 ? 4 : 0;
    return 0;
}

static void put_char(gf_buf *out, const uint8_t *s, size_t len)
{
    static const char shorts[] = "b\bf\fn\nr\rt\t\"\"\\\\";

    if (len == 0) {
        gf_buf_str(out, "\xEF\xBF\xBD");
        return;
    }
    for (size_t i = 0; len == 1 && shorts[i] != '\0'; i += 2) {
        if ((char)s[0] == shorts[i + 1]) {
            gf_buf_byte(out, '\\');
            gf_buf_byte(out, (uint8_t)shorts[i]);
            return;
        }
    }
    if (s[0] < 0x20 || s[0] == 0x7f)
        gf_buf_printf(out, "\\u%04x", s[0]);
    else
        gf_buf_add(out, s, len);
}

static void put_quoted(gf_buf *out, const char *text)
{
    size_t left = strlen(text);
    const uint8_t *s = (const uint8_t *)text;

    gf_buf_byte(out, '"');
    while (left > 0) {
        size_t len = utf8_length(s, left);
        size_t step = len == 0 ? 1 : len;

        put_char(out, s, len);
        s += step;
        left -= step;
    }
    gf_buf_byte(out, '"');
}

/* What stands in front of each value: comma, line, key. */
static void lead_in(gf_json *j, const char *key)
{
    if (j->depth > 0) {
        if (!j->fresh)
            gf_buf_byte(j->out, ',');
        new_line(j);
    }
    if (key != NULL) {
        put_quoted(j->out, key);
        gf_buf_str(j->out, ": ");
    }
    j->fresh = false;
}

void gf_json_begin(gf_json *j, const char *key, char bracket)
{
    lead_in(j, key);
    gf_buf_byte(j->out, (uint8_t)bracket);
    j->depth++;
    j->fresh = true;
}

void gf_json_end(gf_json *j, char bracket)
{
    j->depth--;
    if (!j->fresh)
        new_line(j);
    gf_buf_byte(j->out, (uint8_t)bracket);
    j->fresh = false;
}

void gf_json_put_text(gf_json *j, const char *key, const char *text)
{
    lead_in(j, key);
    if (text == NULL)
        gf_buf_str(j->out, "null");
    else
        put_quoted(j->out, text);
}

void gf_json_put_uint(gf_json *j, const char *key, uint64_t v)
{
    lead_in(j, key);
    gf_buf_printf(j->out, "%" PRIu64, v);
}

void gf_json_put_int(gf_json *j, const char *key, int64_t v)
{
    lead_in(j, key);
    gf_buf_printf(j->out, "%" PRId64, v);
}

void gf_json_put_double(gf_json *j, const char *key, double v)
{
    lead_in(j, key);
    if (isfinite(v))
        gf_buf_printf(j->out, "%.17g", v);
    else
        gf_buf_str(j->out, "null");
}

void gf_json_put_bool(gf_json *j, const char *key, bool v)
{
    lead_in(j, key);
    gf_buf_str(j->out, v ? "true" : "false");
}

void gf_json_put_null(gf_json *j, const char *key)
{
    gf_json_put_text(j, key, NULL);
}

void gf_json_put_hex(gf_json *j, const char *key, gf_slice bytes)
{
    lead_in(j, key);
    gf_buf_byte(j->out, '"');
    for (size_t i = 0; i < bytes.len; i++)
        gf_buf_printf(j->out, "%02x", bytes.data[i]);
    gf_buf_byte(j->out, '"');
}
