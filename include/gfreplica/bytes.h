/* SPDX-License-Identifier: MIT */
/*
 * bytes.h - slices, a growing buffer, and a cursor that cannot read past its end.
 *
 * Memory: running out of it is fatal (gf_oom), so none of these return an error.
 * Threads: none of these types has a lock; one thread uses one at a time.
 */
#ifndef GFREPLICA_BYTES_H
#define GFREPLICA_BYTES_H

#include <stdint.h>
#include <string.h>

#include "gfreplica/error.h"

_Noreturn void gf_oom(void); /* says so on stderr and aborts: the run is resumable at any instant */
void *gf_malloc(size_t size);
void *gf_calloc(size_t count, size_t size);
void *gf_realloc(void *p, size_t size);
char *gf_strdup(const char *s);
char *gf_strndup(const char *s, size_t len);
char *gf_asprintf(const char *fmt, ...) GF_PRINTF(1, 2); /* owned by the caller */

/* Borrowed bytes. data may be NULL when len is 0; NULL data means "none" where that is a state. */
typedef struct {
    const uint8_t *data;
    size_t len;
} gf_slice;

static inline gf_slice gf_slice_of(const void *data, size_t len)
{
    return (gf_slice){data, len};
}
static inline gf_slice gf_slice_str(const char *s)
{
    return (gf_slice){(const uint8_t *)s, strlen(s)};
}
static inline bool gf_slice_eq(gf_slice a, gf_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A growing byte buffer; {0} is an empty one. data is not NUL-terminated but by gf_buf_cstr. */
typedef struct {
    uint8_t *data; /* owned */
    size_t len, cap;
} gf_buf;

void gf_buf_reserve(gf_buf *b, size_t more); /* room for `more` bytes behind len */
void gf_buf_add(gf_buf *b, const void *data, size_t len);
void gf_buf_printf(gf_buf *b, const char *fmt, ...) GF_PRINTF(2, 3);
void gf_buf_hex(gf_buf *b, const void *data, size_t len); /* upper-case hex digits */
bool gf_buf_unhex(gf_buf *b, const char *hex);            /* the reverse, either case; false if it is no hex */
const char *gf_buf_cstr(gf_buf *b);                       /* adds a NUL behind len; valid until the next change */
void gf_buf_free(gf_buf *b);                              /* back to {0} */
static inline void gf_buf_reset(gf_buf *b)
{
    b->len = 0;
}
static inline void gf_buf_str(gf_buf *b, const char *s)
{
    gf_buf_add(b, s, strlen(s));
}
static inline void gf_buf_slice(gf_buf *b, gf_slice s)
{
    gf_buf_add(b, s.data, s.len);
}
static inline void gf_buf_byte(gf_buf *b, uint8_t c)
{
    if (b->len == b->cap)
        gf_buf_reserve(b, 1);
    b->data[b->len++] = c;
}
void gf_buf_u16(gf_buf *b, uint16_t v); /* little-endian, as everywhere in the protocol */
void gf_buf_u32(gf_buf *b, uint32_t v);
void gf_buf_u64(gf_buf *b, uint64_t v);
void gf_buf_ident(gf_buf *b, const char *name); /* `name` with backticks doubled */

/* The whole file, appended. */
GF_MUST_CHECK bool gf_buf_read_file(gf_buf *b, const char *path, gf_error *err);

/* Reads forward; once it would pass the end, bad is set, it stays there, and every read gives 0. */
typedef struct {
    const uint8_t *p, *end;
    bool bad;
} gf_cursor;

static inline gf_cursor gf_cursor_of(const void *data, size_t len)
{
    const uint8_t *p = data == NULL ? (const uint8_t *)"" : data; /* arithmetic on NULL is undefined, even + 0 */

    return (gf_cursor){p, p + len, false};
}
static inline size_t gf_cursor_left(const gf_cursor *c)
{
    return (size_t)(c->end - c->p);
}
gf_slice gf_cursor_bytes(gf_cursor *c, size_t len);
uint64_t gf_cursor_le(gf_cursor *c, unsigned bytes); /* little-endian, 1 to 8 bytes */
uint64_t gf_cursor_be(gf_cursor *c, unsigned bytes); /* big-endian, 1 to 8 bytes */
uint64_t gf_cursor_lenenc(gf_cursor *c);             /* the protocol's length-encoded integer; NULL marker is bad */
static inline uint8_t gf_cursor_u8(gf_cursor *c)
{
    return (uint8_t)gf_cursor_le(c, 1);
}
static inline uint16_t gf_cursor_u16(gf_cursor *c)
{
    return (uint16_t)gf_cursor_le(c, 2);
}
static inline uint32_t gf_cursor_u32(gf_cursor *c)
{
    return (uint32_t)gf_cursor_le(c, 4);
}
static inline uint64_t gf_cursor_u64(gf_cursor *c)
{
    return gf_cursor_le(c, 8);
}

uint64_t gf_hash(const void *data, size_t len, uint64_t seed); /* XXH3, 64 bits */

/* Monotonic and wall time in milliseconds. */
uint64_t gf_now_ms(void);
uint64_t gf_wall_ms(void);
uint64_t gf_now_us(void);

#endif
