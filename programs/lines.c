// lines: a small line editor for pipes. Reads standard input, writes standard output.
//
// Shows: a filter that reads until its input ends, and errors that a shell user expects.
// Try:   ls | brant run programs/bin/lines.wasm number
//        brant run programs/bin/lines.wasm find needle < haystack
//
//   number          each line with its number          reverse     last line first
//   find TEXT       lines that contain TEXT            unique      one of each run of equal lines
//   count           lines, words and bytes             replace A B each A by B
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *message, const char *what) {
  fprintf(stderr, "lines: %s%s\n", message, what);
  exit(2);
}

// A line without its newline; the length in *length. NULL at the end of the input.
static char *next_line(size_t *length) {
  static char *line;
  static size_t room;
  ssize_t got = getline(&line, &room, stdin);
  if (got < 0) return NULL;
  if (got > 0 && line[got - 1] == '\n') line[--got] = 0;
  *length = (size_t)got;
  return line;
}

static void put(const char *line, size_t length) {
  fwrite(line, 1, length, stdout);
  putchar('\n');
}

static void replace(const char *line, const char *from, const char *to) {
  const char *hit;
  while ((hit = strstr(line, from))) {
    fwrite(line, 1, (size_t)(hit - line), stdout);
    fputs(to, stdout);
    line = hit + strlen(from);
  }
  puts(line);
}

static void reverse(void) {
  char **lines = NULL, *line;
  size_t count = 0, room = 0, length;
  while ((line = next_line(&length))) {
    if (count == room) {
      room = room ? 2 * room : 64;
      lines = realloc(lines, room * sizeof *lines);
      if (!lines) fail("out of memory", "");
    }
    if (!(lines[count++] = strdup(line))) fail("out of memory", "");
  }
  while (count) puts(lines[--count]);
}

int main(int argc, char **argv) {
  const char *verb = argc > 1 ? argv[1] : "";
  int wanted = !strcmp(verb, "find") ? 1 : !strcmp(verb, "replace") ? 2 : 0;
  if (argc < 2) fail("say what to do: number, find, count, reverse, unique or replace", "");
  if (argc != 2 + wanted) fail("wrong number of words after ", verb);
  if (wanted && !*argv[2]) fail("an empty text is everywhere: give one with a letter in it", "");

  size_t length, count = 0, words = 0, bytes = 0;
  char *line, *last = NULL;
  if (!strcmp(verb, "reverse")) return reverse(), 0;
  int number = !strcmp(verb, "number"), find = wanted == 1, counting = !strcmp(verb, "count");
  int unique = !strcmp(verb, "unique");
  if (!number && !wanted && !counting && !unique) fail("unknown verb: ", verb);
  while ((line = next_line(&length))) {
    count++;
    bytes += length + 1;
    if (number) {
      printf("%6zu  ", count);
      put(line, length);
    } else if (find) {
      if (strstr(line, argv[2])) put(line, length);
    } else if (wanted == 2) {
      replace(line, argv[2], argv[3]);
    } else if (unique) {
      if (last && !strcmp(last, line)) continue;
      put(line, length);
      free(last);
      last = strdup(line);
    } else {
      int inside = 0;
      for (size_t i = 0; i < length; i++) {
        int space = isspace((unsigned char)line[i]);
        words += !space && !inside;
        inside = !space;
      }
    }
  }
  if (counting) printf("%zu %zu %zu\n", count, words, bytes);
  return 0;
}
