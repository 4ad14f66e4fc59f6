// sudoku: solves puzzles of 81 characters, one on each line; '.' or '0' is an empty cell.
//
// Shows: search with bit sets and recursion; one line out for each line in.
// Try:   echo 53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79 |
//          brant run programs/bin/sudoku.wasm
#include <stdio.h>
#include <string.h>

enum { CELLS = 81, ALL = 0x1FF };
static int rows[9], columns[9], boxes[9];  // digits used, as bit sets
static char cells[CELLS + 2];

static int box(int cell) { return cell / 27 * 3 + cell % 9 / 3; }

static void flip(int cell, int digit_bit) {
  rows[cell / 9] ^= digit_bit, columns[cell % 9] ^= digit_bit, boxes[box(cell)] ^= digit_bit;
}

static int candidates(int cell) { return ALL & ~(rows[cell / 9] | columns[cell % 9] | boxes[box(cell)]); }

// Fills the emptiest cell first. Gives 1 when all are full.
static int solve(void) {
  int best = -1, fewest = 10;
  for (int cell = 0; cell < CELLS; cell++) {
    if (cells[cell] != '.') continue;
    int count = __builtin_popcount((unsigned)candidates(cell));
    if (count < fewest) best = cell, fewest = count;
  }
  if (best < 0) return 1;
  for (int left = candidates(best); left; left &= left - 1) {
    int bit = left & -left;
    flip(best, bit);
    cells[best] = (char)('1' + __builtin_ctz((unsigned)bit));
    if (solve()) return 1;
    flip(best, bit);
  }
  cells[best] = '.';
  return 0;
}

// Reads a puzzle into the tables. Gives what is wrong with it, or NULL.
static const char *read_puzzle(const char *line) {
  memset(rows, 0, sizeof rows), memset(columns, 0, sizeof columns), memset(boxes, 0, sizeof boxes);
  if (strcspn(line, "\r\n") != CELLS) return "a puzzle has 81 characters";
  for (int cell = 0; cell < CELLS; cell++) {
    char c = line[cell] == '0' ? '.' : line[cell];
    if (c != '.' && (c < '1' || c > '9')) return "a cell is a digit or a point";
    if (c != '.') {
      int bit = 1 << (c - '1');
      if (!(candidates(cell) & bit)) return "a digit stands twice";
      flip(cell, bit);
    }
    cells[cell] = c;
  }
  return NULL;
}

int main(void) {
  char line[256];
  int status = 0;
  while (fgets(line, sizeof line, stdin)) {
    const char *wrong = read_puzzle(line);
    if (!wrong && !solve()) wrong = "no solution";
    if (wrong) status = 1;
    puts(wrong ? wrong : cells);
  }
  return status;
}
