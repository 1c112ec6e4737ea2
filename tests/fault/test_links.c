/* SPDX-License-Identifier: MIT */
/*
 * test_links.c - what the network does to each kind of connection, at every stage of a job.
 *
 * All of it is ridden through by the same process, which has to work again soon after: a row written then arrives. In
 * `make test` the faults come one after the other upon one job of each family, each at two or three of the stages;
 * `make fault` gives each, at each stage, a job of its own.
 */
#include "fault/cell.h"
#include "run_suite.h"

static h_server *source, *target;
static h_proxy *to_source, *to_target;

static bool has_ended(const cell *c)
{
    return h_wait(c->run, 0) >= 0;
}

/* A job that starts makes its links one after the other: the fault meets the first of these. */
static void meet(const cell *c, unsigned kinds)
{
    double until = h_now() + FOREVER;

    while (c->stage == STARTING && h_proxy_links(c->to_source, kinds) + h_proxy_links(c->to_target, kinds) == 0) {
        cell_assert(c, !has_ended(c) && h_now() < until, "%s: no such link", c->db);
        h_sleep(0.001);
    }
}

static void cut(cell *c, unsigned kinds)
{
    meet(c, kinds);
    h_proxy_cut(c->to_source, kinds);
    h_proxy_cut(c->to_target, kinds);
}

static void reset(cell *c, unsigned kinds)
{
    meet(c, kinds);
    h_proxy_reset(c->to_source, kinds);
    h_proxy_reset(c->to_target, kinds);
    h_sleep(1); /* until each has had its next packet */
}

static void weather(cell *c, unsigned kinds, h_weather w)
{
    h_proxy_weather(c->to_source, kinds, w);
    h_proxy_weather(c->to_target, kinds, w);
}

/* While a job comes and goes, so do its links. */
static bool comes_or_goes(const cell *c)
{
    return c->stage == STARTING || c->stage == STOPPING || c->stage == CUTOVER;
}

static bool in_use(const cell *c, unsigned kinds)
{
    bool copying = cell_count_log(c, "stage streaming") == 0;

    if (comes_or_goes(c))
        return false;
    return (kinds & H_LINK_DUMP) != 0 || (kinds == H_LINK_WRITER && c->load != NULL && c->stage != ALTERING) ||
           (kinds == H_LINK_READER && copying);
}

/* A job begins again at the marker, the receiver at the relay's end. */
static unsigned links_lost(const cell *c)
{
    return cell_count_log(c, "trying again") + cell_count_log(c, "linking to the source again");
}

/* A link that is still being made has --connect-timeout instead. */
static void wait_for_link(h_proxy *proxy, unsigned kind)
{
    double until = h_now() + FOREVER;

    while (h_proxy_links(proxy, kind) == 0 && h_now() < until)
        h_sleep(0.01);
    h_sleep(0.2); /* and the first answer */
}

static void wait_for_links(const cell *c, unsigned kinds)
{
    meet(c, kinds);
    if (comes_or_goes(c))
        return;
    wait_for_link(c->to_source, H_LINK_DUMP);
    wait_for_link(c->to_target, H_LINK_WRITER);
}

/* Nothing is acknowledged any more: that has to be noticed within two heartbeats, where the link is in use. A job that
   is stopping does not wait for it. */
static void silence(cell *c, unsigned kinds)
{
    unsigned before;
    double until;
    bool noticed = false;

    wait_for_links(c, kinds);
    before = links_lost(c);
    until = h_now() + (c->stage == STOPPING ? 2 : NOTICED + 2);
    weather(c, kinds, (h_weather){.silent = true});
    while (!noticed && !has_ended(c) && h_now() < until) {
        h_sleep(0.05);
        noticed = links_lost(c) > before;
    }
    cell_assert(c, noticed || !in_use(c, kinds), "%s: silence was not noticed", c->db);
    cell_assert(c, has_ended(c) || c->stage != STOPPING, "%s: no stop over a silent link", c->db);
    weather(c, kinds, (h_weather){0});
}

static void for_a_while(cell *c, unsigned kinds, h_weather w)
{
    double until = h_now() + 4;

    weather(c, kinds, w);
    while (!has_ended(c) && h_now() < until)
        h_sleep(0.05);
    weather(c, kinds, (h_weather){0});
}

static void latency(cell *c, unsigned kinds)
{
    for_a_while(c, kinds, (h_weather){.latency = 0.2});
}

static void narrow(cell *c, unsigned kinds)
{
    for_a_while(c, kinds, (h_weather){.bytes_per_second = 1000000 / 8});
}

static void byte_by_byte(cell *c, unsigned kinds)
{
    for_a_while(c, kinds, (h_weather){.byte_by_byte = true});
}

static const struct fault {
    const char *name;
    unsigned kinds;
    void (*happens)(cell *c, unsigned kinds);
} faults[] = {
    {"cut_reader", H_LINK_READER, cut},
    {"reset_reader", H_LINK_READER, reset},
    {"silent_reader", H_LINK_READER, silence},
    {"cut_dump", H_LINK_DUMP, cut},
    {"reset_dump", H_LINK_DUMP, reset},
    {"silent_dump", H_LINK_DUMP, silence},
    {"cut_writer", H_LINK_WRITER, cut},
    {"reset_writer", H_LINK_WRITER, reset},
    {"silent_writer", H_LINK_WRITER, silence},
    {"cut_plain", H_LINK_PLAIN, cut},
    {"reset_plain", H_LINK_PLAIN, reset},
    {"silent_plain", H_LINK_PLAIN, silence},
    {"cut_all", H_LINK_ALL, cut},
    {"reset_all", H_LINK_ALL, reset},
    {"silent_all", H_LINK_ALL, silence},
    {"latency", H_LINK_ALL, latency},
    {"narrow", H_LINK_ALL, narrow},
    {"byte_by_byte", H_LINK_ALL, byte_by_byte},
    /* The whole matrix alone has what is slow for one kind. */
    {"latency_reader", H_LINK_READER, latency},
    {"narrow_reader", H_LINK_READER, narrow},
    {"byte_by_byte_reader", H_LINK_READER, byte_by_byte},
    {"latency_dump", H_LINK_DUMP, latency},
    {"narrow_dump", H_LINK_DUMP, narrow},
    {"byte_by_byte_dump", H_LINK_DUMP, byte_by_byte},
    {"latency_writer", H_LINK_WRITER, latency},
    {"narrow_writer", H_LINK_WRITER, narrow},
    {"byte_by_byte_writer", H_LINK_WRITER, byte_by_byte},
    {"latency_plain", H_LINK_PLAIN, latency},
    {"narrow_plain", H_LINK_PLAIN, narrow},
    {"byte_by_byte_plain", H_LINK_PLAIN, byte_by_byte},
};
enum { FAULTS = sizeof faults / sizeof faults[0], EVERY_DAY = FAULTS - 12, SOON = 30 /* seconds */ };

/* faults_copying: so many come while rows are copied. */
static cell begin(const char *family, const char *name, cell_stage stage, unsigned faults_copying)
{
    char *db = h_format("%s_%s_%s", family, name, cell_stages[stage]);
    cell c = {.source = source, .target = target, .to_source = to_source, .to_target = to_target};

    c.rows = stage == COPYING ? 2000 + 1000 * faults_copying : 1000;
    cell_begin(&c, db, stage);
    free(db);
    return c;
}

/* Chunk readers have links only while rows are copied. */
static bool makes_sense(const struct fault *f, cell_stage stage)
{
    return f->kinds != H_LINK_READER || stage == COPYING;
}

static void happen(cell *c, const struct fault *f, cell_stage stage)
{
    double since;

    if (!makes_sense(f, stage))
        return;
    cell_reach(c, stage);
    fprintf(stderr, "%.0f %s %s\n", h_now(), f->name, cell_stages[stage]);
    f->happens(c, f->kinds);
    since = h_now();
    cell_go_on(c, false);
    cell_assert(c, h_now() - since < SOON, "%s: works again after %.0f s", c->db, h_now() - since);
}

static void a_job_each(const char *family, cell_stage stage, unsigned first, unsigned step)
{
    for (unsigned i = first; i < (whole_matrix() ? FAULTS : EVERY_DAY); i += step) {
        cell c;

        if (!makes_sense(&faults[i], stage) || !is_wanted_fault(faults[i].name))
            continue;
        c = begin(family, faults[i].name, stage, 1);
        happen(&c, &faults[i], stage);
        cell_cut_over(&c);
        cell_free(&c);
    }
}

/* Both families together: each fault while rows are copied and while it streams, and the most at one more stage. */
static void one_job_for_all(unsigned family)
{
    cell c = begin(families[family], "all", COPYING, EVERY_DAY / 2);

    for (unsigned i = family; i < EVERY_DAY; i += 2)
        happen(&c, &faults[i], COPYING);
    for (unsigned i = 1 - family; i < EVERY_DAY; i += 2)
        happen(&c, &faults[i], STREAMING);
    for (cell_stage stage = LAGGING; stage <= IDLE; stage++)
        for (unsigned i = (2 * stage + 5 * family) % 9; i < EVERY_DAY; i += 9)
            happen(&c, &faults[i], stage);
    cell_cut_over(&c);
    cell_free(&c);
    a_job_each(families[family], CUTOVER, 5 + 2 * family, 9);
}

static void start_servers(const char *family)
{
    h_server_start_pair(&source, &target, family, NULL, "--innodb-flush-log-at-trx-commit=0 --sync-binlog=0");
    to_source = h_proxy_start(source);
    to_target = h_proxy_start(target);
}

static void stop_servers(void)
{
    h_proxy_free(to_source);
    h_proxy_free(to_target);
    h_server_free(source);
    h_server_free(target);
}

START_TEST(links__faults_are_ridden_through)
{
    start_servers(families[_i]);
    if (whole_matrix())
        for (cell_stage stage = COPYING; stage < STAGES; stage++)
            if (is_wanted(stage))
                a_job_each(families[_i], stage, 0, 1);
    if (!whole_matrix())
        one_job_for_all((unsigned)_i);
    stop_servers();
}
END_TEST

/* What each side of a stop may hang on. */
static const struct hang {
    const char *name;
    unsigned source_kinds, target_kinds;
    bool at_start; /* the server does not answer when the job begins */
} hangs[] = {
    {"source", H_LINK_ALL, 0, false},        {"target", 0, H_LINK_ALL, false},
    {"both", H_LINK_ALL, H_LINK_ALL, false}, {"source_start", H_LINK_ALL, 0, true},
    {"target_start", 0, H_LINK_ALL, true},
};
enum { HANGS = sizeof hangs / sizeof hangs[0] };

static void stop_in_two_seconds(cell *c)
{
    double since = h_now();

    h_signal(c->run, SIGTERM);
    cell_expect_exit(c, 3, 10);
    cell_assert(c, h_now() - since < 2.0, "%s: the stop took %.1f s", c->db, h_now() - since);
}

/* Silent from some moment of its working, or from its start on; `later`: seconds until the stop. */
static void hang_and_stop(const char *family, const struct hang *h, double later)
{
    char *name = h_format("%s_%.0f", h->name, 10 * later);
    cell c = begin(family, name, STREAMING, 0);

    free(name);
    if (h->at_start)
        cell_stop(&c);
    h_proxy_weather(to_source, h->source_kinds, (h_weather){.silent = true});
    h_proxy_weather(to_target, h->target_kinds, (h_weather){.silent = true});
    if (h->at_start)
        cell_run(&c);
    h_sleep(later);
    stop_in_two_seconds(&c);
    weather(&c, H_LINK_ALL, (h_weather){0});
    cell_run(&c);
    cell_cut_over(&c);
    cell_free(&c);
}

/* At once, while nobody has noticed, and after some seconds, while the job tries to connect again. */
START_TEST(links__a_stop_takes_two_seconds_even_when_a_server_hangs)
{
    start_servers(families[_i]);
    for (unsigned i = 0; i < HANGS; i++) {
        if (whole_matrix() || i % 2 == 0)
            hang_and_stop(families[_i], &hangs[i], 0.3);
        if (whole_matrix() || i % 2 == 1)
            hang_and_stop(families[_i], &hangs[i], 5);
    }
    stop_servers();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("links");

    for (int i = 0; i < FAMILIES; i++) {
        TCase *t = tcase_create(families[i]);

        tcase_set_timeout(t, 3600);
        tcase_add_loop_test(t, links__faults_are_ridden_through, i, i + 1);
        tcase_add_loop_test(t, links__a_stop_takes_two_seconds_even_when_a_server_hangs, i, i + 1);
        suite_add_tcase(s, t);
    }
    return run_suite(s);
}
