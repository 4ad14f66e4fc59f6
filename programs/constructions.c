// Three ways to build a server, measured: clients send requests, each of which computes, waits for a
// device, and computes again.
// Shows: a single thread with blocking calls, a dispatcher with worker threads, and a finite-state
//        machine with non-blocking calls, all doing the same work.
// Try:   brant run bin/constructions.wasm workers 32 400 10 2000 0
//        The numbers: clients, requests, thousands of steps to compute, microseconds to wait, and
//        every how many requests one computes 200 times as much (0: none). Printed: the time of the
//        whole in microseconds, then that of each request. `brant bench threads` makes a table of it.
#include "threads.h"
#include <stdio.h>
#include <string.h>
#include <wasi/api.h>

enum { MOST_CLIENTS = QUEUE_ROOM, MOST_REQUESTS = 100000, LONG_REQUEST = 200 };

static int clients, requests, thousands_of_steps, wait_us, long_every;

// ---- the clients: each sends its next request when it has the reply to the last one ----
static queue arrivals;  // numbers of requests, and -1 once all have been answered
static mutex lock;      // for what follows
static int sent, answered;
static int64_t sent_at[MOST_REQUESTS], taken_ns[MOST_REQUESTS];

static void send(void) {
  if (sent == requests) return;
  sent_at[sent] = now_ns();
  queue_put(&arrivals, sent++);
}
static void reply(int request) {
  mutex_lock(&lock);
  taken_ns[request] = now_ns() - sent_at[request];
  send();
  if (++answered == requests) queue_put(&arrivals, -1);
  mutex_unlock(&lock);
}

// ---- what a request takes, before the device and behind it ----
static void compute_half(int request) {
  bool is_long = long_every && request % long_every == 0;
  int64_t steps = thousands_of_steps * 500LL * (is_long ? LONG_REQUEST : 1);
  uint32_t value = request + 1;
  while (steps--) value ^= value << 13, value ^= value >> 17, value ^= value << 5;
  volatile uint32_t used = value;
  (void)used;
}

// ---- a single thread: while it waits for the device, nobody is served ----
static void single(void) {
  for (int request; (request = queue_take(&arrivals)) >= 0;) {
    compute_half(request);
    if (wait_us) sleep_ns(wait_us * 1000LL);
    compute_half(request);
    reply(request);
  }
}

// ---- a dispatcher hands requests to workers: each may block, and its code is that of the single one ----
static queue work;

static void worker(void *unused) {
  (void)unused;
  for (int request; (request = queue_take(&work)) >= 0;) {
    compute_half(request);
    if (wait_us) sleep_ns(wait_us * 1000LL);
    compute_half(request);
    reply(request);
  }
}
static void workers(void) {
  thread *pool[MOST_CLIENTS];
  for (int i = 0; i < clients; i++) pool[i] = thread_start(worker, 0);
  for (int request; (request = queue_take(&arrivals)) >= 0;) queue_put(&work, request);
  for (int i = 0; i < clients; i++) queue_put(&work, -1);
  for (int i = 0; i < clients; i++) thread_join(pool[i]);
}

// ---- a finite-state machine: one thread that never blocks in a call; what it was doing for each
//      request stands in a table, and it asks for whichever device is ready next ----
static struct { int request; int64_t ready_at; } waiting[MOST_CLIENTS];

static void machine(void) {
  static __wasi_subscription_t asked[MOST_CLIENTS];
  static __wasi_event_t events[MOST_CLIENTS];
  int count = 0;
  for (;;) {
    while (arrivals.put != arrivals.taken) {
      int request = queue_take(&arrivals);
      if (request < 0) return;
      compute_half(request);
      waiting[count].request = request;
      waiting[count++].ready_at = now_ns() + wait_us * 1000LL;
    }
    for (int i = 0; i < count; i++) {
      asked[i] = (__wasi_subscription_t){.userdata = i, .u.tag = __WASI_EVENTTYPE_CLOCK};
      asked[i].u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
      asked[i].u.u.clock.timeout = waiting[i].ready_at;
      asked[i].u.u.clock.flags = __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME;
    }
    __wasi_size_t ready;
    if (__wasi_poll_oneoff(asked, events, count, &ready)) abort();
    for (unsigned i = 0; i < ready; i++) {
      int *request = &waiting[events[i].userdata].request;
      compute_half(*request);
      reply(*request);
      *request = -1;
    }
    int before = count;
    count = 0;
    for (int i = 0; i < before; i++)
      if (waiting[i].request >= 0) waiting[count++] = waiting[i];
  }
}

int main(int count, char **args) {
  int *numbers[] = {&clients, &requests, &thousands_of_steps, &wait_us, &long_every};
  for (int i = 0; i < 5 && i + 2 < count; i++) *numbers[i] = atoi(args[i + 2]);
  void (*serve)(void) = count != 7 ? 0
                        : !strcmp(args[1], "single") ? single
                        : !strcmp(args[1], "workers") ? workers
                        : !strcmp(args[1], "machine") ? machine : 0;
  bool fits = clients > 0 && clients < MOST_CLIENTS && requests >= clients && requests <= MOST_REQUESTS;
  if (!serve || !fits) {
    fprintf(stderr, "usage: constructions single|workers|machine CLIENTS REQUESTS COMPUTE WAIT LONG\n");
    return 2;
  }
  int64_t began = now_ns();
  for (int i = 0; i < clients; i++) send();
  serve();
  printf("%lld\n", (now_ns() - began) / 1000);
  for (int i = 0; i < requests; i++) printf("%lld\n", taken_ns[i] / 1000);
}
