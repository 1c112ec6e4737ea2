/* SPDX-License-Identifier: MIT */
/*
 * version.h - which gfreplica this is: in --version, in logs, in exported states.
 */
#ifndef GFREPLICA_VERSION_H
#define GFREPLICA_VERSION_H

#define GF_VERSION "0.1.0"

#endif
