// Processes for C programs: copies, other programs, pipes, groups and signals.
// Spec: WASIX, module `wasix_32v1`; groups and the terminal are calls of brant's own, `brant_v1`.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <wasi/api.h>

#define WASIX(name) __attribute__((import_module("wasix_32v1"), import_name(#name)))
#define BRANT(name) __attribute__((import_module("brant_v1"), import_name(#name)))

enum { SIGNAL_INT = 2, SIGNAL_KILL = 9, SIGNAL_TERM = 15, SIGNAL_CONT = 17, SIGNAL_STOP = 18, SIGNAL_TSTP = 19, SIGNAL_WINCH = 27 };

// How a child stands. Spec: WASIX, `join_status`.
enum { NOTHING, EXITED, SIGNALLED, STOPPED };
enum { DO_NOT_WAIT = 1, TELL_STOPPED = 2 };
enum { A_GROUP = 1u << 31 };  // marks the number of a group where a process is meant otherwise

typedef struct { uint8_t tag, unused[3]; uint32_t value; } option_pid;
typedef struct { uint8_t tag, unused, bytes[4]; } join_status;

WASIX(proc_fork) int proc_fork(int copy_memory, int *pid);
WASIX(proc_join) int proc_join(option_pid *pid, int flags, join_status *status);
WASIX(proc_signal) int proc_signal(unsigned pid, int signal);
WASIX(proc_id) int proc_id(int *pid);
WASIX(callback_signal) void callback_signal(const char *name, size_t length);
WASIX(fd_pipe) int fd_pipe(int *reader, int *writer);
WASIX(fd_dup2) int fd_dup2(int fd, int at_least, int closes_on_exec, int *copy);
WASIX(fd_fdflags_set) int fd_fdflags_set(int fd, int closes_on_exec);
// Arguments and variables are lines. Returns only where the program cannot be had.
WASIX(proc_exec3) int proc_exec3(const char *name, size_t name_len, const char *args, size_t args_len,
    const char *env, size_t env_len, int search, const char *path, size_t path_len);
typedef struct { uint32_t columns, rows, unused[2]; uint8_t is_terminal[3], echoes, by_line, padding[3]; } tty_state;
WASIX(tty_get) int tty_get(tty_state *state);
BRANT(proc_group_set) int proc_group_set(int pid, int group);
BRANT(tty_foreground_set) int tty_foreground_set(int group);

// Gives `fd` the number `to`, which is closed before.
static inline void move_fd(int fd, int to) {
  if (fd != to) (void)!__wasi_fd_renumber(fd, to);
}

// What a shell makes of an end: the exit code, or 128 and the signal.
static inline int code_of(const join_status *status) {
  return status->tag == STOPPED ? 128 + status->bytes[0] : status->bytes[0] | status->bytes[1] << 8;
}
