// calc: a calculator with a prompt.
//
// Shows: a terminal program that waits for its user, and recursion over what was typed.
// Try:   brant run programs/bin/calc.wasm            then: (1 + 2) * 3, x = 2 ^ 10, x / 3, quit
//        echo '6 * 7' | brant run programs/bin/calc.wasm
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEEPEST = 200 };
static const char *at;     // what is left of the line
static const char *error;  // the first thing that was wrong, or NULL
static double variables[26];
static int depth;

static double sum(void);

static double fail(const char *what) {
  if (!error) error = what;
  return 0;
}

static void skip(void) {
  while (isspace((unsigned char)*at)) at++;
}

static double atom(void) {
  skip();
  if (depth > DEEPEST) return fail("nested too deep");
  if (*at == '(') {
    at++;
    double x = sum();
    skip();
    if (*at != ')') return fail("a closing bracket is missing");
    at++;
    return x;
  }
  if (*at == '-') {
    at++;
    depth++;
    double x = -atom();
    depth--;
    return x;
  }
  if (!strncmp(at, "sqrt", 4)) {
    at += 4;
    return sqrt(atom());
  }
  if (islower((unsigned char)*at) && !isalnum((unsigned char)at[1])) return variables[*at++ - 'a'];
  char *end;
  double x = strtod(at, &end);
  if (end == at) return fail("a number, a letter or a bracket was expected");
  at = end;
  return x;
}

static double power(void) {
  double x = atom();
  skip();
  if (*at != '^') return x;
  at++;
  depth++;
  double y = depth > DEEPEST ? fail("nested too deep") : power();
  depth--;
  return pow(x, y);
}

static double product(void) {
  double x = power();
  for (;;) {
    skip();
    if (*at == '*') at++, x *= power();
    else if (*at == '/') at++, x /= power();
    else if (*at == '%') at++, x = fmod(x, power());
    else return x;
  }
}

static double sum(void) {
  if (++depth > DEEPEST) return depth--, fail("nested too deep");
  double x = product();
  for (;;) {
    skip();
    if (*at == '+') at++, x += product();
    else if (*at == '-') at++, x -= product();
    else return depth--, x;
  }
}

int main(void) {
  char line[4096];
  int terminal = isatty(0);
  for (;;) {
    if (terminal) fputs("> ", stdout), fflush(stdout);
    if (!fgets(line, sizeof line, stdin) || !strncmp(line, "quit", 4)) return 0;
    at = line, error = NULL, depth = 0;
    skip();
    if (!*at) continue;
    int variable = -1;
    if (islower((unsigned char)at[0])) {
      const char *after = at + 1;
      while (isspace((unsigned char)*after)) after++;
      if (*after == '=') variable = *at - 'a', at = after + 1;
    }
    double x = sum();
    skip();
    if (!error && *at) error = "something stands behind the end";
    if (error) {
      printf("%s, at column %d\n", error, (int)(at - line) + 1);
    } else {
      if (variable >= 0) variables[variable] = x;
      printf("%.15g\n", x);
    }
    fflush(stdout);
  }
}
