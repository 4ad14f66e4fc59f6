// Sockets for C programs: the calls of WASIX that the C library at hand does not have.
// Spec: WASIX, module `wasix_32v1`.
#ifndef SOCKET_H
#define SOCKET_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

#define WASIX(name) __attribute__((import_module("wasix_32v1"), import_name(#name)))

enum { INET4 = 1, STREAM = 1, DATAGRAM = 2, REUSE_ADDRESS = 2, NO_DELAY = 3 };

// An address and a port; of IPv4, and with room for any other.
typedef struct {
  uint8_t family, unused;
  uint16_t port;
  uint8_t ip[106];
} address_t;

WASIX(sock_open) int sock_open(int family, int type, int protocol, int *fd);
WASIX(sock_bind) int sock_bind(int fd, const address_t *address);
WASIX(sock_listen) int sock_listen(int fd, int backlog);
WASIX(sock_accept_v2) int sock_accept(int fd, int flags, int *connection, address_t *caller);
WASIX(sock_connect) int sock_connect(int fd, const address_t *address);
WASIX(sock_addr_local) int sock_addr_local(int fd, address_t *address);
WASIX(sock_set_opt_flag) int sock_set_opt_flag(int fd, int option, int flag);
WASIX(resolve) int resolve(const char *host, size_t host_len, int port, uint8_t (*addresses)[18], size_t most, size_t *count);

// `127.0.0.1:8080` as an address; 0 if it is one.
static inline int parse_address(const char *text, address_t *address) {
  unsigned ip[4], port;
  memset(address, 0, sizeof *address);
  address->family = INET4;
  if (sscanf(text, "%u.%u.%u.%u:%u", &ip[0], &ip[1], &ip[2], &ip[3], &port) != 5) return 1;
  for (int i = 0; i < 4; i++) address->ip[i] = ip[i];
  address->port = port;
  return 0;
}

// Ends the program where a call has failed.
static inline void must(const char *call, int error) {
  if (error == 0) return;
  fprintf(stderr, "%s: error %d\n", call, error);
  exit(1);
}
#endif
