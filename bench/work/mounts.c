/* What has to be done to envs on overlayfs when the tree below them changes. */
#define _GNU_SOURCE
#include "work.h"

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

/*
 * Gives each overlay another lower directory: there is no way but to unmount it, which needs that nobody uses
 * it, and to mount it anew. DIRS is a list of directories, each with `upper`, `work` and the mount point `merged`.
 */
static struct sample overlay_relower(int argc, char **argv) {
  (void)argc;
  const struct lines dirs = read_lines(argv[0]);
  const uint64_t start = now_ns();
  for (size_t i = 0; i < dirs.count; i++) {
    char merged[4096], options[16384];
    snprintf(merged, sizeof merged, "%s/merged", dirs.at[i]);
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", argv[1],
             dirs.at[i], dirs.at[i]);
    if (umount2(merged, 0) < 0) die(merged);
    if (mount("overlay", merged, "overlay", 0, options) < 0) die(options);
  }
  return (struct sample){now_ns() - start, dirs.count};
}

const struct command mount_commands[] = {
    {"overlay-relower", "DIRS LOWER", 2, overlay_relower},
    {NULL, NULL, 0, NULL},
};
