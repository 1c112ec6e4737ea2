/* SPDX-License-Identifier: MIT */
/*
 * gtid.c - MySQL's GTID sets: sources ordered by UUID and tag, each with ordered, disjoint intervals.
 *
 * Intervals are half open, [start, end), as in the binary form. Every function leaves a set in its normal form:
 * neighbouring intervals are joined and no source is without intervals, so equal sets are equal byte for byte.
 *
 * Binary form (COM_BINLOG_DUMP_GTID, PREVIOUS_GTIDS): count u64, then per source: UUID 16, [tag], interval count u64,
 * (start u64, end u64)... With tags in the set (MySQL 8.3) the count becomes `01 | 6 bytes | 01` and each source
 * carries its tag as `length * 2` and its bytes.
 */
#include <ctype.h>
#include <stdlib.h>

#include "gfreplica/position.h"

enum { UUID_LEN = 16, TAG_MAX = 32 };

/* The servers' own limit: a transaction number is positive and below it. */
static const uint64_t GNO_END = INT64_MAX;

typedef struct {
    uint64_t start, end;
} interval;

typedef struct {
    uint8_t uuid[UUID_LEN];
    char tag[TAG_MAX + 1]; /* lower case, "" = none */
    interval *list;        /* owned */
    size_t count, cap;
} source;

struct gf_gtid_set {
    source *sources; /* owned */
    size_t count, cap;
};

gf_gtid_set *gf_gtid_set_new(void)
{
    return gf_calloc(1, sizeof(gf_gtid_set));
}

static void clear(gf_gtid_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        free(set->sources[i].list);
    free(set->sources);
    *set = (gf_gtid_set){0};
}

void gf_gtid_set_free(gf_gtid_set *set)
{
    if (set == NULL)
        return;
    clear(set);
    free(set);
}

gf_gtid_set *gf_gtid_set_copy(const gf_gtid_set *set)
{
    gf_gtid_set *copy = gf_gtid_set_new();

    copy->sources = gf_malloc(set->count * sizeof *copy->sources);
    copy->count = copy->cap = set->count;
    for (size_t i = 0; i < set->count; i++) {
        source *s = &copy->sources[i];

        *s = set->sources[i];
        s->list = gf_malloc(s->count * sizeof *s->list);
        memcpy(s->list, set->sources[i].list, s->count * sizeof *s->list);
        s->cap = s->count;
    }
    return copy;
}

/* ---- sources and intervals ---- */

static int compare_source(const source *s, const uint8_t uuid[16], const char *tag)
{
    int order = memcmp(s->uuid, uuid, UUID_LEN);

    return order != 0 ? order : strcmp(s->tag, tag);
}

/* Where that source is, or where it would have to be inserted. */
static size_t locate(const gf_gtid_set *set, const uint8_t uuid[16], const char *tag, bool *found)
{
    size_t low = 0, high = set->count;

    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_source(&set->sources[middle], uuid, tag);

        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const source *find(const gf_gtid_set *set, const uint8_t uuid[16], const char *tag)
{
    bool found;
    size_t at = locate(set, uuid, tag, &found);

    return found ? &set->sources[at] : NULL;
}

static source *find_or_insert(gf_gtid_set *set, const uint8_t uuid[16], const char *tag)
{
    bool found;
    size_t at = locate(set, uuid, tag, &found);
    source *s;

    if (found)
        return &set->sources[at];
    if (set->count == set->cap) {
        set->cap = set->cap == 0 ? 4 : 2 * set->cap;
        set->sources = gf_realloc(set->sources, set->cap * sizeof *set->sources);
    }
    s = &set->sources[at];
    memmove(s + 1, s, (set->count - at) * sizeof *s);
    set->count++;
    *s = (source){0};
    memcpy(s->uuid, uuid, UUID_LEN);
    memcpy(s->tag, tag, strlen(tag)); /* zeroed above, checked by whoever read it */
    return s;
}

/* The first interval that ends at or behind `number`: the only one that can hold or touch it from the left. */
static size_t first_ending_at(const source *s, uint64_t number)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (s->list[middle].end < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_interval(source *s, uint64_t start, uint64_t end)
{
    size_t first = first_ending_at(s, start), last = first;

    while (last < s->count && s->list[last].start <= end) {
        if (s->list[last].start < start)
            start = s->list[last].start;
        if (s->list[last].end > end)
            end = s->list[last].end;
        last++;
    }
    if (first == last) { /* touches none: a new one */
        if (s->count == s->cap) {
            s->cap = s->cap == 0 ? 2 : 2 * s->cap;
            s->list = gf_realloc(s->list, s->cap * sizeof *s->list);
        }
        memmove(&s->list[first + 1], &s->list[first], (s->count - first) * sizeof *s->list);
        s->count++;
    } else { /* first..last-1 become one */
        memmove(&s->list[first + 1], &s->list[last], (s->count - last) * sizeof *s->list);
        s->count -= last - first - 1;
    }
    s->list[first] = (interval){start, end};
}

static bool covers(const source *s, uint64_t start, uint64_t end)
{
    size_t at = first_ending_at(s, end);

    return at < s->count && s->list[at].start <= start;
}

void gf_gtid_set_add(gf_gtid_set *set, const uint8_t uuid[16], const char *tag, uint64_t gno)
{
    add_interval(find_or_insert(set, uuid, tag == NULL ? "" : tag), gno, gno + 1);
}

bool gf_gtid_set_has(const gf_gtid_set *set, const uint8_t uuid[16], const char *tag, uint64_t gno)
{
    const source *s = find(set, uuid, tag == NULL ? "" : tag);

    return s != NULL && covers(s, gno, gno + 1);
}

bool gf_gtid_set_contains(const gf_gtid_set *set, const gf_gtid_set *subset)
{
    for (size_t i = 0; i < subset->count; i++) {
        const source *part = &subset->sources[i], *s = find(set, part->uuid, part->tag);

        for (size_t k = 0; k < part->count; k++) {
            if (s == NULL || !covers(s, part->list[k].start, part->list[k].end))
                return false;
        }
    }
    return true;
}

void gf_gtid_set_union(gf_gtid_set *set, const gf_gtid_set *other)
{
    if (set == other)
        return;
    for (size_t i = 0; i < other->count; i++) {
        const source *part = &other->sources[i];
        source *s = find_or_insert(set, part->uuid, part->tag);

        for (size_t k = 0; k < part->count; k++)
            add_interval(s, part->list[k].start, part->list[k].end);
    }
}

bool gf_gtid_set_empty(const gf_gtid_set *set)
{
    return set->count == 0;
}

/* ---- text: uuid:1-5:7:tag:1-3,uuid:... ---- */

static void skip_space(const char **p)
{
    while (isspace((unsigned char)**p))
        (*p)++;
}

static bool take(const char **p, char c)
{
    skip_space(p);
    if (**p != c)
        return false;
    (*p)++;
    skip_space(p);
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_uuid(uint8_t uuid[16], const char **p)
{
    for (unsigned i = 0; i < UUID_LEN; i++) {
        int high, low;

        if ((i == 4 || i == 6 || i == 8 || i == 10) && *(*p)++ != '-')
            return false;
        high = hex_value(**p);
        low = high < 0 ? -1 : hex_value((*p)[1]);
        if (low < 0)
            return false;
        uuid[i] = (uint8_t)(high << 4 | low);
        *p += 2;
    }
    return true;
}

static bool starts_tag(char c)
{
    return c == '_' || isalpha((unsigned char)c);
}

static bool parse_tag(char tag[TAG_MAX + 1], const char **p)
{
    size_t len = 0;

    for (; starts_tag(**p) || (len > 0 && isdigit((unsigned char)**p)); (*p)++) {
        if (len == TAG_MAX)
            return false;
        tag[len++] = (char)tolower((unsigned char)**p);
    }
    tag[len] = '\0';
    return len > 0;
}

static bool parse_number(uint64_t *out, const char **p)
{
    uint64_t v = 0;

    if (!isdigit((unsigned char)**p))
        return false;
    for (; isdigit((unsigned char)**p); (*p)++) {
        if (v > GNO_END / 10)
            return false;
        v = v * 10 + (uint64_t)(**p - '0');
    }
    *out = v;
    return v > 0 && v < GNO_END;
}

static bool parse_interval(interval *out, const char **p)
{
    if (!parse_number(&out->start, p))
        return false;
    out->end = out->start;
    if (take(p, '-') && !parse_number(&out->end, p))
        return false;
    out->end++;
    return out->end > out->start;
}

/* One source of the text, with all its tags. */
static bool parse_source(gf_gtid_set *set, const char **p)
{
    uint8_t uuid[UUID_LEN];
    char tag[TAG_MAX + 1] = "";
    bool any = false;

    if (!parse_uuid(uuid, p))
        return false;
    while (take(p, ':')) {
        interval part;

        if (starts_tag(**p)) {
            if (!parse_tag(tag, p))
                return false;
            any = false;
            continue;
        }
        if (!parse_interval(&part, p))
            return false;
        add_interval(find_or_insert(set, uuid, tag), part.start, part.end);
        any = true;
    }
    return any; /* a UUID or a tag without intervals says nothing */
}

bool gf_gtid_set_parse(gf_gtid_set *out, const char *text, gf_error *err)
{
    gf_gtid_set read = {0};
    const char *p = text;
    bool ok = true;

    for (skip_space(&p); ok && *p != '\0'; skip_space(&p)) {
        if (*p == ',') /* the server allows empty places between commas */
            p++;
        else
            ok = parse_source(&read, &p) && (*p == ',' || *p == '\0');
    }
    if (ok)
        gf_gtid_set_union(out, &read);
    else
        gf_fail(err, GF_ERR_CONFIG, "malformed GTID set at character %zu of '%.200s'", (size_t)(p - text) + 1, text);
    clear(&read);
    return ok;
}

static void print_uuid(gf_buf *out, const uint8_t uuid[16])
{
    for (unsigned i = 0; i < UUID_LEN; i++)
        gf_buf_printf(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uuid[i]);
}

void gf_gtid_set_text(const gf_gtid_set *set, gf_buf *out)
{
    const source *before = NULL;

    for (size_t i = 0; i < set->count; before = &set->sources[i++]) {
        const source *s = &set->sources[i];

        if (before == NULL || memcmp(before->uuid, s->uuid, UUID_LEN) != 0) {
            gf_buf_str(out, before == NULL ? "" : ",");
            print_uuid(out, s->uuid);
        }
        if (s->tag[0] != '\0')
            gf_buf_printf(out, ":%s", s->tag);
        for (size_t k = 0; k < s->count; k++) {
            gf_buf_printf(out, ":%llu", (unsigned long long)s->list[k].start);
            if (s->list[k].end - s->list[k].start > 1)
                gf_buf_printf(out, "-%llu", (unsigned long long)s->list[k].end - 1);
        }
    }
}

/* ---- bytes ---- */

static bool has_tags(const gf_gtid_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->sources[i].tag[0] != '\0')
            return true;
    }
    return false;
}

void gf_gtid_set_encode(const gf_gtid_set *set, gf_buf *out)
{
    bool tagged = has_tags(set);

    gf_buf_u64(out, tagged ? (uint64_t)1 << 56 | (uint64_t)set->count << 8 | 1 : set->count);
    for (size_t i = 0; i < set->count; i++) {
        const source *s = &set->sources[i];

        gf_buf_add(out, s->uuid, UUID_LEN);
        if (tagged) {
            gf_buf_byte(out, (uint8_t)(strlen(s->tag) << 1));
            gf_buf_str(out, s->tag);
        }
        gf_buf_u64(out, s->count);
        for (size_t k = 0; k < s->count; k++) {
            gf_buf_u64(out, s->list[k].start);
            gf_buf_u64(out, s->list[k].end);
        }
    }
}

static bool decode_tag(char tag[TAG_MAX + 1], gf_cursor *in)
{
    uint8_t coded = gf_cursor_u8(in);
    size_t len = coded >> 1;
    gf_slice text;
    char copy[TAG_MAX + 1];
    const char *p = copy;

    tag[0] = '\0';
    if ((coded & 1) != 0 || len > TAG_MAX)
        return false;
    text = gf_cursor_bytes(in, len);
    if (in->bad || len == 0)
        return !in->bad;
    memcpy(copy, text.data, len);
    copy[len] = '\0';
    return parse_tag(tag, &p) && strlen(tag) == len;
}

static bool decode_source(gf_gtid_set *set, gf_cursor *in, bool tagged)
{
    gf_slice uuid = gf_cursor_bytes(in, UUID_LEN);
    char tag[TAG_MAX + 1] = "";
    uint64_t count;
    source *s;

    if (tagged && !decode_tag(tag, in))
        return false;
    count = gf_cursor_u64(in);
    if (in->bad || count == 0 || count > gf_cursor_left(in) / 16)
        return false;
    s = find_or_insert(set, uuid.data, tag);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t start = gf_cursor_u64(in), end = gf_cursor_u64(in);

        if (start == 0 || end <= start || end > GNO_END)
            return false;
        add_interval(s, start, end);
    }
    return true;
}

bool gf_gtid_set_decode(gf_gtid_set *out, gf_slice body, gf_error *err)
{
    gf_cursor in = gf_cursor_of(body.data, body.len);
    uint64_t head = gf_cursor_u64(&in);
    bool tagged = head >> 56 == 1, ok = !in.bad && head >> 56 <= 1;
    uint64_t count = tagged ? head << 8 >> 16 : head;
    gf_gtid_set read = {0};

    for (uint64_t i = 0; ok && i < count; i++)
        ok = decode_source(&read, &in, tagged);
    ok = ok && gf_cursor_left(&in) == 0;
    if (ok)
        gf_gtid_set_union(out, &read);
    else
        gf_fail(err, GF_ERR_DATA, "malformed GTID set of %zu bytes", body.len);
    clear(&read);
    return ok;
}
