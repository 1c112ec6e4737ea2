/* SPDX-License-Identifier: MIT */
/*
 * tokens.h - a table's definition cut into tokens.
 *
 * Nothing is lost: the tokens one after the other are the text. Threads: any, they are plain values.
 */
#ifndef GFREPLICA_TOKENS_H
#define GFREPLICA_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    GF_TOK_SPACE,
    GF_TOK_NAME,    /* `...` */
    GF_TOK_STRING,  /* '...' or "..." */
    GF_TOK_WORD,    /* keyword, type, number, _introducer */
    GF_TOK_OPEN,    /* versioned comment's opening with its number */
    GF_TOK_CLOSE,   /* and its end */
    GF_TOK_COMMENT, /* any other comment */
    GF_TOK_PUNCT,   /* one byte */
    GF_TOK_END
} gf_tok_kind;

typedef struct {
    gf_tok_kind kind;
    const char *text; /* borrowed from what was cut */
    size_t len;
} gf_tok;

gf_tok *gf_tok_cut(const char *text);              /* owned by the caller (free); ends with GF_TOK_END */
bool gf_tok_is(const gf_tok *k, const char *word); /* this keyword, in any case */
bool gf_tok_punct(const gf_tok *k, char c);        /* this byte of punctuation */
bool gf_tok_is_ascii(const gf_tok *k);
char *gf_tok_unquote(const gf_tok *k); /* the name that a GF_TOK_NAME is; owned by the caller */

#endif
