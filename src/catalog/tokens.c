/* SPDX-License-Identifier: MIT */
/*
 * tokens.c - cutting what SHOW CREATE TABLE prints.
 */
#include "gfreplica/tokens.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "gfreplica/bytes.h"

/* Past the closing quote; quotes are doubled inside, and strings may hold backslash escapes. */
static const char *skip_quoted(const char *p)
{
    char quote = *p++;

    while (*p != '\0') {
        if (*p == '\\' && quote != '`' && p[1] != '\0')
            p += 2;
        else if (*p == quote && p[1] == quote)
            p += 2;
        else if (*p++ == quote)
            break;
    }
    return p;
}

static bool is_word_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '.' || (unsigned char)c >= 0x80;
}

static const char *skip_comment_open(const char *p)
{
    p += p[2] == 'M' ? 4 : 3;
    while (isdigit((unsigned char)*p))
        p++;
    return p;
}

static gf_tok next_token(const char *p)
{
    const char *end = p + 1, *close;
    gf_tok_kind kind = GF_TOK_PUNCT;

    if (*p == '\0')
        return (gf_tok){GF_TOK_END, p, 0};
    if (isspace((unsigned char)*p)) {
        kind = GF_TOK_SPACE;
        while (isspace((unsigned char)*end))
            end++;
    } else if (*p == '`' || *p == '\'' || *p == '"') {
        kind = *p == '`' ? GF_TOK_NAME : GF_TOK_STRING;
        end = skip_quoted(p);
    } else if (strncmp(p, "/*!", 3) == 0 || strncmp(p, "/*M!", 4) == 0) {
        kind = GF_TOK_OPEN;
        end = skip_comment_open(p);
    } else if (strncmp(p, "*/", 2) == 0) {
        kind = GF_TOK_CLOSE;
        end = p + 2;
    } else if (strncmp(p, "/*", 2) == 0) {
        kind = GF_TOK_COMMENT;
        close = strstr(p + 2, "*/");
        end = close != NULL ? close + 2 : p + strlen(p);
    } else if (is_word_byte(*p) && *p != '.') {
        kind = GF_TOK_WORD;
        while (is_word_byte(*end))
            end++;
    }
    return (gf_tok){kind, p, (size_t)(end - p)};
}

gf_tok *gf_tok_cut(const char *text)
{
    size_t count = 0, cap = 64;
    gf_tok *tokens = gf_malloc(cap * sizeof(*tokens));

    for (const char *p = text;; p += tokens[count++].len) {
        if (count == cap)
            tokens = gf_realloc(tokens, (cap *= 2) * sizeof(*tokens));
        tokens[count] = next_token(p);
        if (tokens[count].kind == GF_TOK_END)
            return tokens;
    }
}

bool gf_tok_is(const gf_tok *k, const char *word)
{
    return k->kind == GF_TOK_WORD && k->len == strlen(word) && strncasecmp(k->text, word, k->len) == 0;
}

bool gf_tok_punct(const gf_tok *k, char c)
{
    return k->kind == GF_TOK_PUNCT && *k->text == c;
}

bool gf_tok_is_ascii(const gf_tok *k)
{
    for (size_t i = 0; i < k->len; i++)
        if ((k->text[i] & 0x80) != 0)
            return false;
    return true;
}

char *gf_tok_unquote(const gf_tok *k)
{
    char *name = gf_malloc(k->len + 1), *to = name;

    for (size_t i = 1; i + 1 < k->len; i++) {
        *to++ = k->text[i];
        i += k->text[i] == '`';
    }
    *to = '\0';
    return name;
}
