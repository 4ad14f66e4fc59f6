// The calls of sockets, one line for each answer.
#include "../../../programs/socket.h"

enum { UNIX = 3 };
WASIX(sock_pair) int sock_pair(int family, int type, int protocol, int *one, int *other);
WASIX(sock_status) int sock_status(int fd, uint8_t *status);
WASIX(sock_addr_peer) int sock_addr_peer(int fd, address_t *address);
WASIX(sock_get_opt_flag) int sock_get_opt_flag(int fd, int option, uint8_t *flag);
WASIX(sock_set_opt_size) int sock_set_opt_size(int fd, int option, uint64_t size);
WASIX(sock_get_opt_size) int sock_get_opt_size(int fd, int option, uint64_t *size);
WASIX(sock_set_opt_time) int sock_set_opt_time(int fd, int option, const void *time);
WASIX(sock_get_opt_time) int sock_get_opt_time(int fd, int option, void *time);
WASIX(sock_send_to) int send_to(int fd, const __wasi_ciovec_t *from, int count, int flags, const address_t *to, size_t *sent);
WASIX(sock_recv_from) int recv_from(int fd, const __wasi_iovec_t *into, int count, int flags, size_t *got, uint16_t *roflags, address_t *from);
WASIX(sock_send_file) int send_file(int out, int in, uint64_t offset, uint64_t count, uint64_t *sent);
WASIX(sock_shutdown) int shut_down(int fd, int how);

static void say(const char *what, int error) { printf("%s: %d\n", what, error); }

static address_t local(const char *text) {
  address_t address;
  must(text, parse_address(text, &address));
  return address;
}

static void opening(void) {
  int fd, other;
  say("no such family", sock_open(9, STREAM, 0, &fd));
  say("raw", sock_open(INET4, 3, 0, &fd));
  say("UDP on a stream", sock_open(INET4, STREAM, 17, &fd));
  say("a pair of TCP", sock_pair(INET4, STREAM, 0, &fd, &other));
  say("outside of memory", sock_open(INET4, STREAM, 0, (int *)0xfffffffe));
  say("no socket", sock_listen(1, 1));
  say("not open", sock_listen(99, 1));
}

static void denied(void) {
  int fd;
  address_t address = local("127.0.0.2:1");
  must("sock_open", sock_open(INET4, STREAM, 0, &fd));
  say("connect where no rule allows it", sock_connect(fd, &address));
  say("listen where no rule allows it", sock_bind(fd, &address));
  address = local("127.0.0.1:9");
  say("connect where a rule denies it", sock_connect(fd, &address));
  say("listen without an address", sock_listen(fd, 1));
  size_t count;
  uint8_t found[1][18];
  say("ask for a name", resolve("example.org", 11, 0, found, 1, &count));
  say("ask for an address", resolve("10.1.2.3", 8, 0, found, 1, &count));
  printf("%zu address, %d.%d.%d.%d\n", count, found[0][2], found[0][3], found[0][4], found[0][5]);
  say("fd_close", __wasi_fd_close(fd));
}

static void tcp(void) {
  int listener, client, server;
  uint8_t status;
  address_t address = local("127.0.0.1:0"), caller, peer;
  must("sock_open", sock_open(INET4, STREAM, 6, &listener));
  say("bind", sock_bind(listener, &address));
  say("status", sock_status(listener, &status));
  printf("opening: %d\n", status);
  say("listen", sock_listen(listener, 8));
  say("status", sock_status(listener, &status));
  printf("opened: %d\n", status);
  must("sock_addr_local", sock_addr_local(listener, &address));
  must("fd_fdstat_set_flags", __wasi_fd_fdstat_set_flags(listener, __WASI_FDFLAGS_NONBLOCK));
  say("nobody has called", sock_accept(listener, 0, &server, &caller));
  must("sock_open", sock_open(INET4, STREAM, 0, &client));
  say("receive before connecting", __wasi_fd_read(client, &(__wasi_iovec_t){(uint8_t *)&peer, 1}, 1, &(size_t){0}));
  say("connect", sock_connect(client, &address));
  say("connect again", sock_connect(client, &address));
  say("accept", sock_accept(listener, 0, &server, &caller));
  must("sock_addr_local", sock_addr_local(client, &peer));
  printf("called by the client: %d\n", caller.port == peer.port && memcmp(caller.ip, peer.ip, 4) == 0);
  must("sock_addr_peer", sock_addr_peer(client, &peer));
  printf("to the listener: %d\n", peer.port == address.port);
  char text[8] = {0};
  size_t count;
  uint16_t roflags;
  say("send", __wasi_fd_write(client, &(__wasi_ciovec_t){(uint8_t *)"hello", 5}, 1, &count));
  say("receive", recv_from(server, &(__wasi_iovec_t){(uint8_t *)text, 8}, 1, 0, &count, &roflags, &peer));
  printf("%zu bytes: %s, from the client: %d\n", count, text, peer.port == caller.port);
  say("nothing more at once", recv_from(server, &(__wasi_iovec_t){(uint8_t *)text, 8}, 1, 8, &count, &roflags, &peer));
  say("half closed", shut_down(client, 2));
  say("the end", __wasi_fd_read(server, &(__wasi_iovec_t){(uint8_t *)text, 8}, 1, &count));
  printf("%zu bytes\n", count);
  say("send a file", send_file(client, server, 0, 1, &(uint64_t){0}));
  int all[] = {listener, client, server};
  for (int i = 0; i < 3; i++) must("fd_close", __wasi_fd_close(all[i]));
}

static void udp(void) {
  int one, other;
  address_t address = local("127.0.0.1:0"), from;
  must("sock_open", sock_open(INET4, DATAGRAM, 17, &one));
  must("sock_open", sock_open(INET4, DATAGRAM, 0, &other));
  must("sock_bind", sock_bind(one, &address));
  must("sock_addr_local", sock_addr_local(one, &address));
  char text[8] = {0};
  size_t count;
  uint16_t roflags;
  __wasi_ciovec_t parts[2] = {{(uint8_t *)"mes", 3}, {(uint8_t *)"sage", 4}};
  say("send", send_to(other, parts, 2, 0, &address, &count));
  printf("%zu bytes\n", count);
  say("receive", recv_from(one, &(__wasi_iovec_t){(uint8_t *)text, 4}, 1, 0, &count, &roflags, &from));
  printf("%zu bytes, cut off: %d: %s\n", count, roflags, text);
  address = local("127.0.0.2:9");
  say("send where no rule allows it", send_to(other, parts, 1, 0, &address, &count));
}

static void options(void) {
  int one, other;
  struct { uint8_t tag; uint64_t ns; } time = {1, 1000000};
  uint8_t flag;
  uint64_t size;
  must("sock_pair", sock_pair(UNIX, STREAM, 0, &one, &other));
  int tcp;
  must("sock_open", sock_open(INET4, STREAM, 0, &tcp));
  say("no_delay", sock_set_opt_flag(tcp, NO_DELAY, 1));
  say("no_delay", sock_get_opt_flag(tcp, NO_DELAY, &flag));
  printf("is %d\n", flag);
  say("a flag that is a size", sock_set_opt_flag(tcp, 15, 1));
  say("no such option", sock_set_opt_flag(tcp, 99, 1));
  say("a flag of 2", sock_set_opt_flag(tcp, NO_DELAY, 2));
  say("promiscuous", sock_set_opt_flag(tcp, 9, 1));
  say("ttl", sock_set_opt_size(tcp, 23, 7));
  say("ttl", sock_get_opt_size(tcp, 23, &size));
  printf("is %d\n", (int)size);
  say("ttl of 1000", sock_set_opt_size(tcp, 23, 1000));
  say("error", sock_get_opt_size(tcp, 11, &size));
  printf("is %d\n", (int)size);
  say("recv_timeout", sock_set_opt_time(one, 19, &time));
  say("recv_timeout", sock_get_opt_time(one, 19, &time));
  printf("is %d, %d\n", time.tag, (int)time.ns);
  char text[8] = {0};
  size_t count;
  say("its time is over", __wasi_fd_read(one, &(__wasi_iovec_t){(uint8_t *)text, 8}, 1, &count));
  say("send", __wasi_fd_write(other, &(__wasi_ciovec_t){(uint8_t *)"pair", 4}, 1, &count));
  say("receive", __wasi_fd_read(one, &(__wasi_iovec_t){(uint8_t *)text, 8}, 1, &count));
  printf("%zu bytes: %s\n", count, text);
}

int main(void) {
  opening();
  denied();
  tcp();
  udp();
  options();
  int fd, count = 0;
  while (sock_open(INET4, STREAM, 0, &fd) == 0) count++;
  printf("%d more sockets\n", count);
  return 0;
}
