/* SPDX-License-Identifier: MIT */
/*
 * log.c - lines on stderr. A line is written with one write(2), so lines of threads never mix.
 */
#include "gfreplica/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Process-wide by nature: stderr is. Set once at the start. */
static atomic_int threshold = GF_LOG_INFO;
static atomic_bool as_json;
static _Thread_local char thread_name[32] = "main";

void gf_log_set_level(gf_log_level level)
{
    atomic_store(&threshold, (int)level);
}
void gf_log_set_json(bool json)
{
    atomic_store(&as_json, json);
}

void gf_log_thread(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(thread_name, sizeof thread_name, fmt, ap);
    va_end(ap);
}

bool gf_log_enabled(gf_log_level level)
{
    return (int)level <= atomic_load(&threshold);
}

static void timestamp(char out[40])
{
    struct timespec now;
    struct tm tm;
    char day[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, 40, "%s.%03uZ", day, (unsigned)(now.tv_nsec / 1000000) % 1000U);
}

/* The message with what JSON forbids escaped. */
static void escape(char *out, size_t size, const char *text)
{
    size_t n = 0;

    for (; *text != '\0' && n + 7 < size; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\') {
            out[n++] = '\\';
            out[n++] = (char)c;
        } else if (c < 0x20) {
            n += (size_t)snprintf(out + n, size - n, "\\u%04x", c);
        } else {
            out[n++] = (char)c;
        }
    }
    out[n] = '\0';
}

void gf_log(gf_log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    char when[40], message[2048], line[4608], quoted[4352];
    int len;
    va_list ap;

    if (!gf_log_enabled(level))
        return;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    timestamp(when);
    if (atomic_load(&as_json)) {
        escape(quoted, sizeof quoted, message);
        len = snprintf(line, sizeof line, "{\"time\":\"%s\",\"thread\":\"%s\",\"level\":\"%s\",\"msg\":\"%s\"}\n", when,
                       thread_name, names[level], quoted);
    } else {
        len = snprintf(line, sizeof line, "%s %s %s: %s\n", when, thread_name, names[level], message);
    }
    if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0)
        return; /* nobody left to tell */
}

void gf_log_lines(gf_log_level level, gf_buf *text)
{
    char *copy = gf_strdup(gf_buf_cstr(text)), *save = NULL;

    for (char *line = strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
        gf_log(level, "%s", line);
    free(copy);
}
