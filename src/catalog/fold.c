/* SPDX-License-Identifier: MIT */
/*
 * fold.c - text that the server may hold equal is given one form, where that is certain.
 *
 * Two values must fold to the same form whenever the server's collation calls them equal; the reverse is welcome but
 * not needed, for a form shared without need costs only time. So trailing spaces always go, PAD SPACE or not.
 *
 * For binary collations the form is the bytes. For the collations in the table below it is the lower-case form of
 * printable ASCII (0x20 to 0x7e) and nothing else: an accented letter may equal a plain one, a control character may
 * have no weight at all. That the table is right was measured, not read: of all collations of MariaDB 10.11 and MySQL
 * 9, each was asked which strings of one and two such characters it holds equal (tests/integration/test_catalog.c
 * asks again). That is why koi8u, macce and geostd8 are not in it: their general_ci has equal punctuation.
 */
#include "fold.h"

#include <stdlib.h>
#include <strings.h>

/* What stands behind the character set's name in a collation's name. */
typedef struct {
    const char *rest;
    const char *only;   /* character sets it holds for, with blanks around each; NULL = all */
    const char *except; /* or all but these */
} folding;

static const folding foldings[] = {
    {"general_ci", NULL, " geostd8 koi8u macce "},
    {"general_nopad_ci", NULL, " geostd8 koi8u macce "},
    {"general_mysql500_ci", NULL, NULL},
    {"general_cs", " latin1 ", NULL},
    {"unicode_ci", NULL, NULL},
    {"unicode_nopad_ci", NULL, NULL},
    {"unicode_520_ci", NULL, NULL},
    {"unicode_520_nopad_ci", NULL, NULL},
    {"0900_ai_ci", NULL, NULL},
    {"0900_as_ci", NULL, NULL},
    {"0900_as_cs", NULL, NULL},
    {"uca1400_ai_ci", NULL, NULL},
    {"uca1400_ai_cs", NULL, NULL},
    {"uca1400_as_ci", NULL, NULL},
    {"uca1400_as_cs", NULL, NULL},
    {"uca1400_nopad_ai_ci", NULL, NULL},
    {"uca1400_nopad_ai_cs", NULL, NULL},
    {"uca1400_nopad_as_ci", NULL, NULL},
    {"uca1400_nopad_as_cs", NULL, NULL},
    {"swedish_ci", " latin1 ", NULL},
    {"swedish_nopad_ci", " latin1 ", NULL},
    {"japanese_ci", " sjis cp932 ujis eucjpms ", NULL},
    {"japanese_nopad_ci", " sjis cp932 ujis eucjpms ", NULL},
    {"korean_ci", " euckr ", NULL},
    {"korean_nopad_ci", " euckr ", NULL},
};

typedef struct {
    const char *charset;
    int8_t unit;
} wide_charset;

static const wide_charset wide_charsets[] = {{"ucs2", 2}, {"utf16", 2}, {"utf16le", -2}, {"utf32", 4}};

/* Characters of one or several bytes whose later bytes may look like ASCII, or whose length takes a table. */
static const char multi_byte[] = " big5 gb2312 gbk gb18030 sjis cp932 ujis eucjpms euckr ";

static bool listed(const char *list, const char *name, size_t len)
{
    char padded[34];

    if (len + 3 > sizeof padded)
        return false;
    padded[0] = ' ';
    memcpy(padded + 1, name, len);
    memcpy(padded + 1 + len, " ", 2);
    return strstr(list, padded) != NULL;
}

static bool applies(const folding *f, const char *charset, size_t len, const char *rest)
{
    return strcmp(f->rest, rest) == 0 && (f->only == NULL || listed(f->only, charset, len)) &&
           (f->except == NULL || !listed(f->except, charset, len));
}

static gf_fold fold_of(const char *collation)
{
    size_t len = strlen(collation);
    const char *rest = strchr(collation, '_');

    if (strcmp(collation, "binary") == 0 || (len > 4 && strcmp(collation + len - 4, "_bin") == 0))
        return GF_FOLD_EXACT;
    for (size_t i = 0; rest != NULL && i < sizeof foldings / sizeof foldings[0]; i++)
        if (applies(&foldings[i], collation, (size_t)(rest - collation), rest + 1))
            return GF_FOLD_ASCII;
    return GF_FOLD_WILD;
}

bool gf_type_is_text(gf_type type)
{
    return type == GF_T_CHAR || type == GF_T_VARCHAR || type == GF_T_TEXT;
}

void gf_fold_choose(gf_column *col)
{
    col->fold = GF_FOLD_WILD;
    col->unit = 1;
    if (!gf_type_is_text(col->type) || col->collation == NULL)
        return;
    col->fold = (uint8_t)fold_of(col->collation);
    for (size_t i = 0; col->charset != NULL && i < sizeof wide_charsets / sizeof wide_charsets[0]; i++)
        if (strcmp(wide_charsets[i].charset, col->charset) == 0)
            col->unit = wide_charsets[i].unit;
}

static uint32_t unit_at(const uint8_t *p, int unit)
{
    switch (unit) {
    case 2: return (uint32_t)p[0] << 8 | p[1];
    case -2: return (uint32_t)p[1] << 8 | p[0];
    case 4: return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    default: return p[0];
    }
}

static size_t trimmed(gf_slice text, int unit)
{
    size_t width = (size_t)abs(unit), len = text.len;

    while (len >= width && unit_at(text.data + len - width, unit) == ' ')
        len -= width;
    return len;
}

static bool has_surrogate(gf_slice text, int unit)
{
    for (size_t i = 0; abs(unit) == 2 && i + 2 <= text.len; i += 2) {
        uint32_t c = unit_at(text.data + i, unit);

        if (c >= 0xd800 && c <= 0xdfff)
            return true;
    }
    return false;
}

static bool is_ascii(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] >= 0x80)
            return false;
    return true;
}

static size_t utf8_prefix(gf_slice text, unsigned chars)
{
    size_t i = 0;

    for (; i < text.len; i++)
        if ((text.data[i] & 0xc0) != 0x80 && chars-- == 0)
            break;
    return i;
}

/* Bytes of the first `chars` characters; false when their borders aren't known here. */
static bool prefix_bytes(size_t *out, const gf_column *col, gf_slice text, unsigned chars)
{
    size_t bytes = (size_t)chars * (size_t)abs(col->unit);

    if (bytes >= text.len) { /* no character is smaller than that: all of it */
        *out = text.len;
        return true;
    }
    *out = bytes;
    if (col->unit != 1)
        return !has_surrogate(text, col->unit);
    if (is_ascii(text.data, bytes))
        return true;
    if (col->charset == NULL || listed(multi_byte, col->charset, strlen(col->charset)))
        return false;
    if (strncmp(col->charset, "utf8", 4) == 0)
        *out = utf8_prefix(text, chars);
    return true;
}

static bool hash_ascii(uint64_t *hash, gf_slice text, int unit)
{
    uint8_t piece[256];
    size_t width = (size_t)abs(unit), n = 0;

    if (text.len % width != 0)
        return false;
    for (size_t i = 0; i < text.len; i += width) {
        uint32_t c = unit_at(text.data + i, unit);

        if (c < 0x20 || c > 0x7e)
            return false;
        piece[n++] = (uint8_t)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
        if (n == sizeof piece) {
            *hash = gf_hash(piece, n, *hash);
            n = 0;
        }
    }
    *hash = gf_hash(piece, n, *hash);
    return true;
}

bool gf_fold_hash(uint64_t *hash, const gf_column *col, gf_slice text, unsigned prefix)
{
    if (col->fold == GF_FOLD_WILD)
        return false;
    if (prefix > 0 && !prefix_bytes(&text.len, col, text, prefix))
        return false;
    text.len = trimmed(text, col->unit);
    if (col->fold == GF_FOLD_ASCII)
        return hash_ascii(hash, text, col->unit);
    *hash = gf_hash(text.data, text.len, *hash);
    return true;
}
