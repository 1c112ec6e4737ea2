/* SPDX-License-Identifier: MIT */
/*
 * The relay on recorded events of both families (tests/data): what is appended comes back, from any place between two
 * transactions, whatever was cut off, changed or removed in between.
 */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/replica/relay.h"
#include "gfreplica/log.h"
#include "run_suite.h"

#define UUID "5c2241a4-e7d7-11f1-aab8-02fc00000001"

enum { LARGE = 64 << 20, SMALL = 1 << 20 };

static const struct family {
    gf_flavor flavor;
    const char *path, *from, *end;
} families[] = {
    {GF_FLAVOR_MARIADB, "tests/data/mariadb-10.11.bin", "", "binlog.000006:395 0-12821-69,3-12821-2"},
    {GF_FLAVOR_MYSQL, "tests/data/mysql-9.7.bin", UUID ":1-40:foo:1", "binlog.000006:289 " UUID ":1-58:foo:1:tag_1:1"},
};
enum { FAMILIES = 2 };

typedef struct {
    const struct family *family;
    gf_buf bytes;
    gf_slice events[256];         /* borrowed from bytes */
    gf_position places[257];      /* places[i]: behind the first i events */
    bool between[257], news[256]; /* no transaction is open there; the event is worth keeping */
    size_t count;
    gf_position from;
    char dir[64];
    gf_relay *relay;
} scene;

/* As ck_assert_msg, which leaves a mark in a file each time: too slow for what is asked a million times. */
static void check(bool ok, const char *why)
{
    if (!ok)
        ck_abort_msg("%s", why);
}

/* ---- scenes ---- */

/* What each event does to the place, told by a decoder of its own. */
static void follow(scene *s)
{
    gf_decoder *d = gf_relay_tracker(s->family->flavor, &s->from);
    gf_error err;

    s->between[0] = true;
    gf_position_copy(&s->places[0], &s->from);
    for (size_t i = 0; i < s->count; i++) {
        ck_assert_msg(gf_decoder_feed(d, s->events[i], &err), "%s", err.text);
        s->between[i + 1] = !gf_decoder_inside(d);
        gf_position_copy(&s->places[i + 1], gf_decoder_position(d));
        s->news[i] = !s->between[i] || !s->between[i + 1] || gf_position_cmp(&s->places[i], &s->places[i + 1]) != 0;
    }
    gf_decoder_free(d);
}

static void load(scene *s)
{
    gf_error err;
    gf_cursor in;

    ck_assert_msg(gf_buf_read_file(&s->bytes, s->family->path, &err), "%s", err.text);
    in = gf_cursor_of(s->bytes.data, s->bytes.len);
    while (gf_cursor_left(&in) > 0)
        s->events[s->count++] = gf_cursor_bytes(&in, gf_cursor_u32(&in));
    ck_assert(!in.bad);
    ck_assert(gf_position_parse(&s->from, s->family->flavor, "binlog.000001", 4, s->family->from, &err));
    follow(s);
}

static void open_relay(scene *s, uint64_t limit)
{
    gf_error err;

    ck_assert_msg(gf_relay_open(&s->relay, s->dir, limit, &err), "%s", err.text);
}

static scene begin(int family, uint64_t limit)
{
    scene s = {.family = &families[family]};
    gf_error err;

    /* In memory where there is such a place: some tests write ten thousand small files. */
    snprintf(s.dir, sizeof s.dir, "%s/gfreplica-relay-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");

    load(&s);
    ck_assert_ptr_nonnull(mkdtemp(s.dir));
    open_relay(&s, limit);
    ck_assert(!gf_relay_holds(s.relay, "server", NULL));
    ck_assert_msg(gf_relay_begin(s.relay, "server", s.family->flavor, &s.from, &err), "%s", err.text);
    return s;
}

static void end(scene *s)
{
    char command[128];

    gf_relay_close(s->relay);
    snprintf(command, sizeof command, "rm -rf '%s'", s->dir);
    ck_assert_int_eq(system(command), 0);
    for (size_t i = 0; i <= s->count; i++)
        gf_position_free(&s->places[i]);
    gf_buf_free(&s->bytes);
    gf_position_free(&s->from);
}

static void append(scene *s, size_t first, size_t behind)
{
    gf_error err;

    for (size_t i = first; i < behind; i++)
        check(gf_relay_append(s->relay, s->events[i], &err), err.text);
    check(gf_relay_flush(s->relay, &err), err.text);
}

static void reopen(scene *s)
{
    gf_relay_close(s->relay);
    open_relay(s, LARGE);
}

static void relay_path(const scene *s, char out[128], unsigned number)
{
    snprintf(out, 128, "%s/relay-%010u", s->dir, number);
}

static long size_of(const scene *s, unsigned number)
{
    struct stat st;
    char path[128];

    relay_path(s, path, number);
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

static void assert_end(scene *s, const char *expected)
{
    gf_position pos = {0};
    gf_buf text = {0};

    ck_assert(gf_relay_holds(s->relay, "server", &pos));
    gf_position_text(&pos, &text);
    ck_assert_str_eq(gf_buf_cstr(&text), expected);
    gf_position_free(&pos);
    gf_buf_free(&text);
}

/* Everything that follows `at` is there: the events from `first` on, up to `behind`. */
static void assert_reads(scene *s, const gf_position *at, size_t first, size_t behind)
{
    gf_relay_reader *reader;
    gf_slice event;
    gf_error err;

    ck_assert_msg(gf_relay_find(&reader, s->relay, at, &err), "%s", err.text);
    ck_assert_ptr_nonnull(reader);
    for (size_t i = first; i < behind; i++) {
        if (!s->news[i])
            continue;
        check(gf_relay_read(&event, reader, 0, &err), err.text);
        check(gf_slice_eq(event, s->events[i]), "another event");
    }
    ck_assert_msg(gf_relay_read(&event, reader, 0, &err), "%s", err.text);
    ck_assert_ptr_null(event.data);
    ck_assert(gf_relay_idle(reader));
    gf_relay_reader_close(reader);
}

static bool is_held(scene *s, const gf_position *at)
{
    gf_relay_reader *reader;
    gf_error err;
    bool held;

    ck_assert_msg(gf_relay_find(&reader, s->relay, at, &err), "%s", err.text);
    held = reader != NULL;
    gf_relay_reader_close(reader);
    return held;
}

/* The first event behind which a transaction is open. */
static size_t first_inside(const scene *s)
{
    size_t i = 0;

    while (s->between[i + 1])
        i++;
    return i;
}

/* An event of a transaction, of that many bytes, which changes nothing: what the client has written. */
static gf_slice large_event(gf_buf *out, size_t len)
{
    gf_buf_reset(out);
    gf_buf_u32(out, 1);
    gf_buf_byte(out, 29); /* ROWS_QUERY */
    gf_buf_u32(out, 1);
    gf_buf_u32(out, (uint32_t)len);
    gf_buf_u32(out, 0);
    gf_buf_u16(out, 0x80);
    while (out->len < len)
        gf_buf_byte(out, 'x');
    return gf_slice_of(out->data, out->len);
}

/* ---- whole ---- */

START_TEST(relay__gives_back_what_follows_any_transaction)
{
    scene s = begin(_i, LARGE);

    append(&s, 0, s.count);
    for (int round = 0; round < 2; round++) {
        assert_end(&s, s.family->end);
        for (size_t i = 0; i <= s.count; i++) {
            if (s.between[i] && (i == 0 || gf_position_cmp(&s.places[i], &s.places[i - 1]) != 0))
                assert_reads(&s, &s.places[i], i, s.count);
        }
        reopen(&s);
    }
    end(&s);
}
END_TEST

START_TEST(relay__knows_no_place_that_is_not_its_own)
{
    scene s = begin(_i, LARGE);
    gf_position other = {0};
    gf_error err;

    append(&s, 0, s.count);
    ck_assert(gf_position_parse(&other, s.family->flavor, "binlog.000009", 4, "", &err));
    ck_assert(!is_held(&s, &other)); /* behind the end */
    gf_position_copy(&other, &s.places[s.count]);
    other.offset--;
    ck_assert(!is_held(&s, &other)); /* no place between two transactions */
    gf_position_copy(&other, &s.from);
    other.offset = 3;
    ck_assert(!is_held(&s, &other)); /* before the start */
    gf_position_copy(&other, &s.places[s.count]);
    if (other.gtids != NULL)
        ck_assert(gf_gtid_set_parse(other.gtids, UUID ":99", &err));
    else
        gf_maria_pos_set(&other.maria, (gf_maria_gtid){0, 1, 99});
    ck_assert(!is_held(&s, &other)); /* the same place of another history */
    ck_assert(!gf_relay_holds(s.relay, "another server", NULL));
    gf_position_free(&other);
    end(&s);
}
END_TEST

START_TEST(relay__files_are_for_their_owner_alone)
{
    scene s = begin(_i, LARGE);
    struct stat st;
    char path[128];

    relay_path(&s, path, 1);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    gf_relay_remove(s.relay);
    ck_assert_int_eq(stat(path, &st), -1);
    ck_assert(!gf_relay_holds(s.relay, "server", NULL));
    end(&s);
}
END_TEST

/* ---- a link that is lost ---- */

START_TEST(rewind__takes_back_the_beginning_of_a_transaction)
{
    scene s = begin(_i, LARGE);
    size_t began = 0;
    gf_error err;

    for (size_t i = 0; i < s.count; i++) {
        if (s.between[i])
            began = i;
        append(&s, i, i + 1);
        if (s.between[i + 1])
            continue;
        ck_assert_msg(gf_relay_rewind(s.relay, &err), "%s", err.text);
        append(&s, began, i + 1); /* the source sends it again */
    }
    assert_end(&s, s.family->end);
    assert_reads(&s, &s.from, 0, s.count);
    reopen(&s);
    assert_reads(&s, &s.from, 0, s.count);
    end(&s);
}
END_TEST

/* Readers see whole transactions first; of a large one also its beginning. */
START_TEST(rewind__breaks_only_a_reader_that_was_ahead)
{
    scene s = begin(_i, LARGE);
    size_t inside = first_inside(&s), seen = 0;
    gf_relay_reader *reader;
    gf_slice event;
    gf_buf large = {0};
    gf_error err;

    append(&s, 0, inside + 1);
    ck_assert(gf_relay_find(&reader, s.relay, &s.from, &err));
    ck_assert(gf_relay_rewind(s.relay, &err));
    ck_assert_msg(gf_relay_read(&event, reader, 0, &err), "%s", err.text);

    append(&s, inside, inside + 1);
    ck_assert_msg(gf_relay_append(s.relay, large_event(&large, 300 << 10), &err), "%s", err.text);
    while (gf_relay_read(&event, reader, 0, &err) && event.data != NULL)
        seen = event.len;
    ck_assert_uint_eq(seen, large.len);
    ck_assert(gf_relay_rewind(s.relay, &err));
    ck_assert(!gf_relay_read(&event, reader, 0, &err));
    ck_assert_int_eq(err.kind, GF_ERR_RETRY);
    gf_relay_reader_close(reader);

    append(&s, inside, s.count);
    assert_end(&s, s.family->end);
    assert_reads(&s, &s.from, 0, s.count);
    gf_buf_free(&large);
    end(&s);
}
END_TEST

/* After a link by GTID the source begins with a file's head and what we have. */
START_TEST(append__leaves_out_what_repeats_our_place)
{
    scene s = begin(_i, LARGE);
    size_t inside = first_inside(&s);
    gf_relay_status before, after;
    gf_error err;

    append(&s, 0, s.count);
    gf_relay_look(s.relay, &before);
    ck_assert(gf_relay_rewind(s.relay, &err));
    for (size_t i = s.count - 1; s.events[i].data[4] != 2 && s.events[i].data[4] != 16; i--)
        inside = i;
    append(&s, inside, s.count);
    gf_relay_look(s.relay, &after);
    ck_assert_uint_eq(after.bytes, before.bytes);
    assert_end(&s, s.family->end);
    end(&s);
}
END_TEST

/* ---- damage ---- */

/* The relay opened upon a file of these bytes; false when it holds nothing of ours. *at: the end of what it holds. */
static bool open_on(scene *s, const char *path, const uint8_t *data, size_t len, gf_position *at)
{
    FILE *f = fopen(path, "w");

    ck_assert_uint_eq(fwrite(data, 1, len, f), len);
    fclose(f);
    open_relay(s, LARGE);
    return gf_relay_holds(s->relay, "server", at);
}

/* Which event follows this place between transactions. */
static size_t place_of(const scene *s, const gf_position *at)
{
    size_t i = 0;

    while (gf_position_cmp(&s->places[i], at) != 0 || !s->between[i])
        i++;
    return i;
}

static void remove_relay(scene *s, gf_position *at)
{
    gf_position_free(at);
    gf_relay_remove(s->relay);
    gf_relay_close(s->relay);
}

/* However much of it is missing at its end: the whole transactions that are left, and it goes on from there. */
START_TEST(open__cuts_a_torn_tail_at_every_byte)
{
    scene s = begin(_i, LARGE);
    char path[128];
    gf_buf whole = {0};
    gf_error err;

    append(&s, 0, s.count);
    gf_relay_close(s.relay);
    relay_path(&s, path, 1);
    ck_assert(gf_buf_read_file(&whole, path, &err));
    for (size_t len = 0; len < whole.len; len++) {
        gf_position at = {0};
        size_t i;

        if (!open_on(&s, path, whole.data, len, &at)) { /* not even its head is whole */
            ck_assert_uint_lt(len, 300);
            ck_assert(gf_relay_begin(s.relay, "server", s.family->flavor, &s.from, &err));
            gf_position_copy(&at, &s.from);
        }
        i = place_of(&s, &at);
        if (len % 32 == 0) { /* and it goes on from there */
            append(&s, i, s.count);
            assert_end(&s, s.family->end);
            assert_reads(&s, &s.from, 0, s.count);
        }
        remove_relay(&s, &at);
    }
    open_relay(&s, LARGE);
    gf_buf_free(&whole);
    end(&s);
}
END_TEST

/* A changed bit anywhere: never a wrong event, never a transaction twice or not at all. */
START_TEST(open__notices_a_changed_bit_anywhere)
{
    scene s = begin(_i, LARGE);
    char path[128];
    gf_buf whole = {0};
    gf_error err;

    append(&s, 0, s.count);
    gf_relay_close(s.relay);
    relay_path(&s, path, 1);
    ck_assert(gf_buf_read_file(&whole, path, &err));
    for (size_t byte = 0; byte < whole.len; byte++) {
        gf_position at = {0};

        whole.data[byte] ^= (uint8_t)(1 << byte % 8);
        if (open_on(&s, path, whole.data, whole.len, &at)) {
            size_t i = place_of(&s, &at);

            ck_assert_uint_lt(i, s.count);
            assert_reads(&s, &s.from, 0, i);
        }
        whole.data[byte] ^= (uint8_t)(1 << byte % 8);
        remove_relay(&s, &at);
    }
    open_relay(&s, LARGE);
    gf_buf_free(&whole);
    end(&s);
}
END_TEST

/* ---- many files ---- */

/* The recording as it would be in files with higher numbers. */
static void renumber(scene *s, unsigned add)
{
    static const char prefix[] = "binlog.";

    for (size_t i = 0; i < s->count; i++) {
        uint8_t *name = memmem(s->events[i].data, s->events[i].len, prefix, sizeof prefix - 1);
        char digits[8];

        if (s->events[i].data[4] != 4 || name == NULL) /* ROTATE */
            continue;
        name += sizeof prefix - 1;
        memcpy(digits, name, 6);
        digits[6] = '\0';
        snprintf(digits, sizeof digits, "%06lu", strtoul(digits, NULL, 10) + add);
        memcpy(name, digits, 6);
    }
}

/* The recording again and again, as later files of the same source: rotations lead from one to the next. */
static void append_rounds(scene *s, unsigned rounds, gf_buf *large)
{
    gf_error err;

    for (unsigned i = 0; i < rounds; i++) {
        size_t inside = first_inside(s);

        append(s, 0, inside + 1);
        ck_assert_msg(gf_relay_append(s->relay, large_event(large, 40 << 10), &err), "%s", err.text);
        append(s, inside + 1, s->count);
        renumber(s, 2);
    }
}

static void flip_byte(const scene *s, unsigned number, long at)
{
    char path[128];
    FILE *f;
    int c;

    relay_path(s, path, number);
    f = fopen(path, "r+");
    ck_assert_ptr_nonnull(f);
    fseek(f, at, SEEK_SET);
    c = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 0x10, f);
    fclose(f);
}

static unsigned files(const scene *s)
{
    unsigned n = 0;

    while (size_of(s, n + 1) >= 0)
        n++;
    return n;
}

START_TEST(relay__damage_in_an_older_file_is_mended_from_there)
{
    scene s = begin(_i, SMALL);
    gf_relay_reader *reader;
    gf_relay_status now;
    gf_buf large = {0};
    gf_slice event;
    unsigned last;
    gf_error err;

    append_rounds(&s, 12, &large);
    last = files(&s);
    ck_assert_uint_ge(last, 4);
    flip_byte(&s, 2, size_of(&s, 2) - 100);
    ck_assert(gf_relay_find(&reader, s.relay, &s.from, &err));
    while (gf_relay_read(&event, reader, 0, &err))
        ck_assert_ptr_nonnull(event.data);
    ck_assert_int_eq(err.kind, GF_ERR_RETRY);
    ck_assert_ptr_nonnull(strstr(err.text, "relay-0000000002 is damaged"));
    gf_relay_look(s.relay, &now);
    ck_assert(now.damaged);
    gf_relay_reader_close(reader);
    ck_assert_msg(gf_relay_rewind(s.relay, &err), "%s", err.text);
    gf_relay_look(s.relay, &now);
    ck_assert(!now.damaged);
    ck_assert_uint_eq(files(&s), 2);
    ck_assert(gf_relay_holds(s.relay, "server", NULL));
    gf_buf_free(&large);
    end(&s);
}
END_TEST

START_TEST(open__keeps_what_is_in_front_of_a_gap)
{
    scene s = begin(_i, SMALL);
    gf_buf large = {0};
    char path[128];

    append_rounds(&s, 12, &large);
    relay_path(&s, path, 3);
    if (_i == 0)
        ck_assert_int_eq(unlink(path), 0);
    else
        ck_assert_int_eq(truncate(path, size_of(&s, 3) - 1), 0);
    reopen(&s);
    ck_assert_uint_eq(files(&s), _i == 0 ? 2 : 3);
    gf_buf_free(&large);
    end(&s);
}
END_TEST

/* ---- limits ---- */

struct pusher {
    scene *s;
    unsigned rounds;
    atomic_bool done;
};

static void *push(void *arg)
{
    struct pusher *p = arg;
    gf_buf large = {0};

    append_rounds(p->s, p->rounds, &large);
    gf_buf_free(&large);
    atomic_store(&p->done, true);
    return NULL;
}

/* Full: it waits, and goes on as what has been applied is removed; never more than the limit on disk. */
START_TEST(relay__waits_while_full_and_never_overfills)
{
    scene s = begin(_i, SMALL);
    struct pusher p = {.s = &s, .rounds = 60};
    gf_relay_status now;
    gf_position end_at = {0};
    gf_relay_reader *reader;
    gf_slice event;
    pthread_t thread;
    bool was_full = false;
    gf_error err;

    ck_assert(gf_relay_find(&reader, s.relay, &s.from, &err));
    ck_assert_int_eq(pthread_create(&thread, NULL, push, &p), 0);
    do {
        usleep(10000);
        gf_relay_look(s.relay, &now);
    } while (now.state != GF_RELAY_FULL);
    ck_assert(!atomic_load(&p.done));
    while (!atomic_load(&p.done)) {
        gf_relay_look(s.relay, &now);
        ck_assert_uint_le(now.bytes, SMALL);
        was_full = was_full || now.state == GF_RELAY_FULL;
        ck_assert_msg(gf_relay_read(&event, reader, 1, &err), "%s", err.text);
        if (gf_relay_idle(reader) && gf_relay_holds(s.relay, "server", &end_at))
            gf_relay_passed(s.relay, &end_at);
    }
    pthread_join(thread, NULL);
    ck_assert(was_full);
    gf_relay_reader_close(reader);
    gf_position_free(&end_at);
    end(&s);
}
END_TEST

static void *push_large(void *arg)
{
    struct pusher *p = arg;
    size_t inside = first_inside(p->s);
    gf_buf large = {0};
    gf_error err;

    append(p->s, 0, inside + 1);
    for (unsigned i = 0; i < p->rounds; i++)
        ck_assert_msg(gf_relay_append(p->s->relay, large_event(&large, 100 << 10), &err), "%s", err.text);
    append(p->s, inside + 1, p->s->count);
    gf_buf_free(&large);
    atomic_store(&p->done, true);
    return NULL;
}

/* A transaction larger than the limit: nothing can be removed before its end has come, so it passes, but only while its
   reader has had all there is. */
START_TEST(relay__lets_a_transaction_pass_that_is_larger_than_the_limit)
{
    scene s = begin(_i, SMALL);
    struct pusher p = {.s = &s, .rounds = 40};
    gf_relay_reader *reader;
    gf_slice event;
    pthread_t thread;
    gf_position end_at = {0};
    size_t large = 0;
    gf_error err;

    ck_assert_int_eq(pthread_create(&thread, NULL, push_large, &p), 0);
    usleep(300000);
    ck_assert(!atomic_load(&p.done));
    ck_assert(gf_relay_find(&reader, s.relay, &s.from, &err));
    while (!atomic_load(&p.done) || !gf_relay_idle(reader)) {
        ck_assert_msg(gf_relay_read(&event, reader, 10, &err), "%s", err.text);
        large += event.len == 100 << 10;
        if (gf_relay_idle(reader) && gf_relay_holds(s.relay, "server", &end_at))
            gf_relay_passed(s.relay, &end_at);
    }
    pthread_join(thread, NULL);
    ck_assert_uint_eq(large, p.rounds);
    gf_relay_reader_close(reader);
    gf_position_free(&end_at);
    end(&s);
}
END_TEST

START_TEST(stop__ends_a_wait_for_room)
{
    scene s = begin(_i, SMALL);
    size_t inside = first_inside(&s);
    gf_buf large = {0};
    gf_error err;
    bool ok = true;

    append(&s, 0, inside + 1);
    gf_relay_stop(s.relay);
    for (unsigned i = 0; ok && i < 100; i++)
        ok = gf_relay_append(s.relay, large_event(&large, 100 << 10), &err);
    ck_assert(!ok);
    ck_assert_int_eq(err.kind, GF_ERR_STOPPED);
    gf_buf_free(&large);
    end(&s);
}
END_TEST

/* ---- all ---- */

int main(void)
{
    const TTest *const tests[] = {
        relay__gives_back_what_follows_any_transaction,
        relay__knows_no_place_that_is_not_its_own,
        relay__files_are_for_their_owner_alone,
        rewind__takes_back_the_beginning_of_a_transaction,
        rewind__breaks_only_a_reader_that_was_ahead,
        append__leaves_out_what_repeats_our_place,
        open__cuts_a_torn_tail_at_every_byte,
        open__notices_a_changed_bit_anywhere,
        relay__damage_in_an_older_file_is_mended_from_there,
        open__keeps_what_is_in_front_of_a_gap,
        relay__waits_while_full_and_never_overfills,
        relay__lets_a_transaction_pass_that_is_larger_than_the_limit,
        stop__ends_a_wait_for_room,
    };
    Suite *suite = suite_create("relay");

    gf_log_set_level(GF_LOG_ERROR);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        TCase *tc = tcase_create(tests[i]->name);

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, tests[i], 0, FAMILIES);
        suite_add_tcase(suite, tc);
    }
    return run_suite(suite);
}
