/* SPDX-License-Identifier: MIT */
/*
 * thread.h - condition variables on the monotonic clock: a jump of the wall clock must not stretch a wait.
 */
#ifndef GFREPLICA_THREAD_H
#define GFREPLICA_THREAD_H

#include <pthread.h>
#include <stdbool.h>

void gf_cond_init(pthread_cond_t *cond);
/* Waits at most `ms`; false when the time ran out. The mutex is held, as for pthread_cond_wait. */
bool gf_cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *lock, unsigned ms);

#endif
