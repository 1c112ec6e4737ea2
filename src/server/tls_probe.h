/* SPDX-License-Identifier: MIT */
/*
 * tls_probe.h - see and prove a server's certificate before libmariadb talks to it.
 *
 * libmariadb can insist on TLS, before it sends anything secret, only together with a fingerprint of the certificate
 * (or with the host's own name in it). So we shake hands once ourselves, check what the operator asked for, and hand
 * the library the fingerprint: it then refuses clear text and any other certificate.
 */
#ifndef GFREPLICA_SERVER_TLS_PROBE_H
#define GFREPLICA_SERVER_TLS_PROBE_H

#include "dial.h"

enum { GF_FINGERPRINT_MAX = 32 * 3 };

/* cfg->tls is REQUIRED or more. CONFIG when the server has no TLS or its certificate does not hold. */
GF_MUST_CHECK bool gf_tls_probe(char fingerprint[GF_FINGERPRINT_MAX], gf_dial *dial, const gf_server_config *cfg,
                                gf_error *err);

#endif
