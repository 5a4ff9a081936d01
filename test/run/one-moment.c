/*
 * one-moment FILE FILE FILE FILE: counts, and puts each number first into the first file, then into the second, third and fourth: as a line at
 * the end of the first two, and by a store through a mapping into the others. At any moment each file has the number that the one
 * before has, or the one before that.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int open_file(const char *path) {
  int fd = open(path, O_RDWR | O_CREAT | O_APPEND, 0644);
  if (fd < 0) {
    perror(path);
    exit(1);
  }
  return fd;
}

static volatile atomic_ulong *map_file(const char *path) {
  int fd = open_file(path);
  void *at = MAP_FAILED;
  if (ftruncate(fd, 4096) == 0) at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) {
    perror(path);
    exit(1);
  }
  return at;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  int first = open_file(argv[1]), second = open_file(argv[2]);
  volatile atomic_ulong *third = map_file(argv[3]), *fourth = map_file(argv[4]);
  for (unsigned long n = 1;; n++) {
    char line[32];
    size_t length = (size_t)snprintf(line, sizeof line, "%lu\n", n);
    if (write(first, line, length) != (ssize_t)length) return 1;
    if (write(second, line, length) != (ssize_t)length) return 1;
    atomic_store(third, n);
    atomic_store(fourth, n);
    usleep(20);
  }
}
