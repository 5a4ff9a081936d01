/* A program that copies a lot, and one beside it that does a little. */
#define _GNU_SOURCE
#include "work.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define SMALL 4096
#define SECOND 1000000000ull

/* Copies a whole file over another, one system call for each time around, until the time is over. */
static struct sample copy_again(int argc, char **argv) {
  (void)argc;
  int from = open(argv[0], O_RDONLY), to = open(argv[1], O_WRONLY | O_CREAT, 0644);
  if (from < 0 || to < 0) die(argv[1]);
  off_t size = lseek(from, 0, SEEK_END);
  uint64_t start = now_ns(), end = start + number(argv[2]) * SECOND, copies = 0;
  do {
    for (off_t at = 0; at < size;) {
      off64_t in = at, out = at;
      ssize_t copied = copy_file_range(from, &in, to, &out, size - at, 0);
      if (copied <= 0) die(argv[1]);
      at += copied;
    }
    copies++;
  } while (now_ns() < end);
  return (struct sample){now_ns() - start, copies};
}

/* Creates, writes, fsyncs and removes a small file until the time is over; prints how long each took, in ns. */
static struct sample small_fsyncs(int argc, char **argv) {
  (void)argc;
  char bytes[SMALL] = "b";
  uint64_t start = now_ns(), end = start + number(argv[1]) * SECOND, before = start, files = 0;
  do {
    int fd = open(argv[0], O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0 || write(fd, bytes, SMALL) != SMALL || fsync(fd) < 0) die(argv[0]);
    if (close(fd) < 0 || unlink(argv[0]) < 0) die(argv[0]);
    uint64_t now = now_ns();
    printf("%llu\n", (unsigned long long)(now - before));
    before = now;
    files++;
  } while (before < end);
  return (struct sample){before - start, files};
}

const struct command neighbour_commands[] = {
    {"copy-again", "FROM TO SECONDS", 3, copy_again},
    {"small-fsyncs", "PATH SECONDS", 2, small_fsyncs},
    {NULL, NULL, 0, NULL},
};
