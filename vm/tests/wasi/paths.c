// Names of all kinds against every call that takes one: dots, slashes, lengths, odd bytes.
#include "say.h"

static void directories(void) {
  SAY(mkdir("d", 0777));
  SAY(mkdir("d", 0777));
  SAY(mkdir("d/", 0777));
  SAY(mkdir("slash/", 0777));
  SAY(mkdir("d/e/f", 0777));
  SAY(mkdir(".", 0777));
  SAY(mkdir("d/.", 0777));
  SAY(mkdir("d/..", 0777));
  SAY(mkdir("", 0777));
  make("f", "text");
  SAY(mkdir("f", 0777));
  SAY(mkdir("f/x", 0777));
  make("d/inside", "");
  SAY(rmdir("d"));
  SAY(rmdir("f"));
  SAY(rmdir("f/"));
  SAY(rmdir("none"));
  SAY(rmdir("."));
  SAY(rmdir("slash/."));
  SAY(rmdir("slash//"));
  SAY(rmdir("slash"));
}

static void removing(void) {
  mkdir("dir", 0777);
  make("file", "x");
  SAY(unlink("dir") == -1 && (errno == EISDIR || errno == EPERM) ? 0 : 1);
  SAY(unlink("file/"));
  SAY(unlink("none"));
  SAY(unlink("none/x"));
  SAY(unlink("file/x"));
  SAY(unlink(""));
  SAY(unlink("file"));
  SAY(unlink("file"));
  SAY(remove("dir"));
  SAY(remove("dir"));
}

static void dots(void) {
  struct stat about;
  mkdir("a", 0777);
  mkdir("a/b", 0777);
  make("a/b/c", "deep");
  printf("%s\n", text("a/b/c"));
  printf("%s\n", text("./a/./b/.//c"));
  printf("%s\n", text("a/../a/b/../b/c"));
  printf("%s\n", text("a/b/../../a/b/c"));
  SAY(open("../x", O_RDONLY));
  SAY(open("..", O_RDONLY));
  SAY(open("a/../../x", O_RDONLY));
  SAY(open("a/b/../../..", O_RDONLY));
  SAY(stat("../", &about));
  SAY(stat("a/..", &about));
  SAY(stat("a/b/c/..", &about));
  SAY(stat("a/b/c/.", &about));
  SAY(stat("a/b/c/", &about));
  SAY(stat("none/..", &about));
  SAY(mkdir("../x", 0777));
  SAY(unlink("../x"));
  SAY(rmdir(".."));
  SAY(rename("../x", "y"));
  SAY(rename("a/b/c", "../c"));
  SAY(link("a/b/c", "../c"));
  SAY(symlink("c", "../c"));
}

static void absolute(void) {
  struct stat about;
  SAY(open("/etc/passwd", O_RDONLY));
  SAY(stat("/etc", &about));
  SAY(mkdir("/x", 0777));
  SAY(open("/proc/self/root/etc/passwd", O_RDONLY));
  SAY(open("/dev/fd/0", O_RDONLY));
}

static void long_names(void) {
  static char name[70000];
  memset(name, 'n', 255);
  name[255] = 0;
  make(name, "255");
  printf("%s\n", text(name));
  SAY(unlink(name));
  name[255] = 'n';
  name[256] = 0;
  SAY(open(name, O_CREAT | O_WRONLY, 0666));
  SAY(mkdir(name, 0777));
  memset(name, 'n', 5000);
  name[5000] = 0;
  SAY(open(name, O_RDONLY));
  for (int i = 0; i < 60000; i += 2) memcpy(name + i, "./", 2);
  strcpy(name + 60000, "a");
  SAY(open(name, O_RDONLY));
}

static void odd_names(void) {
  const char *names[] = {" ", "\t\n", "*", "\\", "a b", "-rf", "\x1b[31m", "...", "..a", "a..",
                         "\xc3\xa9", "e\xcc\x81", "\xf0\x9f\xa6\xa2", "~", "C:", "a:b", "%00"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    make(names[i], "odd");
    printf("%zu %s %d\n", i, text(names[i]), unlink(names[i]));
  }
}

int main(void) {
  directories();
  removing();
  dots();
  absolute();
  long_names();
  odd_names();
  return 0;
}
