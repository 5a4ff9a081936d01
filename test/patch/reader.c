// Reads paths of mounted envs in a loop, while their templates are patched and taken back, and says what
// it saw that it should not have seen.
//
//   reader CONTROL PROBES MOUNT...
//   reader --describe PROBES ROOT      prints what each path below ROOT is, a line each
//
// CONTROL is a file of 4 bytes, the phase: 0 only the old version may be seen, 1 either, 2 only the new one, 3
// either, 4 is 0 again, and so on; 0xffffffff ends the program. A line of PROBES is KIND PATH OLD NEW, with blanks
// between: what the path is in the two versions, by `describe` below. Ends with one line of counts.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_PROBES 4096
#define MAX_SHOWN 20
#define LONG 4400

#define VALUE 1024

struct Probe {
  char kind[8];
  char path[256];
  char old_value[VALUE];
  char new_value[VALUE];
};

static struct Probe probes[MAX_PROBES];
static int probe_count;
static uint64_t seen_old, seen_new, wrong;

static uint64_t hash(uint64_t h, const unsigned char *data, size_t length) {
  for (size_t i = 0; i < length; i++) h = (h ^ data[i]) * 0x100000001b3ull;
  return h;
}

static const uint64_t kHashStart = 0xcbf29ce484222325ull;

static void failed(char *out) { sprintf(out, errno == ENOENT ? "-" : "errno-%d", errno); }

// "SIZE:HASH" of all bytes.
static void describe_file(const char *path, char *out) {
  static unsigned char buffer[1 << 16];
  const int fd = open(path, O_RDONLY);
  if (fd < 0) {
    failed(out);
    return;
  }
  uint64_t size = 0, h = kHashStart;
  ssize_t n;
  while ((n = read(fd, buffer, sizeof buffer)) > 0) {
    h = hash(h, buffer, n);
    size += n;
  }
  if (n < 0) failed(out);
  else sprintf(out, "%llu:%016llx", (unsigned long long)size, (unsigned long long)h);
  close(fd);
}

// The same through a mapping.
static void describe_map(const char *path, char *out) {
  const int fd = open(path, O_RDONLY);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) < 0) {
    failed(out);
    if (fd >= 0) close(fd);
    return;
  }
  void *map = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (map == MAP_FAILED) {
    failed(out);
    return;
  }
  sprintf(out, "%llu:%016llx", (unsigned long long)st.st_size,
          (unsigned long long)hash(kHashStart, map, st.st_size));
  munmap(map, st.st_size);
}

static void describe_link(const char *path, char *out) {
  const ssize_t n = readlink(path, out, 100);
  if (n < 0) failed(out);
  else out[n] = '\0';
}

// Mode with type, in octal.
static void describe_mode(const char *path, char *out) {
  struct stat st;
  if (lstat(path, &st) < 0) failed(out);
  else sprintf(out, "%o", st.st_mode);
}

static void describe_xattr(const char *path, char *out) {
  const ssize_t n = lgetxattr(path, "user.version", out, 100);
  if (n < 0) failed(out);
  else out[n] = '\0';
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

// The names of a directory in order, with a slash after each.
static void describe_list(const char *path, char *out) {
  char *names[256];
  int count = 0;
  DIR *dir = opendir(path);
  if (dir == NULL) {
    failed(out);
    return;
  }
  errno = 0;
  for (struct dirent *entry; count < 256 && (entry = readdir(dir)) != NULL;) {
    names[count++] = strdup(entry->d_name);
  }
  const int error = errno;
  closedir(dir);
  qsort(names, count, sizeof names[0], by_text);
  out[0] = '\0';
  for (int i = 0; i < count; i++) {
    strcat(strcat(out, names[i]), "/");
    free(names[i]);
  }
  errno = error;
  if (error != 0) failed(out);
}

static int has(const char *list, const char *name, size_t length) {
  int count = 0;
  for (const char *at = list; *at != '\0'; at = strchr(at, '/') + 1) {
    count += strncmp(at, name, length) == 0 && at[length] == '/';
  }
  return count;
}

// A listing that was made while names came and went: each name that stays is there once, and every name
// is of one of the versions, and there at most once. (More says no file system.)
static int is_mixture(const char *value, const char *before, const char *after) {
  if (!strchr(value, '/') || !strchr(before, '/') || !strchr(after, '/')) return 0;
  for (const char *at = before; *at != '\0'; at = strchr(at, '/') + 1) {
    const size_t length = strchr(at, '/') - at;
    if (has(after, at, length) && has(value, at, length) != 1) return 0;
  }
  for (const char *at = value; *at != '\0'; at = strchr(at, '/') + 1) {
    const size_t length = strchr(at, '/') - at;
    if (has(value, at, length) != 1) return 0;
    if (!has(before, at, length) && !has(after, at, length)) return 0;
  }
  return 1;
}

static void describe(const char *kind, const char *path, char *out) {
  if (strcmp(kind, "file") == 0) describe_file(path, out);
  else if (strcmp(kind, "map") == 0) describe_map(path, out);
  else if (strcmp(kind, "link") == 0) describe_link(path, out);
  else if (strcmp(kind, "mode") == 0) describe_mode(path, out);
  else if (strcmp(kind, "xattr") == 0) describe_xattr(path, out);
  else describe_list(path, out);
}

static void check(const char *mount, const struct Probe *probe, const _Atomic uint32_t *control) {
  char path[LONG], value[LONG];
  snprintf(path, sizeof path, "%s/%s", mount, probe->path);
  const uint32_t before = atomic_load(control);
  describe(probe->kind, path, value);
  const uint32_t after = atomic_load(control);
  const int is_old = strcmp(value, probe->old_value) == 0;
  const int is_new = strcmp(value, probe->new_value) == 0;
  const int either = before != after || before % 2 == 1;
  const int old_allowed = either || before % 4 == 0;
  const int new_allowed = either || before % 4 == 2;
  seen_old += is_old;
  seen_new += is_new;
  if ((is_old && old_allowed) || (is_new && new_allowed)) return;
  if (either && strcmp(probe->kind, "list") == 0 &&
      is_mixture(value, probe->old_value, probe->new_value)) {
    return;
  }
  if (++wrong > MAX_SHOWN) return;
  printf("phase %u..%u %s %s: %s, not %s%s%s\n", before, after, probe->kind, path, value,
         old_allowed ? probe->old_value : "", either ? " or " : "",
         new_allowed ? probe->new_value : "");
  fflush(stdout);
}

static void read_probes(const char *file) {
  FILE *in = fopen(file, "r");
  if (in == NULL) exit(2);
  struct Probe *p = probes;
  while (fscanf(in, "%7s %255s %1023s %1023s", p->kind, p->path, p->old_value, p->new_value) == 4) {
    p++;
  }
  probe_count = p - probes;
  fclose(in);
}

static int describe_all(const char *root) {
  char path[LONG], value[LONG];
  for (int i = 0; i < probe_count; i++) {
    snprintf(path, sizeof path, "%s/%s", root, probes[i].path);
    describe(probes[i].kind, path, value);
    puts(value);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  read_probes(argv[2]);
  if (strcmp(argv[1], "--describe") == 0) return describe_all(argv[3]);
  const int fd = open(argv[1], O_RDONLY);
  const _Atomic uint32_t *control = mmap(NULL, 4, PROT_READ, MAP_SHARED, fd, 0);
  if (fd < 0 || control == MAP_FAILED) return 2;
  uint64_t rounds = 0;
  // Readers take what time is left: with all of it, the patches would wait for them.
  if (nice(10) < 0) return 2;
  // Each reader has an order of its own, so that all paths are met in all states.
  unsigned seed = getpid();
  while (atomic_load(control) != UINT32_MAX) {
    for (int m = 3; m < argc && atomic_load(control) != UINT32_MAX; m++) {
      const int start = rand_r(&seed) % probe_count;
      for (int i = 0; i < probe_count; i++) {
        check(argv[m], &probes[(start + i) % probe_count], control);
      }
    }
    rounds++;
  }
  printf("{\"rounds\":%llu,\"old\":%llu,\"new\":%llu,\"wrong\":%llu}\n", (unsigned long long)rounds,
         (unsigned long long)seen_old, (unsigned long long)seen_new, (unsigned long long)wrong);
  return 0;
}
