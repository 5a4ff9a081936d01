/**
 * byref-confine ROOT PROGRAM [ARGUMENT]...
 *
 * Runs a program of an env on its root, as its root user, so that it reaches nothing else of the machine but the network:
 *
 *   - processes of its own (PID and IPC namespaces), which all end when the program, or this one, does;
 *   - a mount namespace that holds ROOT and what is mounted below it, and nothing of the machine: the old root is let go of
 *     (pivot_root(2)), so that no capability, descriptor or /proc/1/root leads back; no device of a file system works, and no
 *     set-user-ID bit counts;
 *   - a /proc of its own that can't be written: /proc/sys/kernel/core_pattern asks for user 0, not for a capability;
 *   - a /dev of its own, with what harms nobody;
 *   - the capabilities below, and none that an exec could add.
 *
 * The network is the machine's, as it is the env's: what answers there is what a check asks for. Sockets, /run and /tmp are
 * those of ROOT. Standard error becomes standard output.
 *
 * Exit status: the program's; 128 + N: signal N ended it; 125: it could not be confined, and was not run; 127: it could not be
 * started.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_CONFINED 125
#define NOT_STARTED 127

/**
 * What programs of root need for files and users of the env. Not among them: CAP_SYS_CHROOT and CAP_DAC_READ_SEARCH (files by
 * handle), CAP_MKNOD, CAP_NET_RAW and CAP_NET_ADMIN (the network is the machine's), and all of the system's.
 */
static const unsigned KEPT =
    1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_FSETID | 1u << CAP_KILL | 1u << CAP_SETGID | 1u << CAP_SETUID;

static const struct {
  const char *name;
  unsigned major, minor;
} DEVICES[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
               {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};

static void fail(const char *what) {
  dprintf(1, "byref: could not be confined: %s: %s\n", what, strerror(errno));
  _exit(NOT_CONFINED);
}

static void need(int result, const char *what) {
  if (result < 0) fail(what);
}

/** Leaves the machine's file system: the env's root is "/" afterwards, and the only mounts are those of the env. */
static void enter(const char *root) {
  need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mounts to be its own");
  need(mount(root, root, NULL, MS_BIND | MS_REC, NULL), root);
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID};
  need(syscall(SYS_mount_setattr, AT_FDCWD, root, AT_RECURSIVE, &attr, sizeof attr), "mount_setattr");
  need(chdir(root), root);
  // The old root comes to be on top of the new one, and is taken off there: pivot_root(2), "pivot_root(".", ".")".
  need(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  need(umount2(".", MNT_DETACH), "umount of the old root");
  need(chdir("/"), "/");
}

static int is_directory(const char *path) {
  struct stat stat;
  return lstat(path, &stat) == 0 && S_ISDIR(stat.st_mode);
}

/** What somebody mounted there for the env, such as the machine's own /proc, goes. */
static void let_go(const char *path) {
  while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
}

static void make_devices(void) {
  need(mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k"), "/dev");
  umask(0);
  for (unsigned i = 0; i < sizeof DEVICES / sizeof *DEVICES; i++) {
    dev_t device = makedev(DEVICES[i].major, DEVICES[i].minor);
    need(mknod(DEVICES[i].name, S_IFCHR | 0666, device), DEVICES[i].name);
  }
  umask(022);
  need(symlink("/proc/self/fd", "/dev/fd"), "/dev/fd");
  need(symlink("/proc/self/fd/0", "/dev/stdin"), "/dev/stdin");
  need(symlink("/proc/self/fd/1", "/dev/stdout"), "/dev/stdout");
  need(symlink("/proc/self/fd/2", "/dev/stderr"), "/dev/stderr");
  need(mkdir("/dev/shm", 0755), "/dev/shm");
  const char *options = "mode=1777,size=16m";
  need(mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options), "/dev/shm");
}

/** Paths are the env's own by now: a symlink leads nowhere else. */
static void mount_own(void) {
  let_go("/proc");
  let_go("/sys");
  let_go("/dev");
  unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (is_directory("/proc")) {
    need(mount("proc", "/proc", "proc", flags, NULL), "/proc");
    need(mount(NULL, "/proc", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL), "/proc");
  }
  if (is_directory("/dev")) make_devices();
}

static void drop_capabilities(void) {
  need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
  need(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "ambient capabilities");
  for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
    if (cap < 32 && (KEPT >> cap & 1)) continue;
    need(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0), "bounding set");
  }
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{.effective = KEPT, .permitted = KEPT}};
  need(syscall(SYS_capset, &header, data), "capset");
}

static int exit_status(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/** Runs the program, and reaps all others, as the first process of its namespace; what is left ends with it. */
static void run(char **words) {
  pid_t program = fork();
  need(program, "fork");
  if (program == 0) {
    execv(words[0], words);
    dprintf(1, "%s: %s\n", words[0], strerror(errno));
    _exit(NOT_STARTED);
  }
  for (int status;;) {
    pid_t ended = waitpid(-1, &status, 0);
    if (ended == program) _exit(exit_status(status));
    if (ended < 0 && errno != EINTR) _exit(NOT_CONFINED);
  }
}

/** @param alive whose other end closes when the process outside ends */
static void begin(const char *root, char **words, int alive) {
  enter(root);
  mount_own();
  // Root's keys are the machine's.
  syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  drop_capabilities();
  need(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "pdeathsig");
  struct pollfd end = {.fd = alive, .events = POLLIN};
  if (poll(&end, 1, 0) != 0) _exit(NOT_CONFINED);
  close(alive);
  run(words);
}

int main(int count, char **words) {
  if (count < 3) {
    dprintf(2, "usage: byref-confine ROOT PROGRAM [ARGUMENT]...\n");
    return NOT_CONFINED;
  }
  need(dup2(1, 2), "standard error");
  syscall(SYS_close_range, 3, ~0u, 0);
  need(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "pdeathsig");
  int namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  need(unshare(namespaces), "unshare");
  int alive[2];
  need(pipe2(alive, O_CLOEXEC), "pipe");
  pid_t init = fork();
  need(init, "fork");
  if (init == 0) {
    close(alive[1]);
    begin(words[1], words + 2, alive[0]);
  }
  close(alive[0]);
  int status;
  while (waitpid(init, &status, 0) < 0) {
    if (errno != EINTR) fail("wait");
  }
  return exit_status(status);
}
