#define _GNU_SOURCE
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int out_of_time(uint64_t start, uint64_t i) {
  return i % 64 == 63 && now_ns() - start > 4000000000u;
}

void die(const char *what) {
  fprintf(stderr, "work: %s: %s\n", what, strerror(errno));
  exit(1);
}

long number(const char *text) {
  char *end;
  long value = strtol(text, &end, 10);
  if (*end != '\0' || value < 0) {
    fprintf(stderr, "work: not a number: %s\n", text);
    exit(2);
  }
  return value;
}

struct lines read_lines(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) < 0) die(path);
  char *text = malloc((size_t)st.st_size + 1);
  for (off_t at = 0; at < st.st_size;) {
    ssize_t got = read(fd, text + at, (size_t)(st.st_size - at));
    if (got <= 0) die(path);
    at += got;
  }
  close(fd);
  text[st.st_size] = '\0';
  struct lines lines = {NULL, 0};
  size_t room = 0;
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
    if (lines.count + 2 > room) {
      room = room ? room * 2 : 1024;
      lines.at = realloc(lines.at, room * sizeof *lines.at);
    }
    lines.at[lines.count++] = line;
  }
  if (!lines.count) {
    fprintf(stderr, "work: %s is empty\n", path);
    exit(2);
  }
  lines.at[lines.count] = NULL;
  return lines;
}

static const struct command *const families[] = {names_commands, data_commands, write_commands,
                                                 process_commands, mount_commands,
                                                 neighbour_commands};
#define FAMILIES (sizeof families / sizeof *families)

static void usage(void) {
  fprintf(stderr, "usage: work ROOT COMMAND ARGUMENT...\n");
  for (size_t f = 0; f < FAMILIES; f++)
    for (const struct command *c = families[f]; c->name; c++)
      fprintf(stderr, "  %s %s\n", c->name, c->usage);
  exit(2);
}

int main(int argc, char **argv) {
  if (argc < 3) usage();
  /* Relative paths from here on: how deep the peer is mounted is no part of a measurement. */
  if (chdir(argv[1]) < 0) die(argv[1]);
  for (size_t f = 0; f < FAMILIES; f++)
    for (const struct command *c = families[f]; c->name; c++) {
      if (strcmp(c->name, argv[2]) != 0) continue;
      if (argc - 3 < c->args) usage();
      struct sample sample = c->run(argc - 3, argv + 3);
      printf("%llu %llu\n", (unsigned long long)sample.ns, (unsigned long long)sample.ops);
      return 0;
    }
  usage();
}
