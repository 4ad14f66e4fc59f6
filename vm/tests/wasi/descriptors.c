// Descriptors: what fdstat and filestat tell, flags, rights, renumbering, granted directories.
#include "say.h"
#include <wasi/api.h>

static void tell(const char *what, int fd) {
  __wasi_fdstat_t stat;
  int error = __wasi_fd_fdstat_get(fd, &stat);
  printf("%s: ", what);
  if (error) printf("%s\n", strerror(error));
  else printf("type %d flags %d\n", stat.fs_filetype, stat.fs_flags);
}

int main(void) {
  make("file", "content");
  make("other", "other content");
  mkdir("dir", 0777);
  int file = open("file", O_RDWR), directory = open("dir", O_RDONLY | O_DIRECTORY);
  tell("file", file);
  tell("directory", directory);
  tell("granted", 3);
  tell("none", 99);
  int append = open("file", O_RDWR | O_APPEND);
  tell("append", append);
  RAW(__wasi_fd_fdstat_set_flags(append, 0));
  tell("append", append);
  RAW(__wasi_fd_fdstat_set_flags(file, __WASI_FDFLAGS_APPEND));
  tell("file", file);
  RAW(__wasi_fd_fdstat_set_flags(99, 0));
  __wasi_filestat_t about;
  RAW(__wasi_fd_filestat_get(file, &about));
  printf("type %d links %d size %d\n", about.filetype, (int)about.nlink, (int)about.size);
  RAW(__wasi_fd_filestat_get(directory, &about));
  printf("type %d\n", about.filetype);
  RAW(__wasi_fd_filestat_get(99, &about));
  __wasi_filestat_t by_path;
  RAW(__wasi_path_filestat_get(3, 0, "file", &by_path));
  RAW(__wasi_fd_filestat_get(file, &about));
  printf("same file: %d\n", by_path.ino == about.ino && by_path.dev == about.dev);

  __wasi_prestat_t prestat;
  RAW(__wasi_fd_prestat_get(3, &prestat));
  printf("tag %d length %d\n", prestat.tag, (int)prestat.u.dir.pr_name_len);
  unsigned char name[16] = {0};
  RAW(__wasi_fd_prestat_dir_name(3, name, prestat.u.dir.pr_name_len));
  printf("%s\n", name);
  RAW(__wasi_fd_prestat_get(4, &prestat));
  RAW(__wasi_fd_prestat_get(0, &prestat));
  RAW(__wasi_fd_prestat_get(99, &prestat));
  RAW(__wasi_fd_prestat_dir_name(99, name, 16));

  __wasi_filesize_t position;
  RAW(__wasi_fd_seek(file, 3, __WASI_WHENCE_SET, &position));
  RAW(__wasi_fd_tell(file, &position));
  printf("position %d\n", (int)position);
  RAW(__wasi_fd_tell(directory, &position));
  RAW(__wasi_fd_tell(99, &position));
  RAW(__wasi_fd_seek(99, 0, __WASI_WHENCE_SET, &position));

  int from = open("other", O_RDONLY);
  RAW(__wasi_fd_renumber(from, file));
  char buffer[16] = {0};
  SAY(read(file, buffer, 5));
  printf("%s\n", buffer);
  SAY(read(from, buffer, 5) < 0 && errno == EBADF ? 0 : 1);
  RAW(__wasi_fd_renumber(file, file));
  SAY(read(file, buffer, 8));
  RAW(__wasi_fd_renumber(99, file));
  RAW(__wasi_fd_renumber(file, 99));
  RAW(__wasi_fd_close(file));
  RAW(__wasi_fd_close(file));
  RAW(__wasi_fd_close(99));
  RAW(__wasi_fd_sync(append));
  RAW(__wasi_fd_datasync(append));
  RAW(__wasi_fd_sync(99));
  RAW(__wasi_fd_allocate(append, 0, 0));
  RAW(__wasi_fd_filestat_set_size(append, 5));
  RAW(__wasi_fd_advise(append, 0, 0, __WASI_ADVICE_WILLNEED));
  RAW(__wasi_fd_advise(99, 0, 0, __WASI_ADVICE_WILLNEED));
  RAW(__wasi_sock_shutdown(append, __WASI_SDFLAGS_RD));
  RAW(__wasi_sock_shutdown(99, __WASI_SDFLAGS_RD));
  printf("%s\n", text("file"));
  return 0;
}
