/* SPDX-License-Identifier: MIT */
/*
 * random.c - xorshift64*, and SQL literals made with it.
 */
#include "harness/random.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

uint64_t h_next(h_rng *r)
{
    /* xorshift64*: small, and the same on every machine */
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * UINT64_C(2685821657736338717);
}

unsigned h_below(h_rng *r, unsigned limit)
{
    return (unsigned)((h_next(r) >> 32) % limit);
}

bool h_chance(h_rng *r, unsigned percent)
{
    return h_below(r, 100) < percent;
}

h_rng h_seeded(uint64_t seed)
{
    h_rng r = {(seed + 1) * UINT64_C(0x9E3779B97F4A7C15)};

    if (r.state == 0)
        r.state = 1;
    for (int i = 0; i < 8; i++)
        h_next(&r);
    return r;
}

void h_put_hex(FILE *out, const void *bytes, size_t len)
{
    const unsigned char *b = bytes;

    for (size_t i = 0; i < len; i++)
        fprintf(out, "%02x", b[i]);
}

void h_put_bytes(FILE *out, h_rng *r, unsigned longest)
{
    unsigned len = h_below(r, longest + 1);

    fputs("x'", out);
    for (unsigned i = 0; i < len; i++)
        fprintf(out, "%02x", h_below(r, 256));
    fputc('\'', out);
}

/* Words of one to four bytes a character, with what quoting gets wrong. */
void h_put_text(FILE *out, h_rng *r, unsigned words)
{
    static const char *const parts[] = {"alpha",   "Straße", "Ελλάδα", "日本", "🚀",    "it's",  "back\\slash", "\"q\"",
                                        "tab\t",   "nl\n",   "0",      " ",    "é",    "Ω",     "%_",          "\x01",
                                        "foxtrot", "mañana", "Ünder",  "x",    "end ", "/* */", "-- ",         ";"};
    unsigned count = h_below(r, words + 1);

    fputs("_utf8mb4 x'", out);
    for (unsigned i = 0; i < count; i++) {
        const char *part = parts[h_below(r, COUNT(parts))];
        h_put_hex(out, part, strlen(part));
    }
    fputc('\'', out);
}

/* A name from a set of `range`: the same number may come in another case, which a ci key takes for the same. */
void h_put_name(FILE *out, h_rng *r, unsigned number)
{
    static const char *const forms[] = {"name-%u", "Name-%u", "NAME-%u"};
    static const char *const accents[] = {"", "", "ß", "é", "Жук"};
    char text[64], plain[48];

    snprintf(plain, sizeof plain, forms[h_below(r, COUNT(forms))], number);
    snprintf(text, sizeof text, "%s%s", plain, accents[number % COUNT(accents)]);
    fputs("_utf8mb4 x'", out);
    h_put_hex(out, text, strlen(text));
    fputc('\'', out);
}

void h_put_latin1(FILE *out, unsigned number)
{
    static const char *const parts[] = {"caf\xe9", "\xc5ngstr\xf6m", "plain", "\xa3 \xb5", "z"};
    char text[32];

    snprintf(text, sizeof text, "%s%u", parts[number % COUNT(parts)], number % 37);
    fputs("_latin1 x'", out);
    h_put_hex(out, text, strlen(text));
    fputc('\'', out);
}

void h_put_json(FILE *out, h_rng *r)
{
    char *text = h_format("{\"n\": %d, \"deep\": [1, {\"k\": \"v\\u00e9\\\"%u\"}, null, true, %u.5], \"big\": %" PRIu64
                          ", \"\": \"\"}",
                          (int)h_below(r, 2000) - 1000, h_below(r, 100), h_below(r, 1000), h_next(r) >> h_below(r, 60));
    bool typed = h_below(r, 3) == 0;

    fputs(typed ? "JSON_INSERT(CONVERT(x'" : "CONVERT(x'", out);
    h_put_hex(out, text, strlen(text));
    fputs("' USING utf8mb4)", out);
    if (typed) /* what the text alone does not tell */
        fprintf(out,
                ",'$.price',%u.50,'$.day',DATE'2024-02-%02u','$.at',TIMESTAMP'2024-03-04 05:06:07.%u','$.u',"
                "CAST(%u AS UNSIGNED),'$.raw',x'6162')",
                h_below(r, 1000), 1 + h_below(r, 28), h_below(r, 1000000), h_below(r, 1000));
    free(text);
}

void h_put_date(FILE *out, h_rng *r, unsigned from_year, unsigned years)
{
    fprintf(out, "%04u-%02u-%02u", from_year + h_below(r, years), 1 + h_below(r, 12), 1 + h_below(r, 28));
}

void h_put_clock(FILE *out, h_rng *r, unsigned digits)
{
    static const unsigned limits[] = {1, 10, 100, 1000, 10000, 100000, 1000000};

    /* Hour 2 is left out: in most time zones a night of the year has none. */
    fprintf(out, "%02u:%02u:%02u.%0*u", 3 + h_below(r, 20), h_below(r, 60), h_below(r, 60), (int)digits,
            h_below(r, limits[digits]));
}
