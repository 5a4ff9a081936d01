/* Loops that read: whole files, blocks, mappings. */
#define _GNU_SOURCE
#include "work.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK (128 * 1024)
#define PAGE 4096

static char buffer[BLOCK];

static int open_sized(const char *path, off_t *size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) < 0) die(path);
  *size = st.st_size;
  return fd;
}

static void read_whole(const char *path, int fd) {
  ssize_t got;
  while ((got = read(fd, buffer, sizeof buffer)) > 0) {}
  if (got < 0) die(path);
}

static struct sample read_list(int argc, char **argv) {
  struct lines paths = read_lines(argv[0]);
  int warm = argc > 1 && strcmp(argv[1], "warm") == 0;
  uint64_t start = 0, i = 0;
  for (int pass = warm ? 0 : 1; pass < 2; pass++) {
    start = now_ns();
    for (i = 0; i < paths.count && !out_of_time(start, i); i++) {
      int fd = open(paths.at[i], O_RDONLY);
      if (fd < 0) die(paths.at[i]);
      read_whole(paths.at[i], fd);
      close(fd);
    }
  }
  return (struct sample){now_ns() - start, i};
}

/* Whole file in blocks of 128 KiB, `repeat` times; cold: the first pass counts as well. */
static struct sample read_sequential(int argc, char **argv) {
  int warm = argc > 2 && strcmp(argv[2], "warm") == 0;
  long repeat = number(argv[1]);
  off_t size;
  int fd = open_sized(argv[0], &size);
  if (warm) read_whole(argv[0], fd);
  uint64_t start = now_ns();
  for (long i = 0; i < repeat; i++) {
    if (lseek(fd, 0, SEEK_SET) < 0) die(argv[0]);
    read_whole(argv[0], fd);
  }
  return (struct sample){now_ns() - start, (uint64_t)repeat};
}

static struct sample read_random(int argc, char **argv) {
  (void)argc;
  uint64_t count = (uint64_t)number(argv[1]);
  off_t size;
  int fd = open_sized(argv[0], &size);
  uint64_t pages = (uint64_t)size / PAGE;
  if (!pages) die("file of less than a page");
  read_whole(argv[0], fd);
  uint64_t state = 88172645463325252u;
  uint64_t start = now_ns(), i = 0;
  for (; i < count && !out_of_time(start, i); i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    if (pread(fd, buffer, PAGE, (off_t)(state % pages) * PAGE) != PAGE) die(argv[0]);
  }
  return (struct sample){now_ns() - start, i};
}

static uint64_t touch(const volatile char *bytes, off_t size) {
  uint64_t sum = 0;
  for (off_t at = 0; at < size; at += PAGE) sum += (uint64_t)bytes[at];
  return sum;
}

/* Maps the file anew each time and touches every page. */
static struct sample read_mapped(int argc, char **argv) {
  (void)argc;
  long repeat = number(argv[1]);
  off_t size;
  int fd = open_sized(argv[0], &size);
  read_whole(argv[0], fd);
  uint64_t start = now_ns();
  for (long i = 0; i < repeat; i++) {
    char *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) die(argv[0]);
    touch(bytes, size);
    munmap(bytes, (size_t)size);
  }
  return (struct sample){now_ns() - start, (uint64_t)repeat};
}

/* Maps every listed file as a loader does (private, executable), touches it, and stays until told to go. */
static struct sample hold_mapped(int argc, char **argv) {
  (void)argc;
  struct lines paths = read_lines(argv[0]);
  uint64_t start = now_ns();
  for (size_t i = 0; i < paths.count; i++) {
    off_t size;
    int fd = open_sized(paths.at[i], &size);
    if (size > 0) {
      char *bytes = mmap(NULL, (size_t)size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
      if (bytes == MAP_FAILED) die(paths.at[i]);
      touch(bytes, size);
    }
    close(fd);
  }
  uint64_t ns = now_ns() - start;
  printf("ready\n");
  fflush(stdout);
  getchar();
  return (struct sample){ns, paths.count};
}

const struct command data_commands[] = {
    {"read-list", "LIST [warm]", 1, read_list},
    {"read-seq", "PATH REPEAT [warm]", 2, read_sequential},
    {"read-random", "PATH COUNT", 2, read_random},
    {"read-mapped", "PATH REPEAT", 2, read_mapped},
    {"hold-mapped", "LIST (prints ready, ends with stdin)", 1, hold_mapped},
    {NULL, NULL, 0, NULL},
};
