/**
 * The shell of a hostile env, linked statically: `sh -c "CHECK ARGUMENT..."`. Tries what would harm the machine, and prints what it
 * got; exit status 0 if that was nothing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int got = 0;

static void check(int worked, const char *what) {
  if (!worked) return;
  got = 1;
  dprintf(1, "got: %s\n", what);
}

static int writes(const char *path) {
  int fd = open(path, O_WRONLY | O_APPEND);
  if (fd < 0) return 0;
  ssize_t written = write(fd, "hostile\n", 8);
  close(fd);
  return written > 0;
}

static int opens(const char *path, int flags) {
  int fd = open(path, flags | O_NONBLOCK);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static int by_root_of_init(const char *file) {
  char path[4096];
  snprintf(path, sizeof path, "/proc/1/root%s", file);
  return writes(path);
}

/** chroot(2), "EXAMPLES": a root below the working directory lets ".." out. */
static int by_chroot(const char *file) {
  if (mkdir("/below", 0700) < 0 && errno != EEXIST) return 0;
  if (chroot("/below") < 0) return 0;
  for (int i = 0; i < 64; i++) (void)!chdir("..");
  return writes(file + 1);
}

static int connects(int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  return connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
}

static int has_capabilities(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) < 0) return 1;
  unsigned bad = 1u << CAP_SYS_ADMIN | 1u << CAP_SYS_PTRACE | 1u << CAP_SYS_CHROOT | 1u << CAP_MKNOD |
                 1u << CAP_DAC_READ_SEARCH | 1u << CAP_SYS_MODULE | 1u << CAP_NET_ADMIN | 1u << CAP_NET_RAW;
  return (data[0].permitted & bad) != 0 || data[1].permitted != 0;
}

/** Leaves processes that want to stay. */
static int linger(void) {
  for (int i = 0; i < 3; i++) {
    if (fork() != 0) continue;
    setsid();
    for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
    if (i > 0 && fork() != 0) _exit(0);
    for (;;) pause();
  }
  for (;;) pause();
}

int main(int count, char **words) {
  char *file = strtok(count > 2 ? words[2] : "", " ");
  if (file == NULL) return 2;
  if (strcmp(file, "linger") == 0) return linger();
  const char *root = strtok(NULL, " ");
  pid_t victim = atoi(strtok(NULL, " "));
  int port = atoi(strtok(NULL, " "));
  check(has_capabilities(), "capabilities");
  check(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1, "a way to new privileges");
  check(getpid() == victim || kill(victim, SIGKILL) == 0, "a process of the machine");
  check(writes(file), "a file of the machine");
  check(by_root_of_init(file), "a file of the machine by /proc/1/root");
  check(opens(root, O_RDONLY), "byref's root");
  check(opens("/etc/kmsg", O_WRONLY), "a device of the template");
  check(mknod("/disk", S_IFBLK | 0600, makedev(7, 0)) == 0, "a block device");
  check(opens("/proc/sys/kernel/core_pattern", O_WRONLY), "the machine's settings");
  check(opens("/proc/sysrq-trigger", O_WRONLY), "the machine's power switch");
  check(mount("tmpfs", "/mnt", "tmpfs", 0, "") == 0 && umount("/mnt") == 0, "a mount");
  check(!opens("/dev/null", O_RDWR) || !opens("/proc/self/status", O_RDONLY), "no /dev and /proc");
  check(!connects(port), "no network");
  check(by_chroot(file), "a file of the machine by chroot");
  return got;
}
