/* Loops that change something: create, unlink, replace, first write, write + fsync. */
#define _GNU_SOURCE
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL 4096
#define BLOCK (1024 * 1024)

static void numbered(char *path, size_t room, const char *dir, long i) {
  snprintf(path, room, "%s/f%06ld", dir, i);
}

static struct sample create_files(int argc, char **argv) {
  (void)argc;
  long count = number(argv[1]);
  char path[512], bytes[SMALL];
  memset(bytes, 'b', sizeof bytes);
  uint64_t start = now_ns();
  for (long i = 0; i < count; i++) {
    numbered(path, sizeof path, argv[0], i);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0 || write(fd, bytes, sizeof bytes) != sizeof bytes || close(fd) < 0) die(path);
  }
  return (struct sample){now_ns() - start, (uint64_t)count};
}

static struct sample unlink_files(int argc, char **argv) {
  (void)argc;
  long count = number(argv[1]);
  char path[512];
  uint64_t start = now_ns();
  for (long i = 0; i < count; i++) {
    numbered(path, sizeof path, argv[0], i);
    if (unlink(path) < 0) die(path);
  }
  return (struct sample){now_ns() - start, (uint64_t)count};
}

/* Replaces one file again and again, as editors do: a new file, written, renamed over it. */
static struct sample replace_file(int argc, char **argv) {
  (void)argc;
  long count = number(argv[1]);
  char path[512], fresh[520], bytes[SMALL];
  memset(bytes, 'b', sizeof bytes);
  numbered(path, sizeof path, argv[0], 0);
  snprintf(fresh, sizeof fresh, "%s.new", path);
  uint64_t start = now_ns();
  for (long i = 0; i < count; i++) {
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0 || write(fd, bytes, sizeof bytes) != sizeof bytes || close(fd) < 0) die(fresh);
    if (rename(fresh, path) < 0) die(path);
  }
  uint64_t ns = now_ns() - start;
  if (unlink(path) < 0) die(path);
  return (struct sample){ns, (uint64_t)count};
}

/* One byte into each listed file: on a copy-on-write root, the copy-up of each. */
static struct sample first_write(int argc, char **argv) {
  uint64_t start = now_ns();
  for (int i = 0; i < argc; i++) {
    int fd = open(argv[i], O_RDWR);
    if (fd < 0 || pwrite(fd, "x", 1, 0) != 1 || close(fd) < 0) die(argv[i]);
  }
  return (struct sample){now_ns() - start, (uint64_t)argc};
}

/* What a copy-up can't do without: a new file, the bytes copied by the kernel, one byte written. */
static struct sample copy_then_write(int argc, char **argv) {
  char copy[512];
  uint64_t start = now_ns();
  for (int i = 0; i < argc; i++) {
    snprintf(copy, sizeof copy, "%s.copy", argv[i]);
    int in = open(argv[i], O_RDONLY);
    int out = open(copy, O_RDWR | O_CREAT | O_EXCL, 0644);
    if (in < 0 || out < 0) die(argv[i]);
    ssize_t moved;
    while ((moved = copy_file_range(in, NULL, out, NULL, 1 << 30, 0)) > 0) {}
    if (moved < 0 || pwrite(out, "x", 1, 0) != 1) die(copy);
    close(in);
    close(out);
  }
  uint64_t ns = now_ns() - start;
  for (int i = 0; i < argc; i++) {
    snprintf(copy, sizeof copy, "%s.copy", argv[i]);
    if (unlink(copy) < 0) die(copy);
  }
  return (struct sample){ns, (uint64_t)argc};
}

static struct sample write_fsync(int argc, char **argv) {
  (void)argc;
  long blocks = number(argv[1]);
  char *bytes = malloc(BLOCK);
  memset(bytes, 'b', BLOCK);
  int fd = open(argv[0], O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (fd < 0) die(argv[0]);
  uint64_t start = now_ns();
  for (long i = 0; i < blocks; i++)
    if (write(fd, bytes, BLOCK) != BLOCK) die(argv[0]);
  if (fsync(fd) < 0) die(argv[0]);
  uint64_t ns = now_ns() - start;
  close(fd);
  if (unlink(argv[0]) < 0) die(argv[0]);
  return (struct sample){ns, 1};
}

/* Writes a new file from its begin to its end; an operation is one block. */
static struct sample write_sequential(int argc, char **argv) {
  (void)argc;
  long block = number(argv[1]), blocks = number(argv[2]);
  char *bytes = malloc((size_t)block);
  memset(bytes, 'b', (size_t)block);
  int fd = open(argv[0], O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (fd < 0) die(argv[0]);
  uint64_t start = now_ns();
  for (long i = 0; i < blocks; i++)
    if (write(fd, bytes, (size_t)block) != block) die(argv[0]);
  uint64_t ns = now_ns() - start;
  close(fd);
  if (unlink(argv[0]) < 0) die(argv[0]);
  return (struct sample){ns, (uint64_t)blocks};
}

/* Writes pages of a file of 64 MiB that is open for reading, too, as databases do; an operation is one page. */
static struct sample rewrite_pages(int argc, char **argv) {
  (void)argc;
  enum { PAGES = 8192, PAGE = 8192 };
  long count = number(argv[1]);
  char bytes[PAGE] = {1};
  int fd = open(argv[0], O_RDWR | O_CREAT | O_EXCL, 0644);
  if (fd < 0) die(argv[0]);
  for (long i = 0; i < PAGES; i++)
    if (write(fd, bytes, PAGE) != PAGE) die(argv[0]);
  uint64_t state = 88172645463325252u;
  uint64_t start = now_ns();
  for (long i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    if (pwrite(fd, bytes, PAGE, (off_t)(state % PAGES) * PAGE) != PAGE) die(argv[0]);
  }
  uint64_t ns = now_ns() - start;
  close(fd);
  if (unlink(argv[0]) < 0) die(argv[0]);
  return (struct sample){ns, (uint64_t)count};
}

const struct command write_commands[] = {
    {"create", "DIR COUNT", 2, create_files},
    {"unlink", "DIR COUNT", 2, unlink_files},
    {"replace", "DIR COUNT", 2, replace_file},
    {"first-write", "PATH...", 1, first_write},
    {"copy-write", "PATH...", 1, copy_then_write},
    {"write-fsync", "PATH MEBIBYTES", 2, write_fsync},
    {"write-seq", "PATH BLOCK BLOCKS", 3, write_sequential},
    {"rewrite-pages", "PATH COUNT", 2, rewrite_pages},
    {NULL, NULL, 0, NULL},
};
