// Symbolic and hard links: made, read, followed, looped, dangling, and pointing outside.
#include "say.h"

static void reading(void) {
  char buffer[16] = {0};
  make("target", "hello");
  SAY(symlink("target", "link"));
  SAY(symlink("target", "link"));
  SAY(readlink("link", buffer, 16));
  printf("%s\n", buffer);
  memset(buffer, 0, 16);
  SAY(readlink("link", buffer, 3));
  printf("%s\n", buffer);
  SAY(readlink("target", buffer, 16));
  SAY(readlink("none", buffer, 16));
  SAY(readlink("link/", buffer, 16));
  SAY(readlink(".", buffer, 16));
  printf("%s\n", text("link"));
}

static void looking(void) {
  struct stat about;
  SAY(stat("link", &about));
  printf("%s %lld\n", kind(about.st_mode), (long long)about.st_size);
  SAY(lstat("link", &about));
  printf("%s %lld\n", kind(about.st_mode), (long long)about.st_size);
  SAY(open("link", O_RDONLY | O_NOFOLLOW));
  SAY(open("link/", O_RDONLY));
  SAY(lstat("link/", &about));
  SAY(stat("link/", &about));
  mkdir("dir", 0777);
  make("dir/in", "inside");
  SAY(symlink("dir", "dirlink"));
  SAY(lstat("dirlink", &about));
  printf("%s\n", kind(about.st_mode));
  SAY(lstat("dirlink/", &about));
  printf("%s\n", kind(about.st_mode));
  SAY(stat("dirlink/", &about));
  printf("%s\n", text("dirlink/in"));
  SAY(open("dirlink", O_RDONLY | O_NOFOLLOW));
  SAY(open("dirlink", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  SAY(close(open("dirlink/in", O_RDONLY | O_NOFOLLOW)));
  SAY(rmdir("dirlink"));
  SAY(rmdir("dirlink/"));
  SAY(unlink("dirlink/"));
  SAY(unlink("dirlink"));
  SAY(mkdir("link", 0777));
  SAY(open("link", O_CREAT | O_EXCL | O_WRONLY, 0666));
}

static void dangling(void) {
  struct stat about;
  SAY(symlink("nowhere", "dangling"));
  SAY(open("dangling", O_RDONLY));
  SAY(stat("dangling", &about));
  SAY(lstat("dangling", &about));
  SAY(mkdir("dangling", 0777));
  SAY(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0666));
  make("dangling", "through");
  printf("%s\n", text("nowhere"));
  SAY(unlink("dangling"));
  SAY(unlink("nowhere"));
  SAY(symlink("", "empty"));
  SAY(symlink("x", "none/link"));
  SAY(symlink("x", "dir/"));
  SAY(symlink("x", "new/"));
  SAY(symlink("x", "target/"));
}

static void loops(void) {
  struct stat about;
  char name[16], to[16];
  SAY(symlink("self", "self"));
  SAY(open("self", O_RDONLY));
  SAY(open("self/x", O_RDONLY));
  SAY(stat("self", &about));
  SAY(lstat("self", &about));
  SAY(symlink("pong", "ping"));
  SAY(symlink("ping", "pong"));
  SAY(open("ping", O_RDONLY));
  make("chain0", "end of chain");
  for (int i = 1; i <= 45; i++) {
    snprintf(name, 16, "chain%d", i);
    snprintf(to, 16, "chain%d", i - 1);
    symlink(to, name);
  }
  printf("%s\n", text("chain39"));
  printf("%s\n", text("chain40"));
  SAY(open("chain41", O_RDONLY));
  SAY(open("chain45", O_RDONLY));
}

static void escaping(void) {
  struct stat about;
  SAY(symlink("/etc/passwd", "absolute"));
  SAY(symlink("/", "root"));
  SAY(open("absolute", O_RDONLY));
  mkdir("deep", 0777);
  SAY(symlink("../target", "deep/up"));
  printf("%s\n", text("deep/up"));
  SAY(symlink("deep/../target", "roundabout"));
  printf("%s\n", text("roundabout"));
  SAY(stat("deep/up/x", &about));
}

static void hard(void) {
  struct stat about;
  make("one", "shared");
  SAY(link("one", "two"));
  SAY(link("one", "two"));
  SAY(stat("two", &about));
  printf("links %d\n", (int)about.st_nlink);
  make("two", "changed");
  printf("%s\n", text("one"));
  SAY(unlink("one"));
  SAY(stat("two", &about));
  printf("links %d %s\n", (int)about.st_nlink, text("two"));
  SAY(link("none", "three"));
  SAY(link("dir", "dir2"));
  SAY(link("two", "dir"));
  SAY(link("two", "three/"));
  SAY(link("two/", "three"));
  SAY(link("two", "none/three"));
  symlink("two", "soft");
  SAY(link("soft", "hardsoft"));
  SAY(lstat("hardsoft", &about));
  printf("%s\n", kind(about.st_mode));
}

int main(void) {
  reading();
  looking();
  dangling();
  loops();
  escaping();
  hard();
  return 0;
}
