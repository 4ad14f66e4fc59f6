// sh: a shell. Runs other programs of the mounted folders, in pipelines, as jobs, from scripts.
//
// Shows: fork and exec from plain C, pipes, groups, signals of the terminal, a tree of processes.
// Try:   brant run --dir programs/bin::/bin --dir . programs/bin/sh.wasm
//        brant run --dir programs/bin::/bin programs/bin/sh.wasm -c 'seq 9 | grep -v 5 | wc'
//
//   a | b    a && b    a || b    a; b    a &    (a; b)    # a comment
//   < file   > file    >> file   2> file 2>&1   'text' "text $NAME" \c  $NAME ${NAME} $? $$ $! $1 $# $@
//   $(a)     *.c       NAME=value
//   built in: : . bg echo exit export false fg help jobs kill pwd shift true unset wait
//
// Programs are found along PATH, `/bin` otherwise; what is not there is asked of the program `tools`.
// A program's folder is kept by its own C library, so there is no cd.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "process.h"

extern char **environ;

static bool interactive;          // prompts, and gives jobs groups and the terminal
static int own_group;             // of the shell
static int status, last_background;
static char **params;             // $0, $1, ...
static int param_count;
static volatile int caught;       // the last signal that came

__attribute__((export_name("on_signal"))) void on_signal(int signal) { caught = signal; }

static void complain(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("sh: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
}

static void *must(void *memory) {
  if (!memory) complain("out of memory"), exit(1);
  return memory;
}

// ---- texts that grow ----

typedef struct { char *text; size_t length, room; } Buffer;

static void put(Buffer *b, char c) {
  if (b->length + 1 >= b->room) b->text = must(realloc(b->text, b->room = 2 * b->room + 64));
  b->text[b->length++] = c;
  b->text[b->length] = 0;
}
static void put_text(Buffer *b, const char *text) {
  while (*text) put(b, *text++);
}
static char *text_of(Buffer *b) { return b->text ? b->text : must(strdup("")); }

typedef struct { char **items; size_t count, room; } List;

static void add(List *list, char *item) {
  if (list->count + 1 >= list->room) {
    list->room = 2 * list->room + 8;
    list->items = must(realloc(list->items, list->room * sizeof *list->items));
  }
  list->items[list->count++] = item;
  list->items[list->count] = NULL;
}
static void clear(List *list) {
  for (size_t i = 0; i < list->count; i++) free(list->items[i]);
  free(list->items);
  *list = (List){0};
}

// ---- from a line to a tree ----

typedef enum { COMMAND, SUBSHELL, PIPE, AND, OR, THEN, BEHIND } Kind;
typedef struct Node {
  Kind kind;
  struct Node *left, *right;      // what is joined; a subshell has the left one
  List words;                     // of a command, not expanded
  List redirections;              // pairs: `2>` and a word
  char *text;                     // as it was typed, for `jobs`
} Node;

static const char *at, *line_start;  // where the parser is
static const char *mistake;          // what it does not understand
static bool unfinished;              // more lines may make sense of it

static Node *node(Kind kind, Node *left, Node *right) {
  Node *made = must(calloc(1, sizeof *made));
  *made = (Node){.kind = kind, .left = left, .right = right};
  return made;
}
static void free_node(Node *n) {
  if (!n) return;
  free_node(n->left), free_node(n->right);
  clear(&n->words), clear(&n->redirections);
  free(n->text), free(n);
}

static void skip_blanks(void) {
  while (*at == ' ' || *at == '\t' || (*at == '\\' && at[1] == '\n')) at += *at == '\\' ? 2 : 1;
  if (*at == '#') while (*at && *at != '\n') at++;
}
static void skip_lines(void) {
  for (skip_blanks(); *at == '\n'; skip_blanks()) at++;
}
static bool take(const char *token) {
  skip_blanks();
  size_t length = strlen(token);
  if (strncmp(at, token, length)) return false;
  // `|` is not the beginning of `||`, and `&` not of `&&`.
  if (length == 1 && strchr("|&", *token) && at[1] == *token) return false;
  at += length;
  return true;
}

// The end of `$(...)` or of a quoted text that begins at `from`; NULL if there is none.
static const char *end_of(const char *from) {
  if (*from == '\'') {
    const char *end = strchr(from + 1, '\'');
    return end ? end + 1 : NULL;
  }
  if (*from == '\\') return from[1] ? from + 2 : NULL;
  bool quoted = *from == '"';
  int depth = 0;
  for (from += quoted; *from;) {
    if (quoted && *from == '"') return from + 1;
    if (*from == '(') depth++;
    if (*from == ')' && !quoted && --depth == 0) return from + 1;
    if (*from == '\\' || (!quoted && strchr("'\"", *from)) || (from[0] == '$' && from[1] == '(')) {
      const char *end = end_of(from[0] == '$' ? from + 1 : from);
      if (!end) return NULL;
      from = end;
    } else {
      from++;
    }
  }
  return NULL;
}

// A word as it stands, quotes included; NULL if here is none.
static char *word(void) {
  skip_blanks();
  const char *start = at;
  while (*at && !strchr(" \t\n;&|<>()", *at)) {
    bool opens = strchr("'\"\\", *at) || (at[0] == '$' && at[1] == '(');
    const char *end = opens ? end_of(*at == '$' ? at + 1 : at) : at + 1;
    if (!end) return unfinished = true, NULL;
    at = end;
  }
  return at == start ? NULL : must(strndup(start, (size_t)(at - start)));
}

// `<`, `>>`, `2>`: the operator with its number; NULL if here is none.
static char *redirection(void) {
  skip_blanks();
  const char *from = at, *p = at;
  if (isdigit((unsigned char)*p) && (p[1] == '<' || p[1] == '>')) p++;
  if (*p != '<' && *p != '>') return NULL;
  p += p[0] == '>' && p[1] == '>' ? 2 : 1;
  if (*p == '&') p++;
  at = p;
  return must(strndup(from, (size_t)(p - from)));
}

static Node *list(void);

static Node *command(void) {
  Node *made = node(COMMAND, NULL, NULL);
  skip_blanks();
  const char *from = at;
  if (take("(")) {
    made->kind = SUBSHELL;
    made->left = list();
    if (!mistake && !take(")")) *at ? (mistake = at) : (const char *)(intptr_t)(unfinished = true);
  }
  for (;;) {
    char *operator = redirection();
    char *found = word();
    if (unfinished || (operator && !found)) {
      if (!unfinished && !mistake) *at && *at != '\n' ? (mistake = at) : (mistake = "the end of the line");
      free(operator), free(found);
      break;
    }
    if (operator) add(&made->redirections, operator), add(&made->redirections, found);
    else if (!found) break;
    else if (made->kind == SUBSHELL) { mistake = found; break; }
    else add(&made->words, found);
  }
  if (made->kind == COMMAND && !made->words.count && !made->redirections.count && !mistake && !unfinished) {
    if (*at && *at != '\n') mistake = at;
    else if (!*at) unfinished = true;
    else mistake = "the end of the line";
  }
  made->text = must(strndup(from, (size_t)(at - from)));
  return made;
}

static Node *joined(Node *left, Kind kind, Node *right, const char *from) {
  Node *made = node(kind, left, right);
  made->text = must(strndup(from, (size_t)(at - from)));
  return made;
}

static Node *pipeline(void) {
  skip_blanks();
  const char *from = at;
  Node *left = command();
  while (!mistake && !unfinished && take("|")) {
    skip_lines();
    left = joined(left, PIPE, command(), from);
  }
  return left;
}

static Node *and_or(void) {
  skip_blanks();
  const char *from = at;
  Node *left = pipeline();
  while (!mistake && !unfinished) {
    Kind kind = take("&&") ? AND : take("||") ? OR : COMMAND;
    if (kind == COMMAND) break;
    skip_lines();
    left = joined(left, kind, pipeline(), from);
  }
  return left;
}

// Commands up to the end or a `)`; NULL for none.
static Node *list(void) {
  Node *all = NULL;
  for (skip_lines(); *at && *at != ')' && !mistake && !unfinished; skip_lines()) {
    Node *one = and_or();
    if (take("&")) {
      char *text = must(strdup(one->text));
      one = node(BEHIND, one, NULL), one->text = text;
    } else if (!take(";") && *at && *at != '\n' && *at != ')' && !mistake && !unfinished) {
      mistake = at;
    }
    all = all ? node(THEN, all, one) : one;
  }
  return all;
}

// ---- variables: those of the environment, and those of this shell alone ----

typedef struct { char *name, *value; bool exported; } Variable;
static Variable *variables;
static size_t variable_count;

static Variable *variable(const char *name, size_t length) {
  for (size_t i = 0; i < variable_count; i++)
    if (strlen(variables[i].name) == length && !memcmp(variables[i].name, name, length)) return &variables[i];
  return NULL;
}
static const char *value_of(const char *name) {
  Variable *found = variable(name, strlen(name));
  return found ? found->value : NULL;
}
static void set(const char *name, size_t length, const char *value, bool exported) {
  Variable *found = variable(name, length);
  if (!found) {
    variables = must(realloc(variables, (variable_count + 1) * sizeof *variables));
    found = &variables[variable_count++];
    *found = (Variable){must(strndup(name, length)), NULL, false};
  }
  char *old = found->value;
  found->value = must(strdup(value)), found->exported |= exported;
  free(old);
}
static size_t name_length(const char *text) {
  size_t length = 0;
  if (isalpha((unsigned char)*text) || *text == '_')
    while (isalnum((unsigned char)text[length]) || text[length] == '_') length++;
  return length;
}

// ---- from a word to texts ----

static char *output_of(const char *source);

// Appends what `$...` at `*from` stands for, and goes behind it.
static void expand_dollar(Buffer *into, const char **from) {
  const char *p = *from + 1;
  char number[16] = "";
  const char *value = number;
  char *owned = NULL;
  if (*p == '(') {
    const char *end = end_of(p);
    char *source = must(strndup(p + 1, (size_t)(end - p - 2)));
    value = owned = output_of(source);
    free(source);
    p = end;
  } else if (strchr("?$!#", *p) && *p) {
    int pid = 0;
    if (*p == '$') proc_id(&pid);
    int shown = *p == '?' ? status : *p == '$' ? pid : *p == '!' ? last_background : param_count - 1;
    snprintf(number, sizeof number, "%d", shown);
    p++;
  } else if (*p == '@' || *p == '*') {
    for (int i = 1; i < param_count; i++) put_text(into, i > 1 ? " " : ""), put_text(into, params[i]);
    p++;
  } else if (isdigit((unsigned char)*p)) {
    value = *p - '0' < param_count ? params[*p - '0'] : "";
    p++;
  } else {
    bool braced = *p == '{';
    size_t length = name_length(p + braced);
    if (!length) return put(into, '$'), (void)(*from = *from + 1);
    Variable *found = variable(p + braced, length);
    value = found ? found->value : "";
    p += braced + length;
    if (braced && *p == '}') p++;
  }
  put_text(into, value);
  free(owned);
  *from = p;
}

// Marks characters of quoted text that would mean something to `matches`.
enum { QUOTED = 1 };

static void put_quoted(Buffer *into, char c) {
  if (strchr("*?\1", c) && c) put(into, QUOTED);
  put(into, c);
}
static void unmark(char *text) {
  char *to = text;
  for (; *text; text++) {
    if (*text == QUOTED && text[1]) text++;
    *to++ = *text;
  }
  *to = 0;
}

static bool matches(const char *pattern, const char *name) {
  for (; *pattern; pattern++) {
    if (*pattern == '*') {
      do if (matches(pattern + 1, name)) return true; while (*name++);
      return false;
    }
    if (!*name) return false;
    if (*pattern == QUOTED) pattern++;
    else if (*pattern == '?') { name++; continue; }
    if (*pattern != *name++) return false;
  }
  return !*name;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// Adds the files whose names match in the last part of the path; the pattern itself if there are none.
static void add_matching(List *into, char *pattern) {
  bool is_pattern = false;
  for (char *p = pattern; *p; p++) {
    if (*p == QUOTED && p[1]) p++;
    else if (*p == '*' || *p == '?') is_pattern = true;
  }
  size_t first = into->count;
  char *slash = strrchr(pattern, '/');
  const char *last = slash ? slash + 1 : pattern;
  size_t prefix = (size_t)(last - pattern);
  char *folder = prefix ? must(strndup(pattern, prefix)) : must(strdup("."));
  DIR *open = is_pattern ? opendir(folder) : NULL;
  for (struct dirent *entry; open && (entry = readdir(open));) {
    if ((*entry->d_name == '.' && *last != '.') || !matches(last, entry->d_name)) continue;
    char *found = must(malloc(prefix + strlen(entry->d_name) + 1));
    memcpy(found, pattern, prefix), strcpy(found + prefix, entry->d_name);
    add(into, found);
  }
  if (open) closedir(open);
  free(folder);
  qsort(into->items + first, into->count - first, sizeof *into->items, by_name);
  if (into->count == first) unmark(pattern), add(into, pattern);
  else free(pattern);
}

// Adds what a word stands for: one text, or several where a variable outside of quotes has blanks.
static void expand(List *into, const char *from, bool one_text) {
  Buffer text = {0};
  bool in_quotes = false, is_there = false;
  while (*from) {
    if (*from == '\'' && !in_quotes) {
      is_there = true;
      for (from++; *from && *from != '\''; from++) put_quoted(&text, *from);
      from += *from == '\'';
    } else if (*from == '"') {
      in_quotes = !in_quotes, is_there = true, from++;
    } else if (*from == '\\' && from[1] && (!in_quotes || strchr("\\\"$", from[1]))) {
      put_quoted(&text, from[1]), from += 2;
    } else if (*from == '$') {
      Buffer value = {0};
      expand_dollar(&value, &from);
      for (const char *c = text_of(&value); *c; c++) {
        bool splits = !in_quotes && !one_text && isspace((unsigned char)*c);
        if (in_quotes || one_text) put_quoted(&text, *c);
        else if (!splits) put(&text, *c);
        else if (text.length) add_matching(into, text_of(&text)), text = (Buffer){0};
      }
      free(value.text);
    } else if (in_quotes) {
      put_quoted(&text, *from++);
    } else {
      put(&text, *from++);
    }
  }
  if (!text.length && !is_there) return free(text.text);
  char *whole = text_of(&text);
  if (one_text) unmark(whole), add(into, whole);
  else add_matching(into, whole);
}

static char *expand_one(const char *from) {
  List list = {0};
  expand(&list, from, true);
  char *text = list.count ? list.items[0] : must(strdup(""));
  free(list.items);
  return text;
}

// ---- processes ----

// A copy of the shell; 0 in the copy, negative where there is none.
static int copy_self(void) {
  int pid = -1;
  fflush(NULL);
  int error = proc_fork(1, &pid);
  if (error) return complain("no process can be made: %s", strerror(error)), -1;
  return pid;
}

static const char *lines_of(char **items, size_t *length) {
  Buffer all = {0};
  for (; *items; items++) put_text(&all, *items), put(&all, '\n');
  *length = all.length;
  return text_of(&all);
}

// Runs another program in place of this copy of the shell.
static _Noreturn void run_program(char **argv) {
  List env = {0};
  for (size_t i = 0; i < variable_count; i++) {
    Variable *v = &variables[i];
    if (!v->exported) continue;
    Buffer pair = {0};
    put_text(&pair, v->name), put(&pair, '='), put_text(&pair, v->value);
    add(&env, text_of(&pair));
  }
  for (char **arg = argv; *arg; arg++)
    if (strchr(*arg, '\n')) complain("%s: no argument can have a line break", *argv), exit(126);
  size_t env_length = 0, args_length;
  const char *lines = env.count ? lines_of(env.items, &env_length) : "";
  const char *args = lines_of(argv, &args_length), *path = value_of("PATH");
  if (!path) path = "/bin";
  const char *names[] = {*argv, "tools"};
  int error = ENOENT;
  for (int i = 0; i < 2 && error == ENOENT && !(i && strchr(*argv, '/')); i++)
    error = proc_exec3(names[i], strlen(names[i]), args, args_length, lines, env_length, 1, path, strlen(path));
  if (error == ENOENT) complain("%s: not found", *argv);
  else complain("%s: %s", *argv, strerror(error));
  exit(error == ENOENT ? 127 : 126);
}

// ---- jobs ----

enum { MOST_JOBS = 64, MOST_STAGES = 64 };
typedef struct {
  char *text;
  int group, pids[MOST_STAGES], count, left;  // processes, and how many of them have not ended
  int code;                                   // of the last one
  bool is_stopped, is_told;
} Job;
static Job jobs[MOST_JOBS];  // number n at n - 1; one without processes is free

static void report(int i, const char *state) {
  fprintf(stderr, "[%d] %s\t%s\n", i + 1, state, jobs[i].text);
}

static void note(int pid, const join_status *ended) {
  for (int i = 0; i < MOST_JOBS; i++)
    for (int k = 0; k < jobs[i].count; k++) {
      if (jobs[i].pids[k] != pid) continue;
      Job *job = &jobs[i];
      if (ended->tag == STOPPED) {
        // Each of its processes says so.
        job->is_told &= job->is_stopped, job->is_stopped = true, job->code = code_of(ended);
        return;
      }
      job->is_told = false;
      job->pids[k] = 0, job->left--;
      if (k == job->count - 1) job->code = code_of(ended);
      return;
    }
}

// Takes note of a child that has ended or stopped; false if there is none, or a signal came.
static bool hear_of_child(int flags) {
  option_pid who = {0};
  join_status ended = {0};
  // Without jobs of its own the shell waits on for one that was stopped.
  if (proc_join(&who, flags | (interactive ? TELL_STOPPED : 0), &ended) || !who.tag) return false;
  note((int)who.value, &ended);
  return true;
}

static void forget(Job *job) {
  free(job->text);
  *job = (Job){0};
}

// Waits until a job ends or stops, with the terminal in its hands.
static void in_front(Job *job) {
  if (interactive) tty_foreground_set(job->group);
  while (job->left && !job->is_stopped)
    if (!hear_of_child(0) && !interactive && caught) break;
  if (interactive) tty_foreground_set(own_group);
  status = job->code;
  if (interactive && status == 128 + SIGNAL_INT) fputc('\n', stderr);
  if (job->left && job->is_stopped) {
    fputc('\n', stderr), report((int)(job - jobs), "stopped");
    job->is_told = true;
  } else if (!job->left) {
    forget(job);
  }
}

// Tells of jobs in the background that have ended or stopped.
static void tell(void) {
  while (hear_of_child(DO_NOT_WAIT)) {}
  for (int i = 0; i < MOST_JOBS; i++) {
    Job *job = &jobs[i];
    if (!job->count || (job->left && (!job->is_stopped || job->is_told))) continue;
    if (interactive) report(i, job->left ? "stopped" : "done");
    job->is_told = true;
    if (!job->left) forget(job);
  }
}

// The job that `%n` names, the last one otherwise; NULL if there is none.
static Job *job_of(const char *name) {
  if (name) {
    int i = atoi(name + (*name == '%')) - 1;
    return i >= 0 && i < MOST_JOBS && jobs[i].count ? &jobs[i] : NULL;
  }
  for (int i = MOST_JOBS - 1; i >= 0; i--)
    if (jobs[i].count) return &jobs[i];
  return NULL;
}

// ---- what the shell does itself ----

static int go_on_in(char **argv, bool front) {
  Job *job = job_of(argv[1]);
  if (!job) return complain("%s: there is no such job", *argv), 1;
  job->is_stopped = false;
  // It has the terminal before anybody can see that it goes on: a key that is pressed then is for it.
  if (front && interactive) tty_foreground_set(job->group);
  if (front) fprintf(stderr, "%s\n", job->text);
  proc_signal(A_GROUP | (unsigned)job->group, SIGNAL_CONT);
  if (!front) return report((int)(job - jobs), "runs"), 0;
  in_front(job);
  return status;
}

static int send(char **argv) {
  static const struct { const char *name; int number; } names[] = {
      {"INT", SIGNAL_INT}, {"KILL", SIGNAL_KILL}, {"TERM", SIGNAL_TERM},
      {"CONT", SIGNAL_CONT}, {"STOP", SIGNAL_STOP}, {"TSTP", SIGNAL_TSTP}};
  int signal = SIGNAL_TERM;
  if (argv[1] && *argv[1] == '-') {
    const char *name = *++argv + 1;
    signal = atoi(name);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
      if (!strcmp(name, names[i].name)) signal = names[i].number;
  }
  if (!argv[1]) return complain("kill: whom? `kill [-SIGNAL] PID` or `%%JOB`"), 2;
  int failed = 0;
  while (*++argv) {
    Job *job = **argv == '%' ? job_of(*argv) : NULL;
    unsigned whom = job ? (interactive ? A_GROUP : 0) | (unsigned)job->group : (unsigned)atoi(*argv);
    int error = whom ? proc_signal(whom, signal) : ESRCH;
    if (error) complain("kill: %s: %s", *argv, strerror(error)), failed = 1;
  }
  return failed;
}

static int wait_for_all(void) {
  for (;;) {
    bool busy = false;
    for (int i = 0; i < MOST_JOBS; i++) busy |= jobs[i].left && !jobs[i].is_stopped;
    if (!busy) break;
    if (!hear_of_child(0) && caught) return caught = 0, 128 + SIGNAL_INT;
  }
  tell();
  return 0;
}

static int run_file(const char *name);

static int export_all(char **names) {
  for (; *names; names++) {
    size_t length = name_length(*names);
    if (!length) return complain("export: `%s` is no name", *names), 1;
    const char *old = value_of(*names);
    const char *value = (*names)[length] == '=' ? *names + length + 1 : old ? old : "";
    set(*names, length, value, true);
  }
  return 0;
}

static void unset(const char *name) {
  Variable *found = variable(name, strlen(name));
  if (!found) return;
  free(found->name), free(found->value);
  *found = variables[--variable_count];
}

static const char *const built_ins[] = {":", ".", "bg", "echo", "exit", "export", "false", "fg", "help", "jobs",
    "kill", "pwd", "shift", "true", "unset", "wait"};

static bool is_built_in(const char *name) {
  for (size_t i = 0; i < sizeof built_ins / sizeof *built_ins; i++)
    if (!strcmp(name, built_ins[i])) return true;
  return false;
}

static int built_in(char **argv) {
  const char *name = *argv;
  if (!strcmp(name, "false")) return 1;
  if (!strcmp(name, "exit")) fflush(NULL), exit(argv[1] ? atoi(argv[1]) : status);
  if (!strcmp(name, "bg") || !strcmp(name, "fg")) return go_on_in(argv, *name == 'f');
  if (!strcmp(name, "kill")) return send(argv);
  if (!strcmp(name, "wait")) return wait_for_all();
  if (!strcmp(name, "export")) return export_all(argv + 1);
  if (!strcmp(name, ".")) return argv[1] ? run_file(argv[1]) : (complain(".: which file?"), 2);
  if (!strcmp(name, "unset")) while (*++argv) unset(*argv);
  if (!strcmp(name, "shift") && param_count > 1) params[1] = params[0], params++, param_count--;
  if (!strcmp(name, "pwd")) puts("/");
  if (!strcmp(name, "echo")) {
    bool bare = argv[1] && !strcmp(argv[1], "-n");
    for (argv += 1 + bare; *argv; argv++) fputs(*argv, stdout), fputs(argv[1] ? " " : "", stdout);
    if (!bare) putchar('\n');
  }
  if (!strcmp(name, "jobs"))
    for (int i = 0; i < MOST_JOBS; i++)
      if (jobs[i].count) printf("[%d] %s\t%s\n", i + 1, jobs[i].is_stopped ? "stopped" : jobs[i].left ? "runs" : "done", jobs[i].text);
  if (!strcmp(name, "help")) {
    puts("a | b   a && b   a || b   a; b   a &   (a)   < > >> 2> 2>&1   'x' \"x\" $NAME $? $(a) *   NAME=value");
    for (size_t i = 0; i < sizeof built_ins / sizeof *built_ins; i++) printf("%s%s", i ? " " : "", built_ins[i]);
    putchar('\n');
  }
  if (!fflush(stdout) && !ferror(stdout)) return 0;
  clearerr(stdout);
  return complain("%s: %s", name, strerror(errno)), 1;
}

// ---- running a tree ----

static void run(Node *n);

// Does a command's redirections; where the old descriptors go to, if the shell needs them back.
static bool redirect(Node *n, int saved[3]) {
  for (size_t i = 0; i < n->redirections.count; i += 2) {
    const char *operator = n->redirections.items[i];
    int target = isdigit((unsigned char)*operator) ? *operator++ - '0' : *operator == '>';
    char *name = expand_one(n->redirections.items[i + 1]);
    if (saved && target < 3 && saved[target] < 0) {
      fflush(NULL);
      fd_dup2(target, 10, 1, &saved[target]);
    }
    int fd = -1, error = 0;
    if (operator[strlen(operator) - 1] == '&') {
      int source = isdigit((unsigned char)*name) ? *name - '0' : -1;
      if (source != target) close(target), error = fd_dup2(source, target, 0, &fd);
    } else {
      int how = *operator == '<' ? O_RDONLY : O_WRONLY | O_CREAT | (operator[1] == '>' ? O_APPEND : O_TRUNC);
      fd = open(name, how, 0666);
      error = fd < 0 ? errno : 0;
      if (!error) move_fd(fd, target);
    }
    if (error) complain("%s: %s", name, strerror(error));
    free(name);
    if (error) return false;
  }
  return true;
}

static void put_back(int saved[3]) {
  fflush(NULL);
  for (int fd = 0; fd < 3; fd++)
    if (saved[fd] >= 0) move_fd(saved[fd], fd), fd_fdflags_set(fd, 0);
}

// `NAME=value` in front of a command; how many words those are.
static size_t assignments(Node *n) {
  size_t count = 0;
  for (; count < n->words.count; count++) {
    size_t length = name_length(n->words.items[count]);
    if (!length || n->words.items[count][length] != '=') break;
  }
  return count;
}
static void assign(Node *n, size_t count, bool exported) {
  for (size_t i = 0; i < count; i++) {
    const char *pair = n->words.items[i];
    size_t length = name_length(pair);
    char *value = expand_one(pair + length + 1);
    set(pair, length, value, exported);
    free(value);
  }
}

static List expanded(Node *n, size_t from) {
  List argv = {0};
  for (size_t i = from; i < n->words.count; i++) expand(&argv, n->words.items[i], false);
  return argv;
}

// What a copy of the shell does instead of the shell: this command, and then it ends.
static _Noreturn void run_as_copy(Node *n) {
  bool was_interactive = interactive;
  interactive = false;
  if (was_interactive) callback_signal("", 0);
  for (int i = 0; i < MOST_JOBS; i++) jobs[i] = (Job){0};
  if (n->kind != COMMAND && n->kind != SUBSHELL) run(n), fflush(NULL), exit(status);
  if (!redirect(n, NULL)) exit(1);
  if (n->kind == SUBSHELL) run(n->left), fflush(NULL), exit(status);
  size_t first = assignments(n);
  assign(n, first, true);
  List argv = expanded(n, first);
  if (!argv.count) exit(0);
  if (is_built_in(*argv.items)) status = built_in(argv.items), fflush(NULL), exit(status);
  run_program(argv.items);
}

// Runs the stages of a pipeline as one job.
static void run_job(Node *n, bool in_background) {
  Node *stages[MOST_STAGES];
  int count = 0;
  // The tree leans to the left: its last stage comes first.
  Node *rest = n;
  for (; rest->kind == PIPE && count < MOST_STAGES - 1; rest = rest->left) stages[count++] = rest->right;
  stages[count++] = rest;
  Job *job = NULL;
  for (int i = 0; i < MOST_JOBS && !job; i++)
    if (!jobs[i].count) job = &jobs[i];
  if (!job) return complain("there are too many jobs: `wait` for some"), (void)(status = 1);
  *job = (Job){.text = must(strdup(n->text ? n->text : ""))};
  int input = -1;
  for (int i = count - 1; i >= 0; i--) {
    int reader = -1, writer = -1;
    if (i && fd_pipe(&reader, &writer)) complain("no pipe can be made");
    int pid = copy_self();
    if (pid == 0) {
      if (interactive) {
        // The shell does both too: whoever is first, no key is pressed in vain.
        int group = job->group;
        if (!group) proc_id(&group);
        proc_group_set(0, group);
        if (!in_background) tty_foreground_set(group);
      }
      if (input >= 0) move_fd(input, 0);
      else if (in_background && interactive) {
        // The terminal is not its own: it reads nothing.
        int nothing, closed;
        if (!fd_pipe(&nothing, &closed)) close(closed), move_fd(nothing, 0);
      }
      if (writer >= 0) move_fd(writer, 1), close(reader);
      run_as_copy(stages[i]);
    }
    if (input >= 0) close(input);
    if (writer >= 0) close(writer);
    input = reader;
    if (pid < 0) break;
    if (!job->group) job->group = pid;
    if (interactive) proc_group_set(pid, job->group);
    job->pids[job->count++] = pid, job->left++;
  }
  if (input >= 0) close(input);
  if (!job->count) return forget(job), (void)(status = 1);
  if (!in_background) return in_front(job);
  last_background = job->pids[job->count - 1], status = 0;
  if (interactive) fprintf(stderr, "[%d] %d\n", (int)(job - jobs) + 1, last_background);
}

// A command that the shell does itself, unless it is in a pipeline.
static bool run_here(Node *n) {
  size_t first = assignments(n);
  if (first == n->words.count) {
    int saved[3] = {-1, -1, -1};
    status = redirect(n, saved) ? 0 : 1;
    put_back(saved);
    return assign(n, first, false), true;
  }
  char *name = expand_one(n->words.items[first]);
  bool is_ours = is_built_in(name);
  free(name);
  if (!is_ours) return false;
  assign(n, first, false);
  List argv = expanded(n, first);
  int saved[3] = {-1, -1, -1};
  status = redirect(n, saved) ? built_in(argv.items) : 1;
  put_back(saved);
  clear(&argv);
  return true;
}

static void run(Node *n) {
  if (!n || caught == SIGNAL_INT) return;
  switch (n->kind) {
    case THEN: run(n->left), run(n->right); break;
    case AND: run(n->left); if (!status) run(n->right); break;
    case OR: run(n->left); if (status) run(n->right); break;
    case BEHIND: run_job(n->left, true); break;
    case COMMAND: if (!run_here(n)) run_job(n, false); break;
    default: run_job(n, false);
  }
}

// ---- where lines come from ----

typedef struct { int fd; const char *text; } Source;

// The next byte; negative at the end, and -2 if a signal came.
static int next_byte(Source *from) {
  if (from->text) return *from->text ? (unsigned char)*from->text++ : -1;
  // One at a time: what stands behind this line is for the programs that it runs.
  unsigned char c;
  __wasi_iovec_t one = {&c, 1};
  size_t got = 0;
  __wasi_errno_t error = __wasi_fd_read(from->fd, &one, 1, &got);
  return error == __WASI_ERRNO_INTR ? -2 : error || !got ? -1 : c;
}

// Appends a line; false at the end of all lines.
static bool read_line(Source *from, Buffer *line) {
  for (;;) {
    int c = next_byte(from);
    if (c == -2 && caught == SIGNAL_INT) return line->length = 0, true;
    if (c == -2) continue;
    if (c < 0) return line->length > 0;
    put(line, (char)c);
    if (c == '\n') return true;
  }
}

// Runs all lines of a source.
static int run_source(Source from) {
  Buffer lines = {0};
  bool prompts = interactive && from.fd == 0 && !from.text;
  for (;;) {
    caught = 0;
    tell();
    if (prompts) fputs(lines.length ? "> " : "$ ", stderr);
    size_t before = lines.length;
    bool more = read_line(&from, &lines);
    if (caught == SIGNAL_INT) { fputc('\n', stderr), lines.length = 0, status = 130; continue; }
    if (!more && !before) break;
    at = line_start = text_of(&lines), mistake = NULL, unfinished = false;
    Node *all = list();
    if (!mistake && !unfinished && *at) mistake = at;
    bool ends = !more || lines.length == before;
    if (unfinished && !ends) { free_node(all); continue; }
    if (mistake || unfinished) {
      if (unfinished) complain("the end comes too early");
      else complain("`%.*s` is not understood here", (int)strcspn(mistake, "\n"), mistake);
      status = 2;
    } else {
      run(all);
    }
    free_node(all);
    lines.length = 0, *text_of(&lines) = 0;
    if (ends && before) break;
    if ((mistake || unfinished) && !interactive) break;
  }
  if (prompts) fputc('\n', stderr);
  free(lines.text);
  return status;
}

static int run_file(const char *name) {
  int fd = open(name, O_RDONLY);
  if (fd < 0) return complain("%s: %s", name, strerror(errno)), 127;
  fd_fdflags_set(fd, 1);
  status = run_source((Source){.fd = fd});
  close(fd);
  return status;
}

// What a command writes, without the line breaks at its end.
static char *output_of(const char *source) {
  int reader, writer;
  if (fd_pipe(&reader, &writer)) return must(strdup(""));
  int pid = copy_self();
  if (pid == 0) {
    interactive = false;
    callback_signal("", 0);
    close(reader), move_fd(writer, 1);
    run_source((Source){.text = source, .fd = -1});
    fflush(NULL), exit(status);
  }
  close(writer);
  Buffer text = {0};
  Source from = {.fd = reader};
  for (int c; (c = next_byte(&from)) != -1;)
    if (c > 0) put(&text, (char)c);
  close(reader);
  option_pid who = {.tag = 1, .value = (uint32_t)pid};
  join_status ended = {0};
  if (pid > 0 && !proc_join(&who, 0, &ended)) status = code_of(&ended);
  while (text.length && text.text[text.length - 1] == '\n') text.text[--text.length] = 0;
  return text_of(&text);
}

int main(int argc, char **argv) {
  for (char **pair = environ; *pair; pair++) {
    const char *equals = strchr(*pair, '=');
    if (equals) set(*pair, (size_t)(equals - *pair), equals + 1, true);
  }
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  const char *text = NULL;
  bool jobs_wanted = false;
  int i = 1;
  for (; i < argc && *argv[i] == '-'; i++) {
    if (!strcmp(argv[i], "-c") && i + 1 < argc) { text = argv[++i], i++; break; }
    if (strcmp(argv[i], "-m")) {
      fputs("usage: sh [-m] [-c TEXT | FILE] [ARGUMENT...]     -m gives jobs groups of their own\n", stderr);
      return 2;
    }
    jobs_wanted = true;
  }
  // $0 is the script, or else the shell.
  const char *file = !text && i < argc ? argv[i] : NULL;
  params = argv + i - (file ? 0 : 1), param_count = argc - i + (file ? 0 : 1);
  if (!file) params[0] = argv[0];
  interactive = jobs_wanted || (!text && !file && isatty(0));
  if (interactive) {
    proc_id(&own_group);
    proc_group_set(0, 0), tty_foreground_set(own_group);
    callback_signal("on_signal", strlen("on_signal"));
  }
  int code = text ? run_source((Source){.text = text, .fd = -1}) : file ? run_file(file) : run_source((Source){.fd = 0});
  fflush(NULL);
  return code;
}
