// The echo server of programs/echo.c as one would write it for Linux: epoll, one thread.
//
// usage: server PORT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 1024, BYTES = 4096 };

static void must(const char *what, int is_done) {
  if (!is_done) perror(what), exit(1);
}

int main(int argc, char **argv) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  must("setsockopt", !setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
  must("bind", !bind(listener, (struct sockaddr *)&address, sizeof address));
  must("listen", !listen(listener, 1024));
  int waits = epoll_create1(0);
  struct epoll_event wanted = {.events = EPOLLIN, .data.fd = listener}, events[MOST];
  must("epoll_ctl", !epoll_ctl(waits, EPOLL_CTL_ADD, listener, &wanted));
  static char bytes[BYTES];
  for (;;) {
    int ready = epoll_wait(waits, events, MOST, -1);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        int connection;
        while ((connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
          wanted.data.fd = connection;
          must("epoll_ctl", !epoll_ctl(waits, EPOLL_CTL_ADD, connection, &wanted));
        }
        continue;
      }
      ssize_t count = read(fd, bytes, BYTES);
      if (count > 0) count = write(fd, bytes, count);
      if (count == 0 || (count < 0 && errno != EAGAIN)) close(fd);
    }
  }
}
