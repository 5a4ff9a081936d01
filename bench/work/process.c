/* Loops that start programs. */
#define _GNU_SOURCE
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int wait_for(pid_t pid) {
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) die("waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Starts a program whose output goes to a descriptor. */
static pid_t start(char *const argv[], int output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  pid_t pid;
  errno = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
  if (errno) die(argv[0]);
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

int run_and_wait(char *const argv[]) {
  int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nothing < 0) die("/dev/null");
  pid_t pid = start(argv, nothing);
  close(nothing);
  return wait_for(pid);
}

/* Starts the program (a static one that returns 0) and waits for it, again and again. */
static struct sample exec_loop(int argc, char **argv) {
  (void)argc;
  long count = number(argv[1]);
  char *program[] = {argv[0], NULL};
  uint64_t start = 0;
  for (long i = -5; i < count; i++) {
    if (i == 0) start = now_ns();
    pid_t pid;
    errno = posix_spawn(&pid, argv[0], NULL, NULL, program, environ);
    if (errno) die(argv[0]);
    if (wait_for(pid) != 0) die(argv[0]);
  }
  return (struct sample){now_ns() - start, (uint64_t)count};
}

static void need_success(const char *program, int status) {
  if (status == 0) return;
  fprintf(stderr, "work: %s ended with %d\n", program, status);
  exit(1);
}

static struct sample run(int argc, char **argv) {
  (void)argc;
  uint64_t begun = now_ns();
  int status = run_and_wait(argv);
  uint64_t ns = now_ns() - begun;
  need_success(argv[0], status);
  return (struct sample){ns, 1};
}

/* Until the program has printed something; its end is waited for, and not measured. */
static struct sample first_output(int argc, char **argv) {
  (void)argc;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) die("pipe");
  uint64_t begun = now_ns();
  pid_t pid = start(argv, ends[1]);
  close(ends[1]);
  char bytes[4096];
  if (read(ends[0], bytes, sizeof bytes) <= 0) die("the program's output");
  uint64_t ns = now_ns() - begun;
  while (read(ends[0], bytes, sizeof bytes) > 0) continue;
  close(ends[0]);
  need_success(argv[0], wait_for(pid));
  return (struct sample){ns, 1};
}

const struct command process_commands[] = {
    {"exec", "PROGRAM COUNT", 2, exec_loop},
    {"run", "PROGRAM ARGUMENT...", 1, run},
    {"first-output", "PROGRAM ARGUMENT...", 1, first_output},
    {NULL, NULL, 0, NULL},
};
