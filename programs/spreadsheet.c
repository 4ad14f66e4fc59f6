// A spreadsheet: cells A1 to Z99 hold numbers and formulas.
// Shows: three threads share one sheet: one for input, one that recalculates, one that saves.
//        The prompt answers at once, however long a recalculation takes.
// Try:   brant run --dir . bin/spreadsheet.wasm sheet.txt
//        A1 = 20000000, A2 = primes(A1), A1, show, A1 = 10, wait, show, quit
//        A line is `CELL = FORMULA`, `CELL`, `show`, `wait` (for the recalculation) or `quit`.
//        Formulas have + - * /, brackets, cells, sum(A1:B9) and primes(N), which is slow on purpose.
#include "threads.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { COLUMNS = 26, ROWS = 99, CELLS = COLUMNS * ROWS, FORMULA_BYTES = 64 };
typedef char formulas[CELLS][FORMULA_BYTES];

// What the threads share, under `lock`; `changed` is signalled to all at any change.
static struct {
  mutex lock;
  condition changed;
  formulas formulas;
  double values[CELLS];
  const char *errors[CELLS];
  int saved, calculated;  // the version that is in the file, and the one whose values stand here
  bool ends;
} sheet;
static atomic_int version;  // goes up with each change of a formula

// ---- formulas: recursive descent over a copy of the sheet, each cell evaluated once ----
static formulas copy;
static double values[CELLS];
static const char *errors[CELLS];
static enum { UNKNOWN, BEGUN, KNOWN } states[CELLS];
static int calculating;  // the version that `copy` is of
static const char *at, *error;

static bool outdated(void) { return atomic_load(&version) != calculating; }

// The number of the cell that a text begins with, or -1; `*end` is set behind it.
static int cell_of(const char *text, const char **end) {
  if (!isupper((unsigned char)text[0]) || !isdigit((unsigned char)text[1])) return -1;
  char *behind;
  long row = strtol(text + 1, &behind, 10);
  *end = behind;
  return row >= 1 && row <= ROWS ? (text[0] - 'A') * ROWS + (int)row - 1 : -1;
}

static bool next(char wanted) {
  while (*at == ' ') at++;
  return *at == wanted ? (at++, true) : false;
}
static double fail(const char *why) {
  if (!error) error = why;
  return 0;
}
static double sum(void);
static double value_of(int cell);

static double primes(double limit) {
  long count = 0;
  for (long n = 2; n < limit; n++) {
    bool prime = true;
    for (long d = 2; prime && d * d <= n; d++) prime = n % d != 0;
    count += prime;
    if (outdated()) return fail("outdated");
  }
  return count;
}
static double factor(void) {
  double value;
  if (next('-')) return -factor();
  if (next('(')) {
    value = sum();
    return next(')') ? value : fail("a bracket is open");
  }
  if (!strncmp(at, "primes(", 7)) {
    at += 7;
    value = sum();
    return next(')') ? primes(value) : fail("a bracket is open");
  }
  if (!strncmp(at, "sum(", 4)) {
    int from = cell_of(at + 4, &at);
    int to = from >= 0 && next(':') ? cell_of(at, &at) : -1;
    if (to < 0 || !next(')')) return fail("sum takes a range, as in sum(A1:B9)");
    value = 0;
    for (int column = from / ROWS; column <= to / ROWS; column++)
      for (int row = from % ROWS; row <= to % ROWS; row++) value += value_of(column * ROWS + row);
    return value;
  }
  int cell = cell_of(at, &at);
  if (cell >= 0) return value_of(cell);
  char *end;
  if (!isdigit((unsigned char)*at)) return fail("a number, a cell or a bracket was expected");
  value = strtod(at, &end);
  at = end;
  return value;
}
static double product(void) {
  double value = factor();
  for (;;) {
    if (next('*')) value *= factor();
    else if (next('/')) value /= factor();
    else return value;
  }
}
static double sum(void) {
  double value = product();
  for (;;) {
    if (next('+')) value += product();
    else if (next('-')) value -= product();
    else return value;
  }
}
static double value_of(int cell) {
  enum { DEEPEST = 200 };  // cells that wait for each other, on a small stack
  static int depth;
  if (states[cell] == BEGUN) return fail("needs itself");
  if (states[cell] == UNKNOWN && depth == DEEPEST) return fail("too many cells in a row");
  if (states[cell] == UNKNOWN) {
    const char *at_before = at, *error_before = error;
    states[cell] = BEGUN, depth++;
    at = copy[cell], error = 0;
    values[cell] = *at ? sum() : 0;
    while (*at == ' ') at++;
    if (*at) fail("something is left over");
    errors[cell] = error;
    at = at_before, error = error_before;
    states[cell] = KNOWN, depth--;
  }
  if (errors[cell]) fail(errors[cell]);
  return values[cell];
}

// ---- the thread that recalculates: a change on the way makes it begin again ----
static void recalculate(void *unused) {
  (void)unused;
  mutex_lock(&sheet.lock);
  for (;;) {
    while (!sheet.ends && sheet.calculated == version) condition_wait(&sheet.changed, &sheet.lock);
    if (sheet.ends) break;
    memcpy(copy, sheet.formulas, sizeof copy);
    calculating = version;
    mutex_unlock(&sheet.lock);
    memset(states, 0, sizeof states);
    for (int cell = 0; cell < CELLS && !outdated(); cell++) value_of(cell), error = 0;
    mutex_lock(&sheet.lock);
    if (outdated()) continue;
    memcpy(sheet.values, values, sizeof values);
    memcpy(sheet.errors, errors, sizeof errors);
    sheet.calculated = calculating;
    condition_broadcast(&sheet.changed);
  }
  mutex_unlock(&sheet.lock);
}

// ---- the thread that saves: a new file takes the place of the old one, so that one is always whole ----
static const char *path;

static void save(void *unused) {
  static formulas saving;
  (void)unused;
  char fresh[256];
  snprintf(fresh, sizeof fresh, "%s.new", path);
  mutex_lock(&sheet.lock);
  for (;;) {
    while (!sheet.ends && sheet.saved == version) condition_wait(&sheet.changed, &sheet.lock);
    if (sheet.saved == version) break;
    int saved = version;
    memcpy(saving, sheet.formulas, sizeof saving);
    mutex_unlock(&sheet.lock);
    FILE *file = fopen(fresh, "w");
    if (!file) abort();
    for (int cell = 0; cell < CELLS; cell++)
      if (*saving[cell]) fprintf(file, "%c%d = %s\n", 'A' + cell / ROWS, cell % ROWS + 1, saving[cell]);
    if (fclose(file) || rename(fresh, path)) abort();
    mutex_lock(&sheet.lock);
    sheet.saved = saved;
  }
  mutex_unlock(&sheet.lock);
}

// ---- the thread for input, which never waits for one of the others unless it is asked to ----
static void show(int cell) {
  printf("%c%d ", 'A' + cell / ROWS, cell % ROWS + 1);
  if (sheet.calculated != version) printf("= %s (recalculating)\n", sheet.formulas[cell]);
  else if (sheet.errors[cell]) printf("! %s\n", sheet.errors[cell]);
  else printf("%.12g\n", sheet.values[cell]);
}

// Sets a cell from `CELL = FORMULA`; tells whether the line is one.
static bool assign(const char *line) {
  const char *formula;
  int cell = cell_of(line, &formula);
  if (cell < 0) return false;
  while (*formula == ' ') formula++;
  if (*formula++ != '=') return false;
  while (*formula == ' ') formula++;
  snprintf(sheet.formulas[cell], FORMULA_BYTES, "%s", formula);
  version++;
  return true;
}

// Does what a line says; false at the end.
static bool obey(const char *line) {
  const char *end;
  int cell = cell_of(line, &end);
  if (!strcmp(line, "quit")) return false;
  if (assign(line)) {
    condition_broadcast(&sheet.changed);
  } else if (!strcmp(line, "show")) {
    for (int each = 0; each < CELLS; each++)
      if (*sheet.formulas[each]) show(each);
  } else if (!strcmp(line, "wait")) {
    while (sheet.calculated != version) condition_wait(&sheet.changed, &sheet.lock);
  } else if (cell >= 0 && !*end) {
    show(cell);
  } else if (*line) {
    puts("a line is CELL = FORMULA, CELL, show, wait or quit");
  }
  return true;
}

static bool read_line(char *line, int room, FILE *from) {
  if (!fgets(line, room, from)) return false;
  line[strcspn(line, "\n")] = 0;
  return true;
}

int main(int count, char **args) {
  char line[128];
  path = count > 1 ? args[1] : 0;
  FILE *file = path ? fopen(path, "r") : 0;
  while (file && read_line(line, sizeof line, file)) assign(line);
  if (file) fclose(file);
  sheet.saved = version;
  thread *calculator = thread_start(recalculate, 0), *saver = path ? thread_start(save, 0) : 0;
  bool goes_on = true, prompts = isatty(0);
  while (goes_on) {
    if (prompts) fputs("> ", stdout), fflush(stdout);
    if (!read_line(line, sizeof line, stdin)) break;
    mutex_lock(&sheet.lock);
    goes_on = obey(line);
    mutex_unlock(&sheet.lock);
    fflush(stdout);
  }
  mutex_lock(&sheet.lock);
  sheet.ends = true;
  version += sheet.calculated != version;  // stops a recalculation
  condition_broadcast(&sheet.changed);
  mutex_unlock(&sheet.lock);
  thread_join(calculator);
  if (saver) thread_join(saver);
}
