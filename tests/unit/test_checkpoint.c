/* SPDX-License-Identifier: MIT */
/*
 * test_checkpoint.c - the checkpoint directory: what survives, what is refused, who may come in.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/checkpoint/pack.h"
#include "../../src/checkpoint/shape.h"
#include "gfreplica/log.h"
#include "gfreplica/state.h"
#include "run_suite.h"
#include "unit/sample_state.h"

static char dir[64];
static gf_error err;

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/gfreplica-checkpoint-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    gf_log_set_level(GF_LOG_ERROR);
    memset(&err, 0, sizeof err);
}

static void teardown(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static gf_checkpoint *open_it(void)
{
    gf_checkpoint *cp = NULL;

    ck_assert_msg(gf_checkpoint_open(&cp, dir, &err), "%s", err.text);
    return cp;
}

/* Saves a state whose rows_copied is `mark`. */
static void save_mark(gf_checkpoint *cp, uint64_t mark)
{
    gf_state s = sample_state();

    s.rows_copied = mark;
    ck_assert_msg(gf_checkpoint_save(cp, &s, &err), "%s", err.text);
    gf_state_free(&s);
}

static uint64_t load_mark(void)
{
    gf_checkpoint *cp = open_it();
    gf_state s;
    bool found;
    uint64_t mark;

    ck_assert_msg(gf_checkpoint_load(&s, &found, cp, &err), "%s", err.text);
    ck_assert(found);
    mark = s.rows_copied;
    gf_state_free(&s);
    gf_checkpoint_close(cp);
    return mark;
}

static void path_of(char out[128], unsigned generation)
{
    snprintf(out, 128, "%s/checkpoint-%u.msgpack", dir, generation);
}

static gf_buf read_whole(const char *path)
{
    gf_buf b = {0};
    FILE *f = fopen(path, "rb");
    int c;

    ck_assert_ptr_nonnull(f);
    while ((c = fgetc(f)) != EOF)
        gf_buf_byte(&b, (uint8_t)c);
    fclose(f);
    return b;
}

static void write_whole(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "wb");

    ck_assert_ptr_nonnull(f);
    if (len > 0)
        ck_assert_uint_eq(fwrite(data, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
}

static bool exists(unsigned generation)
{
    char path[128];

    path_of(path, generation);
    return access(path, F_OK) == 0;
}

/* ---- directory and lock ---- */

START_TEST(open__creates_a_private_directory)
{
    gf_checkpoint *cp;
    struct stat st;

    ck_assert_int_eq(rmdir(dir), 0);
    cp = open_it();
    ck_assert_int_eq(stat(dir, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
    save_mark(cp, 1);
    gf_checkpoint_close(cp);
    ck_assert_int_eq(chdir(dir), 0);
    ck_assert_int_eq(stat("checkpoint-1.msgpack", &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(open__names_the_process_that_holds_it)
{
    gf_checkpoint *cp = open_it(), *second = NULL;
    char pid[32];

    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    ck_assert(!gf_checkpoint_open(&second, dir, &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, pid));
    ck_assert_ptr_nonnull(strstr(err.text, dir));
    gf_checkpoint_close(cp);
    gf_checkpoint_close(open_it());
}
END_TEST

/* Starts a process that holds the lock; it has it when this returns. */
static pid_t start_holder(void)
{
    int ready[2];
    char c;
    pid_t pid;

    ck_assert_int_eq(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        gf_checkpoint *cp = NULL;

        if (gf_checkpoint_open(&cp, dir, &err) && write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return pid;
}

START_TEST(open__is_refused_beside_another_process_and_free_after_its_kill)
{
    pid_t pid = start_holder();
    gf_checkpoint *cp = NULL;
    char text[32];

    snprintf(text, sizeof text, "process %d", (int)pid);
    ck_assert(!gf_checkpoint_open(&cp, dir, &err));
    ck_assert_ptr_nonnull(strstr(err.text, text));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    gf_checkpoint_close(open_it());
}
END_TEST

START_TEST(open__removes_unfinished_files_only)
{
    char path[128], other[128];

    snprintf(path, sizeof path, "%s/checkpoint-4.msgpack.tmp", dir);
    snprintf(other, sizeof other, "%s/notes.tmp", dir);
    write_whole(path, "half", 4);
    write_whole(other, "mine", 4);
    gf_checkpoint_close(open_it());
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(access(other, F_OK), 0);
}
END_TEST

START_TEST(open__says_which_path_is_no_directory)
{
    char path[128];
    gf_checkpoint *cp = NULL;

    snprintf(path, sizeof path, "%s/file", dir);
    write_whole(path, "x", 1);
    ck_assert(!gf_checkpoint_open(&cp, path, &err));
    ck_assert_ptr_nonnull(strstr(err.text, path));
}
END_TEST

/* ---- generations ---- */

START_TEST(load__finds_nothing_in_an_empty_directory)
{
    gf_checkpoint *cp = open_it();
    gf_state s;
    bool found = true;

    ck_assert(gf_checkpoint_load(&s, &found, cp, &err));
    ck_assert(!found);
    gf_checkpoint_close(cp);
}
END_TEST

START_TEST(save__keeps_three_generations)
{
    gf_checkpoint *cp = open_it();

    for (uint64_t i = 1; i <= 5; i++)
        save_mark(cp, i);
    gf_checkpoint_close(cp);
    ck_assert(!exists(1) && !exists(2) && exists(3) && exists(4) && exists(5) && !exists(6));
    ck_assert_uint_eq(load_mark(), 5);
    cp = open_it();
    save_mark(cp, 6);
    gf_checkpoint_close(cp);
    ck_assert(!exists(3) && exists(6));
}
END_TEST

START_TEST(save__keeps_the_old_one_when_rename_fails)
{
    gf_checkpoint *cp = open_it();
    gf_state s = sample_state();
    char path[128];

    save_mark(cp, 1);
    path_of(path, 2);
    ck_assert_int_eq(mkdir(path, 0700), 0); /* a file can't be renamed onto a directory */
    ck_assert(!gf_checkpoint_save(cp, &s, &err));
    ck_assert_int_eq(err.kind, GF_ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.text, "rename"));
    ck_assert_ptr_nonnull(strstr(err.text, "checkpoint-2.msgpack"));
    snprintf(path, sizeof path, "%s/checkpoint-2.msgpack.tmp", dir);
    ck_assert_int_ne(access(path, F_OK), 0);
    gf_checkpoint_close(cp);
    ck_assert_uint_eq(load_mark(), 1);
    cp = open_it();
    save_mark(cp, 3);
    gf_checkpoint_close(cp);
    ck_assert_uint_eq(load_mark(), 3);
    gf_state_free(&s);
}
END_TEST

START_TEST(save__never_counts_a_damaged_file_among_those_it_keeps)
{
    gf_checkpoint *cp = open_it();
    gf_state s;
    char path[128];
    bool found;

    save_mark(cp, 1);
    save_mark(cp, 2);
    path_of(path, 3);
    write_whole(path, "damaged", 7);
    path_of(path, 4);
    write_whole(path, "", 0);
    gf_checkpoint_close(cp);
    cp = open_it();
    ck_assert(gf_checkpoint_load(&s, &found, cp, &err));
    ck_assert_uint_eq(s.rows_copied, 2);
    gf_state_free(&s);
    save_mark(cp, 5);
    gf_checkpoint_close(cp);
    ck_assert(exists(5) && exists(2) && exists(1));
}
END_TEST

/* Saves as fast as it can until it is killed. */
static void save_for_ever(void)
{
    gf_checkpoint *cp = open_it();

    for (uint64_t i = 1;; i++)
        save_mark(cp, i);
}

START_TEST(save__is_whole_whenever_the_process_is_killed)
{
    uint64_t seen = 0;

    for (int round = 0; round < 15; round++) {
        pid_t pid = fork();
        gf_state s = {0};
        gf_checkpoint *cp;
        bool found = false;

        if (pid == 0)
            save_for_ever();
        for (int i = 0; i < 1000 && !(gf_checkpoint_peek(&s, &found, dir, &err) && found); i++)
            usleep(1000);
        ck_assert_msg(found, "%s", err.text);
        gf_state_free(&s);
        usleep((useconds_t)(1000 + 1500 * round));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        cp = open_it(); /* at once: the dead process holds no lock */
        ck_assert_msg(gf_checkpoint_load(&s, &found, cp, &err), "%s", err.text);
        ck_assert(found && s.generation >= seen); /* never back, though the last round may have saved nothing */
        seen = s.generation;
        ck_assert_ptr_nonnull(s.tables[0].table);
        gf_state_free(&s);
        gf_checkpoint_close(cp);
    }
}
END_TEST

/* ---- damage ---- */

/* Generation 1 is whole; generation 2 gets these bytes, and must never be taken. */
static void refused_for_older(const void *data, size_t len)
{
    char path[128];

    path_of(path, 2);
    write_whole(path, data, len);
    ck_assert_uint_eq(load_mark(), 1);
}

static gf_buf two_generations(void)
{
    gf_checkpoint *cp = open_it();
    char path[128];

    save_mark(cp, 1);
    save_mark(cp, 2);
    gf_checkpoint_close(cp);
    path_of(path, 2);
    return read_whole(path);
}

START_TEST(load__refuses_a_file_cut_at_any_byte)
{
    gf_buf whole = two_generations();

    for (size_t len = 0; len < whole.len; len++)
        refused_for_older(whole.data, len);
    gf_buf_byte(&whole, 0);
    refused_for_older(whole.data, whole.len); /* and one that is longer */
    gf_buf_free(&whole);
}
END_TEST

START_TEST(load__refuses_a_file_with_any_bit_turned)
{
    gf_buf whole = two_generations();

    for (size_t i = 0; i < whole.len; i++) {
        uint8_t bit = (uint8_t)(1u << (i % 8));

        for (unsigned b = i < 48 ? 1u : bit; b <= (i < 48 ? 128u : bit); b <<= 1) { /* each bit of the head */
            whole.data[i] ^= (uint8_t)b;
            refused_for_older(whole.data, whole.len);
            whole.data[i] ^= (uint8_t)b;
        }
    }
    gf_buf_free(&whole);
}
END_TEST

START_TEST(load__refuses_foreign_files_by_name)
{
    gf_buf older = two_generations();
    gf_checkpoint *cp;
    gf_state s;
    bool found;
    char path[128];

    refused_for_older("{\"GhostferryVersion\": \"1.1.0\"}", 30);
    path_of(path, 1);
    gf_buf_free(&older);
    older = read_whole(path);
    refused_for_older(older.data, older.len); /* another generation's content */
    write_whole(path, "", 0);
    cp = open_it();
    ck_assert(!gf_checkpoint_load(&s, &found, cp, &err));
    ck_assert_int_eq(err.kind, GF_ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.text, "checkpoint-1.msgpack: empty"));
    gf_checkpoint_close(cp);
    gf_buf_free(&older);
}
END_TEST

START_TEST(load__passes_over_a_directory_and_a_pipe)
{
    gf_checkpoint *cp = open_it();
    char path[128];

    save_mark(cp, 1);
    gf_checkpoint_close(cp);
    path_of(path, 2);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    path_of(path, 3);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_uint_eq(load_mark(), 1);
}
END_TEST

/* Head and body with the format version of both raised. */
static void make_newer(gf_buf *whole)
{
    gf_state s = sample_state();
    gf_checkpoint *cp = open_it();
    char path[128];
    gf_buf body = {0};

    s.generation = 2;
    gf_state_encode(&body, &s);
    /* map header of 2 bytes or more, then the key "format" (7 bytes) and its value */
    for (size_t i = 0; i + 8 < body.len; i++) {
        if (memcmp(body.data + i,
                   "\xa6"
                   "format",
                   7) == 0) {
            body.data[i + 7] = 2;
            break;
        }
    }
    path_of(path, 2);
    write_body(whole, 2, &body);
    write_whole(path, whole->data, whole->len);
    gf_buf_free(&body);
    gf_state_free(&s);
    gf_checkpoint_close(cp);
}

START_TEST(load__stops_at_a_newer_format_rather_than_going_back)
{
    gf_checkpoint *cp = open_it();
    gf_buf whole = {0};
    gf_state s;
    bool found;

    save_mark(cp, 1);
    gf_checkpoint_close(cp);
    make_newer(&whole);
    cp = open_it();
    ck_assert(!gf_checkpoint_load(&s, &found, cp, &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "newer gfreplica"));
    ck_assert_ptr_nonnull(strstr(err.text, "checkpoint-2.msgpack"));
    gf_checkpoint_close(cp);
    gf_buf_free(&whole);
}
END_TEST

START_TEST(peek__needs_no_lock)
{
    gf_checkpoint *cp = open_it();
    gf_state s;
    bool found;

    save_mark(cp, 7);
    ck_assert(gf_checkpoint_peek(&s, &found, dir, &err));
    ck_assert(found);
    ck_assert_uint_eq(s.rows_copied, 7);
    gf_state_free(&s);
    gf_checkpoint_close(cp);
    ck_assert(!gf_checkpoint_peek(&s, &found, "/tmp/gfreplica-not-there", &err));
    ck_assert_int_eq(err.kind, GF_ERR_CONFIG);
}
END_TEST

/* ---- the msgpack body ---- */

START_TEST(decode__gives_back_what_was_encoded)
{
    gf_state s = sample_state(), back;
    gf_buf once = {0}, twice = {0};
    unsigned format;

    gf_state_encode(&once, &s);
    ck_assert_msg(gf_state_decode(&back, &format, gf_slice_of(once.data, once.len), &err), "%s", err.text);
    ck_assert_uint_eq(format, GF_STATE_FORMAT);
    assert_same_state(&s, &back);
    gf_state_encode(&twice, &back);
    ck_assert(gf_slice_eq(gf_slice_of(once.data, once.len), gf_slice_of(twice.data, twice.len)));
    gf_buf_free(&once);
    gf_buf_free(&twice);
    gf_state_free(&s);
    gf_state_free(&back);
}
END_TEST

START_TEST(decode__skips_keys_that_it_does_not_know)
{
    /* {"future": [1, {"a": nil}, ext, bin, float], "rows_copied": 9} */
    static const uint8_t body[] = "\x82\xa6"
                                  "future\x95\x01\x81\xa1"
                                  "a\xc0\xd4\x01\x02\xc4\x02zz"
                                  "\xcb\x40\x00\x00\x00\x00\x00\x00\x00\xab"
                                  "rows_copied\x09";
    gf_state s;
    unsigned format;

    ck_assert_msg(gf_state_decode(&s, &format, gf_slice_of(body, sizeof body - 1), &err), "%s", err.text);
    ck_assert_uint_eq(s.rows_copied, 9);
    gf_state_free(&s);
}
END_TEST

static void decode_hostile(const void *data, size_t len)
{
    gf_state s;
    unsigned format;
    uint8_t *copy = gf_malloc(len); /* of exactly that size, so that the sanitizer sees a byte too far */

    if (len > 0)
        memcpy(copy, data, len);
    if (gf_state_decode(&s, &format, gf_slice_of(copy, len), &err))
        gf_state_free(&s);
    else
        ck_assert_int_ne(err.text[0], '\0');
    free(copy);
}

START_TEST(decode__survives_cuts_turned_bits_and_claims_of_size)
{
    static const char *const claims[] = {
        "\xdf\xff\xff\xff\xff",
        "\x81\xa1x\xdd\xff\xff\xff\xff",
        "\x81\xa6tables\xdd\xff\xff\xff\xff\x80",
        "\x81\xa6tables\xdd\xff\xff\xff\xff",
        "\x81\xa3job\xdb\xff\xff\xff\xff",
        "\x81\xa1x\xc6\xff\xff\xff\xff",
        ("\x81\xa6tables\x91\x81\xa6schema\x81\xa4keys\x91\x81\xa5parts\x91\x81\xa6"
         "column\xcd\xff\xff"),
    };
    gf_state s = sample_state();
    gf_buf whole = {0}, deep = {0};

    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++)
        decode_hostile(claims[i], strlen(claims[i]));
    gf_state_encode(&whole, &s);
    for (size_t i = 0; i < whole.len; i++) {
        decode_hostile(whole.data, i);
        for (unsigned b = 1; b <= 128; b <<= 1) {
            whole.data[i] ^= (uint8_t)b;
            decode_hostile(whole.data, whole.len);
            whole.data[i] ^= (uint8_t)b;
        }
    }
    gf_buf_add(&deep, "\x81\xa1x", 3);
    for (int i = 0; i < 1000000; i++)
        gf_buf_byte(&deep, 0x91);
    decode_hostile(deep.data, deep.len);
    gf_buf_free(&deep);
    gf_buf_free(&whole);
    gf_state_free(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint");
    TCase *tc = tcase_create("directory");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, open__creates_a_private_directory);
    tcase_add_test(tc, open__names_the_process_that_holds_it);
    tcase_add_test(tc, open__is_refused_beside_another_process_and_free_after_its_kill);
    tcase_add_test(tc, open__removes_unfinished_files_only);
    tcase_add_test(tc, open__says_which_path_is_no_directory);
    tcase_add_test(tc, load__finds_nothing_in_an_empty_directory);
    tcase_add_test(tc, save__keeps_three_generations);
    tcase_add_test(tc, save__keeps_the_old_one_when_rename_fails);
    tcase_add_test(tc, save__never_counts_a_damaged_file_among_those_it_keeps);
    tcase_add_test(tc, save__is_whole_whenever_the_process_is_killed);
    tcase_add_test(tc, load__refuses_a_file_cut_at_any_byte);
    tcase_add_test(tc, load__refuses_a_file_with_any_bit_turned);
    tcase_add_test(tc, load__refuses_foreign_files_by_name);
    tcase_add_test(tc, load__passes_over_a_directory_and_a_pipe);
    tcase_add_test(tc, load__stops_at_a_newer_format_rather_than_going_back);
    tcase_add_test(tc, peek__needs_no_lock);
    tcase_add_test(tc, decode__gives_back_what_was_encoded);
    tcase_add_test(tc, decode__skips_keys_that_it_does_not_know);
    tcase_add_test(tc, decode__survives_cuts_turned_bits_and_claims_of_size);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
