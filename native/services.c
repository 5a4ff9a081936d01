/**
 * byref-services NAME COUNT WORD... [NAME COUNT WORD...]...
 *
 * The first process of an env with a list of services: COUNT words are the command of each. It is linked statically, since it runs in envs
 * of any system, and knows nothing of byref.
 *
 *   - Services are started in the order in which they are given. One that ends with another exit status than 0, or by a signal, is started
 *     again: after 0.1 s, and after twice as long each time that it does not run for 10 s, up to a minute. When none is left, it ends.
 *   - SIGTERM or SIGINT: services are asked to end (SIGTERM) in the reverse order, one after the other; one that takes more than 3 s is not
 *     waited for before the next is asked. SIGHUP, SIGUSR1 and SIGUSR2 are passed on to all.
 *   - What they print goes to its own output, each line with the name of the service in front.
 *   - Orphans of the env are taken note of.
 *
 * Each service is the leader of a session, and has its name in BYREF_SERVICE. What is left of it when it ended stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX = 4096, DELAY_FIRST = 100, DELAY_MAX = 60000, STEADY = 10000, PATIENCE = 3000, LAST_PARTS = 64 };

struct service {
  char *name;
  char **words;
  /** 0: it does not run. */
  pid_t pid;
  int output[2];
  char line[LINE_MAX];
  size_t length;
  /** Milliseconds, as now() has them. `again`: when it is started; 0: it is not. */
  long long started, again, asked;
  long long delay;
};

static struct service *services;
static int count;
static int ending;

static long long now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000LL + at.tv_nsec / 1000000;
}

/** What can't be written is not: services go on. */
static void print(const char *name, const char *text, size_t length) {
  char whole[LINE_MAX + 256];
  const int size = snprintf(whole, sizeof whole, "%s: %.*s\n", name, (int)length, text);
  if (size > 0 && write(1, whole, (size_t)size < sizeof whole ? (size_t)size : sizeof whole - 1) < 0) return;
}

/** Passes on what a service printed, line by line; a line that is too long in parts. @param parts how much at most: others have their turn */
static void hear(struct service *service, int parts) {
  while (parts-- > 0) {
    const ssize_t got = read(service->output[0], service->line + service->length, LINE_MAX - service->length);
    if (got <= 0) return;
    service->length += (size_t)got;
    char *from = service->line;
    for (char *end; (end = memchr(from, '\n', service->length)) != NULL;) {
      print(service->name, from, (size_t)(end - from));
      service->length -= (size_t)(end + 1 - from);
      from = end + 1;
    }
    if (service->length == LINE_MAX) {
      print(service->name, from, service->length);
      service->length = 0;
    }
    memmove(service->line, from, service->length);
  }
}

static void start(struct service *service) {
  service->again = 0;
  service->started = now();
  const pid_t child = fork();
  if (child != 0) {
    // A machine without room for it now may have some later.
    service->pid = child > 0 ? child : 0;
    if (child < 0) service->again = now() + DELAY_MAX;
    return;
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
  setsid();
  dup2(service->output[1], 1);
  dup2(service->output[1], 2);
  setenv("BYREF_SERVICE", service->name, 1);
  execvp(service->words[0], service->words);
  dprintf(2, "%s: %s\n", service->words[0], strerror(errno));
  _exit(127);
}

static void ended(struct service *service, int status) {
  char text[128];
  service->pid = 0;
  // What it printed last comes before what is said of its end.
  hear(service, LAST_PARTS);
  if (service->length > 0) print(service->name, service->line, service->length);
  service->length = 0;
  const int is_signal = WIFSIGNALED(status);
  const int code = is_signal ? WTERMSIG(status) : WEXITSTATUS(status);
  if (ending || (!is_signal && code == 0)) return;
  const long long ran = now() - service->started;
  const long long longer = service->delay * 2 > DELAY_MAX ? DELAY_MAX : service->delay * 2;
  service->delay = ran >= STEADY || service->delay == 0 ? DELAY_FIRST : longer;
  service->again = now() + service->delay;
  const char *how = is_signal ? "signal" : "exit status";
  const int length = snprintf(text, sizeof text, "ended: %s %d; started again in %lld.%lld s", how, code, service->delay / 1000,
                              service->delay % 1000 / 100);
  print(service->name, text, (size_t)length);
}

static void reap(void) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (int i = 0; i < count; i++)
      if (services[i].pid == pid) ended(&services[i], status);
  }
}

static void pass_on(int number) {
  for (int i = 0; i < count; i++)
    if (services[i].pid > 0) kill(services[i].pid, number);
}

/** Asks the last service that runs to end, and those before it that are due. Returns when to look again; -1: none is left. */
static long long ask(void) {
  for (int i = count - 1; i >= 0; i--) {
    struct service *service = &services[i];
    if (service->pid == 0) continue;
    if (service->asked == 0) {
      service->asked = now();
      kill(service->pid, SIGTERM);
    }
    if (now() < service->asked + PATIENCE) return service->asked + PATIENCE;
  }
  // All were asked: those that are left are waited for.
  for (int i = 0; i < count; i++)
    if (services[i].pid > 0) return now() + PATIENCE;
  return -1;
}

/** Starts what is due. Returns when to look again; -1: none is left. */
static long long revive(void) {
  long long next = -1;
  for (int i = 0; i < count; i++) {
    struct service *service = &services[i];
    if (service->again > 0 && service->again <= now()) start(service);
    const long long at = service->pid > 0 ? now() + DELAY_MAX : service->again;
    if (at > 0 && (next < 0 || at < next)) next = at;
  }
  return next;
}

static void hear_signals(int signals) {
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) > 0) {
    const int number = (int)info.ssi_signo;
    if (number == SIGTERM || number == SIGINT) ending = 1;
    else if (number != SIGCHLD) pass_on(number);
  }
}

static int usage(void) {
  dprintf(2, "usage: byref-services NAME COUNT WORD... [NAME COUNT WORD...]...\n");
  return 2;
}

/** Reads the services. Returns 0 if the words say none. */
static int parse(int words, char **word) {
  services = calloc((size_t)words, sizeof *services);
  if (services == NULL) return 0;
  for (int at = 1; at < words;) {
    if (at + 2 > words) return 0;
    struct service *service = &services[count++];
    const int size = atoi(word[at + 1]);
    if (size < 1 || size > words - at - 2) return 0;
    service->name = word[at];
    service->words = calloc((size_t)size + 1, sizeof *service->words);
    if (service->words == NULL) return 0;
    memcpy(service->words, word + at + 2, (size_t)size * sizeof *word);
    at += size + 2;
  }
  return count > 0;
}

int main(int words, char **word) {
  if (!parse(words, word)) return usage();
  signal(SIGPIPE, SIG_IGN);
  sigset_t heard;
  sigemptyset(&heard);
  const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) sigaddset(&heard, numbers[i]);
  sigprocmask(SIG_BLOCK, &heard, NULL);
  const int signals = signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK);
  struct pollfd *polled = calloc((size_t)count + 1, sizeof *polled);
  if (signals < 0 || polled == NULL) return 1;
  polled[0] = (struct pollfd){signals, POLLIN, 0};
  for (int i = 0; i < count; i++) {
    // Both ends stay open: who is left of a service may go on printing.
    if (pipe2(services[i].output, O_CLOEXEC) < 0) return 1;
    fcntl(services[i].output[0], F_SETFL, O_NONBLOCK);
    polled[i + 1] = (struct pollfd){services[i].output[0], POLLIN, 0};
    start(&services[i]);
  }
  for (;;) {
    const long long next = ending ? ask() : revive();
    if (next < 0) return 0;
    const long long wait = next - now();
    poll(polled, (nfds_t)count + 1, wait < 0 ? 0 : (int)wait);
    for (int i = 0; i < count; i++)
      if (polled[i + 1].revents != 0) hear(&services[i], 1);
    if (polled[0].revents != 0) hear_signals(signals);
    reap();
  }
}
