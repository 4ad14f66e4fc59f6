// kv: a key-value store on one file that only grows: each change is a record at its end.
//
// Shows: open, append, seek and rename below a mounted directory; an unfinished last record is dropped.
// Try:   brant run --dir . programs/bin/kv.wasm store.kv set greeting hello
//        brant run --dir . programs/bin/kv.wasm store.kv get greeting
//
//   set KEY VALUE    get KEY    delete KEY    list    compact
//
// A record: key length and value length (u32, little-endian; a value length of 0xFFFFFFFF deletes),
// a checksum of both texts (u32), key, value.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 1 << 20, BUCKETS = 4096 };
static const uint32_t DELETED = 0xFFFFFFFF;
typedef struct Entry {
  struct Entry *next;
  char *key, *value;
} Entry;
static Entry *buckets[BUCKETS];

static void fail(const char *what, const char *path) {
  fprintf(stderr, "kv: %s: %s\n", path, what);
  exit(1);
}

static uint32_t hash(const char *text, size_t length, uint32_t h) {
  for (size_t i = 0; i < length; i++) h = (h ^ (unsigned char)text[i]) * 16777619u;
  return h;
}

static Entry **find(const char *key) {
  Entry **entry = &buckets[hash(key, strlen(key), 2166136261u) % BUCKETS];
  while (*entry && strcmp((*entry)->key, key)) entry = &(*entry)->next;
  return entry;
}

static void put_u32(FILE *file, uint32_t x) {
  for (int i = 0; i < 4; i++) putc((int)(x >> 8 * i & 255), file);
}
static int get_u32(FILE *file, uint32_t *x) {
  unsigned char b[4];
  if (fread(b, 1, 4, file) != 4) return 0;
  *x = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
  return 1;
}

static void append(FILE *file, const char *key, const char *value) {
  uint32_t key_length = (uint32_t)strlen(key), value_length = value ? (uint32_t)strlen(value) : 0;
  put_u32(file, key_length);
  put_u32(file, value ? value_length : DELETED);
  put_u32(file, hash(value ? value : "", value_length, hash(key, key_length, 2166136261u)));
  fwrite(key, 1, key_length, file);
  if (value) fwrite(value, 1, value_length, file);
}

static void set(const char *key, char *value) {
  Entry **place = find(key), *entry = *place;
  if (!value) {
    if (entry) *place = entry->next;
    return;
  }
  if (!entry) {
    entry = calloc(1, sizeof *entry);
    if (!entry || !(entry->key = strdup(key))) fail("out of memory", key);
    *place = entry;
  }
  entry->value = value;
}

// Reads all whole records; gives the length of what is sound.
static long load(FILE *file) {
  long sound = 0;
  for (;;) {
    uint32_t key_length, value_length, sum;
    if (!get_u32(file, &key_length) || !get_u32(file, &value_length) || !get_u32(file, &sum)) return sound;
    uint32_t length = value_length == DELETED ? 0 : value_length;
    if (key_length > LONGEST || length > LONGEST) return sound;
    char *key = calloc(1, key_length + 1), *value = calloc(1, length + 1);
    if (!key || !value) fail("out of memory", "record");
    if (fread(key, 1, key_length, file) != key_length || fread(value, 1, length, file) != length) return sound;
    if (hash(value, length, hash(key, key_length, 2166136261u)) != sum) return sound;
    set(key, value_length == DELETED ? NULL : value);
    sound = ftell(file);
  }
}

static int by_key(const void *a, const void *b) {
  return strcmp((*(Entry *const *)a)->key, (*(Entry *const *)b)->key);
}

// All entries in the order of their keys, to `file` as records or to standard output as text.
static void each(FILE *file) {
  size_t count = 0, i = 0;
  for (int b = 0; b < BUCKETS; b++)
    for (Entry *e = buckets[b]; e; e = e->next) count++;
  Entry **all = calloc(count + 1, sizeof *all);
  if (!all) fail("out of memory", "list");
  for (int b = 0; b < BUCKETS; b++)
    for (Entry *e = buckets[b]; e; e = e->next) all[i++] = e;
  qsort(all, count, sizeof *all, by_key);
  for (i = 0; i < count; i++) {
    if (file) append(file, all[i]->key, all[i]->value);
    else printf("%s=%s\n", all[i]->key, all[i]->value);
  }
}

static void compact(const char *path) {
  char scratch[4096];
  if ((size_t)snprintf(scratch, sizeof scratch, "%s.new", path) >= sizeof scratch) fail("name too long", path);
  FILE *file = fopen(scratch, "wb");
  if (!file) fail(strerror(errno), scratch);
  each(file);
  if (fclose(file) || rename(scratch, path)) fail(strerror(errno), path);
}

int main(int argc, char **argv) {
  const char *verb = argc > 2 ? argv[2] : "";
  int words = !strcmp(verb, "set") ? 5 : !strcmp(verb, "get") || !strcmp(verb, "delete") ? 4
            : !strcmp(verb, "list") || !strcmp(verb, "compact") ? 3 : 0;
  if (argc != words) {
    fputs("usage: kv FILE set KEY VALUE | get KEY | delete KEY | list | compact\n", stderr);
    return 2;
  }
  const char *path = argv[1];
  FILE *file = fopen(path, "r+b");
  if (!file && errno == ENOENT) file = fopen(path, "w+b");
  if (!file) fail(strerror(errno), path);
  long sound = load(file);
  if (words >= 4 && strlen(argv[3]) > LONGEST) fail("key too long", path);
  if (words == 5 && strlen(argv[4]) > LONGEST) fail("value too long", path);
  if (!strcmp(verb, "get")) {
    Entry *entry = *find(argv[3]);
    if (!entry) return 1;
    puts(entry->value);
  } else if (!strcmp(verb, "list")) {
    each(NULL);
  } else if (!strcmp(verb, "compact")) {
    compact(path);
  } else {
    if (!strcmp(verb, "delete") && !*find(argv[3])) return 1;
    if (fseek(file, sound, SEEK_SET)) fail(strerror(errno), path);
    append(file, argv[3], words == 5 ? argv[4] : NULL);
    if (fflush(file)) fail(strerror(errno), path);
  }
  return fclose(file) ? 1 : 0;
}
