// Calls a server, sends lines and prints what comes back.
//
// Shows: a client, and names.
// Try:   brant run --net connect:localhost programs/bin/ask.wasm localhost:7000 hello
//
// usage: ask HOST:PORT LINE...     HOST is an address or a name

#include "socket.h"

// The address of `localhost:8080` or `127.0.0.1:8080`.
static void find(const char *text, address_t *address) {
  if (parse_address(text, address) == 0) return;
  const char *colon = strrchr(text, ':');
  if (!colon) must("the address", 1);
  uint8_t found[16][18];
  size_t count = 0;
  must("resolve", resolve(text, colon - text, 0, found, 16, &count));
  for (size_t i = 0; i < count; i++) {
    if (found[i][0] != INET4) continue;
    memcpy(address->ip, &found[i][2], 4);
    address->port = atoi(colon + 1);
    return;
  }
  must("no address of IPv4", 1);
}

int main(int argc, char **argv) {
  if (argc < 3) must("usage: ask HOST:PORT LINE...", 1);
  address_t address;
  find(argv[1], &address);
  int fd;
  must("sock_open", sock_open(INET4, STREAM, 0, &fd));
  must("sock_connect", sock_connect(fd, &address));
  for (int i = 2; i < argc; i++) {
    char reply[4096];
    size_t length = strlen(argv[i]), done = 0, count;
    __wasi_ciovec_t from = {(const uint8_t *)argv[i], length};
    must("fd_write", __wasi_fd_write(fd, &from, 1, &count));
    while (done < length && done < sizeof reply) {
      __wasi_iovec_t into = {(uint8_t *)reply + done, sizeof reply - done};
      must("fd_read", __wasi_fd_read(fd, &into, 1, &count));
      if (count == 0) must("the server has gone", 1);
      done += count;
    }
    printf("%.*s\n", (int)done, reply);
  }
  return 0;
}
