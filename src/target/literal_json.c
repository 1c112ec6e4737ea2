/* SPDX-License-Identifier: MIT */
/*
 * JSON text goes back into a JSON column by parsing, and some values do not survive that: dates, binary strings and
 * decimals have no form of their own in JSON, and integers are told apart by their size. They are put in behind the
 * parser, by JSON_REPLACE with their path.
 *
 * Which they are, marks tell (value.h). Without marks a DECIMAL can still be told where it matters for the text: 1.10
 * would come back as a DOUBLE and print as 1.1. A number is such a decimal exactly when printing it as a double gives
 * another text. All others print as what the parser takes them for, and become that.
 *
 * Doubles print by the rules of MySQL's my_gcvt: the fewest digits that name the double, without exponent from 1e-15
 * to below 1e15 (and where there are digits behind the point), and with ".0" where it would look like an integer.
 */
#include "literal_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "gfreplica/literal.h"
#include "json_leaf.h"

enum { MAX_NUMBER = 128 };

/* ---- doubles ---- */

/*
 * A power of two is twice as far from the double above it as from the one below. So a number of 16 digits may read
 * back as it though it is not the nearest such number, which printf gives: the one above that. The server finds those.
 */
static bool shorten_power_of_two(char digits[18], int point, double v)
{
    char shorter[17], text[32];
    unsigned i = 15;

    memcpy(shorter, digits, 16);
    shorter[16] = '\0';
    while (shorter[i] == '9' && i > 0)
        shorter[i--] = '0';
    if (shorter[i] == '9')
        return false;
    shorter[i]++;
    snprintf(text, sizeof text, "0.%se%d", shorter, point);
    if (strtod(text, NULL) != v)
        return false;
    memcpy(digits, shorter, 16);
    return true;
}

/* The fewest digits that read back as v (not zero, finite), and the place of the point: 0.DIGITS * 10^*point. */
static unsigned shortest_digits(char digits[18], int *point, double v)
{
    /* With 15 digits every double that has so short a name is found, denormals apart, which have fewer. */
    int precision = v < 2.3e-308 ? 0 : 14;
    char text[32];

    do
        snprintf(text, sizeof text, "%.*e", precision, v);
    while (strtod(text, NULL) != v && ++precision <= 16);

    unsigned count = 0;
    const char *p = text;
    int exponent;

    for (; *p != 'e'; p++)
        if (*p != '.')
            digits[count++] = *p;
    *point = atoi(p + 1) + 1;
    if (count == 17 && frexp(v, &exponent) == 0.5 && shorten_power_of_two(digits, *point, v))
        count = 16;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

static char *put_zeros(char *to, int count)
{
    for (; count > 0; count--)
        *to++ = '0';
    return to;
}

static char *put_plain(char *to, const char *digits, int count, int point)
{
    int whole = point < 0 ? 0 : point < count ? point : count;

    if (point <= 0)
        *to++ = '0';
    memcpy(to, digits, (size_t)whole);
    to = put_zeros(to + whole, point - whole);
    *to++ = '.';
    if (whole == count)
        *to++ = '0';
    to = put_zeros(to, -point);
    memcpy(to, digits + whole, (size_t)(count - whole));
    return to + (count - whole);
}

static char *put_scientific(char *to, const char *digits, int count, int point)
{
    *to++ = digits[0];
    if (count > 1) {
        *to++ = '.';
        memcpy(to, digits + 1, (size_t)(count - 1));
        to += count - 1;
    }
    return to + snprintf(to, 8, "e%d", point - 1);
}

size_t gf_json_double(char out[GF_JSON_DOUBLE_MAX], double v)
{
    char digits[18], *to = out;
    int point = 0;

    if (!isfinite(v)) { /* no server stores one; null is what MySQL's parser knows of it */
        memcpy(out, "null", 4);
        return 4;
    }
    if (signbit(v))
        *to++ = '-';
    if (v == 0) {
        memcpy(to, "0.0", 3);
        return (size_t)(to - out) + 3;
    }
    int count = (int)shortest_digits(digits, &point, fabs(v));
    bool plain = point >= -14 && (point <= 15 || count > point);

    to = (plain ? put_plain : put_scientific)(to, digits, count, point);
    return (size_t)(to - out);
}

/* ---- finding what does not survive ---- */

/*
 * Values that only a column can be are made as columns of a table (json_leaf.h), as few tables as can be, since the server keeps
 * all tables of a statement open at once. Each table brings a JSON_REPLACE of its own around the ones before:
 *
 *     (SELECT JSON_REPLACE((SELECT JSON_REPLACE('text',path,t.c0,...) FROM JSON_TABLE(...) t),path,t.c0,...) FROM ...)
 */
enum { LEVELS_MOST = 60 /* MySQL nests 63 SELECTs */ };

typedef struct {
    gf_slice text;
    bool marked; /* marks tell all that there is to tell */
    size_t at, copied;
    gf_json_mark mark; /* of the value at hand */
    gf_buf path;       /* owned: of the value at hand */
    gf_buf plain;      /* owned: the text up to `copied`, as it shall be parsed */
    gf_buf edits;      /* owned: ", path, value" of those found, since the last table was full */
    gf_json_columns made;
    gf_buf before, behind; /* owned: what stands around the text for tables that are full */
    unsigned full;         /* how many they are */
    struct {
        size_t path_len; /* of the container itself */
        uint64_t index;
        bool array;
    } levels[GF_JSON_DEPTH_MAX];
    unsigned depth;
} scanner;

static void free_scanner(scanner *s)
{
    gf_buf_free(&s->path);
    gf_buf_free(&s->plain);
    gf_buf_free(&s->edits);
    gf_buf_free(&s->before);
    gf_buf_free(&s->behind);
    gf_json_columns_free(&s->made);
}

static bool number_is_int(const char *number)
{
    const char *digits = number + (number[0] == '-');
    size_t len = strlen(digits);
    const char *limit = number[0] == '-' ? "9223372036854775808" : "18446744073709551615";
    size_t limit_len = strlen(limit);

    return len < limit_len || (len == limit_len && strcmp(digits, limit) <= 0);
}

/* Would the parser make of it what it was? */
static bool survives(const char *number)
{
    char text[GF_JSON_DOUBLE_MAX];

    if (strpbrk(number, ".e") == NULL)
        return number_is_int(number);
    if (strchr(number, 'e') != NULL) /* a decimal has none */
        return true;
    size_t len = gf_json_double(text, strtod(number, NULL));

    return len == strlen(number) && memcmp(text, number, len) == 0;
}

static void copy_up_to(scanner *s, size_t at)
{
    gf_buf_add(&s->plain, s->text.data + s->copied, at - s->copied);
    s->copied = at;
}

/* Closes what has been found so far around what is closed already. */
static void close_edits(scanner *s)
{
    gf_buf before = {0};

    if (s->edits.len == 0)
        return;
    gf_buf_str(&before, s->made.count > 0 ? "(SELECT JSON_REPLACE(" : "JSON_REPLACE(");
    gf_buf_slice(&before, gf_slice_of(s->before.data, s->before.len));
    gf_buf_free(&s->before);
    s->before = before;
    gf_buf_slice(&s->behind, gf_slice_of(s->edits.data, s->edits.len));
    gf_buf_byte(&s->behind, ')');
    if (s->made.count > 0)
        gf_json_columns_put(&s->behind, &s->made);
    gf_buf_reset(&s->edits);
    gf_json_columns_free(&s->made);
}

/* The leaf that ends here gets its value behind the parser. */
static void add_edit(scanner *s, gf_json_mark mark, size_t start)
{
    copy_up_to(s, start);
    gf_buf_byte(&s->plain, '0');
    s->copied = s->at;
    gf_buf_str(&s->edits, ",_utf8mb4");
    gf_literal_quoted(&s->edits, gf_slice_of(s->path.data, s->path.len));
    gf_buf_byte(&s->edits, ',');
    gf_json_leaf(&s->edits, &s->made, mark, gf_slice_of(s->text.data + start, s->at - start));
    s->mark = GF_JSON_PLAIN;
    if (gf_json_columns_full(&s->made)) {
        close_edits(s);
        s->full++;
    }
}

static void scan_number(scanner *s)
{
    static const char number_chars[] = "+-.0123456789eE";
    size_t start = s->at;
    char number[MAX_NUMBER];

    while (s->at < s->text.len && s->text.data[s->at] != 0 && strchr(number_chars, s->text.data[s->at]) != NULL)
        s->at++;
    if (s->mark == GF_JSON_PLAIN && !s->marked && s->at - start < sizeof number) {
        memcpy(number, s->text.data + start, s->at - start);
        number[s->at - start] = '\0';
        s->mark = survives(number) ? GF_JSON_PLAIN
                                   : GF_JSON_INTEGER; /* its digits as they stand, which SQL takes for a DECIMAL */
    }
    if (s->mark != GF_JSON_PLAIN)
        add_edit(s, s->mark, start);
}

/* A string: a value, or a member's name, which becomes the last leg of the path as it stands. */
static void scan_string(scanner *s)
{
    size_t start = s->at;

    s->at = gf_json_string_end(s->text, start);
    if (s->mark != GF_JSON_PLAIN) {
        add_edit(s, s->mark, start);
        return;
    }
    if (s->at == s->text.len || s->text.data[s->at] != ':' || s->depth == 0)
        return;
    s->path.len = s->levels[s->depth - 1].path_len;
    gf_buf_byte(&s->path, '.');
    gf_buf_add(&s->path, s->text.data + start, s->at - start);
}

static void enter(scanner *s, bool array)
{
    s->levels[s->depth].path_len = s->path.len;
    s->levels[s->depth].index = 0;
    s->levels[s->depth].array = array;
    s->depth++;
    if (array)
        gf_buf_str(&s->path, "[0]");
}

static void leave(scanner *s)
{
    if (s->depth > 0)
        s->path.len = s->levels[--s->depth].path_len;
}

static void next_element(scanner *s)
{
    if (s->depth == 0 || !s->levels[s->depth - 1].array)
        return;
    s->path.len = s->levels[s->depth - 1].path_len;
    gf_buf_printf(&s->path, "[%llu]", (unsigned long long)++s->levels[s->depth - 1].index);
}

static void scan_mark(scanner *s)
{
    copy_up_to(s, s->at);
    s->mark = s->text.data[s->at++];
    s->copied = s->at;
}

static void scan_sign(scanner *s, uint8_t c)
{
    if (c == '[' || c == '{')
        enter(s, c == '[');
    else if (c == ']' || c == '}')
        leave(s);
    else if (c == ',')
        next_element(s);
    s->at++;
}

static void scan(scanner *s)
{
    gf_buf_byte(&s->path, '$');
    while (s->at < s->text.len) {
        uint8_t c = s->text.data[s->at];

        if ((c == '[' || c == '{') && s->depth == GF_JSON_DEPTH_MAX)
            break;
        if (c < ' ')
            scan_mark(s);
        else if (c == '"')
            scan_string(s);
        else if (c == '-' || (c >= '0' && c <= '9'))
            scan_number(s);
        else
            scan_sign(s, c);
    }
    copy_up_to(s, s->text.len);
}

static bool is_marked(gf_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < ' ')
            return true;
    return false;
}

bool gf_json_is_plain(gf_slice text, bool marked)
{
    scanner s = {.text = text};
    bool plain;

    if (marked)
        return !is_marked(text);
    scan(&s);
    plain = s.edits.len == 0;
    free_scanner(&s);
    return plain;
}

void gf_json_unmarked(gf_buf *out, gf_slice text)
{
    size_t run = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] >= ' ')
            continue;
        gf_buf_add(out, text.data + run, i - run);
        run = i + 1;
    }
    gf_buf_add(out, text.data + run, text.len - run);
}

void gf_literal_json(gf_buf *out, gf_slice text, bool marked)
{
    scanner s = {.text = text, .marked = marked};

    if (text.len > 0 && (text.data[0] == GF_JSON_UNKNOWN || text.data[0] == GF_JSON_UNTOLD)) { /* all of it */
        gf_json_leaf(out, &s.made, text.data[0], text);
        return;
    }
    scan(&s);
    close_edits(&s);
    if (s.full >= LEVELS_MOST) {
        gf_buf_str(out, "`JSON holds too many binary or TIMESTAMP values for a statement`");
    } else {
        gf_buf_slice(out, gf_slice_of(s.before.data, s.before.len));
        gf_buf_str(out, "_utf8mb4");
        gf_literal_quoted(out, gf_slice_of(s.plain.data, s.plain.len));
        gf_buf_slice(out, gf_slice_of(s.behind.data, s.behind.len));
    }
    free_scanner(&s);
}
