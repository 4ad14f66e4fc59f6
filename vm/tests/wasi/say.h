// What every program here prints with: one line for each question, so that two runtimes compare line
// by line. Numbers that may differ from machine to machine (times, inodes) are never printed.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Prints what a call gave: its result, or the name of its error.
#define SAY(call)                                                                                  \
  do {                                                                                             \
    errno = 0;                                                                                     \
    long long result = (long long)(call);                                                          \
    if (result < 0) printf("%s: %s\n", #call, strerror(errno));                                    \
    else printf("%s: %lld\n", #call, result);                                                      \
  } while (0)

// The same for a raw call, whose result is the error itself.
#define RAW(call)                                                                                  \
  do {                                                                                             \
    int error = (call);                                                                            \
    printf("%s: %s\n", #call, error ? strerror(error) : "ok");                                     \
  } while (0)

// A file with this text.
static inline void make(const char *path, const char *text) {
  int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0666);
  if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
    printf("make %s: %s\n", path, strerror(errno));
    exit(1);
  }
  close(fd);
}

// The whole of a short file.
static inline const char *text(const char *path) {
  static char buffer[256];
  int fd = open(path, O_RDONLY);
  if (fd < 0) return strerror(errno);
  ssize_t length = read(fd, buffer, sizeof buffer - 1);
  close(fd);
  buffer[length < 0 ? 0 : length] = 0;
  return buffer;
}

// What kind of file a mode tells.
static inline const char *kind(mode_t mode) {
  return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "link"
       : S_ISCHR(mode) ? "device" : "other";
}
