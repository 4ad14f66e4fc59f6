// Renaming files, directories and links onto each other, across directories, with slashes.
#include "say.h"

int main(void) {
  struct stat about;
  make("a", "A");
  SAY(rename("a", "b"));
  printf("%s %d\n", text("b"), access("a", F_OK));
  make("c", "C");
  SAY(rename("b", "c"));
  printf("%s\n", text("c"));
  SAY(rename("none", "x"));
  SAY(rename("c", "none/x"));
  SAY(rename("c", "c"));
  SAY(rename("c/", "x"));
  SAY(rename("c", "x/"));
  mkdir("d", 0777);
  mkdir("e", 0777);
  make("d/in", "in");
  SAY(rename("c", "d"));
  SAY(rename("d", "c"));
  SAY(rename("d", "e"));
  printf("%s\n", text("e/in"));
  mkdir("d", 0777);
  SAY(rename("d", "e"));
  SAY(rename("e", "e/below"));
  SAY(rename("e/", "f"));
  SAY(rename("f", "g/"));
  SAY(rename("g", "d"));
  printf("%s\n", text("d/in"));
  SAY(rename("d/in", "out"));
  printf("%s\n", text("out"));
  SAY(rename(".", "x"));
  SAY(rename("d", "."));
  SAY(rename("d/..", "x"));
  SAY(rename("", "x"));
  SAY(rename("out", ""));
  symlink("out", "link");
  SAY(rename("link", "moved"));
  SAY(lstat("moved", &about));
  printf("%s %s\n", kind(about.st_mode), text("moved"));
  make("plain", "plain");
  SAY(rename("plain", "moved"));
  SAY(lstat("moved", &about));
  printf("%s %s %s\n", kind(about.st_mode), text("moved"), text("out"));
  symlink("d", "dirlink");
  SAY(rename("out", "dirlink"));
  SAY(rename("d", "dirlink"));
  link("moved", "same");
  SAY(rename("moved", "same"));
  printf("%s %s\n", text("moved"), text("same"));
  int fd = open("same", O_RDONLY);
  SAY(rename("same", "elsewhere"));
  char buffer[8] = {0};
  SAY(read(fd, buffer, 7));
  printf("%s\n", buffer);
  SAY(close(fd));
  return 0;
}
