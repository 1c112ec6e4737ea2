/* SPDX-License-Identifier: MIT */
/*
 * fake_job.h - a job that only remembers what it was asked, in the place of src/job.
 *
 * Threads: the control's threads call it, the test reads it: one lock around all.
 */
#ifndef GFREPLICA_TESTS_FAKE_JOB_H
#define GFREPLICA_TESTS_FAKE_JOB_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gfreplica/job.h"

struct gf_job {
    pthread_mutex_t lock;
    unsigned stops, cutovers, no_cutovers, pauses, resumes, forgetful;
    gf_stage stage;
    size_t tables;
    char why[64];
};

static struct gf_job fake_job = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline void fake_job_reset(void)
{
    pthread_mutex_lock(&fake_job.lock);
    fake_job.stops = fake_job.cutovers = fake_job.no_cutovers = fake_job.pauses = fake_job.resumes =
        fake_job.forgetful = 0;
    fake_job.stage = GF_STAGE_COPYING;
    fake_job.tables = 2;
    fake_job.why[0] = '\0';
    pthread_mutex_unlock(&fake_job.lock);
}

static inline void fake_job_stage(gf_stage stage)
{
    pthread_mutex_lock(&fake_job.lock);
    fake_job.stage = stage;
    pthread_mutex_unlock(&fake_job.lock);
}

static inline unsigned fake_job_read(const unsigned *counter)
{
    unsigned value;

    pthread_mutex_lock(&fake_job.lock);
    value = *counter;
    pthread_mutex_unlock(&fake_job.lock);
    return value;
}

static inline void count(gf_job *j, unsigned *counter)
{
    pthread_mutex_lock(&j->lock);
    (*counter)++;
    pthread_mutex_unlock(&j->lock);
}

void gf_job_stop(gf_job *j, const char *why)
{
    pthread_mutex_lock(&j->lock);
    j->stops++;
    snprintf(j->why, sizeof j->why, "%s", why);
    pthread_mutex_unlock(&j->lock);
}

bool gf_job_cutover(gf_job *j)
{
    count(j, &j->cutovers);
    return fake_job_read(&j->forgetful) == 0;
}

void gf_job_no_cutover(gf_job *j)
{
    count(j, &j->no_cutovers);
}

void gf_job_pause(gf_job *j, bool paused)
{
    count(j, paused ? &j->pauses : &j->resumes);
}

void gf_job_state(gf_job *j, gf_state *out)
{
    *out = (gf_state){.pid = (int)getpid(), .lag_seconds = -1, .eta_seconds = -1};
    pthread_mutex_lock(&j->lock);
    out->stage = j->stage;
    out->table_count = j->tables;
    pthread_mutex_unlock(&j->lock);
    out->tables = gf_calloc(out->table_count + 1, sizeof *out->tables);
    for (size_t i = 0; i < out->table_count; i++) {
        out->tables[i].db = gf_strdup("shop");
        out->tables[i].name = gf_asprintf("table%zu", i);
    }
}

#endif
