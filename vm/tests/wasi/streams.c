// The standard streams: reading to the end, writing to each, and what does not fit them.
#include "say.h"

int main(int argc, char **argv) {
  char buffer[64] = {0};
  printf("arguments %d:", argc - 1);
  for (int i = 1; i < argc; i++) printf(" [%s]", argv[i]);
  printf("\nGREETING=%s\n", getenv("GREETING") ? getenv("GREETING") : "(none)");
  fflush(stdout);
  SAY(read(0, buffer, 3));
  printf("[%s]\n", buffer);
  SAY(read(0, buffer, 63));
  printf("[%s]\n", buffer);
  SAY(read(0, buffer, 63));
  SAY(read(0, buffer, 0));
  SAY(isatty(0));
  SAY(isatty(1));
  SAY(isatty(77));
  SAY(lseek(1, 0, SEEK_CUR) < 0 && errno == ESPIPE ? 0 : 1);
  SAY(ftruncate(1, 0) < 0 ? 0 : 1);
  fflush(stdout);
  SAY(write(2, "to standard error\n", 18));
  SAY(write(1, "", 0));
  struct stat about;
  SAY(fstat(0, &about));
  SAY(fstat(1, &about));
  SAY(close(2));
  SAY(write(2, "x", 1));
  fflush(stdout);
  return 42;
}
