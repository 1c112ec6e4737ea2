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

#include "gfreplica/tokens.h"

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
static void add_hex(gf_buf *out, const gf_tok *literal)
{
    const char *end = literal->text + literal->len - 1;
    gf_buf bytes = {0};

    for (const char *p = literal->text + 1; p < end; p++) {
        bool escape = *p == '\\' && p + 1 < end, doubled = *p == '\'' && p + 1 < end && p[1] == '\'';

        p += escape || doubled;
        gf_buf_byte(&bytes, (uint8_t)(escape ? unescaped(*p) : *p));
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

static bool is_utf8_token(const gf_tok *k)
{
    return is_utf8((const uint8_t *)k->text, k->len);
}

/* introducer: the word in front of it, NULL: there is none. */
static void add_string(gf_buf *out, const gf_tok *literal, const gf_tok *introducer)
{
    bool foreign = introducer != NULL && strncmp(introducer->text, "_utf8", 5) != 0;

    if (literal->text[0] != '\'' || (foreign ? gf_tok_is_ascii(literal) : is_utf8_token(literal))) {
        gf_buf_add(out, literal->text, literal->len);
        return;
    }
    gf_buf_str(out, introducer != NULL ? " " : "");
    add_hex(out, literal);
}

static bool is_introducer(const gf_tok *k)
{
    return k->kind == GF_TOK_WORD && k->text[0] == '_';
}

bool gf_literals_to_utf8(gf_buf *out, const char *text)
{
    gf_tok *tokens = gf_tok_cut(text);
    size_t from = out->len;

    for (const gf_tok *k = tokens; k->kind != GF_TOK_END; k++) {
        if (k->kind == GF_TOK_STRING)
            add_string(out, k, k > tokens && is_introducer(k - 1) ? k - 1 : NULL);
        else
            gf_buf_add(out, k->text, k->len);
    }
    free(tokens);
    return is_utf8(out->data + from, out->len - from);
}
