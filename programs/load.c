// A load generator: clients that fetch a file again and again, and how long each reply takes.
// Shows: what a server does when many ask at once.
// Try:   brant run --net connect bin/load.wasm 127.0.0.1:8080 README.md 32 1000
//
// usage: load ADDRESS:PORT PATH CLIENTS REQUESTS
//        prints requests per second, and what half and 99 of 100 requests stay below
#include "http.h"
#include "threads.h"

enum { MOST_CLIENTS = 256, MOST_REQUESTS = 100000 };

static address_t server;
static const char *path;
static int requests;
static atomic_int begun, failed;
static int64_t taken_us[MOST_REQUESTS];

// A client: its next request follows the reply to the last one.
static void client(void *unused) {
  (void)unused;
  for (int request; (request = atomic_fetch_add(&begun, 1)) < requests;) {
    reply r;
    int64_t began = now_ns();
    if (http_get(&server, path, &r)) {
      while (http_more(&r)) continue;
      http_close(&r);
    } else {
      failed++;
    }
    taken_us[request] = (now_ns() - began) / 1000;
  }
}

static int by_value(const void *a, const void *b) {
  int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
  return (left > right) - (left < right);
}

int main(int argc, char **argv) {
  static thread *threads[MOST_CLIENTS];
  int clients = argc == 5 ? atoi(argv[3]) : 0;
  requests = argc == 5 ? atoi(argv[4]) : 0;
  bool fits = clients > 0 && clients <= MOST_CLIENTS && requests > 0 && requests <= MOST_REQUESTS;
  if (!fits || parse_address(argv[1], &server)) {
    fputs("usage: load ADDRESS:PORT PATH CLIENTS REQUESTS\n", stderr);
    return 2;
  }
  path = argv[2];
  int64_t began = now_ns();
  for (int i = 0; i < clients; i++) threads[i] = thread_start(client, 0);
  for (int i = 0; i < clients; i++) thread_join(threads[i]);
  int64_t us = (now_ns() - began) / 1000 + 1;
  qsort(taken_us, requests, sizeof *taken_us, by_value);
  printf("%lld requests/s, p50 %lld us, p99 %lld us, %d failed\n", requests * 1000000LL / us,
         taken_us[requests / 2], taken_us[requests * 99 / 100], failed);
  return failed != 0;
}
