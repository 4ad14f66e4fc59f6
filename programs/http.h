// The client's side of HTTP/1.0, for programs with several threads: no memory of its own.
#pragma once
#include "socket.h"
#include <stdbool.h>
#include <unistd.h>

// A reply that is on its way; `bytes` has the `have` of its body that came last.
typedef struct {
  int fd;
  size_t have;
  char bytes[4096];
} reply;

static inline bool http_more(reply *r) {
  __wasi_iovec_t into = {(uint8_t *)r->bytes, sizeof r->bytes};
  r->have = 0;
  return !__wasi_fd_read(r->fd, &into, 1, &r->have) && r->have > 0;
}
static inline void http_close(reply *r) { close(r->fd); }

// Asks for a path and reads the head of the reply; false where the server does not answer with 200.
static inline bool http_get(const address_t *server, const char *path, reply *r) {
  char request[512], head[512];
  size_t length = snprintf(request, sizeof request, "GET /%s HTTP/1.0\r\n\r\n", path), got = 0, sent = 0;
  if (length >= sizeof request || sock_open(INET4, STREAM, 0, &r->fd)) return false;
  if (sock_connect(r->fd, server)) goto failed;
  while (sent < length) {
    size_t count = 0;
    __wasi_ciovec_t from = {(uint8_t *)request + sent, length - sent};
    if (__wasi_fd_write(r->fd, &from, 1, &count)) goto failed;
    sent += count;
  }
  while (got + 1 < sizeof head) {  // a byte at a time: what is behind the head is left where it is
    size_t count = 0;
    __wasi_iovec_t into = {(uint8_t *)head + got, 1};
    if (__wasi_fd_read(r->fd, &into, 1, &count) || count == 0) goto failed;
    head[++got] = 0;
    if (got < 4 || memcmp(head + got - 4, "\r\n\r\n", 4)) continue;
    if (strncmp(head, "HTTP/1.", 7) || strncmp(head + 8, " 200", 4)) goto failed;
    return true;
  }
failed:
  http_close(r);
  return false;
}
