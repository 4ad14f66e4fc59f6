// Clocks, sleeping and random numbers: what must hold whatever the hour.
#include "say.h"
#include <time.h>
#ifdef __wasi__
#include <wasi/api.h>
#endif

static long long now(clockid_t clock) {
  struct timespec time;
  if (clock_gettime(clock, &time) < 0) return -1;
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

int main(void) {
  struct timespec resolution;
  SAY(clock_getres(CLOCK_MONOTONIC, &resolution));
  printf("fine: %d\n", resolution.tv_sec == 0 && resolution.tv_nsec >= 1 && resolution.tv_nsec <= 20000000);
  SAY(clock_getres(CLOCK_REALTIME, &resolution));
  printf("fine: %d\n", resolution.tv_sec == 0 && resolution.tv_nsec >= 1 && resolution.tv_nsec <= 20000000);
  printf("this century: %d\n", now(CLOCK_REALTIME) > 978307200000000000ll);
  long long before = now(CLOCK_MONOTONIC), backwards = 0;
  for (int i = 0; i < 10000; i++) {
    long long after = now(CLOCK_MONOTONIC);
    backwards += after < before;
    before = after;
  }
  printf("backwards %lld\n", backwards);
  before = now(CLOCK_MONOTONIC);
  struct timespec nap = {0, 20000000}, rest = {9, 9};
  SAY(nanosleep(&nap, &rest));
  long long slept = now(CLOCK_MONOTONIC) - before;
  printf("slept 20 ms: %d\n", slept >= 20000000 && slept < 2000000000);
  struct timespec wrong = {0, 1000000000};
  SAY(nanosleep(&wrong, NULL));
  struct timespec none = {0, 0};
  SAY(nanosleep(&none, NULL));
  SAY(usleep(1000));
  SAY(sleep(0));
  before = now(CLOCK_MONOTONIC);
  struct timespec until = {(before + 10000000) / 1000000000, (before + 10000000) % 1000000000};
  SAY(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
  printf("until: %d\n", now(CLOCK_MONOTONIC) >= before + 10000000);
  SAY(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
  unsigned char a[64] = {0}, b[64] = {0};
  SAY(getentropy(a, 64));
  SAY(getentropy(b, 64));
  printf("different: %d\n", memcmp(a, b, 64) != 0);
  SAY(getentropy(a, 0));
  SAY(getentropy(a, 257));
#ifdef __wasi__
  __wasi_timestamp_t time;
  RAW(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 0, &time));
  RAW(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, ~0ull, &time));
  static unsigned char large[1 << 20];
  RAW(__wasi_random_get(large, sizeof large));
  int zeros = 0;
  for (size_t i = 0; i < sizeof large; i++) zeros += !large[i];
  printf("looks random: %d\n", zeros > 3500 && zeros < 4700);
  RAW(__wasi_random_get(large, 0));
  RAW(__wasi_sched_yield());
#endif
  return 0;
}
