// A server that sends back what it receives: one thread, all connections at once.
//
// Shows: sockets, and waiting for many of them together.
// Try:   brant run --net listen:127.0.0.1:7000 programs/bin/echo.wasm 127.0.0.1:7000
//
// usage: echo ADDRESS:PORT [COUNT]     ends after COUNT connections, if that is given
//        echo                          takes the calls of the listener that is open as descriptor 3

#include "socket.h"

enum { MOST = 4000, BYTES = 4096 };

static __wasi_subscription_t waits_for[MOST];
static __wasi_event_t events[MOST];
static uint8_t bytes[BYTES];

static __wasi_subscription_t readable(int fd) {
  __wasi_subscription_t wanted = {.userdata = fd, .u = {.tag = __WASI_EVENTTYPE_FD_READ}};
  wanted.u.u.fd_read.file_descriptor = fd;
  return wanted;
}

// Sends back what is there; 0 if the connection is at its end.
static int serve(int fd) {
  __wasi_iovec_t into = {bytes, BYTES};
  size_t count = 0;
  __wasi_errno_t error = __wasi_fd_read(fd, &into, 1, &count);
  if (error == __WASI_ERRNO_AGAIN) return 1;
  if (error || count == 0) return 0;
  __wasi_ciovec_t from = {bytes, count};
  return __wasi_fd_write(fd, &from, 1, &count) == 0;
}

int main(int argc, char **argv) {
  int listener = 3;
  long ends_after = argc > 2 ? atol(argv[2]) : -1;
  if (argc > 1) {
    address_t address;
    must("the address", parse_address(argv[1], &address));
    must("sock_open", sock_open(INET4, STREAM, 0, &listener));
    must("sock_set_opt_flag", sock_set_opt_flag(listener, REUSE_ADDRESS, 1));
    must("sock_bind", sock_bind(listener, &address));
    must("sock_listen", sock_listen(listener, 1024));
    must("sock_addr_local", sock_addr_local(listener, &address));
    printf("port %d\n", address.port);
    fflush(stdout);
  }
  must("fd_fdstat_set_flags", __wasi_fd_fdstat_set_flags(listener, __WASI_FDFLAGS_NONBLOCK));
  size_t open = 1;
  waits_for[0] = readable(listener);
  while (ends_after != 0) {
    size_t ready = 0;
    must("poll_oneoff", __wasi_poll_oneoff(waits_for, events, open, &ready));
    for (size_t i = 0; i < ready; i++) {
      int fd = events[i].userdata;
      must("the event", events[i].error);
      if (fd == listener) {
        int connection;
        while (open < MOST && __wasi_sock_accept(listener, 0, &connection) == 0)
          waits_for[open++] = readable(connection);
      } else if (!serve(fd)) {
        must("fd_close", __wasi_fd_close(fd));
        size_t at = 1;
        while ((int)waits_for[at].userdata != fd) at++;
        waits_for[at] = waits_for[--open];
        if (ends_after > 0) ends_after--;
      }
    }
  }
  return 0;
}
