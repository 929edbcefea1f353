/* A wall clock that is ahead, for processes that are started with this library in LD_PRELOAD.
 *
 * In: SHIFTED_CLOCK_S, whole seconds to add. Out: clock_gettime, gettimeofday and time say so much more; the monotonic
 * clocks stay as they are, so nothing waits longer or shorter. The engine keeps the real time: it waits by the wall clock,
 * and all it does with it here is to compare it with times that lie further ahead.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char *const ENGINE = "embedded-clickhouse";

static long shift_s(void) {
    /* Read once; threads that race read the same. */
    static volatile long shift = -1;
    if (shift < 0) {
        const char *text = getenv("SHIFTED_CLOCK_S");
        int is_engine = strcmp(program_invocation_short_name, ENGINE) == 0;
        shift = text && !is_engine ? strtol(text, NULL, 10) : 0;
    }
    return shift;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    long result = syscall(SYS_clock_gettime, clock, at);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        at->tv_sec += shift_s();
    }
    return (int)result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) {
        *at = now.tv_sec;
    }
    return now.tv_sec;
}
