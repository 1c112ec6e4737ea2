/* SPDX-License-Identifier: MIT */
/*
 * lexer.h - a statement's tokens, as a server with that sql_mode and client character set sees them.
 *
 * Comments are passed over, but what stands in an executable comment (slash, star, exclamation mark, version) counts.
 */
#ifndef GFREPLICA_REPLICA_LEXER_H
#define GFREPLICA_REPLICA_LEXER_H

#include "gfreplica/bytes.h"

typedef enum {
    GF_TOK_END,
    GF_TOK_WORD,   /* keyword, bare name or number */
    GF_TOK_QUOTED, /* `name`, or "name" under ANSI_QUOTES; text without the outer quotes, inner ones still doubled */
    GF_TOK_STRING, /* 'text' or "text" */
    GF_TOK_SIGN    /* one other character */
} gf_token_kind;

typedef struct {
    gf_token_kind kind;
    gf_slice text;
    uint8_t quote; /* of QUOTED and STRING */
    bool broken;   /* the text ends inside a quote or comment */
} gf_token;

typedef struct {
    const uint8_t *p, *end;
    bool ansi_quotes, no_escapes;
    bool wide;       /* a character set whose second bytes may look like quotes and backslashes */
    bool in_comment; /* inside an executable comment */
} gf_lexer;

void gf_lexer_init(gf_lexer *lx, gf_slice sql, uint64_t sql_mode, unsigned charset_client);
gf_token gf_lexer_next(gf_lexer *lx);
bool gf_token_is(const gf_token *t, const char *word); /* a WORD, in any case */
bool gf_token_sign(const gf_token *t, char c);

#endif
