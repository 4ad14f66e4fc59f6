// A file server: HTTP/1.0, GET, the files of the first mounted directory, in three constructions.
// Shows: a single thread that blocks, a dispatcher with worker threads, and a finite-state machine
//        with non-blocking calls. Only the second is simple and serves many at once.
// Try:   brant run --dir . --net listen:127.0.0.1:8080 bin/fileserver.wasm workers 127.0.0.1:8080
//        curl http://127.0.0.1:8080/README.md
//
// usage: fileserver single|workers|machine ADDRESS:PORT [COUNT [DELAY]]
//        ends after COUNT connections (0: never); each block of a file takes DELAY milliseconds more
#include "socket.h"
#include "threads.h"
#include <unistd.h>

enum { DIRECTORY = 3, REQUEST_BYTES = 1024, BLOCK_BYTES = 4096, WORKERS = 32, MOST = 1000 };

static long connections = -1;  // how many are still to come; never reaches 0 from below
static int64_t delay_ns;

// ---- what all constructions share: the protocol ----
typedef struct { uint8_t bytes[BLOCK_BYTES]; size_t begin, end; } block;

static bool is_whole(const char *request) { return strstr(request, "\r\n\r\n") || strstr(request, "\n\n"); }

// Opens the file that a request is for, or gives -1, and writes the head of the reply.
static int answer(const char *request, block *head) {
  const char *status = "400 Bad Request";
  __wasi_filestat_t stat = {0};
  int file = -1;
  if (!strncmp(request, "GET /", 5)) {
    char path[REQUEST_BYTES];
    size_t length = strcspn(request + 5, " \r\n");
    memcpy(path, request + 5, length);
    path[length] = 0;
    __wasi_rights_t rights = __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_FILESTAT_GET;
    status = "404 Not Found";
    if (!__wasi_path_open(DIRECTORY, 0, path, 0, rights, 0, 0, &file)) {
      if (!__wasi_fd_filestat_get(file, &stat) && stat.filetype == __WASI_FILETYPE_REGULAR_FILE) {
        status = "200 OK";
      } else {
        close(file);
        file = -1;
        stat.size = 0;
      }
    }
  }
  head->begin = 0;
  head->end = snprintf((char *)head->bytes, BLOCK_BYTES, "HTTP/1.0 %s\r\nContent-Length: %llu\r\n\r\n",
                       status, stat.size);
  return file;
}

// Reads the next block of a file; false at its end.
static bool next_block(int file, block *b) {
  __wasi_iovec_t into = {b->bytes, BLOCK_BYTES};
  b->begin = b->end = 0;
  return file >= 0 && !__wasi_fd_read(file, &into, 1, &b->end) && b->end > 0;
}

// Sends what it can of a block; the error is AGAIN where a non-blocking connection has no room.
static int send_some(int fd, block *b) {
  while (b->begin < b->end) {
    __wasi_ciovec_t from = {b->bytes + b->begin, b->end - b->begin};
    size_t count = 0;
    int error = __wasi_fd_write(fd, &from, 1, &count);
    if (error) return error;
    b->begin += count;
  }
  return 0;
}

// Reads more of a request, which stays a string.
static int receive_some(int fd, char *request, size_t *have) {
  __wasi_iovec_t into = {(uint8_t *)request + *have, REQUEST_BYTES - 1 - *have};
  size_t count = 0;
  int error = __wasi_fd_read(fd, &into, 1, &count);
  *have += count;
  request[*have] = 0;
  return error ? error : count ? 0 : __WASI_ERRNO_PIPE;
}

// ---- a connection from beginning to end with blocking calls ----
static void serve(int fd) {
  char request[REQUEST_BYTES] = "";
  size_t have = 0;
  while (!is_whole(request))
    if (have == REQUEST_BYTES - 1 || receive_some(fd, request, &have)) goto out;
  block b;
  int file = answer(request, &b), error = send_some(fd, &b);
  while (!error && next_block(file, &b)) {
    if (delay_ns) sleep_ns(delay_ns);
    error = send_some(fd, &b);
  }
  if (file >= 0) close(file);
out:
  close(fd);
}

// ---- a single thread: one connection after the other ----
static void single(int listener) {
  for (int fd; connections != 0; connections--) {
    must("sock_accept", __wasi_sock_accept(listener, 0, &fd));
    serve(fd);
  }
}

// ---- a dispatcher takes connections and hands them to workers ----
static queue accepted;

static void worker(void *unused) {
  (void)unused;
  for (int fd; (fd = queue_take(&accepted)) >= 0;) serve(fd);
}
static void workers(int listener) {
  thread *pool[WORKERS];
  for (int i = 0; i < WORKERS; i++) pool[i] = thread_start(worker, 0);
  for (int fd; connections != 0; connections--) {
    must("sock_accept", __wasi_sock_accept(listener, 0, &fd));
    queue_put(&accepted, fd);
  }
  for (int i = 0; i < WORKERS; i++) queue_put(&accepted, -1);
  for (int i = 0; i < WORKERS; i++) thread_join(pool[i]);
}

// ---- a finite-state machine: what `serve` has on its stack stands in a record for each connection ----
typedef struct {
  enum { RECEIVING, SENDING, AT_DEVICE, OVER } state;
  int fd, file;
  int64_t ready_at;
  size_t have;
  char request[REQUEST_BYTES];
  block block;
} connection;

// Goes on until the connection would have to wait.
static void advance(connection *c) {
  for (int error = 0;;) {
    switch (c->state) {
      case RECEIVING:
        if (is_whole(c->request)) {
          c->file = answer(c->request, &c->block);
          c->state = SENDING;
        } else {
          error = c->have == REQUEST_BYTES - 1 ? __WASI_ERRNO_MSGSIZE : receive_some(c->fd, c->request, &c->have);
        }
        break;
      case SENDING:
        error = send_some(c->fd, &c->block);
        if (error) break;
        c->ready_at = now_ns() + delay_ns;
        c->state = next_block(c->file, &c->block) ? AT_DEVICE : OVER;
        break;
      case AT_DEVICE:
        if (delay_ns && now_ns() < c->ready_at) return;
        c->state = SENDING;
        break;
      case OVER:
        if (c->file >= 0) close(c->file);
        close(c->fd);
        return;
    }
    if (error == __WASI_ERRNO_AGAIN) return;
    if (error) c->state = OVER;
  }
}

// What a connection waits for.
static __wasi_subscription_t wanted(const connection *c, size_t at) {
  __wasi_subscription_t s = {.userdata = at};
  if (c->state == AT_DEVICE) {
    s.u.tag = __WASI_EVENTTYPE_CLOCK;
    s.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
    s.u.u.clock.timeout = c->ready_at;
    s.u.u.clock.flags = __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME;
  } else {
    s.u.tag = c->state == RECEIVING ? __WASI_EVENTTYPE_FD_READ : __WASI_EVENTTYPE_FD_WRITE;
    s.u.u.fd_read.file_descriptor = c->fd;  // at the same place for writing
  }
  return s;
}

static void machine(int listener) {
  static connection *open[MOST];
  static __wasi_subscription_t asked[MOST + 1];
  static __wasi_event_t events[MOST + 1];
  connection listening = {.state = RECEIVING, .fd = listener};
  size_t count = 0, ready;
  must("fd_fdstat_set_flags", __wasi_fd_fdstat_set_flags(listener, __WASI_FDFLAGS_NONBLOCK));
  while (count > 0 || connections != 0) {
    size_t subscriptions = 0;
    for (; subscriptions < count; subscriptions++) asked[subscriptions] = wanted(open[subscriptions], subscriptions);
    if (count < MOST && connections != 0) asked[subscriptions++] = wanted(&listening, MOST);
    must("poll_oneoff", __wasi_poll_oneoff(asked, events, subscriptions, &ready));
    for (size_t i = 0; i < ready; i++) {
      if (events[i].userdata < MOST) {
        advance(open[events[i].userdata]);
        continue;
      }
      for (int fd; count < MOST && connections != 0 && !__wasi_sock_accept(listener, __WASI_FDFLAGS_NONBLOCK, &fd); connections--) {
        connection *c = open[count++] = malloc(sizeof *c);
        if (!c) abort();
        c->state = RECEIVING, c->fd = fd, c->file = -1, c->have = 0, *c->request = 0;
      }
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
      if (open[i]->state == OVER) free(open[i]);
      else open[kept++] = open[i];
    count = kept;
  }
}

int main(int argc, char **argv) {
  address_t address;
  int listener;
  void (*construction)(int) = argc < 3 ? 0
                              : !strcmp(argv[1], "single") ? single
                              : !strcmp(argv[1], "workers") ? workers
                              : !strcmp(argv[1], "machine") ? machine : 0;
  if (!construction || parse_address(argv[2], &address)) {
    fputs("usage: fileserver single|workers|machine ADDRESS:PORT [COUNT [DELAY]]\n", stderr);
    return 2;
  }
  if (argc > 3 && atol(argv[3]) > 0) connections = atol(argv[3]);
  if (argc > 4) delay_ns = atol(argv[4]) * 1000000LL;
  must("sock_open", sock_open(INET4, STREAM, 0, &listener));
  must("sock_set_opt_flag", sock_set_opt_flag(listener, REUSE_ADDRESS, 1));
  must("sock_bind", sock_bind(listener, &address));
  must("sock_listen", sock_listen(listener, 1024));
  must("sock_addr_local", sock_addr_local(listener, &address));
  printf("port %d\n", address.port);
  fflush(stdout);
  construction(listener);
}
