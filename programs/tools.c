// tools: the small programs that pipelines are made of, in one module; each by its name.
//
// Shows: one program under many names, as busybox does it. A shell asks it for what it does not find.
// Try:   brant run programs/bin/tools.wasm seq 5
//        brant run --dir programs/bin::/bin programs/bin/sh.wasm -c 'seq 100 | grep 7 | sort -rn | head -3'
//
//   cat [FILE...]            grep [-v] [-i] [-c] [-n] TEXT     seq [FIRST] LAST      tee FILE...
//   head [-N]   tail [-N]    sort [-r] [-n] [-u]               sleep SECONDS         tr FROM TO
//   wc [-l]                  uniq [-c]                         yes [TEXT]            env
//   ls [FOLDER]              mkdir FOLDER...                   rm FILE...            size
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "process.h"

extern char **environ;
static const char *tool;

static int fail(const char *what) {
  fprintf(stderr, "%s: %s: %s\n", tool, what, strerror(errno));
  return 1;
}
static _Noreturn void refuse(const char *usage) {
  fprintf(stderr, "usage: %s %s\n", tool, usage);
  exit(2);
}

// A line without its line break; NULL at the end.
static char *next_line(void) {
  static char *line;
  static size_t room;
  ssize_t got = getline(&line, &room, stdin);
  if (got < 0) return NULL;
  if (got && line[got - 1] == '\n') line[got - 1] = 0;
  return line;
}

// Takes options of one letter off the arguments; which of `known` there are, as bits.
static unsigned options(char ***argv, const char *known, const char *usage) {
  unsigned found = 0;
  while (**argv && ***argv == '-' && (**argv)[1]) {
    for (const char *c = **argv + 1; *c; c++) {
      const char *place = strchr(known, *c);
      if (!place) refuse(usage);
      found |= 1u << (place - known);
    }
    ++*argv;
  }
  return found;
}

static int cat(char **argv) {
  int failed = 0;
  bool from_stdin = !*argv;
  do {
    int fd = from_stdin || !strcmp(*argv, "-") ? 0 : open(*argv, O_RDONLY);
    if (fd < 0) { failed = fail(*argv); continue; }
    char buffer[16384];
    for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) != 0;) {
      if (got < 0 || write(1, buffer, (size_t)got) != got) return fail(from_stdin ? "-" : *argv);
    }
    if (fd) close(fd);
  } while (!from_stdin && *++argv);
  return failed;
}

static long count_of(char **argv, const char *usage) {
  if (!*argv) return 10;
  if (**argv != '-' || !isdigit((unsigned char)(*argv)[1])) refuse(usage);
  return atol(*argv + 1);
}

static int head(char **argv) {
  char *line;
  for (long left = count_of(argv, "[-N]"); left > 0 && (line = next_line()); left--) puts(line);
  return 0;
}

static int tail(char **argv) {
  long most = count_of(argv, "[-N]"), seen = 0;
  if (most <= 0) return 0;
  char **last = calloc((size_t)most, sizeof *last), *line;
  if (!last) return fail("-");
  for (; (line = next_line()); seen++) free(last[seen % most]), last[seen % most] = strdup(line);
  for (long i = seen > most ? seen - most : 0; i < seen; i++) puts(last[i % most]);
  return 0;
}

static int wc(char **argv) {
  bool only_lines = options(&argv, "l", "[-l]");
  unsigned long lines = 0, words = 0, bytes = 0;
  bool in_word = false;
  for (int c; (c = getchar()) != EOF; bytes++) {
    lines += c == '\n';
    words += !in_word && !isspace(c);
    in_word = !isspace(c);
  }
  if (only_lines) printf("%lu\n", lines);
  else printf("%lu %lu %lu\n", lines, words, bytes);
  return 0;
}

static bool has(const char *line, const char *text, bool any_case) {
  size_t length = strlen(text);
  for (; strlen(line) >= length; line++)
    if (!(any_case ? strncasecmp(line, text, length) : strncmp(line, text, length))) return true;
  return false;
}

static int grep(char **argv) {
  enum { OTHERS = 1, ANY_CASE = 2, COUNT = 4, NUMBERS = 8 };
  unsigned how = options(&argv, "vicn", "[-v] [-i] [-c] [-n] TEXT");
  if (!*argv) refuse("[-v] [-i] [-c] [-n] TEXT");
  unsigned long number = 0, found = 0;
  for (char *line; (line = next_line());) {
    number++;
    if (has(line, *argv, how & ANY_CASE) == (bool)(how & OTHERS)) continue;
    found++;
    if (how & COUNT) continue;
    if (how & NUMBERS) printf("%lu:", number);
    puts(line);
  }
  if (how & COUNT) printf("%lu\n", found);
  return !found;
}

static bool by_number;
static int compare(const void *a, const void *b) {
  const char *one = *(char *const *)a, *other = *(char *const *)b;
  double x = by_number ? atof(one) : 0, y = by_number ? atof(other) : 0;
  return x < y ? -1 : x > y ? 1 : strcmp(one, other);
}

static int sort(char **argv) {
  enum { REVERSE = 1, NUMBER = 2, UNIQUE = 4 };
  unsigned how = options(&argv, "rnu", "[-r] [-n] [-u]");
  char **lines = NULL, *line;
  size_t count = 0, room = 0;
  while ((line = next_line())) {
    if (count == room) lines = realloc(lines, (room = 2 * room + 64) * sizeof *lines);
    if (!lines || !(lines[count++] = strdup(line))) return fail("-");
  }
  by_number = how & NUMBER;
  if (count) qsort(lines, count, sizeof *lines, compare);
  for (size_t i = 0; i < count; i++) {
    size_t k = how & REVERSE ? count - 1 - i : i, before = how & REVERSE ? k + 1 : k - 1;
    if (!(how & UNIQUE) || i == 0 || strcmp(lines[k], lines[before])) puts(lines[k]);
  }
  return 0;
}

static int uniq(char **argv) {
  bool counts = options(&argv, "c", "[-c]");
  char *last = NULL, *line;
  for (unsigned long count = 0;;) {
    line = next_line();
    if (line && last && !strcmp(line, last)) { count++; continue; }
    if (last && counts) printf("%lu ", count);
    if (last) puts(last);
    free(last);
    if (!line) return 0;
    last = strdup(line), count = 1;
  }
}

static int seq(char **argv) {
  if (!*argv) refuse("[FIRST] LAST");
  long first = argv[1] ? atol(argv[0]) : 1, last = atol(argv[1] ? argv[1] : argv[0]);
  for (; first <= last; first++) printf("%ld\n", first);
  return 0;
}

static int translate(char **argv) {
  if (!argv[0] || !argv[1] || !*argv[1]) refuse("FROM TO     as in: tr abc xyz, tr a-z A-Z");
  unsigned char to[256], sets[2][256];
  size_t lengths[2] = {0, 0};
  for (int i = 0; i < 2; i++)
    for (const unsigned char *c = (unsigned char *)argv[i]; *c && lengths[i] < 256; c++) {
      unsigned last = c[1] == '-' && c[2] ? c[2] : *c;
      for (unsigned at = *c; at <= last && lengths[i] < 256; at++) sets[i][lengths[i]++] = (unsigned char)at;
      if (c[1] == '-' && c[2]) c += 2;
    }
  for (int i = 0; i < 256; i++) to[i] = (unsigned char)i;
  for (size_t i = 0; i < lengths[0]; i++) to[sets[0][i]] = sets[1][i < lengths[1] ? i : lengths[1] - 1];
  for (int c; (c = getchar()) != EOF;) putchar(to[c]);
  return 0;
}

static int tee(char **argv) {
  int files[16], count = 0, failed = 0;
  for (; *argv && count < 16; argv++) {
    files[count] = open(*argv, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (files[count] < 0) failed = fail(*argv);
    else count++;
  }
  char buffer[16384];
  for (ssize_t got; (got = read(0, buffer, sizeof buffer)) > 0;) {
    if (write(1, buffer, (size_t)got) != got) failed = 1;
    for (int i = 0; i < count; i++)
      if (write(files[i], buffer, (size_t)got) != got) failed = fail("write");
  }
  return failed;
}

static int sleep_for(char **argv) {
  if (!*argv) refuse("SECONDS");
  double seconds = atof(*argv);
  struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  return nanosleep(&time, NULL) ? 1 : 0;
}

static int yes(char **argv) {
  while (puts(*argv ? *argv : "y") >= 0) {}
  return 1;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int ls(char **argv) {
  const char *folder = *argv ? *argv : ".";
  DIR *open = opendir(folder);
  if (!open) return fail(folder);
  char **names = NULL;
  size_t count = 0;
  for (struct dirent *entry; (entry = readdir(open));) {
    if (*entry->d_name == '.') continue;
    names = realloc(names, (count + 1) * sizeof *names);
    if (!names) return fail(folder);
    names[count++] = strdup(entry->d_name);
  }
  closedir(open);
  if (count) qsort(names, count, sizeof *names, by_name);
  for (size_t i = 0; i < count; i++) puts(names[i]);
  return 0;
}

static int make_folders(char **argv) {
  int failed = 0;
  for (; *argv; argv++)
    if (mkdir(*argv, 0777)) failed = fail(*argv);
  return failed;
}

static int remove_files(char **argv) {
  int failed = 0;
  for (; *argv; argv++)
    if (unlink(*argv)) failed = fail(*argv);
  return failed;
}

static int env(char **argv) {
  (void)argv;
  for (char **pair = environ; *pair; pair++) puts(*pair);
  return 0;
}

// Prints the size of the terminal, and again whenever it changes, if it shall follow.
static volatile int changes;
__attribute__((export_name("on_signal"))) void on_signal(int signal) {
  if (signal == SIGNAL_WINCH) changes++;
  else exit(128 + signal);
}
static int size(char **argv) {
  bool follows = options(&argv, "f", "[-f]");
  if (follows) callback_signal("on_signal", strlen("on_signal"));
  for (int seen = -1; seen != changes;) {
    seen = changes;
    tty_state terminal;
    tty_get(&terminal);
    if (!terminal.columns) return fputs("size: here is no terminal\n", stderr), 1;
    printf("%u columns, %u rows\n", terminal.columns, terminal.rows);
    fflush(stdout);
    // A change between the look and the sleep does not end the sleep: it is a short one.
    while (follows && seen == changes) nanosleep(&(struct timespec){0, 50000000}, NULL);
  }
  return 0;
}

static const struct { const char *name; int (*run)(char **argv); } tools[] = {
    {"cat", cat}, {"env", env}, {"grep", grep}, {"head", head}, {"ls", ls}, {"mkdir", make_folders},
    {"rm", remove_files}, {"seq", seq}, {"size", size}, {"sleep", sleep_for}, {"sort", sort}, {"tail", tail},
    {"tee", tee}, {"tr", translate}, {"uniq", uniq}, {"wc", wc}, {"yes", yes}};

int main(int argc, char **argv) {
  const char *slash = argc ? strrchr(*argv, '/') : NULL;
  for (int i = 0; i < 2 && i < argc; i++) {
    tool = i == 0 && slash ? slash + 1 : argv[i];
    for (size_t k = 0; k < sizeof tools / sizeof *tools; k++)
      if (!strcmp(tool, tools[k].name)) {
        int code = tools[k].run(argv + i + 1);
        return fflush(stdout) ? 1 : code;
      }
    // A shell asks by the name that it wants, and takes this for an answer.
    if (i == 0 && strncmp(tool, "tools", 5)) break;
  }
  if (argc && !strncmp(slash ? slash + 1 : *argv, "tools", 5)) {
    fputs("usage: tools NAME [ARGUMENT...]     the names:", stderr);
    for (size_t k = 0; k < sizeof tools / sizeof *tools; k++) fprintf(stderr, " %s", tools[k].name);
    return fputc('\n', stderr), 2;
  }
  fprintf(stderr, "%s: not found\n", argc ? *argv : "tools");
  return 127;
}
