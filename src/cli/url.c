/* SPDX-License-Identifier: MIT */
/*
 * url.c - a server as a URL: mysql://user@host:port/?tls=verify-identity&tls-ca=/etc/ca.pem
 *
 * A URL sets the options that begin with the server's name, nothing of its own: behind "?" stand their names without
 * that beginning. Its text may hold a password that someone put there by mistake, so no error ever shows it.
 */
#include "options.h"

#include <stdlib.h>

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);

    return at == NULL ? -1 : (int)(at - digits);
}

/* Decodes %41 in place. False on a malformed or NUL escape. */
static bool decode(char *text)
{
    char *to = text;

    for (; *text != '\0'; text++) {
        if (*text != '%') {
            *to++ = *text;
            continue;
        }
        if (hex_digit(text[1]) < 0 || hex_digit(text[2]) < 0 || (text[1] == '0' && text[2] == '0'))
            return false;
        *to++ = (char)(hex_digit(text[1]) << 4 | hex_digit(text[2]));
        text += 2;
    }
    *to = '\0';
    return true;
}

typedef struct {
    cli_input *in;
    const char *server, *where;
    opt_level level;
} target;

static bool set_part(const target *t, const char *part, char *text, gf_error *err)
{
    char *flag = gf_asprintf("%s-%s", t->server, part);
    const cli_option *o = cli_find_flag(flag);
    char *where = gf_asprintf("%s: %s", t->where, part);
    bool ok;

    if (o == NULL)
        ok = gf_fail(err, GF_ERR_CONFIG, "%s: a server has no setting \"%.32s\"", t->where, part);
    else if (o->type == OPT_SECRET)
        ok = gf_fail(err, GF_ERR_CONFIG, "%s: a URL may not hold a password; use --%s-password-file FILE", t->where,
                     t->server);
    else if (!decode(text))
        ok = gf_fail(err, GF_ERR_CONFIG, "%s: a %% must be followed by two hex digits", where);
    else
        ok = cli_set(t->in, o, t->level, text, where, err);
    free(where);
    free(flag);
    return ok;
}

static bool set_user(const target *t, char *user, gf_error *err)
{
    char *colon = strchr(user, ':');

    if (colon != NULL)
        return gf_fail(err, GF_ERR_CONFIG,
                       "%s: a URL may not hold a password, every user of this machine could read it; use "
                       "--%s-password-file FILE, GFREPLICA_*_PASSWORD or an option file",
                       t->where, t->server);
    return set_part(t, "user", user, err);
}

static bool set_address(const target *t, char *address, gf_error *err)
{
    char *port = strrchr(address, ':');

    if (address[0] == '[') {
        char *end = strchr(address, ']');

        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return gf_fail(err, GF_ERR_CONFIG, "%s: an IPv6 address is written as [::1]", t->where);
        port = end[1] == ':' ? end + 1 : NULL;
        *end = '\0';
        address++;
    }
    if (port != NULL) {
        *port++ = '\0';
        if (!set_part(t, "port", port, err))
            return false;
    }
    return *address == '\0' || set_part(t, "host", address, err);
}

static bool set_settings(const target *t, char *text, gf_error *err)
{
    char *save = NULL;

    for (char *item = strtok_r(text, "&", &save); item != NULL; item = strtok_r(NULL, "&", &save)) {
        char *equals = strchr(item, '=');

        if (equals == NULL)
            return gf_fail(err, GF_ERR_CONFIG, "%s: what follows \"?\" must be of the form name=value", t->where);
        *equals = '\0';
        if (!set_part(t, item, equals + 1, err))
            return false;
    }
    return true;
}

/* rest: what follows the scheme, and is cut up. */
static bool set_all(const target *t, char *rest, gf_error *err)
{
    char *settings = strchr(rest, '?');
    char *path, *at;

    if (settings != NULL)
        *settings++ = '\0';
    path = strchr(rest, '/');
    at = strrchr(rest, '@');
    /* A slash or a question mark inside of a password would cut it in two, and show the half as something else. */
    if (path != NULL && at != NULL && at > path)
        return gf_fail(err, GF_ERR_CONFIG, "%s: a URL may not hold a password; use --%s-password-file FILE", t->where,
                       t->server);
    if (path != NULL)
        *path++ = '\0';
    if (path != NULL && *path != '\0')
        return gf_fail(err, GF_ERR_CONFIG, "%s: a URL names a server, not a database; use --databases", t->where);
    if (at != NULL) {
        *at = '\0';
        if (!set_user(t, rest, err))
            return false;
        rest = at + 1;
    }
    return set_address(t, rest, err) && (settings == NULL || set_settings(t, settings, err));
}

bool cli_set_url(cli_input *in, const char *server, opt_level level, const char *text, const char *where, gf_error *err)
{
    static const char *const schemes[] = {"mysql://", "mariadb://"};
    const target t = {.in = in, .server = server, .where = where, .level = level};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i]);
        char *rest;
        bool ok;

        if (strncmp(text, schemes[i], len) != 0)
            continue;
        rest = gf_strdup(text + len);
        ok = set_all(&t, rest, err);
        free(rest);
        return ok;
    }
    return gf_fail(err, GF_ERR_CONFIG, "%s: expected mysql://user@host:port/", where);
}
