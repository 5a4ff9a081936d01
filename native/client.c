/*
 * Runs a command in the runner of a daemon, which answers in a fraction of the time that Node takes to start; or runs the whole
 * command line, where there is no daemon, or the command needs a process of its own.
 *
 *     byref-client SCRIPT [ARGUMENT...]     SCRIPT: bin/byref.cjs, the whole command line
 *
 * The protocol: src/ipc/command-protocol.ts. Whatever this program does not understand, it leaves to SCRIPT.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROTOCOL_VERSION "1"
#define REQUEST_MAX (2 * 1024 * 1024)
/* How long a runner may take to accept a command, in milliseconds: one that hangs is done without. */
#define ACCEPT_MS 1000
/* The exit status of a shell for a program that could not be run. */
#define NOT_RUN 126
#define SIGNAL_BASE 128

enum {
  REQUEST = 1,
  GO = 2,
  STATUS = 3,
  SIGNAL = 4,
  ACCEPT = 10,
  DECLINE = 11,
  STDOUT = 12,
  STDERR = 13,
  PROGRAM = 14,
  EXIT = 15,
  ATTEND = 16,
  INSIDE = 17,
};
/* Answers to INSIDE that are no exit status: nobody serves there, or the program could not be started, and nothing was done. */
#define NOT_SERVED (-1)
#define NOT_STARTED (-2)

extern char **environ;

/* The command line as it was given, and the part of it that is for the runner. */
struct command {
  char **all;
  char **words;
  int count;
  const char *root;
};

/* Replaces this program by the whole command line. */
static void run_whole(const struct command *command) {
  execv(command->all[0], command->all);
  fprintf(stderr, "byref: %s can't be run: %s\n  hint: Is Node.js installed? Run: bash scripts/setup.sh\n", command->all[0],
          strerror(errno));
  exit(NOT_RUN);
}

/* True if the environment says something that a runner does not know: it has its daemon's. */
static int has_own_settings(void) {
  for (char **each = environ; *each != NULL; each++) {
    if (strncmp(*each, "BYREF_", 6) != 0) continue;
    if (strncmp(*each, "BYREF_ROOT=", 11) != 0 && strncmp(*each, "BYREF_RUN=", 10) != 0) return 1;
  }
  return 0;
}

/* Takes `--root DIR` off the front. Returns 0 if a root stands where only the whole command line finds it. */
static int take_root(struct command *command) {
  const char *root = getenv("BYREF_ROOT");
  if (root == NULL || *root == '\0') root = "/var/lib/byref";
  while (command->count > 0 && strncmp(command->words[0], "--root", 6) == 0) {
    if (command->words[0][6] == '=') {
      root = command->words[0] + 7;
      command->words++;
      command->count--;
    } else if (command->words[0][6] == '\0' && command->count > 1) {
      root = command->words[1];
      command->words += 2;
      command->count -= 2;
    } else {
      return 0;
    }
  }
  for (int i = 0; i < command->count; i++) {
    if (strncmp(command->words[i], "--root", 6) == 0) return 0;
  }
  command->root = root;
  return 1;
}

/* The name of the root's directory below the run directory: nameCookie() of src/base/name-hash.ts. */
static uint64_t cookie_of(const char *name) {
  uint32_t a = 0x811c9dc5, b = 0x9e3779b9;
  for (const unsigned char *at = (const unsigned char *)name; *at != 0; at++) {
    a = (a ^ *at) * 0x01000193u;
    b = (b ^ *at) * 0x85ebca6bu;
    b = (b << 13) | (b >> 19);
  }
  a = (a ^ (a >> 15)) * 0x2c1b3c6du;
  b = (b ^ (b >> 16)) * 0xc2b2ae35u;
  b ^= b >> 13;
  a ^= a >> 12;
  uint64_t cookie = ((uint64_t)(b >> 12) << 32) + a;
  return cookie < 3 ? 3 : cookie;
}

static int connect_to(struct sockaddr_un *address) {
  int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (peer < 0) return -1;
  if (connect(peer, (struct sockaddr *)address, sizeof *address) == 0) return peer;
  close(peer);
  return -1;
}

/* True for a directory in which no other user can have put anything. */
static int is_ours(const char *directory) {
  struct stat found;
  return lstat(directory, &found) == 0 && S_ISDIR(found.st_mode) && (found.st_uid == 0 || found.st_uid == geteuid()) &&
         (found.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Connects to the runner of the root; -1 if there is none. */
static int connect_runner(const char *root) {
  char real[PATH_MAX];
  if (realpath(root, real) == NULL) return -1;
  const char *run = getenv("BYREF_RUN");
  if (run == NULL || *run == '\0') run = "/run/byref";
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/%llx", run, (unsigned long long)cookie_of(real));
  if (length < 0 || (size_t)length >= sizeof address.sun_path || !is_ours(run) || !is_ours(address.sun_path)) return -1;
  length = snprintf(address.sun_path, sizeof address.sun_path, "%s/%llx/runner.sock", run, (unsigned long long)cookie_of(real));
  if (length < 0 || (size_t)length >= sizeof address.sun_path) return -1;
  return connect_to(&address);
}

static int write_all(int fd, const void *bytes, size_t length) {
  for (const char *at = bytes; length > 0;) {
    ssize_t done = write(fd, at, length);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return 0;
    at += done;
    length -= (size_t)done;
  }
  return 1;
}

static int read_all(int fd, void *bytes, size_t length) {
  for (char *at = bytes; length > 0;) {
    ssize_t done = read(fd, at, length);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return 0;
    at += done;
    length -= (size_t)done;
  }
  return 1;
}

static int send_message(int runner, int type, const void *payload, uint32_t length) {
  unsigned char header[5] = {(unsigned char)type, length & 0xff, length >> 8 & 0xff, length >> 16 & 0xff, length >> 24};
  return write_all(runner, header, sizeof header) && write_all(runner, payload, length);
}

/* Reads a message. Returns its type, and its payload with a NUL behind it, which the caller frees; -1 at the end. */
static int receive(int runner, char **payload, uint32_t *length) {
  unsigned char header[5];
  *payload = NULL;
  if (!read_all(runner, header, sizeof header)) return -1;
  *length = (uint32_t)header[1] | (uint32_t)header[2] << 8 | (uint32_t)header[3] << 16 | (uint32_t)header[4] << 24;
  *payload = malloc((size_t)*length + 1);
  if (*payload == NULL || !read_all(runner, *payload, *length)) return -1;
  (*payload)[*length] = '\0';
  return header[0];
}

/* Sends the command with its surroundings. */
static int send_request(int runner, const struct command *command) {
  char *payload = malloc(REQUEST_MAX);
  if (payload == NULL) return 0;
  struct winsize window = {0};
  if (isatty(STDOUT_FILENO)) ioctl(STDOUT_FILENO, TIOCGWINSZ, &window);
  const char *term = getenv("TERM");
  size_t length = (size_t)snprintf(payload, REQUEST_MAX, PROTOCOL_VERSION "%c%d%d%d%c%d%c%.200s%c%ld", 0, isatty(STDIN_FILENO),
                                   isatty(STDOUT_FILENO), isatty(STDERR_FILENO), 0, window.ws_col, 0, term == NULL ? "" : term, 0,
                                   (long)getpid());
  for (int i = 0; i < command->count; i++) {
    size_t size = strlen(command->words[i]);
    if (length + 1 + size > REQUEST_MAX) {
      free(payload);
      return 0;
    }
    payload[length++] = '\0';
    memcpy(payload + length, command->words[i], size);
    length += size;
  }
  int sent = send_message(runner, REQUEST, payload, (uint32_t)length);
  free(payload);
  return sent;
}

/* True if the runner takes the command, in time. */
static int is_accepted(int runner) {
  struct pollfd waiting = {.fd = runner, .events = POLLIN};
  if (poll(&waiting, 1, ACCEPT_MS) != 1) return 0;
  char *payload;
  uint32_t length;
  int type = receive(runner, &payload, &length);
  free(payload);
  return type == ACCEPT;
}

static volatile pid_t child = 0;

/* The exec server, while it runs the program; else -1. */
static volatile int inside = -1;

/* The runner, if signals are told to it; else -1: the program gets them. */
static volatile int told = -1;

static void pass_on(int number) {
  if (told >= 0) {
    /* Nothing else is written to it while a program runs. */
    char text[4] = {0};
    text[0] = (char)('0' + number / 10), text[1] = (char)('0' + number % 10);
    send_message(told, SIGNAL, text, 2);
  } else if (inside >= 0) {
    unsigned char byte = (unsigned char)number;
    write_all(inside, &byte, 1);
  } else if (child > 0) {
    kill(child, number);
  }
}

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/* Holds back signals that are for a program that is about to be started. Returns what to set again afterwards. */
static sigset_t hold_signals(void) {
  sigset_t held, before;
  sigemptyset(&held);
  for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) sigaddset(&held, passed_on[i]);
  sigprocmask(SIG_BLOCK, &held, &before);
  return before;
}

static void let_signals(const sigset_t *before) { sigprocmask(SIG_SETMASK, before, NULL); }

/* Has signals that would end us passed on. */
static void pass_signals_on(void) {
  for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) signal(passed_on[i], pass_on);
}

/* Runs a program, of words that NULs separate, on our input and output. Returns its status as a shell would have it. */
static int run_program(char *words, uint32_t length) {
  size_t count = 1;
  for (uint32_t i = 0; i < length; i++) count += words[i] == '\0';
  char **list = calloc(count + 1, sizeof *list);
  if (list == NULL) return NOT_RUN;
  char *at = words;
  for (size_t i = 0; i < count; i++, at += strlen(at) + 1) list[i] = at;
  const sigset_t before = hold_signals();
  child = fork();
  if (child == 0) {
    let_signals(&before);
    execvp(list[0], list);
    fprintf(stderr, "byref: %s can't be run: %s\n", list[0], strerror(errno));
    _exit(NOT_RUN);
  }
  free(list);
  if (child > 0) pass_signals_on();
  let_signals(&before);
  if (child < 0) return NOT_RUN;
  int status;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFSIGNALED(status) ? SIGNAL_BASE + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Connects to an exec server that says that it listens; -1 if none does. */
static int connect_exec_server(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -1;
  strcpy(address.sun_path, path);
  int server = connect_to(&address);
  if (server < 0) return -1;
  struct pollfd waiting = {.fd = server, .events = POLLIN};
  char ready;
  if (poll(&waiting, 1, ACCEPT_MS) == 1 && read_all(server, &ready, 1) && ready == 'R') return server;
  close(server);
  return -1;
}

/* Sends a request with our input, output and error output: native/exec-server.c. */
static int send_inside(int server, const char *words, uint32_t length) {
  char mask[8];
  mode_t ours = umask(0);
  umask(ours);
  uint32_t mask_length = (uint32_t)snprintf(mask, sizeof mask, "%o", (unsigned)ours) + 1, total = mask_length + length + 1;
  unsigned char size[4] = {total & 0xff, total >> 8 & 0xff, total >> 16 & 0xff, total >> 24};
  int passed[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
  char control[CMSG_SPACE(sizeof passed)] __attribute__((aligned(8))) = {0};
  struct iovec io = {size, sizeof size};
  struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof passed);
  memcpy(CMSG_DATA(head), passed, sizeof passed);
  if (sendmsg(server, &message, 0) != sizeof size) return 0;
  /* With the NUL that receive() put behind the last word. */
  return write_all(server, mask, mask_length) && write_all(server, words, (size_t)length + 1);
}

/* Has the exec server of an env run a program on our input and output: the server's socket, and its request but for the umask. */
static int run_inside(const char *words, uint32_t length) {
  size_t path = strlen(words) + 1;
  int server = path > length ? -1 : connect_exec_server(words);
  if (server < 0) return NOT_SERVED;
  char answer[2];
  /* The program may be heard of before the answer is. */
  const sigset_t before = hold_signals();
  const int is_answered =
      send_inside(server, words + path, length - (uint32_t)path) && read_all(server, answer, 1);
  if (is_answered && *answer == 'S') {
    inside = server;
    pass_signals_on();
  }
  let_signals(&before);
  if (!is_answered) {
    fprintf(stderr, "byref: the env's exec server ended before it said whether the program was started\n  hint: Run this again.\n");
    return NOT_RUN;
  }
  if (*answer != 'S') return NOT_STARTED;
  /* The server is killed when the env ends, and all in it. */
  return read_all(server, answer, sizeof answer) ? (unsigned char)answer[1] : SIGNAL_BASE + SIGKILL;
}

static void tell_status(int runner, int status) {
  char text[16];
  send_message(runner, STATUS, text, (uint32_t)snprintf(text, sizeof text, "%d", status));
}

/* Prints what the runner says, and does what it asks. Returns only if the command is to be run as a whole. */
static void follow(int runner) {
  for (;;) {
    char *payload;
    uint32_t length;
    int type = receive(runner, &payload, &length);
    switch (type) {
      case STDOUT:
        /* In `byref list | head -1` the reader goes away early: not an error. */
        if (!write_all(STDOUT_FILENO, payload, length)) exit(0);
        break;
      case STDERR:
        write_all(STDERR_FILENO, payload, length);
        break;
      case ATTEND:
        told = runner;
        /* fall through */
      case PROGRAM:
        tell_status(runner, run_program(payload, length));
        break;
      case INSIDE:
        tell_status(runner, run_inside(payload, length));
        break;
      case EXIT:
        exit(atoi(payload));
      case DECLINE:
        free(payload);
        return;
      default:
        fprintf(stderr, "byref: the daemon's runner ended before the command did\n  hint: Run this again; what was begun may be done.\n");
        exit(1);
    }
    free(payload);
  }
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "byref-client: give the script to run\n");
    return NOT_RUN;
  }
  /* What we open is to be none of these. */
  for (int null = 0; null >= 0 && null <= STDERR_FILENO;) null = open("/dev/null", O_RDWR);
  struct command command = {.all = argv + 1, .words = argv + 2, .count = argc - 2};
  if (geteuid() == 0 && !has_own_settings() && take_root(&command) && command.count > 0) {
    /* A reader that has gone is noticed at the write. */
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGPIPE, &ignore, &before);
    int runner = connect_runner(command.root);
    if (runner >= 0 && send_request(runner, &command) && is_accepted(runner) && send_message(runner, GO, "", 0)) follow(runner);
    if (runner >= 0) close(runner);
    sigaction(SIGPIPE, &before, NULL);
  }
  run_whole(&command);
}
