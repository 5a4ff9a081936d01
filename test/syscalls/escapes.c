/*
 * Tries one way out of an env, by the system calls themselves: the tests' system has no mount or unshare.
 *
 *     escapes [nested] WAY [ARGUMENT]     nested: with all rights in a user namespace of its own
 *
 * Exit status: 0 if it worked, 1 if it was refused (with why), 2 if there is no such way.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static int opened(int fd) { return fd < 0 ? -1 : 0; }

/* Reads a byte of a device node that is made at PATH. */
static int read_device(const char *path, mode_t type, dev_t device) {
  char byte;
  unlink(path);
  if (mknod(path, type | 0600, device) < 0) return -1;
  int fd = open(path, O_RDONLY | O_NONBLOCK);
  return fd < 0 || read(fd, &byte, 1) < 0 ? -1 : 0;
}

/* A handle of any inode by number, as the classic escape from Docker tries: of ext4, inode 2 is the root. */
static int open_handle(const char *at) {
  union {
    struct file_handle handle;
    char bytes[sizeof(struct file_handle) + 8];
  } root = {.handle = {.handle_bytes = 8, .handle_type = 1}};
  root.handle.f_handle[0] = 2;
  int mount = open(at, O_RDONLY);
  return opened(open_by_handle_at(mount, &root.handle, O_RDONLY));
}

/* Has the kernel run a program on the machine when a control group is empty. */
static int release_agent(void) {
  if (mount("none", "/tmp", "cgroup", 0, "memory") < 0) return -1;
  int fd = open("/tmp/release_agent", O_WRONLY);
  return fd < 0 || write(fd, "/escape", 7) < 0 ? -1 : 0;
}

static int connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address);
}

static int attempt(const char *way, const char *argument) {
  if (!strcmp(way, "mount")) return mount("none", "/tmp", "tmpfs", 0, NULL);
  if (!strcmp(way, "bind")) return mount("/", "/tmp", NULL, MS_BIND | MS_REC, NULL);
  if (!strcmp(way, "remount")) return mount(NULL, argument, NULL, MS_REMOUNT | MS_BIND, NULL);
  if (!strcmp(way, "umount")) return umount2(argument, MNT_DETACH);
  if (!strcmp(way, "proc")) return mount("none", "/tmp", "proc", 0, NULL);
  if (!strcmp(way, "sysfs")) return mount("none", "/tmp", "sysfs", 0, NULL);
  if (!strcmp(way, "release-agent")) return release_agent();
  if (!strcmp(way, "disk")) return read_device("/escape", S_IFBLK, (dev_t)strtoul(argument, NULL, 0));
  if (!strcmp(way, "memory")) return read_device("/escape", S_IFCHR, makedev(1, 1));
  if (!strcmp(way, "handle")) return open_handle("/");
  if (!strcmp(way, "attach")) return (int)ptrace(PTRACE_SEIZE, atoi(argument), 0, 0);
  if (!strcmp(way, "bpf")) return (int)syscall(SYS_bpf, 0, NULL, 0) < 0 && errno != EFAULT ? -1 : 0;
  if (!strcmp(way, "module")) return (int)syscall(SYS_init_module, "", 0, "") < 0 && errno != ENOEXEC ? -1 : 0;
  if (!strcmp(way, "connect")) return connect_to(argument);
  if (!strcmp(way, "write")) {
    int fd = open(argument, O_WRONLY);
    return fd < 0 || write(fd, "1\n", 2) < 0 ? -1 : 0;
  }
  exit(2);
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "nested") == 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWNET) < 0) return 2;
    argv++;
    argc--;
  }
  if (argc < 2) return 2;
  if (attempt(argv[1], argc > 2 ? argv[2] : "") >= 0) return 0;
  fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
  return 1;
}
