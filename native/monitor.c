/**
 * byref-monitor MODE RUNTIME STATE BUNDLE ID LOG ROOT FIRST SIZE WAITS IMAGES [SOURCE TARGET HOW]...
 * byref-monitor hook BUNDLE
 * byref-monitor probe
 *
 * Starts the first process of an env through an OCI runtime, and stays with it until it ends. It outlives the command that
 * started it, and keeps what would be lost with that:
 *
 *   - the other end of the env's output or terminal, which goes to LOG and to who is attached (BUNDLE/attach.sock);
 *   - a second descriptor of the terminal: systemd closes and opens /dev/console again, and would find it hung up;
 *   - how the first process ended, in BUNDLE/ended;
 *   - the env's root and what it has beside it: ROOT is mounted on BUNDLE/rootfs, and each SOURCE on its TARGET, with SIZE ids from 0 on
 *     shown as those from FIRST on; 0: as they are. HOW: `env`, `env-if-can-be` (else as they are, where the file system can't do
 *     that), or `machine`: as they are.
 *
 * MODE: `log`, no input, output goes to LOG. `terminal`, one for both. `inherit`, our own input and output; `inherit:SOCKET`, too.
 *
 * Descriptor 3, a socket, or who listens at SOCKET, is told "started PID", or "failed STATUS" with what the runtime says in BUNDLE/runtime.log. With WAITS
 * `wait` or `connect`, "created PID" is told before: the env starts when a byte comes; at the end of the socket instead, it is given up. With
 * `connect`, its network namespace is mounted on BUNDLE/netns before that. Else `no`.
 *
 * IMAGES: '' for an env that begins; else the directory in which CRIU left its processes, which go on. With `connect`, the runtime runs us
 * as `hook` then, when the namespaces are there and before there is a process in them: that waits at BUNDLE/hook.sock until the env may go on.
 *
 * With `probe`, it is no more than a process with a socket, for who wants to know whether CRIU can put one into files: it says "ready", and waits.
 *
 * Who attaches sends frames: a type, a length (2 bytes, the high one first), and as many bytes. Type 0: input. Type 1: the
 * size of the terminal, rows and columns of 2 bytes each. Type 2: the exec server of the env is wanted (native/exec-server.c), as
 * BUNDLE/exec-server.json describes its process; it listens at BUNDLE/exec.sock. It gets output as it comes, without frames.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/** How often it is looked whether a first process that is to begin has ended, in milliseconds. */
enum { RELEASE_POLL_MS = 100 };
enum { REPORT = 3, CLIENTS_MAX = 16, FRAME_HEAD = 3, FRAME_INPUT = 0, FRAME_SIZE = 1, FRAME_EXEC = 2 };
/** Of umount2(2); <sys/mount.h> and <linux/mount.h> exclude each other. */
enum { DETACH = 2, NOFOLLOW = 8 };
int umount2(const char *target, int flags);

/** One log file holds so many bytes; one more, with the ending .1, is kept. */
static const off_t LOG_MAX = 8 << 20;

struct client {
  int fd;
  size_t length;
  unsigned char frame[FRAME_HEAD + 65535];
};

static const char *mode, *runtime, *state, *bundle, *id, *log_path, *root, *first_id, *ids, *waits, *images;
static char **places;
static int log_fd = -1;
static off_t log_size;
/** The master of the terminal, or the reading ends of the two pipes. */
static int outputs[2] = {-1, -1};
static int attach_fd = -1;
static struct client *clients[CLIENTS_MAX];
/** Input for the terminal that it has not taken yet. */
static unsigned char pending[65535];
static size_t pending_length;
/** The runtime, while it starts the exec server. */
static pid_t exec_runtime = -1;

static void fail(const char *what) {
  dprintf(REPORT, "failed %s: %s\n", what, strerror(errno));
  _exit(1);
}

/** Connects to who is told of what happens, and wants to be told at a socket of that name. */
static void connect_report(const char *path) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  strncpy(at.sun_path, path, sizeof at.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) < 0 || dup2(fd, REPORT) < 0) _exit(1);
  if (fd != REPORT) close(fd);
}

static int need(int result, const char *what) {
  if (result < 0) fail(what);
  return result;
}

static int is_terminal(void) { return strcmp(mode, "terminal") == 0; }

static const char *in_bundle(const char *name) {
  static char paths[4][4096];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", bundle, name);
  return path;
}

/** Writes a file that others see as a whole or not at all. */
static void put(const char *name, const char *text) {
  const char *part = in_bundle("part"), *whole = in_bundle(name);
  const int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const ssize_t length = (ssize_t)strlen(text);
  const int written = write(fd, text, length) == length;
  close(fd);
  if (written) rename(part, whole);
}

static void open_log(void) {
  log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  struct stat found;
  log_size = log_fd >= 0 && fstat(log_fd, &found) == 0 ? found.st_size : 0;
}

/** What can't be kept (the disk is full) is not: the env goes on. */
static void keep(const unsigned char *bytes, size_t length) {
  if (log_fd < 0) return;
  if (log_size + (off_t)length > LOG_MAX) {
    char former[4096];
    snprintf(former, sizeof former, "%s.1", log_path);
    rename(log_path, former);
    close(log_fd);
    open_log();
    if (log_fd < 0) return;
  }
  const ssize_t written = write(log_fd, bytes, length);
  if (written > 0) log_size += written;
}

static void write_map(pid_t pid, const char *name) {
  char path[64], text[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  const int fd = need(open(path, O_WRONLY | O_CLOEXEC), path);
  const int length = snprintf(text, sizeof text, "0 %s %s", first_id, ids);
  if (write(fd, text, length) != length) fail(path);
  close(fd);
}

/** Makes a user namespace with the env's ids; returns a descriptor of it. */
static int user_namespace(void) {
  int made[2];
  need(pipe2(made, O_CLOEXEC), "a pipe");
  const pid_t child = need(fork(), "fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (unshare(CLONE_NEWUSER) < 0) _exit(1);
    close(made[1]);
    for (;;) pause();
  }
  // The other end is closed when the namespace is there, or can't be.
  close(made[1]);
  char byte;
  if (read(made[0], &byte, 1) < 0) fail("a user namespace");
  close(made[0]);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/user", child);
  write_map(child, "uid_map");
  write_map(child, "gid_map");
  const int fd = need(open(path, O_RDONLY | O_CLOEXEC), "a user namespace");
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  return fd;
}

/** How the ids of what is mounted are shown. */
enum shown { MACHINE, ENV, ENV_IF_CAN_BE };

/** Mounts a file or directory. @param userns has the ids of the env; -1: it has the machine's */
static void mount_tree(const char *source, const char *target, int userns, enum shown how) {
  const int tree = need(syscall(SYS_open_tree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), source);
  // As the propagation flag: MS_PRIVATE of mount(2).
  struct mount_attr attr = {.propagation = 1 << 18};
  if (userns >= 0 && how != MACHINE) {
    attr.attr_set = MOUNT_ATTR_IDMAP;
    attr.userns_fd = userns;
  }
  long result = syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof attr);
  if (result < 0 && errno == EINVAL && how == ENV_IF_CAN_BE) {
    attr.attr_set = 0;
    result = syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof attr);
  }
  need(result, source);
  need(syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH), target);
  close(tree);
}

static enum shown shown_as(const char *how) {
  if (strcmp(how, "env") == 0) return ENV;
  return strcmp(how, "machine") == 0 ? MACHINE : ENV_IF_CAN_BE;
}

static void mount_all(void) {
  const int userns = strcmp(ids, "0") == 0 ? -1 : user_namespace();
  mount_tree(root, in_bundle("rootfs"), userns, ENV);
  for (char **each = places; each[0] != NULL; each += 3) mount_tree(each[0], each[1], userns, shown_as(each[2]));
  if (userns >= 0) close(userns);
}

static int listen_at(const char *name) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  if (snprintf(at.sun_path, sizeof at.sun_path, "%s/%s", bundle, name) >= (int)sizeof at.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  unlink(at.sun_path);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const mode_t before = umask(0177);
  const int result = bind(fd, (struct sockaddr *)&at, sizeof at);
  umask(before);
  if (result < 0 || listen(fd, CLIENTS_MAX) < 0) {
    close(fd);
    return -1;
  }
  return fd;
}

/** Becomes another program. */
static void become(char *const words[], int in, int out, int err) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (int signal = 1; signal < NSIG; signal++) {
    if (signal != SIGKILL && signal != SIGSTOP) sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
  }
  // All of ours are closed on exec but these.
  if (in >= 0) dup2(in, 0);
  if (out >= 0) dup2(out, 1);
  if (err >= 0) dup2(err, 2);
  execv(words[0], words);
  _exit(127);
}

static pid_t spawn(char *const words[], int in, int out, int err) {
  const pid_t child = fork();
  if (child == 0) become(words, in, out, err);
  return child;
}

/** Takes the terminal that the runtime sends on a connection, which is closed. */
static int take_terminal(int peer) {
  char name[4096], control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
  struct iovec io = {name, sizeof name};
  struct msghdr message = {
      .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  int fd = -1;
  if (recvmsg(peer, &message, MSG_CMSG_CLOEXEC) >= 0) {
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
      memcpy(&fd, CMSG_DATA(head), sizeof fd);
  }
  close(peer);
  if (fd >= 0) {
    // The second descriptor is never used, and never closed.
    if (ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC) < 0) fail("the terminal");
    fcntl(fd, F_SETFL, O_NONBLOCK);
  }
  return fd;
}

/** The first process, while the runtime has not written which it is. */
static long awaited_process;

/** Reads the pid that the runtime has written. */
static long first_process(void) {
  if (awaited_process > 0) return awaited_process;
  char text[32];
  const int fd = open(in_bundle("pid"), O_RDONLY | O_CLOEXEC);
  const ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (length <= 0) fail("the runtime's pid file");
  text[length] = 0;
  close(fd);
  return strtol(text, NULL, 10);
}

static void clean_up(void);

/** True if the process, a child of ours, has ended; that stays to be asked for. */
static int has_ended(pid_t pid) {
  siginfo_t found = {0};
  return waitid(P_PID, (id_t)pid, &found, WEXITED | WNOHANG | WNOWAIT) < 0 || found.si_pid != 0;
}

/**
 * Does what `runc start` does, without another program: the first process waits until somebody reads from a pipe in runc's state.
 * Returns 0 if that is not there, as with another runtime.
 */
static int release_first_process(void) {
  static const char name[] = "/runc";
  const size_t length = strlen(runtime);
  if (length < sizeof name || strcmp(runtime + length - (sizeof name - 1), name) != 0) return 0;
  char path[4096], byte;
  snprintf(path, sizeof path, "%s/%s/exec.fifo", state, id);
  // Else a first process that has ended would be waited for.
  const int fifo = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fifo < 0) return 0;
  const pid_t first = (pid_t)first_process();
  for (struct pollfd wait = {fifo, POLLIN, 0};;) {
    const int found = poll(&wait, 1, RELEASE_POLL_MS);
    if (found > 0 && read(fifo, &byte, 1) == 1) break;
    // What it wrote before its end is there to be read.
    if (has_ended(first)) {
      if (read(fifo, &byte, 1) == 1) break;
      close(fifo);
      return 0;
    }
    // Nobody writes yet.
    if (found > 0) usleep(1000);
  }
  close(fifo);
  // runc tells an env that waits from one that runs by that.
  unlink(path);
  return 1;
}

/** Lets the first process, which waits, begin. */
static void begin(void) {
  if (release_first_process()) return;
  char runtime_log[4096];
  snprintf(runtime_log, sizeof runtime_log, "%s/runtime.log", bundle);
  char *const words[] = {(char *)runtime, "--root", (char *)state, "--log", runtime_log, "--log-format", "json", "start", (char *)id, NULL};
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  const pid_t child = need(spawn(words, null, null, null), "fork");
  close(null);
  int status;
  if (waitpid(child, &status, 0) == child && status == 0) return;
  dprintf(REPORT, "failed %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  clean_up();
  _exit(1);
}

static void mount_network(void) {
  char namespace[64];
  snprintf(namespace, sizeof namespace, "/proc/%ld/ns/net", first_process());
  close(need(open(in_bundle("netns"), O_RDONLY | O_CREAT | O_CLOEXEC, 0600), "the network namespace's place"));
  const int tree = need(syscall(SYS_open_tree, AT_FDCWD, namespace, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), "the network namespace");
  need(syscall(SYS_move_mount, tree, "", AT_FDCWD, in_bundle("netns"), MOVE_MOUNT_F_EMPTY_PATH), "the network namespace's mount");
  close(tree);
}

static int is_to_wait(void) { return strcmp(waits, "no") != 0; }

static int is_restored(void) { return images[0] != 0; }

/** Says that the env is there, and waits until it may begin. Returns 0 if it may not. */
static int may_begin(void) {
  char byte;
  if (strcmp(waits, "connect") == 0) mount_network();
  dprintf(REPORT, "created %ld\n", first_process());
  return read(REPORT, &byte, 1) == 1;
}

/** Waits until the env may begin, and starts it. */
static void wait_and_start(void) {
  if (!is_to_wait() || is_restored()) return;
  if (!may_begin()) {
    clean_up();
    _exit(1);
  }
  begin();
}

/** Answers the hook, which names the first process, when the env may go on. */
static void answer_hook(int listener) {
  const int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  char text[32] = {0};
  if (peer < 0 || read(peer, text, sizeof text - 1) <= 0) return;
  awaited_process = strtol(text, NULL, 10);
  if (may_begin()) write(peer, "", 1);
  awaited_process = 0;
  close(peer);
}

/** Is run by the runtime, which says on our input, as JSON, which process is the first one. */
static int hook(const char *at) {
  char said[65536];
  size_t length = 0;
  for (ssize_t got; length < sizeof said - 1 && (got = read(0, said + length, sizeof said - 1 - length)) > 0;) length += got;
  said[length] = 0;
  static const char key[] = "\"pid\":";
  const char *found = strstr(said, key);
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  if (found == NULL || snprintf(to.sun_path, sizeof to.sun_path, "%s/hook.sock", at) >= (int)sizeof to.sun_path) return 1;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char byte;
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) return 1;
  dprintf(fd, "%ld", strtol(found + sizeof key - 1, NULL, 10));
  return read(fd, &byte, 1) == 1 ? 0 : 1;
}

static void report_started(void) {
  char text[256];
  const long pid = first_process();
  snprintf(text, sizeof text, "/proc/%ld/stat", pid);
  // Field 22 says when it started; it follows a name that may have anything in it, in parentheses.
  char stat[1024];
  const int stat_fd = open(text, O_RDONLY | O_CLOEXEC);
  const ssize_t length = stat_fd < 0 ? -1 : read(stat_fd, stat, sizeof stat - 1);
  if (length <= 0) fail("the env's first process");
  stat[length] = 0;
  close(stat_fd);
  unsigned long long started = 0;
  const char *at = strrchr(stat, ')');
  for (int field = 2; at != NULL && field < 22; field++) at = strchr(at + 1, ' ');
  if (at != NULL) started = strtoull(at, NULL, 10);
  snprintf(text, sizeof text, "%ld %llu\n", pid, started);
  put("running", text);
  dprintf(REPORT, "started %ld\n", pid);
  close(REPORT);
}

static void detach(int i) {
  close(clients[i]->fd);
  free(clients[i]);
  clients[i] = NULL;
}

static void attach(void) {
  const int fd = accept4(attach_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  for (int i = 0; i < CLIENTS_MAX; i++) {
    if (clients[i] != NULL) continue;
    clients[i] = calloc(1, sizeof *clients[i]);
    if (clients[i] == NULL) break;
    clients[i]->fd = fd;
    return;
  }
  close(fd);
}

/** Passes on what the env said. Returns 0 at its end. */
static int pass_output(int fd) {
  unsigned char bytes[65536];
  const ssize_t length = read(fd, bytes, sizeof bytes);
  if (length < 0) return errno == EAGAIN || errno == EINTR;
  if (length == 0) return 0;
  keep(bytes, length);
  for (int i = 0; i < CLIENTS_MAX; i++) {
    // Who does not read is let go of: the env must not wait.
    if (clients[i] != NULL && send(clients[i]->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL) != length)
      detach(i);
  }
  return 1;
}

static void write_pending(void) {
  const ssize_t written = write(outputs[0], pending, pending_length);
  if (written <= 0) return;
  pending_length -= written;
  memmove(pending, pending + written, pending_length);
}

/** Returns the path of a program that is built with this one. */
static const char *beside_us(const char *name) {
  static char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  path[length < 0 ? 0 : length] = 0;
  char *end = strrchr(path, '/');
  if (end == NULL || (size_t)(end - path) + strlen(name) + 2 > sizeof path) return "";
  strcpy(end + 1, name);
  return path;
}

/** Has the runtime start the exec server, which is our child then. What fails is done without: programs are run by the runtime. */
static void start_exec_server(void) {
  // Above what the runtime passes on, so that neither takes the place of the other.
  enum { PASSED = 3, FREE = 8 };
  if (exec_runtime > 0) return;
  const int program = open(beside_us("byref-exec-server"), O_RDONLY | O_CLOEXEC), listener = listen_at("exec.sock");
  exec_runtime = program < 0 || listener < 0 ? -1 : fork();
  if (exec_runtime == 0) {
    const int moved[2] = {fcntl(program, F_DUPFD_CLOEXEC, FREE), fcntl(listener, F_DUPFD_CLOEXEC, FREE)};
    for (int i = 0; i < 2; i++) dup2(moved[i], PASSED + i);
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const char *process = in_bundle("exec-server.json"), *runtime_log = in_bundle("exec-server.log");
    const char *words[] = {runtime,  "--root",     state,       "--log", runtime_log,       "--log-format", "json",
                           "exec",   "--detach",   "--process", process, "--preserve-fds", "2",            id,
                           NULL};
    become((char *const *)words, null, null, null);
  }
  if (program >= 0) close(program);
  if (listener >= 0) close(listener);
}

/** Takes one frame, if it is there as a whole. */
static void take_frame(struct client *client) {
  const size_t length = client->frame[1] << 8 | client->frame[2];
  const unsigned char *body = client->frame + FRAME_HEAD;
  if (client->frame[0] == FRAME_EXEC) start_exec_server();
  if (!is_terminal()) return;
  if (client->frame[0] == FRAME_INPUT && pending_length + length <= sizeof pending) {
    memcpy(pending + pending_length, body, length);
    pending_length += length;
    write_pending();
  } else if (client->frame[0] == FRAME_SIZE && length == 4) {
    const struct winsize size = {.ws_row = body[0] << 8 | body[1], .ws_col = body[2] << 8 | body[3]};
    ioctl(outputs[0], TIOCSWINSZ, &size);
  }
}

static void hear(int i) {
  struct client *client = clients[i];
  const size_t wanted =
      client->length < FRAME_HEAD
          ? FRAME_HEAD - client->length
          : FRAME_HEAD + (client->frame[1] << 8 | client->frame[2]) - client->length;
  const ssize_t got = wanted == 0 ? 0 : read(client->fd, client->frame + client->length, wanted);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0 && wanted > 0) {
    detach(i);
    return;
  }
  client->length += got;
  if (client->length < FRAME_HEAD) return;
  if (client->length == FRAME_HEAD + (size_t)(client->frame[1] << 8 | client->frame[2])) {
    take_frame(client);
    client->length = 0;
  }
}

/** Returns how the first process ended, if it has; else -1. Takes note of all else that ended. */
static int reap(pid_t first) {
  int status, found = -1;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == first) found = status;
    if (pid == exec_runtime) exec_runtime = -1;
  }
  return found;
}

static void watch(int signals, pid_t first) {
  for (;;) {
    struct pollfd polled[4 + CLIENTS_MAX];
    int clients_at[CLIENTS_MAX], count = 0, listeners;
    polled[count++] = (struct pollfd){signals, POLLIN, 0};
    polled[count++] = (struct pollfd){attach_fd, POLLIN, 0};
    for (int i = 0; i < 2; i++) {
      const short wanted = i == 0 && pending_length > 0 ? POLLIN | POLLOUT : POLLIN;
      polled[count++] = (struct pollfd){outputs[i], wanted, 0};
    }
    listeners = count;
    for (int i = 0; i < CLIENTS_MAX; i++) {
      // Nobody is heard while the terminal has not taken all.
      if (clients[i] == NULL) continue;
      clients_at[count - listeners] = i;
      polled[count++] = (struct pollfd){clients[i]->fd, pending_length > 0 ? 0 : POLLIN, 0};
    }
    if (poll(polled, count, -1) < 0) {
      // The machine is short of memory: the env is not to end for that.
      if (errno != EINTR) usleep(100000);
      continue;
    }
    for (int i = 0; i < 2; i++) {
      const short seen = polled[2 + i].revents;
      if ((seen & POLLOUT) != 0) write_pending();
      if ((seen & (POLLIN | POLLHUP | POLLERR)) != 0 && !pass_output(outputs[i])) {
        close(outputs[i]);
        outputs[i] = -1;
      }
    }
    for (int at = listeners; at < count; at++) {
      const int i = clients_at[at - listeners];
      if (clients[i] != NULL && polled[at].revents != 0) hear(i);
    }
    if ((polled[1].revents & POLLIN) != 0) attach();
    if ((polled[0].revents & POLLIN) == 0) continue;
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) > 0) continue;
    const int status = reap(first);
    if (status < 0) continue;
    char text[64];
    const char *how = WIFSIGNALED(status) ? "signal" : "exit";
    const int code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    snprintf(text, sizeof text, "%s %d %lld\n", how, code, (long long)time(NULL));
    put("ended", text);
    return;
  }
}

/** Passes on what is left: what holds the other end of a pipe now is not the env's. */
static void drain(void) {
  for (int i = 0; i < 2; i++) {
    if (outputs[i] < 0) continue;
    fcntl(outputs[i], F_SETFL, O_NONBLOCK);
    struct pollfd left = {outputs[i], POLLIN, 0};
    while (poll(&left, 1, 0) > 0 && (left.revents & POLLIN) != 0 && pass_output(outputs[i])) continue;
  }
}

/** Starts the env, and waits until the runtime has done so. */
static void start(int signals) {
  int listener = -1, sender = -1, hooks = -1, pipes[2][2] = {{-1, -1}, {-1, -1}};
  const int null = need(open("/dev/null", O_RDWR | O_CLOEXEC), "/dev/null");
  const int is_log = strcmp(mode, "log") == 0;
  if (is_terminal()) listener = need(listen_at("terminal.sock"), "the terminal's socket");
  for (int i = 0; is_log && i < 2; i++) {
    need(pipe2(pipes[i], O_CLOEXEC), "a pipe");
    outputs[i] = pipes[i][0];
  }
  char pid_file[4096], runtime_log[4096], socket[4096], work[4096];
  snprintf(pid_file, sizeof pid_file, "%s/pid", bundle);
  snprintf(runtime_log, sizeof runtime_log, "%s/runtime.log", bundle);
  snprintf(socket, sizeof socket, "%s/terminal.sock", bundle);
  // What `runtime create` makes waits to be started.
  const int waits_then = is_to_wait(), restores = is_restored();
  const char *words[32] = {runtime, "--root", state, "--log", runtime_log, "--log-format", "json",
                           restores ? "restore" : waits_then ? "create" : "run"};
  int count = 8;
  if (restores || !waits_then) words[count++] = "--detach";
  if (restores) {
    snprintf(work, sizeof work, "%s/criu", bundle);
    const char *const options[] = {"--tcp-established", "--file-locks", "--image-path", images, "--work-path", work};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) words[count++] = options[i];
  }
  if (restores && waits_then) {
    hooks = need(listen_at("hook.sock"), "the hook's socket");
    words[count++] = "--empty-ns";
    words[count++] = "network";
  }
  words[count++] = "--bundle";
  words[count++] = bundle;
  words[count++] = "--pid-file";
  words[count++] = pid_file;
  if (is_terminal()) {
    words[count++] = "--console-socket";
    words[count++] = socket;
  }
  words[count] = id;
  const int is_inherit = strcmp(mode, "inherit") == 0;
  const pid_t child = need(spawn((char *const *)words, is_inherit ? 0 : null, is_log ? pipes[0][1] : is_inherit ? 1 : null,
                                 is_log ? pipes[1][1] : is_inherit ? 2 : null),
                           "fork");
  for (int i = 0; is_log && i < 2; i++) close(pipes[i][1]);
  for (;;) {
    struct pollfd polled[4] = {{signals, POLLIN, 0}, {listener, POLLIN, 0}, {hooks, POLLIN, 0}, {sender, POLLIN, 0}};
    if (poll(polled, 4, -1) < 0 && errno != EINTR) fail("poll");
    if (hooks >= 0 && (polled[2].revents & POLLIN) != 0) {
      answer_hook(hooks);
      close(hooks), hooks = -1;
    }
    // Who restores an env connects early, and has the terminal late.
    if (sender < 0 && (polled[1].revents & POLLIN) != 0 && outputs[0] < 0) sender = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (sender >= 0 && polled[3].revents != 0) {
      outputs[0] = take_terminal(sender);
      sender = -1;
      if (outputs[0] >= 0) close(listener), listener = -1;
    }
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) > 0) continue;
    // Only the runtime: the first process may have ended, too, and what became of it is asked for later.
    int status;
    if (waitpid(child, &status, WNOHANG) != child) continue;
    if (status != 0) {
      dprintf(REPORT, "failed %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
      _exit(1);
    }
    if (is_inherit) {
      for (int i = 0; i < 3; i++) dup2(null, i);
    }
    close(null);
    return;
  }
}

static void clean_up(void) {
  char *const words[] = {(char *)runtime, "--root", (char *)state, "delete", "--force", (char *)id, NULL};
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  const pid_t child = spawn(words, null, null, null);
  if (child > 0) waitpid(child, NULL, 0);
  for (char **each = places; each[0] != NULL; each += 3) umount2(each[1], DETACH | NOFOLLOW);
  umount2(in_bundle("rootfs"), DETACH | NOFOLLOW);
}

static int probe(void) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || listen(fd, 1) < 0 || setsid() < 0) return 1;
  dprintf(1, "ready\n");
  for (int i = 0; i < 3; i++) close(i);
  for (;;) pause();
}

int main(int count, char **words) {
  if (count == 3 && strcmp(words[1], "hook") == 0) return hook(words[2]);
  if (count == 2 && strcmp(words[1], "probe") == 0) return probe();
  if (count < 12 || (count - 12) % 3 != 0) {
    dprintf(2, "usage: byref-monitor MODE RUNTIME STATE BUNDLE ID LOG ROOT FIRST SIZE WAITS IMAGES [SOURCE TARGET HOW]...\n");
    return 2;
  }
  mode = words[1], runtime = words[2], state = words[3], bundle = words[4], id = words[5], log_path = words[6];
  root = words[7], first_id = words[8], ids = words[9], waits = words[10], images = words[11], places = words + 12;
  static const char prefix[] = "inherit:";
  if (strncmp(mode, prefix, sizeof prefix - 1) == 0) {
    connect_report(mode + sizeof prefix - 1);
    mode = "inherit";
  }
  fcntl(REPORT, F_SETFD, FD_CLOEXEC);
  setsid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_DUMPABLE, 0);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  for (int signal = 1; signal < NSIG; signal++) {
    // Nothing that a terminal or a shell sends concerns it: it ends with the env.
    if (signal == SIGHUP || signal == SIGINT || signal == SIGQUIT || signal == SIGTERM || signal == SIGPIPE)
      sigaction(signal, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
  }
  // Held as long as it lives.
  const int lock = need(open(in_bundle("monitor.lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "the monitor's lock");
  need(flock(lock, LOCK_EX | LOCK_NB), "the monitor's lock");
  const int signals = need(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd");
  if (strcmp(mode, "inherit") != 0) {
    open_log();
    attach_fd = need(listen_at("attach.sock"), "the socket");
  }
  mount_all();
  start(signals);
  wait_and_start();
  report_started();
  // The env's first process, whose end may have been told of already.
  const int fd = open(in_bundle("running"), O_RDONLY | O_CLOEXEC);
  char text[64] = {0};
  if (fd >= 0 && read(fd, text, sizeof text - 1) > 0) {
    close(fd);
    raise(SIGCHLD);
    watch(signals, (pid_t)strtol(text, NULL, 10));
  }
  drain();
  clean_up();
  return 0;
}
