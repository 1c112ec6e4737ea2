/* SPDX-License-Identifier: MIT */
/*
 * lexer.c - a statement's tokens.
 */
#include "lexer.h"

#include <ctype.h>
#include <strings.h>

static const uint64_t ANSI_QUOTES = 0x4, NO_BACKSLASH_ESCAPES = 0x100000;

/* Collations of big5, sjis, gbk, cp932 and gb18030. */
static bool is_wide(unsigned collation)
{
    static const uint16_t ids[] = {1, 84, 13, 88, 28, 87, 95, 96, 248, 249, 250};

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        /* MariaDB's NO PAD collations are the same ones plus 1024. */
        if (collation == ids[i] || collation == ids[i] + 1024U)
            return true;
    }
    return false;
}

void gf_lexer_init(gf_lexer *lx, gf_slice sql, uint64_t sql_mode, unsigned charset_client)
{
    *lx = (gf_lexer){.p = sql.data,
                     .end = sql.data == NULL ? NULL : sql.data + sql.len,
                     .ansi_quotes = (sql_mode & ANSI_QUOTES) != 0,
                     .no_escapes = (sql_mode & NO_BACKSLASH_ESCAPES) != 0,
                     .wide = is_wide(charset_client)};
}

static size_t left(const gf_lexer *lx)
{
    return (size_t)(lx->end - lx->p);
}

static bool at(const gf_lexer *lx, const char *text)
{
    size_t len = strlen(text);

    return left(lx) >= len && memcmp(lx->p, text, len) == 0;
}

/* One character of the client's set. */
static void step(gf_lexer *lx)
{
    size_t width = lx->wide && *lx->p >= 0x81 && left(lx) > 1 ? 2 : 1;

    lx->p += width;
}

static void skip_line(gf_lexer *lx)
{
    while (lx->p < lx->end && *lx->p != '\n')
        lx->p++;
}

/* False when the comment has no end. */
static bool skip_block(gf_lexer *lx)
{
    for (lx->p += 2; lx->p < lx->end; lx->p++) {
        if (at(lx, "*/")) {
            lx->p += 2;
            return true;
        }
    }
    return false;
}

static void enter_executable(gf_lexer *lx)
{
    lx->p += at(lx, "/*M!") ? 4 : 3;
    while (lx->p < lx->end && isdigit(*lx->p))
        lx->p++;
    lx->in_comment = true;
}

/* A line comment's two dashes are followed by white space, a control character or nothing. */
static bool at_dashes(const gf_lexer *lx)
{
    return at(lx, "--") && (left(lx) == 2 || lx->p[2] <= ' ');
}

/* False when a comment has no end. */
static bool skip_blank(gf_lexer *lx)
{
    while (lx->p < lx->end) {
        if (isspace(*lx->p)) {
            lx->p++;
        } else if (*lx->p == '#' || at_dashes(lx)) {
            skip_line(lx);
        } else if (at(lx, "/*!") || at(lx, "/*M!")) {
            enter_executable(lx);
        } else if (at(lx, "/*")) {
            if (!skip_block(lx))
                return false;
        } else if (lx->in_comment && at(lx, "*/")) {
            lx->in_comment = false;
            lx->p += 2;
        } else {
            break;
        }
    }
    return true;
}

/* From the opening quote on. A doubled quote stands for itself, in strings a backslash takes what follows. */
static gf_token quoted(gf_lexer *lx)
{
    uint8_t quote = *lx->p;
    bool name = quote == '`' || (quote == '"' && lx->ansi_quotes);
    gf_token t = {.kind = name ? GF_TOK_QUOTED : GF_TOK_STRING, .quote = quote, .broken = true};
    const uint8_t *start = ++lx->p;

    while (lx->p < lx->end) {
        if (*lx->p == '\\' && !name && !lx->no_escapes && left(lx) > 1) {
            lx->p++;
            step(lx);
        } else if (*lx->p != quote) {
            step(lx);
        } else if (left(lx) > 1 && lx->p[1] == quote) {
            lx->p += 2;
        } else {
            t.text = gf_slice_of(start, (size_t)(lx->p - start));
            t.broken = false;
            lx->p++;
            return t;
        }
    }
    t.text = gf_slice_of(start, (size_t)(lx->end - start));
    return t;
}

static bool in_word(uint8_t c)
{
    return isalnum(c) || c == '_' || c == '$' || c >= 0x80;
}

gf_token gf_lexer_next(gf_lexer *lx)
{
    gf_token t = {.kind = GF_TOK_END};
    const uint8_t *start;

    if (!skip_blank(lx)) {
        t.broken = true;
        return t;
    }
    if (lx->p == lx->end)
        return t;
    if (*lx->p == '`' || *lx->p == '"' || *lx->p == '\'')
        return quoted(lx);
    start = lx->p;
    if (!in_word(*lx->p)) {
        t.kind = GF_TOK_SIGN;
        lx->p++;
    } else {
        t.kind = GF_TOK_WORD;
        while (lx->p < lx->end && in_word(*lx->p))
            step(lx);
    }
    t.text = gf_slice_of(start, (size_t)(lx->p - start));
    return t;
}

bool gf_token_is(const gf_token *t, const char *word)
{
    size_t len = strlen(word);

    return t->kind == GF_TOK_WORD && t->text.len == len && strncasecmp((const char *)t->text.data, word, len) == 0;
}

bool gf_token_sign(const gf_token *t, char c)
{
    return t->kind == GF_TOK_SIGN && t->text.data[0] == (uint8_t)c;
}
