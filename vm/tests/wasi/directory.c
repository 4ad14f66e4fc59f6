// Reading directories: all names once, jumping back, removing while reading, tiny buffers.
#include "say.h"
#include <dirent.h>
#ifdef __wasi__
#include <wasi/api.h>
#endif

static int by_name(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

static void list(const char *path) {
  char *names[64];
  int count = 0;
  DIR *dir = opendir(path);
  if (!dir) {
    printf("opendir %s: %s\n", path, strerror(errno));
    return;
  }
  struct dirent *entry;
  while ((entry = readdir(dir)) && count < 64) {
    char line[300];
    const char *type = entry->d_type == DT_REG ? "file" : entry->d_type == DT_DIR ? "directory"
                     : entry->d_type == DT_LNK ? "link" : "other";
    snprintf(line, sizeof line, "%s %s", entry->d_name, type);
    names[count++] = strdup(line);
  }
  qsort(names, count, sizeof *names, by_name);
  for (int i = 0; i < count; i++) printf("%s\n", names[i]);
  SAY(closedir(dir));
}

static void many(int count) {
  char name[64], seen[4000] = {0};
  mkdir("many", 0777);
  for (int i = 0; i < count; i++) {
    snprintf(name, sizeof name, "many/entry-with-a-long-name-%d", i);
    make(name, "");
  }
  DIR *dir = opendir("many");
  struct dirent *entry;
  int found = 0, twice = 0, number;
  long middle = 0;
  char after_middle[64] = "";
  while ((entry = readdir(dir))) {
    if (sscanf(entry->d_name, "entry-with-a-long-name-%d", &number) != 1) continue;
    if (middle && !*after_middle) strcpy(after_middle, entry->d_name);
    if (found == count / 2) middle = telldir(dir);
    twice += seen[number]++;
    found++;
  }
  printf("found %d, twice %d\n", found, twice);
  seekdir(dir, middle);
  entry = readdir(dir);
  printf("back in the middle: %s\n", entry && !strcmp(entry->d_name, after_middle) ? "same" : "other");
  rewinddir(dir);
  for (found = 0; readdir(dir);) found++;
  printf("again %d\n", found);
  make("many/late", "");
  rewinddir(dir);
  for (found = 0; readdir(dir);) found++;
  printf("with a late one %d\n", found);
  rewinddir(dir);
  int removed = 0;
  while ((entry = readdir(dir))) {
    if (entry->d_name[0] == '.') continue;
    snprintf(name, sizeof name, "many/%s", entry->d_name);
    removed += unlink(name) == 0;
  }
  printf("removed %d\n", removed);
  SAY(closedir(dir));
  SAY(rmdir("many"));
}

#ifdef __wasi__
static void raw(void) {
  unsigned char buffer[512];
  __wasi_size_t used;
  mkdir("raw", 0777);
  make("raw/only", "");
  int fd = open("raw", O_RDONLY | O_DIRECTORY);
  RAW(__wasi_fd_readdir(fd, buffer, 0, 0, &used));
  printf("used %zu\n", (size_t)used);
  for (size_t size = 1; size <= 30; size += 7) {
    RAW(__wasi_fd_readdir(fd, buffer, size, 0, &used));
    printf("%zu: used %zu\n", size, (size_t)used);
  }
  __wasi_dircookie_t cookie = 0;
  int count = 0;
  do {
    __wasi_fd_readdir(fd, buffer, 40, cookie, &used);
    __wasi_dirent_t entry;
    if (used < sizeof entry) break;
    memcpy(&entry, buffer, sizeof entry);
    cookie = entry.d_next;
    printf("%.*s %d\n", (int)entry.d_namlen, buffer + sizeof entry, entry.d_type);
  } while (++count < 9);
  RAW(__wasi_fd_readdir(fd, buffer, 512, 1 << 20, &used));
  printf("used %zu\n", (size_t)used);
  RAW(__wasi_fd_readdir(fd, buffer, 512, -1ull, &used));
  printf("used %zu\n", (size_t)used);
  RAW(__wasi_fd_readdir(1, buffer, 512, 0, &used));
  RAW(__wasi_fd_readdir(77, buffer, 512, 0, &used));
  SAY(read(fd, buffer, 1));
  SAY(write(fd, buffer, 1));
  SAY(lseek(fd, 0, SEEK_SET));
  SAY(unlink("raw/only"));
  SAY(rmdir("raw"));
  RAW(__wasi_fd_readdir(fd, buffer, 512, 3, &used));
  printf("used %zu\n", (size_t)used);
  SAY(close(fd));
}
#endif

int main(void) {
  mkdir("d", 0777);
  make("d/file", "");
  mkdir("d/sub", 0777);
  symlink("file", "d/link");
  list("d");
  list("d/sub");
  list("d/file");
  list("none");
  list("d/link");
  many(1000);
#ifdef __wasi__
  raw();
#endif
  return 0;
}
