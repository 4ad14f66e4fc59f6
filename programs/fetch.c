// A page fetcher: the parts of a page come over a connection each, and are shown as they come.
// Shows: a multithreaded client hides the time of each connection behind the others, and replicated
//        servers share the work and stand in for each other.
// Try:   brant run --net connect bin/fetch.wasm parallel 127.0.0.1:8080,127.0.0.1:8081 hello.wat life.wat
//
// usage: fetch sequential|parallel ADDRESS:PORT[,ADDRESS:PORT]... PATH...
//        prints each line of a part behind the part's name; 1 if a part could not be had
#include "http.h"
#include "threads.h"

enum { MOST_SERVERS = 16, MOST_PARTS = 256, LINE_BYTES = 1024 };

static address_t servers[MOST_SERVERS];
static int servers_count;
static mutex screen;
static atomic_int failed;

static void show(const char *path, const char *line, size_t length) {
  mutex_lock(&screen);
  printf("%s: %.*s\n", path, (int)length, line);
  fflush(stdout);
  mutex_unlock(&screen);
}

// Shows the lines of a reply while it comes; a line that is very long is shown in pieces.
static void show_reply(const char *path, reply *r) {
  char line[LINE_BYTES];
  size_t length = 0;
  while (http_more(r))
    for (size_t i = 0; i < r->have; i++) {
      bool ends = r->bytes[i] == '\n';
      if (!ends) line[length++] = r->bytes[i];
      if (ends || length == LINE_BYTES) show(path, line, length), length = 0;
    }
  if (length) show(path, line, length);
}

typedef struct { int number; const char *path; } part;

// Fetches a part from the first server that has it; each part begins with another one.
static void fetch(void *wanted) {
  part *p = wanted;
  reply r;
  for (int i = 0; i < servers_count; i++) {
    if (!http_get(&servers[(p->number + i) % servers_count], p->path, &r)) continue;
    show_reply(p->path, &r);
    http_close(&r);
    return;
  }
  const char none[] = "(no server has it)";
  show(p->path, none, sizeof none - 1);
  failed = 1;
}

int main(int argc, char **argv) {
  static part parts[MOST_PARTS];
  static thread *threads[MOST_PARTS];
  bool parallel = argc > 1 && !strcmp(argv[1], "parallel");
  int count = argc - 3;
  bool right = argc > 3 && count <= MOST_PARTS && (parallel || !strcmp(argv[1], "sequential"));
  for (char *next = right ? strtok(argv[2], ",") : 0; next; next = strtok(0, ","))
    right = right && servers_count < MOST_SERVERS && !parse_address(next, &servers[servers_count++]);
  if (!right) {
    fputs("usage: fetch sequential|parallel ADDRESS:PORT[,ADDRESS:PORT]... PATH...\n", stderr);
    return 2;
  }
  int64_t began = now_ns();
  for (int i = 0; i < count; i++) {
    parts[i] = (part){i, argv[i + 3]};
    if (parallel) threads[i] = thread_start(fetch, &parts[i]);
    else fetch(&parts[i]);
  }
  for (int i = 0; parallel && i < count; i++) thread_join(threads[i]);
  fprintf(stderr, "%d parts in %lld ms\n", count, (now_ns() - began) / 1000000);
  return failed;
}
