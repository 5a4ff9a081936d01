/**
 * byref-exec-server
 *
 * Runs programs in an env. It was started there by the OCI runtime, as each `byref exec` would be without it, and so is confined as the
 * env is: a program that it runs needs only a fork, where the runtime sets everything up once more. It is linked statically, since it
 * runs in envs of any system. It ends when nobody has asked for anything for a while.
 *
 * Descriptor 3 is this program, by which the runtime found it; descriptor 4 the socket at which it listens. A connection is one program:
 *
 *     asks                                                       this
 *                                                            <-  'R': it listens
 *     a length (4 bytes, little-endian) and so many bytes,   ->
 *     with the descriptors of input, output, error output
 *                                                            <-  'S': the program runs, or 'N': it could not be started; the end
 *     the number of a signal for it (1 byte)                 ->
 *                                                            <-  'E' and its exit status, as a shell has it (1 byte); the end
 *
 * The bytes are words that NULs end: umask (octal), directory, user, group, further groups ("1,2"), how many variables, the variables,
 * and the words of the command. native/client.c and src/manager/envs/runtime/exec-server.ts repeat this.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROGRAM = 3, LISTENER = 4, STANDARD = 3, IDLE_MS = 60000, SIGNAL_BASE = 128 };
static const uint32_t REQUEST_MAX = 2 * 1024 * 1024 + 4096;

/** A program that is asked for. */
struct request {
  int descriptors[STANDARD];
  char *bytes, *end;
};

/** Takes a word off the request; NULL if there is none. */
static char *take_word(struct request *request) {
  char *word = request->bytes;
  char *nul = memchr(word, 0, (size_t)(request->end - word));
  if (nul == NULL) return NULL;
  request->bytes = nul + 1;
  return word;
}

static int tell(int peer, const char *text, size_t length) { return send(peer, text, length, MSG_NOSIGNAL) == (ssize_t)length; }

/** Receives the request, with its descriptors. Returns 0 if it is not whole. */
static int receive(int peer, struct request *request) {
  uint32_t length = 0;
  char control[CMSG_SPACE(STANDARD * sizeof(int))] __attribute__((aligned(8)));
  struct iovec io = {&length, sizeof length};
  struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (recvmsg(peer, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL) != sizeof length || length > REQUEST_MAX) return 0;
  const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  if (head == NULL || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof request->descriptors)) return 0;
  memcpy(request->descriptors, CMSG_DATA(head), sizeof request->descriptors);
  request->bytes = malloc((size_t)length + 1);
  if (request->bytes == NULL || recv(peer, request->bytes, length, MSG_WAITALL) != (ssize_t)length) return 0;
  request->end = request->bytes + length;
  return 1;
}

/** Reads "1,2" to groups. Returns how many. */
static size_t read_groups(char *text, gid_t *groups, size_t most) {
  size_t count = 0;
  for (char *each = strtok(text, ","); each != NULL && count < most; each = strtok(NULL, ","))
    groups[count++] = (gid_t)strtoul(each, NULL, 10);
  return count;
}

/** Executes a program as execvpe(3) does, but for a file without a format, which the shell is not asked to read. */
static void execute(char **words, char **variables) {
  if (strchr(words[0], '/') != NULL) {
    execve(words[0], words, variables);
    return;
  }
  const char *places = "";
  for (char **each = variables; *each != NULL; each++)
    if (strncmp(*each, "PATH=", 5) == 0) places = *each + 5;
  char path[PATH_MAX];
  for (const char *at = places; *at != 0;) {
    const size_t length = strcspn(at, ":");
    if (snprintf(path, sizeof path, "%.*s/%s", (int)length, at, words[0]) < (int)sizeof path) execve(path, words, variables);
    at += length + (at[length] == ':');
  }
}

/** Becomes the program. Returns if that fails. */
static void become(struct request *request) {
  static gid_t groups[NGROUPS_MAX];
  char *mask = take_word(request), *directory = take_word(request), *user = take_word(request), *group = take_word(request);
  char *further = take_word(request), *variable_count = take_word(request);
  if (variable_count == NULL) return;
  const size_t count = strtoul(variable_count, NULL, 10);
  size_t most = 0;
  for (const char *at = request->bytes; at < request->end; at++) most += *at == 0;
  if (count > most) return;
  char **variables = calloc(count + 1, sizeof *variables), **words = calloc(most + 1, sizeof *words);
  if (variables == NULL || words == NULL) return;
  for (size_t i = 0; i < count; i++)
    if ((variables[i] = take_word(request)) == NULL) return;
  size_t length = 0;
  while ((words[length] = take_word(request)) != NULL) length++;
  if (length == 0) return;
  setsid();
  umask((mode_t)strtoul(mask, NULL, 8));
  const size_t group_count = read_groups(further, groups, NGROUPS_MAX);
  if (chdir(directory) < 0 || setgroups(group_count, groups) < 0) return;
  const gid_t gid = (gid_t)strtoul(group, NULL, 10);
  const uid_t uid = (uid_t)strtoul(user, NULL, 10);
  if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) return;
  for (int i = 0; i < STANDARD; i++)
    if (dup2(request->descriptors[i], i) < 0) return;
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execute(words, variables);
}

/** Starts the program. Returns its pid; -1 if it can't be started. */
static pid_t start(struct request *request) {
  int failed[2];
  if (pipe2(failed, O_CLOEXEC) < 0) return -1;
  const pid_t child = fork();
  if (child == 0) {
    become(request);
    if (write(failed[1], "", 1) < 0) _exit(1);
    _exit(1);
  }
  close(failed[1]);
  char byte;
  // The other end is closed when the program is executed.
  const int is_started = child > 0 && read(failed[0], &byte, 1) == 0;
  close(failed[0]);
  if (is_started) return child;
  if (child > 0) waitpid(child, NULL, 0);
  return -1;
}

/** Serves one connection: passes signals on, and tells how the program ended. Who asked and has gone is not told: the program goes on. */
static void serve(int peer, int ends) {
  struct request request;
  if (!tell(peer, "R", 1) || !receive(peer, &request)) return;
  const pid_t program = start(&request);
  for (int i = 0; i < STANDARD; i++) close(request.descriptors[i]);
  if (!tell(peer, program < 0 ? "N" : "S", 1) || program < 0) return;
  for (;;) {
    struct pollfd polled[2] = {{peer, POLLIN, 0}, {ends, POLLIN, 0}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR) return;
    int status;
    if (waitpid(program, &status, WNOHANG) == program) {
      const int code = WIFSIGNALED(status) ? SIGNAL_BASE + WTERMSIG(status) : WEXITSTATUS(status);
      const char text[2] = {'E', (char)code};
      tell(peer, text, sizeof text);
      return;
    }
    struct signalfd_siginfo info;
    while (read(ends, &info, sizeof info) > 0) continue;
    unsigned char number;
    if (polled[0].revents == 0) continue;
    if (recv(peer, &number, 1, 0) != 1) return;
    kill(program, number);
  }
}

static void reap(void) {
  while (waitpid(-1, NULL, WNOHANG) > 0) continue;
}

/** Serves the connection in a process of its own. */
static void attend(int peer, int ends) {
  const pid_t child = fork();
  if (child == 0) {
    close(LISTENER);
    serve(peer, ends);
    _exit(0);
  }
  close(peer);
}

int main(int count, char **words) {
  struct stat found;
  if (fstat(LISTENER, &found) < 0 || !S_ISSOCK(found.st_mode)) {
    dprintf(2, "byref-exec-server: it is byref that runs this program\n");
    return 2;
  }
  // Its name would be that of the descriptor.
  prctl(PR_SET_NAME, "byref-exec");
  if (count > 0) snprintf(words[0], strlen(words[0]) + 1, "byref-exec");
  close(PROGRAM);
  fcntl(LISTENER, F_SETFD, FD_CLOEXEC);
  fcntl(LISTENER, F_SETFL, O_NONBLOCK);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  const int ends = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (ends < 0) return 1;
  for (int is_last = 0;;) {
    const int peer = accept4(LISTENER, NULL, NULL, SOCK_CLOEXEC);
    if (peer >= 0) {
      attend(peer, ends);
      continue;
    }
    if (is_last) return 0;
    struct pollfd polled[2] = {{LISTENER, POLLIN, 0}, {ends, POLLIN, 0}};
    const int seen = poll(polled, 2, IDLE_MS);
    // Who has connected already is served; nobody else can.
    if (seen == 0) is_last = shutdown(LISTENER, SHUT_RD) == 0;
    struct signalfd_siginfo info;
    while (read(ends, &info, sizeof info) > 0) continue;
    reap();
  }
}
