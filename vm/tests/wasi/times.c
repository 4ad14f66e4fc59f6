// Times of files: set by path, by descriptor, through and on links, now and untouched.
#include "say.h"
#include <time.h>
#include <sys/time.h>

static void show(const char *path) {
  struct stat about;
  if (lstat(path, &about) < 0) {
    printf("%s: %s\n", path, strerror(errno));
    return;
  }
  printf("%s %lld.%09ld %lld.%09ld\n", path, (long long)about.st_atim.tv_sec,
         about.st_atim.tv_nsec, (long long)about.st_mtim.tv_sec, about.st_mtim.tv_nsec);
}

int main(void) {
  struct timespec set[2] = {{1000000000, 123456789}, {1234567890, 987654321}};
  struct timespec omit[2] = {{0, UTIME_OMIT}, {77, 5}};
  struct timespec neither[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
  struct stat about;
  make("file", "x");
  mkdir("dir", 0777);
  symlink("file", "link");
  SAY(utimensat(AT_FDCWD, "file", set, 0));
  show("file");
  SAY(utimensat(AT_FDCWD, "file", omit, 0));
  show("file");
  SAY(utimensat(AT_FDCWD, "file", neither, 0));
  show("file");
  SAY(utimensat(AT_FDCWD, "dir", set, 0));
  show("dir");
  SAY(utimensat(AT_FDCWD, "link", omit, AT_SYMLINK_NOFOLLOW));
  SAY(lstat("link", &about));
  printf("link %lld, file %lld\n", (long long)about.st_mtim.tv_sec,
         (stat("file", &about), (long long)about.st_mtim.tv_sec));
  SAY(utimensat(AT_FDCWD, "link", set, 0));
  show("file");
  SAY(utimensat(AT_FDCWD, "none", set, 0));
  SAY(utimensat(AT_FDCWD, "file/", set, 0));
  SAY(utimensat(AT_FDCWD, "dir/", omit, 0));
  show("dir");
  int fd = open("file", O_RDWR);
  SAY(futimens(fd, omit));
  show("file");
  SAY(futimens(fd, NULL));
  SAY(fstat(fd, &about));
  printf("now: %d\n", llabs((long long)about.st_mtim.tv_sec - (long long)time(NULL)) < 5);
  SAY(futimens(fd, set));
  SAY(close(fd));
  fd = open("file", O_RDONLY);
  SAY(futimens(fd, omit));
  SAY(close(fd));
  SAY(utimensat(AT_FDCWD, "file", NULL, 0));
  SAY(stat("file", &about));
  printf("now: %d\n", llabs((long long)about.st_atim.tv_sec - (long long)time(NULL)) < 5);
  return 0;
}
