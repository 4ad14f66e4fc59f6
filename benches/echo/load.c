// Has many connections to an echo server, each of which sends its next message as soon as the last one
// has come back, and says how many came back and how long that took.
//
// usage: load PORT CONNECTIONS SECONDS BYTES
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096, MOST_BYTES = 4096, BUCKETS = 1 << 20 };

static struct {
  int64_t sent_ns;
  int left;
} connections[MOST];

// How many answers took so many microseconds.
static uint32_t took_us[BUCKETS];
static char message[MOST_BYTES], answer[MOST_BYTES];

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void must(const char *what, int is_done) {
  if (!is_done) perror(what), exit(1);
}

static int64_t share_us(uint64_t all, double share) {
  uint64_t seen = 0;
  for (int i = 0; i < BUCKETS; i++)
    if ((seen += took_us[i]) >= all * share) return i;
  return BUCKETS;
}

int main(int argc, char **argv) {
  must("usage: load PORT CONNECTIONS SECONDS BYTES", argc == 5);
  int count = atoi(argv[2]), bytes = atoi(argv[4]), waits = epoll_create1(0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  memset(message, 'x', sizeof message);
  static int sockets[MOST];
  for (int i = 0; i < count && i < MOST; i++) {
    int fd = sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
    must("connect", !connect(fd, (struct sockaddr *)&address, sizeof address));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event wanted = {.events = EPOLLIN, .data.u32 = i};
    must("epoll_ctl", !epoll_ctl(waits, EPOLL_CTL_ADD, fd, &wanted));
  }
  int64_t began = now_ns(), until = began + (int64_t)(atof(argv[3]) * 1e9);
  for (int i = 0; i < count; i++) {
    connections[i].sent_ns = now_ns(), connections[i].left = bytes;
    must("write", write(sockets[i], message, bytes) == bytes);
  }
  uint64_t answered = 0;
  struct epoll_event events[MOST];
  while (now_ns() < until) {
    int ready = epoll_wait(waits, events, MOST, 1000);
    for (int e = 0; e < ready; e++) {
      int i = events[e].data.u32;
      ssize_t got = read(sockets[i], answer, connections[i].left);
      must("the server has gone", got > 0);
      if ((connections[i].left -= got) > 0) continue;
      int64_t now = now_ns(), us = (now - connections[i].sent_ns) / 1000;
      took_us[us < BUCKETS ? us : BUCKETS - 1]++, answered++;
      connections[i].sent_ns = now, connections[i].left = bytes;
      must("write", write(sockets[i], message, bytes) == bytes);
    }
  }
  double seconds = (now_ns() - began) / 1e9;
  printf("%.0f %lld %lld\n", answered / seconds, (long long)share_us(answered, 0.5), (long long)share_us(answered, 0.99));
  return 0;
}
