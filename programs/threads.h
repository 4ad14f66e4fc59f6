// Threads for C programs, on what the machine has: `thread-spawn`, wait and notify.
//
// A thread is a stack and a number. It is started and joined; threads that share something hold a
// mutex, wait for a change of it on a condition, and hand work to each other through a queue.
// The C library knows nothing of threads: a program gives each FILE to one thread, and calls malloc
// in one thread only, or holds a mutex of its own around such calls. `thread_start` calls malloc.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

// Sleeps while `*at` holds `value`, until it is notified or `ns` have passed; never if negative.
static inline void wait_at(atomic_int *at, int value, int64_t ns) {
  __builtin_wasm_memory_atomic_wait32((int *)at, value, ns);
}
static inline void notify_at(atomic_int *at, unsigned how_many) {
  __builtin_wasm_memory_atomic_notify((int *)at, how_many);
}

// ---- mutex: 0 is free, 1 is held, 2 is held and somebody may wait ----
typedef struct { atomic_int state; } mutex;

static inline void mutex_lock(mutex *m) {
  int seen = 0;
  if (atomic_compare_exchange_strong(&m->state, &seen, 1)) return;
  while (atomic_exchange(&m->state, 2) != 0) wait_at(&m->state, 2, -1);
}
static inline void mutex_unlock(mutex *m) {
  if (atomic_exchange(&m->state, 0) == 2) notify_at(&m->state, 1);
}

// ---- condition: a count of what has been signalled, so that nothing between unlock and wait is missed ----
typedef struct { atomic_int count; } condition;

// Lets go of the mutex while it waits, at most `ns`; the caller looks again whether it may go on.
static inline void condition_wait_for(condition *c, mutex *m, int64_t ns) {
  int seen = atomic_load(&c->count);
  mutex_unlock(m);
  wait_at(&c->count, seen, ns);
  mutex_lock(m);
}
static inline void condition_wait(condition *c, mutex *m) { condition_wait_for(c, m, -1); }
static inline void condition_signal(condition *c) {
  atomic_fetch_add(&c->count, 1);
  notify_at(&c->count, 1);
}
static inline void condition_broadcast(condition *c) {
  atomic_fetch_add(&c->count, 1);
  notify_at(&c->count, -1u);
}

// ---- queue: who takes from an empty one waits, and so does who puts into a full one ----
enum { QUEUE_ROOM = 64 };
typedef struct {
  mutex lock;
  condition not_empty, not_full;
  int items[QUEUE_ROOM];
  unsigned taken, put;
} queue;

static inline void queue_put(queue *q, int item) {
  mutex_lock(&q->lock);
  while (q->put - q->taken == QUEUE_ROOM) condition_wait(&q->not_full, &q->lock);
  q->items[q->put++ % QUEUE_ROOM] = item;
  condition_signal(&q->not_empty);
  mutex_unlock(&q->lock);
}
static inline int queue_take(queue *q) {
  mutex_lock(&q->lock);
  while (q->put == q->taken) condition_wait(&q->not_empty, &q->lock);
  int item = q->items[q->taken++ % QUEUE_ROOM];
  condition_signal(&q->not_full);
  mutex_unlock(&q->lock);
  return item;
}

// ---- threads ----
typedef struct {
  // The first two are read by wasi_thread_start below, before there is a stack.
  char *stack_end, *locals;
  char *stack;
  void (*run)(void *);
  void *argument;
  atomic_int running;
} thread;

enum { THREAD_STACK_BYTES = 64 << 10 };

__attribute__((import_module("wasi"), import_name("thread-spawn"))) int thread_spawn(thread *);

// Runs `run(argument)` in a thread of its own; ends the program where there can be no more threads.
static inline thread *thread_start(void (*run)(void *), void *argument) {
  thread *t = malloc(sizeof *t);
  char *stack = malloc(THREAD_STACK_BYTES);
  size_t align = __builtin_wasm_tls_align() > 16 ? __builtin_wasm_tls_align() : 16;
  size_t locals_bytes = (__builtin_wasm_tls_size() + align - 1) / align * align;
  char *locals = aligned_alloc(align, locals_bytes ? locals_bytes : align);
  if (!t || !stack || !locals) abort();
  *t = (thread){stack + THREAD_STACK_BYTES, locals, stack, run, argument, 1};
  if (thread_spawn(t) < 0) abort();
  return t;
}
// Waits for the end of a thread and takes back its memory.
static inline void thread_join(thread *t) {
  while (atomic_load(&t->running)) wait_at(&t->running, 1, -1);
  free(t->locals);
  free(t->stack);
  free(t);
}

// What the machine calls in the new thread's instance, whose globals are as they were at the
// program's start: it takes its own stack and its own thread-local variables, and runs.
__attribute__((used)) static void thread_main(int number, thread *t) {
  (void)number;
  t->run(t->argument);
  // From here on the joiner may take back this stack; nothing below touches it.
  atomic_store(&t->running, 0);
  notify_at(&t->running, 1);
}
__asm__(
    ".globaltype __stack_pointer, i32\n"
    ".functype __wasm_init_tls (i32) -> ()\n"
    ".functype thread_main (i32, i32) -> ()\n"
    ".globl wasi_thread_start\n"
    ".type wasi_thread_start,@function\n"
    ".export_name wasi_thread_start, wasi_thread_start\n"
    "wasi_thread_start:\n"
    ".functype wasi_thread_start (i32, i32) -> ()\n"
    "local.get 1\n i32.load 0\n global.set __stack_pointer\n"
    "local.get 1\n i32.load 4\n call __wasm_init_tls\n"
    "local.get 0\n local.get 1\n call thread_main\n"
    "end_function\n");

// ---- time ----
static inline int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}
static inline void sleep_ns(int64_t ns) {
  nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, 0);
}
