// A trap with source lines: made by
//   zig cc -target wasm32-freestanding -g -O1 -fno-sanitize=all -nostdlib -fdebug-compilation-dir=.
//     -Wl,--no-entry -Wl,--export=compute -o divide.wasm divide.c
static inline __attribute__((always_inline)) int divide(int a, int b) {
  return a / b;
}
static __attribute__((noinline)) int sum(volatile int *divisors, int count, int x) {
  int total = 0;
  for (int i = 0; i < count; i++)
    total += divide(x, divisors[i]);
  return total;
}
int compute(int x) {
  volatile int divisors[] = {2, 1, 0};
  return sum(divisors, 3, x) + 1;
}
