/* SPDX-License-Identifier: MIT */
/*
 * bytes.c - memory, growing buffers, bounded cursors, hash and clocks.
 */
#include "gfreplica/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

_Noreturn void gf_oom(void)
{
    static const char text[] = "gfreplica: out of memory; the job can be resumed\n";

    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        abort();
    abort();
}

void *gf_malloc(size_t size)
{
    void *p = malloc(size == 0 ? 1 : size);

    if (p == NULL)
        gf_oom();
    return p;
}

void *gf_calloc(size_t count, size_t size)
{
    void *p = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);

    if (p == NULL)
        gf_oom();
    return p;
}

void *gf_realloc(void *old, size_t size)
{
    void *p = realloc(old, size == 0 ? 1 : size);

    if (p == NULL)
        gf_oom();
    return p;
}

char *gf_strndup(const char *s, size_t len)
{
    char *copy = gf_malloc(len + 1);

    if (len > 0)
        memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *gf_strdup(const char *s)
{
    return gf_strndup(s, strlen(s));
}

char *gf_asprintf(const char *fmt, ...)
{
    char *out = NULL;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vasprintf(&out, fmt, ap);
    va_end(ap);
    if (len < 0)
        gf_oom();
    return out;
}

void gf_buf_reserve(gf_buf *b, size_t more)
{
    size_t cap = b->cap == 0 ? 64 : b->cap;

    if (b->cap - b->len >= more)
        return;
    if (more > SIZE_MAX / 2 - b->len)
        gf_oom();
    while (cap - b->len < more)
        cap *= 2;
    b->data = gf_realloc(b->data, cap);
    b->cap = cap;
}

void gf_buf_add(gf_buf *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    gf_buf_reserve(b, len);
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void gf_buf_printf(gf_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    int len;

    va_start(ap, fmt);
    va_copy(again, ap);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0)
        gf_oom();
    gf_buf_reserve(b, (size_t)len + 1);
    vsnprintf((char *)b->data + b->len, (size_t)len + 1, fmt, again);
    va_end(again);
    b->len += (size_t)len;
}

void gf_buf_hex(gf_buf *b, const void *data, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    const uint8_t *p = data;

    gf_buf_reserve(b, 2 * len);
    for (size_t i = 0; i < len; i++) {
        b->data[b->len++] = (uint8_t)digits[p[i] >> 4];
        b->data[b->len++] = (uint8_t)digits[p[i] & 15];
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool gf_buf_unhex(gf_buf *b, const char *hex)
{
    for (; hex[0] != '\0'; hex += 2) {
        int high = hex_digit(hex[0]), low = high < 0 ? -1 : hex_digit(hex[1]);

        if (low < 0)
            return false;
        gf_buf_byte(b, (uint8_t)(high << 4 | low));
    }
    return true;
}

const char *gf_buf_cstr(gf_buf *b)
{
    gf_buf_reserve(b, 1);
    b->data[b->len] = '\0';
    return (const char *)b->data;
}

void gf_buf_free(gf_buf *b)
{
    free(b->data);
    *b = (gf_buf){0};
}

static void add_le(gf_buf *b, uint64_t v, unsigned bytes)
{
    gf_buf_reserve(b, bytes);
    for (unsigned i = 0; i < bytes; i++)
        b->data[b->len++] = (uint8_t)(v >> (8 * i));
}

void gf_buf_u16(gf_buf *b, uint16_t v)
{
    add_le(b, v, 2);
}
void gf_buf_u32(gf_buf *b, uint32_t v)
{
    add_le(b, v, 4);
}
void gf_buf_u64(gf_buf *b, uint64_t v)
{
    add_le(b, v, 8);
}

void gf_buf_ident(gf_buf *b, const char *name)
{
    gf_buf_byte(b, '`');
    for (; *name != '\0'; name++) {
        if (*name == '`')
            gf_buf_byte(b, '`');
        gf_buf_byte(b, (uint8_t)*name);
    }
    gf_buf_byte(b, '`');
}

bool gf_buf_read_file(gf_buf *b, const char *path, gf_error *err)
{
    enum { STEP = 65536 };
    FILE *f = fopen(path, "re");
    size_t got;
    bool ok;

    if (f == NULL)
        return gf_fail_errno(err, "open %s", path);
    do {
        gf_buf_reserve(b, STEP);
        got = fread(b->data + b->len, 1, STEP, f);
        b->len += got;
    } while (got > 0);
    ok = ferror(f) == 0 || gf_fail_errno(err, "read %s", path);
    fclose(f);
    return ok;
}

gf_slice gf_cursor_bytes(gf_cursor *c, size_t len)
{
    gf_slice out = {c->p, len};

    if (c->bad || gf_cursor_left(c) < len) {
        c->bad = true;
        return (gf_slice){NULL, 0};
    }
    c->p += len;
    return out;
}

uint64_t gf_cursor_le(gf_cursor *c, unsigned bytes)
{
    gf_slice s = gf_cursor_bytes(c, bytes);
    uint64_t v = 0;

    for (size_t i = s.len; i > 0; i--)
        v = v << 8 | s.data[i - 1];
    return v;
}

uint64_t gf_cursor_be(gf_cursor *c, unsigned bytes)
{
    gf_slice s = gf_cursor_bytes(c, bytes);
    uint64_t v = 0;

    for (size_t i = 0; i < s.len; i++)
        v = v << 8 | s.data[i];
    return v;
}

uint64_t gf_cursor_lenenc(gf_cursor *c)
{
    uint8_t first = gf_cursor_u8(c);

    switch (first) {
    case 0xfb: /* NULL */
    case 0xff: /* error packet */ c->bad = true; return 0;
    case 0xfc: return gf_cursor_le(c, 2);
    case 0xfd: return gf_cursor_le(c, 3);
    case 0xfe: return gf_cursor_le(c, 8);
    default: return first;
    }
}

uint64_t gf_hash(const void *data, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, len, seed);
}

static uint64_t now_us(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t gf_now_ms(void)
{
    return now_us(CLOCK_MONOTONIC) / 1000;
}
uint64_t gf_now_us(void)
{
    return now_us(CLOCK_MONOTONIC);
}
uint64_t gf_wall_ms(void)
{
    return now_us(CLOCK_REALTIME) / 1000;
}
