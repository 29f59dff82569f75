/* core/thread.h: a small pool of POSIX threads. Work is cut in a number of parts that does not depend on the number of threads; whoever is free takes
 * the next part, of those dealt to it first. A part writes only its own results, so results are the same bits for any number of threads.
 *
 *     gen_pool *pool = gen_pool_new(2);
 *     gen_pool_run(pool, n_parts, run_one_part, context);     // returns when all parts are done
 *     gen_pool_free(pool);
 */
#ifndef GEN_CORE_THREAD_H
#define GEN_CORE_THREAD_H

#include "core/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gen_pool gen_pool;

/* thread is 0 .. gen_pool_threads-1 and unique among the calls that run at the same time: an index for scratch memory. */
typedef void (*gen_part_fn)(void *context, int32_t part, int32_t thread);

int32_t gen_cpu_count(void);               /* cores this process may use */
gen_pool *gen_pool_new(int32_t n_threads); /* n >= 1, the caller counts as one; NULL when memory or threads ran out */
void gen_pool_free(gen_pool *pool);        /* accepts NULL */
int32_t gen_pool_threads(const gen_pool *pool);

/* Runs fn for part 0 .. parts-1. parts == 1 runs on the caller without waking anybody. Not reentrant: one caller at a time. Allocates nothing. */
void gen_pool_run(gen_pool *pool, int32_t parts, gen_part_fn fn, void *context);

#ifdef __cplusplus
}
#endif
#endif
