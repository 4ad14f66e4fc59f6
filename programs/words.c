// words: counts the words of files (or of standard input) and prints the most frequent ones.
//
// Shows: files below a mounted directory, a hash table that grows, sorting.
// Try:   brant run --dir . programs/bin/words.wasm README.md docs/ARCHITECTURE.md
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 64, SHOWN = 10 };
typedef struct {
  char *text;
  unsigned count;
} Word;

static Word *table;
static size_t room, used;

static void *must(void *memory) {
  if (!memory) fputs("words: out of memory\n", stderr), exit(1);
  return memory;
}

// The place of `text`: its own, or the free one where it belongs.
static Word *find(const char *text) {
  unsigned hash = 2166136261u;
  for (const char *c = text; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
  size_t i = hash & (room - 1);
  while (table[i].text && strcmp(table[i].text, text)) i = (i + 1) & (room - 1);
  return &table[i];
}

static void grow(void) {
  Word *old = table;
  size_t old_room = room;
  room = room ? 2 * room : 1024;
  table = must(calloc(room, sizeof *table));
  for (size_t i = 0; i < old_room; i++)
    if (old[i].text) *find(old[i].text) = old[i];
  free(old);
}

static void count(const char *text) {
  if (2 * used >= room) grow();
  Word *word = find(text);
  if (!word->text) word->text = must(strdup(text)), used++;
  word->count++;
}

static void read_words(FILE *file) {
  char word[LONGEST + 1];
  size_t length = 0;
  for (int c; (c = getc(file)) != EOF;) {
    if (isalpha(c) || c >= 0x80) {
      if (length < LONGEST) word[length++] = (char)tolower(c);
    } else if (length) {
      word[length] = 0, length = 0;
      count(word);
    }
  }
  if (length) word[length] = 0, count(word);
}

static int by_count(const void *a, const void *b) {
  const Word *x = a, *y = b;
  if (x->count != y->count) return x->count < y->count ? 1 : -1;
  return x->text && y->text ? strcmp(x->text, y->text) : 0;
}

int main(int argc, char **argv) {
  int status = 0;
  if (argc == 1) read_words(stdin);
  for (int i = 1; i < argc; i++) {
    FILE *file = fopen(argv[i], "rb");
    if (!file) {
      fprintf(stderr, "words: %s: %s\n", argv[i], strerror(errno));
      status = 1;
      continue;
    }
    read_words(file);
    fclose(file);
  }
  if (table) qsort(table, room, sizeof *table, by_count);
  for (size_t i = 0; i < used && i < SHOWN; i++) printf("%7u %s\n", table[i].count, table[i].text);
  return status;
}
