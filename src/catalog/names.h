/* SPDX-License-Identifier: MIT */
/*
 * names.h - comparing names of databases and tables; private to the catalog room.
 */
#ifndef CATALOG_NAMES_H
#define CATALOG_NAMES_H

#include <strings.h>

#include "gfreplica/bytes.h"

/*
 * Under lower_case_table_names 1 and 2 the server folds names by its system character set. We fold ASCII alone: it is
 * what people type in another case; other letters have to be written as the server shows them.
 */
static inline bool same_name(const char *a, const char *b, bool fold_case)
{
    return (fold_case ? strcasecmp(a, b) : strcmp(a, b)) == 0;
}

static inline uint8_t fold_byte(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

#endif
