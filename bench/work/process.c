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

int run_and_wait(char *const argv[]) {
  posix_spawn_file_actions_t quiet;
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid;
  errno = posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ);
  if (errno) die(argv[0]);
  posix_spawn_file_actions_destroy(&quiet);
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

static struct sample run(int argc, char **argv) {
  (void)argc;
  uint64_t start = now_ns();
  int status = run_and_wait(argv);
  uint64_t ns = now_ns() - start;
  if (status != 0) {
    fprintf(stderr, "work: %s ended with %d\n", argv[0], status);
    exit(1);
  }
  return (struct sample){ns, 1};
}

const struct command process_commands[] = {
    {"exec", "PROGRAM COUNT", 2, exec_loop},
    {"run", "PROGRAM ARGUMENT...", 1, run},
    {NULL, NULL, 0, NULL},
};
