// Opening, reading, writing, seeking and resizing files: every flag, and what is refused.
#include "say.h"
#include <sys/uio.h>

static void opening(void) {
  SAY(open("none", O_RDONLY));
  SAY(close(open("made", O_CREAT | O_WRONLY, 0666)) );
  SAY(open("made", O_CREAT | O_EXCL | O_WRONLY, 0666));
  SAY(close(open("fresh", O_CREAT | O_EXCL | O_RDWR, 0666)));
  make("full", "0123456789");
  SAY(close(open("full", O_CREAT | O_WRONLY, 0666)));
  printf("kept: %s\n", text("full"));
  SAY(close(open("full", O_TRUNC | O_WRONLY)));
  printf("emptied: [%s]\n", text("full"));
  SAY(open("full/", O_RDONLY));
  SAY(open("full", O_RDONLY | O_DIRECTORY));
  SAY(open("none", O_RDONLY | O_DIRECTORY));
  SAY(open("none/below", O_CREAT | O_WRONLY, 0666));
  SAY(open("full/below", O_CREAT | O_WRONLY, 0666));
  SAY(open("new/", O_CREAT | O_WRONLY, 0666));
  mkdir("dir", 0777);
  SAY(close(open("dir", O_RDONLY)));
  SAY(close(open("dir/", O_RDONLY | O_DIRECTORY)));
  SAY(open("dir", O_WRONLY));
  SAY(open("dir", O_RDWR));
  SAY(open("dir", O_CREAT | O_WRONLY, 0666));
  SAY(open("dir", O_CREAT | O_EXCL | O_WRONLY, 0666));
  SAY(open("", O_RDONLY));
}

static void access_modes(void) {
  char buffer[16];
  make("rights", "abcdef");
  int reader = open("rights", O_RDONLY), writer = open("rights", O_WRONLY);
  SAY(read(reader, buffer, 3));
  SAY(write(reader, "x", 1));
  SAY(write(writer, "x", 1));
  SAY(read(writer, buffer, 3));
  SAY(ftruncate(reader, 1));
  SAY(ftruncate(writer, 4));
  SAY(close(reader));
  SAY(close(reader));
  SAY(read(reader, buffer, 1));
  SAY(close(writer));
  printf("rights: %s\n", text("rights"));
  SAY(read(99, buffer, 1));
  SAY(close(-1));
}

static void seeking(void) {
  char buffer[16] = {0};
  make("seek", "0123456789");
  int fd = open("seek", O_RDWR);
  SAY(lseek(fd, 0, SEEK_END));
  SAY(lseek(fd, -3, SEEK_END));
  SAY(read(fd, buffer, 16));
  printf("read: %s\n", buffer);
  SAY(lseek(fd, -1, SEEK_SET));
  SAY(lseek(fd, -11, SEEK_CUR));
  SAY(lseek(fd, 2, SEEK_SET));
  SAY(lseek(fd, 2, SEEK_CUR));
  SAY(lseek(fd, 1LL << 40, SEEK_SET));
  SAY(read(fd, buffer, 1));
  SAY(lseek(fd, 0x7fffffffffffffffLL, SEEK_SET));
  SAY(lseek(fd, 1, SEEK_CUR));
  SAY(lseek(fd, 14, SEEK_SET));
  SAY(write(fd, "end", 3));
  SAY(lseek(fd, 0, SEEK_CUR));
  SAY(pread(fd, buffer, 16, 8));
  for (int i = 0; i < 9; i++) printf("%d ", buffer[i]);
  printf("\n");
  SAY(close(fd));
}

static void positions(void) {
  char buffer[16] = {0};
  make("at", "0123456789");
  int fd = open("at", O_RDWR);
  SAY(pread(fd, buffer, 4, 3));
  printf("%.4s\n", buffer);
  SAY(lseek(fd, 0, SEEK_CUR));
  SAY(pwrite(fd, "ABC", 3, 8));
  SAY(lseek(fd, 0, SEEK_CUR));
  SAY(pread(fd, buffer, 4, 100));
  SAY(pread(fd, buffer, 4, -1));
  SAY(pwrite(fd, "x", 1, -1));
  SAY(pread(fd, buffer, 0, 0));
  SAY(pwrite(fd, "", 0, 50));
  SAY(close(fd));
  printf("at: %s\n", text("at"));
}

static void vectors(void) {
  char a[4] = {0}, b[1], c[8] = {0};
  int fd = open("vectors", O_CREAT | O_RDWR, 0666);
  struct iovec out[] = {{"one", 3}, {"", 0}, {"two", 3}, {"three", 5}};
  SAY(writev(fd, out, 4));
  SAY(lseek(fd, 0, SEEK_SET));
  struct iovec in[] = {{a, 3}, {b, 0}, {c, 7}};
  SAY(readv(fd, in, 3));
  printf("%s %s\n", a, c);
  SAY(readv(fd, in, 3));
  SAY(readv(fd, in, 3));
  SAY(writev(fd, out, 0));
  SAY(close(fd));
}

static void appending(void) {
  char buffer[32] = {0};
  make("log", "start");
  int fd = open("log", O_APPEND | O_RDWR);
  SAY(lseek(fd, 0, SEEK_CUR));
  SAY(write(fd, "+1", 2));
  SAY(lseek(fd, 0, SEEK_SET));
  SAY(write(fd, "+2", 2));
  SAY(lseek(fd, 0, SEEK_CUR));
  SAY(pread(fd, buffer, 31, 0));
  printf("log: %s\n", buffer);
  SAY(fcntl(fd, F_GETFL) & O_APPEND ? 1 : 0);
  SAY(fcntl(fd, F_SETFL, 0));
  SAY(fcntl(fd, F_GETFL) & O_APPEND ? 1 : 0);
  SAY(lseek(fd, 0, SEEK_SET));
  SAY(write(fd, "START", 5));
  SAY(fcntl(fd, F_SETFL, O_APPEND));
  SAY(write(fd, "+3", 2));
  SAY(close(fd));
  printf("log: %s\n", text("log"));
}

static void sizes(void) {
  struct stat about;
  make("size", "0123456789");
  int fd = open("size", O_RDWR);
  SAY(ftruncate(fd, 4));
  SAY(fstat(fd, &about));
  printf("%lld\n", (long long)about.st_size);
  SAY(ftruncate(fd, 8));
  char buffer[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  SAY(read(fd, buffer, 8));
  printf("%d %d\n", buffer[3], buffer[7]);
  SAY(ftruncate(fd, -1));
  SAY(posix_fallocate(fd, 0, 20));
  SAY(fstat(fd, &about));
  printf("%lld\n", (long long)about.st_size);
  SAY(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
  SAY(posix_fadvise(fd, 0, 0, 99));
  SAY(fsync(fd));
  SAY(fdatasync(fd));
  SAY(close(fd));
  SAY(truncate("size", 3));
  SAY(stat("size", &about));
  printf("%lld %s\n", (long long)about.st_size, kind(about.st_mode));
  SAY(truncate("none", 3));
  SAY(truncate("dir", 3));
}

static void unlinked(void) {
  char buffer[8] = {0};
  struct stat about;
  int fd = open("gone", O_CREAT | O_RDWR, 0666);
  SAY(unlink("gone"));
  SAY(write(fd, "still", 5));
  SAY(lseek(fd, 0, SEEK_SET));
  SAY(read(fd, buffer, 8));
  SAY(fstat(fd, &about));
  printf("%s %lld links %d\n", buffer, (long long)about.st_size, (int)about.st_nlink);
  SAY(close(fd));
  SAY(open("gone", O_RDONLY));
}

int main(void) {
  opening();
  access_modes();
  seeking();
  positions();
  vectors();
  appending();
  sizes();
  unlinked();
  return 0;
}
