// forth: a tiny Forth. Reads words from standard input until it ends.
//
// Shows: an interpreter inside the interpreter, with a stack and a dictionary of its own.
// Try:   echo ': square dup * ; 7 square .' | brant run programs/bin/forth.wasm
//
//   + - * / mod   dup drop swap over rot   = < > not   . cr emit   : NAME ... ;   if else then
//   begin ... until   do i loop   ( comment )   words
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STACK = 256, RETURNS = 256, CODE = 16384, WORDS = 512, NAME = 32 };
typedef enum {
  ADD, SUB, MUL, DIV, MOD, DUP, DROP, SWAP, OVER, ROT, EQ, LT, GT, NOT, DOT, CR, EMIT, INDEX, LIST,
  PRIMITIVES, LITERAL = PRIMITIVES, CALL, JUMP, BRANCH, DO, LOOP, END
} Op;
static const char *const names[PRIMITIVES] = {"+", "-", "*", "/", "mod", "dup", "drop", "swap", "over", "rot",
                                              "=", "<", ">", "not", ".", "cr", "emit", "i", "words"};

static int32_t stack[STACK], returns[RETURNS], code[CODE];
static int depth, returns_depth, here;
static struct { char name[NAME]; int start; } words[WORDS];
static int word_count, defining;
static const char *error;

static void push(int32_t x) {
  if (depth == STACK) error = "stack full";
  else stack[depth++] = x;
}
static int32_t pop(void) { return depth ? stack[--depth] : (error = "stack empty", 0); }
static void push_return(int32_t x) {
  if (returns_depth == RETURNS) error = "nested too deep";
  else returns[returns_depth++] = x;
}
static void compile(int32_t x) {
  if (here == CODE) error = "no room for more code";
  else code[here++] = x;
}

static void primitive(Op op) {
  int32_t a, b, c;
  switch (op) {
    case ADD: b = pop(), a = pop(), push((int32_t)((uint32_t)a + (uint32_t)b)); break;
    case SUB: b = pop(), a = pop(), push((int32_t)((uint32_t)a - (uint32_t)b)); break;
    case MUL: b = pop(), a = pop(), push((int32_t)((uint32_t)a * (uint32_t)b)); break;
    case DIV: case MOD:
      b = pop(), a = pop();
      if (!b || (a == INT32_MIN && b == -1)) error = "division by zero or overflow";
      else push(op == DIV ? a / b : a % b);
      break;
    case DUP: a = pop(), push(a), push(a); break;
    case DROP: pop(); break;
    case SWAP: b = pop(), a = pop(), push(b), push(a); break;
    case OVER: b = pop(), a = pop(), push(a), push(b), push(a); break;
    case ROT: c = pop(), b = pop(), a = pop(), push(b), push(c), push(a); break;
    case EQ: b = pop(), a = pop(), push(-(a == b)); break;
    case LT: b = pop(), a = pop(), push(-(a < b)); break;
    case GT: b = pop(), a = pop(), push(-(a > b)); break;
    case NOT: push(-!pop()); break;
    case DOT: printf("%d ", pop()); break;
    case CR: putchar('\n'); break;
    case EMIT: putchar(pop() & 0x7F); break;
    case INDEX: returns_depth < 2 ? (void)(error = "i outside of a loop") : push(returns[returns_depth - 1]); break;
    case LIST: for (int i = word_count; i--;) printf("%s ", words[i].name); break;
    default: break;
  }
}

// Runs code from `at` to its end. Calls keep their way back on the return stack.
static void run(int at) {
  int floor = returns_depth;
  while (!error) {
    int32_t op = code[at++];
    if (op < PRIMITIVES) primitive((Op)op);
    else if (op == LITERAL) push(code[at++]);
    else if (op == CALL) push_return(at + 1), at = code[at];
    else if (op == JUMP) at = code[at];
    else if (op == BRANCH) at = pop() ? at + 1 : code[at];
    else if (op == DO) { int32_t first = pop(), limit = pop(); push_return(limit), push_return(first); }
    else if (op == LOOP) {
      if (++returns[returns_depth - 1] < returns[returns_depth - 2]) at = code[at];
      else at++, returns_depth -= 2;
    } else if (returns_depth == floor) return;  // END of what was called first
    else at = returns[--returns_depth];
  }
}

static int next_word(char *word) {
  int c, length = 0;
  while ((c = getchar()) != EOF && isspace(c)) {}
  for (; c != EOF && !isspace(c); c = getchar())
    if (length < NAME - 1) word[length++] = (char)tolower(c);
  word[length] = 0;
  return length;
}

// Control words keep the places they must fill in on this stack while a definition is compiled.
static int open_places[64], open_count;
static void open_place(int place) {
  if (open_count == 64) error = "too many open structures";
  else open_places[open_count++] = place;
}
static int close_place(void) { return open_count ? open_places[--open_count] : (error = "nothing to close", 0); }

static int control(const char *word) {
  if (!strcmp(word, "if")) compile(BRANCH), open_place(here), compile(0);
  else if (!strcmp(word, "else")) {
    int place = close_place();
    compile(JUMP), open_place(here), compile(0), code[place] = here;
  } else if (!strcmp(word, "then")) { int place = close_place(); code[place] = here; }
  else if (!strcmp(word, "begin")) open_place(here);
  else if (!strcmp(word, "until")) compile(BRANCH), compile(close_place());
  else if (!strcmp(word, "do")) compile(DO), open_place(here);
  else if (!strcmp(word, "loop")) compile(LOOP), compile(close_place());
  else return 0;
  return 1;
}

static void translate(const char *word) {
  for (int i = word_count + defining; i--;)  // a definition may call itself
    if (!strcmp(words[i].name, word)) { compile(CALL), compile(words[i].start); return; }
  for (int i = 0; i < PRIMITIVES; i++)
    if (!strcmp(names[i], word)) { compile(i); return; }
  char *end;
  long x = strtol(word, &end, 10);
  if (*end || x < INT32_MIN || x > INT32_MAX) error = "unknown word";
  else compile(LITERAL), compile((int32_t)x);
}

int main(void) {
  char word[NAME];
  int start = 0, status = 0;
  while (next_word(word)) {
    if (!strcmp(word, "(")) {
      for (int c; (c = getchar()) != EOF && c != ')';) {}
    } else if (!strcmp(word, ":")) {
      if (defining || !next_word(word)) error = "a name must follow :";
      else if (word_count == WORDS) error = "dictionary full";
      else strcpy(words[word_count].name, word), words[word_count].start = start = here, defining = 1;
    } else if (!strcmp(word, ";")) {
      if (!defining || open_count) error = "; without a finished definition";
      else compile(END), word_count++, defining = 0;
    } else if (defining) {
      if (!control(word)) translate(word);
    } else {
      start = here;
      translate(word);
      compile(END);
      if (!error) run(start);
      here = start;
    }
    if (error) {
      printf("? %s: %s\n", word, error);
      if (defining) here = start;
      error = NULL, depth = returns_depth = open_count = defining = 0, status = 1;
    }
  }
  fflush(stdout);
  return status;
}
