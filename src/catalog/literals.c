/* SPDX-License-Identifier: MIT */
/*
 * literals.c - MySQL keeps an expression's literal as "_latin1'\xC9'", with the bytes of that character set in a text
 * that is UTF-8 else. Any conversion of the whole makes a question mark of them, so it is had without and such a literal
 * becomes "_latin1 X'C9'", which means the same to a server in any text. So does MariaDB's default of a binary column, which
 * has no introducer. Names, comments and all other literals are UTF-8.
 *
 * Escapes are bytewise, in these literals too (String::print and the lexer under a UTF-8 client): a second byte that
 * looks like a backslash is doubled.
 */
#include "literals.h"

#include <stdlib.h>
#include <string.h>

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
}

/* Behind the quoted text that begins at p, or its end. */
static const char *behind_quoted(const char *p)
{
    char quote = *p++;

    for (; *p != '\0'; p++) {
        if (*p == '\\' && quote != '`' && p[1] != '\0')
            p++;
        else if (*p == quote && p[1] == quote)
            p++;
        else if (*p == quote)
            return p + 1;
    }
    return p;
}

static bool is_ascii(const char *p, const char *end)
{
    while (p < end && (*p & 0x80) == 0)
        p++;
    return p == end;
}

static char unescaped(char c)
{
    switch (c) {
    case '0': return '\0';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'Z': return '\032';
    default: return c;
    }
}

/* The bytes between the quotes as X'...'. */
static void add_hex(gf_buf *out, const char *p, const char *end)
{
    gf_buf bytes = {0};

    for (p++, end--; p < end; p++) {
        if (*p == '\\' && p + 1 < end)
            gf_buf_byte(&bytes, (uint8_t)unescaped(*++p));
        else if (*p == '\'' && p + 1 < end && p[1] == '\'')
            gf_buf_byte(&bytes, (uint8_t) * ++p);
        else
            gf_buf_byte(&bytes, (uint8_t)*p);
    }
    gf_buf_str(out, "X'");
    gf_buf_hex(out, bytes.data, bytes.len);
    gf_buf_byte(out, '\'');
    gf_buf_free(&bytes);
}

/* RFC 3629, as far as the servers' own utf8mb4 goes: lengths and continuations. */
static bool is_utf8(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = p[i] < 0x80             ? 1
                   : (p[i] & 0xe0) == 0xc0 ? 2
                   : (p[i] & 0xf0) == 0xe0 ? 3
                   : (p[i] & 0xf8) == 0xf0 ? 4
                                           : 0;

        if (n == 0 || i + n > len)
            return false;
        for (size_t k = 1; k < n; k++)
            if ((p[i + k] & 0xc0) != 0x80)
                return false;
        i += n;
    }
    return true;
}

/* The word at p, and the literal behind it where it is an introducer. Returns what follows. */
static const char *add_word(gf_buf *out, const char *p)
{
    const char *end = p, *literal;

    while (is_word(*end))
        end++;
    gf_buf_add(out, p, (size_t)(end - p));
    if (*p != '_' || *end != '\'')
        return end;
    literal = end;
    end = behind_quoted(end);
    if (strncmp(p, "_utf8", 5) == 0 ? is_utf8((const uint8_t *)literal, (size_t)(end - literal))
                                    : is_ascii(literal, end)) {
        gf_buf_add(out, literal, (size_t)(end - literal));
    } else {
        gf_buf_byte(out, ' ');
        add_hex(out, literal, end);
    }
    return end;
}

bool gf_literals_to_utf8(gf_buf *out, const char *text)
{
    size_t from = out->len;
    const char *p = text;

    while (*p != '\0') {
        if (is_word(*p)) {
            p = add_word(out, p);
        } else if (*p == '\'' || *p == '`' || *p == '"') {
            const char *end = behind_quoted(p);

            if (*p == '\'' && !is_utf8((const uint8_t *)p, (size_t)(end - p)))
                add_hex(out, p, end);
            else
                gf_buf_add(out, p, (size_t)(end - p));
            p = end;
        } else {
            gf_buf_byte(out, (uint8_t)*p++);
        }
    }
    return is_utf8(out->data + from, out->len - from);
}
