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

#define UNMEASURED 1000

static struct sample stat_one(int argc, char **argv) {
  (void)argc;
  uint64_t count = (uint64_t)number(argv[1]);
  struct stat st;
  if (lstat(argv[0], &st) < 0) die(argv[0]);
  uint64_t start = now_ns(), i = 0;
  for (; i < count && !out_of_time(start, i); i++)
    if (lstat(argv[0], &st) < 0) die(argv[0]);
  return (struct sample){now_ns() - start, i};
}

static struct sample stat_missing(int argc, char **argv) {
  (void)argc;
  uint64_t count = (uint64_t)number(argv[1]);
  struct stat st;
  lstat(argv[0], &st);
  uint64_t start = now_ns(), i = 0;
  for (; i < count && !out_of_time(start, i); i++)
    if (lstat(argv[0], &st) == 0 || errno != ENOENT) die(argv[0]);
  return (struct sample){now_ns() - start, i};
}

static void open_and_close(const char *path) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) die(path);
  close(fd);
}

static struct sample open_close(int argc, char **argv) {
  (void)argc;
  uint64_t count = (uint64_t)number(argv[1]);
  /* Not measured at first: descriptors and backing ids are cached after it. */
  for (int i = 0; i < UNMEASURED; i++) open_and_close(argv[0]);
  uint64_t start = now_ns(), i = 0;
  for (; i < count && !out_of_time(start, i); i++) open_and_close(argv[0]);
  return (struct sample){now_ns() - start, i};
}

static struct sample stat_list(int argc, char **argv) {
  struct lines paths = read_lines(argv[0]);
  int warm = argc > 1 && strcmp(argv[1], "warm") == 0;
  struct stat st;
  uint64_t start = 0, i = 0;
  for (int pass = warm ? 0 : 1; pass < 2; pass++) {
    start = now_ns();
    for (i = 0; i < paths.count && !out_of_time(start, i); i++)
      if (lstat(paths.at[i], &st) < 0) die(paths.at[i]);
  }
  return (struct sample){now_ns() - start, i};
}

/* Of names that are not there. */
static struct sample stat_absent(int argc, char **argv) {
  struct lines paths = read_lines(argv[0]);
  int warm = argc > 1 && strcmp(argv[1], "warm") == 0;
  struct stat st;
  uint64_t start = 0, i = 0;
  for (int pass = warm ? 0 : 1; pass < 2; pass++) {
    start = now_ns();
    for (i = 0; i < paths.count && !out_of_time(start, i); i++)
      if (lstat(paths.at[i], &st) == 0 || errno != ENOENT) die(paths.at[i]);
  }
  return (struct sample){now_ns() - start, i};
}

struct walk {
  int attributes;
  uint64_t start;
  uint64_t seen;
};

/* Names below `dir`, as find(1) does; with `attributes`, an lstat of each, as du(1) and ls -lR do. */
static void walk_dir(struct walk *walk, int at, const char *name) {
  int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (!dir) die(name);
  struct dirent *entry;
  while ((entry = readdir(dir)) && !out_of_time(walk->start, walk->seen)) {
    const char *child = entry->d_name;
    if (child[0] == '.' && (child[1] == '\0' || (child[1] == '.' && child[2] == '\0'))) continue;
    walk->seen++;
    int is_dir = entry->d_type == DT_DIR;
    struct stat st;
    if (walk->attributes || entry->d_type == DT_UNKNOWN) {
      if (fstatat(fd, child, &st, AT_SYMLINK_NOFOLLOW) < 0) die(child);
      is_dir = S_ISDIR(st.st_mode);
    }
    if (is_dir) walk_dir(walk, fd, child);
  }
  closedir(dir);
}

static struct sample walk_all(int argc, char **argv, int attributes) {
  int warm = strcmp(argv[0], "warm") == 0;
  struct walk walk;
  for (int pass = warm ? 0 : 1; pass < 2; pass++) {
    walk = (struct walk){attributes, now_ns(), 0};
    for (int i = 1; i < argc; i++) walk_dir(&walk, AT_FDCWD, argv[i]);
  }
  return (struct sample){now_ns() - walk.start, walk.seen};
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
    {"stat-absent", "LIST [warm]", 1, stat_absent},
    {"walk", "warm|cold DIR...", 2, walk},
    {"walk-stat", "warm|cold DIR...", 2, walk_stat},
    {"rename", "FROM TO", 2, rename_dir},
    {NULL, NULL, 0, NULL},
};
