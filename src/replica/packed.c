/* SPDX-License-Identifier: MIT */
/*
 * DECIMAL(p, s): the digits before the point and those behind it are cut into groups of nine, counted from the
 * point; a group takes 4 bytes big-endian, an incomplete one at either end 1 to 4. The first bit is set for numbers
 * that are not negative; all bits of a negative number are inverted. So the bytes sort as the numbers do.
 *
 * Dates are printed from their parts and never through a calendar, because the servers store dates that no calendar
 * has (0000-00-00, 2024-02-31). Only TIMESTAMP, a count of seconds, needs one.
 */
#include "packed.h"

enum { GROUP = 9, PRECISION_MAX = 9 * GROUP, SCALE_MAX = 38 }; /* MariaDB's; MySQL ends at 30 */

static const uint8_t group_bytes[GROUP + 1] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};
static const uint32_t powers[GROUP + 1] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};

size_t gf_decimal_size(unsigned precision, unsigned scale)
{
    if (precision == 0 || precision > PRECISION_MAX || scale > SCALE_MAX || scale > precision)
        return 0;
    unsigned whole = precision - scale;

    return whole / GROUP * 4u + group_bytes[whole % GROUP] + scale / GROUP * 4u + group_bytes[scale % GROUP];
}

/* `value` as exactly `digits` digits. */
static char *put_digits(char *out, unsigned value, unsigned digits)
{
    for (unsigned i = digits; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + digits;
}

/* One group of `digits` digits from *packed on. */
static bool put_group(char **out, const uint8_t **packed, unsigned digits, uint8_t mask)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < group_bytes[digits]; i++)
        value = value << 8 | (*(*packed)++ ^ mask);
    if (value >= powers[digits])
        return false;
    *out = put_digits(*out, value, digits);
    return true;
}

size_t gf_decimal_text(char out[GF_DECIMAL_TEXT_MAX], const uint8_t *packed, unsigned precision, unsigned scale)
{
    size_t size = gf_decimal_size(precision, scale);
    uint8_t copy[PRECISION_MAX];
    char digits[PRECISION_MAX], *end = digits;
    const uint8_t *p = copy;

    if (size == 0)
        return 0;
    memcpy(copy, packed, size);
    bool negative = (copy[0] & 0x80) == 0;
    uint8_t mask = negative ? 0xff : 0;
    unsigned whole = precision - scale;

    copy[0] ^= 0x80;
    bool good = put_group(&end, &p, whole % GROUP, mask);
    for (unsigned i = 0; good && i < whole / GROUP; i++)
        good = put_group(&end, &p, GROUP, mask);
    for (unsigned i = 0; good && i < scale / GROUP; i++)
        good = put_group(&end, &p, GROUP, mask);
    if (!good || !put_group(&end, &p, scale % GROUP, mask))
        return 0;

    /* The server prints no leading zeros but the one before the point. */
    unsigned skip = 0;
    char *to = out;

    while (skip < whole && digits[skip] == '0')
        skip++;
    if (negative)
        *to++ = '-';
    if (skip == whole)
        *to++ = '0';
    memcpy(to, digits + skip, whole - skip);
    to += whole - skip;
    if (scale > 0) {
        *to++ = '.';
        memcpy(to, digits + whole, scale);
        to += scale;
    }
    return (size_t)(to - out);
}

/* Howard Hinnant's civil_from_days: eras of 400 years that begin on a 1 March. */
void gf_civil_of_unix(gf_civil *out, uint64_t seconds)
{
    unsigned micro = out->micro;

    *out = (gf_civil){.micro = micro};
    if (seconds == 0)
        return;
    uint64_t days = seconds / 86400 + 719468;
    unsigned rest = (unsigned)(seconds % 86400);
    uint64_t era = days / 146097;
    unsigned day_of_era = (unsigned)(days % 146097);
    unsigned year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * day_of_year + 2) / 153; /* 0 is March */

    out->day = day_of_year - (153 * month + 2) / 5 + 1;
    out->month = month < 10 ? month + 3 : month - 9;
    out->year = year + (unsigned)era * 400 + (out->month <= 2);
    out->hour = rest / 3600;
    out->minute = rest / 60 % 60;
    out->second = rest % 60;
}

static bool in_range(gf_civil_form form, const gf_civil *w, unsigned fsp)
{
    return w->year <= 9999 && w->month <= 12 && w->day <= 31 && w->hour <= (form == GF_CIVIL_TIME ? 838 : 23) &&
           w->minute <= 59 && w->second <= 59 && w->micro <= 999999 && fsp <= 6;
}

static char *put_date(char *out, const gf_civil *w)
{
    out = put_digits(out, w->year, 4);
    *out++ = '-';
    out = put_digits(out, w->month, 2);
    *out++ = '-';
    return put_digits(out, w->day, 2);
}

static char *put_time(char *out, const gf_civil *w, unsigned fsp)
{
    out = put_digits(out, w->hour, w->hour > 99 ? 3 : 2);
    *out++ = ':';
    out = put_digits(out, w->minute, 2);
    *out++ = ':';
    out = put_digits(out, w->second, 2);
    if (fsp > 0) {
        *out++ = '.';
        out = put_digits(out, w->micro / powers[6 - fsp], fsp);
    }
    return out;
}

size_t gf_civil_text(char out[GF_CIVIL_TEXT_MAX], gf_civil_form form, const gf_civil *when, unsigned fsp)
{
    char *end = out;

    if (!in_range(form, when, fsp))
        return 0;
    if (form == GF_CIVIL_TIME && when->negative)
        *end++ = '-';
    if (form != GF_CIVIL_TIME)
        end = put_date(end, when);
    if (form == GF_CIVIL_DATETIME)
        *end++ = ' ';
    if (form != GF_CIVIL_DATE)
        end = put_time(end, when, fsp);
    return (size_t)(end - out);
}
