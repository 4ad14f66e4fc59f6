// Waiting: clocks relative and absolute, several at once, files that are always ready, bad ones.
#include "say.h"
#include <poll.h>
#include <time.h>
#include <sys/select.h>
#include <wasi/api.h>

static __wasi_timestamp_t now(void) {
  __wasi_timestamp_t time;
  __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 0, &time);
  return time;
}

static __wasi_subscription_t timer(__wasi_userdata_t name, __wasi_timestamp_t ns, int absolute) {
  __wasi_subscription_t s = {.userdata = name};
  s.u.tag = __WASI_EVENTTYPE_CLOCK;
  s.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
  s.u.u.clock.timeout = ns;
  s.u.u.clock.flags = absolute ? __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME : 0;
  return s;
}

static __wasi_subscription_t ready(__wasi_userdata_t name, int tag, int fd) {
  __wasi_subscription_t s = {.userdata = name};
  s.u.tag = tag;
  s.u.u.fd_read.file_descriptor = fd;
  return s;
}

static void ask(const char *what, __wasi_subscription_t *in, size_t count) {
  __wasi_event_t out[8];
  __wasi_size_t got = 0;
  __wasi_timestamp_t before = now();
  int error = __wasi_poll_oneoff(in, out, count, &got);
  long long ms = (now() - before) / 1000000;
  printf("%s: %s, %d events, %s\n", what, error ? strerror(error) : "ok", (int)got,
         ms < 9 ? "at once" : ms < 1000 ? "after a while" : "late");
  for (size_t i = 0; !error && i < got; i++) {
    printf("  %d type %d %s\n", (int)out[i].userdata, out[i].type,
           out[i].error ? strerror(out[i].error) : "ok");
  }
}

int main(void) {
  __wasi_subscription_t in[4];
  ask("nothing", in, 0);
  in[0] = timer(1, 10000000, 0);
  ask("10 ms", in, 1);
  in[0] = timer(2, 0, 0);
  ask("zero", in, 1);
  in[0] = timer(3, now() + 10000000, 1);
  ask("until 10 ms", in, 1);
  in[0] = timer(4, now() - 10000000, 1);
  ask("until then", in, 1);
  in[0] = timer(5, 10000000, 0);
  in[1] = timer(6, 900000000000, 0);
  ask("the first of two", in, 2);
  in[0] = timer(7, 0, 0);
  in[1] = timer(8, 0, 0);
  ask("both", in, 2);
  make("file", "content");
  int fd = open("file", O_RDWR);
  in[0] = ready(9, __WASI_EVENTTYPE_FD_READ, fd);
  in[1] = timer(10, 900000000000, 0);
  ask("a file to read", in, 2);
  in[0] = ready(11, __WASI_EVENTTYPE_FD_WRITE, fd);
  ask("a file to write", in, 2);
  in[0] = ready(12, __WASI_EVENTTYPE_FD_READ, fd);
  in[1] = ready(13, __WASI_EVENTTYPE_FD_WRITE, fd);
  ask("a file, both ways", in, 2);
  in[0] = ready(14, __WASI_EVENTTYPE_FD_READ, 77);
  in[1] = timer(15, 900000000000, 0);
  ask("no such descriptor", in, 2);
  in[0] = ready(16, __WASI_EVENTTYPE_FD_WRITE, 1);
  ask("standard output", in, 2);
  struct pollfd fds[2] = {{fd, POLLIN | POLLOUT, 0}, {-1, POLLIN, 0}};
  SAY(poll(fds, 1, 1000));
  printf("revents %d\n", fds[0].revents == (POLLIN | POLLOUT));
  SAY(poll(fds, 0, 10));
  fd_set set;
  FD_ZERO(&set);
  FD_SET(fd, &set);
  struct timeval second = {1, 0};
  SAY(select(fd + 1, &set, NULL, NULL, &second));
  printf("set %d\n", FD_ISSET(fd, &set) != 0);
  return 0;
}
