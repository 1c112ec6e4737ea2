/* SPDX-License-Identifier: MIT */
/*
 * ask.c - requests to the running job.
 *
 * A request only sets what the job looks at (job.h); the answer says what will follow from it, not that it has
 * happened: a cutover takes as long as the stream needs to catch up.
 */
#include "ask.h"

#include "gfreplica/log.h"
#include "json_line.h"

/* --- status --------------------------------------------------------------------------------------------------- */

static void answer_status(gf_buf *answer, const gf_asked *asked)
{
    gf_state s = {0};

    gf_job_state(asked->job, &s);
    gf_control_status_json(answer, &s);
    gf_state_free(&s);
}

static gf_stage stage_of(const gf_asked *asked)
{
    gf_state s = {0};
    gf_stage stage;

    gf_job_state(asked->job, &s);
    stage = s.stage;
    gf_state_free(&s);
    return stage;
}

/* --- changes: each returns what happens now, NULL with *err when it may not ------------------------------------ */

static const char *pause_job(const gf_asked *asked, gf_stage stage, gf_error *err)
{
    (void)err;
    (void)stage;
    gf_job_pause(asked->job, true);
    return "copying and writing hold until resume; the stream stays connected";
}

static const char *resume_job(const gf_asked *asked, gf_stage stage, gf_error *err)
{
    (void)err;
    (void)stage;
    gf_job_pause(asked->job, false);
    return "copying and writing go on";
}

static const char *when_it_begins(gf_stage stage)
{
    if (stage >= GF_STAGE_CUTOVER)
        return "the cutover has begun already";
    return "the cutover begins as soon as the copy is complete and the stream has caught up";
}

static const char *cutover_job(const gf_asked *asked, gf_stage stage, gf_error *err)
{
    (void)err;
    if (!gf_job_cutover(asked->job))
        return "the cutover begins when the servers can be reached, the copy is complete and the stream has caught up; "
               "the checkpoint does not have it yet: if this process dies before that, ask again";
    return when_it_begins(stage);
}

static const char *automatic_cutover(const gf_asked *asked, gf_stage stage, gf_error *err)
{
    (void)err;
    atomic_store(&asked->config->live.automatic_cutover, true);
    return when_it_begins(stage);
}

static const char *manual_cutover(const gf_asked *asked, gf_stage stage, gf_error *err)
{
    if (stage >= GF_STAGE_CUTOVER) {
        gf_fail(err, GF_ERR_CONFIG, "the cutover has begun already and can't be held: stop the job instead");
        return NULL;
    }
    atomic_store(&asked->config->live.automatic_cutover, false);
    return "no automatic cutover; one that was asked for by itself still comes";
}

static const char *stop_job(const gf_asked *asked, gf_stage stage, gf_error *err)
{
    (void)err;
    (void)stage;
    gf_job_no_cutover(asked->job); /* the way out of a cutover that takes too long */
    gf_job_stop(asked->job, "asked to stop");
    return "stops at the next transaction boundary; the same command resumes";
}

static const struct {
    const char *name; /* for the log, and as a request where it is one of control.sock */
    bool over_socket;
    const char *(*act)(const gf_asked *asked, gf_stage stage, gf_error *err); /* NULL: status */
} asks[] = {
    [GF_ASK_STATUS] = {"status", true, NULL},
    [GF_ASK_PAUSE] = {"pause", true, pause_job},
    [GF_ASK_RESUME] = {"resume", true, resume_job},
    [GF_ASK_CUTOVER] = {"cutover", true, cutover_job},
    [GF_ASK_AUTOMATIC] = {"automatic cutover", false, automatic_cutover},
    [GF_ASK_MANUAL] = {"manual cutover", false, manual_cutover},
    [GF_ASK_STOP] = {"stop", true, stop_job},
};

bool gf_ask_parse(gf_ask *out, const char *name)
{
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        if (asks[i].over_socket && strcmp(asks[i].name, name) == 0) {
            *out = (gf_ask)i;
            return true;
        }
    }
    return false;
}

bool gf_ask_do(gf_buf *answer, const gf_asked *asked, gf_ask ask, const char *via, gf_error *err)
{
    gf_stage stage;
    const char *message;

    if (asks[ask].act == NULL) {
        answer_status(answer, asked);
        return true;
    }
    stage = stage_of(asked);
    message = asks[ask].act(asked, stage, err);
    if (message == NULL)
        return false;
    gf_log_info("%s over %s: %s", asks[ask].name, via, message);
    gf_buf_byte(answer, '{');
    gf_jline_text(answer, "Message", message);
    gf_jline_text(answer, "Stage", gf_stage_name(stage));
    gf_buf_str(answer, "}\n");
    return true;
}

void gf_ask_refusal(gf_buf *answer, const char *text)
{
    gf_buf_byte(answer, '{');
    gf_jline_text(answer, "Error", text);
    gf_buf_str(answer, "}\n");
}
