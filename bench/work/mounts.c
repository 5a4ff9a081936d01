/* What envs on overlayfs take: to make them, and when the tree below them changes. */
#define _GNU_SOURCE
#include "work.h"

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

static void make_dir(const char *parent, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", parent, name);
  if (mkdir(path, 0755) < 0) die(path);
}

static void mount_overlay(const char *dir, const char *lower) {
  char merged[4096], options[16384];
  snprintf(merged, sizeof merged, "%s/merged", dir);
  snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, dir, dir);
  if (mount("overlay", merged, "overlay", 0, options) < 0) die(options);
}

/* Makes overlays: the directories that each needs, and the mount. */
static struct sample overlay_new(int argc, char **argv) {
  (void)argc;
  const struct lines dirs = read_lines(argv[0]);
  const uint64_t start = now_ns();
  for (size_t i = 0; i < dirs.count; i++) {
    if (mkdir(dirs.at[i], 0755) < 0) die(dirs.at[i]);
    make_dir(dirs.at[i], "upper");
    make_dir(dirs.at[i], "work");
    make_dir(dirs.at[i], "merged");
    mount_overlay(dirs.at[i], argv[1]);
  }
  return (struct sample){now_ns() - start, dirs.count};
}

/*
 * Gives each overlay another lower directory: there is no way but to unmount it, which needs that nobody uses
 * it, and to mount it anew. DIRS is a list of directories, each with `upper`, `work` and the mount point `merged`.
 */
static struct sample overlay_relower(int argc, char **argv) {
  (void)argc;
  const struct lines dirs = read_lines(argv[0]);
  const uint64_t start = now_ns();
  for (size_t i = 0; i < dirs.count; i++) {
    char merged[4096];
    snprintf(merged, sizeof merged, "%s/merged", dirs.at[i]);
    if (umount2(merged, 0) < 0) die(merged);
    mount_overlay(dirs.at[i], argv[1]);
  }
  return (struct sample){now_ns() - start, dirs.count};
}

const struct command mount_commands[] = {
    {"overlay-new", "DIRS LOWER", 2, overlay_new},
    {"overlay-relower", "DIRS LOWER", 2, overlay_relower},
    {NULL, NULL, 0, NULL},
};
