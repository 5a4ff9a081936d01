/* Loops over names and attributes: stat, open+close, tree walks, rename. */
#define _GNU_SOURCE
#include "work.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct sample stat_one(int argc, char **argv) {
  (void)argc;
  uint64_t count = (uint64_t)number(argv[1]);
  struct stat st;
  if (lstat(argv[0], &st) < 0) die(argv[0]);
  uint64_t start = now_ns();
  for (uint64_t i = 0; i < count; i++)
    if (lstat(argv[0], &st) < 0) die(argv[0]);
  return (struct sample){now_ns() - start, count};
}

static struct sample stat_missing(int argc, char **argv) {
  (void)argc;
  uint64_t count = (uint64_t)number(argv[1]);
  struct stat st;
  lstat(argv[0], &st);
  uint64_t start = now_ns();
  for (uint64_t i = 0; i < count; i++)
    if (lstat(argv[0], &st) == 0 || errno != ENOENT) die(argv[0]);
  return (struct sample){now_ns() - start, count};
}

static struct sample open_close(int argc, char **argv) {
  (void)argc;
  uint64_t count = (uint64_t)number(argv[1]);
  uint64_t start = 0;
  /* The first tenth is not measured: descriptors and backing ids are cached after it. */
  for (uint64_t i = 0; i < count + count / 10; i++) {
    if (i == count / 10) start = now_ns();
    int fd = open(argv[0], O_RDONLY);
    if (fd < 0) die(argv[0]);
    close(fd);
  }
  return (struct sample){now_ns() - start, count};
}

static struct sample stat_list(int argc, char **argv) {
  struct lines paths = read_lines(argv[0]);
  int warm = argc > 1 && strcmp(argv[1], "warm") == 0;
  struct stat st;
  uint64_t start = now_ns();
  for (int pass = warm ? 0 : 1; pass < 2; pass++) {
    start = now_ns();
    for (size_t i = 0; i < paths.count; i++)
      if (lstat(paths.at[i], &st) < 0) die(paths.at[i]);
  }
  return (struct sample){now_ns() - start, paths.count};
}

/* Names below `dir`, as find(1) does; with `attributes`, an lstat of each, as du(1) and ls -lR do. */
static uint64_t walk_dir(int at, const char *name, int attributes) {
  int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (!dir) die(name);
  uint64_t seen = 0;
  struct dirent *entry;
  while ((entry = readdir(dir))) {
    const char *child = entry->d_name;
    if (child[0] == '.' && (child[1] == '\0' || (child[1] == '.' && child[2] == '\0'))) continue;
    seen++;
    int is_dir = entry->d_type == DT_DIR;
    struct stat st;
    if (attributes || entry->d_type == DT_UNKNOWN) {
      if (fstatat(fd, child, &st, AT_SYMLINK_NOFOLLOW) < 0) die(child);
      is_dir = S_ISDIR(st.st_mode);
    }
    if (is_dir) seen += walk_dir(fd, child, attributes);
  }
  closedir(dir);
  return seen;
}

static struct sample walk_all(int argc, char **argv, int attributes) {
  int warm = strcmp(argv[0], "warm") == 0;
  uint64_t start = now_ns(), seen = 0;
  for (int pass = warm ? 0 : 1; pass < 2; pass++) {
    seen = 0;
    start = now_ns();
    for (int i = 1; i < argc; i++) seen += walk_dir(AT_FDCWD, argv[i], attributes);
  }
  return (struct sample){now_ns() - start, seen};
}

static struct sample walk(int argc, char **argv) { return walk_all(argc, argv, 0); }
static struct sample walk_stat(int argc, char **argv) { return walk_all(argc, argv, 1); }

static struct sample rename_dir(int argc, char **argv) {
  (void)argc;
  struct stat st;
  if (lstat(argv[0], &st) < 0) die(argv[0]);
  uint64_t start = now_ns();
  if (rename(argv[0], argv[1]) < 0) {
    if (errno != EXDEV) die(argv[0]);
    /* What a user's mv does then: copy all of it, and remove the original. */
    char *mv[] = {"mv", argv[0], argv[1], NULL};
    if (run_and_wait(mv) != 0) die("mv");
  }
  return (struct sample){now_ns() - start, 1};
}

const struct command names_commands[] = {
    {"stat", "PATH COUNT", 2, stat_one},
    {"stat-missing", "PATH COUNT", 2, stat_missing},
    {"open-close", "PATH COUNT", 2, open_close},
    {"stat-list", "LIST [warm]", 1, stat_list},
    {"walk", "warm|cold DIR...", 2, walk},
    {"walk-stat", "warm|cold DIR...", 2, walk_stat},
    {"rename", "FROM TO", 2, rename_dir},
    {NULL, NULL, 0, NULL},
};
