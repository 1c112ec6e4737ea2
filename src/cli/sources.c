/* SPDX-License-Identifier: MIT */
/*
 * sources.c - settings from option files, the environment and password files.
 *
 * Option files are the servers' own kind (~/.my.cnf): [section], name=value, # and ; comments, values in quotes.
 * [gfreplica-source], [gfreplica-target] and [gfreplica-source-primary] hold a server's settings by their flag's name
 * without that beginning, or by the name that MySQL's clients give them; [gfreplica] holds any flag. Other sections
 * belong to others.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gfreplica/log.h"
#include "options.h"

/* Names in MySQL's option files -> ours. */
static const char *const client_names[][2] = {
    {"ssl-mode", "tls"},
    {"ssl-ca", "tls-ca"},
    {"ssl-cert", "tls-cert"},
    {"ssl-key", "tls-key"},
};

bool cli_read_file(gf_buf *out, const char *path, size_t max, gf_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;

    if (fd < 0) {
        gf_fail_errno(err, "open %s", path);
        err->kind = GF_ERR_CONFIG;
        return false;
    }
    do {
        gf_buf_reserve(out, 4096);
        n = read(fd, out->data + out->len, 4096);
        out->len += n > 0 ? (size_t)n : 0;
    } while ((n > 0 || (n < 0 && errno == EINTR)) && out->len <= max);
    if (n < 0) {
        gf_fail_errno(err, "read %s", path);
        err->kind = GF_ERR_CONFIG;
    } else if (out->len > max) {
        n = -1;
        gf_fail(err, GF_ERR_CONFIG, "%s: more than %zu bytes", path, max);
    }
    close(fd);
    return n >= 0;
}

/* ---- option files ---- */

typedef struct {
    cli_input *in;
    const char *path;
    unsigned line;
    char section[64];
} ini;

static char *trim(char *s)
{
    char *end;

    while (isspace((unsigned char)*s))
        s++;
    end = s + strlen(s);
    while (end > s && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return s;
}

/* A value's quotes and escapes, as the servers' own reader takes them. In place. */
static char *unquote(char *s)
{
    static const char escapes[] = "b\bt\tn\nr\rs \\\\\"\"''";
    size_t len = strlen(s);
    char *to = s, *start = s;

    if (len >= 2 && (s[0] == '"' || s[0] == '\'') && s[len - 1] == s[0]) {
        s[len - 1] = '\0';
        s++;
    }
    for (; *s != '\0'; s++) {
        const char *e = NULL;

        for (const char *p = escapes; s[0] == '\\' && s[1] != '\0' && *p != '\0' && e == NULL; p += 2)
            e = *p == s[1] ? p + 1 : NULL;
        *to++ = e == NULL ? *s : *e;
        s += e == NULL ? 0 : 1;
    }
    *to = '\0';
    return start;
}

/* The flag that `name` stands for in this section, owned; NULL when the section is not ours. */
static char *flag_of(const ini *f, const char *name)
{
    const char *server = strncmp(f->section, "gfreplica-", 10) == 0 ? f->section + 10 : NULL;

    if (strcmp(f->section, "gfreplica") == 0)
        return gf_strdup(name);
    for (unsigned i = 0; server != NULL && i < SERVERS; i++) {
        if (strcmp(server, cli_server_names[i]) != 0)
            continue;
        for (size_t k = 0; k < sizeof client_names / sizeof client_names[0]; k++) {
            if (strcmp(client_names[k][0], name) == 0)
                name = client_names[k][1];
        }
        return gf_asprintf("%s-%s", server, name);
    }
    return NULL;
}

/* MySQL's names of the modes of --ssl-mode are ours in capitals, but for two. */
static const char *tls_mode(const char *value)
{
    static const char *const modes[][2] = {
        {"DISABLED", "off"}, {"VERIFY_CA", "verify-ca"}, {"VERIFY_IDENTITY", "verify-identity"}};

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(modes[i][0], value) == 0)
            return modes[i][1];
    }
    return value;
}

static bool set_option(const ini *f, char *name, const char *value, gf_error *err)
{
    char *flag, *where;
    const cli_option *o;
    bool ok;

    for (char *p = name; *p != '\0'; p++)
        *p = *p == '_' ? '-' : *p;
    flag = flag_of(f, name);
    if (flag == NULL)
        return true;
    o = cli_find_flag(flag);
    where = gf_asprintf("%s:%u: %s", f->path, f->line, name);
    if (o == NULL)
        ok = gf_fail(err, GF_ERR_CONFIG, "%s is no setting of [%s]", where, f->section);
    else /* a name alone is a switch turned on */
        ok = cli_set(f->in, o, FROM_FILE,
                     value == NULL           ? "true"
                     : o->type == OPT_CHOICE ? tls_mode(value)
                                             : value,
                     where, err);
    free(where);
    free(flag);
    return ok;
}

static bool read_line(ini *f, char *line, gf_error *err)
{
    char *equals, *end;

    line = trim(line);
    if (*line == '\0' || *line == '#' || *line == ';')
        return true;
    if (*line == '!') {
        gf_log_warn("%s:%u: %.20s is not followed", f->path, f->line, line);
        return true;
    }
    if (*line == '[') {
        end = strchr(line, ']');
        if (end == NULL)
            return gf_fail(err, GF_ERR_CONFIG, "%s:%u: a section's name ends with ]", f->path, f->line);
        *end = '\0';
        snprintf(f->section, sizeof f->section, "%s", trim(line + 1));
        return true;
    }
    equals = strchr(line, '=');
    if (equals == NULL)
        return set_option(f, line, NULL, err);
    *equals = '\0';
    return set_option(f, trim(line), unquote(trim(equals + 1)), err);
}

static bool read_lines(cli_input *in, const char *path, gf_buf *text, gf_error *err)
{
    ini f = {.in = in, .path = path};
    char *at;

    gf_buf_byte(text, '\0');
    at = (char *)text->data;
    while (at != NULL) {
        char *line = at;
        char *newline = strchr(at, '\n');

        if (newline != NULL)
            *newline = '\0';
        at = newline == NULL ? NULL : newline + 1;
        f.line++;
        if (!read_line(&f, line, err))
            return false;
    }
    return true;
}

static void warn_readable(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
        gf_log_warn("%s may be read by others: if it holds passwords, chmod 600 it", path);
}

bool cli_read_option_file(cli_input *in, gf_error *err)
{
    const char *home = getenv("HOME");
    char *path = in->defaults_file != NULL ? gf_strdup(in->defaults_file)
                 : home != NULL            ? gf_asprintf("%s/.my.cnf", home)
                                           : NULL;
    gf_buf text = {0};
    bool ok = true;

    /* The usual file is read if it can be, one that was named must be there. */
    if (path != NULL && (in->defaults_file != NULL || access(path, R_OK) == 0)) {
        ok = cli_read_file(&text, path, (size_t)1 << 20, err);
        if (ok && in->defaults_file != NULL)
            warn_readable(path);
        ok = ok && read_lines(in, path, &text, err);
    }
    if (text.data != NULL)
        explicit_bzero(text.data, text.len);
    gf_buf_free(&text);
    free(path);
    return ok;
}

/* ---- environment ---- */

/* "source-password" -> "GFREPLICA_SOURCE_PASSWORD" */
static void variable_name(char *out, size_t size, const char *flag)
{
    snprintf(out, size, "GFREPLICA_%s", flag);
    for (char *p = out; *p != '\0'; p++)
        *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
}

static bool read_variable(cli_input *in, const cli_option *o, const char *name, gf_error *err)
{
    const char *value = getenv(name);

    return value == NULL || *value == '\0' || cli_set(in, o, FROM_ENV, value, name, err);
}

bool cli_read_environment(cli_input *in, gf_error *err)
{
    char name[128];

    for (size_t i = 0; i < cli_option_count; i++) {
        const cli_option *o = &cli_options[i];

        if (o->env != NULL && !read_variable(in, o, o->env, err))
            return false;
        if (o->flag == NULL || o->section == SECTION_COMMAND)
            continue;
        variable_name(name, sizeof name, o->flag);
        if (!read_variable(in, o, name, err))
            return false;
    }
    return true;
}

/* ---- password files ---- */

static bool read_password(cli_input *in, unsigned which, gf_error *err)
{
    const char *path = in->password_file[which];
    const cli_option *file = cli_server_option(which, "password-file");
    gf_buf text = {0};
    bool ok;

    ok = cli_read_file(&text, path, 64 << 10, err);
    if (ok) {
        gf_buf_byte(&text, '\0');
        text.data[strcspn((char *)text.data, "\r\n")] = '\0';
        warn_readable(path);
        ok = cli_set(in, cli_server_option(which, "password"), cli_level(in, file), (char *)text.data, path, err);
    }
    if (text.data != NULL)
        explicit_bzero(text.data, text.len);
    gf_buf_free(&text);
    return ok;
}

bool cli_read_password_files(cli_input *in, gf_error *err)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        if (in->password_file[i] != NULL && !read_password(in, i, err))
            return gf_fail_context(err, "--%s-password-file", cli_server_names[i]);
    }
    return true;
}
